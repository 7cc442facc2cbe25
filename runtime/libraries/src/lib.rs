//! Procedures of other laboratories.
//!
//! A library is a git repository or a folder with a `library.toml`. A facility's lock file pins each by revision and by
//! the hash of its content; the content is kept in a cache, so that nothing is fetched when a procedure runs, and is
//! compared with the lock whenever it is loaded. This crate runs no script and asks no machine; `git` is the only
//! program it starts.

mod content;
mod git;
mod installed;
mod lock;
mod manifest;
mod plan;
mod source;
mod store;

pub use content::Content;
pub use installed::{Installed, Origin, Pinned};
pub use lock::{FACILITY, LOCK_FILE, Lock, Locked};
pub use manifest::{MANIFEST, Manifest, Wanted, is_name};
pub use plan::{Plan, Refresh, plan};
pub use source::{Source, is_revision};
pub use store::Store;

use fodo_report::{Diagnostic, Kind};

/// A mistake in a library, its manifest or its lock.
fn wrong(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Kind::Facility, message)
}

/// Files or the network did not do what was asked.
fn storage(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Kind::Storage, message)
}

/// SHA-256, hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
