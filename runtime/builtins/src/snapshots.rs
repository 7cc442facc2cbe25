//! Snapshots: setpoints kept by name, compared, and softly restored.

use crate::context::{Context, here};
use crate::families::{Member, Members, document};
use crate::machine::{count, pass, table};
use fodo_control::{Change, Setpoint, Standing, Time};
use fodo_devices::{Device, Field, Quantities};
use fodo_language::{Options, OrFail, Outcome, Values, fail, script_error};
use fodo_records::{SetpointValue, Snapshot};
use fodo_report::{Diagnostic, Kind};
use fodo_units::Quantity;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The setpoints of the families and devices that an option names, or of all.
fn setpoints(context: &Context, options: &Values) -> Outcome<Vec<(Arc<Setpoint>, Field)>> {
    let wanted = options.maybe_dynamic("families").map(|value| named(context, &value)).transpose()?;
    let devices = context.facility.families.iter().flat_map(|family| &family.devices);
    let devices = devices.filter(|device| wanted.as_ref().is_none_or(|wanted| wanted.contains(&key(device))));
    let fields = devices.flat_map(|device| &device.fields);
    // what fires a shot is no state of the machine
    let fields = fields.filter(|field| !matches!(field.model, Some(Quantities::Trigger | Quantities::Inject)));
    let mut seen = HashSet::new();
    let set = fields.filter_map(|field| Some((field.setpoint.clone()?, field.clone())));
    // that of several devices once
    Ok(set.filter(|(setpoint, _)| seen.insert(setpoint.channel.clone())).collect())
}

/// A device among all of a facility: its family and its name.
type Key = (Arc<str>, Arc<str>);

fn key(device: &Arc<Device>) -> Key {
    (device.family.clone(), device.name.clone())
}

/// The devices that families, parts of them, devices or names of families mean, one or an array.
fn named(context: &Context, value: &Dynamic) -> Outcome<HashSet<Key>> {
    if let Some(array) = value.read_lock::<Array>() {
        let parts = array.iter().map(|one| named(context, one)).collect::<Outcome<Vec<_>>>()?;
        return Ok(parts.into_iter().flatten().collect());
    }
    if let Some(members) = value.read_lock::<Members>() {
        return Ok(members.devices.iter().map(key).collect());
    }
    if let Some(member) = value.read_lock::<Member>() {
        return Ok(HashSet::from([key(&member.device)]));
    }
    let name = value.clone().into_string();
    let name =
        name.map_err(|_| script_error("`families` are families, parts of them, devices, or names of families"))?;
    Ok(context.facility.family(&name).or_fail()?.devices.iter().map(key).collect())
}

fn save(context: &Context, name: &str, options: &Map) -> Outcome<String> {
    let options = save_options().read(options)?;
    let chosen = setpoints(context, &options)?;
    let asked: Vec<Arc<Setpoint>> = chosen.into_iter().map(|(setpoint, _)| setpoint).collect();
    let values = context.session.setpoints(&asked).or_fail()?;
    let kept = |(setpoint, value): (&Arc<Setpoint>, f64)| SetpointValue {
        name: setpoint.name.to_string(),
        channel: setpoint.channel.clone(),
        value,
        unit: setpoint.unit.to_string(),
    };
    let snapshot = Snapshot {
        name: name.to_string(),
        facility: context.facility.name.to_string(),
        machine: context.machine_word().into(),
        operator: fodo_control::user(),
        time: Time::wall().seconds(),
        comment: options.maybe_text("comment").unwrap_or_default().to_string(),
        setpoints: asked.iter().zip(values).map(kept).collect(),
    };
    let place = context.snapshots().or_fail()?.save(&snapshot, options.flag("replace")).or_fail()?;
    Ok(format!("{} in {place}", count(asked.len())))
}

fn list(context: &Context) -> Outcome<Array> {
    let entry = |snapshot: Snapshot| {
        let time = snapshot.taken().utc();
        Dynamic::from(Map::from([
            ("name".into(), snapshot.name.into()),
            ("time".into(), time.into()),
            ("machine".into(), snapshot.machine.into()),
            ("operator".into(), snapshot.operator.into()),
            ("setpoints".into(), (snapshot.setpoints.len() as i64).into()),
            ("comment".into(), snapshot.comment.into()),
        ]))
    };
    Ok(context.snapshots().or_fail()?.list().into_iter().map(entry).collect())
}

/// A snapshot beside the machine.
struct Compared {
    /// Setpoints that differ: now, and in the snapshot.
    differ: Vec<Standing>,
    fields: HashMap<fodo_control::Channel, Field>,
    equal: usize,
    /// Names in the snapshot that the facility does not have any more.
    gone: Vec<String>,
    taken: Time,
}

