//! Rhai set up for Fodo.
//!
//! The engine with its limits and its stop, errors as [`Diagnostic`](fodo_report::Diagnostic) with place, call chain and
//! hint, callbacks that keep their home, named options, libraries of scripts, the prompt's memory,
//! and what is known of every function. This crate knows Rhai and no accelerator.

mod arrays;
mod asserted;
mod callback;
mod diagnose;
mod elsewhere;
mod engine;
mod fail;
mod handed;
mod hidden;
mod library;
mod markdown;
mod numbers;
mod options;
mod prompt;
mod reflect;
mod sources;
mod stack;
mod words;

pub use asserted::{Compared, compared};
pub use callback::Callback;
pub use diagnose::{diagnose, diagnose_parse, import_hint};
pub use elsewhere::{undeclared_hint, word_here};
pub use engine::{Memory, Output, Setup, Silent, engine, panicked, run_on_script_thread};
pub use fail::{OrFail, Outcome, fail, internal_error, report_of, script_error};
pub use handed::{functions_handed, handed_report, is_function_literal};
pub use hidden::{first_hidden, hidden_report};
pub use library::{Library, Resolver};
pub use markdown::{Block, blocks};
pub use numbers::{divide_integers, no_power};
pub use options::{NameOf, Options, Parameter, ParameterKind, Value, Values, check_values, text_value, unknown_option};
pub use prompt::Prompt;
pub use reflect::{FunctionDoc, FunctionUse, functions, script_functions};
pub use sources::Sources;
pub use words::{article, signature_word, token_length, type_word};
