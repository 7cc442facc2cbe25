//! Lifetimes: Touschek scattering against pyAT (live), gas scattering against numbers of the literature and by hand.

mod common;

use common::{ask_peer, demo_ring, ebs_ring, for_pyat, numbers};
use fodo_dynamics::{
    Acceptance, AcceptanceShape, Gas, Lifetime, Molecule, MomentumApertureOptions, MomentumLimits, NoLifetime, Sizes,
    TouschekPlace, bremsstrahlung, elastic, electrons, gas_losses, momentum_aperture, quantum_losses, touschek,
    touschek_rate,
};
use fodo_lattice::ElementAperture;
use fodo_optics::constants::ELECTRON_RADIUS;
use fodo_optics::{Effects, Ring, Twiss};
use serde_json::json;

/// A bunch of the ESRF in its mode of many bunches, with 10 pm of vertical emittance.
const SIZES: Sizes = Sizes { emittance_x: 1.3e-10, emittance_y: 1e-11, energy_spread: 9.4e-4, length: 3e-3 };
const CHARGE: f64 = 1e-9;

/// The first cell of the ring of the ESRF.
fn cell() -> fodo_lattice::Lattice {
    let mut lattice = ebs_ring();
    let cell = lattice.elements.len() / 32;
    lattice.elements.truncate(cell);
    lattice.periodicity = 32;
    lattice
}

/// Rates at all elements, and the lifetime with pyAT's own weights (each element counts as its entrance).
///
/// As it is, pyAT is off by some 1e-5, because it cuts the Bessel function short; with the whole one in its integrand
/// it agrees to 2e-8: its dispersion is a difference quotient, and its beta is 1 for a relativistic particle (1/gamma²
/// is 7e-9 here).
#[test]
fn touschek_lifetime_agrees_with_pyat() {
    let lattice = cell();
    let ring = Ring::new(&lattice, Effects::NONE);
    let limits = MomentumLimits::even(-0.035, 0.05).expect("limits");
    let ours = touschek(&ring, CHARGE, &SIZES, &limits).expect("a lifetime");
    let theirs = ask_peer(
        "touschek.py",
        &json!({
            "lattice": for_pyat(&lattice, "touschek"), "emitx": SIZES.emittance_x, "emity": SIZES.emittance_y,
            "sigs": SIZES.length, "sigp": SIZES.energy_spread, "charge": CHARGE, "limits": [0.05, -0.035],
        }),
    );
    // pyAT passes over elements without length
    let thick = (0..ring.len()).filter(|&index| ring.element(index).length > 0.0);
    let there: Vec<f64> = thick.clone().map(|index| ours.rate[index]).collect();
    let weighted: f64 = thick.map(|index| ring.element(index).length * ours.rate[index]).sum();
    let lifetime = ring.length() / weighted;
    for (kind, allowed) in [("plain", 5e-5), ("whole", 2e-8)] {
        let rates = numbers(&theirs[kind]["rate"]);
        assert_eq!(rates.len(), there.len());
        let worst = rates.iter().zip(&there).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
        let expected = theirs[kind]["lifetime"].as_f64().expect("a number");
        eprintln!("{kind}: rates differ by {worst:.1e}; lifetime {lifetime:.6} s against {expected:.6} s");
        assert!(worst < allowed, "{kind}: {worst:.1e}");
        assert!((lifetime / expected - 1.0).abs() < allowed, "{kind}");
        // straight lines between the ends of the elements instead of steps: another sum over the same rates
        assert!((ours.lifetime() / expected - 1.0).abs() < 0.01);
    }
}

