//! The files a lattice is read from and written to; one file per format.

mod at_element;
pub mod at_json;
mod at_json_write;
pub mod at_m;
pub mod at_mat;
pub mod fodo;
mod fodo_write;
pub mod mat5;
pub mod radia;

use std::path::Path;

use crate::LatticeError;

/// The whole text of a file.
fn read_text(path: &Path) -> Result<String, LatticeError> {
    std::fs::read_to_string(path).map_err(|problem| unreadable(path, &problem))
}

/// A file that could not be opened or is not text.
fn unreadable(path: &Path, problem: &std::io::Error) -> LatticeError {
    LatticeError::new(format!("the lattice file cannot be read: {problem}")).in_file(path)
}
