//! What depends on momentum: chromaticities, dispersion and momentum compaction to third order, chromatic functions.
//!
//! All from closed orbits at several momentum deviations. A central difference over nine of them is compared with that
//! over the inner seven; that, and the rounding of the values, bounds its error. The step is made smaller for as long as
//! that makes an error smaller, and each figure is taken from the step where its own is smallest.

mod differences;

use crate::maps::Point;
use crate::optics::{NoOptics, Optics};
use crate::orbit::NoClosedOrbit;
use crate::ring::{Effects, Ring};
pub use differences::Estimate;
use differences::{POINTS, REACH, Samples, apart};

/// Steps in delta [1], from the widest. Tunes lose their last digits, some 1e-14, to the third power of the step; what a
/// difference leaves out grows with its sixth power, over the distance to where the ring is no longer stable.
const STEPS: [f64; 4] = [2e-3, 1e-3, 5e-4, 1e-4];
/// Step in delta of first derivatives from four points [1].
const STEP: f64 = 1e-4;
/// Orders of derivatives.
const ORDERS: usize = 3;

/// How a ring depends on momentum about [`MomentumDependence::delta`], to third order.
#[derive(Clone, Debug, PartialEq)]
pub struct MomentumDependence {
    /// Momentum deviation about which all is expanded [1].
    pub delta: f64,
    /// Tunes of the elements there, x and y, with their integer parts [1].
    pub tunes: [f64; 2],
    /// First to third derivative of the tunes, x and y, with respect to delta [1].
    pub chromaticity: [[Estimate; ORDERS]; 2],
    /// Coefficients of delta, delta², delta³ in the path lengthening over the length [1].
    pub momentum_compaction: [Estimate; ORDERS],
    /// Coefficients of delta, delta², delta³ in the orbit: x [m], px [1], y [m], py [1], at the entrance of each element
    /// and at the end.
    pub dispersion: [Vec<[f64; 4]>; ORDERS],
    /// How far the coefficients of each order may be off, at the worst place.
    pub dispersion_uncertainty: [f64; ORDERS],
}

/// How Twiss functions depend on momentum, at the entrance of each element and at the end: N + 1 values each.
#[derive(Clone, Debug, PartialEq)]
pub struct ChromaticFunctions {
    /// Path length from the start [m].
    pub position: Vec<f64>,
    /// Horizontal plane.
    pub x: ChromaticPlane,
    /// Vertical plane.
    pub y: ChromaticPlane,
}

/// How the Twiss functions of one plane depend on momentum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChromaticPlane {
    /// Derivative of beta with respect to delta [m].
    pub beta_slope: Vec<f64>,
    /// Derivative of alpha with respect to delta [1].
    pub alpha_slope: Vec<f64>,
    /// Derivative of the phase advance with respect to delta [rad].
    pub phase_slope: Vec<f64>,
    /// Chromatic amplitude W, the length of ((dbeta/ddelta)/beta, dalpha/ddelta - alpha/beta dbeta/ddelta) [1].
    pub amplitude: Vec<f64>,
    /// Phase of that vector, which advances by twice the betatron phase between sources [rad].
    pub phase: Vec<f64>,
}

/// A ring at one momentum.
#[derive(Clone)]
struct Sample {
    points: Vec<Point<f64>>,
    /// Tunes that go on from those of the neighbour.
    tunes: [f64; 2],
}

impl Ring {
    /// Chromaticities dQ/d(delta) in x and y [1] of the elements, on off-momentum closed orbits about [`Ring::delta`].
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn chromaticity(&self) -> Result<[f64; 2], NoOptics> {
        let quiet = self.with_effects(Effects::NONE);
        let tunes = |factor: f64| {
            let mut beside = quiet.clone();
            beside.set_delta(self.delta() + factor * STEP);
            fractional_tunes(&beside, &beside.find_closed_orbit()?.start())
        };
        let values = [tunes(-2.0)?, tunes(-1.0)?, tunes(1.0)?, tunes(2.0)?];
        Ok([0, 1].map(|plane| {
            let near = apart(values[2][plane], values[1][plane]);
            (8.0 * near - apart(values[3][plane], values[0][plane])) / (12.0 * STEP)
        }))
    }

