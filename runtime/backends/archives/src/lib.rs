//! What channels held in the past: the EPICS Archiver Appliance, read over HTTP, and TANGO's HDB++ in PostgreSQL.
//!
//! Each archive is an [`fodo_control::Archive`]; nothing here writes. The appliance's formats are those of the
//! documentation: they have been checked with independent clients, not with an appliance.

mod appliance;
mod hdb;
mod http;
mod lines;

pub use appliance::{Appliance, Format};
pub use hdb::Hdb;
