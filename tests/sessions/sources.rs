//! Families with sources of their own, as an operator meets them: the RF is set by hand, the tunes come from a twin, the
//! rest is live over Channel Access.

use super::machine::{Client, Running, epics, object, point, serve};
use super::ring::{Orbit, facility};
use fodo_tests::terminal::{CTRL_C, keys, line, typed};
use fodo_tests::{self as support, Scratch};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

const STATE: &str = "demo_ring LIVE (RF: manual, TUNE: twin)";

/// A served twin, and a facility whose RF is manual and whose tunes come from a twin.
struct Mixed {
    scratch: Scratch,
    folder: PathBuf,
    port: u16,
    _served: Running,
}

impl Mixed {
    fn new(name: &str) -> Mixed {
        let scratch = Scratch::new(&format!("sources-{name}"));
        let folder = facility(&scratch, Orbit::Vectors);
        let (served, port) = serve(&scratch, &folder, &[]);
        let file = folder.join("families.toml");
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (family, source) in [("RF", "manual"), ("TUNE", "twin")] {
            let head = format!("\n[{family}]\n");
            assert!(text.contains(&head), "no {family} in the tables");
            text = text.replace(&head, &format!("{head}source = \"{source}\"\n"));
        }
        std::fs::write(&file, text).unwrap();
        Mixed { scratch, folder, port, _served: served }
    }

    fn fodo(&self, arguments: &[&str]) -> Command {
        let mut command = support::fodo(&self.scratch, arguments);
        command.args(["--on", "live", "--facility"]).arg(&self.folder);
        point(&mut command, self.port);
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        object(&Running::start(self.fodo(&[arguments, &["--json"]].concat())).output())
    }

    /// What somebody else sees of a setpoint.
    fn seen(&self, channel: &str) -> f64 {
        Client::new(self.port).get([channel].into_iter())[channel]
    }
}

#[test]
fn at_the_prompt_the_operator_is_asked_for_what_is_manual() {
    const TEST: &str = "at_the_prompt_the_operator_is_asked_for_what_is_manual";
    if !epics(TEST) {
        return;
    }
    let mixed = Mixed::new("prompt");
    let ready = format!("{STATE} WRITE> ");
    let steps = [
        keys("", &ready),
        line("RF[0].setpoint()", "RF.frequency [kHz]? "),
        line("three hundred", "`three hundred` is not a number; type one in kHz, or with its unit"),
        keys("", "RF.frequency [kHz]? "),
        line("351.32 GHz m", "m"),
        keys("", "RF.frequency [kHz]? "),
        line("351.32 MHz", "351.32 MHz\n"),
        keys("", &ready),
        // what was answered counts for a minute
        line("RF[0].step(1.0 * kHz)", "Set RF.frequency from 351320 to 351321 kHz"),
        keys("\r", &ready),
        // nobody is asked for what the twin knows
        line("TUNE[0].get(\"x\") > 0.0", "true"),
        keys("", &ready),
        line("VCOR[0].step(5.0 * urad); RF[0].step(1.0 * kHz)", "from 351321 to 351322 kHz"),
        keys(CTRL_C, "setpoints were changed and are back"),
        keys("", &ready),
        line("VCOR[0].step(5.0 * urad); RF[0].step(1.0 * kHz)", "from 351321 to 351322 kHz"),
        line("the cavity trips", "the operator refused: the cavity trips"),
        keys("", &ready),
        line("RF[0].setpoint().to(\"kHz\")", "351321"),
        keys("", &ready),
    ];
    let Some(_) = typed(TEST, &mixed.fodo(&["repl", "--write"]), &steps) else { return };
    assert_eq!(mixed.seen("VCOR_001:Cm:set"), 0.0);
}

