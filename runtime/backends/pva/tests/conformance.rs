//! The promises of a control system, over PV Access, against EPICS base, PVXS and p4p.
#![allow(clippy::unwrap_used)]

use fodo_control::conformance::{Subject, broken, check};
use fodo_control::{Backend, Cancel, Channel, Fresh, Value};
use fodo_pva::PvAccess;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

/// Four free ports in a row.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX - 3 && (1..4).all(|n| TcpListener::bind((Ipv4Addr::LOCALHOST, port + n)).is_ok()) {
            return port;
        }
    }
}

/// A real server, which ends when this is dropped: its standard input closes.
struct Server {
    child: Child,
    port: u16,
    _folder: Option<Folder>,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// None, and a loud line, where it is not installed.
    fn start(kind: &str, many: usize) -> Option<Server> {
        let python = root().join(".venv/bin/python");
        let module = if kind == "pvxs" { "pvxslibs" } else { "p4p" };
        let there = Command::new(&python).args(["-c", &format!("import {module}")]).output();
        if !there.is_ok_and(|there| there.status.success()) {
            let told = format!("SKIPPED: no {module} in {}/.venv; run tests/setup/epics.sh\n", root().display());
            std::io::stderr().write_all(told.as_bytes()).unwrap();
            return None;
        }
        let port = free_port();
        let mut command = Command::new(python);
        command.arg(root().join("tests/setup/pva_server.py")).arg(kind).arg(port.to_string());
        let mut folder = None;
        if kind != "p4p" {
            let place = std::env::temp_dir().join(format!("fodo-pva-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&place).unwrap();
            let record = |n: usize| format!("record(ao,\"T:K{n}\"){{field(VAL,\"{n}\")field(PINI,\"YES\")}}\n");
            let path = place.join("many.db");
            std::fs::write(&path, (0..many).map(record).collect::<String>()).unwrap();
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/machine.db")).arg(path);
            folder = Some(Folder(place));
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let server = Server { child, port, _folder: folder };
        assert_eq!(line.trim(), "ready", "the server did not start");
        Some(server)
    }

    fn search(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port + 1).into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        _ = self.child.wait();
    }
}

fn name(name: &str) -> Option<Channel> {
    Some(name.into())
}

fn against_an_ioc(kind: &str) {
    let Some(server) = Server::start(kind, 200) else { return };
    let access = PvAccess::at(&[server.search()]).unwrap();
    let subject = Subject {
        number: name("T:AO"),
        range: (-7.0, 7.0),
        unit: Some("A"),
        many: (0..200).map(|n| format!("T:K{n}").into()).collect(),
        // QSRV 1 does not look at DISP; and no server says before a write that it will refuse it
        refused: Some((if kind == "base" { "T:RO" } else { "T:DISABLED" }.into(), 2.0)),
        slow: Some(("T:SLOW.A".into(), SECOND)),
        vector: name("T:ROW"),
        text: name("T:TEXT"),
        texts: name("T:NAMES"),
        choice: Some(("T:STATE".into(), vec!["OFF", "STANDBY", "ON"])),
        ticking: name("T:CNT"),
        invalid: name("T:NEVER"),
        absent: name("NO:"),
        ..Subject::default()
    };
    let checks = check(&access, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}

#[test]
fn against_epics_base() {
    against_an_ioc("base");
}

#[test]
fn against_pvxs() {
    against_an_ioc("pvxs");
}

#[test]
fn tables_images_and_states_of_p4p() {
    let Some(server) = Server::start("p4p", 0) else { return };
    let access = PvAccess::at(&[server.search()]).unwrap();
    let channels: Vec<Channel> = ["P:TABLE", "P:IMAGE", "P:STATE"].map(Channel::from).into();
    let read = access.read(&channels, Fresh::Latest, 5 * SECOND, &Cancel::new()).unwrap();
    let values: Vec<Value> = read.into_iter().map(|reading| reading.unwrap().value).collect();
    assert_eq!(values[0].column("x"), Some(&Value::Vector([0.0, 1e-3, 2e-3, 3e-3].into())));
    assert!(matches!(values[0].column("name"), Some(Value::Texts(names)) if &*names[3] == "BPM3"));
    let pixels: Vec<f64> = (0..12).map(f64::from).collect();
    assert_eq!(values[1], Value::Image { width: 4, pixels: pixels.into() });
    assert_eq!(values[2], Value::Choice { index: 1, label: "STANDBY".into() });
    let subject = Subject {
        choice: Some(("P:STATE".into(), vec!["OFF", "STANDBY", "ON"])),
        image: name("P:IMAGE"),
        table: name("P:TABLE"),
        absent: name("NO:"),
        ..Subject::default()
    };
    let checks = check(&access, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}
