//! What a match may turn: parameters of elements, alone or together.

use fodo_lattice::{Body, Element};
use fodo_optics::Ring;

use super::NoMatch;

/// A number of an element that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parameter {
    /// Length [m]; the angle of a bend stays.
    Length,
    /// Bending angle [rad].
    Angle,
    /// Quadrupole strength [1/m²]; integrated in a thin magnet [1/m].
    K1,
    /// Skew quadrupole strength [1/m²].
    K1Skew,
    /// Sextupole strength, with factorial [1/m³].
    K2,
    /// Skew sextupole strength, with factorial [1/m³].
    K2Skew,
    /// Octupole strength, with factorial [1/m⁴].
    K3,
    /// Skew octupole strength, with factorial [1/m⁴].
    K3Skew,
    /// Horizontal corrector kick [rad].
    KickX,
    /// Vertical corrector kick [rad].
    KickY,
    /// Factor on all fields of the element [1].
    FieldScaling,
    /// Cavity frequency [Hz].
    Frequency,
    /// Cavity voltage [V].
    Voltage,
}

impl Parameter {
    /// Its name, in the words scripts use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Angle => "angle",
            Self::K1 => "k1",
            Self::K1Skew => "k1s",
            Self::K2 => "k2",
            Self::K2Skew => "k2s",
            Self::K3 => "k3",
            Self::K3Skew => "k3s",
            Self::KickX => "kick_x",
            Self::KickY => "kick_y",
            Self::FieldScaling => "field_scaling",
            Self::Frequency => "frequency",
            Self::Voltage => "voltage",
        }
    }

    /// Its value in an element; `None` if elements of this kind do not have it.
    #[must_use]
    pub fn of(self, element: &Element) -> Option<f64> {
        let upright = |order, factor| element.field().map(|field| field.upright(order) * factor);
        let skew = |order, factor| element.field().map(|field| field.skew(order) * factor);
        match self {
            Self::Length => Some(element.length),
            Self::Angle => bend(element).map(|bend| bend.angle),
            Self::K1 => upright(1, 1.0),
            Self::K1Skew => skew(1, 1.0),
            Self::K2 => upright(2, 2.0),
            Self::K2Skew => skew(2, 2.0),
            Self::K3 => upright(3, 6.0),
            Self::K3Skew => skew(3, 6.0),
            Self::KickX => can_kick(element).then_some(element.kick[0]),
            Self::KickY => can_kick(element).then_some(element.kick[1]),
            Self::FieldScaling => Some(element.field_scaling),
            Self::Frequency => cavity(element).map(|cavity| cavity.frequency),
            Self::Voltage => cavity(element).map(|cavity| cavity.voltage),
        }
    }

    /// Sets it in an element of a ring; nothing happens where [`Parameter::of`] has no value.
    pub fn set(self, ring: &mut Ring, index: usize, value: f64) {
        match self {
            Self::Length => ring.set_length(index, value),
            _ => ring.change(index, |element| self.set_in(element, value)),
        }
    }

    /// Sets it in an element on its own.
    pub(super) fn set_in(self, element: &mut Element, value: f64) {
        match (self, &mut element.body) {
            (Self::Length, _) => element.length = value,
            (Self::Angle, Body::Bend(bend)) => bend.angle = value,
            (Self::KickX, _) => element.kick[0] = value,
            (Self::KickY, _) => element.kick[1] = value,
            (Self::FieldScaling, _) => element.field_scaling = value,
            (Self::Frequency, Body::Cavity(cavity)) => cavity.frequency = value,
            (Self::Voltage, Body::Cavity(cavity)) => cavity.voltage = value,
            _ => self.set_field(element, value),
        }
    }

    fn set_field(self, element: &mut Element, value: f64) {
        let Some(field) = element.field_mut() else { return };
        match self {
            Self::K1 => field.set_upright(1, value),
            Self::K1Skew => field.set_skew(1, value),
            Self::K2 => field.set_upright(2, value / 2.0),
            Self::K2Skew => field.set_skew(2, value / 2.0),
            Self::K3 => field.set_upright(3, value / 6.0),
            Self::K3Skew => field.set_skew(3, value / 6.0),
            _ => {}
        }
    }

    /// The size of a change that does something to a usual machine [unit of the parameter].
    fn usual(self) -> f64 {
        match self {
            Self::Length | Self::K1 | Self::K1Skew => 0.1,
            Self::K2 | Self::K2Skew => 10.0,
            Self::K3 | Self::K3Skew => 1e3,
            Self::Angle | Self::FieldScaling => 1e-2,
            Self::KickX | Self::KickY => 1e-4,
            Self::Frequency => 1e3,
            Self::Voltage => 1e5,
        }
    }
}

