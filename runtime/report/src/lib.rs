//! The one diagnostic of Fodo.
//!
//! Every crate has typed errors or builds a [`Diagnostic`] directly: what happened, where in which
//! script or table, how the machine stands now, what to do. Only the program and the panels show
//! it. This crate knows nothing of accelerators, scripts or control systems.

mod near;
mod render;

pub use near::{did_you_mean, nearest};

use serde::Serialize;
use std::sync::Arc;

/// Result of anything that can end with a report to the user.
pub type Result<T, E = Box<Diagnostic>> = std::result::Result<T, E>;

/// What sort of thing went wrong; scripts catch by it, exit codes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The command line asks for something that does not exist.
    Usage,
    /// The script is wrong: syntax, name, argument, unit.
    Script,
    /// The machine or its control system did not do what was asked.
    Machine,
    /// A value would leave a limit; nothing was written.
    Limits,
    /// The script or the session has no right to do it.
    Rights,
    /// A facility table is wrong.
    Facility,
    /// The operator stopped it.
    Stopped,
    /// Files could not be read or written (records, journals).
    Storage,
    /// A mistake in Fodo itself.
    Internal,
}

impl Kind {
    /// The word used in messages, JSON and `catch`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Script => "script",
            Kind::Machine => "machine",
            Kind::Limits => "limits",
            Kind::Rights => "rights",
            Kind::Facility => "facility",
            Kind::Stopped => "stopped",
            Kind::Storage => "storage",
            Kind::Internal => "internal",
        }
    }

    /// Exit code of the program when a command ends with an error of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Script => 1,
            Kind::Usage => 2,
            Kind::Machine => 3,
            Kind::Limits => 4,
            Kind::Rights => 5,
            Kind::Facility => 6,
            Kind::Storage => 7,
            Kind::Internal => 70,
            Kind::Stopped => 130,
        }
    }
}

/// A place in a text: lines and columns count characters from 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// File as the user knows it, or `<prompt>`.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are underlined; at least 1.
    pub length: usize,
    /// What to say at the place; may be empty.
    pub text: String,
    /// The whole text of the file, for the excerpt; without it only the position is shown.
    #[serde(skip)]
    pub source: Option<Arc<str>>,
}

impl Label {
    /// A label on one character of `file`.
    pub fn new(file: impl Into<String>, line: usize, column: usize) -> Self {
        Label { file: file.into(), line, column, length: 1, text: String::new(), source: None }
    }

    /// Says `text` at the place.
    pub fn say(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Underlines `length` characters.
    pub fn long(mut self, length: usize) -> Self {
        self.length = length.max(1);
        self
    }

    /// Attaches the text of the file, from which the excerpt is taken.
    pub fn in_text(mut self, source: impl Into<Arc<str>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The label for the byte range `span` of `source`.
    pub fn at_bytes(file: impl Into<String>, source: &str, span: std::ops::Range<usize>) -> Self {
        let start = span.start.min(source.len());
        let before = source.get(..start).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let text = source.get(start..span.end.min(source.len())).unwrap_or("");
        let length = text.lines().next().unwrap_or("").chars().count();
        Label::new(file, line, column).long(length).in_text(source)
    }
}

/// What happened, where, how the machine stands, what to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    /// What sort of thing went wrong.
    pub kind: Kind,
    /// What happened, with numbers and units, in one sentence.
    pub message: String,
    /// Where; the first is the place itself, the others are the call chain from inside out.
    pub labels: Vec<Label>,
    /// More facts, one a line: each channel that failed, each corrector beyond its limit.
    pub details: Vec<String>,
    /// How the machine stands now; only the transaction knows.
    pub machine: Option<String>,
    /// What to do.
    pub hints: Vec<String>,
    /// What led to it.
    pub causes: Vec<Diagnostic>,
}

impl Diagnostic {
    /// A diagnostic of `kind` that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Diagnostic {
            kind,
            message: message.into(),
            labels: Vec::new(),
            details: Vec::new(),
            machine: None,
            hints: Vec::new(),
            causes: Vec::new(),
        }
    }

    /// Adds a place.
    pub fn label(mut self, label: Label) -> Self {
        self.labels.push(label);
        self
    }

    /// Adds a fact.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Adds facts.
    pub fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// Adds advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds "did you mean" when one of `known` is near `name`.
    pub fn near<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match did_you_mean(name, known) {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Says how the machine stands, unless something nearer to it already did.
    pub fn machine(mut self, state: impl Into<String>) -> Self {
        self.machine.get_or_insert_with(|| state.into());
        self
    }

    /// Adds what led to it.
    pub fn cause(mut self, cause: Diagnostic) -> Self {
        self.causes.push(cause);
        self
    }

    /// The object that `--json` prints.
    pub fn to_json(&self) -> serde_json::Value {
        let place = self.labels.first();
        serde_json::json!({
            "kind": self.kind.word(),
            "message": self.message,
            "file": place.map(|l| &l.file),
            "line": place.map(|l| l.line),
            "column": place.map(|l| l.column),
            "calls": self.labels.iter().skip(1).collect::<Vec<_>>(),
            "details": self.details,
            "machine": self.machine,
            "hint": self.hints,
            "causes": self.causes.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
        })
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        self.details.iter().try_for_each(|detail| write!(f, "; {detail}"))
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.kind.word()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        (!self.hints.is_empty()).then(|| Box::new(self.hints.join("\n")) as Box<_>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.causes.iter().map(|c| c as &dyn miette::Diagnostic)))
    }
}
