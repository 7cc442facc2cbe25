//! A magnet that radiates in three parts: what comes before its body, the body, what comes after.

use super::watch::Watch;
use super::{Action, Coefficient, MagnetMap, Point, exact};
use crate::number::Over;

impl<C: Coefficient> Action<C> {
    /// The magnet, if there is one and it radiates.
    pub(crate) fn radiating(&self) -> Option<&MagnetMap<C>> {
        let magnet = match self {
            Self::Magnet(magnet) | Self::ExactMagnet(magnet) => magnet,
            Self::SecondOrderBend(bend) => &bend.magnet,
            Self::ExactBend(bend) => &bend.magnet,
            _ => return None,
        };
        magnet.radiation.is_some().then_some(magnet)
    }

    /// Edges and fringes at the entrance of a magnet.
    pub(crate) fn enter_magnet<N: Over<C>>(&self, z: &mut Point<N>) {
        match self {
            Self::Magnet(magnet) => _ = magnet.enter(z),
            Self::ExactMagnet(magnet) => magnet.fringe_at_entrance(z, (z[4] + 1.0).recip()),
            Self::SecondOrderBend(bend) => bend.enter(z),
            Self::ExactBend(bend) => bend.enter(z),
            _ => {}
        }
    }

    /// The body of a magnet, a watch being told of every step of it where it radiates.
    pub(crate) fn watched_body<N: Over<C>>(&self, z: &mut Point<N>, watch: &mut impl Watch) {
        match self {
            Self::Magnet(magnet) => _ = magnet.watched_body(z, (z[4] + 1.0).recip(), watch),
            Self::ExactMagnet(magnet) => exact::body(magnet, z, watch),
            Self::SecondOrderBend(bend) => bend.body(z, watch),
            Self::ExactBend(bend) => bend.body(z, watch),
            _ => {}
        }
    }

    /// Fringes and edges at the exit of a magnet.
    pub(crate) fn leave_magnet<N: Over<C>>(&self, z: &mut Point<N>) {
        match self {
            Self::Magnet(magnet) => magnet.leave(z, (z[4] + 1.0).recip()),
            Self::ExactMagnet(magnet) => magnet.fringe_at_exit(z, (z[4] + 1.0).recip()),
            Self::SecondOrderBend(bend) => bend.leave(z),
            Self::ExactBend(bend) => bend.leave(z),
            _ => {}
        }
    }
}