fn bend(element: &Element) -> Option<&fodo_lattice::Bend> {
    if let Body::Bend(bend) = &element.body { Some(bend) } else { None }
}

fn cavity(element: &Element) -> Option<&fodo_lattice::Cavity> {
    if let Body::Cavity(cavity) = &element.body { Some(cavity) } else { None }
}

fn can_kick(element: &Element) -> bool {
    matches!(element.body, Body::Corrector) || element.field().is_some()
}

/// One parameter of one element, as a variable drives it: it is `offset + factor * variable`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Driven {
    /// Index of the element.
    pub element: usize,
    /// Which number of it.
    pub parameter: Parameter,
    /// Factor of the variable.
    pub factor: f64,
    /// Value at 0 of the variable.
    pub offset: f64,
}

/// Something a match may turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Name, for reports.
    pub name: String,
    /// What it drives.
    pub driven: Vec<Driven>,
    /// Value to start from.
    pub start: f64,
    /// Least value.
    pub lower: f64,
    /// Greatest value.
    pub upper: f64,
    /// Natural size of a change; steps are measured in it.
    pub scale: f64,
}

impl Variable {
    /// A variable that is the value of a parameter, the same in all these elements; starts from that of the first.
    ///
    /// # Errors
    /// There is no element, or one has no such parameter.
    pub fn value(
        ring: &Ring,
        name: impl Into<String>,
        parameter: Parameter,
        elements: &[usize],
    ) -> Result<Self, NoMatch> {
        let name = name.into();
        let mut driven = vec![];
        for &element in elements {
            now(ring, &name, parameter, element)?;
            driven.push(Driven { element, parameter, factor: 1.0, offset: 0.0 });
        }
        let first = *elements.first().ok_or_else(|| NoMatch::NothingDriven(name.clone()))?;
        let start = now(ring, &name, parameter, first)?;
        Ok(Self::from_parts(name, driven, start, f64::max(parameter.usual(), start.abs())))
    }

    /// A variable that is a change from the values there are, each element with its own factor; starts from 0.
    ///
    /// # Errors
    /// There is no element, or one has no such parameter.
    pub fn change(
        ring: &Ring,
        name: impl Into<String>,
        parameter: Parameter,
        elements: &[(usize, f64)],
    ) -> Result<Self, NoMatch> {
        let name = name.into();
        let mut driven = vec![];
        for &(element, factor) in elements {
            let offset = now(ring, &name, parameter, element)?;
            driven.push(Driven { element, parameter, factor, offset });
        }
        if driven.is_empty() {
            return Err(NoMatch::NothingDriven(name));
        }
        Ok(Self::from_parts(name, driven, 0.0, parameter.usual()))
    }

    fn from_parts(name: String, driven: Vec<Driven>, start: f64, scale: f64) -> Self {
        Self { name, driven, start, lower: f64::NEG_INFINITY, upper: f64::INFINITY, scale }
    }

    /// With bounds.
    #[must_use]
    pub fn within(mut self, lower: f64, upper: f64) -> Self {
        (self.lower, self.upper) = (lower, upper);
        self
    }

    /// With another natural size of a change.
    #[must_use]
    pub fn scaled(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// Sets all it drives.
    pub fn apply(&self, ring: &mut Ring, value: f64) {
        for driven in &self.driven {
            driven.parameter.set(ring, driven.element, driven.offset + driven.factor * value);
        }
    }

    pub(super) fn check(&self, ring: &Ring) -> Result<(), NoMatch> {
        if self.driven.is_empty() {
            return Err(NoMatch::NothingDriven(self.name.clone()));
        }
        for driven in &self.driven {
            now(ring, &self.name, driven.parameter, driven.element)?;
        }
        let finite = self.start.is_finite() && self.scale.is_finite() && self.scale > 0.0;
        if !finite || self.lower.is_nan() || self.upper.is_nan() || self.lower >= self.upper {
            return Err(NoMatch::BadBounds(self.name.clone(), self.lower, self.upper));
        }
        Ok(())
    }
}

/// The value of a parameter now.
fn now(ring: &Ring, variable: &str, parameter: Parameter, element: usize) -> Result<f64, NoMatch> {
    let Some(there) = ring.elements().get(element) else {
        return Err(NoMatch::NoElement(variable.to_string(), element));
    };
    parameter
        .of(there)
        .ok_or_else(|| NoMatch::NoParameter(variable.to_string(), element, there.name.to_string(), parameter.name()))
}
