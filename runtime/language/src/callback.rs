//! Functions of a script that are called later, by somebody else.
//!
//! Rhai resolves the names inside a callback in the library that calls it. A [`Callback`] keeps the
//! functions, imports and constants of the place it was made at and runs there.

use crate::{Outcome, fail, script_error, type_word};
use fodo_report::{Diagnostic, Kind};
use rhai::{
    Dynamic, EncapsulatedEnviron, Engine, FnPtr, FuncArgs, FuncRegistration, ImmutableString, NativeCallContext,
};
use rhai::{GlobalRuntimeState, Position};
use std::sync::Arc;

/// A script function together with its home.
#[derive(Clone)]
pub struct Callback {
    function: FnPtr,
    home: Arc<Home>,
}

/// Parameters of a callback, captured variables among them.
const MOST_PARAMETERS: usize = 16;

struct Home {
    environment: EncapsulatedEnviron,
    source: Option<ImmutableString>,
}

impl Callback {
    /// A callback whose home is where `context` was called.
    pub fn new(context: &NativeCallContext, function: FnPtr) -> Callback {
        let state = context.global_runtime_state();
        let mut environment = EncapsulatedEnviron::from(state);
        // a plain function that was handed on belongs to the innermost library that has it, not to the one it is in
        let has = |library: &rhai::Shared<rhai::Module>| {
            (0..MOST_PARAMETERS).any(|count| library.get_script_fn(function.fn_name(), count).is_some())
        };
        if let Some(home) = environment.lib.iter().rposition(has) {
            environment.lib.truncate(home + 1);
        }
        // the innermost library is where the call stands; its tree knows its file
        let source = environment.lib.last().and_then(|m| m.id()).map(ImmutableString::from);
        Callback { function, home: Arc::new(Home { environment, source: source.or_else(|| state.source.clone()) }) }
    }

    /// The callback in an argument: one made by `bind`, or a raw function, bound here.
    pub fn from_dynamic(context: &NativeCallContext, value: Dynamic, what: &str) -> Outcome<Callback> {
        if let Some(callback) = value.read_lock::<Callback>() {
            return Ok(callback.clone());
        }
        let word = type_word(value.type_name());
        value.try_cast::<FnPtr>().map(|function| Callback::new(context, function)).ok_or_else(|| {
            let wrong =
                Diagnostic::new(Kind::Script, format!("{what} must be a function, found {}", crate::article(&word)));
            fail(Box::new(wrong.hint("write a function as `|x| …`, or take one by name with `Fn(\"name\")`")))
        })
    }

    /// Name of the function; a closure has a made-up one.
    pub fn name(&self) -> &str {
        self.function.fn_name()
    }

    /// Calls it from inside another call: depth, operations and tag go on.
    pub fn call(&self, context: &NativeCallContext, arguments: impl FuncArgs) -> Outcome<Dynamic> {
        let mut state = context.global_runtime_state().clone();
        state.truncate_imports(0);
        if state.level >= context.engine().max_call_levels() {
            return Err(rhai::EvalAltResult::ErrorStackOverflow(context.call_position()).into());
        }
        self.run(context.engine(), state, context.call_position(), arguments)
    }

    /// Calls it from the program or another thread.
    pub fn call_with(&self, engine: &Engine, arguments: impl FuncArgs) -> Outcome<Dynamic> {
        self.run(engine, engine.new_global_runtime_state(), Position::NONE, arguments)
    }

    fn run(
        &self,
        engine: &Engine,
        mut state: GlobalRuntimeState,
        at: Position,
        arguments: impl FuncArgs,
    ) -> Outcome<Dynamic> {
        state.level += 1;
        state.lib = self.home.environment.lib.clone();
        state.constants = self.home.environment.constants.clone();
        state.source = self.home.source.clone();
        for (name, module) in &self.home.environment.imports {
            state.push_import(name.clone(), module.clone());
        }
        let context = NativeCallContext::new_with_all_fields(engine, self.function.fn_name(), None, &state, at);
        self.function.call_within_context(&context, arguments)
    }
}

/// `bind(f)` and `callback.invoke(…)`.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Callback>("callback");
    FuncRegistration::new("bind")
        .with_params_info(["function: function", "callback"])
        .with_comments(["/// Makes a function that keeps its home, to be handed to a library.\n///\n\
             /// A plain function handed to a library would look up the names it uses there. A callback uses the\n\
             /// functions, imports and constants of the file it was made in.\n///\n\
             /// # Parameters\n/// - `function`: a closure `|x| …` or `Fn(\"name\")`.\n///\n\
             /// # Returns\n/// A callback; the library calls it with `invoke(…)`.\n///\n\
             /// # Errors\n/// None.\n///\n\
             /// # Example\n/// ```rhai\n/// let double = bind(|x| 2 * x);\n/// assert(double.invoke(4) == 8);\n/// ```"])
        .register_into_engine(engine, |context: NativeCallContext, function: FnPtr| Callback::new(&context, function));
    engine.register_fn("bind", |callback: Callback| callback);
    engine.register_fn("to_string", |_: &mut Callback| "callback".to_string());
    engine.register_fn("to_debug", |_: &mut Callback| "callback".to_string());
    invoke(engine);
    engine.register_fn("bind", |other: Dynamic| -> Outcome<Callback> {
        let word = crate::article(&type_word(other.type_name()));
        Err(script_error(format!("`bind` takes a function, found {word}")))
    });
}

/// `callback.invoke(…)` with no argument to three.
fn invoke(engine: &mut Engine) {
    let named = |parameters: &[&'static str], comment: &'static str| {
        let info: Vec<&str> = ["callback: callback"].iter().chain(parameters).chain(&["any"]).copied().collect();
        FuncRegistration::new("invoke").with_params_info(info).with_comments([comment])
    };
    named(
        &[],
        "/// Calls a function that a script has handed over; what a library does with a callback.\n///\n\
         /// # Returns\n/// What the function returns.\n///\n\
         /// # Errors\n/// Those of the function.\n///\n\
         /// # Example\n/// ```rhai\n/// let sum = bind(|a, b| a + b);\n/// assert(sum.invoke(1, 2) == 3);\n/// ```",
    )
    .register_into_engine(engine, |c: NativeCallContext, f: &mut Callback| f.clone().call(&c, ()));
    named(&["first: any"], "/// Calls a function with one argument.")
        .register_into_engine(engine, |c: NativeCallContext, f: &mut Callback, a: Dynamic| f.clone().call(&c, (a,)));
    named(&["first: any", "second: any"], "/// Calls a function with two arguments.")
        .register_into_engine(engine, |c: NativeCallContext, f: &mut Callback, a: Dynamic, b: Dynamic| {
            f.clone().call(&c, (a, b))
        });
    named(&["first: any", "second: any", "third: any"], "/// Calls a function with three arguments.")
        .register_into_engine(engine, |c: NativeCallContext, f: &mut Callback, a: Dynamic, b: Dynamic, d: Dynamic| {
            f.clone().call(&c, (a, b, d))
        });
}
