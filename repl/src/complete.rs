//! What the line editor knows: completion by what stands before the cursor, colours, when a line is whole.

use crate::app::App;
use crate::board::board;
use crate::colour::{GIVEN, coloured};
use crate::show::cut;
use crate::words::{Candidate, Words};
use fodo_builtins::{Member, Members};
use fodo_language::{Prompt, script_functions, type_word};
use fodo_procedure::{Known, Origin, What};
use rhai::{Dynamic, Engine, Map};
use rustyline::completion::{self, Completer};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

/// A line of its own above the prompt; what stands there is put in whenever the prompt is drawn.
pub const STATUS: &str = " \n";

/// Words for completion, and when a line is whole.
pub struct Lines {
    words: Words,
    engine: Engine,
    width: usize,
}

impl Lines {
    pub fn of(app: &App) -> Lines {
        let known = Known::new(&app.engine, app.facility.clone(), &app.procedures, app.libraries.clone());
        Lines { words: Words::new(Arc::new(known)), engine: Engine::new_raw(), width: crate::show::width() }
    }

    /// Takes over the variables, functions and imports that lines have made.
    pub fn learn(&mut self, prompt: &mut Prompt, engine: &Engine) {
        self.words.own = script_functions(prompt.functions());
        self.words.learn_imports(prompt.functions(), "");
        let scope = prompt.scope();
        self.words.variables =
            scope.iter_raw().map(|(name, _, value)| (name.to_string(), what(value, engine))).collect();
    }
}

fn what(value: &Dynamic, engine: &Engine) -> What {
    if let Some(members) = value.read_lock::<Members>() {
        return What::family(&members.family);
    }
    if let Some(member) = value.read_lock::<Member>() {
        return What::Device(vec![Origin { family: member.family.clone(), parameter: None }]);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return What::map(map.iter().map(|(key, value)| (key.to_string(), what(value, engine))).collect());
    }
    What::kind(&type_word(engine.map_type_name(value.type_name())))
}

/// A candidate in the list below the line; of very many it is asked for none.
pub struct Shown {
    candidate: Candidate,
    width: usize,
    display: OnceCell<String>,
}

impl Shown {
    fn text(&self) -> String {
        let text = format!("{:<22} {}", self.candidate.text.trim_end_matches(['"', ']']), self.candidate.about);
        cut(&text, self.width.saturating_sub(1)).trim_end().to_string()
    }
}

impl completion::Candidate for Shown {
    fn display(&self) -> &str {
        self.display.get_or_init(|| self.text())
    }

    fn replacement(&self) -> &str {
        &self.candidate.text
    }
}

impl Completer for Lines {
    type Candidate = Shown;

    fn complete(&self, line: &str, at: usize, _: &rustyline::Context<'_>) -> rustyline::Result<(usize, Vec<Shown>)> {
        let (start, found) = self.words.at(&line[..at], &line[at..]);
        let shown = |candidate| Shown { candidate, width: self.width, display: OnceCell::new() };
        Ok((start, found.into_iter().map(shown).collect()))
    }
}

impl Hinter for Lines {
    type Hint = String;
}

impl Highlighter for Lines {
    fn highlight<'l>(&self, line: &'l str, _at: usize) -> Cow<'l, str> {
        Cow::Owned(coloured(line, |name| self.words.known.is_given(name).then_some(GIVEN)))
    }

    fn highlight_char(&self, _line: &str, _at: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }

    /// Nobody can mistake the machine: green for the twin, yellow for a live one, red where it may be written. Above it
    /// stands the board, as it is now.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        let (board, prompt) = match prompt.strip_prefix(STATUS) {
            Some(prompt) => (Some(board().status().unwrap_or_default()), prompt),
            None => (None, prompt),
        };
        let board = board
            .map(|status| format!("\x1b[2m{}\x1b[0m\n", cut(&status, self.width.saturating_sub(1))))
            .unwrap_or_default();
        let colour = match prompt {
            p if p.contains(" LIVE WRITE") => "1;31",
            p if p.contains(" LIVE") => "33",
            _ => "32",
        };
        Cow::Owned(format!("{board}\x1b[{colour}m{prompt}\x1b[0m"))
    }
}

impl Validator for Lines {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        match Prompt::is_complete(&self.engine, context.input()) {
            true => Ok(ValidationResult::Valid(None)),
            false => Ok(ValidationResult::Incomplete),
        }
    }
}

impl rustyline::Helper for Lines {}
