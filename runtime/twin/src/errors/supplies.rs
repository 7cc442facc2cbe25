//! `[supplies.FAMILY]`: magnets that are not given what was asked for.

use super::{Errors, at, probability, width};
use crate::draw::Source;
use crate::truth::{SupplyTruth, Truth};
use fodo_devices::{Facility, Family, Field, Quantities, Table};
use fodo_report::Result;
use std::sync::Arc;

struct Supplies {
    family: String,
    fields: Vec<Arc<str>>,
    gain: f64,
    offset: f64,
    roll: f64,
    polarity_wrong: f64,
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
    let mut offset = 0.0;
    for field in &fields {
        offset = width(table, "offset", field.physics.symbol())?;
    }
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
    }))
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
pub(super) fn is_supply(field: &Field) -> bool {
    field.setpoint.is_some() && field.model.is_some()
}

/// Whether a winding of this field can be rolled.
pub(super) fn can_roll(field: &Field) -> bool {
    use Quantities::{KickX, KickY, Skew, Upright};
    matches!(field.model, Some(KickX | KickY | Upright(_) | Skew(_)))
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
}
