//! Procedures that run beside the line or script that has started them.

use crate::context::{Context, Progress, here};
use crate::families::document;
use fodo_control::Cancel;
use fodo_language::{OrFail, Outcome, fail, script_error};
use fodo_report::{Diagnostic, Kind, Result};
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a wait for a task looks whether it is stopped itself.
const PACE: Duration = Duration::from_millis(50);

/// Who runs procedures beside the present run: the program.
pub trait Runs: Send + Sync {
    /// Starts a procedure by its name.
    ///
    /// # Errors
    /// Those of its name, its options and its channels; `rights`: another run works on its families.
    fn start(&self, context: &Context, name: &str, options: &Map) -> Result<Task>;

    /// Those that were started, the oldest first.
    fn all(&self) -> Vec<Task>;
}

/// A procedure that was started.
#[derive(Clone)]
pub struct Task(Arc<Inner>);

struct Inner {
    number: usize,
    name: String,
    cancel: Cancel,
    stands: Mutex<Stands>,
    ended: Condvar,
}

#[derive(Default)]
struct Stands {
    phase: Option<Phase>,
    result: Option<Result<Dynamic>>,
}

/// What is being done, since when, and how far it is.
struct Phase {
    name: String,
    since: Instant,
    done: usize,
    of: usize,
}

impl Task {
    /// A task that runs, and is stopped by a token.
    pub fn new(number: usize, name: &str, cancel: Cancel) -> Task {
        Task(Arc::new(Inner { number, name: name.into(), cancel, stands: Mutex::default(), ended: Condvar::new() }))
    }

    /// Who it is in messages: `task 1 (correct_orbit)`.
    pub fn title(&self) -> String {
        format!("task {} ({})", self.0.number, self.0.name)
    }

    /// What it runs.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its number in the session, from 1.
    pub fn number(&self) -> usize {
        self.0.number
    }

    /// The token that stops it.
    pub fn cancel(&self) -> &Cancel {
        &self.0.cancel
    }

    /// It has ended with this result.
    pub fn end(&self, result: Result<Dynamic>) {
        self.stands().result = Some(result);
        self.0.ended.notify_all();
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.stands().result.is_none()
    }

