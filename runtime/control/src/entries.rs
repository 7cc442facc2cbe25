//! Entries of rows as channels of their own: `booster:QF:wave@17` is the number 17, from 0, of what `booster:QF:wave` holds. No
//! control system has an `@` in its names.
//!
//! So a wave form is a row of setpoints, each checked, journalled and put back as any other. All that is written to the entries of
//! one row at once goes out as one row.

use crate::{
    Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Value, Write,
};
use crate::{Form, Validity};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long is waited for the row that was written last, before the next is made of it.
const LATE: Duration = Duration::from_secs(2);

/// How long a thread that hands updates on waits for the next before it looks whether anybody listens.
const LOOK: Duration = Duration::from_millis(200);

/// Names of entries.
pub mod entry {
    use crate::Channel;

    /// The name of an entry of a row.
    pub fn name(row: &str, index: usize) -> Channel {
        format!("{row}@{index}").into()
    }

    /// The row and the entry that a name means; nothing if it is that of a whole channel.
    pub fn of(channel: &str) -> Option<(&str, usize)> {
        let (row, index) = channel.rsplit_once('@')?;
        Some((row, index.parse().ok()?))
    }
}

/// A control system whose rows have entries.
pub struct Entries {
    inner: Arc<dyn Backend>,
    /// The row that was written last to a channel, until the control system shows it.
    written: Mutex<HashMap<Channel, Arc<[f64]>>>,
}

/// Channels as the control system knows them, and which entry of which of them each name means.
struct Asked {
    channels: Vec<Channel>,
    places: Vec<(usize, Option<usize>)>,
}

impl Asked {
    fn of<'c>(names: impl Iterator<Item = &'c Channel>) -> Asked {
        let mut known: HashMap<Channel, usize> = HashMap::new();
        let mut asked = Asked { channels: Vec::new(), places: Vec::new() };
        for name in names {
            let (channel, index) = match entry::of(name) {
                Some((row, index)) => (Channel::from(row), Some(index)),
                None => (name.clone(), None),
            };
            let at = *known.entry(channel.clone()).or_insert_with(|| {
                asked.channels.push(channel);
                asked.channels.len() - 1
            });
            asked.places.push((at, index));
        }
        asked
    }
}

impl Entries {
    /// Wraps a control system.
    pub fn new(inner: Arc<dyn Backend>) -> Entries {
        Entries { inner, written: Mutex::default() }
    }

