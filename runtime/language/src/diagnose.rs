//! Rhai's errors as diagnostics: what happened in a physicist's words, where, through which calls, what to do.

use crate::fail::report_of;
use crate::reflect::{FunctionDoc, FunctionUse};
use crate::{Sources, article, functions, type_word};
use fodo_report::{Diagnostic, Kind, Label, nearest};
use rhai::{Engine, EvalAltResult, LexError, ParseError, ParseErrorType, Position};

/// The diagnostic of an error that ended a script which began in `file`.
#[allow(clippy::boxed_local)] // errors travel boxed, as Rhai gives them
pub fn diagnose(engine: &Engine, error: Box<EvalAltResult>, file: &str, sources: &Sources) -> Box<Diagnostic> {
    let mut calls: Vec<Label> = Vec::new();
    let mut file = file.to_string();
    let mut error = *error;
    let mut in_function = false;
    loop {
        error = match error {
            EvalAltResult::ErrorInFunctionCall(name, source, inner, at) => {
                let what = if name.starts_with("anon$") { "a closure".into() } else { format!("`{name}`") };
                add_call(&mut calls, sources, &file, at, format!("in the call of {what}"));
                file = sources.home(&name, &source, &file);
                in_function = true;
                *inner
            }
            EvalAltResult::ErrorInModule(path, inner, at) => {
                add_call(&mut calls, sources, &file, at, format!("`{path}` is imported here"));
                if sources.text(&path).is_some() {
                    file = path;
                }
                *inner
            }
            other => break finish(engine, other, &file, in_function, calls, sources),
        }
    }
}

/// The diagnostic of a script that could not be read.
pub fn diagnose_parse(engine: &Engine, error: &ParseError, file: &str, sources: &Sources) -> Box<Diagnostic> {
    let at = error.position();
    let report = parse_report(engine, error.err_type(), at, file, sources);
    let at = if at.is_none() { end_of(file, sources) } else { at };
    Box::new(report.label(sources.label(file, at)))
}

/// The end of the last line that says something.
fn end_of(file: &str, sources: &Sources) -> Position {
    let text = sources.text(file).unwrap_or_default();
    let last = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).last();
    let (line, column) = last.map_or((1, 1), |(at, line)| (at + 1, line.trim_end().chars().count().max(1)));
    Position::new(line.min(65_535) as u16, column.min(65_535) as u16)
}

fn add_call(calls: &mut Vec<Label>, sources: &Sources, file: &str, at: Position, what: String) {
    if !at.is_none() {
        calls.push(sources.label(file, at).say(what));
    }
}

fn finish(
    engine: &Engine,
    error: EvalAltResult,
    file: &str,
    in_function: bool,
    calls: Vec<Label>,
    sources: &Sources,
) -> Box<Diagnostic> {
    let at = error.position();
    let mut report = describe(engine, error, file, in_function, sources);
    // a function that calls itself stands in the chain once
    let add = |report: &mut Diagnostic, place: Label| {
        let again =
            report.labels.iter().any(|l| (&l.file, l.line, l.column) == (&place.file, place.line, place.column));
        if !again {
            report.labels.push(place);
        }
    };
    if !at.is_none() {
        let place = sources.label(file, at);
        // a report that brings its own place (a table, another script) keeps it first
        let place = if report.labels.is_empty() { place } else { place.say("asked for here") };
        add(&mut report, place);
    }
    calls.into_iter().rev().for_each(|call| add(&mut report, call));
    Box::new(report)
}

fn script(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Kind::Script, message)
}

