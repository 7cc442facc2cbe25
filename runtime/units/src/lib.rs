//! Quantities with a unit, and the curves between hardware and physics units.
//!
//! Inside, a quantity is an SI number with the exponents of its dimension and the unit it is shown
//! in. Energies are counted in eV and angles in rad, each a dimension of its own, so that an angle
//! is never taken for a number. Tesla and the like follow from volt, ampere, metre and second.
//! This crate knows nothing of machines or scripts.

mod calibration;
mod quantity;
mod unit;

pub use calibration::Calibration;
pub use quantity::{Quantity, WrongUnit};
pub use unit::{Dimension, Unit, UnknownUnit};
