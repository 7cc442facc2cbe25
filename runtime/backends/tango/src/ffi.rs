//! The C interface of `cpp/shim.h`, made safe.
#![allow(unsafe_code, reason = "the only way to a C++ library; everything unsafe of this crate stands in this file")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null};
use std::slice;

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The device said no.
    Refused(String),
    /// Nobody there.
    Absent(String),
    /// No answer in time.
    TimedOut(String),
    /// The attribute sends no events.
    NoEvents(String),
}

/// Type codes of libtango (`CmdArgType`).
pub mod kind {
    #![allow(missing_docs)]
    pub const VOID: i32 = 0;
    pub const BOOLEAN: i32 = 1;
    pub const SHORT: i32 = 2;
    pub const LONG: i32 = 3;
    pub const FLOAT: i32 = 4;
    pub const DOUBLE: i32 = 5;
    pub const USHORT: i32 = 6;
    pub const ULONG: i32 = 7;
    pub const STRING: i32 = 8;
    pub const SHORTS: i32 = 10;
    pub const LONGS: i32 = 11;
    pub const FLOATS: i32 = 12;
    pub const DOUBLES: i32 = 13;
    pub const STRINGS: i32 = 16;
    pub const STATE: i32 = 19;
    pub const UCHAR: i32 = 22;
    pub const LONG64: i32 = 23;
    pub const ULONG64: i32 = 24;
    pub const ENUM: i32 = 29;
}

/// Qualities of libtango (`AttrQuality`).
pub mod quality {
    #![allow(missing_docs)]
    pub const VALID: i32 = 0;
    pub const INVALID: i32 = 1;
    pub const ALARM: i32 = 2;
    pub const CHANGING: i32 = 3;
    pub const WARNING: i32 = 4;
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub kind: i32,
    pub format: i32,
    pub quality: i32,
    pub time: i64,
    pub width: usize,
    pub numbers: Vec<f64>,
    pub texts: Vec<String>,
}

/// A value as it is sent: its type and range have been looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    pub kind: i32,
    pub format: i32,
    pub width: usize,
    pub height: usize,
    pub numbers: Vec<f64>,
    pub texts: Vec<String>,
}

/// What a device says of an attribute or a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Info {
    pub name: String,
    pub unit: String,
    pub description: String,
    pub lowest: String,
    pub highest: String,
    pub kind: i32,
    pub input: i32,
    pub format: i32,
    pub writable: bool,
    pub width: usize,
    pub height: usize,
    pub labels: Vec<String>,
}

#[repr(C)]
struct RawSample {
    outcome: i32,
    text: *const c_char,
    kind: i32,
    format: i32,
    quality: i32,
    time: i64,
    width: usize,
    height: usize,
    numbers: *const f64,
    number_count: usize,
    texts: *const *const c_char,
    text_count: usize,
}

#[repr(C)]
struct RawValue {
    name: *const c_char,
    kind: i32,
    format: i32,
    width: usize,
    height: usize,
    numbers: *const f64,
    number_count: usize,
    texts: *const *const c_char,
    text_count: usize,
}

#[repr(C)]
struct RawInfo {
    name: *const c_char,
    unit: *const c_char,
    description: *const c_char,
    lowest: *const c_char,
    highest: *const c_char,
    kind: i32,
    input: i32,
    format: i32,
    writable: i32,
    width: usize,
    height: usize,
    labels: *const *const c_char,
    label_count: usize,
}

#[repr(C)]
struct RawServed {
    device: *const c_char,
    texts: [*const c_char; 11],
    length: usize,
    height: usize,
    spectrum: bool,
    writable: bool,
}

#[repr(C)]
struct RawHeld {
    numbers: *const f64,
    number_count: usize,
    quality: i32,
    time: i64,
}

#[repr(C)]
struct RawDevice {
    _private: [u8; 0],
}

#[repr(C)]
struct RawSubscription {
    _private: [u8; 0],
}

type SampleSink = unsafe extern "C" fn(*mut c_void, usize, *const RawSample);
type InfoSink = unsafe extern "C" fn(*mut c_void, *const RawInfo);
type AnswerSink = unsafe extern "C" fn(*mut c_void, usize, i32, *const c_char);
type EventSink = unsafe extern "C" fn(u64, *const RawSample);
type HeldSink = unsafe extern "C" fn(*mut c_void, *const RawHeld);
type ServedRead = unsafe extern "C" fn(usize, *mut c_void, HeldSink);
type Refuse = unsafe extern "C" fn(*mut c_void, *const c_char);
type ServedWrite = unsafe extern "C" fn(usize, *const f64, usize, *mut c_void, Refuse);