fn beside(context: &Context, name: &str, options: &Values) -> Outcome<Compared> {
    let snapshot = context.snapshots().or_fail()?.load(name).or_fail()?;
    let mut known: HashMap<_, _> = setpoints(context, options)?
        .into_iter()
        .map(|(setpoint, field)| (setpoint.channel.clone(), (setpoint, field)))
        .collect();
    let all: HashSet<_> = setpoints(context, &Values::default())?.into_iter().map(|(s, _)| s.channel.clone()).collect();
    let gone = snapshot.setpoints.iter().filter(|kept| !all.contains(&kept.channel)).map(|kept| kept.name.clone());
    let gone = gone.collect();
    let mut wanted = Vec::new();
    let mut fields = HashMap::new();
    for kept in &snapshot.setpoints {
        let Some((setpoint, field)) = known.remove(&kept.channel) else { continue };
        if *setpoint.unit != *kept.unit {
            let message = format!("{} is kept in {} and set in {}", kept.name, kept.unit, setpoint.unit);
            let hint = "the facility's table was changed since the snapshot was taken";
            return Err(fail(Diagnostic::new(Kind::Facility, message).hint(hint).into()));
        }
        fields.insert(kept.channel.clone(), field);
        wanted.push((setpoint, kept.value));
    }
    let asked: Vec<Arc<Setpoint>> = wanted.iter().map(|(setpoint, _)| setpoint.clone()).collect();
    let now = context.session.setpoints(&asked).or_fail()?;
    let count = wanted.len();
    let differ: Vec<Standing> = wanted
        .into_iter()
        .zip(now)
        .filter(|((_, saved), now)| saved != now)
        .map(|((setpoint, saved), now)| (setpoint, now, saved))
        .collect();
    Ok(Compared { equal: count - differ.len(), differ, fields, gone, taken: snapshot.taken() })
}

fn compare(context: &Context, name: &str, options: &Map) -> Outcome<Map> {
    let options = compare_options().read(options)?;
    let Compared { differ, fields, equal, gone, taken } = beside(context, name, &options)?;
    let entry = |(setpoint, now, saved): &Standing| {
        let field = fields.get(&setpoint.channel)?;
        let [now, saved] = [now, saved].map(|value| field.to_physics(*value));
        let quantity = |si| Dynamic::from(Quantity::from_si(si, field.physics.clone()));
        Some(Dynamic::from(Map::from([
            ("name".into(), setpoint.name.to_string().into()),
            ("saved".into(), quantity(saved)),
            ("now".into(), quantity(now)),
            ("change".into(), quantity(now - saved)),
        ])))
    };
    let changed: Array = differ.iter().filter_map(entry).collect();
    Ok(Map::from([
        ("taken".into(), taken.utc().into()),
        ("equal".into(), (equal as i64).into()),
        ("changed".into(), changed.into()),
        ("gone".into(), gone.into_iter().map(Dynamic::from).collect::<Array>().into()),
    ]))
}

fn restore(context: &Context, name: &str, options: &Map) -> Outcome<Map> {
    let options = restore_options().read(options)?;
    let Compared { differ, gone, .. } = beside(context, name, &options)?;
    let gone: Array = gone.into_iter().map(Dynamic::from).collect();
    let result =
        |restored: usize| Map::from([("restored".into(), (restored as i64).into()), ("gone".into(), gone.into())]);
    if differ.is_empty() {
        return Ok(result(0));
    }
    context.output.print(&table(&format!("restore \"{name}\""), &differ, false));
    let steps = options.integer("steps")?;
    let pause = Duration::from_secs_f64(options.number("pause")?.min(1e6));
    // one value that cannot be reached is told before the first step
    let last: Vec<Change> = differ.iter().map(|(s, _, saved)| Change { setpoint: s.clone(), value: *saved }).collect();
    context.session.check_limits(&last).or_fail()?;
    for step in 1..steps {
        let part = step as f64 / steps as f64;
        let on_the_way = |(setpoint, now, saved): &Standing| Change {
            setpoint: setpoint.clone(),
            value: now + (saved - now) * part,
        };
        let changes: Vec<Change> = differ.iter().map(on_the_way).collect();
        context.session.write(&changes).or_fail()?;
        context.step("restore", step as usize, steps as usize).or_fail()?;
        pass(context, pause)?;
    }
    context.session.write(&last).or_fail()?;
    context.step("restore", steps as usize, steps as usize).or_fail()?;
    Ok(result(differ.len()))
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    vec![save_options(), compare_options(), restore_options()]
}

fn save_options() -> Options {
    Options::new("save_snapshot")
        .any("families")
        .help("families, parts of them, devices, or names of families")
        .otherwise("all that can be set")
        .text("comment")
        .help("a text: what is to be known of it later")
        .flag("replace")
        .default(false)
        .help("`true` replaces a snapshot of that name")
}

fn compare_options() -> Options {
    Options::new("compare_snapshot")
        .any("families")
        .help("families, parts of them, devices, or names of families")
        .otherwise("all of the snapshot")
}

