//! What the transaction promises, on a control system made of a table.

#![allow(clippy::unwrap_used)] // a test says what failed by where

use fodo_control::*;
use fodo_report::Kind;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A control system made of a table.
#[derive(Default)]
struct Table {
    values: Mutex<BTreeMap<Channel, f64>>,
    refuses: Mutex<HashSet<Channel>>,
    absent: Mutex<HashSet<Channel>>,
    /// The next write is lost, and with it the server.
    dies: Mutex<bool>,
    log: Mutex<Vec<(Channel, f64)>>,
}

impl Table {
    fn new(values: &[(&str, f64)]) -> Arc<Table> {
        let table = Table::default();
        table.values.lock().unwrap().extend(values.iter().map(|(name, value)| (Channel::from(*name), *value)));
        Arc::new(table)
    }

    fn get(&self, name: &str) -> f64 {
        self.values.lock().unwrap()[name]
    }

    fn move_to(&self, name: &str, value: f64) {
        self.values.lock().unwrap().insert(name.into(), value);
    }
}

impl Backend for Table {
    fn name(&self) -> String {
        "a table".into()
    }

    fn connect(&self, _: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Fault>, Stopped> {
        Ok(Vec::new())
    }

    fn read(
        &self,
        channels: &[Channel],
        _: Fresh,
        _: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        cancel.check()?;
        let values = self.values.lock().unwrap();
        let absent = self.absent.lock().unwrap();
        let read = |channel: &Channel| match values.get(channel).filter(|_| !absent.contains(channel)) {
            Some(value) => Ok(Reading::good(Value::Number(*value), Time::wall())),
            None => Err(Fault::absent(channel, "no answer")),
        };
        Ok(channels.iter().map(read).collect())
    }

    fn write(
        &self,
        _: &Permit,
        writes: &[Write],
        _: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        cancel.check()?;
        if *self.dies.lock().unwrap() {
            let channels = writes.iter().map(|write| write.channel.clone());
            self.absent.lock().unwrap().extend(channels.clone());
            return Ok(channels.map(|channel| Err(Fault::absent(&channel, "disconnected"))).collect());
        }
        let refuses = self.refuses.lock().unwrap();
        let write = |write: &Write| {
            if refuses.contains(&write.channel) {
                return Err(Fault::refused(&write.channel, "write refused"));
            }
            let value = write.value.number().unwrap();
            self.values.lock().unwrap().insert(write.channel.clone(), value);
            self.log.lock().unwrap().push((write.channel.clone(), value));
            Ok(())
        };
        Ok(writes.iter().map(write).collect())
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        Monitor::new(channels, keep).0
    }

    fn metadata(&self, channels: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        Ok(channels.iter().map(|_| Ok(Metadata::default())).collect())
    }

    fn now(&self) -> Time {
        Time::wall()
    }

    fn wait(&self, _: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.check()
    }
}

fn setpoint(channel: &str, rate: Option<f64>) -> Arc<Setpoint> {
    Arc::new(Setpoint {
        name: format!("HCOR[\"{channel}\"].kick").into(),
        family: "HCOR".into(),
        channel: channel.into(),
        readback: None,
        unit: "A".into(),
        limits: (-10.0, 10.0),
        tolerance: 1e-6,
        arrival: Duration::from_millis(200),
        rate,
        physics: None,
    })
}

fn change(channel: &str, value: f64) -> Change {
    Change { setpoint: setpoint(channel, None), value }
}

fn info(run: &str) -> RunInfo {
    RunInfo { run: run.into(), title: "test".into(), ..RunInfo::default() }
}

fn open(table: &Arc<Table>, mode: WriteMode) -> Session {
    let options = SessionOptions { reconnect: Some(Duration::from_millis(50)), ..SessionOptions::default() };
    Session::new(table.clone(), mode, Cancel::new(), options)
}

/// A folder that goes with the test.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("fodo-control-{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn journalled(table: &Arc<Table>, scratch: &Scratch) -> Session {
    let options = SessionOptions {
        journals: Some(JournalFolder(scratch.0.clone())),
        reconnect: Some(Duration::from_millis(50)),
        ..SessionOptions::default()
    };
    Session::new(table.clone(), WriteMode::Write, Cancel::new(), options)
}

