//! A plant as a control system: one thread owns it, whatever protocols show it.

use crate::{Cancel, Channel, ChannelInfo, Fault, Plant, Reading, Shape, Time, Value, Write};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the thread looks whether to stop.
const STOP_LATENCY: Duration = Duration::from_millis(30);

/// The shortest time between two shots, whatever the plant says.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// What is written and what the plant became by it are so far apart: stamps of TANGO have microseconds.
const STEP: Duration = Duration::from_micros(1);

/// After what silence a series of writes that nobody waits for to be shown is taken to be over.
const QUIET: Duration = Duration::from_micros(500);

/// How long such a series may go on before it is shown.
const SERIES: Duration = Duration::from_millis(20);

/// One protocol on which a plant is shown; dropping it ends what it shows.
pub trait Outlet: Send {
    /// What a channel (its place in the plant's list) holds from now on; at the latest [`Outlet::flush`] shows it.
    fn post(&mut self, place: usize, reading: &Reading);

    /// Called when a shot or a batch of writes has been posted: whoever reads from now on, reads that.
    fn flush(&mut self) {}

    /// Whether it still serves; the plant stops with the first that does not.
    fn is_running(&self) -> bool;
}

/// What an outlet is opened with.
pub struct Stage {
    /// The plant's channels, in its order.
    pub channels: Arc<[ChannelInfo]>,
    /// What each holds at the beginning.
    pub readings: Vec<Reading>,
    /// Where clients' writes go.
    pub puts: Puts,
}

impl Stage {
    /// For protocols that have no tables.
    ///
    /// # Errors
    /// `facility` if a channel is one.
    pub fn without_tables(&self, protocol: &str) -> Result<()> {
        let Some(table) = self.channels.iter().find(|info| matches!(info.shape, Shape::Table(..))) else {
            return Ok(());
        };
        let what = format!("{} is a table, which cannot be served over {protocol}", table.channel);
        Err(Diagnostic::new(Kind::Facility, what).hint("serve it over PV Access: `--protocol pva`").into())
    }
}

/// Takes clients' writes to the plant: the one way in for all protocols.
#[derive(Clone)]
pub struct Puts {
    infos: Arc<HashMap<Channel, ChannelInfo>>,
    sender: Sender<Asked>,
    /// Writes that were sent and whose effect is not shown yet.
    unshown: Arc<AtomicUsize>,
}

/// What is asked of the thread that owns the plant.
enum Asked {
    Put(Put),
    /// To be called when what was written before is shown.
    Shown(Box<dyn FnOnce() + Send>),
}

type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

struct Put {
    write: Write,
    answer: Answer,
    /// Answered when the plant has it, before what it became by it is shown.
    early: bool,
}

impl Puts {
    /// Asks the plant to take a number or a row; `answer` is called when it has and what it became by it is shown, or with the
    /// reason why it has not.
    ///
    /// `value` is none where the client sent something that is neither.
    pub fn ask(
        &self,
        channel: &Channel,
        value: Option<Value>,
        answer: impl FnOnce(Result<(), String>) + Send + 'static,
    ) {
        self.put(channel, value, Box::new(answer), false);
    }

    /// The same for protocols in which each write of a client waits for the one before: `answer` is called when the
    /// plant has the number and shows that; what it became by it is shown when the series is over, or when somebody
    /// asks ([`Puts::when_shown`]), which has to come before each reading that is given to a client.
    pub fn ask_in_series(
        &self,
        channel: &Channel,
        value: Option<Value>,
        answer: impl FnOnce(Result<(), String>) + Send + 'static,
    ) {
        self.put(channel, value, Box::new(answer), true);
    }

    fn put(&self, channel: &Channel, value: Option<Value>, answer: Answer, early: bool) {
        match self.check(channel, value) {
            Err(why) => answer(Err(why)),
            Ok(value) => {
                self.unshown.fetch_add(1, Ordering::SeqCst);
                let put = Put { write: Write { channel: channel.clone(), value }, answer, early };
                if let Err(SendError(Asked::Put(unsent))) = self.sender.send(Asked::Put(put)) {
                    (unsent.answer)(Err("the server stops".into()));
                }
            }
        }
    }

    /// Whether all that was written is shown.
    pub fn are_shown(&self) -> bool {
        self.unshown.load(Ordering::SeqCst) == 0
    }

    /// Calls when what was written before is shown; at once where the server stops.
    pub fn when_shown(&self, answer: impl FnOnce() + Send + 'static) {
        if let Err(SendError(Asked::Shown(unsent))) = self.sender.send(Asked::Shown(Box::new(answer))) {
            unsent();
        }
    }

