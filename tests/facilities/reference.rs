//! The lattices of the shipped facilities, as they are loaded, against pyAT 0.9.0: the table of section 7 of the
//! physics conventions.
//!
//! `runtime/optics/tests` compares the engine on the reference's own lattice files; here it is our lattice files that
//! are under test, with our names and numbers. Every line printed is a measured figure and its limit.

use super::facility;
use fodo_devices::Facility;
use fodo_optics::{Effects, Optics, Orbit, Ring};
use fodo_tests::{shared, skipped};
use hdf5_pure::File;
use serde_json::Value;

struct Reference {
    name: &'static str,
    file: File,
    summary: Value,
    facility: Facility,
    failures: Vec<String>,
}

impl Reference {
    fn open(facility_name: &str, name: &'static str) -> Option<Reference> {
        let Some(shared) = shared() else {
            skipped(name, "../shared is missing");
            return None;
        };
        let path = |ending: &str| shared.join("reference").join(format!("{name}.{ending}"));
        let file = File::open(path("ref.h5")).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let summary = serde_json::from_str(&std::fs::read_to_string(path("summary.json")).unwrap()).unwrap();
        Some(Reference { name, file, summary, facility: facility(facility_name), failures: Vec::new() })
    }

    fn numbers(&self, path: &str) -> Vec<f64> {
        self.file.dataset(path).expect(path).read_f64().expect(path)
    }

    fn indices(&self, path: &str) -> Vec<usize> {
        let numbers: Vec<u32> = self.file.dataset(path).expect(path).read().expect(path);
        numbers.into_iter().map(|number| number as usize).collect()
    }

    fn pair(&self, pointer: &str) -> [f64; 2] {
        let list = self.summary.pointer(pointer).and_then(Value::as_array).expect("a pair");
        [0, 1].map(|plane| list[plane].as_f64().expect("a number"))
    }

    fn ring(&self, effects: Effects) -> Ring {
        Ring::new(&self.facility.lattice, effects)
    }

    /// Prints a measured disagreement and remembers it if it is above the limit.
    fn hold(&mut self, what: &str, measured: f64, limit: f64) {
        eprintln!("{:14} {what:40} {measured:9.1e}  limit {limit:.0e}", self.name);
        if measured.is_nan() || measured > limit {
            self.failures.push(format!("{what}: {measured:.2e} > {limit:.0e}"));
        }
    }

    fn finish(self) {
        assert!(self.failures.is_empty(), "{}: {:#?}", self.name, self.failures);
    }
}

/// Largest difference.
fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The same relative to the largest entry.
fn apart_relative(ours: &[f64], theirs: &[f64]) -> f64 {
    apart(ours, theirs) / theirs.iter().fold(0.0, |most: f64, value| most.max(value.abs()))
}

fn column(table: &[f64], column: usize) -> Vec<f64> {
    table.iter().skip(column).step_by(2).copied().collect()
}

fn flat(orbit: &Orbit) -> Vec<f64> {
    orbit.points.concat()
}

fn check_orbits(reference: &mut Reference) {
    let orbit = reference.ring(Effects::NONE).find_closed_orbit().unwrap();
    reference.hold("orbit4", apart(&flat(&orbit), &reference.numbers("orbit4")), 1e-11);
    let orbit = reference.ring(Effects::ALL).find_closed_orbit().unwrap();
    reference.hold("orbit6, with radiation", apart(&flat(&orbit), &reference.numbers("orbit6")), 1e-11);
}

fn check_optics(reference: &mut Reference) {
    let ring = reference.ring(Effects::NONE);
    let optics: Optics = ring.optics().unwrap();
    reference.hold("positions", apart(&optics.position, &reference.numbers("optics2/s_pos")), 1e-9);
    let [beta, alpha, mu] = ["beta", "alpha", "mu"].map(|what| reference.numbers(&format!("optics2/{what}")));
    let planes = [
        ("x", &optics.beta_x, &optics.alpha_x, &optics.phase_x),
        ("y", &optics.beta_y, &optics.alpha_y, &optics.phase_y),
    ];
    for (plane, (name, our_beta, our_alpha, our_phase)) in planes.into_iter().enumerate() {
        reference.hold(&format!("beta_{name}, relative"), apart_relative(our_beta, &column(&beta, plane)), BETA);
        reference.hold(&format!("alpha_{name}, relative"), apart_relative(our_alpha, &column(&alpha, plane)), BETA);
        reference.hold(&format!("phase_{name}, relative"), apart_relative(our_phase, &column(&mu, plane)), BETA);
    }
    let dispersion = apart_relative(&optics.dispersion.concat(), &reference.numbers("optics2/dispersion"));
    reference.hold("dispersion, relative", dispersion, 1e-5);
    let tunes = [optics.tune_x().rem_euclid(1.0), optics.tune_y().rem_euclid(1.0)];
    reference.hold("tunes", apart(&tunes, &reference.pair("/optics2/tune")), 1e-9);
    let modes = ring.modes().unwrap();
    reference.hold(
        "tunes of the modes",
        apart(&[modes[0].tune, modes[1].tune], &reference.pair("/optics4/tune")),
        1e-9,
    );
    // the chromaticity of demo_ring is zero: the difference counts against one unit at least
    let (ours, theirs) = (ring.chromaticity().unwrap(), reference.pair("/optics4/chromaticity"));
    let size = theirs.iter().fold(1.0, |most: f64, value| most.max(value.abs()));
    reference.hold("chromaticity, relative", apart(&ours, &theirs) / size, 1e-5);
    let compaction = reference.summary["momentum_compaction"].as_f64().unwrap();
    reference.hold("momentum compaction, relative", (optics.momentum_compaction / compaction - 1.0).abs(), 1e-5);
}

fn check_responses(reference: &mut Reference) {
    let (monitors, correctors) = (reference.indices("bpm_index"), reference.indices("corrector_index"));
    for (name, effects) in [("orm4", Effects::NONE), ("orm6", Effects::ALL)] {
        let response = reference.ring(effects).orbit_response(&monitors, &correctors).unwrap();
        let difference = apart_relative(response.values(), &reference.numbers(name));
        reference.hold(&format!("{name}, relative"), difference, 1e-7);
    }
    // the reference's monitors are ours
    let ours: Vec<usize> =
        reference.facility.family("BPM").unwrap().devices.iter().map(|device| device.elements[0]).collect();
    assert_eq!(ours, monitors, "{}", reference.name);
}

/// Relative agreement of betas, alphas and phases, which the reference takes from finite differences.
const BETA: f64 = 1e-8;

fn check(facility: &str, name: &'static str) {
    let Some(mut reference) = Reference::open(facility, name) else { return };
    check_orbits(&mut reference);
    check_optics(&mut reference);
    check_responses(&mut reference);
    reference.finish();
}

#[test]
fn ebs_ring_is_the_reference_ring() {
    check("ebs_ring", "ebs_ring");
}

#[test]
fn demo_ring_is_the_reference_ring() {
    check("demo_ring", "fodo_1gev_6d");
}
