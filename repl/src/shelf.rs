//! What comes with the program, and what on disk overrides it.

use fodo_devices::{Files, Folder};
use fodo_language::Library;
use fodo_libraries::Installed;
use fodo_report::{Diagnostic, Kind, Result};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

static PROCEDURES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../procedures");
static STDLIB: Dir = include_dir!("$CARGO_MANIFEST_DIR/../stdlib");
static FACILITIES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../facilities");

/// Scripts by name: a folder on disk first, then those of libraries, then those inside the program.
pub struct Shelf {
    found: BTreeMap<String, (String, Arc<str>)>,
    installed: Arc<Installed>,
}

impl Shelf {
    /// The procedures, those of libraries, and the scripts of the folder `beside`.
    pub fn procedures(folder: &Path, beside: Option<&Path>, installed: Arc<Installed>) -> Shelf {
        let mut shelf = Shelf::shipped(&PROCEDURES, "procedures");
        installed.procedures().for_each(|(path, text)| shelf.put(&path, text));
        shelf.installed = installed;
        shelf.add(scripts(folder));
        beside.into_iter().for_each(|folder| shelf.add(files(folder)));
        shelf
    }

    /// The standard library, that of a folder `stdlib` here, and the scripts of the folder `beside`.
    pub fn stdlib(beside: Option<&Path>) -> Shelf {
        let mut shelf = Shelf::shipped(&STDLIB, "stdlib");
        shelf.add(files(Path::new("stdlib")));
        beside.into_iter().for_each(|folder| shelf.add(files(folder)));
        shelf
    }

    fn add(&mut self, paths: Vec<PathBuf>) {
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rhai")) {
            if let Ok(text) = std::fs::read_to_string(&path) {
                self.put(&path.display().to_string(), text.into());
            }
        }
    }

    fn shipped(folder: &'static Dir, shown: &str) -> Shelf {
        let mut shelf = Shelf { found: BTreeMap::new(), installed: Arc::default() };
        shelf.walk(folder, shown);
        shelf
    }

    fn walk(&mut self, folder: &'static Dir, shown: &str) {
        for file in folder.files().filter(|f| f.path().extension().is_some_and(|e| e == "rhai")) {
            if let Some(text) = file.contents_utf8() {
                self.put(&format!("{shown}/{}", file.path().display()), text.into());
            }
        }
        folder.dirs().for_each(|inner| self.walk(inner, shown));
    }

    fn put(&mut self, path: &str, text: Arc<str>) {
        if path.ends_with(".test.rhai") {
            return;
        }
        let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.found.insert(stem, (path.to_string(), text));
    }
}

impl Library for Shelf {
    fn find(&self, name: &str, _from: Option<&str>) -> Option<(String, Arc<str>)> {
        self.found.get(name).cloned()
    }

    fn origin(&self, file: &str) -> Option<String> {
        self.installed.origin(file).map(|origin| origin.to_string())
    }

    fn names(&self) -> Vec<String> {
        self.found.keys().cloned().collect()
    }
}

/// All scripts below a folder, or the file itself.
pub fn scripts(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    below(path).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rhai")).collect()
}

/// All files below a folder, in the order of their names.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

/// What a folder holds and does not hide, in the order of the names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let shown = entries.flatten().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let mut found: Vec<PathBuf> = shown.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// A facility inside the program.
struct Shipped(&'static str, &'static Dir<'static>);

impl Files for Shipped {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        let file = self.1.get_file(self.1.path().join(path))?;
        file.contents_utf8().map(Arc::from)
    }

    fn shown(&self, path: &str) -> String {
        format!("facilities/{}/{path}", self.0)
    }

    fn beside(&self, name: &str) -> Option<Arc<dyn Files>> {
        shipped(name)
    }
}

fn shipped(name: &str) -> Option<Arc<dyn Files>> {
    let folder = FACILITIES.dirs().find(|folder| folder.path() == Path::new(name))?;
    Some(Arc::new(Shipped(folder.path().to_str().unwrap_or_default(), folder)))
}

/// The files of a facility: a folder by its path, `facilities/NAME` here, or one inside the program.
pub fn facility(name: &str) -> Result<Arc<dyn Files>> {
    for folder in [PathBuf::from(name), Path::new("facilities").join(name)] {
        if folder.join("facility.toml").is_file() {
            return Ok(Arc::new(Folder(folder)));
        }
    }
    let known: Vec<&'static str> = FACILITIES.dirs().filter_map(|d| d.path().to_str()).collect();
    shipped(name).ok_or_else(|| {
        Diagnostic::new(Kind::Usage, format!("there is no facility `{name}`"))
            .near(name, known.iter().copied())
            .hint(format!("shipped facilities: {}; or give the path of a folder with facility.toml", known.join(", ")))
            .into()
    })
}
