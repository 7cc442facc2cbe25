//! Diagnostics through Rhai and back.

use fodo_report::{Diagnostic, Kind};
use fodo_units::{UnknownUnit, WrongUnit};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FuncRegistration, Map, Position};
use std::sync::Arc;

/// What a builtin returns.
pub type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// The diagnostic inside the map that `catch` sees; opaque to scripts.
#[derive(Clone)]
pub(crate) struct Report(pub(crate) Arc<Diagnostic>);

/// Makes a diagnostic an error of a builtin.
///
/// Scripts catch it as a map with `kind`, `message`, `details`, `hints`, `machine`, `file`, `line`,
/// `column`, and may throw it again without loss. A stop cannot be caught.
#[allow(clippy::boxed_local)] // diagnostics travel boxed
pub fn fail(diagnostic: Box<Diagnostic>) -> Box<EvalAltResult> {
    let stopped = diagnostic.kind == Kind::Stopped;
    let payload = payload(*diagnostic);
    match stopped {
        true => EvalAltResult::ErrorTerminated(payload, Position::NONE).into(),
        false => EvalAltResult::ErrorRuntime(payload, Position::NONE).into(),
    }
}

/// A builtin's error about the script: wrong argument, wrong unit.
pub fn script_error(message: impl Into<String>) -> Box<EvalAltResult> {
    fail(Box::new(Diagnostic::new(Kind::Script, message)))
}

/// A builtin's error about itself: something that cannot happen did.
pub fn internal_error(message: impl Into<String>) -> Box<EvalAltResult> {
    fail(Box::new(Diagnostic::new(Kind::Internal, message)))
}

pub(crate) fn payload(diagnostic: Diagnostic) -> Dynamic {
    let texts = |list: &[String]| list.iter().map(|t| Dynamic::from(t.clone())).collect::<Array>();
    let number = |n: Option<usize>| n.map_or(Dynamic::UNIT, |n| Dynamic::from_int(n as i64));
    let place = diagnostic.labels.first();
    let mut map = Map::new();
    map.insert("kind".into(), diagnostic.kind.word().into());
    map.insert("message".into(), diagnostic.message.clone().into());
    map.insert("details".into(), texts(&diagnostic.details).into());
    map.insert("hints".into(), texts(&diagnostic.hints).into());
    map.insert("machine".into(), diagnostic.machine.clone().map_or(Dynamic::UNIT, Dynamic::from));
    map.insert("file".into(), place.map_or(Dynamic::UNIT, |l| l.file.clone().into()));
    map.insert("line".into(), number(place.map(|l| l.line)));
    map.insert("column".into(), number(place.map(|l| l.column)));
    map.insert("report".into(), Dynamic::from(Report(Arc::new(diagnostic))));
    map.into()
}

/// The diagnostic that a thrown or caught value carries; strings and maps thrown by a script become one.
pub fn report_of(value: &Dynamic) -> Diagnostic {
    if let Some(map) = value.read_lock::<Map>() {
        return report_of_map(&map);
    }
    let message = match value {
        v if v.is_unit() => "the script threw an error without a message".to_string(),
        v => v.to_string(),
    };
    Diagnostic::new(Kind::Script, if message.is_empty() { "the script threw an empty message".into() } else { message })
}

fn report_of_map(map: &Map) -> Diagnostic {
    let text = |key: &str| map.get(key).filter(|v| !v.is_unit()).map(|v| v.to_string());
    let message = text("message").or_else(|| text("error"));
    let kept = map.get("report").and_then(|r| r.read_lock::<Report>().map(|r| (*r.0).clone()));
    let mut report = match kept {
        Some(mut report) => {
            report.message = message.unwrap_or(report.message);
            return report;
        }
        None => Diagnostic::new(Kind::Script, message.unwrap_or_else(|| Dynamic::from(map.clone()).to_string())),
    };
    report.hints.extend(text("hint"));
    for (key, list) in [("hints", &mut report.hints), ("details", &mut report.details)] {
        if let Some(array) = map.get(key).and_then(|v| v.read_lock::<Array>()) {
            list.extend(array.iter().map(|v| v.to_string()));
        }
    }
    report
}

/// `kind_of(e)`: the kind of a caught error; Rhai's own errors have no entry `kind`.
pub(crate) fn register(engine: &mut Engine) {
    const COMMENT: &str = "/// Tells the kind of a caught error.\n///\n\
        /// # Parameters\n/// - `error`: what `catch (error)` gave.\n///\n\
        /// # Returns\n/// `\"script\"`, `\"machine\"`, `\"limits\"`, `\"rights\"`, `\"facility\"`, `\"storage\"` or `\"internal\"`.\n///\n\
        /// # Errors\n/// None.\n///\n\
        /// # Example\n/// ```rhai\n/// let kind = \"\";\n/// try { throw \"lost\" } catch (e) { kind = kind_of(e); }\n/// assert(kind == \"script\");\n/// ```";
    FuncRegistration::new("kind_of")
        .with_params_info(["error: value", "text"])
        .with_comments([COMMENT])
        .register_into_engine(engine, |error: Dynamic| report_of(&error).kind.word());
}

/// Makes the error of a lower crate one of a builtin.
pub trait OrFail<T> {
    /// The value, or the error as scripts see it.
    fn or_fail(self) -> Outcome<T>;
}

impl<T> OrFail<T> for Result<T, Box<Diagnostic>> {
    fn or_fail(self) -> Outcome<T> {
        self.map_err(fail)
    }
}

impl<T> OrFail<T> for Result<T, WrongUnit> {
    fn or_fail(self) -> Outcome<T> {
        self.map_err(|e| script_error(e.to_string()))
    }
}

impl<T> OrFail<T> for Result<T, UnknownUnit> {
    fn or_fail(self) -> Outcome<T> {
        self.map_err(|e| script_error(e.to_string()))
    }
}
