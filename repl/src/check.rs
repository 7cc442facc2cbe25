//! `fodo check`: what is wrong with scripts before they run.

use crate::app::App;
use crate::command::{CheckArguments, Common, Machine};
use crate::test::facility_of;
use crate::words::counted;
use crate::{shelf, show};
use fodo_language::Library;
use fodo_procedure::{Finding, Known, Severity};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Checks files and folders; prints everything found.
pub fn check(common: &Common, arguments: &CheckArguments) -> Result<ExitCode> {
    let app = App::open(&Common { on: Machine::Twin, ..common.clone() })?;
    let known = known(&app);
    let mut tests = Tests::new(common);
    let mut found: Vec<Finding> = Vec::new();
    let mut count = 0;
    for path in &arguments.paths {
        let files = shelf::scripts(path);
        if files.is_empty() {
            return Err(Diagnostic::new(Kind::Usage, format!("there is no script at {}", path.display())).into());
        }
        for file in files {
            let shown = file.display().to_string();
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Diagnostic::new(Kind::Usage, format!("{shown} could not be read: {e}")))?;
            let known = if shown.ends_with(".test.rhai") { tests.known(&file, &text)? } else { &known };
            found.extend(fodo_procedure::check(&shown, &text, known));
            count += 1;
        }
    }
    if common.json {
        let list: Vec<serde_json::Value> = found.iter().map(json).collect();
        let result = serde_json::json!({ "files": count, "found": list });
        show::json_object(found.is_empty(), result, serde_json::Value::Null, found.first().map(|first| &first.report));
    } else {
        found.iter().for_each(show::finding);
        show::line(summary(count, &found));
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Kind::Script.exit_code()) })
}

/// What the check compares scripts with.
pub fn known(app: &App) -> Known {
    let own: Arc<dyn Library> = Arc::new(OwnLibrary);
    let libraries = std::iter::once(own).chain(app.libraries.iter().cloned()).collect();
    Known::new(&app.engine, app.facility.clone(), &app.procedures, libraries)
}

/// What tests are compared with: the facility that each names, and the procedures and libraries beside it.
pub struct Tests {
    common: Common,
    known: BTreeMap<(String, PathBuf), Known>,
}

impl Tests {
    /// Tests without a facility of their own are of that of the command line.
    pub fn new(common: &Common) -> Tests {
        Tests { common: Common { on: Machine::Twin, ..common.clone() }, known: BTreeMap::new() }
    }

    /// What is known to a test at a place with a text.
    pub fn known(&mut self, file: &Path, text: &str) -> Result<&Known> {
        let facility = facility_of(text).unwrap_or_else(|| self.common.facility.clone());
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match self.known.entry((facility, folder.to_path_buf())) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let common = Common { facility: entry.key().0.clone(), ..self.common.clone() };
                let app = App::beside(&common, Some(folder))?;
                Ok(entry.insert(known(&app)))
            }
        }
    }
}

/// The library that a file on disk is being written for: what `import "helpers/steps"` means in it.
struct OwnLibrary;

impl Library for OwnLibrary {
    fn find(&self, name: &str, from: Option<&str>) -> Option<(String, Arc<str>)> {
        let inside = name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        let mut folders = Path::new(from?).ancestors().skip(1);
        let root = folders.find(|folder| folder.join("library.toml").is_file()).filter(|_| inside)?;
        let path = root.join(format!("{name}.rhai"));
        Some((path.display().to_string(), std::fs::read_to_string(&path).ok()?.into()))
    }
}

/// A finding as an editor needs it: with the length of what is underlined.
fn json(finding: &Finding) -> serde_json::Value {
    let mut object = finding.report.to_json();
    object["severity"] = finding.severity.word().into();
    object["length"] = finding.report.labels.first().map(|label| label.length).into();
    object
}

fn summary(files: usize, found: &[Finding]) -> String {
    let of = |severity: Severity| found.iter().filter(|finding| finding.severity == severity).count();
    let mut parts = vec![counted(of(Severity::Mistake), "mistake")];
    for (severity, word) in [(Severity::Warning, "warning"), (Severity::Unused, "unused name")] {
        parts.extend((of(severity) > 0).then(|| counted(of(severity), word)));
    }
    format!("{} checked, {} found", counted(files, "file"), parts.join(", "))
}
