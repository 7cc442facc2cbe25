//! Synchrotron radiation integrals, and what follows from them (section 5 of the physics conventions).
//!
//! Every bend is taken to be a sector magnet with a gradient and thin edges, on the optics of the machine without
//! radiation; quadrupoles count with the angle by which they bend the closed orbit. Of coupled motion only the part of
//! the horizontal mode in x counts, and no vertical dispersion: the equilibrium of [`Ring::equilibrium`] has it all.

use std::f64::consts::{PI, TAU};
use std::ops::AddAssign;

use fodo_lattice::{Body, Element, Wiggler};

use crate::constants::{ELECTRON_REST_ENERGY, SPEED_OF_LIGHT, energy_loss, quantum_constant};
use crate::normal::NormalOptics;
use crate::optics::NoOptics;
use crate::orbit::NoClosedOrbit;
use crate::ring::{Effects, Ring};

/// The integrals over the elements of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RadiationIntegrals {
    /// Dispersion over bending radius [m].
    pub i1: f64,
    /// Curvature squared [1/m].
    pub i2: f64,
    /// Absolute curvature cubed [1/m²].
    pub i3: f64,
    /// Dispersion times curvature times (curvature² + 2 k1), with the edges [1/m].
    pub i4: f64,
    /// The dispersion's own Courant-Snyder invariant times absolute curvature cubed [1/m].
    pub i5: f64,
}

/// Damping and equilibrium of a whole machine, all its periods together, from the radiation integrals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Radiation {
    /// The integrals of the whole machine.
    pub integrals: RadiationIntegrals,
    /// Energy lost per turn [eV].
    pub energy_loss: f64,
    /// Damping partition numbers x, y, longitudinal [1].
    pub damping_partition: [f64; 3],
    /// Damping times of the amplitudes x, y, longitudinal [s].
    pub damping_times: [f64; 3],
    /// Relative energy spread, rms [1].
    pub energy_spread: f64,
    /// Natural horizontal emittance, rms [m].
    pub emittance_x: f64,
}

impl AddAssign for RadiationIntegrals {
    fn add_assign(&mut self, other: Self) {
        self.i1 += other.i1;
        self.i2 += other.i2;
        self.i3 += other.i3;
        self.i4 += other.i4;
        self.i5 += other.i5;
    }
}

impl RadiationIntegrals {
    /// Those of so many periods.
    #[must_use]
    pub fn times(self, periods: u32) -> Self {
        let factor = f64::from(periods);
        let Self { i1, i2, i3, i4, i5 } = self;
        Self { i1: i1 * factor, i2: i2 * factor, i3: i3 * factor, i4: i4 * factor, i5: i5 * factor }
    }

    /// Damping partition numbers x, y, longitudinal [1]; their sum is 4.
    #[must_use]
    pub fn damping_partition(&self) -> [f64; 3] {
        let share = self.i4 / self.i2;
        [1.0 - share, 1.0, 2.0 + share]
    }
}

impl Ring {
    /// Radiation integrals of the elements, one period of the machine.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn radiation_integrals(&self) -> Result<RadiationIntegrals, NoOptics> {
        if self.effects() != Effects::NONE {
            return self.with_effects(Effects::NONE).radiation_integrals();
        }
        let optics = self.normal_optics()?;
        let mut sum = RadiationIntegrals::default();
        for (index, element) in self.elements().iter().enumerate() {
            if let Body::Wiggler(wiggler) = &element.body {
                sum += of_wiggler(wiggler, element.length, self.settings_at(index).energy, &Place::new(&optics, index));
            } else if let Some(bend) = Sector::new(element, &optics, index) {
                sum += bend.integrals(&Place::new(&optics, index), &Place::new(&optics, index + 1));
            }
        }
        Ok(sum)
    }

    /// Damping and equilibrium of the whole machine, from the radiation integrals.
    ///
    /// # Errors
    /// No closed orbit, unstable motion, nothing that radiates, or a plane that radiation does not damp.
    pub fn radiation(&self) -> Result<Radiation, NoOptics> {
        let integrals = self.radiation_integrals()?.times(self.periodicity());
        if integrals.i2 == 0.0 {
            return Err(NoOptics::NoRadiation);
        }
        let partition = integrals.damping_partition();
        for (plane, number) in ["horizontal", "vertical", "longitudinal"].into_iter().zip(partition) {
            if number <= 0.0 {
                return Err(NoOptics::NotDamped(plane, number));
            }
        }
        let loss = energy_loss(self.energy(), integrals.i2);
        let time = self.settings.revolution_time * f64::from(self.periodicity());
        let photons = quantum_constant() * self.settings.gamma().powi(2) / integrals.i2;
        Ok(Radiation {
            integrals,
            energy_loss: loss,
            damping_partition: partition,
            damping_times: partition.map(|number| 2.0 * self.energy() / loss * time / number),
            energy_spread: (photons * integrals.i3 / partition[2]).sqrt(),
            emittance_x: photons * integrals.i5 / partition[0],
        })
    }

    /// Energy lost by a particle on the 6D closed orbit in one passage without cavities [eV].
    ///
    /// # Errors
    /// There is no closed orbit with cavities and radiation.
    pub fn tracked_energy_loss(&self) -> Result<f64, NoClosedOrbit> {
        let start = self.with_effects(Effects::ALL).find_closed_orbit()?.start();
        let mut z = start;
        self.with_effects(Effects { cavity: false, radiation: true })
            .pass(&mut z, 0.0)
            .map_err(|index| self.lost(index))?;
        Ok((start[4] - z[4]) * self.energy())
    }
}

