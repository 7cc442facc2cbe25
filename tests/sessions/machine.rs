//! A real IOC, the served twin, and a client that shares nothing with Fodo.

use fodo_tests::{self as support, Scratch, port};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Channel values by name.
pub type Values = BTreeMap<String, f64>;

/// Whether the EPICS tools are there; says loudly if a test is skipped for want of them.
pub fn epics(test: &str) -> bool {
    let there = support::python().is_some();
    if !there {
        support::skipped(test, "no .venv with EPICS; run tests/setup/epics.sh");
    }
    there
}

/// Points EPICS clients that the command starts at `port`.
pub fn point(command: &mut Command, port: u16) {
    command
        .env("EPICS_CA_ADDR_LIST", "127.0.0.1")
        .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
        .env("EPICS_CA_SERVER_PORT", port.to_string())
        .env("EPICS_CA_REPEATER_PORT", (port + 1).to_string())
        .env("EPICS_CA_MAX_ARRAY_BYTES", "10000000");
}

fn setup(script: &str) -> PathBuf {
    support::project().join("tests/setup").join(script)
}

/// Runs a Python script of `tests/setup` and gives the JSON object it prints.
pub fn python(script: &str, arguments: &[&Path], input: &Value) -> Value {
    let mut command = Command::new(support::python().unwrap());
    command.arg(setup(script)).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A real softIoc; dropping it kills it.
pub struct Ioc {
    pub port: u16,
    folder: PathBuf,
    clock: i64,
}

impl Ioc {
    /// An IOC with its logs in `folder`, not yet started.
    pub fn new(folder: PathBuf) -> Ioc {
        Ioc { port: port(), folder, clock: 0 }
    }

    /// The same with a clock that is off by so many seconds.
    pub fn with_clock(mut self, clock: i64) -> Ioc {
        self.clock = clock;
        self
    }

    fn script(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("python3");
        let output = command.arg(setup("ioc.py")).args(arguments).arg("--directory").arg(&self.folder).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts it, again after a kill; returns when it listens.
    pub fn start(&self, database: &Path) {
        let (port, database) = (self.port.to_string(), database.display().to_string());
        let clock = format!("--clock={}", self.clock);
        self.script(&["start", "--port", &port, "--db", &database, "--put-log", &clock]);
    }

    /// `kill -9`; returns when it is gone.
    pub fn kill(&self) {
        self.script(&["kill"]);
    }

    /// What the IOC itself says was put since its last start, in order.
    pub fn puts(&self) -> Vec<(String, f64)> {
        let state: Value = serde_json::from_slice(&std::fs::read(self.folder.join("ioc.json")).unwrap()).unwrap();
        let text = std::fs::read(self.folder.join("puts.log")).unwrap();
        let text = String::from_utf8_lossy(&text[state["skip"].as_u64().unwrap() as usize..]).into_owned();
        let put = |line: &str| {
            let (name, value) = line.strip_prefix("PUT ")?.split_once(' ')?;
            Some((name.to_string(), value.parse().unwrap()))
        };
        // a line without its end is just being written
        text.split_inclusive('\n').filter_map(|line| put(line.strip_suffix('\n')?)).collect()
    }
}

impl Drop for Ioc {
    fn drop(&mut self) {
        if self.folder.join("ioc.json").exists() {
            self.kill();
        }
    }
}

/// An EPICS client that shares nothing with Fodo.
pub struct Client {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// A client of the server at `port`.
    pub fn new(port: u16) -> Client {
        let mut command = Command::new(support::python().unwrap());
        point(&mut command, port);
        command.arg(setup("ca.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Client { child, questions, answers }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer.get("error").is_none(), "{question}: {answer}");
        answer
    }

    /// What channels hold, to the last bit.
    pub fn get<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> Values {
        let names: Vec<&str> = names.collect();
        let answer = self.ask(&json!({ "get": names }));
        let values = answer.as_array().unwrap().iter().map(|v| v.as_str().unwrap().parse().unwrap());
        names.iter().map(|n| n.to_string()).zip(values).collect()
    }

    /// Writes channels and waits until the server says that all are done.
    pub fn put(&mut self, values: &Values) {
        let texts: BTreeMap<&str, String> = values.iter().map(|(n, v)| (n.as_str(), format!("{v:?}"))).collect();
        self.ask(&json!({ "put": texts }));
    }

    /// Writes an array.
    pub fn put_array(&mut self, name: &str, values: &[f64]) {
        let texts: Vec<String> = values.iter().map(f64::to_string).collect();
        self.ask(&json!({ "put": { name: texts } }));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A Fodo that runs beside the test; dropping it kills it.
pub struct Running(Option<Child>);

/// Reads to the end on a thread of its own.
fn read_beside(mut from: impl std::io::Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

impl Running {
    /// Starts the command; its output is kept.
    pub fn start(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(Some(command.spawn().unwrap()))
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Ctrl-\\, the panic stop.
    pub fn panic_stop(&self) {
        self.signal("QUIT");
    }

    fn signal(&self, name: &str) {
        let id = self.0.as_ref().unwrap().id();
        _ = Command::new("sh").args(["-c", &format!("kill -{name} {id} 2>/dev/null")]).status();
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        _ = self.0.as_mut().unwrap().kill();
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub fn output(mut self) -> Output {
        let child = self.0.as_mut().unwrap();
        // read beside it: a pipe holds 64 kB, and who writes more waits for a reader
        let (stdout, stderr) = (child.stdout.take().map(read_beside), child.stderr.take().map(read_beside));
        let deadline = Instant::now() + Duration::from_secs(180);
        while !self.ended() {
            assert!(Instant::now() < deadline, "the program does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = self.0.take().unwrap().wait().unwrap();
        let all = |reader: Option<JoinHandle<Vec<u8>>>| reader.map(|r| r.join().unwrap()).unwrap_or_default();
        Output { status, stdout: all(stdout), stderr: all(stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// `fodo serve twin` of a facility, up and listening.
pub fn serve(scratch: &Scratch, facility: &Path, more: &[&str]) -> (Running, u16) {
    let port = port();
    let mut command = support::fodo(scratch, &["serve", "twin", "--protocol", "ca", "--port", &port.to_string()]);
    point(&mut command, port);
    command.arg("--facility").arg(facility).args(more);
    let mut running = Running::start(command);
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(!running.ended() && Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    (running, port)
}

/// The JSON object a command printed.
pub fn object(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim())
        .unwrap_or_else(|e| panic!("no JSON object ({e}):\n{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}
