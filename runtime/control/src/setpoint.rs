//! A channel that can be set, with everything that is checked before it is.

use crate::Channel;
use fodo_report::Result;
use fodo_units::{Calibration, Quantity, Unit};
use std::sync::Arc;
use std::time::Duration;

/// A channel that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Setpoint {
    /// As people know it: `HCOR["C03-2"].kick`.
    pub name: Arc<str>,
    /// Family it belongs to; rights are given by family.
    pub family: Arc<str>,
    /// Where it is written.
    pub channel: Channel,
    /// Where its arrival is seen, if not by the write's own completion.
    pub readback: Option<Channel>,
    /// Hardware unit.
    pub unit: Arc<str>,
    /// Lowest and highest value allowed, in the hardware unit.
    pub limits: (f64, f64),
    /// How near the readback has to come, in the hardware unit.
    pub tolerance: f64,
    /// How long arriving may take.
    pub arrival: Duration,
    /// Fastest change, in hardware units per second; larger changes go in steps.
    pub rate: Option<f64>,
    /// How the value is shown to people: the physics unit, where it is known.
    pub physics: Option<Physics>,
}

/// From the number on a channel to the physics unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Physics {
    /// Hardware unit of the channel.
    pub hardware: Unit,
    /// Physics unit.
    pub unit: Unit,
    /// Between them.
    pub calibration: Calibration,
}

impl Setpoint {
    /// A value for people: `1.31 mrad (5.24 A)`, or in the hardware unit where nothing else is known.
    pub fn shown(&self, value: f64) -> String {
        let Some(physics) = &self.physics else { return format!("{} {}", Quantity::plain(value), self.unit) };
        let si = value * physics.hardware.scale();
        let felt = Quantity::from_si(physics.calibration.to_physics(si), physics.unit.clone());
        if physics.hardware.dimension() == physics.unit.dimension() {
            return felt.to_string();
        }
        format!("{felt} ({})", Quantity::from_si(si, physics.hardware.clone()))
    }

    /// How far two values are apart, for people.
    pub fn apart(&self, a: f64, b: f64) -> String {
        let Some(physics) = &self.physics else { return format!("{} {}", Quantity::plain((a - b).abs()), self.unit) };
        let felt = |value: f64| physics.calibration.to_physics(value * physics.hardware.scale());
        Quantity::from_si((felt(a) - felt(b)).abs(), physics.unit.clone()).to_string()
    }
}

/// A setpoint and the absolute value it shall take, in its hardware unit.
#[derive(Clone, Debug)]
pub struct Change {
    /// What.
    pub setpoint: Arc<Setpoint>,
    /// To where.
    pub value: f64,
}

/// Somebody who knows more about changes than their limits: the predicted orbit.
pub trait Guard: Send + Sync {
    /// Refuses a set of changes from `present` hardware values, before anything is written.
    fn check(&self, changes: &[Change], present: &[f64]) -> Result<()>;

    /// Is told what goes out, restoring included, and from which hardware values.
    fn moved(&self, changes: &[Change], present: &[f64]);
}

/// Whether a channel still holds a value that was written: equal but for what a text or a float
/// protocol loses of it.
pub(crate) fn same(present: f64, written: f64) -> bool {
    present == written || (present - written).abs() <= 1e-12 * present.abs().max(written.abs())
}
