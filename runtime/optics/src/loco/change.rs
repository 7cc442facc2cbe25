//! What a strength changes in a ring: the matrix of its element, the closed orbit, and with it all other matrices.

use nalgebra::{Matrix6, Vector6};

use super::{NoDerivative, ResponseModel};
use crate::derivatives::{Local, Strength};
use crate::orbit::NoClosedOrbit;
use crate::response::Push;

/// A closed orbit at the start.
type Start = Vector6<f64>;

/// What Z gains in an element, and the changes of the pushes of its kicks, carried back to the start.
type Rate = (Matrix6<f64>, [Vector6<f64>; 2]);

/// How transfer matrices and pushes change with the start of the closed orbit.
pub(super) struct Curvature {
    /// For each place and each coordinate at the start, the Z of its change.
    pub generators: Vec<Vec<Matrix6<f64>>>,
    /// For each kick and each coordinate, the change of its push, carried back to the start.
    pub kicks: Vec<Vec<Vector6<f64>>>,
    /// The same for the pushes that change the energy.
    pub energy: Vec<Vec<Vector6<f64>>>,
}

/// What one strength changes, seen at the start.
pub(super) struct Change {
    pub element: usize,
    /// Change of the closed orbit at the start, and in addition after the element; `None` if it stays.
    pub shift: Option<[Start; 2]>,
    /// What Z gains in the element, about the closed orbit as it is after it.
    pub gain: Matrix6<f64>,
    /// Change of the pushes by kicks of the element itself.
    pub kicks: [Vector6<f64>; 2],
}

/// Shifts of the orbit below this, in units of the change of the matrix, are rounding.
const NO_SHIFT: f64 = 1e-16;

impl ResponseModel<'_> {
    /// Change of the start of the closed orbit by a change of what it is at the start of the same turn.
    pub(super) fn around(&self, back: &Vector6<f64>) -> Vector6<f64> {
        self.linear.closed(&(self.linear.passage.matrix() * back))
    }

    pub(super) fn change(&self, strength: Strength) -> Result<Change, NoDerivative> {
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

    pub(super) fn curvature(&self) -> Result<&Curvature, NoClosedOrbit> {
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

    /// The rates of an element with each coordinate at the start.
    fn local_rates(&self, element: usize) -> Result<Vec<Rate>, NoClosedOrbit> {
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
    pub(super) fn z(&self, change: &Change, place: usize) -> Matrix6<f64> {
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
    pub(super) fn changed_back(&self, change: &Change, push: &Push, rates: Option<&[Vector6<f64>]>) -> Vector6<f64> {
        let mut changed = -(self.z(change, push.before) * push.back);
        if let (Some([start, back]), Some(rates)) = (&change.shift, rates) {
            // the orbit at the entrance of the element that kicks
            let at = if push.before > change.element + 1 { start + back } else { *start };
            changed += rates.iter().zip(at.iter()).fold(Vector6::zeros(), |sum, (rate, by)| sum + rate * *by);
        }
        changed
    }

    /// Changes of the pushes of all kicks and of what they do, seen at the start.
    pub(super) fn changed_kicks(&self, change: &Change) -> Result<Vec<[Vector6<f64>; 2]>, NoDerivative> {
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
}

impl Curvature {
    /// Z of the change of the matrix to a place with a shift of the start.
    fn generator(&self, place: usize, shift: &Start) -> Matrix6<f64> {
        let parts = self.generators[place].iter().zip(shift.iter());
        parts.fold(Matrix6::zeros(), |sum, (generator, by)| sum + generator * *by)
    }
}

impl Change {
    pub fn scaled(&self, weight: f64) -> Self {
        Self {
            element: self.element,
            shift: self.shift.map(|parts| parts.map(|part| part * weight)),
            gain: self.gain * weight,
            kicks: self.kicks.map(|kick| kick * weight),
        }
    }
}
