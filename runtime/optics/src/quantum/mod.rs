//! Tracking with the random part of synchrotron radiation (3.4).
//!
//! The maps stay deterministic: here magnets are passed slice by slice without radiation, and photons are emitted after
//! each slice. Random numbers depend on seed, particle, turn and element only, so that particles may be shared out
//! to any number of threads, and stopped and continued.

mod random;
mod spectrum;

pub use random::Random;
pub use spectrum::photon_energy;

use crate::constants::{HBAR_C, INVERSE_FINE_STRUCTURE};
use crate::maps::exact::exact_slice;
use crate::maps::watch::Unwatched;
use crate::maps::{Action, ExactBend, MagnetMap, Point, SecondOrderBend, Step};
use crate::ring::{Loss, Ring, is_lost};
use std::ops::Range;

/// What is random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excitation {
    /// Magnets that radiate emit photons one by one instead of losing energy evenly. Diffusion elements do nothing.
    #[default]
    Photons,
    /// Magnets lose energy evenly; diffusion elements give random kicks.
    Diffusion,
}

/// How random tracking is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantum {
    /// The same seed gives the same result.
    pub seed: u64,
    /// Number of the first particle given: lets several calls share out the particles of one bunch.
    pub first_particle: u64,
    /// What is random.
    pub excitation: Excitation,
}

/// A ring whose magnets are made ready to emit photons.
pub struct Emitting<'r> {
    ring: &'r Ring,
    /// The slices of each element that emits photons.
    emitters: Vec<Option<Emitter>>,
    quantum: Quantum,
}

impl Ring {
    /// Tracks particles for some turns, in place, with quantum excitation; the turns are counted from `first_turn`.
    ///
    /// Losses are as in [`Ring::track`]. Without radiation in [`Ring::effects`] no photons are emitted. Wigglers do
    /// not radiate here, as they do not elsewhere.
    pub fn track_quantum(
        &self,
        particles: &mut [Point<f64>],
        turns: u64,
        first_turn: u64,
        quantum: Quantum,
    ) -> Vec<Option<Loss>> {
        let emitting = self.emitting(quantum);
        let track = |(z, number): (&mut Point<f64>, u64)| {
            let loss = (first_turn..first_turn + turns).find_map(|turn| emitting.pass(z, number, 0..self.len(), turn));
            if loss.is_some() {
                *z = [f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0];
            }
            loss
        };
        particles.iter_mut().zip(quantum.first_particle..).map(track).collect()
    }

    /// The ring made ready for particles that emit photons, which else is done for each call.
    pub fn emitting(&self, quantum: Quantum) -> Emitting<'_> {
        let rest = self.settings.radiating_rest_energy();
        let emitter = |(index, step): (usize, &Step)| Emitter::new(step, self.settings_at(index).energy, rest);
        let emitters = match quantum.excitation == Excitation::Diffusion || !self.settings.radiation {
            true => self.steps.iter().map(|_| None).collect(),
            false => self.steps.iter().enumerate().map(emitter).collect(),
        };
        Emitting { ring: self, emitters, quantum }
    }
}

impl Emitting<'_> {
    /// Takes particles through some elements of a turn; those that are lost are NaN in x. The first of them is number `first` of
    /// the bunch.
    pub fn track_section(&self, particles: &mut [Point<f64>], elements: Range<usize>, turn: u64, first: u64) {
        for (z, number) in particles.iter_mut().zip(first..) {
            if self.pass(z, number, elements.clone(), turn).is_some() {
                *z = [f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0];
            }
        }
    }

    /// Takes one particle through elements; one that was lost before stays so.
    fn pass(&self, z: &mut Point<f64>, particle: u64, elements: Range<usize>, turn: u64) -> Option<Loss> {
        if z[0].is_nan() {
            return None;
        }
        let Quantum { seed, excitation, .. } = self.quantum;
        for element in elements {
            let (step, emitter) = (&self.ring.steps[element], &self.emitters[element]);
            let random = || Random::new(seed, particle, turn, element);
            match (emitter, &step.action) {
                (Some(emitter), _) => {
                    let before = step.enter(z);
                    emitter.pass(z, &mut random());
                    step.leave(z, before);
                }
                (None, Action::Diffusion(factor)) if excitation == Excitation::Diffusion => {
                    let before = step.enter(z);
                    diffuse(factor, z, &mut random());
                    step.leave(z, before);
                }
                _ => step.apply(z, turn as f64),
            }
            if is_lost(z) {
                return Some(Loss { turn, element, at: *z });
            }
        }
        None
    }
}

