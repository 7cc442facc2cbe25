//! Agreement with pyAT 0.9.0: the table of section 7 of the physics conventions, lattice by lattice.
//!
//! The numbers are in `reference/NAME.ref.h5` of the shared folder, made from `reference/NAME.at.json` (see the README
//! there). Every line printed is a measured figure and its limit; run with `--nocapture` to see them.

use std::path::PathBuf;

use fodo_lattice::Lattice;
use fodo_optics::{Effects, NoOptics, Orbit, Plane, Point, Ring};
use hdf5_pure::File;

/// The shared folder: `FODO_SHARED`, else beside the workspace.
fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("FODO_SHARED").map_or(beside, PathBuf::from);
    if folder.join("reference").is_dir() {
        return Some(folder);
    }
    _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: ../shared missing\n"));
    None
}

/// A lattice with its reference numbers, and what has been found to disagree.
struct Reference {
    name: &'static str,
    file: File,
    lattice: Lattice,
    failures: Vec<String>,
}

impl Reference {
    fn load(name: &'static str) -> Option<Self> {
        let folder = shared()?.join("reference");
        let file = File::open(folder.join(format!("{name}.ref.h5"))).expect("reference numbers");
        let lattice = Lattice::load(folder.join(format!("{name}.at.json"))).expect("reference lattice");
        Some(Self { name, file, lattice, failures: vec![] })
    }

    fn numbers(&self, path: &str) -> Vec<f64> {
        self.file.dataset(path).expect(path).read_f64().expect(path)
    }

    fn indices(&self, path: &str) -> Vec<usize> {
        let numbers: Vec<u32> = self.file.dataset(path).expect(path).read().expect(path);
        numbers.into_iter().map(|number| number as usize).collect()
    }

    fn has(&self, path: &str) -> bool {
        self.file.dataset(path).is_ok()
    }

    fn ring(&self, effects: Effects) -> Ring {
        Ring::new(&self.lattice, effects)
    }

    /// Prints a measured disagreement and remembers it if it is above the limit.
    fn hold(&mut self, what: &str, measured: f64, limit: f64) {
        let mark = if measured <= limit { "" } else { "   <-- ABOVE" };
        eprintln!("{:24} {what:44} {measured:9.1e}  limit {limit:.0e}{mark}", self.name);
        if measured.is_nan() || measured > limit {
            self.failures.push(format!("{what}: {measured:.2e} > {limit:.0e}"));
        }
    }

    fn finish(self) {
        assert!(self.failures.is_empty(), "{}: {:#?}", self.name, self.failures);
    }

    /// Particles as the columns of a 6 x n table.
    fn particles(&self, path: &str) -> Vec<Point<f64>> {
        let table = self.numbers(path);
        let count = table.len() / 6;
        (0..count).map(|particle| std::array::from_fn(|row| table[row * count + particle])).collect()
    }
}

fn largest_difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| f64::max(most, value.abs()))
}

fn relative_to_largest(ours: &[f64], theirs: &[f64]) -> f64 {
    largest_difference(ours, theirs) / largest(theirs)
}

fn relative(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1e-3)).fold(0.0, f64::max)
}

/// Largest difference of particles that survive in both; infinite if one is lost in only one of them. The path
/// length counts a tenth: it adds up the rounding of every drift of a turn (2e5 in the EBS ring) at its own size, and
/// without a cavity grows to many metres.
fn apart(ours: &[Point<f64>], theirs: &[Point<f64>]) -> f64 {
    let pair = |(ours, theirs): (&Point<f64>, &Point<f64>)| match (ours[0].is_nan(), theirs[0].is_nan()) {
        (true, true) => 0.0,
        (false, false) => {
            let path = (ours[5] - theirs[5]).abs() / theirs[5].abs().max(1.0) * 0.1;
            f64::max(path, largest_difference(&ours[..5], &theirs[..5]))
        }
        _ => f64::INFINITY,
    };
    ours.iter().zip(theirs).map(pair).fold(0.0, f64::max)
}

