//! Kickers as they fire: a pulse that begins some time after the trigger.

use crate::channels::Knob;
use crate::present::Supply;
use fodo_devices::Quantities;
use std::f64::consts::PI;

/// How a kick goes with time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// The same for this time [s].
    Flat(f64),
    /// Half a sine of this length [s].
    HalfSine(f64),
}

/// What a kicker gives at one firing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    pub element: usize,
    /// Horizontal and vertical, where it is largest [rad].
    kick: [f64; 2],
    form: Form,
    /// After the trigger [s].
    begins: f64,
}

impl Pulse {
    /// The kick at a time after the trigger [rad]; none before the trigger itself.
    pub fn at(&self, time: f64) -> [f64; 2] {
        let since = time - self.begins;
        let part = match self.form {
            _ if since < 0.0 || time < 0.0 => 0.0,
            Form::Flat(length) if since < length => 1.0,
            Form::HalfSine(length) if since < length => (PI * since / length).sin(),
            _ => 0.0,
        };
        self.kick.map(|kick| part * kick)
    }

    /// When it is over [s].
    pub fn ends(&self) -> f64 {
        let (Form::Flat(length) | Form::HalfSine(length)) = self.form;
        self.begins + length
    }
}

/// From shot to shot: standard deviations, and two numbers of deviation 1 for each knob.
pub(crate) struct Jitter<'n> {
    /// Of a kick, relative [1].
    pub kick: f64,
    /// Of the time at which it begins [s].
    pub time: f64,
    pub numbers: &'n [f64],
}

/// The pulses of all kickers that fire; `gives` is what the supply of a knob gives, physics value in SI, and a kicker
/// without a pulse of its own acts for one revolution [s].
pub(crate) fn pulses(
    knobs: &[Knob],
    supplies: &[Supply],
    gives: impl Fn(usize) -> f64,
    revolution: f64,
    jitter: &Jitter<'_>,
) -> Vec<Pulse> {
    let pulse = |(at, knob): (usize, &Knob)| {
        let plane = match knob.quantity? {
            Quantities::KickerX => 0,
            Quantities::KickerY => 1,
            _ => return None,
        };
        let element = *knob.device.elements.first()?;
        let delays = |(_, other): &(usize, &Knob)| {
            other.quantity == Some(Quantities::KickerDelay) && other.device.elements.contains(&element)
        };
        let delay: f64 = knobs.iter().enumerate().filter(delays).map(|(at, _)| gives(at)).sum();
        let mut kick = [0.0; 2];
        kick[plane] = gives(at) * (1.0 + jitter.kick * jitter.numbers[2 * at]);
        let begins = delay + supplies[at].late + jitter.time * jitter.numbers[2 * at + 1];
        let form = knob.field.pulse.map_or(Form::Flat(revolution), Form::HalfSine);
        (kick[plane] != 0.0 && begins.is_finite()).then_some(Pulse { element, kick, form, begins })
    };
    knobs.iter().enumerate().filter_map(pulse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_acts_while_it_lasts() {
        let flat = Pulse { element: 0, kick: [1e-3, 0.0], form: Form::Flat(2e-6), begins: 1e-6 };
        assert_eq!([0.9e-6, 1e-6, 2.9e-6, 3.1e-6].map(|time| flat.at(time)[0]), [0.0, 1e-3, 1e-3, 0.0]);
        let sine = Pulse { form: Form::HalfSine(2e-6), ..flat };
        assert!((sine.at(2e-6)[0] - 1e-3).abs() < 1e-18 && (sine.at(1.5e-6)[0] - 1e-3 * 0.5_f64.sqrt()).abs() < 1e-18);
        assert_eq!((sine.at(3.1e-6), sine.ends()), ([0.0; 2], 3e-6));
        // what lies before the trigger is not given
        assert_eq!(Pulse { begins: -1e-6, ..sine }.at(-0.5e-6), [0.0; 2]);
    }
}