fn describe(engine: &Engine, error: EvalAltResult, file: &str, in_function: bool, sources: &Sources) -> Diagnostic {
    use EvalAltResult as E;
    match error {
        E::ErrorRuntime(value, _) => report_of(&value),
        E::ErrorTerminated(value, _) if value.is_map() => report_of(&value),
        E::ErrorTerminated(..) => Diagnostic::new(Kind::Stopped, "stopped by the operator"),
        E::ErrorParsing(what, at) => parse_report(engine, &what, at, file, sources),
        E::ErrorVariableNotFound(name, at) => unknown_variable(engine, &name, at, file, in_function, sources),
        E::ErrorFunctionNotFound(signature, _) => unknown_function(engine, &signature, file, sources),
        E::ErrorModuleNotFound(name, _) => unknown_module(&name),
        E::ErrorPropertyNotFound(name, _) => unknown_entry(&name, file, sources),
        E::ErrorDotExpr(text, _) => dot(engine, &text),
        E::ErrorIndexingType(text, _) => indexing(&text),
        E::ErrorIndexNotFound(index, _) => script(format!("`{index}` cannot be used as an index here")),
        E::ErrorArrayBounds(length, index, _) => outside("array", length, index),
        E::ErrorStringBounds(length, index, _) => outside("text", length, index),
        E::ErrorMismatchDataType(wanted, found, _) => mismatch(&wanted, &found),
        E::ErrorMismatchOutputType(wanted, found, _) => mismatch(&wanted, &found),
        E::ErrorFor(_) => {
            script("`for … in` cannot go through this value").hint("it goes through arrays, vectors, ranges, families")
        }
        E::ErrorArithmetic(text, _) => arithmetic(&text),
        E::ErrorAssignmentToConstant(name, _) => script(format!("`{name}` is a constant and cannot be changed")),
        E::ErrorNonPureMethodCallOnConstant(name, _) => script(format!("`{name}` would change a constant")),
        E::ErrorDataRace(name, _) => script(format!("`{name}` is used by a closure while it is being changed"))
            .hint("copy what the closure needs to an own variable first: `let n = a.len;`"),
        E::ErrorStackOverflow(_) => crate::engine::too_deep(),
        E::ErrorTooManyOperations(_) => script("the script took more operations than it may"),
        E::ErrorTooManyVariables(_) => script("the script has more variables than it may"),
        E::ErrorTooManyModules(_) => script("the script imports more libraries than it may"),
        E::ErrorDataTooLarge(what, _) => crate::engine::outgrown(&what),
        E::ErrorUnboundThis(_) => script("`this` has no value here"),
        E::ErrorSystem(text, inner) if text.is_empty() => Diagnostic::new(Kind::Internal, inner.to_string()),
        E::ErrorSystem(text, inner) => Diagnostic::new(Kind::Internal, format!("{text}: {inner}")),
        mut other => {
            other.clear_position();
            script(other.to_string())
        }
    }
}

fn outside(what: &str, length: usize, index: i64) -> Diagnostic {
    let report = script(format!("index {index} is outside {} of {length}", article(what)));
    if length == 0 { report } else { report.hint(format!("indices go from 0 to {}", length - 1)) }
}

fn mismatch(wanted: &str, found: &str) -> Diagnostic {
    let (wanted, found) = (type_word(wanted), type_word(found));
    let report = script(format!("{} is needed here, found {}", article(&wanted), article(&found)));
    match (wanted.as_str(), found.as_str()) {
        ("boolean", "mask") => {
            report.hint("masks are joined by `&`, `|` and `!`; `.any()` and `.all()` make one boolean of a mask")
        }
        ("integer", "number") => {
            report.hint("`x.to_int()` drops what is behind the point, `round(x).to_int()` goes to the nearest")
        }
        ("integer", "range") => {
            report.hint("a part of an array or a text: `array.extract(0..4)`, `text.sub_string(0..4)`")
        }
        _ => report,
    }
}

fn arithmetic(text: &str) -> Diagnostic {
    let lower = text.to_lowercase();
    if lower.contains("negative") && lower.contains("power") {
        return script("an integer cannot be raised to a negative power")
            .hint("write the base with a point: `2.0 ** -1`");
    }
    if lower.contains("zero") {
        return script("an integer cannot be divided by zero");
    }
    script(format!("integer arithmetic failed: {text}")).hint("floats reach further: write a point, as in `2.0`")
}

fn indexing(text: &str) -> Diagnostic {
    // "vector [string]" or "vector[string] = …"
    let types: Vec<String> =
        text.split(['[', ']', '=']).map(str::trim).filter(|t| !t.is_empty()).map(type_word).collect();
    match types.as_slice() {
        [of] => script(format!("{} has no entries to index", article(of))),
        [of, by, ..] => script(format!("{} cannot be indexed by {}", article(of), article(by))),
        [] => script(format!("this cannot be indexed: {text}")),
    }
}

/// "Unknown property 'x' - a getter is not registered for type 'vector'", and the like.
fn dot(engine: &Engine, text: &str) -> Diagnostic {
    let quoted: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
    let [name, kind, ..] = quoted.as_slice() else { return script(text.to_string()) };
    let word = type_word(kind);
    let usage = if text.contains("setter") { FunctionUse::PropertyWrite } else { FunctionUse::Property };
    let all = functions(engine);
    let known: Vec<&str> =
        all.iter().filter(|f| f.usage == usage && f.parameter_type(0) == word).map(|f| f.name.as_str()).collect();
    let report = match usage {
        FunctionUse::PropertyWrite => script(format!("`{name}` of {} cannot be set", article(&word))),
        _ => script(format!("{} has no `{name}`", article(&word))),
    };
    let method = all.iter().any(|f| f.usage == FunctionUse::Function && f.name == *name && f.parameter_type(0) == word);
    if method {
        return report.hint(format!("it is a function: `.{name}()`"));
    }
    let near = nearest(name, known.iter().copied());
    match near.as_slice() {
        [] if known.is_empty() => report,
        [] => report.hint(format!("it has `{}`", unique(&known).join("`, `"))),
        _ => report.near(name, unique(&known)),
    }
}

