//! Between what travels over TANGO and what the control crate knows.

use crate::ffi::{Failure, Info, Sample, Sent, kind, quality};
pub use fodo_control::span;
use fodo_control::{Channel, Fault, Form, Metadata, Reading, Time, Validity, Value};
use std::sync::Arc;

/// States of a device, in the order of their numbers.
const STATES: [&str; 14] = [
    "ON", "OFF", "CLOSE", "OPEN", "INSERT", "EXTRACT", "MOVING", "STANDBY", "FAULT", "INIT", "RUNNING", "ALARM",
    "DISABLE", "UNKNOWN",
];

/// Scalar, spectrum, image.
const SCALAR: i32 = 0;
const SPECTRUM: i32 = 1;
const IMAGE: i32 = 2;

/// A fault of a channel from a failure of libtango.
pub fn fault(channel: &Channel, failure: &Failure, what: &str) -> Fault {
    match failure {
        Failure::Absent(text) => Fault::absent(channel, format!("{what}{}", plain(text))),
        Failure::TimedOut(_) => Fault::refused(channel, format!("{what}the device server did not answer in time")),
        Failure::Refused(text) | Failure::NoEvents(text) => Fault::refused(channel, format!("{what}{}", plain(text))),
    }
}

/// libtango says what its CORBA library could not do; people want to know what that means.
fn plain(text: &str) -> String {
    let gone = ["TRANSIENT_ConnectFailed", "COMM_FAILURE", "OBJECT_NOT_EXIST", "TRANSIENT_"];
    let unreached = text.contains("API_CantConnectToDevice") && !text.contains("DB_");
    if unreached || text.contains("API_CorbaException") && gone.iter().any(|word| text.contains(word)) {
        return "disconnected: the device server does not run, or cannot be reached".into();
    }
    text.split('\n').next().unwrap_or_default().to_owned() + reason(text)
}

/// The reason in parentheses at the end, if the text has several lines.
fn reason(text: &str) -> &str {
    if text.contains('\n') { text.rfind(" (").map_or("", |at| &text[at..]) } else { "" }
}

/// What a sample says; `labels` are the names of the states of an enumeration.
pub fn reading(sample: Sample, labels: &[Arc<str>]) -> Reading {
    let time = Time(sample.time);
    if sample.quality == quality::INVALID {
        return Reading::invalid(Value::Number(f64::NAN), time, "the server says ATTR_INVALID");
    }
    let validity = match sample.quality {
        quality::ALARM => Validity::Alarm("the server says ATTR_ALARM".into()),
        quality::WARNING => Validity::Warning("the server says ATTR_WARNING".into()),
        quality::CHANGING => Validity::Warning("the value is changing (ATTR_CHANGING)".into()),
        _ => Validity::Good,
    };
    let carried = sample.kind == kind::STRING || !sample.numbers.is_empty() || sample.format != SCALAR;
    if !carried {
        return Reading::invalid(Value::Number(f64::NAN), time, "the server sent a kind of value that has no number");
    }
    match value(sample, labels) {
        Value::Vector(entries) if entries.is_empty() => {
            Reading::invalid(Value::Vector(entries), time, "the array is empty")
        }
        value => Reading { value, time, validity, shot: None },
    }
}

fn value(sample: Sample, labels: &[Arc<str>]) -> Value {
    let state = |at: f64| -> Value {
        let index = at as u32;
        let label = match sample.kind {
            kind::STATE => STATES.get(index as usize).map(|state| Arc::from(*state)),
            _ => labels.get(index as usize).cloned(),
        };
        Value::Choice { index, label: label.unwrap_or_else(|| index.to_string().into()) }
    };
    match (sample.kind, sample.format) {
        (kind::STRING, SCALAR) => Value::Text(sample.texts.first().map_or("", String::as_str).into()),
        (kind::STRING, _) => Value::Texts(sample.texts.iter().map(|text| text.as_str().into()).collect()),
        (kind::STATE | kind::ENUM, SCALAR) => state(sample.numbers[0]),
        (_, SCALAR) => Value::Number(sample.numbers[0]),
        (_, IMAGE) => Value::Image { width: sample.width, pixels: sample.numbers.into() },
        _ => Value::Vector(sample.numbers.into()),
    }
}

/// Names of the states of an attribute.
pub fn labels(info: &Info) -> Vec<Arc<str>> {
    match info.kind {
        kind::STATE => STATES.map(Arc::from).to_vec(),
        _ => info.labels.iter().map(|label| label.as_str().into()).collect(),
    }
}

