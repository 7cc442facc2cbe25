//! What is written as in Python or Matlab, and how it is written here.

use crate::token_length;
use rhai::{LexError, ParseErrorType, Position};

/// Words of other languages, as they are written here.
const WORDS: [(&str, &str); 6] =
    [("True", "true"), ("False", "false"), ("None", "()"), ("null", "()"), ("nil", "()"), ("var", "let")];

/// How a word of another language is written here.
pub fn word_here(word: &str) -> Option<String> {
    if word == "end" {
        return Some("blocks stand in braces, `if x > 1 { … }`; the last entry is `[-1]`".to_string());
    }
    WORDS.iter().find(|(other, _)| *other == word).map(|(_, here)| format!("it is written `{here}` here"))
}

/// Words that a statement begins with elsewhere, as statements are written here.
const BEGINNINGS: [(&str, &str); 9] = [
    ("def", "a function is `fn name(x) { … }`"),
    ("function", "a function is `fn name(x) { … }`"),
    ("func", "a function is `fn name(x) { … }`"),
    ("lambda", "a function without a name is `|x| …`"),
    ("elif", "it is written `else if`"),
    ("elseif", "it is written `else if`"),
    ("not", "`not` is written `!`, as in `!done`"),
    ("raise", "an error is thrown by `throw \"…\"`"),
    ("from", "a library is imported by `import \"mml\" as mml;`"),
];

/// A place in a line: what stands before it, its token, what stands behind.
struct Place<'t> {
    before: &'t str,
    token: &'t str,
    behind: &'t str,
}

impl<'t> Place<'t> {
    fn of(text: &'t str, at: Position) -> Option<Place<'t>> {
        let line = text.lines().nth(at.line()? - 1)?;
        let column = at.position().unwrap_or(1).max(1);
        let byte = |count: usize| line.char_indices().nth(count).map_or(line.len(), |(byte, _)| byte);
        let (start, end) = (byte(column - 1), byte(column - 1 + token_length(line, column)));
        Some(Place { before: line[..start].trim_end(), token: &line[start..end], behind: line[end..].trim() })
    }

    /// The number or name right before the token.
    fn last(&self) -> &'t str {
        let sign = |at: usize| {
            at >= 2
                && self.before[..at].ends_with(['+', '-'])
                && self.before[..at - 1].ends_with(['e', 'E'])
                && self.before[..at - 2].ends_with(|c: char| c.is_ascii_digit())
        };
        let mut start = self.before.len();
        while let Some(c) = self.before[..start].chars().next_back() {
            if !(c.is_alphanumeric() || c == '_' || c == '.' || sign(start)) {
                break;
            }
            start -= c.len_utf8();
        }
        &self.before[start..]
    }

    /// The bracket that is open before the token, and what stands before that.
    fn open(&self) -> Option<(char, usize)> {
        let mut depth = 0;
        for (at, c) in self.before.char_indices().rev() {
            match c {
                ')' | ']' | '}' => depth += 1,
                '(' | '[' | '{' if depth == 0 => return Some((c, at)),
                '(' | '[' | '{' => depth -= 1,
                _ => {}
            }
        }
        None
    }
}

/// What stands at a place.
pub(crate) fn token(text: &str, at: Position) -> Option<String> {
    Place::of(text, at).map(|place| place.token.to_string()).filter(|token| !token.is_empty())
}

/// The hint for a text that could not be read at a place; `known` says which names every script has.
pub(crate) fn hint(text: &str, what: &ParseErrorType, at: Position, known: impl Fn(&str) -> bool) -> Option<String> {
    use ParseErrorType as P;
    let place = Place::of(text, at)?;
    let comment = || Some("a comment begins with `//`".to_string());
    match what {
        P::BadInput(LexError::MalformedChar(_)) => Some("a text stands in `\"`, as in `\"BPM_001\"`".into()),
        P::BadInput(LexError::UnexpectedInput(token)) if token == "%" => comment(),
        P::UnknownOperator(token) | P::Reserved(token) if token == "#" => comment(),
        P::UnknownOperator(token) | P::Reserved(token) => sign(token),
        P::BadInput(LexError::UnexpectedInput(token)) if token == ":" => part(&place),
        P::PropertyExpected if ["*", "/", "^", "**"].contains(&place.token) => Some(format!(
            "vectors calculate entry by entry: `a {} b`",
            if place.token == "^" { "**" } else { place.token }
        )),
        P::MismatchedType(..) => range(&place, text, at),
        P::MissingToken(token, _) => missing(token, &place, known),
        _ => None,
    }
}

