//! A plant with setpoints, their readbacks and an orbit that is the sum of the setpoints.
#![allow(dead_code)]

use fodo_control::{Alarms, Channel, ChannelInfo, Fault, Plant, Reading, Shape, Time, Value, Write};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

pub struct FakePlant {
    infos: Vec<ChannelInfo>,
    places: HashMap<Channel, usize>,
    state: Mutex<State>,
    monitors: usize,
    /// How often an orbit was computed.
    pub computations: AtomicUsize,
    /// Whether there is beam; without it the orbit is invalid.
    pub beam: AtomicBool,
    /// How far ahead the clock of the orbit is [s].
    pub ahead: AtomicI64,
    /// Whether every readback takes a new time at each shot.
    pub restless: AtomicBool,
    /// How long it takes to set something [ms].
    pub slow: AtomicU64,
}

struct State {
    setpoints: Vec<(f64, Time)>,
    orbit: Option<Vec<f64>>,
    now: Time,
}

fn info(name: String, shape: Shape, unit: &str, writable: bool) -> ChannelInfo {
    let limits = writable.then_some((-10.0, 10.0));
    ChannelInfo {
        channel: name.into(),
        shape,
        description: String::new(),
        unit: unit.into(),
        precision: 4,
        limits,
        writable,
        alarms: Alarms::default(),
    }
}

impl FakePlant {
    /// A plant with `count` setpoints `SP:n`, readbacks `RB:n`, and `ORBIT:X` with `monitors` entries.
    pub fn new(count: usize, monitors: usize) -> FakePlant {
        let mut infos: Vec<ChannelInfo> =
            (0..count).map(|n| info(format!("SP:{n}"), Shape::Scalar, "A", true)).collect();
        infos.extend((0..count).map(|n| info(format!("RB:{n}"), Shape::Scalar, "A", false)));
        infos.push(info("ORBIT:X".into(), Shape::Vector(monitors), "mm", false));
        infos.push(info("LOST".into(), Shape::Scalar, "1", false));
        infos.push(ChannelInfo { limits: None, ..info("SP:STUCK".into(), Shape::Scalar, "A", true) });
        let places = infos.iter().enumerate().map(|(n, info)| (info.channel.clone(), n)).collect();
        let state = State { setpoints: vec![(0.0, Time::wall()); count], orbit: None, now: Time::wall() };
        FakePlant {
            infos,
            places,
            state: Mutex::new(state),
            monitors,
            computations: AtomicUsize::new(0),
            beam: AtomicBool::new(true),
            ahead: AtomicI64::new(0),
            restless: AtomicBool::new(false),
            slow: AtomicU64::new(0),
        }
    }

    pub fn setpoint(&self, n: usize) -> f64 {
        self.state.lock().unwrap().setpoints[n].0
    }

    fn orbit(&self, state: &mut State) -> Result<Reading, Fault> {
        let now = Time(state.now.0 + self.ahead.load(Ordering::Relaxed) * 1_000_000_000);
        if !self.beam.load(Ordering::Relaxed) {
            return Ok(Reading::invalid(Value::Vector(vec![f64::NAN; self.monitors].into()), now, "no beam"));
        }
        let compute = || {
            self.computations.fetch_add(1, Ordering::Relaxed);
            vec![state.setpoints.iter().map(|(value, _)| value).sum(); self.monitors]
        };
        let orbit = state.orbit.get_or_insert_with(compute).clone();
        Ok(Reading::good(Value::Vector(orbit.into()), now))
    }

    fn one(&self, state: &mut State, channel: &Channel) -> Result<Reading, Fault> {
        let count = state.setpoints.len();
        let place = self.places.get(channel).ok_or_else(|| Fault::absent(channel, "unknown"))?;
        match *place {
            place if place < 2 * count => {
                let (value, time) = state.setpoints[place % count];
                let time = if self.restless.load(Ordering::Relaxed) { state.now } else { time };
                Ok(Reading::good(Value::Number(value), time))
            }
            place if place == 2 * count => self.orbit(state),
            place if place == 2 * count + 1 => Err(Fault::refused(channel, "the model cannot say")),
            _ => Ok(Reading::good(Value::Number(0.0), Time(1))),
        }
    }
}

impl Plant for FakePlant {
    fn channels(&self) -> Vec<ChannelInfo> {
        self.infos.clone()
    }

    fn apply(&self, batch: &[Write]) -> Result<(), Vec<Fault>> {
        std::thread::sleep(Duration::from_millis(self.slow.load(Ordering::Relaxed)));
        let mut state = self.state.lock().unwrap();
        let count = state.setpoints.len();
        let fault = |write: &Write| match self.places.get(&write.channel) {
            Some(place) if *place < count => write.value.number().is_none().then_some("takes a number"),
            Some(_) => Some("this one is stuck"),
            None => Some("there is no such channel"),
        };
        let faults: Vec<Fault> =
            batch.iter().filter_map(|write| Some(Fault::refused(&write.channel, fault(write)?))).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let now = state.now;
        for write in batch {
            state.setpoints[self.places[&write.channel]] = (write.value.number().unwrap(), now);
        }
        state.orbit = None;
        Ok(())
    }

    fn sample(&self, channels: &[Channel]) -> Vec<Result<Reading, Fault>> {
        let mut state = self.state.lock().unwrap();
        channels.iter().map(|channel| self.one(&mut state, channel)).collect()
    }

    fn now(&self) -> Time {
        self.state.lock().unwrap().now
    }

    fn advance(&self, time: Time) {
        self.state.lock().unwrap().now = time;
    }

    fn period(&self) -> Duration {
        Duration::from_millis(100)
    }
}