#[test]
fn a_set_with_one_value_beyond_its_limit_is_refused_whole() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[]).unwrap();
    let error = session.write(&[change("a", 5.0), change("b", 10.5)]).unwrap_err();
    assert_eq!(error.kind, Kind::Limits);
    assert_eq!(error.details, ["HCOR[\"b\"].kick would go to 10.5 A, 0.5 A beyond its limit 10 A"]);
    assert!(session.write(&[change("a", f64::NAN)]).unwrap_err().to_string().contains("not finite numbers"));
    assert!(table.log.lock().unwrap().is_empty());
}

#[test]
fn reading_only_and_undeclared_families_write_nothing() {
    let table = Table::new(&[("a", 1.0)]);
    let session = open(&table, WriteMode::ReadOnly);
    session.begin(info("1"), &[]).unwrap();
    assert_eq!(session.write(&[change("a", 5.0)]).unwrap_err().kind, Kind::Rights);
    let session = open(&table, WriteMode::Write);
    session.begin(info("2"), &[]).unwrap();
    session.narrow(HashSet::from(["HCOR".into(), "VCOR".into()]));
    session.narrow(HashSet::from(["VCOR".into()]));
    let error = session.write(&[change("a", 5.0)]).unwrap_err();
    assert!(error.kind == Kind::Rights && error.message.contains("HCOR"), "{error}");
    session.widen();
    session.write(&[change("a", 5.0)]).unwrap();
    assert_eq!(table.get("a"), 5.0);
}

#[test]
fn an_aborted_run_is_put_back_in_reverse_bit_for_bit() {
    let table = Table::new(&[("a", 0.1 + 0.2), ("b", 2.0)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("a", 5.0)]).unwrap();
    session.write(&[change("b", 6.0)]).unwrap();
    session.write(&[change("a", 7.0)]).unwrap();
    let putback = session.abort();
    assert!(putback.complete() && putback.restored == 2, "{putback}");
    assert_eq!(table.get("a").to_bits(), (0.1_f64 + 0.2).to_bits());
    let log: Vec<String> = table.log.lock().unwrap().iter().map(|(c, _)| c.to_string()).collect();
    assert_eq!(log, ["a", "b", "a", "b", "a"]);
}

#[test]
fn what_somebody_else_moved_is_left_and_named() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]);
    let session = open(&table, WriteMode::Write);
    let watched = [setpoint("a", None), setpoint("b", None), setpoint("c", None)];
    session.begin(info("1"), &watched).unwrap();
    session.write(&[change("a", 5.0), change("b", 6.0)]).unwrap();
    table.move_to("b", 8.0);
    table.move_to("c", 4.0);
    let putback = session.abort();
    assert_eq!((table.get("a"), table.get("b"), table.get("c")), (1.0, 8.0, 4.0));
    let text = putback.to_string();
    assert!(text.contains("left alone") && text.contains("HCOR[\"b\"].kick (holds 8 A, was 2 A"), "{text}");
    assert!(text.contains("changed by others") && text.contains("HCOR[\"c\"].kick (3 to 4 A)"), "{text}");
}

#[test]
fn a_refused_write_fails_and_the_rest_comes_back() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    table.refuses.lock().unwrap().insert("b".into());
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[]).unwrap();
    let error = session.write(&[change("a", 5.0), change("b", 6.0)]).unwrap_err();
    assert!(error.to_string().contains("b: write refused"), "{error}");
    assert!(session.abort().complete());
    assert_eq!((table.get("a"), table.get("b")), (1.0, 2.0));
}

#[test]
fn stopping_puts_back_and_a_second_stop_leaves_it_to_recover() {
    let scratch = Scratch::new("stop");
    let table = Table::new(&[("a", 1.0)]);
    let session = journalled(&table, &scratch);
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("a", 5.0)]).unwrap();
    session.cancel().stop();
    assert_eq!(session.write(&[change("a", 6.0)]).unwrap_err().kind, Kind::Stopped);
    assert!(session.abort().complete());
    assert_eq!(table.get("a"), 1.0);
    assert!(Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap().runs.is_empty());
}

