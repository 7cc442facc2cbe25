//! What a session has of libraries: procedures by name, scripts for import.

use crate::{Content, Lock, Locked, Manifest, Plan, Store};
use fodo_language::Library;
use fodo_report::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The libraries of a facility, as they were pinned.
#[derive(Debug, Default)]
pub struct Installed {
    /// By what their files are called in messages: `tuning@1.0.0`.
    libraries: BTreeMap<String, Ready>,
}

#[derive(Debug)]
struct Ready {
    manifest: Manifest,
    content: Content,
    revision: Option<String>,
    hash: String,
}

/// A library with what pins it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pinned {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The git revision; none of a plain folder.
    pub revision: Option<String>,
    /// The hash of its content.
    pub content: String,
}

/// The library a file belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Its name.
    pub library: String,
    /// Its version.
    pub version: String,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the library {} {}", self.library, self.version)
    }
}

impl Installed {
    /// Loads all that a lock pins.
    ///
    /// # Errors
    /// One is not in the cache, or not what was pinned.
    pub fn load(lock: &Lock, store: &Store) -> Result<Installed> {
        let mut installed = Installed::default();
        for (name, locked) in &lock.libraries {
            let content = store.load(name, locked)?;
            let manifest = Manifest::of(&content, &shown(name, &locked.version))?;
            installed.put(manifest, content, locked);
        }
        Ok(installed)
    }

    /// What a plan would install.
    pub fn of(plan: &Plan) -> Installed {
        let mut installed = Installed::default();
        for (name, locked) in &plan.lock.libraries {
            if let (Some(manifest), Some(content)) = (plan.manifests.get(name), plan.contents.get(name)) {
                installed.put(manifest.clone(), content.clone(), locked);
            }
        }
        installed
    }

    fn put(&mut self, manifest: Manifest, content: Content, locked: &Locked) {
        let (revision, hash) = (locked.revision.clone(), locked.content.clone());
        self.libraries.insert(shown(&manifest.name, &manifest.version), Ready { manifest, content, revision, hash });
    }

    /// All of them, by name, with what pins each.
    pub fn pinned(&self) -> impl Iterator<Item = Pinned> {
        self.libraries.values().map(|ready| Pinned {
            name: ready.manifest.name.clone(),
            version: ready.manifest.version.to_string(),
            revision: ready.revision.clone(),
            content: ready.hash.clone(),
        })
    }

    /// File and text of every procedure.
    pub fn procedures(&self) -> impl Iterator<Item = (String, Arc<str>)> {
        self.libraries.iter().flat_map(|(shown, ready)| {
            let files = ready.manifest.procedures.values().map(|(path, _)| path);
            files.filter_map(move |path| Some((format!("{shown}/{path}"), ready.content.text(path)?.into())))
        })
    }

    /// The library that a file is of.
    pub fn origin(&self, file: &str) -> Option<Origin> {
        let manifest = &self.home(file)?.manifest;
        Some(Origin { library: manifest.name.clone(), version: manifest.version.to_string() })
    }

    fn home(&self, file: &str) -> Option<&Ready> {
        self.libraries.get(file.split_once('/')?.0)
    }

    /// A file of a library by the library's name.
    fn of_library(&self, name: &str, path: &str) -> Option<(String, Arc<str>)> {
        let (shown, ready) = self.libraries.iter().find(|(_, ready)| ready.manifest.name == name)?;
        script(shown, ready, path)
    }
}

fn shown(name: &str, version: &semver::Version) -> String {
    format!("{name}@{version}")
}

fn script(shown: &str, ready: &Ready, path: &str) -> Option<(String, Arc<str>)> {
    let path = format!("{path}.rhai");
    Some((format!("{shown}/{path}"), ready.content.text(&path)?.into()))
}

/// A script of a library sees the files of its own and, as `NAME/FILE`, those of the libraries it depends on; a script
/// of the facility sees, as `NAME/FILE`, those of every library.
impl Library for Installed {
    fn find(&self, name: &str, from: Option<&str>) -> Option<(String, Arc<str>)> {
        let home = from.and_then(|from| Some((from.split_once('/')?.0, self.home(from)?)));
        let other = name.split_once('/');
        let Some((shown, ready)) = home else {
            return other.and_then(|(library, path)| self.of_library(library, path));
        };
        let allowed = |library: &str| ready.manifest.dependencies.iter().any(|d| d.name.as_deref() == Some(library));
        script(shown, ready, name).or_else(|| {
            other.filter(|(library, _)| allowed(library)).and_then(|(library, path)| self.of_library(library, path))
        })
    }

    fn names(&self) -> Vec<String> {
        let scripts = |ready: &Ready| -> Vec<String> {
            let files = ready.content.files().filter_map(|(path, _)| path.strip_suffix(".rhai").map(String::from));
            files.map(|path| format!("{}/{path}", ready.manifest.name)).collect()
        };
        self.libraries.values().flat_map(scripts).collect()
    }
}
