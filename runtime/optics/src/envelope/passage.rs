//! What one element does to a beam that goes through it about a given point.

use nalgebra::Matrix6;

use super::diffusion::Diffusion;
use super::slopes::{matrix_of, with_identity};
use crate::maps::{Point, Step};
use crate::number::Dual;

/// An element seen by a beam: `R` becomes `M R Mᵀ + B`.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    /// Matrix with damping.
    pub matrix: Matrix6<f64>,
    /// Diffusion by the photons emitted inside.
    pub diffusion: Option<Matrix6<f64>>,
}

impl Passage {
    /// Takes a particle through an element, and says what happens to a beam about it. `constant`: see [`Diffusion`].
    pub(super) fn new(step: &Step, at: &mut Point<f64>, constant: f64) -> Self {
        let mut z = with_identity(at);
        let diffusion = if step.action.radiating().is_some() {
            Some(through_magnet(step, &mut z, constant))
        } else {
            step.apply(&mut z, 0.0);
            None
        };
        *at = values(&z);
        Self { matrix: matrix_of(&z), diffusion }
    }

    /// The beam matrix behind the element.
    pub(super) fn carry(&self, beam: &Matrix6<f64>) -> Matrix6<f64> {
        let carried = product(&product(&self.matrix, beam), &self.matrix.transpose());
        self.diffusion.map_or(carried, |diffusion| carried + diffusion)
    }
}

/// Takes a point through a magnet that radiates; returns the diffusion behind it.
fn through_magnet(step: &Step, z: &mut Point<Dual<6>>, constant: f64) -> Matrix6<f64> {
    let before = step.enter(z);
    step.action.enter_magnet(z);
    let mut diffusion = Diffusion::new(constant);
    step.action.watched_body(z, &mut diffusion);
    let mut rest = with_identity(&values(z));
    step.action.leave_magnet(z);
    step.leave(z, before);
    step.action.leave_magnet(&mut rest);
    step.leave(&mut rest, Dual { slope: [0.0; 6], ..before });
    let rest = matrix_of(&rest);
    product(&product(&rest, &diffusion.at_end()), &rest.transpose())
}

fn values(z: &Point<Dual<6>>) -> Point<f64> {
    z.map(|coordinate| coordinate.value)
}

/// The product of two matrices, written out so that it stays in registers.
pub(super) fn product(a: &Matrix6<f64>, b: &Matrix6<f64>) -> Matrix6<f64> {
    let mut out = Matrix6::zeros();
    for column in 0..6 {
        for k in 0..6 {
            let factor = b[(k, column)];
            for row in 0..6 {
                out[(row, column)] += a[(row, k)] * factor;
            }
        }
    }
    out
}
