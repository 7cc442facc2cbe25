//! What touches the beam: read when settled, average, step, respond, restore.
//!
//! Synchronous over a [`fodo_control::Session`] and the devices of a facility. It moves setpoints
//! only through the session's transaction, and puts them back itself where a measurement is over.
//! It must not know scripts, nor which machine answers.

mod boxed;
mod follow;
mod orbit;
mod response;
mod rows;
mod sample;
mod shots;
mod solve;

pub use follow::{Series, follow};
pub use orbit::{Orbit, orbit};
pub use response::{Knob, Progress, Response, response};
pub use rows::rows;
pub use sample::{Sampling, Statistics, sample};
pub use shots::one_shot;
pub use solve::{Method, Problem, Solution, solve};
