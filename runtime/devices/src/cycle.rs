//! The cycle of a booster: energy by time, and wave forms as rows of knots.

use crate::family::Device;
use crate::field::{Field, Source};
use crate::machine::MachineKind;
use crate::place::Place;
use crate::table::Table;
use fodo_control::{Channel, Physics, Setpoint, entry};
use fodo_lattice::Lattice;
use fodo_report::Result;
use fodo_units::{Quantity, Unit};
use std::f64::consts::PI;
use std::sync::Arc;

/// What facility.toml says of a cycle (`[cycle]`).
#[derive(Clone, Debug, PartialEq)]
pub struct Cycle {
    /// From one cycle to the next [s].
    pub period: f64,
    /// When the beam comes and when it leaves, after the start of a cycle [s].
    pub span: [f64; 2],
    /// Total energy of a particle then [eV].
    pub energy: [f64; 2],
    /// That of the lattice, for which strengths are said [eV].
    reference: f64,
    /// Rest energy of the particle [eV].
    rest: f64,
}

/// A setpoint that is a wave form: a row of numbers on a channel, one for each knot.
#[derive(Clone, Debug)]
pub struct Wave {
    /// What all knots have in common; its channel holds the row.
    pub whole: Arc<Setpoint>,
    /// Knots, evenly from the moment at which the beam comes to that at which it leaves; straight lines between them.
    pub knots: usize,
}

impl Cycle {
    /// `[cycle]`, which a booster has and no other machine.
    pub(crate) fn read(top: &Table, kind: MachineKind, lattice: &Lattice) -> Result<Option<Cycle>> {
        let table = match (top.table("cycle")?, kind == MachineKind::Booster) {
            (None, false) => return Ok(None),
            (Some(_), false) => return Err(top.mistake("cycle", format!("is that of a booster; this is a {kind}"))),
            (None, true) => {
                let what = "is missing: `period`, `injection`, `extraction`, and the energy at both";
                return Err(top.mistake("cycle", what));
            }
            (Some(table), true) => table,
        };
        let needed = |key: &str, symbol: &str| -> Result<f64> {
            let unit = Unit::parse(symbol).map_err(|e| table.mistake(key, e.to_string()))?;
            match table.quantity(key, &unit)? {
                Some(value) if value.is_finite() && value >= 0.0 => Ok(value),
                Some(_) => Err(table.mistake(key, "must not be negative")),
                None => Err(table.mistake(key, "is missing")),
            }
        };
        let cycle = Cycle {
            period: needed("period", "s")?,
            span: [needed("injection", "s")?, needed("extraction", "s")?],
            energy: [needed("injection_energy", "eV")?, needed("extraction_energy", "eV")?],
            reference: lattice.energy,
            rest: lattice.rest_energy,
        };
        if cycle.span[0] >= cycle.span[1] || cycle.span[1] > cycle.period {
            return Err(table.mistake("extraction", "must be later than `injection`, and within `period`"));
        }
        if cycle.energy.iter().any(|energy| *energy <= cycle.rest) {
            return Err(table.mistake("injection_energy", "energies are total ones, above that at rest"));
        }
        table.no_other_keys()?;
        Ok(Some(cycle))
    }

    /// Whether there is beam at a moment after the start of a cycle [s].
    pub fn has_beam(&self, moment: f64) -> bool {
        self.span[0] <= moment && moment <= self.span[1]
    }

    /// Total energy of a particle at a moment [eV]: half a cosine from injection to extraction.
    pub fn energy_at(&self, moment: f64) -> f64 {
        let [low, high] = self.energy;
        low + (high - low) * 0.5 * (1.0 - (PI * self.part(moment)).cos())
    }

    /// Momentum at a moment over that of the lattice, which strengths are said for [1].
    pub fn stiffness(&self, moment: f64) -> f64 {
        self.momentum(self.energy_at(moment)) / self.momentum(self.reference)
    }

    /// (dp/dt) / p at a moment [1/s].
    pub fn growth(&self, moment: f64) -> f64 {
        let ([start, end], [low, high]) = (self.span, self.energy);
        if !self.has_beam(moment) {
            return 0.0;
        }
        let slope = (high - low) * 0.5 * PI / (end - start) * (PI * self.part(moment)).sin();
        let energy = self.energy_at(moment);
        energy * slope / self.momentum(energy).powi(2)
    }

    fn momentum(&self, energy: f64) -> f64 {
        (energy * energy - self.rest * self.rest).sqrt()
    }

    /// How far a moment is from injection to extraction, from 0 to 1.
    fn part(&self, moment: f64) -> f64 {
        ((moment - self.span[0]) / (self.span[1] - self.span[0])).clamp(0.0, 1.0)
    }

    /// The moments of so many knots [s].
    pub fn knots(&self, count: usize) -> Vec<f64> {
        (0..count).map(|knot| self.moment_of(knot, count)).collect()
    }

    fn moment_of(&self, knot: usize, count: usize) -> f64 {
        self.span[0] + knot as f64 * ((self.span[1] - self.span[0]) / (count.max(2) - 1) as f64)
    }

    /// The knot that is next to a moment.
    pub fn knot_at(&self, count: usize, moment: f64) -> usize {
        (self.part(moment) * (count.max(2) - 1) as f64).round() as usize
    }

    /// What a wave form of these knots gives at a moment.
    pub fn between(&self, row: &[f64], moment: f64) -> f64 {
        let place = self.part(moment) * (row.len().max(2) - 1) as f64;
        let at = (place as usize).min(row.len().saturating_sub(2));
        match row.get(at..at + 2) {
            Some(&[a, b]) => a + (b - a) * (place - at as f64),
            _ => row.first().copied().unwrap_or(f64::NAN),
        }
    }

