//! What is sent to write a channel.

use epics_pva_rs::proto::BitSet;
use epics_pva_rs::pvdata::encode::default_value_for;
use epics_pva_rs::pvdata::{FieldDesc, PvField, ScalarType, ScalarValue, TypedScalarArray};
use fodo_control::Value;
use std::sync::Arc;

/// The structure to send to a channel of this type, and which of its fields are written.
///
/// # Errors
/// Why a channel of this type cannot take the value.
pub fn filled(desc: &FieldDesc, value: &Value, choices: &[Arc<str>]) -> Result<(PvField, BitSet), String> {
    let mut whole = default_value_for(desc);
    let mut written = BitSet::new();
    let PvField::Structure(top) = &mut whole else { return Err("write refused: it is no structure".into()) };
    let FieldDesc::Structure { fields, .. } = desc else { return Err("write refused: it is no structure".into()) };
    let kind = fields.iter().find(|(name, _)| name == "value").map(|(_, kind)| kind);
    let kind = kind.ok_or("write refused: the channel has no value")?;
    let path = match kind {
        FieldDesc::Scalar(kind) => {
            top.set("value", PvField::Scalar(scalar(value, *kind)?));
            "value"
        }
        FieldDesc::ScalarArray(kind) => {
            top.set("value", PvField::ScalarArrayTyped(array(value, *kind)?));
            "value"
        }
        FieldDesc::Structure { fields, .. } if fields.iter().any(|(name, _)| name == "index") => {
            let index = state(value, choices)?;
            let Some(PvField::Structure(state)) = top.get_field_mut("value") else {
                return Err("write refused: the channel has no state".into());
            };
            state.set("index", PvField::Scalar(ScalarValue::Int(index)));
            "value.index"
        }
        _ => return Err("write refused: Fodo cannot write a table or an image over PV Access".into()),
    };
    written.set(desc.bit_for_path(path).ok_or("write refused: the channel has no value")?);
    Ok((whole, written))
}

fn state(value: &Value, choices: &[Arc<str>]) -> Result<i32, String> {
    let known = |index: usize| index < choices.len() || choices.is_empty();
    match value {
        Value::Text(name) => {
            let place = choices.iter().position(|known| known == name);
            let names = choices.join(", ");
            let place = place.ok_or_else(|| format!("write refused: it has no state `{name}`, only {names}"))?;
            i32::try_from(place).map_err(|error| error.to_string())
        }
        Value::Choice { index, .. } => i32::try_from(*index).map_err(|error| error.to_string()),
        Value::Number(number) if number.fract() == 0.0 && *number >= 0.0 && known(*number as usize) => {
            Ok(*number as i32)
        }
        other => Err(format!("write refused: it takes one of {} states, not {}", choices.len(), shown(other))),
    }
}

fn shown(value: &Value) -> String {
    value.number().map_or_else(|| value.form().to_string(), |number| number.to_string())
}

fn scalar(value: &Value, kind: ScalarType) -> Result<ScalarValue, String> {
    match (value, kind) {
        (Value::Text(text) | Value::Choice { label: text, .. }, ScalarType::String) => {
            Ok(ScalarValue::String(text.as_ref().into()))
        }
        (_, ScalarType::String) => Err(format!("write refused: it takes a text, not {}", value.form())),
        (value, kind) => {
            let number =
                value.number().ok_or_else(|| format!("write refused: it takes a number, not {}", value.form()))?;
            converted(number, kind)
        }
    }
}

/// A number in the channel's own type; what that cannot hold is refused, not rounded.
fn converted(number: f64, kind: ScalarType) -> Result<ScalarValue, String> {
    let within = |low: f64, high: f64| {
        let fits = number.fract() == 0.0 && (low..=high).contains(&number);
        let why = || format!("write refused: it takes whole numbers from {low} to {high}, not {number}");
        if fits { Ok(number) } else { Err(why()) }
    };
    Ok(match kind {
        ScalarType::Double => ScalarValue::Double(number),
        ScalarType::Float => ScalarValue::Float(number as f32),
        ScalarType::Boolean => ScalarValue::Boolean(within(0.0, 1.0)? != 0.0),
        ScalarType::Byte => ScalarValue::Byte(within(-128.0, 127.0)? as i8),
        ScalarType::UByte => ScalarValue::UByte(within(0.0, 255.0)? as u8),
        ScalarType::Short => ScalarValue::Short(within(-32768.0, 32767.0)? as i16),
        ScalarType::UShort => ScalarValue::UShort(within(0.0, 65535.0)? as u16),
        ScalarType::Int => ScalarValue::Int(within(f64::from(i32::MIN), f64::from(i32::MAX))? as i32),
        ScalarType::UInt => ScalarValue::UInt(within(0.0, f64::from(u32::MAX))? as u32),
        ScalarType::Long => ScalarValue::Long(within(-(2.0_f64.powi(53)), 2.0_f64.powi(53))? as i64),
        ScalarType::ULong => ScalarValue::ULong(within(0.0, 2.0_f64.powi(53))? as u64),
        ScalarType::String => return Err("write refused: it takes a text, not a number".into()),
    })
}

fn array(value: &Value, kind: ScalarType) -> Result<TypedScalarArray, String> {
    let entries: Vec<ScalarValue> = match (value, kind) {
        (Value::Vector(entries), ScalarType::Double) => {
            return Ok(TypedScalarArray::Double(entries.to_vec().into()));
        }
        (Value::Vector(entries), kind) => {
            entries.iter().map(|number| converted(*number, kind)).collect::<Result<_, _>>()?
        }
        (Value::Texts(texts), ScalarType::String) => {
            texts.iter().map(|text| ScalarValue::String(text.as_ref().into())).collect()
        }
        (Value::Text(text), ScalarType::Byte) => text.bytes().chain([0]).map(|b| ScalarValue::Byte(b as i8)).collect(),
        (Value::Text(text), ScalarType::UByte) => text.bytes().chain([0]).map(ScalarValue::UByte).collect(),
        (other, ScalarType::String) => {
            return Err(format!("write refused: it takes a row of texts, not {}", other.form()));
        }
        (other, _) => return Err(format!("write refused: it takes a row of numbers, not {}", other.form())),
    };
    TypedScalarArray::from_scalar_values(&entries, kind).ok_or_else(|| "write refused: an empty row".into())
}
