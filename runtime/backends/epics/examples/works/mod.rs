//! Works for `benches/beside.py`: one word a line on standard input, one JSON object a line as the answer.
//!
//! `connect`, `values`, `read`, `latest`, `write`, `session`, `monitor SECONDS`; `open`, then `count SECONDS`; the channels
//! are the arguments, or stand in the file after `@`, one a line.
//! All go through the `Backend` trait, writes through a transaction. Times in seconds.

use cpu_time::ProcessTime;
use fodo_control::{
    Backend, Cancel, Change, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, RunInfo, Session,
    SessionOptions, Setpoint, Stopped, Time, Write, WriteMode,
};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(10);
const NOW: Fresh = Fresh::After(Time(i64::MAX), Duration::ZERO);

/// Time on the wall, and of the processor.
#[derive(Clone, Copy)]
struct Clock(Instant, ProcessTime);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now(), ProcessTime::now())
    }

    fn read(self) -> (f64, f64) {
        (self.0.elapsed().as_secs_f64(), self.1.elapsed().as_secs_f64())
    }
}

/// The backend, with a clock on its writes.
struct Timed<B> {
    access: B,
    write: Mutex<(f64, f64)>,
}

impl<B: Backend> Backend for Timed<B> {
    fn name(&self) -> String {
        self.access.name()
    }
    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        self.access.connect(channels, wait, cancel)
    }
    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        self.access.read(channels, fresh, wait, cancel)
    }
    fn write(
        &self,
        permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        let clock = Clock::start();
        let answers = self.access.write(permit, writes, wait, cancel);
        *self.write.lock().unwrap() = clock.read();
        answers
    }
    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        self.access.monitor(channels, keep)
    }
    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        self.access.metadata(channels, wait, cancel)
    }
    fn now(&self) -> Time {
        self.access.now()
    }
    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        self.access.wait(span, cancel)
    }
}

fn answer((wall, cpu): (f64, f64), check: f64, more: &str) {
    println!("{{\"wall\": {wall:e}, \"cpu\": {cpu:e}, \"check\": {check:?}{more}}}");
}

fn sum(answers: &[Result<Reading, Fault>]) -> f64 {
    answers.iter().map(|answer| answer.as_ref().unwrap().value.number().unwrap()).sum()
}

fn change(channel: &Channel, value: f64) -> Change {
    let setpoint = Setpoint {
        name: channel.clone(),
        family: "B".into(),
        channel: channel.clone(),
        readback: None,
        unit: "A".into(),
        limits: (-1e9, 1e9),
        tolerance: 1e-9,
        arrival: WAIT,
        rate: None,
        physics: None,
    };
    Change { setpoint: Arc::new(setpoint), value }
}

/// Memory in use [bytes].
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Follows counters, which go up by one each time; `check` is how many updates were lost.
fn monitor(timed: &dyn Backend, channels: &[Channel], seconds: f64) {
    let monitor = timed.monitor(channels, Keep::Every(1000));
    let mut last: Vec<Option<f64>> = vec![None; channels.len()];
    // what comes until all are connected does not count
    let begin = Instant::now();
    while last.iter().any(Option::is_none) && begin.elapsed() < WAIT {
        for update in monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap() {
            last[update.place] = update.reading.ok().and_then(|reading| reading.value.number());
        }
    }
    let (mut count, mut lost, mut faults, before) = (0_u64, 0.0, 0, memory());
    let clock = Clock::start();
    while clock.0.elapsed().as_secs_f64() < seconds {
        for update in monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap() {
            let Some(number) = update.reading.ok().and_then(|reading| reading.value.number()) else {
                faults += 1;
                continue;
            };
            let previous = last[update.place].replace(number).unwrap_or(number - 1.0);
            lost += number - previous - 1.0;
            count += 1;
        }
    }
    let (wall, cpu) = clock.read();
    let grown = memory() as f64 - before as f64;
    let more = format!(", \"count\": {count}, \"faults\": {faults}, \"grown\": {grown}, \"memory\": {}", memory());
    answer((wall, cpu), lost, &more);
}

