//! The trainer's door to a served twin: what is wrong with it is set and read here, and nowhere else.
//!
//! A line of JSON is asked, a line of JSON answers. Every question carries the token that was written to a file of its own
//! when the twin was started; who can read that file may come in.

use crate::app::fingerprint;
use crate::{json, test};
use fodo_control::{Plant, Trainer, Victim};
use fodo_devices::Facility;
use fodo_report::{Diagnostic, Kind, Result};
use fodo_twin::Twin;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest question.
const LONGEST: u64 = 64 << 20;
/// How long a question or an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can be asked.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// What can go wrong, what does, and what did.
    Show,
    /// Everything that is wrong.
    Truth,
    /// Values that are known, in the form of `exact` of twin.toml.
    Set { text: String },
    /// What was drawn at the start again.
    Reset,
    /// Let something go wrong.
    Start { name: String, device: Option<String> },
    /// End it.
    Stop { name: String },
    /// Another lattice with the same elements, from a file that the server can read.
    Lattice { file: PathBuf },
}

#[derive(Serialize, Deserialize)]
struct Sent {
    token: String,
    #[serde(flatten)]
    question: Question,
}

/// The door of a twin that is served.
pub struct Door {
    /// Its port.
    pub port: u16,
    /// Where the token is.
    pub token: PathBuf,
}

impl Drop for Door {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.token);
    }
}

/// Where the token of a port is kept.
pub fn token_file(data: &Path, port: u16) -> PathBuf {
    data.join("doors").join(format!("{port}.token"))
}

impl Door {
    /// Opens it on a port of an interface, any one if it is 0; the token is new each time.
    pub fn open(twin: Arc<Twin>, facility: Arc<Facility>, at: (Ipv4Addr, u16), data: &Path) -> Result<Door> {
        let no_door = |e: std::io::Error| {
            let what = format!("there is no door at {}:{}: {e}", at.0, at.1);
            Diagnostic::new(Kind::Machine, what).hint("is another twin there? Name another port: --door PORT")
        };
        let listener = TcpListener::bind(at).map_err(no_door)?;
        let port = listener.local_addr().map_err(no_door)?.port();
        let file = token_file(data, port);
        let token = make_token(&file).map_err(|e| {
            Diagnostic::new(Kind::Storage, format!("the token of the door cannot be kept in {}: {e}", file.display()))
        })?;
        let wanted: Arc<str> = fingerprint([token.as_bytes()]).into();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (twin, facility, wanted) = (twin.clone(), facility.clone(), wanted.clone());
                std::thread::spawn(move || serve(&stream, &twin, &facility, &wanted));
            }
        });
        Ok(Door { port, token: file })
    }
}

/// A new token, in a file that only its owner can read.
fn make_token(file: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut random = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    _ = std::fs::remove_file(file);
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(out, "{token}")?;
    Ok(token)
}

/// Answers one client until it leaves.
fn serve(stream: &TcpStream, twin: &Twin, facility: &Facility, wanted: &str) {
    _ = stream.set_read_timeout(Some(PATIENCE));
    _ = stream.set_write_timeout(Some(PATIENCE));
    let mut lines = BufReader::new(stream.take(LONGEST));
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|count| count > 0) {
        let answer = match heard(&line, wanted).and_then(|question| answer(twin, facility, question)) {
            Ok(answer) => json!({ "ok": answer }),
            Err(error) => json!({ "error": error.to_json() }),
        };
        let mut out = stream;
        if writeln!(out, "{answer}").is_err() {
            return;
        }
        line.clear();
        lines.get_mut().set_limit(LONGEST);
    }
}

