//! Sector bends with the square-root Hamiltonian.
//!
//! The maps are those of E. Forest, Beam Dynamics: A New Attitude and Framework (1998): body, wedge and rotation of
//! the axes in closed form (12.18, 12.41, 10.26), the hard-edge fringe with its linear fringe integral to all orders
//! in the slopes (13.13), as PTC, MAD-NG, Xtrack (`full` edges) and the Accelerator Toolbox (ExactSectorBendPass)
//! have them. Multipoles are kicks between parts of the body (fourth order), without curvature terms, as in the last.

use super::exact::exact_kick;
use super::magnet::MagnetMap;
use super::watch::{Unwatched, Watch, Way, fly};
use super::{Coefficient, Point};
use crate::constants::{DRIFT, KICK};
use crate::number::{Number, Over};

/// An exact sector bend made ready.
#[derive(Clone, Debug)]
pub struct ExactBend<C = f64> {
    /// Field, slicing, curvature, quadrupole fringe; its own edges are not used.
    pub magnet: MagnetMap<C>,
    /// Edge at the entrance.
    pub entrance: ExactEdge,
    /// Edge at the exit.
    pub exit: ExactEdge,
}

/// The edge of an exact bend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExactEdge {
    /// Pole face angle [rad].
    pub angle: f64,
    /// Fringe integral times full gap [m]; `None` without fringe.
    pub fringe: Option<f64>,
}

impl ExactEdge {
    /// The edge as a lattice describes it; method 0 has no fringe. `gap` is the full gap [m].
    #[must_use]
    pub fn new(edge: &fodo_lattice::Edge, gap: f64) -> Self {
        Self { angle: edge.angle, fringe: (edge.method != 0).then_some(edge.fringe_integral * gap) }
    }
}

impl<C: Coefficient> ExactBend<C> {
    /// Takes a particle through the bend.
    pub fn apply<N: Over<C>>(&self, z: &mut Point<N>) {
        self.around(z, |z| self.body(z, &mut Unwatched));
    }

    /// Edges and fringes, with `body` between them.
    pub(crate) fn around<N: Over<C>>(&self, z: &mut Point<N>, body: impl FnOnce(&mut Point<N>)) {
        self.enter(z);
        body(z);
        self.leave(z);
    }

    /// Turn of the axes, fringes and wedge at the entrance.
    pub(crate) fn enter<N: Over<C>>(&self, z: &mut Point<N>) {
        let h = self.magnet.curvature;
        turn_axes(z, self.entrance.angle);
        if let Some(integral) = self.entrance.fringe {
            dipole_fringe(z, h, integral);
        }
        self.magnet.fringe_at_entrance(z, (z[4] + 1.0).recip());
        wedge(z, h, -self.entrance.angle);
    }

    /// Wedge, fringes and turn of the axes at the exit.
    pub(crate) fn leave<N: Over<C>>(&self, z: &mut Point<N>) {
        let h = self.magnet.curvature;
        wedge(z, h, -self.exit.angle);
        self.magnet.fringe_at_exit(z, (z[4] + 1.0).recip());
        if let Some(integral) = self.exit.fringe {
            dipole_fringe(z, -h, integral);
        }
        turn_axes(z, self.exit.angle);
    }

    /// The body, without edges and fringes.
    pub(crate) fn body<N: Over<C>>(&self, z: &mut Point<N>, watch: &mut impl Watch) {
        let slice = self.magnet.length / f64::from(self.magnet.slices);
        for _ in 0..self.magnet.slices {
            self.slice(z, slice, watch);
        }
    }

    /// One slice of this length [m].
    pub(crate) fn slice<N: Over<C>>(&self, z: &mut Point<N>, slice: f64, watch: &mut impl Watch) {
        for (drift_part, kick_part) in [(0, Some(0)), (1, Some(1)), (1, Some(0)), (0, None)] {
            fly(z, Way::Sector(self.magnet.curvature), slice * DRIFT[drift_part], watch);
            if let Some(part) = kick_part {
                exact_kick(&self.magnet, z, slice * KICK[part], watch);
            }
        }
    }
}

/// Longitudinal momentum of a particle.
#[inline(always)]
fn along<N: Number>(total: N, px: N, py: N) -> N {
    (total * total - px * px - py * py).sqrt()
}

