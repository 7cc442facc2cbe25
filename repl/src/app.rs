//! A facility, a machine and an engine, opened as the command line says.

use crate::beside::Beside;
use crate::board::board;
use crate::command::{Common, Machine};
use crate::shelf::{self, Shelf};
use crate::test::{Trouble, Troubled, Writes};
use crate::warn::Warnings;
use crate::{backends, library, limits, show, sources};
use fodo_builtins::{Context, Progress};
use fodo_control::{
    Backend, Cancel, Entries, JournalFolder, LeaseFolder, Observer, Recovery, RunInfo, Session, SessionOptions, Time,
    Trainer, WriteMode,
};
use fodo_devices::Facility;
use fodo_language::{Library, Output, Resolver, Setup, Sources};
use fodo_libraries::{Installed, Lock, Pinned};
use fodo_procedure::Procedures;
use fodo_records::{All, ChangeLog, ChannelNote, LibraryNote, Record, Results, RunCard, Snapshots, Writer};
use fodo_report::{Diagnostic, Kind, Result};
use fodo_twin::{Twin, TwinOptions};
use rhai::Engine;
use sha2::{Digest, Sha256};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Everything a run works with.
pub struct App {
    pub ground: Arc<Ground>,
    pub session: Arc<Session>,
    pub context: Arc<Context>,
    pub engine: Engine,
    pub sources: Sources,
    pub procedures: Arc<Procedures>,
    /// Where imports are looked up, in this order.
    pub libraries: Vec<Arc<dyn Library>>,
    /// Who wrote what; of a live machine only.
    pub changes: Option<Arc<ChangeLog>>,
    /// What the operator was told while something ran.
    pub warnings: Arc<Warnings>,
}

/// What all runs of the program share.
pub struct Ground {
    pub facility: Arc<Facility>,
    pub machine: Machine,
    pub mode: WriteMode,
    pub role: Option<Arc<str>>,
    pub seed: Option<u64>,
    pub data: PathBuf,
    /// How long a run may take.
    pub longest: Duration,
    /// The twin behind `--on twin`; only tests ask it for its truth.
    pub twin: Option<Arc<Twin>>,
    common: Common,
    /// The libraries of other laboratories.
    pub installed: Arc<Installed>,
    /// Scripts in this folder can be called and imported by name, too.
    beside: Option<PathBuf>,
}

impl Deref for App {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

/// What is around the scripts that run.
pub struct Around<'p> {
    /// Where printing goes.
    pub output: Arc<dyn Output>,
    /// Where progress goes.
    pub progress: Arc<dyn Progress>,
    /// Where goes what the operator has to know.
    pub notes: Arc<dyn Output>,
    /// What stops them.
    pub cancel: Cancel,
    /// A folder whose scripts can be called and imported by name, too.
    pub beside: Option<&'p Path>,
    /// What goes wrong on this machine, where a test wants to see what becomes of it.
    pub trouble: Option<(Trouble, Writes)>,
}

impl Ground {
    /// An engine, its libraries and procedures on a session and context.
    pub fn app(self: &Arc<Ground>, context: Context, notes: Arc<dyn Output>) -> App {
        let Ground { facility, common, installed, beside, data, .. } = self.as_ref();
        let sources = Sources::new();
        let (session, context) = (context.session.clone(), Arc::new(context));
        let mut engine = engine(common, &session, context.output.clone());
        let libraries: Vec<Arc<dyn Library>> = vec![installed.clone(), Arc::new(Shelf::stdlib(beside.as_deref()))];
        engine.set_module_resolver(Resolver::new(libraries.clone(), sources.clone()));
        fodo_builtins::register(&mut engine, facility);
        let shelf = Shelf::procedures(&common.procedures, beside.as_deref(), installed.clone());
        let procedures = Procedures::new(Arc::new(shelf), sources.clone());
        procedures.register(&mut engine);
        context.clone().install(&mut engine);
        sources.know(facility.families.iter().map(|f| f.name.to_string()).chain(fodo_builtins::constants()));
        let changes = (common.on == Machine::Live).then(|| change_log(facility, self.role.as_deref(), data));
        let warnings = Arc::new(Warnings::new(notes));
        App { ground: self.clone(), session, context, engine, sources, procedures, libraries, changes, warnings }
    }
}

impl App {
    /// Opens facility and machine.
    pub fn open(common: &Common) -> Result<App> {
        App::beside(common, None)
    }

    /// Opens facility and machine; scripts in a folder can be called and imported by name, too.
    pub fn beside(common: &Common, beside: Option<&Path>) -> Result<App> {
        let files = shelf::facility(&common.facility)?;
        let installed = Installed::load(&Lock::read(&*files)?, &library::store(common)?)?;
        if common.json {
            board().leave_output();
        }
        let (output, progress) = (Arc::new(show::Printer { json: common.json }), Arc::new(show::Bar::default()));
        let around =
            Around { output, progress, notes: Arc::new(show::Notes), cancel: cancel().clone(), beside, trouble: None };
        App::on(common, Arc::new(Facility::load(files)?), around, Arc::new(installed))
    }

