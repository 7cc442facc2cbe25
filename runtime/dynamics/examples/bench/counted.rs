//! A number that counts what is done with it: every map is generic, so tracking it counts the work of an element.

// a quotient is a product with the inverse
#![allow(clippy::suspicious_arithmetic_impl)]

use std::cell::Cell;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use fodo_lattice::Lattice;
use fodo_optics::number::{Number, Over};
use fodo_optics::{Effects, Point, Ring};
use serde_json::{Value, json};

use crate::clock::Result;

/// Operations, a product and the sum it goes into being one.
#[derive(Clone, Copy, Default)]
struct Counts {
    fused: i64,
    products: i64,
    sums: i64,
    /// Divisions, roots.
    slow: i64,
    /// Sines and their like.
    functions: i64,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { fused: 0, products: 0, sums: 0, slow: 0, functions: 0 }) };
}

fn note(how: impl FnOnce(&mut Counts)) {
    COUNTS.with(|counts| {
        let mut now = counts.get();
        how(&mut now);
        counts.set(now);
    });
}

/// One particle; `product` if the last thing done was a multiplication.
#[derive(Clone, Copy)]
struct Counted {
    value: f64,
    product: bool,
}

fn plain(value: f64) -> Counted {
    Counted { value, product: false }
}

fn product(value: f64) -> Counted {
    note(|counts| counts.products += 1);
    Counted { value, product: true }
}

fn sum(value: f64, of_product: bool) -> Counted {
    note(|counts| {
        if of_product {
            counts.fused += 1;
            counts.products -= 1;
        } else {
            counts.sums += 1;
        }
    });
    plain(value)
}

fn slow(value: f64) -> Counted {
    note(|counts| counts.slow += 1);
    plain(value)
}

fn function(value: f64) -> Counted {
    note(|counts| counts.functions += 1);
    plain(value)
}

impl Add for Counted {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        sum(self.value + other.value, self.product || other.product)
    }
}

impl Sub for Counted {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        sum(self.value - other.value, self.product || other.product)
    }
}

impl Mul for Counted {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        product(self.value * other.value)
    }
}

impl Div for Counted {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        slow(self.value / other.value)
    }
}

impl Neg for Counted {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, ..self }
    }
}

impl AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Counted {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Add<f64> for Counted {
    type Output = Self;
    fn add(self, other: f64) -> Self {
        sum(self.value + other, self.product)
    }
}

impl Sub<f64> for Counted {
    type Output = Self;
    fn sub(self, other: f64) -> Self {
        sum(self.value - other, self.product)
    }
}

impl Mul<f64> for Counted {
    type Output = Self;
    fn mul(self, other: f64) -> Self {
        product(self.value * other)
    }
}

impl Over<f64> for Counted {}

impl Number for Counted {
    const LANES: usize = 1;

    fn constant(value: f64) -> Self {
        plain(value)
    }

    fn lane(&self, _lane: usize) -> f64 {
        self.value
    }

    fn set_lane(&mut self, _lane: usize, value: f64) {
        *self = plain(value);
    }

    fn recip(self) -> Self {
        slow(1.0 / self.value)
    }

    fn sqrt(self) -> Self {
        slow(self.value.sqrt())
    }

    fn sin_cos(self) -> (Self, Self) {
        (function(self.value.sin()), function(self.value.cos()))
    }

    fn sinh_cosh(self) -> (Self, Self) {
        (function(self.value.sinh()), function(self.value.cosh()))
    }
}

/// Operations of one particle and element, the mean over the ring, without and with radiation.
pub fn measure(lattice: &Lattice) -> Result<Value> {
    Ok(json!({ "track": mean(lattice, Effects::NONE)?, "track_radiation": mean(lattice, Effects::ALL)? }))
}

fn mean(lattice: &Lattice, effects: Effects) -> Result<Value> {
    let ring = Ring::new(lattice, effects);
    COUNTS.set(Counts::default());
    let mut z: Point<Counted> = [1e-4, 1e-6, 5e-5, -1e-6, 1e-5, 0.0].map(plain);
    ring.pass(&mut z, 0.0).map_err(|index| format!("the particle is lost after element {index}"))?;
    let counts = COUNTS.get();
    let each = |count: i64| count as f64 / ring.len() as f64;
    Ok(json!({
        "fused": each(counts.fused), "products": each(counts.products), "sums": each(counts.sums),
        "slow": each(counts.slow), "functions": each(counts.functions),
    }))
}
