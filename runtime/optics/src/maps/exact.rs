//! Straight magnets with the square-root Hamiltonian between the kicks (3.10).

use super::drift::exact_flight;
use super::magnet::MagnetMap;
use super::{Coefficient, Point};
use crate::constants::{DRIFT, KICK};
use crate::number::Over;

/// Takes a particle through the magnet.
pub fn apply<N: Over<C>, C: Coefficient>(magnet: &MagnetMap<C>, z: &mut Point<N>) {
    let slice = magnet.length / f64::from(magnet.slices);
    magnet.fringe_at_entrance(z, (z[4] + 1.0).recip());
    for _ in 0..magnet.slices {
        exact_flight(z, slice * DRIFT[0]);
        magnet.straight_kick(z, slice * KICK[0]);
        exact_flight(z, slice * DRIFT[1]);
        magnet.straight_kick(z, slice * KICK[1]);
        exact_flight(z, slice * DRIFT[1]);
        magnet.straight_kick(z, slice * KICK[0]);
        exact_flight(z, slice * DRIFT[0]);
    }
    z[5] = z[5] - magnet.length;
    magnet.fringe_at_exit(z, (z[4] + 1.0).recip());
}
