//! After a kill or a power failure: what an interrupted run left changed.

use crate::journal::{Entry, Held, Journal, Line};
use crate::restore::compared;
use crate::transaction::{Putback, Verdict, Written, judge};
use crate::{Change, Channel, Fault, JournalFolder, RunInfo, Session};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// Finds the runs of a data folder that ended without saying so.
#[derive(Debug)]
pub struct Recovery {
    /// The interrupted runs, newest first: that is the order in which they are put back.
    pub runs: Vec<Interrupted>,
}

/// A run that ended without saying so, held by this process as long as this lives.
#[derive(Debug)]
pub struct Interrupted {
    /// Which run it was.
    pub info: RunInfo,
    journal: Journal,
    before: Vec<Held>,
    changes: Vec<Entry>,
    written: HashMap<Channel, Written>,
}

/// What would become of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The setpoint as people know it.
    pub name: Arc<str>,
    /// Hardware unit.
    pub unit: Arc<str>,
    /// Before the run.
    pub old: f64,
    /// What Fodo wrote last; nothing where it touched nothing.
    pub written: Option<f64>,
    /// What it holds now, or why that is not known.
    pub present: Result<f64, Fault>,
    /// `put back`, `already back`, `left: somebody else moved it`, `left: not touched by the run`, `unknown`.
    pub verdict: &'static str,
}

impl Recovery {
    /// Looks through a folder of journals.
    pub fn scan(folder: &JournalFolder) -> Result<Recovery> {
        let mut runs = Vec::new();
        let Ok(files) = std::fs::read_dir(&folder.0) else { return Ok(Recovery { runs }) };
        let mut paths: Vec<_> =
            files.flatten().map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "journal")).collect();
        paths.sort();
        for path in paths {
            let Some((journal, lines)) = Journal::adopt(&path)? else { continue };
            if let Some(run) = Interrupted::from_lines(journal, lines)? {
                runs.push(run);
            }
        }
        // newest first: what an earlier run wrote is what a later one found
        runs.sort_by(|a, b| b.info.start.total_cmp(&a.info.start));
        Ok(Recovery { runs })
    }
}

impl Interrupted {
    fn from_lines(journal: Journal, lines: Vec<Line>) -> Result<Option<Interrupted>> {
        let mut info = None;
        let mut before = Vec::new();
        let mut changes: Vec<Entry> = Vec::new();
        let mut written: HashMap<Channel, Written> = HashMap::new();
        for line in lines {
            match line {
                Line::Begin(begun) => info = Some(begun),
                Line::Before(held) => before = held,
                Line::End(how) => {
                    journal.close(&how)?;
                    return Ok(None);
                }
                Line::Change(entry) => {
                    let previous = written.get(&entry.channel).map_or(entry.old, |w| w[0]);
                    written.insert(entry.channel.clone(), [entry.new, previous]);
                    if !changes.iter().any(|known| known.channel == entry.channel) {
                        changes.push(entry);
                    }
                }
            }
        }
        if changes.is_empty() {
            journal.close("nothing was written")?;
            return Ok(None);
        }
        let info = info.ok_or_else(|| {
            Diagnostic::new(Kind::Storage, format!("the journal {} has no beginning", journal.path().display()))
        })?;
        before.retain(|held| !written.contains_key(&held.channel));
        Ok(Some(Interrupted { info, journal, before, changes, written }))
    }

    /// Channels it touched.
    pub fn channels(&self) -> Vec<Channel> {
        self.changes.iter().map(|entry| entry.channel.clone()).collect()
    }

    /// What each channel holds now and what would become of it, then what others changed or nobody can read; writes nothing.
    pub fn inspect(&self, session: &Session) -> Result<Vec<Outcome>> {
        let present = session.look(&self.channels())?;
        let touched = self.changes.iter().zip(present).map(|(entry, present)| self.outcome(entry, present));
        let beside = self.before.iter().zip(self.untouched(session)?).filter_map(|(held, present)| {
            let verdict = match &present {
                Err(_) => "unknown",
                Ok(now) if held.changed(*now).is_some() => "left: not touched by the run",
                Ok(_) => return None,
            };
            let (name, unit) = (held.name.clone(), held.unit.clone());
            Some(Outcome { name, unit, old: held.value, written: None, present, verdict })
        });
        Ok(touched.chain(beside).collect())
    }

    /// What the setpoints hold now that the run might have changed and did not.
    fn untouched(&self, session: &Session) -> Result<Vec<Result<f64, Fault>>> {
        let channels: Vec<Channel> = self.before.iter().map(|held| held.channel.clone()).collect();
        session.look(&channels)
    }

    fn outcome(&self, entry: &Entry, present: Result<f64, Fault>) -> Outcome {
        let written = self.written.get(&entry.channel).copied().unwrap_or([f64::NAN; 2]);
        let verdict = match &present {
            Err(_) => "unknown",
            Ok(value) => match judge(*value, entry.old, written) {
                Verdict::Already => "already back",
                Verdict::PutBack => "put back",
                Verdict::Leave => "left: somebody else moved it",
            },
        };
        let (name, unit) = (entry.name.clone(), entry.unit.clone());
        Outcome { name, unit, old: entry.old, written: Some(written[0]), present, verdict }
    }

    /// Puts back what still holds a value of the run, last changed first.
    pub fn put_back(self, session: &Session) -> Result<Putback> {
        let change = |entry: &Entry| Change { setpoint: Arc::new(entry.setpoint()), value: entry.old };
        let back: Vec<Change> = self.changes.iter().rev().map(change).collect();
        let (others, unread) = compared(&self.before, self.untouched(session)?.into_iter());
        let putback = session.recover(self.info, self.journal, &back, &self.written)?;
        Ok(Putback { others, unread, ..putback })
    }
}
