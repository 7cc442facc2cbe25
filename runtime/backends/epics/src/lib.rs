//! EPICS Channel Access: the client behind `--on live`, and the server behind `fodo serve`.
//!
//! [`ChannelAccess`] is a [`fodo_control::Backend`]: it connects channels, keeps the newest value of
//! each by a monitor, reads, and writes with completion. [`ChannelAccessOutlet`] shows any
//! [`fodo_control::Plant`] as process variables. Both run on a tokio runtime of their own and show
//! only synchronous calls. The crate knows names, numbers and times; families, units and
//! transactions are above it, and no type of the EPICS library leaves it.

mod board;
mod client;
mod line;
mod link;
mod publish;
mod pulse;
mod server;
mod subscribers;
mod values;

pub use client::ChannelAccess;
pub use server::{ChannelAccessOutlet, ServeOptions};
