//! The equilibrium of damping and diffusion, after K. Ohmi, K. Hirata, K. Oide, Phys. Rev. E 49, 751 (1994)
//! (section 5 of the physics conventions).
//!
//! A beam matrix R becomes `M R Mᵀ + B` in each element, M its matrix with damping, B what photons add. In equilibrium
//! one turn leaves it as it is.

mod diffusion;
mod passage;
mod products;

use nalgebra::{Complex, Matrix2, Matrix6};

pub(crate) use self::passage::Kept;
use self::passage::{BeamWalk, Passage, Walked};
use crate::maps::Point;
use crate::modes::{NormalForm, normal_form};
use crate::optics::NoOptics;
use crate::orbit::{Near, NoClosedOrbit, Orbit, largest};
use crate::ring::{Effects, Ring};

/// A stored beam in equilibrium of damping and photon emission.
///
/// A turn is one passage of the elements: one period where the machine has several.
#[derive(Clone, Debug, PartialEq)]
pub struct Equilibrium {
    /// 6D closed orbit: N + 1 points.
    pub orbit: Orbit,
    /// Fractional tunes of the modes x, y, longitudinal [1].
    pub tunes: [f64; 3],
    /// Damping of the amplitudes per turn [1].
    pub damping_rates: [f64; 3],
    /// Damping times of the amplitudes [s].
    pub damping_times: [f64; 3],
    /// Emittances of the modes, rms [m].
    pub emittances: [f64; 3],
    /// Relative energy spread at the start, rms [1].
    pub energy_spread: f64,
    /// Bunch length at the start, rms [m].
    pub bunch_length: f64,
    /// Energy that a particle on the closed orbit loses per turn [eV].
    pub energy_loss: f64,
    /// Second moments of (x, px, y, py, delta, ct) about the closed orbit at the start.
    pub beam_matrix: Matrix6<f64>,
}

/// How near to the closed orbit (m, rad) the beam is looked at: what that leaves wrong in the emittances is below 5e-7.
const NEAR_ENOUGH: f64 = 1e-9;
/// Names of the modes in errors.
const PLANES: [&str; 3] = ["horizontal", "vertical", "longitudinal"];

impl Ring {
    /// The equilibrium beam, cavities and radiation being on.
    ///
    /// # Errors
    /// No closed orbit, unstable motion, nothing that radiates, or a mode that is not damped.
    pub fn find_equilibrium(&self) -> Result<Equilibrium, NoOptics> {
        if self.effects() != Effects::ALL {
            return self.with_effects(Effects::ALL).find_equilibrium();
        }
        let (walked, orbit) = self.walk_closed_orbit()?;
        self.equilibrium_of(&walked, orbit)
    }

    /// The same, from the last closed orbit found, and what was found out about elements that it still holds for.
    ///
    /// # Errors
    /// As [`Ring::find_equilibrium`].
    pub fn equilibrium(&mut self) -> Result<Equilibrium, NoOptics> {
        if self.effects() != Effects::ALL {
            return self.find_equilibrium();
        }
        let orbit = self.closed_orbit()?;
        let mut kept = self.warm.as_mut().map(|warm| std::mem::take(&mut warm.beam)).unwrap_or_default();
        let known = Some((&orbit.points[..], &mut kept));
        let walk = BeamWalk { ring: self, elements: 0..self.len(), start: orbit.start(), known, each: &mut |_, _| {} };
        let walked = walk.walk().map_err(|index| self.lost(index))?;
        if let Some(warm) = &mut self.warm {
            warm.beam = kept;
        }
        self.equilibrium_of(&walked, orbit)
    }

    /// The closed orbit from nothing, and what happens to a beam on it.
    ///
    /// The beam is looked at where the last step but one has come to, within [`NEAR_ENOUGH`] of the closed orbit; the
    /// orbit itself is then moved by the last step.
    fn walk_closed_orbit(&self) -> Result<(Walked, Orbit), NoClosedOrbit> {
        let mut left = f64::INFINITY;
        for rest in [NEAR_ENOUGH, 1e-3 * NEAR_ENOUGH] {
            let Near { start, inverse, mut passage } = self.approach(self.first_guess()?, rest)?;
            passage.points.clear();
            passage.points.push(start);
            let each = &mut |at: &Point<f64>, _: Option<&Passage>| passage.points.push(*at);
            let walk = BeamWalk { ring: self, elements: 0..self.len(), start, known: None, each };
            let walked = walk.walk().map_err(|index| self.lost(index))?;
            let step = inverse * self.residual(&start, &passage.end());
            left = largest(&step);
            if left < NEAR_ENOUGH {
                passage.shift(&step);
                return Ok((walked, Orbit { points: passage.points }));
            }
        }
        Err(NoClosedOrbit::NotConverged(left))
    }

