//! Monitors: change events, polling where there are none, and whether devices are still there.

use crate::address::What;
use crate::client::Target;
use crate::device::Device;
use crate::ffi::{Failure, Proxy, Sample, Subscription};
use crate::pool::{Job, Pool};
use crate::values::fault;
use fodo_control::{Channel, Fault, Feed, Reading};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Time between two looks whether a device that sends events is still there, and between two tries to find one.
const LOOK: Duration = Duration::from_secs(1);

/// How long a look, or a poll, may take.
const ANSWER: i32 = 2000;

/// Time between two polls, if `FODO_TANGO_POLL` does not say.
const POLL: Duration = Duration::from_millis(200);

/// Channels by the number that their events carry.
static EVENTS: LazyLock<Mutex<HashMap<u64, Weak<Watch>>>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everybody who follows a channel.
#[derive(Clone)]
pub struct Followers {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    period: Duration,
    devices: Mutex<HashMap<Arc<str>, Arc<Followed>>>,
    /// Channels that are polled.
    polled: Mutex<HashMap<Channel, Arc<Watch>>>,
    woken: Condvar,
    closed: AtomicBool,
}

/// A device of which something is followed.
struct Followed {
    device: Arc<Device>,
    watches: Mutex<Vec<Arc<Watch>>>,
    /// The connection of its events; held for as long as they are subscribed.
    line: Mutex<Option<Proxy>>,
    busy: AtomicBool,
    looked: Mutex<Option<Instant>>,
}

/// A channel that is followed.
struct Watch {
    id: u64,
    target: Target,
    attribute: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    feeds: Vec<(Feed, usize)>,
    newest: Option<std::result::Result<Reading, Fault>>,
    source: Source,
    /// When it is to be read once more, as the first events may get lost while they are being connected.
    again: Option<Instant>,
}

/// Where samples come from.
#[derive(Default)]
enum Source {
    /// Not found yet, or lost.
    #[default]
    None,
    Events(Subscription),
    Polls,
}

impl Watch {
    /// Tells the followers, if it is news.
    fn tell(&self, reading: std::result::Result<Reading, Fault>, polled: bool) {
        let mut state = lock(&self.state);
        let news = match (&state.newest, &reading) {
            // a poll that was overtaken by the reading after a write
            (Some(Ok(old)), Ok(new)) if polled && new.time < old.time && old.time.0 - new.time.0 < 10_000_000_000 => {
                false
            }
            (Some(Ok(old)), Ok(new)) if polled => old.value != new.value || old.validity != new.validity,
            (Some(Err(old)), Err(new)) => old != new,
            _ => true,
        };
        if news {
            state.feeds.retain(|(feed, place)| feed.push(*place, reading.clone()));
        }
        if news || !polled || reading.is_ok() {
            state.newest = Some(reading);
        }
    }

    fn is_wanted(&self) -> bool {
        let mut state = lock(&self.state);
        state.feeds.retain(|(feed, _)| feed.is_wanted());
        !state.feeds.is_empty()
    }
}

/// An event of a followed attribute, on a thread of libtango.
pub fn on_event(id: u64, sample: std::result::Result<Sample, Failure>) {
    let Some(watch) = lock(&EVENTS).get(&id).and_then(Weak::upgrade) else { return };
    let reading = sample.map(|sample| watch.target.device.known_reading(&watch.attribute, sample));
    watch.tell(reading.map_err(|failure| fault(&watch.target.channel, &failure, "")), false);
}