#[test]
fn after_a_kill_recover_puts_back_what_it_may() {
    let scratch = Scratch::new("kill");
    let table = Table::new(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]);
    {
        let killed = journalled(&table, &scratch);
        killed.begin(info("killed"), &[]).unwrap();
        killed.write(&[change("a", 5.0), change("b", 6.0), change("c", 7.0)]).unwrap();
        assert!(Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap().runs.is_empty(), "its owner lives");
        // dropped without an end, as a killed process leaves it
    }
    table.move_to("b", 9.0);
    table.move_to("c", 3.0);
    let session = journalled(&table, &scratch);
    let mut recovery = Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap();
    let run = recovery.runs.pop().unwrap();
    let verdicts: Vec<&str> = run.inspect(&session).unwrap().iter().map(|o| o.verdict).collect();
    assert_eq!(verdicts, ["put back", "left: somebody else moved it", "already back"]);
    assert_eq!(table.get("a"), 5.0, "looking writes nothing");
    let putback = run.put_back(&session).unwrap();
    assert_eq!((table.get("a"), table.get("b"), table.get("c")), (1.0, 9.0, 3.0));
    assert_eq!(putback.left.len(), 1);
    assert!(Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap().runs.is_empty());
}

#[test]
fn a_run_cut_between_journal_and_write_is_recovered() {
    let scratch = Scratch::new("cut");
    let table = Table::new(&[("a", 1.0)]);
    table.refuses.lock().unwrap().insert("a".into());
    {
        let killed = journalled(&table, &scratch);
        killed.begin(info("killed"), &[]).unwrap();
        killed.write(&[change("a", 5.0)]).unwrap_err();
    }
    let session = journalled(&table, &scratch);
    let run = Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap().runs.pop().unwrap();
    assert_eq!(run.inspect(&session).unwrap()[0].verdict, "already back");
}

#[test]
fn a_lost_channel_keeps_the_journal() {
    let scratch = Scratch::new("lost");
    let table = Table::new(&[("a", 1.0)]);
    let session = journalled(&table, &scratch);
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("a", 5.0)]).unwrap();
    table.absent.lock().unwrap().insert("a".into());
    let putback = session.abort();
    assert!(!putback.complete() && putback.to_string().contains("NOT put back"), "{putback}");
    table.absent.lock().unwrap().clear();
    let run = Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap().runs.pop().unwrap();
    assert!(run.put_back(&session).unwrap().complete());
    assert_eq!(table.get("a"), 1.0);
}

#[test]
fn a_restore_that_was_cut_short_is_not_taken_for_done() {
    let scratch = Scratch::new("cut-short");
    let table = Table::new(&[("a", 1.0)]);
    let session = journalled(&table, &scratch);
    session.begin(info("r"), &[]).unwrap();
    let savepoint = session.savepoint();
    session.write(&[change("a", 2.0)]).unwrap();
    *table.dies.lock().unwrap() = true;
    assert!(!session.restore_to(savepoint).complete());
    let putback = session.abort();
    assert!(putback.failed.len() == 1 && putback.journal.is_some(), "{putback}");

    *table.dies.lock().unwrap() = false;
    table.absent.lock().unwrap().clear();
    drop(session);
    let recovery = Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap();
    let session = open(&table, WriteMode::Write);
    for run in recovery.runs {
        assert!(run.put_back(&session).unwrap().complete());
    }
    assert_eq!(table.get("a"), 1.0);
}

#[test]
fn undo_and_redo_go_back_and_forth() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("a", 5.0), change("b", 6.0)]).unwrap();
    assert_eq!(session.commit().unwrap().changes.len(), 2);
    let line = |act: &dyn Fn() -> Putback| {
        session.begin(info("line"), &[]).unwrap();
        let putback = act();
        session.commit().unwrap();
        putback
    };
    assert!(line(&|| session.undo().unwrap()).complete());
    assert_eq!((table.get("a"), table.get("b")), (1.0, 2.0));
    line(&|| session.redo().unwrap());
    assert_eq!((table.get("a"), table.get("b")), (5.0, 6.0));
    table.move_to("a", 7.0);
    let putback = line(&|| session.undo().unwrap());
    assert_eq!((table.get("a"), table.get("b"), putback.left.len()), (7.0, 2.0, 1));
}

