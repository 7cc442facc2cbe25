//! What is known about a name, as text for a terminal.

use super::{Manual, Procedure, Script, Subject, Topic, parts};
use crate::show;
use crate::words::counted;
use fodo_builtins::Property;
use fodo_devices::{Device, Family, Field};
use fodo_language::{FunctionDoc, FunctionUse, Value, article};
use std::io::IsTerminal;

impl Manual {
    pub(super) fn text(&self, topic: &Topic) -> String {
        match topic {
            Topic::Index => self.index(),
            Topic::Family(family) => of_family(family),
            Topic::Device(family, device) => of_device(family, device),
            Topic::Constant(name) => constant(name),
            Topic::Procedure(procedure) => of_procedure(procedure),
            Topic::Functions(functions) => of_functions(functions),
            Topic::Scripts(script, functions) => of_scripts(script, functions),
            Topic::Library(script) => of_library(script),
            Topic::Property(property) => of_property(property),
            Topic::Watchers(name) => self.of_watchers(name.as_deref()),
            Topic::Subject(subject) => summaries(subject),
        }
    }

    /// What can stand behind the dot of a value of this type; empty if nothing can.
    pub fn members(&self, kind: &str) -> String {
        let functions = self.subjects.iter().flat_map(|subject| &subject.functions);
        let of_kind = functions.filter(|f| f.parameter_type(0).eq_ignore_ascii_case(kind));
        let mut names: Vec<String> = of_kind.map(|f| f.name.clone()).collect();
        names.extend(fodo_builtins::properties().filter(|p| p.of == kind).map(|p| p.name.to_string()));
        names.sort();
        names.dedup();
        match names.is_empty() {
            true => String::new(),
            false => format!("{} has\n{}", article(kind), wrapped(&names, 2)).trim_end().to_string(),
        }
    }

    /// Watchers and feedbacks with what they ask for and the channel that tells; those of one name, or all.
    fn of_watchers(&self, name: Option<&str>) -> String {
        let wanted = |known: &str| name.is_none_or(|name| name == known);
        let watchers = self.facility.watchers.iter().filter(|watcher| wanted(&watcher.name));
        let watchers = watchers.map(|w| [w.name.to_string(), w.about(), w.channel.to_string()]);
        let feedbacks = self.facility.feedbacks.iter().filter(|feedback| wanted(&feedback.name));
        let feedbacks = feedbacks.map(|f| [f.name.to_string(), f.about(), f.channel.to_string()]);
        let part = |title: &str, rows: Vec<[String; 3]>| {
            let none = format!("  {} has none\n", self.facility.name);
            format!("{}\n{}", bold(title), if rows.is_empty() { none } else { table(&rows) })
        };
        let parts = [
            ("watchers: conditions that a header names, as in `watchers: [\"beam\"]`", watchers.collect::<Vec<_>>()),
            ("feedbacks: loops beside Fodo, as in `feedbacks: #{ tune: \"off\" }`", feedbacks.collect()),
        ];
        let shown = parts.into_iter().filter(|(_, rows)| name.is_none() || !rows.is_empty());
        shown.map(|(title, rows)| part(title, rows)).collect::<String>().trim_end().to_string()
    }

    /// Families and procedures, then every subject with its names.
    fn index(&self) -> String {
        let families: Vec<&str> = self.facility.families.iter().map(|f| f.name.as_ref()).collect();
        let procedures = self.subjects.iter().flat_map(|s| &s.procedures).map(|p| p.header.name.as_str());
        let orbit = &self.facility.orbit;
        let watchers: Vec<&str> = self.facility.watchers.iter().map(|watcher| watcher.name.as_ref()).collect();
        let feedbacks: Vec<&str> = self.facility.feedbacks.iter().map(|feedback| feedback.name.as_ref()).collect();
        let listed = |names: &[&str]| if names.is_empty() { "none".to_string() } else { names.join(", ") };
        let watchers = format!("{}; feedbacks: {}; see help(watchers)", listed(&watchers), listed(&feedbacks));
        let mut text = format!(
            "families:   {}\nprocedures: {}\nwatchers:   {}\nlook:       get_orbit(), {}.get(), model.{}\nchange:     {}[0].step(5.0 * urad), undo(), redo(), history()\n\n",
            families.join(", "),
            procedures.collect::<Vec<_>>().join(", "),
            watchers,
            orbit.monitors,
            if self.facility.kind.is_ring() { "tune_x" } else { "beta_x" },
            orbit.horizontal,
        );
        self.subjects.iter().for_each(|subject| text.push_str(&of_subject(subject)));
        text.push_str(&format!(
            "\nhelp(get_orbit) explains a function, help({}) a family, help(orbit) a subject; Tab completes names",
            orbit.monitors
        ));
        text
    }
}

