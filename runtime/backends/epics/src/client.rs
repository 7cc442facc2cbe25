//! The client: a backend of the control crate over Channel Access.

use crate::line::Line;
use crate::pulse::Member;
use epics_ca_rs::client::CaClient;
use fodo_control::{
    Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Pulses, Reading, Stopped, Time, Until,
    Write,
};
use fodo_report::{Diagnostic, Kind, Result};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How often a call that waits looks at its cancel token.
const STOP_LATENCY: Duration = Duration::from_millis(30);

/// An EPICS Channel Access client.
///
/// It finds servers by the standard variables `EPICS_CA_ADDR_LIST`, `EPICS_CA_AUTO_ADDR_LIST`,
/// `EPICS_CA_SERVER_PORT` and so on. Every channel that was ever named has a monitor, which comes
/// back by itself when a server is restarted. A channel that is not connected is a fault, whatever
/// it said before; so is one whose server hangs without closing its connection, which is found out within
/// 3 s: calls wait for it until their time is over, and say so.
/// Its calls may come from any thread but those of a tokio runtime.
pub struct ChannelAccess {
    client: Arc<CaClient>,
    pulses: Arc<Pulses<Member>>,
    lines: Mutex<HashMap<Channel, Arc<Line>>>,
    runtime: Option<Runtime>,
}

impl ChannelAccess {
    /// A client that looks for servers where the environment says.
    ///
    /// # Errors
    /// `machine` if its sockets or threads cannot be made.
    pub fn new() -> Result<ChannelAccess> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("channel-access").enable_all().build();
        let runtime = runtime.map_err(|error| no_client(&error))?;
        let client = runtime.block_on(CaClient::new()).map_err(|error| no_client(&error))?;
        // losses are faults of the channels; the library would print them too
        let _printer = client.set_exception_handler(|_| {});
        let (client, pulses) = (Arc::new(client), Arc::default());
        Ok(ChannelAccess { client, pulses, lines: Mutex::default(), runtime: Some(runtime) })
    }

    /// A client that asks only the servers at `addresses`, whatever the environment says.
    ///
    /// # Errors
    /// As [`ChannelAccess::new`].
    pub fn at(addresses: &[SocketAddr]) -> Result<ChannelAccess> {
        let access = ChannelAccess::new()?;
        access.client.set_address_list(addresses.to_vec());
        Ok(access)
    }

    /// The channels' lines, opened where they are new.
    fn lines(&self, channels: impl Iterator<Item = Channel>) -> Vec<Arc<Line>> {
        let _on_runtime = self.runtime.as_ref().map(Runtime::enter);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |name: &Channel| Arc::new(Line::open(&self.client, &self.pulses, name));
        channels.map(|name| lines.entry(name.clone()).or_insert_with(|| open(&name)).clone()).collect()
    }

    /// Runs a task to its end, or until stopped.
    fn run<T>(&self, cancel: &Cancel, task: impl Future<Output = T>) -> Result<T, Stopped> {
        cancel.check()?;
        let runtime = self.runtime.as_ref().ok_or(Stopped)?;
        runtime.block_on(async {
            tokio::select! {
                answer = task => Ok(answer),
                () = stopped(cancel) => Err(Stopped),
            }
        })
    }
}

impl Drop for ChannelAccess {
    fn drop(&mut self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.pulses.clear();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn no_client(error: &dyn std::fmt::Display) -> Box<Diagnostic> {
    let what = format!("the EPICS Channel Access client could not be started: {error}");
    Box::new(Diagnostic::new(Kind::Machine, what).hint("check the EPICS_CA_* environment variables"))
}

async fn stopped(cancel: &Cancel) {
    while !cancel.is_stopped() {
        tokio::time::sleep(STOP_LATENCY).await;
    }
}

/// Writes in the order of `writes`: nothing is sent before it is known which channels are there.
///
/// Finding channels that were never asked for takes at most half of `wait`.
async fn put_all(lines: &[Arc<Line>], writes: &[Write], wait: Duration) -> Vec<Result<(), Fault>> {
    let (until, half) = (Until::after(wait), Until::after(wait / 2));
    let present = join_all(lines.iter().map(|line| line.present(half))).await;
    let puts = lines
        .iter()
        .zip(present)
        .zip(writes)
        .map(async |((line, present), write)| line.put(present?, &write.value, until).await);
    join_all(puts).await
}

impl Backend for ChannelAccess {
    fn name(&self) -> String {
        "EPICS Channel Access".into()
    }

    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        let lines = self.lines(channels.iter().cloned());
        let until = Until::after(wait);
        let found = self.run(cancel, join_all(lines.iter().map(|line| line.connect(until))))?;
        Ok(found.into_iter().filter_map(Result::err).collect())
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        let lines = self.lines(channels.iter().cloned());
        let until = Until::after(wait);
        match fresh {
            Fresh::Latest => self.run(cancel, join_all(lines.iter().map(|line| line.latest(until)))),
            Fresh::After(time, silent) => {
                self.run(cancel, join_all(lines.iter().map(|line| line.fresh(time, silent, until))))
            }
        }
    }

    fn write(
        &self,
        _permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        let lines = self.lines(writes.iter().map(|write| write.channel.clone()));
        self.run(cancel, put_all(&lines, writes, wait))
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let (monitor, feed) = Monitor::new(channels, keep);
        let lines = self.lines(channels.iter().cloned());
        lines.iter().enumerate().for_each(|(place, line)| line.follow(feed.clone(), place));
        monitor
    }

    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        let lines = self.lines(channels.iter().cloned());
        let until = Until::after(wait);
        self.run(cancel, join_all(lines.iter().map(|line| line.metadata(until))))
    }

    fn now(&self) -> Time {
        Time::wall()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.wait(span)
    }
}
