//! The twin as a plant: setpoints in, readings out.

use crate::anomalies::Stage;
use crate::beam::{Beam, Found};
use crate::camera::{Spot, image};
use crate::channels::{Answer, Channels, Knob, Row};
use crate::current::Store;
use crate::cycle::{Boost, Waves};
use crate::draw::noise;
use crate::eddy::Eddy;
use crate::element::{Machine, tapered};
use crate::errors::{ErrorTable, Motion};
use crate::figures::Figure;
use crate::how::describe;
use crate::hysteresis::Iron;
use crate::injection::{Injection, Passed, Shown, Track};
use crate::present::Present;
use crate::ramp::{Pace, Ramp};
use crate::shots::Shots;
use crate::truth::{MonitorTruth, Truth};
use crate::turns::{Acquired, TurnsTable};
use crate::waves::{Excited, Exciter, Samples};
use fodo_control::{
    Channel, ChannelInfo, Fault, Happened, Plant, Reading, Time, Trainer, Validity, Value, Victim, Write,
};
use fodo_devices::{Camera, Device, Facility, Quantities};
use fodo_numerics::{Window, spectrum};
use fodo_optics::constants::ELEMENTARY_CHARGE;
use fodo_optics::{Effects, Orbit, Point, Ring};
use fodo_report::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a twin is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct TwinOptions {
    /// Seed of errors and noise; without it the one of `twin.toml`.
    pub seed: Option<u64>,
    /// Leaves out everything that is wrong with the machine.
    pub perfect: bool,
    /// Figures of the beam that take long are found by another thread, and are invalid until they are there.
    pub beside: bool,
}

/// A machine made of a facility's lattice and hidden errors.
pub struct Twin {
    pub(crate) channels: Channels,
    /// What is wrong at the start.
    pub(crate) drawn: Arc<Truth>,
    /// What moves by itself.
    motions: Vec<Box<dyn Motion>>,
    /// How each supply goes to a new value.
    paces: Vec<Pace>,
    /// How turns are taken, and how many.
    pub(crate) turns: (TurnsTable, usize),
    /// The cycle of a booster.
    pub(crate) boost: Option<Boost>,
    eddy: Option<Eddy>,
    /// Correctors that can have a sine.
    exciters: Vec<Exciter>,
    /// What enters a line; a ring has none.
    pub(crate) injection: Option<Injection>,
    /// What is injected into a ring, if its tables have that.
    pub(crate) shots: Option<Shots>,
    seed: u64,
    period: Duration,
    effects: Effects,
    pub(crate) tapering: bool,
    state: Mutex<State>,
}

/// A shot of the monitors: its period, and how many there were in that before.
pub(crate) type Shot = (u64, u64);

pub(crate) struct State {
    pub(crate) machine: Machine,
    pub(crate) truth: Arc<Truth>,
    pub(crate) beam: Beam,
    /// The last shot of a line.
    pub(crate) passed: Option<Arc<Passed>>,
    /// What is wrong, and when that was found.
    pub(crate) present: Present,
    pub(crate) found: Option<Looked>,
    pub(crate) stage: Stage,
    pub(crate) store: Store,
    /// What the setpoints hold, in channel units.
    pub(crate) values: Vec<f64>,
    /// Wave forms of setpoints that have some.
    pub(crate) waves: Waves,
    /// What their supplies hold, in channel units.
    pub(crate) ramps: Vec<Ramp>,
    /// Magnets that remember, by knob.
    pub(crate) irons: BTreeMap<usize, Iron>,
    /// Supplies that are on their way.
    pub(crate) moving: BTreeSet<usize>,
    /// What the signals hold.
    pub(crate) signals: Vec<f64>,
    pub(crate) written: Vec<Time>,
    /// Setpoints the ring has not heard of yet.
    pub(crate) pending: BTreeSet<usize>,
    pub(crate) now: Time,
    pub(crate) start: Time,
    /// A period, and the shots that monitors were made to take in it.
    pub(crate) triggers: Shot,
    /// How often the kickers fired, and what was taken then: the last one and the one before it.
    pub(crate) fired: u64,
    pub(crate) acquired: [Option<Found<Acquired>>; 2],
    /// What fast samples follow from, since the last trigger and since the one before it.
    pub(crate) sampled: [Option<Found<Samples>>; 2],
    /// Part of the last shot that was injected which is left [1].
    pub(crate) efficiency: Option<Found<f64>>,
    /// The noise of a period and the shots in it.
    pub(crate) shot: Option<(Shot, Arc<Vec<f64>>)>,
}

