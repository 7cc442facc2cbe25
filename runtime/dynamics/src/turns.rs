//! Particles turn by turn, and their coordinates in a basis in which linear motion is a circle.

use fodo_optics::{Loss, NoOptics, Point, Ring};
use nalgebra::Complex;
use rayon::prelude::*;

/// The coordinates of a particle at the start of each turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// One point for each turn, until the particle was lost.
    pub points: Vec<Point<f64>>,
    /// Where it was lost.
    pub loss: Option<Loss>,
}

/// Tracks particles for some turns, in place, and keeps their coordinates at the start of every turn.
pub fn turn_by_turn(ring: &Ring, particles: &mut [Point<f64>], turns: usize, first_turn: u64) -> Vec<Track> {
    particles
        .par_chunks_mut(Ring::particles_side_by_side())
        .flat_map_iter(|block| record(ring, block, turns, first_turn))
        .collect()
}

fn record(ring: &Ring, block: &mut [Point<f64>], turns: usize, first_turn: u64) -> Vec<Track> {
    let mut tracks: Vec<Track> =
        block.iter().map(|_| Track { points: Vec::with_capacity(turns), loss: None }).collect();
    for turn in 0..turns as u64 {
        for (track, particle) in tracks.iter_mut().zip(block.iter()) {
            if !particle[0].is_nan() {
                track.points.push(*particle);
            }
        }
        for (track, loss) in tracks.iter_mut().zip(ring.track(block, 1, first_turn + turn)) {
            track.loss = track.loss.or(loss);
        }
        if block.iter().all(|particle| particle[0].is_nan()) {
            break;
        }
    }
    tracks
}

/// Closed orbit and Twiss functions at the start of a ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal {
    /// The closed orbit.
    pub orbit: Point<f64>,
    /// Beta functions, x and y [m].
    pub beta: [f64; 2],
    /// Alpha functions, x and y [1].
    pub alpha: [f64; 2],
}

impl Normal {
    /// The basis at the start of a ring, at its delta, without cavities and radiation.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn new(ring: &Ring) -> Result<Self, NoOptics> {
        let optics = ring.optics()?;
        Ok(Self {
            orbit: optics.orbit[0],
            beta: [optics.beta_x[0], optics.beta_y[0]],
            alpha: [optics.alpha_x[0], optics.alpha_y[0]],
        })
    }

    /// x - i p of one plane (0 or 1) in normalised coordinates [sqrt(m)]: linear motion is a phasor of the length
    /// sqrt(2 J) that turns with the tune, forwards.
    #[must_use]
    pub fn signal(&self, points: &[Point<f64>], plane: usize) -> Vec<Complex<f64>> {
        let (beta, alpha) = (self.beta[plane], self.alpha[plane]);
        let scale = 1.0 / beta.sqrt();
        let value = |point: &Point<f64>| {
            let (q, p) = (point[2 * plane] - self.orbit[2 * plane], point[2 * plane + 1] - self.orbit[2 * plane + 1]);
            Complex::new(q * scale, -(alpha * q + beta * p) * scale)
        };
        points.iter().map(value).collect()
    }
}
