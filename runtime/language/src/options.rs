//! Named options: `scan(QF, #{ from: -1.0 * A, steps: 11 })`, checked against their declaration.
//!
//! The same declaration serves builtins and the headers of procedures: check, help, completion, panel.

use crate::{Outcome, article, fail, type_word};
use fodo_report::{Diagnostic, Kind, Result};
use fodo_units::{Quantity, Unit};
use rhai::{Dynamic, FnPtr, Map};
use std::collections::BTreeMap;

/// The name of a value, if it is something of the machine of this sort (`"family"`, `"device"`).
pub type NameOf<'n> = &'n dyn Fn(&str, &Dynamic) -> Option<String>;

/// What values an option takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterKind {
    /// A number counted in a unit; `1` for a plain number.
    Number(Unit),
    /// A number in a unit of any dimension: that of what it is for.
    Quantity,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(Vec<String>),
    /// Any text.
    Text,
    /// Something of the machine by name; if not empty, only of the `permitted` roles.
    Named {
        /// The word for it: `"family"`, `"device"`.
        what: String,
        /// Roles it may have; the caller checks them.
        permitted: Vec<String>,
        /// Whether an array of them is taken.
        many: bool,
    },
    /// A function.
    Function,
    /// Anything; the builtin checks it.
    Any,
}

impl ParameterKind {
    /// Whether it takes a device of the machine.
    pub fn is_device(&self) -> bool {
        matches!(self, ParameterKind::Named { what, .. } if what == "device")
    }

    /// The word for help and errors.
    pub fn word(&self) -> String {
        match self {
            ParameterKind::Number(unit) if unit.dimension().is_none() => "number".to_string(),
            ParameterKind::Number(unit) => format!("quantity in {unit}"),
            ParameterKind::Quantity => "quantity".to_string(),
            ParameterKind::Integer => "integer".to_string(),
            ParameterKind::Boolean => "boolean".to_string(),
            ParameterKind::Choice(words) => format!("one of \"{}\"", words.join("\", \"")),
            ParameterKind::Text => "text".to_string(),
            ParameterKind::Named { what, many: false, .. } => what.clone(),
            ParameterKind::Named { what, .. } => format!("list of names of {what}"),
            ParameterKind::Function => "function".to_string(),
            ParameterKind::Any => "value".to_string(),
        }
    }
}

/// A checked value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number with its unit.
    Number(Quantity),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A text or a choice.
    Text(String),
    /// Names, and the value given if it was not a text.
    Named {
        /// The names.
        names: Vec<String>,
        /// What the script gave, e.g. a family less some devices.
        given: Option<Dynamic>,
    },
    /// Anything else.
    Any(Dynamic),
}

impl Value {
    /// The value as scripts see it: plain numbers for unit `1`, else quantities.
    pub fn to_dynamic(&self) -> Dynamic {
        match self {
            Value::Number(q) if q.dimension().is_none() => q.si.into(),
            Value::Number(q) => Dynamic::from(q.clone()),
            Value::Integer(n) => (*n).into(),
            Value::Boolean(b) => (*b).into(),
            Value::Text(t) => t.clone().into(),
            Value::Named { given: Some(value), .. } | Value::Any(value) => value.clone(),
            Value::Named { names, .. } if names.len() == 1 => names[0].clone().into(),
            Value::Named { names, .. } => {
                names.iter().map(|n| Dynamic::from(n.clone())).collect::<rhai::Array>().into()
            }
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Number(q) => write!(f, "{q}"),
            Value::Integer(n) => write!(f, "{n}"),
            Value::Boolean(b) => write!(f, "{b}"),
            Value::Text(t) => write!(f, "\"{t}\""),
            Value::Named { names, .. } => f.write_str(&names.join(", ")),
            Value::Any(value) => write!(f, "{value}"),
        }
    }
}

/// One declared option or parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub kind: ParameterKind,
    /// Its value when not given; without one it stays absent.
    pub default: Option<Value>,
    /// Least value, in SI.
    pub min: Option<f64>,
    /// Greatest value, in SI.
    pub max: Option<f64>,
    /// One line of help.
    pub help: String,
    /// What counts when it is not given, in words, where that is no value: "as the family says".
    pub otherwise: String,
    /// A family that a facility need not have; the script then sees `()`.
    pub optional: bool,
}

