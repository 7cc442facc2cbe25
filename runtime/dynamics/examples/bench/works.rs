//! The pieces of work; each has its counterpart of the same name in `benches/peers`.

use std::f64::consts::TAU;
use std::time::Instant;

use fodo_dynamics::{
    Analyser, FrequencyOptions, MomentumApertureOptions, Search, momentum_aperture as find_momentum_aperture, survive,
};
use fodo_lattice::{Class, Lattice};
use fodo_optics::{Effects, Equilibrium, Plane, Point, Ring, Strength};
use serde_json::{Value, json};

use crate::clock::{Check, Result, time};

/// Particles of a block.
const PARTICLES: usize = 1000;

/// Times a work; `None` if there is none of this name. To add one, add its arm here and its peer.
pub fn measure(lattice: &Lattice, work: &str) -> Result<Option<Value>> {
    let line = match work {
        "track" => track(lattice, Effects::NONE),
        "track_radiation" => track(lattice, Effects::ALL),
        "closed_orbit" => closed_orbit(lattice),
        "optics" => optics(lattice),
        "orbit_response" => orbit_response(lattice),
        "equilibrium" => equilibrium(lattice),
        "equilibrium_changed" => equilibrium_changed(lattice),
        "loco_jacobian" => loco_jacobian(lattice),
        "dynamic_aperture" => dynamic_aperture(lattice),
        "momentum_aperture" => momentum_aperture(lattice),
        "naff" => naff(),
        _ => return Ok(None),
    };
    line.map(Some)
}

/// A line of particles, up to 1 mm and 0.5 mm.
fn block() -> Vec<Point<f64>> {
    let at = |particle: usize| particle as f64 / PARTICLES as f64;
    let point = |part: f64| [1e-3 * part, 2e-5 * part, 5e-4 * part, -1e-5 * part, 1e-4 * part, 0.0];
    (1..=PARTICLES).map(at).map(point).collect()
}

/// One turn of the block. Check: coordinates of the last particle.
fn track(lattice: &Lattice, effects: Effects) -> Result<Value> {
    let ring = Ring::new(lattice, effects);
    let start = block();
    time(PARTICLES * ring.len(), || {
        let mut particles = start.clone();
        ring.track(&mut particles, 1, 0);
        Ok(particles[PARTICLES - 1].to_vec())
    })
}

/// The 6D orbit at all elements, from nothing. Check: x, delta and ct at the start.
fn closed_orbit(lattice: &Lattice) -> Result<Value> {
    let ring = Ring::new(lattice, Effects::ALL);
    time(1, || {
        let start = ring.find_closed_orbit()?.start();
        Ok(vec![start[0], start[4], start[5]])
    })
}

/// Optical functions at all elements. Check: fractional tunes and largest betas.
fn optics(lattice: &Lattice) -> Result<Value> {
    let ring = Ring::new(lattice, Effects::NONE);
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    time(1, || {
        let optics = ring.optics()?;
        let tunes = [optics.tune_x().fract(), optics.tune_y().fract()];
        Ok([tunes, [largest(&optics.beta_x), largest(&optics.beta_y)]].concat())
    })
}

/// Response of all monitors to both kicks of all sextupoles. Check: rms of x to horizontal, y to vertical kicks.
fn orbit_response(lattice: &Lattice) -> Result<Value> {
    let ring = Ring::new(lattice, Effects::NONE);
    let (monitors, sextupoles) = (lattice.indices_of(Class::Monitor), lattice.indices_of(Class::Sextupole));
    let (rows, columns) = (monitors.len(), sextupoles.len());
    time(1, || {
        let response = ring.orbit_response(&monitors, &sextupoles)?;
        let rms = |plane: Plane| {
            let entries = (0..rows * columns).map(|entry| response.get(plane, entry / columns, plane, entry % columns));
            (entries.map(|value| value * value).sum::<f64>() / (rows * columns) as f64).sqrt()
        };
        Ok(vec![rms(Plane::X), rms(Plane::Y)])
    })
}

fn shown(equilibrium: &Equilibrium) -> Check {
    let [x, _, longitudinal] = equilibrium.emittances;
    [[x, longitudinal].as_slice(), &equilibrium.tunes].concat()
}

/// 6D orbit, tunes, damping and emittances from nothing. Check: emittances 1 and 3, three tunes.
fn equilibrium(lattice: &Lattice) -> Result<Value> {
    time(1, || Ok(shown(&Ring::new(lattice, Effects::ALL).find_equilibrium()?)))
}

