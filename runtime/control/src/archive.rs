//! What channels held in the past.

use crate::{Cancel, Channel, Reading, Time};
use fodo_report::Result;

/// What an archive holds of a channel between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Unit as the archive has it; empty if it has none.
    pub unit: String,
    /// In the order of time; first the last sample before the first moment, if there is one.
    pub readings: Vec<Reading>,
}

/// An archive of channels: the EPICS Archiver Appliance, TANGO's HDB++.
///
/// All calls are synchronous; every one can be stopped.
pub trait Archive: Send + Sync {
    /// What it is and where, for people.
    fn name(&self) -> String;

    /// The samples of a channel from the one that held at `from` up to `to`; none if the archive does not know it.
    ///
    /// # Errors
    /// Kind `machine`: the archive does not answer, or not as an archive does. Kind `stopped`.
    fn samples(&self, channel: &Channel, from: Time, to: Time, cancel: &Cancel) -> Result<Option<Samples>>;

    /// What channels held at a moment: the last sample before or at it, in the order of the channels.
    ///
    /// # Errors
    /// As [`Archive::samples`].
    fn at(&self, channels: &[Channel], time: Time, cancel: &Cancel) -> Result<Vec<Option<Reading>>> {
        let last = |channel| {
            let samples = self.samples(channel, time, time, cancel)?.unwrap_or_default();
            Ok(samples.readings.into_iter().rev().find(|reading| reading.time <= time))
        };
        channels.iter().map(last).collect()
    }
}
