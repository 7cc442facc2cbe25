//! What elements do to a beam that goes through them about a given orbit.

use std::ops::Range;

use nalgebra::Matrix6;

use super::diffusion::Diffusion;
use super::products::{carried, product};
use crate::features::{OnTangents, RARE, RareRegister, RareTangent, on_best_tangent};
use crate::maps::{Action, Point, Step};
use crate::matrix::{act_rarely, matrix_of, values, with_identity};
use crate::number::{Number, Register, Tangent};
use crate::ring::{Ring, is_lost};

/// An element, or several, seen by a beam: `R` becomes `M R Mᵀ + B`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Passage {
    /// Matrix with damping.
    pub matrix: Matrix6<f64>,
    /// Diffusion by the photons emitted inside.
    pub diffusion: Option<Matrix6<f64>>,
}

impl Passage {
    pub(super) fn nothing() -> Self {
        Self { matrix: Matrix6::identity(), diffusion: None }
    }

    /// The beam matrix behind, of one before.
    #[inline(always)]
    pub(super) fn carry(&self, beam: &Matrix6<f64>) -> Matrix6<f64> {
        let carried = carried(&self.matrix, beam);
        self.diffusion.map_or(carried, |diffusion| carried + diffusion)
    }

    /// This, and then another.
    #[inline(always)]
    fn then(&self, next: &Self) -> Self {
        let diffusion = match (&self.diffusion, &next.diffusion) {
            (Some(before), _) => Some(next.carry(before)),
            (None, diffusion) => *diffusion,
        };
        Self { matrix: product(&next.matrix, &self.matrix), diffusion }
    }
}

/// What elements did to a beam, for the next time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Vec<Option<(Point<f64>, Passage)>>);

/// How far, in x, px, y, py, delta, an orbit may have moved for a magnet with a linear field to count as unmoved.
///
/// Its matrix then changes by about that much. The photons it emits add to the beam by how far their direction and the
/// dispersion are apart, so that the diffusion changes by up to 2 sqrt(beta/H) times it, some hundreds where the
/// emittance is least: below 5e-7 even if it all added up. What higher fields do to the tunes is more: there only rounding
/// is let pass.
const UNMOVED: f64 = 1e-9;
const UNMOVED_NONLINEAR: f64 = 1e-12;

impl Kept {
    /// Drops what is known about an element that has changed.
    pub(crate) fn forget(&mut self, index: usize) {
        if let Some(kept) = self.0.get_mut(index) {
            *kept = None;
        }
    }

    /// What an element did to a beam about this point, or so near that it is the same.
    fn get(&self, index: usize, step: &Step, at: &Point<f64>) -> Option<&Passage> {
        let (known, passage) = self.0[index].as_ref()?;
        let linear = matches!(&step.action, Action::Magnet(magnet) if magnet.b.len() == 2);
        let limit = if linear || matches!(step.action, Action::Drift(_)) { UNMOVED } else { UNMOVED_NONLINEAR };
        let mut moved = if matches!(step.action, Action::Cavity(_)) { (at[5] - known[5]).abs() } else { 0.0 };
        for (now, then) in at[..5].iter().zip(known) {
            moved = f64::max(moved, (now - then).abs());
        }
        (moved <= limit).then_some(passage)
    }
}

/// A walk along elements of a ring, with everything a beam meets.
pub(super) struct BeamWalk<'a> {
    pub ring: &'a Ring,
    pub elements: Range<usize>,
    pub start: Point<f64>,
    /// The orbit, where it is known, with what is kept of it.
    pub known: Option<(&'a [Point<f64>], &'a mut Kept)>,
    /// Who is told of the point behind each element and of what the element did, if that is anything.
    pub each: &'a mut dyn FnMut(&Point<f64>, Option<&Passage>),
}

/// How a walk ended.
pub(super) struct Walked {
    /// What all elements together did.
    pub turn: Passage,
    /// By how much delta fell in magnets [1].
    pub lost_momentum: f64,
}

