//! `exact`: values that are known instead of drawn, by device; a table of `twin.toml`, or a file of its own.

use super::exactly;
use super::fields::{UNIT, components};
use super::misalignments::reference;
use super::monitors::is_monitor;
use super::supplies::{can_roll, is_supply};
use crate::injection::InjectionTruth;
use crate::placement::Reference;
use crate::truth::{DeviceKey, ElementTruth, FieldKey, MonitorTruth, Multipole, SupplyTruth, Truth, main_order};
use fodo_devices::{Device, Facility, Field, Files, Table, open_tables};
use fodo_lattice::{Body, Element};
use fodo_report::Result;
use std::sync::Arc;

/// The table of elements that are named as the lattice names them.
const ELEMENTS: &str = "elements";

/// The table of how the beam enters a line or a ring.
const INJECTION: &str = "injection";

/// A key, its unit, and the value it stands for.
type Key<T> = (&'static str, &'static str, fn(&mut T) -> &mut f64);

const OF_ELEMENT: [Key<ElementTruth>; 10] = [
    ("dx", "m", |truth| &mut truth.placement.dx),
    ("dy", "m", |truth| &mut truth.placement.dy),
    ("dz", "m", |truth| &mut truth.placement.dz),
    ("roll", "rad", |truth| &mut truth.placement.roll),
    ("pitch", "rad", |truth| &mut truth.placement.pitch),
    ("yaw", "rad", |truth| &mut truth.placement.yaw),
    ("relative", "1", |truth| &mut truth.relative),
    ("frequency", "Hz", |truth| &mut truth.frequency),
    ("voltage", "1", |truth| &mut truth.voltage),
    ("phase", "rad", |truth| &mut truth.phase),
];

const OF_MONITOR: [Key<MonitorTruth>; 12] = [
    ("gain_x", "1", |truth| &mut truth.gain[0]),
    ("gain_y", "1", |truth| &mut truth.gain[1]),
    ("offset_x", "m", |truth| &mut truth.offset[0]),
    ("offset_y", "m", |truth| &mut truth.offset[1]),
    ("roll", "rad", |truth| &mut truth.roll),
    ("coupling_x", "1", |truth| &mut truth.coupling[0]),
    ("coupling_y", "1", |truth| &mut truth.coupling[1]),
    ("polarity_x", "1", |truth| &mut truth.polarity[0]),
    ("polarity_y", "1", |truth| &mut truth.polarity[1]),
    ("noise", "m", |truth| &mut truth.noise),
    ("noise_turns", "m", |truth| &mut truth.noise_turns),
    ("threshold", "A", |truth| &mut truth.threshold),
];

const OF_INJECTION: [Key<InjectionTruth>; 7] = [
    ("x", "m", |truth| &mut truth.offset[0]),
    ("px", "rad", |truth| &mut truth.offset[1]),
    ("y", "m", |truth| &mut truth.offset[2]),
    ("py", "rad", |truth| &mut truth.offset[3]),
    ("delta", "1", |truth| &mut truth.offset[4]),
    ("ct", "m", |truth| &mut truth.offset[5]),
    ("charge", "1", |truth| &mut truth.charge),
];

/// Values that are given, and what each is put into.
type Given<T> = Vec<(fn(&mut T) -> &mut f64, f64)>;

/// What is given of one element.
struct OfElement {
    element: usize,
    values: Given<ElementTruth>,
    reference: Option<Reference>,
    multipoles: Vec<Multipole>,
}

impl OfElement {
    fn is_nothing(&self) -> bool {
        self.values.is_empty() && self.reference.is_none() && self.multipoles.is_empty()
    }
}

/// A text that was sent.
struct Text(Arc<str>);

impl Files for Text {
    fn text(&self, _: &str) -> Option<Arc<str>> {
        Some(self.0.clone())
    }

    fn shown(&self, path: &str) -> String {
        path.to_string()
    }
}

