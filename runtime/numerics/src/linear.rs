//! Linear least squares with weights and errors.

use crate::{decompose, finite, refuse};
use fodo_report::Result;
use nalgebra::{DMatrix, DVector};

/// A linear fit.
#[derive(Clone, Debug)]
pub struct Linear {
    /// Factor of each column.
    pub coefficients: Vec<f64>,
    /// Covariance of the coefficients; scaled by the residuals where no errors of the values were given.
    pub covariance: DMatrix<f64>,
    /// The fit at every point.
    pub curve: Vec<f64>,
    /// Sum of squared residuals, each over its error (1 without errors).
    pub chi2: f64,
    /// Points less coefficients.
    pub freedom: usize,
}

/// Singular values below this part of the largest count as zero.
const SINGULAR: f64 = 1e-13;

/// Fits `y` by the columns of `design`; `sigma` are the errors of `y`.
///
/// Source: W. H. Press et al., Numerical Recipes, 3rd edition (2007), section 15.4.
///
/// # Errors
/// Fewer points than columns, numbers that are not finite, errors that are not positive, columns that depend on each other.
pub fn fit_linear(design: &DMatrix<f64>, y: &[f64], sigma: Option<&[f64]>) -> Result<Linear> {
    let (points, count) = design.shape();
    if points < count {
        return refuse(format!("{count} coefficients need at least {count} points, found {points}"));
    }
    finite(y, "y")?;
    let weights = weights(points, sigma)?;
    // columns of one size, so that only real dependence counts as such
    let mut scaled = design.clone();
    let mut sizes = Vec::with_capacity(count);
    for mut column in scaled.column_iter_mut() {
        column.iter_mut().zip(&weights).for_each(|(x, w)| *x *= w);
        let size = if column.norm() > 0.0 { column.norm() } else { 1.0 };
        column /= size;
        sizes.push(size);
    }
    let svd = decompose(&scaled)?;
    let (first, last) = (svd.s.first().copied().unwrap_or(1.0), svd.s.last().copied().unwrap_or(1.0));
    if last <= SINGULAR * first {
        return refuse(
            "the points do not tell the coefficients apart: one is a combination of the others, or has no effect",
        );
    }
    let target = DVector::from_iterator(points, y.iter().zip(&weights).map(|(y, w)| y * w));
    let mut parts = svd.u.transpose() * target;
    parts.iter_mut().zip(&svd.s).for_each(|(part, s)| *part /= s);
    let solved = &svd.v * parts;
    let coefficients: Vec<f64> = solved.iter().zip(&sizes).map(|(x, size)| x / size).collect();
    let curve = (design * DVector::from_column_slice(&coefficients)).as_slice().to_vec();
    let chi2 = y.iter().zip(&curve).zip(&weights).map(|((y, c), w)| ((y - c) * w).powi(2)).sum();
    let freedom = points - count;
    let covariance = covariance(&svd.v, &svd.s, &sizes) * variance(chi2, freedom, sigma.is_some());
    Ok(Linear { coefficients, covariance, curve, chi2, freedom })
}

/// One over each error.
pub(crate) fn weights(points: usize, sigma: Option<&[f64]>) -> Result<Vec<f64>> {
    let Some(sigma) = sigma else { return Ok(vec![1.0; points]) };
    match sigma.iter().position(|s| !(s.is_finite() && *s > 0.0)) {
        Some(at) => refuse(format!("the error of point {at} must be a positive number")),
        None => Ok(sigma.iter().map(|s| 1.0 / s).collect()),
    }
}

/// What the covariance of unit errors is multiplied with: 1 for known errors, else the variance seen in the residuals.
pub(crate) fn variance(chi2: f64, freedom: usize, known: bool) -> f64 {
    match (known, freedom) {
        (true, _) => 1.0,
        // nothing is left over to tell it by
        (false, 0) => f64::NAN,
        _ => chi2 / freedom as f64,
    }
}

/// `(J^T J)^-1` of `J = U S V^T` whose columns were divided by `sizes`.
pub(crate) fn covariance(v: &DMatrix<f64>, s: &[f64], sizes: &[f64]) -> DMatrix<f64> {
    DMatrix::from_fn(sizes.len(), sizes.len(), |i, j| {
        let sum: f64 = s.iter().enumerate().map(|(k, s)| v[(i, k)] * v[(j, k)] / (s * s)).sum();
        sum / (sizes[i] * sizes[j])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook sums for a straight line (Numerical Recipes, equations 15.2.4 to 15.2.9).
    #[test]
    fn a_line_agrees_with_the_sums_of_the_textbook() {
        let x = [0.0_f64, 1.0, 2.0, 4.0, 7.0];
        let y = [1.1_f64, 2.9, 5.2, 8.8, 15.1];
        let sigma = [0.1_f64, 0.2, 0.1, 0.3, 0.2];
        let w = sigma.map(|s| 1.0 / (s * s));
        let sum = |f: &dyn Fn(usize) -> f64| (0..5).map(|i| w[i] * f(i)).sum::<f64>();
        let (s, sx, sy) = (sum(&|_| 1.0), sum(&|i| x[i]), sum(&|i| y[i]));
        let (sxx, sxy) = (sum(&|i| x[i] * x[i]), sum(&|i| x[i] * y[i]));
        let delta = s * sxx - sx * sx;
        let wanted = [(sxx * sy - sx * sxy) / delta, (s * sxy - sx * sy) / delta];
        let design = DMatrix::from_fn(5, 2, |i, j| x[i].powi(j as i32));
        let fit = fit_linear(&design, &y, Some(&sigma)).unwrap();
        for (found, wanted) in fit.coefficients.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12);
        }
        assert!((fit.covariance[(0, 0)] - sxx / delta).abs() < 1e-14);
        assert!((fit.covariance[(1, 1)] - s / delta).abs() < 1e-14);
        assert!((fit.covariance[(0, 1)] + sx / delta).abs() < 1e-14);
        assert_eq!(fit.freedom, 3);
    }

    #[test]
    fn columns_that_depend_on_each_other_are_refused() {
        let design = DMatrix::from_fn(5, 2, |i, j| (i as f64 + 1.0) * (j as f64 + 1.0));
        assert!(fit_linear(&design, &[1.0; 5], None).unwrap_err().message.contains("apart"));
    }
}
