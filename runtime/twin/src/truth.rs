//! What the scripts cannot see.

use crate::injection::InjectionTruth;
use crate::placement::Placement;
use fodo_devices::strength::add_field;
use fodo_lattice::{Body, Class, Element};
use fodo_optics::Calibration;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How an element really is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ElementTruth {
    /// Where it stands.
    pub placement: Placement,
    /// Relative error of its whole field [1].
    pub relative: f64,
    /// Fields that it should not have.
    pub multipoles: Vec<Multipole>,
    /// Cavity: frequency beside the one asked for [Hz].
    pub frequency: f64,
    /// Cavity: relative error of the voltage [1].
    pub voltage: f64,
    /// Cavity: phase by which the zero crossing is later than it should be [rad].
    pub phase: f64,
}

/// A field component in proportion to the main one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multipole {
    /// Order, from 0 for a dipole field.
    pub order: usize,
    /// Skew instead of upright.
    pub skew: bool,
    /// The coefficient over the main one, both without factorials [1/m to the power of order less main order].
    pub ratio: f64,
}

impl ElementTruth {
    /// Makes a sound element what it really is: first its field, then where it stands.
    pub(crate) fn spoil(&self, element: &mut Element) {
        self.spoil_field(element);
        if let Body::Cavity(cavity) = &mut element.body {
            cavity.frequency += self.frequency;
            cavity.voltage *= 1.0 + self.voltage;
            cavity.phase_lag += self.phase;
        }
        element.alignment = self.placement.alignment(element);
    }

    fn spoil_field(&self, element: &mut Element) {
        let curvature = curvature(element);
        if self.relative != 0.0 {
            let Some(field) = element.field_mut() else { return };
            field.b.iter_mut().chain(&mut field.a).for_each(|value| *value *= 1.0 + self.relative);
            add_field(element, 0, [curvature * self.relative, 0.0]);
        }
        if self.multipoles.is_empty() {
            return;
        }
        let Some(main) = main_order(element) else { return };
        let upright = element.field().map_or(0.0, |field| field.upright(main));
        let strength = if main == 0 { curvature + upright } else { upright };
        for multipole in &self.multipoles {
            let value = multipole.ratio * strength;
            add_field(element, multipole.order, if multipole.skew { [0.0, value] } else { [value, 0.0] });
        }
    }
}

/// The order of the main field of a magnet, from 0 for a dipole; `None` for what is no magnet or has no field.
pub(crate) fn main_order(element: &Element) -> Option<usize> {
    match element.class() {
        Class::Bend => Some(0),
        Class::Quadrupole => Some(1),
        Class::Sextupole => Some(2),
        Class::Octupole => Some(3),
        _ => element.field().and_then(|field| (0..=field.max_order).find(|&order| field.upright(order) != 0.0)),
    }
}

/// Curvature of the design orbit [1/m].
fn curvature(element: &Element) -> f64 {
    match &element.body {
        Body::Bend(bend) if element.length != 0.0 => bend.angle / element.length,
        _ => 0.0,
    }
}

/// How a monitor really reads: `polarity * gain * (u + coupling * v) + noise` in each plane, with the position less the
/// offset in the monitor's own axes, `u` in the plane and `v` in the other one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonitorTruth {
    /// Factor, horizontal and vertical [1].
    pub gain: [f64; 2],
    /// Offset, horizontal and vertical [m].
    pub offset: [f64; 2],
    /// Roll about the beam, right-handed [rad].
    pub roll: f64,
    /// What the other plane adds to the horizontal and to the vertical [1].
    pub coupling: [f64; 2],
    /// 1, or -1 where the sign is wrong.
    pub polarity: [f64; 2],
    /// Standard deviation of one shot [m].
    pub noise: f64,
    /// Standard deviation of one turn [m].
    pub noise_turns: f64,
    /// Current below which it shows no position turn by turn [A].
    pub threshold: f64,
}

impl Default for MonitorTruth {
    fn default() -> Self {
        MonitorTruth {
            gain: [1.0; 2],
            offset: [0.0; 2],
            roll: 0.0,
            coupling: [0.0; 2],
            polarity: [1.0; 2],
            noise: 0.0,
            noise_turns: 0.0,
            threshold: 0.0,
        }
    }
}

impl MonitorTruth {
    /// The same for a monitor that does not stand where it should.
    pub(crate) fn displaced(mut self, by: &Placement) -> MonitorTruth {
        self.offset = [self.offset[0] + by.dx, self.offset[1] + by.dy];
        self.roll += by.roll;
        self
    }

    /// What it shows of a position [m], without noise.
    #[must_use]
    pub fn reads(&self, position: [f64; 2]) -> [f64; 2] {
        let [x, y] = [0, 1].map(|plane| position[plane] - self.offset[plane]);
        let own = match self.roll == 0.0 {
            true => [x, y],
            false => {
                let turned = Calibration::of_monitor([1.0; 2], self.roll);
                [turned.gain[0] * x + turned.coupling[0] * y, turned.coupling[1] * x + turned.gain[1] * y]
            }
        };
        [0, 1].map(|plane| {
            let seen = match self.coupling[plane] == 0.0 {
                true => own[plane],
                false => own[plane] + self.coupling[plane] * own[1 - plane],
            };
            self.polarity[plane] * self.gain[plane] * seen
        })
    }
}

/// What a supply really gives: `polarity * gain * value + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupplyTruth {
    /// Factor on what it is asked for [1].
    pub gain: f64,
    /// What it gives beside that, in the unit of the field, SI.
    pub offset: f64,
    /// Roll of its winding in the magnet [rad].
    pub roll: f64,
    /// 1, or -1 where it is connected the wrong way.
    pub polarity: f64,
}

impl Default for SupplyTruth {
    fn default() -> Self {
        SupplyTruth { gain: 1.0, offset: 0.0, roll: 0.0, polarity: 1.0 }
    }
}

impl SupplyTruth {
    /// What it gives where it is asked for a value.
    pub(crate) fn gives(&self, value: f64) -> f64 {
        self.polarity * (value * self.gain) + self.offset
    }
}

/// Family and device.
pub type DeviceKey = (Arc<str>, Arc<str>);

/// Family, device and field.
pub type FieldKey = (Arc<str>, Arc<str>, Arc<str>);

/// Everything that is wrong with the machine.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Elements that are not as the lattice has them, by index.
    pub elements: BTreeMap<usize, ElementTruth>,
    /// Monitors by family and device; those not named are perfect.
    pub monitors: HashMap<DeviceKey, MonitorTruth>,
    /// Supplies by family, device and field; those not named are perfect.
    pub supplies: HashMap<FieldKey, SupplyTruth>,
    /// How the beam enters a line or a ring.
    pub injection: InjectionTruth,
}

impl Truth {
    /// An element, to be spoilt.
    pub(crate) fn element(&mut self, element: usize) -> &mut ElementTruth {
        self.elements.entry(element).or_default()
    }

    /// How a monitor reads, apart from where its element stands.
    #[must_use]
    pub fn monitor(&self, family: &Arc<str>, device: &Arc<str>) -> MonitorTruth {
        self.monitors.get(&(family.clone(), device.clone())).copied().unwrap_or_default()
    }

    /// What the supply of a field gives.
    #[must_use]
    pub fn supply(&self, family: &Arc<str>, device: &Arc<str>, field: &Arc<str>) -> SupplyTruth {
        self.supplies.get(&(family.clone(), device.clone(), field.clone())).copied().unwrap_or_default()
    }
}
