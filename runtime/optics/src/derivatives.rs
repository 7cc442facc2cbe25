//! Second derivatives of single elements: how their matrix changes with a strength, and with the place it is met at.

use nalgebra::{Matrix6, Vector6};

use crate::maps::{Action, Point, Step};
use crate::number::Mixed;
use crate::prepare::Strengths;
use crate::ring::Ring;

/// The six coordinates, then the horizontal and the vertical kick; of a cavity, then the frequency and nothing.
const VARIABLES: usize = 8;

/// An element whose maps keep derivatives with respect to its strengths.
pub(crate) type MixedStep = Step<Mixed<VARIABLES>>;

/// A strength of an element that a model of a machine may have wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strength {
    /// Upright gradient of the element of this index: k1 [1/m²] of a thick magnet, k1 times length [1/m] of a thin one.
    Gradient(usize),
    /// Skew gradient of the element of this index, likewise.
    SkewGradient(usize),
}

impl Strength {
    /// Index of the element.
    #[must_use]
    pub fn element(self) -> usize {
        match self {
            Self::Gradient(index) | Self::SkewGradient(index) => index,
        }
    }
}

/// What an element does beside a point, and how that changes along one direction.
pub(crate) struct Local {
    /// Derivative of the coordinates after it along the direction.
    pub push: Vector6<f64>,
    /// Derivative of its matrix along the direction.
    pub matrix_rate: Matrix6<f64>,
    /// Derivatives of the coordinates after it with respect to its kicks [1/rad], or to the frequency [1/Hz].
    pub kicks: [Vector6<f64>; 2],
    /// Derivatives of `kicks` along the direction.
    pub kick_rates: [Vector6<f64>; 2],
}

impl Local {
    /// The derivatives of an element entered at `at`; the direction goes through the coordinates as `along` says.
    pub fn new(step: &MixedStep, at: &Point<f64>, along: &Vector6<f64>) -> Self {
        let mut z: Point<Mixed<VARIABLES>> = std::array::from_fn(|row| Mixed::variable(at[row], row, along[row]));
        match &step.action {
            Action::Cavity(cavity) => {
                let before = step.enter(&mut z);
                cavity.apply_at(&mut z, 0.0, Mixed::variable(cavity.frequency, 6, 0.0));
                step.leave(&mut z, before);
            }
            _ => step.apply(&mut z, 0.0),
        }
        Self {
            push: Vector6::from_fn(|row, _| z[row].rate),
            matrix_rate: Matrix6::from_fn(|row, column| z[row].slope_rate[column]),
            kicks: [6, 7].map(|kick| Vector6::from_fn(|row, _| z[row].slope[kick])),
            kick_rates: [6, 7].map(|kick| Vector6::from_fn(|row, _| z[row].slope_rate[kick])),
        }
    }
}

impl Ring {
    /// An element with derivatives with respect to its kicks; where `strength` is given, the direction is this strength.
    pub(crate) fn mixed_step(&self, index: usize, strength: Option<Strength>) -> MixedStep {
        self.step_with(index, |strengths: &mut Strengths<Mixed<VARIABLES>>| {
            for (kick, place) in strengths.kick.iter_mut().zip([6, 7]) {
                *kick = Mixed::variable(kick.value, place, 0.0);
            }
            match strength {
                Some(Strength::Gradient(_)) => strengths.gradient[0].rate = 1.0,
                Some(Strength::SkewGradient(_)) => strengths.gradient[1].rate = 1.0,
                None => {}
            }
        })
    }
}
