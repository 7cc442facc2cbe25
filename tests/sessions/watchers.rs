//! Watchers, feedbacks and pauses as an operator meets them, over Channel Access to a served twin.

use super::machine::{Client, Running, Values, epics, object, point, serve};
use super::ring::{Orbit, facility};
use fodo_tests::terminal::{CTRL_C, CTRL_Z, keys, line, typed};
use fodo_tests::{self as support, Scratch};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const BEAM: &str = "beam:ok";
const LOOP: &str = "beam:orbit:feedback";
const KNOB: &str = "VCOR_001:Cm:set";

/// Moves a corrector to and fro, a reading at each step.
const SCAN: &str = r#"//! # Scan
procedure(#{ changes: ["VCOR", "QF"], reads: ["BPM"], watchers: ["beam"], feedbacks: #{ orbit: "off" }, parameters: #{} });

fn run(p) {
    for n in 0..300 {
        progress("scan", n, 300);
        VCOR[0].step(1.0 * urad);
        get_orbit();
    }
}
"#;

struct Watched {
    scratch: Scratch,
    folder: PathBuf,
    port: u16,
    client: Client,
    _served: Running,
}

impl Watched {
    fn new(name: &str, then: &str) -> Watched {
        let scratch = Scratch::new(&format!("watchers-{name}"));
        let folder = facility(&scratch, Orbit::Vectors);
        let file = folder.join("facility.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (own, shipped) = ("channel = \"beam:ok\"\nis = 1", "reads = \"BEAM.current\"\nabove = \"5 mA\"");
        assert!(text.contains(shipped) && text.contains("then = \"pause\""), "{text}");
        let text = text.replace(shipped, own).replace("then = \"pause\"", &format!("then = \"{then}\""));
        std::fs::write(&file, text).unwrap();
        scratch.file("scan.rhai", SCAN);
        let (served, port) = serve(&scratch, &folder, &[]);
        Watched { client: Client::new(port), scratch, folder, port, _served: served }
    }

    fn fodo(&self, arguments: &[&str]) -> Command {
        let mut command = support::fodo(&self.scratch, arguments);
        command.args(["--on", "live", "--write", "--facility"]).arg(&self.folder);
        point(&mut command, self.port);
        command
    }

    fn scan(&self) -> Running {
        let script = self.scratch.path().join("scan.rhai");
        Running::start(self.fodo(&["run", script.to_str().unwrap(), "--json"]))
    }

    fn set(&mut self, channel: &str, value: f64) {
        self.client.put(&Values::from([(channel.to_string(), value)]));
    }

    fn knob(&mut self) -> f64 {
        self.client.get([KNOB].into_iter())[KNOB]
    }

    /// Waits until the corrector has moved.
    fn moved(&mut self) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.knob() == 0.0 {
            assert!(Instant::now() < end, "the scan does not move");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_procedure_waits_for_the_beam_and_goes_on() {
    const TEST: &str = "a_procedure_waits_for_the_beam_and_goes_on";
    if !epics(TEST) {
        return;
    }
    let mut watched = Watched::new("pause", "pause");
    let running = watched.scan();
    watched.moved();
    watched.set(BEAM, 0.0);
    std::thread::sleep(Duration::from_millis(700));
    let stands = watched.knob();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(watched.knob(), stands, "it moved while there was no beam");
    watched.set(BEAM, 1.0);
    let output = running.output();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(object(&output)["ok"], true, "{told}");
    assert!(told.contains("paused: watcher `beam`: beam:ok is 0, it should be 1"), "{told}");
    assert!(told.contains("resumed: all that is watched holds again"), "{told}");
    assert!((watched.knob() - 3e-4).abs() < 1e-12);
}

#[test]
fn a_beam_loss_that_stops_puts_back_and_one_that_holds_leaves_all() {
    const TEST: &str = "a_beam_loss_that_stops_puts_back_and_one_that_holds_leaves_all";
    if !epics(TEST) {
        return;
    }
    for then in ["stop", "hold"] {
        let mut watched = Watched::new(then, then);
        let running = watched.scan();
        watched.moved();
        watched.set(BEAM, 0.0);
        let answer = object(&running.output());
        let error = &answer["error"];
        assert_eq!(error["message"], "watcher `beam`: beam:ok is 0, it should be 1", "{answer}");
        let (knob, machine) = (watched.knob(), error["machine"].as_str().unwrap());
        match then {
            "stop" => {
                assert!(knob == 0.0 && machine.contains("is back at its value before the run"), "{knob} {machine}")
            }
            _ => assert!(knob > 0.0 && machine.starts_with("panic stop: 1 setpoint"), "{knob} {machine}"),
        }
    }
}

#[test]
fn a_feedback_that_runs_is_left_its_families_and_one_that_starts_ends_the_run() {
    const TEST: &str = "a_feedback_that_runs_is_left_its_families_and_one_that_starts_ends_the_run";
    if !epics(TEST) {
        return;
    }
    let mut watched = Watched::new("feedback", "pause");
    watched.set(LOOP, 1.0);
    let refused = object(&Running::start(watched.fodo(&["eval", "VCOR.step(1.0 * urad)", "--json"])).output());
    let error = &refused["error"];
    assert_eq!(error["message"], "VCOR belongs to the orbit feedback while it runs", "{refused}");
    assert_eq!(error["hint"][0], "switch the orbit feedback off first, or move its reference");
    let needed = object(&watched.scan().output());
    let message = "orbit feedback: it is on, and has to be off (beam:orbit:feedback)";
    assert_eq!(needed["error"]["message"], message, "{needed}");
    assert_eq!(watched.knob(), 0.0);
    watched.set(LOOP, 0.0);
    let running = watched.scan();
    watched.moved();
    watched.set(LOOP, 1.0);
    let ended = object(&running.output());
    assert_eq!(ended["error"]["message"], message, "{ended}");
    assert_eq!(watched.knob(), 0.0, "{ended}");
}

#[test]
fn at_the_prompt_a_run_is_paused_goes_on_and_keeps_its_whole_passes() {
    const TEST: &str = "at_the_prompt_a_run_is_paused_goes_on_and_keeps_its_whole_passes";
    let scratch = Scratch::new("watchers-prompt");
    let ready = "demo_ring TWIN> ";
    let steps = [
        keys("", ready),
        // between two lines there is nothing to pause
        keys(CTRL_Z, ""),
        line("1 + 1", "2"),
        keys("", ready),
        line("print(\"be\" + \"gun\"); every(0.1 * s, || HCOR[0].step(0.01 * urad), #{ keep: true })", "begun"),
        keys(CTRL_Z, "paused: by the operator"),
        keys(CTRL_Z, "resumed: by the operator"),
        keys(CTRL_C, "1 setpoint stays as the last whole pass left it"),
        keys("", ready),
        line("HCOR[0].setpoint() > 0.0 * urad", "true"),
        keys("", ready),
        line("undo()", "HCOR"),
        keys("", ready),
        line("HCOR[0].setpoint() == 0.0 * urad", "true"),
        keys("", ready),
        line("print(\"be\" + \"gun\"); every(0.1 * s, || HCOR[0].step(0.01 * urad))", "begun"),
        keys(CTRL_C, "1 setpoint was changed and is back"),
        keys("", ready),
    ];
    typed(TEST, &support::fodo(&scratch, &["--facility", "demo_ring"]), &steps);
}
