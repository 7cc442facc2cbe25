//! Particles over many turns, with their losses.

use std::ops::Range;

use rayon::prelude::*;

use crate::features::{Kernel, on_kernel};
use crate::maps::{Action, Point};
use crate::number::{Lanes, Number, Over};
use crate::ring::{Loss, Ring};

impl Ring {
    /// Tracks particles for some turns, in place, the turns counted from `first_turn`.
    ///
    /// A lost particle ends as (NaN, 0, 0, 0, 0, 0); one that starts with a NaN in x stays as it is. Returns for each
    /// particle where it was lost. Memory grows with the particles, not with the turns.
    pub fn track(&self, particles: &mut [Point<f64>], turns: u64, first_turn: u64) -> Vec<Option<Loss>> {
        self.track_part(particles, 0..self.len(), first_turn..first_turn + turns)
    }

    /// Takes particles once through the elements `section`, in place; losses as with [`Ring::track`].
    ///
    /// Whatever acts on all particles at once (wakes, feedback) has its place between two sections.
    pub fn track_section(&self, particles: &mut [Point<f64>], section: Range<usize>, turn: u64) -> Vec<Option<Loss>> {
        let section = section.start.min(self.len())..section.end.min(self.len());
        self.track_part(particles, section, turn..turn + 1)
    }

    fn track_part(&self, particles: &mut [Point<f64>], section: Range<usize>, turns: Range<u64>) -> Vec<Option<Loss>> {
        let kernel = Kernel::best();
        let blocks = particles.chunks_mut(kernel.lanes());
        blocks.flat_map(|block| self.track_block(kernel, block, section.clone(), turns.clone())).collect()
    }

    /// The same on all threads of the present rayon pool: the same bits, whatever their number.
    pub fn track_parallel(&self, particles: &mut [Point<f64>], turns: u64, first_turn: u64) -> Vec<Option<Loss>> {
        let kernel = Kernel::best();
        let blocks = particles.par_chunks_mut(kernel.lanes());
        let turns = first_turn..first_turn + turns;
        blocks.flat_map_iter(|block| self.track_block(kernel, block, 0..self.len(), turns.clone())).collect()
    }

    /// How many particles are tracked side by side on this processor: fewer cost almost as much.
    #[must_use]
    pub fn particles_side_by_side() -> usize {
        Kernel::best().lanes()
    }

    fn track_block(
        &self,
        kernel: Kernel,
        block: &mut [Point<f64>],
        section: Range<usize>,
        turns: Range<u64>,
    ) -> Vec<Option<Loss>> {
        on_kernel(kernel, Turns { ring: self, particles: block, section, turns })
    }
}

/// What a kernel is asked to do; no more particles than its numbers have lanes.
pub(crate) struct Turns<'a> {
    ring: &'a Ring,
    pub particles: &'a mut [Point<f64>],
    section: Range<usize>,
    turns: Range<u64>,
}

/// Lanes of the numbers with which the elements act that few rings have many of.
const RARE: usize = 4;

impl Turns<'_> {
    /// Takes the particles side by side round the ring; compiled once for each kernel.
    #[inline(always)]
    pub(crate) fn run<N: Over<f64>>(self) -> Vec<Option<Loss>> {
        let mut pack = Pack::<N>::new(self.particles);
        for turn in self.turns {
            for index in self.section.clone() {
                let step = &self.ring.steps[index];
                if step.is_nothing() {
                    continue;
                }
                let before = step.enter(&mut pack.z);
                if !step.action.act_if_common(&mut pack.z, turn as f64) {
                    pack.act_rarely(&step.action);
                }
                step.leave(&mut pack.z, before);
                if !pack.surely_inside() {
                    pack.note_losses(turn, index);
                }
            }
            if pack.gone.iter().all(|gone| *gone) {
                break;
            }
        }
        pack.write_back(self.particles)
    }
}

/// Particles side by side; lanes without a particle count as gone.
struct Pack<N> {
    z: Point<N>,
    gone: Vec<bool>,
    losses: Vec<Option<Loss>>,
}

impl<N: Number> Pack<N> {
    #[inline(never)]
    fn new(particles: &[Point<f64>]) -> Self {
        let mut pack =
            Self { z: [N::constant(0.0); 6], gone: vec![true; N::LANES], losses: vec![None; particles.len()] };
        for (lane, particle) in particles.iter().enumerate() {
            pack.gone[lane] = particle[0].is_nan();
            if !pack.gone[lane] {
                pack.put(lane, particle);
            }
        }
        pack
    }

    fn put(&mut self, lane: usize, particle: &Point<f64>) {
        for (coordinates, value) in self.z.iter_mut().zip(particle) {
            coordinates.set_lane(lane, *value);
        }
    }

    fn get(&self, lane: usize) -> Point<f64> {
        std::array::from_fn(|row| self.z[row].lane(lane))
    }

    /// The elements that few rings have many of, compiled once for every processor.
    #[inline(never)]
    fn act_rarely(&mut self, action: &Action) {
        for first in (0..N::LANES).step_by(RARE) {
            let mut z: Point<Lanes<RARE>> = [Lanes([0.0; RARE]); 6];
            for (row, coordinate) in z.iter_mut().enumerate() {
                *coordinate = Lanes(std::array::from_fn(|lane| self.z[row].lane(first + lane)));
            }
            action.act_if_rare(&mut z);
            for (row, coordinate) in z.iter().enumerate() {
                (0..RARE).for_each(|lane| self.z[row].set_lane(first + lane, coordinate.0[lane]));
            }
        }
    }

    /// Whether all coordinates together are so small, and finite, that none can be beyond its limit.
    #[inline(always)]
    fn surely_inside(&self) -> bool {
        let [x, px, y, py, delta, ct] = self.z;
        let size = x.mul_add(x, px.mul_add(px, y.mul_add(y, py.mul_add(py, delta.mul_add(delta, ct * 0.0)))));
        let mut inside = true;
        for lane in 0..N::LANES {
            inside &= size.lane(lane) <= 1.0;
        }
        inside
    }

    #[cold]
    #[inline(never)]
    fn note_losses(&mut self, turn: u64, element: usize) {
        for lane in 0..N::LANES {
            let at = self.get(lane);
            let inside = at[..5].iter().all(|coordinate| coordinate.abs() <= 1.0) && at[5].is_finite();
            if !inside {
                self.lose(lane, Loss { turn, element, at });
            }
        }
    }

    fn lose(&mut self, lane: usize, loss: Loss) {
        if !self.gone[lane] {
            self.losses[lane] = Some(loss);
        }
        self.gone[lane] = true;
        self.put(lane, &[0.0; 6]);
    }

    #[inline(never)]
    fn write_back(self, particles: &mut [Point<f64>]) -> Vec<Option<Loss>> {
        for (lane, particle) in particles.iter_mut().enumerate() {
            if !self.gone[lane] {
                *particle = self.get(lane);
            } else if self.losses[lane].is_some() {
                *particle = [f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0];
            }
        }
        self.losses
    }
}
