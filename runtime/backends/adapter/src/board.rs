//! What is known of the adapter and its channels; all threads meet here.

use crate::values;
use crate::wire::{Answer, Ask, Line, Problem, TestChannels};
use fodo_control::{Channel, Fault, Feed, Reading, Time};
use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A channel that is not there is asked for again after this, then after twice as long, and so on.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// The longest pause between two questions about a channel that is not there.
const LAST_RETRY: Duration = Duration::from_secs(15);

/// How long the adapter may take to answer a subscription.
const SUBSCRIBE: Duration = Duration::from_secs(10);

/// Event lines that the adapter may send before they are acknowledged.
pub const WINDOW: u64 = 64;

/// Everything that the threads share.
#[derive(Default)]
pub struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

impl Board {
    /// The present state, for as long as the guard lives.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all who wait for a change.
    pub fn wake(&self) {
        self.changed.notify_all();
    }

    /// Lets the others work until something changes, at most for `pause`.
    pub fn pause<'a>(&'a self, state: MutexGuard<'a, State>, pause: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// How the adapter stands.
#[derive(Default)]
pub enum Link {
    /// It has not said hello yet.
    #[default]
    Starting,
    /// It answers.
    Up(Up),
    /// It is not there.
    Down {
        /// What happened to it.
        why: String,
        /// Whether it is not started again.
        for_good: bool,
    },
}

/// An adapter that has said hello.
pub struct Up {
    pub name: String,
    pub can: Abilities,
    pub test: Option<Box<TestChannels>>,
    pub sender: SyncSender<Outgoing>,
    pub process: u32,
    /// Whether it has not answered a ping in time.
    pub hangs: bool,
}

/// What an adapter can do.
#[derive(Clone, Copy, Default)]
pub struct Abilities {
    pub write: bool,
    pub subscribe: bool,
    pub meta: bool,
    pub names: bool,
}

/// A line for the adapter, and the request in it.
pub struct Outgoing {
    pub id: Option<u64>,
    pub text: Vec<u8>,
}

/// A request and what has been answered.
#[derive(Default)]
pub struct Pending {
    pub answers: Vec<Option<Answer>>,
    /// Says it for all that are not answered.
    pub rest: Option<Problem>,
    /// What came in other keys: of `hello` and `names`.
    pub line: Option<Line>,
    pub over: bool,
    /// Whether it has left for the adapter.
    pub sent: bool,
    /// Why no answer will come.
    pub lost: Option<String>,
    /// The channels and numbers of a subscription, whose answer nobody waits for, and when it is given up.
    subscription: Option<(Vec<(usize, u64)>, Instant)>,
}

/// A channel.
pub struct Known {
    pub name: Channel,
    pub newest: Option<Reading>,
    /// Why it has no reading.
    pub lost: Option<Fault>,
    followers: Vec<Follower>,
    stage: Stage,
    pause: Duration,
    /// Whether its subscription keeps every sample.
    every: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// To be subscribed.
    New,
    /// By this number.
    Subscribed(u64),
    /// To be asked for again then.
    Failed(Instant),
}

struct Follower {
    feed: Feed,
    place: usize,
    every: bool,
}

#[derive(Default)]
pub struct State {
    pub link: Link,
    pub known: Vec<Known>,
    places: HashMap<Channel, usize>,
    pub pending: HashMap<u64, Pending>,
    subscriptions: HashMap<u64, usize>,
    ids: u64,
    numbers: u64,
    /// When the adapter was heard last.
    pub heard: Option<Instant>,
    /// Lines that were not of the protocol: how many, and the last.
    pub garbage: (u64, String),
    pub closing: bool,
    acknowledged: u64,
}

impl State {
    /// The adapter, or why it does not answer.
    pub fn up(&self) -> Result<&Up, String> {
        match &self.link {
            Link::Up(up) if up.hangs => {
                let silent = self.heard.map(|heard| heard.elapsed().as_secs()).unwrap_or_default();
                Err(format!("the adapter hangs: nothing was heard of it for {silent} s"))
            }
            Link::Up(up) => Ok(up),
            Link::Starting => Err("the adapter has not said hello yet".into()),
            Link::Down { why, for_good: true } => Err(why.clone()),
            Link::Down { why, .. } => Err(format!("{why}; it is being started again")),
        }
    }

