//! The journal: old and new hardware values on disk before anything is written.
//!
//! One file for each transaction that writes, JSON lines, append only. The owner holds a lock on
//! it; a file without owner is an interrupted run. Old values are synced to the disk once per
//! savepoint before its first write; the values written since survive the end of the process,
//! and a power failure costs at most the knowledge of the last ones (such a channel is then left
//! and reported, never guessed).

use crate::{RunInfo, Setpoint};
use fodo_report::{Diagnostic, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where journals live.
#[derive(Clone, Debug)]
pub struct JournalFolder(pub PathBuf);

/// One line of a journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Begin(RunInfo),
    Before(Vec<Held>),
    Change(Entry),
    End(String),
}

/// What a setpoint that the run may change held when it began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub name: Arc<str>,
    pub channel: Arc<str>,
    pub unit: Arc<str>,
    pub value: f64,
}

impl Held {
    pub fn new(setpoint: &Setpoint, value: f64) -> Held {
        let Setpoint { name, channel, unit, .. } = setpoint;
        Held { name: name.clone(), channel: channel.clone(), unit: unit.clone(), value }
    }

    /// In words, if it holds something else now.
    pub fn changed(&self, now: f64) -> Option<String> {
        let Held { name, unit, value, .. } = self;
        (!crate::setpoint::same(now, *value)).then(|| format!("{name} ({value} to {now} {unit})"))
    }
}

/// A change as the journal holds it: raw hardware values and all that putting back needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub name: Arc<str>,
    pub family: Arc<str>,
    pub channel: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub readback: Option<Arc<str>>,
    pub unit: Arc<str>,
    pub tolerance: f64,
    pub arrival: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate: Option<f64>,
    pub old: f64,
    pub new: f64,
}

impl Entry {
    pub fn new(setpoint: &Setpoint, old: f64, new: f64) -> Entry {
        Entry {
            name: setpoint.name.clone(),
            family: setpoint.family.clone(),
            channel: setpoint.channel.clone(),
            readback: setpoint.readback.clone(),
            unit: setpoint.unit.clone(),
            tolerance: setpoint.tolerance,
            arrival: setpoint.arrival.as_secs_f64(),
            rate: setpoint.rate,
            old,
            new,
        }
    }

    pub fn setpoint(&self) -> Setpoint {
        Setpoint {
            name: self.name.clone(),
            family: self.family.clone(),
            channel: self.channel.clone(),
            readback: self.readback.clone(),
            unit: self.unit.clone(),
            limits: (f64::NEG_INFINITY, f64::INFINITY),
            tolerance: self.tolerance,
            arrival: Duration::from_secs_f64(self.arrival),
            rate: self.rate,
            physics: None,
        }
    }
}

/// An open journal; locked as long as it lives.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

fn storage(path: &Path, doing: &str, error: &std::io::Error) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Storage, format!("the journal {} could not be {doing}: {error}", path.display()))
        .hint("nothing is written to a machine without its journal; make room, or choose another data folder (--data DIR or FODO_DATA)")
        .into()
}

impl Journal {
    /// Starts the journal of a run.
    pub fn create(folder: &JournalFolder, info: &RunInfo, before: Vec<Held>) -> Result<Journal> {
        let path = folder.0.join(format!("{}.journal", info.run));
        std::fs::create_dir_all(&folder.0).map_err(|e| storage(&path, "made", &e))?;
        let file =
            OpenOptions::new().create_new(true).append(true).open(&path).map_err(|e| storage(&path, "made", &e))?;
        file.lock().map_err(|e| storage(&path, "locked", &e))?;
        let mut journal = Journal { file, path };
        journal.append(&[Line::Begin(info.clone()), Line::Before(before)])?;
        Ok(journal)
    }

    /// Takes over the journal of a dead run; `None` while its owner lives.
    pub fn adopt(path: &Path) -> Result<Option<(Journal, Vec<Line>)>> {
        let failed = |e: &std::io::Error| storage(path, "read", e);
        let file = OpenOptions::new().read(true).append(true).open(path).map_err(|e| failed(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(e)) => return Err(failed(&e)),
        }
        let mut lines = Vec::new();
        for line in BufReader::new(&file).lines() {
            // a torn last line is a change that was never written: the write follows the line
            match serde_json::from_str(&line.map_err(|e| failed(&e))?) {
                Ok(line) => lines.push(line),
                Err(_) => break,
            }
        }
        Ok(Some((Journal { file, path: path.to_path_buf() }, lines)))
    }

    pub fn append(&mut self, lines: &[Line]) -> Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)
                .map_err(|e| Diagnostic::new(Kind::Internal, format!("a journal line could not be made: {e}")))?;
            text.push(b'\n');
        }
        self.file.write_all(&text).map_err(|e| storage(&self.path, "written", &e))
    }

    pub fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| storage(&self.path, "synced", &e))
    }

    /// The run has ended and nothing is left to put back: the file goes.
    pub fn close(mut self, how: &str) -> Result<()> {
        // on a full disk the file can still go
        _ = self.append(&[Line::End(how.to_string())]);
        std::fs::remove_file(&self.path).map_err(|e| storage(&self.path, "removed", &e))
    }

    /// The run is dealt with, but something of it still stands: the file stays under another name.
    pub fn keep(mut self, how: &str) -> Result<()> {
        _ = self.append(&[Line::End(how.to_string())]);
        let kept = self.path.with_extension("recovered");
        std::fs::rename(&self.path, kept).map_err(|e| storage(&self.path, "renamed", &e))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}
