//! A data folder that cannot be written, and a disk that becomes full in mid-run.
//!
//! The folder is a file system of its own, seen by the one Fodo only.

use super::machine::{Running, epics, object, point};
use super::ring::Machine;
use crate::errors::tells;
use fodo_tests as support;
use serde_json::Value;
use std::process::{Command, Output};

/// Whether this user may mount anything.
fn mounts(test: &str, machine: &Machine) -> bool {
    let may = limited(machine, "size=1m", &["--version"]).status.success();
    if !may {
        support::skipped(test, "`unshare --map-root-user --mount` is not possible here");
    }
    may
}

/// Runs the program with a data folder that is a small file system.
fn limited(machine: &Machine, options: &str, arguments: &[&str]) -> Output {
    let folder = machine.scratch.path().join("small");
    std::fs::create_dir_all(&folder).unwrap();
    let script = "mount -t tmpfs -o \"$0\" fodo-test \"$FODO_DATA\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, options]);
    command.arg(support::program()).args(arguments);
    command.current_dir(support::project()).env("FODO_DATA", &folder);
    point(&mut command, machine.ioc.port);
    Running::start(command).output()
}

fn run(machine: &Machine, options: &str, what: &str, more: &[&str]) -> Output {
    let facility = machine.facility.to_str().unwrap();
    let arguments = ["run", what, "--on", "live", "--write", "--facility", facility];
    limited(machine, options, &[&arguments, more].concat())
}

fn run_json(machine: &Machine, options: &str, what: &str) -> (Output, Value) {
    let output = run(machine, options, what, &["--json"]);
    let answer = object(&output);
    (output, answer)
}

#[test]
fn without_a_place_for_records_nothing_is_written() {
    if !epics("without_a_place_for_records_nothing_is_written") {
        return;
    }
    let mut machine = Machine::new("read-only");
    if !mounts("without_a_place_for_records_nothing_is_written", &machine) {
        return;
    }
    let before = machine.setpoints();
    // read-only, and full from the beginning
    for (options, name) in [("ro", "disk_read_only"), ("size=4k", "disk_full")] {
        tells(name, &run(&machine, options, "correct_orbit", &[]), &machine.scratch);
        let (output, answer) = run_json(&machine, options, "correct_orbit");
        assert_eq!((output.status.code(), &answer["error"]["kind"]), (Some(7), &"storage".into()), "{answer}");
        assert_eq!(answer["error"]["machine"], "no setpoint was changed", "{answer}");
    }
    assert_eq!(machine.ioc.puts(), []);
    assert_eq!(machine.setpoints(), before);
}

#[test]
fn a_disk_that_becomes_full_does_not_keep_the_machine_changed() {
    if !epics("a_disk_that_becomes_full_does_not_keep_the_machine_changed") {
        return;
    }
    let mut machine = Machine::new("full");
    if !mounts("a_disk_that_becomes_full_does_not_keep_the_machine_changed", &machine) {
        return;
    }
    let stir = machine.scratch.file("stir.rhai", super::interrupted::STIR).display().to_string();
    let before = machine.setpoints();
    let mut in_mid_run = 0;
    for size in [64, 128, 192, 256, 320, 512, 1024] {
        let puts = machine.ioc.puts().len();
        let (output, answer) = run_json(&machine, &format!("size={size}k"), &stir);
        assert_eq!(
            (output.status.code(), &answer["error"]["kind"]),
            (Some(7), &"storage".into()),
            "{size} kB: {answer}"
        );
        let stands = answer["error"]["machine"].as_str().unwrap_or_else(|| panic!("{size} kB: {answer}"));
        assert_eq!(machine.setpoints(), before, "{size} kB: {stands}");
        let wrote = machine.ioc.puts().len() > puts;
        // a change that was in the journal and never sent counts as back
        let back = stands.contains("back at their values before the run");
        assert!(back || (!wrote && stands == "no setpoint was changed"), "{size} kB: {answer}");
        in_mid_run += usize::from(wrote);
    }
    eprintln!("the disk became full after the first write in {in_mid_run} runs");
    assert!(in_mid_run >= 2);
}
