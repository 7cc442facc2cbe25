//! Requests that the machine must not get: limits, rights, units.

use super::{Case, hold, script};

pub(super) const CASES: &[Case] = &[
    script("limits_one", &["eval", r#"HCOR["HCOR_003"].set(1.3 * mrad)"#]).kind("limits"),
    script("limits_whole_set", &["eval", "HCOR.set(linspace(0.0 * mrad, 1.1 * mrad, HCOR.len))"]).kind("limits"),
    script("limits_in_a_procedure", &["run", "@/kick.rhai"]).kind("limits").with(&[("kick.rhai", KICK)]),
    script("limits_many", &["eval", "HCOR.step(2.0 * mrad)", "--facility", "ebs_ring"]).kind("limits"),
    script("wrong_unit", &["eval", "HCOR[0].step(5.0 * A)"]),
    script("no_unit", &["eval", "HCOR[0].step(5.0)"]),
    script("wrong_unit_sum", &["eval", "5.0 * A + 1.0 * rad"]),
    script("wrong_unit_vector", &["eval", "HCOR.step(linspace(0.0 * A, 1.0 * A, HCOR.len))"]),
    script("wrong_unit_asked", &["eval", r#"HCOR[0].get("Hz")"#]),
    script("wrong_count", &["eval", r#"HCOR.step(vector([1.0, 2.0], "urad"))"#]),
    script("not_a_number", &["eval", "HCOR[0].step(0.0 / 0.0 * urad)"]).kind("limits"),
    script("read_only_field", &["eval", "BPM[0].set(1.0 * mm)"]),
    script("family_not_declared", &["run", "@/sneak.rhai"]).kind("rights").with(&[("sneak.rhai", SNEAK)]),
    script("family_not_declared_after_a_write", &["run", "@/sneak.rhai"])
        .kind("rights")
        .with(&[("sneak.rhai", SNEAK_LATER)]),
    script("family_not_declared_by_the_caller", &["run", "@/outer.rhai"]).kind("rights").with(&[("outer.rhai", OUTER)]),
    script("argument_widens_rights", &["run", "@/widen.rhai"]).kind("rights").with(&[("widen.rhai", WIDEN)]),
    script("argument_widens_rights_in_a_list", &["run", "@/kick_all.rhai", "--set", "knobs=HCOR, QF"])
        .kind("rights")
        .unplaced()
        .with(&[("kick_all.rhai", KICK_ALL)]),
    script("nothing_to_undo", &["eval", "undo()"]),
];

const KICK: &str = r#"
//! # Kick too hard

procedure(#{ changes: ["HCOR"], parameters: #{} });

fn run(p) {
    HCOR[0].step(100.0 * urad);
    HCOR.step(0.95 * mrad);
}
"#;

const SNEAK: &str = r#"
//! # Says HCOR, writes QF

procedure(#{ changes: ["HCOR"], parameters: #{} });

fn run(p) { QF.step(0.001 / m ** 2); }
"#;

const SNEAK_LATER: &str = r#"
//! # Says HCOR, writes QF

procedure(#{ changes: ["HCOR"], parameters: #{} });

fn run(p) {
    HCOR.step(10.0 * urad);
    QF.step(0.001 / m ** 2);
}
"#;

const WIDEN: &str = r#"
//! # Hands over a family of another role

procedure(#{ changes: ["HCOR", "QF"], parameters: #{} });

fn run(p) {
    HCOR.step(10.0 * urad);
    correct_orbit(#{ horizontal: QF })
}
"#;

const KICK_ALL: &str = r#"
//! # Step families of correctors

procedure(#{
    changes: ["knobs"],
    parameters: #{ knobs: families(["HCOR"], #{ roles: ["horizontal corrector", "vertical corrector"], help: "correctors" }) },
});

fn run(p) {
    for family in p.knobs { family[0].step(1.0 * urad); }
}
"#;

const OUTER: &str = r#"
//! # Changes nothing, it says

procedure(#{ reads: ["BPM"], parameters: #{} });

fn run(p) { correct_orbit(#{ iterations: 1 }) }
"#;

#[test]
fn requests_to_the_machine() {
    hold(CASES);
}
