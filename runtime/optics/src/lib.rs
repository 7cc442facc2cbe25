//! How particles move: element maps, tracking, closed orbit, matrices, optical functions, model responses.
//!
//! Each element map is written once, in [`maps`], for every kind of [`number::Number`]. A [`Ring`] is a lattice made
//! ready for tracking, whose elements can be changed one at a time. This crate knows nothing of devices, channels or
//! files; the model it follows is fixed in the physics conventions.

mod chromatic;
pub mod constants;
mod coupled;
mod derivatives;
mod envelope;
mod fast;
mod features;
mod inside;
mod instruments;
mod loco;
pub mod maps;
pub mod matrix;
mod modes;
mod normal;
pub mod number;
mod optics;
mod orbit;
mod prepare;
pub mod quantum;
mod radiation_integrals;
mod ramp;
mod response;
mod ring;
mod tapering;
mod track;
mod tree;

pub use chromatic::{ChromaticFunctions, ChromaticPlane, Estimate, MomentumDependence};
pub use coupled::CoupledOptics;
pub use derivatives::Strength;
pub use envelope::Equilibrium;
pub use inside::{Cut, Cutting, OpticsInside};
pub use instruments::{Calibration, InstrumentParameter, Instruments};
pub use loco::{NoDerivative, ResponseModel, StrengthResponse};
pub use maps::Point;
pub use matrix::Passage;
pub use modes::{Mode, NormalForm, modes, normal_form};
pub use normal::NormalOptics;
pub use optics::{NoOptics, Optics, Twiss};
pub use orbit::{NoClosedOrbit, Orbit};
pub use prepare::Settings;
pub use quantum::{Emitting, Excitation, Quantum};
pub use radiation_integrals::{Radiation, RadiationIntegrals};
pub use response::{OrbitResponse, Plane};
pub use ring::{Effects, Loss, Ring};
pub use tapering::Tapered;
pub use tree::MatrixTree;
