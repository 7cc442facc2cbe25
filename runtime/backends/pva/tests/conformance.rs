//! The promises of a control system, over PV Access, against EPICS base, PVXS and p4p.
#![allow(clippy::unwrap_used)]

mod common;

use common::{SECOND, Server};
use fodo_control::conformance::{Subject, broken, check};
use fodo_control::{Backend, Cancel, Channel, Fresh, Value};

fn name(name: &str) -> Option<Channel> {
    Some(name.into())
}

fn against_an_ioc(kind: &'static str) {
    let Some(server) = Server::new(kind) else { return };
    server.start(&[server.records(200)], "1.5");
    let access = server.client();
    let subject = Subject {
        number: name("T:AO"),
        range: (-7.0, 7.0),
        unit: Some("A"),
        many: (0..200).map(|n| format!("T:K{n}").into()).collect(),
        // QSRV 1 does not look at DISP; and no server says before a write that it will refuse it
        refused: Some((if kind == "base" { "T:RO" } else { "T:DISABLED" }.into(), 2.0)),
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
    let checks = check(&*access, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}

#[test]
fn against_epics_base() {
    against_an_ioc("base");
}

#[test]
fn against_pvxs() {
    against_an_ioc("pvxs");
}

#[test]
fn tables_images_and_states_of_p4p() {
    let Some(server) = Server::new("p4p") else { return };
    server.start(&[], "");
    let access = server.client();
    let channels: Vec<Channel> = ["P:TABLE", "P:IMAGE", "P:STATE"].map(Channel::from).into();
    let read = access.read(&channels, Fresh::Latest, 5 * SECOND, &Cancel::new()).unwrap();
    let values: Vec<Value> = read.into_iter().map(|reading| reading.unwrap().value).collect();
    assert_eq!(values[0].column("x"), Some(&Value::Vector([0.0, 1e-3, 2e-3, 3e-3].into())));
    assert!(matches!(values[0].column("name"), Some(Value::Texts(names)) if &*names[3] == "BPM3"));
    let pixels: Vec<f64> = (0..12).map(f64::from).collect();
    assert_eq!(values[1], Value::Image { width: 4, pixels: pixels.into() });
    assert_eq!(values[2], Value::Choice { index: 1, label: "STANDBY".into() });
    let subject = Subject {
        choice: Some(("P:STATE".into(), vec!["OFF", "STANDBY", "ON"])),
        image: name("P:IMAGE"),
        table: name("P:TABLE"),
        absent: name("NO:"),
        ..Subject::default()
    };
    let checks = check(&*access, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}
