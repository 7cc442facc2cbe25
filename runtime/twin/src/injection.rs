//! The beam of a line: what enters in each shot, how far its centre comes, how large it is, how much of it arrives.

use crate::beam::Found;
use crate::entering::{Entering, PARTICLES};
use crate::plant::Shot;
use fodo_devices::{Entrance, Facility, Quantities};
use fodo_optics::{Orbit, Point, Ring};
use nalgebra::{Matrix6, Vector6};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// How the beam really enters a line or a ring, against the design.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InjectionTruth {
    /// Where its centre enters beside the design: x [m], px [1], y [m], py [1], delta [1], ct [m].
    pub offset: Point<f64>,
    /// Standard deviation of the same from shot to shot.
    pub jitter: Point<f64>,
    /// Relative error of the charge [1].
    pub charge: f64,
    /// Standard deviation of the same from shot to shot [1].
    pub charge_jitter: f64,
    /// Standard deviation of each kick of a ring's kickers from shot to shot, relative [1].
    pub kick_jitter: f64,
    /// Standard deviation of the time at which each of them fires, from shot to shot [s].
    pub time_jitter: f64,
}

impl InjectionTruth {
    /// Whether one shot is unlike another.
    pub(crate) fn varies(&self) -> bool {
        self.jitter != [0.0; 6] || self.charge_jitter != 0.0
    }
}

/// The centre of the beam, as far as it comes.
#[derive(Clone)]
pub(crate) struct Track {
    orbit: Arc<Orbit>,
    lost: Option<Arc<str>>,
}

impl Track {
    /// One that comes round.
    pub fn closed(orbit: Arc<Orbit>) -> Track {
        Track { orbit, lost: None }
    }

    /// One that passes a line from its start on.
    fn passing(ring: &Ring, start: &Point<f64>) -> Track {
        match ring.trajectory(start) {
            Ok(points) => Track::closed(Arc::new(Orbit { points })),
            Err(element) => {
                let mut z = *start;
                let step = |index: usize| {
                    ring.pass_element(index, &mut z);
                    z
                };
                let points = std::iter::once(*start).chain((0..element).map(step)).collect();
                Track { orbit: Arc::new(Orbit { points }), lost: Some(lost_at(ring, element)) }
            }
        }
    }

    /// The same up to the first element whose chamber is closed where the beam is.
    fn stopped(self, ring: &Ring, obstacles: &BTreeMap<usize, f64>) -> Track {
        let hits = |(element, room): (&usize, &f64)| {
            let at = self.orbit.points.get(*element)?;
            (at[0].hypot(at[2]) > *room).then_some(*element)
        };
        let Some(element) = obstacles.iter().find_map(hits) else { return self };
        let points = self.orbit.points[..=element].to_vec();
        Track { orbit: Arc::new(Orbit { points }), lost: Some(lost_at(ring, element)) }
    }

    /// Coordinates at the entrance of an element, or why the beam does not come there.
    pub fn at(&self, element: usize) -> Found<Point<f64>> {
        let lost = || self.lost.as_deref().unwrap_or("the beam does not come there").to_string();
        self.orbit.points.get(element).copied().ok_or_else(lost)
    }

    /// Why it does not come to the end.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }
}

fn lost_at(ring: &Ring, element: usize) -> Arc<str> {
    format!("the beam is lost at {}, {:.1} m", ring.element(element).name, ring.positions()[element]).into()
}

/// What the beam of a line follows from.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    pub shot: Shot,
    /// Of the elements.
    pub revision: u64,
    pub truth: InjectionTruth,
}

/// The beam of a shot in a line as it stood.
pub(crate) struct Passed {
    pub of: Shown,
    track: Track,
    charge: f64,
    /// Elements in which particles about the centre are lost, of those that are.
    losses: OnceLock<Vec<usize>>,
    /// Beam matrices at the entrance of each element and at the end, as far as the centre comes.
    matrices: OnceLock<Vec<Matrix6<f64>>>,
}

