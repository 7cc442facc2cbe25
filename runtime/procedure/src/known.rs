//! What exists outside a script: functions with their options, families, procedures, libraries.

use crate::header::{Header, read_header};
use crate::runner::Procedures;
use crate::what::{What, entry_of};
use fodo_builtins::Property;
use fodo_devices::{Facility, Family};
use fodo_language::{FunctionDoc, FunctionUse, Library, Options, Parameter, script_functions};
use fodo_report::Diagnostic;
use fodo_units::Unit;
use rhai::Engine;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// What exists outside a script, for the check, completion and help.
pub struct Known {
    /// The facility with its families.
    pub facility: Arc<Facility>,
    functions: BTreeMap<String, Vec<FunctionDoc>>,
    properties: BTreeMap<String, Vec<FunctionDoc>>,
    options: HashMap<String, Vec<Options>>,
    procedures: BTreeMap<String, Header>,
    constants: BTreeSet<String>,
    libraries: Vec<Arc<dyn Library>>,
    scripts: Mutex<HashMap<String, Arc<Script>>>,
}

/// A script that can be imported.
pub struct Script {
    /// Its file.
    pub file: String,
    /// Its text.
    pub text: Arc<str>,
    /// Its public functions.
    pub functions: Vec<FunctionDoc>,
    /// Names and numbers of arguments of all its functions.
    pub all: BTreeSet<(String, usize)>,
    /// Why it cannot be read.
    pub mistake: Option<Diagnostic>,
}

impl Known {
    /// What `engine` and `procedures` offer at a facility; imports are looked up in `libraries`, in their order.
    pub fn new(
        engine: &Engine,
        facility: Arc<Facility>,
        procedures: &Procedures,
        libraries: Vec<Arc<dyn Library>>,
    ) -> Known {
        let (mut functions, mut properties) = (BTreeMap::new(), BTreeMap::new());
        for doc in fodo_language::functions(engine) {
            let list: &mut BTreeMap<String, Vec<FunctionDoc>> = match doc.usage {
                FunctionUse::Function => &mut functions,
                FunctionUse::Property => &mut properties,
                _ => continue,
            };
            list.entry(doc.name.clone()).or_default().push(doc);
        }
        let mut options: HashMap<String, Vec<Options>> = HashMap::new();
        for declared in fodo_builtins::options() {
            options.entry(declared.owner().to_string()).or_default().push(declared);
        }
        // a procedure that cannot be read says so when it is run
        let headers = procedures.names().into_iter().filter_map(|name| {
            let (file, text) = procedures.source(&name)?;
            Some((name, read_header(&file, &text).ok()??))
        });
        Known {
            facility,
            functions,
            properties,
            options,
            procedures: headers.collect(),
            constants: fodo_builtins::constants().into_iter().collect(),
            libraries,
            scripts: Mutex::default(),
        }
    }

    /// The forms of a function.
    pub fn function(&self, name: &str) -> &[FunctionDoc] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every property of a registered type.
    pub fn all_properties(&self) -> impl Iterator<Item = &FunctionDoc> {
        self.properties.values().flatten()
    }

