//! How particles move: element maps, tracking, closed orbit, matrices, optical functions, model responses.
//!
//! Each element map is written once, in [`maps`], for every kind of [`number::Number`]. A [`Ring`] is a lattice made
//! ready for tracking, whose elements can be changed one at a time. This crate knows nothing of devices, channels or
//! files; the model it follows is fixed in the physics conventions.

pub mod constants;
mod fast;
mod features;
pub mod maps;
pub mod matrix;
mod modes;
pub mod number;
mod optics;
mod orbit;
mod prepare;
pub mod quantum;
mod ramp;
mod response;
mod ring;
mod track;

pub use maps::Point;
pub use modes::{Mode, modes};
pub use optics::{NoOptics, Optics, Twiss};
pub use orbit::{NoClosedOrbit, Orbit};
pub use prepare::Settings;
pub use quantum::{Excitation, Quantum};
pub use response::{OrbitResponse, Plane};
pub use ring::{Effects, Loss, Ring};
