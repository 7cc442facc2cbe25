//! What time does to the twin: supplies on their way, drifts, ripple, ground, the stored current.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{is_invalid, number, pass, row, sample, set};
use common::{Tables, facility};
use fodo_control::{Plant, Trainer};
use fodo_devices::{Facility, Quantities};
use fodo_twin::{Twin, TwinOptions};
use std::f64::consts::TAU;

fn ring(tables: &str) -> Facility {
    facility("demo_ring", Tables::twin(tables))
}

fn twin(tables: &str) -> Twin {
    Twin::new(&ring(tables), TwinOptions::default()).unwrap()
}

/// A supply that takes time is read back on its way, and the beam goes with it.
#[test]
fn a_readback_arrives_and_the_orbit_with_it() {
    let twin = twin("[supplies.HCOR]\nslew = \"0.1 mrad/s\"");
    let at_once = self::twin("");
    let still = row(&twin, "beam:orbit:x");
    let (setpoint, readback) = ("HCOR_001:Cm:set", "HCOR_001:Cm:rdbk");
    // 1 mrad is 1e-3 on the channel
    set(&twin, setpoint, 2e-4);
    assert_eq!(number(&twin, setpoint), 2e-4);
    assert_eq!(number(&twin, readback), 0.0);
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart(&row(&twin, "beam:orbit:x"), &still) < 1e-12);
    let stamp = sample(&twin, readback).time;
    pass(&twin, 0.5);
    assert!((number(&twin, readback) - 5e-5).abs() < 1e-15, "{}", number(&twin, readback));
    assert!(sample(&twin, readback).time > stamp, "a readback that moves has the time of now");
    set(&at_once, setpoint, 5e-5);
    assert!(apart(&row(&twin, "beam:orbit:x"), &row(&at_once, "beam:orbit:x")) < 1e-12);
    pass(&twin, 5.0);
    assert_eq!(number(&twin, readback), 2e-4);
    set(&at_once, setpoint, 2e-4);
    assert!(apart(&row(&twin, "beam:orbit:x"), &row(&at_once, "beam:orbit:x")) < 1e-12);
    let moved = apart(&row(&twin, "beam:orbit:x"), &still);
    assert!(moved > 1e-4, "{moved}");
}

#[test]
fn a_lag_is_exponential() {
    let twin = twin("[supplies.VCOR]\nlag = \"0.2 s\"");
    set(&twin, "VCOR_002:Cm:set", 1e-4);
    pass(&twin, 0.2);
    let wanted = 1e-4 * (1.0 - (-1.0_f64).exp());
    assert!((number(&twin, "VCOR_002:Cm:rdbk") - wanted).abs() < 1e-18);
    pass(&twin, 60.0);
    assert_eq!(number(&twin, "VCOR_002:Cm:rdbk"), 1e-4);
}

/// The readback of a drifting supply is its setpoint: what drifts is what the magnet gets.
#[test]
fn ripple_and_drift_move_the_beam_and_not_the_readback() {
    let ring = ring("period = \"0.01 s\"\n[supplies.HCOR]\nripple = \"10 urad\"\nripple_frequency = \"5 Hz\"");
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    let orbit = |twin: &Twin| row(twin, "beam:orbit:x")[3];
    let all: Vec<f64> = (0..40)
        .map(|_| {
            pass(&twin, 0.01);
            orbit(&twin)
        })
        .collect();
    // one line at 5 Hz: 20 samples are one period
    for start in 0..20 {
        assert!((all[start] - all[start + 20]).abs() < 1e-9, "{start}: {} {}", all[start], all[start + 20]);
    }
    let line = |turns: f64| {
        let sum = |of: fn(f64) -> f64| {
            all.iter().enumerate().map(|(n, x)| x * of(TAU * turns * n as f64 / 40.0)).sum::<f64>()
        };
        sum(f64::cos).hypot(sum(f64::sin)) / 20.0
    };
    assert!(
        line(2.0) > 1e-5 && line(1.0) < 1e-3 * line(2.0) && line(3.0) < 0.05 * line(2.0),
        "{} {}",
        line(2.0),
        line(3.0)
    );
    assert_eq!(number(&twin, "HCOR_001:Cm:rdbk"), 0.0);
}

