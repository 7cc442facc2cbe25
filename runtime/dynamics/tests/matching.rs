//! Matches of rings and lines.

mod common;

use std::sync::Arc;
use std::time::Instant;

use common::{demo_ring, named, reference};
use fodo_dynamics::{Bound, Figure, Matching, NoMatch, Parameter, Target, Variable, match_optics};
use fodo_lattice::Lattice;
use fodo_optics::{Effects, Ring, Twiss};

/// A variable that is the strength of all quadrupoles or sextupoles with these names.
fn family(ring: &Ring, lattice: &Lattice, parameter: Parameter, name: &str) -> Variable {
    Variable::value(ring, name, parameter, &named(lattice, &[name])).expect("a family")
}

fn tune_match(lattice: &Lattice, families: [&str; 2], tunes: [f64; 2]) -> (Ring, Matching) {
    let ring = Ring::new(lattice, Effects::NONE);
    let variables = families.map(|name| family(&ring, lattice, Parameter::K1, name)).to_vec();
    let targets = vec![Target::equal(Figure::TuneX, tunes[0]), Target::equal(Figure::TuneY, tunes[1])];
    (ring, Matching::ring(variables, targets))
}

/// The strengths are those `scipy.optimize.root` (scipy 1.17, tolerance 1e-14) finds with pyAT 0.9.0 tracking and a
/// one-turn matrix from differences of fourth order.
#[test]
fn tunes_of_the_demo_ring() {
    let (mut ring, matching) = tune_match(&demo_ring(), ["QF", "QD"], [3.41, 3.31]);
    let found = match_optics(&mut ring, &matching).expect("a match");
    eprintln!("{found:?}");
    assert!((found.variables[0].after - 1.251_123_062_890_260_5).abs() < 1e-10, "{found:?}");
    assert!((found.variables[1].after + 1.314_056_360_474_059_8).abs() < 1e-10, "{found:?}");
    let optics = ring.optics().expect("stable");
    assert!((optics.tune_x() - 3.41).abs() < 1e-10 && (optics.tune_y() - 3.31).abs() < 1e-10);
    assert!(found.iterations <= 6, "{}", found.iterations);
}

/// As `scipy.optimize.least_squares` (trust region, bounds) finds it with pyAT: k1 of QF not below 1.254, the
/// vertical tune counting twice.
#[test]
fn a_bound_that_is_in_the_way_is_reported() {
    let (mut ring, mut matching) = tune_match(&demo_ring(), ["QF", "QD"], [3.41, 3.31]);
    matching.variables[0] = matching.variables[0].clone().within(1.254, 2.0);
    matching.targets[1].weight = 2.0;
    let before = ring.optics().expect("stable").tune_x();
    let Err(NoMatch::NotReached(nearest)) = match_optics(&mut ring, &matching) else { panic!("out of reach") };
    eprintln!("{}", NoMatch::NotReached(nearest.clone()));
    assert_eq!(nearest.variables[0].bound, Some(Bound::Lower));
    assert_eq!(nearest.variables[1].bound, None);
    assert!((nearest.variables[1].after - (-1.315018705207734)).abs() < 1e-7, "{}", nearest.variables[1].after);
    assert_eq!(ring.optics().expect("stable").tune_x(), before, "the ring is as it was");
}

#[test]
fn chromaticities_of_the_demo_ring() {
    let lattice = demo_ring();
    let mut ring = Ring::new(&lattice, Effects::NONE);
    let variables = ["SF", "SD"].map(|name| family(&ring, &lattice, Parameter::K2, name)).to_vec();
    let target = |figure, value| Target::equal(figure, value).tolerance(1e-7);
    let targets = vec![target(Figure::ChromaticityX, 2.0), target(Figure::ChromaticityY, 1.0)];
    let found = match_optics(&mut ring, &Matching::ring(variables, targets)).expect("a match");
    eprintln!("{found:?}");
    let [x, y] = ring.chromaticity().expect("stable");
    assert!((x - 2.0).abs() < 1e-7 && (y - 1.0).abs() < 1e-7, "{x} {y}");
    assert!(found.iterations <= 3, "chromaticity is linear in the sextupoles");
}

#[test]
fn tunes_of_a_large_ring() {
    let Some(lattice) = reference("ebs_ring") else { return };
    let (mut ring, mut matching) = tune_match(&lattice, ["QF1", "QD2"], [0.0; 2]);
    let optics = ring.optics().expect("stable");
    let tunes = [optics.tune_x() + 0.03, optics.tune_y() - 0.02];
    (matching.targets[0].value, matching.targets[1].value) = (tunes[0], tunes[1]);
    let clock = Instant::now();
    let found = match_optics(&mut ring, &matching).expect("a match");
    eprintln!("{:?} in {:.0} ms", found, clock.elapsed().as_secs_f64() * 1e3);
    let optics = ring.optics().expect("stable");
    assert!((optics.tune_x() - tunes[0]).abs() < 1e-10 && (optics.tune_y() - tunes[1]).abs() < 1e-10);
}

