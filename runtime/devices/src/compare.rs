//! Whether a control system is what a facility's tables say it is.

use crate::{Facility, Field, Place, Quantities};
use fodo_control::{Channel, Fault, Form, Metadata, Reading, Setpoint, Validity, Value};
use fodo_units::{Quantity, Unit};
use std::collections::HashMap;
use std::sync::Arc;

/// What is looked at of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Whether it is there.
    Connection,
    /// Whether it holds what the tables need: one number, or a row that is long enough.
    Type,
    /// Whether its unit is the facility's.
    Unit,
    /// Whether the facility's limits are within the server's.
    Limits,
    /// Whether a setpoint may be written.
    Writing,
    /// Whether what it holds now can be used.
    State,
}

impl Subject {
    /// All of them, in the order of a table.
    pub const ALL: [Subject; 6] =
        [Subject::Connection, Subject::Type, Subject::Unit, Subject::Limits, Subject::Writing, Subject::State];

    /// Its word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Subject::Connection => "connection",
            Subject::Type => "type",
            Subject::Unit => "unit",
            Subject::Limits => "limits",
            Subject::Writing => "writing",
            Subject::State => "state",
        }
    }
}

/// Something about a channel that is not as the tables say.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was looked at.
    pub subject: Subject,
    /// Whether it has to be mended; else it is only worth knowing.
    pub wrong: bool,
    /// What was found, with numbers and units.
    pub text: String,
}

/// One use of a channel by a field of a device.
#[derive(Clone, Debug)]
struct Use {
    name: Arc<str>,
    place: Place,
    hardware: Unit,
    setpoint: Option<Arc<Setpoint>>,
    /// Asks for the whole row.
    row: bool,
    /// There is nothing before something was fired.
    fired: bool,
}

/// A channel with everything that the tables of one family want of it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The family.
    pub family: Arc<str>,
    /// The channel.
    pub channel: Channel,
    uses: Vec<Use>,
}

/// All channels of a facility, in the order of its families.
pub fn wanted(facility: &Facility) -> Vec<Wanted> {
    let mut found: Vec<Wanted> = Vec::new();
    let mut places: HashMap<(Arc<str>, Channel), usize> = HashMap::new();
    for family in &facility.families {
        for device in &family.devices {
            for field in &device.fields {
                let name: Arc<str> = format!("{}.{}", device.shown(), field.name).into();
                for (channel, usage) in uses(&name, field) {
                    let place = *places.entry((family.name.clone(), channel.clone())).or_insert_with(|| {
                        found.push(Wanted { family: family.name.clone(), channel, uses: Vec::new() });
                        found.len() - 1
                    });
                    found[place].uses.push(usage);
                }
            }
        }
    }
    let names = facility.watchers.iter().map(|one| (&one.channel, format!("watcher `{}`", one.name)));
    let feedbacks = facility.feedbacks.iter().map(|one| (&one.channel, format!("feedback `{}`", one.name)));
    for (channel, name) in names.chain(feedbacks) {
        if facility.signals().any(|(signal, _)| signal == channel) {
            let usage = Use {
                name: name.into(),
                place: Place::default(),
                hardware: Unit::none(),
                setpoint: None,
                row: false,
                fired: false,
            };
            found.push(Wanted { family: "signals".into(), channel: channel.clone(), uses: vec![usage] });
        }
    }
    found
}

fn uses(name: &Arc<str>, field: &Field) -> Vec<(Channel, Use)> {
    let row = field.is_row();
    let fired = field.model.is_some_and(Quantities::is_fired);
    let hardware = || field.hardware.clone();
    let usage = |place, setpoint| Use { name: name.clone(), place, hardware: hardware(), setpoint, row, fired };
    let set = field.setpoint.iter().map(|s| (s.channel.clone(), usage(Place::default(), Some(s.clone()))));
    let read = field.source.iter().map(|s| (s.channel.clone(), usage(s.place.clone(), None)));
    set.chain(read).collect()
}

impl Wanted {
    /// Who uses it, as scripts write it: the one field, or the first of how many.
    pub fn users(&self) -> String {
        let mut names: Vec<&str> = self.uses.iter().map(|u| u.name.as_ref()).collect();
        names.dedup();
        match names.as_slice() {
            [] => String::new(),
            [one] => (*one).to_string(),
            [first, .., last] => format!("{first} … {last} ({})", names.len()),
        }
    }

