//! How the orbit response changes with the strengths of a ring: what fits of a model to a measured response need.
//!
//! Exact derivatives of [`Ring::orbit_response`] in thick elements, without differences. A strength changes the matrix of
//! its element, and it moves the closed orbit, and with it the matrices of all other elements. Everything is carried back
//! to the start of the ring: there the change of a transfer matrix is `dM = M Z`, and `Z` at an element is a sum over the
//! elements before it. So each strength costs a few products of small matrices at the monitors and correctors, and then
//! two rows of products for each row of the response.

mod change;
mod orbit;

use std::sync::OnceLock;

use nalgebra::{Matrix6, Vector6};
use rayon::prelude::*;

use change::{Change, Curvature};
pub use orbit::StrengthResponse;

use crate::derivatives::Strength;
use crate::maps::Point;
use crate::orbit::NoClosedOrbit;
use crate::response::{EnergyPushes, Front, Linear, OrbitResponse, Push, order_of, rows};
use crate::ring::Ring;

/// The orbit response of a ring, ready for derivatives.
///
/// Tables have the order of [`OrbitResponse::values`]: orbit plane, monitor, kick plane, corrector.
pub struct ResponseModel<'r> {
    ring: &'r Ring,
    linear: Linear,
    monitors: Vec<usize>,
    monitor_order: Vec<usize>,
    /// Those of the horizontal kicks of all correctors, then those of the vertical ones.
    kicks: Vec<Push>,
    energy: EnergyPushes,
    /// Made when the first strength moves the closed orbit.
    curvature: OnceLock<Result<Curvature, NoClosedOrbit>>,
}

/// Why a derivative of the response cannot be had.
#[derive(Clone, Debug, PartialEq)]
pub enum NoDerivative {
    /// There is no closed orbit, or none that is unique.
    NoClosedOrbit(NoClosedOrbit),
    /// The element of this index and name has no field.
    NoField(usize, String),
    /// There is no element, monitor or corrector of this number.
    NoElement(usize),
    /// The table has this length; the other is wanted.
    WrongLength(usize, usize),
}

impl std::fmt::Display for NoDerivative {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoClosedOrbit(reason) => reason.fmt(out),
            Self::NoField(index, name) => write!(out, "element {index}, {name}, has no field and so no gradient"),
            Self::NoElement(index) => write!(out, "there is no element, monitor or corrector {index}"),
            Self::WrongLength(length, wanted) => {
                write!(out, "a table for the derivatives has {length} numbers; {wanted} are wanted")
            }
        }
    }
}

impl std::error::Error for NoDerivative {}

impl From<NoClosedOrbit> for NoDerivative {
    fn from(reason: NoClosedOrbit) -> Self {
        Self::NoClosedOrbit(reason)
    }
}

impl Ring {
    /// The response of the closed orbit at the entrance of `monitors` to the kicks of `correctors`, ready for derivatives.
    ///
    /// 6D with cavities, else 4D at [`Ring::delta`].
    ///
    /// # Errors
    /// There is no closed orbit.
    pub fn response_model(&self, monitors: &[usize], correctors: &[usize]) -> Result<ResponseModel<'_>, NoClosedOrbit> {
        let linear = Linear::of_ring(self)?;
        let energy = self.energy_pushes(&linear)?;
        self.model_of(linear, energy, monitors, correctors)
    }

    /// The same for the trajectory from `start`; its response to the energy is that to delta at the start.
    ///
    /// # Errors
    /// The particle is lost.
    pub fn trajectory_model(
        &self,
        start: &Point<f64>,
        monitors: &[usize],
        correctors: &[usize],
    ) -> Result<ResponseModel<'_>, NoClosedOrbit> {
        let energy = EnergyPushes { pushes: vec![], start: Vector6::ith(4, 1.0) };
        self.model_of(Linear::of_line(self, start)?, energy, monitors, correctors)
    }

    fn model_of(
        &self,
        linear: Linear,
        energy: EnergyPushes,
        monitors: &[usize],
        correctors: &[usize],
    ) -> Result<ResponseModel<'_>, NoClosedOrbit> {
        Ok(ResponseModel {
            ring: self,
            kicks: self.kick_pushes(&linear, correctors)?,
            energy,
            linear,
            monitors: monitors.to_vec(),
            monitor_order: order_of(monitors),
            curvature: OnceLock::new(),
        })
    }
}

