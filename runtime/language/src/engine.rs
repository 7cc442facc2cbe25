//! The engine: limits, stop, print.

use crate::fail::payload;
use crate::stack;
use fodo_report::{Diagnostic, Kind};
use rhai::{Dynamic, Engine, OptimizationLevel};
use std::any::Any;
use std::sync::Arc;

/// Where `print` and `debug` of scripts go.
pub trait Output: Send + Sync {
    /// A line printed by the script.
    fn print(&self, text: &str);

    /// A line of `debug(…)` with its file and line.
    fn debug(&self, text: &str, file: Option<&str>, line: Option<usize>) {
        match (file, line) {
            (Some(file), Some(line)) => self.print(&format!("{file}:{line}: {text}")),
            _ => self.print(text),
        }
    }
}

/// Drops what scripts print.
pub struct Silent;

impl Output for Silent {
    fn print(&self, _text: &str) {}
}

/// What an engine is made with.
pub struct Setup {
    /// Asked between operations; once true, the script ends and cannot catch it.
    pub stopped: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Where printing goes.
    pub output: Arc<dyn Output>,
    /// Operations after which a script is ended; 0 for no limit.
    pub max_operations: u64,
    /// Memory that a script may take.
    pub memory: Option<Memory>,
}

/// A bound on memory, and who counts it.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Bytes that may be held.
    pub most: usize,
    /// Bytes held now.
    pub held: fn() -> usize,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { stopped: Arc::new(|| false), output: Arc::new(Silent), max_operations: 0, memory: None }
    }
}

/// Functions may call each other this deep on the script thread.
const CALL_DEPTH: usize = 1000;

/// Bytes of one text; of all texts in one array or map.
const LONGEST_TEXT: usize = 16_000_000;

/// Entries of one array or map, those inside it included.
const MOST_ENTRIES: usize = 1_000_000;

/// What a script is told whose text, array or map has outgrown what Rhai calls `what`.
pub(crate) fn outgrown(what: &str) -> Diagnostic {
    let script = |message: String| Diagnostic::new(Kind::Script, message);
    match what {
        "Length of string" => script(format!("a text has become longer than {} MB", LONGEST_TEXT / 1_000_000)),
        _ => script(format!("an array or map has become larger than {MOST_ENTRIES} entries"))
            .hint("many numbers belong in a vector: `vector(array)`, `fill(count, 0.0)`, `concat(a, b)`"),
    }
}

/// An engine with Fodo's limits, numbers and callbacks; builtins are registered into it.
pub fn engine(setup: Setup) -> Engine {
    let mut engine = Engine::new();
    engine
        // without it, closures would not see the constants of all scripts
        .set_optimization_level(OptimizationLevel::Simple)
        .set_max_call_levels(CALL_DEPTH)
        .set_max_expr_depths(256, 128)
        .set_max_operations(setup.max_operations)
        .set_max_string_size(LONGEST_TEXT)
        .set_max_array_size(MOST_ENTRIES)
        .set_max_map_size(MOST_ENTRIES)
        .set_max_variables(10_000)
        .set_max_modules(1_000)
        .set_fail_on_invalid_map_property(true)
        .disable_symbol("eval")
        .disable_symbol("sleep");
    let (stopped, memory) = (setup.stopped, setup.memory);
    engine.on_progress(move |_| match memory {
        _ if stopped() => Some(Dynamic::from("stopped")),
        _ if stack::is_low() => Some(payload(too_deep())),
        Some(memory) if (memory.held)() > memory.most => Some(payload(too_large(memory.most))),
        _ => None,
    });
    let output = setup.output.clone();
    engine.on_print(move |text| output.print(text));
    let output = setup.output;
    engine.on_debug(move |text, file, place| output.debug(text, file, place.line()));
    engine.set_module_resolver(rhai::module_resolvers::DummyModuleResolver::new());
    crate::numbers::register(&mut engine);
    crate::arrays::register(&mut engine);
    crate::callback::register(&mut engine);
    crate::fail::register(&mut engine);
    crate::asserted::register(&mut engine);
    engine
}

/// What a script is told whose functions call each other too deeply.
pub(crate) fn too_deep() -> Diagnostic {
    Diagnostic::new(Kind::Script, "functions call each other too deeply")
        .hint("a function that calls itself needs a way to end")
}

fn too_large(most: usize) -> Diagnostic {
    let most = most as f64 / 1e9;
    Diagnostic::new(Kind::Limits, format!("the script holds more than {most} GB, which is all it may"))
        .hint("keep less of what was measured, or start with a larger --max-memory")
}

/// Runs `work` on a thread with the stack that deep scripts need, and waits for it.
pub fn run_on_script_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Box<Diagnostic>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("script".into()).stack_size(stack::SIZE);
        let thread = thread.spawn_scoped(scope, || {
            stack::begin();
            work()
        });
        let thread = thread
            .map_err(|e| Box::new(Diagnostic::new(Kind::Internal, format!("no thread could be started: {e}"))))?;
        thread.join().map_err(panicked)
    })
}

/// What is told of a panic.
#[allow(clippy::needless_pass_by_value)] // as threads and `catch_unwind` give it
pub fn panicked(panic: Box<dyn Any + Send>) -> Box<Diagnostic> {
    let text = panic.downcast_ref::<&str>().map(|t| (*t).to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    let report = Diagnostic::new(Kind::Internal, format!("Fodo made a mistake: {text}"));
    report.hint("please report it with the script that led to it").into()
}
