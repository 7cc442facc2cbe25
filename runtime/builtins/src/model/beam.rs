//! Particles in a model: bunches and tracking.

use super::ModelHandle;
use crate::families::document;
use crate::vector::Vector;
use fodo_dynamics::{LossMap, Shape, Sizes, beam_matrix_at, distribution};
use fodo_language::{Options, OrFail, Outcome, script_error};
use fodo_optics::{Effects, Point, Ring};
use fodo_units::Unit;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// The coordinates and their units.
const COORDINATES: [(&str, &str); 6] = [("x", "m"), ("px", "1"), ("y", "m"), ("py", "1"), ("delta", "1"), ("ct", "m")];

/// Particles as a script sees them: a vector for each coordinate.
fn to_map(particles: &[Point<f64>]) -> Outcome<Map> {
    let mut map = Map::new();
    for (column, (name, unit)) in COORDINATES.iter().enumerate() {
        let values = particles.iter().map(|particle| particle[column]).collect();
        map.insert((*name).into(), Dynamic::from(Vector::from_si(values, Unit::parse(unit).or_fail()?)));
    }
    Ok(map)
}

/// Particles from vectors of coordinates; those not given are 0.
fn from_map(map: &Map) -> Outcome<Vec<Point<f64>>> {
    let mut particles: Option<Vec<Point<f64>>> = None;
    for (key, value) in map {
        let Some(column) = COORDINATES.iter().position(|(name, _)| *name == key.as_str()) else {
            let known = COORDINATES.map(|(name, _)| name).join(", ");
            return Err(script_error(format!("particles have no coordinate `{key}`: they have {known}")));
        };
        let values = value.read_lock::<Vector>().map(|vector| (vector.si().to_vec(), vector.unit().clone()));
        let (values, unit) =
            values.ok_or_else(|| script_error(format!("`{key}` of the particles must be a vector")))?;
        let wanted = Unit::parse(COORDINATES[column].1).or_fail()?;
        if unit.dimension() != wanted.dimension() {
            return Err(script_error(format!("`{key}` of the particles is in {unit}, it must be in {wanted}")));
        }
        let particles = particles.get_or_insert_with(|| vec![[0.0; 6]; values.len()]);
        if particles.len() != values.len() {
            return Err(script_error("the coordinates of the particles are not equally long"));
        }
        particles.iter_mut().zip(values).for_each(|(particle, value)| particle[column] = value);
    }
    particles.filter(|particles| !particles.is_empty()).ok_or_else(|| script_error("there are no particles"))
}

/// The options of every builtin of this file.
pub fn options() -> Vec<Options> {
    vec![bunch_options("bunch"), track_options()]
}

/// Options that choose cavities and radiation; radiation brings the cavities with it.
pub fn with_effects(options: Options) -> Options {
    options.flag("rf").help("cavities on").flag("radiation").help("bends and quadrupoles radiate; cavities on")
}

/// The ring of a model with the effects the options ask for; the cavities of a line are always on.
pub fn ring_of(model: &super::Model, values: &fodo_language::Values) -> Ring {
    let radiation = values.flag("radiation");
    let cavity = radiation || values.flag("rf") || model.optics_effects().cavity;
    model.ring.with_effects(Effects { cavity, radiation })
}

/// The options of a matched bunch.
pub fn bunch_options(owner: &str) -> Options {
    with_effects(Options::new(owner))
        .number("emittance_x", "m")
        .default(1e-9)
        .help("horizontal emittance")
        .number("emittance_y", "m")
        .default(1e-11)
        .help("vertical emittance")
        .number("energy_spread", "1")
        .default(1e-3)
        .help("rms")
        .number("length", "m")
        .default(3e-3)
        .help("rms")
        .integer("seed")
        .default(1)
        .help("of the random numbers")
}

/// Sizes of a bunch from its options.
pub fn sizes(values: &fodo_language::Values) -> Outcome<Sizes> {
    Ok(Sizes {
        emittance_x: values.number("emittance_x")?,
        emittance_y: values.number("emittance_y")?,
        energy_spread: values.number("energy_spread")?,
        length: values.number("length")?,
    })
}

