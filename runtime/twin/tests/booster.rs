//! A booster: wave forms, the moment at which monitors look, energy, supplies that are behind, eddy currents.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{is_invalid, number, pass, row, sample, set};
use common::{Tables, facility};
use fodo_control::{Plant, Value, Write};
use fodo_optics::{Effects, Ring};
use fodo_twin::{Twin, TwinOptions};

const PLAIN: &str = "physics = { cavity = false, radiation = false }\n";

fn twin(truth: &str) -> Twin {
    let tables = Tables::twin(&format!("{PLAIN}{truth}"));
    Twin::new(&facility("demo_booster", tables), TwinOptions::default()).unwrap()
}

fn set_row(twin: &Twin, channel: &str, row: Vec<f64>) -> Result<(), String> {
    let write = Write { channel: channel.into(), value: Value::Vector(row.into()) };
    twin.apply(&[write]).map_err(|faults| faults[0].reason.clone())
}

/// Without errors the optics stay those of the lattice while currents and energy rise thirtyfold.
#[test]
fn tunes_stay_along_the_ramp() {
    let twin = twin("");
    let booster = facility("demo_booster", Tables::twin(PLAIN));
    let ring = Ring::new(&booster.lattice, Effects { cavity: false, radiation: false });
    let tunes: Vec<f64> = ring.modes_at(&[0.0; 6]).unwrap().iter().map(|mode| mode.tune).collect();
    let wave = row(&twin, "booster:qf2:wave");
    assert!((wave[32] - 158.0).abs() < 1e-9 && (wave[0] / wave[32] - 0.1 / 3.0).abs() < 1e-5, "{wave:?}");
    let mut worst = 0.0_f64;
    for (moment, energy) in [(10.0, 100.0), (50.0, 524.7), (90.0, 1550.0), (170.0, 3000.0)] {
        set(&twin, "booster:delay", moment);
        assert!((number(&twin, "booster:cycle:energy") / energy - 1.0).abs() < 1e-3, "{moment}");
        assert_eq!(number(&twin, "booster:cycle:time"), moment);
        for (plane, tune) in ["x", "y"].iter().zip(&tunes) {
            worst = worst.max((number(&twin, &format!("booster:tune:{plane}")) - tune).abs());
        }
    }
    eprintln!("tunes {:.4} {:.4}, at most {worst:.1e} beside them", tunes[0], tunes[1]);
    // on the knots and at the ends the wave is exact; between knots the chord of a cosine is off by some 1e-4 of its height
    assert!(worst < 5e-3, "{worst}");
}

#[test]
fn a_supply_that_is_behind_moves_the_tune() {
    let moment = 0.09;
    let read = |truth: &str| {
        let twin = twin(truth);
        set(&twin, "booster:delay", 1e3 * moment);
        number(&twin, "booster:tune:x")
    };
    let moved = read("[supplies.QF2]\nlag = \"0.2 ms\"\n") - read("");
    // behind by t, a wave that follows the momentum gives less by t (dp/dt)/p of itself
    let booster = facility("demo_booster", Tables::twin(PLAIN));
    let part = -0.2e-3 * booster.cycle.as_ref().unwrap().growth(moment);
    let with = |scale: f64| {
        let mut ring = Ring::new(&booster.lattice, Effects { cavity: false, radiation: false });
        for (index, element) in booster.lattice.elements.iter().enumerate() {
            if element.name.starts_with("QF2") {
                ring.change(index, |element| {
                    let field = element.field_mut().unwrap();
                    let k1 = field.upright(1);
                    field.set_upright(1, k1 * scale);
                });
            }
        }
        ring.modes_at(&[0.0; 6]).unwrap()[0].tune
    };
    let wanted = with(1.0 + part) - with(1.0);
    eprintln!("moved by {moved:.5}, {wanted:.5} by the model");
    assert!(moved.abs() > 1e-2 && (moved / wanted - 1.0).abs() < 0.02, "{moved} {wanted}");
}

#[test]
fn eddy_currents_change_the_chromaticity() {
    let eddy = "[eddy]\nelements = \"B_*\"\nhalf_height = \"9 mm\"\nhalf_width = \"18 mm\"\nthickness = \"1 mm\"\nconductivity = 1.35e6\n";
    let read = |truth: &str, moment: f64| {
        let twin = twin(truth);
        set(&twin, "booster:delay", moment);
        ["x", "y"].map(|plane| number(&twin, &format!("booster:chromaticity:{plane}")))
    };
    let (plain, with) = (read("", 50.0), read(eddy, 50.0));
    // the sextupole by hand: mu_0 sigma d / h F (dB/dt) / B / rho, F of an ellipse twice as wide as high
    let booster = facility("demo_booster", Tables::twin(PLAIN));
    let growth = booster.cycle.as_ref().unwrap().growth(0.05);
    let shape = 0.5 * (1.0 + 0.25 * (0.75_f64.sqrt() / 0.5).asinh() / 0.75_f64.sqrt());
    let k2 = 4e-7 * std::f64::consts::PI * 1.35e6 * 1e-3 / 9e-3 * shape * growth * 0.17453292519943295 / 2.0;
    let mut ring = Ring::new(&booster.lattice, Effects { cavity: false, radiation: false });
    for (index, element) in booster.lattice.elements.iter().enumerate() {
        if element.name.starts_with("B_") {
            ring.change(index, |element| element.field_mut().unwrap().set_upright(2, 0.5 * k2));
        }
    }
    let design = Ring::new(&booster.lattice, Effects { cavity: false, radiation: false });
    let wanted = {
        let [with, plain] = [ring, design].map(|ring| ring.chromaticity().unwrap());
        [0, 1].map(|plane| with[plane] - plain[plane])
    };
    eprintln!("k2 {k2:.3} 1/m^3; chromaticity {plain:?} and {with:?}, changes by the model {wanted:?}");
    assert!(wanted[0] > 0.1 && wanted[1] < -0.1, "{wanted:?}");
    for plane in [0, 1] {
        let moved = with[plane] - plain[plane];
        // at 50 ms the wave forms are between two knots, so that the optics are not quite those of the lattice
        assert!((moved / wanted[plane] - 1.0).abs() < 0.02, "{moved} {wanted:?}");
    }
    assert!((read(eddy, 170.0)[0] - read("", 170.0)[0]).abs() < 1e-9, "the field stands still");
}

