//! Orbits, responses and corrections as scripts see them.

mod golden;
mod steps;

pub(crate) use golden::{Golden, NAME as GOLDEN_ORBIT};
pub use steps::Steps;

use crate::context::{Context, here, sampling};
use crate::families::{Member, Members, document, getter};
use crate::matrix::Matrix;
use crate::model::{Model, Part, parts};
use crate::vector::Vector;
use fodo_control::Standing;
use fodo_control::WriteMode;
use fodo_devices::{Device, Family, Field};
use fodo_language::{Options, OrFail, Outcome, Value, Values, script_error};
use fodo_lattice::Lattice;
use fodo_measure::{Knob, Orbit, Sampling};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use nalgebra::DMatrix;
use rhai::{Array, Dynamic, Engine, FuncRegistration, INT, Map, NativeCallContext};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Knobs of an orbit response: devices of one or several families.
#[derive(Clone)]
pub struct Knobs(pub Arc<[Knob]>);

/// An orbit response matrix with what its columns and rows are.
#[derive(Clone)]
pub struct Response {
    /// Columns.
    pub knobs: Knobs,
    /// Rows: x of each, then y of each.
    pub monitors: Members,
    /// Matrix and errors, SI.
    pub measured: Arc<fodo_measure::Response>,
}

impl Knobs {
    /// Whether these are the same fields of the same devices, in the same order.
    fn same(&self, other: &Knobs) -> bool {
        let same = |(a, b): (&Knob, &Knob)| Arc::ptr_eq(&a.device, &b.device) && a.field.name == b.field.name;
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).all(same)
    }

    fn texts(&self, of: impl Fn(&Device) -> String) -> Array {
        self.0.iter().map(|knob| Dynamic::from(of(&knob.device))).collect()
    }
}

impl Response {
    fn matrix(&self) -> Matrix {
        Matrix::from_si(self.measured.matrix.clone(), column_unit(&self.knobs))
    }

    fn error(&self) -> Matrix {
        Matrix::from_si(self.measured.error.clone(), column_unit(&self.knobs))
    }
}

fn metre() -> Outcome<Unit> {
    Unit::parse("m").or_fail()
}

fn plane(values: Vec<f64>) -> Outcome<Dynamic> {
    Ok(Dynamic::from(Vector::from_si(values, metre()?)))
}

fn orbit_map(orbit: Orbit) -> Outcome<Map> {
    let Orbit { x, y, deviation_x, deviation_y } = orbit;
    let parts = [("x", x), ("y", y), ("deviation_x", deviation_x), ("deviation_y", deviation_y)];
    parts.into_iter().map(|(name, values)| Ok((name.into(), plane(values)?))).collect()
}

fn read_orbit(context: &Context, monitors: &Members, options: &Values) -> Outcome<Orbit> {
    context.connect(monitors.devices.iter())?;
    let sampling = how(options, &monitors.family, Duration::ZERO);
    let orbit = fodo_measure::orbit(&context.session, &monitors.devices, sampling);
    let orbit = orbit.map_err(|error| so_far(context, error)).or_fail()?;
    if let Some(guard) = context.guard()
        && monitors.family.name == context.facility.orbit.monitors
        && monitors.devices.len() == monitors.family.devices.len()
        && monitors.devices.iter().zip(&monitors.family.devices).all(|(a, b)| Arc::ptr_eq(a, b))
    {
        guard.read(&orbit.x, &orbit.y);
    }
    Ok(orbit)
}

/// What to do in a line that the beam passes up to some monitor.
fn so_far(context: &Context, error: Box<Diagnostic>) -> Box<Diagnostic> {
    let facility = &context.facility;
    if facility.kind.is_ring() || error.kind != Kind::Machine || !error.hints.is_empty() {
        return error;
    }
    let monitors = &facility.orbit.monitors;
    Box::new(error.hint(format!(
        "if the beam is lost on the way: correct with the monitors that it reaches, such as `{monitors}[..3]`, then go on"
    )))
}

