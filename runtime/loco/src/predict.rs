//! What monitors and correctors make of the response of the lattice.

use std::ops::Range;

use fodo_optics::{Effects, NoDerivative, Plane, ResponseModel, Ring};

use crate::setup::{Data, Setup};
use crate::values::Values;

/// The correctors of the columns: each element once.
pub(crate) struct Slots {
    pub elements: Vec<usize>,
    /// For each column, the kicks: number of the element, plane, weight.
    kicks: Vec<Vec<(usize, Plane, f64)>>,
}

impl Slots {
    pub fn new(setup: &Setup) -> Self {
        let kicks = setup.columns.iter().flat_map(|column| &column.kicks);
        let mut elements: Vec<usize> = kicks.map(|kick| kick.element).collect();
        elements.sort_unstable();
        elements.dedup();
        let kicks = setup.columns.iter().map(|column| {
            let slot = |element: usize| elements.binary_search(&element).unwrap_or_default();
            column.kicks.iter().map(|kick| (slot(kick.element), kick.plane, kick.weight)).collect()
        });
        Self { kicks: kicks.collect(), elements }
    }
}

/// What the optics say of some monitors, or derivatives of it.
pub(crate) struct Moved<'t> {
    /// By kicks: a table of the optics.
    pub table: &'t [f64],
    /// By the RF frequency or by delta, as the dispersion column has it: (x, y) of each monitor.
    pub energy: Vec<[f64; 2]>,
    /// By delta; empty where no column shifts it.
    pub delta: Vec<[f64; 2]>,
}

/// How columns are put together from kicks, shifts of delta and the step of the dispersion.
pub(crate) struct Mix {
    /// Kicks of a row of a table that a column takes, each with its factor: the first of all columns, the second, ...
    passes: Vec<Vec<(usize, f64)>>,
    shifts: Vec<f64>,
    step: f64,
}

impl Mix {
    /// Kicks only; `factors` of a column on those in its own plane and on the same in the other one.
    pub fn kicks(slots: &Slots, factors: impl Fn(usize) -> [f64; 2]) -> Self {
        let correctors = slots.elements.len();
        let columns = slots.kicks.iter().enumerate().map(|(column, kicks)| {
            let [own, cross] = factors(column);
            let of_kick = |&(slot, plane, weight): &(usize, Plane, f64)| {
                let plane = plane as usize;
                let both = [(plane, own * weight), (1 - plane, cross * weight)];
                both.map(|(plane, factor)| (plane * correctors + slot, factor))
            };
            kicks.iter().flat_map(of_kick).filter(|(_, factor)| *factor != 0.0).collect::<Vec<_>>()
        });
        let columns: Vec<Vec<(usize, f64)>> = columns.collect();
        let count = columns.iter().map(Vec::len).max().unwrap_or(0);
        let pass = |pass: usize| columns.iter().map(|kicks| kicks.get(pass).copied().unwrap_or((0, 0.0))).collect();
        Self { passes: (0..count).map(pass).collect(), shifts: vec![], step: 0.0 }
    }

    /// With these values of the parameters.
    pub fn new(slots: &Slots, values: &Values, step: f64) -> Self {
        let gain = |column: usize| values.corrector_gain[column];
        let kicks = Self::kicks(slots, |column| [gain(column), gain(column) * values.corrector_coupling[column]]);
        Self { shifts: values.energy_shift.clone(), step: values.dispersion_step[0] * step, ..kicks }
    }

    /// A shift of each column by one, and nothing else.
    pub fn shifts(columns: usize) -> Self {
        Self { passes: vec![], shifts: vec![1.0; columns], step: 0.0 }
    }

    /// The step of the dispersion alone.
    pub fn step(step: f64) -> Self {
        Self { passes: vec![], shifts: vec![], step }
    }

    /// What the beam does at the monitors of a part: rows x of each, then y.
    pub fn beam(&self, part: &Part, moved: &Moved, beam: &mut [f64]) {
        let (count, rows) = (part.monitors.len(), part.rows());
        let width = moved.table.len() / rows.max(1);
        for (row, line) in beam.chunks_exact_mut(part.stride).enumerate() {
            let (monitor, plane) = (row % count, row / count);
            line.fill(0.0);
            let (columns, last) = line.split_at_mut(part.columns);
            let kicked = &moved.table[row * width..(row + 1) * width];
            for pass in &self.passes {
                columns.iter_mut().zip(pass).for_each(|(sum, (at, factor))| *sum += factor * kicked[*at]);
            }
            if let Some(delta) = moved.delta.get(monitor) {
                columns.iter_mut().zip(&self.shifts).for_each(|(sum, shift)| *sum += shift * delta[plane]);
            }
            last.iter_mut().for_each(|last| *last = self.step * moved.energy[monitor][plane]);
        }
    }
}