    /// The beam matrix of an equilibrium at the entrance of each element and at the end: N + 1 matrices.
    ///
    /// # Errors
    /// The equilibrium is not one of this ring: its orbit is lost.
    pub fn beam_matrices(&self, equilibrium: &Equilibrium) -> Result<Vec<Matrix6<f64>>, NoClosedOrbit> {
        if self.effects() != Effects::ALL {
            return self.with_effects(Effects::ALL).beam_matrices(equilibrium);
        }
        let mut beam = equilibrium.beam_matrix;
        let mut beams = vec![beam];
        let each = &mut |_: &Point<f64>, passage: Option<&Passage>| {
            beam = passage.map_or(beam, |passage| passage.carry(&beam));
            beams.push(beam);
        };
        let start = equilibrium.orbit.start();
        let walk = BeamWalk { ring: self, elements: 0..self.len(), start, known: None, each };
        walk.walk().map_err(|index| self.lost(index))?;
        Ok(beams)
    }

    /// What the photons emitted in one element add to the beam matrix behind it, of a beam about a particle that enters
    /// it at `at`; zero where it does not radiate, or the particle is lost.
    #[must_use]
    pub fn element_diffusion(&self, index: usize, at: &Point<f64>) -> Matrix6<f64> {
        let walk = BeamWalk { ring: self, elements: index..index + 1, start: *at, known: None, each: &mut |_, _| {} };
        walk.walk().ok().and_then(|walked| walked.turn.diffusion).unwrap_or_else(Matrix6::zeros)
    }

    fn equilibrium_of(&self, walked: &Walked, orbit: Orbit) -> Result<Equilibrium, NoOptics> {
        let (turn, diffusion) = (walked.turn.matrix, walked.turn.diffusion.ok_or(NoOptics::NoRadiation)?);
        let unstable = || NoOptics::Unstable("transverse", 0.5 * (turn[(0, 0)] + turn[(1, 1)]));
        let form = normal_form(&turn, 6).ok_or_else(unstable)?;
        for (plane, mode) in PLANES.into_iter().zip(&form.modes) {
            if mode.damping <= 0.0 {
                return Err(NoOptics::NotDamped(plane, mode.damping));
            }
        }
        let beam = beam_matrix(&form, &diffusion).ok_or_else(unstable)?;
        let rates = [0, 1, 2].map(|mode| form.modes[mode].damping);
        Ok(Equilibrium {
            tunes: [0, 1, 2].map(|mode| form.modes[mode].tune),
            damping_rates: rates,
            damping_times: rates.map(|rate| self.settings.revolution_time / rate),
            emittances: emittances(&form.basis, &beam).ok_or_else(unstable)?,
            energy_spread: beam[(4, 4)].max(0.0).sqrt(),
            bunch_length: beam[(5, 5)].max(0.0).sqrt(),
            energy_loss: walked.lost_momentum * self.energy(),
            beam_matrix: beam,
            orbit,
        })
    }
}

/// The solution R of `R = M R Mᵀ + B`, in the eigenvectors of M: `R_ij = B_ij / (1 - lambda_i lambda_j)`.
fn beam_matrix(form: &NormalForm, diffusion: &Matrix6<f64>) -> Option<Matrix6<f64>> {
    let eigenvalue = |index: usize| {
        let mode = form.modes[index / 2];
        let phase = std::f64::consts::TAU * mode.tune * if index.is_multiple_of(2) { 1.0 } else { -1.0 };
        Complex::from_polar((-mode.damping).exp(), phase)
    };
    let vectors = Matrix6::from_fn(|row, column| {
        let imaginary = form.basis[(row, column | 1)];
        Complex::new(form.basis[(row, column & !1)], if column % 2 == 0 { imaginary } else { -imaginary })
    });
    let inverse = vectors.try_inverse()?;
    let mut inside = inverse * diffusion.map(|entry| Complex::new(entry, 0.0)) * inverse.transpose();
    for (row, column) in (0..6).flat_map(|row| (0..6).map(move |column| (row, column))) {
        inside[(row, column)] /= Complex::new(1.0, 0.0) - eigenvalue(row) * eigenvalue(column);
    }
    let beam = (vectors * inside * vectors.transpose()).map(|entry| entry.re);
    Some(0.5 * (beam + beam.transpose()))
}

/// Emittances of a beam in a normalised basis [m].
fn emittances(basis: &Matrix6<f64>, beam: &Matrix6<f64>) -> Option<[f64; 3]> {
    let inverse = basis.try_inverse()?;
    let normal = inverse * beam * inverse.transpose();
    let squared = |mode: usize| -> f64 {
        let block: Matrix2<f64> = normal.fixed_view::<2, 2>(2 * mode, 2 * mode).into();
        block.determinant()
    };
    Some([0, 1, 2].map(|mode| squared(mode).max(0.0).sqrt()))
}
