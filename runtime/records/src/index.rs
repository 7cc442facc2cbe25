//! The records of a folder.

use crate::content::Content;
use crate::export;
use crate::folder::{self, RunFiles};
use fodo_report::Result;
use hdf5_pure::{Dataset, File};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It goes on in some process.
    Running,
    /// It said how it ended.
    Finished,
    /// Its process died first.
    Interrupted,
}

/// A line of the list of runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// Id of the run.
    pub id: String,
    /// What ran.
    pub procedure: String,
    /// Facility.
    pub facility: String,
    /// Machine: `twin`, `live`.
    pub machine: String,
    /// How far it has come.
    pub state: RunState,
    /// Whether it did what it was started for.
    pub ok: bool,
    /// How long it took, if it is known.
    pub seconds: Option<f64>,
    /// Its file.
    pub path: PathBuf,
}

/// The runs of a folder, first started first. A file that cannot be read is an error that names it.
pub fn runs(folder: &Path) -> Result<Vec<RunSummary>> {
    let mut runs = Vec::new();
    for id in folder::ids(folder, ".h5")? {
        runs.push(recorded(&RunFiles::new(folder, &id))?);
    }
    for id in folder::ids(folder, ".sqlite")? {
        let files = RunFiles::new(folder, &id);
        if !files.record().exists() {
            runs.extend(logged(&files)?);
        }
    }
    runs.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(runs)
}

/// Completes the records of runs whose process died: their logs become HDF5 files, whose paths are
/// returned. Logs of running processes are left alone. Every log is tried before the first error
/// is returned.
pub fn finish_interrupted(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut done, mut failed) = (Vec::new(), None);
    for id in folder::ids(folder, ".sqlite")? {
        match complete(&RunFiles::new(folder, &id)) {
            Ok(path) => done.extend(path),
            Err(error) => _ = failed.get_or_insert(error),
        }
    }
    failed.map_or(Ok(done), Err)
}

fn complete(files: &RunFiles) -> Result<Option<PathBuf>> {
    let Some(_owner) = files.adopt()? else { return Ok(None) };
    if !files.log().exists() {
        files.remove_log()?; // somebody else was faster
        return Ok(None);
    }
    match Content::card(&files.log()).map_err(|e| unreadable(files, &files.log(), e))? {
        Some(_) => export::convert(files).map(Some),
        None => files.remove_log().map(|()| None),
    }
}

fn logged(files: &RunFiles) -> Result<Option<RunSummary>> {
    let card = Content::card(&files.log()).map_err(|e| unreadable(files, &files.log(), e))?;
    let state = if files.adopt()?.is_some() { RunState::Interrupted } else { RunState::Running };
    Ok(card.map(|card| RunSummary {
        id: files.id().to_string(),
        procedure: card.procedure,
        facility: card.facility,
        machine: card.machine,
        state,
        ok: false,
        seconds: None,
        path: files.log(),
    }))
}

fn recorded(files: &RunFiles) -> Result<RunSummary> {
    read_summary(files).map_err(|e| unreadable(files, &files.record(), e))
}

fn read_summary(files: &RunFiles) -> Result<RunSummary, hdf5_pure::Error> {
    let file = File::open_streaming(files.record())?;
    let word = |path: &str| -> Result<String, hdf5_pure::Error> { word(&file.dataset(path)?) };
    let interrupted = word("entry/state")? == "interrupted";
    let seconds = file.dataset("entry/duration")?.read_f64()?;
    Ok(RunSummary {
        id: files.id().to_string(),
        procedure: word("entry/process/procedure")?,
        facility: word("entry/instrument/name")?,
        machine: word("entry/instrument/machine")?,
        state: if interrupted { RunState::Interrupted } else { RunState::Finished },
        ok: file.dataset("entry/ok")?.read_u8()?.first() == Some(&1),
        seconds: seconds.first().copied().filter(|s| s.is_finite()),
        path: files.record(),
    })
}

fn word(dataset: &Dataset) -> Result<String, hdf5_pure::Error> {
    Ok(dataset.read_string()?.pop().unwrap_or_default())
}

fn unreadable(files: &RunFiles, file: &Path, why: impl std::fmt::Display) -> Box<fodo_report::Diagnostic> {
    files.error(&format!("read `{}`", file.file_name().unwrap_or_default().display()), why)
}
