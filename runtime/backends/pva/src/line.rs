//! One channel, and what can be asked of it.

use crate::link::{Link, keep};
use crate::put;
use crate::values::{self, span};
use epics_pva_rs::client_native::PvaClient;
use epics_pva_rs::error::PvaError;
use epics_pva_rs::pv_request::PvRequestExpr;
use epics_pva_rs::pvdata::PvField;
use fodo_control::{Channel, Fault, Feed, Metadata, Reading, Time, Value};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A channel with its connection and monitor.
pub struct Line {
    name: Channel,
    client: PvaClient,
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
    pub fn open(client: &PvaClient, name: &Channel) -> Line {
        let link = watch::Sender::new(Link::default());
        let keeper = tokio::spawn(keep(client.clone(), name.clone(), link.clone()));
        Line { name: name.clone(), client: client.clone(), link, keeper }
    }

    /// Waits for the connection.
    pub async fn connect(&self, wait: Duration) -> Result<(), Fault> {
        self.found(Instant::now() + wait, wait).await
    }

    async fn found(&self, deadline: Instant, wait: Duration) -> Result<(), Fault> {
        let mut link = self.link.subscribe();
        let found = timeout_at(deadline, link.wait_for(|link| link.connected)).await;
        if found.is_ok_and(|link| link.is_ok()) {
            return Ok(());
        }
        let lost = if self.link.borrow().known { "disconnected, " } else { "" };
        Err(Fault::absent(&self.name, format!("{lost}no answer within {}", span(wait))))
    }

    /// Fails at once for a channel that was lost; waits for one that was never there.
    pub async fn present(&self, deadline: Instant) -> Result<(), Fault> {
        let (connected, lost) = {
            let link = self.link.borrow();
            (link.connected, link.known)
        };
        match (connected, lost) {
            (true, _) => Ok(()),
            (false, true) => Err(Fault::absent(&self.name, "disconnected")),
            (false, false) => self.found(deadline, deadline.saturating_duration_since(Instant::now())).await,
        }
    }

    /// Feeds a follower with what the channel holds now and every change.
    pub fn follow(&self, feed: Feed, place: usize) {
        self.link.send_modify(|link| {
            if let Some(reading) = &link.newest {
                feed.push(place, Ok(reading.clone()));
            }
            link.feeds.push((feed, place));
        });
    }

    /// The newest sample of the monitor, if there is one.
    pub fn newest(&self) -> Option<Reading> {
        self.link.borrow().newest.clone()
    }

    /// The newest sample of the monitor; without one, the server is asked.
    pub async fn latest(&self, deadline: Instant) -> Result<Reading, Fault> {
        match self.newest() {
            Some(reading) => Ok(reading),
            None => self.get(deadline).await,
        }
    }

    /// A sample with a later time stamp than `after`; a source that is silent for `silent` is asked.
    pub async fn fresh(&self, after: Time, silent: Duration, deadline: Instant) -> Result<Reading, Fault> {
        let quiet = Instant::now() + silent;
        let mut link = self.link.subscribe();
        loop {
            self.present(deadline).await?;
            if let Some(reading) = link.borrow_and_update().newest.as_ref().filter(|reading| reading.time > after) {
                return Ok(reading.clone());
            }
            tokio::select! {
                changed = link.changed() => changed.map_err(|_| Fault::absent(&self.name, "the client is closed"))?,
                () = sleep_until(quiet), if quiet < deadline => return self.get(deadline).await,
                () = sleep_until(deadline) => return Err(Fault::refused(&self.name, "no fresh sample in time")),
            }
        }
    }

    /// Asks the server now.
    async fn get(&self, deadline: Instant) -> Result<Reading, Fault> {
        let field = self.ask(deadline).await?;
        let choices = self.link.borrow().choices.clone();
        Ok(values::reading(&field, &values::choices(&field).unwrap_or(choices)))
    }

    async fn ask(&self, deadline: Instant) -> Result<PvField, Fault> {
        self.present(deadline).await?;
        let answer = timeout_at(deadline, self.client.pvget(&self.name)).await;
        answer.unwrap_or(Err(PvaError::Timeout)).map_err(|error| match error {
            PvaError::Timeout => Fault::refused(&self.name, "the server did not answer a read in time"),
            other => self.fault("", &other),
        })
    }

    fn fault(&self, what: &str, error: &PvaError) -> Fault {
        let (reason, absent) = values::reason(error);
        let reason = if absent { reason } else { format!("{what}{reason}") };
        Fault { channel: self.name.clone(), reason, absent }
    }

    /// Writes `value` and waits until the server says that it is done.
    ///
    /// The server is asked for the channel's type first; what goes out after that goes out once, and
    /// is never sent again by itself, whatever becomes of the connection.
    pub async fn put(
        &self,
        request: &PvRequestExpr,
        value: &Value,
        deadline: Instant,
        wait: Duration,
    ) -> Result<(), Fault> {
        let begun = timeout_at(deadline, self.client.pvput_begin(&self.name, Some(request), false)).await;
        let put = begun.unwrap_or(Err(PvaError::Timeout)).map_err(|error| match error {
            PvaError::Timeout => {
                Fault::refused(&self.name, format!("no answer within {}, nothing was sent", span(wait)))
            }
            other => self.fault("write refused: ", &other),
        })?;
        let choices = self.link.borrow().choices.clone();
        let filled = put::filled(put.introspection(), value, &choices);
        let (field, written) = filled.map_err(|why| Fault::refused(&self.name, why))?;
        let done = timeout_at(deadline, put.commit(&field, &written)).await;
        done.unwrap_or(Err(PvaError::Timeout)).map_err(|error| match error {
            PvaError::Timeout => Fault::refused(&self.name, format!("write sent, not done within {}", span(wait))),
            other if values::reason(&other).1 => Fault::absent(&self.name, "disconnected; the write may have arrived"),
            other => self.fault("write refused: ", &other),
        })
    }

    /// Form, unit, limits, length, states: all in one answer of the server.
    pub async fn metadata(&self, deadline: Instant) -> Result<Metadata, Fault> {
        let field = self.ask(deadline).await?;
        let choices = values::choices(&field).unwrap_or_default();
        let writable = timeout_at(deadline, self.client.pvput_begin(&self.name, None, false)).await;
        let refused = matches!(writable, Ok(Err(PvaError::RemoteError(_))));
        Ok(Metadata { writable: !refused, ..values::metadata(&field, &choices) })
    }
}
