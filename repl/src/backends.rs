//! Which control system answers, and which ones show the twin: the lines to add for a new backend.

use fodo_adapter::{Adapter, AdapterOptions};
use fodo_control::{Backend, Outlet, Stage};
use fodo_devices::Facility;
use fodo_epics::{ChannelAccess, ChannelAccessOutlet, ServeOptions};
use fodo_report::{Diagnostic, Kind, Result};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

/// What `fodo serve --protocol` takes.
pub const PROTOCOLS: [&str; 1] = ["ca"];

/// A control system of a facility, by its word.
pub fn control_system(word: &str, facility: &Facility) -> Result<Arc<dyn Backend>> {
    match word {
        "ca" => Ok(Arc::new(ChannelAccess::new()?)),
        "adapter" => {
            // the command is that of the facility, and so is the folder it is started in
            let folder = facility.files().folder().map(Path::to_path_buf);
            Ok(Arc::new(Adapter::start(AdapterOptions { folder, ..AdapterOptions::new(&facility.adapter) })?))
        }
        other => Err(Diagnostic::new(Kind::Facility, format!("{} names a control system `{other}`", facility.name))
            .hint(
                "control systems this program knows: ca (EPICS Channel Access), adapter (a program of the laboratory)",
            )
            .into()),
    }
}

/// Shows a plant on one protocol; also its name and where clients find it, for people.
///
/// Without a port, the one that the protocol's own environment variable names, else its usual one.
pub fn outlet(
    protocol: &str,
    stage: &Stage,
    interface: Ipv4Addr,
    port: Option<u16>,
) -> Result<(Box<dyn Outlet>, String)> {
    let port_or = |variable: &str, usual| port.or_else(|| std::env::var(variable).ok()?.parse().ok()).unwrap_or(usual);
    match protocol {
        "ca" => {
            let port = port_or("EPICS_CA_SERVER_PORT", 5064);
            let outlet = ChannelAccessOutlet::open(stage, ServeOptions { port, interface })?;
            let place = format!("Channel Access on {interface}, port {}", outlet.port());
            Ok((Box::new(outlet), place))
        }
        other => Err(Diagnostic::new(Kind::Usage, format!("nothing is served over `{other}`")).into()),
    }
}
