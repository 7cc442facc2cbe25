//! The program `git`, used to fetch and to read, never to check out.
//!
//! Files are read from the repository's objects: no work tree, so no hook, filter, submodule or link of the library
//! has anything to act on.

use crate::content::{check_size, not_a_file};
use crate::{Content, sha256, storage};
use fodo_report::{Diagnostic, Kind, Result};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A copy of a library's repository, without a work tree.
pub(crate) struct Mirror {
    folder: PathBuf,
    address: String,
}

impl Mirror {
    /// The copy of the repository at `address`, below `folder`.
    pub fn new(folder: &Path, address: &str) -> Mirror {
        let name = format!("{}.git", &sha256(address.as_bytes())[..16]);
        Mirror { folder: folder.join(name), address: address.to_string() }
    }

    /// Brings all branches and tags here.
    pub fn fetch(&self) -> Result<()> {
        if !self.folder.join("HEAD").is_file() {
            std::fs::create_dir_all(&self.folder)
                .map_err(|e| storage(format!("{} could not be made: {e}", self.folder.display())))?;
            self.run(&["init", "--quiet", "--bare", "--template=", "--initial-branch=main"])?;
        }
        let refs = ["+refs/heads/*:refs/fodo/heads/*", "+refs/tags/*:refs/tags/*"];
        let options = ["fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-recurse-submodules", "--"];
        self.run(&[&options[..], &[&self.address], &refs].concat())?;
        let default = self.default_branch()?;
        std::fs::write(self.folder.join("fodo_default"), default)
            .map_err(|e| storage(format!("{} could not be written: {e}", self.folder.display())).into())
    }

    /// The branch that the repository itself points at; empty where it says none.
    fn default_branch(&self) -> Result<String> {
        let told = self.run(&["ls-remote", "--symref", "--", &self.address, "HEAD"])?;
        let told = String::from_utf8_lossy(&told);
        let branch = told.lines().find_map(|line| line.strip_prefix("ref: refs/heads/")?.split('\t').next());
        Ok(branch.unwrap_or_default().to_string())
    }

    /// The revision of a branch, a tag, or a revision itself; of the default branch when nothing is named.
    pub fn find(&self, follows: Option<&str>) -> Result<String> {
        let default = std::fs::read_to_string(self.folder.join("fodo_default")).unwrap_or_default();
        let asked = follows.unwrap_or(&default);
        let hash = asked.len() >= 7 && asked.chars().all(|c| c.is_ascii_hexdigit());
        let places = [format!("refs/fodo/heads/{asked}"), format!("refs/tags/{asked}")];
        let places = places.into_iter().chain(hash.then(|| asked.to_string()));
        match places.filter(|_| !asked.is_empty()).find_map(|place| self.revision(&place)) {
            Some(revision) => Ok(revision),
            None => Err(self.unknown(follows)),
        }
    }

    /// Whether this revision is here.
    pub fn has(&self, revision: &str) -> bool {
        self.folder.is_dir() && self.revision(revision).is_some()
    }

