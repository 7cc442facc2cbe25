//! A prompt on a fresh twin of `demo_ring`, set up as the program sets one up.

use fodo_builtins::{Context, Progress, Runs, Task};
use fodo_control::{Cancel, RunInfo, Session, SessionOptions, WriteMode};
use fodo_devices::{Facility, Folder};
use fodo_language::{Library, Prompt, Resolver, Setup, Silent, Sources, engine, run_on_script_thread};
use fodo_procedure::{Known, Procedures};
use fodo_report::{Diagnostic, Kind, Result};
use fodo_simulator::Simulator;
use fodo_tests::project;
use fodo_twin::{Twin, TwinOptions};
use rhai::{Dynamic, Engine, Map};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

struct Quiet;

impl Progress for Quiet {
    fn step(&self, _: &str, _: usize, _: usize) {}
}

/// Runs procedures beside the script that has started them.
#[derive(Default)]
struct Beside(Mutex<Vec<Task>>);

impl Runs for Beside {
    fn start(&self, context: &Context, name: &str, options: &Map) -> Result<Task> {
        let task = Task::new(self.all().len() + 1, name, Cancel::new());
        let session = Arc::new(context.session.beside(WriteMode::Write, task.cancel().clone()));
        let beside = Arc::new(context.beside(session.clone(), Arc::new(Silent), Arc::new(task.clone())));
        let (engine, procedures) = set_up(beside.clone(), &Sources::new());
        let (procedure, values) = procedures.beside(&engine, context, &session, &task, options)?;
        self.0.lock().unwrap().push(task.clone());
        let running = task.clone();
        std::thread::spawn(move || {
            let run = || {
                session.begin(RunInfo::default(), &[])?;
                let called = procedures.call(&engine, &beside, &procedure, &values);
                _ = called.map_err(|error| Diagnostic::new(Kind::Script, error.to_string()))?;
                session.commit()
            };
            running.end(run_on_script_thread(run).and_then(|ended| ended).map(|_| Dynamic::UNIT));
        });
        Ok(task)
    }

    fn all(&self) -> Vec<Task> {
        self.0.lock().unwrap().clone()
    }
}

/// An engine with builtins, libraries and procedures for a context.
fn set_up(context: Arc<Context>, sources: &Sources) -> (Engine, Arc<Procedures>) {
    let (stopped, facility) = (context.cancel().clone(), context.facility.clone());
    let stopped = Arc::new(move || stopped.is_stopped());
    let mut engine = engine(Setup { stopped, output: Arc::new(Silent), max_operations: 0, memory: None });
    engine.set_module_resolver(Resolver::new(vec![Arc::new(Scripts::of("stdlib"))], sources.clone()));
    fodo_builtins::register(&mut engine, &facility);
    let procedures = Procedures::new(Arc::new(Scripts::of("procedures")), sources.clone());
    procedures.register(&mut engine);
    context.install(&mut engine);
    sources.know(facility.families.iter().map(|f| f.name.to_string()).chain(fodo_builtins::constants()));
    (engine, procedures)
}

/// Scripts of a folder by name.
struct Scripts(BTreeMap<String, (String, Arc<str>)>);

impl Scripts {
    fn of(folder: &str) -> Scripts {
        let read = |path: &std::path::PathBuf| -> (String, (String, Arc<str>)) {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            (stem, (path.display().to_string(), std::fs::read_to_string(path).unwrap().into()))
        };
        Scripts(files(folder, "rhai").iter().map(read).collect())
    }
}

