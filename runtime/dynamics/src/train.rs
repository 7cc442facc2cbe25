//! Several bunches together, with wakes between the elements.

use fodo_optics::{Loss, Ring};
use rayon::prelude::*;

use crate::bunch::{Bunch, Moments};
use crate::wake::{NoWake, WakeField};

/// Particles tracked by one thread at a time.
const CHUNK: usize = 64;

/// Wakes that act at the entrance of an element.
#[derive(Clone, Debug)]
pub struct Station {
    /// Index of the element; the number of elements stands for the end of the ring.
    pub element: usize,
    /// What acts there, with its memory.
    pub field: WakeField,
}

/// What became of a train of bunches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainRecord {
    /// Moments of each bunch after each turn: one row for each turn; `None` where all particles are lost.
    pub moments: Vec<Vec<Option<Moments>>>,
    /// Where each particle of each bunch was lost.
    pub losses: Vec<Vec<Option<Loss>>>,
}

/// Tracks bunches together for some turns, the first of them `first_turn`, in place: from one station to the next,
/// where those that come first leave their wakes for the others, and for the turns after.
///
/// # Errors
/// A station at an element that does not exist.
pub fn track_train(
    ring: &Ring,
    bunches: &mut [Bunch],
    stations: &mut [Station],
    turns: u64,
    first_turn: u64,
) -> Result<TrainRecord, NoWake> {
    if let Some(wrong) = stations.iter().find(|station| station.element > ring.len()) {
        return Err(NoWake::NoElement(wrong.element, ring.len()));
    }
    stations.sort_by_key(|station| station.element);
    let mut losses: Vec<Vec<Option<Loss>>> = bunches.iter().map(|bunch| vec![None; bunch.particles.len()]).collect();
    let mut moments = vec![];
    for turn in first_turn..first_turn + turns {
        let mut from = 0;
        for station in &mut *stations {
            advance(ring, bunches, &mut losses, from..station.element, turn);
            station.field.pass(ring, bunches, turn);
            from = station.element;
        }
        advance(ring, bunches, &mut losses, from..ring.len(), turn);
        moments.push(bunches.iter().map(|bunch| Moments::of(&bunch.particles)).collect());
    }
    Ok(TrainRecord { moments, losses })
}

fn advance(
    ring: &Ring,
    bunches: &mut [Bunch],
    losses: &mut [Vec<Option<Loss>>],
    section: std::ops::Range<usize>,
    turn: u64,
) {
    if section.is_empty() {
        return;
    }
    for (bunch, losses) in bunches.iter_mut().zip(losses) {
        let chunks = bunch.particles.par_chunks_mut(CHUNK).zip(losses.par_chunks_mut(CHUNK));
        chunks.for_each(|(particles, losses)| {
            let found = ring.track_section(particles, section.clone(), turn);
            losses.iter_mut().zip(found).for_each(|(loss, new)| *loss = loss.or(new));
        });
    }
}
