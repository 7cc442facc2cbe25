//! Wigglers and undulators.

/// A wiggler described by harmonics of its field.
#[derive(Clone, Debug, PartialEq)]
pub struct Wiggler {
    /// Period [m].
    pub period: f64,
    /// Peak field [T].
    pub peak_field: f64,
    /// Integration steps per period [1].
    pub steps: u32,
    /// Order of the integrator: 2 or 4.
    pub integrator: u32,
    /// Harmonics of the vertical field: `(-, C, kx/kw, ky/kw, kz/kw, phase)` each.
    pub vertical: Vec<[f64; 6]>,
    /// Harmonics of the horizontal field.
    pub horizontal: Vec<[f64; 6]>,
}
