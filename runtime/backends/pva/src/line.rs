//! One channel, and what can be asked of it.

use crate::link::{Link, Net, keep};
use crate::put;
use crate::values::{self, span};
use epics_pva_rs::error::PvaError;
use epics_pva_rs::pv_request::PvRequestExpr;
use epics_pva_rs::pvdata::PvField;
use fodo_control::{Channel, Fault, Feed, Metadata, Reading, Time, Until, Value};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A channel with its connection and monitor.
pub struct Line {
    name: Channel,
    net: Arc<Net>,
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
    pub fn open(net: &Arc<Net>, name: &Channel) -> Line {
        let link = watch::Sender::new(Link::default());
        let keeper = tokio::spawn(keep(net.clone(), name.clone(), link.clone()));
        Line { name: name.clone(), net: net.clone(), link, keeper }
    }

    /// Waits for the connection.
    pub async fn connect(&self, Until { deadline, wait }: Until) -> Result<(), Fault> {
        let mut link = self.link.subscribe();
        let found = timeout_at(deadline.into(), link.wait_for(Link::is_up)).await;
        if found.is_ok_and(|link| link.is_ok()) {
            return Ok(());
        }
        let link = self.link.borrow();
        let lost = if link.known { "disconnected, " } else { "" };
        let reason = link.silence().unwrap_or_else(|| format!("{lost}no answer within {}", span(wait)));
        Err(Fault::absent(&self.name, reason))
    }

    /// Fails at once for a channel that was lost; waits for one that was never there, or whose server hangs.
    pub async fn present(&self, until: Until) -> Result<(), Fault> {
        let (up, lost) = {
            let link = self.link.borrow();
            (link.is_up(), link.known && !link.connected)
        };
        match (up, lost) {
            (true, _) => Ok(()),
            (false, true) => Err(Fault::absent(&self.name, "disconnected")),
            (false, false) => self.connect(until).await,
        }
    }

    /// What is said of a call that ran into its time-out: the server hangs, or `otherwise`.
    fn late(&self, otherwise: impl Into<String>) -> Fault {
        match self.link.borrow().silence() {
            Some(silence) => Fault::absent(&self.name, silence),
            None => Fault::refused(&self.name, otherwise),
        }
    }

    /// Waits for an answer of the server, until the deadline or the loss of the channel.
    async fn answer<T>(&self, until: Until, ask: impl Future<Output = Result<T, PvaError>>) -> Result<T, PvaError> {
        let mut link = self.link.subscribe();
        let answer = tokio::select! {
            biased;
            answer = timeout_at(until.deadline.into(), ask) => answer.unwrap_or(Err(PvaError::Timeout)),
            _ = link.wait_for(|link| !link.connected) => Err(PvaError::Disconnected),
        };
        if matches!(answer, Ok(_) | Err(PvaError::RemoteError(_)))
            && let Some(server) = &self.link.borrow().server
        {
            server.heard();
        }
        answer
    }

    /// Feeds a follower with what the channel holds now and every change.
    pub fn follow(&self, feed: Feed, place: usize) {
        self.link.send_modify(|link| {
            match (&link.newest, link.silence().filter(|_| !link.is_up())) {
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
            // in a box, as it is large and seldom needed
            None => Box::pin(self.get(until)).await,
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
                () = sleep_until(quiet), if quiet < until.deadline.into() => return Box::pin(self.get(until)).await,
                () = sleep_until(until.deadline.into()) => return Err(self.late("no fresh sample in time")),
            }
        }
    }

    /// Asks the server now.
    async fn get(&self, until: Until) -> Result<Reading, Fault> {
        let field = self.ask(until).await?;
        let choices = self.link.borrow().choices.clone();
        Ok(values::reading(&field, &values::choices(&field).unwrap_or(choices)))
    }

    async fn ask(&self, until: Until) -> Result<PvField, Fault> {
        self.present(until).await?;
        let answer = self.answer(until, self.net.client.pvget(&self.name)).await;
        answer.map_err(|error| match error {
            PvaError::Timeout => self.late("the server did not answer a read in time"),
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
    pub async fn put(&self, request: &PvRequestExpr, value: &Value, until: Until) -> Result<(), Fault> {
        let begun = self.answer(until, self.net.client.pvput_begin(&self.name, Some(request), false)).await;
        let put = begun.map_err(|error| match error {
            PvaError::Timeout => self.late(format!("no answer within {}, nothing was sent", span(until.wait))),
            other => self.fault("write refused: ", &other),
        })?;
        let choices = self.link.borrow().choices.clone();
        let filled = put::filled(put.introspection(), value, &choices);
        let (field, written) = filled.map_err(|why| Fault::refused(&self.name, why))?;
        let done = self.answer(until, put.commit(&field, &written)).await;
        done.map_err(|error| match error {
            PvaError::Timeout => {
                let late = format!("write sent, not done within {}", span(until.wait));
                let silence = self.link.borrow().silence();
                Fault::refused(&self.name, silence.map_or(late.clone(), |silence| format!("{late}: {silence}")))
            }
            other if values::reason(&other).1 => Fault::absent(&self.name, "disconnected; the write may have arrived"),
            other => self.fault("write refused: ", &other),
        })
    }

    /// Form, unit, limits, length, states: all in one answer of the server.
    pub async fn metadata(&self, until: Until) -> Result<Metadata, Fault> {
        let field = self.ask(until).await?;
        let choices = values::choices(&field).unwrap_or_default();
        let writable = self.answer(until, self.net.client.pvput_begin(&self.name, None, false)).await;
        let refused = matches!(writable, Err(PvaError::RemoteError(_)));
        Ok(Metadata { writable: !refused, ..values::metadata(&field, &choices) })
    }
}
