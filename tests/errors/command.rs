//! Mistakes on the command line.

use super::{Case, hold, script, usage};

pub(super) const CASES: &[Case] = &[
    usage("unknown_procedure", &["run", "corect_orbit"]),
    usage("unknown_procedure_far", &["run", "make_coffee"]),
    usage("unknown_facility", &["run", "correct_orbit", "--facility", "demo_rng"]),
    usage("unknown_parameter", &["run", "correct_orbit", "--set", "cutof=1e-3"]),
    usage("parameter_out_of_range", &["run", "correct_orbit", "--set", "cutoff=2"]),
    usage("parameter_not_a_number", &["run", "correct_orbit", "--set", "cutoff=small"]),
    usage("parameter_not_a_choice", &["run", "correct_orbit", "--set", "response=mesured"]),
    usage("parameter_unknown_family", &["run", "correct_orbit", "--set", "horizontal=HCORR"]),
    script("parameter_wrong_family", &["run", "correct_orbit", "--set", "horizontal=BPM"]).kind("rights").unplaced(),
    script("parameter_unknown_device", &["run", "correct_orbit", "--set", "bad_monitors=BPM_99"]),
    usage("missing_file", &["run", "@/correct_tune.rhai"]),
    usage("missing_file_check", &["check", "@/nowhere"]),
    usage("parameter_of_a_script", &["run", "@/plain.rhai", "--set", "gain=1"]).with(&[("plain.rhai", "print(1);\n")]),
    usage("wrong_unit_of_a_parameter", &["run", "@/step_orbit.rhai", "--set", "step=5 A"])
        .with(&[("step_orbit.rhai", STEP)]),
    usage("parameter_missing", &["run", "@/step_orbit.rhai"]).with(&[("step_orbit.rhai", STEP)]),
];

const STEP: &str = r#"
//! # Step one corrector

procedure(#{
    changes: ["HCOR"],
    parameters: #{ step: number((), "urad", #{ min: -50.0, max: 50.0, help: "how far" }) },
});

fn run(p) { HCOR[0].step(p.step); }
"#;

#[test]
fn command_lines() {
    hold(CASES);
}
