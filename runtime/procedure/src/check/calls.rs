//! Names that are called or looked at: are they there, with so many arguments, and may these stand there.

use super::Check;
use crate::known::accepts;
use crate::what::What;
use fodo_language::FunctionDoc;
use fodo_report::{Diagnostic, Kind};
use rhai::{Expr, FnCallExpr, FnPtr, Position};
use std::collections::BTreeSet;

/// Functions that the language itself provides.
const BUILT_IN: [&str; 11] =
    ["Fn", "call", "curry", "is_shared", "is_def_var", "is_def_fn", "print", "debug", "type_of", "procedure", "this"];

fn script(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Kind::Script, message)
}

impl<'a> Check<'a> {
    pub(super) fn variable(&mut self, expression: &Expr, at: Position) -> What {
        let Expr::Variable(variable, short, _) = expression else { return What::Unknown };
        let (long, name, namespace, _) = &**variable;
        if !namespace.is_empty() {
            // `global::X` is a constant of this file
            match namespace.root() {
                "global" => self.globals_used(name),
                root => _ = self.library(root, namespace.position()),
            }
            return What::Unknown;
        }
        if let Some(what) = self.look_up(name).or_else(|| self.known.variable(name)) {
            return what;
        }
        if short.is_none() && long.is_none() {
            self.unknown_variable(name, at);
        }
        What::Unknown
    }

    fn unknown_variable(&mut self, name: &str, at: Position) {
        let mut report = script(format!("there is no variable `{name}`"));
        if self.facts.variables.contains(name) {
            report = report.hint(format!(
                "it is declared elsewhere; a function sees no variables from outside: pass `{name}` as an argument"
            ));
        } else if self.is_function(name) {
            report =
                report.hint(format!("`{name}` is a function: call it, `{name}(…)`, or hand it on, `|| {name}(…)`"));
        } else if let Some(hint) = fodo_language::undeclared_hint(self.text, name, at) {
            report = report.near(name, self.facts.variables.iter().map(String::as_str)).hint(hint);
        } else if let Some(here) = fodo_language::word_here(name) {
            report = report.hint(here);
        } else {
            let own = self.facts.variables.iter().map(String::as_str);
            report = report.near(name, self.known.variables().chain(own));
        }
        self.mistake(at, report);
    }

    fn is_function(&self, name: &str) -> bool {
        !self.known.function(name).is_empty() || self.facts.functions.iter().any(|(own, _)| own == name)
    }

    /// Names and numbers of arguments of every function that can be called.
    fn all_functions(&self) -> impl Iterator<Item = (&str, usize)> {
        let native = self.known.functions().map(|form| (form.name.as_str(), form.parameters.len()));
        native.chain(self.facts.functions.iter().map(|(name, count)| (name.as_str(), *count)))
    }

    pub(super) fn call(&mut self, call: &'a FnCallExpr, at: Position) -> What {
        if call.name == "curry"
            && let Some(Expr::DynamicConstant(value, _)) = call.args.first()
            && let Some(function) = value.read_lock::<FnPtr>()
        {
            let captured: Vec<What> = call.args[1..].iter().map(|argument| self.value(argument)).collect();
            return self.closure(function.fn_name(), &captured);
        }
        // what must fail is wrong on purpose
        let silent = self.silent || call.name == "assert_error";
        let before = std::mem::replace(&mut self.silent, silent);
        let arguments: Vec<What> = call.args.iter().map(|argument| self.value(argument)).collect();
        self.silent = before;
        if call.is_operator_call() {
            return self.operator(&call.name, &arguments, at);
        }
        if call.is_qualified() {
            return self.library_call(call, &arguments, at);
        }
        let (name, count) = (call.name.as_str(), arguments.len());
        if name == "Fn" {
            self.function_by_name(&arguments, call.args.first().map_or(at, Expr::position));
            return What::Kind("function".into(), Vec::new());
        }
        self.called(name, count, at);
        self.note_call(name, &arguments);
        if !self.facts.functions.contains(&(name.to_string(), count)) {
            self.builtin_called(name, &arguments, &call.args, at);
            return self.known.returned(name, &arguments);
        }
        What::Unknown
    }

    pub(super) fn method(&mut self, of: What, given: Vec<What>, call: &'a FnCallExpr, at: Position) -> What {
        let (name, count) = (call.name.as_str(), given.len());
        // `x.f(a)` is `f(x, a)`, a function written for `this`, or a function kept in a map
        let own = self.facts.functions.contains(&(name.to_string(), count));
        if own || (self.facts.keys.contains(name) && self.known.function(name).is_empty()) {
            return What::Unknown;
        }
        if !self.facts.keys.contains(name) {
            self.called(name, count + 1, at);
        }
        let arguments: Vec<What> = std::iter::once(of).chain(given).collect();
        self.note_call(name, &arguments);
        self.builtin_called(name, &arguments, &call.args, at);
        self.known.returned(name, &arguments)
    }

