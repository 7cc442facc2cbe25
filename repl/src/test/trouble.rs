//! A machine on which one write goes wrong, so that what a run leaves behind can be looked at.

use fodo_control::{
    Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Write,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// Nothing: the writes are counted.
    None,
    /// This write is refused.
    Refused(usize),
    /// The operator stops the run while this write goes out.
    Stopped(usize),
}

/// How many writes there were.
pub type Writes = Arc<AtomicUsize>;

/// A backend with trouble ahead.
pub struct Troubled {
    pub inner: Arc<dyn Backend>,
    pub trouble: Trouble,
    pub writes: Writes,
    pub cancel: Cancel,
}

impl Backend for Troubled {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        self.inner.connect(channels, wait, cancel)
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        self.inner.read(channels, fresh, wait, cancel)
    }

    fn write(
        &self,
        permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        match self.trouble {
            Trouble::Refused(at) if at == number => {
                let refused = |write: &Write| Err(Fault::refused(&write.channel, "refused, as the test wants it"));
                return Ok(writes.iter().map(refused).collect());
            }
            Trouble::Stopped(at) if at == number => self.cancel.stop(),
            _ => {}
        }
        self.inner.write(permit, writes, wait, cancel)
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        self.inner.monitor(channels, keep)
    }

    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        self.inner.metadata(channels, wait, cancel)
    }

    fn now(&self) -> Time {
        self.inner.now()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        self.inner.wait(span, cancel)
    }
}
