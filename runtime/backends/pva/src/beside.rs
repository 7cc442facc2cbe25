//! Writes of one client beside each other.
//!
//! The library's own source holds up a connection while a write waits for the plant, so that each of many writes would be
//! a batch of its own. Here a write waits on another thread, and those that come meanwhile are applied together.

use crate::board::Board;
use epics_pva_rs::proto::BitSet;
use epics_pva_rs::pvdata::{FieldDesc, PvField};
use epics_pva_rs::server_native::source::{
    AccessChecked, ChannelContext, ChannelInvalidator, ChannelSource, MonitorOptions, MonitorStream, MonitorUpdate,
    OpError, RawMonitorEvent, SubscriptionSeed,
};
use epics_pva_rs::server_native::{SharedPV, SharedSource};
use std::future::Future;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// The library's source of variables, whose writes wait elsewhere and whose values are those of a board.
pub struct Beside {
    source: SharedSource,
    board: Arc<Board>,
}

impl Beside {
    /// Wraps a source of the board's variables.
    pub fn new(source: SharedSource, board: Arc<Board>) -> Beside {
        Beside { source, board }
    }

    /// A variable, holding what is shown.
    fn variable(&self, name: &str) -> Result<&SharedPV, OpError> {
        let shown = self.board.present(name);
        shown.map(|shown| shown.variable()).ok_or_else(|| OpError::failed(format!("there is no channel {name}")))
    }
}

async fn elsewhere(write: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), OpError> {
    let done = spawn_blocking(write).await;
    done.unwrap_or_else(|_| Err("the server stops".into())).map_err(OpError::failed)
}

impl ChannelSource for Beside {
    fn beacon_change(&self) -> u64 {
        self.source.beacon_change()
    }

    fn set_channel_invalidator(&self, invalidator: ChannelInvalidator) {
        ChannelSource::set_channel_invalidator(&self.source, invalidator);
    }

    fn list_pvs(&self) -> impl Future<Output = Vec<String>> + Send {
        self.source.list_pvs()
    }

    fn has_pv(&self, name: &str) -> impl Future<Output = bool> + Send {
        self.source.has_pv(name)
    }

    fn get_introspection(&self, name: &str) -> impl Future<Output = Option<FieldDesc>> + Send {
        self.source.get_introspection(name)
    }

    fn await_introspection(
        &self,
        name: &str,
        context: ChannelContext,
    ) -> impl Future<Output = Option<FieldDesc>> + Send {
        self.source.await_introspection(name, context)
    }

    async fn get_value(&self, name: &str) -> Option<PvField> {
        self.variable(name).ok()?.current()
    }

    async fn put_value(&self, name: &str, value: PvField) -> Result<(), OpError> {
        let variable = self.variable(name)?.clone();
        elsewhere(move || variable.put(value)).await
    }

    async fn put_delta_checked(
        &self,
        checked: AccessChecked,
        desc: Arc<FieldDesc>,
        changed: BitSet,
        delta: &PvField,
        _context: ChannelContext,
    ) -> Result<(), OpError> {
        let name = checked.pv_name();
        if !checked.allows_write() {
            return Err(OpError::denied(format!("{name} may not be written")));
        }
        let variable = self.variable(name)?.clone();
        let delta = delta.clone();
        elsewhere(move || variable.put_delta(&desc, &changed, delta)).await
    }

    fn is_writable(&self, name: &str) -> impl Future<Output = bool> + Send {
        self.source.is_writable(name)
    }

    async fn subscribe(&self, name: &str) -> Option<MonitorStream<PvField>> {
        let shown = self.board.present(name)?;
        shown.variable();
        let stream = self.source.subscribe(name).await;
        shown.followed_in_parts();
        stream
    }

    async fn subscribe_seeded(
        &self,
        checked: AccessChecked,
        context: ChannelContext,
        options: MonitorOptions,
    ) -> Option<SubscriptionSeed<MonitorUpdate>> {
        let shown = self.board.present(checked.pv_name())?;
        shown.variable();
        let seed = self.source.subscribe_seeded(checked, context, options).await;
        shown.followed_in_parts();
        seed
    }

    async fn subscribe_raw_seeded(
        &self,
        checked: AccessChecked,
        _context: ChannelContext,
        options: MonitorOptions,
    ) -> Option<SubscriptionSeed<RawMonitorEvent>> {
        let shown = self.board.present(checked.pv_name()).filter(|_| checked.allows_read())?;
        Some(shown.follow(options.queue_size.max(1) as usize))
    }

    fn notify_channel_open(&self, name: &str, context: &ChannelContext) {
        self.source.notify_channel_open(name, context);
    }

    fn notify_channel_close(&self, name: &str, context: &ChannelContext) {
        self.source.notify_channel_close(name, context);
    }
}