    fn check(&self, channel: &Channel, value: Option<Value>) -> Result<Value, String> {
        let info = self.infos.get(channel).ok_or("there is no such channel")?;
        if !info.writable {
            return Err("this is a readback, it cannot be written".into());
        }
        let value = match (&info.shape, value) {
            (Shape::Vector(length), Some(Value::Vector(row))) if row.len() == *length => Value::Vector(row),
            (Shape::Vector(length), _) => return Err(format!("takes a row of {length} numbers")),
            (_, Some(Value::Vector(row))) if row.len() == 1 => Value::Number(row[0]),
            (_, value) => Value::Number(value.and_then(|value| value.number()).ok_or("not a number")?),
        };
        if value.entries().iter().any(|number| !number.is_finite()) {
            return Err("not a number".into());
        }
        let Some((low, high)) = info.limits else { return Ok(value) };
        match value.entries().iter().find(|number| **number < low || **number > high) {
            Some(number) => {
                let unit = &info.unit;
                Err(format!("{number} {unit} is outside its limits {low} to {high} {unit}"))
            }
            None => Ok(value),
        }
    }
}

/// A plant that is being served; dropping it stops it.
pub struct Host {
    closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Opens outlets and serves `plant` on them until `cancel` is stopped or the handle is dropped.
    ///
    /// The plant's clock follows the wall clock, one shot every [`Plant::period`].
    ///
    /// # Errors
    /// Those of `open`; `machine` if there is no thread.
    pub fn start(
        plant: Arc<dyn Plant>,
        cancel: Cancel,
        open: impl FnOnce(&Stage) -> Result<Vec<Box<dyn Outlet>>>,
    ) -> Result<Host> {
        let infos: Arc<[ChannelInfo]> = plant.channels().into();
        let channels: Vec<Channel> = infos.iter().map(|info| info.channel.clone()).collect();
        let now = plant.now();
        let first = plant.sample(&channels);
        let readings: Vec<Reading> =
            infos.iter().zip(first).map(|(info, first)| first.unwrap_or_else(|f| unread(info, f, now))).collect();
        let (sender, puts) = channel();
        let unshown = Arc::new(AtomicUsize::new(0));
        let by_name = infos.iter().map(|info| (info.channel.clone(), info.clone())).collect();
        let stage = Stage {
            channels: infos.clone(),
            readings: readings.clone(),
            puts: Puts { infos: Arc::new(by_name), sender, unshown: unshown.clone() },
        };
        let outlets = open(&stage)?;
        drop(stage);
        let places = channels.iter().cloned().enumerate().map(|(place, channel)| (channel, place)).collect();
        let series = Series { unshown, count: 0, times: None, answers: Vec::new(), asked: Vec::new() };
        let mut host = PlantLoop { plant, outlets, infos, last: readings, channels, places, series };
        let closed = Arc::new(AtomicBool::new(false));
        let ended = closed.clone();
        let work = move || host.run(&puts, || cancel.is_stopped() || ended.load(Ordering::Relaxed));
        let thread = std::thread::Builder::new().name("plant".into()).spawn(work);
        let thread =
            thread.map_err(|error| Diagnostic::new(Kind::Machine, format!("no thread for the plant: {error}")))?;
        Ok(Host { closed, thread: Some(thread) })
    }

    /// Whether it still serves.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A plant, what it showed last, and where.
struct PlantLoop {
    plant: Arc<dyn Plant>,
    outlets: Vec<Box<dyn Outlet>>,
    infos: Arc<[ChannelInfo]>,
    last: Vec<Reading>,
    channels: Vec<Channel>,
    places: HashMap<Channel, usize>,
    series: Series,
}

/// Writes that the plant has and whose effect is not shown yet.
struct Series {
    /// Of these and of those that are on their way.
    unshown: Arc<AtomicUsize>,
    count: usize,
    /// When the first and the last of them came.
    times: Option<(Instant, Instant)>,
    /// Who waits to be answered.
    answers: Vec<Answer>,
    asked: Vec<Box<dyn FnOnce() + Send>>,
}

impl Series {
    /// Writes that were refused have no effect.
    fn refused(&self, count: usize) {
        self.unshown.fetch_sub(count, Ordering::SeqCst);
    }

    fn is_waited_for(&self) -> bool {
        !self.answers.is_empty() || !self.asked.is_empty()
    }

