//! Entries of rows as channels of their own: `booster:QF:wave@17/33` is the number 17, from 0, of the 33 that `booster:QF:wave` has to
//! hold. No control system has an `@` in its names.
//!
//! So a wave form is a row of setpoints, each checked, journalled and put back as any other. All that is written to the entries of
//! one row at once goes out as one row.

use crate::session::NOW;
use crate::{
    Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Value, Write,
};
use crate::{Form, Validity};
use entry::Entry;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a thread that hands updates on waits for the next before it looks whether anybody listens.
const LOOK: Duration = Duration::from_millis(200);

/// Names of entries.
pub mod entry {
    use crate::Channel;

    /// A place in a row that has to have so many.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Entry {
        /// From 0.
        pub index: usize,
        /// Numbers in the row.
        pub length: usize,
    }

    impl Entry {
        /// Its place in a row of this length.
        ///
        /// # Errors
        /// The row has another length.
        pub fn within(self, length: usize) -> Result<usize, String> {
            match length == self.length && self.index < length {
                true => Ok(self.index),
                false => Err(format!("its row has {length} numbers, and the tables say {}", self.length)),
            }
        }
    }

    /// The name of an entry of a row.
    pub fn name(row: &str, entry: Entry) -> Channel {
        format!("{row}@{}/{}", entry.index, entry.length).into()
    }

    /// The row and the entry that a name means; nothing if it is that of a whole channel.
    pub fn of(channel: &str) -> Option<(&str, Entry)> {
        let (row, place) = channel.rsplit_once('@')?;
        let (index, length) = place.split_once('/')?;
        Some((row, Entry { index: index.parse().ok()?, length: length.parse().ok()? }))
    }
}

/// A control system whose rows have entries.
pub struct Entries {
    inner: Arc<dyn Backend>,
}

/// Channels as the control system knows them, and which entry of which of them each name means.
struct Asked {
    channels: Vec<Channel>,
    places: Vec<(usize, Option<Entry>)>,
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
        Entries { inner }
    }

    /// The rows as they are to be written.
    fn rows(&self, writes: &[Write], wait: Duration, cancel: &Cancel) -> Result<Out, Stopped> {
        let mut channels: Vec<Channel> =
            writes.iter().filter_map(|write| Some(entry::of(&write.channel)?.0.into())).collect();
        channels.sort_unstable();
        channels.dedup();
        // the server itself is asked: who follows a channel sees what was written a little later
        let answers = self.inner.read(&channels, NOW, wait, cancel)?;
        let held = |(channel, answer): (Channel, Result<Reading, Fault>)| {
            let row = answer.and_then(|reading| row(&channel, reading));
            (channel, row)
        };
        let mut rows: Rows = channels.into_iter().zip(answers).map(held).collect();
        let mut out = Out::default();
        for write in writes {
            let place = match entry::of(&write.channel) {
                None => Ok(out.place(&write.channel, Some(write.value.clone()))),
                Some((row, index)) => put(&mut rows, row, index, write).map(|()| out.place(row, None)),
            };
            out.places.push(place);
        }
        for write in &mut out.writes {
            if let Some(Ok(row)) = rows.remove(&write.channel) {
                write.value = Value::Vector(row.into());
            }
        }
        Ok(out)
    }
}

/// What goes out, and for each write that was asked for its place there, or why there is none.
#[derive(Default)]
struct Out {
    writes: Vec<Write>,
    places: Vec<Result<usize, Fault>>,
}

impl Out {
    /// The place of a channel: a new one for a value of its own, else that of the row.
    fn place(&mut self, channel: &str, value: Option<Value>) -> usize {
        let known = self.writes.iter().position(|write| *write.channel == *channel).filter(|_| value.is_none());
        known.unwrap_or_else(|| {
            let value = value.unwrap_or_else(|| Value::Vector(Arc::from([])));
            self.writes.push(Write { channel: channel.into(), value });
            self.writes.len() - 1
        })
    }
}

type Rows = HashMap<Channel, Result<Vec<f64>, Fault>>;

/// Puts a number into its row.
fn put(rows: &mut Rows, row: &str, entry: Entry, write: &Write) -> Result<(), Fault> {
    let refuse = |why: String| Fault::refused(&write.channel, why);
    let number = write.value.number().ok_or_else(|| refuse(format!("takes a number, not {}", write.value.form())))?;
    match rows.get_mut(row) {
        Some(Ok(entries)) => {
            let place = entry.within(entries.len()).map_err(refuse)?;
            entries[place] = number;
            Ok(())
        }
        Some(Err(fault)) => Err(Fault { channel: write.channel.clone(), ..fault.clone() }),
        None => Err(refuse("its row was not read".into())),
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
fn pick(name: &Channel, answer: Result<Reading, Fault>, index: Option<Entry>) -> Result<Reading, Fault> {
    let Some(index) = index else { return answer };
    let reading = answer.map_err(|fault| Fault { channel: name.clone(), ..fault })?;
    let Value::Vector(row) = &reading.value else {
        return Err(Fault::refused(name, format!("its channel holds {}, not a row of numbers", reading.value)));
    };
    let place = index.within(row.len()).map_err(|why| Fault::refused(name, why))?;
    Ok(Reading { value: Value::Number(row[place]), ..reading })
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
        if channels.iter().all(|channel| entry::of(channel).is_none()) {
            return self.inner.read(channels, fresh, wait, cancel);
        }
        let asked = Asked::of(channels.iter());
        let answers = self.inner.read(&asked.channels, fresh, wait, cancel)?;
        let one = |(name, (at, index)): (&Channel, &(usize, Option<Entry>))| pick(name, answers[*at].clone(), *index);
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
        let Out { writes: rows, places } = self.rows(writes, wait, cancel)?;
        if let Some(Err(_)) = places.iter().find(|place| place.is_err()) {
            // nothing goes out where a part of it cannot
            let other = |write: &Write| Fault::refused(&write.channel, "not written, as others of the set cannot be");
            let fault =
                |(write, place): (&Write, Result<usize, Fault>)| Err(place.err().unwrap_or_else(|| other(write)));
            return Ok(writes.iter().zip(places).map(fault).collect());
        }
        let answers = self.inner.write(permit, &rows, wait, cancel)?;
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
        let one = |(name, (at, index)): (&Channel, &(usize, Option<Entry>))| match (answers[*at].clone(), index) {
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
