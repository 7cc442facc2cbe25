//! One machine, one operator: reading, and the only way to write.

use crate::history::{Committed, History};
use crate::journal::{Held, Journal};
use crate::transaction::{Putback, Savepoint, Transaction, Verdict, judge};
use crate::{
    Backend, Cancel, Change, Channel, Event, Fault, Fresh, Guard, JournalFolder, Observer, Permit, Reading, Setpoint,
    Stopped, Time, Validity, Write,
};
use fodo_report::{Diagnostic, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether a session may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Reading only; a write is an error.
    ReadOnly,
    /// Writes are kept in a table and not sent; setpoints read as if they had been.
    Rehearse,
    /// Writes go out.
    Write,
}

/// What a run is called, for the journal and the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Unique id.
    pub run: String,
    /// What was run: `correct_orbit`, or the line typed at the prompt.
    pub title: String,
    /// Facility name.
    pub facility: String,
    /// Machine: `twin`, `live`.
    pub machine: String,
    /// Process that runs it.
    pub process: u32,
    /// Start, seconds since 1970.
    pub start: f64,
}

/// Past any cache: the answer of the control system to a question asked now.
const NOW: Fresh = Fresh::After(Time(i64::MAX), Duration::ZERO);

/// The answer of one scalar channel: a finite number with its time.
type Asked = Result<(f64, Time), Fault>;

/// What a session is opened with.
#[derive(Clone, Default)]
pub struct SessionOptions {
    /// Where journals are kept; none for a machine that ends with the process.
    pub journals: Option<JournalFolder>,
    /// How long connecting and reading may take.
    pub wait: Option<Duration>,
    /// How long a lost channel is waited for when it has to be put back.
    pub reconnect: Option<Duration>,
}

/// A machine with its operator's rights, transaction and history.
pub struct Session {
    backend: Arc<dyn Backend>,
    cancel: Cancel,
    options: SessionOptions,
    state: Mutex<State>,
}

struct State {
    mode: WriteMode,
    observer: Option<Arc<dyn Observer>>,
    guard: Option<Arc<dyn Guard>>,
    transaction: Option<Transaction>,
    history: History,
    /// Families that may be written, innermost last; a family must be in every set.
    rights: Vec<HashSet<Arc<str>>>,
    /// Setpoints as a rehearsal would have left them.
    rehearsed: HashMap<Channel, f64>,
    arrived: Time,
}

impl Session {
    /// A session on a machine.
    pub fn new(backend: Arc<dyn Backend>, mode: WriteMode, cancel: Cancel, options: SessionOptions) -> Session {
        let arrived = Time::default();
        let state = State {
            mode,
            observer: None,
            guard: None,
            transaction: None,
            history: History::default(),
            rights: Vec::new(),
            rehearsed: HashMap::new(),
            arrived,
        };
        Session { backend, cancel, options, state: Mutex::new(state) }
    }

    /// The control system underneath, for reading its clock and metadata.
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// The token that stops it.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Whether it may write.
    pub fn mode(&self) -> WriteMode {
        self.state().mode
    }

    /// Lets somebody keep what happens from now on.
    pub fn observe_with(&self, observer: Option<Arc<dyn Observer>>) {
        self.state().observer = observer;
    }

    /// Lets somebody refuse changes before they are written.
    pub fn guard_with(&self, guard: Option<Arc<dyn Guard>>) {
        self.state().guard = guard;
    }

    /// How long connecting and reading may take.
    pub fn patience(&self) -> Duration {
        self.options.wait.unwrap_or(Duration::from_secs(3))
    }

