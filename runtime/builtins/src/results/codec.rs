//! Script values as JSON that comes back as the same values: units, families and responses are told.
//!
//! What JSON has itself stands as it is; anything else is an object whose key `$` says what it is.

use crate::families::{Member, Members};
use crate::matrix::Matrix;
use crate::model::ModelHandle;
use crate::orbit::{Knobs, Response, Steps, knobs};
use crate::table::{Column, Table};
use crate::vector::{Mask, Vector};
use fodo_devices::{Device, Facility};
use fodo_language::{OrFail, Outcome, article, script_error, type_word};
use fodo_units::{Quantity, Unit};
use nalgebra::DMatrix;
use rhai::{Array, Dynamic, ImmutableString, Map};
use serde_json::{Map as Object, Value, json};
use std::sync::Arc;

/// A script value as JSON.
///
/// # Errors
/// A value that means nothing later: a function, a task.
pub fn encode(value: &Dynamic) -> Outcome<Value> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(truth) = value.as_bool() {
        return Ok(truth.into());
    }
    if let Ok(number) = value.as_int() {
        return Ok(number.into());
    }
    if let Ok(number) = value.as_float() {
        return Ok(if number.is_finite() {
            number.into()
        } else {
            json!({ "$": "number", "text": number.to_string() })
        });
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(text.as_str().into());
    }
    if let Some(quantity) = value.read_lock::<Quantity>() {
        return Ok(json!({ "$": "quantity", "si": float(quantity.si), "unit": unit_text(&quantity.unit) }));
    }
    if let Some(vector) = value.read_lock::<Vector>() {
        return Ok(of_vector(&vector));
    }
    if let Some(mask) = value.read_lock::<Mask>() {
        return Ok(json!({ "$": "mask", "values": *mask.0 }));
    }
    if let Some(matrix) = value.read_lock::<Matrix>() {
        return Ok(of_matrix(matrix.si(), matrix.unit()));
    }
    if let Some(table) = value.read_lock::<Table>() {
        let columns: Vec<Value> =
            table.columns().iter().map(|(name, c)| json!([name.as_str(), of_column(c)])).collect();
        return Ok(json!({ "$": "table", "columns": columns }));
    }
    if let Some(members) = value.read_lock::<Members>() {
        return Ok(json!({ "$": "family", "family": members.family.name, "devices": names(&members.devices) }));
    }
    if let Some(member) = value.read_lock::<Member>() {
        return Ok(json!({ "$": "device", "device": [member.device.family, member.device.name] }));
    }
    if let Some(knobs) = value.read_lock::<Knobs>() {
        return Ok(json!({ "$": "knobs", "devices": of_knobs(&knobs) }));
    }
    if let Some(response) = value.read_lock::<Response>() {
        let Response { knobs, monitors, measured } = &*response;
        return Ok(json!({
            "$": "response", "knobs": of_knobs(knobs), "family": monitors.family.name, "monitors": names(&monitors.devices),
            "matrix": rows(&measured.matrix), "error": rows(&measured.error),
        }));
    }
    if let Some(steps) = value.read_lock::<Steps>() {
        let each: Vec<Value> =
            steps.each().map(|(device, _, step)| json!([[device.family, device.name], float(step)])).collect();
        return Ok(json!({ "$": "steps", "each": each }));
    }
    if let Some(model) = value.read_lock::<ModelHandle>() {
        let written = model.written();
        return Ok(written.map_or(
            json!({ "$": "model" }),
            |(title, text)| json!({ "$": "model", "title": title, "lattice": text }),
        ));
    }
    if let Some(array) = value.read_lock::<Array>() {
        return array.iter().map(encode).collect();
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().map(|(key, value)| Ok((key.to_string(), encode(value)?))).collect();
    }
    Err(script_error(format!("{} cannot be kept as a result", article(&type_word(value.type_name())))))
}

/// The value that [`encode`] wrote, with the devices of a facility.
///
/// # Errors
/// A device that the facility does not have any more; JSON that `encode` did not write.
pub fn decode(value: &Value, facility: &Facility) -> Outcome<Dynamic> {
    Ok(match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(array) => array.iter().map(|one| decode(one, facility)).collect::<Outcome<Array>>()?.into(),
        Value::Object(object) => match object.get("$").and_then(Value::as_str) {
            Some(kind) => special(kind, object, facility)?,
            None => {
                let entry = |(key, value): (&String, &Value)| Ok((key.as_str().into(), decode(value, facility)?));
                object.iter().map(entry).collect::<Outcome<Map>>()?.into()
            }
        },
    })
}

fn special(kind: &str, object: &Object<String, Value>, facility: &Facility) -> Outcome<Dynamic> {
    let part = |key: &str| object.get(key).unwrap_or(&Value::Null);
    Ok(match kind {
        "number" => part("text").as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN).into(),
        "quantity" => Dynamic::from(Quantity::from_si(number(part("si")), unit(part("unit"))?)),
        "vector" => Dynamic::from(to_vector(object)?),
        "mask" => Dynamic::from(to_mask(part("values"))),
        "matrix" => Dynamic::from(Matrix::from_si(to_rows(part("rows"), part("columns"))?, unit(part("unit"))?)),
        "table" => Dynamic::from(Table::new(list(part("columns")).iter().map(to_column).collect::<Outcome<_>>()?)),
        "family" => Dynamic::from(members(part("family"), part("devices"), facility)?),
        "device" => Dynamic::from(member(part("device"), facility)?),
        "knobs" => Dynamic::from(to_knobs(part("devices"), facility)?),
        "steps" => {
            let each = list(part("each"));
            let knobs = to_knobs(&each.iter().map(|pair| pair[0].clone()).collect(), facility)?;
            Dynamic::from(Steps::new(knobs, each.iter().map(|pair| number(&pair[1])).collect()))
        }
        "model" => Dynamic::from(match (part("title").as_str(), part("lattice").as_str()) {
            (Some(title), Some(lattice)) => ModelHandle::read(title, lattice, facility)?,
            _ => ModelHandle::design(),
        }),
        "response" => {
            let (knobs, monitors) =
                (to_knobs(part("knobs"), facility)?, members(part("family"), part("monitors"), facility)?);
            let wide = json!(knobs.0.len());
            let (matrix, error) = (to_rows(part("matrix"), &wide)?, to_rows(part("error"), &wide)?);
            Dynamic::from(Response { knobs, monitors, measured: Arc::new(fodo_measure::Response { matrix, error }) })
        }
        other => return Err(script_error(format!("the result holds a `{other}`, which this version does not know"))),
    })
}

