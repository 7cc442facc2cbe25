//! Tables: columns with a name and one unit each.

mod functions;
mod print;

use crate::families::Members;
use crate::vector::{Mask, Vector, entry, from_array};
use fodo_language::{Outcome, article, fail, script_error, type_word};
use fodo_report::{Diagnostic, Kind};
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};
use std::sync::Arc;

/// Columns of one length. A copy is cheap; writing to one copy leaves the others alone.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Arc<Vec<(ImmutableString, Column)>>,
}

/// The entries of a column.
#[derive(Clone, Debug)]
pub enum Column {
    /// Numbers with one unit.
    Numbers(Vector),
    /// Texts.
    Texts(Arc<Vec<ImmutableString>>),
    /// Yes or no.
    Truths(Mask),
    /// Nothing yet: the first row says what it will be.
    Empty,
}

impl Column {
    /// A column from a vector, a mask, an array or a family.
    fn read(value: &Dynamic) -> Outcome<Column> {
        if let Some(v) = value.read_lock::<Vector>() {
            return Ok(Column::Numbers(v.clone()));
        }
        if let Some(mask) = value.read_lock::<Mask>() {
            return Ok(Column::Truths(mask.clone()));
        }
        if let Some(members) = value.read_lock::<Members>() {
            return Ok(Column::Texts(Arc::new(members.devices.iter().map(|d| d.name.as_ref().into()).collect())));
        }
        let Some(array) = value.read_lock::<Array>() else {
            let found = article(&type_word(value.type_name()));
            return Err(script_error(format!("a column is a vector, a mask, an array or a family, found {found}")));
        };
        match array.first() {
            None => Ok(Column::Empty),
            Some(first) if first.is_string() => {
                let text = |item: &Dynamic| item.clone().into_immutable_string().map_err(|_| mixed("text", item));
                Ok(Column::Texts(Arc::new(array.iter().map(text).collect::<Outcome<_>>()?)))
            }
            Some(first) if first.is_bool() => {
                let truth = |item: &Dynamic| item.as_bool().map_err(|_| mixed("true or false", item));
                Ok(Column::Truths(Mask(Arc::new(array.iter().map(truth).collect::<Outcome<_>>()?))))
            }
            Some(_) => Ok(Column::Numbers(from_array(&array)?)),
        }
    }

    /// A column of `rows` equal entries.
    fn filled(value: &Dynamic, rows: usize) -> Outcome<Column> {
        Column::read(&vec![value.clone(); rows.max(1)].into()).map(|column| column.rows(&(0..rows).collect::<Vec<_>>()))
    }

    fn len(&self) -> usize {
        match self {
            Column::Numbers(v) => v.si().len(),
            Column::Texts(texts) => texts.len(),
            Column::Truths(mask) => mask.0.len(),
            Column::Empty => 0,
        }
    }

    /// The whole column as scripts see it.
    fn value(&self) -> Dynamic {
        match self {
            Column::Numbers(v) => Dynamic::from(v.clone()),
            Column::Texts(texts) => texts.iter().map(|text| Dynamic::from(text.clone())).collect::<Array>().into(),
            Column::Truths(mask) => Dynamic::from(mask.clone()),
            Column::Empty => Array::new().into(),
        }
    }

    fn entry(&self, row: usize) -> Dynamic {
        match self {
            Column::Numbers(v) => crate::quantity::of(v.si()[row], v.unit().clone()),
            Column::Texts(texts) => Dynamic::from(texts[row].clone()),
            Column::Truths(mask) => mask.0[row].into(),
            Column::Empty => Dynamic::UNIT,
        }
    }

    fn rows(&self, rows: &[usize]) -> Column {
        match self {
            Column::Numbers(v) => {
                Column::Numbers(Vector::from_si(rows.iter().map(|&row| v.si()[row]).collect(), v.unit().clone()))
            }
            Column::Texts(texts) => Column::Texts(Arc::new(rows.iter().map(|&row| texts[row].clone()).collect())),
            Column::Truths(mask) => Column::Truths(Mask(Arc::new(rows.iter().map(|&row| mask.0[row]).collect()))),
            Column::Empty => Column::Empty,
        }
    }

    /// The entry that a value makes in this column.
    fn cell(&self, value: &Dynamic) -> Outcome<Cell> {
        match self {
            Column::Numbers(v) => entry(value, v.unit()).map(Cell::Number),
            Column::Texts(_) => value.clone().into_immutable_string().map(Cell::Text).map_err(|_| mixed("text", value)),
            Column::Truths(_) => value.as_bool().map(Cell::Truth).map_err(|_| mixed("true or false", value)),
            Column::Empty => Column::filled(value, 1).map(Cell::First),
        }
    }

    /// Puts an entry into a row, or behind the last one.
    fn put(&mut self, row: usize, cell: Cell) {
        match (self, cell) {
            (Column::Numbers(v), Cell::Number(si)) => set(v.si_mut(), row, si),
            (Column::Texts(texts), Cell::Text(text)) => set(Arc::make_mut(texts), row, text),
            (Column::Truths(mask), Cell::Truth(truth)) => set(Arc::make_mut(&mut mask.0), row, truth),
            (column, Cell::First(first)) => *column = first,
            _ => {} // `cell` made it for this column
        }
    }
}

