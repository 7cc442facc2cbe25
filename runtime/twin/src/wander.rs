//! Slow wandering: a random walk whose value at any moment is known without going there.

use crate::draw::hash;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// How long a walk goes on [s]; later it stays where it is.
const HORIZON: f64 = 16_777_216.0;
/// So often the horizon is cut in halves: to a millisecond.
const LEVELS: u32 = 34;

/// A random walk from 0 (Brownian motion), made by cutting the whole time in halves again and again (Lévy's construction):
/// each middle is the mean of both ends and a random part, which belongs to the seed, the name and the middle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wander {
    seed: u64,
    stream: u64,
}

impl Wander {
    pub fn new(seed: u64, name: &str) -> Wander {
        Wander { seed, stream: hash(name) }
    }

    fn normal(&self, level: u32, index: u64) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ index.rotate_left(20) ^ (u64::from(level) << 58));
        random.set_stream(self.stream);
        StandardNormal.sample(&mut random)
    }

    /// The value at a time [s]: its rms is 1 after one hour, and grows with the root of the time.
    pub fn at(&self, seconds: f64) -> f64 {
        let time = (seconds / HORIZON).clamp(0.0, 1.0);
        let (mut begin, mut end, mut index) = (0.0_f64, 1.0_f64, 0_u64);
        let (mut left, mut right) = (0.0, self.normal(0, 0));
        for level in 1..=LEVELS {
            let middle = 0.5 * (begin + end);
            let value = 0.5 * (left + right) + 0.5 * (end - begin).sqrt() * self.normal(level, index);
            index *= 2;
            if time < middle {
                (end, right) = (middle, value);
            } else {
                (begin, left) = (middle, value);
                index += 1;
            }
        }
        let here = left + (right - left) * (time - begin) / (end - begin);
        here * (HORIZON / 3600.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rms after an hour is 1, after four hours 2; steps that do not overlap have nothing to do with each other.
    #[test]
    fn a_walk_spreads_with_the_root_of_time() {
        let walks: Vec<Wander> = (0..4000).map(|number| Wander::new(7, &format!("walk {number}"))).collect();
        let rms = |of: &dyn Fn(&Wander) -> f64| {
            (walks.iter().map(|walk| of(walk).powi(2)).sum::<f64>() / walks.len() as f64).sqrt()
        };
        let after = |seconds: f64| rms(&|walk: &Wander| walk.at(seconds));
        // one standard deviation of an rms of 4000 is 1.1 %
        for (seconds, wanted) in [(3600.0, 1.0), (4.0 * 3600.0, 2.0), (36.0, 0.1), (86400.0, 4.899)] {
            let found = after(seconds);
            assert!((found / wanted - 1.0).abs() < 0.05, "{seconds} s: {found}");
        }
        let step = |walk: &Wander, from: f64| walk.at(from + 60.0) - walk.at(from);
        let alike: f64 = walks.iter().map(|walk| step(walk, 600.0) * step(walk, 660.0)).sum::<f64>() / 4000.0;
        assert!(alike.abs() < 5e-2 / 60.0, "{alike}");
        assert_eq!(walks[0].at(0.0), 0.0);
        let nearby = rms(&|walk: &Wander| walk.at(600.1) - walk.at(600.0));
        assert!((nearby / (0.1_f64 / 3600.0).sqrt() - 1.0).abs() < 0.05, "{nearby}");
    }
}
