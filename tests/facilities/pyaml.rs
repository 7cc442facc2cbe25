//! demo_ring has the channels of pyAML's own EPICS test configuration, so that pyAML can be pointed at our twin.

use super::facility;
use fodo_tests::{python, skipped};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

const PACKAGE: &str = "pyaml-test-lattice==0.3.0";
const CONFIGURATION: &str = "data/configuration/pyaml/epics/pyaml-cs-oa/fodo_1gev_6d_pyaml-epics.yaml";

/// What stands at a channel, or at one entry of it: readback (if it is a pair), unit.
type Channels = BTreeMap<(String, Option<usize>), (Option<String>, String)>;

/// The text of the configuration; where it is missing, the test that asks says so.
fn configuration(test: &str) -> Option<&'static str> {
    static TEXT: OnceLock<Option<String>> = OnceLock::new();
    let Some(python) = python() else {
        skipped(test, ".venv is missing: tests/setup/epics.sh makes it");
        return None;
    };
    let text = TEXT.get_or_init(|| installed(&python)).as_deref();
    if text.is_none() {
        skipped(test, &format!("{PACKAGE} cannot be installed into .venv"));
    }
    text
}

/// The same; the package is installed into the tests' Python if it is not there.
fn installed(python: &Path) -> Option<String> {
    let find = || {
        let code = format!(
            "import importlib.metadata as m, importlib.util as u, pathlib as p\n\
             assert m.version('pyaml-test-lattice') == '0.3.0'\n\
             print((p.Path(u.find_spec('pyaml_test_lattice').origin).parent / '{CONFIGURATION}').read_text())"
        );
        let output = Command::new(python).args(["-c", &code]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    find().or_else(|| {
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", PACKAGE];
        _ = Command::new(python).args(install).status();
        find()
    })
}

/// Every reference in the text: `name[unit]`, `name@index[unit]`, `(readback, setpoint)[unit]`.
fn theirs(text: &str) -> Channels {
    let devices = text.split_once("\ndevices:").expect("devices").1;
    let mut channels = Channels::new();
    for line in devices.lines().filter_map(|line| line.trim().strip_suffix(']')) {
        let Some((reference, unit)) = line.rsplit_once('[') else { continue };
        let unit = unit.replace("**", "^");
        if let Some((_, pair)) = reference.split_once('(') {
            let (readback, setpoint) = pair.trim_end_matches(')').split_once(", ").expect("a pair");
            channels.insert((setpoint.into(), None), (Some(readback.into()), unit));
        } else if let Some((_, name)) = reference.split_once(": ") {
            let (name, index) = match name.split_once('@') {
                Some((name, index)) => (name, Some(index.parse().expect("an index"))),
                None => (name, None),
            };
            if name.contains(':') {
                channels.insert((name.into(), index), (None, unit));
            }
        }
    }
    channels
}

fn ours() -> Channels {
    let facility = facility("demo_ring");
    let fields = facility.families.iter().flat_map(|family| &family.devices).flat_map(|device| &device.fields);
    let entry = |field: &fodo_devices::Field| {
        let unit = field.hardware.symbol().to_string();
        match (&field.setpoint, &field.source) {
            (Some(setpoint), _) => {
                Some(((setpoint.channel.to_string(), None), (setpoint.readback.as_ref().map(|r| r.to_string()), unit)))
            }
            (None, Some(source)) => Some(((source.channel.to_string(), source.place.index), (None, unit))),
            (None, None) => None,
        }
    };
    fields.filter_map(entry).collect()
}

#[test]
fn channels_of_demo_ring_are_those_of_pyaml() {
    let Some(text) = configuration("channels_of_demo_ring_are_those_of_pyaml") else { return };
    let (ours, theirs) = (ours(), theirs(text));
    // 64 quadrupoles and sextupoles, 16 pairs of correctors, 16 monitors in two planes, RF, two tunes
    assert_eq!(theirs.len(), 64 + 32 + 32 + 1 + 2);
    assert_eq!(theirs[&("beam:orbit:x".to_string(), Some(183))], (None, "m".to_string()));
    let missing: Vec<_> = theirs.iter().filter(|(key, what)| ours.get(*key) != Some(what)).collect();
    assert!(missing.is_empty(), "pyAML has, and we have not: {missing:?}");
    // current and figures of the beam are our own
    let own = |name: &str| name.starts_with("beam:") && !name.starts_with("beam:orbit:");
    let more: Vec<_> = ours.keys().filter(|key| !theirs.contains_key(*key) && !own(&key.0)).collect();
    assert!(more.is_empty(), "we have, and pyAML has not: {more:?}");
    eprintln!("{} channels and entries are those of pyAML", ours.len());
}

/// Each monitor reads the entry of its own lattice element, as pyAML's configuration has it by name.
#[test]
fn vector_entries_are_those_of_the_monitors() {
    let Some(text) = configuration("vector_entries_are_those_of_the_monitors") else { return };
    let facility = facility("demo_ring");
    let mut name = "";
    let mut seen = 0;
    for line in text.split_once("\ndevices:").expect("devices").1.lines() {
        if let Some(device) = line.trim().strip_prefix("name: ") {
            name = device;
        }
        for (key, field) in [("x_pos: ", "x"), ("y_pos: ", "y")] {
            let Some(reference) = line.trim().strip_prefix(key) else { continue };
            let device = facility.device("BPM", name).unwrap();
            let source = device.field(field).and_then(|f| f.source.as_ref()).unwrap();
            let index = source.place.index.unwrap();
            assert_eq!(format!("{}@{index}[m]", source.channel), reference, "{name}");
            assert_eq!(device.elements, [index], "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 32);
}
