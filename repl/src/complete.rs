//! What the line editor knows: completion by what stands before the cursor, colours, when a line is whole.

use crate::app::App;
use crate::doc::with_unit;
use fodo_builtins::{Member, Members};
use fodo_language::{FunctionDoc, FunctionUse, Prompt, script_functions, type_word};
use rhai::{Dynamic, Engine, Map};
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Words for completion, and when a line is whole.
pub struct Lines {
    /// Everything that can be called, with its documentation.
    words: Vec<FunctionDoc>,
    own: Vec<FunctionDoc>,
    families: Vec<Known>,
    constants: Vec<String>,
    procedures: Vec<String>,
    variables: BTreeMap<String, What>,
    engine: Engine,
    width: usize,
}

/// A family, as completion needs it.
struct Known {
    name: String,
    about: String,
    devices: Vec<String>,
    /// Fields, then units they can be asked in.
    fields: Vec<(String, String)>,
    /// Whether its main field can be set.
    settable: bool,
}

/// What an expression is, as far as it can be told without evaluating it.
#[derive(Clone, Debug, PartialEq)]
enum What {
    Family(String),
    Device(String),
    /// A map with these entries.
    Map(Vec<(String, What)>),
    /// A type by its word: `vector`, `response`, `model`.
    Kind(String),
    Unknown,
}

impl What {
    fn word(&self) -> &str {
        match self {
            What::Family(family) => family,
            What::Device(_) => "device",
            What::Map(_) => "map",
            What::Kind(kind) => kind,
            What::Unknown => "variable",
        }
    }
}

impl Lines {
    pub fn of(app: &App) -> Lines {
        let words = fodo_language::functions(&app.engine).into_iter().filter(|f| !f.standard || !f.comment.is_empty());
        Lines {
            words: words.collect(),
            own: Vec::new(),
            families: app.facility.families.iter().map(|family| Known::of(family)).collect(),
            constants: fodo_builtins::constants(),
            procedures: app.procedures.names(),
            variables: BTreeMap::new(),
            engine: Engine::new_raw(),
            width: crate::show::width(),
        }
    }

    /// Takes over the variables and functions that lines have made.
    pub fn learn(&mut self, prompt: &mut Prompt, engine: &Engine) {
        self.own = script_functions(prompt.functions());
        let scope = prompt.scope();
        self.variables = scope.iter_raw().map(|(name, _, value)| (name.to_string(), what(value, engine))).collect();
    }

    fn family(&self, name: &str) -> Option<&Known> {
        self.families.iter().find(|family| family.name == name)
    }

    /// A candidate with what it is about, on one line.
    fn pair(&self, replacement: &str, about: &str) -> Pair {
        let mut display = format!("{replacement:<22} {about}");
        if display.chars().count() >= self.width {
            display = display.chars().take(self.width.saturating_sub(2)).chain(['…']).collect();
        }
        Pair { display: display.trim_end().to_string(), replacement: replacement.to_string() }
    }

    /// Names at the beginning of an expression.
    fn names(&self, begun: &str) -> Vec<Pair> {
        let families = self.families.iter().map(|family| self.pair(&family.name, &family.about));
        let variables = self.variables.iter().map(|(name, what)| self.pair(name, what.word()));
        let constants = self.constants.iter().filter(|_| !begun.is_empty());
        let about = |name: &str| match name {
            "model" => "the design lattice",
            "twin" => "the twin of this program",
            _ => "unit",
        };
        let constants = constants.map(|name| self.pair(name, about(name)));
        let called = self.words.iter().filter(|w| !w.standard).chain(&self.own);
        let called = called.filter(|w| w.usage == FunctionUse::Function);
        // without a letter there would be hundreds
        let named = |w: &&FunctionDoc| !begun.is_empty() || self.procedures.contains(&w.name) || w.name == "get_orbit";
        let documented = |w: &&FunctionDoc| !w.comment.is_empty() || self.own.iter().any(|own| own.name == w.name);
        let functions = called.filter(named).filter(documented).map(|w| self.called(w));
        beginning(families.chain(variables).chain(constants).chain(functions).collect(), begun)
    }

    fn called(&self, word: &FunctionDoc) -> Pair {
        let closed = word.parameters.is_empty() && !self.procedures.contains(&word.name);
        self.pair(&format!("{}{}", word.name, if closed { "()" } else { "(" }), word.summary())
    }

