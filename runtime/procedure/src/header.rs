//! What a procedure declares: read without running anything.

use crate::vocabulary;
use fodo_language::{
    NameOf, Parameter, ParameterKind, Sources, Value, Values, check_values, diagnose, diagnose_parse, text_value,
};
use fodo_report::{Diagnostic, Kind, Result};
use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Map, Position, Stmt};
use std::collections::BTreeMap;

/// The header of a procedure.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The name it is called by: the file's name without `.rhai`.
    pub name: String,
    /// First line of the `//!` text.
    pub title: String,
    /// The `//!` text below the title, in Markdown.
    pub text: String,
    /// Its parameters, in the order they are written.
    pub parameters: Vec<Parameter>,
    /// Parameters or families whose setpoints it may change.
    pub changes: Vec<String>,
    /// Parameters or families it reads.
    pub reads: Vec<String>,
    /// Watchers it needs.
    pub watchers: Vec<String>,
    /// State each feedback must be in.
    pub feedbacks: BTreeMap<String, String>,
    /// How long it takes.
    pub takes: String,
    /// What it returns: name and description; a plain text stands under the empty name.
    pub returns: BTreeMap<String, String>,
    /// What it plots.
    pub plots: Vec<String>,
}

/// Reads the header of `file`; `None` when the script has none.
///
/// Only the call `procedure(…)` is evaluated, with nothing but the header's vocabulary and few operations.
pub fn read_header(file: &str, text: &str) -> Result<Option<Header>> {
    let engine = vocabulary::engine();
    let sources = Sources::new();
    sources.insert(file, text);
    let tree = engine.compile(text).map_err(|e| diagnose_parse(&engine, &e, file, &sources))?;
    let calls: Vec<&Stmt> = tree.statements().iter().filter(|s| header_call(s).is_some()).collect();
    let Some(first) = calls.first() else { return Ok(None) };
    if let Some(second) = calls.get(1) {
        let place = sources.label(file, second.position());
        return Err(Box::new(
            Diagnostic::new(Kind::Script, "a procedure has one header, this is the second").label(place),
        ));
    }
    let mut header = evaluate(&engine, first, file, &sources)?;
    header.name = stem(file);
    (header.title, header.text) = head_text(text);
    if let Some(order) = header_call(first).and_then(|call| key_order(call, "parameters")) {
        header.parameters.sort_by_key(|p| order.iter().position(|(name, _)| *name == p.name));
    }
    Ok(Some(header))
}

/// A header holds values only: nothing in it can refer to the rest of the script.
fn only_values(call: &Stmt, file: &str, sources: &Sources) -> Result<()> {
    let mut found = None;
    call.walk(&mut Vec::new(), &mut |path| {
        let problem = match path.last() {
            Some(ASTNode::Expr(Expr::Variable(variable, _, at))) => {
                Some((*at, format!("`{}` is not known in a header", variable.1)))
            }
            Some(ASTNode::Stmt(statement)) if path.len() > 1 => {
                Some((statement.position(), "a header holds values only".into()))
            }
            _ => None,
        };
        found = found.take().or(problem);
        found.is_none()
    });
    let Some((at, message)) = found else { return Ok(()) };
    let report = Diagnostic::new(Kind::Script, message).label(sources.label(file, at));
    Err(Box::new(report.hint(ONLY_WORDS)))
}

const ONLY_WORDS: &str = "a header is read without running the script: it may only use its own words";

fn evaluate(engine: &Engine, call: &Stmt, file: &str, sources: &Sources) -> Result<Header> {
    only_values(call, file, sources)?;
    let mut alone = AST::new([call.clone()], rhai::Module::new());
    alone.set_source(file);
    engine.eval_ast::<Header>(&alone).map_err(|error| {
        let mut report = diagnose(engine, error, file, sources);
        if report.message.starts_with("there is no function") {
            report.hints.push(ONLY_WORDS.into());
        }
        // an unknown entry is shown where it stands, not where the call begins
        if let Some(at) = header_call(call).and_then(|call| place_of_word(call, &report.message)) {
            report.labels = vec![sources.label(file, at)];
        }
        report
    })
}

/// The key of the header's maps that a message speaks about.
fn place_of_word(call: &FnCallExpr, message: &str) -> Option<Position> {
    let word = message.split('`').nth(if message.contains("has no option") { 3 } else { 1 })?;
    let mut found = None;
    for argument in &call.args {
        argument.walk(&mut Vec::new(), &mut |path| {
            if let Some(ASTNode::Expr(Expr::Map(map, _))) = path.last() {
                let key = map.0.iter().find(|(key, _)| key.name == word);
                found = found.or(key.map(|(key, _)| key.pos));
            }
            found.is_none()
        });
    }
    found
}