fn heard(line: &str, wanted: &str) -> Result<Question> {
    // the token first: who has none is told nothing else
    let token = |value: &Value| value.get("token").and_then(Value::as_str).map(|token| fingerprint([token.as_bytes()]));
    let value: Option<Value> = serde_json::from_str(line).ok();
    if value.as_ref().and_then(token).is_none_or(|token| token != wanted) {
        let what = "this token does not open the door of the twin";
        return Err(Diagnostic::new(Kind::Rights, what)
            .hint("it is in the file that `fodo serve twin --door` names")
            .into());
    }
    let sent = serde_json::from_value::<Sent>(value.unwrap_or_default());
    Ok(sent.map_err(|e| Diagnostic::new(Kind::Usage, format!("the door does not understand this: {e}")))?.question)
}

fn answer(twin: &Twin, facility: &Facility, question: Question) -> Result<Value> {
    match question {
        Question::Show => {
            let anomalies: Vec<Value> =
                twin.anomalies().into_iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
            let happened = twin.happened(fodo_control::Time(i64::MIN));
            let now = twin.now();
            Ok(json!({ "now": now, "anomalies": anomalies, "going_wrong": twin.going_wrong(), "happened": happened }))
        }
        Question::Truth => Ok(json::of(&test::truth(facility, twin).into())),
        Question::Set { text } => twin.set_exact(facility, &text).map(|()| Value::Null),
        Question::Reset => {
            twin.reset_truth();
            Ok(Value::Null)
        }
        Question::Start { name, device } => {
            let victim = device.as_deref().map(Victim::from);
            twin.start(&name, victim).map(|()| Value::Null)
        }
        Question::Stop { name } => twin.stop(&name).map(|()| Value::Null),
        Question::Lattice { file } => {
            let lattice = fodo_builtins::read_lattice(&file)?;
            twin.exchange(&Arc::new(lattice)).map(|()| Value::Null)
        }
    }
}

/// Asks the door of a twin that is served elsewhere.
pub fn ask(address: &str, token: &Path, question: Question) -> Result<Value> {
    let text = std::fs::read_to_string(token).map_err(|e| {
        Diagnostic::new(Kind::Rights, format!("there is no token in {}: {e}", token.display()))
            .hint("the twin is served with --door PORT, which says where the token is; or name its file: --token FILE")
    })?;
    let lost = |e: std::io::Error| {
        Diagnostic::new(Kind::Machine, format!("the door of the twin at {address} does not answer: {e}"))
            .hint("is it served with --door? `fodo serve twin --door PORT` says where")
    };
    let mut stream = TcpStream::connect(address).map_err(lost)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    let sent = serde_json::to_string(&Sent { token: text.trim().to_string(), question })
        .map_err(|e| Diagnostic::new(Kind::Internal, e.to_string()))?;
    writeln!(stream, "{sent}").map_err(lost)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(lost)?;
    let garbled = || Diagnostic::new(Kind::Machine, format!("what answers at {address} is no door of a twin"));
    let mut answer: Value = serde_json::from_str(&line).map_err(|_| garbled())?;
    match answer.get_mut("error") {
        Some(error) => Err(told(error).into()),
        None => Ok(answer.get_mut("ok").map(Value::take).unwrap_or_default()),
    }
}

/// The error that the door answered.
fn told(error: &Value) -> Diagnostic {
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(String::from);
    let kinds = [Kind::Usage, Kind::Rights, Kind::Facility, Kind::Limits, Kind::Machine];
    let kind = text("kind").and_then(|word| kinds.into_iter().find(|kind| kind.word() == word));
    let mut told = Diagnostic::new(kind.unwrap_or(Kind::Machine), text("message").unwrap_or_default());
    told.machine = text("machine");
    let texts = |key: &str| {
        let all = error.get(key).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(String::from).collect::<Vec<String>>()
    };
    (told.details, told.hints) = (texts("details"), texts("hint"));
    if let Some(line) = error.get("line").and_then(Value::as_u64) {
        // `exact` is what the tables that were sent are called where they are read
        let file = text("file").filter(|file| file != "exact").unwrap_or_else(|| "what was sent".into());
        told.message = format!("line {line} of {file}: {}", told.message);
    }
    told
}
