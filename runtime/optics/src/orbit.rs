//! Closed orbits, from a cold start and from the last one.

mod goal;

use std::fmt;

use goal::Goal;
use nalgebra::{Matrix6, Vector6};

use crate::constants::energy_loss;
use crate::envelope::Kept;
use crate::fast::{self, BodySeries, Grade};
use crate::maps::Point;
use crate::matrix::Passage;
use crate::ring::{Effects, Ring, is_lost};

/// A closed orbit.
#[derive(Clone, Debug, PartialEq)]
pub struct Orbit {
    /// Coordinates (x, px, y, py, delta, ct) at the entrance of each element and at the end: N + 1 points.
    pub points: Vec<Point<f64>>,
}

impl Orbit {
    /// Coordinates at the start.
    #[must_use]
    pub fn start(&self) -> Point<f64> {
        self.points[0]
    }

    /// Coordinates at the entrance of element `index`.
    #[must_use]
    pub fn at(&self, index: usize) -> Point<f64> {
        self.points[index]
    }

    /// Horizontal orbit at these elements [m].
    #[must_use]
    pub fn x(&self, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&index| self.points[index][0]).collect()
    }

    /// Vertical orbit at these elements [m].
    #[must_use]
    pub fn y(&self, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&index| self.points[index][2]).collect()
    }
}

/// Why there is no closed orbit.
#[derive(Clone, Debug, PartialEq)]
pub enum NoClosedOrbit {
    /// The search left the machine: lost after this element (index, name).
    Lost(usize, String),
    /// The search did not come to rest; the last step is given (largest coordinate, m or rad).
    NotConverged(f64),
    /// The one-turn map has an integer resonance: no unique fixed point.
    Resonance,
    /// The cavities cannot replace the energy lost per turn (loss and voltage, eV and V).
    NoSynchronousPhase(f64, f64),
}

impl fmt::Display for NoClosedOrbit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(index, name) => write!(out, "no closed orbit: the beam is lost after element {index}, {name}"),
            Self::NotConverged(step) => {
                write!(out, "no closed orbit: the search did not come to rest (last step {step:.1e})")
            }
            Self::Resonance => write!(out, "no closed orbit: a tune is an integer"),
            Self::NoSynchronousPhase(loss, voltage) => {
                write!(out, "no closed orbit: {loss:.0} eV are lost per turn, the cavities give {voltage:.0} V")
            }
        }
    }
}

impl std::error::Error for NoClosedOrbit {}

/// Steps below this are rest (m, rad, 1).
const REST: f64 = 1e-12;
/// Steps below this have come near enough for the full maps.
const ROUGH_REST: f64 = 1e-9;
/// After a full step below this, what is still wanted is of the size of rounding: Newton's method squares it.
const NEAR: f64 = 1e-8;
/// What a step may leave to the next, as a part of itself, if the matrix is to be kept.
const LITTLE: f64 = 0.05;
/// What a first step leaves, over its square, from the curvature of the maps [1/m]: several times what rings have.
const SQUARED: f64 = 5.0;
/// Warm steps that may be taken before the search starts again from cold.
const WARM_STEPS: usize = 12;
/// Cold steps that may be taken.
const COLD_STEPS: usize = 60;
/// Magnets whose fast map may be renewed in one call; with radiation, which takes longer, a sixth of it.
const RENEWALS: usize = 48;

/// A place near the closed orbit.
pub(crate) struct Near {
    /// Coordinates at the start.
    pub start: Point<f64>,
    /// (1 - M)^-1 nearby.
    pub inverse: Matrix6<f64>,
    /// A passage nearby.
    pub passage: Passage,
}

/// What is kept from one closed orbit for the next.
#[derive(Clone, Debug)]
pub(crate) struct Warm {
    start: Point<f64>,
    /// (1 - M)^-1, in four or six dimensions.
    inverse: Matrix6<f64>,
    /// Fast maps of the elements that have one.
    series: Vec<Option<Box<BodySeries>>>,
    /// What the elements do to a beam on that orbit, as far as it has been asked for.
    pub(crate) beam: Kept,
}

impl Warm {
    /// Drops what is known about an element that has changed.
    pub(crate) fn forget(&mut self, index: usize) {
        self.series[index] = None;
        self.beam.forget(index);
    }

