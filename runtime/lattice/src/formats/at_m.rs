//! Lattices in the scripts of the MATLAB Accelerator Toolbox: a cell array of calls, one per element.
//!
//! What is read is data, not MATLAB: assignments, cells, calls of the constructors in `CALLS`, numbers, vectors,
//! matrices, strings and names of variables assigned before. Anything else is an error, never passed over.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::{at_element, read_text};
use crate::{Lattice, LatticeError};

type Fields = Map<String, Value>;

/// A constructor: its name, the class it makes, and the fields its arguments without name stand for.
type Call = (&'static str, &'static str, &'static [&'static str]);

/// Field that a constructor's strength fills in where the call has no `PolynomB` or `PolynomA` of its own.
const SEXTUPOLE_STRENGTH: &str = "sextupole strength";
const SKEW_STRENGTH: &str = "skew strength";

/// What the constructor of a kick map is given, after the name.
const KICK_MAP: &[&str] = &[
    "PassMethod",
    "Filename_in",
    "Normalization_energy",
    "Nslice",
    "Length",
    "xkick",
    "ykick",
    "xkick1",
    "ykick1",
    "xtable",
    "ytable",
];

/// Places that hold a string; all others hold numbers.
const TEXTS: [&str; 2] = ["PassMethod", "Filename_in"];

/// The constructors known here. An empty class is left to the fields.
const CALLS: &[Call] = &[
    ("atmarker", "Marker", &[]),
    ("atmonitor", "Monitor", &[]),
    ("atdrift", "Drift", &["Length"]),
    ("atsbend", "Bend", &["Length", "BendingAngle", "K"]),
    ("atrbend", "Bend", &["Length", "BendingAngle", "K"]),
    ("atquadrupole", "Quadrupole", &["Length", "K"]),
    ("atskewquad", "Multipole", &["Length", SKEW_STRENGTH]),
    ("atsextupole", "Sextupole", &["Length", SEXTUPOLE_STRENGTH]),
    ("atoctupole", "Octupole", &["Length", "PolynomA", "PolynomB"]),
    ("atmultipole", "Multipole", &["Length", "PolynomA", "PolynomB"]),
    ("atthinmultipole", "ThinMultipole", &["PolynomA", "PolynomB"]),
    ("atcorrector", "Corrector", &["Length", "KickAngle"]),
    ("atrfcavity", "RFCavity", &["Length", "Voltage", "Frequency", "HarmNumber", "Energy"]),
    ("ataperture", "Aperture", &["Limits"]),
    ("atlongtaperture", "LongtAperture", &["Limits"]),
    ("atM66", "Matrix66", &["M66"]),
    ("atwiggler", "Wiggler", &["Length", "Lw", "Bmax", "Energy"]),
    ("atinsertiondevicekickmap", "InsertionDeviceKickMap", KICK_MAP),
    ("atringparam", "RingParam", &["Energy", "Periodicity"]),
    ("atbaselem", "", &[]),
];

/// Reads a file.
///
/// # Errors
/// The file cannot be read, or is not a lattice; with line and column.
pub fn read(path: &Path) -> Result<Lattice, LatticeError> {
    parse(&read_text(path)?).map_err(|error| error.in_file(path))
}

/// Reads a lattice from text: the cell that the function returns, without a function line the last one assigned.
///
/// # Errors
/// The text is not a lattice, or is more MATLAB than is read here; with line and column.
pub fn parse(text: &str) -> Result<Lattice, LatticeError> {
    let mut reader = Reader { text, at: 0, variables: HashMap::new() };
    let result = reader.script()?;
    let cell = result.and_then(|name| reader.variables.remove(&name)).ok_or_else(|| {
        LatticeError::new("no cell of elements is assigned in this file")
            .hint("expected `ring = { atdrift(...); ... };`")
    })?;
    let elements = elements_of(cell)
        .ok_or_else(|| LatticeError::new("what this file returns is not a cell of elements").hint(HINT_ELEMENT))?;
    at_element::lattice(elements, &Map::new())
}

const HINT_ELEMENT: &str = "each item has to be a call such as atdrift('D1', 0.5), or a variable that holds one";

