//! Servers that are not there, and readings that are no numbers.

use super::machine::{Client, Ioc, Running, epics, object, point};
use super::ring::{Machine, Orbit, facility, setpoints, still_database};
use crate::errors::tells;
use fodo_tests::{self as support, Scratch, port};
use std::time::{Duration, Instant};

#[test]
fn an_absent_ioc_is_one_message() {
    let scratch = Scratch::new("absent");
    let port = port();
    let command = |arguments: &[&str]| {
        let mut command = support::fodo(&scratch, &["run", "correct_orbit", "--on", "live", "--timeout", "1"]);
        command.args(["--facility", "demo_ring"]).args(arguments);
        point(&mut command, port);
        command
    };
    let start = Instant::now();
    let output = Running::start(command(&[])).output();
    let took = start.elapsed();
    let (told, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{told}{error}");
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(4), "{took:?}");
    assert!(told.is_empty(), "{told}");
    assert_eq!(error.matches("error").count(), 1, "{error}");
    // 32 correctors with readbacks, the RF, two orbit vectors
    assert!(error.contains("67 of 67 channels could not be connected"), "{error}");
    assert_eq!(error.matches("no answer within 1 s").count(), 1, "{error}");
    tells("ioc_absent", &output, &scratch);
    let answer = object(&Running::start(command(&["--json"])).output());
    assert_eq!((&answer["ok"], &answer["error"]["kind"]), (&false.into(), &"machine".into()));
}

#[test]
fn a_reading_that_is_no_number_is_named() {
    if !epics("a_reading_that_is_no_number_is_named") {
        return;
    }
    let scratch = Scratch::new("nan");
    let facility = facility(&scratch, Orbit::Vectors);
    let ioc = Ioc::new(scratch.path().join("ioc"));
    ioc.start(&scratch.file("still.db", &still_database(&setpoints())));
    let mut client = Client::new(ioc.port);
    let mut orbit = vec![1e-4; 193];
    client.put_array("beam:orbit:y", &orbit);
    orbit[3 + 12] = f64::NAN; // BPM_002 is twelve places behind BPM_001
    client.put_array("beam:orbit:x", &orbit);
    let run = |more: &[&str]| {
        let mut command = support::fodo(&scratch, more);
        command.args(["--on", "live", "--write", "--facility"]).arg(&facility);
        point(&mut command, ioc.port);
        Running::start(command).output()
    };
    let read = ["eval", "orbit_error().x.rms()"];
    tells("reading_not_a_number", &run(&read), &scratch);
    let output = run(&[read[0], read[1], "--json"]);
    let answer = object(&output);
    let error = &answer["error"];
    assert_eq!((output.status.code(), &error["kind"]), (Some(3), &"machine".into()), "{answer}");
    assert!(error["details"][0].as_str().unwrap().contains("BPM[\"BPM_002\"].x reads NaN"), "{answer}");
    assert_eq!(error["details"].as_array().unwrap().len(), 1);
    assert_eq!(error["machine"], "no setpoint was changed");
    assert_eq!(ioc.puts(), []);
    // a correction does without it, and says so
    let answer = object(&run(&["run", "correct_orbit", "--json"]));
    let why = answer["result"]["lost_monitors"]["BPM_002"]["why"].as_str();
    assert!(why.is_some_and(|why| why.contains("NaN")), "{answer}");
}

#[test]
fn a_monitor_that_goes_bad_in_mid_run_puts_everything_back() {
    if !epics("a_monitor_that_goes_bad_in_mid_run_puts_everything_back") {
        return;
    }
    let mut machine = Machine::new("bad");
    let before = machine.setpoints();
    let script = machine.scratch.file("wait.rhai", "HCOR.step(5.0 * urad); wait(0.8 * s); get_orbit();");
    let running = Running::start(machine.fodo(&["run", script.to_str().unwrap(), "--write", "--json"]));
    let deadline = Instant::now() + Duration::from_secs(20);
    while machine.ioc.puts().len() < 16 {
        assert!(Instant::now() < deadline, "no put arrives");
    }
    machine.client.put(&[("BPM_003:x:0.A".to_string(), f64::NAN)].into());
    machine.client.put(&[("BPM_003:x:0.PROC".to_string(), 1.0)].into());
    let answer = object(&running.output());
    assert_eq!(answer["error"]["kind"], "machine", "{answer}");
    assert!(answer["error"]["details"][0].as_str().unwrap().starts_with("BPM_003:x: invalid"), "{answer}");
    assert!(answer["error"]["machine"].as_str().unwrap().starts_with("16 setpoints were changed and are back"));
    assert_eq!(machine.setpoints(), before);
}
