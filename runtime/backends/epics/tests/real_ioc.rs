//! The client against a real IOC of EPICS base 7.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use fodo_control::{
    Backend, Cancel, Change, Channel, Fresh, Reading, RunInfo, Session, SessionOptions, Setpoint, Time, Validity,
    Value, Write, WriteMode,
};
use fodo_epics::ChannelAccess;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn client(ioc: &Ioc) -> Arc<ChannelAccess> {
    Arc::new(ChannelAccess::at(&[address(ioc.port)]).unwrap())
}

fn latest(access: &ChannelAccess, names: &[&str]) -> Vec<Result<Reading, fodo_control::Fault>> {
    access.read(&channels(names), Fresh::Latest, 3 * SECOND, &Cancel::new()).unwrap()
}

#[test]
fn absent_names_come_in_one_answer() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("absent");
    let access = client(&ioc);
    let start = Instant::now();
    let faults = access.connect(&channels(&["T:AO", "NO:1", "T:WF", "NO:2"]), 3 * SECOND, &Cancel::new()).unwrap();
    let took = start.elapsed();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!((&*faults[0].channel, &*faults[1].channel), ("NO:1", "NO:2"));
    assert!(faults.iter().all(|fault| fault.absent && fault.reason == "no answer within 3 s"));
    assert!(took >= 3 * SECOND && took < Duration::from_millis(3500), "{took:?}");
    let start = Instant::now();
    assert!(access.connect(&channels(&["T:AO", "T:WF"]), 3 * SECOND, &Cancel::new()).unwrap().is_empty());
    assert!(start.elapsed() < Duration::from_millis(500));
}

#[test]
fn values_times_and_validity() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("values");
    let access = client(&ioc);
    let names = ["T:AO", "T:MODE", "T:STR", "T:WF", "T:EMPTY", "T:NEVER", "T:RO"];
    let readings: Vec<Reading> = latest(&access, &names).into_iter().map(Result::unwrap).collect();
    let values: Vec<&Value> = readings.iter().map(|reading| &reading.value).collect();
    assert_eq!(values[0], &Value::Number(1.5));
    assert_eq!(values[1], &Value::Choice { index: 1, label: "STANDBY".into() });
    assert_eq!(values[2], &Value::Text("hello".into()));
    assert_eq!(values[3].entries(), [1.5, 2.5, 3.5, 4.5, 5.5]);
    assert_eq!(readings[0].validity, Validity::Good);
    assert!((readings[0].time.seconds() - Time::wall().seconds()).abs() < 10.0);
    assert!(matches!(&readings[4].validity, Validity::Invalid(_)), "{:?}", readings[4]);
    assert_eq!(readings[5].validity, Validity::Invalid("the server says UDF INVALID".into()));

    put(&access, &[("T:AO", 8.5)], SECOND);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(latest(&access, &["T:AO"])[0].as_ref().unwrap().validity, Validity::Warning("HIGH MINOR".into()));
    run(tool("caput", ioc.port).args(["-c", "T:AO", "nan"]));
    std::thread::sleep(Duration::from_millis(100));
    let reading = latest(&access, &["T:AO"]).remove(0).unwrap();
    assert!(reading.value.number().unwrap().is_nan() && matches!(reading.validity, Validity::Invalid(_)));
}

#[test]
fn metadata() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("metadata");
    let access = client(&ioc);
    let names = channels(&["T:AO", "T:RO", "T:WF", "NO:1"]);
    let mut answers = access.metadata(&names, SECOND, &Cancel::new()).unwrap();
    assert!(answers.pop().unwrap().unwrap_err().absent);
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!((answers[0].unit.as_str(), answers[0].limits), ("A", Some((-10.0, 10.0))));
    assert_eq!((answers[0].length, answers[0].writable), (1, true));
    assert_eq!((answers[1].limits, answers[1].writable), (None, false));
    assert_eq!((answers[2].unit.as_str(), answers[2].length), ("mm", 5));
}

