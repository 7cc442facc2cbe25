//! Fits of any function of some parameters to points (Levenberg and Marquardt).
//!
//! Source: K. Madsen, H. B. Nielsen, O. Tingleff, Methods for Non-Linear Least Squares Problems, 2nd edition, Technical University of
//! Denmark (2004), algorithm 3.16, with the scaling of J. J. Moré, The Levenberg-Marquardt algorithm, Lecture Notes in Mathematics 630
//! (1978) 105. Derivatives are central differences.

use crate::linear::{covariance, variance, weights};
use crate::{decompose, finite};
use fodo_report::{Diagnostic, Kind};
use nalgebra::{DMatrix, DVector};

/// Where a parameter starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Its first value.
    pub value: f64,
    /// Its size where the value is 0: differences are taken over a small part of it.
    pub size: f64,
}

/// A fitted curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The parameters.
    pub parameters: Vec<f64>,
    /// Their covariance; scaled by the residuals where no errors of the values were given.
    pub covariance: DMatrix<f64>,
    /// The fit at every point.
    pub curve: Vec<f64>,
    /// Sum of squared residuals, each over its error (1 without errors).
    pub chi2: f64,
    /// Points less parameters.
    pub freedom: usize,
}

const STEPS: usize = 500;
/// A step below this part of the parameters ends the search, and so does a gain below its square.
const REST: f64 = 1e-10;

/// Fits `function(parameters)`, one value for each entry of `y`, to `y` with the errors `sigma`.
///
/// # Errors
/// Those of the function; fewer points than parameters; a function that is not finite at the start; no convergence; parameters that
/// the points do not tell, by their `names`.
pub fn fit_curve<E: From<Box<Diagnostic>>>(
    mut function: impl FnMut(&[f64]) -> Result<Vec<f64>, E>,
    y: &[f64],
    sigma: Option<&[f64]>,
    start: &[Start],
    names: &[&str],
) -> Result<Curve, E> {
    let (points, count) = (y.len(), start.len());
    if points < count {
        return Err(wrong(format!("{count} parameters need at least {count} points, found {points}")));
    }
    finite(y, "y")?;
    let weights = weights(points, sigma)?;
    let residual = |curve: &[f64]| DVector::from_iterator(points, (0..points).map(|i| (curve[i] - y[i]) * weights[i]));
    let mut p = DVector::from_iterator(count, start.iter().map(|s| s.value));
    let mut curve = function(p.as_slice())?;
    if let Some(place) = curve.iter().position(|v| !v.is_finite()) {
        return Err(wrong(format!("the function is not a finite number at point {place} with the start values")));
    }
    let mut r = residual(&curve);
    let mut jacobian = differences(&mut function, &p, start, &weights)?;
    let mut scale = DVector::from_element(count, 0.0);
    let (mut damping, mut growth) = (1e-3, 2.0);
    let mut resting = false;
    for _ in 0..STEPS {
        for (size, column) in scale.iter_mut().zip(jacobian.column_iter()) {
            *size = f64::max(*size, column.norm());
        }
        let Some(step) = damped(&jacobian, &r, &scale, damping) else {
            damping *= growth;
            growth *= 2.0;
            continue;
        };
        let small = (0..count).all(|k| step[k].abs() <= REST * (p[k].abs() + REST * start[k].size.abs()));
        let next = &p + &step;
        let tried = function(next.as_slice())?;
        let after = residual(&tried);
        let gain = r.norm_squared() - after.norm_squared();
        let promised = r.norm_squared() - (&r + &jacobian * &step).norm_squared();
        if gain.is_finite() && gain > 0.0 {
            let ratio = gain / promised;
            let flat = gain <= REST * REST * r.norm_squared();
            (p, curve, r) = (next, tried, after);
            jacobian = differences(&mut function, &p, start, &weights)?;
            damping *= f64::max(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0).powi(3));
            growth = 2.0;
            resting = small || flat || r.norm_squared() == 0.0;
        } else {
            damping *= growth;
            growth *= 2.0;
            // the residual cannot get smaller any more
            resting = small || promised <= 1e-14 * r.norm_squared();
        }
        if resting {
            break;
        }
    }
    if !resting {
        let report = Diagnostic::new(Kind::Script, format!("the fit did not come to rest in {STEPS} steps"));
        return Err(Box::new(report.hint("start nearer to the solution")).into());
    }
    let unit = undamped(&jacobian, names)?;
    let (chi2, freedom) = (r.norm_squared(), points - count);
    let covariance = unit * variance(chi2, freedom, sigma.is_some());
    Ok(Curve { parameters: p.as_slice().to_vec(), covariance, curve, chi2, freedom })
}

fn wrong<E: From<Box<Diagnostic>>>(message: String) -> E {
    Box::new(Diagnostic::new(Kind::Script, message)).into()
}

