//! What may be written at a place: for completion at the prompt and in editors.

mod learn;
pub mod place;

use crate::doc::with_unit;
use fodo_devices::Family;
use fodo_language::{FunctionDoc, FunctionUse, ParameterKind};
use fodo_procedure::{Header, Known, Script, What, is_settable, takes};
use place::{Place, chain_start, closing, is_word, word_start};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Words that may be written, and what variables are.
pub struct Words {
    /// What the program, the facility and the procedures offer.
    pub known: Arc<Known>,
    /// Functions of the script or of earlier lines.
    pub own: Vec<FunctionDoc>,
    /// Variables in sight.
    pub variables: BTreeMap<String, What>,
    /// Imported libraries in sight.
    pub imports: BTreeMap<String, Arc<Script>>,
    /// The header of the script.
    pub header: Option<Header>,
}

/// What a candidate is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sort {
    /// A family.
    Family,
    /// A device, a field or unit in a text, a word to choose.
    Text,
    /// A variable.
    Variable,
    /// A unit, the model.
    Constant,
    /// A function.
    Function,
    /// A property or an entry of a map.
    Property,
    /// An option, a parameter or a key of the header.
    Option,
    /// A library.
    Library,
}

/// Something that may be written.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What is written.
    pub text: Arc<str>,
    /// What it is, in a few words.
    pub about: String,
    /// What sort of thing.
    pub sort: Sort,
}

/// More names than this are more to be typed on than to be chosen among.
const MANY: usize = 1000;

fn candidate(text: impl AsRef<str>, about: impl Into<String>, sort: Sort) -> Candidate {
    Candidate { text: text.as_ref().into(), about: about.into(), sort }
}

/// Keys of a header with what stands there.
const HEADER: [(&str, &str); 8] = [
    ("changes", "families, or parameters that are families, that a run may change"),
    ("reads", "families, or parameters that are families, that it reads"),
    ("parameters", "its parameters: `#{ name: number(…), … }`"),
    ("returns", "what comes back, with units"),
    ("takes", "how long it takes"),
    ("plots", "what it plots"),
    ("feedbacks", "the state of feedbacks: \"on\", \"off\" or \"either\""),
    ("watchers", "names of conditions that must hold"),
];

/// The kinds of parameters in a header with the options of each.
const KINDS: [(&str, &str, &[&str]); 8] = [
    (
        "number",
        "a number with its unit: `number(5.0, \"urad\", #{ min: 0.0, max: 50.0, help: \"…\" })`",
        &["min", "max", "help"],
    ),
    ("integer", "a whole number: `integer(1, #{ min: 1, help: \"…\" })`", &["min", "max", "help"]),
    ("boolean", "yes or no: `boolean(false, #{ help: \"…\" })`", &["help"]),
    ("choice", "one of some words: `choice([\"x\", \"y\"], #{ help: \"…\" })`", &["default", "help"]),
    ("text", "a text: `text(\"\", #{ help: \"…\" })`", &["help"]),
    ("family", "a family: `family(\"horizontal corrector\", #{ help: \"…\" })`", &["roles", "optional", "help"]),
    ("device", "a device: `device(\"horizontal corrector\", #{ help: \"…\" })`", &["roles", "optional", "help"]),
    ("families", "several families: `families([\"QF\", \"QD\"], #{ help: \"…\" })`", &["roles", "optional", "help"]),
];

impl Words {
    /// Words without variables and functions of one's own.
    pub fn new(known: Arc<Known>) -> Words {
        let (own, variables, imports) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Words { known, own, variables, imports, header: None }
    }

    /// What may stand at the end of `before`, in front of `after`: where the word begins, and the candidates.
    pub fn at(&self, before: &str, after: &str) -> (usize, Vec<Candidate>) {
        let place = Place::of(before);
        if place.comment {
            return (before.len(), Vec::new());
        }
        if let Some(start) = place.text {
            return (start, self.in_text(&place, before, start, after.starts_with('"')));
        }
        let start = word_start(before);
        let (head, begun) = before.split_at(start);
        let found = match head.strip_suffix('.') {
            Some(of) => self.members(&self.what(of), begun),
            None if head.ends_with("::") => self.of_library(head.trim_end_matches(':'), begun),
            None if place.at_key(head) => {
                self.keys(&place, head, begun).unwrap_or_else(|| self.names(&place, head, begun))
            }
            None => self.names(&place, head, begun),
        };
        (start, found)
    }