    /// How it stands: `running`, `paused`, `stopping`, `done`, `stopped`, `failed`.
    pub fn state(&self) -> &'static str {
        match &self.stands().result {
            None if self.0.cancel.is_stopped() => "stopping",
            None if self.0.cancel.is_paused() => "paused",
            None => "running",
            Some(Ok(_)) => "done",
            Some(Err(error)) if error.kind == Kind::Stopped => "stopped",
            Some(Err(_)) => "failed",
        }
    }

    /// What it does, and how far that is: `correctors 3 of 40, 12 s left`; nothing once it has ended.
    pub fn progress(&self) -> Option<String> {
        let stands = self.stands();
        let Phase { name, since, done, of } = stands.phase.as_ref().filter(|_| stands.result.is_none())?;
        Some(format!("{name} {done} of {of}{}", time_left(since.elapsed(), *done, *of)))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Its own error; `stopped`: the wait was stopped, the task goes on.
    pub fn wait(&self, cancel: &Cancel) -> Result<Dynamic> {
        let mut stands = self.stands();
        loop {
            if let Some(result) = &stands.result {
                return result.clone();
            }
            if cancel.is_stopped() {
                let what = format!("stopped waiting; {} goes on", self.title());
                return Err(Diagnostic::new(Kind::Stopped, what).into());
            }
            stands = self.0.ended.wait_timeout(stands, PACE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn stands(&self) -> MutexGuard<'_, Stands> {
        self.0.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Task {
    fn step(&self, phase: &str, done: usize, of: usize) {
        let mut stands = self.stands();
        let since = stands.phase.take().filter(|known| known.name == phase).map(|known| known.since);
        let since = since.unwrap_or_else(Instant::now);
        stands.phase = Some(Phase { name: phase.to_string(), since, done, of });
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title(), self.state())?;
        match &self.stands().result {
            Some(Err(error)) => write!(f, ", {}", error.message),
            _ => Ok(()),
        }?;
        self.progress().map_or(Ok(()), |progress| write!(f, ", {progress}"))
    }
}

/// The time that a work still takes, once there is something to tell it by: `, 12 s left`.
pub fn time_left(elapsed: Duration, done: usize, of: usize) -> String {
    if done == 0 || elapsed < Duration::from_secs(1) {
        return String::new();
    }
    let seconds = (elapsed.as_secs_f64() / done as f64 * of.saturating_sub(done) as f64).ceil();
    match seconds {
        s if s < 120.0 => format!(", {s} s left"),
        s => format!(", {:.0} min left", s / 60.0),
    }
}

fn runs(context: &Context) -> Outcome<&Arc<dyn Runs>> {
    context.runs().ok_or_else(|| script_error("a task starts no tasks"))
}

fn start(context: &NativeCallContext, name: &str, options: &Map) -> Outcome<Task> {
    let here = here(context)?;
    if here.session.nesting() > 0 {
        let wrong = Diagnostic::new(Kind::Rights, "a procedure starts no tasks");
        let hint = "tasks are started at the prompt or by a script without header, which has no rights to hand on";
        return Err(fail(wrong.hint(hint).into()));
    }
    runs(&here)?.start(&here, name, options).or_fail()
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Task>("task");
    engine.register_fn("to_string", |task: &mut Task| task.to_string());
    engine.register_fn("to_debug", |task: &mut Task| task.to_string());
    document!(
        engine,
        "start",
        ["name: text", "task"],
        "/// Starts a procedure that runs beside the prompt or script, with the defaults of its parameters.",
        |c: NativeCallContext, name: &str| start(&c, name, &Map::new())
    );
    document!(
        engine,
        "start",
        ["name: text", "parameters: map", "task"],
        "/// Starts a procedure that runs beside the prompt or script: a slow feedback, a long measurement.\n///\n\
         /// It has a transaction and a record of its own: stopped or failed, it puts back what it has changed. The families that it\n\
         /// changes or reads are its own while it runs: others may look at them and not change them. Two procedures run at once only\n\
         /// if neither changes what the other changes or reads, and if they do not look at the same family while both change\n\
         /// something.\n///\n\
         /// # Parameters\n/// - `name`: the procedure.\n/// - `parameters`: as when it is called.\n///\n\
         /// # Returns\n/// The task: `state`, `number`, `pause()`, `resume()`, `stop()`, `wait()`.\n///\n\
         /// # On the machine\n/// What the procedure does. On the twin of this program time passes for all that runs; loops (`every`, `on_change`) of a\n\
         /// task keep the pace of the wall clock.\n///\n\
         /// # Errors\n/// Those of calling the procedure; `rights`: inside a procedure, or another run works on its families.\n///\n\
         /// # Example\n/// ```rhai\n/// let task = start(\"correct_orbit\", #{ iterations: 2 });\n/// task.wait();\n/// assert(task.state == \"done\");\n/// ```",
        |c: NativeCallContext, name: &str, options: Map| start(&c, name, &options)
    );
    document!(
        engine,
        "tasks",
        ["array"],
        "/// The tasks of this session, the oldest first.\n///\n\
         /// # Returns\n/// An array of tasks; those that have ended are in it, too.\n///\n\
         /// # On the machine\n/// Nothing.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// start(\"correct_orbit\").wait();\n/// assert(tasks().len() == 1 && tasks()[0].state == \"done\");\n/// ```",
        |c: NativeCallContext| -> Outcome<Array> {
            let here = here(&c)?;
            Ok(here.runs().map(|runs| runs.all().into_iter().map(Dynamic::from).collect()).unwrap_or_default())
        }
    );
    document!(
        engine,
        "wait",
        ["task: task", "any"],
        "/// Waits until a task has ended. Ctrl-C ends the wait, and the task goes on.\n///\n\
         /// # Returns\n/// What its procedure has returned.\n///\n\
         /// # On the machine\n/// Nothing.\n///\n\
         /// # Errors\n/// That with which it has ended.\n///\n\
         /// # Example\n/// ```rhai\n/// let task = start(\"correct_orbit\");\n/// let result = task.wait();\n/// ```",
        |c: NativeCallContext, task: &mut Task| -> Outcome<Dynamic> { task.wait(here(&c)?.cancel()).or_fail() }
    );
    document!(
        engine,
        "stop",
        ["task: task", "()"],
        "/// Stops a task; it puts back what it has changed. Does nothing if it has ended.\n///\n\
         /// # On the machine\n/// Puts back what the task has changed.\n///\n\
         /// # Errors\n/// None: how it went, the task says when it has ended.\n///\n\
         /// # Example\n/// ```rhai\n/// let task = start(\"correct_orbit\");\n/// task.stop();\n/// ```",
        |task: &mut Task| task.cancel().stop()
    );
    document!(
        engine,
        "pause",
        ["task: task", "()"],
        "/// Lets a task wait at its next step, until `resume`.\n///\n\
         /// # On the machine\n/// Nothing; what the task has set stays meanwhile.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// let task = start(\"correct_orbit\");\n/// task.pause();\n/// task.resume();\n/// task.wait();\n/// ```",
        |task: &mut Task| task.cancel().pause(true)
    );
    document!(
        engine,
        "resume",
        ["task: task", "()"],
        "/// Lets a task that was paused go on.\n///\n\
         /// # On the machine\n/// What the task does.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// let task = start(\"correct_orbit\");\n/// task.pause();\n/// task.resume();\n/// task.wait();\n/// ```",
        |task: &mut Task| task.cancel().pause(false)
    );
    crate::families::getter!(
        engine,
        "state",
        ["task: task", "text"],
        "/// How a task stands: `running`, `paused`, `stopping` (it puts back), `done`, `stopped` or `failed`.",
        |task: &mut Task| task.state().to_string()
    );
    crate::families::getter!(
        engine,
        "number",
        ["task: task", "integer"],
        "/// The number of a task in its session, from 1 [1].",
        |task: &mut Task| task.number() as i64
    );
}
