//! Solving normal equations that may say nothing of some combinations of parameters.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, MatRef, Side};
use nalgebra::{DMatrix, DVector};

use crate::fit::NoFit;
use crate::normal::Normal;

/// Which combinations of parameters are left as they are, since the data hardly tell them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Singular values below this part of the largest do not count [1]; of derivatives with columns of one size.
    pub threshold: f64,
    /// At most so many singular values count.
    pub count: Option<usize>,
}

impl Default for Cut {
    fn default() -> Self {
        Self { threshold: 1e-6, count: None }
    }
}

/// Normal equations of the parameters that data depend on, each in a unit that makes its diagonal 1.
pub(crate) struct Scaled {
    /// Places of these parameters among all.
    pub active: Vec<usize>,
    pub scale: Vec<f64>,
    pub matrix: DMatrix<f64>,
    pub gradient: DVector<f64>,
    all: usize,
}

impl Scaled {
    pub fn new(normal: &Normal) -> Self {
        let all = normal.gradient.len();
        let largest = (0..all).map(|place| normal.matrix[(place, place)]).fold(0.0, f64::max);
        let active: Vec<usize> = (0..all).filter(|&place| normal.matrix[(place, place)] > 1e-30 * largest).collect();
        let scale: Vec<f64> = active.iter().map(|&place| normal.matrix[(place, place)].sqrt().recip()).collect();
        let count = active.len();
        let matrix = DMatrix::from_fn(count, count, |i, j| normal.matrix[(active[i], active[j])] * scale[i] * scale[j]);
        let gradient = DVector::from_fn(count, |i, _| normal.gradient[active[i]] * scale[i]);
        Self { active, scale, matrix, gradient, all }
    }

    /// A step of the scaled parameters as one of all.
    pub fn spread(&self, scaled: &DVector<f64>) -> Vec<f64> {
        let mut all = vec![0.0; self.all];
        for (entry, &place) in self.active.iter().enumerate() {
            all[place] = scaled[entry] * self.scale[entry];
        }
        all
    }

    /// A direction of all parameters as one of the scaled ones, of length 1; `None` if nothing of it is left.
    pub fn direction(&self, all: &[f64]) -> Option<DVector<f64>> {
        let scaled = self.active.iter().zip(&self.scale).map(|(&place, scale)| all[place] / scale);
        let direction = DVector::from_iterator(self.active.len(), scaled);
        let length = direction.norm();
        (length > 0.0).then(|| direction / length)
    }

    /// The equations solved: by a Cholesky decomposition where all is told but the `known` directions, else by eigenvectors.
    pub fn solved(&self, damping: Option<&[f64]>, known: &[DVector<f64>], cut: Cut) -> Result<Solved, NoFit> {
        let mut matrix = self.matrix.clone();
        if let Some(damping) = damping {
            damping.iter().enumerate().for_each(|(place, by)| matrix[(place, place)] += by);
        }
        let null = self.undetermined(known, cut.threshold);
        if cut.count.is_none_or(|count| count + null.len() >= self.active.len()) {
            let largest = largest(&matrix);
            let mut whole = matrix.clone();
            null.iter().for_each(|null| whole.ger(largest, null, null, 1.0));
            if let Ok(cholesky) = view(&whole).llt(Side::Lower) {
                let solved = Solved::Whole { cholesky, null, largest };
                if solved.smallest(self.active.len()) > cut.threshold.powi(2) * largest {
                    return Ok(solved);
                }
            }
        }
        Solved::by_vectors(&matrix, cut)
    }

    /// Those of some directions, made perpendicular to each other, along which nothing changes.
    pub fn undetermined(&self, known: &[DVector<f64>], threshold: f64) -> Vec<DVector<f64>> {
        let (limit, mut found) = (threshold.powi(2) * largest(&self.matrix), Vec::<DVector<f64>>::new());
        for direction in known {
            let mut rest = direction.clone();
            found.iter().for_each(|found| rest -= found * found.dot(direction));
            let length = rest.norm();
            if length < 1e-6 {
                continue;
            }
            rest /= length;
            if (&self.matrix * &rest).dot(&rest) < limit {
                found.push(rest);
            }
        }
        found
    }
}

fn view(matrix: &DMatrix<f64>) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(matrix.as_slice(), matrix.nrows(), matrix.ncols())
}

