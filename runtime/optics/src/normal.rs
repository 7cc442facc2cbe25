//! Optics from normalised eigenvectors, in all planes at once: coupled, with cavities, with radiation.
//!
//! At each point the basis `A` makes circles of the three (without cavities two) modes of one turn, and each mode has
//! its matrix `R_k = A S I_k A⁻¹ S⁻¹` (A. Wolski, Phys. Rev. ST Accel. Beams 9, 024001): the beam matrix is the sum of
//! emittances times these.

use std::f64::consts::TAU;

use nalgebra::Matrix6;

use crate::maps::Point;
use crate::modes::{Mode, normal_form};
use crate::optics::{Functions, NoOptics, carried_dispersion, periodic_dispersion};
use crate::orbit::NoClosedOrbit;
use crate::ring::Ring;

/// Optical functions from normalised eigenvectors, at the entrance of each element and at the end: N + 1 values each.
///
/// Coordinates are (x, px, y, py, delta, ct); mode 0 is the one most in x, 1 in y, 2 in the longitudinal plane.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalOptics {
    /// Path length from the start [m].
    pub position: Vec<f64>,
    /// Closed orbit the functions belong to.
    pub orbit: Vec<Point<f64>>,
    /// Fractional tunes and damping rates: three modes with cavities, two without.
    pub modes: Vec<Mode>,
    /// Basis in which each mode is a circle. Columns 2k and 2k + 1 belong to mode k; those of modes there are not, are of
    /// the identity.
    pub basis: Vec<Matrix6<f64>>,
    /// Part of mode 0 in the horizontal beam size squared, over its emittance [m].
    pub beta_x: Vec<f64>,
    /// Part of mode 1 in the vertical beam size squared, over its emittance [m].
    pub beta_y: Vec<f64>,
    /// Minus the part of mode 0 in the correlation of x and px, over its emittance [1].
    pub alpha_x: Vec<f64>,
    /// Minus the part of mode 1 in the correlation of y and py, over its emittance [1].
    pub alpha_y: Vec<f64>,
    /// Phase advance of each mode from the start [rad], of the longitudinal one seen in delta; 0 for a mode there is not.
    pub phase: Vec<[f64; 3]>,
    /// How x [m], px [1], y [m], py [1] go with delta in the longitudinal mode; without cavities, on closed orbits.
    pub dispersion: Vec<[f64; 4]>,
    /// Time of one turn [s].
    pub revolution_time: f64,
}

impl NormalOptics {
    /// The matrix of a mode at a point, by which its emittance adds to the beam matrix (6x6; 0 beyond the modes there
    /// are).
    #[must_use]
    pub fn mode_matrix(&self, point: usize, mode: usize) -> Matrix6<f64> {
        let inverse = self.basis[point].try_inverse().filter(|_| mode < self.modes.len());
        inverse.map_or_else(Matrix6::zeros, |inverse| mode_matrix(&self.basis[point], &inverse, mode))
    }

    /// Phase advances of one turn over 2 pi [1]: with the integer part for the transverse modes.
    #[must_use]
    pub fn tunes(&self) -> [f64; 3] {
        self.phase.last().copied().unwrap_or_default().map(|phase| phase / TAU)
    }

    /// Time in which the amplitude of each mode falls by a factor e [s]; infinite without damping.
    #[must_use]
    pub fn damping_times(&self) -> Vec<f64> {
        self.modes.iter().map(|mode| self.revolution_time / mode.damping).collect()
    }
}

/// The symplectic form; ct is the coordinate and delta the momentum of the longitudinal plane.
pub(crate) fn form() -> Matrix6<f64> {
    let mut form = Matrix6::zeros();
    for (q, p) in [(0, 1), (2, 3), (5, 4)] {
        (form[(q, p)], form[(p, q)]) = (1.0, -1.0);
    }
    form
}

fn mode_matrix(basis: &Matrix6<f64>, inverse: &Matrix6<f64>, mode: usize) -> Matrix6<f64> {
    let form = form();
    let mut one = Matrix6::zeros();
    (one[(2 * mode, 2 * mode)], one[(2 * mode + 1, 2 * mode + 1)]) = (1.0, 1.0);
    basis * form * one * inverse * form.transpose()
}

impl Ring {
    /// Optics from normalised eigenvectors on the closed orbit with the effects there are: three modes with cavities, two
    /// without, damped where magnets radiate.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn normal_optics(&self) -> Result<NormalOptics, NoOptics> {
        let passage = self.closed_passage()?;
        let turn = passage.matrix();
        let (orbit, mut matrices) = (passage.points, passage.matrices);
        let dimensions = if self.effects().cavity { 6 } else { 4 };
        let half_trace = 0.5 * (turn[(0, 0)] + turn[(1, 1)]);
        let form = normal_form(&turn, dimensions).ok_or(NoOptics::Unstable("transverse", half_trace))?;
        let dispersion =
            if dimensions == 6 { vec![] } else { carried_dispersion(&matrices, periodic_dispersion(&turn)?) };
        matrices.iter_mut().for_each(|matrix| keep_modes(matrix, dimensions));
        self.carry_basis(orbit, &matrices, form.modes, form.basis, dispersion)
    }

    fn carry_basis(
        &self,
        orbit: Vec<Point<f64>>,
        matrices: &[Matrix6<f64>],
        modes: Vec<Mode>,
        start: Matrix6<f64>,
        mut dispersion: Vec<[f64; 4]>,
    ) -> Result<NormalOptics, NoOptics> {
        let back = start.try_inverse().ok_or(NoClosedOrbit::Resonance)?;
        let mut basis = Vec::with_capacity(matrices.len());
        let mut points: [Vec<(f64, f64, f64)>; 3] = Default::default();
        for matrix in matrices {
            let at = matrix * start;
            let inverse = back * matrix.try_inverse().ok_or(NoClosedOrbit::Resonance)?;
            for (mode, points) in points.iter_mut().enumerate().take(modes.len()) {
                let (q, r) = (2 * mode, mode_matrix(&at, &inverse, mode));
                points.push((r[(q, q)], -r[(q + 1, q)], at[(q, q + 1)].atan2(at[(q, q)])));
                if mode == 2 {
                    dispersion.push(std::array::from_fn(|row| r[(row, 4)] / r[(4, 4)]));
                }
            }
            basis.push(at);
        }
        let [x, y, z] = points.map(|points| Functions::unwrapped(points.into_iter()));
        let third = |point: usize| z.phase.get(point).copied().unwrap_or(0.0);
        Ok(NormalOptics {
            position: self.positions(),
            orbit,
            modes,
            basis,
            phase: (0..matrices.len()).map(|point| [x.phase[point], y.phase[point], third(point)]).collect(),
            beta_x: x.beta,
            beta_y: y.beta,
            alpha_x: x.alpha,
            alpha_y: y.alpha,
            dispersion,
            revolution_time: self.settings.revolution_time,
        })
    }
}

/// Leaves the longitudinal plane out of a matrix in four dimensions.
fn keep_modes(matrix: &mut Matrix6<f64>, dimensions: usize) {
    if dimensions == 4 {
        let transverse: nalgebra::Matrix4<f64> = matrix.fixed_view::<4, 4>(0, 0).into();
        *matrix = Matrix6::identity();
        matrix.fixed_view_mut::<4, 4>(0, 0).copy_from(&transverse);
    }
}
