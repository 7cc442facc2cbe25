//! What instruments show beside the orbit: photon beams, the filling pattern, losses by place, sines on correctors.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{is_invalid, number, pass, row, sample, set};
use common::{Tables, facility, folder};
use fodo_control::Plant;
use fodo_optics::Plane;
use fodo_twin::{Twin, TwinOptions};
use std::f64::consts::TAU;

const ERRORS: &str = r#"
seed = 3
[misalignments.quadrupoles]
elements = "Q*"
dx = "50 um"
dy = "50 um"
roll = "0.3 mrad"
"#;

/// The demo ring with more families, and this truth.
fn twin(families: &str, truth: &str) -> Twin {
    let own = std::fs::read_to_string(folder("demo_ring").join("families.toml")).unwrap();
    let tables = Tables::twin(truth).with("families.toml", &format!("{own}\n{families}"));
    Twin::new(&facility("demo_ring", tables), TwinOptions::default()).unwrap()
}

const PHOTONS: &str = r#"
[XBPM]
role = "photon beam position monitor"
elements = "BPM_00[1-3]"
x = { unit = "m", hardware = "um", model = "photon_x", read = "photon:{n}:x", distance = "12 m" }
y = { unit = "m", hardware = "um", model = "photon_y", read = "photon:{n}:y", distance = "12 m" }
"#;

#[test]
fn a_photon_beam_goes_straight_on() {
    let twin =
        twin(&PHOTONS.replace("BPM_00[1-3]", "BPM_*"), &format!("{ERRORS}[monitors.XBPM]\noffset_x = \"10 um\"\n"));
    set(&twin, "HCOR_005:Cm:set", 3e-4);
    let (machine, ring) = (twin.ring(), facility("demo_ring", Tables::default()));
    let orbit = machine.find_closed_orbit().unwrap();
    let mut largest = 0.0_f64;
    for n in 1..=16 {
        let at = orbit.at(ring.lattice.index_of(&format!("BPM_{n:03}")).unwrap());
        let (_, _, truth) =
            twin.monitors().find(|(device, ..)| device.shown() == format!("XBPM[\"BPM_{n:03}\"]")).unwrap();
        // a line in space: the slope is the transverse momentum over that along the machine
        let along = ((1.0 + at[4]).powi(2) - at[1].powi(2) - at[3].powi(2)).sqrt();
        let seen = [0, 1].map(|plane| 1e-6 * number(&twin, &format!("photon:{n}:{}", ["x", "y"][plane])));
        for plane in [0, 1] {
            let wanted = at[2 * plane] + 12.0 * at[2 * plane + 1] / along - truth.offset[plane];
            assert!((seen[plane] - wanted).abs() < 1e-15, "{n}: {} {wanted}", seen[plane]);
            largest = largest.max(wanted.abs());
        }
        assert!(truth.offset[0] != 0.0, "it has an offset of its own");
    }
    assert!(largest > 1e-3, "{largest}");
}

const FILLING: &str = "[BUNCHES]\nrole = \"filling pattern monitor\"\ncurrent = { unit = \"A\", hardware = \"mA\", model = \"filling\", read = \"beam:filling\" }\n";

#[test]
fn buckets_are_filled_as_the_tables_say() {
    let twin = twin(
        FILLING,
        "[beam]\ncurrent = \"90 mA\"\n[beam.trains.main]\nfirst = 10\nbunches = 30\n\
                              [beam.trains.single]\nfirst = 60\nbunches = 1\ncharge = 15\n",
    );
    let row = row(&twin, "beam:filling");
    assert_eq!(row.len(), 90);
    let sum: f64 = row.iter().sum();
    assert!((sum - number(&twin, "beam:current")).abs() < 1e-12 * sum);
    let filled = |range: std::ops::Range<usize>| row[range].iter().all(|&current| (current - 2.0).abs() < 1e-6);
    assert!(filled(10..40) && row[..10].iter().chain(&row[40..60]).chain(&row[61..]).all(|&none| none == 0.0));
    assert!((row[60] / row[10] - 15.0).abs() < 1e-12);
}