/// What is known exactly.
#[derive(Default)]
pub(crate) struct Exact {
    elements: Vec<OfElement>,
    monitors: Vec<(DeviceKey, Given<MonitorTruth>)>,
    supplies: Vec<(FieldKey, Given<SupplyTruth>)>,
    injection: Given<InjectionTruth>,
}

impl Exact {
    /// From a text with the tables of `exact`.
    pub fn parse(text: &str, facility: &Facility) -> Result<Exact> {
        let mut exact = Exact::default();
        open_tables(&Text(text.into()), "exact", |table| exact.read(table, facility))?;
        Ok(exact)
    }

    pub fn of(top: &Table, facility: &Facility) -> Result<Exact> {
        let mut exact = Exact::default();
        match top.table("exact") {
            Ok(None) => {}
            Ok(Some(table)) => exact.read(&table, facility)?,
            Err(_) => {
                let path = top.needed_text("exact")?;
                if facility.files().text(path).is_none() {
                    return Err(top.mistake("exact", format!("the facility has no readable file {path}")));
                }
                open_tables(facility.files(), path, |table| exact.read(table, facility))?;
            }
        }
        Ok(exact)
    }

    fn read(&mut self, table: &Table, facility: &Facility) -> Result<()> {
        for (name, family) in table.tables() {
            if name == INJECTION && facility.family(INJECTION).is_err() {
                super::injection::fits(&family, INJECTION, facility)?;
                self.injection = given(&family, &OF_INJECTION)?;
            }
            for (device, table) in family.tables() {
                match name {
                    ELEMENTS => self.read_element(device, &table, facility)?,
                    _ => {
                        facility.family(name).map_err(|e| super::at(&family, name, &e))?;
                        let found = facility.device(name, device).map_err(|e| super::at(&table, device, &e))?;
                        self.read_device(found, &table, facility)?;
                    }
                }
                table.no_other_keys()?;
            }
            family.no_other_keys()?;
        }
        table.no_other_keys()
    }

    fn read_element(&mut self, name: &str, table: &Table, facility: &Facility) -> Result<()> {
        let Some(element) = facility.lattice.index_of(name) else {
            let names = facility.lattice.elements.iter().map(|element| element.name.as_ref());
            let near = fodo_report::did_you_mean(name, names).map_or(String::new(), |near| format!("; {near}"));
            return Err(table.mistake(name, format!("no element of the lattice is called so{near}")));
        };
        fits(&[element], table, facility)?;
        self.elements.push(of_element(element, table, facility)?);
        Ok(())
    }

    /// How a monitor reads; where the elements of another device stand, and what its supplies give.
    fn read_device(&mut self, device: &Device, table: &Table, facility: &Facility) -> Result<()> {
        if is_monitor(device) {
            let values = given(table, &OF_MONITOR)?;
            for key in ["polarity_x", "polarity_y"] {
                polarity(table, key)?;
            }
            for (key, unit) in [("noise", "m"), ("noise_turns", "m"), ("threshold", "A")] {
                super::width(table, key, unit)?;
            }
            self.monitors.push(((device.family.clone(), device.name.clone()), values));
            return Ok(());
        }
        for field in device.fields.iter().filter(|field| is_supply(field)) {
            let Some(inner) = table.table(&field.name)? else { continue };
            let key = (device.family.clone(), device.name.clone(), field.name.clone());
            self.supplies.push((key, of_supply(field, &inner)?));
            inner.no_other_keys()?;
        }
        fits(&device.elements, table, facility)?;
        for &element in &device.elements {
            let given = of_element(element, table, facility)?;
            if !given.is_nothing() {
                self.elements.push(given);
            }
        }
        Ok(())
    }

