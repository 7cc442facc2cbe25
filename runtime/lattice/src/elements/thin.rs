//! Magnets without length.

use super::Field;

/// A magnet without length.
#[derive(Clone, Debug, PartialEq)]
pub struct Thin {
    /// Integrated field.
    pub field: Field,
    /// Bending angles `[horizontal, vertical]` [rad].
    pub bending_angle: [f64; 2],
}
