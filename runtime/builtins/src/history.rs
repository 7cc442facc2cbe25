//! What channels held in the past, and setting the twin as the machine was.

use crate::channels::dynamic;
use crate::context::{Context, here};
use crate::families::{Member, Members, document, wanted};
use crate::vector::Vector;
use fodo_control::{Archive, Change, Channel, Reading, Samples, Setpoint, Time, Validity};
use fodo_devices::{Device, Field};
use fodo_language::{OrFail, Outcome, fail, script_error};
use fodo_report::{Diagnostic, Kind};
use fodo_units::Unit;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, Module, NativeCallContext};
use std::collections::HashMap;
use std::sync::Arc;

/// The twin of this program, as scripts see it: the constant `twin`.
#[derive(Clone, Copy)]
pub struct TwinHandle;

impl std::fmt::Display for TwinHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the twin: twin.set_from_history(time) sets it as the machine was")
    }
}

/// From when to when.
struct Span {
    from: Time,
    to: Time,
}

impl Span {
    fn read(from: &str, to: &str) -> Outcome<Span> {
        let now = Time::wall();
        let span = Span { from: Time::parse(from, now).or_fail()?, to: Time::parse(to, now).or_fail()? };
        match span.from <= span.to {
            true => Ok(span),
            false => Err(script_error(format!("`{from}` is later than `{to}`"))),
        }
    }

    /// Seconds since its beginning.
    fn since(&self, time: Time) -> f64 {
        (time.0 - self.from.0) as f64 * 1e-9
    }

    fn nothing(&self, archive: &dyn Archive, channels: Vec<String>) -> Box<Diagnostic> {
        let count = if channels.len() == 1 { String::new() } else { format!(" of {} channels", channels.len()) };
        // to the second, for people
        let whole = |time: Time| Time(time.0 - time.0.rem_euclid(1_000_000_000)).utc();
        let (from, to) = (whole(self.from), whole(self.to));
        Diagnostic::new(Kind::Machine, format!("the archive holds nothing{count} up to {to} UTC (asked from {from})"))
            .details(channels)
            .hint(format!("{}: is the channel archived, and under this name?", archive.name()))
            .into()
    }
}

/// Times [s], the samples taken, and how many were left out.
fn usable<'r>(span: &Span, readings: &'r [Reading]) -> (Vec<f64>, Vec<&'r Reading>, usize) {
    let good: Vec<&Reading> = readings.iter().filter(|r| !matches!(r.validity, Validity::Invalid(_))).collect();
    let left_out = readings.len() - good.len();
    (good.iter().map(|reading| span.since(reading.time)).collect(), good, left_out)
}

fn as_map(span: &Span, times: Vec<f64>, value: Dynamic, invalid: usize) -> Outcome<Map> {
    let mut map = Map::new();
    map.insert("time".into(), Dynamic::from(Vector::from_si(times, Unit::parse("s").or_fail()?)));
    map.insert("value".into(), value);
    map.insert("invalid".into(), (invalid as i64).into());
    map.insert("start".into(), span.from.utc().into());
    Ok(map)
}

/// A channel by its name.
fn of_channel(context: &Context, name: &str, from: &str, to: &str) -> Outcome<Map> {
    let span = Span::read(from, to)?;
    let archive = context.archive().or_fail()?;
    let channel: Channel = name.into();
    let samples = archive.samples(&channel, span.from, span.to, context.cancel()).or_fail()?;
    let samples = samples.filter(|samples| !samples.readings.is_empty());
    let samples = samples.ok_or_else(|| fail(span.nothing(archive.as_ref(), vec![name.to_string()])))?;
    let (times, good, invalid) = usable(&span, &samples.readings);
    let numbers: Option<Vec<f64>> = good.iter().map(|reading| reading.value.number()).collect();
    let value = match numbers {
        Some(numbers) => {
            let unit = Unit::parse(&samples.unit).unwrap_or_else(|_| Unit::none());
            Dynamic::from(Vector::from_si(numbers.iter().map(|number| number * unit.scale()).collect(), unit))
        }
        None => good.iter().map(|reading| dynamic(&reading.value)).collect::<Array>().into(),
    };
    let mut map = as_map(&span, times, value, invalid)?;
    map.insert("unit".into(), samples.unit.into());
    Ok(map)
}

