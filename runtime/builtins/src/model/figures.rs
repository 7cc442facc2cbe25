//! What `model.` can be followed by: figures of the whole lattice and functions along it.

use super::{Along, Model};
use crate::{Property, quantity};
use fodo_language::{OrFail, Outcome, fail};
use fodo_optics::{Equilibrium, Optics, RadiationIntegrals};
use fodo_report::{Diagnostic, Kind, Result};
use fodo_units::Unit;
use rhai::Dynamic;

/// A function along the lattice: name, unit, how it is taken from the optics.
type Function = (&'static str, &'static str, fn(&Optics) -> Vec<f64>);

/// A figure of the lattice: name, unit, how it is computed.
type Figure = (&'static str, &'static str, fn(&Model) -> Result<f64>);

const FUNCTIONS: &[Function] = &[
    ("s", "m", |o| o.position.clone()),
    ("beta_x", "m", |o| o.beta_x.clone()),
    ("beta_y", "m", |o| o.beta_y.clone()),
    ("alpha_x", "1", |o| o.alpha_x.clone()),
    ("alpha_y", "1", |o| o.alpha_y.clone()),
    ("phase_x", "rad", |o| o.phase_x.clone()),
    ("phase_y", "rad", |o| o.phase_y.clone()),
    ("dispersion_x", "m", |o| o.dispersion.iter().map(|d| d[0]).collect()),
    ("dispersion_px", "1", |o| o.dispersion.iter().map(|d| d[1]).collect()),
    ("dispersion_y", "m", |o| o.dispersion.iter().map(|d| d[2]).collect()),
    ("dispersion_py", "1", |o| o.dispersion.iter().map(|d| d[3]).collect()),
    ("orbit_x", "m", |o| o.orbit.iter().map(|z| z[0]).collect()),
    ("orbit_px", "1", |o| o.orbit.iter().map(|z| z[1]).collect()),
    ("orbit_y", "m", |o| o.orbit.iter().map(|z| z[2]).collect()),
    ("orbit_py", "1", |o| o.orbit.iter().map(|z| z[3]).collect()),
    ("reference_energy", "eV", |o| o.energy.clone()),
];

const FIGURES: &[Figure] = &[
    ("tune_x", "1", |m| Ok(m.with_tune()?.tune_x())),
    ("tune_y", "1", |m| Ok(m.with_tune()?.tune_y())),
    ("chromaticity_x", "1", |m| Ok(m.chromaticity()?[0])),
    ("chromaticity_y", "1", |m| Ok(m.chromaticity()?[1])),
    ("momentum_compaction", "1", |m| m.momentum_compaction()),
    ("length", "m", |m| Ok(m.ring.length())),
    ("energy", "eV", |m| Ok(m.ring.energy())),
    ("i1", "m", |m| Ok(m.integrals()?.i1)),
    ("i2", "1/m", |m| Ok(m.integrals()?.i2)),
    ("i3", "1/m^2", |m| Ok(m.integrals()?.i3)),
    ("i4", "1/m", |m| Ok(m.integrals()?.i4)),
    ("i5", "1/m", |m| Ok(m.integrals()?.i5)),
    ("energy_loss", "eV", |m| m.energy_loss()),
    ("damping_partition_x", "1", |m| Ok(m.integrals()?.damping_partition()[0])),
];

/// A figure of the equilibrium beam: name, unit, how it is taken from it.
pub type OfBeam = (&'static str, &'static str, fn(&Equilibrium) -> f64);

/// The figures of the equilibrium beam.
pub const OF_BEAM: &[OfBeam] = &[
    ("tune_s", "1", |beam| beam.tunes[2]),
    ("damping_time_x", "s", |beam| beam.damping_times[0]),
    ("damping_time_y", "s", |beam| beam.damping_times[1]),
    ("damping_time_s", "s", |beam| beam.damping_times[2]),
    ("emittance_x", "m", |beam| beam.emittances[0]),
    ("emittance_y", "m", |beam| beam.emittances[1]),
    ("emittance_s", "m", |beam| beam.emittances[2]),
    ("energy_spread", "1", |beam| beam.energy_spread),
    ("bunch_length", "m", |beam| beam.bunch_length),
];

impl Model {
    fn with_tune(&self) -> Result<&Optics> {
        self.needs_ring("it has no tune")?;
        self.optics()
    }

    fn momentum_compaction(&self) -> Result<f64> {
        self.needs_ring("it has no momentum compaction")?;
        Ok(self.optics()?.momentum_compaction)
    }

    /// Radiation integrals of the elements of the lattice.
    fn integrals(&self) -> Result<RadiationIntegrals> {
        self.needs_ring("radiation integrals are those of a ring")?;
        self.or_failed(self.ring.radiation_integrals())
    }

    fn chromaticity(&self) -> Result<[f64; 2]> {
        self.needs_ring("it has no chromaticity")?;
        self.or_failed(self.ring.chromaticity())
    }

    fn energy_loss(&self) -> Result<f64> {
        self.needs_ring("its beam makes no turn, so that there is no energy loss per turn")?;
        Ok(self.or_failed(self.ring.radiation())?.energy_loss)
    }
}

/// What can stand behind `model.` and is not called.
pub fn properties() -> impl Iterator<Item = Property> {
    let of = |about, kind| move |name, unit| Property { subject: "model", of: "model", name, about, unit, kind };
    let along = of("along the lattice; index it with a family", "model function");
    let figure = of("of the whole lattice", "quantity");
    let beam = of("of the equilibrium beam", "quantity");
    let names = of("names of the elements", "array")("names", "");
    let along = FUNCTIONS.iter().map(move |(name, unit, _)| along(*name, *unit));
    let figures = FIGURES.iter().map(move |(name, unit, _)| figure(*name, *unit));
    let beam = OF_BEAM.iter().map(move |(name, unit, _)| beam(*name, *unit));
    along.chain(figures).chain(beam).chain([names])
}

/// The property `name` of a model; `functions` are the names of what it can be asked with arguments.
pub fn property(model: &Model, name: &str, functions: impl Fn() -> Vec<String>) -> Outcome<Dynamic> {
    if name == "names" {
        let names = model.lattice.elements.iter().map(|element| Dynamic::from(element.name.to_string()));
        return Ok(names.collect::<rhai::Array>().into());
    }
    if let Some((_, unit, compute)) = FIGURES.iter().find(|(known, ..)| *known == name) {
        return Ok(quantity::of(compute(model).or_fail()?, Unit::parse(unit).or_fail()?));
    }
    if let Some((_, unit, compute)) = OF_BEAM.iter().find(|(known, ..)| *known == name) {
        return Ok(quantity::of(compute(model.equilibrium().or_fail()?), Unit::parse(unit).or_fail()?));
    }
    if let Some((_, unit, compute)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) {
        let values = compute(model.optics().or_fail()?).into();
        let (places, lattice) = (model.places().into(), model.lattice.clone());
        let unit = if name == "s" { Unit::position() } else { Unit::parse(unit).or_fail()? };
        return Ok(Dynamic::from(Along { values, unit, places, lattice }));
    }
    let known: Vec<String> = properties().map(|property| property.name.to_string()).chain(functions()).collect();
    let report = Diagnostic::new(Kind::Script, format!("the model has no `{name}`"));
    let report = report.near(name, known.iter().map(String::as_str));
    let all = || format!("it has {}", known.join(", "));
    Err(fail(Box::new(if report.hints.is_empty() { report.hint(all()) } else { report })))
}
