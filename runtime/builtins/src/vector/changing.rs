//! Vectors from vectors: every entry changed, sorted, counted in another unit.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use super::making::making;
use super::operators::{multiply, raise};
use super::{Mask, Vector, entry, from_array, rising};
use crate::quantity::two_units;
use fodo_language::{Callback, OrFail, Outcome, script_error};
use fodo_units::{Quantity, Unit};
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, NativeCallContext};
use std::sync::Arc;

/// Registers what makes vectors of vectors.
pub(super) fn register(engine: &mut Engine) {
    engine.register_global_module(exported_module!(changing).into());
}

#[export_module]
mod changing {
    use super::*;

    /// Takes the signs off all entries.
    ///
    /// # Returns
    /// A vector in the same unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(abs(vector([-1, 2])).sum() == 3);
    /// ```
    pub fn abs(v: Vector) -> Vector {
        v.each(f64::abs)
    }

    /// Takes the square root of every entry.
    ///
    /// # Returns
    /// A vector whose unit is the root of the unit; not a number where an entry is negative.
    ///
    /// # Errors
    /// - `has no power`: the unit is no square.
    ///
    /// # Example
    /// ```rhai
    /// assert(sqrt(vector([4, 9]))[1] == 3);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sqrt(v: Vector) -> Outcome<Vector> {
        raise(&v, 0.5)
    }

    /// Sorts the entries, smallest first, missing ones last.
    ///
    /// # Returns
    /// A new vector, in the same unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(sorted(vector([3, 1, 2]))[0] == 1);
    /// ```
    pub fn sorted(v: Vector) -> Vector {
        let mut values = v.values.to_vec();
        values.sort_by(rising);
        v.with(values)
    }

    /// Sorts a vector in place, smallest entry first, missing ones last.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let v = vector([3, 1, 2]);
    /// v.sort();
    /// assert(v[0] == 1);
    /// ```
    pub fn sort(v: &mut Vector) {
        Arc::make_mut(&mut v.values).sort_by(rising);
    }

    /// Finds the order that sorts a vector: its places, that of the smallest entry first, of missing ones last.
    ///
    /// # Returns
    /// An array of indices [1]; `w[v.order()]` brings another vector into the order of `v`.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let by_size = vector([3, 1, 2]).order();
    /// assert(by_size == [1, 2, 0]);
    /// ```
    #[rhai_fn(pure)]
    pub fn order(v: &mut Vector) -> Array {
        let mut places: Vec<usize> = (0..v.values.len()).collect();
        places.sort_by(|a, b| rising(&v.values[*a], &v.values[*b]));
        places.into_iter().map(|place| Dynamic::from(place as i64)).collect()
    }

    /// Turns the order of the entries round.
    ///
    /// # Returns
    /// A new vector, in the same unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 2, 3]).reversed()[0] == 3);
    /// ```
    pub fn reversed(v: Vector) -> Vector {
        v.with(v.values.iter().rev().copied().collect())
    }

    /// Takes each entry less the one before it.
    ///
    /// # Returns
    /// A vector one shorter, in the same unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(diff(vector([1, 4, 9]))[1] == 5);
    /// ```
    pub fn diff(v: Vector) -> Vector {
        let unit = v.unit.of_difference(&v.unit);
        Vector::from_si(v.values.windows(2).map(|w| w[1] - w[0]).collect(), unit)
    }

    /// Adds up the entries from the first to each.
    ///
    /// # Returns
    /// A vector of the same length and unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(cumulative_sum(vector([1, 2, 3]))[2] == 6);
    /// ```
    #[rhai_fn(name = "cumulative_sum")]
    pub fn cumulative_sum(v: Vector) -> Vector {
        let mut total = 0.0;
        v.with(
            v.values
                .iter()
                .map(|x| {
                    total += x;
                    total
                })
                .collect(),
        )
    }

    /// Averages every entry with its neighbours.
    ///
    /// # Parameters
    /// - `count`: how many entries are averaged [1], an odd number; fewer at the ends.
    ///
    /// # Returns
    /// A vector of the same length and unit.
    ///
    /// # Errors
    /// - `must be odd`: `count` is even or not positive.
    ///
    /// # Example
    /// ```rhai
    /// assert(moving_mean(vector([0, 3, 0, 3]), 3)[1] == 1);
    /// ```
    #[rhai_fn(name = "moving_mean", return_raw)]
    pub fn moving_mean(v: Vector, count: i64) -> Outcome<Vector> {
        if count < 1 || count % 2 == 0 {
            return Err(script_error(format!("the count of a moving mean must be odd, found {count}")));
        }
        let (half, length) = ((count / 2) as usize, v.values.len());
        let around = |i: usize| {
            let part = &v.values[i.saturating_sub(half)..(i.saturating_add(half) + 1).min(length)];
            part.iter().sum::<f64>() / part.len() as f64
        };
        Ok(v.with((0..length).map(around).collect()))
    }

    /// Takes jumps of whole periods out of a vector, so that each entry is within half a period of the one before it.
    ///
    /// # Parameters
    /// - `period`: a number [1] or quantity of the vector's dimension, such as `2 * PI() * rad`, or 1 for fractional tunes.
    ///
    /// # Returns
    /// A vector of the same length and unit.
    ///
    /// # Errors
    /// - `their dimensions differ`: the period has another dimension.
    /// - `must be positive`: it is not.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(unwrap(vector([0.8, 0.1, 0.4]), 1)[1], 1.1, 1e-12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn unwrap(v: Vector, period: Dynamic) -> Outcome<Vector> {
        let period = entry(&period, &v.unit)?;
        if !(period > 0.0 && period.is_finite()) {
            return Err(script_error("the period must be positive"));
        }
        let mut turns = 0.0;
        let mut before = v.values.first().copied().unwrap_or(0.0);
        let one = |x: &f64| {
            let jump = ((x - before) / period).round();
            if jump.is_finite() {
                (turns, before) = (turns - jump, *x);
            }
            x + turns * period
        };
        Ok(v.with(v.values.iter().map(one).collect()))
    }

    /// Integrates over points by the trapezoid rule.
    ///
    /// # Parameters
    /// - `x`, `y`: places and values, vectors of one length.
    ///
    /// # Returns
    /// The integral of y over x, in the product of the units.
    ///
    /// # Errors
    /// - `do not go together`: the lengths differ.
    ///
    /// # Example
    /// ```rhai
    /// assert(integral(vector([0, 1, 3], "m"), vector([2, 2, 4], "1/m")) == 8);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn integral(x: Vector, y: Vector) -> Outcome<Dynamic> {
        let product = multiply(x.clone().into(), y.clone().into())?;
        let pieces = x.values.windows(2).zip(y.values.windows(2));
        Ok(product.one(pieces.map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0).sum()))
    }

    /// Takes entries of one vector where a mask is true, and of another where it is not.
    ///
    /// # Parameters
    /// - `mask`: what decides.
    /// - `yes`, `no`: vectors of the mask's length and one dimension, or one number [1] or quantity for all.
    ///
    /// # Returns
    /// A vector in the unit of `yes`.
    ///
    /// # Errors
    /// - `does not fit`: the lengths differ.
    /// - `their dimensions differ`: the units do not go together.
    ///
    /// # Example
    /// ```rhai
    /// let x = vector([-1, 2], "mm");
    /// assert(choose(x > 0, x, 0 * mm)[0] == 0 * mm);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn choose(mask: Mask, yes: Dynamic, no: Dynamic) -> Outcome<Vector> {
        let length = mask.0.len();
        let read = |value: &Dynamic| match value.read_lock::<Vector>() {
            Some(v) if v.values.len() == length => Ok(v.clone()),
            Some(v) => {
                Err(script_error(format!("a mask of {length} entries does not fit a vector of {}", v.values.len())))
            }
            None => making::fill(length as i64, value.clone()),
        };
        let (yes, no) = (read(&yes)?, read(&no)?);
        if yes.unit.dimension() != no.unit.dimension() {
            return Err(two_units("put together", &yes.unit, &no.unit));
        }
        let pick = |i: usize| if mask.0[i] { yes.values[i] } else { no.values[i] };
        Ok(yes.with((0..length).map(pick).collect()))
    }

    /// Counts all entries in a unit.
    ///
    /// # Parameters
    /// - `unit`: the unit, as text.
    ///
    /// # Returns
    /// A vector of plain numbers [1].
    ///
    /// # Errors
    /// - `was given where`: the vector has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(vector([1, 2], "mm").to("um")[0], 1000.0, 1e-9);
    /// ```
    #[rhai_fn(name = "to", return_raw)]
    pub fn to(v: Vector, unit: &str) -> Outcome<Vector> {
        let unit = Unit::parse(unit).or_fail()?;
        Quantity::from_si(0.0, v.unit.clone()).check(&unit).or_fail()?;
        Ok(Vector::from_si(v.values.iter().map(|x| x / unit.scale()).collect(), Unit::none()))
    }

    /// Shows a vector in a unit: the same entries, printed in that unit whatever their size.
    ///
    /// # Parameters
    /// - `unit`: the unit, as text.
    ///
    /// # Returns
    /// A vector in that unit.
    ///
    /// # Errors
    /// - `was given where`: the vector has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert(`${vector([2000, 3000], "mm").in_unit("mm")}` == "[2000, 3000] mm");
    /// ```
    #[rhai_fn(name = "in_unit", return_raw)]
    pub fn in_unit(v: Vector, unit: &str) -> Outcome<Vector> {
        let unit = Unit::parse(unit).or_fail()?;
        Quantity::from_si(0.0, v.unit.clone()).check(&unit).or_fail()?;
        Ok(Vector { values: v.values, unit: unit.as_asked() })
    }

    /// Its numbers in SI units, as a vector without unit [1].
    #[rhai_fn(get = "si", pure)]
    pub fn si(v: &mut Vector) -> Vector {
        Vector { values: v.values.clone(), unit: Unit::none() }
    }

    /// Its unit as text.
    #[rhai_fn(get = "unit", pure)]
    pub fn unit(v: &mut Vector) -> String {
        v.unit.symbol().to_string()
    }

    /// Makes an array of the entries.
    ///
    /// # Returns
    /// An array of quantities, or of numbers [1] for a vector without unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 2], "mm").to_array()[1] == 2 * mm);
    /// ```
    #[rhai_fn(name = "to_array", pure)]
    pub fn to_array(v: &mut Vector) -> Array {
        v.clone().into_iter().collect()
    }

    /// Adds an entry at the end.
    ///
    /// # Parameters
    /// - `value`: a number or quantity of the vector's dimension.
    ///
    /// # Errors
    /// - `their dimensions differ`: the value has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// let v = zeros(0, "mm");
    /// v.push(2 * um);
    /// assert(v.len() == 1);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn push(v: &mut Vector, value: Dynamic) -> Outcome<()> {
        let value = entry(&value, &v.unit)?;
        Arc::make_mut(&mut v.values).push(value);
        Ok(())
    }

    /// Calls a function with every entry and makes a vector of the results.
    ///
    /// # Parameters
    /// - `function`: takes an entry, returns a number or a quantity.
    ///
    /// # Returns
    /// A vector in the unit of the results.
    ///
    /// # Errors
    /// - `a vector has one unit`: the results differ in dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 2]).map(|x| x * x)[1] == 4);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn map(context: NativeCallContext, v: Vector, function: Dynamic) -> Outcome<Vector> {
        let function = Callback::from_dynamic(&context, function, "the function of `map`")?;
        let results = v.into_iter().map(|x| function.call(&context, (x,))).collect::<Outcome<Array>>()?;
        from_array(&results)
    }
}