/// When the twin was looked at: the time, and the period of the monitors.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Looked {
    time: Time,
    period: u64,
}

/// What a write goes to.
enum Target {
    Knob(usize),
    /// One with a wave form, and what that becomes.
    Wave(usize, Arc<[f64]>),
    Signal(usize),
}

impl Twin {
    /// A machine of the facility, with the errors of its `twin.toml`.
    pub fn new(facility: &Facility, options: TwinOptions) -> Result<Twin> {
        let table = ErrorTable::load(facility)?;
        let seed = options.seed.unwrap_or(table.seed);
        let mut channels = Channels::of(facility);
        describe(&mut channels, table.effects, facility.kind.is_ring());
        let (truth, motions, paces) = match options.perfect {
            true => (Truth::default(), Vec::new(), vec![Pace::default(); channels.knobs.len()]),
            false => (table.truth(facility, seed), table.motions(facility, &channels, seed), table.paces(&channels)),
        };
        let lattice = if table.tapering { tapered(&facility.lattice)? } else { facility.lattice.clone() };
        let machine = Machine::new(&lattice, &channels.knobs);
        let values = channels.held_at(machine.starts());
        let elsewhere = channels.elsewhere(machine.starts(), &values);
        let turns = (table.turns, channels.turns());
        let irons = table.irons(&channels, &values);
        // a whole number of seconds, so that shots fall on round times
        let start = Time(Time::wall().0 / 1_000_000_000 * 1_000_000_000);
        let (anomalies, decays) = (table.anomalies, table.beam.is_some());
        let is_ring = facility.kind.is_ring();
        let beside = (options.beside && is_ring).then(|| channels.works(decays));
        let mut ring = Ring::new(&lattice, table.effects);
        if !is_ring {
            // cavities move the beam, not what magnets are set for
            ring.hold_reference();
        }
        let shots = Shots::of(facility, &ring, seed);
        let drawn = Arc::new(truth);
        let boost = facility.cycle.as_ref().map(|cycle| Boost::new(cycle, &channels.knobs));
        let waves = boost.as_ref().map(|boost| boost.waves(&channels.knobs, machine.starts())).unwrap_or_default();
        let mut values = values;
        if let (Some(boost), Some(cycle)) = (&boost, &facility.cycle) {
            let delays = (0..values.len()).filter(|knob| boost.is_delay(*knob)).collect::<Vec<usize>>();
            delays.into_iter().for_each(|knob| values[knob] = channels.knobs[knob].field.to_channel(cycle.span[0]));
        }
        let state = State {
            machine,
            truth: drawn.clone(),
            beam: Beam::new(ring, table.beam.clone().unwrap_or_default(), beside.as_deref()),
            passed: None,
            present: Present::of(&Truth::default(), &channels),
            found: None,
            stage: Stage::new(anomalies, seed, start),
            store: Store::new(table.beam),
            written: vec![start; values.len()],
            signals: channels.signals.clone(),
            waves,
            ramps: values.iter().copied().map(Ramp::at).collect(),
            irons: if options.perfect { BTreeMap::new() } else { irons },
            moving: BTreeSet::new(),
            values,
            pending: elsewhere,
            now: start,
            start,
            triggers: (0, 0),
            fired: 0,
            acquired: [None, None],
            sampled: [None, None],
            efficiency: None,
            shot: None,
        };
        Ok(Twin {
            injection: Injection::of(facility, seed),
            exciters: Exciter::all(&channels.knobs),
            eddy: table.eddy,
            shots,
            channels,
            drawn,
            turns,
            motions,
            paces,
            seed,
            period: facility.cycle.as_ref().map_or(table.period, |cycle| Duration::from_secs_f64(cycle.period)),
            boost,
            effects: table.effects,
            tapering: table.tapering,
            state: Mutex::new(state),
        })
    }

    /// What is wrong with the machine; for tests and trainers, not for scripts.
    pub fn truth(&self) -> Arc<Truth> {
        self.state().truth.clone()
    }

    /// The seed its errors were drawn with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The machine as it really stands now, errors and setpoints in its elements; for tests and trainers.
    pub fn ring(&self) -> Ring {
        let mut state = self.state();
        self.settled(&mut state).ring().clone()
    }

