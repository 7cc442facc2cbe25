//! Derivatives of the orbit response, against differences of the response itself, on rings with everything wrong.

use std::path::PathBuf;

use fodo_lattice::{Body, Class, Lattice};
use fodo_optics::{
    Calibration, Effects, InstrumentParameter, Instruments, NoDerivative, Plane, ResponseModel, Ring, Strength,
};

/// Step of a gradient [1/m²] for differences: near the best for four-point differences of a response with a rounding of
/// 1e-13, whose own scale is about 0.1/m².
const STEP: f64 = 5e-4;

/// Relative to the largest entry of a derivative. Differences of fourth order lose (STEP/0.1)^4 = 6e-10 by their order,
/// and by the rounding of the responses (1e-13 of the largest entry) about 1e-13/STEP = 2e-10.
const LIMIT: f64 = 2e-9;

fn demo_ring() -> Lattice {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../facilities/demo_ring/lattice.toml");
    Lattice::load(path).expect("the demo ring")
}

/// The demo ring, misaligned, coupled, kicked, with fringes.
fn wrong(lattice: &Lattice, effects: Effects) -> Ring {
    let mut lattice = lattice.clone();
    for element in &mut lattice.elements {
        if let Some(magnet) = element.magnet_mut() {
            magnet.fringe = [true; 2];
        }
    }
    let mut ring = Ring::new(&lattice, effects);
    for (index, element) in lattice.elements.iter().enumerate() {
        let turn = |by: usize| (((index + 1) * by) % 17) as f64 / 8.5 - 1.0;
        match element.class() {
            Class::Quadrupole => {
                ring.set_misalignment(index, 1e-4 * turn(5), 1e-4 * turn(7), 1e-2 * turn(3));
                ring.set_skew(index, 1, 5e-3 * turn(11));
            }
            Class::Sextupole => ring.set_misalignment(index, 5e-4 * turn(3), -5e-4 * turn(5), 2e-2 * turn(7)),
            Class::Bend => ring.set_misalignment(index, 1e-4 * turn(7), 1e-4 * turn(3), 1e-3 * turn(5)),
            Class::Multipole => ring.set_kick(index, 1e-4 * turn(2), -1e-4 * turn(13)),
            _ => {}
        }
    }
    if !effects.cavity {
        ring.set_delta(2e-3);
    }
    ring
}

struct Places {
    monitors: Vec<usize>,
    correctors: Vec<usize>,
    strengths: Vec<Strength>,
}

impl Places {
    /// Steerers and some other magnets that steer; gradients of magnets of all kinds, also of some that steer.
    fn new(lattice: &Lattice) -> Self {
        let [quadrupoles, bends, sextupoles, steerers] =
            [Class::Quadrupole, Class::Bend, Class::Sextupole, Class::Multipole].map(|class| lattice.indices_of(class));
        // out of order, and two of the places are the same
        let mut monitors = lattice.indices_of(Class::Monitor);
        monitors.reverse();
        monitors.push(monitors[3]);
        let correctors = [&steerers[5..], &steerers[..5], &[quadrupoles[4], bends[9], sextupoles[7]]].concat();
        let indices = [quadrupoles[0], quadrupoles[4], quadrupoles[31], bends[9], sextupoles[7], steerers[2]];
        let strengths = indices.map(|index| [Strength::Gradient(index), Strength::SkewGradient(index)]).concat();
        Self { monitors, correctors, strengths }
    }
}

fn set(ring: &mut Ring, strength: Strength, by: f64) {
    let field = ring.element(strength.element()).field().expect("a magnet").clone();
    match strength {
        Strength::Gradient(index) => ring.set_upright(index, 1, field.upright(1) + by),
        Strength::SkewGradient(index) => ring.set_skew(index, 1, field.skew(1) + by),
    }
}

/// Difference quotient of fourth order.
fn slope(ring: &Ring, strength: Strength, of: impl Fn(&Ring) -> Vec<f64>) -> Vec<f64> {
    let at = |by: f64| {
        let mut other = ring.clone();
        set(&mut other, strength, by * STEP);
        of(&other)
    };
    let [a, b, c, d] = [-2.0, -1.0, 1.0, 2.0].map(at);
    let quotient = |row: usize| (8.0 * (c[row] - b[row]) - (d[row] - a[row])) / (12.0 * STEP);
    (0..a.len()).map(quotient).collect()
}

