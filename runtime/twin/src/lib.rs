//! The Plant: a lattice model with hidden errors that answers as a machine.
//!
//! The twin takes setpoints by channel, moves the model, and gives readings by channel. What the
//! scripts cannot see is its [`Truth`]: misalignments, field errors, gains, offsets, noise, drawn from the
//! facility's `twin.toml` and a seed. A reading that cannot be computed is invalid, never an old
//! one and never zero. The crate knows nothing of servers and scripts.

mod anomalies;
mod beam;
mod camera;
mod channels;
mod current;
mod cycle;
mod draw;
mod eddy;
mod edit;
mod element;
mod entering;
mod errors;
mod figures;
mod how;
mod hysteresis;
mod injection;
mod kickers;
mod losses;
mod modulation;
mod placement;
mod plant;
mod present;
mod ramp;
mod shots;
mod truth;
mod turns;
mod wander;
mod waves;

pub use injection::InjectionTruth;
pub use placement::{Placement, Reference};
pub use plant::{Twin, TwinOptions};
pub use truth::{DeviceKey, ElementTruth, FieldKey, MonitorTruth, Multipole, SupplyTruth, Truth};
