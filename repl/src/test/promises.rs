//! What every procedure promises, whatever it does: what is put back, and when.
//!
//! A test names a call of its procedure, `- **Call:** …`; it is made on a machine where nothing, a refused write or a stop
//! comes in between, and as a rehearsal.

use super::cases::Test;
use super::run::{Bench, Kept, carry_out};
use super::trouble::{Trouble, Writes};
use crate::app::{App, Around};
use crate::command::Common;
use crate::limits::{self, Bounded};
use fodo_builtins::Quiet;
use fodo_control::{Cancel, Channel, Fault, Fresh, Reading, Setpoint};
use fodo_devices::Facility;
use fodo_language::run_on_script_thread;
use fodo_libraries::Installed;
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Promise {
    /// A tool that measures leaves every setpoint, and the machine, as it was.
    Finished,
    /// After an error every setpoint is as it was.
    Failed,
    /// After a stop, too.
    Stopped,
    /// A rehearsal writes nothing, and names what would be written.
    Rehearsed,
}

impl Promise {
    /// All of them.
    pub const ALL: [Promise; 4] = [Promise::Finished, Promise::Failed, Promise::Stopped, Promise::Rehearsed];

    /// What it is called among the tests of a procedure.
    pub fn title(self, measures: bool) -> &'static str {
        match self {
            Promise::Finished if measures => "Everything is put back",
            Promise::Finished => "It runs",
            Promise::Failed => "Everything is put back after a refused write",
            Promise::Stopped => "Everything is put back after a stop",
            Promise::Rehearsed => "A rehearsal writes nothing",
        }
    }
}

/// Whether a call is one of a tool that leaves the machine as it was, by its verb.
pub fn measures(call: &str) -> bool {
    let verb = call.trim_start().split('_').next().unwrap_or_default();
    ["measure", "scan", "get", "read", "find", "fit", "check", "compare"].contains(&verb)
}

/// Runs of a call.
pub struct Trial<'t> {
    pub common: &'t Common,
    pub test: &'t Test,
    pub bench: &'t Bench,
    pub installed: &'t Arc<Installed>,
    pub kept: &'t Arc<Kept>,
    pub longest: Duration,
}

/// How a run of a call ended.
struct Ended {
    result: Result<()>,
    /// Setpoints that were written [1].
    writes: usize,
    /// Setpoints that are not what they were: name, before, after.
    changed: Vec<String>,
    /// Setpoints that a rehearsal would have left changed or would have moved.
    named: usize,
    /// Whether the elements of the machine are what they would be if nothing had been done.
    same: bool,
}

