//! Changing the machine itself while it runs: all of it, or nothing and why.

use crate::beam::Beam;
use crate::cycle::Waves;
use crate::element::{Machine, tapered};
use crate::errors::Exact;
use crate::plant::{State, Twin};
use crate::ramp::Ramp;
use crate::truth::Truth;
use fodo_devices::Facility;
use fodo_lattice::Lattice;
use fodo_optics::Ring;
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Twin {
    /// Replaces what is wrong by values that are known, in the form of `exact` in `twin.toml`; what is not named stays.
    ///
    /// # Errors
    /// `facility`: the text is wrong; the twin stays as it was.
    pub fn set_exact(&self, facility: &Facility, text: &str) -> Result<()> {
        let values = Exact::parse(text, facility)?;
        let mut state = self.state();
        let mut truth = Truth::clone(&state.truth);
        values.put(&mut truth);
        state.truth = Arc::new(truth);
        state.found = None;
        Ok(())
    }

    /// What is wrong is again what was drawn at the start.
    pub fn reset_truth(&self) {
        let mut state = self.state();
        state.truth = self.drawn.clone();
        state.found = None;
    }

    /// Exchanges the lattice for another one with the same elements: other optics, other fields. A setpoint moves by as
    /// much as the lattice has it elsewhere, so that corrections stay.
    ///
    /// # Errors
    /// `facility`: other elements, a setpoint beyond its limits, or no closed orbit; the twin stays as it was.
    pub fn exchange(&self, lattice: &Arc<Lattice>) -> Result<()> {
        if self.injection.is_some() {
            return Err(refused("another lattice is for rings: that of a line stays as it is".into()));
        }
        let mut state = self.state();
        self.settled(&mut state);
        same_elements(state.machine.lattice(), lattice)?;
        let lattice = &if self.tapering { tapered(lattice)? } else { lattice.clone() };
        let start = |machine: &Machine| self.channels.held_at(machine.starts());
        let machine = Machine::new(lattice, &self.channels.knobs);
        let (old, new) = (start(&state.machine), start(&machine));
        let values: Vec<f64> = (0..new.len())
            .map(|knob| match (state.values[self.channels.first(knob)], old[knob] == new[knob]) {
                (value, true) => value,
                (value, false) => value + (new[knob] - old[knob]),
            })
            .collect();
        let waves = self.waves_moved(&state, &machine);
        self.within_limits(&values, &waves)?;
        let mut ring = Ring::try_new(lattice, self.effects())
            .map_err(|problems| refused(format!("this lattice cannot be tracked: {problems}")))?;
        let ramps: Vec<Ramp> = values.iter().copied().map(Ramp::at).collect();
        let (seconds, moment) = (self.seconds(&state), self.moment(&state));
        let physics = |knob: usize| self.felt((&ramps, &waves), knob, seconds, moment);
        let all: BTreeSet<usize> = (0..lattice.elements.len()).collect();
        machine.rebuild(&all, physics, &state.present, &mut |element, built| {
            ring.change(element, |there| there.clone_from(built));
        });
        ring.closed_orbit().map_err(|why| refused(format!("with this lattice there is no beam: {why}")))?;
        state.beam = Beam::again(&state.beam, ring);
        state.machine = machine;
        (state.ramps, state.waves) = (ramps, waves);
        state.moving.clear();
        let now = state.now;
        for knob in (0..values.len()).filter(|&knob| old[knob] != new[knob]) {
            state.written[knob] = now;
        }
        state.values = values;
        // magnets that remember go there as they would for any write, and give what they then do
        let irons: Vec<usize> = state.irons.keys().copied().collect();
        state.pending.extend(irons);
        Ok(())
    }

    /// The wave forms, moved by as much as another machine has the lattice elsewhere.
    fn waves_moved(&self, state: &State, machine: &Machine) -> Waves {
        let Some(boost) = &self.boost else { return Waves::new() };
        let of = |machine: &Machine| boost.waves(&self.channels.knobs, machine.starts());
        let (old, new) = (of(&state.machine), of(machine));
        let moved = |(knob, row): (&usize, &Arc<[f64]>)| {
            let by = |at: usize| new[knob][at] - old[knob][at];
            (*knob, row.iter().enumerate().map(|(at, value)| value + by(at)).collect())
        };
        state.waves.iter().map(moved).collect()
    }

    fn within_limits(&self, values: &[f64], waves: &Waves) -> Result<()> {
        let alone = self.channels.knobs.iter().zip(values).enumerate().filter(|(at, _)| !waves.contains_key(at));
        let alone = alone.map(|(_, (knob, value))| (knob, *value));
        let of_wave = |(at, row): (&usize, &Arc<[f64]>)| {
            let (low, high) = self.channels.knobs[*at].limits;
            let beyond = row.iter().copied().find(|value| *value < low || *value > high);
            beyond.map(|value| (&self.channels.knobs[*at], value))
        };
        let beyond = alone.chain(waves.iter().filter_map(of_wave)).filter_map(|(knob, value)| {
            let ((low, high), unit) = (knob.limits, knob.field.hardware.symbol());
            let name = || format!("{}[\"{}\"].{}", knob.device.family, knob.device.name, knob.field.name);
            (value < low || value > high)
                .then(|| format!("{} would be {value} {unit}, its limits are {low} to {high}", name()))
        });
        let beyond: Vec<String> = beyond.collect();
        match beyond.is_empty() {
            true => Ok(()),
            false => {
                let what = format!("with this lattice {} setpoints would be beyond their limits", beyond.len());
                Err(Diagnostic::new(Kind::Limits, what).details(beyond).machine("the twin is as it was").into())
            }
        }
    }
}

fn refused(what: String) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Kind::Facility, what).machine("the twin is as it was"))
}

/// An error if the lattices have other elements, or in another order.
fn same_elements(old: &Lattice, new: &Lattice) -> Result<()> {
    if old.elements.len() != new.elements.len() {
        let (was, is) = (old.elements.len(), new.elements.len());
        return Err(refused(format!("the machine has {was} elements and this lattice {is}: it is another machine")));
    }
    match old.elements.iter().zip(&new.elements).find(|(old, new)| old.name != new.name) {
        Some((old, new)) => {
            Err(refused(format!("this lattice has `{}` where the machine has `{}`", new.name, old.name)))
        }
        None => Ok(()),
    }
}
