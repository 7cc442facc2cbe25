//! The lowest point of a bowl within a box.

use fodo_report::{Diagnostic, Kind, Result};
use nalgebra::{Cholesky, DMatrix, DVector};

/// How often all that stand wrong change sides at once without getting fewer, before they do one by one.
const TRIES: usize = 3;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Free,
    Low,
    High,
}

/// The x that makes `x^T quadratic x / 2 - linear^T x` smallest within bounds, from a first guess.
///
/// Block pivoting: L. F. Portugal, J. J. Judice, L. N. Vicente, A comparison of block pivoting and interior-point algorithms for
/// linear least squares problems with nonnegative variables, Math. Comp. 63 (1994) 625, with two bounds.
///
/// # Errors
/// Bounds without room between them; `quadratic` is not positive definite.
pub(crate) fn boxed(
    quadratic: &DMatrix<f64>,
    linear: &DVector<f64>,
    bounds: &[(f64, f64)],
    guess: &[f64],
) -> Result<Vec<f64>> {
    if let Some(knob) = bounds.iter().position(|(low, high)| low.is_nan() || high.is_nan() || low > high) {
        let message = format!("the lower limit of knob {knob} is above the upper one");
        return Err(Diagnostic::new(Kind::Script, message).into());
    }
    let size = bounds.len();
    let mut sides: Vec<Side> = guess.iter().zip(bounds).map(|(x, bounds)| beyond(*x, *bounds)).collect();
    let (mut fewest, mut tries) = (size + 1, TRIES);
    for _ in 0..100 * size + 100 {
        let (x, slope) = settle(quadratic, linear, bounds, &sides)?;
        let wrong: Vec<(usize, Side)> =
            (0..size).filter_map(|k| moved(sides[k], x[k], slope[k], bounds[k]).map(|to| (k, to))).collect();
        let Some(last) = wrong.last().copied() else { return Ok(x.as_slice().to_vec()) };
        tries = if wrong.len() < fewest { TRIES } else { tries.saturating_sub(1) };
        fewest = fewest.min(wrong.len());
        let change: &[(usize, Side)] = if tries > 0 { &wrong } else { &[last] };
        change.iter().for_each(|&(k, to)| sides[k] = to);
    }
    Err(Diagnostic::new(Kind::Internal, "the least squares within limits did not converge").into())
}

fn beyond(x: f64, (low, high): (f64, f64)) -> Side {
    match x {
        x if x < low => Side::Low,
        x if x > high => Side::High,
        _ => Side::Free,
    }
}

/// Where an unknown should stand instead, if it stands wrong.
fn moved(side: Side, x: f64, slope: f64, bounds: (f64, f64)) -> Option<Side> {
    match side {
        Side::Free => Some(beyond(x, bounds)).filter(|to| *to != Side::Free),
        // downhill is into the box
        Side::Low => (slope < 0.0 && bounds.0 < bounds.1).then_some(Side::Free),
        Side::High => (slope > 0.0 && bounds.0 < bounds.1).then_some(Side::Free),
    }
}

/// The lowest point with some unknowns at their bounds, and the slopes there.
fn settle(
    quadratic: &DMatrix<f64>,
    linear: &DVector<f64>,
    bounds: &[(f64, f64)],
    sides: &[Side],
) -> Result<(DVector<f64>, DVector<f64>)> {
    let mut x = DVector::from_iterator(
        sides.len(),
        sides.iter().zip(bounds).map(|(side, (low, high))| match side {
            Side::Free => 0.0,
            Side::Low => *low,
            Side::High => *high,
        }),
    );
    let free: Vec<usize> = (0..sides.len()).filter(|&k| sides[k] == Side::Free).collect();
    let rest = linear - quadratic * &x;
    let inner = quadratic.select_columns(&free).select_rows(&free);
    let solved = Cholesky::new(inner)
        .ok_or_else(|| Diagnostic::new(Kind::Internal, "the least squares within limits are not definite"))?
        .solve(&rest.select_rows(&free));
    free.iter().zip(solved.iter()).for_each(|(&k, value)| x[k] = *value);
    let mut slope = quadratic * &x - linear;
    free.iter().for_each(|&k| slope[k] = 0.0);
    Ok((x, slope))
}
