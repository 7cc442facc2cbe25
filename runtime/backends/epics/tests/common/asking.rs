//! How tests of faults ask: of any backend, over and over until it holds, or in a network of their own.

use super::lender::with_permit;
use fodo_control::{
    Backend, Cancel, Change, Channel, Fault, Fresh, Monitor, Reading, Session, SessionOptions, Setpoint, Update, Write,
    WriteMode,
};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub const SECOND: Duration = Duration::from_secs(1);

/// What is said of a server that hangs.
pub const SILENT: &str = "has not answered for";

pub fn channels(names: &[&str]) -> Vec<Channel> {
    names.iter().map(|name| Channel::from(*name)).collect()
}

pub fn number(reading: &Result<Reading, Fault>) -> f64 {
    reading.as_ref().unwrap().value.number().unwrap()
}

pub fn read<B: Backend>(access: &Arc<B>, name: &str, fresh: Fresh, wait: Duration) -> Result<Reading, Fault> {
    access.read(&channels(&[name]), fresh, wait, &Cancel::new()).unwrap().remove(0)
}

/// Writes through a backend, and the answers.
pub fn put<B: Backend + 'static>(backend: &Arc<B>, writes: &[(&str, f64)], wait: Duration) -> Vec<Result<(), Fault>> {
    let writes: Vec<Write> = writes.iter().map(|(name, value)| Write::number(&(*name).into(), *value)).collect();
    let backend = backend.clone();
    with_permit(move |permit| backend.write(permit, &writes, wait, &Cancel::new()).unwrap())
}

/// Asks until the answer holds, and gives it.
pub fn until<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Takes updates of a monitor until one is wanted.
pub fn seen<T>(monitor: &Monitor, what: &str, within: Duration, wanted: impl Fn(&Update) -> Option<T>) -> T {
    let end = Instant::now() + within;
    while Instant::now() < end {
        let updates = monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap();
        if let Some(found) = updates.iter().find_map(&wanted) {
            return found;
        }
    }
    panic!("the monitor did not tell {what} within {within:?}");
}

pub fn setpoint(channel: &str) -> Arc<Setpoint> {
    Arc::new(Setpoint {
        name: channel.into(),
        family: "T".into(),
        channel: channel.into(),
        readback: None,
        unit: "A".into(),
        limits: (-10.0, 10.0),
        tolerance: 1e-6,
        arrival: 2 * SECOND,
        rate: None,
        physics: None,
    })
}

pub fn change(channel: &str, value: f64) -> Change {
    Change { setpoint: setpoint(channel), value }
}

pub fn session<B: Backend + 'static>(access: &Arc<B>, wait: Duration) -> Session {
    let options = SessionOptions { wait: Some(wait), reconnect: Some(5 * SECOND), ..SessionOptions::default() };
    Session::new(access.clone(), WriteMode::Write, Cancel::new(), options)
}

/// Runs one test of the same program in a network of its own.
pub fn in_a_network(test: &str) {
    let program = std::env::current_exe().unwrap();
    let script = "ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture";
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", script]).arg(program).arg(test).env("FODO_NETWORK", "1");
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: {test}: no `unshare` here");
        return;
    };
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    told.lines().filter(|line| line.starts_with("SKIPPED") || line.starts_with("RATE")).for_each(|l| eprintln!("{l}"));
    if told.contains("running 1 test") {
        assert!(output.status.success(), "{told}");
    } else {
        eprintln!("SKIPPED: {test}: a network of its own is not permitted here: {}", told.trim());
    }
}

/// Whether this is the test in a network of its own.
pub fn in_it() -> bool {
    std::env::var_os("FODO_NETWORK").is_some()
}

pub fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success());
}

/// Sets it when dropped, also by a failing test.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Loses a tenth of the packets while `work` is done: by netem where the kernel has it, else by short cuts again and again.
pub fn losing_packets(work: impl FnOnce()) {
    let tc = Command::new("tc").args("qdisc add dev lo root netem loss 10% delay 3ms".split(' ')).output();
    if tc.is_ok_and(|output| output.status.success()) {
        return work();
    }
    eprintln!("SKIPPED: netem: this kernel has none; the network is cut for 30 ms every 300 ms instead");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                ip("link set lo down");
                std::thread::sleep(Duration::from_millis(30));
                ip("link set lo up");
                std::thread::sleep(Duration::from_millis(270));
            }
        });
        let _over = Ends(&over);
        work();
    });
}
