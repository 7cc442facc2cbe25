//! `fodo run` and `fodo eval`: one run, its record, its result.

use crate::app::{App, fingerprint};
use crate::command::{Common, EvalArguments, RunArguments};
use crate::limits::{self, Bounded};
use crate::{beside, json, show};
use fodo_control::{Setpoint, Time, Trainer, WriteMode};
use fodo_language::{Prompt, diagnose};
use fodo_procedure::{Procedure, Values};
use fodo_records::{Outcome, Record, RunCard, SetpointValue};
use fodo_report::{Diagnostic, Kind, Result};
use rhai::Dynamic;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// What a run is, before it starts.
struct Work<'w> {
    title: &'w str,
    file: String,
    text: Arc<str>,
    parameters: Value,
    /// Setpoints it may change, whose values before and after are kept.
    watched: Vec<Arc<Setpoint>>,
}

/// What a run returned; a rehearsal also what it would have changed.
struct Ended {
    value: Dynamic,
    rehearsal: Option<String>,
}

/// A run with the setpoints it was allowed to change, before and after it.
struct Transacted {
    result: Result<Ended>,
    before: Vec<SetpointValue>,
    after: Vec<SetpointValue>,
}

/// Runs a procedure by name, or a script file.
pub fn run(common: &Common, arguments: &RunArguments) -> Result<ExitCode> {
    let app = App::open(common)?;
    let is_file = arguments.what.ends_with(".rhai") || Path::new(&arguments.what).is_file();
    if !is_file {
        let procedure = app.procedures.find(&app.engine, &arguments.what)?;
        return run_procedure(&app, common, &procedure, &arguments.set);
    }
    let text: Arc<str> = std::fs::read_to_string(&arguments.what)
        .map_err(|e| Diagnostic::new(Kind::Usage, format!("the script {} could not be read: {e}", arguments.what)))?
        .into();
    match app.procedures.read(&app.engine, &arguments.what, text.clone())? {
        Some(procedure) => run_procedure(&app, common, &procedure, &arguments.set),
        None => run_script(&app, common, &arguments.what, text, &arguments.set),
    }
}

fn run_procedure(app: &App, common: &Common, procedure: &Procedure, set: &[(String, String)]) -> Result<ExitCode> {
    let values = procedure.header.from_texts(set)?;
    Ok(app.carry_out(common, work(app, procedure, &values)?, |app| app.call(procedure, &values)))
}

/// What a procedure is as a run, connected.
fn work<'w>(app: &App, procedure: &'w Procedure, values: &Values) -> Result<Work<'w>> {
    Ok(Work {
        title: &procedure.header.name,
        file: procedure.file.clone(),
        text: procedure.text.clone(),
        parameters: parameters(values),
        watched: connect(app, procedure, values)?,
    })
}

/// Connects everything the procedure may read or change, at once.
fn connect(app: &App, procedure: &Procedure, values: &Values) -> Result<Vec<Arc<Setpoint>>> {
    let changes = procedure.may_change(&app.context, values)?;
    let reads = procedure.reads(&app.context, values)?;
    let families = changes.iter().chain(&reads).map(|name| app.facility.family(name)).collect::<Result<Vec<_>>>()?;
    let devices = families.iter().flat_map(|family| &family.devices);
    app.context.connect(devices).map_err(|error| {
        let error = diagnose(&app.engine, error, &procedure.file, &app.sources);
        Box::new(error.machine("no setpoint was changed"))
    })?;
    let setpoints = changes.iter().map(|name| app.facility.setpoints(name)).collect::<Result<Vec<_>>>()?;
    Ok(setpoints.into_iter().flatten().collect())
}

fn parameters(values: &Values) -> Value {
    values.iter().map(|(name, value)| (name.to_string(), json::of(&value.to_dynamic()))).collect()
}

fn run_script(app: &App, common: &Common, file: &str, text: Arc<str>, set: &[(String, String)]) -> Result<ExitCode> {
    if let Some((name, _)) = set.first() {
        return Err(Diagnostic::new(Kind::Usage, format!("{file} has no parameter `{name}`"))
            .hint("a script takes parameters when it has a header `procedure(#{ … })`")
            .into());
    }
    let tree = app.sources.compile(&app.engine, file, &text)?;
    let work = Work { title: file, file: file.to_string(), text, parameters: Value::Null, watched: Vec::new() };
    Ok(app.carry_out(common, work, |app| {
        app.engine.eval_ast::<Dynamic>(&tree).map_err(|error| diagnose(&app.engine, error, file, &app.sources))
    }))
}

