//! `fodo twin`: what a trainer does to a twin that is served, through its door.

use crate::app;
use crate::command::{Common, TwinAction, TwinArguments};
use crate::door::{self, Question};
use crate::show;
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

/// Asks, and shows the answer.
pub fn twin(common: &Common, arguments: &TwinArguments) -> Result<ExitCode> {
    let (address, token) = place(common, arguments)?;
    let question = question(&arguments.action)?;
    let answer = door::ask(&address, &token, question)?;
    match (&arguments.action, common.json) {
        (TwinAction::Show, false) => shown(&answer),
        (TwinAction::Truth, _) | (_, true) => show::line(format!("{answer:#}")),
        _ => show::line("done"),
    }
    Ok(ExitCode::SUCCESS)
}

/// `HOST:PORT` or `PORT` of this computer, and the file of its token.
fn place(common: &Common, arguments: &TwinArguments) -> Result<(String, PathBuf)> {
    let (host, port) = arguments.door.rsplit_once(':').unwrap_or(("127.0.0.1", &arguments.door));
    let port: u16 = port.parse().map_err(|_| {
        Diagnostic::new(Kind::Usage, format!("`--door {}` is no port and no HOST:PORT", arguments.door))
    })?;
    let token = match &arguments.token {
        Some(file) => file.clone(),
        None => door::token_file(&app::data_folder(common)?, port),
    };
    Ok((format!("{host}:{port}"), token))
}

fn question(action: &TwinAction) -> Result<Question> {
    Ok(match action {
        TwinAction::Show => Question::Show,
        TwinAction::Truth => Question::Truth,
        TwinAction::Reset => Question::Reset,
        TwinAction::Start { name, device } => Question::Start { name: name.clone(), device: device.clone() },
        TwinAction::Stop { name } => Question::Stop { name: name.clone() },
        TwinAction::Set { file } => Question::Set { text: read(file)? },
        TwinAction::Lattice { file } => {
            Question::Lattice { file: std::path::absolute(file).unwrap_or_else(|_| file.clone()) }
        }
    })
}

fn read(file: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(file)
        .map_err(|e| Diagnostic::new(Kind::Usage, format!("{} cannot be read: {e}", file.display())).into())
}

/// What can go wrong, and what does.
fn shown(answer: &Value) {
    let list = |key: &str| answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    let on = list("going_wrong");
    for anomaly in list("anomalies") {
        let name = text(&anomaly, "name");
        let devices: Vec<String> =
            on.iter().filter(|active| text(active, "name") == name).map(|active| text(active, "device")).collect();
        let state = match devices.is_empty() {
            true => String::new(),
            false => format!("ON {}", devices.join(", ")),
        };
        show::line(format!("{name:24} {:18} {state}", text(&anomaly, "kind")).trim_end());
    }
    for event in list("happened") {
        let verb = if event.get("begins") == Some(&Value::Bool(true)) { "began" } else { "ended" };
        let time =
            event.get("time").and_then(Value::as_i64).map_or(String::new(), |time| fodo_control::Time(time).utc());
        let (name, device, cause) = (text(&event, "name"), text(&event, "device"), text(&event, "cause"));
        show::line(format!("{time} {name} {verb} {device} ({cause})").replace("  ", " "));
    }
}
