//! Where a facility's files come from: a folder on disk, or the program itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of one facility.
pub trait Files: Send + Sync {
    /// The text of a file, by its path inside the facility; `None` if there is none.
    fn text(&self, path: &str) -> Option<Arc<str>>;
    /// How the file is called in messages.
    fn shown(&self, path: &str) -> String;
    /// The folder on disk, if it is one.
    fn folder(&self) -> Option<&Path> {
        None
    }
    /// The facility of another name that stands beside this one.
    fn beside(&self, _name: &str) -> Option<Arc<dyn Files>> {
        None
    }
    /// The file as this facility has it, then as those do that it is based on: how each is called, and its text.
    fn layers(&self, path: &str) -> Vec<(String, Arc<str>)> {
        self.text(path).map(|text| (self.shown(path), text)).into_iter().collect()
    }
}

/// A facility whose files and tables are those of another one where it has none of its own.
pub(crate) struct Based {
    pub own: Arc<dyn Files>,
    pub base: Arc<dyn Files>,
}

impl Files for Based {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        self.own.text(path).or_else(|| self.base.text(path))
    }

    fn shown(&self, path: &str) -> String {
        // formats that are read from disk have no text here
        let there = |files: &dyn Files| files.text(path).is_some() || Path::new(&files.shown(path)).is_file();
        let files = if !there(self.own.as_ref()) && there(self.base.as_ref()) { &self.base } else { &self.own };
        files.shown(path)
    }

    fn folder(&self) -> Option<&Path> {
        self.own.folder()
    }

    fn beside(&self, name: &str) -> Option<Arc<dyn Files>> {
        self.own.beside(name)
    }

    fn layers(&self, path: &str) -> Vec<(String, Arc<str>)> {
        self.own.layers(path).into_iter().chain(self.base.layers(path)).collect()
    }
}

/// A facility folder on disk.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        std::fs::read_to_string(self.0.join(path)).ok().map(Arc::from)
    }

    fn shown(&self, path: &str) -> String {
        self.0.join(path).display().to_string()
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.0)
    }

    fn beside(&self, name: &str) -> Option<Arc<dyn Files>> {
        let folder = self.0.canonicalize().ok()?.parent()?.join(name);
        folder.join("facility.toml").is_file().then(|| Arc::new(Folder(folder)) as Arc<dyn Files>)
    }
}
