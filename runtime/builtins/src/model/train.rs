//! Several bunches with wakes in a model.

use super::beam::{bunch_options, ring_of, sizes};
use super::matching::elements;
use super::studies::map;
use super::{Model, ModelHandle};
use crate::families::document;
use crate::matrix::Matrix;
use crate::quantity;
use crate::vector::Vector;
use fodo_dynamics::{
    Filling, Moments, Resonator, Shape, Station, TrainRecord, Wake, WakeField, WakeFunction, beam_matrix_at,
    track_train,
};
use fodo_language::{Options, OrFail, Outcome, Values, script_error};
use fodo_units::Unit;
use nalgebra::DMatrix;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// What a wake acts on, by the word scripts use.
const PLANES: [&str; 5] = ["longitudinal", "x", "y", "quadrupolar_x", "quadrupolar_y"];

/// The options of `track_train`.
pub fn train_options() -> Options {
    bunch_options("track_train")
        .any("buckets")
        .help("filled buckets, counted from 0")
        .otherwise("`[0]`")
        .number("charge", "C")
        .help("of each bunch")
        .integer("particles")
        .at_least(1.0)
        .default(500)
        .help("of each bunch")
        .integer("turns")
        .at_least(1.0)
        .default(1)
        .help("turns to track")
        .any("wakes")
        .help(
            "a map each: `plane` (longitudinal, x, y, quadrupolar_x, quadrupolar_y), `at` (an element; default: the start), \
             and either a resonator, `frequency` [Hz], `quality` [1], `shunt` [V/A; transverse V/A/m], or a table, \
             `delay` [s] and `wake` [V/C; V/C/m]",
        )
        .integer("slices")
        .at_least(1.0)
        .default(100)
        .help("slices of a bunch")
}

fn wake_options() -> Options {
    Options::new("a wake")
        .choice("plane", &PLANES)
        .default("longitudinal")
        .text("at")
        .help("element at whose entrance it acts; default: the start")
        .number("frequency", "Hz")
        .number("quality", "1")
        .any("shunt")
        .help("of a resonator")
        .any("delay")
        .any("wake")
        .help("of a table: vectors")
}

/// A number in `unit` from an option that may have one of several units.
fn in_unit(values: &Values, name: &str, unit: &str) -> Outcome<f64> {
    let dimension = Unit::parse(unit).or_fail()?.dimension();
    let given = values.maybe_dynamic(name).and_then(|value| quantity::from_dynamic(&value));
    let given = given.filter(|given| given.dimension() == dimension);
    given.map(|given| given.si).ok_or_else(|| script_error(format!("this wake needs `{name}` in {unit}")))
}

fn column(values: &Values, name: &str, unit: &str) -> Outcome<Vec<f64>> {
    let dimension = Unit::parse(unit).or_fail()?.dimension();
    let given = values.maybe_dynamic(name).and_then(|value| value.read_lock::<Vector>().map(|vector| vector.clone()));
    let given = given.filter(|given| given.unit().dimension() == dimension);
    given
        .map(|given| given.si().to_vec())
        .ok_or_else(|| script_error(format!("this wake needs `{name}`: a vector in {unit}")))
}

/// A table, or a resonator.
fn function(model: &Model, values: &Values, transverse: bool) -> Outcome<WakeFunction> {
    if values.is_given("wake") {
        let unit = if transverse { "V/C/m" } else { "V/C" };
        let table = WakeFunction::table(column(values, "delay", "s")?, column(values, "wake", unit)?);
        return model.or_failed(table).or_fail();
    }
    let shunt = in_unit(values, "shunt", if transverse { "V/A/m" } else { "V/A" })?;
    let resonator = Resonator { frequency: values.number("frequency")?, quality: values.number("quality")?, shunt };
    model.or_failed(if transverse { resonator.transverse() } else { resonator.longitudinal() }).or_fail()
}

fn station(model: &Model, given: &Dynamic, slices: usize) -> Outcome<Station> {
    let given = given.read_lock::<Map>().map(|map| map.clone());
    let given = given
        .ok_or_else(|| script_error("a wake is a map, as in #{ plane: \"x\", frequency: …, quality: …, shunt: … }"))?;
    let values = wake_options().read(&given)?;
    let element = match values.maybe_text("at") {
        Some(name) => elements(&model.lattice, name)?[0],
        None => 0,
    };
    let plane = PLANES.iter().position(|plane| Some(*plane) == values.maybe_text("plane")).unwrap_or(0);
    let function = function(model, &values, plane > 0)?;
    let mut wake = Wake::default();
    match plane {
        0 => wake.longitudinal.push(function),
        1 | 2 => wake.dipolar[plane - 1].push(function),
        _ => wake.quadrupolar[plane - 3].push(function),
    }
    Ok(Station { element, field: model.or_failed(WakeField::new(&wake, slices)).or_fail()? })
}