fn of_subject(subject: &Subject) -> String {
    let mut names: Vec<String> = subject.procedures.iter().map(|procedure| procedure.header.name.clone()).collect();
    names.extend(subject.functions.iter().map(called));
    names.extend(subject.properties.iter().map(|property| format!(".{}", property.name)));
    for script in &subject.libraries {
        names.extend(script.functions.iter().map(|f| format!("{}::{}", script.name, f.name)));
    }
    names.dedup();
    format!("{}  {}\n{}", bold(&format!("{:<10}", subject.name)), subject.about, wrapped(&names, 12))
}

/// A subject with what each of its names is for.
fn summaries(subject: &Subject) -> String {
    let mut rows: Vec<[String; 2]> = Vec::new();
    rows.extend(subject.procedures.iter().map(|p| [p.header.name.clone(), p.header.title.clone()]));
    rows.extend(subject.functions.iter().map(|f| [called(f), f.summary().to_string()]));
    rows.extend(subject.properties.iter().map(|p| [format!(".{}", p.name), with_unit(p)]));
    for script in &subject.libraries {
        rows.extend(script.functions.iter().map(|f| [format!("{}::{}", script.name, f.name), f.summary().to_string()]));
    }
    // the first of several forms is the fullest
    rows.dedup_by(|next, kept| next[0] == kept[0]);
    format!("{}  {}\n{}", bold(&subject.name), subject.about, table(&rows).trim_end())
}

/// A name as it is used: `.name` for a property.
fn called(f: &FunctionDoc) -> String {
    if f.usage == FunctionUse::Property { format!(".{}", f.name) } else { f.name.clone() }
}

/// What a property is, with its unit.
pub fn with_unit(property: &Property) -> String {
    if property.unit.is_empty() { property.about.into() } else { format!("{} [{}]", property.about, property.unit) }
}

/// Names separated by commas, in lines that fit the terminal.
fn wrapped(names: &[String], indent: usize) -> String {
    let width = show::width().max(40);
    let pad = " ".repeat(indent);
    let (mut text, mut line) = (String::new(), pad.clone());
    for (at, name) in names.iter().enumerate() {
        let word = if at + 1 < names.len() { format!("{name}, ") } else { name.clone() };
        if line.len() + word.trim_end().len() > width && line.len() > indent {
            text.push_str(line.trim_end());
            text.push('\n');
            line = pad.clone();
        }
        line.push_str(&word);
    }
    text + line.trim_end() + "\n"
}

fn constant(name: &str) -> String {
    match name {
        "model" => "model: the design lattice; help(model.beta_x), or model.<Tab> lists what it knows".to_string(),
        "twin" => "twin: the twin of this program; twin.set_from_history(time) sets it as the machine was".to_string(),
        unit => format!("{unit}: a unit, as in `5.0 * {unit}`"),
    }
}

fn of_property(property: &Property) -> String {
    let signature = bold(&format!("{}.{} -> {}", property.of, property.name, property.kind));
    format!("{signature}\n{}", with_unit(property))
}

fn of_functions(functions: &[&FunctionDoc]) -> String {
    parts(functions.iter().copied()).iter().map(part).collect::<Vec<_>>().join("\n\n")
}

fn of_scripts(script: &Script, functions: &[&FunctionDoc]) -> String {
    let import = format!("import \"{0}\" as {0};", script.name);
    let parts = parts(functions.iter().copied());
    let parts = parts.iter().map(|(signatures, comment)| {
        let signatures: Vec<String> = signatures.iter().map(|s| format!("{}::{s}", script.name)).collect();
        part(&(signatures.iter().map(String::as_str).collect(), comment))
    });
    format!("{import}\n{}", parts.collect::<Vec<_>>().join("\n\n"))
}

