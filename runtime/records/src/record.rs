//! The record of a run that goes on.

use crate::folder::{self, RunFiles};
use crate::log::{Log, PERIOD};
use crate::{ChannelNote, Outcome, RunCard, export};
use fodo_control::{Event, Observer};
use fodo_report::Result;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The record of a run that goes on. Dropped without [`finish`](Record::finish), it stays as an
/// interrupted run that [`finish_interrupted`](crate::finish_interrupted) completes.
pub struct Record {
    // dropped in this order: the log is closed before the run can be taken over
    files: RunFiles,
    log: Arc<Mutex<Log>>,
    flusher: Flusher,
    owner: File,
}

impl Record {
    /// Starts the record of a run in `folder`, which is made if it is missing. The id of the card
    /// is replaced by a new one.
    pub fn create(folder: &Path, card: &RunCard) -> Result<Record> {
        let (files, owner) = folder::reserve(folder, card)?;
        let card = RunCard { id: files.id().to_string(), ..card.clone() };
        let log = Log::create(files.clone(), &card).inspect_err(|_| _ = files.remove_log())?;
        let log = Arc::new(Mutex::new(log));
        let flusher = Flusher::start(log.clone()).map_err(|e| files.error("keep a record of the run", e))?;
        Ok(Record { files, log, flusher, owner })
    }

    /// The id of the run.
    pub fn id(&self) -> &str {
        self.files.id()
    }

    /// The file the record will be in.
    pub fn path(&self) -> PathBuf {
        self.files.record()
    }

    /// Keeps unit and name of channels, for the attributes of their readings.
    pub fn describe(&self, channels: &[ChannelNote]) -> Result<()> {
        lock(&self.log).describe(channels)
    }

    /// Keeps something that is not the machine's: a printed line, a step of progress, a plot.
    pub fn note(&self, kind: &str, what: &serde_json::Value) -> Result<()> {
        lock(&self.log).note(kind, what)
    }

    /// Ends the record: the log becomes `<run id>.h5`, whose path is returned. If that fails, the
    /// log stays and is completed at the next use of the folder.
    pub fn finish(self, outcome: &Outcome) -> Result<PathBuf> {
        let Record { files, log, flusher, owner } = self;
        drop(flusher);
        lock(&log).end(outcome)?;
        drop(log);
        let path = export::convert(&files)?;
        drop(owner);
        Ok(path)
    }
}

impl Observer for Record {
    fn observe(&self, event: &Event) -> Result<()> {
        lock(&self.log).keep(event)
    }
}

/// Writes readings that wait while nothing else happens. Its failures are met by the next event.
struct Flusher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    fn start(log: Arc<Mutex<Log>>) -> std::io::Result<Flusher> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("fodo record".into()).spawn(move || {
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                _ = lock(&log).flush();
            }
            _ = lock(&log).flush();
        })?;
        Ok(Flusher { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        drop(self.stop.take());
        _ = self.thread.take().map(JoinHandle::join);
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fodo_control::{Reading, Time, Value};
    use fodo_report::Kind;

    #[test]
    fn a_full_disk_ends_the_run_and_stays_an_error() {
        let folder = tempfile(line!());
        let record = Record::create(&folder, &RunCard::default()).unwrap();
        lock(&record.log).fill_the_disk().unwrap();
        let reading = Reading::good(Value::Vector(vec![1.0; 4000].into()), Time(0));
        let event = Event::Read { readings: vec![("beam:orbit:x".into(), reading)] };
        let error = (0..2000).find_map(|_| record.observe(&event).err()).unwrap();
        assert_eq!(error.kind, Kind::Storage);
        assert!(error.message.contains(folder.to_str().unwrap()) && error.message.contains("full"), "{error}");
        assert_eq!(record.observe(&event).unwrap_err().message, error.message);
        let (id, finished) = (record.id().to_string(), record.finish(&Outcome::default()));
        assert!(finished.is_err());
        // a new connection has no such bound: there is room again
        assert_eq!(crate::finish_interrupted(&folder).unwrap(), [folder.join(format!("{id}.h5"))]);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    fn tempfile(line: u32) -> PathBuf {
        std::env::temp_dir().join(format!("fodo-record-{}-{line}", std::process::id()))
    }
}
