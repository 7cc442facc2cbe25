//! A beam that is injected into a ring: its first turns, kickers and their timing, what is stored of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::plant::{is_invalid, number, pass, row, sample, set};
use common::{Tables, facility, folder};
use fodo_control::{Trainer, Validity};
use fodo_devices::Facility;
use fodo_lattice::Lattice;
use fodo_optics::Ring;
use fodo_optics::constants::SPEED_OF_LIGHT;
use fodo_twin::{Twin, TwinOptions};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// `demo_injection` with changes to its files (file, what stands there, what stands there instead), and these errors
/// beside those of `demo_ring`.
fn ring(changes: &[(&str, &str, &str)], errors: &str) -> Facility {
    let mut tables = Tables::twin(errors);
    for file in ["facility.toml", "families.toml", "lattice.toml"] {
        let mut text = std::fs::read_to_string(folder("demo_injection").join(file)).unwrap();
        for (_, from, to) in changes.iter().filter(|(of, ..)| *of == file) {
            assert!(text.contains(from), "{file} has no {from}");
            text = text.replace(from, to);
        }
        tables = tables.with(file, &text);
    }
    facility("demo_injection", tables)
}

/// All particles at the centre of the bunch.
const POINT: [(&str, &str, &str); 4] = [
    ("facility.toml", "emittance_x = \"20 nm\"", "emittance_x = \"0 nm\""),
    ("facility.toml", "emittance_y = \"5 nm\"", "emittance_y = \"0 nm\""),
    ("facility.toml", "energy_spread = \"0.03 %\"", "energy_spread = 0.0"),
    ("facility.toml", "bunch_length = \"5 mm\"", "bunch_length = \"0 mm\""),
];

/// Kickers that act for one revolution.
const FLAT: (&str, &str, &str) = ("families.toml", "pulse = \"1.54 us\", ", "");

/// It enters on the design orbit.
const ON_AXIS: [(&str, &str, &str); 2] =
    [("facility.toml", "x = \"20 mm\"", "x = \"0 mm\""), ("facility.toml", "px = \"4.0 mrad\"", "px = \"0 mrad\"")];

const EMPTY: &str = "[beam]\ncurrent = \"0 mA\"\n";

fn sound(facility: &Facility) -> Twin {
    Twin::new(facility, TwinOptions { perfect: true, ..TwinOptions::default() }).unwrap()
}

fn inject(twin: &Twin) -> f64 {
    set(twin, "inj:fire", 1.0);
    set(twin, "inj:fire", 0.0);
    pass(twin, 0.1);
    number(twin, "inj:efficiency") / 100.0
}

fn index(facility: &Facility, name: &str) -> usize {
    facility.lattice.index_of(name).unwrap()
}

fn revolution(facility: &Facility) -> f64 {
    facility.lattice.length() / SPEED_OF_LIGHT
}

/// Kicks of the four kickers, over that of the first, that close a bump over equal cells: two bumps of three kickers each,
/// 1 : -2 cos mu : 1 with the phase advance of a cell.
fn closed() -> [f64; 4] {
    let middle = 1.0 - 2.0 * (std::f64::consts::TAU * 3.44 / 16.0).cos();
    [1.0, middle, middle, 1.0]
}

/// The bump that the shipped tables are made for: every kicker at its largest when the shot comes by, three turns after the trigger.
fn set_bump(twin: &Twin, facility: &Facility) {
    let middle = 3.0 * revolution(facility);
    for (n, part) in closed().into_iter().enumerate() {
        set(twin, &format!("inj:K{}:kick", n + 1), 1.5 * part);
        let s = facility.positions[index(facility, &format!("COR_{:03}", n + 7))];
        set(twin, &format!("inj:K{}:delay", n + 1), 1e9 * (s / SPEED_OF_LIGHT + middle - 0.5 * 1.54e-6));
    }
    set(twin, "inj:delay", 1e9 * middle);
}

