//! One channel, and what can be asked of it.

use crate::link::{Link, keep, reading};
use crate::pulse::Member;
use crate::values::{self, span};
use epics_base_rs::error::CaError;
use epics_base_rs::server::snapshot::{DbrClass, Snapshot};
use epics_ca_rs::client::{CaChannel, CaClient, ReqCount};
use fodo_control::{Channel, Fault, Feed, Metadata, Pulses, Reading, Time, Until, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A channel with its connection and monitor.
pub struct Line {
    name: Channel,
    link: watch::Sender<Link>,
    keeper: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Line {
    /// Begins to look for the channel. Must be called on the client's runtime.
    pub fn open(client: &Arc<CaClient>, pulses: &Arc<Pulses<Member>>, name: &Channel) -> Line {
        let link = watch::Sender::new(Link::default());
        let keeper = tokio::spawn(keep(client.clone(), pulses.clone(), name.clone(), link.clone()));
        Line { name: name.clone(), link, keeper }
    }

    /// Waits for the connection.
    pub async fn connect(&self, until: Until) -> Result<(), Fault> {
        self.found(until).await.map(drop)
    }

    async fn found(&self, Until { deadline, wait }: Until) -> Result<CaChannel, Fault> {
        let mut link = self.link.subscribe();
        let found = timeout_at(deadline.into(), link.wait_for(Link::is_up)).await;
        let channel = found.ok().and_then(Result::ok).and_then(|link| link.channel.clone());
        channel.ok_or_else(|| {
            let lost = if self.link.borrow().known { "disconnected, " } else { "" };
            let reason = self.silence().unwrap_or_else(|| format!("{lost}no answer within {}", span(wait)));
            Fault::absent(&self.name, reason)
        })
    }

    /// Fails at once for a channel that was lost; waits for one that was never there, or whose server hangs.
    pub async fn present(&self, until: Until) -> Result<CaChannel, Fault> {
        let (up, lost) = {
            let link = self.link.borrow();
            (link.channel.clone().filter(|_| link.is_up()), link.known && link.channel.is_none())
        };
        match up {
            Some(channel) => Ok(channel),
            None if lost => Err(Fault::absent(&self.name, "disconnected")),
            None => self.found(until).await,
        }
    }

    /// Where the server hangs: since when.
    fn silence(&self) -> Option<String> {
        self.link.borrow().pulse.as_ref()?.silence()
    }

    /// The server said something.
    fn heard(&self) {
        self.link.borrow().pulse.iter().for_each(|pulse| pulse.heard());
    }

    /// What is said of a call that ran into its time-out: the server hangs, or `otherwise`.
    fn late(&self, otherwise: impl FnOnce() -> String) -> Fault {
        match self.silence() {
            Some(silence) => Fault::absent(&self.name, silence),
            None => Fault::refused(&self.name, otherwise()),
        }
    }

    /// Feeds a follower with what the channel holds now and every change.
    pub fn follow(&self, feed: Feed, place: usize) {
        self.link.send_modify(|link| {
            let silence = link.pulse.as_ref().filter(|_| link.is_silent()).and_then(|pulse| pulse.silence());
            match (&link.newest, silence) {
                (Some(_), Some(silence)) => _ = feed.push(place, Err(Fault::absent(&self.name, silence))),
                (Some(reading), None) => _ = feed.push(place, Ok(reading.clone())),
                (None, _) => {}
            }
            link.feeds.push((feed, place));
        });
    }

    /// The newest sample of the monitor; without one, the server is asked.
    pub async fn latest(&self, until: Until) -> Result<Reading, Fault> {
        let newest = {
            let link = self.link.borrow();
            link.newest.clone().filter(|_| link.is_up())
        };
        match newest {
            Some(reading) => Ok(reading),
            None => self.get(until).await,
        }
    }

    /// A sample with a later time stamp than `after`; a source that is silent for `silent` is asked.
    pub async fn fresh(&self, after: Time, silent: Duration, until: Until) -> Result<Reading, Fault> {
        let quiet = Instant::now() + silent;
        let mut link = self.link.subscribe();
        loop {
            self.present(until).await?;
            if let Some(reading) = link.borrow_and_update().newest.as_ref().filter(|reading| reading.time > after) {
                return Ok(reading.clone());
            }
            tokio::select! {
                changed = link.changed() => changed.map_err(|_| Fault::absent(&self.name, "the client is closed"))?,
                () = sleep_until(quiet), if quiet < until.deadline.into() => return self.get(until).await,
                () = sleep_until(until.deadline.into()) => return Err(self.late(|| "no fresh sample in time".into())),
            }
        }
    }

    /// Asks the server now.
    async fn get(&self, until: Until) -> Result<Reading, Fault> {
        let channel = self.present(until).await?;
        let sample = self.ask(&channel, DbrClass::Time, until).await?;
        let choices = self.link.borrow().choices.clone();
        Ok(reading(&channel, &sample, &choices))
    }

    async fn ask(&self, channel: &CaChannel, class: DbrClass, until: Until) -> Result<Snapshot, Fault> {
        // asked for as many entries as there are now: any other count is padded with zeros
        let question = channel.get_with_metadata_count(class, ReqCount::Autosize(0));
        let answer = timeout_at(until.deadline.into(), question).await;
        let answer = answer.unwrap_or(Err(CaError::Timeout));
        answer.inspect(|_| self.heard()).map_err(|error| match error {
            CaError::Timeout => self.late(|| "the server did not answer a read in time".into()),
            other => self.fault("", &other),
        })
    }

    fn fault(&self, what: &str, error: &CaError) -> Fault {
        let (reason, absent) = values::reason(error);
        Fault { channel: self.name.clone(), reason: format!("{what}{reason}"), absent }
    }

    /// Writes `value` to the present channel and waits until the server says that it is done.
    ///
    /// The request is sent when this is first polled.
    pub async fn put(&self, channel: CaChannel, value: &Value, until: Until) -> Result<(), Fault> {
        let Until { deadline, wait } = until;
        let info = channel.info().await.map_err(|error| self.fault("", &error))?;
        if !info.access_rights.write {
            return Err(Fault::refused(&self.name, "write refused: the server gives this client no right to write"));
        }
        let (kind, value) = values::sent(value, info.native_type).map_err(|why| Fault::refused(&self.name, why))?;
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let answer = channel.put_as_dbr_with_timeout(kind, &value, left).await;
        answer.inspect(|()| self.heard()).map_err(|error| match error {
            CaError::Timeout => {
                let late = format!("write sent, not done within {}", span(wait));
                Fault::refused(&self.name, self.silence().map_or(late.clone(), |silence| format!("{late}: {silence}")))
            }
            other if values::reason(&other).1 => Fault::absent(&self.name, "disconnected; the write may have arrived"),
            other => self.fault("write refused: ", &other),
        })
    }

    /// Unit, limits, length and rights.
    pub async fn metadata(&self, until: Until) -> Result<Metadata, Fault> {
        let channel = self.present(until).await?;
        let info = channel.info().await.map_err(|error| self.fault("", &error))?;
        let sample = self.ask(&channel, DbrClass::Ctrl, until).await?;
        let unit = sample.display.as_ref().map(|display| display.units.as_str_lossy().into_owned());
        let limits = sample.control.as_ref().map(|control| (control.lower_ctrl_limit, control.upper_ctrl_limit));
        Ok(Metadata {
            // the protocol carries none
            description: String::new(),
            form: values::form(info.native_type, info.element_count),
            unit: unit.unwrap_or_default(),
            limits: limits.filter(|(low, high)| low < high),
            length: info.element_count as usize,
            choices: self.link.borrow().choices.to_vec(),
            writable: info.access_rights.write,
        })
    }
}
