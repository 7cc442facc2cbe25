//! The appliance's protobuf lines: chunks divided by an empty line, each a line that says what follows and one line
//! for each sample; the bytes that would end a line are escaped.

use fodo_control::{Reading, Samples, Time, Validity, Value};
use std::borrow::Cow;
use std::sync::Arc;

const ESCAPE: u8 = 0x1b;

/// A field of a protobuf message.
enum Item<'b> {
    Varint(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(&'b [u8]),
}

/// Takes a message apart: number and content of each field.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Item<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let item = match key & 7 {
            0 => Item::Varint(varint(&mut bytes)?),
            1 => Item::Eight(take(&mut bytes, 8)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Item::Bytes(take(&mut bytes, length)?)
            }
            5 => Item::Four(take(&mut bytes, 4)?.try_into().ok()?),
            _ => return None,
        };
        found.push((key >> 3, item));
    }
    Some(found)
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A signed number as `sint32` has it.
fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// What one number of a sample is stored as.
#[derive(Clone, Copy)]
enum Stored {
    Text,
    /// `sint32`: short and enumeration.
    Signed,
    Float,
    Bytes,
    /// `sfixed32`.
    Int,
    Double,
}

/// What the samples of a chunk are.
struct Payload {
    stored: Stored,
    array: bool,
    year: Time,
    unit: String,
}

impl Payload {
    fn read(line: &[u8]) -> Option<Payload> {
        let (mut kind, mut year, mut unit) = (None, None, String::new());
        for (number, item) in fields(line)? {
            match (number, item) {
                (1, Item::Varint(value)) => kind = Some(value),
                (3, Item::Varint(value)) => year = i64::try_from(value).ok(),
                (15, Item::Bytes(bytes)) => {
                    if let Some(("EGU", value)) = pair(bytes) {
                        unit = value.to_string();
                    }
                }
                _ => {}
            }
        }
        use Stored::*;
        let kind = kind?;
        // types count scalars from 0, waveforms from 7; what is behind them is of PV Access and has no numbers
        let stored = *[Text, Signed, Float, Signed, Bytes, Int, Double].get(usize::try_from(kind % 7).ok()?)?;
        (kind < 14).then_some(Payload { stored, array: kind >= 7, year: Time::year(year?), unit })
    }

    fn sample(&self, line: &[u8]) -> Option<Reading> {
        let (mut second, mut nano, mut severity, mut status) = (None, None, 0, 0);
        let (mut numbers, mut texts): (Vec<f64>, Vec<Arc<str>>) = (Vec::new(), Vec::new());
        for (number, item) in fields(line)? {
            match (number, item) {
                (1, Item::Varint(value)) => second = i64::try_from(value).ok(),
                (2, Item::Varint(value)) => nano = i64::try_from(value).ok(),
                (3, item) => self.value(item, &mut numbers, &mut texts)?,
                (4, Item::Varint(value)) => severity = value as i64,
                (5, Item::Varint(value)) => status = value as i64,
                _ => {}
            }
        }
        let value = match (self.stored, self.array) {
            (Stored::Text, true) => Value::Texts(texts.into()),
            (Stored::Text, false) => Value::Text(texts.pop()?),
            (_, true) => Value::Vector(numbers.into()),
            (_, false) => Value::Number(numbers.pop()?),
        };
        let since = second?.checked_mul(1_000_000_000)?.checked_add(nano?)?;
        let time = Time(self.year.0.checked_add(since)?);
        Some(Reading { value, time, validity: validity(severity, status), shot: None })
    }

