//! Tests of the whole program, by what they are about.

mod errors;
mod facilities;
mod language;
mod procedures;
mod sessions;