/// Places with dispersion in both planes, of slow and of fast particles, and limits from small to large.
#[test]
fn touschek_rates_agree_with_pyat_for_any_optics() {
    let betas = [[5.0, 3.0], [20.0, 1.0], [0.6, 30.0], [8.0, 8.0]];
    let alphas = [[0.5, -1.0], [-3.0, 0.2], [0.0, 4.0], [1.0, 1.0]];
    let dispersions = [[0.02, 1e-3, 0.0, 0.0], [0.1, -0.03, 0.02, 0.01], [0.0; 4], [-0.5, 0.1, 0.3, -0.2]];
    let limits = [[0.03, -0.02], [0.005, -0.06], [0.1, -0.1], [0.04, -1e-3]];
    let sizes = Sizes { emittance_x: 3e-9, emittance_y: 2e-10, energy_spread: 1e-3, length: 5e-3 };
    for gamma in [500.0, 12_000.0] {
        let theirs = ask_peer(
            "touschek.py",
            &json!({
                "places": { "beta": betas, "alpha": alphas, "dispersion": dispersions }, "gamma": gamma,
                "emitx": sizes.emittance_x, "emity": sizes.emittance_y, "sigs": sizes.length,
                "sigp": sizes.energy_spread, "charge": CHARGE, "limits": limits,
            }),
        );
        for (kind, allowed) in [("plain", 5e-5), ("whole", 1e-9)] {
            let rates = [0, 1].map(|side| numbers(&theirs[kind][side]));
            for (side, index) in (0..2).flat_map(|side| (0..betas.len()).map(move |index| (side, index))) {
                let twiss = [0, 1].map(|plane| Twiss { beta: betas[index][plane], alpha: alphas[index][plane] });
                let place = TouschekPlace { twiss, dispersion: dispersions[index], gamma, radius: ELECTRON_RADIUS };
                let rate = touschek_rate(&place, CHARGE, &sizes, limits[index][side]);
                let apart = (rate / rates[side][index] - 1.0).abs();
                assert!(apart < allowed, "{kind}, gamma {gamma}, side {side}, place {index}: {apart:.1e}");
            }
        }
    }
}

/// Half the charge, half the rate; double the length, half the rate; a smaller limit, a larger rate.
#[test]
fn touschek_scattering_follows_density_and_aperture() {
    let ring = Ring::new(&demo_ring(), Effects::NONE);
    let sizes = Sizes { emittance_x: 2e-8, emittance_y: 2e-10, energy_spread: 1e-3, length: 8e-3 };
    let rate = |charge, sizes: &Sizes, limit: f64| {
        let limits = MomentumLimits::even(-limit, limit).expect("limits");
        touschek(&ring, charge, sizes, &limits).expect("a lifetime").mean_rate()
    };
    let usual = rate(1e-9, &sizes, 0.02);
    assert!((rate(5e-10, &sizes, 0.02) / usual - 0.5).abs() < 1e-12);
    assert!((rate(1e-9, &Sizes { length: 16e-3, ..sizes }, 0.02) / usual - 0.5).abs() < 1e-12);
    assert!(rate(1e-9, &sizes, 0.01) > 2.0 * usual);
    let none = MomentumLimits::even(0.0, 0.02).expect("limits");
    assert_eq!(touschek(&ring, 1e-9, &sizes, &none), Err(NoLifetime::NoRoom(0.0)));
    let flat = Sizes { emittance_y: 0.0, ..sizes };
    assert_eq!(
        touschek(&ring, 1e-9, &flat, &MomentumLimits::even(-0.1, 0.1).expect("limits")),
        Err(NoLifetime::BadNumber("emittance_y", 0.0))
    );
}

#[test]
fn formulas_are_read_and_others_refused() {
    let atoms = |formula: &str| Molecule::new(formula).map(|molecule| molecule.atoms().to_vec());
    assert_eq!(atoms("H2"), Ok(vec![(1, 2)]));
    assert_eq!(atoms("CO"), Ok(vec![(6, 1), (8, 1)]));
    assert_eq!(atoms("C2H6"), Ok(vec![(6, 2), (1, 6)]));
    assert_eq!(atoms("Ar"), Ok(vec![(18, 1)]));
    assert_eq!(atoms("Xe"), Ok(vec![(54, 1)]));
    for wrong in ["", "h2", "Qq", "H0", "2H", "CO-", "Ä"] {
        assert_eq!(atoms(wrong), Err(NoLifetime::NotAFormula(wrong.to_string())), "{wrong}");
    }
}

