//! The session as scripts see it: undo, history, marks, savepoints, rehearsal, waiting.

use crate::context::{Context, here};
use crate::families::document;
use crate::orbit::changes;
use fodo_control::{Committed, Putback, Standing, Time, WriteMode, off_branch};
use fodo_language::{Callback, OrFail, Outcome, script_error};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FuncRegistration, Map, NativeCallContext};
use std::time::Duration;

/// Changes as a table under their count, as they are shown before they are made.
pub fn table(title: &str, changes: &[Standing], backwards: bool) -> String {
    const SHOWN: usize = 12;
    let mut lines = vec![format!("{title}: {}", count(changes.len()))];
    for (setpoint, before, after) in changes.iter().take(SHOWN) {
        let (from, to) = if backwards { (after, before) } else { (before, after) };
        lines.push(format!("  {:<28} {} -> {}", setpoint.name, setpoint.shown(*from), setpoint.shown(*to)));
    }
    if changes.len() > SHOWN {
        lines.push(format!("  … and {} more", changes.len() - SHOWN));
    }
    lines.join("\n")
}

fn undo(context: &Context) -> Outcome<String> {
    let last = context.session.undoable();
    if let Some(last) = &last {
        context.output.print(&table(&format!("undo {}", last.title), &last.changes, true));
    }
    let putback = context.session.undo().or_fail()?;
    Ok(match (putback.complete(), last) {
        (true, Some(last)) => back(format!("back to before {}: {}", last.title, count(putback.restored)), &putback),
        _ => putback.to_string(),
    })
}

/// What is told of setpoints that are back; with the magnets whose fields are not.
fn back(told: String, putback: &Putback) -> String {
    match off_branch(&putback.off_branch) {
        None => told,
        Some(off) => format!("{told}; magnets are {off}"),
    }
}

pub fn count(setpoints: usize) -> String {
    if setpoints == 1 { "1 setpoint".to_string() } else { format!("{setpoints} setpoints") }
}

fn redo(context: &Context) -> Outcome<String> {
    if let Some(last) = context.session.redoable() {
        context.output.print(&table(&format!("redo {}", last.title), &last.changes, false));
    }
    let putback = context.session.redo().or_fail()?;
    Ok(match putback.complete() {
        true => back(format!("set again: {}", count(putback.restored)), &putback),
        false => putback.to_string(),
    })
}

fn revert(context: &Context, name: &str) -> Outcome<String> {
    let since = context.session.since(name).or_fail()?;
    if since.is_empty() {
        return Ok(format!("nothing was changed since the mark \"{name}\""));
    }
    context.output.print(&table(&format!("back to the mark \"{name}\""), &since, true));
    let putback = context.session.revert(name).or_fail()?;
    Ok(match putback.complete() {
        true => back(format!("back at the mark \"{name}\": {}", count(putback.restored)), &putback),
        false => putback.to_string(),
    })
}

fn rehearse(context: &NativeCallContext, work: Dynamic) -> Outcome<Map> {
    let work = Callback::from_dynamic(context, work, "the work")?;
    let here = here(context)?;
    let (result, standing) = here.session.rehearse(|| work.call(context, ()));
    let result = result?;
    here.output.print(&table("rehearsal, nothing was written; would change", &standing, false));
    Ok(Map::from([("result".into(), result), ("changes".into(), changes(&here, &standing).into())]))
}

fn history(context: &Context) -> Array {
    let entry = |run: Committed| {
        let mut map = Map::new();
        map.insert("title".into(), run.title.clone().into());
        map.insert("time".into(), Time((run.start * 1e3) as i64 * 1_000_000).utc().into());
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
    let back = here.session.return_to(savepoint, "not everything could be put back").or_fail();
    result.and_then(|value| back.map(|()| value))
}

fn wait(context: &Context, time: &Quantity) -> Outcome<()> {
    pass(context, span(time, "cannot be waited for")?)
}

/// A time of a script, at most 1e6 s; `otherwise` is what is said of another.
pub fn span(time: &Quantity, otherwise: &str) -> Outcome<Duration> {
    let seconds = time.to(&Unit::parse("s").or_fail()?).or_fail()?;
    match (0.0..=1e6).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(script_error(format!("{time} {otherwise}"))),
    }
}

