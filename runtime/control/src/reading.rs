//! Channels and what is read from them.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The name of a channel as its control system knows it: a PV, an attribute, an address.
pub type Channel = Arc<str>;

/// Nanoseconds since 1970-01-01 UTC on the clock of the machine (virtual on the twin).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time(pub i64);

impl Time {
    /// The wall clock.
    pub fn wall() -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time(since.as_nanos() as i64)
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// This much later.
    pub fn after(self, span: Duration) -> Time {
        Time(self.0.saturating_add(span.as_nanos() as i64))
    }
}

/// What a channel holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// One number.
    Number(f64),
    /// A row of numbers.
    Vector(Arc<[f64]>),
    /// A text.
    Text(Arc<str>),
}

impl Value {
    /// The number of a scalar channel.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The entries: of a vector channel, or the single number.
    pub fn entries(&self) -> &[f64] {
        match self {
            Value::Number(number) => std::slice::from_ref(number),
            Value::Vector(entries) => entries,
            Value::Text(_) => &[],
        }
    }
}

/// Whether a value may be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Nothing to say.
    Good,
    /// Usable, beyond a warning limit.
    Warning(String),
    /// Usable, beyond an alarm limit.
    Alarm(String),
    /// Not usable, and why: no closed orbit, undefined, the server says INVALID.
    Invalid(String),
}

/// A value with its time and validity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What was read.
    pub value: Value,
    /// When the source took it.
    pub time: Time,
    /// Whether it may be used.
    pub validity: Validity,
}

impl Reading {
    /// A good reading.
    pub fn good(value: Value, time: Time) -> Reading {
        Reading { value, time, validity: Validity::Good }
    }

    /// A reading that must not be used.
    pub fn invalid(value: Value, time: Time, why: impl Into<String>) -> Reading {
        Reading { value, time, validity: Validity::Invalid(why.into()) }
    }
}

/// Why a channel did not do what was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The channel.
    pub channel: Channel,
    /// What went wrong, for people: `no answer within 3 s`, `disconnected`, `write refused: …`.
    pub reason: String,
    /// Whether the channel is not there at all (never connected, or disconnected).
    pub absent: bool,
}

impl Fault {
    /// The channel is there and said no, or its value is unusable.
    pub fn refused(channel: &Channel, reason: impl Into<String>) -> Fault {
        Fault { channel: channel.clone(), reason: reason.into(), absent: false }
    }

    /// The channel is not there.
    pub fn absent(channel: &Channel, reason: impl Into<String>) -> Fault {
        Fault { channel: channel.clone(), reason: reason.into(), absent: true }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.channel, self.reason)
    }
}
