//! Records from the outside: what goes in comes out, in Rust and in h5py, whatever happens between.

#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

use fodo_control::{Event, Observer, Reading, Time, Validity, Value};
use fodo_records::{
    ChannelNote, LibraryNote, Outcome, Record, RunCard, RunState, SetpointValue, finish_interrupted, runs,
};
use fodo_report::Kind;
use hdf5_pure::File;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        Folder(std::env::temp_dir().join(format!("fodo-records-{}-{name}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn card() -> RunCard {
    RunCard {
        procedure: "correct_orbit".into(),
        script_path: "procedures/orbit/correct_orbit.rhai".into(),
        script_text: "//! # Correct the orbit\n// 10 µrad\n".into(),
        script_sha256: "5e1f".into(),
        parameters: json!({ "cutoff": 1e-3, "planes": ["x", "y"] }),
        facility: "demo_ring".into(),
        facility_sha256: "ab12".into(),
        machine: "twin".into(),
        optics: "default".into(),
        rights: "write".into(),
        libraries: vec![LibraryNote {
            name: "tuning".into(),
            version: "1.0.0".into(),
            revision: None,
            content_sha256: "cd34".into(),
        }],
        seed: Some(7),
        operator: "Ada".into(),
        version: "0.1.0".into(),
        start: Time(1_795_417_929_000_000_000),
        ..RunCard::default()
    }
}

fn write(n: usize, new: f64) -> Event {
    Event::Write {
        name: format!("HCOR[\"HCOR_{n:03}\"].kick").into(),
        channel: format!("HCOR_{n:03}:Cm:set").into(),
        old: 0.0,
        new,
        unit: "1/m".into(),
        time: Time(5),
        why: "set",
    }
}

fn scalar(channel: &str, value: f64, validity: Validity) -> (fodo_control::Channel, Reading) {
    (channel.into(), Reading { value: Value::Number(value), time: Time(9), validity, shot: None })
}

fn vector(channel: &str, entries: Vec<f64>) -> (fodo_control::Channel, Reading) {
    (channel.into(), Reading::good(Value::Vector(entries.into()), Time(11)))
}

fn outcome() -> Outcome {
    let setpoint = |value| SetpointValue {
        name: "HCOR[\"HCOR_001\"].kick".into(),
        channel: "HCOR_001:Cm:set".into(),
        value,
        unit: "1/m".into(),
    };
    Outcome {
        ok: true,
        result: json!({ "after": { "rms_x": 1e-6 } }),
        before: vec![setpoint(0.0)],
        after: vec![setpoint(f64::NAN)],
        seconds: 1.5,
        ..Outcome::default()
    }
}

/// A run with every kind of event.
fn everything(folder: &Path) -> PathBuf {
    let record = Record::create(folder, &card()).unwrap();
    let note = ChannelNote { channel: "beam:orbit:x".into(), unit: "m".into(), name: "BPM.x".into() };
    record.describe(&[note]).unwrap();
    let begin = Event::Transaction { what: "begin", text: "correct_orbit".into(), time: Time(1) };
    record.observe(&begin).unwrap();
    for step in 0..3 {
        record.observe(&write(step + 1, 1e-5 * step as f64)).unwrap();
        record.observe(&Event::Arrived { channel: "HCOR_001:Cm:set".into(), readback: 0.0, time: Time(6) }).unwrap();
        let bad = if step == 2 { Validity::Invalid("no closed orbit".into()) } else { Validity::Good };
        let readings = vec![
            vector("beam:orbit:x", (0..193).map(|i| i as f64 + 1000.0 * step as f64).collect()),
            scalar("TUNEZR:rdH", 1717.0 + step as f64, bad),
            scalar("TUNEZR:rdV", 1111.0, Validity::Good),
            ("sr/machine/state".into(), Reading::good(Value::Text("Delivery µ".into()), Time(12))),
        ];
        record.observe(&Event::Read { readings }).unwrap();
    }
    record.note("print", &json!("rms 12.0 µm")).unwrap();
    record.finish(&outcome()).unwrap()
}

#[test]
fn what_goes_in_comes_out() {
    let folder = Folder::new("round-trip");
    let path = everything(&folder.0);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "only the record is left");
    let file = File::open(&path).unwrap();
    let words = |path: &str| file.dataset(&format!("entry/{path}")).unwrap().read_string().unwrap();
    let numbers = |path: &str| file.dataset(&format!("entry/{path}")).unwrap().read_f64().unwrap();
    assert_eq!(words("process/script"), [card().script_text]);
    assert_eq!(words("process/libraries/name"), ["tuning"]);
    assert_eq!(words("process/libraries/version"), ["1.0.0"]);
    assert_eq!(words("process/libraries/revision"), [""]);
    assert_eq!(words("process/libraries/content_sha256"), ["cd34"]);
    assert_eq!(words("start_time"), ["2026-11-23T07:12:09.000000Z"]);
    assert_eq!(words("end_time"), ["2026-11-23T07:12:10.500000Z"]);
    assert_eq!(numbers("commands/new"), [0.0, 1e-5, 2e-5]);
    assert_eq!(words("commands/channel")[2], "HCOR_003:Cm:set");
    assert_eq!(words("events/kind"), ["transaction", "arrived", "arrived", "arrived", "print"]);
    let orbit = file.dataset("entry/readings/beam:orbit:x/value").unwrap();
    assert_eq!(orbit.shape().unwrap(), [3, 193]);
    assert_eq!(orbit.read_f64().unwrap()[2 * 193 + 15], 2015.0);
    assert_eq!(orbit.attrs().unwrap()["units"].as_str(), Some("m"));
    let tunes = "readings/TUNEZR:rdH_and_1_more";
    assert_eq!(numbers(&format!("{tunes}/value")), [1717.0, 1111.0, 1718.0, 1111.0, 1719.0, 1111.0]);
    let validity = file.dataset(&format!("entry/{tunes}/validity")).unwrap().read_u8().unwrap();
    assert_eq!(validity, [0, 0, 0, 0, 2, 0]);
    assert_eq!(words(&format!("{tunes}/reasons/text")), ["no closed orbit"]);
    assert_eq!(words("readings/sr.machine.state/value")[0], "Delivery µ");
    assert!(numbers("setpoints_after/value")[0].is_nan());
    assert_eq!(words("setpoints_before/unit"), ["1/m"]);
}

#[test]
fn h5py_reads_the_record() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pythons = [root.join(".venv/bin/python"), PathBuf::from("python3")];
    let has_h5py = |python: &&PathBuf| {
        Command::new(python).args(["-c", "import h5py"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    let Some(python) = pythons.iter().find(has_h5py) else {
        _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: no h5py in {pythons:?}; ./test.sh installs it\n"),
        );
        return;
    };
    let folder = Folder::new("h5py");
    let path = everything(&folder.0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_record.py");
    let output = Command::new(python).arg(script).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_empty_run_has_a_record() {
    let folder = Folder::new("empty");
    let path = Record::create(&folder.0, &RunCard::default()).unwrap().finish(&Outcome::default()).unwrap();
    let file = File::open(path).unwrap();
    assert!(file.dataset("entry/commands/new").unwrap().read_f64().unwrap().is_empty());
    assert!(file.dataset("entry/commands/name").unwrap().read_string().unwrap().is_empty());
}

#[test]
fn vectors_of_changing_length_are_padded() {
    let folder = Folder::new("ragged");
    let record = Record::create(&folder.0, &card()).unwrap();
    for length in [2, 4, 0] {
        record.observe(&Event::Read { readings: vec![vector("losses", vec![1.0; length])] }).unwrap();
    }
    let file = File::open(record.finish(&Outcome::default()).unwrap()).unwrap();
    let value = file.dataset("entry/readings/losses/value").unwrap();
    assert_eq!(value.shape().unwrap(), [3, 4]);
    assert_eq!(value.read_f64().unwrap().iter().filter(|v| v.is_nan()).count(), 6);
    assert_eq!(file.dataset("entry/readings/losses/length").unwrap().read_u64().unwrap(), [2, 4, 0]);
}

#[test]
fn runs_are_listed_in_the_order_of_their_start() {
    let folder = Folder::new("list");
    assert_eq!(runs(&folder.0).unwrap(), [], "no folder, no runs");
    everything(&folder.0);
    let later = RunCard { start: Time(1_795_500_000_000_000_000), ..card() };
    let running = Record::create(&folder.0, &later).unwrap();
    let list = runs(&folder.0).unwrap();
    let states: Vec<_> = list.iter().map(|run| (run.state, run.ok, run.seconds)).collect();
    assert_eq!(states, [(RunState::Finished, true, Some(1.5)), (RunState::Running, false, None)]);
    assert_eq!((list[0].procedure.as_str(), list[0].machine.as_str()), ("correct_orbit", "twin"));
    assert_eq!(list[1].id, running.id());
    assert!(finish_interrupted(&folder.0).unwrap().is_empty(), "a running run is left alone");
    drop(running);
    assert_eq!(runs(&folder.0).unwrap()[1].state, RunState::Interrupted);
}

#[test]
fn a_damaged_record_is_named() {
    let folder = Folder::new("damaged");
    let path = everything(&folder.0);
    std::fs::write(&path, b"not HDF5").unwrap();
    let error = runs(&folder.0).unwrap_err();
    assert_eq!(error.kind, Kind::Storage);
    assert!(error.message.contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = Folder::new("read-only");
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("file");
    std::fs::write(&file, b"").unwrap();
    let mut cases = vec![(file.join("records"), "Not a directory"), ("/proc/fodo".into(), "No such file")];
    let locked = folder.0.join("locked");
    std::fs::create_dir(&locked).unwrap();
    let mut rights = std::fs::metadata(&locked).unwrap().permissions();
    rights.set_readonly(true);
    std::fs::set_permissions(&locked, rights).unwrap();
    if std::fs::write(locked.join("probe"), b"").is_err() {
        cases.push((locked, "Permission denied"));
    } else {
        _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED in part: this user (root) writes to read-only folders\n"),
        );
    }
    for (path, why) in cases {
        let error = Record::create(&path, &card()).err().unwrap();
        assert_eq!(error.kind, Kind::Storage);
        assert!(error.message.contains(path.to_str().unwrap()) && error.message.contains(why), "{error}");
        assert!(error.hints[0].contains("--data") && error.hints[0].contains("FODO_DATA"));
    }
}

#[test]
fn many_processes_get_different_ids() {
    let folder = Folder::new("ids");
    let create = || Record::create(&folder.0, &card()).unwrap();
    let records: Vec<Record> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..50).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut ids: Vec<&str> = records.iter().map(Record::id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

/// Not a test by itself: the process that the next one kills.
#[test]
fn writer() {
    let Ok(folder) = std::env::var("FODO_RECORD_WRITER") else { return };
    let record = Record::create(Path::new(&folder), &card()).unwrap();
    for n in 0.. {
        let readings = vec![vector("beam:orbit:x", vec![n as f64; 320])];
        record.observe(&Event::Read { readings }).unwrap();
        record.observe(&write(1, n as f64)).unwrap();
        println!("sent {n}");
    }
}

#[test]
fn a_killed_run_is_completed_with_every_command_that_went_out() {
    use std::io::{BufRead, BufReader};
    let folder = Folder::new("killed");
    for tries in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env("FODO_RECORD_WRITER", &folder.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut sent = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("sent ")?.parse::<usize>().ok());
        sent.find(|n| *n >= 150 + 70 * tries).unwrap();
        assert_eq!(finish_interrupted(&folder.0).unwrap().len(), 0, "it is still running");
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let last = sent.last().unwrap_or(150 + 70 * tries);
        let done = finish_interrupted(&folder.0).unwrap();
        assert_eq!(done.len(), 1);
        let file = File::open(&done[0]).unwrap();
        let commands = file.dataset("entry/commands/new").unwrap().read_f64().unwrap();
        assert!(commands.len() > last, "{} commands, but {last} was sent", commands.len());
        assert!(commands.iter().enumerate().all(|(n, new)| *new == n as f64));
        let orbits = file.dataset("entry/readings/beam:orbit:x/value").unwrap().shape().unwrap();
        assert!(orbits[0] as usize >= commands.len());
        assert_eq!(file.dataset("entry/state").unwrap().read_string().unwrap(), ["interrupted"]);
    }
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 5);
    assert!(runs(&folder.0).unwrap().iter().all(|run| run.state == RunState::Interrupted && !run.ok));
}

/// Readings left alone are written within a moment, without another event to push them.
#[test]
fn a_quiet_run_loses_nothing() {
    let folder = Folder::new("quiet");
    let record = Record::create(&folder.0, &card()).unwrap();
    record.observe(&Event::Read { readings: vec![vector("beam:orbit:x", vec![1.0; 10])] }).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    let log = folder.0.join(format!("{}.sqlite", record.id()));
    let base = rusqlite::Connection::open_with_flags(log, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let count: i64 = base.query_row("SELECT count(*) FROM readings", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn readings_are_cheap() {
    let folder = Folder::new("cheap");
    let record = Record::create(&folder.0, &card()).unwrap();
    let event = Event::Read { readings: vec![vector("beam:orbit:x", (0..320).map(f64::from).collect())] };
    let names: Vec<String> = (0..640).map(|n| format!("SR:C{:02}-BPM{:02}:x", n / 20, n % 20)).collect();
    let many = Event::Read { readings: names.iter().map(|n| scalar(n, 1.5, Validity::Good)).collect() };
    let vectors = time(10_000, || record.observe(&event).unwrap());
    let sets = time(2_000, || record.observe(&many).unwrap());
    let commands = time(5_000, || record.observe(&write(1, 0.5)).unwrap());
    let start = Instant::now();
    let size = std::fs::metadata(record.finish(&Outcome::default()).unwrap()).unwrap().len();
    let finish = start.elapsed();
    let empty = time(20, || _ = Record::create(&folder.0, &card()).unwrap().finish(&outcome()).unwrap());
    println!("create and finish without events: {empty:?}");
    println!("a vector of 320: {vectors:?}; 640 scalars: {sets:?}; a command: {commands:?}");
    println!("finish: {finish:?} for {:.1} MB", size as f64 * 1e-6);
    assert!(vectors < Duration::from_millis(1), "ten times the aim of 100 µs, for slow disks");
}

fn time(count: u32, mut action: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..count).for_each(|_| action());
    start.elapsed() / count
}
