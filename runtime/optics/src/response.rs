//! What the model says orbits do when a corrector or the RF frequency moves: exact derivatives, no differences.

use nalgebra::{Matrix4, Matrix6, Vector6};

use crate::maps::{Action, Point};
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

/// A ring linearised about a closed orbit: what a push anywhere does everywhere.
struct Linear {
    matrices: Vec<Matrix6<f64>>,
    /// (1 - M)^-1; zero; `None` for a line.
    inverse: Option<Matrix6<f64>>,
}

impl Linear {
    fn of_line(ring: &Ring, start: &Point<f64>) -> Result<Self, NoClosedOrbit> {
        let matrices = ring.matrices_from(start)?;
        Ok(Self { matrices, inverse: None })
    }

    fn of_ring(ring: &Ring, start: &Point<f64>) -> Result<Self, NoClosedOrbit> {
        let mut linear = Self::of_line(ring, start)?;
        if !ring.effects().cavity {
            linear.matrices.iter_mut().for_each(keep_transverse);
        }
        let turn = linear.matrices[ring.len()];
        let gap = Matrix6::identity() - turn;
        linear.inverse = if ring.effects().cavity { gap.try_inverse() } else { invert_transverse(&gap) };
        if linear.inverse.is_none() { Err(NoClosedOrbit::Resonance) } else { Ok(linear) }
    }

    /// The push `push`, which comes after element `index`, carried back to the start.
    fn at_start(&self, index: usize, push: &Vector6<f64>) -> Option<Vector6<f64>> {
        self.matrices[index + 1].lu().solve(push)
    }

    /// Change of the starting point of the closed orbit by a push seen at the start of the same turn.
    fn closed(&self, back: &Vector6<f64>) -> Vector6<f64> {
        let end = self.matrices[self.matrices.len() - 1] * back;
        self.inverse.map_or_else(Vector6::zeros, |inverse| inverse * end)
    }
}

/// Leaves energy and path length alone.
fn keep_transverse(matrix: &mut Matrix6<f64>) {
    for k in 0..6 {
        for longitudinal in [4, 5] {
            matrix[(k, longitudinal)] = 0.0;
            matrix[(longitudinal, k)] = 0.0;
        }
    }
    (matrix[(4, 4)], matrix[(5, 5)]) = (1.0, 1.0);
}

fn invert_transverse(gap: &Matrix6<f64>) -> Option<Matrix6<f64>> {
    let transverse: Matrix4<f64> = gap.fixed_view::<4, 4>(0, 0).into();
    let mut inverse = Matrix6::zeros();
    inverse.fixed_view_mut::<4, 4>(0, 0).copy_from(&transverse.try_inverse()?);
    Some(inverse)
}

impl Ring {
    /// Response of the closed orbit to the kicks of `correctors` at the entrance of `monitors` [m/rad].
    ///
    /// 6D with cavities, else 4D. A corrector is any element that can have a kick.
    ///
    /// # Errors
    /// There is no closed orbit.
    pub fn orbit_response(&self, monitors: &[usize], correctors: &[usize]) -> Result<OrbitResponse, NoClosedOrbit> {
        let orbit = self.find_closed_orbit()?;
        let linear = Linear::of_ring(self, &orbit.start())?;
        self.response(&linear, &orbit.points, monitors, correctors)
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
        let linear = Linear::of_line(self, start)?;
        let points = self.trajectory(start);
        let points = points.map_err(|index| NoClosedOrbit::Lost(index, self.element(index).name.to_string()))?;
        self.response(&linear, &points, monitors, correctors)
    }

    fn response(
        &self,
        linear: &Linear,
        points: &[Point<f64>],
        monitors: &[usize],
        correctors: &[usize],
    ) -> Result<OrbitResponse, NoClosedOrbit> {
        let mut response = OrbitResponse::new(monitors.len(), correctors.len());
        for (column, &corrector) in correctors.iter().enumerate() {
            let pushes = self.kick_pushes(corrector, &points[corrector]);
            for (kick, push) in [Plane::X, Plane::Y].into_iter().zip(pushes) {
                let push = if self.effects().cavity || linear.inverse.is_none() { push } else { transverse_only(push) };
                let back = linear.at_start(corrector, &push).ok_or(NoClosedOrbit::Resonance)?;
                let start = linear.closed(&back);
                for (row, &monitor) in monitors.iter().enumerate() {
                    let from = if monitor > corrector { start + back } else { start };
                    let moved = linear.matrices[monitor] * from;
                    for (plane, coordinate) in [(Plane::X, 0), (Plane::Y, 2)] {
                        let place = response.place(plane, row, kick, column);
                        response.values[place] = moved[coordinate];
                    }
                }
            }
        }
        Ok(response)
    }

    /// Derivatives of the coordinates after an element with respect to its horizontal and its vertical kick.
    fn kick_pushes(&self, index: usize, at: &Point<f64>) -> [Vector6<f64>; 2] {
        let mut z: Point<Dual<2>> = at.map(Dual::constant);
        self.step_with_kicks(index).apply(&mut z, 0.0);
        [0, 1].map(|kick| Vector6::from_fn(|row, _| z[row].slope[kick]))
    }

    /// Response of the closed orbit to the frequency of all cavities: (x, y) at the entrance of each monitor [m/Hz].
    ///
    /// # Errors
    /// There is no closed orbit, or no cavity is on.
    pub fn frequency_response(&self, monitors: &[usize]) -> Result<Vec<[f64; 2]>, NoClosedOrbit> {
        let orbit = self.find_closed_orbit()?;
        let linear = Linear::of_ring(self, &orbit.start())?;
        let mut pushes = Vec::new();
        for index in self.cavity_indices() {
            let push = self.frequency_push(index, &orbit.points[index]);
            pushes.push((index, linear.at_start(index, &push).ok_or(NoClosedOrbit::Resonance)?));
        }
        let total = pushes.iter().fold(Vector6::zeros(), |sum, (_, back)| sum + back);
        let mut end = linear.matrices[self.len()] * total;
        end[5] -= self.path_mismatch_slope();
        let start = linear.inverse.map_or_else(Vector6::zeros, |inverse| inverse * end);
        let at = |&monitor: &usize| {
            let before = pushes.iter().filter(|(index, _)| *index < monitor);
            let moved = linear.matrices[monitor] * before.fold(start, |sum, (_, back)| sum + back);
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

fn transverse_only(mut push: Vector6<f64>) -> Vector6<f64> {
    (push[4], push[5]) = (0.0, 0.0);
    push
}
