//! Between what travels over Channel Access and what the control crate knows.

use epics_base_rs::error::CaError;
use epics_base_rs::server::recgbl::{alarm_condition_string, alarm_status};
use epics_base_rs::server::snapshot::Snapshot;
use epics_base_rs::types::{DbFieldType, EpicsValue, WallTime};
use epics_ca_rs::protocol::{ECA_DISCONN, ECA_NORDACCESS, ECA_NOWTACCESS, ECA_PUTFAIL, eca_message};
pub use fodo_control::span;
use fodo_control::{Alarms, Form, Reading, Time, Validity, Value};
use std::sync::Arc;

/// Alarm severities on the wire.
const NO_ALARM: u16 = 0;
const MINOR: u16 = 1;
const MAJOR: u16 = 2;
const INVALID: u16 = 3;

/// What a sample says; `length` is how many numbers the channel can hold, `choices` the names of its states.
pub fn reading(sample: &Snapshot, length: u32, choices: &[Arc<str>]) -> Reading {
    let time = time(sample.timestamp);
    let Some(value) = value(&sample.value, length, choices) else {
        return Reading::invalid(Value::Number(f64::NAN), time, "the server sent a kind of value that has no number");
    };
    let empty = matches!(&value, Value::Vector(entries) if entries.is_empty());
    let validity = validity(sample.alarm.severity, sample.alarm.status);
    match validity {
        Validity::Good | Validity::Warning(_) | Validity::Alarm(_) if empty => {
            Reading::invalid(value, time, "the array is empty")
        }
        _ => Reading { value, time, validity, shot: None },
    }
}

/// Whether a value with this alarm may be used.
fn validity(severity: u16, status: u16) -> Validity {
    let status = alarm_condition_string(status);
    match severity {
        NO_ALARM => Validity::Good,
        MINOR => Validity::Warning(format!("{status} MINOR")),
        MAJOR => Validity::Alarm(format!("{status} MAJOR")),
        _ => Validity::Invalid(format!("the server says {status} INVALID")),
    }
}

/// Severity and status on the wire.
pub fn alarm(reading: &Reading, limits: &Alarms) -> (u16, u16) {
    let low = |range: Option<(f64, f64)>| {
        range.zip(reading.value.number()).is_some_and(|((lowest, _), value)| value < lowest)
    };
    match &reading.validity {
        Validity::Good => (NO_ALARM, alarm_status::NO_ALARM),
        Validity::Warning(_) if low(limits.warning) => (MINOR, alarm_status::LOW_ALARM),
        Validity::Warning(_) => (MINOR, alarm_status::HIGH_ALARM),
        Validity::Alarm(_) if low(limits.alarm) => (MAJOR, alarm_status::LOLO_ALARM),
        Validity::Alarm(_) => (MAJOR, alarm_status::HIHI_ALARM),
        Validity::Invalid(_) => (INVALID, alarm_status::READ_ALARM),
    }
}

fn value(value: &EpicsValue, length: u32, choices: &[Arc<str>]) -> Option<Value> {
    match value {
        EpicsValue::String(text) => Some(Value::Text(text.as_str_lossy().into())),
        EpicsValue::StringArray(texts) => {
            Some(Value::Texts(texts.iter().map(|text| text.as_str_lossy().into()).collect()))
        }
        EpicsValue::CharArray(bytes) | EpicsValue::UCharArray(bytes) => Some(text(bytes)),
        EpicsValue::DoubleArray(entries) => Some(Value::Vector(entries.iter().copied().collect())),
        EpicsValue::FloatArray(entries) => Some(numbers(entries, |entry| f64::from(*entry))),
        EpicsValue::LongArray(entries) => Some(numbers(entries, |entry| f64::from(*entry))),
        EpicsValue::ShortArray(entries) => Some(numbers(entries, |entry| f64::from(*entry))),
        EpicsValue::EnumArray(entries) => Some(numbers(entries, |entry| f64::from(*entry))),
        EpicsValue::Enum(index) => {
            let label = choices.get(usize::from(*index)).cloned().unwrap_or_else(|| index.to_string().into());
            Some(Value::Choice { index: u32::from(*index), label })
        }
        single if length > 1 => single.to_f64().map(|number| Value::Vector([number].into())),
        single => single.to_f64().map(Value::Number),
    }
}

