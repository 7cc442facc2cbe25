//! One channel: its connection, its monitor with the newest sample, and what can be asked of it.

use crate::values::{self, span};
use epics_base_rs::error::{CaError, CaResult};
use epics_base_rs::server::snapshot::{DbrClass, Snapshot};
use epics_base_rs::types::EpicsValue;
use epics_ca_rs::client::{CaChannel, CaClient};
use epics_ca_rs::protocol::{DBE_ALARM, DBE_VALUE};
use fodo_control::{Channel, Fault, Metadata, Reading, Time};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The wire type of an f64, which loses nothing.
const DOUBLE: u16 = 6;

/// What the monitor knows.
#[derive(Clone, Debug)]
enum Newest {
    /// Nothing yet, or nothing since the connection was lost.
    Nothing,
    /// The newest sample.
    Sample(Reading),
}

/// A channel with its monitor.
pub struct Line {
    name: Channel,
    channel: CaChannel,
    newest: watch::Receiver<Newest>,
    was_connected: AtomicBool,
    follower: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Line {
    /// Begins to look for the channel; its monitor starts by itself whenever it is found.
    ///
    /// Must be called on the client's runtime.
    pub fn open(client: &CaClient, name: &Channel) -> Line {
        let channel = client.create_channel(name);
        let (sender, newest) = watch::channel(Newest::Nothing);
        let follower = tokio::spawn(follow(channel.clone(), sender));
        Line { name: name.clone(), channel, newest, was_connected: AtomicBool::new(false), follower }
    }

    /// Waits for the connection.
    pub async fn connect(&self, wait: Duration) -> Result<(), Fault> {
        if self.channel.info().await.is_err() {
            let found = self.channel.wait_connected(wait).await;
            found.map_err(|_| Fault::absent(&self.name, self.missing(wait)))?;
        }
        self.was_connected.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn missing(&self, wait: Duration) -> String {
        let lost = if self.was_connected.load(Ordering::Relaxed) { "disconnected, " } else { "" };
        format!("{lost}no answer within {}", span(wait))
    }

    /// Fails at once for a channel that was lost; waits for one that was never there.
    async fn present(&self, deadline: Instant) -> Result<(), Fault> {
        if self.channel.info().await.is_ok() {
            self.was_connected.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if self.was_connected.load(Ordering::Relaxed) {
            return Err(Fault::absent(&self.name, "disconnected"));
        }
        self.connect(deadline.saturating_duration_since(Instant::now())).await
    }

    /// The newest sample of the monitor; without one, the server is asked.
    pub async fn latest(&self, deadline: Instant) -> Result<Reading, Fault> {
        self.present(deadline).await?;
        let newest = self.newest.borrow().clone();
        match newest {
            Newest::Sample(reading) => Ok(reading),
            Newest::Nothing => self.get(deadline).await,
        }
    }

    /// A sample with a later time stamp than `after`; a source that is silent for `silent` is asked.
    pub async fn fresh(&self, after: Time, silent: Duration, deadline: Instant) -> Result<Reading, Fault> {
        let quiet = Instant::now() + silent;
        self.present(deadline).await?;
        let mut newest = self.newest.clone();
        loop {
            if let Newest::Sample(reading) = &*newest.borrow_and_update()
                && reading.time > after
            {
                return Ok(reading.clone());
            }
            tokio::select! {
                changed = newest.changed() => {
                    changed.map_err(|_| Fault::absent(&self.name, "the client is closed"))?;
                    self.present(deadline).await?;
                }
                () = sleep_until(quiet), if quiet < deadline => return self.get(deadline).await,
                () = sleep_until(deadline) => return Err(Fault::refused(&self.name, "no fresh sample in time")),
            }
        }
    }

    /// Asks the server now.
    async fn get(&self, deadline: Instant) -> Result<Reading, Fault> {
        let sample = self.ask(DbrClass::Time, deadline).await?;
        Ok(values::reading(&sample, self.channel.element_count().unwrap_or(1)))
    }

    async fn ask(&self, class: DbrClass, deadline: Instant) -> Result<Snapshot, Fault> {
        let answer = timeout_at(deadline, self.channel.get_with_metadata(class)).await;
        answer.unwrap_or(Err(CaError::Timeout)).map_err(|error| match error {
            CaError::Timeout => Fault::refused(&self.name, "the server did not answer a read in time"),
            other => self.fault("", &other),
        })
    }

    fn fault(&self, what: &str, error: &CaError) -> Fault {
        let (reason, absent) = values::reason(error);
        Fault { channel: self.name.clone(), reason: format!("{what}{reason}"), absent }
    }

    /// Writes `value` and waits until the server says that it is done.
    pub async fn put(&self, value: f64, wait: Duration) -> Result<(), Fault> {
        let deadline = Instant::now() + wait;
        self.present(deadline).await?;
        let info = self.channel.info().await.map_err(|error| self.fault("", &error))?;
        if !info.access_rights.write {
            return Err(Fault::refused(&self.name, "write refused: the server gives this client no right to write"));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = self.channel.put_as_dbr_with_timeout(DOUBLE, &EpicsValue::Double(value), left).await;
        answer.map_err(|error| match error {
            CaError::Timeout => Fault::refused(&self.name, format!("write sent, not done within {}", span(wait))),
            CaError::Disconnected => Fault::absent(&self.name, "disconnected during a write; it may have arrived"),
            other => self.fault("write refused: ", &other),
        })
    }

    /// Unit, limits, length and rights.
    pub async fn metadata(&self, deadline: Instant) -> Result<Metadata, Fault> {
        self.present(deadline).await?;
        let info = self.channel.info().await.map_err(|error| self.fault("", &error))?;
        let sample = self.ask(DbrClass::Ctrl, deadline).await?;
        let unit = sample.display.as_ref().map(|display| display.units.as_str_lossy().into_owned());
        let limits = sample.control.as_ref().map(|control| (control.lower_ctrl_limit, control.upper_ctrl_limit));
        Ok(Metadata {
            unit: unit.unwrap_or_default(),
            limits: limits.filter(|(low, high)| low < high),
            length: info.element_count as usize,
            writable: info.access_rights.write,
        })
    }
}

/// Keeps the newest sample of a channel, through losses of the connection, until nobody wants it.
///
/// The stream orders samples and losses: what comes after a loss is from the new connection.
async fn follow(channel: CaChannel, newest: watch::Sender<Newest>) {
    let Ok(mut monitor) = channel.subscribe_with_mask_autosize(0.0, DBE_VALUE | DBE_ALARM).await else { return };
    while let Some(event) = monitor.recv().await {
        newest.send_replace(sample(&channel, event));
    }
}

fn sample(channel: &CaChannel, event: CaResult<Snapshot>) -> Newest {
    match event {
        Ok(sample) => Newest::Sample(values::reading(&sample, channel.element_count().unwrap_or(1))),
        Err(_) => Newest::Nothing,
    }
}
