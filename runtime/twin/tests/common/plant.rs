//! Asking a twin by its channels.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use fodo_control::{Channel, Plant, Reading, Time, Validity, Value, Write};
use fodo_twin::Twin;

pub fn sample(twin: &Twin, channel: &str) -> Reading {
    twin.sample(&[Channel::from(channel)]).remove(0).unwrap()
}

pub fn number(twin: &Twin, channel: &str) -> f64 {
    let reading = sample(twin, channel);
    assert!(!matches!(reading.validity, Validity::Invalid(_)), "{channel}: {:?}", reading.validity);
    reading.value.number().unwrap()
}

/// Whether a reading is invalid and says why.
pub fn is_invalid(reading: &Reading, why: &str) -> bool {
    let said = matches!(&reading.validity, Validity::Invalid(said) if said.contains(why));
    said && reading.value.number().is_some_and(f64::is_nan)
}

pub fn set(twin: &Twin, channel: &str, value: f64) {
    twin.apply(&[Write { channel: channel.into(), value: Value::Number(value) }]).unwrap();
}

/// A row of readings.
pub fn row(twin: &Twin, channel: &str) -> Vec<f64> {
    match sample(twin, channel).value {
        Value::Vector(row) => row.to_vec(),
        other => panic!("{channel}: {other:?}"),
    }
}

/// Lets the time of a twin go on [s].
pub fn pass(twin: &Twin, seconds: f64) {
    let now = twin.now();
    twin.advance(Time(now.0 + (seconds * 1e9).round() as i64));
}
