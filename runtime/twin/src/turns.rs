//! Turn by turn: kickers fire, and every monitor keeps what it sees of the beam in each turn after it.

use crate::channels::Channels;
use crate::draw::noise_of_turns;
use crate::kickers::Pulse;
use crate::modulation::Modulation;
use crate::present::Present;
use fodo_control::Time;
use fodo_lattice::ElementAperture;
use fodo_optics::{Emitting, Point, Quantum, Ring};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Parts in which particles are followed beside each other: always as many, so that sums have the same bits.
const PARTS: usize = 8;

/// What tells the numbers of photons from others.
const PHOTONS: u64 = 0x7068_6f74_6f6e;

/// What `[turns]` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnsTable {
    /// Particles that the beam is made of: one has no size and does not decohere.
    pub particles: usize,
    /// Whether they emit photons one by one, instead of losing energy evenly.
    pub quantum: bool,
}

impl Default for TurnsTable {
    fn default() -> Self {
        TurnsTable { particles: 1, quantum: false }
    }
}

/// What monitors keep of a turn: positions, and the charge that they belong to.
pub(crate) const CHARGE: usize = 2;

/// One acquisition.
#[derive(Clone, Debug)]
pub(crate) struct Acquired {
    /// When the last turn was over.
    pub ready: Time,
    /// By monitor: a number for each turn, horizontal [m], vertical [m], charge [C].
    rows: Vec<[Arc<[f64]>; 3]>,
    /// Of each bunch.
    pub left: Vec<Left>,
}

/// What is left of a bunch at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub injected: bool,
    /// At the start [C].
    pub charge: f64,
    /// The part that is left [1].
    pub part: f64,
}

impl Acquired {
    pub fn row(&self, monitor: usize, kept: usize) -> Arc<[f64]> {
        self.rows[monitor][kept].clone()
    }
}

/// Beam that goes round.
pub(crate) struct Bunch {
    pub particles: Vec<Point<f64>>,
    /// Of all particles together [C].
    pub charge: f64,
    /// Whether it is not stored yet.
    pub injected: bool,
    /// The element at whose entrance it begins.
    pub from: usize,
    /// How much later than the stored beam of the turn of the trigger it comes to each place [s].
    pub late: f64,
    /// Turns for which it is followed.
    pub turns: u64,
}

/// What is needed to take turns.
pub(crate) struct Shoot<'s> {
    pub ring: &'s Ring,
    pub channels: &'s Channels,
    pub present: &'s Present,
    pub pulses: &'s [Pulse],
    /// What cavities do meanwhile.
    pub modulation: Option<Modulation>,
    /// Whether particles emit photons one by one.
    pub quantum: bool,
    /// Turns that monitors keep.
    pub turns: usize,
    /// For the noise: the seed, and how often was fired before.
    pub seed: (u64, u64),
    pub now: Time,
}

