//! What a session has changed, for undo and redo.

use crate::Setpoint;
use std::sync::Arc;

/// A committed transaction: every setpoint it left changed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What was run, as people know it.
    pub title: String,
    /// When it began, seconds since 1970.
    pub start: f64,
    /// Setpoint, hardware value before, hardware value after.
    pub changes: Vec<(Arc<Setpoint>, f64, f64)>,
}

impl Committed {
    /// The same, backwards.
    pub(crate) fn reversed(&self) -> Committed {
        let changes = self.changes.iter().rev().map(|(s, before, after)| (s.clone(), *after, *before)).collect();
        Committed { title: self.title.clone(), start: self.start, changes }
    }
}

/// How many runs can be undone. A prompt lives for weeks, and each line is a run.
pub const KEPT: usize = 200;

/// Undo and redo lists of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub done: Vec<Committed>,
    pub undone: Vec<Committed>,
}

impl History {
    pub fn push(&mut self, committed: Committed) {
        if !committed.changes.is_empty() {
            self.done.push(committed);
            self.done.drain(..self.done.len().saturating_sub(KEPT));
            self.undone.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_runs_are_forgotten() {
        let setpoint = Setpoint {
            name: "H1".into(),
            family: "H".into(),
            channel: "H1:SP".into(),
            readback: None,
            unit: "A".into(),
            limits: (-1.0, 1.0),
            tolerance: 0.1,
            arrival: Duration::from_secs(1),
            rate: None,
            physics: None,
        };
        let setpoint = Arc::new(setpoint);
        let mut history = History::default();
        for run in 0..3 * KEPT {
            history.push(Committed { title: run.to_string(), start: 0.0, changes: vec![(setpoint.clone(), 0.0, 1.0)] });
        }
        let titles = |committed: Option<&Committed>| committed.map(|c| c.title.clone());
        assert_eq!(history.done.len(), KEPT);
        assert_eq!(titles(history.done.first()), Some((2 * KEPT).to_string()));
        assert_eq!(titles(history.done.last()), Some((3 * KEPT - 1).to_string()));
    }
}
