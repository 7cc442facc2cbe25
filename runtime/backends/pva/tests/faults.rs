//! What goes wrong in the night, over PV Access: servers that die, hang, change, and networks that lose packets.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use fodo_control::{Backend, Cancel, Change, Channel, Fault, Fresh, Keep, RunInfo, Setpoint, Time, Update, Value};
use fodo_pva::PvAccess;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Reads that ask the server.
const NOW: Fresh = Fresh::After(Time(i64::MAX), Duration::ZERO);

fn a_frozen_server(kind: &'static str) {
    let Some(server) = Server::machine(kind) else { return };
    let access = server.client();
    let names = channels(&["T:CNT", "T:AO"]);
    assert!(access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap().is_empty());
    let monitor = access.monitor(&names, Keep::Newest);
    seen(&monitor, "the present value", 3 * SECOND, |update| update.reading.as_ref().ok().map(drop));
    server.signal("STOP");
    let frozen = Instant::now();

    // who waits for a fresh sample runs into the time-out, and hears why
    let asked = access.now();
    let fault = read(&access, "T:CNT", Fresh::After(asked, 100 * SECOND), 4 * SECOND).unwrap_err();
    let took = frozen.elapsed();
    assert!(fault.absent && fault.reason.contains(SILENT), "{fault}");
    assert!(fault.reason.contains(&format!("127.0.0.1:{}", server.port)), "{fault}");
    assert!(took >= 4 * SECOND && took < 6 * SECOND, "{took:?}");
    // the newest value that is known is old by now, and is not given
    let fault = read(&access, "T:AO", Fresh::Latest, Duration::from_millis(300)).unwrap_err();
    assert!(fault.absent && fault.reason.contains(SILENT), "{fault}");
    let faults = access.connect(&names, Duration::from_millis(300), &Cancel::new()).unwrap();
    assert!(faults.len() == 2 && faults.iter().all(|fault| fault.reason.contains(SILENT)), "{faults:?}");
    // nothing is sent to it
    let start = Instant::now();
    let fault = put(&access, &[("T:AO", 3.0)], SECOND).remove(0).unwrap_err();
    assert!(fault.absent && fault.reason.contains(SILENT) && start.elapsed() < 3 * SECOND, "{fault}");
    // who follows it is told
    seen(&monitor, "that the server hangs", SECOND, |update| {
        update.reading.as_ref().err().filter(|fault| fault.reason.contains(SILENT)).map(drop)
    });

    server.signal("CONT");
    let start = Instant::now();
    assert!(access.connect(&names, 5 * SECOND, &Cancel::new()).unwrap().is_empty());
    assert!(start.elapsed() < 4 * SECOND, "{:?}", start.elapsed());
    assert_eq!(number(&read(&access, "T:AO", Fresh::Latest, SECOND)), 1.5, "what was refused has not arrived");
    let asked = access.now();
    assert!(read(&access, "T:CNT", Fresh::After(asked, 3 * SECOND), 3 * SECOND).unwrap().time > asked);
    seen(&monitor, "a value that does not change by itself", 3 * SECOND, |update| {
        (update.place == 1 && update.reading.is_ok()).then_some(())
    });
    if kind == "base" {
        assert_eq!(server.puts(), [""; 0]);
    }
}

#[test]
fn a_frozen_server_of_epics_base_is_found_out_and_comes_back() {
    a_frozen_server("base");
}

#[test]
fn a_frozen_server_of_pvxs_is_found_out_and_comes_back() {
    a_frozen_server("pvxs");
}

/// A server is asked for the type of a channel first: what it does not answer is not sent.
#[test]
fn nothing_is_written_into_a_freeze() {
    let Some(server) = Server::machine("base") else { return };
    let access = server.client();
    access.connect(&channels(&["T:AO"]), 3 * SECOND, &Cancel::new()).unwrap();
    server.signal("STOP");
    let start = Instant::now();
    let fault = put(&access, &[("T:AO", 2.5)], 4 * SECOND).remove(0).unwrap_err();
    let took = start.elapsed();
    assert!(fault.absent && fault.reason.contains(SILENT) && took < 6 * SECOND, "{fault} after {took:?}");
    server.signal("CONT");
    assert!(access.connect(&channels(&["T:AO"]), 5 * SECOND, &Cancel::new()).unwrap().is_empty());
    assert_eq!(number(&read(&access, "T:AO", NOW, 3 * SECOND)), 1.5);
    assert_eq!(server.puts(), [""; 0]);
}