/// Which part of the data is looked at: some monitors, all columns.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub monitors: Vec<usize>,
    /// Of the whole response.
    all_monitors: usize,
    pub columns: usize,
    pub stride: usize,
}

impl Part {
    pub fn new(setup: &Setup, data: &Data, monitors: Vec<usize>) -> Self {
        Self { monitors, all_monitors: setup.monitors.len(), columns: setup.columns.len(), stride: data.stride }
    }

    pub fn rows(&self) -> usize {
        2 * self.monitors.len()
    }

    pub fn points(&self) -> usize {
        self.rows() * self.stride
    }

    /// The row of the whole response that one of this part is.
    pub fn whole_row(&self, row: usize) -> usize {
        let count = self.monitors.len();
        self.monitors[row % count] + if row < count { 0 } else { self.all_monitors }
    }

    /// The row of the same monitor in the other plane.
    pub fn other_row(&self, row: usize) -> usize {
        let count = self.monitors.len();
        if row < count { row + count } else { row - count }
    }

    /// The entries of a row.
    pub fn line(&self, row: usize) -> Range<usize> {
        row * self.stride..(row + 1) * self.stride
    }

    /// The entries of the whole data that belong to this part, in its order.
    pub fn entries(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rows())
            .flat_map(move |row| (0..self.stride).map(move |column| self.whole_row(row) * self.stride + column))
    }

    /// What monitors show of what the beam does, times weights.
    pub fn see(&self, values: &Values, beam: &[f64], weights: &[f64], seen: &mut [f64]) {
        for row in 0..self.rows() {
            let (own, cross) = (&beam[self.line(row)], &beam[self.line(self.other_row(row))]);
            let whole = self.whole_row(row);
            let (gain, coupling) = (values.monitor_gain[whole], values.monitor_coupling[whole]);
            let pairs = own.iter().zip(cross).zip(&weights[self.line(row)]);
            seen[self.line(row)].iter_mut().zip(pairs).for_each(|(seen, ((own, cross), weight))| {
                *seen = weight * (gain * own + coupling * cross);
            });
        }
    }
}

impl Setup {
    pub(crate) fn elements_of(&self, monitors: &[usize]) -> Vec<usize> {
        monitors.iter().map(|&monitor| self.monitors[monitor].element).collect()
    }

    /// Whether the orbit is wanted per delta, beside the step of the dispersion column.
    pub(crate) fn needs_delta(&self, values: &Values) -> bool {
        self.blocks.energy_shift || values.energy_shift.iter().any(|shift| *shift != 0.0)
    }

    /// The ring whose orbit moves with delta: without cavities.
    pub(crate) fn quiet(&self, ring: &Ring, values: &Values) -> Option<Ring> {
        (self.needs_delta(values) && self.line.is_none()).then(|| ring.with_effects(Effects::NONE))
    }

    /// The orbit per delta at the monitors of a model; empty where it is not needed.
    pub(crate) fn delta(&self, values: &Values, model: &ResponseModel, quiet: Option<&ResponseModel>) -> Vec<[f64; 2]> {
        match self.needs_delta(values) {
            true => quiet.unwrap_or(model).energy_response(),
            false => vec![],
        }
    }

    /// What is expected of all readings with these values.
    pub(crate) fn predicted(&self, data: &Data, values: &Values) -> Result<Vec<f64>, NoDerivative> {
        let ring = self.ring_with(values)?;
        let whole = Part::new(self, data, (0..self.monitors.len()).collect());
        let (slots, elements) = (Slots::new(self), self.elements_of(&whole.monitors));
        let model = self.response(&ring, &elements, &slots.elements)?;
        let quiet = self.quiet(&ring, values);
        let quiet = quiet.as_ref().map(|quiet| self.response(quiet, &elements, &[])).transpose()?;
        let response = model.response();
        let delta = self.delta(values, &model, quiet.as_ref());
        let moved = Moved { table: response.values(), energy: model.energy_response(), delta };
        let (mut beam, mut seen) = (vec![0.0; whole.points()], vec![0.0; whole.points()]);
        Mix::new(&slots, values, data.step).beam(&whole, &moved, &mut beam);
        whole.see(values, &beam, &vec![1.0; whole.points()], &mut seen);
        Ok(seen)
    }
}
