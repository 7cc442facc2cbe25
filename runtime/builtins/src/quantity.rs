//! Quantities: numbers with a unit.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use fodo_language::{OrFail, Outcome, script_error};
use fodo_units::{Dimension, Quantity, Unit};
use rhai::plugin::*;
use rhai::{Dynamic, Engine, Module};

/// Names of the unit constants with the unit each stands for.
const UNITS: [(&str, &str); 47] = [
    ("m", "m"),
    ("km", "km"),
    ("cm", "cm"),
    ("mm", "mm"),
    ("um", "um"),
    ("nm", "nm"),
    ("s", "s"),
    ("ms", "ms"),
    ("us", "us"),
    ("ns", "ns"),
    ("min", "min"),
    ("h", "h"),
    ("A", "A"),
    ("kA", "kA"),
    ("mA", "mA"),
    ("uA", "uA"),
    ("V", "V"),
    ("mV", "mV"),
    ("kV", "kV"),
    ("MV", "MV"),
    ("W", "W"),
    ("kW", "kW"),
    ("MW", "MW"),
    ("C", "C"),
    ("nC", "nC"),
    ("pC", "pC"),
    ("rad", "rad"),
    ("mrad", "mrad"),
    ("urad", "urad"),
    ("nrad", "nrad"),
    ("deg", "deg"),
    ("eV", "eV"),
    ("keV", "keV"),
    ("MeV", "MeV"),
    ("GeV", "GeV"),
    ("TeV", "TeV"),
    ("Hz", "Hz"),
    ("kHz", "kHz"),
    ("MHz", "MHz"),
    ("GHz", "GHz"),
    ("T", "T"),
    ("mT", "mT"),
    ("uT", "uT"),
    ("percent", "%"),
    ("permille", "permille"),
    ("turn", "turn"),
    ("turns", "turn"),
];

/// The names of the unit constants, for near matches, completion and the checker.
pub fn unit_names() -> Vec<&'static str> {
    UNITS.iter().map(|(name, _)| *name).collect()
}

/// The unit of a unit constant.
pub fn unit(name: &str) -> Option<Unit> {
    let (_, symbol) = UNITS.iter().find(|(known, _)| *known == name)?;
    Unit::parse(symbol).ok()
}

/// A plain number where there is no dimension, else a quantity.
pub fn of(si: f64, unit: Unit) -> Dynamic {
    if unit.dimension().is_none() { si.into() } else { Dynamic::from(Quantity::from_si(si, unit)) }
}

/// A quantity, number or integer of a script.
pub(crate) fn from_dynamic(value: &Dynamic) -> Option<Quantity> {
    if let Ok(n) = value.as_int() {
        return Some(Quantity::plain(n as f64));
    }
    if let Ok(x) = value.as_float() {
        return Some(Quantity::plain(x));
    }
    value.read_lock::<Quantity>().map(|q| q.clone())
}

/// The error for two units that do not go together.
pub(crate) fn two_units(act: &str, a: &Unit, b: &Unit) -> Box<rhai::EvalAltResult> {
    let word = |unit: &Unit| match unit.dimension().is_none() {
        true => "a plain number".to_string(),
        false => format!("`{unit}`"),
    };
    let report = fodo_report::Diagnostic::new(
        fodo_report::Kind::Script,
        format!("{} and {} cannot be {act}: their dimensions differ", word(a), word(b)),
    );
    let plain = a.dimension().is_none() != b.dimension().is_none();
    let unit = if a.dimension().is_none() { b } else { a };
    fodo_language::fail(Box::new(if plain {
        report.hint(format!("give the plain number a unit, as in `5.0 * {unit}`"))
    } else {
        report
    }))
}

fn checked(act: &str, a: &Quantity, b: &Quantity) -> Outcome<()> {
    if a.dimension() == b.dimension() { Ok(()) } else { Err(two_units(act, &a.unit, &b.unit)) }
}

/// Zero is zero in every unit, and a plain number beside a place along the machine counts in metres; everything else must
/// agree.
pub(crate) fn comparable(a: &Quantity, b: &Quantity) -> Outcome<()> {
    let zero = |q: &Quantity| q.si == 0.0 && q.dimension().is_none();
    let free = zero(a) || zero(b) || in_metres(&a.unit, &b.unit);
    if free { Ok(()) } else { checked("compared", a, b) }
}

