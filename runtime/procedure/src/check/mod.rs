//! What is wrong with a script, found without running it.
//!
//! Statements are gone through in their order, with what each variable is as far as that can be told: what is written out
//! (families, units, texts, maps of options) is followed through variables, branches, closures and the script's own
//! functions. What cannot be told is left to the run.

mod calls;
mod header;
mod imports;
mod rights;
mod values;
mod walk;

use crate::header::{Header, header_call, read_header};
use crate::known::Known;
use crate::what::What;
use fodo_language::{Sources, diagnose_parse};
use fodo_report::{Diagnostic, Kind, Label};
use imports::Import;
use rhai::{AST, ASTNode, Engine, Expr, Module, OptimizationLevel, Position, ScriptFuncDef, Shared, Stmt};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use walk::{Role, Variable};

/// Something found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, where, what to do.
    pub report: Diagnostic,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It would end the run with an error, or is not what is meant.
    Mistake,
    /// It may do what is not meant.
    Warning,
    /// It does nothing: a name that is never looked at.
    Unused,
}

impl Severity {
    /// The word for JSON.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Mistake => "mistake",
            Severity::Warning => "warning",
            Severity::Unused => "unused",
        }
    }
}

/// An engine that parses as scripts are parsed, and knows nothing.
pub(crate) fn parser() -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None).set_max_expr_depths(256, 128);
    engine.disable_symbol("eval").disable_symbol("sleep");
    engine
}

/// Everything found wrong with the script `file`, in the order of its lines.
pub fn check(file: &str, text: &str, known: &Known) -> Vec<Finding> {
    let engine = parser();
    let sources = Sources::new();
    sources.insert(file, text);
    sources.know(known.variables().map(String::from));
    let tree = match engine.compile(text) {
        Ok(tree) => tree,
        Err(error) => {
            let report = *diagnose_parse(&engine, &error, file, &sources);
            return vec![Finding { severity: Severity::Mistake, report }];
        }
    };
    let statements = tree.statements().iter().filter(|statement| header_call(statement).is_none()).collect::<Vec<_>>();
    let functions: Vec<Function> = tree.iter_fn_def().map(Function::of).collect();
    let (closures, named): (Vec<&Function>, Vec<&Function>) =
        functions.iter().partition(|f| f.name.starts_with("anon$"));
    let mut check = Check {
        file,
        text,
        sources,
        known,
        found: Vec::new(),
        tree: &tree,
        facts: Facts::of(&tree),
        header: None,
        closures: closures.into_iter().map(|function| (function.name.as_str(), function)).collect(),
        variables: Vec::new(),
        frame: 0,
        imports: Vec::new(),
        open: Vec::new(),
        silent: false,
        arguments: HashMap::new(),
    };
    match read_header(file, text) {
        Ok(header) => check.header = header,
        Err(report) => check.add(Severity::Mistake, *report),
    }
    for at in fodo_language::functions_handed(&tree) {
        check.mistake(at, fodo_language::handed_report());
    }
    if let Some((name, at)) = fodo_language::first_hidden(&tree, |name| known.variables().any(|known| known == name)) {
        check.mistake(at, fodo_language::hidden_report(&name));
    }
    // the first time round tells with what the script's own functions are called
    check.silent = true;
    check.all(&statements, &named);
    check.silent = false;
    check.all(&statements, &named);
    if let Some(header) = check.header.take() {
        let before = check.found.len();
        check.header(&header);
        // one that is misspelt where it is used would be told twice
        if before == 0 && check.found.len() == before {
            check.unused_parameters(&header);
        }
    }
    check.finish()
}

/// A function of the script, with its statements.
struct Function {
    name: String,
    parameters: Vec<String>,
    body: Vec<Stmt>,
    /// Where its body begins.
    at: Position,
}

impl Function {
    fn of(function: &Shared<ScriptFuncDef>) -> Function {
        Function {
            name: function.name.to_string(),
            parameters: function.params.iter().map(ToString::to_string).collect(),
            body: statements_of(function),
            at: function.body.start_position(),
        }
    }
}

/// The statements of a function. (Rhai shows its body only to a walk, and its own filter keeps all functions in an empty
/// tree.)
fn statements_of(function: &Shared<ScriptFuncDef>) -> Vec<Stmt> {
    let mut module = Module::new();
    module.set_script_fn(function.clone());
    let mut statements = Vec::new();
    AST::new([], module).walk(&mut |path| {
        if let [ASTNode::Stmt(statement)] = path {
            statements.push((*statement).clone());
        }
        true
    });
    statements
}

/// What the script itself defines.
struct Facts {
    functions: BTreeSet<(String, usize)>,
    aliases: BTreeSet<String>,
    /// Keys of maps: `map.key(…)` may call a function kept there.
    keys: BTreeSet<String>,
    variables: BTreeSet<String>,
}

impl Facts {
    fn of(tree: &AST) -> Facts {
        let mut facts = Facts {
            functions: tree.iter_functions().map(|f| (f.name.to_string(), f.params.len())).collect(),
            aliases: BTreeSet::new(),
            keys: BTreeSet::new(),
            variables: BTreeSet::new(),
        };
        tree.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Import(import, _))) => _ = facts.aliases.insert(import.1.name.to_string()),
                Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => {
                    facts.variables.insert(variable.0.name.to_string());
                }
                Some(ASTNode::Expr(Expr::Map(map, _))) => {
                    facts.keys.extend(map.0.iter().map(|(key, _)| key.name.to_string()));
                }
                Some(ASTNode::Expr(Expr::Property(property, _))) => _ = facts.keys.insert(property.2.to_string()),
                _ => {}
            }
            true
        });
        facts
    }
}

