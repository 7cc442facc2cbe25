//! Script values as JSON: SI numbers, angles in rad, energies in eV.

use fodo_builtins::{Column, Mask, Matrix, Member, Members, Table, Vector};
use fodo_units::Quantity;
use rhai::{Array, Dynamic, Map};
use serde_json::Value;

/// A script value as JSON.
pub fn of(value: &Dynamic) -> Value {
    if value.is_unit() {
        return Value::Null;
    }
    if let Ok(truth) = value.as_bool() {
        return truth.into();
    }
    if let Ok(number) = value.as_int() {
        return number.into();
    }
    if let Ok(number) = value.as_float() {
        return number.into();
    }
    if let Some(quantity) = value.read_lock::<Quantity>() {
        return quantity.si.into();
    }
    if let Some(vector) = value.read_lock::<Vector>() {
        return vector.si().to_vec().into();
    }
    if let Some(matrix) = value.read_lock::<Matrix>() {
        let si = matrix.si();
        return (0..si.nrows()).map(|row| si.row(row).iter().copied().collect::<Vec<f64>>()).collect();
    }
    if let Some(mask) = value.read_lock::<Mask>() {
        return mask.0.to_vec().into();
    }
    if let Some(table) = value.read_lock::<Table>() {
        return table.columns().iter().map(|(name, column)| (name.to_string(), of_column(column))).collect();
    }
    if let Some(members) = value.read_lock::<Members>() {
        return members.devices.iter().map(|d| d.name.to_string()).collect();
    }
    if let Some(member) = value.read_lock::<Member>() {
        return member.device.name.to_string().into();
    }
    if let Some(array) = value.read_lock::<Array>() {
        return array.iter().map(of).collect();
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().map(|(key, value)| (key.to_string(), of(value))).collect();
    }
    value.to_string().into()
}

fn of_column(column: &Column) -> Value {
    match column {
        Column::Numbers(vector) => vector.si().to_vec().into(),
        Column::Texts(texts) => texts.iter().map(|text| text.to_string()).collect(),
        Column::Truths(mask) => mask.0.to_vec().into(),
        Column::Empty => Value::Array(Vec::new()),
    }
}
