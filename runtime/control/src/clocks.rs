//! Fresh samples where clocks disagree.
//!
//! Whether a sample was taken after an arrival is judged by time stamps, which servers put on with their own clocks.
//! A stamp that cannot be (of the future, or of a time before the write that it confirms) shows a clock that is off;
//! then the order in which samples come decides instead. Of what comes after the question the first sample may have
//! been on its way before, the second cannot.
//!
//! The operator is told of stamps that are off, once for each channel of a session. One of the future is ahead. One is
//! behind if its sample was not there when the channel was read last, and yet says to be older than that.

use crate::{Cancel, Channel, Event, Fault, Fresh, Reading, Session, Stopped, Time};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Clocks nearer than this agree.
const AGREE: Duration = Duration::from_secs(1);

/// Samples of a source whose clock is off that have to come after the question.
const IN_ORDER: usize = 2;

/// Channels named in a message.
const NAMED: usize = 3;

/// Answers to a question, one for each channel.
type Answers = Vec<Result<Reading, Fault>>;

/// What time stamps have told of the clocks of servers.
#[derive(Default)]
pub(crate) struct Clocks {
    /// The last sample of each channel: its stamp, and when was asked for it.
    last: HashMap<Channel, (Time, Time)>,
    told: HashSet<Channel>,
}

impl Clocks {
    /// Looks at a sample asked for at `asked` that was there `now`: by how much at least its stamp is ahead of our
    /// clock [s], if that is more than it should be and was not told before.
    fn look(&mut self, channel: &Channel, stamp: Time, asked: Time, now: Time) -> Option<f64> {
        let before = match self.last.get_mut(channel) {
            Some(last) => Some(std::mem::replace(last, (stamp, asked))),
            None => {
                self.last.insert(channel.clone(), (stamp, asked));
                None
            }
        };
        // a sample that was not there when it was asked for last should not say to be older than that
        let behind = before.filter(|(last, asked)| stamp > *last && stamp.after(AGREE) < *asked);
        let ahead = match behind {
            Some((_, asked)) => stamp.0 - asked.0,
            None if is_ahead(stamp, now) => stamp.0 - now.0,
            None => return None,
        };
        self.told.insert(channel.clone()).then_some(ahead as f64 * 1e-9)
    }
}

/// Channels by how far their clocks are off: those of one server stand together.
fn by_server(mut off: Vec<(&Channel, f64)>) -> Vec<(Vec<Channel>, f64)> {
    off.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut servers: Vec<(Vec<Channel>, f64)> = Vec::new();
    for (channel, ahead) in off {
        match servers.last_mut() {
            Some((channels, first)) if ahead - *first < AGREE.as_secs_f64() => channels.push(channel.clone()),
            _ => servers.push((vec![channel.clone()], ahead)),
        }
    }
    servers
}

/// `time stamps of A and B are at least 60 min ahead of this computer's clock`.
fn in_words(channels: &[Channel], ahead: f64) -> String {
    let mut names: Vec<&str> = channels.iter().take(NAMED).map(AsRef::as_ref).collect();
    let more = format!("{} more", channels.len().saturating_sub(NAMED));
    if channels.len() > NAMED {
        names.push(&more);
    }
    let (last, others) = names.split_last().map_or(("", &[][..]), |(last, others)| (*last, others));
    let names = if others.is_empty() { last.to_string() } else { format!("{} and {last}", others.join(", ")) };
    let span = match ahead.abs() {
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.1} h", seconds / 3600.0),
        seconds => format!("{:.0} days", seconds / 86_400.0),
    };
    let way = if ahead > 0.0 { "ahead of" } else { "behind" };
    format!("time stamps of {names} are at least {span} {way} this computer's clock")
}

/// Whether the stamp of something written between `sent` and `now` is of another clock than ours.
pub(crate) fn is_off(stamp: Time, sent: Time, now: Time) -> bool {
    stamp.after(AGREE) < sent || is_ahead(stamp, now)
}

/// Whether a stamp is of the future.
pub(crate) fn is_ahead(stamp: Time, now: Time) -> bool {
    stamp > now.after(AGREE)
}

impl Session {
    /// Tells of clocks that are off, by samples that were asked for at `asked` and are there now.
    pub(crate) fn watch_clocks(&self, channels: &[Channel], answers: &Answers, asked: Time) {
        let now = self.backend.now();
        let off: Vec<(&Channel, f64)> = {
            let clocks = &mut self.state().clocks;
            let samples = channels.iter().zip(answers).filter_map(|(c, answer)| Some((c, answer.as_ref().ok()?.time)));
            samples.filter_map(|(channel, stamp)| Some((channel, clocks.look(channel, stamp, asked, now)?))).collect()
        };
        for (channels, ahead) in by_server(off) {
            let text = in_words(&channels, ahead);
            // a record that fails is met by the next event; putting back must go on
            _ = self.observe(|| Event::Clock { channels, ahead, text, time: now });
        }
    }

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
