//! The twin as a plant: setpoints in, readings out.

use crate::channels::{Answer, Channels, Row};
use crate::draw::noise;
use crate::element::Machine;
use crate::errors::ErrorTable;
use crate::truth::{MonitorTruth, Truth};
use fodo_control::{Channel, ChannelInfo, Fault, Plant, Reading, Time, Validity, Value, Write};
use fodo_devices::{Device, Facility};
use fodo_optics::{Effects, Orbit, Ring};
use fodo_report::Result;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The current of the beam [A].
const CURRENT: f64 = 0.2;

/// How a twin is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct TwinOptions {
    /// Seed of errors and noise; without it the one of `twin.toml`.
    pub seed: Option<u64>,
    /// Leaves out everything that is wrong with the machine.
    pub perfect: bool,
}

/// A machine made of a facility's lattice and hidden errors.
pub struct Twin {
    channels: Channels,
    truth: Truth,
    machine: Machine,
    /// How each reads, where its element stands included.
    monitors: Vec<MonitorTruth>,
    seed: u64,
    period: Duration,
    effects: Effects,
    state: Mutex<State>,
}

/// A shot of the monitors: its period, and how many there were in that before.
type Shot = (u64, u64);

struct State {
    ring: Ring,
    /// What the setpoints hold, in channel units.
    values: Vec<f64>,
    /// What the signals hold.
    signals: Vec<f64>,
    written: Vec<Time>,
    /// Setpoints the ring has not heard of yet.
    pending: BTreeSet<usize>,
    orbit: Option<Result<Arc<Orbit>, String>>,
    tune: Option<Result<[f64; 2], String>>,
    now: Time,
    start: Time,
    /// A period, and the shots that monitors were made to take in it.
    triggers: Shot,
    /// The noise of a period and the shots in it.
    shot: Option<(Shot, Arc<Vec<f64>>)>,
}

/// What a write goes to.
enum Target {
    Knob(usize),
    Signal(usize),
}

impl Twin {
    /// A machine of the facility, with the errors of its `twin.toml`.
    pub fn new(facility: &Facility, options: TwinOptions) -> Result<Twin> {
        let table = ErrorTable::load(facility)?;
        let seed = options.seed.unwrap_or(table.seed);
        let truth = if options.perfect { Truth::default() } else { table.truth(facility, seed) };
        let channels = Channels::of(facility);
        let mut ring = Ring::new(&facility.lattice, table.effects);
        let (machine, start) = Machine::new(&facility.lattice, &channels.knobs, &truth);
        let values: Vec<f64> =
            channels.knobs.iter().zip(&start).map(|(knob, physics)| knob.field.to_channel(*physics)).collect();
        machine.spoil(&mut ring, |knob| channels.knobs[knob].field.to_physics(values[knob]));
        let monitors: Vec<MonitorTruth> = channels
            .monitors
            .iter()
            .map(|monitor| {
                let stands = truth.elements.get(&monitor.element).map(|element| element.placement).unwrap_or_default();
                truth.monitor(&monitor.device.family, &monitor.device.name).displaced(&stands)
            })
            .collect();
        // a whole number of seconds, so that shots fall on round times
        let start = Time(Time::wall().0 / 1_000_000_000 * 1_000_000_000);
        let state = State {
            ring,
            written: vec![start; values.len()],
            signals: channels.signals.clone(),
            values,
            pending: BTreeSet::new(),
            orbit: None,
            tune: None,
            now: start,
            start,
            triggers: (0, 0),
            shot: None,
        };
        Ok(Twin {
            channels,
            truth,
            machine,
            monitors,
            seed,
            period: table.period,
            effects: table.effects,
            state: Mutex::new(state),
        })
    }

    /// What is wrong with the machine; for tests and trainers, not for scripts.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The seed its errors were drawn with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The machine as it really stands now, errors and setpoints in its elements; for tests and trainers.
    pub fn ring(&self) -> Ring {
        let mut state = self.state();
        self.settle(&mut state);
        state.ring.clone()
    }

    /// How the monitor of each device that reads positions really reads, where its element stands included, with the
    /// element it reads at; for tests and trainers.
    pub fn monitors(&self) -> impl Iterator<Item = (&Device, usize, &MonitorTruth)> {
        let all = self.channels.monitors.iter().zip(&self.monitors);
        all.map(|(monitor, truth)| (monitor.device.as_ref(), monitor.element, truth))
    }

