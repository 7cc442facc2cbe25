//! Tables read with their places, so that every mistake is shown where it stands.

use crate::Files;
use fodo_report::{Diagnostic, Kind, Label, Result};
use fodo_units::{Quantity, Unit};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A TOML table of a facility file, with its place; knows which keys have been asked for.
///
/// A table can be like another one of its file, or of the file of that name of the facility that this one is based on:
/// what it does not say itself is then looked up there. An empty text takes back what is said there.
pub struct Table<'t> {
    own: Layer<'t>,
    place: Range<usize>,
    /// The tables it is like, the nearest first.
    models: Vec<Layer<'t>>,
    asked: RefCell<BTreeSet<String>>,
}

/// A table as one file has it.
#[derive(Clone, Copy)]
struct Layer<'t> {
    file: &'t str,
    text: &'t str,
    table: &'t DeTable<'t>,
}

impl<'t> Layer<'t> {
    fn value(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
    }

    fn inner(&self, key: &str) -> Option<Layer<'t>> {
        match self.value(key)?.get_ref() {
            DeValue::Table(table) => Some(Layer { table, ..*self }),
            _ => None,
        }
    }
}

/// Reads a TOML file of a facility and hands its top table to `read`.
///
/// # Errors
/// Missing file, syntax, and whatever `read` finds, each with file, line and column.
pub fn open_tables<T>(files: &dyn Files, path: &str, read: impl FnOnce(&Table) -> Result<T>) -> Result<T> {
    let sources = files.layers(path);
    let mut parsed = Vec::with_capacity(sources.len());
    for (shown, text) in &sources {
        parsed.push(DeTable::parse(text).map_err(|error| {
            let label = Label::at_bytes(shown, text, error.span().unwrap_or(0..0));
            Diagnostic::new(Kind::Facility, format!("{path} is not a valid table: {}", error.message())).label(label)
        })?);
    }
    let mut layers = sources.iter().zip(&parsed).map(|((file, text), parsed)| {
        let table = parsed.get_ref();
        Layer { file, text, table }
    });
    let Some(own) = layers.next() else {
        let what = format!("the facility has no readable file {}", files.shown(path));
        return Err(Diagnostic::new(Kind::Facility, what).into());
    };
    read(&Table { own, place: 0..0, models: layers.collect(), asked: RefCell::default() })
}

/// Whether a value takes back that of the table it is like.
fn is_empty(value: &Spanned<DeValue>) -> bool {
    matches!(value.get_ref(), DeValue::String(text) if text.is_empty())
}

impl<'t> Table<'t> {
    fn entry(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.found(key).map(|(_, value)| value)
    }

    /// The value of a key and whose it is; an empty text is none.
    fn found(&self, key: &str) -> Option<(Layer<'t>, &'t Spanned<DeValue<'t>>)> {
        self.asked.borrow_mut().insert(key.to_string());
        let (layer, value) = self.layers().find_map(|layer| Some((layer, layer.value(key)?)))?;
        (!is_empty(value)).then_some((layer, value))
    }

