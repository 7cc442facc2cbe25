//! Normal modes of a one-turn matrix, and the basis in which they are circles.

use std::f64::consts::TAU;

use nalgebra::{Complex, DMatrix, DVector, Matrix6};

/// A normal mode of oscillation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mode {
    /// Fractional tune, in [0, 1) [1].
    pub tune: f64,
    /// Damping rate per turn [1]; about 0 without radiation.
    pub damping: f64,
}

/// The normal modes of a one-turn matrix M: `M = basis R basis⁻¹`.
///
/// R turns the two columns of each mode by its phase mu, `exp(-damping) [[cos mu, sin mu], [-sin mu, cos mu]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalForm {
    /// The two (4D) or three (6D) modes, in the order x, y, longitudinal of the plane each is most in.
    pub modes: Vec<Mode>,
    /// Columns 2k and 2k + 1 are the real and the imaginary part of the eigenvector of mode k, of norm 1, turned so that
    /// its imaginary part has no share in row 2k. Ones on the diagonal beyond the modes there are.
    pub basis: Matrix6<f64>,
}

/// An eigenvector with a positive norm, and its eigenvalue.
struct Found {
    value: Complex<f64>,
    vector: DVector<Complex<f64>>,
    /// How much of the norm lies in each plane.
    shares: Vec<f64>,
}

/// Norms below this, of vectors of length 1, are those of growing modes, which have none.
const NO_NORM: f64 = 1e-12;

/// The two (4D) or three (6D) modes of a one-turn matrix.
///
/// `None` where the motion is not stable, or an eigenvalue is real.
#[must_use]
pub fn modes(matrix: &Matrix6<f64>, dimensions: usize) -> Option<Vec<Mode>> {
    normal_form(matrix, dimensions).map(|form| form.modes)
}

/// The modes of a one-turn matrix with their basis, in 4 or 6 dimensions.
///
/// `None` where the motion is not stable, or an eigenvalue is real.
#[must_use]
pub fn normal_form(matrix: &Matrix6<f64>, dimensions: usize) -> Option<NormalForm> {
    let matrix = DMatrix::from_fn(dimensions, dimensions, |row, column| matrix[(row, column)]);
    let mut found = vec![];
    for planes in coupled_planes(&matrix) {
        found.append(&mut found_in(&matrix, &planes)?);
    }
    let order = best_order(&found.iter().map(|found| found.shares.clone()).collect::<Vec<_>>())?;
    let mut form = NormalForm { modes: vec![], basis: Matrix6::identity() };
    for (plane, &index) in order.iter().enumerate() {
        let Found { value, vector, .. } = &found[index];
        form.modes.push(Mode { tune: (value.arg() / TAU).rem_euclid(1.0), damping: -value.norm().ln() });
        let turn = Complex::from_polar(1.0, -vector[2 * plane].arg());
        for row in 0..dimensions {
            let entry = vector[row] * turn;
            (form.basis[(row, 2 * plane)], form.basis[(row, 2 * plane + 1)]) = (entry.re, entry.im);
        }
        form.basis[(2 * plane, 2 * plane + 1)] = 0.0;
    }
    Some(form)
}

