//! Rehearsing a part of a session: real readings, no write.

use crate::session::{Session, WriteMode};
use crate::transaction::{Standing, Transaction};
use std::sync::{Arc, Mutex};

impl Session {
    /// Does some work as a rehearsal: it reads the machine, and what it would write is kept in a table.
    ///
    /// Also the setpoints that it would leave changed: hardware value now, and as it would be. Rights,
    /// limits and the predicted orbit are checked as for a real change. A session that may only read may rehearse.
    pub fn rehearse<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<Standing>) {
        let mut state = self.state();
        let info = state.transaction.as_ref().map(|transaction| transaction.info.clone()).unwrap_or_default();
        let apart = Transaction::new(info);
        let (mode, outer) = (state.mode, state.transaction.replace(apart));
        // what is rehearsed is written into a copy
        let copy = Arc::new(Mutex::new(state.past().clone()));
        let kept = (std::mem::replace(&mut state.past, copy), state.rehearsed.clone());
        state.mode = WriteMode::Rehearse;
        drop(state);
        let result = work();
        let mut state = self.state();
        let standing = state.transaction.as_ref().map(Transaction::standing).unwrap_or_default();
        (state.mode, state.transaction) = (mode, outer);
        (state.past, state.rehearsed) = kept;
        (result, standing)
    }
}
