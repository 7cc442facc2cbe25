//! Agreement with pyAT on the lattices it comes with, computed by both in the same moment; also with coupling errors.
//!
//! `live_pyat.py` beside this file says what pyAT finds. Tolerances are those of section 7 of the physics conventions:
//! pyAT's matrices are finite differences, good to about 1e-8. Every line printed is a measured figure and its limit.

use std::path::{Path, PathBuf};
use std::process::Command;

use fodo_lattice::{Alignment, Body, Lattice, Solenoid};
use fodo_optics::{ChromaticFunctions, CoupledOptics, Effects, Estimate, NormalOptics, Orbit, Point, Ring};
use serde_json::Value;

/// What pyAT found, and where it is not what we find.
struct Live {
    name: &'static str,
    theirs: Value,
    lattice: Lattice,
    points: Vec<usize>,
    failures: Vec<String>,
}

impl Live {
    fn load(name: &'static str, lattice: &Path) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python: PathBuf = folder.join("../../.venv/bin/python");
        assert!(python.is_file(), "{} is missing: run ./test.sh, which installs it", python.display());
        let output = Command::new(python).arg(folder.join("tests/live_pyat.py")).arg(lattice).output().expect("python");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let theirs: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let lattice = Lattice::load(theirs["path"].as_str().expect("a path")).expect("a lattice");
        let points = numbers(&theirs["points"]).into_iter().map(|point| point as usize).collect();
        Self { name, theirs, lattice, points, failures: vec![] }
    }

    fn ring(&self, case: &str, effects: Effects) -> Ring {
        let mut lattice = self.lattice.clone();
        let coupling = &self.theirs["coupling"];
        if case == "coupled" {
            let index = |key: &str| coupling[key].as_u64().expect(key) as usize;
            let number = |key: &str| coupling[key].as_f64().expect(key);
            let turn = Alignment::new(0.0, 0.0, number("roll")).expect("a roll");
            let alignment = lattice.elements[index("rolled")].alignment.get_or_insert_default();
            (alignment.r1, alignment.r2) = (turn.r1, turn.r2);
            let field = lattice.elements[index("skew")].field_mut().expect("a quadrupole");
            field.set_skew(1, number("skew_gradient"));
            let solenoid = Solenoid { strength: number("solenoid_strength"), exact: false };
            lattice.elements[index("solenoid")].body = Body::Solenoid(solenoid);
        }
        Ring::new(&lattice, effects)
    }

    fn hold(&mut self, what: &str, measured: f64, limit: f64) {
        let mark = if measured <= limit { "" } else { "   <-- ABOVE" };
        eprintln!("{:24} {what:44} {measured:9.1e}  limit {limit:.0e}{mark}", self.name);
        if measured.is_nan() || measured > limit {
            self.failures.push(format!("{what}: {measured:.2e} > {limit:.0e}"));
        }
    }

    /// Compares values at the chosen points, relative to the largest of theirs.
    fn hold_all(&mut self, what: &str, ours: &[f64], theirs: &Value, limit: f64) {
        let theirs = numbers(theirs);
        self.hold(what, apart(ours, &theirs) / largest(&theirs).max(1e-3), limit);
    }

    fn at_points<T, const N: usize>(&self, values: &[T], take: impl Fn(&T) -> [f64; N]) -> Vec<f64> {
        self.points.iter().flat_map(|&point| take(&values[point])).collect()
    }

    /// The planes of a function at the chosen points, as a table with one row per point.
    fn table<const N: usize>(&self, planes: [&[f64]; N]) -> Vec<f64> {
        self.points.iter().flat_map(|&point| planes.map(|plane| plane[point])).collect()
    }

    fn finish(self) {
        assert!(self.failures.is_empty(), "{}: {:#?}", self.name, self.failures);
    }
}

/// All numbers in nested lists, in their order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        Value::Number(number) => vec![number.as_f64().unwrap_or(f64::NAN)],
        _ => vec![f64::NAN],
    }
}

fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, |most, by| if by <= most { most } else { by })
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| f64::max(most, value.abs()))
}

