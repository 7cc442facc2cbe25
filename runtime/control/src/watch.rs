//! Conditions that must hold while a procedure works on the machine: watchers, and the state of feedbacks.
//!
//! Every sample of their channels is looked at, so that a beam that was lost and came back between two readings is not
//! missed. What was read while a condition did not hold is not used: it is read again.

use crate::session::{Session, stopped};
use crate::{Change, Channel, Fresh, Keep, Monitor, Reading, Time};
use fodo_report::{Diagnostic, Kind, Result};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// Samples of a condition that wait to be looked at; where there are more, the server is asked how it stands.
const QUEUE: usize = 4096;

/// How often a pause looks whether it is over.
const PACE: Duration = Duration::from_millis(100);

/// What becomes of a run whose condition does not hold, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// It waits until the condition has held for `back`; after `patience` it is stopped.
    Pause {
        /// How long the condition has to hold before the run goes on.
        back: Duration,
        /// The longest pause.
        patience: Duration,
    },
    /// It ends with an error, and is put back.
    Stop,
    /// It ends, and nothing more is written: setpoints stay as they are.
    Hold,
}

/// Says why a condition does not hold: `BEAM.current is 0 A, it should be above 5 mA`.
pub type Broken = Arc<dyn Fn(&Reading) -> Option<String> + Send + Sync>;

/// Something that must hold.
#[derive(Clone)]
pub struct Condition {
    /// Who says so: ``watcher `beam` ``.
    pub name: Arc<str>,
    /// The channel that tells.
    pub channel: Channel,
    /// Looks at a sample of it.
    pub broken: Broken,
    /// What follows if it does not hold.
    pub then: Then,
}

/// Families that belong to somebody else while a condition does not hold: a feedback that runs.
#[derive(Clone)]
pub struct Owner {
    /// The families.
    pub families: Vec<Arc<str>>,
    /// Holds while it leaves them alone.
    pub condition: Condition,
    /// What can be done instead.
    pub instead: String,
}

/// Conditions and how they stand.
pub(crate) struct Watching {
    watched: Vec<Watched>,
    /// The channel of each.
    channels: Vec<Channel>,
    monitor: Monitor,
    lost: u64,
}

struct Watched {
    condition: Condition,
    /// Why it does not hold now.
    now: Option<String>,
    /// Why it did not hold at some moment since it was looked at last.
    since: Option<String>,
}

impl Watched {
    fn see(&mut self, why: Option<String>) {
        self.since = self.since.take().or_else(|| why.clone());
        self.now = why;
    }
}

impl Watching {
    fn open(session: &Session, conditions: Vec<Condition>) -> Result<Watching> {
        let watched: Vec<Watched> =
            conditions.into_iter().map(|condition| Watched { condition, now: None, since: None }).collect();
        let channels: Vec<Channel> = watched.iter().map(|watched| watched.condition.channel.clone()).collect();
        session.connect(&channels)?;
        let monitor = session.backend.monitor(&channels, Keep::Every(QUEUE));
        let mut watching = Watching { watched, channels, monitor, lost: 0 };
        watching.ask(session)?;
        Ok(watching)
    }

    /// Asks for how the conditions stand.
    fn ask(&mut self, session: &Session) -> Result<()> {
        let (patience, cancel) = (session.patience(), &session.cancel);
        let answers = session.backend.read(&self.channels, Fresh::Latest, patience, cancel).map_err(stopped)?;
        for (watched, answer) in self.watched.iter_mut().zip(answers) {
            let why = match answer {
                Ok(reading) => (watched.condition.broken)(&reading),
                Err(fault) => Some(fault.to_string()),
            };
            watched.see(why);
        }
        Ok(())
    }

    /// Looks at every sample since the last look.
    fn look(&mut self, session: &Session) -> Result<()> {
        self.watched.iter_mut().for_each(|watched| watched.since = watched.now.clone());
        for update in self.monitor.next(Duration::ZERO, &session.cancel).map_err(stopped)? {
            let watched = &mut self.watched[update.place];
            match update.reading {
                Ok(reading) => watched.see((watched.condition.broken)(&reading)),
                Err(fault) if fault.absent => watched.see(Some(fault.to_string())),
                // samples that came too fast for the queue; the present one is asked for
                Err(_) => {}
            }
        }
        let lost = self.monitor.counts().lost;
        if lost > self.lost {
            self.lost = lost;
            self.ask(session)?;
        }
        Ok(())
    }
}

/// Of what did not hold since the last look the gravest: what follows, and why.
fn gravest(all: &[Watching]) -> Option<(Then, String)> {
    let broken = all.iter().flat_map(|watching| &watching.watched).filter(|watched| watched.since.is_some());
    let Watched { condition, since, .. } = broken.max_by_key(|watched| watched.condition.then)?;
    Some((condition.then, format!("{}: {}", condition.name, since.as_deref().unwrap_or_default())))
}