fn pyat(case: &Value) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = folder.join("../../.venv/bin/python");
    assert!(python.is_file(), "{} is missing: run ./test.sh, which installs it", python.display());
    let mut child = Command::new(python)
        .arg(folder.join("tests/live_injection.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(case.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "live_injection.py failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Into an empty ring with all its errors: monitors see turn by turn what pyAT tracks, kicked by the same pulses.
#[test]
fn first_turns_are_those_of_pyat() {
    const TURNS: usize = 12;
    let facility = ring(&POINT, &format!("{EMPTY}[injection]\nx = \"0.3 mm\"\npy = \"0.2 mrad\"\ndelta = \"1e-3\"\n"));
    let twin = Twin::new(&facility, TwinOptions { seed: Some(4), ..TwinOptions::default() }).unwrap();
    set_bump(&twin, &facility);
    set(&twin, "inj:septum:angle", 0.3);
    // a little beside the bucket
    let late = 3.0 * revolution(&facility) + 0.1e-9;
    set(&twin, "inj:delay", 1e9 * late);
    inject(&twin);
    let (machine, offset) = (twin.ring(), twin.truth().injection.offset);
    let frequency = machine.rf_frequency().unwrap();
    let beside = SPEED_OF_LIGHT * (late - (late * frequency).round() / frequency);
    let start = [20e-3 + offset[0], 4.3e-3 + offset[1], offset[2], offset[3], offset[4], offset[5] + beside];
    let kicker = |n: usize| {
        let kick = 1e-3 * number(&twin, &format!("inj:K{n}:kick"));
        let delay = 1e-9 * number(&twin, &format!("inj:K{n}:delay"));
        json!([index(&facility, &format!("COR_{:03}", n + 6)), kick, 1.54e-6, delay])
    };
    let lattice = Lattice { elements: machine.elements().to_vec(), ..facility.lattice.as_ref().clone() };
    let file = std::env::temp_dir().join(format!("fodo-injection-{}.json", std::process::id()));
    std::fs::write(&file, fodo_lattice::formats::at_json::write(&lattice)).unwrap();
    let monitors: Vec<usize> = (1..=16).map(|n| index(&facility, &format!("BPM_{n:03}"))).collect();
    let case = json!({
        "lattice": file, "from": index(&facility, "SEPTUM_001") + 1, "start": start, "late": late,
        "kickers": (1..=4).map(kicker).collect::<Vec<Value>>(), "monitors": monitors, "turns": TURNS,
    });
    let theirs = pyat(&case);
    std::fs::remove_file(&file).unwrap();
    let (mut worst, mut largest, mut compared) = (0.0_f64, 0.0_f64, 0);
    for n in 0..16 {
        for (plane, name) in ["x", "y"].into_iter().enumerate() {
            let row = row(&twin, &format!("beam:turns:{}:{name}", n + 1));
            assert!(row[..3].iter().all(|x| x.is_nan()), "nothing is there before it comes");
            for turn in 0..TURNS {
                let Some(wanted) = theirs["seen"][turn][n][plane].as_f64() else {
                    assert!(turn == 0 && row[3].is_nan(), "it enters behind monitor {n}");
                    continue;
                };
                worst = worst.max((row[turn + 3] - wanted).abs());
                largest = largest.max(wanted.abs());
                compared += 1;
            }
        }
    }
    eprintln!("{compared} positions of up to {:.1} mm: {worst:.1e} m apart, limit 1e-12", 1e3 * largest);
    assert!(worst < 1e-12 && largest > 5e-3 && compared > 300, "{worst:e} {largest:e} {compared}");
}

/// The largest amplitude of the stored beam about its orbit, over the turns after the kicks.
fn amplitude(twin: &Twin, monitor: usize) -> f64 {
    let x = row(twin, &format!("beam:turns:{monitor}:x"));
    let after = &x[1..];
    let middle = after.iter().sum::<f64>() / after.len() as f64;
    after.iter().map(|x| (x - middle).abs()).fold(0.0, f64::max)
}

/// Kicks with which a ring takes the axis to the axis, by Newton's method on the last two.
fn closing(machine: &Ring, elements: [usize; 4], first: f64) -> [f64; 4] {
    let mut kicks = closed().map(|part| first * part);
    let leaves = |kicks: &[f64; 4]| {
        let mut kicked = machine.clone();
        elements.iter().zip(kicks).for_each(|(element, kick)| kicked.set_kick(*element, *kick, 0.0));
        let end = kicked.trajectory(&[0.0; 6]).unwrap()[elements[3] + 1];
        [end[0], end[1]]
    };
    for _ in 0..8 {
        let [x, px] = leaves(&kicks);
        let step = 1e-7;
        let slopes = [2, 3].map(|at| {
            let (mut up, mut down) = (kicks, kicks);
            up[at] += step;
            down[at] -= step;
            let (up, down) = (leaves(&up), leaves(&down));
            [0, 1].map(|row| (up[row] - down[row]) / (2.0 * step))
        });
        let determinant = slopes[0][0] * slopes[1][1] - slopes[1][0] * slopes[0][1];
        kicks[2] -= (slopes[1][1] * x - slopes[1][0] * px) / determinant;
        kicks[3] -= (slopes[0][0] * px - slopes[0][1] * x) / determinant;
    }
    kicks
}

/// Four kicks that close leave the stored beam where it was; one alone gives sqrt(beta beta) times the kick.
#[test]
fn a_closed_bump_leaves_the_stored_beam_alone() {
    // without a cavity: the bump is a longer way, and the beam would swing in energy
    let facility = ring(&[FLAT], "physics = { cavity = false }\n");
    let twin = sound(&facility);
    let machine = twin.ring();
    let kicks = closing(&machine, [7, 8, 9, 10].map(|n| index(&facility, &format!("COR_{n:03}"))), 1e-3);
    for (n, kick) in kicks.iter().enumerate() {
        set(&twin, &format!("inj:K{}:kick", n + 1), 1e3 * kick);
    }
    set(&twin, "beam:fire", 1.0);
    pass(&twin, 0.1);
    let inside = row(&twin, "beam:turns:9:x")[0];
    let left = (1..=16).map(|n| amplitude(&twin, n)).fold(0.0, f64::max);
    eprintln!("a bump of {:.2} mm, afterwards {left:.1e} m of oscillation", 1e3 * inside);
    assert!(inside > 5e-3 && left < 1e-9, "{inside} {left}");
    set(&twin, "inj:K1:kick", 0.05);
    (2..=4).for_each(|n| set(&twin, &format!("inj:K{n}:kick"), 0.0));
    set(&twin, "beam:fire", 0.0);
    set(&twin, "beam:fire", 1.0);
    pass(&twin, 0.1);
    let optics = machine.optics().unwrap();
    let beta = |n: usize, what: &str| optics.beta_x[index(&facility, &format!("{what}_{n:03}"))];
    // in the middle of the kicker
    let kicker = 0.5 * (beta(7, "COR") + optics.beta_x[index(&facility, "COR_007") + 1]);
    for n in 1..=16 {
        let (found, wanted) = (amplitude(&twin, n), 5e-5 * (kicker * beta(n, "BPM")).sqrt());
        // largest of 511 turns and not of all phases; kicks of a sextupole at 0.3 mm
        assert!((found / wanted - 1.0).abs() < 0.01, "monitor {n}: {found} {wanted}");
    }
}

/// The error function (W. J. Cody's values to 1.2e-7: Numerical Recipes, erfcc).
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let of = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let tail = t * (of.iter().rev().fold(0.0, |sum, next| sum * t + next) - x * x).exp();
    if x >= 0.0 { 1.0 - tail } else { tail - 1.0 }
}

/// A wrong angle of the septum: what is left is the part of a Gaussian bunch within the one narrow place.
#[test]
fn efficiency_falls_with_the_angle_of_the_septum() {
    const EDGE: f64 = 4e-3;
    let narrow = ("lattice.toml", "aperture = [-0.024, 0.016", "aperture = [-0.004, 0.004");
    let short = ("facility.toml", "turns = 1024", "turns = 2");
    // as many turns as monitors keep are followed
    let kept = ("families.toml", "[TURNS]", "[TURNS]\nx = { turns = 2 }\ny = { turns = 2 }");
    let keep = ("families.toml", "turns = 512", "turns = 2");
    let facility = ring(&[ON_AXIS.as_slice(), &[narrow, short, keep, kept]].concat(), EMPTY);
    let twin = sound(&facility);
    let septum = index(&facility, "SEPTUM_001");
    let open = ring(&ON_AXIS, EMPTY);
    let machine = Ring::new(&open.lattice, twin.effects());
    let optics = machine.optics().unwrap();
    let (beta, dispersion) = (optics.beta_x[septum], optics.dispersion[septum][0]);
    let sigma = (20e-9 * beta + (dispersion * 3e-4).powi(2)).sqrt();
    for angle in [0.0_f64, 0.5, 1.0, 1.5, 2.0, 3.0] {
        set(&twin, "inj:septum:angle", angle);
        let found = (0..12).map(|_| inject(&twin)).sum::<f64>() / 12.0;
        let mut centre = [[0.0, 1e-3 * angle, 0.0, 0.0, 0.0, 0.0]];
        machine.track_section(&mut centre, septum + 1..machine.len(), 0);
        machine.track_section(&mut centre, 0..septum, 1);
        let within = |edge: f64| 0.5 * (1.0 + erf((edge - centre[0][0]) / (2.0_f64.sqrt() * sigma)));
        let wanted = within(EDGE) - within(-EDGE);
        eprintln!("{angle} mrad: centre {:.2} mm, {found:.3} left, {wanted:.3} by the formula", 1e3 * centre[0][0]);
        // 3072 particles: 0.9 % at one half, three times that
        assert!((found - wanted).abs() < 0.027, "{angle}: {found} {wanted}");
    }
}

/// On axis by one kicker that acts for one revolution: in time, or a turn too late.
#[test]
fn a_kicker_that_fires_a_turn_late_misses() {
    let facility = ring(&[ON_AXIS.as_slice(), &[FLAT]].concat(), EMPTY);
    let twin = sound(&facility);
    let septum = index(&facility, "SEPTUM_001");
    let kicker = index(&facility, "COR_009");
    // an angle at the septum that becomes a slope of -4 mrad on the axis at the kicker cannot be had alone: move it in, too
    let machine = Ring::new(&facility.lattice, twin.effects());
    let end = |x: f64, px: f64| {
        let mut there = [[x, px, 0.0, 0.0, 0.0, 0.0]];
        machine.track_section(&mut there, septum + 1..kicker, 0);
        machine.track_section(&mut there, kicker..kicker + 1, 0);
        [there[0][0], there[0][1]]
    };
    let [[xx, px], [xp, pp]] = [end(1e-6, 0.0), end(0.0, 1e-6)].map(|end| end.map(|u| 1e6 * u));
    // on the axis in the middle of the kicker, with a slope of -4 mrad
    let half = 0.5 * facility.lattice.elements[kicker].length;
    let (x, slope) = (-4e-3 * half, -4e-3);
    let determinant = xx * pp - xp * px;
    let start = [(pp * x - xp * slope) / determinant, (xx * slope - px * x) / determinant];
    let moved = [
        ("facility.toml", "x = \"20 mm\"".to_string(), format!("x = \"{} m\"", start[0])),
        ("facility.toml", "px = \"4.0 mrad\"".to_string(), format!("px = \"{} rad\"", start[1])),
    ];
    let moved: Vec<(&str, &str, &str)> =
        moved.iter().map(|(file, from, to)| (*file, from.as_str(), to.as_str())).collect();
    let facility = ring(&[moved.as_slice(), &[FLAT]].concat(), EMPTY);
    let twin = sound(&facility);
    set(&twin, "inj:K3:kick", 4.0);
    let in_time = inject(&twin);
    let positions = row(&twin, "beam:turns:12:x");
    let largest = positions.iter().skip(1).fold(0.0_f64, |most, x| most.max(x.abs()));
    set(&twin, "inj:K3:delay", 1e9 * revolution(&facility));
    let late = inject(&twin);
    let charge = row(&twin, "beam:turns:12:charge");
    eprintln!("in time {in_time:.3} left, then within {:.2} mm; a turn late {late:.3}", 1e3 * largest);
    assert!(in_time == 1.0 && largest < 0.5e-3 && late == 0.0, "{in_time} {largest} {late}");
    assert!(charge[1..].iter().all(|charge| *charge == 0.0));
}

/// Current comes by shots: as much as is left of each; the orbit is there with it.
#[test]
fn current_is_accumulated() {
    let facility = ring(&[], &format!("{EMPTY}[injection]\nx = \"0.1 mm\"\n[injection.jitter]\ncharge = \"10 %\"\n"));
    let twin = Twin::new(&facility, TwinOptions::default()).unwrap();
    set_bump(&twin, &facility);
    assert_eq!(number(&twin, "beam:current"), 0.0);
    assert!(is_invalid(&sample(&twin, "inj:efficiency"), "nothing was injected yet"));
    assert!(
        matches!(&sample(&twin, "beam:orbit:x").validity, Validity::Invalid(why) if why.contains("no beam is stored"))
    );
    let mut before = 0.0;
    let mut steps = Vec::new();
    for shot in 0..5 {
        let left = inject(&twin);
        let current = number(&twin, "beam:current");
        let most = 1e3 * 0.5e-9 / revolution(&facility);
        let step = (current - before) / most;
        eprintln!("shot {shot}: {:.3} left, {current:.3} mA", left);
        // charge within 4 sigma of its jitter; nothing decays in tenths of seconds
        assert!(left > 0.9 && (step / left - 1.0).abs() < 0.4, "{left} {step}");
        steps.push(step / left);
        before = current;
    }
    assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "every shot has its own charge");
    assert!(matches!(sample(&twin, "beam:orbit:x").validity, Validity::Good));
    // the first pass of the next shot beside what is stored: as much more, where it has entered already
    let rows = [8, 9].map(|n| row(&twin, &format!("beam:turns:{n}:charge")));
    assert!(rows[1][3] > rows[0][3] + 0.3 && (rows[1][2] - rows[0][2]).abs() < 1e-9, "{:?}", [rows[0][3], rows[1][3]]);
}

