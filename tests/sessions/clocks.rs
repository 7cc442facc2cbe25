//! A real IOC whose clock is wrong: the correction works, and the operator is told once.

use super::machine::{epics, object};
use super::ring::Machine;
use fodo_tests::terminal::{keys, line, typed};
use fodo_tests::{self as support};
use serde_json::Value;
use std::process::Command;

fn can(test: &str) -> bool {
    let compiler = Command::new("cc").arg("--version").output().is_ok();
    if !compiler {
        support::skipped(test, "there is no C compiler for a clock that is off");
    }
    compiler && epics(test)
}

#[test]
fn a_clock_that_is_off_is_told_once_with_channels_and_size() {
    const TEST: &str = "a_clock_that_is_off_is_told_once_with_channels_and_size";
    if !can(TEST) {
        return;
    }
    for (clock, way) in [(3600, "ahead of"), (-3600, "behind"), (0, "")] {
        let machine = Machine::with_clock(&format!("clock{clock}"), clock);
        let output = machine.run(&["run", "correct_orbit", "--write", "--json"]);
        let answer = object(&output);
        assert_eq!(answer["ok"], true, "{answer}");
        let rms = &answer["result"]["after"]["rms_x"];
        assert!(rms.as_f64().unwrap() < 1e-7, "a stale orbit: {rms} with a clock {clock} s off");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let warnings = answer["run"]["warnings"].as_array().unwrap();
        eprintln!("{clock} s: {told}");
        if clock == 0 {
            assert!(!told.contains("warning:") && warnings.is_empty(), "{told}{warnings:?}");
            continue;
        }
        assert_eq!((told.matches("warning:").count(), warnings.len()), (1, 1), "{told}{warnings:?}");
        let seconds = warnings[0]["ahead_seconds"].as_f64().unwrap();
        assert!((seconds - clock as f64).abs() < 60.0, "{seconds} s of {clock}");
        assert!(told.contains(way) && told.contains("this computer's clock"), "{told}");
        let channels = warnings[0]["channels"].as_array().unwrap();
        assert!(channels.iter().any(|c| c.as_str().unwrap().starts_with("BPM_")), "{warnings:?}");
        assert!(channels.contains(&Value::from("HCOR_001:Cm:set")), "{warnings:?}");
        let record = hdf5_pure::File::open(answer["run"]["record"].as_str().unwrap()).unwrap();
        let events = record.dataset("entry/events/kind").unwrap().read_string().unwrap();
        assert!(events.iter().any(|kind| kind == "clock"), "{events:?}");
    }
}

#[test]
fn at_the_prompt_it_is_told_once_above_the_line() {
    const TEST: &str = "at_the_prompt_it_is_told_once_above_the_line";
    if !can(TEST) {
        return;
    }
    let machine = Machine::with_clock("clock-prompt", 7200);
    let ready = "demo_ring LIVE WRITE> ";
    let steps = [
        keys("", ready),
        line("get_orbit().x", "\nwarning: time stamps of BPM_0"),
        keys("", ready),
        line("HCOR[0].step(5.0 * urad); get_orbit().x", "16 entries"),
        keys("", ready),
        line("HCOR[0].step(5.0 * urad); get_orbit().x", "16 entries"),
        keys("", ready),
    ];
    let Some(shown) = typed(TEST, &machine.fodo(&["repl", "--write"]), &steps) else { return };
    let text: String = shown.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(text.matches("warning:").count(), 1, "{text}");
}