/// How long all have to hold before a pause is over.
fn longest_back(all: &[Watching]) -> Duration {
    let back = |watched: &Watched| match watched.condition.then {
        Then::Pause { back, .. } => Some(back),
        _ => None,
    };
    all.iter().flat_map(|watching| &watching.watched).filter_map(back).max().unwrap_or_default()
}

impl Session {
    fn watching(&self) -> MutexGuard<'_, Vec<Watching>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches conditions until [`Session::unwatch`]; waits for those that pause a run and do not hold yet.
    ///
    /// # Errors
    /// Kind `machine`: a channel is absent, or a condition does not hold.
    pub fn watch(&self, conditions: Vec<Condition>) -> Result<()> {
        let watching = Watching::open(self, conditions)?;
        self.watching().push(watching);
        let begun = self.gate().map(drop);
        if begun.is_err() {
            self.unwatch();
        }
        begun
    }

    /// Ends what was watched last.
    pub fn unwatch(&self) {
        self.watching().pop();
    }

    /// Between two steps of a run: waits while the operator or a watcher pauses it.
    ///
    /// # Errors
    /// Those of a condition that does not hold; `stopped`.
    pub fn step(&self) -> Result<()> {
        self.cancel.check().map_err(stopped)?;
        if self.cancel.is_paused() {
            self.mark("paused", "by the operator".into())?;
            self.cancel.wait_for_resume().map_err(stopped)?;
            self.mark("resumed", "by the operator".into())?;
        }
        self.gate().map(drop)
    }

    /// Goes on if all conditions hold and did so since it was asked last; whether it had to wait for that.
    pub(crate) fn gate(&self) -> Result<bool> {
        let mut all = self.watching();
        if all.is_empty() {
            return Ok(false);
        }
        let (mut paused, mut whole) = (None, None);
        loop {
            for watching in all.iter_mut() {
                watching.look(self)?;
            }
            let now = self.backend.now();
            let span = |since: Time| Duration::from_nanos((now.0 - since.0).max(0) as u64);
            match (gravest(&all), paused) {
                (None, None) => return Ok(false),
                (None, Some(_)) if span(*whole.get_or_insert(now)) >= longest_back(&all) => {
                    self.mark("resumed", "all that is watched holds again".into())?;
                    self.state().arrived = now;
                    return Ok(true);
                }
                (None, Some(_)) => {}
                (Some((then, why)), _) => {
                    whole = None;
                    match (then, paused) {
                        (Then::Pause { .. }, None) => {
                            self.mark("paused", why)?;
                            paused = Some(now);
                        }
                        (Then::Pause { patience, .. }, Some(since)) if span(since) > patience => {
                            let what = format!("{why}; waited {} s for it", patience.as_secs_f64());
                            return Err(Diagnostic::new(Kind::Machine, what).into());
                        }
                        (Then::Pause { .. }, Some(_)) => {}
                        (Then::Stop, _) => return Err(Diagnostic::new(Kind::Machine, why).into()),
                        (Then::Hold, _) => {
                            self.cancel.hold();
                            let hint = "it asks that nothing more is written: see how the machine stands";
                            return Err(Diagnostic::new(Kind::Machine, why).hint(hint).into());
                        }
                    }
                }
            }
            self.backend.wait(PACE, &self.cancel).map_err(stopped)?;
        }
    }

    /// Ends all that is watched: the run is over, however it ended.
    pub(crate) fn unwatch_all(&self) {
        self.watching().clear();
    }

    /// Refuses changes to families that somebody else works on.
    pub fn owned_by(&self, owners: Vec<Owner>) {
        *self.owners() = owners.into_iter().map(|owner| (owner, None)).collect();
    }

    pub(crate) fn owners(&self) -> MutexGuard<'_, Vec<(Owner, Option<Watching>)>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn not_owned(&self, changes: &[Change]) -> Result<()> {
        for (owner, watching) in self.owners().iter_mut() {
            let Some(owned) = changes.iter().find(|change| owner.families.contains(&change.setpoint.family)) else {
                continue;
            };
            let watching = match watching {
                Some(watching) => {
                    watching.look(self)?;
                    watching
                }
                None => watching.insert(Watching::open(self, vec![owner.condition.clone()])?),
            };
            let Some(why) = &watching.watched[0].now else { continue };
            let what = format!("{} belongs to the {} while it runs", owned.setpoint.family, owner.condition.name);
            return Err(Diagnostic::new(Kind::Machine, what).detail(why.clone()).hint(owner.instead.clone()).into());
        }
        Ok(())
    }
}
