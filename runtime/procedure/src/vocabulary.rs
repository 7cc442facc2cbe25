//! The words of a header: `procedure`, `number`, `integer`, `boolean`, `choice`, `text`, `family`, `families`, `device`.

use crate::header::Header;
use fodo_language::{Outcome, Parameter, ParameterKind, Value, article, fail, type_word};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, Map};
use std::collections::BTreeMap;

/// An engine that can evaluate a header and nothing else.
pub(crate) fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_optimization_level(rhai::OptimizationLevel::None)
        .set_max_operations(10_000)
        .set_max_string_size(100_000)
        .set_max_array_size(1_000)
        .set_max_map_size(1_000)
        .set_max_call_levels(8)
        .set_max_expr_depths(256, 128)
        .disable_symbol("eval");
    fodo_language::divide_integers(&mut engine);
    engine.register_type_with_name::<Parameter>("parameter");
    engine.register_fn("procedure", procedure);
    number(&mut engine);
    engine.register_fn("integer", |default: Dynamic| simple(ParameterKind::Integer, default, Map::new()));
    engine.register_fn("integer", |default: Dynamic, o: Map| simple(ParameterKind::Integer, default, o));
    engine.register_fn("boolean", |default: Dynamic| simple(ParameterKind::Boolean, default, Map::new()));
    engine.register_fn("boolean", |default: Dynamic, o: Map| simple(ParameterKind::Boolean, default, o));
    engine.register_fn("text", |default: Dynamic| simple(ParameterKind::Text, default, Map::new()));
    engine.register_fn("text", |default: Dynamic, o: Map| simple(ParameterKind::Text, default, o));
    engine.register_fn("choice", |words: Array| choice(words, Map::new()));
    engine.register_fn("choice", choice);
    for word in ["family", "families", "device"] {
        engine.register_fn(word, move |name: Dynamic| named(name, Map::new(), word));
        engine.register_fn(word, move |name: Dynamic, options: Map| named(name, options, word));
    }
    engine
}

fn number(engine: &mut Engine) {
    engine.register_fn("number", |default: Dynamic, unit: ImmutableString| in_unit(default, &unit, Map::new()));
    engine.register_fn("number", |default: Dynamic, unit: ImmutableString, o: Map| in_unit(default, &unit, o));
    let no_unit = |_: Dynamic| -> Outcome<Parameter> {
        Err(error("`number` needs a unit")
            .map_hint("`number(0.5, \"1\")` for a plain number, `number(5.0, \"urad\")` for an angle"))
    };
    engine.register_fn("number", no_unit);
    engine.register_fn("number", |_: Dynamic, _: Map| -> Outcome<Parameter> {
        Err(error("`number` needs a unit").map_hint("`number(0.5, \"1\", #{ … })` for a plain number"))
    });
}

fn error(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Kind::Script, message)
}

/// A diagnostic with advice, as an error.
trait MapHint {
    fn map_hint(self, hint: &str) -> Box<EvalAltResult>;
}

impl MapHint for Diagnostic {
    fn map_hint(self, hint: &str) -> Box<EvalAltResult> {
        fail(Box::new(self.hint(hint)))
    }
}

fn in_unit(default: Dynamic, unit: &str, options: Map) -> Outcome<Parameter> {
    let unit = Unit::parse(unit).map_err(|e| fail(Box::new(error(e.to_string()))))?;
    // the header counts default, min and max in the unit it names
    let counted = |value: &Dynamic| value.as_float().or_else(|_| value.as_int().map(|n| n as f64)).ok();
    let mut parameter = Parameter::new("", ParameterKind::Number(unit.clone()));
    read_options(&mut parameter, &options, "number", &["min", "max", "help"], &unit)?;
    if !default.is_unit() {
        let value = counted(&default).ok_or_else(|| wrong_default("number", &default))?;
        parameter.default = Some(default_in_range(&parameter, Dynamic::from(Quantity::new(value, unit)))?);
    }
    Ok(parameter)
}

