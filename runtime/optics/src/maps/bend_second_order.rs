//! Bends with second-order maps of body and edges (3.9).

use super::kick::{FieldAt, General};
use super::magnet::radiate_in_kick;
use super::watch::{ThinKick, Unwatched, Watch, Way, fly};
use super::{Coefficient, MagnetMap, Point};
use crate::constants::{DRIFT, KICK};
use crate::number::{Number, Over};

/// A bend with second-order maps. The skew coefficients of `magnet` have to be zero: this map knows none.
#[derive(Clone, Debug)]
pub struct SecondOrderBend<C = f64> {
    /// Field, slicing and quadrupole fringe; its own edges are not used.
    pub magnet: MagnetMap<C>,
    /// Edge at the entrance.
    pub entrance: SecondOrderEdge<C>,
    /// Edge at the exit.
    pub exit: SecondOrderEdge<C>,
}

impl<C: Coefficient> SecondOrderBend<C> {
    /// Takes a particle through the bend.
    pub fn apply<N: Over<C>>(&self, z: &mut Point<N>) {
        self.around(z, |z| self.body(z, &mut Unwatched));
    }

    /// The body, without edges and fringes.
    pub(crate) fn body<N: Over<C>>(&self, z: &mut Point<N>, watch: &mut impl Watch) {
        let slice = self.magnet.length / f64::from(self.magnet.slices);
        for _ in 0..self.magnet.slices {
            self.slice(z, slice, watch);
        }
    }

    /// Edges and fringes, with `body` between them.
    #[inline(always)]
    pub(crate) fn around<N: Over<C>>(&self, z: &mut Point<N>, body: impl FnOnce(&mut Point<N>)) {
        self.enter(z);
        body(z);
        self.leave(z);
    }

    /// Edge and fringe at the entrance.
    #[inline(always)]
    pub(crate) fn enter<N: Over<C>>(&self, z: &mut Point<N>) {
        self.entrance.apply(z);
        self.magnet.fringe_at_entrance(z, (z[4] + 1.0).recip());
    }

    /// Fringe and edge at the exit.
    #[inline(always)]
    pub(crate) fn leave<N: Over<C>>(&self, z: &mut Point<N>) {
        self.magnet.fringe_at_exit(z, (z[4] + 1.0).recip());
        self.exit.apply(z);
    }

    /// One slice of this length [m].
    #[inline(always)]
    pub(crate) fn slice<N: Over<C>>(&self, z: &mut Point<N>, slice: f64, watch: &mut impl Watch) {
        let h = self.magnet.curvature;
        let zero = N::constant(0.0);
        let gradients = [1, 2].map(|order| self.magnet.b.get(order).map_or(zero, |strength| zero + *strength));
        for (drift_part, kick_part) in [(0, Some(0)), (1, Some(1)), (1, Some(0)), (0, None)] {
            fly(z, Way::Curved(h), slice * DRIFT[drift_part], watch);
            if let Some(part) = kick_part {
                self.kick(z, slice * KICK[part], gradients, watch);
            }
        }
    }

    #[inline(always)]
    fn kick<N: Over<C>, W: Watch>(&self, z: &mut Point<N>, length: f64, [k1, k2]: [N; 2], watch: &mut W) {
        let h = self.magnet.curvature;
        let (x, y) = (z[0], z[2]);
        let (xx, yy) = (x * x, y * y);
        let field = General(&self.magnet.b, &self.magnet.a);
        let mut at = field.at(x, y);
        if let Some(constant) = self.magnet.radiation {
            at = curved_field(at, h, [k1, k2], [x, y]);
            if W::LOOKS {
                let slopes = kick_slopes(field.gradient(x, y), h, [k1, k2], [x, y]);
                let q = (z[4] + 1.0).recip();
                watch.kick(z, &ThinKick { length, field: at, slopes, dispersion: h, curvature: h, q });
            }
            radiate_in_kick(z, at, h, constant * length);
        }
        // with radiation the dispersion term has the energy after the loss, unlike in 3.3
        let delta = z[4];
        let horizontal = k1 * (xx - yy * 0.5) + k2 * x * (xx - yy * (4.0 / 3.0)) + x * h;
        let vertical = k1 * x * y + k2 * xx * y * (4.0 / 3.0) + (k1 * (h / 6.0) - k2 * (1.0 / 3.0)) * yy * y;
        z[1] -= (at.0 - delta * h + horizontal * h) * length;
        z[3] += (at.1 + vertical * h) * length;
        z[5] += x * (h * length);
    }
}

