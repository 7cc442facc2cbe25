//! `[eddy]`: eddy currents in the vacuum chamber of bends whose field rises; they make a sextupole.

use crate::errors::{elements, exactly, positive};
use crate::present::Present;
use crate::truth::Multipole;
use fodo_devices::{Facility, Table};
use fodo_report::Result;
use std::f64::consts::PI;

/// Permeability of vacuum [H/m].
const MU_0: f64 = 4e-7 * PI;

/// What `[eddy]` says, and what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Eddy {
    elements: Vec<usize>,
    /// Coefficient of the sextupole over that of the dipole, without factorials, for each (dB/dt)/B [s/m^2].
    ratio: f64,
}

impl Eddy {
    pub fn read(table: &Table, facility: &Facility) -> Result<Eddy> {
        let needed = |key: &str, symbol: &str, like: &str| {
            positive(table, key, symbol)?.ok_or_else(|| table.mistake(key, format!("is missing, such as {like}")))
        };
        let half_height = needed("half_height", "m", "\"10 mm\"")?;
        let half_width = needed("half_width", "m", "\"20 mm\"")?;
        let thickness = needed("thickness", "m", "\"1 mm\"")?;
        let conductivity = match exactly(table, "conductivity", "1")? {
            Some(value) if value > 0.0 => value,
            _ => return Err(table.mistake("conductivity", "is needed as a number in S/m, such as 1.35e6 of steel")),
        };
        if half_width < half_height {
            return Err(
                table.mistake("half_width", "must not be below `half_height`: the formula is that of a flat chamber")
            );
        }
        let elements = elements(table, "elements", facility)?;
        table.no_other_keys()?;
        let strength = MU_0 * conductivity * thickness / half_height * flatness(half_height / half_width);
        Ok(Eddy { elements, ratio: 0.5 * strength })
    }

    /// Puts the sextupole that belongs to a growth of the field, (dB/dt)/B [1/s], on the bends.
    pub fn act(&self, growth: f64, present: &mut Present) {
        for &element in &self.elements {
            let ratio = self.ratio * growth;
            present.element(element).multipoles.push(Multipole { order: 2, skew: false, ratio });
        }
    }
}

/// What the shape of an elliptical chamber makes of it, by its height over its width: 1 if round, 1/2 if flat.
///
/// k2 = mu_0 sigma d / h (dB/dt) / (B rho) F, with F the integral over a quarter of sin sqrt(cos^2 + (h/w)^2 sin^2)
/// (S. Y. Lee, Accelerator Physics, section on chromaticity: eddy currents in a dipole's chamber).
fn flatness(shape: f64) -> f64 {
    let rest = (1.0 - shape * shape).sqrt();
    match rest {
        0.0 => 1.0,
        _ => 0.5 * (1.0 + shape * shape * (rest / shape).asinh() / rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_that_of_the_integral() {
        for shape in [1.0, 0.999, 0.5, 0.1] {
            let steps = 200_000;
            let sum: f64 = (0..steps)
                .map(|step| {
                    let (sine, cosine) = (0.5 * PI * (f64::from(step) + 0.5) / f64::from(steps)).sin_cos();
                    sine * (cosine * cosine + shape * shape * sine * sine).sqrt()
                })
                .sum();
            let integral = sum * 0.5 * PI / f64::from(steps);
            assert!((flatness(shape) - integral).abs() < 1e-9, "{shape}: {} {integral}", flatness(shape));
        }
    }
}
