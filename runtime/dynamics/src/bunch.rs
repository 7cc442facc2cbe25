//! Bunches of many particles: made to given optics and emittances, and described by their moments.
//!
//! A particle is drawn from its own stream of the generator (ChaCha with 8 rounds, one stream per particle), so that
//! the same seed gives the same bunch bit for bit, whatever the number of threads.

use std::fmt;

use fodo_optics::{Optics, Point, Twiss};
use nalgebra::{Complex, Matrix6, Vector6};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Particles whose moments are summed at a time; the sums are added in order.
const CHUNK: usize = 4096;
/// Draws after which a truncated distribution gives up on a particle: it then keeps what it has, scaled to the edge.
const DRAWS: usize = 1000;

/// A bunch of particles.
#[derive(Clone, Debug, PartialEq)]
pub struct Bunch {
    /// Coordinates x [m], px, y [m], py, delta, ct [m]; NaN in x: lost.
    pub particles: Vec<Point<f64>>,
    /// Charge of the whole bunch [C], shared by all particles, lost ones included.
    pub charge: f64,
    /// By how much its reference particle comes later than that of the first bucket [m].
    pub offset: f64,
}

/// How particles lie in the six normalised coordinates, each of them with variance 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Normal.
    Gaussian,
    /// Normal, cut in each of the three planes at this radius [sigma]; the variance is that of what is left.
    Truncated(f64),
    /// Evenly filled sphere in six dimensions.
    Waterbag,
    /// Kapchinskij and Vladimirskij: the surface of a sphere in the four transverse dimensions; delta and ct normal.
    KapchinskijVladimirskij,
}

/// Why there is no such bunch.
#[derive(Clone, Debug, PartialEq)]
pub enum NoBunch {
    /// A matrix is not that of a beam: not symmetric, not finite, or negative in this coordinate (0 to 5).
    NotABeamMatrix(usize),
    /// A number makes no sense: its name and value.
    BadNumber(&'static str, f64),
    /// A bucket does not exist (bucket, harmonic number).
    NoBucket(u32, u32),
    /// A bucket is filled twice.
    FilledTwice(u32),
    /// The optics have no such place (index, number of places).
    NoPlace(usize, usize),
}

impl fmt::Display for NoBunch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABeamMatrix(row) => write!(
                out,
                "no bunch: the matrix is not that of a beam, it is not symmetric and positive in coordinate {row} of \
                 x, px, y, py, delta, ct"
            ),
            Self::BadNumber(name, value) => write!(out, "no bunch: {name} cannot be {value}"),
            Self::NoBucket(bucket, harmonic) => {
                write!(out, "no bucket {bucket}: the harmonic number is {harmonic}, buckets count from 0")
            }
            Self::FilledTwice(bucket) => write!(out, "bucket {bucket} is filled twice"),
            Self::NoPlace(index, count) => write!(out, "no place {index} in optics of {count} places"),
        }
    }
}

impl std::error::Error for NoBunch {}

/// Sizes of a beam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Horizontal emittance [m rad].
    pub emittance_x: f64,
    /// Vertical emittance [m rad].
    pub emittance_y: f64,
    /// Energy spread, rms [1].
    pub energy_spread: f64,
    /// Bunch length, rms [m].
    pub length: f64,
}

/// The beam matrix (covariance of x, px, y, py, delta, ct) of uncoupled optics with dispersion (x, px, y, py).
///
/// # Errors
/// A size is negative or not finite, or a beta function is not positive.
pub fn beam_matrix(twiss: [Twiss; 2], dispersion: [f64; 4], sizes: &Sizes) -> Result<Matrix6<f64>, NoBunch> {
    let named = [
        ("emittance_x", sizes.emittance_x),
        ("emittance_y", sizes.emittance_y),
        ("energy_spread", sizes.energy_spread),
        ("length", sizes.length),
    ];
    if let Some((name, value)) = named.into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
        return Err(NoBunch::BadNumber(name, value));
    }
    let mut matrix = Matrix6::zeros();
    for (plane, (twiss, emittance)) in twiss.iter().zip([sizes.emittance_x, sizes.emittance_y]).enumerate() {
        let Twiss { beta, alpha } = *twiss;
        if !(beta > 0.0 && beta.is_finite() && alpha.is_finite()) {
            return Err(NoBunch::BadNumber("beta", beta));
        }
        let (q, p) = (2 * plane, 2 * plane + 1);
        matrix[(q, q)] = emittance * beta;
        matrix[(q, p)] = -emittance * alpha;
        matrix[(p, q)] = -emittance * alpha;
        matrix[(p, p)] = emittance * (1.0 + alpha * alpha) / beta;
    }
    let along = Vector6::new(dispersion[0], dispersion[1], dispersion[2], dispersion[3], 1.0, 0.0);
    matrix += along * along.transpose() * (sizes.energy_spread * sizes.energy_spread);
    matrix[(5, 5)] = sizes.length * sizes.length;
    Ok(matrix)
}