    /// Whether cavities and radiation count.
    pub fn effects(&self) -> Effects {
        self.effects
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, write: &Write) -> Result<(Target, f64), Fault> {
        let refuse = |why: String| Err(Fault::refused(&write.channel, why));
        let Some(&at) = self.channels.by_name.get(&write.channel) else {
            return Err(Fault::absent(&write.channel, "the twin has no such channel"));
        };
        let (target, (low, high)) = match self.channels.answers[at] {
            Answer::Setpoint(knob) => (Target::Knob(knob), self.channels.knobs[knob].limits),
            Answer::Signal(signal) => (Target::Signal(signal), (f64::NEG_INFINITY, f64::INFINITY)),
            _ => return refuse("cannot be written".into()),
        };
        if !self.channels.infos[at].writable {
            return refuse("is a readback".into());
        }
        let unit = &self.channels.infos[at].unit;
        let Some(value) = write.value.number() else {
            return refuse(format!("takes a number, not {}", write.value.form()));
        };
        match value {
            _ if !value.is_finite() => refuse(format!("{value} is not a finite number")),
            _ if value < low || value > high => {
                refuse(format!("{value} {unit} is outside its limits {low} to {high} {unit}"))
            }
            _ => Ok((target, value)),
        }
    }

    /// A channel's reading; a good one beyond an alarm limit says so.
    fn answer(&self, state: &mut State, at: usize) -> Reading {
        let reading = self.value(state, at);
        match (&reading.validity, &reading.value) {
            (Validity::Good, Value::Number(value)) => {
                Reading { validity: self.channels.infos[at].alarms.judge(*value), ..reading }
            }
            _ => reading,
        }
    }

    fn value(&self, state: &mut State, at: usize) -> Reading {
        let on_channel = |physics: f64| {
            Value::Number(self.channels.fields[at].as_ref().map_or(physics, |field| field.to_channel(physics)))
        };
        match &self.channels.answers[at] {
            Answer::Setpoint(knob) => Reading::good(Value::Number(state.values[*knob]), state.written[*knob]),
            Answer::Signal(signal) => Reading::good(Value::Number(state.signals[*signal]), state.now),
            // no beam goes round where there is no closed orbit
            Answer::Current => {
                let current = if self.orbit(state).is_ok() { CURRENT } else { 0.0 };
                Reading::good(on_channel(current), state.now)
            }
            Answer::Tune(plane) => match self.tune(state) {
                Ok(tune) => Reading::good(on_channel(tune[*plane]), state.now),
                Err(why) => Reading::invalid(Value::Number(f64::NAN), state.now, why),
            },
            Answer::Monitor(plane, monitor) => match self.orbit(state) {
                Ok(orbit) => {
                    let position = self.monitor(state, &orbit, *plane, *monitor);
                    Reading::good(on_channel(position), state.now)
                }
                Err(why) => Reading::invalid(Value::Number(f64::NAN), state.now, why),
            },
            Answer::Row(row) => {
                let length = state.ring.len();
                let (row, lost) = self.row(state, row, length);
                told(Value::Vector(row), state.now, lost)
            }
            Answer::Table(columns, length) => {
                let mut why = None;
                let column = |(name, row): &(Arc<str>, Row)| {
                    let (row, lost) = self.row(state, row, *length);
                    why = lost;
                    (name.clone(), Value::Vector(row))
                };
                let columns = columns.iter().map(column).collect();
                told(Value::Table(columns), state.now, why)
            }
        }
    }

    /// The beam at every element, as monitors read it where there are some; no numbers and why, if there is no beam.
    fn row(&self, state: &mut State, row: &Row, length: usize) -> (Arc<[f64]>, Option<String>) {
        let orbit = match self.orbit(state) {
            Ok(orbit) => orbit,
            Err(why) => return (vec![f64::NAN; length].into(), Some(why)),
        };
        let at = |element: usize| row.field.to_channel(orbit.at(element)[2 * row.plane]);
        let mut entries: Vec<f64> =
            (0..length).map(|element| if element < state.ring.len() { at(element) } else { f64::NAN }).collect();
        for &(entry, monitor) in &row.monitors {
            if let Some(place) = entries.get_mut(entry) {
                *place = row.field.to_channel(self.monitor(state, &orbit, row.plane, monitor));
            }
        }
        (entries.into(), None)
    }