impl Parameter {
    /// A parameter without default, range and help.
    pub fn new(name: impl Into<String>, kind: ParameterKind) -> Parameter {
        Parameter {
            name: name.into(),
            kind,
            default: None,
            min: None,
            max: None,
            help: String::new(),
            otherwise: String::new(),
            optional: false,
        }
    }

    /// The number `si` as the user would write it for this parameter.
    fn shown(&self, si: f64) -> String {
        match &self.kind {
            ParameterKind::Number(unit) => Quantity::from_si(si, unit.clone()).to_string(),
            _ => format!("{si}"),
        }
    }

    /// `0 to 1`, `at least 0`, or nothing.
    pub fn range_text(&self) -> Option<String> {
        match (self.min, self.max) {
            (Some(min), Some(max)) => Some(format!("{} to {}", self.shown(min), self.shown(max))),
            (Some(min), None) => Some(format!("at least {}", self.shown(min))),
            (None, Some(max)) => Some(format!("at most {}", self.shown(max))),
            (None, None) => None,
        }
    }

    /// What it is, in which unit and range, and its default, on one line: for help and completion.
    pub fn about(&self) -> String {
        let kind = match &self.kind {
            ParameterKind::Number(unit) => format!(" [{unit}]"),
            ParameterKind::Integer => " [1]".to_string(),
            ParameterKind::Choice(words) => format!(": \"{}\"", words.join("\", \"")),
            _ => String::new(),
        };
        let range = self.range_text().map(|range| format!(", {range}")).unwrap_or_default();
        let default = match &self.default {
            Some(value) => format!(" Default: {value}."),
            None if self.otherwise.is_empty() => String::new(),
            None => format!(" Default: {}.", self.otherwise),
        };
        format!("{}{kind}{range}.{default}", self.help)
    }

    fn wrong(&self, message: String) -> Box<Diagnostic> {
        let report = Diagnostic::new(Kind::Script, message);
        Box::new(if self.help.is_empty() { report } else { report.hint(format!("`{}`: {}", self.name, self.help)) })
    }

    fn needs(&self, found: &str) -> Box<Diagnostic> {
        let word = self.kind.word();
        let word = if word.starts_with("one of") { word } else { article(&word) };
        self.wrong(format!("`{}` must be {word}, found {found}", self.name))
    }

    fn number(&self, unit: &Unit, found: Quantity) -> Result<Value> {
        if found.dimension() != unit.dimension() {
            let dimensionless = found.dimension().is_none();
            let shown = if dimensionless { format!("the plain number {found}") } else { format!("{found}") };
            let needed =
                if unit.dimension().is_none() { "a plain number".into() } else { format!("a quantity in {unit}") };
            let mut report = self.wrong(format!("`{}` must be {needed}, found {shown}", self.name));
            if dimensionless {
                report.hints.insert(0, format!("write the unit: `{} * {}`", plain_number(found.si), unit.symbol()));
            }
            return Err(report);
        }
        self.in_range(found.si)?;
        Ok(Value::Number(Quantity::from_si(found.si, unit.clone())))
    }

    fn quantity(&self, found: Quantity) -> Result<Value> {
        if found.dimension().is_none() {
            let report = self.needs(&format!("the plain number {found}"));
            return Err(Box::new(report.hint("write the unit, as in `10.0 * urad`")));
        }
        Ok(Value::Number(found))
    }

    fn in_range(&self, si: f64) -> Result<()> {
        if !si.is_finite() {
            return Err(self.wrong(format!("`{}` must be a finite number, found {si}", self.name)));
        }
        if self.min.is_none_or(|min| si >= min) && self.max.is_none_or(|max| si <= max) {
            return Ok(());
        }
        let range = self.range_text().unwrap_or_default();
        Err(self.wrong(format!("`{}` is {}, its range is {range}", self.name, self.shown(si))))
    }

    fn choice(&self, words: &[String], found: &str) -> Result<Value> {
        if words.iter().any(|w| w == found) {
            return Ok(Value::Text(found.to_string()));
        }
        let mut report = self.needs(&format!("\"{found}\""));
        let long = words.iter().map(String::as_str).filter(|w| w.len() > 2);
        report.hints.splice(0..0, fodo_report::did_you_mean(found, long));
        Err(report)
    }

