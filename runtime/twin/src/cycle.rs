//! A booster: the moment of its cycle that readings are of, and what its magnets have then.
//!
//! Monitors look once in a cycle, at the delay; the machine is that of this moment. Strengths are those of the lattice's energy: a
//! supply gives the beam as much less as it is stiffer.

use crate::channels::Knob;
use crate::ramp::Pace;
use fodo_devices::{Cycle, Quantities};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The wave forms of setpoints, in channel units, by knob.
pub(crate) type Waves = BTreeMap<usize, Arc<[f64]>>;

/// The cycle, and the setpoint that says when monitors look.
#[derive(Clone, Debug)]
pub(crate) struct Boost {
    pub cycle: Cycle,
    delay: Option<usize>,
}

impl Boost {
    pub fn new(cycle: &Cycle, knobs: &[Knob]) -> Boost {
        let delay = knobs.iter().position(|knob| knob.quantity == Some(Quantities::Delay));
        Boost { cycle: cycle.clone(), delay }
    }

    /// Whether a setpoint says when monitors look.
    pub fn is_delay(&self, knob: usize) -> bool {
        self.delay == Some(knob)
    }

    /// When monitors look, after the start of a cycle [s]: when the beam leaves, where nobody says it.
    pub fn moment(&self, knobs: &[Knob], values: &[f64]) -> f64 {
        self.delay.map_or(self.cycle.span[1], |knob| knobs[knob].field.to_physics(values[knob]))
    }

    /// The wave forms with which every strength is that of the lattice all the time.
    pub fn waves(&self, knobs: &[Knob], starts: &[f64]) -> Waves {
        let row = |(at, knob): (usize, &Knob)| {
            let knots = knob.field.wave.as_ref()?.knots;
            let value = |moment: &f64| knob.field.to_channel(starts[at] * self.cycle.stiffness(*moment));
            Some((at, self.cycle.knots(knots).iter().map(value).collect()))
        };
        knobs.iter().enumerate().filter_map(row).collect()
    }

    /// What a wave form gives at a moment, the supply being behind: physics value for the lattice's energy, SI.
    pub fn given(&self, knob: &Knob, row: &[f64], pace: Pace, moment: f64) -> f64 {
        knob.field.to_physics(self.cycle.followed(row, moment, pace.lag()))
    }

    /// By how much less the beam feels of a setpoint than at the lattice's energy [1].
    pub fn weaker(&self, knob: &Knob, moment: f64) -> f64 {
        use Quantities::{AcKickX, AcKickY, KickX, KickY, KickerX, KickerY, Skew, Upright};
        match knob.quantity {
            Some(KickX | KickY | Upright(_) | Skew(_) | AcKickX | AcKickY | KickerX | KickerY) => {
                1.0 / self.cycle.stiffness(moment)
            }
            None if !knob.field.gives.is_empty() => 1.0 / self.cycle.stiffness(moment),
            _ => 1.0,
        }
    }
}
