//! What the apertures along a ring leave to a stored beam: in amplitude, in momentum, and to its own tails.

use fodo_lattice::{Body, ElementAperture};
use fodo_optics::{Optics, Ring};

use super::{MomentumLimits, NoLifetime};

/// Free space about the closed orbit at one end of an element [m]: towards lower and higher x, then y; may be infinite, is
/// 0 where the orbit is outside.
type Room = [[f64; 2]; 2];

/// The room at both ends of all elements that have an aperture: place in the optics, room there.
pub(super) fn rooms<'r>(ring: &'r Ring, optics: &'r Optics) -> impl Iterator<Item = (usize, Room)> + 'r {
    let of_element = move |(index, element): (usize, &'r fodo_lattice::Element)| {
        let apertures = [
            element.aperture.as_deref(),
            match &element.body {
                Body::Aperture(aperture) => Some(&aperture.transverse),
                _ => None,
            },
        ];
        let at = move |place: usize| (place, room(apertures, [optics.orbit[place][0], optics.orbit[place][2]]));
        apertures.iter().any(Option::is_some).then(|| [at(index), at(index + 1)]).into_iter().flatten()
    };
    ring.elements().iter().enumerate().flat_map(of_element)
}

fn room(apertures: [Option<&ElementAperture>; 2], [x, y]: [f64; 2]) -> Room {
    let mut room = [[f64::INFINITY; 2]; 2];
    let mut limit = |plane: usize, below: f64, above: f64| {
        for (side, distance) in [below, above].into_iter().enumerate() {
            room[plane][side] = room[plane][side].min(distance.max(0.0));
        }
    };
    for aperture in apertures.into_iter().flatten() {
        if let Some([left, right, below, above]) = aperture.rectangle {
            limit(0, x - left, right - x);
            limit(1, y - below, above - y);
        }
        if let Some([a, b]) = aperture.ellipse {
            limit(0, x + a, a - x);
            limit(1, y + b, b - y);
        }
    }
    room
}

/// Beta function and dispersion of a plane at a place.
fn functions(optics: &Optics, plane: usize, place: usize) -> (f64, f64) {
    let beta = if plane == 0 { &optics.beta_x } else { &optics.beta_y };
    (beta[place], optics.dispersion[place][2 * plane])
}

/// The invariant that a particle without amplitude gets for one unit of delta at a place: `H` of the plane [m].
fn invariant(optics: &Optics, plane: usize, place: usize) -> f64 {
    let (beta, alpha) = if plane == 0 { (&optics.beta_x, &optics.alpha_x) } else { (&optics.beta_y, &optics.alpha_y) };
    let (beta, alpha) = (beta[place], alpha[place]);
    let [eta, slope] = [0, 1].map(|part| optics.dispersion[place][2 * plane + part]);
    (eta * eta + (alpha * eta + beta * slope).powi(2)) / beta
}

impl MomentumLimits {
    /// From the apertures of the elements by linear optics: a particle whose momentum changes at a place oscillates about the
    /// orbit of its new momentum, and is lost where both together leave the chamber. Infinite without apertures.
    ///
    /// Source: J. Le Duff, Nucl. Instrum. Methods A 239 (1985) 83, section 3.
    ///
    /// # Errors
    /// The optics have no places.
    pub fn of_apertures(ring: &Ring, optics: &Optics) -> Result<Self, NoLifetime> {
        // what a plane leaves: root of beta, dispersion, room below and above
        let mut edges: [Vec<[f64; 4]>; 2] = [vec![], vec![]];
        for (place, room) in rooms(ring, optics) {
            for (plane, [below, above]) in
                room.into_iter().enumerate().filter(|(_, sides)| sides[0].min(sides[1]).is_finite())
            {
                let (beta, dispersion) = functions(optics, plane, place);
                edges[plane].push([beta.sqrt(), dispersion, below, above]);
            }
        }
        let at = |place: usize| {
            let mut limits = [f64::INFINITY; 2];
            for (plane, edges) in edges.iter().enumerate().filter(|(_, edges)| !edges.is_empty()) {
                let amplitude = invariant(optics, plane, place).sqrt();
                for &[root, dispersion, below, above] in edges {
                    // for a gain the orbit goes to the side of the dispersion, for a loss to the other one
                    for (limit, shift) in limits.iter_mut().zip([-dispersion, dispersion]) {
                        let reach = |towards: f64| f64::max(amplitude * root + towards, 0.0);
                        *limit = limit.min(above / reach(shift)).min(below / reach(-shift));
                    }
                }
            }
            limits
        };
        let limits: Vec<[f64; 2]> = (0..optics.position.len()).map(at).collect();
        let column = |side: usize, sign: f64| limits.iter().map(|limit| sign * limit[side]).collect();
        Self::new(optics.position.clone(), column(0, -1.0), column(1, 1.0))
    }
}

/// Part of a Gaussian beam that is lost in a second through the apertures of the elements as its tails are filled again
/// [1/s]: the nearest edge of each plane counts, by 2 xi exp(-xi) over the damping time of the amplitude with xi half the
/// square of its distance over the rms size. Nearer than a distance of sqrt(2) sizes, where that is not valid, as there.
///
/// Source: M. Sands, SLAC-121 (1970), section 5.8.
#[must_use]
pub fn quantum_losses(
    ring: &Ring,
    optics: &Optics,
    emittances: [f64; 2],
    energy_spread: f64,
    damping_times: [f64; 2],
) -> f64 {
    let mut nearest = [f64::INFINITY; 2];
    for (place, room) in rooms(ring, optics) {
        for (plane, [below, above]) in room.into_iter().enumerate() {
            let (beta, dispersion) = functions(optics, plane, place);
            let square = emittances[plane] * beta + (dispersion * energy_spread).powi(2);
            nearest[plane] = nearest[plane].min(below.min(above).powi(2) / (2.0 * square));
        }
    }
    let rate = |xi: f64, time: f64| {
        let xi = xi.max(1.0);
        if xi.is_finite() { 2.0 * xi * (-xi).exp() / time } else { 0.0 }
    };
    nearest.into_iter().zip(damping_times).map(|(xi, time)| rate(xi, time)).sum()
}
