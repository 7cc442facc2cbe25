//! Running procedures: found by name, checked, given their rights, called.

use crate::header::{Header, family_word, read_header};
use crate::named::{device, family};
use fodo_builtins::{Context, Member, Members, Task, here};
use fodo_control::{Session, Work};
use fodo_devices::Family;
use fodo_language::{
    Callback, Library, OrFail, Outcome, Parameter, ParameterKind, Sources, Value, Values, diagnose, fail,
};
use fodo_report::{Diagnostic, Kind, Label, Result};
use rhai::{AST, Array, CallFnOptions, Dynamic, Engine, FnPtr, Map, NativeCallContext, Scope};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Procedures may call each other this deep.
const DEEPEST: usize = 32;

/// A procedure ready to run.
pub struct Procedure {
    /// What it declares.
    pub header: Header,
    /// Its file.
    pub file: String,
    /// Its text.
    pub text: Arc<str>,
    tree: AST,
}

/// The procedures that can be called by name.
pub struct Procedures {
    library: Arc<dyn Library>,
    sources: Sources,
    ready: Mutex<BTreeMap<String, Arc<Procedure>>>,
    /// Procedures of libraries whose rights have been shown.
    announced: Mutex<HashSet<String>>,
}

impl Procedures {
    /// The procedures of a library; texts go to `sources`.
    pub fn new(library: Arc<dyn Library>, sources: Sources) -> Arc<Procedures> {
        Arc::new(Procedures { library, sources, ready: Mutex::default(), announced: Mutex::default() })
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.library.names()
    }

