//! The promises of a control system, over adapters.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use fodo_adapter::{AdapterOptions, TestChannels};
use fodo_control::conformance::{Outcome, broken, check};

#[test]
fn the_simulator_keeps_every_promise() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&[]));
    let subject = adapter.test_channels().unwrap().subject();
    let checks = check(adapter.as_ref(), &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
    let skipped: Vec<_> = checks.iter().filter(|check| matches!(check.outcome, Outcome::Skipped(_))).collect();
    assert!(skipped.is_empty(), "{skipped:#?}");
    assert_eq!(adapter.garbage().0, 0, "{:?}", adapter.garbage());
}

/// Only its protocol side: the DOOCS behind it is a stand-in. A source that is looked at every 0.1 s cannot show each change.
#[test]
fn the_doocs_adapter_over_a_stand_in() {
    if !python() {
        return;
    }
    let stand_in = root().join("tests/setup/stand_in");
    let script = root().join("scripts/adapters/doocs.py").display().to_string();
    let path = format!("PYTHONPATH={}", stand_in.display());
    let adapter = start(AdapterOptions::new(&["env", &path, "python3", &script]));
    let subject = TestChannels::load(&stand_in.join("doocs_test_channels.toml")).unwrap().subject();
    let checks = check(adapter.as_ref(), &subject);
    let told = broken(&checks);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("a monitor gives the present value, each change in order"), "{told}");
    let kept = checks.iter().filter(|check| check.outcome == Outcome::Kept).count();
    assert!(kept >= 15, "{checks:#?}");
    let pulsed = latest(&adapter, "TEST/RING/DCCT/CURRENT").unwrap();
    assert!(pulsed.shot.is_some(), "{pulsed:?}");
    assert_eq!(adapter.garbage().0, 0, "{:?}", adapter.garbage());
}