/// Outside of a circle of angle t: 4 pi Z² r² / (gamma t)²; beyond t in one plane alone: half of that. A square lies
/// between the circles inside and around it.
#[test]
fn elastic_scattering_has_its_limits() {
    let (momentum, inverse) = (1e4, 1e6);
    let circle = 4.0 * std::f64::consts::PI * (7.0 * ELECTRON_RADIUS / momentum).powi(2) * inverse;
    let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
    near(elastic(7.0, momentum, [inverse, inverse], AcceptanceShape::Ellipse), circle);
    near(elastic(7.0, momentum, [0.0, inverse], AcceptanceShape::Rectangle), 0.5 * circle);
    near(elastic(7.0, momentum, [inverse, 0.0], AcceptanceShape::Rectangle), 0.5 * circle);
    let square = elastic(7.0, momentum, [inverse, inverse], AcceptanceShape::Rectangle);
    assert!(square < circle && square > 0.5 * circle);
    // the integral over the plane outside of an oblong, by summing over the angle about the beam
    let (x, y) = (3e6, 5e5);
    let steps = 100_000;
    let turn = std::f64::consts::TAU / f64::from(steps);
    let sum: f64 = (0..steps)
        .map(|step| ((f64::from(step) + 0.5) * turn).sin_cos())
        .map(|(sine, cosine)| 0.5 * turn * f64::max(x * cosine * cosine, y * sine * sine))
        .sum();
    let oblong = elastic(1.0, momentum, [x, y], AcceptanceShape::Rectangle);
    assert!((oblong / (sum * (2.0 * ELECTRON_RADIUS / momentum).powi(2)) - 1.0).abs() < 1e-8);
    assert_eq!(elastic(1.0, momentum, [0.0; 2], AcceptanceShape::Rectangle), 0.0);
}

/// Energy losses by hand.
///
/// Nitrogen, 2 %: L_rad = ln(184.15 / 7^(1/3)) = 4.5672, f = 0.00312, L'_rad = ln(1194 / 7^(2/3)) = 5.7878, so that
/// Z² (L_rad - f) + Z L'_rad = 264.15; soft part 4/3 (3.9120 - 0.625 + 0.02 - 0.00015) = 4.4092, the other one
/// 56 (3.9120 - 1 + 0.02) / 9 = 18.244; 4 alpha r² = 2.3179e-31 m². Radiation length from the same figures: 37.99 g/cm².
#[test]
fn energy_losses_on_atoms_have_their_values() {
    let value = bremsstrahlung(7.0, 0.02);
    assert!((value / 2.7422e-28 - 1.0).abs() < 1e-3, "{value:e}");
    // the fraction lost by soft photons on the way of a radiation length is near 1: k dsigma/dk at k = 0 is 4/3 / X0
    let per_atom = 14.007 / 6.022_140_76e23 / 37.99 * 1e-4; // m²
    let slope = (bremsstrahlung(7.0, 1e-6) - bremsstrahlung(7.0, 2e-6)) / 2f64.ln();
    assert!((slope / (4.0 / 3.0 * per_atom) - 1.0).abs() < 0.02, "{slope:e} {per_atom:e}");
    // 2 pi r² Z / gamma (1/0.02 - 1/0.98 + 0.48)
    let given = electrons(7.0, 1e4, 0.02);
    assert!((given / (4.9893e-29 * 7.0 / 1e4 * 49.4596) - 1.0).abs() < 1e-4, "{given:e}");
    assert_eq!(electrons(7.0, 1e4, 0.6), 0.0);
}

