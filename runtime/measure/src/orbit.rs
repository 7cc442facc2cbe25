//! The orbit at the monitors: closed in a ring, a trajectory in a line.

use crate::sample::{Sampling, Statistics, sample_or};
use fodo_control::Session;
use fodo_devices::{Device, Field};
use fodo_report::{Diagnostic, Kind, Result};
use std::sync::Arc;

/// An orbit: one entry for each monitor asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orbit {
    /// Horizontal position [m].
    pub x: Vec<f64>,
    /// Vertical position [m].
    pub y: Vec<f64>,
    /// Standard deviation of one shot, horizontal [m]; zero for a single shot.
    pub deviation_x: Vec<f64>,
    /// Standard deviation of one shot, vertical [m]; zero for a single shot.
    pub deviation_y: Vec<f64>,
}

/// What to do where no monitor has a valid reading.
const NO_ORBIT: &str = "if the beam does not come through: bring it on by first-turn threading (correct its trajectory \
                        as far as monitors see it; in a ring turn by turn until it is stored), then come back";

/// Reads the orbit at monitors: fields `x` and `y` of each, in one go.
pub fn orbit(session: &Session, monitors: &[Arc<Device>], sampling: Sampling) -> Result<Orbit> {
    let mut fields: Vec<(&Device, &Field)> = Vec::with_capacity(2 * monitors.len());
    for plane in ["x", "y"] {
        for monitor in monitors {
            let field = monitor.field(plane).ok_or_else(|| {
                Diagnostic::new(Kind::Script, format!("{} has no field `{plane}`", monitor.shown()))
                    .hint("the orbit in both planes needs monitors with `x` and `y`")
            })?;
            fields.push((monitor, field));
        }
    }
    let read = sample_or(session, &fields, sampling, Some(NO_ORBIT))?;
    let (x, y) = read.split_at(monitors.len());
    let part = |list: &[Statistics], of: fn(&Statistics) -> f64| list.iter().map(of).collect();
    Ok(Orbit {
        x: part(x, |s| s.mean),
        y: part(y, |s| s.mean),
        deviation_x: part(x, |s| s.deviation),
        deviation_y: part(y, |s| s.deviation),
    })
}