/// Evaluates one expression; what it changes stays, as with a line at the prompt.
pub fn eval(common: &Common, arguments: &EvalArguments) -> Result<ExitCode> {
    let app = App::open(common)?;
    let text: Arc<str> = arguments.expression.as_str().into();
    let work = Work { title: "eval", file: "<prompt>".into(), text, parameters: Value::Null, watched: Vec::new() };
    Ok(app.carry_out(common, work, |app| Prompt::new(app.sources.clone()).evaluate(&app.engine, &arguments.expression)))
}

/// Puts what went wrong into a record; one that cannot be kept says so when it is finished.
pub(crate) fn note(record: &Record, anomalies: &[Value]) {
    anomalies.iter().for_each(|event| _ = record.note("anomaly", event));
}

impl App {
    /// Runs a procedure beside others; what it returned, and its record.
    pub fn run_beside(&self, procedure: &Procedure, values: &Values) -> (Result<Dynamic>, Option<String>) {
        let start = Instant::now();
        let work = match work(self, procedure, values) {
            Ok(work) => work,
            Err(error) => return (Err(error), None),
        };
        let (run, result) = match self.record(&work) {
            Ok(record) => self.recorded(&work, record, |app| app.call(procedure, values), start),
            Err(error) => (Value::Null, Err(Box::new(error.machine("no setpoint was changed")))),
        };
        let file = run.get("record").and_then(Value::as_str).map(String::from);
        (result.map(|ended| ended.value), file)
    }

    fn call(&self, procedure: &Procedure, values: &Values) -> Result<Dynamic> {
        let called = self.procedures.call(&self.engine, &self.context, procedure, values);
        called.map_err(|error| diagnose(&self.engine, error, &procedure.file, &self.sources))
    }

    /// Carries out one run: record, transaction, result.
    fn carry_out(&self, common: &Common, work: Work, action: impl FnOnce(&App) -> Result<Dynamic>) -> ExitCode {
        let start = Instant::now();
        if !common.json && work.title != "eval" {
            let seed = self.seed.map(|s| format!(", seed {s}")).unwrap_or_default();
            let mode =
                if self.mode == WriteMode::Rehearse { "; nothing is written, the beam stays as it is" } else { "" };
            show::line(format!("{} — {}{seed}{mode}", self.state(), work.title));
        }
        let (mut run, result) = match self.record(&work) {
            Ok(record) => self.recorded(&work, record, action, start),
            Err(error) => (Value::Null, Err(Box::new(error.machine("no setpoint was changed")))),
        };
        let tasks = beside::finish(result.is_err());
        if let Some(run) = run.as_object_mut() {
            run.insert("seconds".into(), start.elapsed().as_secs_f64().into());
        }
        match self.show(common, &work, run, result) {
            ExitCode::SUCCESS if !tasks => ExitCode::FAILURE,
            code => code,
        }
    }

    fn record(&self, work: &Work) -> Result<Arc<Record>> {
        let folder = self.data.join("runs");
        // what a dead run left is completed at the first use after it
        fodo_records::finish_interrupted(&folder)?;
        let card = RunCard {
            procedure: work.title.to_string(),
            script_path: work.file.clone(),
            script_text: work.text.to_string(),
            script_sha256: fingerprint([work.text.as_bytes()]),
            parameters: work.parameters.clone(),
            ..self.card()
        };
        let record = Record::create(&folder, &card)?;
        record.describe(&self.channel_notes())?;
        Ok(Arc::new(record))
    }

    fn recorded(
        &self,
        work: &Work,
        record: Arc<Record>,
        action: impl FnOnce(&App) -> Result<Dynamic>,
        start: Instant,
    ) -> (Value, Result<Ended>) {
        let id = record.id().to_string();
        if let Some(log) = &self.changes {
            log.begin(&id, work.title, &fingerprint([work.text.as_bytes()]));
        }
        self.observe(record.clone());
        let began = self.session.backend().now();
        let Transacted { result, before, after } = self.transact(work, &id, action);
        self.session.observe_with(None);
        let anomalies = self.anomalies(began);
        note(&record, &anomalies);
        let outcome = Outcome {
            ok: result.is_ok(),
            result: result.as_ref().map_or(Value::Null, |ended| json::of(&ended.value)),
            error: result.as_ref().err().map_or(Value::Null, |error| error.to_json()),
            before,
            after,
            seconds: start.elapsed().as_secs_f64(),
        };
        let (file, result) = match Arc::try_unwrap(record).map(|record| record.finish(&outcome)) {
            Ok(Ok(path)) => (json!(path), result),
            Ok(Err(error)) => {
                let error = error.machine("the run itself has ended as it should; only its record is incomplete");
                (Value::Null, result.and(Err(error.into())))
            }
            Err(_) => (Value::Null, result),
        };
        let run = json!({
            "id": id, "record": file, "facility": self.facility.name.as_ref(),
            "machine": self.machine.word(), "sources": self.other_sources(), "mode": self.rights(), "seed": self.seed,
            "warnings": self.warnings.list(), "anomalies": anomalies,
        });
        (run, result)
    }