    /// When it is to be shown, if nothing more comes.
    fn due(&self) -> Option<Instant> {
        self.times.map(|(first, last)| (first + SERIES).min(last + QUIET))
    }
}

impl PlantLoop {
    /// Applies writes as they come and posts a shot every period, until `stop` says so.
    ///
    /// Writes that wait together are applied together, and one shot shows what they did.
    fn run(&mut self, puts: &Receiver<Asked>, stop: impl Fn() -> bool) {
        let period = self.plant.period().max(SHORTEST_PERIOD);
        let mut next = Instant::now() + period;
        while !stop() && self.outlets.iter().all(|outlet| outlet.is_running()) {
            let until = self.series.due().map_or(next, |due| due.min(next));
            let pause = until.saturating_duration_since(Instant::now()).min(STOP_LATENCY);
            match puts.recv_timeout(pause) {
                Ok(first) => self.take(std::iter::once(first).chain(puts.try_iter())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let is_due = |due: Instant| Instant::now() >= due;
            let shot = is_due(next);
            if shot || self.series.is_waited_for() || self.series.due().is_some_and(is_due) {
                self.show(shot);
            }
            if shot {
                next = (next + period).max(Instant::now());
            }
        }
    }

    /// Moves the plant to the present, which is later than all that it showed before.
    fn present(&self) -> Time {
        let now = Time::wall().max(self.plant.now().after(STEP));
        self.plant.advance(now);
        now
    }

    fn take(&mut self, asked: impl Iterator<Item = Asked>) {
        let mut batch = Vec::new();
        for asked in asked {
            match asked {
                Asked::Put(put) => batch.push(put),
                Asked::Shown(answer) => self.series.asked.push(answer),
            }
        }
        if !batch.is_empty() {
            self.apply(batch);
        }
    }

    /// Lets monitors take a shot and posts what is new: another value or validity, or, where asked for and for what
    /// clients cannot write, a later time.
    fn post_news(&mut self, stamps: bool) {
        self.plant.trigger();
        let now = self.plant.now();
        let readings = self.plant.sample(&self.channels);
        for (place, reading) in readings.into_iter().enumerate() {
            let info = &self.infos[place];
            let reading = reading.unwrap_or_else(|fault| unread(info, fault, now));
            let last = &self.last[place];
            let later = stamps && !info.writable && reading.time != last.time;
            if later || !reading.value.is_same(&last.value) || reading.validity != last.validity {
                self.post(place, reading);
            }
        }
    }

    fn flush(&mut self) {
        self.outlets.iter_mut().for_each(|outlet| outlet.flush());
    }

    fn post(&mut self, place: usize, reading: Reading) {
        self.outlets.iter_mut().for_each(|outlet| outlet.post(place, &reading));
        self.last[place] = reading;
    }

    /// Applies a batch; what the plant refuses is refused alone, the rest is applied without it.
    ///
    /// The plant's clock moves first, so that setpoints, their readbacks and the next shot follow
    /// each other in time.
    fn apply(&mut self, mut batch: Vec<Put>) {
        let now = self.present();
        while !batch.is_empty() {
            let writes: Vec<Write> = batch.iter().map(|put| put.write.clone()).collect();
            match self.plant.apply(&writes) {
                Ok(()) => return self.done(batch, now),
                Err(faults) => {
                    let count = batch.len();
                    batch = refuse(batch, &faults);
                    self.series.refused(count - batch.len());
                }
            }
        }
    }

    /// Posts what was written, also where it was that before.
    fn done(&mut self, batch: Vec<Put>, now: Time) {
        let channels: Vec<Channel> = batch.iter().map(|put| put.write.channel.clone()).collect();
        for (channel, reading) in channels.iter().zip(self.plant.sample(&channels)) {
            if let Some(&place) = self.places.get(channel) {
                let reading = reading.unwrap_or_else(|fault| unread(&self.infos[place], fault, now));
                self.post(place, Reading { time: now, ..reading });
            }
        }
        self.flush();
        let present = Instant::now();
        self.series.times = Some((self.series.times.map_or(present, |(first, _)| first), present));
        self.series.count += batch.len();
        for put in batch {
            match put.early {
                true => (put.answer)(Ok(())),
                false => self.series.answers.push(put.answer),
            }
        }
    }

    /// Posts what the plant became by the writes before, then answers who waits for that; the shot of a period posts what
    /// is later, too.
    fn show(&mut self, shot: bool) {
        let written = self.series.times.take().is_some();
        if shot {
            self.present();
        } else if written {
            self.plant.advance(self.plant.now().after(STEP));
        }
        if shot || written {
            self.post_news(shot);
            self.flush();
        }
        self.series.unshown.fetch_sub(std::mem::take(&mut self.series.count), Ordering::SeqCst);
        std::mem::take(&mut self.series.answers).into_iter().for_each(|answer| answer(Ok(())));
        std::mem::take(&mut self.series.asked).into_iter().for_each(|answer| answer());
    }
}

/// Answers the refused writes; returns those that may be tried again without them.
fn refuse(batch: Vec<Put>, faults: &[Fault]) -> Vec<Put> {
    let named = |put: &Put| faults.iter().find(|fault| fault.channel == put.write.channel);
    let nobody = !batch.iter().any(|put| named(put).is_some());
    let why = |put: &Put| match named(put) {
        Some(fault) => Some(fault.reason.clone()),
        None => nobody.then(|| "the plant refused the whole batch".to_owned()),
    };
    let mut rest = Vec::new();
    for put in batch {
        match why(&put) {
            Some(reason) => (put.answer)(Err(reason)),
            None => rest.push(put),
        }
    }
    rest
}

/// What is shown for a channel that the plant could not read.
fn unread(info: &ChannelInfo, fault: Fault, now: Time) -> Reading {
    let row = |length: usize| Value::Vector(vec![f64::NAN; length].into());
    let value = match &info.shape {
        Shape::Scalar => Value::Number(f64::NAN),
        Shape::Vector(length) => row(*length),
        Shape::Image(width, height) => Value::Image { width: *width, pixels: vec![f64::NAN; width * height].into() },
        Shape::Table(names, length) => Value::Table(names.iter().map(|name| (name.clone(), row(*length))).collect()),
    };
    Reading::invalid(value, now, fault.reason)
}
