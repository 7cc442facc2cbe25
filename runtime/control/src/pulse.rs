//! Signs of life of servers: one that hangs without closing its connection is found out in a few seconds.
//!
//! Everything a server sends is a sign of life. One that has sent nothing for a while is to be asked for a value; if
//! that stays unanswered, its channels count as out of reach until it says something again. This keeps the time; how a
//! server is asked, and its channels are told, is the backend's.

use crate::reading::{Channel, span};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// A server that was quiet for this long is asked for a value.
const QUIET: Duration = Duration::from_secs(1);

/// The servers that channels were found on; `M` is what a backend keeps of a channel.
#[derive(Debug)]
pub struct Pulses<M>(Mutex<HashMap<SocketAddr, Arc<Pulse<M>>>>);

impl<M> Default for Pulses<M> {
    fn default() -> Pulses<M> {
        Pulses(Mutex::default())
    }
}

impl<M: Clone> Pulses<M> {
    /// The server of a channel; `watch` begins to watch over a new one, for as long as somebody holds it.
    pub fn of(&self, server: SocketAddr, watch: impl FnOnce(Weak<Pulse<M>>)) -> Arc<Pulse<M>> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pulse = servers.entry(server).or_insert_with(|| {
            let pulse = Arc::new(Pulse::new(server));
            watch(Arc::downgrade(&pulse));
            pulse
        });
        pulse.clone()
    }

    /// Forgets all servers and their channels.
    pub fn clear(&self) {
        for (_, pulse) in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            pulse.lock().clear();
        }
    }
}

/// One server.
#[derive(Debug)]
pub struct Pulse<M> {
    server: SocketAddr,
    begin: Instant,
    /// When it was last heard, milliseconds after `begin`.
    heard: AtomicU64,
    silent: AtomicBool,
    members: Mutex<HashMap<Channel, M>>,
}

impl<M: Clone> Pulse<M> {
    /// One that has not answered a question for this long is out of reach.
    pub const PATIENCE: Duration = Duration::from_secs(2);

    fn new(server: SocketAddr) -> Pulse<M> {
        let (heard, silent) = (AtomicU64::new(0), AtomicBool::new(false));
        Pulse { server, begin: Instant::now(), heard, silent, members: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Channel, M>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a channel as one of this server.
    pub fn join(&self, name: &Channel, member: M) {
        self.lock().insert(name.clone(), member);
    }

    /// The channel is lost.
    pub fn leave(&self, name: &Channel) {
        self.lock().remove(name);
    }

    /// Its channels, at most so many.
    pub fn members(&self, most: usize) -> Vec<(Channel, M)> {
        self.lock().iter().take(most).map(|(name, member)| (name.clone(), member.clone())).collect()
    }

    /// It said something.
    pub fn heard(&self) {
        self.heard.store(self.begin.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// How long it has said nothing.
    fn quiet(&self) -> Duration {
        self.begin.elapsed().saturating_sub(Duration::from_millis(self.heard.load(Ordering::Relaxed)))
    }

    /// Whether it hangs.
    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// What is said of a call that got no answer: nothing of a server that has just been heard.
    pub fn silence(&self) -> Option<String> {
        let quiet = self.quiet();
        // whole seconds, so that channels of one server say the same
        let seconds = Duration::from_secs(quiet.as_secs());
        (self.is_silent() || quiet > QUIET + QUIET / 2).then(|| {
            format!(
                "the server at {} has not answered for {}: it hangs, or the network is cut",
                self.server,
                span(seconds)
            )
        })
    }

    /// Whether it is time to ask it for a value.
    pub fn is_to_be_asked(&self) -> bool {
        self.quiet() >= QUIET && !self.lock().is_empty()
    }

    /// Whether it hangs from now on, or no longer; none if nothing has changed.
    pub fn turned(&self) -> Option<bool> {
        let silent = self.quiet() >= QUIET + Self::PATIENCE && !self.lock().is_empty();
        (self.silent.swap(silent, Ordering::Relaxed) != silent).then_some(silent)
    }

    /// How long to wait before the next look at it.
    pub fn pause(&self) -> Duration {
        if self.is_silent() { QUIET / 10 } else { QUIET.saturating_sub(self.quiet()).max(QUIET / 10) }
    }
}
