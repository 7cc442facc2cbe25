//! The prompt.

use crate::app::{self, App};
use crate::command::Common;
use crate::complete::{Lines, counted};
use crate::show;
use fodo_control::Time;
use fodo_language::{FunctionDoc, Prompt};
use fodo_records::{Outcome, Record, RunCard};
use fodo_report::{Diagnostic, Kind, Result, did_you_mean};
use rhai::Dynamic;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Reads lines until the end of the input; each is a run of its own.
pub fn prompt(common: &Common) -> Result<ExitCode> {
    let app = App::open(common)?;
    let record = Arc::new(Record::create(&app.data.join("runs"), &card(&app, common))?);
    app.observe(record.clone());
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
                if let Some(lines) = editor.helper_mut() {
                    lines.learn(&mut session, &app.engine);
                }
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
        operator: fodo_control::user(),
        version: env!("CARGO_PKG_VERSION").into(),
        start: Time::wall(),
        ..RunCard::default()
    }
}

fn editor(lines: Lines) -> Result<Editor<Lines, FileHistory>> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .completion_prompt_limit(400)
        .max_history_size(10_000);
    let failed = |error: ReadlineError| Box::new(Diagnostic::new(Kind::Internal, format!("no prompt: {error}")));
    let mut editor = Editor::with_config(config.map_err(failed)?.build()).map_err(failed)?;
    editor.set_helper(Some(lines));
    Ok(editor)
}

impl App {
    /// One line: a run that is committed, or put back on error and on Ctrl-C.
    fn line(&self, prompt: &mut Prompt, words: &[FunctionDoc], line: &str) {
        if let Some(topic) = topic(line) {
            return println!("{}", self.help(words, topic));
        }
        app::cancel().reset();
        let run = format!("prompt-{}-{}", std::process::id(), Time::wall().0);
        if let Some(log) = &self.changes {
            log.begin(&run, line, &app::fingerprint([line.as_bytes()]));
        }
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
            Err(error) => {
                if std::io::stderr().is_terminal() {
                    // the line of progress and ^C stand there
                    eprint!("\r\x1b[K");
                }
                show::error(&error);
            }
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
            return of_family(family);
        }
        if fodo_builtins::constants().iter().any(|name| name == topic) {
            return match topic {
                "model" => "model: the design lattice; model.<Tab> lists what it knows".to_string(),
                "twin" => {
                    "twin: the twin of this program; twin.set_from_history(time) sets it as the machine was".to_string()
                }
                unit => format!("{unit}: a unit, as in `5.0 * {unit}`"),
            };
        }
        let found: Vec<&FunctionDoc> = words.iter().filter(|w| w.name == topic && !w.comment.is_empty()).collect();
        if found.is_empty() {
            let families = self.facility.families.iter().map(|f| f.name.as_ref());
            let known = words.iter().filter(|w| !w.comment.is_empty()).map(|w| w.name.as_str());
            let near = did_you_mean(topic, known.chain(families));
            return format!("nothing is known about `{topic}`; {}", near.unwrap_or("`help` gives an overview".into()));
        }
        let mut parts: Vec<(Vec<&str>, &str)> = Vec::new();
        for word in found {
            match parts.iter_mut().find(|(_, comment)| *comment == word.comment) {
                Some((signatures, _)) => signatures.push(&word.signature),
                None => parts.push((vec![&word.signature], &word.comment)),
            }
        }
        let part = |(signatures, comment): &(Vec<&str>, &str)| {
            let signatures: Vec<String> = signatures.iter().map(|s| bold(s.trim_end_matches(" -> any"))).collect();
            format!("{}\n{}", signatures.join("\n"), plain(comment))
        };
        parts.iter().map(part).collect::<Vec<_>>().join("\n\n")
    }

    fn overview(&self) -> String {
        let families: Vec<&str> = self.facility.families.iter().map(|f| f.name.as_ref()).collect();
        format!(
            "families:   {}\nprocedures: {}\nlook:       get_orbit(), {}.get(), model.tune_x\nchange:     {}[0].step(5.0 * urad), undo(), redo(), history()\nhelp(get_orbit) explains a function, help({}) a family; Tab completes names",
            families.join(", "),
            self.procedures.names().join(", "),
            self.facility.orbit.monitors,
            self.facility.orbit.horizontal,
            self.facility.orbit.monitors,
        )
    }
}

/// What `help`, `help(topic)` or `help topic` asks about.
fn topic(line: &str) -> Option<&str> {
    let rest = line.trim_end_matches(';').strip_prefix("help")?;
    if !rest.is_empty() && !rest.starts_with(['(', ' ']) {
        return None;
    }
    let topic = rest.trim().trim_start_matches('(').trim_end_matches(')').trim().trim_matches('"');
    // `help.x`, `help = 1` and the like are lines of a script
    topic.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(topic)
}

fn of_family(family: &fodo_devices::Family) -> String {
    let names: Vec<&str> = family.devices.iter().map(|d| d.name.as_ref()).collect();
    let list = match names.as_slice() {
        [first, second, .., last] if names.len() > 4 => format!("{first}, {second}, … {last}"),
        few => few.join(", "),
    };
    let mut text = format!("{}: {}, {}: {list}", bold(&family.name), family.role, counted(names.len(), "device"));
    for field in family.devices.first().map(|d| d.fields.as_slice()).unwrap_or_default() {
        let units = match field.physics.dimension() == field.hardware.dimension() {
            true => format!("[{}]", field.physics),
            false => format!("[{}, or {} on the channel]", field.physics, field.hardware),
        };
        let access = if field.setpoint.is_some() { "read and set" } else { "read" };
        text.push_str(&format!("\n  {:<10} {units}, {access}", field.name));
    }
    text
}

/// Bold on a terminal.
fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_string() }
}

/// A doc comment for reading: headings without marks, examples indented.
fn plain(comment: &str) -> String {
    let mut code = false;
    let mut lines = Vec::new();
    for line in comment.trim().lines() {
        match line.strip_prefix("# ") {
            _ if line.starts_with("```") => code = !code,
            _ if code => lines.push(format!("    {line}")),
            Some(heading) => lines.push(bold(heading)),
            None if line.is_empty() => {}
            None => lines.push(line.to_string()),
        }
    }
    lines.join("\n")
}
