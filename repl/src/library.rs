//! `fodo library`: procedures of other laboratories.

use crate::command::{Common, LibraryAction, LibraryArguments};
use crate::words::counted;
use crate::{app, shelf, show, test};
use fodo_devices::{Facility, Files};
use fodo_libraries::{FACILITY, Installed, Lock, Locked, Plan, Refresh, Source, Store, Wanted, is_name, plan};
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Seeds of the twins that the tests of a library run on.
const SEEDS: [u64; 3] = [1, 2, 3];

/// Where libraries are cached.
pub fn store(common: &Common) -> Result<Store> {
    Ok(Store(app::data_folder(common)?.join("libraries")))
}

/// Does what is asked.
pub fn library(common: &Common, arguments: &LibraryArguments) -> Result<ExitCode> {
    let done = match &arguments.action {
        LibraryAction::New { name } => new(name)?,
        LibraryAction::Add { source, revision } => Home::open(common)?.add(source, revision.as_deref())?,
        LibraryAction::Update { name, revision, accept_rights } => {
            Home::open(common)?.update(name.as_deref(), revision.as_deref(), *accept_rights)?
        }
        LibraryAction::Remove { name } => Home::open(common)?.remove(name)?,
        LibraryAction::List => Home::open(common)?.list(),
        LibraryAction::Verify => Home::open(common)?.verify()?,
    };
    if common.json {
        show::json_object(true, done.json, Value::Null, None);
    } else {
        done.lines.iter().for_each(show::line);
    }
    Ok(ExitCode::SUCCESS)
}

/// What there is to tell.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    json: Value,
}

/// A facility with its libraries.
struct Home<'c> {
    common: &'c Common,
    files: Arc<dyn Files>,
    facility: Facility,
    lock: Lock,
    store: Store,
}

