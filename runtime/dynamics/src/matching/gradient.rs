//! Derivatives of figures with respect to variables.
//!
//! A strength that leaves the orbit where it is changes the matrix of its own element only, so that the derivatives of
//! tunes, Twiss functions and dispersion follow from the transfer matrices there are: to first order
//! dT(0→i) = T(0→i) Σ T(0→e+1)⁻¹ dM_e T(0→e) over the driven elements e before i. The derivative of one element's exact
//! matrix is a central difference of fourth order over 1e-3 of the variable's scale, good to about 1e-10. All else
//! (variables that move the orbit, chromaticities, lengths in figures that depend on the total one, figures of the
//! caller) is a central difference of the figures over 3e-4 of the scale; one-sided where one side does not exist.
//! A largest beta has the derivative of the place where it is; where two places are equally high it has none, and that
//! of one of them is taken.

use std::f64::consts::TAU;

use fodo_lattice::Lattice;
use fodo_optics::{Effects, Optics, Point, Ring};
use nalgebra::{DMatrix, Matrix4, Matrix6, Vector4};
use rayon::prelude::*;

use super::target::{Entry, Figure, Target, measure, optics};
use super::variable::{Driven, Parameter, Variable};
use super::{Matching, NoMatch};

/// Step of differences of one element's matrix, in units of the scale.
const ELEMENT_STEP: f64 = 1e-3;
/// Step of differences of the figures of the whole machine, in units of the scale.
const WHOLE_STEP: f64 = 3e-4;
/// Orbit changes per scale of a variable that count as none [m, rad].
const NO_PUSH: f64 = 1e-12;

/// Derivatives of the figures of all targets with respect to all variables, one column per variable.
pub(super) fn derivatives(matching: &Matching, ring: &Ring, x: &[f64]) -> Result<DMatrix<f64>, NoMatch> {
    let linear = if matching.targets.iter().all(|target| is_linear(&target.figure)) {
        Linear::new(ring, matching.entry)
    } else {
        None
    };
    let column = |index: usize| -> Result<Vec<f64>, NoMatch> {
        let variable = &matching.variables[index];
        if let Some(column) = linear.as_ref().and_then(|linear| linear.column(ring, variable, x[index], matching)) {
            return Ok(column);
        }
        by_differences(matching, ring, variable, x[index])
    };
    let columns: Result<Vec<_>, _> = (0..x.len()).into_par_iter().map(column).collect();
    let columns = columns?;
    Ok(DMatrix::from_fn(matching.targets.len(), x.len(), |row, column| columns[column][row]))
}

/// Whether a figure follows from transfer matrices.
fn is_linear(figure: &Figure) -> bool {
    !matches!(
        figure,
        Figure::ChromaticityX
            | Figure::ChromaticityY
            | Figure::OrbitX(_)
            | Figure::OrbitPx(_)
            | Figure::OrbitY(_)
            | Figure::OrbitPy(_)
            | Figure::Length
            | Figure::Other(..)
    )
}

fn by_differences(matching: &Matching, ring: &Ring, variable: &Variable, value: f64) -> Result<Vec<f64>, NoMatch> {
    let step = WHOLE_STEP * variable.scale;
    let at = |value: f64| {
        let mut beside = ring.clone();
        variable.apply(&mut beside, value);
        measure(&beside, matching.entry, &matching.targets)
    };
    let (below, above, span) = match (at(value - step), at(value + step)) {
        (Ok(below), Ok(above)) => (below, above, 2.0 * step),
        (Ok(below), Err(_)) => (below, at(value)?, step),
        (Err(_), above) => (at(value)?, above?, step),
    };
    Ok(above.iter().zip(&below).map(|(above, below)| (above - below) / span).collect())
}

/// A machine linearised about its orbit.
struct Linear {
    optics: Optics,
    matrices: Vec<Matrix6<f64>>,
    periodic: bool,
    /// (1 - M)^-1 of the transverse one-turn matrix.
    inverse: Option<Matrix4<f64>>,
}

/// A number and its derivative.
#[derive(Clone, Copy)]
struct Slope(f64, f64);

impl Linear {
    fn new(ring: &Ring, entry: Entry) -> Option<Self> {
        let quiet = ring.with_effects(Effects::NONE);
        let optics = optics(&quiet, entry).ok()?;
        let matrices = quiet.transfer_matrices(optics.orbit.first()?).ok()?;
        let turn: Matrix4<f64> = matrices.last()?.fixed_view::<4, 4>(0, 0).into();
        let periodic = entry == Entry::Periodic;
        let inverse = if periodic { Some((Matrix4::identity() - turn).try_inverse()?) } else { None };
        Some(Self { optics, matrices, periodic, inverse })
    }