/// Signs that other languages have.
fn sign(token: &str) -> Option<String> {
    Some(match token {
        "++" => "it is written `x += 1`".into(),
        "--" => "it is written `x -= 1`".into(),
        "~" => "not is `!`, unequal is `!=`".into(),
        "?" => "it is written `if condition { a } else { b }`".into(),
        word => return word_here(word),
    })
}

fn missing(wanted: &str, place: &Place, known: impl Fn(&str) -> bool) -> Option<String> {
    let last = place.last();
    let is_number = last.starts_with(|c: char| c.is_ascii_digit());
    if is_number && known(place.token) {
        return Some(format!("a number is multiplied by its unit: `{last} * {}`", place.token));
    }
    match place.token {
        "and" => return Some("`and` is written `&&`".into()),
        "or" => return Some("`or` is written `||`".into()),
        "=" if wanted == "," => return option(place),
        "=" if wanted == "in" => return counted(place),
        ":" if wanted == "]" => return part(place),
        ":" if wanted == ";" && place.open().is_some_and(|(bracket, _)| bracket == '{') => {
            return Some("a map begins with `#{`, as in `#{ name: 1 }`".into());
        }
        ":" if wanted == "{" && is_range(place) => return range_of(place),
        _ => {}
    }
    if let Some((_, here)) = BEGINNINGS.iter().find(|(word, _)| *word == last) {
        return Some((*here).to_string());
    }
    match wanted {
        "{" => Some("a block stands in braces: `if x > 1 { … }`".into()),
        "catch" => Some("an error is caught by `try { … } catch (error) { … }`".into()),
        _ => None,
    }
}

/// `f(x, at = 1)`: names belong into a map.
fn option(place: &Place) -> Option<String> {
    let ('(', open) = place.open()? else { return None };
    let name = place.last();
    let function = place.before[..open].rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next()?;
    let given = place.before[open + 1..].strip_suffix(name)?;
    let mut depth = 0;
    let end = place.behind.find(|c: char| {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        depth < 0 || (depth == 0 && c == ',')
    });
    let value = place.behind[..end.unwrap_or(place.behind.len())].trim().trim_end_matches(';');
    (!name.is_empty() && !function.is_empty() && !value.is_empty())
        .then(|| format!("options go into a map: `{function}({given}#{{ {name}: {value} }})`"))
}

/// `x[1:3]`.
fn part(place: &Place) -> Option<String> {
    place.open().filter(|(bracket, _)| *bracket == '[')?;
    Some("a part of a vector or a family is `x[1..3]`, which ends before 3".into())
}

fn is_range(place: &Place) -> bool {
    place.before.contains(" in ") && place.behind.starts_with(|c: char| c.is_alphanumeric())
}

/// `for i in 1:10`, seen at the colon.
fn range_of(place: &Place) -> Option<String> {
    let end: String = place.behind.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    Some(format!("a range is `{}..={end}`", place.last()))
}

/// `for i in 1:10`, seen at the number.
fn range(place: &Place, text: &str, at: Position) -> Option<String> {
    let column = at.position()? + place.token.chars().count();
    let colon = Place::of(text, Position::new(at.line()?.try_into().ok()?, column.try_into().ok()?))?;
    if colon.token == ":" && is_range(&colon) { range_of(&colon) } else { None }
}

/// `for i = 1:10`.
fn counted(place: &Place) -> Option<String> {
    let name = place.last();
    let over = place.behind.trim_end_matches('{').trim();
    match over.split(':').map(str::trim).collect::<Vec<_>>().as_slice() {
        [from, to] => Some(format!("a loop is `for {name} in {from}..={to} {{ … }}`")),
        _ => Some(format!("a loop is `for {name} in … {{ … }}`")),
    }
}