    /// Replaces what was drawn.
    pub fn put(&self, truth: &mut Truth) {
        for OfElement { element, values, reference, multipoles } in &self.elements {
            let truth = truth.element(*element);
            put(truth, values);
            truth.placement.reference = reference.unwrap_or(truth.placement.reference);
            for part in multipoles {
                truth.multipoles.retain(|drawn| (drawn.order, drawn.skew) != (part.order, part.skew));
                truth.multipoles.push(*part);
            }
        }
        put(&mut truth.injection, &self.injection);
        for (key, values) in &self.monitors {
            put(truth.monitors.entry(key.clone()).or_default(), values);
        }
        for (key, values) in &self.supplies {
            put(truth.supplies.entry(key.clone()).or_default(), values);
        }
    }
}

fn given<T>(table: &Table, keys: &[Key<T>]) -> Result<Given<T>> {
    let found = keys.iter().map(|&(key, unit, of)| Ok(exactly(table, key, unit)?.map(|value| (of, value))));
    found.filter_map(Result::transpose).collect()
}

fn put<T>(truth: &mut T, values: &Given<T>) {
    values.iter().for_each(|(of, value)| *of(truth) = *value);
}

/// Refuses values that would do nothing on these elements.
fn fits(elements: &[usize], table: &Table, facility: &Facility) -> Result<()> {
    let any = |is: fn(&Element) -> bool| elements.iter().any(|&element| is(&facility.lattice.elements[element]));
    let cavity = any(|element| matches!(element.body, Body::Cavity(_)));
    if let Some(key) = ["frequency", "voltage", "phase"].into_iter().find(|key| table.has(key) && !cavity) {
        return Err(table.mistake(key, "is that of a cavity, and there is none here"));
    }
    match table.has("relative") && !any(|element| element.field().is_some()) {
        true => Err(table.mistake("relative", "is that of a magnet with a field, and there is none here")),
        false => Ok(()),
    }
}

fn of_element(element: usize, table: &Table, facility: &Facility) -> Result<OfElement> {
    let here = &facility.lattice.elements[element];
    let components = components(table)?;
    let radius = exactly(table, "radius", "m")?;
    let mut multipoles = Vec::with_capacity(components.len());
    for part in components {
        let main = main_order(here)
            .ok_or_else(|| table.mistake(&part.key, "there is no main field that it could be a part of"))?;
        let radius = radius.filter(|radius| *radius > 0.0);
        let radius = radius.ok_or_else(|| table.mistake("radius", "is missing or not above zero"))?;
        if part.random != 0.0 {
            return Err(table.mistake(&part.key, "is exact here: a number in 1e-4 of the main field, like 2.0"));
        }
        let ratio = UNIT * part.systematic * radius.powi(main as i32 - part.order as i32);
        multipoles.push(Multipole { order: part.order, skew: part.skew, ratio });
    }
    Ok(OfElement { element, values: given(table, &OF_ELEMENT)?, reference: reference(table)?, multipoles })
}

fn of_supply(field: &Field, table: &Table) -> Result<Given<SupplyTruth>> {
    let mut values: Given<SupplyTruth> = Vec::new();
    if let Some(gain) = exactly(table, "gain", "1")? {
        values.push((|truth| &mut truth.gain, gain));
    }
    if let Some(offset) = exactly(table, "offset", field.physics.symbol())? {
        values.push((|truth| &mut truth.offset, offset));
    }
    if let Some(roll) = exactly(table, "roll", "rad")? {
        if !can_roll(field) {
            return Err(table.mistake("roll", format!("{} is no field that a roll could turn", field.name)));
        }
        values.push((|truth| &mut truth.roll, roll));
    }
    if let Some(sign) = polarity(table, "polarity")? {
        values.push((|truth| &mut truth.polarity, sign));
    }
    Ok(values)
}

fn polarity(table: &Table, key: &str) -> Result<Option<f64>> {
    let value = exactly(table, key, "1")?;
    match value {
        Some(sign) if sign.abs() != 1.0 => Err(table.mistake(key, "must be 1 or -1")),
        sign => Ok(sign),
    }
}
