//! `fodo adapter`, and a facility with an adapter, as a laboratory has them.

use super::ring::{Orbit, facility};
use fodo_tests::{self as support, Scratch};
use serde_json::Value;

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
    let (code, good) = check(&scratch, &[], &[]);
    assert_eq!((code, good["ok"].as_bool(), with(&good, "kept").len()), (0, Some(true), 22), "{good}");
    let (code, early) = check(&scratch, &[], &["--done", "early"]);
    assert_eq!((code, early["ok"].as_bool(), early["error"]["kind"].as_str()), (3, Some(false), Some("machine")));
    assert_eq!(
        with(&early, "broken"),
        ["a write returns when it is done, not before", "a write that takes longer than the wait says so"]
    );
    let (code, late) = check(&scratch, &[], &["--refuse", "late"]);
    assert_eq!((code, with(&late, "broken")), (3, vec!["a refused write says why and changes nothing".to_string()]));
    // channels of a file instead of those it offers
    let file = scratch.file("few.toml", "number = \"SIM:NUMBER\"\nrange = [-7.0, 7.0]\nabsent = \"NO:\"\n");
    let (code, few) = check(&scratch, &["--channels", file.to_str().unwrap()], &["--test", "no"]);
    assert_eq!((code, with(&few, "broken").len()), (0, 0), "{few}");
    assert!(with(&few, "skipped").len() >= 8, "{few}");
    let (code, none) = check(&scratch, &[], &["--test", "no"]);
    assert_eq!((code, none["error"]["kind"].as_str()), (2, Some("usage")), "{none}");
    let wrong = scratch.file("wrong.toml", "number = \"SIM:NUMBER\"\nrnage = [-7.0, 7.0]\n");
    let (code, wrong) = check(&scratch, &["--channels", wrong.to_str().unwrap()], &[]);
    assert_eq!((code, wrong["error"]["line"].as_u64()), (2, Some(2)), "{wrong}");
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
