//! Lines, computed by pyAT in the same moment: what `model` says of them, and what the twin with all its errors shows.
//!
//! `live_line.py` beside this file says what pyAT finds. Every line printed is a measured figure and its limit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Tables, facility};
use fodo_control::{Plant, Validity, Value as Held, Write};
use fodo_devices::{Entrance, Facility, Quantities};
use fodo_lattice::Lattice;
use fodo_optics::{Effects, Optics, Plane, Ring, Twiss};
use fodo_twin::{Twin, TwinOptions};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn pyat(case: &Value) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = folder.join("../../.venv/bin/python");
    assert!(python.is_file(), "{} is missing: run ./test.sh, which installs it", python.display());
    let mut child = Command::new(python)
        .arg(folder.join("tests/live_line.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(case.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "live_line.py failed: {}", String::from_utf8_lossy(&output.stderr));
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
    eprintln!("{name:12} {what:34} {measured:9.1e}  limit {limit:.0e}");
    assert!(measured <= limit, "{name}: {what}: {measured:.2e} is above {limit:.0e}");
}

/// Elements as an AT file.
fn written(name: &str, lattice: &Lattice) -> PathBuf {
    let file = std::env::temp_dir().join(format!("fodo-line-{name}-{}.json", std::process::id()));
    std::fs::write(&file, fodo_lattice::formats::at_json::write(lattice)).unwrap();
    file
}

/// Elements of the devices of a family.
fn elements(facility: &Facility, family: &str) -> Vec<usize> {
    facility.family(family).unwrap().devices.iter().map(|device| device.elements[0]).collect()
}

/// What pyAT says of a line with these elements.
fn theirs(
    name: &str,
    facility: &Facility,
    lattice: &Lattice,
    (beam, start): (&Entrance, &[f64; 6]),
    monitors: Vec<Value>,
) -> Value {
    let design = written(&format!("{name}-design"), &facility.lattice);
    let real = written(name, lattice);
    let found = pyat(&json!({
        "design": design, "lattice": real, "start": start, "monitors": monitors,
        "twiss": [beam.beta[0], beam.alpha[0], beam.beta[1], beam.alpha[1]], "dispersion": beam.dispersion,
        "correctors": elements(facility, &facility.orbit.horizontal),
        "beam": [beam.emittance[0], beam.emittance[1], beam.energy_spread, beam.bunch_length],
    }));
    [design, real].iter().for_each(|file| std::fs::remove_file(file).unwrap());
    found
}

fn optics(ring: &Ring, (beam, start): (&Entrance, &[f64; 6])) -> Optics {
    let twiss = [0, 1].map(|plane| Twiss { beta: beam.beta[plane], alpha: beam.alpha[plane] });
    ring.optics_along(start, twiss, beam.dispersion).unwrap()
}

/// Trajectory, functions, energies and response of a line that is known.
fn same_optics(name: &str, facility: &Facility, ring: &Ring, entered: (&Entrance, &[f64; 6]), theirs: &Value) {
    let (ours, (_, start)) = (optics(ring, entered), entered);
    hold(name, "trajectory [m, 1]", apart(ours.orbit.as_flattened(), &rows(&theirs["points"]).concat()), 1e-12);
    let relative = |ours: &[f64], theirs: &[f64]| {
        apart(ours, theirs) / theirs.iter().fold(0.0, |most: f64, number| most.max(number.abs()))
    };
    for (what, ours) in [
        ("beta_x", &ours.beta_x),
        ("beta_y", &ours.beta_y),
        ("alpha_x", &ours.alpha_x),
        ("alpha_y", &ours.alpha_y),
        ("energy", &ours.energy),
    ] {
        hold(name, &format!("{what}, relative"), relative(ours, &numbers(&theirs[what])), 1e-10);
    }
    hold(name, "dispersion [m, 1]", apart(ours.dispersion.as_flattened(), &rows(&theirs["dispersion"]).concat()), 1e-9);
    let correctors = elements(facility, &facility.orbit.horizontal);
    let places: Vec<usize> = (0..=ring.len()).collect();
    let response = ring.trajectory_response(start, &places, &correctors).unwrap();
    let mut most = 0.0_f64;
    for (corrector, of) in theirs["response"].as_array().unwrap().iter().enumerate() {
        for (kick, table) in [Plane::X, Plane::Y].into_iter().zip(of.as_array().unwrap()) {
            for (place, moved) in rows(table).iter().enumerate() {
                for (orbit, theirs) in [Plane::X, Plane::Y].into_iter().zip(moved) {
                    most = most.max((response.get(orbit, place, kick, corrector) - theirs).abs());
                }
            }
        }
    }
    hold(name, "response [m/rad]", most, 1e-9);
}

#[test]
fn the_models_of_the_lines_are_those_of_pyat() {
    for name in ["demo_line", "demo_linac"] {
        let line = Facility::load(std::sync::Arc::new(fodo_devices::Folder(common::folder(name)))).unwrap();
        let ring = Ring::new(&line.lattice, Effects::CAVITY);
        let design = line.entrance.as_ref().unwrap();
        let beside = Entrance { dispersion: [0.1, -0.02, 0.05, 0.01], ..design.clone() };
        for (case, beam, start) in
            [("axis", design, &design.start), ("beside", &beside, &[1e-3, -2e-4, -8e-4, 1e-4, 2e-3, 1e-4])]
        {
            let theirs = theirs(&format!("{name}-{case}"), &line, &line.lattice, (beam, start), vec![]);
            same_optics(&format!("{name} {case}"), &line, &ring, (beam, start), &theirs);
        }
    }
}

/// One field of all devices, as the twin's channels show it, in SI.
fn read(twin: &Twin, facility: &Facility, quantity: Quantities) -> Vec<f64> {
    let devices = facility.families.iter().flat_map(|family| &family.devices);
    let fields = devices.flat_map(|device| &device.fields).filter(|field| field.model == Some(quantity));
    let one = |field: &fodo_devices::Field| {
        let source = field.source.as_ref().unwrap();
        let reading = twin.sample(std::slice::from_ref(&source.channel)).remove(0).unwrap();
        match (&reading.value, &reading.validity) {
            (Held::Number(number), Validity::Good) => field.to_physics(*number),
            other => panic!("{}: {other:?}", source.channel),
        }
    };
    fields.map(one).collect()
}

/// Moves every setpoint by a part of what is left of its range, each by another one.
fn stir(twin: &Twin, facility: &Facility, part: f64) {
    let devices = facility.families.iter().flat_map(|family| &family.devices);
    let mut writes = Vec::new();
    for field in devices.flat_map(|device| &device.fields) {
        let Some(setpoint) = &field.setpoint else { continue };
        let now = twin.sample(std::slice::from_ref(&setpoint.channel)).remove(0).unwrap().value.number().unwrap();
        let (low, high) = setpoint.limits;
        let step = part * (writes.len() as f64 * 1.7).sin() * (high - now).min(now - low);
        writes.push(Write { channel: setpoint.channel.clone(), value: Held::Number(now + step) });
    }
    assert!(writes.len() > 20);
    twin.apply(&writes).unwrap();
}

/// The shipped errors, and more of every kind; monitors without noise.
fn spoilt(name: &str) -> Facility {
    let text = std::fs::read_to_string(common::folder(name).join("twin.toml")).unwrap();
    let quiet: String =
        text.lines().filter(|line| !line.starts_with("noise")).map(|line| format!("{line}\n")).collect();
    assert_ne!(quiet.len(), text.len());
    let more = "gain = \"3 %\"\noffset = \"100 um\"\nroll = \"5 mrad\"\ncoupling = \"1 %\"\npolarity_wrong = \"10 %\"\n\n\
        [fields.quadrupoles]\nelements = \"Q_*\"\nrelative = \"1e-3\"\nradius = \"20 mm\"\nb3 = [0.0, 2.0]\na2 = [0.0, 3.0]\n\n\
        [supplies.Q]\ngain = \"1e-3\"\nroll = \"1 mrad\"\n";
    let bends = "\n[misalignments.bends]\nelements = \"B_*\"\ndx = \"200 um\"\ndz = \"200 um\"\nroll = \"0.5 mrad\"\n\
        pitch = \"0.2 mrad\"\nyaw = \"0.2 mrad\"\n";
    let text = quiet.replacen("[monitors.BPM]\n", &format!("[monitors.BPM]\n{more}"), 1);
    facility(name, Tables::twin(&if name == "demo_line" { text + bends } else { text }))
}

/// The twin as shipped, with more errors, and with every setpoint moved: of a linac its voltages and phases, too, so that
/// the beam is off the energy that the magnets are set for.
#[test]
fn the_twins_of_the_lines_are_those_of_pyat() {
    for name in ["demo_line", "demo_linac"] {
        let line = spoilt(name);
        for (seed, part) in [(1, 0.0), (2, 0.02), (3, 0.05)] {
            let twin = Twin::new(&line, TwinOptions { seed: Some(seed), ..TwinOptions::default() }).unwrap();
            stir(&twin, &line, part);
            let ring = twin.ring();
            let lattice = Lattice { elements: ring.elements().to_vec(), ..line.lattice.as_ref().clone() };
            let monitors: Vec<Value> = twin
                .monitors()
                .map(|(_, element, m)| json!([element, m.offset, m.gain, m.coupling, m.polarity, m.roll]))
                .collect();
            let start = twin.entered().unwrap();
            assert!(start[0] != 0.0 && start[4] != 0.0, "{start:?}");
            let case = format!("{name} {seed}");
            let entered = (line.entrance.as_ref().unwrap(), &start);
            let theirs = theirs(&format!("{name}-{seed}"), &line, &lattice, entered, monitors);
            let readings = rows(&theirs["readings"]);
            let column = |plane: usize| readings.iter().map(|pair| pair[plane]).collect::<Vec<f64>>();
            let rms = |values: &[f64]| (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
            for (plane, quantity) in [Quantities::OrbitX, Quantities::OrbitY].into_iter().enumerate() {
                let ours = read(&twin, &line, quantity);
                let what = format!("readings {} of {:.0} um rms [m]", ["x", "y"][plane], 1e6 * rms(&ours));
                hold(&case, &what, apart(&ours, &column(plane)), 1e-12);
            }
            let sizes = rows(&theirs["sizes"]);
            let screens = line.family("SCR").map_or(vec![], |_| elements(&line, "SCR"));
            assert_eq!(screens.len(), if name == "demo_line" { 5 } else { 0 });
            for (place, quantity) in
                [Quantities::BeamSizeX, Quantities::BeamSizeY, Quantities::BeamTilt].into_iter().enumerate()
            {
                let seen: Vec<f64> = screens.iter().map(|&screen| sizes[screen][place]).collect();
                hold(&case, &format!("{quantity:?} [m, rad]"), apart(&read(&twin, &line, quantity), &seen), 1e-9);
            }
            same_optics(&case, &line, &ring, entered, &theirs);
            let off = ring.trajectory(&start).unwrap().last().unwrap()[4];
            eprintln!("{case:12} pyAT {}: {} monitors, delta at the end {off:.1e}", theirs["pyat"], readings.len());
        }
    }
}
