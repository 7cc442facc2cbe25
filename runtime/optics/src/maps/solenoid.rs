//! Solenoids with hard edges.

use super::Point;
use crate::number::Number;

/// A solenoid made ready.
///
/// In a constant longitudinal field the kinetic momenta `px + k y`, `py - k x` (k half the strength) turn while the
/// particle moves on a helix; seen from axes that turn half as fast, with the Larmor angle `k L/pz`, the motion is a
/// harmonic oscillation. pz is 1 + delta in the paraxial map (SolenoidLinearPass of the Accelerator Toolbox) and
/// `sqrt((1 + delta)² - kinetic momenta²)` in the exact one (Forest, Beam Dynamics, 1998; Solenoid of Xtrack). The
/// canonical momenta px, py outside include the edges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolenoidMap {
    /// Length [m].
    pub length: f64,
    /// Half the field over the rigidity [1/m].
    pub half_strength: f64,
    /// With the square-root Hamiltonian.
    pub exact: bool,
}

impl SolenoidMap {
    /// Takes a particle through the solenoid.
    pub fn apply<N: Number>(&self, z: &mut Point<N>) {
        let k = self.half_strength;
        let [x, px, y, py, delta, _] = *z;
        let total = delta + 1.0;
        let (kinetic_x, kinetic_y) = (px + y * k, py - x * k);
        let across = kinetic_x * kinetic_x + kinetic_y * kinetic_y;
        let along = if self.exact { (total * total - across).sqrt() } else { total };
        let reduced = along.recip() * self.length;
        let (sine, cosine) = (reduced * k).sin_cos();
        // sin(k l)/k, also for k = 0
        let over = if k == 0.0 { reduced } else { sine * (1.0 / k) };
        let (u, pu) = (x * cosine + px * over, px * cosine - x * sine * k);
        let (v, pv) = (y * cosine + py * over, py * cosine - y * sine * k);
        (z[0], z[1]) = (u * cosine + v * sine, pu * cosine + pv * sine);
        (z[2], z[3]) = (v * cosine - u * sine, pv * cosine - pu * sine);
        // the path is longer than the length by (total - along)/along = across/(along (total + along))
        let longer = across * (total + along).recip();
        z[5] += reduced * longer;
    }
}
