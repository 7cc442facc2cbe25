//! Steerers (3.5).

use super::{Coefficient, Point};
use crate::number::{Over, Work};

/// A steerer with its kick spread evenly over its length.
#[derive(Clone, Copy, Debug)]
pub struct CorrectorMap<C = f64> {
    /// Length [m].
    pub length: f64,
    /// Horizontal kick [rad].
    pub kick_x: C,
    /// Vertical kick [rad].
    pub kick_y: C,
}

impl<C: Coefficient> CorrectorMap<C> {
    /// Takes a particle through the steerer.
    #[inline(always)]
    pub fn apply<N: Over<C>>(&self, z: &mut Point<N>) {
        if self.length != 0.0 {
            N::apart(Advance { corrector: self, z });
        }
        z[1] = z[1] + self.kick_x;
        z[3] = z[3] + self.kick_y;
    }

    #[inline(always)]
    fn advance<N: Over<C>>(&self, z: &mut Point<N>) {
        let q = (z[4] + 1.0).recip();
        let reduced = q * self.length;
        let zero = N::constant(0.0);
        let (kx, ky) = (zero + self.kick_x, zero + self.kick_y);
        let (px, py) = (z[1], z[3]);
        z[5] += reduced * q * ((kx * kx + ky * ky) * (1.0 / 3.0) + px * px + py * py + px * kx + py * ky) * 0.5;
        z[0] += reduced * (px + kx * 0.5);
        z[2] += reduced * (py + ky * 0.5);
    }
}

/// The length of a steerer, as a piece of work.
struct Advance<'w, N, C> {
    corrector: &'w CorrectorMap<C>,
    z: &'w mut Point<N>,
}

impl<N: Over<C>, C: Coefficient> Work for Advance<'_, N, C> {
    #[inline(always)]
    fn run(self) {
        self.corrector.advance(self.z);
    }
}
