//! `fodo serve twin`: the twin as a control system for any client.

use crate::app;
use crate::command::{Common, ServeArguments};
use crate::{shelf, show};
use fodo_control::{Host, Plant};
use fodo_devices::Facility;
use fodo_epics::{ChannelAccessOutlet, ServeOptions};
use fodo_report::Result;
use fodo_twin::{Twin, TwinOptions};
use std::process::ExitCode;
use std::sync::Arc;

/// Serves until stopped.
pub fn serve(common: &Common, arguments: &ServeArguments) -> Result<ExitCode> {
    let facility = Facility::load(shelf::facility(&common.facility)?)?;
    let twin = Twin::new(&facility, TwinOptions { seed: common.seed, perfect: arguments.perfect })?;
    let from_environment = std::env::var("EPICS_CA_SERVER_PORT").ok().and_then(|port| port.parse().ok());
    let port = arguments.port.or(from_environment).unwrap_or(5064);
    let count = twin.channels().len();
    let (name, interface) = (&facility.name, arguments.interface);
    let mut serving = 0;
    let host = Host::start(Arc::new(twin), app::cancel().clone(), |stage| {
        let outlet = ChannelAccessOutlet::open(stage, ServeOptions { port, interface })?;
        serving = outlet.port();
        Ok(vec![Box::new(outlet)])
    })?;
    show::line(format!(
        "{name} TWIN: {count} channels over Channel Access on {interface}, port {serving}; Ctrl-C ends it"
    ));
    while host.is_running() && app::cancel().wait(std::time::Duration::from_secs(1)).is_ok() {}
    Ok(ExitCode::SUCCESS)
}
