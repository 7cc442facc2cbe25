//! Where particles are lost, and when.

use fodo_optics::{Loss, Point, Ring};
use rayon::prelude::*;

/// Particles tracked by one thread at a time.
const CHUNK: usize = 64;

/// A particle that was lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lost {
    /// Index of the particle.
    pub particle: usize,
    /// Turn, element and coordinates.
    pub loss: Loss,
    /// Path length from the start to the end of that element [m].
    pub position: f64,
}

/// Losses of a beam.
#[derive(Clone, Debug, PartialEq)]
pub struct LossMap {
    /// The lost particles, in the order of the particles.
    pub lost: Vec<Lost>,
    /// Particles lost in each element.
    pub per_element: Vec<u64>,
    /// Particles lost in each turn tracked, the first one first.
    pub per_turn: Vec<u64>,
    /// Particles that were there at the end.
    pub survivors: usize,
    /// Particles that were lost already at the start (NaN in x).
    pub absent: usize,
    /// Length of the ring [m].
    length: f64,
}

/// Tracks particles in place for some turns, the first of them `first_turn`, and says where they were lost.
///
/// Every particle goes its own way, so that the result does not depend on the number of threads.
pub fn loss_map(ring: &Ring, particles: &mut [Point<f64>], turns: u64, first_turn: u64) -> LossMap {
    let absent = particles.iter().filter(|particle| particle[0].is_nan()).count();
    let track = |some: &mut [Point<f64>]| ring.track(some, turns, first_turn);
    let losses: Vec<_> = particles.par_chunks_mut(CHUNK).flat_map_iter(track).collect();
    LossMap::of(ring, &losses, turns, first_turn, absent)
}

impl LossMap {
    /// Puts the losses of a tracking in order; `absent` particles were not there at its start.
    #[must_use]
    pub fn of(ring: &Ring, losses: &[Option<Loss>], turns: u64, first_turn: u64, absent: usize) -> Self {
        let positions = ring.positions();
        let mut map = Self {
            lost: vec![],
            per_element: vec![0; ring.len()],
            per_turn: vec![0; usize::try_from(turns).unwrap_or(0)],
            survivors: losses.len().saturating_sub(absent),
            absent,
            length: ring.length(),
        };
        for (particle, loss) in losses.iter().enumerate() {
            let Some(loss) = *loss else { continue };
            let position = positions.get(loss.element + 1).copied().unwrap_or(map.length);
            map.lost.push(Lost { particle, loss, position });
            let turn = loss.turn.checked_sub(first_turn).and_then(|turn| usize::try_from(turn).ok());
            if let Some(count) = map.per_element.get_mut(loss.element) {
                *count += 1;
            }
            if let Some(count) = turn.and_then(|turn| map.per_turn.get_mut(turn)) {
                *count += 1;
            }
        }
        map.survivors -= map.lost.len().min(map.survivors);
        map
    }

    /// Losses along the ring in `bins` bins of equal length; empty if there are none.
    #[must_use]
    pub fn along(&self, bins: usize) -> Vec<u64> {
        let mut counts = vec![0; bins];
        for lost in &self.lost {
            let bin = (lost.position / self.length * bins as f64) as usize;
            if let Some(count) = counts.get_mut(bin.min(bins.saturating_sub(1))) {
                *count += 1;
            }
        }
        counts
    }

    /// Survivors after each turn tracked.
    #[must_use]
    pub fn survivors_per_turn(&self) -> Vec<u64> {
        let mut left = (self.survivors + self.lost.len()) as u64;
        let after = |lost: &u64| {
            left -= (*lost).min(left);
            left
        };
        self.per_turn.iter().map(after).collect()
    }

    /// The share of the particles that were there which got lost [1]; 0 if there were none.
    #[must_use]
    pub fn lost_fraction(&self) -> f64 {
        let there = self.survivors + self.lost.len();
        if there == 0 { 0.0 } else { self.lost.len() as f64 / there as f64 }
    }
}
