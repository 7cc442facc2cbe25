//! Leases: which session writes a family.
//!
//! One file for each facility and family in a folder that the sessions of a control room share. It is made with its
//! content, locked, under another name and linked into place, which exactly one session can do, on network file systems
//! too. The lock tells whether a holder on this host lives; of another host only the heartbeat is known, and such a
//! lease is never taken over, but given free by a person.

use crate::{RunInfo, Time};
use fodo_report::{Diagnostic, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often a holder says that it lives.
const BEAT: Duration = Duration::from_secs(5);
/// After this long without a beat, a holder on another host is taken for dead; a person decides.
const SILENT: Duration = Duration::from_secs(60);

/// Where leases live, shared by all sessions that may write a facility.
#[derive(Clone, Debug)]
pub struct LeaseFolder(pub PathBuf);

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// The facility's name.
    pub facility: String,
    /// The family that may be written.
    pub family: String,
    /// Login name.
    pub user: String,
    /// Computer.
    pub host: String,
    /// Process on it.
    pub process: u32,
    /// Run id.
    pub run: String,
    /// What runs: the procedure, the script, the line typed at the prompt.
    pub title: String,
    /// Since when, seconds since 1970.
    pub since: f64,
}

/// What is known of a holder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Life {
    /// It holds the lock, or has been heard of lately.
    Lives,
    /// Its process on this host has ended.
    Ended,
    /// On another host, silent for this long.
    Silent(Duration),
}

/// A lease somebody holds or has left.
#[derive(Clone, Debug)]
pub struct Leased {
    /// Who.
    pub holder: Holder,
    /// Whether it lives.
    pub life: Life,
    path: PathBuf,
}

/// A lease held by this session; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lease {
    pub family: String,
    path: PathBuf,
    file: File,
    /// Dropped to end the heartbeat.
    _beat: Sender<()>,
}

/// The name of this computer.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into())
}

/// The login name of the operator.
pub fn user() -> String {
    std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".into())
}

impl Holder {
    fn of(info: &RunInfo, family: &str) -> Holder {
        Holder {
            facility: info.facility.clone(),
            family: family.to_string(),
            user: user(),
            host: host(),
            process: std::process::id(),
            run: info.run.clone(),
            title: info.title.clone(),
            since: Time::wall().seconds(),
        }
    }

    fn is_here(&self) -> bool {
        self.host == host()
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Holder { user, host, process, run, title, since, .. } = self;
        let time = Time((since * 1e9) as i64).iso();
        let time = time.split('.').next().unwrap_or_default().replace('T', " ");
        let ago = ago(Duration::from_secs_f64((Time::wall().seconds() - since).max(0.0)));
        write!(f, "{user} on {host}, process {process}, since {time} UTC ({ago} ago): {title} (run {run})")
    }
}

impl std::fmt::Display for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Life::Lives => f.write_str("lives"),
            Life::Ended => f.write_str("has ended without giving it back"),
            Life::Silent(span) => write!(f, "not heard of for {}: it may be dead", ago(*span)),
        }
    }
}

