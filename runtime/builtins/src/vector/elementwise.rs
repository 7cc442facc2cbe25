//! Functions of numbers, applied to every entry: sine, exponential, logarithm, limits.

use super::Vector;
use super::operators::{Operand, combine};
use crate::quantity::{comparable, from_dynamic, of_angle, of_number};
use fodo_language::{Outcome, script_error};
use fodo_units::{Quantity, Unit};
use rhai::{Dynamic, Engine, FuncRegistration};

type Function = (&'static str, fn(f64) -> f64, &'static str);

/// Functions of an angle; a plain number counts in radians.
const OF_ANGLES: [Function; 3] = [("sin", f64::sin, "sine"), ("cos", f64::cos, "cosine"), ("tan", f64::tan, "tangent")];

/// Functions of a plain number.
const OF_NUMBERS: [Function; 12] = [
    ("asin", f64::asin, "arc sine, in radians"),
    ("acos", f64::acos, "arc cosine, in radians"),
    ("atan", f64::atan, "arc tangent, in radians"),
    ("sinh", f64::sinh, "hyperbolic sine"),
    ("cosh", f64::cosh, "hyperbolic cosine"),
    ("tanh", f64::tanh, "hyperbolic tangent"),
    ("exp", f64::exp, "exponential"),
    ("ln", f64::ln, "natural logarithm"),
    ("log", f64::log10, "logarithm to base 10"),
    ("floor", f64::floor, "next whole number below"),
    ("ceiling", f64::ceil, "next whole number above"),
    ("round", f64::round, "nearest whole number"),
];

/// What is said of such a function.
fn said(name: &str, what: &str, of: &str, error: &str) -> String {
    [
        &format!("/// Takes the {what}, of every entry of a vector of {of}."),
        "///\n/// # Returns\n/// A vector of plain numbers [1].",
        &format!("///\n/// # Errors\n/// - {error}"),
        "///\n/// # Example\n/// ```rhai",
        &format!("/// assert_near({name}(vector([0.5, 0]))[0], {name}(0.5), 1e-15);"),
        "/// ```",
    ]
    .join("\n")
}

/// Registers functions of one entry.
pub(super) fn register(engine: &mut Engine) {
    for (name, function, what) in OF_ANGLES {
        let error = "`an angle is needed`: the vector has another dimension.";
        FuncRegistration::new(name)
            .with_params_info(["v: vector", "vector"])
            .with_comments([said(name, what, "angles or plain numbers", error)])
            .register_into_engine(engine, move |v: Vector| -> Outcome<Vector> {
                of_angle(&Quantity::from_si(0.0, v.unit().clone()))?;
                Ok(Vector::from_si(v.si().iter().map(|x| function(*x)).collect(), Unit::none()))
            });
    }
    for (name, function, what) in OF_NUMBERS {
        let error = "`takes a plain number`: the vector has a dimension.";
        FuncRegistration::new(name)
            .with_params_info(["v: vector", "vector"])
            .with_comments([said(name, what, "plain numbers", error)])
            .register_into_engine(engine, move |v: Vector| -> Outcome<Vector> {
                of_number(name, &Quantity::from_si(0.0, v.unit().clone()))?;
                Ok(Vector::from_si(v.si().iter().map(|x| function(*x)).collect(), Unit::none()))
            });
    }
    let error = "None.";
    FuncRegistration::new("sign")
        .with_params_info(["v: vector", "vector"])
        .with_comments([said("sign", "sign (-1, 0 or 1)", "any unit", error)])
        .register_into_engine(engine, |v: Vector| {
            let one = |x: &f64| if *x == 0.0 { 0.0 } else { x.signum() };
            Vector::from_si(v.si().iter().map(one).collect(), Unit::none())
        });
    pairs(engine);
}

fn pairs(engine: &mut Engine) {
    FuncRegistration::new("hypot")
        .with_params_info(["x: vector", "y: vector", "vector"])
        .with_comments(["/// Takes the root of the sum of two squares, entry by entry.\n///\n\
             /// # Parameters\n/// - `x`, `y`: vectors or quantities of one dimension.\n///\n\
             /// # Returns\n/// A vector or quantity in the unit of `x`.\n///\n\
             /// # Errors\n/// - `cannot be added`: the dimensions differ.\n///\n\
             /// # Example\n/// ```rhai\n/// assert(hypot(vector([3, 6], \"mm\"), vector([4, 8], \"mm\"))[1] == 10 * mm);\n/// ```"])
        .register_into_engine(engine, |x: Vector, y: Vector| -> Outcome<Vector> {
            let (x, y) = (Operand::from(x), Operand::from(y));
            let unit = x.same(&y, "added")?;
            combine(&x, &y, unit, f64::hypot)
        });
    FuncRegistration::new("atan")
        .with_params_info(["y: vector", "x: vector", "vector"])
        .with_comments([
            "/// Takes the angle of the points (x, y), entry by entry; vectors of one dimension, angles in rad.",
        ])
        .register_into_engine(engine, |y: Vector, x: Vector| -> Outcome<Vector> {
            let (y, x) = (Operand::from(y), Operand::from(x));
            y.same(&x, "compared")?;
            combine(&y, &x, crate::quantity::radian()?, f64::atan2)
        });
    FuncRegistration::new("clamp")
        .with_params_info(["value: number, quantity or vector", "low: number or quantity", "high: number or quantity", "value"])
        .with_comments(["/// Brings a value, or every entry of a vector, into a range: below it becomes `low`, above it `high`.\n///\n\
             /// # Parameters\n/// - `value`: a number, quantity or vector.\n/// - `low`, `high`: the limits, numbers [1] or quantities of the value's dimension.\n///\n\
             /// # Returns\n/// The same in range, in the same unit; missing entries stay.\n///\n\
             /// # Errors\n/// - `cannot be compared`: the dimensions differ.\n/// - `above`: `low` is above `high`.\n///\n\
             /// # Example\n/// ```rhai\n/// let kicks = clamp(vector([-3, 1, 5], \"mrad\"), -2 * mrad, 2 * mrad);\n/// assert(kicks[2] == 2 * mrad);\n/// ```"])
        .register_into_engine(engine, clamp);
}

fn clamp(value: Dynamic, low: Dynamic, high: Dynamic) -> Outcome<Dynamic> {
    let vector = value.read_lock::<Vector>().map(|v| v.clone());
    let read =
        |x: &Dynamic| from_dynamic(x).ok_or_else(|| script_error("`clamp` takes numbers, quantities and vectors"));
    let one = match &vector {
        Some(v) => Quantity::from_si(0.0, v.unit().clone()),
        None => read(&value)?,
    };
    let (low, high) = (read(&low)?, read(&high)?);
    comparable(&low, &one)?;
    comparable(&high, &one)?;
    if low.si > high.si {
        return Err(script_error("the low limit of `clamp` is above the high one"));
    }
    // not a number stays what it is
    let within = |x: f64| {
        if x < low.si {
            low.si
        } else if x > high.si {
            high.si
        } else {
            x
        }
    };
    Ok(match vector {
        Some(v) => Dynamic::from(v.each(within)),
        None if within(one.si) == one.si || one.si.is_nan() => value,
        None => crate::quantity::of(within(one.si), one.unit),
    })
}
