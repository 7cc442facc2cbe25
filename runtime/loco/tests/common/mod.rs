//! A machine to fit to: a lattice with errors, with monitors and correctors that are wrong, and noise.
//!
//! What is measured is made of [`Ring::orbit_response`] and [`Instruments`], not by the code that fits.
#![allow(dead_code)]

use std::path::PathBuf;

use fodo_lattice::{Class, Lattice};
use fodo_loco::{Blocks, Column, Dispersion, Group, Kick, Measured, Monitor, Setup, Turn, Values};
use fodo_optics::{Calibration, Effects, Instruments, Plane, Point, Ring};
use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub struct Draw(ChaCha8Rng);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn normal(&mut self, sigma: f64) -> f64 {
        let number: f64 = StandardNormal.sample(&mut self.0);
        sigma * number
    }
}

pub fn lattice(facility: &str) -> Lattice {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../facilities").join(facility).join("lattice.toml");
    Lattice::load(path).expect("a lattice")
}

/// A fit to all monitors and these correctors in both planes, of each quadrupole on its own: nothing else yet.
pub fn setup(lattice: &Lattice, effects: Effects, correctors: &[usize]) -> Setup {
    let monitors = lattice.indices_of(Class::Monitor).into_iter();
    let column = |plane: Plane| {
        let letter = if plane == Plane::X { 'H' } else { 'V' };
        correctors.iter().enumerate().map(move |(number, &element)| Column {
            name: format!("{letter}COR[{number}]"),
            kicks: vec![Kick { element, plane, weight: 1.0 }],
        })
    };
    Setup {
        ring: Ring::new(lattice, effects),
        line: None,
        monitors: monitors
            .enumerate()
            .map(|(number, element)| Monitor { name: format!("BPM[{number}]"), element })
            .collect(),
        columns: column(Plane::X).chain(column(Plane::Y)).collect(),
        groups: gradients(lattice),
        blocks: Blocks::GAINS,
    }
}

/// Relative changes of all quadrupoles.
pub fn gradients(lattice: &Lattice) -> Vec<Group> {
    let group = |index: usize| {
        let element = &lattice.elements[index];
        // of one that is off, the gradient itself
        let design = element.field().map(|field| field.upright(1)).filter(|k1| *k1 != 0.0).unwrap_or(1.0);
        Group { name: element.name.to_string(), members: vec![(Turn::Gradient(index), design)], width: Some(1e-2) }
    };
    lattice.indices_of(Class::Quadrupole).into_iter().map(group).collect()
}

/// A ring as a machine.
pub struct Machine {
    pub ring: Ring,
    pub line: Option<Point<f64>>,
    /// Noise of a response entry [m/rad], and of the orbit by the step of the dispersion [m].
    pub noise: [f64; 2],
    /// Step of the RF or of delta; 0 for no dispersion.
    pub step: f64,
}

impl Machine {
    /// The instruments in the terms of the optics crate: correctors of both planes on one element are two.
    fn instruments(setup: &Setup, values: &Values) -> Instruments {
        let count = setup.monitors.len();
        let monitor = |at: usize| Calibration {
            gain: [values.monitor_gain[at], values.monitor_gain[count + at]],
            coupling: [values.monitor_coupling[at], values.monitor_coupling[count + at]],
        };
        let corrector = |at: usize| {
            let (gain, coupling) =
                (values.corrector_gain[at], values.corrector_gain[at] * values.corrector_coupling[at]);
            // to the horizontal plane from vertical kicks, then to the vertical one
            Calibration { gain: [gain; 2], coupling: [coupling; 2] }
        };
        Instruments {
            monitors: (0..count).map(monitor).collect(),
            correctors: (0..setup.columns.len()).map(corrector).collect(),
        }
    }