fn bunch(context: &NativeCallContext, model: &ModelHandle, count: i64, map: &Map) -> Outcome<Map> {
    let (model, values) = (model.here(context)?, bunch_options("bunch").read(map)?);
    let count = usize::try_from(count).ok().filter(|count| *count > 0);
    let count = count.ok_or_else(|| script_error("a bunch has at least one particle"))?;
    let ring = ring_of(&model, &values);
    let optics = model.optics_of(&ring).or_fail()?;
    let centre = model.centre_of(&ring).or_fail()?;
    let said = sizes(&values)?;
    let sizes = model.line.as_ref().map_or(said, |line| line.sizes_but(map, &said));
    let matrix = model.or_failed(beam_matrix_at(&optics, 0, &sizes)).or_fail()?;
    let seed = values.integer("seed")?.unsigned_abs();
    to_map(&model.or_failed(distribution(count, &centre, &matrix, Shape::Gaussian, seed)).or_fail()?)
}

fn track_options() -> Options {
    with_effects(Options::new("track")).integer("turns").at_least(1.0).default(1).help("turns, or passages of a line")
}

fn track(context: &NativeCallContext, model: &ModelHandle, particles: &Map, map: &Map) -> Outcome<Map> {
    let (model, values) = (model.here(context)?, track_options().read(map)?);
    let mut particles = from_map(particles)?;
    let turns = values.integer("turns")?.unsigned_abs();
    let ring = ring_of(&model, &values);
    let absent = particles.iter().filter(|particle| particle[0].is_nan()).count();
    let losses = ring.track_parallel(&mut particles, turns, 0);
    let losses = LossMap::of(&ring, &losses, turns, 0, absent);
    let lost = losses.lost.iter().map(|lost| {
        let mut entry = Map::new();
        entry.insert("particle".into(), (lost.particle as i64).into());
        entry.insert("turn".into(), (lost.loss.turn as i64).into());
        entry.insert("element".into(), ring.element(lost.loss.element).name.to_string().into());
        entry.insert("s".into(), crate::quantity::of(lost.position, Unit::position()));
        Ok(entry.into())
    });
    let lost = lost.collect::<Outcome<Array>>()?;
    let survivors: Vec<Point<f64>> = particles.into_iter().filter(|particle| !particle[0].is_nan()).collect();
    let mut result = to_map(&survivors)?;
    result.insert("lost".into(), lost.into());
    Ok(result)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "bunch",
        ["model: model", "count: int", "options: map", "map"],
        "/// Draws the particles of a Gaussian bunch that is matched to the optics at the start of a model; of a line, sizes that are not said are those of `[beam]`.\n///\n\
         /// # Parameters\n/// - `count`: particles [1].\n/// {options}\n///\n\
         /// # Returns\n/// `#{ x, px, y, py, delta, ct }`: vectors [m, 1, m, 1, 1, m].\n///\n\
         /// # Errors\n/// - `facility`: no closed orbit, or unstable optics.\n///\n\
         /// # Example\n/// ```rhai\n/// let b = model.bunch(200, #{ emittance_x: 2.0 * nm });\n/// assert(b.x.len == 200);\n/// ```",
        bunch_options("bunch"),
        |c: NativeCallContext, m: ModelHandle, count: i64, map: Map| bunch(&c, &m, count, &map)
    );
    document!(
        engine,
        "bunch",
        ["model: model", "count: integer", "map"],
        "/// Draws `count` particles [1] of a matched Gaussian bunch of the default sizes.",
        |c: NativeCallContext, m: ModelHandle, count: i64| bunch(&c, &m, count, &Map::new())
    );
    document!(
        engine,
        "track",
        ["model: model", "particles: map", "options: map", "map"],
        "/// Tracks particles through a model, on all cores.\n///\n\
         /// # Parameters\n/// - `particles`: `#{ x, px, y, py, delta, ct }`, vectors; those left out are 0.\n\
         /// {options}\n///\n\
         /// # Returns\n/// `#{ x, px, y, py, delta, ct, lost }`: the survivors, and for each of the others `#{ particle, turn, element, s }`.\n///\n\
         /// # Errors\n/// - `script`: coordinates of other names, units or lengths.\n///\n\
         /// # Example\n/// ```rhai\n/// let after = model.track(model.bunch(50), #{ turns: 10 });\n/// assert(after.lost.is_empty());\n/// ```",
        track_options(),
        |c: NativeCallContext, m: ModelHandle, particles: Map, map: Map| track(&c, &m, &particles, &map)
    );
    document!(
        engine,
        "track",
        ["model: model", "particles: map", "map"],
        "/// Tracks particles through a model once, without radiation, and in a ring without cavities.",
        |c: NativeCallContext, m: ModelHandle, particles: Map| { track(&c, &m, &particles, &Map::new()) }
    );
}
