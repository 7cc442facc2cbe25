//! `fodo test`: tests beside procedures and libraries, each on a twin of its own, many at once.

mod cases;
mod promises;
mod report;
mod run;
mod trouble;

use crate::command::{Common, Machine, TestArguments};
use crate::{app, library, shelf};
use cases::Test;
pub use cases::facility_of;
use fodo_libraries::{Installed, Lock};
use fodo_report::{Diagnostic, Kind, Result};
use report::Report;
pub use run::truth;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
pub use trouble::{Trouble, Troubled, Writes};

/// How one run of a test ended.
pub struct Run {
    pub seed: u64,
    pub time: Duration,
    pub error: Option<Box<Diagnostic>>,
    /// What the script printed.
    pub printed: String,
}

/// Runs the tests at the paths given, or those of the procedures.
pub fn test(common: &Common, arguments: &TestArguments) -> Result<ExitCode> {
    if common.on == Machine::Live || common.rehearse {
        let option = if common.rehearse { "--rehearse" } else { "--on live" };
        return Err(Diagnostic::new(
            Kind::Usage,
            format!("tests write to a twin of their own; `{option}` makes no sense"),
        )
        .hint("a procedure runs on the machine with `fodo run`")
        .into());
    }
    let paths = match arguments.paths.as_slice() {
        [] => std::slice::from_ref(&common.procedures),
        paths => paths,
    };
    let tests = cases::find(paths)?;
    let benches = run::benches(common, &tests)?;
    let lock = Lock::read(&*shelf::facility(&common.facility)?)?;
    let installed = Arc::new(Installed::load(&lock, &library::store(common)?)?);
    let first = common.seed.unwrap_or(1);
    let seeds: Vec<u64> = (first..first.saturating_add(arguments.seeds)).collect();
    let start = Instant::now();
    let mut report = Report::new(&tests, &seeds, common);
    let runs = |(at, test): (usize, &Test)| test.seeds(&seeds).iter().map(move |seed| (at, *seed)).collect::<Vec<_>>();
    let runs: Vec<(usize, u64)> = tests.iter().enumerate().flat_map(runs).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (done, finished) = mpsc::channel();
        let (next, tests, runs, benches, installed) = (&next, &tests, &runs, &benches, &installed);
        for _ in 0..threads(arguments, runs.len()) {
            let done = done.clone();
            scope.spawn(move || {
                while let Some((at, seed)) = take(next, runs) {
                    let run = run::run(common, &tests[at], seed, &benches[at], installed);
                    // nobody waits any more: the program ends
                    _ = done.send((at, run));
                }
            });
        }
        drop(done);
        finished.into_iter().for_each(|(at, run)| report.add(at, run));
    });
    report.end(start.elapsed());
    if let Some(file) = &arguments.junit {
        write(file, &report.junit(start.elapsed()))?;
    }
    match app::cancel().is_stopped() {
        true => {
            Err(Diagnostic::new(Kind::Stopped, "stopped by the operator; the rest of the tests did not run").into())
        }
        false => Ok(report.exit_code()),
    }
}

/// How the tests of texts from another laboratory ended.
pub struct Foreign {
    /// How many there are.
    pub count: usize,
    /// Those that failed, each with the first seed that it failed with.
    pub failed: Vec<Diagnostic>,
}

/// Runs the tests of files that are not on disk, by path and text, with each of `seeds`.
///
/// A test runs on the twin of `demo_ring`, unless it names another facility.
pub fn foreign(common: &Common, files: &[(String, String)], seeds: &[u64], installed: Installed) -> Result<Foreign> {
    let common = Common {
        facility: "demo_ring".into(),
        on: Machine::Twin,
        role: None,
        rehearse: false,
        write: false,
        ..common.clone()
    };
    let mut tests = Vec::new();
    for (file, text) in files {
        tests.extend(cases::of_text(file, text)?.into_iter().map(|test| Test { foreign: true, ..test }));
    }
    let (benches, installed) = (run::benches(&common, &tests)?, Arc::new(installed));
    let mut failed = Vec::new();
    for (test, bench) in tests.iter().zip(&benches) {
        let failing = |seed: &u64| run::run(&common, test, *seed, bench, &installed).error.map(|error| (*seed, error));
        if let Some((seed, error)) = seeds.iter().find_map(failing) {
            let message = format!("{}, line {} of {}, fails with seed {seed}", test.name, test.line, test.file);
            failed.push(Diagnostic::new(Kind::Script, message).cause(*error));
        }
    }
    Ok(Foreign { count: tests.len(), failed })
}

/// The next run that nobody has taken: place of its test, seed.
fn take(next: &AtomicUsize, runs: &[(usize, u64)]) -> Option<(usize, u64)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    runs.get(at).filter(|_| !app::cancel().is_stopped()).copied()
}

fn threads(arguments: &TestArguments, runs: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.jobs.unwrap_or(cores).clamp(1, runs.max(1))
}

fn write(file: &PathBuf, text: &str) -> Result<()> {
    std::fs::write(file, text).map_err(|error| {
        Diagnostic::new(Kind::Storage, format!("{} could not be written: {error}", file.display())).into()
    })
}
