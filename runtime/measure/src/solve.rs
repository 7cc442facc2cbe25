//! What takes an orbit away: least squares as orbit correction uses them, within the limits of the knobs.

use crate::boxed::boxed;
use fodo_numerics::{Decomposition, decompose};
use fodo_report::{Diagnostic, Kind, Result};
use nalgebra::{DMatrix, DVector};

/// How much of the response is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Singular values below `cutoff` of the largest are dropped, and those after the first `count`.
    Svd {
        /// Part of the largest singular value [1].
        cutoff: f64,
        /// At most this many.
        count: Option<usize>,
    },
    /// All singular values, each with the weight `s² / (s² + a²)`; a is this part of the largest [1].
    Tikhonov(f64),
    /// The few knobs that do most, chosen one after the other.
    ///
    /// Source: B. Autin, Y. Marti, Closed orbit correction of A.G. machines using a small number of magnets, CERN-ISR-MA-73-17 (1973).
    Micado(usize),
}

/// The equations `matrix * x = target`, one row each, in the least-squares sense.
#[derive(Clone, Debug)]
pub struct Problem {
    /// A row for each equation, a column for each knob.
    pub matrix: DMatrix<f64>,
    /// What each row shall be; a row with something that is not finite is left out.
    pub target: Vec<f64>,
    /// Weight of each row [1].
    pub weights: Vec<f64>,
    /// What one unit of each knob counts in the decomposition, so that an angle and a frequency count alike.
    pub scale: Vec<f64>,
    /// Lowest and highest x of each knob, which may be infinite.
    pub bounds: Vec<(f64, f64)>,
}

/// The solution of a [`Problem`].
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// x, in the units of the knobs.
    pub x: Vec<f64>,
    /// Singular values used, or knobs chosen.
    pub used: usize,
    /// Singular values, or knobs, there are.
    pub of: usize,
    /// Knobs that stand at a bound.
    pub bound: Vec<usize>,
}

/// Solves a problem.
///
/// Where the best x is beyond the bounds, the best one within them is found, not the best one cut off at them; directions that
/// the method has dropped cost as much there as the weakest that it uses.
///
/// # Errors
/// No row is left, bounds without room between them, no convergence.
pub fn solve(problem: &Problem, method: Method) -> Result<Solution> {
    let used: Vec<usize> = (0..problem.matrix.nrows()).filter(|&row| problem.is_finite(row)).collect();
    if used.is_empty() {
        return Err(Diagnostic::new(Kind::Script, "there is nothing to correct: not one monitor shows a number").into());
    }
    let matrix = DMatrix::from_fn(used.len(), problem.scale.len(), |row, column| {
        problem.matrix[(used[row], column)] * problem.weights[used[row]] * problem.scale[column]
    });
    let target = DVector::from_iterator(used.len(), used.iter().map(|&row| problem.target[row] * problem.weights[row]));
    let bounds: Vec<(f64, f64)> =
        problem.bounds.iter().zip(&problem.scale).map(|((low, high), scale)| (low / scale, high / scale)).collect();
    let (mut x, used, of) = match method {
        Method::Micado(count) => micado(&matrix, &target, &bounds, count)?,
        _ => decomposed(&matrix, &target, &bounds, method)?,
    };
    let at_end = |&k: &usize| bounds[k].0 < bounds[k].1 && (x[k] <= bounds[k].0 || x[k] >= bounds[k].1);
    let bound = (0..x.len()).filter(at_end).collect();
    x.iter_mut().zip(&problem.scale).for_each(|(x, scale)| *x *= scale);
    Ok(Solution { x, used, of, bound })
}

impl Problem {
    fn is_finite(&self, row: usize) -> bool {
        self.target[row].is_finite() && self.matrix.row(row).iter().all(|entry| entry.is_finite())
    }
}

type Found = (Vec<f64>, usize, usize);