/// A span for people: `5 s`, `12 min`, `3 h`.
fn ago(span: Duration) -> String {
    match span.as_secs() {
        s @ 0..=119 => format!("{s} s"),
        s @ 120..=7199 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}

impl LeaseFolder {
    fn path(&self, facility: &str, family: &str) -> PathBuf {
        // names become one file name each, whatever is in them
        let plain = |name: &str| name.replace(['/', '.'], "_");
        self.0.join(format!("{}.{}.lease", plain(facility), plain(family)))
    }

    /// Takes a lease, also one that a dead process of this host has left, and says whose it was.
    pub(crate) fn take(&self, info: &RunInfo, family: &str) -> Result<Taken> {
        let path = self.path(&info.facility, family);
        std::fs::create_dir_all(&self.0).map_err(|e| storage(&path, "made", &e))?;
        let holder = Holder::of(info, family);
        let mut left = None;
        // each round somebody else was quicker, or a dead holder's file was put away
        for _ in 0..20 {
            if let Some(lease) = Lease::make(&path, &holder)? {
                return Ok(Taken::Ours(lease, left));
            }
            let Some((found, lock)) = Leased::read(&path)? else { continue };
            if found.life != Life::Ended {
                return Ok(Taken::Theirs(found));
            }
            if lock.is_some_and(|lock| is_at(&lock, &path)) {
                std::fs::remove_file(&path).map_err(|e| storage(&path, "taken over", &e))?;
                left = Some(found.holder);
                continue;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(storage(&path, "taken", &std::io::Error::other("it changes hands all the time")))
    }

    /// All leases held or left, of one facility or of all.
    ///
    /// # Errors
    /// Kind `storage`: a file could not be read.
    pub fn list(&self, facility: Option<&str>) -> Result<Vec<Leased>> {
        let Ok(files) = std::fs::read_dir(&self.0) else { return Ok(Vec::new()) };
        let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "lease"));
        paths.sort();
        let mut leases = Vec::new();
        for path in paths {
            let found = Leased::read(&path)?.map(|(found, _)| found);
            leases.extend(found.filter(|l| facility.is_none_or(|name| name == l.holder.facility)));
        }
        Ok(leases)
    }

    /// Breaks a lease whose holder does not live as far as this host can tell, and gives what it was.
    ///
    /// # Errors
    /// Kind `rights`: its holder lives on this host, or another host has been heard of lately. Kind `usage`: nobody
    /// holds it.
    pub fn release(&self, facility: &str, family: &str) -> Result<Leased> {
        let path = self.path(facility, family);
        let Some((found, _lock)) = Leased::read(&path)? else {
            return Err(Diagnostic::new(Kind::Usage, format!("nobody holds the lease of {family} of {facility}"))
                .hint("`fodo leases` lists those that are held")
                .into());
        };
        if found.life == Life::Lives {
            let message = format!("the holder of the lease of {family} lives; it was not released");
            return Err(Diagnostic::new(Kind::Rights, message)
                .details([found.holder.to_string()])
                .hint(found.advice())
                .into());
        }
        std::fs::remove_file(&path).map_err(|e| storage(&path, "released", &e))?;
        Ok(found)
    }
}

/// What became of taking a lease.
pub(crate) enum Taken {
    /// It is ours; whose file was left there by a dead process.
    Ours(Lease, Option<Holder>),
    Theirs(Leased),
}

impl Lease {
    /// Makes the file, whole and locked from the beginning; `None` if there is one.
    fn make(path: &Path, holder: &Holder) -> Result<Option<Lease>> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let failed = |e: std::io::Error| storage(path, "made", &e);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let draft = path.with_extension(format!("{}-{}-{count}.draft", holder.host, holder.process));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&draft).map_err(failed)?;
        let mut text = serde_json::to_vec(holder)
            .map_err(|e| Diagnostic::new(Kind::Internal, format!("a lease could not be written: {e}")))?;
        text.push(b'\n');
        let made = file.lock().and_then(|()| file.write_all(&text)).and_then(|()| std::fs::hard_link(&draft, path));
        _ = std::fs::remove_file(&draft);
        match made {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(e) => return Err(failed(e)),
        }
        let (beat, end) = channel::<()>();
        let pulse = file.try_clone().map_err(failed)?;
        std::thread::spawn(move || {
            // the same bytes again: the time of the file is the file server's, as is that of who looks
            while end.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                _ = pulse.write_all_at(&text, 0);
            }
        });
        Ok(Some(Lease { family: holder.family.clone(), path: path.to_path_buf(), file, _beat: beat }))
    }

    /// Whether nobody has broken it.
    pub fn check(&self) -> Result<()> {
        if is_at(&self.file, &self.path) {
            return Ok(());
        }
        let message = format!("the lease of {} was released by somebody else during the run", self.family);
        Err(Diagnostic::new(Kind::Rights, message)
            .hint("`fodo leases` shows who writes the family now; agree with them, then run again")
            .into())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // a file that cannot be removed is found out by the next session: its lock is free
        if is_at(&self.file, &self.path) {
            _ = std::fs::remove_file(&self.path);
        }
        _ = self.file.unlock();
    }
}