/// The orbit minus the golden orbit.
fn read_error(context: &Context, monitors: &Members, options: &Values) -> Outcome<Orbit> {
    let mut orbit = read_orbit(context, monitors, options)?;
    for (place, (x, y)) in golden::of(context, monitors)?.into_iter().enumerate() {
        orbit.x[place] -= x;
        orbit.y[place] -= y;
    }
    Ok(orbit)
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    vec![orbit_options("get_orbit"), orbit_options("orbit_error"), measure_options(), steps::solve_options()]
}

fn orbit_options(owner: &str) -> Options {
    Options::new(owner).integer("shots").at_least(1.0).help("shots averaged").otherwise("as the family says")
}

fn how(options: &Values, monitors: &Family, settle: Duration) -> Sampling {
    let mut sampling = sampling(monitors, settle);
    if let Some(shots) = options.maybe_integer("shots") {
        sampling.shots = shots.max(1) as usize;
    }
    sampling
}

fn default_monitors(context: &Context) -> Outcome<Members> {
    let name = context.facility.orbit.monitors.clone();
    context.facility.family(&name).map(Members::all).or_fail()
}

/// Knobs from a family, part of one, a device, or an array of these: one for each supply, that of its first device.
pub fn knobs(value: &Dynamic) -> Outcome<Vec<Knob>> {
    let mut seen = HashMap::new();
    let mut knobs = named(value)?;
    knobs.retain(|knob| {
        let Some(setpoint) = &knob.field.setpoint else { return true };
        let first = seen.entry(setpoint.channel.clone()).or_insert_with(|| knob.device.clone());
        // the same device twice is told where it is set
        !knob.field.is_shared() || Arc::ptr_eq(first, &knob.device)
    });
    Ok(knobs)
}

/// A knob for each device that is named.
fn named(value: &Dynamic) -> Outcome<Vec<Knob>> {
    if let Some(knobs) = value.read_lock::<Knobs>() {
        return Ok(knobs.0.to_vec());
    }
    if let Some(members) = value.read_lock::<Members>() {
        return members.devices.iter().map(knob).collect();
    }
    if let Some(member) = value.read_lock::<Member>() {
        return Ok(vec![knob(&member.device)?]);
    }
    if let Some(array) = value.read_lock::<Array>() {
        let parts = array.iter().map(named).collect::<Outcome<Vec<_>>>()?;
        return Ok(parts.into_iter().flatten().collect());
    }
    Err(script_error("knobs are families, parts of them or devices, or an array of these"))
}

fn knob(device: &Arc<Device>) -> Outcome<Knob> {
    let field = device.fields.first().ok_or_else(|| script_error(format!("{} has no field", device.shown())))?;
    let delta = field.delta.ok_or_else(|| {
        script_error(format!(
            "{}.{} has no `delta` in the families table: how far to step it is not known",
            device.shown(),
            field.name
        ))
    })?;
    Ok(Knob { device: device.clone(), field: field.clone(), delta })
}

fn measure(context: &Context, which: &Dynamic, monitors: Members, options: &Values) -> Outcome<Response> {
    let mut knobs = knobs(which)?;
    if let Some(Value::Number(delta)) = options.get("delta") {
        for knob in &mut knobs {
            delta.check(&knob.field.physics).map_err(|error| script_error(format!("`delta`: {error}")))?;
            knob.delta = delta.si;
        }
    }
    context.connect(knobs.iter().map(|knob| &knob.device).chain(monitors.devices.iter()))?;
    let settle = knobs.iter().filter_map(|k| context.facility.family(&k.device.family).ok()).map(|f| f.settle).max();
    let sampling = how(options, &monitors.family, settle.unwrap_or_default());
    let mut progress = |done: usize, of: usize| context.step("response", done, of);
    let session = &context.session;
    let mut measured = fodo_measure::response(session, &knobs, &monitors.devices, sampling, &mut progress).or_fail()?;
    if session.mode() == WriteMode::Rehearse {
        context.output.print("rehearsal: nothing was stepped, the model's response stands for the measured one");
        measured.matrix = model_matrix(context.model(), context, &knobs, &monitors)?;
    }
    Ok(Response { knobs: Knobs(knobs.into()), monitors, measured: Arc::new(measured) })
}

