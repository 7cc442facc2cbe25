//! The backend on libca against a real IOC: the promises of a control system, and the same answers as `fodo-epics`.
//!
//! libca takes its addresses from the environment, once: each test starts its part that uses libca as a process of its own.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "libca")]

#[path = "../../epics/tests/common/mod.rs"]
mod common;

use common::*;
use fodo_control::conformance::{Subject, broken, check};
use fodo_control::{Backend, Cancel, Channel, Fresh, Keep, Time};
use fodo_epics::ChannelAccess;
use fodo_libca::LibCa;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(5);

fn name(name: &str) -> Option<Channel> {
    Some(name.into())
}

/// An IOC with everything in it, and the test `inside` run with it.
fn with_ioc(inside: &str) {
    if !epics() {
        return;
    }
    let ioc = Ioc::new(inside);
    let machine = root().join("runtime/backends/epics/tests/data/machine.db");
    ioc.start_only(&[machine.to_str().unwrap(), &ioc.records(200)], "1.5");
    let mut command = Command::new(std::env::current_exe().unwrap());
    point(&mut command, ioc.port);
    command.args([inside, "--exact", "--ignored", "--nocapture"]).stdin(Stdio::null());
    command.env("TEST_PORT", ioc.port.to_string()).env("TEST_IOC", &ioc.folder);
    let output = command.output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn promises() {
    with_ioc("promises_inside");
}

#[test]
#[ignore = "started by `promises`"]
fn promises_inside() {
    let subject = Subject {
        number: name("T:AO"),
        range: (-7.0, 7.0),
        unit: Some("A"),
        many: (0..200).map(|n| format!("T:K{n}").into()).collect(),
        read_only: name("T:RO"),
        refused: Some(("T:DISABLED".into(), 2.0)),
        slow: Some(("T:SLOW.A".into(), SECOND)),
        vector: name("T:ROW"),
        text: name("T:TEXT"),
        texts: name("T:NAMES"),
        choice: Some(("T:STATE".into(), vec!["OFF", "STANDBY", "ON"])),
        ticking: name("T:CNT"),
        invalid: name("T:NEVER"),
        absent: name("NO:"),
        ..Subject::default()
    };
    let access = LibCa::new().unwrap();
    let checks = check(&access, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}

#[test]
fn the_same_as_the_other_client() {
    with_ioc("the_same_inside");
}

#[test]
#[ignore = "started by `the_same_as_the_other_client`"]
fn the_same_inside() {
    let port: u16 = std::env::var("TEST_PORT").unwrap().parse().unwrap();
    let (one, other) = (ChannelAccess::at(&[address(port)]).unwrap(), LibCa::new().unwrap());
    // all records of machine.db but those that change by themselves, and fields of other types: float, short, char, menu
    let names = [
        "T:AO",
        "T:RO",
        "T:DISABLED",
        "T:EXACT",
        "T:NEVER",
        "T:MODE",
        "T:STR",
        "T:EMPTY",
        "T:WF",
        "T:SLOW",
        "T:SLOWRB",
        "T:STATE",
        "T:ROW",
        "T:TEXT",
        "T:NAMES",
        "T:AO.PREC",
        "T:AO.DESC",
        "T:AO.SCAN",
        "T:AO.SEVR",
        "T:AO.DISP",
        "T:AO.NAME$",
        "T:STR.VAL$",
        "T:SLOW.MDEL",
        "T:WF.NELM",
        "T:K7",
        "NO:1",
    ];
    let names = channels(&names);
    let short = Duration::from_secs(2);
    let cancel = Cancel::new();
    let metadata = [&one as &dyn Backend, &other].map(|backend| {
        backend.connect(&names, short, &cancel).unwrap();
        backend.metadata(&names, short, &cancel).unwrap()
    });
    let mut differences = Vec::new();
    for ((name, ours), theirs) in names.iter().zip(&metadata[0]).zip(&metadata[1]) {
        if ours != theirs {
            differences.push(format!("{name}: {ours:?} is {theirs:?}"));
        }
    }
    assert_eq!(metadata[1].iter().filter(|answer| answer.is_err()).count(), 1);
    for fresh in [Fresh::After(Time(i64::MAX), Duration::ZERO), Fresh::Latest] {
        let read = [&one as &dyn Backend, &other].map(|backend| backend.read(&names, fresh, short, &cancel).unwrap());
        for ((name, ours), theirs) in names.iter().zip(&read[0]).zip(&read[1]) {
            // as text: NaN is not itself
            let [ours, theirs] = [ours, theirs].map(|answer| format!("{answer:?}"));
            if ours != theirs {
                differences.push(format!("{name} {fresh:?}: {ours} is {theirs}"));
            }
        }
    }
    // the server says 0 to 255; epics-ca-rs takes the bytes of such limits as signed, so that there are none
    assert!(differences.len() == 1 && differences[0].starts_with("T:AO.DISP: "), "{}", differences.join("\n"));
}

#[test]
fn a_lost_server_is_told_and_comes_back() {
    with_ioc("a_lost_server_inside");
}

#[test]
#[ignore = "started by `a_lost_server_is_told_and_comes_back`"]
fn a_lost_server_inside() {
    let folder = std::env::var("TEST_IOC").unwrap();
    let script = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.arg(root().join("tests/setup/ioc.py")).args(arguments).args(["--directory", &folder]);
        assert!(command.status().unwrap().success());
    };
    let access = LibCa::new().unwrap();
    let channel = channels(&["T:AO"]);
    assert!(access.connect(&channel, WAIT, &Cancel::new()).unwrap().is_empty());
    let monitor = access.monitor(&channel, Keep::Every(100));
    let until = |what: &str, holds: &dyn Fn(Option<f64>) -> bool| {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            for update in monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap() {
                let number = update.reading.as_ref().ok().and_then(|reading| reading.value.number());
                if holds(number) {
                    return;
                }
            }
        }
        panic!("{what} was not told");
    };
    until("the value", &|number| number == Some(1.5));
    script(&["kill"]);
    until("the loss", &|number| number.is_none());
    let fault = access.read(&channel, Fresh::Latest, WAIT, &Cancel::new()).unwrap().remove(0).unwrap_err();
    assert!(fault.absent && fault.reason == "disconnected", "{fault:?}");
    let machine = root().join("runtime/backends/epics/tests/data/machine.db");
    let port = std::env::var("TEST_PORT").unwrap();
    script(&["start", "--port", &port, "--macros", "V=2.5", "--put-log", "--db", machine.to_str().unwrap()]);
    until("the new value", &|number| number == Some(2.5));
    assert!(access.connect(&channel, WAIT, &Cancel::new()).unwrap().is_empty());
}
