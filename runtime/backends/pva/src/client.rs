//! The client: a backend of the control crate over PV Access.

use crate::line::Line;
use crate::link::Net;
use epics_pva_rs::client_native::PvaClient;
use epics_pva_rs::pv_request::{PvRequestBuilder, PvRequestExpr};
use fodo_control::{
    Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Until, Write,
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

/// The library's own limit for an answer; each call here has a shorter one of its own.
const LONGEST: Duration = Duration::from_secs(600);

/// An EPICS PV Access client.
///
/// It finds servers by the standard variables `EPICS_PVA_ADDR_LIST`, `EPICS_PVA_AUTO_ADDR_LIST`,
/// `EPICS_PVA_BROADCAST_PORT`, `EPICS_PVA_NAME_SERVERS` and so on. Every channel that was ever named
/// has a monitor, which comes back by itself when a server is restarted. A channel that is not
/// connected is a fault, whatever it said before; so is one whose server hangs without closing its connection, which is
/// found out within 3 s: calls wait for it until their time is over, and say so.
/// Its calls may come from any thread but those of a tokio runtime.
pub struct PvAccess {
    net: Arc<Net>,
    request: PvRequestExpr,
    lines: Mutex<HashMap<Channel, Arc<Line>>>,
    runtime: Option<Runtime>,
}

impl PvAccess {
    /// A client that looks for servers where the environment says.
    ///
    /// # Errors
    /// `machine` if its threads cannot be made.
    pub fn new() -> Result<PvAccess> {
        PvAccess::with(|client| client)
    }

    /// A client that searches only at the UDP `addresses`, whatever the environment says.
    ///
    /// # Errors
    /// As [`PvAccess::new`].
    pub fn at(addresses: &[SocketAddr]) -> Result<PvAccess> {
        let list = addresses.iter().map(|address| (*address).into()).collect();
        PvAccess::with(|client| client.addr_list(list).auto_addr_list(false).name_servers(Vec::new()))
    }

    fn with(
        set: impl FnOnce(epics_pva_rs::client_native::PvaClientBuilder) -> epics_pva_rs::client_native::PvaClientBuilder,
    ) -> Result<PvAccess> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("pv-access").enable_all().build();
        let runtime = runtime.map_err(|error| {
            let what = format!("the EPICS PV Access client could not be started: {error}");
            Box::new(Diagnostic::new(Kind::Machine, what))
        })?;
        let client = set(PvaClient::builder().timeout(LONGEST)).build();
        // a server that is an EPICS database answers when processing is done, as `caput -c` has it
        let request = PvRequestBuilder::new().field("value").record("block", "true").build();
        let net = Arc::new(Net::new(client));
        Ok(PvAccess { net, request, lines: Mutex::default(), runtime: Some(runtime) })
    }

    /// The channels' lines, opened where they are new.
    fn lines<'a>(&self, channels: impl Iterator<Item = &'a Channel>) -> Vec<Arc<Line>> {
        let _on_runtime = self.runtime.as_ref().map(Runtime::enter);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = |name: &Channel| match lines.get(name) {
            Some(line) => line.clone(),
            None => lines.entry(name.clone()).or_insert(Arc::new(Line::open(&self.net, name))).clone(),
        };
        channels.map(&mut line).collect()
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

impl Drop for PvAccess {
    fn drop(&mut self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.net.servers.clear();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn stopped(cancel: &Cancel) {
    while !cancel.is_stopped() {
        tokio::time::sleep(STOP_LATENCY).await;
    }
}

/// Writes in the order of `writes`: nothing is sent before it is known which channels are there.
///
/// Finding channels that were never asked for takes at most half of `wait`.
async fn put_all(
    request: &PvRequestExpr,
    lines: &[Arc<Line>],
    writes: &[Write],
    wait: Duration,
) -> Vec<Result<(), Fault>> {
    let (until, half) = (Until::after(wait), Until::after(wait / 2));
    let present = join_all(lines.iter().map(|line| line.present(half))).await;
    let puts = lines.iter().zip(present).zip(writes).map(async |((line, present), write)| {
        present?;
        line.put(request, &write.value, until).await
    });
    join_all(puts).await
}

impl Backend for PvAccess {
    fn name(&self) -> String {
        "EPICS PV Access".into()
    }

    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        let lines = self.lines(channels.iter());
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
        let lines = self.lines(channels.iter());
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
        let lines = self.lines(writes.iter().map(|write| &write.channel));
        self.run(cancel, put_all(&self.request, &lines, writes, wait))
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let (monitor, feed) = Monitor::new(channels, keep);
        let lines = self.lines(channels.iter());
        lines.iter().enumerate().for_each(|(place, line)| line.follow(feed.clone(), place));
        monitor
    }

    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        let lines = self.lines(channels.iter());
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
