//! Losses by scattering on the residual gas.

use fodo_optics::constants::{ELECTRON_REST_ENERGY, SPEED_OF_LIGHT};
use fodo_optics::{Optics, Ring};

use super::limits::{check_positions, mean_between};
use super::molecule::{bremsstrahlung, elastic, electrons};
use super::room::rooms;
use super::{Molecule, MomentumLimits, NoLifetime, positive};

/// Boltzmann's constant [J/K].
const BOLTZMANN: f64 = 1.380_649e-23;

/// Residual gas along the ring: straight lines between the positions, held at both ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Gas {
    position: Vec<f64>,
    temperature: f64,
    /// Each gas with its partial pressures [Pa].
    parts: Vec<(Molecule, Vec<f64>)>,
}

impl Gas {
    /// From a table: positions [m], rising; each gas with its partial pressure at each of them [Pa]; temperature of
    /// the gas, to which the pressures belong [K].
    ///
    /// # Errors
    /// Columns of different length, positions that do not rise, or a number that makes no sense.
    pub fn new(position: Vec<f64>, parts: Vec<(Molecule, Vec<f64>)>, temperature: f64) -> Result<Self, NoLifetime> {
        check_positions(&position)?;
        positive("the temperature of the gas", temperature)?;
        for (_, pressures) in &parts {
            if pressures.len() != position.len() {
                return Err(NoLifetime::Table("every gas needs a pressure at each position"));
            }
            if let Some(&pressure) = pressures.iter().find(|pressure| !(pressure.is_finite() && **pressure >= 0.0)) {
                return Err(NoLifetime::BadNumber("a pressure", pressure));
            }
        }
        Ok(Self { position, temperature, parts })
    }

    /// The same pressure [Pa] all along the ring, with these parts of it [1] by formula, such as `[("H2", 0.8)]`.
    ///
    /// # Errors
    /// A formula is none, or a number makes no sense.
    pub fn even(pressure: f64, parts: &[(&str, f64)], temperature: f64) -> Result<Self, NoLifetime> {
        let part = |&(formula, share): &(&str, f64)| Ok((Molecule::new(formula)?, vec![share * pressure]));
        Self::new(vec![0.0], parts.iter().map(part).collect::<Result<_, NoLifetime>>()?, temperature)
    }

    /// Molecules of each gas in a cubic metre, mean between two positions [1/m³].
    fn densities(&self, low: f64, high: f64) -> impl Iterator<Item = (&Molecule, f64)> {
        let per_pascal = 1.0 / (BOLTZMANN * self.temperature);
        let density = move |pressures: &[f64]| mean_between(&self.position, pressures, low, high) * per_pascal;
        self.parts.iter().map(move |(molecule, pressures)| (molecule, density(pressures)))
    }
}

/// How the limits of both planes belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptanceShape {
    /// A particle is lost when it is too far out in either plane.
    Rectangle,
    /// The squares of both amplitudes add.
    Ellipse,
}

/// The largest amplitudes that are not lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acceptance {
    /// Horizontal acceptance [m rad]: square of the largest x over the beta function there; may be infinite.
    pub x: f64,
    /// Vertical acceptance [m rad].
    pub y: f64,
    /// How both belong together.
    pub shape: AcceptanceShape,
}

impl Acceptance {
    /// From the largest x and y [m] at a place of the optics: the edge of a dynamic aperture, or a scraper.
    #[must_use]
    pub fn of_edge(x: f64, y: f64, optics: &Optics, place: usize, shape: AcceptanceShape) -> Self {
        let acceptance = |edge: f64, beta: &[f64]| beta.get(place).map_or(f64::INFINITY, |beta| edge * edge / beta);
        Self { x: acceptance(x, &optics.beta_x), y: acceptance(y, &optics.beta_y), shape }
    }

    /// From the apertures of the elements: the smallest one along the ring in each plane, seen from the closed orbit.
    #[must_use]
    pub fn of_apertures(ring: &Ring, optics: &Optics) -> Self {
        let mut all = Self { x: f64::INFINITY, y: f64::INFINITY, shape: AcceptanceShape::Rectangle };
        for (place, room) in rooms(ring, optics) {
            let [x, y] = room.map(|[below, above]| below.min(above));
            all.x = all.x.min(x * x / optics.beta_x[place]);
            all.y = all.y.min(y * y / optics.beta_y[place]);
        }
        all
    }

    /// The smaller one of both in each plane; a rectangle if either is.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let ellipse = [self.shape, other.shape].iter().all(|shape| *shape == AcceptanceShape::Ellipse);
        let shape = if ellipse { AcceptanceShape::Ellipse } else { AcceptanceShape::Rectangle };
        Self { x: self.x.min(other.x), y: self.y.min(other.y), shape }
    }
}

