//! `fodo facility export`: the tables for another program. `fodo facility check`: whether the control system is what the facility's tables say.

use crate::app::App;
use crate::command::Common;
use crate::{shelf, show};
use fodo_control::{Channel, Fault, Fresh, Reading, Setpoint, Stopped, Validity};
use fodo_devices::{Device, Facility, Family, Finding, Subject, Wanted, supplies, wanted};
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A channel and what was found of it.
struct Checked {
    wanted: Wanted,
    findings: Vec<Finding>,
    /// Whether the operator answers for it, who is not asked here.
    manual: bool,
}

/// Compares every channel of the facility; reads only.
pub fn check(common: &Common) -> Result<ExitCode> {
    let app = App::open(&Common { write: false, rehearse: false, ..common.clone() })?;
    let checked = look(&app)?;
    let wrong = checked.iter().flat_map(|c| &c.findings).filter(|f| f.wrong).count();
    if common.json {
        let list: Vec<Value> = checked.iter().filter(|c| !c.findings.is_empty()).map(as_json).collect();
        let manual = checked.iter().filter(|c| c.manual).count();
        let sources = app.other_sources();
        let result = json!({
            "channels": checked.len(), "manual": manual, "sources": sources, "wrong": wrong, "found": list,
            "supplies": shared(&app.facility).iter().map(Shared::json).collect::<Vec<_>>(),
        });
        show::json_object(wrong == 0, result, Value::Null, None);
    } else {
        let head = format!("{} {}", app.facility.name, app.machine());
        show::line(format!("{head}: {} channels over {}", checked.len(), app.session.backend().name()));
        show::line(table(&checked));
        let supplies = shared(&app.facility);
        if !supplies.is_empty() {
            let lines: Vec<String> = supplies.iter().map(Shared::line).collect();
            show::line(format!("several devices on one supply:\n{}", lines.join("\n")));
        }
        for (title, kind) in [("wrong", true), ("to know", false)] {
            let lines = listed(&checked, kind);
            if !lines.is_empty() {
                show::line(format!("{title}:\n{}", lines.join("\n")));
            }
        }
        show::line(match wrong {
            0 => "the control system is as the facility's tables say; nothing was written".to_string(),
            n => format!("{n} to mend, in the facility's tables or in the control system; nothing was written"),
        });
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(Kind::Facility.exit_code()) })
}

