//! One machine, one operator: reading, and the only way to write.

use crate::beside::{Past, Works};
use crate::branch::off_branch;
use crate::history::Committed;
use crate::transaction::{Savepoint, Standing, Transaction};
use crate::watch::{Owner, Watching};
use crate::{
    Backend, Cancel, Channel, Event, Fault, Fresh, Guard, JournalFolder, Metadata, Observer, Reading, Setpoint,
    Stopped, Time, Validity,
};
use fodo_report::{Diagnostic, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
pub(crate) const NOW: Fresh = Fresh::After(Time(i64::MAX), Duration::ZERO);

/// The answer of one scalar channel: a finite number with its time.
pub(crate) type Asked = Result<(f64, Time), Fault>;

/// What a session is opened with.
#[derive(Clone, Default)]
pub struct SessionOptions {
    /// Where journals are kept; none for a machine that ends with the process.
    pub journals: Option<JournalFolder>,
    /// Where leases are kept; none for a machine of this process only.
    pub leases: Option<crate::LeaseFolder>,
    /// How long connecting and reading may take.
    pub wait: Option<Duration>,
    /// How long a lost channel is waited for when it has to be put back.
    pub reconnect: Option<Duration>,
}

/// A machine with its operator's rights, transaction and history.
pub struct Session {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) cancel: Cancel,
    pub(crate) options: SessionOptions,
    pub(crate) state: Mutex<State>,
    /// What has to hold, innermost procedure last.
    pub(crate) watching: Mutex<Vec<Watching>>,
    /// Who else may be at work on families, looked at from the first write to them on.
    pub(crate) owners: Mutex<Vec<(Owner, Option<Watching>)>>,
    /// What the sessions beside each other work on, and which of them this is.
    pub(crate) works: Arc<Works>,
    pub(crate) number: u64,
}

pub(crate) struct State {
    pub(crate) mode: WriteMode,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) guard: Option<Arc<dyn Guard>>,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) past: Arc<Mutex<Past>>,
    /// Held until the run ends.
    pub(crate) leases: Vec<crate::lease::Lease>,
    /// Families that may be written, innermost last; a family must be in every set.
    pub(crate) rights: Vec<HashSet<Arc<str>>>,
    /// Whose rights the session has; none: everybody may write everything.
    pub(crate) acting: Option<crate::Acting>,
    /// Setpoints as a rehearsal would have left them.
    pub(crate) rehearsed: HashMap<Channel, f64>,
    pub(crate) arrived: Time,
    pub(crate) clocks: crate::clocks::Clocks,
    /// Whether the stamps of the last arrival were of another clock than ours.
    pub(crate) clocks_off: bool,
}

impl State {
    pub(crate) fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// A session on a machine.
    pub fn new(backend: Arc<dyn Backend>, mode: WriteMode, cancel: Cancel, options: SessionOptions) -> Session {
        Session::among(Arc::default(), backend, mode, cancel, options)
    }

