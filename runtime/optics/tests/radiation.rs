//! What radiation does to the beam: agreement with pyAT 0.9.0 (section 7 of the physics conventions), and laws.
//!
//! The numbers are in `reference/NAME.summary.json` and `NAME.ref.h5` of the shared folder. Every line printed is a
//! measured figure and its limit; run with `--nocapture` to see them.

#![allow(clippy::excessive_precision, reason = "numbers of pyAT stand as it printed them")]

use std::path::PathBuf;

use fodo_lattice::{Bend, Body, Class, Edge, Element, Field, Lattice, Magnet, Wiggler};
use fodo_optics::constants::SPEED_OF_LIGHT;
use fodo_optics::{Effects, Equilibrium, NoClosedOrbit, NoOptics, Orbit, Ring, Tapered};
use hdf5_pure::File;
use serde_json::Value;

/// The rings with reference numbers.
const RINGS: [&str; 7] =
    ["clic_dr", "ebs_ring", "ebs_cell", "fodo_1gev_6d", "dba", "australian_synchrotron", "als_loco_2007"];

/// The folder of reference numbers: in `FODO_SHARED`, else beside the workspace.
fn folder() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("FODO_SHARED").map_or(beside, PathBuf::from).join("reference");
    if folder.is_dir() {
        return Some(folder);
    }
    _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: ../shared missing\n"));
    None
}

/// A lattice with its reference numbers, and what has been found to disagree.
struct Reference {
    name: &'static str,
    lattice: Lattice,
    summary: Value,
    failures: Vec<String>,
}

impl Reference {
    fn load(name: &'static str) -> Option<Self> {
        let folder = folder()?;
        let lattice = Lattice::load(folder.join(format!("{name}.at.json"))).expect("reference lattice");
        let text = std::fs::read_to_string(folder.join(format!("{name}.summary.json"))).expect("summary");
        let summary = serde_json::from_str(&text).expect("summary");
        Some(Self { name, lattice, summary, failures: vec![] })
    }

    /// The ring with its cavities at a harmonic of c over the length.
    ///
    /// That changes nothing but in clic_dr, whose particle has a mass: there pyAT closes the orbit after the time of
    /// flight at the particle's speed while its cavities count turns at that of light, so that the orbit it finds (for
    /// which the reference numbers are) is not closed in its own tracking. On a harmonic both are the same.
    fn ring(&self, effects: Effects) -> Ring {
        let mut ring = Ring::new(&self.lattice, effects);
        if let Some(frequency) = ring.rf_frequency().filter(|_| self.lattice.rest_energy != 0.0) {
            let turns = SPEED_OF_LIGHT / ring.length();
            ring.set_rf((frequency / turns).round() * turns, ring.rf_voltage());
        }
        ring
    }

    /// Numbers of the summary; empty where there are none. "Not a number" is kept as such.
    fn numbers(&self, pointer: &str) -> Vec<f64> {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        match self.summary.pointer(pointer) {
            Some(Value::Array(values)) => values.iter().map(number).collect(),
            Some(value) if value.is_number() => vec![number(value)],
            _ => vec![],
        }
    }

    /// A table of the reference file, row by row, if there is one.
    fn table(&self, path: &str) -> Option<Vec<f64>> {
        let file = File::open(folder()?.join(format!("{}.ref.h5", self.name))).expect("reference numbers");
        let table = file.dataset(path).ok()?.read_f64().expect(path);
        // clic_dr has a table of nothing but zeros
        table.iter().any(|&entry| entry != 0.0).then_some(table)
    }

    /// Prints a measured disagreement and remembers it if it is above the limit.
    fn hold(&mut self, what: &str, measured: f64, limit: f64) {
        let mark = if measured <= limit { "" } else { "   <-- ABOVE" };
        eprintln!("{:24} {what:44} {measured:9.1e}  limit {limit:.0e}{mark}", self.name);
        if measured.is_nan() || measured > limit {
            self.failures.push(format!("{what}: {measured:.2e} > {limit:.0e}"));
        }
    }