/// What a channel of this kind holds.
pub fn form(kind: DbFieldType, length: u32) -> Form {
    match (kind, length > 1) {
        (DbFieldType::String, false) | (DbFieldType::Char, true) => Form::Text,
        (DbFieldType::String, true) => Form::Texts,
        (DbFieldType::Enum, false) => Form::Choice,
        (_, false) => Form::Number,
        (_, true) => Form::Vector,
    }
}

/// How a value is sent to a channel of this kind: wire type and value. The server turns numbers into its own type.
pub fn sent(value: &Value, kind: DbFieldType) -> Result<(u16, EpicsValue), String> {
    const DOUBLE: u16 = DbFieldType::Double as u16;
    const STRING: u16 = DbFieldType::String as u16;
    match value {
        Value::Number(number) => Ok((DOUBLE, EpicsValue::Double(*number))),
        Value::Choice { index, .. } => Ok((DOUBLE, EpicsValue::Double(f64::from(*index)))),
        Value::Vector(entries) => Ok((DOUBLE, EpicsValue::DoubleArray(entries.to_vec().into()))),
        Value::Text(text) if kind == DbFieldType::Char => {
            let bytes: Vec<u8> = text.bytes().chain([0]).collect();
            Ok((DbFieldType::Char as u16, EpicsValue::CharArray(bytes.into())))
        }
        Value::Text(text) if matches!(kind, DbFieldType::String | DbFieldType::Enum) => {
            Ok((STRING, EpicsValue::String(text.as_ref().into())))
        }
        Value::Texts(texts) if kind == DbFieldType::String => {
            let texts: Vec<_> = texts.iter().map(|text| text.as_ref().into()).collect();
            Ok((STRING, EpicsValue::StringArray(texts.into())))
        }
        Value::Text(_) | Value::Texts(_) => Err(format!("write refused: it takes numbers, not {}", value.form())),
        Value::Image { .. } | Value::Table(_) => {
            Err(format!("write refused: Channel Access cannot carry {}", value.form()))
        }
    }
}

fn numbers<T>(entries: &[T], number: impl Fn(&T) -> f64) -> Value {
    Value::Vector(entries.iter().map(number).collect())
}

/// An array of characters is a long text: that is how EPICS carries those over 39 characters.
fn text(bytes: &[u8]) -> Value {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Value::Text(String::from_utf8_lossy(&bytes[..end]).into())
}

/// The value to be served.
pub fn to_wire(value: &Value) -> EpicsValue {
    match value {
        Value::Number(number) => EpicsValue::Double(*number),
        // an image is a row to Channel Access
        Value::Vector(entries) | Value::Image { pixels: entries, .. } => {
            EpicsValue::DoubleArray(entries.to_vec().into())
        }
        other => EpicsValue::String(other.text().map_or("", |text| text.as_ref()).into()),
    }
}

/// What a client wants to write, a number or a row; `caput` sends numbers as texts.
pub fn asked(asked: &EpicsValue) -> Option<Value> {
    let number = |text: &str| text.trim().parse().ok();
    match asked {
        EpicsValue::String(text) => number(&text.as_str_lossy()).map(Value::Number),
        EpicsValue::StringArray(texts) => {
            texts.iter().map(|text| number(&text.as_str_lossy())).collect::<Option<_>>().map(Value::Vector)
        }
        other if other.count() == 1 => other.first_element().as_ref().unwrap_or(other).to_f64().map(Value::Number),
        EpicsValue::CharArray(bytes) | EpicsValue::UCharArray(bytes) => Some(numbers(bytes, |byte| f64::from(*byte))),
        other => value(other, u32::MAX, &[]),
    }
}

