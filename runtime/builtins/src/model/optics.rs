//! More of the optics of a model: coupled, in six dimensions, off momentum, inside elements; derivatives of responses.

use super::studies::{map, one, places, vector};
use super::{Model, ModelHandle};
use crate::families::document;
use fodo_language::{Options, OrFail, Outcome, Values, script_error};
use fodo_optics::{ChromaticPlane, Cutting, Effects, Optics, Tapered, Twiss};
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// One column of a table of coordinates.
fn column<const N: usize>(table: &[[f64; N]], column: usize, unit: &str) -> Outcome<Dynamic> {
    vector(table.iter().map(|row| row[column]).collect(), unit)
}

fn coupled(model: &Model) -> Outcome<Map> {
    let found = model.or_failed(model.ring.coupled_optics()).or_fail()?;
    let coupling = |row, column| found.coupling.iter().map(|matrix| matrix[(row, column)]).collect();
    Ok(map([
        ("s", places(found.position.clone())),
        ("tune_1", found.tunes[0].into()),
        ("tune_2", found.tunes[1].into()),
        ("beta_1", vector(found.beta_1.clone(), "m")?),
        ("beta_2", vector(found.beta_2.clone(), "m")?),
        ("alpha_1", vector(found.alpha_1.clone(), "1")?),
        ("alpha_2", vector(found.alpha_2.clone(), "1")?),
        ("phase_1", vector(found.phase_1.clone(), "rad")?),
        ("phase_2", vector(found.phase_2.clone(), "rad")?),
        ("gamma", vector(found.gamma.clone(), "1")?),
        ("c11", vector(coupling(0, 0), "1")?),
        ("c12", vector(coupling(0, 1), "m")?),
        ("c21", vector(coupling(1, 0), "1/m")?),
        ("c22", vector(coupling(1, 1), "1")?),
        ("dispersion_x", column(&found.dispersion, 0, "m")?),
        ("dispersion_y", column(&found.dispersion, 2, "m")?),
    ]))
}

/// The options of every builtin of this file.
pub fn options() -> Vec<Options> {
    vec![moving_options(), inside_options(), tapered_options(), line_options()]
}

fn moving_options() -> Options {
    Options::new("optics_6d").flag("radiation").help("bends and quadrupoles radiate")
}

fn moving(model: &Model, values: &Values) -> Outcome<Map> {
    let ring = model.ring.with_effects(Effects { cavity: true, radiation: values.flag("radiation") });
    let found = model.or_failed(ring.normal_optics()).or_fail()?;
    let tunes = found.tunes();
    let times = found.damping_times().into_iter().map(|time| one(time, "s")).collect::<Outcome<Array>>()?;
    Ok(map([
        ("s", places(found.position.clone())),
        ("tune", vector(tunes.to_vec(), "1")?),
        ("damping_time", times.into()),
        ("beta_x", vector(found.beta_x.clone(), "m")?),
        ("beta_y", vector(found.beta_y.clone(), "m")?),
        ("alpha_x", vector(found.alpha_x.clone(), "1")?),
        ("alpha_y", vector(found.alpha_y.clone(), "1")?),
        ("phase_x", column(&found.phase, 0, "rad")?),
        ("phase_y", column(&found.phase, 1, "rad")?),
        ("dispersion_x", column(&found.dispersion, 0, "m")?),
        ("dispersion_y", column(&found.dispersion, 2, "m")?),
        ("orbit_x", column(&found.orbit, 0, "m")?),
        ("orbit_y", column(&found.orbit, 2, "m")?),
        ("orbit_delta", column(&found.orbit, 4, "1")?),
    ]))
}

fn sizes(model: &Model) -> Outcome<Map> {
    let matrices = match &model.line {
        Some(line) => model.line_matrices(line).or_fail()?,
        None => model.or_failed(model.ring.beam_matrices(model.equilibrium().or_fail()?)).or_fail()?,
    };
    let root = |row: usize| matrices.iter().map(|beam| beam[(row, row)].max(0.0).sqrt()).collect();
    let tilt = |beam: &nalgebra::Matrix6<f64>| 0.5 * (2.0 * beam[(0, 2)]).atan2(beam[(0, 0)] - beam[(2, 2)]);
    Ok(map([
        ("s", places(model.ring.positions())),
        ("size_x", vector(root(0), "m")?),
        ("size_y", vector(root(2), "m")?),
        ("tilt", vector(matrices.iter().map(tilt).collect(), "rad")?),
        ("divergence_x", vector(root(1), "1")?),
        ("divergence_y", vector(root(3), "1")?),
        ("energy_spread", vector(root(4), "1")?),
        ("bunch_length", vector(root(5), "m")?),
    ]))
}