/// The beam matrix at a place of optics: the entrance of that element, or the end.
///
/// # Errors
/// The place does not exist, or a size makes no sense.
pub fn beam_matrix_at(optics: &Optics, place: usize, sizes: &Sizes) -> Result<Matrix6<f64>, NoBunch> {
    let count = optics.position.len();
    let dispersion = *optics.dispersion.get(place).ok_or(NoBunch::NoPlace(place, count))?;
    let x = Twiss { beta: optics.beta_x[place], alpha: optics.alpha_x[place] };
    let y = Twiss { beta: optics.beta_y[place], alpha: optics.alpha_y[place] };
    beam_matrix([x, y], dispersion, sizes)
}

/// Draws particles with this beam matrix about a centre.
///
/// The matrix is written as L Lᵀ (Cholesky, with zeros where the beam has no extent), and the normalised coordinates
/// of `shape` are multiplied by L. The mean and the moments of the sample differ from those wanted by its noise.
///
/// # Errors
/// The matrix is not that of a beam, or the radius of a truncation is not positive.
pub fn distribution(
    count: usize,
    centre: &Point<f64>,
    matrix: &Matrix6<f64>,
    shape: Shape,
    seed: u64,
) -> Result<Vec<Point<f64>>, NoBunch> {
    if let Shape::Truncated(radius) = shape
        && (radius.is_nan() || radius <= 0.0)
    {
        return Err(NoBunch::BadNumber("truncation", radius));
    }
    let root = cholesky(matrix)?;
    let generator = ChaCha8Rng::seed_from_u64(seed);
    let particle = |index: usize| {
        let mut generator = generator.clone();
        generator.set_stream(index as u64);
        let moved = root * normalised(shape, &mut generator);
        std::array::from_fn(|row| centre[row] + moved[row])
    };
    Ok((0..count).into_par_iter().map(particle).collect())
}

/// L with L Lᵀ = matrix, for a matrix that is positive, or zero in some directions.
fn cholesky(matrix: &Matrix6<f64>) -> Result<Matrix6<f64>, NoBunch> {
    let mut root = Matrix6::zeros();
    for column in 0..6 {
        let size = matrix[(column, column)];
        let left = size - (0..column).map(|k| root[(column, k)] * root[(column, k)]).sum::<f64>();
        if !left.is_finite() || left < -1e-10 * size.abs() || size < 0.0 {
            return Err(NoBunch::NotABeamMatrix(column));
        }
        let pivot = if left > 1e-14 * size { left.sqrt() } else { 0.0 };
        root[(column, column)] = pivot;
        for row in column + 1..6 {
            let known: f64 = (0..column).map(|k| root[(row, k)] * root[(column, k)]).sum();
            let entry = matrix[(row, column)] - known;
            let scale = (size * matrix[(row, row)]).sqrt();
            let symmetric = (matrix[(row, column)] - matrix[(column, row)]).abs() <= 1e-10 * scale;
            if !symmetric || (pivot == 0.0 && entry.abs() > 1e-6 * scale) {
                return Err(NoBunch::NotABeamMatrix(row));
            }
            root[(row, column)] = if pivot == 0.0 { 0.0 } else { entry / pivot };
        }
    }
    Ok(root)
}

