//! Tapering: every magnet set to the energy the beam has there.
//!
//! Between cavities the beam loses energy, and what is too strong or too weak for it bends the orbit and changes the
//! optics. Each magnet is scaled to the mean of the energies at its two ends.

use fodo_lattice::Body;

use crate::orbit::{NoClosedOrbit, Orbit};
use crate::ring::{Effects, Ring};

/// Which magnets are tapered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tapered {
    /// Bends: the orbit becomes flat.
    Bends,
    /// Bends and quadrupoles: the tunes come back, too.
    #[default]
    BendsAndQuadrupoles,
    /// All thick magnets: the chromaticities come back, too.
    AllMagnets,
}

impl Tapered {
    /// Whether an element that is no bend is scaled.
    fn scales(self, body: &Body) -> bool {
        match body {
            Body::Quadrupole(_) => self != Self::Bends,
            Body::Sextupole(_) | Body::Octupole(_) | Body::Multipole(_) => self == Self::AllMagnets,
            _ => false,
        }
    }
}

impl Ring {
    /// Scales the fields of magnets to the energy of the 6D closed orbit there, `rounds` times over (once is near enough
    /// where the losses are small), bends before the others. Returns the closed orbit with cavities and radiation that
    /// comes of it.
    ///
    /// [`fodo_lattice::Element::field_scaling`] of these magnets is set anew: what it was before is gone.
    ///
    /// # Errors
    /// There is no closed orbit with cavities and radiation; the ring is left as it was.
    pub fn taper(&mut self, tapered: Tapered, rounds: u32) -> Result<Orbit, NoClosedOrbit> {
        let mut radiating = self.with_effects(Effects::ALL);
        for _ in 0..rounds {
            radiating.scale_to_energy(|body| matches!(body, Body::Bend(_)))?;
            if tapered != Tapered::Bends {
                radiating.scale_to_energy(|body| tapered.scales(body))?;
            }
        }
        let orbit = radiating.find_closed_orbit()?;
        for (index, element) in radiating.elements().iter().enumerate() {
            if element.field_scaling != self.element(index).field_scaling {
                self.set_field_scaling(index, element.field_scaling);
            }
        }
        Ok(orbit)
    }

    /// Scales some of the elements to the mean energy of the closed orbit in each.
    fn scale_to_energy(&mut self, some: impl Fn(&Body) -> bool) -> Result<(), NoClosedOrbit> {
        let points = self.find_closed_orbit()?.points;
        for (index, ends) in points.windows(2).enumerate() {
            if some(&self.element(index).body) {
                self.set_field_scaling(index, 1.0 + 0.5 * (ends[0][4] + ends[1][4]));
            }
        }
        Ok(())
    }
}
