//! The language as scripts see it: every example of the manual, of the builtins and of the sections here runs.

mod bench;
mod check;
mod examples;
mod fuzz;
mod grammar;
mod manual;
mod prompt;
mod reference;
mod sections;