    /// The places of channels, made where they are new.
    pub fn places(&mut self, channels: &[Channel]) -> Vec<usize> {
        let State { known, places, .. } = self;
        let mut place = |channel: &Channel| {
            *places.entry(channel.clone()).or_insert_with(|| {
                known.push(Known {
                    name: channel.clone(),
                    newest: None,
                    lost: None,
                    followers: Vec::new(),
                    stage: Stage::New,
                    pause: FIRST_RETRY,
                    every: false,
                });
                known.len() - 1
            })
        };
        channels.iter().map(&mut place).collect()
    }

    /// Sends a request about `count` things; its id.
    pub fn ask(&mut self, ask: Ask, count: usize, until: Instant) -> Result<u64, String> {
        let left = until.saturating_duration_since(Instant::now());
        self.ids += 1;
        let id = self.ids;
        let ask = Ask { id: Some(id), until: Some(Time::wall().after(left).0), ..ask };
        self.send(Some(id), &ask)?;
        self.pending.insert(id, Pending { answers: (0..count).map(|_| None).collect(), ..Pending::default() });
        Ok(id)
    }

    /// Sends a line.
    pub fn send(&self, id: Option<u64>, ask: &Ask) -> Result<(), String> {
        let Link::Up(up) = &self.link else { return self.up().map(drop) };
        up.sender.try_send(outgoing(id, ask)).map_err(|_| "the adapter takes nothing in".to_string())
    }

