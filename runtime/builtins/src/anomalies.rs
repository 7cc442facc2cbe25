//! What goes wrong with the twin on purpose.

use crate::context::{Context, here};
use crate::families::{Member, document};
use crate::history::TwinHandle;
use fodo_control::{Happened, Trainer, Victim};
use fodo_language::{OrFail, Outcome, fail};
use fodo_report::{Diagnostic, Kind};
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// The trainer of the twin, for who may be one: scripts and tests, no procedure.
fn trainer(context: &Context) -> Outcome<&dyn Trainer> {
    if context.session.is_narrowed() {
        let message = "a procedure runs on any machine as it is, and cannot let things go wrong with it";
        let how = "start the anomaly at the prompt or in the test, then call the procedure";
        return Err(fail(Diagnostic::new(Kind::Rights, message).hint(how).into()));
    }
    let live = || {
        let message = "only the twin of this program can be made to go wrong, and this is a live machine";
        fail(Diagnostic::new(Kind::Rights, message).hint("start with --on twin").into())
    };
    context.trainer().map(AsRef::as_ref).ok_or_else(live)
}

fn anomalies(trainer: &dyn Trainer) -> Array {
    let on = trainer.going_wrong();
    let told = |(name, kind): (std::sync::Arc<str>, &'static str)| {
        let devices = on.iter().filter(|active| active.name == name);
        let devices: Array = devices.map(|active| active.device.clone().map_or(Dynamic::UNIT, Dynamic::from)).collect();
        let mut map = Map::new();
        map.insert("name".into(), name.to_string().into());
        map.insert("kind".into(), kind.into());
        map.insert("on".into(), (!devices.is_empty()).into());
        map.insert("devices".into(), devices.into_iter().filter(|device| !device.is_unit()).collect::<Array>().into());
        map.into()
    };
    trainer.anomalies().into_iter().map(told).collect()
}

fn event(event: Happened) -> Dynamic {
    let mut map = Map::new();
    map.insert("time".into(), event.time.utc().into());
    map.insert("name".into(), event.name.to_string().into());
    map.insert("kind".into(), event.kind.into());
    map.insert("device".into(), event.device.map_or(Dynamic::UNIT, Dynamic::from));
    map.insert("begins".into(), event.begins.into());
    map.insert("cause".into(), event.cause.into());
    map.into()
}

fn start(context: &Context, name: &str, victim: Option<Victim<'_>>) -> Outcome<()> {
    trainer(context)?.start(name, victim).or_fail()
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "anomalies",
        ["twin: twin", "array"],
        "/// Lists what can go wrong with the twin, as `[anomalies]` of twin.toml says.\n///\n\
         /// # Returns\n/// A map each: `#{ name, kind, on, devices }`, `on` while it goes on, at these devices.\n///\n\
         /// # Errors\n/// - `rights`: this is a live machine, or a procedure runs.\n///\n\
         /// # Example\n/// ```rhai\n/// print(twin.anomalies().map(|a| a.name));\n/// ```",
        |c: NativeCallContext, _twin: TwinHandle| {
            Ok::<_, Box<rhai::EvalAltResult>>(anomalies(trainer(&*here(&c)?)?))
        }
    );
    document!(
        engine,
        "start_anomaly",
        ["twin: twin", "name: text", "()"],
        "/// Lets something go wrong with the twin, at the first device that it may happen to.\n///\n\
         /// It goes on until `stop_anomaly`, or for the time that twin.toml says. The record of a run says what went wrong meanwhile.\n///\n\
         /// # Parameters\n/// - `name`: one of `twin.anomalies()`.\n///\n\
         /// # On the machine\n/// None: a live machine is never touched.\n///\n\
         /// # Errors\n/// - `usage`: there is no such anomaly, or it goes on already.\n/// - `rights`: this is a live machine, or a procedure runs.\n///\n\
         /// # Example\n/// ```rhai\n/// twin.start_anomaly(\"corrector_lost\");\n/// twin.stop_anomaly(\"corrector_lost\");\n/// ```",
        |c: NativeCallContext, _twin: TwinHandle, name: &str| start(&*here(&c)?, name, None)
    );
    document!(
        engine,
        "start_anomaly",
        ["twin: twin", "name: text", "device: device or text", "()"],
        "/// Lets something go wrong with the twin at a device, or at an element of the lattice; see `start_anomaly(twin, name)`.\n///\n\
         /// # Example\n/// ```rhai\n/// twin.start_anomaly(\"monitor_dead\", BPM[3]);\n\
         /// twin.stop_anomaly(\"monitor_dead\");\n/// ```",
        |c: NativeCallContext, _twin: TwinHandle, name: &str, device: Member| {
            let device = &device.device;
            start(&*here(&c)?, name, Some(Victim { family: Some(&device.family), name: &device.name }))
        }
    );
    document!(
        engine,
        "start_anomaly",
        ["twin: twin", "name: text", "device: text", "()"],
        "/// The same with the name of the device or element.",
        |c: NativeCallContext, _twin: TwinHandle, name: &str, device: &str| {
            start(&*here(&c)?, name, Some(device.into()))
        }
    );
    document!(
        engine,
        "stop_anomaly",
        ["twin: twin", "name: text", "()"],
        "/// Ends what goes wrong under a name, wherever it does; nothing is left of it.\n///\n\
         /// # Errors\n/// - `usage`: there is no such anomaly, or it does not go on.\n/// - `rights`: this is a live machine, or a procedure runs.\n///\n\
         /// # Example\n/// ```rhai\n/// twin.start_anomaly(\"beam_lost\");\n/// twin.stop_anomaly(\"beam_lost\");\n/// ```",
        |c: NativeCallContext, _twin: TwinHandle, name: &str| trainer(&*here(&c)?)?.stop(name).or_fail()
    );
    document!(
        engine,
        "happened",
        ["twin: twin", "array"],
        "/// Lists what went wrong with the twin since it was started, the oldest first.\n///\n\
         /// # Returns\n/// A map each: `#{ time, name, kind, device, begins, cause }`; `begins` is false where it was over.\n///\n\
         /// # Errors\n/// - `rights`: this is a live machine, or a procedure runs.\n///\n\
         /// # Example\n/// ```rhai\n/// for event in twin.happened() { print(`${event.time} ${event.name}`); }\n/// ```",
        |c: NativeCallContext, _twin: TwinHandle| {
            let context = here(&c)?;
            let all = trainer(&context)?.happened(fodo_control::Time(i64::MIN));
            Ok::<Array, Box<rhai::EvalAltResult>>(all.into_iter().map(event).collect())
        }
    );
}
