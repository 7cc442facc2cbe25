//! The twin of a line: how far the beam comes, what arrives, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{is_invalid, number, pass, row, sample, set};
use common::{Tables, facility, folder};
use fodo_control::{Plant, Trainer, Validity};
use fodo_devices::Facility;
use fodo_twin::{Twin, TwinOptions};

fn tables(name: &str, file: &str) -> String {
    std::fs::read_to_string(folder(name).join(file)).unwrap()
}

/// A line without errors but for these.
fn line(name: &str, twin: &str) -> (Facility, Twin) {
    let line = facility(name, Tables::twin(twin));
    let twin = Twin::new(&line, TwinOptions::default()).unwrap();
    (line, twin)
}

fn monitors() -> impl Iterator<Item = String> {
    (1..=6).map(|number| format!("LTB:BPM_{number:02}:X"))
}

#[test]
fn a_beam_ends_where_it_touches_the_wall() {
    // the centre is steered into the wall, and with it all particles
    let (_, twin) = line("demo_line", "");
    for steerer in ["LTB:HCOR_01:I:set", "LTB:HCOR_02:I:set"] {
        set(&twin, steerer, 6.0);
    }
    let ends: Vec<bool> =
        monitors().map(|channel| is_invalid(&sample(&twin, &channel), "the beam is lost at ")).collect();
    assert_eq!(ends.first(), Some(&false));
    assert!(ends.is_sorted() && ends.ends_with(&[true]), "{ends:?}");
    assert_eq!(number(&twin, "LTB:ICT_02:Q"), 0.0);
    assert_eq!(number(&twin, "LTB:ICT_01:Q"), 0.5);
    // back on the axis all of it arrives again
    for steerer in ["LTB:HCOR_01:I:set", "LTB:HCOR_02:I:set"] {
        set(&twin, steerer, 0.0);
    }
    monitors().for_each(|channel| assert_eq!(number(&twin, &channel), 0.0));
    assert_eq!(number(&twin, "LTB:ICT_02:Q"), 0.5);
}

#[test]
fn part_of_the_charge_is_lost_where_the_wall_is_near() {
    // 0.5 mrad after another the charge at the end falls and never rises
    let (_, twin) = line("demo_line", "");
    let mut charges = Vec::new();
    for step in 0..13 {
        set(&twin, "LTB:HCOR_01:I:set", 0.5 * f64::from(step));
        charges.push(number(&twin, "LTB:ICT_02:Q"));
    }
    assert_eq!(charges[0], 0.5);
    assert!(charges.is_sorted_by(|before, after| before >= after), "{charges:?}");
    assert!(charges.iter().any(|charge| (0.02..0.48).contains(charge)), "{charges:?}");
    eprintln!("{charges:?} nC");
}

#[test]
fn of_a_row_the_entries_before_the_loss_can_be_used() {
    let text = tables("demo_line", "families.toml");
    let rows = text
        .replace("read = \"LTB:{name}:X\"", "read = \"LTB:X\", index = \"{row}\"")
        .replace("read = \"LTB:{name}:Y\"", "read = \"LTB:Y\", index = \"{row}\"");
    assert_ne!(text, rows);
    let line = facility("demo_line", Tables::twin("").with("families.toml", &rows));
    let twin = Twin::new(&line, TwinOptions::default()).unwrap();
    assert_eq!(sample(&twin, "LTB:X").validity, Validity::Good);
    set(&twin, "LTB:HCOR_01:I:set", 6.0);
    set(&twin, "LTB:HCOR_02:I:set", 6.0);
    let reading = sample(&twin, "LTB:X");
    assert!(matches!(&reading.validity, Validity::Warning(why) if why.contains("the beam is lost at")), "{reading:?}");
    let entries = row(&twin, "LTB:X");
    assert!(entries[0].is_finite() && entries[5].is_nan(), "{entries:?}");
}

const WRONG: &str = r#"
[anomalies.loss]
kind = "beam_loss"
[anomalies.finger]
kind = "obstacle"
elements = "SCR_03"
size = "1 um"
[anomalies.dead]
kind = "monitor_dead"
family = "BPM"
"#;

#[test]
fn what_goes_wrong_in_a_line_leaves_nothing_behind() {
    let (_, twin) = line("demo_line", WRONG);
    set(&twin, "LTB:HCOR_01:I:set", 0.5);
    let sound: Vec<f64> = monitors().map(|channel| number(&twin, &channel)).collect();
    twin.start("finger", None).unwrap();
    let read: Vec<bool> =
        monitors().map(|channel| is_invalid(&sample(&twin, &channel), "the beam is lost at SCR_03, ")).collect();
    assert_eq!(read, [false, false, false, true, true, true]);
    assert_eq!((number(&twin, "LTB:ICT_01:Q"), number(&twin, "LTB:ICT_02:Q")), (0.5, 0.0));
    twin.stop("finger").unwrap();
    twin.start("loss", None).unwrap();
    assert!(monitors().all(|channel| is_invalid(&sample(&twin, &channel), "the beam is lost")));
    assert_eq!(number(&twin, "LTB:ICT_01:Q"), 0.0);
    twin.stop("loss").unwrap();
    twin.start("dead", Some("BPM_02".into())).unwrap();
    assert!(is_invalid(&sample(&twin, "LTB:BPM_02:X"), "does not answer"));
    twin.stop("dead").unwrap();
    pass(&twin, 5.0);
    assert_eq!(monitors().map(|channel| number(&twin, &channel)).collect::<Vec<f64>>(), sound);
}