#[test]
fn a_rehearsal_reads_its_own_steps_and_writes_nothing() {
    let table = Table::new(&[("a", 1.0)]);
    let session = open(&table, WriteMode::Rehearse);
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("a", 5.0)]).unwrap();
    assert_eq!(session.setpoints(&[setpoint("a", None)]).unwrap(), [5.0]);
    assert_eq!(session.standing()[0].2, 5.0);
    session.abort();
    assert!(table.log.lock().unwrap().is_empty() && table.get("a") == 1.0);
}

#[test]
fn an_unknown_setpoint_is_not_a_number_to_start_from() {
    let table = Table::new(&[("a", f64::NAN)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[]).unwrap();
    let error = session.write(&[change("a", 5.0)]).unwrap_err();
    assert!(error.to_string().contains("not a finite number"), "{error}");
    assert!(table.log.lock().unwrap().is_empty());
}

#[test]
fn a_rate_makes_steps_that_recover_knows() {
    let scratch = Scratch::new("ramp");
    let table = Table::new(&[("a", 0.0)]);
    {
        let session = journalled(&table, &scratch);
        session.begin(info("1"), &[]).unwrap();
        session.write(&[Change { setpoint: setpoint("a", Some(10.0)), value: 5.0 }]).unwrap();
        let log = table.log.lock().unwrap();
        assert_eq!(log.len(), 5, "1 A each 100 ms");
        assert_eq!(log.last().unwrap().1, 5.0);
    }
    let session = journalled(&table, &scratch);
    let run = Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap().runs.pop().unwrap();
    assert!(run.put_back(&session).unwrap().complete());
    assert_eq!(table.get("a"), 0.0);
}

#[test]
fn a_setpoint_moved_during_the_run_ends_it() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[setpoint("a", None), setpoint("b", None)]).unwrap();
    session.write(&[change("a", 5.0)]).unwrap();
    table.move_to("b", 3.0);
    let error = session.write(&[change("a", 6.0), change("b", 6.0)]).unwrap_err();
    assert!(error.to_string().contains("HCOR[\"b\"].kick holds 3 A, but should hold 2 A"), "{error}");
    assert!(session.abort().complete());
    assert_eq!((table.get("a"), table.get("b")), (1.0, 3.0));
}

#[test]
fn several_interrupted_runs_are_put_back_newest_first() {
    let scratch = Scratch::new("several");
    let table = Table::new(&[("a", 0.0)]);
    for (run, start) in [("z", 1.0), ("m", 2.0), ("a", 3.0)] {
        let killed = journalled(&table, &scratch);
        killed.begin(RunInfo { start, ..info(run) }, &[]).unwrap();
        killed.write(&[change("a", start)]).unwrap();
    }
    let session = journalled(&table, &scratch);
    for run in Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap().runs {
        assert!(run.put_back(&session).unwrap().complete());
    }
    assert_eq!(table.get("a"), 0.0);
}

#[test]
fn a_run_is_not_kept_when_its_setpoints_were_moved_after_the_last_write() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("a", 5.0), change("b", 6.0)]).unwrap();
    table.move_to("a", 1.5);
    assert!(session.commit().unwrap_err().to_string().contains("HCOR[\"a\"].kick holds 1.5 A"));
    assert_eq!(session.abort().left.len(), 1);
    assert_eq!((table.get("a"), table.get("b")), (1.5, 2.0));
}

