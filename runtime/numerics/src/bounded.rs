//! Least squares with every unknown between two bounds.
//!
//! The active-set method of C. L. Lawson and R. J. Hanson, Solving Least Squares Problems (1974), chapter 23 (NNLS), as P. B. Stark
//! and R. L. Parker extended it to two bounds, Bounded-variable least squares: an algorithm and applications, Comput. Stat.
//! 10 (1995) 129. All unknowns start at the bound nearest to zero.

use crate::{decompose, finite, refuse};
use fodo_report::Result;
use nalgebra::{DMatrix, DVector};

/// A gradient below this part of its largest possible size counts as zero.
const FLAT: f64 = 1e-12;

/// Where an unknown stands.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Free,
    Low,
    High,
}

/// The x that makes `matrix * x - target` smallest while `low <= x <= high`, entry by entry; bounds may be infinite.
///
/// # Errors
/// A number that is not finite, bounds that contradict each other, or no convergence.
pub fn solve_bounded(matrix: &DMatrix<f64>, target: &[f64], low: &[f64], high: &[f64]) -> Result<Vec<f64>> {
    finite(matrix.as_slice(), "the matrix")?;
    finite(target, "the vector")?;
    if target.len() != matrix.nrows() || [low.len(), high.len()] != [matrix.ncols(); 2] {
        return refuse("a matrix, a vector and bounds of other sizes do not make equations");
    }
    if let Some(at) = (0..low.len()).find(|&i| low[i].is_nan() || high[i].is_nan() || low[i] > high[i]) {
        return refuse(format!("the lower bound of unknown {at} is above the upper one"));
    }
    let mut search = Search::new(matrix, target, low, high)?;
    for _ in 0..10 * matrix.ncols() + 20 {
        let Some(freed) = search.best_to_free() else { return Ok(search.x) };
        search.state[freed] = State::Free;
        search.settle(freed)?;
    }
    refuse("the bounded least squares did not converge")
}