/// After an hour the kicks have wandered by an rms of the table, and who looked on the way makes no difference.
#[test]
fn drift_is_the_same_whoever_looks() {
    const DRIFT: &str = "seed = 5\n[supplies.VCOR]\ndrift = \"1 urad\"";
    let ring = ring(DRIFT);
    let (often, once) = (twin(DRIFT), twin(DRIFT));
    for _ in 0..36 {
        pass(&often, 100.0);
        number(&often, "TUNEZR:rdH");
    }
    pass(&once, 3600.0);
    let kicks = |twin: &Twin| -> Vec<f64> {
        let is = |device: &&std::sync::Arc<fodo_devices::Device>| {
            device.fields.iter().any(|field| field.model == Some(Quantities::KickY))
        };
        let devices = ring.families.iter().flat_map(|family| &family.devices).filter(is);
        let elements = twin.ring();
        devices.map(|device| elements.element(device.elements[0]).kick[1]).collect()
    };
    assert_eq!(kicks(&often), kicks(&once));
    let rms = (kicks(&once).iter().map(|k| k * k).sum::<f64>() / 16.0).sqrt();
    assert!(rms > 0.5e-6 && rms < 1.6e-6, "{rms}");
    let another = Twin::new(&ring, TwinOptions { seed: Some(6), ..TwinOptions::default() }).unwrap();
    pass(&another, 3600.0);
    assert_ne!(kicks(&another), kicks(&once));
}

/// Two points have moved against each other by sqrt(A T L (1 - L/C)).
#[test]
fn ground_moves_by_the_atl_law() {
    const GROUND: &str = "[ground.site]\nelements = [\"QF_*\", \"QD_*\"]\ndiffusion_y = \"1e-15 m/s\"";
    let ring = ring(GROUND);
    let length = *ring.positions.last().unwrap();
    let quadrupoles: Vec<usize> =
        (0..ring.lattice.elements.len()).filter(|&at| ring.lattice.elements[at].name.starts_with('Q')).collect();
    let mut measured = [(0.0, 0_u32); 3];
    let seconds = 7200.0;
    for seed in 0..200 {
        let twin = Twin::new(&ring, TwinOptions { seed: Some(seed), ..TwinOptions::default() }).unwrap();
        pass(&twin, seconds);
        let stands = twin.ring();
        // a displaced element has its displacement in the coordinates of its entrance
        let dy: Vec<f64> = quadrupoles
            .iter()
            .map(|&at| {
                stands.element(at).alignment.as_ref().and_then(|alignment| alignment.t1).map_or(0.0, |t1| -t1[2])
            })
            .collect();
        for (bin, apart) in [2, 6, 16].into_iter().enumerate() {
            for first in 0..quadrupoles.len() {
                let second = (first + apart) % quadrupoles.len();
                measured[bin].0 += (dy[first] - dy[second]).powi(2);
                measured[bin].1 += 1;
            }
        }
    }
    for (bin, apart) in [2_usize, 6, 16].into_iter().enumerate() {
        let between = length * apart as f64 / quadrupoles.len() as f64;
        let wanted = (1e-15 * seconds * between * (1.0 - between / length)).sqrt();
        let found = (measured[bin].0 / f64::from(measured[bin].1)).sqrt();
        eprintln!("{between:6.2} m: {:.3} um rms, {:.3} um by the law", 1e6 * found, 1e6 * wanted);
        assert!((found / wanted - 1.0).abs() < 0.05, "{between} m: {found} instead of {wanted}");
    }
}

#[test]
fn a_wave_shakes_the_ring() {
    let twin = twin(
        "period = \"0.01 s\"\n[vibration.pump]\nelements = \"Q*\"\namplitude_y = \"1 um\"\nfrequency = \"10 Hz\"\nvelocity = \"300 m/s\"",
    );
    let heights: Vec<f64> = (0..20)
        .map(|_| {
            pass(&twin, 0.01);
            row(&twin, "beam:orbit:y")[33]
        })
        .collect();
    for n in 0..10 {
        assert!((heights[n] - heights[n + 10]).abs() < 1e-10, "a period is ten shots");
    }
    let most = heights.iter().copied().fold(f64::MIN, f64::max) - heights.iter().copied().fold(f64::MAX, f64::min);
    assert!(most > 1e-6 && most < 1e-3, "{most}");
}

const STORED: &str = "[beam]\ncurrent = \"200 mA\"\nmomentum_acceptance = \"2 %\"\ncoupling = \"1 %\"\naperture_y = \"10 mm\"\n\
                      [beam.gas]\npressure = \"1e-9 mbar\"\nH2 = 0.8\nCO = 0.2\n";

fn with_lifetime(tables: &str) -> Twin {
    let path = common::folder("demo_ring").join("families.toml");
    let families = std::fs::read_to_string(path).unwrap()
        + "\n[LIFETIME]\nrole = \"lifetime\"\nlifetime = { unit = \"s\", hardware = \"h\", model = \"lifetime\", read = \"beam:lifetime\" }\n";
    let tables = Tables::twin(tables).with("families.toml", &families);
    Twin::new(&facility("demo_ring", tables), TwinOptions::default()).unwrap()
}

