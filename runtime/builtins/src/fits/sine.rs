//! Fits of one oscillation.

use super::curve::Failed;
use super::{Found, Points, middle, sigma_option};
use crate::families::document;
use crate::quantity::{from_dynamic, radian, two_units};
use crate::vector::Vector;
use fodo_language::{Options, OrFail, Outcome, script_error};
use fodo_numerics::{Start, fit_curve, fit_linear};
use fodo_units::Unit;
use nalgebra::DMatrix;
use rhai::{Dynamic, Engine, FuncRegistration, Map};
use std::f64::consts::TAU;

/// Sums of the search for the frequency: points times frequencies.
const WORK: usize = 200_000_000;

/// The frequency of the highest line of a signal with any spacing (N. R. Lomb, Astrophys. Space Sci. 39 (1976) 447), looked for
/// from half an oscillation over all points to one in two points.
fn guess(x: &[f64], y: &[f64]) -> Option<f64> {
    let (low, high) = x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
    let (span, count) = (high - low, x.len());
    let mean = y.iter().sum::<f64>() / count as f64;
    let frequencies = (4 * count).min(WORK / count.max(1));
    let power = |frequency: f64| {
        let double = x
            .iter()
            .map(|x| 2.0 * TAU * frequency * (x - low))
            .fold((0.0, 0.0), |(s, c), a| (s + a.sin(), c + a.cos()));
        let shift = 0.5 * f64::atan2(double.0, double.1);
        let (mut yc, mut ys, mut cc, mut ss) = (0.0, 0.0, 0.0, 0.0);
        for (x, y) in x.iter().zip(y) {
            let (s, c) = (TAU * frequency * (x - low) - shift).sin_cos();
            (yc, ys, cc, ss) = (yc + (y - mean) * c, ys + (y - mean) * s, cc + c * c, ss + s * s);
        }
        (if cc > 0.0 { yc * yc / cc } else { 0.0 }) + (if ss > 0.0 { ys * ys / ss } else { 0.0 })
    };
    let step = 0.5 * count as f64 / span / frequencies as f64;
    let tried = (1..=frequencies).map(|k| k as f64 * step).filter(|f| f * span >= 0.5);
    tried.map(|f| (power(f), f)).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, f)| f)
}

pub fn options() -> Options {
    sigma_option("fit_sine").any("frequency").help("the frequency, if it is known; else it is fitted")
}

fn sine(x: &Vector, y: &Vector, map: &Map) -> Outcome<Map> {
    let options = options().read(map)?;
    let points = Points::new(x, y, options.maybe_dynamic("sigma"))?;
    let unit = if x.unit().dimension().is_none() { Unit::none() } else { Unit::si(x.unit().dimension().power(-1)) };
    let known = options.maybe_dynamic("frequency").map(|value| known(&value, &unit)).transpose()?;
    let needed = if known.is_some() { 3 } else { 4 };
    if x.si().len() < needed {
        return Err(script_error(format!("a sine needs at least {needed} points, found {}", x.si().len())));
    }
    // fitted from the middle of all x on, so that points far from zero lose no digits
    let middle = middle(x.si());
    let shifted: Vec<f64> = x.si().iter().map(|x| x - middle).collect();
    // offset, sine, cosine, frequency and their covariance
    let (p, c, frequency, curve, chi2, freedom) = match known {
        Some(f) => {
            let design = DMatrix::from_fn(shifted.len(), 3, |i, k| wave(TAU * f * shifted[i], k));
            let fit = fit_linear(&design, y.si(), points.sigma.as_deref()).or_fail()?;
            (fit.coefficients, fit.covariance.resize(4, 4, 0.0), f, fit.curve, fit.chi2, fit.freedom)
        }
        None => free(&shifted, &points)?,
    };
    let (a, b) = (p[1], p[2]);
    let amplitude = a.hypot(b);
    let (aa, bb, ab) = (c[(1, 1)], c[(2, 2)], c[(1, 2)]);
    let by_amplitude = (a * a * aa + b * b * bb + 2.0 * a * b * ab) / (amplitude * amplitude);
    let by_phase = (b * b * aa + a * a * bb - 2.0 * a * b * ab) / amplitude.powi(4);
    // from the middle back to x = 0
    let turns = frequency * middle;
    let phase = b.atan2(a) - TAU * (turns - turns.round());
    let phase_frequency = (a * c[(2, 3)] - b * c[(1, 3)]) / (amplitude * amplitude);
    let back = TAU * middle;
    let by_phase = by_phase + back * back * c[(3, 3)] - 2.0 * back * phase_frequency;
    let by_phase = if by_phase < 0.0 { 0.0 } else { by_phase };
    let found = Found {
        parameters: vec![
            ("offset", p[0], y.unit().clone()),
            ("amplitude", amplitude, y.unit().clone()),
            ("phase", phase - TAU * (phase / TAU).round(), radian()?),
            ("frequency", frequency, unit),
        ],
        sigma: vec![c[(0, 0)].sqrt(), by_amplitude.sqrt(), by_phase.sqrt(), c[(3, 3)].sqrt()],
        curve,
        chi2,
        freedom,
    };
    Ok(found.map(&points))
}

