//! `fodo recover`: what interrupted runs left changed.

use crate::app;
use crate::command::{Common, Machine};
use crate::{shelf, show, sources};
use fodo_control::{Interrupted, JournalFolder, Outcome, Recovery, WriteMode};
use fodo_devices::Facility;
use fodo_report::{Diagnostic, Kind, Result};
use fodo_units::Quantity;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Shows what interrupted runs left; with `--write`, puts it back.
pub fn recover(common: &Common) -> Result<ExitCode> {
    let data = app::data_folder(common)?;
    fodo_records::finish_interrupted(&data.join("runs"))?;
    let recovery = Recovery::scan(&JournalFolder(data.join("journal")))?;
    if recovery.runs.is_empty() {
        if common.json {
            show::json_object(true, json!({ "runs": [] }), Value::Null, None);
        } else {
            show::line("no run was interrupted: there is nothing to put back");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut told = Vec::new();
    let mut complete = true;
    for run in recovery.runs {
        let (object, whole) = one(common, run, &data)?;
        told.push(object);
        complete &= whole;
    }
    if common.json {
        show::json_object(complete, json!({ "runs": told }), Value::Null, None);
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(Kind::Machine.exit_code()) })
}

fn one(common: &Common, run: Interrupted, data: &std::path::Path) -> Result<(Value, bool)> {
    let facility = of_run(common, &run)?;
    let common = Common { on: Machine::Live, ..common.clone() };
    let mode = if common.write { WriteMode::Write } else { WriteMode::ReadOnly };
    let session =
        app::session(&common, &facility, sources::live(&facility, &common)?, mode, data, app::cancel().clone());
    // absent channels show up in the table as unknown
    _ = session.connect(&run.channels());
    let outcomes = run.inspect(&session)?;
    let title = format!("{} of {} on {}, interrupted", run.info.title, run.info.run, run.info.facility);
    if !common.json {
        show::line(format!("{title}\n{}", table(&outcomes)));
    }
    let mut object = json!({ "run": run.info.run, "title": run.info.title, "channels": outcomes.iter().map(as_json).collect::<Vec<_>>() });
    if !common.write {
        let open = outcomes.iter().any(|o| o.verdict != "already back");
        if !common.json && open {
            show::line("nothing was written; `fodo recover --write` puts back what it may");
        }
        return Ok((object, true));
    }
    let log = app::change_log(&facility, common.role.as_deref(), data);
    log.begin(&run.info.run, &format!("recover: {}", run.info.title), "");
    session.observe_with(Some(log));
    let putback = run.put_back(&session)?;
    let text = putback
        .to_string()
        .replace("were changed and are back", "are back")
        .replace("was changed and is back", "is back");
    if !common.json {
        show::line(&text);
    }
    object["machine"] = text.into();
    if !putback.failed.is_empty() && !common.json {
        show::error(
            &Diagnostic::new(Kind::Machine, "not everything could be put back").details(putback.failed.clone()),
        );
    }
    Ok((object, putback.complete()))
}

/// The facility of the run: that of the command line if it has the name, else the one that is found by it.
fn of_run(common: &Common, run: &Interrupted) -> Result<Facility> {
    let said = Facility::load(shelf::facility(&common.facility)?)?;
    if *said.name == *run.info.facility {
        return Ok(said);
    }
    shelf::facility(&run.info.facility).map_or(Ok(said), Facility::load)
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!("  {:<30} {:>14} {:>14} {:>14}  unit    what\n", "setpoint", "before", "written", "now");
    let number = |value: f64| Quantity::plain(value).to_string();
    for outcome in outcomes {
        let (old, written) = (number(outcome.old), outcome.written.map_or("-".into(), number));
        let now = outcome.present.as_ref().map_or_else(|fault| fault.reason.clone(), |v| number(*v));
        let verdict = if outcome.verdict == "put back" { "to be put back" } else { outcome.verdict };
        text.push_str(&format!(
            "  {:<30} {old:>14} {written:>14} {now:>14}  {:<7} {verdict}\n",
            outcome.name, outcome.unit
        ));
    }
    text
}

fn as_json(outcome: &Outcome) -> Value {
    json!({
        "name": outcome.name, "unit": outcome.unit, "before": outcome.old, "written": outcome.written,
        "now": outcome.present.as_ref().ok(), "verdict": outcome.verdict,
    })
}
