//! Which readings are of one shot, on a control system made of a table, in virtual time.

#![allow(clippy::unwrap_used)] // a test says what failed by where

use fodo_control::*;
use fodo_measure::one_shot;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(100);
const MILLISECOND: i64 = 1_000_000;

/// What a source posts: every `every` ms, first at `phase` ms, seen `late` ms later; whether it counts shots.
#[derive(Clone, Copy)]
struct Source {
    every: i64,
    phase: i64,
    late: i64,
    /// The shot counted at time 0, if it counts.
    count: Option<u64>,
}

const PLAIN: Source = Source { every: 100, phase: 0, late: 1, count: None };

impl Source {
    /// The sample taken last before `time` [ns].
    fn sample(&self, time: i64) -> Reading {
        let turn = (time - self.phase * MILLISECOND).div_euclid(self.every * MILLISECOND);
        let taken = (turn * self.every + self.phase) * MILLISECOND;
        let shot = self.count.map(|count| count.wrapping_add(turn as u64));
        Reading { shot, ..Reading::good(Value::Number(turn as f64), Time(taken)) }
    }
}

struct Table {
    sources: HashMap<Channel, Source>,
    now: Mutex<i64>,
    asked: Mutex<usize>,
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
        fresh: Fresh,
        _: Duration,
        _: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        *self.asked.lock().unwrap() += 1;
        let Fresh::After(after, silent) = fresh else { panic!("the newest known is of no shot") };
        let mut now = self.now.lock().unwrap();
        let end = *now + silent.as_nanos() as i64;
        let mut latest = *now;
        // all are waited for at the same time
        let one = |channel: &Channel| {
            let source = self.sources[channel];
            let arrives = (*now..=end).step_by(MILLISECOND as usize);
            let seen = arrives.map(|at| (at, source.sample(at - source.late * MILLISECOND)));
            let (at, reading) = seen.into_iter().find(|(_, r)| r.time > after).unwrap_or((end, source.sample(end)));
            latest = latest.max(at);
            Ok(reading)
        };
        let readings = channels.iter().map(one).collect();
        *now = latest;
        Ok(readings)
    }

    fn write(&self, _: &Permit, _: &[Write], _: Duration, _: &Cancel) -> Result<Vec<Result<(), Fault>>, Stopped> {
        panic!("nothing is written here")
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        Monitor::new(channels, keep).0
    }

    fn metadata(&self, channels: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        Ok(channels.iter().map(|_| Ok(Metadata::default())).collect())
    }

    fn now(&self) -> Time {
        Time(*self.now.lock().unwrap())
    }

    fn wait(&self, span: Duration, _: &Cancel) -> Result<(), Stopped> {
        *self.now.lock().unwrap() += span.as_nanos() as i64;
        Ok(())
    }
}

/// One shot of these sources, asked for at 1000.020 s; also how many questions it took.
fn shot(sources: &[Source]) -> (fodo_report::Result<Vec<Reading>>, usize) {
    let names: Vec<Channel> = (0..sources.len()).map(|n| format!("BPM:{n}").into()).collect();
    let now = 1_000_020 * MILLISECOND;
    let known = names.iter().cloned().zip(sources.iter().copied()).collect();
    let table = Arc::new(Table { sources: known, now: Mutex::new(now), asked: Mutex::new(0) });
    let session = Session::new(table.clone(), WriteMode::ReadOnly, Cancel::new(), SessionOptions::default());
    let readings = one_shot(&session, &names, Time(now), PERIOD, None);
    let asked = *table.asked.lock().unwrap();
    (readings, asked)
}

/// The times of one shot [ms, after 1000 s], and how many questions it took.
fn times(sources: &[Source]) -> (Vec<i64>, usize) {
    let (readings, asked) = shot(sources);
    (readings.unwrap().iter().map(|reading| reading.time.0 / MILLISECOND - 1_000_000).collect(), asked)
}

#[test]
fn sources_in_step_are_read_once() {
    assert_eq!(times(&[PLAIN; 5]), (vec![100; 5], 1));
    assert_eq!(times(&[PLAIN, Source { phase: 45, ..PLAIN }]), (vec![100, 45], 1));
}

#[test]
fn sources_out_of_step_are_brought_together_whatever_their_phase() {
    let (found, asked) = times(&[PLAIN, Source { phase: 25, ..PLAIN }]);
    assert_eq!((found, asked), (vec![100, 125], 2));
    for phase in 0..100 {
        let (found, asked) = times(&[PLAIN, Source { phase, ..PLAIN }, Source { phase: phase / 2, ..PLAIN }]);
        // all within half a period of one of them
        let near = |moment: &i64| found.iter().all(|time| (time - moment).abs() <= 60);
        assert!(found.iter().any(near) && asked <= 2, "phase {phase}: {found:?} in {asked} questions");
    }
}

#[test]
fn one_that_comes_late_is_waited_for() {
    let (found, asked) = times(&[PLAIN, Source { late: 180, ..PLAIN }]);
    assert_eq!(found[0], found[1], "{asked}");
}

#[test]
fn what_posts_nothing_belongs_to_every_shot() {
    let slow = Source { every: 100_000, ..PLAIN };
    assert_eq!(times(&[PLAIN, slow, PLAIN]), (vec![100, 0, 100], 1));
    // one that happens to post between, and then no more
    let seldom = Source { every: 100_000, phase: 25, ..PLAIN };
    let late = Source { phase: 90, ..PLAIN };
    let (found, asked) = times(&[late, seldom]);
    assert_eq!((found, asked), (vec![90, 25], 2));
}

#[test]
fn counted_shots_have_to_be_equal() {
    let counts = Source { count: Some(7), ..PLAIN };
    let (readings, asked) = shot(&[counts, PLAIN, counts]);
    let shots: Vec<Option<u64>> = readings.unwrap().iter().map(|reading| reading.shot).collect();
    assert_eq!((shots, asked), (vec![Some(10_008), None, Some(10_008)], 1));
    // seen late, but of the same count
    let late = Source { late: 60, ..counts };
    let (readings, _) = shot(&[counts, late]);
    let readings = readings.unwrap();
    assert_eq!(readings[0].shot, readings[1].shot);
}

#[test]
fn one_that_counts_otherwise_is_named() {
    let counts = Source { count: Some(7), ..PLAIN };
    let (readings, asked) = shot(&[counts, Source { count: Some(0), ..PLAIN }, counts]);
    let error = readings.unwrap_err();
    assert_eq!(error.message, "1 of 3 readings are of another shot than the rest", "{error:?}");
    assert!(asked <= 6, "{asked}");
    assert_eq!(error.details.len(), 1);
    assert!(error.details[0].starts_with("BPM:1 is at shot 100"), "{error:?}");
}