fn known(value: &Dynamic, unit: &Unit) -> Outcome<f64> {
    let frequency = from_dynamic(value).ok_or_else(|| script_error("`frequency` must be a number or a quantity"))?;
    if frequency.dimension() != unit.dimension() {
        return Err(two_units("compared", unit, &frequency.unit));
    }
    match frequency.si > 0.0 && frequency.si.is_finite() {
        true => Ok(frequency.si),
        false => Err(script_error("`frequency` must be positive")),
    }
}

/// One, sine and cosine of an angle.
fn wave(angle: f64, k: usize) -> f64 {
    [1.0, angle.sin(), angle.cos()][k]
}

type Fitted = (Vec<f64>, DMatrix<f64>, f64, Vec<f64>, f64, usize);

/// The fit with the frequency free.
fn free(x: &[f64], points: &Points) -> Outcome<Fitted> {
    let y = points.y.si();
    let none = || script_error("the points show no oscillation: all x are the same");
    let guessed = guess(x, y).ok_or_else(none)?;
    // at the guess the other three follow by linear least squares
    let design = DMatrix::from_fn(x.len(), 3, |i, k| wave(TAU * guessed * x[i], k));
    let first = fit_linear(&design, y, points.sigma.as_deref()).or_fail()?;
    let size = points.y.largest();
    let start = |value: f64| Start { value, size: if value == 0.0 { size } else { value } };
    let starts = [
        start(first.coefficients[0]),
        start(first.coefficients[1]),
        start(first.coefficients[2]),
        Start { value: guessed, size: guessed },
    ];
    let at = |p: &[f64]| -> Result<Vec<f64>, Failed> {
        Ok(x.iter().map(|x| (0..3).map(|k| p[k] * wave(TAU * p[3] * x, k)).sum()).collect())
    };
    let names = ["offset", "sine", "cosine", "frequency"];
    let fit = fit_curve(at, y, points.sigma.as_deref(), &starts, &names).map_err(|failed| failed.0)?;
    let frequency = fit.parameters[3];
    Ok((fit.parameters, fit.covariance, frequency, fit.curve, fit.chi2, fit.freedom))
}

pub(super) fn register(engine: &mut Engine) {
    document!(
        engine,
        "fit_sine",
        ["x: vector", "y: vector", "map"],
        "/// Fits one oscillation, `y = offset + amplitude * sin(2 pi frequency x + phase)`, with errors; the spacing of x may be uneven.\n///\n\
         /// # Parameters\n/// - `x`, `y`: vectors of one length, at least 4 entries (3 with a known frequency); any units.\n\
         /// - `frequency`: the frequency in one over the unit of x, if it is known (a driven beam). Default: fitted, up to one oscillation in two points.\n\
         /// - `sigma`: errors of y, one for all or a vector, in its dimension. Default: judged by the residuals.\n///\n\
         /// # Returns\n/// `#{ offset, amplitude, phase, frequency, sigma, rms, curve, freedom }`: offset and amplitude (positive) in the unit of y, phase at x = 0 [rad], \
         frequency in one over the unit of x, a map of their standard errors; the rest as in `fit_curve`.\n///\n\
         /// # Errors\n/// - `needs at least`: there are too few points.\n/// - `compared`: `frequency` has the wrong dimension.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = linspace(0 * s, 1 * s, 40);\n/// let y = sin(t * (3.2 * 2 * PI() * rad / s) + 0.5 * rad) * (2 * mm) + 1 * mm;\n/// let f = fit_sine(t, y);\n/// assert_near(f.frequency, 3.2 * Hz, 1e-6 * Hz);\n/// assert_near(f.phase, 0.5 * rad, 1e-6 * rad);\n/// ```",
        |x: Vector, y: Vector| sine(&x, &y, &Map::new())
    );
    document!(
        engine,
        "fit_sine",
        ["x: vector", "y: vector", "options: map", "map"],
        "/// Fits one oscillation with options; see `fit_sine(x, y)`.",
        |x: Vector, y: Vector, options: Map| sine(&x, &y, &options)
    );
}