/// A beam in fewer bunches, or with one large one, lives as much shorter by scattering within a bunch.
#[test]
fn lifetime_follows_the_filling() {
    let lifetime = |trains: &str| {
        let table =
            "[LIFE]\nrole = \"lifetime\"\ntime = { unit = \"s\", model = \"lifetime\", read = \"beam:lifetime\" }\n";
        number(&twin(table, &format!("[beam]\nmomentum_acceptance = 0.02\ncoupling = 0.01\n{trains}")), "beam:lifetime")
    };
    let train = |name: &str, first: usize, bunches: usize, charge: f64| {
        format!("[beam.trains.{name}]\nfirst = {first}\nbunches = {bunches}\ncharge = {charge}\n")
    };
    let all = lifetime("");
    assert!((lifetime(&train("half", 0, 45, 1.0)) / all - 0.5).abs() < 1e-9);
    // sum of squares of the parts: 1/90 against (89 + 100) / 189^2
    let camshaft = format!("{}{}", train("main", 1, 89, 1.0), train("one", 0, 1, 10.0));
    let mean = (89.0 + 100.0) / (99.0_f64).powi(2);
    assert!((lifetime(&camshaft) / all - 1.0 / 90.0 / mean).abs() < 1e-9);
    // all of it at once is said by its number too
    assert_eq!(lifetime("bunches = 45\n"), lifetime(&train("half", 0, 45, 1.0)));
}

const LOSSES: &str = r#"
[BLM]
role = "beam loss monitor"
elements = "BPM_*"
losses = { unit = "1/s", model = "losses", read = "blm:{n}:losses", distance = "2.4 m" }
[LIFE]
role = "lifetime"
time = { unit = "s", model = "lifetime", read = "beam:lifetime" }
"#;

/// The demo ring with a wall of this half width everywhere but for one narrow place.
fn narrow(wall: &str, place: &str, room: &str) -> Twin {
    let own = std::fs::read_to_string(folder("demo_ring").join("families.toml")).unwrap();
    let lattice = std::fs::read_to_string(folder("demo_ring").join("lattice.toml")).unwrap();
    let lattice = lattice.replace("[defaults]\n", &format!("[defaults]\ndrift = {{ ellipse = [{wall}, {wall}] }}\n"));
    let narrow = format!("SCRAPER = {{ type = \"marker\", ellipse = [{room}, {room}] }}\nDRs1 = ");
    let lattice = lattice.replacen("DRs1 = ", &narrow, 1).replacen("ring = [\"RF\", \"cell * 16\"]", place, 1);
    let tables = Tables::twin("[beam]\nmomentum_acceptance = 0.01\ncoupling = 0.01\n")
        .with("families.toml", &format!("{own}\n{LOSSES}"))
        .with("lattice.toml", &lattice);
    Twin::new(&facility("demo_ring", tables), TwinOptions::default()).unwrap()
}

#[test]
fn losses_are_where_the_chamber_is_narrow() {
    // the narrow piece stands in front of cell 5, 4 cells of 4.8 m behind the start
    let twin = narrow("0.03", "ring = [\"RF\", \"cell * 4\", \"SCRAPER\", \"cell * 12\"]", "0.004");
    let rates: Vec<f64> = (1..=16).map(|n| number(&twin, &format!("blm:{n}:losses"))).collect();
    let all = {
        let (current, lifetime) = (1e-3 * number(&twin, "beam:current"), number(&twin, "beam:lifetime"));
        current / lifetime * twin.ring().length() / 299_792_458.0 / 1.602_176_634e-19
    };
    // monitors see half a cell on both sides: what all see is all, but for what lies between two
    let sum: f64 = rates.iter().sum();
    let largest = (0..16).max_by(|&a, &b| rates[a].total_cmp(&rates[b])).unwrap();
    eprintln!("{sum:.3e} of {all:.3e} electrons a second; near the narrow place {:.3}", rates[largest] / all);
    assert!((0.9..=1.1).contains(&(sum / all)), "{sum} {all}");
    // what is kicked by much more than the limit is lost at the wall, soon and anywhere
    let others = rates.iter().enumerate().filter(|(n, _)| *n != largest).map(|(_, rate)| *rate).fold(0.0, f64::max);
    assert!(largest == 4 && rates[4] > 0.5 * all && rates[4] > 15.0 * others, "{rates:?}");
}

