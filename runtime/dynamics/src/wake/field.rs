//! Wakes at work: bunches pass, leave their wakes, and feel those that are there.

use fodo_optics::constants::SPEED_OF_LIGHT;
use fodo_optics::{Point, Ring};
use nalgebra::Complex;

use super::{NoWake, Wake, WakeFunction};
use crate::Bunch;

/// Wakes at a place, with all that bunches have left there.
///
/// A bunch is put on a grid of even steps in ct, each particle shared by its two neighbours on it; the voltages found
/// there are interpolated the same way. Tables are summed over all that passed within their length. What rings is
/// carried from charge to charge, so that it is remembered for ever.
#[derive(Clone, Debug)]
pub struct WakeField {
    slices: usize,
    /// Longitudinal, dipolar x and y, quadrupolar x and y.
    lanes: [Lane; 5],
}

/// The functions of one kind, and what is remembered for them.
#[derive(Clone, Debug, Default)]
struct Lane {
    tables: Vec<WakeFunction>,
    /// Longest delay of the tables [m].
    reach: f64,
    past: Vec<Passage>,
    ringing: Vec<Ringing>,
}

/// What a bunch left: sources [C] or [C m] along its grid.
#[derive(Clone, Debug)]
struct Passage {
    grid: Grid,
    sources: Vec<f64>,
}

/// A resonator: its function, and the sum over all sources up to a time.
#[derive(Clone, Debug)]
struct Ringing {
    amplitude: Complex<f64>,
    /// Per metre of delay.
    rate: Complex<f64>,
    state: Complex<f64>,
    last: Option<Moment>,
}

/// A time: turns, and metres after their start.
#[derive(Clone, Copy, Debug)]
struct Moment {
    turn: u64,
    late: f64,
}

/// Even steps along a bunch.
#[derive(Clone, Copy, Debug)]
struct Grid {
    start: Moment,
    step: f64,
    count: usize,
}

impl Moment {
    /// How much later this is than another moment [m].
    fn after(self, other: Self, ring_length: f64) -> f64 {
        (self.turn as f64 - other.turn as f64) * ring_length + (self.late - other.late)
    }
}

impl WakeField {
    /// Wakes at a place; bunches are cut into at least 2 slices.
    ///
    /// # Errors
    /// Fewer than two slices.
    pub fn new(wake: &Wake, slices: usize) -> Result<Self, NoWake> {
        if slices < 2 {
            return Err(NoWake::BadNumber("the number of slices", slices as f64));
        }
        let [dipolar_x, dipolar_y] = &wake.dipolar;
        let [quadrupolar_x, quadrupolar_y] = &wake.quadrupolar;
        let kinds = [&wake.longitudinal, dipolar_x, dipolar_y, quadrupolar_x, quadrupolar_y];
        Ok(Self { slices, lanes: kinds.map(|functions| Lane::new(functions)) })
    }

    /// Forgets all that has passed.
    pub fn clear(&mut self) {
        for lane in &mut self.lanes {
            lane.past.clear();
            lane.ringing.iter_mut().for_each(|mode| (mode.state, mode.last) = (Complex::ZERO, None));
        }
    }

    /// Lets bunches pass in a turn, in the order in which they come; each is kicked by those before it and by itself.
    ///
    /// Kicks are relative to the energy of the reference particle, whose velocity is taken as that of light.
    pub fn pass(&mut self, ring: &Ring, bunches: &mut [Bunch], turn: u64) {
        let mut order: Vec<usize> = (0..bunches.len()).collect();
        order.sort_by(|&a, &b| bunches[a].offset.total_cmp(&bunches[b].offset));
        for index in order {
            self.pass_bunch(ring, &mut bunches[index], turn);
        }
    }

    fn pass_bunch(&mut self, ring: &Ring, bunch: &mut Bunch, turn: u64) {
        let Some(grid) = Grid::over(bunch, turn, self.slices) else { return };
        let [charge, x, y] = grid.deposit(bunch);
        let sources = [&charge, &x, &y, &charge, &charge];
        let length = ring.length();
        let mut voltages: Vec<Vec<f64>> = vec![];
        for (lane, sources) in self.lanes.iter_mut().zip(sources) {
            voltages.push(lane.pass(grid, sources, length));
        }
        let per_volt = 1.0 / ring.energy();
        let offset = bunch.offset;
        for particle in bunch.particles.iter_mut().filter(|particle| !particle[0].is_nan()) {
            let (node, part) = grid.place(particle[5] + offset);
            let next = (node + 1).min(grid.count - 1);
            let volts = |lane: usize| voltages[lane][node] * (1.0 - part) + voltages[lane][next] * part;
            let [x, y] = [particle[0], particle[2]];
            particle[1] += (volts(1) + x * volts(3)) * per_volt;
            particle[3] += (volts(2) + y * volts(4)) * per_volt;
            particle[4] -= volts(0) * per_volt;
        }
    }
}

