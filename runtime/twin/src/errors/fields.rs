//! `[fields.NAME]`: magnets whose field is not what it should be.

use super::{Errors, elements, exactly, width};
use crate::draw::Source;
use crate::truth::{Multipole, Truth, main_order};
use fodo_devices::{Facility, Table};
use fodo_report::Result;

/// What multipoles are counted in, in parts of the main field.
pub(super) const UNIT: f64 = 1e-4;
/// The highest multipole, counted from 1 for a dipole.
const HIGHEST: usize = 20;

struct Fields {
    elements: Vec<usize>,
    relative: f64,
    radius: f64,
    multipoles: Vec<Component>,
}

/// One component, in units of the main field at the radius.
pub(super) struct Component {
    pub key: String,
    pub order: usize,
    pub skew: bool,
    pub systematic: f64,
    pub random: f64,
}

pub(super) fn read(_: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    let found = elements(table, "elements", facility)?;
    let all = &facility.lattice.elements;
    if let Some(&other) = found.iter().find(|&&index| all[index].field().is_none()) {
        let what = format!("`{}` is no magnet with a field that could be wrong", all[other].name);
        return Err(table.mistake("elements", what));
    }
    let multipoles = components(table)?;
    let radius = exactly(table, "radius", "m")?;
    let no_main = found.iter().find(|&&index| main_order(&all[index]).is_none());
    match (multipoles.first(), radius, no_main) {
        (Some(first), None, _) => {
            return Err(table.mistake("radius", format!("is missing: where is `{}` to be so large?", first.key)));
        }
        (_, Some(radius), _) if radius <= 0.0 => return Err(table.mistake("radius", "must be above zero")),
        (Some(first), _, Some(&other)) => {
            let what = format!("`{}` has no main field, which it could be a part of", all[other].name);
            return Err(table.mistake(&first.key, what));
        }
        _ => {}
    }
    let relative = width(table, "relative", "1")?;
    Ok(Box::new(Fields { elements: found, relative, radius: radius.unwrap_or(1.0), multipoles }))
}

/// The keys `b1` to `b20` and `a1` to `a20`: a pair, or the systematic part alone.
pub(super) fn components(table: &Table) -> Result<Vec<Component>> {
    let mut found = Vec::new();
    for key in table.keys() {
        let (skew, number) = match (key.strip_prefix('b'), key.strip_prefix('a')) {
            (Some(number), _) => (false, number),
            (_, Some(number)) => (true, number),
            _ => continue,
        };
        let Ok(number) = number.parse::<usize>() else { continue };
        if !(1..=HIGHEST).contains(&number) {
            return Err(table.mistake(key, format!("must be counted from 1, a dipole, to {HIGHEST}")));
        }
        let wrong = || {
            let what = "must be a pair like [2.0, 0.5] or a number: systematic and random, in 1e-4 of the main field";
            table.mistake(key, what)
        };
        let [systematic, random] = match table.number(key) {
            Ok(number) => [number.unwrap_or(0.0), 0.0],
            Err(_) => {
                let pair = table.pair(key).map_err(|_| wrong())?.ok_or_else(wrong)?;
                if pair.iter().any(|part| !part.unit.dimension().is_none()) {
                    return Err(wrong());
                }
                pair.map(|part| part.si)
            }
        };
        if !systematic.is_finite() || !random.is_finite() || random < 0.0 {
            return Err(wrong());
        }
        found.push(Component { key: key.to_string(), order: number - 1, skew, systematic, random });
    }
    Ok(found)
}

impl Errors for Fields {
    fn draw(&self, from: &Source, facility: &Facility, truth: &mut Truth) {
        let mut relative = from.of("relative");
        for &element in &self.elements {
            truth.element(element).relative += self.relative * relative.next();
        }
        for component in &self.multipoles {
            let mut random = from.of(&component.key);
            for &element in &self.elements {
                let main = main_order(&facility.lattice.elements[element]).unwrap_or(0);
                let part = UNIT * (component.systematic + component.random * random.next());
                let ratio = part * self.radius.powi(main as i32 - component.order as i32);
                let multipole = Multipole { order: component.order, skew: component.skew, ratio };
                truth.element(element).multipoles.push(multipole);
            }
        }
    }
}