    /// The same of a supply that follows it exponentially, with this time constant [s]: y' = (u - y) / lag, at rest before injection.
    pub fn followed(&self, row: &[f64], moment: f64, lag: f64) -> f64 {
        let exact = self.between(row, moment);
        if lag <= 0.0 || row.len() < 2 {
            return exact;
        }
        let step = (self.span[1] - self.span[0]) / (row.len() - 1) as f64;
        // how far it is behind, which grows to slope times lag along each line
        let mut behind = 0.0;
        let mut start = self.span[0];
        for pair in row.windows(2) {
            let passed = (moment - start).clamp(0.0, step);
            let kept = (-passed / lag).exp();
            behind = behind * kept + (pair[1] - pair[0]) / step * lag * (1.0 - kept);
            start += step;
        }
        exact - behind * (-(moment - self.span[1]).max(0.0) / lag).exp()
    }

    /// A device as it is at a moment: each wave form is the knot next to it, and its strength that of the beam then.
    pub fn device_at(&self, device: &Device, moment: f64) -> Device {
        let fields = device.fields.iter().map(|field| self.field_at(field, moment)).collect();
        Device { fields, ..device.clone() }
    }

    /// The field that is a knot of this one, by the channel of its setpoint; nothing if it is none of this field's.
    pub fn knot_by(&self, field: &Field, channel: &str) -> Option<Field> {
        let (row, place) = entry::of(channel)?;
        let wave = field.wave.as_ref().filter(|wave| *wave.whole.channel == *row)?;
        Some(self.knot(field, wave, place.index))
    }

    /// One knot of a field with a wave form; other fields stay.
    pub fn field_at(&self, field: &Field, moment: f64) -> Field {
        match &field.wave {
            Some(wave) => self.knot(field, wave, self.knot_at(wave.knots, moment)),
            None => field.clone(),
        }
    }

    /// A field whose setpoint is one knot of its wave form.
    pub fn knot(&self, field: &Field, wave: &Wave, knot: usize) -> Field {
        let moment = self.moment_of(knot, wave.knots);
        let calibration = field.calibration.times(1.0 / self.stiffness(moment));
        let channel: Channel = entry::name(&wave.whole.channel, entry::Entry { index: knot, length: wave.knots });
        let physics =
            Physics { hardware: field.hardware.clone(), unit: field.physics.clone(), calibration: calibration.clone() };
        let when = Quantity::from_si(moment, Unit::parse("s").unwrap_or_else(|_| Unit::none()));
        let setpoint = Setpoint {
            name: format!("{} at {when}", wave.whole.name).into(),
            channel: channel.clone(),
            physics: Some(physics),
            ..Setpoint::clone(&wave.whole)
        };
        Field {
            calibration,
            setpoint: Some(Arc::new(setpoint)),
            source: Some(Source { channel, place: Place::default() }),
            wave: None,
            ..field.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYCLE: Cycle = Cycle { period: 1.0, span: [0.1, 0.5], energy: [1e8, 3e9], reference: 3e9, rest: 510_998.95 };

    #[test]
    fn energy_goes_from_injection_to_extraction() {
        for (moment, energy) in [(0.0, 1e8), (0.1, 1e8), (0.3, 1.55e9), (0.5, 3e9), (0.9, 3e9)] {
            assert!((CYCLE.energy_at(moment) / energy - 1.0).abs() < 1e-14, "{moment}");
        }
        assert!((CYCLE.stiffness(0.5) - 1.0).abs() < 1e-15);
        let step = 1e-6;
        for moment in [0.15, 0.25, 0.4] {
            let slope = (CYCLE.stiffness(moment + step) - CYCLE.stiffness(moment - step)) / (2.0 * step);
            assert!((CYCLE.growth(moment) / (slope / CYCLE.stiffness(moment)) - 1.0).abs() < 1e-8);
        }
    }

    /// Against small steps of its equation.
    #[test]
    fn a_supply_follows_its_wave_exponentially() {
        let row = [1.0, 2.0, 4.0, 4.0, 0.0];
        let (lag, steps) = (0.03, 400_000);
        let (mut y, end) = (1.0, 0.6);
        for step in 0..steps {
            let moment = end * (f64::from(step) + 0.5) / f64::from(steps);
            y += end / f64::from(steps) / lag * (CYCLE.between(&row, moment) - y);
            let now = end * f64::from(step + 1) / f64::from(steps);
            assert!(step % 1000 != 0 || (CYCLE.followed(&row, now, lag) - y).abs() < 1e-4, "{now}");
        }
        assert_eq!(CYCLE.followed(&row, 0.25, 0.0), CYCLE.between(&row, 0.25));
    }

    #[test]
    fn a_wave_goes_straight_between_its_knots() {
        let knots = CYCLE.knots(5);
        assert!(knots.iter().zip([0.1, 0.2, 0.3, 0.4, 0.5]).all(|(a, b)| (a - b).abs() < 1e-15), "{knots:?}");
        let row = [1.0, 2.0, 4.0, 4.0, 0.0];
        for (moment, value) in [(0.0, 1.0), (0.1, 1.0), (0.25, 3.0), (0.35, 4.0), (0.45, 2.0), (0.9, 0.0)] {
            assert!((CYCLE.between(&row, moment) - value).abs() < 1e-12, "{moment}");
        }
        assert_eq!((CYCLE.knot_at(5, 0.26), CYCLE.knot_at(5, 0.9)), (2, 4));
    }
}
