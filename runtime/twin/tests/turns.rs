//! Turn by turn: the same as the engine tracks, decoherence of many particles, losses, what monitors make of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{number, pass, row, sample, set};
use common::{Tables, facility};
use fodo_control::{Plant, Trainer, Validity};
use fodo_twin::{Twin, TwinOptions};

fn twin(tables: &str) -> Twin {
    Twin::new(&facility("demo_ring", Tables::twin(tables)), TwinOptions::default()).unwrap()
}

fn fire(twin: &Twin) {
    set(twin, "beam:fire", 1.0);
    pass(twin, 0.1);
}

const ROLLED: &str =
    "seed = 3\n[misalignments.quadrupoles]\nelements = \"Q*\"\ndx = \"50 um\"\ndy = \"50 um\"\nroll = \"0.5 mrad\"\n";

/// One particle: the engine's own tracking of it, kicked in the first turn.
#[test]
fn turns_are_those_of_the_engine() {
    let ring = facility("demo_ring", Tables::twin(ROLLED));
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    set(&twin, "beam:kicker:x", 0.1);
    set(&twin, "beam:kicker:y", -0.05);
    assert!(matches!(sample(&twin, "beam:turns:1:x").validity, Validity::Invalid(_)), "nothing was taken yet");
    fire(&twin);
    let machine = twin.ring();
    let index = |name: &str| ring.lattice.index_of(name).unwrap();
    let mut kicked = machine.clone();
    let kicker = index("COR_001");
    let [x, y] = kicked.element(kicker).kick;
    kicked.set_kick(kicker, x + 1e-4, y - 5e-5);
    let mut particle = [machine.find_closed_orbit().unwrap().start()];
    let (mut worst, mut largest) = (0.0_f64, 0.0_f64);
    let rows: Vec<[Vec<f64>; 2]> =
        (1..=16).map(|n| ["x", "y"].map(|plane| row(&twin, &format!("beam:turns:{n}:{plane}")))).collect();
    for turn in 0..512 {
        let ring = if turn == 0 { &kicked } else { &machine };
        let mut at = 0;
        for (n, [x, y]) in rows.iter().enumerate() {
            let place = index(&format!("BPM_{:03}", n + 1));
            ring.track_section(&mut particle, at..place, turn as u64);
            at = place;
            worst = worst.max((x[turn] - particle[0][0]).abs()).max((y[turn] - particle[0][2]).abs());
            largest = largest.max(x[turn].abs());
        }
        ring.track_section(&mut particle, at..machine.len(), turn as u64);
    }
    eprintln!("512 turns of {:.2} mm: {worst:.1e} m apart", 1e3 * largest);
    assert!(worst < 1e-10 && largest > 1e-4, "{worst:e} {largest:e}");
}

/// Turns on both sides of one that are looked at with it.
const NEAR: usize = 6;

/// Many particles at a chromaticity: their mean falls and comes back with the synchrotron motion, by
/// exp(-(2 Q' sigma sin(pi Qs n) / Qs)² / 2) (R. E. Meller et al., SSC-N-360 (1987)).
#[test]
fn a_beam_of_many_particles_decoheres() {
    let kicked = |particles: usize| {
        let twin = twin(&format!("{ROLLED}[turns]\nparticles = {particles}\n"));
        for n in 1..=16 {
            set(&twin, &format!("SF_{n:03}:Cm:set"), 0.499);
            set(&twin, &format!("SD_{n:03}:Cm:set"), -0.001);
        }
        set(&twin, "beam:kicker:x", 0.2);
        fire(&twin);
        let chromaticity = number(&twin, "beam:chromaticity:x");
        (row(&twin, "beam:turns:5:x"), chromaticity, twin.ring().find_equilibrium().unwrap())
    };
    let ((one, chromaticity, beam), (many, ..)) = (kicked(1), kicked(2000));
    let slow = beam.tunes[2].min(1.0 - beam.tunes[2]);
    let rms = |row: &[f64], at: usize| {
        let part = &row[at - NEAR..=at + NEAR];
        let middle = row.iter().sum::<f64>() / row.len() as f64;
        (part.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / part.len() as f64).sqrt()
    };
    // a whole period later it is together again
    let again = rms(&many, (1.0 / slow).round() as usize) / rms(&one, (1.0 / slow).round() as usize);
    assert!(again > 0.98, "{again}");
    let half = (0.5 / slow).round() as usize;
    eprintln!("chromaticity {chromaticity:.2}, synchrotron tune {slow:.5}, energy spread {:.2e}", beam.energy_spread);
    for at in [half, 3 * half, 5 * half] {
        let part = |turn: usize| {
            let wave = (std::f64::consts::PI * slow * turn as f64).sin();
            (-0.5 * (2.0 * chromaticity * beam.energy_spread * wave / slow).powi(2)).exp()
        };
        let wanted = (at - NEAR..=at + NEAR).map(part).sum::<f64>() / (2 * NEAR + 1) as f64;
        let found = rms(&many, at) / rms(&one, at);
        eprintln!("turn {at}: {found:.3} of the amplitude of one particle, {wanted:.3} by the formula");
        assert!((found - wanted).abs() < 0.01 && wanted < 0.96, "turn {at}: {found} {wanted}");
    }
}