    /// Compares with what the control system says of the channel, and with what it holds now.
    pub fn compare(
        &self,
        metadata: &Result<Metadata, Fault>,
        reading: Option<&Result<Reading, Fault>>,
    ) -> Vec<Finding> {
        let mut found = Findings::default();
        match metadata {
            Err(fault) => found.wrong(Subject::Connection, fault.reason.clone()),
            Ok(metadata) => {
                self.form(metadata, &mut found);
                let alike = self.unit(metadata, &mut found);
                for usage in &self.uses {
                    if let Some(setpoint) = &usage.setpoint {
                        if alike {
                            limits(setpoint, metadata, &mut found);
                        }
                        if !metadata.writable {
                            found.wrong(Subject::Writing, "it is a setpoint, and this client may not write it".into());
                        }
                    }
                }
                if let Some(reading) = reading {
                    self.columns(reading, &mut found);
                    self.state(reading, metadata, &mut found);
                }
            }
        }
        found.0
    }

    /// Whether the whole row is asked for.
    fn is_row(&self) -> bool {
        self.uses.iter().all(|usage| usage.row)
    }

    /// The highest place in a row that is asked for.
    fn last_index(&self) -> Option<usize> {
        self.uses.iter().filter_map(|usage| usage.place.index).max()
    }

    fn form(&self, metadata: &Metadata, found: &mut Findings) {
        let Metadata { form, length, .. } = metadata;
        if self.is_row() {
            if !matches!(form, Form::Vector | Form::Image) {
                found.wrong(Subject::Type, format!("it holds {form} where a row of numbers is needed"));
            }
            return;
        }
        let number_needed = self.uses.iter().any(|usage| usage.place.index.is_none());
        let column = self.uses.iter().find_map(|usage| usage.place.column.as_ref());
        let row_needed = self.uses.iter().any(|usage| usage.place.index.is_some() && usage.place.column.is_none());
        match (form, self.last_index()) {
            (Form::Table, Some(last)) if column.is_some() && !row_needed && !number_needed => {
                if last >= *length {
                    let text = format!("row {last} is asked for, and the table has {length} (counted from 0)");
                    found.wrong(Subject::Type, text);
                }
            }
            (Form::Table, Some(_)) if row_needed => {
                let text = "it holds a table, and fields that ask for an entry of it do not say of which `column`";
                found.wrong(Subject::Type, text.into());
            }
            (form, Some(_)) if column.is_some() => {
                let column = column.map_or("", |column| column);
                found.wrong(
                    Subject::Type,
                    format!("it holds {form} where a table with the column `{column}` is needed"),
                );
            }
            (Form::Number, None) => {}
            (Form::Choice, None) => {
                found.remark(Subject::Type, "it holds one of a list of states; its place in the list is taken".into());
            }
            (Form::Vector | Form::Image, Some(last)) if !number_needed => {
                if last >= *length {
                    let text = format!(
                        "entry {last} is asked for, and the row has {length} (0 to {})",
                        length.saturating_sub(1)
                    );
                    found.wrong(Subject::Type, text);
                }
            }
            (Form::Vector, _) => {
                found.wrong(Subject::Type, format!("it holds a row of {length} numbers where one number is needed"));
            }
            (form, Some(_)) => {
                found.wrong(Subject::Type, format!("it holds {form} where an entry of a row is asked for (`index`)"));
            }
            (form, None) => found.wrong(Subject::Type, format!("it holds {form} where a number is needed")),
        }
    }

    /// Whether the table that is there has the columns that are asked for.
    fn columns(&self, reading: &Result<Reading, Fault>, found: &mut Findings) {
        let Ok(Reading { value: value @ Value::Table(_), .. }) = reading else { return };
        for Place { column, .. } in self.uses.iter().map(|usage| &usage.place) {
            let place = Place { column: column.clone(), index: None };
            match (column, place.row(value)) {
                (Some(_), Err(held)) => found.wrong(Subject::Type, format!("it holds {held}")),
                (Some(column), Ok(row)) if numbers(row).is_none() => {
                    let text = format!("the column `{column}` holds {} where numbers are needed", row.form());
                    found.wrong(Subject::Type, text);
                }
                _ => {}
            }
        }
    }

