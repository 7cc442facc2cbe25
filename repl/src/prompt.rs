//! The prompt.

use crate::app::{self, App};
use crate::board::board;
use crate::command::Common;
use crate::complete::{Lines, STATUS};
use crate::doc::Manual;
use crate::limits::{self, Bounded};
use crate::run::note;
use crate::words::counted;
use crate::{beside, monitor, show};
use fodo_builtins::Task;
use fodo_control::Time;
use fodo_language::{Prompt, article, type_word};
use fodo_records::{Outcome, Record, RunCard};
use fodo_report::{Diagnostic, Kind, Result};
use rhai::Dynamic;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Cmd, CompletionType, Config, Editor, KeyEvent};
use std::borrow::Cow;
use std::cell::LazyCell;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Reads lines until the end of the input; each is a run of its own.
pub fn prompt(common: &Common) -> Result<ExitCode> {
    let app = App::open(common)?;
    let card = RunCard { procedure: "prompt".into(), ..app.card() };
    let record = Arc::new(Record::create(&app.data.join("runs"), &card)?);
    app.observe(record.clone());
    let began = app.session.backend().now();
    let start = Instant::now();
    let lines = Lines::of(&app);
    let manual = LazyCell::new(|| Manual::of(&app));
    let mut editor = editor(lines)?;
    let history = app.data.join("history");
    // a prompt without its history is still a prompt
    _ = editor.load_history(&history);
    let mut session = Prompt::new(app.sources.clone());
    // the lines that went well, for `%save`
    let mut ran: Vec<String> = Vec::new();
    if let Ok(printer) = editor.create_external_printer() {
        board().print_with(printer);
    }
    println!("{} — Tab completes, help(name) explains, Ctrl-D ends", app.facility.title);
    let mut warned = false;
    loop {
        let prompt = format!("{}{}> ", if board().status().is_some() { STATUS } else { "" }, app.state());
        board().typing(true);
        let typed = editor.readline(&prompt);
        board().typing(false);
        match typed {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                warned = false;
                _ = editor.add_history_entry(line.trim());
                let line = line.trim();
                match (topic(line), line.strip_prefix('%')) {
                    (Some(topic), _) => help(&app, &manual, &mut session, topic),
                    (None, Some(command)) => app.command(&mut session, &mut ran, command),
                    (None, None) => {
                        let line = app.called(&mut session, line);
                        if app.line(&mut session, &line) {
                            ran.push(line.into_owned());
                        }
                    }
                }
                if let Some(lines) = editor.helper_mut() {
                    lines.learn(&mut session, &app.engine);
                }
            }
            Err(ReadlineError::Interrupted) => show::line("(Ctrl-D ends)"),
            Err(ReadlineError::Eof) if warned || !board().tasks().iter().any(Task::is_running) => break,
            Err(ReadlineError::Eof) => {
                show::line("(tasks run still: Ctrl-D once more stops them, and they put back what they changed)");
                warned = std::io::stdin().is_terminal();
                if !warned {
                    break;
                }
            }
            Err(error) => return Err(Diagnostic::new(Kind::Internal, format!("the prompt failed: {error}")).into()),
        }
    }
    beside::finish(true);
    _ = editor.save_history(&history);
    app.session.observe_with(None);
    let outcome = Outcome { ok: true, seconds: start.elapsed().as_secs_f64(), ..Outcome::default() };
    note(&record, &app.anomalies(began));
    if let Ok(record) = Arc::try_unwrap(record) {
        show::line(format!("record: {}", record.finish(&outcome)?.display()));
    }
    Ok(ExitCode::SUCCESS)
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
    // it pauses a run; there is none while a line is typed
    editor.bind_sequence(KeyEvent::ctrl('z'), Cmd::Noop);
    Ok(editor)
}

impl App {
    /// What begins with `%`: something about lines, not a line of a script.
    fn command(&self, prompt: &mut Prompt, ran: &mut Vec<String>, command: &str) {
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (word, rest.trim()) {
            ("time", line) if !line.is_empty() => {
                let start = Instant::now();
                if self.line(prompt, line) {
                    ran.push(line.to_string());
                }
                show::line(format!("{:.3} s", start.elapsed().as_secs_f64()));
            }
            ("monitor", "") => show::line(board().status().unwrap_or("nothing is shown".into())),
            ("monitor", "off") => show::line(format!("{} ended", counted(board().end(None), "monitor"))),
            ("monitor", expression) => {
                app::cancel().reset();
                if let Err(error) = monitor::begin(self, prompt, expression) {
                    show::error(&error);
                }
            }
            ("save", file) if !file.is_empty() => match self.save(ran, file) {
                Ok(()) => show::line(format!("{} saved as {file}", counted(ran.len(), "line"))),
                Err(error) => show::error(&error),
            },
            _ => {
                let wrong = Diagnostic::new(Kind::Usage, format!("`%{command}` is not known"));
                show::error(
                    &wrong
                        .hint("`%time LINE` runs a line and says how long it took")
                        .hint("`%monitor EXPRESSION` shows a value above the line, `%monitor off` ends that")
                        .hint("`%save FILE.rhai` keeps the lines of this session that went well as a script"),
                );
            }
        }
    }

