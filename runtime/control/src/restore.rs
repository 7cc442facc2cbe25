//! Putting back: after a run, to a savepoint, by undo and redo, after a kill.

use crate::history::{Committed, History};
use crate::journal::{Held, Journal};
use crate::session::{Asked, NOW, Session, WriteMode, listed, stopped};
use crate::transaction::{Putback, Savepoint, Transaction, Verdict, Written, judge};
use crate::{Cancel, Change, Channel, Fault, RunInfo, Stopped};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashMap;
use std::time::{Duration, Instant};

impl Session {
    /// Goes back to a savepoint of the present run.
    pub fn restore_to(&self, savepoint: Savepoint) -> Putback {
        let state = self.state();
        let Some(transaction) = &state.transaction else { return Putback::default() };
        let back = transaction.back_to(savepoint);
        let written = transaction.written.clone();
        drop(state);
        if back.is_empty() {
            return Putback::default();
        }
        let putback = self.put_back(&back, &written, "restore");
        if let Some(transaction) = self.state().transaction.as_mut().filter(|t| savepoint < t.kept) {
            // it went back behind what was to be kept: that is what stays now
            transaction.kept = Savepoint(transaction.steps.len());
        }
        if self.mode() == WriteMode::Rehearse {
            return putback;
        }
        // a record that cannot be kept says so when it is finished
        _ = self.mark("restored", putback.to_string());
        putback
    }

    /// The same for a part of a run that has to leave nothing behind.
    ///
    /// # Errors
    /// Kind `machine`: not everything is back; `failed` says so. `stopped`: a panic stop.
    pub fn return_to(&self, savepoint: Savepoint, failed: &str) -> Result<()> {
        let putback = self.restore_to(savepoint);
        match putback.complete() {
            true if putback.came_back > 0 => {
                let what = format!("the connection to {} setpoints was lost and came back", putback.came_back);
                let hint = "see how the machine stands, then run again: their server may have been restarted";
                Err(Diagnostic::new(Kind::Machine, what).hint(hint).into())
            }
            true => Ok(()),
            false if self.cancel.is_held() => Err(stopped(Stopped)),
            false => Err(Diagnostic::new(Kind::Machine, failed).detail(putback.to_string()).into()),
        }
    }

    fn forget_rehearsed(&self, back: &[Change]) -> Putback {
        let mut state = self.state();
        for change in back {
            state.rehearsed.insert(change.setpoint.channel.clone(), change.value);
            if let Some(transaction) = &mut state.transaction {
                transaction.written.insert(change.setpoint.channel.clone(), [change.value; 2]);
            }
        }
        Putback { restored: back.len(), ..Putback::default() }
    }

    /// Puts channels back that still hold what Fodo wrote; lists the others.
    pub(crate) fn put_back(&self, back: &[Change], written: &HashMap<Channel, Written>, why: &'static str) -> Putback {
        if self.mode() == WriteMode::Rehearse {
            return self.forget_rehearsed(back);
        }
        if self.cancel.is_held() {
            // what was announced last may not have gone out
            let arrived = self.state().transaction.as_ref().map(|t| t.arrived.clone()).unwrap_or_default();
            let stands = |change: &&Change| {
                let channel = &change.setpoint.channel;
                !(arrived.contains(channel) && written.get(channel).is_some_and(|w| w[0] == change.value))
            };
            return Putback { held: back.iter().filter(stands).count(), ..Putback::default() };
        }
        let cancel = self.cancel.shielded();
        let channels: Vec<Channel> = back.iter().map(|c| c.setpoint.channel.clone()).collect();
        let mut putback = Putback::default();
        let absent = |answers: Vec<Asked>| answers.iter().filter(|a| a.as_ref().is_err_and(|f| f.absent)).count();
        putback.came_back = self.ask(&channels, NOW, &cancel).map_or(0, absent);
        let present = match self.await_channels(&channels, self.reconnected_by(), &cancel) {
            Ok(present) => present,
            Err(error) => {
                putback.failed = back.iter().map(|c| format!("{} ({error})", c.setpoint.name)).collect();
                return putback;
            }
        };
        let arrived = self.state().transaction.as_ref().map(|t| t.arrived.clone()).unwrap_or_default();
        let mut todo = Vec::new();
        let mut olds = Vec::new();
        for (change, answer) in back.iter().zip(present) {
            let name = &change.setpoint.name;
            let ours = written.get(&change.setpoint.channel).copied().unwrap_or([f64::NAN; 2]);
            match answer {
                // out of reach, but it was put back earlier in the run, and arrived
                Err(_) if ours[0] == change.value && arrived.contains(&change.setpoint.channel) => {
                    putback.restored += 1
                }
                Err(fault) => putback.failed.push(format!("{name} ({})", fault.reason)),
                Ok((value, _)) => match judge(value, change.value, ours) {
                    Verdict::Already => {
                        putback.restored += 1;
                        // what was announced last did not go out; it may still come
                        if let Some(transaction) = &mut self.state().transaction {
                            transaction.written.insert(change.setpoint.channel.clone(), [value, ours[0]]);
                        }
                    }
                    Verdict::Leave => putback.left.push(moved(change, value)),
                    Verdict::PutBack => {
                        todo.push(change.clone());
                        olds.push(value);
                    }
                },
            }
        }
        if !todo.is_empty() {
            match self.put(&todo, &olds, why, &cancel) {
                Ok(()) => putback.restored += todo.len(),
                Err(error) => self.count_failed(&todo, &error, &mut putback),
            }
        }
        putback.off_branch = self.state().past().branches.off(back.iter().map(|change| &change.setpoint));
        putback
    }