    /// Ends a request, and tells the adapter if it is not over.
    pub fn take(&mut self, id: u64) -> Pending {
        let pending = self.pending.remove(&id).unwrap_or_default();
        if !pending.over && pending.sent {
            // an adapter that takes nothing in cannot be told; it has the time in the request itself
            _ = self.send(None, &Ask { r#do: "forget", of: Some(id), ..Ask::default() });
        }
        pending
    }

    /// Takes a line from the adapter.
    pub fn hear(&mut self, line: Line) -> Result<(), String> {
        match (line.id, line.event.as_deref()) {
            (Some(id), _) => self.answered(id, line),
            (None, Some("updates")) => self.updates(line)?,
            (None, Some(_)) => {}
            (None, None) => return Err("it has neither `id` nor `event`".into()),
        }
        Ok(())
    }

    fn answered(&mut self, id: u64, line: Line) {
        // what is not there was given up
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let Line { answers, from, more, error, .. } = line;
        for (place, answer) in answers.into_iter().flatten().enumerate() {
            if let Some(slot) = pending.answers.get_mut(from + place) {
                *slot = Some(answer);
            }
        }
        pending.over = !more;
        pending.rest = error;
        if pending.over && pending.subscription.is_some() {
            self.subscribed(id);
        } else if pending.over {
            let Line { version, name, capabilities, test, names, .. } = line;
            let kept = Line { version, name, capabilities, test, names, ..Line::default() };
            if let Some(pending) = self.pending.get_mut(&id) {
                pending.line = Some(kept);
            }
        }
    }

    fn updates(&mut self, line: Line) -> Result<(), String> {
        let number = line.number.ok_or("updates without `number`")?;
        for mut update in line.updates.ok_or("no `updates` in it")? {
            let of = update.of.take().ok_or("an update without `of`")?;
            let Some(&place) = self.subscriptions.get(&of) else { continue };
            let ended = update.ended;
            let reading = values::reading(&self.known[place].name, update);
            if ended {
                self.subscriptions.remove(&of);
                self.known[place].fail();
            }
            self.known[place].tell(reading);
        }
        if number >= self.acknowledged + WINDOW / 4 || number < self.acknowledged {
            self.acknowledged = number;
            let taken = Ask { r#do: "taken", number: Some(number), ..Ask::default() };
            // the next one says it too
            _ = self.send(None, &taken);
        }
        Ok(())
    }

    /// Lets a follower have what a channel gives.
    pub fn follow(&mut self, place: usize, feed: Feed, at: usize, every: bool) {
        let known = &mut self.known[place];
        // who wants every sample gets the first from a subscription that keeps them
        if let Some(reading) = known.newest.as_ref().filter(|_| !every || known.every) {
            feed.push(at, Ok(reading.clone()));
        }
        known.followers.push(Follower { feed, place: at, every });
        if every && !known.every {
            known.every = true;
            self.renew(place);
        }
    }

    /// Has a channel subscribed anew.
    fn renew(&mut self, place: usize) {
        if let Stage::Subscribed(number) = self.known[place].stage {
            self.subscriptions.remove(&number);
            let unsubscribe = [number];
            _ = self.unsubscribe(&unsubscribe);
        }
        self.known[place].stage = Stage::New;
    }

    fn unsubscribe(&mut self, numbers: &[u64]) -> Result<(), String> {
        self.ids += 1;
        let ask = Unsubscribe { id: self.ids, r#do: "unsubscribe", of: numbers };
        let Link::Up(up) = &self.link else { return Ok(()) };
        let text = line_of(&ask);
        up.sender.try_send(Outgoing { id: None, text }).map_err(|_| "the adapter takes nothing in".into())
    }

    /// Has channels that are not there asked for at once.
    pub fn hurry(&mut self, places: &[usize]) {
        for &place in places {
            let known = &mut self.known[place];
            if matches!(known.stage, Stage::Failed(_)) {
                known.stage = Stage::New;
            }
        }
    }

    /// Asks for subscriptions of all channels that are due.
    pub fn subscribe(&mut self) {
        let Ok(up) = self.up() else { return };
        if !up.can.subscribe {
            return;
        }
        let now = Instant::now();
        let due = |known: &Known| match known.stage {
            Stage::New => true,
            Stage::Failed(retry) => retry <= now,
            Stage::Subscribed(_) => false,
        };
        let places: Vec<usize> = (0..self.known.len()).filter(|&place| due(&self.known[place])).collect();
        if places.is_empty() {
            return;
        }
        let numbers: Vec<u64> = (self.numbers + 1..=self.numbers + places.len() as u64).collect();
        self.numbers += places.len() as u64;
        let keep = |&place: &usize| if self.known[place].every { "every" } else { "newest" };
        let names: Vec<Channel> = places.iter().map(|&place| self.known[place].name.clone()).collect();
        let ask = Ask {
            r#do: "subscribe",
            names: Some(names.iter().map(AsRef::as_ref).collect()),
            numbers: Some(numbers.clone()),
            keep: Some(places.iter().map(keep).collect()),
            ..Ask::default()
        };
        let end = now + SUBSCRIBE;
        let Ok(id) = self.ask(ask, places.len(), end) else { return };
        for (&place, &number) in places.iter().zip(&numbers) {
            self.known[place].stage = Stage::Subscribed(number);
            self.subscriptions.insert(number, place);
        }
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.subscription = Some((places.into_iter().zip(numbers).collect(), end));
        }
    }

    /// What has become of a subscription.
    fn subscribed(&mut self, id: u64) {
        let pending = self.take(id);
        let Some((asked, _)) = pending.subscription else { return };
        let late = Problem { code: "timeout".into(), text: "the adapter did not answer".into(), number: None };
        let rest = Some(pending.rest.unwrap_or(late));
        let mut dead = Vec::new();
        for ((place, number), answer) in asked.into_iter().zip(pending.answers) {
            let error = answer.map_or(rest.clone(), |answer| answer.error);
            let Some(problem) = error.filter(|_| self.known[place].stage == Stage::Subscribed(number)) else {
                continue;
            };
            self.subscriptions.remove(&number);
            let known = &mut self.known[place];
            known.fail();
            known.lost = Some(values::fault(&known.name, &problem, ""));
            if problem.code == "timeout" {
                dead.push(number);
            }
        }
        if !dead.is_empty() {
            _ = self.unsubscribe(&dead);
        }
    }

    /// Gives up subscriptions that the adapter does not answer.
    pub fn give_up(&mut self) {
        let now = Instant::now();
        let late = |pending: &Pending| pending.subscription.as_ref().is_some_and(|(_, end)| *end < now);
        let ids: Vec<u64> = self.pending.iter().filter(|(_, pending)| late(pending)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.subscribed(id));
    }

    /// The adapter is gone, or hangs: its channels have no readings.
    pub fn lose(&mut self, why: &str) {
        self.subscriptions.clear();
        self.pending.retain(|_, pending| pending.subscription.is_none());
        self.acknowledged = 0;
        for known in &mut self.known {
            known.stage = Stage::New;
            known.pause = FIRST_RETRY;
            let fault = Fault::absent(&known.name, why);
            match known.newest {
                Some(_) => known.tell(Err(fault)),
                None => known.lost = Some(fault),
            }
        }
    }

    /// Nothing that was asked will be answered.
    pub fn fail(&mut self, why: &str) {
        for pending in self.pending.values_mut().filter(|pending| !pending.over) {
            pending.lost = Some(why.to_string());
            pending.over = true;
        }
    }

    /// Channels that somebody follows.
    pub fn followed(&mut self) -> Vec<usize> {
        (0..self.known.len()).filter(|&place| self.known[place].is_followed()).collect()
    }
}

impl Known {
    /// Tells followers what is new.
    pub fn tell(&mut self, reading: Result<Reading, Fault>) {
        match &reading {
            Ok(reading) => {
                self.newest = Some(reading.clone());
                self.lost = None;
                self.pause = FIRST_RETRY;
            }
            Err(fault) if fault.absent => {
                self.newest = None;
                self.lost = Some(fault.clone());
            }
            // samples that were lost, a sample that could not be taken: the channel is there
            Err(_) => {}
        }
        let (last, first) = match self.followers.split_last_mut() {
            Some(split) => split,
            None => return,
        };
        let mut gone = first.iter().filter(|follower| !follower.feed.push(follower.place, reading.clone())).count();
        gone += usize::from(!last.feed.push(last.place, reading));
        if gone > 0 {
            self.followers.retain(|follower| follower.feed.is_wanted());
            self.every &= self.followers.iter().any(|follower| follower.every);
        }
    }

    fn is_followed(&mut self) -> bool {
        self.followers.retain(|follower| follower.feed.is_wanted());
        !self.followers.is_empty()
    }

    /// To be asked for again, later and later.
    fn fail(&mut self) {
        self.stage = Stage::Failed(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LAST_RETRY);
    }

    /// Whether it has a subscription, or cannot have one for now.
    pub fn is_settled(&self) -> bool {
        self.newest.is_some() || (self.lost.is_some() && matches!(self.stage, Stage::Failed(_)))
    }
}

#[derive(serde::Serialize)]
struct Unsubscribe<'a> {
    id: u64,
    r#do: &'a str,
    of: &'a [u64],
}

/// A request as a line.
pub fn outgoing(id: Option<u64>, ask: &Ask) -> Outgoing {
    Outgoing { id, text: line_of(ask) }
}

fn line_of(ask: &impl serde::Serialize) -> Vec<u8> {
    // numbers and texts in maps always have a JSON form
    let mut text = serde_json::to_vec(ask).unwrap_or_default();
    text.push(b'\n');
    text
}