impl Leased {
    /// Reads a lease file, and takes its lock if that is free.
    fn read(path: &Path) -> Result<Option<(Leased, Option<File>)>> {
        let open = OpenOptions::new().read(true).write(true).open(path).or_else(|_| File::open(path));
        let file = match open {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(storage(path, "read", &e)),
        };
        let locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(e)) => return Err(storage(path, "locked", &e)),
        };
        let text = std::fs::read_to_string(path);
        let text = match text {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(storage(path, "read", &e)),
        };
        let holder: Holder =
            serde_json::from_str(&text).map_err(|e| storage(path, "understood", &std::io::Error::other(e)))?;
        if !is_at(&file, path) {
            return Ok(None);
        }
        let gone = || holder.is_here() && !Path::new("/proc").join(holder.process.to_string()).exists();
        let life = match (locked, holder.is_here()) {
            // somebody is just looking at what a dead process left
            (false, _) if Path::new("/proc/self").exists() && gone() => Life::Ended,
            (false, _) => Life::Lives,
            (true, true) => Life::Ended,
            (true, false) => match silence(path).map_err(|e| storage(path, "judged", &e))? {
                span if span < SILENT => Life::Lives,
                span => Life::Silent(span),
            },
        };
        Ok(Some((Leased { holder, life, path: path.to_path_buf() }, locked.then_some(file))))
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        let Leased { holder: Holder { user, host, process, family, .. }, life, .. } = self;
        match life {
            Life::Lives => {
                format!("wait until it has ended, or let {user} end it; `fodo leases` shows who writes what")
            }
            Life::Ended => "the next run that writes takes it over".into(),
            Life::Silent(_) => format!(
                "see on {host} that process {process} has ended and what it left changed (`fodo recover` there); \
                 then `fodo leases --release {family} --write`"
            ),
        }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The error of a session that finds leases in other hands.
pub(crate) fn refused(others: &[Leased]) -> Box<Diagnostic> {
    let families: Vec<&str> = others.iter().map(|l| l.holder.family.as_str()).collect();
    let verb = if families.len() == 1 { "is" } else { "are" };
    let message = format!("{} {verb} being written by another session", families.join(", "));
    let detail = |l: &Leased| format!("{}: {}; {}", l.holder.family, l.holder, l.life);
    let mut hints: Vec<String> = others.iter().map(Leased::advice).collect();
    hints.dedup();
    let error = Diagnostic::new(Kind::Rights, message).details(others.iter().map(detail));
    hints.into_iter().fold(error, |error, hint| error.hint(hint)).into()
}

/// Whether an open file is the one at a path.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |data: &std::fs::Metadata| (data.dev(), data.ino());
    matches!((file.metadata(), std::fs::metadata(path)), (Ok(open), Ok(there)) if id(&open) == id(&there))
}

/// How long ago a file was written, by the clock of the file system.
fn silence(path: &Path) -> std::io::Result<Duration> {
    let probe = path.with_extension(format!("{}-{}.draft", host(), std::process::id()));
    let now = std::fs::write(&probe, "now").and_then(|()| probe.metadata()?.modified());
    _ = std::fs::remove_file(&probe);
    Ok(now?.duration_since(path.metadata()?.modified()?).unwrap_or_default())
}

fn storage(path: &Path, doing: &str, error: &std::io::Error) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Storage, format!("the lease {} could not be {doing}: {error}", path.display()))
        .hint("no family is written without its lease; choose another folder for all sessions (--leases DIR or FODO_LEASES)")
        .into()
}
