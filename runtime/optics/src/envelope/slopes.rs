//! Derivatives with respect to all six coordinates.

use nalgebra::Matrix6;

use crate::maps::Point;
use crate::number::Dual;

/// A point whose derivatives are those with respect to itself.
pub(super) fn with_identity(at: &Point<f64>) -> Point<Dual<6>> {
    std::array::from_fn(|row| Dual::variable(at[row], row))
}

/// The 6x6 matrix in a point that carries derivatives.
pub(super) fn matrix_of(z: &Point<Dual<6>>) -> Matrix6<f64> {
    Matrix6::from_fn(|row, column| z[row].slope[column])
}
