//! The kicks inside a thick magnet (2.2, 2.3): what its field does to px and py, one kind for each shape of field.
//!
//! Types and not closures, since what is compiled for an instruction set has to be inlined for sure.

use super::Coefficient;
use super::magnet::MagnetMap;
use crate::number::{Number, Over};

/// A thin kick at constant energy.
pub trait Kick<N> {
    /// The momenta px, py after the outer (0) or the middle (1) kick of a slice of a particle at (x, px, y, py).
    fn momenta(&self, which: usize, at: [N; 4]) -> (N, N);
}

/// A field `By + i Bx` in the transverse plane.
pub trait FieldAt<N> {
    /// `(By, Bx)` at (x, y).
    fn at(&self, x: N, y: N) -> (N, N);

    /// Real and imaginary part of the derivative of `By + i Bx` by `x + i y`.
    fn gradient(&self, x: N, y: N) -> (N, N);
}

/// `sum (b_k + i a_k)(x + i y)^k`: both lists have the same length, at least 2.
pub struct General<'f, C>(pub &'f [C], pub &'f [C]);

/// The same where all skew coefficients but the dipole one, which is given, are zero; at least 2 coefficients.
pub struct Upright<'f, C, const M: usize>(pub &'f [C; M], pub C);

/// One step of Horner's rule: `(re + i im)(x + i y) + b + i a`.
#[inline(always)]
fn horner<N: Over<C>, C: Coefficient>((re, im): (N, N), (x, y): (N, N), b: C, a: C) -> (N, N) {
    let zero = N::constant(0.0);
    (re.mul_add(x, (-im).mul_add(y, zero + b)), im.mul_add(x, re.mul_add(y, zero + a)))
}

impl<N: Over<C>, C: Coefficient> FieldAt<N> for General<'_, C> {
    #[inline(always)]
    fn at(&self, x: N, y: N) -> (N, N) {
        let Self(b, a) = self;
        let top = b.len() - 1;
        let mut sum = (
            y.scale_add(-a[top], x.straight_line(b[top], b[top - 1])),
            y.scale_add(b[top], x.straight_line(a[top], a[top - 1])),
        );
        for k in (0..top - 1).rev() {
            sum = horner(sum, (x, y), b[k], a[k]);
        }
        sum
    }

    #[inline(always)]
    fn gradient(&self, x: N, y: N) -> (N, N) {
        let Self(b, a) = self;
        let (zero, top) = (N::constant(0.0), b.len() - 1);
        let mut sum = (zero + b[top] * top as f64, zero + a[top] * top as f64);
        for k in (1..top).rev() {
            sum = horner(sum, (x, y), b[k] * k as f64, a[k] * k as f64);
        }
        sum
    }
}

impl<N: Over<C>, C: Coefficient, const M: usize> FieldAt<N> for Upright<'_, C, M> {
    #[inline(always)]
    fn at(&self, x: N, y: N) -> (N, N) {
        let Self(b, skew_dipole) = self;
        let top = M - 1;
        let (mut re, mut im) = (x.straight_line(b[top], b[top - 1]), y * b[top]);
        if top == 1 {
            return (re, im + *skew_dipole);
        }
        for k in (0..top - 1).rev() {
            let lowest = if k == 0 { N::constant(0.0) + *skew_dipole } else { N::constant(0.0) };
            (re, im) = (re.mul_add(x, (-im).mul_add(y, N::constant(0.0) + b[k])), im.mul_add(x, re.mul_add(y, lowest)));
        }
        (re, im)
    }

    #[inline(always)]
    fn gradient(&self, x: N, y: N) -> (N, N) {
        let Self(b, _) = self;
        let (zero, top) = (N::constant(0.0), M - 1);
        let mut sum = (zero + b[top] * top as f64, zero);
        for k in (1..top).rev() {
            sum = horner(sum, (x, y), b[k] * k as f64, b[k] * 0.0);
        }
        sum
    }
}

/// A kick by a field given at each place.
pub struct FieldKick<N, F, const BENT: bool> {
    pub field: F,
    pub lengths: [f64; 2],
    pub curvature: f64,
    pub delta: N,
}

