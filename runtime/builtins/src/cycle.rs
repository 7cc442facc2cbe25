//! Cycling magnets: back onto the branch of their hysteresis that their calibration is for.

use crate::context::{Context, here};
use crate::families::{Member, Members, document};
use crate::machine;
use fodo_control::{Change, Setpoint};
use fodo_devices::{Device, Field};
use fodo_language::{Options, OrFail, Outcome, Values, fail, script_error};
use fodo_report::{Diagnostic, Kind};
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    vec![cycle_options()]
}

fn cycle_options() -> Options {
    Options::new("cycle")
        .integer("times")
        .at_least(1.0)
        .help("how often to the end and back")
        .otherwise("3")
        .number("settle", "s")
        .at_least(0.0)
        .help("how long at each end")
        .otherwise("as the family says")
}

/// The setpoints of a family, and what each goes to at the two ends: of the larger field first.
struct Cycle {
    setpoints: Vec<Arc<Setpoint>>,
    ends: [Vec<f64>; 2],
}

impl Cycle {
    fn of(members: &Members) -> Outcome<Cycle> {
        let mut cycle = Cycle { setpoints: Vec::new(), ends: [Vec::new(), Vec::new()] };
        let mut without = Vec::new();
        for device in members.devices.iter() {
            let found = device.fields.iter().find_map(|field| Some((field, field.setpoint.clone()?)));
            match found.filter(|(_, setpoint)| setpoint.limits.0.is_finite() && setpoint.limits.1.is_finite()) {
                // on one supply with another device
                Some((_, setpoint)) if cycle.setpoints.iter().any(|known| Arc::ptr_eq(known, &setpoint)) => {}
                Some((field, setpoint)) => cycle.add(field, setpoint),
                None => without.push(device.shown().to_string()),
            }
        }
        if without.is_empty() {
            return Ok(cycle);
        }
        let what = format!("{} of {} devices have no setpoint with limits", without.len(), members.devices.len());
        let report = Diagnostic::new(Kind::Facility, what).details(without);
        Err(fail(report.hint("a magnet is cycled between its limits: `limits` in families.toml").into()))
    }

    fn add(&mut self, field: &Field, setpoint: Arc<Setpoint>) {
        let (low, high) = setpoint.limits;
        // the field is what the beam feels, whatever sign and offset its current has; of two alike the positive one
        let [at_low, at_high] = [low, high].map(|end| field.to_physics(end));
        let low_is_larger = match at_low.abs() == at_high.abs() {
            true => at_low > at_high,
            false => at_low.abs() > at_high.abs(),
        };
        let [large, small] = if low_is_larger { [low, high] } else { [high, low] };
        self.ends[0].push(large);
        self.ends[1].push(small);
        self.setpoints.push(setpoint);
    }

    /// The last way of each: which direction it has, and where it ends.
    fn last_ways<'c>(&'c self, present: &'c [f64]) -> impl Iterator<Item = (&'c Arc<Setpoint>, f64, f64)> {
        let [large, small] = &self.ends;
        let direction = large.iter().zip(small).map(|(large, small)| (small - large).signum());
        self.setpoints.iter().zip(direction).zip(present).map(|((setpoint, way), at)| (setpoint, way, *at))
    }

    /// To both ends so often, to the first once more, and back.
    fn round(&self, context: &Context, times: usize, settle: Duration, present: &[f64]) -> Outcome<()> {
        let steps = 2 * times + 1;
        for step in 0..steps {
            context.step("cycling", step, steps).or_fail()?;
            self.go(context, &self.ends[step % 2])?;
            machine::pass(context, settle)?;
        }
        self.go(context, present)
    }

    fn go(&self, context: &Context, values: &[f64]) -> Outcome<()> {
        let change = |(setpoint, value): (&Arc<Setpoint>, &f64)| Change { setpoint: setpoint.clone(), value: *value };
        let changes: Vec<Change> = self.setpoints.iter().zip(values).map(change).collect();
        context.session.write(&changes).or_fail()
    }
}

/// The longest time at an end [s].
const LONGEST: f64 = 1e6;