#[test]
fn a_freeze_in_a_write_says_that_it_was_sent() {
    let Some(server) = Server::machine("base") else { return };
    let access = server.client();
    access.connect(&channels(&["T:SLOW.A"]), 3 * SECOND, &Cancel::new()).unwrap();
    let fault = std::thread::scope(|scope| {
        scope.spawn(|| {
            // the record needs a second to be done
            std::thread::sleep(Duration::from_millis(400));
            server.signal("STOP");
        });
        put(&access, &[("T:SLOW.A", 2.5)], 4 * SECOND).remove(0).unwrap_err()
    });
    assert!(fault.reason.starts_with("write sent, not done within 4 s: the server at"), "{fault}");
    assert!(fault.reason.contains(SILENT), "{fault}");
    server.signal("CONT");
    until("it has arrived", 5 * SECOND, || {
        let held = |name| read(&access, name, NOW, SECOND).ok()?.value.number();
        (server.puts() == ["T:SLOWRB 2.5"] && held("T:SLOW.A") == Some(2.5)).then_some(())
    });
}

#[test]
fn a_run_on_a_server_that_freezes_ends_with_a_message_and_puts_back() {
    let Some(server) = Server::machine("base") else { return };
    let access = server.client();
    let session = session(&access, 2 * SECOND);
    session.begin(RunInfo::default(), &[setpoint("T:AO"), setpoint("T:EXACT")]).unwrap();
    session.write(&[change("T:AO", 2.0), change("T:EXACT", 1.0)]).unwrap();
    server.signal("STOP");
    let error = session.write(&[change("T:AO", 3.0)]).unwrap_err();
    assert!(error.to_string().contains("could not be"), "{error}");
    let told = format!("{error:?}");
    assert!(told.contains(SILENT) || told.contains("did not answer a read in time"), "{told}");
    // it thaws while the run puts back
    let thaw = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SECOND);
            server.signal("CONT");
        });
        session.abort()
    });
    assert!(thaw.complete(), "{thaw}");
    let values = ["T:AO", "T:EXACT"].map(|name| number(&read(&access, name, NOW, 3 * SECOND)));
    assert_eq!(values, [1.5, 0.0]);
    let expected = ["T:AO 2", "T:EXACT 1", "T:AO 1.5", "T:EXACT 0"];
    let mut puts = server.puts();
    puts[..2].sort();
    puts[2..].sort();
    assert_eq!(puts, expected);
}

#[test]
fn a_run_on_a_server_that_dies_puts_back_when_it_is_there_again() {
    let Some(server) = Server::machine("base") else { return };
    let access = server.client();
    let session = session(&access, 2 * SECOND);
    session.begin(RunInfo::default(), &[setpoint("T:AO"), setpoint("T:EXACT")]).unwrap();
    session.write(&[change("T:AO", 2.0), change("T:EXACT", 1.0)]).unwrap();
    server.kill();
    until("the loss", 3 * SECOND, || read(&access, "T:AO", Fresh::Latest, SECOND).err());
    let error = session.write(&[change("T:AO", 3.0)]).unwrap_err();
    assert!(format!("{error:?}").contains("disconnected"), "{error:?}");
    // it comes back with what was set before it died, as from its own save file
    let putback = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SECOND);
            let saved = "record(ao,\"T:EXACT\"){field(VAL,\"1\")}\n";
            server.start(&[server.database("saved.db", saved)], "2.0");
        });
        session.abort()
    });
    assert!(putback.complete(), "{putback}");
    let values = ["T:AO", "T:EXACT"].map(|name| number(&read(&access, name, NOW, 3 * SECOND)));
    assert_eq!(values, [1.5, 0.0]);
}

