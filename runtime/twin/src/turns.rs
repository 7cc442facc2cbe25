//! Turn by turn: kickers fire once, and every monitor keeps the position of the beam in each turn after it.

use crate::beam::Found;
use crate::channels::{Channels, Knob};
use crate::draw::noise_of_turns;
use crate::present::Present;
use fodo_control::Time;
use fodo_devices::Quantities;
use fodo_dynamics::{Shape, distribution};
use fodo_optics::constants::SPEED_OF_LIGHT;
use fodo_optics::{Effects, Orbit, Point, Ring};
use rayon::prelude::*;
use std::sync::Arc;

/// What `[turns]` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnsTable {
    /// Particles that the beam is made of: one has no size and does not decohere.
    pub particles: usize,
}

impl Default for TurnsTable {
    fn default() -> Self {
        TurnsTable { particles: 1 }
    }
}

/// Positions of one acquisition.
#[derive(Clone, Debug)]
pub(crate) struct Acquired {
    /// When the last turn was over.
    pub ready: Time,
    /// By monitor and plane: a number for each turn [m].
    rows: Vec<[Arc<[f64]>; 2]>,
    /// Part of the beam that is left at the end [1].
    pub left: f64,
}

impl Acquired {
    pub fn row(&self, monitor: usize, plane: usize) -> Arc<[f64]> {
        self.rows[monitor][plane].clone()
    }
}

/// Kicks of one passage: element, horizontal and vertical [rad].
pub(crate) type Kicks = Vec<(usize, [f64; 2])>;

/// What the kickers that are armed do.
pub(crate) fn kicks(knobs: &[Knob], physics: impl Fn(usize) -> f64) -> Kicks {
    let kick = |(at, knob): (usize, &Knob)| {
        let plane = match knob.quantity? {
            Quantities::KickerX => 0,
            Quantities::KickerY => 1,
            _ => return None,
        };
        let element = *knob.device.elements.first()?;
        let mut kick = [0.0; 2];
        kick[plane] = physics(at);
        (kick[plane] != 0.0).then_some((element, kick))
    };
    knobs.iter().enumerate().filter_map(kick).collect()
}

/// What is needed to take turns.
pub(crate) struct Shoot<'s> {
    pub ring: &'s Ring,
    pub orbit: &'s Orbit,
    pub channels: &'s Channels,
    pub present: &'s Present,
    pub table: TurnsTable,
    pub turns: usize,
    /// For the noise and the particles: the seed, and how often was fired before.
    pub seed: (u64, u64),
    pub now: Time,
    /// The stored current [A].
    pub current: f64,
}

impl Shoot<'_> {
    /// Tracks the beam over all turns; the kicks act in the first one.
    ///
    /// # Errors
    /// Why there is no beam of this many particles.
    pub fn fire(&self, kicks: &Kicks) -> Found<Acquired> {
        let mut particles = self.particles()?;
        let count = particles.len() as f64;
        let mut kicked = self.ring.clone();
        for &(element, [x, y]) in kicks {
            kicked.change(element, |element| {
                element.kick[0] += x;
                element.kick[1] += y;
            });
        }
        let places = self.places();
        let sums = particles
            .par_chunks_mut(Ring::particles_side_by_side())
            .map(|block| self.track(&kicked, block, &places))
            .collect::<Vec<Sums>>();
        let length = self.turns as f64 * self.ring.length() / SPEED_OF_LIGHT;
        let left = particles.iter().filter(|particle| particle[0].is_finite()).count() as f64 / count;
        Ok(Acquired { ready: Time(self.now.0 + (length * 1e9) as i64), rows: self.rows(&places, &sums, count), left })
    }

    fn particles(&self) -> Found<Vec<Point<f64>>> {
        if self.table.particles == 1 {
            return Ok(vec![self.orbit.start()]);
        }
        let beam = self.ring.with_effects(Effects::ALL).find_equilibrium().map_err(|e| e.to_string())?;
        let (seed, fired) = self.seed;
        let seed = seed ^ fired.rotate_left(32);
        distribution(self.table.particles, &self.orbit.start(), &beam.beam_matrix, Shape::Gaussian, seed)
            .map_err(|e| e.to_string())
    }

    /// Elements at which monitors read, in the order of the beam.
    fn places(&self) -> Vec<usize> {
        let mut places: Vec<usize> = self.channels.monitors.iter().map(|monitor| monitor.element).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Sums over particles that are left, at each place in each turn.
    fn track(&self, kicked: &Ring, block: &mut [Point<f64>], places: &[usize]) -> Sums {
        let mut sums = Sums::with_capacity(self.turns * places.len());
        for turn in 0..self.turns {
            let ring = if turn == 0 { kicked } else { self.ring };
            let mut at = 0;
            for &place in places {
                ring.track_section(block, at..place, turn as u64);
                at = place;
                let there = block.iter().filter(|particle| particle[0].is_finite());
                sums.push(there.fold([0.0; 3], |[n, x, y], particle| [n + 1.0, x + particle[0], y + particle[2]]));
            }
            ring.track_section(block, at..ring.len(), turn as u64);
        }
        sums
    }

    /// What monitors read of the mean position in each turn.
    fn rows(&self, places: &[usize], sums: &[Sums], count: f64) -> Vec<[Arc<[f64]>; 2]> {
        let (seed, fired) = self.seed;
        let row = |(monitor, eye): (usize, &crate::present::Eye)| {
            let noise = noise_of_turns(seed, fired, monitor, 2 * self.turns);
            let element = self.channels.monitors[eye.wired_to].element;
            let place = places.binary_search(&element).unwrap_or(0);
            let read = |turn: usize| {
                let [n, x, y] = sums.iter().fold([0.0; 3], |[n, x, y], sums| {
                    let [more, u, v] = sums[turn * places.len() + place];
                    [n + more, x + u, y + v]
                });
                if eye.dead || n == 0.0 || n / count * self.current < eye.truth.threshold {
                    return [f64::NAN; 2];
                }
                let read = eye.truth.reads([x / n, y / n]);
                let noisy = |plane: usize| read[plane] + eye.truth.noise_turns * noise[2 * turn + plane];
                if eye.truth.noise_turns == 0.0 { read } else { [noisy(0), noisy(1)] }
            };
            let all: Vec<[f64; 2]> = (0..self.turns).map(read).collect();
            [0, 1].map(|plane| all.iter().map(|both| both[plane]).collect::<Arc<[f64]>>())
        };
        self.present.monitors.iter().enumerate().map(row).collect()
    }
}

/// Number of particles, and sums of x and y, for each place in each turn.
type Sums = Vec<[f64; 3]>;
