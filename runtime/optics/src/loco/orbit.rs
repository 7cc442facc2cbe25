//! What the orbit itself does when strengths change.

use nalgebra::Vector6;

use super::NoDerivative;
use crate::derivatives::{Local, Strength};
use crate::maps::Point;
use crate::response::{Linear, Push};
use crate::ring::Ring;

/// For each strength the change of (x, y) at each monitor [m per unit of the strength].
pub type StrengthResponse = Vec<Vec<[f64; 2]>>;

impl Ring {
    /// Response of the closed orbit at the entrance of `monitors` to gradients and skew gradients: exact derivatives, zero
    /// for magnets that the orbit passes on their axis.
    ///
    /// 6D with cavities, else 4D at [`Ring::delta`].
    ///
    /// # Errors
    /// There is no closed orbit, or an element has no field.
    pub fn strength_response(
        &self,
        monitors: &[usize],
        strengths: &[Strength],
    ) -> Result<StrengthResponse, NoDerivative> {
        self.pushed_by(&Linear::of_ring(self)?, monitors, strengths)
    }

    /// The same for the trajectory from `start`.
    ///
    /// # Errors
    /// The particle is lost, or an element has no field.
    pub fn trajectory_strength_response(
        &self,
        start: &Point<f64>,
        monitors: &[usize],
        strengths: &[Strength],
    ) -> Result<StrengthResponse, NoDerivative> {
        self.pushed_by(&Linear::of_line(self, start)?, monitors, strengths)
    }

    fn pushed_by(
        &self,
        linear: &Linear,
        monitors: &[usize],
        strengths: &[Strength],
    ) -> Result<StrengthResponse, NoDerivative> {
        let orbits = strengths.iter().map(|&strength| {
            let push = self.strength_push(linear, strength)?;
            Ok(monitors.iter().map(|&monitor| linear.moved(&push, monitor)).collect())
        });
        orbits.collect()
    }

    /// What a strength does to the particle of the orbit, behind its element.
    fn strength_push(&self, linear: &Linear, strength: Strength) -> Result<Push, NoDerivative> {
        let index = strength.element();
        let element = self.elements().get(index).ok_or(NoDerivative::NoElement(index))?;
        if element.field().is_none() {
            return Err(NoDerivative::NoField(index, element.name.to_string()));
        }
        let step = self.mixed_step(index, Some(strength));
        let local = Local::new(&step, &linear.passage.points[index], &Vector6::zeros());
        Ok(linear.push(index + 1, &local.push)?)
    }
}
