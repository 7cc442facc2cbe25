//! What can be served as a control system: the twin, seen from its servers.

use crate::{Channel, Fault, Reading, Time, Write};
use std::time::Duration;

/// Whether a channel holds one number or a row of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One number.
    Scalar,
    /// This many numbers.
    Vector(usize),
}

/// A channel as a server announces it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelInfo {
    /// Its name.
    pub channel: Channel,
    /// One number or a row.
    pub shape: Shape,
    /// Unit, as written in the facility's table.
    pub unit: String,
    /// Digits after the point that make sense.
    pub precision: i16,
    /// Lowest and highest value a client may write.
    pub limits: Option<(f64, f64)>,
    /// Whether clients may write it.
    pub writable: bool,
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

    /// Time between two shots of the beam position monitors.
    fn period(&self) -> Duration;
}
