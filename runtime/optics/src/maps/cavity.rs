//! Radio-frequency cavities (3.7).

use std::f64::consts::TAU;

use super::Point;
use super::drift::drift;
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
        if half != 0.0 {
            drift(z, half);
        }
        if self.strength != 0.0 {
            let time = (z[5] - self.time_lag) * (1.0 / SPEED_OF_LIGHT) - self.slip * turn;
            let (sine, _) = (time * frequency * TAU - self.phase_lag).sin_cos();
            z[4] -= sine * self.strength;
        }
        if half != 0.0 {
            drift(z, half);
        }
    }
}
