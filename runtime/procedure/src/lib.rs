//! Procedures before they run.
//!
//! The header of a procedure is read by evaluating that one call with nothing but its own vocabulary in scope, so that
//! reading it can never touch a machine. From it come the parameters, their checks and the rights of a run. The static
//! check finds what is wrong in a script without running it. Only the runner knows families; to the rest they are words.

mod check;
mod header;
mod runner;
mod vocabulary;

pub use check::{Known, check};
pub use fodo_language::{Parameter, ParameterKind, Value, Values};
pub use header::{Header, body, head_text, read_header};
pub use runner::{Procedure, Procedures};