/// A part of the body, whose reference has the curvature `h` [1/m] of the field.
pub(super) fn sector<N: Number>(z: &mut Point<N>, h: f64, length: f64) {
    let theta = h * length;
    let (sine, half) = (theta.sin(), (0.5 * theta).sin());
    // 1 - cos(theta) without loss of digits
    let versine = 2.0 * half * half;
    let cosine = 1.0 - versine;
    let [x, px, _, py, delta, _] = *z;
    let total = delta + 1.0;
    let pz = along(total, px, py);
    let g = x * h + 1.0;
    let after = px * cosine + (pz - g) * sine;
    let sum = along(total, after, py) + pz * cosine - px * sine;
    let excess = g * (pz * 2.0 - g) * (1.0 + cosine) - sum;
    let per_sum = sum.recip();
    z[0] = x * cosine + (excess * (versine / h) + g * px * (2.0 * cosine * sine / h)) * per_sum;
    z[1] = after;
    advance(z, px, h, theta);
    z[5] = z[5] - length;
}

/// A wedge of field of curvature `h` [1/m] with this angle, between axes turned by it.
fn wedge<N: Number>(z: &mut Point<N>, h: f64, angle: f64) {
    if angle == 0.0 {
        return;
    }
    let (sine, cosine) = angle.sin_cos();
    let [x, px, _, py, delta, _] = *z;
    let total = delta + 1.0;
    let pz = along(total, px, py);
    let after = px * cosine + (pz - x * h) * sine;
    let sum = along(total, after, py) + pz * cosine - px * sine;
    z[0] = x * cosine + (x * px * (2.0 * sine * cosine) + x * (pz * 2.0 - x * h) * (sine * sine)) * sum.recip();
    z[1] = after;
    advance(z, px, h, angle);
}

/// Vertical motion and path of an arc: by how much the direction turned is how far the particle went.
fn advance<N: Number>(z: &mut Point<N>, px_before: N, h: f64, angle: f64) {
    let total = z[4] + 1.0;
    let inverse = along(total, N::constant(0.0), z[3]).recip();
    let turned = (px_before * inverse).asin() - (z[1] * inverse).asin() + angle;
    let reduced = turned * (1.0 / h);
    z[2] += z[3] * reduced;
    z[5] += total * reduced;
}

/// The same free particle seen from axes turned by an angle about the vertical.
fn turn_axes<N: Number>(z: &mut Point<N>, angle: f64) {
    if angle == 0.0 {
        return;
    }
    let (sine, cosine) = angle.sin_cos();
    let [x, px, _, py, delta, _] = *z;
    let total = delta + 1.0;
    let pz = along(total, px, py);
    // flight to the turned plane
    let per_depth = (pz * cosine - px * sine).recip();
    let flight = x * sine * per_depth;
    z[0] = x * pz * per_depth;
    z[1] = px * cosine + pz * sine;
    z[2] += py * flight;
    z[5] += total * flight;
}

/// Hard-edge fringe of a dipole field that rises to curvature `h` [1/m], with fringe integral times gap [m].
///
/// Generating function `y_f² phi(px, py, delta)/2`, `phi = h tan(arctan(u) - w)` with `u = xp/(1 + yp²)` and
/// `w = h integral (1 + xp² (2 + yp²)) pz`; xp, yp = px/pz, py/pz.
fn dipole_fringe<N: Number>(z: &mut Point<N>, h: f64, integral: f64) {
    let total = z[4] + 1.0;
    let pz = along(total, z[1], z[3]);
    let inverse = pz.recip();
    let (xp, yp) = (z[1] * inverse, z[3] * inverse);
    let (xx, yy, xy) = (xp * xp, yp * yp, xp * yp);
    let bottom = (yy + 1.0).recip();
    let u = xp * bottom;
    let shape = xx * (yy + 2.0) + 1.0;
    let (strength, tan_w) = (h * integral, (shape * pz * (h * integral)).tan());
    let tangent = (u - tan_w) * (u * tan_w + 1.0).recip();
    let steep = (tangent * tangent + 1.0) * h;
    let per_square = (u * u + 1.0).recip();
    // slopes and pz change with px, py, total
    let by = |xp_by: N, yp_by: N, pz_by: N| {
        let u_by = (xp_by - u * yp * yp_by * 2.0) * bottom;
        let shape_by = xp * xp_by * (yy + 2.0) * 2.0 + xx * yp * yp_by * 2.0;
        steep * (u_by * per_square - (shape_by * pz + shape * pz_by) * strength)
    };
    let by_x = by((xx + 1.0) * inverse, xy * inverse, -xp);
    let by_y = by(xy * inverse, (yy + 1.0) * inverse, -yp);
    let per_total = total * inverse * inverse;
    let by_total = by(-(xp * per_total), -(yp * per_total), total * inverse);
    let y = z[2] * 2.0 * ((-(by_y * z[2] * 2.0) + 1.0).sqrt() + 1.0).recip();
    z[0] += by_x * y * y * 0.5;
    z[2] = y;
    z[3] -= tangent * y * h;
    z[5] -= by_total * y * y * 0.5;
}
