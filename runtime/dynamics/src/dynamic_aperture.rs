//! Dynamic aperture: how far from the closed orbit particles survive.

use std::f64::consts::PI;

use fodo_optics::{Loss, Point, Ring};

use crate::survival::{NoAperture, Ray, Reach, Search, reaches, survive};

/// How a dynamic aperture is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DynamicApertureOptions {
    /// Rays, evenly spread over the angles, both ends included [1].
    pub directions: usize,
    /// First and last angle [rad]; 0 is to positive x, pi/2 to positive y.
    pub angles: [f64; 2],
    /// Largest x and y looked at, from the closed orbit [m]; the ray of an angle ends on the ellipse with these axes.
    pub limits: [f64; 2],
    /// Turns to survive [1].
    pub turns: u64,
    /// Momentum deviation [1]: without cavities of the closed orbit, with cavities of the start from it.
    pub delta: f64,
    /// How each ray is searched.
    pub search: Search,
    /// Added to x and y of every start, so that no particle is caught in a plane of symmetry [m].
    pub shift: f64,
}

impl Default for DynamicApertureOptions {
    fn default() -> Self {
        Self {
            directions: 19,
            angles: [0.0, PI],
            limits: [0.02, 0.01],
            turns: 1024,
            delta: 0.0,
            search: Search::Bisection { steps: 10, tolerance: 0.01 },
            shift: 1e-9,
        }
    }
}

/// Edge of the stable region at the start of the ring.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicAperture {
    /// The closed orbit the edge is measured from.
    pub orbit: Point<f64>,
    /// Angle of each ray [rad].
    pub angles: Vec<f64>,
    /// x and y of the edge on each ray, from the closed orbit [m].
    pub edge: Vec<[f64; 2]>,
    /// What happened to the next particle out; `None` where the limit itself survives.
    pub losses: Vec<Option<Loss>>,
}

impl DynamicAperture {
    /// Area between the first and the last ray and the edge [m²].
    #[must_use]
    pub fn area(&self) -> f64 {
        let triangle = |pair: &[[f64; 2]]| 0.5 * (pair[0][0] * pair[1][1] - pair[1][0] * pair[0][1]);
        self.edge.windows(2).map(triangle).sum::<f64>().abs()
    }
}

/// The edge of the stable region, ray by ray, searched from the inside outwards.
///
/// # Errors
/// No closed orbit, or an option that makes no sense.
pub fn dynamic_aperture(ring: &Ring, options: &DynamicApertureOptions) -> Result<DynamicAperture, NoAperture> {
    check(options)?;
    options.search.check()?;
    let orbit = start_orbit(ring, options.delta)?;
    let angles = spread(options.angles, options.directions);
    let rays: Vec<Ray> = angles.iter().map(|&angle| ray(&orbit, angle, options)).collect();
    let found = reaches(ring, &rays, options.search, options.turns);
    let edge = |(ray, reach): (&Ray, &Reach)| [ray.way[0] * reach.stable, ray.way[2] * reach.stable];
    let losses = found.iter().map(|reach| reach.loss).collect();
    Ok(DynamicAperture { orbit, angles, edge: rays.iter().zip(&found).map(edge).collect(), losses })
}

/// Where particles that start at these x and y from the closed orbit [m] are lost; `None` where they survive.
///
/// Of the options `turns`, `delta` and `shift` are used.
///
/// # Errors
/// As [`dynamic_aperture`].
pub fn survival_map(
    ring: &Ring,
    starts: &[[f64; 2]],
    options: &DynamicApertureOptions,
) -> Result<Vec<Option<Loss>>, NoAperture> {
    check(options)?;
    let orbit = start_orbit(ring, options.delta)?;
    let particle = |&[x, y]: &[f64; 2]| {
        let mut particle = orbit;
        particle[0] += x + options.shift;
        particle[2] += y + options.shift;
        particle
    };
    let mut particles: Vec<Point<f64>> = starts.iter().map(particle).collect();
    Ok(survive(ring, &mut particles, options.turns, 0))
}

fn check(options: &DynamicApertureOptions) -> Result<(), NoAperture> {
    let DynamicApertureOptions { directions, angles, limits, delta, shift, .. } = options;
    let numbers = [angles[0], angles[1], limits[0], limits[1], *delta, *shift];
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(NoAperture::Option("angles, limits, delta and shift have to be finite"));
    }
    if *directions == 0 {
        return Err(NoAperture::Option("there has to be at least one direction"));
    }
    if limits.iter().any(|limit| *limit <= 0.0) {
        return Err(NoAperture::Option("the limits in x and y have to be above 0"));
    }
    Ok(())
}

/// The closed orbit at a momentum deviation; with cavities the deviation is added to the synchronous orbit.
pub(crate) fn start_orbit(ring: &Ring, delta: f64) -> Result<Point<f64>, NoAperture> {
    if ring.effects().cavity {
        let mut orbit = ring.find_closed_orbit()?.start();
        orbit[4] += delta;
        return Ok(orbit);
    }
    let mut beside = ring.clone();
    beside.set_delta(delta);
    Ok(beside.find_closed_orbit()?.start())
}

fn ray(orbit: &Point<f64>, angle: f64, options: &DynamicApertureOptions) -> Ray {
    let mut start = *orbit;
    start[0] += options.shift;
    start[2] += options.shift;
    let [x, y] = options.limits;
    Ray { start, way: [x * angle.cos(), 0.0, y * angle.sin(), 0.0, 0.0, 0.0], element: 0 }
}

fn spread([first, last]: [f64; 2], count: usize) -> Vec<f64> {
    let step = if count > 1 { (last - first) / (count - 1) as f64 } else { 0.0 };
    (0..count).map(|index| first + step * index as f64).collect()
}