fn model_matrix(model: &Model, context: &Context, knobs: &[Knob], monitors: &Members) -> Outcome<DMatrix<f64>> {
    let columns = columns(knobs, &context.facility.lattice)?;
    model.orbit_response(&columns, &rows_of(monitors)?).or_fail()
}

/// What each knob changes in the lattice.
fn columns(knobs: &[Knob], lattice: &Lattice) -> Outcome<Vec<Vec<Part>>> {
    let column = |knob: &Knob| {
        let missing = || script_error(format!("{} is not in the model", knob.device.shown()));
        parts(&knob.device, &knob.field, lattice).ok_or_else(missing)
    };
    knobs.iter().map(column).collect()
}

/// The same for knobs as a script gives them.
pub fn columns_of(which: &Dynamic, lattice: &Lattice) -> Outcome<Vec<Vec<Part>>> {
    columns(&knobs(which)?, lattice)
}

/// Device and field of knobs as a script gives them.
pub fn knobs_of(which: &Dynamic) -> Outcome<Vec<(Arc<Device>, Field)>> {
    Ok(knobs(which)?.into_iter().map(|knob| (knob.device, knob.field)).collect())
}

/// The element of each monitor.
pub fn rows_of(monitors: &Members) -> Outcome<Vec<usize>> {
    let missing = |device: &Device| script_error(format!("{} is not in the model", device.shown()));
    monitors.devices.iter().map(|d| d.elements.first().copied().ok_or_else(|| missing(d))).collect()
}

/// The response of a model, in the form a measurement has.
pub fn model_response(model: &Model, context: &Context, which: &Dynamic, monitors: Members) -> Outcome<Response> {
    let knobs = knobs(which)?;
    let matrix = model_matrix(model, context, &knobs, &monitors)?;
    let error = DMatrix::zeros(matrix.nrows(), matrix.ncols());
    let measured = Arc::new(fodo_measure::Response { matrix, error });
    Ok(Response { knobs: Knobs(knobs.into()), monitors, measured })
}

fn as_response(which: &Dynamic, monitors: Members, matrix: &Matrix, error: &Matrix) -> Outcome<Response> {
    let knobs = Knobs(knobs(which)?.into());
    let (rows, columns) = (2 * monitors.devices.len(), knobs.0.len());
    let unit = column_unit(&knobs);
    for (name, given) in [("matrix", matrix), ("error", error)] {
        if given.si().shape() != (rows, columns) {
            let (found_rows, found_columns) = given.si().shape();
            let message = format!(
                "`{name}` is {found_rows} x {found_columns}; {} monitors have {rows} rows and {columns} knobs as many columns",
                monitors.devices.len()
            );
            return Err(script_error(message));
        }
        if given.unit().dimension() != unit.dimension() {
            return Err(script_error(format!("`{name}` is in {}, and these knobs need {unit}", given.unit())));
        }
    }
    let measured = fodo_measure::Response { matrix: matrix.si().clone(), error: error.si().clone() };
    Ok(Response { knobs, monitors, measured: Arc::new(measured) })
}

