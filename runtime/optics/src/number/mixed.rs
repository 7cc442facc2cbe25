//! First derivatives, and how they change.

use std::array::from_fn;
use std::ops::{Add, Mul, Sub};

use super::{Number, Over, derived_operators};

/// A value with its derivatives with respect to `N` variables, and the rates at which all of them change along one
/// more direction: a parameter, or a way to go through the variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixed<const N: usize> {
    /// The value.
    pub value: f64,
    /// Its derivatives with respect to the variables.
    pub slope: [f64; N],
    /// Its derivative along the direction.
    pub rate: f64,
    /// The derivatives of `slope` along the direction.
    pub slope_rate: [f64; N],
}

impl<const N: usize> Mixed<N> {
    /// Variable number `index` at `value`, which changes at `rate` along the direction.
    #[must_use]
    pub fn variable(value: f64, index: usize, rate: f64) -> Self {
        let mut made = Self::changing(value, rate);
        made.slope[index] = 1.0;
        made
    }

    /// A number that changes at `rate` along the direction and with no variable.
    #[must_use]
    pub fn changing(value: f64, rate: f64) -> Self {
        Self { value, slope: [0.0; N], rate, slope_rate: [0.0; N] }
    }

    /// A function of this number, from its value and its first two derivatives.
    #[inline(always)]
    fn chain(self, value: f64, first: f64, second: f64) -> Self {
        let turn = second * self.rate;
        Self {
            value,
            slope: from_fn(|k| self.slope[k] * first),
            rate: self.rate * first,
            slope_rate: from_fn(|k| self.slope_rate[k] * first + self.slope[k] * turn),
        }
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            value: f(self.value, other.value),
            slope: from_fn(|k| f(self.slope[k], other.slope[k])),
            rate: f(self.rate, other.rate),
            slope_rate: from_fn(|k| f(self.slope_rate[k], other.slope_rate[k])),
        }
    }
}

impl<const N: usize> Add for Mixed<N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl<const N: usize> Sub for Mixed<N> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl<const N: usize> Mul for Mixed<N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let slope_rate = |k: usize| {
            (self.slope_rate[k] * other.value + self.value * other.slope_rate[k])
                + (self.slope[k] * other.rate + self.rate * other.slope[k])
        };
        Self {
            value: self.value * other.value,
            slope: from_fn(|k| self.slope[k] * other.value + self.value * other.slope[k]),
            rate: self.rate * other.value + self.value * other.rate,
            slope_rate: from_fn(slope_rate),
        }
    }
}

impl<const N: usize> Add<f64> for Mixed<N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: f64) -> Self {
        Self { value: self.value + other, ..self }
    }
}

impl<const N: usize> Mul<f64> for Mixed<N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: f64) -> Self {
        self.zip(self, |a, _| a * other)
    }
}

derived_operators!(Mixed);

impl<const N: usize> Over<Mixed<N>> for Mixed<N> {}

impl<const N: usize> Number for Mixed<N> {
    const LANES: usize = 1;

    #[inline(always)]
    fn constant(value: f64) -> Self {
        Self::changing(value, 0.0)
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
        self.chain(inverse, -inverse * inverse, 2.0 * inverse * inverse * inverse)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, 0.5 / root, -0.25 / (root * self.value))
    }

    fn sin_cos(self) -> (Self, Self) {
        let (sine, cosine) = self.value.sin_cos();
        (self.chain(sine, cosine, -sine), self.chain(cosine, -sine, -cosine))
    }

    fn sinh_cosh(self) -> (Self, Self) {
        let (sine, cosine) = (self.value.sinh(), self.value.cosh());
        (self.chain(sine, cosine, sine), self.chain(cosine, sine, cosine))
    }

    fn asin(self) -> Self {
        let per_square = 1.0 / (1.0 - self.value * self.value);
        let first = per_square.sqrt();
        self.chain(self.value.asin(), first, self.value * first * per_square)
    }
}