/// The stored beam of many particles in a bump that does not close, a kicker that does not fire or fires late.
#[test]
fn kickers_that_misfire_cost_beam() {
    let errors = "[beam]\ncurrent = \"5 mA\"\n[turns]\nparticles = 64\n\
        [anomalies.misfire]\nkind = \"kicker_misfire\"\nfamily = \"INJ_KICKER\"\n\
        [anomalies.late]\nkind = \"kicker_late\"\nfamily = \"INJ_KICKER\"\nsize = \"600 ns\"\n";
    let facility = ring(&[], errors);
    let twin = sound(&facility);
    set_bump(&twin, &facility);
    let shot = |wrong: Option<(&str, &str)>| {
        if let Some((name, device)) = wrong {
            twin.start(name, Some(device.into())).unwrap();
        }
        let before = number(&twin, "beam:current");
        let left = inject(&twin);
        let gained = (number(&twin, "beam:current") - before) / (1e3 * 0.5e-9 / revolution(&facility));
        if let Some((name, _)) = wrong {
            twin.stop(name).unwrap();
        }
        (left, gained)
    };
    let well = shot(None);
    let misfire = shot(Some(("misfire", "K1")));
    let late = shot(Some(("late", "K4")));
    let again = shot(None);
    for (what, (left, gained)) in [("well", well), ("misfire", misfire), ("late", late), ("again", again)] {
        eprintln!("{what:8} {left:.3} of the shot is left, the current changes by {gained:.3} of it");
    }
    assert!(well.0 > 0.95 && (well.1 - well.0).abs() < 0.01 && again.0 > 0.95);
    assert!(misfire.0 < 0.5 && misfire.1 <= misfire.0 + 1e-3, "{misfire:?}");
    assert!(late.0 < 0.5 && late.1 <= late.0 + 1e-3, "{late:?}");
    // its supply is well: what it is set to and what it reads stay
    assert_eq!(number(&twin, "inj:K1:kick"), 1.5);
}

