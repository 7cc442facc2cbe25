//! Scripts that would do harm: endless, deep, huge, or beyond their rights. Each ends with a clear error and leaves the
//! machine as it was.

use super::{Case, hold, script};

pub(super) const CASES: &[Case] = &[
    script("hostile_endless", &["run", "@/x.rhai", "--max-time", "2 s"])
        .kind("limits")
        .unplaced()
        .with(&[("x.rhai", ENDLESS)]),
    script("hostile_endless_wait", &["run", "@/x.rhai", "--max-time", "2 s"])
        .kind("limits")
        .with(&[("x.rhai", "HCOR.step(5.0 * urad);\nwhile true { wait(1e6 * s); }\n")]),
    script("hostile_endless_in_spite_of_catch", &["run", "@/x.rhai", "--max-time", "2 s"])
        .kind("limits")
        .with(&[("x.rhai", CATCH)]),
    script("hostile_recursion", &["run", "@/x.rhai"]).with(&[("x.rhai", RECURSION)]),
    script("hostile_recursion_by_callbacks", &["run", "@/x.rhai"]).with(&[("x.rhai", BY_CALLBACKS)]),
    script("hostile_recursion_of_a_procedure", &["run", "nest", "--procedures", "@"]).with(&[("nest.rhai", NEST)]),
    script("hostile_array", &["run", "@/x.rhai"]).with(&[("x.rhai", "let a = [0];\nloop {\n    a += a;\n}\n")]),
    script("hostile_arrays", &["run", "@/x.rhai", "--max-memory", "0.5"]).kind("limits").with(&[("x.rhai", ARRAYS)]),
    script("hostile_text", &["run", "@/x.rhai"]).with(&[("x.rhai", "let t = \"x\";\nloop {\n    t += t;\n}\n")]),
    script("hostile_map", &["run", "@/x.rhai", "--max-memory", "0.1"]).kind("limits").with(&[("x.rhai", MAP)]),
    script("hostile_vector", &["eval", "fill(1_000_000_000_000, 1.0)"]),
    script("hostile_matrix", &["run", "@/x.rhai"]).with(&[("x.rhai", MATRIX)]),
    script("hostile_vectors", &["run", "@/x.rhai", "--max-memory", "0.5"]).kind("limits").with(&[("x.rhai", VECTORS)]),
    script("hostile_expression", &["run", "@/x.rhai"]).with(&[("x.rhai", EXPRESSION)]),
    script("hostile_callback", &["run", "@/x.rhai"]).kind("rights").with(&[("x.rhai", CALLBACK)]),
    script("hostile_callback_later", &["run", "@/x.rhai"]).kind("rights").with(&[("x.rhai", CALLBACK_LATER)]),
    script("hostile_function_returned", &["run", "@/x.rhai", "--procedures", "@/own"])
        .kind("rights")
        .with(&[("x.rhai", "let later = trap().later;\nlater.call();\n"), ("own/trap.rhai", TRAP)]),
    script("hostile_eval", &["run", "@/x.rhai"]).with(&[("x.rhai", EVAL)]),
    script("hostile_import_outside", &["run", "@/x.rhai"])
        .kind("rights")
        .with(&[("x.rhai", "import \"/etc/passwd\" as p;\n")]),
    script("handed_function", &["run", "@/x.rhai"]).with(&[("x.rhai", HANDED)]),
    script("handed_function_kept", &["run", "@/x.rhai"]).with(&[("x.rhai", HANDED_KEPT)]),
];

const ENDLESS: &str = r#"
//! # Never ends

procedure(#{ changes: ["HCOR"] });

fn run(p) {
    HCOR.step(5.0 * urad);
    while true {}
}
"#;

const CATCH: &str = r#"
HCOR.step(5.0 * urad);
while true {
    try { while true { get_orbit(); } } catch { HCOR.step(1.0 * urad); }
}
"#;

const RECURSION: &str = r#"
fn deeper(n) { 1 + deeper(n + 1) }
HCOR[0].step(5.0 * urad);
deeper(0);
"#;

const BY_CALLBACKS: &str = r#"
fn deeper(n) { with_restore(|| [n].map(|k| deeper(k + 1))) }
HCOR[0].step(5.0 * urad);
deeper(0);
"#;

const NEST: &str = r#"
//! # A procedure that calls itself

procedure(#{ changes: ["HCOR"] });

fn run(p) {
    HCOR[0].step(0.001 * urad);
    nest();
}
"#;

const ARRAYS: &str = r#"
let part = [];
part.pad(100_000, 1.0);
let kept = #{};
fn keep(part, n) { if n == 0 { 0 } else { let mine = part; mine[0] = n; keep(mine, n - 1) + mine[0] } }
keep(part, 900);
"#;

const MAP: &str = r#"
let m = #{};
let k = 0;
loop {
    // large entries, so that the bound is nearly always met at the same place
    m[`key ${k}`] = fill(50_000, 1.0);
    k += 1;
}
"#;

const MATRIX: &str = r#"
let row = matrix([fill(100_000, 1.0)]);
let huge = row.transpose() * row;
"#;

const VECTORS: &str = r#"
HCOR.step(5.0 * urad);
let kept = [];
for k in 0..1000 {
    kept.push(fill(1_000_000, 1.0));
}
"#;

const EXPRESSION: &str = concat!(
    "let x = ",
    "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
    "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
    "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1\n"
);

const CALLBACK: &str = r#"
//! # Says HCOR, writes VCOR in a callback

procedure(#{ changes: ["HCOR"] });

fn run(p) {
    HCOR.step(5.0 * urad);
    with_restore(|| [1, 2].map(|k| VCOR[k].step(5.0 * urad)));
}
"#;

const CALLBACK_LATER: &str = r#"
//! # Says HCOR, writes VCOR where an error is awaited

procedure(#{ changes: ["HCOR"] });

fn run(p) {
    let write = bind(|| VCOR[0].step(5.0 * urad));
    try { throw "now"; } catch { write.invoke(); }
}
"#;

const TRAP: &str = r#"
//! # Hands a function to a caller with wider rights

procedure(#{ changes: [] });

fn run(p) { #{ later: || VCOR[0].step(5.0 * urad) } }
"#;

const EVAL: &str = r#"
procedure(#{ changes: ["HCOR"] });

fn run(p) { eval("VCOR[0].step(5.0 * urad)") }
"#;

const HANDED: &str = r#"
import "mml" as mml;
fn getx() { 42 }
mml::getz(|x| getx(), 1);
"#;

const HANDED_KEPT: &str = r#"
import "mml" as mml;
let mine = |x| x + 1;
mml::getz(mine, 1);
"#;

#[test]
fn scripts_that_would_do_harm() {
    hold(CASES);
}
