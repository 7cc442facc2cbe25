//! Hard-edge fringe of a quadrupole, after Lee-Whiting (3.2).

use super::{Coefficient, Point};
use crate::number::Over;

/// Takes a particle through the fringe of gradient `gradient` [1/m²]; `side` is +1 at the entrance, -1 at the exit.
#[inline(always)]
pub fn fringe<N: Over<C>, C: Coefficient>(z: &mut Point<N>, gradient: C, side: f64) {
    let [x, px, y, py, delta, _] = *z;
    let q = (delta + 1.0).recip();
    let u = q * (gradient * (side / 12.0));
    let (xx, yy, xy) = (x * x, y * y, x * y);
    let gx = u * (xx + yy * 3.0) * x;
    let gy = u * (yy + xx * 3.0) * y;
    let sum = xx + yy;
    let triple = u * 3.0;
    z[0] += gx;
    z[2] -= gy;
    z[1] += triple * (xy * py * 2.0 - sum * px);
    z[3] -= triple * (xy * px * 2.0 - sum * py);
    z[5] -= q * (gy * py - gx * px);
}
