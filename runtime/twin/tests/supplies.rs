//! Several magnets on one supply, calibrations of their own, and calibrations in units of the field.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{number, pass, set};
use common::{Tables, facility, folder};
use fodo_control::Trainer;
use fodo_devices::{Facility, rigidity};
use fodo_twin::{Twin, TwinOptions};
use std::fmt::Write;

/// k1 of QF in the lattice of the demonstration ring [1/m^2].
const DESIGN: f64 = 1.258_050_314_408_711_2;
const QUADRUPOLES: &str = "calibration = \"2.5 1/m\", model = \"k1\", set = \"{name}:Cm:set\",\n       \
                           read = \"{name}:Cm:rdbk\", limits = [\"1.1 1/m^2\", \"1.4 1/m^2\"]";

/// The tables of the ring with another text for the supplies of QF; QD keeps its own.
fn families(supply: &str) -> String {
    let text = std::fs::read_to_string(folder("demo_ring").join("families.toml")).unwrap();
    assert!(text.contains(QUADRUPOLES), "the table of the ring is another one");
    let own =
        "k1 = { hardware = \"1/m\", calibration = \"2.5 1/m\", set = \"{name}:Cm:set\", read = \"{name}:Cm:rdbk\",";
    text.replace(QUADRUPOLES, supply).replace("k1 = { limits = [\"-1.4", &format!("{own} limits = [\"-1.4"))
}

const ONE: &str = "calibration = \"2.5 1/m\", model = \"k1\", set = \"QF:Cm:set\", read = \"QF:Cm:rdbk\", \
                   limits = [\"1.1 1/m^2\", \"1.4 1/m^2\"]";

fn ring(supply: &str, twin: &str) -> Facility {
    facility("demo_ring", Tables::twin(twin).with("families.toml", &families(supply)))
}

fn perfect() -> TwinOptions {
    TwinOptions { perfect: true, ..TwinOptions::default() }
}

/// What the magnets of QF have now [1/m^2].
fn strengths(facility: &Facility, twin: &Twin) -> Vec<f64> {
    let ring = twin.ring();
    let devices = &facility.family("QF").unwrap().devices;
    devices.iter().map(|device| ring.elements()[device.elements[0]].field().unwrap().upright(1)).collect()
}

fn apart(values: &[f64], wanted: impl Fn(usize) -> f64) -> f64 {
    values.iter().enumerate().map(|(at, value)| (value - wanted(at)).abs()).fold(0.0, f64::max)
}

#[test]
fn one_write_moves_all_magnets_of_a_supply() {
    let facility = ring(ONE, "seed = 1");
    let family = facility.family("QF").unwrap();
    assert_eq!(facility.setpoints("QF").unwrap().len(), 1);
    assert!(family.devices.iter().all(|device| device.fields[0].fed.len() == 16));
    let twin = Twin::new(&facility, perfect()).unwrap();
    assert!(apart(&strengths(&facility, &twin), |_| DESIGN) < 1e-15);
    set(&twin, "QF:Cm:set", 0.51);
    assert_eq!(number(&twin, "QF:Cm:rdbk"), 0.51);
    assert!(apart(&strengths(&facility, &twin), |_| 2.5 * 0.51) < 1e-15);
    // the tune is that of a ring whose sixteen supplies are all set so
    let many = common::facility("demo_ring", Tables::default());
    let other = Twin::new(&many, perfect()).unwrap();
    (1..=16).for_each(|n| set(&other, &format!("QF_{n:03}:Cm:set"), 0.51));
    for channel in ["TUNEZR:rdH", "TUNEZR:rdV"] {
        let (one, each) = (number(&twin, channel), number(&other, channel));
        // both are the same elements; the ways of finding the tune may differ in the last bits
        assert!((one / each - 1.0).abs() < 1e-12, "{channel}: {one} {each}");
    }
}

/// A column for each magnet: the first has 2.5 1/m, each next one a part in a thousand more.
fn columns() -> String {
    let (mut names, mut zero, mut one) = ("current".to_string(), "0".to_string(), "1".to_string());
    for n in 0..16 {
        write!(names, ", QF_{:03}", n + 1).unwrap();
        write!(zero, ", 0").unwrap();
        write!(one, ", {:?}", factor(n)).unwrap();
    }
    format!("# measured on the bench\n{names}\n{zero}\n{one}\n")
}

fn factor(magnet: usize) -> f64 {
    2.5 * (1.0 + 1e-3 * magnet as f64)
}

