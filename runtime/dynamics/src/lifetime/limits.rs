//! Tables along the ring: straight lines between the positions given, held at both ends.

use super::NoLifetime;
use crate::MomentumAperture;

/// Changes of momentum that are survived, along the ring.
#[derive(Clone, Debug, PartialEq)]
pub struct MomentumLimits {
    position: Vec<f64>,
    negative: Vec<f64>,
    positive: Vec<f64>,
}

impl MomentumLimits {
    /// From a table: positions [m], rising; largest loss (delta, below 0) and gain (above 0) survived there [1].
    ///
    /// # Errors
    /// Columns of different length or empty, positions that do not rise, or a limit of the wrong sign.
    pub fn new(position: Vec<f64>, negative: Vec<f64>, positive: Vec<f64>) -> Result<Self, NoLifetime> {
        check_positions(&position)?;
        if negative.len() != position.len() || positive.len() != position.len() {
            return Err(NoLifetime::Table(
                "the momentum aperture needs a negative and a positive limit at each position",
            ));
        }
        if let Some(&limit) = negative.iter().find(|limit| limit.is_nan() || **limit > 0.0) {
            return Err(NoLifetime::BadNumber("the negative momentum aperture", limit));
        }
        if let Some(&limit) = positive.iter().find(|limit| limit.is_nan() || **limit < 0.0) {
            return Err(NoLifetime::BadNumber("the positive momentum aperture", limit));
        }
        Ok(Self { position, negative, positive })
    }

    /// The same limits all along the ring.
    ///
    /// # Errors
    /// A limit of the wrong sign.
    pub fn even(negative: f64, positive: f64) -> Result<Self, NoLifetime> {
        Self::new(vec![0.0], vec![negative], vec![positive])
    }

    /// From a momentum aperture found by tracking; `positions` are those of the entrances of all elements [m].
    ///
    /// # Errors
    /// An element has no position, or they are not in beam order.
    pub fn of(aperture: &MomentumAperture, positions: &[f64]) -> Result<Self, NoLifetime> {
        let at: Option<Vec<f64>> = aperture.elements.iter().map(|&index| positions.get(index).copied()).collect();
        let position =
            at.ok_or(NoLifetime::Table("the momentum aperture has elements which the ring does not have"))?;
        Self::new(position, aperture.negative.clone(), aperture.positive.clone())
    }

    /// The same, but nowhere beyond these limits, such as those of the bucket.
    #[must_use]
    pub fn within(mut self, negative: f64, positive: f64) -> Self {
        self.negative.iter_mut().for_each(|limit| *limit = limit.max(negative));
        self.positive.iter_mut().for_each(|limit| *limit = limit.min(positive));
        self
    }

    /// Limits at a position [m], negative and positive [1].
    #[must_use]
    pub fn at(&self, position: f64) -> [f64; 2] {
        [&self.negative, &self.positive].map(|column| value_at(&self.position, column, position))
    }
}

/// Says what is wrong with the positions of a table, if anything is.
pub(super) fn check_positions(position: &[f64]) -> Result<(), NoLifetime> {
    if position.is_empty() {
        return Err(NoLifetime::Table("a table along the ring needs at least one position"));
    }
    let rises = position.windows(2).all(|pair| pair[1] >= pair[0]) && position.iter().all(|at| at.is_finite());
    if rises { Ok(()) } else { Err(NoLifetime::Table("the positions of a table along the ring have to rise")) }
}

/// Value of a table at a position.
pub(super) fn value_at(position: &[f64], column: &[f64], at: f64) -> f64 {
    let after = position.partition_point(|place| *place <= at);
    let before = after.saturating_sub(1);
    let after = after.min(position.len() - 1);
    let width = position[after] - position[before];
    let part = if width > 0.0 { ((at - position[before]) / width).clamp(0.0, 1.0) } else { 0.0 };
    // also where there is no limit
    if part == 0.0 || column[before] == column[after] {
        return column[before];
    }
    column[before] + part * (column[after] - column[before])
}

/// Mean of a table between two positions.
pub(super) fn mean_between(position: &[f64], column: &[f64], low: f64, high: f64) -> f64 {
    if high <= low {
        return value_at(position, column, low);
    }
    let inside = position.iter().copied().filter(|place| *place > low && *place < high);
    let mut last = (low, value_at(position, column, low));
    let mut area = 0.0;
    for place in inside.chain([high]) {
        let here = (place, value_at(position, column, place));
        area += 0.5 * (here.0 - last.0) * (here.1 + last.1);
        last = here;
    }
    area / (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_straight_between_their_positions() {
        let (position, column) = (vec![1.0, 2.0, 4.0], vec![10.0, 20.0, 0.0]);
        for (at, value) in [(0.0, 10.0), (1.0, 10.0), (1.5, 15.0), (2.0, 20.0), (3.0, 10.0), (4.0, 0.0), (9.0, 0.0)] {
            assert!((value_at(&position, &column, at) - value).abs() < 1e-14, "{at}");
        }
        assert!((mean_between(&position, &column, 1.0, 4.0) - 35.0 / 3.0).abs() < 1e-14);
        assert!((mean_between(&position, &column, 3.0, 5.0) - 2.5).abs() < 1e-14);
        assert!((mean_between(&position, &column, 2.0, 2.0) - 20.0).abs() < 1e-14);
    }

    #[test]
    fn a_limit_of_the_wrong_sign_is_refused() {
        assert_eq!(
            MomentumLimits::even(0.01, 0.05),
            Err(NoLifetime::BadNumber("the negative momentum aperture", 0.01))
        );
        assert!(MomentumLimits::new(vec![1.0, 0.0], vec![-0.1; 2], vec![0.1; 2]).is_err());
        let limits = MomentumLimits::even(-0.05, 0.04).map(|limits| limits.within(-0.03, 0.06).at(7.0));
        assert_eq!(limits, Ok([-0.03, 0.04]));
    }
}
