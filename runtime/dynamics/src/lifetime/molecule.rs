//! Atoms of the residual gas, and how likely an electron is lost on them.
//!
//! Cross sections are for electrons and positrons far above 1 MeV. Sources:
//! - elastic: E. Rutherford's cross section at small angles, integrated outside of an acceptance; F. Zimmermann in
//!   A. Chao, M. Tigner (eds.), Handbook of Accelerator Physics and Engineering, section 2.5.3;
//! - bremsstrahlung: Y.-S. Tsai, Rev. Mod. Phys. 46 (1974) 815, equation 3.83 (complete screening) with the radiation
//!   logarithms of table B.2, as in the review of particle physics, "Passage of particles through matter";
//! - electrons: C. Møller, Ann. Phys. 406 (1932) 531, in the limit of high energy.

use std::f64::consts::{FRAC_PI_2, PI};

use fodo_optics::constants::{ELECTRON_RADIUS, INVERSE_FINE_STRUCTURE};

use super::{AcceptanceShape, NoLifetime};

/// Symbols of the elements by atomic number, hydrogen first.
const SYMBOLS: &str = "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr \
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe";

/// A gas by its atoms.
#[derive(Clone, Debug, PartialEq)]
pub struct Molecule {
    formula: String,
    /// Atomic number and count of each kind of atom.
    atoms: Vec<(u32, u32)>,
}

impl Molecule {
    /// From a formula without brackets, such as `H2`, `CO2` or `C2H6`.
    ///
    /// # Errors
    /// The text is no formula.
    pub fn new(formula: &str) -> Result<Self, NoLifetime> {
        let mut atoms = vec![];
        let mut rest = formula;
        while !rest.is_empty() {
            let (atom, left) = first_atom(rest).ok_or_else(|| NoLifetime::NotAFormula(formula.to_string()))?;
            atoms.push(atom);
            rest = left;
        }
        if atoms.is_empty() {
            return Err(NoLifetime::NotAFormula(formula.to_string()));
        }
        Ok(Self { formula: formula.to_string(), atoms })
    }

    /// The formula.
    #[must_use]
    pub fn formula(&self) -> &str {
        &self.formula
    }

    /// Atomic number and count of each kind of atom, in the order of the formula.
    #[must_use]
    pub fn atoms(&self) -> &[(u32, u32)] {
        &self.atoms
    }

    /// A cross section of the whole molecule, from that of its atoms by atomic number.
    pub(super) fn sum(&self, of_atom: impl Fn(f64) -> f64) -> f64 {
        self.atoms.iter().map(|&(number, count)| f64::from(count) * of_atom(f64::from(number))).sum()
    }
}

/// The atom a formula begins with, and what is left of the formula.
fn first_atom(text: &str) -> Option<((u32, u32), &str)> {
    let after = |from: usize, wanted: fn(&char) -> bool| text[from..].chars().take_while(wanted).count();
    text.chars().next().filter(char::is_ascii_uppercase)?;
    let symbol = 1 + after(1, char::is_ascii_lowercase);
    let end = symbol + after(symbol, char::is_ascii_digit);
    let number = SYMBOLS.split_whitespace().position(|known| known == &text[..symbol])? + 1;
    let count = if end == symbol { 1 } else { text[symbol..end].parse().ok().filter(|count| *count > 0)? };
    Some(((u32::try_from(number).ok()?, count), &text[end..]))
}

/// Cross section for elastic scattering of one nucleus to outside of an acceptance [m²].
///
/// `inverse_squares` are 1/theta² of the smallest angles in x and y alone that are lost: beta / acceptance [1/rad²].
/// `momentum` is beta gamma of the particle. The electrons of the atom are taken to shield nothing at such angles.
#[must_use]
pub fn elastic(atomic_number: f64, momentum: f64, inverse_squares: [f64; 2], shape: AcceptanceShape) -> f64 {
    let strength = (2.0 * atomic_number * ELECTRON_RADIUS / momentum).powi(2);
    let [x, y] = inverse_squares;
    // integral over the angle about the beam of 1 / (2 theta²) where the acceptance ends
    let outside = match shape {
        AcceptanceShape::Ellipse => FRAC_PI_2 * (x + y),
        AcceptanceShape::Rectangle => {
            let corner = x.sqrt().atan2(y.sqrt());
            let bend = 0.5 * (2.0 * corner).sin();
            x * (corner + bend) + y * (FRAC_PI_2 - corner + bend)
        }
    };
    strength * outside
}

/// Cross section of one atom for radiating more than this part of the energy, in the fields of the nucleus and of its
/// electrons [m²].
#[must_use]
pub fn bremsstrahlung(atomic_number: f64, limit: f64) -> f64 {
    let [nucleus, electrons] = radiation_logarithms(atomic_number);
    let coulomb = coulomb_correction(atomic_number / INVERSE_FINE_STRUCTURE);
    let z = atomic_number;
    let screened = z * z * (nucleus - coulomb) + z * electrons;
    let logarithm = -limit.ln();
    let soft = 4.0 / 3.0 * (logarithm - 0.625 + limit - 0.375 * limit * limit);
    let rest = (logarithm - 1.0 + limit) / 9.0;
    4.0 * ELECTRON_RADIUS * ELECTRON_RADIUS / INVERSE_FINE_STRUCTURE * (screened * soft + (z * z + z) * rest)
}

/// Logarithms of the radiation length, of the nucleus and of the electrons (Tsai, table B.2).
fn radiation_logarithms(atomic_number: f64) -> [f64; 2] {
    match atomic_number as u32 {
        1 => [5.31, 6.144],
        2 => [4.79, 5.621],
        3 => [4.74, 5.805],
        4 => [4.71, 5.924],
        _ => [(184.15 * atomic_number.powf(-1.0 / 3.0)).ln(), (1194.0 * atomic_number.powf(-2.0 / 3.0)).ln()],
    }
}

/// What the Coulomb field does beyond Born's approximation; `a` is the atomic number times the fine structure constant.
fn coulomb_correction(a: f64) -> f64 {
    let a = a * a;
    a * (1.0 / (1.0 + a) + 0.20206 - a * (0.0369 - a * (0.0083 - a * 0.002)))
}

/// Cross section of one atom for giving more than this part of the energy to one of its electrons [m²].
///
/// The faster one of both electrons counts as the particle.
#[must_use]
pub fn electrons(atomic_number: f64, gamma: f64, limit: f64) -> f64 {
    if limit >= 0.5 {
        return 0.0;
    }
    let inside = 1.0 / limit - 1.0 / (1.0 - limit) + 0.5 - limit;
    2.0 * PI * ELECTRON_RADIUS * ELECTRON_RADIUS * atomic_number / gamma * inside
}