fn check_tracking(reference: &mut Reference, turns: &[(u64, f64, f64)]) {
    let kinds = [
        ("4d", "track/start", Effects::NONE),
        ("6d_cavity_no_radiation", "track/start_6d_cavity_no_radiation", Effects::CAVITY),
        ("6d_rad", "track/start_6d_rad", Effects::ALL),
    ];
    for (kind, start, effects) in kinds {
        if !reference.has(start) {
            continue;
        }
        let ring = reference.ring(effects);
        for &(turns, small, large) in turns {
            let path = format!("track/{kind}_{turns}");
            if !reference.has(&path) || (turns > 100 && cfg!(debug_assertions)) {
                continue;
            }
            let mut particles = reference.particles(start);
            ring.track(&mut particles, turns, 0);
            let theirs = reference.particles(&path);
            // radiating particles run to the synchronous phase, which the rounding of ct in either code moves
            let small = if effects.radiation && turns > 100 { 3.0 * small } else { small };
            reference.hold(&format!("{path}, ten small"), apart(&particles[..10], &theirs[..10]), small);
            reference.hold(&format!("{path}, ten large"), apart(&particles[10..], &theirs[10..]), large);
        }
    }
}

fn flat(orbit: &Orbit) -> Vec<f64> {
    orbit.points.concat()
}

fn check_orbits(reference: &mut Reference) -> Result<(), NoOptics> {
    let orbit4 = reference.ring(Effects::NONE).find_closed_orbit()?;
    let difference = largest_difference(&flat(&orbit4), &reference.numbers("orbit4"));
    reference.hold("orbit4", difference, 1e-11);
    let mut ring = reference.ring(Effects::ALL);
    let orbit6 = ring.closed_orbit()?;
    let difference = largest_difference(&flat(&orbit6), &reference.numbers("orbit6"));
    reference.hold("orbit6", difference, 1e-11);
    let again = ring.closed_orbit()?;
    reference.hold("orbit6, warm", largest_difference(&flat(&again), &flat(&orbit6)), 1e-11);
    let cavity = reference.ring(Effects::CAVITY).find_closed_orbit()?;
    let theirs = reference.numbers("orbit6_cavity_no_radiation_at_0");
    reference.hold("orbit6 without radiation", largest_difference(&cavity.start(), &theirs), 1e-11);
    Ok(())
}

fn rows<const N: usize>(matrix: &nalgebra::Matrix6<f64>) -> Vec<f64> {
    (0..N).flat_map(|row| (0..N).map(move |column| matrix[(row, column)])).collect()
}

fn check_matrices(reference: &mut Reference) -> Result<(), NoOptics> {
    let ring = reference.ring(Effects::NONE);
    let start = ring.find_closed_orbit()?.start();
    let matrix = ring.one_turn_matrix(&start).expect("not lost");
    let difference = relative_to_largest(&rows::<4>(&matrix), &reference.numbers("m44_precise"));
    reference.hold("m44_precise", difference, 1e-10);
    let all: Vec<f64> = ring.transfer_matrices(&start).expect("not lost").iter().flat_map(rows::<4>).collect();
    let difference = relative_to_largest(&all, &reference.numbers("m44_all"));
    reference.hold("m44_all (finite differences)", difference, 1e-7);
    let start: Point<f64> = reference.numbers("m66_precise_at_orbit").try_into().expect("six numbers");
    let matrix = reference.ring(Effects::ALL).one_turn_matrix(&start).expect("not lost");
    let difference = relative_to_largest(&rows::<6>(&matrix), &reference.numbers("m66_precise"));
    reference.hold("m66_precise", difference, 1e-10);
    Ok(())
}

fn check_optics(reference: &mut Reference) -> Result<(), NoOptics> {
    let ring = reference.ring(Effects::NONE);
    let optics = ring.optics()?;
    let (beta, alpha, mu) =
        (reference.numbers("optics2/beta"), reference.numbers("optics2/alpha"), reference.numbers("optics2/mu"));
    let position = reference.numbers("optics2/s_pos");
    reference.hold("positions", largest_difference(&optics.position, &position), 1e-9);
    reference.hold("optics2 beta_x, relative", relative(&optics.beta_x, &every(&beta, 0, 2)), 1e-7);
    reference.hold("optics2 beta_y, relative", relative(&optics.beta_y, &every(&beta, 1, 2)), 1e-7);
    reference.hold("optics2 alpha_x", largest_difference(&optics.alpha_x, &every(&alpha, 0, 2)), 1e-6);
    reference.hold("optics2 alpha_y", largest_difference(&optics.alpha_y, &every(&alpha, 1, 2)), 1e-6);
    reference.hold("optics2 phase_x", largest_difference(&optics.phase_x, &every(&mu, 0, 2)), 1e-6);
    reference.hold("optics2 phase_y", largest_difference(&optics.phase_y, &every(&mu, 1, 2)), 1e-6);
    let dispersion = reference.numbers("optics2/dispersion");
    let difference = relative_to_largest(&optics.dispersion.concat(), &dispersion);
    reference.hold("dispersion, relative to largest", difference, 1e-5);
    check_summary(reference, &ring, &optics)
}