#[test]
fn monitors_read_turns_with_their_errors() {
    let exact = "[exact.BPM.BPM_005]\ngain_x = 1.1\noffset_x = \"0.2 mm\"\n";
    let noise = "[monitors.BPM]\nnoise_turns = \"20 um\"\n";
    let (sound, wrong, noisy) = (twin(ROLLED), twin(&format!("{ROLLED}{exact}")), twin(&format!("{ROLLED}{noise}")));
    for twin in [&sound, &wrong, &noisy] {
        set(twin, "beam:kicker:x", 0.2);
        fire(twin);
    }
    let at = |twin: &Twin| row(twin, "beam:turns:5:x");
    for (sound, wrong) in at(&sound).iter().zip(at(&wrong)) {
        assert!((wrong - 1.1 * (sound - 2e-4)).abs() < 1e-12);
    }
    let rest: Vec<f64> = at(&sound).iter().zip(at(&noisy)).map(|(a, b)| b - a).collect();
    let rms = (rest.iter().map(|x| x * x).sum::<f64>() / 512.0).sqrt();
    // one standard deviation is 3 %
    assert!((rms / 20e-6 - 1.0).abs() < 0.15, "{rms}");
    let first = at(&noisy);
    fire(&noisy);
    assert_ne!(at(&noisy), first, "the next time it is other noise");
    let again = twin(&format!("{ROLLED}{noise}"));
    set(&again, "beam:kicker:x", 0.2);
    fire(&again);
    assert_eq!(at(&again), first, "the same seed gives the same");
}

/// A monitor that needs more beam than there is shows no number; an acquisition has the time at which it was taken.
#[test]
fn too_little_beam_is_no_number() {
    let blind = twin("[exact.BPM.BPM_005]\nthreshold = \"300 mA\"\n");
    set(&blind, "beam:kicker:x", 0.1);
    fire(&blind);
    assert!(row(&blind, "beam:turns:5:x").iter().all(|x| x.is_nan()));
    assert!(row(&blind, "beam:turns:4:x").iter().all(|x| x.is_finite()));
    let stamp = sample(&blind, "beam:turns:4:x").time;
    pass(&blind, 1.0);
    assert_eq!(sample(&blind, "beam:turns:4:x").time, stamp);
    let again = blind.now();
    fire(&blind);
    assert!(sample(&blind, "beam:turns:4:x").time > again);
    assert_eq!(number(&blind, "beam:current"), 200.0);
}

/// Without a beam there are no turns.
#[test]
fn without_a_beam_nothing_is_taken() {
    let twin = twin("[anomalies.loss]\nkind = \"beam_loss\"\n");
    twin.start("loss", None).unwrap();
    fire(&twin);
    assert!(
        matches!(&sample(&twin, "beam:turns:5:x").validity, Validity::Invalid(why) if why.contains("the beam is lost"))
    );
}

const MODULATED: &str = r#"
[RFMOD]
role = "rf modulation"
phase = { unit = "rad", hardware = "mrad", model = "rf_phase_modulation", set = "rfmod:phase", limits = ["0 mrad", "200 mrad"], tolerance = "1e-3 mrad" }
voltage = { unit = "1", hardware = "%", model = "rf_voltage_modulation", set = "rfmod:voltage", limits = ["0 %", "10 %"], tolerance = "1e-3 %" }
frequency = { unit = "Hz", hardware = "kHz", model = "rf_modulation_frequency", set = "rfmod:frequency", limits = ["0 kHz", "500 kHz"], tolerance = "1 Hz" }
"#;

/// The demo ring with a modulation of its cavity.
fn modulated(tables: &str) -> (fodo_devices::Facility, Twin) {
    let own = std::fs::read_to_string(common::folder("demo_ring").join("families.toml")).unwrap();
    let tables = Tables::twin(tables).with("families.toml", &format!("{own}\n{MODULATED}"));
    let ring = facility("demo_ring", tables);
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    (ring, twin)
}

