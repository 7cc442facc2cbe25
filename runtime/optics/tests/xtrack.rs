//! Linear optics beside those of xtrack 0.118, another model: exact bends with linear edges, 50 kicks.
//!
//! The numbers are in `reference/NAME.xtrack.*` of the shared folder. A lattice whose format is not read yet is skipped
//! loudly; the comparison is ready for the day it is.

use std::path::PathBuf;

use fodo_lattice::{Body, Lattice};
use fodo_optics::{Effects, Ring};
use hdf5_pure::File;
use serde_json::Value;

fn say(text: String) {
    _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{text}\n"));
}

/// The shared folder: `FODO_SHARED`, else beside the workspace.
fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("FODO_SHARED").map_or(beside, PathBuf::from);
    let there = folder.join("reference").is_dir();
    if !there {
        say("SKIPPED: ../shared missing".to_string());
    }
    there.then_some(folder)
}

/// Slices as fine as theirs and the Hamiltonian of their bends.
fn as_theirs(mut lattice: Lattice) -> Lattice {
    for element in &mut lattice.elements {
        let bent = matches!(element.body, Body::Bend(_));
        if let Some(magnet) = element.magnet_mut() {
            magnet.slices = magnet.slices.max(17);
            magnet.exact |= bent;
        }
    }
    lattice
}

/// Tunes with their integers, beta functions at the start and the largest ones.
fn compare(name: &str, file: &str, tunes: f64, betas: f64) {
    let Some(folder) = shared() else { return };
    let reference = folder.join("reference");
    let lattice = match Lattice::load(folder.join(file)) {
        Ok(lattice) => as_theirs(lattice),
        Err(error) => return say(format!("SKIPPED {name}: {error}")),
    };
    let text = std::fs::read_to_string(reference.join(format!("{name}.xtrack.summary.json"))).expect("a summary");
    let summary: Value = serde_json::from_str(&text).expect("JSON");
    let file = File::open(reference.join(format!("{name}.xtrack.ref.h5"))).expect("reference numbers");
    let numbers = |path: &str| file.dataset(path).expect(path).read_f64().expect(path);
    let ours = Ring::new(&lattice, Effects::NONE).optics().expect("stable optics");
    for (plane, tune) in [("qx", ours.tune_x()), ("qy", ours.tune_y())] {
        let apart = (tune - summary[plane].as_f64().expect("a tune")).abs();
        eprintln!("{name} {plane}: {apart:.1e}");
        assert!(apart < tunes, "{name} {plane}: {apart:e}");
    }
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    for (plane, beta) in [("betx", &ours.beta_x), ("bety", &ours.beta_y)] {
        let theirs = numbers(plane);
        for (what, a, b) in [("start", beta[0], theirs[0]), ("largest", largest(beta), largest(&theirs))] {
            let apart = (a / b - 1.0).abs();
            eprintln!("{name} {plane} {what}: {apart:.1e}");
            assert!(apart < betas, "{name} {plane} {what}: {apart:e}");
        }
    }
    if lattice.reference.exact_velocity {
        let theirs = summary["slip_factor"].as_f64().expect("a slip factor");
        let slip = Ring::new(&lattice, Effects::NONE).slip_factor().expect("stable optics");
        assert!((slip / theirs - 1.0).abs() < 1e-3, "{name}: {slip} and {theirs}");
    }
}

/// The edges of a bend differ by more than 1e-6 of the tune: ours are those of the physics conventions.
#[test]
fn clic_damping_ring() {
    compare("clic_dr", "reference/clic_dr.at.json", 1e-5, 1e-3);
}

#[test]
fn ps_booster_with_half_the_speed_of_light() {
    compare("psb_injection", "lattices/psb_injection.xtrack.json", 1e-6, 1e-6);
}