    pub(crate) fn among(
        works: Arc<Works>,
        backend: Arc<dyn Backend>,
        mode: WriteMode,
        cancel: Cancel,
        options: SessionOptions,
    ) -> Session {
        let arrived = Time::default();
        let state = State {
            mode,
            observer: None,
            guard: None,
            transaction: None,
            past: Arc::default(),
            leases: Vec::new(),
            rights: Vec::new(),
            acting: None,
            rehearsed: HashMap::new(),
            arrived,
            clocks: Default::default(),
            clocks_off: false,
        };
        Session {
            number: works.number(),
            works,
            backend,
            cancel,
            options,
            state: Mutex::new(state),
            watching: Mutex::default(),
            owners: Mutex::default(),
        }
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

    /// Lets the session write only what a role may; putting back what it wrote stays allowed.
    pub fn act_as(&self, acting: Option<crate::Acting>) {
        self.state().acting = acting;
    }

    /// How long connecting and reading may take.
    pub fn patience(&self) -> Duration {
        self.options.wait.unwrap_or(Duration::from_secs(3))
    }

    /// Samples taken after this time on the machine's clock are fresh.
    pub fn arrived(&self) -> Time {
        self.state().arrived
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
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
        let answers = self.look_at(channels, fresh)?;
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
        Ok(readings)
    }

    /// What channels say, invalid readings and faults as they are.
    pub fn look_at(&self, channels: &[Channel], fresh: Fresh) -> Result<Vec<Result<Reading, Fault>>> {
        let silent = if let Fresh::After(_, silent) = fresh { silent } else { Duration::ZERO };
        let wait = self.patience() + silent;
        let mut fresh = fresh;
        let (asked, answers) = loop {
            let asked = self.backend.now();
            let answers = self.fresh(channels, fresh, wait, &self.cancel).map_err(stopped)?;
            if !self.gate()? {
                break (asked, answers);
            }
            // what was read while something did not hold is read again
            fresh = Fresh::After(self.arrived(), silent);
        };
        // invalid ones are kept too: the record shows what the machine said
        let kept = |(channel, answer): (&Channel, &Result<Reading, Fault>)| {
            Some((channel.clone(), answer.as_ref().ok()?.clone()))
        };
        self.watch_clocks(channels, &answers, asked);
        self.observe(|| Event::Read { readings: channels.iter().zip(&answers).filter_map(kept).collect() })?;
        Ok(answers)
    }

    /// What the control system says of channels.
    ///
    /// # Errors
    /// Kind `stopped`.
    pub fn metadata(&self, channels: &[Channel]) -> Result<Vec<Result<Metadata, Fault>>> {
        self.backend.metadata(channels, self.patience(), &self.cancel).map_err(stopped)
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

    pub(crate) fn present(&self, setpoints: &[Arc<Setpoint>], cancel: &Cancel) -> Result<Vec<f64>> {
        let channels: Vec<Channel> = setpoints.iter().map(|s| s.channel.clone()).collect();
        let answers = self.ask(&channels, NOW, cancel)?;
        let faults: Vec<Fault> = answers.iter().filter_map(|a| a.as_ref().err().cloned()).collect();
        if !faults.is_empty() {
            return Err(self.faulty("setpoints could not be read", channels.len(), &faults));
        }
        Ok(answers.into_iter().filter_map(|answer| answer.ok().map(|(value, _)| value)).collect())
    }

    /// Asks scalar channels: finite numbers with their time, or faults.
    pub(crate) fn ask(&self, channels: &[Channel], fresh: Fresh, cancel: &Cancel) -> Result<Vec<Asked>> {
        let asked = self.backend.now();
        let answers = self.backend.read(channels, fresh, self.patience(), cancel).map_err(stopped)?;
        self.watch_clocks(channels, &answers, asked);
        let check = |(channel, answer): (&Channel, Result<Reading, Fault>)| {
            let reading = answer?;
            match (&reading.validity, reading.value.number()) {
                (Validity::Invalid(why), _) => Err(Fault::refused(channel, format!("invalid: {why}"))),
                (_, Some(value)) if value.is_finite() => Ok((value, reading.time)),
                (_, Some(value)) => {
                    Err(Fault::refused(channel, format!("holds {value}, which is not a finite number")))
                }
                (_, None) => Err(Fault::refused(channel, format!("holds {}, not one number", reading.value))),
            }
        };
        Ok(channels.iter().zip(answers).map(check).collect())
    }

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

    /// Whether a procedure with rights of its own is running.
    pub fn is_narrowed(&self) -> bool {
        !self.state().rights.is_empty()
    }

    /// How many procedures with rights of their own run inside each other.
    pub fn nesting(&self) -> usize {
        self.state().rights.len()
    }

    /// Ends the innermost narrowing.
    pub fn widen(&self) {
        self.state().rights.pop();
    }

    /// Ends the run and keeps what it changed.
    pub fn commit(&self) -> Result<Committed> {
        self.still_there()?;
        if let Some(told) = off_branch(&self.off_branch()) {
            self.mark("off branch", format!("magnets are {told}"))?;
        }
        self.mark("committed", String::new())?;
        self.unwatch_all();
        let mut state = self.state();
        state.rights.clear();
        let Some(transaction) = state.transaction.take() else {
            return Err(Diagnostic::new(Kind::Internal, "there is no run to end").into());
        };
        let RunInfo { title, start, .. } = transaction.info.clone();
        let committed = Committed { title, start, changes: transaction.standing() };
        let leases = std::mem::take(&mut state.leases);
        if state.mode == WriteMode::Write {
            state.past().history.push(committed.clone());
        }
        drop(state);
        self.unclaim();
        if let Some(journal) = transaction.journal {
            let stands = "the setpoints stay as the run has set them";
            journal.close("committed").map_err(|error| error.machine(stands))?;
        }
        drop(leases);
        Ok(committed)
    }

    /// Setpoints that stand changed by the present run: name, hardware value before and now, unit.
    pub fn standing(&self) -> Vec<Standing> {
        self.state().transaction.as_ref().map(Transaction::standing).unwrap_or_default()
    }

    /// Setpoints that a rehearsal would move and put back, with the lowest and highest value they would have meanwhile.
    pub fn passing(&self) -> Vec<Standing> {
        let state = self.state();
        let Some(transaction) = &state.transaction else { return Vec::new() };
        let standing = transaction.standing();
        let stays = |(setpoint, ..): &&Standing| !standing.iter().any(|(other, ..)| other.channel == setpoint.channel);
        transaction.rehearsed.values().filter(stays).cloned().collect()
    }

    /// Setpoints the run may change, with their values when it began.
    pub fn before(&self) -> Vec<(Arc<Setpoint>, f64)> {
        self.state().transaction.as_ref().map(|t| t.before.clone()).unwrap_or_default()
    }

    pub(crate) fn mark(&self, what: &'static str, text: String) -> Result<()> {
        let time = self.backend.now();
        self.observe(|| Event::Transaction { what, text, time })
    }

    pub(crate) fn observe(&self, event: impl FnOnce() -> Event) -> Result<()> {
        let observer = self.state().observer.clone();
        observer.map_or(Ok(()), |observer| observer.observe(&event()))
    }

    pub(crate) fn faulty(&self, what: &str, of: usize, faults: &[Fault]) -> Box<Diagnostic> {
        let mut diagnostic =
            Diagnostic::new(Kind::Machine, format!("{} of {of} {what}", faults.len())).details(listed(faults));
        if faults.iter().all(|fault| fault.absent) {
            let name = self.backend.name();
            diagnostic = diagnostic.hint(format!("is the server running, and does {name} reach it from here?"));
        }
        diagnostic.into()
    }

    /// For recovery: what channels hold now.
    pub(crate) fn look(&self, channels: &[Channel]) -> Result<Vec<Result<f64, Fault>>> {
        Ok(self.ask(channels, NOW, &self.cancel)?.into_iter().map(|answer| answer.map(|(value, _)| value)).collect())
    }
}

/// A line for each fault; many with the same reason share one.
pub(crate) fn listed(faults: &[Fault]) -> Vec<String> {
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

pub(crate) fn stopped(_: Stopped) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Stopped, "stopped by the operator").into()
}
