//! What the scripts cannot see.

use crate::errors::{Distribution, ErrorTable, Target};
use fodo_devices::{Facility, glob};
use fodo_report::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};
use std::collections::HashMap;
use std::sync::Arc;

/// How an element really stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ElementTruth {
    /// Index in the lattice.
    pub element: usize,
    /// Horizontal displacement [m].
    pub dx: f64,
    /// Vertical displacement [m].
    pub dy: f64,
    /// Roll about the beam [rad].
    pub roll: f64,
}

/// How a monitor really reads: `gain * (position - offset) + noise`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonitorTruth {
    /// Factor, horizontal and vertical [1].
    pub gain: [f64; 2],
    /// Offset, horizontal and vertical [m].
    pub offset: [f64; 2],
    /// Standard deviation of one shot [m].
    pub noise: f64,
}

impl Default for MonitorTruth {
    fn default() -> Self {
        MonitorTruth { gain: [1.0; 2], offset: [0.0; 2], noise: 0.0 }
    }
}

/// Everything that is wrong with the machine.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Displaced elements.
    pub elements: Vec<ElementTruth>,
    /// Monitors by device name; those not named are perfect.
    pub monitors: HashMap<Arc<str>, MonitorTruth>,
    /// Factor on the strength of devices, by (family, device); 1 where not named.
    pub gains: HashMap<(Arc<str>, Arc<str>), f64>,
}

impl Truth {
    pub(crate) fn draw(table: &ErrorTable, facility: &Facility, seed: u64) -> Result<Truth> {
        let mut truth = Truth::default();
        let mut places = HashMap::new();
        for distribution in &table.distributions {
            let mut draw = Draw::new(seed, distribution);
            match &distribution.on {
                Target::Elements(patterns) => truth.displace(facility, patterns, distribution, &mut draw, &mut places),
                Target::Family(family) => truth.degrade(facility, family, distribution, &mut draw)?,
            }
        }
        Ok(truth)
    }

    fn displace(
        &mut self,
        facility: &Facility,
        patterns: &[String],
        by: &Distribution,
        draw: &mut Draw,
        places: &mut HashMap<usize, usize>,
    ) {
        for (element, named) in facility.lattice.elements.iter().enumerate() {
            if !patterns.iter().any(|pattern| glob(pattern, &named.name).is_some()) {
                continue;
            }
            let place = *places.entry(element).or_insert_with(|| {
                self.elements.push(ElementTruth { element, ..ElementTruth::default() });
                self.elements.len() - 1
            });
            let truth = &mut self.elements[place];
            truth.dx += by.dx * draw.next();
            truth.dy += by.dy * draw.next();
            truth.roll += by.roll * draw.next();
        }
    }

    fn degrade(&mut self, facility: &Facility, family: &str, by: &Distribution, draw: &mut Draw) -> Result<()> {
        for device in &facility.family(family)?.devices {
            let [a, b, c, d] = [draw.next(), draw.next(), draw.next(), draw.next()];
            if device.field("x").is_some() || device.field("y").is_some() {
                let monitor = self.monitors.entry(device.name.clone()).or_default();
                monitor.gain = [monitor.gain[0] + by.gain * a, monitor.gain[1] + by.gain * b];
                monitor.offset = [monitor.offset[0] + by.offset * c, monitor.offset[1] + by.offset * d];
                monitor.noise = monitor.noise.hypot(by.noise);
            } else {
                let key = (device.family.clone(), device.name.clone());
                *self.gains.entry(key).or_insert(1.0) += by.gain * a;
            }
        }
        Ok(())
    }
}

/// Numbers of one distribution: the same for a seed, whatever stands in the other tables.
struct Draw {
    random: ChaCha8Rng,
    truncate: f64,
}

impl Draw {
    fn new(seed: u64, distribution: &Distribution) -> Draw {
        // FNV-1a of the table's name, so that each table has a stream of its own
        let name = distribution
            .name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(name);
        Draw { random, truncate: distribution.truncate }
    }

    fn next(&mut self) -> f64 {
        loop {
            let number: f64 = StandardNormal.sample(&mut self.random);
            if number.abs() <= self.truncate {
                return number;
            }
        }
    }
}

/// Noise of one shot for `count` readings, standard normal; the same for a seed, a period and the shots taken in it before.
pub(crate) fn noise(seed: u64, (period, triggers): (u64, u64), count: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x6e6f_6973_655f_6f66);
    random.set_stream(period);
    // far behind what the shots before it can have taken
    random.set_word_pos(u128::from(triggers) << 32);
    (0..count).map(|_| StandardNormal.sample(&mut random)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shot_has_noise_of_its_own() {
        const COUNT: usize = 4000;
        let mut random = ChaCha8Rng::seed_from_u64(7 ^ 0x6e6f_6973_655f_6f66);
        random.set_stream(3);
        let first: Vec<f64> = (0..COUNT).map(|_| StandardNormal.sample(&mut random)).collect();
        assert_eq!(noise(7, (3, 0), COUNT), first);
        let shots = [(3, 0), (3, 1), (3, 2), (4, 0), (4, 1)].map(|shot| noise(7, shot, COUNT));
        for (a, one) in shots.iter().enumerate() {
            for (b, other) in shots.iter().enumerate() {
                let mean = one.iter().zip(other).map(|(x, y)| x * y).sum::<f64>() / COUNT as f64;
                // one standard deviation is 0.016
                assert!((mean - if a == b { 1.0 } else { 0.0 }).abs() < 0.08, "{a} and {b}: {mean}");
            }
        }
        assert_eq!(noise(7, (3, 2), 10), shots[2][..10]);
    }
}
