//! The kinds of number an element map can be computed with.

// the product rule adds, and a quotient is a product with the inverse
#![allow(clippy::suspicious_arithmetic_impl)]

mod dual;
mod lanes;
mod mixed;
mod registers;
mod series;
mod tangent;

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

pub use dual::Dual;
pub use lanes::Lanes;
pub use mixed::Mixed;
#[cfg(target_arch = "x86_64")]
pub(crate) use registers::{Avx2, Avx512, Sse2};
pub(crate) use registers::{Register, Registers};
pub use series::Series;
pub(crate) use tangent::Tangent;

/// What an element map needs of a number.
///
/// f64 is one particle; [`Lanes`] are several particles at once; [`Dual`] carries first derivatives; [`Series`]
/// carries first and second ones, [`Mixed`] second ones in one direction. Whoever adds another kind gets every element map with it.
pub trait Number:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
{
    /// How many particles one number holds.
    const LANES: usize;

    /// The constant `value` (in every lane, without derivatives).
    fn constant(value: f64) -> Self;

    /// Value in one lane, without derivatives.
    fn lane(&self, lane: usize) -> f64;

    /// Replaces one lane by a constant.
    fn set_lane(&mut self, lane: usize, value: f64);

    /// self * factor + addend, in one rounding where this kind of number does so.
    #[inline(always)]
    #[must_use]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self * factor + addend
    }

    /// self * factor + addend with a plain number, in one rounding where this kind of number does so.
    #[inline(always)]
    #[must_use]
    fn times_add(self, factor: f64, addend: Self) -> Self {
        self * factor + addend
    }

    /// 1 / self.
    #[must_use]
    fn recip(self) -> Self;

    /// Square root.
    #[must_use]
    fn sqrt(self) -> Self;

    /// Sine and cosine.
    #[must_use]
    fn sin_cos(self) -> (Self, Self);

    /// Hyperbolic sine and cosine.
    #[must_use]
    fn sinh_cosh(self) -> (Self, Self);

    /// Arc sine.
    ///
    /// From the value by Newton's method, each step of which doubles the order to which derivatives are right.
    #[must_use]
    fn asin(self) -> Self {
        let mut angle = Self::constant(0.0);
        (0..Self::LANES).for_each(|lane| angle.set_lane(lane, self.lane(lane).asin()));
        for _ in 0..4 {
            let (sine, cosine) = angle.sin_cos();
            angle += (self - sine) / cosine;
        }
        angle
    }

    /// Does a piece of work in a function of its own, compiled for the instruction set of this kind of number.
    #[inline(always)]
    fn apart<W: Work>(work: W) {
        do_apart(work);
    }

    /// Tangent.
    #[must_use]
    fn tan(self) -> Self {
        let (sine, cosine) = self.sin_cos();
        sine / cosine
    }
}

/// A piece of work with numbers of one kind. Small functions compile fast; one with everything inlined does not.
pub trait Work {
    /// Does it. Has to be inlined.
    fn run(self);
}

#[inline(never)]
fn do_apart<W: Work>(work: W) {
    work.run();
}

/// A number that can be multiplied by coefficients of kind `C`: plain ones, or ones with derivatives of their own.
pub trait Over<C>: Number + Mul<C, Output = Self> + Add<C, Output = Self> {
    /// self * factor + addend, in one rounding where this kind of number does so.
    #[inline(always)]
    #[must_use]
    fn scale_add(self, factor: C, addend: Self) -> Self {
        self * factor + addend
    }

    /// self * slope + intercept, in one rounding where this kind of number does so.
    #[inline(always)]
    #[must_use]
    fn straight_line(self, slope: C, intercept: C) -> Self {
        self * slope + intercept
    }
}

impl Over<f64> for f64 {}
impl<const N: usize> Over<f64> for Dual<N> {}
impl<const N: usize> Over<Dual<N>> for Dual<N> {}
impl<const N: usize> Over<f64> for Series<N> {}

impl Number for f64 {
    const LANES: usize = 1;

    #[inline(always)]
    fn constant(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn lane(&self, _lane: usize) -> f64 {
        *self
    }

    #[inline(always)]
    fn set_lane(&mut self, _lane: usize, value: f64) {
        *self = value;
    }

    #[inline(always)]
    fn recip(self) -> Self {
        1.0 / self
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        f64::sin_cos(self)
    }

    #[inline(always)]
    fn sinh_cosh(self) -> (Self, Self) {
        (f64::sinh(self), f64::cosh(self))
    }

    #[inline(always)]
    fn tan(self) -> Self {
        f64::tan(self)
    }

    #[inline(always)]
    fn asin(self) -> Self {
        f64::asin(self)
    }
}

/// The operators that follow from `Add`, `Sub`, `Mul` of a type with itself, its `recip` and its scaling by f64.
macro_rules! derived_operators {
    ($name:ident) => {
        impl<const N: usize> std::ops::Div for $name<N> {
            type Output = Self;
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                self * $crate::number::Number::recip(other)
            }
        }
        impl<const N: usize> std::ops::Neg for $name<N> {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                self * -1.0
            }
        }
        impl<const N: usize> std::ops::AddAssign for $name<N> {
            #[inline(always)]
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl<const N: usize> std::ops::SubAssign for $name<N> {
            #[inline(always)]
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl<const N: usize> std::ops::Sub<f64> for $name<N> {
            type Output = Self;
            #[inline(always)]
            fn sub(self, other: f64) -> Self {
                self + (-other)
            }
        }
    };
}
pub(crate) use derived_operators;
