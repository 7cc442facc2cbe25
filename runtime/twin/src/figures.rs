//! What the twin tells of its beam beside positions: a table from the quantity to how it is found.

use crate::beam::Found;
use crate::current::BeamTable;
use crate::losses::shares;
use fodo_devices::Quantities;
use fodo_optics::{Equilibrium, Ring};
use nalgebra::Matrix6;

/// Numbers that are found together from the ring with cavities and radiation.
pub(crate) struct Work {
    /// Takes longer than a period of the monitors on a large ring.
    pub slow: bool,
    /// How, in words.
    how: &'static str,
    find: fn(&mut Ring, &BeamTable) -> Found<Vec<f64>>,
}

/// All there is to find; a figure names one by its place.
pub(crate) const WORKS: [Work; 5] = [
    Work {
        slow: false,
        how: "equilibrium of the 6D beam with cavities and radiation: envelope method of Ohmi, quantum excitation included",
        find: |ring, _| ring.equilibrium().map(|beam| equilibrium(&beam)).map_err(|e| e.to_string()),
    },
    Work {
        slow: true,
        how: "derivative of the tunes by momentum at fixed cavities, radiation included",
        find: |ring, _| ring.chromaticity().map(|both| both.to_vec()).map_err(|e| e.to_string()),
    },
    Work {
        slow: true,
        how: "equilibrium of the 6D beam with cavities and radiation, mapped to the element",
        find: |ring, _| ellipses(ring),
    },
    Work {
        slow: true,
        how: "Touschek (Piwinski) and gas scattering, tails of the beam at apertures",
        find: |ring, beam| beam.rates(ring),
    },
    Work { slow: true, how: "scattered particles tracked to the apertures", find: shares },
];

const EQUILIBRIUM: usize = 0;
const CHROMATICITY: usize = 1;
/// The beam at each element.
pub(crate) const ELLIPSES: usize = 2;
/// How the beam is lost, see [`BeamTable::rates`].
pub(crate) const LOSSES: usize = 3;
/// Where it is lost, by element.
pub(crate) const PLACES: usize = 4;

/// The sizes and the tilt of an ellipse, and its product of x and y.
const PER_ELLIPSE: usize = 4;

/// A number of the beam.
#[derive(Debug)]
pub(crate) struct Figure {
    pub quantity: Quantities,
    /// Its place in [`WORKS`].
    pub work: usize,
    place: usize,
    /// How many numbers each element has; none where the beam has one as a whole.
    each: usize,
}

const fn of(quantity: Quantities, work: usize, place: usize) -> Figure {
    Figure { quantity, work, place, each: 0 }
}

const fn at(quantity: Quantities, place: usize) -> Figure {
    Figure { quantity, work: ELLIPSES, place, each: PER_ELLIPSE }
}

static FIGURES: [Figure; 15] = [
    of(Quantities::TuneS, EQUILIBRIUM, 0),
    of(Quantities::EmittanceX, EQUILIBRIUM, 1),
    of(Quantities::EmittanceY, EQUILIBRIUM, 2),
    of(Quantities::EmittanceS, EQUILIBRIUM, 3),
    of(Quantities::EnergySpread, EQUILIBRIUM, 4),
    of(Quantities::BunchLength, EQUILIBRIUM, 5),
    of(Quantities::EnergyLoss, EQUILIBRIUM, 6),
    of(Quantities::DampingTimeX, EQUILIBRIUM, 7),
    of(Quantities::DampingTimeY, EQUILIBRIUM, 8),
    of(Quantities::DampingTimeS, EQUILIBRIUM, 9),
    of(Quantities::ChromaticityX, CHROMATICITY, 0),
    of(Quantities::ChromaticityY, CHROMATICITY, 1),
    at(Quantities::BeamSizeX, 0),
    at(Quantities::BeamSizeY, 1),
    at(Quantities::BeamTilt, 2),
];

impl Figure {
    /// The figure that a field shows, if it shows one.
    pub fn find(quantity: Quantities) -> Option<&'static Figure> {
        FIGURES.iter().find(|figure| figure.quantity == quantity)
    }

    /// How it is found, in words.
    pub fn how(&self) -> &'static str {
        WORKS[self.work].how
    }

    /// The number among those found, of the beam at the entrance of an element where it is different from place to place.
    pub fn pick(&self, numbers: &[f64], element: usize) -> f64 {
        numbers.get(self.each * element + self.place).copied().unwrap_or(f64::NAN)
    }
}

impl Work {
    pub fn find(&self, ring: &mut Ring, table: &BeamTable) -> Found<Vec<f64>> {
        (self.find)(ring, table)
    }
}

fn equilibrium(beam: &Equilibrium) -> Vec<f64> {
    let [x, y, s] = beam.emittances;
    let [damping_x, damping_y, damping_s] = beam.damping_times;
    let all = [beam.tunes[2], x, y, s, beam.energy_spread, beam.bunch_length, beam.energy_loss];
    all.into_iter().chain([damping_x, damping_y, damping_s]).collect()
}

/// Sizes and tilt of the beam at the entrance of each element and at the end.
fn ellipses(ring: &mut Ring) -> Found<Vec<f64>> {
    let beam = ring.equilibrium().map_err(|e| e.to_string())?;
    let matrices = ring.beam_matrices(&beam).map_err(|e| e.to_string())?;
    Ok(matrices.iter().flat_map(ellipse).collect())
}

/// The rms sizes [m], the angle of the long axis from x towards y [rad], and the mean of x y [m^2].
fn ellipse(beam: &Matrix6<f64>) -> [f64; PER_ELLIPSE] {
    let (xx, yy, xy) = (beam[(0, 0)], beam[(2, 2)], beam[(0, 2)]);
    [xx.sqrt(), yy.sqrt(), 0.5 * (2.0 * xy).atan2(xx - yy), xy]
}

/// `<x x>`, `<y y>` and `<x y>` of the beam at an element [m^2], among the numbers found.
pub(crate) fn squares(ellipses: &[f64], element: usize) -> [f64; 3] {
    match ellipses.get(PER_ELLIPSE * element..PER_ELLIPSE * (element + 1)) {
        Some(&[x, y, _, xy]) => [x * x, y * y, xy],
        _ => [f64::NAN; 3],
    }
}
