//! What the tables of `twin.toml` do: to the machine, to each other's draws, and when they are wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Tables, facility, folder};
use fodo_control::{Plant, Value as Held, Write};
use fodo_devices::{Facility, Quantities};
use fodo_lattice::Body;
use fodo_optics::{Ring, modes};
use fodo_twin::{Truth, Twin, TwinOptions};

fn twin(tables: &str) -> Twin {
    Twin::new(&facility("demo_ring", Tables::twin(tables)), TwinOptions::default()).unwrap()
}

/// Changes text of the facility's families.
fn families(edits: &[(&str, &str)], more: &str) -> String {
    let mut text = std::fs::read_to_string(folder("demo_ring").join("families.toml")).unwrap();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text + more
}

fn set(twin: &Twin, channel: &str, value: f64) {
    twin.apply(&[Write { channel: channel.into(), value: Held::Number(value) }]).unwrap_or_else(|e| panic!("{e:?}"));
}

fn get(twin: &Twin, channel: &str) -> f64 {
    twin.sample(&[channel.into()]).remove(0).unwrap().value.number().unwrap()
}

fn index(facility: &Facility, name: &str) -> usize {
    facility.lattice.index_of(name).unwrap()
}

// ---- the element as a sum ------------------------------------------------------------------------------------------

const TRIM: &str = r#"
[TRIM]
role = "quadrupole trim"
elements = "QF_*"
k1 = { unit = "1/m^2", model = "k1", set = "{element}:trim", limits = ["-0.1 1/m^2", "0.1 1/m^2"] }

[QSKEW]
role = "skew quadrupole"
elements = "QF_*"
k1s = { unit = "1/m^2", model = "k1s", set = "{element}:skew", limits = ["-0.1 1/m^2", "0.1 1/m^2"] }

[QFH]
role = "steering winding"
elements = "QF_*"
kick = { unit = "rad", model = "kick_x", set = "{element}:kick", limits = ["-1 mrad", "1 mrad"] }
"#;

#[test]
fn windings_of_one_element_add_up() {
    let tables = Tables::twin("").with("families.toml", &families(&[], TRIM));
    let ring = facility("demo_ring", tables);
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    let design = 1.2580503144087112;
    let at = index(&ring, "QF_003");
    let field = || twin.ring().element(at).field().unwrap().clone();
    // the main winding holds what the lattice has, the trim nothing
    assert_eq!(get(&twin, "QF_003:trim"), 0.0);
    assert!((get(&twin, "QF_003:Cm:set") - 0.4 * design).abs() < 1e-15);
    set(&twin, "QF_003:trim", 0.01);
    assert!((field().upright(1) - (design + 0.01)).abs() < 1e-15);
    set(&twin, "QF_003:Cm:set", 0.5);
    set(&twin, "QF_003:skew", 0.002);
    set(&twin, "QF_003:kick", 1e-4);
    assert!((field().upright(1) - 1.26).abs() < 1e-15, "{:?}", field());
    assert_eq!(field().skew(1), 0.002);
    assert_eq!(twin.ring().element(at).kick, [1e-4, 0.0]);
    set(&twin, "QF_003:trim", 0.0);
    set(&twin, "QF_003:skew", 0.0);
    assert_eq!((field().upright(1), field().skew(1)), (0.5 * 2.5, 0.0));
}

