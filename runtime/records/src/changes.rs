//! The change log: who wrote what, when, from which script; a JSON line per write, kept for good.

use crate::folder::storage;
use fodo_control::{Event, Observer, Time};
use fodo_report::{Diagnostic, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file of this many bytes gets a name with the time, and a new one is begun.
const FULL: u64 = 64 << 20;

/// Who writes, and from what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Writer {
    /// Login name.
    pub user: String,
    /// Computer.
    pub host: String,
    /// Role, where the facility has roles.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    /// Run id.
    pub run: String,
    /// The procedure, the script, the line typed at the prompt.
    pub title: String,
    /// SHA-256 of the script's text.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub script_sha256: String,
}

/// One write, as a line of the change log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeLine {
    /// Wall clock, ISO 8601 in UTC.
    pub time: String,
    /// Who, and from what.
    #[serde(flatten)]
    pub writer: Writer,
    /// The setpoint as people know it: `HCOR["C03-2"].kick`.
    pub name: String,
    /// Its channel.
    pub channel: String,
    /// Hardware value before.
    pub old: f64,
    /// Hardware value written.
    pub new: f64,
    /// Hardware unit.
    pub unit: String,
    /// `set`, `restore`, `undo`, `redo`, `recover`.
    pub why: String,
    /// What took it, where it is not the machine's own control system: `manual`, `twin`, …
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
}

impl ChangeLine {
    /// The family of the setpoint.
    pub fn family(&self) -> &str {
        self.name.split(['[', '.']).next().unwrap_or_default()
    }
}

/// The change log of a facility, written by one session. Files are made at the first write.
#[derive(Debug)]
pub struct ChangeLog {
    folder: PathBuf,
    facility: String,
    sources: BTreeMap<String, String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    writer: Writer,
    file: Option<File>,
}

impl ChangeLog {
    /// The log of a facility in a folder; `writer` writes.
    ///
    /// `sources` has the families that something else than the machine's control system answers for.
    pub fn new(folder: &Path, facility: &str, sources: BTreeMap<String, String>, writer: Writer) -> ChangeLog {
        let state = Mutex::new(State { writer, file: None });
        ChangeLog { folder: folder.to_path_buf(), facility: facility.replace('/', "_"), sources, state }
    }

    /// What is written from now on is of this run.
    pub fn begin(&self, run: &str, title: &str, script_sha256: &str) {
        let writer = &mut self.state.lock().unwrap_or_else(PoisonError::into_inner).writer;
        (writer.run, writer.title) = (run.to_string(), title.to_string());
        writer.script_sha256 = script_sha256.to_string();
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.jsonl", self.facility))
    }

    /// Appends one line in one call, so that sessions do not mix theirs.
    fn append(&self, state: &mut State, line: &ChangeLine) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = match state.file.take() {
            Some(file) => file,
            None => self.open(&mut text)?,
        };
        if file.write(&text)? < text.len() {
            return Err(std::io::Error::other("the disk is full"));
        }
        // put away when it is full; another session goes on in the old file and finds it full as well
        if file.metadata()?.len() < FULL {
            state.file = Some(file);
        } else if std::fs::metadata(self.path())?.len() >= FULL {
            let end = format!("{}-{}", Time::wall().0, std::process::id());
            std::fs::rename(self.path(), self.folder.join(format!("{}.{end}.jsonl", self.facility)))?;
        }
        Ok(())
    }

    /// Opens the file; a line that a full disk has cut off is ended first.
    fn open(&self, text: &mut Vec<u8>) -> std::io::Result<File> {
        std::fs::create_dir_all(&self.folder)?;
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(self.path())?;
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            text.insert(0, b'\n');
        }
        Ok(file)
    }

    /// All lines of a facility, oldest first, those put away as well; cut lines are left out.
    ///
    /// # Errors
    /// Kind `storage`: a file could not be read.
    pub fn read(folder: &Path, facility: &str) -> Result<Vec<ChangeLine>> {
        let cannot = |e: std::io::Error| storage(folder, "read the change log", e);
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
        let (plain, begin) = (facility.replace('/', "_"), format!("{}.", facility.replace('/', "_")));
        let ours = |name: &str| {
            let middle = name.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".jsonl"));
            name == format!("{plain}.jsonl")
                || middle.is_some_and(|m| m.chars().all(|c| c.is_ascii_digit() || c == '-'))
        };
        let mut lines: Vec<ChangeLine> = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            if !path.file_name().and_then(|name| name.to_str()).is_some_and(ours) {
                continue;
            }
            for line in BufReader::new(File::open(&path).map_err(cannot)?).split(b'\n') {
                lines.extend(serde_json::from_slice::<ChangeLine>(&line.map_err(cannot)?).ok());
            }
        }
        lines.sort_by(|a, b| a.time.cmp(&b.time));
        Ok(lines)
    }
}

