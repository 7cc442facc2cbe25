//! What an element does to a particle: one file per map, each written once for every kind of [`Number`].
//!
//! The formulas are those of sections 2 and 3 of the physics conventions. A [`Step`] is one element made ready: all
//! that does not depend on the particle is computed beforehand.

mod aperture;
mod bend_second_order;
mod cavity;
mod corrector;
mod drift;
mod edge;
pub(crate) mod exact;
mod exact_bend;
mod flight;
mod fringe;
mod kick;
mod kick_map;
mod magnet;
mod matrix;
mod parts;
mod placement;
mod solenoid;
mod thin;
pub mod watch;
mod wiggler;

use std::ops::{Add, Mul, Neg};

pub use aperture::Limits;
pub use bend_second_order::{SecondOrderBend, SecondOrderEdge};
pub use cavity::{CavityMap, ReferenceChange};
pub use corrector::CorrectorMap;
pub use edge::EdgeMap;
pub use exact_bend::{ExactBend, ExactEdge};
pub use flight::Flight;
pub use kick_map::KickTable;
pub use magnet::MagnetMap;
pub use placement::Placement;
pub use solenoid::SolenoidMap;
pub use thin::ThinMap;
pub use wiggler::WigglerMap;

use crate::number::{Number, Over};

/// Coordinates of a particle: x [m], px, y [m], py, delta, ct [m].
pub type Point<N> = [N; 6];

/// What a field coefficient has to be: a plain number, or one with derivatives.
pub trait Coefficient:
    Copy + PartialEq + Mul<f64, Output = Self> + Add<f64, Output = Self> + Add<Output = Self> + Neg<Output = Self>
{
    /// Whether it does nothing, now and when it changes.
    #[inline(always)]
    fn is_zero(&self) -> bool {
        *self * 0.0 == *self
    }
}

impl<C> Coefficient for C where
    C: Copy + PartialEq + Mul<f64, Output = C> + Add<f64, Output = C> + Add<Output = C> + Neg<Output = C>
{
}

/// One element made ready for tracking; `C` is the kind of its strengths.
#[derive(Clone, Debug)]
pub struct Step<C = f64> {
    /// Factor on all fields [1].
    pub scaling: f64,
    /// Where the element stands, seen at its entrance.
    pub entrance: Option<Box<Placement>>,
    /// The way back at its exit.
    pub exit: Option<Box<Placement>>,
    /// Where particles are lost at entrance and exit.
    pub limits: Option<Box<Limits>>,
    /// What the speed of the particle adds to ct, where it is not that of light.
    pub flight: Option<Flight>,
    /// The element itself.
    pub action: Action<C>,
}

/// What happens between the two ends of an element.
#[derive(Clone, Debug)]
pub enum Action<C = f64> {
    /// Nothing.
    Nothing,
    /// Empty space of this length [m].
    Drift(f64),
    /// Empty space of this length [m], with the square-root Hamiltonian.
    ExactDrift(f64),
    /// A thick magnet, straight or bent.
    Magnet(Box<MagnetMap<C>>),
    /// A straight magnet with the square-root Hamiltonian between its kicks.
    ExactMagnet(Box<MagnetMap<C>>),
    /// A bend with second-order maps.
    SecondOrderBend(Box<SecondOrderBend<C>>),
    /// A magnet without length.
    Thin(Box<ThinMap<C>>),
    /// A steerer.
    Corrector(CorrectorMap<C>),
    /// A cavity.
    Cavity(Box<CavityMap>),
    /// A linear map by rows.
    Matrix(Box<[[f64; 6]; 6]>),
    /// Limits and nothing else.
    Aperture(Box<Limits>),
    /// A wiggler.
    Wiggler(Box<WigglerMap>),
    /// A table of kicks.
    KickMap(KickTable),
    /// A solenoid.
    Solenoid(SolenoidMap),
    /// A sector bend with the square-root Hamiltonian.
    ExactBend(Box<ExactBend<C>>),
    /// Random kicks `z += rows g` in tracking with quantum excitation; nothing otherwise.
    Diffusion(Box<[[f64; 6]; 6]>),
}