impl Shoot<'_> {
    /// Follows all bunches, and what monitors see of them together.
    pub fn fire(&self, mut bunches: Vec<Bunch>) -> Acquired {
        let places = self.places();
        let ring = self.with_obstacles();
        let seen: Vec<Seen> = bunches.iter_mut().map(|bunch| self.follow(&ring, bunch, &places)).collect();
        let length = self.turns as f64 * ring.revolution_time();
        let left = |Bunch { particles, charge, injected, .. }: &Bunch| {
            let there = particles.iter().filter(|particle| particle[0].is_finite()).count();
            Left { injected: *injected, charge: *charge, part: there as f64 / particles.len() as f64 }
        };
        Acquired {
            ready: Time(self.now.0 + (length * 1e9) as i64),
            rows: self.rows(&places, &seen),
            left: bunches.iter().map(left).collect(),
        }
    }

    /// Elements at which monitors read, in the order of the beam.
    fn places(&self) -> Vec<usize> {
        let mut places: Vec<usize> = self.channels.monitors.iter().map(|monitor| monitor.element).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The ring with what stands in the way of the beam just now.
    fn with_obstacles(&self) -> Ring {
        let mut ring = self.ring.clone();
        for (&element, &room) in &self.present.obstacles {
            ring.change(element, |element| {
                let aperture = element.aperture.get_or_insert_with(|| Box::new(ElementAperture::default()));
                aperture.ellipse = Some(aperture.ellipse.map_or([room; 2], |axes| axes.map(|axis| axis.min(room))));
            });
        }
        ring
    }

    /// Takes a bunch round, and sums what is there at each place in each turn.
    fn follow(&self, ring: &Ring, bunch: &mut Bunch, places: &[usize]) -> Seen {
        let round = Round {
            kicks: self.kicks(ring, bunch),
            modulation: self.modulation,
            late: bunch.late,
            quantum: self.quantum.then(|| Quantum { seed: self.photons(bunch), ..Quantum::default() }),
            from: bunch.from,
            turns: bunch.turns,
            kept: bunch.turns.min(self.turns as u64),
            places,
        };
        let side_by_side = Ring::particles_side_by_side();
        let each = side_by_side * bunch.particles.len().div_ceil(PARTS * side_by_side);
        let weight = bunch.charge / bunch.particles.len() as f64;
        let parts = bunch.particles.par_chunks_mut(each).enumerate();
        let parts = parts.map(|(number, part)| round.track(ring, part, (number * each) as u64));
        let mut sums = Sums::new();
        for part in parts.collect::<Vec<Sums>>() {
            sums.resize(part.len(), [0.0; 3]);
            sums.iter_mut().zip(part).for_each(|(sum, more)| (0..3).for_each(|kept| sum[kept] += weight * more[kept]));
        }
        // monitors are gated about the stored beam
        Seen { sums, behind: (bunch.late / ring.revolution_time()).round() as i64 }
    }

    /// Of the photons of a bunch in this shot.
    fn photons(&self, bunch: &Bunch) -> u64 {
        let (seed, fired) = self.seed;
        seed ^ PHOTONS ^ fired.rotate_left(24) ^ u64::from(bunch.injected)
    }

    /// What kickers give this bunch, in each turn until all is over.
    fn kicks(&self, ring: &Ring, bunch: &Bunch) -> Vec<Kicks> {
        let (revolution, positions) = (ring.revolution_time(), ring.positions());
        let comes = |pulse: &Pulse| revolution * positions[pulse.element] / ring.length() + bunch.late;
        let last = self.pulses.iter().map(|pulse| ((pulse.ends() - comes(pulse)) / revolution).ceil());
        let turns = last.fold(0.0, f64::max).min(bunch.turns as f64) as u64;
        let of_turn = |turn: u64| {
            let kick = |pulse: &Pulse| (pulse.element, pulse.at(turn as f64 * revolution + comes(pulse)));
            self.pulses.iter().map(kick).collect()
        };
        (0..turns).map(of_turn).collect()
    }

    /// What monitors read of the mean position in each turn.
    fn rows(&self, places: &[usize], seen: &[Seen]) -> Vec<[Arc<[f64]>; 3]> {
        let (seed, fired) = self.seed;
        let revolution = self.ring.revolution_time();
        let row = |(monitor, eye): (usize, &crate::present::Eye)| {
            let noise = noise_of_turns(seed, fired, monitor, 2 * self.turns);
            let element = self.channels.monitors[eye.wired_to].element;
            let place = places.binary_search(&element).unwrap_or(0);
            let read = |turn: usize| {
                let there = seen.iter().map(|seen| seen.at(turn, place, places.len()));
                let [charge, x, y] = there.fold([0.0; 3], |[q, x, y], [more, u, v]| [q + more, x + u, y + v]);
                if eye.dead {
                    return [f64::NAN; 3];
                }
                if charge == 0.0 || charge / revolution < eye.truth.threshold {
                    return [f64::NAN, f64::NAN, charge];
                }
                let [x, y] = eye.truth.reads([x / charge, y / charge]);
                if eye.truth.noise_turns == 0.0 {
                    return [x, y, charge];
                }
                let noisy = |plane: usize| eye.truth.noise_turns * noise[2 * turn + plane];
                [x + noisy(0), y + noisy(1), charge]
            };
            let all: Vec<[f64; 3]> = (0..self.turns).map(read).collect();
            [0, 1, CHARGE].map(|kept| all.iter().map(|turn| turn[kept]).collect::<Arc<[f64]>>())
        };
        self.present.monitors.iter().enumerate().map(row).collect()
    }
}

/// Elements of kickers, and what each gives in a turn, horizontal and vertical [rad].
type Kicks = Vec<(usize, [f64; 2])>;