/// The same again after the first quadrupole has changed by 1e-4, to and fro. Check: with the change.
fn equilibrium_changed(lattice: &Lattice) -> Result<Value> {
    let mut ring = Ring::new(lattice, Effects::ALL);
    let index = *lattice.indices_of(Class::Quadrupole).first().ok_or("no quadrupole")?;
    let design = lattice.elements[index].field().map_or(0.0, |field| field.upright(1));
    ring.equilibrium()?;
    let mut changed = false;
    time(1, || {
        changed = !changed;
        ring.set_upright(index, 1, if changed { design * (1.0 + 1e-4) } else { design });
        Ok(shown(&ring.equilibrium()?))
    })
}

/// Derivatives of that response in all four blocks (both planes by both kicks) with respect to all quadrupole gradients,
/// one after the other into the same table. Check: rms of those of the first, x to horizontal, y to vertical kicks.
fn loco_jacobian(lattice: &Lattice) -> Result<Value> {
    let ring = Ring::new(lattice, Effects::NONE);
    let (monitors, sextupoles) = (lattice.indices_of(Class::Monitor), lattice.indices_of(Class::Sextupole));
    let quadrupoles = lattice.indices_of(Class::Quadrupole);
    let (rows, columns) = (monitors.len(), sextupoles.len());
    time(1, || {
        let model = ring.response_model(&monitors, &sextupoles)?;
        let mut table = vec![0.0; model.table_length()];
        let mut check = vec![];
        for &quadrupole in &quadrupoles {
            model.derivative(Strength::Gradient(quadrupole), &mut table)?;
            let rms = |plane: usize| {
                let lines = table.chunks(columns).skip(2 * plane * rows + plane).step_by(2).take(rows);
                (lines.flatten().map(|value| value * value).sum::<f64>() / (rows * columns) as f64).sqrt()
            };
            if check.is_empty() {
                check = vec![rms(0), rms(1)];
            }
        }
        Ok(check)
    })
}

/// 9 x 9 points to 12 mm and 4 mm over 512 turns. Check: how many are left.
fn dynamic_aperture(lattice: &Lattice) -> Result<Value> {
    let ring = Ring::new(lattice, Effects::NONE);
    let point = |entry: usize| [3e-3 * (entry % 9) as f64 - 12e-3, 0.0, 5e-4 * (entry / 9) as f64, 0.0, 0.0, 0.0];
    let start: Vec<Point<f64>> = (0..81).map(point).collect();
    let one = || -> Result<Check> {
        let lost = survive(&ring, &mut start.clone(), 512, 0);
        Ok(vec![lost.iter().filter(|lost| lost.is_none()).count() as f64])
    };
    time(1, one)
}

/// At 20 monitors, 6D with radiation, 512 turns, to 0.2 % of momentum. Check: both sides of the first two.
fn momentum_aperture(lattice: &Lattice) -> Result<Value> {
    let ring = Ring::new(lattice, Effects::ALL);
    let places: Vec<usize> = lattice.indices_of(Class::Monitor).into_iter().step_by(16).collect();
    let search = Search::Bisection { steps: 1, tolerance: 0.02 };
    let options = MomentumApertureOptions { limits: [-0.1, 0.1], turns: 512, search };
    time(1, || {
        let found = find_momentum_aperture(&ring, &places, &options)?;
        let sides = found.negative.iter().zip(&found.positive);
        Ok(sides.take(2).flat_map(|(negative, positive)| [*negative, *positive]).collect())
    })
}

/// Signals of 1024 turns whose frequencies are known (`benches/peers/naff.py`). Check: all frequencies found.
fn naff() -> Result<Value> {
    let value = |k: f64, turn: f64| (TAU * (0.21 + 1e-5 * k) * turn + 0.1 * k).cos() + 0.2 * (TAU * 0.34 * turn).cos();
    let signal = |k: i32| (0..1024).map(|turn| value(f64::from(k), f64::from(turn))).collect();
    let signals: Vec<Vec<f64>> = (0..320).map(signal).collect();
    time(signals.len(), || {
        let mut analyser = Analyser::new(1024, &FrequencyOptions::default())?;
        let strongest = |signal: &Vec<f64>| Ok(analyser.real_lines(signal)?[0].frequency);
        signals.iter().map(strongest).collect()
    })
}

/// The block over four turns on one thread and on two. Check: 1 where both give the same bits.
pub fn threads(lattice: &Lattice) -> Value {
    let ring = Ring::new(lattice, Effects::NONE);
    let on = |threads: usize| {
        let clock = Instant::now();
        let mut particles = block();
        std::thread::scope(|scope| {
            for part in particles.chunks_mut(PARTICLES / threads) {
                scope.spawn(|| ring.track(part, 4, 0));
            }
        });
        (clock.elapsed().as_secs_f64(), particles)
    };
    let ((one, first), (two, second)) = (on(1), on(2));
    json!({ "wall_seconds": [one, two], "check": [f64::from(u8::from(first == second))] })
}
