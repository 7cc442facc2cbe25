//! Writing: checked as a whole, journalled, sent, arrived.

use crate::clocks::{is_ahead, is_off};
use crate::journal::{Held, Journal};
use crate::lease::{Holder, Lease, Taken, refused};
use crate::session::{NOW, Session, WriteMode, stopped};
use crate::transaction::Transaction;
use crate::{Cancel, Change, Channel, Event, Fault, Fresh, Permit, Setpoint, Time, Write};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Session {
    /// Checks a set of changes as a whole, writes them and waits until they have arrived.
    ///
    /// # Errors
    /// No right, beyond limits, unknown present value: nothing is written. A channel that refuses
    /// or does not arrive: the run has to be ended with [`Session::abort`].
    pub fn write(&self, changes: &[Change]) -> Result<()> {
        self.cancel.check().map_err(stopped)?;
        self.allowed(changes)?;
        let setpoints: Vec<Arc<Setpoint>> = changes.iter().map(|c| c.setpoint.clone()).collect();
        let olds = self.setpoints(&setpoints)?;
        let guard = self.state().guard.clone();
        guard.map_or(Ok(()), |guard| guard.check(changes, &olds))?;
        if self.mode() == WriteMode::Rehearse {
            return self.note_rehearsed(changes, &olds);
        }
        self.undisturbed(changes, &olds)?;
        self.put(changes, &olds, "set", &self.cancel)
    }

    /// Whether changes may be made now: rights and limits, what is watched, who else is at work on the families,
    /// leases.
    pub(crate) fn allowed(&self, changes: &[Change]) -> Result<()> {
        self.check(changes)?;
        self.not_claimed(changes)?;
        self.gate()?;
        self.not_owned(changes)?;
        self.lease(changes)
    }

    /// Whether the setpoints hold what the run left or found there: a restarted server, a feedback or a colleague
    /// ends the run before it writes on.
    fn undisturbed(&self, changes: &[Change], present: &[f64]) -> Result<()> {
        let state = self.state();
        let Some(transaction) = &state.transaction else { return Ok(()) };
        let disturbed = |(change, &value): (&Change, &f64)| {
            let expected = transaction.expected(&change.setpoint.channel)?;
            let Setpoint { name, .. } = change.setpoint.as_ref();
            let shown = |value| change.setpoint.shown(value);
            (!crate::setpoint::same(value, expected))
                .then(|| format!("{name} holds {}, but should hold {}", shown(value), shown(expected)))
        };
        let disturbed: Vec<String> = changes.iter().zip(present).filter_map(disturbed).collect();
        if disturbed.is_empty() {
            return Ok(());
        }
        let message =
            format!("{} of {} setpoints were changed by somebody else during the run", disturbed.len(), changes.len());
        Err(Diagnostic::new(Kind::Machine, message)
            .details(disturbed)
            .hint("a feedback, a colleague or a restarted server moved them; see that it is over, then run again")
            .into())
    }

    /// Whether everything that the run has written still stands; asked once, before it is kept.
    pub(crate) fn still_there(&self) -> Result<()> {
        let standing = self.standing();
        if standing.is_empty() || self.mode() != WriteMode::Write {
            return Ok(());
        }
        let setpoints: Vec<Arc<Setpoint>> = standing.iter().map(|(setpoint, ..)| setpoint.clone()).collect();
        let present = self.present(&setpoints, &self.cancel)?;
        let change = |(setpoint, _, value): (Arc<Setpoint>, f64, f64)| Change { setpoint, value };
        let written: Vec<Change> = standing.into_iter().map(change).collect();
        self.undisturbed(&written, &present)
    }

    /// Whether changes are within their limits, to be asked before a long measurement begins.
    pub fn check_limits(&self, changes: &[Change]) -> Result<()> {
        beyond(changes)
    }

    fn check(&self, changes: &[Change]) -> Result<()> {
        let state = self.state();
        if state.mode == WriteMode::ReadOnly {
            return Err(Diagnostic::new(Kind::Rights, "this session is read-only; nothing was written")
                .hint("start it with --write, or see what it would do with --rehearse")
                .into());
        }
        if self.cancel.is_held() {
            return Err(Diagnostic::new(Kind::Stopped, "after a panic stop this session writes nothing more")
                .hint("see how the machine stands; a new session writes again, `fodo recover` shows what was left")
                .into());
        }
        if state.transaction.is_none() {
            return Err(Diagnostic::new(Kind::Internal, "a write outside a run").into());
        }
        if let Some(acting) = &state.acting {
            let mut families: Vec<&str> = changes.iter().map(|c| c.setpoint.family.as_ref()).collect();
            families.sort_unstable();
            families.dedup();
            acting.check(&families)?;
        }
        let allowed = |family: &Arc<str>| state.rights.iter().all(|set| set.contains(family));
        let mut forbidden: Vec<&str> =
            changes.iter().map(|c| &c.setpoint.family).filter(|f| !allowed(f)).map(|f| f.as_ref()).collect();
        forbidden.sort_unstable();
        forbidden.dedup();
        if !forbidden.is_empty() {
            let families = forbidden.join(", ");
            return Err(Diagnostic::new(
                Kind::Rights,
                format!("the procedure's header does not let it change {families}"),
            )
            .hint(format!("name the family under `changes` in the header, if it is meant to change {families}"))
            .into());
        }
        drop(state);
        each_once(changes)?;
        beyond(changes)
    }

    /// Takes the leases of everything that is changed, and of what the run said it may change, all or none.
    pub(crate) fn lease(&self, changes: &[Change]) -> Result<()> {
        let Some(folder) = &self.options.leases else { return Ok(()) };
        let state = self.state();
        if state.mode != WriteMode::Write {
            return Ok(());
        }
        state.leases.iter().try_for_each(Lease::check)?;
        let Some(Transaction { info, before, .. }) = &state.transaction else { return Ok(()) };
        let info = info.clone();
        let said = before.iter().map(|(setpoint, _)| setpoint).filter(|_| state.leases.is_empty());
        let families = changes.iter().map(|change| &change.setpoint).chain(said).map(|s| s.family.clone());
        let mut families: Vec<Arc<str>> = families.collect();
        families.sort_unstable();
        families.dedup();
        families.retain(|family| state.leases.iter().all(|lease| lease.family != **family));
        drop(state);
        let (mut ours, mut theirs, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for family in families {
            match folder.take(&info, &family)? {
                Taken::Ours(lease, before) => {
                    ours.push(lease);
                    left.extend(before);
                }
                Taken::Theirs(other) => theirs.push(other),
            }
        }
        if !theirs.is_empty() {
            return Err(refused(&theirs));
        }
        self.state().leases.extend(ours);
        let dead = |holder: Holder| format!("the lease of {} was left by {holder}", holder.family);
        left.into_iter().try_for_each(|holder| self.mark("lease", dead(holder)))
    }

    fn note_rehearsed(&self, changes: &[Change], olds: &[f64]) -> Result<()> {
        let mut state = self.state();
        for change in changes {
            state.rehearsed.insert(change.setpoint.channel.clone(), change.value);
        }
        if let Some(transaction) = &mut state.transaction {
            transaction.rehearse(changes, olds);
            transaction.record(changes, olds)?;
        }
        state.past().marks.record(changes, olds);
        drop(state);
        self.tell_writes(changes, olds, "rehearse")
    }

    pub(crate) fn journal(&self, changes: &[Change], olds: &[f64]) -> Result<()> {
        let mut state = self.state();
        let Some(transaction) = &mut state.transaction else {
            return Err(Diagnostic::new(Kind::Internal, "a write outside a run").into());
        };
        if let (None, Some(folder)) = (&transaction.journal, &self.options.journals) {
            let before = transaction.before.iter().map(|(setpoint, value)| Held::new(setpoint, *value)).collect();
            transaction.journal = Some(Journal::create(folder, &transaction.info, before)?);
        }
        transaction.record(changes, olds)?;
        state.past().marks.record(changes, olds);
        Ok(())
    }

    fn tell_writes(&self, changes: &[Change], olds: &[f64], why: &'static str) -> Result<()> {
        let time = self.backend.now();
        for (change, &old) in changes.iter().zip(olds) {
            let Setpoint { name, channel, unit, .. } = change.setpoint.as_ref();
            self.observe(|| Event::Write {
                name: name.clone(),
                channel: channel.clone(),
                old,
                new: change.value,
                unit: unit.clone(),
                time,
                why,
            })?;
        }
        Ok(())
    }

    /// Sends changes out, at their rates, and waits until they have arrived.
    pub(crate) fn put(&self, changes: &[Change], olds: &[f64], why: &'static str, cancel: &Cancel) -> Result<()> {
        const STEP: Duration = Duration::from_millis(100);
        // a full disk must not keep the machine from being put back: the old values are in the journal already
        let back = matches!(why, "restore" | "recover");
        let needed = |told: Result<()>| if back { Ok(()) } else { told };
        let steps = changes
            .iter()
            .zip(olds)
            .filter_map(|(c, old)| Some((c.value - old).abs() / c.setpoint.rate? / STEP.as_secs_f64()))
            .fold(1.0, f64::max)
            .ceil();
        for step in 1..steps as u64 {
            let on_the_way = |(change, old): (&Change, &f64)| Change {
                setpoint: change.setpoint.clone(),
                value: old + (change.value - old) * step as f64 / steps,
            };
            let part: Vec<Change> = changes.iter().zip(olds).map(on_the_way).collect();
            needed(self.journal(&part, olds))?;
            self.send(&part, cancel)?;
            self.backend.wait(STEP, cancel).map_err(stopped)?;
        }
        needed(self.journal(changes, olds))?;
        needed(self.tell_writes(changes, olds, why))?;
        let guard = self.state().guard.clone();
        guard.inspect(|guard| guard.moved(changes, olds));
        self.note_branches(changes, olds);
        let sent = self.backend.now();
        self.send(changes, cancel)?;
        let arrived = self.arrive(changes, sent, cancel)?;
        if let Some(transaction) = &mut self.state().transaction {
            transaction.arrived.extend(changes.iter().map(|change| change.setpoint.channel.clone()));
        }
        needed(arrived.into_iter().try_for_each(|event| self.observe(|| event)))
    }

    fn send(&self, changes: &[Change], cancel: &Cancel) -> Result<()> {
        let writes: Vec<Write> = changes.iter().map(|c| Write::number(&c.setpoint.channel, c.value)).collect();
        let wait = changes.iter().map(|c| c.setpoint.arrival).max().unwrap_or_default().max(self.patience());
        let answers = self.backend.write(&Permit::new(), &writes, wait, cancel).map_err(stopped)?;
        let faults: Vec<Fault> = answers.into_iter().filter_map(Result::err).collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(self.faulty("setpoints could not be written", writes.len(), &faults))
        }
    }

    /// Waits until each readback is within tolerance; then samples taken later are fresh.
    fn arrive(&self, changes: &[Change], sent: Time, cancel: &Cancel) -> Result<Vec<Event>> {
        let start = Instant::now();
        let machine_start = self.backend.now();
        let mut missing: Vec<&Change> = changes.iter().collect();
        let mut events = Vec::with_capacity(changes.len());
        // a readback that was near enough before does not say when the new value was taken; the setpoint does
        let taken = self.taken(changes, cancel)?;
        let mut newest = taken.iter().copied().max().unwrap_or_default();
        let mut clocks_off = taken.iter().any(|time| is_off(*time, sent, machine_start));
        let mut fresh = NOW;
        loop {
            let channels: Vec<Channel> = missing.iter().map(|c| where_seen(&c.setpoint)).collect();
            let answers = self.ask(&channels, fresh, cancel)?;
            let faults: Vec<Fault> = answers.iter().filter_map(|a| a.as_ref().err().cloned()).collect();
            if !faults.is_empty() {
                return Err(self.faulty("readbacks could not be read", channels.len(), &faults));
            }
            let mut late = Vec::new();
            let mut seen = Time::default();
            for (change, answer) in missing.iter().zip(&answers) {
                let Ok((value, time)) = answer else { continue };
                if there(change, *value) {
                    // one that moved was stamped behind the write; one that was near enough before may be old
                    let moved = fresh != NOW && is_off(*time, sent, self.backend.now());
                    clocks_off |= moved || is_ahead(*time, self.backend.now());
                    newest = newest.max(*time);
                    let (channel, readback, time) = (where_seen(&change.setpoint), *value, *time);
                    events.push(Event::Arrived { channel, readback, time });
                } else {
                    late.push((*change, *value));
                    seen = seen.max(*time);
                }
            }
            if late.is_empty() {
                let mut state = self.state();
                // a clock that was ahead must not hold up those that follow
                let known = if clocks_off || state.clocks_off { Time::default() } else { state.arrived };
                (state.arrived, state.clocks_off) = (known.max(newest), clocks_off);
                return Ok(events);
            }
            let allowed = late.iter().map(|(c, _)| c.setpoint.arrival).max().unwrap_or_default();
            let virtual_time = Duration::from_nanos((self.backend.now().0 - machine_start.0).max(0) as u64);
            if start.elapsed().max(virtual_time) > allowed {
                return Err(never_arrived(&late, allowed));
            }
            missing = late.into_iter().map(|(change, _)| change).collect();
            fresh = Fresh::After(seen, Duration::from_millis(100));
        }
    }

    /// When the control system took the values, on its own clocks.
    fn taken(&self, changes: &[Change], cancel: &Cancel) -> Result<Vec<Time>> {
        let channels: Vec<Channel> = changes.iter().map(|c| c.setpoint.channel.clone()).collect();
        let answers = self.ask(&channels, NOW, cancel)?;
        Ok(answers.into_iter().flatten().map(|(_, time)| time).collect())
    }
}

