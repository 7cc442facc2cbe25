//! Snapshots: what setpoints held, by name, as readable JSON files.

use crate::SetpointValue;
use crate::folder::plain_name;
use crate::texts::Texts;
use fodo_control::Time;
use fodo_report::{Diagnostic, Kind, Result, did_you_mean};
use serde::{Deserialize, Serialize};
use std::path::Path;

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

/// The snapshots of one facility, a file for each.
#[derive(Clone, Debug)]
pub struct Snapshots(Texts);

impl Snapshots {
    /// The snapshots of a facility in a data folder.
    pub fn in_folder(data: &Path, facility: &str) -> Snapshots {
        Snapshots(Texts::Folder(data.join("snapshots").join(facility)))
    }

    /// Snapshots that end with the program, for tests.
    pub fn in_memory() -> Snapshots {
        Snapshots(Texts::in_memory())
    }

    /// Keeps a snapshot, and says where; one of that name is replaced only if asked for.
    ///
    /// # Errors
    /// Kind `script`: no name for a file, or there is one already. `storage`: the disk.
    pub fn save(&self, snapshot: &Snapshot, replace: bool) -> Result<String> {
        let name = &snapshot.name;
        plain(name)?;
        if !replace && self.0.read(name)?.is_some() {
            let message = format!("there is a snapshot \"{name}\" already");
            let hint = "choose another name, or replace it: `#{ replace: true }`";
            return Err(Diagnostic::new(Kind::Script, message).hint(hint).into());
        }
        let broken = |e| Diagnostic::new(Kind::Storage, format!("cannot write the snapshot \"{name}\": {e}"));
        self.0.write(name, serde_json::to_string_pretty(snapshot).map_err(broken)?)?;
        Ok(self.0.place(name))
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// Kind `script`: there is none of that name. `storage`: it cannot be read.
    pub fn load(&self, name: &str) -> Result<Snapshot> {
        plain(name)?;
        let text = self.0.read(name)?.ok_or_else(|| self.unknown(name))?;
        let broken = |e| Diagnostic::new(Kind::Storage, format!("{} is not a snapshot: {e}", self.0.place(name)));
        serde_json::from_str(&text).map_err(|e| broken(e).into())
    }

    /// All snapshots that can be read, oldest first.
    pub fn list(&self) -> Vec<Snapshot> {
        let mut found: Vec<Snapshot> = self.0.names("").iter().filter_map(|name| self.load(name).ok()).collect();
        found.sort_by(|a, b| a.time.total_cmp(&b.time));
        found
    }

    fn unknown(&self, name: &str) -> Box<Diagnostic> {
        let names = self.0.names("");
        let near = did_you_mean(name, names.iter().map(String::as_str));
        let hint = near.unwrap_or("`snapshots()` lists them".into());
        Diagnostic::new(Kind::Script, format!("there is no snapshot \"{name}\"")).hint(hint).into()
    }
}

fn plain(name: &str) -> Result<()> {
    plain_name(name, "a snapshot", "\"before_shutdown_2\"")
}

impl Snapshot {
    /// When it was taken.
    pub fn taken(&self) -> Time {
        Time((self.time * 1e9) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bits_come_back_and_names_stay_in_the_folder() {
        let folder = std::env::temp_dir().join(format!("fodo-snapshots-{}", std::process::id()));
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
        for all in [Snapshots::in_folder(&folder, "ring"), Snapshots::in_memory()] {
            assert!(all.save(&snapshot, false).is_ok());
            assert_eq!(all.load("good").as_ref(), Ok(&snapshot));
            assert!(all.save(&snapshot, false).is_err_and(|e| e.message.contains("already")));
            assert!(all.save(&snapshot, true).is_ok());
            assert!(all.load("goood").is_err_and(|e| e.hints[0].contains("good")));
            assert!(all.load("../good").is_err_and(|e| e.message.contains("cannot be the name")));
            assert_eq!(all.list().len(), 1);
        }
        _ = std::fs::remove_dir_all(folder);
    }
}
