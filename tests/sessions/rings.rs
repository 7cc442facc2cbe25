//! The shipped rings over the control system that each of them names: served, the same correction as on the twin.

use super::everywhere::{changes, difference, on_twin};
use super::machine::{Running, epics, object, point, serve};
use fodo_tests::{self as support, Scratch, port};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One iteration: more of them would be decided by the last bits of the orbit.
const ONCE: [&str; 4] = ["--set", "iterations=1", "--seed", "3"];

/// Copies what is below a folder, with one text replaced where it stands.
fn copy(scratch: &Scratch, from: &Path, to: &str, old: &str, new: &str) {
    for path in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let name = format!("{to}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            copy(scratch, &path, &name, old, new);
        } else {
            scratch.file(&name, &std::fs::read_to_string(&path).unwrap().replace(old, new));
        }
    }
}

/// Copies of a ring and of what it is based on, without noise of the monitors; gives the folder of the first.
fn quiet(scratch: &Scratch, names: &[&str]) -> PathBuf {
    for name in names {
        let shipped = support::project().join("facilities").join(name);
        copy(scratch, &shipped, name, "\nnoise = ", "\n# noise = ");
    }
    scratch.path().join(names[0])
}

/// Runs the correction on the twin and live, and compares what was changed.
fn agree(scratch: &Scratch, facility: &Path, environment: impl Fn(&mut std::process::Command)) {
    let twin = on_twin(scratch, facility, &ONCE);
    let mut command = support::fodo(scratch, &["run", "correct_orbit", "--on", "live", "--write", "--json"]);
    command.args(&ONCE[..2]).arg("--facility").arg(facility);
    environment(&mut command);
    let live = object(&Running::start(command).output());
    let apart = difference(&changes(&twin), &changes(&live));
    eprintln!("{}: twin and machine differ by {apart:.1e} of the largest change", facility.display());
    assert!(apart < 1e-9);
}

/// `fodo facility check` of the served ring finds nothing wrong.
fn check(scratch: &Scratch, facility: &Path, environment: impl Fn(&mut std::process::Command)) {
    let mut command = support::fodo(scratch, &["facility", "check", "--on", "live", "--json", "--facility"]);
    command.arg(facility);
    environment(&mut command);
    let told = object(&Running::start(command).output());
    assert_eq!((&told["ok"], &told["result"]["wrong"]), (&true.into(), &0.into()), "{told}");
    eprintln!("{}: {} channels", facility.display(), told["result"]["channels"]);
}

#[test]
fn dba_ring_over_channel_access() {
    if !epics("dba_ring_over_channel_access") {
        return;
    }
    let scratch = Scratch::new("dba-ca");
    let facility = quiet(&scratch, &["dba_ring"]);
    let (_serving, port) = serve(&scratch, &facility, &ONCE[2..]);
    check(&scratch, &facility, |command| point(command, port));
    agree(&scratch, &facility, |command| point(command, port));
    // a role of its own keeps quadrupoles from operators; limits are in amperes, of the curve
    let set = |role: &str, value: &str| {
        let line = format!("QFA[0].set({value})");
        let mut command =
            support::fodo(&scratch, &["eval", &line, "--on", "live", "--write", "--json", "--role", role]);
        command.arg("--facility").arg(&facility);
        point(&mut command, port);
        object(&Running::start(command).output())["error"].clone()
    };
    let refused = set("operator", "1.73 / (m * m)");
    assert!(refused["message"].as_str().unwrap().contains("may not write QFA"), "{refused}");
    assert_eq!(set("physicist", "1.73 / (m * m)"), serde_json::Value::Null);
    let beyond = set("physicist", "2.0 / (m * m)");
    assert_eq!(beyond["kind"], "limits", "{beyond}");
    assert!(beyond["details"][0].as_str().unwrap().contains("160 A"), "{beyond}");
}

#[test]
fn dba_ring_doocs_over_an_adapter() {
    if !epics("dba_ring_doocs_over_an_adapter") {
        return;
    }
    let scratch = Scratch::new("dba-doocs");
    let facility = quiet(&scratch, &["dba_ring_doocs", "dba_ring"]);
    let head = facility.join("facility.toml");
    let text = std::fs::read_to_string(&head).unwrap();
    let shipped = "command = [\"python3\", \"../../scripts/adapters/doocs.py\", \"--period\", \"0.1\"]";
    assert!(text.contains(shipped) && support::project().join("scripts/adapters/doocs.py").is_file());
    // there is no DOOCS to be had: the same addresses over Channel Access
    let script = support::project().join("tests/setup/adapter_to_ca.py");
    let command = format!("command = [{:?}, {script:?}]", support::python().unwrap());
    std::fs::write(&head, text.replace(shipped, &command)).unwrap();
    let (_serving, port) = serve(&scratch, &facility, &ONCE[2..]);
    check(&scratch, &facility, |command| point(command, port));
    agree(&scratch, &facility, |command| point(command, port));
}

#[test]
fn ebs_ring_tango_over_tango() {
    let scratch = Scratch::new("ebs-tango");
    let facility = quiet(&scratch, &["ebs_ring_tango", "ebs_ring"]);
    let (tango, ca) = (port(), port());
    // in this order, so that all devices of TANGO are there when Channel Access answers
    let (protocols, ports) = ("tango,ca", format!("tango={tango},ca={ca}"));
    let mut command = support::fodo(&scratch, &["serve", "twin", "--protocol", protocols, "--port", &ports]);
    command.args(&ONCE[2..]).arg("--facility").arg(&facility);
    let mut serving = Running::start(command);
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, ca)).is_err() {
        if serving.ended() {
            let told = String::from_utf8_lossy(&serving.output().stderr).into_owned();
            assert!(told.contains("built without TANGO"), "{told}");
            return support::skipped("ebs_ring_tango_over_tango", "built without --features fodo/tango");
        }
        assert!(Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    let host = |command: &mut std::process::Command| {
        command.env("TANGO_HOST", format!("127.0.0.1:{tango}#dbase=no"));
    };
    check(&scratch, &facility, host);
    agree(&scratch, &facility, host);
}
