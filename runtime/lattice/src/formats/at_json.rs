//! Lattices in the JSON of the Accelerator Toolbox.

use std::path::Path;

use serde_json::{Map, Value};

pub use super::at_json_write::write;
use super::{at_element, read_text};
use crate::{Lattice, LatticeError};

/// Reads a file.
///
/// # Errors
/// The file cannot be read, is not JSON, or is not a lattice.
pub fn read(path: &Path) -> Result<Lattice, LatticeError> {
    parse(&read_text(path)?).map_err(|error| error.in_file(path))
}

/// Reads a lattice from text. `NaN` and `Infinity`, which Python writes, are accepted.
///
/// # Errors
/// The text is not JSON or not a lattice.
pub fn parse(text: &str) -> Result<Lattice, LatticeError> {
    let root = match serde_json::from_str::<Value>(text) {
        Ok(root) => root,
        Err(_) => serde_json::from_str(&quote_specials(text)).map_err(|error| {
            LatticeError::new(format!("this is not JSON: {error}")).at(error.line(), error.column())
        })?,
    };
    lattice(root)
}

fn lattice(root: Value) -> Result<Lattice, LatticeError> {
    let Value::Object(mut root) = root else { return Err(not_a_lattice()) };
    let Some(Value::Array(elements)) = root.remove("elements") else { return Err(not_a_lattice()) };
    let properties = match root.remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let elements = elements.into_iter().map(as_fields).collect::<Result<Vec<_>, _>>()?;
    at_element::lattice(elements, &properties)
}

fn as_fields(element: Value) -> Result<Map<String, Value>, LatticeError> {
    match element {
        Value::Object(fields) => Ok(fields),
        _ => Err(not_a_lattice()),
    }
}

fn not_a_lattice() -> LatticeError {
    LatticeError::new("this JSON is not a lattice of the Accelerator Toolbox")
        .hint("expected { \"atjson\": 1, \"elements\": [...], \"properties\": {...} }")
}

/// Puts quotes around `NaN`, `Infinity` and `-Infinity` where they stand outside strings; lengths of lines before
/// the first of them are kept, so that places in later messages are nearly right.
fn quote_specials(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(at) = rest.find(['"', 'N', 'I', '-']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let special = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word));
        let taken = match special {
            Some(word) => {
                out.extend(["\"", word, "\""]);
                rest = &rest[word.len()..];
                continue;
            }
            None if rest.starts_with('"') => string_length(rest),
            None => 1,
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out + rest
}

/// Bytes of the JSON string at the start of `text`, both quotes included.
fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::quote_specials;

    #[test]
    fn python_specials_become_strings_and_strings_stay() {
        let text = r#"{"a": NaN, "NaN": [-Infinity, -1.0], "b\"": Infinity}"#;
        assert_eq!(quote_specials(text), r#"{"a": "NaN", "NaN": ["-Infinity", -1.0], "b\"": "Infinity"}"#);
    }
}
