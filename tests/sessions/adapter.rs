//! `fodo adapter`, and a facility with an adapter, as a laboratory has them.

use super::machine::{Running, object};
use super::ring::{Orbit, facility};
use fodo_tests::{self as support, Scratch};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

fn simulator(test: &str) -> bool {
    let there = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !there {
        support::skipped(test, "there is no python3 for an adapter");
    }
    there
}

/// `fodo adapter check --json` of the simulator: exit code and object.
fn check(scratch: &Scratch, options: &[&str], more: &[&str]) -> (i32, Value) {
    let command = ["python3", "tests/setup/adapter_simulator.py"];
    let output = support::run(scratch, &[&["adapter", "check", "--json"], options, &command, more].concat());
    let object = serde_json::from_slice(&output.stdout);
    let told = || String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), object.unwrap_or_else(|e| panic!("{e}: {}", told())))
}

fn with(object: &Value, outcome: &str) -> Vec<String> {
    let checks = object["result"]["checks"].as_array().unwrap();
    let promise = |check: &&Value| check["outcome"] == outcome;
    checks.iter().filter(promise).map(|check| check["promise"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_check_tells_good_adapters_from_bad_ones() {
    if !simulator("a_check_tells_good_adapters_from_bad_ones") {
        return;
    }
    let scratch = Scratch::new("adapter-check");
    let (code, good) = check(&scratch, &["--write"], &[]);
    assert_eq!((code, good["ok"].as_bool(), with(&good, "kept").len()), (0, Some(true), 22), "{good}");
    let (code, early) = check(&scratch, &["--write"], &["--done", "early"]);
    assert_eq!((code, early["ok"].as_bool(), early["error"]["kind"].as_str()), (3, Some(false), Some("machine")));
    assert_eq!(
        with(&early, "broken"),
        ["a write returns when it is done, not before", "a write that takes longer than the wait says so"]
    );
    let (code, late) = check(&scratch, &["--write"], &["--refuse", "late"]);
    assert_eq!((code, with(&late, "broken")), (3, vec!["a refused write says why and changes nothing".to_string()]));
    // channels of a file instead of those it offers
    let file = scratch.file("few.toml", "number = \"SIM:NUMBER\"\nrange = [-7.0, 7.0]\nabsent = \"NO:\"\n");
    let (code, few) = check(&scratch, &["--write", "--channels", file.to_str().unwrap()], &["--test", "no"]);
    assert_eq!((code, with(&few, "broken").len()), (0, 0), "{few}");
    assert!(with(&few, "skipped").len() >= 8, "{few}");
    let (code, none) = check(&scratch, &[], &["--test", "no"]);
    assert_eq!((code, none["error"]["kind"].as_str()), (2, Some("usage")), "{none}");
    let wrong = scratch.file("wrong.toml", "number = \"SIM:NUMBER\"\nrnage = [-7.0, 7.0]\n");
    let (code, wrong) = check(&scratch, &["--channels", wrong.to_str().unwrap()], &[]);
    assert_eq!((code, wrong["error"]["line"].as_u64()), (2, Some(2)), "{wrong}");
}

/// What the simulator took: of each channel what it held first and what it holds now.
fn taken(file: &Path) -> BTreeMap<String, (Value, Value)> {
    let mut taken: BTreeMap<String, (Value, Value)> = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
        let (name, before, after): (String, Value, Value) = serde_json::from_str(line).unwrap();
        taken.entry(name).or_insert((before, Value::Null)).1 = after;
    }
    taken
}

#[test]
fn a_check_writes_only_when_told_and_puts_everything_back() {
    if !simulator("a_check_writes_only_when_told_and_puts_everything_back") {
        return;
    }
    let scratch = Scratch::new("adapter-write");
    let file = scratch.path().join("writes");
    let writes = ["--writes", file.to_str().unwrap()];
    let (code, read) = check(&scratch, &[], &writes);
    assert_eq!((code, with(&read, "kept").len(), with(&read, "needs --write").len()), (0, 10, 12), "{read}");
    assert!(!file.exists(), "{:?}", taken(&file));
    // also what the adapter should not have taken
    let (code, late) = check(&scratch, &["--write"], &[&writes[..], &["--refuse", "late"]].concat());
    assert_eq!(code, 3, "{late}");
    let held = taken(&file);
    assert!(held.contains_key("SIM:LIMITED") && held.contains_key("SIM:SLOW") && held.len() > 200, "{held:?}");
    held.iter().for_each(|(name, (before, now))| assert_eq!(before, now, "{name}"));
}

#[test]
fn a_check_that_is_stopped_puts_everything_back() {
    if !simulator("a_check_that_is_stopped_puts_everything_back") {
        return;
    }
    let scratch = Scratch::new("adapter-stopped");
    let file = scratch.path().join("writes");
    let mut command = support::fodo(&scratch, &["adapter", "check", "--json", "--write", "python3"]);
    command.args(["tests/setup/adapter_simulator.py", "--writes"]).arg(&file);
    let running = Running::start(command);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !taken(&file).contains_key("SIM:SLOW") {
        assert!(Instant::now() < deadline, "nothing is written");
        std::thread::sleep(Duration::from_millis(10));
    }
    running.interrupt();
    let output = running.output();
    let answer = object(&output);
    assert_eq!((output.status.code(), &answer["error"]["kind"]), (Some(130), &"stopped".into()), "{answer}");
    assert!(with(&answer, "stopped").len() > 10, "{answer}");
    taken(&file).iter().for_each(|(name, (before, now))| assert_eq!(before, now, "{name}"));
}

#[test]
fn a_facility_whose_adapter_is_missing_says_where() {
    let scratch = Scratch::new("adapter-facility");
    let path = facility(&scratch, Orbit::Vectors);
    let head = path.join("facility.toml");
    let text = std::fs::read_to_string(&head).unwrap();
    let run = |lines: &str| {
        std::fs::write(&head, text.replacen("control = \"ca\"", lines, 1)).unwrap();
        support::json(&scratch, &["eval", "1", "--on", "live", "--facility", path.to_str().unwrap()])
    };
    let without = run("control = \"adapter\"");
    assert_eq!((without["error"]["kind"].as_str(), without["error"]["line"].as_u64()), (Some("facility"), Some(4)));
    let empty = run("control = \"adapter\"\nadapter = { command = [] }");
    assert_eq!(empty["error"]["message"], "`command` is missing: a list of the adapter's program and its arguments");
    let absent = run("control = \"adapter\"\nadapter = { command = [\"./no_such_adapter\"] }");
    assert_eq!(absent["error"]["kind"], "machine", "{absent}");
    let told = absent["error"]["message"].as_str().unwrap();
    assert!(told.contains("`./no_such_adapter` cannot be started"), "{told}");
}