    /// Betters the inverse by what the last step did: after the step `taken`, `left` is still wanted (Broyden's rule).
    fn learn(&mut self, taken: &Vector6<f64>, left: &Vector6<f64>) {
        let gained = taken.dot(&(taken - left));
        if taken.amax() > ROUGH_REST && gained > 0.5 * taken.norm_squared() {
            self.inverse += left * (taken.transpose() * self.inverse) / gained;
        }
    }
}

impl Ring {
    /// The closed orbit: 6D with cavities, 4D at [`Ring::delta`] without. Starts from the last one found.
    ///
    /// # Errors
    /// Says why there is none; never returns an old one.
    pub fn closed_orbit(&mut self) -> Result<Orbit, NoClosedOrbit> {
        let last = self.warm.as_ref().map(|warm| warm.start);
        if let Some(warm) = self.warm.take()
            && let Some(orbit) = self.follow(warm)
        {
            return Ok(orbit);
        }
        let first = self.first_guess()?;
        self.search(first).or_else(|error| last.map_or(Err(error), |last| self.search(last)))
    }

    /// The closed orbit, without remembering it.
    ///
    /// # Errors
    /// As [`Ring::closed_orbit`].
    pub fn find_closed_orbit(&self) -> Result<Orbit, NoClosedOrbit> {
        self.find_closed_orbit_from(self.first_guess()?)
    }

    /// The closed orbit near a point, without remembering it; in 4D at the delta of that point.
    ///
    /// # Errors
    /// As [`Ring::closed_orbit`].
    pub fn find_closed_orbit_from(&self, guess: Point<f64>) -> Result<Orbit, NoClosedOrbit> {
        self.cold(guess).map(|(orbit, _)| orbit)
    }

    /// The closed orbit with the matrices about it, from nothing: 6D with cavities, 4D at [`Ring::delta`] without.
    ///
    /// # Errors
    /// As [`Ring::closed_orbit`].
    pub fn closed_passage(&self) -> Result<Passage, NoClosedOrbit> {
        let mut passage = Passage::default();
        self.newton(self.first_guess()?, self.goal(), &mut passage)?;
        Ok(passage)
    }

    /// The closed orbit on which a turn takes longer by `path_lengthening` [m] (ct at the end over that at the start) than
    /// that of the reference: delta is whatever it has to be. Cavities and radiation are left out.
    ///
    /// [`Ring::path_lengthening`] says what a cavity asks for.
    ///
    /// # Errors
    /// As [`Ring::closed_orbit`]; [`NoClosedOrbit::Resonance`] where momentum does not change the path.
    pub fn synchronous_orbit(&self, path_lengthening: f64) -> Result<Orbit, NoClosedOrbit> {
        let quiet = self.with_effects(Effects::NONE);
        let mut passage = Passage::default();
        quiet.newton([0.0; 6], Goal::Synchronous(path_lengthening), &mut passage)?;
        Ok(Orbit { points: passage.points })
    }

    /// By how much a turn has to be longer than the reference to stay with cavities of this frequency [m].
    #[must_use]
    pub fn path_lengthening(&self, frequency: f64) -> f64 {
        let harmonic = (frequency * self.settings.revolution_time).round();
        self.settings.speed() * harmonic / frequency - self.length()
    }

    fn goal(&self) -> Goal {
        if self.settings.cavity { Goal::Whole(self.path_mismatch()) } else { Goal::Transverse }
    }

    /// Transverse 0; with cavities at the synchronous phase.
    pub(crate) fn first_guess(&self) -> Result<Point<f64>, NoClosedOrbit> {
        let mut start = [0.0; 6];
        let Some(cavity) = self.first_cavity().filter(|_| self.settings.cavity) else {
            start[4] = self.delta();
            return Ok(start);
        };
        let voltage = self.rf_voltage();
        let loss = if self.settings.radiation { self.energy_loss() } else { 0.0 };
        if loss.abs() > voltage.abs() {
            return Err(NoClosedOrbit::NoSynchronousPhase(loss, voltage));
        }
        let phase = if voltage == 0.0 { 0.0 } else { (loss / voltage).asin() };
        start[5] = cavity.time_lag - self.settings.speed() / (std::f64::consts::TAU * cavity.frequency) * phase;
        Ok(start)
    }

