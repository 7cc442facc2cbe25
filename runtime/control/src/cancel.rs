//! Stopping: one token that every wait and every long native call takes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The operator stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

/// A token that says whether to stop.
///
/// Every call of [`Cancel::stop`] counts. A run stops at the first. Restoring works under
/// [`Cancel::shielded`]: it goes on through the first, and one that the first has begun takes one more.
/// A run whose time is over ([`Cancel::expire`]) stops too, and its restoring is not hurried by that.
/// [`Cancel::hold`] stops both, and writing for good.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
    patience: u32,
}

#[derive(Debug, Default)]
struct Shared {
    stops: Mutex<Stops>,
    changed: Condvar,
    /// Those that a panic stop ends together.
    together: Arc<Mutex<Vec<Weak<Shared>>>>,
}

impl Shared {
    fn hold(&self) {
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        (stops.all, stops.held) = (true, true);
        drop(stops);
        self.changed.notify_all();
    }
}

#[derive(Debug, Default)]
struct Stops {
    count: u32,
    /// Ends everything, shielded or not.
    all: bool,
    held: bool,
    expired: bool,
    paused: bool,
}

impl Cancel {
    /// A token that nobody has used.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Asks to stop; may be called from any thread and more than once.
    pub fn stop(&self) {
        let mut stops = self.stops();
        (stops.count, stops.paused) = (stops.count + 1, false);
        drop(stops);
        self.shared.changed.notify_all();
    }

    /// The panic stop: everything ends, putting back included, and setpoints stay as they are. Reading goes on after
    /// [`Cancel::reset`], writing does not. It is that of all tokens beside this one, too.
    pub fn hold(&self) {
        self.shared.hold();
        let together = self.together().clone();
        together.iter().filter_map(Weak::upgrade).for_each(|other| other.hold());
    }

    /// A token for work beside this one: stopped and paused by itself, held together.
    pub fn beside(&self) -> Cancel {
        let held = self.is_held();
        let stops = Mutex::new(Stops { all: held, held, ..Stops::default() });
        let shared = Arc::new(Shared { stops, together: self.shared.together.clone(), ..Shared::default() });
        let mut together = self.together();
        together.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&Arc::downgrade(&self.shared)));
        together.extend([Arc::downgrade(&self.shared), Arc::downgrade(&shared)]);
        Cancel { shared, patience: 0 }
    }

    fn together(&self) -> MutexGuard<'_, Vec<Weak<Shared>>> {
        self.shared.together.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the run to wait at its next step, or to go on.
    pub fn pause(&self, paused: bool) {
        self.stops().paused = paused;
        self.shared.changed.notify_all();
    }

    /// Pauses what runs, lets go on what is paused; which of both.
    pub fn pause_or_resume(&self) -> bool {
        let paused = !self.is_paused();
        self.pause(paused);
        paused
    }

    /// Whether the run shall wait at its next step.
    pub fn is_paused(&self) -> bool {
        self.stops().paused
    }

    /// Waits until it goes on, or until stopped.
    pub fn wait_for_resume(&self) -> Result<(), Stopped> {
        let mut stops = self.stops();
        while stops.paused && !self.says(&stops) {
            stops = self.shared.changed.wait(stops).unwrap_or_else(PoisonError::into_inner);
        }
        if self.says(&stops) { Err(Stopped) } else { Ok(()) }
    }

    /// Whether there was a panic stop.
    pub fn is_held(&self) -> bool {
        self.stops().held
    }

    /// Asks to stop because the time of the run is over.
    pub fn expire(&self) {
        self.stops().expired = true;
        self.shared.changed.notify_all();
    }

    /// Whether it is time that ended the run, and not the operator.
    pub fn is_expired(&self) -> bool {
        let stops = self.stops();
        stops.expired && stops.count == 0 && !stops.all
    }

    fn stops(&self) -> MutexGuard<'_, Stops> {
        self.shared.stops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn says(&self, stops: &Stops) -> bool {
        stops.all || stops.count > self.patience || (stops.expired && self.patience == 0)
    }

    /// Forgets the stops, for the next line at the prompt.
    pub fn reset(&self) {
        let mut stops = self.stops();
        *stops = Stops { held: stops.held, ..Stops::default() };
    }

    /// Whether to stop now.
    pub fn is_stopped(&self) -> bool {
        self.says(&self.stops())
    }

    /// An error if it is time to stop.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// The token for putting back: the first stop does not count, nor what was asked so far; one more does.
    pub fn shielded(&self) -> Cancel {
        let stops = self.stops().count;
        Cancel { shared: self.shared.clone(), patience: stops.max(self.patience).max(1) }
    }

    /// Waits on the wall clock, or until stopped.
    pub fn wait(&self, span: Duration) -> Result<(), Stopped> {
        let end = Instant::now() + span;
        let mut stops = self.stops();
        loop {
            if self.says(&stops) {
                return Err(Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            stops = self.shared.changed.wait_timeout(stops, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restoring_that_is_on_already_ignores_the_first_stop_too() {
        let cancel = Cancel::new();
        let restoring = cancel.shielded();
        cancel.stop();
        assert!(cancel.is_stopped() && !restoring.is_stopped());
        cancel.stop();
        assert!(restoring.is_stopped());
    }

    #[test]
    fn a_run_out_of_time_restores_unhurried() {
        let cancel = Cancel::new();
        cancel.expire();
        let restoring = cancel.shielded();
        assert!(cancel.is_stopped() && cancel.is_expired() && !restoring.is_stopped());
        cancel.stop();
        assert!(!cancel.is_expired() && !restoring.is_stopped());
        cancel.stop();
        assert!(restoring.is_stopped());
        cancel.reset();
        assert!(!cancel.is_stopped());
    }

    #[test]
    fn a_panic_stop_ends_restoring_too_and_stays() {
        let cancel = Cancel::new();
        let restoring = cancel.shielded();
        cancel.hold();
        assert!(cancel.is_stopped() && restoring.is_stopped());
        cancel.reset();
        assert!(!cancel.is_stopped() && restoring.is_held());
    }

    #[test]
    fn tokens_beside_each_other_are_stopped_alone_and_held_together() {
        let (prompt, other) = (Cancel::new(), Cancel::new());
        let tasks = [prompt.beside(), prompt.beside()];
        tasks[0].stop();
        tasks[1].pause(true);
        assert!(tasks[0].is_stopped() && !tasks[1].is_stopped() && !prompt.is_stopped() && !prompt.is_paused());
        tasks[0].hold();
        assert!(prompt.is_held() && tasks[1].is_held() && prompt.beside().is_held() && !other.is_held());
    }

    #[test]
    fn restoring_ignores_the_first_stop() {
        let cancel = Cancel::new();
        cancel.stop();
        let restoring = cancel.shielded();
        assert!(cancel.is_stopped() && !restoring.is_stopped());
        cancel.stop();
        assert!(restoring.is_stopped());
    }
}