/// Derivatives of the weighted function by each parameter.
fn differences<E>(
    at: &mut impl FnMut(&[f64]) -> Result<Vec<f64>, E>,
    p: &DVector<f64>,
    start: &[Start],
    weights: &[f64],
) -> Result<DMatrix<f64>, E> {
    let mut jacobian = DMatrix::zeros(weights.len(), p.len());
    for k in 0..p.len() {
        let size = if p[k] == 0.0 { start[k].size } else { f64::max(p[k].abs(), 1e-3 * start[k].size.abs()) };
        let h = size * f64::EPSILON.cbrt();
        let (mut up, mut down) = (p.clone(), p.clone());
        (up[k], down[k]) = (p[k] + h, p[k] - h);
        let (above, below) = (at(up.as_slice())?, at(down.as_slice())?);
        let width = up[k] - down[k];
        for i in 0..weights.len() {
            jacobian[(i, k)] = (above[i] - below[i]) / width * weights[i];
        }
    }
    Ok(jacobian)
}

/// The step of `(J^T J + damping D^2) step = -J^T r`, with D the sizes of the columns.
fn damped(jacobian: &DMatrix<f64>, r: &DVector<f64>, scale: &DVector<f64>, damping: f64) -> Option<DVector<f64>> {
    let sizes = scale.map(|s| if s > 0.0 { s } else { 1.0 });
    let mut scaled = jacobian.clone();
    for (mut column, size) in scaled.column_iter_mut().zip(sizes.iter()) {
        column /= *size;
    }
    let turned = scaled.transpose();
    let mut normal = &turned * &scaled;
    for k in 0..sizes.len() {
        normal[(k, k)] += damping;
    }
    let step = normal.cholesky()?.solve(&(-(turned * r)));
    let step = step.component_div(&sizes);
    step.iter().all(|x| x.is_finite()).then_some(step)
}

/// `(J^T J)^-1`, or which parameter the points do not tell.
fn undamped(jacobian: &DMatrix<f64>, names: &[&str]) -> Result<DMatrix<f64>, Box<Diagnostic>> {
    let mut scaled = jacobian.clone();
    let sizes: Vec<f64> = jacobian.column_iter().map(|c| if c.norm() > 0.0 { c.norm() } else { 1.0 }).collect();
    for (mut column, size) in scaled.column_iter_mut().zip(&sizes) {
        column /= *size;
    }
    let svd = decompose(&scaled)?;
    let (first, last) = (svd.s.first().copied().unwrap_or(1.0), svd.s.last().copied().unwrap_or(1.0));
    // central differences are good to 1e-10
    if last > 1e-8 * first {
        return Ok(covariance(&svd.v, &svd.s, &sizes));
    }
    let mixed = svd.v.column(svd.s.len() - 1);
    let part: Vec<String> =
        (0..names.len()).filter(|&k| mixed[k].abs() > 0.1).map(|k| format!("`{}`", names[k])).collect();
    let message = match part.as_slice() {
        [one] => format!("the points do not tell {one}: it has no effect on the function"),
        several => format!("the points do not tell {} apart", several.join(" and ")),
    };
    Err(Box::new(Diagnostic::new(Kind::Script, message).hint("leave one of them out, or measure over a wider range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tried = Result<Curve, Box<Diagnostic>>;

    fn starts(values: &[f64]) -> Vec<Start> {
        values.iter().map(|&value| Start { value, size: if value == 0.0 { 1.0 } else { value } }).collect()
    }

    /// Certified values of the Statistical Reference Datasets of NIST (www.itl.nist.gov/div898/strd): Misra1a, start 1 and 2.
    #[test]
    fn misra1a_of_nist() {
        let y = [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78];
        let x = [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0];
        for start in [[500.0, 1e-4], [250.0, 5e-4]] {
            let model = |p: &[f64]| Ok(x.iter().map(|x| p[0] * (1.0 - (-p[1] * x).exp())).collect());
            let fit: Tried = fit_curve(model, &y, None, &starts(&start), &["b1", "b2"]);
            let fit = fit.unwrap();
            let sigma = |k: usize| fit.covariance[(k, k)].sqrt();
            let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-7, "{a} is not {b}");
            near(fit.parameters[0], 2.3894212918E+02);
            near(fit.parameters[1], 5.5015643181E-04);
            near(sigma(0), 2.7070075241E+00);
            near(sigma(1), 7.2668688436E-06);
            near(fit.chi2, 1.2455138894E-01);
        }
    }

    #[test]
    fn what_the_points_do_not_tell_is_named() {
        let x = [0.0, 1.0, 2.0, 3.0];
        let both: Tried = fit_curve(
            |p| Ok(x.iter().map(|x| (p[0] + p[1]) * x).collect()),
            &x,
            None,
            &starts(&[0.3, 0.2]),
            &["a", "b"],
        );
        assert_eq!(both.unwrap_err().message, "the points do not tell `a` and `b` apart");
        let none: Tried =
            fit_curve(|p| Ok(x.iter().map(|x| p[0] * x).collect()), &x, None, &starts(&[0.3, 0.2]), &["a", "b"]);
        assert_eq!(none.unwrap_err().message, "the points do not tell `b`: it has no effect on the function");
    }
}
