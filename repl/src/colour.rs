//! Colours of a line that is being typed.

/// Words of the language.
const KEYWORDS: [&str; 23] = [
    "let", "const", "if", "else", "while", "loop", "do", "until", "for", "in", "switch", "fn", "private", "return",
    "break", "continue", "throw", "try", "catch", "import", "as", "true", "false",
];

const KEYWORD: &str = "35";
const TEXT: &str = "32";
const NUMBER: &str = "36";
const COMMENT: &str = "90";
/// Of names that the facility and the program give: families and units.
pub const GIVEN: &str = "34";

/// A line with colours; `of_name` tells those of names.
pub fn coloured(line: &str, of_name: impl Fn(&str) -> Option<&'static str>) -> String {
    let mut text = String::with_capacity(2 * line.len());
    let mut rest = line;
    // a name behind a dot is a member, whatever else has that name
    let mut member = false;
    while let Some(first) = rest.chars().next() {
        let (length, colour) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), Some(COMMENT)),
            '/' if rest.starts_with("/*") => (rest[2..].find("*/").map_or(rest.len(), |end| end + 4), Some(COMMENT)),
            '"' | '`' => (text_end(rest, first), Some(TEXT)),
            '0'..='9' => (number_end(rest), Some(NUMBER)),
            c if c.is_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let word = &rest[..end];
                let colour = if KEYWORDS.contains(&word) { Some(KEYWORD) } else { of_name(word).filter(|_| !member) };
                (end, colour)
            }
            c => (c.len_utf8(), None),
        };
        let (piece, behind) = rest.split_at(length);
        match colour {
            Some(colour) => text.push_str(&format!("\x1b[{colour}m{piece}\x1b[0m")),
            None => text.push_str(piece),
        }
        member = piece == ".";
        rest = behind;
    }
    text
}

/// Where a text that begins with `quote` ends.
fn text_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Where a number ends: `1_000`, `2.5e-3`; the two dots of a range belong to no number.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        let next = bytes.get(end + 1);
        let part = match byte {
            b'0'..=b'9' | b'_' => true,
            b'.' => next.is_some_and(u8::is_ascii_digit),
            b'e' | b'E' => next.is_some_and(|next| next.is_ascii_digit() || matches!(next, b'-' | b'+')),
            b'-' | b'+' => end > 0 && matches!(bytes[end - 1], b'e' | b'E') && next.is_some_and(u8::is_ascii_digit),
            b'x' | b'b' | b'o' | b'a'..=b'd' | b'f' | b'A'..=b'D' | b'F' => text.starts_with("0x"),
            _ => false,
        };
        if !part {
            break;
        }
        end += 1;
    }
    end.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours as letters before what they colour.
    fn seen(line: &str) -> String {
        let given = |name: &str| ["BPM", "mm"].contains(&name).then_some(GIVEN);
        let text = coloured(line, given);
        assert_eq!(
            text.replace("\x1b[0m", "")
                .split("\x1b[")
                .map(|p| p
                    .split_once('m')
                    .filter(|(c, _)| c.len() == 2 && c.parse::<u8>().is_ok())
                    .map_or(p, |(_, rest)| rest))
                .collect::<String>(),
            line
        );
        let letters = [(KEYWORD, "<k "), (TEXT, "<t "), (NUMBER, "<n "), (COMMENT, "<c "), (GIVEN, "<g ")];
        let text = letters.iter().fold(text, |text, (code, letter)| text.replace(&format!("\x1b[{code}m"), letter));
        text.replace("\x1b[0m", ">")
    }

    #[test]
    fn words_numbers_texts_and_comments_have_their_colours() {
        assert_eq!(seen("let x = 2.5e-3 * mm; // half"), "<k let> x = <n 2.5e-3> * <g mm>; <c // half>");
        assert_eq!(seen("BPM[0..10].x.BPM"), "<g BPM>[<n 0>..<n 10>].x.BPM");
        assert_eq!(seen("f(\"a \\\" // b\", `c`)"), "f(<t \"a \\\" // b\">, <t `c`>)");
        assert_eq!(seen("\"open"), "<t \"open>");
        assert_eq!(seen("x1 /* ü */ 0xff 1e 3.max(2)"), "x1 <c /* ü */> <n 0xff> <n 1>e <n 3>.max(<n 2>)");
        assert_eq!(seen("`ä"), "<t `ä>");
    }
}
