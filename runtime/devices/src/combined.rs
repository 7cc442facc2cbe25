//! Supplies that give several quantities, and the quantities over them: combined-function magnets, strips on poles.
//!
//! What several supplies give one element adds up: q = q0 + C (I - I0), where q0 is what the lattice says and I0 what the
//! supplies hold then. A field over them (`of`) is read by a row of C and set by a column of its inverse, so that the other
//! quantities stay.

use crate::calibrate::Units;
use crate::family::Device;
use crate::field::{Field, FieldTable, Quantities, strength};
use crate::table::Table;
use fodo_lattice::Lattice;
use fodo_report::Result;
use fodo_units::Unit;
use nalgebra::DMatrix;
use std::sync::Arc;

/// What a supply gives of a quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Given {
    /// The quantity.
    pub quantity: Quantities,
    /// So much for one of the field's physics unit, both in SI.
    pub factor: f64,
}

/// A quantity over the supplies of its device.
#[derive(Clone, Debug, PartialEq)]
pub struct Combined {
    /// The fields of the supplies, by their place in the device.
    pub fields: Vec<usize>,
    /// So much of it for one of each field, in SI: a row of C.
    row: Vec<f64>,
    /// How far each field goes for one of it while the other quantities stay, in SI: a column of the inverse; empty where
    /// there are not as many quantities as supplies.
    column: Vec<f64>,
    /// Its value where all fields hold nothing, in SI.
    offset: f64,
}

impl Combined {
    /// Its value where the fields have these physics values, in SI.
    pub fn value(&self, fields: &[f64]) -> f64 {
        self.offset + self.row.iter().zip(fields).map(|(factor, field)| factor * field).sum::<f64>()
    }

    /// What the fields have to be so that it changes by so much and the other quantities stay, in SI; none where there are
    /// not as many quantities as supplies.
    pub fn stepped(&self, fields: &[f64], change: f64) -> Option<Vec<f64>> {
        let stepped = fields.iter().zip(&self.column).map(|(field, factor)| field + factor * change);
        (!self.column.is_empty()).then(|| stepped.collect())
    }
}

/// `model = { k1 = "0.0021 1/(m^2 A)", k2 = "…" }`: what a field in this unit gives of each quantity; a factor in units of
/// the magnetic field is divided by the rigidity.
pub(crate) fn gives(table: &Table, physics: &Unit, rigidity: Option<f64>) -> Result<Arc<[Given]>> {
    let Ok(Some(inner)) = table.table("model") else { return Ok(Arc::default()) };
    let mut given = Vec::new();
    for key in inner.keys() {
        let (quantity, unit) = strength(&inner, key, key)?;
        let needed = Unit::si(unit.dimension().times(physics.dimension().power(-1)));
        let factor = Units { physics: &unit, hardware: physics, rigidity }.quantity(&inner, key, &needed)?;
        given.extend(factor.map(|factor| Given { quantity, factor }));
    }
    inner.no_other_keys()?;
    if given.is_empty() {
        return Err(table.mistake("model", "names no quantity that the supply gives"));
    }
    Ok(given.into())
}