fn apart(ours: &[f64], differences: &[f64]) -> f64 {
    assert_eq!(ours.len(), differences.len());
    let size = differences.iter().fold(f64::MIN_POSITIVE, |most, value| f64::max(most, value.abs()));
    ours.iter().zip(differences).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / size
}

fn check(what: &str, lattice: &Lattice, effects: Effects) {
    let ring = wrong(lattice, effects);
    let Places { monitors, correctors, strengths } = Places::new(lattice);
    let model = ring.response_model(&monitors, &correctors).expect("a closed orbit");
    let response = |ring: &Ring| ring.orbit_response(&monitors, &correctors).expect("a closed orbit").values().to_vec();
    assert_eq!(model.response().values(), response(&ring), "{what}");
    let mut tables = vec![0.0; strengths.len() * model.table_length()];
    model.jacobian(&strengths, &mut tables).expect("derivatives");
    for (strength, table) in strengths.iter().zip(tables.chunks(model.table_length())) {
        let apart = apart(table, &slope(&ring, *strength, response));
        eprintln!("{what} {strength:?}: {apart:.1e}");
        assert!(apart < LIMIT, "{what} {strength:?}: {apart:.1e}");
    }
}

#[test]
fn derivatives_are_slopes_of_the_response() {
    let lattice = demo_ring();
    for effects in [Effects::NONE, Effects::CAVITY, Effects::ALL] {
        check(&format!("{effects:?}"), &lattice, effects);
    }
}

#[test]
fn derivatives_hold_for_bends_of_other_kinds() {
    let mut second_order = demo_ring();
    for element in &mut second_order.elements {
        if let Body::Bend(bend) = &mut element.body {
            bend.second_order = true;
            (bend.entrance.angle, bend.exit.angle) = (0.03, 0.05);
        }
    }
    check("second order", &second_order, Effects::NONE);
    let mut exact = demo_ring();
    exact.elements.iter_mut().for_each(|element| element.set_exact(true));
    check("exact", &exact, Effects::NONE);
}

#[test]
fn derivatives_of_the_response_to_the_energy_are_its_slopes() {
    let lattice = demo_ring();
    for effects in [Effects::NONE, Effects::CAVITY, Effects::ALL] {
        let ring = wrong(&lattice, effects);
        let Places { monitors, correctors, strengths } = Places::new(&lattice);
        let model = ring.response_model(&monitors, &correctors).expect("a closed orbit");
        let response = |ring: &Ring| {
            let known = if effects.cavity {
                ring.frequency_response(&monitors).expect("a closed orbit")
            } else {
                let dispersion = ring.optics().expect("stable").dispersion;
                monitors.iter().map(|&monitor| [dispersion[monitor][0], dispersion[monitor][2]]).collect()
            };
            known.concat()
        };
        let same = apart(&model.energy_response().concat(), &response(&ring));
        assert!(same < 1e-13, "{effects:?}: {same:.1e}");
        for strength in strengths {
            let ours = model.energy_derivative(strength).expect("a derivative").concat();
            let apart = apart(&ours, &slope(&ring, strength, response));
            eprintln!("{effects:?} {strength:?}: {apart:.1e}");
            assert!(apart < LIMIT, "{effects:?} {strength:?}: {apart:.1e}");
        }
    }
}

fn jacobian(model: &ResponseModel, strengths: &[Strength], parallel: bool) -> Vec<f64> {
    let mut tables = vec![f64::NAN; strengths.len() * model.table_length()];
    if parallel {
        model.jacobian_parallel(strengths, &mut tables).expect("derivatives");
    } else {
        model.jacobian(strengths, &mut tables).expect("derivatives");
    }
    tables
}

#[test]
fn in_parallel_and_as_a_knob_derivatives_are_the_same() {
    let lattice = demo_ring();
    let ring = wrong(&lattice, Effects::NONE);
    let Places { monitors, correctors, strengths } = Places::new(&lattice);
    let model = ring.response_model(&monitors, &correctors).expect("a closed orbit");
    let alone = jacobian(&model, &strengths, false);
    assert_eq!(alone, jacobian(&model, &strengths, true));
    let knob: Vec<_> =
        strengths.iter().enumerate().map(|(number, &strength)| (strength, 1.0 - number as f64)).collect();
    let mut ours = vec![f64::NAN; model.table_length()];
    model.knob_derivative(&knob, &mut ours).expect("a derivative");
    let mut sum = vec![0.0; ours.len()];
    for ((_, weight), table) in knob.iter().zip(alone.chunks(ours.len())) {
        sum.iter_mut().zip(table).for_each(|(sum, entry)| *sum += weight * entry);
    }
    assert!(apart(&ours, &sum) < 1e-13);
}