impl BeamWalk<'_> {
    /// Walks, or says after which element the particle was lost.
    pub(super) fn walk(mut self) -> Result<Walked, usize> {
        if let Some((_, kept)) = &mut self.known {
            kept.0.resize(self.ring.len(), None);
        }
        on_best_tangent(self)
    }
}

impl OnTangents for BeamWalk<'_> {
    type Out = Result<Walked, usize>;

    #[inline(always)]
    fn run<R: Register, const M: usize>(mut self) -> Self::Out {
        let mut walked = Walked { turn: Passage::nothing(), lost_momentum: 0.0 };
        let mut at = self.start;
        for index in self.elements {
            let step = &self.ring.steps[index];
            if step.is_nothing() {
                (self.each)(&at, None);
                continue;
            }
            let before = self.known.as_ref().map_or(at, |(points, _)| points[index]);
            let kept = self.known.as_ref().and_then(|(_, kept)| kept.get(index, step, &before));
            let fresh = if kept.is_none() {
                at = before;
                Some(pass::<R, M>(step, &mut at, self.ring.settings_at(index).diffusion_constant()))
            } else {
                None
            };
            if let Some((points, _)) = &self.known {
                at = points[index + 1];
            }
            if is_lost(&at) {
                return Err(index);
            }
            let Some(passage) = fresh.as_ref().or(kept) else { continue };
            if passage.diffusion.is_some() {
                walked.lost_momentum += before[4] - at[4];
            }
            walked.turn = walked.turn.then(passage);
            (self.each)(&at, Some(passage));
            if let (Some((_, kept)), Some(passage)) = (&mut self.known, fresh) {
                kept.0[index] = Some((before, passage));
            }
        }
        Ok(walked)
    }
}

/// Takes a particle through one element.
#[inline(always)]
fn pass<R: Register, const M: usize>(step: &Step, at: &mut Point<f64>, constant: f64) -> Passage {
    let mut z = with_identity::<R, M>(at);
    let before = step.enter(&mut z);
    let mut diffusion = None;
    if step.action.radiating().is_none() {
        if !step.action.act_if_common(&mut z, 0.0) {
            act_rarely(&step.action, &mut z);
        }
    } else if let Action::Magnet(magnet) = &step.action {
        let mut collected = Diffusion::<R, M>::new(constant);
        let q = magnet.enter(&mut z);
        let q = magnet.watched_body(&mut z, q, &mut collected);
        diffusion = Some(behind(step, &values(&z), &collected.at_end()));
        magnet.leave(&mut z, q);
    } else {
        diffusion = Some(pass_rare_magnet(step, &mut z, constant));
    }
    step.leave(&mut z, before);
    *at = values(&z);
    Passage { matrix: matrix_of(&z), diffusion }
}

/// Takes a point through a magnet of a kind that few rings have many of; returns the diffusion behind it.
#[inline(never)]
fn pass_rare_magnet<R: Register, const M: usize>(
    step: &Step,
    z: &mut Point<Tangent<R, M>>,
    constant: f64,
) -> Matrix6<f64> {
    let mut plain: Point<RareTangent> = z.map(|coordinate| coordinate.moved());
    step.action.enter_magnet(&mut plain);
    let mut collected = Diffusion::<RareRegister, RARE>::new(constant);
    step.action.watched_body(&mut plain, &mut collected);
    let diffusion = behind(step, &values(&plain), &collected.at_end());
    step.action.leave_magnet(&mut plain);
    *z = plain.map(|coordinate| coordinate.moved());
    diffusion
}

/// The diffusion behind a magnet from that behind its body, where a particle has come to `at`.
#[inline(always)]
fn behind(step: &Step, at: &Point<f64>, diffusion: &Matrix6<f64>) -> Matrix6<f64> {
    if step.is_bare_behind() { *diffusion } else { carried(&matrix_behind(step, at), diffusion) }
}

/// The matrix of what comes after the body of a magnet.
#[inline(never)]
fn matrix_behind(step: &Step, at: &Point<f64>) -> Matrix6<f64> {
    let mut z: Point<RareTangent> = with_identity(at);
    step.action.leave_magnet(&mut z);
    step.leave(&mut z, RareTangent::constant(at[5]));
    matrix_of(&z)
}
