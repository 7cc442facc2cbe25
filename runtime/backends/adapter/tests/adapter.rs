//! The promises of a control system, over adapters.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
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
