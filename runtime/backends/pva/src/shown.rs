//! One channel on the network, and who follows it.
//!
//! What follows a whole channel gets frames that were made once, with what changes: value, alarm and time. What follows parts
//! of it, or by credit, is served by the library from its variable, which else takes a new value only when somebody
//! reads it.

use crate::frame::Frames;
use crate::values;
use epics_pva_rs::pvdata::{FieldDesc, PvField};
use epics_pva_rs::server_native::SharedPV;
use epics_pva_rs::server_native::source::{MonitorStream, RawMonitorEvent, SubscriptionSeed};
use fodo_control::Reading;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// A channel.
pub struct Shown {
    variable: SharedPV,
    frames: Frames,
    state: Mutex<State>,
}

struct State {
    /// What the library's variable holds or is to hold; value, alarm and time change.
    structure: PvField,
    /// What the variable does not hold yet.
    newest: Option<Reading>,
    /// Those who get ready-made frames.
    followers: Vec<Follower>,
    /// Whether the library serves followers from the variable.
    parts: bool,
}

impl Shown {
    /// A channel of this form, whose variable holds `structure`.
    pub fn new(variable: SharedPV, form: &FieldDesc, structure: PvField) -> Shown {
        let state = State { structure, newest: None, followers: Vec::new(), parts: false };
        Shown { variable, frames: Frames::of(form), state: Mutex::new(state) }
    }

    /// Sends a reading to whoever follows.
    pub fn show(&self, reading: Reading) {
        let mut state = self.state();
        if !state.followers.is_empty()
            && let Some(event) = self.frames.event(&reading)
        {
            state.followers.retain_mut(|follower| follower.send(&event));
        }
        state.newest = Some(reading);
        if state.parts {
            state.parts = self.hold(&mut state) > 0;
        }
    }

    /// The variable, holding what is shown; the library serves who reads it.
    pub fn variable(&self) -> &SharedPV {
        self.hold(&mut self.state());
        &self.variable
    }

    /// Somebody follows the variable from now on.
    pub fn followed_in_parts(&self) {
        let mut state = self.state();
        self.hold(&mut state);
        state.parts = true;
    }

    /// The present value and, from now on, ready-made frames, of which so many wait.
    pub fn follow(&self, limit: usize) -> SubscriptionSeed<RawMonitorEvent> {
        let mut state = self.state();
        self.hold(&mut state);
        // those of a channel that does not change are asked by nobody else whether they are still there
        state.followers.retain(|follower| !follower.sender.is_closed());
        let (follower, frames) = Follower::new(limit);
        state.followers.push(follower);
        let initial = Some(state.structure.clone().into());
        SubscriptionSeed { initial, updates: MonitorStream::Channel(frames), on_start: None }
    }

    /// Has the variable hold the newest; how many follow that.
    fn hold(&self, state: &mut State) -> usize {
        let Some(reading) = state.newest.take() else { return 0 };
        values::fill(&mut state.structure, &reading);
        // the structure is the one it was opened with
        self.variable.post_delta(self.frames.changing(), &state.structure).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who gets ready-made frames.
struct Follower {
    sender: Sender<RawMonitorEvent>,
    /// The newest, while it does not take any.
    owed: Arc<Mutex<Option<RawMonitorEvent>>>,
}

fn lock(owed: &Mutex<Option<RawMonitorEvent>>) -> MutexGuard<'_, Option<RawMonitorEvent>> {
    owed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follower {
    fn new(limit: usize) -> (Follower, Receiver<RawMonitorEvent>) {
        let (sender, receiver) = channel(limit);
        (Follower { sender, owed: Arc::default() }, receiver)
    }

    /// Sends, or has the newest sent when there is room for it; false if nobody listens.
    fn send(&mut self, event: &RawMonitorEvent) -> bool {
        let mut owed = lock(&self.owed);
        if owed.is_some() {
            // every frame says all that changes
            *owed = Some(event.clone());
            return !self.sender.is_closed();
        }
        match self.sender.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(event)) => {
                *owed = Some(event);
                tokio::spawn(send_owed(self.sender.clone(), self.owed.clone()));
                true
            }
        }
    }
}

async fn send_owed(sender: Sender<RawMonitorEvent>, owed: Arc<Mutex<Option<RawMonitorEvent>>>) {
    let Ok(room) = sender.reserve().await else { return };
    if let Some(event) = lock(&owed).take() {
        room.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use epics_pva_rs::nt::NTScalar;
    use epics_pva_rs::pvdata::ScalarType;
    use fodo_control::{Time, Value};

    fn reading(number: f64) -> Reading {
        Reading::good(Value::Number(number), Time(1))
    }

    fn shown() -> Shown {
        let form = NTScalar::new(ScalarType::Double);
        let (form, structure) = (form.build(), form.create());
        let variable = SharedPV::build_readonly();
        variable.open(form.clone(), structure.clone()).unwrap();
        Shown::new(variable, &form, structure)
    }

    fn value(shown: &Shown) -> Option<f64> {
        values::reading(&shown.variable().current().unwrap(), &[]).value.number()
    }

    #[test]
    fn what_nobody_follows_is_held_when_it_is_read() {
        let shown = shown();
        shown.show(reading(1.0));
        shown.show(reading(2.0));
        assert!(shown.state().newest.is_some());
        assert_eq!(value(&shown), Some(2.0));
        assert!(shown.state().newest.is_none());
    }

    #[test]
    fn who_is_slow_gets_the_newest_last() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let shown = shown();
            let MonitorStream::Channel(mut frames) = shown.follow(2).updates else { panic!("another stream") };
            (0..10).for_each(|n| shown.show(reading(f64::from(n))));
            let mut came = Vec::new();
            for _ in 0..3 {
                came.push(frames.recv().await.unwrap().body_bytes);
            }
            let expected = [0.0, 1.0, 9.0].map(|number| shown.frames.event(&reading(number)).unwrap().body_bytes);
            assert_eq!(came, expected);
            assert!(frames.try_recv().is_err());
            shown.show(reading(10.0));
            assert_eq!(frames.recv().await.unwrap().body_bytes, shown.frames.event(&reading(10.0)).unwrap().body_bytes);
            drop(frames);
            shown.show(reading(11.0));
            assert!(shown.state().followers.is_empty());
        });
    }

    #[test]
    fn parts_are_followed_from_the_variable() {
        let shown = shown();
        let (_, mut inbox) = shown.variable().subscribe_seeded(4).unwrap();
        shown.followed_in_parts();
        shown.show(reading(3.0));
        assert_eq!(values::reading(&inbox.try_recv().unwrap(), &[]).value.number(), Some(3.0));
        drop(inbox);
        shown.show(reading(4.0));
        assert!(!shown.state().parts);
        shown.show(reading(5.0));
        assert_eq!(value(&shown), Some(5.0));
    }
}