fn particles(rows: &Value) -> Vec<Point<f64>> {
    let table = numbers(rows);
    let count = table.len() / 6;
    (0..count).map(|particle| std::array::from_fn(|row| table[row * count + particle])).collect()
}

fn check_tracking(live: &mut Live, what: &str, ring: &Ring, around: &Point<f64>, theirs: &Value) {
    let mut ours = particles(&live.theirs["particles"]);
    ours.iter_mut().for_each(|z| (0..6).for_each(|k| z[k] += around[k]));
    ring.track(&mut ours, 1, 0);
    let theirs = particles(theirs);
    let difference = |(ours, theirs): (&Point<f64>, &Point<f64>)| {
        // the path length adds up the rounding of every drift
        f64::max(apart(&ours[..5], &theirs[..5]), 0.1 * (ours[5] - theirs[5]).abs())
    };
    let difference = ours.iter().zip(&theirs).map(difference).fold(0.0, f64::max);
    live.hold(&format!("{what} one turn"), difference, 1e-15);
}

fn check_orbit(live: &mut Live, what: &str, orbit: &Orbit, theirs: &Value) {
    let ours = live.at_points(&orbit.points, |point| *point);
    live.hold(&format!("{what} closed orbit"), apart(&ours, &numbers(theirs)), 1e-11);
}

fn check_matrix<const N: usize>(live: &mut Live, what: &str, ring: &Ring, start: &Point<f64>, theirs: &Value) {
    let matrix = ring.one_turn_matrix(start).expect("not lost");
    let ours: Vec<f64> = (0..N).flat_map(|row| (0..N).map(move |column| matrix[(row, column)])).collect();
    live.hold_all(&format!("{what} matrix"), &ours, theirs, 1e-7);
}

fn check_uncoupled(live: &mut Live, ring: &Ring, theirs: &Value) {
    let ours = ring.optics().expect("stable");
    live.hold_all("linopt2 beta", &live.table([&ours.beta_x, &ours.beta_y]), &theirs["beta"], 1e-7);
    live.hold_all("linopt2 alpha", &live.table([&ours.alpha_x, &ours.alpha_y]), &theirs["alpha"], 1e-7);
    live.hold_all("linopt2 phase", &live.table([&ours.phase_x, &ours.phase_y]), &theirs["mu"], 1e-7);
    live.hold_all("linopt2 dispersion", &live.at_points(&ours.dispersion, |at| *at), &theirs["dispersion"], 1e-6);
    let tunes = [ours.tune_x().rem_euclid(1.0), ours.tune_y().rem_euclid(1.0)];
    live.hold_all("linopt2 tune", &tunes, &theirs["tune"], 1e-8);
}

fn check_coupled(live: &mut Live, what: &str, ours: &CoupledOptics, all: &Value) {
    let theirs = &all["linopt4"];
    let coupling = live.at_points(&ours.coupling, |c| [c[(0, 0)], c[(0, 1)], c[(1, 0)], c[(1, 1)]]);
    live.hold_all(&format!("{what} beta"), &live.table([&ours.beta_1, &ours.beta_2]), &theirs["beta"], 1e-7);
    live.hold_all(&format!("{what} alpha"), &live.table([&ours.alpha_1, &ours.alpha_2]), &theirs["alpha"], 1e-7);
    live.hold_all(&format!("{what} phase"), &live.table([&ours.phase_1, &ours.phase_2]), &theirs["mu"], 1e-7);
    live.hold_all(&format!("{what} gamma"), &live.table([&ours.gamma]), &theirs["gamma"], 1e-7);
    // small differences of matrix entries of 10 and more, themselves good to 1e-8
    live.hold_all(&format!("{what} C"), &coupling, &all["C"], 1e-6);
    let dispersion = live.at_points(&ours.dispersion, |at| *at);
    live.hold_all(&format!("{what} dispersion"), &dispersion, &theirs["dispersion"], 1e-6);
    live.hold_all(&format!("{what} tune"), &ours.tunes, &theirs["tune"], 1e-8);
}

