//! Signs of life of the servers: one that hangs without closing its connection is found out in a few seconds.
//!
//! Everything a server sends is a sign of life. One that has sent nothing for a while is asked for a value; if that
//! stays unanswered its channels count as out of reach until it says something again.

use crate::link::Link;
use crate::values::span;
use epics_base_rs::error::CaError;
use epics_ca_rs::client::CaChannel;
use fodo_control::{Channel, Fault};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// A server that was quiet for this long is asked for a value.
const QUIET: Duration = Duration::from_secs(1);

/// One that has not answered this long after is out of reach.
const PATIENCE: Duration = Duration::from_secs(2);

/// The servers that channels were found on.
#[derive(Default)]
pub struct Pulses(Mutex<HashMap<SocketAddr, Arc<Pulse>>>);

impl Pulses {
    /// The server of a channel; a new one is watched from now on. Must be called on the client's runtime.
    pub fn of(&self, server: SocketAddr) -> Arc<Pulse> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pulse = servers.entry(server).or_insert_with(|| {
            let pulse = Arc::new(Pulse::new(server));
            tokio::spawn(watch_over(Arc::downgrade(&pulse)));
            pulse
        });
        pulse.clone()
    }

    /// Forgets all servers and their channels.
    pub fn clear(&self) {
        for (_, pulse) in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            pulse.members().clear();
        }
    }
}

/// One server.
pub struct Pulse {
    server: SocketAddr,
    begin: Instant,
    /// When it was last heard, milliseconds after `begin`.
    heard: AtomicU64,
    silent: AtomicBool,
    members: Mutex<HashMap<Channel, Member>>,
}

type Member = (CaChannel, watch::Sender<Link>);

impl Pulse {
    fn new(server: SocketAddr) -> Pulse {
        let (heard, silent) = (AtomicU64::new(0), AtomicBool::new(false));
        Pulse { server, begin: Instant::now(), heard, silent, members: Mutex::default() }
    }

    fn members(&self) -> MutexGuard<'_, HashMap<Channel, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a channel as one of this server.
    pub fn join(&self, name: &Channel, channel: &CaChannel, link: &watch::Sender<Link>) {
        self.members().insert(name.clone(), (channel.clone(), link.clone()));
    }

    /// The channel is lost.
    pub fn leave(&self, name: &Channel) {
        self.members().remove(name);
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

    /// Waits for an answer from any of its channels.
    async fn ask(&self) {
        // more than one, in case the first is just being lost
        let channels: Vec<CaChannel> = self.members().values().take(8).map(|(channel, _)| channel.clone()).collect();
        for channel in channels {
            match channel.get_with_timeout_count(PATIENCE, 1).await {
                Err(CaError::Disconnected | CaError::Shutdown) => {}
                Err(CaError::Timeout) => return,
                // no right to read, or no such type: an answer all the same
                Ok(_) | Err(_) => return self.heard(),
            }
        }
    }

    /// Tells all its channels, and who follows them.
    fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
        let members: Vec<(Channel, watch::Sender<Link>)> =
            self.members().iter().map(|(name, (_, link))| (name.clone(), link.clone())).collect();
        let why = self.silence().unwrap_or_default();
        for (name, link) in members {
            link.send_modify(|link| match (silent, link.newest.clone()) {
                (true, _) => link.tell(|| Err(Fault::absent(&name, why.as_str()))),
                (false, Some(newest)) => link.tell(|| Ok(newest.clone())),
                (false, None) => {}
            });
        }
    }
}

/// Watches a server as long as somebody holds it.
async fn watch_over(pulse: Weak<Pulse>) {
    loop {
        let Some(server) = pulse.upgrade() else { return };
        let quiet = server.quiet();
        let populated = !server.members().is_empty();
        if populated && quiet >= QUIET {
            server.ask().await;
        }
        let silent = populated && server.quiet() >= QUIET + PATIENCE;
        if silent != server.is_silent() {
            server.set_silent(silent);
        }
        let pause = if server.is_silent() { QUIET / 10 } else { QUIET.saturating_sub(server.quiet()).max(QUIET / 10) };
        drop(server);
        sleep(pause).await;
    }
}
