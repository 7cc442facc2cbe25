//! MATLAB version 5 files, as far as lattices need them: numbers, text, cells and structs, compressed or not, of
//! either byte order. Sparse arrays, objects and function handles become null.
//!
//! The crate `matrw` 0.1.4 was tried first: it reads `dba.mat` and `ebs_hmba.mat` but stops with a parse error in the
//! big-endian `als_loco_2007.mat`.

use std::io::Read;

use serde_json::{Map, Value};

use crate::LatticeError;

/// All variables of a file by name. Matrices become lists of rows, vectors flat lists, 1x1 arrays their only entry,
/// cell arrays flat lists, arrays of structs lists of objects.
pub fn parse(bytes: &[u8]) -> Result<Map<String, Value>, LatticeError> {
    let big_endian = match bytes.get(126..128) {
        Some(b"IM") => false,
        Some(b"MI") => true,
        _ => {
            return Err(LatticeError::new("this is not a MATLAB version 5 file")
                .hint("version 4 and 7.3 files are not read: save it again with `save('name.mat', 'RING', '-v7')`"));
        }
    };
    let mut variables = Map::new();
    let mut reader = Reader { bytes: &bytes[128..], at: 0, big_endian };
    while let Some(tag) = reader.tag()? {
        let unpacked;
        let data = match tag.kind {
            COMPRESSED => {
                unpacked = inflate(tag.data)?;
                let mut inner = Reader { bytes: &unpacked, at: 0, big_endian };
                let Some(inner) = inner.tag()? else { continue };
                if inner.kind != MATRIX {
                    continue;
                }
                named_array(inner.data, big_endian)?
            }
            MATRIX => named_array(tag.data, big_endian)?,
            _ => continue,
        };
        variables.insert(data.0, data.1);
    }
    Ok(variables)
}

const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

fn broken() -> LatticeError {
    LatticeError::new("the MATLAB file ends in the middle of a value or contradicts itself")
}

fn inflate(data: &[u8]) -> Result<Vec<u8>, LatticeError> {
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(data).read_to_end(&mut out).map_err(|_| broken())?;
    Ok(out)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

/// One data element: its type number and its bytes.
struct Tag<'a> {
    kind: u32,
    data: &'a [u8],
}

impl<'a> Reader<'a> {
    fn word(&self, at: usize) -> Result<u32, LatticeError> {
        let four = self.bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).ok_or_else(broken)?;
        Ok(if self.big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    /// The next data element; `None` at the end.
    fn tag(&mut self) -> Result<Option<Tag<'a>>, LatticeError> {
        if self.at + 8 > self.bytes.len() {
            return Ok(None);
        }
        let first = self.word(self.at)?;
        let small = first >> 16;
        let (kind, start, length) = match small {
            0 => (first, self.at + 8, self.word(self.at + 4)? as usize),
            _ => (first & 0xffff, self.at + 4, small as usize),
        };
        let data = self.bytes.get(start..start + length).ok_or_else(broken)?;
        self.at = match (small, kind) {
            (0, COMPRESSED) => start + length,
            (0, _) => start + length.next_multiple_of(8),
            _ => self.at + 8,
        };
        Ok(Some(Tag { kind, data }))
    }

    fn expect(&mut self) -> Result<Tag<'a>, LatticeError> {
        self.tag()?.ok_or_else(broken)
    }

    fn numbers(&mut self) -> Result<Vec<f64>, LatticeError> {
        let tag = self.expect()?;
        numbers(&tag, self.big_endian)
    }
}