impl ResponseModel<'_> {
    /// The response itself [m/rad].
    #[must_use]
    pub fn response(&self) -> OrbitResponse {
        OrbitResponse::of(&self.linear, &self.monitors, &self.kicks)
    }

    /// Numbers in a table of the response or of its derivative: 4 x monitors x correctors.
    #[must_use]
    pub fn table_length(&self) -> usize {
        2 * self.monitors.len() * self.kicks.len()
    }

    /// Change of the orbit (x, y) at each monitor with the RF frequency [m/Hz]; without cavities with delta [m].
    #[must_use]
    pub fn energy_response(&self) -> Vec<[f64; 2]> {
        self.energy.orbit(&self.linear, &self.monitors)
    }

    /// Derivative of the response with respect to one strength, into `table` [m/rad per unit of the strength].
    ///
    /// # Errors
    /// The element has no field, or `table` has the wrong length.
    pub fn derivative(&self, strength: Strength, table: &mut [f64]) -> Result<(), NoDerivative> {
        self.check(table.len(), 1)?;
        self.write(&self.change(strength)?, table, false)
    }

    /// The same with respect to a knob that moves several strengths, each so much per unit of the knob.
    ///
    /// # Errors
    /// As [`ResponseModel::derivative`].
    pub fn knob_derivative(&self, knob: &[(Strength, f64)], table: &mut [f64]) -> Result<(), NoDerivative> {
        self.check(table.len(), 1)?;
        table.fill(0.0);
        knob.iter().try_for_each(|(strength, weight)| self.write(&self.change(*strength)?.scaled(*weight), table, true))
    }

    /// Derivatives with respect to many strengths, one table after the other.
    ///
    /// # Errors
    /// As [`ResponseModel::derivative`].
    pub fn jacobian(&self, strengths: &[Strength], tables: &mut [f64]) -> Result<(), NoDerivative> {
        self.check(tables.len(), strengths.len())?;
        let tables = tables.chunks_exact_mut(self.table_length().max(1));
        strengths.iter().zip(tables).try_for_each(|(strength, table)| self.derivative(*strength, table))
    }

    /// The same on all threads of the present rayon pool: the same bits, whatever their number.
    ///
    /// # Errors
    /// As [`ResponseModel::derivative`].
    pub fn jacobian_parallel(&self, strengths: &[Strength], tables: &mut [f64]) -> Result<(), NoDerivative> {
        self.check(tables.len(), strengths.len())?;
        let tables = tables.par_chunks_exact_mut(self.table_length().max(1));
        strengths.par_iter().zip(tables).try_for_each(|(strength, table)| self.derivative(*strength, table))
    }

    /// Derivative of [`ResponseModel::energy_response`] with respect to a strength.
    ///
    /// # Errors
    /// The element has no field.
    pub fn energy_derivative(&self, strength: Strength) -> Result<Vec<[f64; 2]>, NoDerivative> {
        let change = self.change(strength)?;
        let curvature = if change.shift.is_some() { Some(self.curvature()?) } else { None };
        let pushes = self.energy.pushes.iter().enumerate();
        let changed: Vec<_> = pushes
            .map(|(number, push)| {
                let rates = curvature.map(|curvature| curvature.energy[number].as_slice());
                self.changed_back(&change, push, rates)
            })
            .collect();
        let end = self.z(&change, self.ring.len()) * self.energy.at(self.ring.len());
        let start = self.around(&changed.iter().fold(end, |sum, back| sum + back));
        let at = |&monitor: &usize| {
            let met = self.energy.pushes.iter().zip(&changed).take_while(|(push, _)| push.before <= monitor);
            let back = met.fold(start, |sum, (_, back)| sum + back);
            let moved =
                self.linear.passage.matrices[monitor] * (self.z(&change, monitor) * self.energy.at(monitor) + back);
            [moved[0], moved[2]]
        };
        Ok(self.monitors.iter().map(at).collect())
    }

    fn check(&self, length: usize, tables: usize) -> Result<(), NoDerivative> {
        let wanted = tables * self.table_length();
        if length == wanted { Ok(()) } else { Err(NoDerivative::WrongLength(length, wanted)) }
    }

    /// Writes the derivative of the response, or adds it.
    fn write(&self, change: &Change, table: &mut [f64], add: bool) -> Result<(), NoDerivative> {
        let (count, columns) = (self.linear.dimensions, self.kicks.len());
        let changed = self.changed_kicks(change)?;
        // rows of the front: what kicks do, then how that changes
        let joined = |known: fn(&Push) -> &Vector6<f64>, which: usize| {
            let mut table = rows(count, self.kicks.iter().map(known));
            table.extend(rows(count, changed.iter().map(|changed| &changed[which])));
            table
        };
        let before = self.kicks.iter().map(|push| push.before);
        let mut front = Front::new(before, joined(|push| &push.start, 0), joined(|push| &push.back, 1));
        for &row in &self.monitor_order {
            let monitor = self.monitors[row];
            front.advance(monitor);
            let z = (change.shift.is_some() || monitor > change.element).then(|| self.z(change, monitor));
            for (plane, factors) in self.linear.factors(monitor).into_iter().enumerate() {
                let place = (plane * self.monitors.len() + row) * columns;
                let out = &mut table[place..place + columns];
                match &z {
                    Some(z) => front.products(0, &doubled(z, &factors, count)[..2 * count], out, add),
                    None => front.products(count, &factors[..count], out, add),
                }
            }
        }
        Ok(())
    }
}

/// Factors times Z, then the factors: `count` of each.
fn doubled(z: &Matrix6<f64>, factors: &[f64; 6], count: usize) -> [f64; 12] {
    let changed = z.tr_mul(&Vector6::from(*factors));
    std::array::from_fn(|place| match place {
        place if place < count => changed[place],
        place if place < 2 * count => factors[place - count],
        _ => 0.0,
    })
}
