//! Watchers and feedbacks of a facility: channels that say whether a procedure may go on.

use crate::family::Family;
use crate::field::Field;
use crate::place::Place;
use crate::table::Table;
use fodo_control::{Broken, Channel, Condition, Owner, Reading, Then, Validity};
use fodo_report::{Diagnostic, Kind, Result};
use fodo_units::Quantity;
use std::sync::Arc;
use std::time::Duration;

/// How long a condition has to hold before a pause is over, unless the table says otherwise.
const BACK: Duration = Duration::from_secs(1);

/// The longest pause, unless the table says otherwise.
const PATIENCE: Duration = Duration::from_secs(600);

/// What must hold.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// Above this: physics unit in SI of a field, else the channel's own number.
    Above(f64),
    Below(f64),
    /// Exactly this; of a state its number.
    Is(f64),
}

/// A condition that procedures name in their headers.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// Its name.
    pub name: Arc<str>,
    /// The channel that tells.
    pub channel: Channel,
    /// What follows if it does not hold.
    pub then: Then,
    wanted: Wanted,
    /// What is read, in the words of the table.
    reads: Arc<str>,
    field: Option<(Field, Place)>,
}

/// A feedback loop beside Fodo.
#[derive(Clone, Debug)]
pub struct Feedback {
    /// Its name.
    pub name: Arc<str>,
    /// The channel that tells whether it runs.
    pub channel: Channel,
    /// The families that it sets while it runs.
    pub owns: Vec<Arc<str>>,
    /// What the channel holds while it runs; of a state its number.
    on: f64,
    off: f64,
    instead: Arc<str>,
}

/// `[watchers.NAME]`, `[feedbacks.NAME]` of facility.toml.
pub(crate) fn read(top: &Table, families: &[Arc<Family>]) -> Result<(Vec<Watcher>, Vec<Feedback>)> {
    let (mut watchers, mut feedbacks) = (Vec::new(), Vec::new());
    if let Some(table) = top.table("watchers")? {
        for (name, inner) in table.tables() {
            watchers.push(Watcher::read(name, &inner, families)?);
            inner.no_other_keys()?;
        }
        table.no_other_keys()?;
    }
    if let Some(table) = top.table("feedbacks")? {
        for (name, inner) in table.tables() {
            feedbacks.push(Feedback::read(name, &inner, families)?);
            inner.no_other_keys()?;
        }
        table.no_other_keys()?;
    }
    Ok((watchers, feedbacks))
}

impl Watcher {
    fn read(name: &str, table: &Table, families: &[Arc<Family>]) -> Result<Watcher> {
        let (reads, channel, field) = match (table.text("reads")?, table.text("channel")?) {
            (Some(reads), None) => {
                let (channel, field) = single(reads, families).map_err(|what| table.mistake("reads", what))?;
                (reads, channel, Some(field))
            }
            (None, Some(channel)) => (channel, channel.into(), None),
            _ => {
                let what =
                    "is missing: what is read, `FAMILY.field` of one device; or `channel`, a channel by its name";
                return Err(table.mistake("reads", what));
            }
        };
        let limit = |key: &str| match &field {
            Some((field, _)) => table.quantity(key, &field.physics),
            None => table.number(key),
        };
        let wanted = match (limit("above")?, limit("below")?, limit("is")?) {
            (Some(limit), None, None) => Wanted::Above(limit),
            (None, Some(limit), None) => Wanted::Below(limit),
            (None, None, Some(value)) => Wanted::Is(value),
            _ => return Err(table.mistake("above", "is missing: one of `above`, `below` and `is` says what must hold")),
        };
        let (back, patience) = (table.duration("back")?, table.duration("patience")?);
        let pause = Then::Pause { back: back.unwrap_or(BACK), patience: patience.unwrap_or(PATIENCE) };
        let then = match table.text("then")?.unwrap_or("pause") {
            "pause" => pause,
            "stop" => Then::Stop,
            "hold" => Then::Hold,
            other => return Err(table.mistake("then", format!("`{other}` is none of pause, stop, hold"))),
        };
        Ok(Watcher { name: name.into(), channel, then, wanted, reads: reads.into(), field })
    }

