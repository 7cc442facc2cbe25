//! What stands between vectors: arithmetic, comparison, masks joined.

use super::{Mask, Vector};
use crate::quantity::{in_metres, two_units, unit_power};
use fodo_language::{Outcome, script_error};
use fodo_units::{Quantity, Unit};
use rhai::Engine;
use std::sync::Arc;

/// The other side of an operator: one number for all, or one for each.
pub(super) enum Operand {
    One(Quantity),
    Each(Vector),
}

impl From<Vector> for Operand {
    fn from(v: Vector) -> Self {
        Operand::Each(v)
    }
}

impl From<Quantity> for Operand {
    fn from(q: Quantity) -> Self {
        Operand::One(q)
    }
}

impl From<f64> for Operand {
    fn from(x: f64) -> Self {
        Operand::One(Quantity::plain(x))
    }
}

impl From<i64> for Operand {
    fn from(n: i64) -> Self {
        Operand::One(Quantity::plain(n as f64))
    }
}

impl Operand {
    fn unit(&self) -> &Unit {
        match self {
            Operand::One(q) => &q.unit,
            Operand::Each(v) => &v.unit,
        }
    }

    fn is_zero(&self) -> bool {
        matches!(self, Operand::One(q) if q.si == 0.0 && q.dimension().is_none())
    }

    pub(super) fn get(&self, index: usize) -> f64 {
        match self {
            Operand::One(q) => q.si,
            Operand::Each(v) => v.values[index],
        }
    }

    /// Length of the two together.
    fn length(&self, other: &Operand) -> Outcome<usize> {
        match (self, other) {
            (Operand::Each(a), Operand::Each(b)) if a.values.len() != b.values.len() => Err(script_error(format!(
                "vectors of {} and {} entries do not go together",
                a.values.len(),
                b.values.len()
            ))),
            (Operand::Each(v), _) | (_, Operand::Each(v)) => Ok(v.values.len()),
            _ => Ok(1),
        }
    }

    /// A unit of the same dimension for both sides.
    pub(super) fn same(&self, other: &Operand, act: &str) -> Outcome<Unit> {
        match self.unit().dimension() == other.unit().dimension() {
            true => Ok(self.unit().clone()),
            false => Err(two_units(act, self.unit(), other.unit())),
        }
    }
}

pub(super) fn combine(a: &Operand, b: &Operand, unit: Unit, function: impl Fn(f64, f64) -> f64) -> Outcome<Vector> {
    let length = a.length(b)?;
    Ok(Vector::from_si((0..length).map(|i| function(a.get(i), b.get(i))).collect(), unit))
}

fn add(a: Operand, b: Operand) -> Outcome<Vector> {
    let unit = a.same(&b, "added")?.of_sum(b.unit());
    combine(&a, &b, unit, |x, y| x + y)
}

fn subtract(a: Operand, b: Operand) -> Outcome<Vector> {
    let unit = a.same(&b, "subtracted")?.of_difference(b.unit());
    combine(&a, &b, unit, |x, y| x - y)
}

pub(super) fn multiply(a: Operand, b: Operand) -> Outcome<Vector> {
    let unit = Quantity::from_si(1.0, a.unit().clone()).times(&Quantity::from_si(1.0, b.unit().clone())).unit;
    combine(&a, &b, unit, |x, y| x * y)
}

fn divide(a: Operand, b: Operand) -> Outcome<Vector> {
    let unit = Quantity::from_si(1.0, a.unit().clone()).over(&Quantity::from_si(1.0, b.unit().clone())).unit;
    combine(&a, &b, unit, |x, y| x / y)
}

fn compare(a: Operand, b: Operand, function: impl Fn(f64, f64) -> bool) -> Outcome<Mask> {
    if !a.is_zero() && !b.is_zero() && !in_metres(a.unit(), b.unit()) {
        a.same(&b, "compared")?;
    }
    let length = a.length(&b)?;
    Ok(Mask(Arc::new((0..length).map(|i| function(a.get(i), b.get(i))).collect())))
}

macro_rules! both_sides {
    ($engine:ident, $name:literal, $function:expr; $($other:ty),*) => {
        $engine.register_fn($name, |a: Vector, b: Vector| $function(a.into(), b.into()));
        $($engine.register_fn($name, |a: Vector, b: $other| $function(a.into(), b.into()));
          $engine.register_fn($name, |a: $other, b: Vector| $function(a.into(), b.into()));)*
    };
}

pub(super) fn register(engine: &mut Engine) {
    both_sides!(engine, "+", add; Quantity, f64, i64);
    both_sides!(engine, "-", subtract; Quantity, f64, i64);
    both_sides!(engine, "*", multiply; Quantity, f64, i64);
    both_sides!(engine, "/", divide; Quantity, f64, i64);
    both_sides!(engine, "<", |a, b| compare(a, b, |x, y| x < y); Quantity, f64, i64);
    both_sides!(engine, "<=", |a, b| compare(a, b, |x, y| x <= y); Quantity, f64, i64);
    both_sides!(engine, ">", |a, b| compare(a, b, |x, y| x > y); Quantity, f64, i64);
    both_sides!(engine, ">=", |a, b| compare(a, b, |x, y| x >= y); Quantity, f64, i64);
    engine.register_fn("-", |a: Vector| a.each(|x| -x));
    engine.register_fn("+", |a: Vector| a);
    engine.register_fn("**", |a: Vector, b: i64| raise(&a, b as f64));
    engine.register_fn("**", |a: Vector, b: f64| raise(&a, b));
    engine.register_fn("==", |a: Vector, b: Vector| a.unit.dimension() == b.unit.dimension() && a.values == b.values);
    engine.register_fn("!=", |a: Vector, b: Vector| a.unit.dimension() != b.unit.dimension() || a.values != b.values);
    engine.register_fn("to_string", |a: &mut Vector| a.to_string());
    engine.register_fn("to_debug", |a: &mut Vector| a.to_string());
    engine.register_fn("+", |a: &str, b: Vector| format!("{a}{b}"));
    engine.register_fn("&", |a: Mask, b: Mask| join_masks(&a, &b, |x, y| x && y));
    engine.register_fn("|", |a: Mask, b: Mask| join_masks(&a, &b, |x, y| x || y));
    engine.register_fn("!", |a: Mask| Mask(Arc::new(a.0.iter().map(|x| !x).collect())));
    engine.register_fn("==", |a: Mask, b: Mask| a == b);
    engine.register_fn("!=", |a: Mask, b: Mask| a != b);
    engine.register_fn("to_string", |a: &mut Mask| a.to_string());
    engine.register_fn("to_debug", |a: &mut Mask| a.to_string());
}

pub(super) fn raise(a: &Vector, exponent: f64) -> Outcome<Vector> {
    let unit = unit_power(&a.unit, exponent)?;
    Ok(Vector::from_si(a.values.iter().map(|x| x.powf(exponent)).collect(), unit))
}

fn join_masks(a: &Mask, b: &Mask, function: impl Fn(bool, bool) -> bool) -> Outcome<Mask> {
    if a.0.len() != b.0.len() {
        return Err(script_error(format!("masks of {} and {} entries do not go together", a.0.len(), b.0.len())));
    }
    Ok(Mask(Arc::new(a.0.iter().zip(b.0.iter()).map(|(x, y)| function(*x, *y)).collect())))
}
