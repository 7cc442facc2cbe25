//! What clients see, and when: a shot is posted as a whole, by the thread that serves.
//!
//! What is new waits here until the serving thread takes it in portions, so that followers are woken once and what they have
//! to send goes out together. Whoever reads on that thread has all of it taken first: nobody reads what was before.

use crate::shown::Shown;
use fodo_control::Reading;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::yield_now;

/// Channels of a shot that are shown before others are served: a request goes through several tasks, and waits for so many
/// followers at each.
const PORTION: usize = 512;

/// All channels, and what of them is not shown yet.
pub struct Board {
    waiting: Mutex<VecDeque<(usize, Reading)>>,
    filled: Notify,
    shown: Vec<Shown>,
    places: HashMap<String, usize>,
}

impl Board {
    /// A board of these channels, by name.
    pub fn new(shown: Vec<(String, Shown)>) -> Board {
        let places = shown.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        let shown = shown.into_iter().map(|(_, shown)| shown).collect();
        Board { waiting: Mutex::default(), filled: Notify::new(), shown, places }
    }

    /// Has the serving thread show what is new.
    pub fn add(&self, news: &mut Vec<(usize, Reading)>) {
        self.waiting().extend(news.drain(..));
        self.filled.notify_one();
    }

    /// Shows what is new as soon as it is there; never ends.
    pub async fn keep_up(&self) {
        loop {
            self.filled.notified().await;
            while self.show(PORTION) == PORTION {
                yield_now().await;
            }
        }
    }

    /// A channel, showing what is new; for the serving thread.
    pub fn present(&self, name: &str) -> Option<&Shown> {
        self.show(usize::MAX);
        self.places.get(name).map(|&place| &self.shown[place])
    }

    /// Shows at most so many; how many.
    fn show(&self, most: usize) -> usize {
        let news: Vec<(usize, Reading)> = {
            let mut waiting = self.waiting();
            let count = most.min(waiting.len());
            waiting.drain(..count).collect()
        };
        let count = news.len();
        for (place, reading) in news {
            self.shown[place].show(reading);
        }
        count
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(usize, Reading)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