#[test]
fn puts_complete_or_say_why_not() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("puts");
    let access = client(&ioc);
    let exact = 0.1 + 0.2;
    let start = Instant::now();
    let answers = put(
        &access,
        &[("T:EXACT", exact), ("T:RO", 3.0), ("T:DISABLED", 3.0), ("T:SLOW.A", 4.0), ("T:MODE", 2.0)],
        3 * SECOND,
    );
    assert!(start.elapsed() > Duration::from_millis(900), "the slow record was not waited for: {:?}", start.elapsed());
    assert!(answers[0].is_ok() && answers[3].is_ok() && answers[4].is_ok(), "{answers:?}");
    assert_eq!(
        answers[1].as_ref().unwrap_err().reason,
        "write refused: the server gives this client no right to write"
    );
    assert_eq!(answers[2].as_ref().unwrap_err().reason, "write refused: the server did not take the value");
    std::thread::sleep(Duration::from_millis(100));
    let values = latest(&access, &["T:EXACT", "T:RO", "T:DISABLED", "T:SLOWRB"]);
    assert_eq!(values.iter().map(number).collect::<Vec<_>>(), [exact, 1.5, 1.5, 4.0]);

    let start = Instant::now();
    let late = put(&access, &[("T:SLOW.A", 5.0)], Duration::from_millis(300));
    assert_eq!(late[0].as_ref().unwrap_err().reason, "write sent, not done within 300 ms");
    assert!(start.elapsed() < 2 * SECOND);
    // what the IOC itself logged is what was sent
    let log: Vec<String> = ioc.puts().into_iter().filter(|line| !line.starts_with("T:SLOWRB")).collect();
    assert_eq!(log, [format!("T:EXACT {exact:?}"), "T:MODE 2".into()]);
}

#[test]
fn the_put_log_of_the_ioc_shows_every_put() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("log");
    let access = client(&ioc);
    for value in [1.5, 2.5, 2.5, -1.0 / 3.0] {
        assert!(put(&access, &[("T:AO", value)], SECOND)[0].is_ok());
    }
    assert_eq!(ioc.puts(), ["T:AO 1.5", "T:AO 2.5", "T:AO 2.5", "T:AO -0.33333333333333331"]);
}

#[test]
fn a_death_during_a_write_is_told() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("halfway");
    let access = client(&ioc);
    access.connect(&channels(&["T:SLOW.A"]), 3 * SECOND, &Cancel::new()).unwrap();
    let writer = access.clone();
    let thread = std::thread::spawn(move || put(&writer, &[("T:SLOW.A", 4.0)], 20 * SECOND));
    std::thread::sleep(Duration::from_millis(300));
    ioc.kill();
    let start = Instant::now();
    let fault = thread.join().unwrap().remove(0).unwrap_err();
    assert!(fault.absent && fault.reason == "disconnected; the write may have arrived", "{fault}");
    assert!(start.elapsed() < 2 * SECOND);
}

#[test]
fn a_transaction_writes_and_puts_back() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("transaction");
    let access = client(&ioc);
    let session = Session::new(access, WriteMode::Write, Cancel::new(), SessionOptions::default());
    let setpoint = |channel: &str| {
        Arc::new(Setpoint {
            name: channel.into(),
            family: "T".into(),
            channel: channel.into(),
            readback: Some(channel.into()),
            unit: "A".into(),
            limits: (-10.0, 10.0),
            tolerance: 1e-6,
            arrival: 2 * SECOND,
            rate: None,
            physics: None,
        })
    };
    let change = |channel: &str, value| Change { setpoint: setpoint(channel), value };
    session.begin(RunInfo::default(), &[]).unwrap();
    session.write(&[change("T:AO", 2.0), change("T:EXACT", 0.1)]).unwrap();
    session.write(&[change("T:AO", 3.0)]).unwrap();
    session.abort();
    assert_eq!(number(&latest_of(&session, "T:AO")), 1.5);
    let log = ioc.puts();
    assert_eq!(log[..3], ["T:AO 2", "T:EXACT 0.10000000000000001", "T:AO 3"]);
    let mut back = log[3..].to_vec();
    back.sort();
    eprintln!("put back: {back:?}");
    assert!(back.contains(&"T:AO 1.5".into()) && back.contains(&"T:EXACT 0".into()));
}

fn latest_of(session: &Session, name: &str) -> Result<Reading, fodo_control::Fault> {
    let answers = session.backend().read(&channels(&[name]), Fresh::Latest, SECOND, &Cancel::new());
    answers.unwrap().remove(0)
}

