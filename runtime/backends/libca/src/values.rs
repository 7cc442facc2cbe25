//! Between what travels over Channel Access and what the control crate knows.

use epics_ca::error::{Error, ErrorKind};
use epics_ca::request::{ReadRequest, Request, Time as Sample};
use epics_ca::types::{
    Alarm, AlarmCondition, AlarmSeverity, EpicsEnum, EpicsString, EpicsTimeStamp, Field, FieldId, RequestId,
    StaticCString,
};
use fodo_control::{Form, Reading, Time, Validity, Value};
use std::ffi::CStr;
use std::sync::Arc;

/// Seconds from 1970 to 1990, where the time of EPICS begins.
const EPICS_BEGIN: i64 = 631_152_000;

/// What a channel is.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its own type.
    pub kind: FieldId,
    /// How many entries it holds at most.
    pub length: usize,
    /// Names of its states.
    pub choices: Vec<Arc<str>>,
}

impl Shape {
    pub fn form(&self) -> Form {
        match (self.kind, self.length > 1) {
            (FieldId::String, false) | (FieldId::Char, true) => Form::Text,
            (FieldId::String, true) => Form::Texts,
            (FieldId::Enum, false) => Form::Choice,
            (_, false) => Form::Number,
            (_, true) => Form::Vector,
        }
    }
}

/// A type that samples are asked for in: the server turns all numbers into `f64`.
pub trait Item: Field {
    /// The value; `items` may be fewer than the channel can hold.
    fn value(items: &[Self], shape: &Shape) -> Option<Value>;
}

impl Item for f64 {
    fn value(items: &[f64], shape: &Shape) -> Option<Value> {
        if shape.length > 1 { Some(Value::Vector(items.into())) } else { items.first().copied().map(Value::Number) }
    }
}

impl Item for u8 {
    /// A row of characters is a long text: that is how EPICS carries those over 39 characters.
    fn value(items: &[u8], _: &Shape) -> Option<Value> {
        let end = items.iter().position(|byte| *byte == 0).unwrap_or(items.len());
        Some(Value::Text(String::from_utf8_lossy(&items[..end]).into()))
    }
}

impl Item for EpicsEnum {
    fn value(items: &[EpicsEnum], shape: &Shape) -> Option<Value> {
        if shape.length > 1 {
            return Some(Value::Vector(items.iter().map(|item| f64::from(item.0)).collect()));
        }
        let index = items.first()?.0;
        let label = shape.choices.get(usize::from(index)).cloned().unwrap_or_else(|| index.to_string().into());
        Some(Value::Choice { index: u32::from(index), label })
    }
}

impl Item for EpicsString {
    fn value(items: &[EpicsString], shape: &Shape) -> Option<Value> {
        if shape.length > 1 {
            Some(Value::Texts(items.iter().map(|item| text(item)).collect()))
        } else {
            items.first().map(|item| Value::Text(text(item)))
        }
    }
}

/// What a sample says.
pub fn reading<T: Item>(sample: &Sample<[T]>, shape: &Shape) -> Reading {
    let time = time(sample.stamp);
    let Some(value) = T::value(&sample.value, shape) else {
        return Reading::invalid(Value::Number(f64::NAN), time, "the server sent nothing");
    };
    let empty = matches!(&value, Value::Vector(entries) if entries.is_empty());
    match validity(sample.alarm) {
        Validity::Good | Validity::Warning(_) | Validity::Alarm(_) if empty => {
            Reading::invalid(value, time, "the array is empty")
        }
        validity => Reading { value, time, validity, shot: None },
    }
}

/// The server's time stamp.
fn time(stamp: EpicsTimeStamp) -> Time {
    Time((i64::from(stamp.sec()) + EPICS_BEGIN) * 1_000_000_000 + i64::from(stamp.nsec()))
}

/// Whether a value with this alarm may be used.
fn validity(alarm: Alarm) -> Validity {
    let status = match alarm.condition {
        AlarmCondition::None => "NO_ALARM".into(),
        AlarmCondition::BadSub => "BAD_SUB".into(),
        AlarmCondition::ReadAccess => "READ_ACCESS".into(),
        AlarmCondition::WriteAccess => "WRITE_ACCESS".into(),
        other => format!("{other:?}").to_uppercase(),
    };
    match alarm.severity {
        AlarmSeverity::None => Validity::Good,
        AlarmSeverity::Minor => Validity::Warning(format!("{status} MINOR")),
        AlarmSeverity::Major => Validity::Alarm(format!("{status} MAJOR")),
        AlarmSeverity::Invalid => Validity::Invalid(format!("the server says {status} INVALID")),
    }
}

pub fn text(text: &CStr) -> Arc<str> {
    text.to_string_lossy().into()
}

/// A text of EPICS, if it is short enough.
pub fn short(text: &str) -> Result<EpicsString, String> {
    let ended = std::ffi::CString::new(text).map_err(|_| "write refused: the text has a zero in it".to_string())?;
    EpicsString::from_cstr(&ended).ok_or_else(|| {
        format!("write refused: the channel takes {} bytes of text, not {}", EpicsString::MAX_LEN, text.len())
    })
}

/// Why a request came to nothing, in a few words, and whether the channel is gone.
pub fn reason(error: Error) -> (String, bool) {
    match error.kind {
        ErrorKind::Disconn | ErrorKind::Chandestroy => ("disconnected".into(), true),
        ErrorKind::Nowtaccess => ("the server gives this client no right to write".into(), false),
        ErrorKind::Nordaccess => ("the server gives this client no right to read".into(), false),
        ErrorKind::Putfail => ("the server did not take the value".into(), false),
        other => (format!("libca says {other:?}"), false),
    }
}

const LABELS: usize = epics_ca::request::MAX_ENUM_STATES;
const LABEL: usize = epics_ca::request::MAX_ENUM_STRING_SIZE;

/// The states of a channel (`DBR_CTRL_ENUM`): the type of epics-ca asks for another request than the one it reads.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct States {
    _alarm: [u16; 2],
    count: u16,
    labels: [StaticCString<LABEL>; LABELS],
    _value: u16,
}

impl States {
    pub fn labels(&self) -> Vec<Arc<str>> {
        self.labels.iter().take(usize::from(self.count)).map(|label| text(label)).collect()
    }
}

// SAFETY: the fields are those of `dbr_ctrl_enum` in db_access.h, and only what was asked for under its number is read
// as one (`size` below is checked by the compiler).
#[allow(unsafe_code)]
unsafe impl Request for States {
    type Raw = epics_ca_sys::dbr_ctrl_enum;
    const ID: RequestId = RequestId::Ctrl(FieldId::Enum);

    fn len(&self) -> usize {
        1
    }

    unsafe fn from_ptr<'a>(sent: *const u8, request: RequestId, count: usize) -> Result<&'a Self, Error> {
        if request != Self::ID || count != 1 {
            return Err(epics_ca::error::BADTYPE);
        }
        // SAFETY: libca gives a whole `dbr_ctrl_enum`, aligned to eight bytes, that lives until the callback returns
        Ok(unsafe { &*sent.cast() })
    }

    fn clone_boxed(&self) -> Box<Self> {
        Box::new(*self)
    }
}

impl ReadRequest for States {}

const _: () = assert!(size_of::<States>() == size_of::<epics_ca_sys::dbr_ctrl_enum>());
