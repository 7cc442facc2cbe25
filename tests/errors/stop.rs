//! Ctrl-C.

use super::{blanked, code, golden, told};
use fodo_tests::{Scratch, fodo};
use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(super) const NAMES: &[&str] = &["stopped_loop", "stopped_after_a_write", "stopped_in_spite_of_catch"];

/// Starts a script, waits until it says `ready`, sends SIGINT; gives what it told and how long it went on.
fn stopped(scratch: &Scratch, text: &str) -> (Output, Duration) {
    let file = scratch.file("endless.rhai", text).display().to_string();
    let mut command = fodo(scratch, &["run", &file, "--facility", "demo_ring"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = Vec::new();
    let mut byte = [0];
    let output = child.stdout.as_mut().unwrap();
    while !told.ends_with(b"ready\n") && output.read(&mut byte).unwrap() == 1 {
        told.push(byte[0]);
    }
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest = child.wait_with_output().unwrap();
    let time = start.elapsed();
    (Output { stdout: [told, rest.stdout].concat(), ..rest }, time)
}

fn holds(name: &str, text: &str, machine: &str) {
    let scratch = Scratch::new(&format!("error-{name}"));
    let (output, time) = stopped(&scratch, text);
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    assert!(time < Duration::from_secs(1), "it went on for {time:?}");
    assert!(told(&output).contains(machine), "{}", told(&output));
    // where in the loop it was stopped is a matter of chance
    let told: String =
        told(&output).lines().filter(|l| !l.contains(['│', '╭', '─'])).map(|l| format!("{l}\n")).collect();
    let text = blanked(&format!("{told}exit {}\n", code(&output)), &scratch);
    golden(name, &text).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn an_endless_loop() {
    holds(NAMES[0], "print(\"ready\");\nwhile true {}\n", "no setpoint was changed");
}

#[test]
fn a_loop_after_a_write() {
    let text = "HCOR.step(5.0 * urad);\nprint(\"ready\");\nwhile true {}\n";
    holds(NAMES[1], text, "16 setpoints were changed and are back");
}

#[test]
fn a_loop_that_catches_everything() {
    let text = "HCOR[0].step(5.0 * urad);\nprint(\"ready\");\nwhile true { try { get_orbit(); } catch {} }\n";
    holds(NAMES[2], text, "is back at its value");
}
