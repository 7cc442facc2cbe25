//! What scripts do with tables.

use super::{Column, Table};
use crate::context::here;
use crate::families::{Members, document, getter};
use crate::vector::{Mask, Vector, chosen, place, rising};
use fodo_language::{Callback, Outcome, article, script_error, type_word};
use fodo_units::Unit;
use rhai::{Array, Dynamic, Engine, FuncRegistration, INT, ImmutableString, Map, NativeCallContext};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine) {
    making(engine);
    properties(engine);
    access(engine);
    changing(engine);
}

fn from_map(map: &Map) -> Outcome<Table> {
    let mut table = Table::default();
    map.iter().try_for_each(|(name, value)| table.set(name, value))?;
    Ok(table)
}

/// From rows, or from the names of columns that have no rows yet.
fn from_array(array: &Array) -> Outcome<Table> {
    let mut table = Table::default();
    if array.iter().all(Dynamic::is_string) {
        for name in array {
            table.set(&name.to_string(), &Array::new().into())?;
        }
        return Ok(table);
    }
    for (row, entries) in array.iter().enumerate() {
        let found = || article(&type_word(entries.type_name()));
        let map = entries.read_lock::<Map>();
        let map = map.ok_or_else(|| script_error(format!("row {row} must be a map, found {}", found())))?;
        table.put_row(row, &map)?;
    }
    Ok(table)
}

fn from_names(names: &Array, columns: &Array) -> Outcome<Table> {
    if names.len() != columns.len() {
        return Err(script_error(format!("{} names were given for {} columns", names.len(), columns.len())));
    }
    let mut table = Table::default();
    for (name, column) in names.iter().zip(columns) {
        let name = name.clone().into_string().map_err(|_| script_error("the name of a column must be a text"))?;
        table.set(&name, column)?;
    }
    Ok(table)
}

fn of_family(members: &Members) -> Outcome<Table> {
    let s = Vector::from_si(members.devices.iter().map(|d| d.s).collect(), Unit::position());
    Table::of(["name", "s"], &[Dynamic::from(members.clone()), Dynamic::from(s)])
}

fn making(engine: &mut Engine) {
    document!(
        engine,
        "table",
        ["members: family", "table"],
        "/// Makes a table of devices: their names, and where they stand.\n///\n\
         /// Further columns are set: `t.x = get_orbit().x`.\n///\n\
         /// # Parameters\n/// - `members`: a family or a part of it.\n///\n\
         /// # Returns\n/// A table with the columns `name` and `s` [m].\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = table(BPM);\n/// t.x = get_orbit().x;\n/// t.y = get_orbit().y;\n/// print(t.sorted(\"x\"));\n/// assert(t.columns == [\"name\", \"s\", \"x\", \"y\"]);\n/// ```",
        |members: Members| of_family(&members)
    );
    document!(
        engine,
        "table",
        ["columns: map", "table"],
        "/// Makes a table of columns.\n///\n\
         /// # Parameters\n/// - `columns`: a map from names to vectors, masks, arrays of texts, or families; all of one length.\n///\n\
         /// # Returns\n/// A table, its columns by the alphabet; `t.select([…])` brings them into another order.\n///\n\
         /// # Errors\n/// - `does not fit`: the lengths differ.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = table(#{ current: vector([1, 2], \"A\"), x: vector([0.1, 0.2], \"mm\") });\n/// assert(t.rows == 2);\n/// assert(t.x[1] == 0.2 * mm);\n/// ```",
        |columns: Map| from_map(&columns)
    );
    document!(
        engine,
        "table",
        ["rows: array", "table"],
        "/// Makes a table of rows, or one without rows from the names of its columns.\n///\n\
         /// # Parameters\n/// - `rows`: an array of maps with the same entries, or of names of columns.\n///\n\
         /// # Returns\n/// A table; `t.push(row)` adds rows.\n///\n\
         /// # Errors\n/// - `has no entry`, `has no column`: the rows do not have the same entries.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = table([\"kick\", \"x\"]);\n/// for k in linspace(0 * urad, 4 * urad, 3) {\n///     t.push(#{ kick: k, x: 0.1 * mm });\n/// }\n/// assert(t.rows == 3);\n/// assert(t.kick.max() == 4 * urad);\n/// ```",
        |rows: Array| from_array(&rows)
    );
    document!(
        engine,
        "table",
        ["names: array", "columns: array", "table"],
        "/// Makes a table from an array of names and an array of columns, in their order; see `table(columns)`.",
        |names: Array, columns: Array| from_names(&names, &columns)
    );
    document!(
        engine,
        "concat",
        ["first: table", "second: table", "table"],
        "/// Puts the rows of two tables one below the other.\n///\n\
         /// # Parameters\n/// - `first`, `second`: tables with the same columns, in any order.\n///\n\
         /// # Returns\n/// A table with the columns of the first.\n///\n\
         /// # Errors\n/// - `has no entry`, `has no column`: their columns differ.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = table(#{ x: vector([1, 2], \"mm\") });\n/// assert(concat(t, t).rows == 4);\n/// ```",
        |first: Table, second: Table| {
            let mut all = first;
            (0..second.rows()).try_for_each(|row| all.put_row(all.rows(), &second.row(row)))?;
            Ok::<_, Box<rhai::EvalAltResult>>(all)
        }
    );
}

