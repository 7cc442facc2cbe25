//! The equilibrium of damping and diffusion, after K. Ohmi, K. Hirata, K. Oide, Phys. Rev. E 49, 751 (1994)
//! (section 5 of the physics conventions).
//!
//! A beam matrix R becomes `M R Mᵀ + B` in each element, M its matrix with damping, B what photons add. In equilibrium
//! one turn leaves it as it is.

mod diffusion;
mod passage;
mod slopes;

use nalgebra::{Complex, Matrix2, Matrix6};

use self::passage::{Passage, product};
use crate::maps::Point;
use crate::modes::{NormalForm, normal_form};
use crate::optics::NoOptics;
use crate::orbit::{NoClosedOrbit, Orbit};
use crate::ring::{Effects, Ring, is_lost};

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
        let start = self.find_closed_orbit()?.start();
        let passages = self.passages(start)?;
        self.equilibrium_of(passages)
    }

    /// The same, from the last closed orbit found.
    ///
    /// # Errors
    /// As [`Ring::find_equilibrium`].
    pub fn equilibrium(&mut self) -> Result<Equilibrium, NoOptics> {
        if self.effects() != Effects::ALL {
            return self.find_equilibrium();
        }
        let start = self.closed_orbit()?.start();
        let passages = self.passages(start)?;
        self.equilibrium_of(passages)
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
        let passages = self.passages(equilibrium.orbit.start())?.passages;
        let behind = passages.iter().map(|passage| {
            beam = passage.as_ref().map_or(beam, |passage| passage.carry(&beam));
            beam
        });
        Ok(std::iter::once(equilibrium.beam_matrix).chain(behind).collect())
    }

    /// What the photons emitted in one element add to the beam matrix behind it, of a beam about a particle that enters
    /// it at `at`; zero where it does not radiate.
    #[must_use]
    pub fn element_diffusion(&self, index: usize, at: &Point<f64>) -> Matrix6<f64> {
        let constant = self.settings_at(index).diffusion_constant();
        Passage::new(&self.steps[index], &mut at.clone(), constant).diffusion.unwrap_or_else(Matrix6::zeros)
    }

    /// All elements as a beam on the closed orbit sees them.
    fn passages(&self, start: Point<f64>) -> Result<Passages, NoClosedOrbit> {
        let (mut points, mut passages) = (vec![start], vec![]);
        let mut z = start;
        for (index, step) in self.steps.iter().enumerate() {
            let constant = self.settings_at(index).diffusion_constant();
            passages.push((!step.is_nothing()).then(|| Passage::new(step, &mut z, constant)));
            if is_lost(&z) {
                return Err(self.lost(index));
            }
            points.push(z);
        }
        Ok(Passages { points, passages })
    }

    fn equilibrium_of(&self, passages: Passages) -> Result<Equilibrium, NoOptics> {
        let (turn, diffusion) = passages.one_turn();
        let half_trace = 0.5 * (turn[(0, 0)] + turn[(1, 1)]);
        let form = normal_form(&turn, 6).ok_or(NoOptics::Unstable("transverse", half_trace))?;
        if diffusion[(4, 4)] == 0.0 {
            return Err(NoOptics::NoRadiation);
        }
        for (plane, mode) in PLANES.into_iter().zip(&form.modes) {
            if mode.damping <= 0.0 {
                return Err(NoOptics::NotDamped(plane, mode.damping));
            }
        }
        let beam = beam_matrix(&form, &diffusion).ok_or(NoOptics::Unstable("transverse", half_trace))?;
        let rates = [0, 1, 2].map(|mode| form.modes[mode].damping);
        let emittances = emittances(&form.basis, &beam).ok_or(NoOptics::Unstable("transverse", half_trace))?;
        Ok(Equilibrium {
            tunes: [0, 1, 2].map(|mode| form.modes[mode].tune),
            damping_rates: rates,
            damping_times: rates.map(|rate| self.settings.revolution_time / rate),
            emittances,
            energy_spread: beam[(4, 4)].max(0.0).sqrt(),
            bunch_length: beam[(5, 5)].max(0.0).sqrt(),
            energy_loss: passages.lost_momentum() * self.energy(),
            beam_matrix: beam,
            orbit: Orbit { points: passages.points },
        })
    }
}

/// The elements of a ring as a beam on an orbit sees them; those that do nothing are left out.
struct Passages {
    /// N + 1 points.
    points: Vec<Point<f64>>,
    passages: Vec<Option<Passage>>,
}

impl Passages {
    /// Matrix and diffusion of one turn.
    fn one_turn(&self) -> (Matrix6<f64>, Matrix6<f64>) {
        let (mut turn, mut diffusion) = (Matrix6::identity(), Matrix6::zeros());
        for passage in self.passages.iter().flatten() {
            turn = product(&passage.matrix, &turn);
            diffusion = passage.carry(&diffusion);
        }
        (turn, 0.5 * (diffusion + diffusion.transpose()))
    }

    /// By how much delta falls in magnets, all together [1].
    fn lost_momentum(&self) -> f64 {
        let radiating = self.passages.iter().enumerate();
        let radiating = radiating.filter(|(_, passage)| passage.as_ref().is_some_and(|p| p.diffusion.is_some()));
        radiating.map(|(index, _)| self.points[index][4] - self.points[index + 1][4]).sum()
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