    fn monitor(&self, state: &mut State, orbit: &Orbit, plane: usize, monitor: usize) -> f64 {
        let truth = &self.monitors[monitor];
        let at = orbit.at(self.channels.monitors[monitor].element);
        let reading = truth.reads([at[0], at[2]])[plane];
        if truth.noise == 0.0 {
            return reading;
        }
        reading + truth.noise * self.noise(state)[2 * monitor + plane]
    }

    /// The present period, and the shots that monitors were made to take in it.
    fn shot(&self, state: &State) -> Shot {
        let period = ((state.now.0 - state.start.0) / self.period.as_nanos().max(1) as i64) as u64;
        if state.triggers.0 == period { state.triggers } else { (period, 0) }
    }

    fn noise(&self, state: &mut State) -> Arc<Vec<f64>> {
        let shot = self.shot(state);
        if let Some((known, numbers)) = &state.shot
            && *known == shot
        {
            return numbers.clone();
        }
        let numbers = Arc::new(noise(self.seed, shot, 2 * self.monitors.len()));
        state.shot = Some((shot, numbers.clone()));
        numbers
    }

    fn orbit(&self, state: &mut State) -> Result<Arc<Orbit>, String> {
        self.settle(state);
        if state.orbit.is_none() {
            state.orbit = Some(state.ring.closed_orbit().map(Arc::new).map_err(|e| e.to_string()));
        }
        state.orbit.clone().unwrap_or_else(|| Err("no closed orbit".into()))
    }

    fn tune(&self, state: &mut State) -> Result<[f64; 2], String> {
        let orbit = self.orbit(state)?;
        if state.tune.is_none() {
            let modes = state.ring.modes_at(&orbit.start()).map_err(|e| e.to_string());
            state.tune = Some(modes.and_then(|modes| match modes.as_slice() {
                [x, y, ..] => Ok([x.tune, y.tune]),
                _ => Err("the motion is not stable".to_string()),
            }));
        }
        state.tune.clone().unwrap_or_else(|| Err("no tune".into()))
    }

    /// Moves the ring to where the setpoints are: all that came since the last look, at once.
    fn settle(&self, state: &mut State) {
        if state.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut state.pending);
        let State { ring, values, .. } = state;
        self.machine.settle(ring, pending, |knob| self.channels.knobs[knob].field.to_physics(values[knob]));
        state.orbit = None;
        state.tune = None;
    }
}

impl Plant for Twin {
    fn channels(&self) -> Vec<ChannelInfo> {
        self.channels.infos.clone()
    }

    fn apply(&self, batch: &[Write]) -> Result<(), Vec<Fault>> {
        let (targets, faults): (Vec<_>, Vec<_>) = batch.iter().map(|write| self.check(write)).partition(Result::is_ok);
        if !faults.is_empty() {
            return Err(faults.into_iter().filter_map(Result::err).collect());
        }
        let mut state = self.state();
        for (target, value) in targets.into_iter().flatten() {
            let knob = match target {
                Target::Knob(knob) => knob,
                Target::Signal(signal) => {
                    state.signals[signal] = value;
                    continue;
                }
            };
            if state.values[knob] != value {
                state.values[knob] = value;
                state.pending.insert(knob);
            }
            state.written[knob] = state.now;
        }
        Ok(())
    }

    fn sample(&self, channels: &[Channel]) -> Vec<Result<Reading, Fault>> {
        let mut state = self.state();
        let absent = |channel| Fault::absent(channel, "the twin has no such channel");
        channels
            .iter()
            .map(|channel| match self.channels.by_name.get(channel) {
                Some(&at) => Ok(self.answer(&mut state, at)),
                None => Err(absent(channel)),
            })
            .collect()
    }

    fn now(&self) -> Time {
        self.state().now
    }

    fn advance(&self, time: Time) {
        let mut state = self.state();
        state.now = state.now.max(time);
    }

    fn trigger(&self) {
        let mut state = self.state();
        let (period, triggers) = self.shot(&state);
        state.triggers = (period, triggers + 1);
    }

    fn period(&self) -> Duration {
        self.period
    }
}

/// A reading, invalid where there is a reason.
fn told(value: Value, now: Time, why: Option<String>) -> Reading {
    match why {
        None => Reading::good(value, now),
        Some(why) => Reading::invalid(value, now, why),
    }
}
