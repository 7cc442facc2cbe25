//! What answers with `--on live` where families name sources of their own.

use crate::command::Common;
use crate::{app, backends};
use fodo_control::{Backend, Cancel, Channel, Router, Stopped};
use fodo_devices::{Facility, Family};
use fodo_manual::{Ask, Manual, Note};
use fodo_records::ChannelNote;
use fodo_report::Result;
use fodo_simulator::Simulator;
use fodo_twin::{Twin, TwinOptions};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Behavior, Config, Editor};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::IsTerminal;
use std::sync::Arc;

/// The source of a family whose values the operator is asked for.
pub const MANUAL: &str = "manual";

/// The live machine: its control system, and beside it whatever its families name.
pub fn live(facility: &Facility, common: &Common) -> Result<Arc<dyn Backend>> {
    let own = backends::control_system(&facility.control, facility)?;
    let others: Vec<&Family> = others(facility).collect();
    if others.is_empty() {
        return Ok(own);
    }
    let (mut parts, mut known, mut places) = (vec![own], HashMap::new(), HashMap::new());
    for family in &others {
        let source = family.source.as_ref();
        let part = match known.get(source) {
            Some(&part) => part,
            None => {
                parts.push(match source {
                    "twin" => {
                        let twin = Twin::new(facility, TwinOptions { seed: common.seed, ..TwinOptions::default() })?;
                        Arc::new(Simulator::on_wall_clock(Arc::new(twin))) as Arc<dyn Backend>
                    }
                    MANUAL => Arc::new(Manual::new(Arc::new(Terminal { json: common.json }), notes(facility))),
                    word => backends::control_system(word, facility)?,
                });
                known.insert(source, parts.len() - 1);
                parts.len() - 1
            }
        };
        places.extend(family.channels().map(|channel| (channel.clone(), part)));
    }
    Ok(Arc::new(Router::new(parts, places)))
}

fn is_live(family: &Family, facility: &Facility) -> bool {
    family.source.as_ref() == "live" || family.source == facility.control
}

/// The families that the machine's own control system does not answer for, with what does.
pub fn others(facility: &Facility) -> impl Iterator<Item = &Family> {
    facility.families.iter().map(Arc::as_ref).filter(|family| !is_live(family, facility))
}

/// The same by name.
pub fn by_family(facility: &Facility) -> BTreeMap<String, String> {
    others(facility).map(|family| (family.name.to_string(), family.source.to_string())).collect()
}

/// The live machine in words, with the families that it does not answer for: `LIVE (TUNE: twin, CURRENT: manual)`.
pub fn words(facility: &Facility) -> String {
    let list: Vec<String> = others(facility).map(|family| format!("{}: {}", family.name, family.source)).collect();
    if list.is_empty() { "LIVE".into() } else { format!("LIVE ({})", list.join(", ")) }
}

/// What the operator is told of the channels of manual families.
fn notes(facility: &Facility) -> Vec<Note> {
    let manual: Vec<Arc<Family>> = facility.families.iter().filter(|f| f.source.as_ref() == MANUAL).cloned().collect();
    let devices = manual.iter().flat_map(|family| &family.devices);
    let setpoints: BTreeSet<&Channel> =
        devices.flat_map(|d| &d.fields).filter_map(|f| Some(&f.setpoint.as_ref()?.channel)).collect();
    let note = |note: ChannelNote| {
        let writable = setpoints.contains(&note.channel);
        Note { channel: note.channel, name: note.name, unit: note.unit, writable }
    };
    channel_notes(&manual).into_iter().map(note).collect()
}

/// Unit and name of every channel of some families.
pub fn channel_notes(families: &[Arc<Family>]) -> Vec<ChannelNote> {
    let mut notes = Vec::new();
    for device in families.iter().flat_map(|family| &family.devices) {
        for field in &device.fields {
            let name = || format!("{}.{}", device.shown(), field.name);
            let unit = || field.hardware.symbol().to_string();
            let setpoint = field.setpoint.iter().map(|s| &s.channel);
            // a vector channel holds many devices and has no name of its own
            let source = field.source.iter().filter(|s| s.place.index.is_none()).map(|s| &s.channel);
            let channels = setpoint.chain(source).cloned();
            notes.extend(channels.map(|channel| ChannelNote { channel, unit: unit(), name: name() }));
        }
    }
    notes
}

/// The operator at the terminal.
struct Terminal {
    /// Whether a program reads the answers: nobody is asked then.
    json: bool,
}

impl Ask for Terminal {
    fn ask(&self, question: &str, cancel: &Cancel) -> Result<Option<String>, Stopped> {
        cancel.check()?;
        if self.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Ok(None);
        }
        // the line of progress may stand there
        eprint!("\r\x1b[K");
        // the terminal itself, so that standard output can go into a file
        let config = Config::builder().behavior(Behavior::PreferTerm).build();
        let Ok(mut editor) = Editor::<(), FileHistory>::with_config(config) else { return Ok(None) };
        // a run that was stopped asks only for what puts it back
        let head = if app::cancel().is_stopped() { "To put back what the run changed:\n" } else { "" };
        loop {
            match editor.readline(&format!("{head}{question} ")) {
                Ok(line) => return Ok(Some(line)),
                // while setpoints are put back, the first Ctrl-C does not count
                Err(ReadlineError::Interrupted) => {
                    app::cancel().stop();
                    cancel.check()?;
                }
                Err(_) => return Ok(None),
            }
        }
    }
}