    /// Names at the beginning of an expression.
    fn names(&self, place: &Place, head: &str, begun: &str) -> Vec<Candidate> {
        if self.in_header(place, head) {
            let kinds = KINDS.iter().map(|(name, about, _)| candidate(format!("{name}("), *about, Sort::Function));
            return beginning(kinds.collect(), begun);
        }
        let families = self.known.facility.families.iter();
        let families = families.map(|family| candidate(family.name.as_ref(), about_family(family), Sort::Family));
        let variables = self.variables.iter().map(|(name, what)| candidate(name, self.word(what), Sort::Variable));
        let constants = fodo_builtins::constants().into_iter().filter(|_| !begun.is_empty());
        let about = |name: &str| match name {
            "model" => "the design lattice",
            "twin" => "the twin of this program",
            _ => "unit",
        };
        let constants = constants.map(|name| candidate(&name, about(&name), Sort::Constant));
        let imports =
            self.imports.iter().map(|(name, script)| candidate(format!("{name}::"), &script.file, Sort::Library));
        // without a letter there would be hundreds
        let named =
            |f: &&FunctionDoc| !begun.is_empty() || self.known.procedure(&f.name).is_some() || f.name == "get_orbit";
        let functions =
            self.known.functions().filter(|f| !f.standard && !f.comment.is_empty()).chain(&self.own).filter(named);
        let functions = functions.map(|f| self.called(f));
        beginning(families.chain(variables).chain(constants).chain(imports).chain(functions).collect(), begun)
    }

    /// The word for what a variable is.
    fn word(&self, what: &What) -> String {
        match what {
            What::Family(origins) if origins.len() == 1 => origins[0].family.name.to_string(),
            What::Unknown => "variable".into(),
            What::Parameters => "the parameters".into(),
            other => other.word().to_string(),
        }
    }

    fn called(&self, f: &FunctionDoc) -> Candidate {
        let closed = f.parameters.is_empty() && self.known.procedure(&f.name).is_none();
        candidate(format!("{}{}", f.name, if closed { "()" } else { "(" }), f.summary(), Sort::Function)
    }

    /// Functions of an imported library.
    fn of_library(&self, head: &str, begun: &str) -> Vec<Candidate> {
        let alias = &head[word_start(head)..];
        let functions = self.imports.get(alias).map(|script| script.functions.as_slice()).unwrap_or_default();
        beginning(functions.iter().map(|f| self.called(f)).collect(), begun)
    }

