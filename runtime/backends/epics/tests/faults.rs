//! What goes wrong in the night: servers that die, hang, change, and networks that lose packets.
#![allow(clippy::unwrap_used)]

mod common;
mod fake_plant;

use common::*;
use fake_plant::FakePlant;
use fodo_control::{Backend, Cancel, Change, Channel, Fault, Fresh, Keep, RunInfo, Session, Setpoint, Time, Update};
use fodo_epics::{ChannelAccess, ServeOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn client(ioc: &Ioc) -> Arc<ChannelAccess> {
    Arc::new(ChannelAccess::at(&[address(ioc.port)]).unwrap())
}

#[test]
fn a_frozen_server_is_found_out_and_comes_back() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("frozen");
    let access = client(&ioc);
    let names = channels(&["T:CNT", "T:AO"]);
    access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap();
    let monitor = access.monitor(&names, Keep::Newest);
    seen(&monitor, "the present value", 3 * SECOND, |update| update.reading.as_ref().ok().map(drop));
    ioc.signal("STOP");
    let frozen = Instant::now();

    // who waits for a fresh sample runs into the time-out, and hears why
    let asked = access.now();
    let fault = read(&access, "T:CNT", Fresh::After(asked, 100 * SECOND), 4 * SECOND).unwrap_err();
    let took = frozen.elapsed();
    assert!(fault.absent && fault.reason.contains(SILENT), "{fault}");
    assert!(fault.reason.contains(&format!("127.0.0.1:{}", ioc.port)), "{fault}");
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

    ioc.signal("CONT");
    let start = Instant::now();
    assert!(access.connect(&names, 5 * SECOND, &Cancel::new()).unwrap().is_empty());
    assert!(start.elapsed() < 4 * SECOND, "{:?}", start.elapsed());
    assert_eq!(number(&read(&access, "T:AO", Fresh::Latest, SECOND)), 1.5, "what was refused has not arrived");
    let asked = access.now();
    assert!(read(&access, "T:CNT", Fresh::After(asked, 3 * SECOND), 3 * SECOND).unwrap().time > asked);
    seen(&monitor, "a value that does not change by itself", 3 * SECOND, |update| {
        (update.place == 1 && update.reading.is_ok()).then_some(())
    });
    assert_eq!(ioc.puts(), [""; 0]);
}

#[test]
fn a_write_into_a_freeze_says_that_it_may_arrive() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("freeze-write");
    let access = client(&ioc);
    access.connect(&channels(&["T:AO"]), 3 * SECOND, &Cancel::new()).unwrap();
    ioc.signal("STOP");
    let start = Instant::now();
    let fault = put(&access, &[("T:AO", 2.5)], 4 * SECOND).remove(0).unwrap_err();
    let took = start.elapsed();
    assert!(fault.reason.starts_with("write sent, not done within 4 s: the server at"), "{fault}");
    assert!(fault.reason.contains(SILENT) && took < 6 * SECOND, "{fault} after {took:?}");
    ioc.signal("CONT");
    // it was sent, and what was sent arrives once
    until("the write arrives", 5 * SECOND, || (ioc.puts() == ["T:AO 2.5"]).then_some(()));
    until("it is seen", 5 * SECOND, || {
        (read(&access, "T:AO", Fresh::Latest, SECOND).ok()?.value.number() == Some(2.5)).then_some(())
    });
}

#[test]
fn a_run_on_a_server_that_freezes_ends_with_a_message_and_puts_back() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("freeze-run");
    let access = client(&ioc);
    let session = session(&access, 2 * SECOND);
    session.begin(RunInfo::default(), &[setpoint("T:AO"), setpoint("T:EXACT")]).unwrap();
    session.write(&[change("T:AO", 2.0), change("T:EXACT", 1.0)]).unwrap();
    ioc.signal("STOP");
    let error = session.write(&[change("T:AO", 3.0)]).unwrap_err();
    assert!(error.to_string().contains("could not be"), "{error}");
    let told = format!("{error:?}");
    assert!(told.contains(SILENT) || told.contains("did not answer a read in time"), "{told}");
    // it thaws while the run puts back
    let thaw = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SECOND);
            ioc.signal("CONT");
        });
        session.abort()
    });
    assert!(thaw.complete(), "{thaw}");
    let values = ["T:AO", "T:EXACT"].map(|name| number(&read(&access, name, Fresh::Latest, 3 * SECOND)));
    assert_eq!(values, [1.5, 0.0]);
}