/// The current falls by the lifetime that is shown, and the vacuum and the bunches make it what it is.
#[test]
fn current_falls_with_the_lifetime_shown() {
    let twin = with_lifetime(STORED);
    assert_eq!(number(&twin, "beam:current"), 200.0);
    let lifetime = 3600.0 * number(&twin, "beam:lifetime");
    eprintln!("lifetime {:.2} h", lifetime / 3600.0);
    pass(&twin, 60.0);
    let slope = (200.0 - number(&twin, "beam:current")) / 60.0;
    assert!((200.0 / slope / lifetime - 1.0).abs() < 0.01, "{} {lifetime}", 200.0 / slope);
    let without_gas = with_lifetime(&STORED[..STORED.find("[beam.gas]").unwrap()]);
    assert!(3600.0 * number(&without_gas, "beam:lifetime") > lifetime);
    let worse = with_lifetime(&STORED.replace("1e-9", "1e-8"));
    let rate = |twin: &Twin| 1.0 / (3600.0 * number(twin, "beam:lifetime"));
    let touschek = rate(&without_gas);
    assert!(((rate(&worse) - touschek) / (1.0 / lifetime - touschek) - 10.0).abs() < 1e-6);
}

#[test]
fn a_lost_beam_stays_lost_without_top_up() {
    const LOSS: &str = "[anomalies.loss]\nkind = \"beam_loss\"\n";
    let stays = with_lifetime(&format!("{LOSS}{STORED}"));
    let filled = with_lifetime(&format!("{LOSS}{}", STORED.replace("coupling", "top_up_below = \"190 mA\"\ncoupling")));
    for twin in [&stays, &filled] {
        twin.start("loss", None).unwrap();
        assert_eq!(number(twin, "beam:current"), 0.0);
        assert!(is_invalid(&sample(twin, "TUNEZR:rdH"), "the beam is lost"));
        twin.stop("loss").unwrap();
        pass(twin, 1.0);
    }
    assert_eq!(number(&stays, "beam:current"), 0.0);
    assert!(is_invalid(&sample(&stays, "TUNEZR:rdH"), "no beam is stored"));
    assert_eq!(number(&filled, "beam:current"), 200.0);
    assert!(number(&filled, "TUNEZR:rdH") > 0.0);
}

#[test]
fn wrong_tables_of_time_say_what_is_wrong() {
    for (text, said) in [
        ("[supplies.HCOR]\nslew = \"1 mrad/s\"\nlag = \"1 s\"", "another way to arrive"),
        ("[supplies.HCOR]\nslew = \"-1 mrad/s\"", "must be above zero"),
        ("[supplies.HCOR]\nripple = \"1 urad\"", "`ripple_frequency` how often"),
        ("[supplies.HCOR]\ndrift = \"1 um\"", "um"),
        ("[ground.a]\nelements = \"Q*\"", "A of the ATL law"),
        ("[vibration.a]\nelements = \"Q*\"\nfrequency = \"7 Hz\"", "such as \"400 m/s\""),
        ("[beam]\ntop_up_below = \"300 mA\"", "below the current"),
        ("[beam.gas]\npressure = \"1e-9 mbar\"", "of what gas"),
        ("[beam.gas]\npressure = \"1e-9 mbar\"\nXy = 1.0", "formula"),
        ("[beam]\ncurent = \"200 mA\"", "curent"),
    ] {
        let error = match Twin::new(&ring(text), TwinOptions::default()) {
            Ok(_) => panic!("taken: {text}"),
            Err(error) => error.render(false),
        };
        assert!(error.contains(said) && error.contains("twin.toml:"), "{text}\n{error}\nwanted: {said}");
    }
}

/// A magnet that remembers: back at its setpoint it is not back in its field; after a cycle it is.
#[test]
fn iron_remembers_the_way_it_came() {
    let twin = twin("[supplies.QF]\nhysteresis = \"1e-3\"\n[supplies.QD]\nhysteresis = \"1e-3\"");
    for (magnet, other, towards) in [("QF_001", "QF_002", 1.0), ("QD_001", "QD_002", -1.0)] {
        let channel = format!("{magnet}:Cm:set");
        let setpoint = number(&twin, &channel);
        let tune = number(&twin, "TUNEZR:rdH");
        let moved = |twin: &Twin| (number(twin, "TUNEZR:rdH") / tune - 1.0).abs();
        // to a smaller field: on the branch it came down
        set(&twin, &channel, setpoint - towards * 0.01);
        assert!(moved(&twin) > 1e-5);
        // and up again
        set(&twin, &channel, setpoint);
        assert!(moved(&twin) > 1e-7 && moved(&twin) < 1e-3, "{}", moved(&twin));
        let infos = twin.channels();
        let (low, high) = infos.iter().find(|info| *info.channel == *channel).and_then(|info| info.limits).unwrap();
        let [large, small] = if towards > 0.0 { [high, low] } else { [low, high] };
        for to in [large, small, large, setpoint] {
            set(&twin, &channel, to);
        }
        assert!(moved(&twin) < 1e-12, "{}", moved(&twin));
        assert_eq!(number(&twin, &channel), setpoint);
        assert!(number(&twin, &format!("{other}:Cm:set")).abs() > 0.0);
    }
}