    fn revision(&self, place: &str) -> Option<String> {
        let commit = format!("{place}^{{commit}}");
        let told = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).ok()?;
        Some(String::from_utf8_lossy(&told).trim().to_string()).filter(|revision| !revision.is_empty())
    }

    fn unknown(&self, follows: Option<&str>) -> Box<Diagnostic> {
        let told =
            self.run(&["for-each-ref", "--format=%(refname)", "refs/fodo/heads", "refs/tags"]).unwrap_or_default();
        let told = String::from_utf8_lossy(&told);
        let names = told.lines().filter_map(|l| l.strip_prefix("refs/fodo/heads/").or(l.strip_prefix("refs/tags/")));
        let names: Vec<&str> = names.collect();
        let address = &self.address;
        let report = match (follows, names.is_empty()) {
            (_, true) => Diagnostic::new(Kind::Usage, format!("the repository {address} is empty")),
            (Some(name), _) => {
                Diagnostic::new(Kind::Usage, format!("{address} has no branch, tag or revision `{name}`"))
                    .near(name, names.iter().copied())
            }
            (None, _) => Diagnostic::new(Kind::Usage, format!("{address} does not say which branch is its main one"))
                .hint("name one with --revision"),
        };
        let known = format!("it has {}", names.iter().take(12).copied().collect::<Vec<_>>().join(", "));
        Box::new(if names.is_empty() { report } else { report.hint(known) })
    }

    /// All files of a revision.
    pub fn content(&self, revision: &str) -> Result<Content> {
        let listed = self.run(&["ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", revision])?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = std::str::from_utf8(entry)
                .map_err(|_| crate::wrong("a file of the library has a name that is no text"))?;
            let broken = || storage(format!("git gave a line that makes no sense: {entry}"));
            let (facts, path) = entry.split_once('\t').ok_or_else(broken)?;
            let facts: Vec<&str> = facts.split_whitespace().collect();
            let [mode, _, object, size] = facts.as_slice() else { return Err(broken().into()) };
            if path.split('/').any(|part| part.starts_with('.')) {
                continue;
            }
            match *mode {
                "120000" => return Err(not_a_file(path, "a link").into()),
                "160000" => {
                    return Err(not_a_file(path, "a submodule")
                        .hint("name the other repository under [dependencies] of library.toml")
                        .into());
                }
                _ => {}
            }
            bytes += size.parse::<u64>().map_err(|_| broken())?;
            entries.push((path.to_string(), (*object).to_string()));
        }
        check_size(entries.len(), bytes)?;
        self.read(entries)
    }

    fn read(&self, entries: Vec<(String, String)>) -> Result<Content> {
        let mut child = self.start(&["cat-file", "--batch"], Stdio::piped())?;
        let asked: String = entries.iter().map(|(_, object)| format!("{object}\n")).collect();
        let input = child.stdin.take();
        // git answers while it is asked: a thread asks, so that neither waits for the other
        let asking = std::thread::spawn(move || input.map(|mut input| input.write_all(asked.as_bytes())));
        let output = child.stdout.take().ok_or_else(|| storage("git could not be read from"))?;
        let content = objects(BufReader::new(output), entries);
        _ = asking.join();
        _ = child.wait();
        content
    }

    /// Runs git and gives what it printed.
    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let child = self.start(arguments, Stdio::null())?;
        let output = child.wait_with_output().map_err(|e| storage(format!("git could not be waited for: {e}")))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let told = String::from_utf8_lossy(&output.stderr);
        let lines = told.lines().map(|line| line.trim().trim_start_matches("fatal: ").to_string());
        let lines = lines.filter(|line| !line.is_empty()).take(6);
        Err(storage(format!("git could not fetch {}", self.address))
            .details(lines)
            .hint(format!("`git ls-remote {}` tries the address; what is in the cache still runs", self.address))
            .into())
    }

    fn start(&self, arguments: &[&str], input: Stdio) -> Result<Child> {
        let mut command = Command::new("git");
        command
            .arg("--git-dir")
            .arg(&self.folder)
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .args(arguments);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS"] {
            command.env_remove(name);
        }
        // no helper program for an address, whatever the user's settings allow
        command.env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh").env("LC_ALL", "C");
        if !std::io::stdin().is_terminal() {
            command.env("GIT_TERMINAL_PROMPT", "0");
        }
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| {
            let report = match error.kind() {
                std::io::ErrorKind::NotFound => storage("the program `git` is not installed, or not in PATH"),
                _ => storage(format!("the program `git` could not be started: {error}")),
            };
            report.hint("git fetches libraries; those in the cache run without it").into()
        })
    }
}

/// Settings that no repository and no user can change.
const SETTINGS: [&str; 7] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=30",
];

/// Answers of `git cat-file --batch`: `OBJECT blob SIZE`, the bytes, an end of line.
fn objects(mut output: impl BufRead, entries: Vec<(String, String)>) -> Result<Content> {
    let lost = |e: std::io::Error| storage(format!("git stopped answering: {e}"));
    let mut content = Content::default();
    for (path, object) in entries {
        let mut head = String::new();
        output.read_line(&mut head).map_err(lost)?;
        let size = head.trim_end().strip_prefix(&format!("{object} blob ")).and_then(|size| size.parse::<usize>().ok());
        let size = size.ok_or_else(|| storage(format!("git does not have `{path}`: {}", head.trim())))?;
        let mut bytes = vec![0; size + 1];
        output.read_exact(&mut bytes).map_err(lost)?;
        bytes.truncate(size);
        content.add(&path, bytes)?;
    }
    Ok(content)
}
