//! First derivatives.

use std::array::from_fn;
use std::ops::{Add, Mul, Sub};

use super::{Number, derived_operators};

/// A value and its derivatives with respect to `N` variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<const N: usize> {
    /// The value.
    pub value: f64,
    /// Its derivatives.
    pub slope: [f64; N],
}

impl<const N: usize> Dual<N> {
    /// Variable number `index`, at `value`.
    #[must_use]
    pub fn variable(value: f64, index: usize) -> Self {
        let mut slope = [0.0; N];
        slope[index] = 1.0;
        Self { value, slope }
    }

    /// A function of this number, from its value and its derivative.
    #[inline(always)]
    fn chain(self, value: f64, derivative: f64) -> Self {
        Self { value, slope: from_fn(|k| self.slope[k] * derivative) }
    }
}

impl<const N: usize> Add for Dual<N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, slope: from_fn(|k| self.slope[k] + other.slope[k]) }
    }
}

impl<const N: usize> Sub for Dual<N> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { value: self.value - other.value, slope: from_fn(|k| self.slope[k] - other.slope[k]) }
    }
}

impl<const N: usize> Mul for Dual<N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self {
            value: self.value * other.value,
            slope: from_fn(|k| self.slope[k] * other.value + self.value * other.slope[k]),
        }
    }
}

impl<const N: usize> Add<f64> for Dual<N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: f64) -> Self {
        Self { value: self.value + other, ..self }
    }
}

impl<const N: usize> Mul<f64> for Dual<N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: f64) -> Self {
        self.chain(self.value * other, other)
    }
}

derived_operators!(Dual);

impl<const N: usize> Number for Dual<N> {
    const LANES: usize = 1;

    #[inline(always)]
    fn constant(value: f64) -> Self {
        Self { value, slope: [0.0; N] }
    }

    #[inline(always)]
    fn lane(&self, _lane: usize) -> f64 {
        self.value
    }

    fn set_lane(&mut self, _lane: usize, value: f64) {
        *self = Self::constant(value);
    }

    #[inline(always)]
    fn recip(self) -> Self {
        let inverse = 1.0 / self.value;
        self.chain(inverse, -inverse * inverse)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, 0.5 / root)
    }

    fn sin_cos(self) -> (Self, Self) {
        let (sine, cosine) = self.value.sin_cos();
        (self.chain(sine, cosine), self.chain(cosine, -sine))
    }

    fn asin(self) -> Self {
        self.chain(self.value.asin(), 1.0 / (1.0 - self.value * self.value).sqrt())
    }

    fn sinh_cosh(self) -> (Self, Self) {
        let (sine, cosine) = (self.value.sinh(), self.value.cosh());
        (self.chain(sine, cosine), self.chain(cosine, sine))
    }
}
