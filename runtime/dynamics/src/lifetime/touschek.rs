//! Touschek scattering: two particles of a bunch collide, and one gains the momentum that the other one loses.
//!
//! Source: A. Piwinski, The Touschek effect in strong focusing storage rings, DESY 98-179 (1998), arXiv:physics/9903034,
//! equations 31, 33, 34 and 41: any ratio of the transverse momenta to the rest mass, both planes with beta, alpha and
//! dispersion. Transverse motion is taken to be uncoupled apart from the dispersion.

use std::f64::consts::PI;

use fodo_optics::constants::ELEMENTARY_CHARGE;
use fodo_optics::constants::{ELECTRON_RADIUS, ELECTRON_REST_ENERGY, SPEED_OF_LIGHT};
use fodo_optics::{Optics, Ring, Twiss};
use rayon::prelude::*;

use super::{MomentumLimits, NoLifetime, positive};
use crate::Sizes;
use crate::quadrature::integrate;

/// Where the exponential in the integrand has fallen to nothing: its negative exponent.
const NOTHING: f64 = 60.0;
/// Accuracy of the integral.
const ACCURACY: f64 = 1e-10;

/// What Touschek scattering needs to know of a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TouschekPlace {
    /// Beta and alpha, x and y.
    pub twiss: [Twiss; 2],
    /// Dispersion: x [m], px [1], y [m], py [1].
    pub dispersion: [f64; 4],
    /// Total energy over rest energy [1].
    pub gamma: f64,
    /// Classical radius of the particle [m].
    pub radius: f64,
}

/// Touschek scattering along a ring.
#[derive(Clone, Debug, PartialEq)]
pub struct Touschek {
    /// Positions: the entrance of each element, and the end [m].
    pub position: Vec<f64>,
    /// Part of the bunch lost per second if the ring were everywhere as here, mean of both signs [1/s].
    pub rate: Vec<f64>,
    /// The same with the limit on the negative side for both particles, and on the positive side [1/s].
    pub sides: Vec<[f64; 2]>,
}

impl Touschek {
    /// Part of the bunch lost per second: the mean along the ring, straight lines between the positions [1/s].
    #[must_use]
    pub fn mean_rate(&self) -> f64 {
        let length = self.position.last().map_or(0.0, |end| end - self.position[0]);
        let part = |index: usize| {
            0.5 * (self.position[index + 1] - self.position[index]) * (self.rate[index] + self.rate[index + 1])
        };
        (0..self.position.len().saturating_sub(1)).map(part).sum::<f64>() / length
    }

    /// Lifetime [s].
    #[must_use]
    pub fn lifetime(&self) -> f64 {
        1.0 / self.mean_rate()
    }
}

/// Touschek scattering in a bunch of this charge [C] and these sizes, along a ring with these momentum limits.
///
/// # Errors
/// No optics, a number that makes no sense, or a momentum limit of 0 somewhere.
pub fn touschek(ring: &Ring, charge: f64, sizes: &Sizes, limits: &MomentumLimits) -> Result<Touschek, NoLifetime> {
    check(charge, sizes)?;
    let optics = ring.optics()?;
    let rest = if ring.rest_energy() == 0.0 { ELECTRON_REST_ENERGY } else { ring.rest_energy() };
    let (gamma, radius) = (ring.energy() / rest, ELECTRON_RADIUS * ELECTRON_REST_ENERGY / rest);
    let at = |index: usize| {
        let position = optics.position[index];
        let limits = limits.at(position);
        if limits.contains(&0.0) {
            return Err(NoLifetime::NoRoom(position));
        }
        let place = TouschekPlace::of(&optics, index, gamma, radius);
        Ok(limits.map(|limit| touschek_rate(&place, charge, sizes, limit)))
    };
    let sides: Vec<[f64; 2]> = (0..optics.position.len()).into_par_iter().map(at).collect::<Result<_, _>>()?;
    let rate = sides.iter().map(|[negative, positive]| 0.5 * (negative + positive)).collect();
    Ok(Touschek { position: optics.position, rate, sides })
}

fn check(charge: f64, sizes: &Sizes) -> Result<(), NoLifetime> {
    positive("the charge of the bunch", charge.abs())?;
    positive("emittance_x", sizes.emittance_x)?;
    positive("emittance_y", sizes.emittance_y)?;
    positive("energy_spread", sizes.energy_spread)?;
    positive("length", sizes.length)?;
    Ok(())
}

impl TouschekPlace {
    fn of(optics: &Optics, index: usize, gamma: f64, radius: f64) -> Self {
        let x = Twiss { beta: optics.beta_x[index], alpha: optics.alpha_x[index] };
        let y = Twiss { beta: optics.beta_y[index], alpha: optics.alpha_y[index] };
        Self { twiss: [x, y], dispersion: optics.dispersion[index], gamma, radius }
    }
}