    /// Every function, by name.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionDoc> {
        self.functions.values().flatten()
    }

    /// The header of a procedure that is called as a function.
    pub fn procedure(&self, name: &str) -> Option<&Header> {
        self.procedures.get(name)
    }

    /// The procedures, by name.
    pub fn procedures(&self) -> impl Iterator<Item = (&str, &Header)> {
        self.procedures.iter().map(|(name, header)| (name.as_str(), header))
    }

    /// The options or parameters that `name` takes in a map: its own declaration, or those of several with one name.
    pub fn options(&self, name: &str) -> Option<(&'static str, Vec<&Parameter>)> {
        if let Some(header) = self.procedures.get(name) {
            return Some(("parameter", header.parameters.iter().collect()));
        }
        let declared = self.options.get(name)?;
        Some(("option", declared.iter().flat_map(Options::parameters).collect()))
    }

    /// A family by its name, or the first of a role.
    pub fn family(&self, word: &str) -> Option<Arc<Family>> {
        self.facility.named_or_role(word).cloned()
    }

    /// Whether a name stands for a family, a unit or the model.
    pub fn is_given(&self, name: &str) -> bool {
        self.constants.contains(name) || self.facility.families.iter().any(|family| family.name.as_ref() == name)
    }

    /// Names and roles of the families.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.facility.families.iter().flat_map(|family| [family.name.as_ref(), family.role.as_ref()])
    }

    /// Names that every script sees: families, units, the model.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let families = self.facility.families.iter().map(|family| family.name.as_ref());
        families.chain(self.constants.iter().map(String::as_str))
    }

    /// What such a name stands for.
    pub fn variable(&self, name: &str) -> Option<What> {
        if let Some(family) = self.facility.families.iter().find(|family| family.name.as_ref() == name) {
            return Some(What::family(family));
        }
        if !self.constants.contains(name) {
            return None;
        }
        Some(match fodo_builtins::unit(name) {
            Some(unit) => What::Number(unit.clone(), Some(unit.scale())),
            None => What::Kind(name.to_string(), Vec::new()),
        })
    }

    /// The script that `import "name"` finds from a file.
    pub fn script(&self, name: &str, from: &str) -> Option<Arc<Script>> {
        let name = name.strip_suffix(".rhai").unwrap_or(name);
        let (file, text) = self.libraries.iter().find_map(|library| library.find(name, Some(from)))?;
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        // one on disk may have been changed
        if let Some(known) = scripts.get(&file).filter(|known| known.text == text) {
            return Some(known.clone());
        }
        let script = Arc::new(Script::read(file.clone(), text));
        scripts.insert(file, script.clone());
        Some(script)
    }

    /// Names of all scripts that can be imported.
    pub fn scripts(&self) -> Vec<String> {
        self.libraries.iter().flat_map(|library| library.names()).collect()
    }

    /// Names of the scripts that can be imported and have a public function `name`.
    pub fn offering(&self, name: &str, from: &str) -> Vec<String> {
        let has = |script: &String| {
            let script = self.script(script, from);
            script.is_some_and(|script| script.functions.iter().any(|function| function.name == name))
        };
        self.scripts().into_iter().filter(has).collect()
    }

    /// What stands behind the dot of families, devices and the model.
    pub fn properties(&self, of: &What) -> impl Iterator<Item = Property> + use<> {
        let kind = match of {
            What::Family(_) => "family".to_string(),
            What::Device(_) => "device".to_string(),
            What::Kind(kind, _) => kind.clone(),
            _ => String::new(),
        };
        fodo_builtins::properties().filter(move |property| property.of == kind)
    }

    /// What `x.name` is.
    pub fn property(&self, of: &What, name: &str) -> What {
        let known = self.properties(of).find(|property| property.name == name);
        match (of, known) {
            (What::Device(origins), _) if name == "family" => What::Family(origins.clone()),
            (_, Some(property)) => match Unit::parse(property.unit) {
                Ok(unit) if property.kind == "quantity" => What::Number(unit, None),
                _ => What::kind(property.kind),
            },
            (What::Family(origins), None) => What::Device(origins.clone()),
            (What::Map(entries), None) => entry_of(entries, name),
            (What::Kind(kind, _), None) => {
                let forms = self.properties.get(name).map_or(&[][..], Vec::as_slice);
                let form = forms.iter().find(|form| takes(form, kind));
                form.map_or(What::Unknown, |form| What::kind(&form.returns))
            }
            _ => What::Unknown,
        }
    }

    /// What a function gives, by its signature and the `#{ … }` in its documentation.
    pub fn returned(&self, name: &str, arguments: &[What]) -> What {
        match (arguments.first(), name) {
            (Some(family @ What::Family(_)), "without" | "where" | "between") => return family.clone(),
            (Some(What::Family(origin)), "downstream" | "upstream" | "nearest") if arguments.len() == 2 => {
                return What::Device(origin.clone());
            }
            (Some(device @ What::Device(_)), "next" | "previous") => return device.clone(),
            (Some(What::Family(_)), "get" | "setpoint") => return What::kind("vector"),
            (Some(What::Device(_)), "get" | "setpoint") => return What::kind("quantity"),
            (Some(What::Text(Some(word))), "family") => {
                return self.family(word).map_or(What::Unknown, |family| What::family(&family));
            }
            _ => {}
        }
        let forms = self.function(name).iter().filter(|form| form.parameters.len() == arguments.len());
        let mut forms = forms.filter(|form| {
            let fits = |(at, what): (usize, &What)| accepts(form.parameter_type(at), what);
            arguments.iter().enumerate().all(fits)
        });
        let Some(form) = forms.next() else { return What::Unknown };
        // of several the one that fits is not known, unless they agree
        if forms.any(|other| other.returns != form.returns) {
            return What::Unknown;
        }
        let entries = entries_of(form);
        if !entries.is_empty() {
            return What::Map(entries);
        }
        match What::kind(&form.returns) {
            // a response, knobs and steps remember whose they are
            What::Kind(kind, _) => What::Kind(kind, arguments.iter().flat_map(origins_kept).collect()),
            other => other,
        }
    }

    /// Whether a function writes setpoints of its first argument.
    pub fn writes(&self, name: &str) -> bool {
        self.function(name).iter().any(writes)
    }
}

