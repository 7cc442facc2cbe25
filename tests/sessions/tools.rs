//! Every tool over a control system: the call that its tests name, on the served twin, in real time.

use super::machine::{Running, epics, object, point, serve};
use fodo_tests::{self as support, Scratch};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A call of a tool on a facility.
struct Call {
    file: String,
    facility: String,
    text: String,
}

/// The calls in the tests of all procedures.
fn calls() -> Vec<Call> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in std::fs::read_dir(support::project().join("procedures")).unwrap().flatten() {
        files.extend(std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()));
    }
    files.retain(|path| path.to_string_lossy().ends_with(".test.md"));
    files.sort();
    files.iter().flat_map(|path| of_file(path)).collect()
}

fn of_file(path: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(path).unwrap();
    let head: Vec<&str> = text.lines().take_while(|line| !line.starts_with("##")).collect();
    let after = |word: &str| head.iter().find_map(|line| Some(line.split_once(word)?.1));
    let (Some(facilities), Some(call)) = (after("**Facility:**"), after("**Call:**")) else { return Vec::new() };
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    let of = |facility: &str| Call {
        file: file.clone(),
        facility: facility.into(),
        text: call.trim().trim_matches('`').into(),
    };
    facilities.split('`').skip(1).step_by(2).map(of).collect()
}

/// The role of a facility that may write everything, if it has roles.
fn role(facility: &Path) -> Option<String> {
    let text = std::fs::read_to_string(facility.join("facility.toml")).unwrap();
    let sections = text.split("[roles.").skip(1);
    let all = sections
        .filter_map(|section| section.split_once(']'))
        .find(|(_, rest)| rest.split("\n[").next().is_some_and(|own| own.contains("writes = \"all\"")));
    all.map(|(name, _)| name.to_string())
}

fn over_ca(call: &Call) -> Result<(), String> {
    let scratch = Scratch::new(&format!("tool-{}-{}", call.file, call.facility));
    let facility = support::project().join("facilities").join(&call.facility);
    let (_serving, port) = serve(&scratch, &facility, &["--seed", "3"]);
    let mut command = support::fodo(&scratch, &["eval", &call.text, "--on", "live", "--write", "--json"]);
    command.arg("--facility").arg(&facility);
    role(&facility).into_iter().for_each(|role| _ = command.args(["--role", &role]));
    point(&mut command, port);
    let answer: Value = object(&Running::start(command).output());
    match answer["ok"] == true {
        true => Ok(()),
        false => Err(format!("{} on {}: {}\n{}", call.file, call.facility, call.text, answer["error"])),
    }
}

#[test]
fn every_tool_runs_over_channel_access() {
    if !epics("every_tool_runs_over_channel_access") {
        return;
    }
    let calls = calls();
    let tools: std::collections::BTreeSet<&str> = calls.iter().filter_map(|call| call.text.split('(').next()).collect();
    assert!(tools.len() >= 10, "{tools:?}");
    let failed = support::failures(&calls, over_ca);
    assert!(failed.is_empty(), "{} of {} calls failed:\n{}", failed.len(), calls.len(), failed.join("\n"));
}