#[test]
fn a_rolled_winding_turns_its_field_and_a_wrong_one_its_sign() {
    let exact = "[exact.HCOR.HCOR_002.kick]\ngain = 1.1\noffset = \"2 urad\"\nroll = \"0.1 rad\"\npolarity = -1\n\
                 [exact.VCOR.VCOR_002.kick]\nroll = \"0.1 rad\"\n[exact.QF.QF_001.k1]\nroll = \"0.1 rad\"\n";
    let ring = facility("demo_ring", Tables::twin(exact));
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    set(&twin, "HCOR_002:Cm:set", 1e-4);
    set(&twin, "VCOR_002:Cm:set", 5e-5);
    let [x, y] = twin.ring().element(index(&ring, "COR_002")).kick;
    let horizontal = -1.1e-4 + 2e-6;
    let (sine, cosine) = 0.1_f64.sin_cos();
    assert!((x - (horizontal * cosine - 5e-5 * sine)).abs() < 1e-19, "{x}");
    assert!((y - (horizontal * sine + 5e-5 * cosine)).abs() < 1e-19, "{y}");
    // a quadrupole field turned by 0.1 rad is one turned by 0.2 rad in its phase, as that of a rolled magnet
    let field = twin.ring().element(index(&ring, "QF_001")).field().unwrap().clone();
    let k1 = 1.2580503144087112;
    assert!((field.upright(1) - k1 * 0.2_f64.cos()).abs() < 1e-15);
    assert!((field.skew(1) + k1 * 0.2_f64.sin()).abs() < 1e-15);
    // as the quadrupole rolled as a whole
    let matrix = |exact: &str| {
        let quiet = self::twin(exact).ring().with_effects(fodo_optics::Effects::NONE);
        quiet.one_turn_matrix(&[0.0; 6]).unwrap()
    };
    let winding = matrix("[exact.QF.QF_001.k1]\nroll = \"0.1 rad\"\n");
    let apart = (winding - matrix("[exact.elements.QF_001]\nroll = \"0.1 rad\"\n")).abs();
    assert!(apart.fixed_view::<4, 4>(0, 0).max() < 1e-12, "{apart}");
    assert!((winding - matrix("")).abs().max() > 0.1);
}

#[test]
fn what_the_lattice_says_of_a_place_is_kept() {
    let mut lattice = std::fs::read_to_string(folder("demo_ring").join("lattice.toml")).unwrap();
    let plain = "QF   = { type = \"quadrupole\", length = 0.4, k1 = 1.2580503144087112 }";
    assert!(lattice.contains(plain));
    lattice = lattice.replace(plain, &plain.replace(" }", ", misalignment = [0.001, 0.0, 0.01] }"));
    let tables = |twin: &str| Tables::twin(twin).with("lattice.toml", &lattice);
    let with = |text: &str| {
        let ring = facility("demo_ring", tables(text));
        let element = Twin::new(&ring, TwinOptions::default()).unwrap().ring().element(index(&ring, "QF_001")).clone();
        *element.alignment.unwrap()
    };
    let kept = with("");
    assert_eq!(kept.t1.unwrap()[0], -1e-3);
    // moved by 2 mm in the frame of the beam, then what the lattice has
    let moved = with("[exact.elements.QF_001]\ndx = \"2 mm\"\n");
    assert!((moved.t1.unwrap()[0] + 3e-3).abs() < 1e-15 && (moved.t2.unwrap()[0] - 3e-3).abs() < 1e-15, "{moved:?}");
    assert_eq!((moved.r1, moved.r2), (kept.r1, kept.r2));
    // rolls add up, and the shift of the lattice is in the rolled frame
    let rolled = with("[exact.elements.QF_001]\nroll = \"10 mrad\"\n");
    assert!((rolled.r1.unwrap()[0][2] - 0.02_f64.sin()).abs() < 1e-15, "{rolled:?}");
    let shift = rolled.t1.unwrap();
    assert!(
        (shift[0] + 1e-3 * 0.01_f64.cos()).abs() < 1e-15 && (shift[2] + 1e-3 * 0.01_f64.sin()).abs() < 1e-15,
        "{shift:?}"
    );
}

#[test]
fn cavities_keep_their_errors_when_the_rf_is_set() {
    let ring = facility(
        "demo_ring",
        Tables::twin("[exact.elements.RF_001]\nfrequency = \"100 Hz\"\nvoltage = \"-10 %\"\nphase = \"20 mrad\"\n"),
    );
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    let cavity = || match &twin.ring().element(0).body {
        Body::Cavity(cavity) => (cavity.frequency, cavity.voltage, cavity.phase_lag),
        other => panic!("{other:?}"),
    };
    let (frequency, voltage, phase) = cavity();
    assert!((frequency - 351319386.71874994).abs() < 1e-6 && (voltage - 270e3).abs() < 1e-9 && phase == 0.02);
    for _ in 0..3 {
        set(&twin, "master_clock:freq", 351_320.0);
        let (frequency, voltage, phase) = cavity();
        assert!((frequency - 351_320_100.0).abs() < 1e-6 && (voltage - 270e3).abs() < 1e-9 && phase == 0.02);
    }
}