/// The field a radiating bend works with, which has terms of the curvature that the quiet one has not.
///
/// The physics conventions do not give them; they are what pyAT 0.9.0 (BndMPoleSymplectic4E2RadPass) does to single
/// particles, found by fits and then checked by tracking (tests/reference.rs, dba and australian_synchrotron).
fn curved_field<N: Number>((re, im): (N, N), h: f64, [k1, k2]: [N; 2], [x, y]: [N; 2]) -> (N, N) {
    let yy = y * y;
    let horizontal = k1 * (x * h - 1.0) - k2 * x;
    (re + horizontal * yy * (0.5 * h), im + (k1 * h - k2) * yy * y * (h / 6.0))
}

/// Derivatives by x and y of the horizontal and of the vertical kick of a radiating bend, over its length.
fn kick_slopes<N: Number>((gradient, skew): (N, N), h: f64, [k1, k2]: [N; 2], [x, y]: [N; 2]) -> [N; 4] {
    let (xx, yy) = (x * x, y * y);
    let curved = (k1 * h - k2) * yy * (0.5 * h);
    let across = (k1 + k2 * x * (8.0 / 3.0)) * y * h;
    let horizontal = k1 * x * 2.0 + k2 * (xx * 3.0 - yy * (4.0 / 3.0)) + h;
    let vertical = k1 * x + k2 * xx * (4.0 / 3.0) + (k1 * (0.5 * h) - k2) * yy;
    [
        gradient + curved + horizontal * h,
        -skew + (k1 * (x * h - 1.0) - k2 * x) * y * h - across,
        skew + across,
        gradient + curved + vertical * h,
    ]
}

/// Drift along the curved reference, to second order.
#[inline(always)]
pub(super) fn curved_drift<N: Number>(z: &mut Point<N>, length: f64, h: f64) {
    let [x, px, _, py, delta, _] = *z;
    let q = (delta + 1.0).recip();
    let g = x * h + 1.0;
    let (pxx, pyy) = (px * px, py * py);
    z[0] += g * px * q * length + (pxx - pyy) * q * q * (0.25 * h * length * length);
    z[1] -= (pxx + pyy) * q * (0.5 * h * length);
    z[2] += g * py * q * length * (px * (0.5 * length * h) + 1.0);
    z[5] += g * q * q * (pxx + pyy) * (0.5 * length);
}

/// Second-order map of a dipole edge: only the coefficients that are not zero.
#[derive(Clone, Copy, Debug)]
pub struct SecondOrderEdge<C = f64> {
    t111: f64,
    t133: f64,
    t211: C,
    t233: C,
    t413: C,
    horizontal: f64,
    vertical: f64,
}

impl<C: Coefficient> SecondOrderEdge<C> {
    /// The edge of a dipole of this curvature and gradient; `side` is +1 at the entrance, -1 at the exit.
    #[must_use]
    pub fn new(edge: &fodo_lattice::Edge, h: f64, gradient: C, gap: f64, side: f64) -> Self {
        let (t, sec, sine) = (edge.angle.tan(), 1.0 / edge.angle.cos(), edge.angle.sin());
        let acts = edge.fringe_integral != 0.0 && gap != 0.0;
        let psi = if acts { h * gap * edge.fringe_integral * (1.0 + sine * sine) * sec } else { 0.0 };
        let tb = (edge.angle - psi).tan();
        let pole = gradient * t + 0.5 * h * edge.curvature * sec.powi(3);
        let half = 0.5 * h * h * t;
        let (t211, t233, t413) = if side > 0.0 {
            (pole, -pole + half * (tb * tb + sec * sec), -pole)
        } else {
            (pole + -half * t * t, -pole + -half * tb * tb, -pole + half * sec * sec)
        };
        Self {
            t111: -side * 0.5 * h * t * t,
            t133: side * 0.5 * h * sec * sec,
            t211,
            t233,
            t413,
            horizontal: h * t,
            vertical: h * tb,
        }
    }

    fn apply<N: Over<C>>(&self, z: &mut Point<N>) {
        let [x, px, y, py, ..] = *z;
        let (t212, t313, t234, t414, t423) = (-self.t111, -self.t111, self.t111, self.t111, -self.t133);
        z[0] += x * x * self.t111 + y * y * self.t133;
        z[1] += x * self.horizontal + (x * px * t212 + y * py * t234) * 2.0 + x * x * self.t211 + y * y * self.t233;
        z[2] += x * y * (2.0 * t313);
        z[3] += (x * py * t414 + x * y * self.t413 + px * y * t423) * 2.0 - y * self.vertical;
    }
}