/// Whether one is a place along the machine and the other a plain number.
pub(crate) fn in_metres(a: &Unit, b: &Unit) -> bool {
    let both = |place: &Unit, number: &Unit| place.is_position() && is_plain(number);
    both(a, b) || both(b, a)
}

fn sum(a: &Quantity, b: &Quantity) -> Outcome<Dynamic> {
    checked("added", a, b)?;
    Ok(plain_or_quantity(Quantity::from_si(a.si + b.si, a.unit.of_sum(&b.unit))))
}

fn difference(a: &Quantity, b: &Quantity) -> Outcome<Dynamic> {
    checked("subtracted", a, b)?;
    Ok(plain_or_quantity(Quantity::from_si(a.si - b.si, a.unit.of_difference(&b.unit))))
}

fn product(a: &Quantity, b: &Quantity) -> Dynamic {
    let result = a.times(b);
    // a percentage stays one when a number scales it, from either side
    let unit = if is_plain(&a.unit) { b.unit.clone() } else { result.unit };
    cancelled(Quantity::from_si(result.si, unit), a)
}

fn quotient(a: &Quantity, b: &Quantity) -> Dynamic {
    cancelled(a.over(b), a)
}

fn is_plain(unit: &Unit) -> bool {
    unit.symbol() == "1"
}

fn plain_or_quantity(q: Quantity) -> Dynamic {
    if is_plain(&q.unit) { q.si.into() } else { Dynamic::from(q) }
}

/// A ratio of two quantities of one dimension is a plain number.
fn cancelled(result: Quantity, a: &Quantity) -> Dynamic {
    let ratio = result.dimension().is_none() && !a.dimension().is_none();
    if ratio { result.si.into() } else { plain_or_quantity(result) }
}

fn larger(a: &Quantity, b: &Quantity) -> Outcome<Dynamic> {
    comparable(a, b)?;
    Ok(one_of(if a.si >= b.si || a.si.is_nan() { [a, b] } else { [b, a] }))
}

fn smaller(a: &Quantity, b: &Quantity) -> Outcome<Dynamic> {
    comparable(a, b)?;
    Ok(one_of(if a.si <= b.si || a.si.is_nan() { [a, b] } else { [b, a] }))
}

/// The first of two; a plain number has the unit of what it was compared with.
fn one_of([chosen, other]: [&Quantity; 2]) -> Dynamic {
    let unit = if is_plain(&chosen.unit) { &other.unit } else { &chosen.unit };
    Dynamic::from(Quantity::from_si(chosen.si, unit.clone()))
}

/// `unit` to the power `exponent`, which must be a whole number or a half.
pub(crate) fn unit_power(unit: &Unit, exponent: f64) -> Outcome<Unit> {
    let dimension = unit.dimension();
    if dimension.is_none() {
        return Ok(Unit::none());
    }
    let doubled = exponent * 2.0;
    let whole = |x: f64| (x.fract() == 0.0 && x.abs() < 100.0).then_some(x as i8);
    let result = match whole(exponent) {
        Some(n) => Some(dimension.power(n)),
        None => whole(doubled).and_then(|n| dimension.power(n).root()),
    };
    result
        .map(|d: Dimension| Unit::si(d))
        .ok_or_else(|| script_error(format!("`{unit}` has no power {exponent}: a unit takes whole exponents")))
}

fn power(base: &Quantity, exponent: f64) -> Outcome<Dynamic> {
    Ok(of(base.si.powf(exponent), unit_power(&base.unit, exponent)?))
}

macro_rules! with_numbers {
    ($engine:ident, $name:literal, $function:expr, $result:ty) => {
        $engine.register_fn($name, |a: Quantity, b: Quantity| -> Outcome<$result> { $function(&a, &b) });
        $engine.register_fn($name, |a: Quantity, b: f64| -> Outcome<$result> { $function(&a, &Quantity::plain(b)) });
        $engine.register_fn($name, |a: f64, b: Quantity| -> Outcome<$result> { $function(&Quantity::plain(a), &b) });
        $engine.register_fn($name, |a: Quantity, b: i64| -> Outcome<$result> {
            $function(&a, &Quantity::plain(b as f64))
        });
        $engine.register_fn($name, |a: i64, b: Quantity| -> Outcome<$result> {
            $function(&Quantity::plain(a as f64), &b)
        });
    };
}

