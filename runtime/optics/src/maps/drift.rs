//! Empty space (2.1 and 3.10).

use super::Point;
use crate::number::Number;

/// Paraxial drift.
#[inline(always)]
pub fn drift<N: Number>(z: &mut Point<N>, length: f64) {
    let q = (z[4] + 1.0).recip();
    drift_with(z, q * length, q);
}

/// Paraxial drift with the reduced length `length / (1 + delta)` given.
#[inline(always)]
pub fn drift_with<N: Number>(z: &mut Point<N>, reduced: N, q: N) {
    z[0] = reduced.mul_add(z[1], z[0]);
    z[2] = reduced.mul_add(z[3], z[2]);
    z[5] = (reduced * q * 0.5).mul_add(z[1].mul_add(z[1], z[3] * z[3]), z[5]);
}

/// Drift with the square-root Hamiltonian.
pub fn exact_drift<N: Number>(z: &mut Point<N>, length: f64) {
    exact_flight(z, length);
    z[5] = z[5] - length;
}

/// The same, with the whole path added to ct.
pub fn exact_flight<N: Number>(z: &mut Point<N>, length: f64) {
    let total = z[4] + 1.0;
    let reduced = (total * total - z[1] * z[1] - z[3] * z[3]).sqrt().recip() * length;
    z[0] += reduced * z[1];
    z[2] += reduced * z[3];
    z[5] += reduced * total;
}
