//! A log, read back whole.

use crate::{ChannelNote, Outcome, RunCard};
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Everything a log holds.
pub(crate) struct Content {
    pub card: RunCard,
    pub outcome: Option<Outcome>,
    pub notes: HashMap<String, ChannelNote>,
    pub commands: Vec<Command>,
    pub events: Vec<Happening>,
    pub sets: Vec<ReadingSet>,
}

/// A write to a setpoint.
pub(crate) struct Command {
    pub sequence: i64,
    pub time: i64,
    pub name: String,
    pub channel: String,
    pub old: f64,
    pub new: f64,
    pub unit: String,
    pub why: String,
}

/// Anything else that happened.
pub(crate) struct Happening {
    pub sequence: i64,
    pub time: i64,
    pub kind: String,
    pub json: String,
}

/// Channels that were read together, or one vector or text channel.
pub(crate) struct ReadingSet {
    pub kind: String,
    pub channels: Vec<String>,
    pub rows: Vec<ReadingRow>,
}

/// One reading of a set: times and validity have an entry for each channel.
pub(crate) struct ReadingRow {
    pub sequence: i64,
    pub times: Vec<i64>,
    pub validity: Vec<u8>,
    pub whys: BTreeMap<usize, String>,
    pub value: Vec<u8>,
}

impl Content {
    pub fn read(log: &Path) -> rusqlite::Result<Content> {
        let base = Connection::open(log)?;
        let keep = |n: ChannelNote| (n.channel.to_string(), n);
        Ok(Content {
            card: card(&base, "card")?.unwrap_or_default(),
            outcome: card(&base, "outcome")?,
            notes: all(&base, "SELECT * FROM channels", note)?.into_iter().map(keep).collect(),
            commands: all(&base, "SELECT * FROM commands ORDER BY sequence", command)?,
            events: all(&base, "SELECT * FROM events ORDER BY sequence", happening)?,
            sets: sets(&base)?,
        })
    }

    /// The card alone; none if the process died before it was written, that is before anything was.
    pub fn card(log: &Path) -> rusqlite::Result<Option<RunCard>> {
        let base = Connection::open(log)?;
        let tables: i64 = base.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'card'", [], |r| r.get(0))?;
        if tables == 0 { Ok(None) } else { card(&base, "card") }
    }
}

impl ReadingRow {
    pub fn numbers(&self) -> Vec<f64> {
        self.value.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect()
    }
}

fn all<T>(base: &Connection, query: &str, read: fn(&Row) -> rusqlite::Result<T>) -> rusqlite::Result<Vec<T>> {
    base.prepare(query)?.query_map([], read)?.collect()
}

fn card<T: serde::de::DeserializeOwned>(base: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    let mut found = base.prepare("SELECT value FROM card WHERE key = ?")?;
    let text = found.query_map([key], |row| row.get::<_, String>(0))?.next().transpose()?;
    text.map(|text| parse(&text)).transpose()
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    let broken = |e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e));
    serde_json::from_str(text).map_err(broken)
}

fn note(row: &Row) -> rusqlite::Result<ChannelNote> {
    Ok(ChannelNote { channel: row.get::<_, String>(0)?.into(), unit: row.get(1)?, name: row.get(2)? })
}

fn command(row: &Row) -> rusqlite::Result<Command> {
    Ok(Command {
        sequence: row.get("sequence")?,
        time: row.get("time")?,
        name: row.get("name")?,
        channel: row.get("channel")?,
        old: number(row, "old")?,
        new: number(row, "new")?,
        unit: row.get("unit")?,
        why: row.get("why")?,
    })
}

/// SQLite keeps NaN as null.
fn number(row: &Row, column: &str) -> rusqlite::Result<f64> {
    Ok(row.get::<_, Option<f64>>(column)?.unwrap_or(f64::NAN))
}

fn happening(row: &Row) -> rusqlite::Result<Happening> {
    Ok(Happening {
        sequence: row.get("sequence")?,
        time: row.get("time")?,
        kind: row.get("kind")?,
        json: row.get("json")?,
    })
}

fn sets(base: &Connection) -> rusqlite::Result<Vec<ReadingSet>> {
    let mut sets = all(base, "SELECT kind, channels FROM sets ORDER BY id", |row| {
        let channels = parse(&row.get::<_, String>(1)?)?;
        Ok(ReadingSet { kind: row.get(0)?, channels, rows: Vec::new() })
    })?;
    for (set, row) in all(base, "SELECT * FROM readings ORDER BY sequence", reading)? {
        if let Some(set) = sets.get_mut(set) {
            set.rows.push(row);
        }
    }
    Ok(sets)
}

fn reading(row: &Row) -> rusqlite::Result<(usize, ReadingRow)> {
    let times: Vec<u8> = row.get("times")?;
    let reading = ReadingRow {
        sequence: row.get("sequence")?,
        times: times.as_chunks().0.iter().map(|eight| i64::from_le_bytes(*eight)).collect(),
        validity: row.get("validity")?,
        whys: parse(&row.get::<_, String>("whys")?)?,
        value: row.get("value")?,
    };
    Ok((row.get::<_, i64>("set_id")? as usize, reading))
}
