//! Normal modes of a one-turn matrix.

use std::f64::consts::TAU;

use nalgebra::{Complex, DMatrix, DVector, Matrix6};

/// A normal mode of oscillation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mode {
    /// Fractional tune, in [0, 1) [1].
    pub tune: f64,
    /// Damping rate per turn [1]; about 0 without radiation.
    pub damping: f64,
}

/// The two (4D) or three (6D) modes of a one-turn matrix, in the order x, y, longitudinal of the plane each is most in.
///
/// `None` where the motion is not stable, or an eigenvalue is real.
#[must_use]
pub fn modes(matrix: &Matrix6<f64>, dimensions: usize) -> Option<Vec<Mode>> {
    let matrix = DMatrix::from_fn(dimensions, dimensions, |row, column| matrix[(row, column)]);
    let eigenvalues = matrix.complex_eigenvalues();
    let upper = eigenvalues.iter().filter(|value| value.im > 0.0);
    let found: Vec<_> = upper.map(|&value| (value, shares(&matrix, value))).collect();
    if found.len() != dimensions / 2 {
        return None;
    }
    let order = best_order(&found.iter().map(|(_, shares)| shares.clone()).collect::<Vec<_>>())?;
    let mode = |(plane, &index): (usize, &usize)| {
        let (value, shares) = &found[index];
        let phase = if shares[plane] > 0.0 { value.arg() } else { -value.arg() };
        Mode { tune: (phase / TAU).rem_euclid(1.0), damping: -value.norm().ln() }
    };
    Some(order.iter().enumerate().map(mode).collect())
}

/// How much of an eigenvector's norm lies in each plane; positive in the plane of a mode whose phase is positive.
fn shares(matrix: &DMatrix<f64>, eigenvalue: Complex<f64>) -> Vec<f64> {
    let vector = eigenvector(matrix, eigenvalue);
    let plane = |plane: usize| {
        // (ct, delta), so that the synchrotron tune above transition is small and positive
        let (q, p) = if plane == 2 { (5, 4) } else { (2 * plane, 2 * plane + 1) };
        (vector[q].conj() * vector[p]).im
    };
    (0..matrix.nrows() / 2).map(plane).collect()
}

/// Inverse iteration, from a vector that has a part in every plane.
fn eigenvector(matrix: &DMatrix<f64>, eigenvalue: Complex<f64>) -> DVector<Complex<f64>> {
    let size = matrix.nrows();
    let beside = eigenvalue + Complex::new(1e-10, 1e-10);
    let shifted = DMatrix::from_fn(size, size, |row, column| {
        let diagonal = if row == column { beside } else { Complex::new(0.0, 0.0) };
        Complex::new(matrix[(row, column)], 0.0) - diagonal
    });
    let decomposed = shifted.lu();
    let mut vector = DVector::from_fn(size, |row, _| Complex::new(1.0, 0.3 + 0.1 * row as f64));
    for _ in 0..4 {
        if let Some(next) = decomposed.solve(&vector) {
            vector = next.unscale(next.norm());
        }
    }
    vector
}

/// The assignment of modes to planes with the greatest summed share.
fn best_order(shares: &[Vec<f64>]) -> Option<Vec<usize>> {
    let orders: &[&[usize]] = match shares.len() {
        2 => &[&[0, 1], &[1, 0]],
        3 => &[&[0, 1, 2], &[0, 2, 1], &[1, 0, 2], &[1, 2, 0], &[2, 0, 1], &[2, 1, 0]],
        _ => return None,
    };
    let share =
        |mode: usize, plane: usize| shares[mode][plane].abs() / shares[mode].iter().map(|s| s.abs()).sum::<f64>();
    let merit = |order: &[usize]| -> f64 { order.iter().enumerate().map(|(plane, &mode)| share(mode, plane)).sum() };
    orders.iter().max_by(|a, b| merit(a).total_cmp(&merit(b))).map(|order| order.to_vec())
}
