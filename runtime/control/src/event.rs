//! What the run record is told, while it happens.

use crate::{Channel, Reading, Time};
use fodo_report::Result;
use serde::Serialize;
use std::sync::Arc;

/// Something that happened to the machine in a run.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A command goes out to a setpoint.
    Write {
        /// The setpoint as people know it: `HCOR["C03-2"].kick`.
        name: Arc<str>,
        /// Its channel.
        channel: Channel,
        /// Hardware value before.
        old: f64,
        /// Hardware value written.
        new: f64,
        /// Hardware unit.
        unit: Arc<str>,
        /// On the machine's clock.
        time: Time,
        /// Why: `set`, `restore`, `undo`, `redo`, `recover`, `rehearse` (nothing was written).
        why: &'static str,
    },
    /// A setpoint arrived: the control system said done and the readback is within tolerance.
    Arrived {
        /// Its channel.
        channel: Channel,
        /// Where it stands.
        readback: f64,
        /// On the machine's clock.
        time: Time,
    },
    /// Readings used by the script.
    Read {
        /// One entry for each channel.
        readings: Vec<(Channel, Reading)>,
    },
    /// Time stamps of a server are off by more than a second; told once for each channel of a session.
    Clock {
        /// Channels of one server, as far as the stamps tell.
        channels: Vec<Channel>,
        /// By how much at least they are ahead of this computer's clock [s]; negative if they are behind.
        ahead: f64,
        /// For people.
        text: String,
        /// On the machine's clock.
        time: Time,
    },
    /// A savepoint was set, returned to, or the run was committed or put back.
    Transaction {
        /// `begin`, `savepoint`, `restored`, `committed`, `lease` (taken over from a dead holder),
        /// `paused`, `resumed`.
        what: &'static str,
        /// For people.
        text: String,
        /// On the machine's clock.
        time: Time,
    },
}

/// Somebody who keeps what happened: the run record.
pub trait Observer: Send + Sync {
    /// Keeps one event. An error stops the run before the next write.
    fn observe(&self, event: &Event) -> Result<()>;
}
