//! The cache: contents by name, version and hash, looked at whole before anything of them is used.

use crate::git::Mirror;
use crate::lock::differs;
use crate::{Content, Locked, Source, sha256, storage};
use fodo_report::{Diagnostic, Kind, Result};
use std::path::{Path, PathBuf};

/// A folder of libraries.
#[derive(Clone, Debug)]
pub struct Store(pub PathBuf);

const SUMS: &str = "SHA256SUMS";
const FILES: &str = "files";

impl Store {
    fn folder(&self, name: &str, locked: &Locked) -> PathBuf {
        self.0.join(format!("{name}-{}-{}", locked.version, &locked.content[..12]))
    }

    /// The copy of a repository.
    pub(crate) fn mirror(&self, address: &str) -> Mirror {
        Mirror::new(&self.0.join("git"), address)
    }

    /// Whether something is kept for this library.
    pub(crate) fn has(&self, name: &str, locked: &Locked) -> bool {
        self.folder(name, locked).is_dir()
    }

    /// Keeps a content; one that is there already stays.
    pub fn keep(&self, name: &str, locked: &Locked, content: &Content) -> Result<()> {
        let folder = self.folder(name, locked);
        if folder.is_dir() {
            return self.load(name, locked).map(|_| ());
        }
        let new = self.0.join(format!(".new-{}-{name}", std::process::id()));
        _ = std::fs::remove_dir_all(&new);
        let kept = write(&new, content).and_then(|()| std::fs::rename(&new, &folder));
        kept.map_err(|e| storage(format!("{} could not be written: {e}", folder.display())).into())
    }

    /// The content of a library as it was pinned.
    ///
    /// # Errors
    /// It is not in the cache, or not what was pinned: each file that differs is named.
    pub fn load(&self, name: &str, locked: &Locked) -> Result<Content> {
        let folder = self.folder(name, locked);
        if !folder.is_dir() {
            return Err(storage(format!("the library {name} {} is not in the cache", locked.version))
                .hint("`fodo library verify` fetches what the lock file pins")
                .into());
        }
        let found = Content::of_folder(&folder.join(FILES))?;
        if found.hash() == locked.content {
            return Ok(found);
        }
        let sums = std::fs::read_to_string(folder.join(SUMS)).unwrap_or_default();
        let shown = |path: &str| folder.join(FILES).join(path).display().to_string();
        let what = if sha256(sums.as_bytes()) == locked.content {
            differences(&sums, &found.sums())
                .into_iter()
                .map(|(path, what)| format!("{}: {what}", shown(path)))
                .collect()
        } else {
            vec![format!("{}: changed, like files beside it", folder.join(SUMS).display())]
        };
        let way_out = format!(
            "look at what was changed and by whom; then delete {} and run `fodo library verify`",
            folder.display()
        );
        Err(Box::new(differs(name, locked, what).hint("nothing of it runs").hint(way_out)))
    }

    /// Fetches what a lock pins and keeps it, if it is not in the cache.
    ///
    /// Says whether it had to be fetched.
    pub fn fetch(&self, name: &str, locked: &Locked) -> Result<bool> {
        if self.has(name, locked) {
            return Ok(false);
        }
        let content = match (&locked.source, &locked.revision) {
            (Source::Git(address), Some(revision)) => {
                let mirror = self.mirror(address);
                if !mirror.has(revision) {
                    mirror.fetch()?;
                }
                if !mirror.has(revision) {
                    return Err(storage(format!("{address} no longer has the revision {revision}, which is pinned for {name}"))
                        .hint("copy the cache of a computer that still has it, or take another revision with `fodo library update`")
                        .into());
                }
                mirror.content(revision)?
            }
            (source, _) => folder_content(source)?,
        };
        if content.hash() != locked.content {
            return Err(Diagnostic::new(
                Kind::Facility,
                format!("{} does not hold what was pinned for {name} {}", locked.source, locked.version),
            )
            .detail(format!("pinned  sha256:{}", locked.content))
            .detail(format!("found   sha256:{}", content.hash()))
            .hint("`fodo library update` shows what is new in it, and pins that")
            .into());
        }
        self.keep(name, locked, &content)?;
        Ok(true)
    }
}

/// The content of a plain folder.
pub(crate) fn folder_content(source: &Source) -> Result<Content> {
    match source {
        Source::Folder(path) if path.is_dir() => Content::of_folder(path),
        other => Err(storage(format!("there is no folder {other}")).into()),
    }
}

fn write(folder: &Path, content: &Content) -> std::io::Result<()> {
    let files = folder.join(FILES);
    std::fs::create_dir_all(&files)?;
    for (path, bytes) in content.files() {
        let path = files.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&files))?;
        std::fs::write(&path, bytes)?;
        let mut rights = std::fs::metadata(&path)?.permissions();
        rights.set_readonly(true);
        std::fs::set_permissions(&path, rights)?;
    }
    std::fs::write(folder.join(SUMS), content.sums())
}

/// What became of each file between two lists of sums.
fn differences<'s>(pinned: &'s str, found: &'s str) -> Vec<(&'s str, &'static str)> {
    let entries = |text: &'s str| text.lines().filter_map(|line| line.split_once("  ")).map(|(sum, path)| (path, sum));
    let (before, after): (std::collections::BTreeMap<_, _>, std::collections::BTreeMap<_, _>) =
        (entries(pinned).collect(), entries(found).collect());
    let gone = before.keys().filter(|path| !after.contains_key(*path)).map(|path| (*path, "missing"));
    let other = after.iter().filter_map(|(path, sum)| match before.get(path) {
        None => Some((*path, "added")),
        Some(was) if was != sum => Some((*path, "changed")),
        Some(_) => None,
    });
    gone.chain(other).collect()
}
