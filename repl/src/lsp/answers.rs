//! Answers to an editor: completion, documentation, where something is defined, the call that is being written.

use super::document::{Document, range, uri_of};
use crate::doc::Manual;
use crate::words::place::{Place, is_word, word_start};
use crate::words::{Candidate, Sort, Words};
use fodo_language::FunctionDoc;
use fodo_procedure::{Procedures, Script};
use serde_json::{Value, json};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What answers are made of.
pub struct Answers {
    pub words: Words,
    pub manual: Manual,
    /// Where copies of scripts are put that stand in no file: those inside the program.
    pub data: PathBuf,
    pub procedures: Arc<Procedures>,
}

impl Answers {
    /// Takes over what a script declares before a place.
    fn learn(&mut self, document: &Document, at: usize) {
        self.words.header = document.header.clone();
        self.words.own = document.functions.clone();
        self.words.learn_text(&document.text[..at], &document.file);
    }

    pub fn completion(&mut self, document: &Document, at: usize) -> Value {
        self.learn(document, at);
        let (before, after) = document.text.split_at(at);
        let (start, found) = self.words.at(before, after);
        let replaced = range(&document.text, start, at);
        let item = |(order, candidate): (usize, &Candidate)| {
            json!({
                "label": candidate.text.trim_end_matches(['(', ')', '"', ']', ':', ' ']),
                "kind": kind(candidate.sort),
                "detail": candidate.about,
                "sortText": format!("{order:05}"),
                "filterText": candidate.text,
                "textEdit": { "range": replaced, "newText": candidate.text },
            })
        };
        json!({ "isIncomplete": before[start..].is_empty(), "items": found.iter().enumerate().map(item).collect::<Vec<_>>() })
    }

    pub fn hover(&mut self, document: &Document, at: usize) -> Value {
        self.learn(document, at);
        let (start, end) = word_at(&document.text, at);
        let name = &document.text[start..end];
        if name.is_empty() {
            return Value::Null;
        }
        match self.about(document, start, name) {
            Some(text) => {
                let contents = json!({ "kind": "markdown", "value": text });
                json!({ "contents": contents, "range": range(&document.text, start, end) })
            }
            None => Value::Null,
        }
    }

    /// What is known of a name, in Markdown.
    fn about(&self, document: &Document, start: usize, name: &str) -> Option<String> {
        let head = &document.text[..start];
        if let Some(script) = self.library(head) {
            let forms: Vec<&FunctionDoc> = script.functions.iter().filter(|form| form.name == name).collect();
            return (!forms.is_empty()).then(|| crate::doc::markdown(&forms));
        }
        // an option or a parameter
        let place = Place::of(head);
        if place.text.is_none()
            && place.at_key(head)
            && let Some((call, _)) = place.call()
            && let Some((word, options)) = self.words.known.options(&head[word_start(&head[..call])..call])
            && let Some(option) = options.iter().find(|option| option.name == name)
        {
            return Some(format!("{word} `{name}`: {}\n\n{}", option.kind.word(), option.about()));
        }
        let of = head.strip_suffix('.').map(|of| self.words.what(of));
        if let Some(of) = &of {
            if let (fodo_procedure::What::Parameters, Some(header)) = (of, &self.words.header) {
                let parameter = header.parameter(name)?;
                return Some(format!("parameter `{name}`: {}\n\n{}", parameter.kind.word(), parameter.about()));
            }
            if let Some(property) = self.words.known.properties(of).find(|property| property.name == name) {
                return Some(format!("`{}.{name}`: {}", property.of, crate::doc::with_unit(&property)));
            }
            let forms: Vec<&FunctionDoc> = self.words.known.function(name).iter().collect();
            let kind = of.word();
            let fitting: Vec<&FunctionDoc> =
                forms.iter().filter(|form| fodo_procedure::takes(form, kind)).copied().collect();
            let shown = if fitting.is_empty() { forms } else { fitting };
            if !shown.is_empty() {
                return Some(crate::doc::markdown(&shown));
            }
        }
        let own: Vec<&FunctionDoc> = self.words.own.iter().filter(|form| form.name == name).collect();
        if !own.is_empty() && of.is_none() {
            return Some(crate::doc::markdown(&own));
        }
        if let Some(what) = self.words.variables.get(name).filter(|_| of.is_none()) {
            let families: Vec<String> = what.origins().iter().map(|origin| origin.family.name.to_string()).collect();
            let of_families = if families.is_empty() { String::new() } else { format!(" of {}", families.join(", ")) };
            return Some(format!("`{name}`: {}{of_families}", what.word()));
        }
        self.manual.markdown(name)
    }

    /// The imported script that `alias::` before a place stands for.
    fn library(&self, head: &str) -> Option<&Arc<Script>> {
        let alias = head.strip_suffix("::")?;
        self.words.imports.get(&alias[word_start(alias)..])
    }

    pub fn definition(&mut self, uri: &str, document: &Document, at: usize) -> Value {
        self.learn(document, at);
        let (start, end) = word_at(&document.text, at);
        let (head, name) = (&document.text[..start], &document.text[start..end]);
        if name.is_empty() {
            return Value::Null;
        }
        if let Some(script) = self.library(head).cloned() {
            return self.in_script(&script.file, &script.text, function_place(&script.text, name));
        }
        if let Some(script) = self.words.imports.get(name).filter(|_| document.text[end..].starts_with("::")).cloned() {
            return self.in_script(&script.file, &script.text, Some(0));
        }
        let called = document.text[end..].trim_start().starts_with('(');
        let own = function_place(&document.text, name).filter(|_| called);
        if let Some(place) = own.or_else(|| declaration(head, name)) {
            return json!({ "uri": uri, "range": range(&document.text, place, place + name.len()) });
        }
        match self.procedures.source(name) {
            Some((file, text)) => self.in_script(&file, &text, Some(0)),
            None => Value::Null,
        }
    }

