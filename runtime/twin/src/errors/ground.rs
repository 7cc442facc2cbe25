//! `[ground.NAME]`: ground that wanders by the ATL law.
//!
//! Two points a distance L apart have moved against each other by an rms of sqrt(A T L) after a time T (B. Baklakov et al.,
//! Phys. Rev. ST Accel. Beams 1, 031001 (1998)). Around a ring of circumference C the law is taken as A T L (1 - L/C), which
//! closes: a sum over waves around the ring, of which the amplitude of wave number m walks at random with a variance of
//! A T C / (2 pi² m²).

use super::{Errors, Motion, elements, exactly};
use crate::channels::Channels;
use crate::draw::Source;
use crate::present::Present;
use crate::truth::Truth;
use crate::wander::Wander;
use fodo_devices::{Facility, Table};
use fodo_report::Result;
use std::f64::consts::{PI, TAU};

/// Waves around the machine, in each plane.
const WAVES: usize = 64;
/// Walks count in root hours [s].
const HOUR: f64 = 3600.0;

struct Ground {
    elements: Vec<usize>,
    /// A of the law, horizontal and vertical [m²/(s m)].
    constant: [f64; 2],
}

pub(super) fn read(_: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    let constant = |key: &str| match exactly(table, key, "m/s")?.unwrap_or(0.0) {
        value if value < 0.0 => Err(table.mistake(key, "must not be negative")),
        value => Ok(value),
    };
    let constant = [constant("diffusion_x")?, constant("diffusion_y")?];
    if constant == [0.0; 2] {
        return Err(table.mistake("diffusion_y", "is missing: A of the ATL law, such as \"1e-18 m/s\""));
    }
    Ok(Box::new(Ground { elements: elements(table, "elements", facility)?, constant }))
}

/// The waves, and how each moves each element.
struct Moving {
    elements: Vec<usize>,
    /// Of each plane: its walks, two for each wave.
    walks: [Vec<Wander>; 2],
    /// Rms of the walks of wave number 1 after an hour, by plane [m].
    rms: [f64; 2],
    /// cos and sin of each wave at each element.
    waves: Vec<[f64; 2 * WAVES]>,
}

impl Errors for Ground {
    fn draw(&self, _: &Source, _: &Facility, _: &mut Truth) {}

    fn motions(&self, from: &Source, facility: &Facility, _: &Channels) -> Vec<Box<dyn Motion>> {
        let length = facility.positions.last().copied().unwrap_or(1.0);
        let waves = |element: &usize| {
            let angle = TAU * facility.positions[*element] / length;
            std::array::from_fn(|wave| {
                let angle = angle * (wave / 2 + 1) as f64;
                if wave % 2 == 0 { angle.cos() } else { angle.sin() }
            })
        };
        let walks = |plane: &str| {
            let walk = |number: usize| Wander::new(from.seed, &format!("{}.{plane} {number}", from.name));
            (0..2 * WAVES).map(walk).collect()
        };
        vec![Box::new(Moving {
            elements: self.elements.clone(),
            walks: ["x", "y"].map(walks),
            rms: self.constant.map(|constant| (constant * HOUR * length / (2.0 * PI * PI)).sqrt()),
            waves: self.elements.iter().map(waves).collect(),
        })]
    }
}

impl Motion for Moving {
    fn go_to(&self, seconds: f64, present: &mut Present) {
        let [x, y] = [0, 1].map(|plane| {
            let rms = self.rms[plane];
            let amplitude = |(wave, walk): (usize, &Wander)| rms / (wave / 2 + 1) as f64 * walk.at(seconds);
            if rms == 0.0 {
                vec![0.0; 2 * WAVES]
            } else {
                self.walks[plane].iter().enumerate().map(amplitude).collect()
            }
        });
        for (element, waves) in self.elements.iter().zip(&self.waves) {
            let moved = |amplitudes: &[f64]| waves.iter().zip(amplitudes).map(|(wave, a)| wave * a).sum::<f64>();
            let placement = &mut present.element(*element).placement;
            placement.dx += moved(&x);
            placement.dy += moved(&y);
        }
    }
}
