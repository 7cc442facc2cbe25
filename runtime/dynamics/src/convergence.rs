//! Whether a result is right, not only equal to another program's: how far slices and model choices move it.
//!
//! Two programs that cut a magnet into the same slices agree to rounding on a tune that is wrong by 2e-4. Here every
//! figure is computed again with two and four times the slices, which gives its limit (Richardson's extrapolation),
//! and with other choices of the model.

use std::fmt;
use std::sync::Arc;

use fodo_lattice::{Body, Element, Lattice};
use fodo_optics::{Effects, NoOptics, Ring};
use rayon::prelude::*;

/// Relative differences below this are rounding: no order of convergence is read from them.
const ROUNDING: f64 = 1e-12;

/// Step in delta of second-order chromaticities [1].
const DELTA_STEP: f64 = 1e-3;

/// A figure of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Quantity {
    TuneX,
    TuneY,
    ChromaticityX,
    ChromaticityY,
    SecondChromaticityX,
    SecondChromaticityY,
    BetaMaxX,
    BetaMaxY,
    DispersionMaxX,
    MomentumCompaction,
    EnergyLoss,
    DampingX,
    DampingY,
    DampingZ,
}

impl Quantity {
    /// Its name, in the words scripts use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TuneX => "tune_x",
            Self::TuneY => "tune_y",
            Self::ChromaticityX => "chromaticity_x",
            Self::ChromaticityY => "chromaticity_y",
            Self::SecondChromaticityX => "second_chromaticity_x",
            Self::SecondChromaticityY => "second_chromaticity_y",
            Self::BetaMaxX => "beta_max_x",
            Self::BetaMaxY => "beta_max_y",
            Self::DispersionMaxX => "dispersion_max_x",
            Self::MomentumCompaction => "momentum_compaction",
            Self::EnergyLoss => "energy_loss",
            Self::DampingX => "damping_x",
            Self::DampingY => "damping_y",
            Self::DampingZ => "damping_z",
        }
    }

    /// Its unit; "1" if it has none.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::BetaMaxX | Self::BetaMaxY | Self::DispersionMaxX => "m",
            Self::EnergyLoss => "eV",
            _ => "1",
        }
    }

    /// Whether it comes from synchrotron radiation.
    #[must_use]
    pub fn of_radiation(self) -> bool {
        matches!(self, Self::EnergyLoss | Self::DampingX | Self::DampingY | Self::DampingZ)
    }

    /// Size that differences are compared with to tell rounding [unit of the quantity].
    fn rounding(self, value: f64) -> f64 {
        let least = match self {
            // differences of tunes over steps in delta
            Self::ChromaticityX | Self::ChromaticityY => 1e4,
            Self::SecondChromaticityX | Self::SecondChromaticityY => 1e6,
            Self::TuneX | Self::TuneY | Self::DampingX | Self::DampingY | Self::DampingZ => 1.0,
            Self::EnergyLoss => 1e6,
            _ => 0.0,
        };
        ROUNDING * f64::max(least, value.abs())
    }
}

/// A choice of the model that is not a matter of slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelChoice {
    /// The square-root Hamiltonian in drifts.
    ExactDrifts,
    /// The square-root Hamiltonian between the kicks of straight magnets.
    ExactMagnets,
    /// The square-root Hamiltonian in bends, with the edges that belong to it.
    ExactBends,
    /// Hard-edge quadrupole fringes (Lee-Whiting) at all magnets with a gradient.
    QuadrupoleFringes,
}

impl ModelChoice {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ExactDrifts, Self::ExactMagnets, Self::ExactBends, Self::QuadrupoleFringes];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactDrifts => "exact_drifts",
            Self::ExactMagnets => "exact_magnets",
            Self::ExactBends => "exact_bends",
            Self::QuadrupoleFringes => "quadrupole_fringes",
        }
    }

    /// The lattice with this choice made everywhere, and the number of elements it changed.
    #[must_use]
    pub fn made(self, lattice: &Lattice) -> (Lattice, usize) {
        let mut other = lattice.clone();
        let changed = other.elements.iter_mut().filter_map(|element| self.make(element).then_some(())).count();
        (other, changed)
    }

    fn make(self, element: &mut Element) -> bool {
        match (self, &mut element.body) {
            (Self::ExactDrifts, Body::Drift { exact }) => !std::mem::replace(exact, true),
            (
                Self::ExactMagnets,
                Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet),
            ) => !std::mem::replace(&mut magnet.exact, true),
            (Self::ExactBends, Body::Bend(bend)) => {
                bend.second_order = false;
                !std::mem::replace(&mut bend.magnet.exact, true)
            }
            (Self::QuadrupoleFringes, Body::Quadrupole(magnet)) => with_fringe(magnet),
            (Self::QuadrupoleFringes, Body::Bend(bend)) if !bend.second_order => with_fringe(&mut bend.magnet),
            _ => false,
        }
    }
}

fn with_fringe(magnet: &mut fodo_lattice::Magnet) -> bool {
    magnet.field.upright(1) != 0.0 && std::mem::replace(&mut magnet.fringe, [true; 2]) != [true; 2]
}

