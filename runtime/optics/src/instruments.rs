//! Monitors that show and correctors that make something else than they should: gains, couplings, rolls.
//!
//! A table is that of [`OrbitResponse::values`](crate::OrbitResponse::values): orbit plane, monitor, kick plane,
//! corrector. What instruments make of a response they make of its derivatives too, since they act linearly.

use crate::loco::NoDerivative;
use crate::response::Plane;

/// What a monitor shows of the orbit (x, y), or a corrector makes of the kicks (x, y) asked of it: a 2x2 matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Factors on the own plane, horizontal and vertical [1].
    pub gain: [f64; 2],
    /// Factors on what the other plane adds, to the horizontal and to the vertical [1].
    pub coupling: [f64; 2],
}

impl Calibration {
    /// As it should be.
    pub const PERFECT: Self = Self { gain: [1.0; 2], coupling: [0.0; 2] };

    /// A monitor with these gains [1], rolled about the beam [rad], in the sense of
    /// [`Ring::set_misalignment`](crate::Ring::set_misalignment).
    #[must_use]
    pub fn of_monitor(gain: [f64; 2], roll: f64) -> Self {
        let (sine, cosine) = roll.sin_cos();
        Self { gain: gain.map(|gain| gain * cosine), coupling: [gain[0] * sine, -gain[1] * sine] }
    }

    /// A corrector with these gains [1], rolled about the beam [rad].
    #[must_use]
    pub fn of_corrector(gain: [f64; 2], roll: f64) -> Self {
        let (sine, cosine) = roll.sin_cos();
        Self { gain: gain.map(|gain| gain * cosine), coupling: [-gain[1] * sine, gain[0] * sine] }
    }

    fn matrix(&self) -> Block {
        [[self.gain[0], self.coupling[0]], [self.coupling[1], self.gain[1]]]
    }
}

/// A parameter of one monitor or corrector, counted as they were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentParameter {
    /// Gain of a monitor in this plane [1].
    MonitorGain(Plane, usize),
    /// What the other plane adds in this plane of a monitor [1].
    MonitorCoupling(Plane, usize),
    /// Roll of a monitor in addition to what it has [rad].
    MonitorRoll(usize),
    /// Gain of a corrector in this plane [1].
    CorrectorGain(Plane, usize),
    /// What kicks in the other plane add in this plane of a corrector [1].
    CorrectorCoupling(Plane, usize),
    /// Roll of a corrector in addition to what it has [rad].
    CorrectorRoll(usize),
}

/// All monitors and correctors of a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruments {
    /// In the order of the response.
    pub monitors: Vec<Calibration>,
    /// In the order of the response.
    pub correctors: Vec<Calibration>,
}

/// A 2x2 matrix by rows: x and y of one thing by x and y of another.
type Block = [[f64; 2]; 2];

/// What a roll does to the planes it has turned already.
const TURN: Block = [[0.0, 1.0], [-1.0, 0.0]];

fn product(a: Block, b: Block) -> Block {
    [0, 1].map(|row| [0, 1].map(|column| a[row][0] * b[0][column] + a[row][1] * b[1][column]))
}

/// The matrix with a single 1.
fn single(row: usize, column: usize) -> Block {
    let mut block = [[0.0; 2]; 2];
    block[row][column] = 1.0;
    block
}

impl Instruments {
    /// So many instruments, all as they should be.
    #[must_use]
    pub fn perfect(monitors: usize, correctors: usize) -> Self {
        Self { monitors: vec![Calibration::PERFECT; monitors], correctors: vec![Calibration::PERFECT; correctors] }
    }

    /// What is measured where the response, or a derivative of it, is `table`.
    ///
    /// # Errors
    /// A table has the wrong length.
    pub fn measured(&self, table: &[f64], measured: &mut [f64]) -> Result<(), NoDerivative> {
        self.check(table, measured)?;
        let correctors: Vec<Block> = self.correctors.iter().map(Calibration::matrix).collect();
        for (row, monitor) in self.monitors.iter().enumerate() {
            let monitor = monitor.matrix();
            for (column, corrector) in correctors.iter().enumerate() {
                let seen = product(monitor, product(self.block(table, row, column), *corrector));
                self.set_block(measured, row, column, seen);
            }
        }
        Ok(())
    }

