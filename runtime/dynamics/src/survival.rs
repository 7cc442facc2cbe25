//! Which particles survive, and how far out along a ray they do.

use std::fmt;

use fodo_optics::{Loss, NoClosedOrbit, Point, Ring};
use rayon::prelude::*;

/// Turns after which lost particles are first sorted out; then twice as many, and so on.
const FIRST_STAGE: u64 = 16;

/// Tracks particles for some turns, in place, as [`Ring::track`] does, on all threads.
///
/// Now and then the lost ones are sorted out, so that the lanes of the kernel stay filled. No particle sees the
/// others: the numbers are the same whatever the number of threads.
pub fn survive(ring: &Ring, particles: &mut [Point<f64>], turns: u64, first_turn: u64) -> Vec<Option<Loss>> {
    let mut losses = vec![None; particles.len()];
    let mut alive: Vec<usize> = (0..particles.len()).filter(|&index| !particles[index][0].is_nan()).collect();
    let (mut done, mut stage) = (0, FIRST_STAGE);
    while done < turns && !alive.is_empty() {
        let now = stage.min(turns - done);
        let mut pool: Vec<Point<f64>> = alive.iter().map(|&index| particles[index]).collect();
        let found = ring.track_parallel(&mut pool, now, first_turn + done);
        for ((&index, point), loss) in alive.iter().zip(pool).zip(found) {
            (particles[index], losses[index]) = (point, loss);
        }
        alive.retain(|&index| losses[index].is_none());
        done += now;
        stage *= 2;
    }
    losses
}

/// How the edge of the stable region is looked for along a ray, from the inside outwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Search {
    /// Even steps up to the limit; the edge is the last one before the first loss.
    Scan {
        /// Steps along each ray [1].
        steps: usize,
    },
    /// Even steps, then halving between the last stable one and the first lost one. One step only: plain bisection,
    /// which is fast but does not see a lost island within.
    Bisection {
        /// Steps of the scan before [1].
        steps: usize,
        /// Where halving ends, as part of the limit [1].
        tolerance: f64,
    },
}

/// Why there is no aperture.
#[derive(Clone, Debug, PartialEq)]
pub enum NoAperture {
    /// There is no closed orbit to start from.
    NoClosedOrbit(NoClosedOrbit),
    /// There is no such element; its index and the number of elements are given.
    NoElement(usize, usize),
    /// An option makes no sense; says which.
    Option(&'static str),
}

impl fmt::Display for NoAperture {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClosedOrbit(reason) => reason.fmt(out),
            Self::NoElement(index, count) => write!(out, "no aperture at element {index}: there are {count} elements"),
            Self::Option(what) => write!(out, "no aperture: {what}"),
        }
    }
}

impl std::error::Error for NoAperture {}

impl From<NoClosedOrbit> for NoAperture {
    fn from(reason: NoClosedOrbit) -> Self {
        Self::NoClosedOrbit(reason)
    }
}

impl Search {
    /// Says what is wrong with it, if anything is.
    pub(crate) fn check(self) -> Result<(), NoAperture> {
        let (steps, tolerance) = match self {
            Self::Scan { steps } => (steps, 1.0),
            Self::Bisection { steps, tolerance } => (steps, tolerance),
        };
        if steps == 0 {
            return Err(NoAperture::Option("a search has to take at least one step"));
        }
        if !(tolerance > 0.0 && tolerance.is_finite()) {
            return Err(NoAperture::Option("the tolerance of a bisection has to be above 0"));
        }
        Ok(())
    }
}

/// A straight line of starting points at the entrance of an element.
#[derive(Clone, Debug)]
pub(crate) struct Ray {
    /// Its beginning: the closed orbit.
    pub start: Point<f64>,
    /// From there to the limit.
    pub way: Point<f64>,
    /// Index of the element.
    pub element: usize,
}

/// How far out along a ray particles survive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reach {
    /// Part of the way that survives [1].
    pub stable: f64,
    /// What happened to the next one out; `None` if the limit itself survives.
    pub loss: Option<Loss>,
}

impl Ray {
    fn point(&self, part: f64) -> Point<f64> {
        std::array::from_fn(|row| self.start[row] + part * self.way[row])
    }
}

/// The reach of every ray; all rays are searched together, so that the kernel always has many particles.
pub(crate) fn reaches(ring: &Ring, rays: &[Ray], search: Search, turns: u64) -> Vec<Reach> {
    let (steps, tolerance) = match search {
        Search::Scan { steps } => (steps, f64::INFINITY),
        Search::Bisection { steps, tolerance } => (steps, tolerance),
    };
    let (mut found, mut lost) = scan(ring, rays, steps, turns);
    loop {
        let wide = |ray: &usize| found[*ray].loss.is_some() && lost[*ray] - found[*ray].stable > tolerance;
        let open: Vec<usize> = (0..rays.len()).filter(wide).collect();
        if open.is_empty() {
            return found;
        }
        let middles: Vec<f64> = open.iter().map(|&ray| 0.5 * (found[ray].stable + lost[ray])).collect();
        let losses = launch(ring, turns, open.iter().zip(&middles).map(|(&ray, &part)| (&rays[ray], part)));
        for ((&ray, &part), loss) in open.iter().zip(&middles).zip(losses) {
            match loss {
                None => found[ray].stable = part,
                Some(loss) => (lost[ray], found[ray].loss) = (part, Some(loss)),
            }
        }
    }
}

/// Even steps along all rays: the reach, and the part of the way that is lost first.
fn scan(ring: &Ring, rays: &[Ray], steps: usize, turns: u64) -> (Vec<Reach>, Vec<f64>) {
    let part = |step: usize| (step + 1) as f64 / steps as f64;
    let points = rays.iter().flat_map(|ray| (0..steps).map(move |step| (ray, part(step))));
    let losses = launch(ring, turns, points);
    let edge = |losses: &[Option<Loss>]| {
        let first = losses.iter().position(Option::is_some);
        let stable = first.unwrap_or(steps) as f64 / steps as f64;
        (Reach { stable, loss: first.and_then(|step| losses[step]) }, first.map_or(1.0, part))
    };
    losses.chunks(steps).map(edge).unzip()
}

/// Tracks points of rays: first to the end of the turn, then `turns` whole turns.
fn launch<'a>(ring: &Ring, turns: u64, points: impl Iterator<Item = (&'a Ray, f64)>) -> Vec<Option<Loss>> {
    let (mut particles, elements): (Vec<_>, Vec<_>) = points.map(|(ray, part)| (ray.point(part), ray.element)).unzip();
    let partial = elements.iter().any(|&element| element > 0);
    let early = if partial { first_part(ring, &mut particles, &elements) } else { vec![None; particles.len()] };
    let late = survive(ring, &mut particles, turns, u64::from(partial));
    early.into_iter().zip(late).map(|(early, late)| early.or(late)).collect()
}

/// Takes particles from their elements to the end of the ring, side by side those that start in the same one; those at
/// the start of the ring stay there.
fn first_part(ring: &Ring, particles: &mut [Point<f64>], elements: &[usize]) -> Vec<Option<Loss>> {
    let mut groups = vec![];
    let mut rest = particles;
    for same in elements.chunk_by(|a, b| a == b) {
        let (group, others) = std::mem::take(&mut rest).split_at_mut(same.len());
        groups.push((group, same[0]));
        rest = others;
    }
    let track = |(group, element): (&mut [Point<f64>], usize)| {
        let section = if element > 0 { element..ring.len() } else { 0..0 };
        ring.track_section(group, section, 0)
    };
    groups.into_par_iter().flat_map_iter(track).collect()
}