fn normalised(shape: Shape, generator: &mut ChaCha8Rng) -> Vector6<f64> {
    let mut normal = || -> f64 { StandardNormal.sample(generator) };
    match shape {
        Shape::Gaussian => Vector6::from_fn(|_, _| normal()),
        Shape::Truncated(radius) => {
            let pairs: [[f64; 2]; 3] = std::array::from_fn(|_| pair_within(radius, &mut normal));
            let scale = 1.0 / truncated_variance(radius).sqrt();
            Vector6::from_fn(|row, _| scale * pairs[row / 2][row % 2])
        }
        Shape::Waterbag => {
            // six coordinates of a point on the surface of a sphere in eight dimensions fill the ball in six evenly
            let direction: [f64; 8] = std::array::from_fn(|_| normal());
            let norm = length(&direction);
            Vector6::from_fn(|row, _| direction[row] / norm * 8f64.sqrt())
        }
        Shape::KapchinskijVladimirskij => {
            let all: [f64; 6] = std::array::from_fn(|_| normal());
            let norm = length(&all[..4]);
            Vector6::from_fn(|row, _| if row < 4 { 2.0 * all[row] / norm } else { all[row] })
        }
    }
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn pair_within(radius: f64, normal: &mut impl FnMut() -> f64) -> [f64; 2] {
    let mut pair = [normal(), normal()];
    for _ in 0..DRAWS {
        if length(&pair) <= radius {
            return pair;
        }
        pair = [normal(), normal()];
    }
    let shrink = f64::min(1.0, radius / length(&pair));
    pair.map(|value| value * shrink)
}

/// Variance of each of two normal coordinates within a radius.
fn truncated_variance(radius: f64) -> f64 {
    let half = 0.5 * radius * radius;
    let inside = -(-half).exp_m1();
    if inside == 0.0 { 1.0 } else { 1.0 - half * (-half).exp() / inside }
}

/// First and second moments of a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Particles that are not lost.
    pub count: usize,
    /// Their mean coordinates.
    pub centre: Point<f64>,
    /// Their covariance (divided by the count).
    pub matrix: Matrix6<f64>,
}

impl Moments {
    /// Moments of the particles that are not lost; `None` if there are none.
    #[must_use]
    pub fn of(particles: &[Point<f64>]) -> Option<Self> {
        let alive = |particle: &&Point<f64>| !particle[0].is_nan();
        let (count, sum) = summed(particles, Vector6::zeros(), |some| {
            some.iter()
                .filter(alive)
                .fold((0, Vector6::zeros()), |(count, sum), z| (count + 1, sum + Vector6::from(*z)))
        });
        if count == 0 {
            return None;
        }
        let centre: Vector6<f64> = sum / count as f64;
        let (_, squares) = summed(particles, Matrix6::zeros(), |some| {
            some.iter().filter(alive).fold((0, Matrix6::zeros()), |(count, sum), z| {
                let apart = Vector6::from(*z) - centre;
                (count + 1, sum + apart * apart.transpose())
            })
        });
        Some(Self { count, centre: centre.into(), matrix: squares / count as f64 })
    }

    /// Projected emittances [m rad] of x, y and of (ct, delta) [m]: roots of the determinants of the 2x2 blocks.
    #[must_use]
    pub fn projected_emittances(&self) -> [f64; 3] {
        [0, 2, 4].map(|first| {
            let block: nalgebra::Matrix2<f64> = self.matrix.fixed_view::<2, 2>(first, first).into();
            block.determinant().max(0.0).sqrt()
        })
    }

    /// Projected emittances of x and y with the part that goes with energy taken out [m rad].
    #[must_use]
    pub fn emittances_without_dispersion(&self) -> [f64; 2] {
        let variance = self.matrix[(4, 4)];
        [0, 2].map(|first| {
            let with_energy = |row: usize| if variance > 0.0 { self.matrix[(row, 4)] / variance } else { 0.0 };
            let part = |a: usize, b: usize| self.matrix[(a, b)] - with_energy(a) * with_energy(b) * variance;
            let (q, p) = (first, first + 1);
            (part(q, q) * part(p, p) - part(q, p) * part(q, p)).max(0.0).sqrt()
        })
    }

    /// Emittances of the three normal modes [m rad; m rad; m], which linear motion keeps: the eigenvalues of matrix
    /// times symplectic form are ±i times them. In falling order of the plane x, y, longitudinal each is most in is not
    /// sought: they are sorted from large to small.
    #[must_use]
    pub fn mode_emittances(&self) -> [f64; 3] {
        let mut form = Matrix6::zeros();
        for q in [0, 2, 4] {
            (form[(q, q + 1)], form[(q + 1, q)]) = (1.0, -1.0);
        }
        let product = self.matrix * form;
        let eigenvalues: Vec<Complex<f64>> = product.complex_eigenvalues().iter().copied().collect();
        let mut sizes: Vec<f64> = eigenvalues.iter().map(|value| value.im.abs()).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        // each occurs twice
        [sizes[0], sizes[2], sizes[4]]
    }

