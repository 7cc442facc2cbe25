//! `fodo doc`, `help` and the reference of the manual, from one source: the doc comments of builtins, libraries and procedures.

mod page;
mod text;

pub use page::markdown;
pub use text::with_unit;

use crate::app::App;
use crate::command::{Common, DocArguments, Machine};
use crate::{shelf, show};
use fodo_builtins::Property;
use fodo_devices::{Device, Facility, Family};
use fodo_language::{FunctionDoc, FunctionUse, Library, script_functions};
use fodo_procedure::Header;
use fodo_report::{Diagnostic, Kind, Result};
use std::process::ExitCode;
use std::sync::Arc;

/// Everything that is documented, by subject.
pub struct Manual {
    facility: Arc<Facility>,
    subjects: Vec<Subject>,
}

/// One page: what has the same word in the tree.
struct Subject {
    name: String,
    about: String,
    functions: Vec<FunctionDoc>,
    /// Signatures of operators and of what can be indexed.
    operators: Vec<String>,
    properties: Vec<Property>,
    libraries: Vec<Script>,
    procedures: Vec<Procedure>,
}

/// A library of scripts: `import "fits" as fits;`.
struct Script {
    name: String,
    title: String,
    text: String,
    functions: Vec<FunctionDoc>,
}

/// A procedure, and the folder of its file.
struct Procedure {
    folder: String,
    header: Header,
}

