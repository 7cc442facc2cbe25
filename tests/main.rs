//! Tests of the whole program, by what they are about.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod errors;
mod facilities;
mod language;
mod physics;
mod procedures;
mod sessions;