fn array(values: &Values, name: &str) -> Outcome<Option<Array>> {
    let Some(given) = values.maybe_dynamic(name) else { return Ok(None) };
    let array = given.read_lock::<Array>().map(|array| array.clone());
    array.map(Some).ok_or_else(|| script_error(format!("`{name}` must be an array")))
}

fn filling(model: &Model, values: &Values) -> Outcome<Filling> {
    let charge = values.number("charge")?;
    let given = array(values, "buckets")?.unwrap_or_else(|| vec![Dynamic::from(0_i64)]);
    let bucket = |bucket: &Dynamic| {
        let number = bucket.as_int().ok().and_then(|number| u32::try_from(number).ok());
        number.map(|number| (number, charge)).ok_or_else(|| script_error("buckets are whole numbers from 0"))
    };
    let charges = given.iter().map(bucket).collect::<Outcome<Vec<_>>>()?;
    let harmonic = model.ring.harmonic_number().unwrap_or(1);
    model.or_failed(Filling::new(harmonic, charges)).or_fail()
}

fn train(model: &Model, values: &Values) -> Outcome<Map> {
    let ring = ring_of(model, values);
    let optics = model.or_failed(ring.optics()).or_fail()?;
    let centre = model.or_failed(ring.find_closed_orbit()).or_fail()?.start();
    let matrix = model.or_failed(beam_matrix_at(&optics, 0, &sizes(values)?)).or_fail()?;
    let count = values.integer("particles")?.unsigned_abs() as usize;
    let seed = values.integer("seed")?.unsigned_abs();
    let made = filling(model, values)?.bunches(ring.length(), count, &centre, &matrix, Shape::Gaussian, seed);
    let mut bunches = model.or_failed(made).or_fail()?;
    let slices = values.integer("slices")?.unsigned_abs() as usize;
    let wakes = array(values, "wakes")?.unwrap_or_default();
    let mut stations = wakes.iter().map(|wake| station(model, wake, slices)).collect::<Outcome<Vec<_>>>()?;
    let turns = values.integer("turns")?.unsigned_abs();
    let record = model.or_failed(track_train(&ring, &mut bunches, &mut stations, turns, 0)).or_fail()?;
    told(&record)
}

/// One row for each turn, one column for each bunch; NaN never: a bunch that is wholly lost ends the table.
fn told(record: &TrainRecord) -> Outcome<Map> {
    let whole: Vec<Vec<Moments>> =
        record.moments.iter().map_while(|turn| turn.iter().copied().collect::<Option<Vec<Moments>>>()).collect();
    let columns = whole.first().map_or(0, Vec::len);
    let table = |unit: &str, of: &dyn Fn(&Moments) -> f64| -> Outcome<Dynamic> {
        let values = DMatrix::from_fn(whole.len(), columns, |turn, bunch| of(&whole[turn][bunch]));
        Ok(Dynamic::from(Matrix::from_si(values, Unit::parse(unit).or_fail()?)))
    };
    let lost = record.losses.iter().map(|losses| Dynamic::from(losses.iter().flatten().count() as i64));
    Ok(map([
        ("x", table("m", &|m| m.centre[0])?),
        ("y", table("m", &|m| m.centre[2])?),
        ("delta", table("1", &|m| m.centre[4])?),
        ("ct", table("m", &|m| m.centre[5])?),
        ("size_x", table("m", &|m| m.sizes()[0])?),
        ("size_y", table("m", &|m| m.sizes()[2])?),
        ("energy_spread", table("1", &|m| m.sizes()[4])?),
        ("length", table("m", &|m| m.sizes()[5])?),
        ("lost", lost.collect::<Array>().into()),
    ]))
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "track_train",
        ["model: model", "options: map", "map"],
        "/// Tracks several bunches through a model together, with wakes that reach the bunches behind and the turns after.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ x, y, delta, ct, size_x, size_y, energy_spread, length, lost }`: matrices with a row for each turn and a column for each bunch.\n///\n\
         /// # Errors\n/// - `script`: a wake that is not whole, a bucket that does not exist.\n/// - `facility`: unstable optics.\n///\n\
         /// # Example\n/// ```rhai\n/// let cavity = #{ frequency: 1.2 * GHz, quality: 20.0, shunt: quantity(1e5, \"V/A\") };\n\
         /// let t = model.track_train(#{ charge: 5.0 * nC, buckets: [0, 1], particles: 50, turns: 3, wakes: [cavity] });\n\
         /// assert(t.delta.rows == 3 && t.delta.columns == 2);\n/// ```",
        train_options(),
        |c: NativeCallContext, m: ModelHandle, options: Map| train(
            &*m.ring(&c, "track_train")?,
            &train_options().read(&options)?
        )
    );
}
