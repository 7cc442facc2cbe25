//! Texts that are nearly right: shipped ones, changed at random. A seed makes the same text on every machine.

/// Random numbers from a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// Dice of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    /// One of some.
    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

/// Pieces that turn up where they do not belong.
const PIECES: [&str; 62] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "#{",
    "\"",
    "`",
    "${",
    "'",
    "\\",
    "//",
    "/*",
    "*/",
    "///",
    "//!",
    "|",
    "||",
    "|x| ",
    ";",
    ",",
    ":",
    "::",
    ".",
    "..",
    "..=",
    "?.",
    "??",
    "=>",
    "=",
    "==",
    "+=",
    "-",
    "**",
    "!",
    "in ",
    "let ",
    "const ",
    "fn f(x) {",
    "if x {",
    "else ",
    "switch x {",
    "for a in b {",
    "while ",
    "return ",
    "throw ",
    "try {",
    "catch (e) {",
    "import \"mml\" as m;",
    "export ",
    "procedure(#{",
    "p.",
    "HCOR[\"",
    "this",
    "eval",
    "0x",
    "1e",
    "ß",
    "𝛽",
    "\0",
    "\r\n",
];

/// Pieces that are repeated until a reader has to give up.
const REPEATED: [&str; 22] = [
    "(",
    "[",
    "{",
    "#{ a: ",
    "-",
    "!",
    "1 + ",
    "a.",
    "a[0]",
    "f(",
    "|x| ",
    "if a { ",
    "else if a { ",
    "`${",
    "/* ",
    "x => ",
    "a ?? ",
    "let a = ",
    "fn f() { ",
    "a::",
    "switch a { _ => ",
    "import \"a\" as b;\n",
];

/// One of some texts, or two of them, changed in one to six places.
pub fn mutated(dice: &mut Dice, texts: &[String]) -> String {
    let mut text: Vec<char> = dice.one(texts).chars().collect();
    for _ in 0..=dice.below(6) {
        let at = dice.below(text.len() + 1);
        let length = dice.below(40.min(text.len() - at + 1));
        match dice.below(9) {
            0 => _ = text.drain(at..at + length),
            1 => text.truncate(at),
            2 => _ = text.drain(..at),
            3 => {
                let copy: Vec<char> = text[at..at + length].to_vec();
                let to = dice.below(text.len() + 1);
                text.splice(to..to, copy);
            }
            4 => {
                let other: Vec<char> = dice.one(texts).chars().collect();
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(200)).min(other.len());
                text.splice(at..at + length, other[from..to].iter().copied());
            }
            5 if !text.is_empty() => {
                let at = at.min(text.len() - 1);
                text[at] = char::from_u32(32 + dice.below(96) as u32).unwrap_or('?');
            }
            6 => {
                let piece = dice.one(&REPEATED).repeat(1 + dice.below(600));
                text.splice(at..at, piece.chars());
            }
            _ => text.splice(at..at + length / 8, dice.one(&PIECES).chars()).for_each(drop),
        }
    }
    text.into_iter().collect()
}

/// How many runs: `FODO_FUZZ_RUNS`, or as many as a test takes.
pub fn runs(usual: u64) -> u64 {
    std::env::var("FODO_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(usual)
}