    /// Opens the machine of a facility with its libraries.
    pub fn on(common: &Common, facility: Arc<Facility>, around: Around, installed: Arc<Installed>) -> Result<App> {
        let twin = match common.on {
            Machine::Twin => {
                Some(Arc::new(Twin::new(&facility, TwinOptions { seed: common.seed, ..TwinOptions::default() })?))
            }
            Machine::Live => None,
        };
        let seed = twin.as_ref().map(|twin| twin.seed());
        let backend: Arc<dyn Backend> = match &twin {
            Some(twin) => Arc::new(fodo_simulator::Simulator::new(twin.clone())),
            None => sources::live(&facility, common)?,
        };
        let mode = mode(common);
        let data = data_folder(common)?;
        if common.on == Machine::Live {
            interrupted(&data, mode)?;
        }
        let Around { output, progress, notes, cancel, beside, trouble } = around;
        let tested = trouble.is_some();
        let backend = match trouble {
            Some((trouble, writes)) => Arc::new(Troubled { inner: backend, trouble, writes, cancel: cancel.clone() }),
            None => backend,
        };
        let session = session(common, &facility, backend, mode, &data, cancel);
        // the twin of this process is everybody's own
        let free = common.on == Machine::Twin && (mode == WriteMode::Write || tested);
        let acting = facility.acting(common.role.as_deref())?.filter(|_| !free);
        let role = acting.as_ref().map(|acting| acting.role.name.clone());
        session.act_as(acting);
        let owners = facility.feedbacks.iter().filter(|feedback| !feedback.owns.is_empty());
        session.owned_by(owners.map(fodo_devices::Feedback::owner).collect());
        let context = Context::new(facility.clone(), session.clone(), output, progress, show::width());
        // tests run side by side, each from the same beginning
        let (snapshots, results) = match beside {
            None => (Snapshots::in_folder(&data, &facility.name), Results::in_folder(&data, &facility.name)),
            Some(_) => (Snapshots::in_memory(), Results::in_memory()),
        };
        let context = context
            .with_history(backends::archive(&facility)?, twin.clone().map(|twin| twin as Arc<dyn Trainer>))
            .with_snapshots(snapshots)
            .with_results(results);
        let ground = Arc::new(Ground {
            twin,
            facility,
            machine: common.on,
            mode,
            role,
            seed,
            data,
            longest: limits::longest(common)?,
            common: common.clone(),
            installed,
            beside: beside.map(Path::to_path_buf),
        });
        // tests run side by side already, and keep no records
        let context = match beside {
            None => context.with_runs(Arc::new(Beside(ground.clone()))),
            Some(_) => context,
        };
        Ok(ground.app(context, notes))
    }

    /// The machine in words, with the families that something else answers for.
    pub fn machine(&self) -> String {
        match self.machine {
            Machine::Live => sources::words(&self.facility),
            Machine::Twin => self.machine.word().to_uppercase(),
        }
    }

    /// Facility, machine and write state in words.
    pub fn state(&self) -> String {
        let mut state = show::state(&self.facility.name, &self.machine(), self.mode);
        if cancel().is_held() {
            state.push_str(" PANIC STOP");
        }
        self.role.as_ref().map_or(state.clone(), |role| format!("{state} as {role}"))
    }

    /// Families that something else than the machine answers for.
    pub fn other_sources(&self) -> BTreeMap<String, String> {
        if self.machine == Machine::Live { sources::by_family(&self.facility) } else { BTreeMap::new() }
    }

    /// The card of a record that starts now, but for what runs.
    pub fn card(&self) -> RunCard {
        let tables = self.facility.tables();
        RunCard {
            facility: self.facility.name.to_string(),
            facility_sha256: fingerprint(tables.iter().flat_map(|(path, text)| [path.as_bytes(), text.as_bytes()])),
            machine: self.machine.word().to_string(),
            sources: self.other_sources(),
            libraries: self.installed.pinned().map(note).collect(),
            rights: self.rights().to_string(),
            seed: self.seed,
            operator: fodo_control::user(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            start: Time::wall(),
            ..RunCard::default()
        }
    }

    /// Whether it may write, for records and JSON.
    pub fn rights(&self) -> &'static str {
        match self.mode {
            WriteMode::ReadOnly => "read-only",
            WriteMode::Rehearse => "rehearse",
            WriteMode::Write => "write",
        }
    }

    /// Lets the record, the change log and the operator be told what happens.
    pub fn observe(&self, record: Arc<Record>) {
        let record: Arc<dyn Observer> = record;
        let log = self.changes.iter().map(|log| log.clone() as Arc<dyn Observer>);
        let warnings: Arc<dyn Observer> = self.warnings.clone();
        self.session.observe_with(Some(Arc::new(All(log.chain([record, warnings]).collect()))));
    }

    /// Unit and name of every channel, for the record.
    pub fn channel_notes(&self) -> Vec<ChannelNote> {
        sources::channel_notes(&self.facility.families)
    }

    /// A new run of this program.
    pub fn run_info(&self, run: String, title: &str) -> RunInfo {
        RunInfo {
            run,
            title: title.to_string(),
            facility: self.facility.name.to_string(),
            machine: self.machine.word().to_string(),
            process: std::process::id(),
            start: Time::wall().seconds(),
        }
    }
}