    /// After a putting back that failed in part: which channels hold their old value all the same?
    ///
    /// Looking goes on where putting back was stopped, until it is stopped once more.
    fn count_failed(&self, todo: &[Change], error: &Diagnostic, putback: &mut Putback) {
        let channels: Vec<Channel> = todo.iter().map(|c| c.setpoint.channel.clone()).collect();
        let answers = self.ask(&channels, NOW, &self.cancel.shielded()).unwrap_or_default();
        for (place, change) in todo.iter().enumerate() {
            match answers.get(place) {
                Some(Ok((value, _))) if crate::setpoint::same(*value, change.value) => putback.restored += 1,
                _ => putback.failed.push(format!("{} ({error})", change.setpoint.name)),
            }
        }
    }

    /// Until when channels that are lost now are waited for.
    fn reconnected_by(&self) -> Instant {
        Instant::now() + self.options.reconnect.unwrap_or(Duration::from_secs(10))
    }

    /// Asks channels, waiting for lost ones to come back.
    fn await_channels(&self, channels: &[Channel], until: Instant, cancel: &Cancel) -> Result<Vec<Asked>> {
        loop {
            let answers = self.ask(channels, NOW, cancel)?;
            let absent = answers.iter().any(|a| a.as_ref().is_err_and(|fault| fault.absent));
            let left = until.saturating_duration_since(Instant::now());
            if !absent || left.is_zero() {
                return Ok(answers);
            }
            self.backend.connect(channels, left.min(Duration::from_secs(2)), cancel).map_err(stopped)?;
            cancel.wait(Duration::from_millis(100)).map_err(stopped)?;
        }
    }

    /// What the run has changed so far stays, however it ends; only a panic stop or a kill leaves that to `recover`.
    pub fn keep_so_far(&self) {
        if let Some(transaction) = &mut self.state().transaction {
            transaction.kept = Savepoint(transaction.steps.len());
        }
    }

    /// Ends the run and puts everything back, but for what was to be kept.
    pub fn abort(&self) -> Putback {
        let rehearsed = self.mode() == WriteMode::Rehearse;
        let until = self.reconnected_by();
        let kept = self.state().transaction.as_ref().map_or(Savepoint(0), |transaction| transaction.kept);
        self.unwatch_all();
        let mut putback = self.restore_to(kept);
        if !rehearsed && !self.cancel.is_held() {
            (putback.others, putback.unread) = self.changed_by_others(until);
        }
        let left = self.off_branch();
        putback
            .off_branch
            .extend(left.into_iter().filter(|name| !putback.off_branch.contains(name)).collect::<Vec<_>>());
        let (transaction, _leases) = {
            let mut state = self.state();
            state.rights.clear();
            let transaction = state.transaction.take();
            let keeps = kept > Savepoint(0) && putback.complete() && state.mode == WriteMode::Write;
            if let Some(transaction) = transaction.as_ref().filter(|_| keeps) {
                let RunInfo { title, start, .. } = transaction.info.clone();
                let changes = transaction.standing();
                putback.kept = changes.len();
                if !changes.is_empty() {
                    state.past().history.push(Committed { title, start, changes });
                }
            }
            (transaction, std::mem::take(&mut state.leases))
        };
        self.unclaim();
        if rehearsed {
            // nothing was written
            return Putback::default();
        }
        if let Some(journal) = transaction.and_then(|t| t.journal) {
            if putback.complete() {
                // the machine is as before; a journal that cannot be removed only makes `recover` say so
                _ = journal.close(if putback.kept > 0 { "kept" } else { "restored" });
            } else {
                putback.journal = Some(journal.path().display().to_string());
            }
        }
        putback
    }

    /// What others changed of the setpoints that the run might have changed and did not, and what could not be read.
    fn changed_by_others(&self, until: Instant) -> (Vec<String>, Vec<String>) {
        let watched: Vec<Held> = {
            let state = self.state();
            let Some(transaction) = &state.transaction else { return Default::default() };
            let untouched = transaction.before.iter().filter(|(s, _)| !transaction.written.contains_key(&s.channel));
            untouched.map(|(setpoint, before)| Held::new(setpoint, *before)).collect()
        };
        let channels: Vec<Channel> = watched.iter().map(|held| held.channel.clone()).collect();
        match self.await_channels(&channels, until, &self.cancel.shielded()) {
            Ok(answers) => compared(&watched, answers.into_iter().map(|answer| answer.map(|(value, _)| value))),
            Err(error) => (Vec::new(), vec![format!("{} setpoints ({error})", watched.len())]),
        }
    }

