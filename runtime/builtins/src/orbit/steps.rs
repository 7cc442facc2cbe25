//! Steps of knobs: found from an orbit and a response, foretold, made.

use super::{Knobs, Response, first_unit, metre, plane};
use crate::context::{Context, here};
use crate::families::{document, getter};
use crate::matrix::Matrix;
use crate::vector::Vector;
use fodo_control::{Change, Setpoint};
use fodo_devices::{Device, Field};
use fodo_language::{Options, OrFail, Outcome, Values, fail, script_error};
use fodo_measure::{Knob, Method, Problem};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use nalgebra::{DMatrix, DVector};
use rhai::{Array, Dynamic, Engine, FuncRegistration, INT, Map, NativeCallContext};
use std::sync::Arc;

/// A step for each knob, not yet made.
#[derive(Clone)]
pub struct Steps {
    knobs: Knobs,
    /// Physics unit in SI.
    values: Arc<[f64]>,
    used: usize,
    of: usize,
    /// Places of the knobs that the steps bring to a limit.
    bound: Arc<[usize]>,
}

impl Steps {
    /// Steps of these knobs, physics unit in SI.
    pub fn new(knobs: Knobs, values: Vec<f64>) -> Steps {
        let count = values.len();
        Steps { knobs, values: values.into(), used: count, of: count, bound: Arc::new([]) }
    }

    fn values(&self) -> Vector {
        Vector::from_si(self.values.to_vec(), first_unit(&self.knobs))
    }

    fn times(&self, factor: f64) -> Steps {
        Steps { values: self.values.iter().map(|value| factor * value).collect(), ..self.clone() }
    }

    /// Device, field and step of each knob, physics unit in SI.
    pub fn each(&self) -> impl Iterator<Item = (Arc<Device>, Field, f64)> + '_ {
        let of = |(knob, step): (&Knob, &f64)| (knob.device.clone(), knob.field.clone(), *step);
        self.knobs.0.iter().zip(self.values.iter()).map(of)
    }

    fn plus(&self, other: &Steps) -> Outcome<Steps> {
        if !self.knobs.same(&other.knobs) {
            return Err(script_error("steps of other knobs cannot be added"));
        }
        let values = self.values.iter().zip(other.values.iter()).map(|(a, b)| a + b).collect();
        Ok(Steps { values, ..self.clone() })
    }

    fn at_limit(&self) -> Array {
        self.bound.iter().map(|&place| Dynamic::from(self.knobs.0[place].device.shown())).collect()
    }
}

impl std::fmt::Display for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "steps of {} knobs ({} of {} used", self.values.len(), self.used, self.of)?;
        match self.bound.len() {
            0 => f.write_str(")"),
            count => write!(f, ", {count} at a limit)"),
        }
    }
}

/// Columns of another unit than the first are scaled to the same size.
fn column_scale(response: &Response) -> Vec<f64> {
    let matrix = &response.measured.matrix;
    let knobs = &response.knobs.0;
    let first = knobs.first().map(|k| k.field.physics.dimension());
    let size = |alike: bool| -> f64 {
        let columns = (0..knobs.len()).filter(|&k| (Some(knobs[k].field.physics.dimension()) == first) == alike);
        let finite = |k: usize| matrix.column(k).iter().filter(|v| v.is_finite()).map(|v| v * v).sum::<f64>().sqrt();
        let norms: Vec<f64> = columns.map(finite).collect();
        norms.iter().sum::<f64>() / norms.len().max(1) as f64
    };
    let (usual, other) = (size(true), size(false));
    let factor = if other > 0.0 { usual / other } else { 1.0 };
    knobs.iter().map(|k| if Some(k.field.physics.dimension()) == first { 1.0 } else { factor }).collect()
}

