//! Particles through a part of the elements.

use std::ops::Range;

use crate::maps::Point;
use crate::ring::{Loss, Ring, is_lost};

impl Ring {
    /// Takes particles once through the elements `section`, in place, as part of turn `turn`.
    ///
    /// A lost particle ends as (NaN, 0, 0, 0, 0, 0); one that starts with a NaN in x stays as it is. Returns for each
    /// particle where it was lost. Indices beyond the last element are left out.
    pub fn track_section(&self, particles: &mut [Point<f64>], section: Range<usize>, turn: u64) -> Vec<Option<Loss>> {
        particles.iter_mut().map(|particle| self.through(particle, section.clone(), turn)).collect()
    }

    fn through(&self, particle: &mut Point<f64>, section: Range<usize>, turn: u64) -> Option<Loss> {
        if particle[0].is_nan() {
            return None;
        }
        for index in section.start.min(self.len())..section.end.min(self.len()) {
            self.steps[index].apply(particle, turn as f64);
            if is_lost(particle) {
                let loss = Loss { turn, element: index, at: *particle };
                *particle = [f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0];
                return Some(loss);
            }
        }
        None
    }
}
