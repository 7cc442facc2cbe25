//! Every procedure finds what was planted in the twin.

mod beside;
mod correct_orbit;
mod device;
mod tester;

use fodo_devices::{Facility, Folder};
use fodo_tests::{Scratch, project};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A shipped facility.
fn facility(name: &str) -> Facility {
    open(&project().join("facilities").join(name))
}

/// A facility folder.
fn open(folder: &Path) -> Facility {
    Facility::load(Arc::new(Folder(folder.to_path_buf()))).unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
}

/// A copy of a shipped facility with some texts of its `twin.toml` replaced; gives its folder.
fn with_twin(scratch: &Scratch, name: &str, edits: &[(&str, &str)]) -> PathBuf {
    let folder = project().join("facilities").join(name);
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let file = entry.file_name().into_string().unwrap();
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        if file == "twin.toml" {
            for (from, to) in edits {
                assert!(text.contains(from), "twin.toml of {name} has no `{from}`");
                text = text.replace(from, to);
            }
        }
        scratch.file(&format!("{name}/{file}"), &text);
    }
    scratch.path().join(name)
}
