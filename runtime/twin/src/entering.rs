//! What enters a machine in a shot: where its centre is, its charge, and the particles about it.

use crate::draw::noise;
use crate::injection::InjectionTruth;
use crate::plant::Shot;
use fodo_devices::Entrance;
use fodo_optics::Point;

/// Particles that stand for the charge of a shot.
pub(crate) const PARTICLES: usize = 256;

/// What tells the numbers of the jitter and those of the particles from the noise of monitors.
const JITTER: u64 = 0x6a69_7474_6572;
const BUNCH: u64 = 0x0062_756e_6368;

/// A beam as the design says that it enters.
pub(crate) struct Entering {
    pub design: Entrance,
    seed: u64,
}

impl Entering {
    pub fn new(design: Entrance, seed: u64) -> Entering {
        Entering { design, seed }
    }

    /// Where the centre of a shot is, and its charge [C].
    pub fn centre(&self, truth: &InjectionTruth, shot: Shot) -> (Point<f64>, f64) {
        let numbers = noise(self.seed ^ JITTER, shot, 7);
        let InjectionTruth { offset, jitter, charge, charge_jitter, .. } = truth;
        let start = std::array::from_fn(|row| self.design.start[row] + offset[row] + jitter[row] * numbers[row]);
        let charge = self.design.charge.unwrap_or(0.0) * (1.0 + charge + charge_jitter * numbers[6]).max(0.0);
        (start, charge)
    }

    /// A Gaussian bunch of the design's sizes about nothing.
    pub fn particles(&self, shot: Shot) -> Vec<Point<f64>> {
        let Entrance { beta, alpha, dispersion, emittance, energy_spread, bunch_length, .. } = &self.design;
        let numbers = noise(self.seed ^ BUNCH, shot, 6 * PARTICLES);
        let particle = |normal: &[f64]| {
            let delta = energy_spread * normal[4];
            let mut z = [0.0, 0.0, 0.0, 0.0, delta, bunch_length * normal[5]];
            for plane in [0, 1] {
                let [position, slope] = [normal[2 * plane], normal[2 * plane + 1]];
                z[2 * plane] = (emittance[plane] * beta[plane]).sqrt() * position;
                z[2 * plane + 1] = (emittance[plane] / beta[plane]).sqrt() * (slope - alpha[plane] * position);
            }
            (0..4).for_each(|row| z[row] += dispersion[row] * delta);
            z
        };
        numbers.chunks_exact(6).map(particle).collect()
    }
}
