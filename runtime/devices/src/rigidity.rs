//! The magnetic rigidity: what a field in tesla is divided by to be what the beam feels.

use fodo_lattice::Lattice;
use fodo_units::Dimension;

/// Speed of light [m/s].
const LIGHT: f64 = 299_792_458.0;
/// Rest energy of the electron [eV] (CODATA 2022), for a lattice that names no particle.
const ELECTRON: f64 = 510_998.950_69;

/// Magnetic rigidity of the reference particle, p/q [T m]: 3.3356 T m for each GeV/c of a particle with one elementary charge.
///
/// It is positive whatever the sign of the charge, as everywhere in this project: a positive gradient focuses
/// horizontally. None where cavities change the reference momentum along the lattice.
pub fn rigidity(lattice: &Lattice) -> Option<f64> {
    let rest = if lattice.rest_energy == 0.0 { ELECTRON } else { lattice.rest_energy };
    // (E - m)(E + m) keeps its digits for slow particles
    let momentum = ((lattice.energy - rest) * (lattice.energy + rest)).sqrt();
    (!lattice.reference.accelerates && momentum.is_finite()).then_some(momentum / LIGHT)
}

/// The dimension in which a field has what the beam feels in this one: T/m for 1/m^2, T m for rad.
pub(crate) fn of_field(beam: Dimension, tesla_metre: Dimension) -> Dimension {
    beam.without_angle().times(tesla_metre)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fodo_lattice::Reference;

    fn lattice(energy: f64, rest_energy: f64, accelerates: bool) -> Lattice {
        Lattice {
            name: "line".into(),
            energy,
            periodicity: 1,
            harmonic_number: None,
            rest_energy,
            reference: Reference { exact_velocity: rest_energy > 0.0, accelerates },
            elements: Vec::new(),
        }
    }

    /// Brho [T m] = 3.33564 p [GeV/c], the textbook number (10/2.99792458).
    #[test]
    fn a_gev_over_c_has_3_3356_tesla_metres() {
        let electron = rigidity(&lattice(1e9, 0.0, false)).unwrap();
        let momentum = (1.0_f64 - 0.000_510_998_950_69_f64.powi(2)).sqrt();
        assert!((electron / (3.335_640_951_981_52 * momentum) - 1.0).abs() < 1e-14, "{electron}");
        // a proton of 1 GeV total energy has p = 345.898 MeV/c
        let proton = rigidity(&lattice(1e9, 938_272_089.43, false)).unwrap();
        assert!((proton - 3.335_640_95 * 0.345_898_086).abs() < 1e-8, "{proton}");
        assert_eq!(rigidity(&lattice(1e9, 0.0, true)), None);
    }
}
