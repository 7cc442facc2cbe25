//! What a closed orbit has to fulfil, and the step of Newton's method towards it.

use nalgebra::{Matrix4, Matrix5, Matrix6, Vector6};

use crate::maps::Point;

/// What a closed orbit has to fulfil.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// Four coordinates come back.
    Transverse,
    /// Four coordinates come back and the path is longer by this [m]; delta is free.
    Synchronous(f64),
    /// All come back, but for a path that is longer by this [m].
    Whole(f64),
}

impl Goal {
    /// What one turn misses, in the order of the coordinates that are sought.
    pub(super) fn residual(self, start: &Point<f64>, end: &Point<f64>) -> Vector6<f64> {
        let mut residual = Vector6::from_fn(|row, _| end[row] - start[row]);
        match self {
            Self::Transverse => (residual[4], residual[5]) = (0.0, 0.0),
            Self::Synchronous(longer) => (residual[4], residual[5]) = (residual[5] - longer, 0.0),
            Self::Whole(longer) => residual[5] -= longer,
        }
        residual
    }

    /// By what to multiply the residual for the step to take.
    pub(super) fn inverse(self, matrix: &Matrix6<f64>) -> Option<Matrix6<f64>> {
        let mut gap = Matrix6::identity() - matrix;
        let mut inverse = Matrix6::zeros();
        match self {
            Self::Transverse => {
                let transverse: Matrix4<f64> = gap.fixed_view::<4, 4>(0, 0).into();
                inverse.fixed_view_mut::<4, 4>(0, 0).copy_from(&transverse.try_inverse()?);
            }
            Self::Synchronous(_) => {
                let path = gap.fixed_view::<1, 5>(5, 0).into_owned();
                gap.fixed_view_mut::<1, 5>(4, 0).copy_from(&path);
                let five: Matrix5<f64> = gap.fixed_view::<5, 5>(0, 0).into();
                inverse.fixed_view_mut::<5, 5>(0, 0).copy_from(&five.try_inverse()?);
            }
            Self::Whole(_) => inverse = gap.try_inverse()?,
        }
        Some(inverse)
    }
}
