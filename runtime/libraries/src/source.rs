//! Where a library comes from.

use fodo_report::{Diagnostic, Kind, Result};
use std::path::{Path, PathBuf};

/// Where a library comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A git repository, by its address or path.
    Git(String),
    /// A plain folder, by its whole path.
    Folder(PathBuf),
}

/// Ways to a repository that only fetch: no helper program is started for them but `git`'s own and `ssh`.
const SCHEMES: [&str; 5] = ["https://", "http://", "ssh://", "git://", "file://"];

impl Source {
    /// Reads an address or a path.
    ///
    /// # Errors
    /// What git would take for an option or for a program to start, passwords, paths that are not there.
    pub fn parse(text: &str) -> Result<Source> {
        let refused = |why: &str| Diagnostic::new(Kind::Usage, format!("`{text}` is no source of a library: {why}"));
        if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(refused("it is neither an address nor a path").into());
        }
        if text.contains("::") {
            return Err(refused("an address that starts a program is not taken").hint(ADDRESSES).into());
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            if !SCHEMES.contains(&format!("{scheme}://").as_str()) {
                return Err(refused(&format!("`{scheme}` is not one of the ways to it")).hint(ADDRESSES).into());
            }
            let host = rest.split('/').next().unwrap_or_default();
            if host.split_once('@').is_some_and(|(user, _)| user.contains(':')) {
                let why = "it holds a password, which would be written into the lock file";
                return Err(Diagnostic::new(Kind::Usage, format!("the address of a library was refused: {why}"))
                    .hint("leave it out; git asks its credential helper")
                    .into());
            }
            return Ok(Source::Git(text.to_string()));
        }
        // HOST:PATH, as ssh has it, unless there is such a path here
        let short = text.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'));
        if short && !Path::new(text).exists() {
            return Ok(Source::Git(text.to_string()));
        }
        let path = std::fs::canonicalize(text)
            .map_err(|e| Diagnostic::new(Kind::Usage, format!("there is no library at {text}: {e}")))?;
        let repository = path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("objects").is_dir());
        match path.to_str() {
            Some(text) if repository => Ok(Source::Git(text.to_string())),
            Some(_) => Ok(Source::Folder(path)),
            None => Err(refused("its path is no text").into()),
        }
    }

    /// One that the lock names: it may be away for now.
    pub(crate) fn of_lock(text: &str, revision: bool) -> Source {
        if revision { Source::Git(text.to_string()) } else { Source::Folder(PathBuf::from(text)) }
    }

    /// Whether `text`, which it was read from, means the same everywhere on this machine.
    pub(crate) fn is_absolute(&self, text: &str) -> bool {
        text.contains(':') || Path::new(text).is_absolute()
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Git(address) => f.write_str(address),
            Source::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

const ADDRESSES: &str = "https://…, ssh://…, USER@HOST:PATH, git://…, file://… or a path";

/// Whether it may name a branch, a tag or a revision.
pub fn is_revision(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '+');
    !text.is_empty()
        && text.len() < 200
        && !text.starts_with(['-', '/', '.'])
        && !text.contains("..")
        && text.chars().all(fits)
}