    /// Energy lost in the elements by the design orbit [eV], from the bending angles.
    #[must_use]
    pub fn energy_loss(&self) -> f64 {
        let squares = self.elements.iter().map(|element| match &element.body {
            fodo_lattice::Body::Bend(bend) if element.length != 0.0 => bend.angle * bend.angle / element.length,
            _ => 0.0,
        });
        energy_loss(self.settings.energy, squares.sum())
    }

    /// Newton's method from `start`, then everything the next search can start from.
    fn search(&mut self, start: Point<f64>) -> Result<Orbit, NoClosedOrbit> {
        let (orbit, inverse) = self.cold(start)?;
        let series = self.steps.iter().zip(&orbit.points).map(|(step, at)| fast::expand(step, at)).collect();
        self.warm = Some(Warm { start: orbit.start(), inverse, series, beam: Kept::default() });
        Ok(orbit)
    }

    pub(crate) fn lost(&self, index: usize) -> NoClosedOrbit {
        NoClosedOrbit::Lost(index, self.elements[index].name.to_string())
    }

    /// A closed orbit found from `start`, and (1 - M)^-1 on or near it.
    fn cold(&self, start: Point<f64>) -> Result<(Orbit, Matrix6<f64>), NoClosedOrbit> {
        // where magnets radiate, derivatives take several times as long as the orbit alone
        if self.settings.radiation {
            let near = self.approach(start, 0.1 * REST)?;
            let points = self.trajectory(&near.start).map_err(|index| self.lost(index))?;
            return Ok((Orbit { points }, near.inverse));
        }
        let mut passage = Passage::default();
        let inverse = self.newton(start, self.goal(), &mut passage)?;
        Ok((Orbit { points: passage.points }, inverse))
    }

    /// Comes from `start` to where no more than about `rest` is left to the closed orbit: with the matrix of the first
    /// turn where each step leaves little to the next, else by Newton's method.
    pub(crate) fn approach(&self, start: Point<f64>, rest: f64) -> Result<Near, NoClosedOrbit> {
        let (goal, mut passage) = (self.goal(), Passage::default());
        let (residual, inverse) = self.turn_with_inverse(&start, goal, &mut passage)?;
        let (mut at, mut step) = (start, inverse * residual);
        let mut size = largest(&step);
        let mut left = SQUARED * size * size;
        for _ in 0..WARM_STEPS {
            at = stepped(&at, &step);
            if left < rest {
                return Ok(Near { start: at, inverse, passage });
            }
            let mut end = at;
            if self.pass(&mut end, 0.0).is_err() {
                break;
            }
            step = inverse * goal.residual(&at, &end);
            let last = std::mem::replace(&mut size, largest(&step));
            let slow = size > LITTLE * last;
            if slow && size > 10.0 * REST {
                break;
            }
            left = if slow { 0.0 } else { size * size / last };
        }
        let inverse = self.newton(start, goal, &mut passage)?;
        Ok(Near { start: passage.points[0], inverse, passage })
    }

    /// Damped Newton with the exact one-turn matrix. Leaves the passage on the fixed point and returns (1 - M)^-1 there.
    fn newton(&self, mut start: Point<f64>, goal: Goal, passage: &mut Passage) -> Result<Matrix6<f64>, NoClosedOrbit> {
        let mut trial = Passage::default();
        let (mut residual, mut inverse) = self.turn_with_inverse(&start, goal, passage)?;
        let (mut damping, mut size, mut last) = (1.0, f64::INFINITY, f64::INFINITY);
        for _ in 0..COLD_STEPS {
            let step = inverse * residual * damping;
            size = largest(&step);
            if damping == 1.0 && (size < 0.1 * REST || (last < NEAR && size < NEAR)) {
                passage.shift(&step);
                return Ok(inverse);
            }
            let next = stepped(&start, &step);
            match self.turn_with_inverse(&next, goal, &mut trial) {
                Ok((after, next_inverse)) if size < 1e-9 || weight(&after) <= 1.5 * weight(&residual) => {
                    std::mem::swap(passage, &mut trial);
                    (start, residual, inverse) = (next, after, next_inverse);
                    last = if damping == 1.0 { size } else { f64::INFINITY };
                    damping = f64::min(1.0, 2.0 * damping);
                }
                Err(error) if damping < 1e-3 => return Err(error),
                _ if damping < 1e-3 => return Err(NoClosedOrbit::NotConverged(size)),
                _ => damping *= 0.5,
            }
        }
        Err(NoClosedOrbit::NotConverged(size))
    }

