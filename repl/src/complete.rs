//! What the line editor knows: completion by what stands before the cursor, colours, when a line is whole.

use crate::app::App;
use crate::words::{Candidate, Words};
use fodo_builtins::{Member, Members};
use fodo_language::{Prompt, script_functions, type_word};
use fodo_procedure::{Known, Origin, What};
use rhai::{Dynamic, Engine, Map};
use rustyline::completion::{self, Completer};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

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
        let mut text = format!("{:<22} {}", self.candidate.text.trim_end_matches(['"', ']']), self.candidate.about);
        if text.chars().count() >= self.width {
            text = text.chars().take(self.width.saturating_sub(2)).chain(['…']).collect();
        }
        text.trim_end().to_string()
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
    /// Nobody can mistake the machine: green for the twin, yellow for a live one, red where it may be written.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        let colour = match prompt {
            p if p.contains(" LIVE WRITE") => "1;31",
            p if p.contains(" LIVE") => "33",
            _ => "32",
        };
        Cow::Owned(format!("\x1b[{colour}m{prompt}\x1b[0m"))
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
