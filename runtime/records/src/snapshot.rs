//! Snapshots: what setpoints held, by name, as readable JSON files.

use crate::SetpointValue;
use crate::folder::{plain_name, storage, write_whole};
use fodo_control::Time;
use fodo_report::{Diagnostic, Kind, Result, did_you_mean};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// What setpoints held at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name: letters, digits, `_`, `-`, `.`.
    pub name: String,
    /// Facility name.
    pub facility: String,
    /// Machine: `twin`, `live`.
    pub machine: String,
    /// Who took it.
    pub operator: String,
    /// When, seconds since 1970.
    pub time: f64,
    /// What the operator says of it.
    #[serde(default)]
    pub comment: String,
    /// The setpoints; the same bits when they are read again.
    pub setpoints: Vec<SetpointValue>,
}

/// The folder with the snapshots of one facility.
#[derive(Clone, Debug)]
pub struct Snapshots(pub PathBuf);

impl Snapshots {
    /// Keeps a snapshot; one of that name is replaced only if asked for.
    ///
    /// # Errors
    /// Kind `script`: no name for a file, or there is one already. `storage`: the disk.
    pub fn save(&self, snapshot: &Snapshot, replace: bool) -> Result<PathBuf> {
        let path = self.path(&snapshot.name)?;
        if path.exists() && !replace {
            let message = format!("there is a snapshot \"{}\" already", snapshot.name);
            let hint = "choose another name, or replace it: `#{ replace: true }`";
            return Err(Diagnostic::new(Kind::Script, message).hint(hint).into());
        }
        let text = serde_json::to_string_pretty(snapshot).map_err(|e| self.error("write a snapshot", e))?;
        fs::create_dir_all(&self.0)
            .and_then(|()| write_whole(&path, &text))
            .map_err(|e| self.error("write a snapshot", e))?;
        Ok(path)
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// Kind `script`: there is none of that name. `storage`: it cannot be read.
    pub fn load(&self, name: &str) -> Result<Snapshot> {
        let path = self.path(name)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(self.unknown(name)),
            Err(e) => return Err(self.error("read a snapshot", e)),
        };
        serde_json::from_str(&text)
            .map_err(|e| Diagnostic::new(Kind::Storage, format!("{} is not a snapshot: {e}", path.display())).into())
    }

    /// All snapshots that can be read, oldest first.
    pub fn list(&self) -> Vec<Snapshot> {
        let mut found: Vec<Snapshot> = self.names().iter().filter_map(|name| self.load(name).ok()).collect();
        found.sort_by(|a, b| a.time.total_cmp(&b.time));
        found
    }

    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let name = |file: fs::DirEntry| Some(file.file_name().to_str()?.strip_suffix(".json")?.to_string());
        files.filter_map(name).collect()
    }

    fn unknown(&self, name: &str) -> Box<Diagnostic> {
        let names = self.names();
        let near = did_you_mean(name, names.iter().map(String::as_str));
        let hint = near.unwrap_or("`snapshots()` lists them".into());
        Diagnostic::new(Kind::Script, format!("there is no snapshot \"{name}\"")).hint(hint).into()
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        plain_name(name, "a snapshot", "\"before_shutdown_2\"")?;
        Ok(self.0.join(format!("{name}.json")))
    }

    fn error(&self, what: &str, why: impl std::fmt::Display) -> Box<Diagnostic> {
        storage(&self.0, what, why)
    }
}

impl Snapshot {
    /// When it was taken.
    pub fn taken(&self) -> Time {
        Time((self.time * 1e9) as i64)
    }
}

/// The snapshots of a facility in a data folder.
pub fn snapshots(data: &Path, facility: &str) -> Snapshots {
    Snapshots(data.join("snapshots").join(facility))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bits_come_back_and_names_stay_in_the_folder() {
        let folder = std::env::temp_dir().join(format!("fodo-snapshots-{}", std::process::id()));
        let all = snapshots(&folder, "ring");
        let values = [0.1 + 0.2, 1.0 / 3.0, 5e-324, -1.797_693_134_862_315_7e308, 2.225_073_858_507_201e-308];
        let kept = |(n, value): (usize, &f64)| SetpointValue {
            name: n.to_string(),
            channel: format!("C{n}").as_str().into(),
            value: *value,
            unit: "A".into(),
        };
        let snapshot = Snapshot {
            name: "good".into(),
            facility: "ring".into(),
            machine: "twin".into(),
            operator: "o".into(),
            time: 1.0,
            comment: String::new(),
            setpoints: values.iter().enumerate().map(kept).collect(),
        };
        assert!(all.save(&snapshot, false).is_ok());
        assert_eq!(all.load("good").as_ref(), Ok(&snapshot));
        assert!(all.save(&snapshot, false).is_err_and(|e| e.message.contains("already")));
        assert!(all.save(&snapshot, true).is_ok());
        assert!(all.load("goood").is_err_and(|e| e.hints[0].contains("good")));
        assert!(all.load("../good").is_err_and(|e| e.message.contains("cannot be the name")));
        assert_eq!(all.list().len(), 1);
        _ = fs::remove_dir_all(folder);
    }
}