    /// What may stand after the dot.
    fn members(&self, of: &What, begun: &str) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = match of {
            What::Map(entries) => {
                entries.iter().map(|(name, what)| candidate(name, self.word(what), Sort::Property)).collect()
            }
            What::Parameters => {
                let parameters = self.header.iter().flat_map(|header| &header.parameters);
                parameters
                    .map(|p| candidate(&p.name, format!("{}, {}", p.kind.word(), p.about()), Sort::Property))
                    .collect()
            }
            _ => self.known.properties(of).map(|p| candidate(p.name, with_unit(&p), Sort::Property)).collect(),
        };
        let fits = |f: &&FunctionDoc| match of {
            // every function whose first argument is a family could be called so; these are meant to be
            What::Family(_) => {
                f.parameters.first().is_some_and(|p| p.starts_with("members:")) && !f.name.ends_with("_setpoints")
            }
            What::Device(_) => f.parameter_type(0) == "device",
            What::Map(_) | What::Parameters => false,
            What::Unknown => !begun.is_empty(),
            other => takes(f, other.word()),
        };
        let forms = self.known.functions().chain(self.known.all_properties());
        for f in forms.filter(|f| !f.parameters.is_empty()).filter(fits) {
            match f.usage {
                FunctionUse::Property => found.push(candidate(&f.name, f.summary(), Sort::Property)),
                FunctionUse::Function if !f.comment.is_empty() => {
                    let closed = f.parameters.len() == 1;
                    let call = format!("{}{}", f.name, if closed { "()" } else { "(" });
                    found.push(candidate(call, f.summary(), Sort::Function));
                }
                _ => {}
            }
        }
        if let What::Family(origins) | What::Device(origins) = of
            && origins.iter().any(|origin| !is_settable(&origin.family))
        {
            found.retain(|c| !["set(", "setpoint(", "setpoint()", "step("].contains(&c.text.as_ref()));
        }
        beginning(found, begun)
    }

    /// What the expression at the end of `text` is.
    pub fn what(&self, text: &str) -> What {
        let mut rest = &text[chain_start(text)..];
        let head = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(head);
        rest = after;
        let mut found = match rest.starts_with('(') {
            true => {
                let end = closing(rest);
                let given = &rest[1..end.saturating_sub(1).max(1)];
                rest = &rest[end..];
                self.known.returned(name, &self.arguments(given))
            }
            false => {
                let variable = self.variables.get(name).cloned();
                variable.or_else(|| self.known.variable(name)).unwrap_or(What::Unknown)
            }
        };
        while !rest.is_empty() {
            let end = closing(rest);
            if rest.starts_with('[') {
                let index = &rest[1..end.saturating_sub(1).max(1)];
                let part = match index {
                    range if range.contains("..") => What::kind("range"),
                    // what cannot be told is taken for one of them
                    _ => What::Text(None),
                };
                found = found.indexed(&part);
                rest = &rest[end..];
                continue;
            }
            let Some(after) = rest.strip_prefix('.') else { return What::Unknown };
            let head = after.find(|c: char| !is_word(c)).unwrap_or(after.len());
            let (name, after) = after.split_at(head);
            rest = after;
            found = match rest.starts_with('(') {
                true => {
                    let end = closing(rest);
                    let given = self.arguments(&rest[1..end.saturating_sub(1).max(1)]);
                    rest = &rest[end..];
                    let all: Vec<What> = std::iter::once(found).chain(given).collect();
                    self.known.returned(name, &all)
                }
                false => self.property(&found, name),
            };
        }
        found
    }

    /// What stands between the brackets of a call.
    fn arguments(&self, given: &str) -> Vec<What> {
        let mut parts: Vec<&str> = Vec::new();
        let (mut start, place) = (0, given.char_indices());
        let mut depth = 0;
        for (at, c) in place {
            depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
            if c == ',' && depth == 0 {
                parts.push(&given[start..at]);
                start = at + 1;
            }
        }
        parts.push(&given[start..]);
        parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(|part| self.expression(part)).collect()
    }

    /// What a whole expression is; what is more than a chain cannot be told.
    pub fn expression(&self, text: &str) -> What {
        let text = text.trim();
        if text.starts_with('"') {
            return What::Text(Some(text.trim_matches('"').to_string()));
        }
        if closing(text) == text.len()
            && let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        {
            return What::array(self.arguments(inside));
        }
        if text.starts_with('|') {
            return What::kind("function");
        }
        let chain = chain_start(text) == 0 && !text.starts_with(|c: char| c.is_ascii_digit());
        if chain { self.what(text) } else { What::Unknown }
    }

    fn property(&self, of: &What, name: &str) -> What {
        match of {
            What::Parameters => {
                let parameter = self.header.as_ref().and_then(|header| header.parameter(name));
                parameter.map_or(What::Unknown, |p| What::of_parameter(p, |word| self.known.family(word)))
            }
            _ => self.known.property(of, name),
        }
    }

    /// Inside `name(… #{ `: the options of `name`, those of a kind of parameter, or the keys of the header.
    fn keys(&self, place: &Place, head: &str, begun: &str) -> Option<Vec<Candidate>> {
        let key = |name: &str, about: String| candidate(format!("{name}: "), about, Sort::Option);
        let [.., call, map] = place.open.as_slice() else { return None };
        if in_feedbacks(place, head) {
            let feedbacks = self.known.facility.feedbacks.iter();
            let mut found: Vec<Candidate> = feedbacks.map(|feedback| key(&feedback.name, feedback.about())).collect();
            found.retain(|c| !map.keys.iter().any(|used| c.text.strip_suffix(": ") == Some(used)));
            return Some(beginning(found, begun));
        }
        if call.bracket != '(' {
            return None;
        }
        let name = called(head, call.at);
        let found: Vec<Candidate> = match self.kind_of_parameter(place, head, name) {
            _ if name == "procedure" => HEADER.iter().map(|(name, about)| key(name, (*about).to_string())).collect(),
            Some(options) => options.iter().map(|name| key(name, String::new())).collect(),
            None => {
                let (_, options) = self.known.options(name)?;
                options.iter().map(|option| key(&option.name, option.about())).collect()
            }
        };
        let mut found = found;
        found.retain(|c| !map.keys.iter().any(|used| c.text.strip_suffix(": ") == Some(used)));
        Some(beginning(found, begun))
    }

    /// Whether the cursor stands inside `procedure(#{ parameters: #{`.
    fn in_header(&self, place: &Place, head: &str) -> bool {
        in_procedure(place, head)
            && place.open.get(1).is_some_and(|map| map.keys.last().is_some_and(|k| k == "parameters"))
    }

    fn kind_of_parameter(&self, place: &Place, head: &str, name: &str) -> Option<&'static [&'static str]> {
        let kind = KINDS.iter().find(|(kind, ..)| *kind == name)?;
        self.in_header(place, head).then_some(kind.2)
    }

    /// Inside an open text: devices in brackets, fields and units in `get("`, words to choose, libraries, families.
    fn in_text(&self, place: &Place, before: &str, start: usize, closed: bool) -> Vec<Candidate> {
        let (head, begun) = (&before[..start - 1], &before[start..]);
        let end = |bracket: &str| if closed { String::new() } else { format!("\"{bracket}") };
        let words = |words: Vec<(String, String)>, bracket: &str| {
            let mut seen = HashSet::new();
            let matching = words.into_iter().filter(|(word, _)| word.starts_with(begun) && seen.insert(word.clone()));
            matching.map(|(word, about)| candidate(format!("{word}{}", end(bracket)), about, Sort::Text)).collect()
        };
        if head.trim_end().ends_with("import") {
            return words(self.known.scripts().into_iter().map(|name| (name, String::new())).collect(), "");
        }
        if let Some(of) = head.strip_suffix('[')
            && let What::Family(origins) = self.what(of)
        {
            let mut seen = HashSet::new();
            let devices = origins.iter().flat_map(|origin| &origin.family.devices);
            let devices = devices.map(|device| &device.name).filter(|name| name.starts_with(begun));
            let names: Vec<&Arc<str>> = devices.filter(|name| origins.len() == 1 || seen.insert(*name)).collect();
            // of a hundred thousand none is copied: nobody chooses among them
            let text = |name: &Arc<str>| match names.len() > MANY {
                true => name.clone(),
                false => [name, end("]").as_str()].concat().into(),
            };
            let shown = |name: &&Arc<str>| Candidate { text: text(name), about: String::new(), sort: Sort::Text };
            return names.iter().map(shown).collect();
        }
        let reads = [".get(", ".setpoint("].iter().find_map(|call| head.strip_suffix(call));
        if let Some(What::Family(origins) | What::Device(origins)) = reads.map(|of| self.what(of)) {
            return words(origins.first().map(|origin| fields(&origin.family)).unwrap_or_default(), ")");
        }
        let call = head.strip_suffix('(').map(|call| &call[word_start(call)..]);
        if call == Some("start") {
            let procedures = self.known.procedures();
            return words(procedures.map(|(name, header)| (name.to_string(), header.title.clone())).collect(), "");
        }
        let families = || self.known.facility.families.iter();
        let named = || families().map(|family| (family.name.to_string(), about_family(family)));
        let roles = || families().map(|family| (family.role.to_string(), family.name.to_string()));
        if ["family(", "families([", "device("].iter().any(|call| head.ends_with(call)) {
            return words(roles().chain(named()).collect(), "");
        }
        match place.open.last().and_then(|map| map.keys.last()).map(String::as_str) {
            _ if place.open.last().is_none_or(|open| open.bracket == '(') => Vec::new(),
            Some(_) if in_feedbacks(place, head) => {
                words(["on", "off", "either"].map(|state| (state.to_string(), String::new())).into(), "")
            }
            Some(key) => words(self.choices(place, head, key), ""),
            // `changes: ["`
            None => {
                let key = place.open.iter().rev().nth(1).and_then(|map| map.keys.last()).map(String::as_str);
                match key {
                    Some("changes" | "reads") => {
                        let parameters = self.header.iter().flat_map(|header| &header.parameters);
                        let parameters = parameters.filter(|p| matches!(p.kind, ParameterKind::Named { .. }));
                        let parameters = parameters.map(|p| (p.name.clone(), p.help.clone()));
                        words(parameters.chain(named()).chain(roles()).collect(), "")
                    }
                    Some("roles") => words(roles().collect(), ""),
                    Some("watchers") if in_procedure(place, head) => {
                        let watchers = self.known.facility.watchers.iter();
                        words(watchers.map(|watcher| (watcher.name.to_string(), watcher.about())).collect(), "")
                    }
                    _ => Vec::new(),
                }
            }
        }
    }

    /// The words that an option may be.
    fn choices(&self, place: &Place, head: &str, key: &str) -> Vec<(String, String)> {
        let Some((call, _)) = place.call() else { return Vec::new() };
        let Some((_, options)) = self.known.options(called(head, call)) else { return Vec::new() };
        match options.iter().find(|option| option.name == key).map(|option| &option.kind) {
            Some(ParameterKind::Choice(words)) => words.iter().map(|word| (word.clone(), String::new())).collect(),
            _ => Vec::new(),
        }
    }
}

