//! Laws of optical functions: coupled, off momentum, inside elements. No reference numbers.

use std::f64::consts::{PI, TAU};
use std::path::PathBuf;

use fodo_lattice::{Body, Class, Element, Field, Lattice, Reference, Thin};
use fodo_optics::{Effects, Estimate, Ring};
use nalgebra::{Matrix2, Matrix4};

fn demo_ring() -> Lattice {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../facilities/demo_ring/lattice.toml");
    Lattice::load(path).expect("the demo ring")
}

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

fn thin(b: Vec<f64>, a: Vec<f64>) -> Element {
    Element::new("Q", 0.0, Body::ThinMultipole(Thin { field: Field::new(b, a), bending_angle: [0.0; 2] }))
}

fn drift(length: f64) -> Element {
    Element::new("D", length, Body::Drift { exact: false })
}

/// A FODO cell of thin quadrupoles of strength 1/f, `length` apart, with a skew quadrupole in the first drift.
fn thin_cell(length: f64, strength: f64, skew: f64) -> Lattice {
    line(vec![
        thin(vec![0.0, strength], vec![]),
        drift(0.5 * length),
        thin(vec![], vec![0.0, skew]),
        drift(0.5 * length),
        thin(vec![0.0, -strength], vec![]),
        drift(length),
    ])
}

fn holds(what: &str, estimate: Estimate, truth: f64) {
    let Estimate { value, uncertainty } = estimate;
    eprintln!("{what:28} {value:14.6e} off by {:8.1e}, known to {uncertainty:8.1e}", (value - truth).abs());
    assert!((value - truth).abs() <= uncertainty, "{what}: {value} and {truth}");
}

/// sin(pi Q) = a/(1 + delta) with a = length/2f: tunes and their derivatives in closed form.
#[test]
fn chromaticities_of_a_thin_cell_are_those_of_the_formula() {
    for strength in [0.4, 0.95] {
        let ring = Ring::new(&thin_cell(2.0, strength, 0.0), Effects::NONE);
        let found = ring.momentum_dependence().expect("stable");
        let a: f64 = strength;
        let c2 = 1.0 - a * a;
        let root = c2.sqrt();
        // derivatives of asin(u) at a, and of u = a/(1 + delta) at 0
        let (f1, f2, f3) = (1.0 / root, a / (c2 * root), (1.0 + 2.0 * a * a) / (c2 * c2 * root));
        let (u1, u2, u3) = (-a, 2.0 * a, -6.0 * a);
        let truth = [f1 * u1, f2 * u1 * u1 + f1 * u2, f3 * u1.powi(3) + 3.0 * f2 * u1 * u2 + f1 * u3];
        for plane in [0, 1] {
            assert!((found.tunes[plane] - a.asin() / PI).abs() < 1e-12);
            for (estimate, truth) in found.chromaticity[plane].iter().zip(truth) {
                holds("chromaticity", *estimate, truth / PI);
                assert!(estimate.uncertainty < 1e-4 * truth.abs());
            }
        }
        let simple = ring.chromaticity().expect("stable");
        assert!(simple.iter().all(|value| (value / truth[0] * PI - 1.0).abs() < 1e-8), "{simple:?}");
    }
}

#[test]
fn what_is_expanded_in_momentum_is_what_off_momentum_rings_are() {
    let ring = Ring::new(&demo_ring(), Effects::ALL);
    let found = ring.momentum_dependence().expect("stable");
    let optics = ring.optics().expect("stable");
    assert!((found.tunes[0] - optics.tune_x()).abs() < 1e-10 && (found.tunes[1] - optics.tune_y()).abs() < 1e-10);
    holds("momentum compaction", found.momentum_compaction[0], optics.momentum_compaction);
    let pairs = found.dispersion[0].iter().flatten().zip(optics.dispersion.iter().flatten());
    let apart = pairs.map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max);
    assert!(apart <= found.dispersion_uncertainty[0] && apart < 1e-9, "{apart:.1e}");
    // all of it, put together again, at a momentum none of it was taken from
    let delta: f64 = 3e-3;
    let series = |c: [f64; 3]| c[0] * delta + c[1] * delta * delta + c[2] * delta.powi(3);
    let mut there = ring.with_effects(Effects::NONE);
    there.set_delta(delta);
    let orbit = there.find_closed_orbit().expect("a closed orbit");
    let optics = there.optics().expect("stable");
    let fourth = delta.powi(4);
    for (plane, tune) in [(0, optics.tune_x()), (1, optics.tune_y())] {
        let [first, second, third] = found.chromaticity[plane].map(|estimate| estimate.value);
        let left = tune - found.tunes[plane] - series([first, second / 2.0, third / 6.0]);
        assert!(left.abs() < 1e6 * fourth, "tune off by {left:.1e}");
    }
    for point in [0, 17, ring.len()] {
        let x = series([0, 1, 2].map(|order| found.dispersion[order][point][0]));
        assert!((orbit.at(point)[0] - x).abs() < 1e3 * fourth, "{} and {x}", orbit.at(point)[0]);
    }
    let path = (orbit.points[ring.len()][5] - orbit.start()[5]) / ring.length();
    let expected = series(found.momentum_compaction.map(|estimate| estimate.value));
    assert!((path - expected).abs() < 10.0 * fourth, "{path} and {expected}");
}