#[test]
fn a_station_that_trips_takes_energy_from_the_beam_alone() {
    let wrong = "[injection]\nx = \"1 mm\"\n[anomalies.trip]\nkind = \"rf_trip\"\nelements = \"A2_03\"\n";
    let (line, twin) = line("demo_linac", wrong);
    let energies = twin.ring().energies();
    let end = |twin: &Twin| twin.ring().trajectory(&twin.entered().unwrap()).unwrap().last().unwrap()[4];
    assert!(end(&twin).abs() < 1e-14);
    let before = number(&twin, "LI:BPM_04:X");
    twin.start("trip", None).unwrap();
    assert_eq!(twin.ring().energies(), energies);
    let missing = 17.8125e6 / energies.last().unwrap();
    assert!((end(&twin) + missing).abs() < 1e-12, "{} and {missing}", end(&twin));
    assert!((number(&twin, "LI:BPM_04:X") - before).abs() > 1e-4);
    assert_eq!(line.lattice.elements.len(), twin.ring().len());
}

/// The same shot for everybody who looks, another one a period later, and the same again for the same seed.
#[test]
fn shots_are_those_of_the_seed() {
    let text = tables("demo_line", "twin.toml");
    let shots = || {
        let (_, twin) = line("demo_line", &text);
        (0..4)
            .map(|_| {
                pass(&twin, 1.0);
                let seen = [number(&twin, "LTB:BPM_03:X"), number(&twin, "LTB:ICT_02:Q")];
                assert_eq!(seen, [number(&twin, "LTB:BPM_03:X"), number(&twin, "LTB:ICT_02:Q")]);
                (seen.map(f64::to_bits), twin.entered().unwrap().map(f64::to_bits))
            })
            .collect::<Vec<_>>()
    };
    let (one, again) = (shots(), shots());
    assert_eq!(one, again);
    assert!(one.windows(2).all(|pair| pair[0] != pair[1]));
    // a shot taken by a write is another one, too
    let (_, twin) = line("demo_line", &text);
    let before = twin.entered();
    twin.trigger();
    assert_ne!(twin.entered(), before);
}

/// The widths of a table are those of what is drawn: machines over the seeds, and shots of one machine.
#[test]
fn offsets_and_jitter_are_as_wide_as_the_table_says() {
    const COUNT: usize = 2000;
    let table =
        "[injection]\nx = \"0.5 mm\"\ndelta = \"1e-3\"\n[injection.jitter]\npy = \"20 urad\"\ncharge = \"2 %\"\n";
    let line = facility("demo_line", Tables::twin(table));
    let rms = |values: &[f64]| (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt();
    let machines: Vec<[f64; 6]> = (0..COUNT as u64)
        .map(|seed| Twin::new(&line, TwinOptions { seed: Some(seed), ..TwinOptions::default() }).unwrap())
        .map(|twin| twin.truth().injection.offset)
        .collect();
    for (row, width) in [(0, 0.5e-3), (1, 0.0), (2, 0.0), (4, 1e-3)] {
        let found = rms(&machines.iter().map(|offset| offset[row]).collect::<Vec<f64>>());
        // three standard errors
        assert!((found - width).abs() <= width * 3.0 / (2.0 * COUNT as f64).sqrt(), "{row}: {found} and {width}");
    }
    let twin = Twin::new(&line, TwinOptions::default()).unwrap();
    let (mut slopes, mut charges) = (Vec::new(), Vec::new());
    for _ in 0..COUNT {
        pass(&twin, 0.1);
        slopes.push(twin.entered().unwrap()[3]);
        charges.push(number(&twin, "LTB:ICT_01:Q") / 0.5 - 1.0);
    }
    for (found, width) in [(rms(&slopes), 20e-6), (rms(&charges), 0.02)] {
        assert!((found - width).abs() <= width * 3.0 / (2.0 * COUNT as f64).sqrt(), "{found} and {width}");
    }
    assert!(twin.entered().unwrap()[2] == 0.0);
}

#[test]
fn exact_values_replace_what_is_drawn() {
    let table =
        "[injection]\nx = \"0.5 mm\"\npy = \"1 mrad\"\n[exact.injection]\nx = \"-0.3 mm\"\ncharge = \"-10 %\"\n";
    let (_, twin) = line("demo_line", table);
    let injection = twin.truth().injection;
    assert_eq!((injection.offset[0], injection.charge), (-0.3e-3, -0.1));
    assert!(injection.offset[3] != 0.0);
    assert!((number(&twin, "LTB:ICT_01:Q") - 0.45).abs() < 1e-12);
}