fn check_normal(live: &mut Live, what: &str, ours: &NormalOptics, theirs: &Value) {
    let (modes, size) = (ours.modes.len(), 2 * ours.modes.len());
    live.hold_all(&format!("{what} beta"), &live.table([&ours.beta_x, &ours.beta_y]), &theirs["beta"], 1e-7);
    live.hold_all(&format!("{what} alpha"), &live.table([&ours.alpha_x, &ours.alpha_y]), &theirs["alpha"], 1e-7);
    let phases: Vec<f64> = live.points.iter().flat_map(|&point| ours.phase[point].into_iter().take(modes)).collect();
    live.hold_all(&format!("{what} phase"), &phases, &theirs["mu"], 1e-7);
    let mut matrices = vec![];
    for (point, mode) in live.points.iter().flat_map(|&point| (0..modes).map(move |mode| (point, mode))) {
        let matrix = ours.mode_matrix(point, mode);
        matrices.extend((0..size).flat_map(|row| (0..size).map(move |column| matrix[(row, column)])));
    }
    live.hold_all(&format!("{what} R"), &matrices, &theirs["R"], 1e-7);
    let dispersion = live.at_points(&ours.dispersion, |at| *at);
    live.hold_all(&format!("{what} dispersion"), &dispersion, &theirs["dispersion"], 1e-6);
    let tunes: Vec<f64> = ours.modes.iter().map(|mode| mode.tune).collect();
    live.hold_all(&format!("{what} tune"), &tunes, &theirs["tune"], 1e-8);
}

fn check_case(live: &mut Live, case: &str) {
    let theirs = live.theirs[case]["4d"].clone();
    let what = |name: &str| format!("{case} {name}");
    let ring = live.ring(case, Effects::NONE);
    check_tracking(live, &what("4D"), &ring, &[0.0; 6], &theirs["track"]);
    let orbit = ring.find_closed_orbit().expect("a closed orbit");
    check_orbit(live, &what("4D"), &orbit, &theirs["orbit"]);
    check_matrix::<4>(live, &what("4D"), &ring, &orbit.start(), &theirs["matrix"]);
    if case == "ideal" {
        check_uncoupled(live, &ring, &theirs["linopt2"]);
    }
    check_coupled(live, &what("linopt4"), &ring.coupled_optics().expect("stable"), &theirs);
    check_normal(live, &what("linopt6 4D"), &ring.normal_optics().expect("stable"), &theirs["linopt6"]);
    // pyAT's is a difference over 3e-6, of tunes known to 1e-10
    let chromaticity = ring.chromaticity().expect("stable");
    live.hold_all(&what("chromaticity"), &chromaticity, &theirs["linopt4"]["chromaticity"], 2e-4);
    let theirs = live.theirs[case]["6d"].clone();
    if theirs.is_null() {
        return;
    }
    let ring = live.ring(case, Effects::ALL);
    let orbit = ring.find_closed_orbit().expect("a closed orbit");
    // around their orbit: both are known to 1e-12 only
    let around = numbers(&theirs["orbit"][0]).try_into().expect("six numbers");
    check_tracking(live, &what("6D"), &ring, &around, &theirs["track"]);
    check_orbit(live, &what("6D"), &orbit, &theirs["orbit"]);
    check_matrix::<6>(live, &what("6D"), &ring, &orbit.start(), &theirs["matrix"]);
    let optics = ring.normal_optics().expect("stable");
    check_normal(live, &what("linopt6 6D"), &optics, &theirs["linopt6"]);
    // rates per turn, relative to the slowest; theirs are good to about the 1e-10 of their matrix
    let turn = optics.revolution_time;
    let rates: Vec<f64> = numbers(&theirs["damping_time"]).iter().map(|time| turn / time).collect();
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let difference = apart(&optics.modes.iter().map(|mode| mode.damping).collect::<Vec<_>>(), &rates) / slowest;
    live.hold(&what("damping rates"), difference, 1e-5 + 1e-10 / slowest);
}

/// Derivatives in a list from the first on; `rounding` is that of the values theirs come from, `step` apart.
fn hold_estimates(live: &mut Live, what: &str, ours: &[Estimate], theirs: &Value, rounding: f64, step: f64) {
    for (order, (ours, theirs)) in ours.iter().zip(numbers(theirs)).enumerate() {
        let relative = [1e-6, 1e-5, 1e-4][order] * theirs.abs();
        let rounded = 10.0 * rounding / step.powi(order as i32 + 1);
        let (apart, limit) = ((ours.value - theirs).abs(), 2.0 * ours.uncertainty + relative + rounded);
        live.hold(&format!("{what} order {}", order + 1), apart, limit);
    }
}

