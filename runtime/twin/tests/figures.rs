//! Figures of the beam on the twin's channels, against the engine asked anew, and found beside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{is_invalid, number, row, sample, set};
use common::{Tables, facility};
use fodo_devices::{Facility, Quantities};
use fodo_optics::{Effects, Ring};
use fodo_twin::{Twin, TwinOptions};
use std::time::{Duration, Instant};

const ERRORS: &str = r#"
seed = 3
[misalignments.quadrupoles]
elements = "Q*"
dx = "50 um"
dy = "50 um"
roll = "0.3 mrad"
"#;

/// Every figure of the demo ring: the field's quantity, in SI, and what the engine finds from nothing.
fn compare(twin: &Twin, ring: &Facility) -> f64 {
    let engine: Ring = twin.ring().with_effects(Effects::ALL);
    let beam = engine.find_equilibrium().unwrap();
    let chromaticity = engine.chromaticity().unwrap();
    let matrices = engine.beam_matrices(&beam).unwrap();
    let mut worst: f64 = 0.0;
    let mut seen = 0;
    for device in ring.families.iter().flat_map(|family| &family.devices) {
        for field in &device.fields {
            let at = || &matrices[device.elements[0]];
            let wanted = match field.model {
                Some(Quantities::EmittanceX) => beam.emittances[0],
                Some(Quantities::EmittanceY) => beam.emittances[1],
                Some(Quantities::EnergySpread) => beam.energy_spread,
                Some(Quantities::BunchLength) => beam.bunch_length,
                Some(Quantities::ChromaticityX) => chromaticity[0],
                Some(Quantities::ChromaticityY) => chromaticity[1],
                Some(Quantities::BeamSizeX) => at()[(0, 0)].sqrt(),
                Some(Quantities::BeamSizeY) => at()[(2, 2)].sqrt(),
                Some(Quantities::BeamTilt) => {
                    let m = at();
                    // the axis about which the beam is least wide
                    let width = |angle: f64| {
                        let (s, c) = angle.sin_cos();
                        s * s * m[(0, 0)] - 2.0 * s * c * m[(0, 2)] + c * c * m[(2, 2)]
                    };
                    let found = field.to_physics(number(twin, &field.source.as_ref().unwrap().channel));
                    assert!(width(found) <= width(found + 1e-4) && width(found) <= width(found - 1e-4));
                    seen += 1;
                    continue;
                }
                _ => continue,
            };
            seen += 1;
            let found = field.to_physics(number(twin, &field.source.as_ref().unwrap().channel));
            worst = worst.max((found / wanted - 1.0).abs());
        }
    }
    assert_eq!(seen, 12, "every figure of the tables is compared");
    worst
}

#[test]
fn figures_are_those_of_the_machine_as_it_stands() {
    let ring = facility("demo_ring", Tables::twin(ERRORS));
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    let before = compare(&twin, &ring);
    let emittance = number(&twin, "beam:emittance:x");
    let now = number(&twin, "QF_001:Cm:set");
    set(&twin, "QF_001:Cm:set", now * 1.002);
    let after = compare(&twin, &ring);
    eprintln!("relative to the engine from nothing: {before:.1e}, after a change {after:.1e}");
    assert!(before < 1e-6 && after < 1e-6, "{before:e} {after:e}");
    assert!((number(&twin, "beam:emittance:x") / emittance - 1.0).abs() > 1e-5, "the change is seen");
    assert_eq!(number(&twin, "beam:calculated"), 1.0);
}

#[test]
fn without_a_closed_orbit_there_are_no_figures() {
    let ring = facility("demo_ring", Tables::twin("[exact.elements.QF_001]\nrelative = 4"));
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    for channel in ["beam:emittance:x", "beam:energy_spread", "beam:chromaticity:y", "beam:size:1:x"] {
        let reading = sample(&twin, channel);
        assert!(is_invalid(&reading, ""), "{channel}: {reading:?}");
    }
}

/// What takes long is invalid until it is there, and then is what it would have been at once.
#[test]
fn slow_figures_are_found_beside() {
    let ring = facility("demo_ring", Tables::twin(ERRORS));
    let twin = Twin::new(&ring, TwinOptions { beside: true, ..TwinOptions::default() }).unwrap();
    let at_once = Twin::new(&ring, TwinOptions::default()).unwrap();
    let done = |twin: &Twin| {
        let start = Instant::now();
        while number(twin, "beam:calculated") == 0.0 {
            assert!(start.elapsed() < Duration::from_secs(60), "it never ends");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    done(&twin);
    for (part, asked) in [(1.001, "beam:chromaticity:x"), (0.999, "beam:size:2:y")] {
        let value = number(&twin, "QF_001:Cm:set") * part;
        for twin in [&twin, &at_once] {
            set(twin, "QF_001:Cm:set", value);
        }
        // nobody looks for it before it is asked for
        let reading = sample(&twin, asked);
        assert!(is_invalid(&reading, "is being calculated"), "{asked}: {reading:?}");
        assert_eq!(number(&twin, "beam:emittance:x"), number(&at_once, "beam:emittance:x"), "this does not wait");
        done(&twin);
        for channel in ["beam:chromaticity:x", "beam:chromaticity:y"] {
            assert_eq!(number(&twin, channel), number(&at_once, channel), "{channel}");
        }
        let (ours, theirs) = (number(&twin, "beam:size:2:x"), number(&at_once, "beam:size:2:x"));
        assert!((ours / theirs - 1.0).abs() < 1e-6, "{ours} {theirs}");
    }
}

/// A beam that radiates loses energy on its way; tapered magnets give it the orbit of one that does not.
#[test]
fn tapered_magnets_have_the_orbit_flat() {
    let rms = |physics: &str| {
        let twin = Twin::new(&facility("demo_ring", Tables::twin(physics)), TwinOptions::default()).unwrap();
        let orbit = row(&twin, "beam:orbit:x");
        (orbit.iter().map(|x| x * x).sum::<f64>() / orbit.len() as f64).sqrt()
    };
    let saw = rms("physics = { cavity = true, radiation = true }");
    let flat = rms("physics = { cavity = true, radiation = true, tapering = true }");
    eprintln!("orbit {:.3} um rms, tapered {:.4} um", 1e6 * saw, 1e6 * flat);
    assert!(saw > 1e-6 && flat < 0.05 * saw, "{saw:e} {flat:e}");
    let tables = Tables::twin("physics = { tapering = true }");
    let error = match Twin::new(&facility("demo_ring", tables), TwinOptions::default()) {
        Ok(_) => panic!("taken"),
        Err(error) => error.render(false),
    };
    assert!(error.contains("a beam that radiates"), "{error}");
}
