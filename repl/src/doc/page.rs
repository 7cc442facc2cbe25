//! The pages of the reference, in Markdown.

use super::{Manual, Procedure, Script, Subject, parts, with_unit};
use fodo_builtins::Property;
use fodo_language::{FunctionDoc, FunctionUse};
use std::collections::BTreeMap;

/// The first line of a page, for who would edit it.
const MADE: &str = "<!-- Written by `fodo doc --out`; the text stands in the comments of the source. -->";

impl Manual {
    /// File names with their texts: the index, and one page for each subject.
    pub(super) fn pages(&self) -> Vec<(String, String)> {
        let page = |subject: &Subject| (format!("{}.md", subject.name), of_subject(subject));
        [("index.md".to_string(), self.overview())].into_iter().chain(self.subjects.iter().map(page)).collect()
    }

    fn overview(&self) -> String {
        let mut text = format!(
            "{MADE}\n\n# Reference\n\nEvery function, property and procedure, by subject. At the prompt `help(name)` shows the same text, in the \
             shell `fodo doc NAME`.\n\n| subject | what is in it |\n|---|---|\n"
        );
        for subject in &self.subjects {
            let mut names: Vec<String> = subject.names().map(|name| format!("`{name}`")).collect();
            names.dedup();
            let name = &subject.name;
            text.push_str(&format!("| [{name}]({name}.md) | {} {} |\n", subject.about, names.join(", ")));
        }
        text
    }
}

fn of_subject(subject: &Subject) -> String {
    let mut text = format!("{MADE}\n\n# {}\n\n{}\n", subject.name, subject.about);
    if subject.name == "quantity" {
        let names: Vec<String> = fodo_builtins::unit_names().iter().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!("\nUnits with a name of their own: {}.\n", names.join(", ")));
    }
    for procedure in &subject.procedures {
        text.push_str(&of_procedure(procedure));
    }
    let (called, read): (Vec<&FunctionDoc>, Vec<&FunctionDoc>) =
        subject.functions.iter().partition(|f| f.usage == FunctionUse::Function);
    for functions in by_name(&called).values() {
        text.push_str(&of_functions("", functions));
    }
    text.push_str(&properties(&read, &subject.properties));
    if !subject.operators.is_empty() {
        text.push_str(&format!("\n## Operators and indexing\n\n```text\n{}\n```\n", subject.operators.join("\n")));
    }
    for script in &subject.libraries {
        text.push_str(&of_library(script));
    }
    text
}

fn by_name<'f>(functions: &[&'f FunctionDoc]) -> BTreeMap<&'f str, Vec<&'f FunctionDoc>> {
    let mut found: BTreeMap<&str, Vec<&FunctionDoc>> = BTreeMap::new();
    functions.iter().for_each(|f| found.entry(&f.name).or_default().push(f));
    found
}

/// Signatures and text of each form of a function, for a window of an editor.
pub fn markdown(functions: &[&FunctionDoc]) -> String {
    let part = |(signatures, comment): (Vec<&str>, &str)| {
        format!("```text\n{}\n```\n\n{}", signatures.join("\n"), lowered(comment))
    };
    parts(functions.iter().copied()).into_iter().map(part).collect::<Vec<_>>().join("\n\n---\n\n")
}

/// A heading, then signatures and text of each form.
fn of_functions(library: &str, functions: &[&FunctionDoc]) -> String {
    let name = functions.first().map_or("", |f| f.name.as_str());
    let mut text = format!("\n## {library}{name}\n");
    for (signatures, comment) in parts(functions.iter().copied()) {
        let signatures: Vec<String> = signatures.iter().map(|s| format!("{library}{s}\n")).collect();
        text.push_str(&format!("\n```text\n{}```\n\n{}\n", signatures.concat(), lowered(comment)));
    }
    text
}

/// A doc comment whose headings are bold words.
fn lowered(comment: &str) -> String {
    let mut code = false;
    let mut lines = Vec::new();
    for line in comment.trim().lines() {
        code ^= line.starts_with("```");
        match line.strip_prefix("# ").filter(|_| !code) {
            Some(heading) => lines.push(format!("**{heading}**\n")),
            None => lines.push(line.to_string()),
        }
    }
    lines.join("\n")
}

fn properties(read: &[&FunctionDoc], properties: &[Property]) -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    for f in read {
        rows.push([format!("`{}.{}`", f.parameter_type(0), f.name), f.returns.clone(), f.summary().to_string()]);
    }
    for p in properties {
        rows.push([format!("`{}.{}`", p.of, p.name), p.kind.into(), with_unit(p)]);
    }
    match rows.is_empty() {
        true => String::new(),
        false => format!("\n## Properties\n\n{}", table(["property", "type", "what it is"], &rows)),
    }
}

fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.map(String::from).to_vec());
    text.push_str(&format!("|{}\n", "---|".repeat(N)));
    rows.iter().for_each(|row| text.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|")).collect())));
    text
}

fn of_library(script: &Script) -> String {
    let name = &script.name;
    let mut text = format!("\n## Library {name}: {}\n\n{}\n", script.title, script.text);
    text.push_str(&format!("\n```text\nimport \"{name}\" as {name};\n```\n"));
    let functions: Vec<&FunctionDoc> = script.functions.iter().collect();
    for functions in by_name(&functions).values() {
        text.push_str(&of_functions(&format!("{name}::"), functions));
    }
    text
}

fn of_procedure(procedure: &Procedure) -> String {
    let Procedure { folder, header } = procedure;
    let name = &header.name;
    let mut text = format!("\n## {name}\n\n{}. `procedures/{folder}/{name}.rhai`\n\n{}\n", header.title, header.text);
    let declared = header.declared().into_iter().map(|(what, entries)| {
        let names = ["changes", "reads", "watchers"].contains(&what);
        let entries: Vec<String> =
            entries.into_iter().map(|entry| if names { format!("`{entry}`") } else { entry }).collect();
        [what.to_string(), entries.join(if names { ", " } else { "; " })]
    });
    let declared: Vec<[String; 2]> = declared.collect();
    if !declared.is_empty() {
        text.push_str(&format!("\n{}", table(["its header", "declares"], &declared)));
    }
    let rows = header
        .rows()
        .into_iter()
        .map(|[name, kind, default, range, help]| [format!("`{name}`"), kind, default, range, help]);
    let rows: Vec<[String; 5]> = rows.collect();
    if !rows.is_empty() {
        text.push_str(&format!("\n{}", table(["parameter", "kind", "default", "range", "what it is"], &rows)));
    }
    text
}
