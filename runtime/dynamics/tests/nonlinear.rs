//! Nonlinear motion against pyAT (live): losses, momentum aperture, detuning, tunes over amplitude.

mod common;

use std::sync::LazyLock;

use common::{ask_peer, ebs_ring, for_pyat, numbers};
use fodo_dynamics::{
    DetuningOptions, DynamicApertureOptions, FrequencyMapOptions, Grid, MomentumApertureOptions, Motion, Search,
    detuning_by_tracking, frequency_map, momentum_aperture, survival_map,
};
use fodo_lattice::{Class, Lattice};
use fodo_optics::{Effects, Ring};
use serde_json::{Value, json};

const TURNS: u64 = 512;
const WINDOW: usize = 512;
const MOMENTUM_TURNS: u64 = 256;
const AMPLITUDES: [f64; 5] = [2e-4, 5e-4, 1e-3, 1.5e-3, 2e-3];

/// The first cell of the ring of the ESRF.
fn cell() -> Lattice {
    let mut lattice = ebs_ring();
    lattice.elements.truncate(lattice.elements.len() / 32);
    lattice.periodicity = 32;
    lattice
}

fn starts() -> Vec<[f64; 2]> {
    let point = |k: i32| [1.2e-3 * f64::from(k % 25 - 12), 6e-4 * f64::from(k / 25)];
    (0..250).map(point).collect()
}

fn places(lattice: &Lattice) -> Vec<usize> {
    lattice.indices_of(Class::Monitor).into_iter().step_by(2).collect()
}

/// pyAT's answers to everything here.
static THEIRS: LazyLock<Value> = LazyLock::new(|| {
    let lattice = cell();
    let particles: Vec<[f64; 6]> = starts().iter().map(|[x, y]| [x + 1e-9, 0.0, y + 1e-9, 0.0, 0.0, 0.0]).collect();
    let question = json!({
        "lattice": for_pyat(&lattice, "nonlinear"), "starts": particles, "turns": TURNS, "elements": places(&lattice),
        "momentum_turns": MOMENTUM_TURNS, "amplitudes": AMPLITUDES, "window": WINDOW,
    });
    ask_peer("nonlinear.py", &question)
});

fn ring() -> Ring {
    Ring::new(&cell(), Effects::NONE)
}

/// Who is lost soon is lost in the same turn and element. What is left near the edge after many turns is chaotic, and
/// depends on rounding: a few particles of 250 may differ.
#[test]
fn the_same_particles_are_lost() {
    let options = DynamicApertureOptions { turns: TURNS, ..DynamicApertureOptions::default() };
    let ours = survival_map(&ring(), &starts(), &options).expect("an orbit");
    let theirs = THEIRS["losses"].as_array().expect("a list");
    let (mut differ, mut lost) = (0, 0);
    for (ours, theirs) in ours.iter().zip(theirs) {
        lost += usize::from(ours.is_some());
        differ += usize::from(ours.is_some() == theirs.is_null());
        if let Some(loss) = ours.filter(|loss| loss.turn < 20) {
            assert_eq!(theirs, &json!([loss.turn, loss.element]));
        }
    }
    eprintln!("{lost} of 250 are lost; {differ} differ");
    assert!(lost > 40 && lost < 210, "{lost}");
    assert!(differ <= 3, "{differ}");
}

/// The same plain bisection, to 1e-3: a step more or less is one resolution.
#[test]
fn momentum_apertures_agree() {
    let lattice = cell();
    let search = Search::Bisection { steps: 1, tolerance: 0.01 };
    let options = MomentumApertureOptions { limits: [-0.1, 0.1], turns: MOMENTUM_TURNS, search };
    let ours = momentum_aperture(&ring(), &places(&lattice), &options).expect("an aperture");
    for (index, theirs) in THEIRS["momentum"].as_array().expect("a list").iter().enumerate() {
        let pair = numbers(theirs);
        let (theirs, ours) = ([pair[0], pair[1]], [ours.negative[index], ours.positive[index]]);
        eprintln!("{theirs:?} {ours:?}");
        assert!(theirs.iter().zip(ours).all(|(a, b)| (a - b).abs() < 2e-3), "{index}: {theirs:?} {ours:?}");
    }
}

/// Detuning of the whole ring. pyAT's straight line over amplitudes to 0.1 mm, and tunes without a window, are good to
/// some 1e-4.
#[test]
fn detuning_agrees() {
    let ours = detuning_by_tracking(&ring(), &DetuningOptions::default()).expect("a detuning");
    let [from_x, from_y] = [0, 1].map(|row| numbers(&THEIRS["detuning"][row]));
    eprintln!("{ours:?}; pyAT {from_x:?} {from_y:?}");
    let near = |ours: f64, theirs: f64| assert!((ours / theirs - 1.0).abs() < 1e-3, "{ours} {theirs}");
    near(ours.x_x, from_x[0]);
    near(ours.x_y, 0.5 * (from_x[1] + from_y[0]));
    near(ours.y_y, from_y[1]);
}

/// Tunes of single particles over 512 turns; pyAT's transform without a window sees other lines as well: 2e-7 here.
#[test]
fn tunes_over_amplitude_agree() {
    let none = vec![0.0];
    let grids = [
        Grid::Transverse { x: AMPLITUDES.to_vec(), y: none.clone() },
        Grid::Transverse { x: none, y: AMPLITUDES.to_vec() },
    ];
    for (plane, grid) in grids.iter().enumerate() {
        let options = FrequencyMapOptions { window: WINDOW, ..FrequencyMapOptions::default() };
        let map = frequency_map(&ring(), grid, &options).expect("a map");
        for (point, theirs) in map.iter().zip(numbers(&THEIRS["tunes"][plane])) {
            let Motion::Survives { tunes, .. } = point.motion else { panic!("{point:?}") };
            let apart = (tunes[plane] - theirs).abs();
            eprintln!("{:?}: {} {theirs}", point.start, tunes[plane]);
            assert!(apart < 1e-6, "{:?}: {apart:.1e}", point.start);
        }
    }
}
