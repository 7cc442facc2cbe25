//! Constants of nature and of the integrator (section 1 and 2.4 of the physics conventions).

/// Speed of light [m/s].
pub const SPEED_OF_LIGHT: f64 = 299_792_458.0;
/// Classical electron radius [m].
pub const ELECTRON_RADIUS: f64 = 2.817_940_320_5e-15;
/// Elementary charge [C].
pub const ELEMENTARY_CHARGE: f64 = 1.602_176_634e-19;
/// Electron rest energy [eV].
pub const ELECTRON_REST_ENERGY: f64 = 510_998.950_69;

/// Planck's constant over 2 pi times the speed of light [eV m].
pub const HBAR_C: f64 = 197.326_980_4e-9;
/// One over the fine structure constant [1].
pub const INVERSE_FINE_STRUCTURE: f64 = 137.035_999_08;

/// Drift fractions of a slice of the fourth-order integrator [1]: outer, inner; as the conventions write them.
#[allow(clippy::excessive_precision)]
pub const DRIFT: [f64; 2] = [0.675_603_595_979_828_89, -0.175_603_595_979_828_89];
/// Kick fractions of a slice of the fourth-order integrator [1]: outer, middle.
pub const KICK: [f64; 2] = [1.351_207_191_959_657_8, -1.702_414_383_919_315_5];

/// Energy lost per turn to classical synchrotron radiation [eV], from the sum of angle²/length of the bends [1/m].
#[must_use]
pub fn energy_loss(energy: f64, second_integral: f64) -> f64 {
    let rest = ELECTRON_REST_ENERGY * 1e-9;
    let coefficient = 4.0 * std::f64::consts::PI * ELECTRON_RADIUS / (3.0 * rest.powi(3));
    coefficient / std::f64::consts::TAU * (energy * 1e-9).powi(4) * second_integral * 1e9
}

/// Photon energies against mean losses: energy spread² is this times gamma² I3 / (Je I2) [m].
#[must_use]
pub fn quantum_constant() -> f64 {
    55.0 / (32.0 * 3f64.sqrt()) * HBAR_C / ELECTRON_REST_ENERGY
}