/// Horizontal optical functions at one place.
struct Place {
    beta: f64,
    alpha: f64,
    dispersion: f64,
    dispersion_slope: f64,
}

impl Place {
    fn new(optics: &NormalOptics, index: usize) -> Self {
        let [dispersion, dispersion_slope, ..] = optics.dispersion[index];
        Self { beta: optics.beta_x[index], alpha: optics.alpha_x[index], dispersion, dispersion_slope }
    }

    /// Behind an edge that focuses with this strength [1/m].
    fn behind_edge(&self, strength: f64) -> Self {
        Self {
            alpha: self.alpha - self.beta * strength,
            dispersion_slope: self.dispersion_slope + self.dispersion * strength,
            ..*self
        }
    }

    fn gamma(&self) -> f64 {
        (1.0 + self.alpha * self.alpha) / self.beta
    }

    /// The Courant-Snyder invariant of a dispersion.
    fn invariant(&self) -> f64 {
        self.gamma() * self.dispersion * self.dispersion
            + 2.0 * self.alpha * self.dispersion * self.dispersion_slope
            + self.beta * self.dispersion_slope * self.dispersion_slope
    }
}

/// A magnet with a constant curvature and gradient.
struct Sector {
    length: f64,
    curvature: f64,
    gradient: f64,
    /// Horizontal focusing of the edges [1/m], entrance and exit.
    edges: [f64; 2],
}

/// Angles below this [rad] do not count.
const LEAST_ANGLE: f64 = 1e-7;

/// Focusing strengths times length² below this [1] are too weak to find a dispersion from the slopes at the ends.
const WEAK: f64 = 1e-6;

impl Sector {
    fn new(element: &Element, optics: &NormalOptics, index: usize) -> Option<Self> {
        let (angle, magnet, faces) = match &element.body {
            Body::Bend(bend) => (bend.angle, &bend.magnet, [bend.entrance.angle, bend.exit.angle]),
            Body::Quadrupole(magnet) => {
                let [before, after] = [index, index + 1].map(|index| &optics.orbit[index]);
                (before[1] / (1.0 + before[4]) - after[1] / (1.0 + after[4]), magnet, [0.0; 2])
            }
            _ => return None,
        };
        if angle.abs() < LEAST_ANGLE || element.length == 0.0 {
            return None;
        }
        let curvature = angle / element.length;
        let gradient = if magnet.field.max_order < 1 { 0.0 } else { magnet.field.upright(1) };
        Some(Self { length: element.length, curvature, gradient, edges: faces.map(|face| face.tan() * curvature) })
    }

    fn integrals(&self, entrance: &Place, exit: &Place) -> RadiationIntegrals {
        let (length, h) = (self.length, self.curvature);
        let (start, end) = (entrance.behind_edge(self.edges[0]), exit.behind_edge(-self.edges[1]));
        let focusing = self.gradient + h * h;
        let averages = Averages::new(focusing, length);
        let dispersion = if (focusing * length * length).abs() < WEAK {
            averages.dispersion(&start, h)
        } else {
            // what the tracked magnet has, whose integrator is not exact
            (h * length - (end.dispersion_slope - start.dispersion_slope)) / (focusing * length)
        };
        let at_edges = start.dispersion * self.edges[0] + end.dispersion * self.edges[1];
        RadiationIntegrals {
            i1: dispersion * length * h,
            i2: length * h * h,
            i3: length * (h * h * h).abs(),
            i4: dispersion * length * (2.0 * self.gradient + h * h) * h - at_edges * h,
            i5: averages.invariant(&start, h) * length * (h * h * h).abs(),
        }
    }
}