/// A field of devices.
fn of_devices(context: &Context, members: &Members, field: Option<&str>, from: &str, to: &str) -> Outcome<Array> {
    let span = Span::read(from, to)?;
    let archive = context.archive().or_fail()?;
    // many devices may be entries of one channel
    let mut known: HashMap<Channel, Samples> = HashMap::new();
    let (mut series, mut lacking) = (Vec::new(), Vec::new());
    for device in members.devices.iter() {
        let field = &device.fields[wanted(device, field, None)?.field];
        let channel = &field.source.as_ref().ok_or_else(|| no_channel(device, field))?.channel;
        if !known.contains_key(channel) {
            let samples = archive.samples(channel, span.from, span.to, context.cancel()).or_fail()?;
            known.insert(channel.clone(), samples.unwrap_or_default());
        }
        let readings = &known[channel].readings;
        if readings.is_empty() {
            lacking.push(format!("{}.{}: {channel}", device.shown(), field.name));
        }
        series.push(of_field(&span, field, readings)?.into());
    }
    if lacking.is_empty() { Ok(series) } else { Err(fail(span.nothing(archive.as_ref(), lacking))) }
}

fn no_channel(device: &Device, field: &Field) -> Box<rhai::EvalAltResult> {
    script_error(format!("{}.{} has no channel to read", device.shown(), field.name))
}

fn of_field(span: &Span, field: &Field, readings: &[Reading]) -> Outcome<Map> {
    let entry = |reading: &Reading| field.source.as_ref()?.place.number(&reading.value).ok();
    let (_, good, _) = usable(span, readings);
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for reading in good {
        if let Some(number) = entry(reading).filter(|number| number.is_finite()) {
            times.push(span.since(reading.time));
            values.push(field.to_physics(number));
        }
    }
    let invalid = readings.len() - values.len();
    as_map(span, times, Dynamic::from(Vector::from_si(values, field.physics.clone())), invalid)
}

fn one(context: &Context, member: &Member, field: Option<&str>, from: &str, to: &str) -> Outcome<Dynamic> {
    let members = Members::one(member);
    let none = || fail(Diagnostic::new(Kind::Internal, "a device gave no answer").into());
    of_devices(context, &members, field, from, to)?.into_iter().next().ok_or_else(none)
}

/// What became of every setpoint.
#[derive(Default)]
struct Replay {
    changes: Vec<Change>,
    without: Vec<String>,
    refused: Vec<String>,
}

impl Replay {
    fn sort(&mut self, setpoint: &Arc<Setpoint>, held: Option<Reading>) {
        let name = &setpoint.name;
        let number = match held {
            None => return self.without.push(name.to_string()),
            Some(Reading { validity: Validity::Invalid(why), .. }) => {
                return self.without.push(format!("{name}: {why}"));
            }
            Some(reading) => reading.value.number().filter(|number| number.is_finite()),
        };
        let Some(value) = number else { return self.without.push(format!("{name}: no number")) };
        let (low, high) = setpoint.limits;
        match (low..=high).contains(&value) {
            true => self.changes.push(Change { setpoint: setpoint.clone(), value }),
            false => {
                let limits = format!("{} to {}", setpoint.shown(low), setpoint.shown(high));
                self.refused.push(format!("{name}: {}, its limits are {limits}", setpoint.shown(value)));
            }
        }
    }

    fn told(&self, time: Time) -> String {
        const SHOWN: usize = 12;
        let mut lines = vec![format!("the twin as it was at {} UTC: {} setpoints set", time.utc(), self.changes.len())];
        for (what, names) in [("without data", &self.without), ("beyond limits, left as they are", &self.refused)] {
            if !names.is_empty() {
                lines.push(format!("{} {what}:", names.len()));
                lines.extend(names.iter().take(SHOWN).map(|name| format!("  {name}")));
            }
            if names.len() > SHOWN {
                lines.push(format!("  … and {} more", names.len() - SHOWN));
            }
        }
        lines.join("\n")
    }
}