#[test]
fn each_magnet_of_a_supply_has_its_own_calibration() {
    let supply = ONE.replace("\"2.5 1/m\"", "{ curve = \"qf.csv\" }");
    let tables = Tables::twin("seed = 1").with("families.toml", &families(&supply)).with("qf.csv", &columns());
    let facility = common::facility("demo_ring", tables);
    let twin = Twin::new(&facility, perfect()).unwrap();
    // the supply starts at the mean of what its magnets need, and each gives what it then does
    let mean = (0..16).map(|n| DESIGN / factor(n)).sum::<f64>() / 16.0;
    let held = number(&twin, "QF:Cm:set");
    assert!((held - mean).abs() < 1e-15, "{held} {mean}");
    assert!(apart(&strengths(&facility, &twin), |n| factor(n) * mean) < 1e-14);
    set(&twin, "QF:Cm:set", 0.5);
    assert!(apart(&strengths(&facility, &twin), |n| factor(n) * 0.5) < 1e-14);
    // limits hold for all: the strongest magnet reaches 1.4 1/m^2 first, the weakest 1.1 1/m^2
    let (low, high) = facility.setpoints("QF").unwrap()[0].limits;
    assert!((low - 1.1 / factor(0)).abs() < 1e-14 && (high - 1.4 / factor(15)).abs() < 1e-14, "{low} {high}");
}

#[test]
fn what_happens_to_a_supply_happens_to_all_its_magnets() {
    let errors = "seed = 4\n[supplies.QF]\ndrift = \"1e-4 1/m^2\"\nripple = \"1e-4 1/m^2\"\nripple_frequency = \"3.7 Hz\"\n\
                  hysteresis = \"4e-4\"\n[anomalies.off]\nkind = \"supply_off\"\nfamily = \"QF\"\n\
                  [anomalies.stuck]\nkind = \"supply_stuck\"\nfamily = \"QF\"\n";
    let facility = ring(ONE, errors);
    let twin = Twin::new(&facility, TwinOptions::default()).unwrap();
    let same = |twin: &Twin| {
        let all = strengths(&facility, twin);
        assert!(apart(&all, |_| all[0]) < 1e-15, "{all:?}");
        all[0]
    };
    let first = same(&twin);
    pass(&twin, 1000.0);
    let later = same(&twin);
    assert!((later - first).abs() > 1e-6, "it drifts and ripples: {first} {later}");
    // down by as much as it goes up again: the iron of each remembers
    let (held, before) = (number(&twin, "QF:Cm:set"), same(&twin));
    set(&twin, "QF:Cm:set", held - 0.02);
    same(&twin);
    set(&twin, "QF:Cm:set", held);
    let after = same(&twin);
    assert!((after - before).abs() > 1e-7, "{before} {after}");
    twin.start("stuck", Some("QF_005".into())).unwrap();
    let stuck = same(&twin);
    set(&twin, "QF:Cm:set", held + 0.01);
    // all but the iron, which goes with the setpoint
    assert!((same(&twin) - stuck).abs() < 1e-3, "{stuck}");
    twin.stop("stuck").unwrap();
    twin.start("off", Some("QF_009".into())).unwrap();
    assert_eq!(same(&twin), 0.0);
}

#[test]
fn supplies_go_at_their_rate_with_all_their_magnets() {
    let facility = ring(ONE, "seed = 4\n[supplies.QF]\nslew = \"0.01 1/m^2/s\"\n");
    let twin = Twin::new(&facility, TwinOptions::default()).unwrap();
    set(&twin, "QF:Cm:set", (DESIGN + 0.05) / 2.5);
    for seconds in [1.0, 2.0] {
        pass(&twin, 1.0);
        let there = DESIGN + 0.01 * seconds;
        assert!(apart(&strengths(&facility, &twin), |_| there) < 1e-12, "after {seconds} s");
    }
    pass(&twin, 10.0);
    assert!(apart(&strengths(&facility, &twin), |_| DESIGN + 0.05) < 1e-14);
}