#[test]
fn a_stopped_run_puts_back_what_is_live_and_asks_for_what_is_manual() {
    const TEST: &str = "a_stopped_run_puts_back_what_is_live_and_asks_for_what_is_manual";
    if !epics(TEST) {
        return;
    }
    let mixed = Mixed::new("run");
    let script = "VCOR[0].step(5.0 * urad); RF[0].step(1.0 * kHz); print(\"set\"); RF[0].step(1.0 * kHz)";
    let script = mixed.scratch.file("step.rhai", script).display().to_string();
    let stopped = [
        keys("", "RF.frequency [kHz]? "),
        line("351320", "Set RF.frequency from 351320 to 351321 kHz"),
        keys("\r", "\nset\n"),
        keys("", "from 351321 to 351322 kHz"),
        keys(CTRL_C, "Set RF.frequency from 351321 to 351320 kHz"),
        keys("\r", "2 setpoints were changed and are back"),
    ];
    let Some(_) = typed(TEST, &mixed.fodo(&["run", &script, "--write"]), &stopped) else { return };
    assert_eq!(mixed.seen("VCOR_001:Cm:set"), 0.0);
    // who stops putting back too is told exactly what stands
    let twice = [
        keys("", "RF.frequency [kHz]? "),
        line("351320", "Set RF.frequency from 351320 to 351321 kHz"),
        keys("\r", "\nset\n"),
        keys(CTRL_C, "To put back what the run changed:"),
        keys("", "Set RF.frequency from 351321 to 351320 kHz"),
        keys(CTRL_C, "NOT put back: RF.frequency (stopped by the operator);"),
    ];
    let waiting = "VCOR[0].step(5.0 * urad); RF[0].step(1.0 * kHz); print(\"set\"); while true {}";
    let waiting = mixed.scratch.file("waiting.rhai", waiting).display().to_string();
    typed(TEST, &mixed.fodo(&["run", &waiting, "--write"]), &twice).unwrap();
    assert_eq!(mixed.seen("VCOR_001:Cm:set"), 0.0);
    // `fodo recover` asks for it
    let recover = [
        keys("", "RF.frequency [kHz]? "),
        line("351321", "Set RF.frequency from 351321 to 351320 kHz"),
        keys("\r", "back at"),
    ];
    typed(TEST, &mixed.fodo(&["recover", "--write"]), &recover).unwrap();
    // the whole of it, with its record
    let done = [
        keys("", &format!("{STATE} WRITE")),
        keys("", "RF.frequency [kHz]? "),
        line("351320", "from 351320 to 351321 kHz"),
        keys("\r", "from 351321 to 351322 kHz"),
        keys("\r", "record: "),
        keys("", ".h5"),
    ];
    let shown = typed(TEST, &mixed.fodo(&["run", &script, "--write"]), &done).unwrap();
    assert!((mixed.seen("VCOR_001:Cm:set") - 5e-6).abs() < 1e-15);
    let record = hdf5_pure::File::open(shown[5].0.trim()).unwrap();
    let words = |path: &str| record.dataset(&format!("entry/{path}")).unwrap().read_string().unwrap();
    assert_eq!(words("instrument/machine"), ["live"]);
    assert_eq!(words("instrument/sources/family"), ["RF", "TUNE"]);
    assert_eq!(words("instrument/sources/source"), ["manual", "twin"]);
    // who wrote what, and what took it
    let changes = mixed.json(&["changes"]);
    let lines = changes["result"]["changes"].as_array().unwrap();
    let told: Vec<(&str, &str, Option<&str>)> =
        lines.iter().map(|l| (l["name"].as_str().unwrap(), l["why"].as_str().unwrap(), l["source"].as_str())).collect();
    let (vcor, rf) = ("VCOR[\"VCOR_001\"].kick", "RF.frequency");
    assert!(told.contains(&(vcor, "set", None)) && told.contains(&(rf, "restore", Some("manual"))), "{told:?}");
    let shown = Running::start(mixed.fodo(&["changes", "--family", "RF"])).output();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("351320 to 351321 kHz  set (manual)"), "{shown}");
}

#[test]
fn without_a_terminal_nobody_is_asked_and_the_table_says_manual() {
    let mixed = Mixed::new("json");
    let answer = mixed.json(&["eval", "VCOR[0].setpoint()"]);
    assert_eq!(answer["run"]["sources"], json!({ "RF": "manual", "TUNE": "twin" }), "{answer}");
    let error = mixed.json(&["eval", "RF[0].setpoint()"])["error"].clone();
    assert!(error["details"][0].as_str().unwrap().contains("has to be typed"), "{error}");
    let check = mixed.json(&["facility", "check"]);
    assert_eq!(
        (&check["ok"], &check["result"]["manual"], &check["result"]["found"]),
        (&true.into(), &1.into(), &json!([]))
    );
    let table = Running::start(mixed.fodo(&["facility", "check"])).output();
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.starts_with("demo_ring LIVE (RF: manual, TUNE: twin): "), "{table}");
    let row = table.lines().find(|line| line.starts_with("  RF ")).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words, ["RF", "1", "manual", "-", "-", "-", "-", "-"], "{table}");
}
