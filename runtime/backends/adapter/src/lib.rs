//! Control systems for which there is no library: a program of the laboratory stands between.
//!
//! [`Adapter`] starts the program and speaks the protocol of `docs/reference/adapter_protocol.md` with it: JSON lines
//! over its standard input and output. Threads read and write; one keeps the program alive and asks for lost channels
//! again. The crate knows nothing of any control system.

mod ask;
mod board;
mod client;
mod keeper;
mod process;
mod subject;
mod values;
mod wire;

pub use client::{Adapter, AdapterOptions};
pub use wire::{Marked, Slow, States, TestChannels, VERSION};
