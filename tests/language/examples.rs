//! The documentation of every builtin and of the standard library: complete, and its examples run.

use super::bench::{Bench, files};
use super::markdown::{Block, blocks};
use fodo_language::{FunctionDoc, FunctionUse, functions};
use fodo_tests::failures;
use std::collections::BTreeSet;

/// Functions of ours that a script calls by name.
fn builtins(bench: &Bench) -> Vec<FunctionDoc> {
    // Rhai's own hooks for printing and for loops
    const HOOKS: [&str; 3] = ["to_string", "to_debug", "print"];
    let procedures: Vec<String> =
        files("procedures", "rhai").iter().map(|p| p.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let called = |f: &FunctionDoc| f.usage == FunctionUse::Function && !f.standard && !HOOKS.contains(&f.name.as_str());
    // what comes with Rhai itself and is not said anew is described in Rhai's own book
    let rhai: BTreeSet<String> = functions(&rhai::Engine::new()).into_iter().map(|f| f.name).collect();
    let all: Vec<FunctionDoc> = functions(&bench.engine).into_iter().filter(called).collect();
    let ours = |name: &str| !rhai.contains(name) || all.iter().any(|f| f.name == name && !f.comment.is_empty());
    let mine = all.iter().filter(|f| !procedures.contains(&f.name) && ours(&f.name));
    mine.cloned().collect()
}

/// Without an example until their files are finished; an entry that has one by now must go.
const AWAITED: &[&str] = &[
    "all",
    "any",
    "cols",
    "columns",
    "cos",
    "count",
    "index_of_max",
    "index_of_min",
    "indices",
    "invoke",
    "is_empty",
    "is_nan",
    "len",
    "normal",
    "reversed",
    "rows",
    "sin",
    "sort",
    "tan",
    "to_array",
    "transpose",
    "uniform",
    "vstack",
];

#[test]
fn every_builtin_is_documented() {
    let all = builtins(&Bench::new());
    let names: BTreeSet<&str> = all.iter().map(|f| f.name.as_str()).collect();
    let mut lacking = Vec::new();
    let mut awaited: BTreeSet<&str> = AWAITED.iter().copied().collect();
    for name in names {
        let docs: Vec<&FunctionDoc> = all.iter().filter(|f| f.name == name && !f.comment.is_empty()).collect();
        if docs.is_empty() && !awaited.remove(name) {
            lacking.push(format!("{name}: no documentation"));
        }
        for doc in &docs {
            let summary = doc.comment.split("\n\n").next().unwrap_or_default();
            if !summary.starts_with(char::is_uppercase) || !summary.trim_end().ends_with('.') {
                lacking.push(format!("{}: the first line is no sentence: {summary}", doc.signature));
            }
            if !doc.returns.is_empty()
                && doc.returns != "()"
                && doc.comment.contains("# Parameters")
                && !doc.comment.contains("# Returns")
            {
                lacking.push(format!("{}: no `# Returns`", doc.signature));
            }
        }
        let example = docs.iter().any(|doc| blocks(&doc.comment).iter().any(|b| b.is("rhai")));
        if !docs.is_empty() && !example && !awaited.remove(name) {
            lacking.push(format!("{name}: no example"));
        }
    }
    assert!(awaited.is_empty(), "these are finished and need not be awaited: {awaited:?}");
    assert!(lacking.is_empty(), "{} lacking:\n{}", lacking.len(), lacking.join("\n"));
}

fn holds(of: &str, block: &Block) -> Result<(), String> {
    let result = Bench::new().script(&block.text);
    match (result, block.has("fails")) {
        (Ok(_), false) | (Err(_), true) => Ok(()),
        (Ok(_), true) => Err(format!("{of}: it must fail, and does not:\n{}", block.text)),
        (Err(error), false) => Err(format!("{of}:\n{}\n{}", block.text, error.render(false))),
    }
}

fn all_hold(examples: Vec<(String, Block)>) {
    assert!(!examples.is_empty());
    let failed = failures(&examples, |(of, block)| holds(of, block));
    assert!(failed.is_empty(), "{} of {} examples:\n{}", failed.len(), examples.len(), failed.join("\n"));
}

#[test]
fn examples_of_builtins_run() {
    let mut examples: Vec<(String, Block)> = Vec::new();
    for doc in builtins(&Bench::new()) {
        let code = blocks(&doc.comment).into_iter().filter(|b| b.is("rhai"));
        examples.extend(code.map(|block| (doc.signature.clone(), block)));
    }
    examples.dedup_by(|a, b| a.1.text == b.1.text);
    all_hold(examples);
}

#[test]
fn examples_of_the_standard_library_run() {
    let mut examples = Vec::new();
    for path in files("stdlib", "rhai") {
        let text = std::fs::read_to_string(&path).unwrap();
        let comments: String = text
            .lines()
            .map(|line| format!("{}\n", line.trim_start().strip_prefix("/// ").unwrap_or("").trim_end()))
            .collect();
        let code = blocks(&comments).into_iter().filter(|b| b.is("rhai"));
        examples.extend(code.map(|block| (format!("{}:{}", path.display(), block.line), block)));
    }
    all_hold(examples);
}