impl Observer for ChangeLog {
    fn observe(&self, event: &Event) -> Result<()> {
        let Event::Write { name, channel, old, new, unit, why, .. } = event else { return Ok(()) };
        if *why == "rehearse" {
            return Ok(());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = ChangeLine {
            time: Time::wall().iso(),
            writer: state.writer.clone(),
            name: name.to_string(),
            channel: channel.to_string(),
            old: *old,
            new: *new,
            unit: unit.to_string(),
            why: why.to_string(),
            source: None,
        };
        line.source = self.sources.get(line.family()).cloned();
        self.append(&mut state, &line).map_err(|e| -> Box<Diagnostic> {
            state.file = None;
            storage(&self.folder, "keep the change log", e)
        })
    }
}

/// Tells several observers, all of them, and gives the first error.
pub struct All(pub Vec<Arc<dyn Observer>>);

impl Observer for All {
    fn observe(&self, event: &Event) -> Result<()> {
        let told: Vec<Result<()>> = self.0.iter().map(|observer| observer.observe(event)).collect();
        told.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(why: &'static str, new: f64) -> Event {
        let (name, channel, unit) = ("HCOR[\"a\"].kick".into(), "a".into(), "A".into());
        Event::Write { name, channel, old: 0.0, new, unit, time: Time(0), why }
    }

    #[test]
    fn lines_of_two_sessions_a_cut_line_and_a_rotated_file_are_read_in_order() {
        let folder = std::env::temp_dir().join(format!("fodo-changes-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&folder);
        let log = |user: &str| {
            let sources = BTreeMap::from([("HCOR".to_string(), "manual".to_string())]);
            let sources = if user == "b" { sources } else { BTreeMap::new() };
            let log = ChangeLog::new(&folder, "ring", sources, Writer { user: user.into(), ..Writer::default() });
            log.begin("1", "test", "abc");
            log
        };
        let (a, b) = (log("a"), log("b"));
        a.observe(&write("rehearse", 9.0)).unwrap();
        assert!(!folder.exists());
        a.observe(&write("set", 1.0)).unwrap();
        b.observe(&write("set", 2.0)).unwrap();
        std::fs::rename(folder.join("ring.jsonl"), folder.join("ring.17-4.jsonl")).unwrap();
        std::fs::write(folder.join("ring.jsonl"), "{\"time\":\"20").unwrap();
        std::fs::write(folder.join("ring.other.jsonl"), "{}\n").unwrap();
        log("c").observe(&write("undo", 3.0)).unwrap();
        let lines = ChangeLog::read(&folder, "ring").unwrap();
        let found: Vec<_> = lines.iter().map(|l| (l.writer.user.as_str(), l.new, l.why.as_str(), l.family())).collect();
        assert_eq!(found, [("a", 1.0, "set", "HCOR"), ("b", 2.0, "set", "HCOR"), ("c", 3.0, "undo", "HCOR")]);
        let sources: Vec<_> = lines.iter().map(|l| l.source.as_deref()).collect();
        assert_eq!(sources, [None, Some("manual"), None]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
