//! The parameters: their values by kind, and their places in one long vector.

use std::ops::Range;

use fodo_optics::Plane;

use crate::setup::Setup;

/// One number for each parameter: values, or errors (NaN where it was not fitted).
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Gains of monitors [1]: x of each, then y.
    pub monitor_gain: Vec<f64>,
    /// What the other plane adds in a monitor [1]: to x of each, then to y.
    pub monitor_coupling: Vec<f64>,
    /// Gains of correctors [1].
    pub corrector_gain: Vec<f64>,
    /// What correctors kick in the other plane, over what they kick in their own [1].
    pub corrector_coupling: Vec<f64>,
    /// Change of delta for one unit of each corrector [1 per unit].
    pub energy_shift: Vec<f64>,
    /// Factor on the step of the dispersion column [1]: one entry.
    pub dispersion_step: Vec<f64>,
    /// Change of each group from the start, in its own unit.
    pub groups: Vec<f64>,
}

/// A parameter of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Gain of a monitor in a plane.
    MonitorGain(Plane, usize),
    /// What the other plane adds in this plane of a monitor.
    MonitorCoupling(Plane, usize),
    /// Gain of a corrector.
    CorrectorGain(usize),
    /// What a corrector kicks in the other plane.
    CorrectorCoupling(usize),
    /// Change of delta that goes with a corrector.
    EnergyShift(usize),
    /// Factor on the step of the dispersion column.
    DispersionStep,
    /// A group of strengths.
    Group(usize),
}

/// Kinds of parameters, in the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    MonitorGain,
    MonitorCoupling,
    CorrectorGain,
    CorrectorCoupling,
    EnergyShift,
    DispersionStep,
    Groups,
}

const BLOCKS: [Block; 7] = [
    Block::MonitorGain,
    Block::MonitorCoupling,
    Block::CorrectorGain,
    Block::CorrectorCoupling,
    Block::EnergyShift,
    Block::DispersionStep,
    Block::Groups,
];

/// Where the parameters that are fitted stand; those of monitors and correctors first.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    starts: [usize; 8],
    monitors: usize,
}

impl Layout {
    pub fn new(setup: &Setup, has_dispersion: bool) -> Self {
        let (rows, columns, blocks) = (2 * setup.monitors.len(), setup.columns.len(), setup.blocks);
        let sizes = [
            (blocks.monitor_gain, rows),
            (blocks.monitor_coupling, rows),
            (blocks.corrector_gain, columns),
            (blocks.corrector_coupling, columns),
            (blocks.energy_shift, columns),
            (blocks.dispersion_step && has_dispersion, 1),
            (true, setup.groups.len()),
        ];
        let mut starts = [0; 8];
        for (block, (fitted, size)) in sizes.into_iter().enumerate() {
            starts[block + 1] = starts[block] + if fitted { size } else { 0 };
        }
        Self { starts, monitors: rows / 2 }
    }

    pub fn count(&self) -> usize {
        self.starts[7]
    }

    pub fn range(&self, block: Block) -> Range<usize> {
        self.starts[block as usize]..self.starts[block as usize + 1]
    }

    /// Where a block starts, if it is fitted.
    pub fn start(&self, block: Block) -> Option<usize> {
        let range = self.range(block);
        (!range.is_empty()).then_some(range.start)
    }

    pub fn parameter(&self, place: usize) -> Parameter {
        let block = BLOCKS.into_iter().find(|&block| self.range(block).contains(&place)).unwrap_or(Block::Groups);
        let at = place - self.range(block).start;
        let in_y = at >= self.monitors;
        let plane = if in_y { Plane::Y } else { Plane::X };
        let monitor = if in_y { at.saturating_sub(self.monitors) } else { at };
        match block {
            Block::MonitorGain => Parameter::MonitorGain(plane, monitor),
            Block::MonitorCoupling => Parameter::MonitorCoupling(plane, monitor),
            Block::CorrectorGain => Parameter::CorrectorGain(at),
            Block::CorrectorCoupling => Parameter::CorrectorCoupling(at),
            Block::EnergyShift => Parameter::EnergyShift(at),
            Block::DispersionStep => Parameter::DispersionStep,
            Block::Groups => Parameter::Group(at),
        }
    }
}

impl Values {
    /// Perfect monitors and correctors, and the lattice as it is.
    #[must_use]
    pub fn perfect(setup: &Setup) -> Self {
        let (rows, columns) = (2 * setup.monitors.len(), setup.columns.len());
        Self {
            monitor_gain: vec![1.0; rows],
            monitor_coupling: vec![0.0; rows],
            corrector_gain: vec![1.0; columns],
            corrector_coupling: vec![0.0; columns],
            energy_shift: vec![0.0; columns],
            dispersion_step: vec![1.0],
            groups: vec![0.0; setup.groups.len()],
        }
    }

    fn blocks_mut(&mut self) -> [&mut Vec<f64>; 7] {
        [
            &mut self.monitor_gain,
            &mut self.monitor_coupling,
            &mut self.corrector_gain,
            &mut self.corrector_coupling,
            &mut self.energy_shift,
            &mut self.dispersion_step,
            &mut self.groups,
        ]
    }

    /// Adds a part of a step of the parameters that are fitted.
    pub(crate) fn step(&mut self, layout: &Layout, step: &[f64], part: f64) {
        for (block, values) in BLOCKS.into_iter().zip(self.blocks_mut()) {
            values.iter_mut().zip(&step[layout.range(block)]).for_each(|(value, by)| *value += part * by);
        }
    }

    /// These errors by kind; NaN for what is not fitted.
    pub(crate) fn errors(setup: &Setup, layout: &Layout, errors: &[f64]) -> Self {
        let mut values = Self::perfect(setup);
        for (block, values) in BLOCKS.into_iter().zip(values.blocks_mut()) {
            let range = layout.range(block);
            values.fill(f64::NAN);
            values[..range.len()].copy_from_slice(&errors[range]);
        }
        values
    }
}
