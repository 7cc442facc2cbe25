//! What is wrong with a script, found without running it.

use crate::header::{Header, body, header_call, key_order, read_header};
use fodo_language::{FunctionDoc, FunctionUse, ParameterKind, Sources, Value, diagnose_parse};
use fodo_report::{Diagnostic, Kind};
use rhai::{
    AST, ASTNode, Engine, Expr, FnCallExpr, FnPtr, Module, OptimizationLevel, Position, ScriptFuncDef, Shared, Stmt,
};
use std::collections::{BTreeMap, BTreeSet};

/// What exists outside the script.
#[derive(Clone, Copy, Default)]
pub struct Known<'a> {
    /// Registered functions, and procedures as functions.
    pub functions: &'a [FunctionDoc],
    /// Names every script sees: units, families, `model`.
    pub variables: &'a [String],
    /// The families of the facility.
    pub families: &'a [String],
}

/// Functions that the language itself provides.
const BUILT_IN: [&str; 11] =
    ["Fn", "call", "curry", "is_shared", "is_def_var", "is_def_fn", "print", "debug", "type_of", "procedure", "this"];

/// Everything found wrong with the script `file`, in the order of its lines.
pub fn check(file: &str, text: &str, known: &Known) -> Vec<Diagnostic> {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None).set_max_expr_depths(256, 128).disable_symbol("eval");
    let sources = Sources::new();
    sources.insert(file, text);
    let tree = match engine.compile(text) {
        Ok(tree) => tree,
        Err(error) => return vec![*diagnose_parse(&engine, &error, file, &sources)],
    };
    let mut check = Check { file, sources, known, found: Vec::new(), facts: Facts::of(&tree) };
    let header = match read_header(file, text) {
        Ok(header) => header,
        Err(report) => {
            check.found.push(*report);
            None
        }
    };
    for at in fodo_language::functions_handed(&tree) {
        check.report(at, fodo_language::handed_report());
    }
    check.names(&body(&tree).clone_statements_only(), &[]);
    for function in tree.iter_fn_def() {
        // what a closure captures is a parameter of it, and looked up by name
        check.names(&alone(function), &function.params);
    }
    if let Some(header) = &header {
        check.header(header, &tree);
    }
    check.finish()
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
            aliases: BTreeSet::from(["global".to_string()]),
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
    sources: Sources,
    known: &'a Known<'a>,
    found: Vec<Diagnostic>,
    facts: Facts,
}

