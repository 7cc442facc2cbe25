//! Several particles at once.

use std::array::from_fn;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use super::{Number, Over};

/// `N` particles side by side; plain loops, which the compiler turns into vector instructions.
///
/// `FUSED` lanes multiply and add in one rounding. That is fast only in code compiled for a processor with the
/// instruction for it, and very slow elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanes<const N: usize, const FUSED: bool = false>(pub [f64; N]);

impl<const N: usize, const FUSED: bool> Lanes<N, FUSED> {
    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self(from_fn(|lane| f(self.0[lane])))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self(from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

/// `factor * value + addend` of one lane.
#[inline(always)]
fn fused<const FUSED: bool>(value: f64, factor: f64, addend: f64) -> f64 {
    if FUSED { value.mul_add(factor, addend) } else { value * factor + addend }
}

/// Operators lane by lane, with lanes and with a number that is the same for all.
macro_rules! operators {
    ($($operator:ident $method:ident $symbol:tt),*) => {$(
        impl<const N: usize, const FUSED: bool> $operator for Lanes<N, FUSED> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, |a, b| a $symbol b)
            }
        }
        impl<const N: usize, const FUSED: bool> $operator<f64> for Lanes<N, FUSED> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                self.map(|a| a $symbol other)
            }
        }
    )*};
}

operators!(Add add +, Sub sub -, Mul mul *);

impl<const N: usize, const FUSED: bool> Div for Lanes<N, FUSED> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
}

impl<const N: usize, const FUSED: bool> Neg for Lanes<N, FUSED> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|a| -a)
    }
}

impl<const N: usize, const FUSED: bool> AddAssign for Lanes<N, FUSED> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<const N: usize, const FUSED: bool> SubAssign for Lanes<N, FUSED> {
    #[inline(always)]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl<const N: usize, const FUSED: bool> Over<f64> for Lanes<N, FUSED> {
    #[inline(always)]
    fn scale_add(self, factor: f64, addend: Self) -> Self {
        self.times_add(factor, addend)
    }

    #[inline(always)]
    fn straight_line(self, slope: f64, intercept: f64) -> Self {
        self.map(|a| fused::<FUSED>(a, slope, intercept))
    }
}

impl<const N: usize, const FUSED: bool> Number for Lanes<N, FUSED> {
    const LANES: usize = N;

    #[inline(always)]
    fn constant(value: f64) -> Self {
        Self([value; N])
    }

    #[inline(always)]
    fn lane(&self, lane: usize) -> f64 {
        self.0[lane]
    }

    #[inline(always)]
    fn set_lane(&mut self, lane: usize, value: f64) {
        self.0[lane] = value;
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(from_fn(|lane| fused::<FUSED>(self.0[lane], factor.0[lane], addend.0[lane])))
    }

    #[inline(always)]
    fn times_add(self, factor: f64, addend: Self) -> Self {
        self.zip(addend, |a, b| fused::<FUSED>(a, factor, b))
    }

    #[inline(always)]
    fn recip(self) -> Self {
        self.map(|a| 1.0 / a)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f64::sqrt)
    }

    fn sin_cos(self) -> (Self, Self) {
        (self.map(f64::sin), self.map(f64::cos))
    }

    fn sinh_cosh(self) -> (Self, Self) {
        (self.map(f64::sinh), self.map(f64::cosh))
    }

    fn tan(self) -> Self {
        self.map(f64::tan)
    }
}