#[test]
fn multipoles_are_parts_of_the_main_field_at_the_radius() {
    let table = "[fields.q]\nelements = \"QF_*\"\nradius = \"10 mm\"\nb3 = [5.0, 0.0]\na4 = 2.0\n\
                 [fields.b]\nelements = \"B_*\"\nradius = \"20 mm\"\nb1 = [10.0, 0.0]\nb3 = [3.0, 0.0]\n";
    let ring = facility("demo_ring", Tables::twin(table));
    let twin = Twin::new(&ring, TwinOptions::default()).unwrap();
    let field = |name: &str| twin.ring().element(index(&ring, name)).field().unwrap().clone();
    let k1 = 1.2580503144087112;
    let near = |value: f64, wanted: f64| assert!((value / wanted - 1.0).abs() < 1e-14, "{value} and {wanted}");
    near(field("QF_001").upright(2), 5e-4 * k1 / 0.01);
    near(field("QF_001").skew(3), 2e-4 * k1 / 0.01 / 0.01);
    let h = 0.19634954084936207;
    near(field("B_001").upright(0), 1e-3 * h);
    near(field("B_001").upright(2), 3e-4 * h / 0.02 / 0.02);
    // they follow the magnet
    set(&twin, "QF_001:Cm:set", 0.48);
    near(field("QF_001").upright(2), 5e-4 * 1.2 / 0.01);
}

// ---- girders -------------------------------------------------------------------------------------------------------

/// Displacement of the entrance and the exit of a straight element, from what it adds to coordinates [m].
fn ends(ring: &Ring, element: usize, plane: usize) -> [f64; 2] {
    let alignment = ring.element(element).alignment.clone().unwrap();
    [-alignment.t1.unwrap()[2 * plane], alignment.t2.unwrap()[2 * plane]]
}

#[test]
fn what_stands_on_a_girder_is_on_one_line() {
    let text = "[girders.g]\nstart = \"QF_*\"\nend = \"SD_*\"\ndx = \"100 um\"\ndy = \"100 um\"\n";
    let facility = facility("demo_ring", Tables::twin(text));
    let twin = Twin::new(&facility, TwinOptions::default()).unwrap();
    let ring = twin.ring();
    let mut largest = 0.0_f64;
    for cell in 1..=16 {
        let [first, last, quadrupole] = ["QF", "SD", "QD"].map(|name| index(&facility, &format!("{name}_{cell:03}")));
        let start = facility.positions[first];
        let length = facility.positions[last + 1] - start;
        for plane in [0, 1] {
            let [a, b] = [ends(&ring, first, plane)[0], ends(&ring, last, plane)[1]];
            largest = largest.max(a.abs()).max(b.abs());
            let on_line = |s: f64| a + (b - a) * (s - start) / length;
            let [entrance, exit] = ends(&ring, quadrupole, plane);
            let at = facility.positions[quadrupole];
            // to second order in the angle of some 1e-4
            assert!((entrance - on_line(at)).abs() < 1e-11, "{entrance} {}", on_line(at));
            assert!((exit - on_line(at + 0.4)).abs() < 1e-11);
            // the monitor moves with it
            let name = format!("BPM_{cell:03}");
            let (_, element, monitor) = twin.monitors().find(|(device, _, _)| *device.name == *name).unwrap();
            assert!((monitor.offset[plane] - on_line(facility.positions[element])).abs() < 1e-11);
        }
    }
    assert!((100e-6..400e-6).contains(&largest), "{largest}");
    // the last girder goes on across the start of the lattice
    let across = "[girders.g]\nstart = \"QD_*\"\nend = \"SF_*\"\ndx = \"100 um\"\n";
    let moved = self::twin(across);
    let truth = moved.truth().elements.clone();
    let [last, first] = ["QD_016", "QF_001"].map(|name| truth[&index(&facility, name)].placement);
    assert!(last.yaw != 0.0 && (last.yaw - first.yaw).abs() < 1e-18, "{last:?} {first:?}");
    let distance = facility.positions[index(&facility, "QF_001")] + facility.lattice.length()
        - facility.positions[index(&facility, "QD_016")];
    assert!((first.dx - last.dx - first.yaw * distance).abs() < 1e-15);
}