    /// The rows as they are to be written, each with the names of the entries that go into it.
    fn rows(
        &self,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<(Vec<Write>, Vec<Result<usize, Fault>>), Stopped> {
        let asked = Asked::of(writes.iter().map(|write| &write.channel));
        let in_rows = |at: usize| asked.places.iter().any(|(place, index)| *place == at && index.is_some());
        let channels: Vec<Channel> = asked
            .channels
            .iter()
            .enumerate()
            .filter(|(at, _)| in_rows(*at))
            .map(|(_, channel)| channel.clone())
            .collect();
        let mut rows = self.present(&channels, wait, cancel)?;
        let mut out: Vec<Write> = Vec::new();
        let mut places: HashMap<Channel, usize> = HashMap::new();
        let mut answers = Vec::with_capacity(writes.len());
        for (write, (at, index)) in writes.iter().zip(&asked.places) {
            let channel = &asked.channels[*at];
            let Some(index) = index else {
                out.push(write.clone());
                answers.push(Ok(out.len() - 1));
                continue;
            };
            let put = match (rows.get_mut(channel), write.value.number()) {
                (Some(Ok(row)), Some(number)) => match row.get_mut(*index) {
                    Some(place) => {
                        *place = number;
                        Ok(())
                    }
                    None => Err(Fault::refused(&write.channel, format!("{channel} has no entry {index}"))),
                },
                (Some(Err(fault)), _) => Err(Fault { channel: write.channel.clone(), ..fault.clone() }),
                (_, None) => Err(Fault::refused(&write.channel, format!("takes a number, not {}", write.value.form()))),
                (None, _) => Err(Fault::refused(&write.channel, "its row was not read")),
            };
            answers.push(put.map(|()| {
                *places.entry(channel.clone()).or_insert_with(|| {
                    out.push(Write { channel: channel.clone(), value: Value::Vector(Arc::from([])) });
                    out.len() - 1
                })
            }));
        }
        for (channel, place) in places {
            if let Some(Ok(row)) = rows.remove(&channel) {
                out[place].value = Value::Vector(row.into());
            }
        }
        Ok((out, answers))
    }

    /// What rows hold now: what was written last is waited for, as clients that follow a channel see it a little later.
    fn present(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<HashMap<Channel, Result<Vec<f64>, Fault>>, Stopped> {
        let end = Instant::now() + wait.min(LATE);
        loop {
            let answers = self.inner.read(channels, Fresh::Latest, wait, cancel)?;
            let rows: Vec<Result<Vec<f64>, Fault>> =
                channels.iter().zip(answers).map(|(channel, answer)| row(channel, answer?)).collect();
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            let late = channels.iter().zip(&rows).any(|(channel, row)| {
                written.get(channel).is_some_and(|last| row.as_ref().is_ok_and(|row| row[..] != last[..]))
            });
            if !late || Instant::now() >= end {
                channels.iter().for_each(|channel| _ = written.remove(channel));
                return Ok(channels.iter().cloned().zip(rows).collect());
            }
            drop(written);
            cancel.wait(Duration::from_millis(5))?;
        }
    }
}

/// The numbers of a row that may be used.
fn row(channel: &Channel, reading: Reading) -> Result<Vec<f64>, Fault> {
    match (reading.validity, reading.value) {
        (Validity::Invalid(why), _) => Err(Fault::refused(channel, format!("invalid: {why}"))),
        (_, Value::Vector(row)) => Ok(row.to_vec()),
        (_, other) => Err(Fault::refused(channel, format!("holds {other}, not a row of numbers"))),
    }
}

/// An entry of what a channel holds.
fn pick(name: &Channel, answer: Result<Reading, Fault>, index: Option<usize>) -> Result<Reading, Fault> {
    let Some(index) = index else { return answer };
    let reading = answer.map_err(|fault| Fault { channel: name.clone(), ..fault })?;
    let entry = match &reading.value {
        Value::Vector(row) => row.get(index).copied(),
        _ => None,
    };
    match entry {
        Some(entry) => Ok(Reading { value: Value::Number(entry), ..reading }),
        None => Err(Fault::refused(name, format!("its channel holds {}, which has no entry {index}", reading.value))),
    }
}

impl Backend for Entries {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        self.inner.connect(&Asked::of(channels.iter()).channels, wait, cancel)
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        let asked = Asked::of(channels.iter());
        let answers = self.inner.read(&asked.channels, fresh, wait, cancel)?;
        let one = |(name, (at, index)): (&Channel, &(usize, Option<usize>))| pick(name, answers[*at].clone(), *index);
        Ok(channels.iter().zip(&asked.places).map(one).collect())
    }

    fn write(
        &self,
        permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        if writes.iter().all(|write| entry::of(&write.channel).is_none()) {
            return self.inner.write(permit, writes, wait, cancel);
        }
        let (rows, places) = self.rows(writes, wait, cancel)?;
        if let Some(Err(_)) = places.iter().find(|place| place.is_err()) {
            // nothing goes out where a part of it cannot
            let other = |write: &Write| Fault::refused(&write.channel, "not written, as others of the set cannot be");
            let fault =
                |(write, place): (&Write, Result<usize, Fault>)| Err(place.err().unwrap_or_else(|| other(write)));
            return Ok(writes.iter().zip(places).map(fault).collect());
        }
        let answers = self.inner.write(permit, &rows, wait, cancel)?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for (write, answer) in rows.iter().zip(&answers) {
            if let (Value::Vector(row), Ok(())) = (&write.value, answer) {
                written.insert(write.channel.clone(), row.clone());
            }
        }
        let one = |(write, place): (&Write, Result<usize, Fault>)| match &answers[place?] {
            Ok(()) => Ok(()),
            Err(fault) => Err(Fault { channel: write.channel.clone(), ..fault.clone() }),
        };
        Ok(writes.iter().zip(places).map(one).collect())
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let asked = Asked::of(channels.iter());
        if asked.places.iter().all(|(_, index)| index.is_none()) {
            return self.inner.monitor(channels, keep);
        }
        let (monitor, feed) = Monitor::new(channels, keep);
        let (updates, channels) = (self.inner.monitor(&asked.channels, keep), channels.to_vec());
        std::thread::spawn(move || {
            while feed.is_wanted() {
                for update in updates.next(LOOK, &Cancel::new()).unwrap_or_default() {
                    let of_it = asked.places.iter().enumerate().filter(|(_, (at, _))| *at == update.place);
                    for (place, (_, index)) in of_it {
                        feed.push(place, pick(&channels[place], update.reading.clone(), *index));
                    }
                }
            }
        });
        monitor
    }

    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        let asked = Asked::of(channels.iter());
        let answers = self.inner.metadata(&asked.channels, wait, cancel)?;
        let one = |(name, (at, index)): (&Channel, &(usize, Option<usize>))| match (answers[*at].clone(), index) {
            (Ok(said), Some(_)) => Ok(Metadata { form: Form::Number, length: 1, ..said }),
            (Err(fault), Some(_)) => Err(Fault { channel: name.clone(), ..fault }),
            (said, None) => said,
        };
        Ok(channels.iter().zip(&asked.places).map(one).collect())
    }

    fn now(&self) -> Time {
        self.inner.now()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        self.inner.wait(span, cancel)
    }
}
