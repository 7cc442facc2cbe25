//! Fits of any function that a script gives, and of Gaussian peaks.

use super::{Found, Points, WORDS, deviations, sigma_option};
use crate::families::document;
use crate::quantity::{from_dynamic, of, two_units};
use crate::vector::Vector;
use fodo_language::{Callback, Outcome, article, fail, script_error, type_word};
use fodo_numerics::{Curve, Start, fit_curve};
use fodo_report::Diagnostic;
use fodo_units::Unit;
use rhai::{Dynamic, Engine, EvalAltResult, FuncRegistration, Map, NativeCallContext};

/// An error of the fit or of the script's function.
pub(super) struct Failed(pub Box<EvalAltResult>);

impl From<Box<Diagnostic>> for Failed {
    fn from(report: Box<Diagnostic>) -> Failed {
        Failed(fail(report))
    }
}

/// A parameter with its name, its start and the unit it is counted in.
struct Parameter {
    name: String,
    start: Start,
    unit: Unit,
}

fn parameters(start: &Map) -> Outcome<Vec<Parameter>> {
    if start.is_empty() {
        return Err(script_error("a fit needs start values, as in `#{ amplitude: 1 * mm, tau: 10 * s }`"));
    }
    let one = |(name, value): (&rhai::Identifier, &Dynamic)| {
        if WORDS.contains(&name.as_str()) {
            return Err(script_error(format!("`{name}` cannot be a parameter: the result of a fit has it already")));
        }
        let found = || article(&type_word(value.type_name()));
        let q = from_dynamic(value).ok_or_else(|| {
            script_error(format!("the start of `{name}` must be a number or quantity, found {}", found()))
        })?;
        let size = if q.si == 0.0 { q.unit.scale() } else { q.si };
        Ok(Parameter { name: name.to_string(), start: Start { value: q.si, size }, unit: q.unit })
    };
    start.iter().map(one).collect()
}

/// The values of the function at all x, checked.
fn values(answer: &Dynamic, y: &Vector) -> Outcome<Vec<f64>> {
    let many = y.si().len();
    let Some(v) = answer.read_lock::<Vector>() else {
        let found = article(&type_word(answer.type_name()));
        let report = Diagnostic::new(
            fodo_report::Kind::Script,
            format!("the function gets all x as a vector and must give a vector, found {found}"),
        );
        return Err(fail(Box::new(report.hint("for one entry at a time: `|x, p| x.map(|x| …)`"))));
    };
    if v.unit().dimension() != y.unit().dimension() {
        return Err(two_units("compared", v.unit(), y.unit()));
    }
    match v.si().len() == many {
        true => Ok(v.si().to_vec()),
        false => Err(script_error(format!("the function gives {} values for {many} points", v.si().len()))),
    }
}

fn curve(
    context: &NativeCallContext,
    function: Dynamic,
    (x, y): (&Vector, &Vector),
    start: &Map,
    options: &Map,
) -> Outcome<Map> {
    let function = Callback::from_dynamic(context, function, "the function of `fit_curve`")?;
    let points = Points::new(x, y, sigma_option("fit_curve").read(options)?.maybe_dynamic("sigma"))?;
    let parameters = parameters(start)?;
    let starts: Vec<Start> = parameters.iter().map(|p| p.start).collect();
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let at = |p: &[f64]| -> Result<Vec<f64>, Failed> {
        let map: Map = parameters
            .iter()
            .zip(p)
            .map(|(known, si)| (known.name.as_str().into(), of(*si, known.unit.clone())))
            .collect();
        let answer = function.call(context, (x.clone(), map)).map_err(Failed)?;
        values(&answer, y).map_err(Failed)
    };
    let fit = fit_curve(at, y.si(), points.sigma.as_deref(), &starts, &names).map_err(|failed| failed.0)?;
    let found = parameters.iter().zip(&fit.parameters).map(|(p, si)| (p.name.as_str(), *si, p.unit.clone()));
    Ok(found_by(found.collect(), &fit).map(&points))
}

fn found_by<'a>(parameters: Vec<(&'a str, f64, Unit)>, fit: &Curve) -> Found<'a> {
    let sigma = deviations(&fit.covariance);
    Found { parameters, sigma, curve: fit.curve.clone(), chi2: fit.chi2, freedom: fit.freedom }
}