fn operators(engine: &mut Engine) {
    with_numbers!(engine, "+", sum, Dynamic);
    with_numbers!(engine, "-", difference, Dynamic);
    with_numbers!(engine, "*", |a: &Quantity, b: &Quantity| Ok(product(a, b)), Dynamic);
    with_numbers!(engine, "/", |a: &Quantity, b: &Quantity| Ok(quotient(a, b)), Dynamic);
    with_numbers!(engine, "==", |a: &Quantity, b: &Quantity| comparable(a, b).map(|()| a.si == b.si), bool);
    with_numbers!(engine, "!=", |a: &Quantity, b: &Quantity| comparable(a, b).map(|()| a.si != b.si), bool);
    with_numbers!(engine, "<", |a: &Quantity, b: &Quantity| comparable(a, b).map(|()| a.si < b.si), bool);
    with_numbers!(engine, "<=", |a: &Quantity, b: &Quantity| comparable(a, b).map(|()| a.si <= b.si), bool);
    with_numbers!(engine, ">", |a: &Quantity, b: &Quantity| comparable(a, b).map(|()| a.si > b.si), bool);
    with_numbers!(engine, ">=", |a: &Quantity, b: &Quantity| comparable(a, b).map(|()| a.si >= b.si), bool);
    with_numbers!(engine, "max", larger, Dynamic);
    with_numbers!(engine, "min", smaller, Dynamic);
    engine.register_fn("-", |a: Quantity| a.scaled(-1.0));
    engine.register_fn("+", |a: Quantity| a);
    engine.register_fn("**", |a: Quantity, b: i64| power(&a, b as f64));
    engine.register_fn("**", |a: Quantity, b: f64| power(&a, b));
    engine.register_fn("to_string", |a: &mut Quantity| a.to_string());
    engine.register_fn("to_debug", |a: &mut Quantity| a.to_string());
    engine.register_fn("+", |a: &str, b: Quantity| format!("{a}{b}"));
    engine.register_fn("+", |a: Quantity, b: &str| format!("{a}{b}"));
}

/// Functions that Rhai has for numbers, for quantities too.
fn numbers(engine: &mut Engine) {
    for (name, function) in [("exp", f64::exp as fn(f64) -> f64), ("ln", f64::ln), ("log", f64::log10)] {
        engine.register_fn(name, move |value: Quantity| of_number(name, &value).map(function));
    }
    with_numbers!(
        engine,
        "hypot",
        |a: &Quantity, b: &Quantity| { checked("added", a, b).map(|()| of(a.si.hypot(b.si), a.unit.clone())) },
        Dynamic
    );
    with_numbers!(
        engine,
        "atan",
        |y: &Quantity, x: &Quantity| {
            checked("compared", y, x)?;
            Ok(of(y.si.atan2(x.si), radian()?))
        },
        Dynamic
    );
}

/// The unit constants as a module seen everywhere.
fn units() -> Module {
    let mut module = Module::new();
    for (name, symbol) in UNITS {
        // a symbol that is not known leaves its name out; a test holds that there is none
        if let Ok(unit) = Unit::parse(symbol) {
            module.set_var(name, Quantity::new(1.0, unit));
        }
    }
    module
}

/// Registers quantities and units.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Quantity>("quantity");
    operators(engine);
    engine.register_global_module(exported_module!(functions).into());
    engine.register_global_module(units().into());
    numbers(engine);
}

#[export_module]
mod functions {
    use super::*;

    /// Makes a quantity from a number and a unit.
    ///
    /// The same as `5.0 * mm` for units that have a name of their own; this takes every unit, `"rad/A"`, `"1/m^2"`.
    ///
    /// # Parameters
    /// - `value`: the number, counted in `unit`.
    /// - `unit`: the unit, as text.
    ///
    /// # Returns
    /// A quantity in that unit.
    ///
    /// # Errors
    /// - `is not a unit`: the text is no unit; a near one is named.
    ///
    /// # Example
    /// ```rhai
    /// let k = quantity(0.8, "1/m^2");
    /// assert(k.unit == "1/m^2");
    /// ```
    #[rhai_fn(name = "quantity", return_raw)]
    pub fn quantity_of_number(value: f64, unit: &str) -> Outcome<Quantity> {
        Ok(Quantity::new(value, Unit::parse(unit).or_fail()?))
    }