struct Check<'a> {
    file: &'a str,
    text: &'a str,
    sources: Sources,
    known: &'a Known,
    found: Vec<Finding>,
    tree: &'a AST,
    facts: Facts,
    header: Option<Header>,
    closures: BTreeMap<&'a str, &'a Function>,
    /// Variables in sight, and where those of the present function begin.
    variables: Vec<Variable>,
    frame: usize,
    imports: Vec<Import>,
    /// Closures that are gone through now.
    open: Vec<String>,
    silent: bool,
    /// What the script's own functions are called with.
    arguments: HashMap<(String, usize), Vec<What>>,
}

impl<'a> Check<'a> {
    /// The statements of the file, then every function.
    fn all(&mut self, statements: &[&'a Stmt], functions: &[&'a Function]) {
        let depth = (self.variables.len(), self.imports.len());
        self.statements(statements.iter().copied());
        for function in functions {
            self.function(function);
        }
        self.leave(depth.0, depth.1);
    }

    fn function(&mut self, function: &'a Function) {
        let key = (function.name.clone(), function.parameters.len());
        let is_run = self.header.is_some() && key == ("run".to_string(), 1);
        let given = self.arguments.get(&key).cloned().unwrap_or_default();
        let (frame, variables) = (self.frame, self.variables.len());
        self.frame = variables;
        for (place, name) in function.parameters.iter().enumerate() {
            let what = if is_run { What::Parameters } else { given.get(place).cloned().unwrap_or(What::Unknown) };
            self.declare(name, Position::NONE, what, Role::Parameter);
        }
        self.block(&function.body);
        let parameters = self.variables.split_off(variables);
        // one that only says that it cannot do it has no use for what it is given
        let refuses = function.body.len() == 1 && parameters.iter().all(|parameter| !parameter.used);
        for parameter in parameters {
            if !parameter.used && !is_run && !refuses {
                let at = place_of_parameter(self.text, function, &parameter.name);
                self.never_used(
                    &format!("the parameter `{}` of `{}`", parameter.name, function.name),
                    &parameter.name,
                    at,
                );
            }
        }
        self.frame = frame;
    }

    /// Remembers with what a function of the script is called.
    fn note_call(&mut self, name: &str, arguments: &[What]) {
        let key = (name.to_string(), arguments.len());
        if !self.facts.functions.contains(&key) || !self.silent {
            return;
        }
        match self.arguments.remove(&key) {
            None => _ = self.arguments.insert(key, arguments.to_vec()),
            Some(before) => {
                let both = before.into_iter().zip(arguments).map(|(before, now)| before.or(now.clone()));
                self.arguments.insert(key, both.collect());
            }
        }
    }

    /// `global::NAME` looks at a constant of the file.
    fn globals_used(&mut self, name: &str) {
        let of_file = self.variables.iter_mut().filter(|variable| variable.name == name);
        of_file.for_each(|variable| variable.used = true);
    }

    fn label(&self, at: Position) -> Label {
        self.sources.label(self.file, at)
    }

    fn mistake(&mut self, at: Position, report: Diagnostic) {
        self.mistake_with(at, report, Vec::new());
    }

    fn mistake_with(&mut self, at: Position, report: Diagnostic, more: Vec<Label>) {
        self.report(Severity::Mistake, at, report, more);
    }

    fn warning(&mut self, at: Position, report: Diagnostic) {
        self.report(Severity::Warning, at, report, Vec::new());
    }

    fn unused(&mut self, at: Position, report: Diagnostic) {
        self.report(Severity::Unused, at, report, Vec::new());
    }

    /// A name that is never looked at, unless it begins with `_`.
    fn never_used(&mut self, what: &str, name: &str, at: Position) {
        if !name.starts_with('_') && !at.is_none() {
            let report = Diagnostic::new(Kind::Script, format!("{what} is never used"));
            self.unused(at, report.hint(format!("take it out, or call it `_{name}` if it has to be there")));
        }
    }

    fn report(&mut self, severity: Severity, at: Position, report: Diagnostic, more: Vec<Label>) {
        if self.silent {
            return;
        }
        let mut report = report.label(self.label(at));
        report.labels.extend(more);
        self.add(severity, report);
    }

    fn add(&mut self, severity: Severity, report: Diagnostic) {
        self.found.push(Finding { severity, report });
    }

    fn finish(mut self) -> Vec<Finding> {
        let place = |f: &Finding| f.report.labels.first().map_or((0, 0), |label| (label.line, label.column));
        self.found.sort_by_key(place);
        let mut seen = BTreeSet::new();
        self.found.retain(|finding| seen.insert((place(finding), finding.report.message.clone())));
        self.found
    }
}

/// Where a parameter stands before the body of its function.
fn place_of_parameter(text: &str, function: &Function, name: &str) -> Position {
    let (Some(line), Some(column)) = (function.at.line(), function.at.position()) else { return function.at };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    // signatures span few lines
    for number in (line.saturating_sub(16)..line).rev() {
        let shown: Vec<char> = text.lines().nth(number).unwrap_or("").chars().collect();
        let end = if number + 1 == line { column.saturating_sub(1).min(shown.len()) } else { shown.len() };
        let name: Vec<char> = name.chars().collect();
        let found = (0..end.saturating_sub(name.len() - 1)).rev().find(|&at| {
            let free = |place: Option<&char>| place.is_none_or(|c| !is_word(*c));
            shown[at..].starts_with(&name)
                && free(at.checked_sub(1).and_then(|b| shown.get(b)))
                && free(shown.get(at + name.len()))
        });
        if let Some(at) = found {
            return Position::new(
                u16::try_from(number + 1).unwrap_or(u16::MAX),
                u16::try_from(at + 1).unwrap_or(u16::MAX),
            );
        }
    }
    function.at
}
