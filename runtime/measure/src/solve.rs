//! Least squares by singular values, as orbit correction uses it.

use fodo_numerics::{Decomposition, decompose};
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
