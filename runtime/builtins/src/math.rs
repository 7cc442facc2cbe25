//! Assertions and random numbers.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use crate::quantity;
use crate::vector::Vector;
use fodo_language::{Callback, Compared, Outcome, compared, fail, report_of, script_error};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, EvalAltResult, NativeCallContext};

/// Random numbers that a seed fixes (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of a seed.
    pub fn new(seed: i64) -> Random {
        Random { state: seed as u64 }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly spread from 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Gaussian with mean 0 and deviation 1 (Box and Muller).
    fn gauss(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

fn failed(message: String) -> Box<EvalAltResult> {
    fail(Box::new(Diagnostic::new(Kind::Script, message)))
}

/// The error of a condition that does not hold, with the values that it compared.
fn holds(context: &NativeCallContext, condition: bool, message: &str) -> Outcome<()> {
    let compared = compared(context);
    if condition {
        return Ok(());
    }
    let report = Diagnostic::new(Kind::Script, message);
    let report = match compared {
        Some(Compared { left, operator, right, .. }) => {
            report.detail(format!("found {} {operator} {}", short(&left), short(&right)))
        }
        None => report,
    };
    Err(fail(Box::new(report)))
}

/// A value on one line.
fn short(value: &Dynamic) -> String {
    const LONGEST: usize = 60;
    if value.is_string() {
        return format!("{:?}", value.to_string());
    }
    let text = crate::text(value).split_whitespace().collect::<Vec<_>>().join(" ");
    match text.chars().count() > LONGEST {
        true => text.chars().take(LONGEST).chain(" …".chars()).collect(),
        false => text,
    }
}

/// The numbers of a scalar or vector, with their unit.
fn numbers(value: &Dynamic) -> Option<(Vec<f64>, Unit)> {
    if let Some(v) = value.read_lock::<Vector>() {
        return Some((v.si().to_vec(), v.unit().clone()));
    }
    quantity::from_dynamic(value).map(|q| (vec![q.si], q.unit))
}

fn near(a: &Dynamic, b: &Dynamic, tolerance: &Dynamic) -> Outcome<()> {
    let kind = || script_error("`assert_near` compares numbers, quantities or vectors");
    let ((x, unit), (y, other)) = (numbers(a).ok_or_else(kind)?, numbers(b).ok_or_else(kind)?);
    let allowed = quantity::from_dynamic(tolerance)
        .ok_or_else(|| script_error("the tolerance must be a number or a quantity"))?;
    let unit = if quantity::in_metres(&unit, &other) { Unit::position() } else { unit };
    for found in [&other, &allowed.unit] {
        if found.dimension() != unit.dimension() && !quantity::in_metres(&unit, found) {
            return Err(quantity::two_units("compared", &unit, found));
        }
    }
    if x.len() != y.len() && y.len() != 1 {
        return Err(failed(format!("vectors of {} and {} entries are compared", x.len(), y.len())));
    }
    for (i, value) in x.iter().enumerate() {
        let wanted = y[if y.len() == 1 { 0 } else { i }];
        let off = (value - wanted).abs();
        if off <= allowed.si {
            continue;
        }
        let show = |si: f64| Quantity::from_si(si, unit.clone());
        let at = if x.len() > 1 { format!("entry {i} is ") } else { String::new() };
        let message = format!(
            "{at}{} is not near {}: off by {}, allowed is {}",
            show(*value),
            show(wanted),
            show(off),
            show(allowed.si)
        );
        return Err(failed(message.replace("is  ", "is ").replacen(
            &format!("entry {i} is "),
            &format!("entry {i}: "),
            1,
        )));
    }
    Ok(())
}

/// Registers assertions and random numbers.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Random>("random");
    engine.register_global_module(exported_module!(functions).into());
    engine.register_fn("to_string", |_: &mut Random| "random".to_string());
}

#[export_module]
mod functions {
    use super::*;

    /// Stops with an error unless a condition holds.
    ///
    /// # Parameters
    /// - `condition`: `true` or `false`.
    ///
    /// # Errors
    /// - `the assertion does not hold`: the condition is `false`. What was compared last is shown: `3.1 mm < 2 mm`.
    ///
    /// # Example
    /// ```rhai
    /// assert(1 + 1 == 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert(context: NativeCallContext, condition: bool) -> Outcome<()> {
        holds(&context, condition, "the assertion does not hold")
    }

    /// Stops with an own message unless a condition holds; see `assert(condition)`.
    #[rhai_fn(name = "assert", return_raw)]
    pub fn assert_saying(context: NativeCallContext, condition: bool, message: &str) -> Outcome<()> {
        holds(&context, condition, message)
    }

    /// Stops with an error unless a value is near another.
    ///
    /// # Parameters
    /// - `value`, `wanted`: numbers [1], quantities or vectors; one `wanted` serves all entries.
    /// - `tolerance`: largest difference, in the same dimension.
    ///
    /// # Errors
    /// - `is not near`: the difference is larger, or a value is not a number.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(1000 * um, 1 * mm, 1 * nm);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert_near(value: Dynamic, wanted: Dynamic, tolerance: Dynamic) -> Outcome<()> {
        near(&value, &wanted, &tolerance)
    }

    /// Stops with an error unless a function fails with a certain message.
    ///
    /// # Parameters
    /// - `function`: takes nothing.
    /// - `part`: a part of the expected message.
    ///
    /// # Errors
    /// - `did not fail`: the function returned.
    /// - `failed otherwise`: its message does not contain `part`.
    ///
    /// # Example
    /// ```rhai
    /// assert_error(|| 1 * mm + 1 * rad, "cannot be added");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert_error(context: NativeCallContext, function: Dynamic, part: &str) -> Outcome<()> {
        let function = Callback::from_dynamic(&context, function, "the function of `assert_error`")?;
        let error = match function.call(&context, ()) {
            Ok(_) => return Err(failed(format!("the function did not fail; expected was `{part}`"))),
            Err(error) if matches!(*error, EvalAltResult::ErrorTerminated(..)) => return Err(error),
            Err(error) => error,
        };
        let message = match error.unwrap_inner() {
            EvalAltResult::ErrorRuntime(value, _) => report_of(value).message,
            other => other.to_string(),
        };
        if message.contains(part) {
            Ok(())
        } else {
            Err(failed(format!("the function failed otherwise: {message}; expected was `{part}`")))
        }
    }

    /// Makes a generator of random numbers; the same seed gives the same numbers.
    ///
    /// # Parameters
    /// - `seed`: any whole number [1].
    ///
    /// # Returns
    /// A generator with `uniform()`, `normal()`, `uniform(n)`, `normal(n)`.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let r = random(7);
    /// let kicks = r.normal(10) * (5 * urad);
    /// assert(kicks.len() == 10);
    /// ```
    pub fn random(seed: i64) -> Random {
        Random::new(seed)
    }

    /// Draws a number evenly spread from 0 to 1 [1].
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let r = random(7);
    /// assert(r.uniform() < 1.0);
    /// ```
    #[rhai_fn(volatile)]
    pub fn uniform(r: &mut Random) -> f64 {
        r.unit()
    }

    /// Draws a number with mean 0 and deviation 1 [1].
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let r = random(7);
    /// assert(abs(r.normal()) < 10.0);
    /// ```
    #[rhai_fn(volatile)]
    pub fn normal(r: &mut Random) -> f64 {
        r.gauss()
    }

    /// Draws a vector of numbers evenly spread from 0 to 1.
    ///
    /// # Parameters
    /// - `count`: how many [1].
    ///
    /// # Returns
    /// A vector [1].
    ///
    /// # Errors
    /// - `cannot be drawn`: `count` is negative or above 100 million.
    ///
    /// # Example
    /// ```rhai
    /// assert(random(7).uniform(100).len == 100);
    /// ```
    #[rhai_fn(name = "uniform", volatile, return_raw)]
    pub fn uniforms(r: &mut Random, count: i64) -> Outcome<Vector> {
        Ok(Vector::from_si((0..drawn(count)?).map(|_| r.unit()).collect(), Unit::none()))
    }

    /// Draws a vector of numbers with mean 0 and deviation 1, none of them beyond a limit: it is drawn again.
    ///
    /// # Parameters
    /// - `count`: how many [1].
    /// - `limit`: the largest size in deviations [1], above 0.
    ///
    /// # Returns
    /// A vector [1].
    ///
    /// # Errors
    /// - `cannot be drawn`: `count` is negative or above 100 million.
    /// - `must be above`: the limit is below 0.01.
    ///
    /// # Example
    /// ```rhai
    /// let offsets = random(7).normal(1000, 2.0) * (50 * um);
    /// assert(offsets.max_abs() <= 100 * um);
    /// ```
    #[rhai_fn(name = "normal", volatile, return_raw)]
    pub fn normals_within(r: &mut Random, count: i64, limit: f64) -> Outcome<Vector> {
        if limit.is_nan() || limit < 0.01 {
            return Err(script_error(format!("the limit must be above 0.01 deviations, found {limit}")));
        }
        let mut one = || loop {
            let drawn = r.gauss();
            if drawn.abs() <= limit {
                return drawn;
            }
        };
        Ok(Vector::from_si((0..drawn(count)?).map(|_| one()).collect(), Unit::none()))
    }

    /// Draws a vector of normal numbers within a whole number of deviations; see `normal(r, count, limit: number)`.
    #[rhai_fn(name = "normal", volatile, return_raw)]
    pub fn normals_within_whole(r: &mut Random, count: i64, limit: i64) -> Outcome<Vector> {
        normals_within(r, count, limit as f64)
    }

    /// Draws a whole number.
    ///
    /// # Parameters
    /// - `low`, `high`: the least and the greatest number [1].
    ///
    /// # Returns
    /// A whole number [1], each as likely as the others.
    ///
    /// # Errors
    /// - `is above`: `low` is above `high`.
    ///
    /// # Example
    /// ```rhai
    /// let dice = random(7).integer(1, 6);
    /// assert(dice >= 1 && dice <= 6);
    /// ```
    #[rhai_fn(volatile, return_raw)]
    pub fn integer(r: &mut Random, low: i64, high: i64) -> Outcome<i64> {
        if low > high {
            return Err(script_error(format!("the low limit {low} is above the high one, {high}")));
        }
        Ok(between(r, low, high))
    }

    /// Draws the order of some things.
    ///
    /// # Parameters
    /// - `count`: how many things [1].
    ///
    /// # Returns
    /// An array of the indices from 0 to `count - 1` [1] in an order by chance; `HCOR[r.shuffled(HCOR.len)]` are the devices in that order.
    ///
    /// # Errors
    /// - `cannot be drawn`: `count` is negative or above 1 million.
    ///
    /// # Example
    /// ```rhai
    /// let four = HCOR[random(7).shuffled(HCOR.len).extract(0..4)];
    /// assert(four.len == 4);
    /// ```
    #[rhai_fn(volatile, return_raw)]
    pub fn shuffled(r: &mut Random, count: i64) -> Outcome<Array> {
        if count > 1_000_000 {
            return Err(script_error(format!("{count} numbers cannot be drawn")));
        }
        let mut order: Vec<i64> = (0..drawn(count)? as i64).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, between(r, 0, last as i64) as usize);
        }
        Ok(order.into_iter().map(Dynamic::from).collect())
    }

    /// Draws a vector of numbers with mean 0 and deviation 1.
    ///
    /// # Parameters
    /// - `count`: how many [1].
    ///
    /// # Returns
    /// A vector [1].
    ///
    /// # Errors
    /// - `cannot be drawn`: `count` is negative or above 100 million.
    ///
    /// # Example
    /// ```rhai
    /// assert(random(7).normal(100).len == 100);
    /// ```
    #[rhai_fn(name = "normal", volatile, return_raw)]
    pub fn normals(r: &mut Random, count: i64) -> Outcome<Vector> {
        Ok(Vector::from_si((0..drawn(count)?).map(|_| r.gauss()).collect(), Unit::none()))
    }
}

