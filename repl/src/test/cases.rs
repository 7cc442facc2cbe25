//! Finding tests: blocks of `*.test.md` under their headings, functions `test_…` of `*.test.rhai`.

use super::promises::{self, Promise};
use crate::shelf;
use fodo_language::{Block, blocks};
use fodo_report::{Diagnostic, Kind, Label, Result};
use rhai::Engine;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One test.
#[derive(Clone)]
pub struct Test {
    /// Its file, as it was asked for.
    pub file: String,
    /// Line of its heading or function.
    pub line: usize,
    /// What it shows: the heading above it, or the first sentence of the function's comment.
    pub name: String,
    /// What is run; it has the line numbers of the file.
    pub text: Arc<str>,
    /// The function to call; without one the text is a script.
    pub function: Option<Function>,
    /// Where it must fail, and what the error must say.
    pub fails: Option<(usize, String)>,
    /// The facility it is written for.
    pub facility: Option<String>,
    /// Whether it comes from another laboratory: it may not do more than a procedure may.
    pub foreign: bool,
    /// Errors to plant instead of those of the facility's `twin.toml`.
    pub planted: Option<Arc<str>>,
    /// What its text, a call of a procedure, promises.
    pub promise: Option<Promise>,
}

/// A test that is a function.
#[derive(Clone)]
pub struct Function {
    pub name: String,
    /// Whether it takes the truth as its argument.
    pub takes_truth: bool,
}

impl Test {
    /// The folder of its file: procedures and libraries beside it can be used.
    pub fn folder(&self) -> PathBuf {
        let folder = Path::new(&self.file).parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).to_path_buf()
    }

    /// The seeds it runs with: what a call promises does not depend on them, and is looked at with the first.
    pub fn seeds<'s>(&self, all: &'s [u64]) -> &'s [u64] {
        if self.promise.is_some() { &all[..all.len().min(1)] } else { all }
    }
}

/// The tests in files and folders, in the order of their names.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for path in paths {
        for file in files(path)? {
            let shown = file.display().to_string();
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Diagnostic::new(Kind::Usage, format!("{shown} could not be read: {error}")))?;
            let found = of_text(&shown, &text)?;
            if found.is_empty() {
                return Err(Diagnostic::new(Kind::Usage, format!("there is no test in {shown}"))
                    .hint("a test is a block ```rhai below a heading, or a function `fn test_…()` of a script")
                    .into());
            }
            tests.extend(found);
        }
    }
    Ok(tests)
}

/// The tests in a text, once for each facility that it names; of a file that holds none, nothing.
pub fn of_text(file: &str, text: &str) -> Result<Vec<Test>> {
    let (tests, facilities) = match Path::new(file) {
        path if is(path, ".test.md") => {
            let top = headings(text).first().map_or(usize::MAX, |(line, _)| *line);
            (in_markdown(file, text)?, facilities(text.lines().take(top)))
        }
        path if is(path, ".test.rhai") => (in_script(file, text), of_head(text)),
        _ => return Ok(Vec::new()),
    };
    let [_, _, ..] = facilities[..] else { return Ok(tests) };
    let on = |test: &Test, facility: &String| Test {
        name: format!("{}, {facility}", test.name),
        facility: Some(facility.clone()),
        ..test.clone()
    };
    Ok(tests.iter().flat_map(|test| facilities.iter().map(|facility| on(test, facility))).collect())
}

fn is(path: &Path, ending: &str) -> bool {
    path.to_string_lossy().ends_with(ending)
}

/// The test files at a path: itself, those beside a script, or all below a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let tests = |path: &Path| is(path, ".test.md") || is(path, ".test.rhai");
    let shown = path.display();
    if !path.exists() {
        return Err(missing(path).into());
    }
    if path.is_dir() {
        let found: Vec<PathBuf> = shelf::below(path).into_iter().filter(|path| tests(path)).collect();
        return match found.is_empty() {
            false => Ok(found),
            true => Err(Diagnostic::new(Kind::Usage, format!("there is no test below {shown}"))
                .hint("tests stand beside what they test: `correct_orbit.test.md`, or `correct_orbit.test.rhai`")
                .into()),
        };
    }
    if tests(path) {
        return Ok(vec![path.to_path_buf()]);
    }
    let beside = ["test.md", "test.rhai"].map(|ending| path.with_extension(ending));
    let found: Vec<PathBuf> = beside.iter().filter(|path| path.is_file()).cloned().collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err(Diagnostic::new(Kind::Usage, format!("{shown} has no tests beside it"))
            .hint(format!("they would stand in {} or {}", beside[0].display(), beside[1].display()))
            .into()),
    }
}

