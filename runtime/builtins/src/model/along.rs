//! A function along the model: `model.beta_x`.

use crate::families::{Member, Members, getter};
use crate::quantity;
use crate::vector::Vector;
use fodo_devices::Device;
use fodo_language::{Outcome, fail, script_error};
use fodo_lattice::Lattice;
use fodo_report::{Diagnostic, Kind};
use fodo_units::Unit;
use rhai::{Dynamic, Engine, FuncRegistration, ImmutableString};
use std::sync::Arc;

/// Values at all points of the cut lattice.
#[derive(Clone)]
pub struct Along {
    /// One for each point.
    pub values: Arc<[f64]>,
    /// Their unit.
    pub unit: Unit,
    /// For each element its entrance among the points, and its centre if it could be cut.
    pub places: Arc<[(usize, Option<usize>)]>,
    /// The lattice, whose elements have names.
    pub lattice: Arc<Lattice>,
}

impl Along {
    /// At the centre of a device: halfway in the middle one of its elements.
    fn at(&self, device: &Device) -> Outcome<f64> {
        let elements = &device.elements;
        match (elements.len(), elements.get(elements.len() / 2)) {
            (_, None) => Err(script_error(format!("{} stands nowhere in the lattice", device.shown()))),
            (count, Some(&at)) if count % 2 == 0 => Ok(self.values[self.places[at].0]),
            (_, Some(&at)) => match self.places[at].1 {
                Some(centre) => Ok(self.values[centre]),
                None => Err(script_error(format!(
                    "the model gives no value inside {}: it cannot be cut in two",
                    device.shown()
                ))),
            },
        }
    }

    /// At the entrances of all elements with this name, or made from the definition of this name.
    fn named(&self, name: &str) -> Outcome<Vector> {
        let elements = self.lattice.elements.iter().zip(self.places.iter());
        let ours = elements.filter(|(element, _)| *element.name == *name || *element.definition == *name);
        let values: Vec<f64> = ours.map(|(_, (entrance, _))| self.values[*entrance]).collect();
        if values.is_empty() {
            let report = Diagnostic::new(Kind::Script, format!("the lattice has no element \"{name}\""));
            let known = self.lattice.elements.iter().map(|element| element.name.as_ref());
            return Err(fail(report.near(name, known).into()));
        }
        Ok(Vector::from_si(values, self.unit.clone()))
    }

    /// At all points.
    fn all(&self) -> Vector {
        Vector::from_si(self.values.to_vec(), self.unit.clone())
    }

    /// At the entrances of all elements and at the end.
    fn entrances(&self) -> Vector {
        let places = self.places.iter().map(|(entrance, _)| self.values[*entrance]);
        Vector::from_si(places.chain(self.values.last().copied()).collect(), self.unit.clone())
    }
}

impl std::fmt::Display for Along {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a function along the model at {} points [{}]; index it with a family", self.values.len(), self.unit)
    }
}

/// Registers everything of this type.
pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Along>("model function")
        .register_fn("to_string", |a: &mut Along| a.to_string())
        .register_indexer_get(|a: &mut Along, members: Members| -> Outcome<Vector> {
            let values = members.devices.iter().map(|d| a.at(d)).collect::<Outcome<Vec<f64>>>()?;
            Ok(Vector::from_si(values, a.unit.clone()))
        })
        .register_indexer_get(|a: &mut Along, member: Member| -> Outcome<Dynamic> {
            Ok(quantity::of(a.at(&member.device)?, a.unit.clone()))
        })
        .register_indexer_get(|a: &mut Along, name: ImmutableString| a.named(&name));
    getter!(
        engine,
        "all",
        ["function: model function", "vector"],
        "/// Its values at all points of the cut lattice, in its unit.",
        |a: &mut Along| a.all()
    );
    getter!(
        engine,
        "entrances",
        ["function: model function", "vector"],
        "/// Its values at the entrances of all elements and at the end, in its unit.",
        |a: &mut Along| a.entrances()
    );
    crate::read_only(engine, "a model function", "all", Along::all);
    crate::read_only(engine, "a model function", "entrances", Along::entrances);
}
