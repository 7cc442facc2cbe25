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

/// The fields of a position, in the order of the rows of a response.
const PLANES: [&str; 2] = ["x", "y"];

/// What to do where no monitor has a valid reading.
const NO_ORBIT: &str = "if the beam does not come through: bring it on by first-turn threading (correct its trajectory \
                        as far as monitors see it; in a ring turn by turn until it is stored), then come back";

/// Reads the orbit at monitors: fields `x` and `y` of each, in one go; a monitor of one plane shows no number in the other.
pub fn orbit(session: &Session, monitors: &[Arc<Device>], sampling: Sampling) -> Result<Orbit> {
    if let Some(other) = monitors.iter().find(|monitor| PLANES.iter().all(|plane| monitor.field(plane).is_none())) {
        let message = format!("{} has neither a field `x` nor a field `y`", other.shown());
        return Err(Diagnostic::new(Kind::Script, message)
            .hint("the orbit is read from beam position monitors")
            .into());
    }
    let places: Vec<(usize, &Device, &Field)> = PLANES
        .iter()
        .enumerate()
        .flat_map(|(plane, name)| {
            monitors.iter().enumerate().map(move |(at, monitor)| (plane * monitors.len() + at, name, monitor))
        })
        .filter_map(|(row, name, monitor)| Some((row, monitor.as_ref(), monitor.field(name)?)))
        .collect();
    let fields: Vec<(&Device, &Field)> = places.iter().map(|&(_, monitor, field)| (monitor, field)).collect();
    let mut rows = vec![Statistics { mean: f64::NAN, deviation: f64::NAN }; 2 * monitors.len()];
    let read = sample_or(session, &fields, sampling, Some(NO_ORBIT))?;
    places.iter().zip(read).for_each(|(&(row, ..), value)| rows[row] = value);
    let (x, y) = rows.split_at(monitors.len());
    let part = |list: &[Statistics], of: fn(&Statistics) -> f64| list.iter().map(of).collect();
    Ok(Orbit {
        x: part(x, |s| s.mean),
        y: part(y, |s| s.mean),
        deviation_x: part(x, |s| s.deviation),
        deviation_y: part(y, |s| s.deviation),
    })
}
