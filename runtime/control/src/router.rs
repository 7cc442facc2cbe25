//! Several control systems seen as one.

use crate::{Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Write};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a thread that hands updates on waits for the next before it looks whether anybody listens.
const LOOK: Duration = Duration::from_millis(200);

/// Several control systems as one: each channel is asked from its own.
///
/// The parts are asked at the same time, each within the wait of the call; answers stand in the
/// order of the question. The clock is the wall clock, so every part has to keep it.
pub struct Router {
    parts: Vec<Arc<dyn Backend>>,
    places: HashMap<Channel, usize>,
}

/// What one part is asked: its number, the places in the question, the items.
type Share<T> = (usize, Vec<usize>, Vec<T>);

impl Router {
    /// Asks each channel from the part at its place in `places`, and all others from the first part.
    ///
    /// # Panics
    /// Without a part, or with a place beyond the parts.
    pub fn new(parts: Vec<Arc<dyn Backend>>, places: HashMap<Channel, usize>) -> Router {
        assert!(!parts.is_empty() && places.values().all(|&place| place < parts.len()), "a channel without its part");
        Router { parts, places }
    }

    /// A question as those of the parts that have to do with it.
    fn split<T: Clone>(&self, items: &[T], channel: impl Fn(&T) -> &Channel) -> Vec<Share<T>> {
        let mut shares: Vec<Share<T>> = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let part = self.places.get(channel(item)).copied().unwrap_or(0);
            let at = shares.iter().position(|(known, ..)| *known == part).unwrap_or_else(|| {
                shares.push((part, Vec::new(), Vec::new()));
                shares.len() - 1
            });
            shares[at].1.push(place);
            shares[at].2.push(item.clone());
        }
        shares
    }

    /// Asks the parts at the same time, without a thread where there is one; the answers of each share.
    fn at_once<T: Sync, A: Send>(
        &self,
        shares: &[Share<T>],
        ask: impl Fn(&dyn Backend, &[T]) -> Result<A, Stopped> + Sync,
    ) -> Result<Vec<A>, Stopped> {
        let one = |(part, _, items): &Share<T>| ask(self.parts[*part].as_ref(), items);
        let Some((last, others)) = shares.split_last() else { return Ok(Vec::new()) };
        std::thread::scope(|scope| {
            let threads: Vec<_> = others.iter().map(|share| scope.spawn(move || one(share))).collect();
            let last = one(last);
            let ended =
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
            let answers: Vec<Result<A, Stopped>> = ended.collect();
            answers.into_iter().chain([last]).collect()
        })
    }

    /// Asks the parts and puts their answers into the order of the question.
    fn ordered<T: Clone + Sync, A: Send>(
        &self,
        items: &[T],
        channel: impl Fn(&T) -> &Channel,
        ask: impl Fn(&dyn Backend, &[T]) -> Result<Vec<Result<A, Fault>>, Stopped> + Sync,
    ) -> Result<Vec<Result<A, Fault>>, Stopped> {
        let shares = self.split(items, &channel);
        let unanswered = |item| Err(Fault::refused(channel(item), "its control system did not answer this question"));
        let mut answers: Vec<Result<A, Fault>> = items.iter().map(unanswered).collect();
        for ((_, places, _), part) in shares.iter().zip(self.at_once(&shares, ask)?) {
            places.iter().zip(part).for_each(|(&place, answer)| answers[place] = answer);
        }
        Ok(answers)
    }
}

impl Backend for Router {
    fn name(&self) -> String {
        self.parts.iter().map(|part| part.name()).collect::<Vec<_>>().join(" and ")
    }

    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        let shares = self.split(channels, |channel| channel);
        let faults = self.at_once(&shares, |part, channels| part.connect(channels, wait, cancel))?;
        Ok(faults.into_iter().flatten().collect())
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        self.ordered(channels, |channel| channel, |part, channels| part.read(channels, fresh, wait, cancel))
    }

    fn write(
        &self,
        permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        self.ordered(writes, |write| &write.channel, |part, writes| part.write(permit, writes, wait, cancel))
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let mut shares = self.split(channels, |channel| channel);
        if let [(part, ..)] = shares[..] {
            return self.parts[part].monitor(channels, keep);
        }
        let (monitor, feed) = Monitor::new(channels, keep);
        for (part, places, channels) in shares.drain(..) {
            let (updates, feed) = (self.parts[part].monitor(&channels, keep), feed.clone());
            std::thread::spawn(move || {
                while feed.is_wanted() {
                    for update in updates.next(LOOK, &Cancel::new()).unwrap_or_default() {
                        feed.push(places[update.place], update.reading);
                    }
                }
            });
        }
        monitor
    }

    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        self.ordered(channels, |channel| channel, |part, channels| part.metadata(channels, wait, cancel))
    }

    fn now(&self) -> Time {
        Time::wall()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.wait(span)
    }
}
