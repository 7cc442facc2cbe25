//! Tune as a function of amplitude: from perturbation theory, and from tracking.

use std::f64::consts::TAU;
use std::fmt;

use fodo_optics::{Effects, NoOptics, Point, Ring};
use nalgebra::{Complex, DMatrix, DVector};

use crate::driving_terms::{DrivingTermOptions, coefficient, driving_terms};
use crate::frequency::{Analyser, FrequencyOptions, NoFrequency};
use crate::turns::{Normal, turn_by_turn};

/// Change of tune with action, for the whole ring; J is the action, 2 J the invariant gamma x² + 2 alpha x px + beta px².
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detuning {
    /// dQ_x/dJ_x [1/m].
    pub x_x: f64,
    /// dQ_x/dJ_y = dQ_y/dJ_x [1/m]; by tracking the mean of both.
    pub x_y: f64,
    /// dQ_y/dJ_y [1/m].
    pub y_y: f64,
}

/// Why there is no detuning.
#[derive(Clone, Debug, PartialEq)]
pub enum NoDetuning {
    /// There are no optical functions.
    NoOptics(NoOptics),
    /// The particle of this amplitude [m] was lost.
    Lost(f64),
    /// The motion has no tune.
    NoFrequency(NoFrequency),
    /// An option makes no sense; says which.
    Option(&'static str),
}

impl fmt::Display for NoDetuning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOptics(reason) => reason.fmt(out),
            Self::Lost(amplitude) => write!(out, "no detuning: the particle at {amplitude:.2e} m is lost"),
            Self::NoFrequency(reason) => write!(out, "no detuning: {reason}"),
            Self::Option(what) => write!(out, "no detuning: {what}"),
        }
    }
}

impl std::error::Error for NoDetuning {}

impl From<NoOptics> for NoDetuning {
    fn from(reason: NoOptics) -> Self {
        Self::NoOptics(reason)
    }
}

impl From<NoFrequency> for NoDetuning {
    fn from(reason: NoFrequency) -> Self {
        Self::NoFrequency(reason)
    }
}

/// Detuning from octupoles in first and sextupoles in second order, as the normal form of the driving terms.
///
/// # Errors
/// No closed orbit, or unstable motion.
pub fn detuning(ring: &Ring, options: &DrivingTermOptions) -> Result<Detuning, NoOptics> {
    let kept = driving_terms(ring, options)?.normal_form();
    let term = |powers| coefficient(&kept, &powers).re;
    // the terms are those of (2 J)², and dQ = (1/2 pi) dK/dJ
    Ok(Detuning {
        x_x: 8.0 * term([2, 2, 0, 0, 0]) / TAU,
        x_y: 4.0 * term([1, 1, 1, 1, 0]) / TAU,
        y_y: 8.0 * term([0, 0, 2, 2, 0]) / TAU,
    })
}

/// How detuning is measured by tracking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetuningOptions {
    /// Largest x and y at the start of the ring, from the closed orbit [m].
    pub amplitudes: [f64; 2],
    /// Amplitudes in each plane, evenly spread in action [1].
    pub points: usize,
    /// Turns [1].
    pub turns: usize,
}

impl Default for DetuningOptions {
    fn default() -> Self {
        Self { amplitudes: [1e-4, 1e-4], points: 5, turns: 1024 }
    }
}

/// Detuning from the tunes of tracked particles (NAFF with a window of second order), as the slope at amplitude 0 of a
/// parabola through tunes over actions.
///
/// # Errors
/// No optics, a lost particle, motion without a tune.
pub fn detuning_by_tracking(ring: &Ring, options: &DetuningOptions) -> Result<Detuning, NoDetuning> {
    if options.points < 3 || options.amplitudes.iter().any(|amplitude| !(amplitude.is_finite() && *amplitude > 0.0)) {
        return Err(NoDetuning::Option("it takes three points or more, and amplitudes above 0"));
    }
    let ring = ring.with_effects(Effects::NONE);
    let normal = Normal::new(&ring)?;
    let periods = f64::from(ring.periodicity().max(1));
    let [from_x, from_y] = [slopes(&ring, &normal, 0, options)?, slopes(&ring, &normal, 1, options)?];
    Ok(Detuning { x_x: periods * from_x[0], x_y: periods * 0.5 * (from_x[1] + from_y[0]), y_y: periods * from_y[1] })
}

/// dQ_x/dJ and dQ_y/dJ of the elements, for amplitudes in one plane. The other has a hundredth of them.
fn slopes(ring: &Ring, normal: &Normal, plane: usize, options: &DetuningOptions) -> Result<[f64; 2], NoDetuning> {
    let amplitude = |point: usize| ((point + 1) as f64 / options.points as f64).sqrt();
    let mut particles: Vec<Point<f64>> = (0..options.points)
        .map(|point| {
            let mut particle = normal.orbit;
            let [x, y] =
                [0, 1].map(|other| options.amplitudes[other] * if other == plane { amplitude(point) } else { 0.01 });
            (particle[0], particle[2]) = (particle[0] + x, particle[2] + y);
            particle
        })
        .collect();
    let motion = turn_by_turn(ring, &mut particles, options.turns, 0);
    let kind = FrequencyOptions { window_order: 2, ..FrequencyOptions::default() };
    let mut analyser = Analyser::new(options.turns, &kind)?;
    let (mut actions, mut tunes) = (vec![], vec![]);
    for (point, track) in motion.iter().enumerate() {
        if track.loss.is_some() {
            return Err(NoDetuning::Lost(options.amplitudes[plane] * amplitude(point)));
        }
        let signals = [0, 1].map(|plane| -> Vec<Complex<f64>> { normal.signal(&track.points, plane) });
        let lines = [analyser.lines(&signals[0])?[0], analyser.lines(&signals[1])?[0]];
        actions.push(0.5 * lines[plane].amplitude.norm_sqr());
        tunes.push(lines.map(|line| line.frequency));
    }
    Ok([0, 1].map(|plane| {
        let values: Vec<f64> = tunes.iter().map(|tunes| tunes[plane]).collect();
        slope_at_zero(&actions, &values)
    }))
}

/// Slope at 0 of the parabola nearest to some points; tunes may pass through a half integer.
fn slope_at_zero(actions: &[f64], tunes: &[f64]) -> f64 {
    let scale = actions.iter().fold(f64::MIN_POSITIVE, |most, action| f64::max(most, *action));
    let powers = DMatrix::from_fn(actions.len(), 3, |row, power| (actions[row] / scale).powi(power as i32));
    let nearest = |tune: f64| tune - (tune - tunes[0]).round();
    let values = DVector::from_iterator(tunes.len(), tunes.iter().map(|tune| nearest(*tune)));
    let normal = powers.transpose() * &powers;
    let solved = normal.lu().solve(&(powers.transpose() * values));
    solved.map_or(0.0, |solved| solved[1] / scale)
}