    /// The table itself, then those it is like.
    fn layers(&self) -> impl DoubleEndedIterator<Item = Layer<'t>> {
        std::iter::once(self.own).chain(self.models.iter().copied())
    }

    fn wrong(&self, key: &str, place: Range<usize>, what: impl Into<String>) -> Box<Diagnostic> {
        let of = self.found(key).map_or(self.own, |(layer, _)| layer);
        wrong(of, key, place, what.into())
    }

    /// Where the value of `key` stands, or the table where it has no such key.
    pub fn label(&self, key: &str) -> Label {
        let (layer, place) =
            self.found(key).map_or((self.own, self.place.clone()), |(layer, value)| (layer, value.span()));
        Label::at_bytes(layer.file, layer.text, place)
    }

    /// An error about the value of `key`, or about the whole table where it has no such key.
    pub fn mistake(&self, key: &str, what: impl Into<String>) -> Box<Diagnostic> {
        match self.entry(key) {
            Some(value) => self.wrong(key, value.span(), what),
            None => self.absent(key, what.into()),
        }
    }

    fn absent(&self, key: &str, what: String) -> Box<Diagnostic> {
        let there: Vec<&str> = self.own.table.iter().map(|(name, _)| name.get_ref().as_ref()).collect();
        let missing = what.contains("is missing");
        let mut report = wrong(self.own, key, self.place.clone(), what);
        if let Some(label) = report.labels.first_mut().filter(|_| missing) {
            label.text = if self.place.is_empty() { "in this file" } else { "in this table" }.to_string();
        }
        if let Some(near) = fodo_report::nearest(key, there).first().filter(|_| missing && key.len() > 2) {
            report.hints.push(format!("`{near}` is there: is `{key}` meant?"));
        }
        report
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// A text, if the key is there.
    pub fn text(&self, key: &str) -> Result<Option<&'t str>> {
        let Some(value) = self.entry(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some(text.as_ref())),
            other => Err(self.wrong(key, value.span(), format!("must be a text, found {}", other.type_str()))),
        }
    }

    /// A text that must be there.
    pub fn needed_text(&self, key: &str) -> Result<&'t str> {
        self.text(key)?.ok_or_else(|| self.mistake(key, "is missing"))
    }

    /// One text or a list of texts; empty if the key is not there.
    pub fn texts(&self, key: &str) -> Result<Vec<String>> {
        let Some(value) = self.entry(key) else { return Ok(Vec::new()) };
        let text = |value: &Spanned<DeValue>| match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            other => Err(self.wrong(key, value.span(), format!("must be a text, found {}", other.type_str()))),
        };
        match value.get_ref() {
            DeValue::Array(list) => list.iter().map(text).collect(),
            _ => Ok(vec![text(value)?]),
        }
    }

    /// A plain number, if the key is there.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.entry(key) else { return Ok(None) };
        self.as_number(key, value).map(Some)
    }

    fn as_number(&self, key: &str, value: &Spanned<DeValue>) -> Result<f64> {
        let parsed = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64),
            _ => None,
        };
        parsed.ok_or_else(|| {
            self.wrong(key, value.span(), format!("must be a number, found {}", value.get_ref().type_str()))
        })
    }

    /// A truth value, if the key is there.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.entry(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Boolean(truth) => Ok(Some(*truth)),
            other => Err(self.wrong(key, value.span(), format!("must be true or false, found {}", other.type_str()))),
        }
    }

    /// A quantity in any unit (`"10 urad"`, or a plain number), if the key is there.
    pub fn any_quantity(&self, key: &str) -> Result<Option<Quantity>> {
        let Some(value) = self.entry(key) else { return Ok(None) };
        self.as_quantity(key, value).map(Some)
    }

    fn as_quantity(&self, key: &str, value: &Spanned<DeValue>) -> Result<Quantity> {
        match value.get_ref() {
            DeValue::String(text) => {
                Quantity::parse(text).map_err(|error| self.wrong(key, value.span(), error.to_string()))
            }
            _ => self.as_number(key, value).map(Quantity::plain),
        }
    }

    /// A quantity that can be counted in `unit`, in SI, if the key is there.
    pub fn quantity(&self, key: &str, unit: &Unit) -> Result<Option<f64>> {
        let Some(quantity) = self.any_quantity(key)? else { return Ok(None) };
        quantity.check(unit).map_err(|error| self.mistake(key, error.to_string()))?;
        Ok(Some(quantity.si))
    }

    /// A time in seconds, if the key is there.
    pub fn seconds(&self, key: &str) -> Result<Option<f64>> {
        let unit = Unit::parse("s").map_err(|e| self.mistake(key, e.to_string()))?;
        self.quantity(key, &unit)
    }

    /// A span of time, if the key is there.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>> {
        let Some(seconds) = self.seconds(key)? else { return Ok(None) };
        let span = Duration::try_from_secs_f64(seconds);
        span.map(Some).map_err(|_| self.mistake(key, "must be a time"))
    }

    /// A pair of quantities, if the key is there.
    pub fn pair(&self, key: &str) -> Result<Option<[Quantity; 2]>> {
        let Some(value) = self.entry(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Array(list) if list.len() == 2 => {
                Ok(Some([self.as_quantity(key, &list[0])?, self.as_quantity(key, &list[1])?]))
            }
            _ => Err(self.wrong(key, value.span(), "must be a pair like [\"-1 mrad\", \"1 mrad\"]")),
        }
    }

    /// A unit, if the key is there.
    pub fn unit(&self, key: &str) -> Result<Option<Unit>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        Unit::parse(text).map(Some).map_err(|error| self.mistake(key, error.to_string()))
    }

    /// The table under a key, if the key is there.
    pub fn table(&self, key: &str) -> Result<Option<Table<'t>>> {
        let Some((layer, value)) = self.found(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(table) => Ok(Some(self.inner(key, value.span(), Layer { table, ..layer }))),
            other => Err(self.wrong(key, value.span(), format!("must be a table, found {}", other.type_str()))),
        }
    }

    /// All tables of this one with their names, in the order of the file; first those of the tables it is like.
    pub fn tables(&self) -> Vec<(&'t str, Table<'t>)> {
        let mut found: Vec<(&str, Table)> = Vec::new();
        for layer in self.layers().rev() {
            for (name, value) in layer.table.iter() {
                let key = name.get_ref().as_ref();
                let table = match value.get_ref() {
                    DeValue::Table(table) => table,
                    // an empty text takes it back
                    _ if is_empty(value) && found.iter().any(|(known, _)| *known == key) => {
                        found.retain(|(known, _)| *known != key);
                        continue;
                    }
                    _ => continue,
                };
                self.asked.borrow_mut().insert(key.to_string());
                let inner = self.inner(key, name.span(), Layer { table, ..layer });
                match found.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => *known = inner,
                    None => found.push((key, inner)),
                }
            }
        }
        found
    }

    /// The table under `key`; what it does not say is looked up in the tables of that name of those this one is like.
    fn inner(&self, key: &str, place: Range<usize>, own: Layer<'t>) -> Table<'t> {
        let same = self.layers().filter_map(|layer| layer.inner(key));
        let models = same.filter(|inner| !std::ptr::eq(inner.table, own.table)).collect();
        Table { own, place, models, asked: RefCell::default() }
    }

    /// Lets each table of this one that says `like = "NAME"` follow the table NAME, which has to stand before it.
    ///
    /// # Errors
    /// No table of that name stands before it.
    pub fn alike(&self) -> Result<Vec<(&'t str, Table<'t>)>> {
        let mut found: Vec<(&str, Table)> = Vec::new();
        for (name, mut table) in self.tables() {
            if let Some(model) = table.text("like")? {
                let Some((_, known)) = found.iter().find(|(known, _)| *known == model) else {
                    let before = found.iter().map(|(known, _)| *known);
                    let near =
                        fodo_report::did_you_mean(model, before).map_or(String::new(), |near| format!("; {near}"));
                    return Err(table.mistake("like", format!("no table `{model}` stands before this one{near}")));
                };
                table.models.extend(known.layers());
            }
            found.push((name, table));
        }
        Ok(found)
    }

    /// Its keys that have a value, in the order of the file; then those of the tables it is like.
    pub fn keys(&self) -> Vec<&'t str> {
        let mut keys: Vec<&str> = Vec::new();
        for (name, _) in self.layers().flat_map(|layer| layer.table.iter()) {
            let key = name.get_ref().as_ref();
            let empty = self.layers().find_map(|layer| layer.value(key)).is_some_and(is_empty);
            if !empty && !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// An error if the table has a key that nobody asked for; to be called when all is read.
    pub fn no_other_keys(&self) -> Result<()> {
        let asked = self.asked.borrow();
        for (name, _) in self.own.table.iter() {
            let key = name.get_ref().as_ref();
            if !asked.contains(key) {
                let label = Label::at_bytes(self.own.file, self.own.text, name.span()).say("not known here");
                let report = Diagnostic::new(Kind::Facility, format!("`{key}` is not a key of this table"))
                    .label(label)
                    .near(key, asked.iter().map(String::as_str));
                let known = asked.iter().map(String::as_str).collect::<Vec<_>>().join("`, `");
                let near = !report.hints.is_empty();
                return Err(Box::new(if near { report } else { report.hint(format!("it may have `{known}`")) }));
            }
        }
        Ok(())
    }
}

fn wrong(layer: Layer, key: &str, place: Range<usize>, what: String) -> Box<Diagnostic> {
    let goes_on = ["is ", "are ", "must "].iter().any(|verb| what.starts_with(verb));
    let message = if goes_on { format!("`{key}` {what}") } else { format!("`{key}`: {what}") };
    Diagnostic::new(Kind::Facility, message).label(Label::at_bytes(layer.file, layer.text, place)).into()
}