#[test]
fn ends_of_girders_are_alike_over_the_correlation_length() {
    let correlated = |length: &str| {
        let text =
            format!("[girders.g]\nstart = \"QF_*\"\nend = \"SD_*\"\ndx = \"1 mm\"\ncorrelation = \"{length}\"\n");
        let facility = facility("demo_ring", Tables::twin(&text));
        let [first, second] = ["QF_001", "QF_002"].map(|name| index(&facility, name));
        let pairs = (1..=2000).map(|seed| {
            let twin = Twin::new(&facility, TwinOptions { seed: Some(seed), ..TwinOptions::default() }).unwrap();
            let at = |element: &usize| {
                let placement = twin.truth().elements[element].placement;
                // the start of the girder
                placement.dx - 0.2 * placement.yaw
            };
            [at(&first), at(&second)]
        });
        let pairs: Vec<[f64; 2]> = pairs.collect();
        let mean = |of: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
        let (xx, yy, xy) = (mean(&|p| p[0] * p[0]), mean(&|p| p[1] * p[1]), mean(&|p| p[0] * p[1]));
        assert!((xx.sqrt() / 1e-3 - 1.0).abs() < 0.06 && (yy.sqrt() / 1e-3 - 1.0).abs() < 0.06, "{xx} {yy}");
        xy / (xx * yy).sqrt()
    };
    // cells are 4.8 m long; 2000 pairs know a correlation to 0.022
    for (length, metres) in [("2 m", 2.0), ("10 m", 10.0)] {
        let (found, wanted) = (correlated(length), (-4.8_f64 / metres).exp());
        eprintln!("correlation over {length}: {found:.3}, exp(-4.8 m / {length}) = {wanted:.3}");
        assert!((found - wanted).abs() < 0.08, "{length}: {found} and {wanted}");
    }
    assert!(correlated("0 m").abs() < 0.08);
}

// ---- draws ---------------------------------------------------------------------------------------------------------

fn shown(truth: &Truth) -> String {
    let mut monitors: Vec<_> = truth.monitors.iter().collect();
    monitors.sort_by(|a, b| a.0.cmp(b.0));
    let mut supplies: Vec<_> = truth.supplies.iter().collect();
    supplies.sort_by(|a, b| a.0.cmp(b.0));
    format!("{:?}\n{monitors:?}\n{supplies:?}", truth.elements)
}

#[test]
fn a_changed_table_does_not_move_the_draws_of_another() {
    let quadrupoles = "[misalignments.q]\nelements = \"Q*\"\ndx = \"10 um\"\n";
    let monitors = "[monitors.BPM]\ngain = \"1 %\"\noffset = \"10 um\"\n";
    let alone = twin(quadrupoles);
    let sextupoles = "[misalignments.a]\nelements = \"S*\"\ndy = \"10 um\"\nyaw = \"1 mrad\"\n";
    let fields = "[fields.a]\nelements = \"Q*\"\nrelative = \"1e-3\"\nradius = \"1 cm\"\nb3 = [0.0, 1.0]\n";
    let both = twin(&format!("{sextupoles}{quadrupoles}{fields}{monitors}[rf]\nvoltage = \"1 %\"\n"));
    for (element, truth) in &alone.truth().elements {
        assert_eq!(truth.placement, both.truth().elements[element].placement);
    }
    // a key more in the same table moves none of the others
    let more = twin(&quadrupoles.replace("dx =", "pitch = \"1 mrad\"\ndz = \"1 mm\"\ndx ="));
    for (element, truth) in &alone.truth().elements {
        let with = more.truth().elements[element].placement;
        assert!(with.pitch != 0.0 && with.dx == truth.placement.dx);
    }
    let rolled = twin(&format!("{monitors}roll = \"1 mrad\"\ncoupling = \"1 %\"\npolarity_wrong = \"20 %\"\n"));
    let plain = twin(monitors);
    for (key, truth) in &plain.truth().monitors {
        let with = rolled.truth().monitors[key];
        assert_eq!((truth.gain, truth.offset), (with.gain, with.offset));
        assert!(with.roll != 0.0 && with.coupling[0] != 0.0);
    }
    assert!(rolled.truth().monitors.values().any(|truth| truth.polarity != [1.0; 2]));
    assert_eq!(
        shown(&both.truth()),
        shown(&twin(&format!("{sextupoles}{quadrupoles}{fields}{monitors}[rf]\nvoltage = \"1 %\"\n")).truth())
    );
}

