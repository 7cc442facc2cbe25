//! On which interface the server can be seen. One process, one interface: each test runs alone.
#![allow(clippy::unwrap_used)]

mod common;
mod fake_plant;

use common::*;
use fake_plant::FakePlant;
use fodo_control::Cancel;
use fodo_epics::ServeOptions;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Local addresses of this process' listening sockets, as /proc writes them.
fn listening() -> Vec<String> {
    let process = std::process::id();
    let inodes: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == "0A" && inodes.contains(&row[9].to_owned())).map(|row| row[1].to_owned()).collect()
}

#[test]
fn it_stays_on_the_loopback_interface() {
    let plant = Arc::new(FakePlant::new(1, 4));
    let server = start(plant.clone(), ServeOptions { port: 0, ..ServeOptions::default() }, Cancel::new()).unwrap();
    assert_eq!(listening(), [format!("0100007F:{:04X}", server.port())]);
    let elsewhere = ServeOptions { port: 0, interface: Ipv4Addr::new(127, 0, 0, 2) };
    let refused = start(plant, elsewhere, Cancel::new()).err().unwrap();
    assert_eq!(refused.message, "this process already serves on 127.0.0.1, and cannot serve on 127.0.0.2 too");
}

/// It sends beacons to every network of the machine, so run it in a namespace of its own:
/// `unshare -n bash -c 'ip link set lo up; cargo test -p fodo-epics --test server_interface -- --ignored'`
#[test]
#[ignore = "sends beacons to every network of the machine"]
fn it_can_serve_all_interfaces() {
    let plant = Arc::new(FakePlant::new(1, 4));
    let options = ServeOptions { port: port(), interface: Ipv4Addr::UNSPECIFIED };
    let server = start(plant, options, Cancel::new()).unwrap();
    assert_eq!(listening(), [format!("00000000:{:04X}", server.port())]);
    let text = run(tool("caget", server.port()).args(["-t", "SP:0"]));
    assert_eq!(text.trim(), "0");
}
