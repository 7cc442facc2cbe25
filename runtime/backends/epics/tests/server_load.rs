//! What serving costs: alone in its process, so that the processor time is the server's.
#![allow(clippy::unwrap_used)]

mod common;
mod fake_plant;

use common::start;
use fake_plant::FakePlant;
use fodo_control::{Backend, Cancel, Channel};
use fodo_epics::{ChannelAccess, ServeOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Processor time of this process so far [s].
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn share(span: Duration) -> f64 {
    let before = processor();
    std::thread::sleep(span);
    (processor() - before) / span.as_secs_f64()
}

/// The signals that this process catches, as /proc tells them.
fn caught() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find(|line| line.starts_with("SigCgt")).unwrap().to_owned()
}

#[test]
fn four_thousand_channels() {
    let before = caught();
    let plant = Arc::new(FakePlant::new(2000, 320));
    let begin = Instant::now();
    let server = start(plant.clone(), ServeOptions { port: 0, ..ServeOptions::default() }, Cancel::new()).unwrap();
    let startup = begin.elapsed();
    eprintln!("RATE start of a server with 4003 channels: {startup:?}");
    assert!(startup < Duration::from_secs(1));
    let idle = share(Duration::from_secs(3));
    eprintln!("RATE serving 4003 channels at 10 Hz, no client: {:.1} % of a core", idle * 100.0);
    assert!(idle < 0.33);
    let access = ChannelAccess::at(&[common::address(server.port())]).unwrap();
    let names: Vec<Channel> = (0..2000).flat_map(|n| [format!("SP:{n}").into(), format!("RB:{n}").into()]).collect();
    let begin = Instant::now();
    assert!(access.connect(&names, common::SECOND * 5, &Cancel::new()).unwrap().is_empty());
    eprintln!("RATE connect 4000 with monitors: {:?}", begin.elapsed());
    std::thread::sleep(Duration::from_secs(1));
    let watched = share(Duration::from_secs(3));
    eprintln!("RATE server and client, 4000 monitors, nothing changing: {:.1} % of a core", watched * 100.0);
    assert!(watched < 0.33);
    plant.restless.store(true, std::sync::atomic::Ordering::Relaxed);
    let busy = share(Duration::from_secs(3));
    eprintln!("RATE server and client, 2000 of them posting at 10 Hz: {:.1} % of a core", busy * 100.0);
    assert_eq!(caught(), before, "the server installed a signal handler");
    let begin = Instant::now();
    drop(server);
    eprintln!("RATE stop: {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_millis(500));
}
