//! Runs of one session beside each other: what they share, and that they stay out of each other's way.

use crate::branch::Branches;
use crate::history::History;
use crate::marks::Marks;
use crate::session::Session;
use crate::{Cancel, Change, WriteMode};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a session has changed, whichever of its runs did it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    pub history: History,
    pub marks: Marks,
    pub branches: Branches,
}

/// What a run works on, by families.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Who: `task 1 (correct_orbit)`.
    pub title: String,
    /// Families it may change.
    pub changes: BTreeSet<Arc<str>>,
    /// Families it reads.
    pub reads: BTreeSet<Arc<str>>,
}

impl Work {
    /// The first family that keeps two runs from going on at once: one changes what the other changes or reads, or both
    /// change something and look at the same.
    fn meets(&self, other: &Work) -> Option<&Arc<str>> {
        let both_change = !self.changes.is_empty() && !other.changes.is_empty();
        let changed = self.changes.iter().find(|family| other.has(family));
        let read = self
            .reads
            .iter()
            .find(|family| other.changes.contains(*family) || (both_change && other.reads.contains(*family)));
        changed.or(read)
    }

    fn has(&self, family: &Arc<str>) -> bool {
        self.changes.contains(family) || self.reads.contains(family)
    }
}

/// The sessions beside each other, counted, and what each works on.
#[derive(Debug, Default)]
pub(crate) struct Works(Mutex<(u64, Vec<(u64, Work)>)>);

impl Works {
    /// A number for one more session.
    pub fn number(&self) -> u64 {
        let mut all = self.all();
        all.0 += 1;
        all.0
    }

    fn all(&self) -> MutexGuard<'_, (u64, Vec<(u64, Work)>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// A session on the same machine for a run beside this one, with the same past and no more rights, stopped by a token
    /// of its own.
    pub fn beside(&self, mode: WriteMode, cancel: Cancel) -> Session {
        let (backend, options) = (self.backend.clone(), self.options.clone());
        let beside = Session::among(self.works.clone(), backend, mode, cancel, options);
        beside.owned_by(self.owners().iter().map(|(owner, _)| owner.clone()).collect());
        let mut state = beside.state();
        let ours = self.state();
        state.guard = ours.guard.clone();
        state.acting = ours.acting.clone();
        state.past = ours.past.clone();
        state.rehearsed = ours.rehearsed.clone();
        state.arrived = ours.arrived;
        drop(ours);
        drop(state);
        beside
    }

    /// Keeps families for this session, until it lets go of them or its run has ended; whether it kept none before.
    ///
    /// # Errors
    /// Kind `rights`: the run of a session beside it works on one of them.
    pub fn claim(&self, work: Work) -> Result<bool> {
        let mut all = self.works.all();
        let others = all.1.iter().filter(|(number, _)| *number != self.number);
        if let Some((family, other)) = others.filter_map(|(_, other)| Some((work.meets(other)?, other))).next() {
            let what = format!("{} cannot run beside {}: both work on {family}", work.title, other.title);
            return Err(Diagnostic::new(Kind::Rights, what).hint(WAIT).into());
        }
        let own = all.1.iter_mut().find(|(number, _)| *number == self.number);
        let first = own.is_none();
        match own {
            Some((_, own)) => {
                own.changes.extend(work.changes);
                own.reads.extend(work.reads);
            }
            None => all.1.push((self.number, work)),
        }
        Ok(first)
    }

    /// Lets go of all families.
    pub fn unclaim(&self) {
        self.works.all().1.retain(|(number, _)| *number != self.number);
    }

    /// Refuses changes to families that a session beside this one works on.
    pub(crate) fn not_claimed(&self, changes: &[Change]) -> Result<()> {
        let all = self.works.all();
        for (_, work) in all.1.iter().filter(|(number, _)| *number != self.number) {
            if let Some(change) = changes.iter().find(|change| work.has(&change.setpoint.family)) {
                let what = format!("{} works on {}; nothing was written", work.title, change.setpoint.family);
                return Err(Diagnostic::new(Kind::Rights, what).hint(WAIT).into());
            }
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.unclaim();
    }
}

const WAIT: &str = "`tasks()` lists what runs; wait until it has ended, or stop it";