    /// Tunes, orbit and path length to third order in the momentum deviation about [`Ring::delta`], each with the
    /// accuracy it is known to; cavities and radiation left out.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion, within 4e-4 of the momentum.
    pub fn momentum_dependence(&self) -> Result<MomentumDependence, NoOptics> {
        let quiet = self.at_the_speed_of_light();
        let here = quiet.normal_optics()?;
        let [tune_x, tune_y, _] = here.tunes();
        let centre = Sample { points: here.orbit, tunes: [tune_x, tune_y] };
        let slopes = quiet.chromaticity()?;
        let mut best: Option<MomentumDependence> = None;
        for (index, step) in STEPS.into_iter().enumerate() {
            match quiet.samples(&centre, slopes, step) {
                Err(_) if index + 1 < STEPS.len() => {}
                Err(reason) => return best.ok_or(reason),
                Ok(samples) => {
                    let found = quiet.expanded(&samples, step);
                    if !best.as_mut().is_none_or(|best| best.improve(&found)) {
                        break;
                    }
                    best.get_or_insert(found);
                }
            }
        }
        best.ok_or(NoOptics::NoClosedOrbit(NoClosedOrbit::Resonance))
    }

    /// The same ring without effects, whose ct is the path lengthening alone.
    fn at_the_speed_of_light(&self) -> Self {
        let mut quiet = self.with_effects(Effects::NONE);
        if quiet.settings.reference.exact_velocity {
            quiet.settings.reference.exact_velocity = false;
            quiet.prepare_all();
        }
        quiet
    }

    /// The ring at delta - 4 `step`, ..., delta + 4 `step`; each orbit is sought near what the last two lead to.
    fn samples(&self, centre: &Sample, slopes: [f64; 2], step: f64) -> Result<[Sample; POINTS], NoOptics> {
        let mut samples: [Sample; POINTS] = std::array::from_fn(|_| centre.clone());
        for side in [-1.0, 1.0] {
            let at = |count: usize| if side > 0.0 { REACH + count } else { REACH - count };
            for count in 1..=REACH {
                let last = &samples[at(count - 1)];
                let before = if count > 1 { Some(&samples[at(count - 2)]) } else { None };
                let grown = |now: f64, was: Option<f64>, slope: f64| was.map_or(now + slope, |was| 2.0 * now - was);
                let mut guess: Point<f64> =
                    std::array::from_fn(|k| grown(last.points[0][k], before.map(|before| before.points[0][k]), 0.0));
                (guess[4], guess[5]) = (self.delta() + side * count as f64 * step, 0.0);
                let expected = [0, 1].map(|plane| {
                    grown(last.tunes[plane], before.map(|before| before.tunes[plane]), side * step * slopes[plane])
                });
                samples[at(count)] = self.sample(guess, expected)?;
            }
        }
        Ok(samples)
    }

    fn sample(&self, guess: Point<f64>, expected: [f64; 2]) -> Result<Sample, NoOptics> {
        let points = self.find_closed_orbit_from(guess)?.points;
        let tunes = fractional_tunes(self, &points[0])?;
        let followed = [0, 1].map(|plane| expected[plane] + apart(tunes[plane], expected[plane]));
        Ok(Sample { points, tunes: followed })
    }