/// Particles that are left, and sums of x and y, for each place in each turn.
type Sums = Vec<[f64; 3]>;

/// What monitors could see of a bunch: charge [C], and sums of charge times position.
struct Seen {
    sums: Sums,
    /// Turns by which it is behind the stored beam.
    behind: i64,
}

impl Seen {
    fn at(&self, turn: usize, place: usize, places: usize) -> [f64; 3] {
        let own = usize::try_from(turn as i64 - self.behind).ok();
        own.and_then(|turn| self.sums.get(turn * places + place)).copied().unwrap_or_default()
    }
}

/// How a bunch goes round.
struct Round<'r> {
    /// By turn.
    kicks: Vec<Kicks>,
    modulation: Option<Modulation>,
    /// After the trigger [s].
    late: f64,
    quantum: Option<Quantum>,
    from: usize,
    turns: u64,
    /// Turns in which sums are kept.
    kept: u64,
    places: &'r [usize],
}

impl Round<'_> {
    /// Follows particles, the first of which is number `first` of the bunch; sums over those that are left.
    fn track(&self, ring: &Ring, particles: &mut [Point<f64>], first: u64) -> Sums {
        let mut other = ring.clone();
        let plain = Way::of(ring, self.quantum, first);
        let whole = self.kept as usize * self.places.len();
        let mut sums = Sums::with_capacity(whole);
        for turn in 0..self.turns {
            if particles.iter().all(|particle| particle[0].is_nan()) {
                sums.resize(whole, [0.0; 3]);
                break;
            }
            let kicks = self.kicks.get(turn as usize);
            let is_other = kicks.is_some() || self.modulation.is_some();
            if !is_other && self.quantum.is_none() && turn >= self.kept {
                ring.track(particles, self.turns - turn, turn);
                break;
            }
            if let Some(modulation) = &self.modulation {
                modulation.act(&mut other, ring, turn as f64 * ring.revolution_time() + self.late);
            }
            if let Some(kicks) = kicks {
                put(&mut other, ring, kicks);
            }
            match is_other {
                true => self.turn(&Way::of(&other, self.quantum, first), particles, turn, &mut sums),
                false => self.turn(&plain, particles, turn, &mut sums),
            }
        }
        sums
    }

    /// One turn.
    fn turn(&self, way: &Way<'_>, particles: &mut [Point<f64>], turn: u64, sums: &mut Sums) {
        let mut at = if turn == 0 { self.from } else { 0 };
        if turn < self.kept {
            for &place in self.places {
                sums.push(if place < at { [0.0; 3] } else { way.pass(particles, &mut at, place, turn) });
            }
        }
        way.section(particles, at..way.ring.len(), turn);
    }
}

/// How particles go through a ring.
struct Way<'r> {
    ring: &'r Ring,
    /// The same with photons, and the number of the first particle.
    emitting: Option<(Emitting<'r>, u64)>,
}

impl<'r> Way<'r> {
    fn of(ring: &'r Ring, quantum: Option<Quantum>, first: u64) -> Way<'r> {
        Way { ring, emitting: quantum.map(|quantum| (ring.emitting(quantum), first)) }
    }

    fn section(&self, particles: &mut [Point<f64>], elements: Range<usize>, turn: u64) {
        match &self.emitting {
            Some((emitting, first)) => emitting.track_section(particles, elements, turn, *first),
            None => _ = self.ring.track_section(particles, elements, turn),
        }
    }

    /// Takes particles on to a place and sums those that come there.
    fn pass(&self, particles: &mut [Point<f64>], at: &mut usize, place: usize, turn: u64) -> [f64; 3] {
        self.section(particles, *at..place, turn);
        *at = place;
        let there = particles.iter().filter(|particle| particle[0].is_finite());
        there.fold([0.0; 3], |[n, x, y], particle| [n + 1.0, x + particle[0], y + particle[2]])
    }
}

/// Puts kicks on top of what a ring has at these elements.
fn put(kicked: &mut Ring, ring: &Ring, kicks: &Kicks) {
    for &(at, _) in kicks {
        let here = kicks.iter().filter(|(element, _)| *element == at);
        let kick = here.fold(ring.element(at).kick, |[x, y], (_, [u, v])| [x + u, y + v]);
        if kicked.element(at).kick != kick {
            kicked.set_kick(at, kick[0], kick[1]);
        }
    }
}
