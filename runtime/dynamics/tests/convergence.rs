//! What slices and model choices move, on the demo ring.

mod common;

use common::demo_ring;
use fodo_dynamics::{ModelChoice, NoConvergence, Quantity, convergence, figures, with_slices};
use fodo_lattice::{Body, Lattice};

/// The demo ring with this many slices in every magnet.
fn sliced(slices: u32) -> Lattice {
    let mut lattice = demo_ring();
    for element in &mut lattice.elements {
        match &mut element.body {
            Body::Bend(bend) => bend.magnet.slices = slices,
            Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Multipole(magnet) => magnet.slices = slices,
            _ => {}
        }
    }
    lattice
}

fn value(lattice: &Lattice, quantity: Quantity) -> f64 {
    let figures = figures(lattice).expect("stable");
    figures.iter().find(|(other, _)| *other == quantity).expect("a figure").1
}

#[test]
fn with_one_slice_the_tunes_are_off_by_what_is_reported() {
    let study = convergence(&sliced(1)).expect("stable");
    assert_eq!(study.slices, Some((1, 1)));
    let right = sliced(100);
    for quantity in [Quantity::TuneX, Quantity::TuneY, Quantity::BetaMaxX, Quantity::EnergyLoss, Quantity::DampingX] {
        let shift = study.get(quantity).expect("a figure");
        let off = value(&right, quantity) - shift.value;
        eprintln!(
            "{:18} off by {off:9.2e}, reported {:9.2e}, order {:?}",
            quantity.name(),
            shift.by_slices,
            shift.order
        );
        assert!((shift.by_slices / off - 1.0).abs() < 0.05, "{quantity:?}: off by {off}, reported {}", shift.by_slices);
        assert!((shift.limit - (shift.value + off)).abs() < shift.uncertainty.max(1e-12), "{shift:?}");
    }
}

#[test]
fn with_eighty_slices_nothing_is_left_to_gain() {
    let forty = convergence(&sliced(40)).expect("stable");
    let shift = forty.get(Quantity::TuneY).expect("a figure").by_slices;
    assert!(shift > 6e-9 && shift < 8e-9, "{shift}");
    let study = convergence(&sliced(80)).expect("stable");
    for shift in &study.shifts {
        eprintln!("{:20} {:18.12} {:9.1e} {:?}", shift.quantity.name(), shift.value, shift.by_slices, shift.order);
    }
    for quantity in [Quantity::TuneX, Quantity::TuneY, Quantity::MomentumCompaction] {
        let shift = study.get(quantity).expect("a figure");
        assert!(shift.by_slices.abs() < 1e-9, "{shift:?}");
    }
}

#[test]
fn the_integrator_is_of_fourth_order() {
    let study = convergence(&sliced(8)).expect("stable");
    for quantity in [Quantity::TuneX, Quantity::TuneY, Quantity::BetaMaxX, Quantity::BetaMaxY] {
        let order = study.get(quantity).expect("a figure").order.expect("above rounding");
        assert!((order - 4.0).abs() < 0.05, "{quantity:?}: {order}");
    }
    let [coarse, fine] = [8, 16].map(|slices| convergence(&sliced(slices)).expect("stable"));
    let by = |study: &fodo_dynamics::Convergence| study.get(Quantity::TuneX).expect("a tune").by_slices;
    let ratio = by(&coarse) / by(&fine);
    assert!((ratio - 16.0).abs() < 0.2, "{ratio}");
}

#[test]
fn model_choices_move_what_they_should() {
    let lattice = demo_ring();
    let study = convergence(&lattice).expect("stable");
    let by = |quantity: Quantity, choice: ModelChoice| {
        let shift = study.get(quantity).expect("a figure");
        shift.by_model.iter().find(|(other, _)| *other == choice).expect("the choice").1
    };
    for shift in &study.shifts {
        let models: Vec<_> = shift.by_model.iter().map(|(choice, by)| (choice.name(), *by)).collect();
        eprintln!("{:20} {:16.10} by slices {:9.1e} {models:?}", shift.quantity.name(), shift.value, shift.by_slices);
    }
    assert_eq!(study.changed[0], (ModelChoice::ExactDrifts, 64));
    assert_eq!(study.changed[2], (ModelChoice::ExactBends, 32));
    assert_eq!(study.changed[3], (ModelChoice::QuadrupoleFringes, 32));
    // a square root differs from its expansion in the third order of the momenta: the tune stays, and how it goes
    // with the square of delta does not
    let exact = |quantity| by(quantity, ModelChoice::ExactDrifts).expect("a figure");
    assert!(exact(Quantity::TuneX).abs() < 1e-12, "{}", exact(Quantity::TuneX));
    assert!(exact(Quantity::SecondChromaticityX).abs() > 0.1, "{}", exact(Quantity::SecondChromaticityX));
    // on a flat orbit all maps lose the same energy, but what a bend does to the chromaticity is a matter of its model
    for choice in [ModelChoice::ExactMagnets, ModelChoice::ExactBends] {
        assert!(by(Quantity::EnergyLoss, choice).expect("a figure").abs() < 1.0, "{choice:?}");
    }
    let chromaticity = by(Quantity::ChromaticityX, ModelChoice::ExactBends).expect("a figure");
    assert!(chromaticity.abs() > 1e-3, "{chromaticity}");
}

#[test]
fn a_ring_that_is_not_stable_says_with_which_slices() {
    let mut lattice = demo_ring();
    for index in lattice.indices_of(fodo_lattice::Class::Quadrupole) {
        lattice.elements[index].field_mut().expect("a field").set_upright(1, 9.0);
    }
    assert!(matches!(convergence(&lattice), Err(NoConvergence::Slices(1, _))));
    assert!(matches!(with_slices(&demo_ring(), u32::MAX), Err(NoConvergence::TooManySlices(..))));
}