impl Check<'_> {
    fn report(&mut self, at: Position, report: Diagnostic) {
        let label = self.sources.label(self.file, at);
        self.found.push(report.label(label));
    }

    fn finish(mut self) -> Vec<Diagnostic> {
        let place = |d: &Diagnostic| d.labels.first().map_or((0, 0), |l| (l.line, l.column));
        self.found.sort_by_key(place);
        self.found.dedup_by(|a, b| place(a) == place(b) && a.message == b.message);
        self.found
    }

    /// Every name used, in statements, functions and closures.
    fn names(&mut self, tree: &AST, parameters: &[rhai::ImmutableString]) {
        let mut nodes: Vec<(Position, Node)> = Vec::new();
        tree.walk(&mut |path| {
            collect(path, &mut nodes);
            true
        });
        for (at, node) in nodes {
            match node {
                Node::Call(call) => self.call(&call, at),
                Node::Method(name, count) => self.method(&name, count, at),
                Node::Variable(name) if parameters.iter().any(|p| *p == name) => {}
                Node::Variable(name) => self.variable(&name, at),
                Node::Alias(name) => self.alias(&name, at),
            }
        }
    }

    fn variable(&mut self, name: &str, at: Position) {
        if self.known.variables.iter().chain(self.known.families).any(|known| known == name) {
            return;
        }
        let mut report = Diagnostic::new(Kind::Script, format!("there is no variable `{name}`"));
        if self.facts.variables.contains(name) {
            report = report.hint(format!(
                "it is declared elsewhere; a function sees no variables from outside: pass `{name}` as an argument"
            ));
        } else if self.functions().any(|(known, _)| known == name) {
            report = report.hint(format!("`{name}` is a function: call it, `{name}(…)`"));
        } else {
            let known: Vec<&str> = self
                .known
                .variables
                .iter()
                .chain(self.known.families)
                .map(String::as_str)
                .chain(self.facts.variables.iter().map(String::as_str))
                .collect();
            report = report.near(name, known);
        }
        self.report(at, report);
    }

    fn alias(&mut self, name: &str, at: Position) {
        if self.facts.aliases.contains(name) {
            return;
        }
        let aliases: Vec<&str> = self.facts.aliases.iter().map(String::as_str).collect();
        let report = Diagnostic::new(Kind::Script, format!("no library is imported as `{name}`")).near(name, aliases);
        self.report(at, report.hint(format!("`import \"…\" as {name};`")));
    }

    /// Name and number of arguments of every function that can be called.
    fn functions(&self) -> impl Iterator<Item = (&str, usize)> {
        let native = self.known.functions.iter().filter(|f| f.usage == FunctionUse::Function);
        let own = self.facts.functions.iter().map(|(name, count)| (name.as_str(), *count));
        native.map(|f| (f.name.as_str(), f.parameters.len())).chain(own)
    }

    fn call(&mut self, call: &FnCallExpr, at: Position) {
        if call.is_qualified() {
            if !self.facts.aliases.contains(call.namespace.root()) {
                self.alias(call.namespace.root(), at);
            }
            return;
        }
        self.called(&call.name, call.args.len(), at);
    }

    fn method(&mut self, name: &str, count: usize, at: Position) {
        // `x.f(a)` is `f(x, a)`, a function written for `this`, or a function kept in a map
        if self.facts.keys.contains(name) || self.facts.functions.contains(&(name.to_string(), count)) {
            return;
        }
        self.called(name, count + 1, at);
    }

    fn called(&mut self, name: &str, count: usize, at: Position) {
        if BUILT_IN.contains(&name) || name.starts_with("anon$") {
            return;
        }
        let counts: BTreeSet<usize> = self.functions().filter(|(known, _)| *known == name).map(|(_, n)| n).collect();
        if counts.contains(&count) {
            return;
        }
        if counts.is_empty() {
            let report = Diagnostic::new(Kind::Script, format!("there is no function `{name}`"));
            let fitting: BTreeSet<&str> = self.functions().filter(|(_, n)| *n == count).map(|(name, _)| name).collect();
            let any: BTreeSet<&str> = self.functions().map(|(name, _)| name).collect();
            let report = report.near(name, fitting);
            let report = if report.hints.is_empty() { report.near(name, any) } else { report };
            return self.report(at, report);
        }
        let takes: Vec<String> = counts.iter().map(usize::to_string).collect();
        let noun = if takes == ["1"] { "argument" } else { "arguments" };
        let mut report =
            Diagnostic::new(Kind::Script, format!("`{name}` takes {} {noun}, found {count}", takes.join(" or ")));
        let signatures: BTreeSet<&str> = self
            .known
            .functions
            .iter()
            .filter(|f| f.name == name && f.usage == FunctionUse::Function)
            .map(|f| f.signature.as_str())
            .collect();
        report.details.extend(signatures.iter().take(4).map(|s| format!("there is `{s}`")));
        self.report(at, report);
    }

    fn header(&mut self, header: &Header, tree: &AST) {
        let words = words_of_header(tree);
        let place = |word: &str| words.get(word).copied().unwrap_or(Position::new(1, 1));
        let parameters: Vec<String> = header.parameters.iter().map(|p| p.name.clone()).collect();
        for entry in header.changes.iter().chain(&header.reads) {
            match header.parameter(entry).map(|p| &p.kind) {
                Some(ParameterKind::Named { .. }) => {}
                Some(_) => {
                    let report = Diagnostic::new(Kind::Script, format!("the parameter `{entry}` is no family"));
                    self.report(
                        place(entry),
                        report
                            .hint("`changes` and `reads` name families, or parameters made by `family` or `families`"),
                    );
                }
                None => self.family(entry, place(entry), &parameters),
            }
        }
        for parameter in &header.parameters {
            if let (ParameterKind::Named { .. }, Some(Value::Named { names, .. })) =
                (&parameter.kind, &parameter.default)
            {
                names.iter().for_each(|name| self.family(name, place(name), &[]));
            }
        }
        let before = self.found.len();
        self.run(header, tree);
        // one that is misspelt where it is used would be told twice
        if self.found.len() == before {
            self.unused(header, tree);
        }
    }

    /// Parameters that no function of the script looks at.
    fn unused(&mut self, header: &Header, tree: &AST) {
        let mut used = BTreeSet::new();
        let mut by_name = false;
        for function in tree.iter_fn_def() {
            alone(function).walk(&mut |path| {
                match path.last() {
                    Some(ASTNode::Expr(Expr::Property(property, _))) => _ = used.insert(property.2.to_string()),
                    Some(ASTNode::Expr(Expr::StringConstant(text, _))) => _ = used.insert(text.to_string()),
                    // `p[name]` may be any of them
                    Some(ASTNode::Expr(Expr::Index(index, ..))) => {
                        by_name |= matches!(&index.lhs, Expr::Variable(v, ..) if Some(&v.1) == function.params.first());
                    }
                    _ => {}
                }
                true
            });
        }
        let call = tree.statements().iter().find_map(header_call);
        let places = call.and_then(|call| key_order(call, "parameters")).unwrap_or_default();
        for (name, at) in places.into_iter().filter(|(name, _)| !by_name && !used.contains(name)) {
            if header.parameter(&name).is_some() {
                let report = Diagnostic::new(Kind::Script, format!("the parameter `{name}` is never used"));
                self.report(at, report.hint("take it out, or use it in `run`"));
            }
        }
    }

    fn family(&mut self, name: &str, at: Position, parameters: &[String]) {
        if self.known.families.is_empty() || self.known.families.iter().any(|f| f == name) {
            return;
        }
        let what = if parameters.is_empty() { "family" } else { "family and no parameter" };
        let known = self.known.families.iter().chain(parameters).map(String::as_str);
        let report = Diagnostic::new(Kind::Script, format!("there is no {what} `{name}`")).near(name, known);
        self.report(at, report);
    }

    /// `fn run(p)`: it must be there, and use declared parameters only.
    fn run(&mut self, header: &Header, tree: &AST) {
        let run = tree.iter_fn_def().find(|f| f.name == "run" && f.params.len() == 1);
        let Some(run) = run else {
            let at =
                tree.statements().iter().find(|s| header_call(s).is_some()).map_or(Position::new(1, 1), Stmt::position);
            let report = Diagnostic::new(Kind::Script, "a procedure needs `fn run(p) { … }`");
            return self.report(at, report.hint("`p` holds its parameters"));
        };
        let parameter = run.params[0].to_string();
        let mut seen = BTreeSet::from(["run".to_string()]);
        let mut open = vec!["run".to_string()];
        while let Some(name) = open.pop() {
            let Some(function) = tree.iter_fn_def().find(|f| f.name == name.as_str()) else { continue };
            let mut used = Vec::new();
            alone(function).walk(&mut |path| {
                match path.last() {
                    Some(ASTNode::Expr(Expr::Dot(dot, ..))) => used.extend(property_of(&dot.lhs, &dot.rhs, &parameter)),
                    Some(ASTNode::Expr(Expr::FnCall(call, _))) if call.name == "curry" => {
                        // a closure that captures the parameters goes on with them
                        let captures = call.args.iter().any(|a| matches!(a, Expr::Variable(v, ..) if v.1 == parameter));
                        let closure = call.args.first().and_then(closure_name).filter(|_| captures);
                        open.extend(closure.filter(|c| seen.insert(c.clone())));
                    }
                    _ => {}
                }
                true
            });
            for (property, at) in used {
                if header.parameter(&property).is_none() {
                    let report =
                        Diagnostic::new(Kind::Script, format!("`{}` has no parameter `{property}`", header.name));
                    let names: Vec<&str> = header.parameters.iter().map(|p| p.name.as_str()).collect();
                    let report = report.near(&property, names.iter().copied());
                    let known = format!("its header declares `{}`", names.join("`, `"));
                    self.report(at, if report.hints.is_empty() { report.hint(known) } else { report });
                }
            }
        }
    }
}

