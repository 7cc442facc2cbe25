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

    /// ISO 8601 in UTC, to the microsecond.
    pub fn iso(self) -> String {
        let micros = self.0.div_euclid(1000);
        let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let (year, month, day) = date(seconds.div_euclid(86400));
        let of_day = seconds.rem_euclid(86400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }

    /// This much later.
    pub fn after(self, span: Duration) -> Time {
        Time(self.0.saturating_add(span.as_nanos() as i64))
    }
}

/// A span for people: `3 s`, `250 ms`.
pub fn span(span: Duration) -> String {
    let milliseconds = span.as_millis();
    if milliseconds >= 1000 { format!("{} s", milliseconds as f64 / 1000.0) } else { format!("{milliseconds} ms") }
}

/// Year, month and day of a number of days since 1970 (Gregorian; eras of 400 years from 1 March 0000).
pub(crate) fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
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
    /// A row of texts.
    Texts(Arc<[Arc<str>]>),
    /// One of a list of states, such as `ON` of `OFF, ON, FAULT`.
    Choice {
        /// Its place in the list, from 0.
        index: u32,
        /// Its name.
        label: Arc<str>,
    },
    /// Numbers in rows and columns.
    Image {
        /// Numbers in one row.
        width: usize,
        /// All rows, one after the other.
        pixels: Arc<[f64]>,
    },
    /// Named columns of equal length.
    Table(Arc<[(Arc<str>, Value)]>),
}

/// The form of what a channel holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One number.
    #[default]
    Number,
    /// A row of numbers.
    Vector,
    /// A text.
    Text,
    /// A row of texts.
    Texts,
    /// One of a list of states.
    Choice,
    /// Numbers in rows and columns.
    Image,
    /// Named columns.
    Table,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Form::Number => "a number",
            Form::Vector => "a row of numbers",
            Form::Text => "a text",
            Form::Texts => "a row of texts",
            Form::Choice => "one of a list of states",
            Form::Image => "an image",
            Form::Table => "a table",
        })
    }
}

impl Value {
    /// Its form.
    pub fn form(&self) -> Form {
        match self {
            Value::Number(_) => Form::Number,
            Value::Vector(_) => Form::Vector,
            Value::Text(_) => Form::Text,
            Value::Texts(_) => Form::Texts,
            Value::Choice { .. } => Form::Choice,
            Value::Image { .. } => Form::Image,
            Value::Table(_) => Form::Table,
        }
    }

    /// The number of a scalar channel; of a state its place in the list.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Choice { index, .. } => Some(f64::from(*index)),
            _ => None,
        }
    }

    /// The text of a channel; of a state its name.
    pub fn text(&self) -> Option<&Arc<str>> {
        match self {
            Value::Text(text) | Value::Choice { label: text, .. } => Some(text),
            _ => None,
        }
    }

    /// The numbers: of a row or an image, or the single number.
    pub fn entries(&self) -> &[f64] {
        match self {
            Value::Number(number) => std::slice::from_ref(number),
            Value::Vector(entries) | Value::Image { pixels: entries, .. } => entries,
            _ => &[],
        }
    }

    /// Whether it is the same as another; not a number is the same as not a number.
    pub fn is_same(&self, other: &Value) -> bool {
        let all = |a: &[f64], b: &[f64]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
        };
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => all(&[*a], &[*b]),
            (Value::Vector(a), Value::Vector(b)) => all(a, b),
            (Value::Image { width, pixels }, Value::Image { width: others, pixels: b }) => {
                width == others && all(pixels, b)
            }
            (Value::Table(a), Value::Table(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.0 == b.0 && a.1.is_same(&b.1))
            }
            _ => self == other,
        }
    }

    /// A column of a table.
    pub fn column(&self, name: &str) -> Option<&Value> {
        let Value::Table(columns) = self else { return None };
        columns.iter().find(|(known, _)| known.as_ref() == name).map(|(_, column)| column)
    }
}

/// What it is, for people: `1.5`, `the text "on"`, `a row of 320 numbers`.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Vector(entries) => write!(f, "a row of {} numbers", entries.len()),
            Value::Text(text) => write!(f, "the text {text:?}"),
            Value::Texts(texts) => write!(f, "a row of {} texts", texts.len()),
            Value::Choice { index, label } => write!(f, "the state {label} ({index})"),
            Value::Image { .. } | Value::Table(_) => write!(f, "{}", self.form()),
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
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
    /// The pulse or turn it belongs to, where the source counts them: readings of one shot share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shot: Option<u64>,
}

impl Reading {
    /// A good reading.
    pub fn good(value: Value, time: Time) -> Reading {
        Reading { value, time, validity: Validity::Good, shot: None }
    }

    /// A reading that must not be used.
    pub fn invalid(value: Value, time: Time, why: impl Into<String>) -> Reading {
        Reading { value, time, validity: Validity::Invalid(why.into()), shot: None }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_a_number_stays_the_same() {
        let row = |entries: &[f64]| Value::Vector(entries.into());
        let table = |entries: &[f64]| Value::Table(vec![("x".into(), row(entries))].into());
        for value in [Value::Number(f64::NAN), row(&[1.0, f64::NAN]), table(&[f64::NAN]), "on".into()] {
            assert!(value.is_same(&value.clone()), "{value:?}");
        }
        for (one, other) in [
            (Value::Number(f64::NAN), Value::Number(1.0)),
            (row(&[f64::NAN]), row(&[f64::NAN, f64::NAN])),
            (table(&[f64::NAN]), table(&[0.0])),
            (Value::Number(f64::NAN), row(&[f64::NAN])),
        ] {
            assert!(!one.is_same(&other) && !other.is_same(&one), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn spans_for_people() {
        assert_eq!((span(Duration::from_secs(3)), span(Duration::from_millis(250))), ("3 s".into(), "250 ms".into()));
    }
}
