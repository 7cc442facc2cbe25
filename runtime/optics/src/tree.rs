//! Products of the matrices of a ring, kept so that one that changes costs the logarithm of their number.

use std::ops::Range;

use nalgebra::Matrix6;

use crate::maps::Point;
use crate::matrix::{Passage, element_matrix};
use crate::ring::Ring;

/// The matrices of all elements, and products of neighbours, of neighbours of those and so on up to the whole turn.
///
/// For what changes in a single element while the closed orbit stays where it is: a gradient in a magnet which the orbit
/// goes through in the middle, or to first order any. Transfer matrices, and with them modes and optics at chosen places,
/// are then there again after some ten products of matrices instead of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixTree {
    elements: usize,
    /// Node 1 is the whole; below node n are 2n, which comes first in the ring, and 2n + 1. Leaves beyond the elements
    /// are 1.
    nodes: Vec<Matrix6<f64>>,
}

impl MatrixTree {
    /// The tree of matrices in the order in which a particle meets them.
    #[must_use]
    pub fn new(matrices: &[Matrix6<f64>]) -> Self {
        let leaves = matrices.len().next_power_of_two();
        let mut nodes = vec![Matrix6::identity(); 2 * leaves];
        nodes[leaves..leaves + matrices.len()].copy_from_slice(matrices);
        let mut tree = Self { elements: matrices.len(), nodes };
        (1..leaves).rev().for_each(|node| tree.join(node));
        tree
    }

    fn join(&mut self, node: usize) {
        self.nodes[node] = self.nodes[2 * node + 1] * self.nodes[2 * node];
    }

    fn leaves(&self) -> usize {
        self.nodes.len() / 2
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// The matrix of one element.
    #[must_use]
    pub fn element(&self, index: usize) -> &Matrix6<f64> {
        &self.nodes[self.leaves() + index]
    }

    /// Replaces the matrix of one element.
    pub fn set(&mut self, index: usize, matrix: Matrix6<f64>) {
        let mut node = self.leaves() + index;
        self.nodes[node] = matrix;
        while node > 1 {
            node /= 2;
            self.join(node);
        }
    }

    /// The matrix of the whole turn.
    #[must_use]
    pub fn turn(&self) -> Matrix6<f64> {
        self.nodes[1]
    }

    /// The matrix from the entrance of the first element of `section` to that of the element after its last.
    #[must_use]
    pub fn section(&self, section: Range<usize>) -> Matrix6<f64> {
        let (mut first, mut last) = (Matrix6::<f64>::identity(), Matrix6::<f64>::identity());
        let (mut low, mut high) = (self.leaves() + section.start, self.leaves() + section.end.min(self.elements));
        while low < high {
            if low % 2 == 1 {
                first = self.nodes[low] * first;
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                last *= self.nodes[high];
            }
            (low, high) = (low / 2, high / 2);
        }
        last * first
    }
}

impl Ring {
    /// The matrices of all elements about the way of a passage, as a tree.
    #[must_use]
    pub fn matrix_tree(&self, passage: &Passage) -> MatrixTree {
        let matrices = self.steps.iter().zip(&passage.points).map(|(step, at)| element_matrix(step, at));
        MatrixTree::new(&matrices.collect::<Vec<_>>())
    }

    /// The matrix of one element as it stands now, entered at `at`.
    #[must_use]
    pub fn element_matrix(&self, index: usize, at: &Point<f64>) -> Matrix6<f64> {
        element_matrix(&self.steps[index], at)
    }
}
