//! Procedures that run beside the prompt or a script, each on a thread of its own.

use crate::app::{self, App, Ground};
use crate::board::{Tagged, board};
use crate::{show, sources};
use fodo_builtins::{Context, Progress, Runs, Task};
use fodo_control::{Cancel, WriteMode};
use fodo_language::{Output, run_on_script_thread};
use fodo_procedure::{Procedure, Values};
use fodo_report::{Diagnostic, Kind, Result};
use rhai::{Dynamic, Map};
use std::sync::Arc;
use std::time::Instant;

/// Starts tasks on the machine of the program.
pub struct Beside(pub Arc<Ground>);

impl Runs for Beside {
    fn start(&self, context: &Context, name: &str, options: &Map) -> Result<Task> {
        if app::cancel().is_held() {
            return Err(Diagnostic::new(Kind::Stopped, "after a panic stop nothing is started").into());
        }
        if context.session.mode() != self.0.mode {
            return Err(Diagnostic::new(Kind::Script, "a rehearsal starts no tasks").into());
        }
        let number = board().tasks().last().map_or(1, |task| task.number() + 1);
        let task = Task::new(number, name, app::cancel().beside());
        let (output, progress) = (Arc::new(Tagged(number)), Arc::new(task.clone()));
        let app = beside(&self.0, context, self.0.mode, task.cancel(), output, progress);
        let (procedure, values) = app.procedures.beside(&app.engine, context, &app.session, &task, options)?;
        no_questions(&app, &procedure, &values)?;
        board().list(&task);
        let running = task.clone();
        std::thread::spawn(move || carry_out(&app, &running, &procedure, &values));
        Ok(task)
    }

    fn all(&self) -> Vec<Task> {
        board().tasks()
    }
}

/// What works beside `context`: on the same machine and model, with an engine and a session of its own.
pub fn beside(
    ground: &Arc<Ground>,
    context: &Context,
    mode: WriteMode,
    cancel: &Cancel,
    output: Arc<dyn Output>,
    progress: Arc<dyn Progress>,
) -> App {
    let session = Arc::new(context.session.beside(mode, cancel.clone()));
    ground.app(context.beside(session, output.clone(), progress), output)
}

/// The operator types lines meanwhile and cannot be asked for values.
fn no_questions(app: &App, procedure: &Procedure, values: &Values) -> Result<()> {
    let asked = app.other_sources();
    let mut families = procedure.may_change(&app.context, values)?;
    families.extend(procedure.reads(&app.context, values)?);
    match families.iter().find(|family| asked.get(family.as_ref()).is_some_and(|source| source == sources::MANUAL)) {
        None => Ok(()),
        Some(family) => {
            let what = format!("`{}` asks the operator for {family}, which a task cannot do", procedure.header.name);
            Err(Diagnostic::new(Kind::Usage, what).hint("call it: `start` is for what asks nothing").into())
        }
    }
}

/// Runs it to its end and says how that was.
fn carry_out(app: &App, task: &Task, procedure: &Procedure, values: &Values) {
    let start = Instant::now();
    let ran = run_on_script_thread(|| app.run_beside(procedure, values));
    let (result, record) = ran.unwrap_or_else(|panic| (Err(panic), None));
    let told = told(task, &result, start.elapsed().as_secs_f64(), record);
    task.end(result);
    board().say(&told);
}

fn told(task: &Task, result: &Result<Dynamic>, seconds: f64, record: Option<String>) -> String {
    let number = task.number();
    let record = record.map(|file| format!("; record: {file}")).unwrap_or_default();
    let (word, report) = match result {
        Ok(_) => ("has ended", None),
        Err(error) if error.kind == Kind::Stopped => ("was stopped", Some(error)),
        Err(error) => ("has failed", Some(error)),
    };
    let head = format!("[{number}] {} {word} after {seconds:.1} s{record}", task.name());
    match report {
        None => head,
        Some(error) => format!("{head}\n{}", show::rendered(error).trim_end()),
    }
}

/// Waits for all tasks, stopped at once or by Ctrl-C; whether all went well.
pub fn finish(stop: bool) -> bool {
    let tasks = board().tasks();
    let mut hurry = false;
    // who was stopped before puts back already, which only one more Ctrl-C hurries
    let mut stop_all = || {
        tasks.iter().filter(|task| hurry || !task.cancel().is_stopped()).for_each(|task| task.cancel().stop());
        hurry = true;
    };
    if stop {
        stop_all();
        // the stop that ended the run is this one
        app::cancel().reset();
    }
    for task in &tasks {
        // a wait ends with the task, or by Ctrl-C: the first stops, the next hurries putting back
        while task.wait(app::cancel()).is_err() && task.is_running() {
            stop_all();
            app::cancel().reset();
        }
    }
    tasks.iter().all(|task| task.state() == "done")
}