    /// Checks a value given by a script. `name_of` tells the name of a value that is not a text.
    pub fn check(&self, value: &Dynamic, name_of: NameOf) -> Result<Value> {
        let found = || article(&word_of(value, name_of));
        let text = || value.clone().into_string().ok();
        match &self.kind {
            ParameterKind::Number(unit) => self.number(unit, quantity_of(value).ok_or_else(|| self.needs(&found()))?),
            ParameterKind::Quantity => self.quantity(quantity_of(value).ok_or_else(|| self.needs(&found()))?),
            ParameterKind::Integer => {
                let whole = |x: f64| (x.fract() == 0.0 && x.abs() < 9e15).then_some(x as i64);
                let n = value.as_int().ok().or_else(|| value.as_float().ok().and_then(whole));
                let n = n.ok_or_else(|| self.needs(&if value.is_float() { value.to_string() } else { found() }))?;
                self.in_range(n as f64)?;
                Ok(Value::Integer(n))
            }
            ParameterKind::Boolean => value.as_bool().map(Value::Boolean).map_err(|_| self.needs(&found())),
            ParameterKind::Choice(words) => self.choice(words, &text().ok_or_else(|| self.needs(&found()))?),
            ParameterKind::Text => text().map(Value::Text).ok_or_else(|| self.needs(&found())),
            ParameterKind::Named { what, many, .. } => self.named(value, *many, what, name_of),
            ParameterKind::Function => {
                let callable = value.is::<FnPtr>() || value.is::<crate::Callback>();
                callable.then(|| Value::Any(value.clone())).ok_or_else(|| self.needs(&found()))
            }
            ParameterKind::Any => Ok(Value::Any(value.clone())),
        }
    }

    fn named(&self, value: &Dynamic, many: bool, what: &str, name_of: NameOf) -> Result<Value> {
        let name = |v: &Dynamic| v.clone().into_string().ok().or_else(|| name_of(what, v));
        let found = || self.needs(&article(&word_of(value, name_of)));
        if let Some(array) = value.read_lock::<rhai::Array>().filter(|_| many) {
            let names = array.iter().map(name).collect::<Option<Vec<_>>>().ok_or_else(found)?;
            let given = array.iter().any(|v| !v.is_string()).then(|| value.clone());
            return Ok(Value::Named { names, given });
        }
        let given = (!value.is_string()).then(|| value.clone());
        Ok(Value::Named { names: vec![name(value).ok_or_else(found)?], given })
    }

    /// Checks a value written on the command line.
    pub fn parse(&self, text: &str) -> Result<Value> {
        let text = text.trim();
        match &self.kind {
            ParameterKind::Number(unit) => {
                let found = Quantity::parse(text).map_err(|e| {
                    let mut report = self.needs(&format!("`{text}`"));
                    if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
                        report.details.push(e.to_string());
                    }
                    report
                })?;
                let mut checked = self.number(unit, found);
                if let Err(report) = &mut checked {
                    for hint in &mut report.hints {
                        *hint = hint.replace(" * ", " ").replace("write the unit:", "write the unit, as in");
                    }
                }
                checked
            }
            ParameterKind::Quantity => {
                self.quantity(Quantity::parse(text).map_err(|_| self.needs(&format!("`{text}`")))?)
            }
            ParameterKind::Integer => {
                let n: i64 = text.parse().map_err(|_| self.needs(&format!("`{text}`")))?;
                self.in_range(n as f64)?;
                Ok(Value::Integer(n))
            }
            ParameterKind::Boolean => match text {
                "true" | "yes" | "on" => Ok(Value::Boolean(true)),
                "false" | "no" | "off" => Ok(Value::Boolean(false)),
                _ => Err(self.needs(&format!("`{text}`"))),
            },
            ParameterKind::Choice(words) => self.choice(words, text),
            ParameterKind::Text => Ok(Value::Text(text.to_string())),
            ParameterKind::Named { many, .. } => {
                let names: Vec<String> =
                    text.split(',').map(|n| n.trim().to_string()).filter(|n| !n.is_empty()).collect();
                match names.len() {
                    1 => Ok(Value::Named { names, given: None }),
                    n if n > 1 && *many => Ok(Value::Named { names, given: None }),
                    _ => Err(self.needs(&format!("`{text}`"))),
                }
            }
            ParameterKind::Function | ParameterKind::Any => {
                Err(self.wrong(format!("`{}` cannot be given on the command line", self.name)))
            }
        }
    }
}

