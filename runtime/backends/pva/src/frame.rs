//! The frame of an update, made once for all who follow a channel.

use crate::values;
use epics_pva_rs::proto::{BitSet, ByteOrder, encode_size_into, encode_string_into};
use epics_pva_rs::pvdata::FieldDesc;
use epics_pva_rs::server_native::source::RawMonitorEvent;
use fodo_control::{Reading, Value};

/// What most clients speak; for others the library turns the frame round.
const ORDER: ByteOrder = ByteOrder::Little;

/// Which of the arrays in the union of an NTNDArray holds doubles.
const DOUBLES: u32 = 10;

/// Makes the frames of a channel.
pub struct Frames {
    form: Form,
    /// The fields that change.
    changing: BitSet,
    /// The same on the wire.
    prefix: Vec<u8>,
}

/// What a channel holds.
enum Form {
    Number,
    Row,
    /// Rows of pixels, as doubles in a union of arrays.
    Image,
    /// Columns of these names.
    Table(Vec<String>),
}

impl Frames {
    /// For a channel of this form, in which value, alarm and time stamp stand in this order.
    pub fn of(form: &FieldDesc) -> Frames {
        let mut frames = Frames { form: Form::Number, changing: BitSet::new(), prefix: Vec::new() };
        let FieldDesc::Structure { fields, .. } = form else { return frames };
        let mut bit = 1;
        for (name, desc) in fields {
            if ["value", "alarm", "timeStamp"].contains(&name.as_str()) {
                leaves(desc, bit, &mut frames.changing);
            }
            match desc {
                FieldDesc::ScalarArray(_) if name == "value" => frames.form = Form::Row,
                FieldDesc::Union { .. } if name == "value" => frames.form = Form::Image,
                FieldDesc::Structure { fields, .. } if name == "value" => {
                    frames.form = Form::Table(fields.iter().map(|(name, _)| name.clone()).collect());
                }
                _ => {}
            }
            bit += desc.total_bits();
        }
        frames.changing.write_into(ORDER, &mut frames.prefix);
        frames
    }

    /// The fields that change.
    pub fn changing(&self) -> &BitSet {
        &self.changing
    }

    /// An update; none if the reading is not of the channel's form.
    pub fn event(&self, reading: &Reading) -> Option<RawMonitorEvent> {
        let mut body = Vec::with_capacity(self.prefix.len() + 64 + 8 * reading.value.entries().len());
        body.extend_from_slice(&self.prefix);
        self.append_value(&mut body, &reading.value)?;
        let (severity, status, message) = values::alarm(reading);
        body.extend_from_slice(&severity.to_le_bytes());
        body.extend_from_slice(&status.to_le_bytes());
        encode_string_into(message, ORDER, &mut body);
        let (seconds, nanoseconds, tag) = values::time_stamp(reading);
        body.extend_from_slice(&seconds.to_le_bytes());
        body.extend_from_slice(&nanoseconds.to_le_bytes());
        body.extend_from_slice(&tag.to_le_bytes());
        // none was overrun
        BitSet::new().write_into(ORDER, &mut body);
        Some(RawMonitorEvent { body_bytes: body.into(), byte_order: ORDER, type_changed: false })
    }