#[test]
fn without_an_orbit_to_move_nothing_else_changes() {
    let lattice = demo_ring();
    let ring = Ring::new(&lattice, Effects::NONE);
    let Places { monitors, correctors, strengths } = Places::new(&lattice);
    let model = ring.response_model(&monitors, &correctors).expect("a closed orbit");
    let response = |ring: &Ring| ring.orbit_response(&monitors, &correctors).expect("a closed orbit").values().to_vec();
    for strength in strengths {
        let apart = apart(&jacobian(&model, &[strength], false), &slope(&ring, strength, response));
        assert!(apart < LIMIT, "{strength:?}: {apart:.1e}");
    }
}

#[test]
fn what_has_no_derivative_is_said() {
    let lattice = demo_ring();
    let ring = Ring::new(&lattice, Effects::NONE);
    let Places { monitors, correctors, .. } = Places::new(&lattice);
    let model = ring.response_model(&monitors, &correctors).expect("a closed orbit");
    let mut table = vec![0.0; model.table_length()];
    let none = model.derivative(Strength::Gradient(monitors[0]), &mut table);
    assert!(matches!(none, Err(NoDerivative::NoField(..))), "{none:?}");
    let none = model.derivative(Strength::Gradient(ring.len()), &mut table);
    assert_eq!(none, Err(NoDerivative::NoElement(ring.len())));
    let none = model.derivative(Strength::Gradient(1), &mut table[1..]);
    assert!(matches!(none, Err(NoDerivative::WrongLength(..))), "{none:?}");
}

fn measured(instruments: &Instruments, table: &[f64]) -> Vec<f64> {
    let mut measured = vec![f64::NAN; table.len()];
    instruments.measured(table, &mut measured).expect("the right length");
    measured
}

#[test]
fn a_rolled_corrector_is_one_whose_element_is_rolled() {
    let lattice = demo_ring();
    let (monitors, correctors) = (lattice.indices_of(Class::Monitor), lattice.indices_of(Class::Multipole));
    let mut ring = Ring::new(&lattice, Effects::NONE);
    let straight = ring.orbit_response(&monitors, &correctors).expect("a closed orbit");
    ring.set_misalignment(correctors[4], 0.0, 0.0, 0.1);
    let rolled = ring.orbit_response(&monitors, &correctors).expect("a closed orbit");
    let mut instruments = Instruments::perfect(monitors.len(), correctors.len());
    instruments.correctors[4] = Calibration::of_corrector([1.0; 2], 0.1);
    assert!(apart(&measured(&instruments, straight.values()), rolled.values()) < 1e-13);
}

/// What is measured is linear in gains and couplings, so that differences are exact; rolls go by a sine.
#[test]
fn derivatives_of_what_is_measured_are_its_slopes() {
    use InstrumentParameter::*;
    let lattice = demo_ring();
    let Places { monitors, correctors, .. } = Places::new(&lattice);
    let ring = wrong(&lattice, Effects::NONE);
    let response = ring.orbit_response(&monitors, &correctors).expect("a closed orbit");
    let instruments = |by: &dyn Fn(&mut Instruments)| {
        let mut instruments = Instruments::perfect(monitors.len(), correctors.len());
        instruments.monitors[2] = Calibration::of_monitor([1.02, 0.97], 0.02);
        instruments.correctors[3] = Calibration::of_corrector([0.95, 1.1], -0.03);
        by(&mut instruments);
        instruments
    };
    let step = 1e-4;
    type Case<'c> = (InstrumentParameter, &'c dyn Fn(&mut Instruments, f64));
    let cases: [Case; 6] = [
        (MonitorGain(Plane::Y, 2), &|all, by| all.monitors[2].gain[1] += by),
        (MonitorCoupling(Plane::X, 2), &|all, by| all.monitors[2].coupling[0] += by),
        (MonitorRoll(2), &|all, by| all.monitors[2] = Calibration::of_monitor([1.02, 0.97], 0.02 + by)),
        (CorrectorGain(Plane::X, 3), &|all, by| all.correctors[3].gain[0] += by),
        (CorrectorCoupling(Plane::Y, 3), &|all, by| all.correctors[3].coupling[1] += by),
        (CorrectorRoll(3), &|all, by| all.correctors[3] = Calibration::of_corrector([0.95, 1.1], -0.03 + by)),
    ];
    for (parameter, change) in cases {
        let at = |by: f64| measured(&instruments(&|all| change(all, by)), response.values());
        let (below, above) = (at(-step), at(step));
        let slope: Vec<_> = below.iter().zip(&above).map(|(below, above)| (above - below) / (2.0 * step)).collect();
        let mut ours = vec![f64::NAN; slope.len()];
        instruments(&|_| ()).derivative(response.values(), parameter, &mut ours).expect("a derivative");
        let apart = apart(&ours, &slope);
        eprintln!("{parameter:?}: {apart:.1e}");
        // step²/6 of a sine, and rounding over the step
        assert!(apart < 2e-9, "{parameter:?}: {apart:.1e}");
    }
}