    /// What must hold, as the session watches it.
    pub fn condition(&self) -> Condition {
        let watcher = self.clone();
        let broken: Broken = Arc::new(move |reading| watcher.broken(reading));
        let name = format!("watcher `{}`", self.name).into();
        Condition { name, channel: self.channel.clone(), broken, then: self.then }
    }

    /// A value as people read it.
    fn shown(&self, number: f64) -> String {
        match &self.field {
            Some((field, _)) => Quantity::from_si(number, field.physics.clone()).to_string(),
            None => number.to_string(),
        }
    }

    /// What must hold, in words.
    fn should(&self) -> String {
        match self.wanted {
            Wanted::Above(limit) => format!("above {}", self.shown(limit)),
            Wanted::Below(limit) => format!("below {}", self.shown(limit)),
            Wanted::Is(value) => self.shown(value),
        }
    }

    /// What it asks for and what follows if it does not hold: `BEAM.current above 5 mA, else the run pauses`.
    pub fn about(&self) -> String {
        let then = match self.then {
            Then::Pause { .. } => "the run pauses",
            Then::Stop => "the run ends and is put back",
            Then::Hold => "the run ends and nothing more is written",
        };
        format!("{} {}, else {then}", self.reads, self.should())
    }

    fn broken(&self, reading: &Reading) -> Option<String> {
        let reads = &self.reads;
        if let Validity::Invalid(why) = &reading.validity {
            return Some(format!("{reads} is invalid: {why}"));
        }
        let number = match &self.field {
            Some((field, place)) => place.number(&reading.value).map(|number| field.to_physics(number)),
            None => reading.value.number().ok_or_else(|| reading.value.to_string()),
        };
        let number = match number {
            Ok(number) => number,
            Err(held) => return Some(format!("{reads} holds {held}, not one number")),
        };
        let holds = match self.wanted {
            Wanted::Above(limit) => number > limit,
            Wanted::Below(limit) => number < limit,
            Wanted::Is(value) => number == value,
        };
        (!holds).then(|| format!("{reads} is {}, it should be {}", self.shown(number), self.should()))
    }

    /// What a channel of its own holds while all is well; none where a device tells.
    pub fn well(&self) -> Option<f64> {
        let value = match self.wanted {
            Wanted::Above(limit) => limit + 1.0,
            Wanted::Below(limit) => limit - 1.0,
            Wanted::Is(value) => value,
        };
        self.field.is_none().then_some(value)
    }
}

impl Feedback {
    fn read(name: &str, table: &Table, families: &[Arc<Family>]) -> Result<Feedback> {
        let on = table
            .number("on")?
            .ok_or_else(|| table.mistake("on", "is missing: what the channel holds while the feedback runs"))?;
        let off = table.number("off")?.unwrap_or(f64::from(on == 0.0));
        let owns: Vec<Arc<str>> = table.texts("owns")?.into_iter().map(Arc::from).collect();
        let known = |name: &Arc<str>| families.iter().any(|family| family.name == *name);
        if let Some(unknown) = owns.iter().find(|name| !known(name)) {
            return Err(table.mistake("owns", format!("there is no family `{unknown}`")));
        }
        let instead = match table.text("instead")? {
            Some(text) => text.into(),
            None => format!("switch the {name} feedback off first, or move its reference").into(),
        };
        let channel = table.needed_text("channel")?.into();
        Ok(Feedback { name: name.into(), channel, owns, on, off, instead })
    }

