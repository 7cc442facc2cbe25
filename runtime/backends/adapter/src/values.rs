//! Values and answers between the wire and the control crate.

use crate::wire::{Answer, Form, Meta, Number, Problem};
use fodo_control::{Channel, Fault, Metadata, Reading, Time, Validity, Value};

/// A value for the wire.
pub fn to_wire(value: &Value) -> Form {
    let numbers = |entries: &[f64]| entries.iter().copied().map(Number).collect();
    match value {
        Value::Number(number) => Form::Number(Number(*number)),
        Value::Vector(entries) => Form::Vector(numbers(entries)),
        Value::Text(text) => Form::Text(text.to_string()),
        Value::Texts(texts) => Form::Texts(texts.iter().map(|text| text.to_string()).collect()),
        Value::Choice { index, label } => Form::Choice { index: *index, label: label.to_string() },
        Value::Image { width, pixels } => Form::Image { width: *width, pixels: numbers(pixels) },
        Value::Table(columns) => {
            Form::Table(columns.iter().map(|(name, column)| (name.to_string(), to_wire(column))).collect())
        }
    }
}

/// A value from the wire.
fn from_wire(form: Form) -> Value {
    let numbers = |entries: Vec<Number>| entries.into_iter().map(|number| number.0).collect();
    match form {
        Form::Number(number) => Value::Number(number.0),
        Form::Vector(entries) => Value::Vector(numbers(entries)),
        Form::Text(text) => Value::Text(text.into()),
        Form::Texts(texts) => Value::Texts(texts.into_iter().map(Into::into).collect()),
        Form::Choice { index, label } => Value::Choice { index, label: label.into() },
        Form::Image { width, pixels } => Value::Image { width, pixels: numbers(pixels) },
        Form::Table(columns) => {
            Value::Table(columns.into_iter().map(|(name, column)| (name.into(), from_wire(column))).collect())
        }
    }
}

/// A reading, or why there is none.
pub fn reading(channel: &Channel, answer: Answer) -> Result<Reading, Fault> {
    if let Some(problem) = &answer.error {
        return Err(fault(channel, problem, ""));
    }
    let broken = |what: &str| Err(Fault::refused(channel, format!("the adapter breaks the protocol: {what}")));
    let Some(form) = answer.value else { return broken("a reading without `value`") };
    let Some(time) = answer.time else { return broken("a reading without `time`") };
    if let Some(what) = unsound(&form) {
        return broken(what);
    }
    let why = answer.why.unwrap_or_else(|| "the adapter does not say why".into());
    let validity = match answer.validity.as_deref() {
        None | Some("good") => Validity::Good,
        Some("warning") => Validity::Warning(why),
        Some("alarm") => Validity::Alarm(why),
        Some("invalid") => Validity::Invalid(why),
        Some(_) => return broken("`validity` is none of good, warning, alarm, invalid"),
    };
    Ok(Reading { value: from_wire(form), time: Time(time.0), validity, shot: answer.shot })
}

fn unsound(form: &Form) -> Option<&'static str> {
    let length = |column: &Form| match column {
        Form::Vector(entries) => Some(entries.len()),
        Form::Texts(texts) => Some(texts.len()),
        _ => None,
    };
    match form {
        Form::Image { width, pixels } if *width == 0 || pixels.len() % width != 0 => {
            Some("an image whose pixels do not fill its rows")
        }
        Form::Table(columns) => {
            let first = columns.first().and_then(|(_, column)| length(column));
            let equal = columns.iter().all(|(_, column)| length(column).is_some() && length(column) == first);
            (!equal).then_some("a table whose columns are not rows of equal length")
        }
        _ => None,
    }
}

/// Whether a write was done.
pub fn done(channel: &Channel, answer: &Answer) -> Result<(), Fault> {
    match &answer.error {
        None => Ok(()),
        Some(problem) if problem.code == "timeout" => Err(fault(channel, problem, "write sent, not done: ")),
        Some(problem) if problem.code == "absent" => Err(fault(channel, problem, "")),
        Some(problem) => Err(fault(channel, problem, "write refused: ")),
    }
}

/// What is known about a channel.
pub fn metadata(channel: &Channel, answer: Answer, can_write: bool) -> Result<Metadata, Fault> {
    if let Some(problem) = &answer.error {
        return Err(fault(channel, problem, ""));
    }
    let Some(Meta { form, unit, limits, length, choices, writable }) = answer.meta else {
        return Err(Fault::refused(channel, "the adapter breaks the protocol: an answer without `meta`"));
    };
    Ok(Metadata {
        form,
        // the protocol carries none
        description: String::new(),
        unit,
        limits: limits.filter(|(low, high)| low < high),
        length: length.unwrap_or(1),
        choices: choices.into_iter().map(Into::into).collect(),
        writable: can_write && writable.unwrap_or(true),
    })
}

/// What a reading tells of a channel whose adapter has no `meta`.
pub fn guessed(reading: &Reading, can_write: bool) -> Metadata {
    let length = match &reading.value {
        Value::Texts(texts) => texts.len(),
        Value::Table(columns) => columns.len(),
        value => value.entries().len().max(1),
    };
    Metadata { form: reading.value.form(), length, writable: can_write, ..Metadata::default() }
}

/// An error of the protocol as a fault.
pub fn fault(channel: &Channel, problem: &Problem, before: &str) -> Fault {
    let Problem { code, text, number } = problem;
    let text = if text.is_empty() { code } else { text };
    let own = number.map(|number| format!(" (error {number})")).unwrap_or_default();
    let reason = format!("{before}{text}{own}");
    Fault { channel: channel.clone(), reason, absent: code == "absent" }
}
