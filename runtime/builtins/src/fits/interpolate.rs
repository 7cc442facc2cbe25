//! Values between points.

use crate::families::document;
use crate::quantity::{self, from_dynamic, in_metres, two_units};
use crate::vector::Vector;
use fodo_language::{Options, OrFail, Outcome, article, fail, script_error, type_word};
use fodo_numerics::{Interpolation, Method, Outside};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use rhai::{Dynamic, Engine, FuncRegistration, Map};

pub fn options() -> Options {
    Options::new("interpolate")
        .choice("method", &["linear", "cubic", "monotone"])
        .default("linear")
        .help("straight lines, a cubic spline, or cubic pieces that never overshoot")
        .choice("outside", &["refuse", "hold", "extend"])
        .default("refuse")
        .help("beyond the points: an error, the value of the end, or the last piece goes on")
}

fn interpolate(x: &Vector, y: &Vector, at: &Dynamic, map: &Map) -> Outcome<Dynamic> {
    let options = options().read(map)?;
    let method = match options.text("method")? {
        "cubic" => Method::Cubic,
        "monotone" => Method::Monotone,
        _ => Method::Linear,
    };
    let outside = match options.text("outside")? {
        "hold" => Outside::Hold,
        "extend" => Outside::Extend,
        _ => Outside::Refuse,
    };
    let curve = Interpolation::new(x.si(), y.si(), method, outside).or_fail()?;
    let value = |place: f64| curve.at(place).ok_or_else(|| beyond(place, &curve, x.unit()));
    let fits = |unit: &Unit| match unit.dimension() == x.unit().dimension() || in_metres(x.unit(), unit) {
        true => Ok(()),
        false => Err(two_units("compared", x.unit(), unit)),
    };
    if let Some(places) = at.read_lock::<Vector>() {
        fits(places.unit())?;
        let values = places.si().iter().map(|place| value(*place)).collect::<Outcome<Vec<f64>>>()?;
        return Ok(Dynamic::from(Vector::from_si(values, y.unit().clone())));
    }
    let place = from_dynamic(at).ok_or_else(|| {
        let found = article(&type_word(at.type_name()));
        script_error(format!("a place is a number, a quantity or a vector, found {found}"))
    })?;
    fits(&place.unit)?;
    Ok(quantity::of(value(place.si)?, y.unit().clone()))
}

fn beyond(place: f64, curve: &Interpolation, unit: &Unit) -> Box<rhai::EvalAltResult> {
    let show = |si: f64| Quantity::from_si(si, unit.clone());
    let (first, last) = curve.range();
    let message = format!("{} is outside the points, which go from {} to {}", show(place), show(first), show(last));
    let hint = "the option `outside: \"hold\"` takes the value of the end there, `\"extend\"` lets the curve go on";
    fail(Box::new(Diagnostic::new(Kind::Script, message).hint(hint)))
}

pub(super) fn register(engine: &mut Engine) {
    document!(
        engine,
        "interpolate",
        ["x: vector", "y: vector", "at: number, quantity or vector", "value"],
        "/// Finds values between points.\n///\n\
         /// # Parameters\n/// - `x`, `y`: the points, at least 2; x rises or falls all the way.\n/// - `at`: one place or a vector of them, in the dimension of x.\n\
         /// - `method`: `\"linear\"`, `\"cubic\"` (a spline with continuous curvature) or `\"monotone\"` (cubic pieces that never overshoot). Default: `\"linear\"`.\n\
         /// - `outside`: what lies beyond the points: `\"refuse\"`, `\"hold\"` (the value of the end) or `\"extend\"`. Default: `\"refuse\"`.\n///\n\
         /// # Returns\n/// A number, quantity or vector in the unit of y.\n///\n\
         /// # Errors\n/// - `is outside the points`: a place lies beyond them.\n/// - `must rise or fall`: x goes back and forth.\n/// - `cannot be compared`: `at` has another dimension than x.\n///\n\
         /// # Example\n/// ```rhai\n/// let x = vector([0, 1, 3], \"m\");\n/// let y = vector([0, 10, 30], \"mm\");\n/// assert_near(interpolate(x, y, 2 * m), 20 * mm, 1 * nm);\n/// assert_near(interpolate(x, y, vector([0.5, 9], \"m\"), #{ outside: \"hold\" })[1], 30 * mm, 1 * nm);\n/// ```",
        |x: Vector, y: Vector, at: Dynamic| interpolate(&x, &y, &at, &Map::new())
    );
    document!(
        engine,
        "interpolate",
        ["x: vector", "y: vector", "at: number, quantity or vector", "options: map", "value"],
        "/// Finds values between points with options; see `interpolate(x, y, at)`.",
        |x: Vector, y: Vector, at: Dynamic, options: Map| interpolate(&x, &y, &at, &options)
    );
}