fn note(library: Pinned) -> LibraryNote {
    let Pinned { name, version, revision, content } = library;
    LibraryNote { name, version, revision, content_sha256: content }
}

/// The change log of a facility, for what this operator writes.
pub fn change_log(facility: &Facility, role: Option<&str>, data: &Path) -> Arc<ChangeLog> {
    let (user, host) = (fodo_control::user(), fodo_control::host());
    let writer = Writer { user, host, role: role.map(String::from), ..Writer::default() };
    Arc::new(ChangeLog::new(&crate::changes::folder(data), &facility.name, sources::by_family(facility), writer))
}

/// SHA-256 of texts, hexadecimal.
pub fn fingerprint<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> String {
    let mut hash = Sha256::new();
    texts.into_iter().for_each(|text| hash.update(text));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says loudly that earlier runs were interrupted; nothing is written on top of what they left.
fn interrupted(data: &Path, mode: WriteMode) -> Result<()> {
    let runs = Recovery::scan(&JournalFolder(data.join("journal")))?.runs;
    if runs.is_empty() {
        return Ok(());
    }
    let run = |run: &fodo_control::Interrupted| {
        format!("{} of {} on {}: {} setpoints", run.info.title, run.info.run, run.info.facility, run.channels().len())
    };
    let warning = Diagnostic::new(Kind::Machine, "an earlier run was interrupted, and what it changed may still stand")
        .details(runs.iter().map(run))
        .hint("`fodo recover` shows what it left, `fodo recover --write` puts it back; then run again");
    match mode {
        WriteMode::Write => Err(warning.machine("nothing was written").into()),
        _ => {
            show::error(&warning);
            Ok(())
        }
    }
}

fn engine(common: &Common, session: &Arc<Session>, output: Arc<dyn Output>) -> Engine {
    let cancel = session.cancel().clone();
    let stopped = Arc::new(move || cancel.is_stopped());
    let memory = Some(limits::memory(common));
    fodo_language::engine(Setup { stopped, output, max_operations: 0, memory })
}

/// Opens a machine for reading and, if asked, writing.
pub fn session(
    common: &Common,
    facility: &Facility,
    backend: Arc<dyn Backend>,
    mode: WriteMode,
    data: &Path,
    cancel: Cancel,
) -> Arc<Session> {
    let live = common.on == Machine::Live;
    let options = SessionOptions {
        // the twin ends with the process, and with it everything a run changed
        journals: live.then(|| JournalFolder(data.join("journal"))),
        leases: live.then(|| leases(common, facility, data)),
        wait: Some(Duration::from_secs_f64(common.timeout.clamp(0.01, 3600.0))),
        reconnect: None,
    };
    // the knots of a booster's wave forms are entries of rows
    let backend = if facility.cycle.is_some() { Arc::new(Entries::new(backend)) } else { backend };
    Arc::new(Session::new(backend, mode, cancel, options))
}

/// Where leases are kept: one folder for all sessions that may write the machine.
pub fn leases(common: &Common, facility: &Facility, data: &Path) -> LeaseFolder {
    let said = common.leases.clone().or_else(|| facility.leases.clone());
    LeaseFolder(said.unwrap_or_else(|| data.join("leases")))
}

/// The twin is free to write; a live machine needs `--write`.
fn mode(common: &Common) -> WriteMode {
    match (common.rehearse, common.on, common.write) {
        (true, _, _) => WriteMode::Rehearse,
        (false, Machine::Live, false) => WriteMode::ReadOnly,
        _ => WriteMode::Write,
    }
}

/// The token of this process, stopped by Ctrl-C, SIGTERM and SIGHUP; SIGQUIT, Ctrl-\, is the panic stop; SIGTSTP, Ctrl-Z,
/// pauses a run, and lets it go on. Ctrl-C and Ctrl-Z leave tasks alone.
pub fn cancel() -> &'static Cancel {
    static CANCEL: OnceLock<Cancel> = OnceLock::new();
    CANCEL.get_or_init(|| {
        let cancel = Cancel::new();
        if let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP]) {
            let stopping = cancel.clone();
            std::thread::spawn(move || {
                for signal in signals.forever() {
                    match signal {
                        SIGQUIT => {
                            show::panic_stop();
                            stopping.hold();
                        }
                        SIGTSTP => show::pause(stopping.pause_or_resume()),
                        SIGINT => stopping.stop(),
                        _ => {
                            // tasks first: who waits for them stops those that are not stopped yet
                            board().tasks().iter().for_each(|task| task.cancel().stop());
                            stopping.stop();
                        }
                    }
                }
            });
        }
        cancel
    })
}

/// Where records and journals are kept.
pub fn data_folder(common: &Common) -> Result<PathBuf> {
    if let Some(folder) = &common.data {
        return Ok(folder.clone());
    }
    let base = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    base.map(|base| base.join("fodo")).ok_or_else(|| {
        Diagnostic::new(Kind::Storage, "there is no home folder to keep records in")
            .hint("name a folder with --data DIR")
            .into()
    })
}
