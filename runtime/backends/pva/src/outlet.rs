//! The server: a plant's channels over PV Access.

use crate::beside::Beside;
use crate::values;
use epics_pva_rs::nt::{NTScalar, NTTable};
use epics_pva_rs::pvdata::{PvField, ScalarType, ScalarValue};
use epics_pva_rs::server_native::{PvaServer, PvaServerConfig, SharedPV, SharedSource};
use fodo_control::{Channel, ChannelInfo, Outlet, Puts, Reading, Shape, Stage};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel as answer_channel};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Threads that serve; writes wait for the plant on others.
const WORKERS: usize = 4;

/// How long the plant may take to answer a write.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to serve.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Port for TCP; 0 takes a free one.
    pub port: u16,
    /// Port that clients search on (UDP); 0 takes a free one.
    pub search: u16,
    /// Address of the network interface; `0.0.0.0` for all.
    pub interface: Ipv4Addr,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions { port: 5075, search: 5076, interface: Ipv4Addr::LOCALHOST }
    }
}

/// Shows a plant's channels over PV Access; dropping it closes every connection.
pub struct PvAccessOutlet {
    shown: Vec<Shown>,
    server: PvaServer,
    runtime: Option<Runtime>,
}

/// A channel with the structure that is posted, whose value and time change.
struct Shown {
    variable: SharedPV,
    structure: PvField,
}

impl PvAccessOutlet {
    /// Opens the sockets and answers clients from now on.
    ///
    /// # Errors
    /// `machine` if the port is taken or the interface cannot be used, `facility` if two channels have one name.
    pub fn open(stage: &Stage, options: ServeOptions) -> Result<PvAccessOutlet> {
        let runtime = Builder::new_multi_thread().worker_threads(WORKERS).thread_name("pv-access").enable_all().build();
        let runtime = runtime.map_err(|error| problem(format!("no threads for the PV Access server: {error}")))?;
        let source = SharedSource::new();
        let mut shown = Vec::with_capacity(stage.channels.len());
        let mut variables = HashMap::with_capacity(stage.channels.len());
        for (info, first) in stage.channels.iter().zip(&stage.readings) {
            let variable = Shown::new(info, first, &stage.puts)?;
            source.try_add(info.channel.to_string(), variable.variable.clone()).map_err(|error| {
                Diagnostic::new(Kind::Facility, format!("the channel {} cannot be served: {error:?}", info.channel))
            })?;
            variables.insert(info.channel.to_string(), variable.variable.clone());
            shown.push(variable);
        }
        let source = Beside::new(source, variables);
        let config = PvaServerConfig {
            tcp_port: options.port,
            udp_port: options.search,
            bind_ip: IpAddr::V4(options.interface),
            interfaces: vec![IpAddr::V4(options.interface)],
            ..if options.interface.is_loopback() { PvaServerConfig::isolated() } else { PvaServerConfig::default() }
        };
        let server = {
            let _on_runtime = runtime.enter();
            PvaServer::start(Arc::new(source), config).map_err(|error| taken(options, &error))?
        };
        // the library takes another port without a word
        if options.port != 0 && server.tcp_addr().port() != options.port {
            return Err(taken(options, &"somebody else has it"));
        }
        Ok(PvAccessOutlet { shown, server, runtime: Some(runtime) })
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.server.tcp_addr().port()
    }

    /// The port that clients search on.
    pub fn search_port(&self) -> u16 {
        self.server.config().udp_port
    }
}

impl Outlet for PvAccessOutlet {
    fn post(&mut self, place: usize, reading: &Reading) {
        let Shown { variable, structure } = &mut self.shown[place];
        values::fill(structure, reading);
        // a subscriber that has gone is no error, and the structure is the one it was opened with
        variable.try_post(structure.clone());
    }

    fn is_running(&self) -> bool {
        self.runtime.is_some()
    }
}

impl Drop for PvAccessOutlet {
    fn drop(&mut self) {
        self.server.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shown {
    fn new(info: &ChannelInfo, first: &Reading, puts: &Puts) -> Result<Shown> {
        let whole = |form: NTScalar| {
            let form = form.with_form().with_control().with_value_alarm();
            (form.build(), form.create())
        };
        let (form, mut structure) = match &info.shape {
            Shape::Scalar => whole(NTScalar::new(ScalarType::Double)),
            Shape::Vector(_) => whole(NTScalar::array(ScalarType::Double)),
            Shape::Table(names, _) => {
                let add = |form: NTTable, name: &Arc<str>| form.add_column(ScalarType::Double, &**name, None);
                let form = names.iter().fold(NTTable::new(), add);
                (form.build(), form.create())
            }
        };
        describe(&mut structure, info);
        values::fill(&mut structure, first);
        let variable = SharedPV::build_readonly();
        if info.writable {
            variable.on_put(on_put(info.channel.clone(), puts.clone()));
        }
        let opened = variable.open(form, structure.clone());
        opened.map_err(|error| {
            Diagnostic::new(Kind::Facility, format!("the channel {} cannot be served: {error}", info.channel))
        })?;
        Ok(Shown { variable, structure })
    }
}

/// Takes a client's value to the plant, and waits for its answer; the plant posts the new value itself.
fn on_put(
    channel: Channel,
    puts: Puts,
) -> impl Fn(&SharedPV, PvField) -> std::result::Result<(), String> + Send + Sync + 'static {
    move |_, value| {
        let (answer, answered) = answer_channel();
        puts.ask(&channel, values::reading(&value, &[]).value.number(), move |done| drop(answer.send(done)));
        answered.recv_timeout(PATIENCE).unwrap_or_else(|lost| match lost {
            RecvTimeoutError::Timeout => Err("the plant has not answered in time; it may still take the value".into()),
            RecvTimeoutError::Disconnected => Err("the server stops".into()),
        })
    }
}

/// Unit, precision, limits and alarm limits.
fn describe(structure: &mut PvField, info: &ChannelInfo) {
    let double = |number| PvField::Scalar(ScalarValue::Double(number));
    let (low, high) = info.limits.unwrap_or_default();
    for (part, name, value) in [
        ("display", "units", PvField::Scalar(ScalarValue::String(info.unit.as_str().into()))),
        ("display", "precision", PvField::Scalar(ScalarValue::Int(i32::from(info.precision)))),
        ("display", "limitLow", double(low)),
        ("display", "limitHigh", double(high)),
        ("control", "limitLow", double(low)),
        ("control", "limitHigh", double(high)),
    ] {
        values::put(structure, part, name, value);
    }
    let active = info.alarms.warning.or(info.alarms.alarm).is_some();
    values::put(structure, "valueAlarm", "active", PvField::Scalar(ScalarValue::Boolean(active)));
    let (low_warning, high_warning) = info.alarms.warning.unwrap_or((f64::NAN, f64::NAN));
    let (low_alarm, high_alarm) = info.alarms.alarm.unwrap_or((f64::NAN, f64::NAN));
    for (name, limit) in [
        ("lowAlarmLimit", low_alarm),
        ("lowWarningLimit", low_warning),
        ("highWarningLimit", high_warning),
        ("highAlarmLimit", high_alarm),
    ] {
        values::put(structure, "valueAlarm", name, double(limit));
    }
}

fn problem(what: String) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Kind::Machine, what))
}

fn taken(options: ServeOptions, error: &dyn std::fmt::Display) -> Box<Diagnostic> {
    let ServeOptions { port, interface, .. } = options;
    let what = format!("the PV Access server cannot listen on {interface} port {port}: {error}");
    Box::new(Diagnostic::new(Kind::Machine, what).hint("stop the server that uses the port, or choose another port"))
}
