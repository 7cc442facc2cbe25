//! Between the structures that travel over PV Access and what the control crate knows.

use epics_pva_rs::error::PvaError;
use epics_pva_rs::nt::nd_array::{
    NdAlarm, NdArrayBuffer, NdCodec, NdDimension, NdTimeStamp, NtNdArray, nt_nd_array_value,
};
use epics_pva_rs::pvdata::{PvField, PvStructure, ScalarValue, TypedScalarArray};
pub use fodo_control::span;
use fodo_control::{Metadata, Reading, Time, Validity, Value};
use std::sync::Arc;

/// What a channel's structure says; `choices` the names of its states, where the structure lacks them.
pub fn reading(field: &PvField, choices: &[Arc<str>]) -> Reading {
    let PvField::Structure(top) = field else {
        // not a structure: the bare value, without time and alarm
        let value = scalar_or_row(field, false);
        return match value {
            Some(value) => Reading::good(value, Time::wall()),
            None => Reading::invalid(Value::Number(f64::NAN), Time::wall(), "the server sent no value"),
        };
    };
    let (time, shot) = stamp(top);
    let value = match value(top, choices) {
        Ok(value) => value,
        Err(why) => return Reading { shot, ..Reading::invalid(Value::Number(f64::NAN), time, why) },
    };
    let empty = matches!(&value, Value::Vector(entries) if entries.is_empty());
    let validity = match validity(top) {
        Validity::Invalid(why) => Validity::Invalid(why),
        _ if empty => Validity::Invalid("the array is empty".into()),
        other => other,
    };
    Reading { value, time, validity, shot }
}

/// What the control system says about a channel, as far as PV Access says it.
pub fn metadata(field: &PvField, choices: &[Arc<str>]) -> Metadata {
    let value = reading(field, choices).value;
    let length = match &value {
        Value::Vector(entries) => entries.len(),
        Value::Image { pixels, .. } => pixels.len(),
        Value::Texts(texts) => texts.len(),
        Value::Table(columns) => columns.first().map_or(0, |(_, column)| column_length(column)),
        _ => 1,
    };
    let part = |name| structure(field, name);
    let limit = |name| part("control").and_then(|control| number_of(control, name));
    let limits = limit("limitLow").zip(limit("limitHigh")).filter(|(low, high)| low < high);
    Metadata {
        form: value.form(),
        description: part("display").and_then(|display| text_of(display, "description")).unwrap_or_default(),
        unit: part("display").and_then(|display| text_of(display, "units")).unwrap_or_default(),
        limits,
        length,
        choices: choices.to_vec(),
        writable: true,
    }
}

/// The names of a channel's states; none if it has no states.
pub fn choices(field: &PvField) -> Option<Arc<[Arc<str>]>> {
    let state = structure(field, "value")?;
    texts(state.get_field("choices")?).map(Arc::from)
}

/// Puts value, alarm and time of a reading into the structure in which it is served.
pub fn fill(structure: &mut PvField, reading: &Reading) {
    let int = |number| PvField::Scalar(ScalarValue::Int(number));
    let (severity, status, why) = alarm(reading);
    put(structure, "alarm", "severity", int(severity));
    put(structure, "alarm", "status", int(status));
    put(structure, "alarm", "message", PvField::Scalar(ScalarValue::String(why.into())));
    let (seconds, nanoseconds, tag) = time_stamp(reading);
    put(structure, "timeStamp", "secondsPastEpoch", PvField::Scalar(ScalarValue::Long(seconds)));
    put(structure, "timeStamp", "nanoseconds", int(nanoseconds));
    put(structure, "timeStamp", "userTag", int(tag));
    let row = |entries: &[f64]| PvField::ScalarArrayTyped(TypedScalarArray::Double(entries.to_vec().into()));
    let value = match &reading.value {
        Value::Vector(entries) => row(entries),
        Value::Image { pixels, .. } => {
            let buffer = NdArrayBuffer::Double(pixels.to_vec().into());
            PvField::Union {
                selector: buffer.selector(),
                variant_name: buffer.variant_name().to_string(),
                value: Box::new(buffer.into_scalar_array()),
            }
        }
        Value::Table(columns) => {
            let mut value = PvStructure::new("");
            let column = |(name, column): &(Arc<str>, Value)| (name.to_string(), row(column.entries()));
            value.fields = columns.iter().map(column).collect();
            PvField::Structure(value)
        }
        other => PvField::Scalar(ScalarValue::Double(other.number().unwrap_or(f64::NAN))),
    };
    if let PvField::Structure(top) = structure {
        top.set("value", value);
    }
}

