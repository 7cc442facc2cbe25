//! Whole runs: the same procedure on every machine, what may not be written, what a kill leaves.
//!
//! The machines are the twin, the served twin, and a real IOC of EPICS base whose `calc` records answer linearly.
//! An EPICS client that shares nothing with Fodo looks at them (`tests/setup/ca.py`).
#![allow(clippy::unwrap_used)]

mod absent;
mod adapter;
mod beside;
mod booster;
mod clocks;
mod door;
mod everywhere;
mod facility_check;
mod history;
mod injection;
mod interrupted;
mod leases;
mod library;
mod line;
mod lsp;
mod machine;
mod pyaml;
mod rights;
mod ring;
mod rings;
mod roles;
mod sources;
mod storage;
mod supplies;
mod table;
mod tango;
mod tools;
mod watchers;