/// A line: Twiss functions and dispersion at its end, with the quadrupoles of the line, to values that other
/// strengths reach.
#[test]
fn the_end_of_a_line() {
    let Some(lattice) = reference("nsls2_ltb") else { return };
    let mut ring = Ring::new(&lattice, Effects::NONE);
    let twiss = [Twiss { beta: 6.0, alpha: 0.5 }, Twiss { beta: 6.0, alpha: -0.5 }];
    let names = ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6"];
    let exact = |name: &&str| lattice.index_of(name).expect("a quadrupole");
    let end = ring.len();
    let mut wanted = ring.clone();
    for (index, name) in names.iter().enumerate() {
        let at = exact(name);
        let k1 = Parameter::K1.of(wanted.element(at)).expect("a strength");
        wanted.set_upright(at, 1, k1 * (1.0 + 0.03 * f64::from(index as u8 % 3) - 0.02));
    }
    let goal = wanted.optics_from(twiss, [0.0; 4]).expect("not lost");
    let variables = names
        .iter()
        .map(|name| Variable::value(&ring, *name, Parameter::K1, &[exact(name)]).expect("k1").within(-25.0, 25.0))
        .collect();
    let targets = vec![
        Target::equal(Figure::BetaX(end), goal.beta_x[end]),
        Target::equal(Figure::BetaY(end), goal.beta_y[end]),
        Target::equal(Figure::AlphaX(end), goal.alpha_x[end]),
        Target::equal(Figure::AlphaY(end), goal.alpha_y[end]),
        Target::equal(Figure::DispersionX(end), goal.dispersion[end][0]),
    ];
    let targets = targets.into_iter().map(|target| target.tolerance(1e-8)).collect();
    let matching = Matching::line(variables, targets, twiss, [0.0; 4]);
    let found = match_optics(&mut ring, &matching).expect("a match");
    eprintln!("{found:?}");
    let optics = ring.optics_from(twiss, [0.0; 4]).expect("not lost");
    assert!((optics.beta_x[end] - goal.beta_x[end]).abs() < 1e-8);
    assert!((optics.dispersion[end][0] - goal.dispersion[end][0]).abs() < 1e-8);
}

/// What the orbit, lengths, angles, changes with factors, inequalities and figures of the caller do.
#[test]
fn all_kinds_of_variables_and_figures() {
    let lattice = demo_ring();
    let mut ring = Ring::new(&lattice, Effects::NONE);
    let kicker = named(&lattice, &["COR_001"])[0];
    let kick = Variable::value(&ring, "kick", Parameter::KickX, &[kicker]).expect("a kick").within(-1e-3, 1e-3);
    let orbit = Matching::ring(vec![kick], vec![Target::equal(Figure::OrbitX(50), 1e-4)]);
    match_optics(&mut ring, &orbit).expect("an orbit");
    assert!((ring.find_closed_orbit().expect("an orbit").at(50)[0] - 1e-4).abs() < 1e-10);

    let mut ring = Ring::new(&lattice, Effects::NONE);
    let drifts: Vec<(usize, f64)> = named(&lattice, &["DR"]).into_iter().map(|index| (index, 1.0)).collect();
    let longer = Variable::change(&ring, "longer", Parameter::Length, &drifts).expect("drifts").within(0.0, 0.1);
    let stretch = Matching::ring(vec![longer], vec![Target::equal(Figure::Length, 77.0)]);
    match_optics(&mut ring, &stretch).expect("a length");
    assert!((ring.length() - 77.0).abs() < 1e-10);

    let (mut ring, mut matching) = tune_match(&lattice, ["QF", "QD"], [3.45, 0.0]);
    matching.targets[1] = Target::at_most(Figure::BetaMaxY, 7.2).tolerance(1e-9);
    let found = match_optics(&mut ring, &matching).expect("smaller beta");
    assert!(found.targets[1].after <= 7.2 + 1e-9 && found.targets[1].before > 7.3, "{found:?}");

    let (mut ring, mut matching) = tune_match(&lattice, ["QF", "QD"], [3.45, 0.0]);
    let sum = |ring: &Ring| ring.optics().map(|optics| optics.tune_x() + optics.tune_y()).map_err(|no| no.to_string());
    matching.targets[1] = Target::equal(Figure::Other("sum of tunes".into(), Arc::new(sum)), 6.74);
    match_optics(&mut ring, &matching).expect("a match");
    assert!((ring.optics().expect("stable").tune_y() - 3.29).abs() < 1e-9);
}