/// Coupled optics, by decoupling the planes and by normalised eigenvectors; clic_dr has them in 6D only.
fn check_coupled_optics(reference: &mut Reference) -> Result<(), NoOptics> {
    let ring = reference.ring(Effects::NONE);
    if reference.has("optics4/beta") {
        let ours = ring.coupled_optics()?;
        let betas = [&ours.beta_1, &ours.beta_2];
        let alphas = [&ours.alpha_1, &ours.alpha_2];
        check_modes(reference, "optics4", betas, alphas, &[&ours.phase_1, &ours.phase_2], &ours.dispersion);
    }
    for (name, effects) in [("optics6_4d", Effects::NONE), ("optics6", Effects::ALL)] {
        if !reference.has(&format!("{name}/beta")) {
            continue;
        }
        let ours = ring.with_effects(effects).normal_optics()?;
        let phase = |mode: usize| ours.phase.iter().map(|phase| phase[mode]).collect::<Vec<_>>();
        let phases = [0, 1, 2].map(phase);
        let phases: Vec<&Vec<f64>> = phases.iter().take(ours.modes.len()).collect();
        let betas = [&ours.beta_x, &ours.beta_y];
        let alphas = [&ours.alpha_x, &ours.alpha_y];
        check_modes(reference, name, betas, alphas, &phases, &ours.dispersion);
    }
    Ok(())
}

fn check_modes(
    reference: &mut Reference,
    name: &str,
    betas: [&Vec<f64>; 2],
    alphas: [&Vec<f64>; 2],
    phases: &[&Vec<f64>],
    dispersion: &[[f64; 4]],
) {
    let table = |reference: &Reference, what: &str| reference.numbers(&format!("{name}/{what}"));
    for (mode, beta) in betas.into_iter().enumerate() {
        let theirs = every(&table(reference, "beta"), mode, 2);
        reference.hold(&format!("{name} beta {mode}, relative"), relative(beta, &theirs), 1e-8);
        let theirs = every(&table(reference, "alpha"), mode, 2);
        reference.hold(&format!("{name} alpha {mode}"), largest_difference(alphas[mode], &theirs), 1e-8);
    }
    for (mode, phase) in phases.iter().enumerate() {
        let theirs = every(&table(reference, "mu"), mode, phases.len());
        reference.hold(&format!("{name} phase {mode}"), largest_difference(phase, &theirs), 1e-8);
    }
    let difference = relative_to_largest(&dispersion.concat(), &table(reference, "dispersion"));
    reference.hold(&format!("{name} dispersion, relative to largest"), difference, 1e-6);
}

/// Every `width`-th number from `first` on: a column of a table of that width.
fn every(table: &[f64], first: usize, width: usize) -> Vec<f64> {
    table.iter().skip(first).step_by(width).copied().collect()
}

/// Tunes, chromaticities and the like from the summary beside the numbers.
fn check_summary(reference: &mut Reference, ring: &Ring, optics: &fodo_optics::Optics) -> Result<(), NoOptics> {
    let path = shared().expect("shared folder").join("reference").join(format!("{}.summary.json", reference.name));
    let text = std::fs::read_to_string(path).expect("summary");
    let summary: serde_json::Value = serde_json::from_str(&text).expect("summary");
    let pair = |pointer: &str| -> [f64; 2] {
        let at = |index: usize| summary.pointer(&format!("{pointer}/{index}")).and_then(|value| value.as_f64());
        [at(0).expect("a number"), at(1).expect("a number")]
    };
    let uncoupled = pair("/optics2/tune");
    reference.hold("optics2 tune_x", (optics.tune_x().rem_euclid(1.0) - uncoupled[0]).abs(), 1e-8);
    reference.hold("optics2 tune_y", (optics.tune_y().rem_euclid(1.0) - uncoupled[1]).abs(), 1e-8);
    let modes = ring.modes()?;
    let tunes = pair("/optics4/tune");
    reference.hold("mode tunes", largest_difference(&[modes[0].tune, modes[1].tune], &tunes), 1e-8);
    let chromaticity = ring.chromaticity()?;
    reference.hold("chromaticity", largest_difference(&chromaticity, &pair("/optics4/chromaticity")), 2e-4);
    let compaction = summary["momentum_compaction"].as_f64().expect("a number");
    reference.hold("momentum compaction, relative", (optics.momentum_compaction / compaction - 1.0).abs(), 1e-5);
    if let Some(loss) = summary["energy_loss_integral_eV"].as_f64() {
        let ours = ring.energy_loss() * f64::from(ring.periodicity());
        reference.hold("energy loss integral, relative", (ours / loss - 1.0).abs(), 1e-9);
    }
    let modes = reference.ring(Effects::ALL).modes()?;
    if let Some(tunes) = summary.pointer("/optics6/tune").and_then(|tunes| tunes.as_array()) {
        let tunes: Vec<f64> = tunes.iter().filter_map(|tune| tune.as_f64()).collect();
        let ours: Vec<f64> = modes.iter().map(|mode| mode.tune).collect();
        reference.hold("6D tunes", largest_difference(&ours, &tunes), 1e-8);
    }
    Ok(())
}