    /// Samples taken after this time on the machine's clock are fresh.
    pub fn arrived(&self) -> Time {
        self.state().arrived
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects channels; all that are absent in one error.
    pub fn connect(&self, channels: &[Channel]) -> Result<()> {
        let faults = self.backend.connect(channels, self.patience(), &self.cancel).map_err(stopped)?;
        if faults.is_empty() {
            Ok(())
        } else {
            Err(self.faulty("channels could not be connected", channels.len(), &faults))
        }
    }

    /// Reads channels; all that failed or are invalid in one error.
    pub fn read(&self, channels: &[Channel], fresh: Fresh) -> Result<Vec<Reading>> {
        self.read_or(channels, fresh, None)
    }

    /// The same; `hint` is what to do where no channel at all has a valid reading, though all are there.
    pub fn read_or(&self, channels: &[Channel], fresh: Fresh, hint: Option<&str>) -> Result<Vec<Reading>> {
        let wait = self.patience() + if let Fresh::After(_, silent) = fresh { silent } else { Duration::ZERO };
        let answers = self.backend.read(channels, fresh, wait, &self.cancel).map_err(stopped)?;
        let mut readings = Vec::with_capacity(channels.len());
        let mut faults = Vec::new();
        for (channel, answer) in channels.iter().zip(answers) {
            match answer {
                Ok(Reading { validity: Validity::Invalid(why), .. }) => {
                    faults.push(Fault::refused(channel, format!("invalid: {why}")));
                }
                Ok(reading) => readings.push(reading),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            let mut diagnostic = self.faulty("channels could not be read", channels.len(), &faults);
            if readings.is_empty() && faults.iter().all(|fault| !fault.absent) {
                diagnostic.hints.extend(hint.map(String::from));
            }
            return Err(diagnostic);
        }
        self.observe(|| Event::Read { readings: channels.iter().cloned().zip(readings.iter().cloned()).collect() })?;
        Ok(readings)
    }

    /// Present setpoints in hardware units, asked for now; unknown is an error, not a number.
    pub fn setpoints(&self, setpoints: &[Arc<Setpoint>]) -> Result<Vec<f64>> {
        let mut values = self.present(setpoints, &self.cancel)?;
        let state = self.state();
        if state.mode == WriteMode::Rehearse {
            for (setpoint, value) in setpoints.iter().zip(&mut values) {
                if let Some(rehearsed) = state.rehearsed.get(&setpoint.channel) {
                    *value = *rehearsed;
                }
            }
        }
        Ok(values)
    }

    fn present(&self, setpoints: &[Arc<Setpoint>], cancel: &Cancel) -> Result<Vec<f64>> {
        let channels: Vec<Channel> = setpoints.iter().map(|s| s.channel.clone()).collect();
        let answers = self.ask(&channels, NOW, cancel)?;
        let faults: Vec<Fault> = answers.iter().filter_map(|a| a.as_ref().err().cloned()).collect();
        if !faults.is_empty() {
            return Err(self.faulty("setpoints could not be read", channels.len(), &faults));
        }
        Ok(answers.into_iter().filter_map(|answer| answer.ok().map(|(value, _)| value)).collect())
    }

    /// Asks scalar channels: finite numbers with their time, or faults.
    fn ask(&self, channels: &[Channel], fresh: Fresh, cancel: &Cancel) -> Result<Vec<Asked>> {
        let answers = self.backend.read(channels, fresh, self.patience(), cancel).map_err(stopped)?;
        let check = |(channel, answer): (&Channel, Result<Reading, Fault>)| {
            let reading = answer?;
            match (&reading.validity, reading.value.number()) {
                (Validity::Invalid(why), _) => Err(Fault::refused(channel, format!("invalid: {why}"))),
                (_, Some(value)) if value.is_finite() => Ok((value, reading.time)),
                (_, value) => Err(Fault::refused(channel, format!("holds {value:?}, which is not a finite number"))),
            }
        };
        Ok(channels.iter().zip(answers).map(check).collect())
    }

    // ---- runs --------------------------------------------------------------------------------

    /// Begins a run; `watched` are the setpoints it may change, whose values are kept.
    pub fn begin(&self, info: RunInfo, watched: &[Arc<Setpoint>]) -> Result<()> {
        if self.state().transaction.is_some() {
            return Err(Diagnostic::new(Kind::Internal, "a run was begun inside a run").into());
        }
        let before = if watched.is_empty() { Vec::new() } else { self.present(watched, &self.cancel)? };
        let text = info.title.clone();
        let mut transaction = Transaction::new(info);
        transaction.before = watched.iter().cloned().zip(before).collect();
        let mut state = self.state();
        state.rehearsed.clear();
        state.transaction = Some(transaction);
        drop(state);
        self.mark("begin", text)
    }

    /// Whether a run is on.
    pub fn in_run(&self) -> bool {
        self.state().transaction.is_some()
    }

    /// A place to return to.
    pub fn savepoint(&self) -> Savepoint {
        let mut state = self.state();
        let Some(transaction) = &mut state.transaction else { return Savepoint(0) };
        transaction.synced = false;
        Savepoint(transaction.steps.len())
    }

    /// Narrows what may be written to these families until [`Session::widen`].
    pub fn narrow(&self, families: HashSet<Arc<str>>) {
        self.state().rights.push(families);
    }

    /// Ends the innermost narrowing.
    pub fn widen(&self) {
        self.state().rights.pop();
    }

    /// Checks a set of changes as a whole, writes them and waits until they have arrived.
    ///
    /// # Errors
    /// No right, beyond limits, unknown present value: nothing is written. A channel that refuses
    /// or does not arrive: the run has to be ended with [`Session::abort`].
    pub fn write(&self, changes: &[Change]) -> Result<()> {
        self.cancel.check().map_err(stopped)?;
        self.check(changes)?;
        let setpoints: Vec<Arc<Setpoint>> = changes.iter().map(|c| c.setpoint.clone()).collect();
        let olds = self.setpoints(&setpoints)?;
        let guard = self.state().guard.clone();
        guard.map_or(Ok(()), |guard| guard.check(changes, &olds))?;
        if self.mode() == WriteMode::Rehearse {
            return self.rehearse(changes, &olds);
        }
        self.put(changes, &olds, "set", &self.cancel)
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
        if state.transaction.is_none() {
            return Err(Diagnostic::new(Kind::Internal, "a write outside a run").into());
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
        beyond(changes)
    }

    fn rehearse(&self, changes: &[Change], olds: &[f64]) -> Result<()> {
        let mut state = self.state();
        for change in changes {
            state.rehearsed.insert(change.setpoint.channel.clone(), change.value);
        }
        if let Some(transaction) = &mut state.transaction {
            transaction.record(changes, olds)?;
        }
        drop(state);
        self.tell_writes(changes, olds, "rehearse")
    }

    fn journal(&self, changes: &[Change], olds: &[f64]) -> Result<()> {
        let mut state = self.state();
        let Some(transaction) = &mut state.transaction else {
            return Err(Diagnostic::new(Kind::Internal, "a write outside a run").into());
        };
        if let (None, Some(folder)) = (&transaction.journal, &self.options.journals) {
            let before = transaction.before.iter().map(|(setpoint, value)| Held::new(setpoint, *value)).collect();
            transaction.journal = Some(Journal::create(folder, &transaction.info, before)?);
        }
        transaction.record(changes, olds)
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
    fn put(&self, changes: &[Change], olds: &[f64], why: &'static str, cancel: &Cancel) -> Result<()> {
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
        self.send(changes, cancel)?;
        let arrived = self.arrive(changes, cancel)?;
        needed(arrived.into_iter().try_for_each(|event| self.observe(|| event)))
    }

    fn send(&self, changes: &[Change], cancel: &Cancel) -> Result<()> {
        let writes: Vec<Write> =
            changes.iter().map(|c| Write { channel: c.setpoint.channel.clone(), value: c.value }).collect();
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
    fn arrive(&self, changes: &[Change], cancel: &Cancel) -> Result<Vec<Event>> {
        let start = Instant::now();
        let machine_start = self.backend.now();
        let mut missing: Vec<&Change> = changes.iter().collect();
        let mut events = Vec::with_capacity(changes.len());
        // a readback that was near enough before does not say when the new value was taken; the setpoint does
        let mut newest = self.taken(changes, cancel)?;
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
                state.arrived = state.arrived.max(newest);
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

    /// When the control system took the values, on its own clock.
    fn taken(&self, changes: &[Change], cancel: &Cancel) -> Result<Time> {
        let channels: Vec<Channel> = changes.iter().map(|c| c.setpoint.channel.clone()).collect();
        let answers = self.ask(&channels, NOW, cancel)?;
        Ok(answers.into_iter().flatten().map(|(_, time)| time).max().unwrap_or_default())
    }

    /// Goes back to a savepoint of the present run.
    pub fn restore_to(&self, savepoint: Savepoint) -> Putback {
        let state = self.state();
        let Some(transaction) = &state.transaction else { return Putback::default() };
        let back = transaction.back_to(savepoint);
        let written = transaction.written.clone();
        let rehearsal = state.mode == WriteMode::Rehearse;
        drop(state);
        if back.is_empty() {
            return Putback::default();
        }
        if rehearsal {
            return self.forget_rehearsed(&back);
        }
        let putback = self.put_back(&back, &written, "restore");
        // a record that cannot be kept says so when it is finished
        _ = self.mark("restored", putback.to_string());
        putback
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
    fn put_back(&self, back: &[Change], written: &HashMap<Channel, [f64; 2]>, why: &'static str) -> Putback {
        let cancel = self.cancel.shielded();
        let channels: Vec<Channel> = back.iter().map(|c| c.setpoint.channel.clone()).collect();
        let mut putback = Putback::default();
        let present = match self.await_channels(&channels, &cancel) {
            Ok(present) => present,
            Err(error) => {
                putback.failed = back.iter().map(|c| format!("{} ({error})", c.setpoint.name)).collect();
                return putback;
            }
        };
        let mut todo = Vec::new();
        let mut olds = Vec::new();
        for (change, answer) in back.iter().zip(present) {
            let name = &change.setpoint.name;
            match answer {
                Err(fault) => putback.failed.push(format!("{name} ({})", fault.reason)),
                Ok((value, _)) => {
                    let ours = written.get(&change.setpoint.channel).copied().unwrap_or([f64::NAN; 2]);
                    match judge(value, change.value, ours) {
                        Verdict::Already => putback.restored += 1,
                        Verdict::Leave => putback.left.push(moved(change, value)),
                        Verdict::PutBack => {
                            todo.push(change.clone());
                            olds.push(value);
                        }
                    }
                }
            }
        }
        if !todo.is_empty() {
            match self.put(&todo, &olds, why, &cancel) {
                Ok(()) => putback.restored += todo.len(),
                Err(error) => self.count_failed(&todo, &error, &cancel, &mut putback),
            }
        }
        putback
    }

    /// After a putting back that failed in part: which channels hold their old value all the same?
    fn count_failed(&self, todo: &[Change], error: &Diagnostic, cancel: &Cancel, putback: &mut Putback) {
        let channels: Vec<Channel> = todo.iter().map(|c| c.setpoint.channel.clone()).collect();
        let answers = self.ask(&channels, NOW, cancel).unwrap_or_default();
        for (place, change) in todo.iter().enumerate() {
            match answers.get(place) {
                Some(Ok((value, _))) if crate::setpoint::same(*value, change.value) => putback.restored += 1,
                _ => putback.failed.push(format!("{} ({error})", change.setpoint.name)),
            }
        }
    }

    /// Asks channels, waiting for lost ones to come back.
    fn await_channels(&self, channels: &[Channel], cancel: &Cancel) -> Result<Vec<Asked>> {
        let limit = self.options.reconnect.unwrap_or(Duration::from_secs(10));
        let start = Instant::now();
        loop {
            let answers = self.ask(channels, NOW, cancel)?;
            let absent = answers.iter().any(|a| a.as_ref().is_err_and(|fault| fault.absent));
            let left = limit.saturating_sub(start.elapsed());
            if !absent || left.is_zero() {
                return Ok(answers);
            }
            self.backend.connect(channels, left.min(Duration::from_secs(2)), cancel).map_err(stopped)?;
            cancel.wait(Duration::from_millis(100)).map_err(stopped)?;
        }
    }

    /// Ends the run and puts everything back.
    pub fn abort(&self) -> Putback {
        let mut putback = self.restore_to(Savepoint(0));
        putback.others = self.changed_by_others();
        let transaction = {
            let mut state = self.state();
            state.rights.clear();
            state.transaction.take()
        };
        if let Some(journal) = transaction.and_then(|t| t.journal) {
            if putback.complete() {
                // the machine is as before; a journal that cannot be removed only makes `recover` say so
                _ = journal.close("restored");
            } else {
                putback.journal = Some(journal.path().display().to_string());
            }
        }
        putback
    }

    /// Ends the run and keeps what it changed.
    pub fn commit(&self) -> Result<Committed> {
        self.mark("committed", String::new())?;
        let mut state = self.state();
        state.rights.clear();
        let Some(transaction) = state.transaction.take() else {
            return Err(Diagnostic::new(Kind::Internal, "there is no run to end").into());
        };
        let committed = Committed { title: transaction.info.title.clone(), changes: transaction.standing() };
        if state.mode == WriteMode::Write {
            state.history.push(committed.clone());
        }
        drop(state);
        if let Some(journal) = transaction.journal {
            let stands = "the setpoints stay as the run has set them";
            journal.close("committed").map_err(|error| error.machine(stands))?;
        }
        Ok(committed)
    }

    /// Setpoints that stand changed by the present run: name, hardware value before and now, unit.
    pub fn standing(&self) -> Vec<(Arc<Setpoint>, f64, f64)> {
        self.state().transaction.as_ref().map(Transaction::standing).unwrap_or_default()
    }

    /// Setpoints the run may change, with their values when it began.
    pub fn before(&self) -> Vec<(Arc<Setpoint>, f64)> {
        self.state().transaction.as_ref().map(|t| t.before.clone()).unwrap_or_default()
    }

    fn changed_by_others(&self) -> Vec<String> {
        let (watched, touched): (Vec<(Arc<Setpoint>, f64)>, HashSet<Channel>) = {
            let state = self.state();
            let Some(transaction) = &state.transaction else { return Vec::new() };
            (transaction.before.clone(), transaction.written.keys().cloned().collect())
        };
        let watched: Vec<_> = watched.into_iter().filter(|(s, _)| !touched.contains(&s.channel)).collect();
        let channels: Vec<Channel> = watched.iter().map(|(s, _)| s.channel.clone()).collect();
        let answers = self.ask(&channels, NOW, &self.cancel.shielded()).unwrap_or_default();
        let report = |((setpoint, before), answer): (&(Arc<Setpoint>, f64), Asked)| {
            Held::new(setpoint, *before).changed(answer.ok()?.0)
        };
        watched.iter().zip(answers).filter_map(report).collect()
    }

    // ---- undo and redo -----------------------------------------------------------------------

    /// What undo would put back.
    pub fn undoable(&self) -> Option<Committed> {
        self.state().history.done.last().cloned()
    }

    /// What redo would set again.
    pub fn redoable(&self) -> Option<Committed> {
        self.state().history.undone.last().cloned()
    }

    /// What the session has changed, oldest first.
    pub fn history(&self) -> Vec<Committed> {
        self.state().history.done.clone()
    }

    /// Puts back the last committed run where its setpoints still stand as it left them.
    pub fn undo(&self) -> Result<Putback> {
        let last = self.state().history.done.pop().ok_or_else(|| nothing_to("undo"))?;
        let putback = self.replay(&last, "undo")?;
        self.state().history.undone.push(last);
        Ok(putback)
    }

    /// Sets again what undo put back.
    pub fn redo(&self) -> Result<Putback> {
        let last = self.state().history.undone.pop().ok_or_else(|| nothing_to("redo"))?;
        let putback = self.replay(&last.reversed(), "redo")?;
        self.state().history.done.push(last);
        Ok(putback)
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
        self.check(&back)?;
        let written = run.changes.iter().map(|(setpoint, _, after)| (setpoint.channel.clone(), [*after; 2])).collect();
        let putback = self.put_back(&back, &written, why);
        // undoing is not a change of its own: it would be undone by the next undo
        if let Some(transaction) = &mut self.state().transaction {
            transaction.steps.clear();
            transaction.written.clear();
        }
        Ok(putback)
    }

    // ---- small things ------------------------------------------------------------------------

    fn mark(&self, what: &'static str, text: String) -> Result<()> {
        let time = self.backend.now();
        self.observe(|| Event::Transaction { what, text, time })
    }

    fn observe(&self, event: impl FnOnce() -> Event) -> Result<()> {
        let observer = self.state().observer.clone();
        observer.map_or(Ok(()), |observer| observer.observe(&event()))
    }

    fn faulty(&self, what: &str, of: usize, faults: &[Fault]) -> Box<Diagnostic> {
        let mut diagnostic =
            Diagnostic::new(Kind::Machine, format!("{} of {of} {what}", faults.len())).details(listed(faults));
        if faults.iter().all(|fault| fault.absent) {
            let name = self.backend.name();
            diagnostic = diagnostic.hint(format!("is the server running, and does {name} reach it from here?"));
        }
        diagnostic.into()
    }

    /// For recovery: puts back what an interrupted run left, inside a run of its own journal.
    pub(crate) fn recover(
        &self,
        info: RunInfo,
        journal: Journal,
        back: &[Change],
        written: &HashMap<Channel, [f64; 2]>,
    ) -> Result<Putback> {
        if self.mode() != WriteMode::Write {
            return Err(Diagnostic::new(Kind::Rights, "this session is read-only; nothing was written").into());
        }
        let mut transaction = Transaction::new(info);
        transaction.journal = Some(journal);
        self.state().transaction = Some(transaction);
        let mut putback = self.put_back(back, written, "recover");
        let journal = self.state().transaction.take().and_then(|t| t.journal);
        if let Some(journal) = journal {
            if putback.failed.is_empty() {
                journal.close("recovered")?;
            } else {
                putback.journal = Some(journal.path().display().to_string());
            }
        }
        Ok(putback)
    }

    /// For recovery: what channels hold now.
    pub(crate) fn look(&self, channels: &[Channel]) -> Result<Vec<Result<f64, Fault>>> {
        Ok(self.ask(channels, NOW, &self.cancel)?.into_iter().map(|answer| answer.map(|(value, _)| value)).collect())
    }
}

/// A line for each fault; many with the same reason share one.
fn listed(faults: &[Fault]) -> Vec<String> {
    const SHOWN: usize = 12;
    let mut reasons: Vec<(&str, Vec<&Channel>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for fault in faults {
        let place = *places.entry(&fault.reason).or_insert(reasons.len());
        if place == reasons.len() {
            reasons.push((&fault.reason, Vec::new()));
        }
        reasons[place].1.push(&fault.channel);
    }
    let mut lines = Vec::new();
    for (reason, channels) in reasons {
        match channels.as_slice() {
            [a, b, c, .., last] if channels.len() > SHOWN => {
                lines.push(format!("{} channels ({a}, {b}, {c}, … {last}): {reason}", channels.len()));
            }
            few => lines.extend(few.iter().map(|channel| format!("{channel}: {reason}"))),
        }
    }
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.truncate(SHOWN);
        lines.push(format!("and {more} more"));
    }
    lines
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

/// Everything in the set that is not a number or beyond its limits, in one error.
fn beyond(changes: &[Change]) -> Result<()> {
    let problem = |change: &Change| {
        let Setpoint { name, unit, limits: (low, high), .. } = change.setpoint.as_ref();
        let value = change.value;
        if !value.is_finite() {
            return Some(format!("{name} would go to {value}, which is not a finite number"));
        }
        let limit = if value < *low { low } else { high };
        let over = (value - limit).abs();
        (value < *low || value > *high)
            .then(|| format!("{name} would go to {value:.6} {unit}, {over:.6} {unit} beyond its limit {limit} {unit}"))
    };
    let problems: Vec<String> = changes.iter().filter_map(problem).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let message =
        format!("{} of {} setpoints would leave their limits; none was written", problems.len(), changes.len());
    Err(Diagnostic::new(Kind::Limits, message).details(problems).into())
}

fn never_arrived(late: &[(&Change, f64)], allowed: Duration) -> Box<Diagnostic> {
    let detail = |(change, value): &(&Change, f64)| {
        let Setpoint { name, unit, tolerance, .. } = change.setpoint.as_ref();
        format!("{name} stands at {value} {unit}, should be {} within {tolerance} {unit}", change.value)
    };
    Diagnostic::new(
        Kind::Machine,
        format!("{} setpoints did not arrive within {:.1} s", late.len(), allowed.as_secs_f64()),
    )
    .details(late.iter().map(detail))
    .into()
}

fn moved(change: &Change, value: f64) -> String {
    let Setpoint { name, unit, .. } = change.setpoint.as_ref();
    format!("{name} (holds {value} {unit}, was {} {unit} before the run)", change.value)
}

fn nothing_to(what: &str) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Script, format!("there is nothing to {what} in this session")).into()
}

fn stopped(_: Stopped) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Stopped, "stopped by the operator").into()
}