/// The structure in which images of this size are served (NTNDArray).
pub fn image_of(width: usize, height: usize) -> PvField {
    let dimension =
        |size: usize| NdDimension { size: size as i32, full_size: size as i32, binning: 1, ..NdDimension::default() };
    let bytes = (8 * width * height) as i64;
    nt_nd_array_value(&NtNdArray {
        value: NdArrayBuffer::Double(vec![0.0; width * height].into()),
        codec: NdCodec::default(),
        compressed_size: bytes,
        uncompressed_size: bytes,
        unique_id: 0,
        data_time_stamp: NdTimeStamp::default(),
        alarm: NdAlarm::default(),
        time_stamp: NdTimeStamp::default(),
        dimension: vec![dimension(width), dimension(height)],
        attribute: Vec::new(),
    })
}

/// Severity, status and message of a reading's alarm.
pub fn alarm(reading: &Reading) -> (i32, i32, &str) {
    const DEVICE: i32 = 1;
    match &reading.validity {
        Validity::Good => (0, 0, ""),
        Validity::Warning(why) => (1, DEVICE, why),
        Validity::Alarm(why) => (2, DEVICE, why),
        Validity::Invalid(why) => (3, DEVICE, why),
    }
}

/// Seconds since 1970, nanoseconds and user tag of a reading's time stamp.
pub fn time_stamp(reading: &Reading) -> (i64, i32, i32) {
    const SECOND: i64 = 1_000_000_000;
    let tag = reading.shot.unwrap_or_default() as i32;
    (reading.time.0.div_euclid(SECOND), reading.time.0.rem_euclid(SECOND) as i32, tag)
}

/// Puts a value into a part of a structure that has such a part.
pub fn put(structure: &mut PvField, part: &str, name: &str, value: PvField) {
    let PvField::Structure(top) = structure else { return };
    if let Some(PvField::Structure(part)) = top.get_field_mut(part) {
        part.set(name, value);
    }
}

fn structure<'a>(field: &'a PvField, name: &str) -> Option<&'a PvStructure> {
    let PvField::Structure(top) = field else { return None };
    part(top, name)
}

fn part<'a>(top: &'a PvStructure, name: &str) -> Option<&'a PvStructure> {
    match top.get_field(name) {
        Some(PvField::Structure(part)) => Some(part),
        _ => None,
    }
}

fn number_of(part: &PvStructure, name: &str) -> Option<f64> {
    match part.get_field(name) {
        Some(PvField::Scalar(value)) => number(value),
        _ => None,
    }
}

fn text_of(part: &PvStructure, name: &str) -> Option<String> {
    match part.get_field(name) {
        Some(PvField::Scalar(ScalarValue::String(text))) => Some(text.as_str_lossy().into_owned()),
        _ => None,
    }
}

/// The time of a sample, and the pulse it belongs to if the server counts them.
fn stamp(top: &PvStructure) -> (Time, Option<u64>) {
    let Some(stamp) = part(top, "timeStamp") else { return (Time::wall(), None) };
    let whole = |name| match stamp.get_field(name) {
        Some(PvField::Scalar(ScalarValue::Long(number))) => *number,
        Some(PvField::Scalar(ScalarValue::Int(number))) => i64::from(*number),
        Some(PvField::Scalar(other)) => number(other).unwrap_or_default() as i64,
        _ => 0,
    };
    let time = Time(whole("secondsPastEpoch").saturating_mul(1_000_000_000).saturating_add(whole("nanoseconds")));
    let tag = whole("userTag");
    // 32 bits on the wire, counted as unsigned by who counts
    (time, (tag != 0).then_some(tag as u64 & 0xffff_ffff))
}

