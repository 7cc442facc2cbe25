//! `calibration` of a field: how what the beam feels follows from what a supply takes.

use crate::rigidity::of_field;
use crate::table::Table;
use fodo_report::Result;
use fodo_units::{Calibration, Dimension, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;

const KEY: &str = "calibration";

/// The units of a field, and the rigidity of the reference particle [T m], if it is one all along the lattice.
pub(crate) struct Units<'u> {
    pub physics: &'u Unit,
    pub hardware: &'u Unit,
    pub rigidity: Option<f64>,
}

/// The calibrations of the devices of a family.
pub(crate) enum Rule {
    /// The same for all.
    One(Calibration),
    /// Curves of a file with a column for each device.
    Columns(Columns),
}

/// Curves by device name; there is one at least.
pub(crate) struct Columns {
    path: String,
    first: Calibration,
    by_device: BTreeMap<String, Calibration>,
}

impl Rule {
    pub fn read(table: &Table, units: &Units, csv: impl Fn(&str) -> Option<Arc<str>>) -> Result<Rule> {
        let Units { physics, hardware, .. } = units;
        if !table.has(KEY) {
            if physics.dimension() != hardware.dimension() {
                return Err(table.mistake(KEY, format!("is missing: how does {physics} follow from {hardware}?")));
            }
            return Ok(Rule::One(Calibration::IDENTITY));
        }
        let needed = Unit::si(physics.dimension().times(hardware.dimension().power(-1)));
        let Ok(Some(inner)) = table.table(KEY) else {
            let factor = units.quantity(table, KEY, &needed)?.unwrap_or(1.0);
            return linear(table, factor, 0.0);
        };
        let rule = match inner.text("curve")? {
            Some(path) => {
                let text = csv(path).ok_or_else(|| inner.mistake("curve", format!("there is no file {path}")))?;
                let scale = units.scale(&inner)?;
                let read = curves(path, &text, scale, hardware);
                read.map_err(|what| inner.mistake("curve", format!("{path}: {what}")))?
            }
            None => {
                let factor = units.quantity(&inner, "factor", &needed)?;
                let factor = factor.ok_or_else(|| inner.mistake("factor", "is missing"))?;
                linear(table, factor, units.quantity(&inner, "offset", physics)?.unwrap_or(0.0))?
            }
        };
        inner.no_other_keys()?;
        Ok(rule)
    }

    /// That of any device.
    pub fn any(&self) -> &Calibration {
        match self {
            Rule::One(calibration) => calibration,
            Rule::Columns(columns) => &columns.first,
        }
    }

    /// That of a device, where it has one of its own.
    pub fn of(&self, device: &str, table: &Table) -> Result<Option<&Calibration>> {
        let Rule::Columns(Columns { path, by_device, .. }) = self else { return Ok(None) };
        by_device.get(device).map(Some).ok_or_else(|| {
            let near = fodo_report::did_you_mean(device, by_device.keys().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!("; {near}"));
            table.mistake(KEY, format!("{path} has no column for the device `{device}`{near}"))
        })
    }
}

impl Units<'_> {
    /// A quantity in the unit that is needed, or in that of the field, in SI and as the beam feels it.
    pub fn quantity(&self, table: &Table, key: &str, needed: &Unit) -> Result<Option<f64>> {
        let Some(quantity) = table.any_quantity(key)? else { return Ok(None) };
        if quantity.dimension() != needed.dimension() && quantity.dimension() == self.in_tesla(table, needed)? {
            return self.rigidity(table, key, needed).map(|rigidity| Some(quantity.si / rigidity));
        }
        quantity.check(needed).map_err(|error| table.mistake(key, error.to_string()))?;
        Ok(Some(quantity.si))
    }

    /// What a number of a curve counts for: `unit` is that of its physics values.
    fn scale(&self, table: &Table) -> Result<f64> {
        let Some(unit) = table.unit("unit")? else { return Ok(self.physics.scale()) };
        if unit.dimension() == self.physics.dimension() {
            return Ok(unit.scale());
        }
        let field = self.in_tesla(table, self.physics)?;
        if unit.dimension() == field {
            return self.rigidity(table, "unit", self.physics).map(|rigidity| unit.scale() / rigidity);
        }
        let what = format!("must be one of `{}`, or of the field, `{field}`; found `{unit}`", self.physics);
        Err(table.mistake("unit", what))
    }

    fn in_tesla(&self, table: &Table, needed: &Unit) -> Result<Dimension> {
        let tesla_metre = Unit::parse("T m").map_err(|error| table.mistake(KEY, error.to_string()))?;
        Ok(of_field(needed.dimension(), tesla_metre.dimension()))
    }

    fn rigidity(&self, table: &Table, key: &str, needed: &Unit) -> Result<f64> {
        self.rigidity.ok_or_else(|| {
            let what = "is that of a field, and the rigidity is another at each place of a lattice that accelerates";
            table.mistake(key, format!("{what}; give it in `{needed}`"))
        })
    }
}

