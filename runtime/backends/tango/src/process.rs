//! The process that runs the TANGO server: libtango wants a process of its own, and may end it.

use crate::address::Address;
use crate::ffi::{self, Failure, Held, Served};
use crate::frames::{Asked, Frame, heard};
use fodo_control::{ChannelInfo, Shape};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::{HashMap, VecDeque};
use std::io::{BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How long the program may take for a write: a plant answers at once.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a reading waits for writes that are under way.
const PATIENCE: Duration = Duration::from_millis(500);

/// Events that wait for clients; beyond it the oldest go.
const EVENTS: usize = 100_000;

/// What the threads of libtango share with the program.
struct Desk {
    held: Vec<Mutex<Held>>,
    program: Mutex<UnixStream>,
    asked: Mutex<HashMap<u64, SyncSender<String>>>,
    answered: Condvar,
    next: AtomicU64,
    events: Mutex<VecDeque<(usize, Held)>>,
    filled: Condvar,
}

static DESK: OnceLock<Desk> = OnceLock::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves what the program that started this process says, until one of both ends.
///
/// # Errors
/// `usage` if no program has started it, `machine` if it cannot serve.
pub fn serve_process() -> Result<()> {
    let by_hand = || Diagnostic::new(Kind::Usage, "this is started by `fodo serve --protocol tango`, not by hand");
    let stream = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from).map_err(|_| by_hand())?;
    let mut incoming = BufReader::new(stream.try_clone().map_err(|_| by_hand())?);
    let Ok(Frame::Hello(text)) = Frame::read(&mut incoming) else { return Err(by_hand().into()) };
    let Asked { channels, endpoint, instance } = heard(&text).ok_or_else(by_hand)?;
    let served = served(&channels)?;
    let desk = Desk {
        held: channels.iter().map(|_| Mutex::new(Held { quality: ffi::quality::INVALID, ..Held::default() })).collect(),
        program: Mutex::new(stream),
        asked: Mutex::default(),
        answered: Condvar::new(),
        next: AtomicU64::new(1),
        events: Mutex::default(),
        filled: Condvar::new(),
    };
    let desk = DESK.get_or_init(|| desk);
    // the first value of each channel comes before anything else
    for _ in 0..channels.len() {
        if let Ok(frame) = Frame::read(&mut incoming) {
            desk.take(frame);
        }
    }
    let no_thread = |error| Diagnostic::new(Kind::Machine, format!("no thread for the TANGO server: {error}"));
    let listen = move || {
        while let Ok(frame) = Frame::read(&mut incoming) {
            desk.take(frame);
        }
        // the program has ended
        ffi::exit(0);
    };
    std::thread::Builder::new().name("program".into()).spawn(listen).map_err(no_thread)?;
    let failure = ffi::serve(&served, &endpoint, &instance);
    let (Failure::Refused(why) | Failure::Absent(why) | Failure::TimedOut(why) | Failure::NoEvents(why)) = failure;
    desk.send(&Frame::Failed(why.clone()));
    Err(Diagnostic::new(Kind::Machine, format!("the TANGO server could not be started: {why}")).into())
}

/// The attributes that channels are served as.
///
/// # Errors
/// `facility` if two channels would be one attribute, or a name cannot be one.
pub fn served(channels: &[ChannelInfo]) -> Result<Vec<Served>> {
    let mut seen: HashMap<String, &ChannelInfo> = HashMap::new();
    channels
        .iter()
        .map(|info| {
            let problem = |what: String| Diagnostic::new(Kind::Facility, what);
            let (device, attribute) = Address::served(&info.channel).map_err(&problem)?;
            let name = format!("{device}/{attribute}");
            if let Some(other) = seen.insert(name.to_ascii_lowercase(), info) {
                let two = format!(
                    "the channels {} and {} would both be the TANGO attribute {name}",
                    other.channel, info.channel
                );
                return Err(problem(two).hint("rename one of them").into());
            }
            Ok(one(info, device, attribute))
        })
        .collect()
}