impl Trial<'_> {
    /// Finds whether a promise is kept.
    pub fn keep(&self, promise: Promise) -> Result<()> {
        let quiet = self.once(Trouble::None, false)?;
        match promise {
            Promise::Finished => self.finished(quiet),
            Promise::Rehearsed => self.rehearsed(&quiet),
            Promise::Failed => self.troubled(&quiet, Trouble::Refused),
            Promise::Stopped => self.troubled(&quiet, Trouble::Stopped),
        }
    }

    fn finished(&self, quiet: Ended) -> Result<()> {
        quiet.result?;
        match measures(&self.test.text) {
            true if !quiet.changed.is_empty() => Err(left("it has ended", quiet.changed)),
            true if !quiet.same => {
                let what = "setpoints are what they were, the machine is not: magnets are on another branch, or something moved";
                Err(Diagnostic::new(Kind::Script, what).into())
            }
            _ => Ok(()),
        }
    }

    fn rehearsed(&self, quiet: &Ended) -> Result<()> {
        let rehearsal = self.once(Trouble::None, true)?;
        rehearsal.result?;
        if rehearsal.writes > 0 || !rehearsal.changed.is_empty() {
            let what = format!("the rehearsal wrote {} times", rehearsal.writes);
            return Err(Diagnostic::new(Kind::Script, what).details(rehearsal.changed).into());
        }
        if quiet.writes > 0 && rehearsal.named == 0 {
            let what = "the run writes setpoints, and its rehearsal names none";
            return Err(Diagnostic::new(Kind::Script, what).into());
        }
        Ok(())
    }

    /// Trouble at the first write, in the middle and at the last one.
    fn troubled(&self, quiet: &Ended, trouble: fn(usize) -> Trouble) -> Result<()> {
        let last = quiet.writes.saturating_sub(1);
        let mut places = vec![0, last / 2, last];
        places.dedup();
        for at in places.into_iter().take_while(|_| quiet.writes > 0) {
            let ended = self.once(trouble(at), false)?;
            // a tool that copes with it, and changes the machine, is right to leave it changed
            let must = ended.result.is_err() || measures(&self.test.text);
            if must && !ended.changed.is_empty() {
                return Err(left(&format!("write {} of {} went wrong", at + 1, quiet.writes), ended.changed));
            }
        }
        Ok(())
    }

    fn once(&self, trouble: Trouble, rehearse: bool) -> Result<Ended> {
        let cancel = Cancel::new();
        let common = Common { rehearse, ..self.common.clone() };
        limits::within(&Bounded::Test(&self.test.name), self.longest, &cancel, || {
            run_on_script_thread(|| self.carried_out(&common, trouble, &cancel)).and_then(|ended| ended)
        })
    }

    fn carried_out(&self, common: &Common, trouble: Trouble, cancel: &Cancel) -> Result<Ended> {
        let writes = Writes::default();
        let app = self.app(common, Some((trouble, writes.clone())), cancel)?;
        let points = setpoints(self.bench);
        let before = stand(&app, &points)?;
        let mut named = 0;
        let result =
            carry_out(&app, self.test, &mut |session| named = session.standing().len() + session.passing().len());
        let written = writes.load(Ordering::SeqCst);
        // what is looked at now is looked at after the stop
        cancel.reset();
        let after = stand(&app, &points)?;
        let moved =
            points.iter().zip(before.iter().zip(&after)).filter(|(_, (old, new))| old.to_bits() != new.to_bits());
        let shown = |(point, (old, new)): (&Arc<Setpoint>, (&f64, &f64))| {
            format!("{} was {}, is {}", point.name, point.shown(*old), point.shown(*new))
        };
        Ok(Ended { result, writes: written, changed: moved.map(shown).collect(), named, same: self.is_same(&app)? })
    }

    fn app(&self, common: &Common, trouble: Option<(Trouble, Writes)>, cancel: &Cancel) -> Result<App> {
        let folder = self.test.folder();
        let around = Around {
            output: self.kept.clone(),
            progress: Arc::new(Quiet),
            notes: self.kept.clone(),
            cancel: cancel.clone(),
            beside: Some(&folder),
            trouble,
        };
        App::on(common, self.bench.clone(), around, self.installed.clone())
    }

    /// Whether the elements are those of a twin on which only time has passed; magnets with a memory are not compared, and none that
    /// move all the time.
    fn is_same(&self, app: &App) -> Result<bool> {
        let moves = |text: &str| text.contains("hysteresis") || text.contains("ripple");
        if self.bench.tables().iter().any(|(path, text)| path.ends_with("twin.toml") && moves(text)) {
            return Ok(true);
        }
        let untouched = self.app(&Common { rehearse: false, ..self.common.clone() }, None, &Cancel::new())?;
        let (now, then) = (app.session.backend().now(), untouched.session.backend().now());
        let passed = Duration::from_nanos(u64::try_from(now.0 - then.0).unwrap_or_default());
        let stopped = |_| Diagnostic::new(Kind::Stopped, "stopped by the operator");
        untouched.session.backend().wait(passed, &Cancel::new()).map_err(stopped)?;
        let elements = |app: &App| app.twin.as_ref().map(|twin| twin.ring().elements().to_vec());
        Ok(elements(app) == elements(&untouched))
    }
}

fn left(when: &str, changed: Vec<String>) -> Box<Diagnostic> {
    let what = format!("{} setpoints are not what they were when {when}", changed.len());
    Diagnostic::new(Kind::Script, what).details(changed.into_iter().take(12)).into()
}

/// What the machine holds, whatever a rehearsal would have it hold.
fn stand(app: &App, points: &[Arc<Setpoint>]) -> Result<Vec<f64>> {
    let channels: Vec<Channel> = points.iter().map(|point| point.channel.clone()).collect();
    let (backend, patience) = (app.session.backend(), app.session.patience());
    let answers = backend.read(&channels, Fresh::Latest, patience, &Cancel::new());
    let answers = answers.map_err(|_| Diagnostic::new(Kind::Stopped, "stopped by the operator"))?;
    let number = |answer: std::result::Result<Reading, Fault>| answer.ok().and_then(|reading| reading.value.number());
    Ok(answers.into_iter().map(|answer| number(answer).unwrap_or(f64::NAN)).collect())
}

/// Every setpoint of a facility once.
fn setpoints(facility: &Facility) -> Vec<Arc<Setpoint>> {
    let devices = facility.families.iter().flat_map(|family| &family.devices);
    let fields = devices.flat_map(|device| &device.fields).filter(|field| field.wave.is_none());
    let mut seen = HashSet::new();
    let all = fields.filter_map(|field| field.setpoint.clone());
    all.filter(|setpoint| seen.insert(setpoint.channel.clone())).collect()
}
