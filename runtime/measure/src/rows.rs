//! Rows of numbers: what a monitor kept turn by turn.

use crate::Sampling;
use crate::sample::sources;
use crate::shots::one_shot;
use fodo_control::Session;
use fodo_devices::{Device, Field};
use fodo_report::{Diagnostic, Kind, Result};

/// Reads fields that hold rows, after the last arrival and of one acquisition, in physics units, SI. Turns in which a monitor
/// saw nothing are NaN.
///
/// # Errors
/// Every field without a channel, and every channel that failed, is invalid or holds no row.
pub fn rows(session: &Session, fields: &[(&Device, &Field)], sampling: Sampling) -> Result<Vec<Vec<f64>>> {
    let (channels, places) = sources(fields)?;
    let after = session.arrived().after(sampling.settle);
    let readings = one_shot(session, &channels, after, sampling.period, None)?;
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