/// Half-integer resonances are driven with twice the betatron phase: W turns twice as fast as the beam where nothing is
/// chromatic, and its length stays.
#[test]
fn the_chromatic_amplitude_is_constant_in_a_drift() {
    let ring = Ring::new(&thin_cell(2.0, 0.5, 0.0), Effects::NONE);
    let (found, optics) = (ring.chromatic_functions().expect("stable"), ring.optics().expect("stable"));
    // beta in a drift is b - 2 a l/(1 + delta) + g l²/(1 + delta)²: the drift itself is chromatic, at known strength
    let (plane, length) = (&found.x, 2.0);
    let (beta, alpha) = (optics.beta_x[5], optics.alpha_x[5]);
    let gamma = (1.0 + alpha * alpha) / beta;
    let gamma_slope = (2.0 * alpha * plane.alpha_slope[5] - gamma * plane.beta_slope[5]) / beta;
    let expected = plane.beta_slope[5] - 2.0 * length * (plane.alpha_slope[5] - alpha)
        + length * length * (gamma_slope - 2.0 * gamma);
    assert!((plane.beta_slope[6] - expected).abs() < 1e-6, "{} and {expected}", plane.beta_slope[6]);
    let tune_slope = plane.phase_slope[6] / TAU;
    assert!((tune_slope - ring.chromaticity().expect("stable")[0]).abs() < 1e-7, "{tune_slope}");
    assert!((plane.amplitude[0] - plane.amplitude[6]).abs() < 1e-6, "periodic");
}

fn symplectic_error(v: &Matrix4<f64>) -> f64 {
    let mut form = Matrix4::zeros();
    for (q, p) in [(0, 1), (2, 3)] {
        (form[(q, p)], form[(p, q)]) = (1.0, -1.0);
    }
    (v.transpose() * form * v - form).amax()
}

fn turned(beta: f64, alpha: f64, tune: f64) -> Matrix2<f64> {
    let (sine, cosine) = (TAU * tune).sin_cos();
    let gamma = (1.0 + alpha * alpha) / beta;
    Matrix2::new(cosine + alpha * sine, beta * sine, -gamma * sine, cosine - alpha * sine)
}

/// One turn from every element is V (A, B) V⁻¹ with the functions found there.
fn check_decoupling(lattice: &Lattice) -> bool {
    let ring = Ring::new(lattice, Effects::NONE);
    let optics = ring.coupled_optics().expect("stable");
    for point in 0..ring.len() {
        let mut from_here = lattice.clone();
        from_here.elements.rotate_left(point);
        let turn = Ring::new(&from_here, Effects::NONE).one_turn_matrix(&optics.orbit[point]).expect("not lost");
        let turn: Matrix4<f64> = turn.fixed_view::<4, 4>(0, 0).into();
        let modes = [
            turned(optics.beta_1[point], optics.alpha_1[point], optics.tunes[0]),
            turned(optics.beta_2[point], optics.alpha_2[point], optics.tunes[1]),
        ];
        let (upper, lower) = if optics.exchanged[point] { (modes[1], modes[0]) } else { (modes[0], modes[1]) };
        let mut normal = Matrix4::zeros();
        normal.fixed_view_mut::<2, 2>(0, 0).copy_from(&upper);
        normal.fixed_view_mut::<2, 2>(2, 2).copy_from(&lower);
        let v = optics.decoupling(point);
        assert!(symplectic_error(&v) < 1e-11, "{:.1e}", symplectic_error(&v));
        let apart = (v * normal * v.try_inverse().expect("symplectic") - turn).amax() / turn.amax();
        assert!(apart < 1e-10, "point {point}: {apart:.1e}");
    }
    optics.exchanged.contains(&true)
}