/// JSON has no NaN and no infinity.
fn float(number: f64) -> Value {
    if number.is_infinite() { number.to_string().into() } else { number.into() }
}

fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(f64::NAN)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A unit as it can be read again; one that was made up (`1e-3 rad`) as that of its dimension.
fn unit_text(unit: &Unit) -> String {
    if unit.is_position() {
        return "place".into();
    }
    match Unit::parse(unit.symbol()) {
        Ok(read) if read == *unit => unit.symbol().to_string(),
        _ => unit.dimension().to_string(),
    }
}

fn unit(value: &Value) -> Outcome<Unit> {
    match value.as_str().unwrap_or("1") {
        "place" => Ok(Unit::position()),
        "1" => Ok(Unit::none()),
        text => Unit::parse(text).or_fail(),
    }
}

fn of_vector(vector: &Vector) -> Value {
    let values: Vec<Value> = vector.si().iter().map(|v| float(*v)).collect();
    json!({ "$": "vector", "si": values, "unit": unit_text(vector.unit()) })
}

fn to_vector(object: &Object<String, Value>) -> Outcome<Vector> {
    let values = list(object.get("si").unwrap_or(&Value::Null)).iter().map(number).collect();
    Ok(Vector::from_si(values, unit(object.get("unit").unwrap_or(&Value::Null))?))
}

fn to_mask(values: &Value) -> Mask {
    Mask(Arc::new(list(values).iter().map(|one| one.as_bool().unwrap_or(false)).collect()))
}

fn of_matrix(values: &DMatrix<f64>, unit: &Unit) -> Value {
    json!({ "$": "matrix", "rows": rows(values), "columns": values.ncols(), "unit": unit_text(unit) })
}

fn rows(values: &DMatrix<f64>) -> Value {
    values.row_iter().map(|row| row.iter().map(|v| float(*v)).collect::<Value>()).collect()
}

fn to_rows(rows: &Value, columns: &Value) -> Outcome<DMatrix<f64>> {
    let (rows, wide) = (list(rows), columns.as_u64().unwrap_or(0) as usize);
    if rows.iter().any(|row| list(row).len() != wide) {
        return Err(script_error("the result holds a matrix whose rows differ in length"));
    }
    Ok(DMatrix::from_row_iterator(rows.len(), wide, rows.iter().flat_map(|row| list(row).iter().map(number))))
}

fn of_column(column: &Column) -> Value {
    match column {
        Column::Numbers(vector) => of_vector(vector),
        Column::Texts(texts) => texts.iter().map(|text| text.as_str()).collect(),
        Column::Truths(mask) => json!({ "$": "mask", "values": *mask.0 }),
        Column::Empty => Value::Null,
    }
}

fn to_column(pair: &Value) -> Outcome<(ImmutableString, Column)> {
    let name = pair[0].as_str().unwrap_or_default().into();
    let column = match &pair[1] {
        Value::Array(texts) => {
            Column::Texts(Arc::new(texts.iter().map(|text| text.as_str().unwrap_or_default().into()).collect()))
        }
        Value::Object(object) if object["$"] == "mask" => Column::Truths(to_mask(&object["values"])),
        Value::Object(object) => Column::Numbers(to_vector(object)?),
        _ => Column::Empty,
    };
    Ok((name, column))
}

fn names(devices: &[Arc<Device>]) -> Vec<[&str; 2]> {
    devices.iter().map(|device| [device.family.as_ref(), device.name.as_ref()]).collect()
}

fn member(pair: &Value, facility: &Facility) -> Outcome<Member> {
    let (family, name) = (pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default());
    let family = facility.family(family).or_fail()?;
    let device = family.devices.iter().find(|device| device.name.as_ref() == name);
    let gone = || script_error(format!("{}[\"{name}\"] of the result is not in the facility any more", family.name));
    Ok(Member { family: family.clone(), device: device.ok_or_else(gone)?.clone() })
}

fn members(name: &Value, devices: &Value, facility: &Facility) -> Outcome<Members> {
    let all = list(devices).iter().map(|pair| member(pair, facility)).collect::<Outcome<Vec<Member>>>()?;
    let devices: Arc<[Arc<Device>]> = all.iter().map(|member| member.device.clone()).collect();
    match name.as_str().map(|name| facility.family(name)) {
        Some(Ok(family)) => Ok(Members { family: family.clone(), devices }),
        _ => Err(script_error("joined families cannot be kept as a result: keep each of them")),
    }
}

fn of_knobs(knobs: &Knobs) -> Value {
    knobs.0.iter().map(|knob| json!([knob.device.family, knob.device.name])).collect()
}

fn to_knobs(devices: &Value, facility: &Facility) -> Outcome<Knobs> {
    let all = list(devices).iter().map(|pair| Ok(Dynamic::from(member(pair, facility)?)));
    knobs(&Dynamic::from(all.collect::<Outcome<Array>>()?)).map(|all| Knobs(all.into()))
}
