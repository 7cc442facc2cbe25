//! Lumped quantum diffusion of a whole ring.

/// Random kicks once per turn that stand for all photons a ring emits: `z += factor * g`, g six standard normals.
#[derive(Clone, Debug, PartialEq)]
pub struct Diffusion {
    /// Lower triangular factor of the diffusion matrix per passage, by rows, in the order x, px, y, py, delta, ct.
    pub factor: [[f64; 6]; 6],
}