/// Writes a configuration of pyAML into a folder.
pub fn export(common: &Common, folder: &Path) -> Result<ExitCode> {
    let facility = Facility::load(shelf::facility(&common.facility)?)?;
    let configuration = facility.pyaml()?;
    let failed = |path: &Path, error: std::io::Error| {
        Diagnostic::new(Kind::Usage, format!("{} cannot be written: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, text) in &configuration.files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        show::line(path.display().to_string());
    }
    configuration.remarks.iter().for_each(|remark| show::line(format!("  to know: {remark}")));
    Ok(ExitCode::SUCCESS)
}

/// How often what is invalid is looked at again: figures that a server has not found yet.
const LOOKS: usize = 5;
/// For how long a later reading is waited for each time; who is silent for so long is asked.
const SILENT: Duration = Duration::from_millis(100);

fn is_invalid(reading: &Result<Reading, Fault>) -> bool {
    matches!(reading, Ok(reading) if matches!(reading.validity, Validity::Invalid(_)))
}

/// Connects all channels at once, and asks those that are there; the operator is asked for nothing.
fn look(app: &App) -> Result<Vec<Checked>> {
    let stopped = |_: Stopped| Diagnostic::new(Kind::Stopped, "stopped by the operator");
    let (backend, wait, cancel) = (app.session.backend(), app.session.patience(), app.session.cancel());
    let sources = app.other_sources();
    let manual =
        |wanted: &Wanted| sources.get(wanted.family.as_ref()).is_some_and(|source| source == crate::sources::MANUAL);
    let all = wanted(&app.facility);
    let mut seen = HashSet::new();
    let channels: Vec<Channel> =
        all.iter().filter(|w| !manual(w)).map(|w| w.channel.clone()).filter(|c| seen.insert(c.clone())).collect();
    let faults = backend.connect(&channels, wait, cancel).map_err(stopped)?;
    let absent: HashMap<Channel, Fault> = faults.into_iter().map(|fault| (fault.channel.clone(), fault)).collect();
    let there: Vec<Channel> = channels.into_iter().filter(|channel| !absent.contains_key(channel)).collect();
    let metadata = backend.metadata(&there, wait, cancel).map_err(stopped)?;
    let mut readings = backend.read(&there, Fresh::Latest, wait, cancel).map_err(stopped)?;
    for _ in 0..LOOKS {
        let invalid: Vec<usize> = (0..there.len()).filter(|&place| is_invalid(&readings[place])).collect();
        if invalid.is_empty() {
            break;
        }
        let asked: Vec<Channel> = invalid.iter().map(|&place| there[place].clone()).collect();
        let last = invalid.iter().filter_map(|&place| readings[place].as_ref().ok()).map(|reading| reading.time).max();
        let later = Fresh::After(last.unwrap_or_default(), SILENT);
        let again = backend.read(&asked, later, wait, cancel).map_err(stopped)?;
        invalid.into_iter().zip(again).for_each(|(place, reading)| readings[place] = reading);
    }
    let metadata: HashMap<&Channel, _> = there.iter().zip(metadata).collect();
    let readings: HashMap<&Channel, _> = there.iter().zip(readings).collect();
    let compare = |wanted: Wanted| {
        if manual(&wanted) {
            return Checked { wanted, findings: Vec::new(), manual: true };
        }
        let findings = match (absent.get(&wanted.channel), metadata.get(&wanted.channel)) {
            (None, Some(metadata)) => wanted.compare(metadata, readings.get(&wanted.channel)),
            (fault, _) => {
                let unknown = || Fault::absent(&wanted.channel, "no answer");
                wanted.compare(&Err(fault.cloned().unwrap_or_else(unknown)), None)
            }
        };
        Checked { wanted, findings, manual: false }
    };
    Ok(all.into_iter().map(compare).collect())
}

/// A line for each family: how many channels, and how many of them are wrong in what.
fn table(checked: &[Checked]) -> String {
    let mut families: Vec<Arc<str>> = checked.iter().map(|c| c.wanted.family.clone()).collect();
    families.dedup();
    let mut text = format!("  {:<12} {:>8} {:>9}", "family", "channels", "connected");
    Subject::ALL.iter().skip(1).for_each(|subject| text.push_str(&format!(" {:>8}", subject.word())));
    for family in families {
        let of: Vec<&Checked> = checked.iter().filter(|c| c.wanted.family == family).collect();
        let wrong = |subject| of.iter().filter(|c| c.findings.iter().any(|f| f.wrong && f.subject == subject)).count();
        let connected = of.iter().filter(|c| !c.manual).count() - wrong(Subject::Connection);
        let word = if of.iter().all(|c| c.manual) { "manual".to_string() } else { connected.to_string() };
        text.push_str(&format!("\n  {family:<12} {:>8} {word:>9}", of.len()));
        for &subject in &Subject::ALL[1..] {
            let word = match wrong(subject) {
                _ if connected == 0 => "-".to_string(),
                0 => "ok".to_string(),
                n => format!("{n} wrong"),
            };
            text.push_str(&format!(" {word:>8}"));
        }
    }
    text
}

/// A line for each thing found; what is said of many channels of a family is said once.
fn listed(checked: &[Checked], wrong: bool) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut groups: Vec<((&str, &Finding), Vec<&Wanted>)> = Vec::new();
    for Checked { wanted, findings, .. } in checked {
        for finding in findings.iter().filter(|f| f.wrong == wrong) {
            let key = (wanted.family.as_ref(), finding);
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, channels)) => channels.push(wanted),
                None => groups.push((key, vec![wanted])),
            }
        }
    }
    let mut lines = Vec::new();
    for ((family, finding), channels) in groups {
        let said = format!("{}: {}", finding.subject.word(), finding.text);
        match channels.as_slice() {
            [first, .., last] if channels.len() > SHOWN => {
                let (count, first, last) = (channels.len(), &first.channel, &last.channel);
                lines.push(format!("  {family}, {count} channels ({first} … {last}): {said}"));
            }
            few => lines.extend(few.iter().map(|w| format!("  {} ({}): {said}", w.users(), w.channel))),
        }
    }
    lines
}

/// A supply that several devices hang on.
struct Shared {
    setpoint: Arc<Setpoint>,
    devices: Vec<Arc<Device>>,
}

/// All of them, in the order of the families.
fn shared(facility: &Facility) -> Vec<Shared> {
    let of = |family: &Arc<Family>| {
        let fields = 0..family.fields().len();
        fields.flat_map(|field| supplies(&family.devices, field)).collect::<Vec<_>>()
    };
    let all = facility.families.iter().flat_map(of).filter(|(_, devices)| devices.len() > 1);
    all.map(|(setpoint, devices)| Shared { setpoint, devices }).collect()
}

impl Shared {
    fn line(&self) -> String {
        const SHOWN: usize = 4;
        let names: Vec<&str> = self.devices.iter().map(|device| device.name.as_ref()).collect();
        let list = match names.as_slice() {
            [first, second, .., last] if names.len() > SHOWN => format!("{first}, {second}, … {last}"),
            few => few.join(", "),
        };
        format!("  {} ({}): {} devices, {list}", self.setpoint.name, self.setpoint.channel, names.len())
    }

    fn json(&self) -> Value {
        let names: Vec<&str> = self.devices.iter().map(|device| device.name.as_ref()).collect();
        json!({ "name": self.setpoint.name.as_ref(), "channel": self.setpoint.channel.as_ref(), "devices": names })
    }
}

fn as_json(checked: &Checked) -> Value {
    let finding = |f: &Finding| json!({ "subject": f.subject.word(), "wrong": f.wrong, "text": f.text });
    json!({
        "family": checked.wanted.family.as_ref(), "channel": checked.wanted.channel.as_ref(),
        "used_by": checked.wanted.users(), "findings": checked.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
