//! What radiation does to the beam: agreement with pyAT 0.9.0 (section 7 of the physics conventions), and laws.
//!
//! The numbers are in `reference/NAME.summary.json` and `NAME.ref.h5` of the shared folder. Every line printed is a
//! measured figure and its limit; run with `--nocapture` to see them.

use std::path::PathBuf;

use fodo_lattice::Lattice;
use fodo_optics::constants::SPEED_OF_LIGHT;
use fodo_optics::{Effects, NoOptics, Ring};
use serde_json::Value;

/// The rings with reference numbers.
const RINGS: [&str; 7] =
    ["clic_dr", "ebs_ring", "ebs_cell", "fodo_1gev_6d", "dba", "australian_synchrotron", "als_loco_2007"];

/// The folder of reference numbers: in `FODO_SHARED`, else beside the workspace.
fn folder() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("FODO_SHARED").map_or(beside, PathBuf::from).join("reference");
    if folder.is_dir() {
        return Some(folder);
    }
    _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: ../shared missing\n"));
    None
}

/// A lattice with its reference numbers, and what has been found to disagree.
struct Reference {
    name: &'static str,
    lattice: Lattice,
    summary: Value,
    failures: Vec<String>,
}

impl Reference {
    fn load(name: &'static str) -> Option<Self> {
        let folder = folder()?;
        let lattice = Lattice::load(folder.join(format!("{name}.at.json"))).expect("reference lattice");
        let text = std::fs::read_to_string(folder.join(format!("{name}.summary.json"))).expect("summary");
        let summary = serde_json::from_str(&text).expect("summary");
        Some(Self { name, lattice, summary, failures: vec![] })
    }

    /// The ring with its cavities at a harmonic of c over the length.
    ///
    /// That changes nothing but in clic_dr, whose particle has a mass: there pyAT closes the orbit after the time of
    /// flight at the particle's speed while its cavities count turns at that of light, so that the orbit it finds (for
    /// which the reference numbers are) is not closed in its own tracking. On a harmonic both are the same.
    fn ring(&self, effects: Effects) -> Ring {
        let mut ring = Ring::new(&self.lattice, effects);
        if let Some(frequency) = ring.rf_frequency().filter(|_| self.lattice.rest_energy != 0.0) {
            let turns = SPEED_OF_LIGHT / ring.length();
            ring.set_rf((frequency / turns).round() * turns, ring.rf_voltage());
        }
        ring
    }

    /// Numbers of the summary; empty where there are none. "Not a number" is kept as such.
    fn numbers(&self, pointer: &str) -> Vec<f64> {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        match self.summary.pointer(pointer) {
            Some(Value::Array(values)) => values.iter().map(number).collect(),
            Some(value) if value.is_number() => vec![number(value)],
            _ => vec![],
        }
    }

    /// Prints a measured disagreement and remembers it if it is above the limit.
    fn hold(&mut self, what: &str, measured: f64, limit: f64) {
        let mark = if measured <= limit { "" } else { "   <-- ABOVE" };
        eprintln!("{:24} {what:44} {measured:9.1e}  limit {limit:.0e}{mark}", self.name);
        if measured.is_nan() || measured > limit {
            self.failures.push(format!("{what}: {measured:.2e} > {limit:.0e}"));
        }
    }

    /// Holds numbers against those of the summary, if it has them, relative to each.
    fn hold_numbers(&mut self, ours: &[f64], pointer: &str, limit: f64) {
        let theirs = self.numbers(pointer);
        if theirs.is_empty() {
            return;
        }
        assert_eq!(ours.len(), theirs.len(), "{pointer}");
        for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            if theirs.is_finite() {
                self.hold(&format!("{pointer}/{index}"), (ours / theirs - 1.0).abs(), limit);
            }
        }
    }
}

/// Does a check on every ring.
fn on_rings(check: impl Fn(&mut Reference) -> Result<(), NoOptics>) {
    let mut failures = vec![];
    for name in RINGS {
        let Some(mut reference) = Reference::load(name) else { return };
        if let Err(problem) = check(&mut reference) {
            reference.failures.push(problem.to_string());
        }
        failures.extend(reference.failures.iter().map(|failure| format!("{name}: {failure}")));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn radiation_integrals_agree_with_pyat() {
    on_rings(|reference| {
        let ring = reference.ring(Effects::NONE);
        let integrals = ring.radiation_integrals()?;
        let ours = [integrals.i1, integrals.i2, integrals.i3, integrals.i4, integrals.i5];
        reference.hold_numbers(&ours, "/radiation_integrals_I1_I5", 1e-8);
        let radiation = ring.radiation()?;
        reference.hold_numbers(&[radiation.energy_loss], "/radiation_parameters/U0", 1e-9);
        reference.hold_numbers(&radiation.damping_partition, "/radiation_parameters/J", 1e-6);
        // pyAT takes the speed of the particle for its period but that of light in tracking: 1/(2 gamma²), 5e-7 in dba
        reference.hold_numbers(&radiation.damping_times, "/radiation_parameters/Tau", 1e-6);
        reference.hold_numbers(&[radiation.energy_spread], "/radiation_parameters/sigma_e", 1e-6);
        reference.hold_numbers(&[radiation.emittance_x], "/radiation_parameters/emittances/0", 1e-6);
        let lost = ring.tracked_energy_loss()? * f64::from(ring.periodicity());
        reference.hold_numbers(&[lost], "/energy_loss_tracking_eV", 1e-8);
        Ok(())
    });
}
