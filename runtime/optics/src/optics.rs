//! Optical functions, uncoupled, and the figures of a ring that follow from them.

use std::f64::consts::TAU;
use std::fmt;

use nalgebra::{Matrix4, Matrix6, Vector4};

use crate::maps::Point;
use crate::matrix::Passage;
use crate::modes::{Mode, modes};
use crate::orbit::NoClosedOrbit;
use crate::ring::{Effects, Ring};

/// Optical functions at the entrance of each element and at the end: N + 1 values each.
#[derive(Clone, Debug, PartialEq)]
pub struct Optics {
    /// Path length from the start [m].
    pub position: Vec<f64>,
    /// Closed orbit the functions belong to.
    pub orbit: Vec<Point<f64>>,
    /// Horizontal beta function [m].
    pub beta_x: Vec<f64>,
    /// Vertical beta function [m].
    pub beta_y: Vec<f64>,
    /// Horizontal alpha function [1].
    pub alpha_x: Vec<f64>,
    /// Vertical alpha function [1].
    pub alpha_y: Vec<f64>,
    /// Horizontal phase advance from the start [rad].
    pub phase_x: Vec<f64>,
    /// Vertical phase advance from the start [rad].
    pub phase_y: Vec<f64>,
    /// Derivative of the orbit with respect to delta: x [m], px [1], y [m], py [1].
    pub dispersion: Vec<[f64; 4]>,
    /// Total energy of the reference particle, which strengths are normalised to [eV].
    pub energy: Vec<f64>,
    /// Derivative of ct over one passage with respect to delta, over the length [1].
    pub momentum_compaction: f64,
}

impl Optics {
    /// Horizontal tune of the elements, with its integer part [1].
    #[must_use]
    pub fn tune_x(&self) -> f64 {
        self.phase_x.last().map_or(0.0, |phase| phase / TAU)
    }

    /// Vertical tune of the elements, with its integer part [1].
    #[must_use]
    pub fn tune_y(&self) -> f64 {
        self.phase_y.last().map_or(0.0, |phase| phase / TAU)
    }
}

/// Beta and alpha of one plane at the start of a line or ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Twiss {
    /// Beta function [m].
    pub beta: f64,
    /// Alpha function [1].
    pub alpha: f64,
}

/// Why there are no optical functions.
#[derive(Clone, Debug, PartialEq)]
pub enum NoOptics {
    /// There is no closed orbit.
    NoClosedOrbit(NoClosedOrbit),
    /// The motion in a plane is not stable; half the trace of its one-turn matrix is given.
    Unstable(&'static str, f64),
    /// Nothing radiates, so that nothing damps and there is no equilibrium.
    NoRadiation,
    /// Radiation makes the oscillations in a plane grow; the damping partition number or rate is given.
    NotDamped(&'static str, f64),
}

impl fmt::Display for NoOptics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClosedOrbit(reason) => reason.fmt(out),
            Self::Unstable(plane, cosine) => {
                write!(out, "no stable {plane} optics: half the trace of the one-turn matrix is {cosine:.4}, beyond 1")
            }
            Self::NoRadiation => write!(out, "no equilibrium: nothing radiates, so nothing damps"),
            Self::NotDamped(plane, damping) => {
                write!(out, "no equilibrium: {plane} oscillations grow (damping {damping:.3e})")
            }
        }
    }
}

impl std::error::Error for NoOptics {}

impl From<NoClosedOrbit> for NoOptics {
    fn from(reason: NoClosedOrbit) -> Self {
        Self::NoClosedOrbit(reason)
    }
}

impl Twiss {
    /// The periodic solution of a 2x2 block `[[m11, m12], [m21, m22]]`, with the phase advance in (0, 2 pi).
    fn periodic([[m11, m12], [m21, m22]]: [[f64; 2]; 2], plane: &'static str) -> Result<Self, NoOptics> {
        let half = 0.5 * (m11 - m22);
        let squared = -m12 * m21 - half * half;
        if squared <= 0.0 || !squared.is_finite() {
            return Err(NoOptics::Unstable(plane, 0.5 * (m11 + m22)));
        }
        let sine = squared.sqrt() * m12.signum();
        Ok(Self { beta: m12 / sine, alpha: half / sine })
    }

    /// Beta, alpha and phase advance [rad, modulo 2 pi] after a transfer matrix block with determinant `shrink`, by
    /// which acceleration shrinks the geometric emittance.
    fn carried(self, [[t11, t12], [t21, t22]]: [[f64; 2]; 2], shrink: f64) -> (f64, f64, f64) {
        let Self { beta, alpha } = self;
        let (a, b) = (t11 * beta - t12 * alpha, t12);
        let slope = t21 * beta - t22 * alpha;
        ((a * a + b * b) / beta / shrink, -(a * slope + t22 * b) / beta / shrink, b.atan2(a))
    }
}

fn block(matrix: &Matrix6<f64>, plane: usize) -> [[f64; 2]; 2] {
    let first = 2 * plane;
    std::array::from_fn(|row| std::array::from_fn(|column| matrix[(first + row, first + column)]))
}

fn transverse(matrix: &Matrix6<f64>) -> Matrix4<f64> {
    matrix.fixed_view::<4, 4>(0, 0).into()
}

fn energy_column(matrix: &Matrix6<f64>) -> Vector4<f64> {
    matrix.fixed_view::<4, 1>(0, 4).into()
}