#[test]
fn fresh_data_and_silent_sources() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("fresh");
    let access = client(&ioc);
    let names = channels(&["T:CNT", "T:AO"]);
    access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap();
    let asked = access.now();
    let start = Instant::now();
    let counter = access.read(&names[..1], Fresh::After(asked, 5 * SECOND), 5 * SECOND, &Cancel::new()).unwrap();
    assert!(counter[0].as_ref().unwrap().time > asked);
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    // 20 fresh samples, each newer than the one before
    let mut last = (asked, number(&counter[0]) - 1.0);
    for _ in 0..20 {
        let mut next = access.read(&names[..1], Fresh::After(last.0, SECOND), SECOND, &Cancel::new()).unwrap();
        let reading = next.remove(0).unwrap();
        let count = reading.value.number().unwrap();
        assert!(reading.time > last.0 && count > last.1);
        last = (reading.time, count);
    }
    // the setpoint posts nothing: after 400 ms it is asked, and its old value counts
    let asked = access.now();
    let start = Instant::now();
    let silent = Duration::from_millis(400);
    let both = access.read(&names, Fresh::After(asked, silent), 3 * SECOND, &Cancel::new()).unwrap();
    let took = start.elapsed();
    assert!(took >= silent && took < 2 * SECOND, "{took:?}");
    assert!(both[0].as_ref().unwrap().time > asked);
    assert!(both[1].as_ref().unwrap().time < asked && number(&both[1]) == 1.5);
}

#[test]
fn an_ioc_dies_and_comes_back_with_other_values() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("restart");
    let access = client(&ioc);
    let names = channels(&["T:AO", "T:CNT"]);
    assert_eq!(number(&latest(&access, &["T:AO", "T:CNT"])[0]), 1.5);
    ioc.kill();
    std::thread::sleep(Duration::from_millis(200));
    for answer in access.read(&names, Fresh::Latest, SECOND, &Cancel::new()).unwrap() {
        let fault = answer.unwrap_err();
        assert!(fault.absent && fault.reason.starts_with("disconnected"), "{fault}");
    }
    let refused = put(&access, &[("T:AO", 2.0)], SECOND);
    assert!(refused[0].as_ref().unwrap_err().absent);
    let lost = access.connect(&names, Duration::from_millis(300), &Cancel::new()).unwrap();
    assert_eq!(lost[0].reason, "disconnected, no answer within 300 ms");

    ioc.start(&[], "7.5");
    let start = Instant::now();
    let back = access.connect(&names, 20 * SECOND, &Cancel::new()).unwrap();
    eprintln!("RATE back {:?} after the restart", start.elapsed());
    assert!(start.elapsed() < 5 * SECOND);
    assert!(back.is_empty(), "{back:?}");
    assert_eq!(number(&latest(&access, &["T:AO"])[0]), 7.5);
    let asked = access.now();
    let fresh = access.read(&names[1..], Fresh::After(asked, 5 * SECOND), 5 * SECOND, &Cancel::new()).unwrap();
    assert!(fresh[0].as_ref().unwrap().time > asked, "the monitor came back");
}

#[test]
fn a_read_that_waits_learns_of_the_death() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("death");
    let access = client(&ioc);
    let names = channels(&["T:AO"]);
    access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap();
    let waiting = access.clone();
    let thread = std::thread::spawn(move || {
        let far = Time::wall().after(3600 * SECOND);
        waiting.read(&channels(&["T:AO"]), Fresh::After(far, 50 * SECOND), 60 * SECOND, &Cancel::new()).unwrap()
    });
    std::thread::sleep(Duration::from_millis(300));
    ioc.kill();
    let start = Instant::now();
    let fault = thread.join().unwrap().remove(0).unwrap_err();
    assert!(fault.absent && start.elapsed() < 2 * SECOND, "{fault} after {:?}", start.elapsed());
}

