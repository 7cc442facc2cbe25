//! Correctors with sines on them, and what monitors take of the orbit many times a second after the trigger.
//!
//! The orbit follows a kick at once: frequencies are far below that of the revolution. The ordinary shot of a monitor is the
//! mean over the period before it, in which most of a sine is gone.

use crate::beam::Found;
use crate::channels::{Channels, Knob};
use crate::draw::noise_of_turns;
use crate::present::Eye;
use fodo_control::Time;
use fodo_devices::Quantities;
use fodo_optics::{Orbit, Plane, Ring};
use std::f64::consts::TAU;
use std::sync::Arc;

/// What tells the noise of these samples from that of turns.
const SAMPLES: u64 = 0x0066_6173_745f_6f66;

/// A corrector that can be excited: its setpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exciter {
    /// Of the amplitude [rad].
    pub amplitude: usize,
    frequency: Option<usize>,
    phase: Option<usize>,
    plane: Plane,
    element: usize,
}

impl Exciter {
    /// All of a machine.
    pub fn all(knobs: &[Knob]) -> Vec<Exciter> {
        knobs.iter().enumerate().filter_map(|(at, knob)| Exciter::of(at, knob, knobs)).collect()
    }

    fn of(amplitude: usize, knob: &Knob, knobs: &[Knob]) -> Option<Exciter> {
        let plane = match knob.quantity? {
            Quantities::AcKickX => Plane::X,
            Quantities::AcKickY => Plane::Y,
            _ => return None,
        };
        let element = *knob.device.elements.first()?;
        let own = |quantity| {
            let is_own = |other: &Knob| {
                other.quantity == Some(quantity)
                    && other.device.family == knob.device.family
                    && other.device.name == knob.device.name
            };
            knobs.iter().position(is_own)
        };
        let (frequency, phase) = (own(Quantities::AcFrequency), own(Quantities::AcPhase));
        Some(Exciter { amplitude, frequency, phase, plane, element })
    }

    /// What its sine follows from beside the amplitude.
    pub fn others(&self) -> impl Iterator<Item = usize> {
        self.frequency.into_iter().chain(self.phase)
    }

    /// The sine that it has, by what its knobs give.
    pub fn wave(&self, gives: impl Fn(usize) -> f64) -> Wave {
        let of = |knob: Option<usize>| knob.map_or(0.0, &gives);
        Wave { amplitude: gives(self.amplitude), frequency: of(self.frequency), phase: of(self.phase) }
    }
}

/// A sine: amplitude, frequency [Hz] and its phase at the start of the machine's clock [rad].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wave {
    amplitude: f64,
    frequency: f64,
    phase: f64,
}

impl Wave {
    fn at(&self, seconds: f64) -> f64 {
        self.amplitude * (TAU * self.frequency * seconds + self.phase).sin()
    }

    /// Its mean over the time before a moment [s].
    pub fn mean(&self, seconds: f64, before: f64) -> f64 {
        let half = 0.5 * TAU * self.frequency * before;
        let part = if half == 0.0 { 1.0 } else { half.sin() / half };
        part * self.at(seconds - 0.5 * before)
    }
}

/// What is needed to take samples: the machine at the moment of the trigger.
pub(crate) struct Excited<'e> {
    pub ring: &'e Ring,
    pub orbit: &'e Orbit,
    pub channels: &'e Channels,
    pub eyes: &'e [Eye],
    pub exciters: &'e [Exciter],
    /// For the noise: the seed, and how often was fired before.
    pub seed: (u64, u64),
    pub now: Time,
    /// Since the start of the clock [s].
    pub seconds: f64,
    /// Over which a shot is the mean [s].
    pub period: f64,
}

impl Excited<'_> {
    /// Keeps what samples follow from.
    ///
    /// # Errors
    /// There is no closed orbit.
    pub fn take(self, gives: impl Fn(usize) -> f64) -> Found<Samples> {
        let places: Vec<usize> = self.channels.monitors.iter().map(|monitor| monitor.element).collect();
        let waves: Vec<(Wave, &Exciter)> =
            self.exciters.iter().map(|e| (e.wave(&gives), e)).filter(|(wave, _)| wave.amplitude != 0.0).collect();
        let elements: Vec<usize> = waves.iter().map(|(_, exciter)| exciter.element).collect();
        let response = self.ring.orbit_response(&places, &elements).map_err(|e| e.to_string())?;
        let moves = |monitor: usize| {
            let by = |(at, (_, exciter)): (usize, &(Wave, &Exciter))| {
                [Plane::X, Plane::Y].map(|plane| response.get(plane, monitor, exciter.plane, at))
            };
            waves.iter().enumerate().map(by).collect::<Vec<[f64; 2]>>()
        };
        let revolution = self.ring.revolution_time();
        let monitor = |(at, eye): (usize, &Eye)| {
            let wired = eye.wired_to;
            let moved = moves(wired);
            // the orbit that was found has the mean of the sines in it
            let rest = |plane: usize| {
                let means =
                    waves.iter().zip(&moved).map(|((wave, _), by)| by[plane] * wave.mean(self.seconds, self.period));
                self.orbit.at(self.channels.monitors[wired].element)[2 * plane] - means.sum::<f64>()
            };
            Sampled { eye: *eye, rest: [rest(0), rest(1)], moves: moved, number: at }
        };
        let monitors = self.eyes.iter().enumerate().map(monitor).collect();
        let waves = waves.into_iter().map(|(wave, _)| wave).collect();
        Ok(Samples { monitors, waves, seed: self.seed, start: (self.now, self.seconds), revolution })
    }
}

/// One monitor: where the beam is without sines [m], and how far each sine moves it [m/rad].
struct Sampled {
    eye: Eye,
    rest: [f64; 2],
    moves: Vec<[f64; 2]>,
    number: usize,
}

/// Samples of the orbit from a trigger on.
pub(crate) struct Samples {
    monitors: Vec<Sampled>,
    waves: Vec<Wave>,
    seed: (u64, u64),
    start: (Time, f64),
    revolution: f64,
}

impl Samples {
    /// When so many at this rate [Hz] are taken.
    pub fn ready(&self, count: usize, rate: f64) -> Time {
        Time(self.start.0.0 + (count as f64 / rate * 1e9) as i64)
    }

    /// What a monitor reads in a plane [m]; each sample is the mean of the turns since the one before it.
    pub fn row(&self, monitor: usize, plane: usize, count: usize, rate: f64) -> Arc<[f64]> {
        let Sampled { eye, rest, moves, number } = &self.monitors[monitor];
        if eye.dead {
            return vec![f64::NAN; count].into();
        }
        let (seed, fired) = self.seed;
        let noise = noise_of_turns(seed ^ SAMPLES, fired, *number, 2 * count);
        let deviation = eye.truth.noise_turns * (rate * self.revolution).min(1.0).sqrt();
        let sample = |at: usize| {
            let seconds = self.start.1 + at as f64 / rate;
            let mut seen = *rest;
            for (wave, by) in self.waves.iter().zip(moves) {
                let kick = wave.at(seconds);
                seen = [seen[0] + by[0] * kick, seen[1] + by[1] * kick];
            }
            eye.truth.reads(seen)[plane] + deviation * noise[2 * at + plane]
        };
        (0..count).map(sample).collect()
    }
}