    /// Compares units as units; whether numbers mean the same on both sides.
    fn unit(&self, metadata: &Metadata, found: &mut Findings) -> bool {
        let Some(usage) = self.uses.first() else { return true };
        // fields of one channel, or of one column, that differ among themselves cannot all be right
        let first = |usage: &Use| self.uses.iter().find(|other| other.place.column == usage.place.column);
        let pairs = self.uses.iter().filter_map(|usage| Some((&first(usage)?.hardware, &usage.hardware)));
        if let Some((a, b)) = pairs.into_iter().find(|(a, b)| !same_unit(a, b)) {
            found.wrong(Subject::Unit, format!("the facility takes it as `{a}` and as `{b}`"));
            return false;
        }
        let (here, there) = (&usage.hardware, metadata.unit.trim());
        if there.is_empty() {
            if !(here.dimension().is_none() && here.scale() == 1.0) {
                found.remark(Subject::Unit, format!("the server states no unit; the facility takes it as `{here}`"));
            }
            return true;
        }
        match server_unit(there) {
            Some(unit) if same_unit(&unit, here) => true,
            Some(unit) if unit.dimension() == here.dimension() => {
                let factor = Quantity::plain(unit.scale() / here.scale());
                let text = format!("the server says `{there}`, the facility `{here}`: a factor of {factor}");
                found.wrong(Subject::Unit, text);
                false
            }
            Some(_) => {
                found.wrong(Subject::Unit, format!("the server says `{there}`, the facility `{here}`"));
                false
            }
            None => {
                let text = format!(
                    "the server says `{there}`, which is no unit known here; the facility takes it as `{here}`"
                );
                found.remark(Subject::Unit, text);
                true
            }
        }
    }

    fn state(&self, reading: &Result<Reading, Fault>, metadata: &Metadata, found: &mut Findings) {
        let reading = match reading {
            Ok(reading) => reading,
            Err(fault) => return found.wrong(Subject::State, fault.reason.clone()),
        };
        match &reading.validity {
            Validity::Good => {}
            // nothing was taken turn by turn, or injected, yet
            Validity::Invalid(_) if self.uses.iter().all(|usage| usage.fired) => return,
            Validity::Invalid(why) => return found.wrong(Subject::State, format!("invalid: {why}")),
            Validity::Alarm(why) => found.remark(Subject::State, format!("alarm: {why}")),
            Validity::Warning(why) => found.remark(Subject::State, format!("warning: {why}")),
        }
        let held = |usage: &Use| Some((usage.place.index?, numbers(usage.place.row(&reading.value).ok()?)?.len()));
        let short = self.uses.iter().filter_map(held).filter(|(entry, held)| *entry < metadata.length && entry >= held);
        if let Some((last, held)) = short.max() {
            found.wrong(Subject::State, format!("entry {last} is asked for, and the row holds {held} now"));
        }
        let asked = self.uses.iter().filter_map(|usage| usage.place.number(&reading.value).ok());
        let bad = asked.filter(|value| !value.is_finite()).count();
        if bad > 0 {
            found.wrong(Subject::State, format!("{bad} of {} values are not finite numbers", self.uses.len()));
        }
    }
}

/// The numbers of a row; none of anything else.
fn numbers(row: &Value) -> Option<&[f64]> {
    matches!(row, Value::Vector(_) | Value::Image { .. }).then(|| row.entries())
}

/// A unit as a server writes it: `mrad`, or with a factor before it, `1e-3 rad`.
fn server_unit(text: &str) -> Option<Unit> {
    Unit::parse(text).ok().or_else(|| {
        let quantity = Quantity::parse(text).ok()?;
        (quantity.si > 0.0).then(|| quantity.unit.scaled(quantity.si / quantity.unit.scale()))
    })
}

/// `mrad` and `1e-3 rad` are one unit; a last bit of the scale does not count.
fn same_unit(a: &Unit, b: &Unit) -> bool {
    a.dimension() == b.dimension() && (a.scale() / b.scale() - 1.0).abs() < 1e-9
}

fn limits(setpoint: &Setpoint, metadata: &Metadata, found: &mut Findings) {
    let (low, high) = setpoint.limits;
    let unit = &setpoint.unit;
    let Some((lowest, highest)) = metadata.limits else {
        return found.remark(Subject::Limits, "the server states no limits".into());
    };
    if low == f64::NEG_INFINITY && high == f64::INFINITY {
        let text = format!("the facility states no limits; the server's are {lowest} to {highest} {unit}");
        return found.remark(Subject::Limits, text);
    }
    let slack = 1e-9 * (highest - lowest);
    if low < lowest - slack || high > highest + slack {
        let shown = |value: f64| Quantity::plain(value);
        let text = format!(
            "the facility allows {} to {} {unit}, the server only {} to {}",
            shown(low),
            shown(high),
            shown(lowest),
            shown(highest)
        );
        found.wrong(Subject::Limits, text);
    }
}

