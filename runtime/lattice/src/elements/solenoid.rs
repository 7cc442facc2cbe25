//! Solenoids.

/// A solenoid of constant longitudinal field with hard edges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solenoid {
    /// Longitudinal field over the rigidity of the reference particle [1/m]; positive along the beam.
    pub strength: f64,
    /// Square-root Hamiltonian instead of the paraxial one.
    pub exact: bool,
}
