//! Thick magnets, straight and bent, with and without radiation (2.2 to 2.5, 3.1 to 3.3).

use super::drift::drift_with;
use super::edge::EdgeMap;
use super::fringe::fringe;
use super::kick::{CoupledKick, DipoleKick, FieldAt, FieldKick, General, GradientKick, Kick, LinearKick, Upright};
use super::watch::{ThinKick, Unwatched, Watch};
use super::{Coefficient, Point};
use crate::constants::{DRIFT, KICK};
use crate::number::{Number, Over, Work};

/// A thick magnet made ready. Kicks are part of the dipole coefficients.
#[derive(Clone, Debug)]
pub struct MagnetMap<C = f64> {
    /// Length [m].
    pub length: f64,
    /// Integration steps [1].
    pub slices: u32,
    /// Curvature of the reference [1/m]; 0 in a straight magnet.
    pub curvature: f64,
    /// Upright coefficients that act; as many as skew ones, at least 2.
    pub b: Vec<C>,
    /// Skew coefficients that act.
    pub a: Vec<C>,
    /// Edge at the entrance, if it does anything.
    pub entrance: Option<EdgeMap>,
    /// Edge at the exit, if it does anything.
    pub exit: Option<EdgeMap>,
    /// Gradient that makes the quadrupole fringe [1/m²] at entrance and exit, where there is one.
    pub fringe: [Option<C>; 2],
    /// Radiation constant (2/3) r_e gamma³ [m], where the magnet radiates.
    pub radiation: Option<f64>,
}

impl<C: Coefficient> MagnetMap<C> {
    /// Takes a particle through the magnet.
    #[inline(always)]
    pub fn apply<N: Over<C>>(&self, z: &mut Point<N>) {
        let q = self.enter(z);
        let q = self.body(z, q);
        self.leave(z, q);
    }

    /// Edge and fringe at the entrance; returns q = 1 / (1 + delta).
    #[inline(always)]
    pub(crate) fn enter<N: Over<C>>(&self, z: &mut Point<N>) -> N {
        let q = (z[4] + 1.0).recip();
        if let Some(edge) = &self.entrance {
            edge.apply(z, q);
        }
        self.fringe_at_entrance(z, q);
        q
    }

    /// Fringe and edge at the exit.
    #[inline(always)]
    pub(crate) fn leave<N: Over<C>>(&self, z: &mut Point<N>, q: N) {
        self.fringe_at_exit(z, q);
        if let Some(edge) = &self.exit {
            edge.apply(z, q);
        }
    }

    /// The quadrupole fringe at the entrance.
    #[inline(always)]
    pub fn fringe_at_entrance<N: Over<C>>(&self, z: &mut Point<N>, q: N) {
        if let Some(gradient) = self.fringe[0] {
            fringe(z, q, gradient, 1.0);
        }
    }

    /// The quadrupole fringe at the exit.
    #[inline(always)]
    pub fn fringe_at_exit<N: Over<C>>(&self, z: &mut Point<N>, q: N) {
        if let Some(gradient) = self.fringe[1] {
            fringe(z, q, gradient, -1.0);
        }
    }

    /// The body, without edges and fringes; takes and gives back q = 1 / (1 + delta).
    #[inline(always)]
    pub(crate) fn body<N: Over<C>>(&self, z: &mut Point<N>, q: N) -> N {
        self.watched_body(z, q, &mut Unwatched)
    }

    /// The same with a watch that is told of every step where the magnet radiates.
    #[inline(always)]
    pub(crate) fn watched_body<N: Over<C>>(&self, z: &mut Point<N>, q: N, watch: &mut impl Watch) -> N {
        match (self.radiation, self.curvature == 0.0) {
            (Some(constant), true) => return self.chosen_radiating_body::<N, _, false>(z, q, constant, watch),
            (Some(constant), false) => return self.chosen_radiating_body::<N, _, true>(z, q, constant, watch),
            (None, true) => self.chosen_body::<N, false>(z, q),
            (None, false) => self.chosen_body::<N, true>(z, q),
        }
        q
    }

    /// The body with its own q; compiled once for each kind of number.
    #[inline(never)]
    pub(crate) fn body_alone<N: Over<C>>(&self, z: &mut Point<N>) {
        self.body(z, (z[4] + 1.0).recip());
    }

