//! What channels held in the past: the EPICS Archiver Appliance, read over HTTP.
//!
//! Each archive is an [`fodo_control::Archive`]; nothing here writes. The formats are those of the documentation:
//! they have been checked with independent clients, not with an appliance.

mod appliance;
mod http;
mod lines;

pub use appliance::{Appliance, Format};
