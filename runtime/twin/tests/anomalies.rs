//! What goes wrong for a while: what it does, that nothing is left of it, when it comes, what is said of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{is_invalid, number, pass, row, sample, set};
use common::{Tables, facility, folder};
use fodo_control::{Plant, Trainer, Value};
use fodo_twin::{Twin, TwinOptions};

const KINDS: &str = r#"
seed = 2
[misalignments.quadrupoles]
elements = "Q*"
roll = "0.5 mrad"
[monitors.BPM]
noise = "0.1 um"
[anomalies.lost_corrector]
kind = "supply_off"
family = "HCOR"
[anomalies.stuck]
kind = "supply_stuck"
family = "QF"
[anomalies.creeping]
kind = "supply_drift"
family = "VCOR"
devices = ["VCOR_003"]
size = "360 urad"
[anomalies.wrong_readback]
kind = "readback_wrong"
family = "HCOR"
size = "10 %"
[anomalies.dead]
kind = "monitor_dead"
family = "BPM"
[anomalies.noisy]
kind = "monitor_noisy"
family = "BPM"
size = "50 um"
[anomalies.jumped]
kind = "monitor_jump"
family = "BPM"
size = "1 mm"
[anomalies.swapped]
kind = "monitors_swapped"
family = "BPM"
[anomalies.trip]
kind = "rf_trip"
[anomalies.phase]
kind = "rf_phase_jump"
size = "10 deg"
[anomalies.unlocked]
kind = "rf_unlocked"
size = "2 kHz"
[anomalies.leak]
kind = "vacuum_leak"
size = 100
[anomalies.accident]
kind = "lifetime_drop"
size = "0.01 1/s"
[anomalies.loss]
kind = "beam_loss"
[anomalies.liner]
kind = "obstacle"
elements = "BPM_004"
size = "1 um"
[anomalies.touched]
kind = "displaced"
elements = "QF_005"
size = "20 um"
[beam]
momentum_acceptance = "2 %"
coupling = "1 %"
top_up_below = "190 mA"
aperture_y = "10 mm"
[beam.gas]
pressure = "1e-9 mbar"
H2 = 0.8
CO = 0.2
"#;

fn twin(tables: &str) -> Twin {
    let path = folder("demo_ring").join("families.toml");
    let families = std::fs::read_to_string(path).unwrap()
        + "\n[LIFETIME]\nrole = \"lifetime\"\nlifetime = { unit = \"s\", hardware = \"h\", model = \"lifetime\", read = \"beam:lifetime\" }\n";
    let tables = Tables::twin(tables).with("families.toml", &families);
    Twin::new(&facility("demo_ring", tables), TwinOptions::default()).unwrap()
}

/// All that the channels show, as text: two states are the same if all of it is.
fn all(twin: &Twin) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for info in twin.channels() {
        let reading = sample(twin, &info.channel);
        match reading.value {
            Value::Number(number) => found.push((info.channel.to_string(), number)),
            Value::Vector(numbers) | Value::Image { pixels: numbers, .. } => {
                found.extend(numbers.iter().map(|&number| (info.channel.to_string(), number)))
            }
            other => panic!("{other:?}"),
        }
    }
    found
}

