//! EPICS PV Access: the client behind `control = "pva"`, and the server behind `fodo serve --protocol pva`.
//!
//! [`PvAccess`] is a [`fodo_control::Backend`]: it connects channels, keeps the newest value of each
//! by a monitor, reads, and writes with completion. [`PvAccessOutlet`] shows any
//! [`fodo_control::Plant`] as PV Access channels. Both run on a tokio runtime of their own and show
//! only synchronous calls. The crate knows names, numbers and times; families, units and
//! transactions are above it, and no type of the EPICS library leaves it.

mod beside;
mod board;
mod client;
mod frame;
mod line;
mod link;
mod outlet;
mod pulse;
mod put;
mod shown;
mod values;

pub use client::PvAccess;
pub use outlet::{PvAccessOutlet, ServeOptions};
