//! Values, tables, progress and errors for a terminal.

use fodo_builtins::Progress;
use fodo_control::{Standing, WriteMode};
use fodo_language::Output;
use fodo_procedure::{Finding, Severity};
use fodo_report::Diagnostic;
use fodo_units::Quantity;
use rhai::{Array, Dynamic, Map};
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Shows an error on the terminal.
pub fn error(error: &Diagnostic) {
    clear();
    _ = write!(std::io::stderr(), "{}", rendered(error));
}

/// An error as it is shown on standard error.
pub fn rendered(error: &Diagnostic) -> String {
    error.render(std::io::stderr().is_terminal())
}

/// Shows something the check has found.
pub fn finding(finding: &Finding) {
    let word = match finding.severity {
        Severity::Mistake => "error",
        Severity::Warning | Severity::Unused => "warning",
    };
    _ = write!(std::io::stderr(), "{}", finding.report.render_as(word, std::io::stderr().is_terminal()));
}

/// Says that the panic stop was taken.
pub fn panic_stop() {
    _ = writeln!(std::io::stderr(), "\npanic stop: nothing more is written");
}

/// Says that a run will wait at its next step, or that it goes on.
pub fn pause(paused: bool) {
    let text = match paused {
        true => "pausing at the next step (Ctrl-Z goes on, Ctrl-C stops and puts back)",
        false => "going on",
    };
    note(text);
}

/// Says something of a run that goes on.
pub fn note(text: &str) {
    // the line of progress may stand there, or ^Z
    let start = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
    SHOWN_LINE.store(false, Ordering::Relaxed);
    _ = writeln!(std::io::stderr(), "{start}{text}");
}

/// Shows what the operator has to know of the run that goes on.
pub struct Notes;

impl Output for Notes {
    fn print(&self, text: &str) {
        note(text);
    }
}

/// What is wrong and does not end what goes on.
pub fn warning(text: &str) -> String {
    let word = if std::io::stderr().is_terminal() { "\x1b[33mwarning:\x1b[0m" } else { "warning:" };
    format!("{word} {text}")
}

/// The one object of `--json`.
pub fn json_object(ok: bool, result: Value, run: Value, error: Option<&Diagnostic>) {
    let error = error.map_or(Value::Null, Diagnostic::to_json);
    line(serde_json::json!({ "ok": ok, "result": result, "run": run, "error": error }).to_string());
}

/// Prints a line. A closed pipe ends the reader's interest, not the run.
pub fn line(text: impl AsRef<str>) {
    clear();
    _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Prints what scripts print: to the terminal, or beside the JSON object.
pub struct Printer {
    /// Whether standard output belongs to a JSON object.
    pub json: bool,
}

impl Output for Printer {
    fn print(&self, text: &str) {
        clear();
        // a closed pipe ends the reader's interest, not the run
        _ = if self.json { writeln!(std::io::stderr(), "{text}") } else { writeln!(std::io::stdout(), "{text}") };
    }
}

/// A text that fits into a line of so many columns.
pub fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_string(),
    }
}

/// Columns of the terminal: as `COLUMNS` says, else as it is; 100 where there is none.
pub fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let asked = || rustyline::DefaultEditor::new().ok()?.dimensions().map(|(columns, _)| usize::from(columns));
    said.or_else(asked).filter(|columns| *columns > 0).unwrap_or(100)
}

/// A line of progress on the terminal, a few times a second: what is done, how far it is, how long it still takes.
#[derive(Default)]
pub struct Bar {
    state: Mutex<Option<Phase>>,
}

/// Whether the line of progress stands on the terminal.
static SHOWN_LINE: AtomicBool = AtomicBool::new(false);

/// Takes the line of progress away.
pub fn clear() {
    if SHOWN_LINE.swap(false, Ordering::Relaxed) {
        eprint!("\r\x1b[K");
    }
}

/// What is being done, since when, and when that was shown last.
struct Phase {
    name: String,
    since: Instant,
    shown: Option<Instant>,
}

impl Progress for Bar {
    fn step(&self, phase: &str, done: usize, of: usize) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if done >= of {
            clear();
            *state = None;
            return;
        }
        let now = Instant::now();
        let begun = state.take().filter(|known| known.name == phase);
        let mut known = begun.unwrap_or_else(|| Phase { name: phase.to_string(), since: now, shown: None });
        if known.shown.is_none_or(|at| at.elapsed().as_millis() > 100) {
            let left = fodo_builtins::time_left(known.since.elapsed(), done, of);
            eprint!("\r\x1b[K{phase}: {done} of {of}{left}");
            SHOWN_LINE.store(true, Ordering::Relaxed);
            known.shown = Some(now);
        }
        *state = Some(known);
    }
}

/// The words every prompt and result begin with: facility, machine (`TWIN`, `LIVE`, `LIVE (TUNE: manual)`), write state.
pub fn state(facility: &str, machine: &str, mode: WriteMode) -> String {
    let word = match (machine, mode) {
        ("TWIN", WriteMode::Write) => "",
        (_, WriteMode::Write) => " WRITE",
        (_, WriteMode::ReadOnly) => " read-only",
        (_, WriteMode::Rehearse) => " rehearse",
    };
    format!("{facility} {machine}{word}")
}