/// What an attribute says of itself.
pub fn metadata(info: &Info) -> Metadata {
    let number = |text: &str| text.parse::<f64>().ok();
    let limits = match (number(&info.lowest), number(&info.highest)) {
        (None, None) => None,
        (low, high) => Some((low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY))),
    };
    Metadata {
        form: form(info),
        description: if info.description == "No description" { String::new() } else { info.description.clone() },
        unit: if info.unit == "No unit" { String::new() } else { info.unit.clone() },
        limits,
        length: match info.format {
            SCALAR => 1,
            SPECTRUM => info.width,
            _ => info.width * info.height,
        },
        choices: if info.format == SCALAR { labels(info) } else { Vec::new() },
        writable: info.writable,
    }
}

fn form(info: &Info) -> Form {
    match (info.kind, info.format) {
        (kind::STRING, SCALAR) => Form::Text,
        (kind::STRING, _) => Form::Texts,
        (kind::STATE | kind::ENUM, SCALAR) => Form::Choice,
        (_, SCALAR) => Form::Number,
        (_, SPECTRUM) => Form::Vector,
        _ => Form::Image,
    }
}

/// What a command says of itself: its form is what it returns, and it is written if it takes or returns nothing else.
pub fn command_metadata(info: &Info) -> Metadata {
    let (kind, format) = element(if info.kind == kind::VOID { info.input } else { info.kind });
    let form = form(&Info { kind, format, ..Info::default() });
    let choices = if form == Form::Choice { STATES.map(Arc::from).to_vec() } else { Vec::new() };
    let writable = info.input != kind::VOID || info.kind == kind::VOID;
    Metadata { form, length: 1, choices, writable, ..Metadata::default() }
}

/// Kind and format of the entries of an argument.
fn element(argument: i32) -> (i32, i32) {
    match argument {
        kind::SHORTS => (kind::SHORT, SPECTRUM),
        kind::LONGS => (kind::LONG, SPECTRUM),
        kind::FLOATS => (kind::FLOAT, SPECTRUM),
        kind::DOUBLES => (kind::DOUBLE, SPECTRUM),
        kind::STRINGS => (kind::STRING, SPECTRUM),
        other => (other, SCALAR),
    }
}

/// How a value is sent to an attribute.
///
/// # Errors
/// Why it cannot be.
pub fn sent(value: &Value, info: &Info) -> Result<Sent, String> {
    if !info.writable {
        return Err("write refused: the attribute cannot be written".into());
    }
    let labels = labels(info);
    let sent = converted(value, info.kind, info.format, &labels)?;
    let room = |wanted: usize, there: usize| {
        if wanted > there {
            Err(format!("write refused: it holds at most {there} entries, not {wanted}"))
        } else {
            Ok(())
        }
    };
    if info.format != SCALAR {
        room(sent.width, info.width)?;
    }
    if info.format == IMAGE {
        room(sent.height, info.height)?;
    }
    Ok(sent)
}

/// How an argument is sent to a command.
///
/// # Errors
/// Why it cannot be.
pub fn argument(value: &Value, info: &Info) -> Result<Sent, String> {
    if info.input == kind::VOID {
        return Ok(Sent { kind: kind::VOID, ..Sent::default() });
    }
    let (kind, format) = element(info.input);
    let states = STATES.map(Arc::from);
    Ok(Sent { kind: info.input, ..converted(value, kind, format, if kind == kind::STATE { &states } else { &[] })? })
}

fn converted(value: &Value, kind: i32, format: i32, labels: &[Arc<str>]) -> Result<Sent, String> {
    let plain = Sent { kind, format, ..Sent::default() };
    let wrong = |takes: &str| Err(format!("write refused: it takes {takes}, not {}", value.form()));
    let (numbers, texts, width, height) = match (format, kind, value) {
        (SCALAR, kind::STRING, Value::Text(text)) => (vec![], vec![text.to_string()], 1, 0),
        (SCALAR, kind::STRING, _) => return wrong("a text"),
        (_, kind::STRING, Value::Texts(texts)) => {
            (vec![], texts.iter().map(ToString::to_string).collect(), texts.len(), 0)
        }
        (_, kind::STRING, _) => return wrong("a row of texts"),
        (SCALAR, kind::ENUM | kind::STATE, Value::Text(text) | Value::Choice { label: text, .. }) => {
            let place = labels.iter().position(|label| label == text);
            let place =
                place.ok_or_else(|| format!("write refused: it has no state `{text}`, only {}", labels.join(", ")))?;
            (vec![place as f64], vec![], 1, 0)
        }
        (SCALAR, kind::ENUM | kind::STATE, Value::Number(number)) => {
            let there = number.fract() == 0.0 && (0.0..labels.len() as f64).contains(number);
            if !there {
                return Err(format!(
                    "write refused: it has no state {number}, only 0 to {}",
                    labels.len().saturating_sub(1)
                ));
            }
            (vec![*number], vec![], 1, 0)
        }
        (SCALAR, _, Value::Number(number)) => (vec![*number], vec![], 1, 0),
        (SCALAR, _, Value::Choice { index, .. }) => (vec![f64::from(*index)], vec![], 1, 0),
        (SCALAR, _, _) => return wrong("a number"),
        (SPECTRUM, _, Value::Vector(entries)) => (entries.to_vec(), vec![], entries.len(), 0),
        (IMAGE, _, Value::Image { width, pixels }) => (pixels.to_vec(), vec![], *width, pixels.len() / (*width).max(1)),
        (SPECTRUM, _, _) => return wrong("a row of numbers"),
        _ => return wrong("an image"),
    };
    for number in &numbers {
        fits(*number, kind)?;
    }
    Ok(Sent { numbers, texts, width, height, ..plain })
}