/// What a name stands for.
enum Topic<'m> {
    Index,
    Family(&'m Family),
    Device(&'m Family, &'m Device),
    Constant(String),
    Procedure(&'m Procedure),
    /// Functions and properties of that name.
    Functions(Vec<&'m FunctionDoc>),
    Scripts(&'m Script, Vec<&'m FunctionDoc>),
    Library(&'m Script),
    Property(Property),
    /// All watchers and feedbacks, or the one of that name.
    Watchers(Option<String>),
    Subject(&'m Subject),
}

/// What lists watchers and feedbacks.
const WATCHERS: [&str; 2] = ["watchers", "feedbacks"];

/// Prints what is known about a name, or writes the pages of the reference.
pub fn doc(common: &Common, arguments: &DocArguments) -> Result<ExitCode> {
    let app = App::open(&Common { on: Machine::Twin, ..common.clone() })?;
    let manual = Manual::of(&app);
    if let Some(folder) = &arguments.out {
        let pages = manual.pages();
        std::fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))?;
        for (name, text) in &pages {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| not_written(&path, &error))?;
        }
        show::line(format!("{} pages written to {}", pages.len(), folder.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let topic = arguments.name.as_deref().unwrap_or_default();
    let text = manual.about(topic)?;
    match common.json {
        true => {
            show::json_object(true, serde_json::json!({ "topic": topic, "text": text }), serde_json::Value::Null, None)
        }
        false => show::line(text),
    }
    Ok(ExitCode::SUCCESS)
}

fn not_written(path: &std::path::Path, error: &std::io::Error) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Storage, format!("{} could not be written: {error}", path.display())).into()
}

impl Manual {
    /// What the program, its libraries and its procedures say of themselves.
    pub fn of(app: &App) -> Manual {
        let language = fodo_language::functions(&fodo_language::engine(fodo_language::Setup::default()));
        let mut subjects = vec![Subject::new(
            "language",
            "What Fodo adds to Rhai itself.",
            language.into_iter().filter(|f| !f.standard),
        )];
        for subject in fodo_builtins::subjects() {
            let mut page = Subject::new(subject.name, subject.about, subject.functions(&app.facility));
            page.properties.extend(fodo_builtins::properties().filter(|property| property.subject == subject.name));
            subjects.push(page);
        }
        let mut manual = Manual { facility: app.facility.clone(), subjects };
        manual.libraries(app);
        manual.procedures(app);
        manual
    }

    fn libraries(&mut self, app: &App) {
        let shelf = shelf::Shelf::stdlib(None);
        for name in shelf.names() {
            let Some((_, text)) = shelf.find(&name, None) else { continue };
            // a library that cannot be read says so when it is imported
            let Ok(tree) = app.engine.compile(text.as_ref()) else { continue };
            let (title, head) = fodo_procedure::head_text(&text);
            let mut functions: Vec<FunctionDoc> = script_functions(&tree);
            functions.retain(|f| !f.comment.is_empty());
            functions.sort_by(|a, b| a.name.cmp(&b.name));
            let script = Script { name: name.clone(), title: title.clone(), text: head, functions };
            self.subject(&name, &format!("{title}.")).libraries.push(script);
        }
    }

    fn procedures(&mut self, app: &App) {
        for name in app.procedures.names() {
            // a procedure that cannot be read says so when it is run
            let Ok(procedure) = app.procedures.find(&app.engine, &name) else { continue };
            let folder = std::path::Path::new(&procedure.file).parent().and_then(|folder| folder.file_name());
            let folder = folder.map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
            let about = format!("Procedures of {}.", folder.replace('_', " "));
            let entry = Procedure { folder: folder.clone(), header: procedure.header.clone() };
            self.subject(&folder, &about).procedures.push(entry);
        }
    }

    /// The page with this word; made if there is none.
    fn subject(&mut self, name: &str, about: &str) -> &mut Subject {
        let place = self.subjects.iter().position(|subject| subject.name == name).unwrap_or_else(|| {
            self.subjects.push(Subject::new(name, about, []));
            self.subjects.len() - 1
        });
        &mut self.subjects[place]
    }

    /// What is known about a name, as text for a terminal.
    pub fn about(&self, topic: &str) -> Result<String> {
        let text = self.text(&self.find(topic).ok_or_else(|| self.unknown(topic))?);
        // `vector` makes one, and is the type of what it makes
        let members = self.members(topic);
        Ok(if members.is_empty() { text } else { format!("{text}\n\n{members}") })
    }

    /// The same in Markdown, for editors; none if nothing is known.
    pub fn markdown(&self, topic: &str) -> Option<String> {
        Some(match self.find(topic)? {
            Topic::Functions(functions) => page::markdown(&functions),
            Topic::Procedure(procedure) => procedure.header.help(),
            topic => format!("```text\n{}\n```", self.text(&topic)),
        })
    }

    fn find(&self, topic: &str) -> Option<Topic<'_>> {
        if topic.is_empty() {
            return Some(Topic::Index);
        }
        // `fits::line`, `HCOR.step`, `HCOR["HCOR_001"]`: what is asked about stands last
        let (of, name) = match topic.rsplit_once("::").or_else(|| topic.rsplit_once('.')) {
            Some((of, name)) => (of, name),
            None => ("", topic.split_once("[\"").map_or(topic, |(_, device)| device.trim_end_matches("\"]"))),
        };
        let families = || self.facility.families.iter().map(AsRef::as_ref);
        let device = |family: &'_ Family| family.devices.iter().position(|device| device.name.as_ref() == name);
        let named = |f: &&FunctionDoc| f.name == name;
        let functions = || {
            let all: Vec<&FunctionDoc> = self.subjects.iter().flat_map(|s| &s.functions).filter(named).collect();
            (!all.is_empty()).then_some(Topic::Functions(all))
        };
        let scripts = || self.subjects.iter().flat_map(|subject| &subject.libraries);
        let script =
            |script: &Script| (of.is_empty() || script.name == of) && script.functions.iter().any(|f| named(&f));
        let procedures = || self.subjects.iter().flat_map(|subject| &subject.procedures);
        families()
            .find(|family: &&Family| family.name.as_ref() == name)
            .map(Topic::Family)
            .or_else(|| procedures().find(|procedure| procedure.header.name == name).map(Topic::Procedure))
            .or_else(|| {
                let script = scripts().find(|s| !of.is_empty() && script(s))?;
                Some(Topic::Scripts(script, script.functions.iter().filter(named).collect()))
            })
            .or_else(|| fodo_builtins::properties().find(|p| p.of == of && p.name == name).map(Topic::Property))
            .or_else(functions)
            .or_else(|| fodo_builtins::constants().into_iter().find(|constant| constant == name).map(Topic::Constant))
            .or_else(|| {
                let script = scripts().find(|s| script(s))?;
                Some(Topic::Scripts(script, script.functions.iter().filter(named).collect()))
            })
            .or_else(|| scripts().find(|script| script.name == name).map(Topic::Library))
            .or_else(|| self.subjects.iter().find(|subject| subject.name == name).map(Topic::Subject))
            .or_else(|| WATCHERS.contains(&name).then_some(Topic::Watchers(None)))
            .or_else(|| self.watchers().any(|one| one == name).then(|| Topic::Watchers(Some(name.into()))))
            .or_else(|| families().find_map(|f: &Family| device(f).map(|at| Topic::Device(f, &f.devices[at]))))
            .or_else(|| fodo_builtins::properties().find(|property| property.name == name).map(Topic::Property))
    }

    /// Names of the facility's watchers and feedbacks.
    fn watchers(&self) -> impl Iterator<Item = &str> {
        let watchers = self.facility.watchers.iter().map(|watcher| watcher.name.as_ref());
        watchers.chain(self.facility.feedbacks.iter().map(|feedback| feedback.name.as_ref()))
    }

    fn unknown(&self, topic: &str) -> Box<Diagnostic> {
        let name = topic.rsplit(['.', ':', '"']).find(|part| !part.is_empty() && *part != "]").unwrap_or(topic);
        let mut known: Vec<String> = fodo_builtins::constants();
        known.extend(self.facility.families.iter().map(|family| family.name.to_string()));
        known.extend(self.facility.families.iter().flat_map(|f| &f.devices).map(|device| device.name.to_string()));
        known.extend(WATCHERS.map(String::from));
        known.extend(self.watchers().map(String::from));
        for subject in &self.subjects {
            known.push(subject.name.clone());
            known.extend(subject.names().map(String::from));
        }
        let report = Diagnostic::new(Kind::Usage, format!("nothing is known about `{topic}`"));
        let report = report.near(name, known.iter().map(String::as_str));
        report.hint("`help` at the prompt and `fodo doc` in the shell list what there is").into()
    }
}

impl Subject {
    fn new(name: &str, about: &str, functions: impl IntoIterator<Item = FunctionDoc>) -> Subject {
        let (symbols, functions): (Vec<FunctionDoc>, Vec<FunctionDoc>) =
            functions.into_iter().partition(|f| matches!(f.usage, FunctionUse::Operator | FunctionUse::Index));
        let mut operators: Vec<String> = symbols.iter().map(|f| signature(f).to_string()).collect();
        operators.sort();
        operators.dedup();
        // overloads without a comment are described by the one that has it
        let shown = |f: &FunctionDoc| f.usage != FunctionUse::PropertyWrite && !f.comment.is_empty();
        Subject {
            name: name.into(),
            about: about.into(),
            operators,
            functions: functions.into_iter().filter(shown).collect(),
            properties: Vec::new(),
            libraries: Vec::new(),
            procedures: Vec::new(),
        }
    }

    /// Every name of it, procedures first.
    fn names(&self) -> impl Iterator<Item = &str> {
        let procedures = self.procedures.iter().map(|procedure| procedure.header.name.as_str());
        let functions = self.functions.iter().map(|f| f.name.as_str());
        let scripts = self.libraries.iter().flat_map(|script| &script.functions).map(|f| f.name.as_str());
        procedures.chain(functions).chain(scripts)
    }
}

/// How it is used, without what it returns if that may be anything.
fn signature(function: &FunctionDoc) -> &str {
    function.signature.trim_end_matches(" -> any").trim_end_matches(" -> value")
}

/// Overloads under one documentation: their signatures, and it.
fn parts<'f>(functions: impl IntoIterator<Item = &'f FunctionDoc>) -> Vec<(Vec<&'f str>, &'f str)> {
    let mut parts: Vec<(Vec<&str>, &str)> = Vec::new();
    for function in functions {
        let signature = signature(function);
        match parts.iter_mut().find(|(_, comment)| *comment == function.comment) {
            Some((signatures, _)) => signatures.push(signature),
            None => parts.push((vec![signature], &function.comment)),
        }
    }
    parts
}