/// The call `procedure(…)` in a statement.
pub(crate) fn header_call(statement: &Stmt) -> Option<&FnCallExpr> {
    let call = match statement {
        Stmt::FnCall(call, _) => call,
        Stmt::Expr(expression) => match &**expression {
            Expr::FnCall(call, _) => call,
            _ => return None,
        },
        _ => return None,
    };
    (call.name == "procedure" && !call.is_qualified()).then_some(&**call)
}

/// Keys of the map under `entry` of the header, in the order they are written.
pub(crate) fn key_order(call: &FnCallExpr, entry: &str) -> Option<Vec<(String, Position)>> {
    let Some(Expr::Map(map, _)) = call.args.first() else { return None };
    let (_, inner) = map.0.iter().find(|(key, _)| key.name == entry)?;
    let Expr::Map(inner, _) = inner else { return None };
    Some(inner.0.iter().map(|(key, _)| (key.name.to_string(), key.pos)).collect())
}

/// The tree without the header call: what runs.
pub fn body(tree: &AST) -> AST {
    let statements = tree.statements().iter().filter(|s| header_call(s).is_none()).cloned();
    let mut rest = AST::new(statements.collect::<Vec<_>>(), tree.shared_lib().clone());
    if let Some(source) = tree.source() {
        rest.set_source(source);
    }
    rest
}

fn stem(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(".rhai").unwrap_or(name).to_string()
}

/// Title and text of the `//!` lines at the head of a script.
pub fn head_text(text: &str) -> (String, String) {
    let lines = text.lines().skip_while(|l| l.trim().is_empty() || l.starts_with("#!"));
    let lines = lines.map_while(|l| l.trim_start().strip_prefix("//!")).map(|l| l.strip_prefix(' ').unwrap_or(l));
    let lines: Vec<&str> = lines.collect();
    let title = lines.first().map_or("", |l| l.trim_start_matches('#').trim()).to_string();
    (title, lines.iter().skip(1).copied().collect::<Vec<_>>().join("\n").trim().to_string())
}

