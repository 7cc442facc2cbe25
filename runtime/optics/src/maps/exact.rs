//! Straight magnets with the square-root Hamiltonian between the kicks (3.10).

use super::kick::{FieldAt, General};
use super::magnet::{MagnetMap, radiate_in_kick};
use super::watch::{ThinKick, Unwatched, Watch, Way, fly};
use super::{Coefficient, Point};
use crate::constants::{DRIFT, KICK};
use crate::number::Over;

/// Takes a particle through the magnet.
pub fn apply<N: Over<C>, C: Coefficient>(magnet: &MagnetMap<C>, z: &mut Point<N>) {
    magnet.fringe_at_entrance(z, (z[4] + 1.0).recip());
    body(magnet, z, &mut Unwatched);
    magnet.fringe_at_exit(z, (z[4] + 1.0).recip());
}

/// The body, without fringes.
pub(crate) fn body<N: Over<C>, C: Coefficient>(magnet: &MagnetMap<C>, z: &mut Point<N>, watch: &mut impl Watch) {
    let slice = magnet.length / f64::from(magnet.slices);
    for _ in 0..magnet.slices {
        exact_slice(magnet, z, slice, watch);
    }
    z[5] = z[5] - magnet.length;
}

/// One slice of this length [m], the whole path added to ct.
pub(crate) fn exact_slice<N: Over<C>, C: Coefficient>(
    magnet: &MagnetMap<C>,
    z: &mut Point<N>,
    slice: f64,
    watch: &mut impl Watch,
) {
    for (drift_part, kick_part) in [(0, Some(0)), (1, Some(1)), (1, Some(0)), (0, None)] {
        fly(z, Way::Exact, slice * DRIFT[drift_part], watch);
        if let Some(part) = kick_part {
            exact_kick(magnet, z, slice * KICK[part], watch);
        }
    }
}

/// A thin kick of the multipoles alone, with the energy loss of the whole field.
pub(super) fn exact_kick<N: Over<C>, C: Coefficient, W: Watch>(
    magnet: &MagnetMap<C>,
    z: &mut Point<N>,
    length: f64,
    watch: &mut W,
) {
    let field = General(&magnet.b, &magnet.a);
    let (re, im) = field.at(z[0], z[2]);
    if let Some(constant) = magnet.radiation {
        if W::LOOKS {
            let (gradient, skew) = field.gradient(z[0], z[2]);
            let slopes = [gradient, -skew, skew, gradient];
            let (curvature, q) = (magnet.curvature, (z[4] + 1.0).recip());
            watch.kick(z, &ThinKick { length, field: (re, im), slopes, dispersion: 0.0, curvature, q });
        }
        radiate_in_kick(z, (re, im), magnet.curvature, constant * length);
    }
    z[1] -= re * length;
    z[3] += im * length;
}
