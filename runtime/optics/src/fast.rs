//! Fast maps for closed orbits: an element expanded to second order about the orbit it was last seen on.
//!
//! Only elements without sextupole or higher fields are expanded. For these the third order comes from the energy
//! and the fringes alone, and is below 1e-13 within the reach set here; beyond it the full map is used.

use crate::maps::{Action, Point, Step};
use crate::number::{Number, Series};

/// How far from its reference an expansion holds: x, px, y, py, delta.
const REACH: [f64; 5] = [2e-4, 2e-4, 2e-4, 2e-4, 2e-5];
/// Terms to second order in five variables.
const TERMS: usize = 21;

/// Second-order map of one element about one point, as one row of outputs per term.
#[derive(Clone, Debug)]
pub(crate) struct ElementSeries {
    reference: [f64; 5],
    terms: [[f64; 6]; TERMS],
}

/// Whether an expansion of this element is faster than the element, and good.
pub(crate) fn worth_expanding(step: &Step) -> bool {
    match &step.action {
        Action::Magnet(magnet) => magnet.b.len() == 2 && magnet.slices > 1 && step.limits.is_none(),
        _ => false,
    }
}

impl ElementSeries {
    /// Expands an element about `at`.
    pub(crate) fn new(step: &Step, at: &Point<f64>) -> Self {
        let mut z: Point<Series<5>> = std::array::from_fn(|row| match row {
            5 => Series::constant(0.0),
            _ => Series::variable(at[row], row),
        });
        step.apply(&mut z, 0.0);
        let mut terms = [[0.0; 6]; TERMS];
        for (out, series) in z.iter().enumerate() {
            terms[0][out] = series.value;
            let mut term = 1;
            for i in 0..5 {
                terms[term][out] = series.slope[i];
                term += 1;
                for j in i..5 {
                    let twice = if i == j { 1.0 } else { 2.0 };
                    terms[term][out] = twice * series.half_curvature[i][j];
                    term += 1;
                }
            }
        }
        Self { reference: [at[0], at[1], at[2], at[3], at[4]], terms }
    }

    /// Whether the expansion holds at a point.
    #[inline(always)]
    pub(crate) fn holds_at(&self, z: &Point<f64>) -> bool {
        (0..5).fold(true, |holds, row| holds & ((z[row] - self.reference[row]).abs() <= REACH[row]))
    }

    /// Takes a particle through the element.
    #[inline(always)]
    pub(crate) fn apply(&self, z: &mut Point<f64>) {
        let v: [f64; 5] = std::array::from_fn(|row| z[row] - self.reference[row]);
        let mut first = self.terms[0];
        let mut second = [0.0; 6];
        let mut term = 1;
        for i in 0..5 {
            add(&mut first, &self.terms[term], v[i]);
            term += 1;
            for j in i..5 {
                add(&mut second, &self.terms[term], v[i] * v[j]);
                term += 1;
            }
        }
        let path = z[5];
        *z = std::array::from_fn(|out| first[out] + second[out]);
        z[5] += path;
    }
}

#[inline(always)]
fn add(sum: &mut [f64; 6], row: &[f64; 6], factor: f64) {
    for (sum, entry) in sum.iter_mut().zip(row) {
        *sum += entry * factor;
    }
}