struct Search<'a> {
    matrix: &'a DMatrix<f64>,
    target: DVector<f64>,
    low: &'a [f64],
    high: &'a [f64],
    x: Vec<f64>,
    state: Vec<State>,
    /// Unknowns that were freed and went straight back, until another one has moved.
    stuck: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(matrix: &'a DMatrix<f64>, target: &[f64], low: &'a [f64], high: &'a [f64]) -> Result<Search<'a>> {
        let mut x = vec![0.0; low.len()];
        let mut state = vec![State::Free; low.len()];
        for i in 0..low.len() {
            (x[i], state[i]) = match (low[i].is_finite(), high[i].is_finite()) {
                (false, false) => (0.0, State::Free),
                (true, false) => (low[i], State::Low),
                (false, true) => (high[i], State::High),
                (true, true) if low[i].abs() <= high[i].abs() => (low[i], State::Low),
                (true, true) => (high[i], State::High),
            };
        }
        let target = DVector::from_column_slice(target);
        let mut search = Search { matrix, target, low, high, x, state, stuck: vec![false; low.len()] };
        if search.state.contains(&State::Free) {
            search.settle(usize::MAX)?;
        }
        Ok(search)
    }

    fn residual(&self) -> DVector<f64> {
        &self.target - self.matrix * DVector::from_column_slice(&self.x)
    }

    /// The bound unknown whose release lowers the residual fastest.
    fn best_to_free(&self) -> Option<usize> {
        let residual = self.residual();
        let size = residual.norm();
        let gain = |i: usize| {
            let column = self.matrix.column(i);
            let slope = column.dot(&residual);
            let flat = FLAT * column.norm() * size.max(self.target.norm());
            match self.state[i] {
                State::Low if slope > flat => slope / column.norm(),
                State::High if -slope > flat => -slope / column.norm(),
                _ => 0.0,
            }
        };
        let open = (0..self.x.len()).filter(|&i| !self.stuck[i] && self.low[i] < self.high[i]);
        open.map(|i| (gain(i), i)).filter(|(gain, _)| *gain > 0.0).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, i)| i)
    }

    /// Solves for the free unknowns; those that would pass a bound are stopped there, and the rest is solved again.
    fn settle(&mut self, freed: usize) -> Result<()> {
        loop {
            let free: Vec<usize> = (0..self.x.len()).filter(|&i| self.state[i] == State::Free).collect();
            if free.is_empty() {
                return Ok(());
            }
            let wanted = self.solve_free(&free)?;
            let inside = |k: usize| wanted[k] >= self.low[free[k]] && wanted[k] <= self.high[free[k]];
            if (0..free.len()).all(inside) {
                free.iter().zip(&wanted).for_each(|(&i, &x)| self.x[i] = x);
                self.stuck.fill(false);
                return Ok(());
            }
            // as far towards the solution as the first bound lets
            let (mut part, mut first) = (f64::INFINITY, 0);
            for k in (0..free.len()).filter(|&k| !inside(k)) {
                let i = free[k];
                let bound = if wanted[k] < self.low[i] { self.low[i] } else { self.high[i] };
                let reach = (bound - self.x[i]) / (wanted[k] - self.x[i]);
                if reach < part {
                    (part, first) = (reach, k);
                }
            }
            let part = part.clamp(0.0, 1.0);
            for (k, &i) in free.iter().enumerate() {
                self.x[i] += part * (wanted[k] - self.x[i]);
            }
            let i = free[first];
            let below = wanted[first] < self.low[i];
            (self.x[i], self.state[i]) = if below { (self.low[i], State::Low) } else { (self.high[i], State::High) };
            if part > 0.0 {
                self.stuck.fill(false);
            }
            if i == freed && part == 0.0 {
                self.stuck[i] = true;
            }
        }
    }

    fn solve_free(&self, free: &[usize]) -> Result<Vec<f64>> {
        let part = self.matrix.select_columns(free);
        let mut fixed = self.x.clone();
        free.iter().for_each(|&i| fixed[i] = 0.0);
        let rest = &self.target - self.matrix * DVector::from_column_slice(&fixed);
        let svd = decompose(&part)?;
        let largest = svd.s.first().copied().unwrap_or(0.0);
        let mut parts = svd.u.transpose() * rest;
        for (part, s) in parts.iter_mut().zip(&svd.s) {
            *part = if *s > 1e-13 * largest { *part / s } else { 0.0 };
        }
        Ok((svd.v * parts).as_slice().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.optimize.nnls and lsq_linear (bounds) of scipy 1.17 give the same; written out from the conditions of Kuhn and Tucker.
    #[test]
    fn the_solution_meets_the_conditions_of_kuhn_and_tucker() {
        let mut seed = 1_u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        for (rows, columns) in [(6, 4), (20, 8), (5, 9), (40, 40)] {
            let matrix = DMatrix::from_fn(rows, columns, |_, _| draw());
            let target: Vec<f64> = (0..rows).map(|_| draw()).collect();
            for (low, high) in [(0.0, f64::INFINITY), (-0.2, 0.3), (f64::NEG_INFINITY, f64::INFINITY), (0.1, 0.1)] {
                let x = solve_bounded(&matrix, &target, &vec![low; columns], &vec![high; columns]).unwrap();
                let residual = DVector::from_column_slice(&target) - &matrix * DVector::from_column_slice(&x);
                for (i, x) in x.iter().enumerate() {
                    let slope = matrix.column(i).dot(&residual);
                    assert!((low..=high).contains(x));
                    let (at_low, at_high) = (*x == low, *x == high);
                    assert!(at_high || slope < 1e-10, "{rows}x{columns} [{low}, {high}]: {i} could grow");
                    assert!(at_low || slope > -1e-10, "{rows}x{columns} [{low}, {high}]: {i} could shrink");
                }
            }
        }
    }
}