    /// How the monitor of each device that reads positions really reads now, where its element stands included, with the
    /// element it reads at; for tests and trainers.
    pub fn monitors(&self) -> impl Iterator<Item = (&Device, usize, MonitorTruth)> {
        let mut state = self.state();
        self.settled(&mut state);
        let truths: Vec<MonitorTruth> = state.present.monitors.iter().map(|eye| eye.truth).collect();
        let all = self.channels.monitors.iter().zip(truths);
        all.map(|(monitor, truth)| (monitor.device.as_ref(), monitor.element, truth))
    }

    /// Where the centre of the beam enters a line in the present shot; for tests and trainers.
    pub fn entered(&self) -> Option<Point<f64>> {
        self.injection.as_ref()?;
        let mut state = self.state();
        self.orbit(&mut state).ok()?.at(0).ok()
    }

    /// Whether cavities and radiation count.
    pub fn effects(&self) -> Effects {
        self.effects
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, write: &Write) -> Result<(Target, f64), Fault> {
        let refuse = |why: String| Err(Fault::refused(&write.channel, why));
        let Some(&at) = self.channels.by_name.get(&write.channel) else {
            return Err(Fault::absent(&write.channel, "the twin has no such channel"));
        };
        let (target, (low, high)) = match self.channels.answers[at] {
            Answer::Setpoint(knob) => (Target::Knob(knob), self.channels.knobs[knob].limits),
            Answer::Wave(knob) => return self.check_wave(write, knob),
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

    /// A wave form: so many numbers as it has knots, all of them within its limits.
    fn check_wave(&self, write: &Write, knob: usize) -> Result<(Target, f64), Fault> {
        let Knob { field, limits: (low, high), .. } = &self.channels.knobs[knob];
        let knots = field.wave.as_ref().map_or(0, |wave| wave.knots);
        let refuse = |why: String| Err(Fault::refused(&write.channel, why));
        let Value::Vector(row) = &write.value else {
            return refuse(format!("takes a row of {knots} numbers, not {}", write.value.form()));
        };
        if row.len() != knots {
            return refuse(format!("takes a row of {knots} numbers, not of {}", row.len()));
        }
        let unit = field.hardware.symbol();
        match row.iter().find(|value| !(*low <= **value && **value <= *high)) {
            Some(value) => refuse(format!("{value} {unit} is outside its limits {low} to {high} {unit}")),
            None => Ok((Target::Wave(knob, row.clone()), f64::NAN)),
        }
    }

    /// A channel's reading; a good one beyond an alarm limit says so.
    fn answer(&self, state: &mut State, at: usize) -> Reading {
        let mut reading = self.value(state, at);
        if self.boost.is_some() && reading.shot.is_none() {
            reading.shot = Some(self.period_at(state));
        }
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
            Answer::Wave(knob) => {
                let row = state.waves.get(knob).cloned().unwrap_or_default();
                Reading::good(Value::Vector(row), state.written[*knob])
            }
            Answer::CycleNumber => Reading::good(Value::Number(self.period_at(state) as f64), state.now),
            Answer::CycleTime => Reading::good(on_channel(self.moment(state)), state.now),
            Answer::Energy => {
                let energy = self.boost.as_ref().map_or(f64::NAN, |boost| boost.cycle.energy_at(self.moment(state)));
                Reading::good(on_channel(energy), state.now)
            }
            Answer::Readback(knob) => self.readback(state, *knob),
            Answer::Signal(signal) => Reading::good(Value::Number(state.signals[*signal]), state.now),
            Answer::Current => {
                let current = self.current(state);
                Reading::good(on_channel(current), state.now)
            }
            Answer::Image(element, camera) => self.image(state, *element, camera),
            Answer::Filling(buckets) => {
                let current = self.current(state);
                let row =
                    state.store.filling(current, *buckets).into_iter().map(|current| match &self.channels.fields[at] {
                        Some(field) => field.to_channel(current),
                        None => current,
                    });
                Reading::good(Value::Vector(row.collect()), state.now)
            }
            Answer::Losses(element, reach) => {
                let lost = self.lost_near(state, *element, *reach);
                number(lost.map(on_channel), state.now)
            }
            Answer::Lifetime => number(self.lifetime(state).map(on_channel), state.now),
            Answer::Tune(plane) => {
                let tunes = self.stored(state).and_then(Beam::tunes);
                number(tunes.map(|tunes| on_channel(tunes[*plane])), state.now)
            }
            Answer::Charge(element) => Reading::good(on_channel(self.charge(state, *element)), state.now),
            Answer::Figure(figure, element) => {
                let found = self.figure(state, figure, *element);
                number(found.map(on_channel), state.now)
            }
            Answer::Calculated => {
                let done = f64::from(self.settled(state).is_calculated());
                Reading::good(on_channel(done), state.now)
            }
            Answer::Fast(plane, monitor, count, rate) => {
                let over = |samples: &Samples| samples.ready(*count, *rate);
                let taken = newest(&state.sampled, state.now, over)
                    .map(|samples| (samples.row(*monitor, *plane, *count, *rate), samples.ready(*count, *rate)));
                self.kept(state, taken, *count, at)
            }
            Answer::Efficiency => {
                let none = || Err("nothing was injected yet: a trigger of `inject` does it".to_string());
                number(state.efficiency.clone().unwrap_or_else(none).map(on_channel), state.now)
            }
            Answer::Spectrum(plane, monitor, turns) => {
                let taken = newest(&state.acquired, state.now, |acquired| acquired.ready).and_then(|acquired| {
                    let row = acquired.row(*monitor, *plane);
                    Ok((amplitudes(&row[..row.len().min(*turns)])?, acquired.ready))
                });
                self.kept(state, taken, turns / 2 + 1, at)
            }
            Answer::Turns(kept, monitor, turns) => self.turns(state, *kept, *monitor, *turns, at),
            Answer::Monitor(plane, monitor) => {
                let position = self.orbit(state).and_then(|orbit| self.monitor(state, &orbit, *plane, *monitor));
                number(position.map(on_channel), state.now)
            }
            Answer::Row(row) => {
                let length = state.beam.ring().len();
                let (row, validity) = self.row(state, row, length);
                Reading { validity, ..Reading::good(Value::Vector(row), state.now) }
            }
            Answer::Table(columns, length) => {
                let mut validity = Validity::Good;
                let column = |(name, row): &(Arc<str>, Row)| {
                    let (row, of_row) = self.row(state, row, *length);
                    validity = of_row;
                    (name.clone(), Value::Vector(row))
                };
                let columns = columns.iter().map(column).collect();
                Reading { validity, ..Reading::good(Value::Table(columns), state.now) }
            }
        }
    }

    /// The beam at every element, as monitors read it where there are some; no numbers where there is no beam, and why.
    fn row(&self, state: &mut State, row: &Row, length: usize) -> (Arc<[f64]>, Validity) {
        let orbit = match self.orbit(state) {
            Ok(orbit) => orbit,
            Err(why) => return (vec![f64::NAN; length].into(), Validity::Invalid(why)),
        };
        let at = |element: usize| orbit.at(element).map_or(f64::NAN, |at| row.field.to_channel(at[2 * row.plane]));
        let mut entries: Vec<f64> =
            (0..length).map(|element| if element < state.beam.ring().len() { at(element) } else { f64::NAN }).collect();
        for &(entry, monitor) in &row.monitors {
            if let Some(place) = entries.get_mut(entry) {
                let position = self.monitor(state, &orbit, row.plane, monitor);
                *place = position.map_or(f64::NAN, |position| row.field.to_channel(position));
            }
        }
        // what stands before a loss can be used
        let validity = orbit.lost().map_or(Validity::Good, |why| Validity::Warning(why.to_string()));
        (entries.into(), validity)
    }

    fn monitor(&self, state: &mut State, orbit: &Track, plane: usize, monitor: usize) -> Found<f64> {
        let eye = state.present.monitors[monitor];
        if eye.dead {
            return Err("the monitor does not answer".into());
        }
        let wired = &self.channels.monitors[eye.wired_to];
        let reading = eye.truth.reads(wired.sees(&orbit.at(wired.element)?))[plane];
        if eye.truth.noise == 0.0 {
            return Ok(reading);
        }
        Ok(reading + eye.truth.noise * self.noise(state)[2 * monitor + plane])
    }

    /// What a camera sees of the beam at an element.
    fn image(&self, state: &mut State, element: usize, camera: &Camera) -> Reading {
        let found = self.spot(state, element);
        let light = self.light(state, element);
        let now = state.now;
        match found {
            Ok(spot) => {
                let normal = noise(self.seed ^ (element as u64) << 32, self.shot(state), camera.width * camera.height);
                let pixels = image(camera, &spot, light, &normal);
                Reading::good(Value::Image { width: camera.width, pixels }, now)
            }
            Err(why) => {
                let pixels = vec![f64::NAN; camera.width * camera.height].into();
                Reading::invalid(Value::Image { width: camera.width, pixels }, now, why)
            }
        }
    }

    /// The beam at an element.
    fn spot(&self, state: &mut State, element: usize) -> Found<Spot> {
        let at = self.orbit(state)?.at(element)?;
        let squares = match &self.injection {
            None => self.stored(state)?.squares(element)?,
            Some(injection) => {
                let passed = self.passed(state, injection)?;
                injection.squares(state.beam.ring(), &passed, element)?
            }
        };
        Ok(Spot { centre: [at[0], at[2]], squares })
    }

    /// How much beam there is at an element: the current of a ring [A], the charge of a shot [C].
    fn light(&self, state: &mut State, element: usize) -> f64 {
        if self.injection.is_some() { self.charge(state, element) } else { self.current(state) }
    }

    /// What the supply of a setpoint says that it holds.
    fn readback(&self, state: &mut State, knob: usize) -> Reading {
        self.settled(state);
        let (supply, field) = (&state.present.supplies[knob], &self.channels.knobs[knob].field);
        let now = self.seconds(state);
        let knob = self.channels.first(knob);
        let asked = state.ramps[knob].holds(self.paces[knob], now);
        if supply.is_sound() {
            let arrived = state.ramps[knob].has_arrived(self.paces[knob], now);
            return Reading::good(Value::Number(asked), if arrived { state.written[knob] } else { state.now });
        }
        let held = supply.holds(field.to_physics(asked)) * (1.0 + supply.readback);
        Reading::good(Value::Number(field.to_channel(held)), state.now)
    }

    /// What a monitor kept in the last acquisition that is over.
    fn turns(&self, state: &mut State, kept: usize, monitor: usize, turns: usize, at: usize) -> Reading {
        let taken = newest(&state.acquired, state.now, |acquired| acquired.ready);
        let taken = taken.map(|acquired| (acquired.row(monitor, kept), acquired.ready));
        self.kept(state, taken, turns, at)
    }

    /// A row of positions that was kept, with its time, or why there is none.
    fn kept(&self, state: &State, taken: Found<(Arc<[f64]>, Time)>, count: usize, at: usize) -> Reading {
        let field = self.channels.fields[at].as_ref();
        let on_channel = |position: &f64| field.map_or(*position, |field| field.to_channel(*position));
        match taken {
            Ok((row, time)) => Reading::good(Value::Vector(row.iter().take(count).map(on_channel).collect()), time),
            Err(why) => Reading::invalid(Value::Vector(vec![f64::NAN; count].into()), state.now, why),
        }
    }

    /// What fast samples follow from, from now on.
    pub(crate) fn sample_fast(&self, state: &mut State) -> Found<Samples> {
        let seconds = self.seconds(state);
        let orbit = self.stored(state)?.orbit()?;
        let State { beam, present, ramps, fired, now, .. } = &*state;
        let excited = Excited {
            ring: beam.ring(),
            orbit: &orbit,
            channels: &self.channels,
            eyes: &present.monitors,
            exciters: &self.exciters,
            seed: (self.seed, *fired),
            now: *now,
            seconds,
            period: self.period.as_secs_f64(),
        };
        excited.take(|knob| present.supplies[knob].gives(self.held(ramps, knob, seconds)))
    }

    /// The stored current [A]; none where no beam goes round.
    pub(crate) fn current(&self, state: &mut State) -> f64 {
        if self.stored(state).is_err() {
            return 0.0;
        }
        if state.store.decays() {
            // until they are found it falls as it did
            _ = self.losses(state);
        }
        state.store.at(self.seconds(state))
    }

    fn lifetime(&self, state: &mut State) -> Found<f64> {
        self.stored(state)?;
        self.losses(state)?;
        Ok(state.store.lifetime(self.seconds(state)))
    }

    /// Electrons that are lost near an element [1/s].
    fn lost_near(&self, state: &mut State, element: usize, reach: f64) -> Found<f64> {
        let part = self.stored(state)?.lost_near(element, reach)?;
        let rate = self.current(state) / self.lifetime(state)?;
        let revolution = state.beam.ring().revolution_time();
        Ok(part * rate * revolution / ELEMENTARY_CHARGE)
    }

    /// From now on the beam is lost as the machine as it is now has it.
    fn losses(&self, state: &mut State) -> Found<()> {
        let rates = state.beam.rates()?;
        let now = self.seconds(state);
        state.store.set_losses(rates, state.present.gas, state.present.loss, now);
        Ok(())
    }

    /// The present period, and the shots that monitors were made to take in it.
    fn shot(&self, state: &State) -> Shot {
        let period = self.period_at(state);
        if state.triggers.0 == period { state.triggers } else { (period, 0) }
    }

    fn noise(&self, state: &mut State) -> Arc<Vec<f64>> {
        let shot = self.shot(state);
        if let Some((known, numbers)) = &state.shot
            && *known == shot
        {
            return numbers.clone();
        }
        let numbers = Arc::new(noise(self.seed, shot, 2 * self.channels.monitors.len()));
        state.shot = Some((shot, numbers.clone()));
        numbers
    }

    fn period_at(&self, state: &State) -> u64 {
        ((state.now.0 - state.start.0) / self.period.as_nanos().max(1) as i64) as u64
    }

    /// Since the start [s].
    pub(crate) fn seconds(&self, state: &State) -> f64 {
        since(state.start, state.now)
    }

    /// What a supply holds at a time after the start [s], sound or not: physics value in SI.
    pub(crate) fn held(&self, ramps: &[Ramp], knob: usize, seconds: f64) -> f64 {
        let first = self.channels.first(knob);
        self.channels.knobs[knob].field.to_physics(ramps[first].holds(self.paces[first], seconds))
    }

    /// When in the cycle of a booster monitors look [s].
    pub(crate) fn moment(&self, state: &State) -> f64 {
        self.boost.as_ref().map_or(0.0, |boost| boost.moment(&self.channels.knobs, &state.values))
    }

    /// What the beam feels of a knob, in a booster at a moment of the cycle [s].
    pub(crate) fn felt(&self, (ramps, waves): (&[Ramp], &Waves), knob: usize, seconds: f64, moment: f64) -> f64 {
        let Some(boost) = &self.boost else { return self.meant(ramps, knob, seconds) };
        let of = &self.channels.knobs[knob];
        let given = match waves.get(&knob) {
            Some(row) => boost.given(of, row, self.paces[knob], moment),
            None => self.meant(ramps, knob, seconds),
        };
        given * boost.weaker(of, moment)
    }

    /// What a supply holds, of which a shot of the monitors sees the mean: a sine is mostly gone in it.
    fn meant(&self, ramps: &[Ramp], knob: usize, seconds: f64) -> f64 {
        match self.exciters.iter().find(|exciter| exciter.amplitude == knob) {
            Some(exciter) => {
                let wave = exciter.wave(|knob| self.held(ramps, knob, seconds));
                wave.mean(seconds, self.period.as_secs_f64())
            }
            None => self.held(ramps, knob, seconds),
        }
    }

    /// The centre of the beam: round a ring, or as far as it comes in a line.
    fn orbit(&self, state: &mut State) -> Found<Track> {
        let Some(injection) = &self.injection else { return self.stored(state)?.orbit().map(Track::closed) };
        let passed = self.passed(state, injection)?;
        Ok(passed.track(state.beam.ring(), &state.present.obstacles))
    }

    /// The present shot of a line.
    fn passed(&self, state: &mut State, injection: &Injection) -> Found<Arc<Passed>> {
        self.settled(state);
        if state.present.beamless {
            return Err("the beam is lost".into());
        }
        let truth = state.truth.injection;
        let of = Shown {
            shot: if truth.varies() { self.shot(state) } else { (0, 0) },
            revision: state.beam.revision(),
            truth,
        };
        let State { beam, passed, .. } = state;
        let known = passed.take().filter(|known| known.of == of);
        let known = known.unwrap_or_else(|| Arc::new(injection.pass(beam.ring(), of)));
        Ok(passed.insert(known).clone())
    }

    /// Charge of the shot that comes to an element of a line [C].
    fn charge(&self, state: &mut State, element: usize) -> f64 {
        let Some(injection) = &self.injection else { return 0.0 };
        let Ok(passed) = self.passed(state, injection) else { return 0.0 };
        let ring = state.beam.ring();
        let is_stopped =
            !state.present.obstacles.is_empty() && passed.track(ring, &state.present.obstacles).at(element).is_err();
        if is_stopped { 0.0 } else { injection.charge(ring, &passed, element) }
    }

    fn figure(&self, state: &mut State, figure: &Figure, element: usize) -> Found<f64> {
        let Some(injection) = &self.injection else { return self.stored(state)?.figure(figure, element) };
        self.orbit(state)?.at(element)?;
        let passed = self.passed(state, injection)?;
        injection.size(state.beam.ring(), &passed, figure.quantity, element)
    }

    /// The beam, if one is stored.
    pub(crate) fn stored<'s>(&self, state: &'s mut State) -> Found<&'s mut Beam> {
        let orbit = self.settled(state).orbit();
        let now = self.seconds(state);
        if self.boost.as_ref().is_some_and(|boost| !boost.cycle.has_beam(self.moment(state))) {
            return Err("no beam is there at this moment of the cycle".into());
        }
        if let Some(why) = lost(&state.present, &orbit) {
            state.store.lose(now);
            return Err(why);
        }
        if state.store.is_lost() {
            if !state.store.fills_itself() {
                return Err(state.store.why_empty().into());
            }
            state.store.fill(now);
        }
        Ok(&mut state.beam)
    }

    /// The beam of the machine as it is now: all that changed since the last look is one change.
    pub(crate) fn settled<'s>(&self, state: &'s mut State) -> &'s mut Beam {
        let now = Looked { time: state.now, period: self.period_at(state) };
        let seconds = self.seconds(state);
        let mut elements = BTreeSet::new();
        if self.is_another(state, now) {
            let present = self.present(state, now);
            elements = present.differs(&state.present);
            state.pending.extend(present.other_supplies(&state.present));
            state.present = present;
        }
        if state.found.is_none_or(|found| found.time != now.time) {
            let State { moving, ramps, pending, .. } = state;
            pending.extend(moving.iter().flat_map(|&knob| self.channels.beside(knob)));
            let amplitudes = self.exciters.iter().map(|exciter| exciter.amplitude);
            pending.extend(amplitudes.filter(|&knob| self.held(ramps, knob, seconds) != 0.0));
            moving.retain(|&knob| !ramps[knob].has_arrived(self.paces[knob], seconds));
        }
        let set = |exciter: &&Exciter| exciter.others().any(|knob| state.pending.contains(&knob));
        let set: Vec<usize> = self.exciters.iter().filter(set).map(|exciter| exciter.amplitude).collect();
        state.pending.extend(set);
        state.found = Some(now);
        for knob in state.pending.clone() {
            self.magnetise(state, knob, seconds);
        }
        elements.extend(state.machine.moved_by(std::mem::take(&mut state.pending)));
        let moment = self.moment(state);
        let State { machine, beam, ramps, waves, irons, present, .. } = state;
        if !elements.is_empty() {
            let physics = |knob: usize| {
                let held = self.felt((ramps, waves), knob, seconds, moment);
                irons.get(&knob).map_or(held, |iron| held + iron.beside())
            };
            beam.change(|change| machine.rebuild(&elements, physics, present, change));
        }
        beam
    }

    /// A magnet that remembers goes to where its supply is.
    fn magnetise(&self, state: &mut State, knob: usize, seconds: f64) {
        let State { irons, ramps, .. } = state;
        if let Some(iron) = irons.get_mut(&knob) {
            iron.go_to(self.held(ramps, knob, seconds));
        }
    }

    /// Whether other things are wrong than when it was looked at last.
    fn is_another(&self, state: &State, now: Looked) -> bool {
        let Some(found) = state.found else { return true };
        (!self.motions.is_empty() && found.period != now.period) || (state.stage.grows() && found.time != now.time)
    }

    fn present(&self, state: &State, now: Looked) -> Present {
        let mut present = Present::of(&state.truth, &self.channels);
        // on the grid of shots, whoever looks in between
        let seconds = now.period as f64 * self.period.as_secs_f64();
        self.motions.iter().for_each(|motion| motion.go_to(seconds, &mut present));
        state.stage.happen(now.time, &mut present);
        if let (Some(boost), Some(eddy)) = (&self.boost, &self.eddy) {
            eddy.act(boost.cycle.growth(self.moment(state)), &mut present);
        }
        present.placed(&self.channels)
    }

    /// Lets begin and end what is due.
    fn go_on(&self, state: &mut State) {
        let State { stage, ramps, start, now, .. } = state;
        let holds = |knob: usize, time: Time| self.held(ramps, knob, since(*start, time));
        if stage.go_to(*now, &self.channels, &holds) {
            state.found = None;
        }
    }
}

