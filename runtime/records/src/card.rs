//! What a run was, and how it ended.

use fodo_control::{Channel, Time};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a run is: written at its start, never changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunCard {
    /// Unique, sortable, readable: `2026-11-23T07-12-09_correct_orbit_3f2a`. Given by
    /// [`Record::create`](crate::Record::create).
    pub id: String,
    /// What runs: the name of a procedure, a script or `prompt`.
    pub procedure: String,
    /// File of the script, as the user knows it.
    pub script_path: String,
    /// Its whole text.
    pub script_text: String,
    /// SHA-256 of that text, hexadecimal.
    pub script_sha256: String,
    /// Parameters of the run, by name.
    pub parameters: Value,
    /// Name of the facility.
    pub facility: String,
    /// SHA-256 over the facility folder, hexadecimal.
    pub facility_sha256: String,
    /// Machine: `twin`, `live`, `replay:…`.
    pub machine: String,
    /// Families that something else answers for: `TUNE` is `manual`, say.
    pub sources: BTreeMap<String, String>,
    /// The libraries of other laboratories that the session had.
    pub libraries: Vec<LibraryNote>,
    /// Optics mode of the facility.
    pub optics: String,
    /// Whether the run may write: `read-only`, `rehearse`, `write`.
    pub rights: String,
    /// Seed of all random numbers, if there are any.
    pub seed: Option<u64>,
    /// Who started it.
    pub operator: String,
    /// Version of Fodo.
    pub version: String,
    /// Start, on the wall clock (readings and commands carry the machine's clock).
    pub start: Time,
}

/// A library as it was pinned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LibraryNote {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The git revision; none of a plain folder.
    pub revision: Option<String>,
    /// SHA-256 of its content, hexadecimal, as in the facility's lock.
    pub content_sha256: String,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Whether it did what it was started for.
    pub ok: bool,
    /// What the procedure returned, or null.
    pub result: Value,
    /// The diagnostic as `--json` prints it, or null.
    pub error: Value,
    /// Setpoints of the families the run may change, before it.
    pub before: Vec<SetpointValue>,
    /// The same, after it.
    pub after: Vec<SetpointValue>,
    /// How long it took on the wall clock.
    #[serde(deserialize_with = "or_nan")]
    pub seconds: f64,
}

impl Outcome {
    /// The run's process died before it could say how the run ended.
    pub(crate) fn interrupted() -> Outcome {
        let error = serde_json::json!({ "kind": "stopped", "message": "the process ended before the run did" });
        Outcome { error, seconds: f64::NAN, ..Outcome::default() }
    }
}

/// A setpoint and where it stands, in its hardware unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetpointValue {
    /// As people know it: `HCOR["C03-2"].kick`.
    pub name: String,
    /// Its channel.
    pub channel: Channel,
    /// Hardware value.
    #[serde(deserialize_with = "or_nan")]
    pub value: f64,
    /// Hardware unit.
    pub unit: String,
}

/// What is known of a channel beforehand; becomes attributes of its readings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelNote {
    /// The channel.
    pub channel: Channel,
    /// Unit of its numbers.
    pub unit: String,
    /// As people know it: `BPM["C03-2"].x`.
    pub name: String,
}

/// JSON has no NaN and writes null.
fn or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}