    /// Finds a procedure by name and reads its header.
    pub fn find(&self, engine: &Engine, name: &str) -> Result<Arc<Procedure>> {
        if let Some(known) = self.ready.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(known.clone());
        }
        let (file, text) = self.library.find(name, None).ok_or_else(|| self.unknown(name))?;
        let procedure = self.read(engine, &file, text)?.ok_or_else(|| {
            Diagnostic::new(Kind::Script, format!("{file} has no header `procedure(#{{ … }})`"))
                .hint("a procedure declares what it changes; a plain script is run by its path")
        })?;
        let procedure = Arc::new(procedure);
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), procedure.clone());
        Ok(procedure)
    }

    /// File and text of a procedure.
    pub fn source(&self, name: &str) -> Option<(String, Arc<str>)> {
        self.library.find(name, None)
    }

    /// Reads the procedure in a file; `None` if the script has no header.
    pub fn read(&self, engine: &Engine, file: &str, text: Arc<str>) -> Result<Option<Procedure>> {
        let tree = self.sources.compile(engine, file, &text)?;
        let Some(header) = read_header(file, &text)? else { return Ok(None) };
        if !tree.iter_functions().any(|f| f.name == "run" && f.params.len() == 1) {
            let report = Diagnostic::new(Kind::Script, "a procedure needs `fn run(p) { … }`, and this one has none");
            let report = report.label(place(file, &text, "procedure(")).hint("`p` holds its parameters");
            return Err(report.near("run", tree.iter_functions().map(|f| f.name)).into());
        }
        Ok(Some(Procedure { header, file: file.to_string(), text, tree }))
    }

    fn unknown(&self, name: &str) -> Box<Diagnostic> {
        let names = self.names();
        Diagnostic::new(Kind::Usage, format!("there is no procedure `{name}`"))
            .near(name, names.iter().map(String::as_str))
            .hint("`fodo doc` lists the procedures, by subject")
            .into()
    }

    /// Makes every procedure a function: `correct_orbit()`, `correct_orbit(#{ cutoff: 1e-3 })`.
    pub fn register(self: &Arc<Self>, engine: &mut Engine) {
        for name in self.names() {
            let (all, called) = (self.clone(), name.clone());
            let comment = self.comment(&name);
            let call = move |c: NativeCallContext, map: Map| all.call_by_name(&c, &called, &map);
            let bare = call.clone();
            rhai::FuncRegistration::new(name.as_str())
                .with_params_info(["options: map", "any"])
                .with_comments([comment.as_str()])
                .register_into_engine(engine, call);
            rhai::FuncRegistration::new(name.as_str())
                .with_params_info(["any"])
                .with_comments([comment.as_str()])
                .register_into_engine(engine, move |c: NativeCallContext| bare(c, Map::new()));
        }
    }

    /// A procedure made ready for a session beside that of `context`: found, its options checked, its families that
    /// session's own.
    ///
    /// # Errors
    /// Those of its name and options; `rights`: the run of `context`, or one beside it, works on its families.
    pub fn beside(
        &self,
        engine: &Engine,
        context: &Context,
        session: &Session,
        task: &Task,
        map: &Map,
    ) -> Result<(Arc<Procedure>, Values)> {
        let procedure = self.find(engine, task.name())?;
        let values = procedure.header.from_map(map, &name_of)?;
        procedure.check(context, &values)?;
        let changes: BTreeSet<Arc<str>> = procedure.may_change(context, &values)?.into_iter().collect();
        let reads: BTreeSet<Arc<str>> = procedure.reads(context, &values)?.into_iter().collect();
        let works_on = |family: &Arc<str>| changes.contains(family) || reads.contains(family);
        if let Some((changed, ..)) = context.session.standing().iter().find(|(changed, ..)| works_on(&changed.family)) {
            let what = format!("{} works on {}, which this run has changed", task.title(), changed.family);
            let hint = "start it in a run of its own: at the prompt, on a line of its own";
            return Err(Diagnostic::new(Kind::Rights, what).hint(hint).into());
        }
        session.claim(Work { title: task.title(), changes, reads })?;
        Ok((procedure, values))
    }

    fn comment(&self, name: &str) -> String {
        let header = self.library.find(name, None).and_then(|(file, text)| read_header(&file, &text).ok().flatten());
        let Some(header) = header else { return String::new() };
        let text = header.help();
        text.lines().map(|line| format!("/// {line}")).collect::<Vec<_>>().join("\n")
    }

    fn call_by_name(&self, context: &NativeCallContext, name: &str, map: &Map) -> Outcome<Dynamic> {
        let engine = context.engine();
        let procedure = self.find(engine, name).or_fail()?;
        let values = procedure.header.from_map(map, &name_of).or_fail()?;
        self.call(engine, &*here(context)?, &procedure, &values)
    }

    /// Shows what a procedure of another laboratory may change, before it runs for the first time in a session.
    fn announce(&self, context: &Context, procedure: &Procedure, named: &str) {
        let Some(origin) = self.library.origin(&procedure.file) else { return };
        let name = &procedure.header.name;
        if self.announced.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            context.output.print(&format!("{name} is of {origin}; it may change {named}"));
        }
    }

    /// Runs a procedure with checked values, under the rights of its header.
    pub fn call(&self, engine: &Engine, context: &Context, procedure: &Procedure, values: &Values) -> Outcome<Dynamic> {
        if context.session.nesting() >= DEEPEST {
            let report = Diagnostic::new(Kind::Script, format!("more than {DEEPEST} procedures call each other"));
            return Err(fail(report.hint("a procedure that calls itself needs a way to end").into()));
        }
        procedure.check(context, values).or_fail()?;
        let p = procedure.arguments(context, values).or_fail()?;
        let allowed: HashSet<Arc<str>> = procedure.may_change(context, values).or_fail()?.into_iter().collect();
        let named = if allowed.is_empty() { "nothing".to_string() } else { joined(&allowed) };
        let reads = procedure.reads(context, values).or_fail()?;
        let title = format!("`{}`", procedure.header.name);
        let (changes, reads) = (allowed.iter().cloned().collect(), reads.into_iter().collect());
        let work = Work { title, changes, reads };
        self.announce(context, procedure, &named);
        let Header { watchers, feedbacks, .. } = &procedure.header;
        let conditions = context.facility.conditions(watchers, feedbacks);
        let conditions = conditions.map_err(|error| procedure.in_header(*error)).or_fail()?;
        let watched = !conditions.is_empty();
        if watched {
            context.session.watch(conditions).or_fail()?;
        }
        let claimed = context.session.claim(work);
        if watched && claimed.is_err() {
            context.session.unwatch();
        }
        let first = claimed.or_fail()?;
        context.session.narrow(allowed);
        let options = CallFnOptions::new().eval_ast(false);
        let result = engine.call_fn_with_options(options, &mut Scope::new(), &procedure.tree, "run", (p,));
        context.session.widen();
        if first {
            // what it left changed is the run's: tasks that work on that do not begin
            context.session.unclaim();
        }
        if watched {
            context.session.unwatch();
        }
        let result = result.and_then(no_function).and_then(|value| {
            // who only looks at the model has measured nothing
            let Header { changes, reads, .. } = &procedure.header;
            if context.session.nesting() == 0 && !(changes.is_empty() && reads.is_empty()) {
                context.keep(&procedure.header.name, &value).or_fail()?;
            }
            Ok(value)
        });
        result.map_err(|error| {
            let mut report = diagnose(engine, error, &procedure.file, &self.sources);
            if report.kind == Kind::Rights {
                report.details.push(format!("`{}` may change {named}", procedure.header.name));
            }
            fail(report)
        })
    }
}