unsafe extern "C" {
    fn tango_device_open(name: *const c_char, context: *mut c_void, answer: AnswerSink) -> *mut RawDevice;
    fn tango_device_close(device: *mut RawDevice);
    fn tango_device_timeout(device: *mut RawDevice, milliseconds: i32);
    fn tango_device_read(
        device: *mut RawDevice,
        names: *const *const c_char,
        count: usize,
        direct: bool,
        context: *mut c_void,
        sink: SampleSink,
    );
    fn tango_device_write(
        device: *mut RawDevice,
        values: *const RawValue,
        count: usize,
        context: *mut c_void,
        answer: AnswerSink,
    );
    fn tango_device_attributes(device: *mut RawDevice, context: *mut c_void, sink: InfoSink, answer: AnswerSink);
    fn tango_device_commands(device: *mut RawDevice, context: *mut c_void, sink: InfoSink, answer: AnswerSink);
    fn tango_device_command(
        device: *mut RawDevice,
        name: *const c_char,
        argument: *const RawValue,
        context: *mut c_void,
        sink: SampleSink,
    );
    fn tango_device_property(device: *mut RawDevice, name: *const c_char, context: *mut c_void, sink: SampleSink);
    fn tango_subscribe(
        device: *mut RawDevice,
        attribute: *const c_char,
        id: u64,
        sink: EventSink,
        context: *mut c_void,
        answer: AnswerSink,
    ) -> *mut RawSubscription;
    fn tango_unsubscribe(device: *mut RawDevice, subscription: *mut RawSubscription);
    fn tango_serve(
        served: *const RawServed,
        count: usize,
        endpoint: *const c_char,
        instance: *const c_char,
        read: ServedRead,
        write: ServedWrite,
        ready: extern "C" fn(),
        context: *mut c_void,
        answer: AnswerSink,
    );
    fn tango_serve_event(place: usize, held: *const RawHeld);
    fn tango_exit(code: i32);
}

/// A text for C; one with a zero inside ends there.
fn c_text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

fn c_texts(texts: &[String]) -> (Vec<CString>, Vec<*const c_char>) {
    let owned: Vec<CString> = texts.iter().map(|text| c_text(text)).collect();
    let pointers = owned.iter().map(|text| text.as_ptr()).collect();
    (owned, pointers)
}

/// # Safety
/// `text` is null or points to a text that ends with a zero.
unsafe fn own_text(text: *const c_char) -> String {
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}

/// # Safety
/// `start` is null or points to `count` things.
unsafe fn own<'a, T>(start: *const T, count: usize) -> &'a [T] {
    if start.is_null() { &[] } else { unsafe { slice::from_raw_parts(start, count) } }
}

fn ended(outcome: i32, text: String) -> Result<(), Failure> {
    match outcome {
        0 => Ok(()),
        2 => Err(Failure::Absent(text)),
        3 => Err(Failure::TimedOut(text)),
        4 => Err(Failure::NoEvents(text)),
        _ => Err(Failure::Refused(text)),
    }
}

/// # Safety
/// `raw` is what the shim hands out.
unsafe fn sample(raw: *const RawSample) -> Result<Sample, Failure> {
    unsafe {
        let raw = &*raw;
        ended(raw.outcome, own_text(raw.text))?;
        Ok(Sample {
            kind: raw.kind,
            format: raw.format,
            quality: raw.quality,
            time: raw.time,
            width: raw.width,
            numbers: own(raw.numbers, raw.number_count).to_vec(),
            texts: own(raw.texts, raw.text_count).iter().map(|text| own_text(*text)).collect(),
        })
    }
}

unsafe extern "C" fn take_sample(context: *mut c_void, place: usize, raw: *const RawSample) {
    let got = unsafe { &mut *context.cast::<Vec<Option<Result<Sample, Failure>>>>() };
    if let Some(here) = got.get_mut(place) {
        *here = Some(unsafe { sample(raw) });
    }
}

unsafe extern "C" fn take_answer(context: *mut c_void, place: usize, outcome: i32, text: *const c_char) {
    let got = unsafe { &mut *context.cast::<Vec<Option<Result<(), Failure>>>>() };
    if let Some(here) = got.get_mut(place) {
        *here = Some(ended(outcome, unsafe { own_text(text) }));
    }
}

/// Infos as they come, and how it ended.
struct Infos {
    infos: Vec<Info>,
    end: Result<(), Failure>,
}

unsafe extern "C" fn take_info(context: *mut c_void, raw: *const RawInfo) {
    unsafe {
        let (got, raw) = (&mut *context.cast::<Infos>(), &*raw);
        got.infos.push(Info {
            name: own_text(raw.name),
            unit: own_text(raw.unit),
            description: own_text(raw.description),
            lowest: own_text(raw.lowest),
            highest: own_text(raw.highest),
            kind: raw.kind,
            input: raw.input,
            format: raw.format,
            writable: raw.writable != 0,
            width: raw.width,
            height: raw.height,
            labels: own(raw.labels, raw.label_count).iter().map(|label| own_text(*label)).collect(),
        });
    }
}

