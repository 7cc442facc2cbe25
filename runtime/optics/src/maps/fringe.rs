//! Hard-edge fringe of a quadrupole, after Lee-Whiting (3.2).

use super::{Coefficient, Point};
use crate::number::Over;

/// Takes a particle through the fringe of gradient `gradient` [1/m²]; q is 1 / (1 + delta), `side` +1 at the entrance,
/// -1 at the exit.
#[inline(always)]
pub fn fringe<N: Over<C>, C: Coefficient>(z: &mut Point<N>, q: N, gradient: C, side: f64) {
    let [x, px, y, py, ..] = *z;
    let u = q * (gradient * (side / 12.0));
    let (xx, yy, twice) = (x * x, y * y, x * y * 2.0);
    let gx = u * x * yy.times_add(3.0, xx);
    let gy = u * y * xx.times_add(3.0, yy);
    let sum = xx + yy;
    let triple = u * 3.0;
    z[0] = x + gx;
    z[2] = y - gy;
    z[1] = triple.mul_add(twice.mul_add(py, -(sum * px)), px);
    z[3] = triple.mul_add(sum.mul_add(py, -(twice * px)), py);
    z[5] = q.mul_add(gx.mul_add(px, -(gy * py)), z[5]);
}
