//! Machines that are not rings: what they have, what they refuse, and every procedure on every facility.

use fodo_tests::{Scratch, failures, json, project, run};
use serde_json::Value;
use std::path::PathBuf;

/// A copy of a shipped facility with a text of one of its files replaced; gives its folder.
fn edited(scratch: &Scratch, facility: &str, at: &str, (file, from, to): (&str, &str, &str)) -> PathBuf {
    for entry in std::fs::read_dir(project().join("facilities").join(facility)).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        if name == file {
            assert!(text.contains(from), "{file} of {facility} has no `{from}`");
            text = text.replacen(from, to, 1);
        }
        scratch.file(&format!("{at}/{facility}/{name}"), &text);
    }
    scratch.path().join(at).join(facility)
}

fn eval(scratch: &Scratch, facility: &str, script: &str, more: &[&str]) -> Value {
    json(scratch, &[&["eval", script, "--facility", facility], more].concat())
}

#[test]
fn a_line_says_what_only_a_ring_has() {
    let scratch = Scratch::new("line-no-ring");
    let told = run(&scratch, &["eval", "model.tune_x", "--facility", "demo_line"]);
    crate::errors::tells("line_has_no_tune", &told, &scratch);
    for (facility, kind) in [("demo_line", "transfer line"), ("demo_linac", "linac")] {
        for (script, what) in [
            ("model.tune_x", "it has no tune"),
            ("model.tune_y", "it has no tune"),
            ("model.chromaticity_y", "it has no chromaticity"),
            ("model.momentum_compaction", "it has no momentum compaction"),
            ("model.emittance_x", "it has no equilibrium beam"),
            ("model.tune_s", "it has no equilibrium beam"),
            ("model.i2", "radiation integrals are those of a ring"),
            ("model.energy_loss", "its beam makes no turn, so that there is no energy loss per turn"),
            ("model.coupled_optics()", "`coupled_optics` is for rings"),
            ("model.optics_6d()", "`optics_6d` is for rings"),
            ("model.momentum_dependence()", "`momentum_dependence` is for rings"),
            ("model.chromatic_functions()", "`chromatic_functions` is for rings"),
            ("model.tapered()", "`tapered` is for rings"),
            ("model.convergence()", "`convergence` is for rings"),
            ("model.dynamic_aperture()", "`dynamic_aperture` is for rings"),
            ("model.momentum_aperture(BPM)", "`momentum_aperture` is for rings"),
            ("model.detuning()", "`detuning` is for rings"),
            ("model.driving_terms()", "`driving_terms` is for rings"),
            ("model.lifetime(#{ charge: 1 * nC, emittance_y: 1 * nm })", "`lifetime` is for rings"),
            ("model.orbit_response_derivatives(HCOR, BPM, [\"Q_01.k1\"])", "`orbit_response_derivatives` is for rings"),
        ] {
            let answer = eval(&scratch, facility, script, &[]);
            let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{script}: {answer}"));
            assert_eq!(message, format!("{facility} is a {kind}: {what}"), "{script}");
        }
        let answer = eval(&scratch, facility, "BPM[0].previous()", &[]);
        let message = answer["error"]["message"].to_string();
        assert!(message.contains(&format!("is the first of its family, and {facility} is a {kind}")), "{message}");
        let answer = eval(&scratch, facility, "BPM.upstream(0.0)", &[]);
        assert!(answer["error"]["message"].to_string().contains("has 0 devices beside"), "{answer}");
        let answer = eval(&scratch, facility, "BPM.between(BPM[2], BPM[1])", &[]);
        assert!(answer["error"]["message"].to_string().contains("lies upstream"), "{answer}");
    }
}

