//! The lock file of a facility: which libraries it takes, pinned.

use crate::{Source, is_name, storage, wrong};
use fodo_devices::{Files, Table, open_tables};
use fodo_report::Result;
use semver::Version;
use std::collections::BTreeMap;
use std::path::Path;

/// Its file, in the facility's folder.
pub const LOCK_FILE: &str = "libraries.lock";

/// Who asks for a library that was added by hand.
pub const FACILITY: &str = "facility";

/// All libraries of a facility by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    /// By name.
    pub libraries: BTreeMap<String, Locked>,
}

/// One library as it is pinned.
#[derive(Clone, Debug, PartialEq)]
pub struct Locked {
    /// Its version.
    pub version: Version,
    /// Where it came from.
    pub source: Source,
    /// The branch, tag or revision that an update takes; none for the default branch.
    pub follows: Option<String>,
    /// The git revision; none for a plain folder.
    pub revision: Option<String>,
    /// The hash of its content.
    pub content: String,
    /// Who needs it: [`FACILITY`], or names of libraries.
    pub wanted_by: Vec<String>,
    /// Its procedures, each with the families and roles its header lets it change.
    pub changes: BTreeMap<String, Vec<String>>,
}

const HEAD: &str = "\
# The libraries of this facility: where each comes from, its revision, the hash of its content, and what the header of
# each procedure lets it change. Written by `fodo library`; keep it with the facility's tables.
";

impl Lock {
    /// The lock of a facility; one without has no libraries.
    ///
    /// # Errors
    /// A lock that is no valid table.
    pub fn read(files: &dyn Files) -> Result<Lock> {
        if files.text(LOCK_FILE).is_none() {
            return Ok(Lock::default());
        }
        open_tables(files, LOCK_FILE, |table| {
            let mut libraries = BTreeMap::new();
            for (name, inner) in table.tables() {
                if !is_name(name) {
                    return Err(table.mistake(name, "is no name of a library"));
                }
                libraries.insert(name.to_string(), Locked::read(&inner)?);
            }
            table.no_other_keys()?;
            Ok(Lock { libraries })
        })
    }

    /// Writes it into the facility's folder, whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (path, new) = (folder.join(LOCK_FILE), folder.join(format!(".{LOCK_FILE}.new")));
        let written = std::fs::write(&new, self.to_text()).and_then(|()| std::fs::rename(&new, &path));
        written.map_err(|e| storage(format!("{} could not be written: {e}", path.display())).into())
    }

    /// As it stands in the file.
    pub fn to_text(&self) -> String {
        let mut text = HEAD.to_string();
        for (name, locked) in &self.libraries {
            text.push_str(&format!("\n[{name}]\n{}", locked.to_text(name)));
        }
        text
    }
}

impl Locked {
    fn read(table: &Table) -> Result<Locked> {
        let text = table.needed_text("version")?;
        let version =
            Version::parse(text).map_err(|e| table.mistake("version", format!("`{text}` is no version: {e}")))?;
        let revision = table.text("revision")?.map(String::from);
        let hex = |text: &str| text.len() >= 40 && text.chars().all(|c| c.is_ascii_hexdigit());
        if revision.as_deref().is_some_and(|revision| !hex(revision)) {
            return Err(table.mistake("revision", "must be a whole revision"));
        }
        let content =
            table.needed_text("content")?.strip_prefix("sha256:").filter(|content| content.len() == 64 && hex(content));
        let content = content.ok_or_else(|| table.mistake("content", "must be `sha256:` and 64 hexadecimal digits"))?;
        let source = Source::of_lock(table.needed_text("source")?, revision.is_some());
        let mut changes = BTreeMap::new();
        if let Some(procedures) = table.table("changes")? {
            for name in procedures.keys() {
                changes.insert(name.to_string(), procedures.texts(name)?);
            }
        }
        let locked = Locked {
            version,
            source,
            follows: table.text("follows")?.map(String::from),
            content: content.to_string(),
            revision,
            wanted_by: table.texts("wanted_by")?,
            changes,
        };
        table.no_other_keys()?;
        Ok(locked)
    }

    fn to_text(&self, name: &str) -> String {
        let mut text =
            format!("version = {}\nsource = {}\n", quoted(&self.version.to_string()), quoted(&self.source.to_string()));
        let optional = [("follows", &self.follows), ("revision", &self.revision)];
        for (key, value) in optional {
            text.extend(value.iter().map(|value| format!("{key} = {}\n", quoted(value))));
        }
        text.push_str(&format!("content = \"sha256:{}\"\nwanted_by = {}\n", self.content, list(&self.wanted_by)));
        if !self.changes.is_empty() {
            text.push_str(&format!("\n[{name}.changes]\n"));
            text.extend(self.changes.iter().map(|(procedure, changes)| format!("{procedure} = {}\n", list(changes))));
        }
        text
    }

    /// Its revision as people read it, or what stands for it.
    pub fn short_revision(&self) -> &str {
        self.revision.as_deref().map_or("its folder", |revision| &revision[..revision.len().min(10)])
    }

    /// Whether it was added by hand.
    pub fn is_direct(&self) -> bool {
        self.wanted_by.iter().any(|by| by == FACILITY)
    }
}

impl Lock {
    /// The library `name`.
    ///
    /// # Errors
    /// Kind `usage`: the facility has no such library.
    pub fn find(&self, name: &str) -> Result<&Locked> {
        self.libraries.get(name).ok_or_else(|| {
            let report =
                fodo_report::Diagnostic::new(fodo_report::Kind::Usage, format!("the facility has no library `{name}`"));
            let report = report.near(name, self.libraries.keys().map(String::as_str));
            let names: Vec<&str> = self.libraries.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "it has none".into() } else { format!("it has {}", names.join(", ")) };
            report.hint(known).into()
        })
    }
}

/// A text as TOML has it: JSON's quoting is one of TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(texts: &[String]) -> String {
    serde_json::to_string(texts).map(|list| list.replace("\",\"", "\", \"")).unwrap_or_else(|_| "[]".into())
}

/// A lock that does not fit what it pins.
pub(crate) fn differs(name: &str, locked: &Locked, what: Vec<String>) -> Box<fodo_report::Diagnostic> {
    wrong(format!("the library {name} {} in the cache is not what was pinned", locked.version)).details(what).into()
}