/// What is called by the bracket at a place; by `start("correct_orbit", …` the procedure.
fn called(text: &str, bracket: usize) -> &str {
    let (before, behind) = text.split_at(bracket);
    let before = before.trim_end();
    match &before[word_start(before)..] {
        "start" => {
            let first = behind[1..].trim_start().strip_prefix('"');
            first.and_then(|text| text.split('"').next()).unwrap_or("start")
        }
        name => name,
    }
}

/// Whether the outermost call is that of a header.
fn in_procedure(place: &Place, head: &str) -> bool {
    place.open.first().is_some_and(|call| call.bracket == '(' && head[..call.at].ends_with("procedure"))
}

/// Whether the cursor stands inside `procedure(#{ feedbacks: #{`.
fn in_feedbacks(place: &Place, head: &str) -> bool {
    let [_, header, feedbacks] = place.open.as_slice() else { return false };
    feedbacks.bracket == '#' && header.keys.last().is_some_and(|key| key == "feedbacks") && in_procedure(place, head)
}

fn about_family(family: &Family) -> String {
    format!("{}, {}", family.role, counted(family.devices.len(), "device"))
}

/// Fields of a family, then units its main field can be asked in.
fn fields(family: &Family) -> Vec<(String, String)> {
    let first = family.devices.first().map(|device| device.fields.as_slice()).unwrap_or_default();
    let mut fields: Vec<(String, String)> =
        first.iter().map(|field| (field.name.to_string(), format!("field [{}]", field.physics))).collect();
    for unit in first.first().into_iter().flat_map(|field| [&field.physics, &field.hardware]) {
        if unit.symbol() != "1" && !fields.iter().any(|(known, _)| known == unit.symbol()) {
            fields.push((unit.symbol().to_string(), "unit of the main field".into()));
        }
    }
    fields
}

