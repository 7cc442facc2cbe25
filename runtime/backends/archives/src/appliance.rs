//! The EPICS Archiver Appliance.

use crate::http::{Server, escaped};
use crate::lines::{self, validity};
use fodo_control::{Archive, Cancel, Channel, Reading, Samples, Time, Value};
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::Value as Json;

/// How samples are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Protobuf lines (`getData.raw`): every bit of a number, and the smaller answer.
    #[default]
    Raw,
    /// JSON (`getData.json`).
    Json,
}

/// An appliance, by the address of its retrieval: `http://archiver:17668/retrieval`.
pub struct Appliance {
    url: String,
    server: Server,
    format: Format,
}

impl Appliance {
    /// An appliance; it is asked when something is wanted.
    ///
    /// # Errors
    /// Kind `facility`: not an address with `http://`.
    pub fn new(url: &str, format: Format) -> Result<Appliance> {
        Ok(Appliance { url: url.to_string(), server: Server::parse(url)?, format })
    }

    fn unreadable(&self, channel: &Channel, what: impl std::fmt::Display) -> Box<Diagnostic> {
        let message = format!("the answer of the {} for {channel} cannot be read: {what}", self.name());
        Diagnostic::new(Kind::Machine, message).hint("is it the address of an appliance's retrieval?").into()
    }
}

impl Archive for Appliance {
    fn name(&self) -> String {
        format!("Archiver Appliance at {}", self.url)
    }

    fn samples(&self, channel: &Channel, from: Time, to: Time, cancel: &Cancel) -> Result<Option<Samples>> {
        let page = match self.format {
            Format::Raw => "getData.raw",
            Format::Json => "getData.json",
        };
        let moment = |time: Time| escaped(&format!("{}Z", time.utc().replace(' ', "T")));
        let query = format!("data/{page}?pv={}&from={}&to={}", escaped(channel), moment(from), moment(to));
        let answer = self.server.get(&query, cancel)?;
        match answer.status {
            200 => {}
            404 => return Ok(None),
            other => return Err(self.unreadable(channel, format!("HTTP status {other}"))),
        }
        let samples = match self.format {
            Format::Raw if answer.body.is_empty() => None,
            Format::Raw => {
                let read = lines::read(&answer.body);
                Some(read.map_err(|line| self.unreadable(channel, format!("line {line} is not as documented")))?)
            }
            Format::Json => json(&answer.body).map_err(|what| self.unreadable(channel, what))?,
        };
        Ok(samples.map(|samples| tidy(samples, from, to)))
    }
}

/// In the order of time, one sample before `from` and none after `to`.
fn tidy(mut samples: Samples, from: Time, to: Time) -> Samples {
    let readings = &mut samples.readings;
    readings.sort_by_key(|reading| reading.time);
    readings.retain(|reading| reading.time <= to);
    let first = readings.iter().rposition(|reading| reading.time <= from).unwrap_or(0);
    readings.drain(..first);
    samples
}

fn json(body: &[u8]) -> Result<Option<Samples>, String> {
    let answer: Json = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let chunks = answer.as_array().ok_or("it is no list")?;
    if chunks.is_empty() {
        return Ok(None);
    }
    let mut samples = Samples::default();
    for chunk in chunks {
        if let Some(unit) = chunk["meta"]["EGU"].as_str() {
            samples.unit = unit.to_string();
        }
        let data = chunk["data"].as_array().ok_or("it has no `data`")?;
        for (place, sample) in data.iter().enumerate() {
            let reading = reading(sample).ok_or_else(|| format!("sample {place} is not as documented"))?;
            samples.readings.push(reading);
        }
    }
    Ok(Some(samples))
}

fn reading(sample: &Json) -> Option<Reading> {
    let time = sample["secs"].as_i64()?.checked_mul(1_000_000_000)?.checked_add(sample["nanos"].as_i64()?)?;
    let value = match &sample["val"] {
        Json::Number(number) => Value::Number(number.as_f64()?),
        Json::String(text) => match text.as_str() {
            "NaN" | "Infinity" | "-Infinity" => Value::Number(text.parse().ok()?),
            text => Value::from(text),
        },
        Json::Array(entries) if entries.iter().all(Json::is_string) && !entries.is_empty() => {
            Value::Texts(entries.iter().filter_map(Json::as_str).map(Into::into).collect())
        }
        Json::Array(entries) => Value::Vector(entries.iter().map(Json::as_f64).collect::<Option<_>>()?),
        _ => return None,
    };
    let number = |key: &str| sample[key].as_i64().unwrap_or_default();
    Some(Reading { value, time: Time(time), validity: validity(number("severity"), number("status")), shot: None })
}
