//! pyAML from PyPI at the served twin, with the configurations that it ships itself and its own defaults, which wait for nothing.

use super::machine::{Running, point, serve};
use fodo_tests::{self as support, Scratch, port};
use serde_json::Value;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Revolution frequency of the ring [kHz]: the EPICS configuration has tunes as frequencies.
const REVOLUTION: f64 = 351_319.286_718_75 / 90.0;

fn python(test: &str) -> Option<PathBuf> {
    let python = support::project().join(".venv-pyaml/bin/python");
    if !python.is_file() {
        support::skipped(test, "no .venv-pyaml; run tests/setup/pyaml.sh");
        return None;
    }
    Some(python)
}

/// What the client told.
fn told(mut command: Command) -> Value {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let object = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    object.unwrap_or_else(|| panic!("{:?}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The client over one of the protocols of EPICS.
fn client(python: &Path, which: &str, point: impl FnOnce(&mut Command), look: bool) -> Value {
    let mut command = Command::new(python);
    command.arg(support::project().join("tests/setup/pyaml_client.py")).arg(which);
    command.args(look.then_some("look"));
    point(&mut command);
    told(command)
}

fn serve_pva(scratch: &Scratch, facility: &Path, more: &[&str]) -> (Running, u16) {
    let port = port();
    let mut command = support::fodo(scratch, &["serve", "twin", "--protocol", "pva", "--port", &port.to_string()]);
    point_pva(&mut command, port);
    command.arg("--facility").arg(facility).args(more);
    let mut running = Running::start(command);
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(!running.ended() && Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    (running, port)
}

fn point_pva(command: &mut Command, port: u16) {
    command.env("EPICS_PVA_ADDR_LIST", "127.0.0.1").env("EPICS_PVA_AUTO_ADDR_LIST", "NO");
    command.env("EPICS_PVA_SERVER_PORT", port.to_string()).env("EPICS_PVA_BROADCAST_PORT", (port + 1).to_string());
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(entries) => entries.iter().flat_map(numbers).collect(),
        other => vec![number(other)],
    }
}

/// What holds of a machine that is the model, and of one with errors: how far its response may be from the design's.
#[derive(Clone, Copy)]
struct Within {
    /// Of the largest entry.
    response: f64,
    /// Of the largest reading of a step.
    step: f64,
    tune: f64,
    /// By how much the correction has to lower the orbit.
    fold: f64,
}

// a step goes to one side: sextupoles make 3.4e-5 of it
const PERFECT: Within = Within { response: 1e-7, step: 1e-4, tune: 1e-9, fold: 0.0 };
// gains of 1 %, misaligned quadrupoles, and noise of 0.1 um, 0.3 % of the step
const REAL: Within = Within { response: 0.06, step: 0.06, tune: 0.01, fold: 20.0 };

fn holds(told: &Value, scale: f64, within: Within) {
    let mut shown = told.clone();
    shown["orbit"] = Value::Null;
    eprintln!("{shown}");
    let orbit = numbers(&told["orbit"]["live"]);
    assert_eq!(orbit.len(), 32);
    assert!(orbit.iter().all(|position| position.abs() < 5e-3), "{told}");
    let tunes = numbers(&told["tune"]["live"]).into_iter().zip(numbers(&told["tune"]["design"]));
    for (live, design) in tunes {
        assert!((live / scale - design).abs() < within.tune, "{live} is not {design}: {told}");
    }
    let response = &told["response"];
    assert_eq!(response["shape"], serde_json::json!([32, 32]), "{told}");
    assert!(number(&response["apart"]) < within.response * number(&response["largest"]), "{response}");
    let steps = numbers(&told["steps"]);
    assert!(steps.len() == 10 && steps.iter().all(|off| *off < within.step), "read before it was there: {steps:?}");
    let (before, after) = (numbers(&told["rms"]["before"]), numbers(&told["rms"]["after"]));
    for (before, after) in before.iter().zip(&after) {
        assert!(within.fold == 0.0 || before / after > within.fold, "{before} m is now {after} m");
    }
}

#[test]
fn pyaml_measures_and_corrects_over_channel_access() {
    let Some(python) = python("pyaml_measures_and_corrects_over_channel_access") else { return };
    let shipped = support::project().join("facilities/demo_ring");
    for (more, within) in [(&["--perfect"][..], PERFECT), (&[], REAL)] {
        let scratch = Scratch::new("pyaml-ca");
        let (_running, port) = serve(&scratch, &shipped, more);
        let told = client(&python, "epics", |command| point(command, port), false);
        assert_eq!(told["protocol"], "CA");
        holds(&told, REVOLUTION, within);
    }
}

#[test]
fn pyaml_measures_and_corrects_over_pv_access() {
    let Some(python) = python("pyaml_measures_and_corrects_over_pv_access") else { return };
    let shipped = support::project().join("facilities/demo_ring");
    for (more, within) in [(&["--perfect"][..], PERFECT), (&[], REAL)] {
        let scratch = Scratch::new("pyaml-pva");
        let (_running, port) = serve_pva(&scratch, &shipped, more);
        let told = client(&python, "pva", |command| point_pva(command, port), false);
        assert_eq!(told["protocol"], "PVA");
        holds(&told, REVOLUTION, within);
    }
}

/// A copy of the ring, and of what it is based on, whose quadrupoles stand so that there is no closed orbit.
fn without_orbit(scratch: &Scratch) -> PathBuf {
    for name in ["demo_ring", "demo_ring_tango"] {
        for entry in std::fs::read_dir(support::project().join("facilities").join(name)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap().replace("= \"100 um\"", "= \"50 mm\"");
            scratch.file(&format!("{name}/{}", path.file_name().unwrap().to_str().unwrap()), &text);
        }
    }
    scratch.path().join("demo_ring")
}

fn is_lost(told: &Value) {
    let all = |value: &Value, count: usize| {
        let entries = numbers(value);
        entries.len() == count && entries.iter().all(|entry| entry.is_nan())
    };
    assert!(all(&told["orbit"]["live"], 32) && all(&told["tune"]["live"], 2), "{told}");
    assert!(numbers(&told["orbit"]["design"]).iter().all(|entry| entry.is_finite()), "{told}");
}

#[test]
fn an_orbit_that_is_not_there_is_no_number_for_pyaml() {
    let Some(python) = python("an_orbit_that_is_not_there_is_no_number_for_pyaml") else { return };
    let scratch = Scratch::new("pyaml-lost");
    let facility = without_orbit(&scratch);
    let (_running, port) = serve(&scratch, &facility, &[]);
    is_lost(&client(&python, "epics", |command| point(command, port), true));
    let (_running, port) = serve_pva(&scratch, &facility, &[]);
    is_lost(&client(&python, "pva", |command| point_pva(command, port), true));
}

/// pyAML at a twin over TANGO with a database; none if there is no TANGO here, or no network for it.
fn over_tango(test: &str, scratch: &Scratch, facility: &Path, look: bool, more: &[&str]) -> Option<Value> {
    python(test)?;
    let mut command = Command::new(support::project().join("tests/setup/pyaml_tango.sh"));
    command.arg(support::program()).arg(scratch.path()).arg(facility).arg(if look { "look" } else { "" }).args(more);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(77) {
        support::skipped(test, "no network namespaces here");
        return None;
    }
    if told.contains("built without TANGO") {
        support::skipped(test, "built without --features fodo/tango");
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let object: Value = serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("{e}: {text}\n{told}"));
    // the devices (cells, ring, two sizes, kicker and timing), the server's own, and two of the database
    assert_eq!(
        (&object["exported"], &object["left"]),
        (&serde_json::json!(16 * 7 + 1 + 2 + 2 + 1 + 2), &2.into()),
        "{object}"
    );
    Some(object)
}

#[test]
fn pyaml_measures_and_corrects_over_tango() {
    const TEST: &str = "pyaml_measures_and_corrects_over_tango";
    let shipped = support::project().join("facilities/demo_ring_tango");
    for (more, within) in [(&["--perfect"][..], PERFECT), (&[], REAL)] {
        let scratch = Scratch::new("pyaml-tango");
        let Some(told) = over_tango(TEST, &scratch, &shipped, false, more) else { return };
        holds(&told["tango"], 1.0, within);
        // the orbit was corrected just before
        holds(&told["tango-oa"], 1.0, Within { fold: 0.0, ..within });
    }
}

#[test]
fn an_orbit_that_is_not_there_is_no_number_for_pyaml_over_tango() {
    const TEST: &str = "an_orbit_that_is_not_there_is_no_number_for_pyaml_over_tango";
    let scratch = Scratch::new("pyaml-tango-lost");
    let facility = without_orbit(&scratch).with_file_name("demo_ring_tango");
    let Some(told) = over_tango(TEST, &scratch, &facility, true, &[]) else { return };
    is_lost(&told["tango"]);
    is_lost(&told["tango-oa"]);
}

/// What `fodo facility export --pyaml` wrote, in pyAML's `design` mode, against our own model: tunes and response.
#[test]
fn an_exported_facility_is_the_model_in_pyaml() {
    const COUNT: usize = 3;
    let Some(python) = python("an_exported_facility_is_the_model_in_pyaml") else { return };
    for (name, monitors) in [("demo_ring", 16), ("ebs_ring", 320)] {
        let scratch = Scratch::new(&format!("pyaml-export-{name}"));
        let folder = scratch.path().join("exported");
        let folder = folder.to_str().unwrap();
        let output = support::run(&scratch, &["facility", "export", "--facility", name, "--pyaml", folder]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut command = Command::new(&python);
        command.arg(support::project().join("tests/setup/pyaml_export.py")).arg(format!("{folder}/{name}.yaml"));
        command.args(["BPM", "HCOR", "VCOR", &COUNT.to_string()]);
        let theirs = told(command);
        assert_eq!(theirs["monitors"], monitors);
        let line = "[model.orbit_response(HCOR, BPM).matrix, model.orbit_response(VCOR, BPM).matrix]";
        let ours = support::json(&scratch, &["eval", line, "--facility", name]);
        for (plane, axis) in ["x", "y"].into_iter().enumerate() {
            let matrix = ours["result"][plane].as_array().unwrap_or_else(|| panic!("{ours}"));
            for (corrector, column) in theirs[axis].as_array().unwrap().iter().enumerate() {
                let theirs = numbers(column);
                let rows = matrix.iter().skip(plane * monitors).take(monitors);
                let ours: Vec<f64> = rows.map(|row| number(&row[corrector])).collect();
                let largest = ours.iter().fold(0.0, |largest: f64, entry| largest.max(entry.abs()));
                let apart = ours.iter().zip(&theirs).fold(0.0, |apart: f64, (a, b)| apart.max((a - b).abs()));
                eprintln!("{name} {axis} {corrector}: {apart:.1e} of {largest:.3} m/rad");
                // a difference over 2 urad, in which sextupoles have their share
                assert!(
                    ours.len() == monitors && apart < 1e-4 * largest,
                    "{name} {axis} {corrector}: {apart} of {largest}"
                );
            }
        }
    }
}
