//! `[supplies.FAMILY]`: magnets that are not given what was asked for.

use super::{Errors, Motion, at, positive, probability, width};
use crate::channels::{Channels, Knob};
use crate::draw::Source;
use crate::hysteresis::Iron;
use crate::present::Present;
use crate::ramp::Pace;
use crate::truth::{SupplyTruth, Truth};
use crate::wander::Wander;
use fodo_devices::{Facility, Family, Field, Quantities, Table};
use fodo_report::Result;
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::sync::Arc;

struct Supplies {
    family: String,
    fields: Vec<Arc<str>>,
    gain: f64,
    offset: f64,
    roll: f64,
    polarity_wrong: f64,
    /// Rms by which what it gives has wandered after an hour, in the unit of the field, SI.
    drift: f64,
    /// Amplitude of a sine on what it gives, in the unit of the field, SI, and its frequency [Hz].
    ripple: (f64, f64),
    pace: Option<Way>,
    /// How far apart the two branches of a cycle are in the middle, over the largest setpoint [1].
    hysteresis: f64,
}

/// How supplies go to a new value.
enum Way {
    /// So fast, in the unit of the field in a second, SI.
    Slew(f64),
    /// With this time constant [s].
    Lag(f64),
}

/// `[correctors.FAMILY]`: supplies of correctors.
pub(super) fn read_correctors(name: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    let family = facility.family(name).map_err(|e| at(table, name, &e))?;
    let kicks = |field: &Field| matches!(field.model, Some(Quantities::KickX | Quantities::KickY));
    if !family.devices.iter().flat_map(|device| &device.fields).any(kicks) {
        return Err(table.mistake(name, format!("has no kick; other magnets are [supplies.{name}]")));
    }
    read(name, table, facility)
}

pub(super) fn read(name: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    let named = table.text("family")?;
    let family = facility.family(named.unwrap_or(name)).map_err(|e| at(table, named.map_or(name, |_| "family"), &e))?;
    let fields = fields(name, table, family)?;
    let (mut offset, mut drift, mut ripple, mut slew) = (0.0, 0.0, 0.0, None);
    for field in &fields {
        let unit = field.physics.symbol();
        [offset, drift, ripple] =
            [width(table, "offset", unit)?, width(table, "drift", unit)?, width(table, "ripple", unit)?];
        slew = positive(table, "slew", &format!("{unit}/s"))?;
    }
    let frequency = positive(table, "ripple_frequency", "Hz")?;
    if (ripple != 0.0) != frequency.is_some() {
        return Err(table.mistake("ripple", "is a sine: `ripple` says how high, `ripple_frequency` how often"));
    }
    let pace = match (slew, positive(table, "lag", "s")?) {
        (Some(_), Some(_)) => return Err(table.mistake("lag", "is another way to arrive than `slew`: say one of them")),
        (slew, lag) => slew.map(Way::Slew).or(lag.map(Way::Lag)),
    };
    let roll = width(table, "roll", "rad")?;
    if let Some(field) = fields.iter().find(|field| roll != 0.0 && !can_roll(field)) {
        return Err(table.mistake("roll", format!("{}.{} is no field that a roll could turn", family.name, field.name)));
    }
    Ok(Box::new(Supplies {
        family: family.name.to_string(),
        fields: fields.iter().map(|field| field.name.clone()).collect(),
        gain: width(table, "gain", "1")?,
        offset,
        roll,
        polarity_wrong: probability(table, "polarity_wrong")?,
        drift,
        ripple: (ripple, frequency.unwrap_or(0.0)),
        pace,
        hysteresis: hysteresis(table, &fields)?,
    }))
}

/// The width of the loop; only a magnet whose setpoint has limits has one.
fn hysteresis(table: &Table, fields: &[&Field]) -> Result<f64> {
    let width = width(table, "hysteresis", "1")?;
    let bounded =
        |field: &&Field| field.setpoint.as_ref().is_some_and(|s| s.limits.0.is_finite() && s.limits.1.is_finite());
    match fields.iter().find(|field| width != 0.0 && !(bounded(field) && can_roll(field))) {
        Some(field) => {
            let what = format!("{} has no magnet with limits of its setpoint, between which it is cycled", field.name);
            Err(table.mistake("hysteresis", what))
        }
        None => Ok(width),
    }
}

/// What one supply gives besides, from moment to moment.
struct Unsteady {
    knob: usize,
    /// What this magnet gets of it, over what the first one on the supply gets [1].
    part: f64,
    drift: f64,
    walk: Wander,
    /// Amplitude, frequency [Hz] and phase [rad].
    ripple: (f64, f64, f64),
}

impl Motion for Unsteady {
    fn go_to(&self, seconds: f64, present: &mut Present) {
        let (amplitude, frequency, phase) = self.ripple;
        let drift = if self.drift == 0.0 { 0.0 } else { self.drift * self.walk.at(seconds) };
        present.supplies[self.knob].truth.offset +=
            self.part * (drift + amplitude * (TAU * frequency * seconds + phase).sin());
    }
}

