//! `[rf]`: cavities that do not have the frequency, voltage and phase asked for.

use super::{Errors, width};
use crate::draw::Source;
use crate::truth::Truth;
use fodo_devices::{Facility, Table};
use fodo_lattice::{Body, Element};
use fodo_report::Result;

struct Rf {
    /// Of the one master that all cavities follow [Hz].
    frequency: f64,
    /// Of each cavity, relative [1].
    voltage: f64,
    /// Of each cavity [rad].
    phase: f64,
}

pub(super) fn read(name: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    if cavities(facility).next().is_none() {
        return Err(table.mistake(name, "the lattice has no cavity"));
    }
    Ok(Box::new(Rf {
        frequency: width(table, "frequency", "Hz")?,
        voltage: width(table, "voltage", "1")?,
        phase: width(table, "phase", "rad")?,
    }))
}

/// Index and frequency of each cavity.
fn cavities(facility: &Facility) -> impl Iterator<Item = (usize, f64)> {
    let frequency = |(index, element): (usize, &Element)| match &element.body {
        Body::Cavity(cavity) => Some((index, cavity.frequency)),
        _ => None,
    };
    facility.lattice.elements.iter().enumerate().filter_map(frequency)
}

impl Errors for Rf {
    fn draw(&self, from: &Source, facility: &Facility, truth: &mut Truth) {
        let frequency = self.frequency * from.of("frequency").next();
        let [mut voltage, mut phase] = ["voltage", "phase"].map(|key| from.of(key));
        let first = cavities(facility).next().map_or(1.0, |(_, first)| first);
        for (cavity, here) in cavities(facility) {
            // a cavity at a harmonic follows the master as many times as fast
            let harmonic = if here == first || first == 0.0 { 1.0 } else { here / first };
            let truth = truth.element(cavity);
            truth.frequency += frequency * harmonic;
            truth.voltage += self.voltage * voltage.next();
            truth.phase += self.phase * phase.next();
        }
    }
}
