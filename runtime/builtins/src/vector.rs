//! Vectors: many numbers with one unit, and the masks that choose among them.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use crate::quantity::{self, two_units, unit_power};
use fodo_language::{Callback, OrFail, Outcome, article, script_error, type_word};
use fodo_units::{Quantity, Unit};
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, NativeCallContext};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// Many numbers with one unit. A copy is cheap; writing to one copy leaves the others alone.
#[derive(Clone, Debug)]
pub struct Vector {
    values: Arc<Vec<f64>>,
    unit: Unit,
}

/// Yes or no for each entry of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask(pub Arc<Vec<bool>>);

impl Vector {
    /// A vector of SI numbers, shown in `unit`.
    pub fn from_si(values: Vec<f64>, unit: Unit) -> Vector {
        Vector { values: Arc::new(values), unit }
    }

    /// The numbers in SI.
    pub fn si(&self) -> &[f64] {
        &self.values
    }

    /// The unit it is shown in.
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// The numbers counted in the unit it is shown in.
    pub fn shown(&self) -> Vec<f64> {
        self.values.iter().map(|v| v / self.unit.scale()).collect()
    }

    /// One number from all, in the vector's unit.
    fn one(&self, si: f64) -> Dynamic {
        quantity::of(si, self.unit.clone())
    }

    fn with(&self, values: Vec<f64>) -> Vector {
        Vector::from_si(values, self.unit.clone())
    }

    fn each(&self, function: impl Fn(f64) -> f64) -> Vector {
        self.with(self.values.iter().map(|v| function(*v)).collect())
    }

    fn not_empty(&self, what: &str) -> Outcome<()> {
        if self.values.is_empty() { Err(script_error(format!("an empty vector has no {what}"))) } else { Ok(()) }
    }

    fn rms(&self) -> f64 {
        (self.values.iter().map(|v| v * v).sum::<f64>() / self.values.len() as f64).sqrt()
    }

    fn max_abs(&self) -> f64 {
        self.values.iter().fold(0.0, |a: f64, v| if v.is_nan() || a.is_nan() { f64::NAN } else { a.max(v.abs()) })
    }
}

impl std::fmt::Display for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let finite = self.values.iter().filter(|v| v.is_finite()).fold(0.0, |a: f64, v| a.max(v.abs()));
        let unit = self.unit.for_value(finite);
        let number = |v: &f64| Quantity::plain(v / unit.scale()).to_string();
        let numbers = |part: &[f64]| part.iter().map(number).collect::<Vec<_>>().join(", ");
        let symbol = if unit.symbol() == "1" { String::new() } else { format!(" {unit}") };
        match self.values.as_slice() {
            short if short.len() <= 8 => write!(f, "[{}]{symbol}", numbers(short)),
            long => write!(
                f,
                "[{}, …, {}]{symbol} ({} entries, rms {}{symbol})",
                numbers(&long[..4]),
                numbers(&long[long.len() - 2..]),
                long.len(),
                number(&self.rms())
            ),
        }
    }
}

/// The other side of an operator: one number for all, or one for each.
enum Operand {
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