fn unique<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

fn unknown_variable(
    engine: &Engine,
    name: &str,
    at: Position,
    file: &str,
    in_function: bool,
    sources: &Sources,
) -> Diagnostic {
    let text = sources.text(file).unwrap_or_default();
    let declared = declared_names(&text);
    let known = sources.names();
    let report = script(format!("there is no variable `{name}`"));
    if in_function && declared.iter().any(|d| d == name) {
        return report
            .hint(format!("a function sees no variables from outside: pass `{name}` as an argument"))
            .hint(format!("or make it a constant of the file, `const {name} = …`, and read `global::{name}`"));
    }
    if let Some(hint) = crate::undeclared_hint(&text, name, at) {
        return report.near(name, declared.iter().map(String::as_str)).hint(hint);
    }
    if let Some(here) = crate::word_here(name) {
        return report.hint(here);
    }
    let all = functions(engine);
    if all.iter().any(|f| f.usage == FunctionUse::Function && f.name == name) {
        return report.hint(format!("`{name}` is a function: call it, `{name}(…)`, or hand it on, `|| {name}(…)`"));
    }
    let report = report.near(name, unique(&declared.iter().chain(&known).map(String::as_str).collect::<Vec<_>>()));
    if !report.hints.is_empty() {
        return report;
    }
    report.near(
        name,
        unique(&all.iter().filter(|f| f.usage == FunctionUse::Function).map(|f| f.name.as_str()).collect::<Vec<_>>()),
    )
}

/// Names that a text declares anywhere: `let`, `const`, `for`, parameters.
pub(crate) fn declared_names(text: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or("");
        let mut words = code.split(|c: char| !is_word(c)).filter(|w| !w.is_empty());
        let all: Vec<&str> = words.by_ref().collect();
        for pair in all.windows(2).filter(|pair| matches!(pair[0], "let" | "const" | "for" | "as")) {
            names.push(pair[1].to_string());
        }
        if let Some(rest) = code.trim_start().trim_start_matches("private ").strip_prefix("fn ") {
            let inside = rest.split_once('(').and_then(|(_, r)| r.split_once(')')).map_or("", |(inside, _)| inside);
            names.extend(inside.split(',').map(|n| n.trim().to_string()).filter(|n| !n.is_empty()));
        }
    }
    names.retain(|name| !name.starts_with(|c: char| c.is_ascii_digit()));
    names.sort();
    names.dedup();
    names
}

/// A map has no such entry; the keys that the file writes are the ones to look among.
fn unknown_entry(name: &str, file: &str, sources: &Sources) -> Diagnostic {
    let text = sources.text(file).unwrap_or_default();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let before_colon = |(part, next): (&str, &str)| -> Option<String> {
        let word: String = part.trim_end().chars().rev().take_while(|c| is_word(*c)).collect();
        (!word.is_empty() && !next.is_empty()).then(|| word.chars().rev().collect())
    };
    let parts: Vec<&str> = text.split(':').collect();
    let keys: Vec<String> = parts.windows(2).filter_map(|w| before_colon((w[0], w[1]))).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let report = script(format!("there is no entry `{name}` in this map")).near(name, unique(&keys));
    if report.hints.is_empty() {
        report.hint(format!("for one that may be absent: `map.get(\"{name}\") ?? default`"))
    } else {
        report
    }
}

fn unknown_module(name: &str) -> Diagnostic {
    script(format!("there is no library under the name `{name}` here"))
        .hint(format!("`import \"…\" as {name};` at the head of the file"))
        .hint("a callback that needs a library imports it in its body")
}

