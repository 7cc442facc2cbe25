//! HDB++ from a real PostgreSQL, with our own definitions of its tables.

#![allow(clippy::unwrap_used)]

use fodo_archives::Hdb;
use fodo_control::{Archive, Cancel, Channel, Samples, Time, Validity, Value};
use fodo_report::Kind;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A database of its own; ends with the test.
struct Database {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Database {
    fn start(test: &str) -> Option<Database> {
        let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/setup/postgres.sh");
        let folder = std::env::temp_dir().join(format!("fodo-hdbpp-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let port = fodo_tests::port();
        let arguments = ["run".as_ref(), folder.as_os_str(), port.to_string().as_ref()].map(std::ffi::OsStr::to_owned);
        let mut child = Command::new(setup).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let database = Database { child, folder, port };
        if line.trim() == "ready" {
            return Some(database);
        }
        _ = writeln!(std::io::stderr(), "SKIPPED {test}: tests/setup/postgres.sh gave no PostgreSQL");
        None
    }

    fn hdb(&self) -> Hdb {
        Hdb::new(&format!("postgres://fodo:secret@127.0.0.1:{}/postgres", self.port)).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn time(text: &str) -> Time {
    Time::parse(text, Time(0)).unwrap()
}

fn ask(hdb: &Hdb, channel: &str, from: &str, to: &str) -> fodo_report::Result<Option<Samples>> {
    hdb.samples(&channel.into(), time(from), time(to), &Cancel::new())
}

#[test]
fn attributes_are_read_with_quality_and_unit() {
    let Some(database) = Database::start("attributes_are_read_with_quality_and_unit") else { return };
    let hdb = database.hdb();
    for name in [
        "sr/magnet/1/current",
        "tango://CONTROL:10000/SR/Magnet/1/Current",
        "tango://1.2.3.4:9/sr/magnet/1/current#dbase=no",
    ] {
        let samples = ask(&hdb, name, "2026-11-20 12:00", "2026-11-20 12:30").unwrap().unwrap();
        assert_eq!((samples.unit.as_str(), samples.readings.len()), ("A", 5), "{name}");
        let times: Vec<String> = samples.readings.iter().map(|reading| reading.time.utc()).collect();
        // the last one before the first moment comes first
        assert_eq!(times[..2], ["2026-11-20 11:59:30.25", "2026-11-20 12:00:10.000001"]);
        assert_eq!(samples.readings[1].value, Value::Number(0.1));
        let validity = samples.readings.iter().map(|reading| &reading.validity).collect::<Vec<_>>();
        assert!(matches!(validity[..2], [Validity::Good, Validity::Alarm(_)]), "{validity:?}");
        assert!(matches!(validity[2], Validity::Invalid(why) if why.contains("API_DeviceTimedOut")), "{validity:?}");
        assert!(matches!(validity[3..], [Validity::Invalid(_), Validity::Warning(_)]), "{validity:?}");
    }
    let array = ask(&hdb, "sr/bpm/all/x", "2026-11-20 12:00", "2026-11-20 12:30").unwrap().unwrap();
    assert_eq!((array.unit.as_str(), array.readings[0].value.entries()), ("mm", [0.5, -1.5, 2.5].as_slice()));
    assert!(array.readings[1].value.entries()[1].is_nan());
    let text = ask(&hdb, "sr/operation/1/mode", "2026-11-20 12:00", "2026-11-20 12:30").unwrap().unwrap();
    assert_eq!(text.readings[0].value, Value::from("TopUp"));
    let channels: Vec<Channel> = ["sr/magnet/1/current", "sr/never/1/x", "no/such/one/x"].map(Channel::from).to_vec();
    let held = hdb.at(&channels, time("2026-11-20 12:00"), &Cancel::new()).unwrap();
    let values: Vec<_> = held.into_iter().map(|reading| Some(reading?.value)).collect();
    assert_eq!(values, [Some(Value::Number(2.5)), None, None]);
}

#[test]
fn what_cannot_be_told_says_why() {
    let Some(database) = Database::start("what_cannot_be_told_says_why") else { return };
    let hdb = database.hdb();
    let two = ask(&hdb, "a/twin/1/x", "2026-11-20", "2026-11-21").unwrap_err();
    assert!(two.message.contains("2 of ") && two.details.len() == 2, "{two:?}");
    let cancel = Cancel::new();
    cancel.stop();
    let stopped = hdb.samples(&"sr/bpm/all/x".into(), Time(0), Time::wall(), &cancel);
    assert!(stopped.is_err_and(|error| error.kind == Kind::Stopped));
    assert!(ask(&hdb, "sr/bpm/all/x", "2026-11-20", "2026-11-21").unwrap().is_some());
    drop(database);
    let lost = ask(&hdb, "sr/bpm/all/x", "2026-11-20", "2026-11-21").unwrap_err();
    assert!(lost.kind == Kind::Machine && lost.message.contains("did not answer"), "{lost:?}");
    assert!(!lost.message.contains("secret"), "{lost:?}");
}
