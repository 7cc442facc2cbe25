//! The program: prompt, run, rehearse, check, test, doc, serve, recover, lattice, track.
//!
//! The only place that picks a backend and shows values, progress and errors to a person.

mod adapter;
mod app;
mod backends;
mod beside;
mod board;
mod changes;
mod check;
mod colour;
mod command;
mod complete;
mod doc;
mod door;
mod facility;
mod json;
mod lattice;
mod leases;
mod library;
mod limits;
mod lsp;
mod monitor;
mod prompt;
mod recover;
mod run;
mod serve;
mod shelf;
mod show;
mod sources;
mod test;
mod track;
mod twin;
mod warn;
mod words;

use clap::Parser;
use command::{Command, DocArguments, Line};
use fodo_report::{Diagnostic, Result};
use std::process::ExitCode;

fn main() -> ExitCode {
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(answer) => return answered(&answer),
    };
    let json = line.common.json;
    match fodo_language::run_on_script_thread(|| dispatch(line)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) | Err(error) => fail(&error, json),
    }
}

/// Help or a wrong command line; below the help of `run NAME` stands what the procedure says of itself.
fn answered(answer: &clap::Error) -> ExitCode {
    // a closed pipe ends the reader's interest
    _ = answer.print();
    if answer.kind() == clap::error::ErrorKind::DisplayHelp {
        let arguments = std::env::args().filter(|argument| argument != "--help" && argument != "-h");
        if let Ok(Line { common, command: Some(Command::Run(run)) }) = Line::try_parse_from(arguments)
            && !run.what.contains(['.', '/'])
        {
            let page = DocArguments { name: Some(run.what), out: None };
            return match fodo_language::run_on_script_thread(|| doc::doc(&common, &page)) {
                Ok(Ok(code)) => code,
                Ok(Err(error)) | Err(error) => fail(&error, false),
            };
        }
    }
    ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2))
}

fn dispatch(line: Line) -> Result<ExitCode> {
    let common = line.common;
    match line.command.unwrap_or(Command::Repl) {
        Command::Run(arguments) => run::run(&common, &arguments),
        Command::Optics(arguments) => run::run(&common, &arguments.into_run()),
        Command::Eval(arguments) => run::eval(&common, &arguments),
        Command::Repl => prompt::prompt(&common),
        Command::Serve(arguments) => serve::serve(&common, &arguments),
        Command::Twin(arguments) => twin::twin(&common, &arguments),
        Command::Check(arguments) => check::check(&common, &arguments),
        Command::Lsp => lsp::lsp(&common),
        Command::Test(arguments) => test::test(&common, &arguments),
        Command::Doc(arguments) => doc::doc(&common, &arguments),
        Command::Facility(arguments) => match arguments.action {
            command::FacilityAction::Check => facility::check(&common),
            command::FacilityAction::Export { pyaml } => facility::export(&common, &pyaml),
        },
        Command::Library(arguments) => library::library(&common, &arguments),
        Command::Lattice(arguments) => lattice::lattice(&common, &arguments),
        Command::Track(arguments) => track::track(&common, &arguments),
        Command::Adapter(arguments) => adapter::adapter(&common, &arguments),
        Command::Changes(arguments) => changes::changes(&common, &arguments),
        Command::Leases(arguments) => leases::leases(&common, &arguments),
        Command::Recover => recover::recover(&common),
        Command::TangoServer => backends::tango_server().map(|()| ExitCode::SUCCESS),
    }
}

/// Shows an error that came before there was a run.
fn fail(error: &Diagnostic, json: bool) -> ExitCode {
    if json {
        show::json_object(false, serde_json::Value::Null, serde_json::Value::Null, Some(error));
    } else {
        show::error(error);
    }
    ExitCode::from(error.kind.exit_code())
}
