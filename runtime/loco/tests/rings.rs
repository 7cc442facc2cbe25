//! Small rings and a line with planted errors: every kind of parameter is found again, and what cannot be found is named.

mod common;

use common::{Draw, Machine, gradients, lattice, pulls, setup};
use fodo_lattice::Class;
use fodo_loco::{Blocks, Cut, Fit, Group, Measured, Method, Options, Parameter, Setup, Turn, Values};
use fodo_optics::{Effects, Plane, Ring};
use nalgebra::DMatrix;

/// Noise of the response [m/rad]: 0.2 um of orbits that differ by 20 urad.
const NOISE: f64 = 1e-2;

/// Noise of the orbit by a step of the RF [m].
const ORBIT_NOISE: f64 = 1e-6;

/// A step that moves delta by about 1e-3.
const RF_STEP: f64 = 10e3;

fn demo(effects: Effects) -> Setup {
    let lattice = lattice("demo_ring");
    setup(&lattice, effects, &lattice.indices_of(Class::Multipole))
}

/// Skew gradients of every third sextupole, and tilts of quadrupoles that have none beside them.
fn coupled_groups(setup: &mut Setup) {
    let elements = setup.ring.elements();
    let of = |class: Class| (0..elements.len()).filter(|&index| elements[index].class() == class).collect::<Vec<_>>();
    let group = |kind: &str, turn: fn(usize) -> Turn, index: usize| Group {
        name: format!("{kind} of {}", elements[index].name),
        members: vec![(turn(index), 1.0)],
        width: Some(1e-2),
    };
    let skews = of(Class::Sextupole).into_iter().step_by(3).map(|index| group("skew", Turn::SkewGradient, index));
    let tilts = of(Class::Quadrupole).into_iter().skip(1).step_by(4).map(|index| group("tilt", Turn::Tilt, index));
    let both: Vec<Group> = skews.chain(tilts).collect();
    setup.groups.extend(both);
}

/// Gains off by 2 %, couplings by 1 %, strengths by 1e-3.
fn planted(setup: &Setup, draw: &mut Draw) -> Values {
    let mut truth = Values::perfect(setup);
    let mut add = |values: &mut Vec<f64>, fitted: bool, sigma: f64| {
        values.iter_mut().filter(|_| fitted).for_each(|value| *value += draw.normal(sigma));
    };
    let blocks = setup.blocks;
    add(&mut truth.monitor_gain, blocks.monitor_gain, 2e-2);
    add(&mut truth.monitor_coupling, blocks.monitor_coupling, 1e-2);
    add(&mut truth.corrector_gain, blocks.corrector_gain, 2e-2);
    add(&mut truth.corrector_coupling, blocks.corrector_coupling, 1e-2);
    add(&mut truth.energy_shift, blocks.energy_shift, 1e-2);
    add(&mut truth.dispersion_step, blocks.dispersion_step, 1e-2);
    add(&mut truth.groups, true, 2e-3);
    truth
}

/// The ring with these groups, made by its own means: tilts turn the magnets.
fn machine_ring(setup: &Setup, values: &Values) -> Ring {
    let mut ring = setup.ring.clone();
    for (group, value) in setup.groups.iter().zip(&values.groups) {
        for (turn, weight) in &group.members {
            let present = |ring: &Ring| ring.element(turn.element()).field().expect("a magnet").clone();
            match *turn {
                Turn::Gradient(index) => ring.set_upright(index, 1, present(&ring).upright(1) + weight * value),
                Turn::SkewGradient(index) => ring.set_skew(index, 1, present(&ring).skew(1) + weight * value),
                Turn::Tilt(index) => ring.set_misalignment(index, 0.0, 0.0, weight * value),
            }
        }
    }
    ring
}

fn measure(setup: &Setup, truth: &Values, step: f64, draw: &mut Draw) -> Measured {
    let ring = machine_ring(setup, truth);
    Machine { ring, line: setup.line, noise: [NOISE, ORBIT_NOISE], step }.measure(setup, truth, draw)
}