/// From one time to another [s].
fn since(start: Time, time: Time) -> f64 {
    (time.0 - start.0) as f64 * 1e-9
}

/// Amplitudes of turns at frequencies from 0 to 1/2 of the revolution, their mean taken off.
fn amplitudes(turns: &[f64]) -> Found<Arc<[f64]>> {
    let mean = turns.iter().sum::<f64>() / turns.len() as f64;
    let about: Vec<f64> = turns.iter().map(|turn| turn - mean).collect();
    let lines = spectrum(&about, Window::Hann).map_err(|e| e.to_string())?;
    Ok(lines.iter().map(|line| line.norm()).collect())
}

/// The newest acquisition that is over, or why there is none.
fn newest<T>(taken: &[Option<Found<T>>; 2], now: Time, ready: impl Fn(&T) -> Time) -> Found<&T> {
    let over = |taken: &&Found<T>| taken.as_ref().map_or(true, |taken| ready(taken) <= now);
    match taken.iter().flatten().find(over) {
        None => Err("nothing was taken yet: it begins with the trigger".into()),
        Some(taken) => taken.as_ref().map_err(Clone::clone),
    }
}

/// Why no beam can be stored, if none can.
fn lost(present: &Present, orbit: &Found<Arc<Orbit>>) -> Option<String> {
    if present.beamless {
        return Some("the beam is lost".into());
    }
    let orbit = match orbit {
        Ok(orbit) => orbit,
        Err(why) => return Some(why.clone()),
    };
    let hits = |(element, room): (&usize, &f64)| orbit.at(*element)[0].hypot(orbit.at(*element)[2]) > *room;
    present.obstacles.iter().any(hits).then(|| "the beam is lost: something stands in its way".to_string())
}

