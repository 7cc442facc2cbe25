//! The engine: limits, stop, print.

use fodo_report::{Diagnostic, Kind};
use rhai::{Dynamic, Engine, OptimizationLevel};
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
}

impl Default for Setup {
    fn default() -> Self {
        Setup { stopped: Arc::new(|| false), output: Arc::new(Silent), max_operations: 0 }
    }
}

/// Functions may call each other this deep on the script thread.
const CALL_DEPTH: usize = 1000;

/// An engine with Fodo's limits, numbers and callbacks; builtins are registered into it.
pub fn engine(setup: Setup) -> Engine {
    let mut engine = Engine::new();
    engine
        .set_optimization_level(OptimizationLevel::Simple)
        .set_max_call_levels(CALL_DEPTH)
        .set_max_expr_depths(256, 128)
        .set_max_operations(setup.max_operations)
        .set_max_string_size(16_000_000)
        .set_max_array_size(10_000_000)
        .set_max_map_size(1_000_000)
        .set_max_variables(10_000)
        .set_max_modules(1_000)
        .set_fail_on_invalid_map_property(true)
        .disable_symbol("eval")
        .disable_symbol("sleep");
    let stopped = setup.stopped;
    engine.on_progress(move |_| stopped().then(|| Dynamic::from("stopped")));
    let output = setup.output.clone();
    engine.on_print(move |text| output.print(text));
    let output = setup.output;
    engine.on_debug(move |text, file, place| output.debug(text, file, place.line()));
    engine.set_module_resolver(rhai::module_resolvers::DummyModuleResolver::new());
    crate::numbers::register(&mut engine);
    crate::callback::register(&mut engine);
    crate::fail::register(&mut engine);
    engine
}

/// Runs `work` on a thread with the stack that deep scripts need, and waits for it.
pub fn run_on_script_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Box<Diagnostic>> {
    const STACK: usize = 64 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("script".into()).stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread
            .map_err(|e| Box::new(Diagnostic::new(Kind::Internal, format!("no thread could be started: {e}"))))?;
        thread.join().map_err(|panic| {
            let text = panic.downcast_ref::<&str>().map(|t| (*t).to_string());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Box::new(
                Diagnostic::new(Kind::Internal, format!("Fodo made a mistake: {text}"))
                    .hint("please report it with the script that led to it"),
            )
        })
    })
}
