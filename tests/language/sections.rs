//! Sections by subject: prose, code, and the expected error as a comment at its line (`// error: part of its text`).
//!
//! Each block runs on a fresh twin, input by input as at the prompt. An input without such a comment must not fail.

use super::bench::{Bench, files, inputs};
use fodo_language::{Block, blocks};
use fodo_report::Diagnostic;
use fodo_tests::failures;

/// What is wrong with one block.
fn holds(file: &str, block: &Block) -> Result<(), String> {
    let mut bench = Bench::new();
    for (line, input) in inputs(&block.text) {
        let at = format!("{file}:{}", block.line + line);
        let expected: Vec<&str> = input.lines().filter_map(|l| Some(l.split_once("// error: ")?.1.trim())).collect();
        match (bench.line(&input), expected.as_slice()) {
            (Ok(_), []) => {}
            (Err(error), []) => return Err(format!("{at}: {}", error.render(false))),
            (Ok(_), _) => return Err(format!("{at}: it must fail: {}", input.trim())),
            (Err(error), parts) => told(&at, &error, parts)?,
        }
    }
    Ok(())
}

fn told(at: &str, error: &Diagnostic, parts: &[&str]) -> Result<(), String> {
    // without the excerpt, which shows the comment itself
    let text = Diagnostic { labels: Vec::new(), ..error.clone() }.render(false);
    match parts.iter().find(|part| !text.contains(**part)) {
        None => Ok(()),
        Some(part) => Err(format!("{at}: the error does not say `{part}`:\n{text}")),
    }
}

#[test]
fn every_section_holds() {
    let mut all: Vec<(String, Block)> = Vec::new();
    for path in files("tests/language", "md") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let code =
            blocks(&std::fs::read_to_string(&path).unwrap()).into_iter().filter(|b| b.is("rhai") && !b.has("check"));
        all.extend(code.map(|block| (name.clone(), block)));
    }
    assert!(all.len() > 20, "the sections were not found");
    let failed = failures(&all, |(file, block)| holds(file, block));
    assert!(failed.is_empty(), "{} of {} blocks:\n{}", failed.len(), all.len(), failed.join("\n"));
}
