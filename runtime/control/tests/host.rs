//! A plant behind servers: what a write does is shown before it is answered.
#![allow(clippy::unwrap_used)]

use fodo_control::{
    Alarms, Cancel, Channel, ChannelInfo, Fault, Host, Outlet, Plant, Puts, Reading, Shape, Time, Validity, Value,
    Write,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// A setpoint, its sum as an orbit, a monitor that counts shots, and one that never works.
const NAMES: [&str; 4] = ["SP", "ORBIT", "SHOT", "DEAD"];

struct Counting {
    state: Mutex<State>,
    applied: AtomicU64,
    /// How long it takes to apply a batch [ms].
    slow: AtomicU64,
    period: Duration,
}

struct State {
    setpoint: (f64, Time),
    shots: u64,
    now: Time,
}

impl Counting {
    fn new(period: Duration) -> Arc<Counting> {
        let now = Time::wall();
        let state = Mutex::new(State { setpoint: (0.0, now), shots: 0, now });
        Arc::new(Counting { state, applied: AtomicU64::new(0), slow: AtomicU64::new(0), period })
    }
}

impl Plant for Counting {
    fn channels(&self) -> Vec<ChannelInfo> {
        let info = |name: &&str| ChannelInfo {
            channel: (*name).into(),
            shape: Shape::Scalar,
            description: String::new(),
            unit: String::new(),
            precision: 3,
            limits: None,
            writable: *name == "SP",
            alarms: Alarms::default(),
        };
        NAMES.iter().map(info).collect()
    }

    fn apply(&self, batch: &[Write]) -> Result<(), Vec<Fault>> {
        std::thread::sleep(Duration::from_millis(self.slow.load(Ordering::Relaxed)));
        let values: Vec<f64> = batch.iter().filter_map(|write| write.value.number()).collect();
        if let Some(write) = batch.iter().find(|write| write.value.number() == Some(13.0)) {
            return Err(vec![Fault::refused(&write.channel, "not thirteen")]);
        }
        self.applied.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock().unwrap();
        state.setpoint = (values[values.len() - 1], state.now);
        Ok(())
    }

    fn sample(&self, channels: &[Channel]) -> Vec<Result<Reading, Fault>> {
        let state = self.state.lock().unwrap();
        let one = |channel: &Channel| match channel.as_ref() {
            "SP" => Ok(Reading::good(Value::Number(state.setpoint.0), state.setpoint.1)),
            "ORBIT" => Ok(Reading::good(Value::Number(2.0 * state.setpoint.0), state.now)),
            "SHOT" => Ok(Reading::good(Value::Number(state.shots as f64), state.now)),
            _ => Ok(Reading::invalid(Value::Number(f64::NAN), state.now, "dead")),
        };
        channels.iter().map(one).collect()
    }

    fn now(&self) -> Time {
        self.state.lock().unwrap().now
    }

    fn advance(&self, time: Time) {
        self.state.lock().unwrap().now = time;
    }

    fn trigger(&self) {
        self.state.lock().unwrap().shots += 1;
    }

    fn period(&self) -> Duration {
        self.period
    }
}

/// What clients would see, in order.
#[derive(Clone, Debug)]
enum Seen {
    Posted(&'static str, Reading),
    Flushed,
    Answered(Result<(), String>),
    Shown,
}

struct Recorder(Sender<Seen>);

impl Outlet for Recorder {
    fn post(&mut self, place: usize, reading: &Reading) {
        self.0.send(Seen::Posted(NAMES[place], reading.clone())).unwrap();
    }

    fn flush(&mut self) {
        self.0.send(Seen::Flushed).unwrap();
    }

    fn is_running(&self) -> bool {
        true
    }
}

struct Bench {
    _host: Host,
    puts: Puts,
    sender: Sender<Seen>,
    seen: std::sync::mpsc::Receiver<Seen>,
}

impl Bench {
    fn new(plant: &Arc<Counting>) -> Bench {
        let (sender, seen) = channel();
        let mut puts = None;
        let host = Host::start(plant.clone(), Cancel::new(), |stage| {
            puts = Some(stage.puts.clone());
            Ok(vec![Box::new(Recorder(sender.clone()))])
        });
        Bench { _host: host.unwrap(), puts: puts.unwrap(), sender, seen }
    }

    fn put(&self, value: f64) {
        let sender = self.sender.clone();
        self.puts.ask(&"SP".into(), Some(value.into()), move |answer| sender.send(Seen::Answered(answer)).unwrap());
    }

    fn put_in_series(&self, value: f64) {
        let sender = self.sender.clone();
        let answered = move |answer| sender.send(Seen::Answered(answer)).unwrap();
        self.puts.ask_in_series(&"SP".into(), Some(value.into()), answered);
    }

    /// What comes until so many puts are answered.
    fn until_answered(&self, count: usize) -> Vec<Seen> {
        let mut all = Vec::new();
        while all.iter().filter(|seen| matches!(seen, Seen::Answered(..))).count() < count {
            all.push(self.seen.recv_timeout(5 * SECOND).unwrap());
        }
        all
    }
}

#[test]
fn what_a_write_did_is_shown_before_it_is_answered() {
    let plant = Counting::new(100 * SECOND);
    let bench = Bench::new(&plant);
    for value in [1.5, -2.0, -2.0] {
        let start = Time::wall();
        bench.put(value);
        let seen = bench.until_answered(1);
        let [Seen::Posted("SP", setpoint), Seen::Flushed, rest @ .., Seen::Flushed, Seen::Answered(Ok(()))] = &seen[..]
        else {
            panic!("{seen:?}")
        };
        assert_eq!((&setpoint.value, setpoint.time >= start), (&Value::Number(value), true));
        let mut changed = Vec::new();
        for one in rest {
            let Seen::Posted(name, reading) = one else { panic!("{seen:?}") };
            assert_eq!(reading.time.0, setpoint.time.0 + 1000, "{name}");
            changed.push((*name, reading.value.number().unwrap()));
        }
        let shots = plant.state.lock().unwrap().shots as f64;
        // the last write changed nothing but the monitors' shot; what is dead stays dead
        let wanted = if shots < 3.0 { vec![("ORBIT", 2.0 * value), ("SHOT", shots)] } else { vec![("SHOT", shots)] };
        assert_eq!(changed, wanted);
    }
}

#[test]
fn writes_that_wait_are_one_batch_and_one_shot() {
    let plant = Counting::new(100 * SECOND);
    let bench = Bench::new(&plant);
    plant.slow.store(100, Ordering::Relaxed);
    bench.put(0.5);
    std::thread::sleep(Duration::from_millis(50));
    (1..=20).for_each(|value| bench.put(f64::from(value) / 64.0));
    let seen = bench.until_answered(21);
    assert_eq!(plant.applied.load(Ordering::Relaxed), 2, "{seen:?}");
    assert_eq!(plant.state.lock().unwrap().shots, 2);
    let orbits = seen.iter().filter(|seen| matches!(seen, Seen::Posted("ORBIT", _))).count();
    assert_eq!(orbits, 2, "{seen:?}");
}

#[test]
fn what_is_refused_shows_nothing_and_the_rest_does() {
    let plant = Counting::new(100 * SECOND);
    let bench = Bench::new(&plant);
    bench.put(13.0);
    let seen = bench.until_answered(1);
    assert!(matches!(&seen[..], [Seen::Answered(Err(why))] if why == "not thirteen"), "{seen:?}");
    plant.slow.store(100, Ordering::Relaxed);
    bench.put(1.0);
    std::thread::sleep(Duration::from_millis(50));
    [13.0, 3.0].into_iter().for_each(|value| bench.put(value));
    // all writes of this plant go to one channel, which is refused as a whole
    let seen = bench.until_answered(3);
    let orbit = seen.iter().rev().find_map(|seen| match seen {
        Seen::Posted("ORBIT", reading) => reading.value.number(),
        _ => None,
    });
    assert_eq!(orbit, Some(2.0), "{seen:?}");
}

#[test]
fn shots_go_on_in_their_time_and_say_when_what_is_invalid_was_looked_at() {
    let plant = Counting::new(Duration::from_millis(50));
    let bench = Bench::new(&plant);
    let end = Instant::now() + SECOND;
    let (mut dead, mut shots) = (Vec::new(), Vec::new());
    let mut value = 0.0;
    while Instant::now() < end {
        value += 1.0;
        bench.put(value + 0.5);
        for seen in bench.until_answered(1) {
            match seen {
                Seen::Posted("DEAD", reading) => dead.push(reading),
                Seen::Posted("SHOT", reading) => shots.push(reading.value.number().unwrap()),
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_millis(7));
    }
    // one each period, however many writes there were
    assert!((15..=20).contains(&dead.len()) && value > 60.0, "{} of {value} writes", dead.len());
    assert!(dead.iter().all(|reading| matches!(reading.validity, Validity::Invalid(_))));
    assert!(dead.is_sorted_by(|a, b| a.time < b.time));
    assert!(shots.len() > dead.len() && shots.is_sorted_by(|a, b| a < b), "{shots:?}");
}

fn is_orbit(seen: &Seen) -> bool {
    matches!(seen, Seen::Posted("ORBIT", _))
}

#[test]
fn a_series_of_writes_is_shown_once_and_before_anybody_reads() {
    let plant = Counting::new(100 * SECOND);
    let bench = Bench::new(&plant);
    assert!(bench.puts.are_shown());
    let mut seen = Vec::new();
    // each write waits for the answer to the one before, as those of one client over Channel Access
    for value in 1..=50 {
        bench.put_in_series(f64::from(value) + 0.5);
        let now = bench.until_answered(1);
        assert!(now.iter().any(|seen| matches!(seen, Seen::Posted("SP", _))), "{now:?}");
        seen.extend(now);
    }
    let sender = bench.sender.clone();
    bench.puts.when_shown(move || sender.send(Seen::Shown).unwrap());
    while !matches!(seen.last(), Some(Seen::Shown)) {
        seen.push(bench.seen.recv_timeout(5 * SECOND).unwrap());
    }
    let last = seen.iter().rev().find(|seen| is_orbit(seen));
    assert!(matches!(last, Some(Seen::Posted(_, reading)) if reading.value == Value::Number(101.0)), "{seen:?}");
    assert!(bench.puts.are_shown());
    let shots = plant.state.lock().unwrap().shots;
    assert!(shots < 25, "{shots} shots for 50 writes");
}

#[test]
fn a_series_is_shown_when_nobody_asks_too() {
    let plant = Counting::new(100 * SECOND);
    let bench = Bench::new(&plant);
    bench.put_in_series(1.0);
    let start = Instant::now();
    while !is_orbit(&bench.seen.recv_timeout(5 * SECOND).unwrap()) {}
    assert!(start.elapsed() < SECOND);
    // what is refused is not waited for
    bench.put_in_series(13.0);
    let (shown, is_shown) = channel();
    bench.puts.when_shown(move || shown.send(()).unwrap());
    is_shown.recv_timeout(5 * SECOND).unwrap();
    assert!(bench.puts.are_shown());
    assert_eq!(plant.state.lock().unwrap().shots, 1);
}
