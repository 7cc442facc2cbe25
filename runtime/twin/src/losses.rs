//! Where the stored beam is lost: particles that another one has scattered, followed until they meet the wall.
//!
//! What the gas takes is counted as lost at the same places.

use crate::beam::Found;
use crate::current::BeamTable;
use fodo_dynamics::{loss_map, touschek};
use fodo_optics::{Point, Ring};

/// Places at which particles are scattered: the rate is the same between two of them.
const PLACES: usize = 32;
/// Particles that gain momentum at each place; as many lose it.
const GAINS: usize = 8;
/// How long they are followed.
const TURNS: u64 = 256;
/// Part of them that has to be lost so that it is known where [1].
const ENOUGH: f64 = 0.25;

/// The part of all losses that each element has [1].
pub(crate) fn shares(ring: &mut Ring, table: &BeamTable) -> Found<Vec<f64>> {
    let orbit = ring.closed_orbit().map_err(|e| e.to_string())?;
    let mut counts = vec![0_u64; ring.len()];
    let scattered = table.scattered(ring)?;
    let rates = touschek(ring, scattered.charge, &scattered.sizes, &scattered.limits).map_err(|e| e.to_string())?;
    for place in places(&rates.position, &rates.rate) {
        let element = ring.positions().partition_point(|&s| s <= place).saturating_sub(1).min(ring.len() - 1);
        let mut particles =
            gains(scattered.limits.at(place)).map(|gain| kicked(&orbit.at(element), gain)).collect::<Vec<_>>();
        first_turn(ring, element, &mut particles, &mut counts);
        let map = loss_map(ring, &mut particles, TURNS, 1);
        counts.iter_mut().zip(map.per_element).for_each(|(count, more)| *count += more);
    }
    let (lost, all) = (counts.iter().sum::<u64>() as f64, (2 * GAINS * PLACES) as f64);
    if lost < ENOUGH * all {
        let what = format!("of {all} scattered particles {lost} are lost within {TURNS} turns, too few to say where");
        return Err(format!("{what}: the lattice has no apertures, or they are beyond `momentum_acceptance`"));
    }
    Ok(counts.iter().map(|&count| count as f64 / lost).collect())
}

/// The part of all losses within a distance of a place of the ring [m].
pub(crate) fn near(ring: &Ring, shares: &[f64], place: f64, reach: f64) -> f64 {
    let (positions, length) = (ring.positions(), ring.length());
    let distance = |element: usize| {
        let middle = 0.5 * (positions[element] + positions.get(element + 1).copied().unwrap_or(length));
        let apart = (middle - place).rem_euclid(length);
        apart.min(length - apart)
    };
    shares.iter().enumerate().filter(|(element, _)| distance(*element) <= reach).map(|(_, share)| share).sum()
}

/// Places that part the losses evenly: the rate goes straight from one position to the next [m].
fn places(positions: &[f64], rates: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for at in 1..positions.len() {
        let part = 0.5 * (rates[at] + rates[at - 1]) * (positions[at] - positions[at - 1]);
        sums.push(sums[at - 1] + part);
    }
    let all = sums.last().copied().unwrap_or(0.0);
    let place = |number: usize| {
        let wanted = (number as f64 + 0.5) / PLACES as f64 * all;
        let at = sums.partition_point(|&sum| sum < wanted).clamp(1, sums.len() - 1);
        let part = (wanted - sums[at - 1]) / (sums[at] - sums[at - 1]);
        positions[at - 1] + part * (positions[at] - positions[at - 1])
    };
    (0..PLACES).map(place).collect()
}

/// Changes of momentum beyond the limits, both ways: how many are changed by more than d falls as 1/d [1].
fn gains(limits: [f64; 2]) -> impl Iterator<Item = f64> {
    (0..GAINS).flat_map(move |number| limits.map(|limit| limit / (1.0 - (number as f64 + 0.5) / GAINS as f64)))
}

fn kicked(at: &Point<f64>, gain: f64) -> Point<f64> {
    let mut particle = *at;
    particle[4] += gain;
    particle
}

/// Follows particles from an element to the end of the ring, and counts where they are lost.
fn first_turn(ring: &Ring, start: usize, particles: &mut [Point<f64>], counts: &mut [u64]) {
    let left = |particles: &[Point<f64>]| particles.iter().filter(|particle| particle[0].is_finite()).count() as u64;
    let mut before = left(particles);
    for (element, count) in counts.iter_mut().enumerate().skip(start) {
        ring.track_section(particles, element..element + 1, 0);
        let now = left(particles);
        *count += before - now;
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_rate() {
        // twice the rate in the second half, on both sides of a jump
        let places = places(&[0.0, 10.0, 10.0, 20.0], &[1.0, 1.0, 2.0, 2.0]);
        let first = places.iter().filter(|&&place| place < 10.0).count();
        assert!((10..=11).contains(&first) && places.is_sorted(), "{first}");
    }

    #[test]
    fn gains_are_beyond_the_limit() {
        let all: Vec<f64> = gains([-0.03, 0.03]).collect();
        assert!(all.len() == 2 * GAINS && all.iter().all(|gain| gain.abs() > 0.03));
        assert!(all.iter().sum::<f64>().abs() < 1e-15);
    }
}
