//! The check: what is wrong is found at its line, and what runs is not called wrong.

use super::bench::{Bench, facility_of, files, inputs};
use super::examples::documented;
use fodo_language::{Block, blocks};
use fodo_procedure::{Finding, Known, Severity, check};
use fodo_report::Diagnostic;
use fodo_tests::project;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything a finding says, without the excerpt, which shows the comment itself.
fn told(finding: &Finding) -> String {
    Diagnostic { labels: Vec::new(), ..finding.report.clone() }.render(false)
}

/// Each line has the findings that its comments name, and no other.
fn holds(known: &Known, block: &Block) -> Vec<String> {
    let found = check("step.rhai", &block.text, known);
    let mut wrong = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        let at = format!("check.md:{}", block.line + number);
        let here = found.iter().filter(|finding| finding.report.labels.first().is_some_and(|l| l.line == number + 1));
        let mut here: Vec<String> = here.map(told).collect();
        for part in line.split("// found: ").skip(1).map(str::trim) {
            match here.iter().position(|text| text.contains(part)) {
                Some(place) => _ = here.remove(place),
                None => wrong.push(format!("{at}: `{part}` is not told, but\n{}", here.concat())),
            }
        }
        wrong.extend(here.iter().map(|text| format!("{at}: told is\n{text}")));
    }
    wrong
}

#[test]
fn what_is_wrong_is_found_at_its_line() {
    let known = Bench::new().known();
    let text = std::fs::read_to_string(project().join("tests/language/check.md")).unwrap();
    let all: Vec<Block> = blocks(&text).into_iter().filter(|block| block.has("check")).collect();
    assert!(all.len() > 6, "the blocks were not found");
    let wrong: Vec<String> = all.iter().flat_map(|block| holds(&known, block)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Scripts that run: the examples of builtins and libraries, sections, the manual page by page, tests beside procedures.
fn running() -> Vec<(String, String)> {
    let mut scripts: Vec<(String, String)> = Vec::new();
    let runs =
        |block: &Block| block.is("rhai") && !["fails", "check", "file"].iter().any(|word| block.info.contains(word));
    for (subject, all) in documented() {
        for doc in all {
            let code = blocks(&doc.comment).into_iter().filter(runs);
            scripts.extend(code.map(|block| (format!("{subject}: {}", doc.signature), block.text)));
        }
    }
    let name = |path: &Path| path.strip_prefix(project()).unwrap().display().to_string();
    for path in ["tests/language", "procedures"].iter().flat_map(|folder| files(folder, "md")) {
        let code = blocks(&std::fs::read_to_string(&path).unwrap()).into_iter().filter(runs);
        let code = code.filter(|block| !block.text.contains("// error:"));
        // tests see what was planted
        let given = if path.starts_with(project().join("procedures")) { "let truth = (); " } else { "" };
        scripts.extend(code.map(|block| (format!("{}:{}", name(&path), block.line), given.to_string() + &block.text)));
    }
    // one page is one session
    for path in files("docs", "md").into_iter().filter(|path| !path.starts_with(project().join("docs/reference"))) {
        let code = blocks(&std::fs::read_to_string(&path).unwrap()).into_iter().filter(runs);
        let lines = code.flat_map(|block| inputs(&block.text)).map(|(_, input)| input.trim_end().to_string());
        let text: String =
            lines.map(|line| if line.ends_with([';', '}']) { line + "\n" } else { line + ";\n" }).collect();
        scripts.push((name(&path), text));
    }
    for folder in ["procedures", "stdlib", "scripts"] {
        let read = |path: &std::path::PathBuf| (name(path), std::fs::read_to_string(path).unwrap());
        scripts.extend(files(folder, "rhai").iter().map(read));
    }
    scripts
}

#[test]
fn what_runs_is_not_called_wrong() {
    let scripts = running();
    assert!(scripts.len() > 150, "only {} scripts were found", scripts.len());
    let mut wrong = Vec::new();
    let mut benches: BTreeMap<String, Known> = BTreeMap::new();
    for (name, text) in &scripts {
        let page = name.split_once(':').filter(|(path, _)| path.starts_with("procedures"));
        let page = page.map(|(path, _)| path).or(name.starts_with("docs").then_some(name.as_str()));
        let facility = page.map_or("demo_ring".to_string(), facility_of);
        let known = benches.entry(facility).or_insert_with_key(|facility| Bench::on(facility).known());
        let found = check(name, text, known);
        let real = found.iter().filter(|finding| finding.severity != Severity::Unused);
        wrong.extend(real.map(|finding| format!("{name}\n{}", finding.report.render(false))));
    }
    assert!(wrong.is_empty(), "{} of {} scripts:\n{}", wrong.len(), scripts.len(), wrong.join("\n"));
}

/// What is shipped has nothing unused either.
#[test]
fn what_is_shipped_passes_the_check() {
    let known = Bench::new().known();
    let shipped = ["procedures", "stdlib", "scripts"].iter().flat_map(|folder| files(folder, "rhai"));
    for path in shipped {
        let found = check(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap(), &known);
        let text: String = found.iter().map(|finding| finding.report.render(false)).collect();
        assert!(found.is_empty(), "{text}");
    }
}