impl Followers {
    /// Starts the thread that looks after them.
    ///
    /// # Errors
    /// `machine` if there is none.
    pub fn start(pool: Pool) -> Result<Followers> {
        let poll = std::env::var("FODO_TANGO_POLL").ok().and_then(|text| text.parse().ok());
        let period = poll.filter(|ms| *ms > 0).map_or(POLL, Duration::from_millis);
        let shared = Arc::new(Shared {
            pool,
            period,
            devices: Mutex::default(),
            polled: Mutex::default(),
            woken: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let keeper = shared.clone();
        let thread = std::thread::Builder::new().name("tango-monitors".into()).spawn(move || keeper.run());
        thread.map_err(|error| Diagnostic::new(Kind::Machine, format!("no thread for TANGO monitors: {error}")))?;
        Ok(Followers { shared })
    }

    /// Follows a channel from now on.
    pub fn follow(&self, target: Target, feed: Feed, place: usize) {
        let What::Attribute(attribute) = target.what.clone() else {
            let why = "only attributes can be followed: read commands and properties";
            feed.push(place, Err(Fault::refused(&target.channel, why)));
            return;
        };
        let mut devices = lock(&self.shared.devices);
        let followed = devices.entry(target.device.name().clone()).or_insert_with(|| {
            Arc::new(Followed {
                device: target.device.clone(),
                watches: Mutex::default(),
                line: Mutex::default(),
                busy: AtomicBool::new(false),
                looked: Mutex::default(),
            })
        });
        let mut watches = lock(&followed.watches);
        let known = watches.iter().find(|watch| watch.target.channel == target.channel).cloned();
        let watch = known.unwrap_or_else(|| {
            static NEXT: AtomicU64 = AtomicU64::new(1);
            let id = NEXT.fetch_add(1, Ordering::Relaxed);
            let watch = Arc::new(Watch { id, target, attribute, state: Mutex::default() });
            lock(&EVENTS).insert(id, Arc::downgrade(&watch));
            watches.push(watch.clone());
            watch
        });
        let mut state = lock(&watch.state);
        if let Some(newest) = &state.newest {
            feed.push(place, newest.clone());
        }
        state.feeds.push((feed, place));
        drop(state);
        *lock(&followed.looked) = None;
        drop(watches);
        self.shared.woken.notify_all();
    }

    /// Whether a channel is polled for somebody.
    pub fn polls(&self, channel: &Channel) -> bool {
        lock(&self.shared.polled).contains_key(channel)
    }

    /// Reads channels of one device that are polled, since they were written.
    pub fn read(&self, proxy: &mut Proxy, targets: &[Target]) {
        let watches: Vec<Arc<Watch>> = {
            let polled = lock(&self.shared.polled);
            targets.iter().filter_map(|target| polled.get(&target.channel).cloned()).collect()
        };
        poll(proxy, &watches);
    }

    /// Ends all.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.woken.notify_all();
    }
}

/// Reads channels of one device and tells who follows them; whether the device is still there.
fn poll(proxy: &mut Proxy, watches: &[Arc<Watch>]) -> bool {
    let Some(first) = watches.first() else { return true };
    let names: Vec<String> = watches.iter().map(|watch| watch.attribute.clone()).collect();
    let answers = first.target.device.read(proxy, &names, false);
    let there = answers.iter().any(|answer| !matches!(answer, Err(Failure::Absent(_) | Failure::TimedOut(_))));
    for (watch, answer) in watches.iter().zip(answers) {
        watch.tell(answer.map_err(|failure| fault(&watch.target.channel, &failure, "")), true);
    }
    there
}

impl Shared {
    /// Looks after all devices until closed.
    fn run(self: Arc<Shared>) {
        while !self.closed.load(Ordering::Relaxed) {
            let due: Vec<Arc<Followed>> =
                lock(&self.devices).values().filter(|one| self.is_due(one)).cloned().collect();
            for followed in due {
                followed.busy.store(true, Ordering::Relaxed);
                let shared = self.clone();
                self.pool.submit([Box::new(move || {
                    shared.look_after(&followed);
                    followed.busy.store(false, Ordering::Relaxed);
                }) as Job]);
            }
            let devices = lock(&self.devices);
            let pause = self.period.min(Duration::from_millis(100)) / 2;
            drop(self.woken.wait_timeout(devices, pause).unwrap_or_else(PoisonError::into_inner));
        }
        // what libtango still sends finds nobody
        let devices: Vec<_> = lock(&self.devices).drain().collect();
        for (_, followed) in devices {
            lose(&followed, lock(&followed.line).take());
            lock(&followed.watches).iter().for_each(|watch| _ = lock(&EVENTS).remove(&watch.id));
        }
    }

    fn is_due(&self, followed: &Followed) -> bool {
        if followed.busy.load(Ordering::Relaxed) {
            return false;
        }
        let polls = lock(&followed.watches).iter().any(|watch| matches!(lock(&watch.state).source, Source::Polls));
        let pause = if polls { self.period } else { LOOK };
        lock(&followed.looked).is_none_or(|looked| looked.elapsed() >= pause)
    }

