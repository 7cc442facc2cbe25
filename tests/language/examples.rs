//! The documentation of every builtin and of the standard library: complete, and its examples run.

use super::bench::{Bench, files};
use fodo_devices::{Facility, Folder};
use fodo_language::{Block, FunctionDoc, FunctionUse, Setup, blocks, engine, functions, script_functions};
use fodo_tests::{failures, project};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What scripts can use, by subject: builtins that are called or read, and the libraries.
pub fn documented() -> BTreeMap<String, Vec<FunctionDoc>> {
    let facility = Facility::load(Arc::new(Folder(project().join("facilities/demo_ring")))).unwrap();
    let mut found: BTreeMap<String, Vec<FunctionDoc>> = BTreeMap::new();
    found.insert("language".into(), ours(functions(&engine(Setup::default()))));
    for subject in fodo_builtins::subjects() {
        found.insert(subject.name.into(), ours(subject.functions(&facility)));
    }
    for path in files("stdlib", "rhai") {
        let tree = rhai::Engine::new().compile_file(path.clone()).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        found.entry(format!("library {name}")).or_default().extend(script_functions(&tree));
    }
    found
}

/// Without the hooks of Rhai, and without what comes with Rhai itself and is not said anew: that is in Rhai's own book.
fn ours(all: Vec<FunctionDoc>) -> Vec<FunctionDoc> {
    const HOOKS: [&str; 3] = ["to_string", "to_debug", "print"];
    let rhai: BTreeSet<String> = functions(&rhai::Engine::new()).into_iter().map(|f| f.name).collect();
    let said = |name: &str| all.iter().any(|f| f.name == name && !f.standard && !f.comment.is_empty());
    let kept = |f: &&FunctionDoc| {
        let used = matches!(f.usage, FunctionUse::Function | FunctionUse::Property);
        used && !f.standard && !HOOKS.contains(&f.name.as_str()) && (!rhai.contains(&f.name) || said(&f.name))
    };
    all.iter().filter(kept).cloned().collect()
}

/// Whether a text says in what its numbers are counted.
fn has_unit(text: &str) -> bool {
    ["[", "unit", "dimension", "As `", "as `", "see `"].iter().any(|word| text.contains(word))
}

const COUNTED: [&str; 5] = ["number", "integer", "quantity", "vector", "matrix"];

/// What one form of a function lacks.
fn lacks(doc: &FunctionDoc) -> Vec<String> {
    let mut lacking = Vec::new();
    let summary = doc.comment.split("\n\n").next().unwrap_or_default();
    if !summary.starts_with(char::is_uppercase) || !summary.trim_end().ends_with(['.', ']']) {
        lacking.push(format!("the first line is no sentence: {summary}"));
    }
    let parameters = doc.section("Parameters").unwrap_or_default();
    for (at, parameter) in doc.parameters.iter().enumerate() {
        let name = parameter.split(':').next().unwrap_or_default();
        let said = parameters.split("\n- ").find(|part| part.contains(&format!("`{name}`")));
        let counted = ["number", "integer", "quantity"].contains(&doc.parameter_type(at));
        if counted && said.is_some_and(|text| !has_unit(text)) {
            lacking.push(format!("`{name}` has no unit"));
        }
    }
    if COUNTED.contains(&doc.returns.as_str()) && !has_unit(doc.section("Returns").unwrap_or(&doc.comment)) {
        lacking.push("what it returns has no unit".into());
    }
    if !parameters.is_empty() && !doc.returns.is_empty() && doc.returns != "()" && doc.section("Returns").is_none() {
        lacking.push("no `# Returns`".into());
    }
    lacking
}

#[test]
fn every_builtin_is_documented() {
    let mut lacking = Vec::new();
    let mut count = 0;
    for (subject, all) in documented() {
        let mut names: BTreeMap<&str, Vec<&FunctionDoc>> = BTreeMap::new();
        all.iter().for_each(|f| names.entry(&f.name).or_default().push(f));
        for (name, forms) in names {
            count += 1;
            let said: Vec<&FunctionDoc> = forms.iter().filter(|f| !f.comment.is_empty()).copied().collect();
            let called = said.iter().any(|f| f.usage == FunctionUse::Function);
            let mut lack = |what: &str| lacking.push(format!("{subject}: {name}: {what}"));
            if said.is_empty() {
                lack("no documentation");
            }
            for heading in ["Errors", "Example"] {
                if called && !said.iter().any(|f| f.section(heading).is_some()) {
                    lack(&format!("no `# {heading}`"));
                }
            }
            said.iter().for_each(|f| lacks(f).iter().for_each(|what| lack(&format!("{what}: {}", f.signature))));
        }
    }
    assert!(count > 120, "only {count} were found");
    assert!(lacking.is_empty(), "{} lacking:\n{}", lacking.len(), lacking.join("\n"));
}

/// The check, help and completion know the options of every builtin from one declaration.
#[test]
fn every_builtin_declares_its_options() {
    let declared: BTreeSet<String> =
        fodo_builtins::options().iter().map(|options| options.owner().to_string()).collect();
    let mut count = 0;
    for (subject, all) in documented().into_iter().filter(|(subject, _)| !subject.starts_with("library")) {
        for doc in all.iter().filter(|doc| doc.parameters.last().is_some_and(|last| last.starts_with("options"))) {
            count += 1;
            assert!(declared.contains(&doc.name), "{subject}: {} declares no options", doc.signature);
            for options in fodo_builtins::options().iter().filter(|options| options.owner() == doc.name) {
                let undocumented: Vec<&str> =
                    options.parameters().iter().filter(|p| p.help.is_empty()).map(|p| p.name.as_str()).collect();
                assert!(undocumented.is_empty(), "{subject}: {}: no help for {undocumented:?}", doc.signature);
            }
        }
    }
    assert!(count > 15, "only {count} were found");
}

/// A library's functions are documented with the words of its own file: a hole in the rule must be seen.
#[test]
fn the_rule_sees_what_is_missing() {
    let text =
        "/// counts\n///\n/// # Parameters\n/// - `n`: how many.\n///\n/// # Returns\n/// The sum.\nfn f(n) { n }";
    let mut doc = script_functions(&rhai::Engine::new().compile(text).unwrap()).remove(0);
    doc.parameters = vec!["n: integer".into()];
    doc.returns = "number".into();
    assert_eq!(lacks(&doc).len(), 3, "{:?}", lacks(&doc));
    assert!(doc.section("Example").is_none() && doc.section("Returns") == Some("The sum."));
}

fn holds(of: &str, block: &Block) -> Result<(), String> {
    let result = Bench::new().script(&block.text);
    match (result, block.has("fails")) {
        (Ok(_), false) | (Err(_), true) => Ok(()),
        (Ok(_), true) => Err(format!("{of}: it must fail, and does not:\n{}", block.text)),
        (Err(error), false) => Err(format!("{of}:\n{}\n{}", block.text, error.render(false))),
    }
}

#[test]
fn examples_run() {
    let mut examples: Vec<(String, Block)> = Vec::new();
    for (subject, all) in documented() {
        for doc in all {
            let code = blocks(&doc.comment).into_iter().filter(|b| b.is("rhai"));
            examples.extend(code.map(|block| (format!("{subject}: {}", doc.signature), block)));
        }
    }
    examples.dedup_by(|a, b| a.1.text == b.1.text);
    assert!(examples.len() > 120, "only {} were found", examples.len());
    let failed = failures(&examples, |(of, block)| holds(of, block));
    assert!(failed.is_empty(), "{} of {} examples:\n{}", failed.len(), examples.len(), failed.join("\n"));
}
