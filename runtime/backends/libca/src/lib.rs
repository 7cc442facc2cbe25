//! EPICS Channel Access through libca of EPICS base: a second opinion beside `fodo-epics`.
//!
//! [`LibCa`] is a [`fodo_control::Backend`]. It is here only with the feature `libca`, for which libca and libCom have to
//! be installed (`EPICS_BASE` says where); without it the crate is empty.
#![cfg(feature = "libca")]

mod client;
mod keeper;
mod line;
mod task;
mod values;

pub use client::LibCa;
