//! `fodo leases`: which session writes which family.

use crate::app;
use crate::command::{Common, LeasesArguments};
use crate::{shelf, show};
use fodo_control::{Leased, Life};
use fodo_devices::Facility;
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists the leases of the facility, or frees one.
pub fn leases(common: &Common, arguments: &LeasesArguments) -> Result<ExitCode> {
    let facility = Facility::load(shelf::facility(&common.facility)?)?;
    let folder = app::leases(common, &facility, &app::data_folder(common)?);
    let Some(family) = &arguments.release else {
        let leases = folder.list(Some(&facility.name))?;
        if common.json {
            let list: Vec<Value> = leases.iter().map(as_json).collect();
            show::json_object(true, json!({ "folder": folder.0, "leases": list }), Value::Null, None);
        } else if leases.is_empty() {
            show::line(format!("nobody writes {} (leases in {})", facility.name, folder.0.display()));
        } else {
            leases.iter().for_each(|l| show::line(in_words(l)));
        }
        return Ok(ExitCode::SUCCESS);
    };
    if !common.write {
        return Err(Diagnostic::new(Kind::Rights, format!("the lease of {family} was not released"))
            .hint("see that its holder has ended, then add --write")
            .into());
    }
    let broken = folder.release(&facility.name, family)?;
    if common.json {
        show::json_object(true, json!({ "released": as_json(&broken) }), Value::Null, None);
    } else {
        show::line(format!("released {}", in_words(&broken)));
        show::line("if that session still lives, it stops at its next write; what it changed may still stand");
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(lease: &Leased) -> String {
    format!("{}: {}; {}", lease.holder.family, lease.holder, lease.life)
}

fn as_json(lease: &Leased) -> Value {
    let mut object = json!(lease.holder);
    object["state"] = match lease.life {
        Life::Lives => "lives",
        Life::Ended => "ended",
        Life::Silent(_) => "silent",
    }
    .into();
    if let Life::Silent(span) = lease.life {
        object["silent_seconds"] = span.as_secs().into();
    }
    object
}
