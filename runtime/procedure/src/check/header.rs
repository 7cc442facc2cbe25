//! The header: families that are there, parameters that are used, `run`.

use super::{Check, statements_of};
use crate::header::{Header, family_word, header_call, key_order};
use fodo_language::{ParameterKind, Value};
use fodo_report::{Diagnostic, Kind, nearest};
use rhai::{AST, ASTNode, Expr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

impl Check<'_> {
    pub(super) fn header(&mut self, header: &Header) {
        let words = words_of_header(self.tree);
        let place = |word: &str| words.get(word).copied().unwrap_or(Position::new(1, 1));
        let parameters: Vec<String> = header.parameters.iter().map(|p| p.name.clone()).collect();
        for entry in header.changes.iter().chain(&header.reads) {
            match header.parameter(entry).map(|p| &p.kind) {
                Some(ParameterKind::Named { .. }) => {}
                Some(_) => {
                    let report = Diagnostic::new(Kind::Script, format!("the parameter `{entry}` is no family"));
                    let hint =
                        "`changes` and `reads` name families, or parameters made by `family`, `families` or `device`";
                    self.mistake(place(entry), report.hint(hint));
                }
                None => self.family(entry, place(entry), &parameters),
            }
        }
        for parameter in header.parameters.iter().filter(|parameter| !parameter.optional) {
            let ParameterKind::Named { permitted, many, .. } = &parameter.kind else { continue };
            if let Some(Value::Named { names, .. }) = &parameter.default {
                // of the roles in a list a facility has some
                let some = *many && names.iter().any(|name| self.known.family(family_word(name)).is_some());
                for name in names.iter().filter(|name| !some || self.known.family(family_word(name)).is_some()) {
                    let of = family_word(name);
                    self.family(of, words.get(name).copied().unwrap_or_else(|| place(of)), &[]);
                }
            }
            permitted.iter().for_each(|role| self.role(role, place(role)));
        }
        if !self.tree.iter_fn_def().any(|f| f.name == "run" && f.params.len() == 1) {
            let call = self.tree.statements().iter().find(|s| header_call(s).is_some());
            let at = call.map_or(Position::new(1, 1), Stmt::position);
            let report = Diagnostic::new(Kind::Script, "a procedure needs `fn run(p) { … }`");
            self.mistake(at, report.hint("`p` holds its parameters"));
        }
    }

    /// A family, by its name or, in small letters, by its role.
    fn family(&mut self, name: &str, at: Position, parameters: &[String]) {
        if self.known.family(name).is_some() {
            return;
        }
        let near_parameter = !nearest(name, parameters.iter().map(String::as_str)).is_empty();
        if name.starts_with(char::is_lowercase) && !near_parameter {
            return self.role(name, at);
        }
        let what = if parameters.is_empty() { "family" } else { "family and no parameter" };
        let known = self.known.families().chain(parameters.iter().map(String::as_str));
        let report = Diagnostic::new(Kind::Script, format!("there is no {what} `{name}`")).near(name, known);
        self.mistake(at, report);
    }

    /// A role that no family here has is a mistake only if it is nearly one: other facilities have others.
    fn role(&mut self, role: &str, at: Position) {
        let roles: BTreeSet<&str> = self.known.facility.families.iter().map(|family| family.role.as_ref()).collect();
        // a skew quadrupole is no mistaken quadrupole
        let kind_of = |known: &&str| role.strip_suffix(known).is_some_and(|rest| rest.ends_with(' '));
        if !roles.contains(role) && !roles.iter().any(kind_of) {
            let report = Diagnostic::new(Kind::Script, format!("no family has the role `{role}`")).near(role, roles);
            if !report.hints.is_empty() {
                self.warning(at, report);
            }
        }
    }

    /// Parameters of the procedure that no function of the script looks at.
    pub(super) fn unused_parameters(&mut self, header: &Header) {
        let mut used = BTreeSet::new();
        let mut by_name = false;
        for function in self.tree.iter_fn_def() {
            for statement in statements_of(function) {
                statement.walk(&mut Vec::new(), &mut |path| {
                    match path.last() {
                        Some(ASTNode::Expr(Expr::Property(property, _))) => _ = used.insert(property.2.to_string()),
                        Some(ASTNode::Expr(Expr::StringConstant(text, _))) => _ = used.insert(text.to_string()),
                        // `p[name]` may be any of them
                        Some(ASTNode::Expr(Expr::Index(index, ..))) => {
                            by_name |=
                                matches!(&index.lhs, Expr::Variable(v, ..) if Some(&v.1) == function.params.first());
                        }
                        // a function that is handed all of them may use any; a closure only keeps them
                        Some(ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))) if call.name != "curry" => {
                            let whole = |argument: &Expr| matches!(argument, Expr::Variable(v, ..) if Some(&v.1) == function.params.first());
                            by_name |= call.args.iter().any(whole);
                        }
                        _ => {}
                    }
                    true
                });
            }
        }
        let call = self.tree.statements().iter().find_map(header_call);
        let places = call.and_then(|call| key_order(call, "parameters")).unwrap_or_default();
        for (name, at) in places.into_iter().filter(|(name, _)| !by_name && !used.contains(name)) {
            if header.parameter(&name).is_some() {
                let report = Diagnostic::new(Kind::Script, format!("the parameter `{name}` is never used"));
                self.unused(at, report.hint("take it out, or use it in `run`"));
            }
        }
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