/// The planes of a map, one after the other, as the rows of a response are.
fn rows(response: &Response, map: &Map, what: &str, check: impl Fn(&Vector) -> Outcome<()>) -> Outcome<Vec<f64>> {
    let count = response.monitors.devices.len();
    let mut rows = Vec::with_capacity(2 * count);
    for name in ["x", "y"] {
        let vector = map.get(name).and_then(|v| v.read_lock::<Vector>().map(|v| v.clone()));
        let vector =
            vector.ok_or_else(|| script_error(format!("{what} is a map with vectors x and y; `{name}` is missing")))?;
        check(&vector)?;
        if vector.si().len() != count {
            let found = vector.si().len();
            return Err(script_error(format!(
                "the response has {count} monitors, `{name}` of {what} has {found} entries"
            )));
        }
        rows.extend_from_slice(vector.si());
    }
    Ok(rows)
}

fn is_length(vector: &Vector) -> Outcome<()> {
    Quantity::from_si(0.0, vector.unit().clone()).check(&metre()?).or_fail()
}

fn weights(response: &Response, options: &Values) -> Outcome<Vec<f64>> {
    let Some(given) = options.maybe_dynamic("weights") else {
        return Ok(vec![1.0; 2 * response.monitors.devices.len()]);
    };
    let map = given.read_lock::<Map>().map(|map| map.clone());
    let map = map.ok_or_else(|| script_error("`weights` is a map with vectors x and y"))?;
    let weights = rows(response, &map, "`weights`", |vector| match vector.unit().dimension().is_none() {
        true => Ok(()),
        false => Err(script_error("`weights` are plain numbers")),
    })?;
    match weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0) {
        true => Ok(weights),
        false => Err(script_error("`weights` are numbers from 0 on")),
    }
}

/// Equations beside those of the monitors.
fn more_rows(problem: &mut Problem, options: &Values) -> Outcome<()> {
    let (Some(matrix), Some(targets)) = (options.maybe_dynamic("rows"), options.maybe_dynamic("row_targets")) else {
        let alone = ["rows", "row_targets"].iter().any(|name| options.is_given(name));
        return if alone { Err(script_error("`rows` and `row_targets` go together")) } else { Ok(()) };
    };
    let matrix = matrix.read_lock::<Matrix>().map(|matrix| matrix.si().clone());
    let targets = targets.read_lock::<Vector>().map(|vector| vector.si().to_vec());
    let (Some(matrix), Some(targets)) = (matrix, targets) else {
        return Err(script_error("`rows` is a matrix and `row_targets` a vector"));
    };
    let knobs = problem.scale.len();
    if matrix.ncols() != knobs || matrix.nrows() != targets.len() {
        let (rows, columns, count) = (matrix.nrows(), matrix.ncols(), targets.len());
        let needs = format!("`rows` needs a column for each of {knobs} knobs and a row for each target");
        return Err(script_error(format!("{needs}, found {rows} rows, {columns} columns, {count} targets")));
    }
    let above = problem.matrix.nrows();
    let mut all = DMatrix::zeros(above + matrix.nrows(), knobs);
    all.rows_mut(0, above).copy_from(&problem.matrix);
    all.rows_mut(above, matrix.nrows()).copy_from(&matrix);
    problem.matrix = all;
    problem.weights.extend(vec![1.0; targets.len()]);
    problem.target.extend(targets);
    Ok(())
}

/// Places of the knobs that shall stay where they are.
fn held(knobs: &[Knob], options: &Values) -> Outcome<Vec<usize>> {
    let Some(given) = options.maybe_dynamic("hold") else { return Ok(Vec::new()) };
    let names = given.read_lock::<Array>().map(|names| names.clone());
    let names = names.ok_or_else(|| script_error("`hold` is an array of names of knobs"))?;
    let place = |name: &Dynamic| {
        let name = name.clone().into_string().unwrap_or_default();
        let known = || knobs.iter().map(|knob| knob.device.shown()).collect::<Vec<_>>();
        let missing = || {
            let report = Diagnostic::new(Kind::Script, format!("`hold`: there is no knob `{name}`"));
            fail(report.near(&name, known().iter().map(String::as_str)).into())
        };
        knobs.iter().position(|knob| knob.device.shown() == name).ok_or_else(missing)
    };
    names.iter().map(place).collect()
}

