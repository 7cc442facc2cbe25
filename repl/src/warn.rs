//! What the operator has to know of a run that goes on: told once, and kept for `--json`.

use crate::show;
use fodo_control::{Channel, Event, Observer};
use fodo_language::Output;
use fodo_report::Result;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Offsets that differ by less than this, or by a tenth, are taken for those of one clock [s].
const ALIKE: f64 = 2.0;

/// Clocks that are off, and where the operator is told.
pub struct Warnings {
    clocks: Mutex<Vec<Clock>>,
    notes: Arc<dyn Output>,
}

/// A clock, and the channels whose samples bear its time.
struct Clock {
    channels: Vec<Channel>,
    ahead: f64,
    text: String,
}

impl Warnings {
    pub fn new(notes: Arc<dyn Output>) -> Warnings {
        Warnings { clocks: Mutex::default(), notes }
    }

    /// All so far, for `--json`.
    pub fn list(&self) -> Vec<Value> {
        let object = |clock: &Clock| json!({ "kind": "clock", "message": clock.text, "ahead_seconds": clock.ahead, "channels": clock.channels });
        self.clocks().iter().map(object).collect()
    }

    fn clocks(&self) -> MutexGuard<'_, Vec<Clock>> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Warnings {
    fn observe(&self, event: &Event) -> Result<()> {
        let (channels, ahead, text) = match event {
            Event::Clock { channels, ahead, text, .. } => (channels, ahead, text),
            Event::Transaction { what: what @ ("paused" | "resumed"), text, .. } => {
                self.notes.print(&format!("{what}: {text}"));
                return Ok(());
            }
            Event::Transaction { what: "off branch", text, .. } => {
                self.notes.print(&show::warning(text));
                return Ok(());
            }
            _ => return Ok(()),
        };
        let mut clocks = self.clocks();
        let alike = |clock: &&mut Clock| (clock.ahead - ahead).abs() < ALIKE.max(0.1 * ahead.abs());
        match clocks.iter_mut().find(alike) {
            Some(clock) => clock.channels.extend(channels.iter().cloned()),
            None => {
                self.notes.print(&show::warning(text));
                clocks.push(Clock { channels: channels.clone(), ahead: *ahead, text: text.clone() });
            }
        }
        Ok(())
    }
}
