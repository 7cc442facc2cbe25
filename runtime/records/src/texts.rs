//! Texts by name: readable files, or what ends with the program.

use crate::folder::storage;
use fodo_report::Result;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// JSON texts, each by a name, `/` in it for a folder.
#[derive(Clone, Debug)]
pub(crate) enum Texts {
    /// A file `NAME.json` for each.
    Folder(PathBuf),
    /// Nowhere but here, for tests that run side by side.
    Memory(Arc<Mutex<BTreeMap<String, String>>>),
}

impl Texts {
    pub fn in_memory() -> Texts {
        Texts::Memory(Arc::default())
    }

    /// The folders in the first one.
    pub fn folders(&self) -> Vec<String> {
        match self {
            Texts::Folder(folder) => names_in(folder).filter(|name| folder.join(name).is_dir()).collect(),
            Texts::Memory(all) => {
                let first = |name: &String| Some(name.split_once('/')?.0.to_string());
                let mut names: Vec<String> = locked(all).keys().filter_map(first).collect();
                names.dedup();
                names
            }
        }
    }

    /// The names of all texts of a folder; of the first one: `""`. In alphabetical order.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut names: Vec<String> = match self {
            Texts::Folder(first) => {
                let name = |file: String| Some(format!("{prefix}{}", file.strip_suffix(".json")?));
                names_in(&first.join(folder)).filter_map(name).collect()
            }
            Texts::Memory(all) => {
                let within = |name: &&String| name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/'));
                locked(all).keys().filter(within).cloned().collect()
            }
        };
        names.sort();
        names
    }

    /// The text of a name, if there is one.
    ///
    /// # Errors
    /// Kind `storage`: it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<String>> {
        match self {
            Texts::Folder(folder) => match fs::read_to_string(file(folder, name)) {
                Ok(text) => Ok(Some(text)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(storage(folder, &format!("read {name}"), e)),
            },
            Texts::Memory(all) => Ok(locked(all).get(name).cloned()),
        }
    }

    /// Keeps a text so that nobody ever sees a part of it.
    ///
    /// # Errors
    /// Kind `storage`: the disk.
    pub fn write(&self, name: &str, text: String) -> Result<()> {
        match self {
            Texts::Folder(folder) => {
                let path = file(folder, name);
                let part = path.with_extension(format!("{:x}.part", RandomState::new().build_hasher().finish()));
                fs::create_dir_all(path.parent().unwrap_or(folder))
                    .and_then(|()| fs::write(&part, text))
                    .and_then(|()| fs::rename(&part, path))
                    .map_err(|e| storage(folder, &format!("write {name}"), e))
            }
            Texts::Memory(all) => {
                locked(all).insert(name.to_string(), text);
                Ok(())
            }
        }
    }

    /// Forgets a text.
    ///
    /// # Errors
    /// Kind `storage`: the disk.
    pub fn remove(&self, name: &str) -> Result<()> {
        match self {
            Texts::Folder(folder) => {
                fs::remove_file(file(folder, name)).map_err(|e| storage(folder, &format!("remove {name}"), e))
            }
            Texts::Memory(all) => {
                locked(all).remove(name);
                Ok(())
            }
        }
    }

    /// Where a text is kept, in words.
    pub fn place(&self, name: &str) -> String {
        match self {
            Texts::Folder(folder) => file(folder, name).display().to_string(),
            Texts::Memory(_) => format!("memory ({name})"),
        }
    }
}

fn locked<T>(all: &Mutex<T>) -> MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_memory_keep_alike() {
        let folder = std::env::temp_dir().join(format!("fodo-texts-{}", std::process::id()));
        for texts in [Texts::Folder(folder.clone()), Texts::in_memory()] {
            for name in ["b", "a", "x/2", "x/1", "y/1"] {
                texts.write(name, name.to_string()).unwrap();
            }
            assert_eq!(texts.names(""), ["a", "b"]);
            assert_eq!(texts.names("x"), ["x/1", "x/2"]);
            let mut folders = texts.folders();
            folders.sort();
            assert_eq!(folders, ["x", "y"]);
            texts.remove("x/1").unwrap();
            assert_eq!(texts.read("x/1"), Ok(None));
            assert_eq!(texts.read("x/2"), Ok(Some("x/2".into())));
        }
        _ = fs::remove_dir_all(folder);
    }

    #[test]
    fn many_write_one_name_at_a_time() {
        let folder = std::env::temp_dir().join(format!("fodo-texts-many-{}", std::process::id()));
        let texts = Texts::Folder(folder.clone());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| texts.write("one", "all of it".into()).unwrap()));
            }
        });
        assert_eq!(texts.read("one"), Ok(Some("all of it".into())));
        assert_eq!(names_in(&folder).count(), 1);
        _ = fs::remove_dir_all(folder);
    }
}
