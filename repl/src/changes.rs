//! `fodo changes`: who wrote what, when, from which script.

use crate::app;
use crate::command::{ChangesArguments, Common};
use crate::{shelf, show};
use fodo_control::Time;
use fodo_devices::Facility;
use fodo_records::{ChangeLine, ChangeLog};
use fodo_report::{Diagnostic, Kind, Result};
use fodo_units::{Quantity, Unit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Above this many lines, a run is one line.
const MANY: usize = 40;

/// Where the change logs are.
pub fn folder(data: &Path) -> PathBuf {
    data.join("changes")
}

/// Lists the writes, newest last.
pub fn changes(common: &Common, arguments: &ChangesArguments) -> Result<ExitCode> {
    let facility = Facility::load(shelf::facility(&common.facility)?)?;
    if let Some(family) = &arguments.family {
        facility.family(family)?;
    }
    let since = arguments.since.as_deref().map(since).transpose()?;
    let mut lines = ChangeLog::read(&folder(&app::data_folder(common)?), &facility.name)?;
    lines.retain(|line| {
        since.as_ref().is_none_or(|since| line.time >= *since)
            && arguments.family.as_ref().is_none_or(|family| line.family() == family)
            && arguments.run.as_ref().is_none_or(|run| line.writer.run == *run)
    });
    if common.json {
        show::json_object(true, json!({ "changes": lines }), Value::Null, None);
    } else if lines.is_empty() {
        show::line(format!("nothing was written to {} as far as this data folder knows", facility.name));
    } else if lines.len() <= MANY || arguments.run.is_some() {
        lines.iter().for_each(|line| show::line(in_words(line)));
    } else {
        runs(&lines).iter().for_each(|run| show::line(summary(run)));
        show::line(format!("{} writes; `fodo changes --run ID` lists those of a run", lines.len()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The time this long ago, as the log writes times.
fn since(text: &str) -> Result<String> {
    let wrong =
        || Diagnostic::new(Kind::Usage, format!("`{text}` is not a time")).hint("write it as \"2 h\" or \"30 min\"");
    let quantity = Quantity::parse(text).map_err(|_| wrong())?;
    let second = Unit::parse("s").map_err(|_| wrong())?;
    quantity.check(&second).map_err(|_| wrong())?;
    Ok(Time(Time::wall().0.saturating_sub((quantity.si * 1e9) as i64)).iso())
}

/// Writes of the same run, in order of their first.
fn runs(lines: &[ChangeLine]) -> Vec<Vec<&ChangeLine>> {
    let mut runs: Vec<Vec<&ChangeLine>> = Vec::new();
    for line in lines {
        match runs.iter_mut().find(|run| run[0].writer == line.writer) {
            Some(run) => run.push(line),
            None => runs.push(vec![line]),
        }
    }
    runs
}

fn head(line: &ChangeLine) -> String {
    let writer = &line.writer;
    let time = line.time.split('.').next().unwrap_or_default().replace('T', " ");
    let role = writer.role.as_ref().map(|role| format!(" as {role}")).unwrap_or_default();
    format!("{time}  {}@{}{role}", writer.user, writer.host)
}

fn in_words(line: &ChangeLine) -> String {
    let ChangeLine { name, old, new, unit, why, writer, source, .. } = line;
    let source = source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    format!("{}  {name} {old} to {new} {unit}  {why}{source}  {}", head(line), writer.title)
}

fn summary(run: &[&ChangeLine]) -> String {
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    let mut whys: BTreeMap<&str, usize> = BTreeMap::new();
    for line in run {
        *families.entry(line.family()).or_default() += 1;
        *whys.entry(&line.why).or_default() += 1;
    }
    let counted = |counts: BTreeMap<&str, usize>| {
        counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    };
    let writer = &run[0].writer;
    format!("{}  {}: {} ({})  run {}", head(run[0]), writer.title, counted(families), counted(whys), writer.run)
}