impl Home<'_> {
    fn open(common: &Common) -> Result<Home<'_>> {
        let files = shelf::facility(&common.facility)?;
        let facility = Facility::load(files.clone())?;
        let lock = Lock::read(&*files)?;
        Ok(Home { common, files, facility, lock, store: store(common)? })
    }

    fn folder(&self) -> Result<&Path> {
        self.files.folder().ok_or_else(|| {
            Diagnostic::new(
                Kind::Usage,
                format!("{} is inside the program and cannot be given libraries", self.facility.name),
            )
            .hint("the lock file stands in the facility's folder: name one with --facility DIR")
            .into()
        })
    }

    fn add(&self, source: &str, revision: Option<&str>) -> Result<Told> {
        self.folder()?;
        let source = Source::parse(source)?;
        if let Some((name, locked)) = self.lock.libraries.iter().find(|(_, l)| l.source == source && l.is_direct()) {
            return Err(Diagnostic::new(
                Kind::Usage,
                format!("{} is there already, as {name} {}", source, locked.version),
            )
            .hint(format!("`fodo library update {name}` takes what is new in it"))
            .into());
        }
        let mut direct = self.direct();
        direct.push(Wanted { by: FACILITY.into(), name: None, source, follows: follows(revision)?, version: None });
        let plan = self.plan(direct, &Refresh::Nothing)?;
        let mut told = Told { lines: Vec::new(), json: self.json(&plan.lock) };
        for (name, locked) in plan.lock.libraries.iter().filter(|(name, _)| !self.lock.libraries.contains_key(*name)) {
            told.lines.extend(self.describe(name, locked, Some(&plan)));
        }
        self.finish(plan, told)
    }

    fn update(&self, name: Option<&str>, revision: Option<&str>, accept: bool) -> Result<Told> {
        self.folder()?;
        let refresh = match name {
            Some(name) => self.lock.find(name).map(|_| Refresh::One(name.to_string()))?,
            None => Refresh::All,
        };
        let mut direct = self.direct();
        if let (Some(name), Some(_)) = (name, revision) {
            let follows = follows(revision)?;
            let wanted = direct.iter_mut().find(|wanted| wanted.name.as_deref() == Some(name));
            let wanted = wanted.ok_or_else(|| {
                let by = self.lock.libraries[name].wanted_by.join(", ");
                Diagnostic::new(
                    Kind::Usage,
                    format!("{name} is here because of {by}, which says what revision it takes"),
                )
            })?;
            wanted.follows = follows;
        }
        let plan = self.plan(direct, &refresh)?;
        let mut told = Told { lines: Vec::new(), json: self.json(&plan.lock) };
        let mut wider = Vec::new();
        for (name, locked) in &plan.lock.libraries {
            match self.lock.libraries.get(name) {
                Some(old) if old.content == locked.content => {
                    told.lines.push(format!("{name} {}: nothing new", locked.version));
                }
                Some(old) => {
                    told.lines.push(format!(
                        "{name} {} -> {}, {} -> {}",
                        old.version,
                        locked.version,
                        old.short_revision(),
                        locked.short_revision()
                    ));
                    let changed = self.rights(old, locked);
                    wider.extend(changed.iter().filter(|c| c.wider).map(|c| format!("{name}: {}", c.text)));
                    told.lines.extend(changed.into_iter().map(|changed| format!("  {}", changed.text)));
                }
                None => {
                    let text = self.describe(name, locked, Some(&plan));
                    if locked.changes.values().any(|words| !words.is_empty()) {
                        wider.push(format!("{name} is new, wanted by {}", locked.wanted_by.join(", ")));
                    }
                    told.lines.extend(text);
                }
            }
        }
        if !wider.is_empty() && !accept {
            told.lines.iter().filter(|_| !self.common.json).for_each(show::line);
            let again = name.map_or(String::new(), |name| format!(" {name}"));
            return Err(Diagnostic::new(Kind::Rights, "what is new may change more than before; nothing was updated")
                .details(wider)
                .hint(format!("read what it does with it; then `fodo library update{again} --accept-rights`"))
                .into());
        }
        self.finish(plan, told)
    }

    fn remove(&self, name: &str) -> Result<Told> {
        self.folder()?;
        let locked = self.lock.find(name)?;
        if !locked.is_direct() {
            return Err(Diagnostic::new(
                Kind::Usage,
                format!("{name} is here because of {}", locked.wanted_by.join(", ")),
            )
            .hint("it goes with the libraries that need it")
            .into());
        }
        let direct = self.direct().into_iter().filter(|wanted| wanted.name.as_deref() != Some(name)).collect();
        let plan = self.plan(direct, &Refresh::Nothing)?;
        let gone = self.lock.libraries.keys().filter(|name| !plan.lock.libraries.contains_key(*name));
        let mut lines: Vec<String> = gone.map(|name| format!("{name} is left out")).collect();
        if let Some(kept) = plan.lock.libraries.get(name) {
            lines.push(format!("{name} stays: {} needs it", kept.wanted_by.join(", ")));
        }
        let told = Told { lines, json: self.json(&plan.lock) };
        self.finish(plan, told)
    }

    fn list(&self) -> Told {
        let mut lines: Vec<String> =
            self.lock.libraries.iter().flat_map(|(name, locked)| self.describe(name, locked, None)).collect();
        if lines.is_empty() {
            lines.push(format!("{} has no libraries; `fodo library add SOURCE` takes one", self.facility.name));
        }
        Told { lines, json: self.json(&self.lock) }
    }

    fn verify(&self) -> Result<Told> {
        let mut told = Told { lines: Vec::new(), json: self.json(&self.lock) };
        let mut wrong: Vec<Diagnostic> = Vec::new();
        for (name, locked) in &self.lock.libraries {
            let looked = || -> Result<String> {
                let fetched = if self.store.fetch(name, locked)? { ", fetched" } else { "" };
                let count = self.store.load(name, locked)?.files().len();
                Ok(format!("{name} {}: {count} files as pinned{fetched}", locked.version))
            };
            match looked() {
                Ok(line) => told.lines.push(line),
                Err(error) => wrong.push(*error),
            }
        }
        if wrong.is_empty() {
            // what the lock says of rights, versions and names has to follow from what it pins
            let plan = self.plan(self.direct(), &Refresh::Nothing)?;
            let differs = |(name, locked): &(&String, &Locked)| plan.lock.libraries.get(*name) != Some(*locked);
            let other: Vec<String> =
                self.lock.libraries.iter().filter(differs).map(|(name, _)| format!("[{name}]")).collect();
            if !other.is_empty() || plan.lock.libraries.len() != self.lock.libraries.len() {
                wrong.push(
                    Diagnostic::new(
                        Kind::Facility,
                        format!("{} says other things than the libraries it pins", self.lock_shown()),
                    )
                    .details(other)
                    .hint("it was changed by hand; `fodo library update` writes it anew"),
                );
            }
        }
        let mut wrong = wrong.into_iter();
        match wrong.next() {
            Some(first) => {
                told.lines.iter().filter(|_| !self.common.json).for_each(show::line);
                Err(wrong.fold(first, Diagnostic::cause).into())
            }
            None => {
                if told.lines.is_empty() {
                    told.lines.push(format!("{} has no libraries", self.facility.name));
                }
                Ok(told)
            }
        }
    }

    /// What was added by hand.
    fn direct(&self) -> Vec<Wanted> {
        let direct = self.lock.libraries.iter().filter(|(_, locked)| locked.is_direct());
        let wanted = |(name, locked): (&String, &Locked)| Wanted {
            by: FACILITY.into(),
            name: Some(name.clone()),
            source: locked.source.clone(),
            follows: locked.follows.clone(),
            version: None,
        };
        direct.map(wanted).collect()
    }

    fn plan(&self, direct: Vec<Wanted>, refresh: &Refresh) -> Result<Plan> {
        let mut engine = fodo_language::engine(fodo_language::Setup::default());
        fodo_builtins::register(&mut engine, &self.facility);
        let builtins: BTreeSet<String> = fodo_language::functions(&engine).into_iter().map(|f| f.name).collect();
        let taken = |name: &str| builtins.contains(name).then_some("builtin");
        plan(direct, &self.store, &self.lock, refresh, env!("CARGO_PKG_VERSION"), &taken)
    }

    /// Tests what is new, keeps it and writes the lock.
    fn finish(&self, plan: Plan, mut told: Told) -> Result<Told> {
        let changed = |name: &&String| {
            self.lock.libraries.get(*name).is_none_or(|old| old.content != plan.lock.libraries[*name].content)
        };
        let new: Vec<&String> = plan.lock.libraries.keys().filter(changed).collect();
        // what was found stands before a test that takes its time, or fails
        if !self.common.json {
            told.lines.drain(..).for_each(show::line);
        }
        if !new.is_empty() {
            told.lines.push(self.test(&plan, &new)?);
        }
        if self.common.rehearse {
            told.lines.push("nothing was written".into());
            return Ok(told);
        }
        if plan.lock == self.lock {
            return Ok(told);
        }
        plan.keep(&self.store)?;
        plan.lock.write(self.folder()?)?;
        told.lines.push(format!("written to {}", self.lock_shown()));
        Ok(told)
    }

    /// Runs the tests of libraries; says how many there were.
    fn test(&self, plan: &Plan, libraries: &[&String]) -> Result<String> {
        let mut files = Vec::new();
        for name in libraries {
            let shown = format!("{name}@{}", plan.manifests[*name].version);
            let texts = plan.contents[*name].files();
            files.extend(
                texts.map(|(path, text)| (format!("{shown}/{path}"), String::from_utf8_lossy(text).into_owned())),
            );
        }
        let test::Foreign { count, failed } = test::foreign(self.common, &files, &SEEDS, Installed::of(plan))?;
        match failed.len() {
            0 if count == 0 => Ok("it has no tests".into()),
            0 => {
                let seeds = SEEDS.map(|seed| seed.to_string()).join(", ");
                Ok(format!("{} passed, each with the seeds {seeds}", counted(count, "test")))
            }
            n => {
                let message = format!("{n} of {} failed; nothing was taken", counted(count, "test"));
                let report = Diagnostic::new(Kind::Script, message)
                    .hint("tell its author, or take an earlier revision with --revision");
                Err(failed.into_iter().take(6).fold(report, Diagnostic::cause).into())
            }
        }
    }

    fn lock_shown(&self) -> String {
        self.files.shown(fodo_libraries::LOCK_FILE)
    }

    /// A library, its procedures and what they may change.
    fn describe(&self, name: &str, locked: &Locked, plan: Option<&Plan>) -> Vec<String> {
        let at = match (&locked.revision, &locked.follows) {
            (Some(_), Some(follows)) => format!(" at {} ({follows})", locked.short_revision()),
            (Some(_), None) => format!(" at {}", locked.short_revision()),
            (None, _) => String::new(),
        };
        let by =
            if locked.is_direct() { String::new() } else { format!(", needed by {}", locked.wanted_by.join(", ")) };
        let mut lines = vec![format!("{name} {} from {}{at}{by}", locked.version, locked.source)];
        for (procedure, words) in &locked.changes {
            let title =
                plan.and_then(|plan| plan.manifests[name].procedures.get(procedure)).map(|(_, header)| &header.title);
            let title = title.map_or(String::new(), |title| format!("{title}; "));
            let hidden = self.hidden_by(procedure).map_or(String::new(), |file| format!(" (hidden by {file})"));
            lines.push(format!("  {procedure:<24} {title}may change {}{hidden}", self.in_words(words)));
        }
        lines
    }

    /// The facility's own procedure of this name, which comes first.
    fn hidden_by(&self, procedure: &str) -> Option<String> {
        let own = shelf::scripts(&self.common.procedures);
        let own = own.into_iter().find(|path| path.file_stem().is_some_and(|stem| stem == procedure));
        own.map(|path| path.display().to_string())
    }

    /// Families by name; of a role those of this facility.
    fn in_words(&self, words: &[String]) -> String {
        let families = |word: &String| -> Vec<String> {
            let found = self.facility.families.iter().filter(|f| f.name.as_ref() == word || f.role.as_ref() == word);
            let names: Vec<String> = found.map(|f| f.name.to_string()).collect();
            if names.is_empty() { vec![format!("{word} (not here)")] } else { names }
        };
        let mut names: Vec<String> = words.iter().flat_map(families).collect();
        names.sort();
        names.dedup();
        if names.is_empty() { "nothing".into() } else { names.join(", ") }
    }

    /// What became of the rights of each procedure.
    fn rights(&self, old: &Locked, new: &Locked) -> Vec<Changed> {
        let mut changed = Vec::new();
        let missing = |all: &[String], from: &[String]| -> Vec<String> {
            all.iter().filter(|word| !from.contains(word)).cloned().collect()
        };
        for (procedure, words) in &new.changes {
            let Some(before) = old.changes.get(procedure) else {
                let text = format!("{procedure} is new: may change {}", self.in_words(words));
                changed.push(Changed { text, wider: !words.is_empty() });
                continue;
            };
            let (more, less) = (missing(words, before), missing(before, words));
            if !more.is_empty() {
                changed.push(Changed {
                    text: format!("{procedure} may now also change {}", self.in_words(&more)),
                    wider: true,
                });
            }
            if !less.is_empty() {
                changed.push(Changed {
                    text: format!("{procedure} no longer changes {}", self.in_words(&less)),
                    wider: false,
                });
            }
        }
        let gone = old.changes.keys().filter(|procedure| !new.changes.contains_key(*procedure));
        changed.extend(gone.map(|procedure| Changed { text: format!("{procedure} is no longer there"), wider: false }));
        if changed.is_empty() {
            changed.push(Changed { text: "may change what it could before".into(), wider: false });
        }
        changed
    }

    fn json(&self, lock: &Lock) -> Value {
        let of = |(name, locked): (&String, &Locked)| {
            json!({
                "name": name, "version": locked.version.to_string(), "source": locked.source.to_string(),
                "follows": locked.follows, "revision": locked.revision, "content": format!("sha256:{}", locked.content),
                "wanted_by": locked.wanted_by, "changes": locked.changes,
            })
        };
        json!({ "facility": self.facility.name.as_ref(), "libraries": lock.libraries.iter().map(of).collect::<Vec<_>>() })
    }
}

