//! Straight magnets with the square-root Hamiltonian between the kicks (3.10).

use super::drift::exact_flight;
use super::kick::{FieldAt, General};
use super::magnet::{MagnetMap, radiate_in_kick};
use super::{Coefficient, Point};
use crate::constants::{DRIFT, KICK};
use crate::number::Over;

/// Takes a particle through the magnet.
pub fn apply<N: Over<C>, C: Coefficient>(magnet: &MagnetMap<C>, z: &mut Point<N>) {
    let slice = magnet.length / f64::from(magnet.slices);
    magnet.fringe_at_entrance(z, (z[4] + 1.0).recip());
    for _ in 0..magnet.slices {
        exact_slice(magnet, z, slice);
    }
    z[5] = z[5] - magnet.length;
    magnet.fringe_at_exit(z, (z[4] + 1.0).recip());
}

/// One slice of this length [m], the whole path added to ct.
pub(crate) fn exact_slice<N: Over<C>, C: Coefficient>(magnet: &MagnetMap<C>, z: &mut Point<N>, slice: f64) {
    exact_flight(z, slice * DRIFT[0]);
    kick(magnet, z, slice * KICK[0]);
    exact_flight(z, slice * DRIFT[1]);
    kick(magnet, z, slice * KICK[1]);
    exact_flight(z, slice * DRIFT[1]);
    kick(magnet, z, slice * KICK[0]);
    exact_flight(z, slice * DRIFT[0]);
}

fn kick<N: Over<C>, C: Coefficient>(magnet: &MagnetMap<C>, z: &mut Point<N>, length: f64) {
    let (re, im) = General(&magnet.b, &magnet.a).at(z[0], z[2]);
    if let Some(constant) = magnet.radiation {
        radiate_in_kick(z, (re, im), 0.0, constant * length);
    }
    z[1] -= re * length;
    z[3] += im * length;
}
