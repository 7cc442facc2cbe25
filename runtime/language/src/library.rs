//! `import "name"`: scripts found through a search path of virtual files, never by a path on disk.

use crate::Sources;
use fodo_report::{Diagnostic, Kind};
use rhai::{Engine, EvalAltResult, GlobalRuntimeState, Module, ModuleResolver, Position, Scope, Shared};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A place where scripts are found by name: a folder, the files inside the program.
pub trait Library: Send + Sync {
    /// Path and text of the script `name` (as written after `import`, without `.rhai`), asked for by the file `from`.
    fn find(&self, name: &str, from: Option<&str>) -> Option<(String, Arc<str>)>;

    /// The library of another laboratory that a file is of, in words; none for what is the facility's or Fodo's own.
    fn origin(&self, _file: &str) -> Option<String> {
        None
    }

    /// The names it has, for near matches and completion.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Finds imports in an ordered list of libraries; the first that has the name wins.
pub struct Resolver {
    libraries: Vec<Arc<dyn Library>>,
    sources: Sources,
    loaded: Mutex<BTreeMap<String, Option<Shared<Module>>>>,
}

impl Resolver {
    /// A resolver over `libraries`; texts of what it loads go to `sources`.
    pub fn new(libraries: Vec<Arc<dyn Library>>, sources: Sources) -> Resolver {
        sources.offer(&libraries);
        Resolver { libraries, sources, loaded: Mutex::default() }
    }

    fn load(
        &self,
        engine: &Engine,
        name: &str,
        from: Option<&str>,
        at: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let name = name.strip_suffix(".rhai").unwrap_or(name);
        if leads_out(name) {
            let report = Diagnostic::new(Kind::Rights, format!("`{name}` leads out of the library, and an import stays in it"))
                .hint("an import is a name, without `.rhai`: a file of the same library, `LIBRARY/FILE`, or one of the standard library");
            return Err(positioned(crate::fail(Box::new(report)), at));
        }
        let found = self.libraries.iter().find_map(|library| library.find(name, from));
        let (path, text) = found.ok_or_else(|| self.unknown(name, at))?;
        let lock = || self.loaded.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match lock().get(&path) {
            Some(Some(module)) => return Ok(module.clone()),
            Some(None) => {
                let message = format!("`{path}` imports itself, directly or through others");
                return Err(positioned(crate::fail(Box::new(Diagnostic::new(Kind::Script, message))), at));
            }
            None => {}
        }
        lock().insert(path.clone(), None);
        let module = self.evaluate(engine, &path, &text);
        let loaded = module.map_err(|error| EvalAltResult::ErrorInModule(path.clone(), error, at));
        match loaded {
            Ok(module) => {
                lock().insert(path, Some(module.clone()));
                Ok(module)
            }
            Err(error) => {
                lock().remove(&path);
                Err(error.into())
            }
        }
    }

    fn evaluate(&self, engine: &Engine, path: &str, text: &str) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let tree = self.sources.parse(engine, path, text)?;
        self.sources.sound(path, &tree).map_err(crate::fail)?;
        Module::eval_ast_as_new(Scope::new(), &tree, engine).map(Shared::from)
    }

    fn unknown(&self, name: &str, at: Position) -> Box<EvalAltResult> {
        let names: Vec<String> = self.libraries.iter().flat_map(|library| library.names()).collect();
        let report = Diagnostic::new(Kind::Script, format!("there is no script `{name}` to import"))
            .near(name, names.iter().map(String::as_str));
        positioned(crate::fail(Box::new(report)), at)
    }
}

/// Whether a name would be a path to somewhere else on disk.
fn leads_out(name: &str) -> bool {
    name.contains(['\\', ':']) || name.split('/').any(|part| part.is_empty() || part.starts_with('.'))
}

fn positioned(mut error: Box<EvalAltResult>, at: Position) -> Box<EvalAltResult> {
    error.set_position(at);
    error
}

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        at: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        self.load(engine, path, source, at)
    }

    /// The innermost library is where the import stands; its tree knows its file. (Rhai itself gives the file of the
    /// script that runs, also for an import inside a function of another file.)
    fn resolve_raw(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        _scope: &mut Scope,
        path: &str,
        at: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let home = global.lib.last().and_then(|module| module.id()).or_else(|| global.source());
        self.load(engine, path, home, at)
    }
}
