//! How long a call may take.

use std::time::{Duration, Instant};

/// When a call has to be over.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// The moment.
    pub deadline: Instant,
    /// How long it may take from its beginning, for people.
    pub wait: Duration,
}

impl Until {
    /// From now on.
    pub fn after(wait: Duration) -> Until {
        Until { deadline: Instant::now() + wait, wait }
    }
}
