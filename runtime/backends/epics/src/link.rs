//! A channel's connection and monitor, kept alive from the first search until nobody wants it.

use crate::pulse::{Member, Server, watch_over};
use crate::values;
use epics_base_rs::error::CaError;
use epics_base_rs::server::snapshot::{DbrClass, Snapshot};
use epics_base_rs::types::DbFieldType;
use epics_ca_rs::client::{CaChannel, CaClient, ReqCount};
use epics_ca_rs::protocol::{DBE_ALARM, DBE_VALUE, ECA_DISCONN};
use fodo_control::{Fault, Feed, Pulses, Reading};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A search that got no answer is asked again after this, then after twice as long, and so on.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// The longest pause between two searches for a channel.
const LAST_RETRY: Duration = Duration::from_secs(15);

/// How long a new channel may take to name its states.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a channel stands.
#[derive(Default)]
pub struct Link {
    /// The channel, while it is connected.
    pub channel: Option<CaChannel>,
    /// The newest sample of its monitor since it is connected.
    pub newest: Option<Reading>,
    /// Whether it was ever connected.
    pub known: bool,
    /// Its server's signs of life, while it is connected.
    pub pulse: Option<Arc<Server>>,
    /// Names of its states.
    pub choices: Arc<[Arc<str>]>,
    /// Who follows it, with its place in their lists.
    pub feeds: Vec<(Feed, usize)>,
}

impl Link {
    /// Whether the channel is connected to a server that answers.
    pub fn is_up(&self) -> bool {
        self.channel.is_some() && !self.is_silent()
    }

    /// Whether its server hangs.
    pub fn is_silent(&self) -> bool {
        self.pulse.as_ref().is_some_and(|pulse| pulse.is_silent())
    }

    /// Tells everybody who follows it, and forgets those who no longer do.
    pub fn tell(&mut self, reading: impl Fn() -> Result<Reading, Fault>) {
        self.feeds.retain(|(feed, place)| feed.push(*place, reading()));
    }
}

/// Keeps `link` up to date: searches, follows the monitor, and searches again after each loss.
///
/// A lost channel is thrown away and looked for anew, so that nothing of the old connection can
/// come after the loss.
pub async fn keep(client: Arc<CaClient>, pulses: Arc<Pulses<Member>>, name: Arc<str>, link: watch::Sender<Link>) {
    loop {
        let channel = search(&client, &name).await;
        let choices = choices(&channel).await;
        let Ok(info) = channel.info().await else { continue };
        let pulse = pulses.of(info.server_addr, |server| drop(tokio::spawn(watch_over(server))));
        pulse.heard();
        pulse.join(&name, (channel.clone(), link.clone()));
        link.send_modify(|link| {
            (link.channel, link.newest, link.known) = (Some(channel.clone()), None, true);
            (link.choices, link.pulse) = (choices, Some(pulse.clone()));
        });
        follow(&channel, &link, &pulse).await;
        pulse.leave(&name);
        link.send_modify(|link| {
            (link.channel, link.newest, link.pulse) = (None, None, None);
            link.tell(|| Err(Fault::absent(&name, "disconnected")));
        });
    }
}

/// Looks for a channel until it is connected.
///
/// The library repeats a lost search only after 10 s, so each try is a new channel; the earlier
/// tries live on for a while, in case one has found the server and is just being connected.
async fn search(client: &CaClient, name: &str) -> CaChannel {
    let mut tries = FuturesUnordered::new();
    let mut pause = FIRST_RETRY;
    loop {
        tries.push(connected(client.create_channel(name), 4 * pause));
        let next = sleep(pause);
        tokio::pin!(next);
        loop {
            tokio::select! {
                Some(found) = tries.next() => if let Some(channel) = found { return channel },
                () = &mut next => break,
            }
        }
        pause = (2 * pause).min(LAST_RETRY);
    }
}

async fn connected(channel: CaChannel, patience: Duration) -> Option<CaChannel> {
    channel.wait_connected(patience).await.ok()?;
    Some(channel)
}

/// The names of a channel's states; none if it has no states.
async fn choices(channel: &CaChannel) -> Arc<[Arc<str>]> {
    if !matches!(channel.native_field_type(), Ok(DbFieldType::Enum)) {
        return Arc::default();
    }
    let question = channel.get_with_metadata_count(DbrClass::Ctrl, ReqCount::Autosize(0));
    let Ok(Ok(sample)) = timeout(PATIENCE, question).await else { return Arc::default() };
    let names = sample.enums.map(|enums| enums.strings).unwrap_or_default();
    names.iter().map(|name| Arc::from(&*name.as_str_lossy())).collect()
}

/// Keeps the newest sample until the connection is lost.
async fn follow(channel: &CaChannel, link: &watch::Sender<Link>, pulse: &Server) {
    let Ok(mut monitor) = channel.subscribe_with_mask_autosize(0.0, DBE_VALUE | DBE_ALARM).await else { return };
    if channel.info().await.is_err() {
        return; // lost before the monitor was there, which therefore would not say so
    }
    let choices = link.borrow().choices.clone();
    while let Some(event) = monitor.recv().await {
        pulse.heard();
        let newest = match event {
            Ok(sample) => Some(reading(channel, &sample, &choices)),
            Err(CaError::ServerError(ECA_DISCONN) | CaError::Disconnected | CaError::Shutdown) => return,
            Err(_) => None,
        };
        link.send_modify(|link| {
            if let Some(reading) = &newest {
                link.tell(|| Ok(reading.clone()));
            }
            link.newest = newest;
        });
    }
}

/// What a sample of a channel says.
pub fn reading(channel: &CaChannel, sample: &Snapshot, choices: &[Arc<str>]) -> Reading {
    values::reading(sample, channel.element_count().unwrap_or(1), choices)
}