/// `1 device`, `16 devices`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Those that begin so, each once; without any, those in which the letters stand in this order: `gorb` for `get_orbit`.
fn beginning(mut found: Vec<Candidate>, begun: &str) -> Vec<Candidate> {
    let name = |c: &Candidate| c.text.trim_end_matches(['(', ')']).to_string();
    let begins = found.iter().any(|c| c.text.starts_with(begun));
    found.retain(|c| if begins { c.text.starts_with(begun) } else { spread(&c.text, begun).is_some() });
    // of several with one name the one that leaves the bracket open
    let open: HashSet<String> = found.iter().filter(|c| c.text.ends_with('(')).map(name).collect();
    // forms of one function: the one that is explained first
    found.sort_by_cached_key(|c| (c.sort == Sort::Function).then(|| (name(c), c.about.is_empty())));
    let mut seen = HashSet::new();
    found.retain(|c| !(c.text.ends_with("()") && open.contains(&name(c))) && seen.insert(name(c)));
    if !begins {
        found.sort_by_key(|c| spread(&c.text, begun));
    }
    found
}

/// How far the letters of `begun` are spread over a text that has them in this order, in capitals or not.
fn spread(text: &str, begun: &str) -> Option<usize> {
    let mut letters = text.chars().enumerate();
    let mut wanted =
        begun.chars().map(|wanted| letters.find(|(_, letter)| letter.eq_ignore_ascii_case(&wanted)).map(|(at, _)| at));
    let first = wanted.next()??;
    let last = wanted.try_fold(first, |_, at| at)?;
    Some(last - first + first.min(1) + text.len() / 16)
}