impl Header {
    /// Text and parameters, as `help` shows them.
    pub fn help(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.title, self.text);
        if !self.parameters.is_empty() {
            text.push_str("\n# Parameters\n");
        }
        for parameter in &self.parameters {
            let default = parameter.default.as_ref().map(|value| format!(" Default: {value}.")).unwrap_or_default();
            let range = parameter.range_text().map(|range| format!(", {range}")).unwrap_or_default();
            let (name, kind, help) = (&parameter.name, parameter.kind.word(), &parameter.help);
            text.push_str(&format!("- `{name}` ({kind}{range}): {help}.{default}\n"));
        }
        text
    }

    /// Its parameters as a table: name, kind with unit, default, range, help.
    pub fn rows(&self) -> Vec<[String; 5]> {
        let row = |parameter: &Parameter| {
            let default = match &parameter.default {
                None => "required".to_string(),
                Some(value) => value.to_string(),
            };
            let range = match &parameter.kind {
                ParameterKind::Named { permitted, .. } if !permitted.is_empty() => permitted.join(", "),
                _ if parameter.optional => "need not be there".to_string(),
                _ => parameter.range_text().unwrap_or_default(),
            };
            [parameter.name.clone(), parameter.kind.word(), default, range, parameter.help.clone()]
        };
        self.parameters.iter().map(row).collect()
    }

    /// What it declares beside its parameters: the word of the entry, and what stands there.
    pub fn declared(&self) -> Vec<(&'static str, Vec<String>)> {
        let described = |map: &BTreeMap<String, String>| -> Vec<String> {
            map.iter()
                .map(|(name, text)| if name.is_empty() { text.clone() } else { format!("{name}: {text}") })
                .collect()
        };
        let takes = if self.takes.is_empty() { Vec::new() } else { vec![self.takes.clone()] };
        let mut all = vec![
            ("changes", self.changes.clone()),
            ("reads", self.reads.clone()),
            ("watchers", self.watchers.clone()),
            ("feedbacks", described(&self.feedbacks)),
            ("takes", takes),
            ("returns", described(&self.returns)),
            ("plots", self.plots.clone()),
        ];
        all.retain(|(what, entries)| !entries.is_empty() || *what == "changes");
        all
    }

    /// The parameter `name`.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// The values when nothing is given.
    pub fn defaults(&self) -> Result<Values> {
        self.complete(Values::defaults(&self.name, &self.parameters))
    }

    /// Checks `name=value` pairs of the command line and fills in the defaults.
    pub fn from_texts(&self, pairs: &[(String, String)]) -> Result<Values> {
        let mut values = Values::defaults(&self.name, &self.parameters);
        for (name, text) in pairs {
            let value = text_value(&self.name, &self.parameters, name, text).map_err(|mut report| {
                report.kind = Kind::Usage;
                report
            })?;
            values.set(name, value);
        }
        self.complete(values)
    }

    /// Checks the map of a call in a script and fills in the defaults.
    ///
    /// `name_of` tells the name of a value that is not a text: a family object, a device.
    pub fn from_map(&self, map: &Map, name_of: NameOf) -> Result<Values> {
        self.complete(check_values(&self.name, &self.parameters, map, name_of, "parameter")?)
    }

    fn complete(&self, values: Values) -> Result<Values> {
        let missing: Vec<&Parameter> = self.parameters.iter().filter(|p| values.get(&p.name).is_none()).collect();
        if missing.is_empty() {
            return Ok(values);
        }
        let names: Vec<String> = missing.iter().map(|p| format!("`{}`", p.name)).collect();
        let mut report = Diagnostic::new(Kind::Usage, format!("`{}` needs {}", self.name, names.join(", ")));
        report.hints.extend(missing.iter().map(|p| format!("`{}`: {}, {}", p.name, p.kind.word(), p.help)));
        Err(Box::new(report))
    }

    /// Checks that given families and devices have a permitted role: the declared ones, or without any those of the default.
    ///
    /// `roles_of` tells the roles of the family that a parameter's value names, or of the family of the device; `None` if there is none.
    pub fn check_roles(
        &self,
        values: &Values,
        roles_of: &dyn Fn(&Parameter, &str) -> Option<Vec<String>>,
    ) -> Result<()> {
        for parameter in &self.parameters {
            let ParameterKind::Named { permitted, .. } = &parameter.kind else { continue };
            if !values.is_given(&parameter.name) {
                continue;
            }
            let mut permitted = permitted.clone();
            if let (true, Some(Value::Named { names, .. })) = (permitted.is_empty(), &parameter.default) {
                permitted = names.iter().filter_map(|name| roles_of(parameter, name)).flatten().collect();
            }
            for name in names(values.get(&parameter.name)) {
                let Some(roles) = roles_of(parameter, &name) else { continue };
                if !roles.iter().any(|role| permitted.contains(role)) && !permitted.iter().any(|role| role == ANY) {
                    return Err(self.wrong_role(parameter, &name, &roles, &permitted));
                }
            }
        }
        Ok(())
    }

    fn wrong_role(&self, parameter: &Parameter, name: &str, roles: &[String], permitted: &[String]) -> Box<Diagnostic> {
        let message = format!("`{}` of `{}` cannot be {name}", parameter.name, self.name);
        let report = Diagnostic::new(Kind::Rights, message).detail(format!("its role is {}", roles.join(", "))).detail(
            format!("permitted is {}", if permitted.is_empty() { "none".into() } else { permitted.join(", ") }),
        );
        Box::new(report.hint("an argument cannot widen the rights of a procedure; its header declares the roles"))
    }

    /// Every family and role that a run may change, whatever values it is given.
    pub fn may_change(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for entry in &self.changes {
            let of_parameter = self.parameter(entry).map(|parameter| {
                let mut words = names(parameter.default.as_ref());
                words.iter_mut().for_each(|word| *word = family_word(word).to_string());
                if let ParameterKind::Named { permitted, .. } = &parameter.kind {
                    words.extend(permitted.iter().cloned());
                }
                words
            });
            words.extend(of_parameter.unwrap_or_else(|| vec![entry.clone()]));
        }
        words.sort();
        words.dedup();
        words
    }

    /// The families, and devices given by name, that a run with `values` may change.
    pub fn effective_changes(&self, values: &Values) -> Vec<String> {
        self.resolve(&self.changes, values)
    }

    /// The families, and devices given by name, that a run with `values` reads.
    pub fn effective_reads(&self, values: &Values) -> Vec<String> {
        self.resolve(&self.reads, values)
    }

    /// The names that an entry of `changes` or `reads` stands for: those of a parameter's value, or itself.
    pub(crate) fn words(&self, entry: &str, values: &Values) -> Vec<String> {
        let of_parameter = self.parameter(entry).map(|p| names(values.get(&p.name)));
        of_parameter.unwrap_or_else(|| vec![entry.to_string()])
    }

    fn resolve(&self, entries: &[String], values: &Values) -> Vec<String> {
        let mut families: Vec<String> = Vec::new();
        for entry in entries {
            for name in self.words(entry, values) {
                if !families.contains(&name) {
                    families.push(name);
                }
            }
        }
        families
    }
}

/// A role among those of a parameter that permits every family.
pub const ANY: &str = "any";

/// The family or role of a device that is written as `BPM[3]` or `BPM["BPM_004"]`; another word as it is.
pub(crate) fn family_word(word: &str) -> &str {
    word.split_once('[').map_or(word, |(family, _)| family.trim_end())
}

fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Named { names, .. }) => names.clone(),
        _ => Vec::new(),
    }
}
