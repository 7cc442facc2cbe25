//! The server: a plant's channels over PV Access.

use crate::beside::Beside;
use crate::board::Board;
use crate::shown::Shown;
use crate::values;
use epics_pva_rs::nt::nd_array::nt_nd_array_desc;
use epics_pva_rs::nt::{NTScalar, NTTable};
use epics_pva_rs::pvdata::{PvField, ScalarType, ScalarValue};
use epics_pva_rs::server_native::{PvaServer, PvaServerConfig, SharedPV, SharedSource};
use fodo_control::{Channel, ChannelInfo, Outlet, Puts, Reading, Shape, Stage};
use fodo_report::{Diagnostic, Kind, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel as answer_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Frames that wait to be sent to a client: more than a shot, so that answers need not wait for it; the library limits bytes.
const FRAMES: usize = 1 << 16;

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
    board: Arc<Board>,
    /// What is to be shown at the next flush.
    news: Vec<(usize, Reading)>,
    server: PvaServer,
    thread: JoinHandle<()>,
    /// Ends that thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl PvAccessOutlet {
    /// Opens the sockets and answers clients from now on.
    ///
    /// # Errors
    /// `machine` if the port is taken or the interface cannot be used, `facility` if two channels have one name.
    pub fn open(stage: &Stage, options: ServeOptions) -> Result<PvAccessOutlet> {
        // one thread: see `Board`; writes wait for the plant on others
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| problem(format!("no runtime for the PV Access server: {error}")))?;
        let source = SharedSource::new();
        let mut shown = Vec::with_capacity(stage.channels.len());
        for (info, first) in stage.channels.iter().zip(&stage.readings) {
            let (name, (variable, one)) = (info.channel.to_string(), open(info, first, &stage.puts)?);
            source.try_add(name.clone(), variable).map_err(|error| {
                Diagnostic::new(Kind::Facility, format!("the channel {name} cannot be served: {error:?}"))
            })?;
            shown.push((name, one));
        }
        let board = Arc::new(Board::new(shown));
        let config = PvaServerConfig {
            tcp_port: options.port,
            udp_port: options.search,
            bind_ip: IpAddr::V4(options.interface),
            interfaces: vec![IpAddr::V4(options.interface)],
            write_queue_depth: FRAMES,
            ..if options.interface.is_loopback() { PvaServerConfig::isolated() } else { PvaServerConfig::default() }
        };
        let server = {
            let _on_runtime = runtime.enter();
            let source = Arc::new(Beside::new(source, board.clone()));
            PvaServer::start(source, config).map_err(|error| taken(options, &error))?
        };
        // the library takes another port without a word
        if options.port != 0 && server.tcp_addr().port() != options.port {
            return Err(taken(options, &"somebody else has it"));
        }
        let (stop, stopped) = oneshot::channel();
        let posting = board.clone();
        runtime.spawn(async move { posting.keep_up().await });
        let work = move || {
            _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("pv-access".into()).spawn(work);
        let thread = thread.map_err(|error| problem(format!("no thread for the PV Access server: {error}")))?;
        Ok(PvAccessOutlet { board, news: Vec::new(), server, thread, _stop: stop })
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
        self.news.push((place, reading.clone()));
    }

    fn flush(&mut self) {
        self.board.add(&mut self.news);
    }

    fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }
}

impl Drop for PvAccessOutlet {
    fn drop(&mut self) {
        self.server.stop();
    }
}

/// The library's variable of a channel, open, and what is shown of it.
fn open(info: &ChannelInfo, first: &Reading, puts: &Puts) -> Result<(SharedPV, Shown)> {
    let whole = |form: NTScalar| {
        let form = form.with_form().with_control().with_value_alarm();
        (form.build(), form.create())
    };
    let (form, mut structure) = match &info.shape {
        Shape::Scalar => whole(NTScalar::new(ScalarType::Double)),
        Shape::Vector(_) => whole(NTScalar::array(ScalarType::Double)),
        Shape::Image(width, height) => (nt_nd_array_desc(), values::image_of(*width, *height)),
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
    variable.open(form.clone(), structure.clone()).map_err(|error| {
        Diagnostic::new(Kind::Facility, format!("the channel {} cannot be served: {error}", info.channel))
    })?;
    let shown = Shown::new(variable.clone(), &form, structure);
    Ok((variable, shown))
}

/// Takes a client's value to the plant, and waits for its answer; the plant posts the new value itself.
fn on_put(
    channel: Channel,
    puts: Puts,
) -> impl Fn(&SharedPV, PvField) -> std::result::Result<(), String> + Send + Sync + 'static {
    move |_, value| {
        let (answer, answered) = answer_channel();
        puts.ask(&channel, Some(values::reading(&value, &[]).value), move |done| drop(answer.send(done)));
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
        ("display", "description", PvField::Scalar(ScalarValue::String(info.description.as_str().into()))),
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
