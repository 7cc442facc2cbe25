//! Settled, then averaged: fresh readings of fields.

use crate::shots::one_shot;
use fodo_control::{Channel, Reading, Session};
use fodo_devices::{Device, Field, Place};
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
        let mut bad = Bad::default();
        for ((&(device, field), place), sum) in fields.iter().zip(&places).zip(&mut sums) {
            let value = match entry(&readings[place.0], place.1) {
                Ok(entry) => field.to_physics(entry),
                Err(held) => {
                    let channel = &channels[place.0];
                    bad.put(format!("{}.{}", device.shown(), field.name), format!("{held} ({channel})"));
                    continue;
                }
            };
            // Welford's recurrence keeps the spread exact to rounding
            let change = value - sum.0;
            sum.0 += change / (shot + 1) as f64;
            sum.1 += change * (value - sum.0);
        }
        let count: usize = bad.0.iter().map(|(names, _)| names.len()).sum();
        if count > 0 {
            return Err(Diagnostic::new(
                Kind::Machine,
                format!("{count} of {} readings are not numbers", fields.len()),
            )
            .details(bad.lines())
            .hint("leave the devices out with `.without(\"…\")`, or mend them")
            .into());
        }
        after = readings.iter().map(|r| r.time).max().unwrap_or(after).max(after);
    }
    let deviation = |squares: f64| if shots > 1 { (squares / (shots - 1) as f64).sqrt() } else { 0.0 };
    Ok(sums.into_iter().map(|(mean, squares)| Statistics { mean, deviation: deviation(squares) }).collect())
}

/// Readings that are no numbers; what is there of neighbours alike is said once.
#[derive(Default)]
struct Bad(Vec<(Vec<String>, String)>);

impl Bad {
    fn put(&mut self, name: String, held: String) {
        match self.0.last_mut() {
            Some((names, known)) if *known == held => names.push(name),
            _ => self.0.push((vec![name], held)),
        }
    }

    fn lines(&self) -> Vec<String> {
        let line = |(names, held): &(Vec<String>, String)| match names.as_slice() {
            [first, .., last] => format!("{first} … {last} ({}) read {held}", names.len()),
            one => format!("{} reads {held}", one.join("")),
        };
        self.0.iter().map(line).collect()
    }
}

/// The finite number at a place, or what is there instead.
pub(crate) fn entry(reading: &Reading, place: &Place) -> Result<f64, String> {
    let entry = place.number(&reading.value)?;
    if entry.is_finite() { Ok(entry) } else { Err(entry.to_string()) }
}

/// For each field which of the channels, and the place in it.
pub(crate) type Places<'f> = Vec<(usize, &'f Place)>;

/// Each channel once, and where each field is in them.
pub(crate) fn sources<'f>(fields: &[(&Device, &'f Field)]) -> Result<(Vec<Channel>, Places<'f>)> {
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
        places.push((place, &source.place));
    }
    Ok((channels, places))
}