/// What was found of one channel; the same thing said of several of its fields is said once.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn wrong(&mut self, subject: Subject, text: String) {
        self.put(Finding { subject, wrong: true, text });
    }

    fn remark(&mut self, subject: Subject, text: String) {
        self.put(Finding { subject, wrong: false, text });
    }

    fn put(&mut self, finding: Finding) {
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fodo_control::Time;
    use std::time::Duration;

    fn unit(text: &str) -> Unit {
        Unit::parse(text).unwrap()
    }

    fn setpoint(unit_text: &str, limits: (f64, f64)) -> Wanted {
        let setpoint = Setpoint {
            name: "C[\"1\"].kick".into(),
            family: "C".into(),
            channel: "c".into(),
            readback: None,
            unit: unit_text.into(),
            limits,
            tolerance: 0.0,
            arrival: Duration::ZERO,
            rate: None,
            physics: None,
        };
        let usage = Use {
            name: "C[\"1\"].kick".into(),
            place: Place::default(),
            hardware: unit(unit_text),
            setpoint: Some(setpoint.into()),
            row: false,
            fired: false,
        };
        Wanted { family: "C".into(), channel: "c".into(), uses: vec![usage] }
    }

    fn row(places: &[usize]) -> Wanted {
        let usage = |place: &usize| Use {
            name: format!("B[\"{place}\"].x").into(),
            place: Place { column: None, index: Some(*place) },
            hardware: unit("m"),
            setpoint: None,
            row: false,
            fired: false,
        };
        Wanted { family: "B".into(), channel: "b".into(), uses: places.iter().map(usage).collect() }
    }

    fn metadata(form: Form, length: usize, unit: &str, limits: Option<(f64, f64)>) -> Result<Metadata, Fault> {
        Ok(Metadata { form, unit: unit.into(), limits, length, writable: true, ..Metadata::default() })
    }

    fn subjects(findings: &[Finding], wrong: bool) -> Vec<Subject> {
        findings.iter().filter(|f| f.wrong == wrong).map(|f| f.subject).collect()
    }

    #[test]
    fn units_are_compared_as_units() {
        let wanted = setpoint("mrad", (-1.0, 1.0));
        let of = |unit: &str| wanted.compare(&metadata(Form::Number, 1, unit, Some((-1.0, 1.0))), None);
        for alike in ["mrad", "1e-3 rad", "1000 urad"] {
            assert!(of(alike).is_empty(), "{alike}: {:?}", of(alike));
        }
        // a metre times a radian
        assert_eq!(subjects(&of("m rad"), true), [Subject::Unit]);
        assert_eq!(subjects(&of("urad"), true), [Subject::Unit]);
        assert!(of("urad")[0].text.contains("a factor of 0.001"), "{:?}", of("urad"));
        assert_eq!(subjects(&of("A"), true), [Subject::Unit]);
        assert_eq!((subjects(&of(""), true), subjects(&of(""), false)), (vec![], vec![Subject::Unit]));
        assert_eq!((subjects(&of("bananas"), true), subjects(&of("bananas"), false)), (vec![], vec![Subject::Unit]));
    }

    #[test]
    fn limits_beyond_those_of_the_server_are_wrong() {
        let wanted = setpoint("A", (-10.0, 10.0));
        let of = |limits| wanted.compare(&metadata(Form::Number, 1, "A", limits), None);
        assert!(of(Some((-10.0, 10.0))).is_empty() && of(Some((-20.0, 10.0))).is_empty());
        assert_eq!(subjects(&of(Some((-9.0, 10.0))), true), [Subject::Limits]);
        assert_eq!(subjects(&of(None), false), [Subject::Limits]);
        // in another unit the numbers say nothing of each other
        let found = wanted.compare(&metadata(Form::Number, 1, "mA", Some((-1.0, 1.0))), None);
        assert_eq!(subjects(&found, true), [Subject::Unit]);
    }

    #[test]
    fn a_row_is_needed_where_an_entry_is_asked_for_and_long_enough() {
        let wanted = row(&[0, 3, 7]);
        let of = |form, length| wanted.compare(&metadata(form, length, "m", None), None);
        assert!(of(Form::Vector, 8).is_empty());
        for (form, length) in [(Form::Vector, 7), (Form::Number, 1), (Form::Text, 1), (Form::Table, 9)] {
            assert_eq!(subjects(&of(form, length), true), [Subject::Type], "{form} {length}");
        }
        let number = setpoint("A", (-1.0, 1.0));
        for form in [Form::Text, Form::Texts, Form::Vector, Form::Table, Form::Image] {
            let found = number.compare(&metadata(form, 8, "A", Some((-1.0, 1.0))), None);
            assert_eq!(subjects(&found, true), [Subject::Type], "{form}");
        }
    }

    #[test]
    fn a_column_that_is_not_there_is_named_with_its_neighbours() {
        let table = |columns: &[&str]| {
            let column = |name: &&str| ((*name).into(), Value::Vector([1.0, 2.0].into()));
            let names = ("name".into(), Value::Texts(["a".into(), "b".into()].into()));
            Reading::good(Value::Table([names].into_iter().chain(columns.iter().map(column)).collect()), Time(0))
        };
        let wanted = |column: &str, rows: &[usize]| {
            let mut wanted = row(rows);
            wanted.uses.iter_mut().for_each(|usage| usage.place.column = Some(column.into()));
            wanted
        };
        let of = |wanted: &Wanted, form, reading| wanted.compare(&metadata(form, 2, "m", None), Some(&Ok(reading)));
        assert!(of(&wanted("x", &[0, 1]), Form::Table, table(&["x", "y"])).is_empty());
        let told = |wanted: &Wanted, form, reading| {
            let found = of(wanted, form, reading);
            assert_eq!(subjects(&found, true), [Subject::Type], "{found:?}");
            found[0].text.clone()
        };
        let missing = told(&wanted("pos_X", &[0, 1]), Form::Table, table(&["pos_x"]));
        assert_eq!(missing, "it holds a table without the column `pos_X`; did you mean `pos_x`?");
        let texts = told(&wanted("name", &[0, 1]), Form::Table, table(&[]));
        assert_eq!(texts, "the column `name` holds a row of texts where numbers are needed");
        let short = told(&wanted("x", &[0, 2]), Form::Table, table(&["x"]));
        assert_eq!(short, "row 2 is asked for, and the table has 2 (counted from 0)");
        let none = told(&row(&[0, 1]), Form::Table, table(&["x"]));
        assert_eq!(none, "it holds a table, and fields that ask for an entry of it do not say of which `column`");
        let vector = Reading::good(Value::Vector([1.0, 2.0].into()), Time(0));
        let other = told(&wanted("x", &[0, 1]), Form::Vector, vector);
        assert_eq!(other, "it holds a row of numbers where a table with the column `x` is needed");
    }

    #[test]
    fn what_cannot_be_used_now_is_wrong() {
        let wanted = row(&[0, 1]);
        let held = |value: Vec<f64>| Reading::good(Value::Vector(value.into()), Time(0));
        let of = |reading: Reading| wanted.compare(&metadata(Form::Vector, 2, "m", None), Some(&Ok(reading)));
        assert!(of(held(vec![1.0, 2.0])).is_empty());
        assert_eq!(subjects(&of(held(vec![1.0])), true), [Subject::State]);
        assert_eq!(subjects(&of(held(vec![1.0, f64::NAN])), true), [Subject::State]);
        let invalid = Reading::invalid(Value::Vector(vec![0.0, 0.0].into()), Time(0), "UDF");
        assert_eq!(of(invalid), [Finding { subject: Subject::State, wrong: true, text: "invalid: UDF".into() }]);
        let alarm = Reading { validity: Validity::Alarm("HIHI".into()), ..held(vec![1.0, 2.0]) };
        assert_eq!((subjects(&of(alarm.clone()), true), subjects(&of(alarm), false)), (vec![], vec![Subject::State]));
    }

    #[test]
    fn a_setpoint_must_be_writable_and_a_channel_there() {
        let wanted = setpoint("A", (-1.0, 1.0));
        let metadata = Metadata { unit: "A".into(), limits: Some((-1.0, 1.0)), length: 1, ..Metadata::default() };
        assert_eq!(subjects(&wanted.compare(&Ok(metadata), None), true), [Subject::Writing]);
        let absent = Fault::absent(&"c".into(), "no answer within 3 s");
        assert_eq!(subjects(&wanted.compare(&Err(absent), None), true), [Subject::Connection]);
    }
}
