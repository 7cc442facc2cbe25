//! Wakes on bunches: loss factors, beam loading over turns, kicks by offset charges, against closed forms.

mod common;

use std::f64::consts::{PI, TAU};

use common::demo_ring;
use fodo_dynamics::{
    Bunch, Filling, NoWake, Resonator, Shape, Sizes, Station, Wake, WakeField, WakeFunction, beam_matrix_at,
    track_train,
};
use fodo_lattice::{Body, Element, Lattice, Reference};
use fodo_optics::constants::SPEED_OF_LIGHT;
use fodo_optics::{Effects, Point, Ring};

const ENERGY: f64 = 3e9;
const LENGTH: f64 = 120.0;
const CHARGE: f64 = 2e-9;

/// A ring of nothing but space, in which nobody moves without a kick.
fn space() -> Ring {
    let half = || Element::new("D", 0.5 * LENGTH, Body::Drift { exact: false });
    let lattice = Lattice {
        name: "space".into(),
        energy: ENERGY,
        periodicity: 1,
        harmonic_number: None,
        rest_energy: 0.0,
        reference: Reference::default(),
        elements: vec![half(), half()],
    };
    Ring::new(&lattice, Effects::NONE)
}

/// Particles whose ct lie where equal parts of a normal distribution end, all else 0.
fn even_gaussian(count: usize, length: f64) -> Bunch {
    let cells = 200_000;
    let step = 16.0 / f64::from(cells);
    let (mut sum, mut particles) = (0.0, vec![]);
    for cell in 0..cells {
        let at = -8.0 + (f64::from(cell) + 0.5) * step;
        sum += (-0.5 * at * at).exp() * step / TAU.sqrt();
        while particles.len() < count && sum > (particles.len() as f64 + 0.5) / count as f64 {
            particles.push([0.0, 0.0, 0.0, 0.0, 0.0, at * length]);
        }
    }
    Bunch { particles, charge: CHARGE, offset: 0.0 }
}

fn longitudinal(resonator: Resonator) -> Wake {
    Wake { longitudinal: vec![resonator.longitudinal().expect("a resonator")], ..Wake::default() }
}

fn mean_delta(bunch: &Bunch) -> f64 {
    bunch.particles.iter().map(|z| z[4]).sum::<f64>() / bunch.particles.len() as f64
}

/// Loss factor of a Gaussian bunch: `1/pi` times the integral of `Re Z exp(-(w sigma / c)²)` [V/C].
fn loss_factor(resonator: Resonator, length: f64) -> f64 {
    let sigma = length / SPEED_OF_LIGHT;
    let top = 7.0 / sigma;
    let steps = 4_000_000;
    let width = top / f64::from(steps);
    let power = |step: i32| {
        let w = (f64::from(step) + 0.5) * width;
        let ratio = w / (TAU * resonator.frequency);
        let off = resonator.quality * (1.0 / ratio - ratio);
        resonator.shunt / (1.0 + off * off) * (-(w * sigma).powi(2)).exp() * width
    };
    (0..steps).map(power).sum::<f64>() / PI
}

/// Short and long bunches, a broad band and a sharp mode. The grid is good to about the square of its step over the
/// bunch length.
#[test]
fn a_gaussian_bunch_loses_what_its_loss_factor_says() {
    let ring = space();
    let length = 5e-3;
    for (frequency, quality) in [(20e9, 1.0), (3e9, 0.8), (500e6, 2e3)] {
        let resonator = Resonator { frequency, quality, shunt: 1e4 };
        let mut field = WakeField::new(&longitudinal(resonator), 1000).expect("a field");
        let mut bunches = [even_gaussian(20_000, length)];
        field.pass(&ring, &mut bunches, 0);
        let lost = -mean_delta(&bunches[0]) * ENERGY;
        let expected = CHARGE * loss_factor(resonator, length);
        eprintln!("{frequency:e} Hz, Q {quality}: loses {lost:.4} eV, expected {expected:.4} eV");
        assert!(expected > 0.0 && (lost / expected - 1.0).abs() < 1e-3, "{frequency:e} {quality}");
    }
}

