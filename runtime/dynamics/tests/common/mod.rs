//! Lattices that several tests use.
#![allow(dead_code)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fodo_lattice::Lattice;
use serde_json::Value;

/// The demo ring of the repository.
pub fn demo_ring() -> Lattice {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../facilities/demo_ring/lattice.toml");
    Lattice::load(path).expect("the demo ring")
}

/// The storage ring of the ESRF: 32 cells of pyAT's `hmba.mat`.
pub fn ebs_ring() -> Lattice {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../facilities/ebs_ring/lattice.toml");
    Lattice::load(path).expect("the ring of the ESRF")
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

/// Asks a script in `tests/peers`, run by the project's Python with pyAT: JSON in, JSON out.
pub fn ask_peer(script: &str, question: &Value) -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join(".venv/bin/python");
    assert!(python.is_file(), "{} is missing: run ./test.sh", python.display());
    let mut peer = Command::new(python)
        .args(["-W", "ignore"])
        .arg(root.join("runtime/dynamics/tests/peers").join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut input = peer.stdin.take().expect("a pipe");
    input.write_all(question.to_string().as_bytes()).expect("the peer listens");
    drop(input);
    let output = peer.wait_with_output().expect("the peer ends");
    assert!(output.status.success(), "{script} failed: run ./test.sh, which installs what it needs");
    // libraries print to the same place; the answer is the last line
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("JSON")
}

/// Writes a lattice for pyAT; the file is of this test alone.
pub fn for_pyat(lattice: &Lattice, test: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.json"));
    std::fs::write(&path, fodo_lattice::formats::at_json::write(lattice)).expect("a scratch file");
    path
}

/// Numbers of a JSON list.
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}
