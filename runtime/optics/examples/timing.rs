//! Times of the calculations a twin waits for, on a lattice given on the command line.

use std::time::Instant;

use fodo_lattice::{Class, Lattice};
use fodo_optics::{Effects, Ring, Strength};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: timing LATTICE")?;
    let lattice = Lattice::load(&path)?;
    for effects in [Effects::NONE, Effects::CAVITY, Effects::ALL] {
        time(&lattice, effects)?;
    }
    Ok(())
}

struct Show([f64; 6]);

impl std::fmt::LowerExp for Show {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|value| write!(out, "{value:.0e} "))
    }
}

fn time(lattice: &Lattice, effects: Effects) -> Result<(), Box<dyn std::error::Error>> {
    println!("{effects:?}");
    let mut ring = Ring::new(lattice, effects);
    let mut seed = 12345_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    for (index, element) in lattice.elements.iter().enumerate() {
        if matches!(element.class(), Class::Quadrupole | Class::Bend | Class::Sextupole) {
            ring.set_misalignment(index, 2e-5 * random(), 2e-5 * random(), 2e-5 * random());
        }
    }
    let clock = Instant::now();
    let orbit = ring.closed_orbit()?;
    println!("  cold closed orbit {:9.3} ms, start {:?}", 1e3 * clock.elapsed().as_secs_f64(), orbit.start());
    let kicks: Vec<usize> = lattice.indices_of(Class::Sextupole);
    let mut times = vec![];
    for round in 0..60 {
        let index = kicks[(round * 37) % kicks.len()];
        ring.set_kick(index, 5e-6 * random().signum(), 0.0);
        let clock = Instant::now();
        ring.closed_orbit()?;
        times.push(1e3 * clock.elapsed().as_secs_f64());
    }
    let warm = ring.closed_orbit()?;
    let exact = ring.find_closed_orbit()?;
    let apart = |k: usize| warm.points.iter().zip(&exact.points).map(|(a, b)| (a[k] - b[k]).abs()).fold(0.0, f64::max);
    println!("  warm and cold orbit differ by {:.0e} (x, px, y, py, delta, ct)", Show([0, 1, 2, 3, 4, 5].map(apart)));
    times.sort_by(f64::total_cmp);
    println!("  warm closed orbit after a kick: median {:.3} ms, worst {:.3} ms", times[30], times[59]);
    let start = warm.start();
    let clock = Instant::now();
    let turns = 100;
    let mut z = start;
    for turn in 0..turns {
        ring.pass(&mut z, f64::from(turn)).map_err(|index| format!("lost at {index}"))?;
    }
    println!("  one turn          {:9.3} ms", 1e3 * clock.elapsed().as_secs_f64() / f64::from(turns));
    let clock = Instant::now();
    ring.one_turn_matrix(&start).map_err(|index| format!("lost at {index}"))?;
    println!("  one-turn matrix   {:9.3} ms", 1e3 * clock.elapsed().as_secs_f64());
    let clock = Instant::now();
    let mut particles = vec![start; 4];
    ring.track(&mut particles, 20, 0);
    println!("  one turn of four  {:9.3} ms", 1e3 * clock.elapsed().as_secs_f64() / 20.0);
    let clock = Instant::now();
    ring.optics()?;
    println!("  optics            {:9.3} ms", 1e3 * clock.elapsed().as_secs_f64());
    let clock = Instant::now();
    let monitors = lattice.indices_of(Class::Monitor);
    ring.orbit_response(&monitors, &kicks)?;
    println!(
        "  orbit response    {:9.3} ms, {} x {}",
        1e3 * clock.elapsed().as_secs_f64(),
        monitors.len(),
        kicks.len()
    );
    let quadrupoles = lattice.indices_of(Class::Quadrupole);
    let model = ring.response_model(&monitors, &kicks)?;
    let mut table = vec![0.0; model.table_length()];
    let clock = Instant::now();
    model.derivative(Strength::SkewGradient(quadrupoles[0]), &mut table)?;
    println!("  first derivative  {:9.3} ms", 1e3 * clock.elapsed().as_secs_f64());
    let clock = Instant::now();
    for &quadrupole in &quadrupoles {
        model.derivative(Strength::Gradient(quadrupole), &mut table)?;
    }
    println!("  all derivatives   {:9.3} ms, {}", 1e3 * clock.elapsed().as_secs_f64(), quadrupoles.len());
    Ok(())
}
