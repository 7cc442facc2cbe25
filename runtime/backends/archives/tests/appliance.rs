//! The appliance's formats, from the fixture server, beside two independent clients.

#![allow(clippy::unwrap_used)]

use fodo_archives::{Appliance, Format};
use fodo_control::{Archive, Cancel, Channel, Reading, Time, Validity, Value};
use fodo_report::Kind;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const CHANNELS: [&str; 9] = [
    "FIX:CURRENT",
    "FIX:WAVE",
    "FIX:STATE",
    "FIX:SHORT",
    "FIX:INT",
    "FIX:FLOAT",
    "FIX:TEXT",
    "FIX:SHORTS",
    "FIX:FLOATS",
];

/// The fixture server; ends with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Server {
        let mut child = Command::new("python3")
            .arg(setup("archiver.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { child, port: line.trim().parse().unwrap() }
    }

    fn appliance(&self, format: Format) -> Appliance {
        Appliance::new(&format!("http://127.0.0.1:{}/retrieval", self.port), format).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn setup(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/setup").join(file)
}

fn time(text: &str) -> Time {
    Time::parse(text, Time(0)).unwrap()
}

fn samples(archive: &Appliance, channel: &str, from: &str, to: &str) -> Vec<Reading> {
    archive.samples(&channel.into(), time(from), time(to), &Cancel::new()).unwrap().unwrap().readings
}

#[test]
fn both_formats_give_the_same_over_a_new_year() {
    let server = Server::start();
    let (raw, json) = (server.appliance(Format::Raw), server.appliance(Format::Json));
    for channel in CHANNELS {
        let [raw, json] = [&raw, &json].map(|archive| samples(archive, channel, "2026-12-31", "2027-01-02"));
        assert_eq!(raw, json, "{channel}");
        assert_eq!(raw.len(), 7, "{channel}");
        assert_eq!(raw[1].time, Time(time("2026-12-31 23:56").0 + 10), "{channel}");
        assert_eq!(raw[4].time, Time(time("2027-01-01 00:02").0 + 10), "{channel}");
        assert!(matches!(raw[3].validity, Validity::Invalid(_)) && matches!(raw[2].validity, Validity::Alarm(_)));
    }
    let current = raw.samples(&"FIX:CURRENT".into(), time("2027-01-01"), time("2027-01-01 00:03"), &Cancel::new());
    let current = current.unwrap().unwrap();
    assert_eq!(current.unit, "mA");
    // the last sample before the first moment comes first
    let values: Vec<&Value> = current.readings.iter().map(|reading| &reading.value).collect();
    assert_eq!(values, [&Value::Number(0.0), &Value::Number(1e300)]);
}

#[test]
fn a_moment_gives_what_held_then() {
    let server = Server::start();
    let channels: Vec<Channel> = ["FIX:CURRENT", "FIX:NEVER", "NOT:THERE", "FIX:INT"].map(Channel::from).to_vec();
    for format in [Format::Raw, Format::Json] {
        let held = server.appliance(format).at(&channels, time("2026-12-31 23:56:30"), &Cancel::new()).unwrap();
        let values: Vec<Option<Value>> = held.into_iter().map(|reading| Some(reading?.value)).collect();
        assert_eq!(values, [Some(Value::Number(200.0)), None, None, Some(Value::Number(-1.0))]);
        let before = server.appliance(format).at(&channels, time("2026-12-31 23:54"), &Cancel::new()).unwrap();
        assert!(before.iter().all(Option::is_none));
    }
}

#[test]
fn an_archive_that_is_not_there_or_no_archive_says_so() {
    let server = Server::start();
    let here = format!("http://127.0.0.1:{}", server.port);
    // a folder that the server does not have is as a channel that it does not have
    let other = Appliance::new(&here, Format::Raw).unwrap();
    let ask = |archive: &Appliance, cancel: &Cancel| archive.samples(&"FIX:INT".into(), Time(0), Time(1), cancel);
    assert_eq!(ask(&other, &Cancel::new()).unwrap(), None);
    let cancel = Cancel::new();
    cancel.stop();
    assert_eq!(ask(&other, &cancel).unwrap_err().kind, Kind::Stopped);
    drop(server);
    let error = ask(&other, &Cancel::new()).unwrap_err();
    assert!(error.kind == Kind::Machine && error.message.contains("did not answer"), "{error:?}");
}

#[test]
fn independent_clients_read_the_same() {
    let python = setup("../../.venv/bin/python");
    if !Command::new(setup("archiver.sh")).output().is_ok_and(|output| output.status.success()) {
        _ = writeln!(std::io::stderr(), "SKIPPED independent_clients_read_the_same: tests/setup/archiver.sh failed");
        return;
    }
    let server = Server::start();
    let raw = server.appliance(Format::Raw);
    for channel in CHANNELS {
        // aapy finds the first sample only inside one year
        for (from, to) in
            [("2026-12-31T23:56:30", "2026-12-31T23:59:00"), ("2026-12-31T23:56:30", "2027-01-01T00:05:00")]
        {
            let ours: Vec<(i64, serde_json::Value, i64)> = samples(&raw, channel, from, to).iter().map(plain).collect();
            assert!(ours.len() >= 3, "{channel}");
            let read = |client| theirs(&python, client, &server, [channel, from, to]);
            for (client, samples) in ["aapy", "epicsarchiver"].into_iter().flat_map(read) {
                let samples = samples.as_array().unwrap();
                assert_eq!(samples.len(), ours.len(), "{channel} {client} from {from}: {samples:?}");
                for ((time, value, severity), sample) in ours.iter().zip(samples) {
                    let apart = (sample[0].as_i64().unwrap() - time).abs();
                    assert!(
                        apart <= if client == "epicsarchiver" { 0 } else { 1000 },
                        "{channel} {client}: {apart} ns"
                    );
                    assert_eq!(&floats(&sample[1]), value, "{channel} {client}");
                    assert_eq!(sample[2].as_i64(), Some(*severity), "{channel} {client}");
                }
            }
        }
    }
}

/// What an independent client reads, by the ways it has.
fn theirs(
    python: &Path,
    client: &str,
    server: &Server,
    question: [&str; 3],
) -> serde_json::Map<String, serde_json::Value> {
    let output = Command::new(python)
        .arg(setup("archiver_clients.py"))
        .args([client, &server.port.to_string()])
        .args(question)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = || format!("{question:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}", told()))
}

/// Whole numbers as floating ones, as ours are.
fn floats(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) => serde_json::json!(number.as_f64()),
        serde_json::Value::Array(entries) => entries.iter().map(floats).collect(),
        other => other.clone(),
    }
}

fn plain(reading: &Reading) -> (i64, serde_json::Value, i64) {
    let whole = |number: f64| serde_json::json!(number);
    let value = match &reading.value {
        Value::Number(number) => whole(*number),
        Value::Vector(entries) => entries.iter().map(|&entry| whole(entry)).collect(),
        Value::Text(text) => text.as_ref().into(),
        other => panic!("{other}"),
    };
    let severity = match reading.validity {
        Validity::Good => 0,
        Validity::Warning(_) => 1,
        Validity::Alarm(_) => 2,
        Validity::Invalid(_) => 3,
    };
    (reading.time.0, value, severity)
}
