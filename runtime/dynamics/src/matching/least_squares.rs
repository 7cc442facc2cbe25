//! Least squares with bounds: Levenberg and Marquardt's method on the variables that are free to move.

use nalgebra::{DMatrix, DVector};

/// Singular values below this fraction of the largest count as zero.
const SINGULAR: f64 = 1e-13;
/// Damping at the start, relative to the square of the largest singular value.
const DAMPING: f64 = 1e-4;
/// Times one step may be shortened.
const SHORTENINGS: usize = 30;

/// What is minimised: the sum of squares of `residuals` over `x`, each `x` between its bounds.
pub(crate) trait Problem {
    /// Why residuals may not exist at an `x`.
    type Error;
    /// The residuals.
    fn residuals(&self, x: &[f64]) -> Result<Vec<f64>, Self::Error>;
    /// Their derivatives with respect to `x`, one column per variable.
    fn jacobian(&self, x: &[f64]) -> Result<DMatrix<f64>, Self::Error>;
    /// Whether these residuals are good enough.
    fn is_solved(&self, residuals: &[f64]) -> bool;
}

/// Limits of the variables and their natural sizes.
pub(crate) struct Space {
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    pub scale: Vec<f64>,
}

/// Where the search ended.
#[derive(Clone, Debug)]
pub(crate) struct Minimum {
    pub x: Vec<f64>,
    pub iterations: usize,
    pub evaluations: usize,
    /// Steps that had to be shortened because there were no residuals where they led to.
    pub shortened: usize,
    pub solved: bool,
}

/// Searches from `start` (put between its bounds), for at most `most` iterations.
///
/// A step that leads to where there are no residuals is shortened. Fails only if there are none at the start, or no
/// derivatives on the way.
pub(crate) fn minimise<P: Problem>(
    problem: &P,
    space: &Space,
    start: &[f64],
    most: usize,
) -> Result<Minimum, P::Error> {
    let x: Vec<f64> = start.iter().enumerate().map(|(index, &value)| space.inside(index, value)).collect();
    let mut residuals = problem.residuals(&x)?;
    let mut found = Minimum { x, iterations: 0, evaluations: 1, shortened: 0, solved: false };
    let mut damping = DAMPING;
    while found.iterations < most && !problem.is_solved(&residuals) {
        found.iterations += 1;
        let model = Model::new(problem.jacobian(&found.x)?, &residuals, space);
        let Some(next) = descend(problem, space, &model, &mut found, &mut damping) else { break };
        residuals = next;
    }
    found.solved = problem.is_solved(&residuals);
    Ok(found)
}

/// One accepted step; `None` if no step, however short, leads down.
fn descend<P: Problem>(
    problem: &P,
    space: &Space,
    model: &Model,
    found: &mut Minimum,
    damping: &mut f64,
) -> Option<Vec<f64>> {
    let before = model.residuals.norm_squared();
    for _ in 0..SHORTENINGS {
        let (next, predicted) = model.step(space, &found.x, *damping)?;
        found.evaluations += 1;
        match problem.residuals(&next) {
            Ok(residuals) => {
                let after: f64 = residuals.iter().map(|residual| residual * residual).sum();
                if after < before || problem.is_solved(&residuals) {
                    let good = before - after > 0.75 * (before - predicted);
                    *damping = f64::max(*damping * if good { 0.01 } else { 0.3 }, 1e-30);
                    found.x = next;
                    return Some(residuals);
                }
            }
            Err(_) => found.shortened += 1,
        }
        *damping = f64::max(8.0 * *damping, 1e-6);
    }
    None
}

impl Space {
    fn inside(&self, index: usize, value: f64) -> f64 {
        value.max(self.lower[index]).min(self.upper[index])
    }
}

/// The residuals to first order, in variables divided by their scales.
struct Model {
    jacobian: DMatrix<f64>,
    residuals: DVector<f64>,
    gradient: DVector<f64>,
}

impl Model {
    fn new(mut jacobian: DMatrix<f64>, residuals: &[f64], space: &Space) -> Self {
        for (mut column, scale) in jacobian.column_iter_mut().zip(&space.scale) {
            column *= *scale;
        }
        let residuals = DVector::from_column_slice(residuals);
        let gradient = jacobian.transpose() * &residuals;
        Self { jacobian, residuals, gradient }
    }

