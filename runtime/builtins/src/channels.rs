//! Readings with their time and validity, channels by name, and following for a while.

use crate::context::{Context, here};
use crate::families::{Member, Members, document, wanted};
use crate::vector::Vector;
use fodo_control::{Channel, Fault, Fresh, Reading, Validity, Value};
use fodo_devices::{Device, Field};
use fodo_language::{OrFail, Outcome, script_error};
use fodo_measure::{Series, follow};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// The devices with the field that is asked for.
fn fields<'m>(members: &'m Members, name: Option<&str>) -> Outcome<Vec<(&'m Device, &'m Field)>> {
    let of = |device: &'m std::sync::Arc<Device>| {
        let field = wanted(device, name, None)?.field;
        Ok((device.as_ref(), device.fields.get(field).ok_or_else(|| script_error("a device lacks this field"))?))
    };
    members.devices.iter().map(of).collect()
}

/// What a device's channel says now, usable or not.
fn readings(context: &Context, members: &Members, name: Option<&str>) -> Outcome<Array> {
    let fields = fields(members, name)?;
    let mut channels: Vec<Channel> = Vec::with_capacity(fields.len());
    for (device, field) in &fields {
        let source = field
            .source
            .as_ref()
            .ok_or_else(|| script_error(format!("{}.{} has no channel to read", device.shown(), field.name)))?;
        channels.push(source.channel.clone());
    }
    let answers = context.session.look_at(&channels, Fresh::Latest).or_fail()?;
    fields.iter().zip(answers).map(|((_, field), answer)| told(field, answer)).collect()
}

fn told(field: &Field, answer: Result<Reading, Fault>) -> Outcome<Dynamic> {
    let mut map = Map::new();
    let reading = match answer {
        Ok(reading) => reading,
        Err(fault) => {
            let word = if fault.absent { "absent" } else { "fault" };
            map.insert("value".into(), Dynamic::UNIT);
            map.insert("time".into(), Dynamic::UNIT);
            map.insert("validity".into(), word.into());
            map.insert("why".into(), fault.reason.into());
            return Ok(map.into());
        }
    };
    let place = field.source.as_ref().map(|source| source.place.clone()).unwrap_or_default();
    let entry = place.number(&reading.value).map_err(|held| format!("it holds {held}"));
    let finite = |entry: f64| if entry.is_finite() { Ok(entry) } else { Err(format!("it holds {entry}")) };
    let entry = entry.and_then(finite);
    let (word, why) = match (&reading.validity, &entry) {
        (Validity::Invalid(why), _) | (_, Err(why)) => ("invalid", why.as_str()),
        (Validity::Good, _) => ("good", ""),
        (Validity::Warning(why), _) => ("warning", why.as_str()),
        (Validity::Alarm(why), _) => ("alarm", why.as_str()),
    };
    let value = match &entry {
        Ok(entry) if word != "invalid" => {
            Dynamic::from(Quantity::from_si(field.to_physics(*entry), field.physics.clone()))
        }
        _ => Dynamic::UNIT,
    };
    map.insert("value".into(), value);
    map.insert("time".into(), Dynamic::from(seconds(reading.time.seconds())?));
    map.insert("validity".into(), word.into());
    map.insert("why".into(), why.into());
    if let Some(shot) = reading.shot {
        map.insert("shot".into(), (shot as i64).into());
    }
    Ok(map.into())
}

fn seconds(value: f64) -> Outcome<Quantity> {
    Ok(Quantity::from_si(value, Unit::parse("s").or_fail()?))
}

/// The value of a channel by its name.
fn read_channel(context: &Context, name: &str) -> Outcome<Dynamic> {
    let channel: Channel = name.into();
    let answer = context.session.read(std::slice::from_ref(&channel), Fresh::Latest).or_fail()?;
    Ok(answer.into_iter().next().map_or(Dynamic::UNIT, |reading| dynamic(&reading.value)))
}