fn simple(kind: ParameterKind, default: Dynamic, options: Map) -> Outcome<Parameter> {
    let word = kind.word();
    let allowed: &[&str] = if kind == ParameterKind::Integer { &["min", "max", "help"] } else { &["help"] };
    let mut parameter = Parameter::new("", kind);
    read_options(&mut parameter, &options, &word, allowed, &Unit::none())?;
    if !default.is_unit() {
        parameter.default = Some(default_in_range(&parameter, default)?);
    }
    Ok(parameter)
}

fn choice(words: Array, mut options: Map) -> Outcome<Parameter> {
    let texts: Option<Vec<String>> = words.iter().map(|w| w.clone().into_string().ok()).collect();
    let texts = texts.filter(|t| !t.is_empty()).ok_or_else(|| {
        error("`choice` takes an array of texts")
            .map_hint("`choice([\"x\", \"y\"], #{ default: \"x\" })`; without a default it is the first")
    })?;
    let default = options.remove("default").unwrap_or_else(|| texts[0].clone().into());
    let mut parameter = Parameter::new("", ParameterKind::Choice(texts));
    read_options(&mut parameter, &options, "choice", &["default", "help"], &Unit::none())?;
    parameter.default = Some(default_in_range(&parameter, default)?);
    Ok(parameter)
}

fn named(default: Dynamic, mut options: Map, word: &str) -> Outcome<Parameter> {
    let many = word == "families";
    let what = if word == "device" { "device" } else { "family" };
    let permitted = match options.remove("roles") {
        Some(roles) => texts(&roles).ok_or_else(|| fail(Box::new(error("`roles` is an array of texts"))))?,
        None => Vec::new(),
    };
    let optional = match options.remove("optional").map(|value| value.as_bool()) {
        None => false,
        Some(Ok(optional)) => optional,
        Some(Err(_)) => return Err(fail(Box::new(error("`optional` is true or false")))),
    };
    let mut parameter = Parameter::new("", ParameterKind::Named { what: what.into(), permitted, many });
    parameter.optional = optional;
    read_options(&mut parameter, &options, word, &["roles", "optional", "help"], &Unit::none())?;
    if !default.is_unit() {
        let names = texts(&default).filter(|names| many || names.len() == 1);
        let mut names = names.ok_or_else(|| wrong_default(word, &default))?;
        if what == "device" {
            // the first of a family or role
            names.iter_mut().filter(|name| !name.ends_with(']')).for_each(|name| name.push_str("[0]"));
        }
        parameter.default = Some(Value::Named { names, given: None });
    }
    Ok(parameter)
}

fn wrong_default(word: &str, found: &Dynamic) -> Box<EvalAltResult> {
    let found = article(&type_word(found.type_name()));
    error(format!("the default of `{word}` cannot be {found}"))
        .map_hint("`()` as the default makes the parameter required")
}

/// The default must itself pass the check of its parameter.
fn default_in_range(parameter: &Parameter, default: Dynamic) -> Outcome<Value> {
    parameter.check(&default, &|_, _| None).map_err(|mut report| {
        report.message = format!("the default does not fit: {}", report.message.replace("`` ", "it "));
        report.hints.clear();
        fail(report)
    })
}

fn read_options(parameter: &mut Parameter, options: &Map, word: &str, known: &[&str], unit: &Unit) -> Outcome<()> {
    for (key, value) in options {
        let number = || {
            let number = value.as_float().or_else(|_| value.as_int().map(|n| n as f64));
            number.map_err(|found| {
                let found = article(&type_word(found));
                fail(Box::new(error(format!("`{key}` of `{word}` must be a number, found {found}"))))
            })
        };
        match key.as_str() {
            unknown if !known.contains(&unknown) => {
                let report = error(format!("`{word}` has no option `{unknown}`")).near(unknown, known.iter().copied());
                let report = if report.hints.is_empty() {
                    report.hint(format!("it has `{}`", known.join("`, `")))
                } else {
                    report
                };
                return Err(fail(Box::new(report)));
            }
            "min" => parameter.min = Some(number()? * unit.scale()),
            "max" => parameter.max = Some(number()? * unit.scale()),
            _ => parameter.help = value.clone().into_string().unwrap_or_default(),
        }
    }
    match (parameter.min, parameter.max) {
        (Some(min), Some(max)) if min > max => Err(fail(Box::new(error(format!("`min` of `{word}` is above `max`"))))),
        _ => Ok(()),
    }
}