/// Whether a number can be sent as this type.
fn fits(number: f64, kind: i32) -> Result<(), String> {
    let (lowest, highest) = match kind {
        kind::DOUBLE => return Ok(()),
        kind::FLOAT => (f64::from(f32::MIN), f64::from(f32::MAX)),
        kind::BOOLEAN => (0.0, 1.0),
        kind::SHORT | kind::ENUM => (f64::from(i16::MIN), f64::from(i16::MAX)),
        kind::USHORT => (0.0, f64::from(u16::MAX)),
        kind::UCHAR => (0.0, f64::from(u8::MAX)),
        kind::LONG => (f64::from(i32::MIN), f64::from(i32::MAX)),
        kind::ULONG => (0.0, f64::from(u32::MAX)),
        // whole numbers beyond 2^53 are no numbers of their own here
        kind::LONG64 => (-9_007_199_254_740_992.0, 9_007_199_254_740_992.0),
        kind::ULONG64 => (0.0, 9_007_199_254_740_992.0),
        kind::STATE => (0.0, STATES.len() as f64 - 1.0),
        _ => return Err("write refused: a value of its type cannot be written".into()),
    };
    if kind == kind::FLOAT && !number.is_finite() {
        return Ok(());
    }
    if !(lowest..=highest).contains(&number) {
        return Err(format!("write refused: {number} does not fit its type, which goes from {lowest} to {highest}"));
    }
    if kind != kind::FLOAT && number.fract() != 0.0 {
        return Err(format!("write refused: it takes whole numbers, not {number}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: i32, format: i32) -> Info {
        Info {
            kind,
            format,
            writable: true,
            width: 4,
            height: 2,
            labels: vec!["OFF".into(), "ON".into()],
            ..Info::default()
        }
    }

    #[test]
    fn numbers_are_checked_against_the_type() {
        let sent =
            |number: f64, kind: i32| sent(&Value::Number(number), &info(kind, SCALAR)).map(|sent| sent.numbers[0]);
        assert_eq!(sent(1.5, kind::DOUBLE), Ok(1.5));
        assert!(sent(1.5, kind::LONG).is_err_and(|why| why.contains("whole numbers")));
        assert!(sent(4e4, kind::SHORT).is_err_and(|why| why.contains("-32768 to 32767")));
        assert_eq!(sent(-32768.0, kind::SHORT), Ok(-32768.0));
        assert!(sent(1e300, kind::FLOAT).is_err());
        assert!(sent(f64::NAN, kind::LONG).is_err());
        assert_eq!(sent(1.0, kind::ENUM), Ok(1.0));
        assert!(sent(2.0, kind::ENUM).is_err_and(|why| why.contains("only 0 to 1")));
    }

    #[test]
    fn values_of_the_wrong_form() {
        let kinds = [
            (kind::DOUBLE, SCALAR, "a number"),
            (kind::DOUBLE, SPECTRUM, "a row of numbers"),
            (kind::DOUBLE, IMAGE, "an image"),
        ];
        for (kind, format, takes) in kinds {
            let why = sent(&"text".into(), &info(kind, format)).unwrap_err();
            assert_eq!(why, format!("write refused: it takes {takes}, not a text"));
        }
        let why = sent(&"HALF".into(), &info(kind::ENUM, SCALAR)).unwrap_err();
        assert_eq!(why, "write refused: it has no state `HALF`, only OFF, ON");
        let long = Value::Vector(vec![0.0; 5].into());
        assert_eq!(
            sent(&long, &info(kind::DOUBLE, SPECTRUM)).unwrap_err(),
            "write refused: it holds at most 4 entries, not 5"
        );
    }

    #[test]
    fn limits_and_units() {
        let said = |low: &str, high: &str| {
            metadata(&Info {
                lowest: low.into(),
                highest: high.into(),
                unit: "No unit".into(),
                ..info(kind::DOUBLE, SCALAR)
            })
        };
        assert_eq!(said("Not specified", "Not specified").limits, None);
        assert_eq!(said("-1", "2.5").limits, Some((-1.0, 2.5)));
        assert_eq!(said("0", "Not specified").limits, Some((0.0, f64::INFINITY)));
        assert_eq!(said("0", "1").unit, "");
    }
}