fn check_off_momentum(reference: &mut Reference) -> Result<(), NoOptics> {
    let momenta = reference.numbers("off_momentum/dp");
    let (orbits, tunes) = (reference.numbers("off_momentum/orbit"), reference.numbers("off_momentum/tune"));
    let (mut orbit_apart, mut tune_apart) = (0.0, 0.0);
    let mut ring = reference.ring(Effects::NONE);
    for (index, delta) in momenta.iter().enumerate() {
        let theirs = &orbits[6 * index..6 * index + 6];
        if !theirs[0].is_finite() {
            continue;
        }
        ring.set_delta(*delta);
        let start = ring.find_closed_orbit()?.start();
        let modes = ring.modes_at(&start)?;
        orbit_apart = f64::max(orbit_apart, largest_difference(&start[..5], &theirs[..5]));
        let ours = [modes[0].tune, modes[1].tune];
        tune_apart = f64::max(tune_apart, largest_difference(&ours, &tunes[2 * index..2 * index + 2]));
    }
    reference.hold("off-momentum orbits", orbit_apart, 1e-11);
    reference.hold("off-momentum tunes", tune_apart, 1e-7);
    Ok(())
}

fn check_responses(reference: &mut Reference) -> Result<(), NoOptics> {
    let (monitors, correctors) = (reference.indices("bpm_index"), reference.indices("corrector_index"));
    for (name, effects) in [("orm4", Effects::NONE), ("orm6", Effects::ALL)] {
        let response = reference.ring(effects).orbit_response(&monitors, &correctors)?;
        let difference = relative_to_largest(response.values(), &reference.numbers(name));
        reference.hold(&format!("{name}, relative to largest"), difference, 1e-7);
    }
    Ok(())
}

fn check_ring(name: &'static str) {
    let Some(mut reference) = Reference::load(name) else { return };
    check_tracking(&mut reference, &[(1, 1e-15, 1e-15), (10, 1e-14, 1e-14), (1000, 1e-13, 1e-11)]);
    let checks =
        [check_orbits, check_matrices, check_optics, check_coupled_optics, check_off_momentum, check_responses];
    for check in checks {
        if let Err(problem) = check(&mut reference) {
            eprintln!("{name}: {problem}");
            reference.failures.push(problem.to_string());
        }
    }
    reference.finish();
}

#[test]
fn ebs_ring() {
    check_ring("ebs_ring");
}

#[test]
fn ebs_cell() {
    check_ring("ebs_cell");
}

#[test]
fn fodo_1gev_6d() {
    check_ring("fodo_1gev_6d");
}

#[test]
fn dba() {
    check_ring("dba");
}

#[test]
fn australian_synchrotron() {
    check_ring("australian_synchrotron");
}

#[test]
fn als_loco_2007() {
    check_ring("als_loco_2007");
}

/// A transfer line: tracking and the response of the trajectory.
#[test]
fn nsls2_ltb() {
    let Some(mut reference) = Reference::load("nsls2_ltb") else { return };
    check_tracking(&mut reference, &[(1, 1e-15, 1e-15)]);
    let ring = reference.ring(Effects::NONE);
    let (monitors, correctors) = (reference.indices("bpm_index"), reference.indices("corrector_index"));
    let response = ring.trajectory_response(&[0.0; 6], &monitors, &correctors).expect("not lost");
    let theirs = reference.numbers("trajectory_response");
    reference.hold("trajectory response", relative_to_largest(response.values(), &theirs), 1e-7);
    let upstream = response.get(Plane::X, 0, Plane::X, correctors.len() - 1);
    assert_eq!(upstream, 0.0, "a kick cannot act on a monitor before it");
    reference.finish();
}
