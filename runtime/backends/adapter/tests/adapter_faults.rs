//! What goes wrong with an adapter, and what is said of it.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use fodo_adapter::{Adapter, AdapterOptions};
use fodo_control::{Backend, Cancel, Fresh, Keep, Monitor, Time, Update, Value, Write};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Has the simulator do something wrong.
fn spoil(adapter: &Arc<Adapter>, what: &str) -> Result<(), fodo_control::Fault> {
    put(adapter, &[Write { channel: "SIM:DO".into(), value: what.into() }], 5 * SECOND).remove(0)
}

fn signal(adapter: &Adapter, signal: &str) {
    let id = adapter.process().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

fn refused(options: AdapterOptions) -> String {
    let start = Instant::now();
    let error = Adapter::start(options).err().unwrap();
    assert!(start.elapsed() < 5 * SECOND);
    error.render(false)
}

/// Updates until one is as wanted; all that came.
fn follow(monitor: &Monitor, what: &str, wanted: impl Fn(&Update) -> bool) -> Vec<Update> {
    let mut seen: Vec<Update> = Vec::new();
    until(what, || {
        seen.extend(monitor.next(Duration::from_millis(50), &Cancel::new()).unwrap());
        seen.iter().any(&wanted)
    });
    seen
}

#[test]
fn what_does_not_start_says_why() {
    if !python() {
        return;
    }
    let nothing = refused(AdapterOptions::new(&["/no/such/adapter"]));
    assert!(nothing.contains("`/no/such/adapter` cannot be started: No such file"), "{nothing}");
    let version = refused(simulator(&["--version", "7"]));
    assert!(version.contains("speaks version 7 of the adapter protocol, this Fodo speaks version 1"), "{version}");
    let ends = refused(simulator(&["--end", "no licence for this host"]));
    assert!(ends.contains("ended (exit status: 1); its last words: no licence for this host"), "{ends}");
    let silent = refused(AdapterOptions { hello: SECOND, ..simulator(&["--silent"]) });
    assert!(silent.contains("did not say hello within 1s and said nothing"), "{silent}");
    let shell = refused(AdapterOptions::new(&["sh", "-c", "echo Welcome; exec sleep 0.3"]));
    assert!(shell.contains("ended (exit status: 0) and said nothing, before it said hello"), "{shell}");
}

#[test]
fn an_adapter_that_dies_is_started_again() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&[]));
    let monitor = adapter.monitor(&channels(&["SIM:NUMBER", "SIM:TICK"]), Keep::Newest);
    assert!(put(&adapter, &[Write::number(&"SIM:NUMBER".into(), 5.0)], SECOND)[0].is_ok());
    follow(&monitor, "the number", |update| update.place == 0 && number(&update.reading) == 5.0);
    // a slow write is under way when it dies
    let writing = adapter.clone();
    let slow = std::thread::spawn(move || put(&writing, &[Write::number(&"SIM:SLOW".into(), 2.0)], 20 * SECOND));
    std::thread::sleep(Duration::from_millis(200));
    let told = spoil(&adapter, "die 3 the crate lost power").unwrap_err();
    let died = "the adapter ended (exit status: 3); its last words: the crate lost power";
    assert_eq!(told.reason, format!("{died}; the write may have arrived"));
    let fault = slow.join().unwrap().remove(0).unwrap_err();
    assert!(fault.absent && fault.reason == format!("{died}; the write may have arrived"), "{fault}");
    // followers are told, and have it back with the values of the new one
    let seen = follow(&monitor, "the loss and the return", |update| update.place == 0 && update.reading.is_ok());
    assert!(seen.iter().any(|u| u.reading.as_ref().is_err_and(|f| f.absent && f.reason == died)), "{seen:?}");
    assert_eq!(number(&latest(&adapter, "SIM:NUMBER")), 1.5);
    follow(&monitor, "it ticks again", |update| update.place == 1 && update.reading.is_ok());
}

#[test]
fn kill_9_while_reading_and_a_connect_that_waits() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&[]));
    let names = channels(&["SIM:NUMBER"]);
    assert!(adapter.connect(&names, SECOND, &Cancel::new()).unwrap().is_empty());
    let reading = adapter.clone();
    let waits = std::thread::spawn(move || {
        let far = Time::wall().after(3600 * SECOND);
        let names = channels(&["SIM:NUMBER"]);
        let answers = reading.read(&names, Fresh::After(far, 50 * SECOND), 60 * SECOND, &Cancel::new());
        (answers.unwrap().remove(0), Instant::now())
    });
    std::thread::sleep(Duration::from_millis(200));
    signal(&adapter, "-9");
    let killed = Instant::now();
    let (answer, when) = waits.join().unwrap();
    let fault = answer.unwrap_err();
    assert!(fault.absent && fault.reason.contains("ended (signal: 9 (SIGKILL))"), "{fault}");
    assert!(when.duration_since(killed) < SECOND);
    assert!(adapter.connect(&names, 10 * SECOND, &Cancel::new()).unwrap().is_empty());
    eprintln!("RATE back {:?} after kill -9", killed.elapsed());
    assert_eq!(number(&latest(&adapter, "SIM:NUMBER")), 1.5);
}

