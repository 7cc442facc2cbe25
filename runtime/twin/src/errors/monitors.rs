//! `[monitors.FAMILY]`: monitors that do not read what is there.

use super::{Errors, at, probability, width, widths};
use crate::draw::Source;
use crate::truth::Truth;
use fodo_devices::{Device, Facility, Quantities, Table};
use fodo_report::Result;

struct Monitors {
    family: String,
    gain: [f64; 2],
    offset: [f64; 2],
    roll: f64,
    coupling: [f64; 2],
    polarity_wrong: f64,
    noise: f64,
    noise_turns: f64,
    threshold: f64,
}

pub(super) fn read(name: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    let family = facility.family(name).map_err(|e| at(table, name, &e))?;
    if !family.devices.iter().any(|device| is_monitor(device)) {
        return Err(table.mistake(name, "is no family of beam position monitors"));
    }
    Ok(Box::new(Monitors {
        family: name.to_string(),
        gain: widths(table, "gain", "1")?,
        offset: widths(table, "offset", "m")?,
        roll: width(table, "roll", "rad")?,
        coupling: widths(table, "coupling", "1")?,
        polarity_wrong: probability(table, "polarity_wrong")?,
        noise: width(table, "noise", "m")?,
        noise_turns: width(table, "noise_turns", "m")?,
        threshold: width(table, "threshold", "A")?,
    }))
}

/// Whether a device reads the position of the beam.
pub(crate) fn is_monitor(device: &Device) -> bool {
    device.fields.iter().any(|field| field.model.is_some_and(Quantities::is_position))
}

impl Errors for Monitors {
    fn draw(&self, from: &Source, facility: &Facility, truth: &mut Truth) {
        let (mut own, mut roll) = (from.own(), from.of("roll"));
        let (mut coupling, mut polarity) = (from.of("coupling"), from.of("polarity_wrong"));
        for device in facility.family(&self.family).iter().flat_map(|family| &family.devices) {
            let [a, b, c, d] = [own.next(), own.next(), own.next(), own.next()];
            let monitor = truth.monitors.entry((device.family.clone(), device.name.clone())).or_default();
            monitor.gain = [monitor.gain[0] + self.gain[0] * a, monitor.gain[1] + self.gain[1] * b];
            monitor.offset = [monitor.offset[0] + self.offset[0] * c, monitor.offset[1] + self.offset[1] * d];
            monitor.roll += self.roll * roll.next();
            monitor.coupling = self.coupling.map(|width| width * coupling.next());
            monitor.polarity = [0, 1].map(|_| polarity.sign(self.polarity_wrong));
            monitor.noise = self.noise;
            monitor.noise_turns = self.noise_turns;
            monitor.threshold = self.threshold;
        }
    }
}