fn properties(engine: &mut Engine) {
    getter!(engine, "rows", ["t: table", "integer"], "/// How many rows it has [1].", |t: &mut Table| t.rows() as INT);
    getter!(engine, "len", ["t: table", "integer"], "/// How many rows it has [1].", |t: &mut Table| t.rows() as INT);
    getter!(engine, "columns", ["t: table", "array"], "/// Names of its columns.", |t: &mut Table| names(t));
    getter!(
        engine,
        "units",
        ["t: table", "array"],
        "/// The unit of each column as text; empty for columns of texts and truths.",
        |t: &mut Table| units(t)
    );
    crate::read_only(engine, "a table", "columns", names);
    crate::read_only(engine, "a table", "units", units);
    // the width of the screen is known where there is one
    let text = |c: NativeCallContext, t: &mut Table| t.text(here(&c).map_or(100, |context| context.width));
    engine.register_fn("to_string", text);
    engine.register_fn("to_debug", text);
}

fn names(t: &Table) -> Array {
    t.columns().iter().map(|(name, _)| Dynamic::from(name.clone())).collect()
}

fn units(t: &Table) -> Array {
    let unit = |column: &Column| match column {
        Column::Numbers(v) => v.unit().symbol().to_string(),
        _ => String::new(),
    };
    t.columns().iter().map(|(_, column)| Dynamic::from(unit(column))).collect()
}

fn access(engine: &mut Engine) {
    fn rows(t: &mut Table, index: &Dynamic) -> Outcome<Table> {
        Ok(t.pick(&chosen(index, t.rows(), "table")?))
    }
    engine
        .register_indexer_get(|t: &mut Table, name: ImmutableString| t.column(&name).map(Column::value))
        .register_indexer_set(|t: &mut Table, name: ImmutableString, value: Dynamic| t.set(&name, &value))
        .register_indexer_get(|t: &mut Table, row: INT| -> Outcome<Map> { Ok(t.row(place(row, t.rows(), "table")?)) })
        .register_indexer_set(|t: &mut Table, row: INT, entries: Map| {
            t.put_row(place(row, t.rows(), "table")?, &entries)
        })
        .register_indexer_get(|t: &mut Table, r: Range<INT>| rows(t, &Dynamic::from(r)))
        .register_indexer_get(|t: &mut Table, r: RangeInclusive<INT>| rows(t, &Dynamic::from(r)))
        .register_indexer_get(|t: &mut Table, mask: Mask| rows(t, &Dynamic::from(mask)))
        .register_indexer_get(|t: &mut Table, list: Array| rows(t, &Dynamic::from(list)))
        .register_iterator::<Table>();
    let equal = |a: &Table, b: &Table| {
        let columns = || a.columns().iter().zip(b.columns());
        a.columns().len() == b.columns().len()
            && columns().all(|((a, x), (b, y))| a == b && crate::same(&x.value(), &y.value()))
    };
    engine.register_fn("==", move |a: Table, b: Table| equal(&a, &b));
    engine.register_fn("!=", move |a: Table, b: Table| !equal(&a, &b));
}

impl IntoIterator for Table {
    type Item = Map;
    type IntoIter = std::vec::IntoIter<Map>;

    fn into_iter(self) -> Self::IntoIter {
        (0..self.rows()).map(|row| self.row(row)).collect::<Vec<_>>().into_iter()
    }
}

/// The order of rows by a column.
fn order(column: &Column, rows: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..rows).collect();
    match column {
        Column::Numbers(v) => places.sort_by(|a, b| rising(&v.si()[*a], &v.si()[*b])),
        Column::Texts(texts) => places.sort_by(|a, b| texts[*a].cmp(&texts[*b])),
        Column::Truths(mask) => places.sort_by_key(|place| mask.0[*place]),
        Column::Empty => {}
    }
    places
}

fn some(t: &Table, keep: &[String]) -> Outcome<Table> {
    let columns = keep.iter().map(|name| Ok(t.columns()[t.place(name)?].clone()));
    Ok(Table { columns: Arc::new(columns.collect::<Outcome<_>>()?) })
}

/// One name, or an array of them.
fn listed(value: &Dynamic) -> Outcome<Vec<String>> {
    let text = |v: &Dynamic| v.clone().into_string().map_err(|_| script_error("the name of a column must be a text"));
    match value.read_lock::<Array>() {
        Some(array) => array.iter().map(text).collect(),
        None => Ok(vec![text(value)?]),
    }
}