/// Nitrogen at 1 nTorr (1.333e-7 Pa, 300 K: 3.219e13 molecules/m³), 3 GeV, an acceptance of 1 mm mrad at a mean beta
/// of 10 m in the vertical plane alone: tau = 1 / (c n 2 · 2 pi (Z r / gamma)² beta / A). By hand: gamma = 5870.9,
/// sigma = 2 pi (7 · 2.8179e-15 / 5870.9)² · 1e7 = 7.093e-28 m², tau = 7.304e4 s = 20.3 h.
#[test]
fn gas_lifetime_by_hand() {
    let mut lattice = demo_ring();
    lattice.energy = 3e9;
    lattice.rest_energy = 0.0;
    let ring = Ring::new(&lattice, Effects::NONE);
    let optics = ring.optics().expect("stable");
    let steps = (0..ring.len()).map(|i| (optics.position[i + 1] - optics.position[i], i));
    let mean_beta: f64 =
        steps.map(|(length, i)| 0.5 * length * (optics.beta_y[i] + optics.beta_y[i + 1])).sum::<f64>() / ring.length();
    // so that beta / acceptance is 10 m / (1 mm mrad)
    let acceptance = Acceptance { x: f64::INFINITY, y: mean_beta / 1e7, shape: AcceptanceShape::Rectangle };
    let gas = Gas::even(1.333_22e-7, &[("N2", 1.0)], 300.0).expect("a gas");
    let limits = MomentumLimits::even(-0.02, 0.02).expect("limits");
    let losses = gas_losses(&ring, &gas, &acceptance, &limits).expect("losses");
    let [elastic, radiated, given] = losses.lifetimes();
    eprintln!(
        "elastic {:.2} h, bremsstrahlung {:.2} h, electrons {:.1} h",
        elastic / 3600.0,
        radiated / 3600.0,
        given / 3600.0
    );
    // trapezoids of beta here, its mean in a drift there
    assert!((elastic / 7.304e4 - 1.0).abs() < 0.03, "{elastic}");
    // c n 2 · 2.7422e-28 m² = 5.293e-6 / s
    assert!((radiated / 1.889e5 - 1.0).abs() < 2e-3, "{radiated}");
    assert!(given > 10.0 * radiated);
    let none = Gas::even(0.0, &[("N2", 1.0)], 300.0).expect("a gas");
    let still = gas_losses(&ring, &none, &acceptance, &limits).expect("losses");
    assert!(still.lifetimes().iter().all(|lifetime| lifetime.is_infinite()));
    let sizes = Sizes { emittance_x: 2e-8, emittance_y: 2e-10, energy_spread: 1e-3, length: 8e-3 };
    let scattered = touschek(&ring, 1e-9, &sizes, &limits).expect("a lifetime");
    let all = Lifetime::new(&scattered, &losses);
    let sum = 1.0 / all.touschek + 1.0 / elastic + 1.0 / radiated + 1.0 / given;
    assert!((all.total() * sum - 1.0).abs() < 1e-12 && all.gas() > all.total());
}

/// A pressure bump counts by its area, and where beta is large it counts more; apertures make the acceptance.
#[test]
fn pressure_and_apertures_along_the_ring() {
    let mut lattice = demo_ring();
    lattice.elements[10].aperture =
        Some(Box::new(ElementAperture { rectangle: Some([-0.02, 0.02, -0.005, 0.006]), ellipse: None }));
    let ring = Ring::new(&lattice, Effects::NONE);
    let optics = ring.optics().expect("stable");
    let acceptance = Acceptance::of_apertures(&ring, &optics);
    let beta = f64::max(optics.beta_y[10], optics.beta_y[11]);
    assert!((acceptance.y / (0.005f64.powi(2) / beta) - 1.0).abs() < 1e-9);
    let limits = MomentumLimits::even(-0.02, 0.02).expect("limits");
    let carbon = Molecule::new("CO").expect("a formula");
    let length = ring.length();
    // a triangle of 1 m to each side, between elements as well as on their edges
    let bump = |at: f64| {
        let pressures = vec![0.0, 1e-6, 0.0];
        Gas::new(vec![at - 1.0, at, at + 1.0], vec![(carbon.clone(), pressures)], 293.0).expect("a gas")
    };
    let even = Gas::even(1e-6, &[("CO", 1.0)], 293.0).expect("a gas");
    let rates = |gas: &Gas| gas_losses(&ring, gas, &acceptance, &limits).expect("losses").mean_rates();
    for at in [0.2 * length, 0.333 * length, 0.71 * length] {
        let part = rates(&bump(at))[1] / rates(&even)[1];
        assert!((part * length - 1.0).abs() < 1e-9, "{at}: {part}");
    }
    assert!(Gas::new(vec![0.0], vec![(carbon, vec![-1.0])], 293.0).is_err());
}

