//! Particles over many turns, with their losses.

use crate::maps::Point;
use crate::number::{Lanes, Number};
use crate::ring::{Loss, Ring};

/// Particles tracked side by side.
const WIDTH: usize = 4;

impl Ring {
    /// Tracks particles for some turns, in place, the turns counted from `first_turn`.
    ///
    /// A lost particle ends as (NaN, 0, 0, 0, 0, 0); one that starts with a NaN in x stays as it is. Returns for each
    /// particle where it was lost.
    pub fn track(&self, particles: &mut [Point<f64>], turns: u64, first_turn: u64) -> Vec<Option<Loss>> {
        let mut losses = Vec::with_capacity(particles.len());
        for some in particles.chunks_mut(WIDTH) {
            losses.extend(self.track_side_by_side(some, turns, first_turn));
        }
        losses
    }

    fn track_side_by_side(&self, particles: &mut [Point<f64>], turns: u64, first_turn: u64) -> Vec<Option<Loss>> {
        let mut pack = Pack::new(particles);
        for turn in first_turn..first_turn + turns {
            for (index, step) in self.steps.iter().enumerate() {
                step.apply(&mut pack.z, turn as f64);
                pack.note_losses(turn, index);
            }
            if pack.gone.iter().all(|gone| *gone) {
                break;
            }
        }
        pack.write_back(particles)
    }
}

/// Particles side by side; lanes without a particle count as gone.
struct Pack {
    z: Point<Lanes<WIDTH>>,
    gone: [bool; WIDTH],
    losses: [Option<Loss>; WIDTH],
}

impl Pack {
    fn new(particles: &[Point<f64>]) -> Self {
        let mut pack = Self { z: [Lanes([0.0; WIDTH]); 6], gone: [true; WIDTH], losses: [None; WIDTH] };
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

    #[inline(always)]
    fn note_losses(&mut self, turn: u64, element: usize) {
        let mut inside = [true; WIDTH];
        for coordinate in &self.z[..5] {
            for (inside, value) in inside.iter_mut().zip(coordinate.0) {
                *inside &= value.abs() <= 1.0;
            }
        }
        for (lane, inside) in inside.into_iter().enumerate() {
            if !(inside & self.z[5].0[lane].is_finite()) {
                self.lose(lane, turn, element);
            }
        }
    }

    #[cold]
    fn lose(&mut self, lane: usize, turn: u64, element: usize) {
        if !self.gone[lane] {
            self.losses[lane] = Some(Loss { turn, element, at: self.z.map(|coordinate| coordinate.0[lane]) });
        }
        self.gone[lane] = true;
        self.put(lane, &[0.0; 6]);
    }

    fn write_back(self, particles: &mut [Point<f64>]) -> Vec<Option<Loss>> {
        for (lane, particle) in particles.iter_mut().enumerate() {
            if !self.gone[lane] {
                *particle = self.z.map(|coordinate| coordinate.0[lane]);
            } else if self.losses[lane].is_some() {
                *particle = [f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0];
            }
        }
        self.losses[..particles.len()].to_vec()
    }
}
