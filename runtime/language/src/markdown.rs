//! Code blocks of Markdown: in doc comments, in tests beside procedures, in the manual.

/// A fenced block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Line of its first line of code, from 1.
    pub line: usize,
    /// What stands behind the fence: `rhai`, `rhai,fails`, `console`.
    pub info: String,
    /// The code.
    pub text: String,
}

impl Block {
    /// Whether it is in this language.
    pub fn is(&self, language: &str) -> bool {
        self.info.split(',').next().is_some_and(|first| first.trim() == language)
    }

    /// Whether a word stands behind the language.
    pub fn has(&self, word: &str) -> bool {
        self.info.split(',').skip(1).any(|part| part.trim() == word)
    }
}

/// The fenced blocks of a text; those inside lists lose the list's indentation.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(Block, &str)> = None;
    for (number, line) in text.lines().enumerate() {
        let inner = line.trim_start();
        let indent = &line[..line.len() - inner.len()];
        match (&mut open, inner.strip_prefix("```")) {
            (None, Some(info)) => {
                let block = Block { line: number + 2, info: info.trim().to_string(), text: String::new() };
                open = Some((block, indent));
            }
            (Some(_), Some("")) => found.extend(open.take().map(|(block, _)| block)),
            (Some((block, indent)), _) => {
                block.text.push_str(line.strip_prefix(*indent).unwrap_or(inner));
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_line_and_their_words() {
        let text = "# A\n\n```rhai\nlet x = 1;\n```\n\n1. step\n\n   ```console,slow\n   $ fodo\n   ```\n";
        let found = blocks(text);
        assert_eq!(found[0], Block { line: 4, info: "rhai".into(), text: "let x = 1;\n".into() });
        assert_eq!((found[1].line, found[1].text.as_str()), (10, "$ fodo\n"));
        assert!(found[1].is("console") && found[1].has("slow") && !found[0].has("slow"));
    }
}
