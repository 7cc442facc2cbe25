//! Names that would not be what a script gave them.
//!
//! Rhai puts constants that every script sees (units, families, the model) into functions and loops when it reads a
//! script, also where a parameter or a loop variable has the same name: `fn f(s) { s }` would give a second, whatever it was
//! called with. Such a name is refused.

use fodo_report::{Diagnostic, Kind};
use rhai::{AST, ASTNode, Array, Dynamic, Expr, FnPtr, Map, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// What is told of such a name.
pub fn hidden_report(name: &str) -> Diagnostic {
    let what = format!("`{name}` is known everywhere, and would be that here too: take another name");
    Diagnostic::new(Kind::Script, what)
}

/// The first parameter, loop variable, caught error or captured variable that has the name of a constant of every script,
/// with its place (of a parameter where the body of its function begins).
pub fn first_hidden(tree: &AST, known: impl Fn(&str) -> bool) -> Option<(String, Position)> {
    let mut found = None;
    // the first parameters of a closure are those that it has captured
    let mut captured: BTreeMap<String, usize> = BTreeMap::new();
    let mut declared: BTreeSet<String> = BTreeSet::new();
    tree.walk(&mut |path| {
        let named = match path.last() {
            Some(ASTNode::Stmt(Stmt::For(parts, _))) => {
                let counter = parts.1.iter().map(|counter| (counter.name.to_string(), counter.pos));
                [(parts.0.name.to_string(), parts.0.pos)].into_iter().chain(counter).find(|(name, _)| known(name))
            }
            Some(ASTNode::Stmt(Stmt::TryCatch(flow, _))) => match &flow.expr {
                Expr::Variable(variable, _, at) if known(&variable.1) => Some((variable.1.to_string(), *at)),
                _ => None,
            },
            Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => {
                declared.insert(variable.0.name.to_string());
                None
            }
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)))
                if call.name == "curry" =>
            {
                if let Some(Expr::DynamicConstant(value, _)) = call.args.first() {
                    note(value, call.args.len() - 1, &mut captured);
                }
                None
            }
            Some(ASTNode::Expr(Expr::DynamicConstant(value, _))) => {
                note(value, 0, &mut captured);
                None
            }
            _ => None,
        };
        found = found.take().or(named);
        true
    });
    let parameter = || {
        tree.iter_fn_def().find_map(|function| {
            let first = captured.get(function.name.as_str()).copied().unwrap_or(0);
            let hides = |(at, name): (usize, &str)| known(name) && (at >= first || declared.contains(name));
            let name =
                function.params.iter().map(AsRef::as_ref).enumerate().find(|&one| hides(one)).map(|(_, name)| name);
            Some((name?.to_string(), function.body.start_position()))
        })
    };
    found.or_else(parameter)
}

/// Keeps how many variables a closure has captured, those that are in it already included; also of closures in arrays and maps.
fn note(value: &Dynamic, more: usize, captured: &mut BTreeMap<String, usize>) {
    if let Some(array) = value.read_lock::<Array>() {
        array.iter().for_each(|value| note(value, 0, captured));
    } else if let Some(map) = value.read_lock::<Map>() {
        map.values().for_each(|value| note(value, 0, captured));
    } else if let Some(function) = value.read_lock::<FnPtr>() {
        let count = captured.entry(function.fn_name().to_string()).or_default();
        *count = (*count).max(function.curry().len() + more);
    }
}