#[test]
fn an_adapter_that_hangs_runs_into_time_outs_and_recovers() {
    if !python() {
        return;
    }
    let short = Duration::from_millis(300);
    let adapter = start(AdapterOptions { quiet: short, hangs: SECOND, killed: 60 * SECOND, ..simulator(&[]) });
    let monitor = adapter.monitor(&channels(&["SIM:NUMBER"]), Keep::Newest);
    follow(&monitor, "the number", |update| update.reading.is_ok());
    signal(&adapter, "-STOP");
    let writes = [Write::number(&"SIM:NUMBER".into(), 7.0)];
    let start = Instant::now();
    let late = put(&adapter, &writes, Duration::from_millis(500)).remove(0).unwrap_err();
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert!(late.reason.starts_with("write sent, not done within 500 ms; it may still arrive"), "{late}");
    // followers are told when it does not give a sign of life
    follow(&monitor, "the hang", |u| u.reading.as_ref().is_err_and(|f| f.absent && f.reason.contains("hangs")));
    let start = Instant::now();
    let fault = latest(&adapter, "SIM:NUMBER").unwrap_err();
    assert!(fault.reason.starts_with("the adapter hangs: nothing was heard of it for "), "{fault}");
    assert!(start.elapsed() < SECOND);
    let unsent = put(&adapter, &writes, SECOND).remove(0).unwrap_err();
    assert!(unsent.reason.starts_with("the adapter hangs"), "{unsent}");
    signal(&adapter, "-CONT");
    follow(&monitor, "the return", |update| update.reading.is_ok());
    // the write that was given up is not carried out behind our back
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(number(&latest(&adapter, "SIM:NUMBER")), 1.5);
}

#[test]
fn an_adapter_that_hangs_for_long_is_killed() {
    if !python() {
        return;
    }
    let short = Duration::from_millis(200);
    let adapter = start(AdapterOptions { quiet: short, hangs: short, killed: SECOND, ..simulator(&[]) });
    let old = adapter.process();
    adapter.connect(&channels(&["SIM:NUMBER"]), SECOND, &Cancel::new()).unwrap();
    signal(&adapter, "-STOP");
    until("a new process", || adapter.process().is_some_and(|id| Some(id) != old));
    assert!(adapter.connect(&channels(&["SIM:NUMBER"]), 10 * SECOND, &Cancel::new()).unwrap().is_empty());
}

#[test]
fn garbage_is_told_and_survived() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&[]));
    assert!(spoil(&adapter, "garbage").is_ok());
    until("the garbage", || adapter.garbage().0 == 2);
    assert_eq!(number(&latest(&adapter, "SIM:NUMBER")), 1.5);
    // an answer that is lost may have been in there
    signal(&adapter, "-STOP");
    let late = put(&adapter, &[Write::number(&"SIM:K1".into(), 1.0)], Duration::from_millis(200));
    let reason = late[0].as_ref().unwrap_err().reason.clone();
    assert!(reason.contains("2 lines came from it that are not of the protocol, the last: `{{{"), "{reason}");
}

#[test]
fn a_storm_is_taken_whole_by_who_wants_all_and_newest_by_the_others() {
    if !python() {
        return;
    }
    const COUNT: usize = 20_000;
    let adapter = start(simulator(&[]));
    let names = channels(&["SIM:STORM"]);
    let all = adapter.monitor(&names, Keep::Every(2 * COUNT));
    let newest = adapter.monitor(&names, Keep::Newest);
    follow(&all, "the first", |update| update.reading.is_ok());
    let start = Instant::now();
    assert!(spoil(&adapter, &format!("storm {COUNT}")).is_ok());
    let mut seen = Vec::new();
    until("the last of the storm", || {
        let updates = all.next(Duration::from_millis(50), &Cancel::new()).unwrap();
        seen.extend(updates.iter().map(|update| number(&update.reading)));
        seen.last() == Some(&(COUNT as f64))
    });
    eprintln!("RATE {:.0} updates a second, none lost", COUNT as f64 / start.elapsed().as_secs_f64());
    let whole: Vec<f64> = (1..=COUNT).map(|count| count as f64).collect();
    assert_eq!(seen, whole);
    assert_eq!(all.counts().lost, 0);
    let last = newest.next(SECOND, &Cancel::new()).unwrap();
    assert_eq!(last.iter().map(|update| number(&update.reading)).collect::<Vec<_>>(), [COUNT as f64]);
}

