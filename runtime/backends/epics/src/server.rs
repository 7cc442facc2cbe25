//! The server: sockets, the runtime they live on, and their end.

use crate::board::Board;
use crate::publish::Published;
use crate::subscribers::keep_apart;
use epics_base_rs::error::CaResult;
use epics_base_rs::runtime::net::cas_beacon_port;
use epics_base_rs::runtime::task::Reactor;
use epics_base_rs::server::access_security::new_acf_cell;
use epics_base_rs::server::database::PvDatabase;
use epics_ca_rs::server::beacon::run_beacon_emitter;
use epics_ca_rs::server::tcp::{BoundTcp, bind_tcp_listeners, run_tcp_listener};
use epics_ca_rs::server::udp::{BoundUdp, bind_udp_responders, run_udp_search_responder};
use epics_ca_rs::server::{ServerConnectionEvent, addr_list};
use fodo_control::{Outlet, Reading, Stage};
use fodo_report::{Diagnostic, Kind, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::runtime::Builder;
use tokio::sync::{Notify, broadcast, oneshot};

/// Where to serve.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Port for TCP and UDP; 0 takes a free one.
    pub port: u16,
    /// Address of the network interface; `0.0.0.0` for all. The first server of a process decides.
    pub interface: Ipv4Addr,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions { port: 5064, interface: Ipv4Addr::LOCALHOST }
    }
}

/// Shows a plant's channels over Channel Access; dropping it closes every connection.
pub struct ChannelAccessOutlet {
    board: Arc<Board>,
    /// What is to be shown at the next flush.
    news: Vec<(usize, Reading)>,
    port: u16,
    closed: Arc<AtomicBool>,
    /// Ends the thread that serves when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl ChannelAccessOutlet {
    /// Opens the sockets and answers clients from now on.
    ///
    /// # Errors
    /// `machine` if the port is taken or the interface cannot be used, `usage` if this process already
    /// serves on another interface, `facility` if two channels have one name or one is a table.
    pub fn open(stage: &Stage, options: ServeOptions) -> Result<ChannelAccessOutlet> {
        stage.without_tables("Channel Access")?;
        choose_interface(options.interface)?;
        let port = free(options)?;
        // one thread: see `keep_apart` and `Board`; its tasks take turns, so that those that were woken together send together
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| problem(format!("no runtime for the Channel Access server: {error}")))?;
        let database = Arc::new(PvDatabase::new());
        let board = Arc::new(Board::default());
        board.hang(runtime.block_on(publish(&database, stage, &board))?);
        let sockets = runtime.block_on(bind(port, options.interface))?;
        let closed = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = oneshot::channel();
        let serving = network(database, sockets, options.interface, keep_apart(board.clone()), closed.clone());
        let posting = board.clone();
        runtime.spawn(async move { posting.keep_up().await });
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("channel-access".into()).spawn(work);
        thread.map_err(|error| problem(format!("no thread for the Channel Access server: {error}")))?;
        Ok(ChannelAccessOutlet { board, news: Vec::new(), port, closed, _stop: stop })
    }

    /// The port that clients search on and connect to.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Outlet for ChannelAccessOutlet {
    fn post(&mut self, place: usize, reading: &Reading) {
        self.news.push((place, reading.clone()));
    }

    fn flush(&mut self) {
        self.board.add(&mut self.news);
    }

    fn is_running(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }
}

fn problem(what: String) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Kind::Machine, what))
}

/// The EPICS library reads the interface from the environment, once for the whole process.
fn choose_interface(interface: Ipv4Addr) -> Result<()> {
    static CHOSEN: OnceLock<Ipv4Addr> = OnceLock::new();
    let chosen = *CHOSEN.get_or_init(|| {
        epics_base_rs::runtime::env::set("EPICS_CAS_INTF_ADDR_LIST", &interface.to_string());
        interface
    });
    if chosen == interface {
        return Ok(());
    }
    let what = format!("this process already serves on {chosen}, and cannot serve on {interface} too");
    Err(Box::new(Diagnostic::new(Kind::Usage, what).hint("start a second process")))
}

/// The port to bind: a free one if any will do. The library would quietly take another one if it
/// were taken, so that is found out here.
fn free(options: ServeOptions) -> Result<u16> {
    let listener = TcpListener::bind((options.interface, options.port)).map_err(|error| taken(options, &error))?;
    let address = listener.local_addr().map_err(|error| taken(options, &error))?;
    Ok(address.port())
}

fn taken(options: ServeOptions, error: &dyn std::fmt::Display) -> Box<Diagnostic> {
    let ServeOptions { port, interface } = options;
    let what = format!("the Channel Access server cannot listen on {interface} port {port}: {error}");
    Box::new(Diagnostic::new(Kind::Machine, what).hint("stop the server that uses the port, or choose another port"))
}

async fn publish(database: &PvDatabase, stage: &Stage, board: &Arc<Board>) -> Result<Vec<Published>> {
    let mut published = Vec::with_capacity(stage.channels.len());
    for (info, first) in stage.channels.iter().zip(&stage.readings) {
        let name = &info.channel;
        let one = Published::new(database, info, first, &stage.puts, board).await;
        published.push(one.map_err(|error| {
            Box::new(Diagnostic::new(Kind::Facility, format!("the channel {name} cannot be served: {error}")))
        })?);
    }
    Ok(published)
}

async fn bind(port: u16, interface: Ipv4Addr) -> Result<(BoundTcp, BoundUdp)> {
    let options = ServeOptions { port, interface };
    let tcp = bind_tcp_listeners(port).await.map_err(|error| taken(options, &error))?;
    if tcp.port() != port {
        return Err(taken(options, &"somebody else took it"));
    }
    let udp = bind_udp_responders(port, vec![interface], &[]).map_err(|error| taken(options, &error))?;
    Ok((tcp, udp))
}

/// Answers searches, connections and beacons; says so when it ends.
async fn network(
    database: Arc<PvDatabase>,
    sockets: (BoundTcp, BoundUdp),
    interface: Ipv4Addr,
    clients: broadcast::Sender<ServerConnectionEvent>,
    closed: Arc<AtomicBool>,
) {
    let _ended = answer(database, sockets, interface, clients).await;
    closed.store(true, Ordering::Relaxed);
}

/// The parts of the library's `CaServer::run`, without its signal handlers and its 30 s of drain.
async fn answer(
    database: Arc<PvDatabase>,
    (tcp, udp): (BoundTcp, BoundUdp),
    interface: Ipv4Addr,
    clients: broadcast::Sender<ServerConnectionEvent>,
) -> CaResult<()> {
    let port = tcp.port();
    let network = addr_list::from_env()?;
    let Some(reactor) = Reactor::current() else { return Ok(()) };
    let (rights, _) = broadcast::channel(16);
    let never = Arc::new(AtomicBool::new(false));
    let everybody = new_acf_cell(None);
    let connections = run_tcp_listener(database.clone(), tcp, everybody, rights, Some(clients), None, never, None);
    let searches = run_udp_search_responder(&reactor, database, udp, port, network.ignore_addrs);
    let targets = beacon_targets(interface, network.beacon_addrs);
    let beacons = run_beacon_emitter(port, targets, network.beacon_period, Arc::new(Notify::new()));
    tokio::select! {
        ended = connections => ended,
        ended = searches => ended,
        ended = beacons => ended,
    }
}

/// A server on the loopback interface keeps its beacons there.
fn beacon_targets(interface: Ipv4Addr, configured: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if interface.is_loopback() { vec![(interface, cas_beacon_port()).into()] } else { configured }
}