fn missing(path: &Path) -> Diagnostic {
    let report = Diagnostic::new(Kind::Usage, format!("there is no test file {}", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = shelf::below(folder).into_iter().filter(|path| is(path, ".md") || is(path, ".rhai"));
    let names: Vec<String> = names.map(|path| path.display().to_string()).collect();
    report
        .near(&path.display().to_string(), names.iter().map(String::as_str))
        .hint("give a file `*.test.md` or `*.test.rhai`, a script with one beside it, or a folder")
}

/// Blocks of Markdown, each below a heading.
fn in_markdown(file: &str, text: &str) -> Result<Vec<Test>> {
    closed(file, text)?;
    let headings = headings(text);
    let facility =
        facilities(text.lines().take(headings.first().map_or(usize::MAX, |(line, _)| *line))).into_iter().next();
    let mut tests: Vec<Test> = Vec::new();
    // errors planted above the first heading are planted for the whole file, but where a section has its own
    let mut planted: HashMap<Option<usize>, Arc<str>> = HashMap::new();
    for block in blocks(text) {
        let section = headings.iter().rev().find(|(line, _)| *line < block.line);
        let place = section.map(|(line, _)| *line);
        if block.is("toml") && block.has("twin") {
            planted.insert(place, block.text.as_str().into());
            continue;
        }
        if !block.is("rhai") {
            continue;
        }
        let (line, name) = section.ok_or_else(|| no_section(file, text, &block))?;
        let before = tests.iter().filter(|test| test.line == *line).count();
        tests.push(Test {
            file: file.into(),
            line: *line,
            name: if before == 0 { name.clone() } else { format!("{name} ({})", before + 1) },
            text: format!("{}{}", "\n".repeat(block.line - 1), block.text).into(),
            function: None,
            fails: fails(&block.text).map(|(at, what)| (block.line + at, what)),
            facility: facility.clone(),
            foreign: false,
            planted: planted.get(&place).or_else(|| planted.get(&None)).cloned(),
            promise: None,
        });
    }
    if let Some((at, call)) = call(text) {
        let promised = |promise: Promise| Test {
            file: file.into(),
            line: at + 1,
            name: promise.title(promises::measures(call)).into(),
            text: format!("{}{call}", "\n".repeat(at)).into(),
            function: None,
            fails: None,
            facility: facility.clone(),
            foreign: false,
            planted: planted.get(&None).cloned(),
            promise: Some(promise),
        };
        tests.extend(Promise::ALL.map(promised));
    }
    Ok(tests)
}

/// The line, from 0, of `- **Call:** …` above the first heading, and the call.
fn call(text: &str) -> Option<(usize, &str)> {
    let head = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("##"));
    let (at, rest) = head.filter_map(|(at, line)| Some((at, line.split_once("**Call:**")?.1))).next()?;
    Some((at, rest.trim().trim_matches('`')))
}

/// Lines, from 1, and texts of the headings below the title.
fn headings(text: &str) -> Vec<(usize, String)> {
    let mut code = false;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        code ^= line.trim_start().starts_with("```");
        if !code && line.starts_with("##") {
            found.push((at + 1, line.trim_start_matches('#').trim().to_string()));
        }
    }
    found
}

/// A block that is not closed would hide all that come after it.
fn closed(file: &str, text: &str) -> Result<()> {
    let fences: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with("```"))
        .map(|(at, _)| at + 1)
        .collect();
    match fences.last() {
        Some(last) if fences.len() % 2 == 1 => {
            let place = Label::new(file, *last, 1).long(3).in_text(text);
            Err(Diagnostic::new(Kind::Script, "a block of this file is not closed")
                .label(place)
                .hint("end it with ```")
                .into())
        }
        _ => Ok(()),
    }
}

fn no_section(file: &str, text: &str, block: &Block) -> Box<Diagnostic> {
    let place = Label::new(file, block.line - 1, 1).long(3).in_text(text);
    Diagnostic::new(Kind::Script, "this test stands in no section")
        .label(place)
        .hint("a heading above it, `## What it shows`, gives the test its name")
        .into()
}

/// `- **Facility:** `demo_ring`, `dba_ring``: those that a test is written for.
fn facilities<'t>(mut lines: impl Iterator<Item = &'t str>) -> Vec<String> {
    let Some((_, rest)) = lines.find_map(|line| line.split_once("**Facility:**")) else { return Vec::new() };
    match rest.contains('`') {
        true => rest.split('`').skip(1).step_by(2).map(|name| name.trim().to_string()).collect(),
        false => vec![rest.trim().to_string()],
    }
}

/// The line, from 0, of a comment `// error: TEXT`, and its text.
fn fails(text: &str) -> Option<(usize, String)> {
    text.lines().enumerate().find_map(|(at, line)| Some((at, line.split_once("// error: ")?.1.trim().to_string())))
}

/// The facility that the `//!` lines of a script name, the first if there are several.
pub fn facility_of(text: &str) -> Option<String> {
    of_head(text).into_iter().next()
}

fn of_head(text: &str) -> Vec<String> {
    let (title, head) = fodo_procedure::head_text(text);
    facilities(std::iter::once(title.as_str()).chain(head.lines()))
}

