//! Products of 6x6 matrices, written out: so small that they are done before a library has looked at them.

use nalgebra::Matrix6;

/// `a b`.
#[inline(always)]
pub(super) fn product(a: &Matrix6<f64>, b: &Matrix6<f64>) -> Matrix6<f64> {
    let (a, b): (&[[f64; 6]; 6], &[[f64; 6]; 6]) = (a.as_ref(), b.as_ref());
    let mut out = [[0.0; 6]; 6];
    for (out, factors) in out.iter_mut().zip(b) {
        for (column, factor) in a.iter().zip(factors) {
            for (entry, other) in out.iter_mut().zip(column) {
                *entry += other * factor;
            }
        }
    }
    Matrix6::from(out)
}

/// `m b mᵀ`.
#[inline(always)]
pub(super) fn carried(m: &Matrix6<f64>, b: &Matrix6<f64>) -> Matrix6<f64> {
    product(&product(m, b), &m.transpose())
}