#[test]
fn without_apertures_nobody_knows_where() {
    let twin = twin(LOSSES, "[beam]\nmomentum_acceptance = 0.001\ncoupling = 0.01\n");
    assert!(is_invalid(&sample(&twin, "blm:1:losses"), "too few to say where"), "{:?}", sample(&twin, "blm:1:losses"));
}

const SINES: &str = r#"
[AC]
role = "corrector with a sine"
elements = "COR_00*"
kick_x = { unit = "rad", hardware = "urad", model = "ac_kick_x", set = "ac:{n}:x", limits = ["0 urad", "50 urad"] }
kick_y = { unit = "rad", hardware = "urad", model = "ac_kick_y", set = "ac:{n}:y", limits = ["0 urad", "50 urad"] }
frequency = { unit = "Hz", model = "ac_frequency", set = "ac:{n}:f", limits = ["0 Hz", "1 kHz"] }
phase = { unit = "rad", model = "ac_phase", set = "ac:{n}:phase", limits = ["-7 rad", "7 rad"] }
[FAST]
role = "fast orbit monitor"
elements = "BPM_*"
x = { unit = "m", model = "fast_x", read = "fast:{n}:x", samples = 2000, sampling = "2 kHz" }
y = { unit = "m", model = "fast_y", read = "fast:{n}:y", samples = 2000, sampling = "2 kHz" }
"#;

/// Amplitude and phase at the start of a sine of a frequency in samples at 2 kHz.
fn lock_in(samples: &[f64], frequency: f64, from: f64) -> [f64; 2] {
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let part = |shift: f64| {
        let sine = |at: usize| (TAU * frequency * (from + at as f64 / 2000.0) + shift).sin();
        2.0 / samples.len() as f64 * samples.iter().enumerate().map(|(at, x)| (x - mean) * sine(at)).sum::<f64>()
    };
    [part(0.0), part(TAU / 4.0)]
}

#[test]
fn many_sines_at_once_are_the_columns_of_the_response() {
    let twin = twin(SINES, ERRORS);
    let places = ["COR_001", "COR_004", "COR_009"];
    let (frequencies, amplitudes) = ([37.0, 51.0, 83.0], [5.0, 10.0, 8.0]);
    pass(&twin, 0.3);
    let rest: Vec<f64> = (1..=16).map(|n| row(&twin, "beam:orbit:x")[12 * n - 9]).collect();
    for (n, (frequency, amplitude)) in [1, 4, 9].into_iter().zip(frequencies.into_iter().zip(amplitudes)) {
        set(&twin, &format!("ac:{n}:f"), frequency);
        set(&twin, &format!("ac:{n}:x"), amplitude);
        set(&twin, &format!("ac:{n}:phase"), 0.1);
    }
    assert!(is_invalid_row(&twin, "fast:1:x", "it begins with the trigger"));
    set(&twin, "beam:fire", 1.0);
    assert!(is_invalid_row(&twin, "fast:1:x", "it begins with the trigger"), "it is not over");
    pass(&twin, 1.0);
    let ring = facility("demo_ring", Tables::default());
    let index = |name: &str| ring.lattice.index_of(name).unwrap();
    let monitors: Vec<usize> = (1..=16).map(|n| index(&format!("BPM_{n:03}"))).collect();
    let response = twin.ring().orbit_response(&monitors, &places.map(index)).unwrap();
    let mut worst = 0.0_f64;
    for n in 1..=16 {
        let samples = [row(&twin, &format!("fast:{n}:x")), row(&twin, &format!("fast:{n}:y"))];
        for (at, (frequency, amplitude)) in frequencies.into_iter().zip(amplitudes).enumerate() {
            for (plane, samples) in [Plane::X, Plane::Y].into_iter().zip(&samples) {
                let [sine, cosine] = lock_in(samples, frequency, 0.3);
                let wanted = 1e-6 * amplitude * response.get(plane, n - 1, Plane::X, at);
                worst = worst.max((sine - wanted * 0.1_f64.cos()).abs()).max((cosine - wanted * 0.1_f64.sin()).abs());
            }
        }
    }
    eprintln!("columns measured by sines: {worst:.1e} m apart");
    // the machine with the mean of the sines in it bends a little otherwise than that at rest
    assert!(worst < 1e-11, "{worst:e}");
    // shots are means over 0.1 s: 37, 51 and 83 Hz are nearly gone in them, and 50 Hz wholly
    let seen = |twin: &Twin| {
        let now = row(twin, "beam:orbit:x");
        (1..=16).map(|n| (now[12 * n - 9] - rest[n - 1]).abs()).fold(0.0, f64::max)
    };
    let moved = seen(&twin);
    assert!(moved > 1e-9 && moved < 2e-5, "{moved:e}");
    [1, 4, 9].into_iter().for_each(|n| set(&twin, &format!("ac:{n}:f"), 50.0));
    assert!(seen(&twin) < 1e-12, "{:e}", seen(&twin));
    [1, 4, 9].into_iter().for_each(|n| set(&twin, &format!("ac:{n}:x"), 0.0));
    pass(&twin, 0.1);
    assert!(seen(&twin) < 1e-15, "{:e}", seen(&twin));
}

