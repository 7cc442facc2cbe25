//! How long a stored beam lasts: Touschek scattering within a bunch, and scattering on the residual gas.
//!
//! Every process gives a rate along the ring; the rates add up. The lifetime is the time after which the current would
//! be gone if it kept falling as fast as now: N / (-dN/dt).

mod gas;
mod limits;
mod molecule;
mod room;
mod touschek;

use std::fmt;

use fodo_optics::NoOptics;

pub use gas::{Acceptance, AcceptanceShape, Gas, GasLosses, gas_losses};
pub use limits::MomentumLimits;
pub use molecule::{Molecule, bremsstrahlung, elastic, electrons};
pub use room::quantum_losses;
pub use touschek::{Touschek, TouschekPlace, touschek, touschek_rate};

/// Why there is no lifetime.
#[derive(Clone, Debug, PartialEq)]
pub enum NoLifetime {
    /// There are no optics to compute it with.
    NoOptics(NoOptics),
    /// A number makes no sense: its name and value.
    BadNumber(&'static str, f64),
    /// Tables do not fit together; says which.
    Table(&'static str),
    /// This is no chemical formula, or has an element that is not known.
    NotAFormula(String),
    /// At this position [m] not even the smallest change of momentum survives.
    NoRoom(f64),
}

impl fmt::Display for NoLifetime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOptics(reason) => reason.fmt(out),
            Self::BadNumber(name, value) => write!(out, "no lifetime: {name} cannot be {value}"),
            Self::Table(what) => write!(out, "no lifetime: {what}"),
            Self::NotAFormula(text) => {
                write!(out, "\"{text}\" is no gas known here: give its formula, such as H2, CO, CO2, CH4, H2O or Ar")
            }
            Self::NoRoom(position) => write!(out, "no lifetime: the momentum aperture at {position} m is 0"),
        }
    }
}

impl std::error::Error for NoLifetime {}

impl From<NoOptics> for NoLifetime {
    fn from(reason: NoOptics) -> Self {
        Self::NoOptics(reason)
    }
}

/// Lifetime by cause [s]; infinite where there is no loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lifetime {
    /// Touschek scattering within the bunch [s].
    pub touschek: f64,
    /// Elastic scattering on nuclei of the gas [s].
    pub elastic: f64,
    /// Radiation in the fields of nuclei and electrons of the gas [s].
    pub bremsstrahlung: f64,
    /// Energy given to single electrons of the gas [s].
    pub electrons: f64,
}

impl Lifetime {
    /// From what scatters within the bunch and what on the gas.
    #[must_use]
    pub fn new(touschek: &Touschek, gas: &GasLosses) -> Self {
        let [elastic, bremsstrahlung, electrons] = gas.lifetimes();
        Self { touschek: touschek.lifetime(), elastic, bremsstrahlung, electrons }
    }

    /// Of scattering on the gas alone [s].
    #[must_use]
    pub fn gas(&self) -> f64 {
        together(&[self.elastic, self.bremsstrahlung, self.electrons])
    }

    /// Of all causes together [s].
    #[must_use]
    pub fn total(&self) -> f64 {
        together(&[self.touschek, self.gas()])
    }
}

fn together(lifetimes: &[f64]) -> f64 {
    1.0 / lifetimes.iter().map(|lifetime| 1.0 / lifetime).sum::<f64>()
}

/// A finite number above 0, or what is wrong with it.
fn positive(name: &'static str, value: f64) -> Result<f64, NoLifetime> {
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err(NoLifetime::BadNumber(name, value)) }
}
