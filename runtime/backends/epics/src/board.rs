//! What clients see, and when: a shot is posted as a whole, by the thread that serves.
//!
//! The library keeps the followers of 35 variables in one queue and wakes all of them for a post to any, and whoever is woken
//! sends at once what there is. Posted one by one from another thread, a shot would wake everybody again and again and go out in
//! pieces of one value. So what is new waits here until the serving thread takes all of it before it does anything
//! else. Whoever is answered on that thread has it taken first: nobody reads what was before.

use crate::publish::Published;
use epics_base_rs::server::pv::ProcessVariable;
use fodo_control::Reading;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;

/// All channels, and what of them is not shown yet.
#[derive(Default)]
pub struct Board {
    waiting: Mutex<Vec<(usize, Reading)>>,
    filled: Notify,
    shown: OnceLock<Shown>,
    /// Channels of clients whose names are not those of variables, such as one with a filter: all variables count as open.
    others: AtomicUsize,
}

struct Shown {
    variables: Vec<Published>,
    places: HashMap<String, usize>,
}

impl Board {
    /// Takes the variables, once.
    pub fn hang(&self, variables: Vec<Published>) {
        let places = variables.iter().enumerate().map(|(place, one)| (one.name().to_owned(), place)).collect();
        _ = self.shown.set(Shown { variables, places });
    }

    /// Has the serving thread show what is new.
    pub fn add(&self, news: &mut Vec<(usize, Reading)>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).append(news);
        self.filled.notify_one();
    }

    /// Shows what is new; for the serving thread, before it answers a client.
    pub fn catch_up(&self) {
        let news = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(shown) = self.shown.get() else { return };
        let always = self.others.load(Ordering::Relaxed) > 0;
        for (place, reading) in news {
            shown.variables[place].show(reading, always);
        }
    }

    /// Shows what is new as soon as it is there; never ends.
    pub async fn keep_up(&self) {
        loop {
            self.filled.notified().await;
            self.catch_up();
        }
    }

    /// A client has opened a channel of this name.
    pub fn opened(&self, name: &str) {
        self.catch_up();
        match self.place(name) {
            Some((shown, place)) => shown.variables[place].opened(),
            None if self.others.fetch_add(1, Ordering::Relaxed) == 0 => {
                self.variables().for_each(Published::refresh);
            }
            None => {}
        }
    }

    /// A client has closed a channel of this name, or is gone.
    pub fn closed(&self, name: &str) {
        match self.place(name) {
            Some((shown, place)) => shown.variables[place].closed(),
            None => _ = self.others.fetch_sub(1, Ordering::Relaxed),
        }
    }

    /// The variable of this name.
    pub fn variable(&self, name: &str) -> Option<&Arc<ProcessVariable>> {
        self.place(name).map(|(shown, place)| shown.variables[place].variable())
    }

    /// All variables.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ProcessVariable>> {
        self.variables().map(Published::variable)
    }

    fn variables(&self) -> impl Iterator<Item = &Published> {
        self.shown.get().into_iter().flat_map(|shown| &shown.variables)
    }

    fn place(&self, name: &str) -> Option<(&Shown, usize)> {
        let shown = self.shown.get()?;
        shown.places.get(name).map(|&place| (shown, place))
    }
}
