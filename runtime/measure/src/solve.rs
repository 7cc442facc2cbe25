//! Least squares by singular values, as orbit correction uses it.

use faer::MatRef;
use fodo_report::{Diagnostic, Kind, Result};
use nalgebra::DMatrix;

/// Which singular values count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Those below this part of the largest are dropped.
    pub cutoff: f64,
    /// At most this many are used.
    pub count: Option<usize>,
}

/// The solution of `matrix * x = target` with some singular values dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// x.
    pub x: Vec<f64>,
    /// Singular values used.
    pub used: usize,
    /// Singular values there are.
    pub of: usize,
}

/// A matrix as `u * diag(s) * v^T`, singular values falling.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposition {
    /// Left singular vectors, one a column.
    pub u: DMatrix<f64>,
    /// Singular values, largest first.
    pub s: Vec<f64>,
    /// Right singular vectors, one a column.
    pub v: DMatrix<f64>,
}

/// The thin singular value decomposition.
///
/// # Errors
/// An entry that is not finite; an iteration that does not converge.
pub fn decompose(matrix: &DMatrix<f64>) -> Result<Decomposition> {
    if matrix.iter().any(|v| !v.is_finite()) {
        return Err(Diagnostic::new(Kind::Script, "the matrix holds something that is not a number").into());
    }
    let (rows, columns) = matrix.shape();
    let svd = MatRef::from_column_major_slice(matrix.as_slice(), rows, columns).thin_svd().map_err(|error| {
        Diagnostic::new(Kind::Internal, format!("the singular value decomposition did not converge: {error:?}"))
    })?;
    let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
    let count = s.nrows();
    Ok(Decomposition {
        u: DMatrix::from_fn(rows, count, |i, k| u[(i, k)]),
        s: (0..count).map(|k| s[k]).collect(),
        v: DMatrix::from_fn(columns, count, |j, k| v[(j, k)]),
    })
}

/// Solves `matrix * x = target` in the least-squares sense by singular value decomposition.
///
/// `scale` multiplies the columns before the decomposition, so that knobs of different units (an
/// angle, a frequency) count alike; x is in the knobs' own units again.
pub fn solve(matrix: &DMatrix<f64>, target: &[f64], scale: &[f64], cut: Cut) -> Result<Solution> {
    let mut scaled = matrix.clone();
    for (mut column, factor) in scaled.column_iter_mut().zip(scale) {
        column *= *factor;
    }
    if target.iter().any(|v| !v.is_finite()) {
        return Err(Diagnostic::new(Kind::Script, "the orbit holds something that is not a number").into());
    }
    let Decomposition { u, s, v } = decompose(&scaled)?;
    let of = s.len();
    let largest = s.first().copied().unwrap_or(0.0);
    let used = s.iter().take_while(|&&value| value > 0.0 && value >= cut.cutoff * largest).count();
    let used = used.min(cut.count.unwrap_or(of));
    let mut x = vec![0.0; matrix.ncols()];
    for (k, value) in s.iter().enumerate().take(used) {
        let projection: f64 = u.column(k).iter().zip(target).map(|(u, t)| u * t).sum::<f64>() / value;
        for (entry, v) in x.iter_mut().zip(v.column(k).iter()) {
            *entry += v * projection;
        }
    }
    for (entry, factor) in x.iter_mut().zip(scale) {
        *entry *= factor;
    }
    Ok(Solution { x, used, of })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_and_cuts() {
        let matrix = DMatrix::from_row_slice(3, 2, &[2.0, 0.0, 0.0, 1e-4, 0.0, 0.0]);
        let all = Cut { cutoff: 1e-6, count: None };
        let full = solve(&matrix, &[4.0, 1e-4, 7.0], &[1.0, 1.0], all).unwrap();
        assert!((full.x[0] - 2.0).abs() < 1e-12 && (full.x[1] - 1.0).abs() < 1e-9, "{:?}", full.x);
        let cut = solve(&matrix, &[4.0, 1e-4, 7.0], &[1.0, 1.0], Cut { cutoff: 1e-3, count: None }).unwrap();
        assert_eq!((cut.used, cut.of, cut.x[1]), (1, 2, 0.0));
        // scaled so that both columns are alike, nothing is dropped
        let scaled = solve(&matrix, &[4.0, 1e-4, 7.0], &[0.5, 1e4], Cut { cutoff: 1e-3, count: None }).unwrap();
        assert!((scaled.x[1] - 1.0).abs() < 1e-9 && scaled.used == 2);
    }
}
