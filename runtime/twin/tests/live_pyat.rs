//! The twin's whole truth, written down as elements and computed by pyAT in the same moment.
//!
//! `live_pyat.py` beside this file says what pyAT finds. What the twin shows of its beam (positions through the errors of
//! its monitors, tunes) and what its ring has (chromaticity, dispersion) must be the same. Every line printed is a
//! measured figure and its limit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Tables, facility};
use fodo_control::{Plant, Value as Held, Write};
use fodo_devices::{Facility, Quantities};
use fodo_lattice::{Bend, Body, Element, Field, Lattice, Magnet};
use fodo_twin::{Placement, Reference, Twin, TwinOptions};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn pyat(case: &Value) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = folder.join("../../.venv/bin/python");
    assert!(python.is_file(), "{} is missing: run ./test.sh, which installs it", python.display());
    let mut child = Command::new(python)
        .arg(folder.join("tests/live_pyat.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(case.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "live_pyat.py failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

/// Largest difference of numbers in the same order; infinite where there are more of one.
fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    let largest = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let finite = ours.iter().chain(theirs).all(|number| number.is_finite());
    if ours.len() == theirs.len() && finite { largest } else { f64::INFINITY }
}

fn hold(name: &str, what: &str, measured: f64, limit: f64) {
    eprintln!("{name:12} {what:28} {measured:9.1e}  limit {limit:.0e}");
    assert!(measured <= limit, "{name}: {what}: {measured:.2e} is above {limit:.0e}");
}

/// One field of all devices, as the twin's channels show it, in SI.
fn read(twin: &Twin, facility: &Facility, quantity: Quantities) -> Vec<f64> {
    let devices = facility.families.iter().flat_map(|family| &family.devices);
    let fields = devices.flat_map(|device| &device.fields).filter(|field| field.model == Some(quantity));
    let one = |field: &fodo_devices::Field| {
        let source = field.source.as_ref().unwrap();
        let reading = twin.sample(std::slice::from_ref(&source.channel)).remove(0).unwrap();
        assert!(
            !matches!(reading.validity, fodo_control::Validity::Invalid(_)),
            "{}: {:?}",
            source.channel,
            reading.validity
        );
        let number = match (&reading.value, source.place.index) {
            (Held::Number(number), _) => *number,
            (Held::Vector(row), Some(entry)) => row[entry],
            other => panic!("{}: {other:?}", source.channel),
        };
        field.to_physics(number)
    };
    fields.map(one).collect()
}

/// Moves every setpoint that moves the model by a part of what is left of its range, each by another one.
fn stir(twin: &Twin, facility: &Facility, part: f64) {
    let devices = facility.families.iter().flat_map(|family| &family.devices);
    let mut writes = Vec::new();
    for field in devices.flat_map(|device| &device.fields) {
        let Some(setpoint) = field.setpoint.as_ref().filter(|_| field.model.is_some()) else { continue };
        let now = twin.sample(std::slice::from_ref(&setpoint.channel)).remove(0).unwrap().value.number().unwrap();
        let (low, high) = setpoint.limits;
        let step = part * (writes.len() as f64 * 1.7).sin() * (high - now).min(now - low);
        writes.push(Write { channel: setpoint.channel.clone(), value: Held::Number(now + step) });
    }
    assert!(writes.len() > 20);
    twin.apply(&writes).unwrap();
}

/// Limits of what may differ: readings [m], tunes [1], chromaticities [1], dispersion [m, 1].
const LIMITS: [f64; 4] = [1e-12, 1e-11, 1e-9, 1e-10];

/// How one ring is treated: by how much of its range each setpoint is moved, and what pyAT's differences are taken over.
struct Case {
    stirred: f64,
    /// Step in delta [1].
    chromatic: f64,
    /// Steps of coordinates, as `live_pyat.py` counts them [1].
    step: f64,
}

const DEMO_RING: Case = Case { stirred: 0.1, chromatic: 5e-4, step: 10.0 };
const EBS_RING: Case = Case { stirred: 1e-3, chromatic: 1e-3, step: 12.0 };

/// Compares one machine with pyAT's.
fn compare(name: &str, facility: &Facility, options: TwinOptions, case: &Case) {
    let twin = Twin::new(facility, options).unwrap();
    stir(&twin, facility, case.stirred);
    let ring = twin.ring();
    let lattice = Lattice { elements: ring.elements().to_vec(), ..facility.lattice.as_ref().clone() };
    let file = std::env::temp_dir().join(format!("fodo-twin-{name}-{}.json", std::process::id()));
    std::fs::write(&file, fodo_lattice::formats::at_json::write(&lattice)).unwrap();
    let monitors: Vec<Value> = twin
        .monitors()
        .map(|(_, element, m)| json!([element, m.offset, m.gain, m.coupling, m.polarity, m.roll]))
        .collect();
    let effects = twin.effects();
    let quiet = ring.with_effects(fodo_optics::Effects::NONE);
    let theirs = pyat(&json!({
        "lattice": file, "cavity": effects.cavity, "radiation": effects.radiation,
        "monitors": monitors, "chromatic": case.chromatic, "step": case.step,
    }));
    std::fs::remove_file(&file).unwrap();

    let readings = rows(&theirs["readings"]);
    let column = |plane: usize| readings.iter().map(|pair| pair[plane]).collect::<Vec<f64>>();
    let [readings_limit, tunes_limit, chromaticity_limit, dispersion_limit] = LIMITS;
    let rms = |values: &[f64]| (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
    for (plane, quantity) in [Quantities::OrbitX, Quantities::OrbitY].into_iter().enumerate() {
        let ours = read(&twin, facility, quantity);
        let what = format!("orbit {} of {:.0} um rms [m]", ["x", "y"][plane], 1e6 * rms(&ours));
        hold(name, &what, apart(&ours, &column(plane)), readings_limit);
    }
    let tunes: Vec<f64> =
        [Quantities::TuneX, Quantities::TuneY].iter().flat_map(|&plane| read(&twin, facility, plane)).collect();
    hold(name, "tunes [1]", apart(&tunes, &numbers(&theirs["tunes"])), tunes_limit);
    let momentum = quiet.momentum_dependence().unwrap();
    let chromaticity = momentum.chromaticity.map(|orders| orders[0].value);
    let what = format!("chromaticity {:.3} {:.3} [1]", chromaticity[0], chromaticity[1]);
    hold(name, &what, apart(&chromaticity, &numbers(&theirs["chromaticity"])), chromaticity_limit);
    let dispersion: Vec<f64> = momentum.dispersion[0].iter().flatten().copied().collect();
    let found = rows(&theirs["dispersion"]).concat();
    hold(name, "dispersion [m, 1]", apart(&dispersion, &found), dispersion_limit);
    eprintln!(
        "{name:12} pyAT {}: {} monitors, {} elements with errors",
        theirs["pyat"],
        monitors.len(),
        twin.truth().elements.len()
    );
}

#[test]
fn displaced_elements_are_entered_and_left_as_pyat_has_it() {
    let mut asked = Vec::new();
    let mut ours = Vec::new();
    let steps =
        [[1e-3, -2e-3, 3e-3, 4e-3, -5e-3, 6e-3], [0.0, 0.0, 0.0, 0.0, 2e-3, 0.0], [1e-4, 2e-4, 0.0, 1e-3, 0.0, 0.0]];
    for (length, angle) in [(0.4, 0.0), (1.0, 0.2), (0.7, -0.05), (0.0, 0.0)] {
        for reference in [Reference::Centre, Reference::Entrance] {
            for [dx, dy, dz, roll, pitch, yaw] in steps {
                asked.push(json!(["e", length, angle, dx, dy, dz, roll, pitch, yaw, reference.word()]));
                let magnet = Magnet { field: Field::default(), slices: 10, fringe: [false; 2], exact: false };
                let bend = Bend {
                    magnet: magnet.clone(),
                    angle,
                    entrance: Default::default(),
                    exit: Default::default(),
                    full_gap: 0.0,
                    second_order: false,
                };
                let body = if angle == 0.0 { Body::Quadrupole(magnet) } else { Body::Bend(Box::new(bend)) };
                let placement = Placement { dx, dy, dz, roll, pitch, yaw, reference };
                ours.push(*placement.alignment(&Element::new("e", length, body)).unwrap());
            }
        }
    }
    let theirs = pyat(&json!({ "elements": asked }));
    let mut most = [0.0_f64; 2];
    for (ours, theirs) in ours.iter().zip(theirs.as_array().unwrap()) {
        let one: [[f64; 6]; 6] =
            std::array::from_fn(|row| std::array::from_fn(|column| f64::from(u8::from(row == column))));
        for (shift, key) in [(ours.t1, "T1"), (ours.t2, "T2")] {
            most[0] = most[0].max(apart(&shift.unwrap_or_default(), &numbers(&theirs[key])));
        }
        for (matrix, key) in [(ours.r1, "R1"), (ours.r2, "R2")] {
            most[1] = most[1].max(apart(matrix.unwrap_or(one).as_flattened(), &rows(&theirs[key]).concat()));
        }
    }
    assert_eq!(ours.len(), 24);
    hold("transform", "shifts [m, 1]", most[0], 1e-15);
    hold("transform", "matrices [1]", most[1], 1e-15);
}

/// Every kind of error at once, and every setpoint moved.
const DEMO: &str = r#"
seed = 7
physics = { cavity = true, radiation = false }

[misalignments.quadrupoles]
elements = "Q*"
dx = "50 um"
dy = "50 um"
dz = "200 um"
roll = "0.2 mrad"
pitch = "0.1 mrad"
yaw = "0.1 mrad"
truncate = 2.0

[misalignments.bends]
elements = "B_*"
dx = "100 um"
dy = "100 um"
dz = "100 um"
roll = "0.1 mrad"
pitch = "0.1 mrad"
yaw = "0.1 mrad"
distribution = "uniform"

[misalignments.sextupoles]
elements = "S*"
reference = "entrance"
dx = "100 um"
dy = "100 um"
yaw = "0.2 mrad"

[girders.cells]
start = "QF_*"
end = "SD_*"
dx = "30 um"
dy = "30 um"
roll = "0.1 mrad"
correlation = "5 m"
truncate = 2.0

[fields.quadrupoles]
elements = "Q*"
relative = "5e-4"
radius = "13 mm"
b3 = [0.0, 2.0]
a3 = [0.0, 2.0]
b6 = [4.0, 1.0]
a2 = [0.0, 3.0]

[fields.bends]
elements = "B_*"
relative = "2e-4"
radius = "13 mm"
b3 = [1.0, 0.5]
a2 = [0.0, 0.5]

[monitors.BPM]
gain = "3 %"
offset = "100 um"
roll = "5 mrad"
coupling = "1 %"
polarity_wrong = "10 %"

[supplies.HCOR]
gain = "2 %"
offset = "2 urad"
roll = "3 mrad"
polarity_wrong = "5 %"

[supplies.VCOR]
gain = "2 %"
roll = "3 mrad"

[supplies.QF]
gain = "1e-3"
offset = "1e-4 1/m^2"
roll = "0.2 mrad"

[supplies.SF]
gain = "1 %"
roll = "5 mrad"

[rf]
frequency = "200 Hz"
voltage = "2 %"
phase = "20 mrad"
"#;

/// The shipped tables, monitors without noise.
fn shipped(name: &str) -> Facility {
    let text = std::fs::read_to_string(common::folder(name).join("twin.toml")).unwrap();
    let quiet: String =
        text.lines().filter(|line| !line.starts_with("noise")).map(|line| format!("{line}\n")).collect();
    assert_ne!(quiet.len(), text.len());
    facility(name, Tables::twin(&quiet))
}

#[test]
fn the_demo_ring_as_shipped_is_that_of_pyat() {
    compare("demo_ring", &shipped("demo_ring"), TwinOptions::default(), &DEMO_RING);
}

#[test]
fn a_demo_ring_with_every_kind_of_error_is_that_of_pyat() {
    for seed in [None, Some(2), Some(3)] {
        let ring = facility("demo_ring", Tables::twin(DEMO));
        compare("every error", &ring, TwinOptions { seed, ..TwinOptions::default() }, &DEMO_RING);
    }
    let still = DEMO.replace("cavity = true", "cavity = false");
    compare("no cavity", &facility("demo_ring", Tables::twin(&still)), TwinOptions::default(), &DEMO_RING);
}

#[test]
fn a_radiating_demo_ring_with_every_kind_of_error_is_that_of_pyat() {
    let radiating = facility("demo_ring", Tables::twin(&DEMO.replace("radiation = false", "radiation = true")));
    compare("radiating", &radiating, TwinOptions::default(), &DEMO_RING);
}

#[test]
fn the_ebs_ring_as_shipped_is_that_of_pyat() {
    compare("ebs_ring", &shipped("ebs_ring"), TwinOptions::default(), &EBS_RING);
}

/// What stands in one cell is on three girders of a kind; monitors move with them.
const EBS: &str = r#"
physics = { cavity = true, radiation = true }

[misalignments.magnets]
elements = ["C*-Q*", "C*-S*", "C*-OF*"]
dx = "5 um"
dy = "5 um"
roll = "50 urad"
pitch = "20 urad"
yaw = "20 urad"
truncate = 2.0

[girders.cells]
start = "C*-QF1A"
end = "C*-QF1E"
dx = "10 um"
dy = "10 um"
roll = "20 urad"
correlation = "20 m"
truncate = 2.0

[fields.quadrupoles]
elements = "C*-Q*"
relative = "1e-4"
radius = "13 mm"
b6 = [1.0, 0.5]
a3 = [0.0, 0.5]

[fields.bends]
elements = ["C*-DL*", "C*-DQ*"]
relative = "1e-5"
radius = "13 mm"
b3 = [0.0, 0.2]

[monitors.BPM]
gain = "2 %"
offset = "50 um"
roll = "2 mrad"
coupling = "0.5 %"

[supplies.HCOR]
gain = "1 %"
roll = "2 mrad"

[supplies.SD1]
gain = "1e-3"
roll = "1 mrad"

[rf]
frequency = "10 Hz"
voltage = "1 %"
phase = "10 mrad"
"#;

#[test]
fn an_ebs_ring_with_every_kind_of_error_is_that_of_pyat() {
    compare("ebs, errors", &facility("ebs_ring", Tables::twin(EBS)), TwinOptions::default(), &EBS_RING);
}
