//! The trait a control system is seen through.

use crate::{Cancel, Channel, Fault, Form, Keep, Monitor, Reading, Stopped, Time, Value};
use std::sync::Arc;
use std::time::Duration;

/// Leave to write, which only the transaction of this crate can make.
#[derive(Debug)]
pub struct Permit(());

impl Permit {
    pub(crate) fn new() -> Permit {
        Permit(())
    }
}

/// Which sample of a channel is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fresh {
    /// The newest known, from a monitor if there is one.
    Latest,
    /// A sample taken after this time on the machine's clock. A source that posts nothing new for
    /// `silent` is asked directly, and its answer counts.
    After(Time, Duration),
}

/// One value to be written to one channel, in the channel's own unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Where.
    pub channel: Channel,
    /// What. A state is written by its name (a text) or by its place in the list (a number).
    pub value: Value,
}

impl Write {
    /// A number to a channel.
    pub fn number(channel: &Channel, value: f64) -> Write {
        Write { channel: channel.clone(), value: Value::Number(value) }
    }
}

/// What a control system says about a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// What it holds.
    pub form: Form,
    /// What the server says that it is; empty if it says nothing.
    pub description: String,
    /// Unit, as the server writes it; empty if it has none.
    pub unit: String,
    /// Lowest and highest value that the server lets clients write, if it says so.
    pub limits: Option<(f64, f64)>,
    /// How many entries the channel holds at most; 1 for a single value.
    pub length: usize,
    /// Names of the states, in the order of their numbers.
    pub choices: Vec<Arc<str>>,
    /// Whether this client may write it.
    pub writable: bool,
}

/// A control system: EPICS, TANGO, an adapter process, or the twin in this process.
///
/// All calls are synchronous and may come from several threads. Answers stand in the order of the
/// question, one for each channel; a fault of one channel never hides the others. Every call that
/// can wait takes the cancel token and returns [`Stopped`] soon after it is stopped.
pub trait Backend: Send + Sync {
    /// What it is, for people: `EPICS Channel Access`, `twin`.
    fn name(&self) -> String;

    /// Connects the channels at once and starts monitors; returns the faults after at most `wait`.
    ///
    /// Channels already connected cost nothing. A channel that comes later is used when it comes.
    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped>;

    /// Reads channels, all within `wait`.
    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped>;

    /// Writes values and waits, at most `wait`, until the control system says that each is done.
    fn write(
        &self,
        permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped>;

    /// Follows channels: what they hold now, then every change, and their losses as faults.
    ///
    /// Channels that are not there are looked for until the monitor is dropped; the places in its
    /// updates are those of `channels`. The queue of a monitor is bounded; `keep` says what becomes
    /// of samples that come faster than they are taken.
    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor;

    /// What the control system says about channels.
    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped>;

    /// The machine's clock: the wall clock, or virtual time on the twin.
    fn now(&self) -> Time;

    /// Lets time pass on the machine's clock.
    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped>;
}
