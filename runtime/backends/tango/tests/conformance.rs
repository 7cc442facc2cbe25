//! The promises of a control system, over TANGO: against device servers without database, with each of the two
//! databases, and against a plant that we serve.
#![cfg(feature = "libtango")]
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use fodo_control::conformance::{Subject, broken, check};
use fodo_control::Channel;
use fodo_tango::Tango;

fn name(name: &str) -> Option<Channel> {
    Some(name.into())
}

#[test]
fn without_a_database() {
    if !pytango() {
        return;
    }
    let port = free_port();
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