    /// A value, one or packed, added to those before.
    fn value(&self, item: Item, numbers: &mut Vec<f64>, texts: &mut Vec<Arc<str>>) -> Option<()> {
        match (self.stored, item) {
            (Stored::Text, Item::Bytes(bytes)) => texts.push(String::from_utf8_lossy(bytes).as_ref().into()),
            (Stored::Bytes, Item::Bytes(bytes)) => numbers.extend(bytes.iter().map(|&byte| f64::from(byte as i8))),
            (Stored::Signed, Item::Varint(value)) => numbers.push(zigzag(value) as f64),
            (Stored::Signed, Item::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    numbers.push(zigzag(varint(&mut packed)?) as f64);
                }
            }
            (Stored::Float, Item::Four(bytes)) => numbers.push(f64::from(f32::from_le_bytes(bytes))),
            (Stored::Float, Item::Bytes(packed)) => {
                let (four, []) = packed.as_chunks::<4>() else { return None };
                numbers.extend(four.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))));
            }
            (Stored::Int, Item::Four(bytes)) => numbers.push(f64::from(i32::from_le_bytes(bytes))),
            (Stored::Int, Item::Bytes(packed)) => {
                let (four, []) = packed.as_chunks::<4>() else { return None };
                numbers.extend(four.iter().map(|&bytes| f64::from(i32::from_le_bytes(bytes))));
            }
            (Stored::Double, Item::Eight(bytes)) => numbers.push(f64::from_le_bytes(bytes)),
            (Stored::Double, Item::Bytes(packed)) => {
                let (eight, []) = packed.as_chunks::<8>() else { return None };
                numbers.extend(eight.iter().map(|&bytes| f64::from_le_bytes(bytes)));
            }
            _ => return None,
        }
        Some(())
    }
}

fn pair(bytes: &[u8]) -> Option<(&str, &str)> {
    let (mut name, mut value) = ("", "");
    for (number, item) in fields(bytes)? {
        if let Item::Bytes(bytes) = item {
            let text = std::str::from_utf8(bytes).ok()?;
            if number == 1 { name = text } else { value = text }
        }
    }
    Some((name, value))
}

/// How far a value of an EPICS severity may be used.
pub fn validity(severity: i64, status: i64) -> Validity {
    let why = |word: &str| format!("the archive says {word}, status {status}");
    match severity {
        0 => Validity::Good,
        1 => Validity::Warning(why("MINOR")),
        2 => Validity::Alarm(why("MAJOR")),
        3 => Validity::Invalid(why("INVALID")),
        other => Validity::Invalid(why(&format!("severity {other}"))),
    }
}

/// A line as it was before it was escaped.
fn unescaped(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !line.contains(&ESCAPE) {
        return Some(Cow::Borrowed(line));
    }
    let mut plain = Vec::with_capacity(line.len());
    let mut bytes = line.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            ESCAPE => match bytes.next()? {
                1 => ESCAPE,
                2 => b'\n',
                3 => b'\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(Cow::Owned(plain))
}

/// Reads an answer.
///
/// # Errors
/// The line, counted from 1, that is not as it should be.
pub fn read(bytes: &[u8]) -> Result<Samples, usize> {
    let mut samples = Samples::default();
    let mut payload: Option<Payload> = None;
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() {
            payload = None;
            continue;
        }
        let wrong = || number + 1;
        let line = unescaped(line).ok_or_else(wrong)?;
        match &payload {
            None => {
                let read = Payload::read(&line).ok_or_else(wrong)?;
                samples.unit.clone_from(&read.unit);
                payload = Some(read);
            }
            Some(payload) => samples.readings.push(payload.sample(&line).ok_or_else(wrong)?),
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn signed_numbers_and_escapes() {
        assert_eq!([0, 1, 2, 3, u64::from(u32::MAX)].map(zigzag), [0, -1, 1, -2, -2_147_483_648]);
        let plain = unescaped(&[1, ESCAPE, 1, ESCAPE, 2, ESCAPE, 3]).unwrap();
        assert_eq!(plain.as_ref(), [1, ESCAPE, b'\n', b'\r']);
        assert!(unescaped(&[ESCAPE]).is_none() && unescaped(&[ESCAPE, 4]).is_none());
    }

    #[test]
    fn what_is_cut_off_is_an_error_with_its_line() {
        // type double, channel "A", year 2026; then second 1, nano 2, value 1.5
        let head = [0x08, 6, 0x12, 1, b'A', 0x18, 0xea, 0x0f, b'\n'];
        let mut sample = vec![0x08, 1, 0x10, 2, 0x19];
        sample.extend(1.5_f64.to_le_bytes());
        let whole = [head.as_slice(), &sample].concat();
        let read_back = read(&whole).unwrap();
        assert_eq!(read_back.readings[0].time, Time(Time::year(2026).0 + 1_000_000_002));
        assert_eq!(read_back.readings[0].value, Value::Number(1.5));
        for end in head.len() + 1..whole.len() {
            assert_eq!(read(&whole[..end]).unwrap_err(), 2, "{end}");
        }
    }
}