/// The dispersion that comes back after one turn with this matrix.
pub(crate) fn periodic_dispersion(turn: &Matrix6<f64>) -> Result<Vector4<f64>, NoClosedOrbit> {
    let gap = Matrix4::identity() - transverse(turn);
    Ok(gap.try_inverse().ok_or(NoClosedOrbit::Resonance)? * energy_column(turn))
}

/// The dispersion after each matrix, in units of the local delta, which acceleration and cavities change.
pub(crate) fn carried_dispersion(matrices: &[Matrix6<f64>], start: Vector4<f64>) -> Vec<[f64; 4]> {
    let carried = |matrix: &Matrix6<f64>| {
        let delta = matrix[(4, 4)] + (0..4).map(|column| matrix[(4, column)] * start[column]).sum::<f64>();
        ((transverse(matrix) * start + energy_column(matrix)) / delta).into()
    };
    matrices.iter().map(carried).collect()
}

impl Ring {
    /// Path length from the start to the entrance of each element and to the end [m].
    #[must_use]
    pub fn positions(&self) -> Vec<f64> {
        let mut at = 0.0;
        let steps = self.elements().iter().map(|element| {
            at += element.length;
            at
        });
        std::iter::once(0.0).chain(steps).collect()
    }

    /// Optical functions at [`Ring::delta`], cavities and radiation left out.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn optics(&self) -> Result<Optics, NoOptics> {
        if self.effects() != Effects::NONE {
            return self.with_effects(Effects::NONE).optics();
        }
        let passage = self.closed_passage()?;
        let turn = passage.matrix();
        let twiss = [Twiss::periodic(block(&turn, 0), "horizontal")?, Twiss::periodic(block(&turn, 1), "vertical")?];
        Ok(self.carry(passage, twiss, periodic_dispersion(&turn)?))
    }

    /// Optical functions along a line from given ones at its start: Twiss functions x, y, dispersion (x, px, y, py).
    ///
    /// In an accelerating line beta functions belong to the geometric emittance, which shrinks with the momentum, and
    /// the dispersion to the local delta.
    ///
    /// # Errors
    /// The particle on the design orbit is lost.
    pub fn optics_from(&self, twiss: [Twiss; 2], dispersion: [f64; 4]) -> Result<Optics, NoOptics> {
        self.optics_along(&[0.0, 0.0, 0.0, 0.0, self.delta(), 0.0], twiss, dispersion)
    }

    /// The same about the trajectory of a particle that enters at `start`.
    ///
    /// # Errors
    /// That particle is lost.
    pub fn optics_along(
        &self,
        start: &Point<f64>,
        twiss: [Twiss; 2],
        dispersion: [f64; 4],
    ) -> Result<Optics, NoOptics> {
        let passage = self.passage(start).map_err(|index| self.lost(index))?;
        Ok(self.carry(passage, twiss, Vector4::from(dispersion)))
    }

    fn carry(&self, passage: Passage, twiss: [Twiss; 2], dispersion: Vector4<f64>) -> Optics {
        let matrices = &passage.matrices;
        let shrinks = self.momentum_ratios();
        let [x, y] = [0, 1].map(|plane| {
            let points = matrices
                .iter()
                .zip(&shrinks)
                .map(|(matrix, shrink)| twiss[plane].carried(block(matrix, plane), *shrink));
            Functions::unwrapped(points)
        });
        let turn = passage.matrix();
        let path = turn[(5, 4)] + (0..4).map(|column| turn[(5, column)] * dispersion[column]).sum::<f64>();
        Optics {
            position: self.positions(),
            beta_x: x.beta,
            beta_y: y.beta,
            alpha_x: x.alpha,
            alpha_y: y.alpha,
            phase_x: x.phase,
            phase_y: y.phase,
            dispersion: carried_dispersion(matrices, dispersion),
            energy: self.energies(),
            momentum_compaction: path / self.length() + self.settings.inverse_gamma_squared(),
            orbit: passage.points,
        }
    }

    /// Fractional tunes and damping rates of the normal modes on the closed orbit: two without cavities, three with.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn modes(&self) -> Result<Vec<Mode>, NoOptics> {
        self.modes_of(&self.closed_passage()?.matrix())
    }

    /// The same about a closed orbit that is known, from its coordinates at the start.
    ///
    /// # Errors
    /// The particle is lost, or the motion is unstable.
    pub fn modes_at(&self, start: &Point<f64>) -> Result<Vec<Mode>, NoOptics> {
        let matrix = self.one_turn_matrix(start).map_err(|index| self.lost(index))?;
        self.modes_of(&matrix)
    }

    fn modes_of(&self, matrix: &Matrix6<f64>) -> Result<Vec<Mode>, NoOptics> {
        let dimensions = if self.effects().cavity { 6 } else { 4 };
        let half_trace = 0.5 * (matrix[(0, 0)] + matrix[(1, 1)]);
        modes(matrix, dimensions).ok_or(NoOptics::Unstable("transverse", half_trace))
    }
}

/// Functions of one plane at all points.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) beta: Vec<f64>,
    pub(crate) alpha: Vec<f64>,
    pub(crate) phase: Vec<f64>,
}

impl Functions {
    /// Collects points, adding whole turns so that the phase never falls (by more than rounding).
    pub(crate) fn unwrapped(points: impl Iterator<Item = (f64, f64, f64)>) -> Self {
        let mut all = Self::default();
        let (mut last, mut turns) = (0.0, 0.0);
        for (beta, alpha, phase) in points {
            if phase - last < -1e-3 {
                turns += TAU;
            }
            last = phase;
            all.beta.push(beta);
            all.alpha.push(alpha);
            all.phase.push(phase + turns);
        }
        all
    }
}