/// `foo (vector, i64)` or `+ (quantity, string)` or `lib::foo (…)`.
fn unknown_function(engine: &Engine, signature: &str, file: &str, sources: &Sources) -> Diagnostic {
    let (name, types) = signature.split_once('(').unwrap_or((signature, ""));
    let name = name.trim();
    let types: Vec<String> =
        types.trim_end_matches(')').split(',').map(str::trim).filter(|t| !t.is_empty()).map(type_word).collect();
    if let Some(property) = name.strip_prefix("get$").or_else(|| name.strip_prefix("set$")) {
        let kind = types.first().cloned().unwrap_or_default();
        return dot(engine, &format!("Unknown property '{property}' of '{kind}'"));
    }
    if let Some((module, function)) = name.rsplit_once("::") {
        let report = script(format!("the library `{module}` has no function `{function}` that takes {}", list(&types)));
        return report;
    }
    let all = functions(engine);
    if !rhai::is_valid_identifier(name) {
        return operator(name, &types);
    }
    let own = own_functions(file, sources);
    let same: Vec<&FunctionDoc> = all.iter().filter(|f| f.usage == FunctionUse::Function && f.name == name).collect();
    let own_same: Vec<&(String, usize)> = own.iter().filter(|(n, _)| n == name).collect();
    if same.is_empty() && own_same.is_empty() {
        let report = script(format!("there is no function `{name}`"));
        let offered = sources.offering(name, file);
        return match offered.is_empty() {
            true => report.near_function(name, types.len(), &all, &own),
            false => {
                let text = sources.text(file).unwrap_or_default();
                offered
                    .iter()
                    .fold(report, |report, library| report.hint(import_hint(library, name, types.len(), &text)))
            }
        };
    }
    let mut report = script(format!("no function `{name}` takes {}", list(&types)));
    let mut fitting: Vec<&&FunctionDoc> = same.iter().collect();
    // those that already agree with the first argument say more than the others
    fitting.sort_by_key(|f| usize::from(types.first().is_none_or(|t| f.parameter_type(0) != t)));
    let mut shown: Vec<String> = fitting.iter().map(|f| f.signature.clone()).collect();
    shown.extend(own_same.iter().map(|(n, count)| format!("{n} with {}", arguments(*count))));
    shown.dedup();
    let more = shown.len().saturating_sub(6);
    report.details.extend(shown.into_iter().take(6).map(|s| format!("there is `{s}`")));
    if more > 0 {
        report.details.push(format!("and {more} more; `help({name})` shows them"));
    }
    report
}

/// What to write for a function of a library that a script has not imported, or calls without its name.
pub fn import_hint(library: &str, function: &str, arguments: usize, text: &str) -> String {
    let brackets = if arguments == 0 { "()" } else { "(…)" };
    let import = format!("import \"{library}\" as ");
    let mut imported = text.lines().filter_map(|line| line.trim_start().strip_prefix(&import));
    if let Some(alias) = imported.next().map(|rest| rest.trim_end().trim_end_matches(';')) {
        return format!("it is a function of the library `{library}`: `{alias}::{function}{brackets}`");
    }
    let alias: String = library.rsplit('/').next().unwrap_or(library).replace(|c: char| !c.is_alphanumeric(), "_");
    format!("it is a function of a library: `import \"{library}\" as {alias};`, then `{alias}::{function}{brackets}`")
}

trait NearFunction {
    fn near_function(self, name: &str, count: usize, all: &[FunctionDoc], own: &[(String, usize)]) -> Self;
}

impl NearFunction for Diagnostic {
    /// Near names with the right number of arguments first.
    fn near_function(self, name: &str, count: usize, all: &[FunctionDoc], own: &[(String, usize)]) -> Self {
        let callable = || all.iter().filter(|f| f.usage == FunctionUse::Function);
        let fitting = callable().filter(|f| f.parameters.len() == count).map(|f| f.name.as_str());
        let fitting: Vec<&str> = fitting.chain(own.iter().filter(|o| o.1 == count).map(|o| o.0.as_str())).collect();
        let report = self.near(name, unique(&fitting));
        if !report.hints.is_empty() {
            return report;
        }
        let any: Vec<&str> = callable().map(|f| f.name.as_str()).chain(own.iter().map(|o| o.0.as_str())).collect();
        report.near(name, unique(&any))
    }
}

/// Functions that the file itself defines, with their number of parameters.
fn own_functions(file: &str, sources: &Sources) -> Vec<(String, usize)> {
    let text = sources.text(file).unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim_start().trim_start_matches("private ");
        if let Some((name, rest)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) {
            let inside = rest.split(')').next().unwrap_or("");
            found.push((name.trim().to_string(), inside.split(',').filter(|p| !p.trim().is_empty()).count()));
        }
    }
    found
}

fn arguments(count: usize) -> String {
    match count {
        0 => "no arguments".to_string(),
        1 => "1 argument".to_string(),
        n => format!("{n} arguments"),
    }
}

fn list(types: &[String]) -> String {
    if types.is_empty() { "no arguments".to_string() } else { format!("({})", types.join(", ")) }
}

