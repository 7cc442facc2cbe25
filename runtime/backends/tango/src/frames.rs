//! What the program and its TANGO process say to each other, over a pair of sockets.

use crate::ffi::Held;
use fodo_control::{Alarms, ChannelInfo, Shape};
use serde_json::{Value, json};
use std::io::{Error, ErrorKind, Read, Result};

/// The longest frame: a guard against reading something else.
const LONGEST: usize = 1 << 28;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// To the process: what to serve and where, as text.
    Hello(String),
    /// To the process: what a channel holds from now on.
    Post(u32, Held),
    /// To the process: how a write ended; an empty text is well.
    Answer(u64, String),
    /// From the process: it serves.
    Ready,
    /// From the process: it cannot, and why.
    Failed(String),
    /// From the process: a client wants to write a number or a row.
    Put(u64, u32, Vec<f64>),
}

impl Frame {
    /// Appends the frame to what is to be sent.
    pub fn append(&self, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend([0; 4]);
        match self {
            Frame::Hello(text) => tagged(to, b'H', text.as_bytes()),
            Frame::Post(place, held) => {
                tagged(to, b'P', &place.to_le_bytes());
                to.extend(held.quality.to_le_bytes());
                to.extend(held.time.to_le_bytes());
                held.numbers.iter().for_each(|number| to.extend(number.to_le_bytes()));
            }
            Frame::Answer(id, text) => {
                tagged(to, b'A', &id.to_le_bytes());
                to.extend(text.as_bytes());
            }
            Frame::Ready => to.push(b'R'),
            Frame::Failed(text) => tagged(to, b'F', text.as_bytes()),
            Frame::Put(id, place, values) => {
                tagged(to, b'W', &id.to_le_bytes());
                to.extend(place.to_le_bytes());
                values.iter().for_each(|value| to.extend(value.to_le_bytes()));
            }
        }
        let length = (to.len() - start - 4) as u32;
        to[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Reads the next frame; an error of the kind `UnexpectedEof` is the end of the other side.
    pub fn read(from: &mut impl Read) -> Result<Frame> {
        let length = u32::from_le_bytes(bytes(from)?) as usize;
        if length == 0 || length > LONGEST {
            return Err(strange());
        }
        let mut frame = vec![0; length];
        from.read_exact(&mut frame)?;
        let (tag, mut rest) = (frame[0], &frame[1..]);
        Ok(match tag {
            b'H' => Frame::Hello(text(rest)),
            b'P' => {
                let place = u32::from_le_bytes(bytes(&mut rest)?);
                let quality = i32::from_le_bytes(bytes(&mut rest)?);
                let time = i64::from_le_bytes(bytes(&mut rest)?);
                let numbers = rest.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
                Frame::Post(place, Held { numbers, quality, time })
            }
            b'A' => Frame::Answer(u64::from_le_bytes(bytes(&mut rest)?), text(rest)),
            b'R' => Frame::Ready,
            b'F' => Frame::Failed(text(rest)),
            b'W' => Frame::Put(
                u64::from_le_bytes(bytes(&mut rest)?),
                u32::from_le_bytes(bytes(&mut rest)?),
                rest.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
            ),
            _ => return Err(strange()),
        })
    }
}

fn tagged(to: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    to.push(tag);
    to.extend(bytes);
}

fn bytes<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn strange() -> Error {
    Error::new(ErrorKind::InvalidData, "a frame of another protocol")
}

/// What to serve, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The channels.
    pub channels: Vec<ChannelInfo>,
    /// Where, as libtango takes it.
    pub endpoint: String,
    /// The instance of the server in the database of `TANGO_HOST`; empty without database.
    pub instance: String,
}

/// What to serve, as text.
pub fn hello(channels: &[ChannelInfo], endpoint: &str, instance: &str) -> String {
    let range = |range: Option<(f64, f64)>| range.map(|(low, high)| json!([low, high]));
    let one = |info: &ChannelInfo| {
        let (length, height) = match info.shape {
            // the outlet takes no tables
            Shape::Scalar | Shape::Table(..) => (None, None),
            Shape::Vector(length) => (Some(length), None),
            Shape::Image(width, height) => (Some(width), Some(height)),
        };
        json!({
            "channel": info.channel.as_ref(), "length": length, "height": height, "unit": info.unit,
            "description": info.description, "precision": info.precision,
            "writable": info.writable, "limits": range(info.limits), "warning": range(info.alarms.warning),
            "alarm": range(info.alarms.alarm),
        })
    };
    let channels: Vec<Value> = channels.iter().map(one).collect();
    json!({ "endpoint": endpoint, "instance": instance, "channels": channels }).to_string()
}

/// What to serve and where, from the text of [`hello`].
pub fn heard(text: &str) -> Option<Asked> {
    let said: Value = serde_json::from_str(text).ok()?;
    let range = |range: &Value| Some((range[0].as_f64()?, range[1].as_f64()?));
    let one = |said: &Value| {
        let size = |key: &str| said[key].as_u64().map(|size| size as usize);
        Some(ChannelInfo {
            channel: said["channel"].as_str()?.into(),
            shape: match (size("length"), size("height")) {
                (None, _) => Shape::Scalar,
                (Some(length), None) => Shape::Vector(length),
                (Some(width), Some(height)) => Shape::Image(width, height),
            },
            description: said["description"].as_str()?.into(),
            unit: said["unit"].as_str()?.into(),
            precision: said["precision"].as_i64()? as i16,
            limits: range(&said["limits"]),
            writable: said["writable"].as_bool()?,
            alarms: Alarms { warning: range(&said["warning"]), alarm: range(&said["alarm"]) },
        })
    };
    let channels = said["channels"].as_array()?.iter().map(one).collect::<Option<_>>()?;
    Some(Asked { channels, endpoint: said["endpoint"].as_str()?.into(), instance: said["instance"].as_str()?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were() {
        let held = Held { numbers: vec![1.5, f64::INFINITY, -0.0], quality: 2, time: -7 };
        let frames = [
            Frame::Hello("{}".into()),
            Frame::Post(3, held),
            Frame::Answer(9, "no".into()),
            Frame::Ready,
            Frame::Failed("why".into()),
            Frame::Put(u64::MAX, 4, vec![0.1, 0.2]),
        ];
        let mut sent = Vec::new();
        frames.iter().for_each(|frame| frame.append(&mut sent));
        let mut left = sent.as_slice();
        for frame in &frames {
            assert_eq!(Frame::read(&mut left).ok().as_ref(), Some(frame));
        }
        assert!(Frame::read(&mut left).is_err_and(|end| end.kind() == ErrorKind::UnexpectedEof));
        assert!(Frame::read(&mut [4u8, 0, 0, 0, b'?', 0, 0, 0].as_slice()).is_err());
    }

    #[test]
    fn what_to_serve_comes_back_as_it_was() {
        let info = ChannelInfo {
            channel: "A:B".into(),
            shape: Shape::Image(64, 48),
            description: "an image".into(),
            unit: "mm".into(),
            precision: 4,
            limits: Some((-0.1, 1e-3)),
            writable: true,
            alarms: Alarms { warning: None, alarm: Some((-1.0, 1.0)) },
        };
        let text = hello(std::slice::from_ref(&info), "giop:tcp:127.0.0.1:1", "ring");
        let asked = Asked { channels: vec![info], endpoint: "giop:tcp:127.0.0.1:1".into(), instance: "ring".into() };
        assert_eq!(heard(&text), Some(asked));
    }
}
