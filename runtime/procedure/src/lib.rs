//! Procedures before they run.
//!
//! The header of a procedure is read by evaluating that one call with nothing but its own vocabulary in scope, so that
//! reading it can never touch a machine. From it come the parameters, their checks and the rights of a run. The static
//! check finds what is wrong in a script without running it; it and the runner know the facility's families, to the header
//! they are words.

mod check;
mod header;
mod known;
mod named;
mod runner;
mod vocabulary;
mod what;

pub use check::{Finding, Severity, check};
pub use fodo_language::{Parameter, ParameterKind, Value, Values};
pub use header::{Header, body, head_text, read_header};
pub use known::{Known, Script, is_settable, takes};
pub use runner::{Procedure, Procedures};
pub use what::{Origin, What};
