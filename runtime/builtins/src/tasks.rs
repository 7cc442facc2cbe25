//! Work that goes on for a while: progress, again and again, whenever something changes.

use crate::context::{Context, here};
use crate::families::{Member, document, wanted};
use crate::machine;
use fodo_control::{Channel, Fault, Keep, Reading, Validity, Value};
use fodo_devices::Field;
use fodo_language::{Callback, Options, OrFail, Outcome, Values, fail, script_error};
use fodo_report::{Diagnostic, Kind};
use fodo_units::Quantity;
use rhai::{Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use std::time::Duration;

/// How often the present value of a channel is looked for.
const PACE: Duration = Duration::from_millis(50);

/// The longest time that means anything, thirty years [s].
const LONGEST: f64 = 1e9;

/// When a loop ends, if its work does not end it.
struct Bounds {
    times: Option<i64>,
    span: Option<Duration>,
    keep: bool,
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    ["every", "on_change"].map(loop_options).into()
}

fn loop_options(name: &str) -> Options {
    Options::new(name)
        .integer("times")
        .at_least(1.0)
        .help("passes at most; default: no end")
        .number("span", "s")
        .at_least(0.0)
        .help("how long at most, on the machine's clock; default: no end")
        .flag("keep")
        .help("what whole passes have changed stays when the loop is stopped or fails")
}

impl Bounds {
    fn read(context: &Context, options: &Values) -> Outcome<Bounds> {
        let keep = options.flag("keep");
        if keep && context.session.nesting() > 1 {
            let wrong =
                Diagnostic::new(Kind::Rights, "`keep` would keep what the calling procedure has changed so far, too");
            return Err(fail(
                wrong.hint("a loop that keeps what it changes belongs into the outermost procedure").into(),
            ));
        }
        let span = options.maybe_number("span").map(|seconds| Duration::from_secs_f64(seconds.min(LONGEST)));
        Ok(Bounds { times: options.maybe_integer("times"), span, keep })
    }
}

/// Time passes between two passes: that of the machine, and for a task on the twin, which has all the time in the world,
/// that of who looks on.
fn pause(context: &Context, span: Duration) -> Outcome<()> {
    if context.is_beside() && context.is_twin() {
        context.cancel().wait(span).map_err(|_| machine::stopped())?;
    }
    machine::pass(context, span)
}

/// One pass: its work, and whether it wants another.
fn pass(
    context: &NativeCallContext,
    here: &Context,
    work: &Callback,
    arguments: impl rhai::FuncArgs,
    keep: bool,
) -> Outcome<bool> {
    let goes_on = work.call(context, arguments)?.as_bool() != Ok(false);
    if keep {
        here.session.keep_so_far();
    }
    Ok(goes_on)
}

fn every(context: &NativeCallContext, period: &Quantity, work: Dynamic, options: &Map) -> Outcome<i64> {
    let work = Callback::from_dynamic(context, work, "the work")?;
    let here = here(context)?;
    let period = machine::span(period, "is not a time to repeat something after")?;
    let bounds = Bounds::read(&here, &loop_options("every").read(options)?)?;
    if period.is_zero() && bounds.times.is_none() && bounds.span.is_none() {
        let wrong = Diagnostic::new(Kind::Script, "without `times` or `span` a period of 0 s has no end");
        return Err(fail(wrong.hint("name a period, `every(1.0 * s, …)`, or an end, `#{ times: 10 }`").into()));
    }
    let now = || here.session.backend().now();
    let (start, mut passes) = (now(), 0);
    let mut due = start;
    loop {
        here.session.step().or_fail()?;
        passes += 1;
        let goes_on = pass(context, &here, &work, (), bounds.keep)?;
        if !goes_on || bounds.times.is_some_and(|times| passes >= times) {
            return Ok(passes);
        }
        // a pass that took longer than the period is followed by the next at once, and by no other
        due = due.after(period).max(now());
        if bounds.span.is_some_and(|span| due >= start.after(span)) {
            return Ok(passes);
        }
        let left = due.0 - now().0;
        pause(&here, Duration::from_nanos(left.max(0) as u64))?;
    }
}

/// What a script follows: a channel, and what its values are.
struct Followed {
    channel: Channel,
    field: Option<Field>,
}

impl Followed {
    fn of(context: &Context, what: &Dynamic) -> Outcome<Followed> {
        if let Ok(name) = what.clone().into_string() {
            return Ok(Followed { channel: name.as_str().into(), field: None });
        }
        let member = what.read_lock::<Member>().map(|member| member.clone());
        let member = member.ok_or_else(|| script_error("a device, or a channel by its name, is followed"))?;
        context.connect([&member.device])?;
        let field = wanted(&member.device, None, None)?.field;
        let field = member.device.fields.get(field).ok_or_else(|| script_error("a device lacks this field"))?;
        let source = field.source.as_ref();
        let source = source.ok_or_else(|| script_error(format!("{} has no channel to read", member.device.shown())))?;
        Ok(Followed { channel: source.channel.clone(), field: Some(field.clone()) })
    }

    /// What a sample that can be used holds: on the channel, of a device its own entry.
    fn held(&self, reading: Reading) -> Option<Value> {
        if matches!(reading.validity, Validity::Invalid(_)) {
            return None;
        }
        let Some(field) = &self.field else { return Some(reading.value) };
        field.source.as_ref()?.place.number(&reading.value).ok().map(Value::Number)
    }

    /// The same as a script sees it.
    fn shown(&self, held: &Value) -> Dynamic {
        match (&self.field, held) {
            (Some(field), Value::Number(number)) => {
                Dynamic::from(Quantity::from_si(field.to_physics(*number), field.physics.clone()))
            }
            _ => crate::channels::dynamic(held),
        }
    }
}

fn on_change(context: &NativeCallContext, what: &Dynamic, work: Dynamic, options: &Map) -> Outcome<i64> {
    let work = Callback::from_dynamic(context, work, "the work")?;
    let here = here(context)?;
    let bounds = Bounds::read(&here, &loop_options("on_change").read(options)?)?;
    let followed = Followed::of(&here, what)?;
    let session = &here.session;
    session.connect(std::slice::from_ref(&followed.channel)).or_fail()?;
    let monitor = session.backend().monitor(std::slice::from_ref(&followed.channel), Keep::Newest);
    let start = session.backend().now();
    let (mut passes, mut last): (i64, Option<Value>) = (0, None);
    loop {
        session.step().or_fail()?;
        let updates = monitor.next(Duration::ZERO, session.cancel()).map_err(|_| machine::stopped())?;
        for update in updates {
            let lost = |fault: Fault| fail(Diagnostic::new(Kind::Machine, fault.to_string()).into());
            let held = followed.held(update.reading.map_err(lost)?);
            // another time stamp of the same value is no change
            let Some(held) = held.filter(|held| last.as_ref() != Some(held)) else { continue };
            let value = followed.shown(&held);
            last = Some(held);
            passes += 1;
            let goes_on = pass(context, &here, &work, (value,), bounds.keep)?;
            if !goes_on || bounds.times.is_some_and(|times| passes >= times) {
                return Ok(passes);
            }
        }
        if bounds.span.is_some_and(|span| session.backend().now() >= start.after(span)) {
            return Ok(passes);
        }
        pause(&here, PACE)?;
    }
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "progress",
        ["phase: text", "done: integer", "of: integer", "()"],
        "/// Says how far a long work is, and is a place where it can be paused (Ctrl-Z).\n///\n\
         /// # Parameters\n/// - `phase`: what is being done.\n/// - `done`: steps done [1].\n/// - `of`: steps in all [1].\n///\n\
         /// # On the machine\n/// Changes nothing. Waits while the operator, or a watcher of the procedure, pauses it.\n///\n\
         /// # Errors\n/// - `machine`: a watcher says that the run may not go on.\n///\n\
         /// # Example\n/// ```rhai\n/// for (corrector, n) in HCOR[0..3] {\n///     progress(\"correctors\", n, 3);\n///     with_restore(|| corrector.step(5.0 * urad));\n/// }\n/// ```",
        |c: NativeCallContext, phase: &str, done: i64, of: i64| {
            here(&c)?.step(phase, done.max(0) as usize, of.max(0) as usize).or_fail()
        }
    );
    document!(
        engine,
        "every",
        ["period: quantity", "work: function", "integer"],
        "/// Does some work again and again, until it returns `false`, with the default options: how many passes there were [1].",
        |c: NativeCallContext, period: Quantity, work: Dynamic| every(&c, &period, work, &Map::new())
    );
    document!(
        engine,
        "every",
        ["period: quantity", "work: function", "options: map", "integer"],
        "/// Does some work again and again, until it returns `false`: a feedback, a measurement that goes on.\n///\n\
         /// A pass that takes longer than the period is followed by the next at once; passes that were missed are not made up for.\n\
         /// Between two passes it can be paused (Ctrl-Z). Ctrl-C ends the run, which puts everything back that it changed; with `keep`\n\
         /// only what the present pass has changed.\n///\n\
         /// # Parameters\n/// - `period`: from the beginning of a pass to that of the next, on the machine's clock [s].\n/// - `work`: a function without arguments.\n\
         /// - `options`: `times`: passes at most [1]; `span`: how long at most [s]; `keep`: what whole passes have changed\n\
         ///   stays when the loop is stopped or fails (`false`).\n///\n\
         /// # Returns\n/// How many passes there were [1].\n///\n\
         /// # On the machine\n/// What the work does.\n///\n\
         /// # Errors\n/// Those of the work; `rights`: `keep` in a procedure that another one has called.\n///\n\
         /// # Example\n/// ```rhai\n/// let orbits = [];\n/// every(1.0 * s, || { orbits.push(get_orbit()); orbits.len() < 3 });\n/// assert(orbits.len() == 3);\n/// assert(every(1.0 * s, || correct_orbit(#{}), #{ times: 2, keep: true }) == 2);\n/// ```",
        |c: NativeCallContext, period: Quantity, work: Dynamic, options: Map| every(&c, &period, work, &options)
    );
    document!(
        engine,
        "on_change",
        ["what: device or text", "work: function", "integer"],
        "/// Does some work whenever a value changes, until it returns `false`, with the default options: how often [1].",
        |c: NativeCallContext, what: Dynamic, work: Dynamic| on_change(&c, &what, work, &Map::new())
    );
    document!(
        engine,
        "on_change",
        ["what: device or text", "work: function", "options: map", "integer"],
        "/// Does some work with the present value, and whenever it changes, until the work returns `false`.\n///\n\
         /// Of changes that come while the work goes on, the newest counts. Values that must not be used are passed over.\n///\n\
         /// # Parameters\n/// - `what`: a device (its main field, in its physics unit), or a channel by its name (the number as it is).\n\
         /// - `work`: a function of the value.\n/// - `options`: as those of `every`.\n///\n\
         /// # Returns\n/// How often the work was done [1].\n///\n\
         /// # On the machine\n/// What the work does.\n///\n\
         /// # Errors\n/// Those of the work; `machine`: the channel is absent or was lost.\n///\n\
         /// # Example\n/// ```rhai\n/// let seen = [];\n/// on_change(BPM[0], |x| { seen.push(x); seen.len() < 3 }, #{ span: 5.0 * s });\n/// assert(seen.len() == 3);\n/// ```",
        |c: NativeCallContext, what: Dynamic, work: Dynamic, options: Map| on_change(&c, &what, work, &options)
    );
}
