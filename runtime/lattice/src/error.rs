//! What can be wrong with a lattice file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fodo_report::{Diagnostic, Kind, Label};

/// A lattice that cannot be read: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatticeError {
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file it is in, where known.
    pub file: Option<PathBuf>,
    /// Line in that file, counted from 1, where known.
    pub line: Option<usize>,
    /// Column in that line, counted from 1, where known.
    pub column: Option<usize>,
    /// What would help, where something would.
    pub hint: Option<String>,
}

impl LatticeError {
    /// An error with nothing but its message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), file: None, line: None, column: None, hint: None }
    }

    /// Adds the file.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_path_buf());
        self
    }

    /// Adds line and column, both counted from 1.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        (self.line, self.column) = (Some(line), Some(column));
        self
    }

    /// Adds line and column of a byte offset into the text of the file.
    #[must_use]
    pub fn at_offset(self, text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&character| character != '\n').count() + 1;
        self.at(line, column)
    }

    /// Adds what would help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean" when one of the known words is near the unknown one, else lists them.
    #[must_use]
    pub fn near<'a>(self, unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match fodo_report::did_you_mean(unknown, known.iter().copied()) {
            Some(hint) => self.hint(hint),
            None if known.len() <= 30 => self.hint(format!("known here: {}", known.join(", "))),
            None => self,
        }
    }

    /// The report of it, with an excerpt where the text of the file is given.
    #[must_use]
    pub fn diagnostic(self, text: Option<Arc<str>>) -> Diagnostic {
        let shown = self.file.map_or_else(|| "<lattice>".to_string(), |file| file.display().to_string());
        let report = match (self.line, self.column) {
            (Some(line), Some(column)) => {
                let label = Label::new(shown, line, column);
                let label = text.into_iter().fold(label, Label::in_text);
                Diagnostic::new(Kind::Facility, format!("the lattice: {}", self.message)).label(label)
            }
            _ => Diagnostic::new(Kind::Facility, format!("the lattice {shown}: {}", self.message)),
        };
        self.hint.into_iter().fold(report, Diagnostic::hint)
    }
}

impl fmt::Display for LatticeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(out, "{}:", file.display())?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(out, "{line}:{column}:")?;
        }
        let gap = if self.file.is_some() { " " } else { "" };
        write!(out, "{gap}{}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(out, " ({hint})"))
    }
}

impl std::error::Error for LatticeError {}