/// Setpoints that stand changed: family, device, change in the physics unit.
pub fn changes(context: &Context, standing: &[Standing]) -> Map {
    let mut families = Map::new();
    for (setpoint, before, now) in standing {
        let Ok(family) = context.facility.family(&setpoint.family) else { continue };
        // all devices on the supply
        let moved = family.devices.iter().filter_map(|d| {
            let field = d.fields.iter().find(|f| f.setpoint.as_ref().is_some_and(|s| s.channel == setpoint.channel))?;
            Some((d.name.clone(), field.clone()))
        });
        let cycle = context.facility.cycle.as_ref();
        let knots = family.devices.iter().filter_map(|device| {
            let knot = device.fields.iter().find_map(|field| cycle?.knot_by(field, &setpoint.channel))?;
            // `QF1.k1 at 60 ms`: the moment tells it from others of the device
            let (_, when) = setpoint.name.rsplit_once(" at ")?;
            Some((format!("{} at {when}", device.name).into(), knot))
        });
        for (device, field) in moved.chain(knots) {
            let change = Quantity::from_si(field.to_physics(*now) - field.to_physics(*before), field.physics.clone());
            let entry = families.entry(family.name.as_ref().into()).or_insert_with(|| Map::new().into());
            if let Some(mut map) = entry.write_lock::<Map>() {
                let device: &Arc<str> = &device;
                map.insert(device.as_ref().into(), Dynamic::from(change));
            }
        }
    }
    families
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Knobs>("knobs")
        .register_type_with_name::<Response>("response")
        .register_fn("to_string", |k: &mut Knobs| k.to_string())
        .register_fn("to_string", |r: &mut Response| r.to_string());
    getters(engine);
    functions(engine);
    golden::register(engine);
    steps::register(engine);
}

fn getters(engine: &mut Engine) {
    getter!(engine, "len", ["knobs: knobs", "integer"], "/// How many knobs [1].", |k: &mut Knobs| k.0.len() as INT);
    getter!(
        engine,
        "names",
        ["knobs: knobs", "array"],
        "/// Their devices, as errors name them: `HCOR[\"HCOR_003\"]`.",
        |k: &mut Knobs| k.texts(Device::shown)
    );
    getter!(engine, "families", ["knobs: knobs", "array"], "/// Name of the family of each.", |k: &mut Knobs| k
        .texts(|device| device.family.to_string()));
    getter!(
        engine,
        "matrix",
        ["response: response", "matrix"],
        "/// Orbit per knob [m per knob unit]: rows x of each monitor, then y; a column for each knob.",
        |r: &mut Response| r.matrix()
    );
    getter!(
        engine,
        "error",
        ["response: response", "matrix"],
        "/// Standard errors of the entries of `matrix`, in its unit; 0 for a response of the model.",
        |r: &mut Response| r.error()
    );
    crate::read_only(engine, "a response", "matrix", Response::matrix);
    crate::read_only(engine, "a response", "error", Response::error);
    getter!(engine, "knobs", ["response: response", "knobs"], "/// Its columns.", |r: &mut Response| r.knobs.clone());
    getter!(engine, "monitors", ["response: response", "family"], "/// Its rows.", |r: &mut Response| r
        .monitors
        .clone());
}

impl std::fmt::Display for Knobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} knobs", self.0.len())
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rows, columns) = self.measured.matrix.shape();
        write!(f, "orbit response: {rows} readings (x, then y, of {} monitors) to {columns} knobs", rows / 2)
    }
}

/// Metre per unit of the knobs; a plain number where knobs of several units stand side by side.
fn column_unit(knobs: &Knobs) -> Unit {
    let dimension = first_unit(knobs).dimension();
    let metre = Unit::parse("m").map(|m| m.dimension()).unwrap_or_default();
    match knobs.0.iter().all(|k| k.field.physics.dimension() == dimension) {
        true => Unit::si(metre.times(dimension.power(-1))),
        false => Unit::none(),
    }
}

fn first_unit(knobs: &Knobs) -> Unit {
    knobs.0.first().map_or_else(Unit::none, |k| k.field.physics.clone())
}