fn a_death(kind: &'static str) {
    let Some(server) = Server::machine(kind) else { return };
    let access = server.client();
    let names = channels(&["T:CNT", "T:AO"]);
    assert!(access.connect(&names, 10 * SECOND, &Cancel::new()).unwrap().is_empty());
    let monitor = access.monitor(&names, Keep::Every(1000));
    seen(&monitor, "a value", 3 * SECOND, |update| update.reading.as_ref().ok().map(drop));
    // who waits is told, and does not wait for the time-out
    let waiting = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SECOND / 2);
            server.kill();
        });
        let start = Instant::now();
        let fault = read(&access, "T:AO", Fresh::After(access.now(), 100 * SECOND), 20 * SECOND).unwrap_err();
        assert_eq!(fault, Fault::absent(&"T:AO".into(), "disconnected"));
        start.elapsed()
    });
    assert!(waiting < 3 * SECOND, "{waiting:?}");
    let told = |update: &Update| update.reading.as_ref().err().filter(|fault| fault.absent).map(|f| f.reason.clone());
    assert_eq!(seen(&monitor, "the death", 3 * SECOND, told), "disconnected");
    server.start(&[], "7.5");
    let back = |update: &Update| update.reading.as_ref().ok().filter(|_| update.place == 1)?.value.number();
    assert_eq!(seen(&monitor, "the value after the restart", 10 * SECOND, back), 7.5);
    // every count from here on
    let mut last = None;
    let end = Instant::now() + 2 * SECOND;
    let mut counted = 0;
    while Instant::now() < end {
        for update in monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap() {
            let Some(count) = update.reading.unwrap().value.number().filter(|_| update.place == 0) else { continue };
            assert!(last.is_none_or(|last| count == last + 1.0), "{count} follows {last:?}");
            last = Some(count);
            counted += 1;
        }
    }
    assert!(counted >= 10, "{counted}");
    assert_eq!(monitor.counts().lost, 0);
}

#[test]
fn a_monitor_tells_the_death_of_epics_base_and_goes_on_after_the_restart() {
    a_death("base");
}

#[test]
fn a_monitor_tells_the_death_of_pvxs_and_goes_on_after_the_restart() {
    a_death("pvxs");
}