impl Trainer for Twin {
    fn anomalies(&self) -> Vec<(Arc<str>, &'static str)> {
        self.state().stage.names()
    }

    fn going_wrong(&self) -> Vec<Happened> {
        self.state().stage.active()
    }

    fn start(&self, name: &str, victim: Option<Victim<'_>>) -> Result<()> {
        let mut state = self.state();
        let State { stage, ramps, start, now, .. } = &mut *state;
        let holds = |knob: usize, time: Time| self.held(ramps, knob, since(*start, time));
        stage.start(name, victim, *now, &self.channels, &holds)?;
        state.found = None;
        Ok(())
    }

    fn stop(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        let now = state.now;
        state.stage.stop(name, now)?;
        state.found = None;
        Ok(())
    }

    fn happened(&self, from: Time) -> Vec<Happened> {
        self.state().stage.happened(from)
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
        let (mut fires, mut injects) = (false, false);
        for (target, value) in targets.into_iter().flatten() {
            let knob = match target {
                Target::Knob(knob) => knob,
                Target::Signal(signal) => {
                    state.signals[signal] = value;
                    continue;
                }
                Target::Wave(knob, row) => {
                    state.waves.insert(knob, row);
                    state.pending.insert(knob);
                    state.written[knob] = state.now;
                    continue;
                }
            };
            if state.values[knob] != value {
                let now = self.seconds(&state);
                let beside = self.channels.beside(knob);
                beside.iter().for_each(|&magnet| self.magnetise(&mut state, magnet, now));
                state.ramps[knob].set_out(value, self.paces[knob], now);
                beside.iter().for_each(|&magnet| self.magnetise(&mut state, magnet, now));
                state.values[knob] = value;
                state.pending.extend(beside);
                if !state.ramps[knob].has_arrived(self.paces[knob], now) {
                    state.moving.insert(knob);
                }
            }
            if self.boost.as_ref().is_some_and(|boost| boost.is_delay(knob)) {
                // another moment is another machine
                state.pending.extend(0..self.channels.knobs.len());
                state.found = None;
            }
            state.written[knob] = state.now;
            let triggers = |quantity| value != 0.0 && self.channels.knobs[knob].quantity == Some(quantity);
            fires |= triggers(Quantities::Trigger);
            injects |= triggers(Quantities::Inject);
        }
        if fires || injects {
            self.fire(&mut state, injects);
        }
        if self.injection.is_none() && !state.store.fills_itself() {
            // a beam that is lost stays lost, also if nobody looks
            let _ = self.stored(&mut state);
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
        self.go_on(&mut state);
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

/// A number, or why there is none.
fn number(found: Found<Value>, now: Time) -> Reading {
    match found {
        Ok(value) => Reading::good(value, now),
        Err(why) => Reading::invalid(Value::Number(f64::NAN), now, why),
    }
}