/// The engine, its cavity set anew before each turn.
#[test]
fn rf_modulation_is_that_of_the_engine() {
    let (ring, twin) = modulated("seed = 3\n");
    set(&twin, "rfmod:phase", 50.0);
    set(&twin, "rfmod:voltage", 2.0);
    set(&twin, "rfmod:frequency", 20.0);
    fire(&twin);
    let machine = twin.ring();
    let index = |name: &str| ring.lattice.index_of(name).unwrap();
    let (cavity, revolution) = (index("RF_001"), machine.revolution_time());
    let own = match &machine.element(cavity).body {
        fodo_lattice::Body::Cavity(cavity) => cavity.clone(),
        _ => panic!("no cavity"),
    };
    let mut particle = [machine.find_closed_orbit().unwrap().start()];
    let row = row(&twin, "beam:turns:3:x");
    let (mut worst, mut largest) = (0.0_f64, 0.0_f64);
    let mut turned = machine.clone();
    for (turn, seen) in row.iter().enumerate() {
        let sine = (std::f64::consts::TAU * 20e3 * turn as f64 * revolution).sin();
        turned.change(cavity, |element| {
            if let fodo_lattice::Body::Cavity(cavity) = &mut element.body {
                cavity.phase_lag = own.phase_lag - 0.05 * sine;
                cavity.voltage = own.voltage * (1.0 + 0.02 * sine);
            }
        });
        let place = index("BPM_003");
        turned.track_section(&mut particle, 0..place, turn as u64);
        worst = worst.max((seen - particle[0][0]).abs());
        largest = largest.max(particle[0][0].abs());
        turned.track_section(&mut particle, place..machine.len(), turn as u64);
    }
    eprintln!("512 turns of up to {:.3} mm: {worst:.1e} m apart", 1e3 * largest);
    assert!(worst < 1e-12 && largest > 5e-5, "{worst:e} {largest:e}");
}

/// A particle that emits photons one by one wanders; the spread of many in energy grows as that of the equilibrium does from nothing.
#[test]
fn photons_make_a_particle_wander_as_far_as_the_equilibrium_says() {
    let with = |seed: u64, quantum: bool| {
        let tables =
            format!("seed = {seed}\nphysics = {{ cavity = true, radiation = true }}\n[turns]\nquantum = {quantum}\n");
        let ring = facility("demo_ring", Tables::twin(&tables));
        let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
        fire(&twin);
        row(&twin, "beam:turns:3:x")
    };
    assert_eq!(with(1, true), with(1, true), "the same seed");
    let still = with(1, false);
    assert!(still.iter().all(|x| (x - still[0]).abs() < 1e-9), "without photons it stays on its orbit");
    let ring = facility("demo_ring", Tables::twin("physics = { cavity = true, radiation = true }\n"));
    let engine = Twin::new(&ring, TwinOptions::default()).unwrap().ring();
    let beam = engine.find_equilibrium().unwrap();
    let size = engine.beam_matrices(&beam).unwrap()[ring.lattice.index_of("BPM_003").unwrap()][(0, 0)].sqrt();
    let seeds = 40;
    let last: Vec<f64> = (0..seeds).map(|seed| with(seed, true)[511] - still[0]).collect();
    let found = (last.iter().map(|x| x * x).sum::<f64>() / seeds as f64).sqrt();
    // amplitudes grow as 1 - exp(-2 t / tau) of the squares in each plane; damping times of both are alike here
    let passed = 512.0 * engine.revolution_time();
    let grown = |tau: f64| (1.0 - (-2.0 * passed / tau).exp()).sqrt();
    let (least, most) = (size * grown(beam.damping_times[0]), size * grown(beam.damping_times[2]));
    eprintln!(
        "wanders {:.2} um rms of {:.1} um; {:.2} to {:.2} um expected",
        1e6 * found,
        1e6 * size,
        1e6 * least,
        1e6 * most
    );
    // 40 seeds give it to 11 %
    assert!(found > 0.6 * least && found < 1.5 * most, "{found:e} {least:e} {most:e}");
}

#[test]
fn photons_need_radiation() {
    let tables = Tables::twin("[turns]\nquantum = true\n");
    let error = Twin::new(&facility("demo_ring", tables), TwinOptions::default()).err().unwrap();
    assert!(error.to_string().contains("needs `radiation = true`"), "{error}");
}

#[test]
fn a_spectrum_shows_the_tune() {
    let own = std::fs::read_to_string(common::folder("demo_ring").join("families.toml")).unwrap();
    let analyser = "[ANALYSER]\nrole = \"tune analyser\"\nelements = \"BPM_003\"\n\
                    x = { unit = \"m\", model = \"spectrum_x\", read = \"spectrum:x\", turns = 512 }\n";
    let tables = Tables::twin("seed = 3\n").with("families.toml", &format!("{own}\n{analyser}"));
    let twin = Twin::new(&facility("demo_ring", tables), TwinOptions::default()).unwrap();
    set(&twin, "beam:kicker:x", 0.1);
    assert!(matches!(sample(&twin, "spectrum:x").validity, Validity::Invalid(_)), "nothing was taken yet");
    fire(&twin);
    let (spectrum, turns) = (row(&twin, "spectrum:x"), row(&twin, "beam:turns:3:x"));
    let highest = (0..257).max_by(|&a, &b| spectrum[a].total_cmp(&spectrum[b])).unwrap();
    let tune = number(&twin, "TUNEZR:rdH") / (351_319.286_718_75 / 90.0);
    let folded = tune.min(1.0 - tune);
    let largest = turns.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    eprintln!("line {highest} of 512, tune {folded:.5}; {:.3e} of {largest:.3e} m", spectrum[highest]);
    assert_eq!(spectrum.len(), 257);
    assert!((highest as f64 / 512.0 - folded).abs() < 1.0 / 512.0, "{highest} {folded}");
    assert!(spectrum[highest] > 0.6 * largest && spectrum[highest] < 1.1 * largest);
}
