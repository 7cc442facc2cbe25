//! One run's changes: what was touched, what it held before, how to put it back.

use crate::branch::off_branch;
use crate::journal::{Entry, Journal, Line};
use crate::setpoint::same;
use crate::{Change, Channel, RunInfo, Setpoint};
use fodo_report::Result;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A place in a run to which it can return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Savepoint(pub(crate) usize);

/// One write of a run.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub setpoint: Arc<Setpoint>,
    pub old: f64,
}

/// The values that Fodo wrote last and before that: the last may have been cut short.
pub(crate) type Written = [f64; 2];

/// A setpoint that stands changed, its hardware value before and now.
pub type Standing = (Arc<Setpoint>, f64, f64);

/// The changes of one run.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub info: RunInfo,
    pub journal: Option<Journal>,
    /// Every write, in order.
    pub steps: Vec<Step>,
    /// What Fodo wrote, by channel.
    pub written: HashMap<Channel, Written>,
    /// Channels whose last write has arrived.
    pub arrived: HashSet<Channel>,
    /// Whether old values are on disk since the last savepoint.
    pub synced: bool,
    /// Setpoints of the families the run may change, with what they held when it began.
    pub before: Vec<(Arc<Setpoint>, f64)>,
    /// What was changed up to here stays, however the run ends.
    pub kept: Savepoint,
    /// Setpoints whose magnets the run took off the branch of their hysteresis.
    pub left: Vec<Arc<Setpoint>>,
    /// Every setpoint that a rehearsal would have moved, with the lowest and highest value it would have had.
    pub rehearsed: BTreeMap<Channel, Standing>,
}

impl Transaction {
    pub fn new(info: RunInfo) -> Transaction {
        Transaction {
            info,
            journal: None,
            steps: Vec::new(),
            written: HashMap::new(),
            arrived: HashSet::new(),
            synced: false,
            before: Vec::new(),
            kept: Savepoint(0),
            left: Vec::new(),
            rehearsed: BTreeMap::new(),
        }
    }

    /// Notes where a rehearsal would have brought setpoints.
    pub fn rehearse(&mut self, changes: &[Change], olds: &[f64]) {
        for (change, old) in changes.iter().zip(olds) {
            let new = || (change.setpoint.clone(), *old, *old);
            let (_, low, high) = self.rehearsed.entry(change.setpoint.channel.clone()).or_insert_with(new);
            (*low, *high) = (low.min(change.value), high.max(change.value));
        }
    }

    /// Puts changes on record, on disk if there is a journal, before they are written.
    pub fn record(&mut self, changes: &[Change], olds: &[f64]) -> Result<()> {
        if let Some(journal) = &mut self.journal {
            let lines: Vec<Line> = changes
                .iter()
                .zip(olds)
                .map(|(change, old)| Line::Change(Entry::new(&change.setpoint, *old, change.value)))
                .collect();
            journal.append(&lines)?;
            if !self.synced {
                journal.sync()?;
                self.synced = true;
            }
        }
        for (change, &old) in changes.iter().zip(olds) {
            let previous = self.written.get(&change.setpoint.channel).map_or(old, |w| w[0]);
            self.written.insert(change.setpoint.channel.clone(), [change.value, previous]);
            self.arrived.remove(&change.setpoint.channel);
            self.steps.push(Step { setpoint: change.setpoint.clone(), old });
        }
        Ok(())
    }

    /// What has to be written to be as at `savepoint`: last changed first.
    pub fn back_to(&self, savepoint: Savepoint) -> Vec<Change> {
        let mut first: HashMap<&Channel, usize> = HashMap::new();
        for (place, step) in self.steps.iter().enumerate().skip(savepoint.0) {
            first.entry(&step.setpoint.channel).or_insert(place);
        }
        let mut places: Vec<usize> = first.into_values().collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        places
            .into_iter()
            .map(|place| Change { setpoint: self.steps[place].setpoint.clone(), value: self.steps[place].old })
            .collect()
    }

