//! Wigglers and undulators (3.11).

use std::f64::consts::TAU;

use super::Point;
use crate::constants::{ELECTRON_REST_ENERGY, KICK, SPEED_OF_LIGHT};
use crate::number::Number;

/// A wiggler made ready.
#[derive(Clone, Debug)]
pub struct WigglerMap {
    periods: u32,
    steps: u32,
    period: f64,
    fourth_order: bool,
    harmonics: Vec<Harmonic>,
}

#[derive(Clone, Copy, Debug)]
struct Harmonic {
    strength: f64,
    kx: f64,
    ky: f64,
    kz: f64,
    phase: f64,
    /// A harmonic of the vertical field, which wiggles horizontally.
    horizontal: bool,
}

/// The vector potential at one place, and its integrals over the coordinate of a step.
struct Potential<N> {
    ax: N,
    ay: N,
    /// Integral over x of d(ax)/dy.
    ix: N,
    /// Integral over y of d(ay)/dx.
    iy: N,
}

impl WigglerMap {
    /// A wiggler of this length [m] for a particle of total energy `energy` [eV].
    #[must_use]
    pub fn new(wiggler: &fodo_lattice::Wiggler, length: f64, energy: f64) -> Self {
        let kw = TAU / wiggler.period;
        let gamma = energy / ELECTRON_REST_ENERGY;
        let deflection = wiggler.period * wiggler.peak_field * SPEED_OF_LIGHT / (TAU * ELECTRON_REST_ENERGY);
        let aw = deflection / (gamma * gamma - 1.0).sqrt();
        let harmonic = |row: &[f64; 6], horizontal| Harmonic {
            strength: row[1] * aw / row[4],
            kx: row[2] * kw,
            ky: row[3] * kw,
            kz: row[4] * kw,
            phase: row[5],
            horizontal,
        };
        let vertical = wiggler.vertical.iter().map(|row| harmonic(row, true));
        let horizontal = wiggler.horizontal.iter().map(|row| harmonic(row, false));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Self {
            periods: (length / wiggler.period).round() as u32,
            steps: wiggler.steps,
            period: wiggler.period,
            fourth_order: wiggler.integrator == 4,
            harmonics: vertical.chain(horizontal).collect(),
        }
    }

    /// Takes a particle through the wiggler.
    pub fn apply<N: Number>(&self, z: &mut Point<N>) {
        let step = self.period / f64::from(self.steps);
        let parts: &[f64] = if self.fourth_order { &[KICK[0], KICK[1], KICK[0]] } else { &[1.0] };
        let mut s = 0.0;
        for _ in 0..self.periods * self.steps {
            for part in parts {
                self.step(z, &mut s, part * step);
            }
        }
    }

    fn step<N: Number>(&self, z: &mut Point<N>, s: &mut f64, length: f64) {
        *s += 0.5 * length;
        self.vertical_step(z, *s, 0.5 * length);
        self.horizontal_step(z, *s, length);
        self.vertical_step(z, *s, 0.5 * length);
        *s += 0.5 * length;
    }

    fn vertical_step<N: Number>(&self, z: &mut Point<N>, s: f64, length: f64) {
        let q = (z[4] + 1.0).recip();
        let before = self.potential(z, s);
        z[1] -= before.iy;
        z[3] -= before.ay;
        z[2] += q * z[3] * length;
        z[5] += q * q * z[3] * z[3] * (0.5 * length);
        let after = self.potential(z, s);
        z[1] += after.iy;
        z[3] += after.ay;
    }

    fn horizontal_step<N: Number>(&self, z: &mut Point<N>, s: f64, length: f64) {
        let q = (z[4] + 1.0).recip();
        let before = self.potential(z, s);
        z[1] -= before.ax;
        z[3] -= before.ix;
        z[0] += q * z[1] * length;
        z[5] += q * q * z[1] * z[1] * (0.5 * length);
        let after = self.potential(z, s);
        z[1] += after.ax;
        z[3] += after.ix;
    }

    fn potential<N: Number>(&self, z: &Point<N>, s: f64) -> Potential<N> {
        let zero = N::constant(0.0);
        let mut sum = Potential { ax: zero, ay: zero, ix: zero, iy: zero };
        for harmonic in &self.harmonics {
            harmonic.add_to(&mut sum, z[0], z[2], s);
        }
        sum
    }
}

impl Harmonic {
    fn add_to<N: Number>(&self, sum: &mut Potential<N>, x: N, y: N, s: f64) {
        let strength = self.strength * (self.kz * s + self.phase).sin();
        let (kx, ky) = (self.kx, self.ky);
        if self.horizontal {
            let (sine, cosine) = (x * kx).sin_cos();
            let (sinh, cosh) = (y * ky).sinh_cosh();
            let over = if kx == 0.0 { x } else { sine * (1.0 / kx) };
            sum.ax += cosine * cosh * strength;
            sum.ix += over * sinh * (strength * ky);
            if ky != 0.0 {
                sum.ay += sine * sinh * (strength * kx / ky);
                sum.iy += cosine * cosh * (strength * (kx / ky).powi(2));
            }
        } else {
            let (sine, cosine) = (y * ky).sin_cos();
            let (sinh, cosh) = (x * kx).sinh_cosh();
            let over = if ky == 0.0 { y } else { sine * (1.0 / ky) };
            sum.ay += cosh * cosine * strength;
            sum.iy += sinh * over * (strength * kx);
            if kx != 0.0 {
                sum.ax += sinh * sine * (strength * ky / kx);
                sum.ix += cosh * cosine * (strength * (ky / kx).powi(2));
            }
        }
    }
}
