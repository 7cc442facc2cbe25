//! Bunches: moments, emittances, reproducibility, fillings.

mod common;

use common::demo_ring;
use fodo_dynamics::{Filling, LossMap, Moments, NoBunch, Shape, Sizes, beam_matrix_at, distribution, loss_map};
use fodo_lattice::ElementAperture;
use fodo_optics::{Effects, Point, Ring};
use nalgebra::Matrix6;

const SIZES: Sizes = Sizes { emittance_x: 2e-8, emittance_y: 5e-10, energy_spread: 1e-3, length: 8e-3 };

fn matrix_at(place: usize) -> Matrix6<f64> {
    let optics = Ring::new(&demo_ring(), Effects::NONE).optics().expect("stable");
    beam_matrix_at(&optics, place, &SIZES).expect("a beam matrix")
}

#[test]
fn every_shape_has_the_moments_wanted() {
    let matrix = matrix_at(30);
    let centre = [1e-3, 0.0, -5e-4, 0.0, 1e-4, 0.0];
    for shape in [Shape::Gaussian, Shape::Truncated(1.5), Shape::Waterbag, Shape::KapchinskijVladimirskij] {
        let particles = distribution(200_000, &centre, &matrix, shape, 7).expect("a bunch");
        let moments = Moments::of(&particles).expect("particles");
        for row in 0..6 {
            let size = matrix[(row, row)].sqrt();
            assert!((moments.centre[row] - centre[row]).abs() < 5.0 * size / 200_000f64.sqrt(), "{shape:?} {row}");
            for column in 0..6 {
                let scale = size * matrix[(column, column)].sqrt();
                let apart = (moments.matrix[(row, column)] - matrix[(row, column)]).abs() / scale;
                assert!(apart < 5.0 * 1.5 / 200_000f64.sqrt(), "{shape:?} {row} {column}: {apart}");
            }
        }
        let [x, y] = moments.emittances_without_dispersion();
        eprintln!("{shape:?}: emittances {x:.4e} {y:.4e}");
        assert!((x / SIZES.emittance_x - 1.0).abs() < 0.01 && (y / SIZES.emittance_y - 1.0).abs() < 0.01);
    }
}

/// What lies outside: nothing beyond the cut of a truncated plane, nor beyond the edge of a waterbag; the four
/// transverse coordinates of a KV beam lie on one surface.
#[test]
fn shapes_end_where_they_should() {
    let unit = Matrix6::identity();
    let radius = |z: &Point<f64>, rows: std::ops::Range<usize>| z[rows].iter().map(|v| v * v).sum::<f64>().sqrt();
    let all = |shape| distribution(20_000, &[0.0; 6], &unit, shape, 1).expect("a bunch");
    let cut: f64 = 2.0;
    let half = 0.5 * cut * cut;
    let variance = 1.0 - half * (-half).exp() / (1.0 - (-half).exp());
    assert!(all(Shape::Truncated(cut)).iter().all(|z| radius(z, 2..4) <= cut / variance.sqrt() + 1e-12));
    assert!(all(Shape::Waterbag).iter().all(|z| radius(z, 0..6) <= 8f64.sqrt()));
    // evenly filled: the share inside half the radius is 2^-6
    let inside = all(Shape::Waterbag).iter().filter(|z| radius(z, 0..6) <= 2f64.sqrt()).count();
    assert!((inside as f64 - 20_000.0 / 64.0).abs() < 5.0 * (20_000.0f64 / 64.0).sqrt(), "{inside}");
    assert!(all(Shape::KapchinskijVladimirskij).iter().all(|z| (radius(z, 0..4) - 2.0).abs() < 1e-12));
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let matrix = matrix_at(0);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let particles = distribution(30_000, &[0.0; 6], &matrix, Shape::Truncated(3.0), 42).expect("a bunch");
            let moments = Moments::of(&particles).expect("particles");
            (particles, moments)
        })
    };
    let (one, three) = (on(1), on(3));
    assert!(one == three);
    let other = distribution(30_000, &[0.0; 6], &matrix, Shape::Truncated(3.0), 43).expect("a bunch");
    assert!(one.0 != other);
    let shorter = distribution(10, &[0.0; 6], &matrix, Shape::Truncated(3.0), 42).expect("a bunch");
    assert_eq!(shorter[..], one.0[..10], "a particle does not depend on how many there are");
}

/// Linear motion keeps mode emittances, also through dispersion; projected ones it does not.
#[test]
fn mode_emittances_are_kept() {
    let ring = Ring::new(&demo_ring(), Effects::NONE);
    let matrices = ring.transfer_matrices(&[0.0; 6]).expect("not lost");
    let start = Moments { count: 1, centre: [0.0; 6], matrix: matrix_at(0) };
    let before = start.mode_emittances();
    assert!((before[0] / (SIZES.energy_spread * SIZES.length) - 1.0).abs() < 0.2, "{before:?}");
    for matrix in &matrices {
        let there = Moments { matrix: matrix * start.matrix * matrix.transpose(), ..start };
        for (before, after) in before.iter().zip(there.mode_emittances()) {
            assert!((after / before - 1.0).abs() < 1e-6, "{before} {after}");
        }
    }
}

