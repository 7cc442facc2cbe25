//! Elements, beam lines and rings, and the files they are read from.
//!
//! A [`Lattice`] says what stands in the machine, in beam order, with every number in SI units
//! (energies in eV). It knows the words of lattice files so that nothing above it has to. It must
//! not know how a particle moves (that is `fodo-optics`), nor which device has which channel.

mod check;
pub mod elements;
mod error;
pub mod formats;

use std::path::Path;

pub use check::{ElementProblem, LatticeProblems, Problem};
pub use elements::{
    Alignment, Aperture, Bend, Body, Cavity, Class, Diffusion, Edge, Element, ElementAperture, Field, KickMap, Magnet,
    Matrix66, Reference, Solenoid, Thin, Wiggler,
};
pub use error::LatticeError;

/// A beam line or a ring: elements in beam order and the figures of the reference particle.
#[derive(Clone, Debug, PartialEq)]
pub struct Lattice {
    /// Name given in the file.
    pub name: String,
    /// Total energy of the reference particle [eV].
    pub energy: f64,
    /// How many times the elements are repeated around the machine [1].
    pub periodicity: u32,
    /// Harmonic number of the whole ring [1], where the file states it.
    pub harmonic_number: Option<u32>,
    /// Rest energy of the particle [eV]; 0 means "relativistic" (electron mass where one is needed).
    pub rest_energy: f64,
    /// How the reference particle moves.
    pub reference: Reference,
    /// The elements, in the order in which the beam meets them.
    pub elements: Vec<Element>,
}

impl Lattice {
    /// Reads a lattice file; the ending of its name decides the format (`.toml`, `.json`, `.mat`, `.m`).
    ///
    /// # Errors
    /// Says which file, line and column where they are known, and what would be accepted.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LatticeError> {
        let path = path.as_ref();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => formats::fodo::read(path),
            Some("json") => formats::at_json::read(path),
            Some("m") => formats::at_m::read(path),
            Some("mat") => formats::at_mat::read(path),
            _ => Err(LatticeError::new("the ending of this file name is not that of a lattice format")
                .in_file(path)
                .hint("known endings: .toml (Fodo), .json, .mat and .m (Accelerator Toolbox)")),
        }
    }

    /// Chooses for all elements between the square-root Hamiltonian and the paraxial one.
    ///
    /// Drifts, straight magnets, bends and solenoids are switched; second-order bends become exact ones. Steerers and
    /// cavities have no exact map.
    pub fn make_exact(&mut self, on: bool) {
        self.elements.iter_mut().for_each(|element| element.set_exact(on));
    }

    /// Path length from the start to the entrance of each element, then to the end: N + 1 values [m].
    #[must_use]
    pub fn positions(&self) -> Vec<f64> {
        let mut at = 0.0;
        let steps = self.elements.iter().map(|element| {
            at += element.length;
            at
        });
        std::iter::once(0.0).chain(steps).collect()
    }

    /// Summed length of the elements [m]: of one cell where `periodicity` is above 1.
    #[must_use]
    pub fn length(&self) -> f64 {
        self.elements.iter().map(|element| element.length).sum()
    }

    /// Index of the first element with this name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.elements.iter().position(|element| &*element.name == name)
    }

    /// Indices of all elements of a class, in beam order.
    #[must_use]
    pub fn indices_of(&self, class: Class) -> Vec<usize> {
        (0..self.elements.len()).filter(|&index| self.elements[index].class() == class).collect()
    }
}