#[test]
fn tables_that_do_not_fit_the_machine_are_refused() {
    let scratch = Scratch::new("line-tables");
    let tune = "[TUNE]\nrole = \"tune monitor\"\nx = { unit = \"1\", model = \"tune_x\", read = \"T\" }\n\n[ICT]";
    let current = "[DCCT]\nrole = \"current\"\ni = { unit = \"A\", model = \"current\", read = \"I\" }\n\n[ICT]";
    let nowhere = "[GUN]\nrole = \"gun\"\nq = { unit = \"C\", model = \"charge\", read = \"G\" }\n\n[ICT]";
    for (number, (facility, edit, said)) in [
        ("demo_line", ("families.toml", "[ICT]", tune), "demo_line is a transfer line: it has no tune"),
        ("demo_linac", ("families.toml", "[ICT]", tune), "demo_linac is a linac: it has no tune"),
        ("demo_line", ("families.toml", "[ICT]", current), "no current circulates"),
        ("demo_line", ("families.toml", "beam_size_x", "emittance_x"), "it has no equilibrium beam"),
        ("demo_line", ("families.toml", "beam_size_x", "chromaticity_x"), "it has no chromaticity"),
        (
            "demo_line",
            (
                "families.toml",
                "\"1 s\"\nsize_x = { unit = \"m\", hardware = \"mm\", model = \"beam_size_x\"",
                "\"1 s\"\nsize_x = { unit = \"s\", model = \"lifetime\"",
            ),
            "it has no stored beam",
        ),
        ("demo_line", ("families.toml", "[ICT]", nowhere), "stands nowhere in the lattice"),
        ("demo_ring", ("families.toml", "model = \"current\"", "model = \"charge\""), "its beam has a `current`"),
        ("demo_line", ("facility.toml", "kind = \"line\"", "kind = \"lin\""), "`lin` is no kind of machine"),
        ("demo_line", ("facility.toml", "kind = \"line\"", "kind = \"linac\""), "accelerates = true"),
        ("demo_line", ("facility.toml", "kind = \"line\"", "kind = \"ring\""), "a ring has none"),
        (
            "demo_ring",
            ("facility.toml", "control = \"ca\"", "control = \"ca\"\nkind = \"line\""),
            "what the design says enters",
        ),
        ("demo_line", ("facility.toml", "beta_x = \"4.5 m\"", ""), "`beta_x` is missing"),
        ("demo_line", ("facility.toml", "\"4.5 m\"", "\"-4.5 m\""), "must be above zero"),
        ("demo_line", ("facility.toml", "emittance_x = \"100 nm\"", "emittance_x = \"100 nC\""), "nC"),
        ("demo_line", ("facility.toml", "charge = \"0.5 nC\"", ""), "`charge` under [beam]"),
        ("demo_line", ("facility.toml", "alpha_x", "alfa_x"), "alfa_x"),
        (
            "demo_ring",
            ("twin.toml", "[misalignments", "[injection]\nx = \"1 mm\"\n\n[misalignments"),
            "nothing enters it",
        ),
        ("demo_line", ("twin.toml", "delta = \"1e-3\"", "energy = \"1e-3\""), "energy"),
        ("demo_line", ("twin.toml", "[injection]", "[beam]\ncurrent = \"1 A\"\n\n[injection]"), "is a stored beam"),
        (
            "demo_line",
            ("twin.toml", "[injection]", "[anomalies.leak]\nkind = \"vacuum_leak\"\nsize = 10\n\n[injection]"),
            "happens to a stored beam",
        ),
        ("demo_linac", ("twin.toml", "period = \"0.1 s\"", "physics = { cavity = false }"), "always on in a linac"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = edited(&scratch, facility, &number.to_string(), edit);
        let output = run(&scratch, &["facility", "check", "--facility", folder.to_str().unwrap()]);
        if number == 0 {
            crate::errors::tells("line_table_with_a_tune", &output, &scratch);
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(said), "{edit:?}: wanted {said}\n{text}");
        assert!(text.contains(".toml:"), "{edit:?}: no place is told\n{text}");
    }
}

/// The beam is steered into the wall: monitors before the loss read, those behind say where, and so does the charge.
#[test]
fn a_beam_is_read_as_far_as_it_comes() {
    let scratch = Scratch::new("line-lost");
    let folder = edited(&scratch, "demo_line", "free", ("facility.toml", "limit = \"15 mm\"", ""));
    let folder = folder.to_str().unwrap();
    let kick = "HCOR[0].set(3.0 * mrad); HCOR[1].set(3.0 * mrad); ";
    let answer = eval(&scratch, folder, &format!("{kick} get_orbit().x"), &[]);
    let error = &answer["error"];
    assert_eq!(error["kind"], "machine", "{answer}");
    let told = run(&scratch, &["eval", &format!("{kick} get_orbit().x"), "--facility", folder]);
    crate::errors::tells("line_beam_lost", &told, &scratch);
    let detail = error["details"][0].as_str().unwrap_or_default();
    assert!(detail.contains("invalid: the beam is lost at ") && detail.contains(" m"), "{error}");
    assert!(error["hint"].to_string().contains("BPM[..3]"), "{error}");
    // what came through before is there, and the charge is gone behind
    let script = format!("{kick} #{{ x: get_orbit(BPM[..1]).x, charge: ICT.get() }}");
    let answer = eval(&scratch, folder, &script, &[]);
    assert_eq!(answer["ok"], true, "{answer}");
    let charge: Vec<f64> = answer["result"]["charge"].as_array().unwrap().iter().map(|q| q.as_f64().unwrap()).collect();
    assert!((charge[0] / 0.5e-9 - 1.0).abs() < 0.05 && charge[1] < 0.01e-9, "{charge:?}");
    // the limit of the facility keeps from this
    let answer = eval(&scratch, "demo_line", kick, &[]);
    assert_eq!(answer["error"]["kind"], "limits", "{answer}");
}

/// Nothing but the seed and the shot decides where the beam enters.
#[test]
fn shots_differ_and_come_again_with_the_seed() {
    let scratch = Scratch::new("line-jitter");
    let script =
        "let all = []; for shot in 0..5 { wait(1.0 * s); all.push(get_orbit().x[0]); all.push(ICT[0].get()); } all";
    let shots = |seed: &str| -> Vec<f64> {
        let answer = eval(&scratch, "demo_line", script, &["--seed", seed]);
        answer["result"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let (first, again, other) = (shots("1"), shots("1"), shots("2"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    for of in [0, 1] {
        let values: Vec<f64> = first.iter().skip(of).step_by(2).copied().collect();
        assert!(values.iter().skip(1).all(|value| *value != values[0]), "{values:?}");
    }
}

/// Where it does not apply it says so; where it does, it does its work and the machine is measurably better.
#[test]
fn the_orbit_is_corrected_on_every_facility() {
    let scratch = Scratch::new("every-procedure");
    let named = |folder: &str| -> Vec<PathBuf> {
        let folders = std::fs::read_dir(project().join(folder)).unwrap().flatten();
        folders.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    // what other tools need, and where they work, is said in their tests, which run there (`fodo test`)
    let procedures = ["correct_orbit".to_string()];
    let facilities: Vec<String> =
        named("facilities").iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert!(!procedures.is_empty() && facilities.len() >= 5);
    let all: Vec<(&String, &String)> =
        procedures.iter().flat_map(|procedure| facilities.iter().map(move |facility| (procedure, facility))).collect();
    let failed = failures(&all, |(procedure, facility)| {
        let answer = json(&scratch, &["run", procedure, "--facility", facility]);
        let said = answer["error"]["message"].to_string();
        match answer["ok"] == true || said.contains(&format!("{facility} is a ")) || said.contains("has no family") {
            true => {
                eprintln!("{procedure} on {facility}: {}", if answer["ok"] == true { "ran" } else { &said });
                Ok(())
            }
            false => Err(format!("{procedure} on {facility}: {answer}")),
        }
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
