//! A shot of a ring: kickers fire, a beam is injected, the stored one goes on, monitors keep turns.

use crate::beam::{Beam, Found};
use crate::draw::noise;
use crate::entering::Entering;
use crate::kickers::{Jitter, Pulse, pulses};
use crate::modulation::Modulation;
use crate::plant::{State, Twin};
use crate::turns::{Acquired, Bunch, Left, Shoot};
use fodo_devices::{Facility, Quantities};
use fodo_dynamics::{Shape, distribution};
use fodo_optics::constants::SPEED_OF_LIGHT;
use fodo_optics::{Effects, Orbit, Point, Ring};

/// What tells the jitter of kickers from other noise.
const KICKERS: u64 = 0x6b69_636b_6572;

/// What is injected into a ring.
pub(crate) struct Shots {
    entering: Entering,
    /// The element at whose entrance it begins.
    from: usize,
    /// Where the synchronous particle of the design is there [m].
    synchronous: f64,
    turns: u64,
}

impl Shots {
    /// Those of a facility; `ring` is the machine as it is designed.
    pub fn of(facility: &Facility, ring: &Ring, seed: u64) -> Option<Shots> {
        let design = facility.injection.as_ref()?;
        let from = (design.element + 1) % ring.len();
        let orbit = ring.find_closed_orbit().ok().filter(|_| ring.effects().cavity);
        Some(Shots {
            entering: Entering::new(design.beam.clone(), seed),
            from,
            synchronous: orbit.map_or(0.0, |orbit| orbit.at(from)[5]),
            turns: design.turns,
        })
    }
}

impl Twin {
    /// The kickers fire, and monitors take turns; a beam enters if it is told to.
    pub(crate) fn fire(&self, state: &mut State, injects: bool) {
        let shots = self.shots.as_ref().filter(|_| injects);
        let taken = self.bunches(state, shots).map(|bunches| self.follow(state, bunches));
        let left = taken.as_ref().map(|acquired| acquired.left.clone()).map_err(Clone::clone);
        if shots.is_some() {
            let part = |left: Vec<Left>| left.iter().filter(|left| left.injected).map(|left| left.part).sum();
            state.efficiency = Some(left.clone().map(part));
        }
        let sampled = self.channels.has_samples().then(|| self.sample_fast(state));
        left.into_iter().flatten().for_each(|left| self.count(state, left));
        state.fired += 1;
        let last = state.acquired[0].take();
        state.acquired = [Some(taken), last];
        let last = state.sampled[0].take();
        state.sampled = [sampled, last];
    }

    /// The stored beam, if there is one, and what is injected.
    ///
    /// # Errors
    /// Why nothing goes round.
    fn bunches(&self, state: &mut State, shots: Option<&Shots>) -> Found<Vec<Bunch>> {
        let current = self.current(state);
        let orbit = self.stored(state).and_then(Beam::orbit);
        let turns = shots.map_or(1, |shots| shots.turns).max(self.turns.1 as u64);
        let stored = match (orbit, shots) {
            // a shot needs no stored beam
            (Err(_), Some(_)) => None,
            (orbit, _) => Some(self.stored_bunch(state, &*orbit?, current, turns)?),
        };
        let injected = shots.map(|shots| self.injected_bunch(state, shots, turns));
        Ok(stored.into_iter().chain(injected).collect())
    }

    /// What is left counts: a part of the stored beam, or of what was injected.
    fn count(&self, state: &mut State, left: Left) {
        let seconds = self.seconds(state);
        let revolution = state.beam.ring().revolution_time();
        match left {
            Left { injected: true, charge, part } => state.store.add(part * charge / revolution, seconds),
            Left { part, .. } if part < 1.0 => state.store.keep(part, seconds),
            _ => {}
        }
    }

    fn follow(&self, state: &State, bunches: Vec<Bunch>) -> Acquired {
        let State { beam, present, fired, now, .. } = state;
        let pulses = self.pulses(state);
        let shoot = Shoot {
            ring: beam.ring(),
            channels: &self.channels,
            present,
            pulses: &pulses,
            modulation: Modulation::of(&self.channels.knobs, |knob| self.gives(state, knob)),
            quantum: self.turns.0.quantum,
            turns: self.turns.1.max(1),
            seed: (self.seed(), *fired),
            now: *now,
        };
        shoot.fire(bunches)
    }

    /// What the supply of a knob gives, physics value in SI.
    fn gives(&self, state: &State, knob: usize) -> f64 {
        state.present.supplies[knob].gives(self.held(&state.ramps, knob, self.seconds(state)))
    }

    /// The sum over what all supplies of a quantity give.
    fn sum(&self, state: &State, quantity: Quantities) -> f64 {
        let knobs = self.channels.knobs.iter().enumerate();
        knobs.filter(|(_, knob)| knob.quantity == Some(quantity)).map(|(at, _)| self.gives(state, at)).sum()
    }

    fn pulses(&self, state: &State) -> Vec<Pulse> {
        let knobs = &self.channels.knobs;
        let truth = &state.truth.injection;
        let numbers = noise(self.seed() ^ KICKERS, (state.fired, 0), 2 * knobs.len());
        let jitter = Jitter { kick: truth.kick_jitter, time: truth.time_jitter, numbers: &numbers };
        let revolution = state.beam.ring().revolution_time();
        pulses(knobs, &state.present.supplies, |knob| self.gives(state, knob), revolution, &jitter)
    }

    /// The stored beam on its closed orbit.
    ///
    /// # Errors
    /// Why there is no beam of this many particles.
    fn stored_bunch(&self, state: &State, orbit: &Orbit, current: f64, turns: u64) -> Found<Bunch> {
        let ring = state.beam.ring();
        let particles = match self.turns.0.particles {
            1 => vec![orbit.start()],
            count => {
                let beam = ring.with_effects(Effects::ALL).find_equilibrium().map_err(|e| e.to_string())?;
                let seed = self.seed() ^ state.fired.rotate_left(32);
                distribution(count, &orbit.start(), &beam.beam_matrix, Shape::Gaussian, seed)
                    .map_err(|e| e.to_string())?
            }
        };
        let charge = current * ring.revolution_time();
        Ok(Bunch { particles, charge, injected: false, from: 0, late: 0.0, turns })
    }

    /// What comes out of the septum in this shot.
    fn injected_bunch(&self, state: &State, shots: &Shots, turns: u64) -> Bunch {
        let ring = state.beam.ring();
        let shot = (state.fired, 0);
        let (mut start, charge) = shots.entering.centre(&state.truth.injection, shot);
        let late = self.sum(state, Quantities::InjectionDelay);
        start[1] += self.sum(state, Quantities::SeptumX);
        start[3] += self.sum(state, Quantities::SeptumY);
        start[5] += shots.synchronous + beside_bucket(ring, late);
        let about = |particle: Point<f64>| std::array::from_fn(|row| start[row] + particle[row]);
        let mut particles: Vec<Point<f64>> = shots.entering.particles(shot).into_iter().map(about).collect();
        if state.present.beamless {
            particles.fill([f64::NAN; 6]);
        }
        Bunch { particles, charge, injected: true, from: shots.from, late, turns }
    }
}

/// By how much a beam that comes later lies behind the nearest bucket [m].
fn beside_bucket(ring: &Ring, late: f64) -> f64 {
    let frequency = ring.rf_frequency().filter(|frequency| *frequency != 0.0);
    let of = |frequency: f64| SPEED_OF_LIGHT * (late - (late * frequency).round() / frequency);
    frequency.map_or(0.0, of)
}