#[test]
fn between_cycles_there_is_no_beam() {
    let twin = twin("");
    set(&twin, "booster:delay", 200.0);
    assert!(is_invalid(&sample(&twin, "booster:tune:x"), "no beam is there at this moment"));
    assert!(is_invalid(&sample(&twin, "booster:bpm:1:x"), "no beam is there at this moment"));
    assert_eq!(number(&twin, "booster:current"), 0.0);
    set(&twin, "booster:delay", 20.0);
    assert!(number(&twin, "booster:current") > 0.0);
}

#[test]
fn cycles_are_counted_and_readings_say_which() {
    let twin = twin("");
    let first = number(&twin, "booster:cycle:number");
    pass(&twin, 0.32 * 5.0);
    assert_eq!(number(&twin, "booster:cycle:number"), first + 5.0);
    assert_eq!(sample(&twin, "booster:bpm:1:x").shot, Some(first as u64 + 5));
    assert_eq!(twin.period(), std::time::Duration::from_millis(320));
}

#[test]
fn a_wave_form_is_taken_whole_or_not() {
    let twin = twin("");
    let wave = row(&twin, "booster:qf1:wave");
    let longer: Vec<f64> = wave.iter().copied().chain([0.0]).collect();
    assert_eq!(set_row(&twin, "booster:qf1:wave", longer).unwrap_err(), "takes a row of 33 numbers, not of 34");
    let high: Vec<f64> = wave.iter().map(|_| 1e3).collect();
    assert!(set_row(&twin, "booster:qf1:wave", high).unwrap_err().contains("outside its limits"));
    assert_eq!(row(&twin, "booster:qf1:wave"), wave);
    set(&twin, "booster:delay", 10.0);
    let before = number(&twin, "booster:tune:x");
    // one knot: felt there and as far as the knots beside it
    let mut other = wave.clone();
    other[16] *= 1.001;
    set_row(&twin, "booster:qf1:wave", other).unwrap();
    assert_eq!(number(&twin, "booster:tune:x"), before);
    let tune = |moment: f64| {
        set(&twin, "booster:delay", moment);
        number(&twin, "booster:tune:x")
    };
    let now: Vec<f64> = [85.0, 87.5, 90.0, 92.5, 95.0].map(tune).to_vec();
    set_row(&twin, "booster:qf1:wave", wave).unwrap();
    let moved: Vec<f64> = [85.0, 87.5, 90.0, 92.5, 95.0].iter().zip(&now).map(|(at, now)| now - tune(*at)).collect();
    eprintln!("moved by {moved:?}");
    assert!(moved[0].abs() < 1e-12 && moved[4].abs() < 1e-12 && moved[2] > 1e-4, "{moved:?}");
    assert!((moved[1] / moved[2] - 0.5).abs() < 0.03 && (moved[3] / moved[2] - 0.5).abs() < 0.03, "{moved:?}");
}

/// Another lattice moves the whole ramp: the wave forms go with it, and the beam is that of the moment.
#[test]
fn another_lattice_moves_the_wave_forms() {
    let twin = twin("");
    let tunes = || ["x", "y"].map(|plane| number(&twin, &format!("booster:tune:{plane}")));
    set(&twin, "booster:delay", 50.0);
    let (before, wave) = (tunes(), row(&twin, "booster:qf2:wave"));
    let lattice = facility("demo_booster", Tables::default()).lattice.clone();
    twin.exchange(&lattice).unwrap();
    assert_eq!((tunes(), row(&twin, "booster:qf2:wave")), (before, wave.clone()));

    let mut other = lattice.as_ref().clone();
    for element in other.elements.iter_mut().filter(|element| element.name.starts_with("QF2")) {
        let field = element.field_mut().unwrap();
        let k1 = field.upright(1);
        field.set_upright(1, k1 * 1.01);
    }
    let ring = Ring::new(&other, Effects { cavity: false, radiation: false });
    twin.exchange(&other.into()).unwrap();
    let scaled = row(&twin, "booster:qf2:wave");
    assert!(wave.iter().zip(scaled.iter()).all(|(old, new)| (new / old - 1.01).abs() < 1e-12), "{scaled:?}");
    // at the end the wave is that of a knot
    set(&twin, "booster:delay", 170.0);
    let wanted = ring.modes_at(&[0.0; 6]).unwrap();
    for (tune, mode) in tunes().iter().zip(&wanted) {
        assert!((tune - mode.tune).abs() < 1e-9, "{tune} {}", mode.tune);
    }
}