    /// The column of a variable; `None` if it moves the orbit or the length.
    fn column(&self, ring: &Ring, variable: &Variable, value: f64, matching: &Matching) -> Option<Vec<f64>> {
        let mut pushes: Vec<(usize, Matrix6<f64>)> = vec![];
        for driven in &variable.driven {
            let change = self.element_slope(ring, driven, value, variable.scale)?;
            let before = &self.matrices[driven.element];
            let back = self.matrices[driven.element + 1].lu().solve(&(change * before))?;
            pushes.push((driven.element, back));
        }
        pushes.sort_by_key(|(element, _)| *element);
        let end = self.slope_at(&pushes, self.matrices.len() - 1);
        matching.targets.iter().map(|target| self.figure(&target.figure, &pushes, &end)).collect()
    }

    /// Derivative of the matrix of one element with respect to the variable; `None` if its orbit moves.
    fn element_slope(&self, ring: &Ring, driven: &Driven, value: f64, scale: f64) -> Option<Matrix6<f64>> {
        if matches!(driven.parameter, Parameter::Length | Parameter::Frequency | Parameter::Voltage) {
            return None;
        }
        let at = self.optics.orbit.get(driven.element)?;
        let step = ELEMENT_STEP * scale;
        let [far_below, below, above, far_above] = [-2.0, -1.0, 1.0, 2.0]
            .map(|factor| passed(ring, driven, driven.offset + driven.factor * (value + factor * step), at));
        let ((below_end, below), (above_end, above)) = (below?, above?);
        let moved = (0..4).any(|row| (above_end[row] - below_end[row]).abs() > NO_PUSH * 2.0 * ELEMENT_STEP);
        let ((_, far_below), (_, far_above)) = (far_below?, far_above?);
        (!moved).then(|| ((above - below) * 8.0 - (far_above - far_below)) / (12.0 * step))
    }

    /// Derivative of the matrix from the start to a place.
    fn slope_at(&self, pushes: &[(usize, Matrix6<f64>)], place: usize) -> Matrix6<f64> {
        let before = pushes.iter().filter(|(element, _)| *element < place);
        self.matrices[place] * before.fold(Matrix6::zeros(), |sum, (_, push)| sum + push)
    }

    fn figure(&self, figure: &Figure, pushes: &[(usize, Matrix6<f64>)], end: &Matrix6<f64>) -> Option<f64> {
        let last = self.matrices.len() - 1;
        let twiss = |plane: usize, place: usize| self.twiss(plane, place, &self.slope_at(pushes, place), end);
        let dispersion = |row: usize, place: usize| {
            let slopes = self.dispersion_slope(place, &self.slope_at(pushes, place), end)?;
            Some(slopes[row])
        };
        let phase = |plane: usize, from: usize, to: usize| {
            let around = if to < from { twiss(plane, last)?[2] } else { 0.0 };
            Some(twiss(plane, to)?[2] - twiss(plane, from)?[2] + around)
        };
        match *figure {
            Figure::TuneX => Some(twiss(0, last)?[2] / TAU),
            Figure::TuneY => Some(twiss(1, last)?[2] / TAU),
            Figure::BetaX(at) => Some(twiss(0, at)?[0]),
            Figure::BetaY(at) => Some(twiss(1, at)?[0]),
            Figure::AlphaX(at) => Some(twiss(0, at)?[1]),
            Figure::AlphaY(at) => Some(twiss(1, at)?[1]),
            Figure::DispersionX(at) => dispersion(0, at),
            Figure::DispersionPx(at) => dispersion(1, at),
            Figure::DispersionY(at) => dispersion(2, at),
            Figure::DispersionPy(at) => dispersion(3, at),
            Figure::PhaseX(from, to) => phase(0, from, to),
            Figure::PhaseY(from, to) => phase(1, from, to),
            Figure::BetaMaxX => Some(twiss(0, place_of_largest(&self.optics.beta_x)?)?[0]),
            Figure::BetaMaxY => Some(twiss(1, place_of_largest(&self.optics.beta_y)?)?[0]),
            Figure::MomentumCompaction => self.compaction_slope(end),
            _ => None,
        }
    }

    /// Derivatives of beta, alpha and phase at a place, from those of the matrix to it and of the one-turn matrix.
    fn twiss(&self, plane: usize, place: usize, here: &Matrix6<f64>, end: &Matrix6<f64>) -> Option<[f64; 3]> {
        let last = self.matrices.len() - 1;
        let [beta, alpha] = if self.periodic {
            periodic(block(&self.matrices[last], end, plane))?
        } else {
            let optics = &self.optics;
            let of = |values: [&Vec<f64>; 2]| values[plane].first().map(|&value| Slope(value, 0.0));
            [of([&optics.beta_x, &optics.beta_y])?, of([&optics.alpha_x, &optics.alpha_y])?]
        };
        let [[t11, t12], [t21, t22]] = block(&self.matrices[place], here, plane);
        let (a, b) = (t11 * beta - t12 * alpha, t12);
        let slope = t21 * beta - t22 * alpha;
        let squared = a.0 * a.0 + b.0 * b.0;
        let phase = (a.0 * b.1 - b.0 * a.1) / squared;
        Some([((a * a + b * b) / beta).1, -((a * slope + t22 * b) / beta).1, phase])
    }