/// The channels that are different, apart from the last digits of a closed orbit found from another side.
fn different(a: &[(String, f64)], b: &[(String, f64)]) -> Vec<String> {
    let is_same = |x: f64, y: f64| (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-9 * (x.abs() + y.abs()) + 1e-12;
    let mut found: Vec<String> =
        a.iter().zip(b).filter(|(a, b)| !is_same(a.1, b.1)).map(|(a, _)| a.0.clone()).collect();
    found.dedup();
    found
}

/// Every kind, one after the other: it is felt where it must be, and when it is over the machine is as it was.
#[test]
fn what_is_over_leaves_nothing_behind() {
    let twin = twin(KINDS);
    let felt: &[(&str, &str)] = &[
        ("lost_corrector", "beam:orbit:x"),
        ("stuck", "QF_001:Cm:rdbk"),
        ("wrong_readback", "HCOR_001:Cm:rdbk"),
        ("dead", "beam:orbit:x"),
        ("noisy", "beam:orbit:x"),
        ("jumped", "beam:orbit:x"),
        ("swapped", "beam:orbit:x"),
        ("trip", "beam:bunch_length"),
        // the beam follows one cavity: it is seen in the machine alone
        ("phase", ""),
        ("unlocked", "beam:orbit:x"),
        ("leak", "beam:lifetime"),
        ("accident", "beam:lifetime"),
        ("loss", "beam:current"),
        ("liner", "beam:current"),
        ("touched", "beam:orbit:x"),
        // the last one, as time goes on in it
        ("creeping", "beam:orbit:y"),
    ];
    assert_eq!(felt.len(), twin.anomalies().len(), "every kind is tried");
    set(&twin, "HCOR_001:Cm:set", 2e-4);
    set(&twin, "QF_001:Cm:set", 0.504);
    let sound = all(&twin);
    for (name, channel) in felt {
        twin.start(name, None).unwrap();
        match *name {
            // these show when something is asked of them, or after a time
            "stuck" => set(&twin, "QF_001:Cm:set", 0.505),
            "creeping" => pass(&twin, 0.05),
            _ => {}
        }
        let now = all(&twin);
        let other = different(&now, &sound);
        if *name == "phase" {
            let ring = twin.ring();
            let lag = |at: &usize| match &ring.element(*at).body {
                fodo_lattice::Body::Cavity(cavity) => cavity.phase_lag,
                _ => panic!("no cavity"),
            };
            assert!((lag(&ring.cavity_indices()[0]).abs() - 10_f64.to_radians()).abs() < 1e-12);
        } else if *name == "stuck" {
            assert!(!other.contains(&"QF_001:Cm:rdbk".to_string()) && other.contains(&"QF_001:Cm:set".to_string()));
            set(&twin, "QF_001:Cm:set", 0.504);
        } else {
            assert!(other.contains(&channel.to_string()), "{name}: {channel} is not among {other:?}");
        }
        twin.stop(name).unwrap();
        let left = different(&all(&twin), &sound);
        assert!(left.is_empty() || *name == "creeping", "{name} leaves {left:?}");
        if *name == "creeping" {
            // time has gone on: what is left is what time does, to the current and to what is as bright as it is
            let by_time = |channel: &String| {
                ["beam:current", "beam:lifetime"].iter().any(|known| channel.starts_with(known))
                    || channel.ends_with(":image")
            };
            assert!(left.iter().all(by_time), "{left:?}");
        }
    }
}

#[test]
fn each_does_what_its_name_says() {
    let twin = twin(KINDS);
    let orbit = |axis: &str| row(&twin, &format!("beam:orbit:{axis}"));
    twin.start("dead", Some("BPM_002".into())).unwrap();
    let (entry, next) = (14, 3);
    let read = orbit("x");
    let dead: Vec<usize> = (0..read.len()).filter(|&at| read[at].is_nan()).collect();
    assert_eq!(dead.len(), 1, "one entry has no number");
    assert!(!read[next].is_nan() && entry > 0);
    twin.stop("dead").unwrap();

    let (before, _) = (orbit("x"), ());
    twin.start("jumped", Some("BPM_001".into())).unwrap();
    assert!((orbit("x")[next] - before[next] + 1e-3).abs() < 1e-9, "it reads less where it stands further out");
    twin.stop("jumped").unwrap();

    twin.start("leak", None).unwrap();
    let leaking = number(&twin, "beam:lifetime");
    twin.stop("leak").unwrap();
    assert!(number(&twin, "beam:lifetime") > 2.0 * leaking);

    twin.start("loss", None).unwrap();
    assert_eq!(number(&twin, "beam:current"), 0.0);
    assert!(is_invalid(&sample(&twin, "TUNEZR:rdH"), "the beam is lost"));
    twin.stop("loss").unwrap();
    assert_eq!(number(&twin, "beam:current"), 200.0);

    // a supply that drifts by 360 urad in an hour has moved by 0.1 urad after a second
    twin.start("creeping", None).unwrap();
    pass(&twin, 1.0);
    let ring = twin.ring();
    let kicks: Vec<f64> = ring.elements().iter().map(|element| element.kick[1]).filter(|kick| *kick != 0.0).collect();
    assert_eq!(kicks.len(), 1);
    assert!((kicks[0] - 1e-7).abs() < 1e-15, "{kicks:?}");
}

#[test]
fn by_the_clock_and_at_random() {
    let tables = r#"
seed = 4
[anomalies.later]
kind = "monitor_dead"
family = "BPM"
start = "10 s"
lasts = "5 s"
[anomalies.often]
kind = "supply_off"
family = "VCOR"
rate = "20 1/h"
lasts = "1 min"
"#;
    let (step_by_step, at_once) = (twin(tables), twin(tables));
    let start = at_once.now();
    for _ in 0..144 {
        pass(&step_by_step, 600.0);
    }
    pass(&at_once, 86400.0);
    let happened = at_once.happened(start);
    assert_eq!(
        happened,
        step_by_step
            .happened(start)
            .into_iter()
            .map(|event| {
                let shift = start.0 - at_once.now().0 + 86_400_000_000_000;
                fodo_control::Happened { time: fodo_control::Time(event.time.0 - shift), ..event }
            })
            .collect::<Vec<_>>(),
        "who looks on the way makes no difference"
    );
    let seconds = |event: &fodo_control::Happened| (event.time.0 - start.0) / 1_000_000_000;
    let later: Vec<(i64, bool)> =
        happened.iter().filter(|e| e.name.as_ref() == "later").map(|e| (seconds(e), e.begins)).collect();
    assert_eq!(later, [(10, true), (15, false)]);
    let often: Vec<&fodo_control::Happened> =
        happened.iter().filter(|event| event.name.as_ref() == "often" && event.begins).collect();
    // 480 are to be expected, a few less where one goes on already at the same device; one standard deviation is 22
    assert!((395..=550).contains(&often.len()), "{}", often.len());
    let devices: std::collections::BTreeSet<&String> = often.iter().filter_map(|event| event.device.as_ref()).collect();
    assert_eq!(devices.len(), 16, "it happens to each of them");
    assert!(happened.is_sorted_by_key(|event| event.time));
}

#[test]
fn wrong_tables_and_wrong_names_harm_nothing() {
    for (text, said) in [
        ("[anomalies.a]\nkind = \"monitor_ded\"", "did you mean `monitor_dead`"),
        ("[anomalies.a]\nkind = \"monitor_dead\"", "family"),
        ("[anomalies.a]\nkind = \"monitor_dead\"\nfamily = \"BPMX\"", "BPM"),
        ("[anomalies.a]\nkind = \"monitor_dead\"\nfamily = \"QF\"", "no family of monitors"),
        ("[anomalies.a]\nkind = \"monitor_dead\"\nfamily = \"BPM\"\ndevices = [\"BPM_0001\"]", "BPM_0001"),
        ("[anomalies.a]\nkind = \"supply_off\"\nfamily = \"BPM\"", "no such field that is set"),
        ("[anomalies.a]\nkind = \"monitor_jump\"\nfamily = \"BPM\"", "how bad is it"),
        ("[anomalies.a]\nkind = \"monitor_jump\"\nfamily = \"BPM\"\nsize = \"1 A\"", "`m`"),
        ("[anomalies.a]\nkind = \"obstacle\"\nelements = \"NO_*\"\nsize = \"1 mm\"", "NO_*"),
        ("[anomalies.a]\nkind = \"beam_loss\"\nrate = \"-1 1/s\"", "must be above zero"),
        ("[anomalies.a]\nkind = \"beam_loss\"\nsize = 2", "size"),
    ] {
        let error = match Twin::new(&facility("demo_ring", Tables::twin(text)), TwinOptions::default()) {
            Ok(_) => panic!("taken: {text}"),
            Err(error) => error.render(false),
        };
        assert!(error.contains(said) && error.contains("twin.toml:"), "{text}\n{error}\nwanted: {said}");
    }
    let twin = twin(KINDS);
    let sound = all(&twin);
    let error = |result: fodo_report::Result<()>| result.unwrap_err().render(false);
    assert!(error(twin.start("lost_correctr", None)).contains("lost_corrector"));
    assert!(error(twin.start("dead", Some("BPM_077".into()))).contains("does not happen to `BPM_077`"));
    assert!(error(twin.stop("dead")).contains("does not go on"));
    twin.start("dead", None).unwrap();
    assert!(error(twin.start("dead", None)).contains("goes on already"));
    twin.stop("dead").unwrap();
    assert!(different(&all(&twin), &sound).is_empty());
}