    /// What undo would put back.
    pub fn undoable(&self) -> Option<Committed> {
        self.state().past().history.done.last().cloned()
    }

    /// What redo would set again.
    pub fn redoable(&self) -> Option<Committed> {
        self.state().past().history.undone.last().cloned()
    }

    /// What the session has changed, oldest first.
    pub fn history(&self) -> Vec<Committed> {
        self.state().past().history.done.clone()
    }

    /// Puts back the last committed run where its setpoints still stand as it left them.
    pub fn undo(&self) -> Result<Putback> {
        self.turn("undo", |history| (&mut history.done, &mut history.undone), Committed::clone)
    }

    /// Sets again what undo put back.
    pub fn redo(&self) -> Result<Putback> {
        self.turn("redo", |history| (&mut history.undone, &mut history.done), Committed::reversed)
    }

    /// Replays the last run of one list, which then stands in the other.
    fn turn(
        &self,
        why: &'static str,
        lists: fn(&mut History) -> (&mut Vec<Committed>, &mut Vec<Committed>),
        backwards: fn(&Committed) -> Committed,
    ) -> Result<Putback> {
        let last = lists(&mut self.state().past().history).0.pop().ok_or_else(|| nothing_to(why))?;
        let putback = self.replay(&backwards(&last), why);
        let state = self.state();
        let mut past = state.past();
        let (from, to) = lists(&mut past.history);
        if putback.is_ok() { to } else { from }.push(last);
        putback
    }

    /// Puts the setpoints of a committed run to their `before`, where they still hold its `after`.
    fn replay(&self, run: &Committed, why: &'static str) -> Result<Putback> {
        if !self.standing().is_empty() {
            let message = format!("{why} cannot stand in a run that has changed something itself");
            return Err(Diagnostic::new(Kind::Script, message).hint("type it on a line of its own").into());
        }
        let back: Vec<Change> = run
            .changes
            .iter()
            .rev()
            .map(|(setpoint, before, _)| Change { setpoint: setpoint.clone(), value: *before })
            .collect();
        if self.mode() == WriteMode::Rehearse {
            self.write(&back)?;
            return Ok(Putback { restored: back.len(), ..Putback::default() });
        }
        self.allowed(&back)?;
        let written = run.changes.iter().map(|(setpoint, _, after)| (setpoint.channel.clone(), [*after; 2])).collect();
        let putback = self.put_back(&back, &written, why);
        // undoing is not a change of its own: it would be undone by the next undo
        if let Some(transaction) = &mut self.state().transaction {
            transaction.steps.clear();
            transaction.written.clear();
            // it is told with what was put back
            transaction.left.clear();
        }
        Ok(putback)
    }

    /// For recovery: puts back what an interrupted run left, inside a run of its own journal.
    pub(crate) fn recover(
        &self,
        info: RunInfo,
        journal: Journal,
        back: &[Change],
        written: &HashMap<Channel, Written>,
    ) -> Result<Putback> {
        if self.mode() != WriteMode::Write {
            return Err(Diagnostic::new(Kind::Rights, "this session is read-only; nothing was written").into());
        }
        let mut transaction = Transaction::new(info);
        transaction.journal = Some(journal);
        self.state().transaction = Some(transaction);
        if let Err(error) = self.lease(back) {
            self.state().transaction = None;
            return Err(Box::new(error.machine("nothing was put back")));
        }
        let mut putback = self.put_back(back, written, "recover");
        let (transaction, _leases) = {
            let mut state = self.state();
            (state.transaction.take(), std::mem::take(&mut state.leases))
        };
        let journal = transaction.and_then(|t| t.journal);
        if let Some(journal) = journal {
            match (putback.failed.is_empty(), putback.left.is_empty()) {
                (true, true) => journal.close("recovered")?,
                // what was left is the operator's to decide; the file says what it was
                (true, false) => journal.keep("recovered, with setpoints left alone")?,
                (false, _) => putback.journal = Some(journal.path().display().to_string()),
            }
        }
        Ok(putback)
    }
}

/// Which setpoints hold something else than they did, and which could not be read.
pub(crate) fn compared(before: &[Held], now: impl Iterator<Item = Result<f64, Fault>>) -> (Vec<String>, Vec<String>) {
    let (mut changed, mut faults) = (Vec::new(), Vec::new());
    for (held, now) in before.iter().zip(now) {
        match now {
            Ok(value) => changed.extend(held.changed(value)),
            Err(fault) => faults.push(fault),
        }
    }
    (changed, listed(&faults))
}

fn moved(change: &Change, value: f64) -> String {
    let setpoint = &change.setpoint;
    format!("{} (holds {}, was {} before the run)", setpoint.name, setpoint.shown(value), setpoint.shown(change.value))
}

fn nothing_to(what: &str) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Script, format!("there is nothing to {what} in this session")).into()
}
