//! What the model says orbits do when a corrector or the RF frequency moves: exact derivatives, no differences.

use nalgebra::{Matrix4, Matrix6, Vector6};

use crate::maps::{Action, Point};
use crate::matrix::Passage;
use crate::number::{Dual, Number};
use crate::orbit::NoClosedOrbit;
use crate::ring::Ring;

/// Response of the orbit to correctors [m/rad].
#[derive(Clone, Debug, PartialEq)]
pub struct OrbitResponse {
    values: Vec<f64>,
    monitors: usize,
    correctors: usize,
}

/// A transverse plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Horizontal.
    X,
    /// Vertical.
    Y,
}

impl OrbitResponse {
    fn new(monitors: usize, correctors: usize) -> Self {
        Self { values: vec![0.0; 4 * monitors * correctors], monitors, correctors }
    }

    fn place(&self, orbit: Plane, monitor: usize, kick: Plane, corrector: usize) -> usize {
        ((orbit as usize * self.monitors + monitor) * 2 + kick as usize) * self.correctors + corrector
    }

    /// Change of the orbit in plane `orbit` at a monitor per kick in plane `kick` of a corrector [m/rad]; monitors and
    /// correctors are counted as they were asked for.
    #[must_use]
    pub fn get(&self, orbit: Plane, monitor: usize, kick: Plane, corrector: usize) -> f64 {
        self.values[self.place(orbit, monitor, kick, corrector)]
    }

    /// All values, in the order orbit plane, monitor, kick plane, corrector [m/rad].
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

/// A ring linearised about a closed orbit, or a line about a trajectory: what a push anywhere does everywhere.
pub(crate) struct Linear {
    pub(crate) passage: Passage,
    /// (1 - M)^-1, zero where coordinates stay as they are; `None` for a line.
    inverse: Option<Matrix6<f64>>,
    /// Coordinates that are free: four on closed orbits at a given momentum, else six.
    pub(crate) dimensions: usize,
}

impl Linear {
    fn of_line(ring: &Ring, start: &Point<f64>) -> Result<Self, NoClosedOrbit> {
        let passage = ring.passage(start).map_err(|index| ring.lost(index))?;
        Ok(Self { passage, inverse: None, dimensions: 6 })
    }

    pub(crate) fn of_ring(ring: &Ring) -> Result<Self, NoClosedOrbit> {
        let passage = ring.closed_passage()?;
        let inverse = ring.inverse(&passage.matrix()).ok_or(NoClosedOrbit::Resonance)?;
        Ok(Self { passage, inverse: Some(inverse), dimensions: if ring.effects().cavity { 6 } else { 4 } })
    }

    /// The push `push`, which comes before element `index`, carried back to the start.
    pub(crate) fn at_start(&self, index: usize, push: &Vector6<f64>) -> Option<Vector6<f64>> {
        let matrix = &self.passage.matrices[index];
        if self.dimensions == 6 {
            return matrix.lu().solve(push);
        }
        let transverse: Matrix4<f64> = matrix.fixed_view::<4, 4>(0, 0).into();
        let back = transverse.try_inverse()? * push.fixed_rows::<4>(0);
        Some(Vector6::new(back[0], back[1], back[2], back[3], 0.0, 0.0))
    }

    /// Change of the starting point of the closed orbit by what is missing at the end.
    pub(crate) fn closed(&self, end: &Vector6<f64>) -> Vector6<f64> {
        self.inverse.map_or_else(Vector6::zeros, |inverse| inverse * end)
    }

    /// A push before element `after`, given as it is there.
    fn push(&self, after: usize, push: &Vector6<f64>) -> Result<Push, NoClosedOrbit> {
        let back = self.at_start(after, push).ok_or(NoClosedOrbit::Resonance)?;
        Ok(Push { before: after, back, start: self.closed(&(self.passage.matrix() * back)) })
    }
}

/// A push on the closed orbit.
pub(crate) struct Push {
    /// The element at whose entrance it is given.
    pub(crate) before: usize,
    /// It, carried back to the start of the same turn.
    pub(crate) back: Vector6<f64>,
    /// What it does to the closed orbit at the start.
    pub(crate) start: Vector6<f64>,
}

/// What many pushes do to the orbit at one place after another: a table of coordinates by pushes.
pub(crate) struct Front<'p> {
    pushes: &'p [Push],
    /// Pushes in the order in which a particle meets them.
    order: Vec<usize>,
    met: usize,
    /// Changes of the coordinates, carried back to the start: six rows of as many columns as there are pushes.
    pub(crate) table: Vec<f64>,
}

impl<'p> Front<'p> {
    pub(crate) fn new(pushes: &'p [Push]) -> Self {
        let mut order: Vec<usize> = (0..pushes.len()).collect();
        order.sort_by_key(|&push| pushes[push].before);
        let table = (0..6).flat_map(|row| pushes.iter().map(move |push| push.start[row])).collect();
        Self { pushes, order, met: 0, table }
    }

    /// Goes on to the entrance of an element further on.
    pub(crate) fn advance(&mut self, element: usize) {
        let columns = self.pushes.len();
        while let Some(&push) = self.order.get(self.met).filter(|&&push| self.pushes[push].before <= element) {
            (0..6).for_each(|row| self.table[row * columns + push] += self.pushes[push].back[row]);
            self.met += 1;
        }
    }
}

