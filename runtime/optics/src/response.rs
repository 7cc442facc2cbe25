//! What the model says orbits do when a corrector or the RF frequency moves: exact derivatives, no differences.

use fodo_lattice::{Body, Element};
use nalgebra::{Matrix4, Matrix6, Vector6};

use crate::derivatives::Local;
use crate::features::Products;
use crate::maps::Point;
use crate::matrix::Passage;
use crate::orbit::NoClosedOrbit;
use crate::ring::{Effects, Ring};

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

    /// The response of monitors to pushes by horizontal, then vertical kicks of all correctors.
    pub(crate) fn of(linear: &Linear, monitors: &[usize], pushes: &[Push]) -> Self {
        let mut response = Self::new(monitors.len(), pushes.len() / 2);
        let table = |column: fn(&Push) -> &Vector6<f64>| rows(linear.dimensions, pushes.iter().map(column));
        let before = pushes.iter().map(|push| push.before);
        let mut front = Front::new(before, table(|push| &push.start), table(|push| &push.back));
        for row in order_of(monitors) {
            front.advance(monitors[row]);
            for (plane, factors) in [Plane::X, Plane::Y].into_iter().zip(linear.factors(monitors[row])) {
                let place = response.place(plane, row, Plane::X, 0);
                let out = &mut response.values[place..place + pushes.len()];
                front.products(0, &factors[..linear.dimensions], out, false);
            }
        }
        response
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
    /// Coordinates that matter: four where nothing changes the energy or depends on the path, else six.
    pub(crate) dimensions: usize,
}

impl Linear {
    pub(crate) fn of_line(ring: &Ring, start: &Point<f64>) -> Result<Self, NoClosedOrbit> {
        let passage = ring.passage(start).map_err(|index| ring.lost(index))?;
        Ok(Self { passage, inverse: None, dimensions: 6 })
    }

    pub(crate) fn of_ring(ring: &Ring) -> Result<Self, NoClosedOrbit> {
        let passage = ring.closed_passage()?;
        let inverse = ring.inverse(&passage.matrix()).ok_or(NoClosedOrbit::Resonance)?;
        let matrix = |element: &Element| matches!(element.body, Body::Matrix66(_));
        let coupled = ring.effects() != Effects::NONE || ring.elements().iter().any(matrix);
        Ok(Self { passage, inverse: Some(inverse), dimensions: if coupled { 6 } else { 4 } })
    }

    /// What x and y at the entrance of an element depend on at the start.
    pub(crate) fn factors(&self, element: usize) -> [[f64; 6]; 2] {
        let matrix = &self.passage.matrices[element];
        [0, 2].map(|row| std::array::from_fn(|column| matrix[(row, column)]))
    }

    /// A vector at the entrance of element `index`, carried back to the start.
    pub(crate) fn at_start(&self, index: usize, vector: &Vector6<f64>) -> Result<Vector6<f64>, NoClosedOrbit> {
        let matrix = &self.passage.matrices[index];
        if self.dimensions == 6 {
            return matrix.lu().solve(vector).ok_or(NoClosedOrbit::Resonance);
        }
        let transverse: Matrix4<f64> = matrix.fixed_view::<4, 4>(0, 0).into();
        let back = transverse.try_inverse().ok_or(NoClosedOrbit::Resonance)? * vector.fixed_rows::<4>(0);
        Ok(Vector6::new(back[0], back[1], back[2], back[3], 0.0, 0.0))
    }

    /// Change of the start of the closed orbit by what comes in addition at the end.
    pub(crate) fn closed(&self, end: &Vector6<f64>) -> Vector6<f64> {
        self.inverse.map_or_else(Vector6::zeros, |inverse| inverse * end)
    }

    /// A push at the entrance of element `before`, given as it is there.
    pub(crate) fn push(&self, before: usize, push: &Vector6<f64>) -> Result<Push, NoClosedOrbit> {
        let back = self.at_start(before, push)?;
        Ok(Push { before, back, start: self.closed(&(self.passage.matrix() * back)) })
    }
}

impl Linear {
    /// What a push does to (x, y) at the entrance of an element [m].
    pub(crate) fn moved(&self, push: &Push, element: usize) -> [f64; 2] {
        let from = if push.before <= element { push.start + push.back } else { push.start };
        let moved = self.passage.matrices[element] * from;
        [moved[0], moved[2]]
    }
}

/// A push on the closed orbit.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    /// The element at whose entrance it is given.
    pub before: usize,
    /// It, carried back to the start of the same turn.
    pub back: Vector6<f64>,
    /// What it does to the closed orbit at the start.
    pub start: Vector6<f64>,
}

/// What many pushes do to the orbit at one place after another: a table with a column for each push.
pub(crate) struct Front {
    /// Element and column of the pushes, in the order in which a particle meets them.
    order: Vec<(usize, usize)>,
    met: usize,
    back: Vec<f64>,
    table: Vec<f64>,
}

impl Front {
    /// Pushes at the entrances of the elements `before`, with tables of what they are and do, both seen at the start.
    pub fn new(before: impl Iterator<Item = usize>, start: Vec<f64>, back: Vec<f64>) -> Self {
        let mut order: Vec<_> = before.enumerate().map(|(column, element)| (element, column)).collect();
        order.sort_unstable();
        Self { order, met: 0, back, table: start }
    }

