//! What is promised of watchers and feedbacks, on a control system made of a table whose time is the waits.

#![allow(clippy::unwrap_used)] // a test says what failed by where

use fodo_control::*;
use fodo_report::Kind;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Something that happens at a time.
type Later = (Time, &'static str, f64);

#[derive(Default)]
struct Table {
    values: Mutex<BTreeMap<Channel, f64>>,
    feeds: Mutex<Vec<(Feed, Vec<Channel>)>>,
    now: Mutex<Time>,
    later: Mutex<Vec<Later>>,
    /// After every reading of this channel it changes to these values, one after the other, and goes on.
    blips: Mutex<Vec<(&'static str, Vec<f64>)>>,
    reads: Mutex<usize>,
    /// Writes are stopped before they go out.
    stuck: Mutex<bool>,
}

impl Table {
    fn put(&self, channel: &str, value: f64) {
        self.values.lock().unwrap().insert(channel.into(), value);
        let now = *self.now.lock().unwrap();
        for (feed, channels) in self.feeds.lock().unwrap().iter() {
            for place in channels.iter().enumerate().filter(|(_, known)| ***known == *channel).map(|(place, _)| place) {
                feed.push(place, Ok(Reading::good(Value::Number(value), now)));
            }
        }
    }

    /// Lets a channel change when so much time has passed.
    fn later(&self, seconds: u64, channel: &'static str, value: f64) {
        let at = self.now.lock().unwrap().after(seconds as u32 * SECOND);
        self.later.lock().unwrap().push((at, channel, value));
    }
}

impl Backend for Table {
    fn name(&self) -> String {
        "a table".into()
    }

    fn connect(&self, channels: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Fault>, Stopped> {
        let values = self.values.lock().unwrap();
        Ok(channels
            .iter()
            .filter(|name| !values.contains_key(*name))
            .map(|name| Fault::absent(name, "no answer"))
            .collect())
    }

    fn read(
        &self,
        channels: &[Channel],
        _: Fresh,
        _: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        cancel.check()?;
        *self.reads.lock().unwrap() += 1;
        let now = *self.now.lock().unwrap();
        let read = |channel: &Channel| Ok(Reading::good(Value::Number(self.values.lock().unwrap()[channel]), now));
        let answers = channels.iter().map(read).collect();
        for (channel, values) in std::mem::take(&mut *self.blips.lock().unwrap()) {
            values.iter().for_each(|value| self.put(channel, *value));
        }
        Ok(answers)
    }

    fn write(
        &self,
        _: &Permit,
        writes: &[Write],
        _: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        cancel.check()?;
        if *self.stuck.lock().unwrap() {
            return Err(Stopped);
        }
        writes.iter().for_each(|write| self.put(&write.channel, write.value.number().unwrap()));
        Ok(writes.iter().map(|_| Ok(())).collect())
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let (monitor, feed) = Monitor::new(channels, keep);
        self.feeds.lock().unwrap().push((feed, channels.to_vec()));
        let values = self.values.lock().unwrap().clone();
        channels.iter().for_each(|channel| self.put(channel, values[channel]));
        monitor
    }

    fn metadata(&self, channels: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        Ok(channels.iter().map(|_| Ok(Metadata::default())).collect())
    }

    fn now(&self) -> Time {
        *self.now.lock().unwrap()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.check()?;
        let now = self.now.lock().unwrap().after(span);
        *self.now.lock().unwrap() = now;
        let due: Vec<Later> = {
            let mut later = self.later.lock().unwrap();
            let (due, rest) = later.drain(..).partition(|(at, ..)| *at <= now);
            *later = rest;
            due
        };
        due.into_iter().for_each(|(_, channel, value)| self.put(channel, value));
        Ok(())
    }
}

/// What a session tells.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn observe(&self, event: &Event) -> fodo_report::Result<()> {
        if let Event::Transaction { what: what @ ("paused" | "resumed"), text, .. } = event {
            self.0.lock().unwrap().push(format!("{what}: {text}"));
        }
        Ok(())
    }
}

struct Bench {
    table: Arc<Table>,
    session: Session,
    told: Arc<Told>,
}

fn bench() -> Bench {
    let table = Arc::new(Table::default());
    for (name, value) in [("a", 0.0), ("bpm", 1.0), ("beam", 100.0), ("loop", 0.0)] {
        table.put(name, value);
    }
    let session = Session::new(table.clone(), WriteMode::Write, Cancel::new(), SessionOptions::default());
    let told = Arc::new(Told::default());
    session.observe_with(Some(told.clone()));
    session.begin(RunInfo { title: "run".into(), ..RunInfo::default() }, &[]).unwrap();
    Bench { table, session, told }
}

fn setpoint() -> Arc<Setpoint> {
    Arc::new(Setpoint {
        name: "HCOR[\"a\"].kick".into(),
        family: "HCOR".into(),
        channel: "a".into(),
        readback: None,
        unit: "A".into(),
        limits: (-10.0, 10.0),
        tolerance: 1e-6,
        arrival: SECOND,
        rate: None,
        physics: None,
    })
}

impl Bench {
    fn set(&self, value: f64) -> fodo_report::Result<()> {
        self.session.write(&[Change { setpoint: setpoint(), value }])
    }

    fn read(&self) -> fodo_report::Result<f64> {
        let readings = self.session.read(&["bpm".into()], Fresh::Latest)?;
        Ok(readings[0].value.number().unwrap())
    }

    fn told(&self) -> Vec<String> {
        self.told.0.lock().unwrap().clone()
    }

    fn a(&self) -> f64 {
        self.table.values.lock().unwrap()[&Channel::from("a")]
    }
}

const PAUSE: Then = Then::Pause { back: SECOND, patience: Duration::from_secs(60) };

fn beam(then: Then) -> Condition {
    let broken: Broken = Arc::new(|reading| {
        let current = reading.value.number().unwrap();
        (current < 5.0).then(|| format!("the current is {current} mA"))
    });
    Condition { name: "watcher `beam`".into(), channel: "beam".into(), broken, then }
}

#[test]
fn a_pause_waits_until_the_condition_has_held_and_reads_again() {
    let bench = bench();
    bench.session.watch(vec![beam(PAUSE)]).unwrap();
    assert_eq!(bench.read().unwrap(), 1.0);
    bench.table.put("beam", 0.0);
    bench.table.put("bpm", f64::MAX); // what a monitor reads without beam
    bench.table.later(10, "beam", 100.0);
    bench.table.later(10, "bpm", 2.0);
    let before = bench.table.now();
    assert_eq!(bench.read().unwrap(), 2.0);
    let waited = (bench.table.now().0 - before.0) as f64 * 1e-9;
    assert!((10.9..11.5).contains(&waited), "{waited} s");
    let told = ["paused: watcher `beam`: the current is 0 mA", "resumed: all that is watched holds again"];
    assert_eq!(bench.told(), told);
}

#[test]
fn a_beam_that_was_lost_and_came_back_between_two_looks_is_not_missed() {
    let bench = bench();
    bench.session.watch(vec![beam(PAUSE)]).unwrap();
    bench.table.blips.lock().unwrap().push(("beam", vec![0.0, 100.0]));
    let reads = *bench.table.reads.lock().unwrap();
    bench.read().unwrap();
    assert_eq!(*bench.table.reads.lock().unwrap() - reads, 2, "what was read while there was no beam is read again");
    assert_eq!(bench.told().len(), 2);
}

#[test]
fn nothing_is_written_while_a_run_is_paused_and_patience_ends() {
    let bench = bench();
    bench.session.watch(vec![beam(PAUSE)]).unwrap();
    bench.set(1.0).unwrap();
    bench.table.put("beam", 0.0);
    let error = bench.set(2.0).unwrap_err();
    assert_eq!(error.kind, Kind::Machine);
    assert_eq!(error.message, "watcher `beam`: the current is 0 mA; waited 60 s for it");
    assert_eq!(bench.a(), 1.0);
    // putting back does not ask the watcher
    assert!(bench.session.abort().complete());
    assert_eq!(bench.a(), 0.0);
}

#[test]
fn a_stop_ends_the_run_and_a_hold_writes_nothing_more() {
    let bench = bench();
    bench.session.watch(vec![beam(Then::Stop)]).unwrap();
    bench.set(1.0).unwrap();
    bench.table.put("beam", 0.0);
    assert_eq!(bench.read().unwrap_err().message, "watcher `beam`: the current is 0 mA");
    bench.table.put("beam", 100.0);
    bench.session.unwatch();
    bench.session.watch(vec![beam(Then::Hold)]).unwrap();
    bench.set(2.0).unwrap();
    bench.table.put("beam", 0.0);
    assert_eq!(bench.set(3.0).unwrap_err().kind, Kind::Machine);
    assert_eq!(bench.session.abort().held, 1);
    assert_eq!(bench.a(), 2.0);
}

#[test]
fn a_run_does_not_begin_where_a_condition_does_not_hold_or_is_not_there() {
    let bench = bench();
    bench.table.put("beam", 0.0);
    assert!(bench.session.watch(vec![beam(Then::Stop)]).is_err());
    // and nothing is watched after that
    bench.read().unwrap();
    let absent = Condition { channel: "nobody".into(), ..beam(Then::Stop) };
    assert!(bench.session.watch(vec![absent]).unwrap_err().message.contains("could not be connected"));
}

#[test]
fn a_family_of_a_feedback_that_runs_is_refused_also_when_it_starts_in_mid_run() {
    let bench = bench();
    let runs: Broken = Arc::new(|reading| (reading.value.number() == Some(1.0)).then(|| "it is on".to_string()));
    let condition = Condition { name: "orbit feedback".into(), channel: "loop".into(), broken: runs, then: Then::Stop };
    let owner = Owner { families: vec!["HCOR".into()], condition, instead: "switch it off".into() };
    bench.session.owned_by(vec![owner]);
    bench.set(1.0).unwrap();
    bench.table.put("loop", 1.0);
    let error = bench.set(2.0).unwrap_err();
    assert_eq!(error.message, "HCOR belongs to the orbit feedback while it runs");
    assert_eq!(
        (error.details.as_slice(), error.hints.as_slice()),
        (&["it is on".into()][..], &["switch it off".into()][..])
    );
    assert_eq!(bench.a(), 1.0);
    bench.table.put("loop", 0.0);
    bench.set(2.0).unwrap();
}

/// Undoing, redoing and reverting are changes as any other.
#[test]
fn undo_and_revert_leave_a_family_to_the_feedback_that_runs() {
    let bench = bench();
    let runs: Broken = Arc::new(|reading| (reading.value.number() == Some(1.0)).then(|| "it is on".to_string()));
    let condition = Condition { name: "orbit feedback".into(), channel: "loop".into(), broken: runs, then: Then::Stop };
    bench.session.owned_by(vec![Owner { families: vec!["HCOR".into()], condition, instead: String::new() }]);
    bench.session.set_mark("before");
    bench.set(1.0).unwrap();
    bench.session.commit().unwrap();
    bench.table.put("loop", 1.0);
    bench.session.begin(RunInfo::default(), &[]).unwrap();
    let undone = bench.session.undo().unwrap_err();
    assert_eq!(undone.message, "HCOR belongs to the orbit feedback while it runs");
    assert_eq!(bench.session.revert("before").unwrap_err().message, undone.message);
    assert_eq!(bench.a(), 1.0);
    bench.table.put("loop", 0.0);
    assert!(bench.session.undo().unwrap().complete());
    bench.table.put("loop", 1.0);
    assert_eq!(bench.session.redo().unwrap_err().message, undone.message);
    assert_eq!(bench.a(), 0.0);
}

#[test]
fn what_a_run_watched_ends_with_it_however_it_ends() {
    let bench = bench();
    bench.session.watch(vec![beam(Then::Stop)]).unwrap();
    bench.session.abort();
    bench.table.put("beam", 0.0);
    bench.read().unwrap();
}

#[test]
fn a_setpoint_stands_once_in_a_set() {
    let bench = bench();
    let change = |value| Change { setpoint: setpoint(), value };
    let error = bench.session.write(&[change(1.0), change(2.0)]).unwrap_err();
    assert_eq!(error.message, "HCOR[\"a\"].kick would be set twice in one set; nothing was written");
    assert_eq!(bench.a(), 0.0);
}

#[test]
fn the_operator_pauses_a_run_between_two_steps() {
    let bench = bench();
    bench.session.step().unwrap();
    let cancel = bench.session.cancel().clone();
    assert!(cancel.pause_or_resume());
    std::thread::scope(|scope| {
        let step = scope.spawn(|| bench.session.step());
        while bench.told().is_empty() {
            std::thread::yield_now();
        }
        assert!(!step.is_finished());
        assert!(!cancel.pause_or_resume());
        step.join().unwrap().unwrap();
    });
    assert_eq!(bench.told(), ["paused: by the operator", "resumed: by the operator"]);
    cancel.pause_or_resume();
    cancel.stop();
    assert_eq!(bench.session.step().unwrap_err().kind, Kind::Stopped);
}

#[test]
fn what_was_to_be_kept_stays_when_the_run_fails() {
    let bench = bench();
    bench.set(1.0).unwrap();
    bench.session.keep_so_far();
    bench.set(2.0).unwrap();
    let putback = bench.session.abort();
    assert_eq!((bench.a(), putback.kept, putback.restored), (1.0, 1, 1));
    assert_eq!(putback.to_string(), "1 setpoint stays as the last whole pass left it");
    // it can be undone like any run
    bench.session.begin(RunInfo::default(), &[]).unwrap();
    assert!(bench.session.undo().unwrap().complete());
    assert_eq!(bench.a(), 0.0);
}

/// A stop between the announcement of a write and the write itself: what stays is what the machine holds.
#[test]
fn what_is_kept_can_be_undone_after_a_write_that_did_not_go_out() {
    let bench = bench();
    bench.set(1.0).unwrap();
    bench.session.keep_so_far();
    *bench.table.stuck.lock().unwrap() = true;
    assert_eq!(bench.set(2.0).unwrap_err().kind, Kind::Stopped);
    let putback = bench.session.abort();
    assert_eq!((bench.a(), putback.kept, putback.complete()), (1.0, 1, true));
    *bench.table.stuck.lock().unwrap() = false;
    bench.session.begin(RunInfo::default(), &[]).unwrap();
    let undone = bench.session.undo().unwrap();
    assert!(undone.complete() && bench.a() == 0.0, "{undone}");
}

#[test]
fn who_goes_back_behind_what_was_to_be_kept_stays_there() {
    let bench = bench();
    let savepoint = bench.session.savepoint();
    bench.set(1.0).unwrap();
    bench.session.keep_so_far();
    bench.session.return_to(savepoint, "not back").unwrap();
    let putback = bench.session.abort();
    assert_eq!((bench.a(), putback.kept), (0.0, 0));
}