#[test]
fn the_orbit_answers_to_gradients_as_it_does_to_differences() {
    let lattice = demo_ring();
    let Places { monitors, strengths, .. } = Places::new(&lattice);
    for effects in [Effects::NONE, Effects::CAVITY, Effects::ALL] {
        let ring = wrong(&lattice, effects);
        let ours = ring.strength_response(&monitors, &strengths).expect("a closed orbit");
        let orbit = |ring: &Ring| {
            let orbit = ring.find_closed_orbit().expect("a closed orbit");
            monitors.iter().flat_map(|&monitor| [orbit.at(monitor)[0], orbit.at(monitor)[2]]).collect()
        };
        for (strength, ours) in strengths.iter().zip(&ours) {
            // orbits are at rest to 1e-12 m, and move by 1e-4 m for 1/m^2 at the least
            let apart = apart(&ours.concat(), &slope(&ring, *strength, orbit));
            assert!(apart < 1e-5, "{effects:?} {strength:?}: {apart:.1e}");
        }
    }
}

#[test]
fn a_trajectory_answers_to_gradients_as_it_does_to_differences() {
    let lattice = demo_ring();
    let Places { monitors, strengths, .. } = Places::new(&lattice);
    let (ring, start) = (wrong(&lattice, Effects::NONE), [1e-3, 1e-4, -5e-4, 2e-4, 1e-3, 0.0]);
    let ours = ring.trajectory_strength_response(&start, &monitors, &strengths).expect("not lost");
    let trajectory = |ring: &Ring| {
        let points = ring.trajectory(&start).expect("not lost");
        monitors.iter().flat_map(|&monitor| [points[monitor][0], points[monitor][2]]).collect()
    };
    for (strength, ours) in strengths.iter().zip(&ours) {
        let apart = apart(&ours.concat(), &slope(&ring, *strength, trajectory));
        assert!(apart < LIMIT, "{strength:?}: {apart:.1e}");
    }
    let drift = lattice.indices_of(Class::Drift)[0];
    let refused = ring.trajectory_strength_response(&start, &monitors, &[Strength::Gradient(drift)]);
    assert!(matches!(refused, Err(NoDerivative::NoField(index, _)) if index == drift));
}

/// The same for trajectories: a magnet before all correctors changes little, only by the orbit behind it, and so loses more by
/// rounding. It is half as much with twice the step.
const LIMIT_OF_LINES: f64 = 2e-8;

#[test]
fn the_response_of_a_trajectory_has_derivatives_too() {
    let lattice = demo_ring();
    let Places { monitors, correctors, strengths } = Places::new(&lattice);
    let (ring, start) = (wrong(&lattice, Effects::NONE), [1e-3, 1e-4, -5e-4, 2e-4, 1e-3, 0.0]);
    let model = ring.trajectory_model(&start, &monitors, &correctors).expect("not lost");
    let response =
        |ring: &Ring| ring.trajectory_response(&start, &monitors, &correctors).expect("not lost").values().to_vec();
    assert_eq!(model.response().values(), response(&ring));
    for strength in strengths {
        let apart = apart(&jacobian(&model, &[strength], false), &slope(&ring, strength, response));
        eprintln!("{strength:?}: {apart:.1e}");
        assert!(apart < LIMIT_OF_LINES, "{strength:?}: {apart:.1e}");
    }
}
