//! Names made by pattern: which elements, which device name, which channel.

/// Whether `name` matches `pattern`, in which `*` stands for any text and `?` for one character;
/// gives what the first `*` stood for.
pub fn glob<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    fn matches(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some('*'), _) => matches(&pattern[1..], name) || (!name.is_empty() && matches(pattern, &name[1..])),
            (Some('?'), Some(_)) => matches(&pattern[1..], &name[1..]),
            (Some(p), Some(n)) => p == n && matches(&pattern[1..], &name[1..]),
            _ => false,
        }
    }
    let letters = |text: &str| text.chars().collect::<Vec<char>>();
    if !matches(&letters(pattern), &letters(name)) {
        return None;
    }
    let Some((head, tail)) = pattern.split_once('*') else { return Some("") };
    let rest = &name[name.char_indices().nth(head.chars().count()).map_or(name.len(), |(at, _)| at)..];
    let end = if tail.contains(['*', '?']) { rest.len() } else { rest.len() - tail.len() };
    Some(&rest[..end])
}

/// What a pattern may speak of.
pub(crate) struct Words<'a> {
    /// Name of the lattice element.
    pub element: &'a str,
    /// What the first `*` of the element pattern stood for.
    pub suffix: &'a str,
    /// Number of the device in its family, from 1.
    pub number: usize,
    /// Index of the element in the lattice, from 0.
    pub position: usize,
    /// Name of the device, once it has one.
    pub name: &'a str,
}

/// Puts words into a pattern: `{element}`, `{suffix}`, `{n}`, `{n:03}`, `{row}`, `{position}`, `{name}`.
pub(crate) fn expand(pattern: &str, words: &Words) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (word, after) = after.split_once('}').ok_or_else(|| format!("`{{` without `}}` in \"{pattern}\""))?;
        let (word, format) = word.split_once(':').unwrap_or((word, ""));
        let width = match format {
            "" => 0,
            digits => digits.parse::<usize>().map_err(|_| format!("`{{{word}:{format}}}` is not a width like 03"))?,
        };
        match word {
            "element" => out.push_str(words.element),
            "suffix" => out.push_str(words.suffix),
            "name" => out.push_str(words.name),
            "n" => out.push_str(&format!("{:0width$}", words.number)),
            "row" => out.push_str(&format!("{:0width$}", words.number - 1)),
            "position" => out.push_str(&format!("{:0width$}", words.position)),
            other => {
                let known = ["element", "suffix", "name", "n", "row", "position"];
                let near = fodo_report::did_you_mean(other, known).map_or(String::new(), |near| format!("; {near}"));
                return Err(format!("`{{{other}}}` is none of {{{}}}{near}", known.join("}, {")));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        assert_eq!(glob("COR_*", "COR_001"), Some("001"));
        assert_eq!(glob("*-SD1?", "C03-SD1A"), Some("C03-SD1A"));
        assert_eq!(glob("C*-SH1A", "C03-SH1A"), Some("03"));
        assert_eq!(glob("QF", "QF1"), None);
    }

    #[test]
    fn expands() {
        let words = Words { element: "COR_001", suffix: "001", number: 1, position: 7, name: "c1" };
        assert_eq!(expand("H{element}:{n:03}@{position}/{row}", &words).unwrap(), "HCOR_001:001@7/0");
        assert!(expand("{nn}", &words).unwrap_err().contains("did you mean `n`"));
    }
}
