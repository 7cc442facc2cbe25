//! Frequency maps: tunes over amplitudes, and how much they drift.

use std::fmt;

use fodo_optics::{Loss, NoClosedOrbit, NoOptics, Point, Ring};
use rayon::prelude::*;

use crate::dynamic_aperture::start_orbit;
use crate::frequency::{Analyser, FrequencyOptions, NoFrequency};
use crate::survival::NoAperture;
use crate::turns::{Normal, Track, turn_by_turn};

/// What the two axes of a frequency map are.
#[derive(Clone, Debug, PartialEq)]
pub enum Grid {
    /// x and y of the starts, from the closed orbit [m].
    Transverse {
        /// Horizontal amplitudes [m].
        x: Vec<f64>,
        /// Vertical amplitudes [m].
        y: Vec<f64>,
    },
    /// x and delta of the starts; every delta has its own closed orbit (with cavities: is added to it).
    OffMomentum {
        /// Horizontal amplitudes [m].
        x: Vec<f64>,
        /// Momentum deviations [1].
        delta: Vec<f64>,
    },
}

/// How a frequency map is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrequencyMapOptions {
    /// Turns of each of the two windows that follow one another [1].
    pub window: usize,
    /// Order of the window of the frequency analysis [1].
    pub window_order: u32,
    /// Added to x and y of every start, so that both planes have a signal [m].
    pub shift: f64,
}

impl Default for FrequencyMapOptions {
    fn default() -> Self {
        Self { window: 512, window_order: 1, shift: 1e-6 }
    }
}

/// One point of a frequency map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapPoint {
    /// Where it started: x [m] and y [m] or delta [1].
    pub start: [f64; 2],
    /// What became of it.
    pub motion: Motion,
}

/// What became of a particle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Motion {
    /// It survived both windows.
    Survives {
        /// Fractional tunes in the first window, x and y [1].
        tunes: [f64; 2],
        /// Tunes of the second window minus those of the first [1].
        drift: [f64; 2],
    },
    /// It was lost.
    Lost(Loss),
    /// It survived, but one of its signals has no line.
    Silent,
}

impl Motion {
    /// Diffusion rate log10 of the length of the drift of the tunes [1], not below -16; `None` unless it survives.
    #[must_use]
    pub fn diffusion(&self) -> Option<f64> {
        match self {
            Self::Survives { drift: [x, y], .. } => Some(x.hypot(*y).max(1e-16).log10()),
            _ => None,
        }
    }
}

/// Why there is no frequency map.
#[derive(Clone, Debug, PartialEq)]
pub enum NoFrequencyMap {
    /// There is no closed orbit at this delta.
    NoClosedOrbit(f64, NoClosedOrbit),
    /// There are no optical functions.
    NoOptics(NoOptics),
    /// The windows are no good.
    NoFrequency(NoFrequency),
}

impl fmt::Display for NoFrequencyMap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClosedOrbit(delta, reason) => write!(out, "no frequency map at delta = {delta}: {reason}"),
            Self::NoOptics(reason) => write!(out, "no frequency map: {reason}"),
            Self::NoFrequency(reason) => write!(out, "no frequency map: {reason}"),
        }
    }
}

impl std::error::Error for NoFrequencyMap {}

/// Tunes of two windows for a grid of starts, the first axis fastest.
///
/// # Errors
/// No optics, no closed orbit at one of the momentum deviations, or a window that is too short.
pub fn frequency_map(ring: &Ring, grid: &Grid, options: &FrequencyMapOptions) -> Result<Vec<MapPoint>, NoFrequencyMap> {
    let kind = FrequencyOptions { window_order: options.window_order, ..FrequencyOptions::default() };
    let analyser = Analyser::new(options.window, &kind).map_err(NoFrequencyMap::NoFrequency)?;
    let normal = Normal::new(ring).map_err(NoFrequencyMap::NoOptics)?;
    let mut starts = vec![];
    match grid {
        Grid::Transverse { x, y } => {
            let orbit = orbit_at(ring, ring.delta())?;
            let pairs = y.iter().flat_map(|&y| x.iter().map(move |&x| [x, y]));
            starts.extend(pairs.map(|pair| (pair, orbit, pair)));
        }
        Grid::OffMomentum { x, delta } => {
            for &delta in delta {
                let orbit = orbit_at(ring, delta)?;
                starts.extend(x.iter().map(|&x| ([x, delta], orbit, [x, 0.0])));
            }
        }
    }
    let mut particles: Vec<Point<f64>> = starts
        .iter()
        .map(|(_, orbit, [x, y])| {
            let mut particle = *orbit;
            (particle[0], particle[2]) = (orbit[0] + x + options.shift, orbit[2] + y + options.shift);
            particle
        })
        .collect();
    let tracks = turn_by_turn(ring, &mut particles, 2 * options.window, 0);
    let followed = starts.par_iter().zip(&tracks).map(|((start, orbit, _), track)| MapPoint {
        start: *start,
        motion: motion(track, &Normal { orbit: *orbit, ..normal }, &mut analyser.clone()),
    });
    Ok(followed.collect())
}

fn orbit_at(ring: &Ring, delta: f64) -> Result<Point<f64>, NoFrequencyMap> {
    match start_orbit(ring, delta) {
        Ok(orbit) => Ok(orbit),
        Err(NoAperture::NoClosedOrbit(reason)) => Err(NoFrequencyMap::NoClosedOrbit(delta, reason)),
        Err(_) => Err(NoFrequencyMap::NoClosedOrbit(delta, NoClosedOrbit::Resonance)),
    }
}

fn motion(track: &Track, normal: &Normal, analyser: &mut Analyser) -> Motion {
    if let Some(loss) = track.loss {
        return Motion::Lost(loss);
    }
    let (early, late) = track.points.split_at(track.points.len() / 2);
    let mut tune = |points: &[Point<f64>], plane: usize| {
        let mut signal = normal.signal(points, plane);
        // what is left of the closed orbit is no oscillation
        let mean = signal.iter().sum::<nalgebra::Complex<f64>>() / signal.len() as f64;
        signal.iter_mut().for_each(|value| *value -= mean);
        analyser.lines(&signal).ok().map(|lines| lines[0].frequency)
    };
    let planes = [0, 1].map(|plane| Some((tune(early, plane)?, tune(late, plane)?)));
    let [Some(x), Some(y)] = planes else { return Motion::Silent };
    let drift = |(early, late): (f64, f64)| (late - early) - (late - early).round();
    Motion::Survives { tunes: [x.0.rem_euclid(1.0), y.0.rem_euclid(1.0)], drift: [drift(x), drift(y)] }
}
