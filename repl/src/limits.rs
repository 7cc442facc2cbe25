//! What a run may take of time and memory, and that it ends as a run whatever happens in it.

use crate::app;
use crate::command::Common;
use fodo_control::Cancel;
use fodo_language::Memory;
use fodo_report::{Diagnostic, Kind, Result};
use fodo_units::{Quantity, Unit};
use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Counts the bytes that the process holds: those of arrays, texts and vectors of scripts as well as all others.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;
static HELD: AtomicUsize = AtomicUsize::new(0);

// Safety: everything is handed on to the system's allocator; only a counter is kept beside it.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_add(size.wrapping_sub(layout.size()), Ordering::Relaxed);
        unsafe { System.realloc(place, layout, size) }
    }
}

/// The bound on memory that the command line sets.
pub fn memory(common: &Common) -> Memory {
    Memory { most: (common.max_memory.max(0.1) * 1e9) as usize, held: || HELD.load(Ordering::Relaxed) }
}

/// How long a run may take.
pub fn longest(common: &Common) -> Result<Duration> {
    time(common, "8 h")
}

/// How long one test may take with one seed.
pub fn longest_test(common: &Common) -> Result<Duration> {
    time(common, "10 min")
}

/// The bound on time that the command line sets, or else `usual`.
fn time(common: &Common, usual: &str) -> Result<Duration> {
    let said = common.max_time.as_deref().unwrap_or(usual);
    let wrong = |why: String| Diagnostic::new(Kind::Usage, format!("--max-time {said}: {why}"));
    let time = Quantity::parse(said).map_err(|e| wrong(e.to_string()))?;
    let second = Unit::parse("s").map_err(|e| wrong(e.to_string()))?;
    let seconds = time.to(&second).map_err(|e| wrong(e.to_string()))?;
    if !(seconds > 0.0 && seconds < 1e9) {
        return Err(wrong("a time above zero is needed, as in \"30 min\"".into()).into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Whose time is bounded.
pub enum Bounded<'b> {
    /// A run, which its own token stops.
    Run,
    /// A test of this name, which ends when the program is stopped, too.
    Test(&'b str),
}

/// How often it is looked whether the program was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// Does the work of a run or test: no longer than it may take, and with a mistake of Fodo's own as an error like any other, so
/// that what it changed is put back.
pub fn within<T>(who: &Bounded, longest: Duration, cancel: &Cancel, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (done, waiting) = channel::<()>();
    let ending = cancel.clone();
    let program = matches!(who, Bounded::Test(_)).then(app::cancel);
    std::thread::spawn(move || {
        let end = Instant::now() + longest;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let pause = if program.is_some() { left.min(LOOK) } else { left };
            if waiting.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if program.is_some_and(Cancel::is_stopped) {
                return ending.stop();
            }
            if Instant::now() >= end {
                return ending.expire();
            }
        }
    });
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(fodo_language::panicked(panic)));
    drop(done);
    result.map_err(|error| match cancel.is_expired() && error.kind == Kind::Stopped {
        true => {
            let seconds = longest.as_secs_f64();
            let message = match who {
                Bounded::Run => format!("the run took longer than {seconds} s, which is all it may"),
                Bounded::Test(name) => format!("`{name}` took longer than {seconds} s, which is all a test may"),
            };
            let hint = "a larger --max-time lets it take longer; what never ends has to be mended";
            Box::new(Diagnostic { kind: Kind::Limits, message, ..*error }.hint(hint))
        }
        false => error,
    })
}