fn operator(name: &str, types: &[String]) -> Diagnostic {
    let operands: Vec<String> = types.iter().map(|t| article(t)).collect();
    let report = match operands.as_slice() {
        [one] => script(format!("`{name}` cannot be applied to {one}")),
        [a, b] if name.starts_with("index$") => script(format!("{a} cannot be indexed by {b}")),
        [a, b, c] if name.starts_with("index$") => script(format!("{c} cannot be put into {a} at {b}")),
        [a, b] => script(format!("`{name}` does not work between {a} and {b}")),
        _ => script(format!("`{name}` cannot be used with {}", list(types))),
    };
    let has = |word: &str| types.iter().any(|t| t == word);
    match name {
        "^" => report.hint(crate::numbers::POWER),
        _ if has("nothing") => report.hint("one of them has no value: did the function return one?"),
        "+" | "-" if has("quantity") && (has("number") || has("integer")) => {
            report.hint("give the plain number a unit, as in `5.0 * urad`")
        }
        _ if has("array") && (has("vector") || has("number") || has("integer") || has("quantity")) => report
            .hint("arrays do not calculate; make a vector of it: `vector([1.0, 2.0])` or `vector([1.0, 2.0], \"mm\")`"),
        "!=" | "==" | "<" | ">" | "<=" | ">=" => report,
        _ => report,
    }
}

fn parse_report(engine: &Engine, what: &ParseErrorType, at: Position, file: &str, sources: &Sources) -> Diagnostic {
    let text = sources.text(file).unwrap_or_default();
    let names = sources.names();
    let hint = crate::elsewhere::hint(&text, what, at, |name| names.iter().any(|known| known == name));
    let report = unreadable(engine, what, at, file, sources);
    match hint {
        // it says more than what the parser waited for
        Some(hint) => match (what, crate::elsewhere::token(&text, at)) {
            (ParseErrorType::MissingToken(wanted, _), Some(token)) if [";", ","].contains(&wanted.as_str()) => {
                script(format!("syntax: `{token}` is not expected here")).hint(hint)
            }
            _ => Diagnostic { hints: vec![hint], ..report },
        },
        None => report,
    }
}

fn unreadable(engine: &Engine, what: &ParseErrorType, at: Position, file: &str, sources: &Sources) -> Diagnostic {
    use ParseErrorType as P;
    let syntax = |text: String| script(format!("syntax: {text}"));
    match what {
        P::VariableUndefined(name) => unknown_variable(engine, name, at, file, false, sources),
        P::ModuleUndefined(name) => unknown_module(name),
        P::UnexpectedEOF => {
            syntax("the script ends in the middle".into()).hint("a bracket or a quotation mark is still open")
        }
        P::MissingToken(token, text) if token == "]" && text.contains("index") => {
            syntax(format!("`{token}` is missing {text}"))
                .hint("a matrix takes both indices in one pair: `m[[row, column]]`")
        }
        P::MissingToken(token, text) => syntax(format!("`{token}` is missing {text}")),
        P::BadInput(LexError::UnterminatedString) => {
            syntax("a text is not closed".into()).hint("end it with `\"` on the same line")
        }
        P::BadInput(LexError::ImproperSymbol(word, _)) if word == "eval" => syntax("`eval` is off".into())
            .hint("a text that is run is neither checked nor read before: write it as a function, `|| …`"),
        P::BadInput(LexError::UnexpectedInput(text)) => syntax(format!("`{text}` is not expected here")),
        P::BadInput(error) => syntax(lower(&error.to_string())),
        P::Reserved(sign) if !rhai::is_valid_identifier(sign) => syntax(format!("`{sign}` is not expected here")),
        P::UnknownOperator(sign) => syntax(format!("there is no operator `{sign}`")),
        P::Reserved(word) => syntax(format!("`{word}` is a reserved word")).hint("choose another name"),
        P::FnDuplicatedDefinition(name, count) => {
            syntax(format!("`{name}` with {} is defined twice", arguments(*count)))
        }
        P::FnDuplicatedParam(name, parameter) => syntax(format!("`{name}` has two parameters `{parameter}`")),
        P::DuplicatedProperty(name) => syntax(format!("`{name}` is given twice in this map")),
        P::AssignmentToConstant(name) => syntax(format!("`{name}` is a constant and cannot be changed")),
        P::WrongDocComment => syntax("a `///` comment belongs right before a function".into()).hint("use `//` here"),
        P::WrongFnDefinition => syntax("functions are defined at the outer level of a file".into())
            .hint("inside a function use a closure: `let f = |x| …;`"),
        P::ExprTooDeep => syntax("the expression is nested too deeply".into()),
        other => syntax(lower(&other.to_string())),
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