    fn expanded(&self, samples: &[Sample; POINTS], step: f64) -> MomentumDependence {
        let values = |of: &dyn Fn(&Sample) -> f64| Samples::new(samples.each_ref().map(of), step);
        let tunes = [0, 1].map(|plane| values(&|sample| sample.tunes[plane]));
        let path = values(&|sample| (sample.points[self.len()][5] - sample.points[0][5]) / self.length());
        let orbit = |point: usize| [0, 1, 2, 3].map(|row| values(&|sample| sample.points[point][row]));
        let orbits: Vec<[Samples; 4]> = (0..=self.len()).map(orbit).collect();
        let coefficients = |order: usize| -> Vec<[Estimate; 4]> {
            orbits.iter().map(|rows| rows.each_ref().map(|row| row.coefficient(order + 1))).collect()
        };
        let dispersion: [Vec<[Estimate; 4]>; ORDERS] = std::array::from_fn(coefficients);
        let worst = |points: &Vec<[Estimate; 4]>| {
            points.iter().flatten().fold(0.0, |worst, estimate| f64::max(worst, estimate.uncertainty))
        };
        MomentumDependence {
            delta: self.delta(),
            tunes: samples[REACH].tunes,
            chromaticity: tunes.map(|tunes| std::array::from_fn(|order| tunes.derivative(order + 1))),
            momentum_compaction: std::array::from_fn(|order| path.coefficient(order + 1)),
            dispersion_uncertainty: dispersion.each_ref().map(worst),
            dispersion: dispersion.map(|points| points.iter().map(|at| at.map(|estimate| estimate.value)).collect()),
        }
    }

    /// How the Twiss functions depend on momentum about [`Ring::delta`], uncoupled, cavities and radiation left out.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn chromatic_functions(&self) -> Result<ChromaticFunctions, NoOptics> {
        let mut quiet = self.with_effects(Effects::NONE);
        let mut optics = |factor: f64| {
            quiet.set_delta(self.delta() + factor * STEP);
            quiet.optics()
        };
        let here = optics(0.0)?;
        let beside = [optics(-2.0)?, optics(-1.0)?, optics(1.0)?, optics(2.0)?];
        Ok(ChromaticFunctions {
            x: chromatic_plane(&here, &beside, |optics| [&optics.beta_x, &optics.alpha_x, &optics.phase_x]),
            y: chromatic_plane(&here, &beside, |optics| [&optics.beta_y, &optics.alpha_y, &optics.phase_y]),
            position: here.position,
        })
    }
}

impl MomentumDependence {
    /// Takes over what another step knows better; whether there was anything.
    fn improve(&mut self, other: &Self) -> bool {
        let mut better = false;
        let ours = self.chromaticity.iter_mut().flatten().chain(&mut self.momentum_compaction);
        let theirs = other.chromaticity.iter().flatten().chain(&other.momentum_compaction);
        for (ours, theirs) in ours.zip(theirs).filter(|(ours, theirs)| theirs.uncertainty < ours.uncertainty) {
            *ours = *theirs;
            better = true;
        }
        for order in 0..ORDERS {
            if other.dispersion_uncertainty[order] < self.dispersion_uncertainty[order] {
                self.dispersion_uncertainty[order] = other.dispersion_uncertainty[order];
                self.dispersion[order].clone_from(&other.dispersion[order]);
                better = true;
            }
        }
        better
    }
}

fn fractional_tunes(ring: &Ring, start: &Point<f64>) -> Result<[f64; 2], NoOptics> {
    let modes = ring.modes_at(start)?;
    Ok([modes[0].tune, modes[1].tune])
}

fn chromatic_plane(here: &Optics, beside: &[Optics; 4], plane: impl Fn(&Optics) -> [&Vec<f64>; 3]) -> ChromaticPlane {
    let [beta, alpha, _] = plane(here);
    let beside = beside.each_ref().map(plane);
    let mut all = ChromaticPlane::default();
    for point in 0..beta.len() {
        let [beta_slope, alpha_slope, phase_slope] = [0, 1, 2].map(|function| {
            let [far_below, below, above, far_above] = beside.map(|optics| optics[function][point]);
            (8.0 * (above - below) - (far_above - far_below)) / (12.0 * STEP)
        });
        let (along, across) = (beta_slope / beta[point], alpha_slope - alpha[point] / beta[point] * beta_slope);
        all.beta_slope.push(beta_slope);
        all.alpha_slope.push(alpha_slope);
        all.phase_slope.push(phase_slope);
        all.amplitude.push(along.hypot(across));
        all.phase.push(across.atan2(along));
    }
    all
}
