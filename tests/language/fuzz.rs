//! Readers of texts neither panic nor hang, whatever they read: seeds in order, so that a failure can be had again.
//!
//! `FODO_FUZZ_RUNS=100000` runs longer. What once failed is kept in `tests/language/fuzz/` and read first.

use super::bench::{Bench, files};
use fodo_language::{Setup, Sources, blocks, engine, run_on_script_thread};
use fodo_procedure::{Known, check, read_header};
use fodo_tests::mutate::{Dice, mutated, runs};
use fodo_tests::project;
use fodo_units::{Quantity, Unit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// An order of magnitude above the slowest.
const LONGEST: Duration = Duration::from_secs(10);

/// What is changed: shipped scripts, and those that have everything the check looks at.
fn scripts() -> Vec<String> {
    let paths = ["procedures", "stdlib", "scripts"].iter().flat_map(|folder| files(folder, "rhai"));
    let mut texts: Vec<String> = paths.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let sections = std::fs::read_to_string(project().join("tests/language/check.md")).unwrap();
    texts.extend(blocks(&sections).into_iter().filter(|block| block.is("rhai")).map(|block| block.text));
    texts
}

/// What once failed.
fn kept() -> Vec<String> {
    let folder = project().join("tests/language/fuzz");
    if !folder.is_dir() {
        return Vec::new();
    }
    files("tests/language/fuzz", "rhai").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Reads a text in every way; gives whether it is a script at all.
fn read(text: &str, engine: &rhai::Engine, known: &Known) -> bool {
    let parsed = Sources::new().compile(engine, "a.rhai", text).is_ok();
    _ = read_header("a.rhai", text);
    for finding in check("a.rhai", text, known) {
        // places stand in the text, and can be shown
        _ = finding.report.render(false);
    }
    parsed
}

#[test]
fn parser_header_reader_and_check_neither_panic_nor_hang() {
    let texts = scripts();
    let (send, receive) = channel::<String>();
    let worker = std::thread::spawn(move || {
        let failed = run_on_script_thread(|| {
            let bench = Bench::new();
            let (known, engine) = (bench.known(), engine(Setup::default()));
            let seeds = (0..runs(1500)).map(|seed| (format!("seed {seed}"), mutated(&mut Dice::new(seed), &texts)));
            let all = kept().into_iter().enumerate().map(|(n, text)| (format!("kept {n}"), text)).chain(seeds);
            let (mut slowest, mut count, mut parsed) = (Duration::ZERO, 0, 0);
            for (name, text) in all {
                _ = send.send(name.clone());
                let start = Instant::now();
                match catch_unwind(AssertUnwindSafe(|| read(&text, &engine, &known))) {
                    Ok(good) => parsed += usize::from(good),
                    Err(_) => return Some(format!("{name} panics:\n{text}")),
                }
                count += 1;
                slowest = slowest.max(start.elapsed());
            }
            println!("{parsed} of {count} are scripts, slowest {slowest:?}");
            // else the check would hardly be reached
            (parsed * 20 < count).then(|| format!("only {parsed} of {count} are scripts"))
        });
        failed.unwrap_or_else(|error| Some(error.to_string()))
    });
    let mut last = String::new();
    loop {
        match receive.recv_timeout(LONGEST) {
            Ok(name) => last = name,
            Err(RecvTimeoutError::Timeout) => panic!("{last} takes longer than {LONGEST:?}"),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    assert_eq!(worker.join().unwrap(), None);
}

#[test]
fn the_unit_parser_neither_panics_nor_hangs() {
    let texts: Vec<String> = [
        "5 urad",
        "-0.2 %",
        "6 GeV",
        "1e-3",
        "1/m^2",
        "m⁻²",
        "T m",
        "rad/A",
        "V/C/m",
        "kHz",
        "m**2",
        "1e400 mm",
        "µrad",
        "deg",
        "1e-3e-3 m",
        "m^127/s^128",
    ]
    .map(String::from)
    .to_vec();
    let start = Instant::now();
    for seed in 0..runs(20_000) {
        let text = mutated(&mut Dice::new(seed), &texts);
        let read = || {
            (
                Unit::parse(&text).is_ok(),
                Quantity::parse(&text).map(|q| (q.to_string(), q.times(&q).to_string())).is_ok(),
            )
        };
        assert!(catch_unwind(AssertUnwindSafe(read)).is_ok(), "seed {seed} panics: {text:?}");
    }
    assert!(start.elapsed() < 20 * LONGEST, "{:?}", start.elapsed());
}