/// A change of rights.
struct Changed {
    text: String,
    wider: bool,
}

fn follows(revision: Option<&str>) -> Result<Option<String>> {
    match revision {
        Some(text) if !fodo_libraries::is_revision(text) => {
            Err(Diagnostic::new(Kind::Usage, format!("`{text}` is no branch, tag or revision")).into())
        }
        other => Ok(other.map(String::from)),
    }
}

/// Makes a folder for a new library.
fn new(name: &str) -> Result<Told> {
    if !is_name(name) {
        return Err(Diagnostic::new(Kind::Usage, format!("`{name}` is no name for a library"))
            .hint("small letters, digits and `_`, beginning with a letter: scripts use it")
            .into());
    }
    let folder = PathBuf::from(name);
    if folder.exists() {
        return Err(Diagnostic::new(Kind::Usage, format!("{name} is there already")).into());
    }
    let mut lines = Vec::new();
    for (path, text) in TEMPLATE {
        let path = folder.join(path.replace("NAME", name));
        let written = std::fs::create_dir_all(path.parent().unwrap_or(&folder)).and_then(|()| {
            std::fs::write(&path, text.replace("NAME", name).replace("FODO", env!("CARGO_PKG_VERSION")))
        });
        written.map_err(|e| Diagnostic::new(Kind::Storage, format!("{} could not be written: {e}", path.display())))?;
        lines.push(path.display().to_string());
    }
    lines.push(format!("next: change the procedure and its test, `fodo check {name}`, commit it with git; others take it with `fodo library add ADDRESS`"));
    Ok(Told { lines, json: json!({ "folder": name }) })
}

/// Files of a new library.
const TEMPLATE: [(&str, &str); 3] = [
    ("library.toml", include_str!("library/library.toml")),
    ("procedures/measure_NAME.rhai", include_str!("library/procedure.rhai")),
    ("procedures/measure_NAME.test.md", include_str!("library/procedure.test.md")),
];
