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

/// Noise of one shot for `count` readings, standard normal; the same for a seed and a shot.
pub(crate) fn noise(seed: u64, shot: u64, count: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x6e6f_6973_655f_6f66);
    random.set_stream(shot);
    (0..count).map(|_| StandardNormal.sample(&mut random)).collect()
}
