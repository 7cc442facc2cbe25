//! `[vibration.NAME]`: a wave that runs through the ground below the machine.

use super::{Errors, Motion, elements, positive, widths};
use crate::channels::Channels;
use crate::draw::Source;
use crate::present::Present;
use crate::truth::Truth;
use fodo_devices::{Facility, Table};
use fodo_report::Result;
use std::f64::consts::TAU;

struct Vibration {
    elements: Vec<usize>,
    /// Horizontal and vertical [m].
    amplitude: [f64; 2],
    /// Frequency [Hz].
    frequency: f64,
    /// How fast it runs [m/s].
    velocity: f64,
}

pub(super) fn read(_: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    let needed = |key: &str, unit: &str, like: &str| {
        positive(table, key, unit)?.ok_or_else(|| table.mistake(key, format!("is missing, such as {like}")))
    };
    Ok(Box::new(Vibration {
        elements: elements(table, "elements", facility)?,
        amplitude: widths(table, "amplitude", "m")?,
        frequency: needed("frequency", "Hz", "\"7 Hz\"")?,
        velocity: needed("velocity", "m/s", "\"400 m/s\", that of the wave in the ground")?,
    }))
}

struct Shaking {
    /// Element, and by how much the wave reaches it later than the middle of the ring [s].
    elements: Vec<(usize, f64)>,
    amplitude: [f64; 2],
    frequency: f64,
    phase: [f64; 2],
}

impl Errors for Vibration {
    fn draw(&self, _: &Source, _: &Facility, _: &mut Truth) {}

    /// The machine is taken to be a circle, and the wave comes from one side.
    fn motions(&self, from: &Source, facility: &Facility, _: &Channels) -> Vec<Box<dyn Motion>> {
        let mut draw = from.own();
        let direction = TAU * draw.even();
        let length = facility.positions.last().copied().unwrap_or(1.0);
        let radius = length / TAU;
        let later =
            |element: usize| radius * (TAU * facility.positions[element] / length - direction).cos() / self.velocity;
        let elements = self.elements.iter().map(|&element| (element, later(element))).collect();
        let phase = [TAU * draw.even(), TAU * draw.even()];
        vec![Box::new(Shaking { elements, amplitude: self.amplitude, frequency: self.frequency, phase })]
    }
}

impl Motion for Shaking {
    fn go_to(&self, seconds: f64, present: &mut Present) {
        for (element, later) in &self.elements {
            let [x, y] = [0, 1].map(|plane| {
                self.amplitude[plane] * (TAU * self.frequency * (seconds - later) + self.phase[plane]).sin()
            });
            let placement = &mut present.element(*element).placement;
            placement.dx += x;
            placement.dy += y;
        }
    }
}
