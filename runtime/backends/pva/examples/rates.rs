//! How long connecting, reading and following take: `rates UDP_PORT COUNT`, on the channels `T:K0` … of a server on loopback.
#![allow(clippy::unwrap_used)]

use fodo_control::{Backend, Cancel, Channel, Fresh, Time};
use fodo_pva::PvAccess;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (port, count): (u16, usize) = (arguments[0].parse().unwrap(), arguments[1].parse().unwrap());
    let channels: Vec<Channel> = (0..count).map(|n| format!("T:K{n}").into()).collect();
    let (wait, cancel) = (Duration::from_secs(10), Cancel::new());
    let access = PvAccess::at(&[(Ipv4Addr::LOCALHOST, port).into()]).unwrap();
    let milliseconds = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let faults = access.connect(&channels, wait, &cancel).unwrap();
    println!("connect {count} cold: {:.1} ms, {} faults", milliseconds(start), faults.len());
    for round in 0..5 {
        let start = Instant::now();
        let read = access.read(&channels, Fresh::Latest, wait, &cancel).unwrap();
        let newest = milliseconds(start);
        let start = Instant::now();
        let asked = Fresh::After(Time(i64::MAX), Duration::ZERO);
        let good = access.read(&channels, asked, wait, &cancel).unwrap().iter().filter(|read| read.is_ok()).count();
        let asked = milliseconds(start);
        println!(
            "round {round}: newest of {} in {newest:.2} ms, {good} asked of the server in {asked:.1} ms",
            read.len()
        );
    }
}
