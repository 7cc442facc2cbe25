//! Vectors from nothing, from arrays and from each other.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use super::{MOST, Vector, fits, from_array};
use crate::quantity::two_units;
use fodo_language::{OrFail, Outcome, script_error};
use fodo_units::{Quantity, Unit};
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine};

/// Registers what makes vectors.
pub(super) fn register(engine: &mut Engine) {
    engine.register_global_module(exported_module!(making).into());
}

#[export_module]
pub(super) mod making {
    use super::*;

    /// Makes a vector from an array of numbers, or of quantities in one unit.
    ///
    /// # Parameters
    /// - `values`: numbers [1], or quantities of one dimension.
    ///
    /// # Returns
    /// A vector in the unit of the first entry.
    ///
    /// # Errors
    /// - `a vector has one unit`: the entries differ in dimension.
    ///
    /// # Example
    /// ```rhai
    /// let v = vector([1 * mm, 20 * um]);
    /// assert(v.len() == 2);
    /// ```
    #[rhai_fn(name = "vector", return_raw)]
    pub fn vector(values: Array) -> Outcome<Vector> {
        from_array(&values)
    }

    /// Makes a vector from an array of numbers counted in a unit.
    ///
    /// # Parameters
    /// - `values`: numbers, counted in `unit`.
    /// - `unit`: the unit, as text.
    ///
    /// # Returns
    /// A vector in that unit.
    ///
    /// # Errors
    /// - `is not a unit`: the text is no unit.
    /// - `was given where`: an entry is a quantity of another dimension.
    ///
    /// # Example
    /// ```rhai
    /// let v = vector([1.0, 2, 3], "mm");
    /// assert(v[0] == 1 * mm);
    /// ```
    #[rhai_fn(name = "vector", return_raw)]
    pub fn vector_in(values: Array, unit: &str) -> Outcome<Vector> {
        let unit = Unit::parse(unit).or_fail()?;
        let plain = from_array(&values)?;
        if !plain.unit.dimension().is_none() {
            Quantity::from_si(0.0, plain.unit.clone()).check(&unit).or_fail()?;
            return Ok(Vector { values: plain.values, unit });
        }
        Ok(Vector::from_si(plain.values.iter().map(|v| v * unit.scale()).collect(), unit))
    }

    /// Gives a vector of plain numbers a unit.
    #[rhai_fn(name = "vector", return_raw)]
    pub fn vector_with_unit(values: Vector, unit: &str) -> Outcome<Vector> {
        let unit = Unit::parse(unit).or_fail()?;
        if !values.unit.dimension().is_none() {
            Quantity::from_si(0.0, values.unit.clone()).check(&unit).or_fail()?;
            return Ok(Vector { values: values.values, unit });
        }
        Ok(Vector::from_si(values.values.iter().map(|v| v * unit.scale()).collect(), unit))
    }

    /// Makes a vector of zeros without a unit.
    ///
    /// # Parameters
    /// - `count`: how many [1].
    ///
    /// # Returns
    /// A vector [1].
    ///
    /// # Errors
    /// - `cannot be the length`: `count` is negative or above 100 million.
    ///
    /// # Example
    /// ```rhai
    /// assert(zeros(3).sum() == 0);
    /// ```
    #[rhai_fn(name = "zeros", return_raw)]
    pub fn zeros(count: i64) -> Outcome<Vector> {
        Ok(Vector::from_si(vec![0.0; length(count)?], Unit::none()))
    }

    /// Makes a vector of zeros in a unit; see `zeros(count)`.
    #[rhai_fn(name = "zeros", return_raw)]
    pub fn zeros_in(count: i64, unit: &str) -> Outcome<Vector> {
        Ok(Vector::from_si(vec![0.0; length(count)?], Unit::parse(unit).or_fail()?))
    }

    /// Makes a vector of equal entries.
    ///
    /// # Parameters
    /// - `count`: how many [1].
    /// - `value`: the entry, a number [1] or a quantity.
    ///
    /// # Returns
    /// A vector in the unit of `value`.
    ///
    /// # Errors
    /// - `cannot be the length`: `count` is negative or above 100 million.
    ///
    /// # Example
    /// ```rhai
    /// assert(fill(4, 2 * urad).sum() == 8 * urad);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn fill(count: i64, value: Dynamic) -> Outcome<Vector> {
        let one = from_array(&vec![value])?;
        Ok(one.with(vec![one.values[0]; length(count)?]))
    }

    /// Makes a vector of evenly spaced entries, both ends included.
    ///
    /// # Parameters
    /// - `from`, `to`: the ends, numbers [1] or quantities of one dimension.
    /// - `count`: how many entries [1], at least 1.
    ///
    /// # Returns
    /// A vector in the unit of `from`.
    ///
    /// # Errors
    /// - `a vector has one unit`: the ends differ in dimension.
    ///
    /// # Example
    /// ```rhai
    /// let v = linspace(-1 * mm, 1 * mm, 5);
    /// assert_near(v[1], -0.5 * mm, 1 * nm);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn linspace(from: Dynamic, to: Dynamic, count: i64) -> Outcome<Vector> {
        let ends = from_array(&vec![from, to])?;
        let (a, b) = (ends.values[0], ends.values[1]);
        let n = length(count)?;
        let step = if n > 1 { (b - a) / (n - 1) as f64 } else { 0.0 };
        Ok(ends.with((0..n).map(|i| if i + 1 == n && n > 1 { b } else { a + step * i as f64 }).collect()))
    }

    /// Joins two vectors end to end.
    ///
    /// # Parameters
    /// - `first`, `second`: vectors of one dimension.
    ///
    /// # Returns
    /// A vector in the unit of the first.
    ///
    /// # Errors
    /// - `their dimensions differ`: the units do not go together.
    ///
    /// # Example
    /// ```rhai
    /// assert(concat(vector([1, 2]), vector([3])).len() == 3);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn concat(first: Vector, second: Vector) -> Outcome<Vector> {
        if first.unit.dimension() != second.unit.dimension() {
            return Err(two_units("put together", &first.unit, &second.unit));
        }
        fits(first.values.len() + second.values.len())?;
        Ok(first.with(first.values.iter().chain(second.values.iter()).copied().collect()))
    }
}

fn length(count: i64) -> Outcome<usize> {
    usize::try_from(count)
        .ok()
        .filter(|n| *n <= MOST)
        .ok_or_else(|| script_error(format!("{count} cannot be the length of a vector")))
}
