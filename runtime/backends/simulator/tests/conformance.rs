//! The promises of a control system, kept by the twin in this process.
#![allow(clippy::unwrap_used)]

#[path = "../../epics/tests/fake_plant/mod.rs"]
mod fake_plant;

use fake_plant::FakePlant;
use fodo_control::conformance::{Subject, broken, check};
use fodo_simulator::Simulator;
use std::sync::Arc;

#[test]
fn against_a_plant_in_this_process() {
    let backend = Simulator::new(Arc::new(FakePlant::new(200, 8)));
    let subject = Subject {
        number: Some("SP:3".into()),
        range: (-10.0, 10.0),
        unit: Some("A"),
        many: (0..100).map(|n| format!("SP:{n}").into()).collect(),
        read_only: Some("RB:1".into()),
        refused: Some(("SP:STUCK".into(), 1.0)),
        ticking: Some("ORBIT:X".into()),
        absent: Some("NO:".into()),
        ..Subject::default()
    };
    let checks = check(&backend, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}
