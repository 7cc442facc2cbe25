//! Transfer matrices, exact: derivatives of the maps, not differences.

use nalgebra::Matrix6;

use crate::maps::{Point, Step};
use crate::number::Dual;
use crate::ring::Ring;

/// The 6x6 matrix in a point that carries derivatives.
#[must_use]
pub fn matrix_of(z: &Point<Dual<6>>) -> Matrix6<f64> {
    Matrix6::from_fn(|row, column| z[row].slope[column])
}

/// A point whose derivatives are those with respect to itself.
#[must_use]
pub fn with_identity(at: &Point<f64>) -> Point<Dual<6>> {
    std::array::from_fn(|row| Dual::variable(at[row], row))
}

/// One turn (or one passage) from `start`, with its matrix.
///
/// # Errors
/// The index of the element after which the particle was lost.
pub fn map_with_matrix(ring: &Ring, start: &Point<f64>) -> Result<Point<Dual<6>>, usize> {
    let mut z = with_identity(start);
    ring.pass(&mut z, 0.0)?;
    Ok(z)
}

/// Matrix of one element at a point.
#[must_use]
pub fn element_matrix(step: &Step, at: &Point<f64>) -> Matrix6<f64> {
    let mut z = with_identity(at);
    step.apply(&mut z, 0.0);
    matrix_of(&z)
}

impl Ring {
    /// Matrix of one turn about `start`.
    ///
    /// # Errors
    /// The index of the element after which the particle was lost.
    pub fn one_turn_matrix(&self, start: &Point<f64>) -> Result<Matrix6<f64>, usize> {
        map_with_matrix(self, start).map(|end| matrix_of(&end))
    }

    /// Matrices from the start to the entrance of each element and to the end, about the trajectory from `start`.
    ///
    /// # Errors
    /// The index of the element after which the particle was lost.
    pub fn transfer_matrices(&self, start: &Point<f64>) -> Result<Vec<Matrix6<f64>>, usize> {
        let points = self.trajectory(&with_identity(start))?;
        Ok(points.iter().map(matrix_of).collect())
    }
}
