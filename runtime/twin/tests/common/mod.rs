//! Facilities of the project with other tables in the place of their own; a twin by its channels.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod plant;

use fodo_devices::{Facility, Files, Folder};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a facility of the project stands.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../facilities").join(name)
}

/// Tables that replace those of a facility, by file.
#[derive(Default)]
pub struct Tables(Vec<(String, Arc<str>)>);

impl Tables {
    /// Another `twin.toml`.
    pub fn twin(text: &str) -> Tables {
        Tables::default().with("twin.toml", text)
    }

    pub fn with(mut self, file: &str, text: &str) -> Tables {
        self.0.push((file.to_string(), text.into()));
        self
    }
}

struct Overlay(Folder, Tables);

impl Files for Overlay {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        let replaced = self.1.0.iter().find(|(file, _)| file == path).map(|(_, text)| text.clone());
        replaced.or_else(|| self.0.text(path))
    }

    fn shown(&self, path: &str) -> String {
        path.to_string()
    }
}

/// A facility of the project with these tables.
pub fn facility(name: &str, tables: Tables) -> Facility {
    load(name, tables).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The same, or what is wrong with it.
pub fn load(name: &str, tables: Tables) -> fodo_report::Result<Facility> {
    Facility::load(Arc::new(Overlay(Folder(folder(name)), tables)))
}