/// One random kick for a whole ring: `z += factor * g`.
fn diffuse(factor: &[[f64; 6]; 6], z: &mut Point<f64>, random: &mut Random) {
    let normals: [[f64; 2]; 3] = std::array::from_fn(|_| random.normals());
    for (coordinate, row) in z.iter_mut().zip(factor) {
        *coordinate += row.iter().zip(normals.as_flattened()).map(|(entry, normal)| entry * normal).sum::<f64>();
    }
}

/// A magnet that emits photons, made ready to be passed slice by slice.
struct Emitter {
    body: Body,
    slices: u32,
    /// Length of a slice [m].
    slice: f64,
    curvature: f64,
    /// Total energy of the reference particle [eV].
    energy: f64,
    /// Rest energy [eV].
    rest_energy: f64,
}

/// The magnet without radiation. A plain one is kept whole for its edges, and as one slice.
enum Body {
    Plain(Box<MagnetMap>, Box<MagnetMap>),
    Exact(Box<MagnetMap>),
    SecondOrder(Box<SecondOrderBend>),
    ExactBend(Box<ExactBend>),
}

impl Emitter {
    fn new(step: &Step, energy: f64, rest_energy: f64) -> Option<Self> {
        let quiet = |magnet: &MagnetMap| MagnetMap { radiation: None, ..magnet.clone() };
        let (magnet, body) = match &step.action {
            Action::Magnet(magnet) => {
                let slice = MagnetMap { slices: 1, length: magnet.length / f64::from(magnet.slices), ..quiet(magnet) };
                (&**magnet, Body::Plain(Box::new(quiet(magnet)), Box::new(slice)))
            }
            Action::ExactMagnet(magnet) => (&**magnet, Body::Exact(Box::new(quiet(magnet)))),
            Action::SecondOrderBend(bend) => {
                let magnet = quiet(&bend.magnet);
                (&bend.magnet, Body::SecondOrder(Box::new(SecondOrderBend { magnet, ..(**bend).clone() })))
            }
            Action::ExactBend(bend) => {
                let magnet = quiet(&bend.magnet);
                (&bend.magnet, Body::ExactBend(Box::new(ExactBend { magnet, ..(**bend).clone() })))
            }
            _ => return None,
        };
        magnet.radiation?;
        let slice = magnet.length / f64::from(magnet.slices);
        Some(Self { body, slices: magnet.slices, slice, curvature: magnet.curvature, energy, rest_energy })
    }

    /// Takes a particle through the magnet, edges included.
    fn pass(&self, z: &mut Point<f64>, random: &mut Random) {
        let mut slices = |z: &mut Point<f64>, slice: &dyn Fn(&mut Point<f64>)| {
            for _ in 0..self.slices {
                let before = *z;
                slice(z);
                self.emit(&before, z, random);
            }
        };
        match &self.body {
            Body::Plain(whole, slice) => {
                whole.enter(z);
                slices(z, &|z| slice.body_alone(z));
                whole.leave(z, (z[4] + 1.0).recip());
            }
            Body::Exact(magnet) => {
                magnet.fringe_at_entrance(z, (z[4] + 1.0).recip());
                slices(z, &|z| {
                    exact_slice(magnet, z, self.slice, &mut Unwatched);
                    z[5] -= self.slice;
                });
                magnet.fringe_at_exit(z, (z[4] + 1.0).recip());
            }
            Body::SecondOrder(bend) => bend.around(z, |z| slices(z, &|z| bend.slice(z, self.slice, &mut Unwatched))),
            Body::ExactBend(bend) => bend.around(z, |z| slices(z, &|z| bend.slice(z, self.slice, &mut Unwatched))),
        }
    }

    /// Photons of one slice, whose curvature is that of the way from `before` to `z` at constant energy.
    fn emit(&self, before: &Point<f64>, z: &mut Point<f64>, random: &mut Random) {
        let total = 1.0 + z[4];
        // a positive curvature turns towards negative x
        let turned_x = (z[1] - before[1]) / total - self.curvature * self.slice;
        let turned_y = (z[3] - before[3]) / total;
        let turned = turned_x.hypot(turned_y);
        let path = self.slice + z[5] - before[5];
        let gamma = self.energy * total / self.rest_energy;
        let photons = 5.0 / (2.0 * 3f64.sqrt()) / INVERSE_FINE_STRUCTURE * gamma * turned;
        let critical = 1.5 * HBAR_C * gamma.powi(3) * turned / path;
        let count = if photons.is_finite() { random.count(photons) } else { 0 };
        let emitted: f64 = (0..count).map(|_| photon_energy(random.uniform())).sum();
        let kept = 1.0 - emitted * critical / (self.energy * total);
        (z[1], z[3], z[4]) = (z[1] * kept, z[3] * kept, total * kept - 1.0);
    }
}