#[test]
fn a_monitor_tells_the_death_and_goes_on_after_the_restart() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("monitor-death");
    let access = client(&ioc);
    let monitor = access.monitor(&channels(&["T:CNT", "T:AO"]), Keep::Every(1000));
    seen(&monitor, "a value", 3 * SECOND, |update| update.reading.as_ref().ok().map(drop));
    ioc.kill();
    let told = |update: &Update| update.reading.as_ref().err().filter(|fault| fault.absent).map(|f| f.reason.clone());
    assert_eq!(seen(&monitor, "the death", 3 * SECOND, told), "disconnected");
    ioc.start(&[], "7.5");
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
fn deaths_while_reading_and_writing_lose_nothing() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("storm");
    let access = client(&ioc);
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
    let now = Fresh::After(Time(i64::MAX), Duration::ZERO);
    let (mut good, mut bad, mut done, mut undone) = (0, 0, Vec::new(), 0);
    std::thread::scope(|scope| {
        let (ioc, access, over) = (&ioc, &access, &over);
        scope.spawn(move || {
            for life in ["2.5", "3.5"] {
                std::thread::sleep(Duration::from_millis(1300));
                ioc.kill();
                std::thread::sleep(Duration::from_millis(300));
                ioc.start(&[], life);
            }
            std::thread::sleep(3 * SECOND);
            over.store(true, Ordering::Relaxed);
        });
        let (good, bad) = (&mut good, &mut bad);
        let reading = scope.spawn(move || {
            longest(&mut || match read(access, "T:AO", now, SECOND) {
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
    // the last life's own log: each write that was called done is in it, in order
    let log = ioc.puts();
    let last_life: Vec<String> = log.iter().filter(|line| line.starts_with("T:EXACT")).cloned().collect();
    assert!(!last_life.is_empty());
    let told: Vec<f64> = last_life.iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    let wanted: Vec<f64> = done.iter().copied().filter(|value| *value >= told[0]).collect();
    assert!(wanted.iter().all(|value| told.contains(value)), "a write that was called done is not in the server's log");
}

#[test]
fn a_channel_that_vanishes_and_comes_back() {
    if !epics() {
        return;
    }
    let ioc = Ioc::new("vanish");
    let records = ioc.records(3);
    ioc.start(&[&records], "1.5");
    let access = client(&ioc);
    let names = channels(&["T:AO", "T:K2"]);
    assert!(access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap().is_empty());
    ioc.kill();
    ioc.start(&[], "1.5");
    until("the other channel is back", 10 * SECOND, || read(&access, "T:AO", Fresh::Latest, SECOND).ok());
    let faults = access.connect(&names, SECOND, &Cancel::new()).unwrap();
    assert_eq!(faults, [Fault::absent(&names[1], "disconnected, no answer within 1 s")]);
    let fault = put(&access, &[("T:AO", 2.0), ("T:K2", 2.0)], SECOND).remove(1).unwrap_err();
    assert_eq!(fault, Fault::absent(&names[1], "disconnected"));
    ioc.kill();
    ioc.start(&[&records], "1.5");
    assert!(access.connect(&names, 20 * SECOND, &Cancel::new()).unwrap().is_empty());
    assert_eq!(number(&read(&access, "T:K2", Fresh::Latest, SECOND)), 2.0);
}

#[test]
fn a_thousand_absent_channels_are_one_message_and_one_time_out() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("thousand");
    let access = client(&ioc);
    let session = session(&access, 2 * SECOND);
    let names: Vec<Channel> = (0..1000).map(|n| format!("NO:{n}").into()).chain(channels(&["T:AO"])).collect();
    for ask in [
        |session: &Session, names: &[Channel]| session.connect(names).unwrap_err(),
        |session: &Session, names: &[Channel]| session.read(names, Fresh::Latest).unwrap_err(),
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
    if !epics() {
        return;
    }
    let ioc = Ioc::new("halfway");
    ioc.start(&[&ioc.records(40)], "1.5");
    let access = client(&ioc);
    let session = session(&access, 2 * SECOND);
    let mut changes: Vec<Change> = (0..10).map(|n| change(&format!("T:K{n}"), n as f64 / 2.0 + 1.25)).collect();
    changes.insert(5, change("T:DISABLED", 2.0));
    changes.insert(8, change("T:RO", 2.0));
    let setpoints: Vec<Arc<Setpoint>> = changes.iter().map(|change| change.setpoint.clone()).collect();
    let before = session.setpoints(&setpoints).unwrap();
    session.begin(RunInfo::default(), &setpoints).unwrap();
    let error = session.write(&changes).unwrap_err();
    assert_eq!(error.message, "2 of 12 setpoints could not be written", "{error}");
    let refused = [
        "T:DISABLED: write refused: the server did not take the value",
        "T:RO: write refused: the server gives this client no right to write",
    ];
    assert_eq!(error.details, refused);
    let putback = session.abort();
    assert!(putback.complete(), "{putback}");
    assert_eq!(session.setpoints(&setpoints).unwrap(), before);
    let written = ioc.puts().iter().filter(|line| line.starts_with("T:K")).count();
    assert_eq!(written, 20, "ten were written and ten put back");
}

#[test]
fn the_wrong_type_is_named_with_what_was_expected() {
    if !epics() {
        return;
    }
    let ioc = Ioc::machine("types");
    let session = session(&client(&ioc), 2 * SECOND);
    let names = ["T:STR", "T:WF", "T:AO", "T:NAMES", "T:NEVER"];
    let setpoints: Vec<Arc<Setpoint>> = names.iter().map(|name| setpoint(name)).collect();
    let error = session.setpoints(&setpoints).unwrap_err();
    let told = [
        "T:STR: holds the text \"hello\", not one number",
        "T:WF: holds a row of 5 numbers, not one number",
        "T:NAMES: holds a row of 3 texts, not one number",
        "T:NEVER: invalid: the server says UDF INVALID",
    ];
    assert_eq!(error.message, "4 of 5 setpoints could not be read");
    assert_eq!(error.details, told);
    session.begin(RunInfo::default(), &[]).unwrap();
    let error = session.write(&[change("T:STR", 1.0)]).unwrap_err();
    assert_eq!(error.details, [told[0]]);
    session.abort();
    assert_eq!(ioc.puts(), [""; 0]);
}

/// A plant whose orbit is stamped by a clock that is off: the orbit after a write is that of the write.
#[test]
fn clocks_that_jump_neither_hang_nor_pass_a_stale_orbit() {
    let plant = Arc::new(FakePlant::new(3, 8));
    let server = start(plant.clone(), ServeOptions { port: 0, ..ServeOptions::default() }, Cancel::new()).unwrap();
    let access = Arc::new(ChannelAccess::at(&[address(server.port())]).unwrap());
    let session = session(&access, 2 * SECOND);
    session.connect(&channels(&["SP:0", "ORBIT:X"])).unwrap();
    session.begin(RunInfo::default(), &[]).unwrap();
    let mut value = 0.0;
    for ahead in [0, 3600, -3600, 0] {
        plant.ahead.store(ahead, Ordering::Relaxed);
        for _ in 0..5 {
            value += 0.125;
            session.write(&[change("SP:0", value)]).unwrap();
            let start = Instant::now();
            let fresh = Fresh::After(session.arrived(), Duration::from_millis(250));
            let orbit = session.read(&channels(&["ORBIT:X"]), fresh).unwrap().remove(0);
            assert_eq!(orbit.value.entries(), [value; 8], "a clock {ahead} s ahead");
            assert!(start.elapsed() < 2 * SECOND, "{:?}", start.elapsed());
        }
    }
    session.abort();
}

#[test]
fn child_cut() {
    if !in_it() || !epics() {
        return;
    }
    let ioc = Ioc::machine("cut");
    let access = client(&ioc);
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
    assert_eq!(ioc.puts(), ["T:AO 2"]);
}

#[test]
fn a_cut_network_is_told_and_mends() {
    if epics() {
        in_a_network("child_cut");
    }
}

#[test]
fn child_lossy() {
    if !in_it() || !epics() {
        return;
    }
    let ioc = Ioc::new("lossy");
    ioc.start(&[&ioc.records(300)], "1.5");
    losing_packets(|| {
        let access = client(&ioc);
        let names: Vec<Channel> = (0..300).map(|n| format!("T:K{n}").into()).collect();
        assert!(access.connect(&names, 20 * SECOND, &Cancel::new()).unwrap().is_empty());
        let monitor = access.monitor(&names[..1], Keep::Every(10_000));
        let start = Instant::now();
        for round in 1..=20 {
            let writes: Vec<(String, f64)> =
                (0..300).map(|n| (format!("T:K{n}"), f64::from(round * 1000 + n))).collect();
            let writes: Vec<(&str, f64)> = writes.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let answers = put(&access, &writes, 20 * SECOND);
            assert!(answers.iter().all(Result::is_ok), "round {round}: {:?}", answers.iter().find(|a| a.is_err()));
            let now = Fresh::After(Time(i64::MAX), Duration::ZERO);
            let read = access.read(&names, now, 20 * SECOND, &Cancel::new()).unwrap();
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
    assert_eq!(ioc.puts().len(), 6000);
}

#[test]
fn lost_packets_lose_no_write_and_no_update() {
    if epics() {
        in_a_network("child_lossy");
    }
}
