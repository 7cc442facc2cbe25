//! Integers where Rhai only takes floats: `sqrt(2)`, `sin(1)`, `hypot(3, 4.0)`; `1 / 2`, which is a half; and small numbers that are not zero.

use crate::Outcome;
use fodo_report::{Diagnostic, Kind};
use rhai::{Dynamic, Engine, EvalAltResult, Position};
use std::any::TypeId;

/// A quotient of integers: an integer where it is one, so that `n / 2` can be an index, else a float. Rhai's own drops the
/// rest, and a factor of `1 / 2` would be 0 without a word.
fn quotient(a: i64, b: i64) -> Outcome<Dynamic> {
    match (b, a.checked_rem(b)) {
        (0, _) => Err(EvalAltResult::ErrorArithmetic("Division by zero".into(), Position::NONE).into()),
        (_, Some(0)) => Ok((a / b).into()),
        _ => Ok((a as f64 / b as f64).into()),
    }
}

/// Makes integers divide as above: operators of ours come before those of Rhai, also between integers.
pub fn divide_integers(engine: &mut Engine) {
    engine.set_fast_operators(false);
    engine.register_fn("/", quotient);
    engine.register_raw_fn("/=", [TypeId::of::<i64>(); 2], |_, arguments| -> Outcome<()> {
        let (a, b) = (arguments[0].as_int().unwrap_or(0), arguments[1].as_int().unwrap_or(0));
        *arguments[0] = quotient(a, b)?;
        Ok(())
    });
}

/// Whether two numbers are equal but for rounding, relative to the larger. Rhai's own comparison takes whatever is below 2e-16 for zero.
fn same(x: f64, y: f64) -> bool {
    x == y || (x - y).abs() <= f64::EPSILON * x.abs().max(y.abs()) && x.is_finite() && y.is_finite()
}

type Comparison = fn(f64, f64) -> bool;

/// Makes numbers compare by [`same`].
fn compare(engine: &mut Engine) {
    let comparisons: [(&str, Comparison); 6] = [
        ("==", same),
        ("!=", |x, y| !same(x, y)),
        ("<", |x, y| x < y && !same(x, y)),
        (">", |x, y| x > y && !same(x, y)),
        ("<=", |x, y| x < y || same(x, y)),
        (">=", |x, y| x > y || same(x, y)),
    ];
    for (name, holds) in comparisons {
        engine.register_fn(name, holds);
        engine.register_fn(name, move |x: i64, y: f64| holds(x as f64, y));
        engine.register_fn(name, move |x: f64, y: i64| holds(x, y as f64));
    }
}

/// What is told of `2 ^ 3`.
pub fn no_power() -> Diagnostic {
    Diagnostic::new(Kind::Script, "`^` is no power").hint(POWER)
}

/// What is meant by it.
pub(crate) const POWER: &str = "a power is `**`, as in `2 ** 3`";

/// `2 ^ 3` flips bits in Rhai and is 1: who writes it means a power.
fn refuse_bits(engine: &mut Engine) {
    let refused = || -> Outcome<()> { Err(crate::fail(no_power().into())) };
    engine.register_fn("^", move |_: i64, _: i64| refused());
    engine.register_fn("^=", move |_: &mut i64, _: i64| refused());
}

/// Whether an operator is there only to be refused.
pub(crate) fn is_refused(name: &str) -> bool {
    ["^", "^="].contains(&name)
}

macro_rules! of_one {
    ($engine:ident: $($name:literal $function:expr),* $(,)?) => {
        $($engine.register_fn($name, |x: i64| -> f64 { ($function)(x as f64) });)*
    };
}

macro_rules! of_two {
    ($engine:ident: $($name:literal $function:expr),* $(,)?) => {
        $($engine.register_fn($name, |x: i64, y: i64| -> f64 { ($function)(x as f64, y as f64) });
          $engine.register_fn($name, |x: f64, y: i64| -> f64 { ($function)(x, y as f64) });
          $engine.register_fn($name, |x: i64, y: f64| -> f64 { ($function)(x as f64, y) });)*
    };
}

pub(crate) fn register(engine: &mut Engine) {
    of_one!(engine:
        "sin" f64::sin, "cos" f64::cos, "tan" f64::tan, "asin" f64::asin, "acos" f64::acos, "atan" f64::atan,
        "sinh" f64::sinh, "cosh" f64::cosh, "tanh" f64::tanh, "asinh" f64::asinh, "acosh" f64::acosh,
        "atanh" f64::atanh, "sqrt" f64::sqrt, "exp" f64::exp, "ln" f64::ln, "log" f64::log10,
    );
    of_two!(engine: "hypot" f64::hypot, "atan" f64::atan2, "log" f64::log);
    divide_integers(engine);
    compare(engine);
    refuse_bits(engine);
    for name in ["floor", "ceiling", "round", "int"] {
        engine.register_fn(name, |x: i64| x);
    }
    engine.register_fn("fraction", |_: i64| 0.0);
    engine.register_fn("is_nan", |_: i64| false);
    engine.register_fn("is_finite", |_: i64| true);
    engine.register_fn("is_infinite", |_: i64| false);
}

#[cfg(test)]
mod tests {
    use crate::{Setup, engine};

    #[test]
    fn a_small_number_is_not_zero_and_rounding_is_no_difference() {
        for text in [
            "2e-19 > 0.0",
            "0.0 < 2e-19",
            "2e-19 != 0.0",
            "2e-19 > 0",
            "0 != 2e-19",
            "-2e-19 < 0",
            "0.1 + 0.2 == 0.3",
            "0.1 + 0.2 <= 0.3",
            "!(0.1 + 0.2 > 0.3)",
            "1 == 1.0",
            "1.0 >= 1",
            "1e300 * 1e300 > 1e300",
            "1e300 * 1e300 == 1e300 * 1e300",
            "2e-19 < 3e-19",
            "!(0.0 / 0.0 < 1.0)",
        ] {
            assert!(engine(Setup::default()).eval::<bool>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn a_hat_is_no_power() {
        for text in ["2 ^ 3", "let a = 2; a ^ 3", "let a = 2; a ^= 3; a", "2 ^ 3 + 1"] {
            let error = engine(Setup::default()).eval::<rhai::Dynamic>(text).unwrap_err().to_string();
            assert!(error.contains("no power"), "{text}: {error}");
        }
        assert!(engine(Setup::default()).eval::<bool>("true ^ false").unwrap());
        assert_eq!(engine(Setup::default()).eval::<i64>("2 ** 3").unwrap(), 8);
    }

    #[test]
    fn integers_divide_as_a_physicist_expects() {
        for (text, wanted) in [
            ("1 / 2", "0.5"),
            ("let a = 6; a / 2", "3"),
            ("let a = 7; a /= 2; a", "3.5"),
            ("let a = 8; a /= 2; a", "4"),
            ("let a = [1, 2, 3]; a[4 / 2]", "3"),
            ("7 % 2", "1"),
            ("(7 / 2).to_int()", "3"),
            ("(6 / 2).to_int()", "3"),
            ("-9 / 2", "-4.5"),
            ("1 / 2.0", "0.5"),
            ("let m = #{ a: 3 }; m.a /= 2; m.a", "1.5"),
        ] {
            let found = engine(Setup::default()).eval::<rhai::Dynamic>(text).unwrap();
            assert_eq!(found.to_string(), wanted, "{text}");
        }
        assert!(engine(Setup::default()).eval::<rhai::Dynamic>("let n = 0; 1 / n").is_err());
        assert!(engine(Setup::default()).eval::<rhai::Dynamic>("let n = 1; n /= 0").is_err());
    }
}