#[test]
fn distributions_are_as_wide_as_they_say() {
    let text = "[misalignments.a]\nelements = \"*\"\ndx = \"1 mm\"\ntruncate = 2.0\n\
                [misalignments.b]\nelements = \"*\"\ndy = \"1 mm\"\ndistribution = \"uniform\"\n";
    let mut all = [Vec::new(), Vec::new()];
    let ring = facility("demo_ring", Tables::twin(text));
    for seed in 1..=20 {
        let twin = Twin::new(&ring, TwinOptions { seed: Some(seed), ..TwinOptions::default() }).unwrap();
        all[0].extend(twin.truth().elements.values().map(|truth| 1e3 * truth.placement.dx));
        all[1].extend(twin.truth().elements.values().map(|truth| 1e3 * truth.placement.dy));
    }
    let rms = |values: &[f64]| (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
    let most = |values: &[f64]| values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    assert!(all[0].len() > 3000);
    // a Gauss curve cut at 2 sigma has 0.880 sigma rms, an even one half width over the root of 3
    for (values, width, end) in [(&all[0], 0.880, 2.0), (&all[1], 0.577, 1.0)] {
        assert!((rms(values) / width - 1.0).abs() < 0.04, "{}", rms(values));
        assert!(most(values) <= end && most(values) > 0.98 * end, "{}", most(values));
    }
}

#[test]
fn exact_values_replace_what_is_drawn_and_nothing_else() {
    let drawn = "[misalignments.q]\nelements = \"Q*\"\ndx = \"10 um\"\ndy = \"10 um\"\n[monitors.BPM]\noffset = \"10 um\"\n\
                 [supplies.HCOR]\ngain = \"1 %\"\n";
    let values = "[QF.QF_003]\ndx = \"77 um\"\n[BPM.BPM_002]\noffset_x = \"-5 um\"\npolarity_y = -1\n[HCOR.HCOR_004.kick]\ngain = 1.5\n";
    let file = Tables::twin(&format!("exact = \"truth.toml\"\n{drawn}")).with("truth.toml", values);
    let in_file = Twin::new(&facility("demo_ring", file), TwinOptions::default()).unwrap();
    let inline = twin(&format!("{drawn}{}", values.replace('[', "[exact.")));
    assert_eq!(shown(&in_file.truth()), shown(&inline.truth()));
    let (plain, mut with) = (twin(drawn), Truth::clone(&in_file.truth()));
    let ring = facility("demo_ring", Tables::twin(""));
    let quadrupole = with.elements.get_mut(&index(&ring, "QF_003")).unwrap();
    assert_eq!(quadrupole.placement.dx, 77.0 * 1e-6);
    quadrupole.placement.dx = plain.truth().elements[&index(&ring, "QF_003")].placement.dx;
    let key = ("BPM".into(), "BPM_002".into());
    let monitor = with.monitors.get_mut(&key).unwrap();
    assert_eq!((monitor.offset[0], monitor.polarity), (-5.0 * 1e-6, [1.0, -1.0]));
    *monitor = plain.truth().monitors[&key];
    let key = ("HCOR".into(), "HCOR_004".into(), "kick".into());
    assert_eq!(with.supplies.insert(key.clone(), plain.truth().supplies[&key]).unwrap().gain, 1.5);
    assert_eq!(shown(&with), shown(&plain.truth()));
    // a perfect machine has none of it
    let file = Tables::twin("exact = \"truth.toml\"\n").with("truth.toml", values);
    let perfect =
        Twin::new(&facility("demo_ring", file), TwinOptions { perfect: true, ..TwinOptions::default() }).unwrap();
    assert_eq!(shown(&perfect.truth()), shown(&Truth::default()));
}

// ---- wrong tables --------------------------------------------------------------------------------------------------

#[test]
fn wrong_tables_say_what_is_wrong_and_where() {
    let misaligned = "[misalignments.q]\nelements = \"Q*\"\n";
    let fields = "[fields.q]\nelements = \"QF_*\"\n";
    for (text, said) in [
        (format!("{misaligned}pich = \"1 mrad\"\n"), "`pich` is not a key of this table"),
        (format!("{misaligned}pich = \"1 mrad\"\n"), "did you mean `pitch`?"),
        (format!("{misaligned}yaw = \"1 mm\"\n"), "twin.toml"),
        (
            format!("{misaligned}reference = \"center\"\n"),
            "`center` is none of centre, entrance; did you mean `centre`?",
        ),
        (format!("{misaligned}truncate = 0\n"), "must be above zero"),
        (format!("{misaligned}truncate = 2\ndistribution = \"uniform\"\n"), "cuts a Gauss curve"),
        (format!("{misaligned}dx = \"-1 um\"\n"), "not negative"),
        (
            format!("{misaligned}[misalignments.r]\nelements = \"QF_*\"\nreference = \"entrance\"\n"),
            "[misalignments.q] moves `QF_001` about its centre",
        ),
        (
            "[misalignments.q]\nelements = \"QF_01\"\n".into(),
            "no element of the lattice is called `QF_01`; did you mean",
        ),
        ("[misalignment.q]\nelements = \"Q*\"\n".into(), "did you mean `misalignments`?"),
        ("[girders.g]\nstart = \"QF_*\"\nend = \"DRs_*\"\n".into(), "matches 32 elements, `start` 16"),
        (
            "[girders.g]\nstart = [\"QF_001\", \"QF_002\"]\nend = [\"SD_002\", \"SD_003\"]\n".into(),
            "where girders start",
        ),
        ("[girders.g]\ndx = \"1 um\"\n".into(), "`elements` is missing"),
        (format!("{fields}b3 = [1.0, 1.0]\n"), "`radius` is missing"),
        (format!("{fields}radius = \"1 cm\"\nb21 = 1.0\n"), "counted from 1"),
        (format!("{fields}radius = \"1 cm\"\nb3 = [1.0, -1.0]\n"), "must be a pair"),
        (format!("{fields}radius = \"1 cm\"\nb3 = [\"1 m\", 1.0]\n"), "must be a pair"),
        ("[fields.q]\nelements = \"BPM_*\"\n".into(), "`BPM_001` is no magnet"),
        ("[fields.q]\nelements = \"COR_*\"\nradius = \"1 cm\"\nb3 = 1.0\n".into(), "`COR_001` has no main field"),
        ("[monitors.QF]\nnoise = \"1 um\"\n".into(), "is no family of beam position monitors"),
        ("[monitors.BPM]\nthreshold = \"40 %\"\n".into(), "`A` is needed"),
        ("[monitors.BPM]\nnoise_turns = \"-10 um\"\n".into(), "is not negative"),
        ("[monitors.BPM]\ngain = \"1 %\"\ngain_x = \"1 %\"\n".into(), "is for both planes"),
        ("[monitors.BPM]\npolarity_wrong = \"120 %\"\n".into(), "between 0 and 100 %"),
        ("[correctors.QF]\ngain = \"1 %\"\n".into(), "has no kick; other magnets are [supplies.QF]"),
        ("[supplies.BPM]\ngain = \"1 %\"\n".into(), "BPM has no field that is set"),
        ("[supplies.QF]\nfield = \"k2\"\n".into(), "`k2` is none of k1; did you mean `k1`?"),
        ("[supplies.QF]\noffset = \"1 mrad\"\n".into(), "offset"),
        ("[supplies.RF]\nroll = \"1 mrad\"\n".into(), "RF.frequency is no field that a roll could turn"),
        ("[supplies.QG]\ngain = \"1 %\"\n".into(), "did you mean"),
        ("exact = \"thruth.toml\"\n".into(), "the facility has no readable file thruth.toml"),
        ("[exact.QF.QF_01]\ndx = \"1 um\"\n".into(), "did you mean"),
        ("[exact.QG.QF_001]\ndx = \"1 um\"\n".into(), "no family `QG`"),
        ("[exact.elements.QF_01]\ndx = \"1 um\"\n".into(), "no element of the lattice is called so; did you mean"),
        ("[exact.BPM.BPM_001]\npolarity_x = 0.5\n".into(), "must be 1 or -1"),
        ("[exact.HCOR.HCOR_001]\ngain = 1.1\n".into(), "`gain` is not a key of this table"),
    ] {
        let ring = facility("demo_ring", Tables::twin(&text));
        let error = match Twin::new(&ring, TwinOptions::default()) {
            Ok(_) => panic!("taken: {text}"),
            Err(error) => error.render(false),
        };
        assert!(error.contains(said) && error.contains("twin.toml:"), "{text}\n{error}\nwanted: {said}");
    }
}

// ---- the truth off -------------------------------------------------------------------------------------------------

/// What acts only when it is fired.
const FIRED: [Quantities; 3] = [Quantities::KickerX, Quantities::KickerY, Quantities::Trigger];

/// Without errors, whatever is written: every channel as the engine itself has it, started anew.
#[test]
fn a_perfect_twin_reads_what_the_engine_has() {
    for (name, part) in [("demo_ring", 0.0), ("demo_ring", 0.2), ("ebs_ring", 0.0), ("ebs_ring", 2e-3)] {
        let ring = Facility::load(std::sync::Arc::new(fodo_devices::Folder(folder(name)))).unwrap();
        let twin = Twin::new(&ring, TwinOptions { perfect: true, ..TwinOptions::default() }).unwrap();
        let mut engine = Ring::new(&ring.lattice, twin.effects());
        let all = || {
            ring.families.iter().flat_map(|family| &family.devices).flat_map(|d| d.fields.iter().map(move |f| (d, f)))
        };
        let mut writes = Vec::new();
        for (device, field) in all() {
            if FIRED.iter().any(|quantity| field.model == Some(*quantity)) {
                continue;
            }
            let Some(setpoint) = field.setpoint.as_ref().filter(|_| part != 0.0) else { continue };
            let now = get(&twin, &setpoint.channel);
            let value =
                now + part * (writes.len() as f64 * 1.7).sin() * (setpoint.limits.1 - now).min(now - setpoint.limits.0);
            writes.push(Write { channel: setpoint.channel.clone(), value: Held::Number(value) });
            put(&mut engine, device, field.model.unwrap(), field.to_physics(value));
        }
        twin.apply(&writes).unwrap();
        let orbit = engine.closed_orbit().unwrap();
        let tunes = tunes_of(&engine, &orbit.start());
        let mut seen = std::collections::HashSet::new();
        let mut most = [0.0_f64; 3];
        for info in twin.channels() {
            let reading = twin.sample(std::slice::from_ref(&info.channel)).remove(0).unwrap();
            let is = |channel: &str| *channel == *info.channel;
            let source = |field: &fodo_devices::Field| field.source.as_ref().is_some_and(|source| is(&source.channel));
            let of = all().find(|(_, f)| source(f) || f.setpoint.as_ref().is_some_and(|s| is(&s.channel)));
            let Some((device, field)) = of else { continue };
            seen.insert(info.channel.clone());
            match (field.model.unwrap(), &reading.value) {
                (q, Held::Number(number)) if FIRED.contains(&q) => assert_eq!(*number, 0.0),
                (q @ (Quantities::OrbitX | Quantities::OrbitY), value) => {
                    let plane = if q == Quantities::OrbitX { 0 } else { 2 };
                    match value {
                        Held::Number(number) => {
                            let apart = field.to_physics(*number) - orbit.at(device.elements[0])[plane];
                            most[0] = most[0].max(apart.abs());
                        }
                        Held::Vector(row) => {
                            assert_eq!(row.len(), engine.len());
                            for (element, number) in row.iter().enumerate() {
                                most[0] = most[0].max((field.to_physics(*number) - orbit.at(element)[plane]).abs());
                            }
                        }
                        other => panic!("{other:?}"),
                    }
                }
                (q @ (Quantities::TuneX | Quantities::TuneY), Held::Number(number)) => {
                    let tune = tunes[usize::from(q == Quantities::TuneY)];
                    most[1] = most[1].max((field.to_physics(*number) - tune).abs());
                }
                // tests/turns.rs and tests/figures.rs compare these
                (Quantities::TurnsX | Quantities::TurnsY, Held::Vector(_)) => {}
                // the tests of the camera and those of the beam's ellipse do that
                (Quantities::BeamImage, Held::Image { .. }) => {}
                (q, Held::Number(_)) if field.setpoint.is_none() && q != Quantities::Current => {}
                (Quantities::Current, Held::Number(number)) => assert_eq!(field.to_physics(*number), 0.2),
                (_, Held::Number(number)) => {
                    let wanted = match writes
                        .iter()
                        .find(|write| field.setpoint.as_ref().is_some_and(|s| s.channel == write.channel))
                    {
                        Some(write) => write.value.number().unwrap(),
                        None => field.to_channel(physics_of(&engine, device, field.model.unwrap())),
                    };
                    most[2] = most[2].max((number - wanted).abs() / wanted.abs().max(1.0));
                }
                other => panic!("{other:?}"),
            }
        }
        eprintln!(
            "{name:10} moved by {part}: {} channels; orbit {:.1e} m, tunes {:.1e}, setpoints {:.1e}",
            seen.len(),
            most[0],
            most[1],
            most[2]
        );
        assert!(most[0] < 1e-13 && most[1] < 1e-12 && most[2] < 1e-15, "{name}: {most:?}");
        assert!(seen.len() >= 100);
    }
}

fn tunes_of(ring: &Ring, start: &[f64; 6]) -> [f64; 2] {
    let size = if ring.effects().cavity { 6 } else { 4 };
    let found = modes(&ring.one_turn_matrix(start).unwrap(), size).unwrap();
    [found[0].tune, found[1].tune]
}

fn factorial(order: usize) -> f64 {
    (1..=order).map(|n| n as f64).product()
}

/// Gives the engine a setpoint with its own functions.
fn put(ring: &mut Ring, device: &fodo_devices::Device, quantity: Quantities, value: f64) {
    let share = value / device.elements.len() as f64;
    for &at in &device.elements {
        let [x, y] = ring.element(at).kick;
        match quantity {
            Quantities::KickX => ring.set_kick(at, share, y),
            Quantities::KickY => ring.set_kick(at, x, share),
            Quantities::Upright(order) => ring.set_upright(at, order, value / factorial(order)),
            Quantities::Skew(order) => ring.set_skew(at, order, value / factorial(order)),
            Quantities::RfFrequency => ring.set_rf(value, ring.rf_voltage()),
            other => panic!("{other:?}"),
        }
    }
}

/// What the engine has of a setpoint.
fn physics_of(ring: &Ring, device: &fodo_devices::Device, quantity: Quantities) -> f64 {
    let element = ring.element(device.elements[0]);
    match quantity {
        Quantities::KickX => element.kick[0] * device.elements.len() as f64,
        Quantities::KickY => element.kick[1] * device.elements.len() as f64,
        Quantities::Upright(order) => element.field().unwrap().upright(order) * factorial(order),
        Quantities::RfFrequency => ring.rf_frequency().unwrap(),
        other => panic!("{other:?}"),
    }
}
