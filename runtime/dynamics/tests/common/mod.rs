//! Lattices that several tests use.
#![allow(dead_code)]

use std::path::PathBuf;

use fodo_lattice::Lattice;

/// The demo ring of the repository.
pub fn demo_ring() -> Lattice {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../facilities/demo_ring/lattice.toml");
    Lattice::load(path).expect("the demo ring")
}

/// A reference lattice of the shared folder (`FODO_SHARED`, else beside the workspace); says so if it is missing.
pub fn reference(name: &str) -> Option<Lattice> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("FODO_SHARED").map_or(beside, PathBuf::from);
    let path = folder.join("reference").join(format!("{name}.at.json"));
    if path.is_file() {
        return Some(Lattice::load(path).expect("a reference lattice"));
    }
    eprintln!("SKIPPED: {} is missing", path.display());
    None
}

/// Indices of the elements whose names begin with one of these.
pub fn named(lattice: &Lattice, beginnings: &[&str]) -> Vec<usize> {
    let is_named = |&index: &usize| beginnings.iter().any(|start| lattice.elements[index].name.starts_with(start));
    (0..lattice.elements.len()).filter(is_named).collect()
}
