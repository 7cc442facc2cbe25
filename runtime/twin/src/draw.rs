//! Random numbers of the truth: the same for a seed, whatever stands in the other tables.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// How the numbers of a table are spread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    /// Where a Gauss curve is cut, in standard deviations.
    pub truncate: f64,
    /// Evenly between plus and minus the value, instead of a Gauss curve.
    pub uniform: bool,
}

impl Spread {
    /// A whole Gauss curve.
    pub const GAUSS: Spread = Spread { truncate: f64::INFINITY, uniform: false };
}

/// Where the numbers of one table come from.
pub(crate) struct Source<'a> {
    pub seed: u64,
    pub name: &'a str,
    pub spread: Spread,
}

impl Source<'_> {
    /// The numbers that the table itself has.
    pub fn own(&self) -> Draw {
        Draw::new(self.seed, self.name, self.spread)
    }

    /// The numbers that one key of the table has for itself.
    pub fn of(&self, key: &str) -> Draw {
        Draw::new(self.seed, &format!("{}.{key}", self.name), self.spread)
    }
}

/// FNV-1a of a name, so that each has a stream of its own.
pub(crate) fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A stream of numbers.
pub(crate) struct Draw {
    random: ChaCha8Rng,
    spread: Spread,
}

impl Draw {
    pub fn new(seed: u64, name: &str, spread: Spread) -> Draw {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(hash(name));
        Draw { random, spread }
    }

    /// A number of standard deviation 1, or one between -1 and 1.
    pub fn next(&mut self) -> f64 {
        self.next_where(|number| number)
    }

    /// What `of` makes of a number, and within the cut.
    pub fn next_where(&mut self, of: impl Fn(f64) -> f64) -> f64 {
        if self.spread.uniform {
            return of(self.random.random_range(-1.0..=1.0));
        }
        loop {
            let number = of(StandardNormal.sample(&mut self.random));
            if number.abs() <= self.spread.truncate {
                return number;
            }
        }
    }

    /// A number between 0 and 1.
    pub fn even(&mut self) -> f64 {
        self.random.random_range(0.0..1.0)
    }

    /// A time until something happens that happens so often in a second on average [s].
    pub fn until(&mut self, rate: f64) -> f64 {
        -(1.0 - self.even()).ln() / rate
    }

    /// -1 with this probability, else 1.
    pub fn sign(&mut self, wrong: f64) -> f64 {
        if self.random.random_range(0.0..1.0) < wrong { -1.0 } else { 1.0 }
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

/// Noise of the turns that one monitor keeps after the kickers fired, standard normal.
pub(crate) fn noise_of_turns(seed: u64, fired: u64, monitor: usize, count: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x7475_726e_735f_6f66);
    random.set_stream((fired << 20) ^ monitor as u64);
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
