//! Local momentum aperture: which sudden change of momentum at a place the beam survives.

use fodo_optics::{Loss, Point, Ring};

use crate::survival::{NoAperture, Ray, Search, reaches};

/// How a momentum aperture is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumApertureOptions {
    /// Largest negative and positive change of delta looked at [1].
    pub limits: [f64; 2],
    /// Turns to survive after the turn in which the momentum changes [1].
    pub turns: u64,
    /// How each side is searched.
    pub search: Search,
}

impl Default for MomentumApertureOptions {
    fn default() -> Self {
        Self { limits: [-0.1, 0.1], turns: 1024, search: Search::Bisection { steps: 10, tolerance: 0.01 } }
    }
}

/// Momentum aperture at some elements.
#[derive(Clone, Debug, PartialEq)]
pub struct MomentumAperture {
    /// Indices of the elements, at whose entrance the momentum changes.
    pub elements: Vec<usize>,
    /// Largest loss of momentum survived: delta, 0 or below [1].
    pub negative: Vec<f64>,
    /// Largest gain of momentum survived: delta, 0 or above [1].
    pub positive: Vec<f64>,
    /// What happened to the next particle out, negative and positive; `None` where the limit itself survives.
    pub losses: Vec<[Option<Loss>; 2]>,
}

/// The momentum aperture at the entrance of elements, from the closed orbit there, with the effects of the ring: 6D
/// with cavities (and radiation), else at fixed delta.
///
/// Every particle is taken to the end of its first turn; from there on those of all elements are tracked together.
///
/// # Errors
/// No closed orbit, an element that does not exist, or an option that makes no sense.
pub fn momentum_aperture(
    ring: &Ring,
    elements: &[usize],
    options: &MomentumApertureOptions,
) -> Result<MomentumAperture, NoAperture> {
    let [low, high] = options.limits;
    if !(low < 0.0 && high > 0.0 && low.is_finite() && high.is_finite()) {
        return Err(NoAperture::Option("the limits of a momentum aperture have to be below and above 0"));
    }
    options.search.check()?;
    if let Some(&index) = elements.iter().find(|&&index| index >= ring.len()) {
        return Err(NoAperture::NoElement(index, ring.len()));
    }
    let orbit = ring.find_closed_orbit()?;
    let ray = |element: usize, limit: f64| {
        let mut way: Point<f64> = [0.0; 6];
        way[4] = limit;
        Ray { start: orbit.at(element), way, element }
    };
    let rays: Vec<Ray> = elements.iter().flat_map(|&element| [ray(element, low), ray(element, high)]).collect();
    let found = reaches(ring, &rays, options.search, options.turns);
    let sides = found.chunks_exact(2);
    Ok(MomentumAperture {
        elements: elements.to_vec(),
        negative: sides.clone().map(|pair| low * pair[0].stable).collect(),
        positive: sides.clone().map(|pair| high * pair[1].stable).collect(),
        losses: sides.map(|pair| [pair[0].loss, pair[1].loss]).collect(),
    })
}
