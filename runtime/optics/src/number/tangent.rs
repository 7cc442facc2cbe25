//! First derivatives in the vector registers of the processor.
//!
//! [`Dual`](super::Dual) is the same for any number of derivatives; this one is for passes round a ring, where time
//! counts. No closures here: what is compiled for an instruction set has to be inlined for sure.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use super::registers::Register;
use super::{Number, Over, Work};

/// A value, in every place of one register, and its derivatives, in `M` registers.
#[derive(Clone, Copy)]
pub struct Tangent<R, const M: usize> {
    value: R,
    slope: [R; M],
}

/// A number from its value and what each of its `M` registers of derivatives is.
macro_rules! tangent {
    ($value:expr, $at:ident => $slope:expr) => {{
        let value = $value;
        let mut slope = [value; M];
        for ($at, slope) in slope.iter_mut().enumerate() {
            *slope = $slope;
        }
        Self { value, slope }
    }};
}

impl<R: Register, const M: usize> Tangent<R, M> {
    /// A value with derivatives; those beyond the registers are left out.
    #[inline(always)]
    pub fn new(value: f64, slopes: &[f64]) -> Self {
        let mut made = Self::constant(value);
        for (place, &slope) in slopes.iter().enumerate().take(M * R::WIDTH) {
            made.slope[place / R::WIDTH].set(place % R::WIDTH, slope);
        }
        made
    }

    /// The value.
    #[inline(always)]
    pub fn value(&self) -> f64 {
        self.value.get(0)
    }

    /// The derivative with respect to variable number `index`.
    #[inline(always)]
    pub fn slope(&self, index: usize) -> f64 {
        self.slope[index / R::WIDTH].get(index % R::WIDTH)
    }

    /// A function of this number, from its value and its derivative.
    #[inline(always)]
    fn chain(self, value: R, derivative: R) -> Self {
        tangent!(value, at => self.slope[at].times(derivative))
    }

    #[inline(always)]
    fn chain_of(self, value: f64, derivative: f64) -> Self {
        self.chain(R::splat(value), R::splat(derivative))
    }

    /// The same number in other registers, which have to hold no fewer derivatives than are in use: six.
    #[inline(always)]
    pub fn moved<S: Register, const L: usize>(&self) -> Tangent<S, L> {
        let mut slopes = [0.0; 6];
        for (index, slope) in slopes.iter_mut().enumerate() {
            *slope = self.slope(index);
        }
        Tangent::new(self.value(), &slopes)
    }
}

impl<R: Register, const M: usize> Add for Tangent<R, M> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        tangent!(self.value.plus(other.value), at => self.slope[at].plus(other.slope[at]))
    }
}

impl<R: Register, const M: usize> Sub for Tangent<R, M> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        tangent!(self.value.minus(other.value), at => self.slope[at].minus(other.slope[at]))
    }
}

impl<R: Register, const M: usize> Mul for Tangent<R, M> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        tangent!(self.value.times(other.value), at => {
            self.slope[at].fused(other.value, self.value.times(other.slope[at]))
        })
    }
}

impl<R: Register, const M: usize> Div for Tangent<R, M> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self * other.recip()
    }
}

impl<R: Register, const M: usize> Neg for Tangent<R, M> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self * -1.0
    }
}

impl<R: Register, const M: usize> AddAssign for Tangent<R, M> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<R: Register, const M: usize> SubAssign for Tangent<R, M> {
    #[inline(always)]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl<R: Register, const M: usize> Add<f64> for Tangent<R, M> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: f64) -> Self {
        Self { value: self.value.plus(R::splat(other)), ..self }
    }
}

impl<R: Register, const M: usize> Sub<f64> for Tangent<R, M> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: f64) -> Self {
        Self { value: self.value.minus(R::splat(other)), ..self }
    }
}

impl<R: Register, const M: usize> Mul<f64> for Tangent<R, M> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: f64) -> Self {
        let other = R::splat(other);
        self.chain(self.value.times(other), other)
    }
}

impl<R: Register, const M: usize> Over<f64> for Tangent<R, M> {
    #[inline(always)]
    fn scale_add(self, factor: f64, addend: Self) -> Self {
        self.times_add(factor, addend)
    }

    #[inline(always)]
    fn straight_line(self, slope: f64, intercept: f64) -> Self {
        let (slope, intercept) = (R::splat(slope), R::splat(intercept));
        self.chain(self.value.fused(slope, intercept), slope)
    }
}

impl<R: Register, const M: usize> Number for Tangent<R, M> {
    const LANES: usize = 1;

    #[inline(always)]
    fn constant(value: f64) -> Self {
        Self { value: R::splat(value), slope: [R::splat(0.0); M] }
    }

    #[inline(always)]
    fn lane(&self, _lane: usize) -> f64 {
        self.value()
    }

    #[inline(always)]
    fn set_lane(&mut self, _lane: usize, value: f64) {
        *self = Self::constant(value);
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        tangent!(self.value.fused(factor.value, addend.value), at => {
            self.slope[at].fused(factor.value, self.value.fused(factor.slope[at], addend.slope[at]))
        })
    }

    #[inline(always)]
    fn times_add(self, factor: f64, addend: Self) -> Self {
        let factor = R::splat(factor);
        tangent!(self.value.fused(factor, addend.value), at => self.slope[at].fused(factor, addend.slope[at]))
    }

    #[inline(always)]
    fn recip(self) -> Self {
        let inverse = R::splat(1.0).over(self.value);
        self.chain(inverse, R::splat(0.0).minus(inverse.times(inverse)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value.root();
        self.chain(root, R::splat(0.5).over(root))
    }

    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        let (sine, cosine) = self.value().sin_cos();
        (self.chain_of(sine, cosine), self.chain_of(cosine, -sine))
    }

    #[inline(always)]
    fn sinh_cosh(self) -> (Self, Self) {
        let (sine, cosine) = (self.value().sinh(), self.value().cosh());
        (self.chain_of(sine, cosine), self.chain_of(cosine, sine))
    }

    #[inline(always)]
    fn asin(self) -> Self {
        let sine = self.value();
        self.chain_of(sine.asin(), 1.0 / (1.0 - sine * sine).sqrt())
    }

    #[inline(always)]
    fn tan(self) -> Self {
        let tangent = self.value().tan();
        self.chain_of(tangent, 1.0 + tangent * tangent)
    }

    #[inline(always)]
    fn apart<W: Work>(work: W) {
        R::apart(work);
    }
}