/// What moves one figure, and how far.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// The figure.
    pub quantity: Quantity,
    /// Its value with the lattice as it is.
    pub value: f64,
    /// Its value for ever thinner slices, extrapolated.
    pub limit: f64,
    /// How far the limit itself may be off: the difference of the extrapolations to fourth order from the coarser and
    /// from the finer two values.
    pub uncertainty: f64,
    /// `limit - value`.
    pub by_slices: f64,
    /// Order of convergence seen from the lattice as it is, twice and four times its slices [1]; 4 is expected of
    /// the integrator. `None` where the differences are rounding.
    pub order: Option<f64>,
    /// What each model choice moves the value by, with the slices as they are; `None` where the choice has no such
    /// figure.
    pub by_model: Vec<(ModelChoice, Option<f64>)>,
}

/// How far slices and model choices move the figures of a ring; numbers are those of the elements of the lattice,
/// one cell if its periodicity is above 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Convergence {
    /// One entry for each figure.
    pub shifts: Vec<Shift>,
    /// The fewest slices a thick magnet of the lattice has, and the most [1]; `None` without such magnets.
    pub slices: Option<(u32, u32)>,
    /// How many elements each model choice changes.
    pub changed: Vec<(ModelChoice, usize)>,
}

impl Convergence {
    /// The entry of a figure; `None` where the ring does not have it (no cavity, no synchronous phase).
    #[must_use]
    pub fn get(&self, quantity: Quantity) -> Option<&Shift> {
        self.shifts.iter().find(|shift| shift.quantity == quantity)
    }
}

/// Why there is no study of convergence.
#[derive(Clone, Debug, PartialEq)]
pub enum NoConvergence {
    /// The ring has no optics with this many times its slices.
    Slices(u32, NoOptics),
    /// The ring has no optics with this model choice.
    Model(ModelChoice, NoOptics),
    /// An element would have too many slices to count (index, name).
    TooManySlices(usize, String),
}

impl fmt::Display for NoConvergence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slices(factor, reason) => write!(out, "with {factor} times the slices: {reason}"),
            Self::Model(choice, reason) => write!(out, "with {}: {reason}", choice.name()),
            Self::TooManySlices(index, name) => write!(out, "element {index}, {name}, has too many slices to multiply"),
        }
    }
}

impl std::error::Error for NoConvergence {}

/// The lattice with `factor` times the slices of every magnet and the steps of every wiggler.
///
/// # Errors
/// The number of slices does not fit.
pub fn with_slices(lattice: &Lattice, factor: u32) -> Result<Lattice, NoConvergence> {
    let mut other = lattice.clone();
    for (index, element) in other.elements.iter_mut().enumerate() {
        let slices = match &mut element.body {
            Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
                &mut magnet.slices
            }
            Body::Bend(bend) => &mut bend.magnet.slices,
            Body::Wiggler(wiggler) => &mut wiggler.steps,
            Body::KickMap(map) => &mut Arc::make_mut(map).slices,
            _ => continue,
        };
        let more = (*slices).max(1).checked_mul(factor);
        *slices = more.ok_or_else(|| NoConvergence::TooManySlices(index, element.name.to_string()))?;
    }
    Ok(other)
}

/// The figures of a ring: tunes with their integer parts, chromaticities dQ/d(delta) and d²Q/d(delta)², the largest beta functions and
/// dispersion at the ends of elements, momentum compaction, and, with cavities, the energy lost in a turn by tracking
/// and the damping rates per turn.
///
/// # Errors
/// No closed orbit, or unstable motion, without cavities.
pub fn figures(lattice: &Lattice) -> Result<Vec<(Quantity, f64)>, NoOptics> {
    let ring = Ring::new(lattice, Effects::NONE);
    let optics = ring.optics()?;
    let [chromaticity_x, chromaticity_y] = ring.chromaticity()?;
    let second = second_chromaticity(&ring)?;
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let dispersion = optics.dispersion.iter().map(|at| at[0].abs()).fold(0.0, f64::max);
    let mut all = vec![
        (Quantity::TuneX, optics.tune_x()),
        (Quantity::TuneY, optics.tune_y()),
        (Quantity::ChromaticityX, chromaticity_x),
        (Quantity::ChromaticityY, chromaticity_y),
        (Quantity::SecondChromaticityX, second[0]),
        (Quantity::SecondChromaticityY, second[1]),
        (Quantity::BetaMaxX, largest(&optics.beta_x)),
        (Quantity::BetaMaxY, largest(&optics.beta_y)),
        (Quantity::DispersionMaxX, dispersion),
        (Quantity::MomentumCompaction, optics.momentum_compaction),
    ];
    all.extend(figures_of_radiation(&ring).unwrap_or_default());
    Ok(all)
}

