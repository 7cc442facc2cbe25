//! Thick magnets, straight and bent, with and without radiation (2.2 to 2.5, 3.1 to 3.3).

use super::drift::drift_with;
use super::edge::EdgeMap;
use super::fringe::fringe;
use super::{Coefficient, Point, field, upright_field};
use crate::constants::{DRIFT, KICK};
use crate::number::{Number, Over};

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
    #[inline]
    pub fn apply<N: Over<C>>(&self, z: &mut Point<N>) {
        self.around(z, |z| self.body(z));
    }

    /// Edges and fringes, with `body` between them.
    #[inline(always)]
    pub(crate) fn around<N: Over<C>>(&self, z: &mut Point<N>, body: impl FnOnce(&mut Point<N>)) {
        if let Some(edge) = &self.entrance {
            edge.apply(z);
        }
        self.fringe_at_entrance(z);
        body(z);
        self.fringe_at_exit(z);
        if let Some(edge) = &self.exit {
            edge.apply(z);
        }
    }

    /// The quadrupole fringe at the entrance.
    #[inline(always)]
    pub fn fringe_at_entrance<N: Over<C>>(&self, z: &mut Point<N>) {
        if let Some(gradient) = self.fringe[0] {
            fringe(z, gradient, 1.0);
        }
    }

    /// The quadrupole fringe at the exit.
    #[inline(always)]
    pub fn fringe_at_exit<N: Over<C>>(&self, z: &mut Point<N>) {
        if let Some(gradient) = self.fringe[1] {
            fringe(z, gradient, -1.0);
        }
    }

    /// One thin kick of this length [m], without curvature.
    pub fn straight_kick<N: Over<C>>(&self, z: &mut Point<N>, length: f64) {
        let (re, im) = field(&self.b, &self.a, z[0], z[2]);
        z[1] -= re * length;
        z[3] += im * length;
    }

    /// The body, without edges and fringes.
    #[inline(always)]
    pub(crate) fn body<N: Over<C>>(&self, z: &mut Point<N>) {
        match self.radiation {
            Some(constant) => self.radiating_body(z, constant),
            None => self.quiet_body(z),
        }
    }

    /// The body as if it did not radiate.
    #[inline(always)]
    pub(crate) fn quiet_body<N: Over<C>>(&self, z: &mut Point<N>) {
        if self.curvature == 0.0 { self.chosen_body::<N, false>(z) } else { self.chosen_body::<N, true>(z) }
    }

    /// The body at constant energy, for the number of coefficients there are.
    #[inline(always)]
    fn chosen_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>) {
        let skew = self.a[1..].iter().any(|a| !a.is_zero());
        match self.b.len() {
            2 if skew => self.coupled_body::<N, BENT>(z),
            2 if !self.a[0].is_zero() => self.coupled_body::<N, BENT>(z),
            2 if self.b[1].is_zero() => self.dipole_body::<N, BENT>(z),
            2 => self.linear_body::<N, BENT>(z),
            3 if !skew => self.upright_body::<N, BENT, _>(z, self.b.first_chunk::<3>()),
            4 if !skew => self.upright_body::<N, BENT, _>(z, self.b.first_chunk::<4>()),
            _ => self.nonlinear_body::<N, BENT>(z),
        }
    }

    /// Lengths of the outer and the middle kick of a slice [m].
    #[inline(always)]
    fn kick_lengths(&self) -> [f64; 2] {
        KICK.map(|fraction| fraction * self.length / f64::from(self.slices))
    }

    /// Horizontal kicks that do not depend on the place: the dipole field against the bending of the reference.
    #[inline(always)]
    fn bending<N: Over<C>>(&self, z: &Point<N>) -> [N; 2] {
        let bending = z[4] * self.curvature;
        self.kick_lengths().map(|length| bending * length + self.b[0] * -length)
    }

    /// Nothing but an upright dipole field: vertically a drift.
    #[inline(always)]
    fn dipole_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>) {
        let h = self.curvature;
        let horizontal = self.bending(z);
        let focusing = self.kick_lengths().map(|length| h * h * -length);
        self.integrate::<N, BENT, false>(z, |k, [x, px, _, py]| {
            let straight = px + horizontal[k];
            (if BENT { x * focusing[k] + straight } else { straight }, py)
        });
    }

    /// Upright dipole and quadrupole: the kick is linear, and its lengths go into the coefficients.
    #[inline(always)]
    fn linear_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>) {
        let (h, gradient, lengths) = (self.curvature, self.b[1], self.kick_lengths());
        let horizontal = self.bending(z);
        let focusing = lengths.map(|length| (gradient + h * h) * -length);
        let defocusing = lengths.map(|length| gradient * length);
        if !BENT && self.b[0].is_zero() {
            self.integrate::<N, BENT, true>(z, |k, [x, px, y, py]| {
                (x.scale_add(focusing[k], px), y.scale_add(defocusing[k], py))
            });
        } else {
            self.integrate::<N, BENT, true>(z, |k, [x, px, y, py]| {
                (x.scale_add(focusing[k], px + horizontal[k]), y.scale_add(defocusing[k], py))
            });
        }
    }

    /// Dipole and quadrupole, upright and skew.
    #[inline(always)]
    fn coupled_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>) {
        let (h, lengths) = (self.curvature, self.kick_lengths());
        let horizontal = self.bending(z);
        let vertical = lengths.map(|length| self.a[0] * length);
        let focusing = lengths.map(|length| (self.b[1] + h * h) * -length);
        let defocusing = lengths.map(|length| self.b[1] * length);
        let skew = lengths.map(|length| self.a[1] * length);
        self.integrate::<N, BENT, true>(z, |k, [x, px, y, py]| {
            let kick_x = y.scale_add(skew[k], x.scale_add(focusing[k], px + horizontal[k]));
            let kick_y = x.scale_add(skew[k], y.scale_add(defocusing[k], py + vertical[k]));
            (kick_x, kick_y)
        });
    }

    /// Any upright field, and a vertical kick.
    #[inline(always)]
    fn upright_body<N: Over<C>, const BENT: bool, const M: usize>(&self, z: &mut Point<N>, b: Option<&[C; M]>) {
        let Some(b) = b else { return };
        self.kicked_body::<N, BENT>(z, |x, y| upright_field(b, self.a[0], x, y));
    }

    /// Any field.
    #[inline(always)]
    fn nonlinear_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>) {
        self.kicked_body::<N, BENT>(z, |x, y| field(&self.b, &self.a, x, y));
    }

    /// The body with a field given as a function of x and y.
    #[inline(always)]
    fn kicked_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>, field: impl Fn(N, N) -> (N, N)) {
        let h = self.curvature;
        let delta = z[4];
        let lengths = self.kick_lengths();
        self.integrate::<N, BENT, true>(z, |k, [x, px, y, py]| {
            let (re, im) = field(x, y);
            let re = if BENT { re - (delta - x * h) * h } else { re };
            (re.times_add(-lengths[k], px), im.times_add(lengths[k], py))
        });
    }

    /// The fourth-order integrator at constant energy. `kick` gives the new px, py from (x, px, y, py) for the outer
    /// (0) or the middle (1) kick of a slice. Drifts of neighbouring slices are one. Without `VERTICAL` the kicks leave
    /// py alone, and y is carried over the whole length at once.
    #[inline(always)]
    fn integrate<N: Number, const BENT: bool, const VERTICAL: bool>(
        &self,
        z: &mut Point<N>,
        kick: impl Fn(usize, [N; 4]) -> (N, N),
    ) {
        let slice = self.length / f64::from(self.slices);
        let q = (z[4] + 1.0).recip();
        let [outer, inner] = DRIFT.map(|fraction| fraction * slice);
        let lengths = [outer, inner, 2.0 * outer];
        let mut walk = Walk::<N, VERTICAL>::new(z, lengths.map(|length| q * length));
        walk.drift(0);
        for left in (0..self.slices).rev() {
            walk.kick::<BENT>(0, &kick);
            walk.drift(1);
            walk.kick::<BENT>(1, &kick);
            walk.drift(1);
            walk.kick::<BENT>(0, &kick);
            walk.drift(if left == 0 { 0 } else { 2 });
        }
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
            let [outer, inner] = self.kick_lengths().map(|length| length * self.curvature);
            z[5] += walk.outside[0] * outer + walk.outside[1] * inner;
        }
    }

    #[inline(always)]
    fn radiating_body<N: Over<C>>(&self, z: &mut Point<N>, constant: f64) {
        let skew = self.a[1..].iter().any(|a| !a.is_zero());
        match (self.b.len(), skew, self.curvature == 0.0) {
            (2, false, true) => {
                self.radiate::<N, false>(z, constant, |x, y| upright_field(&self.b[..2], self.a[0], x, y))
            }
            (2, false, false) => {
                self.radiate::<N, true>(z, constant, |x, y| upright_field(&self.b[..2], self.a[0], x, y))
            }
            (_, _, true) => self.radiate::<N, false>(z, constant, |x, y| field(&self.b, &self.a, x, y)),
            (_, _, false) => self.radiate::<N, true>(z, constant, |x, y| field(&self.b, &self.a, x, y)),
        }
    }

    /// The integrator with energy loss in each kick.
    #[inline(always)]
    fn radiate<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>, constant: f64, field: impl Fn(N, N) -> (N, N)) {
        let slice = self.length / f64::from(self.slices);
        let [outer, inner] = DRIFT.map(|fraction| fraction * slice);
        let lengths = self.kick_lengths();
        let mut q = (z[4] + 1.0).recip();
        drift_with(z, q * outer, q);
        for left in (0..self.slices).rev() {
            q = self.radiating_kick::<N, BENT>(z, q, lengths[0], constant, &field);
            drift_with(z, q * inner, q);
            q = self.radiating_kick::<N, BENT>(z, q, lengths[1], constant, &field);
            drift_with(z, q * inner, q);
            q = self.radiating_kick::<N, BENT>(z, q, lengths[0], constant, &field);
            drift_with(z, q * if left == 0 { outer } else { 2.0 * outer }, q);
        }
    }

    /// A thin kick with energy loss; takes and gives back 1 / (1 + delta).
    #[inline(always)]
    fn radiating_kick<N: Over<C>, const BENT: bool>(
        &self,
        z: &mut Point<N>,
        q: N,
        length: f64,
        constant: f64,
        field: impl Fn(N, N) -> (N, N),
    ) -> N {
        let h = self.curvature;
        let (re, im) = field(z[0], z[2]);
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
struct Walk<N, const VERTICAL: bool> {
    at: [N; 4],
    /// Lengths over 1 + delta of the outer, the inner and two outer drifts together.
    reduced: [N; 3],
    /// Sums of px² + py² over the drifts of each length.
    slopes: [N; 3],
    /// Sums of x over the outer and the middle kicks.
    outside: [N; 2],
}

impl<N: Number, const VERTICAL: bool> Walk<N, VERTICAL> {
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
    fn kick<const BENT: bool>(&mut self, which: usize, kick: &impl Fn(usize, [N; 4]) -> (N, N)) {
        (self.at[1], self.at[3]) = kick(which, self.at);
        if BENT {
            self.outside[which] += self.at[0];
        }
    }
}