    /// Makes a quantity from a whole number and a unit; see `quantity(value: number, unit: text)`.
    #[rhai_fn(name = "quantity", return_raw)]
    pub fn quantity_of_integer(value: i64, unit: &str) -> Outcome<Quantity> {
        quantity_of_number(value as f64, unit)
    }

    /// Reads a quantity from text.
    ///
    /// # Parameters
    /// - `text`: a number and its unit, `"5 urad"`.
    ///
    /// # Returns
    /// A quantity in the unit written.
    ///
    /// # Errors
    /// - `is not a unit`: the text has no number or an unknown unit.
    ///
    /// # Example
    /// ```rhai
    /// assert(quantity("5 urad") == 5 * urad);
    /// ```
    #[rhai_fn(name = "quantity", return_raw)]
    pub fn quantity_of_text(text: &str) -> Outcome<Quantity> {
        Quantity::parse(text).or_fail()
    }

    /// Counts a quantity in a unit.
    ///
    /// # Parameters
    /// - `unit`: the unit, as text.
    ///
    /// # Returns
    /// A plain number [1].
    ///
    /// # Errors
    /// - `was given where`: the quantity has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert_near((5 * mm).to("um"), 5000.0, 1e-9);
    /// ```
    #[rhai_fn(name = "to", return_raw)]
    pub fn to(value: Quantity, unit: &str) -> Outcome<f64> {
        value.to(&Unit::parse(unit).or_fail()?).or_fail()
    }

    /// Shows a quantity in a unit: the same quantity, printed in that unit whatever its size.
    ///
    /// Otherwise the prefix that reads best is chosen: `0.5 * mm` is shown as 500 µm. What is calculated from it keeps the unit
    /// as long as its dimension stays.
    ///
    /// # Parameters
    /// - `unit`: the unit, as text.
    ///
    /// # Returns
    /// A quantity in that unit.
    ///
    /// # Errors
    /// - `was given where`: the quantity has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert(`${(5000 * mm).in_unit("mm")}` == "5000 mm");
    /// assert(`${5000 * mm}` == "5 m");
    /// ```
    #[rhai_fn(name = "in_unit", return_raw)]
    pub fn in_unit(value: Quantity, unit: &str) -> Outcome<Quantity> {
        let unit = Unit::parse(unit).or_fail()?;
        value.check(&unit).or_fail()?;
        Ok(Quantity::from_si(value.si, unit.as_asked()))
    }

    /// Its number in SI units (eV for energies, rad for angles) [1].
    #[rhai_fn(get = "si", pure)]
    pub fn si(value: &mut Quantity) -> f64 {
        value.si
    }

    /// Its unit as text.
    #[rhai_fn(get = "unit", pure)]
    pub fn unit(value: &mut Quantity) -> String {
        value.unit.symbol().to_string()
    }

    /// Takes the sign off a quantity.
    ///
    /// # Returns
    /// A quantity in the same unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(abs(-3 * mm) == 3 * mm);
    /// ```
    pub fn abs(value: Quantity) -> Quantity {
        Quantity::from_si(value.si.abs(), value.unit)
    }

