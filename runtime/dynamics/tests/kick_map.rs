//! Kick maps of insertion devices: the same files and the same particles as in pyAT (live).

mod common;

use std::path::{Path, PathBuf};

use common::{ask_peer, for_pyat};
use fodo_lattice::formats::{fodo, radia};
use fodo_lattice::{Alignment, Body, Element, KickMap, Lattice, Reference};
use fodo_optics::constants::{ELECTRON_REST_ENERGY, SPEED_OF_LIGHT};
use fodo_optics::{Effects, Point, Ring};
use serde_json::{Value, json};

const ENERGY: f64 = 3e9;

fn rigidity() -> f64 {
    (ENERGY * ENERGY - ELECTRON_REST_ENERGY * ELECTRON_REST_ENERGY).sqrt() / SPEED_OF_LIGHT
}

/// Kicks as an undulator makes them, with a first order as well, over a table of 21 by 9 uneven places.
fn device() -> KickMap {
    let x: Vec<f64> = (0..21).map(|i| 1e-3 * f64::from(i - 10) * (1.0 + 0.01 * f64::from(i))).collect();
    let y: Vec<f64> = (0..9).map(|i| 5e-4 * f64::from(i - 4) * (1.0 + 0.02 * f64::from(i))).collect();
    let table = |f: fn(f64, f64) -> f64| y.iter().flat_map(|y| x.iter().map(move |x| f(*x, *y))).collect();
    let second = [
        table(|x, y| -3e-5 * (200.0 * x).sin() * (300.0 * y).cosh()),
        table(|x, y| -8e-5 * (200.0 * x).cos() * (300.0 * y).sinh()),
    ];
    let first = [table(|x, y| 2e-6 * (1.0 + 1e4 * (x * x - y * y))), table(|x, y| -4e-2 * x * y)];
    KickMap { slices: 7, x, y, second, first }
}

fn line(map: KickMap) -> Lattice {
    let mut device = Element::new("ID", 1.6, Body::KickMap(map.into()));
    device.alignment = Some(Box::new(Alignment {
        t1: Some([1e-4, 0.0, -5e-5, 0.0, 0.0, 0.0]),
        t2: Some([-1e-4, 0.0, 5e-5, 0.0, 0.0, 0.0]),
        ..Alignment::default()
    }));
    Lattice {
        name: "line".into(),
        energy: ENERGY,
        periodicity: 1,
        harmonic_number: None,
        rest_energy: 0.0,
        reference: Reference::default(),
        elements: vec![
            Element::new("D", 0.5, Body::Drift { exact: false }),
            device,
            Element::new("E", 0.25, Body::Drift { exact: false }),
        ],
    }
}

/// Inside, near the edges, and some outside of the table.
fn particles() -> Vec<Point<f64>> {
    let point = |k: u32| {
        let t = f64::from(k);
        let wave = |rate: f64, size: f64| size * (rate * t).sin();
        [wave(0.7, 9.5e-3), wave(1.3, 5e-4), wave(2.1, 1.9e-3), wave(0.9, 3e-4), wave(1.7, 0.02), wave(0.3, 0.01)]
    };
    (0..200).map(point).collect()
}

fn tracked(lattice: &Lattice) -> Vec<Point<f64>> {
    let mut particles = particles();
    Ring::try_new(lattice, Effects::NONE).expect("a sound line").track(&mut particles, 1, 0);
    particles
}

/// Lost where they are lost, else as near as rounding; returns how many are lost.
fn compare(ours: &[Point<f64>], theirs: &Value) -> usize {
    let theirs = theirs.as_array().expect("particles");
    let mut lost = 0;
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        if theirs[0].is_null() {
            assert!(ours[0].is_nan(), "particle {index} is lost in pyAT only");
            lost += 1;
            continue;
        }
        for row in 0..6 {
            let apart = (ours[row] - theirs[row].as_f64().expect("a number")).abs();
            assert!(apart < 1e-16, "particle {index}, coordinate {row}: {apart:.1e}");
        }
    }
    lost
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn load(path: &Path) -> Lattice {
    Lattice::load(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn kick_maps_do_what_they_do_in_pyat() {
    let file = folder().join("kick_map.txt");
    std::fs::write(&file, radia::write(1.6, &device(), rigidity())).expect("a scratch file");
    let (length, map) = radia::read(&file, rigidity(), 7).expect("a kick map");
    assert_eq!((length, map.slices, &map.x, &map.y), (1.6, 7, &device().x, &device().y));
    let ours = line(map);
    let theirs = ask_peer(
        "kick_map.py",
        &json!({ "radia": file, "folder": folder(), "lattice": for_pyat(&ours, "kick_map_ours"), "particles": particles() }),
    );
    let lost = compare(&tracked(&ours), &theirs["pyat"]);
    eprintln!("{lost} of 200 particles are lost");
    assert!(lost > 20 && lost < 100);
    // what we write for the toolbox, and what it writes for us
    compare(&tracked(&ours), &theirs["ours"]);
    for ending in ["json", "mat", "m"] {
        let read = load(&folder().join(format!("kick_map_pyat.{ending}")));
        compare(&tracked(&read), &theirs["pyat"]);
        let Body::KickMap(map) = &read.elements[1].body else { panic!("a kick map") };
        let there = read.elements[1].extra.contains_key("Normalization_energy");
        assert!(map.slices == 7 && there, "{ending}");
    }
    let again = fodo::parse(&fodo::write(&ours).expect("a text")).expect("a lattice");
    assert_eq!(again.elements[1].body, ours.elements[1].body);
}

/// The derivative within a cell is that of the bilinear function: what differences over the cell give.
#[test]
fn kick_maps_have_the_matrix_of_their_cells() {
    let ring = Ring::new(&line(KickMap { slices: 1, ..device() }), Effects::NONE);
    let at = [2.3e-3, 1e-5, 4e-4, -2e-5, 1e-3, 0.0];
    let matrix = ring.one_turn_matrix(&at).expect("not lost");
    let passed = |column: usize, step: f64| {
        let mut z = at;
        z[column] += step;
        ring.pass(&mut z, 0.0).expect("not lost");
        z
    };
    for column in 0..6 {
        let (above, below) = (passed(column, 1e-6), passed(column, -1e-6));
        for row in 0..6 {
            let slope = (above[row] - below[row]) / 2e-6;
            assert!((slope - matrix[(row, column)]).abs() < 1e-8, "{row} {column}");
        }
    }
}

#[test]
fn mistakes_in_a_kick_map_are_told() {
    let good = radia::write(1.6, &device(), rigidity());
    let wrong = |text: String, expected: &str| {
        let error = radia::parse(&text, rigidity(), 7).expect_err("a mistake").to_string();
        assert!(error.contains(expected), "{error}");
    };
    wrong(good.replace("START", "BEGIN"), "expected START");
    wrong(good.replacen("\n21\n", "\n20\n", 1), "expected 20 numbers");
    wrong(good.replacen("\n9\n", "\n1\n", 1), "the number of vertical points cannot be 1");
    wrong(good[..good.len() / 2].to_string(), "");
    wrong(
        good.lines().take_while(|line| !line.contains("vertical kick")).collect::<Vec<_>>().join("\n"),
        "2 or 4 blocks",
    );
    let mut torn = device();
    torn.second[0].pop();
    assert!(Ring::try_new(&line(torn), Effects::NONE).is_err());
    let mut turned = device();
    turned.x.reverse();
    let problem = Ring::try_new(&line(turned), Effects::NONE).expect_err("a mistake").to_string();
    assert!(problem.contains("positions that do not rise"), "{problem}");
}
