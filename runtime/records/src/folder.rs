//! Names and locks of the files of a run, and errors that name the folder.

use crate::RunCard;
use fodo_control::Time;
use fodo_report::{Diagnostic, Kind, Result};
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

const HINT: &str = "choose another folder with `--data DIR` or the environment variable FODO_DATA";

/// The files of one run.
#[derive(Clone, Debug)]
pub(crate) struct RunFiles {
    folder: PathBuf,
    id: String,
}

impl RunFiles {
    pub fn new(folder: &Path, id: &str) -> RunFiles {
        RunFiles { folder: folder.to_path_buf(), id: id.to_string() }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The log of a run that has not been finished.
    pub fn log(&self) -> PathBuf {
        self.with("sqlite")
    }

    /// The record of a finished run.
    pub fn record(&self) -> PathBuf {
        self.with("h5")
    }

    /// The record while it is being written.
    pub fn part(&self) -> PathBuf {
        self.with("h5.part")
    }

    /// Held locked by the process that runs the run: apart from the log, since closing a second
    /// handle of an SQLite file drops the locks SQLite holds on it.
    pub fn lock(&self) -> PathBuf {
        self.with("lock")
    }

    /// An error about these files.
    pub fn error(&self, what: &str, why: impl std::fmt::Display) -> Box<Diagnostic> {
        storage(&self.folder, what, why)
    }

    /// Takes over the run if its process is dead, `None` while it lives.
    pub fn adopt(&self) -> Result<Option<File>> {
        let file = File::options().create(true).truncate(false).write(true).open(self.lock());
        let file = file.map_err(|e| self.error("take over an interrupted run", e))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(self.error("take over an interrupted run", e)),
        }
    }

    /// Removes the log, then the lock. What cannot be removed is taken for an interrupted run later.
    pub fn remove_log(&self) -> Result<()> {
        for end in ["sqlite-wal", "sqlite-shm", "sqlite", "lock"] {
            match fs::remove_file(self.with(end)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.error("remove the log of a run", e)),
                _ => {}
            }
        }
        Ok(())
    }

    fn with(&self, end: &str) -> PathBuf {
        self.folder.join(format!("{}.{end}", self.id))
    }
}

/// Makes the folder and reserves a new id in it, which stays locked while the file is open.
pub(crate) fn reserve(folder: &Path, card: &RunCard) -> Result<(RunFiles, File)> {
    let cannot = |e: io::Error| storage(folder, "keep a record of the run", e);
    fs::create_dir_all(folder).map_err(cannot)?;
    loop {
        let files = RunFiles::new(folder, &new_id(card));
        match File::options().write(true).create_new(true).open(files.lock()) {
            Ok(file) => {
                file.lock().map_err(cannot)?;
                return Ok((files, file));
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(cannot(e)),
        }
    }
}

/// A storage error that names the folder and what the system said.
pub(crate) fn storage(folder: &Path, what: &str, why: impl std::fmt::Display) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Kind::Storage, format!("cannot {what} in `{}`: {why}", folder.display())).hint(HINT))
}

/// Whether a name can be that of a file of `what`.
///
/// # Errors
/// Kind `script`: it cannot; the hint gives `example`.
pub(crate) fn plain_name(name: &str, what: &str, example: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.starts_with('.') || name.len() > 100 || !name.chars().all(plain) {
        let message = format!("\"{name}\" cannot be the name of {what}");
        let hint = format!("letters, digits, `_`, `-` and `.`, as in {example}");
        return Err(Diagnostic::new(Kind::Script, message).hint(hint).into());
    }
    Ok(())
}

/// Ids of the runs in a folder that have a file with this ending, in order of their start.
pub(crate) fn ids(folder: &Path, end: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(storage(folder, "list the records", e)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ids: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(end)?.to_string())).collect();
    ids.sort();
    Ok(ids)
}

/// `2026-11-23T07-12-09_correct_orbit_3f2a`
fn new_id(card: &RunCard) -> String {
    let keep = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let name: String = card.procedure.chars().map(keep).take(40).collect();
    let random = RandomState::new().build_hasher().finish() as u16;
    let start = iso(card.start).trim_end_matches('Z').replace(':', "-");
    let seconds = start.split('.').next().unwrap_or(&start);
    format!("{seconds}_{name}_{random:04x}")
}

/// ISO 8601 in UTC, to the microsecond.
pub(crate) fn iso(time: Time) -> String {
    time.iso()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_795_417_929, "2026-11-23T07:12:09.000000Z"), // date -u -d @1795417929
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(iso(Time(seconds * 1_000_000_000)), text);
        }
    }

    #[test]
    fn ids_sort_by_start_and_take_any_name() {
        let id = |start: i64, procedure: &str| {
            new_id(&RunCard { procedure: procedure.into(), start: Time(start), ..RunCard::default() })
        };
        assert!(id(0, "z") < id(2_000_000_000, "a"));
        assert!(id(0, "my tools/größe.rhai").starts_with("1970-01-01T00-00-00_my_tools_größe_rhai_"));
    }
}
