//! The operator as a control system: asked for what has no channel.
//!
//! A read asks for a number, a write asks the operator to set one. Nobody is asked twice for one
//! value: an answer counts for a minute, for the newest value and for a look at the present one; a
//! sample taken after a certain time is asked anew. What the operator has set stays known, and ends
//! what was read before, since that may have changed with it. A person types more slowly than a
//! server answers, so that the wait of a call does not count here; the cancel token does.

use fodo_control::{
    Backend, Cancel, Channel, Fault, Feed, Form, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Value,
    Write,
};
use fodo_units::{Quantity, Unit};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long an answer counts.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Somebody who can be asked.
pub trait Ask: Send + Sync {
    /// Asks and waits for a line; none if nobody is there to answer.
    ///
    /// # Errors
    /// The token was stopped while the question stood.
    fn ask(&self, question: &str, cancel: &Cancel) -> Result<Option<String>, Stopped>;
}

/// What is known of a channel before anybody is asked.
#[derive(Clone, Debug)]
pub struct Note {
    /// The channel.
    pub channel: Channel,
    /// People's name: `TUNE.x`.
    pub name: String,
    /// Unit of the number on the channel; `1` for a plain number.
    pub unit: String,
    /// Whether the operator can set it.
    pub writable: bool,
}

/// The operator, seen as a control system.
pub struct Manual {
    ask: Arc<dyn Ask>,
    notes: HashMap<Channel, Note>,
    /// One question at a time stands on the terminal.
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    answers: HashMap<Channel, Reading>,
    followers: Vec<(Feed, Vec<Channel>)>,
}

impl Desk {
    fn remember(&mut self, channel: &Channel, value: f64) -> Reading {
        let reading = Reading::good(Value::Number(value), Time::wall());
        self.answers.insert(channel.clone(), reading.clone());
        self.followers.retain(|(feed, channels)| {
            let places = channels.iter().enumerate().filter(|(_, followed)| *followed == channel);
            places.for_each(|(place, _)| _ = feed.push(place, Ok(reading.clone())));
            feed.is_wanted()
        });
        reading
    }

    /// An answer that counts for this question.
    fn known(&self, channel: &Channel, fresh: Fresh) -> Option<Reading> {
        let known = self.answers.get(channel)?;
        let counts = match fresh {
            Fresh::After(time, silent) if !silent.is_zero() => known.time > time,
            _ => known.time.after(REMEMBERED) > Time::wall(),
        };
        counts.then(|| known.clone())
    }
}

impl Manual {
    /// Asks `ask` about the channels of `notes`.
    pub fn new(ask: Arc<dyn Ask>, notes: Vec<Note>) -> Manual {
        let notes = notes.into_iter().map(|note| (note.channel.clone(), note)).collect();
        Manual { ask, notes, desk: Mutex::default() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, channel: &Channel) -> Result<&Note, Fault> {
        self.notes.get(channel).ok_or_else(|| Fault::absent(channel, "the operator is not asked for this channel"))
    }

    fn read_one(&self, channel: &Channel, fresh: Fresh, cancel: &Cancel) -> Result<Result<Reading, Fault>, Stopped> {
        let note = match self.note(channel) {
            Ok(note) => note,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut desk = self.desk();
        if let Some(known) = desk.known(channel, fresh) {
            return Ok(Ok(known));
        }
        let mut question = format!("{} [{}]?", note.name, note.unit);
        loop {
            cancel.check()?;
            let Some(answer) = self.ask.ask(&question, cancel)? else { return Ok(Err(nobody(note))) };
            match number(&answer, &note.unit) {
                Ok(value) => return Ok(Ok(desk.remember(channel, value))),
                Err(why) => question = format!("{why}\n{} [{}]?", note.name, note.unit),
            }
        }
    }

    fn write_one(&self, write: &Write, cancel: &Cancel) -> Result<Result<(), Fault>, Stopped> {
        let refused = |why: String| Ok(Err(Fault::refused(&write.channel, why)));
        let note = match self.note(&write.channel) {
            Ok(note) => note,
            Err(fault) => return Ok(Err(fault)),
        };
        if !note.writable {
            return refused(format!("{} is read, not set", note.name));
        }
        let Value::Number(value) = write.value else {
            return refused(format!("{} takes a number, not {}", note.name, write.value));
        };
        let mut desk = self.desk();
        let from = desk.answers.get(&write.channel).and_then(|reading| reading.value.number());
        let from = from.map_or(String::new(), |before| format!(" from {before}"));
        let unit = if note.unit == "1" { String::new() } else { format!(" {}", note.unit) };
        let name = &note.name;
        let question = format!("Set {name}{from} to {value}{unit}, then press Enter; type anything else to refuse:");
        cancel.check()?;
        match self.ask.ask(&question, cancel)? {
            None => Ok(Err(nobody(note))),
            Some(answer) if !answer.trim().is_empty() => refused(format!("the operator refused: {}", answer.trim())),
            Some(_) => {
                desk.answers.retain(|channel, _| self.notes.get(channel).is_some_and(|note| note.writable));
                desk.remember(&write.channel, value);
                Ok(Ok(()))
            }
        }
    }
}

fn nobody(note: &Note) -> Fault {
    let why = format!(
        "{} has to be typed, and nobody can be asked: this needs a terminal for input and messages, and no --json",
        note.name
    );
    Fault::refused(&note.channel, why)
}

/// A number as it was typed, in the channel's unit, or why it is none.
fn number(text: &str, unit: &str) -> Result<f64, String> {
    let text = text.trim();
    let none = || format!("`{text}` is not a number; type one in {unit}, or with its unit");
    let value = match text.parse::<f64>() {
        Ok(value) => value,
        Err(_) => {
            let unit = Unit::parse(unit).map_err(|error| error.to_string())?;
            Quantity::parse(text).map_err(|_| none())?.to(&unit).map_err(|error| error.to_string())?
        }
    };
    if value.is_finite() { Ok(value) } else { Err(none()) }
}

impl Backend for Manual {
    fn name(&self) -> String {
        "the operator".into()
    }

    fn connect(&self, channels: &[Channel], _wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        cancel.check()?;
        Ok(channels.iter().filter_map(|channel| self.note(channel).err()).collect())
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        cancel.check()?;
        channels.iter().map(|channel| self.read_one(channel, fresh, cancel)).collect()
    }

    fn write(
        &self,
        _permit: &Permit,
        writes: &[Write],
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        cancel.check()?;
        writes.iter().map(|write| self.write_one(write, cancel)).collect()
    }

    /// Gives what was answered, and every answer to come; a monitor asks nobody.
    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let (monitor, feed) = Monitor::new(channels, keep);
        let mut desk = self.desk();
        for (place, channel) in channels.iter().enumerate() {
            let known = self.note(channel).map(|_| desk.answers.get(channel).cloned());
            match known {
                Ok(Some(reading)) => _ = feed.push(place, Ok(reading)),
                Ok(None) => {}
                Err(fault) => _ = feed.push(place, Err(fault)),
            }
        }
        desk.followers.push((feed, channels.to_vec()));
        monitor
    }

    fn metadata(
        &self,
        channels: &[Channel],
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        cancel.check()?;
        let metadata = |note: &Note| Metadata {
            form: Form::Number,
            unit: note.unit.clone(),
            length: 1,
            writable: note.writable,
            ..Metadata::default()
        };
        Ok(channels.iter().map(|channel| self.note(channel).map(metadata)).collect())
    }

    fn now(&self) -> Time {
        Time::wall()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.wait(span)
    }
}