fn momentum(model: &Model) -> Outcome<Map> {
    let found = model.or_failed(model.ring.momentum_dependence()).or_fail()?;
    let values = |all: &[fodo_optics::Estimate]| vector(all.iter().map(|each| each.value).collect(), "1");
    let off = |all: &[fodo_optics::Estimate]| vector(all.iter().map(|each| each.uncertainty).collect(), "1");
    let [x, y] = &found.chromaticity;
    Ok(map([
        ("chromaticity_x", values(x)?),
        ("chromaticity_y", values(y)?),
        ("momentum_compaction", values(&found.momentum_compaction)?),
        ("uncertainty_x", off(x)?),
        ("uncertainty_y", off(y)?),
        ("uncertainty_momentum_compaction", off(&found.momentum_compaction)?),
        ("second_dispersion_x", column(&found.dispersion[1], 0, "m")?),
    ]))
}

fn chromatic(model: &Model) -> Outcome<Map> {
    let found = model.or_failed(model.ring.chromatic_functions()).or_fail()?;
    let plane = |plane: &ChromaticPlane| -> Outcome<Dynamic> {
        let functions = map([
            ("beta_slope", vector(plane.beta_slope.clone(), "m")?),
            ("alpha_slope", vector(plane.alpha_slope.clone(), "1")?),
            ("phase_slope", vector(plane.phase_slope.clone(), "rad")?),
            ("amplitude", vector(plane.amplitude.clone(), "1")?),
            ("phase", vector(plane.phase.clone(), "rad")?),
        ]);
        Ok(functions.into())
    };
    Ok(map([("s", places(found.position.clone())), ("x", plane(&found.x)?), ("y", plane(&found.y)?)]))
}

fn inside_options() -> Options {
    Options::new("optics_inside")
        .number("longest", "m")
        .default(0.1)
        .help("longest part of an element; magnets are cut between their slices")
}

fn inside(model: &Model, values: &Values) -> Outcome<Map> {
    let longest = values.number("longest")?;
    if longest <= 0.0 {
        return Err(script_error("`longest` of `optics_inside` must be above 0"));
    }
    let cut = model.ring.with_effects(model.optics_effects()).cut(Cutting::Longest(longest));
    told(model.optics_of(&cut.ring).or_fail()?)
}

fn told(optics: Optics) -> Outcome<Map> {
    Ok(map([
        ("s", places(optics.position)),
        ("beta_x", vector(optics.beta_x, "m")?),
        ("beta_y", vector(optics.beta_y, "m")?),
        ("alpha_x", vector(optics.alpha_x, "1")?),
        ("alpha_y", vector(optics.alpha_y, "1")?),
        ("phase_x", vector(optics.phase_x, "rad")?),
        ("phase_y", vector(optics.phase_y, "rad")?),
        ("dispersion_x", column(&optics.dispersion, 0, "m")?),
        ("dispersion_y", column(&optics.dispersion, 2, "m")?),
    ]))
}

fn line_options() -> Options {
    let mut options = Options::new("line_optics");
    for plane in ["x", "y"] {
        options = options.number(&format!("beta_{plane}"), "m").help("at the start");
        options = options.number(&format!("alpha_{plane}"), "1").default(0.0).help("at the start");
    }
    for plane in ["x", "y"] {
        options = options.number(&format!("dispersion_{plane}"), "m").default(0.0).help("at the start");
        options = options.number(&format!("dispersion_p{plane}"), "1").default(0.0).help("its slope");
    }
    options
}

/// Optical functions along a line from those at its start.
fn line(model: &Model, values: &Values) -> Outcome<Map> {
    let twiss = |plane: &str| -> Outcome<Twiss> {
        let beta = values.number(&format!("beta_{plane}"))?;
        if beta <= 0.0 {
            return Err(script_error(format!("`beta_{plane}` of `line_optics` must be above 0")));
        }
        Ok(Twiss { beta, alpha: values.number(&format!("alpha_{plane}"))? })
    };
    let mut dispersion = [0.0; 4];
    for (value, name) in dispersion.iter_mut().zip(["x", "px", "y", "py"]) {
        *value = values.number(&format!("dispersion_{name}"))?;
    }
    let quiet = model.ring.with_effects(model.optics_effects());
    told(model.or_failed(quiet.optics_from([twiss("x")?, twiss("y")?], dispersion)).or_fail()?)
}

