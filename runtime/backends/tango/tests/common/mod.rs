//! What the tests against real TANGO share: servers of every kind, which end with the test.
#![allow(dead_code)]

#[path = "../../../epics/tests/common/lender.rs"]
pub mod lender;

use fodo_control::{Backend, Cancel, Channel, Fault, Fresh, Monitor, Reading, Update, Write};
use fodo_tango::Tango;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use fodo_tests::port;

pub const SECOND: Duration = Duration::from_secs(1);
pub const START: Duration = Duration::from_secs(60);

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

/// Whether what a test needs is there; says loudly if it is skipped for want of it.
pub fn there(what: &Path) -> bool {
    let there = what.exists();
    if !there {
        let text = format!("SKIPPED: no {}; run tests/setup/tango.sh\n", what.display());
        _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    }
    there
}

pub fn python() -> PathBuf {
    root().join(".venv/bin/python")
}

pub fn pytango() -> bool {
    there(&root().join(".venv/bin/PyDatabaseds"))
}

/// A program of a Debian package.
pub fn packaged(package: &str, name: &str) -> PathBuf {
    let output = Command::new("dpkg").args(["-L", package]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find(|line| line.ends_with(name)).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

/// A server; dropping it kills it.
pub struct Server(Child);

impl Server {
    pub fn start(command: &mut Command) -> Server {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("FODO_TEST_OUTPUT").is_none() {
            command.stderr(Stdio::null());
        }
        Server(command.spawn().unwrap())
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
        let state = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        until("the stop", || name != "STOP" || state().contains(") T "));
    }

    /// `kill -9`; returns when it is gone.
    pub fn kill(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + START;
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Our own device server at a port, without database; returns when it answers.
pub fn ice(port: u16, devices: &str) -> Server {
    let mut command = Command::new(python());
    command.arg(root().join("tests/setup/tango_device.py")).arg(port.to_string()).arg(devices);
    let server = Server::start(&mut command);
    let tango = Tango::at(&home(port)).unwrap();
    let first = devices.split(',').next().unwrap();
    until("the device server", || read(&tango, &format!("{first}/whole")).is_ok());
    server
}

/// A device server without database, as the home of names.
pub fn home(port: u16) -> String {
    format!("127.0.0.1:{port}#dbase=no")
}

pub fn channels(names: &[&str]) -> Vec<Channel> {
    names.iter().map(|name| Channel::from(*name)).collect()
}

pub fn read(tango: &Tango, name: &str) -> Result<Reading, Fault> {
    tango.read(&channels(&[name]), Fresh::Latest, SECOND, &Cancel::new()).unwrap().remove(0)
}

/// A folder of its own; goes with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("fodo-tango-{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a program to its end and says whether it was well.
pub fn well(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Tells a database of a TangoTest and starts it; returns when it answers.
pub fn tango_test(database: &str) -> Server {
    let admin = packaged("libtango-tools", "bin/tango_admin");
    let tell = || {
        let mut command = Command::new(&admin);
        command.args(["--add-server", "TangoTest/fodo", "TangoTest", "sys/tg_test/1"]).env("TANGO_HOST", database);
        well(&mut command)
    };
    until("the database", tell);
    let mut command = Command::new(packaged("tango-test", "/TangoTest"));
    command.args(["fodo", "-ORBendPoint", "giop:tcp:127.0.0.1:"]).env("TANGO_HOST", database);
    let server = Server::start(&mut command);
    let tango = Tango::at(database).unwrap();
    until("TangoTest", || read(&tango, "sys/tg_test/1/double_scalar").is_ok());
    server
}

/// The database with sqlite; its address.
pub fn sqlite_database(folder: &Folder) -> (Server, String) {
    let port = port();
    let mut command = Command::new(root().join(".venv/bin/PyDatabaseds"));
    let endpoint = format!("giop:tcp:127.0.0.1:{port}");
    command.args(["2", "--port", &port.to_string(), "-ORBendPoint", &endpoint]).current_dir(&folder.0);
    command.env("TANGO_HOST", format!("127.0.0.1:{port}")).env("PYTANGO_DATABASE_NAME", folder.0.join("tango.db"));
    (Server::start(&mut command), format!("127.0.0.1:{port}"))
}

/// Writes numbers, and the answers.
pub fn put(tango: &Arc<Tango>, writes: &[(&str, f64)]) -> Vec<Result<(), Fault>> {
    let writes: Vec<Write> = writes.iter().map(|(name, value)| Write::number(&(*name).into(), *value)).collect();
    let tango = tango.clone();
    lender::with_permit(move |permit| tango.write(permit, &writes, SECOND, &Cancel::new()).unwrap())
}

/// Takes updates of a monitor until one is wanted.
pub fn seen<T>(monitor: &Monitor, what: &str, within: Duration, wanted: impl Fn(&Update) -> Option<T>) -> T {
    let end = Instant::now() + within;
    while Instant::now() < end {
        let updates = monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap();
        if let Some(found) = updates.iter().find_map(&wanted) {
            return found;
        }
    }
    panic!("the monitor did not tell {what} within {within:?}");
}

/// A number of a channel, if the update is one.
pub fn number_of(place: usize) -> impl Fn(&Update) -> Option<f64> {
    move |update| (update.place == place).then(|| update.reading.as_ref().ok()?.value.number()).flatten()
}

/// A fault of a channel, if the update is one.
pub fn fault_of(place: usize) -> impl Fn(&Update) -> Option<String> {
    move |update| (update.place == place).then(|| Some(update.reading.as_ref().err()?.reason.clone())).flatten()
}

/// The classic database, in MariaDB: its servers, and its address.
pub fn classic_database(folder: &Folder) -> (Vec<Server>, String) {
    let path = |name: &str| folder.0.join(name).display().to_string();
    let mut make = Command::new("mysql_install_db");
    make.args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    assert!(well(make.arg(format!("--datadir={}", path("data")))), "no folder for MariaDB");
    let sql_port = port();
    let socket = format!("--socket={}", path("sock"));
    let mut command = Command::new("mariadbd");
    command.args([
        "--no-defaults",
        "--user=root",
        "--bind-address=127.0.0.1",
        "--innodb-buffer-pool-size=16M",
        &socket,
    ]);
    command.args([format!("--datadir={}", path("data")), format!("--port={sql_port}")]);
    let sql = Server::start(&mut command);
    let client = || {
        let mut command = Command::new("mysql");
        command.args(["--no-defaults", "-uroot", &socket]);
        command
    };
    let make = "CREATE DATABASE tango; CREATE USER 'tango'@'127.0.0.1' IDENTIFIED BY 'tango'; \
                CREATE USER 'tango'@'localhost' IDENTIFIED BY 'tango'; \
                GRANT ALL ON tango.* TO 'tango'@'127.0.0.1'; GRANT ALL ON tango.* TO 'tango'@'localhost'";
    until("MariaDB", || well(client().args(["-e", "SELECT 1"])));
    assert!(well(client().args(["-e", make])), "the tables' database was not made");
    let script = packaged("tango-db", "install/mysql");
    let tables = client().arg("tango").stdin(std::fs::File::open(&script).unwrap()).stdout(Stdio::null()).status();
    assert!(tables.unwrap().success(), "the tables were not made");
    let port = port();
    let host = format!("127.0.0.1:{port}");
    let mut command = Command::new(packaged("tango-db", "/DataBaseds"));
    command.args(["2", "-ORBendPoint", &format!("giop:tcp:{host}")]).env("TANGO_HOST", &host);
    command.env("MYSQL_HOST", format!("127.0.0.1:{sql_port}"));
    command.env("MYSQL_USER", "tango").env("MYSQL_PASSWORD", "tango").env("MYSQL_DATABASE", "tango");
    (vec![Server::start(&mut command), sql], host)
}
