//! An open script, and positions in it: the protocol counts lines from 0 and columns in UTF-16 units.

use crate::words::place::Place;
use fodo_language::{FunctionDoc, script_functions};
use fodo_procedure::{Header, read_header};
use fodo_report::Label;
use serde_json::{Value, json};
use std::sync::Arc;

/// An open script.
pub struct Document {
    /// Its file, as messages name it.
    pub file: String,
    /// Its text.
    pub text: Arc<str>,
    /// Its header, as it could be read last: half of a script is being written most of the time.
    pub header: Option<Header>,
    /// Its functions, as they could be read last.
    pub functions: Vec<FunctionDoc>,
}

impl Document {
    /// A script that was opened, or changed from what it was `before`.
    pub fn new(file: String, text: &str, before: Option<Document>) -> Document {
        let (kept_header, kept) = before.map_or((None, Vec::new()), |before| (before.header, before.functions));
        let functions = rhai::Engine::new_raw().compile(text).map_or(kept, |tree| script_functions(&tree));
        let header = header(&file, text).unwrap_or(kept_header);
        Document { file, text: text.into(), header, functions }
    }
}

/// The header, also of a script whose rest cannot be read.
fn header(file: &str, text: &str) -> Option<Option<Header>> {
    if let Ok(header) = read_header(file, text) {
        return Some(header);
    }
    let rest = &text[text.find("procedure(")?..];
    let end = rest.match_indices(");").map(|(at, _)| at + 2).find(|end| Place::of(&rest[..*end]).open.is_empty())?;
    read_header(file, &rest[..end]).ok()
}

/// The byte at a position of the protocol; a position beyond a line is its end.
pub fn offset(text: &str, line: u64, character: u64) -> usize {
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text[start..].split('\n').next().unwrap_or("").trim_end_matches('\r');
    let mut units = 0;
    for (at, c) in rest.char_indices() {
        if units >= character {
            return start + at;
        }
        units += c.len_utf16() as u64;
    }
    start + rest.len()
}

/// The position of a byte.
pub fn position(text: &str, offset: usize) -> Value {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let units: usize = before[start..].chars().map(char::len_utf16).sum();
    json!({ "line": before.matches('\n').count(), "character": units })
}

/// The range of some bytes.
pub fn range(text: &str, from: usize, to: usize) -> Value {
    json!({ "start": position(text, from), "end": position(text, to) })
}

/// The range of a label, which counts characters from 1.
pub fn range_of(text: &str, label: &Label) -> Value {
    let start: usize = text.split_inclusive('\n').take(label.line.saturating_sub(1)).map(str::len).sum();
    let line = text[start..].split('\n').next().unwrap_or("").trim_end_matches('\r');
    let byte = |characters: usize| line.char_indices().nth(characters).map_or(line.len(), |(at, _)| at);
    let from = label.column.saturating_sub(1);
    range(text, start + byte(from), start + byte(from + label.length))
}

/// The file of a `file:` address, or the address itself.
pub fn file_of(uri: &str) -> String {
    let Some(path) = uri.strip_prefix("file://") else { return uri.to_string() };
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let code = (first == b'%').then(|| std::str::from_utf8(more.get(..2)?).ok()).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The address of a file.
pub fn uri_of(file: &std::path::Path) -> String {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let part = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    format!("file://{}", path.to_string_lossy().bytes().map(part).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_utf_16() {
        let text = "let a = \"größe 𝛽\"; b\r\nnext";
        let at = text.find("; b").unwrap();
        // ß and ö are one unit, 𝛽 is two
        assert_eq!(position(text, at), json!({ "line": 0, "character": 18 }));
        assert_eq!(offset(text, 0, 18), at);
        assert_eq!(offset(text, 0, 99), text.find('\r').unwrap());
        assert_eq!(offset(text, 1, 2), text.find("xt").unwrap());
        assert_eq!(offset(text, 9, 0), text.len());
        let label = Label::new("a", 1, 20).long(1);
        assert_eq!(range_of(text, &label)["start"], json!({ "line": 0, "character": 20 }));
    }

    #[test]
    fn addresses_are_files() {
        assert_eq!(file_of("file:///a%20b/gr%C3%B6%C3%9Fe.rhai"), "/a b/größe.rhai");
        assert_eq!(uri_of(std::path::Path::new("/a b/größe.rhai")), "file:///a%20b/gr%C3%B6%C3%9Fe.rhai");
        assert_eq!(file_of("untitled:1"), "untitled:1");
        assert_eq!(file_of("file:///a%2"), "/a%2");
    }
}