/// How far each knob may go from where it stands.
fn bounds(context: &Context, knobs: &[Knob], margin: f64) -> Outcome<Vec<(f64, f64)>> {
    let present = present(context, knobs)?;
    let room = |(knob, (setpoint, now)): (&Knob, &(Arc<Setpoint>, f64))| {
        let (low, high) = setpoint.limits;
        let inner = (1.0 - margin) * 0.5 * (high - low);
        let (low, high) = match inner.is_finite() {
            true => (0.5 * (low + high) - inner, 0.5 * (low + high) + inner),
            false => (low, high),
        };
        let stands = knob.field.to_physics(*now);
        let step = |end: f64| if end.is_finite() { knob.field.to_physics(end) - stands } else { end };
        let (one, other) = (step(low), step(high));
        // one that stands beyond is not driven further
        (one.min(other).min(0.0), one.max(other).max(0.0))
    };
    Ok(knobs.iter().zip(&present).map(room).collect())
}

/// Where knobs stand, on their channels.
fn present(context: &Context, knobs: &[Knob]) -> Outcome<Vec<(Arc<Setpoint>, f64)>> {
    context.connect(knobs.iter().map(|knob| &knob.device))?;
    let cannot = |knob: &Knob| script_error(format!("{}.{} cannot be set", knob.device.shown(), knob.field.name));
    let points =
        knobs.iter().map(|k| k.field.setpoint.clone().ok_or_else(|| cannot(k))).collect::<Outcome<Vec<_>>>()?;
    let present = context.session.setpoints(&points).or_fail()?;
    Ok(points.into_iter().zip(present).collect())
}

fn method(options: &Values) -> Outcome<Method> {
    let count = options.maybe_integer("count").map(|count| count.max(1) as usize);
    Ok(match options.text("method")? {
        "tikhonov" => Method::Tikhonov(options.number("damping")?),
        "micado" => Method::Micado(count.unwrap_or(1)),
        _ => Method::Svd { cutoff: options.number("cutoff")?, count },
    })
}

fn solve(context: &Context, response: &Response, orbit: &Map, options: &Values) -> Outcome<Steps> {
    // the correction is what takes the orbit away
    let target: Vec<f64> = rows(response, orbit, "an orbit", is_length)?.iter().map(|value| -value).collect();
    let knobs = &response.knobs.0;
    let mut problem = Problem {
        matrix: response.measured.matrix.clone(),
        target,
        weights: weights(response, options)?,
        scale: column_scale(response),
        bounds: vec![(f64::NEG_INFINITY, f64::INFINITY); knobs.len()],
    };
    more_rows(&mut problem, options)?;
    for knob in held(knobs, options)? {
        problem.matrix.column_mut(knob).fill(0.0);
        problem.bounds[knob] = (0.0, 0.0);
    }
    if options.flag("limits") {
        let room = bounds(context, knobs, options.number("margin")?)?;
        problem
            .bounds
            .iter_mut()
            .zip(room)
            .filter(|(bounds, _)| bounds.1 > 0.0)
            .for_each(|(bounds, room)| *bounds = room);
    }
    let solution = fodo_measure::solve(&problem, method(options)?).or_fail()?;
    let gain = options.number("gain")?;
    Ok(Steps {
        knobs: response.knobs.clone(),
        values: solution.x.iter().map(|value| gain * value).collect(),
        used: solution.used,
        of: solution.of,
        bound: solution.bound.into(),
    })
}

