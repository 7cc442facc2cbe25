//! One number from many: sums, means, spreads, extremes.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use super::operators::multiply;
use super::{Vector, entry};
use crate::quantity::in_metres;
use fodo_language::{Outcome, script_error};
use rhai::plugin::*;
use rhai::{Dynamic, Engine};

/// Registers what sums vectors up.
pub(super) fn register(engine: &mut Engine) {
    engine.register_global_module(exported_module!(summing).into());
}

#[export_module]
mod summing {
    use super::*;

    /// Counts the entries of a vector [1]; also a property, `v.len`.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 2, 3]).len() == 3);
    /// ```
    #[rhai_fn(name = "len", get = "len", pure)]
    pub fn len(v: &mut Vector) -> i64 {
        v.values.len() as i64
    }

    /// Tells whether a vector has no entries; also a property.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(zeros(0).is_empty());
    /// ```
    #[rhai_fn(name = "is_empty", get = "is_empty", pure)]
    pub fn is_empty(v: &mut Vector) -> bool {
        v.values.is_empty()
    }

    /// Adds all entries.
    ///
    /// # Returns
    /// The sum, in the vector's unit; 0 for an empty vector.
    ///
    /// # Errors
    /// None; a missing entry makes the sum not a number.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 2, 3]).sum() == 6);
    /// ```
    #[rhai_fn(pure)]
    pub fn sum(v: &mut Vector) -> Dynamic {
        v.one(v.values.iter().sum())
    }

