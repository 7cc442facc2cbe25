//! The orbit response: each knob up, down and back.

use crate::orbit::{Orbit, orbit};
use crate::sample::Sampling;
use fodo_control::{Change, Session};
use fodo_devices::{Device, Field};
use fodo_report::{Diagnostic, Kind, Result};
use nalgebra::DMatrix;
use std::sync::Arc;

/// Something that can be stepped, with the step of a measurement.
#[derive(Clone, Debug)]
pub struct Knob {
    /// The device.
    pub device: Arc<Device>,
    /// Which of its fields.
    pub field: Field,
    /// From the lower to the upper value, physics unit in SI.
    pub delta: f64,
}

/// An orbit response matrix with its errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// d orbit / d knob: rows x of each monitor, then y of each; a column a knob [m per knob unit].
    pub matrix: DMatrix<f64>,
    /// Standard error of each entry, from the spread of the shots; zero for single shots.
    pub error: DMatrix<f64>,
}

/// Called before each knob, all knobs as they were: knobs done, knobs in all. It may wait, or end the measurement.
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize) -> Result<()>;

/// Measures the orbit response: each knob half a step up, a whole step down, back.
///
/// All values are checked against their limits before the first is written. Every knob is back at
/// its value, bit for bit, when this returns, after an error too.
pub fn response(
    session: &Session,
    knobs: &[Knob],
    monitors: &[Arc<Device>],
    sampling: Sampling,
    progress: Progress,
) -> Result<Response> {
    let ends = ends(session, knobs)?;
    let all: Vec<Change> = ends.iter().flat_map(|(up, down)| [up.clone(), down.clone()]).collect();
    session.check_limits(&all)?;
    let rows = 2 * monitors.len();
    let mut matrix = DMatrix::zeros(rows, knobs.len());
    let mut error = DMatrix::zeros(rows, knobs.len());
    for (column, (knob, (up, down))) in knobs.iter().zip(&ends).enumerate() {
        progress(column, knobs.len())?;
        let savepoint = session.savepoint();
        let measured = both(session, up, down, monitors, sampling);
        let failed = format!("{} could not be put back after its measurement", knob.device.shown());
        let back = session.return_to(savepoint, &failed);
        let (above, below) = measured?;
        back?;
        let delta = knob.field.to_physics(up.value) - knob.field.to_physics(down.value);
        fill(&mut matrix, &mut error, column, &above, &below, delta, sampling.shots.max(1));
    }
    progress(knobs.len(), knobs.len())?;
    Ok(Response { matrix, error })
}

/// The orbits with a knob at its upper and at its lower value.
fn both(
    session: &Session,
    up: &Change,
    down: &Change,
    monitors: &[Arc<Device>],
    sampling: Sampling,
) -> Result<(Orbit, Orbit)> {
    session.write(std::slice::from_ref(up))?;
    let above = orbit(session, monitors, sampling)?;
    session.write(std::slice::from_ref(down))?;
    Ok((above, orbit(session, monitors, sampling)?))
}

/// The upper and lower setpoint of each knob.
fn ends(session: &Session, knobs: &[Knob]) -> Result<Vec<(Change, Change)>> {
    let setpoints = knobs
        .iter()
        .map(|knob| {
            knob.field.setpoint.clone().ok_or_else(|| {
                let name = format!("{}.{}", knob.device.shown(), knob.field.name);
                Box::new(Diagnostic::new(Kind::Script, format!("{name} cannot be set")))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let present = session.setpoints(&setpoints)?;
    let end = |knob: &Knob, at: usize, half: f64| {
        let physics = knob.field.to_physics(present[at]) + half * knob.delta;
        Change { setpoint: setpoints[at].clone(), value: knob.field.to_channel(physics) }
    };
    Ok(knobs.iter().enumerate().map(|(at, knob)| (end(knob, at, 0.5), end(knob, at, -0.5))).collect())
}

fn fill(
    matrix: &mut DMatrix<f64>,
    error: &mut DMatrix<f64>,
    column: usize,
    above: &Orbit,
    below: &Orbit,
    delta: f64,
    shots: usize,
) {
    let count = above.x.len();
    for row in 0..count {
        matrix[(row, column)] = (above.x[row] - below.x[row]) / delta;
        matrix[(row + count, column)] = (above.y[row] - below.y[row]) / delta;
        let spread = |a: f64, b: f64| a.hypot(b) / (shots as f64).sqrt() / delta.abs();
        error[(row, column)] = spread(above.deviation_x[row], below.deviation_x[row]);
        error[(row + count, column)] = spread(above.deviation_y[row], below.deviation_y[row]);
    }
}