pub(super) fn solve_options() -> Options {
    Options::new("solve")
        .choice("method", &["svd", "tikhonov", "micado"])
        .default("svd")
        .help("singular values, some dropped; all of them, damped; or the few knobs that do most")
        .number("cutoff", "1")
        .default(1e-3)
        .range(0.0, 1.0)
        .help("singular values below this part of the largest are dropped")
        .integer("count")
        .at_least(1.0)
        .help("at most this many singular values are used; with `micado` so many knobs")
        .otherwise("all; with `micado` 1")
        .number("damping", "1")
        .default(0.03)
        .range(0.0, 1.0)
        .help("with `tikhonov`: a singular value of this part of the largest counts half")
        .number("gain", "1")
        .default(1.0)
        .help("part of the correction that is made")
        .any("weights")
        .help("`#{ x, y }`, a number for each monitor; 0 leaves it out")
        .otherwise("1 for all")
        .flag("limits")
        .help("`true` finds the best steps that keep the knobs within their limits")
        .any("hold")
        .help("an array of names of knobs, as `knobs.names` gives them, that stay where they are")
        .otherwise("none")
        .number("margin", "1")
        .default(0.0)
        .range(0.0, 0.9)
        .help("part of the range between their limits that is kept free")
        .any("rows")
        .help("a matrix of more equations, a column for each knob; they count as monitors do, by their size")
        .otherwise("none")
        .any("row_targets")
        .help("a vector: what the sum of entry times step shall be in each of them")
        .otherwise("none")
}

fn make(context: &Context, steps: &Steps) -> Outcome<()> {
    let knobs = &steps.knobs.0;
    let present = present(context, knobs)?;
    let change = |((knob, (setpoint, now)), step): ((&Knob, (Arc<Setpoint>, f64)), &f64)| {
        let value = knob.field.to_channel(knob.field.to_physics(now) + step);
        // a step that ends at a limit does not miss it by rounding
        let (low, high) = setpoint.limits;
        let near = |limit: f64| (value - limit).abs() <= 1e-12 * (high - low);
        let value = if near(low) {
            low
        } else if near(high) {
            high
        } else {
            value
        };
        Change { setpoint, value }
    };
    let moved = knobs.iter().zip(present).zip(steps.values.iter()).filter(|(_, step)| **step != 0.0);
    let changes: Vec<Change> = moved.map(change).collect();
    context.session.write(&changes).or_fail()
}

/// What steps do to the orbit by a response.
fn foretell(response: &Response, steps: &Steps) -> Outcome<Map> {
    if !response.knobs.same(&steps.knobs) {
        return Err(script_error("these are steps of other knobs than those of the response"));
    }
    let change = &response.measured.matrix * DVector::from_column_slice(&steps.values);
    let (x, y) = change.as_slice().split_at(response.monitors.devices.len());
    Ok([("x".into(), plane(x.to_vec())?), ("y".into(), plane(y.to_vec())?)].into_iter().collect())
}

/// What steps make of rows with a column for each knob.
fn through(steps: &Steps, rows: &Matrix) -> Outcome<Vector> {
    let rows = rows.si();
    match rows.ncols() == steps.values.len() {
        true => {
            let sums = rows * DVector::from_column_slice(&steps.values);
            Ok(Vector::from_si(sums.as_slice().to_vec(), Unit::none()))
        }
        false => Err(script_error(format!("{} columns do not go with {} knobs", rows.ncols(), steps.values.len()))),
    }
}

/// Registers steps and what is done with them.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Steps>("steps")
        .register_fn("to_string", |s: &mut Steps| s.to_string())
        .register_fn("+", |a: Steps, b: Steps| a.plus(&b))
        .register_fn("-", |s: Steps| s.times(-1.0))
        .register_fn("*", |factor: f64, s: Steps| s.times(factor))
        .register_fn("*", |s: Steps, factor: f64| s.times(factor));
    getter!(
        engine,
        "used",
        ["steps: steps", "integer"],
        "/// How many singular values went into the steps, or how many knobs were chosen [1].",
        |s: &mut Steps| s.used as INT
    );
    getter!(
        engine,
        "values",
        ["steps: steps", "vector"],
        "/// The steps, in the physics unit of the first knob.",
        |s: &mut Steps| s.values()
    );
    getter!(
        engine,
        "at_limit",
        ["steps: steps", "array"],
        "/// Names of the knobs that the whole steps bring to a limit, where `limits` was asked for.",
        |s: &mut Steps| s.at_limit()
    );
    crate::read_only(engine, "steps", "values", Steps::values);
    functions(engine);
}