fn is_invalid_row(twin: &Twin, channel: &str, why: &str) -> bool {
    matches!(sample(twin, channel).validity, fodo_control::Validity::Invalid(said) if said.contains(why))
        && row(twin, channel).iter().all(|number| number.is_nan())
}

#[test]
fn a_frequency_of_zero_is_a_kick_that_stays() {
    let twin = twin(SINES, ERRORS);
    set(&twin, "ac:3:phase", TAU / 4.0);
    set(&twin, "ac:3:x", 20.0);
    let with_sine = row(&twin, "beam:orbit:x");
    set(&twin, "ac:3:x", 0.0);
    set(&twin, "HCOR_003:Cm:set", 20e-6);
    let with_kick = row(&twin, "beam:orbit:x");
    let apart = with_sine.iter().zip(&with_kick).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // HCOR has a gain error of its own, which the tables of this truth leave out
    assert!(apart < 1e-12, "{apart:e}");
    assert!(twin.channels().len() > 247);
}

/// Gas that is not the same everywhere counts where the beam is large: a profile that is even is the pressure itself.
#[test]
fn lifetime_follows_the_pressure_along_the_ring() {
    let lifetime = |gas: &str, profile: &str| {
        let own = std::fs::read_to_string(folder("demo_ring").join("families.toml")).unwrap();
        let table =
            "[LIFE]\nrole = \"lifetime\"\ntime = { unit = \"s\", model = \"lifetime\", read = \"beam:lifetime\" }\n";
        let truth = format!(
            "[beam]\nmomentum_acceptance = 0.02\naperture_y = \"5 mm\"\nbunches = 90\ncoupling = 1.0\n[beam.gas]\n{gas}\nCO = 1.0\n"
        );
        let tables =
            Tables::twin(&truth).with("families.toml", &format!("{own}\n{table}")).with("pressure.csv", profile);
        number(&Twin::new(&facility("demo_ring", tables), TwinOptions::default()).unwrap(), "beam:lifetime")
    };
    let even = lifetime("pressure = \"1e-6 mbar\"", "");
    assert!((lifetime("profile = \"pressure.csv\"", "s, pressure\n0, 1e-6\n76.8, 1e-6\n") / even - 1.0).abs() < 1e-9);
    let nearly_none = lifetime("pressure = \"1e-12 mbar\"", "");
    // a bump of half the ring: losses by gas are near half of those of the whole
    let half = lifetime("profile = \"pressure.csv\"", "0, 1e-6\n38.4, 1e-6\n38.41, 0\n76.8, 0\n");
    let gas = |lifetime: f64| 1.0 / lifetime - 1.0 / nearly_none;
    assert!((gas(half) / gas(even) - 0.5).abs() < 0.02, "{} {}", gas(half), gas(even));
}

