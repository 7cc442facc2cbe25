//! `fodo lsp`: a language server over standard input and output, for editors.
//!
//! Diagnostics are those of `fodo check`, completion is that of the prompt, documentation that of `fodo doc`. No machine is
//! asked and no script is changed; those inside the program are shown as copies in the data folder. Messages that make no sense are answered with an error, and the server goes on.

mod answers;
mod document;
mod wire;

use crate::app::App;
use crate::check::Tests;
use crate::command::{Common, Machine};
use crate::doc::Manual;
use crate::words::Words;
use answers::Answers;
use document::{Document, file_of};
use fodo_procedure::Severity;
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use wire::Incoming;

/// Codes of the protocol.
const PARSE_ERROR: i64 = -32700;
const UNKNOWN_METHOD: i64 = -32601;
const INTERNAL_ERROR: i64 = -32603;

/// Serves until the editor ends it.
pub fn lsp(common: &Common) -> Result<ExitCode> {
    let common = Common { on: Machine::Twin, json: true, ..common.clone() };
    let app = App::open(&common)?;
    let known = Arc::new(crate::check::known(&app));
    let manual = Manual::of(&app);
    let answers =
        Answers { words: Words::new(known), manual, data: app.data.clone(), procedures: app.procedures.clone() };
    let mut server = Server {
        common,
        answers,
        documents: BTreeMap::new(),
        changed: BTreeSet::new(),
        ended: false,
        out: std::io::stdout(),
    };
    server.serve(&incoming()).map_err(|error| {
        Diagnostic::new(Kind::Internal, format!("the language server could not go on: {error}")).into()
    })
}

/// Messages, read by a thread of their own: what waits can be seen.
fn incoming() -> Receiver<Incoming> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut input = BufReader::new(std::io::stdin());
        while let Ok(incoming) = wire::read(&mut input) {
            let end = matches!(incoming, Incoming::End);
            if send.send(incoming).is_err() || end {
                break;
            }
        }
    });
    receive
}

struct Server {
    common: Common,
    answers: Answers,
    /// Open scripts by their address.
    documents: BTreeMap<String, Document>,
    /// Addresses of those that were not checked since they changed.
    changed: BTreeSet<String>,
    /// Whether the editor has asked to shut down.
    ended: bool,
    out: Stdout,
}

impl Server {
    fn serve(&mut self, incoming: &Receiver<Incoming>) -> std::io::Result<ExitCode> {
        loop {
            let next = match incoming.try_recv() {
                Ok(next) => next,
                Err(TryRecvError::Disconnected) => return Ok(self.left()),
                Err(TryRecvError::Empty) => {
                    // nothing waits: who types fast is not kept waiting by the check
                    self.check_changed()?;
                    match incoming.recv() {
                        Ok(next) => next,
                        Err(_) => return Ok(self.left()),
                    }
                }
            };
            match next {
                Incoming::End => return Ok(self.left()),
                Incoming::Garbage => self.fail(&Value::Null, PARSE_ERROR, "this is no JSON")?,
                Incoming::Message(message) if message["method"] == "exit" => return Ok(self.left()),
                Incoming::Message(message) => self.take(&message)?,
            }
        }
    }

    fn left(&self) -> ExitCode {
        if self.ended { ExitCode::SUCCESS } else { ExitCode::from(1) }
    }

    fn take(&mut self, message: &Value) -> std::io::Result<()> {
        let method = message["method"].as_str().unwrap_or_default();
        let parameters = &message["params"];
        let Some(id) = message.get("id").filter(|id| !id.is_null()) else {
            self.notice(method, parameters);
            return Ok(());
        };
        if method.is_empty() {
            // the answer to something that was never asked
            return Ok(());
        }
        // a mistake of ours in one answer is no reason to leave the editor alone
        match catch_unwind(AssertUnwindSafe(|| self.answer(method, parameters))) {
            Ok(Some(result)) => wire::send(&mut self.out, &json!({ "jsonrpc": "2.0", "id": id, "result": result })),
            Ok(None) => self.fail(id, UNKNOWN_METHOD, &format!("`{method}` is not offered")),
            Err(_) => self.fail(id, INTERNAL_ERROR, "Fodo made a mistake"),
        }
    }

    fn fail(&mut self, id: &Value, code: i64, message: &str) -> std::io::Result<()> {
        let error = json!({ "code": code, "message": message });
        wire::send(&mut self.out, &json!({ "jsonrpc": "2.0", "id": id, "error": error }))
    }

    /// What needs no answer.
    fn notice(&mut self, method: &str, parameters: &Value) {
        let document = &parameters["textDocument"];
        let Some(uri) = document["uri"].as_str() else { return };
        match method {
            "textDocument/didOpen" => self.hold(uri, document["text"].as_str()),
            // whole texts only, as was agreed upon
            "textDocument/didChange" => {
                let last = parameters["contentChanges"].as_array().and_then(|changes| changes.last());
                self.hold(uri, last.and_then(|change| change["text"].as_str()));
            }
            "textDocument/didClose" => {
                self.documents.remove(uri);
                self.changed.insert(uri.to_string());
            }
            _ => {}
        }
    }

