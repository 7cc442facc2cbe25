//! Rows of numbers: what a monitor kept turn by turn.

use crate::Sampling;
use crate::sample::sources;
use crate::shots::one_shot;
use fodo_control::{Session, Time};
use fodo_devices::{Device, Field};
use fodo_report::{Diagnostic, Kind, Result};
use std::time::{Duration, Instant};

/// The shortest pause before rows are asked for again.
const SHORTEST: Duration = Duration::from_millis(20);

/// How long is waited for what was taken after a trigger.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads fields that hold rows, in physics units, SI: of one acquisition, taken after the trigger at `fired` if there was one, else
/// after the last arrival. Turns in which a monitor saw nothing are NaN.
///
/// # Errors
/// Every field without a channel, and every channel that failed, is invalid, holds no row, or still that of an earlier trigger.
pub fn rows(
    session: &Session,
    fields: &[(&Device, &Field)],
    sampling: Sampling,
    fired: Option<Time>,
) -> Result<Vec<Vec<f64>>> {
    let (channels, places) = sources(fields)?;
    let after = fired.unwrap_or_else(|| session.arrived().after(sampling.settle));
    let (start, machine_start) = (Instant::now(), session.backend().now());
    let stopped = |_| Box::new(Diagnostic::new(Kind::Stopped, "stopped by the operator"));
    let readings = loop {
        let readings = one_shot(session, &channels, after, sampling.period, None)?;
        let old = (0..readings.len()).filter(|&place| fired.is_some_and(|fired| readings[place].time <= fired));
        let old: Vec<String> = old.map(|place| channels[place].to_string()).collect();
        if old.is_empty() {
            break readings;
        }
        let passed = Duration::from_nanos((session.backend().now().0 - machine_start.0).max(0) as u64);
        if start.elapsed().max(passed) > PATIENCE {
            let what = format!("{} of {} rows are still those of an earlier trigger", old.len(), channels.len());
            return Err(Diagnostic::new(Kind::Machine, what).details(old).into());
        }
        session.backend().wait(sampling.period.max(SHORTEST), session.cancel()).map_err(stopped)?;
    };
    let mut bad = Vec::new();
    let mut all = Vec::with_capacity(fields.len());
    for (&(device, field), (channel, place)) in fields.iter().zip(&places) {
        match place.row(&readings[*channel].value) {
            Ok(row) if !row.entries().is_empty() => {
                all.push(row.entries().iter().map(|n| field.to_physics(*n)).collect())
            }
            Ok(held) => bad.push(format!("{}.{} reads {held} ({})", device.shown(), field.name, channels[*channel])),
            Err(held) => bad.push(format!("{}.{} reads {held} ({})", device.shown(), field.name, channels[*channel])),
        }
    }
    match bad.is_empty() {
        true => Ok(all),
        false => {
            let what = format!("{} of {} readings are no rows of numbers", bad.len(), fields.len());
            Err(Diagnostic::new(Kind::Machine, what).details(bad).into())
        }
    }
}
