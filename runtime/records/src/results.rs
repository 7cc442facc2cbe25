//! Results kept for later, by name and time, as readable JSON files.

use crate::folder::plain_name;
use crate::texts::Texts;
use fodo_control::Time;
use fodo_report::{Diagnostic, Kind, Result, did_you_mean};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a run found, with where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptResult {
    /// Its name: letters, digits, `_`, `-`, `.`; that of a procedure, if one returned it.
    pub name: String,
    /// `name/time`, which finds this one again. Given by [`Results::save`].
    #[serde(default)]
    pub id: String,
    /// Facility name.
    pub facility: String,
    /// Machine: `twin`, `live`.
    pub machine: String,
    /// Who was at the controls.
    pub operator: String,
    /// When, seconds since 1970.
    pub time: f64,
    /// Version of Fodo.
    pub version: String,
    /// What was found; numbers with a unit say it.
    pub value: serde_json::Value,
}

/// The results of one facility: a folder for each name, a file for each result.
#[derive(Clone, Debug)]
pub struct Results(Texts);

impl Results {
    /// The results of a facility in a data folder.
    pub fn in_folder(data: &Path, facility: &str) -> Results {
        Results(Texts::Folder(data.join("results").join(facility)))
    }

    /// Results that end with the program, for tests.
    pub fn in_memory() -> Results {
        Results(Texts::in_memory())
    }

    /// Keeps a result beside the older ones of its name, or in place of them; its id.
    ///
    /// # Errors
    /// Kind `script`: no name for a file. `storage`: the disk.
    pub fn save(&self, result: &KeptResult, replace: bool) -> Result<String> {
        plain_name(&result.name, "a result", "\"orbit_response\"")?;
        let older = self.0.names(&result.name);
        let mut time = Time((result.time * 1e9) as i64);
        let mut id = format!("{}/{}", result.name, stamp(time));
        while older.contains(&id) {
            time.0 += 1000;
            id = format!("{}/{}", result.name, stamp(time));
        }
        let text = serde_json::to_string(&KeptResult { id: id.clone(), ..result.clone() });
        let broken = |e| Diagnostic::new(Kind::Storage, format!("cannot write the result \"{id}\": {e}"));
        self.0.write(&id, text.map_err(broken)?)?;
        for id in older.iter().filter(|_| replace) {
            self.0.remove(id)?;
        }
        Ok(id)
    }

    /// The result of an id, or the newest of a name that was taken on `machine`.
    ///
    /// # Errors
    /// Kind `script`: there is none. `storage`: it cannot be read.
    pub fn load(&self, what: &str, machine: &str) -> Result<KeptResult> {
        let (name, time) = what.split_once('/').unwrap_or((what, ""));
        plain_name(name, "a result", "\"orbit_response\"")?;
        if name != what {
            plain_name(time, "a result", "\"orbit_response/2026-11-23T07-12-09.123456\"")?;
            return self.read(what);
        }
        if let Some(result) = self.newest(name, machine)? {
            return Ok(result);
        }
        let mut error = self.unknown(what);
        if let Some(newest) = self.0.names(name).last() {
            error.message = format!("there is no result \"{what}\" of this machine ({machine})");
            error.hints = vec![format!("that of another can be had by its id: \"{newest}\"")];
        }
        Err(error)
    }

    /// The newest result of a name that was taken on `machine`, if there is one.
    ///
    /// # Errors
    /// Kind `storage`: one that is newer cannot be read.
    pub fn newest(&self, name: &str, machine: &str) -> Result<Option<KeptResult>> {
        for id in self.0.names(name).iter().rev() {
            let result = self.read(id)?;
            if result.machine == machine {
                return Ok(Some(result));
            }
        }
        Ok(None)
    }

    /// All results that can be read, oldest first; of one name, or of all.
    pub fn list(&self, name: Option<&str>) -> Vec<KeptResult> {
        let names = name.map_or_else(|| self.0.folders(), |name| vec![name.to_string()]);
        let ids = names.iter().flat_map(|name| self.0.names(name));
        let mut found: Vec<KeptResult> = ids.filter_map(|id| self.read(&id).ok()).collect();
        found.sort_by(|a, b| a.time.total_cmp(&b.time));
        found
    }

    fn read(&self, id: &str) -> Result<KeptResult> {
        let text = self.0.read(id)?.ok_or_else(|| self.unknown(id))?;
        let broken = |e| Diagnostic::new(Kind::Storage, format!("{} is not a result: {e}", self.0.place(id)));
        serde_json::from_str(&text).map_err(|e| broken(e).into())
    }

    fn unknown(&self, what: &str) -> Box<Diagnostic> {
        let names = self.0.folders();
        let near = did_you_mean(what, names.iter().map(String::as_str));
        let hint = near.unwrap_or("`results()` lists those that are kept".into());
        Diagnostic::new(Kind::Script, format!("there is no result \"{what}\"")).hint(hint).into()
    }
}

/// `2026-11-23T07-12-09.123456`
fn stamp(time: Time) -> String {
    time.iso().trim_end_matches('Z').replace(':', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_newest_of_a_name_is_found_and_that_of_another_machine_only_by_its_id() {
        let folder = std::env::temp_dir().join(format!("fodo-results-{}", std::process::id()));
        check(&Results::in_folder(&folder, "ring"));
        check(&Results::in_memory());
        _ = std::fs::remove_dir_all(folder);
    }

    fn check(all: &Results) {
        let result = |name: &str, machine: &str, time: f64| KeptResult {
            name: name.into(),
            id: String::new(),
            facility: "ring".into(),
            machine: machine.into(),
            operator: "o".into(),
            time,
            version: "0".into(),
            value: json!(time),
        };
        let first = all.save(&result("beta", "live", 1.0), false).unwrap();
        all.save(&result("beta", "live", 2.0), false).unwrap();
        let third = all.save(&result("beta", "twin", 3.0), false).unwrap();
        assert_eq!(all.load("beta", "live").unwrap().value, json!(2.0));
        assert_eq!(all.load(&first, "twin").unwrap().value, json!(1.0));
        assert_eq!(all.load(&third, "live").unwrap().id, third);
        assert!(all.load("bet", "live").is_err_and(|e| e.hints[0].contains("beta")));
        assert!(all.load("../beta", "live").is_err_and(|e| e.message.contains("cannot be the name")));
        // two of one moment are two
        all.save(&result("beta", "twin", 3.0), false).unwrap();
        assert_eq!(all.list(None).len(), 4);
        all.save(&result("beta", "live", 5.0), true).unwrap();
        assert_eq!(all.list(Some("beta")).iter().map(|r| r.time).collect::<Vec<_>>(), [5.0]);
        assert!(all.load("beta", "twin").is_err_and(|e| e.message.contains("of this machine")));
    }
}