    /// What may stand after the dot.
    fn members(&self, of: &What, begun: &str) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = match of {
            What::Map(entries) => entries.iter().map(|(name, _)| self.pair(name, "")).collect(),
            _ => properties(of).map(|p| self.pair(p.name, &with_unit(&p))).collect(),
        };
        let fits = |word: &&FunctionDoc| match of {
            // every function whose first argument is a family could be called so; these are meant to be
            What::Family(_) => {
                word.parameters.first().is_some_and(|p| p.starts_with("members:")) && !word.name.ends_with("_setpoints")
            }
            What::Kind(kind) => takes(word, kind),
            What::Device(_) => word.parameter_type(0) == "device",
            What::Map(_) => false,
            What::Unknown => !begun.is_empty(),
        };
        let members = self.words.iter().filter(|w| !w.parameters.is_empty()).filter(fits);
        for word in members {
            match word.usage {
                FunctionUse::Property => pairs.push(self.pair(&word.name, word.summary())),
                FunctionUse::Function if !word.comment.is_empty() => {
                    let closed = word.parameters.len() == 1;
                    let call = format!("{}{}", word.name, if closed { "()" } else { "(" });
                    pairs.push(self.pair(&call, word.summary()));
                }
                _ => {}
            }
        }
        if let What::Family(family) | What::Device(family) = of
            && self.family(family).is_some_and(|known| !known.settable)
        {
            pairs.retain(|pair| !["set(", "setpoint(", "setpoint()", "step("].contains(&pair.replacement.as_str()));
        }
        beginning(pairs, begun)
    }

    /// What the expression at the end of `text` is.
    fn what(&self, text: &str) -> What {
        let mut rest = &text[chain_start(text)..];
        let head = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(head);
        rest = after;
        let mut found = match rest.starts_with('(') {
            true => {
                rest = &rest[closing(rest)..];
                self.returned(name, None)
            }
            false if self.family(name).is_some() => What::Family(name.to_string()),
            false if name == "model" => What::Kind("model".into()),
            false => self.variables.get(name).cloned().unwrap_or(What::Unknown),
        };
        while !rest.is_empty() {
            let end = closing(rest);
            if rest.starts_with('[') {
                found = indexed(&found, &rest[1..end.saturating_sub(1).max(1)]);
                rest = &rest[end..];
                continue;
            }
            let Some(after) = rest.strip_prefix('.') else { return What::Unknown };
            let head = after.find(|c: char| !is_word(c)).unwrap_or(after.len());
            let (name, after) = after.split_at(head);
            rest = after;
            found = match rest.starts_with('(') {
                true => {
                    rest = &rest[closing(rest)..];
                    self.returned(name, Some(&found))
                }
                false => self.property(&found, name),
            };
        }
        found
    }

    fn property(&self, of: &What, name: &str) -> What {
        let kind = properties(of).find(|property| property.name == name).map(|property| kind_of(property.kind));
        match of {
            What::Family(family) => kind.unwrap_or_else(|| What::Device(family.clone())),
            What::Device(family) if name == "family" => What::Family(family.clone()),
            What::Device(_) => kind.unwrap_or(What::Unknown),
            What::Map(entries) => entries.iter().find(|(key, _)| key == name).map_or(What::Unknown, |(_, w)| w.clone()),
            What::Kind(of) if of == "model" => kind.unwrap_or(What::Unknown),
            What::Kind(kind) => {
                let known = self.words.iter().filter(|w| w.usage == FunctionUse::Property && w.name == name);
                known.filter(|w| takes(w, kind)).map(|w| kind_of(&w.returns)).next().unwrap_or(What::Unknown)
            }
            What::Unknown => What::Unknown,
        }
    }

    /// What a function gives, by its signature and the `#{ … }` in its documentation.
    fn returned(&self, name: &str, of: Option<&What>) -> What {
        match of {
            Some(What::Family(family)) if matches!(name, "without" | "where" | "between") => {
                return What::Family(family.clone());
            }
            Some(What::Family(family)) if matches!(name, "downstream" | "upstream" | "nearest") => {
                return What::Device(family.clone());
            }
            Some(What::Device(family)) if matches!(name, "next" | "previous") => return What::Device(family.clone()),
            Some(What::Family(_)) if matches!(name, "get" | "setpoint") => return What::Kind("vector".into()),
            Some(What::Device(_)) => return What::Kind("quantity".into()),
            _ => {}
        }
        let Some(word) = self.words.iter().find(|w| w.usage == FunctionUse::Function && w.name == name) else {
            return What::Unknown;
        };
        let entries = word.section("Returns").and_then(|text| text.split_once("#{"));
        let entries = entries.and_then(|(_, text)| text.split_once('}')).map_or("", |(inside, _)| inside);
        // get_orbit and the like: their entries are vectors
        let vectors = word.comment.contains("vectors");
        let kind = if vectors { What::Kind("vector".into()) } else { What::Unknown };
        let entry = |part: &str| {
            let key = part.split(':').next().unwrap_or("").trim();
            (!key.is_empty() && key.chars().all(is_word)).then(|| (key.to_string(), kind.clone()))
        };
        match entries.split(',').filter_map(entry).collect::<Vec<_>>() {
            none if none.is_empty() => kind_of(&word.returns),
            keys => What::Map(keys),
        }
    }

    /// Inside `name(… #{ `: the options that the documentation of `name` lists.
    fn options(&self, before: &str, begun: &str) -> Option<Vec<Pair>> {
        let open = before.rfind("#{")?;
        let inside = &before[open + 2..];
        let at_key = inside.rsplit(',').next().is_some_and(|part| part.trim().is_empty());
        if inside.contains('}') || !at_key {
            return None;
        }
        let call = before[..open].rfind('(')?;
        let name = &before[chain_start(&before[..call])..call];
        let name = name.rsplit('.').next().unwrap_or(name);
        let docs = self.words.iter().filter(|w| w.usage == FunctionUse::Function && w.name == name);
        let lines = docs.flat_map(|w| w.comment.lines()).filter_map(|line| line.strip_prefix("- `"));
        let pairs = lines.filter_map(|line| {
            let (option, about) = line.split_once('`')?;
            let used = inside.split(',').any(|part| part.split(':').next().is_some_and(|key| key.trim() == option));
            let about = about.split_once(": ").map_or("", |(_, about)| about);
            (!used && option.chars().all(is_word)).then(|| self.pair(&format!("{option}: "), about))
        });
        Some(beginning(pairs.collect(), begun)).filter(|pairs| !pairs.is_empty())
    }

    /// Inside an open text: device names in brackets, fields and units in `get("`.
    fn in_text(&self, head: &str, begun: &str, closed: bool) -> Vec<Pair> {
        let end = |bracket: &str| if closed { String::new() } else { format!("\"{bracket}") };
        if let Some(head) = head.strip_suffix('[') {
            let What::Family(family) = self.what(head) else { return Vec::new() };
            let devices = self.family(&family).map(|f| f.devices.as_slice()).unwrap_or_default();
            let matching = devices.iter().filter(|name| name.starts_with(begun));
            return matching.map(|n| Pair { display: n.clone(), replacement: format!("{n}{}", end("]")) }).collect();
        }
        let reads = [".get(", ".setpoint("].iter().find_map(|call| head.strip_suffix(call));
        let Some(What::Family(family) | What::Device(family)) = reads.map(|of| self.what(of)) else {
            return Vec::new();
        };
        let fields = self.family(&family).map(|f| f.fields.as_slice()).unwrap_or_default();
        let matching = fields.iter().filter(|(name, _)| name.starts_with(begun));
        let shown = |(name, about): &(String, String)| Pair {
            display: format!("{name:<22} {about}"),
            replacement: format!("{name}{}", end(")")),
        };
        matching.map(shown).collect()
    }
}

