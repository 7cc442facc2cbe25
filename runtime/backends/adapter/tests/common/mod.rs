//! The simulator adapter, and the subject it offers.
#![allow(dead_code)]

use fodo_adapter::{Adapter, AdapterOptions};
use fodo_control::{
    Backend, Cancel, Change, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, RunInfo, Session,
    SessionOptions, Setpoint, Stopped, Time, Write, WriteMode,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const SECOND: Duration = Duration::from_secs(1);

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

/// Whether there is a Python; says loudly if a test is skipped for want of it.
pub fn python() -> bool {
    let there = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !there {
        _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: there is no python3 for an adapter\n");
    }
    there
}

/// The command of a script of the project with its arguments.
pub fn command(script: &str, more: &[&str]) -> AdapterOptions {
    let script = root().join(script).display().to_string();
    AdapterOptions::new(&[&["python3", &script], more].concat())
}

pub fn simulator(more: &[&str]) -> AdapterOptions {
    command("tests/setup/adapter_simulator.py", more)
}

pub fn start(options: AdapterOptions) -> Arc<Adapter> {
    Arc::new(Adapter::start(options).unwrap_or_else(|error| panic!("{}", error.render(false))))
}

pub fn channels(names: &[&str]) -> Vec<Channel> {
    names.iter().map(|name| Channel::from(*name)).collect()
}

pub fn latest(adapter: &Adapter, name: &str) -> Result<Reading, Fault> {
    adapter.read(&channels(&[name]), Fresh::Latest, 3 * SECOND, &Cancel::new()).unwrap().remove(0)
}

pub fn number(reading: &Result<Reading, Fault>) -> f64 {
    reading.as_ref().unwrap().value.number().unwrap()
}

/// Waits until something holds, at most ten seconds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + 10 * SECOND;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within 10 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes as the transaction does, which alone has a permit: what came of the last call of a backend.
pub fn put(adapter: &Arc<Adapter>, writes: &[Write], wait: Duration) -> Vec<Result<(), Fault>> {
    let adapter = adapter.clone();
    let writes = writes.to_vec();
    with_permit(move |permit| adapter.write(permit, &writes, wait, &Cancel::new()).unwrap())
}

/// Runs an action with a permit.
pub fn with_permit<T: Send + 'static>(action: impl FnOnce(&Permit) -> T + Send + 'static) -> T {
    type Action = Box<dyn FnOnce(&Permit) + Send>;
    struct Within(Mutex<Option<Action>>);
    impl Backend for Within {
        fn name(&self) -> String {
            String::new()
        }
        fn connect(&self, _: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Fault>, Stopped> {
            Ok(Vec::new())
        }
        fn read(
            &self,
            c: &[Channel],
            _: Fresh,
            _: Duration,
            _: &Cancel,
        ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
            Ok(c.iter().map(|_| Ok(Reading::good(0.0.into(), Time(0)))).collect())
        }
        fn write(
            &self,
            permit: &Permit,
            w: &[Write],
            _: Duration,
            _: &Cancel,
        ) -> Result<Vec<Result<(), Fault>>, Stopped> {
            if let Some(action) = self.0.lock().unwrap().take() {
                action(permit);
            }
            Ok(w.iter().map(|_| Ok(())).collect())
        }
        fn monitor(&self, c: &[Channel], keep: Keep) -> Monitor {
            Monitor::new(c, keep).0
        }
        fn metadata(&self, _: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
            Ok(Vec::new())
        }
        fn now(&self) -> Time {
            Time(0)
        }
        fn wait(&self, _: Duration, _: &Cancel) -> Result<(), Stopped> {
            Ok(())
        }
    }
    let (sender, answer) = std::sync::mpsc::channel();
    let action: Action = Box::new(move |permit| sender.send(action(permit)).unwrap());
    let backend = Arc::new(Within(Mutex::new(Some(action))));
    let session = Session::new(backend, WriteMode::Write, Cancel::new(), SessionOptions::default());
    session.begin(RunInfo::default(), &[]).unwrap();
    let setpoint = Setpoint {
        name: "it".into(),
        family: "IT".into(),
        channel: "it".into(),
        readback: None,
        unit: "1".into(),
        limits: (-1.0, 1.0),
        tolerance: 10.0,
        arrival: SECOND,
        rate: None,
        physics: None,
    };
    _ = session.write(&[Change { setpoint: Arc::new(setpoint), value: 1.0 }]);
    answer.recv().unwrap()
}
