//! Mistakes in scripts.

use super::{Case, hold, script};

pub(super) const CASES: &[Case] = &[
    script("unknown_family", &["eval", "BMP.x"]),
    script("unknown_family_call", &["eval", "HCRO.setpoint()"]),
    script("unknown_device", &["eval", r#"HCOR["HCOR_01"].get()"#]),
    script("unknown_device_far", &["eval", r#"HCOR["north"].get()"#]),
    script("unknown_device_number", &["eval", "HCOR[16].get()"]),
    script("unknown_field", &["eval", r#"HCOR.get("kik")"#]),
    script("unknown_property", &["eval", "BPM.lenght"]),
    script("unknown_device_property", &["eval", r#"BPM["BPM_001"].x"#]),
    script("unknown_model_function", &["eval", "model.betax"]),
    script("unknown_function", &["eval", "get_orbt()"]),
    script("unknown_method", &["eval", "HCOR.steps(1.0 * urad)"]),
    script("unknown_parameter_in_a_call", &["eval", "correct_orbit(#{ cutof: 1e-3 })"]),
    script("parameter_out_of_range_in_a_call", &["eval", "correct_orbit(#{ cutoff: 5 })"]),
    script("unknown_option", &["eval", "get_orbit(BPM, #{ shot: 3 })"]),
    script("option_out_of_range", &["eval", "measure_response(HCOR, BPM, #{ shots: 0 })"]),
    script("option_wrong_unit", &["eval", "measure_response(HCOR, BPM, #{ delta: 1.0 * A })"]),
    script("wrong_argument", &["eval", "get_orbit(3)"]),
    script("syntax", &["run", "@/typo.rhai"])
        .with(&[("typo.rhai", "let orbit = get_orbit();\nprint(orbit.x.rms();\n")]),
    script("syntax_open_text", &["run", "@/typo.rhai"]).with(&[("typo.rhai", "print(\"orbit);\n")]),
    script("syntax_open_bracket", &["run", "@/typo.rhai"])
        .with(&[("typo.rhai", "fn twice(x) {\n    2 * x\n\ntwice(1)\n")]),
    script("syntax_in_a_procedure", &["run", "@/step.rhai"]).with(&[("step.rhai", SYNTAX)]),
    script("thrown", &["eval", r#"throw "the beam is lost""#]),
    script("call_chain", &["run", "@/outer.rhai"]).with(&[("outer.rhai", CHAIN)]),
    script("no_run", &["run", "@/step.rhai"])
        .with(&[("step.rhai", "procedure(#{ changes: [\"HCOR\"], parameters: #{} });\n\nfn rum(p) {}\n")]),
    script("header_unknown_entry", &["run", "@/step.rhai"])
        .with(&[("step.rhai", "procedure(#{\n    chnages: [\"HCOR\"],\n    parameters: #{},\n});\n\nfn run(p) {}\n")]),
    script("header_unknown_option", &["run", "@/step.rhai"]).with(&[(
        "step.rhai",
        "procedure(#{\n    parameters: #{ gain: number(1.0, \"1\", #{ minimum: 0.0 }) },\n});\n\nfn run(p) {}\n",
    )]),
    script("header_no_unit", &["run", "@/step.rhai"])
        .with(&[("step.rhai", "procedure(#{ parameters: #{\n    step: number(5.0),\n} });\n\nfn run(p) {}\n")]),
    script("header_wrong_unit", &["run", "@/step.rhai"]).with(&[(
        "step.rhai",
        "procedure(#{ parameters: #{\n    step: number(5.0, \"uradd\"),\n} });\n\nfn run(p) {}\n",
    )]),
    script("header_default_out_of_range", &["run", "@/step.rhai"]).with(&[(
        "step.rhai",
        "procedure(#{ parameters: #{\n    gain: number(2.0, \"1\", #{ min: 0.0, max: 1.0 }),\n} });\n\nfn run(p) {}\n",
    )]),
    script("header_calculates", &["run", "@/step.rhai"])
        .with(&[("step.rhai", "procedure(#{ parameters: #{ step: number(HCOR.len, \"1\") } });\n\nfn run(p) {}\n")]),
    script("header_undeclared", &["run", "@/step.rhai"])
        .with(&[("step.rhai", "procedure(#{ parameters: #{\n    gain: 1.0,\n} });\n\nfn run(p) {}\n")]),
    script("header_unknown_family", &["run", "@/step.rhai"])
        .with(&[("step.rhai", "procedure(#{ changes: [\"HCRO\"], parameters: #{} });\n\nfn run(p) {}\n")]),
    script("two_headers", &["run", "@/step.rhai"])
        .with(&[("step.rhai", "procedure(#{ parameters: #{} });\nprocedure(#{ parameters: #{} });\n\nfn run(p) {}\n")]),
    script("undeclared_parameter", &["run", "@/step.rhai"]).with(&[(
        "step.rhai",
        "procedure(#{ parameters: #{ gain: number(1.0, \"1\") } });\n\nfn run(p) {\n    2.0 * p.gian\n}\n",
    )]),
    script("header_unknown_state_of_a_feedback", &["run", "@/step.rhai"]).with(&[(
        "step.rhai",
        "procedure(#{\n    changes: [\"HCOR\"],\n    feedbacks: #{ orbit: \"of\" },\n});\n\nfn run(p) {}\n",
    )]),
    Case {
        kind: "facility",
        ..script("header_unknown_watcher", &["run", "@/step.rhai"]).with(&[(
        "step.rhai",
        "procedure(#{\n    changes: [\"HCOR\"],\n    watchers: [\"bem\"],\n});\n\nfn run(p) {}\n",
    )])
    },
    Case {
        kind: "machine",
        ..script("header_feedback_is_off", &["run", "@/step.rhai"]).with(&[(
        "step.rhai",
        "procedure(#{\n    changes: [\"HCOR\"],\n    feedbacks: #{ orbit: \"on\" },\n});\n\nfn run(p) {}\n",
    )]).unplaced()
    },
    script("parameter_never_used", &["check", "@/step.rhai"]).with(&[(
        "step.rhai",
        "procedure(#{ parameters: #{\n    gain: number(1.0, \"1\"),\n    shots: integer(1),\n} });\n\nfn run(p) {\n    2 * p.shots\n}\n",
    )]),
    script("unknown_import", &["run", "@/plain.rhai"]).with(&[("plain.rhai", "import \"mlm\" as mml;\nprint(1);\n")]),
    script("not_imported", &["eval", "getx()"]),
    script("imported_without_its_name", &["run", "@/plain.rhai"])
        .with(&[("plain.rhai", "import \"mml\" as machine;\nprint(getam(\"BPMx\"));\n")]),
    script("no_let", &["eval", "shots = 3"]),
    script("no_let_before_growing", &["run", "@/plain.rhai"]).with(&[("plain.rhai", "for i in 0..3 { sum += i; }\n")]),
    script("unit_without_a_star", &["eval", "HCOR.step(5 urad)"]),
    script("named_argument", &["eval", "get_orbit(BPM, shots = 3)"]),
    script("range_with_a_colon", &["run", "@/plain.rhai"]).with(&[("plain.rhai", "for i in 1:10 {\n    print(i);\n}\n")]),
    script("loop_as_in_matlab", &["run", "@/plain.rhai"]).with(&[("plain.rhai", "for i = 1:10\n    print(i);\nend\n")]),
    script("part_with_a_colon", &["eval", "BPM[0:4]"]),
    script("comment_as_in_matlab", &["run", "@/plain.rhai"])
        .with(&[("plain.rhai", "% the orbit\nprint(get_orbit());\n")]),
    script("comment_as_in_python", &["run", "@/plain.rhai"])
        .with(&[("plain.rhai", "print(get_orbit()); # the orbit\n")]),
    script("block_until_end", &["run", "@/plain.rhai"])
        .with(&[("plain.rhai", "if BPM.len > 3\n    print(1);\nend\n")]),
    script("block_behind_a_colon", &["run", "@/plain.rhai"])
        .with(&[("plain.rhai", "for q in QF:\n    print(q)\n")]),
    script("end_behind_a_block", &["eval", "if BPM.len > 3 { print(1) } end"]),
    script("function_as_in_python", &["run", "@/plain.rhai"]).with(&[("plain.rhai", "def twice(x):\n    2 * x\n")]),
    script("else_if_as_in_python", &["eval", "if BPM.len > 3 { 1 } elif BPM.len > 2 { 2 }"]),
    script("power_by_a_hat", &["eval", "2^3"]),
    script("power_of_a_quantity_by_a_hat", &["eval", "(2.0 * mm)^2"]),
    script("and_in_words", &["eval", "BPM.len > 3 and QF.len > 3"]),
    script("not_in_words", &["eval", "if not model.energy { 1 }"]),
    script("none_as_in_python", &["eval", "None"]),
    script("true_as_in_python", &["eval", "True"]),
    script("null", &["eval", "let x = null"]),
    script("text_in_single_quotes", &["eval", "print('the orbit')"]),
    script("map_without_its_sign", &["eval", "let options = {shots: 3}"]),
    script("entry_by_entry_as_in_matlab", &["eval", "get_orbit().x .* get_orbit().y"]),
    script("check_as_elsewhere", &["check", "@/plain.rhai"]).with(&[("plain.rhai", CHECKED_ELSEWHERE)]),
    script("check_units_options_and_rights", &["check", "@/step.rhai"]).with(&[("step.rhai", CHECKED_DEEPLY)]),
    script("check_imports", &["check", "@/steps.rhai"]).with(&[("steps.rhai", CHECKED_IMPORTS)]),
    script("check_finds", &["check", "@/step.rhai"]).with(&[("step.rhai", CHECKED)]),
];

const SYNTAX: &str = r#"
//! # Steps

procedure(#{ changes: ["HCOR"], parameters: #{} });

fn run(p) {
    for corrector in HCOR
        corrector.step(1.0 * urad);
}
"#;

const CHAIN: &str = r#"
//! # One procedure calls another

procedure(#{ changes: ["HCOR", "VCOR", "RF"], reads: ["BPM"], parameters: #{} });

fn twice(monitors) {
    correct_orbit(#{ bad_monitors: monitors });
}

fn run(p) {
    HCOR.step(10.0 * urad);
    twice("BPM_001, BPM_0O2");
}
"#;

const CHECKED_ELSEWHERE: &str = r#"
print(getx());
shots = 3;
total += shots;
print(2^3);
print(2.5 ^ shots);
if True { print(None) }
"#;

const CHECKED: &str = r#"
//! # With mistakes

procedure(#{ changes: ["HCOR", "VCRO"], parameters: #{ gain: number(1.0, "1") } });

fn run(p) {
    let orbit = get_orbt();
    step_setpoints(HCOR, p.gian * orbit.x);
    print(orbti);
}
"#;

const CHECKED_DEEPLY: &str = r#"
//! # With mistakes that a run would find late

procedure(#{ changes: ["HCOR"], parameters: #{ kick: number(5.0, "urad") } });

fn run(p) {
    let correctors = [HCOR, VCOR];
    for family in correctors { family.step(p.kick); }
    let size = get_orbit(BPM, #{ shot: 3 });
    HCOR.step(5.0);
}
"#;

const CHECKED_IMPORTS: &str = r#"
import "mml" as mml;
import "mml" as mml;

print("größe"); mml::stepps(HCOR, 5.0 * urad);
"#;

#[test]
fn scripts() {
    hold(CASES);
}
