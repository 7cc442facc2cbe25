//! The texts of all files of a session, for excerpts.

use crate::Library;
use fodo_report::{Diagnostic, Label};
use rhai::{AST, Engine, ParseError, Position};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

/// File name to text, shared between the loader and the errors.
#[derive(Clone, Default)]
pub struct Sources(Arc<RwLock<Store>>);

#[derive(Default)]
struct Store {
    files: BTreeMap<String, File>,
    names: BTreeSet<String>,
    libraries: Vec<Arc<dyn Library>>,
}

struct File {
    text: Arc<str>,
    functions: BTreeSet<String>,
}

impl Sources {
    /// No files yet.
    pub fn new() -> Sources {
        Sources::default()
    }

    /// Keeps the text of `file`.
    pub fn insert(&self, file: impl Into<String>, text: impl Into<Arc<str>>) {
        self.with(|store| store.files.insert(file.into(), File { text: text.into(), functions: BTreeSet::new() }));
    }

    /// The text of `file`.
    pub fn text(&self, file: &str) -> Option<Arc<str>> {
        self.with(|store| store.files.get(file).map(|f| f.text.clone()))
    }

    /// Names that exist without being declared in a script (families, the model): near matches look among them.
    pub fn know(&self, names: impl IntoIterator<Item = String>) {
        self.with(|store| store.names.extend(names));
    }

    /// The names given to [`know`](Self::know).
    pub fn names(&self) -> Vec<String> {
        self.with(|store| store.names.iter().cloned().collect())
    }

    /// Where imports are looked up: a function that nobody knows may stand there.
    pub fn offer(&self, libraries: &[Arc<dyn Library>]) {
        self.with(|store| store.libraries = libraries.to_vec());
    }

    /// The libraries, among those [offered](Self::offer), that have a public function `name`.
    pub(crate) fn offering(&self, name: &str, from: &str) -> Vec<String> {
        let libraries = self.with(|store| store.libraries.clone());
        let mut found: Vec<String> = libraries.iter().flat_map(|library| library.names()).collect();
        let defined = format!("fn {name}(");
        found.retain(|script| {
            let text = libraries.iter().find_map(|library| library.find(script, Some(from)));
            text.is_some_and(|(_, text)| text.lines().any(|line| line.starts_with(&defined)))
        });
        found.sort();
        found.dedup();
        found
    }

    /// Compiles `text` as `file` and keeps the text; errors later name this file.
    pub fn compile(&self, engine: &Engine, file: &str, text: &str) -> Result<AST, Box<Diagnostic>> {
        let tree = self.parse(engine, file, text).map_err(|error| crate::diagnose_parse(engine, &error, file, self))?;
        self.sound(file, &tree)?;
        Ok(tree)
    }

    /// An error if `file` hands a plain function to an imported script, or takes a name that every script knows.
    pub(crate) fn sound(&self, file: &str, tree: &AST) -> Result<(), Box<Diagnostic>> {
        if let Some(at) = crate::functions_handed(tree).first() {
            return Err(crate::handed_report().label(self.label(file, *at)).into());
        }
        match self.with(|store| crate::first_hidden(tree, |name| store.names.contains(name))) {
            Some((name, at)) => Err(crate::hidden_report(&name).label(self.label(file, at)).into()),
            None => Ok(()),
        }
    }

    /// As [`compile`](Self::compile), with Rhai's own error.
    pub(crate) fn parse(&self, engine: &Engine, file: &str, text: &str) -> Result<AST, ParseError> {
        self.insert(file, text);
        let mut tree = engine.compile(text)?;
        tree.set_source(file);
        self.remember_functions(file, &tree);
        Ok(tree)
    }

    /// Remembers which functions, closures included, live in `file`.
    pub(crate) fn remember_functions(&self, file: &str, tree: &AST) {
        let names: Vec<String> = tree.iter_fn_def().map(|f| f.name.to_string()).collect();
        self.with(|store| {
            if let Some(kept) = store.files.get_mut(file) {
                kept.functions.extend(names);
            }
        });
    }

    /// The file a called function lives in. Rhai names the running script for a function that a
    /// library calls in itself, so the caller's file goes first when it has such a function.
    pub(crate) fn home(&self, function: &str, claimed: &str, caller: &str) -> String {
        let caller_has = self.with(|store| store.files.get(caller).is_some_and(|f| f.functions.contains(function)));
        let file = if caller_has || claimed.is_empty() { caller } else { claimed };
        file.to_string()
    }

    /// A label on the token at `position` of `file`.
    pub fn label(&self, file: &str, position: Position) -> Label {
        let line = position.line().unwrap_or(1);
        let column = position.position().unwrap_or(1).max(1);
        let label = Label::new(file, line, column);
        match self.text(file) {
            Some(text) => {
                let length = crate::token_length(text.lines().nth(line - 1).unwrap_or(""), column);
                label.long(length).in_text(text)
            }
            None => label,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Store) -> T) -> T {
        // a poisoned lock only means that another thread panicked between two inserts
        act(&mut self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}