/// Part of a bunch lost per second at a place, where a momentum change of `limit` [1] is just not survived [1/s].
///
/// The numbers are taken to be sound: sizes, betas and the limit are not 0.
#[must_use]
pub fn touschek_rate(place: &TouschekPlace, charge: f64, sizes: &Sizes, limit: f64) -> f64 {
    let inverse_gamma_squared = 1.0 / (place.gamma * place.gamma);
    let beta_squared = 1.0 - inverse_gamma_squared;
    let spread = sizes.energy_spread * sizes.energy_spread;
    let [x, y] = [0, 1].map(|plane| Plane::new(place, sizes, plane));
    let sigma_h = 1.0 / (1.0 / spread + x.invariant + y.invariant);
    let [a, b] = [&x, &y].map(|plane| plane.divergence * (1.0 - sigma_h * plane.mixed / plane.size));
    let unit = 0.5 * inverse_gamma_squared / beta_squared;
    let cross = 4.0 * sigma_h * sigma_h * x.divergence * y.divergence * x.mixed * y.mixed / (x.size * y.size);
    let (b1, b2) = (unit * (a + b), unit * ((a - b) * (a - b) + cross).sqrt());
    // sigma_x² sigma_y² - sigma_p⁴ D_x² D_y², and B1² - B2² by way of it: both without cancellation
    let area = x.size * y.size + spread * (x.size * y.dispersed + y.size * x.dispersed);
    let squares = 4.0 * unit * unit * x.divergence * y.divergence * sigma_h * area / (spread * x.size * y.size);
    let density = charge.abs() / ELEMENTARY_CHARGE / (sizes.length * area.sqrt());
    let factor = place.radius * place.radius * SPEED_OF_LIGHT * inverse_gamma_squared * density / (8.0 * PI);
    factor * 2.0 * (PI * squares).sqrt() * integral(beta_squared * limit * limit, squares / (b1 + b2), b2)
}

/// One plane at a place.
struct Plane {
    /// Square of the betatron beam size [m²].
    size: f64,
    /// beta² over it [1].
    divergence: f64,
    /// Square of the dispersion [m²].
    dispersed: f64,
    /// Square of alpha D + beta D' [m²].
    mixed: f64,
    /// The sum of both over the size [1].
    invariant: f64,
}

impl Plane {
    fn new(place: &TouschekPlace, sizes: &Sizes, plane: usize) -> Self {
        let Twiss { beta, alpha } = place.twiss[plane];
        let size = beta * [sizes.emittance_x, sizes.emittance_y][plane];
        let (along, slope) = (place.dispersion[2 * plane], place.dispersion[2 * plane + 1]);
        let mixed = (alpha * along + beta * slope).powi(2);
        let dispersed = along * along;
        Self { size, divergence: beta * beta / size, dispersed, mixed, invariant: (dispersed + mixed) / size }
    }
}

/// The integral over tau = tan² kappa from tau_m, with `fall` = B1 - B2: in ln tau, where it is smooth.
fn integral(least: f64, fall: f64, b2: f64) -> f64 {
    let integrand = |logarithm: f64| {
        let tau: f64 = logarithm.exp();
        // d kappa = sqrt(tau) / (2 (1 + tau)) d ln tau
        let weight = 0.5 * tau.sqrt() / (1.0 + tau).sqrt();
        bracket(tau, least) * weight * (-fall * tau).exp() * scaled_bessel(b2 * tau)
    };
    integrate(&integrand, least.ln(), (least + NOTHING / fall).ln(), ACCURACY)
}

fn bracket(tau: f64, least: f64) -> f64 {
    let ratio = tau / (least * (1.0 + tau));
    (2.0 * tau + 1.0).powi(2) * (ratio - 1.0) / tau + tau
        - (tau * least * (1.0 + tau)).sqrt()
        - (2.0 + 0.5 / tau) * ratio.ln()
}

/// exp(-x) I0(x) for x >= 0: the power series, for large x the asymptotic one (both in Abramowitz and Stegun, 9.6.10
/// and 9.7.1).
fn scaled_bessel(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    if x < 30.0 {
        while term > 1e-17 * sum {
            term *= 0.25 * x * x / (k * k);
            sum += term;
            k += 1.0;
        }
        return sum * (-x).exp();
    }
    while term > 1e-17 {
        let odd = 2.0 * k - 1.0;
        term *= odd * odd / (8.0 * k * x);
        sum += term;
        k += 1.0;
    }
    sum / (2.0 * PI * x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scipy.special.ive(0, x) 1.17.
    #[test]
    fn the_bessel_function_is_right() {
        let known = [
            (0.0, 1.0),
            (0.5, 0.645_035_270_449_150_1),
            (5.0, 0.183_540_812_609_328_34),
            (29.999, 0.073_147_176_129_132_1),
            (30.0, 0.073_145_946_482_237_27),
            (1000.0, 0.012_617_240_455_891_255),
        ];
        for (x, value) in known {
            assert!((scaled_bessel(x) / value - 1.0).abs() < 1e-12, "{x}: {}", scaled_bessel(x));
        }
    }
}