/// The calibration of QF in tesla per metre and ampere, and the tables for 1 GeV or 2 GeV.
fn in_tesla(energy: &str) -> Facility {
    let supply =
        ONE.replace("\"2.5 1/m\"", "\"0.02 T/(m A)\"").replace("\"1.1 1/m^2\", \"1.4 1/m^2\"", "\"0 A\", \"500 A\"");
    let text = families(&supply).replacen(
        "k1 = { unit = \"1/m^2\", hardware = \"1/m\"",
        "k1 = { unit = \"1/m^2\", hardware = \"A\"",
        1,
    );
    // a steerer of 1e-4 T m for an ampere
    let text = text.replacen(
        "hardware = \"1/m\", calibration = \"1 rad m\"",
        "hardware = \"A\", calibration = \"1e-4 T m/A\"",
        1,
    );
    let lattice = std::fs::read_to_string(folder("demo_ring").join("lattice.toml")).unwrap();
    let lattice = lattice.replace("energy   = \"1 GeV\"", &format!("energy   = \"{energy}\""));
    facility("demo_ring", Tables::twin("seed = 1").with("families.toml", &text).with("lattice.toml", &lattice))
}

#[test]
fn a_calibration_in_tesla_is_divided_by_the_rigidity() {
    // p/q by hand: 3.33564095 T m for each GeV/c of an electron, m = 0.51099895 MeV
    let by_hand = |energy: f64| 3.335_640_952 * (energy * energy - 0.510_998_95e-3_f64.powi(2)).sqrt();
    let factors = [("1 GeV", 1.0), ("2 GeV", 2.0)].map(|(text, energy)| {
        let facility = in_tesla(text);
        let brho = rigidity(&facility.lattice).unwrap();
        assert!((brho / by_hand(energy) - 1.0).abs() < 1e-9, "{brho}");
        let twin = Twin::new(&facility, perfect()).unwrap();
        assert!((number(&twin, "QF:Cm:set") * 0.02 / brho - DESIGN).abs() < 1e-12);
        // the same current in both machines
        set(&twin, "QF:Cm:set", 250.0);
        let k1 = strengths(&facility, &twin)[0];
        assert!((k1 * by_hand(energy) / 5.0 - 1.0).abs() < 1e-9, "{k1}: 5 T/m at 250 A");
        set(&twin, "HCOR_001:Cm:set", 2.0);
        let device = &facility.family("HCOR").unwrap().devices[0];
        let kick = twin.ring().elements()[device.elements[0]].kick[0];
        assert!((kick * by_hand(energy) / 2e-4 - 1.0).abs() < 1e-9, "{kick}");
        (k1, kick)
    });
    let ((k1, kick), (less, smaller)) = (factors[0], factors[1]);
    assert!((k1 / less - by_hand(2.0) / by_hand(1.0)).abs() < 1e-9);
    assert!((kick / smaller - by_hand(2.0) / by_hand(1.0)).abs() < 1e-9);
}

#[test]
fn a_curve_in_tesla_is_divided_by_the_rigidity() {
    let supply = ONE
        .replace("\"2.5 1/m\"", "{ curve = \"qf.csv\", unit = \"T/m\" }")
        .replace("\"1.1 1/m^2\", \"1.4 1/m^2\"", "\"0 1/m\", \"500 1/m\"");
    let curve = "# current, gradient\n0, 0.1\n100, 2.1\n300, 5.1\n";
    let tables = Tables::twin("seed = 1").with("families.toml", &families(&supply)).with("qf.csv", curve);
    let facility = common::facility("demo_ring", tables);
    let brho = rigidity(&facility.lattice).unwrap();
    let twin = Twin::new(&facility, perfect()).unwrap();
    for (held, gradient) in [(200.0, 3.6), (50.0, 1.1)] {
        let k1 = facility.family("QF").unwrap().devices[0].fields[0].to_physics(held);
        assert!((k1 * brho - gradient).abs() < 1e-12, "{held}: {k1}");
    }
    set(&twin, "QF:Cm:set", 280.0);
    assert!(apart(&strengths(&facility, &twin), |_| 4.8 / brho) < 1e-14);
}

/// Bends with a gradient and a sextupole component, by a main supply and by strips on their poles.
const COMBINED: &str = r#"
[BD]
role = "combined-function magnet"
elements = "B_*"
main = { unit = "A", model = { k1 = "0.0021 1/(m^2 A)", k2 = "0.05 1/(m^3 A)" }, set = "{name}:main", design = "250 A",
         limits = ["0 A", "500 A"], tolerance = "0.001 A" }
strip = { unit = "A", model = { k1 = "1e-4 1/(m^2 A)", k2 = "0.3 1/(m^3 A)" }, set = "{name}:strip",
          limits = ["-50 A", "50 A"], tolerance = "0.001 A" }
