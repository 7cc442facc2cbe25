//! What a session has changed, for undo and redo.

use crate::Setpoint;
use std::sync::Arc;

/// A committed transaction: every setpoint it left changed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What was run, as people know it.
    pub title: String,
    /// Setpoint, hardware value before, hardware value after.
    pub changes: Vec<(Arc<Setpoint>, f64, f64)>,
}

impl Committed {
    /// The same, backwards.
    pub(crate) fn reversed(&self) -> Committed {
        let changes = self.changes.iter().rev().map(|(s, before, after)| (s.clone(), *after, *before)).collect();
        Committed { title: self.title.clone(), changes }
    }
}

/// Undo and redo lists of a session.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub done: Vec<Committed>,
    pub undone: Vec<Committed>,
}

impl History {
    pub fn push(&mut self, committed: Committed) {
        if !committed.changes.is_empty() {
            self.done.push(committed);
            self.undone.clear();
        }
    }
}