fn functions(engine: &mut Engine) {
    document!(
        engine,
        "get_orbit",
        ["map"],
        "/// Reads the orbit at all monitors, in a line the trajectory of the shots: settled, fresh, averaged.\n///\n\
         /// # Returns\n/// `#{ x, y, deviation_x, deviation_y }`: vectors [m], one entry for each monitor; the golden orbit is not taken off.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: monitors that are absent, invalid or read no number, all in one error.\n///\n\
         /// # Example\n/// ```rhai\n/// let orbit = get_orbit();\n/// assert(orbit.x.len == BPM.len);\n/// ```",
        |c: NativeCallContext| {
            let context = here(&c)?;
            orbit_map(read_orbit(&context, &default_monitors(&context)?, &Values::default())?)
        }
    );
    document!(
        engine,
        "get_orbit",
        ["monitors: family", "map"],
        "/// Reads the orbit at some monitors.\n///\n\
         /// # Parameters\n/// - `monitors`: a family of monitors or a part of it.\n///\n\
         /// # Returns\n/// As `get_orbit()`.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// As `get_orbit()`.\n///\n\
         /// # Example\n/// ```rhai\n/// let orbit = get_orbit(BPM[0..4]);\n/// ```",
        |c: NativeCallContext, monitors: Members| orbit_map(read_orbit(&*here(&c)?, &monitors, &Values::default())?)
    );
    document!(
        engine,
        "get_orbit",
        ["monitors: family", "options: map", "map"],
        "/// Reads the orbit at some monitors, averaged over a number of shots.\n///\n\
         /// # Parameters\n/// - `monitors`: a family of monitors or a part of it.\n\
         /// {options}\n///\n\
         /// # Returns\n/// As `get_orbit()`.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// As `get_orbit()`.\n///\n\
         /// # Example\n/// ```rhai\n/// let orbit = get_orbit(BPM, #{ shots: 10 });\n/// ```",
        orbit_options("get_orbit"),
        |c: NativeCallContext, monitors: Members, map: Map| {
            orbit_map(read_orbit(&*here(&c)?, &monitors, &orbit_options("get_orbit").read(&map)?)?)
        }
    );
    document!(
        engine,
        "orbit_error",
        ["map"],
        "/// Reads the orbit at all monitors and takes the golden orbit off.\n///\n\
         /// # Returns\n/// As `get_orbit()`.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// As `get_orbit()`.\n///\n\
         /// # Example\n/// ```rhai\n/// print(orbit_error().x.rms());\n/// ```",
        |c: NativeCallContext| {
            let context = here(&c)?;
            orbit_map(read_error(&context, &default_monitors(&context)?, &Values::default())?)
        }
    );
    document!(
        engine,
        "orbit_error",
        ["monitors: family", "map"],
        "/// Reads the orbit at some monitors and takes the golden orbit off.\n///\n\
         /// # Parameters\n/// - `monitors`: a family of monitors or a part of it.\n///\n\
         /// # Returns\n/// As `get_orbit()`.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// As `get_orbit()`.\n///\n\
         /// # Example\n/// ```rhai\n/// print(orbit_error(BPM).y.rms());\n/// ```",
        |c: NativeCallContext, monitors: Members| orbit_map(read_error(&*here(&c)?, &monitors, &Values::default())?)
    );
    document!(
        engine,
        "orbit_error",
        ["monitors: family", "options: map", "map"],
        "/// Reads the orbit at some monitors, averaged over a number of shots, and takes the golden orbit off.\n///\n\
         /// # Parameters\n/// - `monitors`: a family of monitors or a part of it.\n\
         /// {options}\n///\n\
         /// # Returns\n/// As `get_orbit()`.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// As `get_orbit()`.\n///\n\
         /// # Example\n/// ```rhai\n/// print(orbit_error(BPM, #{ shots: 10 }).x.rms());\n/// ```",
        orbit_options("orbit_error"),
        |c: NativeCallContext, monitors: Members, map: Map| {
            orbit_map(read_error(&*here(&c)?, &monitors, &orbit_options("orbit_error").read(&map)?)?)
        }
    );
    document!(
        engine,
        "knobs",
        ["which: family, device, knobs or array", "knobs"],
        "/// Puts families, parts of them and devices together as the knobs of a response.\n///\n\
         /// # Returns\n/// The knobs, in the order given.\n///\n\
         /// # Errors\n/// - `script`: a device whose table has no `delta`.\n///\n\
         /// # Example\n/// ```rhai\n/// let all = knobs([HCOR, VCOR]);\n/// assert(all.len == HCOR.len + VCOR.len);\n/// ```",
        |which: Dynamic| -> Outcome<Knobs> { knobs(&which).map(|k| Knobs(k.into())) }
    );
    document!(
        engine,
        "measure_response",
        ["knobs: family, device, knobs or array", "monitors: family", "response"],
        "/// Measures the orbit response: each knob half its step up, a whole step down, and back.\n///\n\
         /// The step is the field's `delta` in the families table. All limits are checked before the first write.\n///\n\
         /// # Parameters\n/// - `knobs`: families or devices to step.\n/// - `monitors`: where the orbit is read.\n///\n\
         /// # Returns\n/// A response: `matrix` [m per knob unit] with rows x of each monitor, then y; `error`, `knobs`, `monitors`.\n///\n\
         /// # On the machine\n/// Steps each knob in turn and puts it back, bit for bit.\n///\n\
         /// # Errors\n/// - `limits`: knobs that would leave their limits; nothing is written.\n/// - `machine`: what did not answer or arrive.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = measure_response(HCOR[0..2], BPM);\n/// ```",
        |c: NativeCallContext, which: Dynamic, monitors: Members| {
            measure(&*here(&c)?, &which, monitors, &measure_options().read(&Map::new())?)
        }
    );
    document!(
        engine,
        "measure_response",
        ["knobs: family, device, knobs or array", "monitors: family", "options: map", "response"],
        "/// Measures the orbit response with a step or an average of one's own.\n///\n\
         /// # Parameters\n/// - `knobs`: families or devices to step.\n/// - `monitors`: where the orbit is read.\n\
         /// {options}\n///\n\
         /// # Returns\n/// As `measure_response(knobs, monitors)`.\n///\n\
         /// # On the machine\n/// Steps each knob in turn and puts it back, bit for bit.\n///\n\
         /// # Errors\n/// - As `measure_response(knobs, monitors)`.\n/// - `script`: `delta` without a unit, or in the wrong one.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = measure_response(HCOR[0..2], BPM, #{ delta: 20.0 * urad, shots: 4 });\n/// ```",
        measure_options(),
        |c: NativeCallContext, which: Dynamic, monitors: Members, map: Map| {
            measure(&*here(&c)?, &which, monitors, &measure_options().read(&map)?)
        }
    );
    document!(
        engine,
        "as_response",
        ["knobs: family, device, knobs or array", "monitors: family", "matrix: matrix", "error: matrix", "response"],
        "/// A response from numbers: of a recorded measurement, or put together from several.\n///\n\
         /// # Parameters\n/// - `knobs`: what its columns belong to.\n/// - `monitors`: rows x of each, then y.\n\
         /// - `matrix`, `error`: orbit per knob and its standard error [m per knob unit].\n///\n\
         /// # Returns\n/// A response as `measure_response` gives it.\n///\n\
         /// # Errors\n/// - `script`: another size, or another unit than metre per unit of the knobs.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response(HCOR[0..2], BPM);\n\
         /// assert(as_response(r.knobs, r.monitors, 1.1 * r.matrix, r.error).knobs.len == 2);\n/// ```",
        |which: Dynamic, monitors: Members, matrix: Matrix, error: Matrix| as_response(
            &which, monitors, &matrix, &error
        )
    );
    document!(
        engine,
        "changed_setpoints",
        ["map"],
        "/// Says what the run has changed so far: by family and device name, in the physics unit.\n///\n\
         /// # Returns\n/// `#{ HCOR: #{ \"name\": change, … }, … }`.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// let changes = changed_setpoints();\n/// ```",
        |c: NativeCallContext| here(&c).map(|context| changes(&context, &context.session.standing()))
    );
}

fn measure_options() -> Options {
    Options::new("measure_response")
        .integer("shots")
        .at_least(1.0)
        .help("shots averaged for each orbit")
        .otherwise("as the family says")
        .quantity("delta")
        .help("step from the lower to the upper value, in the knobs' physics unit")
        .otherwise("as the table says")
}