unsafe extern "C" fn take_end(context: *mut c_void, _place: usize, outcome: i32, text: *const c_char) {
    unsafe { (*context.cast::<Infos>()).end = ended(outcome, own_text(text)) };
}

fn silent() -> Failure {
    Failure::Refused("libtango did not say how it ended".into())
}

fn complete<T>(got: Vec<Option<Result<T, Failure>>>) -> Vec<Result<T, Failure>> {
    got.into_iter().map(|one| one.unwrap_or_else(|| Err(silent()))).collect()
}

fn empty<T>(count: usize) -> Vec<Option<Result<T, Failure>>> {
    (0..count).map(|_| None).collect()
}

/// A connection to a device. One call at a time: `&mut self`.
pub struct Proxy(NonNull<RawDevice>);

// SAFETY: libtango lets any thread use a proxy; the exclusive reference keeps it to one at a time.
unsafe impl Send for Proxy {}

impl Drop for Proxy {
    fn drop(&mut self) {
        unsafe { tango_device_close(self.0.as_ptr()) }
    }
}

impl Proxy {
    pub fn open(name: &str) -> Result<Proxy, Failure> {
        let mut got = empty::<()>(1);
        let device = unsafe { tango_device_open(c_text(name).as_ptr(), (&raw mut got).cast(), take_answer) };
        NonNull::new(device).map(Proxy).ok_or_else(|| got.remove(0).and_then(Result::err).unwrap_or_else(silent))
    }

    /// How long each call may take from now on.
    pub fn timeout(&mut self, milliseconds: i32) {
        unsafe { tango_device_timeout(self.0.as_ptr(), milliseconds) }
    }

    pub fn read(&mut self, names: &[String], direct: bool) -> Vec<Result<Sample, Failure>> {
        let mut got = empty(names.len());
        let (_owned, pointers) = c_texts(names);
        unsafe {
            let context = (&raw mut got).cast();
            tango_device_read(self.0.as_ptr(), pointers.as_ptr(), names.len(), direct, context, take_sample);
        }
        complete(got)
    }

    pub fn write(&mut self, values: &[(&str, Sent)]) -> Vec<Result<(), Failure>> {
        let mut got = empty(values.len());
        let names: Vec<CString> = values.iter().map(|(name, _)| c_text(name)).collect();
        let texts: Vec<_> = values.iter().map(|(_, sent)| c_texts(&sent.texts)).collect();
        let raw: Vec<RawValue> = values
            .iter()
            .zip(&names)
            .zip(&texts)
            .map(|((value, name), texts)| raw_value(name, &value.1, &texts.1))
            .collect();
        unsafe {
            let context = (&raw mut got).cast();
            tango_device_write(self.0.as_ptr(), raw.as_ptr(), raw.len(), context, take_answer);
        }
        complete(got)
    }

    pub fn attributes(&mut self) -> Result<Vec<Info>, Failure> {
        let mut got = Infos { infos: Vec::new(), end: Err(silent()) };
        unsafe { tango_device_attributes(self.0.as_ptr(), (&raw mut got).cast(), take_info, take_end) };
        got.end.map(|()| got.infos)
    }

    pub fn commands(&mut self) -> Result<Vec<Info>, Failure> {
        let mut got = Infos { infos: Vec::new(), end: Err(silent()) };
        unsafe { tango_device_commands(self.0.as_ptr(), (&raw mut got).cast(), take_info, take_end) };
        got.end.map(|()| got.infos)
    }

    pub fn command(&mut self, name: &str, argument: Option<&Sent>) -> Result<Sample, Failure> {
        let mut got = empty(1);
        let name = c_text(name);
        let texts = c_texts(argument.map_or(&[], |sent| &sent.texts));
        let raw = argument.map(|sent| raw_value(&name, sent, &texts.1));
        let argument = raw.as_ref().map_or(null(), |raw| raw as *const RawValue);
        unsafe {
            let context = (&raw mut got).cast();
            tango_device_command(self.0.as_ptr(), name.as_ptr(), argument, context, take_sample);
        }
        complete(got).remove(0)
    }

    pub fn property(&mut self, name: &str) -> Result<Sample, Failure> {
        let mut got = empty(1);
        unsafe {
            let context = (&raw mut got).cast();
            tango_device_property(self.0.as_ptr(), c_text(name).as_ptr(), context, take_sample);
        }
        complete(got).remove(0)
    }

