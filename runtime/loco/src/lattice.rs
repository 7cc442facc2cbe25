//! The lattice with the groups as they are in a fit.

use std::collections::BTreeMap;

use fodo_optics::{NoClosedOrbit, NoDerivative, ResponseModel, Ring, Strength};

use crate::setup::{Setup, Turn};
use crate::values::Values;

/// How far an element is turned: upright and skew gradient, then tilt.
type Turned = BTreeMap<usize, [f64; 3]>;

fn turned(setup: &Setup, values: &Values) -> Turned {
    let mut turned = Turned::new();
    for (group, value) in setup.groups.iter().zip(&values.groups) {
        for (turn, weight) in &group.members {
            let by = turned.entry(turn.element()).or_default();
            match turn {
                Turn::Gradient(_) => by[0] += weight * value,
                Turn::SkewGradient(_) => by[1] += weight * value,
                Turn::Tilt(_) => by[2] += weight * value,
            }
        }
    }
    turned
}

/// The gradients of an element with what was added to them, tilted.
fn tilted(upright: f64, skew: f64, tilt: f64) -> [f64; 2] {
    let (sine, cosine) = (2.0 * tilt).sin_cos();
    [upright * cosine + skew * sine, skew * cosine - upright * sine]
}

impl Setup {
    /// The model with these values of the groups.
    ///
    /// # Errors
    /// An element of a group has no field.
    pub fn ring_with(&self, values: &Values) -> Result<Ring, NoDerivative> {
        let mut ring = self.ring.clone();
        for (index, [upright, skew, tilt]) in turned(self, values) {
            let element = self.ring.elements().get(index).ok_or(NoDerivative::NoElement(index))?;
            let no_field = || NoDerivative::NoField(index, element.name.to_string());
            let field = element.field().ok_or_else(no_field)?;
            let [upright, skew] = tilted(field.upright(1) + upright, field.skew(1) + skew, tilt);
            ring.set_upright(index, 1, upright);
            ring.set_skew(index, 1, skew);
        }
        Ok(ring)
    }

    /// What one unit more of each group changes, about these values: `ring` is the model with them.
    pub(crate) fn strengths(&self, values: &Values, ring: &Ring) -> Vec<Vec<(Strength, f64)>> {
        let turned = turned(self, values);
        let of_member = |(turn, weight): &(Turn, f64)| {
            let index = turn.element();
            let tilt = turned.get(&index).map_or(0.0, |turned| turned[2]);
            let present = ring.element(index).field().map_or([0.0; 2], |field| [field.upright(1), field.skew(1)]);
            let [upright, skew] = match turn {
                Turn::Gradient(_) => tilted(*weight, 0.0, tilt),
                Turn::SkewGradient(_) => tilted(0.0, *weight, tilt),
                Turn::Tilt(_) => [2.0 * weight * present[1], -2.0 * weight * present[0]],
            };
            let both = [(Strength::Gradient(index), upright), (Strength::SkewGradient(index), skew)];
            both.into_iter().filter(|(_, rate)| *rate != 0.0)
        };
        self.groups.iter().map(|group| group.members.iter().flat_map(of_member).collect()).collect()
    }

    /// The response of a ring or line, ready for derivatives.
    pub(crate) fn response<'r>(
        &self,
        ring: &'r Ring,
        monitors: &[usize],
        correctors: &[usize],
    ) -> Result<ResponseModel<'r>, NoClosedOrbit> {
        match &self.line {
            Some(start) => ring.trajectory_model(start, monitors, correctors),
            None => ring.response_model(monitors, correctors),
        }
    }
}
