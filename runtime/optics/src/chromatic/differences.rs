//! Derivatives from values at equal distances, with their errors.

/// Values on either side of the middle.
pub(super) const REACH: usize = 4;
/// Values in all.
pub(super) const POINTS: usize = 2 * REACH + 1;

/// Weights of the values 1 to 4 steps from the middle in central differences for the first to third derivative: over
/// nine points, and over the inner seven.
const WEIGHTS: [[[f64; REACH]; 2]; 3] = [
    [[4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0], [3.0 / 4.0, -3.0 / 20.0, 1.0 / 60.0, 0.0]],
    [[8.0 / 5.0, -1.0 / 5.0, 8.0 / 315.0, -1.0 / 560.0], [3.0 / 2.0, -3.0 / 20.0, 1.0 / 90.0, 0.0]],
    [[-61.0 / 30.0, 169.0 / 120.0, -3.0 / 10.0, 7.0 / 240.0], [-13.0 / 8.0, 1.0, -1.0 / 8.0, 0.0]],
];
/// The seventh and eighth differences cancel all but the rounding of values, which they make larger by these: the roots
/// of the sums of the squares of their weights.
const SEVENTH_GAIN: f64 = 58.6;
const EIGHTH_GAIN: f64 = 113.4;
/// Few differences may all happen to be small: rounding is taken to be this many times larger.
const CAUTION: f64 = 4.0;

/// A figure and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// How far it may be off, in the same unit.
    pub uncertainty: f64,
}

/// Values of a function at nine points.
pub(super) struct Samples {
    values: [f64; POINTS],
    step: f64,
}

impl Samples {
    pub(super) fn new(values: [f64; POINTS], step: f64) -> Self {
        Self { values, step }
    }

    /// A derivative of order 1, 2 or 3 in the middle.
    pub(super) fn derivative(&self, order: usize) -> Estimate {
        let scale = self.step.powi(order as i32).recip();
        let [nine, seven] = WEIGHTS[order - 1].map(|weights| self.weighted(&weights, order));
        let gain: f64 = WEIGHTS[order - 1][0].iter().map(|weight| 2.0 * weight.abs()).sum();
        let uncertainty = ((nine - seven).abs() + gain * self.rounding()) * scale;
        Estimate { value: nine * scale, uncertainty }
    }

    /// The same divided by the factorial of its order.
    pub(super) fn coefficient(&self, order: usize) -> Estimate {
        let factorial: f64 = (1..=order).map(|k| k as f64).product();
        let Estimate { value, uncertainty } = self.derivative(order);
        Estimate { value: value / factorial, uncertainty: uncertainty / factorial }
    }

    fn weighted(&self, weights: &[f64; REACH], order: usize) -> f64 {
        let middle = self.values[REACH];
        let pair = |count: usize| {
            let (below, above) = (self.values[REACH - count] - middle, self.values[REACH + count] - middle);
            if order % 2 == 1 { above - below } else { above + below }
        };
        weights.iter().enumerate().map(|(index, weight)| weight * pair(index + 1)).sum()
    }

    /// Size of the rounding of the values, at least the last digit of the largest.
    fn rounding(&self) -> f64 {
        let mut differences = self.values;
        for order in 1..=7 {
            (0..POINTS - order).for_each(|index| differences[index] = differences[index + 1] - differences[index]);
        }
        let [first, second, ..] = differences;
        let seventh = f64::max(first.abs(), second.abs());
        let seen = f64::max(seventh / SEVENTH_GAIN, (second - first).abs() / EIGHTH_GAIN);
        let largest = self.values.iter().fold(0.0, |largest, value| f64::max(largest, value.abs()));
        CAUTION * f64::max(seen, f64::EPSILON * largest)
    }
}

/// Difference of two tunes that are less than a half apart, also across an integer.
pub(super) fn apart(tune: f64, other: f64) -> f64 {
    (tune - other + 0.5).rem_euclid(1.0) - 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_of_a_known_function_are_within_their_uncertainty() {
        // 1/(1 - x): the derivatives in 0 are the factorials
        for step in [1e-2, 3e-3] {
            let values = std::array::from_fn(|index| 1.0 / (1.0 - (index as f64 - REACH as f64) * step));
            let samples = Samples::new(values, step);
            for (order, truth) in [(1, 1.0), (2, 2.0), (3, 6.0)] {
                let Estimate { value, uncertainty } = samples.derivative(order);
                assert!((value - truth).abs() < uncertainty, "{order}: {value} +- {uncertainty}");
                assert!(uncertainty < 1e-4, "{order}: {uncertainty}");
                assert!((samples.coefficient(order).value - 1.0).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn tunes_are_compared_across_an_integer() {
        assert!((apart(0.01, 0.99) - 0.02).abs() < 1e-15);
        assert!((apart(0.99, 5.01) + 0.02).abs() < 1e-14);
    }
}
