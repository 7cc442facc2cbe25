//! Following readings for a while: every sample that the sources give.

use crate::sample::{entry, sources};
use fodo_control::{Keep, Session, Time, Validity};
use fodo_devices::{Device, Field};
use fodo_report::{Diagnostic, Kind, Result};
use std::time::Duration;

/// Samples that wait of one channel before some are lost, which is told.
const QUEUE: usize = 65536;

/// How often the samples are taken from the queue.
const PACE: Duration = Duration::from_millis(50);

/// Every sample of one field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// When the source took each, from the first moment on [s].
    pub times: Vec<f64>,
    /// Physics values in SI.
    pub values: Vec<f64>,
    /// Samples that were left out because they were invalid or no number.
    pub invalid: usize,
}

/// Takes every sample of fields for a while on the machine's clock, the present ones first.
///
/// # Errors
/// A field without a channel; a channel that is absent, is lost or sends faster than it is read.
pub fn follow(session: &Session, fields: &[(&Device, &Field)], span: Duration) -> Result<Vec<Series>> {
    let (channels, places) = sources(fields)?;
    let stopped = |_| Box::new(Diagnostic::new(Kind::Stopped, "stopped by the operator"));
    let mut series = vec![Series::default(); fields.len()];
    let start = session.backend().now();
    let end = start.after(span);
    let monitor = session.backend().monitor(&channels, Keep::Every(QUEUE));
    let mut faults: Vec<String> = Vec::new();
    loop {
        let now = session.backend().now();
        let left = Duration::from_nanos((end.0 - now.0).max(0) as u64);
        session.backend().wait(left.min(PACE), session.cancel()).map_err(stopped)?;
        for update in monitor.next(Duration::ZERO, session.cancel()).map_err(stopped)? {
            let reading = match update.reading {
                Ok(reading) => reading,
                Err(fault) => {
                    faults.push(fault.to_string());
                    continue;
                }
            };
            let usable = !matches!(reading.validity, Validity::Invalid(_));
            for (field, of) in places.iter().enumerate().filter(|(_, place)| place.0 == update.place) {
                match entry(&reading, of.1) {
                    Ok(number) if usable => {
                        series[field].times.push(since(start, reading.time));
                        series[field].values.push(fields[field].1.to_physics(number));
                    }
                    _ => series[field].invalid += 1,
                }
            }
        }
        if !faults.is_empty() {
            let message = format!("{} of {} channels could not be followed", faults.len(), channels.len());
            return Err(Diagnostic::new(Kind::Machine, message).details(faults).into());
        }
        if left.is_zero() {
            return Ok(series);
        }
    }
}

fn since(start: Time, time: Time) -> f64 {
    (time.0 - start.0) as f64 * 1e-9
}
