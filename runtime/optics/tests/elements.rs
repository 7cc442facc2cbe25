//! Elements and passes that stand in none of the reference lattices: against other codes, and against theory.

use std::path::PathBuf;
use std::thread;

use fodo_lattice::{
    Bend, Body, Cavity, Diffusion, Edge, Element, Field, Lattice, Magnet, Problem, Reference, Solenoid,
};
use fodo_optics::constants::{ELECTRON_RADIUS, ELECTRON_REST_ENERGY, HBAR_C};
use fodo_optics::{Effects, Excitation, Point, Quantum, Ring, Twiss};

const START: Point<f64> = [1e-3, 2e-4, -8e-4, 3e-4, 2e-3, 1e-2];

fn line(elements: Vec<Element>) -> Lattice {
    Lattice {
        name: "test".into(),
        energy: 3e9,
        periodicity: 1,
        harmonic_number: None,
        rest_energy: 0.0,
        reference: Reference::default(),
        elements,
    }
}

fn demo_ring() -> Lattice {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../facilities/demo_ring/lattice.toml");
    Lattice::load(path).expect("the demo ring")
}

fn magnet(b: Vec<f64>, a: Vec<f64>, slices: u32, exact: bool) -> Magnet {
    Magnet { field: Field::new(b, a), slices, fringe: [false; 2], exact }
}

fn exact_bend(b: Vec<f64>, a: Vec<f64>, angles: [f64; 2], method: u8) -> Element {
    let edge = |angle| Edge { angle, fringe_integral: 0.5, method, curvature: 0.0 };
    let [entrance, exit] = angles.map(edge);
    let bend = Bend { magnet: magnet(b, a, 10, true), angle: 0.1, entrance, exit, full_gap: 0.02, second_order: false };
    Element::new("B", 0.8, Body::Bend(Box::new(bend)))
}

fn cavity(voltage: f64, frequency: f64, phase_lag: f64) -> Body {
    Body::Cavity(Cavity { voltage, frequency, harmonic: 0.0, time_lag: 0.0, phase_lag, on: true, counts_turns: true })
}

fn passed(element: Element, effects: Effects) -> Point<f64> {
    let mut z = START;
    Ring::new(&line(vec![element]), effects).pass(&mut z, 0.0).expect("not lost");
    z
}

