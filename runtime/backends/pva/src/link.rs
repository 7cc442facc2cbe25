//! A channel's connection and monitor, kept alive from the first search until nobody wants it.

use crate::values;
use epics_pva_rs::client_native::PvaClient;
use epics_pva_rs::client_native::ops_v2::{MonitorConnEvent, MonitorTermination};
use epics_pva_rs::pvdata::PvField;
use fodo_control::{Fault, Feed, Reading};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// The pause before a monitor that its server ended is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// How a channel stands.
#[derive(Default)]
pub struct Link {
    /// Whether it is connected.
    pub connected: bool,
    /// The newest sample of its monitor since it is connected.
    pub newest: Option<Reading>,
    /// Whether it was ever connected.
    pub known: bool,
    /// Names of its states.
    pub choices: Arc<[Arc<str>]>,
    /// Who follows it, with its place in their lists.
    pub feeds: Vec<(Feed, usize)>,
}

impl Link {
    /// Tells everybody who follows it, and forgets those who no longer do.
    fn tell(&mut self, reading: impl Fn() -> Result<Reading, Fault>) {
        self.feeds.retain(|(feed, place)| feed.push(*place, reading()));
    }

    fn sampled(&mut self, field: &PvField) {
        if let Some(choices) = values::choices(field)
            && (!choices.is_empty() || self.choices.is_empty())
        {
            self.choices = choices;
        }
        let reading = values::reading(field, &self.choices);
        self.tell(|| Ok(reading.clone()));
        self.newest = Some(reading);
    }

    fn lost(&mut self, name: &Arc<str>) {
        (self.connected, self.newest) = (false, None);
        self.tell(|| Err(Fault::absent(name, "disconnected")));
    }
}

/// Keeps `link` up to date: the library searches, follows the monitor, and searches again after each
/// loss; a monitor that a server refuses or ends is asked for again.
pub async fn keep(client: PvaClient, name: Arc<str>, link: watch::Sender<Link>) {
    loop {
        let (samples, states, lost) = (link.clone(), link.clone(), name.clone());
        let sample = move |_desc: &_, field: &PvField| samples.send_modify(|link| link.sampled(field));
        let state = move |event| {
            states.send_modify(|link| match event {
                MonitorConnEvent::Connected { .. } => (link.connected, link.known) = (true, true),
                MonitorConnEvent::Disconnected | MonitorConnEvent::Finished => link.lost(&lost),
            });
        };
        if let Ok(monitor) = client.pvmonitor_handle(&name, sample, state).await {
            match monitor.wait_terminal().await {
                MonitorTermination::Ended | MonitorTermination::Failed(_) => {}
            }
        }
        sleep(AGAIN).await;
    }
}