fn changing(engine: &mut Engine) {
    document!(
        engine,
        "push",
        ["t: table", "row: map", "()"],
        "/// Adds a row at the end.\n///\n\
         /// # Parameters\n/// - `row`: a map with an entry for every column; the first row of a table without columns makes them.\n///\n\
         /// # Errors\n/// - `has no entry`, `has no column`: an entry is missing, or one too many.\n/// - `put together`: an entry has another dimension than the column.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = table([]);\n/// t.push(#{ kick: 1 * urad, x: 0.1 * mm });\n/// t.push(#{ kick: 2 * urad, x: 0.2 * mm });\n/// assert(t[1].x == 0.2 * mm);\n/// ```",
        |t: &mut Table, row: Map| t.put_row(t.rows(), &row)
    );
    document!(
        engine,
        "sorted",
        ["t: table", "column: text", "table"],
        "/// Sorts the rows by a column, smallest first, missing numbers last.\n///\n\
         /// # Parameters\n/// - `t`: a table.\n/// - `column`: the name of the column.\n///\n\
         /// # Returns\n/// A new table; `.reversed()` turns it round.\n///\n\
         /// # Errors\n/// - `has no column`: there is none of that name.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = table(#{ name: [\"a\", \"b\"], x: vector([2, 1], \"mm\") });\n/// assert(t.sorted(\"x\").name == [\"b\", \"a\"]);\n/// ```",
        |t: Table, column: &str| -> Outcome<Table> { Ok(t.pick(&order(t.column(column)?, t.rows()))) }
    );
    document!(
        engine,
        "reversed",
        ["t: table", "table"],
        "/// Turns the order of the rows round.\n///\n\
         /// # Returns\n/// A new table.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(table(#{ x: vector([1, 2]) }).reversed().x[0] == 2);\n/// ```",
        |t: Table| t.pick(&(0..t.rows()).rev().collect::<Vec<_>>())
    );
    document!(
        engine,
        "where",
        ["t: table", "condition: function", "table"],
        "/// Gives the rows of a table for which a condition holds.\n///\n\
         /// # Parameters\n/// - `t`: a table.\n/// - `condition`: a function of one row, such as `|row| row.x > 1.0 * mm`; a mask, `t[t.x > 1.0 * mm]`, does the same.\n///\n\
         /// # Returns\n/// A new table.\n///\n\
         /// # Errors\n/// - `true or false`: the condition answers something else.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = table(#{ name: [\"a\", \"b\"], x: vector([2, 1], \"mm\") });\n/// assert(t.where(|row| row.x > 1.5 * mm).name == [\"a\"]);\n/// ```",
        |c: NativeCallContext, t: Table, condition: Dynamic| -> Outcome<Table> {
            let condition = Callback::from_dynamic(&c, condition, "the condition")?;
            let mut kept = Vec::new();
            for row in 0..t.rows() {
                let answer = condition.call(&c, (t.row(row),))?;
                if answer.as_bool().map_err(|found| {
                    let found = article(&type_word(found));
                    script_error(format!("the condition must answer true or false, not {found}"))
                })? {
                    kept.push(row);
                }
            }
            Ok(t.pick(&kept))
        }
    );
    document!(
        engine,
        "select",
        ["t: table", "columns: array", "table"],
        "/// Gives some columns of a table, in the order asked for.\n///\n\
         /// # Parameters\n/// - `t`: a table.\n/// - `columns`: names of columns; one as text.\n///\n\
         /// # Returns\n/// A new table.\n///\n\
         /// # Errors\n/// - `has no column`: there is none of that name.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = table(#{ a: vector([1]), b: vector([2]) });\n/// assert(t.select([\"b\", \"a\"]).columns == [\"b\", \"a\"]);\n/// ```",
        |t: Table, columns: Dynamic| some(&t, &listed(&columns)?)
    );
    document!(
        engine,
        "without",
        ["t: table", "columns: array", "table"],
        "/// Gives a table without some columns.\n///\n\
         /// # Parameters\n/// - `t`: a table.\n/// - `columns`: names of columns; one as text.\n///\n\
         /// # Returns\n/// A new table.\n///\n\
         /// # Errors\n/// - `has no column`: there is none of that name.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(table(BPM).without(\"s\").columns == [\"name\"]);\n/// ```",
        |t: Table, columns: Dynamic| -> Outcome<Table> {
            let out = listed(&columns)?;
            out.iter().try_for_each(|name| t.place(name).map(drop))?;
            let names = t.columns().iter().map(|(name, _)| name.to_string()).filter(|name| !out.contains(name));
            some(&t, &names.collect::<Vec<_>>())
        }
    );
    document!(
        engine,
        "to_array",
        ["t: table", "array"],
        "/// Makes an array of the rows.\n///\n\
         /// # Returns\n/// An array of maps, each with an entry for every column.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(table(BPM).to_array()[0].name == BPM[0].name);\n/// ```",
        |t: Table| t.into_iter().map(Dynamic::from).collect::<Array>()
    );
}