    /// What a channel should hold: what was written last, or what the run found when it began.
    pub fn expected(&self, channel: &Channel) -> Option<f64> {
        let found = || self.before.iter().find(|(s, _)| s.channel == *channel).map(|(_, value)| *value);
        self.written.get(channel).map(|written| written[0]).or_else(found)
    }

    /// Setpoints that stand changed, with their values before the run and now.
    pub fn standing(&self) -> Vec<Standing> {
        self.back_to(Savepoint(0))
            .into_iter()
            .rev()
            .filter_map(|change| {
                let now = self.written.get(&change.setpoint.channel)?[0];
                (now != change.value).then_some((change.setpoint, change.value, now))
            })
            .collect()
    }
}

/// What became of putting setpoints back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Putback {
    /// Put back, or found at their old value already.
    pub restored: usize,
    /// Left alone because they hold neither the old value nor one that Fodo wrote.
    pub left: Vec<String>,
    /// Could not be reached or refused.
    pub failed: Vec<String>,
    /// Not touched by the run, but changed by somebody else while it ran.
    pub others: Vec<String>,
    /// Not touched by the run, and could not be read: whether somebody else changed them is not known.
    pub unread: Vec<String>,
    /// Were out of reach at first, and came back: their server may have been restarted.
    pub came_back: usize,
    /// Left as they are by a panic stop.
    pub held: usize,
    /// Stay changed, because a loop said so of its whole passes.
    pub kept: usize,
    /// Setpoints of magnets that are off the branch they were cycled onto, wherever their setpoints are.
    pub off_branch: Vec<String>,
    /// Where the journal is kept for `fodo recover`, if something is left to do.
    pub journal: Option<String>,
}

impl Putback {
    /// Whether everything that the run changed is back.
    pub fn complete(&self) -> bool {
        self.left.is_empty() && self.failed.is_empty() && self.held == 0
    }
}

impl std::fmt::Display for Putback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.restored, self.complete()) {
            _ if self.kept == 1 => f.write_str("1 setpoint stays as the last whole pass left it")?,
            _ if self.kept > 0 => write!(f, "{} setpoints stay as the last whole pass left them", self.kept)?,
            _ if self.held > 0 => write!(f, "panic stop: {} stay as the run left them", counted(self.held))?,
            (0, true) => f.write_str("no setpoint was changed")?,
            (1, true) => f.write_str("1 setpoint was changed and is back at its value before the run")?,
            (n, true) => write!(f, "{n} setpoints were changed and are back at their values before the run")?,
            (n, false) => write!(f, "{n} setpoints are back at their values before the run")?,
        }
        if !self.left.is_empty() {
            write!(f, "; left alone, because somebody else moved them: {}", self.left.join(", "))?;
        }
        if !self.failed.is_empty() {
            write!(f, "; NOT put back: {}", self.failed.join(", "))?;
        }
        if !self.others.is_empty() {
            write!(f, "; changed by others during the run: {}", self.others.join(", "))?;
        }
        if !self.unread.is_empty() {
            write!(f, "; not touched by the run, and out of reach now: {}", self.unread.join(", "))?;
        }
        if let Some(told) = off_branch(&self.off_branch) {
            write!(f, "; magnets {told}")?;
        }
        match &self.journal {
            Some(_) => f.write_str("; `fodo recover` shows what is left and puts it back with --write"),
            None => Ok(()),
        }
    }
}

fn counted(setpoints: usize) -> String {
    if setpoints == 1 { "1 setpoint".into() } else { format!("{setpoints} setpoints") }
}

/// What to do with a channel that Fodo changed, when it is to be put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds the old value already.
    Already,
    /// It holds a value that Fodo wrote.
    PutBack,
    /// It holds something else: somebody moved it.
    Leave,
}

pub(crate) fn judge(present: f64, old: f64, written: Written) -> Verdict {
    // a value that differs from the old one by a rounding, and that Fodo wrote, goes back to the last bit
    if present == old {
        Verdict::Already
    } else if written.iter().any(|w| same(present, *w)) {
        Verdict::PutBack
    } else if same(present, old) {
        Verdict::Already
    } else {
        Verdict::Leave
    }
}