    pub fn measure(&self, setup: &Setup, values: &Values, draw: &mut Draw) -> Measured {
        let monitors: Vec<usize> = setup.monitors.iter().map(|monitor| monitor.element).collect();
        let correctors: Vec<usize> = setup.columns.iter().map(|column| column.kicks[0].element).collect();
        let response = match &self.line {
            Some(start) => self.ring.trajectory_response(start, &monitors, &correctors).expect("a trajectory"),
            None => self.ring.orbit_response(&monitors, &correctors).expect("a closed orbit"),
        };
        let mut seen = vec![0.0; response.values().len()];
        let instruments = Self::instruments(setup, values);
        instruments.measured(response.values(), &mut seen).expect("the right length");
        let (rows, columns) = (2 * monitors.len(), correctors.len());
        let plane = |column: usize| setup.columns[column].kicks[0].plane as usize;
        let delta = self.shifted(setup, &monitors, values, &instruments);
        let entry = |row: usize, column: usize| {
            let kicked = seen[(2 * row + plane(column)) * columns + column];
            kicked + values.energy_shift[column] * delta[row]
        };
        let mut response = DMatrix::from_fn(rows, columns, entry);
        response.iter_mut().for_each(|entry| *entry += draw.normal(self.noise[0]));
        Measured {
            response,
            sigma: DMatrix::from_element(rows, columns, self.noise[0]),
            dispersion: (self.step != 0.0).then(|| self.dispersion(&monitors, values, &instruments, draw)),
        }
    }

    /// What monitors show of the orbit per delta.
    fn shifted(&self, setup: &Setup, monitors: &[usize], values: &Values, instruments: &Instruments) -> Vec<f64> {
        if values.energy_shift.iter().all(|shift| *shift == 0.0) {
            return vec![0.0; 2 * setup.monitors.len()];
        }
        let quiet = self.ring.with_effects(Effects::NONE);
        let dispersion = quiet.optics().expect("stable").dispersion;
        let orbit: Vec<[f64; 2]> = monitors.iter().map(|&at| [dispersion[at][0], dispersion[at][2]]).collect();
        shown(instruments, &orbit, 1.0)
    }

    fn dispersion(
        &self,
        monitors: &[usize],
        values: &Values,
        instruments: &Instruments,
        draw: &mut Draw,
    ) -> Dispersion {
        let known = match self.ring.effects().cavity {
            true => self.ring.frequency_response(monitors).expect("a closed orbit"),
            false => {
                let dispersion = self.ring.optics().expect("stable").dispersion;
                monitors.iter().map(|&at| [dispersion[at][0], dispersion[at][2]]).collect()
            }
        };
        let mut orbit = shown(instruments, &known, values.dispersion_step[0] * self.step);
        orbit.iter_mut().for_each(|at| *at += draw.normal(self.noise[1]));
        let sigma = vec![self.noise[1]; orbit.len()];
        Dispersion { orbit, sigma, step: self.step, weight: [1.0; 2] }
    }
}

/// What monitors show, x of each, then y.
fn shown(instruments: &Instruments, orbit: &[[f64; 2]], factor: f64) -> Vec<f64> {
    let of = |plane: usize| {
        instruments.monitors.iter().zip(orbit).map(move |(monitor, at)| {
            factor * (monitor.gain[plane] * at[plane] + monitor.coupling[plane] * at[1 - plane])
        })
    };
    of(0).chain(of(1)).collect()
}

/// Distances of fitted values from the truth in their errors: root mean square and largest, of those that were fitted.
pub fn pulls(found: &[f64], errors: &[f64], truth: &[f64]) -> [f64; 2] {
    let pulls = found.iter().zip(truth).zip(errors).map(|((found, truth), error)| (found - truth).abs() / error);
    let pulls: Vec<f64> = pulls.filter(|pull| pull.is_finite()).collect();
    assert!(!pulls.is_empty(), "nothing was fitted");
    let square = pulls.iter().map(|pull| pull * pull).sum::<f64>() / pulls.len() as f64;
    [square.sqrt(), pulls.iter().fold(0.0, |most, pull| f64::max(most, *pull))]
}