impl<C: Coefficient> Step<C> {
    /// Whether the element leaves every particle as it is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let bare = self.scaling == 1.0 && self.entrance.is_none() && self.exit.is_none() && self.limits.is_none();
        bare && self.flight.is_none() && matches!(self.action, Action::Nothing)
    }

    /// Whether nothing that moves a particle comes after the body of its magnet.
    pub(crate) fn is_bare_behind(&self) -> bool {
        let bare = self.scaling == 1.0 && self.exit.is_none() && self.flight.is_none();
        bare && matches!(&self.action, Action::Magnet(magnet) if magnet.exit.is_none() && magnet.fringe[1].is_none())
    }

    /// Takes a particle through the element; `turn` counts from 0.
    #[inline(never)]
    pub fn apply<N: Over<C>>(&self, z: &mut Point<N>, turn: f64) {
        let before = self.enter(z);
        if !self.action.act_if_common(z, turn) {
            self.action.act_if_rare(z);
        }
        self.leave(z, before);
    }

    /// What comes before the body: scaling, placement, limits. Returns ct at the entrance [m].
    #[inline(always)]
    pub(crate) fn enter<N: Number>(&self, z: &mut Point<N>) -> N {
        let before = z[5];
        if self.scaling != 1.0 {
            scale(z, self.scaling);
        }
        if let Some(placement) = &self.entrance {
            placement.shift_then_turn(z);
        }
        if let Some(limits) = &self.limits {
            limits.check(z);
        }
        before
    }

    /// What comes after the body: limits, placement, scaling, and the time of flight since ct was `before` [m].
    #[inline(always)]
    pub(crate) fn leave<N: Number>(&self, z: &mut Point<N>, before: N) {
        if let Some(limits) = &self.limits {
            limits.check(z);
        }
        if let Some(placement) = &self.exit {
            placement.turn_then_shift(z);
        }
        if self.scaling != 1.0 {
            scale(z, 1.0 / self.scaling);
        }
        if let Some(flight) = &self.flight {
            flight.add(z, before);
        }
    }
}

impl<C: Coefficient> Action<C> {
    /// Acts, if this is one of the actions that rings are full of: those are compiled for each instruction set.
    #[inline(always)]
    pub(crate) fn act_if_common<N: Over<C>>(&self, z: &mut Point<N>, turn: f64) -> bool {
        match self {
            Action::Nothing => {}
            Action::Drift(length) => drift::drift(z, *length),
            Action::Magnet(magnet) => magnet.apply(z),
            Action::Thin(thin) => thin.apply(z),
            Action::Corrector(corrector) => corrector.apply(z),
            Action::Cavity(cavity) => cavity.apply(z, turn),
            Action::Aperture(limits) => limits.check(z),
            _ => return false,
        }
        true
    }

    /// Acts, if this is one of the others.
    #[inline(never)]
    pub(crate) fn act_if_rare<N: Over<C>>(&self, z: &mut Point<N>) {
        match self {
            Action::ExactDrift(length) => drift::exact_drift(z, *length),
            Action::ExactMagnet(magnet) => exact::apply(magnet, z),
            Action::SecondOrderBend(bend) => bend.apply(z),
            Action::Matrix(rows) => matrix::apply(rows, z),
            Action::Wiggler(wiggler) => wiggler.apply(z),
            Action::KickMap(table) => table.apply(z),
            Action::Solenoid(solenoid) => solenoid.apply(z),
            Action::ExactBend(bend) => bend.apply(z),
            _ => {}
        }
    }
}

/// Momenta in units of a reference momentum `factor` times larger.
fn scale<N: Number>(z: &mut Point<N>, factor: f64) {
    let inverse = 1.0 / factor;
    z[1] = z[1] * inverse;
    z[3] = z[3] * inverse;
    z[4] = (z[4] + (1.0 - factor)) * inverse;
}