    /// A place in a script, which is written to a file if it stands in none.
    fn in_script(&self, file: &str, text: &str, place: Option<usize>) -> Value {
        let Some(place) = place else { return Value::Null };
        let path = match Path::new(file).is_file() {
            true => PathBuf::from(file),
            false => {
                // never back to where it once stood
                let inside = Path::new(file).components().filter(|part| matches!(part, Component::Normal(_)));
                let path = self.data.join("shown").join(inside.collect::<PathBuf>());
                let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
                let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
                if written.is_err() {
                    return Value::Null;
                }
                path
            }
        };
        json!({ "uri": uri_of(&path), "range": range(text, place, place) })
    }

    pub fn signature(&mut self, document: &Document, at: usize) -> Value {
        self.learn(document, at);
        let before = &document.text[..at];
        let Some((call, commas)) = Place::of(before).call() else { return Value::Null };
        let head = &before[..call];
        let start = word_start(head);
        let name = &head[start..];
        // the first argument of a method stands before its dot
        let method = head[..start].ends_with('.');
        let own = self.words.own.iter().filter(|form| form.name == name);
        let library = self.library(&head[..start]).map(|script| script.functions.as_slice()).unwrap_or_default();
        let library = library.iter().filter(|form| form.name == name);
        let mut forms: Vec<&FunctionDoc> = own.chain(library).chain(self.words.known.function(name)).collect();
        let active = commas + usize::from(method);
        if method {
            let of = self.words.what(&head[..start - 1]);
            let kind = of.word();
            let fitting: Vec<&FunctionDoc> =
                forms.iter().filter(|form| fodo_procedure::takes(form, kind)).copied().collect();
            forms = if fitting.is_empty() { forms } else { fitting };
        }
        if forms.is_empty() {
            return Value::Null;
        }
        let best = forms.iter().position(|form| form.parameters.len() > active).unwrap_or(0);
        let shown = |form: &&FunctionDoc| {
            let parameters = form.parameters.iter().map(|parameter| json!({ "label": parameter }));
            json!({ "label": form.signature, "documentation": form.summary(), "parameters": parameters.collect::<Vec<_>>() })
        };
        json!({ "signatures": forms.iter().map(shown).collect::<Vec<_>>(), "activeSignature": best, "activeParameter": active })
    }

    /// The functions of a script.
    pub fn symbols(&self, document: &Document) -> Value {
        let mut found = Vec::new();
        for (at, name) in functions_of(&document.text) {
            let line = document.text[at..].find('\n').map_or(document.text.len(), |end| at + end);
            let whole = range(&document.text, at, line);
            let named = range(&document.text, at, at + name.len());
            found.push(json!({ "name": name, "kind": 12, "range": whole, "selectionRange": named }));
        }
        found.into()
    }
}

fn kind(sort: Sort) -> u8 {
    match sort {
        Sort::Family => 7,
        Sort::Text => 12,
        Sort::Variable => 6,
        Sort::Constant => 11,
        Sort::Function => 3,
        Sort::Property => 10,
        Sort::Option => 5,
        Sort::Library => 9,
    }
}

/// The word around a place.
fn word_at(text: &str, at: usize) -> (usize, usize) {
    let start = word_start(&text[..at]);
    let end = text[at..].find(|c: char| !is_word(c)).map_or(text.len(), |length| at + length);
    (start, end)
}

/// Names of functions with their places.
fn functions_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut line_start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = line_start;
        line_start += line.len();
        let code = line.trim_start();
        let rest = code.strip_prefix("private ").unwrap_or(code).trim_start().strip_prefix("fn ")?.trim_start();
        let at = start + line.len() - rest.len();
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        (end > 0).then(|| (at, &text[at..at + end]))
    })
}

fn function_place(text: &str, name: &str) -> Option<usize> {
    functions_of(text).find(|(_, own)| *own == name).map(|(at, _)| at)
}

/// Where a variable that is used at the end of `head` was declared last.
fn declaration(head: &str, name: &str) -> Option<usize> {
    let places: Vec<usize> = head.match_indices(name).map(|(at, _)| at).collect();
    let declares = |at: &usize| {
        let before = head[..*at].trim_end();
        let free = !head[..*at].ends_with(is_word) && !head[*at + name.len()..].starts_with(is_word);
        let word = &before[word_start(before)..];
        let parameter = before.ends_with('|')
            || (before.ends_with(['(', ',']) && head[..*at].rfind("fn ").is_some_and(|f| !head[f..*at].contains(')')));
        free && (["let", "const", "for", "as"].contains(&word) || parameter || before.ends_with("for ("))
    };
    places.into_iter().rev().find(declares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::document::position;

    #[test]
    fn declarations_are_found_before_their_use() {
        let text = "fn f(größe, gain) { let x = gain; let xx = 1; x + gain } let g = |q| q";
        assert_eq!(declaration(&text[..text.find("x + ").unwrap()], "x"), text.find("x = gain"));
        assert_eq!(declaration(&text[..text.rfind("gain }").unwrap()], "gain"), text.find("gain)"));
        assert_eq!(declaration(&text[..text.len() - 1], "q"), text.find("q| q"));
        assert_eq!(function_place("\n  private fn  scale(x) {}", "scale"), Some(15));
        assert_eq!(position("ab", 1), json!({ "line": 0, "character": 1 }));
    }
}