fn set_from_history(context: &Context, time: &str) -> Outcome<Map> {
    if !context.is_twin() {
        let message = "set_from_history sets the twin of this program, and this is a live machine; nothing was written";
        return Err(fail(Diagnostic::new(Kind::Rights, message).hint("start with --on twin").into()));
    }
    let moment = Time::parse(time, Time::wall()).or_fail()?;
    let archive = context.archive().or_fail()?;
    let devices = || context.facility.families.iter().flat_map(|family| &family.devices);
    let all = context.facility.families.iter().map(|family| context.facility.setpoints(&family.name));
    let setpoints: Vec<Arc<Setpoint>> = all.collect::<Result<Vec<_>, _>>().or_fail()?.concat();
    let channels: Vec<Channel> = setpoints.iter().map(|setpoint| setpoint.channel.clone()).collect();
    let held = archive.at(&channels, moment, context.cancel()).or_fail()?;
    let mut replay = Replay::default();
    setpoints.iter().zip(held).for_each(|(setpoint, held)| replay.sort(setpoint, held));
    if replay.changes.is_empty() {
        let report =
            Diagnostic::new(Kind::Machine, format!("the archive has no setpoint to set at {} UTC", moment.utc()))
                .details(replay.refused)
                .hint(format!("asked was the {} for {} setpoints", archive.name(), channels.len()));
        return Err(fail(report.into()));
    }
    context.connect(devices())?;
    context.session.write(&replay.changes).or_fail()?;
    context.output.print(&replay.told(moment));
    let texts = |texts: Vec<String>| texts.into_iter().map(Dynamic::from).collect::<Array>();
    let mut map = Map::new();
    map.insert("set".into(), (replay.changes.len() as i64).into());
    map.insert("without_data".into(), texts(replay.without).into());
    map.insert("refused".into(), texts(replay.refused).into());
    Ok(map)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    let mut constants = Module::new();
    constants.set_var("twin", TwinHandle);
    engine.register_global_module(constants.into());
    engine
        .register_type_with_name::<TwinHandle>("twin")
        .register_fn("to_string", |twin: &mut TwinHandle| twin.to_string())
        .register_fn("to_debug", |twin: &mut TwinHandle| twin.to_string());
    document!(
        engine,
        "history",
        ["channel: text", "from: text", "to: text", "map"],
        "/// Tells what the facility's archive holds of a channel between two moments.\n///\n\
         /// # Parameters\n/// - `channel`: as the archive knows it.\n\
         /// - `from`: a moment, such as `\"2026-11-20 12:00\"`, `\"2026-11-20 12:00:03.5\"` (UTC; another offset is written, as\n\
         /// `\"2026-11-20 13:00+01:00\"`), `\"-2 h\"` (`s`, `min`, `h`, `d` before now) or `\"now\"`.\n\
         /// - `to`: a moment.\n///\n\
         /// # Returns\n/// `#{ time, value, invalid, start, unit }`: times since `from` [s]; values in the archive's unit, as a vector of\n\
         /// numbers or an array of anything else; how many samples were invalid and left out [1]; `from` as a text in\n\
         /// UTC; and the archive's unit as a text. The first sample is the last one before `from`: its time is negative.\n///\n\
         /// # On the machine\n/// Asks the archive, not the machine.\n///\n\
         /// # Errors\n/// - `usage`: the facility names no archive.\n/// - `script`: not a moment, or `from` is later than `to`.\n\
         /// - `machine`: the archive does not answer, or holds nothing.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// let current = history(\"SR:CURRENT\", \"-2 h\", \"now\");\n/// ```",
        |c: NativeCallContext, channel: &str, from: &str, to: &str| of_channel(&*here(&c)?, channel, from, to)
    );
    document!(
        engine,
        "history",
        ["device: device", "from: text", "to: text", "map"],
        "/// Tells what the facility's archive holds of the main field of a device between two moments.\n///\n\
         /// # Parameters\n/// - `from`, `to`: moments as `history(channel, from, to)` has them, such as `\"-2 h\"` and `\"now\"`.\n///\n\
         /// # Returns\n/// `#{ time, value, invalid, start }`: times since `from` [s], that of the first sample negative; values in the\n\
         /// field's physics unit, by the calibration of today; samples left out [1]; `from` as a text in UTC.\n///\n\
         /// # On the machine\n/// Asks the archive, not the machine.\n///\n\
         /// # Errors\n/// - `usage`: the facility names no archive.\n/// - `script`: not a moment, or the field has no channel.\n\
         /// - `machine`: the archive does not answer, or holds nothing.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// let drift = BPM[0].history(\"2026-11-20 12:00\", \"2026-11-20 14:00\");\n/// ```",
        |c: NativeCallContext, m: Member, from: &str, to: &str| one(&*here(&c)?, &m, None, from, to)
    );
    document!(
        engine,
        "history",
        ["device: device", "field: text", "from: text", "to: text", "map"],
        "/// Tells what the facility's archive holds of a field of a device between two moments.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"x\"`.\n\
         /// - `from`, `to`: moments as `history(channel, from, to)` has them.\n///\n\
         /// # Returns\n/// As `history(from, to)` of a device.\n///\n\
         /// # On the machine\n/// Asks the archive, not the machine.\n///\n\
         /// # Errors\n/// - As `history(from, to)` of a device.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// let spread = BPM[0].history(\"y\", \"-1 d\", \"now\").value.std();\n/// ```",
        |c: NativeCallContext, m: Member, field: &str, from: &str, to: &str| {
            one(&*here(&c)?, &m, Some(field), from, to)
        }
    );
    document!(
        engine,
        "history",
        ["members: family", "from: text", "to: text", "array"],
        "/// Tells what the facility's archive holds of the main field of every device between two moments.\n///\n\
         /// # Parameters\n/// - `from`, `to`: moments as `history(channel, from, to)` has them.\n///\n\
         /// # Returns\n/// An array of maps as `history(from, to)` of a device gives, in the order of the devices.\n///\n\
         /// # On the machine\n/// Asks the archive, not the machine.\n///\n\
         /// # Errors\n/// - As `history(from, to)` of a device; all channels without data are named.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// let kicks = HCOR.history(\"-1 h\", \"now\");\n/// ```",
        |c: NativeCallContext, m: Members, from: &str, to: &str| of_devices(&*here(&c)?, &m, None, from, to)
    );
    document!(
        engine,
        "history",
        ["members: family", "field: text", "from: text", "to: text", "array"],
        "/// Tells what the facility's archive holds of a field of every device between two moments.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"x\"`.\n\
         /// - `from`, `to`: moments as `history(channel, from, to)` has them.\n///\n\
         /// # Returns\n/// An array of maps as `history(from, to)` of a device gives, in the order of the devices.\n///\n\
         /// # On the machine\n/// Asks the archive, not the machine.\n///\n\
         /// # Errors\n/// - As `history(from, to)` of a device; all channels without data are named.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// let orbits = BPM.history(\"x\", \"-1 h\", \"now\");\n/// ```",
        |c: NativeCallContext, m: Members, field: &str, from: &str, to: &str| {
            of_devices(&*here(&c)?, &m, Some(field), from, to)
        }
    );
    document!(
        engine,
        "set_from_history",
        ["twin: twin", "time: text", "map"],
        "/// Sets the twin's setpoints to what the facility's archive holds of them at a moment, and says what it did.\n///\n\
         /// # Parameters\n/// - `time`: a moment as `history(channel, from, to)` has it.\n///\n\
         /// # Returns\n/// `#{ set, without_data, refused }`: how many setpoints were set [1]; the names of those that the archive has no\n\
         /// valid number of, and of those whose value is beyond their limits: both stay as they are.\n///\n\
         /// # On the machine\n/// Writes the twin's setpoints in one change, with limits and undo. A live machine is never touched.\n///\n\
         /// # Errors\n/// - `rights`: this is a live machine.\n/// - `usage`: the facility names no archive.\n\
         /// - `machine`: the archive does not answer, or holds nothing to set.\n\
         /// - `limits`: the model predicts an orbit beyond the facility's limit.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// twin.set_from_history(\"2026-11-20 12:00\");\n/// ```",
        |c: NativeCallContext, _twin: TwinHandle, time: &str| set_from_history(&*here(&c)?, time)
    );
}