fn functions(engine: &mut Engine) {
    document!(
        engine,
        "solve",
        ["response: response", "orbit: map", "options: map", "steps"],
        "/// Finds the steps of the knobs that take an orbit away, in the least-squares sense.\n///\n\
         /// Columns in another unit than the first (the RF beside correctors) are scaled to the same size. A monitor that shows no\n\
         /// number in a plane counts in the other only. With `limits`, directions that were dropped help out where a knob can go no further.\n///\n\
         /// # Parameters\n/// - `orbit`: `#{ x, y }` [m] at the monitors of the response.\n\
         /// {options}\n///\n\
         /// # Returns\n/// Steps, for `step_setpoints`.\n///\n\
         /// # On the machine\n/// Nothing; with `limits` the setpoints are asked for.\n///\n\
         /// # Errors\n/// - `script`: the orbit does not fit the response, or no monitor shows a number.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response([HCOR, VCOR], BPM);\n/// let steps = r.solve(orbit_error(), #{ cutoff: 1e-3, limits: true });\n\
         /// let best = r.solve(orbit_error(), #{ method: \"micado\" });\n/// assert(best.used == 1 && steps.at_limit.len() == 0);\n/// ```",
        solve_options(),
        |c: NativeCallContext, r: Response, orbit: Map, map: Map| solve(
            &*here(&c)?,
            &r,
            &orbit,
            &solve_options().read(&map)?
        )
    );
    document!(
        engine,
        "solve",
        ["response: response", "orbit: map", "steps"],
        "/// Finds the steps of the knobs that take an orbit away, with the default options.",
        |c: NativeCallContext, r: Response, orbit: Map| solve(
            &*here(&c)?,
            &r,
            &orbit,
            &solve_options().read(&Map::new())?
        )
    );
    document!(
        engine,
        "foretell",
        ["response: response", "steps: steps", "map"],
        "/// Says what steps do to the orbit by a response.\n///\n\
         /// # Parameters\n/// - `steps`: of the knobs of the response.\n///\n\
         /// # Returns\n/// `#{ x, y }`: change of the orbit at its monitors [m].\n///\n\
         /// # On the machine\n/// Nothing.\n///\n\
         /// # Errors\n/// - `other knobs`: the steps are not those of its knobs.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response([HCOR, VCOR], BPM);\n/// let orbit = orbit_error();\n/// let steps = r.solve(orbit);\n\
         /// assert((orbit.x + r.foretell(steps).x).rms() < 0.1 * orbit.x.rms());\n/// ```",
        |r: Response, steps: Steps| foretell(&r, &steps)
    );
    document!(
        engine,
        "through",
        ["steps: steps", "rows: matrix", "vector"],
        "/// Gives the sums of entry times step of equations as `solve` takes them.\n///\n\
         /// # Parameters\n/// - `rows`: a matrix with a column for each knob.\n///\n\
         /// # Returns\n/// A vector with an entry for each row [1], in SI units.\n///\n\
         /// # On the machine\n/// Nothing.\n///\n\
         /// # Errors\n/// - `do not go with`: another number of columns than of knobs.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response(HCOR, BPM);\n/// let steps = r.solve(get_orbit());\n/// let sum = steps.through(matrix([linspace(1, 1, HCOR.len)]));\n\
         /// assert_near(sum[0], steps.values.sum().si, 1e-12);\n/// ```",
        |steps: Steps, rows: Matrix| through(&steps, &rows)
    );
    document!(
        engine,
        "step_setpoints",
        ["steps: steps", "()"],
        "/// Makes the steps that `solve` found, all together.\n///\n\
         /// # On the machine\n/// Writes setpoints, all checked before the first; part of the run's transaction.\n///\n\
         /// # Errors\n/// - `limits`: knobs that would leave their limits; none is written.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response([HCOR, VCOR], BPM);\n/// step_setpoints(r.solve(orbit_error()));\n/// ```",
        |c: NativeCallContext, steps: Steps| make(&*here(&c)?, &steps)
    );
}