#[test]
fn a_channel_that_vanishes_and_comes_back() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&[]));
    let monitor = adapter.monitor(&channels(&["SIM:K3"]), Keep::Newest);
    follow(&monitor, "the value", |update| update.reading.is_ok());
    spoil(&adapter, "vanish SIM:K3").unwrap();
    let lost = |u: &Update| u.reading.as_ref().is_err_and(|f| f.absent && f.reason == "its server is down");
    follow(&monitor, "the loss", lost);
    let fault = latest(&adapter, "SIM:K3").unwrap_err();
    assert!(fault.absent && fault.reason == "no such channel", "{fault}");
    let many = adapter.connect(&channels(&["SIM:K3", "SIM:K4"]), 3 * SECOND, &Cancel::new()).unwrap();
    assert_eq!(many.len(), 1, "{many:?}");
    spoil(&adapter, "appear SIM:K3").unwrap();
    follow(&monitor, "the return", |update| update.reading.is_ok());
}

#[test]
fn a_thousand_absent_channels_are_one_answer() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&[]));
    let names: Vec<_> = (0..1000).map(|n| format!("NO:{n}").into()).collect();
    let start = Instant::now();
    let faults = adapter.connect(&names, 3 * SECOND, &Cancel::new()).unwrap();
    eprintln!("RATE 1000 absent channels in {:?}", start.elapsed());
    assert_eq!(faults.len(), 1000);
    assert!(faults.iter().all(|fault| fault.absent && fault.reason == "no such channel"));
    assert!(start.elapsed() < 3 * SECOND);
}

#[test]
fn an_adapter_that_only_reads_and_writes_is_polled() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&["--bare"]));
    let names = channels(&["SIM:TICK", "SIM:VECTOR", "NO:1"]);
    assert_eq!(adapter.connect(&names, SECOND, &Cancel::new()).unwrap().len(), 1);
    let monitor = adapter.monitor(&names[..1], Keep::Newest);
    let first = latest(&adapter, "SIM:TICK").unwrap();
    let fresh = adapter.read(&names[..1], Fresh::After(first.time, SECOND), 3 * SECOND, &Cancel::new()).unwrap();
    assert!(fresh[0].as_ref().unwrap().time > first.time);
    let later = first.value.number().unwrap() + 3.0;
    follow(&monitor, "it ticks", |update| number(&update.reading) > later);
    let known = adapter.metadata(&names[1..2], SECOND, &Cancel::new()).unwrap().remove(0).unwrap();
    assert_eq!((known.form, known.length, known.writable), (fodo_control::Form::Vector, 8, true));
    assert!(adapter.names("*", SECOND, &Cancel::new()).unwrap_err().to_string().contains("it has no `names`"));
}

#[test]
fn numbers_that_json_has_no_words_for_names_and_the_end() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&[]));
    let odd = latest(&adapter, "SIM:ODD").unwrap();
    let entries = odd.value.entries();
    assert!(entries[0].is_nan() && entries[1..] == [f64::INFINITY, f64::NEG_INFINITY, 0.1], "{entries:?}");
    let infinite = [Write { channel: "SIM:VECTOR".into(), value: Value::Vector([f64::NEG_INFINITY, 2.0].into()) }];
    assert!(put(&adapter, &infinite, SECOND)[0].is_ok());
    assert_eq!(latest(&adapter, "SIM:READONLY").unwrap().shot, None);
    assert!(latest(&adapter, "SIM:TICK").is_ok());
    let names = adapter.names("SIM:T*", SECOND, &Cancel::new()).unwrap();
    assert_eq!(names, ["SIM:TEXT", "SIM:TEXTS", "SIM:TABLE", "SIM:TICK"]);
    // the end of its input ends it, in the midst of a write
    let id = adapter.process().unwrap();
    let writing = adapter.clone();
    let slow =
        std::thread::spawn(move || put(&writing, &[Write::number(&"SIM:SLOW".into(), 2.0)], 300 * SECOND / 1000));
    slow.join().unwrap();
    let start = Instant::now();
    drop(adapter);
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
}

#[test]
fn every_wait_can_be_stopped() {
    if !python() {
        return;
    }
    let adapter = start(simulator(&[]));
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
        assert!(late < Duration::from_millis(200), "{what}: stopped {late:?} late");
    };
    let (far, minute) = (Time::wall().after(3600 * SECOND), 60 * SECOND);
    stopped_in("read", &|cancel| {
        adapter.read(&channels(&["SIM:NUMBER"]), Fresh::After(far, minute), 2 * minute, cancel).is_err()
    });
    stopped_in("write", &|cancel| {
        let (adapter, cancel) = (adapter.clone(), cancel.clone());
        let writes = [Write::number(&"SIM:SLOW".into(), 1.0)];
        with_permit(move |permit| adapter.write(permit, &writes, minute, &cancel)).is_err()
    });
    signal(&adapter, "-STOP");
    stopped_in("connect", &|cancel| adapter.connect(&channels(&["SIM:K1"]), minute, cancel).is_err());
    stopped_in("metadata", &|cancel| adapter.metadata(&channels(&["SIM:K1"]), minute, cancel).is_err());
}