#[test]
fn a_mark_is_returned_to_over_many_runs_and_that_can_be_undone() {
    let table = Table::new(&[("a", 0.1 + 0.2), ("b", 2.0), ("c", 3.0)]);
    let session = open(&table, WriteMode::Write);
    let line = |changes: &[Change]| {
        session.begin(info("line"), &[]).unwrap();
        session.write(changes).unwrap();
        session.commit().unwrap();
    };
    line(&[change("b", 5.0)]);
    session.set_mark("here");
    line(&[change("a", 5.0), change("b", 6.0)]);
    // a run that is put back counts as nothing
    session.begin(info("failed"), &[]).unwrap();
    session.write(&[change("c", 9.0)]).unwrap();
    session.abort();
    line(&[change("a", 7.0), change("c", 8.0)]);
    assert_eq!(session.since("here").unwrap().len(), 3);
    table.move_to("c", 1.0);
    session.begin(info("revert"), &[]).unwrap();
    let putback = session.revert("here").unwrap();
    session.commit().unwrap();
    assert_eq!((putback.restored, putback.left.len()), (2, 1));
    assert_eq!([table.get("a"), table.get("b"), table.get("c")], [0.1 + 0.2, 5.0, 1.0]);
    session.begin(info("undo"), &[]).unwrap();
    assert!(session.undo().unwrap().complete());
    session.commit().unwrap();
    assert_eq!([table.get("a"), table.get("b"), table.get("c")], [7.0, 6.0, 1.0]);
    assert!(session.since("hero").unwrap_err().hints[0].contains("here"));
}

#[test]
fn a_mark_of_a_run_is_returned_to_within_it() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("a", 5.0)]).unwrap();
    session.set_mark("here");
    session.write(&[change("a", 6.0), change("b", 6.0)]).unwrap();
    assert!(session.revert("here").unwrap().complete());
    assert_eq!((table.get("a"), table.get("b")), (5.0, 2.0));
    session.abort();
    assert_eq!(table.get("a"), 1.0);
}

#[test]
fn a_part_is_rehearsed_and_leaves_the_run_as_it_was() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("0"), &[]).unwrap();
    session.set_mark("here");
    session.write(&[change("a", 4.0)]).unwrap();
    session.commit().unwrap();
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("b", 5.0)]).unwrap();
    let written = table.log.lock().unwrap().len();
    let (seen, would) = session.rehearse(|| {
        session.write(&[change("b", 6.0)]).unwrap();
        session.revert("here").unwrap();
        session.setpoints(&[setpoint("a", None), setpoint("b", None)]).unwrap()
    });
    assert_eq!(seen, [1.0, 2.0]);
    assert_eq!(would.len(), 2);
    let (_, would) = session.rehearse(|| session.undo().unwrap());
    assert_eq!((would.len(), session.history().len()), (1, 1));
    assert_eq!(table.log.lock().unwrap().len(), written, "a rehearsal wrote");
    assert_eq!((session.mode(), table.get("b")), (WriteMode::Write, 5.0));
    assert_eq!(session.standing().len(), 1);
    assert!(session.abort().complete());
    assert_eq!((table.get("a"), table.get("b")), (4.0, 2.0));
}

#[test]
fn a_panic_stop_writes_nothing_more_and_leaves_it_to_recover() {
    let scratch = Scratch::new("panic");
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    {
        let session = journalled(&table, &scratch);
        session.begin(info("1"), &[]).unwrap();
        session.write(&[change("a", 5.0), change("b", 6.0)]).unwrap();
        session.cancel().hold();
        assert_eq!(session.write(&[change("a", 7.0)]).unwrap_err().kind, Kind::Stopped);
        let putback = session.abort();
        assert!(putback.to_string().starts_with("panic stop: 2 setpoints stay as the run left them"), "{putback}");
        session.cancel().reset();
        session.begin(info("2"), &[]).unwrap();
        let error = session.write(&[change("a", 7.0)]).unwrap_err();
        assert_eq!(error.kind, Kind::Stopped);
        session.abort();
    }
    assert_eq!((table.get("a"), table.get("b")), (5.0, 6.0));
    let mut recovery = Recovery::scan(&JournalFolder(scratch.0.clone())).unwrap();
    let session = journalled(&table, &scratch);
    assert!(recovery.runs.pop().unwrap().put_back(&session).unwrap().complete());
    assert_eq!((table.get("a"), table.get("b")), (1.0, 2.0));
}

#[test]
fn an_undo_that_is_refused_can_be_tried_again() {
    let table = Table::new(&[("a", 1.0)]);
    let session = open(&table, WriteMode::Write);
    session.begin(info("1"), &[]).unwrap();
    session.write(&[change("a", 5.0)]).unwrap();
    session.commit().unwrap();
    session.begin(info("undo"), &[]).unwrap();
    session.narrow(HashSet::new());
    assert_eq!(session.undo().unwrap_err().kind, Kind::Rights);
    session.widen();
    assert!(session.undo().unwrap().complete());
    session.commit().unwrap();
    assert_eq!(table.get("a"), 1.0);
}

