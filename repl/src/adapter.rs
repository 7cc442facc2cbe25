//! `fodo adapter`: whether a laboratory's adapter does what a control system has to.

use crate::command::{AdapterAction, AdapterArguments, Common};
use crate::{app, show};
use fodo_adapter::{Adapter, AdapterOptions, TestChannels};
use fodo_control::Backend;
use fodo_control::conformance::{Check, Extent, Outcome, check_within};
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Carries out one of its actions.
pub fn adapter(common: &Common, arguments: &AdapterArguments) -> Result<ExitCode> {
    match &arguments.action {
        AdapterAction::Check { channels, command } => {
            let given = channels.as_deref().map(TestChannels::load).transpose()?;
            // Ctrl-C ends it when what was written is back
            app::cancel();
            tried(common, &Adapter::start(AdapterOptions::new(&words_of(command)))?, given)
        }
        AdapterAction::Names { pattern, command } => {
            let adapter = Adapter::start(AdapterOptions::new(&words_of(command)))?;
            let wait = Duration::from_secs_f64(common.timeout.clamp(0.01, 3600.0));
            let names = adapter.names(pattern, wait, app::cancel())?;
            match common.json {
                true => show::json_object(true, json!({ "names": names }), Value::Null, None),
                false => names.iter().for_each(show::line),
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A command in one argument (`"python3 x.py"`), split at blanks outside quotes as a shell does; else as it is.
fn words_of(command: &[String]) -> Vec<String> {
    let [line] = command else { return command.to_vec() };
    if !line.contains(char::is_whitespace) || std::path::Path::new(line).exists() {
        return command.to_vec();
    }
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn tried(common: &Common, adapter: &Adapter, given: Option<TestChannels>) -> Result<ExitCode> {
    let channels = given.or_else(|| adapter.test_channels()).unwrap_or_default();
    if channels.is_empty() {
        let what = format!("{} offers no channels on which it may be tried", adapter.name());
        let hint = "name channels of a simulated device in a file, and give it with --channels FILE.toml; \
                    docs/reference/adapter_protocol.md, Test channels, has the keys";
        return Err(Diagnostic::new(Kind::Usage, what).hint(hint).into());
    }
    let extent = if common.write { Extent::Writing } else { Extent::Reading };
    let mut checks = check_within(adapter, &channels.subject(), extent, app::cancel());
    let outcome = match adapter.garbage() {
        (0, _) => Outcome::Kept,
        (count, last) => Outcome::Broken(format!("{count} lines are not, the last: {last}")),
    };
    checks.push(Check { promise: "every line is one of the protocol", outcome });
    let broken: Vec<String> = checks.iter().filter_map(why_broken).collect();
    let heading = heading(&adapter.name(), &checks);
    let kind = if app::cancel().is_stopped() { Kind::Stopped } else { Kind::Machine };
    let good = broken.is_empty() && kind == Kind::Machine;
    let error = Diagnostic::new(kind, &heading).details(broken.iter().cloned());
    let code = if good { ExitCode::SUCCESS } else { ExitCode::from(kind.exit_code()) };
    if common.json {
        let list: Vec<Value> = checks.iter().map(as_json).collect();
        let result = json!({ "adapter": adapter.name(), "checks": list });
        show::json_object(good, result, Value::Null, (!good).then_some(&error));
    } else {
        checks.iter().for_each(|check| show::line(row(check)));
        show::line(heading);
    }
    Ok(code)
}

fn heading(name: &str, checks: &[Check]) -> String {
    let count = |word: &str| checks.iter().filter(|check| words(check).0 == word).count();
    let done =
        format!("{name}: {} promises kept, {} broken, {} skipped", count("kept"), count("broken"), count("skipped"));
    match (count("needs --write"), count("stopped")) {
        (0, 0) => done,
        (untried, 0) => format!("{done}, {untried} not tried: they need --write"),
        (_, stopped) => format!("{done}, {stopped} not tried: it was stopped"),
    }
}

/// What became of a promise, and why.
fn words(check: &Check) -> (&'static str, &str) {
    match &check.outcome {
        Outcome::Kept => ("kept", ""),
        Outcome::Broken(why) => ("broken", why),
        Outcome::Skipped(what) => ("skipped", what),
        Outcome::Unwritten => ("needs --write", "it writes to the test channels"),
        Outcome::Stopped => ("stopped", "it was stopped before"),
    }
}

fn why_broken(check: &Check) -> Option<String> {
    let (word, why) = words(check);
    (word == "broken").then(|| format!("{}: {why}", check.promise))
}

fn row(check: &Check) -> String {
    let promise = check.promise;
    match words(check) {
        ("broken", why) => format!("BROKEN   {promise}\n           {why}"),
        ("skipped", what) => format!("skipped  {promise}\n           for this is needed: {what}"),
        ("needs --write" | "stopped", _) => format!("-        {promise}"),
        (word, _) => format!("{word:<8} {promise}"),
    }
}

fn as_json(check: &Check) -> Value {
    let (outcome, why) = words(check);
    json!({ "promise": check.promise, "outcome": outcome, "why": why })
}