/// By singular values, with some dropped or all damped.
fn decomposed(matrix: &DMatrix<f64>, target: &DVector<f64>, bounds: &[(f64, f64)], method: Method) -> Result<Found> {
    let Decomposition { u, s, v } = decompose(matrix)?;
    let largest = s.first().copied().unwrap_or(0.0);
    let (used, damping) = match method {
        Method::Svd { cutoff, count } => {
            let above = s.iter().take_while(|&&value| value > 0.0 && value >= cutoff * largest).count();
            (above.min(count.unwrap_or(s.len())), 0.0)
        }
        Method::Tikhonov(part) => (s.iter().take_while(|&&value| value > 0.0).count(), part * largest),
        // those that were chosen are all used
        Method::Micado(_) => (s.iter().take_while(|&&value| value > 1e-9 * largest).count(), 0.0),
    };
    let stiffness: Vec<f64> = s.iter().take(used).map(|s| s * s + damping * damping).collect();
    let parts: Vec<f64> = (0..used).map(|k| s[k] * u.column(k).dot(target)).collect();
    let mut x = DVector::zeros(matrix.ncols());
    for k in 0..used {
        x.axpy(parts[k] / stiffness[k], &v.column(k), 1.0);
    }
    if inside(x.as_slice(), bounds) {
        return Ok((x.as_slice().to_vec(), used, s.len()));
    }
    let weakest = stiffness.last().copied().unwrap_or(1.0);
    let mut quadratic = DMatrix::identity(matrix.ncols(), matrix.ncols()) * weakest;
    let mut linear = DVector::zeros(matrix.ncols());
    let mut stretched = v.columns(0, used).into_owned();
    for k in 0..used {
        linear.axpy(parts[k], &v.column(k), 1.0);
        stretched.column_mut(k).scale_mut((stiffness[k] - weakest).max(0.0).sqrt());
    }
    quadratic += &stretched * stretched.transpose();
    Ok((boxed(&quadratic, &linear, bounds, x.as_slice())?, used, s.len()))
}

fn inside(x: &[f64], bounds: &[(f64, f64)]) -> bool {
    x.iter().zip(bounds).all(|(x, (low, high))| low <= x && x <= high)
}

