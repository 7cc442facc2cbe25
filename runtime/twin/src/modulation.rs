//! RF modulation: phase and voltage of the cavities go up and down from turn to turn.

use crate::channels::Knob;
use fodo_devices::Quantities;
use fodo_lattice::Body;
use fodo_optics::Ring;
use std::f64::consts::TAU;

/// What all cavities do, as long as a beam is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modulation {
    /// Amplitude of the phase [rad].
    phase: f64,
    /// Amplitude of the voltage over what it is [1].
    voltage: f64,
    /// [Hz]
    frequency: f64,
}

impl Modulation {
    /// That of a machine, if there is any: the sums of what its knobs give.
    pub fn of(knobs: &[Knob], gives: impl Fn(usize) -> f64) -> Option<Modulation> {
        let sum = |quantity: Quantities| -> f64 {
            let own = knobs.iter().enumerate().filter(|(_, knob)| knob.quantity == Some(quantity));
            own.map(|(at, _)| gives(at)).sum()
        };
        let phase = sum(Quantities::RfPhaseModulation);
        let voltage = sum(Quantities::RfVoltageModulation);
        let frequency = sum(Quantities::RfModulationFrequency);
        (phase != 0.0 || voltage != 0.0).then_some(Modulation { phase, voltage, frequency })
    }

    /// Puts the cavities of a ring to what those of the ring itself are, modulated, at a time after the trigger [s].
    pub fn act(&self, modulated: &mut Ring, ring: &Ring, time: f64) {
        let sine = (TAU * self.frequency * time).sin();
        for index in 0..ring.len() {
            let Body::Cavity(own) = &ring.element(index).body else { continue };
            let (lag, voltage) = (own.phase_lag - self.phase * sine, own.voltage * (1.0 + self.voltage * sine));
            modulated.change(index, |element| {
                if let Body::Cavity(cavity) = &mut element.body {
                    (cavity.phase_lag, cavity.voltage) = (lag, voltage);
                }
            });
        }
    }
}