#[test]
fn coupled_optics_take_the_one_turn_matrix_apart() {
    for skew in [0.0, 0.02, 0.15] {
        check_decoupling(&thin_cell(2.0, 0.45, skew));
    }
    let mut lattice = demo_ring();
    lattice.elements[6].set_misalignment(0.0, 0.0, 0.01);
    check_decoupling(&lattice);
}

/// Between two strong skew quadrupoles a mode is more than wholly in the other plane; functions go on there. What they do
/// is undone, with a negative drift, so that the ring itself is uncoupled.
#[test]
fn modes_change_places_where_they_must() {
    let skew = |strength| thin(vec![], vec![0.0, strength]);
    let mut lattice = thin_cell(2.0, 0.45, 0.0);
    lattice.elements[0] = thin(vec![0.0, 0.4], vec![]);
    lattice.elements.extend([skew(1.0), drift(2.0), skew(0.8), skew(-0.8), drift(-2.0), skew(-1.0)]);
    assert!(check_decoupling(&lattice), "coupled strongly enough");
}

#[test]
fn normal_optics_and_coupled_optics_are_two_views_of_one_motion() {
    let mut lattice = demo_ring();
    let quadrupole = lattice.indices_of(Class::Quadrupole)[3];
    lattice.elements[quadrupole].set_misalignment(1e-4, -1e-4, 0.02);
    let ring = Ring::new(&lattice, Effects::NONE);
    let (coupled, normal) = (ring.coupled_optics().expect("stable"), ring.normal_optics().expect("stable"));
    for point in 0..=ring.len() {
        assert!(!coupled.exchanged[point]);
        // the part of a mode in its own plane is gamma² of its beta
        let squared = coupled.gamma[point].powi(2);
        for (whole, part) in
            [(coupled.beta_1[point], normal.beta_x[point]), (coupled.beta_2[point], normal.beta_y[point])]
        {
            assert!((squared * whole / part - 1.0).abs() < 1e-11, "{whole} {part}");
        }
        let sum = normal.mode_matrix(point, 0) + normal.mode_matrix(point, 1);
        let beam: Matrix4<f64> = sum.fixed_view::<4, 4>(0, 0).into();
        assert!((beam.determinant() - 1.0).abs() < 1e-9, "equal emittances of 1 fill a volume of 1");
        for mode in [0, 1] {
            let matrix = normal.mode_matrix(point, mode);
            assert!((matrix - matrix.transpose()).amax() < 1e-9 && matrix[(0, 0)] >= 0.0 && matrix[(2, 2)] >= 0.0);
        }
    }
    let tunes = normal.tunes();
    assert!((tunes[0].fract() - coupled.tunes[0]).abs() < 1e-10 && (tunes[1].fract() - coupled.tunes[1]).abs() < 1e-10);
    assert!(coupled.gamma.iter().any(|gamma| *gamma < 0.9999), "coupled");
}

/// With equal tunes every mixture of eigenvectors is one; without coupling the planes are still taken apart.
#[test]
fn equal_tunes_without_coupling_are_two_planes() {
    let ring = Ring::new(&thin_cell(2.0, 0.5, 0.0), Effects::NONE);
    let (coupled, plain) = (ring.coupled_optics().expect("stable"), ring.optics().expect("stable"));
    for point in 0..=ring.len() {
        assert_eq!((coupled.gamma[point], coupled.coupling[point]), (1.0, Matrix2::zeros()));
        assert!((coupled.beta_1[point] / plain.beta_x[point] - 1.0).abs() < 1e-10);
        assert!((coupled.beta_2[point] / plain.beta_y[point] - 1.0).abs() < 1e-10);
    }
}

#[test]
fn radiation_damps_the_modes_of_normal_optics() {
    let ring = Ring::new(&demo_ring(), Effects::ALL);
    let optics = ring.normal_optics().expect("stable");
    assert_eq!(optics.modes, ring.modes().expect("stable"));
    let partition = optics.modes.iter().map(|mode| mode.damping).sum::<f64>();
    let mut end = optics.orbit[0];
    ring.with_effects(Effects { cavity: false, radiation: true }).pass(&mut end, 0.0).expect("not lost");
    let loss = optics.orbit[0][4] - end[4];
    // Robinson: damping rates add up to twice the relative energy loss
    assert!((partition / (2.0 * loss) - 1.0).abs() < 1e-2, "{partition} and {loss}");
    assert!(optics.damping_times().iter().all(|time| (1e-4..1.0).contains(time)));
}
