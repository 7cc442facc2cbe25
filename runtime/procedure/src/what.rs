//! What a value is, as far as it can be told without evaluating anything.

use crate::header::family_word;
use fodo_devices::Family;
use fodo_language::{Parameter, ParameterKind, Value};
use fodo_units::Unit;
use std::sync::Arc;

/// What a value is.
#[derive(Clone, Debug)]
pub enum What {
    /// It cannot be told.
    Unknown,
    /// A family or a part of one; of several it may be any.
    Family(Vec<Origin>),
    /// A device of a family; of several it may be of any.
    Device(Vec<Origin>),
    /// A number or quantity counted in a unit; with its value where that is written out.
    Number(Unit, Option<f64>),
    /// A text; with its characters where they are written out.
    Text(Option<String>),
    /// An array with these entries.
    Array(Vec<What>),
    /// A map with these entries.
    Map(Vec<(String, What)>),
    /// The parameters of the procedure: what `run` is given.
    Parameters,
    /// Something of a type, by its word: `vector`, `response`, `model`; with the families it was made of.
    Kind(String, Vec<Origin>),
}

/// A family, and the parameter that it is given by, if it is.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The family.
    pub family: Arc<Family>,
    /// The parameter of the procedure.
    pub parameter: Option<String>,
}

impl Origin {
    /// Whether both are one family from one parameter.
    pub fn is(&self, other: &Origin) -> bool {
        self.family.name == other.family.name && self.parameter == other.parameter
    }
}

/// Entries of an array that are looked at one by one; longer ones are arrays of anything.
pub(crate) const MOST_ENTRIES: usize = 64;

impl What {
    /// Something of a type.
    pub fn kind(word: &str) -> What {
        match word {
            "" | "any" | "value" | "map" | "array" => What::Unknown,
            "text" => What::Text(None),
            "number" | "integer" => What::Number(Unit::none(), None),
            word => What::Kind(word.to_lowercase(), Vec::new()),
        }
    }

    /// An array of these entries.
    pub fn array(entries: Vec<What>) -> What {
        if entries.len() > MOST_ENTRIES { What::Unknown } else { What::Array(entries) }
    }

    /// A map of these entries.
    pub fn map(entries: Vec<(String, What)>) -> What {
        if entries.len() > MOST_ENTRIES { What::Unknown } else { What::Map(entries) }
    }

    /// A family.
    pub fn family(family: &Arc<Family>) -> What {
        What::Family(vec![Origin { family: family.clone(), parameter: None }])
    }

    /// What `run` sees of a parameter; `family_of` finds a family by its name or role.
    pub fn of_parameter(parameter: &Parameter, family_of: impl Fn(&str) -> Option<Arc<Family>>) -> What {
        match &parameter.kind {
            ParameterKind::Number(unit) => What::Number(unit.clone(), None),
            ParameterKind::Integer => What::Number(Unit::none(), None),
            ParameterKind::Boolean => What::kind("boolean"),
            ParameterKind::Choice(_) | ParameterKind::Text => What::Text(None),
            ParameterKind::Named { many, .. } => {
                let Some(Value::Named { names, .. }) = &parameter.default else { return What::Unknown };
                let origin = |name: &String| {
                    family_of(family_word(name))
                        .map(|family| Origin { family, parameter: Some(parameter.name.clone()) })
                };
                let Some(origins) = names.iter().map(origin).collect::<Option<Vec<_>>>() else { return What::Unknown };
                match many {
                    false if parameter.kind.is_device() => What::Device(origins),
                    true => What::array(origins.into_iter().map(|origin| What::Family(vec![origin])).collect()),
                    false => What::Family(origins),
                }
            }
            ParameterKind::Quantity | ParameterKind::Function | ParameterKind::Any => What::Unknown,
        }
    }

