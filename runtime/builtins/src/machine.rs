//! The session as scripts see it: undo, history, savepoints, waiting.

use crate::context::{Context, here};
use crate::families::document;
use fodo_control::Committed;
use fodo_language::{Callback, OrFail, Outcome, script_error};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use std::time::Duration;

/// The table of a committed run, as undo shows it.
fn table(run: &Committed, backwards: bool) -> String {
    const SHOWN: usize = 12;
    let mut lines = vec![format!("{}: {}", run.title, count(run.changes.len()))];
    for (setpoint, before, after) in run.changes.iter().take(SHOWN) {
        let (from, to) = if backwards { (after, before) } else { (before, after) };
        lines.push(format!("  {:<28} {} -> {}", setpoint.name, setpoint.shown(*from), setpoint.shown(*to)));
    }
    if run.changes.len() > SHOWN {
        lines.push(format!("  … and {} more", run.changes.len() - SHOWN));
    }
    lines.join("\n")
}

fn undo(context: &Context) -> Outcome<String> {
    let last = context.session.undoable();
    if let Some(last) = &last {
        context.output.print(&format!("undo {}", table(last, true)));
    }
    let putback = context.session.undo().or_fail()?;
    Ok(match (putback.complete(), last) {
        (true, Some(last)) => format!("back to before {}: {}", last.title, count(putback.restored)),
        _ => putback.to_string(),
    })
}

fn count(setpoints: usize) -> String {
    if setpoints == 1 { "1 setpoint".to_string() } else { format!("{setpoints} setpoints") }
}

fn redo(context: &Context) -> Outcome<String> {
    if let Some(last) = context.session.redoable() {
        context.output.print(&format!("redo {}", table(&last, false)));
    }
    let putback = context.session.redo().or_fail()?;
    Ok(match putback.complete() {
        true => format!("set again: {}", count(putback.restored)),
        false => putback.to_string(),
    })
}

fn history(context: &Context) -> Array {
    let entry = |run: Committed| {
        let mut map = Map::new();
        map.insert("title".into(), run.title.clone().into());
        map.insert("setpoints".into(), (run.changes.len() as i64).into());
        Dynamic::from(map)
    };
    context.session.history().into_iter().map(entry).collect()
}

fn with_restore(context: &NativeCallContext, work: Dynamic) -> Outcome<Dynamic> {
    let work = Callback::from_dynamic(context, work, "the work")?;
    let here = here(context)?;
    let savepoint = here.session.savepoint();
    let result = work.call(context, ());
    let putback = here.session.restore_to(savepoint);
    match (result, putback.complete()) {
        (Ok(value), true) => Ok(value),
        (Ok(_), false) => {
            let report = Diagnostic::new(Kind::Machine, "not everything could be put back").detail(putback.to_string());
            Err(fodo_language::fail(report.into()))
        }
        (Err(error), _) => Err(error),
    }
}

fn wait(context: &Context, time: &Quantity) -> Outcome<()> {
    let seconds = time.to(&Unit::parse("s").or_fail()?).or_fail()?;
    if !(0.0..=1e6).contains(&seconds) {
        return Err(script_error(format!("{time} cannot be waited for")));
    }
    let stopped = |_| fodo_language::fail(Diagnostic::new(Kind::Stopped, "stopped by the operator").into());
    context.session.backend().wait(Duration::from_secs_f64(seconds), context.cancel()).map_err(stopped)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "undo",
        ["text"],
        "/// Puts back what the last run or line of this session changed, and shows it.\n///\n\
         /// A setpoint that somebody else has moved since is left alone and named.\n///\n\
         /// # Returns\n/// What was done, as a text.\n///\n\
         /// # On the machine\n/// Writes the old setpoints.\n///\n\
         /// # Errors\n/// - `script`: there is nothing to undo.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// undo();\n/// ```",
        |c: NativeCallContext| undo(&*here(&c)?)
    );
    document!(
        engine,
        "redo",
        ["text"],
        "/// Sets again what the last `undo()` put back.\n///\n\
         /// # Returns\n/// What was done, as a text.\n///\n\
         /// # On the machine\n/// Writes setpoints.\n///\n\
         /// # Errors\n/// - `script`: there is nothing to redo.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// redo();\n/// ```",
        |c: NativeCallContext| redo(&*here(&c)?)
    );
    document!(
        engine,
        "history",
        ["array"],
        "/// Lists what this session has changed, oldest first.\n///\n\
         /// # Returns\n/// An array of `#{ title, setpoints }`: what ran, and how many setpoints it changed [1].\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(history().len == 0);\n/// ```",
        |c: NativeCallContext| here(&c).map(|context| history(&context))
    );
    document!(
        engine,
        "with_restore",
        ["work: function", "any"],
        "/// Does some work and puts every setpoint back that it changed.\n///\n\
         /// # Parameters\n/// - `work`: a function without arguments.\n///\n\
         /// # Returns\n/// What the work returns.\n///\n\
         /// # On the machine\n/// Puts back on success and on error.\n///\n\
         /// # Errors\n/// Those of the work; `machine` if something could not be put back.\n///\n\
         /// # Example\n/// ```rhai\n/// let orbit = with_restore(|| { HCOR[0].step(5.0 * urad); get_orbit() });\n/// ```",
        |c: NativeCallContext, work: Dynamic| with_restore(&c, work)
    );
    document!(
        engine,
        "wait",
        ["time: quantity", "()"],
        "/// Lets time pass on the machine's clock; virtual time on the twin.\n///\n\
         /// # Parameters\n/// - `time`: how long [s].\n///\n\
         /// # On the machine\n/// Changes nothing.\n///\n\
         /// # Errors\n/// - `script`: not a time.\n///\n\
         /// # Example\n/// ```rhai\n/// wait(1.0 * s);\n/// ```",
        |c: NativeCallContext, time: Quantity| wait(&*here(&c)?, &time)
    );
}
