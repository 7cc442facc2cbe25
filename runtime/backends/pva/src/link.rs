//! A channel's connection and monitor, kept alive from the first search until nobody wants it.

use crate::pulse::{Server, watch_over};
use crate::values;
use epics_pva_rs::client_native::PvaClient;
use epics_pva_rs::client_native::ops_v2::{MonitorConnEvent, MonitorTermination};
use epics_pva_rs::pvdata::PvField;
use fodo_control::{Fault, Feed, Pulses, Reading};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// The pause before a monitor that its server ended is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// New channels that are searched for at the same time. Servers of EPICS base answer each of them by a datagram of its own:
/// many at once overflow the buffer of the socket, and a search that got lost is repeated a second later.
const PORTION: usize = 128;

/// How long one that does not answer keeps the others waiting.
const TURN: Duration = Duration::from_millis(30);

/// How a channel stands.
#[derive(Default)]
pub struct Link {
    /// Whether it is connected.
    pub connected: bool,
    /// The newest sample of its monitor since it is connected.
    pub newest: Option<Reading>,
    /// Whether it was ever connected.
    pub known: bool,
    /// Its server's signs of life, while it is connected.
    pub server: Option<Arc<Server>>,
    /// Names of its states.
    pub choices: Arc<[Arc<str>]>,
    /// Who follows it, with its place in their lists.
    pub feeds: Vec<(Feed, usize)>,
}

impl Link {
    /// Whether it is connected to a server that answers.
    pub fn is_up(&self) -> bool {
        self.connected && !self.server.as_ref().is_some_and(|server| server.is_silent())
    }

    /// Where its server hangs: since when.
    pub fn silence(&self) -> Option<String> {
        self.server.as_ref()?.silence()
    }

    /// Tells everybody who follows it, and forgets those who no longer do.
    pub fn tell(&mut self, reading: impl Fn() -> Result<Reading, Fault>) {
        self.feeds.retain(|(feed, place)| feed.push(*place, reading()));
    }

    fn found(&mut self, server: Arc<Server>) {
        server.heard();
        (self.connected, self.known, self.server) = (true, true, Some(server));
    }

    fn sampled(&mut self, field: &PvField) {
        if let Some(server) = &self.server {
            server.heard();
        }
        if let Some(choices) = values::choices(field)
            && (!choices.is_empty() || self.choices.is_empty())
        {
            self.choices = choices;
        }
        let reading = values::reading(field, &self.choices);
        self.tell(|| Ok(reading.clone()));
        self.newest = Some(reading);
    }

    /// It may come back as something else, so that nothing of it is kept.
    fn lost(&mut self, name: &Arc<str>) {
        (self.connected, self.newest, self.choices) = (false, None, Arc::default());
        if let Some(server) = self.server.take() {
            server.leave(name);
        }
        self.tell(|| Err(Fault::absent(name, "disconnected")));
    }
}

/// What all channels share.
pub struct Net {
    pub client: PvaClient,
    /// The servers that channels were found on.
    pub servers: Pulses<watch::Sender<Link>>,
    searches: Semaphore,
}

impl Net {
    pub fn new(client: PvaClient) -> Net {
        Net { client, servers: Pulses::default(), searches: Semaphore::new(PORTION) }
    }
}

/// Keeps `link` up to date: the library searches, follows the monitor, and searches again after each
/// loss; a monitor that a server refuses or ends is asked for again.
pub async fn keep(net: Arc<Net>, name: Arc<str>, link: watch::Sender<Link>) {
    loop {
        let (samples, states, around, own) = (link.clone(), link.clone(), net.clone(), name.clone());
        let sample = move |_desc: &_, field: &PvField| samples.send_modify(|link| link.sampled(field));
        let state = move |event| match event {
            MonitorConnEvent::Connected { peer } => {
                let watch = |server| drop(tokio::spawn(watch_over(around.client.clone(), server)));
                let server = around.servers.of(peer, watch);
                server.join(&own, states.clone());
                states.send_modify(|link| link.found(server));
            }
            MonitorConnEvent::Disconnected | MonitorConnEvent::Finished => states.send_modify(|link| link.lost(&own)),
        };
        let turn = net.searches.acquire().await;
        let monitor = net.client.pvmonitor_handle(&name, sample, state).await;
        _ = timeout(TURN, link.subscribe().wait_for(|link| link.connected)).await;
        drop(turn);
        if let Ok(monitor) = monitor {
            match monitor.wait_terminal().await {
                MonitorTermination::Ended | MonitorTermination::Failed(_) => {}
            }
        }
        sleep(AGAIN).await;
    }
}
