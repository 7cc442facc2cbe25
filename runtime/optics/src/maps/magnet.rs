//! Thick magnets, straight and bent, with and without radiation (2.2 to 2.5, 3.1 to 3.3).

use super::drift::drift;
use super::edge::EdgeMap;
use super::fringe::fringe;
use super::{Coefficient, Point, field};
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
        match (self.b.first_chunk(), self.a.first_chunk(), self.b.len()) {
            (Some(b), Some(a), 2) => self.linear_body::<N, BENT>(z, b, a),
            _ => match (self.b.first_chunk::<3>(), self.a.first_chunk::<3>(), self.b.len()) {
                (Some(b), Some(a), 3) => self.nonlinear_body::<N, BENT>(z, b, a),
                _ => match (self.b.first_chunk::<4>(), self.a.first_chunk::<4>(), self.b.len()) {
                    (Some(b), Some(a), 4) => self.nonlinear_body::<N, BENT>(z, b, a),
                    _ => self.nonlinear_body::<N, BENT>(z, &self.b, &self.a),
                },
            },
        }
    }

    /// Dipole and quadrupole only: the kick is linear, and its lengths go into the coefficients.
    #[inline(always)]
    fn linear_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>, b: &[C; 2], a: &[C; 2]) {
        let h = self.curvature;
        let lengths = KICK.map(|fraction| fraction * self.length / f64::from(self.slices));
        let bending = z[4] * h;
        let horizontal = lengths.map(|length| bending * length + b[0] * -length);
        let vertical = lengths.map(|length| a[0] * length);
        let focusing = lengths.map(|length| (b[1] + h * h) * length);
        let defocusing = lengths.map(|length| b[1] * length);
        let skew = lengths.map(|length| a[1] * length);
        self.integrate::<N, BENT>(z, |k, [x, px, y, py]| {
            (px + horizontal[k] + y * skew[k] - x * focusing[k], py + vertical[k] + x * skew[k] + y * defocusing[k])
        });
    }

    #[inline(always)]
    fn nonlinear_body<N: Over<C>, const BENT: bool>(&self, z: &mut Point<N>, b: &[C], a: &[C]) {
        let h = self.curvature;
        let delta = z[4];
        let lengths = KICK.map(|fraction| fraction * self.length / f64::from(self.slices));
        self.integrate::<N, BENT>(z, |k, [x, px, y, py]| {
            let (re, im) = field(b, a, x, y);
            let re = if BENT { re - (delta - x * h) * h } else { re };
            (px - re * lengths[k], py + im * lengths[k])
        });
    }

    /// The fourth-order integrator at constant energy. `kick` gives the new px, py from (x, px, y, py) for the outer
    /// (0) or the middle (1) kick of a slice. Drifts of neighbouring slices are one.
    #[inline(always)]
    fn integrate<N: Number, const BENT: bool>(&self, z: &mut Point<N>, kick: impl Fn(usize, [N; 4]) -> (N, N)) {
        let slice = self.length / f64::from(self.slices);
        let q = (z[4] + 1.0).recip();
        let [outer, inner] = DRIFT.map(|fraction| fraction * slice);
        let lengths = [outer, inner, 2.0 * outer];
        let reduced = lengths.map(|length| q * length);
        let kicks = KICK.map(|fraction| fraction * slice);
        let mut walk = Walk::new(z);
        walk.drift(reduced[0], lengths[0]);
        for left in (0..self.slices).rev() {
            walk.kick::<BENT>(0, kicks[0], &kick);
            walk.drift(reduced[1], lengths[1]);
            walk.kick::<BENT>(1, kicks[1], &kick);
            walk.drift(reduced[1], lengths[1]);
            walk.kick::<BENT>(0, kicks[0], &kick);
            let last = if left == 0 { 0 } else { 2 };
            walk.drift(reduced[last], lengths[last]);
        }
        [z[0], z[1], z[2], z[3]] = walk.at;
        z[5] += q * q * walk.slopes * 0.5;
        if BENT {
            z[5] += walk.outside * self.curvature;
        }
    }

    #[inline(always)]
    fn radiating_body<N: Over<C>>(&self, z: &mut Point<N>, constant: f64) {
        match (self.b.first_chunk::<2>(), self.a.first_chunk::<2>(), self.b.len()) {
            (Some(b), Some(a), 2) => self.radiate(z, constant, b, a),
            _ => self.radiate(z, constant, &self.b, &self.a),
        }
    }

    #[inline(always)]
    fn radiate<N: Over<C>>(&self, z: &mut Point<N>, constant: f64, b: &[C], a: &[C]) {
        let slice = self.length / f64::from(self.slices);
        let [outer, inner] = DRIFT.map(|fraction| fraction * slice);
        let kicks = KICK.map(|fraction| fraction * slice);
        drift(z, outer);
        for left in (0..self.slices).rev() {
            self.radiating_kick(z, kicks[0], constant, b, a);
            drift(z, inner);
            self.radiating_kick(z, kicks[1], constant, b, a);
            drift(z, inner);
            self.radiating_kick(z, kicks[0], constant, b, a);
            drift(z, if left == 0 { outer } else { 2.0 * outer });
        }
    }

    #[inline(always)]
    fn radiating_kick<N: Over<C>>(&self, z: &mut Point<N>, length: f64, constant: f64, b: &[C], a: &[C]) {
        let h = self.curvature;
        let (re, im) = field(b, a, z[0], z[2]);
        let bending = re - (z[4] - z[0] * h) * h;
        radiate_in_kick(z, (re, im), h, constant * length);
        z[1] -= bending * length;
        z[3] += im * length;
        z[5] += z[0] * (h * length);
    }
}

/// Energy loss of a thin kick, the direction being kept (3.3); `strength` is the radiation constant times the length.
#[inline(always)]
pub fn radiate_in_kick<N: Number>(z: &mut Point<N>, (re, im): (N, N), h: f64, strength: f64) {
    let total = z[4] + 1.0;
    let q = total.recip();
    let (xp, yp) = (z[1] * q, z[3] * q);
    let (bx, by, g) = (im, re + h, z[0] * h + 1.0);
    let slopes = xp * xp + yp * yp;
    let across = bx * yp - by * xp;
    let (upright, skew) = (by * g, bx * g);
    let squared = (upright * upright + skew * skew + across * across) / (g * g + slopes);
    z[4] -= total * total * squared * (g + slopes * 0.5) * strength;
    let left = z[4] + 1.0;
    z[1] = xp * left;
    z[3] = yp * left;
}

/// A particle inside a magnet at constant energy, with the sums that make its path length.
struct Walk<N> {
    at: [N; 4],
    /// Sum of length (px² + py²).
    slopes: N,
    /// Sum of length x over the kicks.
    outside: N,
}

impl<N: Number> Walk<N> {
    #[inline(always)]
    fn new(z: &Point<N>) -> Self {
        Self { at: [z[0], z[1], z[2], z[3]], slopes: N::constant(0.0), outside: N::constant(0.0) }
    }

    #[inline(always)]
    fn drift(&mut self, reduced: N, length: f64) {
        let [x, px, y, py] = self.at;
        self.at[0] = x + reduced * px;
        self.at[2] = y + reduced * py;
        self.slopes += (px * px + py * py) * length;
    }

    #[inline(always)]
    fn kick<const BENT: bool>(&mut self, which: usize, length: f64, kick: &impl Fn(usize, [N; 4]) -> (N, N)) {
        (self.at[1], self.at[3]) = kick(which, self.at);
        if BENT {
            self.outside += self.at[0] * length;
        }
    }
}
