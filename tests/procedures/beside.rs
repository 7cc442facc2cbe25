//! Every procedure has tests beside it, and the program finds that they hold: `fodo test procedures`.

use fodo_tests::{Scratch, json, project};
use std::path::{Path, PathBuf};

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let inside = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    inside.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_procedure_has_tests_beside_it() {
    let files = files(&project().join("procedures"));
    let is = |path: &Path, ending: &str| path.to_string_lossy().ends_with(ending);
    let procedures = files.iter().filter(|path| is(path, ".rhai") && !is(path, ".test.rhai"));
    let lacking: Vec<&PathBuf> = procedures
        .filter(|path| !["test.md", "test.rhai"].iter().any(|ending| files.contains(&path.with_extension(ending))))
        .collect();
    assert!(!files.is_empty() && lacking.is_empty(), "no tests beside {lacking:?}");
}

#[test]
fn tests_beside_procedures_hold_with_three_seeds() {
    let object = json(&Scratch::new("procedure-tests"), &["test", "procedures", "--seeds", "3"]);
    let tests = object["result"]["tests"].as_array().unwrap();
    assert!(tests.len() > 10, "only {} tests were found", tests.len());
    let failed: Vec<String> = tests.iter().filter(|test| test["ok"] != true).map(ToString::to_string).collect();
    assert!(object["ok"] == true && failed.is_empty(), "{}", failed.join("\n"));
    // what a call promises does not depend on the seed
    let runs = |test: &serde_json::Value| test["runs"].as_array().unwrap().len();
    let by_three = tests.iter().filter(|test| runs(test) == 3).count();
    assert!(tests.iter().all(|test| [1, 3].contains(&runs(test))) && by_three > 100, "{by_three} of {}", tests.len());
}
