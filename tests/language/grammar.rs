//! The grammar of the VS Code extension, with the library that VS Code tokenises with.

use super::bench::files;
use fodo_tests::{Scratch, project, skipped};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// The tokens of some scripts, or nothing without node.
fn tokens(paths: &[PathBuf]) -> Option<Value> {
    let modules = project().join("target/editor/node_modules");
    if !modules.is_dir() || Command::new("node").arg("--version").output().is_err() {
        skipped("grammar", "there is no node, or no vscode-textmate (tests/setup/editor.sh)");
        return None;
    }
    let mut node = Command::new("node");
    node.arg(project().join("tests/setup/grammar.js")).arg(modules);
    node.arg(project().join("repl/editors/vscode/syntaxes/rhai.tmLanguage.json")).args(paths);
    let output = node.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The scopes of the first token with this text in a line that contains `line`.
fn scopes(text: &str, told: &Value, line: &str, token: &str) -> String {
    let number = text.lines().position(|l| l.contains(line)).unwrap_or_else(|| panic!("there is no line `{line}`"));
    let tokens = told["lines"][number].as_array().unwrap();
    let found = tokens.iter().find(|t| t[0].as_str().unwrap().trim() == token);
    found.unwrap_or_else(|| panic!("`{line}` has no token `{token}`: {tokens:?}"))[1].to_string()
}

const SCRIPT: &str = r##"//! # Steps
procedure(#{
    changes: ["HCOR"],
    parameters: #{ kick: number(5.0, "urad", #{ min: 0.0, help: "how (far)" }) },
});

/// Twice `x`.
private fn scaled(x) { 2 * x } // done

fn run(p) {
    import "mml" as mml;
    let kick = `step ${p.kick + 5.0 * urad} of "${scaled(2)}"`;
    HCOR[0].step(-1.5e-3 * mrad);
    let m = 3; /* a /* nested */ comment */ print(m);
    if model.tune_x > 0.1 { mml::getx(); }
}
"##;

#[test]
fn words_have_their_colours() {
    let scratch = Scratch::new("grammar");
    let path = scratch.file("step.rhai", SCRIPT);
    let Some(told) = tokens(std::slice::from_ref(&path)) else { return };
    let told = &told[path.to_str().unwrap()];
    assert_eq!(told["open"], false, "something is still open at the end");
    for (line, token, scope) in [
        ("//! # Steps", "# Steps", "markup.heading"),
        ("procedure(", "procedure", "keyword.other.header.rhai"),
        ("changes:", "changes", "keyword.other.header-entry"),
        ("parameters:", "number", "support.type.parameter"),
        ("parameters:", "min", "variable.parameter.option"),
        ("parameters:", "kick", "variable.other.option"),
        ("/// Twice", "`x`", "markup.inline.raw"),
        ("private fn", "scaled", "entity.name.function.rhai"),
        ("// done", "// done", "comment.line"),
        ("let kick", "urad", "support.constant.unit"),
        ("let kick", "scaled", "entity.name.function.call"),
        ("HCOR[0]", "HCOR", "constant.other.family"),
        ("HCOR[0]", "1.5e-3", "constant.numeric"),
        ("HCOR[0]", "mrad", "support.constant.unit"),
        ("nested", "print", "entity.name.function.call"),
        ("if model", "model", "variable.language"),
        ("if model", "mml", "entity.name.namespace"),
        ("import", "import", "keyword.control"),
    ] {
        let found = scopes(SCRIPT, told, line, token);
        assert!(found.contains(scope), "`{token}` in `{line}` is {found}, not {scope}");
    }
    // a property named as a unit is none
    assert!(!scopes(SCRIPT, told, "let m", "m").contains("keyword"));
}

#[test]
fn every_unit_is_known_and_every_shipped_script_ends_closed() {
    let scratch = Scratch::new("grammar-shipped");
    let units: String = fodo_builtins::unit_names().iter().map(|unit| format!("print(5.0 * {unit});\n")).collect();
    let path = scratch.file("units.rhai", &units);
    let mut paths = vec![path.clone()];
    paths.extend(["procedures", "stdlib", "scripts"].iter().flat_map(|folder| files(folder, "rhai")));
    let Some(told) = tokens(&paths) else { return };
    for (number, unit) in fodo_builtins::unit_names().iter().enumerate() {
        let line = told[path.to_str().unwrap()]["lines"][number].to_string();
        assert!(line.contains(&format!("[\"{unit}\",[\"support.constant.unit.rhai\"]]")), "{unit}: {line}");
    }
    for path in &paths {
        assert_eq!(told[path.to_str().unwrap()]["open"], false, "{}", path.display());
    }
}