    fn dispersion_slope(&self, place: usize, here: &Matrix6<f64>, end: &Matrix6<f64>) -> Option<Vector4<f64>> {
        let (start, start_slope) = self.start_dispersion(end)?;
        let (matrix, slope) = (&self.matrices[place], here);
        Some(transverse(matrix) * start_slope + transverse(slope) * start + energy_column(slope))
    }

    /// Dispersion at the start and its derivative.
    fn start_dispersion(&self, end: &Matrix6<f64>) -> Option<(Vector4<f64>, Vector4<f64>)> {
        let start = Vector4::from(*self.optics.dispersion.first()?);
        let slope = self.inverse.map(|inverse| inverse * (transverse(end) * start + energy_column(end)));
        Some((start, slope.unwrap_or_else(Vector4::zeros)))
    }

    fn compaction_slope(&self, end: &Matrix6<f64>) -> Option<f64> {
        let (start, slope) = self.start_dispersion(end)?;
        let turn = self.matrices.last()?;
        let path: f64 = (0..4).map(|column| end[(5, column)] * start[column] + turn[(5, column)] * slope[column]).sum();
        Some((end[(5, 4)] + path) / self.optics.position.last()?)
    }
}

/// Where an element with this value of its parameter takes a point, and its matrix there.
fn passed(ring: &Ring, driven: &Driven, value: f64, at: &Point<f64>) -> Option<(Point<f64>, Matrix6<f64>)> {
    let mut element = ring.element(driven.element).clone();
    driven.parameter.set_in(&mut element, value);
    let lattice = Lattice {
        name: String::new(),
        energy: ring.energy(),
        periodicity: 1,
        harmonic_number: None,
        rest_energy: ring.rest_energy(),
        reference: ring.reference(),
        elements: vec![element],
    };
    let alone = Ring::new(&lattice, Effects::NONE);
    let mut end = *at;
    alone.pass(&mut end, 0.0).ok()?;
    Some((end, alone.one_turn_matrix(at).ok()?))
}

fn place_of_largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]))
}

fn transverse(matrix: &Matrix6<f64>) -> Matrix4<f64> {
    matrix.fixed_view::<4, 4>(0, 0).into()
}

fn energy_column(matrix: &Matrix6<f64>) -> Vector4<f64> {
    matrix.fixed_view::<4, 1>(0, 4).into()
}

fn block(matrix: &Matrix6<f64>, slope: &Matrix6<f64>, plane: usize) -> [[Slope; 2]; 2] {
    let first = 2 * plane;
    let entry = |row, column| Slope(matrix[(first + row, first + column)], slope[(first + row, first + column)]);
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

/// Beta and alpha of a one-turn matrix.
fn periodic([[m11, m12], [m21, m22]]: [[Slope; 2]; 2]) -> Option<[Slope; 2]> {
    let half = (m11 - m22) * Slope(0.5, 0.0);
    let squared = Slope(0.0, 0.0) - m12 * m21 - half * half;
    let root = squared.0.sqrt() * m12.0.signum();
    let sine = Slope(root, 0.5 * squared.1 / root);
    (squared.0 > 0.0).then(|| [m12 / sine, half / sine])
}

impl std::ops::Add for Slope {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1)
    }
}

impl std::ops::Sub for Slope {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0, self.1 - other.1)
    }
}

impl std::ops::Mul for Slope {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0, self.0 * other.1 + self.1 * other.0)
    }
}

impl std::ops::Div for Slope {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let quotient = self.0 / other.0;
        Self(quotient, (self.1 - quotient * other.1) / other.0)
    }
}

/// The residuals' signs and weights on derivatives of figures: rows of targets that are on their allowed side are 0.
pub(super) fn weighted(mut derivatives: DMatrix<f64>, targets: &[Target], reached: &[f64]) -> DMatrix<f64> {
    for (row, (target, &reached)) in targets.iter().zip(reached).enumerate() {
        let idle = target.relation != super::Relation::Equal && target.missing(reached) == 0.0;
        let factor = if idle { 0.0 } else { target.weight };
        derivatives.row_mut(row).iter_mut().for_each(|entry| *entry *= factor);
    }
    derivatives
}