/// Averages over a magnet of focusing strength k [1/m²]: of C = cos, S = sin/sqrt(k) and D = (1 - C)/k.
struct Averages {
    cosine: f64,
    sine: f64,
    versine: f64,
    sine_squared: f64,
    versine_squared: f64,
    sine_versine: f64,
}

impl Averages {
    fn new(k: f64, length: f64) -> Self {
        let z = k * length * length;
        let [c1, c2, c3, c5] = [1, 2, 3, 5].map(|order| remainder(order, z));
        let [twice_c3, twice_c5] = [3, 5].map(|order| remainder(order, 4.0 * z));
        let square = length * length;
        Self {
            cosine: c1,
            sine: length * c2,
            versine: square * c3,
            sine_squared: 2.0 * square * twice_c3,
            versine_squared: 2.0 * square * square * (4.0 * twice_c5 - c5),
            sine_versine: 0.5 * square * length * c2 * c2,
        }
    }

    fn dispersion(&self, start: &Place, h: f64) -> f64 {
        start.dispersion * self.cosine + start.dispersion_slope * self.sine + h * self.versine
    }

    /// Average invariant: carried back to the entrance, the dispersion is `(eta - h D, eta' + h S)`.
    fn invariant(&self, start: &Place, h: f64) -> f64 {
        let (eta, slope) = (start.dispersion, start.dispersion_slope);
        let gained = start.gamma() * (h * self.versine_squared - 2.0 * eta * self.versine)
            + 2.0 * start.alpha * (eta * self.sine - slope * self.versine - h * self.sine_versine)
            + start.beta * (2.0 * slope * self.sine + h * self.sine_squared);
        start.invariant() + h * gained
    }
}

/// The power series `sum (-z)^j / (order + 2 j)!`: cosine and sine of sqrt(z) and what is left of them when their first
/// terms are taken off; for z < 0 the hyperbolic ones.
fn remainder(order: u32, z: f64) -> f64 {
    let mut term = 1.0 / (1..=order).map(f64::from).product::<f64>();
    let mut sum = term;
    for next in (order + 1..).step_by(2).take(60) {
        term *= -z / (f64::from(next) * f64::from(next + 1));
        sum += term;
        if term.abs() <= 1e-17 * sum.abs() {
            break;
        }
    }
    sum
}

/// Points per period over which |B|³ of a wiggler with several harmonics is summed.
const POINTS: u32 = 60;

/// A wiggler about a straight orbit: its own dispersion counts in the first integral, and in the fifth where that of
/// the ring is smaller.
fn of_wiggler(wiggler: &Wiggler, length: f64, energy: f64, start: &Place) -> RadiationIntegrals {
    let rigidity = (energy * energy - ELECTRON_REST_ENERGY * ELECTRON_REST_ENERGY).sqrt() / SPEED_OF_LIGHT;
    let curvature = wiggler.peak_field / rigidity;
    let wave = TAU / wiggler.period;
    let all = wiggler.vertical.iter().chain(&wiggler.horizontal);
    let squares: f64 = all.map(|harmonic| (harmonic[1] * curvature).powi(2)).sum();
    let cube = mean_cube(wiggler, curvature);
    let beta = start.beta + start.alpha * length + start.gamma() * length * length / 3.0;
    let first = wiggler.vertical.first().map_or(0.0, |harmonic| (harmonic[1] * curvature).abs());
    let own = 4.0 * beta * length * first.powi(5) / (15.0 * PI * wave * wave);
    let i2 = 0.5 * length * squares;
    RadiationIntegrals {
        i1: -i2 / (wave * wave),
        i2,
        i3: length * cube,
        i4: 0.0,
        i5: f64::max(start.invariant() * length * cube, own),
    }
}

/// Average of the absolute curvature cubed on the axis [1/m³]; `curvature` is that at the peak field.
fn mean_cube(wiggler: &Wiggler, curvature: f64) -> f64 {
    if let ([harmonic], []) | ([], [harmonic]) = (&wiggler.vertical[..], &wiggler.horizontal[..]) {
        return (harmonic[1] * curvature).abs().powi(3) * 4.0 / (3.0 * PI);
    }
    let cube = |point: u32| {
        let phase = TAU * f64::from(point) / f64::from(POINTS);
        let field =
            |rows: &[[f64; 6]]| -> f64 { rows.iter().map(|row| row[1] * (row[4] * phase + row[5]).cos()).sum() };
        (field(&wiggler.vertical).hypot(field(&wiggler.horizontal)) * curvature).powi(3)
    };
    (0..POINTS).map(cube).sum::<f64>() / f64::from(POINTS)
}
