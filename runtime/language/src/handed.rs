//! Plain functions handed to imported scripts: they would look up their names there.
//!
//! Rhai resolves the names inside a function in the file that calls it, so that another function than the one meant may
//! run, without a word. Only [`Callback`](crate::Callback) keeps its home; a script makes one with `bind`.

use fodo_report::{Diagnostic, Kind};
use rhai::{AST, ASTNode, Array, Dynamic, Expr, FnPtr, Map, Position, Stmt};
use std::collections::BTreeSet;

/// What is told of such a function.
pub fn handed_report() -> Diagnostic {
    Diagnostic::new(Kind::Script, "a plain function handed to a library looks up its names there")
        .hint("keep its home: `bind(|x| …)`")
}

/// Where plain functions are handed to imported scripts: written there, in an array or map too, or kept in a variable before.
pub fn functions_handed(tree: &AST) -> Vec<Position> {
    let (mut functions, mut others) = (BTreeSet::new(), BTreeSet::new());
    tree.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Var(variable, ..))) = path.last() {
            let names = if is_function_literal(&variable.1) { &mut functions } else { &mut others };
            names.insert(variable.0.name.to_string());
        }
        true
    });
    let kept = |name: &str| functions.contains(name) && !others.contains(name);
    let mut found = Vec::new();
    tree.walk(&mut |path| {
        let call = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => call,
            _ => return true,
        };
        if call.is_qualified() && call.namespace.root() != "global" {
            let plain = |argument: &&Expr| match argument {
                Expr::Variable(variable, ..) => kept(&variable.1),
                other => holds_function_literal(other),
            };
            found.extend(call.args.iter().filter(plain).map(Expr::position));
        }
        true
    });
    found
}

/// Whether an expression makes a plain function, or an array or map with one in it.
fn holds_function_literal(expression: &Expr) -> bool {
    match expression {
        Expr::Array(entries, _) => entries.iter().any(holds_function_literal),
        Expr::Map(map, _) => map.0.iter().any(|(_, entry)| holds_function_literal(entry)),
        Expr::DynamicConstant(value, _) => holds_function(value),
        other => is_function_literal(other),
    }
}

fn holds_function(value: &Dynamic) -> bool {
    value.is::<FnPtr>()
        || value.read_lock::<Array>().is_some_and(|array| array.iter().any(holds_function))
        || value.read_lock::<Map>().is_some_and(|map| map.values().any(holds_function))
}

/// Whether an expression makes a plain function: a closure, with or without captured variables, or `Fn("name")`.
pub fn is_function_literal(expression: &Expr) -> bool {
    match expression {
        Expr::FnCall(call, _) => !call.is_qualified() && (call.name == "curry" || call.name == "Fn"),
        Expr::Stmt(block) => block.iter().any(|s| matches!(s, Stmt::Share(..))),
        Expr::DynamicConstant(value, _) => value.is::<FnPtr>(),
        _ => false,
    }
}
