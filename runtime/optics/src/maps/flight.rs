//! Arrival times of particles slower than light.

use super::Point;
use crate::number::Number;

/// What the speed of a particle adds to its ct in an element of some length.
///
/// ct is `beta0 c (t - t0)`: the lateness times the speed of the reference particle, minus the `zeta` of Xtrack; with
/// the `t` of MAD-X (= -pt-conjugate, `c (t0 - t)`) it is `-beta0 t`. At beta0 = 1 it is the path lengthening of the
/// other maps. A particle with the momentum of delta takes `beta0/beta` times as long for its path `L + dct`:
/// `ct += (beta0/beta - 1)(L + dct)`, with `beta0/beta = sqrt(beta0² + 1/(gamma0 (1 + delta))²)`. That is exact where
/// delta does not change inside the element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flight {
    /// Length of the reference path [m].
    pub length: f64,
    /// 1/gamma0² of the reference particle [1].
    pub inverse_gamma_squared: f64,
}

impl Flight {
    /// Adds it to a particle whose ct was `before` at the entrance.
    #[inline(always)]
    pub fn add<N: Number>(&self, z: &mut Point<N>, before: N) {
        let path = z[5] - before + self.length;
        z[5] += slowness(z[4], self.inverse_gamma_squared) * path;
    }
}

/// `beta0/beta - 1` of a particle.
#[inline(always)]
fn slowness<N: Number>(delta: N, inverse_gamma_squared: f64) -> N {
    let inverse = (delta + 1.0).recip();
    let squared = inverse * inverse;
    let excess = -(delta * (delta + 2.0) * squared) * inverse_gamma_squared;
    excess * ((excess + 1.0).sqrt() + 1.0).recip()
}