/// The word for a value, which may be something of the machine.
fn word_of(value: &Dynamic, name_of: NameOf) -> String {
    let machine = ["family", "device"].into_iter().find(|word| name_of(word, value).is_some());
    machine.map_or_else(|| type_word(value.type_name()), String::from)
}

fn plain_number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.1}") } else { format!("{value}") }
}

/// A number, integer or quantity of a script.
fn quantity_of(value: &Dynamic) -> Option<Quantity> {
    if let Ok(n) = value.as_int() {
        return Some(Quantity::plain(n as f64));
    }
    if let Ok(x) = value.as_float() {
        return Some(Quantity::plain(x));
    }
    value.read_lock::<Quantity>().map(|q| q.clone())
}

/// Checks the text of `name=value` for one of `parameters`.
pub fn text_value(owner: &str, parameters: &[Parameter], name: &str, text: &str) -> Result<Value> {
    find(owner, parameters, name, "parameter")?.parse(text)
}

fn find<'a>(owner: &str, parameters: &'a [Parameter], name: &str, what: &str) -> Result<&'a Parameter> {
    let known = parameters.iter().map(|p| p.name.as_str());
    parameters.iter().find(|p| p.name == name).ok_or_else(|| unknown_option(owner, known, name, what).into())
}

/// What is told of an option (`what`: "option", "parameter") that `owner` does not have among those `known`.
pub fn unknown_option<'a>(owner: &str, known: impl IntoIterator<Item = &'a str>, name: &str, what: &str) -> Diagnostic {
    let known: Vec<&str> = known.into_iter().collect();
    let report = Diagnostic::new(Kind::Script, format!("`{owner}` has no {what} `{name}`"));
    let report = report.near(name, known.iter().copied());
    match known.as_slice() {
        [] => report.hint("it takes none"),
        _ if report.hints.is_empty() => report.hint(format!("it has `{}`", known.join("`, `"))),
        _ => report,
    }
}

/// Checks the map a script gave to `owner` and fills in the defaults.
pub fn check_values(owner: &str, parameters: &[Parameter], map: &Map, name_of: NameOf, what: &str) -> Result<Values> {
    let mut values = Values::defaults(owner, parameters);
    for (name, value) in map {
        let parameter = find(owner, parameters, name, what)?;
        values.set(name, parameter.check(value, name_of)?);
    }
    Ok(values)
}

/// Checked values by name.
#[derive(Clone, Debug, Default)]
pub struct Values {
    owner: String,
    values: BTreeMap<String, Value>,
    given: Vec<String>,
}

impl Values {
    /// The defaults of `parameters`.
    pub fn defaults(owner: &str, parameters: &[Parameter]) -> Values {
        let values = parameters.iter().filter_map(|p| Some((p.name.clone(), p.default.clone()?))).collect();
        Values { owner: owner.to_string(), values, given: Vec::new() }
    }

    /// Replaces a value that has been checked.
    pub fn set(&mut self, name: &str, value: Value) {
        self.given.push(name.to_string());
        self.values.insert(name.to_string(), value);
    }

    /// The value of `name`, default or given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Whether the script gave it.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|n| n == name)
    }

    /// All values by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A number in SI.
    pub fn number(&self, name: &str) -> Outcome<f64> {
        self.maybe_number(name).ok_or_else(|| self.missing(name))
    }

    /// A number in SI, if given or defaulted.
    pub fn maybe_number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(Value::Number(q)) => Some(q.si),
            Some(Value::Integer(n)) => Some(*n as f64),
            _ => None,
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Outcome<i64> {
        self.maybe_integer(name).ok_or_else(|| self.missing(name))
    }

    /// A whole number, if given or defaulted.
    pub fn maybe_integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Integer(n)) => Some(*n),
            _ => None,
        }
    }

    /// True or false; absent is false.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean(true)))
    }

    /// A text or choice.
    pub fn text(&self, name: &str) -> Outcome<&str> {
        self.maybe_text(name).ok_or_else(|| self.missing(name))
    }

    /// A text or choice, if given or defaulted.
    pub fn maybe_text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value as the script gave it.
    pub fn maybe_dynamic(&self, name: &str) -> Option<Dynamic> {
        self.get(name).map(Value::to_dynamic)
    }

    /// All values as the map that `fn run(p)` sees.
    pub fn to_map(&self) -> Map {
        self.values.iter().map(|(name, value)| (name.as_str().into(), value.to_dynamic())).collect()
    }

    fn missing(&self, name: &str) -> Box<rhai::EvalAltResult> {
        fail(Box::new(Diagnostic::new(Kind::Script, format!("`{}` needs the option `{name}`", self.owner))))
    }
}

