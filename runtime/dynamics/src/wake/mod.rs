//! Wakes: what a charge leaves behind in the surroundings of the beam, and what it does to the charges that follow.
//!
//! A wake function gives, for a delay behind a charge, the voltage per charge of the source [V/C], transverse ones also
//! per offset [V/(C m)]. Signs: a positive longitudinal wake takes energy from the particle that follows, a positive
//! transverse one pushes it towards the offset of the source (dipolar) or away from the axis (quadrupolar).
//!
//! Source: A. Chao, Physics of Collective Beam Instabilities in High Energy Accelerators (1993), chapter 2, with the
//! transverse sign of the other half of the literature.

mod field;
mod function;

use std::fmt;

pub use field::WakeField;
pub use function::{Resonator, WakeFunction};

/// All wakes of one place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wake {
    /// Longitudinal: energy loss per charge of the source [V/C].
    pub longitudinal: Vec<WakeFunction>,
    /// Dipolar, x and y: kick per charge and offset of the source [V/(C m)].
    pub dipolar: [Vec<WakeFunction>; 2],
    /// Quadrupolar, x and y: kick per charge of the source and offset of the particle itself [V/(C m)].
    pub quadrupolar: [Vec<WakeFunction>; 2],
}

/// Why there is no such wake.
#[derive(Clone, Debug, PartialEq)]
pub enum NoWake {
    /// A number makes no sense: its name and value.
    BadNumber(&'static str, f64),
    /// A table makes no sense; says which.
    Table(&'static str),
    /// There is no such element; its index and the number of elements are given.
    NoElement(usize, usize),
}

impl fmt::Display for NoWake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadNumber(name, value) => write!(out, "no wake: {name} cannot be {value}"),
            Self::Table(what) => write!(out, "no wake: {what}"),
            Self::NoElement(index, count) => write!(out, "no wake at element {index}: there are {count} elements"),
        }
    }
}

impl std::error::Error for NoWake {}