    fn append_value(&self, body: &mut Vec<u8>, value: &Value) -> Option<()> {
        match (&self.form, value) {
            (Form::Number, value) => body.extend_from_slice(&value.number()?.to_le_bytes()),
            (Form::Row, Value::Vector(entries)) => append_row(body, entries),
            (Form::Image, Value::Image { pixels, .. }) => {
                encode_size_into(DOUBLES, ORDER, body);
                append_row(body, pixels);
            }
            (Form::Table(names), Value::Table(columns)) => {
                for name in names {
                    let (_, column) = columns.iter().find(|(known, _)| **known == **name)?;
                    append_row(body, column.entries());
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// Sets the bits of all leaves of a field, which has this bit.
fn leaves(desc: &FieldDesc, bit: usize, changing: &mut BitSet) {
    let FieldDesc::Structure { fields, .. } = desc else { return changing.set(bit) };
    let mut child = bit + 1;
    for (_, desc) in fields {
        leaves(desc, child, changing);
        child += desc.total_bits();
    }
}

fn append_row(body: &mut Vec<u8>, entries: &[f64]) {
    encode_size_into(entries.len() as u32, ORDER, body);
    entries.iter().for_each(|entry| body.extend_from_slice(&entry.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use epics_pva_rs::nt::nd_array::nt_nd_array_desc;
    use epics_pva_rs::nt::{NTScalar, NTTable};
    use epics_pva_rs::pvdata::encode::decode_pv_field_with_bitset;
    use epics_pva_rs::pvdata::{PvField, ScalarType};
    use fodo_control::{Time, Validity};
    use std::io::Cursor;

    /// What the library reads in a frame is what it would have been given as a structure.
    fn is_read(form: &FieldDesc, mut structure: PvField, reading: &Reading) {
        let event = Frames::of(form).event(reading).unwrap();
        let mut bytes = Cursor::new(&event.body_bytes[..]);
        let changed = BitSet::decode(&mut bytes, ORDER).unwrap();
        let field = decode_pv_field_with_bitset(form, &changed, 0, &mut bytes, ORDER).unwrap();
        assert!(BitSet::decode(&mut bytes, ORDER).unwrap().is_empty());
        assert_eq!(bytes.position(), event.body_bytes.len() as u64);
        values::fill(&mut structure, reading);
        let read = values::reading(&field, &[]);
        assert_eq!(read, values::reading(&structure, &[]));
        assert_eq!((&read.value, read.time), (&reading.value, reading.time));
    }

    #[test]
    fn frames_say_what_structures_say() {
        let whole = |form: NTScalar| {
            let form = form.with_form().with_control().with_value_alarm();
            (form.build(), form.create())
        };
        let (form, structure) = whole(NTScalar::new(ScalarType::Double));
        let time = Time(1_795_419_279_098_558_677);
        is_read(&form, structure.clone(), &Reading::good(Value::Number(-0.1), time));
        let why = "above the warning limit 0.2".repeat(20);
        let beyond =
            Reading { validity: Validity::Warning(why), shot: Some(7), ..Reading::good(Value::Number(0.3), time) };
        is_read(&form, structure, &beyond);
        let (form, structure) = whole(NTScalar::array(ScalarType::Double));
        let row: Vec<f64> = (0..300).map(f64::from).collect();
        is_read(&form, structure, &Reading::good(Value::Vector(row.into()), time));
        let table = NTTable::new();
        let table = ["x", "y"].iter().fold(table, |table, name| table.add_column(ScalarType::Double, *name, None));
        let columns = [("y".into(), Value::Vector([3.0, 4.0].into())), ("x".into(), Value::Vector([1.0, 2.0].into()))];
        let (form, reading) = (table.build(), Reading::good(Value::Table(columns.into()), time));
        let event = Frames::of(&form).event(&reading).unwrap();
        let mut bytes = Cursor::new(&event.body_bytes[..]);
        let changed = BitSet::decode(&mut bytes, ORDER).unwrap();
        let field = decode_pv_field_with_bitset(&form, &changed, 0, &mut bytes, ORDER).unwrap();
        let Value::Table(read) = values::reading(&field, &[]).value else { panic!("no table") };
        let column = |name: &str| read.iter().find(|(known, _)| &**known == name).map(|(_, column)| column.entries());
        assert_eq!([column("x"), column("y")], [Some(&[1.0, 2.0][..]), Some(&[3.0, 4.0][..])]);
    }

    #[test]
    fn frames_of_images_are_read() {
        let pixels: Vec<f64> = (0..48 * 32).map(f64::from).collect();
        let reading = Reading::good(Value::Image { width: 48, pixels: pixels.into() }, Time(1_795_419_279_098_558_677));
        is_read_image(&nt_nd_array_desc(), &values::image_of(48, 32), &reading);
    }

    /// What the library reads in a frame of an image, put into the structure that is there.
    fn is_read_image(form: &FieldDesc, structure: &PvField, reading: &Reading) {
        let event = Frames::of(form).event(reading).unwrap();
        let mut bytes = Cursor::new(&event.body_bytes[..]);
        let changed = BitSet::decode(&mut bytes, ORDER).unwrap();
        let field = decode_pv_field_with_bitset(form, &changed, 0, &mut bytes, ORDER).unwrap();
        assert!(BitSet::decode(&mut bytes, ORDER).unwrap().is_empty());
        assert_eq!(bytes.position(), event.body_bytes.len() as u64);
        let (PvField::Structure(new), PvField::Structure(mut whole)) = (field, structure.clone()) else { panic!() };
        for name in ["value", "alarm", "timeStamp"] {
            whole.set(name, new.get_field(name).unwrap().clone());
        }
        let read = values::reading(&PvField::Structure(whole), &[]);
        assert_eq!((&read.value, read.time), (&reading.value, reading.time));
    }

    #[test]
    fn another_form_makes_no_frame() {
        let frames = Frames::of(&NTScalar::array(ScalarType::Double).build());
        assert!(frames.event(&Reading::good(Value::Number(1.0), Time(1))).is_none());
    }
}
