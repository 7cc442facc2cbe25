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
    usage("lattice_missing", &["lattice", "@/ring.mat"]),
    usage("lattice_of_no_known_format", &["lattice", "@/ring.seq"]).kind("facility").with(&[("ring.seq", "")]),
    usage("lattice_unstable", &["lattice", "@/ring.toml"]).kind("facility").with(&[("ring.toml", UNSTABLE)]),
    script("lattice_wrong_at_a_line", &["lattice", "@/ring.json"])
        .kind("facility")
        .with(&[("ring.json", "{\"elements\": [}\n")]),
    usage("track_no_particles", &["track", "facilities/demo_ring/lattice.toml", "--particles", "0"]),
    usage("track_particles_missing", &["track", "facilities/demo_ring/lattice.toml", "--particles", "@/start.csv"]),
    usage("track_unknown_coordinate", &["track", "facilities/demo_ring/lattice.toml", "--particles", "@/start.csv"])
        .with(&[("start.csv", "x, xp\n1e-3, 0\n")]),
    usage("track_not_a_number", &["track", "facilities/demo_ring/lattice.toml", "--particles", "@/start.csv"])
        .with(&[("start.csv", "x, px\n1e-3, 0\n1 mm, 0\n")]),
    usage("track_unmatched_bunch", &["track", "@/ring.toml", "--particles", "10"])
        .kind("facility")
        .with(&[("ring.toml", UNSTABLE)]),
    script("load_lattice_in_a_procedure", &["run", "@/read_lattice.rhai"])
        .kind("rights")
        .with(&[("read_lattice.rhai", READ)]),
    usage("unknown_topic", &["doc", "measur_response"]),
    script("test_fails", &["test", "@/orbit.test.md"]).with(&[("orbit.test.md", FAILS)]),
    script("test_fails_with_some_seeds", &["test", "@/orbit.test.md", "--seeds", "4"])
        .with(&[("orbit.test.md", SOME_SEEDS)]),
    script("test_does_not_fail", &["test", "@/orbit.test.md"]).with(&[("orbit.test.md", MUST_FAIL)]),
    script("test_without_section", &["test", "@/orbit.test.md"]).with(&[("orbit.test.md", NO_SECTION)]),
    script("test_in_an_open_block", &["test", "@/orbit.test.md"])
        .with(&[("orbit.test.md", "## It runs\n\n```rhai\n1\n")]),
    script("test_unreadable", &["test", "@/"])
        .with(&[("a.test.rhai", "fn test_a() { let x = 1 + ; }\n"), ("b.test.rhai", "fn test_b() {}\n")]),
    usage("test_file_missing", &["test", "@/orbit.test.md"]).with(&[("orbits.test.md", FAILS)]),
    usage("test_beside_nothing", &["test", "@/plain.rhai"]).with(&[("plain.rhai", "print(1);\n")]),
    usage("test_on_live", &["test", "--on", "live"]),
    usage("parameter_missing", &["run", "@/step_orbit.rhai"]).with(&[("step_orbit.rhai", STEP)]),
];

const FAILS: &str = r#"
# The orbit: tests

## The orbit is flat

It is not: the quadrupoles are misaligned.

```rhai
let orbit = get_orbit();
print(`${orbit.x.len} monitors`);
assert(orbit.x.rms() < 1.0 * um, "the orbit is not flat");
```

## Setpoints start at zero

```rhai
assert(HCOR.setpoint().max_abs() == 0.0 * rad);
```
"#;

const SOME_SEEDS: &str = r#"
## The orbit is below 400 µm

```rhai
assert(get_orbit().x.rms() < 400.0 * um);
```
"#;

const MUST_FAIL: &str = r#"
## A step too far is refused

```rhai
HCOR[0].step(1.0 * urad); // error: would leave its limits
```
"#;

const NO_SECTION: &str = r#"
# The orbit: tests

```rhai
assert(true);
```
"#;

/// A ring of nothing but a strong quadrupole and a drift.
const UNSTABLE: &str = r#"
name = "unstable"
energy = 1e9

[elements.Q]
type = "quadrupole"
length = 1.0
k1 = 30.0

[elements.D]
type = "drift"
length = 5.0

[lines]
ring = ["Q", "D"]
"#;

const READ: &str = r#"
//! # Read a lattice

procedure(#{ changes: [] });

fn run(p) { load_lattice("facilities/demo_ring/lattice.toml") }
"#;

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