/// The elements of a cell, those of cells inside it among them.
fn elements_of(cell: Value) -> Option<Vec<Fields>> {
    match cell {
        Value::Object(fields) if fields.contains_key("FamName") => Some(vec![fields]),
        Value::Array(items) => {
            let parts: Option<Vec<Vec<Fields>>> = items.into_iter().map(elements_of).collect();
            parts.map(|parts| parts.concat())
        }
        _ => None,
    }
}

/// A place in the text, and what has been assigned before it.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    variables: HashMap<String, Value>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self, at: usize, message: impl Into<String>) -> LatticeError {
        LatticeError::new(message).at_offset(self.text, at)
    }

    fn expected(&self, what: &str) -> LatticeError {
        let found = match self.rest().chars().next() {
            Some('\n' | '\r') => "the end of the line".to_string(),
            Some(character) => format!("`{character}`"),
            None => "the end of the file".to_string(),
        };
        self.wrong(self.at, format!("expected {what}, found {found}"))
    }

    /// Passes blanks, comments and continued line ends; other line ends too, if they mean nothing here.
    fn skip(&mut self, line_ends: bool) {
        loop {
            let rest = self.rest();
            let line = rest.find('\n').unwrap_or(rest.len());
            self.at += match rest.chars().next() {
                Some(' ' | '\t' | '\r') => 1,
                Some('\n') if line_ends => 1,
                Some('%') => line,
                _ if rest.starts_with("...") => (line + 1).min(rest.len()),
                _ => return,
            };
        }
    }

    fn take(&mut self, character: char) -> bool {
        let found = self.rest().starts_with(character);
        self.at += if found { character.len_utf8() } else { 0 };
        found
    }

    fn demand(&mut self, character: char) -> Result<(), LatticeError> {
        self.skip(true);
        if self.take(character) { Ok(()) } else { Err(self.expected(&format!("`{character}`"))) }
    }

    fn word(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = rest[..end].starts_with(|c: char| c.is_ascii_alphabetic()).then_some(&rest[..end])?;
        self.at += end;
        Some(word)
    }

    /// All statements; the name of the variable that holds the result.
    fn script(&mut self) -> Result<Option<String>, LatticeError> {
        let (mut returned, mut last_cell) = (None, None);
        loop {
            self.skip(true);
            let start = self.at;
            if self.rest().is_empty() {
                return Ok(returned.or(last_cell));
            }
            if self.take(';') {
                continue;
            }
            match self.word() {
                Some("end" | "return") => {}
                Some("function") if returned.is_none() => returned = Some(self.function_line()?),
                Some("function") => self.pass_function()?,
                Some(name) => {
                    let value = self.assigned(name, start)?;
                    last_cell = value.is_array().then(|| name.to_string()).or(last_cell);
                    self.variables.insert(name.to_string(), value);
                }
                None => return Err(self.expected("a statement `name = value;`")),
            }
        }
    }

    /// `ring = name(arguments)` after `function`: the name of what it returns.
    fn function_line(&mut self) -> Result<String, LatticeError> {
        self.skip(false);
        let name = self.word().ok_or_else(|| self.expected("the variable that the function returns"))?;
        self.demand('=')?;
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
        Ok(name.to_string())
    }

    /// A helper function after the first one: the toolbox writes one for `True` and one for `False`.
    fn pass_function(&mut self) -> Result<(), LatticeError> {
        let end = self.rest().find("end").ok_or_else(|| self.expected("`end` of this function"))?;
        self.at += end + "end".len();
        Ok(())
    }

    fn assigned(&mut self, name: &str, start: usize) -> Result<Value, LatticeError> {
        self.skip(false);
        if !self.take('=') || self.rest().starts_with('=') {
            let message = format!("`{name}` is not an assignment of elements");
            return Err(self.wrong(start, message).hint("only `name = value;` is read here, no other MATLAB"));
        }
        let value = self.value()?;
        self.skip(false);
        if self.take(';') || self.rest().is_empty() || self.rest().starts_with('\n') {
            Ok(value)
        } else {
            Err(self.expected("`;`").hint("calculations are not read here; give their result"))
        }
    }

    fn value(&mut self) -> Result<Value, LatticeError> {
        self.skip(true);
        match self.rest().chars().next() {
            Some('\'' | '"') => self.string().map(Value::String),
            Some('[') => self.matrix(),
            Some('{') => self.cell(),
            Some(c) if c.is_ascii_alphabetic() => self.named(),
            _ => self.number(),
        }
    }

    /// A string; its quote is written twice inside it.
    fn string(&mut self) -> Result<String, LatticeError> {
        let start = self.at;
        let quote = if self.rest().starts_with('"') { '"' } else { '\'' };
        self.at += 1;
        let mut string = String::new();
        while let Some(length) = self.rest().find([quote, '\n']).filter(|&end| self.rest()[end..].starts_with(quote)) {
            string.push_str(&self.rest()[..length]);
            self.at += length + 1;
            if !self.take(quote) {
                return Ok(string);
            }
            string.push(quote);
        }
        Err(self.wrong(start, "this string has no end").hint(format!("add a {quote}")))
    }

    fn number(&mut self) -> Result<Value, LatticeError> {
        let start = self.at;
        let signed = self.rest().strip_prefix(['-', '+']).unwrap_or(self.rest());
        let sign = self.rest().len() - signed.len();
        if signed.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.at += sign;
            let word = self.word().unwrap_or_default();
            let value = constant(word).filter(|_| sign == 1);
            let value = value.ok_or_else(|| self.wrong(start, format!("`{word}` is not a number")))?;
            return Ok(real(if self.text[start..].starts_with('-') { -value } else { value }));
        }
        let mut end = sign + signed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(signed.len());
        end += exponent_length(&self.rest()[end..]);
        let value: f64 = self.rest()[..end].parse().map_err(|_| self.expected("a value"))?;
        self.at += end;
        Ok(real(value))
    }

    /// `[a b; c d]`: a list, or a list of rows where there are several.
    fn matrix(&mut self) -> Result<Value, LatticeError> {
        let start = self.at;
        self.take('[');
        let mut rows: Vec<Vec<Value>> = vec![vec![]];
        loop {
            self.skip(false);
            match self.rest().chars().next() {
                Some(']') => break,
                Some(',') => _ = self.take(','),
                Some(';' | '\n') => {
                    self.at += 1;
                    rows.push(vec![]);
                }
                Some(_) => {
                    let value = self.value()?;
                    rows.iter_mut().last().into_iter().for_each(|row| row.push(value.clone()));
                }
                None => return Err(self.wrong(start, "this vector has no end").hint("add a ]")),
            }
        }
        self.take(']');
        rows.retain(|row| !row.is_empty());
        if rows.iter().any(|row| row.len() != rows[0].len()) {
            return Err(self.wrong(start, "the rows of this matrix differ in length"));
        }
        let single = rows.len() <= 1 || rows[0].len() == 1;
        Ok(if single { rows.concat().into() } else { rows.into_iter().map(Value::from).collect() })
    }

    fn cell(&mut self) -> Result<Value, LatticeError> {
        let start = self.at;
        self.take('{');
        let mut items = vec![];
        loop {
            self.skip(true);
            if self.take('}') {
                return Ok(Value::Array(items));
            }
            if self.rest().is_empty() {
                return Err(self.wrong(start, "this cell has no end").hint("add a }"));
            }
            if !self.take(';') && !self.take(',') {
                items.push(self.value()?);
            }
        }
    }

    /// A call, a variable or a constant.
    fn named(&mut self) -> Result<Value, LatticeError> {
        let start = self.at;
        let name = self.word().unwrap_or_default();
        if self.rest().starts_with('(') && constant(name).is_none() {
            return self.call(name, start);
        }
        if let Some(value) = self.variables.get(name) {
            return Ok(value.clone());
        }
        match name {
            "true" | "True" => Ok(Value::Bool(true)),
            "false" | "False" => Ok(Value::Bool(false)),
            _ => constant(name).map(real).ok_or_else(|| {
                let error = self.wrong(start, format!("nothing is called `{name}` here"));
                let calls = CALLS.iter().map(|(call, ..)| *call);
                error.near(name, self.variables.keys().map(String::as_str).chain(calls))
            }),
        }
    }

    fn call(&mut self, name: &str, start: usize) -> Result<Value, LatticeError> {
        let arguments = self.arguments()?;
        if name == "struct" {
            return self.pairs(&arguments, Map::new()).map(Value::Object);
        }
        let known = CALLS.iter().find(|(call, ..)| *call == name);
        let call = known.ok_or_else(|| {
            let error = self.wrong(start, format!("no constructor of elements is called `{name}`"));
            error.near(name, CALLS.iter().map(|(call, ..)| *call))
        })?;
        self.element(call, &arguments, start).map(Value::Object)
    }

    /// The values in parentheses, with the places where they stand.
    fn arguments(&mut self) -> Result<Vec<(usize, Value)>, LatticeError> {
        self.demand('(')?;
        let mut arguments = vec![];
        loop {
            self.skip(true);
            if arguments.is_empty() && self.take(')') {
                return Ok(arguments);
            }
            arguments.push((self.at, self.value()?));
            self.skip(true);
            if self.take(')') {
                return Ok(arguments);
            }
            if !self.take(',') {
                return Err(self.expected("`,` or `)`").hint("calculations are not read here; give their result"));
            }
        }
    }

    /// The fields that a call stands for: name, arguments by their place, pass method, then pairs.
    fn element(&self, call: &Call, arguments: &[(usize, Value)], start: usize) -> Result<Fields, LatticeError> {
        let (name, class, places) = call;
        let Some(((_, family @ Value::String(_)), mut left)) = arguments.split_first() else {
            return Err(self.wrong(start, format!("{name} begins with the name of the element, a string")));
        };
        let mut fields = Map::new();
        fields.insert("FamName".into(), family.clone());
        if !class.is_empty() {
            fields.insert("Class".into(), Value::from(*class));
        }
        for place in *places {
            let fits = |value: &Value| value.is_string() == TEXTS.contains(place);
            let Some(((_, value), after)) = left.split_first().filter(|((_, value), _)| fits(value)) else { break };
            fields.insert((*place).into(), value.clone());
            left = after;
        }
        if let Some(((_, Value::String(pass)), after)) = left.split_first()
            && (pass.ends_with("Pass") || class.is_empty())
        {
            fields.insert("PassMethod".into(), Value::from(pass.as_str()));
            left = after;
        }
        let mut fields = self.pairs(left, fields)?;
        complete(name, &mut fields);
        Ok(fields)
    }

    /// Adds `'Name', value` pairs to fields.
    fn pairs(&self, arguments: &[(usize, Value)], mut fields: Fields) -> Result<Fields, LatticeError> {
        for pair in arguments.chunks(2) {
            match pair {
                [(_, Value::String(name)), (_, value)] => {
                    fields.insert(name.clone(), value.clone());
                }
                [(at, Value::String(name))] => {
                    return Err(self.wrong(*at, format!("field '{name}' has no value")));
                }
                _ => {
                    let error = self.wrong(pair[0].0, "one argument too many: expected the name of a field");
                    return Err(error.hint("arguments without name come first, then 'Name', value pairs"));
                }
            }
        }
        Ok(fields)
    }
}

