//! Lattices in MATLAB files of the Accelerator Toolbox: a cell array of structs, one per element.

use std::path::Path;

use serde_json::{Map, Value};

use super::{at_element, mat5, unreadable};
use crate::{Lattice, LatticeError};

/// Reads a file: the first cell array of elements in it, also inside a struct (`RINGData.Lattice`).
///
/// # Errors
/// The file cannot be read, is not a MATLAB version 5 file, or holds no lattice.
pub fn read(path: &Path) -> Result<Lattice, LatticeError> {
    let bytes = std::fs::read(path).map_err(|problem| unreadable(path, &problem))?;
    parse(&bytes).map_err(|error| error.in_file(path))
}

/// Reads a lattice from the bytes of a file.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8]) -> Result<Lattice, LatticeError> {
    let variables = mat5::parse(bytes)?;
    let names: Vec<String> = variables.keys().cloned().collect();
    let (elements, around) = variables.into_iter().find_map(|(_, value)| cells(value)).ok_or_else(|| {
        LatticeError::new("no variable of this file is a cell array of elements")
            .hint(format!("variables found: {}", names.join(", ")))
    })?;
    let mut properties = Map::new();
    if let Some(energy) = around.get("Energy").and_then(Value::as_f64) {
        // structs around a lattice give the energy in eV or, by an older habit, in MeV or GeV
        let factor = if energy < 100.0 {
            1e9
        } else if energy < 1e5 {
            1e6
        } else {
            1.0
        };
        properties.insert("energy".into(), Value::from(energy * factor));
    }
    at_element::lattice(elements, &properties)
}

type Fields = Map<String, Value>;

/// The elements in a value, and the struct they stood in.
fn cells(value: Value) -> Option<(Vec<Fields>, Fields)> {
    match value {
        Value::Array(items) => as_elements(items).map(|elements| (elements, Map::new())),
        Value::Object(mut fields) => {
            let name = fields.iter().find(|(_, value)| holds_elements(value)).map(|(name, _)| name.clone())?;
            let Value::Array(items) = fields.remove(&name)? else { return None };
            as_elements(items).map(|elements| (elements, fields))
        }
        _ => None,
    }
}

fn holds_elements(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(|item| item.get("PassMethod").is_some()))
}

fn as_elements(items: Vec<Value>) -> Option<Vec<Fields>> {
    let fields = |item| match item {
        Value::Object(fields) if fields.contains_key("PassMethod") => Some(fields),
        _ => None,
    };
    let elements: Option<Vec<Fields>> = items.into_iter().map(fields).collect();
    elements.filter(|elements| !elements.is_empty())
}
