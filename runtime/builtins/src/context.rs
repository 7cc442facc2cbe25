//! What a builtin works on: the facility, the session, the model.

use crate::guard::OrbitGuard;
use crate::model::{LazyModel, Model};
use crate::orbit::Golden;
use crate::started::Runs;
use fodo_control::{Archive, Cancel, Session, Time, Trainer, WriteMode};
use fodo_devices::{Device, Facility, Family};
use fodo_language::{Outcome, Output, internal_error};
use fodo_measure::Sampling;
use fodo_records::{Results, Snapshots};
use fodo_report::{Diagnostic, Kind, Result};
use rhai::{Dynamic, Engine, NativeCallContext};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Long work says how far it is: phase, done, of.
pub trait Progress: Send + Sync {
    /// One step further.
    fn step(&self, phase: &str, done: usize, of: usize);
}

/// Nobody sees how far it is.
pub struct Quiet;

impl Progress for Quiet {
    fn step(&self, _: &str, _: usize, _: usize) {}
}

/// Everything the builtins of one run work on; carried in the engine's tag.
pub struct Context {
    /// The facility.
    pub facility: Arc<Facility>,
    /// The machine.
    pub session: Arc<Session>,
    /// Where printing and plots go.
    pub output: Arc<dyn Output>,
    /// Who shows progress.
    pub progress: Arc<dyn Progress>,
    /// Columns a plot may take.
    pub width: usize,
    model: Arc<LazyModel>,
    guard: Option<Arc<OrbitGuard>>,
    archive: Option<Arc<dyn Archive>>,
    snapshots: Option<Snapshots>,
    results: Option<Results>,
    golden: Arc<Golden>,
    /// When a trigger was fired last, on the clock of its control system.
    fired: Mutex<Option<Time>>,
    runs: Option<Arc<dyn Runs>>,
    beside: bool,
    trainer: Option<Arc<dyn Trainer>>,
    connected: Mutex<Connected>,
}

/// What has been connected: channels, and devices by their addresses.
#[derive(Default)]
struct Connected {
    channels: HashSet<Arc<str>>,
    devices: HashMap<usize, Arc<Device>>,
}

impl Context {
    /// A context on a machine.
    pub fn new(
        facility: Arc<Facility>,
        session: Arc<Session>,
        output: Arc<dyn Output>,
        progress: Arc<dyn Progress>,
        width: usize,
    ) -> Context {
        let model = Arc::new(LazyModel::new(facility.clone()));
        let guard = OrbitGuard::new(&facility, &model).map(Arc::new);
        session.guard_with(guard.clone().map(|guard| guard as Arc<dyn fodo_control::Guard>));
        let connected = Mutex::default();
        Context {
            facility,
            session,
            output,
            progress,
            width,
            model,
            guard,
            archive: None,
            fired: Mutex::default(),
            snapshots: None,
            results: None,
            golden: Arc::default(),
            runs: None,
            beside: false,
            trainer: None,
            connected,
        }
    }

    /// With the archive that `history` asks, and the twin of this program where it is the machine.
    pub fn with_history(self, archive: Option<Arc<dyn Archive>>, trainer: Option<Arc<dyn Trainer>>) -> Context {
        Context { archive, trainer, ..self }
    }

    /// With a folder for snapshots.
    pub fn with_snapshots(self, snapshots: Snapshots) -> Context {
        Context { snapshots: Some(snapshots), ..self }
    }

    /// With a folder for results.
    pub fn with_results(self, results: Results) -> Context {
        Context { results: Some(results), ..self }
    }

    /// With somebody who runs procedures beside the present run.
    pub fn with_runs(self, runs: Arc<dyn Runs>) -> Context {
        Context { runs: Some(runs), ..self }
    }

    /// The context of a run beside this one: the same machine and model, told to others.
    pub fn beside(&self, session: Arc<Session>, output: Arc<dyn Output>, progress: Arc<dyn Progress>) -> Context {
        Context {
            facility: self.facility.clone(),
            session,
            output,
            progress,
            width: self.width,
            model: self.model.clone(),
            guard: self.guard.clone(),
            archive: self.archive.clone(),
            fired: Mutex::default(),
            snapshots: self.snapshots.clone(),
            results: self.results.clone(),
            golden: self.golden.clone(),
            runs: None,
            beside: true,
            trainer: self.trainer.clone(),
            connected: Mutex::default(),
        }
    }

    /// Whether it is that of a run beside the one at the prompt.
    pub fn is_beside(&self) -> bool {
        self.beside
    }

    /// Who runs procedures beside this run; nobody beside a task.
    pub fn runs(&self) -> Option<&Arc<dyn Runs>> {
        self.runs.as_ref()
    }

