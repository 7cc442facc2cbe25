//! The server as its program sees it: an outlet that talks to the process which serves.

use crate::ffi::{Held, quality};
use crate::frames::{Frame, hello};
use crate::process::served;
use fodo_control::{Channel, Outlet, Puts, Reading, Stage, Validity, Value};
use fodo_report::{Diagnostic, Kind, Result};
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the process may take until it serves: a thousand devices take half a second, with a database in Python a minute.
const START: Duration = Duration::from_secs(180);

/// How long a process that takes nothing may keep the plant waiting before it counts as lost.
const STUCK: Duration = Duration::from_secs(3);

/// How long it may take to leave the database.
const LEAVE: Duration = Duration::from_secs(22);

/// Where to serve, and by whom.
#[derive(Debug)]
pub struct ServeOptions {
    /// Port of the device server; 0 takes a free one.
    pub port: u16,
    /// Address of the network interface.
    pub interface: Ipv4Addr,
    /// The program that calls [`crate::serve_process`], with its arguments.
    pub program: Command,
    /// The database that clients ask; none serves without.
    pub database: Option<Database>,
}

/// A TANGO database, and the device server that the devices are entered for while they are served.
#[derive(Clone, Debug)]
pub struct Database {
    /// `host:port`.
    pub host: String,
    /// The instance of the server `fodo`.
    pub instance: String,
}

/// Shows a plant's channels as TANGO attributes; dropping it ends the process that serves.
///
/// A channel is served as [`crate::Address`] says: `dev/ice/1/current` as itself, `A:B:C` as `fodo/A/B/C`.
pub struct TangoOutlet {
    child: Child,
    line: Line,
    /// What is to be sent at the next flush.
    waiting: Vec<u8>,
    port: u16,
    running: Arc<AtomicBool>,
    /// Whether a database knows it.
    entered: bool,
}

/// The way to the process; shared with the answers to writes.
#[derive(Clone)]
struct Line(Arc<Mutex<UnixStream>>);

impl Line {
    fn send(&self, bytes: &[u8]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes).is_ok()
    }

    fn end(&self) {
        _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).shutdown(Shutdown::Both);
    }
}

impl TangoOutlet {
    /// Starts the process and returns when it serves.
    ///
    /// # Errors
    /// `machine` if the port is taken, the process does not start, or the database has one of the devices for another
    /// server; `facility` if two channels would be one attribute or one is a table.
    pub fn open(stage: &Stage, options: ServeOptions) -> Result<TangoOutlet> {
        stage.without_tables("TANGO")?;
        served(&stage.channels)?;
        let ServeOptions { port, interface, mut program, database } = options;
        let port = free(port, interface)?;
        let (own, theirs) = UnixStream::pair().map_err(problem)?;
        if let Some(database) = &database {
            program.env("TANGO_HOST", &database.host);
        }
        let instance = database.map(|database| database.instance).unwrap_or_default();
        // Ctrl-C is for the program, which ends the process when it has put everything back
        program.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).process_group(0);
        let child = program.spawn().map_err(problem)?;
        drop(program);
        let running = Arc::new(AtomicBool::new(true));
        own.set_write_timeout(Some(STUCK)).map_err(problem)?;
        own.set_read_timeout(Some(START)).map_err(problem)?;
        let mut incoming = BufReader::new(own.try_clone().map_err(problem)?);
        let entered = !instance.is_empty();
        let line = Line(Arc::new(Mutex::new(own)));
        let mut outlet = TangoOutlet { child, line, waiting: Vec::new(), port, running, entered };
        let hello = hello(&stage.channels, &format!("giop:tcp:{interface}:{port}"), &instance);
        Frame::Hello(hello).append(&mut outlet.waiting);
        stage.readings.iter().enumerate().for_each(|(place, reading)| outlet.post(place, reading));
        outlet.flush();
        match Frame::read(&mut incoming) {
            Ok(Frame::Ready) => {}
            Ok(Frame::Failed(why)) => return Err(problem(why)),
            _ => {
                let ended = outlet.child.try_wait().ok().flatten();
                let how = ended.map_or("hangs".to_owned(), |status| format!("ended ({status})"));
                return Err(problem(format!("the process that serves {how}")));
            }
        }
        let stream = incoming.get_ref();
        stream.set_read_timeout(None).map_err(problem)?;
        let channels: Vec<Channel> = stage.channels.iter().map(|info| info.channel.clone()).collect();
        let (puts, line, running) = (stage.puts.clone(), outlet.line.clone(), outlet.running.clone());
        let listen = move || {
            listen(&mut incoming, &channels, &puts, &line);
            running.store(false, Ordering::Relaxed);
        };
        std::thread::Builder::new().name("tango-server".into()).spawn(listen).map_err(problem)?;
        Ok(outlet)
    }

    /// The port of the device server.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn problem(why: impl std::fmt::Display) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Kind::Machine, format!("the TANGO server could not be started: {why}")))
}

fn free(port: u16, interface: Ipv4Addr) -> Result<u16> {
    let taken = |error: std::io::Error| {
        let what = format!("the TANGO server cannot listen on {interface} port {port}: {error}");
        Box::new(
            Diagnostic::new(Kind::Machine, what).hint("stop the server that uses the port, or choose another port"),
        )
    };
    let listener = TcpListener::bind((interface, port)).map_err(taken)?;
    Ok(listener.local_addr().map_err(taken)?.port())
}

/// Takes clients' writes to the plant until the process ends.
fn listen(incoming: &mut BufReader<UnixStream>, channels: &[Channel], puts: &Puts, line: &Line) {
    while let Ok(frame) = Frame::read(incoming) {
        let Frame::Put(id, place, values) = frame else { continue };
        let Some(channel) = channels.get(place as usize) else { continue };
        let line = line.clone();
        puts.ask(channel, Some(Value::Vector(values.into())), move |answer| {
            let mut bytes = Vec::new();
            Frame::Answer(id, answer.err().unwrap_or_default()).append(&mut bytes);
            line.send(&bytes);
        });
    }
}

impl Outlet for TangoOutlet {
    fn post(&mut self, place: usize, reading: &Reading) {
        let quality = match &reading.validity {
            Validity::Good => quality::VALID,
            Validity::Warning(_) => quality::WARNING,
            Validity::Alarm(_) => quality::ALARM,
            Validity::Invalid(_) => quality::INVALID,
        };
        let held = Held { numbers: reading.value.entries().to_vec(), quality, time: reading.time.0 };
        Frame::Post(place as u32, held).append(&mut self.waiting);
    }

    fn flush(&mut self) {
        if !self.line.send(&self.waiting) {
            self.running.store(false, Ordering::Relaxed);
        }
        self.waiting.clear();
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }
}

impl Drop for TangoOutlet {
    fn drop(&mut self) {
        // the end of the line lets it take its devices out of the database
        self.line.end();
        let end = Instant::now() + LEAVE;
        while self.entered && Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