    /// Follows an attribute; its events go to [`on_event`] under `id`.
    pub fn subscribe(&mut self, attribute: &str, id: u64) -> Result<Subscription, Failure> {
        let mut got = empty::<()>(1);
        let subscription = unsafe {
            let context = (&raw mut got).cast();
            tango_subscribe(self.0.as_ptr(), c_text(attribute).as_ptr(), id, event, context, take_answer)
        };
        NonNull::new(subscription)
            .map(Subscription)
            .ok_or_else(|| got.remove(0).and_then(Result::err).unwrap_or_else(silent))
    }

    /// Ends a subscription of this proxy.
    pub fn unsubscribe(&mut self, subscription: Subscription) {
        unsafe { tango_unsubscribe(self.0.as_ptr(), subscription.0.as_ptr()) }
    }
}

/// A subscription of a proxy. One that is not given back to [`Proxy::unsubscribe`] ends with the proxy.
pub struct Subscription(NonNull<RawSubscription>);

// SAFETY: it is only handed back to the proxy, which is used by one thread at a time.
unsafe impl Send for Subscription {}

unsafe extern "C" fn event(id: u64, raw: *const RawSample) {
    let _ended = catch_unwind(AssertUnwindSafe(|| crate::follow::on_event(id, unsafe { sample(raw) })));
}

fn raw_value(name: &CStr, sent: &Sent, texts: &[*const c_char]) -> RawValue {
    RawValue {
        name: name.as_ptr(),
        kind: sent.kind,
        format: sent.format,
        width: sent.width,
        height: sent.height,
        numbers: sent.numbers.as_ptr(),
        number_count: sent.numbers.len(),
        texts: texts.as_ptr(),
        text_count: texts.len(),
    }
}

/// An attribute to be served.
#[derive(Clone, Debug, Default)]
pub struct Served {
    pub device: String,
    /// Name, label, unit, format, lowest, highest, warning low and high, alarm low and high, description; empty where
    /// there is none.
    pub texts: [String; 11],
    /// Of a row.
    pub length: usize,
    /// Rows of an image; 0 for what is none.
    pub height: usize,
    pub spectrum: bool,
    pub writable: bool,
}

/// What a served attribute holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    pub numbers: Vec<f64>,
    pub quality: i32,
    pub time: i64,
}

impl Held {
    fn raw(&self) -> RawHeld {
        RawHeld {
            numbers: self.numbers.as_ptr(),
            number_count: self.numbers.len(),
            quality: self.quality,
            time: self.time,
        }
    }
}

/// Serves until the process ends; returns why it could not. One call for a process.
///
/// `instance` is that of the device server in the database of `TANGO_HOST`; an empty one serves without database.
///
/// Reads and writes go to [`crate::process`].
pub fn serve(served: &[Served], endpoint: &str, instance: &str) -> Failure {
    let devices: Vec<CString> = served.iter().map(|one| c_text(&one.device)).collect();
    let texts: Vec<_> = served.iter().map(|one| c_texts(&one.texts)).collect();
    let raw: Vec<RawServed> = served
        .iter()
        .zip(&devices)
        .zip(&texts)
        .map(|((one, device), texts)| RawServed {
            device: device.as_ptr(),
            texts: std::array::from_fn(|n| texts.1[n]),
            length: one.length,
            height: one.height,
            spectrum: one.spectrum,
            writable: one.writable,
        })
        .collect();
    let mut got = empty::<()>(1);
    unsafe {
        let context = (&raw mut got).cast();
        let (endpoint, instance) = (c_text(endpoint), c_text(instance));
        let (endpoint, instance) = (endpoint.as_ptr(), instance.as_ptr());
        tango_serve(
            raw.as_ptr(),
            raw.len(),
            endpoint,
            instance,
            served_read,
            served_write,
            ready,
            context,
            take_answer,
        );
    }
    got.remove(0).and_then(Result::err).unwrap_or_else(silent)
}

/// Sends a change event of a served attribute.
pub fn serve_event(place: usize, held: &Held) {
    unsafe { tango_serve_event(place, &held.raw()) }
}

/// Ends the process at once: libtango's own end waits for its threads.
pub fn exit(code: i32) {
    unsafe { tango_exit(code) }
}

extern "C" fn ready() {
    let _ended = catch_unwind(crate::process::ready);
}

unsafe extern "C" fn served_read(place: usize, context: *mut c_void, sink: HeldSink) {
    let _ended = catch_unwind(AssertUnwindSafe(|| {
        let held = crate::process::held(place);
        unsafe { sink(context, &held.raw()) };
    }));
}

unsafe extern "C" fn served_write(
    place: usize,
    values: *const f64,
    count: usize,
    context: *mut c_void,
    refuse: Refuse,
) {
    let answer = catch_unwind(AssertUnwindSafe(|| crate::process::put(place, unsafe { own(values, count) })));
    if let Err(why) = answer.unwrap_or_else(|_| Err("the server failed; see its standard error".into())) {
        unsafe { refuse(context, c_text(&why).as_ptr()) };
    }
}