const SCRAPER: &str = r#"
[TOP]
role = "scraper"
elements = "SCRAPER_*"
edge = { unit = "m", hardware = "mm", model = "edge_y_high", set = "scraper:top", limits = ["-20 mm", "20 mm"] }
[OUT]
role = "scraper"
elements = "SCRAPER_*"
edge = { unit = "m", hardware = "mm", model = "edge_x_high", set = "scraper:out", limits = ["-20 mm", "20 mm"] }
[LIFE]
role = "lifetime"
time = { unit = "s", model = "lifetime", read = "beam:lifetime" }
"#;

/// The demo ring with a scraper in front of cell 5.
fn scraped(truth: &str, room: &str) -> fodo_report::Result<Twin> {
    let own = std::fs::read_to_string(folder("demo_ring").join("families.toml")).unwrap();
    let lattice = std::fs::read_to_string(folder("demo_ring").join("lattice.toml")).unwrap();
    let lattice = lattice
        .replacen("DRs1 = ", &format!("SCRAPER = {{ type = \"marker\", {room} }}\nDRs1 = "), 1)
        .replacen("ring = [\"RF\", \"cell * 16\"]", "ring = [\"RF\", \"cell * 4\", \"SCRAPER\", \"cell * 12\"]", 1);
    let tables = Tables::twin(truth).with("families.toml", &format!("{own}\n{SCRAPER}")).with("lattice.toml", &lattice);
    Twin::new(&common::load("demo_ring", tables)?, TwinOptions::default())
}

const ROOM: &str = "aperture = [-0.02, 0.02, -0.02, 0.02]";
const GAS: &str =
    "[beam]\nmomentum_acceptance = 0.004\ncoupling = 0.01\n[beam.gas]\npressure = \"1e-8 mbar\"\nCO = 1.0\n";

#[test]
fn a_vertical_blade_takes_what_the_gas_scatters() {
    let twin = scraped(GAS, ROOM).unwrap();
    let rate = |edge: f64| {
        set(&twin, "scraper:top", edge);
        1.0 / number(&twin, "beam:lifetime")
    };
    // elastic scattering goes as one over the acceptance, and so as one over the square of the distance
    let [far, near, nearer] = [8.0, 4.0, 3.0].map(rate);
    let (squares, rates) = ((1.0 / 9.0 - 1.0 / 64.0) / (1.0 / 16.0 - 1.0 / 64.0), (nearer - far) / (near - far));
    assert!((rates / squares - 1.0).abs() < 0.02, "{rates} {squares}");
    assert!(near > 1.2 * far, "{near} {far}");
    assert_eq!(rate(8.0), far);
    // within the beam its tails are gone at once, and behind the orbit there is none
    assert!(rate(0.05) > 1e3 * far);
    set(&twin, "scraper:top", -1.0);
    assert!(is_invalid(&sample(&twin, "beam:lifetime"), "lost"), "{:?}", sample(&twin, "beam:lifetime"));
}

#[test]
fn a_horizontal_blade_takes_particles_off_energy() {
    let twin = scraped("[beam]\nmomentum_acceptance = 0.004\ncoupling = 0.01\n", ROOM).unwrap();
    let rate = |edge: f64| {
        set(&twin, "scraper:out", edge);
        1.0 / number(&twin, "beam:lifetime")
    };
    // of 1.4 m of dispersion and as much by oscillation, 4 per mille need 11 mm
    assert_eq!(rate(19.0), rate(14.0));
    let [far, near, nearer] = [14.0, 6.0, 4.0].map(rate);
    assert!(near > 1.5 * far && nearer > 1.5 * near, "{far} {near} {nearer}");
}

#[test]
fn a_scraper_needs_an_edge() {
    let error = scraped("", "ellipse = [0.02, 0.02]").map(|_| ()).unwrap_err();
    assert!(error.message.contains("SCRAPER_001 has no such edge"), "{}", error.message);
}