/// Lets time pass on the machine's clock.
pub fn pass(context: &Context, time: Duration) -> Outcome<()> {
    context.session.backend().wait(time, context.cancel()).map_err(|_| stopped())
}

/// The operator's stop.
pub fn stopped() -> Box<EvalAltResult> {
    fodo_language::fail(Diagnostic::new(Kind::Stopped, "stopped by the operator").into())
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
         /// # Returns\n/// An array of `#{ title, time, setpoints }`: what ran, when (UTC), and how many setpoints it changed [1].\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(history().len == 0);\n/// ```",
        |c: NativeCallContext| here(&c).map(|context| history(&context))
    );
    document!(
        engine,
        "mark",
        ["name: text", "()"],
        "/// Names the present setpoints, so that `revert` can return to them.\n///\n\
         /// # Parameters\n/// - `name`: any text; an older mark of that name is forgotten.\n///\n\
         /// # On the machine\n/// Changes nothing.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// mark(\"before\");\n/// HCOR[0].step(5.0 * urad);\n/// revert(\"before\");\n/// assert(HCOR[0].setpoint() == 0.0 * rad);\n/// ```",
        |c: NativeCallContext, name: &str| here(&c).map(|context| context.session.set_mark(name))
    );
    document!(
        engine,
        "revert",
        ["name: text", "text"],
        "/// Puts back everything that this session has changed since a mark, and shows it.\n///\n\
         /// Over as many runs and lines as there were. A setpoint that somebody else has moved since is left alone and named.\n\
         /// It is a change like any other: `undo()` takes it back.\n///\n\
         /// # Parameters\n/// - `name`: as given to `mark`.\n///\n\
         /// # Returns\n/// What was done, as a text.\n///\n\
         /// # On the machine\n/// Writes the old setpoints, last changed first.\n///\n\
         /// # Errors\n/// - `script`: there is no such mark.\n/// - `rights`: a family that may not be changed; nothing is written.\n///\n\
         /// # Example\n/// ```rhai\n/// mark(\"golden\");\n/// QF.step(quantity(0.001, \"1/m^2\"));\n/// HCOR.set(2.0 * urad);\n/// revert(\"golden\");\n/// assert(HCOR.setpoint().max_abs() == 0.0 * rad);\n/// ```",
        |c: NativeCallContext, name: &str| revert(&*here(&c)?, name)
    );
    document!(
        engine,
        "rehearse",
        ["work: function", "map"],
        "/// Does some work without writing: the machine is read, changes are checked and shown in a table.\n///\n\
         /// Setpoints read as if they had been written, readbacks and the beam stay as they are.\n///\n\
         /// # Parameters\n/// - `work`: a function without arguments.\n///\n\
         /// # Returns\n/// `#{ result, changes }`: what the work returned, and what it would change by family and device, in physics units.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// Those of the work: limits and rights are checked as for a real change.\n///\n\
         /// # Example\n/// ```rhai\n/// let would = rehearse(|| correct_orbit(#{}));\n/// assert(would.changes.HCOR.len() > 0);\n/// assert(HCOR.setpoint().max_abs() == 0.0 * rad);\n/// ```",
        |c: NativeCallContext, work: Dynamic| rehearse(&c, work)
    );
    document!(
        engine,
        "rehearsing",
        ["boolean"],
        "/// Whether the run is rehearsed: setpoints read as if they had been written, and the beam stays as it is.\n///\n\
         /// A procedure that checks what it did to the beam leaves that check out then.\n///\n\
         /// # On the machine\n/// Changes nothing.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(!rehearsing());\n/// assert(rehearse(|| rehearsing()).result);\n/// ```",
        |c: NativeCallContext| here(&c).map(|context| context.session.mode() == WriteMode::Rehearse)
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
