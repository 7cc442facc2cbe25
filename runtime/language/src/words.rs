//! Words for a physicist: types, tokens, signatures.

/// The word for a Rhai or Rust type name.
pub fn type_word(name: &str) -> String {
    let name = name.split('|').next().unwrap_or(name);
    let name = name.trim().trim_start_matches('&').trim_start_matches("mut ").trim();
    if let Some(inner) = name.strip_prefix("RhaiResultOf<").or_else(|| name.strip_prefix("Outcome<")) {
        return type_word(inner.trim_end_matches('>'));
    }
    if let Some(inner) = name.strip_prefix("Result<") {
        return type_word(inner.split(',').next().unwrap_or(inner).trim_end_matches('>'));
    }
    if name.contains("EvalAltResult") {
        return "value".to_string(); // Rhai prints a fallible return type without its value
    }
    let last = name.rsplit("::").next().unwrap_or(name);
    match last {
        "i64" | "INT" | "int" => "integer",
        "f64" | "FLOAT" | "float" => "number",
        "bool" => "boolean",
        "string" | "String" | "ImmutableString" | "str" | "&str" => "text",
        "char" => "character",
        "array" | "Array" => "array",
        "map" | "Map" => "map",
        "Fn" | "FnPtr" => "function",
        "()" | "Unit" => "nothing",
        "Dynamic" | "?" | "_" => "value",
        "Quantity" => "quantity",
        "Vector" => "vector",
        "Matrix" => "matrix",
        "Mask" => "mask",
        "Table" => "table",
        "Callback" => "callback",
        "ExclusiveRange" | "Range<INT>" | "Range<i64>" | "range" => "range",
        "InclusiveRange" | "RangeInclusive<INT>" | "RangeInclusive<i64>" | "range=" => "range",
        other => other,
    }
    .to_string()
}

/// `a vector`, `an integer`, `nothing`.
pub fn article(word: &str) -> String {
    match word.chars().next() {
        _ if word == "nothing" || word == "text" => word.to_string(),
        Some(c) if "aeiouAEIOU".contains(c) => format!("an {word}"),
        _ => format!("a {word}"),
    }
}

/// `v: &mut Vector` as `v: vector`; types alone become their word.
pub fn signature_word(parameter: &str) -> String {
    match parameter.split_once(':') {
        Some((name, kind)) if !kind.starts_with(':') => match name.trim() {
            "_" | "" => type_word(kind),
            name => format!("{name}: {}", type_word(kind)),
        },
        _ => type_word(parameter),
    }
}

/// How many characters the token has that begins at `column` (from 1) of `line`.
pub fn token_length(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(column.saturating_sub(1)).collect();
    let Some(&first) = rest.first() else { return 1 };
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let count = |test: &dyn Fn(char) -> bool| rest.iter().take_while(|c| test(**c)).count();
    match first {
        '"' | '`' | '\'' => closing_quote(&rest, first),
        c if c.is_ascii_digit() => {
            let mut length = 0;
            while let Some(&c) = rest.get(length) {
                let point = c == '.' && rest.get(length + 1).is_some_and(|d| d.is_ascii_digit());
                let sign = (c == '-' || c == '+') && matches!(rest.get(length.wrapping_sub(1)), Some('e' | 'E'));
                if !(word(c) || point || sign) {
                    break;
                }
                length += 1;
            }
            length
        }
        c if word(c) => count(&word),
        _ => operator(&rest),
    }
    .max(1)
}

fn closing_quote(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn operator(rest: &[char]) -> usize {
    const LONG: [&str; 22] = [
        "**=", "<<=", ">>=", "..=", "===", "!==", "**", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "?[", "::",
        "=>", "..", "+=", "-=", "*=",
    ];
    let text: String = rest.iter().take(3).collect();
    LONG.iter().find(|op| text.starts_with(**op)).map_or(1, |op| op.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_their_length() {
        for (line, column, length) in [
            ("let größe = 1.5e-3 + x;", 5, 5),
            ("let größe = 1.5e-3 + x;", 13, 6),
            ("a ** b", 3, 2),
            ("f(\"a \\\" b\")", 3, 8),
            ("x[1..3]", 3, 1),
            ("", 1, 1),
        ] {
            assert_eq!(token_length(line, column), length, "{line} at {column}");
        }
    }

    #[test]
    fn types_become_words() {
        assert_eq!(signature_word("v: &mut Vector"), "v: vector");
        assert_eq!(signature_word("Result<Vector, Box<EvalAltResult>>"), "vector");
        assert_eq!(signature_word("_: i64"), "integer");
        assert_eq!(article("integer"), "an integer");
    }
}
