//! Radio-frequency cavities.

/// A radio-frequency cavity.
#[derive(Clone, Debug, PartialEq)]
pub struct Cavity {
    /// Peak voltage [V].
    pub voltage: f64,
    /// Frequency [Hz].
    pub frequency: f64,
    /// Harmonic number stated in the file [1]; tracking uses round(f T0).
    pub harmonic: f64,
    /// Path length by which the zero crossing is late [m].
    pub time_lag: f64,
    /// Phase by which the zero crossing is late [rad].
    pub phase_lag: f64,
    /// Whether the file had it switched on.
    pub on: bool,
    /// Whether the phase slips from turn to turn when f is no multiple of the revolution frequency.
    pub counts_turns: bool,
}
