//! What `assert(…)` compared: the values of both sides, for its message.
//!
//! While a script is read, a comparison inside `assert(…)` becomes an operator of ours at the same place and with the same
//! precedence. It compares as always, and remembers what it compared.

use crate::Outcome;
use rhai::{Dynamic, Engine, NativeCallContext, Position, Token};
use std::cell::{Cell, RefCell};

/// Comparisons, what they are inside `assert(…)`, and their precedence. No script can write these names.
const COMPARISONS: [(&str, &str, u8); 6] = [
    ("==", "asserted ==", 90),
    ("!=", "asserted !=", 90),
    ("<", "asserted <", 130),
    ("<=", "asserted <=", 130),
    (">", "asserted >", 130),
    (">=", "asserted >=", 130),
];

/// Two values that were compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// What stood left of the operator.
    pub left: Dynamic,
    /// `==`, `<` and the like.
    pub operator: &'static str,
    /// What stood right of it.
    pub right: Dynamic,
    at: Position,
}

/// How far the reading of a script has come.
#[derive(Clone, Copy, Default)]
struct Reading {
    last: (usize, usize),
    /// The token before was `assert`.
    named: bool,
    /// Round brackets that are open since.
    depth: usize,
}

thread_local! {
    static READING: Cell<Reading> = Cell::default();
    static LAST: RefCell<Option<Compared>> = const { RefCell::new(None) };
}

/// What the `assert` that is called now compared last; none if it did not compare. It is forgotten.
pub fn compared(assert: &NativeCallContext) -> Option<Compared> {
    // one that an error ended left its own behind
    LAST.take().filter(|compared| compared.at > assert.call_position())
}

/// Whether a function is one of these operators.
pub(crate) fn is_one(name: &str) -> bool {
    COMPARISONS.iter().any(|(_, asserted, _)| *asserted == name)
}

pub(crate) fn register(engine: &mut Engine) {
    #[allow(deprecated, reason = "Rhai marks so what may change; nothing replaces it")]
    engine.on_parse_token(|token, at, _| mapped(token, at));
    for (operator, asserted, precedence) in COMPARISONS {
        if let Err(why) = engine.register_custom_operator(asserted, precedence) {
            debug_assert!(false, "{asserted}: {why}");
        }
        let compare = move |context: NativeCallContext, left: Dynamic, right: Dynamic| -> Outcome<Dynamic> {
            let (left, right) = (left.flatten(), right.flatten());
            let result = context.call_native_fn_raw(operator, false, &mut [&mut left.clone(), &mut right.clone()])?;
            LAST.set(Some(Compared { left, operator, right, at: context.call_position() }));
            Ok(result)
        };
        engine.register_fn(asserted, compare);
    }
}

fn mapped(token: Token, at: Position) -> Token {
    let mut reading = READING.get();
    let here = (at.line().unwrap_or(0), at.position().unwrap_or(0));
    // another text is read
    if here < reading.last {
        reading = Reading::default();
    }
    reading.last = here;
    let mut found = token;
    match &found {
        Token::Identifier(name) if reading.depth == 0 && name.as_str() == "assert" => reading.named = true,
        Token::LeftParen if reading.depth > 0 || reading.named => reading.depth += 1,
        Token::RightParen => reading.depth = reading.depth.saturating_sub(1),
        Token::EOF => reading = Reading::default(),
        _ => reading.named = false,
    }
    if reading.depth > 0 {
        reading.named = false;
        if found.is_standard_symbol()
            && let Some((_, asserted, _)) =
                COMPARISONS.iter().find(|(operator, ..)| *operator == found.literal_syntax())
        {
            found = Token::Custom(Box::new((*asserted).into()));
        }
    }
    READING.set(reading);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Setup, engine};

    fn told(text: &str) -> String {
        let mut engine = engine(Setup::default());
        let said = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let keep = said.clone();
        engine.register_fn("assert", move |context: NativeCallContext, holds: bool| {
            let found = compared(&context).map(|c| format!("{} {} {}: {holds}", c.left, c.operator, c.right));
            *keep.lock().unwrap() = found.unwrap_or_else(|| format!("nothing: {holds}"));
        });
        engine.run(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        said.lock().unwrap().clone()
    }

    #[test]
    fn what_was_compared_last_is_remembered() {
        for (text, wanted) in [
            ("let a = 3; assert(a < 2);", "3 < 2: false"),
            ("assert(1 + 1 == 2 * 1);", "2 == 2: true"),
            ("let a = 3; assert(a > 2 && a != 3);", "3 != 3: false"),
            ("let a = 3; assert(!(a >= 2));", "3 >= 2: false"),
            ("assert(1 == \"a\");", "1 == a: false"),
            ("assert(1 <= 2.5);", "1 <= 2.5: true"),
            ("assert([1, 2] == [1, 2]);", "[1, 2] == [1, 2]: true"),
            ("let a = 2; let b = a == 2; assert(b);", "nothing: true"),
            ("fn f(x) { assert((x + 1) * 2 < x); } f(1);", "4 < 1: false"),
            ("let f = |x| assert(x == 2); f.call(3);", "3 == 2: false"),
            ("let n = 0; fn next(n) { n + 1 } assert(next(n) == 1 && next(n) < 2);", "1 < 2: true"),
            ("assert([1, 2].filter(|x| x > 1).len() == 2);", "1 == 2: false"),
        ] {
            assert_eq!(told(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_an_error_left_behind_is_not_told() {
        let text = "let n = [];\ntry { assert(1 < 2 && n[7]); } catch {}\nlet no = false;\nassert(no);";
        assert_eq!(told(text), "nothing: false");
    }

    #[test]
    fn comparisons_elsewhere_are_as_they_were() {
        assert_eq!(told("let a = 1 < 2; assert(a);"), "nothing: true");
        // an assertion that could not be read leaves nothing behind
        let broken = engine(Setup::default());
        assert!(broken.compile("assert(1 < ").is_err());
        assert_eq!(told("let a = (1 < 2); assert(a);"), "nothing: true");
    }
}