/// d²Q/d(delta)² in x and y by a central difference of fourth order.
fn second_chromaticity(ring: &Ring) -> Result<[f64; 2], NoOptics> {
    let tunes = |factor: f64| {
        let mut beside = ring.clone();
        beside.set_delta(factor * DELTA_STEP);
        let modes = beside.modes()?;
        Ok::<_, NoOptics>([modes[0].tune, modes[1].tune])
    };
    let [far_below, below, at, above, far_above] = [tunes(-2.0)?, tunes(-1.0)?, tunes(0.0)?, tunes(1.0)?, tunes(2.0)?];
    Ok([0, 1].map(|plane| {
        // fractional tunes may be on two sides of an integer
        let from_here = |tunes: [f64; 2]| (tunes[plane] - at[plane] + 0.5).rem_euclid(1.0) - 0.5;
        let (near, far) = (from_here(below) + from_here(above), from_here(far_below) + from_here(far_above));
        (16.0 * near - far) / (12.0 * DELTA_STEP * DELTA_STEP)
    }))
}

/// `None` where there is no 6D closed orbit or no third mode.
fn figures_of_radiation(ring: &Ring) -> Option<Vec<(Quantity, f64)>> {
    let radiating = ring.with_effects(Effects::ALL);
    let start = radiating.find_closed_orbit().ok()?.start();
    let modes = radiating.modes_at(&start).ok().filter(|modes| modes.len() == 3)?;
    let mut end = start;
    ring.with_effects(Effects { cavity: false, radiation: true }).pass(&mut end, 0.0).ok()?;
    Some(vec![
        (Quantity::EnergyLoss, (start[4] - end[4]) * ring.energy()),
        (Quantity::DampingX, modes[0].damping),
        (Quantity::DampingY, modes[1].damping),
        (Quantity::DampingZ, modes[2].damping),
    ])
}

/// Computes the figures of a ring with its slices, twice and four times as many, and with each model choice.
///
/// The error of a symmetric integrator of fourth order is a series in the fourth, sixth, … power of the slice; both
/// first terms are eliminated, so that the limit is good to the eighth.
///
/// # Errors
/// The ring has no optics in one of these variants.
pub fn convergence(lattice: &Lattice) -> Result<Convergence, NoConvergence> {
    let finer = [with_slices(lattice, 2)?, with_slices(lattice, 4)?];
    let choices: Vec<_> = ModelChoice::ALL.into_iter().map(|choice| (choice, choice.made(lattice))).collect();
    let mut variants: Vec<&Lattice> = vec![lattice, &finer[0], &finer[1]];
    variants.extend(choices.iter().map(|(_, (lattice, _))| lattice));
    let mut results = variants.par_iter().map(|lattice| figures(lattice)).collect::<Vec<_>>().into_iter();
    let mut sliced = vec![];
    for (factor, result) in [1, 2, 4].into_iter().zip(results.by_ref()) {
        sliced.push(result.map_err(|reason| NoConvergence::Slices(factor, reason))?);
    }
    let mut chosen = vec![];
    for ((choice, _), result) in choices.iter().zip(results) {
        chosen.push((*choice, result.map_err(|reason| NoConvergence::Model(*choice, reason))?));
    }
    let shift = |&(quantity, value): &(Quantity, f64)| {
        let finer = [find(&sliced[1], quantity)?, find(&sliced[2], quantity)?];
        let by_model = chosen.iter().map(|(choice, figures)| (*choice, shift_by(quantity, value, figures)));
        Some(Shift { by_model: by_model.collect(), ..extrapolated(quantity, [value, finer[0], finer[1]]) })
    };
    Ok(Convergence {
        shifts: sliced[0].iter().filter_map(shift).collect(),
        slices: slices(lattice),
        changed: choices.iter().map(|(choice, (_, changed))| (*choice, *changed)).collect(),
    })
}

fn find(figures: &[(Quantity, f64)], quantity: Quantity) -> Option<f64> {
    figures.iter().find(|(other, _)| *other == quantity).map(|(_, value)| *value)
}

fn shift_by(quantity: Quantity, value: f64, figures: &[(Quantity, f64)]) -> Option<f64> {
    find(figures, quantity).map(|other| other - value)
}

/// The limit of a figure from its values with once, twice and four times the slices.
fn extrapolated(quantity: Quantity, [once, twice, four]: [f64; 3]) -> Shift {
    let fourth = [(16.0 * twice - once) / 15.0, (16.0 * four - twice) / 15.0];
    let limit = (64.0 * fourth[1] - fourth[0]) / 63.0;
    let (first, second) = (twice - once, four - twice);
    let readable = second.abs() > quantity.rounding(once) && first != 0.0;
    let order = readable.then(|| (first / second).abs().log2());
    let uncertainty = f64::max((fourth[1] - fourth[0]).abs(), quantity.rounding(once));
    Shift { quantity, value: once, limit, uncertainty, by_slices: limit - once, order, by_model: vec![] }
}

fn slices(lattice: &Lattice) -> Option<(u32, u32)> {
    let all = || lattice.elements.iter().filter_map(|element| element.magnet()).map(|magnet| magnet.slices);
    Some((all().min()?, all().max()?))
}
