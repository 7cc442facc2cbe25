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
}