/// Groups of planes that have nothing to do with each other: eigenvectors keep to one, also where tunes are equal.
fn coupled_planes(matrix: &DMatrix<f64>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![];
    for plane in 0..matrix.nrows() / 2 {
        let coupled = |group: &Vec<usize>| group.iter().any(|&other| are_coupled(matrix, plane, other));
        let (joined, mut apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(coupled);
        let mut group = joined.concat();
        group.push(plane);
        apart.push(group);
        groups = apart;
    }
    groups
}

fn are_coupled(matrix: &DMatrix<f64>, plane: usize, other: usize) -> bool {
    let mut blocks = [(plane, other), (other, plane)].into_iter();
    blocks.any(|(row, column)| matrix.fixed_view::<2, 2>(2 * row, 2 * column).iter().any(|&entry| entry != 0.0))
}

/// The modes within these planes.
fn found_in(matrix: &DMatrix<f64>, planes: &[usize]) -> Option<Vec<Found>> {
    let rows: Vec<usize> = planes.iter().flat_map(|plane| [2 * plane, 2 * plane + 1]).collect();
    let part = DMatrix::from_fn(rows.len(), rows.len(), |row, column| matrix[(rows[row], rows[column])]);
    if part.iter().any(|entry| !entry.is_finite()) {
        return None;
    }
    let eigenvalues = part.complex_eigenvalues();
    let upper: Vec<_> = eigenvalues.iter().filter(|value| value.im > 0.0).collect();
    if upper.len() != planes.len() {
        return None;
    }
    let whole = |&value: &Complex<f64>| {
        let inside = eigenvector(&part, value);
        let mut vector = DVector::zeros(matrix.nrows());
        rows.iter().zip(inside.iter()).for_each(|(&row, &entry)| vector[row] = entry);
        normalised(value, vector)
    };
    upper.into_iter().map(whole).collect()
}

/// The vector, or its conjugate, with norm 1; `None` if its norm is 0.
fn normalised(value: Complex<f64>, vector: DVector<Complex<f64>>) -> Option<Found> {
    let shares = shares(&vector);
    let norm: f64 = shares.iter().sum();
    if norm.is_nan() || norm.abs() < NO_NORM {
        return None;
    }
    let vector = vector.unscale(norm.abs().sqrt());
    let shares = shares.iter().map(|share| share / norm).collect();
    Some(if norm > 0.0 {
        Found { value, vector, shares }
    } else {
        Found { value: value.conj(), vector: vector.map(|entry| entry.conj()), shares }
    })
}

/// How much of a vector's norm lies in each plane; positive where it turns with a positive phase.
fn shares(vector: &DVector<Complex<f64>>) -> Vec<f64> {
    let plane = |plane: usize| {
        // (ct, delta), so that the synchrotron tune above transition is small and positive
        let (q, p) = if plane == 2 { (5, 4) } else { (2 * plane, 2 * plane + 1) };
        (vector[q].conj() * vector[p]).im
    };
    (0..vector.len() / 2).map(plane).collect()
}

/// Inverse iteration, from a vector that has a part in every plane.
fn eigenvector(matrix: &DMatrix<f64>, eigenvalue: Complex<f64>) -> DVector<Complex<f64>> {
    let size = matrix.nrows();
    let beside = eigenvalue + Complex::new(1e-10, 1e-10);
    let shifted = DMatrix::from_fn(size, size, |row, column| {
        let diagonal = if row == column { beside } else { Complex::new(0.0, 0.0) };
        Complex::new(matrix[(row, column)], 0.0) - diagonal
    });
    let decomposed = shifted.lu();
    let mut vector = DVector::from_fn(size, |row, _| Complex::new(1.0, 0.3 + 0.1 * row as f64));
    for _ in 0..4 {
        if let Some(next) = decomposed.solve(&vector) {
            vector = next.unscale(next.norm());
        }
    }
    vector
}

/// The assignment of modes to planes with the greatest summed share.
fn best_order(shares: &[Vec<f64>]) -> Option<Vec<usize>> {
    let orders: &[&[usize]] = match shares.len() {
        2 => &[&[0, 1], &[1, 0]],
        3 => &[&[0, 1, 2], &[0, 2, 1], &[1, 0, 2], &[1, 2, 0], &[2, 0, 1], &[2, 1, 0]],
        _ => return None,
    };
    let share =
        |mode: usize, plane: usize| shares[mode][plane].abs() / shares[mode].iter().map(|s| s.abs()).sum::<f64>();
    let merit = |order: &[usize]| -> f64 { order.iter().enumerate().map(|(plane, &mode)| share(mode, plane)).sum() };
    orders.iter().max_by(|a, b| merit(a).total_cmp(&merit(b))).map(|order| order.to_vec())
}
