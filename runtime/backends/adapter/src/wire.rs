//! The lines of the protocol.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The version of the protocol that is spoken here.
pub const VERSION: u64 = 1;

/// A number of a value: JSON has no words for NaN and the infinities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => to.serialize_f64(number),
            number if number.is_nan() => to.serialize_str("nan"),
            number => to.serialize_str(if number > 0.0 { "inf" } else { "-inf" }),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Number, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, \"nan\", \"inf\" or \"-inf\"")
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                match text {
                    "nan" => Ok(Number(f64::NAN)),
                    "inf" => Ok(Number(f64::INFINITY)),
                    "-inf" => Ok(Number(f64::NEG_INFINITY)),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
        }
        from.deserialize_any(Words)
    }
}

/// Nanoseconds since 1970; as a text where the adapter's language has no 64-bit whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stamp(pub i64);

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Stamp, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(stamp) => Ok(Stamp(stamp)),
            Either::Text(text) => text.parse().map(Stamp).map_err(|_| D::Error::custom(format!("`{text}` is no time"))),
        }
    }
}

/// A value with its form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Number(Number),
    Vector(Vec<Number>),
    Text(String),
    Texts(Vec<String>),
    Choice { index: u32, label: String },
    Image { width: usize, pixels: Vec<Number> },
    Table(Vec<(String, Form)>),
}

/// What an adapter says about a channel.
#[derive(Clone, Debug, Deserialize)]
pub struct Meta {
    pub form: fodo_control::Form,
    #[serde(default)]
    pub unit: String,
    #[serde(default)]
    pub limits: Option<(f64, f64)>,
    pub length: Option<usize>,
    #[serde(default)]
    pub choices: Vec<String>,
    pub writable: Option<bool>,
}

/// Why something was not done.
#[derive(Clone, Debug, Deserialize)]
pub struct Problem {
    pub code: String,
    #[serde(default)]
    pub text: String,
    pub number: Option<i64>,
}

/// One answer, or one update: whatever of it is there.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Answer {
    pub of: Option<u64>,
    pub value: Option<Form>,
    pub time: Option<Stamp>,
    pub validity: Option<String>,
    pub why: Option<String>,
    pub shot: Option<u64>,
    pub meta: Option<Meta>,
    pub error: Option<Problem>,
    #[serde(default)]
    pub ended: bool,
}

/// A line from the adapter.
#[derive(Debug, Default, Deserialize)]
pub struct Line {
    pub id: Option<u64>,
    pub answers: Option<Vec<Answer>>,
    #[serde(default)]
    pub from: usize,
    #[serde(default)]
    pub more: bool,
    pub error: Option<Problem>,
    pub event: Option<String>,
    pub number: Option<u64>,
    pub updates: Option<Vec<Answer>>,
    // the answer to `hello`
    pub version: Option<u64>,
    pub name: Option<String>,
    pub capabilities: Option<Vec<String>>,
    pub test: Option<Box<TestChannels>>,
    // the answer to `names`
    pub names: Option<Vec<String>>,
}

/// A line to the adapter.
#[derive(Default, Serialize)]
pub struct Ask<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    pub r#do: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<[u64; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<Vec<Put<'a>>>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<&'a str>,
}

/// One write of a request.
#[derive(Serialize)]
pub struct Put<'a> {
    pub name: &'a str,
    pub value: Form,
}

/// Channels on which `fodo adapter check` may try everything; what is missing is skipped.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TestChannels {
    /// A number that may be written anywhere within `range`.
    pub number: Option<String>,
    /// Where `number` and `many` may go.
    pub range: Option<(f64, f64)>,
    /// The unit of `number`.
    pub unit: Option<String>,
    /// Numbers that may be written anywhere within `range`.
    pub many: Vec<String>,
    /// Something that cannot be written.
    pub read_only: Option<String>,
    /// A number that is refused.
    pub refused: Option<Marked>,
    /// A number whose writing takes a known time.
    pub slow: Option<Slow>,
    /// A row of numbers that may be written.
    pub vector: Option<String>,
    /// A text that may be written.
    pub text: Option<String>,
    /// A row of texts.
    pub texts: Option<String>,
    /// A state that may be written.
    pub choice: Option<States>,
    /// Numbers in rows and columns.
    pub image: Option<String>,
    /// Named columns.
    pub table: Option<String>,
    /// Something that takes a new value at least once a second.
    pub ticking: Option<String>,
    /// Something whose value must not be used.
    pub invalid: Option<String>,
    /// The beginning of names that nobody has.
    pub absent: Option<String>,
}

/// A channel with a number.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marked {
    /// The channel.
    pub name: String,
    /// The number that it refuses.
    pub value: f64,
}

/// A channel that takes its time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// The channel.
    pub name: String,
    /// How long writing takes [s].
    pub seconds: f64,
}

/// A channel with states.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct States {
    /// The channel.
    pub name: String,
    /// Their names, in order.
    pub labels: Vec<String>,
}
