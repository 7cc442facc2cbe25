//! Optics of coupled transverse motion: normal modes and the coupling matrix.
//!
//! At each point `(x, y) = V (mode 1, mode 2)` with `V = [[gamma I, C], [-C⁺, gamma I]]` takes normal modes, which have
//! Twiss functions as uncoupled planes have, to the coordinates (D. Sagan, D. Rubin, Phys. Rev. ST Accel. Beams 2,
//! 074001). Where coupling is so strong that a mode is more than wholly in the other plane, there is no such V; there
//! the modes change places.

use nalgebra::{Matrix2, Matrix4};

use crate::maps::Point;
use crate::modes::normal_form;
use crate::optics::{Functions, NoOptics, carried_dispersion, periodic_dispersion};
use crate::ring::{Effects, Ring};

/// Optical functions of the two transverse modes, at the entrance of each element and at the end: N + 1 values each.
///
/// Mode 1 is the one that is most in x at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct CoupledOptics {
    /// Path length from the start [m].
    pub position: Vec<f64>,
    /// Closed orbit the functions belong to.
    pub orbit: Vec<Point<f64>>,
    /// Fractional tunes of mode 1 and mode 2 [1].
    pub tunes: [f64; 2],
    /// Beta function of mode 1 [m].
    pub beta_1: Vec<f64>,
    /// Beta function of mode 2 [m].
    pub beta_2: Vec<f64>,
    /// Alpha function of mode 1 [1].
    pub alpha_1: Vec<f64>,
    /// Alpha function of mode 2 [1].
    pub alpha_2: Vec<f64>,
    /// Phase advance of mode 1 from the start [rad].
    pub phase_1: Vec<f64>,
    /// Phase advance of mode 2 from the start [rad].
    pub phase_2: Vec<f64>,
    /// How much a mode is in its own plane: gamma² + det C = 1 [1]; 1 without coupling.
    pub gamma: Vec<f64>,
    /// Coupling matrix C, `[[C11 [1], C12 [m]], [C21 [1/m], C22 [1]]]`; 0 without coupling.
    pub coupling: Vec<Matrix2<f64>>,
    /// Whether the modes have changed places: `(x, y) = V (mode 2, mode 1)`.
    pub exchanged: Vec<bool>,
    /// Derivative of the orbit with respect to delta: x [m], px [1], y [m], py [1].
    pub dispersion: Vec<[f64; 4]>,
}

impl CoupledOptics {
    /// The matrix V at a point: coordinates (x, px, y, py) from those of the modes.
    #[must_use]
    pub fn decoupling(&self, point: usize) -> Matrix4<f64> {
        let (gamma, c) = (self.gamma[point], &self.coupling[point]);
        let mut v = Matrix4::from_diagonal_element(gamma);
        v.fixed_view_mut::<2, 2>(0, 2).copy_from(c);
        v.fixed_view_mut::<2, 2>(2, 0).copy_from(&-adjugate(c));
        v
    }
}

/// Twiss functions and phase of both modes, gamma, C, whether the modes are exchanged.
type Local = ([(f64, f64, f64); 2], f64, Matrix2<f64>, bool);

/// det(m) m⁻¹.
fn adjugate(m: &Matrix2<f64>) -> Matrix2<f64> {
    Matrix2::new(m[(1, 1)], -m[(0, 1)], -m[(1, 0)], m[(0, 0)])
}

/// What the normalised eigenvectors at a point, as columns, say of coupling there. Their 2x2 blocks have the
/// determinants gamma² on the diagonal and 1 - gamma² beside it, one of which is positive.
fn local(basis: &Matrix4<f64>) -> Local {
    let block = |row, column| -> Matrix2<f64> { basis.fixed_view::<2, 2>(row, column).into() };
    let exchanged = block(0, 0).determinant() <= 0.0;
    let (own, other) = if exchanged { (2, 0) } else { (0, 2) };
    let (upper, lower) = (block(0, own), block(2, other));
    let gamma = upper.determinant().sqrt();
    let coupling = block(0, other) * adjugate(&lower) / gamma;
    let [upper, lower] = [upper, lower].map(|normal| twiss(&(normal / gamma)));
    let modes = if exchanged { [lower, upper] } else { [upper, lower] };
    (modes, gamma, coupling, exchanged)
}

/// Beta, alpha and phase from a normalised basis.
fn twiss(normal: &Matrix2<f64>) -> (f64, f64, f64) {
    let (first, second) = (normal.row(0), normal.row(1));
    (first.norm_squared(), -first.dot(&second), first[1].atan2(first[0]))
}

impl Ring {
    /// Optics of the coupled transverse modes at [`Ring::delta`], cavities and radiation left out.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn coupled_optics(&self) -> Result<CoupledOptics, NoOptics> {
        if self.effects() != Effects::NONE {
            return self.with_effects(Effects::NONE).coupled_optics();
        }
        let passage = self.closed_passage()?;
        let turn = &passage.matrix();
        let (orbit, matrices) = (passage.points, passage.matrices);
        let half_trace = 0.5 * (turn[(0, 0)] + turn[(1, 1)]);
        let form = normal_form(turn, 4).ok_or(NoOptics::Unstable("transverse", half_trace))?;
        let start: Matrix4<f64> = form.basis.fixed_view::<4, 4>(0, 0).into();
        let points: Vec<Local> =
            matrices.iter().map(|matrix| local(&(matrix.fixed_view::<4, 4>(0, 0) * start))).collect();
        let [one, two] = [0, 1].map(|mode| Functions::unwrapped(points.iter().map(|point| point.0[mode])));
        Ok(CoupledOptics {
            position: self.positions(),
            orbit,
            tunes: [form.modes[0].tune, form.modes[1].tune],
            beta_1: one.beta,
            beta_2: two.beta,
            alpha_1: one.alpha,
            alpha_2: two.alpha,
            phase_1: one.phase,
            phase_2: two.phase,
            gamma: points.iter().map(|point| point.1).collect(),
            coupling: points.iter().map(|point| point.2).collect(),
            exchanged: points.iter().map(|point| point.3).collect(),
            dispersion: carried_dispersion(&matrices, periodic_dispersion(turn)?),
        })
    }
}