    /// Where snapshots are kept.
    ///
    /// # Errors
    /// Kind `usage`: nowhere.
    pub fn snapshots(&self) -> Result<&Snapshots> {
        self.snapshots
            .as_ref()
            .ok_or_else(|| Diagnostic::new(Kind::Usage, "this session has no folder for snapshots").into())
    }

    /// Where results are kept.
    ///
    /// # Errors
    /// Kind `usage`: nowhere.
    pub fn results(&self) -> Result<&Results> {
        let none = || Diagnostic::new(Kind::Usage, "this session has no folder for results").into();
        self.results.as_ref().ok_or_else(none)
    }

    /// Whether what procedures return is kept of itself: not in tests, and not in a rehearsal.
    pub(crate) fn keeps_results(&self) -> bool {
        (self.runs.is_some() || self.beside) && self.session.mode() != WriteMode::Rehearse
    }

    /// The facility's archive.
    ///
    /// # Errors
    /// Kind `usage`: it has none.
    pub fn archive(&self) -> Result<&Arc<dyn Archive>> {
        let none = || {
            Diagnostic::new(Kind::Usage, format!("{} names no archive to ask", self.facility.name)).hint(
                "facility.toml says where it is: [archive] kind = \"appliance\", url = \"http://HOST:17668/retrieval\"",
            )
        };
        self.archive.as_ref().ok_or_else(|| none().into())
    }

    /// Whether the machine is the twin of this program.
    pub fn is_twin(&self) -> bool {
        self.trainer.is_some()
    }

    /// Who lets things go wrong with the twin of this program.
    pub fn trainer(&self) -> Option<&Arc<dyn Trainer>> {
        self.trainer.as_ref()
    }

    /// The golden orbit that this session was told.
    pub(crate) fn golden(&self) -> &Golden {
        &self.golden
    }

    /// Makes it the context of an engine's builtins.
    pub fn install(self: Arc<Context>, engine: &mut Engine) {
        engine.set_default_tag(Dynamic::from(self));
    }

    /// The design model, made when first asked for.
    pub fn model(&self) -> &Arc<Model> {
        self.model.get()
    }

    /// Who watches over the predicted orbit, if the facility states a limit.
    pub fn guard(&self) -> Option<&OrbitGuard> {
        self.guard.as_deref()
    }

    /// The token that stops the run.
    pub fn cancel(&self) -> &Cancel {
        self.session.cancel()
    }

    /// One step of long work is done: says how far it is, and waits while the run is paused.
    ///
    /// # Errors
    /// `stopped`; `machine`: a watcher says that the run may not go on.
    pub fn step(&self, phase: &str, done: usize, of: usize) -> Result<()> {
        self.progress.step(phase, done, of);
        self.session.step()
    }

    /// A trigger was fired and has arrived: what is kept turn by turn has to be later.
    pub fn has_fired(&self) {
        *self.fired.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.session.arrived());
    }

    /// When a trigger was fired last, if this session fired one.
    pub fn fired(&self) -> Option<Time> {
        *self.fired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects all channels of devices that have not been asked for before, in one go.
    pub fn connect<'d>(&self, devices: impl IntoIterator<Item = &'d Arc<Device>>) -> Outcome<()> {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        // every reading asks: a device is known by its address, which it keeps as long as it is kept here
        let place = |device: &Arc<Device>| Arc::as_ptr(device).addr();
        let fresh: Vec<_> =
            devices.into_iter().filter(|device| !connected.devices.contains_key(&place(device))).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut channels = Vec::new();
        for field in fresh.iter().flat_map(|device| &device.fields) {
            let set = field.setpoint.iter().map(|s| &s.channel);
            for channel in set.chain(field.source.iter().map(|s| &s.channel)) {
                if connected.channels.insert(channel.clone()) {
                    channels.push(channel.clone());
                }
            }
        }
        let answer = self.session.connect(&channels);
        match answer {
            Ok(_) => connected.devices.extend(fresh.into_iter().map(|device| (place(device), device.clone()))),
            // they may be there the next time
            Err(_) => channels.iter().for_each(|channel| _ = connected.channels.remove(channel)),
        }
        fodo_language::OrFail::or_fail(answer)
    }
}

/// The context of the running script.
pub fn here(context: &NativeCallContext) -> Outcome<Arc<Context>> {
    let found = context.tag().and_then(|tag| tag.read_lock::<Arc<Context>>().map(|c| c.clone()));
    found.ok_or_else(|| internal_error("a builtin was called without its context"))
}

/// How a family's readings are sampled, unless a script says otherwise.
pub fn sampling(family: &Family, settle: Duration) -> Sampling {
    Sampling { settle: settle.max(family.settle), period: family.period, shots: family.average }
}
