//! Dipoles.

use super::Magnet;

/// A dipole: a magnet along a curved reference, with its two edges.
#[derive(Clone, Debug, PartialEq)]
pub struct Bend {
    /// Field on top of the design dipole field; `b[0]` is the field error.
    pub magnet: Magnet,
    /// Bending angle [rad], positive towards negative x.
    pub angle: f64,
    /// Edge at the entrance.
    pub entrance: Edge,
    /// Edge at the exit.
    pub exit: Edge,
    /// Full gap between the poles [m].
    pub full_gap: f64,
    /// Second-order maps for edge and body (the E2 pass of the Accelerator Toolbox).
    pub second_order: bool,
}

/// One end of a dipole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Pole face angle [rad].
    pub angle: f64,
    /// Fringe field integral [1].
    pub fringe_integral: f64,
    /// How the fringe integral acts: 1, 2 or 3 (section 3.1 of the physics conventions); 0 does not.
    pub method: u8,
    /// Pole face curvature [1/m], used by second-order bends only.
    pub curvature: f64,
}

impl Default for Edge {
    fn default() -> Self {
        Self { angle: 0.0, fringe_integral: 0.0, method: 1, curvature: 0.0 }
    }
}
