//! Energies of synchrotron radiation photons.

use std::f64::consts::PI;
use std::sync::OnceLock;

/// Cube root of the highest photon energy in the table, in units of the critical energy (x = 50: 1e-23 of all photons).
const LAST: f64 = 3.684_031_498_640_387;
/// Intervals of the table, even in the cube root of the photon energy.
const INTERVALS: usize = 2000;

/// Energy over the critical energy of a photon, as a function of the fraction of photons that have more.
///
/// The number of photons above x is `N(x) = int_x^inf dx' int_x'^inf K_5/3`; with the integral representation of the
/// Bessel function it is one integral, `int_0^inf exp(-x cosh u) cosh(5u/3)/cosh² u du`, and N(0) = 5 pi/3. It is
/// tabulated in the cube root of x, in which it is smooth at 0, and its logarithm interpolated; means are right to
/// 1e-5.
#[must_use]
pub fn photon_energy(fraction_above: f64) -> f64 {
    let table = table();
    let wanted = fraction_above.ln();
    // the table falls
    let above = table.partition_point(|entry| *entry > wanted).clamp(1, INTERVALS);
    let (left, right) = (table[above - 1], table[above]);
    let place = ((wanted - left) / (right - left)).clamp(0.0, 1.0);
    let root = LAST / INTERVALS as f64 * ((above - 1) as f64 + place);
    root * root * root
}

/// Logarithms of the fraction of photons above each node.
fn table() -> &'static [f64] {
    static TABLE: OnceLock<Vec<f64>> = OnceLock::new();
    TABLE.get_or_init(|| {
        (0..=INTERVALS).map(|node| fraction_above(LAST * node as f64 / INTERVALS as f64).ln()).collect()
    })
}

/// Fraction of photons above the energy whose cube root is given, by the trapezoidal rule.
fn fraction_above(root: f64) -> f64 {
    const STEP: f64 = 0.02;
    let energy = root * root * root;
    let term = |u: f64| {
        let cosh = u.cosh();
        (-energy * cosh).exp() * (5.0 / 3.0 * u).cosh() / (cosh * cosh)
    };
    // terms fall at least as exp(-u/3)
    let sum: f64 = (1..6000).map(|node| term(STEP * f64::from(node))).take_while(|value| *value > 0.0).sum();
    STEP * (0.5 * term(0.0) + sum) * 3.0 / (5.0 * PI)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean 8/(15 sqrt 3) and mean square 11/27 (M. Sands, SLAC-121, 1970).
    #[test]
    fn energies_have_the_moments_of_the_spectrum() {
        assert!((fraction_above(0.0) - 1.0).abs() < 1e-12);
        let count = 400_000;
        let (mut mean, mut square) = (0.0, 0.0);
        for draw in 0..count {
            let energy = photon_energy((f64::from(draw) + 0.5) / f64::from(count));
            mean += energy / f64::from(count);
            square += energy * energy / f64::from(count);
        }
        assert!((mean / (8.0 / (15.0 * 3f64.sqrt())) - 1.0).abs() < 1e-4, "{mean}");
        assert!((square / (11.0 / 27.0) - 1.0).abs() < 1e-3, "{square}");
    }
}