    /// The damped step from `x` that keeps to the bounds, and the sum of squares it should lead to. Variables that
    /// would leave are put on their bound, and the others make up for it.
    fn step(&self, space: &Space, x: &[f64], damping: f64) -> Option<(Vec<f64>, f64)> {
        let mut next = x.to_vec();
        let mut free: Vec<usize> = (0..x.len()).filter(|&index| self.may_move(space, x, index)).collect();
        while !free.is_empty() {
            let moved = DVector::from_fn(x.len(), |index, _| (next[index] - x[index]) / space.scale[index]);
            let fixed = DVector::from_fn(x.len(), |index, _| if free.contains(&index) { 0.0 } else { moved[index] });
            let step = self.damped(&free, &(&self.residuals + &self.jacobian * fixed), damping)?;
            let mut hit = false;
            for (&index, step) in free.iter().zip(step.iter()) {
                let wanted = x[index] + step * space.scale[index];
                next[index] = space.inside(index, wanted);
                hit |= next[index] != wanted;
            }
            if !hit {
                break;
            }
            free.retain(|&index| next[index] > space.lower[index] && next[index] < space.upper[index]);
        }
        let step = DVector::from_fn(x.len(), |index, _| (next[index] - x[index]) / space.scale[index]);
        let still = step.iter().all(|step| step.abs() < 1e-16) || !step.iter().all(|step| step.is_finite());
        let predicted = (&self.residuals + &self.jacobian * step).norm_squared();
        (!still).then_some((next, predicted))
    }

    /// Whether a variable is not held by a bound it would have to cross to get lower.
    fn may_move(&self, space: &Space, x: &[f64], index: usize) -> bool {
        let (value, gradient) = (x[index], self.gradient[index]);
        !(value <= space.lower[index] && gradient >= 0.0 || value >= space.upper[index] && gradient <= 0.0)
    }

    /// Damped least squares in the free variables, the shortest step where there are several.
    fn damped(&self, free: &[usize], residuals: &DVector<f64>, damping: f64) -> Option<DVector<f64>> {
        let columns =
            DMatrix::from_fn(self.jacobian.nrows(), free.len(), |row, column| self.jacobian[(row, free[column])]);
        if !columns.iter().all(|entry| entry.is_finite()) {
            return None;
        }
        let decomposed = columns.svd(true, true);
        let (u, v) = (decomposed.u?, decomposed.v_t?);
        let values = decomposed.singular_values;
        let largest = values.max();
        let mut along = u.transpose() * residuals;
        for (entry, &value) in along.iter_mut().zip(values.iter()) {
            let squared = value * value + damping * largest * largest;
            *entry *= if value > SINGULAR * largest { -value / squared } else { 0.0 };
        }
        Some(v.transpose() * along)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley, which does not exist for x above `edge`.
    struct Valley {
        edge: f64,
    }

    impl Problem for Valley {
        type Error = ();

        fn residuals(&self, x: &[f64]) -> Result<Vec<f64>, ()> {
            if x[0] > self.edge { Err(()) } else { Ok(vec![10.0 * (x[1] - x[0] * x[0]), 1.0 - x[0]]) }
        }

        fn jacobian(&self, x: &[f64]) -> Result<DMatrix<f64>, ()> {
            Ok(DMatrix::from_row_slice(2, 2, &[-20.0 * x[0], 10.0, -1.0, 0.0]))
        }

        fn is_solved(&self, residuals: &[f64]) -> bool {
            residuals.iter().all(|residual| residual.abs() < 1e-12)
        }
    }

    fn space(upper: f64) -> Space {
        Space { lower: vec![-2.0; 2], upper: vec![upper, 2.0], scale: vec![1.0; 2] }
    }

    #[test]
    fn the_valley_is_walked_to_its_end() {
        let found = minimise(&Valley { edge: 1.5 }, &space(2.0), &[-1.2, 1.0], 50).expect("it exists at the start");
        assert!(found.solved && (found.x[0] - 1.0).abs() < 1e-12 && (found.x[1] - 1.0).abs() < 1e-12, "{found:?}");
    }

    /// With x held at 0.5 or below the minimum is x = 0.5, y = 0.25, where the second residual is left.
    #[test]
    fn a_bound_holds_and_the_other_variable_makes_up_for_it() {
        let found = minimise(&Valley { edge: 1.5 }, &space(0.5), &[-1.2, 1.0], 50).expect("it exists at the start");
        assert!(!found.solved && found.x[0] == 0.5 && (found.x[1] - 0.25).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn no_residuals_at_the_start_is_an_error() {
        assert!(minimise(&Valley { edge: 0.0 }, &space(2.0), &[1.0, 1.0], 50).is_err());
    }
}
