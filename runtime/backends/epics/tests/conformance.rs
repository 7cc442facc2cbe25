//! The promises of a control system, over Channel Access: against EPICS base, and against a plant that we serve.
#![allow(clippy::unwrap_used)]

mod common;
mod fake_plant;

use common::*;
use fake_plant::FakePlant;
use fodo_control::conformance::{Subject, broken, check};
use fodo_control::{Cancel, Channel};
use fodo_epics::{ChannelAccess, ServeOptions};
use std::sync::Arc;

fn name(name: &str) -> Option<Channel> {
    Some(name.into())
}

fn many(count: usize, prefix: &str) -> Vec<Channel> {
    (0..count).map(|n| format!("{prefix}{n}").into()).collect()
}

#[test]
fn against_epics_base() {
    if !epics() {
        return;
    }
    let ioc = Ioc::new("conformance");
    ioc.start(&[&ioc.records(200)], "1.5");
    let access = ChannelAccess::at(&[address(ioc.port)]).unwrap();
    let subject = Subject {
        number: name("T:AO"),
        range: (-7.0, 7.0),
        unit: Some("A"),
        many: many(200, "T:K"),
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
    let checks = check(&access, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}

#[test]
fn against_a_served_plant() {
    let server = start(Arc::new(FakePlant::new(200, 8)), ServeOptions { port: 0, ..Default::default() }, Cancel::new());
    let server = server.unwrap();
    let access = ChannelAccess::at(&[address(server.port())]).unwrap();
    let subject = Subject {
        number: name("SP:3"),
        range: (-10.0, 10.0),
        unit: Some("A"),
        many: many(100, "SP:"),
        read_only: name("RB:1"),
        refused: Some(("SP:4".into(), 11.0)),
        ticking: name("ORBIT:X"),
        invalid: name("LOST"),
        absent: name("NO:"),
        ..Subject::default()
    };
    let checks = check(&access, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}