    /// The body as if it did not radiate.
    #[inline(never)]
    pub(crate) fn quiet_body<N: Over<C>>(&self, z: &mut Point<N>) {
        let q = (z[4] + 1.0).recip();
        if self.curvature == 0.0 { self.chosen_body::<N, false>(z, q) } else { self.chosen_body::<N, true>(z, q) }
    }

    /// The body at constant energy, for the kind of field there is.
    #[inline(always)]
    fn chosen_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>, q: N) {
        let skew = self.has_skew_gradient();
        match (self.b.first_chunk::<3>(), self.b.first_chunk::<4>()) {
            (None, _) if skew || !self.a[0].is_zero() => {
                self.apart::<N, _, BENT, true>(q, &CoupledKick::new(self, z), z);
            }
            (None, _) if self.b[1].is_zero() => self.apart::<N, _, BENT, false>(q, &DipoleKick::new(self, z), z),
            (None, _) if !BENT && self.b[0].is_zero() => {
                self.apart::<N, _, BENT, true>(q, &GradientKick::new(self), z);
            }
            (None, _) => self.apart::<N, _, BENT, true>(q, &LinearKick::new(self, z), z),
            (Some(b), None) if !skew => {
                self.apart::<N, _, BENT, true>(q, &self.kick::<N, _, BENT>(z, Upright(b, self.a[0])), z);
            }
            (_, Some(b)) if !skew && self.b.len() == 4 => {
                self.apart::<N, _, BENT, true>(q, &self.kick::<N, _, BENT>(z, Upright(b, self.a[0])), z);
            }
            _ => self.apart::<N, _, BENT, true>(q, &self.kick::<N, _, BENT>(z, General(&self.b, &self.a)), z),
        }
    }

    #[inline(always)]
    fn apart<N: Over<C>, K: Kick<N>, const BENT: bool, const VERTICAL: bool>(&self, q: N, kick: &K, z: &mut Point<N>) {
        N::apart(Quiet::<N, C, K, BENT, VERTICAL> { magnet: self, q, kick, z });
    }

    fn has_skew_gradient(&self) -> bool {
        self.a[1..].iter().any(|a| !a.is_zero())
    }

    /// Lengths of the outer and the middle kick of a slice [m].
    #[inline(always)]
    pub(super) fn kick_lengths(&self) -> [f64; 2] {
        let slice = self.length / f64::from(self.slices);
        [KICK[0] * slice, KICK[1] * slice]
    }

    /// Horizontal kicks that do not depend on the place: the dipole field against the bending of the reference.
    #[inline(always)]
    pub(super) fn bending<N: Over<C>>(&self, z: &Point<N>) -> [N; 2] {
        let [outer, middle] = self.kick_lengths();
        let bending = z[4] * self.curvature;
        [bending * outer + self.b[0] * -outer, bending * middle + self.b[0] * -middle]
    }

    #[inline(always)]
    fn kick<N: Over<C>, F, const BENT: bool>(&self, z: &Point<N>, field: F) -> FieldKick<N, F, BENT> {
        FieldKick { field, lengths: self.kick_lengths(), curvature: self.curvature, delta: z[4] }
    }

    /// The fourth-order integrator at constant energy. Drifts of neighbouring slices are one. Without `VERTICAL` the
    /// kicks leave py alone, and y is carried over the whole length at once.
    #[inline(always)]
    fn integrate<N: Number, const BENT: bool, const VERTICAL: bool>(
        &self,
        z: &mut Point<N>,
        q: N,
        kick: &impl Kick<N>,
    ) {
        let slice = self.length / f64::from(self.slices);
        let lengths = [DRIFT[0] * slice, DRIFT[1] * slice, 2.0 * DRIFT[0] * slice];
        let reduced = [q * lengths[0], q * lengths[1], q * lengths[2]];
        let mut walk = Walk::<N, BENT, VERTICAL>::new(z, reduced);
        walk.drift(0);
        for slice in 0..self.slices {
            if slice > 0 {
                walk.drift(2);
            }
            walk.kick(0, kick);
            walk.drift(1);
            walk.kick(1, kick);
            walk.drift(1);
            walk.kick(0, kick);
        }
        walk.drift(0);
        let [x, px, y, py] = walk.at;
        (z[0], z[1], z[3]) = (x, px, py);
        let mut slopes = walk.slopes[0] * lengths[0] + walk.slopes[1] * lengths[1] + walk.slopes[2] * lengths[2];
        if VERTICAL {
            z[2] = y;
        } else {
            z[2] = (q * self.length).mul_add(py, y);
            slopes += py * py * self.length;
        }
        z[5] = (q * q * 0.5).mul_add(slopes, z[5]);
        if BENT {
            let [outer, middle] = self.kick_lengths();
            z[5] += walk.outside[0] * (outer * self.curvature) + walk.outside[1] * (middle * self.curvature);
        }
    }

    #[inline(always)]
    fn chosen_radiating_body<N: Over<C>, W: Watch, const BENT: bool>(
        &self,
        z: &mut Point<N>,
        q: N,
        constant: f64,
        watch: &mut W,
    ) -> N {
        match self.b.first_chunk::<2>().filter(|_| self.b.len() == 2 && !self.has_skew_gradient()) {
            Some(b) => self.radiate_apart::<N, _, W, BENT>(z, q, constant, &Upright(b, self.a[0]), watch),
            None => self.radiate_apart::<N, _, W, BENT>(z, q, constant, &General(&self.b, &self.a), watch),
        }
    }

    #[inline(always)]
    fn radiate_apart<N: Over<C>, F: FieldAt<N>, W: Watch, const BENT: bool>(
        &self,
        z: &mut Point<N>,
        mut q: N,
        constant: f64,
        field: &F,
        watch: &mut W,
    ) -> N {
        N::apart(Radiating::<N, C, F, W, BENT> { magnet: self, q: &mut q, constant, field, watch, z });
        q
    }

    /// The integrator with energy loss in each kick.
    #[inline(always)]
    fn radiate<N: Over<C>, W: Watch, const BENT: bool>(
        &self,
        z: &mut Point<N>,
        mut q: N,
        constant: f64,
        field: &impl FieldAt<N>,
        watch: &mut W,
    ) -> N {
        let slice = self.length / f64::from(self.slices);
        let [outer, inner] = [DRIFT[0] * slice, DRIFT[1] * slice];
        let lengths = self.kick_lengths();
        watched_drift(z, q, outer, watch);
        for slice in 0..self.slices {
            if slice > 0 {
                watched_drift(z, q, 2.0 * outer, watch);
            }
            q = self.radiating_kick::<N, W, BENT>(z, q, lengths[0], constant, field, watch);
            watched_drift(z, q, inner, watch);
            q = self.radiating_kick::<N, W, BENT>(z, q, lengths[1], constant, field, watch);
            watched_drift(z, q, inner, watch);
            q = self.radiating_kick::<N, W, BENT>(z, q, lengths[0], constant, field, watch);
        }
        watched_drift(z, q, outer, watch);
        q
    }

    /// A thin kick with energy loss; takes and gives back 1 / (1 + delta).
    #[inline(always)]
    fn radiating_kick<N: Over<C>, W: Watch, const BENT: bool>(
        &self,
        z: &mut Point<N>,
        q: N,
        length: f64,
        constant: f64,
        field: &impl FieldAt<N>,
        watch: &mut W,
    ) -> N {
        let h = self.curvature;
        let (re, im) = field.at(z[0], z[2]);
        if W::LOOKS {
            let (gradient, skew) = field.gradient(z[0], z[2]);
            let slopes = [gradient + h * h, -skew, skew, gradient];
            watch.kick(z, &ThinKick { length, field: (re, im), slopes, dispersion: h, curvature: h, q });
        }
        let bending = if BENT { re - (z[4] - z[0] * h) * h } else { re };
        let q = lose_energy::<N, BENT>(z, q, (re, im), h, constant * length);
        z[1] = bending.times_add(-length, z[1]);
        z[3] = im.times_add(length, z[3]);
        if BENT {
            z[5] = z[0].times_add(h * length, z[5]);
        }
        q
    }
}

