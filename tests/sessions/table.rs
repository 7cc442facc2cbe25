//! A whole orbit as one table over PV Access: from a server of p4p, and from the twin that we serve.

use super::everywhere::{changes, difference, on_twin};
use super::machine::{Running, epics, object};
use super::ring::{Orbit, facility, numbers};
use crate::errors::tells;
use fodo_tests::{self as support, Scratch, port};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Points PV Access clients that the command starts at `port`.
fn point(command: &mut Command, port: u16) {
    command.env("EPICS_PVA_ADDR_LIST", "127.0.0.1").env("EPICS_PVA_AUTO_ADDR_LIST", "NO");
    command.env("EPICS_PVA_BROADCAST_PORT", (port + 1).to_string());
}

/// Runs the program on the live machine at `port`.
fn live(scratch: &Scratch, facility: &Path, port: u16, arguments: &[&str]) -> Output {
    let mut command = support::fodo(scratch, arguments);
    command.args(["--on", "live", "--timeout", "3", "--facility"]).arg(facility);
    point(&mut command, port);
    Running::start(command).output()
}

/// `pva_server.py orbit`; dropping it ends it.
struct Server(Child);

impl Server {
    fn start(port: u16) -> Server {
        let script = support::project().join("tests/setup/pva_server.py");
        let mut command = Command::new(support::python().unwrap());
        command.arg(script).args(["orbit", &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready"), "the server did not start");
        Server(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        _ = self.0.wait();
    }
}

fn serve(scratch: &Scratch, facility: &Path, more: &[&str]) -> (Running, u16) {
    let port = port();
    let text = format!("pva={port}");
    let mut command = support::fodo(scratch, &["serve", "twin", "--protocol", "pva", "--port", &text]);
    command.arg("--facility").arg(facility).args(more);
    let mut running = Running::start(command);
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(!running.ended() && Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    (running, port)
}

/// The facility, with one word of its families replaced by another.
fn mistaken(scratch: &Scratch, facility: &Path, old: &str, new: &str) -> PathBuf {
    for name in std::fs::read_dir(facility).unwrap() {
        let path = name.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        scratch.file(&format!("mistaken/demo_ring/{}", path.file_name().unwrap().display()), &text.replace(old, new));
    }
    scratch.path().join("mistaken/demo_ring")
}

#[test]
fn an_orbit_is_read_from_a_table_of_p4p() {
    if !epics("an_orbit_is_read_from_a_table_of_p4p") {
        return;
    }
    let scratch = Scratch::new("table-p4p");
    let facility = facility(&scratch, Orbit::Table);
    let port = port();
    let _server = Server::start(port);
    let answer = object(&live(&scratch, &facility, port, &["eval", "get_orbit()", "--json"]));
    let orbit = |plane: &str| numbers(&answer["result"][plane]);
    for (n, (x, y)) in orbit("x").into_iter().zip(orbit("y")).enumerate() {
        let n = (n + 1) as f64;
        assert!((x - n * 10e-6).abs() < 1e-18 && (y + n * 20e-6).abs() < 1e-18, "monitor {n}: {x}, {y}");
    }
    assert_eq!(orbit("x").len(), 16, "{answer:#}");
    // each of several shots, and the readings with their time
    let script = "let seen = BPM[2].follow(\"y\", 1.0 * s); let now = BPM[15].get_reading(\"x\"); \
        #{ count: seen.value.len, last: seen.value[0], now: now.value, validity: now.validity }";
    let answer = object(&live(&scratch, &facility, port, &["eval", script, "--json"]));
    assert!(answer["result"]["count"].as_i64().unwrap() >= 5, "{answer:#}");
    assert_eq!(answer["result"]["validity"], Value::from("good"), "{answer:#}");
    let wrong = mistaken(&scratch, &facility, "column = \"y\"", "column = \"name\"");
    tells("table_column_of_texts", &live(&scratch, &wrong, port, &["eval", "get_orbit()"]), &scratch);
}

#[test]
fn the_served_twin_shows_a_table() {
    let scratch = Scratch::new("table-twin");
    let facility = facility(&scratch, Orbit::Table);
    let twin = on_twin(&scratch, &facility, &["--seed", "3"]);
    let (_serving, port) = serve(&scratch, &facility, &["--seed", "3"]);
    let served = object(&live(&scratch, &facility, port, &["run", "correct_orbit", "--write", "--json"]));
    let apart = difference(&changes(&twin), &changes(&served));
    eprintln!("twin and twin served as a table differ by {apart:.1e} of the largest change");
    assert!(apart < 1e-9);
    // what the tables say and the server has not
    let check = ["facility", "check"];
    let wrong = mistaken(&scratch, &facility, "column = \"x\"", "column = \"X\"");
    tells("table_without_the_column", &live(&scratch, &wrong, port, &check), &scratch);
    let answer = object(&live(&scratch, &facility, port, &["facility", "check", "--json"]));
    assert_eq!(answer["result"]["wrong"], Value::from(0), "{answer:#}");
    let inside = support::json(&scratch, &["facility", "check", "--facility", facility.to_str().unwrap()]);
    assert_eq!((&inside["result"]["wrong"], &inside["result"]["channels"]), (&0.into(), &248.into()), "{inside:#}");
}

#[test]
fn a_table_is_not_served_where_there_are_none() {
    let scratch = Scratch::new("table-ca");
    let facility = facility(&scratch, Orbit::Table);
    let port = port().to_string();
    let folder = facility.to_str().unwrap();
    let arguments = ["serve", "twin", "--protocol", "ca", "--port", &port, "--facility", folder];
    tells("table_over_channel_access", &support::run(&scratch, &arguments), &scratch);
}