/// Functions whose names begin with `test_`.
fn in_script(file: &str, text: &str) -> Vec<Test> {
    let mut engine = Engine::new_raw();
    engine.set_max_expr_depths(256, 128);
    let (_, head) = fodo_procedure::head_text(text);
    let Ok(tree) = engine.compile(text) else { return vec![unreadable(file, text)] };
    let facility = facility_of(text);
    let planted = blocks(&head).into_iter().find(|block| block.is("toml") && block.has("twin"));
    let test = |function: &rhai::Shared<rhai::ScriptFuncDef>| {
        let name = function.name.to_string();
        let start = function.body.start_position().line().unwrap_or(1);
        let end = function.body.end_position().line().unwrap_or(usize::MAX);
        let body: Vec<&str> = text.lines().take(end).skip(start - 1).collect();
        let comment = function.comments.first().map(|c| c.trim_start_matches('/').trim().to_string());
        Test {
            file: file.into(),
            line: start,
            name: comment.filter(|c| !c.is_empty()).unwrap_or_else(|| name.replacen("test_", "", 1).replace('_', " ")),
            text: text.into(),
            fails: fails(&body.join("\n")).map(|(at, what)| (start + at, what)),
            facility: facility.clone(),
            foreign: false,
            planted: planted.as_ref().map(|block| block.text.as_str().into()),
            promise: None,
            function: Some(Function { name, takes_truth: !function.params.is_empty() }),
        }
    };
    let ours = tree.iter_fn_def().filter(|f| f.name.starts_with("test_"));
    let mut tests: Vec<Test> = ours.map(test).collect();
    tests.sort_by_key(|test| test.line);
    tests
}

/// A script that cannot be read: its one test says why, and the others go on.
fn unreadable(file: &str, text: &str) -> Test {
    Test {
        file: file.into(),
        line: 1,
        name: "can be read".into(),
        text: text.into(),
        function: None,
        fails: None,
        facility: facility_of(text),
        foreign: false,
        planted: None,
        promise: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n- **Facility:** `demo_ring`\n\n## First\n\n```rhai\nlet a = 1;\n```\n\n```rhai\n\
                        throw \"no\"; // error: no\n```\n\n## Second\n\n```toml,twin\nseed = 3\n```\n\n```rhai\n1\n```\n";

    #[test]
    fn blocks_stand_in_sections_and_keep_their_lines() {
        let tests = in_markdown("t.test.md", TEXT).unwrap();
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["First", "First (2)", "Second"]);
        assert_eq!(tests[1].fails, Some((12, "no".to_string())));
        assert_eq!(tests[1].text.lines().nth(11), Some("throw \"no\"; // error: no"));
        assert!(tests[0].planted.is_none() && tests[2].planted.as_deref() == Some("seed = 3\n"));
        assert!(tests.iter().all(|test| test.facility.as_deref() == Some("demo_ring")));
    }

    #[test]
    fn what_would_hide_a_test_is_a_mistake() {
        assert!(in_markdown("t.test.md", "# T\n\n```rhai\n1\n```\n").is_err_and(|e| e.message.contains("no section")));
        assert!(in_markdown("t.test.md", "## T\n\n```rhai\n1\n").is_err_and(|e| e.message.contains("not closed")));
    }

    #[test]
    fn the_facility_may_stand_in_the_first_line() {
        for text in [
            "//! - **Facility:** `demo_ring`\nfn test_a() {}",
            "//! # T\n//! - **Facility:** demo_ring\nfn test_a() {}",
            "//! - **Facility:** `demo_ring`\nfn test_a( {",
        ] {
            assert_eq!(in_script("t.test.rhai", text)[0].facility.as_deref(), Some("demo_ring"), "{text}");
        }
        assert_eq!(facility_of("//! # T\n\n// **Facility:** x\nfn test_a() {}"), None);
    }

    #[test]
    fn several_facilities_are_a_test_each() {
        let text = TEXT.replace("`demo_ring`", "`demo_ring`, `dba_ring`");
        let tests = of_text("t.test.md", &text).unwrap();
        let found: Vec<(&str, Option<&str>)> = tests.iter().map(|t| (t.name.as_str(), t.facility.as_deref())).collect();
        assert_eq!(found[..2], [("First, demo_ring", Some("demo_ring")), ("First, dba_ring", Some("dba_ring"))]);
        assert_eq!(tests.len(), 2 * in_markdown("t.test.md", TEXT).unwrap().len());
    }

    #[test]
    fn functions_are_tests() {
        let text = "//! # T\n\n/// Counts.\nfn test_count() {\n    1\n}\n\nfn test_truth(truth) { throw 1; } // error: 1\nfn help() {}\n";
        let tests = in_script("t.test.rhai", text);
        let found: Vec<(usize, &str, bool)> = tests
            .iter()
            .map(|t| (t.line, t.name.as_str(), t.function.as_ref().is_some_and(|f| f.takes_truth)))
            .collect();
        assert_eq!(found, [(4, "Counts.", false), (8, "truth", true)]);
        assert_eq!(tests[1].fails, Some((8, "1".to_string())));
    }
}
