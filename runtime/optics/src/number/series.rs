//! Power series to second order.

use std::array::from_fn;
use std::ops::{Add, Mul, Sub};

use super::{Number, derived_operators};

/// A power series in `N` variables, cut after the second order:
/// `value + sum slope[i] v_i + sum_{i, j} half_curvature[i][j] v_i v_j`, the last with a symmetric matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series<const N: usize> {
    /// The constant term.
    pub value: f64,
    /// The linear terms.
    pub slope: [f64; N],
    /// The quadratic terms: half the second derivatives, symmetric.
    pub half_curvature: [[f64; N]; N],
}

impl<const N: usize> Series<N> {
    /// Variable number `index`, expanded about `value`.
    #[must_use]
    pub fn variable(value: f64, index: usize) -> Self {
        let mut series = Self::constant(value);
        series.slope[index] = 1.0;
        series
    }

    /// A function of this series, from its value and its first two derivatives.
    #[inline(always)]
    fn chain(self, value: f64, first: f64, second: f64) -> Self {
        let half = 0.5 * second;
        let curve = |i: usize, j: usize| first * self.half_curvature[i][j] + half * self.slope[i] * self.slope[j];
        Self { value, slope: from_fn(|i| first * self.slope[i]), half_curvature: from_fn(|i| from_fn(|j| curve(i, j))) }
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            value: f(self.value, other.value),
            slope: from_fn(|i| f(self.slope[i], other.slope[i])),
            half_curvature: from_fn(|i| from_fn(|j| f(self.half_curvature[i][j], other.half_curvature[i][j]))),
        }
    }
}

impl<const N: usize> Add for Series<N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl<const N: usize> Sub for Series<N> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl<const N: usize> Mul for Series<N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let cross = |i: usize, j: usize| 0.5 * (self.slope[i] * other.slope[j] + self.slope[j] * other.slope[i]);
        let curve = |i: usize, j: usize| {
            self.half_curvature[i][j] * other.value + self.value * other.half_curvature[i][j] + cross(i, j)
        };
        Self {
            value: self.value * other.value,
            slope: from_fn(|i| self.slope[i] * other.value + self.value * other.slope[i]),
            half_curvature: from_fn(|i| from_fn(|j| curve(i, j))),
        }
    }
}

impl<const N: usize> Add<f64> for Series<N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: f64) -> Self {
        Self { value: self.value + other, ..self }
    }
}

impl<const N: usize> Mul<f64> for Series<N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: f64) -> Self {
        self.zip(self, |a, _| a * other)
    }
}

derived_operators!(Series);

impl<const N: usize> Number for Series<N> {
    const LANES: usize = 1;

    fn constant(value: f64) -> Self {
        Self { value, slope: [0.0; N], half_curvature: [[0.0; N]; N] }
    }

    fn lane(&self, _lane: usize) -> f64 {
        self.value
    }

    fn set_lane(&mut self, _lane: usize, value: f64) {
        *self = Self::constant(value);
    }

    fn recip(self) -> Self {
        let inverse = 1.0 / self.value;
        self.chain(inverse, -inverse * inverse, 2.0 * inverse * inverse * inverse)
    }

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
}