/// A table of a wake does what the wake does, as far as straight lines between its points can.
#[test]
fn a_table_is_as_good_as_its_resonator() {
    let ring = space();
    let resonator = Resonator { frequency: 10e9, quality: 3.0, shunt: 1e4 };
    let ringing = resonator.longitudinal().expect("a resonator");
    let delay: Vec<f64> = (0..20_000).map(|k| f64::from(k) * 1e-14).collect();
    // twice the half felt at 0, which is where a table begins
    let value = delay.iter().map(|&t| if t == 0.0 { 2.0 * ringing.at(0.0) } else { ringing.at(t) }).collect();
    let table = WakeFunction::table(delay, value).expect("a table");
    let by = |function: WakeFunction| {
        let wake = Wake { longitudinal: vec![function], ..Wake::default() };
        let mut bunches = [even_gaussian(2000, 4e-3)];
        WakeField::new(&wake, 100).expect("a field").pass(&ring, &mut bunches, 0);
        bunches[0].particles.iter().map(|z| z[4]).collect::<Vec<f64>>()
    };
    let (one, other) = (by(ringing), by(table));
    let largest = one.iter().fold(0.0, |most: f64, delta| most.max(delta.abs()));
    let apart = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-5 * largest, "{apart:e} of {largest:e}");
}

/// A point-like bunch in a cavity mode: after n turns it loses `q A (1/2 + sum exp(-a k T) cos w k T ...)`; a second
/// bunch half a turn later sees what both have left.
#[test]
fn beam_loading_builds_up_over_turns_and_bunches() {
    let ring = space();
    let turn = LENGTH / SPEED_OF_LIGHT;
    let resonator = Resonator { frequency: 200.02 / turn, quality: 5e3, shunt: 1e6 };
    let function = resonator.longitudinal().expect("a resonator");
    let bunch = |offset| Bunch { particles: vec![[0.0; 6]; 3], charge: CHARGE, offset };
    let mut bunches = [bunch(0.0), bunch(0.5 * LENGTH)];
    let mut stations = [Station { element: 1, field: WakeField::new(&longitudinal(resonator), 10).expect("a field") }];
    let record = track_train(&ring, &mut bunches, &mut stations, 40, 0).expect("a record");
    let mut before = [0.0; 2];
    for (now, moments) in record.moments.iter().enumerate() {
        for (index, moments) in moments.iter().enumerate() {
            let delta = moments.expect("particles").centre[4];
            let lost = (before[index] - delta) * ENERGY;
            before[index] = delta;
            // all that came before, at every half turn; the first one alone at first
            let earlier = 1..=2 * now + index;
            let from_others: f64 = earlier.map(|halves| function.at(halves as f64 * 0.5 * turn)).sum();
            let expected = CHARGE * (function.at(0.0) + from_others);
            assert!((lost - expected).abs() < 1e-9 * CHARGE * 1e15, "turn {now}, bunch {index}: {lost} {expected}");
            assert!(lost > 0.0, "near resonance every passage costs energy");
        }
    }
    assert!(record.losses.iter().flatten().all(Option::is_none));
}

/// A charge ahead and off the axis kicks the one behind it, which is on the axis, towards its own side; nothing is felt
/// ahead. On a quadrupolar wake the one behind is kicked by its own offset.
#[test]
fn offset_charges_kick_those_behind_them() {
    let ring = space();
    let resonator = Resonator { frequency: 5e9, quality: 2.0, shunt: 1e6 };
    let function = resonator.transverse().expect("a resonator");
    let gap = 0.01;
    let (head, tail): (Point<f64>, Point<f64>) = ([1e-3, 0.0, -2e-3, 0.0, 0.0, 0.0], [0.0, 0.0, 5e-4, 0.0, 0.0, gap]);
    let pair = || [Bunch { particles: vec![head, tail], charge: CHARGE, offset: 0.0 }];
    let both = || [vec![function.clone()], vec![function.clone()]];
    let value = function.at(gap / SPEED_OF_LIGHT);
    assert!(value > 0.0, "less than half a period behind");
    let unit = 0.5 * CHARGE * value / ENERGY;

    let mut bunches = pair();
    let wake = Wake { dipolar: both(), ..Wake::default() };
    WakeField::new(&wake, 2).expect("a field").pass(&ring, &mut bunches, 0);
    let [first, second] = [bunches[0].particles[0], bunches[0].particles[1]];
    assert_eq!(first, head);
    assert!((second[1] - unit * head[0]).abs() < 1e-15 * unit && (second[3] - unit * head[2]).abs() < 1e-15 * unit);
    assert_eq!(second[4], 0.0);

    let mut bunches = pair();
    let wake = Wake { quadrupolar: both(), ..Wake::default() };
    WakeField::new(&wake, 2).expect("a field").pass(&ring, &mut bunches, 0);
    let [first, second] = [bunches[0].particles[0], bunches[0].particles[1]];
    assert_eq!(first, head);
    assert!(second[1] == 0.0 && (second[3] - unit * tail[2]).abs() < 1e-15 * unit);
}