/// Notes in the fields of a device that are over others (`of`) how they follow from them.
pub(crate) fn combine(device: &mut Device, tables: &[(FieldTable, Table)], lattice: &Lattice) -> Result<()> {
    for (place, (known, table)) in tables.iter().enumerate().filter(|(_, (known, _))| !known.of.is_empty()) {
        let Some(&element) = device.elements.first() else {
            return Err(table.mistake(
                "of",
                format!("{} stands nowhere in the lattice: the family needs `elements`", device.shown()),
            ));
        };
        let fields = known.of.iter().map(|name| supply(device, name, table)).collect::<Result<Vec<usize>>>()?;
        // all quantities over the same supplies
        let over: Vec<usize> = (0..tables.len()).filter(|&other| tables[other].0.of == known.of).collect();
        let factor = |row: usize, column: usize| factor(device, over[row], fields[column]);
        let matrix = DMatrix::from_fn(over.len(), fields.len(), factor);
        let row = over.iter().position(|&other| other == place).unwrap_or(0);
        let own =
            device.fields[place].model.map(|quantity| crate::strength::design(&lattice.elements[element], quantity));
        let offset = own.unwrap_or(0.0)
            - fields
                .iter()
                .enumerate()
                .map(|(at, &field)| matrix[(row, at)] * device.fields[field].design)
                .sum::<f64>();
        let column = match over.len() == fields.len() {
            false => Vec::new(),
            true => inverse(&matrix)
                .ok_or_else(|| singular(table, tables, &over, &known.of))?
                .column(row)
                .iter()
                .copied()
                .collect(),
        };
        let row = matrix.row(row).iter().copied().collect();
        device.fields[place].combined = Some(Arc::new(Combined { fields, row, column, offset }));
    }
    Ok(())
}

/// The place of a field that is a supply of several quantities.
fn supply(device: &Device, name: &str, table: &Table) -> Result<usize> {
    let names = || device.fields.iter().filter(|field| !field.gives.is_empty()).map(|field| field.name.as_ref());
    let found = device.fields.iter().position(|field| field.name.as_ref() == name && !field.gives.is_empty());
    found.ok_or_else(|| {
        let near =
            fodo_report::did_you_mean(name, names()).unwrap_or_else(|| match names().collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "no field has a table as its `model`".into(),
                known => format!("it may name {known}"),
            });
        table.mistake("of", format!("`{name}` is no field with a table of quantities as its `model`; {near}"))
    })
}

/// What one of a field gives of the quantity of another.
fn factor(device: &Device, quantity: usize, field: usize) -> f64 {
    let wanted = device.fields[quantity].model;
    device.fields[field].gives.iter().filter(|given| Some(given.quantity) == wanted).map(|given| given.factor).sum()
}

/// The inverse of a square matrix, unless it is singular: rows and columns are of different units, and are scaled first.
fn inverse(matrix: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    const SINGULAR: f64 = 1e-9;
    let largest = |values: &mut dyn Iterator<Item = f64>| values.map(f64::abs).fold(0.0, f64::max);
    let rows: Vec<f64> = matrix.row_iter().map(|row| largest(&mut row.iter().copied())).collect();
    let mut scaled = DMatrix::from_fn(matrix.nrows(), matrix.ncols(), |row, column| matrix[(row, column)] / rows[row]);
    let columns: Vec<f64> = scaled.column_iter().map(|column| largest(&mut column.iter().copied())).collect();
    for (mut column, largest) in scaled.column_iter_mut().zip(&columns) {
        column /= *largest;
    }
    let is_sound = scaled.iter().all(|entry| entry.is_finite()) && {
        let values = scaled.clone().singular_values();
        values.min() > SINGULAR * values.max()
    };
    let inverse = scaled.try_inverse().filter(|_| is_sound)?;
    Some(DMatrix::from_fn(inverse.nrows(), inverse.ncols(), |row, column| {
        inverse[(row, column)] / columns[row] / rows[column]
    }))
}

fn singular(
    table: &Table,
    tables: &[(FieldTable, Table)],
    over: &[usize],
    of: &[String],
) -> Box<fodo_report::Diagnostic> {
    let quantities: Vec<&str> = over.iter().map(|&place| tables[place].0.name()).collect();
    let what = format!(
        "no change of {} moves one of {} and leaves the others: they give them in the same proportions",
        of.join(" and "),
        quantities.join(", ")
    );
    table.mistake("of", what)
}

impl Field {
    /// The supplies that a quantity is over: fields of the device by their place; its own where it is a field of its own.
    pub fn over<'d>(&'d self, device: &'d Device) -> Vec<&'d Field> {
        match &self.combined {
            None => vec![self],
            Some(combined) => combined.fields.iter().filter_map(|&place| device.fields.get(place)).collect(),
        }
    }
}
