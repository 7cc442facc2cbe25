//! What the tests against real PV Access servers share: the servers, and how faults are asked for.
#![allow(dead_code)]

#[path = "../../../epics/tests/common/asking.rs"]
mod asking;
#[path = "../../../epics/tests/common/lender.rs"]
mod lender;

pub use asking::*;

use fodo_pva::PvAccess;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

/// A real server; dropping it kills it.
pub struct Server {
    kind: &'static str,
    pub port: u16,
    folder: PathBuf,
    life: Mutex<Option<Life>>,
}

/// From start to death; the child is `pva_server.py`, which ends when its standard input closes, the server is its own.
struct Life {
    child: Child,
    pid: String,
    /// Puts that were logged before it was ready: those of its start.
    skip: usize,
}

impl Server {
    /// None, and a loud line, where it is not installed.
    pub fn new(kind: &'static str) -> Option<Server> {
        let module = if kind == "pvxs" { "pvxslibs" } else { "p4p" };
        let there = Command::new(root().join(".venv/bin/python")).args(["-c", &format!("import {module}")]).output();
        if !there.is_ok_and(|there| there.status.success()) {
            let told = format!("SKIPPED: no {module} in {}/.venv; run tests/setup/epics.sh\n", root().display());
            std::io::stderr().write_all(told.as_bytes()).unwrap();
            return None;
        }
        let port = fodo_tests::port();
        let folder = std::env::temp_dir().join(format!("fodo-pva-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Some(Server { kind, port, folder, life: Mutex::default() })
    }

    /// The IOC with `machine.db` alone, its setpoint at 1.5.
    pub fn machine(kind: &'static str) -> Option<Server> {
        let server = Server::new(kind)?;
        server.start(&[], "1.5");
        Some(server)
    }

    /// Starts it; an IOC with `machine.db`, more records, and its setpoint at `value`.
    pub fn start(&self, more: &[PathBuf], value: &str) {
        let mut command = Command::new(root().join(".venv/bin/python"));
        command.arg(root().join("tests/setup/pva_server.py")).arg(self.kind).arg(self.port.to_string());
        if self.kind != "p4p" {
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/machine.db")).args(more);
            command.args(["--macros", &format!("V={value}")]);
        }
        if self.kind == "base" {
            command.arg("--puts").arg(self.folder.join("puts"));
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().strip_prefix("ready ").expect("the server did not start").to_owned();
        *self.life.lock().unwrap() = Some(Life { child, pid, skip: self.log().len() });
    }

    /// `kill -9`.
    pub fn kill(&self) {
        let Some(mut life) = self.life.lock().unwrap().take() else { return };
        _ = Command::new("kill").args(["-KILL", &life.pid]).status();
        drop(life.child.stdin.take());
        _ = life.child.wait();
    }

    /// Stops it in its tracks (`STOP`), its connections open, or lets it go on (`CONT`).
    pub fn signal(&self, signal: &str) {
        let life = self.life.lock().unwrap();
        let pid = &life.as_ref().unwrap().pid;
        assert!(Command::new("kill").args([&format!("-{signal}"), pid]).status().unwrap().success());
        if signal == "STOP" {
            wait_for_stop(pid);
        }
    }

    /// A client that searches only here.
    pub fn client(&self) -> Arc<PvAccess> {
        Arc::new(PvAccess::at(&[SocketAddr::from((Ipv4Addr::LOCALHOST, self.port + 1))]).unwrap())
    }

    /// A database of its own.
    pub fn database(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Records `T:K0` … that hold their number.
    pub fn records(&self, count: usize) -> PathBuf {
        let record = |n: usize| format!("record(ao,\"T:K{n}\"){{field(VAL,\"{n}\")field(PINI,\"YES\")}}\n");
        self.database("many.db", &(0..count).map(record).collect::<String>())
    }

    fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join("puts")).unwrap_or_default();
        let put = |line: &str| line.split_once("PUT ").map(|(_, put)| put.to_owned());
        text.lines().filter_map(put).collect()
    }

    /// What the IOC says was put since it was started, in order.
    pub fn puts(&self) -> Vec<String> {
        let skip = self.life.lock().unwrap().as_ref().unwrap().skip;
        self.log().split_off(skip)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Waits until every thread of a process has taken its SIGSTOP.
fn wait_for_stop(pid: &str) {
    let running = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("stat")).is_ok_and(|stat| !stat.contains(") T "))
    };
    let end = Instant::now() + Duration::from_secs(5);
    while std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().any(running) {
        assert!(Instant::now() < end, "{pid} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}