fn apart(ours: &Point<f64>, theirs: &Point<f64>) -> f64 {
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// From `START` at 3 GeV with pyAT 0.9.0: SolenoidLinearPass, ExactSectorBendPass (with gK = FullGap FringeInt),
/// whose closed forms lose a few digits to the bending radius of 8 m.
#[test]
fn solenoids_and_exact_bends_do_what_pyat_does() {
    let solenoid = Element::new("S", 0.7, Body::Solenoid(Solenoid { strength: 0.9, exact: false }));
    let bare = exact_bend(vec![0.0; 3], vec![0.0; 3], [0.0; 2], 0);
    let mut full = exact_bend(vec![1e-4, -0.7, 3.0], vec![0.0, 0.01, 0.0], [0.03, 0.05], 1);
    full.kick = [1e-4, -2e-4];
    let cases: [(&str, Element, Effects, f64, Point<f64>); 5] = [
        (
            "solenoid",
            solenoid,
            Effects::NONE,
            2e-16,
            [
                0.000863571825455326,
                0.00017118896745815194,
                -0.0008640245167596623,
                0.0003613926785451031,
                0.002,
                0.010000016767861483,
            ],
        ),
        (
            "body",
            bare,
            Effects::NONE,
            5e-15,
            [0.0012342327199341696, 0.0003861820130485607, -0.0005604459449811407, 0.0003, 0.002, 0.010110543762991697],
        ),
        (
            "edges, fringes, field, kick",
            full,
            Effects::NONE,
            5e-15,
            [
                0.0014895462019121578,
                0.001075755017515119,
                -0.00047839039878482426,
                0.00047594125108497986,
                0.002,
                0.010119019887725634,
            ],
        ),
        (
            "radiating bend",
            exact_bend(vec![0.0, -0.7, 3.0], vec![0.0, 0.01, 0.0], [0.0; 2], 0),
            Effects::ALL,
            1e-9,
            [
                0.0014779788701133612,
                0.0010402380611618143,
                -0.0004035887930010026,
                0.0006563698261117723,
                0.001995290783382657,
                0.010118615830409072,
            ],
        ),
        (
            "radiating quadrupole",
            Element::new("M", 0.2, Body::Quadrupole(magnet(vec![0.0, 1.0, 5.0], vec![0.0; 3], 5, true))),
            Effects::ALL,
            1e-15,
            [
                0.0010197208040148144,
                -3.0734086887542484e-06,
                -0.0007559001084008192,
                0.00014335970098673485,
                0.0019999998744653037,
                0.010000006380398024,
            ],
        ),
    ];
    let mut failures = vec![];
    for (what, element, effects, limit, theirs) in cases {
        let apart = apart(&passed(element, effects), &theirs);
        eprintln!("{what:30} {apart:9.1e}  limit {limit:.0e}");
        if apart.is_nan() || apart > limit {
            failures.push(format!("{what}: {apart:.1e}"));
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

/// From `START` with Xtrack 0.118 for a proton with beta0 = 0.52: `Solenoid(length=0.7, ks=0.9)`, and a `Bend` with model
/// bend-kick-bend and `full` edges (whose last digits suffer from the radius of 8 m).
#[test]
fn exact_elements_do_what_xtrack_does_for_slow_protons() {
    let solenoid = Element::new("S", 0.7, Body::Solenoid(Solenoid { strength: 0.9, exact: true }));
    let mut bend = exact_bend(vec![0.0; 2], vec![], [0.03, 0.05], 1);
    if let Body::Bend(bend) = &mut bend.body {
        bend.full_gap = 0.0;
    }
    let cases: [(&str, Element, f64, Point<f64>); 2] = [
        (
            "solenoid",
            solenoid,
            1e-15,
            [
                0.000863571821813553,
                0.00017118896725321276,
                -0.000864024517215083,
                0.0003613926801839011,
                0.002,
                0.008980891042885788,
            ],
        ),
        (
            "bend",
            bend,
            1e-14,
            [
                0.0012372436646315439,
                0.0003976530717034188,
                -0.0005580335908358656,
                0.0003064838293932168,
                0.002,
                0.008945822748945615,
            ],
        ),
    ];
    for (what, element, limit, theirs) in cases {
        let mut lattice = line(vec![element]);
        (lattice.energy, lattice.rest_energy) = (1_098_465_406.467_230_3, 938_272_088.16);
        lattice.reference.exact_velocity = true;
        let mut ours = START;
        Ring::new(&lattice, Effects::NONE).pass(&mut ours, 0.0).expect("not lost");
        let apart = apart(&ours, &theirs);
        eprintln!("{what:24} {apart:9.1e}  limit {limit:.0e}");
        assert!(apart < limit, "{what}: {ours:?} and {theirs:?}");
    }
}

#[test]
fn a_whole_ring_can_be_made_exact() {
    let mut lattice = demo_ring();
    let paraxial = Ring::new(&lattice, Effects::NONE).optics().expect("stable");
    lattice.make_exact(true);
    let exact = Ring::new(&lattice, Effects::NONE).optics().expect("stable");
    // the linear motion about the design orbit is the same
    assert!((paraxial.tune_x() - exact.tune_x()).abs() < 1e-6, "{} {}", paraxial.tune_x(), exact.tune_x());
    assert!((paraxial.tune_y() - exact.tune_y()).abs() < 1e-6, "{} {}", paraxial.tune_y(), exact.tune_y());
    let ring = Ring::new(&lattice, Effects::CAVITY);
    let matrix = ring.one_turn_matrix(&[1e-3, 1e-4, 5e-4, 1e-4, 1e-3, 0.0]).expect("not lost");
    assert!((matrix.determinant() - 1.0).abs() < 1e-11, "{}", matrix.determinant());
}

/// The demo ring at an energy where few hundred turns are a damping time. A low frequency keeps the synchrotron tune
/// small in spite of the high voltage, as the theory of the energy spread takes it to be.
fn radiating_ring(energy: f64, cavity: bool) -> (Ring, f64) {
    let mut lattice = demo_ring();
    lattice.energy = energy;
    let mut ring = Ring::new(&lattice, Effects { cavity, radiation: true });
    let loss = ring.energy_loss();
    let frequency = ring.rf_frequency().expect("a cavity");
    ring.set_rf(frequency / 30.0, 4.0 * loss);
    let third: f64 = lattice
        .elements
        .iter()
        .map(|element| match &element.body {
            Body::Bend(bend) => (bend.angle / element.length).abs().powi(3) * element.length,
            _ => 0.0,
        })
        .sum();
    let gamma = lattice.energy / ELECTRON_REST_ENERGY;
    let constant = 55.0 / (24.0 * 3f64.sqrt()) * ELECTRON_RADIUS * HBAR_C / ELECTRON_REST_ENERGY;
    // mean square of the relative energy loss of one turn
    (ring, constant * gamma.powi(5) * third)
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    [mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / count]
}

#[test]
fn photons_take_what_classical_radiation_takes_and_scatter_as_theory_says() {
    let (ring, diffusion) = radiating_ring(4e9, false);
    let count = 4000;
    let mut classical = [[0.0; 6]];
    ring.track(&mut classical, 1, 0);
    let mut particles = vec![[0.0; 6]; count];
    let losses = ring.track_quantum(&mut particles, 1, 0, Quantum { seed: 11, ..Quantum::default() });
    assert!(losses.iter().all(Option::is_none));
    let [mean, variance] = variance(particles.iter().map(|z| z[4]));
    let error = (diffusion / count as f64).sqrt();
    eprintln!(
        "mean {mean:.6e} classical {:.6e} +- {error:.1e}; variance over theory {:.4}",
        classical[0][4],
        variance / diffusion
    );
    assert!((mean - classical[0][4]).abs() < 4.0 * error, "{mean} and {}", classical[0][4]);
    assert!((variance / diffusion - 1.0).abs() < 0.06, "{variance} and {diffusion}");
}

#[test]
fn the_energy_spread_comes_to_rest_where_theory_says() {
    let (ring, diffusion) = radiating_ring(8e9, true);
    let start = ring.find_closed_orbit().expect("a closed orbit").start();
    let mode = ring.modes().expect("stable")[2];
    assert!(mode.tune < 0.06, "{mode:?}");
    let damping = mode.damping;
    let theory = (diffusion / (4.0 * damping)).sqrt();
    let mut particles = vec![start; 200];
    let time = (1.0 / damping) as u64;
    let quantum = Quantum { seed: 5, ..Quantum::default() };
    ring.track_quantum(&mut particles, 3 * time, 0, quantum);
    let (mut sum, samples) = (0.0, 8);
    for sample in 0..samples {
        ring.track_quantum(&mut particles, time / 4, (12 + sample) * (time / 4), quantum);
        sum += variance(particles.iter().map(|z| z[4]))[1];
    }
    let found = (sum / samples as f64).sqrt();
    eprintln!("energy spread {found:.4e}, theory {theory:.4e}, damping time {time} turns");
    assert!((found / theory - 1.0).abs() < 0.04, "{found} and {theory}");
}

#[test]
fn random_tracking_does_not_depend_on_how_the_work_is_shared_out() {
    let (ring, _) = radiating_ring(8e9, true);
    let begin = |number: usize| [1e-5 * number as f64, 0.0, 0.0, 0.0, 0.0, 0.0];
    let quantum = Quantum { seed: 3, ..Quantum::default() };
    let mut together: Vec<Point<f64>> = (0..10).map(begin).collect();
    ring.track_quantum(&mut together, 6, 0, quantum);
    let mut shared: Vec<Point<f64>> = (0..10).map(begin).collect();
    thread::scope(|scope| {
        for (part, particles) in shared.chunks_mut(3).enumerate() {
            let (ring, first_particle) = (&ring, 3 * part as u64);
            scope.spawn(move || {
                let quantum = Quantum { first_particle, ..quantum };
                ring.track_quantum(particles, 2, 0, quantum);
                ring.track_quantum(particles, 4, 2, quantum);
            });
        }
    });
    assert_eq!(together, shared);
    let mut other: Vec<Point<f64>> = (0..10).map(begin).collect();
    ring.track_quantum(&mut other, 6, 0, Quantum { seed: 4, ..quantum });
    assert_ne!(together, other);
}

#[test]
fn a_diffusion_element_gives_kicks_with_its_matrix() {
    let mut factor = [[0.0; 6]; 6];
    for (row, entries) in factor.iter_mut().enumerate() {
        for (column, entry) in entries.iter_mut().enumerate().take(row + 1) {
            *entry = 1e-5 * (1.0 + row as f64) / (1.0 + column as f64) * if column % 2 == 0 { 1.0 } else { -1.0 };
        }
    }
    let ring =
        Ring::new(&line(vec![Element::new("D", 0.0, Body::Diffusion(Box::new(Diffusion { factor })))]), Effects::ALL);
    let mut particles = vec![[0.0; 6]; 40_000];
    let quantum = Quantum { seed: 1, excitation: Excitation::Diffusion, ..Quantum::default() };
    ring.track_quantum(&mut particles, 1, 0, quantum);
    for row in 0..6 {
        for column in 0..6 {
            let wanted: f64 = (0..6).map(|k| factor[row][k] * factor[column][k]).sum();
            let size = |k: usize| (0..6).map(|j| factor[k][j] * factor[k][j]).sum::<f64>().sqrt();
            let found = particles.iter().map(|z| z[row] * z[column]).sum::<f64>() / particles.len() as f64;
            assert!((found - wanted).abs() < 0.03 * size(row) * size(column), "{row} {column}: {found} {wanted}");
        }
    }
    let mut quiet = [START];
    ring.track_quantum(&mut quiet, 1, 0, Quantum::default());
    assert_eq!(quiet, [START]);
}

/// A ring of protons with beta0 = 0.52 against Xtrack 0.118: bends `expanded` with linear edges, quadrupoles with their
/// matrices, tunes and dispersion of `twiss(method="4d")`, synchrotron tune of `method="6d"`.
fn proton_ring() -> Ring {
    let quadrupole = |k1| Element::new("Q", 0.4, Body::Quadrupole(magnet(vec![0.0, k1], vec![], 40, false)));
    let drift = || Element::new("D", 0.6, Body::Drift { exact: false });
    let bend = || {
        let edge = Edge { method: 0, ..Edge::default() };
        let angle = std::f64::consts::TAU / 16.0;
        let magnet = magnet(vec![0.0; 2], vec![], 80, false);
        let bend = Bend { magnet, angle, entrance: edge, exit: edge, full_gap: 0.0, second_order: false };
        Element::new("B", 1.2, Body::Bend(Box::new(bend)))
    };
    let mut elements = vec![];
    for _ in 0..8 {
        elements.extend([quadrupole(0.9), drift(), bend(), drift(), quadrupole(-0.85), drift(), bend(), drift()]);
    }
    elements.push(Element::new("C", 0.0, cavity(8e3, 6_959_467.774_999_996, 0.0)));
    let mut lattice = line(elements);
    lattice.rest_energy = 938_272_088.16;
    lattice.energy = 1_098_465_406.467_230_3;
    lattice.reference.exact_velocity = true;
    // below transition the other zero crossing is the stable one
    if let Some(Body::Cavity(cavity)) = lattice.elements.last_mut().map(|element| &mut element.body) {
        cavity.phase_lag = std::f64::consts::PI;
    }
    Ring::new(&lattice, Effects::CAVITY)
}

#[test]
fn slow_protons_move_as_in_xtrack() {
    let ring = proton_ring();
    let optics = ring.optics().expect("stable");
    let modes = ring.modes().expect("stable");
    let synchrotron = modes[2].tune.min(1.0 - modes[2].tune);
    let figures = [
        ("tune x", optics.tune_x(), 2.067725565177427, 1e-8),
        ("tune y", optics.tune_y(), 1.1461324964525659, 1e-8),
        ("beta x", optics.beta_x[0], 6.080164563456617, 1e-7),
        ("beta y", optics.beta_y[0], 4.115960861170306, 1e-7),
        ("dispersion x", optics.dispersion[0][0], 2.239417662525515, 1e-7),
        ("momentum compaction", optics.momentum_compaction, 0.24964558995687397, 1e-7),
        // with the opposite sign: Xtrack counts (df/f)/delta
        ("slip factor", ring.slip_factor().expect("stable"), -0.47995441004312606, 1e-7),
        ("synchrotron tune", synchrotron, 0.0020284920780325733, 1e-8),
    ];
    let mut failures = vec![];
    for (what, ours, theirs, limit) in figures {
        let apart = (ours - theirs).abs();
        eprintln!("{what:24} {ours:.12} {apart:9.1e}  limit {limit:.0e}");
        if apart.is_nan() || apart > limit {
            failures.push(what);
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

/// A linac without magnets, with cavities `phase` after the zero crossing.
fn linac(cavities: usize, accelerates: bool, phase: f64) -> Lattice {
    let elements = (0..cavities).flat_map(|_| {
        [Element::new("D", 0.7, Body::Drift { exact: false }), Element::new("C", 0.5, cavity(2e7, 2e8, phase))]
    });
    let mut lattice = line(elements.collect());
    (lattice.energy, lattice.rest_energy) = (1.1e9, 938.272e6);
    lattice.reference = Reference { exact_velocity: true, accelerates };
    lattice
}

#[test]
fn acceleration_damps_and_keeps_the_reference_on_the_axis() {
    let lattice = linac(4, true, 1.1);
    let ring = Ring::new(&lattice, Effects::CAVITY);
    let energies = ring.energies();
    let gain = 2e7 * 1.1f64.sin();
    assert!((energies[8] - 1.1e9 - 4.0 * gain).abs() < 1e-6, "{energies:?}");
    let mut reference = [0.0; 6];
    ring.pass(&mut reference, 0.0).expect("not lost");
    assert!(reference.iter().all(|coordinate| coordinate.abs() < 5e-15), "{reference:?}");
    let matrix = ring.one_turn_matrix(&[0.0; 6]).expect("not lost");
    let momentum = |energy: f64| (energy * energy - 938.272e6f64.powi(2)).sqrt();
    let ratio = momentum(energies[0]) / momentum(energies[8]);
    assert!((ring.momentum_ratios()[8] / ratio - 1.0).abs() < 1e-14);
    for plane in [0, 2] {
        let determinant = matrix[(plane, plane)] * matrix[(plane + 1, plane + 1)]
            - matrix[(plane, plane + 1)] * matrix[(plane + 1, plane)];
        assert!((determinant / ratio - 1.0).abs() < 1e-13, "{determinant} and {ratio}");
    }
    let optics = ring.optics_from([Twiss { beta: 3.0, alpha: 0.4 }; 2], [0.0; 4]).expect("not lost");
    // the ellipse of the start, carried by the matrix: beta = sigma_11 / emittance
    let sigma = [3.0, -0.4, (1.0 + 0.4 * 0.4) / 3.0];
    let carried = |row: usize, column: usize| {
        let [a, b] = [row, column].map(|k| [matrix[(k, 0)], matrix[(k, 1)]]);
        a[0] * b[0] * sigma[0] + (a[0] * b[1] + a[1] * b[0]) * sigma[1] + a[1] * b[1] * sigma[2]
    };
    let emittance = (carried(0, 0) * carried(1, 1) - carried(0, 1).powi(2)).sqrt();
    assert!((emittance / ratio - 1.0).abs() < 1e-12);
    assert!((optics.beta_x[8] * emittance / carried(0, 0) - 1.0).abs() < 1e-12);
    assert!((optics.alpha_x[8] * emittance / -carried(0, 1) - 1.0).abs() < 1e-12);
}

#[test]
fn a_held_reference_stays_where_cavities_change() {
    let lattice = linac(4, true, 1.1);
    let mut free = Ring::new(&lattice, Effects::CAVITY);
    let mut held = free.clone();
    held.hold_reference();
    let design = free.energies();
    assert_eq!(held.energies(), design);
    for ring in [&mut free, &mut held] {
        ring.set_cavity(3, 2e8, 1.8e7);
    }
    assert_eq!(held.energies(), design);
    let missing = 0.2e7 * 1.1f64.sin();
    assert!((design[8] - free.energies()[8] - missing).abs() < 1e-6);
    // the beam has less energy than the reference, by what the second cavity gives less, and what its delay makes of the others
    let mut z = [0.0; 6];
    held.pass(&mut z, 0.0).expect("not lost");
    let mass = 938.272e6f64;
    let momentum = (1.0 + z[4]) * (design[8] * design[8] - mass * mass).sqrt();
    let energy = (momentum * momentum + mass * mass).sqrt();
    let late = z[5] > 0.0 && energy < design[8] - missing;
    assert!(late && (design[8] - energy) < 3.0 * missing, "{z:?}, {}", design[8] - energy);
    // in parts, whose cavities are whole, it goes the same way
    let mut parts = [0.0; 6];
    held.cut(fodo_optics::Cutting::Parts(3)).ring.pass(&mut parts, 0.0).expect("not lost");
    assert!(z.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-14), "{z:?} {parts:?}");
}

/// The same particle in units of the reference that is carried along and of the one at the start: same place, slope,
/// energy and time.
#[test]
fn what_a_linac_does_is_the_same_in_units_of_either_reference() {
    let mass = 938.272e6f64;
    let momentum = |energy: f64| (energy * energy - mass * mass).sqrt();
    let energy = |momentum: f64| (momentum * momentum + mass * mass).sqrt();
    let end = |accelerates: bool, start: Point<f64>| {
        // one cavity: a second one would be phased differently, after another reference
        let mut lattice = linac(1, accelerates, 1.1);
        lattice.elements.push(Element::new("D", 3.0, Body::Drift { exact: true }));
        let ring = Ring::new(&lattice, Effects::CAVITY);
        let mut z = start;
        ring.pass(&mut z, 0.0).expect("not lost");
        let last = *ring.energies().last().expect("an end");
        let p0 = momentum(last);
        let time = z[5] / (p0 / last);
        [z[0], z[1] * p0, z[2], z[3] * p0, energy((1.0 + z[4]) * p0), time]
    };
    let (along, fixed) = (end(true, START), end(false, START));
    let (along_0, fixed_0) = (end(true, [0.0; 6]), end(false, [0.0; 6]));
    let relative = |k: usize| (along[k] / fixed[k] - 1.0).abs();
    eprintln!("{:?}", [0, 1, 2, 3, 4].map(relative));
    assert!((0..5).all(|k| relative(k) < 1e-12), "{along:?} {fixed:?}");
    let late = [along[5] - along_0[5], fixed[5] - fixed_0[5]];
    assert!((late[0] - late[1]).abs() < 1e-13, "{late:?}");
}

#[test]
fn a_ramp_keeps_the_invariants() {
    let lattice = demo_ring();
    let ring = Ring::new(&lattice, Effects::CAVITY);
    let matrix = ring.one_turn_matrix(&[0.0; 6]).expect("not lost");
    assert!((matrix.determinant() - 1.0).abs() < 1e-11);
    let steps = 1500;
    let energies: Vec<f64> = (0..=steps).map(|turn| 1e9 + 4e4 * f64::from(turn)).collect();
    let mut particles = [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1e-4, 0.0, 1e-4, 0.0, 0.0, 0.0]];
    let losses = ring.track_ramp(&mut particles, 0, &energies);
    assert!(losses.iter().all(Option::is_none), "{losses:?}");
    // the synchronous particle follows, swinging about the phase that gives the step
    assert!(particles[0][4].abs() < 2e-3, "{particles:?}");
    let optics = ring.optics().expect("stable");
    let (beta, alpha) = (optics.beta_y[0], optics.alpha_y[0]);
    let action =
        |z: &Point<f64>| ((1.0 + alpha * alpha) / beta * z[2] + 2.0 * alpha * z[3]) * z[2] + beta * z[3] * z[3];
    let damped = action(&particles[1]) / action(&[0.0, 0.0, 1e-4, 0.0, 0.0, 0.0]);
    let expected = energies[0] / energies[steps as usize];
    eprintln!("vertical action {damped:.5}, adiabatic {expected:.5}");
    assert!((damped / expected - 1.0).abs() < 0.01, "{damped} and {expected}");
}

#[test]
fn what_cannot_be_tracked_is_told_with_index_and_name() {
    let quadrupole =
        |k1, slices| Element::new("Q", 0.3, Body::Quadrupole(magnet(vec![0.0, k1], vec![], slices, false)));
    let mut unknown = Element::new("X", 0.0, Body::Marker);
    let extra = std::sync::Arc::make_mut(&mut unknown.extra);
    extra.insert("PassMethod".into(), "NonsensePass".into());
    let elements = vec![
        quadrupole(1.0, 10),
        quadrupole(f64::NAN, 10),
        quadrupole(1.0, 0),
        Element::new("M", -0.1, Body::Monitor),
        unknown,
        Element::new("D", -0.1, Body::Drift { exact: false }),
        Element::new("B", 0.0, exact_bend(vec![], vec![], [0.0; 2], 1).body),
    ];
    let problems = Ring::try_new(&line(elements), Effects::NONE).expect_err("much is wrong").0;
    let found: Vec<_> = problems.iter().map(|problem| (problem.index, &*problem.name, &problem.problem)).collect();
    assert!(matches!(found[0], (Some(1), "Q", Problem::NotFinite("strength", value)) if value.is_nan()), "{found:?}");
    assert_eq!(found[1], (Some(2), "Q", &Problem::NoSlices));
    assert_eq!(found[2], (Some(3), "M", &Problem::NegativeLength(-0.1)));
    assert_eq!(found[3], (Some(4), "X", &Problem::UnknownPass("NonsensePass".into())));
    assert_eq!(found[4], (Some(6), "B", &Problem::NoLength));
    assert_eq!(found.len(), 5);
    assert_eq!(problems[1].to_string(), "element 2, Q: it is cut into no slices; at least one is needed");
    let mut slow = line(vec![]);
    slow.reference.exact_velocity = true;
    assert_eq!(slow.check().expect_err("no rest energy").0[0].problem, Problem::NoRestEnergy);
    (slow.rest_energy, slow.energy) = (938e6, 500e6);
    assert_eq!(slow.check().expect_err("too slow").0[0].problem, Problem::BelowRestEnergy(500e6, 938e6));
    assert!(Ring::try_new(&demo_ring(), Effects::ALL).is_ok());
}
