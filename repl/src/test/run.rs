//! One run of one test: a facility, a fresh twin, the script.

use super::Run;
use super::cases::Test;
use super::promises::Trial;
use crate::app::{App, Around};
use crate::command::Common;
use crate::limits::{self, Bounded};
use crate::shelf;
use fodo_builtins::Quiet;
use fodo_control::{Cancel, Session};
use fodo_devices::{Facility, Files};
use fodo_language::{Output, diagnose, run_on_script_thread};
use fodo_libraries::Installed;
use fodo_report::{Diagnostic, Kind, Result};
use fodo_twin::{InjectionTruth, MonitorTruth, Truth, Twin};
use fodo_units::{Quantity, Unit};
use rhai::{CallFnOptions, Dynamic, Map, Scope};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a test is run on: loaded once, shared by its runs.
pub type Bench = Arc<Facility>;

/// The facility of each test, with its planted errors.
pub fn benches(common: &Common, tests: &[Test]) -> Result<Vec<Bench>> {
    let mut loaded: HashMap<(String, Option<Arc<str>>), Bench> = HashMap::new();
    let mut benches = Vec::with_capacity(tests.len());
    for test in tests {
        let name = test.facility.clone().unwrap_or_else(|| common.facility.clone());
        let key = (name, test.planted.clone());
        let bench = match loaded.get(&key) {
            Some(bench) => bench.clone(),
            None => {
                let files = shelf::facility(&key.0)?;
                let planted =
                    test.planted.clone().map(|table| Planted { files: files.clone(), table, test: test.file.clone() });
                let files = planted.map_or(files, |planted| Arc::new(planted) as Arc<dyn Files>);
                let bench = Arc::new(Facility::load(files)?);
                loaded.insert(key, bench.clone());
                bench
            }
        };
        benches.push(bench);
    }
    Ok(benches)
}

/// A facility whose twin has the errors that a test plants.
struct Planted {
    files: Arc<dyn Files>,
    table: Arc<str>,
    test: String,
}

impl Files for Planted {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        if path == "twin.toml" { Some(self.table.clone()) } else { self.files.text(path) }
    }

    fn shown(&self, path: &str) -> String {
        if path == "twin.toml" { format!("twin.toml in {}", self.test) } else { self.files.shown(path) }
    }

    fn folder(&self) -> Option<&std::path::Path> {
        self.files.folder()
    }

    fn beside(&self, name: &str) -> Option<Arc<dyn Files>> {
        // the facility that this one is based on plants nothing either
        let base = |files| Planted { files, table: "".into(), test: self.test.clone() };
        Some(Arc::new(base(self.files.beside(name)?)))
    }

    fn layers(&self, path: &str) -> Vec<(String, Arc<str>)> {
        // what a test plants is all that is wrong
        if path == "twin.toml" { vec![(self.shown(path), self.table.clone())] } else { self.files.layers(path) }
    }
}

/// Keeps what a script prints.
#[derive(Default)]
pub(super) struct Kept(Mutex<String>);

impl Output for Kept {
    fn print(&self, text: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(text);
        kept.push('\n');
    }
}

/// Runs a test with a seed.
pub fn run(common: &Common, test: &Test, seed: u64, bench: &Bench, installed: &Arc<Installed>) -> Run {
    let start = Instant::now();
    let kept = Arc::new(Kept::default());
    let common = Common { seed: Some(seed), ..common.clone() };
    let result = limits::longest_test(&common).and_then(|longest| {
        if let Some(promise) = test.promise {
            return Trial { common: &common, test, bench, installed, kept: &kept, longest }.keep(promise);
        }
        let (cancel, folder) = (Cancel::new(), test.folder());
        let around = Around {
            output: kept.clone(),
            progress: Arc::new(Quiet),
            notes: kept.clone(),
            cancel: cancel.clone(),
            beside: Some(&folder),
            trouble: None,
        };
        limits::within(&Bounded::Test(&test.name), longest, &cancel, || {
            let judged = run_on_script_thread(|| {
                let app = App::on(&common, bench.clone(), around, installed.clone())?;
                judge(test, &app, carry_out(&app, test, &mut |_| {}))
            });
            judged.and_then(|judged| judged)
        })
    });
    let error = result.err();
    let printed = std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner));
    Run { seed, time: start.elapsed(), error, printed }
}

/// The script in its transaction; the twin ends with the run. `look` sees the session before that ends.
pub(super) fn carry_out(app: &App, test: &Test, look: &mut dyn FnMut(&Session)) -> Result<()> {
    let tree = app.sources.compile(&app.engine, &test.file, &test.text)?;
    app.session.begin(app.run_info("test".into(), &test.name), &[])?;
    if test.foreign {
        app.session.narrow(app.facility.families.iter().map(|family| family.name.clone()).collect());
    }
    let mut scope = Scope::new();
    let truth = || app.twin.as_ref().map(|twin| truth(&app.facility, twin)).unwrap_or_default();
    let result = match &test.function {
        None => {
            // a variable of the script: what the script calls cannot see it
            scope.push_constant("truth", if test.text.contains("truth") { truth() } else { Map::new() });
            app.engine.eval_ast_with_scope::<Dynamic>(&mut scope, &tree)
        }
        Some(function) => {
            let arguments: Vec<Dynamic> = if function.takes_truth { vec![truth().into()] } else { Vec::new() };
            app.engine.call_fn_with_options(CallFnOptions::new(), &mut scope, &tree, &function.name, arguments)
        }
    };
    look(&app.session);
    let ended = match result {
        Ok(_) => app.session.commit().map(|_| ()),
        Err(error) => Err(diagnose(&app.engine, error, &test.file, &app.sources)),
    };
    if ended.is_err() {
        app.session.abort();
    }
    ended
}

