//! Asking the adapter and waiting for what it answers.

use crate::board::{Board, Pending};
use crate::keeper::told;
use crate::wire::{Answer, Ask};
use fodo_control::{Cancel, Channel, Fault, Stopped};
use std::time::{Duration, Instant};

/// How often a wait looks at its cancel token.
const STOP_LATENCY: Duration = Duration::from_millis(30);

/// How much longer than the adapter was told its answer is waited for.
const GRACE: Duration = Duration::from_millis(50);

/// What came of a question: for each channel an answer, or why there is none.
pub type Answered = Vec<Result<Answer, Fault>>;

impl Board {
    /// Asks about channels and waits for all answers, at most `wait`.
    pub fn question(
        &self,
        ask: Ask,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Answered, Stopped> {
        cancel.check()?;
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        let is_write = ask.r#do == "write";
        let end = Instant::now() + wait;
        let asked = {
            let mut state = self.state();
            state.up().map(drop).and_then(|()| state.ask(ask, channels.len(), end))
        };
        let id = match asked {
            Ok(id) => id,
            Err(why) => return Ok(channels.iter().map(|channel| Err(Fault::absent(channel, &why))).collect()),
        };
        let pending = self.wait_for(id, end + GRACE, cancel)?;
        let late = Late { wait, is_write, more: self.more() };
        Ok(late.answers(pending, channels))
    }

    /// Waits until a request is over, or its time is.
    pub fn wait_for(&self, id: u64, end: Instant, cancel: &Cancel) -> Result<Pending, Stopped> {
        let mut state = self.state();
        loop {
            if cancel.is_stopped() {
                state.take(id);
                return Err(Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || state.pending.get(&id).is_none_or(|pending| pending.over) {
                return Ok(state.take(id));
            }
            state = self.pause(state, left.min(STOP_LATENCY));
        }
    }

    /// What else is to be said where an answer is missing.
    fn more(&self) -> String {
        let state = self.state();
        match state.heard.map(|heard| heard.elapsed()) {
            Some(silent) if silent > Duration::from_secs(2) => {
                format!("; nothing was heard of the adapter for {} s{}", silent.as_secs(), told(&state))
            }
            _ => told(&state),
        }
    }
}

/// What to say for answers that did not come.
struct Late {
    wait: Duration,
    is_write: bool,
    more: String,
}

impl Late {
    fn answers(&self, pending: Pending, channels: &[Channel]) -> Answered {
        let Pending { answers, rest, lost, over, sent, .. } = pending;
        let missing = |channel: &Channel| -> Result<Answer, Fault> {
            let Late { wait, is_write, more } = self;
            Err(match (&lost, &rest) {
                (Some(why), _) if *is_write && sent => {
                    Fault::absent(channel, format!("{why}; the write may have arrived"))
                }
                (Some(why), _) => Fault::absent(channel, why.clone()),
                (None, Some(problem)) => return Ok(Answer { error: Some(problem.clone()), ..Answer::default() }),
                (None, None) if over => {
                    Fault::refused(channel, "the adapter breaks the protocol: it left this one out")
                }
                (None, None) if *is_write && sent => Fault::refused(
                    channel,
                    format!("write sent, not done within {}; it may still arrive{more}", span(*wait)),
                ),
                (None, None) if *is_write => Fault::refused(
                    channel,
                    format!("not written: the adapter took nothing in for {}{more}", span(*wait)),
                ),
                (None, None) => Fault::refused(channel, format!("no answer within {}{more}", span(*wait))),
            })
        };
        let mut answers = answers.into_iter();
        channels.iter().map(|channel| answers.next().flatten().map_or_else(|| missing(channel), Ok)).collect()
    }
}

/// A time for people: `3 s`, `300 ms`.
pub fn span(wait: Duration) -> String {
    let seconds = wait.as_secs_f64();
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{} s", (seconds * 10.0).round() / 10.0) }
}