/// Losses on the residual gas, element by element: part of the beam lost per second if the ring were everywhere as
/// there, N values each [1/s].
#[derive(Clone, Debug, PartialEq)]
pub struct GasLosses {
    /// Elastic scattering on nuclei.
    pub elastic: Vec<f64>,
    /// Radiation in the fields of nuclei and electrons.
    pub bremsstrahlung: Vec<f64>,
    /// Energy given to single electrons.
    pub electrons: Vec<f64>,
    lengths: Vec<f64>,
}

impl GasLosses {
    /// Part of the beam lost per second, mean along the ring: elastic, bremsstrahlung, electrons [1/s].
    #[must_use]
    pub fn mean_rates(&self) -> [f64; 3] {
        let total: f64 = self.lengths.iter().sum();
        [&self.elastic, &self.bremsstrahlung, &self.electrons]
            .map(|rates| rates.iter().zip(&self.lengths).map(|(rate, length)| rate * length).sum::<f64>() / total)
    }

    /// Lifetimes: elastic, bremsstrahlung, electrons [s]; infinite where there is no loss.
    #[must_use]
    pub fn lifetimes(&self) -> [f64; 3] {
        self.mean_rates().map(f64::recip)
    }
}

/// Losses of a beam of electrons on the gas along a ring.
///
/// Elastic scattering loses what leaves the acceptance (beta functions are those of the elements' ends, and their mean
/// that of a drift); energy losses are those beyond the negative momentum limit.
///
/// # Errors
/// No optics, or an acceptance or momentum limit of 0.
pub fn gas_losses(
    ring: &Ring,
    gas: &Gas,
    acceptance: &Acceptance,
    limits: &MomentumLimits,
) -> Result<GasLosses, NoLifetime> {
    for (name, value) in [("the horizontal acceptance", acceptance.x), ("the vertical acceptance", acceptance.y)] {
        if value.is_nan() || value <= 0.0 {
            return Err(NoLifetime::BadNumber(name, value));
        }
    }
    let optics = ring.optics()?;
    let rest = if ring.rest_energy() == 0.0 { ELECTRON_REST_ENERGY } else { ring.rest_energy() };
    let gamma = ring.energy() / rest;
    let rates: Vec<[f64; 3]> = (0..ring.len())
        .map(|index| element_rates(&optics, index, gas, acceptance, limits, gamma))
        .collect::<Result<_, _>>()?;
    let column = |cause: usize| rates.iter().map(|rates| rates[cause]).collect();
    let lengths = ring.elements().iter().map(|element| element.length).collect();
    Ok(GasLosses { elastic: column(0), bremsstrahlung: column(1), electrons: column(2), lengths })
}

fn element_rates(
    optics: &Optics,
    index: usize,
    gas: &Gas,
    acceptance: &Acceptance,
    limits: &MomentumLimits,
    gamma: f64,
) -> Result<[f64; 3], NoLifetime> {
    let (low, high) = (optics.position[index], optics.position[index + 1]);
    let limit = 0.5 * (limits.at(low)[0] + limits.at(high)[0]).abs();
    if limit == 0.0 {
        return Err(NoLifetime::NoRoom(low));
    }
    let beta_x = mean_beta(&optics.beta_x, &optics.alpha_x, index, high - low);
    let beta_y = mean_beta(&optics.beta_y, &optics.alpha_y, index, high - low);
    let inverse_squares = [beta_x / acceptance.x, beta_y / acceptance.y];
    let momentum = (gamma * gamma - 1.0).sqrt();
    let speed = SPEED_OF_LIGHT * momentum / gamma;
    let mut rates = [0.0; 3];
    for (molecule, density) in gas.densities(low, high) {
        let flux = density * speed;
        rates[0] += flux * molecule.sum(|z| elastic(z, momentum, inverse_squares, acceptance.shape));
        rates[1] += flux * molecule.sum(|z| bremsstrahlung(z, limit));
        rates[2] += flux * molecule.sum(|z| electrons(z, gamma, limit));
    }
    Ok(rates)
}

/// Mean of a beta function over an element, from both ends; exact in a drift.
fn mean_beta(beta: &[f64], alpha: &[f64], index: usize, length: f64) -> f64 {
    let mean = 0.5 * (beta[index] + beta[index + 1]) + length * (alpha[index + 1] - alpha[index]) / 6.0;
    // a strong magnet is no drift
    mean.max(f64::min(beta[index], beta[index + 1]) * 0.1)
}
