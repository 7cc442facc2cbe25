//! Several devices on one supply, and magnets that remember: tables, scripts, check and undo of a whole session.

use fodo_tests::{self as support, Scratch};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

/// The demonstration ring, all QF on one supply and correctors 1 to 6 on those of 11 to 16; QF and QD remember.
fn facility(scratch: &Scratch, twin: &str) -> PathBuf {
    let shipped = support::project().join("facilities/demo_ring");
    let text = |name: &str| std::fs::read_to_string(shipped.join(name)).unwrap();
    let quadrupoles = "model = \"k1\", set = \"{name}:Cm:set\",\n       read = \"{name}:Cm:rdbk\"";
    let families = text("families.toml");
    assert!(families.contains(quadrupoles) && families.contains("elements = \"COR_*\"\nname = \"H{element}\""));
    let families = families
        .replace(quadrupoles, "model = \"k1\", set = \"QF:set\", read = \"QF:rdbk\"")
        .replace("[QF]\n", "[QF]\nhysteresis = true\n")
        .replace(
            "k1 = { limits = [\"-1.4",
            "k1 = { set = \"{name}:Cm:set\", read = \"{name}:Cm:rdbk\", limits = [\"-1.4",
        )
        .replace(
            "elements = \"COR_*\"\nname = \"H{element}\"",
            "elements = [\"COR_00*\", \"COR_01*\"]\nname = \"H{element}\"",
        )
        .replace(
            "model = \"kick_x\", set = \"{name}:Cm:set\",\n         read = \"{name}:Cm:rdbk\"",
            "model = \"kick_x\", set = \"HC{suffix}:set\", read = \"HC{suffix}:rdbk\"",
        )
        .replace(
            "name = \"V{element}\"\nkick = { model = \"kick_y\"",
            "name = \"V{element}\"\nkick = { model = \"kick_y\", set = \"{name}:Cm:set\", read = \"{name}:Cm:rdbk\"",
        );
    let head = text("facility.toml").replace("name = \"demo_ring\"", "name = \"supplies\"");
    scratch.file("supplies/families.toml", &families);
    scratch.file("supplies/facility.toml", &head);
    scratch.file("supplies/lattice.toml", &text("lattice.toml"));
    scratch.file("supplies/twin.toml", twin).parent().unwrap().to_path_buf()
}

/// A script on the twin, which has to go well; what it gives.
fn eval(scratch: &Scratch, folder: &std::path::Path, script: &str) -> Value {
    let told = support::json(scratch, &["eval", script, "--facility", folder.to_str().unwrap()]);
    assert_eq!(told["ok"], true, "{script}: {}", told["error"]);
    told["result"].clone()
}

