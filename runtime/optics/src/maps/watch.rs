//! Looking on while a particle goes through a magnet that radiates, kick by kick.
//!
//! The integrators tell a [`Watch`] of every flight and every kick before they do it. It sees the symplectic parts they
//! are made of; the energy loss belongs to the kick and is done with it.

use super::Point;
use super::bend_second_order::curved_drift;
use super::drift::exact_flight;
use super::exact_bend::sector;
use crate::number::Number;

/// How a particle gets from one kick to the next, where that is not a paraxial drift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Straight on, with the square-root Hamiltonian, the whole path counted.
    Exact,
    /// Along a reference of this curvature [1/m], to second order.
    Curved(f64),
    /// Along a reference of this curvature [1/m] in its field, with the square-root Hamiltonian.
    Sector(f64),
}

impl Way {
    /// Goes this way over a length [m].
    pub fn go<N: Number>(self, z: &mut Point<N>, length: f64) {
        match self {
            Self::Exact => exact_flight(z, length),
            Self::Curved(curvature) => curved_drift(z, length, curvature),
            Self::Sector(curvature) => sector(z, curvature, length),
        }
    }
}

/// A thin kick: `px -= length (re - dispersion delta)`, `py += length im`, `ct += length dispersion x`, and the light
/// that is emitted on the way.
#[derive(Clone, Copy, Debug)]
pub struct ThinKick<N> {
    /// Length [m].
    pub length: f64,
    /// Field (By, Bx) that adds to that of the reference [1/m].
    pub field: (N, N),
    /// Derivatives of `re` by x and y, of `im` by x and y [1/m²].
    pub slopes: [N; 4],
    /// How the kick grows with delta, and ct with x [1/m].
    pub dispersion: f64,
    /// Curvature of the reference [1/m].
    pub curvature: f64,
    /// 1 / (1 + delta) before [1].
    pub q: N,
}

/// Who looks on.
pub trait Watch {
    /// Whether anybody does.
    const LOOKS: bool;

    /// A paraxial drift over a length [m] begins; q is 1 / (1 + delta).
    fn drift<N: Number>(&mut self, z: &Point<N>, q: N, length: f64);

    /// Another way over a length [m] begins.
    fn flight<N: Number>(&mut self, z: &Point<N>, way: Way, length: f64);

    /// A kick comes.
    fn kick<N: Number>(&mut self, z: &Point<N>, kick: &ThinKick<N>);
}

/// Nobody.
pub struct Unwatched;

impl Watch for Unwatched {
    const LOOKS: bool = false;

    #[inline(always)]
    fn drift<N: Number>(&mut self, _: &Point<N>, _: N, _: f64) {}

    #[inline(always)]
    fn flight<N: Number>(&mut self, _: &Point<N>, _: Way, _: f64) {}

    #[inline(always)]
    fn kick<N: Number>(&mut self, _: &Point<N>, _: &ThinKick<N>) {}
}

/// Tells a watch of a flight, then flies.
#[inline(always)]
pub fn fly<N: Number>(z: &mut Point<N>, way: Way, length: f64, watch: &mut impl Watch) {
    watch.flight(z, way, length);
    way.go(z, length);
}