/// A drift that a watch is told of.
#[inline(always)]
fn watched_drift<N: Number>(z: &mut Point<N>, q: N, length: f64, watch: &mut impl Watch) {
    watch.drift(z, q, length);
    drift_with(z, q * length, q);
}

/// A body without energy loss, as a piece of work.
struct Quiet<'w, N, C, K, const BENT: bool, const VERTICAL: bool> {
    magnet: &'w MagnetMap<C>,
    q: N,
    kick: &'w K,
    z: &'w mut Point<N>,
}

impl<N: Over<C>, C: Coefficient, K: Kick<N>, const BENT: bool, const VERTICAL: bool> Work
    for Quiet<'_, N, C, K, BENT, VERTICAL>
{
    #[inline(always)]
    fn run(self) {
        self.magnet.integrate::<N, BENT, VERTICAL>(self.z, self.q, self.kick);
    }
}

/// A body with energy loss, as a piece of work.
struct Radiating<'w, N, C, F, W, const BENT: bool> {
    magnet: &'w MagnetMap<C>,
    q: &'w mut N,
    constant: f64,
    field: &'w F,
    watch: &'w mut W,
    z: &'w mut Point<N>,
}

impl<N: Over<C>, C: Coefficient, F: FieldAt<N>, W: Watch, const BENT: bool> Work for Radiating<'_, N, C, F, W, BENT> {
    #[inline(always)]
    fn run(self) {
        *self.q = self.magnet.radiate::<N, W, BENT>(self.z, *self.q, self.constant, self.field, self.watch);
    }
}

