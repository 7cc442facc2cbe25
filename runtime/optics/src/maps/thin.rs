//! Magnets without length (3.6).

use super::kick::{FieldAt, General};
use super::{Coefficient, Point};
use crate::number::Over;

/// A magnet without length; kicks are part of the dipole coefficients.
#[derive(Clone, Debug)]
pub struct ThinMap<C = f64> {
    /// Integrated upright coefficients that act; as many as skew ones, at least 2.
    pub b: Vec<C>,
    /// Integrated skew coefficients that act.
    pub a: Vec<C>,
    /// Bending angles, horizontal and vertical [rad].
    pub bending_angle: [f64; 2],
}

impl<C: Coefficient> ThinMap<C> {
    /// Takes a particle through the magnet.
    #[inline(always)]
    pub fn apply<N: Over<C>>(&self, z: &mut Point<N>) {
        let [ax, ay] = self.bending_angle;
        let (re, im) = General(&self.b, &self.a).at(z[0], z[2]);
        z[1] -= re;
        z[3] += im;
        z[1] += z[4] * ax;
        z[3] -= z[4] * ay;
        z[5] -= z[0] * ax - z[2] * ay;
    }
}