/// Linear optics against tracking, with a blade on one side where there is dispersion: sextupoles are off, so that the
/// difference is what the energy does to the optics.
#[test]
fn a_blade_leaves_as_much_momentum_as_tracking_says() {
    let mut lattice = demo_ring();
    for element in &mut lattice.elements {
        if let Some(field) = element.field_mut() {
            (field.a, field.b) = (field.a.iter().copied().take(2).collect(), field.b.iter().copied().take(2).collect());
        }
    }
    let blade = ElementAperture { rectangle: Some([-0.05, 0.003, -0.05, 0.05]), ellipse: None };
    lattice.elements[40].aperture = Some(Box::new(blade));
    let ring = Ring::new(&lattice, Effects::NONE);
    let optics = ring.optics().expect("stable");
    let limits = MomentumLimits::of_apertures(&ring, &optics).expect("limits");
    let places: Vec<usize> = (0..ring.len()).step_by(7).collect();
    let options = MomentumApertureOptions { turns: 500, limits: [-0.02, 0.02], ..MomentumApertureOptions::default() };
    let tracked = momentum_aperture(&ring, &places, &options).expect("an aperture");
    // the search goes in steps of 1.25e-4
    let mut worst = 0.0_f64;
    for (at, &place) in places.iter().enumerate() {
        for (side, found) in [tracked.negative[at], tracked.positive[at]].into_iter().enumerate() {
            let limit = limits.at(optics.position[place])[side].clamp(-0.02, 0.02);
            worst = worst.max((limit - found).abs() - 0.02 * found.abs());
        }
    }
    eprintln!("the momentum aperture by linear optics differs from tracking by 2 % and {worst:.1e} at most");
    assert!(worst < 1.3e-4, "{worst:e}");
    let free = Ring::new(&demo_ring(), Effects::NONE);
    let none = MomentumLimits::of_apertures(&free, &optics).expect("limits").at(3.0);
    assert!(none.iter().all(|limit| limit.is_infinite()), "{none:?}");
}

/// The tails at six and at five rms sizes, by hand; nearer than where that is valid the rate stays.
#[test]
fn tails_of_the_beam_are_lost_at_an_edge() {
    let beam = |edge: f64| {
        let mut lattice = demo_ring();
        let aperture = ElementAperture { rectangle: Some([-0.02, 0.02, -0.02, edge]), ellipse: None };
        lattice.elements[10].aperture = Some(Box::new(aperture));
        let ring = Ring::new(&lattice, Effects::NONE);
        let optics = ring.optics().expect("stable");
        let beta = f64::max(optics.beta_y[10], optics.beta_y[11]);
        let rate = quantum_losses(&ring, &optics, [1e-12, 1e-8], 0.0, [1e-2, 2e-2]);
        (rate, edge / (1e-8 * beta).sqrt())
    };
    for edge in [1e-3, 8e-4] {
        let (rate, sizes) = beam(edge);
        let wanted = sizes * sizes * (-0.5 * sizes * sizes).exp() / 2e-2;
        assert!((rate / wanted - 1.0).abs() < 1e-9, "{sizes} sizes: {rate} {wanted}");
    }
    assert_eq!(beam(1e-5).0, beam(2e-5).0);
}
