//! What is true at a moment: the errors of the machine, what moves in it, and what goes wrong just now.

use crate::channels::Channels;
use crate::truth::{ElementTruth, MonitorTruth, SupplyTruth, Truth};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is wrong now.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    pub elements: BTreeMap<usize, ElementTruth>,
    /// By knob.
    pub supplies: Vec<Supply>,
    /// By monitor.
    pub monitors: Vec<Eye>,
    /// Pressure of the residual gas over what it should be [1].
    pub gas: f64,
    /// Part of the beam that is lost besides what the model knows of [1/s].
    pub loss: f64,
    /// No particle goes round.
    pub beamless: bool,
    /// Elements whose chamber is closed beyond so far from its middle [m].
    pub obstacles: BTreeMap<usize, f64>,
}

/// A supply now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Supply {
    pub truth: SupplyTruth,
    /// Gives nothing.
    pub off: bool,
    /// What it keeps giving whatever it is asked for, as physics value in SI.
    pub held: Option<f64>,
    /// Relative error of its readback [1].
    pub readback: f64,
    /// Of a kicker: by how much it fires too late; infinite where it does not fire [s].
    pub late: f64,
}

impl Supply {
    /// What it holds where it is asked for a physics value.
    pub fn holds(&self, asked: f64) -> f64 {
        if self.off { 0.0 } else { self.held.unwrap_or(asked) }
    }

    /// Whether it says what it is asked for.
    pub fn is_sound(&self) -> bool {
        !self.off && self.held.is_none() && self.readback == 0.0
    }

    /// What the magnet gets.
    pub fn gives(&self, asked: f64) -> f64 {
        if self.off { 0.0 } else { self.truth.gives(self.holds(asked)) }
    }
}

/// A monitor now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eye {
    /// How it reads, where its element stands included.
    pub truth: MonitorTruth,
    /// Does not answer.
    pub dead: bool,
    /// Whose electrodes its cables go to.
    pub wired_to: usize,
}

impl Present {
    /// What is wrong with the machine at all times.
    pub fn of(truth: &Truth, channels: &Channels) -> Present {
        let supply = |knob: &crate::channels::Knob| Supply {
            truth: truth.supply(&knob.device.family, &knob.device.name, &knob.field.name),
            off: false,
            held: None,
            readback: 0.0,
            late: 0.0,
        };
        let eye = |(at, monitor): (usize, &crate::channels::Monitor)| Eye {
            truth: truth.monitor(&monitor.device.family, &monitor.device.name),
            dead: false,
            wired_to: at,
        };
        Present {
            elements: truth.elements.clone(),
            supplies: channels.knobs.iter().map(supply).collect(),
            monitors: channels.monitors.iter().enumerate().map(eye).collect(),
            gas: 1.0,
            loss: 0.0,
            beamless: false,
            obstacles: BTreeMap::new(),
        }
    }

    /// The last thing done to it: monitors of the beam itself stand where their elements do.
    pub fn placed(mut self, channels: &Channels) -> Present {
        for (eye, monitor) in self.monitors.iter_mut().zip(&channels.monitors) {
            if let Some(element) = self.elements.get(&monitor.element).filter(|_| monitor.distance.is_none()) {
                eye.truth = eye.truth.displaced(&element.placement);
            }
        }
        self
    }

    /// An element, to be spoilt.
    pub fn element(&mut self, element: usize) -> &mut ElementTruth {
        self.elements.entry(element).or_default()
    }

    /// Elements that are not as they were.
    pub fn differs(&self, before: &Present) -> BTreeSet<usize> {
        let sound = ElementTruth::default();
        let changed = |element: &&usize| {
            let [now, then] = [self, before].map(|present| present.elements.get(*element).unwrap_or(&sound));
            now != then
        };
        self.elements.keys().chain(before.elements.keys()).filter(changed).copied().collect()
    }

    /// Knobs whose supplies are not as they were.
    pub fn other_supplies(&self, before: &Present) -> Vec<usize> {
        let pairs = self.supplies.iter().zip(&before.supplies).enumerate();
        pairs.filter(|(_, (now, then))| now != then).map(|(knob, _)| knob).collect()
    }
}