k1 = { unit = "1/m^2", of = ["main", "strip"], model = "k1" }
k2 = { unit = "1/m^3", of = ["main", "strip"], model = "k2" }
"#;

fn combined(edit: impl Fn(&str) -> String) -> Result<Facility, Box<fodo_report::Diagnostic>> {
    let text = std::fs::read_to_string(folder("demo_ring").join("families.toml")).unwrap();
    common::load("demo_ring", Tables::twin("seed = 1").with("families.toml", &(text + &edit(COMBINED))))
}

#[test]
fn supplies_of_several_quantities_add_up() {
    let facility = combined(str::to_string).unwrap();
    let twin = Twin::new(&facility, perfect()).unwrap();
    let device = facility.family("BD").unwrap().devices[0].clone();
    let bend =
        || twin.ring().elements()[device.elements[0]].field().map(|f| [f.upright(1), 2.0 * f.upright(2)]).unwrap();
    let held = || ["main", "strip"].map(|of| number(&twin, &format!("{}:{of}", device.name)));
    // at the design currents the lattice is met
    let design = bend();
    assert_eq!(held(), [250.0, 0.0]);
    assert!(design[0].abs() < 1e-15 && design[1].abs() < 1e-14, "{design:?}");
    set(&twin, &format!("{}:main", device.name), 260.0);
    set(&twin, &format!("{}:strip", device.name), 5.0);
    let [k1, k2] = bend();
    assert!(
        (k1 - (0.0021 * 10.0 + 1e-4 * 5.0)).abs() < 1e-14 && (k2 - (0.05 * 10.0 + 0.3 * 5.0)).abs() < 1e-13,
        "{k1} {k2}"
    );
    // the quantities over them read what the magnet has, and k2 moves without k1
    let over = |name: &str| device.field(name).unwrap().combined.clone().unwrap();
    let [gradient, sextupole] = ["k1", "k2"].map(over);
    assert!((gradient.value(&held()) - k1).abs() < 1e-14 && (sextupole.value(&held()) - k2).abs() < 1e-13);
    let stepped = sextupole.stepped(&held(), 0.1).unwrap();
    // by hand: Cramer's rule, det = 0.0021 * 0.3 - 1e-4 * 0.05
    let determinant = 0.0021 * 0.3 - 1e-4 * 0.05;
    let wanted = [260.0 - 1e-4 * 0.1 / determinant, 5.0 + 0.0021 * 0.1 / determinant];
    assert!(stepped.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{stepped:?} {wanted:?}");
    set(&twin, &format!("{}:main", device.name), stepped[0]);
    set(&twin, &format!("{}:strip", device.name), stepped[1]);
    let [same, more] = bend();
    assert!((same - k1).abs() < 1e-14 && (more - k2 - 0.1).abs() < 1e-13, "{same} {more}");
}

#[test]
fn mistakes_of_combined_magnets_are_told_at_their_place() {
    let told = |from: &str, to: &str| {
        let error = combined(|text| text.replacen(from, to, 1)).err().unwrap_or_else(|| panic!("{to}: no error"));
        assert!(!error.labels.is_empty(), "{error}");
        error.message.clone()
    };
    for (from, to, what) in [
        (
            "k1 = \"1e-4 1/(m^2 A)\", k2 = \"0.3 1/(m^3 A)\"",
            "k1 = \"0.021 1/(m^2 A)\", k2 = \"0.5 1/(m^3 A)\"",
            "in the same proportions",
        ),
        ("of = [\"main\", \"strip\"]", "of = [\"main\", \"strips\"]", "did you mean `strip`?"),
        ("k1 = \"0.0021 1/(m^2 A)\"", "k9 = \"0.0021 1/(m^2 A)\"", "`k9` is no strength of a magnet"),
        ("k1 = \"0.0021 1/(m^2 A)\"", "k1 = \"0.0021 1/(m^3 A)\"", "where `1/m^2/A` is needed"),
        ("k2 = { unit = \"1/m^3\"", "k2 = { unit = \"1/m^2\"", "must be one of `1/m^3`"),
        ("model = \"k2\" }", "}", "is missing: which quantity"),
        ("k2 = { unit = \"1/m^3\"", "k2 = { set = \"X\", unit = \"1/m^3\"", "cannot stand beside `of`"),
    ] {
        let message = told(from, to);
        assert!(message.contains(what), "{to}: {message}");
    }
}
