//! Radio-frequency cavities (3.7), also for slow particles and with a reference momentum that changes.

use std::f64::consts::TAU;

use super::drift::drift;
use super::{Flight, Point};
use crate::constants::SPEED_OF_LIGHT;
use crate::number::Number;

/// A cavity made ready.
#[derive(Clone, Copy, Debug)]
pub struct CavityMap {
    /// Length [m].
    pub length: f64,
    /// Voltage over the reference energy [1].
    pub strength: f64,
    /// Frequency [Hz].
    pub frequency: f64,
    /// Path length by which the zero crossing is late [m].
    pub time_lag: f64,
    /// Phase by which the zero crossing is late [rad].
    pub phase_lag: f64,
    /// Time by which the cavity runs ahead of the reference particle in each turn: h/f - T0 [s].
    pub slip: f64,
    /// Speed of the reference particle over that of light [1].
    pub beta: f64,
    /// 1/gamma² of the reference particle [1]; 0 where all particles are as fast as light.
    pub inverse_gamma_squared: f64,
    /// What the cavity does to the reference particle, where it does anything.
    pub change: Option<ReferenceChange>,
}

/// A change of the reference momentum in one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceChange {
    /// Gain of the reference momentum over that before [1].
    pub gain: f64,
    /// Speed of the reference after over that before [1].
    pub speed_ratio: f64,
    /// 1/gamma² of the reference after [1]; 0 where all particles are as fast as light.
    pub inverse_gamma_squared: f64,
}

impl ReferenceChange {
    /// Coordinates in units of the new reference momentum: px, py shrink, and the times in ct stay what they are.
    pub fn apply<N: Number>(&self, z: &mut Point<N>) {
        let ratio = 1.0 / (1.0 + self.gain);
        z[1] = z[1] * ratio;
        z[3] = z[3] * ratio;
        z[4] = (z[4] - self.gain) * ratio;
        z[5] = z[5] * self.speed_ratio;
    }
}

impl CavityMap {
    /// Takes a particle through the cavity.
    #[inline(always)]
    pub fn apply<N: Number>(&self, z: &mut Point<N>, turn: f64) {
        self.apply_at(z, turn, N::constant(self.frequency));
    }

    /// The same at a frequency [Hz] that may carry derivatives; the slip from turn to turn stays.
    #[inline(always)]
    pub fn apply_at<N: Number>(&self, z: &mut Point<N>, turn: f64, frequency: N) {
        let half = 0.5 * self.length;
        fly(z, half, self.inverse_gamma_squared);
        if self.strength != 0.0 {
            let time = (z[5] - self.time_lag) * (1.0 / (SPEED_OF_LIGHT * self.beta)) - self.slip * turn;
            let (sine, _) = (time * frequency * TAU - self.phase_lag).sin_cos();
            self.accelerate(z, -(sine * self.strength));
        }
        self.change.iter().for_each(|change| change.apply(z));
        fly(z, half, self.change.map_or(self.inverse_gamma_squared, |change| change.inverse_gamma_squared));
    }

    /// Adds energy, in units of the reference energy.
    #[inline(always)]
    fn accelerate<N: Number>(&self, z: &mut Point<N>, gain: N) {
        let slow = self.inverse_gamma_squared;
        if slow == 0.0 {
            z[4] += gain;
            return;
        }
        let squared = self.beta * self.beta;
        let (delta, total) = (z[4], z[4] + 1.0);
        let energy = (total * total * squared + slow).sqrt();
        // (1 + delta)² - 1 after the kick
        let excess = delta * (delta + 2.0) + gain * (energy * 2.0 + gain) * (1.0 / squared);
        z[4] = excess * ((excess + 1.0).sqrt() + 1.0).recip();
    }
}

fn fly<N: Number>(z: &mut Point<N>, length: f64, inverse_gamma_squared: f64) {
    if length == 0.0 {
        return;
    }
    let before = z[5];
    drift(z, length);
    if inverse_gamma_squared != 0.0 {
        Flight { length, inverse_gamma_squared }.add(z, before);
    }
}