    /// Takes the square root of a quantity.
    ///
    /// # Returns
    /// A quantity whose unit is the root of the unit, or a plain number.
    ///
    /// # Errors
    /// - `has no power`: the unit is no square.
    ///
    /// # Example
    /// ```rhai
    /// assert(sqrt((3 * m) ** 2) == 3 * m);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sqrt(value: Quantity) -> Outcome<Dynamic> {
        power(&value, 0.5)
    }

    /// Takes the sine of an angle.
    ///
    /// # Parameters
    /// - `angle`: any unit of angle, or a plain number in radians.
    ///
    /// # Returns
    /// A plain number [1].
    ///
    /// # Errors
    /// - `an angle is needed`: it has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(sin(90 * deg), 1.0, 1e-12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sin(angle: Quantity) -> Outcome<f64> {
        Ok(of_angle(&angle)?.sin())
    }

    /// Takes the cosine of an angle.
    ///
    /// # Parameters
    /// - `angle`: any unit of angle, or a plain number in radians.
    ///
    /// # Returns
    /// A plain number [1].
    ///
    /// # Errors
    /// - `an angle is needed`: it has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(cos(180 * deg), -1.0, 1e-12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn cos(angle: Quantity) -> Outcome<f64> {
        Ok(of_angle(&angle)?.cos())
    }

    /// Takes the tangent of an angle.
    ///
    /// # Parameters
    /// - `angle`: any unit of angle, or a plain number in radians.
    ///
    /// # Returns
    /// A plain number [1].
    ///
    /// # Errors
    /// - `an angle is needed`: it has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(tan(45 * deg), 1.0, 1e-12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn tan(angle: Quantity) -> Outcome<f64> {
        Ok(of_angle(&angle)?.tan())
    }

    /// Tells whether a quantity is neither infinite nor missing.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert((3 * mm).is_finite());
    /// ```
    #[rhai_fn(name = "is_finite")]
    pub fn is_finite(value: Quantity) -> bool {
        value.si.is_finite()
    }

    /// Tells whether a quantity is not a number.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(!(3 * mm).is_nan());
    /// ```
    #[rhai_fn(name = "is_nan")]
    pub fn is_nan(value: Quantity) -> bool {
        value.si.is_nan()
    }
}

/// The number of an angle in radians; a plain number counts in radians, a turn or a percentage does not.
pub(crate) fn of_angle(angle: &Quantity) -> Outcome<f64> {
    if angle.dimension() == Dimension::ANGLE || is_plain(&angle.unit) {
        return Ok(angle.si);
    }
    Err(script_error(format!("an angle is needed here, found one in `{}`", angle.unit)))
}

/// The plain number that `function` takes; a percentage is one.
pub(crate) fn of_number(function: &str, value: &Quantity) -> Outcome<f64> {
    if value.dimension().is_none() {
        return Ok(value.si);
    }
    let report = fodo_report::Diagnostic::new(
        fodo_report::Kind::Script,
        format!("`{function}` takes a plain number, found one in `{}`", value.unit),
    );
    let hint =
        format!("divide it by what it is counted in, as in `x / (1.0 * {})`, or take `x.to(\"{0}\")`", value.unit);
    Err(fodo_language::fail(Box::new(report.hint(hint))))
}

/// The unit of angles.
pub(crate) fn radian() -> Outcome<Unit> {
    Unit::parse("rad").or_fail()
}

/// An engine with the data subjects, for the tests of these files.
#[cfg(test)]
pub(crate) mod bench {
    use fodo_language::{Output, Setup, Sources, diagnose};
    use fodo_report::Diagnostic;
    use rhai::{Dynamic, Engine};
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    pub struct Printed(pub Mutex<String>);

    impl Output for Printed {
        fn print(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }
    }

    pub fn engine(printed: Arc<Printed>) -> Engine {
        let mut engine = fodo_language::engine(Setup { output: printed, ..Setup::default() });
        super::register(&mut engine);
        crate::vector::register(&mut engine);
        crate::matrix::register(&mut engine);
        crate::math::register(&mut engine);
        crate::plot::register(&mut engine);
        engine
    }

    pub fn run(text: &str) -> Result<Dynamic, Box<Diagnostic>> {
        let (engine, sources) = (engine(Arc::default()), Sources::new());
        let tree = sources.compile(&engine, "test.rhai", text)?;
        engine.eval_ast::<Dynamic>(&tree).map_err(|error| diagnose(&engine, error, "test.rhai", &sources))
    }

    /// What scripts give, as text.
    pub fn gives(cases: &[(&str, &str)]) {
        for (text, wanted) in cases {
            match run(&format!("`${{{{{text}}}}}`")) {
                Ok(value) => assert_eq!(value.to_string(), *wanted, "{text}"),
                Err(report) => panic!("{}", report.render(false)),
            }
        }
    }

