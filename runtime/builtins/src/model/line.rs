//! The model of a line: what enters it, and what only a ring has.

use super::{Model, ModelHandle};
use fodo_devices::{Entrance, Facility, MachineKind};
use fodo_dynamics::Sizes;
use fodo_language::{OrFail, Outcome};
use fodo_optics::{Effects, Optics, Point, Ring, Twiss};
use fodo_report::{Diagnostic, Kind, Result};
use nalgebra::Matrix6;
use rhai::{Map, NativeCallContext};
use std::sync::Arc;

/// A line: what it is called, and the beam that the design says enters.
pub struct Line {
    name: Arc<str>,
    kind: MachineKind,
    entrance: Entrance,
}

impl Line {
    /// That of a facility; nothing for a ring.
    pub fn of(facility: &Facility) -> Option<Arc<Line>> {
        let entrance = facility.entrance.clone()?;
        Some(Arc::new(Line { name: facility.name.clone(), kind: facility.kind, entrance }))
    }

    /// Where the centre of the beam enters.
    pub fn start(&self) -> &Point<f64> {
        &self.entrance.start
    }

    /// Twiss functions with which it enters.
    pub fn twiss(&self) -> [Twiss; 2] {
        [0, 1].map(|plane| Twiss { beta: self.entrance.beta[plane], alpha: self.entrance.alpha[plane] })
    }

    /// Dispersion with which it enters: x, px, y, py.
    pub fn dispersion(&self) -> [f64; 4] {
        self.entrance.dispersion
    }

    /// Functions along a ring of its elements.
    pub fn optics(&self, ring: &Ring) -> Result<Optics, fodo_optics::NoOptics> {
        ring.optics_along(self.start(), self.twiss(), self.dispersion())
    }

    /// Sizes of the beam that enters; those that the design does not say are zero.
    pub fn sizes(&self) -> Sizes {
        let Entrance { emittance: [emittance_x, emittance_y], energy_spread, bunch_length, .. } = self.entrance;
        Sizes { emittance_x, emittance_y, energy_spread, length: bunch_length }
    }

    /// The same where the options of a script do not say otherwise.
    pub fn sizes_but(&self, options: &Map, said: &Sizes) -> Sizes {
        let own = self.sizes();
        let pick = |key: &str, said: f64, own: f64| if options.contains_key(key) { said } else { own };
        Sizes {
            emittance_x: pick("emittance_x", said.emittance_x, own.emittance_x),
            emittance_y: pick("emittance_y", said.emittance_y, own.emittance_y),
            energy_spread: pick("energy_spread", said.energy_spread, own.energy_spread),
            length: pick("length", said.length, own.length),
        }
    }
}

impl Model {
    /// An error where the beam does not come round: `has_no` is what is missed, as in "it has no tune".
    pub fn needs_ring(&self, has_no: &str) -> Result<()> {
        let Some(Line { name, kind, .. }) = self.line.as_deref() else { return Ok(()) };
        Err(Diagnostic::new(Kind::Script, format!("{name} is a {kind}: {has_no}"))
            .hint("what it has: model.orbit_x, beta_x, alpha_x, phase_x, dispersion_x, reference_energy, orbit_response, beam_sizes()")
            .into())
    }

    /// The effects of its optics: those of a line are with its cavities, those of a ring without.
    pub fn optics_effects(&self) -> Effects {
        if self.line.is_some() { self.ring.effects() } else { Effects::NONE }
    }

    /// Optics of the whole elements: of a ring on its closed orbit, of a line along its trajectory.
    pub fn optics_of(&self, ring: &Ring) -> Result<Optics> {
        match &self.line {
            Some(line) => self.or_failed(line.optics(ring)),
            None => self.or_failed(ring.optics()),
        }
    }

    /// Where the centre of the beam starts: on the closed orbit of a ring, at the entrance of a line.
    pub fn centre_of(&self, ring: &Ring) -> Result<Point<f64>> {
        match &self.line {
            Some(line) => Ok(*line.start()),
            None => Ok(self.or_failed(ring.find_closed_orbit())?.start()),
        }
    }

    /// The line that a match is of, if it is one that can be matched.
    pub fn matched_line(&self) -> Result<Option<&Line>> {
        let Some(line) = self.line.as_deref() else { return Ok(None) };
        let cannot = |what: &str| {
            let message = format!("`match_optics` of a line {what}: {} does", line.name);
            Err(Diagnostic::new(Kind::Script, message).into())
        };
        match () {
            () if self.optics_effects().cavity => cannot("cannot go through cavities"),
            () if *line.start() != [0.0; 6] => cannot("cannot begin beside its axis"),
            () => Ok(Some(line)),
        }
    }

    /// Beam matrices of a line at the entrance of each element and at the end, in units of the reference there.
    pub fn line_matrices(&self, line: &Line) -> Result<Vec<Matrix6<f64>>> {
        let ring = &self.ring;
        let lost = |index: usize| format!("the beam is lost at {}", ring.element(index).name);
        let passage = self.or_failed(ring.passage(line.start()).map_err(lost))?;
        let sizes = line.sizes();
        let start = self.or_failed(fodo_dynamics::beam_matrix(line.twiss(), line.dispersion(), &sizes))?;
        Ok(passage.matrices.iter().map(|matrix| matrix * start * matrix.transpose()).collect())
    }
}

impl ModelHandle {
    /// The lattice it stands for, if the beam comes round in it; `function` is what is asked for.
    pub(super) fn ring(&self, context: &NativeCallContext, function: &str) -> Outcome<Arc<Model>> {
        let model = self.here(context)?;
        model.needs_ring(&format!("`{function}` is for rings")).or_fail()?;
        Ok(model)
    }
}
