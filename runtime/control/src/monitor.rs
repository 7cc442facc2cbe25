//! Following channels: a bounded queue between a control system and whoever listens.

use crate::{Cancel, Channel, Fault, Reading, Stopped};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often a wait looks at its cancel token.
const STOP_LATENCY: Duration = Duration::from_millis(30);

/// What becomes of samples that come faster than they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Of each channel the newest: states, positions, currents.
    Newest,
    /// All of them, up to this many of each channel: turn-by-turn data. What is beyond it is told as a fault.
    Every(usize),
}

/// Something new on a followed channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The channel's place in the list that was asked for.
    pub place: usize,
    /// What it holds, or why that is not known.
    pub reading: Result<Reading, Fault>,
}

/// How many updates came and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Came from the control system.
    pub received: u64,
    /// Replaced by a newer one before they were taken ([`Keep::Newest`]).
    pub replaced: u64,
    /// Found the queue full ([`Keep::Every`]).
    pub lost: u64,
}

/// The end of a queue where updates are taken; dropping it ends the monitor.
pub struct Monitor {
    queue: Arc<Queue>,
}

/// The end of a queue where a backend puts updates.
#[derive(Clone)]
pub struct Feed {
    queue: Weak<Queue>,
}

struct Queue {
    channels: Vec<Channel>,
    keep: Keep,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    /// Updates that wait; of a channel whose newest alone is kept, it stands in `newest`.
    waiting: VecDeque<(usize, Option<Result<Reading, Fault>>)>,
    newest: Vec<Option<Result<Reading, Fault>>>,
    /// Of each channel: how many updates wait, and how many were lost since it was full.
    held: Vec<(usize, u64)>,
    counts: Counts,
}

impl Monitor {
    /// A queue for updates of `channels`, and the end for the backend.
    pub fn new(channels: &[Channel], keep: Keep) -> (Monitor, Feed) {
        let (held, newest) = (vec![(0, 0); channels.len()], vec![None; channels.len()]);
        let state = State { held, newest, ..State::default() };
        let queue = Queue { channels: channels.to_vec(), keep, state: Mutex::new(state), filled: Condvar::new() };
        let monitor = Monitor { queue: Arc::new(queue) };
        let feed = Feed { queue: Arc::downgrade(&monitor.queue) };
        (monitor, feed)
    }

    /// Takes all updates that wait; waits for the first at most `wait`, so that none is a time-out.
    pub fn next(&self, wait: Duration, cancel: &Cancel) -> Result<Vec<Update>, Stopped> {
        let end = Instant::now() + wait;
        let mut state = self.queue.state();
        loop {
            cancel.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if !state.waiting.is_empty() || left.is_zero() {
                return Ok(self.take(&mut state));
            }
            let pause = left.min(STOP_LATENCY);
            state = self.queue.filled.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What became of the updates so far.
    pub fn counts(&self) -> Counts {
        self.queue.state().counts
    }

    fn take(&self, state: &mut State) -> Vec<Update> {
        let State { waiting, newest, .. } = state;
        let update = |(place, reading): (usize, Option<_>)| {
            Some(Update { place, reading: reading.or_else(|| newest[place].take())? })
        };
        let mut taken: Vec<Update> = waiting.drain(..).filter_map(update).collect();
        for (place, (held, lost)) in state.held.iter_mut().enumerate() {
            *held = 0;
            if *lost > 0 {
                let reason = format!("{lost} samples were lost: they came faster than they were taken");
                taken.push(Update { place, reading: Err(Fault::refused(&self.queue.channels[place], reason)) });
                *lost = 0;
            }
        }
        taken
    }
}

impl Feed {
    /// Puts an update into the queue; false if nobody listens any more.
    pub fn push(&self, place: usize, reading: Result<Reading, Fault>) -> bool {
        let Some(queue) = self.queue.upgrade() else { return false };
        let mut state = queue.state();
        let State { waiting, newest, held, counts } = &mut *state;
        counts.received += 1;
        let (here, lost) = &mut held[place];
        match queue.keep {
            Keep::Newest => match newest[place].replace(reading) {
                Some(_older) => counts.replaced += 1,
                None => waiting.push_back((place, None)),
            },
            Keep::Every(limit) if *here >= limit => {
                counts.lost += 1;
                *lost += 1;
            }
            Keep::Every(_) => {
                *here += 1;
                waiting.push_back((place, Some(reading)));
            }
        }
        queue.filled.notify_one();
        true
    }

    /// Whether somebody listens.
    pub fn is_wanted(&self) -> bool {
        self.queue.strong_count() > 0
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Time, Value};

    fn reading(number: f64) -> Result<Reading, Fault> {
        Ok(Reading::good(Value::Number(number), Time(0)))
    }

    fn numbers(updates: &[Update]) -> Vec<(usize, Option<f64>)> {
        updates.iter().map(|u| (u.place, u.reading.as_ref().ok().and_then(|r| r.value.number()))).collect()
    }

    #[test]
    fn the_newest_of_each_channel() {
        let (monitor, feed) = Monitor::new(&["A".into(), "B".into()], Keep::Newest);
        for number in 0..1000 {
            assert!(feed.push(0, reading(f64::from(number))));
        }
        feed.push(1, reading(-1.0));
        let updates = monitor.next(Duration::ZERO, &Cancel::new()).unwrap_or_default();
        assert_eq!(numbers(&updates), [(0, Some(999.0)), (1, Some(-1.0))]);
        assert_eq!(monitor.counts(), Counts { received: 1001, replaced: 999, lost: 0 });
        assert!(monitor.next(Duration::ZERO, &Cancel::new()).unwrap_or_default().is_empty());
    }

    #[test]
    fn every_sample_and_what_is_beyond_is_told() {
        let (monitor, feed) = Monitor::new(&["A".into()], Keep::Every(3));
        (0..5).for_each(|number| _ = feed.push(0, reading(f64::from(number))));
        let updates = monitor.next(Duration::ZERO, &Cancel::new()).unwrap_or_default();
        assert_eq!(numbers(&updates), [(0, Some(0.0)), (0, Some(1.0)), (0, Some(2.0)), (0, None)]);
        let told = updates[3].reading.as_ref().err().map(|fault| fault.reason.as_str());
        assert_eq!(told, Some("2 samples were lost: they came faster than they were taken"));
        feed.push(0, reading(5.0));
        assert_eq!(monitor.next(Duration::ZERO, &Cancel::new()).map(|u| u.len()), Ok(1));
    }

    #[test]
    fn waiting_ends_with_an_update_or_a_stop_and_dropping_tells_the_backend() {
        let (monitor, feed) = Monitor::new(&["A".into()], Keep::Newest);
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            scope.spawn(|| feed.push(0, reading(1.0)));
            assert_eq!(monitor.next(Duration::from_secs(10), &cancel).map(|u| u.len()), Ok(1));
        });
        cancel.stop();
        assert_eq!(monitor.next(Duration::from_secs(10), &cancel), Err(Stopped));
        drop(monitor);
        assert!(!feed.is_wanted() && !feed.push(0, reading(2.0)));
    }
}
