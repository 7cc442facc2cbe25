//! Results kept for later, under a name and a time.

mod codec;

use crate::context::{Context, here};
use crate::families::document;
use crate::orbit::GOLDEN_ORBIT;
use fodo_control::Time;
use fodo_language::{Options, OrFail, Outcome, fail};
use fodo_records::KeptResult;
use fodo_report::{Diagnostic, Kind};
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

impl Context {
    /// Keeps what a procedure returned, where results are kept of themselves; a value that means nothing later is not.
    ///
    /// # Errors
    /// `storage`: the disk.
    pub fn keep(&self, procedure: &str, value: &Dynamic) -> fodo_report::Result<()> {
        let Some(results) = self.results().ok().filter(|_| self.keeps_results() && !value.is_unit()) else {
            return Ok(());
        };
        match codec::encode(value) {
            Ok(value) => results.save(&self.result(procedure, value), false).map(drop),
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn result(&self, name: &str, value: serde_json::Value) -> KeptResult {
        KeptResult {
            name: name.into(),
            id: String::new(),
            facility: self.facility.name.to_string(),
            machine: self.machine_word().into(),
            operator: fodo_control::user(),
            time: Time::wall().seconds(),
            version: env!("CARGO_PKG_VERSION").into(),
            value,
        }
    }

    /// `twin` where the machine is the twin of this program, else `live`.
    pub fn machine_word(&self) -> &'static str {
        if self.is_twin() { "twin" } else { "live" }
    }
}

fn save(context: &Context, name: &str, value: &Dynamic, options: &Map) -> Outcome<String> {
    let options = save_options().read(options)?;
    if name == GOLDEN_ORBIT {
        let report =
            Diagnostic::new(Kind::Script, format!("\"{name}\" is the golden orbit, and nothing else is kept there"));
        return Err(fail(report.hint("`set_golden_orbit(BPM, x, y)` changes it").into()));
    }
    let result = context.result(name, codec::encode(value)?);
    context.results().or_fail()?.save(&result, options.flag("replace")).or_fail()
}

fn load(context: &Context, what: &str) -> Outcome<Map> {
    let result = context.results().or_fail()?.load(what, context.machine_word()).or_fail()?;
    let mut map = card(&result);
    map.insert("value".into(), codec::decode(&result.value, &context.facility)?);
    Ok(map)
}

fn card(result: &KeptResult) -> Map {
    let texts = [
        ("name", result.name.clone()),
        ("id", result.id.clone()),
        ("time", Time((result.time * 1e9) as i64).utc()),
        ("machine", result.machine.clone()),
        ("operator", result.operator.clone()),
    ];
    texts.into_iter().map(|(key, text)| (key.into(), text.into())).collect()
}

fn list(context: &Context, name: Option<&str>) -> Outcome<Array> {
    let all = context.results().or_fail()?.list(name);
    Ok(all.iter().map(|result| Dynamic::from(card(result))).collect())
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    vec![save_options()]
}

fn save_options() -> Options {
    Options::new("save_result").flag("replace").default(false).help("`true` removes the older ones of that name")
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "save_result",
        ["name: text", "value: any", "text"],
        "/// Keeps a value under a name, beside the older ones of that name.\n///\n\
         /// Numbers, quantities, vectors, matrices, tables, families, responses, steps, models, texts, and arrays and maps of these, to the last bit. What a\n\
         /// procedure that reads or changes something returns is kept of itself under its name.\n///\n\
         /// # Parameters\n/// - `name`: letters, digits, `_`, `-`, `.`.\n/// - `value`: what is to be kept.\n///\n\
         /// # Returns\n/// The id, which `load_result` finds it by for ever.\n///\n\
         /// # Errors\n/// - `script`: a name that no file can have, or that of the golden orbit; a value that means nothing later, such as a task.\n\
         /// - `storage`: the file could not be written.\n///\n\
         /// # Example\n/// ```rhai\n/// save_result(\"tunes\", TUNE.get());\n/// ```",
        |c: NativeCallContext, name: &str, value: Dynamic| save(&*here(&c)?, name, &value, &Map::new())
    );
    document!(
        engine,
        "save_result",
        ["name: text", "value: any", "options: map", "text"],
        "/// The same in place of the older ones of that name.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// The id.\n///\n\
         /// # Errors\n/// As without options.\n///\n\
         /// # Example\n/// ```rhai\n/// save_result(\"last_orbit\", get_orbit(), #{ replace: true });\n/// ```",
        save_options(),
        |c: NativeCallContext, name: &str, value: Dynamic, options: Map| save(&*here(&c)?, name, &value, &options)
    );
    document!(
        engine,
        "load_result",
        ["what: text", "map"],
        "/// Gives a result back: the newest of a name that was taken on this machine, or that of an id.\n///\n\
         /// # Parameters\n/// - `what`: a name (of a procedure, or as given to `save_result`), or an id.\n///\n\
         /// # Returns\n/// `#{ name, id, time, machine, operator, value }`: when it was kept (UTC), on `twin` or `live`, by whom, and the value.\n///\n\
         /// # Errors\n/// - `script`: there is none; it names a device that the facility does not have any more.\n\
         /// - `storage`: the file could not be read.\n///\n\
         /// # Example\n/// ```rhai\n/// save_result(\"orbit\", get_orbit().x);\n/// assert(load_result(\"orbit\").value.len == BPM.len);\n/// ```",
        |c: NativeCallContext, what: &str| load(&*here(&c)?, what)
    );
    document!(
        engine,
        "results",
        ["array"],
        "/// Lists the results that are kept of this facility, oldest first.\n///\n\
         /// # Returns\n/// An array of `#{ name, id, time, machine, operator }`; times in UTC.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// save_result(\"current\", 1.5);\n/// assert(results().some(|one| one.name == \"current\"));\n/// ```",
        |c: NativeCallContext| list(&*here(&c)?, None)
    );
    document!(
        engine,
        "results",
        ["name: text", "array"],
        "/// Lists the results of one name, oldest first.\n///\n\
         /// # Parameters\n/// - `name`: of a procedure, or as given to `save_result`.\n///\n\
         /// # Returns\n/// As `results()`.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(results(\"never_measured\").is_empty());\n/// ```",
        |c: NativeCallContext, name: &str| list(&*here(&c)?, Some(name))
    );
}
