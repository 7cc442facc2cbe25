//! Transfer matrices, exact: derivatives of the maps, not differences.

use nalgebra::{Matrix6, Vector6};

use crate::features::{OnTangents, RareTangent, on_best_tangent};
use crate::maps::{Action, Point, Step};
use crate::number::{Register, Tangent};
use crate::ring::{Ring, is_lost};

/// A passage from the start to the end, with exact derivatives of the maps, not differences.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passage {
    /// Coordinates (x, px, y, py, delta, ct) at the entrance of each element and at the end: N + 1 points.
    pub points: Vec<Point<f64>>,
    /// Matrices from the start to the same places, about these points: N + 1.
    pub matrices: Vec<Matrix6<f64>>,
}

impl Passage {
    fn clear(&mut self, places: usize) {
        self.points.clear();
        self.matrices.clear();
        self.points.reserve(places);
        self.matrices.reserve(places);
    }

    /// Coordinates at the end; 0 if there are no points.
    #[must_use]
    pub fn end(&self) -> Point<f64> {
        self.points.last().copied().unwrap_or_default()
    }

    /// Moves the start by so little that the matrices stay as they are.
    pub(crate) fn shift(&mut self, step: &Vector6<f64>) {
        if step.iter().all(|&by| by == 0.0) {
            return;
        }
        for (point, matrix) in self.points.iter_mut().zip(&self.matrices) {
            let moved = matrix * step;
            point.iter_mut().zip(moved.iter()).for_each(|(coordinate, by)| *coordinate += by);
        }
    }

    /// The matrix of the whole passage; that of nothing if there are no points.
    #[must_use]
    pub fn matrix(&self) -> Matrix6<f64> {
        self.matrices.last().copied().unwrap_or_else(Matrix6::identity)
    }
}

impl Ring {
    /// A passage from `start`, with the matrices from there to each element and to the end.
    ///
    /// # Errors
    /// The index of the element after which the particle was lost.
    pub fn passage(&self, start: &Point<f64>) -> Result<Passage, usize> {
        let mut passage = Passage::default();
        self.record_passage(start, &mut passage)?;
        Ok(passage)
    }

    /// The same as far as the particle comes: to the entrance of the element in which it is lost.
    pub fn passage_so_far(&self, start: &Point<f64>) -> Passage {
        let mut passage = Passage::default();
        // where it ends is seen in what is there
        _ = self.record_passage(start, &mut passage);
        passage
    }

    /// The same into memory that is there.
    pub(crate) fn record_passage(&self, start: &Point<f64>, passage: &mut Passage) -> Result<(), usize> {
        passage.clear(self.len() + 1);
        on_best_tangent(Walk { steps: &self.steps, start, record: Some(passage) }).arrived().map(|_| ())
    }

    /// Matrix of one turn about `start`.
    ///
    /// # Errors
    /// The index of the element after which the particle was lost.
    pub fn one_turn_matrix(&self, start: &Point<f64>) -> Result<Matrix6<f64>, usize> {
        on_best_tangent(Walk { steps: &self.steps, start, record: None }).arrived()
    }

    /// Matrices from the start to the entrance of each element and to the end, about the trajectory from `start`.
    ///
    /// # Errors
    /// The index of the element after which the particle was lost.
    pub fn transfer_matrices(&self, start: &Point<f64>) -> Result<Vec<Matrix6<f64>>, usize> {
        Ok(self.passage(start)?.matrices)
    }
}

/// Matrix of one element at a point.
#[must_use]
pub fn element_matrix(step: &Step, at: &Point<f64>) -> Matrix6<f64> {
    on_best_tangent(Walk { steps: std::slice::from_ref(step), start: at, record: None }).matrix
}

/// Where a walk ends.
pub(crate) struct End {
    matrix: Matrix6<f64>,
    /// The element after which the particle was lost.
    lost: Option<usize>,
}

impl End {
    fn arrived(self) -> Result<Matrix6<f64>, usize> {
        self.lost.map_or(Ok(self.matrix), Err)
    }
}

/// What an instruction set is asked to do.
pub(crate) struct Walk<'a> {
    steps: &'a [Step],
    start: &'a Point<f64>,
    /// Where every point and matrix goes, if they are wanted.
    record: Option<&'a mut Passage>,
}

impl OnTangents for Walk<'_> {
    type Out = End;

    /// Takes a particle with its derivatives through the elements.
    #[inline(always)]
    fn run<R: Register, const M: usize>(self) -> End {
        let mut z = with_identity::<R, M>(self.start);
        let mut record = self.record;
        note(&mut record, &z);
        for (index, step) in self.steps.iter().enumerate() {
            if !step.is_nothing() {
                let before = step.enter(&mut z);
                if !step.action.act_if_common(&mut z, 0.0) {
                    act_rarely(&step.action, &mut z);
                }
                step.leave(&mut z, before);
                if is_lost(&z) {
                    return End { matrix: matrix_of(&z), lost: Some(index) };
                }
            }
            note(&mut record, &z);
        }
        End { matrix: matrix_of(&z), lost: None }
    }
}

/// A point whose derivatives are those with respect to itself.
#[inline(always)]
pub(crate) fn with_identity<R: Register, const M: usize>(at: &Point<f64>) -> Point<Tangent<R, M>> {
    let mut z = [Tangent::new(0.0, &[]); 6];
    for (row, coordinate) in z.iter_mut().enumerate() {
        let mut slopes = [0.0; 6];
        slopes[row] = 1.0;
        *coordinate = Tangent::new(at[row], &slopes);
    }
    z
}

#[inline(always)]
fn note<R: Register, const M: usize>(record: &mut Option<&mut Passage>, z: &Point<Tangent<R, M>>) {
    if let Some(passage) = record {
        passage.points.push(values(z));
        passage.matrices.push(matrix_of(z));
    }
}

#[inline(always)]
pub(crate) fn values<R: Register, const M: usize>(z: &Point<Tangent<R, M>>) -> Point<f64> {
    let mut values = [0.0; 6];
    for (value, coordinate) in values.iter_mut().zip(z) {
        *value = coordinate.value();
    }
    values
}

#[inline(always)]
pub(crate) fn matrix_of<R: Register, const M: usize>(z: &Point<Tangent<R, M>>) -> Matrix6<f64> {
    let mut columns = [[0.0; 6]; 6];
    for (column, entries) in columns.iter_mut().enumerate() {
        for (row, entry) in entries.iter_mut().enumerate() {
            *entry = z[row].slope(column);
        }
    }
    Matrix6::from(columns)
}

/// The elements that few rings have many of, compiled once for every processor.
#[inline(never)]
pub(crate) fn act_rarely<R: Register, const M: usize>(action: &Action, z: &mut Point<Tangent<R, M>>) {
    let mut plain: Point<RareTangent> = z.map(|coordinate| coordinate.moved());
    action.act_if_rare(&mut plain);
    *z = plain.map(|coordinate| coordinate.moved());
}
