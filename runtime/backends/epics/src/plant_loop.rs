//! The thread that owns a served plant: writes go in, shots come out.

use crate::publish::{Published, Put};
use fodo_control::{Channel, Fault, Plant, Time, Write};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often the thread looks whether to stop.
const STOP_LATENCY: Duration = Duration::from_millis(30);

/// The shortest time between two shots, whatever the plant says.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// A plant and its process variables.
pub struct PlantLoop {
    plant: Arc<dyn Plant>,
    published: Vec<Published>,
    channels: Vec<Channel>,
    places: HashMap<Channel, usize>,
}

impl PlantLoop {
    /// The loop over `published`, which stand in the plant's order.
    pub fn new(plant: Arc<dyn Plant>, published: Vec<Published>) -> PlantLoop {
        let channels: Vec<Channel> = published.iter().map(|one| one.info.channel.clone()).collect();
        let places = channels.iter().cloned().enumerate().map(|(place, channel)| (channel, place)).collect();
        PlantLoop { plant, published, channels, places }
    }

    /// Applies writes as they come and posts a shot every period, until `stop` says so.
    ///
    /// Writes that wait together are applied together. No shot is taken for a write: the next one
    /// shows them all.
    pub fn run(&mut self, puts: &Receiver<Put>, stop: impl Fn() -> bool) {
        let period = self.plant.period().max(SHORTEST_PERIOD);
        let mut next = Instant::now() + period;
        while !stop() {
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

    /// Moves the plant to the present and posts what it shows.
    fn shot(&mut self) {
        let now = self.present();
        let readings = self.plant.sample(&self.channels);
        for (published, reading) in self.published.iter_mut().zip(readings) {
            published.update(reading, now);
        }
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

    fn done(&mut self, batch: Vec<Put>, now: Time) {
        let channels: Vec<Channel> = batch.iter().map(|put| put.write.channel.clone()).collect();
        for (channel, reading) in channels.iter().zip(self.plant.sample(&channels)) {
            if let Some(place) = self.places.get(channel) {
                self.published[*place].written(reading, now);
            }
        }
        for put in batch {
            let _gone_client = put.answer.send(Ok(()));
        }
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
            Some(reason) => drop(put.answer.send(Err(reason))),
            None => rest.push(put),
        }
    }
    rest
}
