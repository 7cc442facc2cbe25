//! Statements and expressions in their order, with the variables in sight and what they are.

use super::Check;
use crate::check::imports::Import;
use crate::what::What;
use fodo_units::Unit;
use rhai::{ASTFlags, Expr, FlowControl, FnCallExpr, FnPtr, Position, Stmt};

/// A variable in sight.
pub(super) struct Variable {
    pub name: String,
    pub at: Position,
    pub what: What,
    pub role: Role,
    /// Whether its value is looked at.
    pub used: bool,
}

/// How a variable came to be.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// `let` or `const`.
    Declared,
    /// Of `for` or `catch`.
    Given,
    /// Of a function.
    Parameter,
    /// Of a closure: its parameters and what it captures.
    Closure,
}

/// A part of a chain behind its beginning: `.name`, `.name(…)`, `[…]`.
pub(super) enum Link<'e> {
    Property(&'e str, Position),
    Method(&'e FnCallExpr, Position),
    Index(&'e Expr),
}

/// The beginning of a chain and its links.
pub(super) fn chain(expression: &Expr) -> (&Expr, Vec<Link<'_>>) {
    let (Expr::Dot(pair, flags, _) | Expr::Index(pair, flags, _)) = expression else { return (expression, Vec::new()) };
    let mut links = Vec::new();
    let (mut indexes, mut right, mut flags) = (matches!(expression, Expr::Index(..)), &pair.rhs, *flags);
    loop {
        match right {
            Expr::Dot(next, more, _) | Expr::Index(next, more, _) if !flags.contains(ASTFlags::BREAK) => {
                links.extend(link(&next.lhs, indexes));
                (indexes, right, flags) = (matches!(right, Expr::Index(..)), &next.rhs, *more);
            }
            last => {
                links.extend(link(last, indexes));
                return (&pair.lhs, links);
            }
        }
    }
}

fn link(expression: &Expr, indexes: bool) -> Option<Link<'_>> {
    match expression {
        index if indexes => Some(Link::Index(index)),
        Expr::Property(property, at) => Some(Link::Property(&property.2, *at)),
        Expr::MethodCall(call, at) => Some(Link::Method(call, *at)),
        _ => None,
    }
}

impl<'a> Check<'a> {
    /// Statements with a scope of their own; gives what the last one is.
    pub(super) fn block(&mut self, statements: impl IntoIterator<Item = &'a Stmt>) -> What {
        let (variables, imports) = (self.variables.len(), self.imports.len());
        let last = self.statements(statements);
        self.leave(variables, imports);
        last
    }

    pub(super) fn statements(&mut self, statements: impl IntoIterator<Item = &'a Stmt>) -> What {
        statements.into_iter().fold(What::Unknown, |_, statement| self.statement(statement))
    }

    /// Lets go of what was declared since; what was never looked at is told.
    pub(super) fn leave(&mut self, variables: usize, imports: usize) {
        for variable in self.variables.split_off(variables) {
            if variable.role == Role::Declared && !variable.used {
                self.never_used(&format!("the variable `{}`", variable.name), &variable.name, variable.at);
            }
        }
        for import in self.imports.split_off(imports) {
            self.import_left(&import);
        }
    }

    pub(super) fn declare(&mut self, name: &str, at: Position, what: What, role: Role) {
        self.variables.push(Variable { name: name.to_string(), at, what, role, used: false });
    }

    fn statement(&mut self, statement: &'a Stmt) -> What {
        match statement {
            Stmt::If(flow, _) => {
                self.value(&flow.expr);
                self.branches(&[&flow.body, &flow.branch])
            }
            Stmt::Switch(switch, _) => {
                self.value(&switch.0);
                let before = self.whats();
                let mut ends = vec![before.clone()];
                for case in &switch.1.expressions {
                    self.put_back(&before);
                    self.value(&case.lhs);
                    self.value(&case.rhs);
                    ends.push(self.whats());
                }
                self.meet(ends);
                What::Unknown
            }
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                self.value(&flow.expr);
                self.branches(&[&flow.body]);
                What::Unknown
            }
            Stmt::For(parts, _) => {
                let (variable, counter, flow) = &**parts;
                let over = self.value(&flow.expr);
                let variables = self.variables.len();
                self.declare(&variable.name, variable.pos, over.entry(), Role::Given);
                if let Some(counter) = counter {
                    self.declare(&counter.name, counter.pos, What::Number(Unit::none(), None), Role::Given);
                }
                self.branches(&[&flow.body]);
                self.variables.truncate(variables);
                What::Unknown
            }
            Stmt::Var(parts, flags, _) => {
                let what = self.value(&parts.1);
                self.declare(&parts.0.name, parts.0.pos, what, Role::Declared);
                // an exported one is for who imports the script
                if flags.contains(ASTFlags::EXPORTED)
                    && let Some(variable) = self.variables.last_mut()
                {
                    variable.used = true;
                }
                What::Unknown
            }
            Stmt::Assignment(parts) => {
                let (operator, pair) = &**parts;
                self.assignment(
                    operator.get_op_assignment_info().map(|info| info.5),
                    &pair.lhs,
                    &pair.rhs,
                    operator.position(),
                );
                What::Unknown
            }
            Stmt::FnCall(call, at) => self.call(call, *at),
            Stmt::Block(block) => self.block(block.iter()),
            Stmt::TryCatch(flow, _) => self.caught(flow),
            Stmt::Expr(expression) => self.value(expression),
            Stmt::BreakLoop(value, ..) | Stmt::Return(value, ..) => {
                value.iter().for_each(|value| _ = self.value(value));
                What::Unknown
            }
            Stmt::Import(parts, _) => {
                self.import(parts);
                What::Unknown
            }
            Stmt::Export(parts, _) => {
                _ = self.look_up(&parts.0.name);
                What::Unknown
            }
            _ => What::Unknown,
        }
    }

    fn caught(&mut self, flow: &'a FlowControl) -> What {
        let before = self.whats();
        self.block(flow.body.iter());
        let after = self.whats();
        self.put_back(&before);
        let variables = self.variables.len();
        if let Expr::Variable(variable, _, at) = &flow.expr {
            self.declare(&variable.1, *at, What::Unknown, Role::Given);
        }
        self.block(flow.branch.iter());
        self.variables.truncate(variables);
        self.meet(vec![self.whats(), after]);
        What::Unknown
    }

    /// Blocks of which one runs; of a loop perhaps none.
    fn branches(&mut self, blocks: &[&'a rhai::StmtBlock]) -> What {
        let before = self.whats();
        let mut ends = if blocks.len() < 2 { vec![before.clone()] } else { Vec::new() };
        let mut value: Option<What> = None;
        for block in blocks {
            self.put_back(&before);
            let found = self.block(block.iter());
            value = Some(match value {
                None => found,
                Some(other) => other.or(found),
            });
            // what leaves here does not go on behind
            if !matches!(block.iter().last(), Some(Stmt::Return(..) | Stmt::BreakLoop(..))) {
                ends.push(self.whats());
            }
        }
        self.put_back(&before);
        self.meet(ends);
        value.unwrap_or(What::Unknown)
    }

    fn whats(&self) -> Vec<What> {
        self.variables.iter().map(|variable| variable.what.clone()).collect()
    }

    /// Makes the variables what they were.
    fn put_back(&mut self, before: &[What]) {
        let variables = self.variables.iter_mut().zip(before);
        variables.for_each(|(variable, what)| variable.what = what.clone());
    }

    /// Each variable is what it is at one of some ends.
    fn meet(&mut self, ends: Vec<Vec<What>>) {
        let mut ends = ends.into_iter();
        let Some(first) = ends.next() else { return };
        let all = ends.fold(first, |all, end| all.into_iter().zip(end).map(|(a, b)| a.or(b)).collect());
        self.put_back(&all);
    }

    fn assignment(&mut self, operator: Option<&str>, left: &'a Expr, right: &'a Expr, at: Position) {
        let what = self.value(right);
        let (head, links) = chain(left);
        let Expr::Variable(variable, _, place) = head else {
            self.value(left);
            return;
        };
        if links.is_empty() {
            let what = match operator {
                Some(operator) => {
                    let before = self.value(left);
                    self.operator(operator, &[before, what], at)
                }
                None => what,
            };
            match self.position_of(&variable.1) {
                Some(place) => self.variables[place].what = what,
                None => {
                    self.variable(left, *place);
                    // told once, not wherever it is looked at
                    if self.known.variable(&variable.1).is_none() {
                        self.declare(&variable.1, *place, what, Role::Given);
                    }
                }
            }
            return;
        }
        self.value(left);
        if let Some(place) = self.position_of(&variable.1) {
            let known = std::mem::replace(&mut self.variables[place].what, What::Unknown);
            self.variables[place].what = match (known, links.as_slice()) {
                (What::Map(mut entries), [Link::Property(name, _)]) if operator.is_none() => {
                    entries.retain(|(key, _)| key != name);
                    entries.push(((*name).to_string(), what));
                    What::map(entries)
                }
                (What::Array(entries), [Link::Index(_)]) if operator.is_none() => {
                    What::array(entries.into_iter().chain([what]).collect())
                }
                (other @ (What::Kind(..) | What::Family(_) | What::Device(_)), _) => other,
                _ => What::Unknown,
            };
        }
    }

    /// Where a variable of this function stands among those in sight.
    fn position_of(&self, name: &str) -> Option<usize> {
        let place = self.variables[self.frame..].iter().rposition(|variable| variable.name == name)?;
        Some(self.frame + place)
    }

    /// What a variable in sight is; it is used.
    pub(super) fn look_up(&mut self, name: &str) -> Option<What> {
        let place = self.position_of(name)?;
        self.variables[place].used = true;
        Some(self.variables[place].what.clone())
    }

    /// What an expression is; everything in it is checked.
    pub(super) fn value(&mut self, expression: &'a Expr) -> What {
        match expression {
            Expr::IntegerConstant(n, _) => What::Number(Unit::none(), Some(*n as f64)),
            Expr::FloatConstant(x, _) => What::Number(Unit::none(), Some(**x)),
            Expr::BoolConstant(..) | Expr::And(..) | Expr::Or(..) => {
                self.parts(expression);
                What::kind("boolean")
            }
            Expr::StringConstant(text, _) => What::Text(Some(text.to_string())),
            Expr::InterpolatedString(parts, _) => {
                parts.iter().for_each(|part| _ = self.value(part));
                What::Text(None)
            }
            Expr::DynamicConstant(value, _) => match value.read_lock::<FnPtr>() {
                Some(function) => self.closure(function.fn_name(), &[]),
                None => What::Unknown,
            },
            Expr::Array(entries, _) => {
                let entries = entries.iter().map(|entry| self.value(entry)).collect();
                What::array(entries)
            }
            Expr::Map(map, _) => {
                let entries = map.0.iter().map(|(key, value)| (key.name.to_string(), self.value(value))).collect();
                What::map(entries)
            }
            Expr::Variable(_, _, at) => self.variable(expression, *at),
            Expr::Stmt(block) => self.block(block.iter()),
            Expr::FnCall(call, at) => self.call(call, *at),
            Expr::Dot(..) | Expr::Index(..) => self.links(expression),
            Expr::Coalesce(parts, _) => {
                let mut parts = parts.iter().map(|part| self.value(part)).collect::<Vec<_>>().into_iter();
                let first = parts.next().unwrap_or(What::Unknown);
                parts.fold(first, What::or)
            }
            _ => What::Unknown,
        }
    }

    fn parts(&mut self, expression: &'a Expr) {
        if let Expr::And(parts, _) | Expr::Or(parts, _) = expression {
            parts.iter().for_each(|part| _ = self.value(part));
        }
    }

    /// A chain from its beginning to its end.
    fn links(&mut self, expression: &'a Expr) -> What {
        let (head, links) = chain(expression);
        let mut what = self.value(head);
        for link in &links {
            what = match link {
                Link::Property(name, at) => self.property(&what, name, *at),
                Link::Method(call, at) => {
                    let given: Vec<What> = call.args.iter().map(|argument| self.value(argument)).collect();
                    if let (Expr::Variable(variable, ..), "push", 1) = (head, call.name.as_str(), links.len()) {
                        self.grow(&variable.1, &given);
                    }
                    self.method(what, given, call, *at)
                }
                Link::Index(index) => {
                    let by = self.value(index);
                    self.device(&what, &by, index.position());
                    what.indexed(&by)
                }
            };
        }
        what
    }

    /// An array that grows is one of what it is given, too.
    fn grow(&mut self, name: &str, given: &[What]) {
        if let Some(place) = self.position_of(name)
            && let What::Array(entries) = &mut self.variables[place].what
        {
            entries.extend(given.iter().cloned());
            if entries.len() > crate::what::MOST_ENTRIES {
                self.variables[place].what = What::Unknown;
            }
        }
    }

    /// A closure: its body sees what it captures, and parameters of which nothing is known.
    pub(super) fn closure(&mut self, name: &str, captured: &[What]) -> What {
        let plain = What::Kind("function".into(), Vec::new());
        let Some(function) = self.closures.get(name).copied() else { return plain };
        if self.open.iter().any(|open| open == name) {
            return plain;
        }
        self.open.push(name.to_string());
        let (frame, variables) = (self.frame, self.variables.len());
        self.frame = variables;
        for (place, parameter) in function.parameters.iter().enumerate() {
            let what = captured.get(place).cloned().unwrap_or(What::Unknown);
            self.declare(parameter, Position::NONE, what, Role::Closure);
        }
        self.block(&function.body);
        self.variables.truncate(variables);
        self.frame = frame;
        self.open.pop();
        plain
    }

    /// The imports in sight.
    pub(super) fn alias(&mut self, name: &str) -> Option<&mut Import> {
        self.imports.iter_mut().rev().find(|import| import.alias == name)
    }
}