impl Procedure {
    /// The families a run with these values may change.
    pub fn may_change(&self, context: &Context, values: &Values) -> Result<Vec<Arc<str>>> {
        self.families(context, &self.header.changes, values)
    }

    /// An error about a word of the header, with its place.
    fn in_header(&self, error: Diagnostic) -> Box<Diagnostic> {
        let word = error.message.split('`').nth(1).unwrap_or_default().to_string();
        // a watcher is a text, a feedback a key
        let quoted = format!("\"{word}\"");
        let what = if self.text.contains(&quoted) { quoted } else { format!("{word}:") };
        error.label(place(&self.file, &self.text, &what)).into()
    }

    /// The families a run with these values reads.
    pub fn reads(&self, context: &Context, values: &Values) -> Result<Vec<Arc<str>>> {
        self.families(context, &self.header.reads, values)
    }

    /// The families of entries of the header; a default that this facility does not have is left out.
    fn families(&self, context: &Context, entries: &[String], values: &Values) -> Result<Vec<Arc<str>>> {
        let mut found: Vec<Arc<str>> = Vec::new();
        for entry in entries {
            for name in self.header.words(entry, values) {
                match self.all_meant(context, self.header.parameter(entry), &name, values) {
                    Ok(all) => {
                        let new = all.into_iter().map(|(family, _)| family.name.clone());
                        found.extend(new.filter(|name| !found.contains(name)).collect::<Vec<_>>());
                    }
                    Err(_) if self.is_optional(&name, values) => {}
                    Err(error) => return Err(self.not_there(*error, &name, values)),
                }
            }
        }
        Ok(found)
    }

    /// What a word of the header, or the value of one of its parameters, stands for: the family, and what `run` sees.
    fn meant(&self, context: &Context, parameter: Option<&Parameter>, word: &str) -> Result<(Arc<Family>, Dynamic)> {
        match parameter.filter(|parameter| parameter.kind.is_device()) {
            Some(parameter) => {
                let member = device(context, word, &self.roles(context, parameter))?;
                Ok((member.family.clone(), Dynamic::from(member)))
            }
            None => {
                let members = family(context, word)?;
                Ok((members.family.clone(), Dynamic::from(members)))
            }
        }
    }

    /// The same of a list of families, where a role stands for all families that have it; of the roles of a default, a
    /// facility has some.
    fn all_meant(
        &self,
        context: &Context,
        parameter: Option<&Parameter>,
        word: &str,
        values: &Values,
    ) -> Result<Vec<(Arc<Family>, Dynamic)>> {
        let many = parameter.filter(|p| matches!(p.kind, ParameterKind::Named { many: true, .. }));
        let (Some(parameter), Err(_)) = (many, context.facility.family(word)) else {
            return self.meant(context, parameter, word).map(|one| vec![one]);
        };
        let of_role = |role: &str| -> Vec<_> {
            let all = context.facility.families.iter().filter(|family| family.role.as_ref() == role);
            all.map(|family| (family.clone(), Dynamic::from(Members::all(family)))).collect()
        };
        let found = of_role(word);
        let others = || match &parameter.default {
            Some(Value::Named { names, .. }) => names.iter().any(|name| !of_role(name).is_empty()),
            _ => false,
        };
        match found.is_empty() && (values.is_given(&parameter.name) || !others()) {
            true => self.meant(context, Some(parameter), word).map(|one| vec![one]),
            false => Ok(found),
        }
    }