impl Known {
    fn of(family: &fodo_devices::Family) -> Known {
        let mut fields: Vec<(String, String)> = Vec::new();
        let first = family.devices.first().map(|d| d.fields.as_slice()).unwrap_or_default();
        for field in first {
            fields.push((field.name.to_string(), format!("field [{}]", field.physics)));
        }
        for unit in first.first().into_iter().flat_map(|f| [&f.physics, &f.hardware]) {
            if unit.symbol() != "1" && !fields.iter().any(|(known, _)| known == unit.symbol()) {
                fields.push((unit.symbol().to_string(), "unit of the main field".into()));
            }
        }
        Known {
            name: family.name.to_string(),
            about: format!("{}, {}", family.role, counted(family.devices.len(), "device")),
            devices: family.devices.iter().map(|d| d.name.to_string()).collect(),
            settable: first.first().is_some_and(|field| field.setpoint.is_some()),
            fields,
        }
    }
}

/// What stands behind the dot of families, devices and the model.
fn properties(of: &What) -> impl Iterator<Item = fodo_builtins::Property> {
    let kind = match of {
        What::Family(_) => "family",
        What::Device(_) => "device",
        What::Kind(kind) => kind,
        What::Map(_) | What::Unknown => "",
    };
    fodo_builtins::properties().filter(move |property| property.of == kind)
}