/// The knobs one after the other, each time the one that takes away most of what is left.
fn micado(matrix: &DMatrix<f64>, target: &DVector<f64>, bounds: &[(f64, f64)], count: usize) -> Result<Found> {
    let sizes: Vec<f64> = matrix.column_iter().map(|column| column.norm_squared()).collect();
    let (mut rest, mut left) = (matrix.clone(), target.clone());
    let mut chosen: Vec<usize> = Vec::new();
    let mut x = vec![0.0; matrix.ncols()];
    while chosen.len() < count.min(matrix.ncols()) {
        let gain = |&k: &usize| rest.column(k).dot(&left).powi(2) / rest.column(k).norm_squared();
        // what others have used up tells nothing any more
        let open =
            (0..matrix.ncols()).filter(|k| rest.column(*k).norm_squared() > 1e-12 * sizes[*k] && sizes[*k] > 0.0);
        let Some(best) = open.max_by(|a, b| gain(a).total_cmp(&gain(b))) else { break };
        let direction = rest.column(best).normalize();
        for mut column in rest.column_iter_mut() {
            let along = direction.dot(&column);
            column.axpy(-along, &direction, 1.0);
        }
        left.axpy(-direction.dot(&left), &direction, 1.0);
        chosen.push(best);
    }
    let part = matrix.select_columns(&chosen);
    let limits: Vec<(f64, f64)> = chosen.iter().map(|&k| bounds[k]).collect();
    let (found, ..) = decomposed(&part, target, &limits, Method::Micado(chosen.len()))?;
    chosen.iter().zip(found).for_each(|(&k, value)| x[k] = value);
    Ok((x, chosen.len(), matrix.ncols()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(matrix: DMatrix<f64>, target: &[f64]) -> Problem {
        let (rows, columns) = matrix.shape();
        Problem {
            matrix,
            target: target.to_vec(),
            weights: vec![1.0; rows],
            scale: vec![1.0; columns],
            bounds: vec![(f64::NEG_INFINITY, f64::INFINITY); columns],
        }
    }

    fn svd(cutoff: f64) -> Method {
        Method::Svd { cutoff, count: None }
    }

    /// Numbers without a pattern.
    fn scattered(rows: usize, columns: usize) -> DMatrix<f64> {
        DMatrix::from_fn(rows, columns, |i, j| ((i * 37 + j * 91 + 5 * i * j) as f64).sin())
    }

    #[test]
    fn solves_and_cuts() {
        let mut of = problem(DMatrix::from_row_slice(3, 2, &[2.0, 0.0, 0.0, 1e-4, 0.0, 0.0]), &[4.0, 1e-4, 7.0]);
        let full = solve(&of, svd(1e-6)).unwrap();
        assert!((full.x[0] - 2.0).abs() < 1e-12 && (full.x[1] - 1.0).abs() < 1e-9, "{:?}", full.x);
        let cut = solve(&of, svd(1e-3)).unwrap();
        assert_eq!((cut.used, cut.of, cut.x[1]), (1, 2, 0.0));
        // scaled so that both columns are alike, nothing is dropped
        of.scale = vec![0.5, 1e4];
        let scaled = solve(&of, svd(1e-3)).unwrap();
        assert!((scaled.x[1] - 1.0).abs() < 1e-9 && scaled.used == 2);
    }

    #[test]
    fn damping_is_that_of_tikhonov() {
        let of = problem(DMatrix::from_row_slice(2, 2, &[2.0, 0.0, 0.0, 1.0]), &[2.0, 1.0]);
        let damped = solve(&of, Method::Tikhonov(0.5)).unwrap();
        assert!((damped.x[0] - 4.0 / 5.0).abs() < 1e-12 && (damped.x[1] - 1.0 / 2.0).abs() < 1e-12, "{:?}", damped.x);
    }

    #[test]
    fn rows_that_hold_no_number_are_left_out() {
        let mut of = problem(DMatrix::from_row_slice(3, 1, &[1.0, 1.0, 1.0]), &[1.0, f64::NAN, 3.0]);
        assert!((solve(&of, svd(0.0)).unwrap().x[0] - 2.0).abs() < 1e-12);
        of.weights = vec![1.0, 1.0, 0.0];
        assert!((solve(&of, svd(0.0)).unwrap().x[0] - 1.0).abs() < 1e-12);
        of.target = vec![f64::NAN; 3];
        assert!(solve(&of, svd(0.0)).unwrap_err().message.contains("nothing to correct"));
    }

    /// Micado finds the knobs that were at work, the strongest first.
    #[test]
    fn the_knobs_at_work_are_chosen() {
        let matrix = scattered(30, 12);
        let target = matrix.column(4) * 3.0 - matrix.column(9) * 2.0;
        let of = problem(matrix, target.as_slice());
        let two = solve(&of, Method::Micado(2)).unwrap();
        assert!((two.x[4] - 3.0).abs() < 1e-12 && (two.x[9] + 2.0).abs() < 1e-12 && two.used == 2, "{:?}", two.x);
        let one = solve(&of, Method::Micado(1)).unwrap();
        assert_eq!(one.x.iter().filter(|x| **x != 0.0).count(), 1);
    }

    /// Within bounds the solution fulfils the conditions of Karush, Kuhn and Tucker, and is better than one that is cut off.
    #[test]
    fn bounds_are_part_of_the_solution() {
        let matrix = scattered(40, 20);
        let target: Vec<f64> = (0..40).map(|i| (i as f64 * 1.7).cos()).collect();
        let mut of = problem(matrix.clone(), &target);
        let free = solve(&of, svd(0.0)).unwrap();
        assert!(free.bound.is_empty());
        let limit = 0.4 * free.x.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        of.bounds = vec![(-limit, limit); 20];
        let held = solve(&of, svd(0.0)).unwrap();
        assert!(!held.bound.is_empty() && held.x.iter().all(|x| x.abs() <= limit));
        let slope =
            matrix.transpose() * (&matrix * DVector::from_vec(held.x.clone()) - DVector::from_column_slice(&target));
        for k in 0..20 {
            match held.bound.contains(&k) {
                true => assert!(slope[k] * held.x[k] <= 0.0, "{k}: {} at {}", slope[k], held.x[k]),
                false => assert!(slope[k].abs() < 1e-9, "{k}: {}", slope[k]),
            }
        }
        let misses = |x: &[f64]| (&matrix * DVector::from_column_slice(x) - DVector::from_column_slice(&target)).norm();
        let cut: Vec<f64> = free.x.iter().map(|x| x.clamp(-limit, limit)).collect();
        assert!(misses(&held.x) < misses(&cut));
    }
}