    /// The roles that a parameter may be given: those declared, or those of its default.
    fn roles(&self, context: &Context, parameter: &Parameter) -> Vec<Arc<str>> {
        match (&parameter.kind, &parameter.default) {
            (ParameterKind::Named { permitted, .. }, _) if !permitted.is_empty() => {
                permitted.iter().map(|role| role.as_str().into()).collect()
            }
            (_, Some(Value::Named { names, .. })) => {
                let of_default = names.iter().filter_map(|name| family(context, family_word(name)).ok());
                of_default.map(|members| members.family.role.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The error for a family that is not there: given as a parameter, or written in the header.
    fn not_there(&self, error: Diagnostic, name: &str, values: &Values) -> Box<Diagnostic> {
        let has = |value: Option<&Value>| matches!(value, Some(Value::Named { names, .. }) if names.iter().any(|n| n == name));
        match self.header.parameters.iter().find(|p| has(values.get(&p.name))) {
            Some(parameter) => {
                let message = format!("`{}` of `{}`: {}", parameter.name, self.header.name, error.message);
                Diagnostic { kind: Kind::Usage, message, ..error }.into()
            }
            None => error.label(place(&self.file, &self.text, &format!("\"{name}\""))).into(),
        }
    }

    /// Whether a name is the default of an optional family parameter that was not given.
    fn is_optional(&self, name: &str, values: &Values) -> bool {
        let named = |p: &&Parameter| matches!(values.get(&p.name), Some(Value::Named { names, .. }) if names.iter().any(|n| n == name));
        self.header.parameters.iter().filter(named).any(|p| p.optional && !values.is_given(&p.name))
    }

    fn check(&self, context: &Context, values: &Values) -> Result<()> {
        let roles = |parameter: &Parameter, word: &str| {
            let found = self.meant(context, Some(parameter), word);
            found.ok().map(|(family, _)| vec![family.role.to_string()])
        };
        self.header.check_roles(values, &roles)
    }

    /// The map that `fn run(p)` sees: families and devices by name become families and devices.
    fn arguments(&self, context: &Context, values: &Values) -> Result<Map> {
        let mut map = values.to_map();
        for (name, value) in values.iter() {
            let parameter = self.header.parameter(name);
            let many = matches!(parameter.map(|p| &p.kind), Some(ParameterKind::Named { many: true, .. }));
            let families = match value {
                Value::Named { names, given: None } => names,
                _ => continue,
            };
            let find = |n: &String| match self.all_meant(context, parameter, n, values) {
                Ok(all) => Ok(all.into_iter().map(|(_, found)| found).collect()),
                Err(_) if self.is_optional(n, values) => Ok(if many { Vec::new() } else { vec![Dynamic::UNIT] }),
                Err(error) => Err(Diagnostic { kind: Kind::Script, ..*self.not_there(*error, n, values) }.into()),
            };
            let found = families.iter().map(find).collect::<Result<Vec<Vec<Dynamic>>>>()?.concat();
            let argument = match found.as_slice() {
                [one] if !many => one.clone(),
                _ => found.into(),
            };
            map.insert(name.into(), argument);
        }
        Ok(map)
    }
}

/// The name of a family or device given as a parameter.
fn name_of(what: &str, value: &Dynamic) -> Option<String> {
    match what {
        "device" => value.read_lock::<Member>().map(|member| member.device.shown()),
        _ => value.read_lock::<Members>().map(|members| members.family.name.to_string()),
    }
}

/// What a procedure returns holds no function: it would run with the rights of whoever calls it.
fn no_function(value: Dynamic) -> Outcome<Dynamic> {
    fn holds(value: &Dynamic) -> bool {
        value.is::<FnPtr>()
            || value.is::<Callback>()
            || value.read_lock::<Array>().is_some_and(|array| array.iter().any(holds))
            || value.read_lock::<Map>().is_some_and(|map| map.values().any(holds))
    }
    if holds(&value) {
        let report = Diagnostic::new(Kind::Rights, "a procedure may not return a function");
        return Err(fail(report.hint("it would run with the rights of whoever calls it: return values").into()));
    }
    Ok(value)
}

fn joined(names: &HashSet<Arc<str>>) -> String {
    let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names.join(", ")
}

/// Where a piece of text first stands.
fn place(file: &str, text: &str, what: &str) -> Label {
    let start = text.find(what).unwrap_or(0);
    Label::at_bytes(file, text, start..start + what.len())
}
