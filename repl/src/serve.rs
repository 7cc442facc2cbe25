//! `fodo serve twin`: the twin as a control system for any client.

use crate::command::{Common, ServeArguments};
use crate::door::Door;
use crate::{app, backends, shelf, show};
use fodo_control::{Host, Plant};
use fodo_devices::Facility;
use fodo_report::{Diagnostic, Kind, Result};
use fodo_twin::{Twin, TwinOptions};
use std::process::ExitCode;
use std::sync::Arc;

/// Serves on all protocols asked for, until stopped.
pub fn serve(common: &Common, arguments: &ServeArguments) -> Result<ExitCode> {
    let facility = Arc::new(Facility::load(shelf::facility(&common.facility)?)?);
    let options = TwinOptions { seed: common.seed, perfect: arguments.perfect, beside: true };
    let twin = Arc::new(Twin::new(&facility, options)?);
    let count = twin.channels().len();
    let ports = ports(arguments)?;
    let mut places = Vec::new();
    let host = Host::start(twin.clone(), app::cancel().clone(), |stage| {
        let mut outlets = Vec::new();
        for (protocol, port) in ports {
            let options = backends::OutletOptions {
                interface: arguments.interface,
                port,
                database: arguments.tango_host.as_deref(),
                name: &facility.name,
            };
            let (outlet, place) = backends::outlet(protocol, stage, &options)?;
            outlets.push(outlet);
            places.push(place);
        }
        Ok(outlets)
    })?;
    let door = match arguments.door {
        Some(port) => {
            let (at, data) = ((arguments.interface, port), app::data_folder(common)?);
            Some(Door::open(twin, facility.clone(), at, &data)?)
        }
        None => None,
    };
    let places = places.join(", and ");
    show::line(format!("{} TWIN: {count} channels over {places}; Ctrl-C ends it", facility.name));
    if let Some(door) = &door {
        show::line(format!("the trainer's door: port {}, token in {}", door.port, door.token.display()));
    }
    while host.is_running() && app::cancel().wait(std::time::Duration::from_secs(1)).is_ok() {}
    if !app::cancel().is_stopped() {
        let what = "nothing is served any more: one of the servers ended by itself";
        return Err(Diagnostic::new(Kind::Machine, what)
            .hint("start it again; what clients wrote to the twin is gone")
            .into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Each protocol with its port, if one is given; a port alone is that of the first protocol.
fn ports(arguments: &ServeArguments) -> Result<Vec<(&str, Option<u16>)>> {
    let mut ports: Vec<(&str, Option<u16>)> = arguments.protocol.iter().map(|name| (name.as_str(), None)).collect();
    for text in &arguments.port {
        let wrong = |what: &str| Diagnostic::new(Kind::Usage, format!("`--port {text}`: {what}"));
        let (protocol, number) = text.split_once('=').unwrap_or((&arguments.protocol[0], text));
        let number = number.parse().map_err(|_| wrong("write a number, or PROTOCOL=NUMBER"))?;
        let known = ports.iter_mut().find(|(name, _)| *name == protocol);
        known.ok_or_else(|| wrong(&format!("`{protocol}` is not served; add it to --protocol")))?.1 = Some(number);
    }
    Ok(ports)
}