/// Whether a value with this alarm may be used.
fn validity(top: &PvStructure) -> Validity {
    let Some(alarm) = part(top, "alarm") else { return Validity::Good };
    let severity = number_of(alarm, "severity").unwrap_or_default() as i64;
    let said = text_of(alarm, "message").filter(|text| !text.is_empty() && text != "NO_ALARM");
    let with = |word: &str| said.as_ref().map_or_else(|| word.to_owned(), |text| format!("{text} {word}"));
    match severity {
        0 => Validity::Good,
        1 => Validity::Warning(with("MINOR")),
        2 => Validity::Alarm(with("MAJOR")),
        3 => Validity::Invalid(format!("the server says {}", with("INVALID"))),
        _ => Validity::Invalid(format!("the server says {}", with("UNDEFINED"))),
    }
}

fn value(top: &PvStructure, choices: &[Arc<str>]) -> Result<Value, String> {
    let nothing = || format!("a structure `{}` has no value that Fodo can read", top.struct_id);
    match top.get_field("value").ok_or_else(nothing)? {
        PvField::Structure(state) if state.get_field("index").is_some() => Ok(choice(state, choices)),
        PvField::Structure(columns) => table(top, columns),
        PvField::Union { value, .. } => image(top, value),
        field => scalar_or_row(field, is_text(top)).ok_or_else(nothing),
    }
}

fn choice(state: &PvStructure, choices: &[Arc<str>]) -> Value {
    let index = number_of(state, "index").unwrap_or_default().max(0.0) as u32;
    let label = choices.get(index as usize).cloned().unwrap_or_else(|| index.to_string().into());
    Value::Choice { index, label }
}

/// Named columns; a column that is no row of numbers or texts makes the table unreadable.
fn table(top: &PvStructure, columns: &PvStructure) -> Result<Value, String> {
    let column = |(name, field): &(String, PvField)| {
        let column = scalar_or_row(field, false);
        let column = column.ok_or_else(|| format!("the column `{name}` of `{}` cannot be read", top.struct_id))?;
        Ok((Arc::from(name.as_str()), column))
    };
    let columns: Vec<(Arc<str>, Value)> = columns.fields.iter().map(column).collect::<Result<_, String>>()?;
    let lengths: Vec<usize> = columns.iter().map(|(_, column)| column_length(column)).collect();
    match lengths.iter().all(|length| *length == lengths[0]) {
        true => Ok(Value::Table(columns.into())),
        false => Err(format!("the columns of the table have different lengths: {lengths:?}")),
    }
}

fn column_length(column: &Value) -> usize {
    match column {
        Value::Texts(texts) => texts.len(),
        column => column.entries().len(),
    }
}

/// An uncompressed image of two dimensions.
fn image(top: &PvStructure, pixels: &PvField) -> Result<Value, String> {
    let codec = part(top, "codec").and_then(|codec| text_of(codec, "name")).unwrap_or_default();
    if !codec.is_empty() {
        return Err(format!("the image is compressed with `{codec}`, which Fodo cannot read"));
    }
    let Some(PvField::StructureArray(dimensions)) = top.get_field("dimension") else {
        return Err("the image does not say how wide it is".into());
    };
    let size = |dimension: &Option<PvStructure>| dimension.as_ref().and_then(|one| number_of(one, "size"));
    let sizes: Vec<usize> = dimensions.iter().filter_map(size).map(|size| size as usize).collect();
    let Some(Value::Vector(pixels)) = scalar_or_row(pixels, false) else { return Err("there is no image yet".into()) };
    match sizes[..] {
        [width, height] if width > 0 && width * height == pixels.len() => Ok(Value::Image { width, pixels }),
        _ => Err(format!("an image of the dimensions {sizes:?} with {} numbers cannot be read", pixels.len())),
    }
}

/// Whether an array of bytes is meant as a text.
fn is_text(top: &PvStructure) -> bool {
    let form = part(top, "display").and_then(|display| part(display, "form"));
    let Some(form) = form else { return false };
    let index = number_of(form, "index").unwrap_or_default() as usize;
    let names = form.get_field("choices").and_then(texts).unwrap_or_default();
    names.get(index).is_some_and(|name| name.as_ref() == "String")
}