impl Lane {
    fn new(functions: &[WakeFunction]) -> Self {
        let mut lane = Self::default();
        for function in functions {
            match function {
                WakeFunction::Table { .. } => {
                    lane.reach = f64::max(lane.reach, function.reach() * SPEED_OF_LIGHT);
                    lane.tables.push(function.clone());
                }
                WakeFunction::Ringing { amplitude, rate } => lane.ringing.push(Ringing {
                    amplitude: *amplitude,
                    rate: rate / SPEED_OF_LIGHT,
                    state: Complex::ZERO,
                    last: None,
                }),
            }
        }
        lane
    }

    /// Voltages along a bunch from all that is there; what the bunch leaves is remembered.
    fn pass(&mut self, grid: Grid, sources: &[f64], ring_length: f64) -> Vec<f64> {
        let mut voltages = vec![0.0; grid.count];
        for mode in &mut self.ringing {
            mode.pass(grid, sources, ring_length, &mut voltages);
        }
        if self.tables.is_empty() {
            return voltages;
        }
        let reach = self.reach;
        self.past.retain(|passage| grid.start.after(passage.grid.end(), ring_length) <= reach);
        self.past.push(Passage { grid, sources: sources.to_vec() });
        for passage in &self.past {
            self.convolve(passage, grid, ring_length, &mut voltages);
        }
        voltages
    }

    fn convolve(&self, passage: &Passage, grid: Grid, ring_length: f64, voltages: &mut [f64]) {
        let apart = grid.start.after(passage.grid.start, ring_length);
        for (node, voltage) in voltages.iter_mut().enumerate() {
            for (source, charge) in passage.sources.iter().enumerate() {
                // a bunch on itself: the difference of the steps is exact, so that a node is 0 away from itself
                let delay = if grid.step == passage.grid.step {
                    apart + grid.step * (node as f64 - source as f64)
                } else {
                    apart + grid.step * node as f64 - passage.grid.step * source as f64
                };
                let each = |table: &WakeFunction| table.at(delay / SPEED_OF_LIGHT);
                *voltage += charge * self.tables.iter().map(each).sum::<f64>();
            }
        }
    }
}

impl Ringing {
    fn pass(&mut self, grid: Grid, sources: &[f64], ring_length: f64, voltages: &mut [f64]) {
        if let Some(last) = self.last {
            self.state *= (self.rate * grid.start.after(last, ring_length)).exp();
        }
        let step = (self.rate * grid.step).exp();
        for (node, (voltage, source)) in voltages.iter_mut().zip(sources).enumerate() {
            if node > 0 {
                self.state *= step;
            }
            // of its own voltage a charge feels half
            *voltage += (self.amplitude * (self.state + 0.5 * source)).re;
            self.state += source;
        }
        self.last = Some(grid.end());
    }
}

impl Grid {
    /// Over all particles of a bunch; `None` if none is left.
    fn over(bunch: &Bunch, turn: u64, slices: usize) -> Option<Self> {
        let alive = bunch.particles.iter().filter(|particle| !particle[0].is_nan());
        let (low, high) = alive.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), particle: &Point<f64>| {
            (low.min(particle[5]), high.max(particle[5]))
        });
        if !(low.is_finite() && high.is_finite()) {
            return None;
        }
        let start = Moment { turn, late: low + bunch.offset };
        let step = (high - low) / (slices - 1) as f64;
        Some(if step > 0.0 { Self { start, step, count: slices } } else { Self { start, step: 0.0, count: 1 } })
    }

    fn end(&self) -> Moment {
        Moment { late: self.start.late + self.step * (self.count - 1) as f64, ..self.start }
    }

    /// The node before a place [m] and the part of the step after it [1].
    fn place(&self, late: f64) -> (usize, f64) {
        if self.count == 1 {
            return (0, 0.0);
        }
        let at = ((late - self.start.late) / self.step).clamp(0.0, (self.count - 1) as f64);
        let node = (at as usize).min(self.count - 2);
        (node, at - node as f64)
    }

    /// Charge, and charge times x and y, at each node.
    fn deposit(&self, bunch: &Bunch) -> [Vec<f64>; 3] {
        let each = bunch.charge.abs() / bunch.particles.len() as f64;
        let mut sums = [0, 1, 2].map(|_| vec![0.0; self.count]);
        for particle in bunch.particles.iter().filter(|particle| !particle[0].is_nan()) {
            let (node, part) = self.place(particle[5] + bunch.offset);
            for (sum, weight) in sums.iter_mut().zip([each, each * particle[0], each * particle[2]]) {
                sum[node] += weight * (1.0 - part);
                if part > 0.0 {
                    sum[node + 1] += weight * part;
                }
            }
        }
        sums
    }
}
