//! Where a number stands in what a channel holds.

use fodo_control::{Form, Value};
use std::sync::Arc;

/// A channel's one number, an entry of its row, or an entry of a column of its table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Column of a table.
    pub column: Option<Arc<str>>,
    /// Entry of the row or the column, from 0.
    pub index: Option<usize>,
}

impl Place {
    /// The number at this place.
    ///
    /// # Errors
    /// What is there instead.
    pub fn number(&self, value: &Value) -> Result<f64, String> {
        let Some(index) = self.index else {
            return value.number().ok_or_else(|| format!("{value}, not one number"));
        };
        let row = self.row(value)?;
        row.entries().get(index).copied().ok_or_else(|| match (&self.column, value) {
            (Some(column), _) if row.form() != Form::Vector => format!("{row} in the column `{column}`, not numbers"),
            (Some(column), _) => format!("{row} in the column `{column}`, which has no entry {index}"),
            (None, Value::Table(_)) => format!("{value}; `column` says which of {} is meant", names(value).join(", ")),
            (None, _) => format!("{value}, which has no entry {index}"),
        })
    }

    /// The row that the number is an entry of.
    ///
    /// # Errors
    /// Why there is none.
    pub fn row<'v>(&self, value: &'v Value) -> Result<&'v Value, String> {
        let Some(column) = &self.column else { return Ok(value) };
        let known = names(value);
        value.column(column).ok_or_else(|| match fodo_report::did_you_mean(column, known.iter().copied()) {
            _ if known.is_empty() => format!("{value}, not a table with the column `{column}`"),
            Some(near) => format!("{value} without the column `{column}`; {near}"),
            None => format!("{value} without the column `{column}`; it has {}", known.join(", ")),
        })
    }
}

/// The columns of a table.
fn names(value: &Value) -> Vec<&str> {
    let Value::Table(columns) = value else { return Vec::new() };
    columns.iter().map(|(name, _)| name.as_ref()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(value: &Value, column: Option<&str>, index: Option<usize>) -> Result<f64, String> {
        Place { column: column.map(Arc::from), index }.number(value)
    }

    #[test]
    fn what_is_no_number_is_described() {
        let row = Value::Vector([1.0, 2.0].into());
        assert_eq!(read(&1.5.into(), None, None), Ok(1.5));
        assert_eq!(read(&row, None, Some(1)), Ok(2.0));
        let why = |value: &Value, index| read(value, None, index).unwrap_err();
        assert_eq!(why(&"on".into(), None), "the text \"on\", not one number");
        assert_eq!(why(&row, None), "a row of 2 numbers, not one number");
        assert_eq!(why(&row, Some(2)), "a row of 2 numbers, which has no entry 2");
    }

    #[test]
    fn a_column_is_found_or_its_neighbours_named() {
        let names = Value::Texts(["a".into(), "b".into()].into());
        let columns = [("name", names), ("pos_x", Value::Vector([1.0, 2.0].into()))];
        let table = Value::Table(columns.map(|(name, column)| (name.into(), column)).into());
        assert_eq!(read(&table, Some("pos_x"), Some(1)), Ok(2.0));
        let why = |value: &Value, column, index| read(value, column, Some(index)).unwrap_err();
        assert_eq!(why(&table, Some("pos_X"), 0), "a table without the column `pos_X`; did you mean `pos_x`?");
        assert_eq!(why(&table, Some("orbit"), 0), "a table without the column `orbit`; it has name, pos_x");
        assert_eq!(why(&table, Some("pos_x"), 2), "a row of 2 numbers in the column `pos_x`, which has no entry 2");
        assert_eq!(why(&table, Some("name"), 0), "a row of 2 texts in the column `name`, not numbers");
        assert_eq!(why(&table, None, 0), "a table; `column` says which of name, pos_x is meant");
        assert_eq!(why(&1.5.into(), Some("x"), 0), "1.5, not a table with the column `x`");
        assert_eq!(read(&table, None, None).unwrap_err(), "a table, not one number");
    }
}