#[test]
fn matched_beams_come_round_as_they_were() {
    let mut ring = Ring::new(&demo_ring(), Effects::NONE);
    ring.set_delta(0.0);
    let matrix = matrix_at(0);
    let turn = ring.one_turn_matrix(&[0.0; 6]).expect("not lost");
    let after = turn * matrix * turn.transpose();
    for row in 0..5 {
        for column in 0..5 {
            let scale = (matrix[(row, row)] * matrix[(column, column)]).sqrt();
            assert!((after[(row, column)] - matrix[(row, column)]).abs() < 1e-9 * scale, "{row} {column}");
        }
    }
}

#[test]
fn flat_beams_and_nonsense() {
    let mut matrix = Matrix6::zeros();
    matrix[(0, 0)] = 1e-6;
    let flat = distribution(100, &[0.0; 6], &matrix, Shape::Gaussian, 3).expect("a beam without extent but in x");
    assert!(flat.iter().all(|z| z[0] != 0.0 && z[1..] == [0.0; 5]));
    matrix[(2, 2)] = -1.0;
    assert_eq!(distribution(1, &[0.0; 6], &matrix, Shape::Gaussian, 3), Err(NoBunch::NotABeamMatrix(2)));
    matrix[(2, 2)] = 1.0;
    matrix[(0, 2)] = 1e-3;
    assert!(distribution(1, &[0.0; 6], &matrix, Shape::Gaussian, 3).is_err(), "not symmetric");
    assert!(distribution(1, &[0.0; 6], &Matrix6::identity(), Shape::Truncated(0.0), 3).is_err());
    assert_eq!(Moments::of(&[[f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0]]), None);
}

#[test]
fn fillings() {
    let train = Filling::train(90, 10, 20, 2, 1e-8).expect("a train");
    assert_eq!((train.charges().len(), train.charges()[1].0), (20, 12));
    assert!((train.charges().iter().map(|(_, charge)| charge).sum::<f64>() - 1e-8).abs() < 1e-22);
    assert_eq!(Filling::train(90, 80, 20, 1, 1e-8), Err(NoBunch::NoBucket(90, 90)));
    assert_eq!(Filling::new(90, vec![(3, 1e-9), (3, 1e-9)]), Err(NoBunch::FilledTwice(3)));
    let bunches = train.bunches(76.8, 100, &[0.0; 6], &matrix_at(0), Shape::Gaussian, 5).expect("bunches");
    assert!((bunches[0].offset - 76.8 * 10.0 / 90.0).abs() < 1e-12);
    assert_ne!(bunches[0].particles, bunches[1].particles);
}

#[test]
fn losses_are_counted_where_and_when_they_happen() {
    let mut lattice = demo_ring();
    let limits = ElementAperture { rectangle: Some([-2.5e-3, 2.5e-3, -1e-3, 1e-3]), ellipse: None };
    for index in [8, 100] {
        lattice.elements[index].aperture = Some(Box::new(limits.clone()));
    }
    let ring = Ring::new(&lattice, Effects::NONE);
    let sizes = Sizes { emittance_x: 3e-7, emittance_y: 1e-7, energy_spread: 1e-3, length: 8e-3 };
    let matrix = beam_matrix_at(&ring.optics().expect("stable"), 0, &sizes).expect("a beam matrix");
    let mut particles = distribution(2_000, &[0.0; 6], &matrix, Shape::Gaussian, 9).expect("a bunch");
    particles[17][0] = f64::NAN;
    let mut again = particles.clone();
    let map: LossMap = loss_map(&ring, &mut particles, 20, 5);
    eprintln!("{} lost, {} left; per turn {:?}", map.lost.len(), map.survivors, map.per_turn);
    assert_eq!(map.absent, 1);
    assert_eq!(map.survivors + map.lost.len() + 1, 2_000);
    assert_eq!(map.per_element.iter().sum::<u64>(), map.lost.len() as u64);
    assert_eq!(map.per_element[8] + map.per_element[100], map.lost.len() as u64);
    assert_eq!(map.per_turn.iter().sum::<u64>(), map.lost.len() as u64);
    assert!(map.per_turn[0] > map.per_turn[19] && map.lost.iter().all(|lost| (5..25).contains(&lost.loss.turn)));
    assert_eq!(map.survivors_per_turn()[19], map.survivors as u64);
    assert_eq!(map.along(7).iter().sum::<u64>(), map.lost.len() as u64);
    assert_eq!(map.lost[0].position, ring.positions()[map.lost[0].loss.element + 1]);
    let alone = ring.track(&mut again, 20, 5);
    assert_eq!(alone.iter().flatten().count(), map.lost.len(), "chunks change nothing");
}
