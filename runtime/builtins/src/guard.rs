//! The predicted orbit: a change that the model says would take the beam too far is refused.

use crate::model::{LazyModel, parts};
use fodo_control::{Change, Channel, Guard};
use fodo_devices::{Facility, Field, Quantities};
use fodo_report::{Diagnostic, Kind, Result};
use nalgebra::{DMatrix, DVector};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Watches over the facility's orbit limit.
pub struct OrbitGuard {
    facility: Arc<Facility>,
    model: Arc<LazyModel>,
    limit: f64,
    /// Fields by the channel they are set by.
    fields: HashMap<Channel, Field>,
    response: OnceLock<Result<Steering>>,
    state: Mutex<State>,
}

/// What the model says about every corrector.
struct Steering {
    /// Column of a setpoint channel.
    columns: HashMap<Channel, usize>,
    /// Rows x then y of each monitor [m per physics unit].
    matrix: DMatrix<f64>,
    names: Vec<Arc<str>>,
}

#[derive(Default)]
struct State {
    /// The last orbit read at all monitors [m].
    orbit: Option<(Vec<f64>, Vec<f64>)>,
    /// Physics values when it was read, and now, of the setpoints moved since.
    moved: HashMap<Channel, (f64, f64)>,
}

impl OrbitGuard {
    /// A guard, if the facility states a limit.
    pub fn new(facility: &Arc<Facility>, model: &Arc<LazyModel>) -> Option<OrbitGuard> {
        let limit = facility.orbit.limit?;
        let devices = facility.families.iter().flat_map(|family| &family.devices);
        let settable =
            devices.flat_map(|d| &d.fields).filter_map(|f| Some((f.setpoint.as_ref()?.channel.clone(), f.clone())));
        let mut fields = HashMap::new();
        for (channel, field) in settable {
            // of devices on one supply the first
            fields.entry(channel).or_insert(field);
        }
        let (facility, model) = (facility.clone(), model.clone());
        Some(OrbitGuard { facility, model, limit, fields, response: OnceLock::new(), state: Mutex::default() })
    }

    /// An orbit was read at all monitors: predictions start from it.
    pub fn read(&self, x: &[f64], y: &[f64]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.orbit = Some((x.to_vec(), y.to_vec()));
        state.moved.clear();
    }

    fn steering(&self) -> Result<&Steering> {
        let made = self.response.get_or_init(|| self.compute());
        made.as_ref().map_err(Clone::clone)
    }

    fn compute(&self) -> Result<Steering> {
        let orbit = &self.facility.orbit;
        let monitors = self.facility.family(&orbit.monitors)?;
        let mut columns = HashMap::new();
        let mut knobs = Vec::new();
        for family in [Some(&orbit.horizontal), Some(&orbit.vertical), orbit.rf.as_ref()].into_iter().flatten() {
            for device in &self.facility.family(family)?.devices {
                let Some(field) = device.fields.first() else { continue };
                let (Some(setpoint), Some(model), false) = (&field.setpoint, field.model, device.elements.is_empty())
                else {
                    continue;
                };
                if matches!(model, Quantities::KickX | Quantities::KickY | Quantities::RfFrequency)
                    && !columns.contains_key(&setpoint.channel)
                {
                    columns.insert(setpoint.channel.clone(), knobs.len());
                    knobs.extend(parts(device, field, &self.facility.lattice));
                }
            }
        }
        let placed: Vec<_> = monitors.devices.iter().filter(|d| !d.elements.is_empty()).collect();
        let rows: Vec<usize> = placed.iter().map(|d| d.elements[0]).collect();
        let names = placed.iter().map(|d| d.name.clone()).collect();
        Ok(Steering { columns, matrix: self.model.get().orbit_response(&knobs, &rows)?, names })
    }

    /// Where setpoints come from and go to, since the last orbit was read.
    fn note(&self, moved: &mut HashMap<Channel, (f64, f64)>, changes: &[Change], present: &[f64]) {
        for (change, &old) in changes.iter().zip(present) {
            let to = self.physics(change, change.value);
            let entry = moved.entry(change.setpoint.channel.clone());
            entry.and_modify(|known| known.1 = to).or_insert_with(|| (self.physics(change, old), to));
        }
    }

    fn too_far(&self, monitor: &str, horizontal: bool, orbit: f64) -> Box<Diagnostic> {
        let plane = if horizontal { "x" } else { "y" };
        let (orbit, limit) = (orbit.abs() * 1e3, self.limit * 1e3);
        let message = format!(
            "the model predicts an orbit of {orbit:.2} mm in {plane} at {monitor}, beyond the limit of {limit:.2} mm; nothing was written"
        );
        Diagnostic::new(Kind::Limits, message)
            .hint("make a smaller change; the limit stands in facility.toml under [orbit]")
            .into()
    }

    /// Physics value of a setpoint's number on its channel.
    fn physics(&self, change: &Change, on_channel: f64) -> f64 {
        self.fields.get(&change.setpoint.channel).map_or(on_channel, |field| field.to_physics(on_channel))
    }
}

impl Guard for OrbitGuard {
    fn check(&self, changes: &[Change], present: &[f64]) -> Result<()> {
        let steering = self.steering()?;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moved = state.moved.clone();
        self.note(&mut moved, changes, present);
        let count = steering.names.len();
        let start: Vec<f64> = match &state.orbit {
            Some((x, y)) if x.len() == count => x.iter().chain(y).copied().collect(),
            _ => vec![0.0; 2 * count],
        };
        drop(state);
        let mut predicted = DVector::from_column_slice(&start);
        for (channel, (from, to)) in moved.iter().filter(|(_, (from, to))| from != to) {
            if let Some(&column) = steering.columns.get(channel) {
                predicted.axpy(to - from, &steering.matrix.column(column), 1.0);
            }
        }
        // an orbit that is beyond the limit already may be brought back
        let further = |&(place, to): &(usize, f64)| to.abs() > self.limit && to.abs() > start[place].abs();
        let beyond = predicted.iter().copied().enumerate().filter(further);
        match beyond.max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs())) {
            None => Ok(()),
            Some((place, orbit)) => Err(self.too_far(&steering.names[place % count], place < count, orbit)),
        }
    }

    fn moved(&self, changes: &[Change], present: &[f64]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moved = std::mem::take(&mut state.moved);
        self.note(&mut moved, changes, present);
        state.moved = moved;
    }
}
