//! Integers where Rhai only takes floats: `sqrt(2)`, `sin(1)`, `hypot(3, 4.0)`.

use rhai::Engine;

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
    for name in ["floor", "ceiling", "round", "int"] {
        engine.register_fn(name, |x: i64| x);
    }
    engine.register_fn("fraction", |_: i64| 0.0);
    engine.register_fn("is_nan", |_: i64| false);
    engine.register_fn("is_finite", |_: i64| true);
    engine.register_fn("is_infinite", |_: i64| false);
}
