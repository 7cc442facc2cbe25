//! Vectors: many numbers with one unit, and the masks that choose among them.

mod access;
mod changing;
mod elementwise;
mod making;
mod masks;
mod operators;
mod statistics;

pub(crate) use access::{chosen, place, places};

use crate::quantity::{self, two_units};
use fodo_language::{Outcome, article, script_error, type_word};
use fodo_units::{Quantity, Unit};
use rhai::{Array, Dynamic, Engine};
use std::cmp::Ordering;
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

    /// The numbers in SI, to be changed; others who hold the vector keep theirs.
    pub(crate) fn si_mut(&mut self) -> &mut Vec<f64> {
        Arc::make_mut(&mut self.values)
    }

    /// The size of the largest finite entry, by which a prefix is chosen.
    pub(crate) fn largest(&self) -> f64 {
        self.values.iter().filter(|v| v.is_finite()).fold(0.0, |a: f64, v| a.max(v.abs()))
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

    /// How far entries are apart, in the vector's unit; of places along the machine a length.
    fn spread(&self, si: f64) -> Dynamic {
        quantity::of(si, self.unit.of_difference(&self.unit))
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
        let unit = self.unit.for_value(self.largest());
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

/// Entries that one vector or matrix may have: 800 MB.
const MOST: usize = 100_000_000;

/// An error for a vector or matrix of more entries than one may have.
pub(crate) fn fits(entries: usize) -> Outcome<()> {
    match entries <= MOST {
        true => Ok(()),
        false => Err(script_error(format!("{entries} entries are too many: a vector or matrix has at most {MOST}"))),
    }
}

/// Registers vectors and masks.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Vector>("vector");
    engine.register_type_with_name::<Mask>("mask");
    operators::register(engine);
    access::register(engine);
    making::register(engine);
    statistics::register(engine);
    changing::register(engine);
    elementwise::register(engine);
    masks::register(engine);
    crate::read_only(engine, "a vector", "si", |v: &Vector| Vector { unit: Unit::none(), ..v.clone() });
}

/// The order of rising numbers, what is no number last, whatever its sign.
pub(crate) fn rising(a: &f64, b: &f64) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b))
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
            ("1 / vector([1, 2], \"m\")", "[1, 0.5] 1/m"),
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
