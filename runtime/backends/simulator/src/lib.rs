//! The twin as a control system in this process, in virtual time.
//!
//! By itself, waiting costs nothing: asking for a later sample moves the plant's clock to its next shot.
//! Beside a live machine it keeps the wall clock. The
//! crate knows a [`Plant`], not how it computes.

use fodo_control::{
    Backend, Cancel, Channel, Fault, Feed, Form, Fresh, Keep, Metadata, Monitor, Permit, Plant, Reading, Shape,
    Stopped, Time, Write,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// A plant in this process, seen as a control system.
pub struct Simulator {
    plant: Arc<dyn Plant>,
    metadata: HashMap<Channel, Metadata>,
    followers: Arc<Mutex<Vec<Follower>>>,
    /// Whether its clock is the wall clock.
    wall: bool,
}

/// Who follows channels, and what was said of each last.
struct Follower {
    feed: Feed,
    channels: Vec<Channel>,
    last: Vec<Option<Result<Reading, Fault>>>,
}

impl Follower {
    /// Tells what is new; false if nobody listens any more.
    fn look(&mut self, plant: &dyn Plant) -> bool {
        for (place, reading) in plant.sample(&self.channels).into_iter().enumerate() {
            if self.last[place].as_ref() != Some(&reading) {
                self.feed.push(place, reading.clone());
                self.last[place] = Some(reading);
            }
        }
        self.feed.is_wanted()
    }
}

/// Shows every shot on the wall clock to whoever follows, until nobody does.
fn tick(plant: &dyn Plant, followers: &Weak<Mutex<Vec<Follower>>>) {
    loop {
        std::thread::sleep(plant.period());
        let Some(followers) = followers.upgrade() else { return };
        plant.advance(Time::wall());
        let mut followers = followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain_mut(|follower| follower.look(plant));
        if followers.is_empty() {
            return;
        }
    }
}

impl Simulator {
    /// Wraps a plant whose clock is virtual.
    pub fn new(plant: Arc<dyn Plant>) -> Simulator {
        Simulator::on_clock(plant, false)
    }

    /// Wraps a plant that stands beside a live machine: its clock follows the wall clock, and waiting takes its time.
    pub fn on_wall_clock(plant: Arc<dyn Plant>) -> Simulator {
        Simulator::on_clock(plant, true)
    }

    fn on_clock(plant: Arc<dyn Plant>, wall: bool) -> Simulator {
        let describe = |info: fodo_control::ChannelInfo| {
            let (form, length) = match info.shape {
                Shape::Scalar => (Form::Number, 1),
                Shape::Vector(length) => (Form::Vector, length),
                Shape::Image(width, height) => (Form::Image, width * height),
                Shape::Table(_, length) => (Form::Table, length),
            };
            let (description, unit, limits, writable) = (info.description, info.unit, info.limits, info.writable);
            let metadata = Metadata { form, description, unit, limits, length, writable, choices: Vec::new() };
            (info.channel, metadata)
        };
        let metadata = plant.channels().into_iter().map(describe).collect();
        Simulator { plant, metadata, followers: Arc::default(), wall }
    }

    /// Moves the clock of a plant beside a live machine to the present.
    fn keep_up(&self) {
        if self.wall {
            self.plant.advance(Time::wall());
        }
    }

    /// Waits for a shot after `time` on the wall clock, at most for `silent`.
    fn next_shot(&self, time: Time, silent: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        let period = self.plant.period();
        let wanted = Duration::from_nanos(time.after(period).0.saturating_sub(Time::wall().0).max(0) as u64);
        cancel.wait(wanted.min(silent.max(period)))
    }

    fn is_followed(&self) -> bool {
        !self.followers.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Tells followers what a write or the passing of time has changed.
    fn tell(&self) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain_mut(|follower| follower.look(self.plant.as_ref()));
    }

    fn fault(&self, channel: &Channel) -> Option<Fault> {
        (!self.metadata.contains_key(channel)).then(|| Fault::absent(channel, "the twin has no such channel"))
    }
}

impl Backend for Simulator {
    fn name(&self) -> String {
        "the twin".into()
    }

    fn connect(&self, channels: &[Channel], _wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        cancel.check()?;
        Ok(channels.iter().filter_map(|channel| self.fault(channel)).collect())
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        cancel.check()?;
        self.keep_up();
        if let Fresh::After(time, silent) = fresh
            && self.wall
            && !silent.is_zero()
        {
            self.next_shot(time, silent, cancel)?;
            self.keep_up();
        } else if let Fresh::After(time, silent) = fresh
            && !silent.is_zero()
            && self.plant.now() <= time
        {
            self.plant.advance(time.after(self.plant.period()));
            self.tell();
        }
        Ok(self.plant.sample(channels))
    }

    fn write(
        &self,
        _permit: &Permit,
        writes: &[Write],
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        cancel.check()?;
        self.keep_up();
        // as over a network: what is refused is refused alone
        let mut faults: Vec<Fault> = Vec::new();
        let fault_of = |faults: &[Fault], write: &Write| faults.iter().find(|f| f.channel == write.channel).cloned();
        loop {
            let rest: Vec<Write> = writes.iter().filter(|w| fault_of(&faults, w).is_none()).cloned().collect();
            match self.plant.apply(&rest) {
                Ok(()) => break,
                Err(more) if more.iter().any(|fault| rest.iter().any(|w| w.channel == fault.channel)) => {
                    faults.extend(more);
                }
                Err(_) => {
                    faults.extend(rest.iter().map(|w| Fault::refused(&w.channel, "the plant refused the whole set")));
                }
            }
        }
        self.tell();
        Ok(writes.iter().map(|write| fault_of(&faults, write).map_or(Ok(()), Err)).collect())
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let (monitor, feed) = Monitor::new(channels, keep);
        let mut follower = Follower { feed, channels: channels.to_vec(), last: vec![None; channels.len()] };
        self.keep_up();
        follower.look(self.plant.as_ref());
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.push(follower);
        if self.wall && followers.len() == 1 {
            let (plant, followers) = (self.plant.clone(), Arc::downgrade(&self.followers));
            std::thread::spawn(move || tick(plant.as_ref(), &followers));
        }
        monitor
    }

    fn metadata(
        &self,
        channels: &[Channel],
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        cancel.check()?;
        let absent = |channel| Fault::absent(channel, "the twin has no such channel");
        Ok(channels.iter().map(|c| self.metadata.get(c).cloned().ok_or_else(|| absent(c))).collect())
    }

    fn now(&self) -> Time {
        self.keep_up();
        self.plant.now()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.check()?;
        if self.wall {
            cancel.wait(span)?;
            self.keep_up();
            return Ok(());
        }
        let end = self.plant.now().after(span);
        // whoever follows sees every shot on the way
        while self.is_followed() && self.plant.now().after(self.plant.period()) < end {
            cancel.check()?;
            self.plant.advance(self.plant.now().after(self.plant.period()));
            self.tell();
        }
        self.plant.advance(end);
        self.tell();
        Ok(())
    }
}