/// An entry that fits its column.
enum Cell {
    Number(f64),
    Text(ImmutableString),
    Truth(bool),
    First(Column),
}

fn set<T>(values: &mut Vec<T>, row: usize, value: T) {
    match values.get_mut(row) {
        Some(place) => *place = value,
        None => values.push(value),
    }
}

fn mixed(wanted: &str, found: &Dynamic) -> Box<rhai::EvalAltResult> {
    script_error(format!("this column holds {wanted}, found {}", article(&type_word(found.type_name()))))
}

/// What stands behind the dot of a table beside its columns.
const WORDS: [&str; 4] = ["columns", "rows", "len", "units"];

impl Table {
    /// A table of named columns, each what [`Column`] can be made of.
    pub(crate) fn of<const N: usize>(names: [&str; N], columns: &[Dynamic]) -> Outcome<Table> {
        let mut table = Table::default();
        names.iter().zip(columns).try_for_each(|(name, column)| table.set(name, column))?;
        Ok(table)
    }

    /// A table of columns of one length.
    pub(crate) fn new(columns: Vec<(ImmutableString, Column)>) -> Table {
        Table { columns: Arc::new(columns) }
    }

    /// Names and entries of the columns.
    pub fn columns(&self) -> &[(ImmutableString, Column)] {
        &self.columns
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    fn place(&self, name: &str) -> Outcome<usize> {
        self.columns.iter().position(|(known, _)| known == name).ok_or_else(|| {
            let names = || self.columns.iter().map(|(name, _)| name.as_str());
            let report = Diagnostic::new(Kind::Script, format!("the table has no column `{name}`")).near(name, names());
            let all = names().collect::<Vec<_>>().join(", ");
            let hint = if all.is_empty() { "it has none".to_string() } else { format!("it has {all}") };
            fail(Box::new(if report.hints.is_empty() { report.hint(hint) } else { report }))
        })
    }

    fn column(&self, name: &str) -> Outcome<&Column> {
        Ok(&self.columns[self.place(name)?].1)
    }

    /// Sets a column, or adds one at the right.
    fn set(&mut self, name: &str, value: &Dynamic) -> Outcome<()> {
        if name.is_empty() || WORDS.contains(&name) {
            return Err(script_error(format!("`{name}` cannot be the name of a column: tables have it already")));
        }
        let known = self.columns.iter().position(|(known, _)| known == name);
        let alone = self.columns.is_empty() || (self.columns.len() == 1 && known.is_some());
        let list = value.is::<Vector>() || value.is::<Mask>() || value.is::<Members>() || value.is_array();
        let column = match list {
            true => Column::read(value)?,
            false => Column::filled(value, if alone { 1 } else { self.rows() })?,
        };
        if !alone && column.len() != self.rows() {
            return Err(script_error(format!(
                "a column of {} entries does not fit a table of {} rows",
                column.len(),
                self.rows()
            )));
        }
        let columns = Arc::make_mut(&mut self.columns);
        match known {
            Some(place) => columns[place].1 = column,
            None => columns.push((name.into(), column)),
        }
        Ok(())
    }

    fn pick(&self, rows: &[usize]) -> Table {
        let columns = self.columns.iter().map(|(name, column)| (name.clone(), column.rows(rows)));
        Table { columns: Arc::new(columns.collect()) }
    }

    fn row(&self, row: usize) -> Map {
        self.columns.iter().map(|(name, column)| (name.as_str().into(), column.entry(row))).collect()
    }

    /// Replaces a row, or adds one below the last; the row must have an entry for every column and no other.
    fn put_row(&mut self, row: usize, entries: &Map) -> Outcome<()> {
        for name in entries.keys() {
            if !self.columns.is_empty() {
                self.place(name)?;
            }
        }
        if let Some((name, _)) = self.columns.iter().find(|(name, _)| !entries.contains_key(name.as_str())) {
            return Err(script_error(format!("the row has no entry `{name}`")));
        }
        let made = self.columns.is_empty().then(|| {
            let names = entries.keys().map(|name| (name.as_str().into(), Column::Empty));
            Arc::new(names.collect::<Vec<(ImmutableString, Column)>>())
        });
        // all entries are tried before one is put, so that no column becomes longer than the others
        let cell = |(name, column): &(ImmutableString, Column)| {
            column.cell(&entries[name.as_str()]).map_err(|error| in_column(name, error))
        };
        let cells = made.as_ref().unwrap_or(&self.columns).iter().map(cell).collect::<Outcome<Vec<_>>>()?;
        self.columns = made.unwrap_or_else(|| std::mem::take(&mut self.columns));
        let columns = Arc::make_mut(&mut self.columns).iter_mut();
        columns.zip(cells).for_each(|((_, column), cell)| column.put(row, cell));
        Ok(())
    }
}

/// An error with the column it belongs to.
fn in_column(name: &str, error: Box<rhai::EvalAltResult>) -> Box<rhai::EvalAltResult> {
    match error.unwrap_inner() {
        rhai::EvalAltResult::ErrorRuntime(value, _) => {
            let report = fodo_language::report_of(value);
            fail(Box::new(Diagnostic { message: format!("column `{name}`: {}", report.message), ..report }))
        }
        _ => error,
    }
}

/// Registers tables.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Table>("table");
    functions::register(engine);
}