fn tapered_options() -> Options {
    Options::new("tapered")
        .choice("magnets", &["bends", "bends and quadrupoles", "all"])
        .default("bends and quadrupoles")
        .help("which are set")
        .integer("rounds")
        .at_least(1.0)
        .default(1)
        .help("how often energies are found anew")
}

/// The lattice with its magnets set to the energy the beam has there.
fn tapered(model: &Model, values: &Values) -> Outcome<ModelHandle> {
    let magnets = match values.text("magnets")? {
        "bends" => Tapered::Bends,
        "all" => Tapered::AllMagnets,
        _ => Tapered::BendsAndQuadrupoles,
    };
    let mut ring = model.ring.clone();
    let rounds = u32::try_from(values.integer("rounds")?).unwrap_or(u32::MAX);
    model.or_failed(ring.taper(magnets, rounds)).or_fail()?;
    Ok(model.changed("tapered", &ring))
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "coupled_optics",
        ["model: model", "map"],
        "/// Computes the coupled optics of a model: Twiss functions of the two normal modes and the coupling matrix (Sagan and Rubin).\n///\n\
         /// # Returns\n/// `#{ s, tune_1, beta_1, alpha_1, phase_1, …, gamma, c11, c12, c21, c22, dispersion_x, dispersion_y }`: \
         vectors at the entrance of each element and at the end.\n///\n\
         /// # Errors\n/// - `facility`: unstable optics.\n///\n\
         /// # Example\n/// ```rhai\n/// let c = model.coupled_optics();\n/// assert_near(c.gamma.min(), 1.0, 1e-9);\n/// ```",
        |c: NativeCallContext, m: ModelHandle| coupled(&*m.ring(&c, "coupled_optics")?)
    );
    document!(
        engine,
        "optics_6d",
        ["model: model", "options: map", "map"],
        "/// Computes the optics of a model with its cavities on, from normalised eigenvectors (Wolski).\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ s, tune, damping_time, beta_x, alpha_x, phase_x, …, dispersion_x, orbit_x, orbit_delta, … }`: \
         vectors at the entrance of each element and at the end; three tunes.\n///\n\
         /// # Errors\n/// - `facility`: no closed orbit, or unstable motion.\n///\n\
         /// # Example\n/// ```rhai\n/// let o = model.optics_6d(#{ radiation: true });\n/// assert(o.tune.len == 3);\n/// ```",
        moving_options(),
        |c: NativeCallContext, m: ModelHandle, options: Map| moving(
            &*m.ring(&c, "optics_6d")?,
            &moving_options().read(&options)?
        )
    );
    document!(
        engine,
        "optics_6d",
        ["model: model", "map"],
        "/// Computes the optics of a model with its cavities on, without radiation.",
        |c: NativeCallContext, m: ModelHandle| {
            moving(&*m.ring(&c, "optics_6d")?, &moving_options().read(&Map::new())?)
        }
    );
    document!(
        engine,
        "beam_sizes",
        ["model: model", "map"],
        "/// Computes the sizes of the beam along a model: of a ring the equilibrium with RF and radiation (Ohmi), of a line what enters.\n///\n\
         /// # Returns\n/// `#{ s, size_x, size_y, tilt, divergence_x, divergence_y, energy_spread, bunch_length }`: rms, vectors at the \
         entrance of each element and at the end.\n///\n\
         /// # Errors\n/// - `facility`: no equilibrium.\n///\n\
         /// # Example\n/// ```rhai\n/// let b = model.beam_sizes();\n/// assert(b.size_x.max() > 10.0 * um);\n/// ```",
        |c: NativeCallContext, m: ModelHandle| sizes(&*m.here(&c)?)
    );
    document!(
        engine,
        "momentum_dependence",
        ["model: model", "map"],
        "/// Computes how tunes and path length of a model depend on momentum, to third order, each with its uncertainty.\n///\n\
         /// # Returns\n/// `#{ chromaticity_x, chromaticity_y, momentum_compaction, uncertainty_x, … }`: vectors of three: derivatives of \
         the tunes, coefficients of the path length; `second_dispersion_x` along the lattice.\n///\n\
         /// # Errors\n/// - `facility`: unstable optics beside the momentum.\n///\n\
         /// # Example\n/// ```rhai\n/// let d = model.momentum_dependence();\n/// assert(d.chromaticity_x.len == 3);\n/// ```",
        |c: NativeCallContext, m: ModelHandle| momentum(&*m.ring(&c, "momentum_dependence")?)
    );
    document!(
        engine,
        "chromatic_functions",
        ["model: model", "map"],
        "/// Computes how the Twiss functions of a model change with momentum.\n///\n\
         /// # Returns\n/// `#{ s, x, y }`, each plane `#{ beta_slope, alpha_slope, phase_slope, amplitude, phase }`: vectors at the entrance \
         of each element and at the end.\n///\n\
         /// # Errors\n/// - `facility`: unstable optics beside the momentum.\n///\n\
         /// # Example\n/// ```rhai\n/// let w = model.chromatic_functions();\n/// assert(w.x.amplitude.max() > 0.0);\n/// ```",
        |c: NativeCallContext, m: ModelHandle| chromatic(&*m.ring(&c, "chromatic_functions")?)
    );
    document!(
        engine,
        "optics_inside",
        ["model: model", "options: map", "map"],
        "/// Computes the optics of a model also inside its elements.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ s, beta_x, beta_y, alpha_x, …, dispersion_x, dispersion_y }`: vectors.\n///\n\
         /// # Errors\n/// - `facility`: unstable optics.\n///\n\
         /// # Example\n/// ```rhai\n/// let o = model.optics_inside(#{ longest: 5.0 * cm });\n/// assert(o.s.len > model.s.entrances.len);\n/// ```",
        inside_options(),
        |c: NativeCallContext, m: ModelHandle, options: Map| inside(&*m.here(&c)?, &inside_options().read(&options)?)
    );
    document!(
        engine,
        "optics_inside",
        ["model: model", "map"],
        "/// Computes the optics of a model also inside its elements, in parts of at most 0.1 m.",
        |c: NativeCallContext, m: ModelHandle| { inside(&*m.here(&c)?, &inside_options().read(&Map::new())?) }
    );
    document!(
        engine,
        "tapered",
        ["model: model", "options: map", "model"],
        "/// Makes a model whose magnets are set to the energy the radiating beam has there, so that its orbit is flat.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// A model of its own; the first stays as it is.\n///\n\
         /// # Errors\n/// - `facility`: no closed orbit with cavities and radiation.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = model.tapered(#{ magnets: \"all\" });\n\
         /// let before = model.optics_6d(#{ radiation: true }).orbit_x.max_abs();\n\
         /// assert(t.optics_6d(#{ radiation: true }).orbit_x.max_abs() < before);\n/// ```",
        tapered_options(),
        |c: NativeCallContext, m: ModelHandle, options: Map| tapered(
            &*m.ring(&c, "tapered")?,
            &tapered_options().read(&options)?
        )
    );
    document!(
        engine,
        "tapered",
        ["model: model", "model"],
        "/// Makes a model whose bends and quadrupoles are set to the energy the radiating beam has there.",
        |c: NativeCallContext, m: ModelHandle| {
            tapered(&*m.ring(&c, "tapered")?, &tapered_options().read(&Map::new())?)
        }
    );
    document!(
        engine,
        "line_optics",
        ["model: model", "options: map", "map"],
        "/// Computes the optics along a line from those at its start: single pass, no closed orbit.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ s, beta_x, beta_y, alpha_x, …, dispersion_x, dispersion_y }`: vectors at the entrance of each element and at the end.\n///\n\
         /// # Errors\n/// - `facility`: the particle on the axis is lost.\n///\n\
         /// # Example\n/// ```rhai\n/// let o = model.line_optics(#{ beta_x: 6.0 * m, beta_y: 3.0 * m });\n/// assert(o.beta_x[0] == 6.0 * m);\n/// ```",
        line_options(),
        |c: NativeCallContext, m: ModelHandle, options: Map| line(&*m.here(&c)?, &line_options().read(&options)?)
    );
}