impl Passed {
    /// The centre of the beam, with what stands in its way just now.
    pub fn track(&self, ring: &Ring, obstacles: &BTreeMap<usize, f64>) -> Track {
        match obstacles.is_empty() {
            true => self.track.clone(),
            false => self.track.clone().stopped(ring, obstacles),
        }
    }
}

/// What enters a line.
pub(crate) struct Injection {
    entering: Entering,
    /// The particles of a shot about its centre.
    particles: OnceLock<Vec<Point<f64>>>,
}

impl Injection {
    /// That of a facility; nothing for a ring.
    pub fn of(facility: &Facility, seed: u64) -> Option<Injection> {
        let design = facility.entrance.clone()?;
        Some(Injection { entering: Entering::new(design, seed), particles: OnceLock::new() })
    }

    /// The beam of a shot.
    pub fn pass(&self, ring: &Ring, of: Shown) -> Passed {
        let (start, charge) = self.entering.centre(&of.truth, of.shot);
        let track = Track::passing(ring, &start);
        Passed { of, track, charge, losses: OnceLock::new(), matrices: OnceLock::new() }
    }

    /// Charge that comes to the entrance of an element [C].
    pub fn charge(&self, ring: &Ring, passed: &Passed, element: usize) -> f64 {
        let losses = passed.losses.get_or_init(|| self.losses(ring, &passed.track.orbit.start()));
        let gone = losses.iter().filter(|&&lost| lost < element).count();
        passed.charge * (1.0 - gone as f64 / PARTICLES as f64)
    }

    /// The elements in which particles about this centre are lost.
    fn losses(&self, ring: &Ring, start: &Point<f64>) -> Vec<usize> {
        let particles = self.particles.get_or_init(|| self.entering.particles((0, 0)));
        let lost = |particle: &Point<f64>| {
            let mut z = std::array::from_fn(|row| start[row] + particle[row]);
            ring.pass(&mut z, 0.0).err()
        };
        particles.iter().filter_map(lost).collect()
    }

    /// Rms size, or tilt, of the beam at the entrance of an element; of all that enters, what the wall takes included.
    pub fn size(&self, ring: &Ring, passed: &Passed, quantity: Quantities, element: usize) -> Found<f64> {
        let [xx, yy, xy] = self.squares(ring, passed, element)?;
        Ok(match quantity {
            Quantities::BeamSizeX => xx.sqrt(),
            Quantities::BeamSizeY => yy.sqrt(),
            _ => 0.5 * (2.0 * xy).atan2(xx - yy),
        })
    }

    /// `<x x>`, `<y y>` and `<x y>` of the same [m^2].
    pub fn squares(&self, ring: &Ring, passed: &Passed, element: usize) -> Found<[f64; 3]> {
        let matrices = passed.matrices.get_or_init(|| {
            let passage = ring.passage_so_far(&passed.track.orbit.start());
            let start = self.matrix();
            passage.matrices.iter().map(|matrix| matrix * start * matrix.transpose()).collect()
        });
        let sigma = matrices.get(element).ok_or("the beam does not come there")?;
        Ok([sigma[(0, 0)], sigma[(2, 2)], sigma[(0, 2)]])
    }

    /// The beam matrix at the entrance.
    fn matrix(&self) -> Matrix6<f64> {
        let Entrance { beta, alpha, dispersion: [x, px, y, py], emittance, energy_spread, bunch_length, .. } =
            self.entering.design;
        let along = Vector6::new(x, px, y, py, 1.0, 0.0);
        let mut sigma = along * along.transpose() * energy_spread.powi(2);
        for plane in [0, 1] {
            let (q, p) = (2 * plane, 2 * plane + 1);
            sigma[(q, q)] += emittance[plane] * beta[plane];
            sigma[(q, p)] -= emittance[plane] * alpha[plane];
            sigma[(p, q)] -= emittance[plane] * alpha[plane];
            sigma[(p, p)] += emittance[plane] * (1.0 + alpha[plane].powi(2)) / beta[plane];
        }
        sigma[(5, 5)] += bunch_length.powi(2);
        sigma
    }
}
