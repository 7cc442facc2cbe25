//! The program through a pseudo terminal, as a user has it.

use crate::{project, python, skipped};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What is typed and what has to appear.
pub struct Step {
    send: String,
    until: String,
}

/// A line and a part of what follows it.
pub fn line(send: &str, until: &str) -> Step {
    Step { send: format!("{send}\r"), until: until.into() }
}

/// Keys without Enter.
pub fn keys(send: &str, until: &str) -> Step {
    Step { send: send.into(), until: until.into() }
}

/// The key that pauses.
pub const CTRL_Z: &str = "\x1a";

/// The key that stops.
pub const CTRL_C: &str = "\x03";

fn interpreter() -> Option<PathBuf> {
    let usual = || Command::new("python3").arg("--version").output().ok().map(|_| PathBuf::from("python3"));
    python().or_else(usual)
}

/// Runs a command in a terminal and types all steps; gives what was shown after each and when [s], or nothing
/// without Python.
pub fn typed(name: &str, command: &Command, steps: &[Step]) -> Option<Vec<(String, f64)>> {
    let Some(python) = interpreter() else {
        skipped(name, "there is no Python for a pseudo terminal");
        return None;
    };
    let mut terminal = Command::new(python);
    terminal.arg(project().join("tests/setup/terminal.py")).arg(command.get_program()).args(command.get_args());
    terminal.current_dir(project());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(key, value),
            None => terminal.env_remove(key),
        };
    }
    let failed = |e: std::io::Error| -> ! { panic!("{name}: {e}") };
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|e| failed(e));
    let told: Vec<Value> = steps.iter().map(|s| json!({ "send": s.send, "until": s.until })).collect();
    if let Some(mut input) = child.stdin.take() {
        input.write_all(Value::from(told).to_string().as_bytes()).unwrap_or_else(|e| failed(e));
    }
    let output = child.wait_with_output().unwrap_or_else(|e| failed(e));
    let shown: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{name}: {e}"));
    for (step, shown) in steps.iter().zip(&shown) {
        let text = shown["text"].as_str().unwrap_or_default();
        assert_eq!(shown["found"], true, "{name}: after {:?} there is no {:?} in\n{text}", step.send, step.until);
    }
    assert_eq!(shown.len(), steps.len(), "{name}");
    let told =
        |shown: &Value| (shown["text"].as_str().unwrap_or_default().to_string(), shown["at"].as_f64().unwrap_or(0.0));
    Some(shown.iter().map(told).collect())
}