fn numbers(tag: &Tag, big_endian: bool) -> Result<Vec<f64>, LatticeError> {
    let order = |bytes: &[u8]| {
        let mut eight = [0; 8];
        for (to, from) in bytes.iter().enumerate() {
            eight[if big_endian { bytes.len() - 1 - to } else { to }] = *from;
        }
        u64::from_le_bytes(eight)
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_precision_loss)]
    let convert: (usize, fn(u64) -> f64) = match tag.kind {
        1 => (1, |bits| f64::from(bits as i8)),
        2 | 16 => (1, |bits| f64::from(bits as u8)),
        3 => (2, |bits| f64::from(bits as i16)),
        4 | 17 => (2, |bits| f64::from(bits as u16)),
        5 => (4, |bits| f64::from(bits as i32)),
        6 | 18 => (4, |bits| f64::from(bits as u32)),
        7 => (4, |bits| f64::from(f32::from_bits(bits as u32))),
        9 => (8, f64::from_bits),
        12 => (8, |bits| bits as i64 as f64),
        13 => (8, |bits| bits as f64),
        _ => return Err(broken()),
    };
    Ok(tag.data.chunks_exact(convert.0).map(|bytes| (convert.1)(order(bytes))).collect())
}

fn text(tag: &Tag) -> String {
    String::from_utf8_lossy(tag.data).trim_end_matches('\0').to_string()
}

fn named_array(data: &[u8], big_endian: bool) -> Result<(String, Value), LatticeError> {
    if data.is_empty() {
        return Ok((String::new(), Value::Array(vec![])));
    }
    let mut reader = Reader { bytes: data, at: 0, big_endian };
    let flags = reader.expect()?;
    let class = Reader { bytes: flags.data, at: 0, big_endian }.word(0)? & 0xff;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let shape: Vec<usize> = reader.numbers()?.into_iter().map(|size| size as usize).collect();
    let name = text(&reader.expect()?);
    let count = shape.iter().product();
    let value = match class {
        1 => cell_array(&mut reader, count)?,
        2 => struct_array(&mut reader, count)?,
        4 => characters(&mut reader)?,
        6..=15 => numeric_array(&reader.numbers()?, &shape),
        _ => Value::Null,
    };
    Ok((name, value))
}

fn next_array(reader: &mut Reader) -> Result<Value, LatticeError> {
    let tag = reader.expect()?;
    named_array(tag.data, reader.big_endian).map(|(_, value)| value)
}

fn cell_array(reader: &mut Reader, count: usize) -> Result<Value, LatticeError> {
    (0..count).map(|_| next_array(reader)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn struct_array(reader: &mut Reader, count: usize) -> Result<Value, LatticeError> {
    let width = reader.numbers()?.first().copied().unwrap_or(32.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let width = (width as usize).max(1);
    let names = reader.expect()?.data;
    let names: Vec<String> = names.chunks(width).map(|name| text(&Tag { kind: 1, data: cut(name) })).collect();
    let one = |reader: &mut Reader| -> Result<Value, LatticeError> {
        let fields = names.iter().map(|name| Ok((name.clone(), next_array(reader)?)));
        fields.collect::<Result<Map<_, _>, _>>().map(Value::Object)
    };
    let mut all = (0..count).map(|_| one(reader)).collect::<Result<Vec<_>, _>>()?;
    Ok(if all.len() == 1 { all.remove(0) } else { Value::Array(all) })
}

/// The bytes before the first zero.
fn cut(name: &[u8]) -> &[u8] {
    name.split(|&byte| byte == 0).next().unwrap_or(name)
}

fn characters(reader: &mut Reader) -> Result<Value, LatticeError> {
    let tag = reader.expect()?;
    if matches!(tag.kind, 16) {
        return Ok(Value::String(text(&tag)));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let codes = numbers(&tag, reader.big_endian)?.into_iter().map(|code| char::from_u32(code as u32).unwrap_or('?'));
    Ok(Value::String(codes.collect()))
}

fn numeric_array(entries: &[f64], shape: &[usize]) -> Value {
    match *shape {
        [1, 1] if entries.len() == 1 => number(entries[0]),
        [rows, columns] if rows > 1 && columns > 1 && entries.len() == rows * columns => {
            let row = |row| Value::Array((0..columns).map(|column| number(entries[row + column * rows])).collect());
            Value::Array((0..rows).map(row).collect())
        }
        _ => Value::Array(entries.iter().map(|&entry| number(entry)).collect()),
    }
}

/// A number; the three that JSON does not have become text.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}
