//! Settled, then averaged: fresh readings of fields.

use crate::shots::one_shot;
use fodo_control::{Channel, Reading, Session};
use fodo_devices::{Device, Field};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashMap;
use std::time::Duration;

/// How to sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Time to let pass after arrival.
    pub settle: Duration,
    /// Time between two shots; a source silent for two and a half is asked, readings further apart are not of one.
    pub period: Duration,
    /// Shots to average.
    pub shots: usize,
}

/// Mean of several shots with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Mean, physics unit in SI.
    pub mean: f64,
    /// Standard deviation of one shot; zero for a single shot.
    pub deviation: f64,
}

/// Reads fields after the last arrival: settled, fresh, each shot of one piece, averaged.
///
/// # Errors
/// Every field without a channel, and every channel that failed, is invalid, holds no number or lags behind the others.
pub fn sample(session: &Session, fields: &[(&Device, &Field)], sampling: Sampling) -> Result<Vec<Statistics>> {
    sample_or(session, fields, sampling, None)
}

/// The same; `hint` is what to do where not one of the fields has a valid reading.
pub(crate) fn sample_or(
    session: &Session,
    fields: &[(&Device, &Field)],
    sampling: Sampling,
    hint: Option<&str>,
) -> Result<Vec<Statistics>> {
    let (channels, places) = sources(fields)?;
    let mut sums = vec![(0.0, 0.0); fields.len()];
    let mut after = session.arrived().after(sampling.settle);
    let shots = sampling.shots.max(1);
    for shot in 0..shots {
        let readings = one_shot(session, &channels, after, sampling.period, hint)?;
        let mut bad = Vec::new();
        for ((&(device, field), place), sum) in fields.iter().zip(&places).zip(&mut sums) {
            let value = match entry(&readings[place.0], place.1) {
                Ok(entry) => field.to_physics(entry),
                Err(held) => {
                    let channel = &channels[place.0];
                    bad.push(format!("{}.{} reads {held} ({channel})", device.shown(), field.name));
                    continue;
                }
            };
            // Welford's recurrence keeps the spread exact to rounding
            let change = value - sum.0;
            sum.0 += change / (shot + 1) as f64;
            sum.1 += change * (value - sum.0);
        }
        if !bad.is_empty() {
            return Err(Diagnostic::new(
                Kind::Machine,
                format!("{} of {} readings are not numbers", bad.len(), fields.len()),
            )
            .details(bad)
            .hint("leave the devices out with `.without(\"…\")`, or mend them")
            .into());
        }
        after = readings.iter().map(|r| r.time).max().unwrap_or(after).max(after);
    }
    let deviation = |squares: f64| if shots > 1 { (squares / (shots - 1) as f64).sqrt() } else { 0.0 };
    Ok(sums.into_iter().map(|(mean, squares)| Statistics { mean, deviation: deviation(squares) }).collect())
}

/// The number at a place, or what is there instead.
pub(crate) fn entry(reading: &Reading, index: Option<usize>) -> Result<f64, String> {
    let value = &reading.value;
    let entry = match index {
        None => value.number().ok_or_else(|| format!("{value}, not one number"))?,
        Some(index) => *value.entries().get(index).ok_or_else(|| format!("{value}, which has no entry {index}"))?,
    };
    if entry.is_finite() { Ok(entry) } else { Err(entry.to_string()) }
}

/// Place of a field's reading: which channel, which entry of it.
pub(crate) type Place = (usize, Option<usize>);

/// Each channel once, and for each field its place.
pub(crate) fn sources(fields: &[(&Device, &Field)]) -> Result<(Vec<Channel>, Vec<Place>)> {
    let mut channels: Vec<Channel> = Vec::new();
    let mut known: HashMap<Channel, usize> = HashMap::new();
    let mut places = Vec::with_capacity(fields.len());
    for (device, field) in fields {
        let source = field.source.as_ref().ok_or_else(|| {
            Diagnostic::new(Kind::Facility, format!("{}.{} has no channel to read", device.shown(), field.name))
        })?;
        let place = *known.entry(source.channel.clone()).or_insert_with(|| {
            channels.push(source.channel.clone());
            channels.len() - 1
        });
        places.push((place, source.index));
    }
    Ok((channels, places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fodo_control::{Time, Value};

    #[test]
    fn what_is_no_number_is_described() {
        let read = |value: Value, index| entry(&Reading::good(value, Time(0)), index);
        assert_eq!(read(1.5.into(), None), Ok(1.5));
        assert_eq!(read(Value::Vector([1.0, 2.0].into()), Some(1)), Ok(2.0));
        let why = |value, index| read(value, index).err().unwrap_or_default();
        assert_eq!(why("on".into(), None), "the text \"on\", not one number");
        assert_eq!(why(Value::Vector([1.0, 2.0].into()), None), "a row of 2 numbers, not one number");
        assert_eq!(why(Value::Vector([1.0, 2.0].into()), Some(2)), "a row of 2 numbers, which has no entry 2");
        assert_eq!(why(f64::NAN.into(), None), "NaN");
    }
}