/// A whole number from `low` to `high`, each as likely as the others.
fn between(r: &mut Random, low: i64, high: i64) -> i64 {
    let wide = (i128::from(high) - i128::from(low) + 1) as u128;
    (i128::from(low) + ((u128::from(r.bits()) * wide) >> 64) as i128) as i64
}

fn drawn(count: i64) -> Outcome<usize> {
    usize::try_from(count)
        .ok()
        .filter(|n| *n <= 100_000_000)
        .ok_or_else(|| script_error(format!("{count} numbers cannot be drawn")))
}

#[cfg(test)]
mod tests {
    use crate::quantity::bench::{fails, gives};

    #[test]
    fn assertions() {
        gives(&[
            ("assert_near(1000 * um, 1 * mm, 1 * nm); 1", "1"),
            ("assert_near(vector([1, 2]), vector([1, 2.001]), 0.01); 1", "1"),
            ("assert_error(|| throw \"the beam is lost\", \"beam\"); 1", "1"),
            ("random(3).uniform() == random(3).uniform()", "true"),
            ("let r = random(1); let v = r.normal(20000); abs(v.mean()) < 0.03 && abs(v.std() - 1) < 0.03", "true"),
            ("let r = random(1); r.uniform() != r.uniform()", "true"),
            ("random(1).normal(20000, 1.5).max_abs() <= 1.5", "true"),
            (
                "let o = random(1).shuffled(50); let first = o[0] != 0; o.sort(); `${first} ${o[0]} ${o[49]} ${o.len}`",
                "true 0 49 50",
            ),
            (
                "let r = random(1); let n = []; for i in 0..600 { n.push(r.integer(1, 6)); } let v = vector(n); `${v.min()} ${v.max()} ${abs(v.mean() - 3.5) < 0.2}`",
                "1.0 6.0 true",
            ),
        ]);
        fails(&[
            ("assert(1 == 2)", "the assertion does not hold"),
            ("assert(1 == 2, \"no\")", "no"),
            ("assert_near(1 * mm, 2 * mm, 1 * um)", "1 mm is not near 2 mm: off by 1 mm, allowed is 1 µm"),
            ("assert_near(vector([1, 5]), 1, 1)", "entry 1: 5 is not near 1: off by 4, allowed is 1"),
            (
                "assert_near(1 * mm, 2, 1)",
                "`mm` and a plain number cannot be compared: their dimensions differ | give the plain number a unit, as in `5.0 * mm`",
            ),
            ("assert_error(|| 1, \"beam\")", "the function did not fail; expected was `beam`"),
        ]);
    }
}
