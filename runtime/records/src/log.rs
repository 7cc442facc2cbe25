//! The log of a run: SQLite, written ahead.

use crate::folder::RunFiles;
use crate::{ChannelNote, Outcome, RunCard};
use fodo_control::{Channel, Event, Reading, Time, Validity, Value};
use fodo_report::{Diagnostic, Result};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Readings wait this long, or for this many others, to be written together.
pub(crate) const PERIOD: Duration = Duration::from_millis(200);
const BATCH: usize = 1000;

/// Synchronous NORMAL: a commit reaches the page cache (safe from a kill) and only a checkpoint, once
/// in 64 MB, waits for the disk. After power loss the last commits may be missing, the rest is whole.
const SETUP: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 16384;
    PRAGMA cache_size = -256; -- KiB; rows are only added, and read once at the end
    BEGIN;
    CREATE TABLE card (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE channels (channel TEXT PRIMARY KEY, unit TEXT, name TEXT);
    CREATE TABLE events (sequence INTEGER, time INTEGER, kind TEXT, json TEXT);
    CREATE TABLE commands (sequence INTEGER, time INTEGER, name TEXT, channel TEXT, old REAL, new REAL, unit TEXT,
        why TEXT);
    CREATE TABLE sets (id INTEGER PRIMARY KEY, kind TEXT, channels TEXT);
    CREATE TABLE readings (sequence INTEGER, set_id INTEGER, times BLOB, validity BLOB, whys TEXT, value BLOB);
";

/// The open log. Scalars that are read together are one row of one set of channels.
pub(crate) struct Log {
    files: RunFiles,
    base: Connection,
    sets: HashMap<(&'static str, Vec<Channel>), i64>,
    sequence: i64,
    waiting: usize,
    since: Instant,
    failed: Option<Box<Diagnostic>>,
}

impl Log {
    /// Makes the file and writes the card.
    pub fn create(files: RunFiles, card: &RunCard) -> Result<Log> {
        let open = || -> rusqlite::Result<Connection> {
            let base = Connection::open(files.log())?;
            base.execute_batch(SETUP)?;
            Ok(base)
        };
        let base = open().map_err(|e| files.error("keep a record of the run", e))?;
        let (sets, since) = (HashMap::new(), Instant::now());
        let mut log = Log { files, base, sets, sequence: 0, waiting: 0, since, failed: None };
        log.keep_card("card", card)?;
        Ok(log)
    }

    /// Keeps one event: writes to the machine at once, the rest with the next batch.
    pub fn keep(&mut self, event: &Event) -> Result<()> {
        self.attempt(|log| {
            log.begin()?;
            log.insert(event)?;
            log.waiting += 1;
            let urgent = matches!(event, Event::Write { .. });
            if urgent || log.waiting >= BATCH || log.since.elapsed() >= PERIOD { log.commit() } else { Ok(()) }
        })
    }

    /// Keeps something that is not the machine's: a printed line, progress, a plot.
    pub fn note(&mut self, kind: &str, json: &serde_json::Value) -> Result<()> {
        self.attempt(|log| {
            log.begin()?;
            log.event(Time::wall(), kind, &json.to_string())
        })
    }

    /// Keeps what is known of channels.
    pub fn describe(&mut self, notes: &[ChannelNote]) -> Result<()> {
        self.attempt(|log| {
            log.begin()?;
            let mut insert = log.base.prepare("INSERT OR REPLACE INTO channels VALUES (?, ?, ?)")?;
            notes.iter().try_for_each(|n| insert.execute(params![&*n.channel, n.unit, n.name]).map(drop))
        })
    }

    /// Keeps how the run ended.
    pub fn end(&mut self, outcome: &Outcome) -> Result<()> {
        self.keep_card("outcome", outcome)
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> Result<()> {
        self.attempt(Log::commit)
    }

    fn keep_card(&mut self, key: &str, value: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|e| self.files.error("keep a record of the run", e))?;
        self.attempt(|log| {
            log.begin()?;
            log.base.execute("INSERT OR REPLACE INTO card VALUES (?, ?)", params![key, text])?;
            log.commit()
        })
    }

    /// The first failure is final: a log with a hole would be taken for the whole story.
    fn attempt(&mut self, action: impl FnOnce(&mut Log) -> rusqlite::Result<()>) -> Result<()> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        action(self).map_err(|e| {
            let error = self.files.error("go on with the record of the run", e);
            self.failed.insert(error).clone()
        })
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        if self.base.is_autocommit() {
            self.base.execute_batch("BEGIN")?;
            self.since = Instant::now();
        }
        Ok(())
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        self.waiting = 0;
        if self.base.is_autocommit() { Ok(()) } else { self.base.execute_batch("COMMIT") }
    }

    fn insert(&mut self, event: &Event) -> rusqlite::Result<()> {
        match event {
            Event::Write { name, channel, old, new, unit, time, why } => {
                let row = params![self.next(), time.0, &**name, &**channel, old, new, &**unit, why];
                self.base.execute("INSERT INTO commands VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row).map(drop)
            }
            Event::Arrived { time, .. } => self.event(*time, "arrived", &json(event)),
            Event::Clock { time, .. } => self.event(*time, "clock", &json(event)),
            Event::Transaction { time, .. } => self.event(*time, "transaction", &json(event)),
            Event::Read { readings } => self.readings(readings),
        }
    }

    fn event(&mut self, time: Time, kind: &str, json: &str) -> rusqlite::Result<()> {
        let row = params![self.next(), time.0, kind, json];
        self.base.execute("INSERT INTO events VALUES (?, ?, ?, ?)", row).map(drop)
    }

    fn readings(&mut self, readings: &[(Channel, Reading)]) -> rusqlite::Result<()> {
        let scalar = |r: &&(Channel, Reading)| matches!(r.1.value, Value::Number(_));
        let scalars: Vec<_> = readings.iter().filter(scalar).collect();
        if !scalars.is_empty() {
            let value: Vec<u8> = scalars.iter().flat_map(|r| bytes(r.1.value.entries())).collect();
            self.row("scalars", &scalars, &value)?;
        }
        readings.iter().filter(|r| !scalar(r)).try_for_each(|reading| match &reading.1.value {
            Value::Text(text) | Value::Choice { label: text, .. } => self.row("text", &[reading], text.as_bytes()),
            texts @ (Value::Texts(_) | Value::Table(_)) => self.row("text", &[reading], json(texts).as_bytes()),
            numbers => self.row("vector", &[reading], &bytes(numbers.entries()).collect::<Vec<u8>>()),
        })
    }

    fn row(&mut self, kind: &'static str, of: &[&(Channel, Reading)], value: &[u8]) -> rusqlite::Result<()> {
        let set = self.set(kind, of.iter().map(|r| r.0.clone()).collect())?;
        let times: Vec<u8> = of.iter().flat_map(|r| r.1.time.0.to_le_bytes()).collect();
        let grades: Vec<(u8, &str)> = of.iter().map(|r| grade(&r.1.validity)).collect();
        let validity: Vec<u8> = grades.iter().map(|g| g.0).collect();
        let whys: BTreeMap<usize, &str> = grades.iter().map(|g| g.1).enumerate().filter(|w| !w.1.is_empty()).collect();
        let row = params![self.next(), set, times, validity, json(&whys), value];
        self.base.execute("INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?)", row).map(drop)
    }

    /// Number of a set of channels that are read together.
    fn set(&mut self, kind: &'static str, channels: Vec<Channel>) -> rusqlite::Result<i64> {
        let key = (kind, channels);
        if let Some(id) = self.sets.get(&key) {
            return Ok(*id);
        }
        let id = self.sets.len() as i64;
        self.base.execute("INSERT INTO sets VALUES (?, ?, ?)", params![id, kind, json(&key.1)])?;
        self.sets.insert(key, id);
        Ok(id)
    }

    fn next(&mut self) -> i64 {
        self.sequence += 1;
        self.sequence
    }

    #[cfg(test)]
    pub fn fill_the_disk(&self) -> rusqlite::Result<()> {
        self.base.execute_batch("PRAGMA max_page_count = 1")
    }
}

/// 0 good, 1 warning or alarm, 2 invalid, and why.
fn grade(validity: &Validity) -> (u8, &str) {
    match validity {
        Validity::Good => (0, ""),
        Validity::Warning(why) | Validity::Alarm(why) => (1, why),
        Validity::Invalid(why) => (2, why),
    }
}

fn bytes(numbers: &[f64]) -> impl Iterator<Item = u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| format!("\"{e}\""))
}