fn restore_options() -> Options {
    Options::new("restore_snapshot")
        .any("families")
        .help("families, parts of them, devices, or names of families")
        .otherwise("all of the snapshot")
        .integer("steps")
        .default(1)
        .range(1.0, 10_000.0)
        .help("equal steps in which all setpoints move together")
        .number("pause", "s")
        .default(0.0)
        .range(0.0, 3600.0)
        .help("time between two steps")
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "save_snapshot",
        ["name: text", "text"],
        "/// Keeps what all setpoints hold, under a name.\n///\n\
         /// # Parameters\n/// - `name`: letters, digits, `_`, `-`, `.`.\n///\n\
         /// # Returns\n/// How many setpoints, and in which file.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: a snapshot of that name is there already.\n/// - `machine`: setpoints that could not be read.\n\
         /// - `storage`: the file could not be written.\n///\n\
         /// # Example\n/// ```rhai\n/// save_snapshot(\"good_beam\");\n/// ```",
        |c: NativeCallContext, name: &str| save(&*here(&c)?, name, &Map::new())
    );
    document!(
        engine,
        "save_snapshot",
        ["name: text", "options: map", "text"],
        "/// The same for some families, with a comment, or in place of an older one.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// How many setpoints, and in which file.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// As without options.\n///\n\
         /// # Example\n/// ```rhai\n/// save_snapshot(\"correctors\", #{ families: [HCOR, VCOR], comment: \"after the orbit\" });\n/// ```",
        save_options(),
        |c: NativeCallContext, name: &str, options: Map| save(&*here(&c)?, name, &options)
    );
    document!(
        engine,
        "snapshots",
        ["array"],
        "/// Lists the snapshots of this facility, oldest first.\n///\n\
         /// # Returns\n/// An array of `#{ name, time, machine, operator, setpoints, comment }`; the time in UTC, setpoints [1].\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// save_snapshot(\"morning\");\n/// assert(snapshots().some(|one| one.name == \"morning\"));\n/// ```",
        |c: NativeCallContext| list(&*here(&c)?)
    );
    document!(
        engine,
        "compare_snapshot",
        ["name: text", "map"],
        "/// Says where the machine's setpoints differ from a snapshot.\n///\n\
         /// # Parameters\n/// - `name`: as given to `save_snapshot`.\n///\n\
         /// # Returns\n/// `#{ taken, equal, changed, gone }`: when it was taken (UTC), how many setpoints are equal [1], those that are\n\
         /// not as `#{ name, saved, now, change }` in physics units, and names that the facility does not have any more.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: there is no such snapshot.\n/// - `facility`: a setpoint has another unit now.\n\
         /// - `machine`: setpoints that could not be read.\n///\n\
         /// # Example\n/// ```rhai\n/// save_snapshot(\"quiet\");\n/// HCOR[0].step(5.0 * urad);\n/// assert_near(compare_snapshot(\"quiet\").changed[0].change, 5.0 * urad, 1e-9 * rad);\n/// ```",
        |c: NativeCallContext, name: &str| compare(&*here(&c)?, name, &Map::new())
    );
    document!(
        engine,
        "compare_snapshot",
        ["name: text", "options: map", "map"],
        "/// The same for some families.\n///\n\
         /// # Parameters\n\
         /// {options}\n///\n\
         /// # Returns\n/// As without options.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// As without options.\n///\n\
         /// # Example\n/// ```rhai\n/// save_snapshot(\"evening\");\n/// assert(compare_snapshot(\"evening\", #{ families: \"HCOR\" }).equal == HCOR.len);\n/// ```",
        compare_options(),
        |c: NativeCallContext, name: &str, options: Map| compare(&*here(&c)?, name, &options)
    );
    document!(
        engine,
        "restore_snapshot",
        ["name: text", "map"],
        "/// Sets all setpoints of a snapshot as they were, and shows first what that changes.\n///\n\
         /// # Parameters\n/// - `name`: as given to `save_snapshot`.\n///\n\
         /// # Returns\n/// `#{ restored, gone }`: how many setpoints were set [1], and names that the facility does not have any more.\n///\n\
         /// # On the machine\n/// Writes the setpoints that differ, at their rates; `undo()` takes it back.\n///\n\
         /// # Errors\n/// - `script`: there is no such snapshot.\n/// - `limits`: values beyond today's limits; nothing is written.\n\
         /// - `rights`: families that may not be changed; nothing is written.\n///\n\
         /// # Example\n/// ```rhai\n/// save_snapshot(\"start\");\n/// HCOR.step(5.0 * urad);\n/// restore_snapshot(\"start\");\n/// assert(HCOR.setpoint().max_abs() == 0.0 * rad);\n/// ```",
        |c: NativeCallContext, name: &str| restore(&*here(&c)?, name, &Map::new())
    );
    document!(
        engine,
        "restore_snapshot",
        ["name: text", "options: map", "map"],
        "/// The same for some families, or softly: in steps, with the beam watched between them.\n///\n\
         /// # Parameters\n\
         /// {options}\n///\n\
         /// # Returns\n/// As without options.\n///\n\
         /// # On the machine\n/// Writes the setpoints that differ, step by step. An error or a stop puts them back.\n///\n\
         /// # Errors\n/// As without options.\n///\n\
         /// # Example\n/// ```rhai\n/// save_snapshot(\"soft\");\n/// HCOR.step(5.0 * urad);\n/// restore_snapshot(\"soft\", #{ families: [HCOR], steps: 5, pause: 1.0 * s });\n/// ```",
        restore_options(),
        |c: NativeCallContext, name: &str, options: Map| restore(&*here(&c)?, name, &options)
    );
}
