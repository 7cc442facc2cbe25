//! Our own format.
use std::path::Path;
use crate::{Lattice, LatticeError};
/// Reads a file.
pub fn read(path: &Path) -> Result<Lattice, LatticeError> { Err(LatticeError::new("later").in_file(path)) }
