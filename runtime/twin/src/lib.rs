//! The Plant: a lattice model with hidden errors that answers as a machine.
//!
//! The twin takes setpoints by channel, moves the model, and gives readings by channel. What the
//! scripts cannot see is its [`Truth`]: misalignments, gains, offsets, noise, drawn from the
//! facility's `twin.toml` and a seed. A reading that cannot be computed is invalid, never an old
//! one and never zero. The crate knows nothing of servers and scripts.

mod channels;
mod errors;
mod plant;
mod truth;

pub use plant::{Twin, TwinOptions};
pub use truth::{ElementTruth, MonitorTruth, Truth};
