//! Imports: is the library there, has it the function, does a name mean two things.

use super::Check;
use super::calls::shown;
use crate::known::Script;
use crate::what::What;
use fodo_language::{FunctionDoc, handed_report};
use fodo_report::{Diagnostic, Kind};
use rhai::{Expr, FnCallExpr, Ident, Position};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An import in sight.
pub(super) struct Import {
    pub alias: String,
    at: Position,
    /// The script it stands for; none if it was not found, or is not named by a text.
    script: Option<Arc<Script>>,
    used: bool,
}

impl<'a> Check<'a> {
    pub(super) fn import(&mut self, (what, alias): &'a (Expr, Ident)) {
        let at = what.position();
        let named = self.value(what);
        let script = match &named {
            What::Text(Some(name)) => self.imported(name, at),
            _ => None,
        };
        if alias.name.is_empty() {
            return;
        }
        if let Some(other) = self.imports.iter().find(|import| import.alias == alias.name).map(|import| import.at) {
            let first = self.label(other).say("here first");
            let report = Diagnostic::new(Kind::Script, format!("two libraries are imported as `{}`", alias.name));
            let report = report.hint("the second hides the first: give it another name");
            self.mistake_with(alias.pos, report, vec![first]);
        }
        self.imports.push(Import { alias: alias.name.to_string(), at: alias.pos, script, used: false });
    }

    fn imported(&mut self, name: &str, at: Position) -> Option<Arc<Script>> {
        let Some(script) = self.known.script(name, self.file) else {
            let names = self.known.scripts();
            let report = Diagnostic::new(Kind::Script, format!("there is no script `{name}` to import"));
            let report = report.near(name, names.iter().map(String::as_str));
            let report = match report.hints.is_empty() && !names.is_empty() {
                true => report.hint(format!("there are `{}`", names.join("`, `"))),
                false => report,
            };
            self.mistake(at, report);
            return None;
        };
        if let Some(mistake) = &script.mistake {
            let report = Diagnostic::new(Kind::Script, format!("{} cannot be read: {}", script.file, mistake.message));
            self.mistake_with(at, report, mistake.labels.clone());
            return None;
        }
        Some(script)
    }

    /// An import that goes out of sight.
    pub(super) fn import_left(&mut self, import: &Import) {
        if !import.used {
            self.never_used(&format!("the import `{}`", import.alias), &import.alias, import.at);
        }
    }

    /// The script that an alias stands for, which is used.
    pub(super) fn library(&mut self, alias: &str, at: Position) -> Option<Arc<Script>> {
        if let Some(import) = self.alias(alias) {
            import.used = true;
            return import.script.clone();
        }
        if alias != "global" && !self.facts.aliases.contains(alias) {
            let known: Vec<&str> = self.facts.aliases.iter().map(String::as_str).collect();
            let report = Diagnostic::new(Kind::Script, format!("no library is imported as `{alias}`"));
            let report = report.near(alias, known).hint(format!("`import \"…\" as {alias};`"));
            self.mistake(at, report);
        }
        None
    }

    /// `library::f(…)`.
    pub(super) fn library_call(&mut self, call: &'a FnCallExpr, arguments: &[What], at: Position) -> What {
        let alias = call.namespace.root();
        if alias == "global" {
            return What::Unknown;
        }
        let place = call.namespace.position();
        let script = self.library(alias, if place.is_none() { at } else { place });
        for (written, what) in call.args.iter().zip(arguments) {
            if what.holds_function() {
                self.mistake(written.position(), handed_report());
            }
        }
        let Some(script) = script.filter(|_| call.namespace.path.len() == 1) else { return What::Unknown };
        let (name, count) = (call.name.as_str(), arguments.len());
        let forms: Vec<&FunctionDoc> = script.functions.iter().filter(|form| form.name == name).collect();
        if forms.iter().any(|form| form.parameters.len() == count) {
            self.clash(&script, alias, call, arguments);
            self.written_by(&forms, arguments, at);
            return What::Unknown;
        }
        let at = after_namespace(at, call, self.text);
        let report = if forms.is_empty() {
            not_there(&script, alias, name, count)
        } else {
            other_count(&forms, alias, name, count)
        };
        self.mistake(at, report);
        What::Unknown
    }

    /// A function that may be handed over, and a name in it that the library has, too.
    fn clash(&mut self, script: &Script, alias: &str, call: &'a FnCallExpr, arguments: &[What]) {
        for (written, what) in call.args.iter().zip(arguments) {
            let (Expr::Variable(variable, ..), What::Unknown) = (written, what) else { continue };
            let both: Vec<&str> = self
                .facts
                .functions
                .iter()
                .filter(|own| script.all.contains(*own))
                .map(|(name, _)| name.as_str())
                .collect();
            if both.is_empty() {
                continue;
            }
            let message = format!(
                "`{}` is defined here and in `{alias}`: a plain function in `{}` would call that of `{alias}`",
                both.join("`, `"),
                variable.1
            );
            let report =
                Diagnostic::new(Kind::Script, message).hint("keep its home: `bind(|x| …)`, or give it another name");
            self.warning(written.position(), report);
        }
    }
}

fn not_there(script: &Script, alias: &str, name: &str, count: usize) -> Diagnostic {
    let report = Diagnostic::new(Kind::Script, format!("`{alias}` has no function `{name}`"));
    if script.all.iter().any(|(own, _)| own == name) {
        return report.hint(format!("it is private in {}", script.file));
    }
    let fitting = script.functions.iter().filter(|form| form.parameters.len() == count);
    let report = report.near(name, fitting.map(|form| form.name.as_str()).collect::<BTreeSet<_>>());
    if !report.hints.is_empty() {
        return report;
    }
    let names: BTreeSet<&str> = script.functions.iter().map(|form| form.name.as_str()).collect();
    let report = report.near(name, names.iter().copied());
    match report.hints.is_empty() && !names.is_empty() {
        true => report.hint(format!("it has `{}`", names.into_iter().take(12).collect::<Vec<_>>().join("`, `"))),
        false => report,
    }
}

fn other_count(forms: &[&FunctionDoc], alias: &str, name: &str, count: usize) -> Diagnostic {
    let counts: BTreeSet<usize> = forms.iter().map(|form| form.parameters.len()).collect();
    let takes: Vec<String> = counts.iter().map(usize::to_string).collect();
    let noun = if takes == ["1"] { "argument" } else { "arguments" };
    let report =
        Diagnostic::new(Kind::Script, format!("`{alias}::{name}` takes {} {noun}, found {count}", takes.join(" or ")));
    let forms: Vec<FunctionDoc> = forms.iter().map(|form| (*form).clone()).collect();
    shown(report, &forms)
}

/// The place of the function's name, where the call is known by the place of its library.
fn after_namespace(at: Position, call: &FnCallExpr, text: &str) -> Position {
    let (Some(line), Some(column)) = (at.line(), at.position()) else { return at };
    let rest: String = text.lines().nth(line - 1).unwrap_or("").chars().skip(column.saturating_sub(1)).collect();
    if rest.starts_with(call.name.as_str()) {
        return at;
    }
    match rest.find(&format!("::{}", call.name)) {
        Some(byte) => {
            let shift = rest[..byte].chars().count() + 2;
            Position::new(line as u16, u16::try_from(column + shift).unwrap_or(u16::MAX))
        }
        None => at,
    }
}
