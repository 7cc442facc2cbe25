//! The promises of a control system, over TANGO: against device servers without database, with each of the two
//! databases, and against a plant that we serve.
#![cfg(feature = "libtango")]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../epics/tests/fake_plant/mod.rs"]
mod fake_plant;

use common::*;
use fake_plant::FakePlant;
use fodo_control::conformance::{Subject, broken, check};
use fodo_control::{Backend, Cancel, Channel, Fresh, Host};
use fodo_tango::{Tango, TangoOutlet};
use std::sync::Arc;
use std::time::Duration;

/// ZeroMQ connects while the server sends: the first events may get lost, and are made good by a reading a second later.
const JOINS: Duration = Duration::from_millis(500);

fn name(name: &str) -> Option<Channel> {
    Some(name.into())
}

#[test]
fn without_a_database() {
    if !pytango() {
        return;
    }
    let port = port();
    let _server = ice(port, "dev/ice/1");
    let tango = Tango::at(&home(port)).unwrap();
    let subject = Subject {
        number: name("dev/ice/1/current"),
        range: (-8.0, 8.0),
        unit: Some("A"),
        many: (0..200).map(|n| format!("dev/ice/1/many{n}").into()).collect(),
        read_only: name("dev/ice/1/readback"),
        refused: Some(("dev/ice/1/refusing".into(), 7.0)),
        slow: Some(("dev/ice/1/slow".into(), SECOND)),
        vector: name("dev/ice/1/row"),
        text: name("dev/ice/1/text"),
        texts: name("dev/ice/1/names"),
        choice: Some(("dev/ice/1/mode".into(), vec!["OFF", "STANDBY", "ON"])),
        image: name("dev/ice/1/image"),
        ticking: name("dev/ice/1/ticking"),
        invalid: name("dev/ice/1/invalid"),
        absent: name("dev/nobody/1/value"),
        joins: JOINS,
        ..Subject::default()
    };
    let checks = check(&tango, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}

/// TangoTest sends no events: its monitors are polled.
fn tango_test_subject() -> Subject {
    Subject {
        number: name("sys/tg_test/1/double_scalar_w"),
        range: (-200.0, 200.0),
        many: ["double_scalar_w", "ampli"].map(|one| format!("sys/tg_test/1/{one}").into()).to_vec(),
        read_only: name("sys/tg_test/1/short_scalar_ro"),
        vector: name("sys/tg_test/1/double_spectrum"),
        text: name("sys/tg_test/1/string_scalar"),
        texts: name("sys/tg_test/1/string_spectrum"),
        image: name("sys/tg_test/1/double_image"),
        absent: name("sys/nobody/1/value"),
        ..Subject::default()
    }
}

#[test]
fn with_the_sqlite_database() {
    if !pytango() || !there(&packaged("tango-test", "/TangoTest")) {
        return;
    }
    let folder = Folder::new("sqlite");
    let (_database, host) = sqlite_database(&folder);
    let _server = tango_test(&host);
    let tango = Tango::at(&host).unwrap();
    let checks = check(&tango, &tango_test_subject());
    assert_eq!(broken(&checks), "", "{checks:#?}");
}

#[test]
fn with_the_classic_database() {
    let parts =
        [packaged("tango-test", "/TangoTest"), packaged("tango-db", "/DataBaseds"), "/usr/sbin/mariadbd".into()];
    if !parts.iter().all(|part| there(part)) {
        return;
    }
    let folder = Folder::new("classic");
    let (_database, host) = classic_database(&folder);
    let _server = tango_test(&host);
    let tango = Tango::at(&host).unwrap();
    let checks = check(&tango, &tango_test_subject());
    assert_eq!(broken(&checks), "", "{checks:#?}");
}

fn orbit(tango: &Arc<Tango>) -> f64 {
    let names = ["ORBIT:X".into()];
    let answer = tango.read(&names, Fresh::Latest, SECOND, &Cancel::new()).unwrap().remove(0);
    answer.unwrap().value.entries()[0]
}

#[test]
fn against_a_served_plant() {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_fodo-tango-server"));
    program.stderr(std::process::Stdio::null());
    let options =
        fodo_tango::ServeOptions { port: 0, interface: std::net::Ipv4Addr::LOCALHOST, program, database: None };
    let mut port = 0;
    let _host = Host::start(Arc::new(FakePlant::new(200, 8)), Cancel::new(), |stage| {
        let outlet = TangoOutlet::open(stage, options)?;
        port = outlet.port();
        Ok(vec![Box::new(outlet)])
    })
    .unwrap();
    let tango = Arc::new(Tango::at(&home(port)).unwrap());
    let subject = Subject {
        number: name("SP:3"),
        range: (-10.0, 10.0),
        unit: Some("A"),
        many: (0..100).map(|n| format!("SP:{n}").into()).collect(),
        read_only: name("RB:1"),
        refused: Some(("SP:4".into(), 11.0)),
        ticking: name("ORBIT:X"),
        invalid: name("LOST"),
        absent: name("NO:"),
        joins: JOINS,
        ..Subject::default()
    };
    let checks = check(tango.as_ref(), &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
    let stuck = check(tango.as_ref(), &Subject { refused: Some(("SP:STUCK".into(), 1.0)), ..subject });
    assert_eq!(broken(&stuck), "", "{stuck:#?}");
    // what is read after a write is what it did
    assert!(put(&tango, &[("SP:3", 0.0)])[0].is_ok());
    let before = orbit(&tango);
    for step in 1..=20 {
        let value = f64::from(step) / 4.0;
        assert!(put(&tango, &[("SP:3", value)])[0].is_ok());
        assert_eq!(orbit(&tango), before + value);
    }
    // the plant's words, through libtango and back, and for a client that is not ours
    let ours = put(&tango, &[("SP:STUCK", 1.0)]).remove(0).unwrap_err();
    assert_eq!(ours.reason, "write refused: this one is stuck (Fodo_Refused)");
    if pytango() {
        let code = format!(
            "import tango
device = tango.DeviceProxy('tango://127.0.0.1:{port}/fodo/channel/SP#dbase=no')
try:
    device.write_attribute('STUCK', 1.0)
except tango.DevFailed as failed:
    print(failed.args[0].reason, failed.args[0].desc, sep='|', end='')"
        );
        let output = std::process::Command::new(python()).args(["-c", &code]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Fodo_Refused|this one is stuck");
    }
}