pub(crate) fn dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Number(number) => (*number).into(),
        Value::Text(text) | Value::Choice { label: text, .. } => text.to_string().into(),
        Value::Vector(entries) => Dynamic::from(Vector::from_si(entries.to_vec(), Unit::none())),
        Value::Texts(texts) => texts.iter().map(|text| Dynamic::from(text.to_string())).collect::<Array>().into(),
        Value::Image { width, pixels } => {
            let row = |row: &[f64]| Dynamic::from(Vector::from_si(row.to_vec(), Unit::none()));
            pixels.chunks((*width).max(1)).map(row).collect::<Array>().into()
        }
        Value::Table(columns) => {
            let column = |(name, column): &(std::sync::Arc<str>, Value)| (name.as_ref().into(), dynamic(column));
            columns.iter().map(column).collect::<Map>().into()
        }
    }
}

/// Every sample of devices for a while.
fn followed(context: &Context, members: &Members, name: Option<&str>, span: &Quantity) -> Outcome<Array> {
    let span = crate::machine::span(span, "is not a time to follow something for")?;
    context.connect(members.devices.iter())?;
    let fields = fields(members, name)?;
    let series = follow(&context.session, &fields, span).or_fail()?;
    fields.iter().zip(series).map(|((_, field), series)| as_map(field, series)).collect()
}

fn as_map(field: &Field, series: Series) -> Outcome<Dynamic> {
    let mut map = Map::new();
    map.insert("time".into(), Dynamic::from(Vector::from_si(series.times, Unit::parse("s").or_fail()?)));
    map.insert("value".into(), Dynamic::from(Vector::from_si(series.values, field.physics.clone())));
    map.insert("invalid".into(), (series.invalid as i64).into());
    Ok(map.into())
}