#[test]
fn a_late_channel_is_used_when_it_comes() {
    if !epics() {
        return;
    }
    let ioc = Ioc::new("late");
    let access = client(&ioc);
    let names = channels(&["T:AO"]);
    assert_eq!(access.connect(&names, Duration::from_millis(200), &Cancel::new()).unwrap().len(), 1);
    ioc.start(&[], "1.5");
    let start = Instant::now();
    assert!(access.connect(&names, 20 * SECOND, &Cancel::new()).unwrap().is_empty());
    eprintln!("RATE found {:?} after its start", start.elapsed());
    assert!(start.elapsed() < 5 * SECOND);
    assert_eq!(number(&latest(&access, &["T:AO"])[0]), 1.5);
}

#[test]
fn every_wait_can_be_stopped() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("stop");
    let access = client(&ioc);
    access.connect(&channels(&["T:AO", "T:SLOW.A"]), 3 * SECOND, &Cancel::new()).unwrap();
    let stopped_in = |what: &str, call: &dyn Fn(&Cancel) -> bool| {
        let cancel = Cancel::new();
        let stopper = cancel.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            stopper.stop();
            Instant::now()
        });
        assert!(call(&cancel), "{what}: not stopped");
        let late = Instant::now().duration_since(thread.join().unwrap());
        assert!(late < Duration::from_millis(100), "{what}: stopped {late:?} late");
    };
    let far = Time::wall().after(3600 * SECOND);
    let minute = 60 * SECOND;
    stopped_in("connect", &|cancel| access.connect(&channels(&["NO:1"]), minute, cancel).is_err());
    stopped_in("read", &|cancel| {
        access.read(&channels(&["T:AO"]), Fresh::After(far, minute), 2 * minute, cancel).is_err()
    });
    stopped_in("wait", &|cancel| access.wait(minute, cancel).is_err());
    stopped_in("write", &|cancel| {
        let (access, cancel) = (access.clone(), cancel.clone());
        let writes = [Write::number(&"T:SLOW.A".into(), 1.0)];
        with_permit(move |permit| access.write(permit, &writes, minute, &cancel)).is_err()
    });
}

#[test]
fn hundreds_of_channels_at_once() {
    if !epics() {
        return;
    }
    let ioc = Ioc::new("many");
    let records = ioc.records(1300);
    ioc.start(&[&records], "1.5");
    let access = client(&ioc);
    let names: Vec<Channel> = (0..1300).map(|n| format!("T:K{n}").into()).collect();
    let timed = |what: &str, start: Instant| eprintln!("RATE {what}: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);

    let start = Instant::now();
    assert!(access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap().is_empty());
    timed("connect 1300", start);
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    let readings = access.read(&names, Fresh::Latest, SECOND, &Cancel::new()).unwrap();
    timed("read 1300, newest known", start);
    assert!(readings.iter().enumerate().all(|(n, reading)| number(reading) == n as f64));
    let start = Instant::now();
    let silent = Duration::from_millis(1);
    let readings = access.read(&names, Fresh::After(access.now(), silent), SECOND, &Cancel::new()).unwrap();
    timed("read 1300, asked of the server (1 ms of it is waiting)", start);
    assert!(readings.iter().all(Result::is_ok));
    let writes: Vec<Write> = names[..600].iter().map(|name| Write::number(name, 0.25)).collect();
    let writer = access.clone();
    let took = with_permit(move |permit| {
        let start = Instant::now();
        let answers = writer.write(permit, &writes, 3 * SECOND, &Cancel::new()).unwrap();
        assert!(answers.iter().all(Result::is_ok));
        start.elapsed()
    });
    eprintln!("RATE put 600 with completion: {:.2} ms", took.as_secs_f64() * 1e3);
    let in_order: Vec<String> = (0..600).map(|n| format!("T:K{n} 0.25")).collect();
    assert_eq!(ioc.puts(), in_order);
}

/// Run again by `the_environment_names_the_servers` with the environment set.
#[test]
fn child_of_the_environment() {
    if std::env::var_os("FODO_EPICS_CHILD").is_none() {
        return;
    }
    let access = ChannelAccess::new().unwrap();
    assert_eq!(number(&latest(&access, &["T:AO"])[0]), 1.5);
}

#[test]
fn the_environment_names_the_servers() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("environment");
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    point(&mut command, ioc.port);
    let output = command.args(["--exact", "child_of_the_environment"]).env("FODO_EPICS_CHILD", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