impl Supplies {
    /// The knobs of the table with their numbers, by field.
    fn knobs<'c>(&'c self, channels: &'c Channels) -> impl Iterator<Item = (usize, &'c Knob)> {
        let is_mine =
            |knob: &Knob| knob.device.family.as_ref() == self.family && self.fields.contains(&knob.field.name);
        channels.knobs.iter().enumerate().filter(move |(_, knob)| is_mine(knob))
    }
}

/// The field that the table names, or all that are set.
fn fields<'f>(name: &str, table: &Table, family: &'f Family) -> Result<Vec<&'f Field>> {
    let first = family.devices.first().map(|device| device.fields.as_slice()).unwrap_or_default();
    let set: Vec<&Field> = first.iter().filter(|field| is_supply(field)).collect();
    let Some(wanted) = table.text("field")? else {
        let none = || table.mistake(name, format!("{} has no field that is set", family.name));
        return if set.is_empty() { Err(none()) } else { Ok(set) };
    };
    match set.iter().find(|field| field.name.as_ref() == wanted) {
        Some(field) => Ok(vec![*field]),
        None => {
            let known: Vec<&str> = set.iter().map(|field| field.name.as_ref()).collect();
            Err(super::unknown(table, "field", wanted, &known))
        }
    }
}

/// Whether a field is set and moves the model.
pub(crate) fn is_supply(field: &Field) -> bool {
    (field.setpoint.is_some() || field.wave.is_some()) && (field.model.is_some() || !field.gives.is_empty())
}

/// Whether a winding of this field can be rolled.
pub(super) fn can_roll(field: &Field) -> bool {
    use Quantities::{KickX, KickY, Skew, Upright};
    !field.gives.is_empty() || matches!(field.model, Some(KickX | KickY | Upright(_) | Skew(_)))
}

impl Errors for Supplies {
    fn draw(&self, from: &Source, facility: &Facility, truth: &mut Truth) {
        let devices = || facility.family(&self.family).into_iter().flat_map(|family| &family.devices);
        for (number, field) in self.fields.iter().enumerate() {
            let mut gain = if number == 0 { from.own() } else { from.of(&format!("{field}.gain")) };
            let [mut offset, mut roll, mut polarity] =
                ["offset", "roll", "polarity_wrong"].map(|key| from.of(&format!("{field}.{key}")));
            for device in devices() {
                // four numbers for each device, so that a seed gives the gains that it always gave
                let [a, _, _, _] = [gain.next(), gain.next(), gain.next(), gain.next()];
                let key = (device.family.clone(), device.name.clone(), field.clone());
                let supply: &mut SupplyTruth = truth.supplies.entry(key).or_default();
                supply.gain += self.gain * a;
                supply.offset += self.offset * offset.next();
                supply.roll += self.roll * roll.next();
                supply.polarity *= polarity.sign(self.polarity_wrong);
            }
        }
    }

    fn motions(&self, from: &Source, _: &Facility, channels: &Channels) -> Vec<Box<dyn Motion>> {
        if self.drift == 0.0 && self.ripple.0 == 0.0 {
            return Vec::new();
        }
        let mut draw = from.of("ripple");
        let mut phases = BTreeMap::new();
        let mut motion = |(number, knob): (usize, &Knob)| {
            let (height, frequency) = self.ripple;
            // magnets on one supply go with it
            let first = channels.first(number);
            let phase = *phases.entry(first).or_insert_with(|| TAU * draw.even());
            let of = &channels.knobs[first].device.name;
            let walk = Wander::new(from.seed, &format!("{}.drift {of} {}", from.name, knob.field.name));
            let (ripple, part) = ((height, frequency, phase), channels.part(number, first));
            Box::new(Unsteady { knob: number, part, drift: self.drift, walk, ripple }) as Box<dyn Motion>
        };
        self.knobs(channels).map(&mut motion).collect()
    }

    fn irons(&self, channels: &Channels, values: &[f64]) -> Vec<(usize, Iron)> {
        let iron = |(number, knob): (usize, &Knob)| {
            let ends = [knob.limits.0, knob.limits.1].map(|end| knob.field.to_physics(end));
            let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            let width = self.hysteresis * low.abs().max(high.abs());
            // a magnet is cycled to where its field is largest, whatever its sign
            let sign = if low.abs() > high.abs() { -1.0 } else { 1.0 };
            (number, Iron::new(knob.field.to_physics(values[number]), [low, high], width, sign))
        };
        let alone = |(_, knob): &(usize, &Knob)| knob.field.wave.is_none();
        if self.hysteresis == 0.0 { Vec::new() } else { self.knobs(channels).filter(alone).map(iron).collect() }
    }

    fn paces(&self, channels: &Channels) -> Vec<(usize, Pace)> {
        let pace = |knob: &Knob| match self.pace.as_ref()? {
            Way::Slew(rate) => Some(Pace::Slew((knob.field.to_channel(*rate) - knob.field.to_channel(0.0)).abs())),
            Way::Lag(constant) => Some(Pace::Lag(*constant)),
        };
        self.knobs(channels).filter_map(|(number, knob)| Some((number, pace(knob)?))).collect()
    }
}