/// What a rehearsal would have done: setpoints that would be changed, and those that would be moved and put back.
pub fn rehearsal(standing: &[Standing], passing: &[Standing]) -> String {
    let mut text = match standing.is_empty() {
        true => "rehearsal: nothing would be changed".to_string(),
        false => format!("rehearsal: nothing was written; {} setpoints would change", standing.len()),
    };
    if !standing.is_empty() {
        setpoints(&mut text, ["now", "would be"], standing);
    }
    if !passing.is_empty() {
        text.push_str(&format!("\n{} setpoints would be moved and put back", passing.len()));
        setpoints(&mut text, ["lowest", "highest"], passing);
    }
    text
}

fn setpoints(text: &mut String, [one, other]: [&str; 2], lines: &[Standing]) {
    const SHOWN: usize = 40;
    text.push_str(&format!("\n  {:<30} {one:>26} {other:>26}", "setpoint"));
    for (setpoint, one, other) in lines.iter().take(SHOWN) {
        let values = [one, other].map(|value| setpoint.shown(*value));
        text.push_str(&format!("\n  {:<30} {:>26} {:>26}", setpoint.name, values[0], values[1]));
    }
    if lines.len() > SHOWN {
        text.push_str(&format!("\n  … and {} more (all of them are in the record)", lines.len() - SHOWN));
    }
}

/// A result, with maps as indented lines.
pub fn value(value: &Dynamic) -> String {
    let mut text = String::new();
    lines(value, 0, &mut text);
    text.trim_end().to_string()
}

/// Entries of a map or array shown before the rest is counted.
const SHOWN: usize = 12;

fn lines(value: &Dynamic, depth: usize, text: &mut String) {
    let pad = "  ".repeat(depth);
    if let Some(map) = value.read_lock::<Map>() {
        for (key, inner) in map.iter().take(SHOWN) {
            match short(inner) {
                Some(short) => text.push_str(&format!("{pad}{key}: {short}\n")),
                None => {
                    text.push_str(&format!("{pad}{key}:\n"));
                    lines(inner, depth + 1, text);
                }
            }
        }
        more(map.len(), &pad, text);
    } else if let Some(array) = value.read_lock::<Array>() {
        if let Some(table) = table(&array) {
            table.iter().for_each(|line| text.push_str(&format!("{pad}{line}\n")));
            return more(array.len(), &pad, text);
        }
        array.iter().take(SHOWN).for_each(|inner| lines(inner, depth, text));
        more(array.len(), &pad, text);
    } else if value.is::<fodo_builtins::Table>() {
        let table = fodo_builtins::text_within(value, width().saturating_sub(pad.len()));
        table.lines().for_each(|line| text.push_str(&format!("{pad}{line}\n")));
    } else {
        text.push_str(&format!("{pad}{}\n", short(value).unwrap_or_default()));
    }
}

/// Maps with the same keys and short values as a table: `name` first, then `title`, then by the alphabet.
fn table(array: &Array) -> Option<Vec<String>> {
    let rows: Vec<_> = array.iter().take(SHOWN).map(|row| row.read_lock::<Map>()).collect::<Option<_>>()?;
    let mut keys: Vec<_> = rows.first()?.keys().collect();
    if rows.iter().any(|row| row.keys().ne(rows[0].keys())) {
        return None;
    }
    keys.sort_by_key(|key| match key.as_str() {
        "name" => 0,
        "title" => 1,
        _ => 2,
    });
    let cell = |row: &Map, key: &str| row.get(key).and_then(short);
    let mut cells = vec![keys.iter().map(|key| key.to_string()).collect::<Vec<_>>()];
    for row in &rows {
        cells.push(keys.iter().map(|key| cell(row, key)).collect::<Option<_>>()?);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..keys.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    Some(cells.iter().map(line).collect())
}

/// A value in one line; none for maps and arrays that need several.
fn short(value: &Dynamic) -> Option<String> {
    if let Some(map) = value.read_lock::<Map>() {
        return if map.is_empty() { Some("none".to_string()) } else { many(map.values()) };
    }
    if let Some(array) = value.read_lock::<Array>() {
        let plain = array.len() <= SHOWN && array.iter().all(|v| short(v).is_some() && !v.is::<Map>());
        let list = || array.iter().filter_map(short).collect::<Vec<_>>().join(", ");
        return plain.then(|| format!("[{}]", list()));
    }
    (!value.is::<fodo_builtins::Table>()).then(|| fodo_builtins::text(value))
}

/// Many quantities of one unit in one line: how many, their size, the largest.
fn many<'v>(values: impl ExactSizeIterator<Item = &'v Dynamic>) -> Option<String> {
    let count = values.len();
    if count <= SHOWN {
        return None;
    }
    let quantities: Vec<Quantity> =
        values.map(|v| v.read_lock::<Quantity>().map(|q| q.clone())).collect::<Option<_>>()?;
    let unit = quantities.first()?.unit.clone();
    if quantities.iter().any(|q| q.check(&unit).is_err()) {
        return None;
    }
    let rms = (quantities.iter().map(|q| q.si * q.si).sum::<f64>() / count as f64).sqrt();
    let largest = quantities.iter().map(|q| q.si.abs()).fold(0.0, f64::max);
    let [rms, largest] = [rms, largest].map(|si| Quantity::from_si(si, unit.clone()));
    Some(format!("{count} devices, rms {rms:.3}, largest {largest:.3}"))
}

fn more(count: usize, pad: &str, text: &mut String) {
    if count > SHOWN {
        text.push_str(&format!("{pad}… and {} more\n", count - SHOWN));
    }
}