/// Follows the channels; `check` is how many never had a value.
fn open(timed: &dyn Backend, channels: &[Channel], clock: Clock) -> Monitor {
    let monitor = timed.monitor(channels, Keep::Every(1000));
    let mut known = vec![false; channels.len()];
    while known.iter().any(|known| !known) && clock.0.elapsed() < 3 * WAIT {
        for update in monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap() {
            known[update.place] |= update.reading.is_ok();
        }
    }
    answer(clock.read(), known.iter().filter(|known| !**known).count() as f64, "");
    monitor
}

/// Counts the updates of shots, which have one time stamp each; `check` is how many channels missed one of those that came
/// between the first and the last.
fn count(monitor: &Monitor, channels: usize, seconds: f64) {
    let (mut shots, mut faults): (BTreeMap<Time, usize>, usize) = Default::default();
    monitor.next(Duration::ZERO, &Cancel::new()).unwrap();
    let clock = Clock::start();
    while clock.0.elapsed().as_secs_f64() < seconds {
        for update in monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap() {
            match update.reading {
                Ok(reading) => *shots.entry(reading.time).or_default() += 1,
                Err(_) => faults += 1,
            }
        }
    }
    let (wall, cpu) = clock.read();
    let count: usize = shots.values().sum();
    let inner = shots.values().skip(1).take(shots.len().saturating_sub(2));
    let lost: f64 = inner.map(|count| channels as f64 - *count as f64).sum();
    let more = format!(", \"count\": {count}, \"faults\": {faults}, \"shots\": {}", shots.len());
    answer((wall, cpu), lost, &more);
}

/// The channels that the program was given.
fn asked() -> Vec<Channel> {
    let file = |name: &str| std::fs::read_to_string(name).unwrap().lines().map(Channel::from).collect();
    std::env::args()
        .skip(1)
        .flat_map(|name| name.strip_prefix('@').map_or_else(|| vec![Channel::from(name.as_str())], file))
        .collect()
}

/// Does works on the channels that the program was given until its standard input ends.
pub fn work<B: Backend + 'static>(access: impl FnOnce() -> B) {
    let channels = asked();
    let mut followed = None;
    let clock = Clock::start();
    let timed = Arc::new(Timed { access: access(), write: Mutex::default() });
    let session = Session::new(timed.clone(), WriteMode::Write, Cancel::new(), SessionOptions::default());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let argument: f64 = words.next().map_or(0.0, |word| word.parse().unwrap());
        let clock = if word == "connect" || word == "values" { clock } else { Clock::start() };
        match word {
            "connect" => {
                let absent = timed.connect(&channels, WAIT, &Cancel::new()).unwrap();
                answer(clock.read(), absent.len() as f64, "");
            }
            // the first values of a new process need its channels connected
            "read" | "latest" | "values" => {
                let fresh = if word == "read" { NOW } else { Fresh::Latest };
                let answers = timed.read(&channels, fresh, WAIT, &Cancel::new()).unwrap();
                answer(clock.read(), sum(&answers), "");
            }
            // `write` is the backend's part of it, `session` the whole: checked, sent, seen to have arrived
            "write" | "session" => {
                let some = &channels[..channels.len() / 2];
                let changes: Vec<Change> = some.iter().map(|channel| change(channel, argument)).collect();
                session.begin(RunInfo::default(), &[]).unwrap();
                let clock = Clock::start();
                session.write(&changes).unwrap();
                let whole = clock.read();
                session.commit().unwrap();
                let sent = *timed.write.lock().unwrap();
                answer(if word == "write" { sent } else { whole }, argument, "");
            }
            "monitor" => monitor(&*timed, &channels, argument),
            "open" => followed = Some(open(&*timed, &channels, clock)),
            "count" => count(followed.as_ref().unwrap(), channels.len(), argument),
            other => panic!("no work `{other}`"),
        }
    }
}
