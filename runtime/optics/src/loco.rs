//! How the orbit response changes with the strengths of a ring: what fits of a model to a measured response need.
//!
//! Exact derivatives of [`Ring::orbit_response`] in thick elements, without differences. A strength changes the matrix of
//! its element, and it moves the closed orbit, and with it the matrices of all other elements. Everything is carried back
//! to the start of the ring: there the change of a transfer matrix is `dM = M Z`, and `Z` at an element is a sum over the
//! elements before it. So each strength costs a few products of small matrices at the monitors and correctors, and then
//! two rows of products for each row of the response.

use std::sync::OnceLock;

use nalgebra::{Matrix6, Vector6};
use rayon::prelude::*;

use crate::derivatives::{Local, Strength};
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
    /// There is no element of this index.
    NoElement(usize),
    /// The table has this length; the other is wanted.
    WrongLength(usize, usize),
}

impl std::fmt::Display for NoDerivative {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoClosedOrbit(reason) => reason.fmt(out),
            Self::NoField(index, name) => write!(out, "element {index}, {name}, has no field and so no gradient"),
            Self::NoElement(index) => write!(out, "there is no element {index}"),
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

/// A place of the closed orbit at the start in the order of the coordinates, or less of it.
type Start = Vector6<f64>;

/// How transfer matrices and pushes change with the start of the closed orbit.
struct Curvature {
    /// For each place and each coordinate at the start, the Z of its change.
    generators: Vec<Vec<Matrix6<f64>>>,
    /// For each kick and each coordinate, the change of its push, carried back to the start.
    kicks: Vec<Vec<Vector6<f64>>>,
    /// The same for the pushes that change the energy.
    energy: Vec<Vec<Vector6<f64>>>,
}

/// What one strength changes, seen at the start.
struct Change {
    element: usize,
    /// Change of the closed orbit at the start, and in addition after the element; `None` if it stays.
    shift: Option<[Start; 2]>,
    /// What Z gains in the element, about the closed orbit as it is after it.
    gain: Matrix6<f64>,
    /// Change of the pushes by kicks of the element itself.
    kicks: [Vector6<f64>; 2],
}

/// Shifts of the orbit below this, in units of the change of the matrix, are rounding.
const NO_SHIFT: f64 = 1e-16;

impl Ring {
    /// The response of the closed orbit at the entrance of `monitors` to the kicks of `correctors`, ready for derivatives.
    ///
    /// 6D with cavities, else 4D at [`Ring::delta`].
    ///
    /// # Errors
    /// There is no closed orbit.
    pub fn response_model(&self, monitors: &[usize], correctors: &[usize]) -> Result<ResponseModel<'_>, NoClosedOrbit> {
        let linear = Linear::of_ring(self)?;
        Ok(ResponseModel {
            ring: self,
            kicks: self.kick_pushes(&linear, correctors)?,
            energy: self.energy_pushes(&linear)?,
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

    /// Change of the start of the closed orbit by a change of what it is at the start of the same turn.
    fn around(&self, back: &Vector6<f64>) -> Vector6<f64> {
        self.linear.closed(&(self.linear.passage.matrix() * back))
    }

    fn change(&self, strength: Strength) -> Result<Change, NoDerivative> {
        let element = strength.element();
        let known = self.ring.elements().get(element).ok_or(NoDerivative::NoElement(element))?;
        if known.field().is_none() {
            return Err(NoDerivative::NoField(element, known.name.to_string()));
        }
        let passage = &self.linear.passage;
        let step = self.ring.mixed_step(element, Some(strength));
        let local = Local::new(&step, &passage.points[element], &Vector6::zeros());
        let inverse = self.inverse_at(element + 1)?;
        let (mut gain, back) = (inverse * local.matrix_rate * passage.matrices[element], inverse * local.push);
        let kicks = local.kick_rates.map(|rate| inverse * rate);
        let moved = (0..self.linear.dimensions).fold(0.0, |most, row| f64::max(most, back[row].abs()));
        let shift = (moved > NO_SHIFT * gain.amax()).then(|| [self.around(&back), back]);
        if let Some([_, back]) = &shift {
            gain -= self.curvature()?.generator(element + 1, back);
        }
        Ok(Change { element, shift, gain, kicks })
    }

    fn inverse_at(&self, place: usize) -> Result<Matrix6<f64>, NoClosedOrbit> {
        self.linear.passage.matrices[place].try_inverse().ok_or(NoClosedOrbit::Resonance)
    }

    fn curvature(&self) -> Result<&Curvature, NoClosedOrbit> {
        self.curvature.get_or_init(|| self.new_curvature()).as_ref().map_err(Clone::clone)
    }

    fn new_curvature(&self) -> Result<Curvature, NoClosedOrbit> {
        let mut generators = vec![vec![Matrix6::zeros(); self.linear.dimensions]];
        for element in 0..self.ring.len() {
            let mut next = generators[element].clone();
            let rates = self.local_rates(element)?;
            next.iter_mut().zip(rates).for_each(|(generator, rate)| *generator += rate.0);
            generators.push(next);
        }
        let change = |push: &Push, plane: usize| {
            let rates = self.local_rates(push.before - 1)?;
            Ok(rates.into_iter().map(|rate| rate.1[plane]).collect())
        };
        let correctors = self.kicks.len() / 2;
        let kicks = self.kicks.iter().enumerate().map(|(column, push)| change(push, usize::from(column >= correctors)));
        let energy = self.energy.pushes.iter().map(|push| change(push, 0));
        Ok(Curvature {
            kicks: kicks.collect::<Result<_, NoClosedOrbit>>()?,
            energy: energy.collect::<Result<_, NoClosedOrbit>>()?,
            generators,
        })
    }

    /// For each coordinate at the start, what Z gains in an element, and the changes of the pushes of its kicks.
    fn local_rates(&self, element: usize) -> Result<Vec<(Matrix6<f64>, [Vector6<f64>; 2])>, NoClosedOrbit> {
        if self.ring.steps[element].is_nothing() {
            return Ok(vec![(Matrix6::zeros(), [Vector6::zeros(); 2]); self.linear.dimensions]);
        }
        let passage = &self.linear.passage;
        let (matrix, inverse) = (&passage.matrices[element], self.inverse_at(element + 1)?);
        let step = self.ring.mixed_step(element, None);
        let rate = |coordinate: usize| {
            let local = Local::new(&step, &passage.points[element], &matrix.column(coordinate).into());
            (inverse * local.matrix_rate * matrix, local.kick_rates.map(|rate| inverse * rate))
        };
        Ok((0..self.linear.dimensions).map(rate).collect())
    }

    /// Z at the entrance of an element.
    fn z(&self, change: &Change, place: usize) -> Matrix6<f64> {
        let after = place > change.element;
        let gain = if after { change.gain } else { Matrix6::zeros() };
        match (&change.shift, self.curvature.get()) {
            (Some([start, back]), Some(Ok(curvature))) => {
                gain + curvature.generator(place, &if after { start + back } else { *start })
            }
            _ => gain,
        }
    }

    /// Change of a push carried back to the start; `rates` are those with the start of the closed orbit.
    fn changed_back(&self, change: &Change, push: &Push, rates: Option<&[Vector6<f64>]>) -> Vector6<f64> {
        let mut changed = -(self.z(change, push.before) * push.back);
        if let (Some([start, back]), Some(rates)) = (&change.shift, rates) {
            // the orbit at the entrance of the element that kicks
            let at = if push.before > change.element + 1 { start + back } else { *start };
            changed += rates.iter().zip(at.iter()).fold(Vector6::zeros(), |sum, (rate, by)| sum + rate * *by);
        }
        changed
    }

    /// Changes of the pushes of all kicks and of what they do, seen at the start.
    fn changed_kicks(&self, change: &Change) -> Result<Vec<[Vector6<f64>; 2]>, NoDerivative> {
        let curvature = if change.shift.is_some() { Some(self.curvature()?) } else { None };
        let end = self.z(change, self.ring.len());
        let correctors = self.kicks.len() / 2;
        let changed = |(column, push): (usize, &Push)| {
            let mut back = Vector6::zeros();
            if change.shift.is_some() || push.before > change.element {
                let rates = curvature.map(|curvature| curvature.kicks[column].as_slice());
                back = self.changed_back(change, push, rates);
            }
            if push.before == change.element + 1 {
                back += change.kicks[usize::from(column >= correctors)];
            }
            [self.around(&(end * (push.start + push.back) + back)), back]
        };
        Ok(self.kicks.iter().enumerate().map(changed).collect())
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

impl Curvature {
    /// Z of the change of the matrix to a place with a shift of the start.
    fn generator(&self, place: usize, shift: &Start) -> Matrix6<f64> {
        let parts = self.generators[place].iter().zip(shift.iter());
        parts.fold(Matrix6::zeros(), |sum, (generator, by)| sum + generator * *by)
    }
}

impl Change {
    fn scaled(&self, weight: f64) -> Self {
        Self {
            element: self.element,
            shift: self.shift.map(|parts| parts.map(|part| part * weight)),
            gain: self.gain * weight,
            kicks: self.kicks.map(|kick| kick * weight),
        }
    }
}