/// `1 device`, `16 devices`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Those that begin so, each once.
fn beginning(pairs: Vec<Pair>, begun: &str) -> Vec<Pair> {
    let mut seen = std::collections::HashSet::new();
    let name = |pair: &Pair| pair.replacement.trim_end_matches(['(', ')']).to_string();
    // of several with one name the one that leaves the bracket open
    let open: std::collections::HashSet<String> =
        pairs.iter().filter(|p| p.replacement.ends_with('(')).map(name).collect();
    let keep = |pair: &Pair| {
        let shut = pair.replacement.ends_with("()") && open.contains(&name(pair));
        pair.replacement.starts_with(begun) && !shut && seen.insert(name(pair))
    };
    let mut pairs = pairs;
    pairs.retain(keep);
    pairs
}

/// Whether the first argument of a function may be of this kind.
fn takes(word: &FunctionDoc, kind: &str) -> bool {
    word.parameter_type(0).split(", ").flat_map(|part| part.split(" or ")).any(|part| part.eq_ignore_ascii_case(kind))
}

fn kind_of(returns: &str) -> What {
    match returns {
        "" | "any" | "value" | "map" => What::Unknown,
        kind => What::Kind(kind.to_lowercase()),
    }
}

fn what(value: &Dynamic, engine: &Engine) -> What {
    if let Some(members) = value.read_lock::<Members>() {
        return What::Family(members.family.name.to_string());
    }
    if let Some(member) = value.read_lock::<Member>() {
        return What::Device(member.family.name.to_string());
    }
    if let Some(map) = value.read_lock::<Map>() {
        return What::Map(map.iter().map(|(key, value)| (key.to_string(), what(value, engine))).collect());
    }
    What::Kind(type_word(engine.map_type_name(value.type_name())))
}

fn indexed(of: &What, index: &str) -> What {
    match of {
        What::Family(family) if index.contains("..") => What::Family(family.clone()),
        What::Family(family) => What::Device(family.clone()),
        What::Kind(kind) if kind == "model function" => What::Kind("vector".into()),
        What::Kind(kind) if kind == "vector" && index.contains("..") => What::Kind("vector".into()),
        What::Kind(kind) if kind == "vector" => What::Kind("quantity".into()),
        _ => What::Unknown,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the chain of names, calls and indices at the end of `text` begins.
fn chain_start(text: &str) -> usize {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let mut at = chars.len();
    while at > 0 {
        match chars[at - 1].1 {
            close @ (')' | ']') => {
                let open = if close == ')' { '(' } else { '[' };
                let mut depth = 0;
                while at > 0 {
                    at -= 1;
                    depth += i32::from(chars[at].1 == close) - i32::from(chars[at].1 == open);
                    if depth == 0 {
                        break;
                    }
                }
            }
            c if is_word(c) || c == '.' => at -= 1,
            _ => break,
        }
    }
    chars.get(at).map_or(text.len(), |(byte, _)| *byte)
}

/// Length of the bracketed part that `text` begins with; 0 if it begins with no bracket.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
    }
    text.len()
}

/// Where an open text begins: after its quotation mark.
fn open_text(before: &str) -> Option<usize> {
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let mut open = None;
    for (at, c) in before[line..].char_indices().filter(|(_, c)| *c == '"') {
        open = if open.is_none() { Some(line + at + c.len_utf8()) } else { None };
    }
    open
}

impl Completer for Lines {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &rustyline::Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..at];
        if let Some(start) = open_text(before) {
            return Ok((start, self.in_text(&before[..start - 1], &before[start..], line[at..].starts_with('"'))));
        }
        let start = before
            .rfind(|c| !is_word(c))
            .map_or(0, |place| place + before[place..].chars().next().map_or(1, char::len_utf8));
        let (head, begun) = before.split_at(start);
        let pairs = match head.strip_suffix('.') {
            Some(of) => self.members(&self.what(of), begun),
            None => self.options(head, begun).unwrap_or_else(|| self.names(begun)),
        };
        Ok((start, pairs))
    }
}

impl Hinter for Lines {
    type Hint = String;
}

impl Highlighter for Lines {
    /// Nobody can mistake the machine: green for the twin, yellow for a live one, red where it may be written.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        let colour = match prompt {
            p if p.contains(" LIVE WRITE") => "1;31",
            p if p.contains(" LIVE") => "33",
            _ => "32",
        };
        Cow::Owned(format!("\x1b[{colour}m{prompt}\x1b[0m"))
    }
}

impl Validator for Lines {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        match Prompt::is_complete(&self.engine, context.input()) {
            true => Ok(ValidationResult::Valid(None)),
            false => Ok(ValidationResult::Incomplete),
        }
    }
}

impl rustyline::Helper for Lines {}

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
        assert_eq!(open_text("HCOR[\"HCOR_0"), Some(6));
        assert_eq!(open_text("HCOR[\"HCOR_001\"].get("), None);
    }
}
