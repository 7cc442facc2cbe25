//! Writes of one client beside each other.
//!
//! The library's own source holds up a connection while a write waits for the plant, so that each of many writes would be
//! a batch of its own. Here a write waits on another thread, and those that come meanwhile are applied together.

use epics_pva_rs::proto::BitSet;
use epics_pva_rs::pvdata::{FieldDesc, PvField};
use epics_pva_rs::server_native::source::{
    AccessChecked, ChannelContext, ChannelInvalidator, ChannelSource, MonitorOptions, MonitorStream, MonitorUpdate,
    OpError, SubscriptionSeed,
};
use epics_pva_rs::server_native::{SharedPV, SharedSource};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// The library's source of variables, whose writes wait elsewhere.
pub struct Beside {
    source: SharedSource,
    variables: HashMap<String, SharedPV>,
}

impl Beside {
    /// Wraps a source of these variables.
    pub fn new(source: SharedSource, variables: HashMap<String, SharedPV>) -> Beside {
        Beside { source, variables }
    }
}

async fn elsewhere(write: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), OpError> {
    let done = spawn_blocking(write).await;
    done.unwrap_or_else(|_| Err("the server stops".into())).map_err(OpError::failed)
}

fn absent(name: &str) -> OpError {
    OpError::failed(format!("there is no channel {name}"))
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

    fn get_value(&self, name: &str) -> impl Future<Output = Option<PvField>> + Send {
        self.source.get_value(name)
    }

    async fn put_value(&self, name: &str, value: PvField) -> Result<(), OpError> {
        let variable = self.variables.get(name).cloned().ok_or_else(|| absent(name))?;
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
        let variable = self.variables.get(name).cloned().ok_or_else(|| absent(name))?;
        let delta = delta.clone();
        elsewhere(move || variable.put_delta(&desc, &changed, delta)).await
    }

    fn is_writable(&self, name: &str) -> impl Future<Output = bool> + Send {
        self.source.is_writable(name)
    }

    fn subscribe(&self, name: &str) -> impl Future<Output = Option<MonitorStream<PvField>>> + Send {
        self.source.subscribe(name)
    }

    fn subscribe_seeded(
        &self,
        checked: AccessChecked,
        context: ChannelContext,
        options: MonitorOptions,
    ) -> impl Future<Output = Option<SubscriptionSeed<MonitorUpdate>>> + Send {
        self.source.subscribe_seeded(checked, context, options)
    }

    fn notify_channel_open(&self, name: &str, context: &ChannelContext) {
        self.source.notify_channel_open(name, context);
    }

    fn notify_channel_close(&self, name: &str, context: &ChannelContext) {
        self.source.notify_channel_close(name, context);
    }
}
