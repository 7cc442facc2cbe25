//! Where in a text the cursor stands: in which brackets, in a text, in a comment. Half-written scripts are the usual case.

/// A bracket that is open.
#[derive(Clone, Debug)]
pub struct Open {
    /// `(`, `[`, `{`, or `#` for a map.
    pub bracket: char,
    /// Where it stands.
    pub at: usize,
    /// Commas in it so far.
    pub commas: usize,
    /// Where the present part begins: behind the bracket or the last comma.
    pub part: usize,
    /// Keys of a map so far.
    pub keys: Vec<String>,
}

/// Where the cursor stands.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Brackets that are open, from outside in.
    pub open: Vec<Open>,
    /// Where an open text begins: behind its quotation mark.
    pub text: Option<usize>,
    /// Whether it is a comment.
    pub comment: bool,
}

impl Place {
    /// The place at the end of `before`.
    pub fn of(before: &str) -> Place {
        let mut place = Place::default();
        let bytes = before.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let next = bytes.get(at + 1).copied();
            match bytes[at] {
                b'/' if next == Some(b'/') => match before[at..].find('\n') {
                    Some(end) => at += end,
                    None => return Place { comment: true, ..place },
                },
                b'/' if next == Some(b'*') => match before[at + 2..].find("*/") {
                    Some(end) => at += end + 3,
                    None => return Place { comment: true, ..place },
                },
                quote @ (b'"' | b'`') => match closing_quote(bytes, at, quote) {
                    Some(end) => at = end,
                    None => return Place { text: Some(at + 1), ..place },
                },
                b'#' if next == Some(b'{') => {
                    place.open('#', at, at + 2);
                    at += 1;
                }
                bracket @ (b'(' | b'[' | b'{') => place.open(char::from(bracket), at, at + 1),
                b')' | b']' | b'}' => _ = place.open.pop(),
                b',' => {
                    if let Some(open) = place.open.last_mut() {
                        open.commas += 1;
                        open.part = at + 1;
                    }
                }
                b':' if next != Some(b':') && at > 0 && bytes[at - 1] != b':' => {
                    if let Some(open) = place.open.last_mut().filter(|open| open.bracket == '#') {
                        let key = before[open.part..at].trim().trim_matches('"');
                        open.keys.push(key.to_string());
                    }
                }
                _ => {}
            }
            at += 1;
        }
        place
    }

    fn open(&mut self, bracket: char, at: usize, part: usize) {
        self.open.push(Open { bracket, at, commas: 0, part, keys: Vec::new() });
    }

    /// Whether a key of a map is to be written at the end of `before`, up to the word that is begun.
    pub fn at_key(&self, before: &str) -> bool {
        self.open.last().is_some_and(|open| open.bracket == '#' && before[open.part..].trim().is_empty())
    }

    /// The call whose argument is open: where its bracket stands, and how many commas lie before.
    pub fn call(&self) -> Option<(usize, usize)> {
        let open = self.open.iter().rev().find(|open| open.bracket == '(')?;
        Some((open.at, open.commas))
    }
}

/// Where a text that begins at `at` ends; a text in quotation marks ends with its line at the latest.
fn closing_quote(bytes: &[u8], at: usize, quote: u8) -> Option<usize> {
    let mut place = at + 1;
    while place < bytes.len() {
        match bytes[place] {
            b'\\' if quote == b'"' => place += 1,
            b'\n' if quote == b'"' => return Some(place),
            end if end == quote => return Some(place),
            _ => {}
        }
        place += 1;
    }
    None
}

/// Whether a character belongs to a name.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the word at the end of `text` begins.
pub fn word_start(text: &str) -> usize {
    text.char_indices().rev().take_while(|(_, c)| is_word(*c)).last().map_or(text.len(), |(at, _)| at)
}

/// Where the chain of names, calls and indices at the end of `text` begins.
pub fn chain_start(text: &str) -> usize {
    let mut at = text.len();
    let mut depth = 0;
    for (place, c) in text.char_indices().rev() {
        match c {
            ')' | ']' => depth += 1,
            '(' | '[' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            c if is_word(c) || c == '.' => {}
            _ => break,
        }
        at = place;
    }
    at
}

/// Length of the bracketed part that `text` begins with; 0 if it begins with no bracket.
pub fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_found_before_the_dot() {
        for (text, chain) in [
            ("print(HCOR[\"HCOR_001\"]", "HCOR[\"HCOR_001\"]"),
            ("let x = 2 * get_orbit(BPM[0..3]).x", "get_orbit(BPM[0..3]).x"),
            ("model", "model"),
            ("1 + ", ""),
        ] {
            assert_eq!(&text[chain_start(text)..], chain, "{text}");
        }
    }

    #[test]
    fn an_open_text_is_found() {
        assert_eq!(Place::of("HCOR[\"HCOR_0").text, Some(6));
        assert_eq!(Place::of("HCOR[\"HCOR_001\"].get(").text, None);
        assert_eq!(Place::of("print(\"größe").text, Some(7));
        assert!(Place::of("let x = 1; // HCOR[\"").comment);
    }

    #[test]
    fn a_key_is_to_be_written_behind_a_bracket_or_a_comma() {
        for (text, key) in [
            ("get_orbit(BPM, #{ ", true),
            ("get_orbit(BPM, #{ shots: 3, ", true),
            ("get_orbit(BPM, #{ shots: ", false),
            ("get_orbit(BPM, #{ shots: 3 }, ", false),
            ("let m = #{\n    a: [1, 2],\n    ", true),
        ] {
            assert_eq!(Place::of(text).at_key(text), key, "{text}");
        }
        let place = Place::of("measure_response([HCOR, VCOR], BPM, #{ shots: 3, delta: ");
        assert_eq!(place.call(), Some((16, 2)));
        assert_eq!(place.open.last().unwrap().keys, ["shots", "delta"]);
    }
}