/// The options of one builtin, declared once.
#[derive(Clone, Debug)]
pub struct Options {
    owner: String,
    parameters: Vec<Parameter>,
}

impl Options {
    /// The options of the builtin `owner`.
    pub fn new(owner: &str) -> Options {
        Options { owner: owner.to_string(), parameters: Vec::new() }
    }

    fn with(mut self, name: &str, kind: ParameterKind, default: Option<Value>) -> Options {
        self.parameters.push(Parameter { default, ..Parameter::new(name, kind) });
        self
    }

    /// A number counted in `unit`, absent when not given. An unknown unit counts as none; tests find it.
    pub fn number(self, name: &str, unit: &str) -> Options {
        debug_assert!(Unit::parse(unit).is_ok(), "{unit}");
        self.with(name, ParameterKind::Number(Unit::parse(unit).unwrap_or_else(|_| Unit::none())), None)
    }

    /// A number in a unit of any dimension, absent when not given.
    pub fn quantity(self, name: &str) -> Options {
        self.with(name, ParameterKind::Quantity, None)
    }

    /// A whole number, absent when not given.
    pub fn integer(self, name: &str) -> Options {
        self.with(name, ParameterKind::Integer, None)
    }

    /// True or false, false when not given.
    pub fn flag(self, name: &str) -> Options {
        self.with(name, ParameterKind::Boolean, Some(Value::Boolean(false)))
    }

    /// One of `words`.
    pub fn choice(self, name: &str, words: &[&str]) -> Options {
        self.with(name, ParameterKind::Choice(words.iter().map(|w| (*w).to_string()).collect()), None)
    }

    /// A text.
    pub fn text(self, name: &str) -> Options {
        self.with(name, ParameterKind::Text, None)
    }

    /// A function.
    pub fn function(self, name: &str) -> Options {
        self.with(name, ParameterKind::Function, None)
    }

    /// Anything; the builtin checks it.
    pub fn any(self, name: &str) -> Options {
        self.with(name, ParameterKind::Any, None)
    }

    /// Default of the last option, in its unit.
    pub fn default(self, value: impl Into<Dynamic>) -> Options {
        let value = value.into();
        self.change(|p| {
            p.default = match (&p.kind, value.as_float().or(value.as_int().map(|n| n as f64))) {
                (ParameterKind::Number(unit), Ok(x)) => Some(Value::Number(Quantity::new(x, unit.clone()))),
                _ => p.check(&value, &|_, _| None).ok(),
            }
        })
    }

    /// Range of the last option, in its unit.
    pub fn range(self, min: f64, max: f64) -> Options {
        self.at_least(min).change(|p| p.max = Some(max * scale(p)))
    }

    /// Least value of the last option, in its unit.
    pub fn at_least(self, min: f64) -> Options {
        self.change(|p| p.min = Some(min * scale(p)))
    }

    /// Help of the last option.
    pub fn help(self, text: &str) -> Options {
        self.change(|p| p.help = text.to_string())
    }

    /// What counts when the last option is not given, where that is no value: "as the family says".
    pub fn otherwise(self, text: &str) -> Options {
        self.change(|p| p.otherwise = text.to_string())
    }

    fn change(mut self, change: impl FnOnce(&mut Parameter)) -> Options {
        if let Some(last) = self.parameters.last_mut() {
            change(last);
        }
        self
    }

    /// The builtin they are of.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The lines of a doc comment about them; `{options}` in a comment stands for these.
    pub fn lines(&self) -> String {
        self.parameters.iter().map(|p| format!("/// - `{}`: {}\n", p.name, p.about())).collect()
    }

    /// The declarations, for the check, help and completion.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Checks the map a script gave.
    pub fn read(&self, map: &Map) -> Outcome<Values> {
        check_values(&self.owner, &self.parameters, map, &|_, _| None, "option").map_err(fail)
    }
}

fn scale(parameter: &Parameter) -> f64 {
    match &parameter.kind {
        ParameterKind::Number(unit) => unit.scale(),
        _ => 1.0,
    }
}