    /// What can be said of the arguments of a builtin or a procedure; `written` are those in the brackets.
    fn builtin_called(&mut self, name: &str, arguments: &[What], written: &'a [Expr], at: Position) {
        self.options(name, arguments, written);
        self.written(name, arguments, at);
        self.family_by_name(name, arguments, written);
        self.started(name, arguments, written);
        if !self.no_unit(name, arguments, written) {
            self.fitting(name, arguments, at);
        }
    }

    fn called(&mut self, name: &str, count: usize, at: Position) {
        if BUILT_IN.contains(&name) || name.starts_with("anon$") {
            return;
        }
        let native = self.known.function(name).iter().map(|form| form.parameters.len());
        let own = self.facts.functions.iter().filter(|(own, _)| own == name).map(|(_, count)| *count);
        let counts: BTreeSet<usize> = native.chain(own).collect();
        if counts.contains(&count) {
            return;
        }
        let report = match counts.is_empty() {
            true => self.unknown_function(name, count),
            false => wrong_count(name, count, &counts, self.known.function(name)),
        };
        self.mistake(at, report);
    }

    fn unknown_function(&self, name: &str, count: usize) -> Diagnostic {
        let report = script(format!("there is no function `{name}`"));
        let libraries = self.known.offering(name, self.file);
        if !libraries.is_empty() {
            let hint = |library: &String| fodo_language::import_hint(library, name, count, self.text);
            return libraries.iter().map(hint).fold(report, Diagnostic::hint);
        }
        let fitting: BTreeSet<&str> = self.all_functions().filter(|(_, n)| *n == count).map(|(name, _)| name).collect();
        let report = report.near(name, fitting);
        if !report.hints.is_empty() {
            return report;
        }
        let any: BTreeSet<&str> = self.all_functions().map(|(name, _)| name).collect();
        report.near(name, any)
    }

    /// `Fn("name")`: there must be such a function.
    fn function_by_name(&mut self, arguments: &[What], at: Position) {
        if let [What::Text(Some(name))] = arguments
            && !self.is_function(name)
        {
            let any: BTreeSet<&str> = self.all_functions().map(|(name, _)| name).collect();
            let report = script(format!("there is no function `{name}`")).near(name, any);
            self.mistake(at, report);
        }
    }

    /// No form of a function takes what is given.
    fn fitting(&mut self, name: &str, arguments: &[What], at: Position) {
        let forms = self.known.function(name);
        let mut forms = forms.iter().filter(|form| form.parameters.len() == arguments.len()).peekable();
        let takes =
            |form: &FunctionDoc| arguments.iter().enumerate().all(|(at, what)| accepts(form.parameter_type(at), what));
        if forms.peek().is_none() || forms.any(takes) {
            return;
        }
        let words: Vec<&str> = arguments.iter().map(What::word).collect();
        let report = script(format!("no function `{name}` takes ({})", words.join(", ")));
        self.mistake(at, shown(report, self.known.function(name)));
    }

    pub(super) fn property(&mut self, of: &What, name: &str, at: Position) -> What {
        match of {
            What::Parameters => self.parameter(name, at),
            // a family has its properties and its devices; the model what it knows
            What::Family(_) | What::Device(_) => {
                self.device_or_property(of, name, at);
                self.known.property(of, name)
            }
            What::Kind(kind, _) if kind == "model" => {
                let known: Vec<&str> = self.known.properties(of).map(|property| property.name).collect();
                if !known.contains(&name) {
                    let called = self.known.function(name).iter().any(|form| form.parameter_type(0) == "model");
                    let report = script(format!("the model has no `{name}`"));
                    let report = match called {
                        true => report.hint(format!("it is a function: `.{name}(…)`")),
                        false => report.near(name, known),
                    };
                    self.mistake(at, report);
                }
                self.known.property(of, name)
            }
            _ => self.known.property(of, name),
        }
    }

    /// `p.name`: it must be declared.
    fn parameter(&mut self, name: &str, at: Position) -> What {
        let Some(header) = self.header.clone() else { return What::Unknown };
        if let Some(parameter) = header.parameter(name) {
            return What::of_parameter(parameter, |word| self.known.family(word));
        }
        let names: Vec<&str> = header.parameters.iter().map(|p| p.name.as_str()).collect();
        let report = script(format!("`{}` has no parameter `{name}`", header.name)).near(name, names.iter().copied());
        let known = format!("its header declares `{}`", names.join("`, `"));
        self.mistake(at, if report.hints.is_empty() { report.hint(known) } else { report });
        What::Unknown
    }
}

fn wrong_count(name: &str, count: usize, counts: &BTreeSet<usize>, forms: &[FunctionDoc]) -> Diagnostic {
    let takes: Vec<String> = counts.iter().map(usize::to_string).collect();
    let noun = if takes == ["1"] { "argument" } else { "arguments" };
    shown(script(format!("`{name}` takes {} {noun}, found {count}", takes.join(" or "))), forms)
}

/// A report with some of the forms that there are.
pub(super) fn shown(mut report: Diagnostic, forms: &[FunctionDoc]) -> Diagnostic {
    let signatures: BTreeSet<&str> = forms.iter().map(|form| form.signature.as_str()).collect();
    report.details.extend(signatures.iter().take(4).map(|s| format!("there is `{s}`")));
    report
}