impl<N: Number, F: FieldAt<N>, const BENT: bool> Kick<N> for FieldKick<N, F, BENT> {
    #[inline(always)]
    fn momenta(&self, which: usize, [x, px, y, py]: [N; 4]) -> (N, N) {
        let (re, im) = self.field.at(x, y);
        let re = if BENT { re - (self.delta - x * self.curvature) * self.curvature } else { re };
        (re.times_add(-self.lengths[which], px), im.times_add(self.lengths[which], py))
    }
}

/// Nothing but an upright dipole field: vertically a drift.
pub struct DipoleKick<N> {
    horizontal: [N; 2],
    focusing: [f64; 2],
}

impl<N: Number> DipoleKick<N> {
    #[inline(always)]
    pub fn new<C: Coefficient>(magnet: &MagnetMap<C>, z: &[N; 6]) -> Self
    where
        N: Over<C>,
    {
        let [outer, middle] = magnet.kick_lengths();
        let squared = magnet.curvature * magnet.curvature;
        Self { horizontal: magnet.bending(z), focusing: [-outer * squared, -middle * squared] }
    }
}

impl<N: Number> Kick<N> for DipoleKick<N> {
    #[inline(always)]
    fn momenta(&self, which: usize, [x, px, _, py]: [N; 4]) -> (N, N) {
        (x.times_add(self.focusing[which], px + self.horizontal[which]), py)
    }
}

/// Nothing but an upright gradient in a straight magnet.
pub struct GradientKick<C> {
    focusing: [C; 2],
    defocusing: [C; 2],
}

impl<C: Coefficient> GradientKick<C> {
    #[inline(always)]
    pub fn new(magnet: &MagnetMap<C>) -> Self {
        let [outer, middle] = magnet.kick_lengths();
        let gradient = magnet.b[1];
        Self { focusing: [gradient * -outer, gradient * -middle], defocusing: [gradient * outer, gradient * middle] }
    }
}

impl<N: Over<C>, C: Coefficient> Kick<N> for GradientKick<C> {
    #[inline(always)]
    fn momenta(&self, which: usize, [x, px, y, py]: [N; 4]) -> (N, N) {
        (x.scale_add(self.focusing[which], px), y.scale_add(self.defocusing[which], py))
    }
}

/// Upright dipole and quadrupole, with the bending of the reference.
pub struct LinearKick<N, C> {
    horizontal: [N; 2],
    focusing: [C; 2],
    defocusing: [C; 2],
}

impl<N: Over<C>, C: Coefficient> LinearKick<N, C> {
    #[inline(always)]
    pub fn new(magnet: &MagnetMap<C>, z: &[N; 6]) -> Self {
        let [outer, middle] = magnet.kick_lengths();
        let gradient = magnet.b[1];
        let focusing = gradient + magnet.curvature * magnet.curvature;
        Self {
            horizontal: magnet.bending(z),
            focusing: [focusing * -outer, focusing * -middle],
            defocusing: [gradient * outer, gradient * middle],
        }
    }
}

impl<N: Over<C>, C: Coefficient> Kick<N> for LinearKick<N, C> {
    #[inline(always)]
    fn momenta(&self, which: usize, [x, px, y, py]: [N; 4]) -> (N, N) {
        let straight = px + self.horizontal[which];
        (x.scale_add(self.focusing[which], straight), y.scale_add(self.defocusing[which], py))
    }
}

/// Dipole and quadrupole, upright and skew, with the bending of the reference.
pub struct CoupledKick<N, C> {
    upright: LinearKick<N, C>,
    vertical: [C; 2],
    skew: [C; 2],
}

impl<N: Over<C>, C: Coefficient> CoupledKick<N, C> {
    #[inline(always)]
    pub fn new(magnet: &MagnetMap<C>, z: &[N; 6]) -> Self {
        let [outer, middle] = magnet.kick_lengths();
        let [dipole, gradient] = [magnet.a[0], magnet.a[1]];
        Self {
            upright: LinearKick::new(magnet, z),
            vertical: [dipole * outer, dipole * middle],
            skew: [gradient * outer, gradient * middle],
        }
    }
}

impl<N: Over<C>, C: Coefficient> Kick<N> for CoupledKick<N, C> {
    #[inline(always)]
    fn momenta(&self, which: usize, at: [N; 4]) -> (N, N) {
        let (px, py) = self.upright.momenta(which, at);
        let skew = self.skew[which];
        (at[2].scale_add(skew, px), at[0].scale_add(skew, py + self.vertical[which]))
    }
}