    /// One turn: what it misses its start by, and (1 - M)^-1.
    fn turn_with_inverse(
        &self,
        start: &Point<f64>,
        goal: Goal,
        passage: &mut Passage,
    ) -> Result<(Vector6<f64>, Matrix6<f64>), NoClosedOrbit> {
        self.record_passage(start, passage).map_err(|index| self.lost(index))?;
        let inverse = goal.inverse(&passage.matrix()).ok_or(NoClosedOrbit::Resonance)?;
        Ok((goal.residual(start, &passage.end()), inverse))
    }

    /// What a passage from `start` to `end` misses the closed orbit by.
    pub(crate) fn residual(&self, start: &Point<f64>, end: &Point<f64>) -> Vector6<f64> {
        self.goal().residual(start, end)
    }

    /// (1 - M)^-1 as closed orbits need it; in four dimensions zero elsewhere.
    pub(crate) fn inverse(&self, matrix: &Matrix6<f64>) -> Option<Matrix6<f64>> {
        self.goal().inverse(matrix)
    }

    /// Goes on from the last closed orbit with fast maps and the last matrix; `None` if that does not come to rest.
    fn follow(&mut self, mut warm: Warm) -> Option<Orbit> {
        let goal = self.goal();
        if goal == Goal::Transverse {
            warm.start[4] = self.delta();
        }
        let mut orbit = Orbit { points: vec![[0.0; 6]; self.len() + 1] };
        let (mut last, mut slow, mut grade) = (f64::INFINITY, false, Grade::Rough);
        let mut before = Vector6::zeros();
        for _ in 0..WARM_STEPS {
            let stale = self.fast_turn(&warm, grade, &mut orbit.points)?;
            let residual = goal.residual(&warm.start, &orbit.points[self.len()]);
            let step = warm.inverse * residual;
            let size = largest(&step);
            if !size.is_finite() || size > 0.1 || (size > 2.0 * last && size > ROUGH_REST) {
                return None;
            }
            if size < REST && (grade == Grade::Full || stale.is_empty()) {
                self.renew(&mut warm, &orbit, &stale, slow);
                self.warm = Some(warm);
                return Some(orbit);
            }
            warm.learn(&before, &step);
            let step = warm.inverse * residual;
            before = step;
            slow |= size > 0.1 * last && last > ROUGH_REST;
            grade = if size < ROUGH_REST { Grade::Full } else { grade };
            warm.start = stepped(&warm.start, &step);
            last = size;
        }
        None
    }

    /// One turn from `warm.start`; all points are recorded. Returns the elements whose fast map does not hold, `None`
    /// if the particle is lost.
    fn fast_turn(&self, warm: &Warm, grade: Grade, points: &mut [Point<f64>]) -> Option<Vec<usize>> {
        let mut z = warm.start;
        let mut stale = vec![];
        points[0] = z;
        for (index, (step, series)) in self.steps.iter().zip(&warm.series).enumerate() {
            if !fast::apply(step, series.as_deref(), &mut z, grade) {
                stale.push(index);
            }
            points[index + 1] = z;
        }
        (!is_lost(&z)).then_some(stale)
    }

    /// Renews fast maps that did not hold on this orbit, and the matrix if it had become a bad guide.
    fn renew(&self, warm: &mut Warm, orbit: &Orbit, stale: &[usize], slow: bool) {
        let renewals = if self.settings.radiation { RENEWALS / 6 } else { RENEWALS };
        for &index in stale.iter().take(renewals) {
            warm.series[index] = fast::expand(&self.steps[index], &orbit.points[index]);
        }
        if slow && let Some(inverse) = self.one_turn_matrix(&warm.start).ok().and_then(|turn| self.inverse(&turn)) {
            warm.inverse = inverse;
        }
    }
}

fn stepped(start: &Point<f64>, step: &Vector6<f64>) -> Point<f64> {
    std::array::from_fn(|row| start[row] + step[row])
}

pub(crate) fn largest(step: &Vector6<f64>) -> f64 {
    if step.iter().all(|entry| entry.is_finite()) { step.amax() } else { f64::INFINITY }
}

/// Size of a residual; path length counts less than the rest.
fn weight(residual: &Vector6<f64>) -> f64 {
    let mut scaled = *residual;
    scaled[5] *= 0.1;
    scaled.norm()
}