fn check_chi2(fit: &Fit) {
    let freedom = (fit.readings - fit.determined) as f64;
    assert!((fit.chi2 - 1.0).abs() < 5.0 * (2.0 / freedom).sqrt(), "chi2 {} of {freedom}", fit.chi2);
}

/// All kinds of parameters with their names.
type Kind = (&'static str, fn(&Values) -> &Vec<f64>);

const KINDS: [Kind; 7] = [
    ("monitor gains", |values| &values.monitor_gain),
    ("monitor couplings", |values| &values.monitor_coupling),
    ("corrector gains", |values| &values.corrector_gain),
    ("corrector couplings", |values| &values.corrector_coupling),
    ("energy shifts", |values| &values.energy_shift),
    ("step", |values| &values.dispersion_step),
    ("groups", |values| &values.groups),
];

/// Distances from the truth in errors, as errors should be distributed.
fn check_pulls(what: &str, fit: &Fit, truth: &Values) {
    for (kind, of) in KINDS {
        if of(&fit.errors).iter().all(|error| error.is_nan()) {
            continue;
        }
        let [rms, most] = pulls(of(&fit.values), of(&fit.errors), of(truth));
        let count = of(truth).len() as f64;
        eprintln!("{what}, {kind}: {rms:.2} of the errors, at most {most:.2}");
        assert!(most < 5.0, "{what}, {kind}: {most:.2}");
        // neighbours share errors: no more than a third of them are independent
        assert!(count < 8.0 || (rms - 1.0).abs() < 3.0 * (1.5 / count).sqrt(), "{what}, {kind}: {rms:.2}");
    }
}

#[test]
fn all_that_was_planted_is_found_within_its_errors() {
    let mut worst: f64 = 0.0;
    for seed in 1..=5 {
        let mut setup = demo(Effects::CAVITY);
        coupled_groups(&mut setup);
        setup.blocks = Blocks { energy_shift: true, ..Blocks::COUPLED };
        let mut draw = Draw::new(seed);
        let truth = planted(&setup, &mut draw);
        let measured = measure(&setup, &truth, RF_STEP, &mut draw);
        let fit = setup.fit(&measured, Options { outliers: None, ..Options::default() }).expect("a fit");
        fit.degenerate.iter().for_each(|degeneracy| eprintln!("seed {seed}: {}", degeneracy.text));
        eprintln!("seed {seed}: chi2 {:.1} -> {:.3} in {} steps", fit.chi2_before, fit.chi2, fit.iterations);
        assert!(fit.converged);
        check_chi2(&fit);
        check_pulls(&format!("seed {seed}"), &fit, &truth);
        worst = worst.max(fit.chi2);
    }
    eprintln!("largest chi2 {worst:.3}");
}

#[test]
fn a_wrong_step_of_the_rf_is_found_where_gains_are_known() {
    for seed in 1..=5 {
        let mut setup = demo(Effects::CAVITY);
        setup.blocks = Blocks { monitor_gain: false, dispersion_step: true, ..Blocks::GAINS };
        let mut draw = Draw::new(seed);
        let truth = planted(&setup, &mut draw);
        let measured = measure(&setup, &truth, RF_STEP, &mut draw);
        let fit = setup.fit(&measured, Options::default()).expect("a fit");
        assert!(fit.degenerate.is_empty(), "{:?}", fit.degenerate);
        check_chi2(&fit);
        check_pulls(&format!("seed {seed}"), &fit, &truth);
    }
}

/// At fixed momentum a corrector changes no energy; the shifts are then what the RF does.
#[test]
fn a_model_at_fixed_momentum_finds_the_shifts_that_the_rf_makes() {
    let mut setup = demo(Effects::NONE);
    setup.blocks = Blocks { corrector_gain: false, monitor_gain: false, energy_shift: true, ..Blocks::NONE };
    setup.groups.clear();
    let at_fixed_path = Setup { ring: setup.ring.with_effects(Effects::CAVITY), ..setup.clone() };
    let none = Values::perfect(&setup);
    let machine = Machine { ring: at_fixed_path.ring.clone(), line: None, noise: [1e-6, 1e-9], step: 0.0 };
    let measured = machine.measure(&at_fixed_path, &none, &mut Draw::new(1));
    let fit = setup.fit(&measured, Options { outliers: None, ..Options::default() }).expect("a fit");
    // the orbit of a corrector is longer by its kick times the dispersion there
    let optics = setup.ring.optics().expect("stable");
    let length = setup.ring.length();
    for (column, found) in setup.columns.iter().zip(&fit.values.energy_shift) {
        let kick = &column.kicks[0];
        let horizontal = kick.plane == Plane::X;
        let middle = 0.5 * (optics.dispersion[kick.element][0] + optics.dispersion[kick.element + 1][0]);
        let wanted = if horizontal { -middle / (optics.momentum_compaction * length) } else { 0.0 };
        assert!((found - wanted).abs() < 1e-3 * wanted.abs() + 1e-5, "{}: {found} {wanted}", column.name);
    }
    assert!(fit.chi2 < 1.5, "{}", fit.chi2);
}

#[test]
fn scales_that_the_response_does_not_tell_are_named() {
    let setup = demo(Effects::CAVITY);
    let mut draw = Draw::new(1);
    let truth = planted(&setup, &mut draw);
    let texts = |setup: &Setup, step: f64, draw: &mut Draw| {
        let fit = setup.fit(&measure(setup, &truth, step, draw), Options::default()).expect("a fit");
        check_chi2(&fit);
        assert_eq!(fit.determined + fit.degenerate.len(), 2 * 16 + 2 * 16 + setup.groups.len());
        fit.degenerate.into_iter().map(|degeneracy| degeneracy.text).collect::<Vec<_>>()
    };
    let none = texts(&setup, 0.0, &mut draw);
    assert_eq!(none.len(), 2, "{none:?}");
    assert!(none[0].contains("all horizontal monitor gains") && none[1].contains("all vertical monitor gains"));
    assert!(none[0].contains("give the dispersion"), "{}", none[0]);
    // without coupling the vertical dispersion is noise
    let horizontal = texts(&setup, RF_STEP, &mut draw);
    assert_eq!(horizontal.len(), 1, "{horizontal:?}");
    assert!(horizontal[0].contains("vertical monitor gains"));
    let mut alone = setup.clone();
    alone.blocks.monitor_gain = false;
    let fit = alone.fit(&measure(&alone, &truth, 0.0, &mut draw), Options::default()).expect("a fit");
    assert!(fit.degenerate.is_empty());
}

#[test]
fn magnets_that_do_the_same_are_named_together() {
    let mut setup = demo(Effects::CAVITY);
    setup.blocks.monitor_gain = false;
    let twin = Group { name: "the other one".into(), ..setup.groups[3].clone() };
    setup.groups.push(twin);
    let end = setup.ring.len() - 1;
    setup.groups[5].members.clear();
    let mut draw = Draw::new(2);
    let truth = Values { groups: vec![0.0; setup.groups.len()], ..planted(&setup, &mut draw) };
    let fit = setup.fit(&measure(&setup, &truth, 0.0, &mut draw), Options::default()).expect("a fit");
    let texts: Vec<&str> = fit.degenerate.iter().map(|degeneracy| degeneracy.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("the other one") && texts[0].contains(&setup.groups[3].name), "{texts:?}");
    assert!(texts[0].contains("2 parameters together"), "{texts:?}");
    assert!(texts[1].contains("no reading that counts depends on"), "{texts:?}");
    let [a, b] = [fit.degenerate[0].parameters[0], fit.degenerate[0].parameters[1]];
    assert!((a.1 + b.1).abs() < 1e-6 * a.1.abs() && matches!(a.0, Parameter::Group(_)), "{a:?} {b:?}");
    assert!(fit.errors.groups[5].is_nan() && end > 0);
}

#[test]
fn one_plane_is_enough_and_leaves_the_other_alone() {
    let setup = demo(Effects::CAVITY);
    for (plane, seed) in [(Plane::X, 1), (Plane::Y, 2)] {
        let mut draw = Draw::new(seed);
        let truth = planted(&setup, &mut draw);
        let mut measured = measure(&setup, &truth, 0.0, &mut draw);
        let (rows, columns) = measured.response.shape();
        let of = |at: usize, count: usize| if at < count / 2 { Plane::X } else { Plane::Y };
        for row in 0..rows {
            for column in 0..columns {
                if of(row, rows) != plane || of(column, columns) != plane {
                    measured.response[(row, column)] = f64::NAN;
                }
            }
        }
        let fit = setup.fit(&measured, Options::default()).expect("a fit");
        assert_eq!(fit.readings, rows * columns / 4);
        check_chi2(&fit);
        let idle = fit.degenerate.iter().filter(|degeneracy| degeneracy.text.starts_with("no reading")).count();
        assert_eq!(idle, 16 + 16, "{:?}", fit.degenerate.iter().map(|d| &d.text).collect::<Vec<_>>());
        let [rms, most] = pulls(&fit.values.groups, &fit.errors.groups, &truth.groups);
        eprintln!("{plane:?}: groups {rms:.2}, at most {most:.2}");
        assert!(most < 5.0 && rms < 2.0);
    }
}

#[test]
fn some_monitors_and_correctors_will_do() {
    let mut setup = demo(Effects::CAVITY);
    setup.monitors = setup.monitors.into_iter().skip(1).step_by(2).collect();
    setup.columns.retain(|column| !column.name.ends_with("[3]"));
    setup.groups.truncate(8);
    let mut draw = Draw::new(3);
    let truth = planted(&setup, &mut draw);
    let fit = setup.fit(&measure(&setup, &truth, RF_STEP, &mut draw), Options::default()).expect("a fit");
    check_chi2(&fit);
    let [rms, most] = pulls(&fit.values.groups, &fit.errors.groups, &truth.groups);
    assert!(most < 4.0, "{rms:.2} {most:.2}");
}

#[test]
fn a_line_is_fitted_to_its_trajectories() {
    let lattice = lattice("demo_line");
    for seed in 1..=5 {
        let mut setup = setup(&lattice, Effects::NONE, &lattice.indices_of(Class::Corrector));
        setup.line = Some([1e-4, 0.0, -1e-4, 0.0, 0.0, 0.0]);
        setup.groups = gradients(&lattice);
        setup.blocks = Blocks { monitor_gain: false, ..Blocks::GAINS };
        let mut draw = Draw::new(seed);
        let truth = planted(&setup, &mut draw);
        let measured = measure(&setup, &truth, 0.0, &mut draw);
        let fit = setup.fit(&measured, Options::default()).expect("a fit");
        fit.degenerate.iter().for_each(|degeneracy| eprintln!("seed {seed}: {}", degeneracy.text));
        eprintln!("seed {seed}: {} -> {} of {}", fit.chi2_before, fit.chi2, fit.determined);
        check_chi2(&fit);
        // quadrupoles that few trajectories pass are named
        assert!(fit.degenerate.iter().any(|degeneracy| degeneracy.text.contains("not told")));
        let held: Vec<usize> = (fit.degenerate.iter().flat_map(|degeneracy| &degeneracy.parameters))
            .filter_map(|(parameter, _)| if let Parameter::Group(group) = parameter { Some(*group) } else { None })
            .collect();
        let free = |values: &[f64]| -> Vec<f64> {
            values.iter().enumerate().filter(|(group, _)| !held.contains(group)).map(|(_, value)| *value).collect()
        };
        let [rms, most] = pulls(&free(&fit.values.groups), &free(&fit.errors.groups), &free(&truth.groups));
        eprintln!(
            "seed {seed}: {} quadrupoles told, off by {rms:.2} of their errors, at most {most:.2}",
            free(&truth.groups).len()
        );
        assert!(most < 4.5 && free(&truth.groups).len() > 5);
    }
}

#[test]
fn each_method_comes_to_the_same() {
    let mut setup = demo(Effects::CAVITY);
    setup.groups.iter_mut().for_each(|group| group.width = Some(10.0));
    let mut draw = Draw::new(4);
    let truth = planted(&setup, &mut draw);
    let measured = measure(&setup, &truth, RF_STEP, &mut draw);
    let fit = |method| setup.fit(&measured, Options { method, ..Options::default() }).expect("a fit");
    let first = fit(Method::GaussNewton);
    for method in [Method::Constrained, Method::LevenbergMarquardt, Method::ScaledLevenbergMarquardt] {
        let other = fit(method);
        let [_, most] = pulls(&other.values.groups, &first.errors.groups, &first.values.groups);
        eprintln!("{method:?}: {} steps, at most {most:.3} of an error away", other.iterations);
        assert!(other.converged && most < 0.1, "{method:?}: {most}");
        assert!((other.chi2 / first.chi2 - 1.0).abs() < 1e-4);
    }
}

#[test]
fn groups_of_a_narrow_width_stay_where_they_are() {
    let mut setup = demo(Effects::CAVITY);
    setup.groups.iter_mut().for_each(|group| group.width = Some(1e-6));
    let mut draw = Draw::new(4);
    let truth = planted(&setup, &mut draw);
    let measured = measure(&setup, &truth, RF_STEP, &mut draw);
    let options = Options { method: Method::Constrained, outliers: None, ..Options::default() };
    let fit = setup.fit(&measured, options).expect("a fit");
    assert!(fit.values.groups.iter().all(|value| value.abs() < 1e-4), "{:?}", fit.values.groups);
    assert!(fit.chi2 > 1.5);
}

#[test]
fn outliers_are_left_out() {
    let mut setup = demo(Effects::CAVITY);
    // so that no scale is left open
    setup.blocks.monitor_gain = false;
    for seed in 1..=5 {
        let mut draw = Draw::new(seed);
        let truth = planted(&setup, &mut draw);
        let mut measured = measure(&setup, &truth, RF_STEP, &mut draw);
        // one that hides the others in its spread
        let wrong = [(3, 5, 400.0), (20, 17, 0.4), (9, 2, -0.3)];
        wrong.iter().for_each(|&(row, column, by)| measured.response[(row, column)] += by);
        let fit = setup.fit(&measured, Options::default()).expect("a fit");
        let found: Vec<_> = fit.outliers.iter().map(|o| (o.monitor + 16 * (o.plane as usize), o.column)).collect();
        assert!(wrong.iter().all(|&(row, column, _)| found.contains(&(row, Some(column)))), "{found:?}");
        assert!(found.len() <= 4, "{found:?}");
        check_chi2(&fit);
        check_pulls(&format!("seed {seed}"), &fit, &truth);
        let kept = setup.fit(&measured, Options { outliers: None, ..Options::default() }).expect("a fit");
        assert!(kept.outliers.is_empty() && kept.chi2 > 10.0);
    }
}

#[test]
fn a_cut_leaves_what_is_weak_alone() {
    let setup = demo(Effects::CAVITY);
    let mut draw = Draw::new(6);
    let truth = planted(&setup, &mut draw);
    let measured = measure(&setup, &truth, RF_STEP, &mut draw);
    let with = |cut| setup.fit(&measured, Options { cut, ..Options::default() }).expect("a fit");
    let few = with(Cut { count: Some(60), ..Cut::default() });
    assert_eq!(few.determined, 60);
    let all = with(Cut::default());
    assert!(all.chi2 < few.chi2 && few.chi2 < few.chi2_before);
    assert!(with(Cut { threshold: 0.3, count: None }).determined < all.determined);
}

#[test]
fn what_does_not_fit_together_is_said() {
    let setup = demo(Effects::CAVITY);
    let mut draw = Draw::new(1);
    let truth = Values::perfect(&setup);
    let good = measure(&setup, &truth, 0.0, &mut draw);
    let text = |measured: &Measured| setup.fit(measured, Options::default()).expect_err("no fit").to_string();
    let short = Measured { response: DMatrix::zeros(3, 4), ..good.clone() };
    assert!(text(&short).contains("3 rows and 4 columns; 32 (x, then y, of 16 monitors) and 32"), "{}", text(&short));
    let blind = Measured { sigma: DMatrix::zeros(32, 32), ..good.clone() };
    assert!(text(&blind).contains("no reading has a value and an error"), "{}", text(&blind));
    let mut drift = setup.clone();
    drift.groups[0].members = vec![(Turn::Gradient(setup.monitors[0].element), 1.0)];
    assert!(drift.fit(&good, Options::default()).expect_err("no field").to_string().contains("has no field"));
}