    /// Averages all entries.
    ///
    /// # Returns
    /// The mean, in the vector's unit.
    ///
    /// # Errors
    /// - `has no mean`: the vector is empty.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 2, 3], "mm").mean() == 2 * mm);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn mean(v: &mut Vector) -> Outcome<Dynamic> {
        v.not_empty("mean")?;
        Ok(v.one(v.values.iter().sum::<f64>() / v.values.len() as f64))
    }

    /// Measures the spread of the entries about their mean, dividing by one less than their number.
    ///
    /// # Returns
    /// The standard deviation, in the vector's unit; 0 for one entry.
    ///
    /// # Errors
    /// - `has no standard deviation`: the vector is empty.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(vector([1, 2, 3]).std(), 1.0, 1e-12);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn std(v: &mut Vector) -> Outcome<Dynamic> {
        v.not_empty("standard deviation")?;
        let n = v.values.len() as f64;
        let mean = v.values.iter().sum::<f64>() / n;
        let squares: f64 = v.values.iter().map(|x| (x - mean).powi(2)).sum();
        Ok(v.spread((squares / (n - 1.0).max(1.0)).sqrt()))
    }

    /// Takes the root of the mean square of the entries.
    ///
    /// # Returns
    /// The rms, in the vector's unit; the mean is not taken off.
    ///
    /// # Errors
    /// - `has no rms`: the vector is empty.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(vector([3, 4]).rms(), sqrt(12.5), 1e-12);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn rms(v: &mut Vector) -> Outcome<Dynamic> {
        v.not_empty("rms")?;
        Ok(v.one(v.rms()))
    }

    /// Finds the smallest entry.
    ///
    /// # Returns
    /// The entry; not a number when one is missing.
    ///
    /// # Errors
    /// - `has no minimum`: the vector is empty.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([3, 1, 2]).min() == 1);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn min(v: &mut Vector) -> Outcome<Dynamic> {
        v.not_empty("minimum")?;
        Ok(v.one(extreme(&v.values, |x, best| x < best)))
    }

    /// Finds the largest entry.
    ///
    /// # Returns
    /// The entry; not a number when one is missing.
    ///
    /// # Errors
    /// - `has no maximum`: the vector is empty.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([3, 1, 2]).max() == 3);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn max(v: &mut Vector) -> Outcome<Dynamic> {
        v.not_empty("maximum")?;
        Ok(v.one(extreme(&v.values, |x, best| x > best)))
    }

    /// Finds the largest entry, signs left aside.
    ///
    /// # Returns
    /// The largest absolute value, in the vector's unit; 0 for an empty vector.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, -3, 2]).max_abs() == 3);
    /// ```
    #[rhai_fn(name = "max_abs", pure)]
    pub fn max_abs(v: &mut Vector) -> Dynamic {
        v.one(v.max_abs())
    }

    /// Finds where the largest entry is.
    ///
    /// # Returns
    /// Its index [1]; that of a missing entry, if there is one.
    ///
    /// # Errors
    /// - `has no maximum`: the vector is empty.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([2, 1, 3]).index_of_max() == 2);
    /// ```
    #[rhai_fn(name = "index_of_max", pure, return_raw)]
    pub fn index_of_max(v: &mut Vector) -> Outcome<i64> {
        v.not_empty("maximum")?;
        let best = extreme(&v.values, |x, best| x > best);
        Ok(v.values.iter().position(|x| *x == best || x.is_nan()).unwrap_or(0) as i64)
    }

    /// Finds where the smallest entry is.
    ///
    /// # Returns
    /// Its index [1]; that of a missing entry, if there is one.
    ///
    /// # Errors
    /// - `has no minimum`: the vector is empty.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([2, 1, 3]).index_of_min() == 1);
    /// ```
    #[rhai_fn(name = "index_of_min", pure, return_raw)]
    pub fn index_of_min(v: &mut Vector) -> Outcome<i64> {
        v.not_empty("minimum")?;
        let best = extreme(&v.values, |x, best| x < best);
        Ok(v.values.iter().position(|x| *x == best || x.is_nan()).unwrap_or(0) as i64)
    }

    /// Finds the middle entry: half of the entries are smaller.
    ///
    /// # Returns
    /// The median, in the vector's unit; the mean of the two in the middle of an even number.
    ///
    /// # Errors
    /// - `has no median`: the vector is empty.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 100, 3], "mm").median() == 3 * mm);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn median(v: &mut Vector) -> Outcome<Dynamic> {
        v.not_empty("median")?;
        Ok(v.one(quantile(&v.values, 0.5)))
    }

    /// Finds the value below which a part of the entries lies, interpolated between the two nearest entries.
    ///
    /// # Parameters
    /// - `part`: the part: a number of percent [1], 0 to 100, or a quantity such as `95 * percent`.
    ///
    /// # Returns
    /// The value, in the vector's unit; not a number when an entry is missing.
    ///
    /// # Errors
    /// - `has no percentile`: the vector is empty.
    /// - `is no percentage`: `part` is outside 0 to 100.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(linspace(0, 1, 101).percentile(95), 0.95, 1e-12);
    /// assert(linspace(0, 1, 101).percentile(50 * percent) == 0.5);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn percentile(v: &mut Vector, part: Dynamic) -> Outcome<Dynamic> {
        v.not_empty("percentile")?;
        let percent = crate::quantity::from_dynamic(&part).and_then(|q| match q.unit.symbol() {
            "1" => Some(q.si),
            "%" | "percent" | "permille" => Some(q.si * 100.0),
            _ => None,
        });
        match percent {
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(v.one(quantile(&v.values, percent / 100.0))),
            _ => Err(script_error(format!("{} is no percentage: it goes from 0 to 100", crate::text(&part)))),
        }
    }

    /// Measures how two vectors vary together about their means, dividing by one less than their number.
    ///
    /// # Parameters
    /// - `a`, `b`: vectors of one length, at least 2 entries.
    ///
    /// # Returns
    /// The covariance, in the product of the units.
    ///
    /// # Errors
    /// - `do not go together`: the lengths differ.
    /// - `at least 2 entries`: there are fewer.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(covariance(vector([1, 2, 3], "mm"), vector([2, 4, 6], "A")), 2 * mm * A, 1e-12 * mm * A);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn covariance(a: Vector, b: Vector) -> Outcome<Dynamic> {
        let product = about_means(&a, &b)?;
        Ok(product.one(product.values.iter().sum::<f64>() / (product.values.len() - 1) as f64))
    }

    /// Measures how far two vectors vary alike (Pearson's coefficient).
    ///
    /// # Parameters
    /// - `a`, `b`: vectors of one length, at least 2 entries; any units.
    ///
    /// # Returns
    /// The correlation [1], -1 to 1; not a number when one of them does not vary.
    ///
    /// # Errors
    /// - `do not go together`: the lengths differ.
    /// - `at least 2 entries`: there are fewer.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(correlation(vector([1, 2, 3], "mm"), vector([6, 4, 2], "A")), -1, 1e-12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn correlation(a: Vector, b: Vector) -> Outcome<f64> {
        let sum = |x: &Vector, y: &Vector| about_means(x, y).map(|product| product.values.iter().sum::<f64>());
        Ok(sum(&a, &b)? / (sum(&a, &a)? * sum(&b, &b)?).sqrt())
    }

    /// Finds the entry that is nearest to a value.
    ///
    /// # Parameters
    /// - `value`: a number [1] or quantity of the vector's dimension.
    ///
    /// # Returns
    /// Its index [1], the first of several; missing entries are passed over.
    ///
    /// # Errors
    /// - `has no nearest entry`: the vector is empty, or all entries are missing.
    /// - `their dimensions differ`: the value has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 2, 4], "m").index_of_nearest(2.9 * m) == 1);
    /// ```
    #[rhai_fn(name = "index_of_nearest", pure, return_raw)]
    pub fn index_of_nearest(v: &mut Vector, value: Dynamic) -> Outcome<i64> {
        let value = match crate::quantity::from_dynamic(&value) {
            Some(number) if in_metres(&v.unit, &number.unit) => number.si,
            _ => entry(&value, &v.unit)?,
        };
        let far = |x: &f64| (x - value).abs();
        let found = v.values.iter().enumerate().filter(|(_, x)| !x.is_nan());
        let found = found.min_by(|(_, a), (_, b)| far(a).total_cmp(&far(b)));
        found.map(|(at, _)| at as i64).ok_or_else(|| script_error("an empty vector has no nearest entry"))
    }

    /// Multiplies two vectors entry by entry and adds up.
    ///
    /// # Returns
    /// The scalar product, in the product of the units.
    ///
    /// # Errors
    /// - `do not go together`: the lengths differ.
    ///
    /// # Example
    /// ```rhai
    /// assert(dot(vector([1, 2]), vector([3, 4])) == 11);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn dot(a: Vector, b: Vector) -> Outcome<Dynamic> {
        let product = multiply(a.into(), b.into())?;
        Ok(product.one(product.values.iter().sum()))
    }

    /// Takes the root of the sum of squares of the entries.
    ///
    /// # Returns
    /// The norm, in the vector's unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(vector([3, 4]).norm(), 5.0, 1e-12);
    /// ```
    #[rhai_fn(pure)]
    pub fn norm(v: &mut Vector) -> Dynamic {
        v.one(v.values.iter().map(|x| x * x).sum::<f64>().sqrt())
    }

    /// Tells whether every entry is a finite number.
    ///
    /// # Returns
    /// `true` or `false`; `finite(v)` gives the mask of the good ones.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(vector([1, 2]).is_finite());
    /// ```
    #[rhai_fn(name = "is_finite", pure)]
    pub fn is_finite(v: &mut Vector) -> bool {
        v.values.iter().all(|x| x.is_finite())
    }
}

/// The value below which a part of the entries lies (type 7 of R. J. Hyndman and Y. Fan, Am. Stat. 50 (1996) 361).
fn quantile(values: &[f64], part: f64) -> f64 {
    if values.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = part * (sorted.len() - 1) as f64;
    let (low, rest) = (place.floor() as usize, place.fract());
    match sorted.get(low + 1) {
        Some(next) if rest > 0.0 => sorted[low] + rest * (next - sorted[low]),
        _ => sorted[low],
    }
}

/// Products of two vectors, each less its mean.
fn about_means(a: &Vector, b: &Vector) -> Outcome<Vector> {
    let less = |v: &Vector| {
        let mean = v.values.iter().sum::<f64>() / v.values.len() as f64;
        v.each(|x| x - mean)
    };
    let product = multiply(less(a).into(), less(b).into())?;
    match product.values.len() {
        0 | 1 => Err(script_error("at least 2 entries are needed to see how two vectors vary together")),
        _ => Ok(product),
    }
}

/// The best entry; a missing one wins, so that it cannot go unseen.
fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best = values.first().copied().unwrap_or(f64::NAN);
    for &x in values {
        if x.is_nan() {
            return x;
        }
        if better(x, best) {
            best = x;
        }
    }
    best
}