    fn get(&self, index: usize) -> f64 {
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
    fn same(&self, other: &Operand, act: &str) -> Outcome<Unit> {
        match self.unit().dimension() == other.unit().dimension() {
            true => Ok(self.unit().clone()),
            false => Err(two_units(act, self.unit(), other.unit())),
        }
    }
}

fn combine(a: Operand, b: Operand, unit: Unit, function: impl Fn(f64, f64) -> f64) -> Outcome<Vector> {
    let length = a.length(&b)?;
    Ok(Vector::from_si((0..length).map(|i| function(a.get(i), b.get(i))).collect(), unit))
}

fn add(a: Operand, b: Operand) -> Outcome<Vector> {
    let unit = a.same(&b, "added")?;
    combine(a, b, unit, |x, y| x + y)
}

fn subtract(a: Operand, b: Operand) -> Outcome<Vector> {
    let unit = a.same(&b, "subtracted")?;
    combine(a, b, unit, |x, y| x - y)
}

fn multiply(a: Operand, b: Operand) -> Outcome<Vector> {
    let unit = Quantity::from_si(1.0, a.unit().clone()).times(&Quantity::from_si(1.0, b.unit().clone())).unit;
    combine(a, b, unit, |x, y| x * y)
}

fn divide(a: Operand, b: Operand) -> Outcome<Vector> {
    let unit = Quantity::from_si(1.0, a.unit().clone()).over(&Quantity::from_si(1.0, b.unit().clone())).unit;
    combine(a, b, unit, |x, y| x / y)
}

fn compare(a: Operand, b: Operand, function: impl Fn(f64, f64) -> bool) -> Outcome<Mask> {
    if !a.is_zero() && !b.is_zero() {
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

fn operators(engine: &mut Engine) {
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
    engine.register_fn("to_string", |a: &mut Mask| mask_text(a));
    engine.register_fn("to_debug", |a: &mut Mask| mask_text(a));
}

fn mask_text(mask: &Mask) -> String {
    format!("mask: {} of {}", mask.0.iter().filter(|x| **x).count(), mask.0.len())
}

fn raise(a: &Vector, exponent: f64) -> Outcome<Vector> {
    let unit = unit_power(&a.unit, exponent)?;
    Ok(Vector::from_si(a.values.iter().map(|x| x.powf(exponent)).collect(), unit))
}

fn join_masks(a: &Mask, b: &Mask, function: impl Fn(bool, bool) -> bool) -> Outcome<Mask> {
    if a.0.len() != b.0.len() {
        return Err(script_error(format!("masks of {} and {} entries do not go together", a.0.len(), b.0.len())));
    }
    Ok(Mask(Arc::new(a.0.iter().zip(b.0.iter()).map(|(x, y)| function(*x, *y)).collect())))
}

/// An index from the front, or a negative one from the back.
pub(crate) fn place(index: i64, length: usize, what: &str) -> Outcome<usize> {
    let from_front = if index < 0 { index + length as i64 } else { index };
    usize::try_from(from_front).ok().filter(|i| *i < length).ok_or_else(|| {
        let range = if length == 0 {
            "it is empty".to_string()
        } else {
            format!("indices go from 0 to {}, or -1 to -{length} from the end", length - 1)
        };
        let report = fodo_report::Diagnostic::new(
            fodo_report::Kind::Script,
            format!("index {index} is outside {} of {length}", article(what)),
        );
        fodo_language::fail(Box::new(report.hint(range)))
    })
}

/// The places a range covers; an open end arrives as the largest integer and is cut.
pub(crate) fn places(start: i64, end: i64, length: usize) -> Range<usize> {
    let bound = |i: i64| (if i < 0 { i + length as i64 } else { i }).clamp(0, length as i64) as usize;
    let (start, end) = (bound(start), bound(end));
    start..end.max(start)
}

/// The places that an index of any kind chooses.
pub(crate) fn chosen(index: &Dynamic, length: usize, what: &str) -> Outcome<Vec<usize>> {
    if let Ok(i) = index.as_int() {
        return Ok(vec![place(i, length, what)?]);
    }
    if let Some(range) = index.read_lock::<Range<i64>>() {
        return Ok(places(range.start, range.end, length).collect());
    }
    if let Some(range) = index.read_lock::<RangeInclusive<i64>>() {
        return Ok(places(*range.start(), inclusive_end(*range.end()), length).collect());
    }
    if let Some(mask) = index.read_lock::<Mask>() {
        if mask.0.len() != length {
            return Err(script_error(format!(
                "a mask of {} entries does not fit {} of {length}",
                mask.0.len(),
                article(what)
            )));
        }
        return Ok((0..length).filter(|i| mask.0[*i]).collect());
    }
    if let Some(array) = index.read_lock::<Array>() {
        let all = array.iter().map(|i| {
            let i = i.as_int().map_err(|found| {
                script_error(format!("an index must be an integer, found {}", article(&type_word(found))))
            })?;
            place(i, length, what)
        });
        return all.collect();
    }
    Err(script_error(format!("{} cannot be indexed by {}", article(what), article(&type_word(index.type_name())))))
}

/// One past an inclusive end; -1 includes the last entry.
fn inclusive_end(end: i64) -> i64 {
    if end == -1 { i64::MAX } else { end.saturating_add(1) }
}

fn pick(v: &Vector, index: &Dynamic) -> Outcome<Vector> {
    Ok(v.with(chosen(index, v.values.len(), "vector")?.into_iter().map(|i| v.values[i]).collect()))
}

fn put(v: &mut Vector, index: &Dynamic, value: &Dynamic) -> Outcome<()> {
    let at = chosen(index, v.values.len(), "vector")?;
    let new: Vec<f64> = match value.read_lock::<Vector>() {
        Some(other) if other.values.len() == at.len() => {
            if other.unit.dimension() != v.unit.dimension() {
                return Err(two_units("put together", &v.unit, &other.unit));
            }
            other.values.to_vec()
        }
        Some(other) => {
            return Err(script_error(format!("{} entries cannot take a vector of {}", at.len(), other.values.len())));
        }
        None => vec![entry(value, &v.unit)?; at.len()],
    };
    let values = Arc::make_mut(&mut v.values);
    at.into_iter().zip(new).for_each(|(i, x)| values[i] = x);
    Ok(())
}

/// A number for one entry of something in `unit`.
pub(crate) fn entry(value: &Dynamic, unit: &Unit) -> Outcome<f64> {
    let found = quantity::from_dynamic(value).ok_or_else(|| {
        script_error(format!(
            "an entry must be a number or a quantity, found {}",
            article(&type_word(value.type_name()))
        ))
    })?;
    if found.dimension() != unit.dimension() {
        return Err(two_units("put together", unit, &found.unit));
    }
    Ok(found.si)
}

/// A vector from numbers or quantities that agree.
pub(crate) fn from_array(array: &Array) -> Outcome<Vector> {
    let mut unit: Option<Unit> = None;
    let mut values = Vec::with_capacity(array.len());
    for (at, item) in array.iter().enumerate() {
        let found = quantity::from_dynamic(item).ok_or_else(|| {
            script_error(format!(
                "entry {at} must be a number or a quantity, found {}",
                article(&type_word(item.type_name()))
            ))
        })?;
        let unit = unit.get_or_insert_with(|| found.unit.clone());
        if unit.dimension() != found.dimension() {
            return Err(script_error(format!(
                "entry {at} is {found}, the entries before are in `{unit}`: a vector has one unit"
            )));
        }
        values.push(found.si);
    }
    Ok(Vector::from_si(values, unit.unwrap_or_else(Unit::none)))
}

/// Indexing, iteration, length.
fn access(engine: &mut Engine) {
    engine.register_indexer_get(|v: &mut Vector, i: i64| -> Outcome<Dynamic> {
        Ok(v.one(v.values[place(i, v.values.len(), "vector")?]))
    });
    engine.register_indexer_get(|v: &mut Vector, r: Range<i64>| pick(v, &Dynamic::from(r)));
    engine.register_indexer_get(|v: &mut Vector, r: RangeInclusive<i64>| pick(v, &Dynamic::from(r)));
    engine.register_indexer_get(|v: &mut Vector, m: Mask| pick(v, &Dynamic::from(m)));
    engine.register_indexer_get(|v: &mut Vector, a: Array| pick(v, &Dynamic::from(a)));
    engine.register_indexer_set(|v: &mut Vector, i: i64, x: Dynamic| put(v, &Dynamic::from(i), &x));
    engine.register_indexer_set(|v: &mut Vector, r: Range<i64>, x: Dynamic| put(v, &Dynamic::from(r), &x));
    engine.register_indexer_set(|v: &mut Vector, r: RangeInclusive<i64>, x: Dynamic| put(v, &Dynamic::from(r), &x));
    engine.register_indexer_set(|v: &mut Vector, m: Mask, x: Dynamic| put(v, &Dynamic::from(m), &x));
    engine.register_indexer_set(|v: &mut Vector, a: Array, x: Dynamic| put(v, &Dynamic::from(a), &x));
    engine.register_indexer_get(|m: &mut Mask, i: i64| -> Outcome<bool> { Ok(m.0[place(i, m.0.len(), "mask")?]) });
    engine.register_iterator::<Vector>();
    engine.register_iterator::<Mask>();
}

impl IntoIterator for Vector {
    type Item = Dynamic;
    type IntoIter = std::vec::IntoIter<Dynamic>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.iter().map(|v| self.one(*v)).collect::<Vec<_>>().into_iter()
    }
}

impl IntoIterator for Mask {
    type Item = bool;
    type IntoIter = std::vec::IntoIter<bool>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

/// Registers vectors and masks.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Vector>("vector");
    engine.register_type_with_name::<Mask>("mask");
    operators(engine);
    access(engine);
    engine.register_global_module(exported_module!(making).into());
    engine.register_global_module(exported_module!(summing).into());
    engine.register_global_module(exported_module!(changing).into());
    engine.register_global_module(exported_module!(masks).into());
}

#[export_module]
mod making {
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

/// Entries that one vector or matrix may have: 800 MB.
const MOST: usize = 100_000_000;

/// An error for a vector or matrix of more entries than one may have.
pub(crate) fn fits(entries: usize) -> Outcome<()> {
    match entries <= MOST {
        true => Ok(()),
        false => Err(script_error(format!("{entries} entries are too many: a vector or matrix has at most {MOST}"))),
    }
}

fn length(count: i64) -> Outcome<usize> {
    usize::try_from(count)
        .ok()
        .filter(|n| *n <= MOST)
        .ok_or_else(|| script_error(format!("{count} cannot be the length of a vector")))
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
        Ok(v.one((squares / (n - 1.0).max(1.0)).sqrt()))
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
        values.sort_by(f64::total_cmp);
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
        Arc::make_mut(&mut v.values).sort_by(f64::total_cmp);
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
        v.with(v.values.windows(2).map(|w| w[1] - w[0]).collect())
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

    /// Shows a vector in a unit: the same entries, printed in that unit.
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
    /// assert(vector([0.5], "mm").in_unit("um").unit == "um");
    /// ```
    #[rhai_fn(name = "in_unit", return_raw)]
    pub fn in_unit(v: Vector, unit: &str) -> Outcome<Vector> {
        let unit = Unit::parse(unit).or_fail()?;
        Quantity::from_si(0.0, v.unit.clone()).check(&unit).or_fail()?;
        Ok(Vector { values: v.values, unit })
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
        let value = super::entry(&value, &v.unit)?;
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

#[export_module]
mod masks {
    use super::*;

    /// Makes the mask of the entries that are finite numbers.
    ///
    /// # Returns
    /// A mask; `v[finite(v)]` are the good entries.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let v = vector([1.0, 0.0 / 0.0]);
    /// assert(v[finite(v)].len() == 1);
    /// ```
    pub fn finite(v: Vector) -> Mask {
        Mask(Arc::new(v.values.iter().map(|x| x.is_finite()).collect()))
    }

    /// Counts the entries of a mask, true or not [1]; also a property.
    #[rhai_fn(name = "len", get = "len", pure)]
    pub fn len(mask: &mut Mask) -> i64 {
        mask.0.len() as i64
    }

    /// Counts the entries of a mask that are true [1].
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert((vector([1, 5, 9]) > 3).count() == 2);
    /// ```
    #[rhai_fn(pure)]
    pub fn count(mask: &mut Mask) -> i64 {
        mask.0.iter().filter(|x| **x).count() as i64
    }

    /// Tells whether any entry of a mask is true.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert((vector([1, 5]) > 3).any());
    /// ```
    #[rhai_fn(pure)]
    pub fn any(mask: &mut Mask) -> bool {
        mask.0.iter().any(|x| *x)
    }

    /// Tells whether all entries of a mask are true.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(!(vector([1, 5]) > 3).all());
    /// ```
    #[rhai_fn(pure)]
    pub fn all(mask: &mut Mask) -> bool {
        mask.0.iter().all(|x| *x)
    }

    /// Lists the places at which a mask is true.
    ///
    /// # Returns
    /// An array of indices [1], counted from 0.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert((vector([1, 5, 9]) > 3).indices()[0] == 1);
    /// ```
    #[rhai_fn(pure)]
    pub fn indices(mask: &mut Mask) -> Array {
        (0..mask.0.len()).filter(|i| mask.0[*i]).map(|i| Dynamic::from(i as i64)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::quantity::bench::{fails, gives};

    #[test]
    fn vectors_calculate() {
        gives(&[
            ("vector([1, 2.5, 3])", "[1, 2.5, 3]"),
            ("vector([1, 2], \"mm\")", "[1, 2] mm"),
            ("vector([1 * mm, 20 * um])", "[1, 0.02] mm"),
            ("vector([1, 2]) + vector([10, 20])", "[11, 22]"),
            ("2 * vector([1, 2], \"mm\")", "[2, 4] mm"),
            ("vector([1, 2]) * (5 * urad)", "[5, 10] µrad"),
            ("vector([1, 2], \"mm\") + 1 * um", "[1.001, 2.001] mm"),
            ("vector([1, 2]) + 1", "[2, 3]"),
            ("1 - vector([1, 2])", "[0, -1]"),
            ("-vector([1, 2])", "[-1, -2]"),
            ("vector([1, 2], \"mm\") / vector([1, 4], \"mm\")", "[1, 0.5]"),
            ("vector([1, 2]) ** 2", "[1, 4]"),
            ("1 / vector([1, 2], \"m\")", "[1, 0.5] m^-1"),
            ("vector([1, 2]) == vector([1, 2])", "true"),
            ("linspace(0, 1, 5)", "[0, 0.25, 0.5, 0.75, 1]"),
            ("zeros(2, \"mm\")", "[0, 0] mm"),
            ("concat(zeros(1), fill(2, 3))", "[0, 3, 3]"),
            ("linspace(0 * mm, 9 * mm, 10)", "[0, 1, 2, 3, …, 8, 9] mm (10 entries, rms 5.33854 mm)"),
        ]);
    }

    #[test]
    fn vectors_are_indexed() {
        gives(&[
            ("vector([1, 2, 3], \"mm\")[1]", "2 mm"),
            ("vector([1, 2, 3])[-1]", "3.0"),
            ("vector([1, 2, 3])[1..]", "[2, 3]"),
            ("vector([1, 2, 3])[..2]", "[1, 2]"),
            ("vector([1, 2, 3])[0..=1]", "[1, 2]"),
            ("vector([1, 2, 3])[[2, 0]]", "[3, 1]"),
            ("let v = vector([1, 2, 3], \"mm\"); v[v > 1.5 * mm]", "[2, 3] mm"),
            ("let v = vector([1, 2, 3]); v[(v > 1) & (v < 3)]", "[2]"),
            ("let v = vector([1, 2, 3]); v[!(v > 1)]", "[1]"),
            ("let v = vector([1, 2, 3], \"mm\"); v[0] = 1 * um; v", "[0.001, 2, 3] mm"),
            ("let v = vector([1, 2, 3]); v[0] = 9; v[-1] += 1; v", "[9, 2, 4]"),
            ("let v = vector([1, 2, 3]); v[v > 1] = 0; v", "[1, 0, 0]"),
            ("let v = vector([1, 2, 3]); v[1..] = vector([7, 8]); v", "[1, 7, 8]"),
            ("let a = vector([1, 2]); let b = a; b[0] = 5; a", "[1, 2]"),
            ("let s = 0 * mm; for x in vector([1, 2], \"mm\") { s += x; } s", "3 mm"),
            ("let m = #{ x: vector([1, 2]) }; m.x[0] = 4; m.x", "[4, 2]"),
        ]);
    }

    #[test]
    fn vectors_are_summed_up() {
        gives(&[
            ("vector([1, 2, 3], \"mm\").mean()", "2 mm"),
            ("vector([1, 2, 3]).sum()", "6.0"),
            ("vector([1, 2, 3]).std()", "1.0"),
            ("vector([3, 4], \"mm\").norm()", "5 mm"),
            ("vector([3, -4], \"mm\").max_abs()", "4 mm"),
            ("vector([3, -4]).min()", "-4.0"),
            ("vector([3, -4]).index_of_min()", "1"),
            ("vector([3, -4]).len", "2"),
            ("dot(vector([1, 2], \"m\"), vector([3, 4], \"m\"))", "11 m^2"),
            ("sorted(vector([3, 1, 2]))", "[1, 2, 3]"),
            ("vector([1, 2]).map(|x| x * mm)", "[1, 2] mm"),
            ("vector([1, 2], \"mm\").to(\"um\")", "[1000, 2000]"),
            ("let v = vector([1, 0.0 / 0.0]); `${v.is_finite()} ${finite(v).count()} ${v.max()}`", "false 1 NaN"),
        ]);
    }

    #[test]
    fn vectors_say_what_is_wrong() {
        fails(&[
            ("vector([1 * mm, 2 * A])", "entry 1 is 2 A, the entries before are in `mm`: a vector has one unit"),
            ("vector([1, \"a\"])", "entry 1 must be a number or a quantity, found text"),
            ("vector([1, 2]) + vector([1])", "vectors of 2 and 1 entries do not go together"),
            ("vector([1, 2], \"mm\") + vector([1, 2], \"A\")", "`mm` and `A` cannot be added: their dimensions differ"),
            (
                "let v = vector([1, 2], \"mm\"); v[0] = 1;",
                "`mm` and a plain number cannot be put together: their dimensions differ | give the plain number a unit, as in `5.0 * mm`",
            ),
            (
                "vector([1, 2])[2]",
                "index 2 is outside a vector of 2 | indices go from 0 to 1, or -1 to -2 from the end",
            ),
            ("vector([]).mean()", "an empty vector has no mean"),
            ("vector([1, 2])[\"a\"]", "a vector cannot be indexed by text"),
            ("vector([1, 2]).maen()", "there is no function `maen` | did you mean `mean`?"),
            ("zeros(-1)", "-1 cannot be the length of a vector"),
            (
                "for x in vector([1, 2]) + [1] { }",
                "`+` does not work between a vector and an array | arrays do not calculate; make a vector of it: `vector([1.0, 2.0])` or `vector([1.0, 2.0], \"mm\")`",
            ),
        ]);
    }
}
