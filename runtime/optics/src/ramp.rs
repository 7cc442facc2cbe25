//! Tracking while the reference energy changes from turn to turn.

use fodo_lattice::Body;

use crate::maps::Point;
use crate::ring::{Loss, Ring};

impl Ring {
    /// Tracks particles while the reference energy is ramped, in place; one turn for each energy [eV] of the table.
    ///
    /// All magnets follow the reference momentum (their strengths are normalised to it), and the cavities follow its
    /// speed; their voltage stays. At the end of each turn the coordinates go over to the next reference: px, py and
    /// 1 + delta in proportion to the momentum, ct so that times stay. The synchronous particle is the one that the
    /// cavities give just the step of the table. The first energy need not be that of the lattice; coordinates given
    /// belong to it, and those returned to the last one.
    pub fn track_ramp(&self, particles: &mut [Point<f64>], first_turn: u64, energies: &[f64]) -> Vec<Option<Loss>> {
        let mut losses = vec![None; particles.len()];
        let mut ring = self.at_energy(energies.first().copied().unwrap_or(self.energy()));
        for (number, turn) in (0..energies.len()).zip(first_turn..) {
            for (known, found) in losses.iter_mut().zip(ring.track(particles, 1, turn)) {
                *known = known.or(found);
            }
            let Some(&next) = energies.get(number + 1) else { break };
            let after = self.at_energy(next);
            let change = ring.settings.change_to(&after.settings);
            particles.iter_mut().filter(|z| !z[0].is_nan()).for_each(|z| change.apply(z));
            ring = after;
        }
        losses
    }

    /// The same machine with all magnets at another reference energy [eV], the cavities following the speed.
    #[must_use]
    pub fn at_energy(&self, energy: f64) -> Self {
        let mut other = self.clone();
        if energy == self.energy() {
            return other;
        }
        other.settings.energy = energy;
        let faster = other.settings.beta() / self.settings.beta();
        other.settings.revolution_time /= faster;
        for element in &mut other.elements {
            if let Body::Cavity(cavity) = &mut element.body {
                cavity.frequency *= faster;
            }
        }
        other.prepare_all();
        other
    }
}