/// One kicker alone takes the stored beam to the blade: the current falls as the charge that monitors see.
#[test]
fn a_bump_that_is_not_closed_costs_stored_beam() {
    let facility = ring(&[FLAT], "[beam]\ncurrent = \"5 mA\"\n[turns]\nparticles = 64\n");
    let twin = sound(&facility);
    // 15.5 mm at the blade, which stands at 16 mm; the beam has 1 mm
    set(&twin, "inj:K1:kick", 2.3);
    let before = number(&twin, "beam:current");
    set(&twin, "beam:fire", 1.0);
    let left = number(&twin, "beam:current") / before;
    pass(&twin, 0.1);
    let charge = row(&twin, "beam:turns:1:charge");
    let seen = charge[511] / charge[0];
    eprintln!("one kicker at the stored beam: {left:.3} of the current is left, {seen:.3} of the charge");
    assert!((0.05..0.95).contains(&left) && (left - seen).abs() < 1e-12, "{left} {seen}");
}

/// A ring without a closed orbit, and one with something in the chamber: how far the beam comes.
#[test]
fn first_beam_where_none_can_be_stored() {
    let displaced = ring(&POINT, &format!("{EMPTY}[exact.QF.QF_013]\ndx = \"70 mm\"\n"));
    let twin = Twin::new(&displaced, TwinOptions::default()).unwrap();
    let obstacle = "[anomalies.wall]\nkind = \"obstacle\"\nelements = \"B_027\"\nsize = \"10 um\"\n";
    let blocked = ring(&POINT, &format!("{EMPTY}{obstacle}"));
    let wall = Twin::new(&blocked, TwinOptions::default()).unwrap();
    wall.start("wall", None).unwrap();
    for (what, twin, facility) in [("no orbit", &twin, &displaced), ("obstacle", &wall, &blocked)] {
        set_bump(twin, facility);
        assert_eq!(inject(twin), 0.0, "{what}");
        assert_eq!(number(twin, "beam:current"), 0.0);
        let first: Vec<f64> = (1..=16).map(|n| row(twin, &format!("beam:turns:{n}:charge"))[3]).collect();
        let comes = first.iter().rposition(|charge| *charge > 0.0).unwrap() + 1;
        let positions = row(twin, &format!("beam:turns:{comes}:x"));
        eprintln!("{what}: the beam comes to monitor {comes}: {:.2} mm", 1e3 * positions[3]);
        assert!((9..16).contains(&comes) && first[8..comes].iter().all(|charge| (charge - 0.5).abs() < 1e-12));
        assert!(positions[3].is_finite() && row(twin, "beam:turns:16:x")[3].is_nan());
    }
    let why = sample(&twin, "beam:orbit:x").validity;
    assert!(matches!(&why, Validity::Invalid(_)), "{why:?}");
}