    /// The messages of scripts that fail.
    pub fn fails(cases: &[(&str, &str)]) {
        for (text, wanted) in cases {
            let report = run(text).expect_err(text);
            let hints =
                if report.hints.is_empty() { String::new() } else { format!(" | {}", report.hints.join(" | ")) };
            assert_eq!(format!("{}{hints}", report.message), *wanted, "{text}");
            assert!(!report.labels.is_empty(), "{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bench::{fails, gives};

    #[test]
    fn every_unit_constant_is_a_unit() {
        for (name, symbol) in super::UNITS {
            assert!(fodo_units::Unit::parse(symbol).is_ok(), "{name}");
        }
    }

    #[test]
    fn quantities_calculate() {
        gives(&[
            ("5.0 * urad", "5 µrad"),
            ("5 * urad", "5 µrad"),
            ("0.2 * percent", "0.2 %"),
            ("(0.2 * percent) * 2", "0.4 %"),
            ("1.0 + 50 * percent", "1.5"),
            ("1 * mm + 1 * um", "1.001 mm"),
            ("(10 * A) / (2 * A)", "5.0"),
            ("1 * m / (2 * s)", "500 mm/s"),
            ("5 * urad / (2 * A)", "2.5 µrad/A"),
            ("0.8 * T * (2 * m)", "1.6 T m"),
            ("130 * um * (1 * urad)", "130 pm rad"),
            ("1 / (4 * m ** 2)", "0.25 1/m^2"),
            ("1 / (4 * m)", "0.25 1/m"),
            ("(5000 * mm).in_unit(\"mm\")", "5000 mm"),
            ("(5000 * mm).in_unit(\"mm\") / 2 + 1 * um", "2500.001 mm"),
            ("(90 * deg) / 2", "45 deg"),
            ("exp(100 * percent) == exp(1)", "true"),
            ("hypot(3 * mm, 4000 * um)", "5 mm"),
            ("atan(1 * mm, 1 * mm).in_unit(\"deg\")", "45 deg"),
            ("clamp(5 * mrad, -1 * mrad, 2 * mrad)", "2 mrad"),
            ("(3 * m) ** 2", "9 m^2"),
            ("sqrt((3 * m) ** 2)", "3 m"),
            ("-(5 * A)", "-5 A"),
            ("abs(-5 * A)", "5 A"),
            ("(5 * mm).to(\"um\")", "5000.0"),
            ("(5 * mm).si", "0.005"),
            ("(5 * mm).unit", "mm"),
            ("1 * mm < 2 * mm", "true"),
            ("1000 * um == 1 * mm", "true"),
            ("5 * A > 0", "true"),
            ("max(1 * mm, 2 * um)", "1 mm"),
            ("max(-1 * mm, 0) + 1 * mm", "1 mm"),
            ("min(3, 2.5)", "2.5"),
            ("3 * min", "3 min"),
            ("sin(90 * deg)", "1.0"),
            ("quantity(0.8, \"1/m^2\").unit", "1/m^2"),
            ("type_of(1 * m)", "quantity"),
            ("let f = |x| x * mm; f.call(3)", "3 mm"),
            ("\"kick: \" + 5 * urad", "kick: 5 µrad"),
        ]);
    }

    #[test]
    fn wrong_units_name_both() {
        fails(&[
            ("1.0 * A + 1.0 * rad", "`A` and `rad` cannot be added: their dimensions differ"),
            (
                "5 * A - 1",
                "`A` and a plain number cannot be subtracted: their dimensions differ | give the plain number a unit, as in `5.0 * A`",
            ),
            (
                "5 * A > 3",
                "`A` and a plain number cannot be compared: their dimensions differ | give the plain number a unit, as in `5.0 * A`",
            ),
            ("5 * A == 1 * m", "`A` and `m` cannot be compared: their dimensions differ"),
            ("(5 * A).to(\"mm\")", "a value in `A` was given where `mm` is needed"),
            ("(5 * A).to(\"mA1x\")", "`mA1x` is not a unit; write it like `mm`, `urad`, `1/m^2`, `rad/A`"),
            ("sin(5 * A)", "an angle is needed here, found one in `A`"),
            ("sin(0.25 * turn)", "an angle is needed here, found one in `turn`"),
            (
                "exp(2 * s)",
                "`exp` takes a plain number, found one in `s` | divide it by what it is counted in, as in `x / (1.0 * s)`, or take `x.to(\"s\")`",
            ),
            ("clamp(5, 3, 1)", "the low limit of `clamp` is above the high one"),
            ("sqrt(5 * A)", "`A` has no power 0.5: a unit takes whole exponents"),
            ("(5 * A).vaule", "a quantity has no `vaule` | it has `si`, `unit`"),
        ]);
    }
}