    /// One round for one device, on a thread of the pool.
    fn look_after(&self, followed: &Arc<Followed>) {
        *lock(&followed.looked) = Some(Instant::now());
        let mut line = lock(&followed.line);
        self.leave(followed, &mut line);
        let watches = lock(&followed.watches).clone();
        if watches.is_empty() {
            return;
        }
        if let Err(failure) = self.round(followed, &mut line, &watches) {
            // first: to end the subscriptions of a server that hangs takes seconds
            watches.iter().for_each(|watch| watch.tell(Err(fault(&watch.target.channel, &failure, "")), false));
            lose(followed, line.take());
            followed.device.forget();
            let mut polled = lock(&self.polled);
            watches.iter().for_each(|watch| _ = polled.remove(&watch.target.channel));
        }
    }

    /// Ends what nobody follows any more.
    fn leave(&self, followed: &Followed, line: &mut Option<Proxy>) {
        let gone: Vec<Arc<Watch>> = {
            let mut watches = lock(&followed.watches);
            let (wanted, gone) = watches.drain(..).partition(|watch| watch.is_wanted());
            *watches = wanted;
            gone
        };
        for watch in gone {
            lock(&EVENTS).remove(&watch.id);
            lock(&self.polled).remove(&watch.target.channel);
            let source = std::mem::take(&mut lock(&watch.state).source);
            if let (Source::Events(subscription), Some(proxy)) = (source, line.as_mut()) {
                proxy.unsubscribe(subscription);
            }
        }
    }

    /// Finds sources for channels that have none, polls those without events, and asks whether the device is there.
    fn round(
        &self,
        followed: &Followed,
        line: &mut Option<Proxy>,
        watches: &[Arc<Watch>],
    ) -> std::result::Result<(), Failure> {
        let device = &followed.device;
        let proxy = match line {
            Some(proxy) => proxy,
            None => line.insert(Proxy::open(device.name())?),
        };
        proxy.timeout(ANSWER);
        for watch in watches {
            if matches!(lock(&watch.state).source, Source::None) {
                self.begin(device, proxy, watch)?;
            }
        }
        let is_read = |watch: &&Arc<Watch>| {
            let mut state = lock(&watch.state);
            match state.source {
                Source::Polls => true,
                Source::Events(_) => state.again.take_if(|at| *at <= Instant::now()).is_some(),
                Source::None => false,
            }
        };
        let polled: Vec<Arc<Watch>> = watches.iter().filter(is_read).cloned().collect();
        let there = match polled.is_empty() {
            false => poll(proxy, &polled),
            true => return proxy.read(&["State".into()], false).remove(0).map(drop),
        };
        if there { Ok(()) } else { Err(proxy.read(&["State".into()], false).remove(0).err().unwrap_or_else(gone)) }
    }

    fn begin(&self, device: &Device, proxy: &mut Proxy, watch: &Arc<Watch>) -> std::result::Result<(), Failure> {
        // the names of states have to be known before the first event
        match device.attribute(proxy, &watch.attribute) {
            Ok(_) => {}
            Err(failure @ (Failure::Absent(_) | Failure::TimedOut(_))) if device.attributes(proxy, true).is_err() => {
                return Err(failure);
            }
            Err(failure) => {
                watch.tell(Err(fault(&watch.target.channel, &failure, "")), true);
                return Ok(());
            }
        }
        let source = match proxy.subscribe(&watch.attribute, watch.id) {
            Ok(subscription) => Source::Events(subscription),
            Err(failure @ (Failure::Absent(_) | Failure::TimedOut(_))) => return Err(failure),
            Err(_no_events) => {
                lock(&self.polled).insert(watch.target.channel.clone(), watch.clone());
                Source::Polls
            }
        };
        let mut state = lock(&watch.state);
        (state.source, state.again) = (source, Some(Instant::now() + LOOK / 2));
        Ok(())
    }
}

fn gone() -> Failure {
    Failure::Absent("disconnected".into())
}

/// Ends the subscriptions of a device, with the connection that they belong to.
fn lose(followed: &Followed, line: Option<Proxy>) {
    let Some(mut proxy) = line else { return };
    for watch in lock(&followed.watches).iter() {
        let source = std::mem::take(&mut lock(&watch.state).source);
        if let Source::Events(subscription) = source {
            proxy.unsubscribe(subscription);
        }
    }
}