fn of_library(script: &Script) -> String {
    let lines = script.functions.iter().map(|f| format!("  {}::{}\n    {}", script.name, f.signature, f.summary()));
    let lines: Vec<String> = lines.collect();
    format!("{}\n{}\nimport \"{2}\" as {2};\n{3}", bold(&script.title), script.text, script.name, lines.join("\n"))
}

fn part((signatures, comment): &(Vec<&str>, &str)) -> String {
    let signatures: Vec<String> = signatures.iter().map(|s| bold(s)).collect();
    format!("{}\n{}", signatures.join("\n"), plain(comment))
}

fn of_procedure(procedure: &Procedure) -> String {
    let header = &procedure.header;
    let name = &header.name;
    let mut text = format!("{}\n{}\n{}\n", bold(&format!("{name}(options)")), header.title, plain(&header.text));
    text.push_str(&format!("{}\n", bold("Declares")));
    for (what, entries) in header.declared() {
        let between = format!("\n{}", " ".repeat(13));
        let prose = ["returns", "feedbacks", "plots"].contains(&what);
        text.push_str(&format!("  {what:<10} {}\n", entries.join(if prose { &between } else { ", " })));
    }
    let rows = header.rows();
    if !rows.is_empty() {
        text.push_str(&format!("{}\n{}", bold("Parameters"), table(&rows)));
    }
    text.push_str(&bold("Use"));
    text.push_str(&match header.parameters.first().and_then(|p| Some((&p.name, p.default.as_ref()?))) {
        Some((parameter, value)) => {
            let written = if let Value::Named { .. } = value { format!("\"{value}\"") } else { value.to_string() };
            format!("\n  {name}(#{{ {parameter}: {written} }})      fodo run {name} --set {parameter}=\"{value}\"")
        }
        None => format!("\n  {name}()      fodo run {name}"),
    });
    text
}

/// Rows in columns; the last column is as wide as it is.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn of_family(family: &Family) -> String {
    let names: Vec<&str> = family.devices.iter().map(|d| d.name.as_ref()).collect();
    let list = match names.as_slice() {
        [first, second, .., last] if names.len() > 4 => format!("{first}, {second}, … {last}"),
        few => few.join(", "),
    };
    let mut text = format!("{}: {}, {}: {list}", bold(&family.name), family.role, counted(names.len(), "device"));
    for field in family.devices.first().map(|d| d.fields.as_slice()).unwrap_or_default() {
        let access = if field.setpoint.is_some() { "read and set" } else { "read" };
        text.push_str(&format!("\n  {:<10} {}, {access}", field.name, units(field)));
    }
    text
}

fn of_device(family: &Family, device: &Device) -> String {
    let mut text = format!("{}: {}, at {:.3} m", bold(&device.shown()), family.role, device.s);
    for field in &device.fields {
        text.push_str(&format!("\n  {:<10} {}", field.name, units(field)));
        if let Some(source) = &field.source {
            text.push_str(&format!(", read from {}", source.channel));
        }
        if let Some(setpoint) = &field.setpoint {
            let (low, high) = setpoint.limits;
            let limits = format!("{} to {}", setpoint.shown(low), setpoint.shown(high));
            text.push_str(&format!(", set by {}, limits {limits}", setpoint.channel));
        }
    }
    text
}

fn units(field: &Field) -> String {
    match field.physics.dimension() == field.hardware.dimension() {
        true => format!("[{}]", field.physics),
        false => format!("[{}, or {} on the channel]", field.physics, field.hardware),
    }
}

/// Bold on a terminal.
fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_string() }
}

/// A doc comment for reading: headings without marks, examples indented.
fn plain(comment: &str) -> String {
    let mut code = false;
    let mut lines = Vec::new();
    for line in comment.trim().lines() {
        match line.strip_prefix("# ") {
            _ if line.starts_with("```") => code = !code,
            _ if code => lines.push(format!("    {line}")),
            Some(heading) => lines.push(bold(heading)),
            None if line.is_empty() => {}
            None => lines.push(line.to_string()),
        }
    }
    lines.join("\n")
}