fn linear(table: &Table, factor: f64, offset: f64) -> Result<Rule> {
    match factor == 0.0 || !factor.is_finite() {
        true => Err(table.mistake(KEY, format!("a factor of {factor} cannot be turned round"))),
        false => Ok(Rule::One(Calibration::Linear { factor, offset })),
    }
}

/// Lines `hardware, physics`, or `hardware` and a column for each device that the first line names.
fn curves(path: &str, text: &str, scale: f64, hardware: &Unit) -> Result<Rule, String> {
    let mut names: Vec<String> = Vec::new();
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split(',').map(str::trim).collect();
        let numbers: Vec<f64> = words.iter().filter_map(|word| word.parse().ok()).collect();
        let columns = if names.is_empty() { 2 } else { names.len() };
        match (numbers.len(), words.len()) {
            (0, 2..) if rows.is_empty() && names.is_empty() => names = words.into_iter().map(String::from).collect(),
            (given, there) if given == columns && there == columns => rows.push(numbers),
            _ => return Err(format!("line {}: {} numbers are needed, found `{line}`", number + 1, counted(columns))),
        }
    }
    let curve = |column: usize| {
        Calibration::curve(rows.iter().map(|row| (row[0] * hardware.scale(), row[column] * scale)).collect())
    };
    if names.len() <= 2 {
        return curve(1).map(Rule::One);
    }
    let of = |(place, name): (usize, &String)| {
        Ok((name.clone(), curve(place + 1).map_err(|what| format!("column {name}: {what}"))?))
    };
    let by_device = names[1..].iter().enumerate().map(of).collect::<Result<BTreeMap<_, _>, String>>()?;
    if by_device.len() + 1 < names.len() {
        return Err("two columns have the same name".into());
    }
    Ok(Rule::Columns(Columns { path: path.into(), first: curve(1)?, by_device }))
}

fn counted(columns: usize) -> String {
    if columns == 2 { "two".into() } else { columns.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rule, String> {
        curves("q.csv", text, 2.0, &Unit::none())
    }

    #[test]
    fn a_curve_for_all_or_one_for_each_device() {
        let Ok(Rule::One(one)) = read("current, k1\n0, 1\n10, 2\n") else { panic!("one curve") };
        assert_eq!(one.to_physics(5.0), 3.0);
        let Ok(Rule::Columns(columns)) = read("current, A, B\n0, 0, 0\n10, 1, 2\n") else { panic!("two curves") };
        assert_eq!(columns.by_device["A"].to_physics(5.0), 1.0);
        assert_eq!(columns.by_device["B"].to_physics(5.0), 2.0);
    }

    #[test]
    fn mistakes_of_a_file_say_their_line() {
        let wrong = |text: &str| read(text).err().unwrap_or_default();
        assert_eq!(wrong("0, 1\n10\n"), "line 2: two numbers are needed, found `10`");
        assert_eq!(wrong("I, A, B\n0, 0, 0\n10, 1\n"), "line 3: 3 numbers are needed, found `10, 1`");
        assert_eq!(wrong("I, A, A\n0, 0, 0\n10, 1, 1\n"), "two columns have the same name");
        assert!(wrong("I, A, B\n0, 0, 0\n10, 1, 0\n").starts_with("column B: physics values must be monotonic"));
    }
}
