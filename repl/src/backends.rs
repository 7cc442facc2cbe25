//! Which control system answers, and which ones show the twin: the lines to add for a new backend.

use fodo_adapter::{Adapter, AdapterOptions};
use fodo_archives::{Appliance, Format, Hdb};
use fodo_control::{Archive, Backend, Outlet, Stage};
use fodo_devices::{ArchiveKind, Facility};
use fodo_epics::{ChannelAccess, ChannelAccessOutlet, ServeOptions};
use fodo_pva::{PvAccess, PvAccessOutlet};
use fodo_report::{Diagnostic, Kind, Result};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

/// What `fodo serve --protocol` takes.
pub const PROTOCOLS: [&str; 3] = ["ca", "pva", "tango"];

const CONTROL_SYSTEMS: &str = "control systems this program knows: ca (EPICS Channel Access), ca-libca (the same by libca), \
                               pva (EPICS PV Access), tango, adapter (a program of the laboratory)";

/// A control system of a facility, by its word.
pub fn control_system(word: &str, facility: &Facility) -> Result<Arc<dyn Backend>> {
    match word {
        "ca" => Ok(Arc::new(ChannelAccess::new()?)),
        "adapter" => {
            // the command is that of the facility, and so is the folder it is started in
            let folder = facility.files().folder().map(Path::to_path_buf);
            Ok(Arc::new(Adapter::start(AdapterOptions { folder, ..AdapterOptions::new(&facility.adapter) })?))
        }
        "pva" => Ok(Arc::new(PvAccess::new()?)),
        "tango" => tango(),
        "ca-libca" => libca(),
        other => Err(Diagnostic::new(Kind::Facility, format!("{} names a control system `{other}`", facility.name))
            .hint(CONTROL_SYSTEMS)
            .into()),
    }
}

/// The facility's archive, if it has one; it is asked only when a script wants something of it.
pub fn archive(facility: &Facility) -> Result<Option<Arc<dyn Archive>>> {
    let Some(place) = &facility.archive else { return Ok(None) };
    Ok(Some(match place.kind {
        ArchiveKind::Appliance => Arc::new(Appliance::new(&place.url, Format::Raw)?),
        ArchiveKind::Hdbpp => Arc::new(Hdb::new(&place.url)?),
    }))
}

/// Where and as what a plant is shown.
pub struct OutletOptions<'o> {
    /// Address of the network interface.
    pub interface: Ipv4Addr,
    /// The port; without one that which the protocol's own environment variable names, else its usual one.
    pub port: Option<u16>,
    /// The TANGO database that its devices are entered in: `host:port`.
    pub database: Option<&'o str>,
    /// Name of the facility.
    pub name: &'o str,
}

/// Shows a plant on one protocol; also its name and where clients find it, for people.
pub fn outlet(protocol: &str, stage: &Stage, options: &OutletOptions) -> Result<(Box<dyn Outlet>, String)> {
    let OutletOptions { interface, port, .. } = *options;
    let port_or = |variable: &str, usual| port.or_else(|| std::env::var(variable).ok()?.parse().ok()).unwrap_or(usual);
    match protocol {
        "ca" => {
            let port = port_or("EPICS_CA_SERVER_PORT", 5064);
            let outlet = ChannelAccessOutlet::open(stage, ServeOptions { port, interface })?;
            let place = format!("Channel Access on {interface}, port {}", outlet.port());
            Ok((Box::new(outlet), place))
        }
        "pva" => {
            let search = std::env::var("EPICS_PVA_BROADCAST_PORT").ok().and_then(|port| port.parse().ok());
            let port = port_or("EPICS_PVA_SERVER_PORT", 5075);
            let search = search.unwrap_or_else(|| port.saturating_add(1));
            let outlet = PvAccessOutlet::open(stage, fodo_pva::ServeOptions { port, search, interface })?;
            let place =
                format!("PV Access on {interface}, port {}, searched on port {}", outlet.port(), outlet.search_port());
            Ok((Box::new(outlet), place))
        }
        "tango" => tango_outlet(stage, port.unwrap_or(11000), options),
        other => Err(Diagnostic::new(Kind::Usage, format!("nothing is served over `{other}`")).into()),
    }
}

#[cfg(feature = "tango")]
fn tango() -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(fodo_tango::Tango::new()?))
}

#[cfg(not(feature = "tango"))]
fn tango() -> Result<Arc<dyn Backend>> {
    Err(without_tango())
}

#[cfg(feature = "libca")]
fn libca() -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(fodo_libca::LibCa::new()?))
}

#[cfg(not(feature = "libca"))]
fn libca() -> Result<Arc<dyn Backend>> {
    let what = "this program was built without libca of EPICS base; `control = \"ca\"` needs none";
    let how = "with EPICS base in EPICS_BASE (or that of tests/setup/libca.sh): cargo build --release --features libca";
    Err(Diagnostic::new(Kind::Usage, what).hint(how).into())
}

/// The name of the hidden command that serves in a process of its own.
#[cfg(feature = "tango")]
const TANGO_SERVER: &str = "tango-server";

#[cfg(feature = "tango")]
fn tango_outlet(stage: &Stage, port: u16, options: &OutletOptions) -> Result<(Box<dyn Outlet>, String)> {
    let own = std::env::current_exe();
    let own = own.map_err(|e| Diagnostic::new(Kind::Machine, format!("the program does not find itself: {e}")))?;
    let mut program = std::process::Command::new(own);
    program.arg(TANGO_SERVER);
    let &OutletOptions { interface, database, name, .. } = options;
    let entered = database.map(|host| fodo_tango::Database { host: host.into(), instance: name.into() });
    let outlet =
        fodo_tango::TangoOutlet::open(stage, fodo_tango::ServeOptions { port, interface, program, database: entered })?;
    let place = match database {
        Some(host) => format!("TANGO as device server fodo/{name} of the database {host}, port {}", outlet.port()),
        None => format!("TANGO at tango://{interface}:{}, without database (#dbase=no)", outlet.port()),
    };
    Ok((Box::new(outlet), place))
}

#[cfg(not(feature = "tango"))]
fn tango_outlet(_stage: &Stage, _port: u16, _options: &OutletOptions) -> Result<(Box<dyn Outlet>, String)> {
    Err(without_tango())
}

/// Runs the process that serves TANGO; only the program itself starts it.
#[cfg(feature = "tango")]
pub fn tango_server() -> Result<()> {
    fodo_tango::serve_process()
}

/// Runs the process that serves TANGO, where there is none.
#[cfg(not(feature = "tango"))]
pub fn tango_server() -> Result<()> {
    Err(without_tango())
}

#[cfg(not(feature = "tango"))]
fn without_tango() -> Box<Diagnostic> {
    let what = "this program was built without TANGO";
    let how = "apt-get install libtango-dev pkg-config g++, then build it: cargo build --release --features tango";
    Box::new(Diagnostic::new(Kind::Usage, what).hint(how))
}

#[cfg(all(test, not(feature = "tango")))]
mod tests {
    #[test]
    fn without_tango_it_says_how_to_build_with_it() {
        let error = super::tango().err().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(error.contains("built without TANGO") && error.contains("--features tango"), "{error}");
    }
}

#[cfg(all(test, not(feature = "libca")))]
mod libca_tests {
    #[test]
    fn without_libca_it_says_how_to_build_with_it() {
        let error = super::libca().err().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(error.contains("built without libca") && error.contains("--features libca"), "{error}");
    }
}
