//! Least squares, fits with errors, interpolation and spectra.
//!
//! Plain numbers only: this crate knows no unit, no machine and no script. What it cannot do it says as a diagnostic of kind
//! `script`, since the numbers come from there.

mod bounded;
mod curve;
mod interpolate;
mod linear;
mod spectrum;
mod svd;

pub use bounded::solve_bounded;
pub use curve::{Curve, Start, fit_curve};
pub use interpolate::{Interpolation, Method, Outside};
pub use linear::{Linear, fit_linear};
pub use spectrum::{Complex, Window, fft, inverse_fft, spectrum};
pub use svd::{Decomposition, decompose};

use fodo_report::{Diagnostic, Kind, Result};

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(Diagnostic::new(Kind::Script, message).into())
}

fn finite(values: &[f64], what: &str) -> Result<()> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(at) => refuse(format!("entry {at} of {what} is not a finite number")),
        None => Ok(()),
    }
}
