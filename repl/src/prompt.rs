//! The prompt.

use crate::app::{self, App};
use crate::command::Common;
use crate::show;
use fodo_control::{Observer, Time};
use fodo_language::{FunctionDoc, FunctionUse, Prompt};
use fodo_records::{Outcome, Record, RunCard};
use fodo_report::{Diagnostic, Kind, Result, did_you_mean};
use rhai::Dynamic;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Editor, Helper};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Reads lines until the end of the input; each is a run of its own.
pub fn prompt(common: &Common) -> Result<ExitCode> {
    let app = App::open(common)?;
    let record = Arc::new(Record::create(&app.data.join("runs"), &card(&app, common))?);
    app.session.observe_with(Some(record.clone() as Arc<dyn Observer>));
    let start = Instant::now();
    let lines = Lines::of(&app);
    let words = lines.words.clone();
    let mut editor = editor(lines)?;
    let history = app.data.join("history");
    // a prompt without its history is still a prompt
    _ = editor.load_history(&history);
    let mut session = Prompt::new(app.sources.clone());
    println!("{} — Tab completes, help(name) explains, Ctrl-D ends", app.facility.title);
    loop {
        match editor.readline(&format!("{}> ", app.state())) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                _ = editor.add_history_entry(line.trim());
                app.line(&mut session, &words, line.trim());
            }
            Err(ReadlineError::Interrupted) => println!("(Ctrl-D ends)"),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(Diagnostic::new(Kind::Internal, format!("the prompt failed: {error}")).into()),
        }
    }
    _ = editor.save_history(&history);
    app.session.observe_with(None);
    let outcome = Outcome { ok: true, seconds: start.elapsed().as_secs_f64(), ..Outcome::default() };
    if let Ok(record) = Arc::try_unwrap(record) {
        println!("record: {}", record.finish(&outcome)?.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn card(app: &App, common: &Common) -> RunCard {
    RunCard {
        procedure: "prompt".into(),
        facility: app.facility.name.to_string(),
        machine: common.on.word().into(),
        seed: app.seed,
        operator: std::env::var("USER").unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").into(),
        start: Time::wall(),
        ..RunCard::default()
    }
}

fn editor(lines: Lines) -> Result<Editor<Lines, FileHistory>> {
    let config = Config::builder().completion_type(CompletionType::List).max_history_size(10_000);
    let failed = |error: ReadlineError| Box::new(Diagnostic::new(Kind::Internal, format!("no prompt: {error}")));
    let mut editor = Editor::with_config(config.map_err(failed)?.build()).map_err(failed)?;
    editor.set_helper(Some(lines));
    Ok(editor)
}

impl App {
    /// One line: a run that is committed, or put back on error and on Ctrl-C.
    fn line(&self, prompt: &mut Prompt, words: &[FunctionDoc], line: &str) {
        if let Some(topic) = line.strip_prefix("help").map(str::trim) {
            let topic = topic.trim_start_matches('(').trim_end_matches([')', ';']).trim().trim_matches('"');
            return println!("{}", self.help(words, topic));
        }
        app::cancel().reset();
        let run = format!("prompt-{}-{}", std::process::id(), Time::wall().0);
        let result = self.session.begin(self.run_info(run, line), &[]).and_then(|()| {
            let value = prompt.evaluate(&self.engine, line);
            match value.and_then(|value| self.session.commit().map(|_| value)) {
                Ok(value) => Ok(value),
                Err(error) => {
                    let standing = self.session.abort().to_string();
                    Err(Box::new(Diagnostic { machine: Some(standing), ..*error }))
                }
            }
        });
        match result {
            Ok(value) => self.print(&value),
            Err(error) => show::error(&error),
        }
    }

    fn print(&self, value: &Dynamic) {
        if !value.is_unit() {
            println!("{}", show::value(value));
        }
    }

    /// What is known about a name.
    fn help(&self, words: &[FunctionDoc], topic: &str) -> String {
        if topic.is_empty() {
            return self.overview();
        }
        if let Ok(family) = self.facility.family(topic) {
            let fields: Vec<String> = family
                .devices
                .first()
                .map(|d| d.fields.iter().map(|f| format!("  {} [{}]", f.name, f.physics)).collect())
                .unwrap_or_default();
            return format!(
                "{topic}: {}, {} devices; fields:\n{}",
                family.role,
                family.devices.len(),
                fields.join("\n")
            );
        }
        let found: Vec<&FunctionDoc> = words.iter().filter(|w| w.name == topic && !w.comment.is_empty()).collect();
        if found.is_empty() {
            let near = did_you_mean(topic, words.iter().map(|w| w.name.as_str())).unwrap_or_default();
            return format!("nothing is known about `{topic}`; {near}");
        }
        let mut shown: Vec<&str> = Vec::new();
        let mut text = String::new();
        for word in found {
            text.push_str(&format!("{}\n", word.signature));
            if !shown.contains(&word.comment.as_str()) {
                text.push_str(&format!("{}\n\n", word.comment.trim_end()));
                shown.push(&word.comment);
            }
        }
        text.trim_end().to_string()
    }

    fn overview(&self) -> String {
        let families: Vec<&str> = self.facility.families.iter().map(|f| f.name.as_ref()).collect();
        format!(
            "families: {}\nprocedures: {}\nlooking: get_orbit(), BPM.get(\"x\"), model\nchanging: HCOR[0].step(5.0 * urad), undo()\nhelp(get_orbit) explains a function, Tab completes names",
            families.join(", "),
            self.procedures.names().join(", ")
        )
    }
}

/// What the line editor knows: words for completion, and when a line is whole.
struct Lines {
    words: Arc<[FunctionDoc]>,
    families: Vec<(String, Vec<String>)>,
    constants: Vec<String>,
    engine: rhai::Engine,
}

impl Lines {
    fn of(app: &App) -> Lines {
        let devices = |family: &fodo_devices::Family| family.devices.iter().map(|d| d.name.to_string()).collect();
        let words = fodo_language::functions(&app.engine).into_iter().filter(|f| !f.standard || !f.comment.is_empty());
        Lines {
            words: words.collect(),
            families: app.facility.families.iter().map(|f| (f.name.to_string(), devices(f))).collect(),
            constants: fodo_builtins::constants(),
            engine: rhai::Engine::new_raw(),
        }
    }

    fn device_names(&self, family: &str, begun: &str) -> Vec<Pair> {
        let Some((_, devices)) = self.families.iter().find(|(name, _)| name == family) else { return Vec::new() };
        let matching = devices.iter().filter(|name| name.starts_with(begun));
        matching.map(|name| Pair { display: name.clone(), replacement: format!("{name}\"]") }).collect()
    }

    fn members(&self, begun: &str) -> Vec<Pair> {
        let fits = |word: &&FunctionDoc| {
            let kind = matches!(word.usage, FunctionUse::Function | FunctionUse::Property);
            kind && !word.parameters.is_empty() && !word.comment.is_empty() && word.name.starts_with(begun)
        };
        let mut pairs: Vec<Pair> = ["s", "length", "names", "role", "fields"]
            .iter()
            .filter(|name| name.starts_with(begun))
            .map(|name| Pair { display: (*name).into(), replacement: (*name).into() })
            .collect();
        pairs.extend(self.words.iter().filter(fits).map(pair));
        pairs.dedup_by(|a, b| a.replacement == b.replacement);
        pairs
    }

    fn names(&self, begun: &str) -> Vec<Pair> {
        let families = self.families.iter().map(|(name, devices)| Pair {
            display: format!("{name}  ({} devices)", devices.len()),
            replacement: name.clone(),
        });
        let constants = self.constants.iter().map(|name| Pair { display: name.clone(), replacement: name.clone() });
        let functions =
            self.words.iter().filter(|w| w.usage == FunctionUse::Function && !w.comment.is_empty()).map(pair);
        let mut pairs: Vec<Pair> =
            families.chain(constants).chain(functions).filter(|p| p.replacement.starts_with(begun)).collect();
        pairs.dedup_by(|a, b| a.replacement == b.replacement);
        pairs
    }
}

fn pair(word: &FunctionDoc) -> Pair {
    let call = if word.usage == FunctionUse::Function { "(" } else { "" };
    Pair { display: format!("{}  {}", word.signature, word.summary()), replacement: format!("{}{call}", word.name) }
}

impl Completer for Lines {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &rustyline::Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..at];
        // an open text inside the brackets of a family: device names
        if let Some((head, begun)) = before.rsplit_once("[\"")
            && !begun.contains('"')
        {
            let start = head.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |place| place + 1);
            return Ok((at - begun.len(), self.device_names(&head[start..], begun)));
        }
        let start = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |place| place + before[place..].chars().next().map_or(1, char::len_utf8));
        let begun = &before[start..];
        let pairs = if before[..start].ends_with('.') { self.members(begun) } else { self.names(begun) };
        Ok((start, pairs))
    }
}

impl Hinter for Lines {
    type Hint = String;
}

impl Highlighter for Lines {}

impl Validator for Lines {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        match Prompt::is_complete(&self.engine, context.input()) {
            true => Ok(ValidationResult::Valid(None)),
            false => Ok(ValidationResult::Incomplete),
        }
    }
}

impl Helper for Lines {}