fn where_seen(setpoint: &Setpoint) -> Channel {
    setpoint.readback.as_ref().unwrap_or(&setpoint.channel).clone()
}

/// Without a readback of its own the setpoint itself has to hold the value.
fn there(change: &Change, value: f64) -> bool {
    match change.setpoint.readback {
        Some(_) => (value - change.value).abs() <= change.setpoint.tolerance,
        None => crate::setpoint::same(value, change.value) || (value - change.value).abs() <= change.setpoint.tolerance,
    }
}

/// A set holds one value for each setpoint.
fn each_once(changes: &[Change]) -> Result<()> {
    let mut seen = HashSet::new();
    match changes.iter().find(|change| !seen.insert(&change.setpoint.channel)) {
        None => Ok(()),
        Some(twice) => {
            let what = format!("{} would be set twice in one set; nothing was written", twice.setpoint.name);
            Err(Diagnostic::new(Kind::Script, what).hint("name each device once").into())
        }
    }
}

/// Everything in the set that is not a number or beyond its limits, in one error.
fn beyond(changes: &[Change]) -> Result<()> {
    let unknown: Vec<&Change> = changes.iter().filter(|change| !change.value.is_finite()).collect();
    if !unknown.is_empty() {
        let message =
            format!("{} of {} new setpoints are not finite numbers; none was written", unknown.len(), changes.len());
        let detail = |change: &&Change| format!("{} would go to {}", change.setpoint.name, change.value);
        return Err(Diagnostic::new(Kind::Limits, message).details(unknown.iter().map(detail)).into());
    }
    let problem = |change: &Change| {
        let Change { setpoint, value } = change;
        let (low, high) = setpoint.limits;
        let limit = if *value < low { low } else { high };
        (*value < low || *value > high).then(|| {
            let (name, over) = (&setpoint.name, setpoint.apart(*value, limit));
            format!("{name} would go to {}, {over} beyond its limit {}", setpoint.shown(*value), setpoint.shown(limit))
        })
    };
    let problems: Vec<String> = changes.iter().filter_map(problem).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let message =
        format!("{} of {} setpoints would leave their limits; none was written", problems.len(), changes.len());
    Err(Diagnostic::new(Kind::Limits, message)
        .details(problems)
        .hint("make a smaller step (a lower `gain`), or leave these devices out with `.without(…)`")
        .into())
}

fn never_arrived(late: &[(&Change, f64)], allowed: Duration) -> Box<Diagnostic> {
    let detail = |(change, value): &(&Change, f64)| {
        let Setpoint { name, unit, tolerance, .. } = change.setpoint.as_ref();
        let shown = |value| change.setpoint.shown(value);
        format!("{name} stands at {}, should be {} within {tolerance} {unit}", shown(*value), shown(change.value))
    };
    Diagnostic::new(
        Kind::Machine,
        format!("{} setpoints did not arrive within {:.1} s", late.len(), allowed.as_secs_f64()),
    )
    .details(late.iter().map(detail))
    .into()
}