fn check_off_momentum(live: &mut Live) {
    let theirs = live.theirs["momentum"].clone();
    let ring = live.ring("ideal", Effects::NONE);
    let ours = ring.momentum_dependence().expect("stable");
    let step = theirs["step"].as_f64().expect("a step");
    for (plane, name) in [(0, "chromaticity x"), (1, "chromaticity y")] {
        hold_estimates(live, name, &ours.chromaticity[plane], &theirs["chromaticity"][plane], 1e-10, step);
    }
    let compaction = &theirs["momentum_compaction"];
    hold_estimates(live, "momentum compaction", &ours.momentum_compaction, compaction, 1e-14, step);
    let second = live.at_points(&ours.dispersion[1], |at| at.map(|entry| 2.0 * entry));
    live.hold_all("dispersion, second order", &second, &theirs["chromatic"]["ddispersion"], 1e-4);
    check_chromatic_functions(live, &ring.chromatic_functions().expect("stable"), &theirs["chromatic"]);
    let longer = theirs["path_lengthening"].as_f64().expect("a number");
    let orbit = ring.synchronous_orbit(longer).expect("an orbit").start();
    live.hold("synchronous orbit", apart(&orbit, &numbers(&theirs["synchronous_orbit"])), 1e-11);
    if let Some(frequency) = theirs["frequency"].as_f64() {
        let orbit = ring.synchronous_orbit(ring.path_lengthening(frequency)).expect("an orbit").start();
        live.hold("orbit off frequency", apart(&orbit, &numbers(&theirs["shifted_orbit"])), 1e-11);
    }
}

/// Theirs are differences over 1e-4 of functions from matrices good to 1e-10.
fn check_chromatic_functions(live: &mut Live, ours: &ChromaticFunctions, theirs: &Value) {
    let (x, y) = (&ours.x, &ours.y);
    live.hold_all("W", &live.table([&x.amplitude, &y.amplitude]), &theirs["W"], 1e-4);
    live.hold_all("d(beta)/d(delta)", &live.table([&x.beta_slope, &y.beta_slope]), &theirs["dbeta"], 1e-4);
    live.hold_all("d(alpha)/d(delta)", &live.table([&x.alpha_slope, &y.alpha_slope]), &theirs["dalpha"], 1e-4);
    live.hold_all("d(phase)/d(delta)", &live.table([&x.phase_slope, &y.phase_slope]), &theirs["dmu"], 1e-4);
}

fn check(name: &'static str) {
    check_file(name, Path::new(name));
}

fn check_file(name: &'static str, lattice: &Path) {
    let mut live = Live::load(name, lattice);
    check_case(&mut live, "ideal");
    check_case(&mut live, "coupled");
    check_off_momentum(&mut live);
    live.finish();
}

/// A cell of the EBS.
#[test]
fn hmba() {
    check("hmba.mat");
}

#[test]
fn dba() {
    check("dba.mat");
}

/// The first ring of the ESRF.
#[test]
fn esrf() {
    check("esrf.m");
}

#[test]
fn soleil() {
    check("soleil.m");
}

/// A compact ring of 50 MeV.
#[test]
fn thomx() {
    check("thomx.m");
}

#[test]
fn australian_synchrotron() {
    check("australian_synchrotron.m");
}

/// The EBS with errors and corrections.
#[test]
fn ebs_with_errors() {
    check("err.mat");
}

/// The ring of pyAML's tests.
#[test]
fn fodo_1gev_6d() {
    check("fodo_1gev_6d.json");
}

/// The damping ring of CLIC, with 10 000 elements: from the folder of reference lattices beside the project.
#[test]
fn clic_dr() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("FODO_SHARED").map_or(beside, PathBuf::from);
    let lattice = folder.join("reference/clic_dr.at.json");
    if lattice.is_file() {
        check_file("clic_dr", &lattice);
    } else {
        _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: ../shared missing\n"));
    }
}