impl Ring {
    /// Response of the closed orbit to the kicks of `correctors` at the entrance of `monitors` [m/rad].
    ///
    /// 6D with cavities, else 4D. A corrector is any element that can have a kick.
    ///
    /// # Errors
    /// There is no closed orbit.
    pub fn orbit_response(&self, monitors: &[usize], correctors: &[usize]) -> Result<OrbitResponse, NoClosedOrbit> {
        self.response(&Linear::of_ring(self)?, monitors, correctors)
    }

    /// Response of the trajectory from `start` to the kicks of `correctors` at the entrance of `monitors` [m/rad].
    ///
    /// # Errors
    /// The particle is lost.
    pub fn trajectory_response(
        &self,
        start: &Point<f64>,
        monitors: &[usize],
        correctors: &[usize],
    ) -> Result<OrbitResponse, NoClosedOrbit> {
        self.response(&Linear::of_line(self, start)?, monitors, correctors)
    }

    fn response(
        &self,
        linear: &Linear,
        monitors: &[usize],
        correctors: &[usize],
    ) -> Result<OrbitResponse, NoClosedOrbit> {
        let mut response = OrbitResponse::new(monitors.len(), correctors.len());
        let pushes = self.kick_pushes(linear, correctors)?;
        let mut front = Front::new(&pushes);
        let mut order: Vec<usize> = (0..monitors.len()).collect();
        order.sort_by_key(|&row| monitors[row]);
        for row in order {
            front.advance(monitors[row]);
            let matrix = &linear.passage.matrices[monitors[row]];
            for (plane, coordinate) in [(Plane::X, 0), (Plane::Y, 2)] {
                let factors: [f64; 6] = std::array::from_fn(|column| matrix[(coordinate, column)]);
                let place = response.place(plane, row, Plane::X, 0);
                let out = &mut response.values[place..place + pushes.len()];
                add_products(out, &factors[..linear.dimensions], &front.table);
            }
        }
        Ok(response)
    }

    /// The pushes of the horizontal kicks of all correctors, then those of the vertical ones.
    fn kick_pushes(&self, linear: &Linear, correctors: &[usize]) -> Result<Vec<Push>, NoClosedOrbit> {
        let (mut pushes, mut vertical) = (Vec::with_capacity(2 * correctors.len()), vec![]);
        for &corrector in correctors {
            let [x, y] = self.kicks_of(corrector, &linear.passage.points[corrector]);
            pushes.push(linear.push(corrector + 1, &x)?);
            vertical.push(linear.push(corrector + 1, &y)?);
        }
        pushes.append(&mut vertical);
        Ok(pushes)
    }

    /// Derivatives of the coordinates after an element with respect to its horizontal and its vertical kick.
    fn kicks_of(&self, index: usize, at: &Point<f64>) -> [Vector6<f64>; 2] {
        let mut z: Point<Dual<2>> = at.map(Dual::constant);
        self.step_with_kicks(index).apply(&mut z, 0.0);
        [0, 1].map(|kick| Vector6::from_fn(|row, _| z[row].slope[kick]))
    }

    /// Response of the closed orbit to the frequency of all cavities: (x, y) at the entrance of each monitor [m/Hz].
    ///
    /// # Errors
    /// There is no closed orbit, or no cavity is on.
    pub fn frequency_response(&self, monitors: &[usize]) -> Result<Vec<[f64; 2]>, NoClosedOrbit> {
        let linear = Linear::of_ring(self)?;
        let mut pushes = Vec::new();
        for index in self.cavity_indices() {
            let push = self.frequency_push(index, &linear.passage.points[index]);
            pushes.push(linear.push(index + 1, &push)?);
        }
        let mismatch = Vector6::new(0.0, 0.0, 0.0, 0.0, 0.0, -self.path_mismatch_slope());
        let start = pushes.iter().fold(linear.closed(&mismatch), |sum, push| sum + push.start);
        let at = |&monitor: &usize| {
            let met = pushes.iter().filter(|push| push.before <= monitor);
            let moved = linear.passage.matrices[monitor] * met.fold(start, |sum, push| sum + push.back);
            [moved[0], moved[2]]
        };
        Ok(monitors.iter().map(at).collect())
    }

    /// Derivatives of the coordinates after a cavity with respect to its frequency [1/Hz].
    fn frequency_push(&self, index: usize, at: &Point<f64>) -> Vector6<f64> {
        let mut z: Point<Dual<1>> = at.map(Dual::constant);
        if let Action::Cavity(cavity) = &self.steps[index].action {
            cavity.apply_at(&mut z, 0.0, Dual::variable(cavity.frequency, 0));
        }
        Vector6::from_fn(|row, _| z[row].slope[0])
    }

    /// Derivative of the path mismatch with respect to the frequency of the cavities [m/Hz].
    fn path_mismatch_slope(&self) -> f64 {
        let Some(cavity) = self.first_cavity().filter(|cavity| cavity.counts_turns && self.effects().cavity) else {
            return 0.0;
        };
        let harmonic = (cavity.frequency * self.settings.revolution_time).round();
        -self.settings.speed() * harmonic / (cavity.frequency * cavity.frequency)
    }
}

/// Adds to each entry the products of `factors` with its column of `table`, which has a row for each factor.
fn add_products(out: &mut [f64], factors: &[f64], table: &[f64]) {
    for (factor, row) in factors.iter().zip(table.chunks_exact(out.len().max(1))) {
        out.iter_mut().zip(row).for_each(|(out, entry)| *out += factor * entry);
    }
}
