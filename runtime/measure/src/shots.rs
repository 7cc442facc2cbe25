//! Readings of one shot: what is averaged or subtracted has to be of the same beam.
//!
//! Sources that count pulses say which shot a reading is of; for the others the time stamps tell. A source that
//! posts nothing new is asked for what it holds, and belongs to every shot: a setpoint, a slow current monitor.

use fodo_control::{Channel, Fresh, Reading, Session, Time};
use fodo_report::{Diagnostic, Kind, Result};
use std::time::Duration;

/// How often readings that lag are waited for.
const ROUNDS: usize = 5;

/// Part of a period by which a reading may be away from the moment of the shot. Every source of this rate has one
/// within half a period, in step with the others or not; the rest is for what its clock adds.
const APART: f64 = 0.6;

/// Reads channels after a time, and again those that lag, until all are of one shot.
///
/// `period` is the time between two shots; with none, time stamps are not looked at.
///
/// # Errors
/// As [`Session::read_or`]; readings that still lag after a few periods.
pub fn one_shot(
    session: &Session,
    channels: &[Channel],
    after: Time,
    period: Duration,
    hint: Option<&str>,
) -> Result<Vec<Reading>> {
    let silent = period.mul_f64(2.5);
    let mut readings = session.read_or(channels, Fresh::After(after, silent), hint)?;
    // what posts nothing is of no shot
    let mut posts: Vec<bool> = readings.iter().map(|reading| reading.shot.is_some() || reading.time > after).collect();
    let mut moment = newest(&readings, &posts);
    for _ in 0..ROUNDS {
        let lagging = lagging(&readings, &posts, moment, period);
        if lagging.is_empty() {
            return Ok(readings);
        }
        let asked: Vec<Channel> = lagging.iter().map(|&place| channels[place].clone()).collect();
        let last = lagging.iter().map(|&place| readings[place].time).max().unwrap_or(after);
        for (&place, reading) in lagging.iter().zip(session.read_or(&asked, Fresh::After(last, silent), hint)?) {
            posts[place] = reading.shot.is_some() || reading.time > readings[place].time;
            readings[place] = reading;
        }
        // one that has left the moment behind makes a new one
        let latest = newest(&readings, &posts);
        moment = if latest > moment.after(period.mul_f64(APART)) { latest } else { moment };
    }
    match lagging(&readings, &posts, moment, period) {
        late if late.is_empty() => Ok(readings),
        late => Err(apart(channels, &readings, moment, &late)),
    }
}

/// Places of the readings that are older than the shot.
fn lagging(readings: &[Reading], posts: &[bool], moment: Time, period: Duration) -> Vec<usize> {
    let shot = readings.iter().filter_map(|reading| reading.shot).max();
    let apart = period.mul_f64(APART);
    let lags = |&place: &usize| match readings[place].shot {
        Some(own) => Some(own) < shot,
        None => posts[place] && !apart.is_zero() && readings[place].time.after(apart) < moment,
    };
    (0..readings.len()).filter(lags).collect()
}

/// The latest stamp of those that go by stamps.
fn newest(readings: &[Reading], posts: &[bool]) -> Time {
    let counted = readings.iter().zip(posts).filter(|(reading, posts)| **posts && reading.shot.is_none());
    counted.map(|(reading, _)| reading.time).max().unwrap_or_default()
}

fn apart(channels: &[Channel], readings: &[Reading], moment: Time, late: &[usize]) -> Box<Diagnostic> {
    const SHOWN: usize = 12;
    let shot = readings.iter().filter_map(|reading| reading.shot).max().unwrap_or_default();
    let detail = |&place: &usize| match readings[place].shot {
        Some(own) => format!("{} is at shot {own}, others at {shot}", channels[place]),
        None => {
            let lag = (moment.0 - readings[place].time.0) as f64 * 1e-6;
            format!("{} lags {lag:.0} ms behind the others", channels[place])
        }
    };
    let more = late.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("and {more} more"));
    let what = format!("{} of {} readings are of another shot than the rest", late.len(), channels.len());
    Diagnostic::new(Kind::Machine, what)
        .details(late.iter().take(SHOWN).map(detail).chain(more))
        .hint("leave the devices out with `.without(\"…\")`, or give the family's `period` as its servers keep it")
        .into()
}
