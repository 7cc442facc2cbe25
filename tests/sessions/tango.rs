//! The twin served over TANGO and Channel Access at once, and the end of either process.

use super::machine::{Running, object, point, port};
use fodo_tests::{self as support, Scratch};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The twin over both, with the ports of TANGO and Channel Access; none if the program was built without TANGO.
fn serve(scratch: &Scratch, test: &str) -> Option<(Running, u16, u16)> {
    let (tango, ca) = (port(), port());
    let ports = format!("tango={tango},ca={ca}");
    let mut command = support::fodo(scratch, &["serve", "twin", "--protocol", "ca,tango", "--port", &ports]);
    command.args(["--facility", "demo_ring"]);
    point(&mut command, ca);
    let mut running = Running::start(command);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !(answers(tango) && answers(ca)) {
        if running.ended() {
            let told = String::from_utf8_lossy(&running.output().stderr).into_owned();
            assert!(told.contains("built without TANGO"), "{told}");
            support::skipped(test, "built without --features fodo/tango");
            return None;
        }
        assert!(Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some((running, tango, ca))
}

/// Processes that `fodo serve` started for TANGO.
fn servers(tango: u16) -> Vec<String> {
    let output = Command::new("ss").args(["-lntpH", &format!("sport = :{tango}")]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split("pid=").skip(1).filter_map(|rest| Some(rest.split(',').next()?.to_owned())).collect()
}

#[test]
fn two_protocols_show_one_machine() {
    const TEST: &str = "two_protocols_show_one_machine";
    let scratch = Scratch::new("both");
    let Some((_running, tango, ca)) = serve(&scratch, TEST) else { return };
    let python = support::project().join(".venv/bin/python");
    let there = Command::new(&python).args(["-c", "import epics, tango"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return support::skipped(
            TEST,
            "no PyTango and pyepics in .venv; run tests/setup/epics.sh and tests/setup/tango.sh",
        );
    }
    let mut command = Command::new(python);
    command.arg(support::project().join("tests/setup/tango_and_ca.py"));
    command.args([&tango.to_string(), "HCOR_001:Cm:set", "1e-5", "1"]);
    point(&mut command, ca);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen = object(&output);
    eprintln!("{seen}");
    assert_eq!(seen["tango_then_ca"], 1e-5);
    assert_eq!(seen["ca_then_tango"], 2e-5);
    assert_eq!(seen["after"], serde_json::json!([2e-5, 2e-5]), "it was refused by both");
}

#[test]
fn the_served_process_ends_with_its_parent() {
    let scratch = Scratch::new("parent");
    let Some((mut running, tango, _ca)) = serve(&scratch, "the_served_process_ends_with_its_parent") else { return };
    running.kill();
    until("the port is closed", Duration::from_secs(2), || !answers(tango));
}

#[test]
fn the_parent_says_that_the_served_process_has_ended() {
    let scratch = Scratch::new("child");
    let Some((mut running, tango, _ca)) = serve(&scratch, "the_parent_says_that_the_served_process_has_ended") else {
        return;
    };
    let found = servers(tango);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(Command::new("kill").args(["-9", &found[0]]).status().unwrap().success());
    until("the program ends", Duration::from_secs(2), || running.ended());
    let output = running.output();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("{told}");
    assert!(!output.status.success() && told.contains("ended by itself"), "{told}");
}