/// A fill of a real ring with a gap: the dipole mode of a cavity makes it unstable or not, but every bunch stays a
/// bunch, and without wakes the train goes as each bunch would go alone.
#[test]
fn a_fill_goes_round_together() {
    let lattice = demo_ring();
    let ring = Ring::new(&lattice, Effects::CAVITY);
    let optics = Ring::new(&lattice, Effects::NONE).optics().expect("stable");
    let sizes = Sizes { emittance_x: 2e-8, emittance_y: 2e-9, energy_spread: 1e-4, length: 8e-3 };
    let matrix = beam_matrix_at(&optics, 0, &sizes).expect("a beam matrix");
    let centre = ring.find_closed_orbit().expect("an orbit").start();
    let harmonic = lattice.harmonic_number.expect("a harmonic number");
    let fill = Filling::new(harmonic, vec![(0, 1e-9), (1, 2e-9), (7, 1e-9)]).expect("a fill");
    let make = || fill.bunches(ring.length(), 200, &centre, &matrix, Shape::Gaussian, 5).expect("bunches");
    let mut alone = make();
    for bunch in &mut alone {
        ring.track_section(&mut bunch.particles, 0..ring.len(), 0);
    }
    let mut together = make();
    let nothing = WakeField::new(&Wake::default(), 20).expect("a field");
    let mut stations = [20, 80].map(|element| Station { element, field: nothing.clone() });
    let record = track_train(&ring, &mut together, &mut stations, 1, 0).expect("a record");
    assert_eq!(alone, together);
    assert_eq!((record.moments.len(), record.moments[0].len()), (1, 3));

    let mode = Resonator { frequency: 1.3e9, quality: 1e4, shunt: 1e8 };
    let wake = Wake {
        longitudinal: vec![Resonator { shunt: 1e5, ..mode }.longitudinal().expect("a resonator")],
        dipolar: [vec![mode.transverse().expect("a resonator")], vec![]],
        ..Wake::default()
    };
    let field = WakeField::new(&wake, 20).expect("a field");
    let mut kicked = make();
    let mut stations = [Station { element: 20, field: field.clone() }];
    let record = track_train(&ring, &mut kicked, &mut stations, 10, 0).expect("a record");
    assert!(record.moments.iter().flatten().all(|moments| moments.is_some_and(|moments| moments.count == 200)));
    assert!(kicked != make());
    // the same again, bit for bit: what is remembered can be forgotten
    let mut again = make();
    stations[0].field.clear();
    assert_eq!(record, track_train(&ring, &mut again, &mut stations, 10, 0).expect("a record"));
    assert_eq!(kicked, again);
    let mut beyond = [Station { element: ring.len() + 1, field }];
    let refused = track_train(&ring, &mut again, &mut beyond, 1, 0);
    assert_eq!(refused, Err(NoWake::NoElement(ring.len() + 1, ring.len())));
}

#[test]
fn impossible_wakes_are_refused() {
    let wrong = |quality| Resonator { frequency: 1e9, quality, shunt: 1.0 }.transverse();
    assert_eq!(wrong(0.4), Err(NoWake::BadNumber("the quality factor of a resonator", 0.4)));
    assert!(WakeFunction::table(vec![0.0, 1.0], vec![1.0]).is_err());
    assert!(WakeFunction::table(vec![1.0, 1.0], vec![1.0, 1.0]).is_err());
    assert!(WakeFunction::table(vec![0.0, 1.0], vec![1.0, f64::NAN]).is_err());
    assert!(WakeField::new(&Wake::default(), 1).is_err());
    // a table that begins at 0 is felt by half where the charge itself is, and not ahead of it
    let table = WakeFunction::table(vec![0.0, 1.0, 3.0], vec![4.0, 2.0, 0.0]).expect("a table");
    let values = [-0.1, 0.0, 0.5, 1.0, 2.0, 3.0, 3.1].map(|delay| table.at(delay));
    assert_eq!(values, [0.0, 2.0, 3.0, 2.0, 1.0, 0.0, 0.0]);
    let potential = WakeFunction::table(vec![-1.0, 0.0, 1.0], vec![0.0, 2.0, 0.0]).expect("a table");
    assert_eq!([-0.5, 0.0, 0.5].map(|delay| potential.at(delay)), [1.0, 2.0, 1.0]);
}
