//! The twin as a plant: setpoints in, readings out.

use crate::anomalies::Stage;
use crate::beam::{Beam, Found};
use crate::channels::{Answer, Channels, Row};
use crate::current::Store;
use crate::draw::noise;
use crate::element::{Machine, tapered};
use crate::errors::{ErrorTable, Motion};
use crate::figures::Figure;
use crate::hysteresis::Iron;
use crate::injection::{Injection, Passed, Shown, Track};
use crate::present::Present;
use crate::ramp::{Pace, Ramp};
use crate::truth::{MonitorTruth, Truth};
use crate::turns::{Acquired, Shoot, TurnsTable, kicks};
use fodo_control::{Channel, ChannelInfo, Fault, Happened, Plant, Reading, Time, Trainer, Validity, Value, Write};
use fodo_devices::{Device, Facility, Quantities};
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
    turns: (TurnsTable, usize),
    /// What enters a line; a ring has none.
    pub(crate) injection: Option<Injection>,
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
    Signal(usize),
}

impl Twin {
    /// A machine of the facility, with the errors of its `twin.toml`.
    pub fn new(facility: &Facility, options: TwinOptions) -> Result<Twin> {
        let table = ErrorTable::load(facility)?;
        let seed = options.seed.unwrap_or(table.seed);
        let channels = Channels::of(facility);
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
        let drawn = Arc::new(truth);
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
            shot: None,
        };
        Ok(Twin {
            injection: Injection::of(facility, seed),
            channels,
            drawn,
            turns,
            motions,
            paces,
            seed,
            period: table.period,
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
            Answer::Readback(knob) => self.readback(state, *knob),
            Answer::Signal(signal) => Reading::good(Value::Number(state.signals[*signal]), state.now),
            Answer::Current => {
                let current = self.current(state);
                Reading::good(on_channel(current), state.now)
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
            Answer::Turns(plane, monitor, turns) => self.turns(state, *plane, *monitor, *turns, at),
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
        let at = orbit.at(self.channels.monitors[eye.wired_to].element)?;
        let reading = eye.truth.reads([at[0], at[2]])[plane];
        if eye.truth.noise == 0.0 {
            return Ok(reading);
        }
        Ok(reading + eye.truth.noise * self.noise(state)[2 * monitor + plane])
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

    /// Positions of the last acquisition that is over.
    fn turns(&self, state: &mut State, plane: usize, monitor: usize, turns: usize, at: usize) -> Reading {
        let now = state.now;
        let over = |acquired: &&Found<Acquired>| !matches!(acquired, Ok(acquired) if acquired.ready > now);
        let (row, time, why) = match state.acquired.iter().flatten().find(over) {
            None => (None, now, Some("nothing was taken yet: it begins with the trigger".to_string())),
            Some(Err(why)) => (None, now, Some(why.clone())),
            Some(Ok(acquired)) => (Some(acquired.row(monitor, plane)), acquired.ready, None),
        };
        let field = self.channels.fields[at].as_ref();
        let on_channel = |position: &f64| field.map_or(*position, |field| field.to_channel(*position));
        let row = match row {
            Some(row) => row.iter().take(turns).map(on_channel).collect(),
            None => vec![f64::NAN; turns].into(),
        };
        let validity = why.map_or(Validity::Good, Validity::Invalid);
        Reading { validity, ..Reading::good(Value::Vector(row), time) }
    }

    /// The kickers fire, and monitors take turns.
    fn fire(&self, state: &mut State) {
        let current = self.current(state);
        let seconds = self.seconds(state);
        let (table, turns) = self.turns;
        let taken = self.stored(state).and_then(Beam::orbit).and_then(|orbit| {
            let State { beam, present, ramps, fired, now, .. } = &*state;
            let asked = |knob: usize| present.supplies[knob].gives(self.held(ramps, knob, seconds));
            let shoot = Shoot {
                ring: beam.ring(),
                orbit: &orbit,
                channels: &self.channels,
                present,
                table,
                turns: turns.max(1),
                seed: (self.seed, *fired),
                now: *now,
                current,
            };
            shoot.fire(&kicks(&self.channels.knobs, asked))
        });
        if let Ok(acquired) = &taken
            && acquired.left < 1.0
        {
            state.store.keep(acquired.left, seconds);
        }
        state.fired += 1;
        let last = state.acquired[0].take();
        state.acquired = [Some(taken), last];
    }

    /// The stored current [A]; none where no beam goes round.
    fn current(&self, state: &mut State) -> f64 {
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
    fn seconds(&self, state: &State) -> f64 {
        since(state.start, state.now)
    }

    /// What a supply holds at a time after the start [s], sound or not: physics value in SI.
    fn held(&self, ramps: &[Ramp], knob: usize, seconds: f64) -> f64 {
        let first = self.channels.first(knob);
        self.channels.knobs[knob].field.to_physics(ramps[first].holds(self.paces[first], seconds))
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
    fn stored<'s>(&self, state: &'s mut State) -> Found<&'s mut Beam> {
        let orbit = self.settled(state).orbit();
        let now = self.seconds(state);
        if let Some(why) = lost(&state.present, &orbit) {
            state.store.lose(now);
            return Err(why);
        }
        if state.store.is_lost() {
            if !state.store.fills_itself() {
                return Err("no beam is stored: it was lost, and `[beam]` has no `top_up_below`".into());
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
            moving.retain(|&knob| !ramps[knob].has_arrived(self.paces[knob], seconds));
        }
        state.found = Some(now);
        for knob in state.pending.clone() {
            self.magnetise(state, knob, seconds);
        }
        elements.extend(state.machine.moved_by(std::mem::take(&mut state.pending)));
        let State { machine, beam, ramps, irons, present, .. } = state;
        if !elements.is_empty() {
            let physics = |knob: usize| {
                let held = self.held(ramps, knob, seconds);
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

    fn start(&self, name: &str, device: Option<&str>) -> Result<()> {
        let mut state = self.state();
        let State { stage, ramps, start, now, .. } = &mut *state;
        let holds = |knob: usize, time: Time| self.held(ramps, knob, since(*start, time));
        stage.start(name, device, *now, &self.channels, &holds)?;
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
        let mut fires = false;
        for (target, value) in targets.into_iter().flatten() {
            let knob = match target {
                Target::Knob(knob) => knob,
                Target::Signal(signal) => {
                    state.signals[signal] = value;
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
            state.written[knob] = state.now;
            fires |= value != 0.0 && self.channels.knobs[knob].quantity == Some(Quantities::Trigger);
        }
        if fires {
            self.fire(&mut state);
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
