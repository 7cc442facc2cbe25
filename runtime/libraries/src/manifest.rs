//! `library.toml`: what a library says of itself.

use crate::content::Shown;
use crate::{Content, FACILITY, Source, wrong};
use fodo_devices::{Table, open_tables};
use fodo_procedure::{Header, read_header};
use fodo_report::Result;
use semver::{Version, VersionReq};
use std::collections::BTreeMap;

/// Its file, at the top of the library.
pub const MANIFEST: &str = "library.toml";

/// What a library says of itself.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its name: by this its files are imported.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// The versions of Fodo it works with.
    pub fodo: Option<VersionReq>,
    /// What it needs of other libraries.
    pub dependencies: Vec<Wanted>,
    /// Its procedures by name: file inside the library, and header.
    pub procedures: BTreeMap<String, (String, Header)>,
}

/// A library that a facility or another library asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Who asks: the name of a library, or [`FACILITY`].
    pub by: String,
    /// The name it must have; unknown when it is added.
    pub name: Option<String>,
    /// Where it is.
    pub source: Source,
    /// The branch, tag or revision to take; the default branch without one.
    pub follows: Option<String>,
    /// The versions that will do.
    pub version: Option<VersionReq>,
}

/// Whether a library may be called so.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name != FACILITY
}

impl Manifest {
    /// Reads it, with the headers of all procedures; `shown` is where the library comes from.
    ///
    /// # Errors
    /// Each with file, line and column.
    pub fn of(content: &Content, shown: &str) -> Result<Manifest> {
        if content.text(MANIFEST).is_none() {
            return Err(wrong(format!("{shown} is no library: it has no {MANIFEST}"))
                .hint("`fodo library new NAME` makes a library to begin with")
                .into());
        }
        open_tables(&Shown(content, shown), MANIFEST, |table| read(content, shown, table))
    }
}

fn read(content: &Content, shown: &str, table: &Table) -> Result<Manifest> {
    let name = table.needed_text("name")?;
    if !is_name(name) {
        return Err(table.mistake("name", format!("`{name}` is no name for a library")).hinted(NAMES));
    }
    let text = table.needed_text("version")?;
    let version = Version::parse(text)
        .map_err(|e| table.mistake("version", format!("`{text}` is no version: {e}")).hinted("write it as 1.0.0"))?;
    let fodo = requirement(table, "fodo")?;
    let mut procedures = BTreeMap::new();
    for procedure in table.texts("procedures")? {
        if !is_name(&procedure) {
            return Err(table.mistake("procedures", format!("`{procedure}` is no name for a procedure")).hinted(NAMES));
        }
        let path = match content.named(&format!("{procedure}.rhai")).as_slice() {
            [one] => (*one).to_string(),
            [] => return Err(table.mistake("procedures", format!("there is no file `{procedure}.rhai`"))),
            [one, two, ..] => {
                return Err(table.mistake("procedures", format!("`{procedure}` is there twice: {one} and {two}")));
            }
        };
        let file = format!("{shown}/{path}");
        let header = read_header(&file, content.text(&path).unwrap_or_default())?;
        let header = header.ok_or_else(|| {
            wrong(format!("{file} has no header `procedure(#{{ … }})`"))
                .hint("a procedure declares what it changes; leave plain scripts out of `procedures`")
        })?;
        procedures.insert(procedure, (path, header));
    }
    let mut dependencies = Vec::new();
    if let Some(tables) = table.table("dependencies")? {
        for (dependency, table) in tables.tables() {
            dependencies.push(wanted(name, dependency, &table)?);
        }
        tables.no_other_keys()?;
    }
    table.no_other_keys()?;
    Ok(Manifest { name: name.to_string(), version, fodo, dependencies, procedures })
}

const NAMES: &str = "small letters, digits and `_`, beginning with a letter: scripts use it";

fn wanted(by: &str, name: &str, table: &Table) -> Result<Wanted> {
    let text = table.needed_text("source")?;
    let source = Source::parse(text).map_err(|e| table.mistake("source", e.message.clone()))?;
    if !source.is_absolute(text) {
        return Err(table.mistake("source", "a dependency is named by its address or a whole path"));
    }
    let follows = table.text("revision")?.map(String::from);
    if let Some(follows) = follows.as_deref().filter(|f| !crate::source::is_revision(f)) {
        return Err(table.mistake("revision", format!("`{follows}` is no branch, tag or revision")));
    }
    let version = requirement(table, "version")?;
    table.no_other_keys()?;
    Ok(Wanted { by: by.to_string(), name: Some(name.to_string()), source, follows, version })
}

fn requirement(table: &Table, key: &str) -> Result<Option<VersionReq>> {
    let Some(text) = table.text(key)? else { return Ok(None) };
    let hint = "`1.2` means 1.2 and later, before 2; also `=1.2.0`, `>=1.2, <1.4`";
    let wrong = |e| table.mistake(key, format!("`{text}` is no range of versions: {e}")).hinted(hint);
    VersionReq::parse(text).map(Some).map_err(wrong)
}

/// A boxed diagnostic with advice.
trait Hinted {
    fn hinted(self, hint: &str) -> Self;
}

impl Hinted for Box<fodo_report::Diagnostic> {
    fn hinted(self, hint: &str) -> Self {
        Box::new(self.hint(hint))
    }
}