    /// The word for it in messages.
    pub fn word(&self) -> &str {
        match self {
            What::Unknown => "value",
            What::Family(_) => "family",
            What::Device(_) => "device",
            What::Number(unit, _) if unit.dimension().is_none() => "number",
            What::Number(..) => "quantity",
            What::Text(_) => "text",
            What::Array(_) => "array",
            What::Map(_) | What::Parameters => "map",
            What::Kind(word, _) => word,
        }
    }

    /// The families it is, or was made of.
    pub fn origins(&self) -> Vec<Origin> {
        match self {
            What::Family(origins) | What::Device(origins) | What::Kind(_, origins) => origins.clone(),
            What::Array(entries) => entries.iter().flat_map(What::origins).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is a plain function, or holds one.
    pub fn holds_function(&self) -> bool {
        match self {
            What::Kind(word, _) => word == "function",
            What::Array(entries) => entries.iter().any(What::holds_function),
            What::Map(entries) => entries.iter().any(|(_, entry)| entry.holds_function()),
            _ => false,
        }
    }

    /// What it is where it may be either.
    pub fn or(self, other: What) -> What {
        let either = |mut origins: Vec<Origin>, others: Vec<Origin>| {
            for other in others {
                if !origins.iter().any(|origin| origin.is(&other)) {
                    origins.push(other);
                }
            }
            origins
        };
        match (self, other) {
            (What::Family(a), What::Family(b)) => What::Family(either(a, b)),
            (What::Device(a), What::Device(b)) => What::Device(either(a, b)),
            (What::Kind(a, of), What::Kind(b, others)) if a == b => What::Kind(a, either(of, others)),
            (What::Number(a, x), What::Number(b, y)) if a == b => What::Number(a, x.filter(|_| x == y)),
            (What::Text(a), What::Text(b)) => What::Text(a.filter(|a| Some(a) == b.as_ref())),
            (What::Array(a), What::Array(b)) => What::array(a.into_iter().chain(b).collect()),
            (What::Parameters, What::Parameters) => What::Parameters,
            (What::Map(a), What::Map(b)) if a.iter().map(|e| &e.0).eq(b.iter().map(|e| &e.0)) => {
                What::Map(a.into_iter().zip(b).map(|((key, a), (_, b))| (key, a.or(b))).collect())
            }
            _ => What::Unknown,
        }
    }

    /// What any of its entries is: of an array in a loop, of a family its device.
    pub fn entry(&self) -> What {
        match self {
            What::Family(origins) => What::Device(origins.clone()),
            What::Array(entries) => {
                let mut entries = entries.iter().cloned();
                let first = entries.next().unwrap_or(What::Unknown);
                entries.fold(first, What::or)
            }
            What::Kind(kind, _) if kind == "model function" => What::kind("vector"),
            What::Kind(kind, _) if kind == "range" => What::Number(Unit::none(), None),
            _ => What::Unknown,
        }
    }

    /// What is left of it behind `[…]`: a part, or an entry.
    pub fn indexed(&self, index: &What) -> What {
        let part = matches!(index, What::Kind(kind, _) if kind == "range");
        let many = matches!(index, What::Kind(kind, _) if kind == "array" || kind == "mask" || kind == "vector");
        let many = many || matches!(index, What::Array(_));
        match self {
            // a mask or a list of places makes a part of it, too
            What::Family(_) if part || many => self.clone(),
            What::Family(_) if matches!(index, What::Unknown) => What::Unknown,
            What::Kind(kind, _) if part && kind == "vector" => self.clone(),
            What::Array(_) if part => self.clone(),
            What::Map(entries) => match index {
                What::Text(Some(key)) => entry_of(entries, key),
                _ => What::Unknown,
            },
            _ => self.entry(),
        }
    }
}

/// The entry of a map by its key.
pub(crate) fn entry_of(entries: &[(String, What)], key: &str) -> What {
    entries.iter().find(|(name, _)| name == key).map_or(What::Unknown, |(_, what)| what.clone())
}
