//! `%monitor`: values above the prompt's line.

use crate::app::App;
use crate::beside::beside;
use crate::board::board;
use crate::show;
use fodo_builtins::{Member, Members, Quiet, Vector, text};
use fodo_control::{Cancel, WriteMode};
use fodo_language::{Prompt, Silent, diagnose, run_on_script_thread};
use fodo_report::Result;
use fodo_units::Quantity;
use rhai::{AST, Dynamic, Scope};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often a value is looked for.
const PERIOD: Duration = Duration::from_secs(1);

/// How often it is looked whether the first value is wanted no longer.
const PACE: Duration = Duration::from_millis(20);

/// Characters of a value that are shown.
const SHOWN: usize = 40;

/// The file of the expression in errors.
const FILE: &str = "<monitor>";

/// An expression that is evaluated again and again, on a session that only reads.
struct Expression {
    text: String,
    app: App,
    scope: Scope<'static>,
    functions: AST,
    tree: AST,
}

/// Shows the value of an expression above the line, as it is now and every second. It sees the variables and functions of the
/// prompt as they are now.
pub fn begin(app: &App, prompt: &mut Prompt, expression: &str) -> Result<()> {
    let cancel = Cancel::new();
    let output = Arc::new(Silent);
    let beside = beside(&app.ground, &app.context, WriteMode::ReadOnly, &cancel, output, Arc::new(Quiet));
    let tree = beside.sources.compile(&beside.engine, FILE, expression)?;
    let (scope, functions) = (prompt.scope().clone(), prompt.functions().clone());
    let mut monitored = Expression { text: expression.to_string(), app: beside, scope, functions, tree };
    let (tell, first) = channel();
    std::thread::spawn(move || {
        _ = run_on_script_thread(|| {
            let begun = monitored.begin().map(|value| board().begin(&monitored.text, value));
            let number = begun.as_ref().ok().copied();
            _ = tell.send(begun.map(drop));
            let Some(number) = number else { return };
            let mut shown = true;
            while shown {
                std::thread::sleep(PERIOD);
                let value = monitored.value().map_or_else(|error| cut(&error.message), |value| short(&value));
                shown = board().show(number, value);
            }
        });
    });
    loop {
        match first.recv_timeout(PACE) {
            Ok(begun) => return begun,
            Err(RecvTimeoutError::Timeout) if app.session.cancel().is_stopped() => cancel.stop(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

impl Expression {
    /// The first value; a family or a device is read.
    fn begin(&mut self) -> Result<String> {
        let value = self.value()?;
        if !value.is::<Members>() && !value.is::<Member>() {
            return Ok(short(&value));
        }
        self.tree = self.app.sources.compile(&self.app.engine, FILE, &format!("({}).get()", self.text))?;
        self.value().map(|value| short(&value))
    }

    fn value(&mut self) -> Result<Dynamic> {
        let all = self.functions.merge(&self.tree);
        let value = self.app.engine.eval_ast_with_scope(&mut self.scope.clone(), &all);
        value.map_err(|error| diagnose(&self.app.engine, error, FILE, &self.app.sources))
    }
}

fn short(value: &Dynamic) -> String {
    let vector = value.read_lock::<Vector>();
    match vector.as_ref().map(|vector| (vector.si(), vector.unit())) {
        Some(([one], unit)) => cut(&Quantity::from_si(*one, unit.clone()).to_string()),
        _ => cut(&text(value)),
    }
}

fn cut(text: &str) -> String {
    show::cut(text.lines().next().unwrap_or_default(), SHOWN)
}