/// The server's time stamp.
pub fn time(stamp: WallTime) -> Time {
    Time(i64::try_from(stamp.since_unix_epoch().as_nanos()).unwrap_or(i64::MAX))
}

/// A time stamp for the wire.
pub fn stamp(time: Time) -> WallTime {
    let nanoseconds = u64::try_from(time.0).unwrap_or_default();
    WallTime::from_unix(nanoseconds / 1_000_000_000, (nanoseconds % 1_000_000_000) as u32)
}

/// Why a request came to nothing, in a few words, and whether the channel is gone.
pub fn reason(error: &CaError) -> (String, bool) {
    match error {
        CaError::Disconnected | CaError::Shutdown | CaError::Io(_) => ("disconnected".into(), true),
        CaError::WriteFailed(status) | CaError::ServerError(status) => match *status {
            ECA_DISCONN => ("disconnected".into(), true),
            ECA_NOWTACCESS => ("the server gives this client no right to write".into(), false),
            ECA_NORDACCESS => ("the server gives this client no right to read".into(), false),
            ECA_PUTFAIL => ("the server did not take the value".into(), false),
            other => (format!("the server says: {}", eca_message(other)), false),
        },
        other => (other.to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_clients_send() {
        let sent = |value: EpicsValue| asked(&value).and_then(|value| value.number());
        assert_eq!(sent(EpicsValue::String(" 1.25 ".into())), Some(1.25));
        assert_eq!(sent(EpicsValue::String("1.2x".into())), None);
        assert_eq!(sent(EpicsValue::Double(0.1)), Some(0.1));
        assert_eq!(sent(EpicsValue::Long(-3)), Some(-3.0));
        assert_eq!(sent(EpicsValue::DoubleArray(vec![4.0].into())), Some(4.0));
        let row = asked(&EpicsValue::DoubleArray(vec![4.0, 5.0].into()));
        assert_eq!(row, Some(Value::Vector([4.0, 5.0].into())));
    }

    #[test]
    fn time_stamps_keep_their_nanoseconds() {
        let stamped = Time(1_795_419_279_098_558_677);
        assert_eq!(time(stamp(stamped)), stamped);
        assert_eq!(time(stamp(Time(-5))), Time(0));
    }

    #[test]
    fn severities() {
        assert_eq!(validity(0, 0), Validity::Good);
        assert_eq!(validity(2, 3), Validity::Alarm("HIHI MAJOR".into()));
        assert_eq!(validity(3, 17), Validity::Invalid("the server says UDF INVALID".into()));
        let lost = Reading::invalid(Value::Number(f64::NAN), Time(0), "no closed orbit");
        assert_eq!(alarm(&lost, &Alarms::default()).0, 3);
        let limits = Alarms { warning: Some((-1.0, 1.0)), alarm: Some((-2.0, 2.0)) };
        let sent = |value: f64| {
            let reading = Reading { validity: limits.judge(value), ..Reading::good(Value::Number(value), Time(0)) };
            alarm(&reading, &limits)
        };
        // HIHI 3, HIGH 4, LOLO 5, LOW 6 in alarm.h of EPICS base
        assert_eq!([-3.0, -1.5, 0.0, 1.5, 3.0].map(sent), [(2, 5), (1, 6), (0, 0), (1, 4), (2, 3)]);
    }

    #[test]
    fn one_entry_of_a_long_channel_is_still_a_row() {
        assert_eq!(value(&EpicsValue::Double(2.0), 320, &[]), Some(Value::Vector([2.0].into())));
        assert_eq!(value(&EpicsValue::Double(2.0), 1, &[]), Some(Value::Number(2.0)));
        assert_eq!(
            value(&EpicsValue::CharArray(b"long\0..".to_vec().into()), 7, &[]),
            Some(Value::Text("long".into()))
        );
    }
}