    /// Root mean square sizes of the six coordinates.
    #[must_use]
    pub fn sizes(&self) -> Point<f64> {
        std::array::from_fn(|row| self.matrix[(row, row)].max(0.0).sqrt())
    }
}

/// Sums over chunks in parallel, and over the chunks in order.
fn summed<T: Send + std::ops::Add<Output = T>>(
    particles: &[Point<f64>],
    zero: T,
    of_chunk: impl Fn(&[Point<f64>]) -> (usize, T) + Send + Sync,
) -> (usize, T) {
    let parts: Vec<(usize, T)> = particles.par_chunks(CHUNK).map(of_chunk).collect();
    parts.into_iter().fold((0, zero), |(count, sum), (more, part)| (count + more, sum + part))
}

/// Which buckets of a ring are filled, and with how much charge.
#[derive(Clone, Debug, PartialEq)]
pub struct Filling {
    harmonic: u32,
    charges: Vec<(u32, f64)>,
}

impl Filling {
    /// A filling from buckets (counted from 0) and charges [C].
    ///
    /// # Errors
    /// A bucket does not exist or is named twice, or a charge is not finite.
    pub fn new(harmonic: u32, mut charges: Vec<(u32, f64)>) -> Result<Self, NoBunch> {
        charges.sort_by_key(|(bucket, _)| *bucket);
        for pair in charges.windows(2) {
            if pair[0].0 == pair[1].0 {
                return Err(NoBunch::FilledTwice(pair[0].0));
            }
        }
        for &(bucket, charge) in &charges {
            if bucket >= harmonic {
                return Err(NoBunch::NoBucket(bucket, harmonic));
            }
            if !charge.is_finite() {
                return Err(NoBunch::BadNumber("charge", charge));
            }
        }
        Ok(Self { harmonic, charges })
    }

    /// `count` bunches from bucket `first`, one every `spacing` buckets, `charge` [C] altogether.
    ///
    /// # Errors
    /// The train is longer than the ring, or a number makes no sense.
    pub fn train(harmonic: u32, first: u32, count: u32, spacing: u32, charge: f64) -> Result<Self, NoBunch> {
        if count == 0 || (spacing == 0 && count > 1) {
            return Err(NoBunch::BadNumber("number or spacing of bunches", 0.0));
        }
        let bucket = |bunch: u32| bunch.checked_mul(spacing).and_then(|gone| first.checked_add(gone));
        let each = charge / f64::from(count);
        let buckets = (0..count).map(|bunch| bucket(bunch).ok_or(NoBunch::NoBucket(u32::MAX, harmonic)));
        let charges = buckets.map(|bucket| bucket.map(|bucket| (bucket, each)));
        Self::new(harmonic, charges.collect::<Result<_, _>>()?)
    }

    /// Number of buckets.
    #[must_use]
    pub fn harmonic(&self) -> u32 {
        self.harmonic
    }

    /// Filled buckets and their charges [C], in the order in which they pass.
    #[must_use]
    pub fn charges(&self) -> &[(u32, f64)] {
        &self.charges
    }

    /// One bunch for each filled bucket of a ring of this length [m], each drawn from its own seed (`seed` plus the
    /// bucket).
    ///
    /// # Errors
    /// As [`distribution`].
    pub fn bunches(
        &self,
        ring_length: f64,
        count: usize,
        centre: &Point<f64>,
        matrix: &Matrix6<f64>,
        shape: Shape,
        seed: u64,
    ) -> Result<Vec<Bunch>, NoBunch> {
        let bunch = |&(bucket, charge): &(u32, f64)| {
            let particles = distribution(count, centre, matrix, shape, seed.wrapping_add(u64::from(bucket)))?;
            Ok(Bunch { particles, charge, offset: ring_length * f64::from(bucket) / f64::from(self.harmonic) })
        };
        self.charges.iter().map(bunch).collect()
    }
}
