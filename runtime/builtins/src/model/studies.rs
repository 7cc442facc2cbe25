//! What tracking and perturbation theory tell of a model: convergence, apertures, detuning, driving terms, frequencies.

use super::beam::{ring_of, with_effects};
use super::{Model, ModelHandle};
use crate::families::{Members, document};
use crate::orbit::rows_of;
use crate::quantity;
use crate::vector::Vector;
use fodo_dynamics::{
    Convergence, DrivingTermOptions, DynamicApertureOptions, FrequencyMapOptions, Grid, MomentumApertureOptions,
    Motion, Shift, convergence, detuning, driving_terms, dynamic_aperture, frequency_map, momentum_aperture,
};
use fodo_language::{Options, OrFail, Outcome, Values, script_error};
use fodo_lattice::Class;
use fodo_units::Unit;
use rhai::{Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// A map of named values.
pub fn map<const N: usize>(entries: [(&str, Dynamic); N]) -> Map {
    entries.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

/// A vector with its unit.
pub fn vector(values: Vec<f64>, unit: &str) -> Outcome<Dynamic> {
    Ok(Dynamic::from(Vector::from_si(values, Unit::parse(unit).or_fail()?)))
}

/// Places along the lattice.
pub fn places(values: Vec<f64>) -> Dynamic {
    Dynamic::from(Vector::from_si(values, Unit::position()))
}

/// A quantity; a plain number where there is no unit.
pub fn one(value: f64, unit: &str) -> Outcome<Dynamic> {
    Ok(quantity::of(value, Unit::parse(unit).or_fail()?))
}

/// How far slices and model choices move each figure.
fn converge(model: &Model) -> Outcome<Map> {
    let found: Convergence = model.or_failed(convergence(&model.lattice)).or_fail()?;
    found.shifts.iter().map(|shift| Ok((shift.quantity.name().into(), shifted(shift)?.into()))).collect()
}

fn shifted(shift: &Shift) -> Outcome<Map> {
    let figure = |value: f64| one(value, shift.quantity.unit());
    let choices = shift.by_model.iter().filter_map(|(choice, moved)| Some((choice.name(), (*moved)?)));
    let by_model = choices.map(|(name, moved)| Ok((name.into(), figure(moved)?))).collect::<Outcome<Map>>()?;
    Ok(map([
        ("value", figure(shift.value)?),
        ("limit", figure(shift.limit)?),
        ("uncertainty", figure(shift.uncertainty)?),
        ("by_slices", figure(shift.by_slices)?),
        ("order", shift.order.map_or(Dynamic::UNIT, Dynamic::from)),
        ("by_model", by_model.into()),
    ]))
}

/// The options of every builtin of this file.
pub fn options() -> Vec<Options> {
    vec![aperture_options(), momentum_options(), map_options()]
}

fn tracked(name: &str, turns: i64) -> Options {
    with_effects(Options::new(name).integer("turns").at_least(1.0).default(turns).help("turns to survive"))
}

fn aperture_options() -> Options {
    tracked("dynamic_aperture", 1024)
        .integer("directions")
        .at_least(1.0)
        .default(19)
        .help("rays from 0 to 180 degrees")
        .number("limit_x", "m")
        .default(0.02)
        .help("how far rays go")
        .number("limit_y", "m")
        .default(0.01)
        .help("how far rays go")
        .number("delta", "1")
        .default(0.0)
        .help("momentum deviation")
}

fn aperture(model: &Model, values: &Values) -> Outcome<Map> {
    let options = DynamicApertureOptions {
        directions: values.integer("directions")?.unsigned_abs() as usize,
        limits: [values.number("limit_x")?, values.number("limit_y")?],
        turns: values.integer("turns")?.unsigned_abs(),
        delta: values.number("delta")?,
        ..DynamicApertureOptions::default()
    };
    let found = model.or_failed(dynamic_aperture(&ring_of(model, values), &options)).or_fail()?;
    Ok(map([
        ("angle", vector(found.angles.clone(), "rad")?),
        ("x", vector(found.edge.iter().map(|edge| edge[0]).collect(), "m")?),
        ("y", vector(found.edge.iter().map(|edge| edge[1]).collect(), "m")?),
        ("area", one(found.area(), "m^2")?),
    ]))
}

fn momentum_options() -> Options {
    tracked("momentum_aperture", 1024).number("limit", "1").default(0.1).help("largest change of momentum looked at")
}

fn momentum(model: &Model, elements: &[usize], values: &Values) -> Outcome<Map> {
    let limit = values.number("limit")?.abs();
    let turns = values.integer("turns")?.unsigned_abs();
    let options = MomentumApertureOptions { limits: [-limit, limit], turns, ..MomentumApertureOptions::default() };
    let found = model.or_failed(momentum_aperture(&ring_of(model, values), elements, &options)).or_fail()?;
    let positions = model.ring.positions();
    Ok(map([
        ("s", places(found.elements.iter().map(|&index| positions[index]).collect())),
        ("negative", vector(found.negative, "1")?),
        ("positive", vector(found.positive, "1")?),
    ]))
}

fn terms(model: &Model) -> Outcome<Map> {
    let found = model.or_failed(driving_terms(&model.ring, &DrivingTermOptions::default())).or_fail()?;
    let mut all = Map::new();
    for (powers, first, second) in found.iter() {
        let name = powers.map(|power| power.to_string()).concat();
        let total = first + second;
        all.insert(
            format!("h{name}").into(),
            map([("re", total.re.into()), ("im", total.im.into()), ("abs", total.norm().into())]).into(),
        );
    }
    Ok(all)
}

fn detunings(model: &Model) -> Outcome<Map> {
    let found = model.or_failed(detuning(&model.ring, &DrivingTermOptions::default())).or_fail()?;
    Ok(map([("x_x", one(found.x_x, "1/m")?), ("x_y", one(found.x_y, "1/m")?), ("y_y", one(found.y_y, "1/m")?)]))
}

fn map_options() -> Options {
    let options = Options::new("frequency_map")
        .any("x")
        .help("a vector of horizontal amplitudes [m] from the closed orbit")
        .any("y")
        .help("a vector of vertical amplitudes [m]; every pair is tracked")
        .integer("window")
        .at_least(8.0)
        .default(512)
        .help("turns of each of the two windows");
    with_effects(options)
}

fn frequencies(model: &Model, values: &Values) -> Outcome<Map> {
    let amplitudes = |name: &str| -> Outcome<Vec<f64>> {
        let given = values.maybe_dynamic(name);
        let vector = given.and_then(|value| value.read_lock::<Vector>().map(|vector| vector.clone()));
        let metre = Unit::parse("m").or_fail()?;
        match vector.filter(|vector| vector.unit().dimension() == metre.dimension()) {
            Some(vector) => Ok(vector.si().to_vec()),
            None => Err(script_error(format!("`frequency_map` needs `{name}`: a vector of amplitudes in m"))),
        }
    };
    let grid = Grid::Transverse { x: amplitudes("x")?, y: amplitudes("y")? };
    let window = values.integer("window")?.unsigned_abs() as usize;
    let options = FrequencyMapOptions { window, ..FrequencyMapOptions::default() };
    let found = model.or_failed(frequency_map(&ring_of(model, values), &grid, &options)).or_fail()?;
    let mut columns: [Vec<f64>; 5] = Default::default();
    let mut lost = 0;
    for point in &found {
        match (&point.motion, point.motion.diffusion()) {
            (Motion::Survives { tunes: [x, y], .. }, Some(diffusion)) => {
                let row = [point.start[0], point.start[1], *x, *y, diffusion];
                columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
            }
            _ => lost += 1,
        }
    }
    let [x, y, tune_x, tune_y, diffusion] = columns;
    Ok(map([
        ("x", vector(x, "m")?),
        ("y", vector(y, "m")?),
        ("tune_x", vector(tune_x, "1")?),
        ("tune_y", vector(tune_y, "1")?),
        ("diffusion", vector(diffusion, "1")?),
        ("lost", i64::from(lost).into()),
    ]))
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "convergence",
        ["model: model", "map"],
        "/// Says how far slices and model choices move the figures of a model: is it right, not only equal to another code.\n///\n\
         /// Every figure is computed again with two and four times the slices, and with exact drifts, exact straight magnets and quadrupole fringes.\n///\n\
         /// # Returns\n/// `#{ tune_x: #{ value, limit, uncertainty, by_slices, order, by_model }, … }` in the figure's unit.\n///\n\
         /// # Errors\n/// - `facility`: unstable optics with more slices or another choice.\n///\n\
         /// # Example\n/// ```rhai\n/// let c = model.convergence();\n/// assert(abs(c.tune_x.by_slices) < 1e-2);\n/// ```",
        |c: NativeCallContext, m: ModelHandle| converge(&*m.ring(&c, "convergence")?)
    );
    document!(
        engine,
        "dynamic_aperture",
        ["model: model", "options: map", "map"],
        "/// Finds the dynamic aperture of a model at its start: the edge of what survives, ray by ray.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ angle, x, y, area }`: vectors [rad, m, m], and the area within [m²].\n///\n\
         /// # Errors\n/// - `facility`: no closed orbit.\n///\n\
         /// # Example\n/// ```rhai\n/// let edge = model.dynamic_aperture(#{ turns: 20, directions: 3 });\n/// assert(edge.x.len == 3);\n/// ```",
        aperture_options(),
        |c: NativeCallContext, m: ModelHandle, options: Map| aperture(
            &*m.ring(&c, "dynamic_aperture")?,
            &aperture_options().read(&options)?
        )
    );
    document!(
        engine,
        "dynamic_aperture",
        ["model: model", "map"],
        "/// Finds the dynamic aperture of a model at its start, with the default options.",
        |c: NativeCallContext, m: ModelHandle| {
            aperture(&*m.ring(&c, "dynamic_aperture")?, &aperture_options().read(&Map::new())?)
        }
    );
    document!(
        engine,
        "momentum_aperture",
        ["model: model", "places: family", "options: map", "map"],
        "/// Finds the local momentum aperture of a model: which sudden change of momentum at a place the beam survives.\n///\n\
         /// # Parameters\n/// - `places`: devices, at whose entrance the momentum changes.\n/// {options}\n///\n\
         /// # Returns\n/// `#{ s, negative, positive }`: vectors [m, 1, 1].\n///\n\
         /// # Errors\n/// - `facility`: no closed orbit.\n/// - `script`: a device that stands nowhere in the lattice.\n///\n\
         /// # Example\n/// ```rhai\n/// let edge = model.momentum_aperture(BPM[0..2], #{ turns: 20 });\n/// assert(edge.positive.len == 2);\n/// ```",
        momentum_options(),
        |c: NativeCallContext, m: ModelHandle, places: Members, options: Map| {
            momentum(&*m.ring(&c, "momentum_aperture")?, &rows_of(&places)?, &momentum_options().read(&options)?)
        }
    );
    document!(
        engine,
        "momentum_aperture",
        ["model: model", "places: family", "map"],
        "/// Finds the local momentum aperture of a model at devices, with the default options.",
        |c: NativeCallContext, m: ModelHandle, places: Members| {
            momentum(&*m.ring(&c, "momentum_aperture")?, &rows_of(&places)?, &momentum_options().read(&Map::new())?)
        }
    );
    document!(
        engine,
        "momentum_aperture",
        ["model: model", "options: map", "map"],
        "/// Finds the local momentum aperture of a model at its monitors: a loaded lattice has no families.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ s, negative, positive }`: vectors [m, 1, 1].",
        momentum_options(),
        |c: NativeCallContext, m: ModelHandle, options: Map| {
            let model = m.ring(&c, "momentum_aperture")?;
            let monitors = model.lattice.indices_of(Class::Monitor);
            momentum(&model, &monitors, &momentum_options().read(&options)?)
        }
    );
    document!(
        engine,
        "detuning",
        ["model: model", "map"],
        "/// Computes how the tunes of a model change with action, from octupoles in first and sextupoles in second order.\n///\n\
         /// # Returns\n/// `#{ x_x, x_y, y_y }`: dQx/dJx, dQx/dJy, dQy/dJy [1/m] of the whole ring.\n///\n\
         /// # Errors\n/// - `facility`: unstable optics.\n///\n\
         /// # Example\n/// ```rhai\n/// let d = model.detuning();\n/// print(d.x_x);\n/// ```",
        |c: NativeCallContext, m: ModelHandle| detunings(&*m.ring(&c, "detuning")?)
    );
    document!(
        engine,
        "driving_terms",
        ["model: model", "map"],
        "/// Computes the resonance driving terms of a model, first and second order together.\n///\n\
         /// # Returns\n/// `#{ h21000: #{ re, im, abs }, … }`: h_jklmp in m^(1 - (j+k+l+m)/2), plain numbers.\n///\n\
         /// # Errors\n/// - `facility`: unstable optics.\n///\n\
         /// # Example\n/// ```rhai\n/// let h = model.driving_terms();\n/// assert(h.h30000.abs >= 0.0);\n/// ```",
        |c: NativeCallContext, m: ModelHandle| terms(&*m.ring(&c, "driving_terms")?)
    );
    document!(
        engine,
        "frequency_map",
        ["model: model", "options: map", "map"],
        "/// Makes a frequency map of a model: tunes over amplitudes, and how much they drift (NAFF).\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ x, y, tune_x, tune_y, diffusion, lost }`: vectors over the survivors; `diffusion` is log10 of the drift of the tunes [1].\n///\n\
         /// # Errors\n/// - `script`: no amplitudes.\n/// - `facility`: unstable optics.\n///\n\
         /// # Example\n/// ```rhai\n/// let f = model.frequency_map(#{ x: vector([0.1, 0.2], \"mm\"), y: vector([0.1], \"mm\"), window: 64 });\n/// assert(f.x.len == 2);\n/// ```",
        map_options(),
        |c: NativeCallContext, m: ModelHandle, options: Map| frequencies(
            &*m.ring(&c, "frequency_map")?,
            &map_options().read(&options)?
        )
    );
}