    pub fn columns(&self) -> usize {
        self.order.len()
    }

    /// Goes on to the entrance of an element further on.
    pub fn advance(&mut self, element: usize) {
        let columns = self.columns();
        while let Some(&(_, column)) = self.order.get(self.met).filter(|(before, _)| *before <= element) {
            let places = (column..self.table.len()).step_by(columns);
            places.for_each(|place| self.table[place] += self.back[place]);
            self.met += 1;
        }
    }

    /// Products of the rows from `first` on with these factors, for each push.
    pub fn products(&self, first: usize, factors: &[f64], out: &mut [f64], add: bool) {
        Products { out, factors, table: &self.table[first * self.columns()..], add }.make();
    }
}

/// Rows of coordinates from a column for each push.
pub(crate) fn rows<'v>(count: usize, columns: impl Iterator<Item = &'v Vector6<f64>> + Clone) -> Vec<f64> {
    (0..count).flat_map(|row| columns.clone().map(move |column| column[row])).collect()
}

/// Indices in the order of what they stand for.
pub(crate) fn order_of(elements: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..elements.len()).collect();
    order.sort_by_key(|&entry| elements[entry]);
    order
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
        let pushes = self.kick_pushes(linear, correctors)?;
        Ok(OrbitResponse::of(linear, monitors, &pushes))
    }

    /// The pushes of the horizontal kicks of all correctors, then those of the vertical ones.
    pub(crate) fn kick_pushes(&self, linear: &Linear, correctors: &[usize]) -> Result<Vec<Push>, NoClosedOrbit> {
        let (mut pushes, mut vertical) = (Vec::with_capacity(2 * correctors.len()), vec![]);
        for &corrector in correctors {
            let [x, y] = self.kicks_of(corrector, linear);
            pushes.push(linear.push(corrector + 1, &x)?);
            vertical.push(linear.push(corrector + 1, &y)?);
        }
        pushes.append(&mut vertical);
        Ok(pushes)
    }

    /// Derivatives of the coordinates after an element on this orbit with respect to its kicks [1/rad], horizontal and
    /// vertical; of a cavity with respect to its frequency [1/Hz].
    fn kicks_of(&self, index: usize, linear: &Linear) -> [Vector6<f64>; 2] {
        Local::new(&self.mixed_step(index, None), &linear.passage.points[index], &Vector6::zeros()).kicks
    }

    /// Response of the closed orbit to the frequency of all cavities: (x, y) at the entrance of each monitor [m/Hz]; 0
    /// where cavities are off.
    ///
    /// # Errors
    /// There is no closed orbit.
    pub fn frequency_response(&self, monitors: &[usize]) -> Result<Vec<[f64; 2]>, NoClosedOrbit> {
        if !self.effects().cavity {
            return Ok(vec![[0.0; 2]; monitors.len()]);
        }
        let linear = Linear::of_ring(self)?;
        Ok(self.energy_pushes(&linear)?.orbit(&linear, monitors))
    }

    /// What the frequency of all cavities [1/Hz] does to the closed orbit; without cavities, what delta does.
    pub(crate) fn energy_pushes(&self, linear: &Linear) -> Result<EnergyPushes, NoClosedOrbit> {
        if !self.effects().cavity {
            let delta = Vector6::ith(4, 1.0);
            let start = linear.closed(&(linear.passage.matrix() * delta)) + delta;
            return Ok(EnergyPushes { pushes: vec![], start });
        }
        let push = |index: usize| linear.push(index + 1, &self.kicks_of(index, linear)[0]);
        let mut pushes = self.cavity_indices().into_iter().map(push).collect::<Result<Vec<_>, _>>()?;
        pushes.sort_by_key(|push| push.before);
        let mismatch = Vector6::ith(5, -self.path_mismatch_slope());
        let start = pushes.iter().fold(linear.closed(&mismatch), |sum, push| sum + push.start);
        Ok(EnergyPushes { pushes, start })
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

/// What one parameter does to the energy of the beam, and so to its orbit: pushes along the ring.
pub(crate) struct EnergyPushes {
    /// In the order in which a particle meets them.
    pub pushes: Vec<Push>,
    /// Change of the closed orbit at the start by all of them.
    pub start: Vector6<f64>,
}

impl EnergyPushes {
    /// Change of the orbit, carried back to the start, at the entrance of an element.
    pub fn at(&self, element: usize) -> Vector6<f64> {
        let met = self.pushes.iter().take_while(|push| push.before <= element);
        met.fold(self.start, |sum, push| sum + push.back)
    }

    /// Change of the orbit (x, y) at the entrance of each monitor.
    pub fn orbit(&self, linear: &Linear, monitors: &[usize]) -> Vec<[f64; 2]> {
        let at = |&monitor: &usize| {
            let moved = linear.passage.matrices[monitor] * self.at(monitor);
            [moved[0], moved[2]]
        };
        monitors.iter().map(at).collect()
    }
}