/// The same seed gives the same bits; another one another beam.
#[test]
fn shots_are_those_of_the_seed() {
    let errors = std::fs::read_to_string(folder("demo_injection").join("twin.toml")).unwrap();
    let facility = ring(&[], &errors);
    let shots = |seed: u64| {
        let twin = Twin::new(&facility, TwinOptions { seed: Some(seed), ..TwinOptions::default() }).unwrap();
        set_bump(&twin, &facility);
        let left: Vec<f64> = (0..3).map(|_| inject(&twin)).collect();
        (left, row(&twin, "beam:turns:3:x"), row(&twin, "beam:turns:3:charge"), number(&twin, "beam:current"))
    };
    let (one, same, other) = (shots(1), shots(1), shots(2));
    eprintln!("shots of two seeds: {:?} and {:?} are left", one.0, other.0);
    assert_eq!(one, same);
    assert!(one.1 != other.1 && one.3 != other.3);
}

#[test]
fn mistakes_in_the_tables_are_named() {
    let facility_toml = |from: &str, to: &str| ("facility.toml", from.to_string(), to.to_string());
    let families_toml = |from: &str, to: &str| ("families.toml", from.to_string(), to.to_string());
    for ((file, from, to), said) in [
        (facility_toml("SEPTUM_001", "SEPTUM_01"), "did you mean `SEPTUM_001`"),
        (facility_toml("charge = \"0.5 nC\"", ""), "of a shot is missing"),
        (facility_toml("turns = 1024", "turns = 0"), "must be a whole number"),
        (facility_toml("beta_x = \"6.9 m\"", ""), "`beta_x` is missing"),
        (facility_toml("turns = 1024", "tuns = 1024"), "did you mean `turns`"),
        (families_toml("model = \"septum_x\"", "model = \"septum_x\", pulse = \"1 us\""), "is that of a kicker"),
        (families_toml("pulse = \"1.54 us\"", "pulse = \"0 us\""), "must be longer than nothing"),
        (families_toml("model = \"septum_x\"", "model = \"septum\""), "`septum` is nothing the model knows"),
    ] {
        let mut tables = Tables::default();
        for name in ["facility.toml", "families.toml"] {
            let text = std::fs::read_to_string(folder("demo_injection").join(name)).unwrap();
            assert!(name != file || text.contains(&from), "{from}");
            tables = tables.with(name, &if name == file { text.replacen(&from, &to, 1) } else { text });
        }
        let error = match common::load("demo_injection", tables) {
            Ok(_) => panic!("taken: {to}"),
            Err(error) => error.render(false),
        };
        assert!(error.contains(said) && error.contains(file), "{to}\n{error}\nwanted: {said}");
    }
}
