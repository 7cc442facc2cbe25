//! Threads that wait inside libtango, so that callers need not.

use fodo_control::{Cancel, Stopped};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a caller looks at its cancel token, and whether the threads get on.
const STOP_LATENCY: Duration = Duration::from_millis(30);

/// Threads while all devices answer.
const FEW: usize = 4;

/// Threads at most, when devices hang.
const MOST: usize = 128;

/// Work for one of the threads.
pub type Job = Box<dyn FnOnce() + Send>;

/// A few threads; more where devices hang, so that one that hangs keeps no other waiting.
#[derive(Clone, Default)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    /// How many jobs were begun.
    begun: u64,
    closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Hands out work.
    pub fn submit(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut state = self.shared.state();
        state.jobs.extend(jobs);
        let wanted = state.jobs.len().min(FEW).saturating_sub(state.idle);
        let new = wanted.min(FEW.saturating_sub(state.threads));
        self.hire(&mut state, new);
        for _ in 0..state.jobs.len().min(state.idle) {
            self.shared.filled.notify_one();
        }
    }

    fn hire(&self, state: &mut State, count: usize) {
        for _ in 0..count {
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new().name("tango".into()).spawn(move || work(&shared));
            state.threads += usize::from(thread.is_ok());
        }
    }

    /// More threads, if jobs wait and none was begun since `begun`; what that is now.
    fn relieve(&self, begun: u64) -> u64 {
        let mut state = self.shared.state();
        if state.begun == begun && !state.jobs.is_empty() {
            let more = state.jobs.len().min(MOST.saturating_sub(state.threads)).min(16);
            self.hire(&mut state, more);
        }
        state.begun
    }

    /// Lets the threads go when they are done.
    pub fn close(&self) {
        let mut state = self.shared.state();
        state.closed = true;
        state.jobs.clear();
        self.shared.filled.notify_all();
    }
}

fn work(shared: &Shared) {
    let mut state = shared.state();
    while !state.closed {
        if let Some(job) = state.jobs.pop_front() {
            state.begun += 1;
            drop(state);
            // a job that panics has lost its answer, which its caller then misses in time
            let _ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            state = shared.state();
            continue;
        }
        state.idle += 1;
        state = shared.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
    }
    state.threads -= 1;
}

/// Answers that jobs give and one caller waits for.
pub struct Batch<T> {
    answers: Mutex<(Vec<Option<T>>, usize)>,
    complete: Condvar,
    abandoned: AtomicBool,
    deadline: Instant,
}

impl<T> Batch<T> {
    /// Room for `count` answers, which are not wanted any more after the deadline.
    pub fn new(count: usize, deadline: Instant) -> Arc<Batch<T>> {
        Arc::new(Batch {
            answers: Mutex::new(((0..count).map(|_| None).collect(), count)),
            complete: Condvar::new(),
            abandoned: AtomicBool::new(false),
            deadline,
        })
    }

    /// Time that is left, in milliseconds for libtango; none if nobody waits any more.
    ///
    /// Rounded, since a proxy has to be told each time that it changes.
    pub fn milliseconds(&self) -> Option<i32> {
        let left = self.deadline.saturating_duration_since(Instant::now()).as_millis() as i32;
        let wanted = !self.abandoned.load(Ordering::Relaxed) && left > 0;
        let grain = if left > 1000 { 100 } else { 10 };
        wanted.then_some((left + grain - 1) / grain * grain)
    }

    /// Gives an answer.
    pub fn set(&self, answers: impl IntoIterator<Item = (usize, T)>) {
        let mut here = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, answer) in answers {
            // the caller has gone with what there was
            let Some(empty) = here.0.get_mut(place) else { return };
            if empty.replace(answer).is_none() {
                here.1 -= 1;
            }
        }
        if here.1 == 0 {
            self.complete.notify_all();
        }
    }

    /// Waits for all answers; those that are missing at the deadline stay none.
    pub fn wait(&self, pool: &Pool, cancel: &Cancel) -> Result<Vec<Option<T>>, Stopped> {
        // libtango keeps the deadline itself, and says more about what was late
        let end = self.deadline + Duration::from_millis(200);
        let mut begun = u64::MAX;
        let mut here = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let stopped = cancel.is_stopped();
            let left = end.saturating_duration_since(Instant::now());
            if stopped || here.1 == 0 || left.is_zero() {
                self.abandoned.store(true, Ordering::Relaxed);
                return if stopped { Err(Stopped) } else { Ok(std::mem::take(&mut here.0)) };
            }
            let (back, late) =
                self.complete.wait_timeout(here, left.min(STOP_LATENCY)).unwrap_or_else(PoisonError::into_inner);
            here = back;
            if late.timed_out() && here.1 > 0 {
                drop(here);
                begun = pool.relieve(begun);
                here = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hung_jobs_keep_no_other_waiting() {
        let pool = Pool::default();
        let (release, hung) = std::sync::mpsc::channel::<()>();
        let hung = Arc::new(Mutex::new(hung));
        let batch = Batch::new(41, Instant::now() + Duration::from_secs(2));
        let jobs = (0..40).map(|_| {
            let hung = hung.clone();
            Box::new(move || _ = hung.lock().map(|hung| hung.recv())) as Job
        });
        let last = batch.clone();
        pool.submit(jobs.chain([Box::new(move || last.set([(40, 7)])) as Job]));
        let got = batch.wait(&pool, &Cancel::new()).unwrap_or_default();
        assert_eq!(got.iter().flatten().collect::<Vec<_>>(), [&7]);
        drop(release);
        pool.close();
    }

    #[test]
    fn a_stop_ends_the_wait_and_what_was_not_begun_is_not_done() {
        let pool = Pool::default();
        let cancel = Cancel::new();
        cancel.stop();
        let batch = Batch::<i32>::new(1, Instant::now() + Duration::from_secs(60));
        assert_eq!(batch.wait(&pool, &cancel).err(), Some(Stopped));
        assert_eq!(batch.milliseconds(), None);
    }
}
