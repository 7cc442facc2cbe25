//! A plant as a control system: one thread owns it, whatever protocols show it.

use crate::{Cancel, Channel, ChannelInfo, Fault, Plant, Reading, Shape, Time, Value, Write};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the thread looks whether to stop.
const STOP_LATENCY: Duration = Duration::from_millis(30);

/// The shortest time between two shots, whatever the plant says.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// One protocol on which a plant is shown; dropping it ends what it shows.
pub trait Outlet: Send {
    /// Shows what a channel (its place in the plant's list) holds from now on.
    fn post(&mut self, place: usize, reading: &Reading);

    /// Called when a shot or a batch of writes has been posted.
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
    sender: Sender<Put>,
}

struct Put {
    write: Write,
    answer: Box<dyn FnOnce(Result<(), String>) + Send>,
}

impl Puts {
    /// Asks the plant to take a number; `answer` is called when it has, or with the reason why not.
    ///
    /// `value` is none where the client sent something that is not one number.
    pub fn ask(&self, channel: &Channel, value: Option<f64>, answer: impl FnOnce(Result<(), String>) + Send + 'static) {
        match self.check(channel, value) {
            Err(why) => answer(Err(why)),
            Ok(value) => {
                let put = Put { write: Write::number(channel, value), answer: Box::new(answer) };
                if let Err(unsent) = self.sender.send(put) {
                    (unsent.0.answer)(Err("the server stops".into()));
                }
            }
        }
    }

    fn check(&self, channel: &Channel, value: Option<f64>) -> Result<f64, String> {
        let info = self.infos.get(channel).ok_or("there is no such channel")?;
        if !info.writable {
            return Err("this is a readback, it cannot be written".into());
        }
        let value = value.filter(|number| number.is_finite()).ok_or("not a number")?;
        match info.limits {
            Some((low, high)) if value < low || value > high => {
                let unit = &info.unit;
                Err(format!("{value} {unit} is outside its limits {low} to {high} {unit}"))
            }
            _ => Ok(value),
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
        let by_name = infos.iter().map(|info| (info.channel.clone(), info.clone())).collect();
        let stage = Stage {
            channels: infos.clone(),
            readings: readings.clone(),
            puts: Puts { infos: Arc::new(by_name), sender },
        };
        let outlets = open(&stage)?;
        drop(stage);
        let places = channels.iter().cloned().enumerate().map(|(place, channel)| (channel, place)).collect();
        let mut host = PlantLoop { plant, outlets, infos, last: readings, channels, places };
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
}

impl PlantLoop {
    /// Applies writes as they come and posts a shot every period, until `stop` says so.
    ///
    /// Writes that wait together are applied together. No shot is taken for a write: the next one
    /// shows them all.
    fn run(&mut self, puts: &Receiver<Put>, stop: impl Fn() -> bool) {
        let period = self.plant.period().max(SHORTEST_PERIOD);
        let mut next = Instant::now() + period;
        while !stop() && self.outlets.iter().all(|outlet| outlet.is_running()) {
            let pause = next.saturating_duration_since(Instant::now()).min(STOP_LATENCY);
            match puts.recv_timeout(pause) {
                Ok(first) => self.apply(std::iter::once(first).chain(puts.try_iter()).collect()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next {
                self.shot();
                next = (next + period).max(Instant::now());
            }
        }
    }

    /// Moves the plant to the present, which is later than all that it showed before.
    fn present(&self) -> Time {
        let now = Time::wall().max(self.plant.now().after(Duration::from_nanos(1)));
        self.plant.advance(now);
        now
    }

    /// Moves the plant to the present and posts what is new: another value or validity, or, for what
    /// clients cannot write, a later time.
    fn shot(&mut self) {
        let now = self.present();
        let readings = self.plant.sample(&self.channels);
        for (place, reading) in readings.into_iter().enumerate() {
            let info = &self.infos[place];
            let reading = reading.unwrap_or_else(|fault| unread(info, fault, now));
            let last = &self.last[place];
            let later = !info.writable && reading.time != last.time;
            if later || reading.value != last.value || reading.validity != last.validity {
                self.post(place, reading);
            }
        }
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
                Err(faults) => batch = refuse(batch, &faults),
            }
        }
    }

    /// Posts what was written, also where it was that before, then answers the clients.
    fn done(&mut self, batch: Vec<Put>, now: Time) {
        let channels: Vec<Channel> = batch.iter().map(|put| put.write.channel.clone()).collect();
        for (channel, reading) in channels.iter().zip(self.plant.sample(&channels)) {
            if let Some(&place) = self.places.get(channel) {
                let reading = reading.unwrap_or_else(|fault| unread(&self.infos[place], fault, now));
                self.post(place, Reading { time: now, ..reading });
            }
        }
        self.outlets.iter_mut().for_each(|outlet| outlet.flush());
        batch.into_iter().for_each(|put| (put.answer)(Ok(())));
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
        Shape::Table(names, length) => Value::Table(names.iter().map(|name| (name.clone(), row(*length))).collect()),
    };
    Reading::invalid(value, now, fault.reason)
}
