//! The memory of a prompt: variables, functions and imports of earlier lines.

use crate::{Sources, diagnose, diagnose_parse};
use fodo_report::Diagnostic;
use rhai::{AST, Dynamic, Engine, ParseErrorType, Scope, Stmt};

/// Evaluates line after line; what one line defines, the next sees.
///
/// All lines make one growing text, the file `<prompt>`, so that an error in a function typed long
/// ago still shows its line.
pub struct Prompt {
    sources: Sources,
    scope: Scope<'static>,
    kept: AST,
    text: String,
}

/// The file name of prompt lines.
const FILE: &str = "<prompt>";

impl Prompt {
    /// A prompt that keeps its lines in `sources`.
    pub fn new(sources: Sources) -> Prompt {
        let mut kept = AST::empty();
        kept.set_source(FILE);
        Prompt { sources, scope: Scope::new(), kept, text: String::new() }
    }

    /// The variables, for completion and for setting some in advance.
    pub fn scope(&mut self) -> &mut Scope<'static> {
        &mut self.scope
    }

    /// The functions typed so far.
    pub fn functions(&self) -> &AST {
        &self.kept
    }

    /// All lines so far; saved, it is a script.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Evaluates one complete input; `()` for statements without a value.
    pub fn evaluate(&mut self, engine: &Engine, input: &str) -> Result<Dynamic, Box<Diagnostic>> {
        let begin = self.text.len();
        let before = self.text.matches('\n').count();
        self.text.push_str(input.trim_end());
        self.text.push('\n');
        self.sources.insert(FILE, self.text.as_str());
        let padded = format!("{}{}", "\n".repeat(before), &self.text[begin..]);
        let parsed = engine.compile_with_scope(&self.scope, &padded);
        let line = parsed.map_err(|error| {
            let report = diagnose_parse(engine, &error, FILE, &self.sources);
            self.text.truncate(begin); // what cannot be read is no part of the session
            report
        })?;
        let mut all = self.kept.merge(&line);
        all.set_source(FILE);
        self.sources.remember_functions(FILE, &all);
        let depth = self.scope.len();
        let result = engine.eval_ast_with_scope::<Dynamic>(&mut self.scope, &all);
        match result {
            Ok(value) => {
                self.kept = imports_and_functions(&all);
                Ok(value)
            }
            Err(error) => {
                let report = diagnose(engine, error, FILE, &self.sources);
                self.keep_definitions(&all, depth);
                Err(report)
            }
        }
    }

    /// After an error the functions of the line stay, as do variables it made before; its imports go.
    fn keep_definitions(&mut self, all: &AST, _depth: usize) {
        let statements: Vec<Stmt> = self.kept.statements().to_vec();
        self.kept = AST::new_with_source(statements, all.shared_lib().clone(), FILE);
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

/// The tree of `all` with nothing to run but its imports.
fn imports_and_functions(all: &AST) -> AST {
    let imports: Vec<Stmt> = all.statements().iter().filter(|s| matches!(s, Stmt::Import(..))).cloned().collect();
    AST::new_with_source(imports, all.shared_lib().clone(), FILE)
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