/// Every figure that follows from transfer matrices, against differences of the whole machine.
#[test]
fn derivatives_are_those_of_the_figures() {
    let mut lattice = demo_ring();
    // neither sixteenfold nor mirror symmetry is left: a largest beta at two places has no derivative
    for (name, k1) in [("QF_001", 1.27), ("QF_004", 1.25)] {
        let uneven = named(&lattice, &[name])[0];
        lattice.elements[uneven].field_mut().expect("a field").set_upright(1, k1);
    }
    let ring = Ring::new(&lattice, Effects::NONE);
    let variables: Vec<Variable> = [("QF_003", Parameter::K1), ("QD_010", Parameter::K1), ("B_005", Parameter::Angle)]
        .into_iter()
        .map(|(name, parameter)| family(&ring, &lattice, parameter, name))
        .collect();
    let figures = vec![
        Figure::TuneX,
        Figure::TuneY,
        Figure::BetaX(20),
        Figure::BetaY(150),
        Figure::AlphaX(30),
        Figure::AlphaY(100),
        Figure::DispersionX(77),
        Figure::DispersionPx(150),
        Figure::PhaseX(20, 80),
        Figure::PhaseY(150, 20),
        Figure::BetaMaxX,
        Figure::BetaMaxY,
        Figure::MomentumCompaction,
    ];
    let targets: Vec<Target> = figures.iter().cloned().map(|figure| Target::equal(figure, 0.0)).collect();
    let matching = Matching::ring(variables, targets);
    let derivatives = fodo_dynamics::derivatives(&ring, &matching).expect("derivatives");
    for (column, variable) in matching.variables.iter().enumerate() {
        // so short that the largest beta stays at its place
        let step = 1e-5 * variable.scale;
        let at = |factor: f64| {
            let mut beside = ring.clone();
            variable.apply(&mut beside, variable.start + factor * step);
            fodo_dynamics::measure(&beside, &matching).expect("figures")
        };
        let (below, above) = (at(-1.0), at(1.0));
        for (row, figure) in figures.iter().enumerate() {
            let slope = (above[row] - below[row]) / (2.0 * step);
            let ours = derivatives[(row, column)];
            let apart = (slope - ours).abs() / slope.abs().max(1.0);
            assert!(apart < 1e-5, "{figure} with {}: {ours} and {slope}", variable.name);
        }
    }
}

#[test]
fn problems_that_make_no_sense_say_so() {
    let lattice = demo_ring();
    let mut ring = Ring::new(&lattice, Effects::NONE);
    let quadrupole = named(&lattice, &["QF"])[0];
    assert!(matches!(
        Variable::value(&ring, "v", Parameter::Voltage, &[quadrupole]),
        Err(NoMatch::NoParameter(_, index, ..)) if index == quadrupole
    ));
    assert!(matches!(Variable::value(&ring, "v", Parameter::K1, &[9999]), Err(NoMatch::NoElement(_, 9999))));
    assert!(matches!(Variable::value(&ring, "v", Parameter::K1, &[]), Err(NoMatch::NothingDriven(_))));
    let k1 = || Variable::value(&ring, "k1", Parameter::K1, &[quadrupole]).expect("k1");
    let (bad, good) = (k1().within(2.0, 1.0), k1());
    let tune = Target::equal(Figure::TuneX, 3.4);
    let mut attempt = |variable: &Variable, target: Target| {
        match_optics(&mut ring, &Matching::ring(vec![variable.clone()], vec![target])).expect_err("no sense")
    };
    assert!(matches!(attempt(&bad, tune.clone()), NoMatch::BadBounds(..)));
    assert!(matches!(attempt(&good, Target::equal(Figure::BetaX(500), 1.0)), NoMatch::NoPlace(_, 193)));
    assert!(matches!(attempt(&good, Target::equal(Figure::TuneX, f64::NAN)), NoMatch::BadTarget(_)));
    assert!(matches!(attempt(&good.clone().within(8.0, 9.0), tune), NoMatch::NoOptics(_)), "unstable at the start");
}

/// Tunes so near the half integer of a cell that full steps go beyond it.
#[test]
fn steps_over_the_edge_of_stability_are_shortened() {
    let (mut ring, matching) = tune_match(&demo_ring(), ["QF", "QD"], [7.6, 7.4]);
    let found = match_optics(&mut ring, &matching).expect("a match");
    eprintln!("{} shortened in {} iterations", found.shortened, found.iterations);
    assert!(found.shortened > 0);
    assert!((ring.optics().expect("stable").tune_x() - 7.6).abs() < 1e-10);
}
