//! What can be served as a control system: the twin, seen from its servers.

use crate::{Channel, Fault, Reading, Time, Validity, Write};
use fodo_report::Result;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Whether a channel holds one number, a row of them, rows one above the other, or named rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One number.
    Scalar,
    /// This many numbers.
    Vector(usize),
    /// An image: numbers in a row, and rows.
    Image(usize, usize),
    /// Columns of these names with this many numbers each.
    Table(Vec<Arc<str>>, usize),
}

/// A channel as a server announces it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelInfo {
    /// Its name.
    pub channel: Channel,
    /// One number or a row.
    pub shape: Shape,
    /// How what it holds is found, for people.
    pub description: String,
    /// Unit, as written in the facility's table.
    pub unit: String,
    /// Digits after the point that make sense.
    pub precision: i16,
    /// Lowest and highest value a client may write.
    pub limits: Option<(f64, f64)>,
    /// Whether clients may write it.
    pub writable: bool,
    /// Values beyond which its readings warn.
    pub alarms: Alarms,
}

/// Values beyond which a reading warns or alarms, as numbers on the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Alarms {
    /// Lowest and highest value that need no attention.
    pub warning: Option<(f64, f64)>,
    /// Lowest and highest value that can be worked with.
    pub alarm: Option<(f64, f64)>,
}

impl Alarms {
    /// Whether a value may be used, and what is to be said of it.
    pub fn judge(&self, value: f64) -> Validity {
        let beyond = |range: Option<(f64, f64)>, low: &str, high: &str| {
            let (lowest, highest) = range?;
            let words = if value < lowest { (low, lowest) } else { (high, highest) };
            (value < lowest || value > highest).then(|| format!("{} {}", words.0, words.1))
        };
        let alarm = beyond(self.alarm, "below the alarm limit", "above the alarm limit").map(Validity::Alarm);
        let warning = || beyond(self.warning, "below the warning limit", "above the warning limit");
        alarm.or_else(|| warning().map(Validity::Warning)).unwrap_or(Validity::Good)
    }
}

/// A machine that can be simulated: apply a batch, sample, clock.
///
/// One implementation (the twin's) answers the in-process backend and every server, so that all
/// clients see one machine.
pub trait Plant: Send + Sync {
    /// Every channel, in the order of the facility's tables.
    fn channels(&self) -> Vec<ChannelInfo>;

    /// Sets setpoints together: all, or none and the faults of those that cannot be set.
    fn apply(&self, batch: &[Write]) -> Result<(), Vec<Fault>>;

    /// The channels as they are at the plant's present time; setpoints answer what they hold.
    fn sample(&self, channels: &[Channel]) -> Vec<Result<Reading, Fault>>;

    /// The plant's clock.
    fn now(&self) -> Time;

    /// Moves the clock forward to `time`: drifts go on, monitors take a new shot.
    fn advance(&self, time: Time);

    /// Monitors take a new shot now, between those of [`Plant::period`]: its noise is its own.
    ///
    /// For plants that are shown to others at moments of their choice; in virtual time nobody asks for it.
    fn trigger(&self) {}

    /// Time between two shots of the beam position monitors.
    fn period(&self) -> Duration;
}

/// Something that went wrong with a simulated machine, or was over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Happened {
    /// On the machine's clock.
    pub time: Time,
    /// Its name in the facility's tables.
    pub name: Arc<str>,
    /// What sort of thing it is: `monitor_dead`.
    pub kind: &'static str,
    /// What it happened to, as people know it.
    pub device: Option<String>,
    /// How bad, in SI.
    pub size: f64,
    /// Whether it began then; else it was over.
    pub begins: bool,
    /// `at random`, `by the clock`, `started`, `stopped`, `its time was over`.
    pub cause: &'static str,
}

/// What something is to happen to: a device, or an element of the lattice.
#[derive(Clone, Copy, Debug)]
pub struct Victim<'v> {
    /// The family of the device, where it is known.
    pub family: Option<&'v str>,
    /// Its name.
    pub name: &'v str,
}

impl<'v> From<&'v str> for Victim<'v> {
    fn from(name: &'v str) -> Victim<'v> {
        Victim { family: None, name }
    }
}

/// What can be done to a simulated machine on purpose, by who trains and tests; no control system offers it.
pub trait Trainer: Send + Sync {
    /// What can go wrong: name and kind.
    fn anomalies(&self) -> Vec<(Arc<str>, &'static str)>;

    /// What goes wrong now, as it began.
    fn going_wrong(&self) -> Vec<Happened>;

    /// Lets something go wrong, at one device of those it may happen to.
    ///
    /// # Errors
    /// `usage`: there is no such thing or device, or it goes on already; the machine stays as it is.
    fn start(&self, name: &str, victim: Option<Victim<'_>>) -> Result<()>;

    /// Ends it.
    ///
    /// # Errors
    /// `usage`: there is no such thing, or it does not go on.
    fn stop(&self, name: &str) -> Result<()>;

    /// What happened from a time on, the oldest first.
    fn happened(&self, from: Time) -> Vec<Happened>;
}