fn scalar_or_row(field: &PvField, bytes_are_text: bool) -> Option<Value> {
    match field {
        PvField::Scalar(ScalarValue::String(text)) => Some(Value::Text(text.as_str_lossy().into())),
        PvField::Scalar(scalar) => number(scalar).map(Value::Number),
        PvField::ScalarArrayTyped(array) => Some(row(array, bytes_are_text)),
        PvField::ScalarArray(entries) => match entries.first() {
            Some(ScalarValue::String(_)) => texts(field).map(|texts| Value::Texts(texts.into())),
            _ => entries.iter().map(number).collect::<Option<_>>().map(Value::Vector),
        },
        _ => None,
    }
}

fn row(array: &TypedScalarArray, bytes_are_text: bool) -> Value {
    use TypedScalarArray as A;
    fn numbers<T: Copy>(entries: &[T], number: impl Fn(T) -> f64) -> Value {
        Value::Vector(entries.iter().map(|entry| number(*entry)).collect())
    }
    match array {
        A::Byte(bytes) if bytes_are_text => text(bytes.iter().map(|byte| *byte as u8)),
        A::UByte(bytes) if bytes_are_text => text(bytes.iter().copied()),
        A::Double(entries) => Value::Vector(entries.as_ref().into()),
        A::Float(entries) => numbers(entries, f64::from),
        A::Byte(entries) => numbers(entries, f64::from),
        A::UByte(entries) => numbers(entries, f64::from),
        A::Short(entries) => numbers(entries, f64::from),
        A::UShort(entries) => numbers(entries, f64::from),
        A::Int(entries) => numbers(entries, f64::from),
        A::UInt(entries) => numbers(entries, f64::from),
        A::Long(entries) => numbers(entries, |entry| entry as f64),
        A::ULong(entries) => numbers(entries, |entry| entry as f64),
        A::Boolean(entries) => numbers(entries, |entry| f64::from(u8::from(entry))),
        A::String(entries) => Value::Texts(entries.iter().map(|text| Arc::from(&*text.as_str_lossy())).collect()),
    }
}

/// Bytes up to the first zero.
fn text(bytes: impl Iterator<Item = u8>) -> Value {
    let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    Value::Text(String::from_utf8_lossy(&bytes).into())
}

fn texts(field: &PvField) -> Option<Vec<Arc<str>>> {
    match field {
        PvField::ScalarArrayTyped(TypedScalarArray::String(texts)) => {
            Some(texts.iter().map(|text| Arc::from(&*text.as_str_lossy())).collect())
        }
        PvField::ScalarArray(texts) => texts
            .iter()
            .map(|text| match text {
                ScalarValue::String(text) => Some(Arc::from(&*text.as_str_lossy())),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// The number of a scalar; none of a text.
fn number(value: &ScalarValue) -> Option<f64> {
    Some(match value {
        ScalarValue::Double(number) => *number,
        ScalarValue::Float(number) => f64::from(*number),
        ScalarValue::Byte(number) => f64::from(*number),
        ScalarValue::UByte(number) => f64::from(*number),
        ScalarValue::Short(number) => f64::from(*number),
        ScalarValue::UShort(number) => f64::from(*number),
        ScalarValue::Int(number) => f64::from(*number),
        ScalarValue::UInt(number) => f64::from(*number),
        ScalarValue::Long(number) => *number as f64,
        ScalarValue::ULong(number) => *number as f64,
        ScalarValue::Boolean(yes) => f64::from(u8::from(*yes)),
        ScalarValue::String(_) => return None,
    })
}

/// Why a request came to nothing, in a few words, and whether the channel is gone.
pub fn reason(error: &PvaError) -> (String, bool) {
    match error {
        PvaError::Disconnected | PvaError::Io(_) | PvaError::ConnectionRefused | PvaError::Finished => {
            ("disconnected".into(), true)
        }
        PvaError::RemoteError(status) => match status.message().map(str::trim).unwrap_or_default() {
            "" => ("the server gives no reason".into(), false),
            said => (said.to_owned(), false),
        },
        other => (other.to_string(), false),
    }
}
