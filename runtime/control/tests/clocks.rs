//! Fresh samples from servers whose clocks are wrong, in virtual time.

#![allow(clippy::unwrap_used)] // a test says what failed by where

use fodo_control::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MILLISECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600_000 * MILLISECOND;

/// A corrector, and a monitor that sees it every 100 ms; each has a server with a clock of its own.
struct Machine {
    state: Mutex<State>,
    corrector_clock: i64,
    monitor_clock: i64,
    /// How long a sample travels.
    latency: i64,
    /// Whether the corrector says when it was set.
    stamps: bool,
}

struct State {
    now: i64,
    /// When the corrector was set to what, oldest first.
    set: Vec<(i64, f64)>,
}

impl Machine {
    /// The sample taken last before `time`.
    fn sample(&self, state: &State, time: i64) -> Reading {
        let taken = time.div_euclid(100 * MILLISECOND) * 100 * MILLISECOND;
        let value = state.set.iter().rev().find(|(since, _)| *since <= taken).unwrap().1;
        Reading::good(Value::Number(value), Time(taken + self.monitor_clock))
    }

    fn corrector(&self, state: &State) -> Reading {
        let (time, value) = *state.set.last().unwrap();
        let time = if self.stamps { time } else { 0 };
        Reading::good(Value::Number(value), Time(time + self.corrector_clock))
    }
}

impl Backend for Machine {
    fn name(&self) -> String {
        "a machine of two clocks".into()
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
        let mut state = self.state.lock().unwrap();
        let mut one = |channel: &Channel| {
            if &**channel == "corrector" {
                return Ok(self.corrector(&state));
            }
            let Fresh::After(after, silent) = fresh else { return Ok(self.sample(&state, state.now - self.latency)) };
            let end = state.now + silent.as_nanos() as i64;
            while state.now < end {
                let arrived = self.sample(&state, state.now - self.latency);
                if arrived.time > after {
                    return Ok(arrived);
                }
                state.now += MILLISECOND;
            }
            Ok(self.sample(&state, state.now))
        };
        Ok(channels.iter().map(&mut one).collect())
    }

    fn write(&self, _: &Permit, writes: &[Write], _: Duration, _: &Cancel) -> Result<Vec<Result<(), Fault>>, Stopped> {
        let mut state = self.state.lock().unwrap();
        state.now += 2 * MILLISECOND;
        let now = state.now;
        state.set.extend(writes.iter().map(|write| (now, write.value.number().unwrap())));
        state.now += 2 * MILLISECOND;
        Ok(writes.iter().map(|_| Ok(())).collect())
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        Monitor::new(channels, keep).0
    }

    fn metadata(&self, channels: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        Ok(channels.iter().map(|_| Ok(Metadata::default())).collect())
    }

    fn now(&self) -> Time {
        Time(self.state.lock().unwrap().now)
    }

    fn wait(&self, span: Duration, _: &Cancel) -> Result<(), Stopped> {
        self.state.lock().unwrap().now += span.as_nanos() as i64;
        Ok(())
    }
}

fn corrector() -> Arc<Setpoint> {
    Arc::new(Setpoint {
        name: "corrector".into(),
        family: "HCOR".into(),
        channel: "corrector".into(),
        readback: None,
        unit: "A".into(),
        limits: (-1000.0, 1000.0),
        tolerance: 1e-9,
        arrival: Duration::from_secs(1),
        rate: None,
        physics: None,
    })
}

/// Channels whose clock the operator was told of, with what was said.
#[derive(Default)]
struct Told(Mutex<Vec<(Channel, f64)>>);

impl Observer for Told {
    fn observe(&self, event: &Event) -> fodo_report::Result<()> {
        if let Event::Clock { channels, ahead, text, .. } = event {
            let way = if *ahead > 0.0 { "ahead of" } else { "behind" };
            assert!(text.contains(&*channels[0]) && text.contains(way), "{text}");
            self.0.lock().unwrap().extend(channels.iter().map(|channel| (channel.clone(), *ahead)));
        }
        Ok(())
    }
}

/// Writes and reads at all phases of the monitor's period; the longest time a fresh sample took, or what was wrong.
fn longest(machine: Machine) -> Result<i64, String> {
    let machine = Arc::new(machine);
    let session = Session::new(machine.clone(), WriteMode::Write, Cancel::new(), SessionOptions::default());
    let told = Arc::new(Told::default());
    session.observe_with(Some(told.clone()));
    session.begin(RunInfo::default(), &[]).unwrap();
    let (monitor, mut longest) = ([Channel::from("monitor")], 0);
    for turn in 1..60 {
        let value = f64::from(turn);
        machine.wait(Duration::from_millis(137), &Cancel::new()).unwrap();
        session.write(&[Change { setpoint: corrector(), value }]).unwrap();
        let mut after = session.arrived();
        let start = machine.now();
        for shot in 0..3 {
            let silent = Duration::from_millis(250);
            let reading = session.read(&monitor, Fresh::After(after, silent)).unwrap().remove(0);
            if reading.value != Value::Number(value) {
                return Err(format!("shot {shot} after {value} was set saw {}", reading.value));
            }
            after = after.max(reading.time);
        }
        longest = longest.max((machine.now().0 - start.0) / 3);
    }
    let clocks = [("corrector", machine.corrector_clock), ("monitor", machine.monitor_clock)];
    let off: Vec<&str> = clocks.iter().filter(|(_, clock)| *clock != 0).map(|(name, _)| *name).collect();
    let told = told.0.lock().unwrap();
    let mut names: Vec<&str> = told.iter().map(|(channel, _)| &**channel).collect();
    names.sort_unstable();
    assert_eq!(names, off, "told once of each clock that is off");
    for (channel, ahead) in told.iter() {
        let clock = clocks.iter().find(|(name, _)| *name == &**channel).unwrap().1;
        assert!((ahead - clock as f64 * 1e-9).abs() < 3.0, "{channel}: {ahead} s of {clock} ns");
    }
    Ok(longest / MILLISECOND)
}

fn machine(corrector_clock: i64, monitor_clock: i64) -> Machine {
    let now = 10 * HOUR;
    let state = Mutex::new(State { now, set: vec![(0, 0.0)] });
    Machine { state, corrector_clock, monitor_clock, latency: 30 * MILLISECOND, stamps: true }
}

#[test]
fn clocks_an_hour_off_neither_hang_nor_pass_stale_samples() {
    let clocks = [-HOUR, 0, HOUR];
    for (corrector_clock, monitor_clock) in clocks.iter().flat_map(|a| clocks.iter().map(|b| (*a, *b))) {
        let took = longest(machine(corrector_clock, monitor_clock))
            .unwrap_or_else(|why| panic!("clocks {corrector_clock} and {monitor_clock} ns off: {why}"));
        eprintln!("clocks {} h and {} h off: {took} ms for a shot", corrector_clock / HOUR, monitor_clock / HOUR);
        let allowed = if (corrector_clock, monitor_clock) == (0, 0) { 140 } else { 600 };
        assert!(took <= allowed, "{took} ms for a shot with clocks {corrector_clock} and {monitor_clock} ns off");
    }
}

#[test]
fn a_server_that_stamps_nothing_is_not_taken_at_its_word() {
    let took = longest(Machine { stamps: false, ..machine(0, 0) }).unwrap();
    assert!(took <= 300, "{took}");
}