fn gauss(x: &Vector, y: &Vector, options: &Map) -> Outcome<Map> {
    const NAMES: [&str; 4] = ["height", "centre", "width", "offset"];
    let points = Points::new(x, y, sigma_option("fit_gauss").read(options)?.maybe_dynamic("sigma"))?;
    let (places, heights) = (x.si(), y.si());
    if places.len() < NAMES.len() {
        return Err(script_error(format!("a Gaussian needs at least 4 points, found {}", places.len())));
    }
    // the peak stands out from the middle of all values, upwards or downwards
    let mut sorted = heights.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, middle, high) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    let up = high - middle >= middle - low;
    let (base, peak) = if up { (low, high) } else { (high, low) };
    let top = heights.iter().position(|y| *y == peak).unwrap_or(0);
    let over = |k: usize| (heights[k] - base) / (peak - base) > 0.5;
    let ends = places.iter().enumerate().filter(|(k, _)| over(*k)).map(|(_, x)| *x);
    let (first, last) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let range =
        places.iter().copied().fold(f64::NEG_INFINITY, f64::max) - places.iter().copied().fold(f64::INFINITY, f64::min);
    let width = if last > first { (last - first) / 2.355 } else { range / places.len() as f64 };
    let start = [peak - base, places[top], width, base].map(|value| Start { value, size: value });
    let sizes = [y.largest(), x.largest(), range, y.largest()];
    let start: Vec<Start> = start
        .iter()
        .zip(sizes)
        .map(|(s, size)| Start { size: if s.value == 0.0 { size } else { s.value }, ..*s })
        .collect();
    let at = |p: &[f64]| -> Result<Vec<f64>, Failed> {
        Ok(places.iter().map(|x| p[3] + p[0] * (-0.5 * ((x - p[1]) / p[2]).powi(2)).exp()).collect())
    };
    let mut fit = fit_curve(at, heights, points.sigma.as_deref(), &start, &NAMES).map_err(|failed| failed.0)?;
    fit.parameters[2] = fit.parameters[2].abs();
    let units = [y.unit(), x.unit(), x.unit(), y.unit()];
    let found = (0..4).map(|k| (NAMES[k], fit.parameters[k], units[k].clone())).collect();
    Ok(found_by(found, &fit).map(&points))
}

pub(super) fn register(engine: &mut Engine) {
    document!(
        engine,
        "fit_curve",
        ["function: function", "x: vector", "y: vector", "start: map", "map"],
        "/// Fits any function of x and some parameters to points, with errors (Levenberg and Marquardt).\n///\n\
         /// # Parameters\n/// - `function`: `|x, p| …` gets all x as one vector and the parameters as a map, and gives a vector.\n/// - `x`, `y`: vectors of one length; any units.\n\
         /// - `start`: a map of the parameters with their first values, numbers [1] or quantities; units follow from it.\n\
         /// - `sigma`: errors of y, one for all or a vector, in its dimension. Default: judged by the residuals.\n///\n\
         /// # Returns\n/// A map with every parameter in the unit of its start, and `sigma` (a map of their standard errors), `rms` of the residuals in the unit of y, \
         `curve` (the function at every x), `freedom` (points less parameters [1]); with `sigma` given `chi2` [1] too.\n///\n\
         /// # Errors\n/// - `did not come to rest`: start nearer to the solution.\n/// - `do not tell`: a parameter has no effect, or two have the same.\n\
         /// - `must give a vector`: the function gives something else.\n/// - `compared`: it gives another dimension than that of y.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = linspace(0 * h, 5 * h, 11);\n/// let current = exp(-t / (8 * h)) * (200 * mA);\n/// let f = fit_curve(|t, p| exp(-t / p.tau) * p.start, t, current, #{ start: 100 * mA, tau: 5 * h });\n/// assert_near(f.tau, 8 * h, 1 * ms);\n/// ```",
        |c: NativeCallContext, function: Dynamic, x: Vector, y: Vector, start: Map| {
            curve(&c, function, (&x, &y), &start, &Map::new())
        }
    );
    document!(
        engine,
        "fit_curve",
        ["function: function", "x: vector", "y: vector", "start: map", "options: map", "map"],
        "/// Fits any function with options; see `fit_curve(function, x, y, start)`.",
        |c: NativeCallContext, function: Dynamic, x: Vector, y: Vector, start: Map, options: Map| {
            curve(&c, function, (&x, &y), &start, &options)
        }
    );
    document!(
        engine,
        "fit_gauss",
        ["x: vector", "y: vector", "map"],
        "/// Fits a Gaussian on a constant, `y = offset + height * exp(-(x - centre)² / (2 width²))`, with errors.\n///\n\
         /// # Parameters\n/// - `x`, `y`: vectors of one length, at least 4 entries; any units.\n\
         /// - `sigma`: errors of y, one for all or a vector, in its dimension. Default: judged by the residuals.\n///\n\
         /// # Returns\n/// `#{ height, centre, width, offset, sigma, rms, curve, freedom }`: in the units of y and x, `width` is the standard deviation; the rest as in `fit_curve`.\n///\n\
         /// # Errors\n/// - `needs at least`: there are too few points.\n/// - `did not come to rest`, `do not tell`: the points show no peak.\n///\n\
         /// # Example\n/// ```rhai\n/// let x = linspace(-3 * mm, 3 * mm, 31);\n/// let profile = exp(-0.5 * ((x - 0.4 * mm) / (0.7 * mm)) ** 2) * 90 + 5;\n/// assert_near(fit_gauss(x, profile).width, 0.7 * mm, 1 * nm);\n/// ```",
        |x: Vector, y: Vector| gauss(&x, &y, &Map::new())
    );
    document!(
        engine,
        "fit_gauss",
        ["x: vector", "y: vector", "options: map", "map"],
        "/// Fits a Gaussian with options; see `fit_gauss(x, y)`.",
        |x: Vector, y: Vector, options: Map| gauss(&x, &y, &options)
    );
}