    /// The lines of the session as a script; no file is written over.
    fn save(&self, ran: &[String], file: &str) -> Result<()> {
        let mut text = format!("// {}, {}\n", self.state(), Time::wall().utc());
        for line in ran {
            let end = if line.ends_with([';', '}']) { "" } else { ";" };
            text.push_str(&format!("{line}{end}\n"));
        }
        let written = std::fs::File::create_new(file).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            Diagnostic::new(Kind::Storage, format!("{file} could not be written: {error}"))
                .hint("a file that is there already is not written over")
                .into()
        })
    }

    /// The name of a procedure that changes nothing is enough to run it: `optics` is `optics()`.
    fn called<'l>(&self, prompt: &mut Prompt, line: &'l str) -> Cow<'l, str> {
        let name = line.trim();
        let is_word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let is_procedure = is_word && !prompt.scope().contains(name) && self.procedures.source(name).is_some();
        match !is_procedure
            || self.procedures.find(&self.engine, name).is_ok_and(|found| !found.header.changes.is_empty())
        {
            true => line.into(),
            false => format!("{name}()").into(),
        }
    }

    /// One line: a run that is committed, or put back on error and on Ctrl-C; whether it went well.
    fn line(&self, prompt: &mut Prompt, line: &str) -> bool {
        app::cancel().reset();
        let run = format!("prompt-{}-{}", std::process::id(), Time::wall().0);
        if let Some(log) = &self.changes {
            log.begin(&run, line, &app::fingerprint([line.as_bytes()]));
        }
        let result = self.session.begin(self.run_info(run, line), &[]).and_then(|()| {
            let value = limits::within(&Bounded::Run, self.longest, self.session.cancel(), || {
                prompt.evaluate(&self.engine, line)
            });
            match value.and_then(|value| self.session.commit().map(|_| value)) {
                Ok(value) => Ok(value),
                Err(error) => {
                    let standing = self.session.abort().to_string();
                    Err(Box::new(Diagnostic { machine: Some(standing), ..*error }))
                }
            }
        });
        match result {
            Ok(value) => {
                self.print(&value);
                true
            }
            Err(error) => {
                if std::io::stderr().is_terminal() {
                    // ^C stands there
                    eprint!("\r\x1b[K");
                }
                show::error(&error);
                false
            }
        }
    }

    fn print(&self, value: &Dynamic) {
        if !value.is_unit() {
            show::line(show::value(value));
        }
    }
}

/// Shows what is known about a name: of the program, of a procedure, of a variable.
fn help(app: &App, manual: &Manual, session: &mut Prompt, topic: &str) {
    let value = session.scope().get(topic).map(|value| type_word(app.engine.map_type_name(value.type_name())));
    match (manual.about(topic), value) {
        (_, Some(kind)) => println!("{topic} is {}\n{}", article(&kind), manual.members(&kind)),
        (Ok(text), None) => println!("{text}"),
        (Err(error), None) => show::error(&error),
    }
}

/// What `help`, `help(topic)`, `help topic` or `?topic` asks about.
fn topic(line: &str) -> Option<&str> {
    let line = line.trim_end_matches(';').trim();
    if let Some(topic) = line.strip_prefix('?') {
        return Some(topic.trim());
    }
    let rest = line.strip_prefix("help")?;
    if !rest.is_empty() && !rest.starts_with(['(', ' ']) {
        return None;
    }
    let topic = rest.trim().trim_start_matches('(').trim_end_matches(')').trim();
    if topic.len() > 1 && topic.starts_with('"') && topic.ends_with('"') {
        return Some(&topic[1..topic.len() - 1]);
    }
    // `help.x`, `help = 1` and the like are lines of a script
    topic.chars().all(|c| c.is_alphanumeric() || "_:.[]\"-".contains(c)).then_some(topic)
}
