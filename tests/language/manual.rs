//! The manual, the README and the example scripts say what is true.

use super::bench::{Bench, facility_of, files, inputs};
use fodo_language::{Block, blocks};
use fodo_tests::{Scratch, failures, fodo, project, run};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// README and manual; pages made from the program are checked where they are made.
fn pages() -> Vec<PathBuf> {
    let written = files("docs", "md").into_iter().filter(|p| !p.starts_with(project().join("docs/reference")));
    [project().join("README.md")].into_iter().chain(written).collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(project()).unwrap_or(path).display().to_string()
}

fn blocks_of(path: &Path, language: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(path).unwrap();
    blocks(&text).into_iter().filter(|block| block.is(language)).collect()
}

/// The name of the file that a block is.
fn file_of(block: &Block) -> Option<&str> {
    block.info.split(',').find_map(|part| part.trim().strip_prefix("file:"))
}

/// The blocks of one page are typed at one prompt, one after the other; those that are files are not.
fn page_holds(path: &Path) -> Result<(), String> {
    let mut bench = Bench::on(&facility_of(&shown(path)));
    for block in blocks_of(path, "rhai").into_iter().filter(|block| file_of(block).is_none()) {
        for (line, input) in inputs(&block.text) {
            let at = format!("{}:{}", shown(path), block.line + line);
            match (bench.line(&input), block.has("fails")) {
                (Ok(_), false) | (Err(_), true) => {}
                (Ok(_), true) => return Err(format!("{at}: it must fail: {input}")),
                (Err(error), false) => return Err(format!("{at}: {}", error.render(false))),
            }
        }
    }
    Ok(())
}

#[test]
fn every_script_of_the_manual_runs() {
    let pages = pages();
    let count: usize = pages.iter().map(|page| blocks_of(page, "rhai").len()).sum();
    assert!(count > 5, "the blocks were not found");
    let failed = failures(&pages, |page| page_holds(page));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The procedure that the manual writes, and its tests: checked, and run with as many seeds as it says.
#[test]
fn the_files_of_the_manual_pass_the_check_and_their_tests() {
    let scratch = Scratch::new("manual-files");
    let all: Vec<Block> = pages().iter().flat_map(|page| blocks_of(page, "rhai")).collect();
    let files: Vec<(&str, &Block)> = all.iter().filter_map(|block| Some((file_of(block)?, block))).collect();
    assert!(files.len() > 1, "the files were not found");
    for (name, block) in &files {
        scratch.file(&format!("mine/{name}"), &block.text);
    }
    let folder = scratch.path().join("mine");
    let folder = folder.to_str().unwrap();
    for arguments in
        [&["check", folder, "--procedures", folder, "--facility", "demo_ring"][..], &["test", folder, "--seeds", "20"]]
    {
        let output = run(&scratch, arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "fodo {}:\n{text}", arguments.join(" "));
    }
}

#[test]
fn example_scripts_run_and_pass_the_check() {
    let scripts = files("scripts/examples", "rhai");
    assert!(!scripts.is_empty());
    let fails = |path: &PathBuf| {
        let name = shown(path);
        let scratch = Scratch::new(&format!("example-{}", path.file_stem().unwrap().to_string_lossy()));
        let of = |arguments: &[&str]| {
            let output = run(&scratch, arguments);
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            (!output.status.success()).then(|| format!("fodo {}:\n{text}", arguments.join(" ")))
        };
        let check = of(&["check", &name, "--facility", "demo_ring"]);
        check.or_else(|| of(&["run", &name, "--facility", "demo_ring"]))
    };
    let failed: Vec<String> = scripts.par_iter().filter_map(fails).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A command of a `console` block with what it is said to print.
struct Transcript {
    at: String,
    line: String,
    printed: String,
}

/// Commands that are shown with their output; `…` alone on a line stands for any lines.
fn transcripts(path: &Path) -> Vec<Transcript> {
    let mut found: Vec<Transcript> = Vec::new();
    for block in blocks_of(path, "console") {
        let mut open = false;
        for (number, line) in block.text.lines().enumerate() {
            if let Some(command) = line.strip_prefix("$ ") {
                open = command.starts_with("fodo ");
                let at = format!("{}:{}", shown(path), block.line + number);
                found.extend(open.then(|| Transcript { at, line: command.into(), printed: String::new() }));
            } else if let Some(transcript) = found.last_mut().filter(|_| open) {
                transcript.printed.push_str(line.trim_end());
                transcript.printed.push('\n');
            }
        }
    }
    found.retain(|transcript| !transcript.printed.trim().is_empty());
    found
}

/// Words of a command line, with single and double quotation marks.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Lines that differ from run to run.
fn blanked(text: &str) -> Vec<String> {
    let blank =
        |line: &str| if line.starts_with("record: ") { "record: …".to_string() } else { line.trim_end().to_string() };
    text.trim_end().lines().map(blank).collect()
}

fn alike(said: &[String], found: &[String]) -> bool {
    match said.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first.trim() == "…" => (0..=found.len()).any(|skip| alike(rest, &found[skip..])),
        Some((first, rest)) => found.split_first().is_some_and(|(f, others)| f == first && alike(rest, others)),
    }
}

fn transcript_holds(transcript: &Transcript) -> Result<(), String> {
    let Transcript { at, line, printed } = transcript;
    let scratch = Scratch::new(&format!("transcript-{}", at.replace(['/', ':', '.'], "-")));
    let words = words(line);
    let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let output = fodo(&scratch, &arguments).output().unwrap();
    let found = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    match alike(&blanked(printed), &blanked(&found)) {
        true => Ok(()),
        false => Err(format!("{at}: `{line}` is said to print\n{printed}but prints\n{found}")),
    }
}

#[test]
fn transcripts_are_what_the_program_prints() {
    let all: Vec<Transcript> = pages().iter().flat_map(|page| transcripts(page)).collect();
    assert!(!all.is_empty());
    let failed = failures(&all, transcript_holds);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
