//! Tests beside procedures: `NAME.test.md` is prose with blocks of code that are run on the twin of `demo_ring`.
//!
//! Each block marked `rhai` is a script of its own, run by the program with each of [`SEEDS`]. It must end well, unless a
//! line of it ends with `// error: TEXT`: then it must end there, with a message that holds TEXT.

use crate::language::markdown::{Block, blocks};
use fodo_tests::{Scratch, json, project};
use rayon::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Seeds of the twin; a failing test names its own.
const SEEDS: [u64; 3] = [1, 2, 3];

/// All files below a folder whose names end so.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// The line, from 1, where a block must fail, and what its message must hold.
fn expected(block: &Block) -> Option<(usize, &str)> {
    block.text.lines().enumerate().find_map(|(at, line)| Some((at + 1, line.split_once("// error: ")?.1.trim())))
}

/// Whether the error is at this line of the block, or in something called there.
fn at_line(error: &Value, line: usize) -> bool {
    let here = |place: &Value| {
        place["file"].as_str().is_some_and(|file| file.ends_with("block.rhai")) && place["line"] == line as u64
    };
    here(error) || error["calls"].as_array().is_some_and(|calls| calls.iter().any(here))
}

/// What is wrong with a block, if anything.
fn run(name: &str, block: &Block, seed: u64) -> Option<String> {
    let scratch = Scratch::new(&format!("procedure-{name}-{}-{seed}", block.line));
    let script = scratch.file("block.rhai", &block.text);
    let seed_text = seed.to_string();
    let arguments = ["run", script.to_str()?, "--facility", "demo_ring", "--seed", &seed_text];
    let object = json(&scratch, &arguments);
    let error = &object["error"];
    let wrong = match expected(block) {
        None if object["ok"] == true => return None,
        None => format!("{error}"),
        Some((line, _)) if object["ok"] == true => format!("line {line} did not fail"),
        Some((line, text)) => {
            let said = error["message"].as_str().unwrap_or_default().contains(text);
            if said && at_line(error, line) {
                return None;
            }
            format!("expected at line {line}: {text}; found {error}")
        }
    };
    Some(format!("{name}, block at line {}, seed {seed}: {wrong}", block.line))
}

#[test]
fn tests_beside_procedures() {
    let folder = project().join("procedures");
    let mut procedures = Vec::new();
    files(&folder, ".rhai", &mut procedures);
    assert!(!procedures.is_empty());
    let mut runs = Vec::new();
    for procedure in &procedures {
        let test = procedure.with_extension("test.md");
        let text = std::fs::read_to_string(&test).unwrap_or_else(|e| panic!("{}: {e}", test.display()));
        assert!(text.matches("\n```").count().is_multiple_of(2), "{}: a block is not closed", test.display());
        let name = procedure.file_stem().unwrap().to_string_lossy().into_owned();
        let blocks: Vec<Block> = blocks(&text).into_iter().filter(|block| block.is("rhai")).collect();
        assert!(!blocks.is_empty(), "{} has no block to run", test.display());
        for block in blocks {
            runs.extend(SEEDS.map(|seed| (name.clone(), seed, block.clone())));
        }
    }
    eprintln!("{} runs of blocks", runs.len());
    let wrong: Vec<String> = runs.par_iter().filter_map(|(name, seed, block)| run(name, block, *seed)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
