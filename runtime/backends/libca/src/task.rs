//! Requests under way, all waited for by the thread that asked.

use fodo_control::{Cancel, Stopped};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How often a call that waits looks at its cancel token.
pub const STOP_LATENCY: Duration = Duration::from_millis(30);

/// A request and its answer.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

struct Woken {
    thread: Thread,
    is: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs tasks until all are done or time is over; what is not done by then is `None`, and is dropped.
///
/// Each is begun in turn.
pub fn drive<T>(tasks: Vec<Task<'_, T>>, deadline: Instant, cancel: &Cancel) -> Result<Vec<Option<T>>, Stopped> {
    let woken = || Arc::new(Woken { thread: std::thread::current(), is: AtomicBool::new(true) });
    let mut open: Vec<_> = tasks.into_iter().enumerate().map(|(place, task)| (place, task, woken())).collect();
    let mut done: Vec<Option<T>> = (0..open.len()).map(|_| None).collect();
    loop {
        cancel.check()?;
        open.retain_mut(|(place, task, woken)| {
            if !woken.is.swap(false, Ordering::Acquire) {
                return true;
            }
            match task.as_mut().poll(&mut Context::from_waker(&Waker::from(woken.clone()))) {
                Poll::Ready(answer) => done[*place] = Some(answer),
                Poll::Pending => return true,
            }
            false
        });
        let left = deadline.saturating_duration_since(Instant::now());
        if open.is_empty() || left.is_zero() {
            return Ok(done);
        }
        std::thread::park_timeout(left.min(STOP_LATENCY));
    }
}
