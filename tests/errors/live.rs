//! The same mistakes on a machine that goes on existing: setpoints before and after are equal.

use super::{Case, cases};
use fodo_tests::{Scratch, fodo, port, program, project};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A served twin of demo_ring; ends with the test.
pub struct Served {
    child: Child,
    port: u16,
}

impl Served {
    /// Starts it on a free port.
    pub fn start() -> Served {
        let port = port();
        let mut child = Command::new(program())
            .args(["serve", "twin", "--facility", "demo_ring", "--port", &port.to_string()])
            .current_dir(project())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("demo_ring TWIN"), "{line}");
        Served { child, port }
    }

    /// Lets a client find it.
    pub fn environment(&self, command: &mut Command) {
        command.env("EPICS_CA_ADDR_LIST", format!("127.0.0.1:{}", self.port)).env("EPICS_CA_AUTO_ADDR_LIST", "NO");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

const SETPOINTS: &str = "[HCOR, VCOR, QF, QD, SF, SD, RF].map(|f| f.setpoint())";

fn setpoints(served: &Served, scratch: &Scratch) -> Value {
    let mut command = fodo(scratch, &["eval", SETPOINTS, "--facility", "demo_ring", "--on", "live", "--json"]);
    served.environment(&mut command);
    let output = command.output().unwrap();
    let object: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(object["ok"], true, "{object}");
    object["result"].clone()
}

/// The error of a case on the served machine.
fn on_live(served: &Served, case: &Case) -> Result<(), String> {
    let scratch = case.prepare("live");
    let line = case.line(&scratch);
    let arguments: Vec<&str> = line.iter().map(String::as_str).chain(["--on", "live", "--write", "--json"]).collect();
    let mut command = fodo(&scratch, &arguments);
    served.environment(&mut command);
    case.json_error(&command.output().unwrap()).map(|_| ())
}

#[test]
fn every_mistake_leaves_the_setpoints_as_they_were() {
    let served = Served::start();
    let scratch = Scratch::new("error-live");
    let before = setpoints(&served, &scratch);
    assert_eq!(before[0].as_array().map(Vec::len), Some(16), "{before}");
    // a served demo_ring has no other ring, and the tables of the twin, `check`, `test` and `doc` concern no machine
    let alike = |case: &&Case| {
        let has = |word: &str| case.arguments.contains(&word);
        !has("check")
            && !has("test")
            && !has("doc")
            && !has("ebs_ring")
            && !has("live")
            && case.edit.is_none_or(|(file, ..)| file != "twin.toml")
    };
    let mut failed: Vec<String> = Vec::new();
    for case in cases().filter(alike) {
        failed.extend(on_live(&served, case).err());
        let after = setpoints(&served, &scratch);
        if after != before {
            failed.push(format!("{}: setpoints differ\n{before}\n{after}", case.name));
            break;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
