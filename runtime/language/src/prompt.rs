//! The memory of a prompt: variables, functions and imports of earlier lines.

use crate::{Sources, diagnose, diagnose_parse};
use fodo_report::Diagnostic;
use rhai::{AST, Array, Dynamic, Engine, FnPtr, Map, Module, ParseErrorType, Scope, Shared, Stmt};
use std::collections::HashSet;

/// Evaluates line after line; what one line defines, the next sees.
///
/// All lines make one growing text, the file `<prompt>`, so that an error in a function typed long
/// ago still shows its line. What nobody can see any more is forgotten: a prompt lives for weeks.
pub struct Prompt {
    sources: Sources,
    scope: Scope<'static>,
    kept: AST,
    inputs: Vec<Input>,
}

/// What was typed at once, and the line of the file where it begins.
struct Input {
    line: usize,
    text: String,
}

impl Input {
    /// The line behind it.
    fn end(&self) -> usize {
        self.line + self.text.matches('\n').count() + 1
    }
}

/// The file name of prompt lines.
const FILE: &str = "<prompt>";

/// Inputs whose text stays in any case; older ones stay if they define something.
const KEPT: usize = 1000;

/// Lines are numbered to here, then from behind the last definition; Rhai can count to 65 535.
const LAST_LINE: usize = 60_000;

impl Prompt {
    /// A prompt that keeps its lines in `sources`.
    pub fn new(sources: Sources) -> Prompt {
        let mut kept = AST::empty();
        kept.set_source(FILE);
        Prompt { sources, scope: Scope::new(), kept, inputs: Vec::new() }
    }

    /// The variables, for completion and for setting some in advance.
    pub fn scope(&mut self) -> &mut Scope<'static> {
        &mut self.scope
    }

    /// The functions typed so far.
    pub fn functions(&self) -> &AST {
        &self.kept
    }

    /// All lines that are remembered, each at its number.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = 1;
        for input in &self.inputs {
            text.extend(std::iter::repeat_n('\n', input.line - line));
            text.push_str(&input.text);
            text.push('\n');
            line = input.end();
        }
        text
    }

    /// Evaluates one complete input; `()` for statements without a value.
    pub fn evaluate(&mut self, engine: &Engine, input: &str) -> Result<Dynamic, Box<Diagnostic>> {
        self.forget_text();
        let line = self.inputs.last().map_or(1, Input::end);
        self.inputs.push(Input { line, text: input.trim_end().to_string() });
        self.sources.insert(FILE, self.text());
        let padded = format!("{}{}\n", "\n".repeat(line - 1), input.trim_end());
        let parsed = engine.compile_with_scope(&self.scope, &padded);
        let parsed = parsed.map_err(|error| diagnose_parse(engine, &error, FILE, &self.sources));
        let parsed = parsed.and_then(|tree| self.sources.sound(FILE, &tree).map(|()| tree));
        // what cannot be read is no part of the session
        let tree = parsed.inspect_err(|_| _ = self.inputs.pop())?;
        let mut all = self.kept.merge(&tree);
        all.set_source(FILE);
        self.sources.remember_functions(FILE, &all);
        let depth = self.scope.len();
        let result = engine.eval_ast_with_scope::<Dynamic>(&mut self.scope, &all);
        let result = result.map_err(|error| diagnose(engine, error, FILE, &self.sources));
        if self.scope.len() > depth {
            self.forget_hidden();
        }
        // after an error the functions of the line stay, as do variables it made before; its imports go
        let statements = if result.is_ok() { all.statements() } else { self.kept.statements() };
        self.kept = AST::new_with_source(imports(statements), self.library(&tree, &all), FILE);
        result
    }

    /// The functions that stay: those of the line too, unless they are closures that no variable holds.
    fn library(&self, line: &AST, all: &AST) -> Shared<Module> {
        let names: Vec<&str> = line.iter_functions().map(|function| function.name).collect();
        let named = names.iter().any(|name| !name.starts_with("anon$"));
        let stay = named || self.scope.iter_raw().any(|(_, _, value)| holds(value, &names, 0));
        if stay { all.shared_lib().clone() } else { self.kept.shared_lib().clone() }
    }

    /// Lets go of variables that later ones of the same name hide.
    fn forget_hidden(&mut self) {
        let all: Vec<_> = std::mem::take(&mut self.scope).into_iter().collect();
        let mut seen = HashSet::new();
        let mut visible: Vec<_> = all.into_iter().rev().filter(|(name, ..)| seen.insert(name.clone())).collect();
        visible.reverse();
        for (name, value, _) in visible {
            self.scope.push_dynamic(name, value);
        }
    }

    /// Lets go of the text of old inputs that define nothing.
    fn forget_text(&mut self) {
        let full = self.inputs.last().is_some_and(|last| last.end() > LAST_LINE);
        if self.inputs.len() < 2 * KEPT && !full {
            return;
        }
        let functions = self.kept.iter_fn_def().map(|function| function.body.start_position());
        let imports = self.kept.statements().iter().map(Stmt::position);
        let lines: HashSet<usize> = functions.chain(imports).filter_map(|position| position.line()).collect();
        let old = if full { self.inputs.len() } else { self.inputs.len() - KEPT };
        let mut place = 0;
        self.inputs.retain(|input| {
            place += 1;
            place > old || (input.line..input.end()).any(|line| lines.contains(&line))
        });
    }

    /// Whether `input` can be evaluated, or needs more lines.
    pub fn is_complete(engine: &Engine, input: &str) -> bool {
        if open_ended(input) {
            return false;
        }
        match engine.compile(input) {
            Err(error) => !matches!(error.err_type(), ParseErrorType::UnexpectedEOF),
            Ok(_) => true,
        }
    }
}

/// The imports among statements; of those under one name the last.
fn imports(statements: &[Stmt]) -> Vec<Stmt> {
    let mut seen = HashSet::new();
    let mut imports: Vec<Stmt> = Vec::new();
    for statement in statements.iter().rev() {
        let Stmt::Import(parts, _) = statement else { continue };
        if parts.1.name.is_empty() || seen.insert(parts.1.name.clone()) {
            imports.push(statement.clone());
        }
    }
    imports.reverse();
    imports
}

/// Whether a value is or contains a pointer to one of some functions.
fn holds(value: &Dynamic, functions: &[&str], depth: usize) -> bool {
    // a closure can hold itself
    const DEEP: usize = 32;
    let inner = |value: &Dynamic| holds(value, functions, depth + 1);
    if depth > DEEP {
        return true;
    }
    if let Some(pointer) = value.read_lock::<FnPtr>() {
        return functions.contains(&pointer.fn_name()) || pointer.iter_curry().any(inner);
    }
    if let Some(array) = value.read_lock::<Array>() {
        return array.iter().any(inner);
    }
    value.read_lock::<Map>().is_some_and(|map| map.values().any(inner))
}

/// Whether a bracket, a block comment or a back-quoted text is still open.
fn open_ended(input: &str) -> bool {
    let mut depth = 0i32;
    let mut chars = input.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                chars.next();
                loop {
                    match chars.next() {
                        Some('/') if last == '*' => break,
                        Some(c) => last = c,
                        None => return true,
                    }
                }
            }
            '"' | '`' => loop {
                match chars.next() {
                    Some('\\') if c == '"' => _ = chars.next(),
                    Some(end) if end == c => break,
                    Some('\n') if c == '"' => break,
                    Some(_) => {}
                    None => return c == '`',
                }
            },
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    depth > 0
}