    /// The condition that it is in a state: `on`, `off`; none for `either`, which is the state it is in.
    fn condition(&self, state: Option<bool>, then: Then) -> Condition {
        let (on, channel) = (self.on, self.channel.clone());
        let first = std::sync::OnceLock::new();
        let broken: Broken = Arc::new(move |reading| {
            if let Validity::Invalid(why) = &reading.validity {
                return Some(format!("its state is invalid: {why} ({channel})"));
            }
            let Some(held) = reading.value.number().filter(|held| !held.is_nan()) else {
                return Some(format!("its state is {}, not a number ({channel})", reading.value));
            };
            let runs = held == on;
            let wanted = state.unwrap_or_else(|| *first.get_or_init(|| runs));
            let word = |runs| if runs { "on" } else { "off" };
            let must = if state.is_some() { "has to be" } else { "was" };
            (runs != wanted).then(|| format!("it is {}, and {must} {} ({channel})", word(runs), word(wanted)))
        });
        Condition { name: format!("{} feedback", self.name).into(), channel: self.channel.clone(), broken, then }
    }

    /// How one sees whether it runs, and what it sets then: `on while its channel holds 1, off at 0; sets HCOR, VCOR`.
    pub fn about(&self) -> String {
        let sets = if self.owns.is_empty() { String::new() } else { format!("; sets {}", self.owns.join(", ")) };
        format!("on while its channel holds {}, off at {}{sets}", self.on, self.off)
    }

    /// What a header asks of it: `on`, `off`, `either`.
    pub fn wanted(&self, state: &str) -> Condition {
        let state = match state {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        self.condition(state, Then::Stop)
    }

    /// As the owner of its families.
    pub fn owner(&self) -> Owner {
        let condition = self.condition(Some(false), Then::Stop);
        Owner { families: self.owns.clone(), condition, instead: self.instead.to_string() }
    }

    /// What its channel holds while it does not run.
    pub fn off(&self) -> f64 {
        self.off
    }
}

/// `FAMILY.field` of a family with one device: its channel, the field and the place in the channel.
fn single(reads: &str, families: &[Arc<Family>]) -> Result<(Channel, (Field, Place)), String> {
    let (name, field) = reads.split_once('.').ok_or("must name a family and a field, as in `BEAM.current`")?;
    let family = families.iter().find(|family| family.name.as_ref() == name);
    let family = family.ok_or_else(|| format!("there is no family `{name}`"))?;
    let [device] = family.devices.as_slice() else {
        return Err(format!("{name} has {} devices, and one is needed", family.devices.len()));
    };
    let found = device.fields.iter().find(|known| known.name.as_ref() == field);
    let found = found.ok_or_else(|| format!("{name} has no field `{field}`"))?;
    let source = found.source.as_ref().ok_or_else(|| format!("{reads} has no channel to read"))?;
    Ok((source.channel.clone(), (found.clone(), source.place.clone())))
}

/// The one with a name.
///
/// # Errors
/// Kind `facility`: there is none.
pub(crate) fn find<'f, T>(
    all: &'f [T],
    what: &str,
    name: &str,
    facility: &str,
    name_of: impl Fn(&T) -> &str,
) -> Result<&'f T> {
    all.iter().find(|one| name_of(one) == name).ok_or_else(|| {
        Diagnostic::new(Kind::Facility, format!("{facility} has no {what} `{name}`"))
            .near(name, all.iter().map(&name_of))
            .hint(format!("facility.toml says what it is: [{what}s.{name}]"))
            .into()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test says what failed by where

    use super::*;
    use fodo_control::{Time, Value};

    /// A feedback of which nobody knows whether it runs keeps its families.
    #[test]
    fn a_state_that_is_not_known_is_neither_on_nor_off() {
        let feedback = Feedback {
            name: "orbit".into(),
            channel: "loop".into(),
            owns: Vec::new(),
            on: 1.0,
            off: 0.0,
            instead: "".into(),
        };
        let reading = |value| Reading::good(value, Time::default());
        for state in ["on", "off", "either"] {
            let broken = feedback.wanted(state).broken;
            let invalid = Reading::invalid(Value::Number(0.0), Time::default(), "no link");
            assert_eq!(broken(&invalid).unwrap(), "its state is invalid: no link (loop)");
            assert!(broken(&reading(Value::Text("off".into()))).unwrap().contains("not a number"));
            assert!(broken(&reading(Value::Number(f64::NAN))).is_some());
            // and what is not known is not taken for the state at the beginning
            assert_eq!(broken(&reading(Value::Number(1.0))).is_none(), state != "off");
        }
    }
}
