//! Edges of a dipole (3.1).

use super::Point;
use crate::number::{Number, Work};

/// One edge of a dipole.
#[derive(Clone, Copy, Debug)]
pub struct EdgeMap {
    curvature: f64,
    angle: f64,
    /// Horizontal focusing strength [1/m].
    horizontal: f64,
    /// Vertical focusing strength [1/m] where it is the same for every particle.
    vertical: f64,
    psi: f64,
    method: u8,
    /// +1 at the entrance, -1 at the exit.
    side: f64,
}

impl EdgeMap {
    /// The edge of a dipole of this curvature [1/m]; `gap` is the full gap [m].
    #[must_use]
    pub fn new(edge: &fodo_lattice::Edge, curvature: f64, gap: f64, side: f64) -> Self {
        let (angle, integral) = (edge.angle, edge.fringe_integral);
        let acts = integral != 0.0 && gap != 0.0 && edge.method != 0;
        let sine = angle.sin();
        let psi = if acts { curvature * gap * integral * (1.0 + sine * sine) / angle.cos() } else { 0.0 };
        let strength = curvature * angle.tan();
        Self { curvature, angle, horizontal: strength, vertical: strength, psi, method: edge.method, side }
    }

    /// Whether the edge does nothing at all.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.horizontal == 0.0 && self.psi == 0.0 && !matches!(self.method, 2 | 3)
    }

    /// Takes a particle through the edge; q is 1 / (1 + delta).
    #[inline(always)]
    pub fn apply<N: Number>(&self, z: &mut Point<N>, q: N) {
        if self.psi == 0.0 && !matches!(self.method, 2 | 3) {
            z[1] = z[0].times_add(self.horizontal, z[1]);
            z[3] = z[2].times_add(-self.vertical, z[3]);
        } else {
            N::apart(WithIntegral { edge: self, z, q });
        }
    }

    #[inline(always)]
    fn apply_with_integral<N: Number>(&self, z: &mut Point<N>, q: N) {
        let vertical = match self.method {
            2 => (-(q * self.psi) + self.angle).tan() * q,
            3 => (z[1] * q * self.side + (self.angle - self.psi)).tan(),
            _ => (-(q * self.psi) + self.angle).tan(),
        };
        z[1] += z[0] * self.horizontal;
        z[3] -= z[2] * vertical * self.curvature;
    }
}

/// An edge with a fringe integral, as a piece of work.
struct WithIntegral<'w, N> {
    edge: &'w EdgeMap,
    z: &'w mut Point<N>,
    q: N,
}

impl<N: Number> Work for WithIntegral<'_, N> {
    #[inline(always)]
    fn run(self) {
        self.edge.apply_with_integral(self.z, self.q);
    }
}