/// Whether it ended as it should.
fn judge(test: &Test, app: &App, ended: Result<()>) -> Result<()> {
    let Some((line, text)) = &test.fails else { return ended };
    let place = app.sources.label(&test.file, rhai::Position::new((*line).min(u16::MAX.into()) as u16, 1));
    match ended {
        Ok(()) => {
            Err(Diagnostic::new(Kind::Script, format!("this line must fail and say `{text}`, and nothing failed"))
                .label(place)
                .into())
        }
        Err(error) if error.kind == Kind::Stopped => Err(error),
        Err(error) => {
            let here = error.labels.iter().any(|label| label.file == test.file && label.line == *line);
            // without the excerpt, which shows the comment itself
            let told = Diagnostic { labels: Vec::new(), ..(*error).clone() }.render(false);
            match here && told.contains(text.as_str()) {
                true => Ok(()),
                false => {
                    let message = format!("this line must fail and say `{text}`, and something else failed");
                    Err(Diagnostic::new(Kind::Script, message).label(place).cause(*error).into())
                }
            }
        }
    }
}

/// What is wrong with every device, by family and name: what a test compares a result with.
pub fn truth(facility: &Facility, twin: &Twin) -> Map {
    let hidden = &*twin.truth();
    let monitors: HashMap<(&str, &str), _> =
        twin.monitors().map(|(device, _, truth)| ((device.family.as_ref(), device.name.as_ref()), truth)).collect();
    let of_device = |device: &fodo_devices::Device| {
        let mut map = Map::new();
        if let Some(first) = device.elements.first() {
            let element = hidden.elements.get(first).cloned().unwrap_or_default();
            let stands = element.placement;
            map.extend([("dx", stands.dx, "m"), ("dy", stands.dy, "m"), ("dz", stands.dz, "m")].map(entry));
            map.extend([("roll", stands.roll, "rad"), ("pitch", stands.pitch, "rad")].map(entry));
            map.extend([("yaw", stands.yaw, "rad"), ("relative", element.relative, "1")].map(entry));
        }
        match monitors.get(&(device.family.as_ref(), device.name.as_ref())) {
            Some(monitor) => map.extend(of_monitor(monitor)),
            None => map.extend(of_supplies(device, hidden)),
        }
        (device.name.as_ref().into(), Dynamic::from(map))
    };
    let of_family = |family: &Arc<fodo_devices::Family>| {
        let devices: Map = family.devices.iter().map(|device| of_device(device)).collect();
        (family.name.as_ref().into(), Dynamic::from(devices))
    };
    let mut families: Map = facility.families.iter().map(of_family).collect();
    if facility.entrance.is_some() || facility.injection.is_some() {
        families.entry("injection".into()).or_insert_with(|| of_injection(&hidden.injection).into());
    }
    families
}

/// Where the beam enters beside the design, apart from the jitter of its shots.
fn of_injection(injection: &InjectionTruth) -> Map {
    let [x, px, y, py, delta, ct] = injection.offset;
    let mut map: Map =
        [("x", x, "m"), ("px", px, "rad"), ("y", y, "m"), ("py", py, "rad")].map(entry).into_iter().collect();
    map.extend([("delta", delta, "1"), ("ct", ct, "m"), ("charge", injection.charge, "1")].map(entry));
    map
}

/// How a monitor reads, where its element stands included.
fn of_monitor(monitor: &MonitorTruth) -> Map {
    let MonitorTruth { gain, offset, roll, coupling, polarity, noise, noise_turns, .. } = *monitor;
    let mut map: Map = [("noise", noise, "m"), ("noise_turns", noise_turns, "m"), ("roll", roll, "rad")]
        .map(entry)
        .into_iter()
        .collect();
    map.extend([("gain_x", gain[0], "1"), ("gain_y", gain[1], "1")].map(entry));
    map.extend([("offset_x", offset[0], "m"), ("offset_y", offset[1], "m")].map(entry));
    map.extend([("coupling_x", coupling[0], "1"), ("coupling_y", coupling[1], "1")].map(entry));
    map.extend([("polarity_x", polarity[0], "1"), ("polarity_y", polarity[1], "1")].map(entry));
    map
}

/// What each of the supplies of a device gives, by field; the gain of the first also by itself.
fn of_supplies(device: &fodo_devices::Device, hidden: &Truth) -> Map {
    let mut map = Map::new();
    for field in &device.fields {
        let supply = hidden.supply(&device.family, &device.name, &field.name);
        map.entry("gain".into()).or_insert_with(|| supply.gain.into());
        if field.setpoint.is_some() {
            let offset = Dynamic::from(Quantity::from_si(supply.offset, field.physics.clone()));
            let mut of_field: Map =
                [("gain", supply.gain, "1"), ("roll", supply.roll, "rad")].map(entry).into_iter().collect();
            of_field.extend([entry(("polarity", supply.polarity, "1")), ("offset".into(), offset)]);
            map.insert(field.name.as_ref().into(), of_field.into());
        }
    }
    map
}

fn entry((name, value, unit): (&str, f64, &str)) -> (rhai::Identifier, Dynamic) {
    let unit = Unit::parse(unit).unwrap_or_else(|_| Unit::none());
    let value = if unit.dimension().is_none() { value.into() } else { Dynamic::from(Quantity::from_si(value, unit)) };
    (name.into(), value)
}