/// The hint for a name that is given a value and was never declared: `x = 3`.
pub fn undeclared_hint(text: &str, name: &str, at: Position) -> Option<String> {
    let place = Place::of(text, at).filter(|place| place.token == name)?;
    let value = place.behind.strip_prefix('=').filter(|rest| !rest.starts_with(['=', '>']));
    if let Some(value) = value {
        let value = value.split("//").next().unwrap_or("").trim().trim_end_matches(';').trim_end();
        let value = if value.is_empty() || value.chars().count() > 40 || value.ends_with(['{', '(', '[', ',']) {
            "…"
        } else {
            value
        };
        return Some(format!("a new variable begins with `let`: `let {name} = {value}`"));
    }
    let grows = ["+=", "-=", "*=", "/="].iter().any(|operator| place.behind.starts_with(operator));
    grows.then(|| format!("it needs a value first: `let {name} = …`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::Engine;

    fn of(text: &str) -> String {
        let mut engine = Engine::new_raw();
        let error = engine.set_optimization_level(rhai::OptimizationLevel::None).compile(text).unwrap_err();
        let known = |name: &str| ["mm", "urad"].contains(&name);
        hint(text, error.err_type(), error.position(), known).unwrap_or_default()
    }

    #[test]
    fn what_other_languages_write_is_told_as_it_is_written_here() {
        for (text, wanted) in [
            ("let x = 5 mm;", "`5 * mm`"),
            ("let x = 0.5mm;", "`0.5 * mm`"),
            ("f(x, -1.5e-3 mm)", "`1.5e-3 * mm`"),
            ("if x > 5 mm { 1 }", "`5 * mm`"),
            ("HCOR.step(5 urad)", "`5 * urad`"),
            ("f(at = 1)", "`f(#{ at: 1 })`"),
            ("f(x, at = g(1, 2), b = 2)", "`f(x, #{ at: g(1, 2) })`"),
            ("for i in 1:10 { }", "`1..=10`"),
            ("for i in a:b { }", "`a..=b`"),
            ("for i = 1:10\n  f(i)\nend", "`for i in 1..=10 { … }`"),
            ("x[1:3]", "`x[1..3]`"),
            ("x[:3]", "`x[1..3]`"),
            ("% a remark", "`//`"),
            ("let x = 1; % a remark", "`//`"),
            ("# a remark", "`//`"),
            ("let x = 1 # a remark", "`//`"),
            ("if x > 1\n  f();\nend", "braces"),
            ("while x > 1:\n  f()", "braces"),
            ("if (a) f();", "braces"),
            ("if a and b { }", "`&&`"),
            ("let c = a or b;", "`||`"),
            ("if not a { }", "`!done`"),
            ("if a { } elif b { }", "`else if`"),
            ("def f(x):\n  x", "`fn name(x) { … }`"),
            ("let x = null;", "`()`"),
            ("var x = 3;", "`let`"),
            ("x++", "`x += 1`"),
            ("a ~= b", "`!=`"),
            ("a ? b : c", "`if condition { a } else { b }`"),
            ("print('orbit')", "`\"BPM_001\"`"),
            ("a .* b", "`a * b`"),
            ("a.^2", "`a ** b`"),
            ("let m = {a: 1};", "`#{`"),
            ("try { f() } except e { }", "`try { … } catch (error) { … }`"),
        ] {
            assert!(of(text).contains(wanted), "{text}: {}", of(text));
        }
        for text in ["let x = 5 apples;", "f(x y)", "print(\"a\"", "let größe = 3 x", "5 "] {
            let engine = Engine::new_raw();
            assert!(engine.compile(text).is_ok() || of(text).is_empty(), "{text}: {}", of(text));
        }
    }

    #[test]
    fn what_was_never_declared_is_declared_by_let() {
        let at =
            |text: &str, name: &str, column| undeclared_hint(text, name, Position::new(1, column)).unwrap_or_default();
        assert!(at("x = 3;", "x", 1).contains("`let x = 3`"));
        assert!(at("if a { größe = 2 * mm } ", "größe", 8).contains("`let größe = "));
        assert!(at("x += 3;", "x", 1).contains("needs a value first"));
        assert_eq!(at("x == 3", "x", 1), "");
    }
}
