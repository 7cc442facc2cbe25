//! What all tests of the whole need: the program, a scratch folder, Python, skipping loudly.

pub mod mutate;
pub mod terminal;

use rayon::prelude::*;
use serde_json::Value;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// The project's folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The folder of lattices and reference numbers beside the project, if it is there.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("FODO_SHARED").map_or_else(|| project().join("../shared"), PathBuf::from);
    folder.join("reference").is_dir().then_some(folder)
}

/// The project's Python with pyAT, h5py and the EPICS tools, if `tests/setup/epics.sh` has made it.
pub fn python() -> Option<PathBuf> {
    let python = project().join(".venv/bin/python");
    python.is_file().then_some(python)
}

/// The first of four ports in a row, free over TCP and UDP, that no other test of this process is given.
///
/// They lie below those that the system gives to outgoing connections, which would take one between the
/// look and the server's start.
pub fn port() -> u16 {
    const PORTS: std::ops::Range<u32> = 16_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let free = |port: &u16| {
        let place = (Ipv4Addr::LOCALHOST, *port);
        TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok()
    };
    loop {
        let place = 4 * (std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u32;
        let port = (PORTS.start + place) as u16;
        if (port..port + 4).all(|port| free(&port)) {
            return port;
        }
    }
}

/// Does work on several items at once and gives what failed, on threads of its own: scripts under test wait for those of
/// the shared pool.
pub fn failures<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<(), String> + Sync) -> Vec<String> {
    let pool = rayon::ThreadPoolBuilder::new().build().unwrap_or_else(|e| panic!("no threads: {e}"));
    pool.install(|| items.par_iter().filter_map(|item| work(item).err()).collect())
}

/// Says loudly that a test did not run.
pub fn skipped(test: &str, why: &str) {
    // past the capture of the test harness, which hides what passing tests print
    _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// The program under test: built beside the tests.
pub fn program() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap_or_default();
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let program = folder.join("fodo");
    assert!(program.is_file(), "{} is missing: cargo build --release", program.display());
    program
}

/// A folder of its own for one test; goes with it.
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder.
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("fodo-test-{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Scratch(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it and gives its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        if let Some(folder) = path.parent() {
            _ = std::fs::create_dir_all(folder);
        }
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A command of the program, run in the project's folder with its data in `scratch`.
pub fn fodo(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(project()).env("FODO_DATA", scratch.path().join("data"));
    command.env_remove("FODO_FACILITY").env_remove("FODO_ROLE").env_remove("FODO_LEASES").env("COLUMNS", "100");
    command
}

/// Runs it and gives everything it printed.
pub fn run(scratch: &Scratch, arguments: &[&str]) -> Output {
    fodo(scratch, arguments).output().unwrap_or_else(|e| panic!("{arguments:?}: {e}"))
}

/// Runs it with `--json` and gives the object.
pub fn json(scratch: &Scratch, arguments: &[&str]) -> Value {
    let mut arguments = arguments.to_vec();
    arguments.push("--json");
    let output = run(scratch, &arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).unwrap_or_else(|e| {
        panic!("{arguments:?} printed no JSON object ({e}):\n{text}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}
