//! Random numbers that depend on where they are drawn, not on when.

use std::f64::consts::TAU;

/// Numbers of one particle in one element in one turn: the same for any number of threads and in any order.
///
/// Philox4x32-10, a counter-based generator (J. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011).
/// Its counter is (particle, turn, element, how many blocks were drawn), its key the seed. Particles, turns and
/// elements are told apart up to 2^32.
#[derive(Clone, Debug)]
pub struct Random {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
}

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

impl Random {
    /// The numbers of this place.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the halves of the seed; the places up to 2^32 are told apart")]
    pub fn new(seed: u64, particle: u64, turn: u64, element: usize) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [0, particle as u32, turn as u32, element as u32],
            block: [0; 4],
            used: 4,
        }
    }

    /// The next 32 bits.
    fn bits(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Evenly distributed above 0 and below 1.
    pub fn uniform(&mut self) -> f64 {
        let bits = (u64::from(self.bits()) << 32 | u64::from(self.bits())) >> 12;
        (bits as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Two independent standard normals (Box and Muller).
    pub fn normals(&mut self) -> [f64; 2] {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sine, cosine) = (TAU * self.uniform()).sin_cos();
        [radius * cosine, radius * sine]
    }

    /// How many of rare events happen, `mean` on average (Poisson's distribution, by a product of uniform numbers).
    pub fn count(&mut self, mean: f64) -> u32 {
        let (mut left, mut count) = (mean, 0);
        while left > 0.0 {
            // in portions whose exponential does not vanish
            let portion = left.min(32.0);
            left -= portion;
            let limit = (-portion).exp();
            let mut product = self.uniform();
            while product > limit {
                count += 1;
                product *= self.uniform();
            }
        }
        count
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let (high_0, low_0) = wide_product(MULTIPLIERS[0], counter[0]);
        let (high_1, low_1) = wide_product(MULTIPLIERS[1], counter[2]);
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
    }
    counter
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves of the product")]
fn wide_product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Random123 1.14 (kat_vectors, philox4x32 10).
    #[test]
    fn philox_gives_its_known_answers() {
        let ones = u32::MAX;
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([ones; 4], [ones; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn counts_and_normals_have_their_mean_and_variance() {
        let mut random = Random::new(1, 2, 3, 4);
        for mean in [0.05, 1.7, 80.0] {
            let counts: Vec<f64> = (0..40_000).map(|_| f64::from(random.count(mean))).collect();
            let [average, variance] = moments(&counts);
            assert!((average / mean - 1.0).abs() < 4.0 / (mean * 40_000.0).sqrt(), "{mean}: {average}");
            assert!((variance / mean - 1.0).abs() < 0.1, "{mean}: {variance}");
        }
        let normals: Vec<f64> = (0..20_000).flat_map(|_| random.normals()).collect();
        let [average, variance] = moments(&normals);
        assert!(average.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{average} {variance}");
    }

    fn moments(values: &[f64]) -> [f64; 2] {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        [mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count]
    }
}