fn column(vector: &DVector<f64>) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(vector.as_slice(), vector.len(), 1)
}

/// The largest eigenvalue, to a few per cent.
fn largest(matrix: &DMatrix<f64>) -> f64 {
    let mut vector: DVector<f64> = DVector::from_element(matrix.nrows(), 1.0);
    let mut size = 1.0;
    for _ in 0..30 {
        vector /= vector.norm().max(f64::MIN_POSITIVE);
        vector = matrix * vector;
        size = vector.norm();
    }
    size.max(f64::MIN_POSITIVE)
}

/// Normal equations, solved for any right side.
pub(crate) enum Solved {
    /// All is told but the directions `null`, which were made stiff by `largest`.
    Whole { cholesky: Llt<f64>, null: Vec<DVector<f64>>, largest: f64 },
    /// Eigenvectors, rising values, and how many of the first do not count.
    Vectors { vectors: DMatrix<f64>, values: Vec<f64>, dropped: usize },
}

impl Solved {
    fn by_vectors(matrix: &DMatrix<f64>, cut: Cut) -> Result<Self, NoFit> {
        let count = matrix.nrows();
        let eigen = view(matrix).self_adjoint_eigen(Side::Lower).map_err(|_| NoFit::Eigenvectors)?;
        let values: Vec<f64> = (0..count).map(|at| eigen.S().column_vector()[at]).collect();
        let vectors = DMatrix::from_fn(count, count, |row, column| eigen.U()[(row, column)]);
        let limit = cut.threshold.powi(2) * values.last().copied().unwrap_or(0.0);
        let small = values.iter().take_while(|value| **value <= limit.max(0.0)).count();
        let dropped = small.max(count - cut.count.unwrap_or(count).min(count));
        Ok(Self::Vectors { vectors, values, dropped })
    }

    pub fn solve(&self, right: &DVector<f64>) -> DVector<f64> {
        match self {
            Self::Whole { cholesky, null, .. } => {
                let mut right = right.clone();
                null.iter().for_each(|null| right -= null * null.dot(&right));
                let solution = cholesky.solve(column(&right));
                DVector::from_fn(right.len(), |row, _| solution[(row, 0)])
            }
            Self::Vectors { vectors, values, dropped } => {
                let mut parts = vectors.tr_mul(right);
                for (place, part) in parts.iter_mut().enumerate() {
                    *part = if place < *dropped { 0.0 } else { *part / values[place] };
                }
                vectors * parts
            }
        }
    }

    /// The smallest eigenvalue, to a few per cent, found by going back and forth.
    fn smallest(&self, count: usize) -> f64 {
        // a start that is no eigenvector of anything
        let mut vector: DVector<f64> = DVector::from_fn(count, |row, _| 1.0 + 0.5 * ((row * row) as f64).sin());
        let mut size = 0.0;
        for _ in 0..12 {
            vector /= vector.norm();
            vector = self.solve(&vector);
            size = vector.norm();
        }
        if size > 0.0 { size.recip() } else { f64::INFINITY }
    }

    /// Directions along which nothing is told.
    pub fn null(&self) -> Vec<DVector<f64>> {
        match self {
            Self::Whole { null, .. } => null.clone(),
            Self::Vectors { vectors, dropped, .. } => {
                (0..*dropped).map(|place| vectors.column(place).into_owned()).collect()
            }
        }
    }

    /// Covariance of the scaled parameters, what is not told held.
    pub fn covariance(&self, count: usize) -> DMatrix<f64> {
        match self {
            Self::Whole { cholesky, null, largest } => {
                let inverse = cholesky.solve(Mat::<f64>::identity(count, count));
                let mut covariance = DMatrix::from_fn(count, count, |row, column| inverse[(row, column)]);
                null.iter().for_each(|null| covariance.ger(-largest.recip(), null, null, 1.0));
                covariance
            }
            Self::Vectors { vectors, values, dropped } => {
                let mut kept = vectors.columns(*dropped, count - dropped).into_owned();
                for (column, value) in values[*dropped..].iter().enumerate() {
                    kept.column_mut(column).scale_mut(value.sqrt().recip());
                }
                let kept = view(&kept);
                let product = kept * kept.transpose();
                DMatrix::from_fn(count, count, |row, column| product[(row, column)])
            }
        }
    }
}