    /// What went wrong with the twin from a time on, and what had begun before and went on.
    pub(crate) fn anomalies(&self, began: Time) -> Vec<Value> {
        let Some(twin) = &self.twin else { return Vec::new() };
        let went_on = twin.going_wrong().into_iter().filter(|event| event.time < began);
        went_on.chain(twin.happened(began)).map(|event| json!(event)).collect()
    }

    /// The action inside its transaction: committed, or everything put back.
    fn transact(&self, work: &Work, id: &str, action: impl FnOnce(&App) -> Result<Dynamic>) -> Transacted {
        let info = self.run_info(id.to_string(), work.title);
        if let Err(error) = self.session.begin(info, &work.watched) {
            let result = Err(Box::new(error.machine("no setpoint was changed")));
            return Transacted { result, before: Vec::new(), after: Vec::new() };
        }
        let before = self.session.before();
        let result = limits::within(&Bounded::Run, self.longest, self.session.cancel(), || action(self));
        let (standing, passing) = (self.session.standing(), self.session.passing());
        let ended = match result {
            Ok(value) if self.mode == WriteMode::Rehearse => {
                self.session.abort();
                Ok(Ended { value, rehearsal: Some(show::rehearsal(&standing, &passing)) })
            }
            Ok(value) => match self.session.commit() {
                Ok(_) => Ok(Ended { value, rehearsal: None }),
                Err(error) if !self.session.in_run() => Err(error),
                Err(error) => Err(Box::new(error.machine(self.session.abort().to_string()))),
            },
            Err(error) => {
                let putback = self.session.abort();
                let standing = putback.to_string();
                Err(Box::new(Diagnostic { machine: Some(standing), ..*error }))
            }
        };
        let kept = ended.is_ok() && self.mode == WriteMode::Write;
        let value = |setpoint: &Setpoint, value: f64| SetpointValue {
            name: setpoint.name.to_string(),
            channel: setpoint.channel.clone(),
            value,
            unit: setpoint.unit.to_string(),
        };
        let first: Vec<SetpointValue> = before.iter().map(|(s, v)| value(s, *v)).collect();
        let mut last = first.clone();
        for (setpoint, _, now) in standing.iter().filter(|_| kept) {
            match last.iter_mut().find(|entry| entry.channel == setpoint.channel) {
                Some(entry) => entry.value = *now,
                None => last.push(value(setpoint, *now)),
            }
        }
        Transacted { result: ended, before: first, after: last }
    }

    fn show(&self, common: &Common, work: &Work, run: Value, result: Result<Ended>) -> ExitCode {
        match result {
            Ok(Ended { value, rehearsal }) if common.json => {
                let mut run = run;
                if let (Some(run), Some(_)) = (run.as_object_mut(), &rehearsal) {
                    run.insert("rehearsed".into(), true.into());
                }
                show::json_object(true, json::of(&value), run, None);
                ExitCode::SUCCESS
            }
            Ok(Ended { value, rehearsal }) => {
                // what a rehearsal returns is of a beam that nobody moved
                if !value.is_unit() && rehearsal.is_none() {
                    show::line(show::value(&value));
                }
                if let Some(text) = rehearsal {
                    show::line(text);
                }
                if let Some(file) = run.get("record").and_then(Value::as_str).filter(|_| work.title != "eval") {
                    show::line(format!("record: {file}"));
                }
                ExitCode::SUCCESS
            }
            Err(error) => {
                let code = ExitCode::from(error.kind.exit_code());
                if common.json {
                    show::json_object(false, Value::Null, run, Some(&error));
                } else {
                    show::error(&error);
                }
                code
            }
        }
    }
}
