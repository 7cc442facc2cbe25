//! The files of a library, and the hash that pins them.

use crate::{sha256, wrong};
use fodo_devices::Files;
use fodo_report::{Diagnostic, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 100 << 20;

/// All files of a library by their path inside it. Hidden ones, and those in hidden folders, are no part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Content {
    /// Adds a file.
    ///
    /// # Errors
    /// A path that leads out of the library or that no other computer could keep; too many or too large files.
    pub fn add(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        check_path(path)?;
        self.files.insert(path.to_string(), bytes.into());
        check_size(self.files.len(), self.files.values().map(|bytes| bytes.len() as u64).sum())
    }

    /// The files of a folder.
    ///
    /// # Errors
    /// Files that cannot be read, links, and whatever [`add`](Self::add) refuses.
    pub fn of_folder(folder: &Path) -> Result<Content> {
        let mut content = Content::default();
        content.walk(folder, "")?;
        Ok(content)
    }

    fn walk(&mut self, folder: &Path, below: &str) -> Result<()> {
        let unreadable = |path: &Path, e: std::io::Error| -> Box<Diagnostic> {
            crate::storage(format!("{} could not be read: {e}", path.display())).into()
        };
        for entry in std::fs::read_dir(folder).map_err(|e| unreadable(folder, e))? {
            let entry = entry.map_err(|e| unreadable(folder, e))?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| wrong(format!("{} has a name that is no text", path.display())))?;
            if name.starts_with('.') {
                continue;
            }
            let inside = if below.is_empty() { name.to_string() } else { format!("{below}/{name}") };
            let kind = entry.file_type().map_err(|e| unreadable(&path, e))?;
            if kind.is_dir() {
                self.walk(&path, &inside)?;
            } else if kind.is_file() {
                self.add(&inside, std::fs::read(&path).map_err(|e| unreadable(&path, e))?)?;
            } else {
                return Err(not_a_file(&inside, "a link").into());
            }
        }
        Ok(())
    }

    /// Hash and path of every file, as `sha256sum` writes them.
    pub fn sums(&self) -> String {
        self.files.iter().map(|(path, bytes)| format!("{}  {path}\n", sha256(bytes))).collect()
    }

    /// The hash that pins it: SHA-256 of [`sums`](Self::sums).
    pub fn hash(&self) -> String {
        sha256(self.sums().as_bytes())
    }

    /// Paths and bytes.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_ref()))
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    /// The paths of the scripts with a file name.
    pub fn named<'c>(&'c self, file: &str) -> Vec<&'c str> {
        let paths = self.files.keys().map(String::as_str);
        paths.filter(|path| path.rsplit('/').next() == Some(file)).collect()
    }
}

/// The files of a library as tables are read from them.
pub(crate) struct Shown<'c>(pub &'c Content, pub &'c str);

impl Files for Shown<'_> {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        self.0.text(path).map(Arc::from)
    }

    fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.1)
    }
}

pub(crate) fn check_size(files: usize, bytes: u64) -> Result<()> {
    if files > MOST_FILES || bytes > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        return Err(wrong(format!("the library is larger than {MOST_FILES} files or {most} MB"))
            .hint("measured data belongs elsewhere: a library is scripts and small tables")
            .into());
    }
    Ok(())
}

pub(crate) fn not_a_file(path: &str, what: &str) -> Diagnostic {
    wrong(format!("`{path}` is {what}, and a library holds plain files only"))
        .hint("what it leads to would not be pinned by the hash of the library")
}

fn check_path(path: &str) -> Result<()> {
    if path.split('/').any(|part| part.is_empty() || part.starts_with('.'))
        || path.contains(['\\', ':'])
        || path.chars().any(char::is_control)
    {
        return Err(wrong(format!("the library has a file of a name that is not allowed: {path:?}")).into());
    }
    Ok(())
}