    /// Derivative of what is measured of the response `table` with respect to a parameter.
    ///
    /// # Errors
    /// A table has the wrong length, or there is no such instrument.
    pub fn derivative(
        &self,
        table: &[f64],
        parameter: InstrumentParameter,
        derivative: &mut [f64],
    ) -> Result<(), NoDerivative> {
        use InstrumentParameter::{
            CorrectorCoupling, CorrectorGain, CorrectorRoll, MonitorCoupling, MonitorGain, MonitorRoll,
        };
        self.check(table, derivative)?;
        derivative.fill(0.0);
        let known = |calibrations: &[Calibration], number: usize| {
            calibrations.get(number).map(Calibration::matrix).ok_or(NoDerivative::NoElement(number))
        };
        match parameter {
            MonitorGain(plane, row) => self.of_monitor(table, row, single(plane as usize, plane as usize), derivative),
            MonitorCoupling(plane, row) => {
                self.of_monitor(table, row, single(plane as usize, 1 - plane as usize), derivative)
            }
            MonitorRoll(row) => self.of_monitor(table, row, product(known(&self.monitors, row)?, TURN), derivative),
            CorrectorGain(plane, column) => {
                self.of_corrector(table, column, single(plane as usize, plane as usize), derivative)
            }
            CorrectorCoupling(plane, column) => {
                self.of_corrector(table, column, single(plane as usize, 1 - plane as usize), derivative)
            }
            CorrectorRoll(column) => {
                let back = TURN.map(|row| row.map(|entry| -entry));
                self.of_corrector(table, column, product(back, known(&self.correctors, column)?), derivative)
            }
        }
    }

    fn of_monitor(&self, table: &[f64], row: usize, rate: Block, out: &mut [f64]) -> Result<(), NoDerivative> {
        self.monitors.get(row).ok_or(NoDerivative::NoElement(row))?;
        for (column, corrector) in self.correctors.iter().enumerate() {
            let seen = product(rate, product(self.block(table, row, column), corrector.matrix()));
            self.set_block(out, row, column, seen);
        }
        Ok(())
    }

    fn of_corrector(&self, table: &[f64], column: usize, rate: Block, out: &mut [f64]) -> Result<(), NoDerivative> {
        self.correctors.get(column).ok_or(NoDerivative::NoElement(column))?;
        for (row, monitor) in self.monitors.iter().enumerate() {
            let seen = product(monitor.matrix(), product(self.block(table, row, column), rate));
            self.set_block(out, row, column, seen);
        }
        Ok(())
    }

    fn check(&self, table: &[f64], other: &[f64]) -> Result<(), NoDerivative> {
        let wanted = 4 * self.monitors.len() * self.correctors.len();
        let wrong = [table.len(), other.len()].into_iter().find(|&length| length != wanted);
        wrong.map_or(Ok(()), |length| Err(NoDerivative::WrongLength(length, wanted)))
    }

    fn place(&self, orbit: usize, row: usize, kick: usize, column: usize) -> usize {
        ((orbit * self.monitors.len() + row) * 2 + kick) * self.correctors.len() + column
    }

    fn block(&self, table: &[f64], row: usize, column: usize) -> Block {
        [0, 1].map(|orbit| [0, 1].map(|kick| table[self.place(orbit, row, kick, column)]))
    }

    fn set_block(&self, table: &mut [f64], row: usize, column: usize, block: Block) {
        for (orbit, entries) in block.iter().enumerate() {
            for (kick, entry) in entries.iter().enumerate() {
                table[self.place(orbit, row, kick, column)] = *entry;
            }
        }
    }
}