#[test]
fn a_panic_stop_while_putting_back_does_not_count_what_was_only_announced() {
    let scratch = Scratch::new("panic-back");
    let table = Table::new(&[("a", 1.0)]);
    let session = journalled(&table, &scratch);
    session.begin(info("1"), &[]).unwrap();
    let savepoint = session.savepoint();
    session.write(&[change("a", 5.0)]).unwrap();
    // the write that puts back is lost with the server, as one is that the stop cuts off
    *table.dies.lock().unwrap() = true;
    assert!(!session.restore_to(savepoint).complete());
    session.cancel().hold();
    let putback = session.abort();
    assert_eq!((putback.held, putback.journal.is_some()), (1, true), "{putback}");
}

fn work(title: &str, changes: &[&str], reads: &[&str]) -> Work {
    let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
    Work { title: title.into(), changes: names(changes), reads: names(reads) }
}

#[test]
fn sessions_beside_each_other_keep_out_of_each_others_families_and_share_their_past() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    let prompt = open(&table, WriteMode::Write);
    let task = prompt.beside(WriteMode::Write, Cancel::new());
    task.claim(work("task 1 (scan)", &["HCOR"], &["BPM"])).unwrap();

    prompt.begin(info("line"), &[]).unwrap();
    let error = prompt.write(&[change("a", 5.0)]).unwrap_err();
    assert_eq!(error.message, "task 1 (scan) works on HCOR; nothing was written");
    let meets = |changes: &[&str], reads: &[&str]| prompt.claim(work("`other`", changes, reads)).map_err(|e| e.message);
    assert_eq!(meets(&[], &["HCOR"]).unwrap_err(), "`other` cannot run beside task 1 (scan): both work on HCOR");
    assert_eq!(meets(&["BPM"], &[]).unwrap_err(), "`other` cannot run beside task 1 (scan): both work on BPM");
    // both would see what the other does to the beam
    assert_eq!(meets(&["QF"], &["BPM"]).unwrap_err(), "`other` cannot run beside task 1 (scan): both work on BPM");
    meets(&[], &["BPM"]).unwrap();
    meets(&["QF"], &["TUNE"]).unwrap();
    prompt.set_mark("before");
    prompt.commit().unwrap();

    task.begin(info("scan"), &[]).unwrap();
    task.write(&[change("a", 5.0)]).unwrap();
    task.commit().unwrap();
    prompt.begin(info("line"), &[]).unwrap();
    assert_eq!(prompt.history().len(), 1);
    assert_eq!(prompt.since("before").unwrap().len(), 1);
    assert!(prompt.undo().unwrap().complete());
    assert_eq!(table.get("a"), 1.0);
    // what ended without an end lets go of its families, too
    task.claim(work("task 2 (scan)", &["HCOR"], &[])).unwrap();
    drop(task);
    prompt.write(&[change("a", 2.0)]).unwrap();
}

#[test]
fn a_session_beside_another_is_stopped_by_its_own_token_and_puts_back() {
    let table = Table::new(&[("a", 1.0), ("b", 2.0)]);
    let prompt = open(&table, WriteMode::Write);
    let cancel = Cancel::new();
    let task = prompt.beside(WriteMode::Write, cancel.clone());
    task.begin(info("scan"), &[]).unwrap();
    task.write(&[change("a", 5.0)]).unwrap();
    cancel.stop();
    assert_eq!(task.write(&[change("a", 6.0)]).unwrap_err().kind, Kind::Stopped);
    prompt.begin(info("line"), &[]).unwrap();
    prompt.write(&[change("b", 3.0)]).unwrap();
    assert!(task.abort().complete());
    prompt.commit().unwrap();
    assert_eq!((table.get("a"), table.get("b")), (1.0, 3.0));
    let looking = prompt.beside(WriteMode::ReadOnly, Cancel::new());
    assert_eq!(looking.write(&[change("a", 5.0)]).unwrap_err().kind, Kind::Rights);
}
