//! Fast maps for closed orbits: the body of a magnet expanded to second order about the orbit it was last seen on.
//!
//! Only bodies without sextupole or higher fields are expanded. At constant energy their map is quadratic, so that
//! what the expansion leaves out grows with the energy deviation and the radiation only: it stays below 1e-12 within
//! [`REACH`]. Of the third order, only how the path length changes with energy matters, and is kept. Placement, edges, fringes and all other elements are computed in full.

use crate::maps::{Action, MagnetMap, Point, Step};
use crate::number::{Number, Series};

/// How far from its reference an expansion is as good as the map: x, px, y, py, delta.
const REACH: [f64; 5] = [4e-4, 4e-4, 4e-4, 4e-4, 2e-5];
/// How many times further it is still good enough to come near the closed orbit.
const FAR: f64 = 10.0;
/// Terms to second order in five variables.
const TERMS: usize = 21;
/// Difference of delta over which the change of the path length is taken.
const DELTA_STEP: f64 = 1e-4;

/// Second-order map of one magnet body about one point, as one row of outputs per term.
#[derive(Clone, Debug)]
pub(crate) struct BodySeries {
    reference: [f64; 5],
    terms: [[f64; 6]; TERMS],
    /// What the second-order terms of the path length change by with delta.
    path_terms: [f64; TERMS],
}

/// How good an expansion has to be to be used.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Grade {
    /// As good as the map itself.
    Full,
    /// Good enough to come nearer.
    Rough,
}

/// The magnet of an element whose expansion is faster than its map, and good.
pub(crate) fn expandable(step: &Step) -> Option<&MagnetMap> {
    match &step.action {
        Action::Magnet(magnet) if magnet.b.len() == 2 && magnet.slices > 1 => Some(magnet),
        _ => None,
    }
}

/// Takes a particle through an element, by the expansion of its body where that holds. Returns whether it did, or
/// there was none to hold.
#[inline(always)]
pub(crate) fn apply(step: &Step, series: Option<&BodySeries>, z: &mut Point<f64>, grade: Grade) -> bool {
    let (Action::Magnet(magnet), Some(series)) = (&step.action, series) else {
        step.apply(z, 0.0);
        return expandable(step).is_none();
    };
    let before = step.enter(z);
    magnet.enter(z);
    let distance = series.distance(z);
    let near = distance <= 1.0;
    if near || (grade == Grade::Rough && distance <= FAR) {
        series.apply(z);
    } else {
        magnet.body_alone(z);
    }
    magnet.leave(z, (z[4] + 1.0).recip());
    step.leave(z, before);
    near
}

/// Expands the body of an element entered at `at`.
pub(crate) fn expand(step: &Step, at: &Point<f64>) -> Option<Box<BodySeries>> {
    let magnet = expandable(step)?;
    let mut z = *at;
    step.enter(&mut z);
    magnet.enter(&mut z);
    Some(Box::new(BodySeries::new(magnet, &z)))
}

impl BodySeries {
    fn new(magnet: &MagnetMap, at: &Point<f64>) -> Self {
        let terms = terms(at, |z| magnet.body_alone(z));
        let quiet = terms_of_path(magnet, at, 0.0);
        let beside = terms_of_path(magnet, at, DELTA_STEP);
        let path_terms = std::array::from_fn(|term| (beside[term] - quiet[term]) / DELTA_STEP);
        Self { reference: [at[0], at[1], at[2], at[3], at[4]], terms, path_terms }
    }

    /// Distance from the reference in units of the reach.
    #[inline(always)]
    fn distance(&self, z: &Point<f64>) -> f64 {
        (0..5).fold(0.0, |most, row| f64::max(most, (z[row] - self.reference[row]).abs() * (1.0 / REACH[row])))
    }

    /// Takes a particle through the body.
    #[inline(always)]
    fn apply(&self, z: &mut Point<f64>) {
        let v: [f64; 5] = std::array::from_fn(|row| z[row] - self.reference[row]);
        let mut first = self.terms[0];
        let mut second = [0.0; 6];
        let mut path_slope = 0.0;
        let mut term = 1;
        for i in 0..5 {
            add(&mut first, &self.terms[term], v[i]);
            term += 1;
            for j in i..5 {
                add(&mut second, &self.terms[term], v[i] * v[j]);
                if j < 4 {
                    path_slope += self.path_terms[term] * (v[i] * v[j]);
                }
                term += 1;
            }
        }
        let path = z[5];
        *z = std::array::from_fn(|out| first[out] + second[out]);
        z[5] += path + path_slope * v[4];
    }
}

/// Expands a map about a point to second order in all but ct.
fn terms(at: &Point<f64>, map: impl FnOnce(&mut Point<Series<5>>)) -> [[f64; 6]; TERMS] {
    let mut z: Point<Series<5>> = std::array::from_fn(|row| match row {
        5 => Series::constant(0.0),
        _ => Series::variable(at[row], row),
    });
    map(&mut z);
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
    terms
}

/// The terms of the path length beside a point in delta, as if the magnet did not radiate.
fn terms_of_path(magnet: &MagnetMap, at: &Point<f64>, beside: f64) -> [f64; TERMS] {
    let mut at = *at;
    at[4] += beside;
    terms(&at, |z| magnet.quiet_body(z)).map(|row| row[5])
}

#[inline(always)]
fn add(sum: &mut [f64; 6], row: &[f64; 6], factor: f64) {
    for (sum, entry) in sum.iter_mut().zip(row) {
        *sum += entry * factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::{Settings, prepare};
    use fodo_lattice::{Bend, Body, Edge, Element, Field, Magnet};

    fn bodies() -> [Body; 2] {
        let magnet = |k1| Magnet {
            field: Field::new(vec![1e-5, k1], vec![2e-5, 0.01]),
            slices: 20,
            fringe: [true; 2],
            exact: false,
        };
        let bend = Bend {
            magnet: magnet(-1.8),
            angle: 0.03,
            entrance: Edge::default(),
            exit: Edge::default(),
            full_gap: 0.0,
            second_order: false,
        };
        [Body::Quadrupole(magnet(4.4)), Body::Bend(Box::new(bend))]
    }

    #[test]
    fn within_its_reach_an_expansion_is_as_good_as_the_map() {
        for (body, radiation) in bodies().into_iter().flat_map(|body| [(body.clone(), false), (body, true)]) {
            let element = Element::new("M", 1.0, body);
            let settings = Settings {
                energy: 6e9,
                rest_energy: 0.0,
                reference: fodo_lattice::Reference::default(),
                revolution_time: 1e-6,
                cavity: true,
                radiation,
                held_gain: None,
            };
            let step = prepare(&element, &settings);
            let at = [2e-4, -1e-4, -1e-4, 5e-5, 1e-5, 0.01];
            let series = expand(&step, &at).expect("a magnet body");
            let from = [at[0] + 2e-4, at[1] - 5e-5, at[2] + 1e-4, at[3] + 3e-5, at[4] - 1.9e-5, at[5] + 0.01];
            let (mut fast, mut full) = (from, from);
            assert!(apply(&step, Some(&series), &mut fast, Grade::Full));
            step.apply(&mut full, 0.0);
            let apart: [f64; 6] = std::array::from_fn(|row| (fast[row] - full[row]).abs());
            // a magnet stronger than any in the reference rings, at the end of the reach
            let limit = if radiation { 3e-12 } else { 5e-13 };
            assert!(apart.iter().all(|difference| *difference < limit), "{apart:?}");
        }
    }
}