/// A tree with one function. (Rhai's own filter keeps all of them in an empty tree.)
fn alone(function: &Shared<ScriptFuncDef>) -> AST {
    let mut module = Module::new();
    module.set_script_fn(function.clone());
    AST::new([], module)
}

/// What the check looks at.
enum Node {
    Call(Box<FnCallExpr>),
    Method(String, usize),
    Variable(String),
    Alias(String),
}

fn collect(path: &[ASTNode], nodes: &mut Vec<(Position, Node)>) {
    match path.last() {
        Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at)))
            if !call.is_operator_call() =>
        {
            nodes.push((*at, Node::Call(call.clone())));
        }
        Some(ASTNode::Expr(Expr::MethodCall(call, at))) => {
            nodes.push((*at, Node::Method(call.name.to_string(), call.args.len())));
        }
        Some(ASTNode::Expr(Expr::Variable(variable, short, at))) => {
            let (long, name, namespace, _) = &**variable;
            match namespace.is_empty() {
                false => nodes.push((*at, Node::Alias(namespace.root().to_string()))),
                true if short.is_none() && long.is_none() => nodes.push((*at, Node::Variable(name.to_string()))),
                true => {}
            }
        }
        _ => {}
    }
}

fn closure_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::DynamicConstant(value, _) => value.read_lock::<FnPtr>().map(|f| f.fn_name().to_string()),
        _ => None,
    }
}

/// `p.name`, also as the beginning of a longer chain.
fn property_of(left: &Expr, right: &Expr, parameter: &str) -> Option<(String, Position)> {
    let Expr::Variable(variable, ..) = left else { return None };
    if variable.1 != parameter {
        return None;
    }
    match right {
        Expr::Property(property, at) => Some((property.2.to_string(), *at)),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => match &chain.lhs {
            Expr::Property(property, at) => Some((property.2.to_string(), *at)),
            _ => None,
        },
        _ => None,
    }
}

/// The texts written in the header, with their places.
fn words_of_header(tree: &AST) -> BTreeMap<String, Position> {
    let mut words = BTreeMap::new();
    let call = tree.statements().iter().find_map(header_call);
    for argument in call.iter().flat_map(|c| &c.args) {
        argument.walk(&mut Vec::new(), &mut |path| {
            if let Some(ASTNode::Expr(Expr::StringConstant(text, at))) = path.last() {
                words.entry(text.to_string()).or_insert(*at);
            }
            true
        });
    }
    words
}