impl Library for Scripts {
    fn find(&self, name: &str, _from: Option<&str>) -> Option<(String, Arc<str>)> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// All files below a folder of the project with an ending.
pub fn files(folder: &str, ending: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![project().join(folder)];
    while let Some(folder) = open.pop() {
        for path in std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()) {
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|e| e == ending) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// The facility that a page says its scripts are for (`**Facility:**`).
pub fn facility_of(path: &str) -> String {
    let text = std::fs::read_to_string(project().join(path)).unwrap_or_default();
    let said = text.split("**Facility:** `").nth(1).and_then(|rest| rest.split('`').next());
    said.unwrap_or("demo_ring").to_string()
}

fn shipped(facility: &str) -> Arc<Facility> {
    // scripts name files from the project's folder
    std::env::set_current_dir(project()).unwrap();
    Arc::new(Facility::load(Arc::new(Folder(project().join("facilities").join(facility)))).unwrap())
}

/// A machine, an engine and a prompt.
pub struct Bench {
    pub engine: Engine,
    session: Arc<Session>,
    prompt: Prompt,
    facility: Arc<Facility>,
    procedures: Arc<Procedures>,
}

impl Bench {
    pub fn new() -> Bench {
        static FACILITY: OnceLock<Arc<Facility>> = OnceLock::new();
        Bench::of(FACILITY.get_or_init(|| shipped("demo_ring")).clone())
    }

    /// On another shipped facility.
    pub fn on(facility: &str) -> Bench {
        Bench::of(shipped(facility))
    }

    fn of(facility: Arc<Facility>) -> Bench {
        let twin = Arc::new(Twin::new(&facility, TwinOptions::default()).unwrap());
        let backend = Arc::new(Simulator::new(twin.clone()));
        let options = SessionOptions { journals: None, leases: None, wait: None, reconnect: None };
        let session = Arc::new(Session::new(backend, WriteMode::Write, Cancel::new(), options));
        let context = Context::new(facility.clone(), session.clone(), Arc::new(Silent), Arc::new(Quiet), 100);
        let context = context
            .with_history(None, Some(twin))
            .with_snapshots(fodo_records::Snapshots::in_memory())
            .with_results(fodo_records::Results::in_memory())
            .with_runs(Arc::new(Beside::default()));
        let sources = Sources::new();
        let (engine, procedures) = set_up(Arc::new(context), &sources);
        Bench { engine, session, prompt: Prompt::new(sources), facility, procedures }
    }

    /// What the check compares scripts with.
    pub fn known(&self) -> Known {
        let libraries: Vec<Arc<dyn Library>> = vec![Arc::new(Scripts::of("stdlib"))];
        Known::new(&self.engine, self.facility.clone(), &self.procedures, libraries)
    }

    /// One input: a run that is committed, or put back.
    pub fn line(&mut self, input: &str) -> Result<Dynamic> {
        let info = RunInfo {
            run: "test".into(),
            title: input.trim().to_string(),
            facility: "demo_ring".into(),
            machine: "twin".into(),
            process: std::process::id(),
            start: 0.0,
        };
        let (session, prompt, engine) = (&self.session, &mut self.prompt, &self.engine);
        run_on_script_thread(|| {
            session.begin(info, &[])?;
            let value = prompt.evaluate(engine, input).and_then(|value| session.commit().map(|_| value));
            value.map_err(|error| Diagnostic { machine: Some(session.abort().to_string()), ..*error }.into())
        })?
    }

    /// A whole text in one run, as `fodo run FILE` does.
    pub fn script(&mut self, text: &str) -> Result<Dynamic> {
        self.line(text)
    }
}

/// The complete inputs of a text with the line each begins at, from 0, as one types them at the prompt.
pub fn inputs(text: &str) -> Vec<(usize, String)> {
    let engine = Engine::new_raw();
    let mut found = Vec::new();
    let (mut begin, mut input) = (0, String::new());
    for (number, line) in text.lines().enumerate() {
        if input.is_empty() {
            begin = number;
        }
        input.push_str(line);
        input.push('\n');
        if Prompt::is_complete(&engine, &input) {
            found.push((begin, std::mem::take(&mut input)));
        }
    }
    if !input.trim().is_empty() {
        found.push((begin, input));
    }
    found.retain(|(_, input)| input.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with("//")));
    found
}