fn one(info: &ChannelInfo, device: String, attribute: String) -> Served {
    let text = |number: Option<f64>| number.filter(|n| n.is_finite()).map(|n| format!("{n:?}")).unwrap_or_default();
    let pair = |range: Option<(f64, f64)>| [text(range.map(|r| r.0)), text(range.map(|r| r.1))];
    let [lowest, highest] = pair(info.limits);
    let [warning_low, warning_high] = pair(info.alarms.warning);
    let [alarm_low, alarm_high] = pair(info.alarms.alarm);
    let format = format!("%.{}f", info.precision.clamp(0, 17));
    let label = info.channel.to_string();
    let unit = info.unit.clone();
    let (length, height, spectrum) = match info.shape {
        // the outlet takes no tables
        Shape::Scalar | Shape::Table(..) => (1, 0, false),
        Shape::Vector(length) => (length, 0, true),
        Shape::Image(width, height) => (width, height, true),
    };
    let texts = [
        attribute,
        label,
        unit,
        format,
        lowest,
        highest,
        warning_low,
        warning_high,
        alarm_low,
        alarm_high,
        info.description.clone(),
    ];
    Served { device, texts, length, height, spectrum, writable: info.writable }
}

impl Desk {
    fn take(&self, frame: Frame) {
        match frame {
            Frame::Post(place, held) => {
                let Some(here) = self.held.get(place as usize) else { return };
                *lock(here) = held.clone();
                let mut events = lock(&self.events);
                if events.len() >= EVENTS {
                    events.pop_front();
                }
                if events.is_empty() {
                    self.filled.notify_one();
                }
                events.push_back((place as usize, held));
            }
            Frame::Answer(id, text) => {
                if let Some(asker) = lock(&self.asked).remove(&id) {
                    _ = asker.send(text);
                }
                self.answered.notify_all();
            }
            _ => {}
        }
    }

    fn send(&self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.append(&mut bytes);
        _ = lock(&self.program).write_all(&bytes);
    }

    /// Sends events as they come. A write holds its device locked until the program answers, so that this must not
    /// be the thread that takes the answers.
    fn events(&self) {
        loop {
            let all = {
                let mut events = lock(&self.events);
                while events.is_empty() {
                    events = self.filled.wait(events).unwrap_or_else(PoisonError::into_inner);
                }
                std::mem::take(&mut *events)
            };
            for (place, held) in all {
                ffi::serve_event(place, &held);
            }
        }
    }
}

/// The devices are there.
pub fn ready() {
    let Some(desk) = DESK.get() else { return };
    lock(&desk.events).clear();
    match std::thread::Builder::new().name("events".into()).spawn(|| desk.events()) {
        Ok(_) => desk.send(&Frame::Ready),
        Err(error) => desk.send(&Frame::Failed(format!("no thread for events: {error}"))),
    }
}

/// What a channel holds; writes that are under way are waited for, so that who writes and does not wait for the answer
/// reads what it did.
pub fn held(place: usize) -> Held {
    if let Some(desk) = DESK.get() {
        let last = desk.next.load(Ordering::Relaxed);
        let under_way = |asked: &mut HashMap<u64, _>| asked.keys().any(|id| *id < last);
        let waited = desk.answered.wait_timeout_while(lock(&desk.asked), PATIENCE, under_way);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
    DESK.get().and_then(|desk| desk.held.get(place)).map(|held| lock(held).clone()).unwrap_or_default()
}

/// Asks the program to write.
///
/// # Errors
/// Why it did not.
pub fn put(place: usize, values: &[f64]) -> std::result::Result<(), String> {
    let desk = DESK.get().ok_or("the server has not begun")?;
    let id = desk.next.fetch_add(1, Ordering::Relaxed);
    let (asker, answer) = sync_channel(1);
    lock(&desk.asked).insert(id, asker);
    desk.send(&Frame::Put(id, place as u32, values.to_vec()));
    match answer.recv_timeout(ANSWER) {
        Ok(text) if text.is_empty() => Ok(()),
        Ok(text) => Err(text),
        Err(_) => {
            lock(&desk.asked).remove(&id);
            Err("the simulated machine did not answer; the write may have arrived".into())
        }
    }
}