#[test]
fn deaths_while_reading_and_writing_lose_nothing() {
    let Some(server) = Server::machine("base") else { return };
    let access = server.client();
    access.connect(&channels(&["T:AO", "T:EXACT"]), 3 * SECOND, &Cancel::new()).unwrap();
    let over = AtomicBool::new(false);
    let longest = |calls: &mut dyn FnMut()| {
        let mut longest = Duration::ZERO;
        while !over.load(Ordering::Relaxed) {
            let start = Instant::now();
            calls();
            longest = longest.max(start.elapsed());
        }
        longest
    };
    let (mut good, mut bad, mut done, mut undone) = (0, 0, Vec::new(), 0);
    std::thread::scope(|scope| {
        let (server, access, over) = (&server, &access, &over);
        scope.spawn(move || {
            for life in ["2.5", "3.5"] {
                std::thread::sleep(Duration::from_millis(1300));
                server.kill();
                std::thread::sleep(Duration::from_millis(300));
                server.start(&[], life);
            }
            std::thread::sleep(3 * SECOND);
            over.store(true, Ordering::Relaxed);
        });
        let (good, bad) = (&mut good, &mut bad);
        let reading = scope.spawn(move || {
            longest(&mut || match read(access, "T:AO", NOW, SECOND) {
                Ok(reading) => {
                    assert!([1.5, 2.5, 3.5].contains(&reading.value.number().unwrap()), "{reading:?}");
                    *good += 1;
                }
                Err(fault) => {
                    assert!(fault.absent && fault.reason.contains("disconnected"), "{fault}");
                    *bad += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        });
        let mut value = 0.0;
        let longest_write = longest(&mut || {
            value += 0.001;
            match put(access, &[("T:EXACT", value)], SECOND).remove(0) {
                Ok(()) => done.push(value),
                Err(fault) => {
                    assert!(fault.absent && fault.reason.contains("disconnected"), "{fault}");
                    undone += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let longest_read = reading.join().unwrap();
        assert!(longest_read < 2 * SECOND && longest_write < 2 * SECOND, "{longest_read:?} {longest_write:?}");
    });
    eprintln!("RATE {good} reads and {} writes done, {bad} and {undone} refused around two deaths", done.len());
    assert!(good > 100 && done.len() > 100 && bad > 0 && undone > 0);
    // the last life's own log: each write that was called done is in it
    let log = server.puts();
    let last_life = log.iter().filter(|line| line.starts_with("T:EXACT"));
    let told: Vec<f64> = last_life.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(!told.is_empty() && told.is_sorted(), "none, or twice, or in another order");
    let missing: Vec<f64> =
        done.iter().copied().filter(|value| *value >= told[0]).filter(|value| !told.contains(value)).collect();
    assert!(missing.is_empty(), "called done, and not in the server's log: {missing:?}");
}

#[test]
fn a_channel_that_vanishes_and_comes_back_as_something_else() {
    let Some(server) = Server::new("base") else { return };
    let records = server.records(3);
    server.start(&[records], "1.5");
    let access = server.client();
    let names = channels(&["T:AO", "T:K2"]);
    assert!(access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap().is_empty());
    let monitor = access.monitor(&names[1..], Keep::Every(1000));
    let value = |update: &Update| update.reading.as_ref().ok().map(|reading| reading.value.clone());
    assert_eq!(seen(&monitor, "its number", 3 * SECOND, value), Value::Number(2.0));
    server.kill();
    server.start(&[], "1.5");
    until("the other channel is back", 10 * SECOND, || read(&access, "T:AO", Fresh::Latest, SECOND).ok());
    let faults = access.connect(&names, SECOND, &Cancel::new()).unwrap();
    assert_eq!(faults, [Fault::absent(&names[1], "disconnected, no answer within 1 s")]);
    let fault = put(&access, &[("T:AO", 2.0), ("T:K2", 2.0)], SECOND).remove(1).unwrap_err();
    assert_eq!(fault, Fault::absent(&names[1], "disconnected"));
    // a state, then a text
    let session = session(&access, 2 * SECOND);
    for (record, held, refusal, told) in [
        (
            "record(mbbo,\"T:K2\"){field(ZRST,\"OUT\")field(ONST,\"IN\")field(VAL,\"1\")field(PINI,\"YES\")}\n",
            Value::Choice { index: 1, label: "IN".into() },
            "write refused: it takes one of 2 states, not 2.5",
            None,
        ),
        (
            "record(stringout,\"T:K2\"){field(VAL,\"on\")field(PINI,\"YES\")}\n",
            Value::Text("on".into()),
            "write refused: it takes a text, not a number",
            Some("T:K2: holds the text \"on\", not one number"),
        ),
    ] {
        server.kill();
        server.start(&[server.database("other.db", record)], "1.5");
        assert!(access.connect(&names, 20 * SECOND, &Cancel::new()).unwrap().is_empty());
        assert_eq!(read(&access, "T:K2", Fresh::Latest, 3 * SECOND).unwrap().value, held);
        assert_eq!(read(&access, "T:K2", NOW, 3 * SECOND).unwrap().value, held);
        seen(&monitor, "what it holds now", 3 * SECOND, |update| value(update).filter(|seen| *seen == held));
        let fault = put(&access, &[("T:K2", 2.5)], SECOND).remove(0).unwrap_err();
        assert_eq!(fault, Fault::refused(&names[1], refusal));
        if let Some(told) = told {
            assert_eq!(session.setpoints(&[setpoint("T:K2")]).unwrap_err().details, [told]);
        }
    }
    assert_eq!(server.puts(), [""; 0]);
}

#[test]
fn a_thousand_absent_channels_are_one_message_and_one_time_out() {
    let Some(server) = Server::machine("base") else { return };
    let session = session(&server.client(), 2 * SECOND);
    let names: Vec<Channel> = (0..1000).map(|n| format!("NO:{n}").into()).chain(channels(&["T:AO"])).collect();
    for ask in [
        |session: &fodo_control::Session, names: &[Channel]| session.connect(names).unwrap_err(),
        |session: &fodo_control::Session, names: &[Channel]| session.read(names, Fresh::Latest).unwrap_err(),
    ] {
        let start = Instant::now();
        let error = ask(&session, &names);
        let took = start.elapsed();
        assert!(took >= 2 * SECOND && took < Duration::from_millis(2700), "{took:?}");
        assert!(error.message.starts_with("1000 of 1001 channels could not be"), "{error}");
        let details = "1000 channels (NO:0, NO:1, NO:2, … NO:999): no answer within 2 s";
        assert_eq!(error.details, [details], "{error:?}");
    }
}

#[test]
fn a_write_refused_half_way_puts_the_family_back() {
    let Some(server) = Server::new("pvxs") else { return };
    server.start(&[server.records(40)], "1.5");
    let access = server.client();
    let session = session(&access, 2 * SECOND);
    let mut changes: Vec<Change> = (0..10).map(|n| change(&format!("T:K{n}"), n as f64 / 2.0 + 1.25)).collect();
    changes.insert(5, change("T:DISABLED", 2.0));
    let setpoints: Vec<Arc<Setpoint>> = changes.iter().map(|change| change.setpoint.clone()).collect();
    let names: Vec<Channel> = setpoints.iter().map(|setpoint| setpoint.channel.clone()).collect();
    assert!(access.connect(&names, 10 * SECOND, &Cancel::new()).unwrap().is_empty());
    let before = session.setpoints(&setpoints).unwrap();
    session.begin(RunInfo::default(), &setpoints).unwrap();
    let error = session.write(&changes).unwrap_err();
    assert_eq!(error.message, "1 of 11 setpoints could not be written", "{error}");
    assert!(error.details[0].starts_with("T:DISABLED: write refused: "), "{error:?}");
    let putback = session.abort();
    assert!(putback.complete(), "{putback}");
    assert_eq!(session.setpoints(&setpoints).unwrap(), before);
}

/// As above on EPICS base, whose access rules refuse; its own log tells what was written.
#[test]
fn a_write_without_the_right_puts_the_family_back() {
    let Some(server) = Server::new("base") else { return };
    server.start(&[server.records(40)], "1.5");
    let session = session(&server.client(), 2 * SECOND);
    let mut changes: Vec<Change> = (0..10).map(|n| change(&format!("T:K{n}"), n as f64 / 2.0 + 1.25)).collect();
    changes.insert(5, change("T:RO", 2.0));
    let setpoints: Vec<Arc<Setpoint>> = changes.iter().map(|change| change.setpoint.clone()).collect();
    let before = session.setpoints(&setpoints).unwrap();
    session.begin(RunInfo::default(), &setpoints).unwrap();
    let error = session.write(&changes).unwrap_err();
    assert_eq!(error.message, "1 of 11 setpoints could not be written", "{error}");
    assert!(error.details[0].starts_with("T:RO: write refused: "), "{error:?}");
    assert!(session.abort().complete());
    assert_eq!(session.setpoints(&setpoints).unwrap(), before);
    assert_eq!(server.puts().len(), 20, "ten were written and ten put back");
}

#[test]
fn the_wrong_type_is_named_with_what_was_expected() {
    let Some(server) = Server::machine("base") else { return };
    let session = session(&server.client(), 2 * SECOND);
    let names = ["T:TEXT", "T:ROW", "T:AO", "T:NAMES", "T:NEVER"];
    let setpoints: Vec<Arc<Setpoint>> = names.iter().map(|name| setpoint(name)).collect();
    let error = session.setpoints(&setpoints).unwrap_err();
    assert_eq!(error.message, "4 of 5 setpoints could not be read");
    let told = [
        "T:TEXT: holds the text \"hello\", not one number",
        "T:ROW: holds a row of 5 numbers, not one number",
        "T:NAMES: holds a row of 3 texts, not one number",
        "T:NEVER: invalid: the server says UDF INVALID",
    ];
    assert_eq!(error.details, told);
}

#[test]
fn child_cut() {
    if !in_it() {
        return;
    }
    let Some(server) = Server::machine("base") else { return };
    let access = server.client();
    let names = channels(&["T:CNT", "T:AO"]);
    access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap();
    let monitor = access.monitor(&names, Keep::Every(10_000));
    let first = read(&access, "T:CNT", Fresh::After(access.now(), SECOND), 2 * SECOND).unwrap();
    // neither side learns that the other cannot hear it
    ip("link set lo down");
    let fault = read(&access, "T:CNT", Fresh::After(access.now(), 100 * SECOND), 4 * SECOND).unwrap_err();
    assert!(fault.absent && fault.reason.contains(SILENT), "{fault}");
    let fault = read(&access, "T:AO", Fresh::Latest, Duration::from_millis(200)).unwrap_err();
    assert!(fault.reason.contains(SILENT), "{fault}");
    seen(&monitor, "the cut", SECOND, |update| {
        update.reading.as_ref().err().filter(|fault| fault.reason.contains(SILENT)).map(drop)
    });
    ip("link set lo up");
    let start = Instant::now();
    assert!(access.connect(&names, 20 * SECOND, &Cancel::new()).unwrap().is_empty());
    eprintln!("RATE back {:?} after a cut of over 4 s", start.elapsed());
    let later = read(&access, "T:CNT", Fresh::After(access.now(), 5 * SECOND), 5 * SECOND).unwrap();
    assert!(number(&Ok(later)) > number(&Ok(first)) + 40.0, "the server went on counting");
    assert!(put(&access, &[("T:AO", 2.0)], 5 * SECOND)[0].is_ok());
    assert_eq!(server.puts(), ["T:AO 2"]);
}

#[test]
fn a_cut_network_is_told_and_mends() {
    in_a_network("child_cut");
}

#[test]
fn child_lossy() {
    if !in_it() {
        return;
    }
    let Some(server) = Server::new("base") else { return };
    server.start(&[server.records(300)], "1.5");
    losing_packets(|| {
        let access: Arc<PvAccess> = server.client();
        let names: Vec<Channel> = (0..300).map(|n| format!("T:K{n}").into()).collect();
        assert!(access.connect(&names, 30 * SECOND, &Cancel::new()).unwrap().is_empty());
        let monitor = access.monitor(&names[..1], Keep::Every(10_000));
        let start = Instant::now();
        for round in 1..=20 {
            let writes: Vec<(String, f64)> =
                (0..300).map(|n| (format!("T:K{n}"), f64::from(round * 1000 + n))).collect();
            let writes: Vec<(&str, f64)> = writes.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let answers = put(&access, &writes, 20 * SECOND);
            assert!(answers.iter().all(Result::is_ok), "round {round}: {:?}", answers.iter().find(|a| a.is_err()));
            let read = access.read(&names, NOW, 20 * SECOND, &Cancel::new()).unwrap();
            assert!(read.iter().zip(&writes).all(|(reading, (_, value))| number(reading) == *value), "round {round}");
        }
        eprintln!("RATE 20 times 300 writes and reads with a tenth of the packets lost: {:?}", start.elapsed());
        let mut values = Vec::new();
        until("the last change", 20 * SECOND, || {
            let updates = monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap();
            values.extend(updates.iter().filter_map(|update| update.reading.as_ref().ok()?.value.number()));
            (values.last() == Some(&20_000.0)).then_some(())
        });
        values.retain(|value| *value >= 1000.0);
        values.dedup();
        assert_eq!(values, (1..=20).map(|round| f64::from(round * 1000)).collect::<Vec<_>>(), "an update was lost");
    });
    assert_eq!(server.puts().len(), 6000);
}

#[test]
fn lost_packets_lose_no_write_and_no_update() {
    in_a_network("child_lossy");
}