/// Energy loss of a thin kick, the direction being kept (3.3); `strength` is the radiation constant times the length.
#[inline(always)]
pub fn radiate_in_kick<N: Number>(z: &mut Point<N>, field: (N, N), h: f64, strength: f64) {
    let q = (z[4] + 1.0).recip();
    lose_energy::<N, true>(z, q, field, h, strength);
}

/// The same with q = 1 / (1 + delta) given; returns the new one.
#[inline(always)]
fn lose_energy<N: Number, const BENT: bool>(z: &mut Point<N>, q: N, (re, im): (N, N), h: f64, strength: f64) -> N {
    let total = z[4] + 1.0;
    let (xp, yp) = (z[1] * q, z[3] * q);
    let slopes = xp.mul_add(xp, yp * yp);
    let by = if BENT { re + h } else { re };
    let across = im.mul_add(yp, -(by * xp));
    let (squared, way) = if BENT {
        let g = z[0].times_add(h, N::constant(1.0));
        let (upright, skew, gg) = (by * g, im * g, g * g);
        let field = upright.mul_add(upright, skew.mul_add(skew, across * across));
        (field * (gg + slopes).recip(), slopes.times_add(0.5, g))
    } else {
        let field = by.mul_add(by, im.mul_add(im, across * across));
        (field * (slopes + 1.0).recip(), slopes.times_add(0.5, N::constant(1.0)))
    };
    z[4] = (total * total * -strength).mul_add(squared * way, z[4]);
    let left = z[4] + 1.0;
    z[1] = xp * left;
    z[3] = yp * left;
    left.recip()
}

/// A particle inside a magnet at constant energy, with the sums that make its path length.
struct Walk<N, const BENT: bool, const VERTICAL: bool> {
    at: [N; 4],
    /// Lengths over 1 + delta of the outer, the inner and two outer drifts together.
    reduced: [N; 3],
    /// Sums of px² + py² over the drifts of each length.
    slopes: [N; 3],
    /// Sums of x over the outer and the middle kicks.
    outside: [N; 2],
}

impl<N: Number, const BENT: bool, const VERTICAL: bool> Walk<N, BENT, VERTICAL> {
    #[inline(always)]
    fn new(z: &Point<N>, reduced: [N; 3]) -> Self {
        let zero = N::constant(0.0);
        Self { at: [z[0], z[1], z[2], z[3]], reduced, slopes: [zero; 3], outside: [zero; 2] }
    }

    #[inline(always)]
    fn drift(&mut self, which: usize) {
        let [x, px, y, py] = self.at;
        self.at[0] = self.reduced[which].mul_add(px, x);
        self.slopes[which] = px.mul_add(px, self.slopes[which]);
        if VERTICAL {
            self.at[2] = self.reduced[which].mul_add(py, y);
            self.slopes[which] = py.mul_add(py, self.slopes[which]);
        }
    }

    #[inline(always)]
    fn kick(&mut self, which: usize, kick: &impl Kick<N>) {
        (self.at[1], self.at[3]) = kick.momenta(which, self.at);
        if BENT {
            self.outside[which] += self.at[0];
        }
    }
}