/// A text or an array of texts.
fn texts(value: &Dynamic) -> Option<Vec<String>> {
    if let Ok(one) = value.clone().into_string() {
        return Some(vec![one]);
    }
    value.read_lock::<Array>()?.iter().map(|v| v.clone().into_string().ok()).collect()
}

/// A text, or a map of texts; a text counts as the entry "".
fn described(value: &Dynamic) -> Option<BTreeMap<String, String>> {
    if let Ok(text) = value.clone().into_string() {
        return Some(BTreeMap::from([(String::new(), text)]));
    }
    value.read_lock::<Map>()?.iter().map(|(k, v)| Some((k.to_string(), v.clone().into_string().ok()?))).collect()
}

/// What a procedure can ask of a feedback.
const STATES: [&str; 3] = ["on", "off", "either"];

/// Feedbacks with their states, all of them known.
fn states(feedbacks: BTreeMap<String, String>) -> Outcome<BTreeMap<String, String>> {
    match feedbacks.iter().find(|(_, state)| !STATES.contains(&state.as_str())) {
        None => Ok(feedbacks),
        Some((feedback, state)) => {
            let report = error(format!("the feedback `{feedback}` cannot be \"{state}\"")).near(state, STATES);
            Err(fail(Box::new(report.hint("a procedure needs it \"on\", \"off\" or \"either\""))))
        }
    }
}

/// The keys of a header.
pub(crate) const KEYS: [&str; 8] =
    ["changes", "reads", "watchers", "feedbacks", "takes", "returns", "plots", "parameters"];

fn procedure(map: Map) -> Outcome<Header> {
    let mut header = Header::default();
    for (key, value) in &map {
        let wrong = |needed: &str| {
            let found = article(&type_word(value.type_name()));
            fail(Box::new(error(format!("`{key}` of the header must be {needed}, found {found}"))))
        };
        let list = || texts(value).ok_or_else(|| wrong("an array of texts"));
        match key.as_str() {
            "changes" => header.changes = list()?,
            "reads" => header.reads = list()?,
            "watchers" => header.watchers = list()?,
            "plots" => header.plots = list()?,
            "takes" => header.takes = value.clone().into_string().map_err(|_| wrong("a text"))?,
            "feedbacks" => header.feedbacks = states(described(value).ok_or_else(|| wrong("a map of texts"))?)?,
            "returns" => header.returns = described(value).ok_or_else(|| wrong("a map of texts"))?,
            "parameters" => header.parameters = parameters(value).ok_or_else(|| wrong("a map of parameters"))??,
            unknown => return Err(unknown_key(unknown)),
        }
    }
    Ok(header)
}

fn unknown_key(key: &str) -> Box<EvalAltResult> {
    let report = error(format!("a header has no entry `{key}`")).near(key, KEYS);
    fail(Box::new(if report.hints.is_empty() {
        report.hint(format!("it has `{}`", KEYS.join("`, `")))
    } else {
        report
    }))
}

fn parameters(value: &Dynamic) -> Option<Outcome<Vec<Parameter>>> {
    let map = value.read_lock::<Map>()?;
    let one = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let found = value.clone().try_cast::<Parameter>().ok_or_else(|| {
            error(format!("the parameter `{name}` is not declared")).map_hint(
                "declare it with `number`, `integer`, `boolean`, `choice`, `text`, `family`, `families` or `device`",
            )
        })?;
        Ok(Parameter { name: name.to_string(), ..found })
    };
    Some(map.iter().map(one).collect())
}