fn cycle(context: &Context, members: &Members, options: &Values) -> Outcome<()> {
    context.connect(members.devices.iter())?;
    let cycle = Cycle::of(members)?;
    let times = options.maybe_integer("times").unwrap_or(3).max(1) as usize;
    let settle = options.maybe_number("settle").map(|settle| Duration::from_secs_f64(settle.min(LONGEST)));
    let settle = settle.unwrap_or(members.family.settle);
    let present = context.session.setpoints(&cycle.setpoints).or_fail()?;
    let savepoint = context.session.savepoint();
    if let Err(error) = cycle.round(context, times, settle, &present) {
        context.session.return_to(savepoint, "magnets could not be put back after a cycle that failed").or_fail()?;
        return Err(error);
    }
    let remember = context.facility.families.iter().filter(|family| family.hysteresis);
    let remember: HashSet<&str> = remember.map(|family| family.name.as_ref()).collect();
    context.session.cycled(cycle.last_ways(&present).filter(|(setpoint, ..)| remember.contains(&*setpoint.family)));
    Ok(())
}

/// Whether magnets are on the branch that they were cycled onto, a text for each device.
fn branches(context: &Context, members: &Members) -> Outcome<Vec<String>> {
    if !members.family.hysteresis {
        let what = format!("magnets of {} are not followed", members.family.name);
        let hint = format!("families.toml says `hysteresis = true` under [{}] if they remember", members.family.name);
        return Err(fail(Diagnostic::new(Kind::Facility, what).hint(hint).into()));
    }
    context.connect(members.devices.iter())?;
    let first = |device: &Arc<Device>| device.fields.iter().find_map(|field| field.setpoint.clone());
    let cannot = |device: &Arc<Device>| script_error(format!("{} cannot be set", device.shown()));
    let setpoints = members
        .devices
        .iter()
        .map(|device| first(device).ok_or_else(|| cannot(device)))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(context.session.branches(&setpoints).or_fail()?.iter().map(ToString::to_string).collect())
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "branch",
        ["magnets: family", "array"],
        "/// Tells for each magnet whether it is on the branch of its hysteresis that it was cycled onto.\n///\n\
         /// A magnet stays there as long as it is only moved on in the direction in which the cycle ended. What is told is what this\n\
         /// session knows of its own writes; it is forgotten when the session ends.\n///\n\
         /// # Returns\n/// An array of texts: `on its branch`; `left it: ` and how; `not known: ` and why, as of a magnet that somebody else\n\
         /// moved.\n///\n\
         /// # On the machine\n/// Asks for setpoints.\n///\n\
         /// # Errors\n/// - `facility`: the family does not say `hysteresis = true`.\n/// - `machine`: setpoints that are absent.\n///\n\
         /// # Example\n/// ```rhai,fails\n/// cycle(QF);\n/// assert(QF.branch().all(|branch| branch == \"on its branch\"));\n/// ```",
        |c: NativeCallContext, members: Members| -> Outcome<Array> {
            Ok(branches(&*here(&c)?, &members)?.into_iter().map(Dynamic::from).collect())
        }
    );
    document!(
        engine,
        "branch",
        ["magnet: device", "text"],
        "/// Tells whether a magnet is on the branch of its hysteresis that it was cycled onto; see `branch(magnets)`.",
        |c: NativeCallContext, member: Member| -> Outcome<String> {
            Ok(branches(&*here(&c)?, &Members::one(&member))?.concat())
        }
    );
    document!(
        engine,
        "cycle",
        ["magnets: family", "()"],
        "/// Cycles magnets: to the end of their limits with the larger field and to the other one, three times, to the larger one once\n\
         /// more, and back to their setpoints from there.\n///\n\
         /// What a magnet with hysteresis gives at a setpoint depends on the way it came. After a cycle it is on the branch that its\n\
         /// calibration is for. A way back to the larger field leaves the branch again: `magnets.branch()` tells.\n///\n\
         /// # Parameters\n/// - `magnets`: a family or a part of it; the first field of each that is set.\n///\n\
         /// # On the machine\n/// Moves the magnets through their whole range: cycle without a stored beam. Setpoints are the same afterwards.\n///\n\
         /// # Errors\n/// - `facility`: a setpoint has no limits.\n/// - `rights`, `limits`, `machine`: as `set`; setpoints are put back, and the magnets are not cycled.\n///\n\
         /// # Example\n/// ```rhai\n/// cycle(QF);\n/// ```",
        |c: NativeCallContext, members: Members| cycle(&*here(&c)?, &members, &Values::default())
    );
    document!(
        engine,
        "cycle",
        ["magnets: family", "options: map", "()"],
        "/// Cycles magnets with options; see `cycle(magnets)`.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Example\n/// ```rhai\n/// cycle(QF, #{ times: 1, settle: 5 * s });\n/// ```",
        cycle_options(),
        |c: NativeCallContext, members: Members, map: Map| {
            cycle(&*here(&c)?, &members, &cycle_options().read(&map)?)
        }
    );
}
