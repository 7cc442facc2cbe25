//! Particles through a part of the machine.

use std::ops::Range;

use crate::maps::Point;
use crate::number::{Lanes, Number};
use crate::ring::{Loss, Ring};

/// Particles tracked side by side.
const WIDTH: usize = 4;

impl Ring {
    /// Takes particles once through the elements `section`, in place; losses as with [`Ring::track`].
    ///
    /// Whatever acts on all particles at once (wakes, feedback) has its place between two sections.
    pub fn track_section(&self, particles: &mut [Point<f64>], section: Range<usize>, turn: u64) -> Vec<Option<Loss>> {
        let mut losses = vec![None; particles.len()];
        let section = section.start.min(self.len())..section.end.min(self.len());
        for (some, losses) in particles.chunks_mut(WIDTH).zip(losses.chunks_mut(WIDTH)) {
            self.section_side_by_side(some, losses, section.clone(), turn);
        }
        losses
    }

    fn section_side_by_side(
        &self,
        particles: &mut [Point<f64>],
        losses: &mut [Option<Loss>],
        section: Range<usize>,
        turn: u64,
    ) {
        let mut z: Point<Lanes<WIDTH>> = [Lanes([0.0; WIDTH]); 6];
        let mut gone = [true; WIDTH];
        for (lane, particle) in particles.iter().enumerate().filter(|(_, particle)| !particle[0].is_nan()) {
            gone[lane] = false;
            put(&mut z, lane, particle);
        }
        for index in section {
            self.steps[index].apply(&mut z, turn as f64);
            for lane in 0..particles.len() {
                if !gone[lane] && is_lost_in(&z, lane) {
                    gone[lane] = true;
                    losses[lane] = Some(Loss { turn, element: index, at: z.map(|coordinate| coordinate.0[lane]) });
                    put(&mut z, lane, &[0.0; 6]);
                }
            }
        }
        for (lane, particle) in particles.iter_mut().enumerate() {
            if losses[lane].is_some() {
                *particle = [f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0];
            } else if !gone[lane] {
                *particle = z.map(|coordinate| coordinate.0[lane]);
            }
        }
    }
}

fn put(z: &mut Point<Lanes<WIDTH>>, lane: usize, particle: &Point<f64>) {
    for (coordinates, value) in z.iter_mut().zip(particle) {
        coordinates.set_lane(lane, *value);
    }
}

fn is_lost_in(z: &Point<Lanes<WIDTH>>, lane: usize) -> bool {
    let inside = z[..5].iter().all(|coordinate| coordinate.0[lane].abs() <= 1.0);
    !(inside && z[5].0[lane].is_finite())
}