/// What a constructor derives from its arguments.
fn complete(call: &str, fields: &mut Fields) {
    let strengths = [(SEXTUPOLE_STRENGTH, "PolynomB", 2), (SKEW_STRENGTH, "PolynomA", 1)];
    for (strength, list, order) in strengths {
        if let Some(value) = fields.shift_remove(strength) {
            let mut numbers = vec![Value::from(0.0); order];
            numbers.push(value);
            fields.entry(list).or_insert(Value::Array(numbers));
        }
    }
    if call == "atrbend"
        && let Some(angle) = fields.get("BendingAngle").and_then(Value::as_f64)
    {
        for face in ["EntranceAngle", "ExitAngle"] {
            fields.entry(face).or_insert(Value::from(0.5 * angle));
        }
    }
}

/// Bytes of the exponent at the start of `text`; 0 if there is none.
fn exponent_length(text: &str) -> usize {
    let Some(after) = text.strip_prefix(['e', 'E']) else { return 0 };
    let digits = after.strip_prefix(['-', '+']).unwrap_or(after);
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 { 0 } else { text.len() - digits.len() + count }
}

fn constant(word: &str) -> Option<f64> {
    match word {
        "pi" => Some(std::f64::consts::PI),
        "Inf" | "inf" => Some(f64::INFINITY),
        "NaN" | "nan" => Some(f64::NAN),
        _ => None,
    }
}

/// A number as the other formats have it: what is not finite in words.
fn real(value: f64) -> Value {
    match value {
        _ if value.is_finite() => Value::from(value),
        _ if value.is_nan() => Value::from("NaN"),
        _ => Value::from(if value > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}