    /// Holds numbers against those of the summary, if it has them, relative to each.
    fn hold_numbers(&mut self, ours: &[f64], pointer: &str, limit: f64) {
        let theirs = self.numbers(pointer);
        if theirs.is_empty() {
            return;
        }
        assert_eq!(ours.len(), theirs.len(), "{pointer}");
        for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            if theirs.is_finite() {
                self.hold(&format!("{pointer}/{index}"), (ours / theirs - 1.0).abs(), limit);
            }
        }
    }
}

/// Does a check on every ring.
fn on_rings(check: impl Fn(&mut Reference) -> Result<(), NoOptics>) {
    let mut failures = vec![];
    for name in RINGS {
        let Some(mut reference) = Reference::load(name) else { return };
        if let Err(problem) = check(&mut reference) {
            reference.failures.push(problem.to_string());
        }
        failures.extend(reference.failures.iter().map(|failure| format!("{name}: {failure}")));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn radiation_integrals_agree_with_pyat() {
    on_rings(|reference| {
        let ring = reference.ring(Effects::NONE);
        let integrals = ring.radiation_integrals()?;
        let ours = [integrals.i1, integrals.i2, integrals.i3, integrals.i4, integrals.i5];
        reference.hold_numbers(&ours, "/radiation_integrals_I1_I5", 1e-8);
        let radiation = ring.radiation()?;
        reference.hold_numbers(&[radiation.energy_loss], "/radiation_parameters/U0", 1e-9);
        reference.hold_numbers(&radiation.damping_partition, "/radiation_parameters/J", 1e-6);
        // pyAT takes the speed of the particle for its period but that of light in tracking: 1/(2 gamma²), 5e-7 in dba
        reference.hold_numbers(&radiation.damping_times, "/radiation_parameters/Tau", 1e-6);
        reference.hold_numbers(&[radiation.energy_spread], "/radiation_parameters/sigma_e", 1e-6);
        reference.hold_numbers(&[radiation.emittance_x], "/radiation_parameters/emittances/0", 1e-6);
        let lost = ring.tracked_energy_loss()? * f64::from(ring.periodicity());
        reference.hold_numbers(&[lost], "/energy_loss_tracking_eV", 1e-8);
        Ok(())
    });
}

#[test]
fn equilibria_agree_with_pyat() {
    on_rings(|reference| {
        let ring = reference.ring(Effects::ALL);
        let equilibrium = ring.find_equilibrium()?;
        // pyAT's one-turn matrix comes from differences: its damping rates are good to a few 1e-6, emittances with them
        reference.hold_numbers(&equilibrium.tunes, "/ohmi/tunes", 1e-6);
        reference.hold_numbers(&equilibrium.damping_rates, "/ohmi/damping_rates", 1e-5);
        reference.hold_numbers(&equilibrium.damping_times, "/ohmi/damping_times_s", 1e-5);
        let emittances = equilibrium.emittances;
        reference.hold_numbers(&emittances[..1], "/ohmi/mode_emittances/0", 1e-5);
        match reference.numbers("/ohmi/mode_emittances/1")[..] {
            [theirs] if theirs > 1e-20 => reference.hold_numbers(&emittances[1..2], "/ohmi/mode_emittances/1", 1e-5),
            _ => reference.hold("vertical emittance without coupling [m]", emittances[1], 1e-20),
        }
        reference.hold_numbers(&emittances[2..], "/ohmi/mode_emittances/2", 1e-5);
        reference.hold_numbers(&[equilibrium.energy_spread], "/envelope_parameters/sigma_e", 1e-5);
        reference.hold_numbers(&[equilibrium.bunch_length], "/envelope_parameters/sigma_l", 1e-5);
        check_beam_matrices(reference, &ring, &equilibrium)
    });
}

/// Beam matrices at the start and everywhere, each entry relative to the two beam sizes (largest anywhere) it is of.
fn check_beam_matrices(reference: &mut Reference, ring: &Ring, equilibrium: &Equilibrium) -> Result<(), NoOptics> {
    let ours = ring.beam_matrices(equilibrium)?;
    let size: Vec<f64> = (0..6).map(|k| ours.iter().map(|beam| beam[(k, k)]).fold(1e-20, f64::max).sqrt()).collect();
    for (name, ours) in [("r66_at_0", &ours[..1]), ("r66_all", &ours[..])] {
        let Some(theirs) = reference.table(&format!("ohmi/{name}")) else { continue };
        assert_eq!(theirs.len(), 36 * ours.len());
        let apart = |(place, theirs): (usize, &f64)| {
            let (beam, row, column) = (place / 36, place / 6 % 6, place % 6);
            (ours[beam][(row, column)] - theirs).abs() / (size[row] * size[column])
        };
        let worst = theirs.iter().enumerate().map(apart).fold(0.0, f64::max);
        reference.hold(&format!("{name}, relative to sizes"), worst, 1e-5);
    }
    let (start, end) = (&ours[0], &ours[ring.len()]);
    let turned = (0..6).filter(|&k| start[(k, k)] > 1e-20).map(|k| (end[(k, k)] / start[(k, k)] - 1.0).abs());
    // the equilibrium was found within 1e-9 of the closed orbit it has
    reference.hold("beam matrix after one turn", turned.fold(0.0, f64::max), 1e-7);
    Ok(())
}

/// A wiggler of 5 periods and 1.8 T in place of the first drift of the FODO ring, with one harmonic and with three.
///
/// From pyAT 0.9.0 `get_radiation_integrals`, `numpy.trapz` being there: `Wiggler('W', 0.3, 0.06, 1.8, 1e9, Nstep=20,
/// Nmeth=4, By, Bx)`. It takes the average of beta as `beta + alpha L + gamma L²/3`, which counts only where the ring has
/// no dispersion.
#[test]
fn radiation_integrals_of_wigglers_agree_with_pyat() {
    let one = [1.0, 1.0, 0.0, 1.0, 1.0, 0.0];
    let cases = [
        (
            vec![one],
            vec![],
            [7.055646258648873, 1.2773800632283705, 0.26224390237863215, 0.2720174870252045, 0.08595200140223856],
        ),
        (
            vec![one, [3.0, 0.3, 0.0, 3.0, 3.0, 0.5]],
            vec![[1.0, 0.4, 1.0, 0.0, 1.0, 0.2]],
            [7.043063183154949, 1.2882999415102188, 0.27457209254420134, 0.2715358423348827, 0.0891733180204517],
        ),
    ];
    for (vertical, horizontal, theirs) in cases {
        let Some(mut reference) = Reference::load("fodo_1gev_6d") else { return };
        let wiggler = Wiggler { period: 0.06, peak_field: 1.8, steps: 20, integrator: 4, vertical, horizontal };
        assert_eq!(reference.lattice.elements[5].length, 0.3);
        reference.lattice.elements[5] = Element::new("W", 0.3, Body::Wiggler(Box::new(wiggler)));
        let integrals = reference.ring(Effects::NONE).radiation_integrals().expect("stable optics");
        let ours = [integrals.i1, integrals.i2, integrals.i3, integrals.i4, integrals.i5];
        for (index, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
            reference.hold(&format!("I{} with a wiggler", index + 1), (ours / theirs - 1.0).abs(), 1e-8);
        }
        assert!(reference.failures.is_empty(), "{:#?}", reference.failures);
    }
}

/// A bend and a quadrupole at 3 GeV, entered far off the axis. Diffusion of x to ct, upper triangle by rows, from
/// pyAT 0.9.0 `diffusion_matrix`:
///
/// `Dipole('B', 0.8, 0.12, 0.9, EntranceAngle=0.03, ExitAngle=0.05, NumIntSteps=10, PolynomA=[0, 0.02, 0],
/// PolynomB=[1e-4, 0.9, 3], MaxOrder=2)`, `Quadrupole('Q', 0.4, 1.7, NumIntSteps=10)`, both ...Symplectic4RadPass.
#[test]
fn diffusion_of_single_magnets_is_that_of_pyat() {
    let at = [1e-3, 2e-4, -5e-4, 1e-4, 2e-3, 1e-3];
    let magnet =
        |b: Vec<f64>, a: Vec<f64>| Magnet { field: Field::new(b, a), slices: 10, fringe: [false; 2], exact: false };
    let edge = |angle| Edge { angle, ..Edge::default() };
    let bend = Bend {
        magnet: magnet(vec![1e-4, 0.9, 3.0], vec![0.0, 0.02, 0.0]),
        angle: 0.12,
        entrance: edge(0.03),
        exit: edge(0.05),
        full_gap: 0.0,
        second_order: false,
    };
    let elements = vec![
        Element::new("B", 0.8, Body::Bend(Box::new(bend))),
        Element::new("Q", 0.4, Body::Quadrupole(magnet(vec![0.0, 1.7], vec![0.0, 0.0]))),
    ];
    let ring = Ring::new(&line(elements), Effects::ALL);
    let theirs: [[f64; 21]; 2] = [
        [
            -7.1000529352855733e-15,
            -8.7911657270442120e-15,
            2.8510621812726561e-17,
            2.8461374909132126e-17,
            1.9443270001835921e-14,
            -3.7172171643352138e-16,
            1.1864805807247299e-14,
            1.4664286785900651e-16,
            1.9459014363313617e-16,
            6.0195625294351620e-13,
            -6.5569849808475030e-16,
            3.0595405727740968e-19,
            2.9192711906837893e-19,
            2.4884580638216948e-15,
            3.7250510687972200e-19,
            2.3676712512199806e-19,
            1.3600504169731409e-15,
            -1.5960452345732617e-19,
            2.7891758409466194e-11,
            -3.4623279896124858e-15,
            -1.7621012736179507e-17,
        ],
        [
            2.6489213727051165e-25,
            2.3059284666505254e-25,
            1.3687817377853366e-25,
            1.7358274477171410e-25,
            2.4733491766637810e-21,
            -8.8919806445847601e-29,
            -2.0325720954079297e-25,
            1.1952164316220577e-25,
            -6.0329047802872712e-26,
            1.8850275675997886e-21,
            -6.5143751698657125e-29,
            7.0733079607245480e-26,
            8.9898215462645063e-26,
            1.2758545109011427e-21,
            -4.5917831091191814e-29,
            3.2952052983669835e-27,
            1.4977265791627486e-21,
            -5.1978090573804083e-29,
            2.7531617531931998e-17,
            -8.7803599197907454e-25,
            3.0201622845480137e-32,
        ],
    ];
    for (index, theirs) in theirs.iter().enumerate() {
        let ours = ring.element_diffusion(index, &at);
        let places = (0..6).flat_map(|row| (row..6).map(move |column| (row, column)));
        for ((row, column), theirs) in places.zip(theirs) {
            let apart = (ours[(row, column)] - theirs).abs() / (ours[(row, row)] * ours[(column, column)]).abs().sqrt();
            assert!(apart < 1e-12, "element {index}, {row} {column}: {} {theirs}", ours[(row, column)]);
        }
    }
}

/// The exact and the second-order map of a bend and the exact one of a quadrupole emit what the paraxial ones do, near
/// the axis.
///
/// Where a kick bends the beam, its photons are added behind it (as pyAT does): what they go on to do in that same kick
/// is left out, which falls with the number of slices. The exact bend, which bends between its kicks, leaves nothing out.
#[test]
fn all_maps_of_a_magnet_emit_alike() {
    let magnet =
        |k1: f64| Magnet { field: Field::new(vec![0.0, k1], vec![]), slices: 400, fringe: [false; 2], exact: false };
    let bend = |second_order| {
        let (entrance, exit) = (Edge::default(), Edge::default());
        Body::Bend(Box::new(Bend { magnet: magnet(-0.5), angle: 0.1, entrance, exit, full_gap: 0.0, second_order }))
    };
    let exactly = |mut element: Element| {
        element.set_exact(true);
        element
    };
    let (plain, second) = (Element::new("B", 0.8, bend(false)), Element::new("B2", 0.8, bend(true)));
    let quadrupole = Element::new("Q", 0.4, Body::Quadrupole(magnet(2.0)));
    let at = [2e-4, 1e-5, 1e-4, -2e-5, 1e-4, 0.0];
    for pair in [[second, plain.clone()], [exactly(plain.clone()), plain], [exactly(quadrupole.clone()), quadrupole]] {
        let ring = Ring::new(&line(pair.to_vec()), Effects::ALL);
        let [other, plain] = [0, 1].map(|index| ring.element_diffusion(index, &at));
        for (row, limit) in [(4, 1e-5), (0, 0.03), (1, 0.03)] {
            let apart = (other[(row, 4)] / plain[(row, 4)] - 1.0).abs();
            assert!(apart < limit && apart > 0.0, "row {row}: {apart:e}");
        }
    }
}

fn line(elements: Vec<Element>) -> Lattice {
    Lattice {
        name: "test".into(),
        energy: 3e9,
        periodicity: 1,
        harmonic_number: None,
        rest_energy: 0.0,
        reference: fodo_lattice::Reference::default(),
        elements,
    }
}

#[test]
fn without_radiation_there_is_no_equilibrium() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../facilities/demo_ring/lattice.toml");
    let lattice = Lattice::load(path).expect("the demo ring");
    let mut ring = Ring::new(&lattice, Effects::ALL);
    assert!(ring.find_equilibrium().is_ok());
    ring.set_rf(ring.rf_frequency().expect("a cavity"), 1e3);
    let weak = NoOptics::NoClosedOrbit(NoClosedOrbit::NoSynchronousPhase(0.0, 0.0));
    assert_eq!(
        std::mem::discriminant(&ring.find_equilibrium().expect_err("no voltage")),
        std::mem::discriminant(&weak)
    );
    let quadrupoles = lattice.elements.iter().filter(|element| !matches!(element.body, Body::Bend(_))).cloned();
    let straight = Ring::new(&Lattice { elements: quadrupoles.collect(), ..lattice.clone() }, Effects::ALL);
    assert_eq!(straight.radiation().expect_err("no bends"), NoOptics::NoRadiation);
}

/// After changes that move the orbit little or much, what is kept of the elements gives the same as starting anew.
#[test]
fn an_equilibrium_after_a_change_is_the_same_from_nothing() {
    on_rings(|reference| {
        if reference.lattice.elements.len() > 5000 {
            return Ok(());
        }
        let mut ring = reference.ring(Effects::ALL);
        ring.equilibrium()?;
        let quadrupoles: Vec<usize> = (0..ring.len())
            .filter(|&index| {
                matches!(ring.element(index).class(), Class::Quadrupole | Class::Sextupole | Class::Multipole)
            })
            .collect();
        let mut worst = [0.0; 2];
        for (round, change) in [1e-6, 1e-4, 1e-5, 1e-4, 1e-3].into_iter().enumerate() {
            let index = quadrupoles[17 * (round + 1) % quadrupoles.len()];
            let strength = ring.element(index).field().map_or(0.0, |field| field.upright(1));
            ring.set_upright(index, 1, strength * (1.0 + change));
            ring.set_kick(index, if round == 3 { 1e-6 } else { change * 1e-6 }, 0.0);
            let (warm, cold) = (ring.equilibrium()?, ring.find_equilibrium()?);
            let moved: Vec<f64> = [0, 2].map(|mode| (warm.emittances[mode] / cold.emittances[mode] - 1.0).abs()).into();
            worst = [0, 1].map(|mode| f64::max(worst[mode], moved[mode]));
            let start = (0..6).map(|k| (warm.orbit.start()[k] - cold.orbit.start()[k]).abs()).fold(0.0, f64::max);
            reference.hold("orbit, changed, warm and cold", start, 1e-11);
        }
        reference.hold("emittance x, changed, warm and cold", worst[0], 1e-6);
        reference.hold("longitudinal emittance, changed", worst[1], 1e-6);
        Ok(())
    });
}

/// Numbers of pyAT 0.9.0: `ring.enable_6d(); ring.tapering(multipoles=..., niter=...)`, then `FieldScaling` of elements,
/// largest |x| and |px| of `find_orbit6`, tunes of `ohmi_envelope`.
struct Taper {
    name: &'static str,
    tapered: Tapered,
    rounds: u32,
    scaling: &'static [(usize, f64)],
    largest: [f64; 2],
    tunes: [f64; 3],
}

const TAPERS: [Taper; 4] = [
    Taper {
        name: "ebs_ring",
        tapered: Tapered::AllMagnets,
        rounds: 1,
        scaling: &[(5, 1.0000063459205397), (1941, 1.0000063459205508), (3868, 0.9999931886879498)],
        largest: [1.3949969209e-08, 1.8341209738e-08],
        tunes: [0.2100050307564068, 0.34004393362408963, 0.003489936802322398],
    },
    Taper {
        name: "ebs_ring",
        tapered: Tapered::Bends,
        rounds: 1,
        scaling: &[],
        largest: [1.3949933633e-08, 1.8341163035e-08],
        tunes: [0.21003282195107317, 0.34004806230030443, 0.003489932767702971],
    },
    Taper {
        name: "fodo_1gev_6d",
        tapered: Tapered::AllMagnets,
        rounds: 1,
        scaling: &[(1, 1.0000083294573203), (97, 0.9999996446121858), (191, 0.999991408949563)],
        largest: [2.7730756377e-09, 3.7581178769e-09],
        tunes: [0.43994702091739074, 0.2847991150404531, 0.019866051966059686],
    },
    Taper {
        name: "fodo_1gev_6d",
        tapered: Tapered::AllMagnets,
        rounds: 2,
        scaling: &[],
        largest: [2.7382914774e-09, 3.7479418482e-09],
        tunes: [0.4399470195896087, 0.28479911504045413, 0.019866058921870034],
    },
];

#[test]
fn tapering_is_that_of_pyat() {
    for taper in TAPERS {
        let Some(mut reference) = Reference::load(taper.name) else { return };
        let mut ring = reference.ring(Effects::ALL);
        let bare = ring.find_equilibrium().expect("an equilibrium").orbit;
        let orbit = ring.taper(taper.tapered, taper.rounds).expect("a closed orbit");
        for &(index, theirs) in taper.scaling {
            let ours = ring.element(index).field_scaling;
            reference.hold(&format!("field scaling of element {index}"), (ours - theirs).abs(), 1e-11);
        }
        for (coordinate, theirs) in taper.largest.into_iter().enumerate() {
            let largest = |orbit: &Orbit| orbit.points.iter().map(|point| point[coordinate].abs()).fold(0.0, f64::max);
            // orbits agree to 1e-12
            reference.hold(&format!("largest of coordinate {coordinate}"), (largest(&orbit) - theirs).abs(), 1e-12);
            assert!(largest(&orbit) < 0.1 * largest(&bare), "{} is not flat", taper.name);
        }
        let tunes = ring.find_equilibrium().expect("an equilibrium").tunes;
        for (mode, theirs) in taper.tunes.into_iter().enumerate() {
            // of pyAT's finite differences
            let limit = if mode == 2 { 2e-8 } else { 1e-8 };
            reference.hold(&format!("tapered tune {mode}"), (tunes[mode] - theirs).abs(), limit);
        }
        assert!(reference.failures.is_empty(), "{:#?}", reference.failures);
    }
}