fn first(array: Array) -> Outcome<Dynamic> {
    let none = || fodo_language::fail(Diagnostic::new(Kind::Internal, "a device gave no answer").into());
    array.into_iter().next().ok_or_else(none)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "get_reading",
        ["device: device", "map"],
        "/// Reads the main field of a device with its time and validity; never an error of the machine.\n///\n\
         /// # Returns\n/// `#{ value, time, validity, why }`: physics value, `()` where it must not be used; when the source took\n\
         /// it [s since 1970 on the machine's clock]; `\"good\"`, `\"warning\"`, `\"alarm\"`, `\"invalid\"`, `\"absent\"` or\n\
         /// `\"fault\"`; and why. `shot`, where the source counts pulses [1].\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: the field has no channel.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(BPM[0].get_reading().validity == \"good\");\n/// ```",
        |c: NativeCallContext, m: Member| first(readings(&*here(&c)?, &Members::one(&m), None)?)
    );
    document!(
        engine,
        "get_reading",
        ["device: device", "field: text", "map"],
        "/// Reads a field of a device by its name, with time and validity; never an error of the machine.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"x\"`.\n///\n\
         /// # Returns\n/// As `get_reading()`.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: no such field, or it has no channel.\n///\n\
         /// # Example\n/// ```rhai\n/// let reading = BPM[0].get_reading(\"y\");\n/// assert(reading.why == \"\");\n/// ```",
        |c: NativeCallContext, m: Member, field: &str| first(readings(&*here(&c)?, &Members::one(&m), Some(field))?)
    );
    document!(
        engine,
        "get_reading",
        ["members: family", "array"],
        "/// Reads the main field of every device with its time and validity; never an error of the machine.\n///\n\
         /// # Returns\n/// An array of maps as `get_reading()` of a device gives, in the order of the devices.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: a field has no channel.\n///\n\
         /// # Example\n/// ```rhai\n/// let bad = BPM.get_reading().filter(|r| r.validity != \"good\");\n/// assert(bad.len == 0);\n/// ```",
        |c: NativeCallContext, m: Members| readings(&*here(&c)?, &m, None)
    );
    document!(
        engine,
        "get_reading",
        ["members: family", "field: text", "array"],
        "/// Reads a field of every device by its name, with time and validity; never an error of the machine.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"x\"`.\n///\n\
         /// # Returns\n/// An array of maps as `get_reading()` of a device gives, in the order of the devices.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: no such field, or it has no channel.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(BPM.get_reading(\"x\").len == BPM.len);\n/// ```",
        |c: NativeCallContext, m: Members, field: &str| readings(&*here(&c)?, &m, Some(field))
    );
    document!(
        engine,
        "read_channel",
        ["channel: text", "any"],
        "/// Reads any channel of the control system by its name.\n///\n\
         /// # Parameters\n/// - `channel`: as the control system knows it: a process variable, an attribute, an address.\n///\n\
         /// # Returns\n/// A number in the server's own unit, a vector, a text (of a state its name), an array of texts, an image as an\n\
         /// array of rows, a table as a map of columns.\n///\n\
         /// # On the machine\n/// Only reads. Setpoints are written through their device, never by the name of a channel.\n///\n\
         /// # Errors\n/// - `machine`: it is absent, or what it holds must not be used.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// let mode = read_channel(\"SR:OPERATION:MODE\");\n/// ```",
        |c: NativeCallContext, name: &str| read_channel(&*here(&c)?, name)
    );
    document!(
        engine,
        "follow",
        ["device: device", "span: quantity", "map"],
        "/// Follows the main field of a device and keeps every sample that its source gives.\n///\n\
         /// # Parameters\n/// - `span`: how long, on the machine's clock [s].\n///\n\
         /// # Returns\n/// `#{ time, value, invalid }`: vectors of times since the beginning [s], the present value first, and of\n\
         /// values in the physics unit; and how many samples were invalid and left out [1].\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: the channel is absent or was lost, or samples came faster than they were taken.\n///\n\
         /// # Example\n/// ```rhai\n/// let seen = BPM[0].follow(1.0 * s);\n/// assert(seen.time.len == seen.value.len);\n/// ```",
        |c: NativeCallContext, m: Member, span: Quantity| first(followed(&*here(&c)?, &Members::one(&m), None, &span)?)
    );
    document!(
        engine,
        "follow",
        ["device: device", "field: text", "span: quantity", "map"],
        "/// Follows a field of a device by its name and keeps every sample that its source gives.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"x\"`.\n/// - `span`: how long, on the machine's clock [s].\n///\n\
         /// # Returns\n/// As `follow(span)`.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: the channel is absent or was lost, or samples came faster than they were taken.\n///\n\
         /// # Example\n/// ```rhai\n/// let noise = BPM[0].follow(\"y\", 2.0 * s).value.std();\n/// ```",
        |c: NativeCallContext, m: Member, field: &str, span: Quantity| {
            first(followed(&*here(&c)?, &Members::one(&m), Some(field), &span)?)
        }
    );
    document!(
        engine,
        "follow",
        ["members: family", "span: quantity", "array"],
        "/// Follows the main field of every device and keeps every sample that the sources give.\n///\n\
         /// # Parameters\n/// - `span`: how long, on the machine's clock [s].\n///\n\
         /// # Returns\n/// An array of maps as `follow(span)` of a device gives, in the order of the devices.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: channels are absent or were lost, or samples came faster than they were taken.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(BPM[0..3].follow(0.5 * s).len == 3);\n/// ```",
        |c: NativeCallContext, m: Members, span: Quantity| followed(&*here(&c)?, &m, None, &span)
    );
    document!(
        engine,
        "follow",
        ["members: family", "field: text", "span: quantity", "array"],
        "/// Follows a field of every device by its name and keeps every sample that the sources give.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"x\"`.\n/// - `span`: how long, on the machine's clock [s].\n///\n\
         /// # Returns\n/// An array of maps as `follow(span)` of a device gives, in the order of the devices.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: channels are absent or were lost, or samples came faster than they were taken.\n///\n\
         /// # Example\n/// ```rhai\n/// let spread = BPM.follow(\"x\", 1.0 * s).map(|seen| seen.value.std());\n/// ```",
        |c: NativeCallContext, m: Members, field: &str, span: Quantity| {
            followed(&*here(&c)?, &m, Some(field), &span)
        }
    );
}
