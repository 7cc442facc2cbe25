//! Fresh samples where clocks disagree.
//!
//! Whether a sample was taken after an arrival is judged by time stamps, which servers put on with their own clocks.
//! A stamp that cannot be (of the future, or of a time before the write that it confirms) shows a clock that is off;
//! then the order in which samples come decides instead. Of what comes after the question the first sample may have
//! been on its way before, the second cannot.

use crate::{Cancel, Channel, Fault, Fresh, Reading, Session, Stopped, Time};
use std::time::Duration;

/// Clocks nearer than this agree.
const AGREE: Duration = Duration::from_secs(1);

/// Samples of a source whose clock is off that have to come after the question.
const IN_ORDER: usize = 2;

/// Answers to a question, one for each channel.
type Answers = Vec<Result<Reading, Fault>>;

/// Whether the stamp of something written between `sent` and `now` is of another clock than ours.
pub(crate) fn is_off(stamp: Time, sent: Time, now: Time) -> bool {
    stamp.after(AGREE) < sent || is_ahead(stamp, now)
}

/// Whether a stamp is of the future.
pub(crate) fn is_ahead(stamp: Time, now: Time) -> bool {
    stamp > now.after(AGREE)
}

impl Session {
    /// What channels hold; of samples that have to be fresh, those whose clock is off are judged by their order.
    pub(crate) fn fresh(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Answers, Stopped> {
        let Fresh::After(_, silent) = fresh else { return self.backend.read(channels, fresh, wait, cancel) };
        // stamps are of no use where those of the last arrival were off
        let all = self.state().clocks_off;
        let mut answers = self.backend.read(channels, if all { Fresh::Latest } else { fresh }, wait, cancel)?;
        let now = self.backend.now();
        let off = |answer: &Result<Reading, Fault>| answer.as_ref().is_ok_and(|r| all || is_ahead(r.time, now));
        let places: Vec<usize> = (0..answers.len()).filter(|&place| off(&answers[place])).collect();
        let asked: Vec<Channel> = places.iter().map(|&place| channels[place].clone()).collect();
        for _ in 0..if places.is_empty() { 0 } else { IN_ORDER } {
            let newest = places.iter().filter_map(|&place| Some(answers[place].as_ref().ok()?.time)).max();
            let after = Fresh::After(newest.unwrap_or_default(), silent);
            for (&place, answer) in places.iter().zip(self.backend.read(&asked, after, wait, cancel)?) {
                answers[place] = answer;
            }
        }
        Ok(answers)
    }
}