    fn hold(&mut self, uri: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        let before = self.documents.remove(uri);
        self.changed.insert(uri.to_string());
        if let Ok(document) = catch_unwind(AssertUnwindSafe(|| Document::new(file_of(uri), text, before))) {
            self.documents.insert(uri.to_string(), document);
        }
    }

    fn check_changed(&mut self) -> std::io::Result<()> {
        for uri in std::mem::take(&mut self.changed) {
            let found = self.documents.get(&uri).map(|document| {
                catch_unwind(AssertUnwindSafe(|| self.diagnostics(&uri, document))).unwrap_or_default()
            });
            let parameters = json!({ "uri": uri, "diagnostics": found.unwrap_or_default() });
            let message =
                json!({ "jsonrpc": "2.0", "method": "textDocument/publishDiagnostics", "params": parameters });
            wire::send(&mut self.out, &message)?;
        }
        Ok(())
    }

    fn diagnostics(&self, uri: &str, document: &Document) -> Vec<Value> {
        // procedures beside a test change on disk: they are read anew
        let mut tests = Tests::new(&self.common);
        let beside =
            document.file.ends_with(".test.rhai").then(|| tests.known(Path::new(&document.file), &document.text));
        let known = match beside {
            Some(Ok(known)) => known,
            Some(Err(error)) => {
                let start = json!({ "line": 0, "character": 0 });
                let range = json!({ "start": start, "end": start });
                let message = std::iter::once(error.message.clone())
                    .chain(error.hints.iter().map(|hint| format!("hint: {hint}")));
                let message = message.collect::<Vec<_>>().join("\n");
                return vec![json!({ "range": range, "severity": 1, "source": "fodo", "message": message })];
            }
            None => &self.answers.words.known,
        };
        let found = fodo_procedure::check(&document.file, &document.text, known);
        let one = |finding: &fodo_procedure::Finding| {
            let report = &finding.report;
            let (first, others) = report.labels.split_first()?;
            let (severity, tags) = match finding.severity {
                Severity::Mistake => (1, json!([])),
                Severity::Warning => (2, json!([])),
                Severity::Unused => (4, json!([1])),
            };
            let lines = [report.message.clone()].into_iter().chain(report.details.iter().cloned());
            let lines = lines.chain(report.hints.iter().map(|hint| format!("hint: {hint}")));
            let related = others.iter().filter(|label| label.file == document.file).map(|label| {
                let place = json!({ "uri": uri, "range": document::range_of(&document.text, label) });
                json!({ "location": place, "message": label.text })
            });
            Some(json!({
                "range": document::range_of(&document.text, first),
                "severity": severity,
                "source": "fodo",
                "message": lines.collect::<Vec<_>>().join("\n"),
                "tags": tags,
                "relatedInformation": related.collect::<Vec<_>>(),
            }))
        };
        found.iter().filter_map(one).collect()
    }

    /// The answer to a request; none if it is not offered.
    fn answer(&mut self, method: &str, parameters: &Value) -> Option<Value> {
        match method {
            "initialize" => return Some(capabilities()),
            "shutdown" => {
                self.ended = true;
                return Some(Value::Null);
            }
            _ => {}
        }
        let known = ["completion", "hover", "definition", "signatureHelp", "documentSymbol"];
        let asked = method.strip_prefix("textDocument/").filter(|asked| known.contains(asked))?;
        let document = parameters["textDocument"]["uri"].as_str().and_then(|uri| Some((uri, self.documents.get(uri)?)));
        let Some((uri, document)) = document else { return Some(Value::Null) };
        let place = &parameters["position"];
        let (line, character) = (place["line"].as_u64().unwrap_or(0), place["character"].as_u64().unwrap_or(0));
        let at = document::offset(&document.text, line, character);
        Some(match asked {
            "completion" => self.answers.completion(document, at),
            "hover" => self.answers.hover(document, at),
            "definition" => self.answers.definition(uri, document, at),
            "signatureHelp" => self.answers.signature(document, at),
            _ => self.answers.symbols(document),
        })
    }
}

/// What the server offers.
fn capabilities() -> Value {
    json!({
        "serverInfo": { "name": "fodo", "version": env!("CARGO_PKG_VERSION") },
        "capabilities": {
            "positionEncoding": "utf-16",
            "textDocumentSync": { "openClose": true, "change": 1 },
            "completionProvider": { "triggerCharacters": [".", ":", "\"", "{", "["] },
            "hoverProvider": true,
            "definitionProvider": true,
            "signatureHelpProvider": { "triggerCharacters": ["(", ","] },
            "documentSymbolProvider": true,
        },
    })
}