#[test]
fn a_supply_is_set_once_and_moves_all_its_magnets() {
    let scratch = Scratch::new("supplies-set");
    let folder = facility(&scratch, "seed = 1\n");
    let script = r#"
        let start = QF.setpoint();
        assert(start.len == 16 && QF.get().len == 16 && QF.supplies().len == 1);
        assert(QF.supplies()[0].name == "QF.k1" && QF[4].supplies()[0].devices == QF && QD.supplies().len == 16);
        assert(HCOR.supplies().len == 10 && HCOR[0].supplies()[0].devices.names == ["HCOR_001", "HCOR_011"]);
        QF[3].step(quantity(0.001, "1/m^2"));
        assert_near(QF.setpoint() - start, quantity(0.001, "1/m^2"), quantity(1e-12, "1/m^2"));
        QF.step(quantity(0.001, "1/m"));
        assert_near(QF.get() - start, quantity(0.0035, "1/m^2"), quantity(1e-12, "1/m^2"));
        QF.set(start);
        let would = rehearse(|| HCOR[0].set(5.0 * urad));
        assert(would.changes.HCOR.len() == 2);
        HCOR[[0, 10]].set(5.0 * urad);
        HCOR[0].set(0.0 * urad);
        "#;
    eval(&scratch, &folder, script);
    let wrong = "QF.set(linspace(quantity(1.25, \"1/m^2\"), quantity(1.26, \"1/m^2\"), 16))";
    let output = support::run(&scratch, &["eval", wrong, "--facility", folder.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stderr);
    for part in [
        "16 devices on one supply would need different values of QF.k1 (QF:set)",
        "QF[\"QF_001\"]: 0.5",
        "and 10 more",
        "no setpoint was changed",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn a_supply_is_one_knob() {
    let scratch = Scratch::new("supplies-knob");
    let folder = facility(&scratch, "seed = 1\n");
    let numbers = |value: &Value| -> Vec<Vec<f64>> { serde_json::from_value(value.clone()).unwrap() };
    let matrix = |folder: &str, expression: &str| {
        let told = support::json(&scratch, &["eval", expression, "--facility", folder]);
        assert_eq!(told["ok"], true, "{}", told["error"]);
        numbers(&told["result"])
    };
    let here = folder.to_str().unwrap();
    // sixteen correctors of the ring with a supply each: those on one supply add up
    let each = matrix("demo_ring", "model.orbit_response(HCOR, BPM).matrix");
    let model = matrix(here, "model.orbit_response(HCOR, BPM).matrix");
    let measured = matrix(here, "measure_response(HCOR, BPM).matrix");
    assert_eq!((model.len(), model[0].len(), measured[0].len()), (32, 10, 10));
    let (mut worst, mut largest, mut apart): (f64, f64, f64) = (0.0, 0.0, 0.0);
    for (row, wanted) in each.iter().enumerate() {
        for column in 0..10 {
            let sum = wanted[column] + if column < 6 { wanted[column + 10] } else { 0.0 };
            worst = worst.max((model[row][column] - sum).abs());
            apart = apart.max((measured[row][column] - sum).abs());
            largest = largest.max(sum.abs());
        }
    }
    eprintln!("model {:.1e}, measured {:.1e} of the largest entry", worst / largest, apart / largest);
    // sums of the same numbers; what is left of the measured one is the third order of the step
    assert!(worst < 1e-12 * largest && apart < 1e-6 * largest);
    // what LOCO fits with: the supply moves all elements of QF
    let by_name = matrix(here, "model.orbit_response_derivatives(VCOR, BPM, [\"QF.k1\"])[0]");
    let by_supply = matrix(here, "model.orbit_response_derivatives(VCOR, BPM, [QF[5]])[0]");
    let pairs = by_name.iter().flatten().zip(by_supply.iter().flatten());
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let largest = by_name.iter().flatten().fold(0.0, |most: f64, entry| most.max(entry.abs()));
    assert!(largest > 0.0 && worst < 1e-12 * largest, "{worst} of {largest}");
}

#[test]
fn orbits_are_corrected_with_supplies() {
    let scratch = Scratch::new("supplies-orbit");
    let folder = facility(
        &scratch,
        "seed = 3\n[misalignments.quadrupoles]\nelements = \"Q*\"\ndx = \"50 um\"\ndy = \"50 um\"\n",
    );
    let told = support::json(&scratch, &["run", "correct_orbit", "--facility", folder.to_str().unwrap()]);
    assert_eq!(told["ok"], true, "{}", told["error"]);
    let rms = |when: &str, plane: &str| told["result"][when][plane].as_f64().unwrap();
    for plane in ["rms_x", "rms_y"] {
        eprintln!("{plane} {:.1e} to {:.1e} m", rms("before", plane), rms("after", plane));
    }
    // sixteen monitors: ten knobs in x take away a part of it, sixteen in y nearly all
    assert!(rms("after", "rms_x") < 0.7 * rms("before", "rms_x"));
    assert!(rms("after", "rms_y") < 0.1 * rms("before", "rms_y"));
    let changes = told["result"]["changes"]["HCOR"].as_object().unwrap();
    assert_eq!(changes.len(), 16);
    assert_eq!(changes["HCOR_002"], changes["HCOR_012"]);
}

/// Lines typed at the prompt; everything that was shown.
fn typed(scratch: &Scratch, folder: &std::path::Path, lines: &str) -> String {
    let mut command = support::fodo(scratch, &["repl", "--facility", folder.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn magnets_off_their_branch_are_told() {
    let scratch = Scratch::new("supplies-branch");
    let folder = facility(&scratch, "seed = 1\n[supplies.QF]\nhysteresis = \"4e-4\"\n");
    let lines = "QF[0].branch()\ncycle(QF)\nQF[0].branch()\nQF.step(quantity(-0.01, \"1/m^2\"))\nQF[7].branch()\nundo()\nQF[7].branch()\n\
                 QF.branch().filter(|b| b.starts_with(\"left it\")).len()\nSF.branch()\n";
    let shown = typed(&scratch, &folder, lines);
    eprintln!("{shown}");
    let mut rest = shown.as_str();
    for part in [
        "not known: not cycled in this session",
        "on its branch",
        "on its branch",
        "back to before",
        "1 setpoint; magnets are off the branch they were cycled onto: QF.k1; `cycle` brings them back",
        "left it: went from 1.24805 1/m^2",
        "16",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} is not told in\n{shown}"));
        rest = &rest[at + part.len()..];
    }
    assert!(shown.contains("magnets of SF are not followed"), "{shown}");
}

#[test]
fn a_measurement_that_leaves_the_branch_is_told_when_its_run_ends() {
    let scratch = Scratch::new("supplies-measured");
    let folder = facility(&scratch, "seed = 1\n[supplies.QF]\nhysteresis = \"4e-4\"\n");
    let shown = typed(&scratch, &folder, "cycle(QF)\nmeasure_response(QF, BPM)\nmeasure_response(QF, BPM)\n");
    assert_eq!(shown.matches("magnets are off the branch they were cycled onto: QF.k1").count(), 1, "{shown}");
    // a run that fails says so where it says how the machine stands
    let shown = typed(&scratch, &folder, "cycle(QF)\nQF.step(quantity(-0.01, \"1/m^2\")); throw \"no\"\n");
    let told = "back at its value before the run; magnets off the branch they were cycled onto: QF.k1";
    assert!(shown.contains(told), "{shown}");
}

#[test]
fn the_check_shows_what_hangs_together() {
    let scratch = Scratch::new("supplies-check");
    let folder = facility(&scratch, "seed = 1\n");
    let output = support::run(&scratch, &["facility", "check", "--facility", folder.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for part in [
        "several devices on one supply:",
        "QF.k1 (QF:set): 16 devices, QF_001, QF_002, … QF_016",
        "HCOR[\"HCOR_001\", \"HCOR_011\"].kick (HC1:set): 2 devices, HCOR_001, HCOR_011",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn quantities_over_several_supplies_are_set_one_by_one() {
    let scratch = Scratch::new("supplies-combined");
    let folder = facility(&scratch, "seed = 1\n");
    let bends = r#"
[BD]
role = "combined-function magnet"
elements = "B_*"
main = { unit = "A", model = { k1 = "0.0021 1/(m^2 A)", k2 = "0.05 1/(m^3 A)" }, set = "{name}:main", design = "250 A",
         limits = ["0 A", "500 A"], tolerance = "0.001 A" }
strip = { unit = "A", model = { k1 = "1e-4 1/(m^2 A)", k2 = "0.3 1/(m^3 A)" }, set = "{name}:strip",
          limits = ["-50 A", "50 A"], tolerance = "0.001 A" }
k1 = { unit = "1/m^2", of = ["main", "strip"], model = "k1" }
k2 = { unit = "1/m^3", of = ["main", "strip"], model = "k2" }
"#;
    let table = folder.join("families.toml");
    std::fs::write(&table, std::fs::read_to_string(&table).unwrap() + bends).unwrap();
    let script = r#"
        assert(BD.get("A") == BD.get("main") && BD.get()[0] == 250.0 * A);
        assert(BD.get("k1").max_abs() < quantity(1e-12, "1/m^2") && BD.get("k2").max_abs() < quantity(1e-12, "1/m^3"));
        BD.step("k2", quantity(0.1, "1/m^3"));
        assert(BD.get("k1").max_abs() < quantity(1e-12, "1/m^2"));
        assert_near(BD.get("k2"), quantity(0.1, "1/m^3"), quantity(1e-10, "1/m^3"));
        // by hand: -1e-4 * 0.1 / (0.0021 * 0.3 - 1e-4 * 0.05) in the main coil, 0.0021 * 0.1 / … in the strips
        assert_near(BD[0].get("main"), 249.984 * A, 1 * mA);
        assert_near(BD[0].get("strip"), 0.336 * A, 1 * mA);
        BD[3].set("k1", quantity(0.002, "1/m^2"));
        assert_near(BD.get("k1")[3], quantity(0.002, "1/m^2"), quantity(1e-10, "1/m^2"));
        assert_near(BD[3].get("k2"), quantity(0.1, "1/m^3"), quantity(1e-10, "1/m^3"));
        assert_near(BD.setpoint("k1")[2], quantity(0.0, "1/m^2"), quantity(1e-10, "1/m^2"));
        BD.set("strip", 0.0 * A);
        QF.set("k1", QF.setpoint());
        "#;
    eval(&scratch, &folder, script);
    let wrong = support::run(&scratch, &["eval", "BD.step(\"k2\", 0.1 * A)", "--facility", folder.to_str().unwrap()]);
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("a value in `A` was given where `k2` needs `1/m^3`"),
        "{wrong:?}"
    );
}