/// Whether a function says that it writes setpoints.
pub fn writes(doc: &FunctionDoc) -> bool {
    let effect = doc.section("On the machine").unwrap_or_default();
    ["Writes", "Steps", "Moves", "Changes the", "Sets"].iter().any(|verb| effect.starts_with(verb))
}

/// A family is what knobs and responses are made of; where orbits are read is not written.
fn origins_kept(what: &What) -> Vec<crate::what::Origin> {
    match what {
        What::Family(origins) if origins.iter().any(|origin| !is_settable(&origin.family)) => Vec::new(),
        what => what.origins(),
    }
}

/// Whether the main field of a family can be set.
pub fn is_settable(family: &Family) -> bool {
    let field = family.devices.first().and_then(|device| device.fields.first());
    field.is_some_and(|field| field.setpoint.is_some())
}

/// The entries of the map that a function gives, as its documentation lists them.
fn entries_of(form: &FunctionDoc) -> Vec<(String, What)> {
    let entries = form.section("Returns").and_then(|text| text.strip_prefix("`#{"));
    let entries = entries.and_then(|text| text.split_once('}')).map_or("", |(inside, _)| inside);
    // get_orbit and the like: their entries are vectors
    let kind = if form.comment.contains("vectors") { What::kind("vector") } else { What::Unknown };
    let entry = |part: &str| {
        let key = part.split(':').next().unwrap_or("").trim();
        let is_name = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_name.then(|| (key.to_string(), kind.clone()))
    };
    entries.split(',').filter_map(entry).collect()
}

/// Whether the first argument of a function may be of a type.
pub fn takes(form: &FunctionDoc, kind: &str) -> bool {
    words_of(form.parameter_type(0)).any(|word| word.eq_ignore_ascii_case(kind))
}

fn words_of(parameter: &str) -> impl Iterator<Item = &str> {
    parameter.split(", ").flat_map(|part| part.split(" or "))
}

/// Types that are told apart; anything else may be anything.
const TYPES: [&str; 16] = [
    "number", "quantity", "text", "array", "map", "family", "device", "function", "boolean", "vector", "matrix",
    "model", "response", "steps", "knobs", "range",
];

/// Whether a parameter of these types can be given that value, as far as can be told.
pub(crate) fn accepts(parameter: &str, what: &What) -> bool {
    let found = what.word();
    // a percentage is a quantity for the language, and a number for who looks at its dimension
    let either = matches!(what, What::Number(unit, _) if unit.dimension().is_none() && unit.symbol() != "1");
    if !TYPES.contains(&found) || either {
        return true;
    }
    words_of(parameter).any(|word| match word.to_lowercase().as_str() {
        "integer" | "int" => found == "number",
        word => word == found || !(TYPES.contains(&word) || ["nothing", "character", "model function"].contains(&word)),
    })
}

impl Script {
    fn read(file: String, text: Arc<str>) -> Script {
        let sources = fodo_language::Sources::new();
        let engine = crate::check::parser();
        match sources.compile(&engine, &file, &text) {
            Ok(tree) => {
                let all = tree.iter_functions().map(|f| (f.name.to_string(), f.params.len())).collect();
                Script { file, text, functions: script_functions(&tree), all, mistake: None }
            }
            Err(report) => Script { file, text, functions: Vec::new(), all: BTreeSet::new(), mistake: Some(*report) },
        }
    }
}
