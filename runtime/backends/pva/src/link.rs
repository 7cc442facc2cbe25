//! A channel's connection and monitor, kept alive from the first search until nobody wants it.

use crate::pulse::{Server, watch_over};
use crate::values;
use epics_pva_rs::client_native::PvaClient;
use epics_pva_rs::client_native::ops_v2::{MonitorEvent, MonitorEventMask};
use epics_pva_rs::pv_request::{PvRequestBuilder, PvRequestExpr};
use epics_pva_rs::pvdata::PvField;
use fodo_control::{Fault, Feed, Pulses, Reading};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// The pause before a monitor that its server ended is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// New channels that are searched for at the same time. Servers of EPICS base answer each of them by a datagram of its own:
/// many at once overflow the buffer of the socket, and a search that got lost is repeated a second later.
const PORTION: usize = 128;

/// Updates of a channel that a server, and the library, keep while we are slow; by themselves they keep four and merge what
/// is more. A server of EPICS base does not go on with `pipeline` (0.31 of the library), which would keep more.
const QUEUE: u32 = 16;

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
    /// What monitors ask for.
    follow: PvRequestExpr,
}

impl Net {
    pub fn new(client: PvaClient) -> Net {
        let follow = PvRequestBuilder::new().record("queueSize", QUEUE).build();
        Net { client, servers: Pulses::default(), searches: Semaphore::new(PORTION), follow }
    }
}

/// Keeps `link` up to date: the library searches, follows the monitor, and searches again after each
/// loss; a monitor that a server refuses or ends is asked for again.
pub async fn keep(net: Arc<Net>, name: Arc<str>, link: watch::Sender<Link>) {
    let all = MonitorEventMask { mask_connected: false, mask_disconnected: false };
    loop {
        let told = |event| match event {
            MonitorEvent::Data { value, .. } => link.send_modify(|link| link.sampled(&value)),
            MonitorEvent::Connected { peer } => {
                let watch = |server| drop(tokio::spawn(watch_over(net.client.clone(), server)));
                let server = net.servers.of(peer, watch);
                server.join(&name, link.clone());
                link.send_modify(|link| link.found(server));
            }
            MonitorEvent::Disconnected | MonitorEvent::Finished => link.send_modify(|link| link.lost(&name)),
        };
        let turn = net.searches.acquire().await;
        let mut monitor = pin!(net.client.pvmonitor_events(&name, Some(&net.follow), all, told));
        let mut seen = link.subscribe();
        let found = async { drop(timeout(TURN, seen.wait_for(|link| link.connected)).await) };
        let ended = tokio::select! {
            _ = &mut monitor => true,
            () = found => false,
        };
        drop(turn);
        if !ended {
            _ = monitor.await;
        }
        link.send_if_modified(|link| {
            let ended = link.connected;
            if ended {
                link.lost(&name);
            }
            ended
        });
        sleep(AGAIN).await;
    }
}
