//! Positions turn by turn, samples of the orbit many times a second, and what fires kickers and injects.

use crate::context::{Context, here, sampling};
use crate::families::{Members, document};
use crate::matrix::Matrix;
use fodo_control::{Change, Setpoint};
use fodo_devices::{Device, Field, Quantities};
use fodo_language::{OrFail, Outcome, fail};
use fodo_report::{Diagnostic, Kind};
use fodo_units::Unit;
use nalgebra::DMatrix;
use rhai::{Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use std::sync::Arc;
use std::time::Duration;

/// The fields in which all monitors keep any of these, if they do.
fn kept<'m>(monitors: &'m Members, any: &[Quantities]) -> Option<Vec<(&'m Device, &'m Field)>> {
    let keeps = |field: &&Field| field.model.is_some_and(|quantity| any.contains(&quantity));
    let each = monitors.devices.iter().map(|device| Some((device.as_ref(), device.fields.iter().find(keeps)?)));
    each.collect::<Option<Vec<_>>>().filter(|found| !found.is_empty())
}

/// The fields of monitors that keep turns, or samples, of a plane.
fn fields<'m>(monitors: &'m Members, any: &[Quantities], plane: &str) -> Outcome<Vec<(&'m Device, &'m Field)>> {
    if let Some(found) = kept(monitors, any) {
        return Ok(found);
    }
    let what = format!("{} keeps no positions turn by turn in {plane}", monitors.family.name);
    let how = format!("the facility's table gives it a field with `model = \"turns_{plane}\"`, or `fast_{plane}`");
    Err(fail(Diagnostic::new(Kind::Facility, what).hint(how).into()))
}

/// A row for each turn, a column for each monitor.
fn matrix(rows: &[Vec<f64>], unit: &str) -> Outcome<Dynamic> {
    let turns = rows.iter().map(Vec::len).min().unwrap_or(0);
    let matrix = DMatrix::from_fn(turns, rows.len(), |turn, monitor| rows[monitor][turn]);
    Ok(Dynamic::from(Matrix::from_si(matrix, Unit::parse(unit).or_fail()?)))
}

fn get_turns(context: &Context, monitors: &Members) -> Outcome<Map> {
    context.connect(monitors.devices.iter())?;
    let mut parts = Vec::new();
    for (plane, any) in [("x", [Quantities::TurnsX, Quantities::FastX]), ("y", [Quantities::TurnsY, Quantities::FastY])]
    {
        parts.push((plane, "m", fields(monitors, &any, plane)?));
    }
    parts.extend(kept(monitors, &[Quantities::TurnsCharge]).map(|fields| ("charge", "C", fields)));
    // at once, so that all are of one acquisition
    let all: Vec<(&Device, &Field)> = parts.iter().flat_map(|(.., fields)| fields.iter().copied()).collect();
    let sampling = sampling(&monitors.family, Duration::ZERO);
    let rows = fodo_measure::rows(&context.session, &all, sampling, context.fired()).or_fail()?;
    let mut rows = rows.as_slice();
    let mut map = Map::new();
    for (name, unit, fields) in parts {
        let (own, rest) = rows.split_at(fields.len().min(rows.len()));
        map.insert(name.into(), matrix(own, unit)?);
        rows = rest;
    }
    Ok(map)
}

/// Writes 1 to the trigger of a family, and 0, so that it is ready for the next time.
fn trigger(context: &Context, timing: &Members) -> Outcome<()> {
    let fires = |field: &&Field| matches!(field.model, Some(Quantities::Trigger | Quantities::Inject));
    let fields = timing.devices.iter().flat_map(|device| &device.fields).filter(fires);
    let mut setpoints: Vec<Arc<Setpoint>> = fields.filter_map(|field| field.setpoint.clone()).collect();
    setpoints.dedup_by(|a, b| Arc::ptr_eq(a, b));
    if setpoints.is_empty() {
        let what = format!("{} triggers nothing", timing.family.name);
        let how = "the facility's table gives a family a field with `model = \"trigger\"` or \"inject\" that is set";
        return Err(fail(Diagnostic::new(Kind::Facility, what).hint(how).into()));
    }
    context.connect(timing.devices.iter())?;
    let present = context.session.setpoints(&setpoints).or_fail()?;
    if let Some((setpoint, value)) = setpoints.iter().zip(present).find(|(_, value)| *value != 0.0) {
        let what = format!("{} stands at {value}: set it to 0 first", setpoint.name);
        return Err(fail(Diagnostic::new(Kind::Machine, what).hint("a trigger fires when it leaves 0").into()));
    }
    let write = |value: f64| {
        let change = |setpoint: &Arc<Setpoint>| Change { setpoint: setpoint.clone(), value };
        context.session.write(&setpoints.iter().map(change).collect::<Vec<Change>>()).or_fail()
    };
    write(1.0)?;
    context.has_fired();
    write(0.0)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "trigger",
        ["timing: family", "()"],
        "/// Fires kickers and begins acquisitions turn by turn, once; injects a shot where the family does that.\n///\n\
         /// # Parameters\n/// - `timing`: a family with a field whose `model` is `trigger`, or `inject`.\n///\n\
         /// # On the machine\n/// Kicks the beam by what the kickers are set to. Writes 1 to the trigger, then 0. `inject` adds to the beam.\n///\n\
         /// # Errors\n/// - `facility`: the family triggers nothing.\n/// - `rights`, `machine`: as `set`.\n///\n\
         /// # Example\n/// ```rhai\n/// KICKER.set(0.1 * mrad);\n/// trigger(TIMING);\n/// ```",
        |c: NativeCallContext, timing: Members| trigger(&*here(&c)?, &timing)
    );
    document!(
        engine,
        "get_turns",
        ["monitors: family", "map"],
        "/// Reads the positions that monitors kept turn by turn, or many times a second, after the last trigger.\n///\n\
         /// # Parameters\n/// - `monitors`: a family of monitors or a part of it.\n///\n\
         /// # Returns\n/// `#{ x, y }`: matrices [m] with a row for each turn and a column for each monitor; a turn in which a monitor saw too\n\
         /// little beam is NaN. `charge` [C], the sum signal, in the same form, where all of these monitors keep it.\n///\n\
         /// # On the machine\n/// Only reads. `trigger(timing)` begins an acquisition.\n///\n\
         /// # Errors\n/// - `machine`: nothing was taken yet, or there was no beam.\n\
         /// - `facility`: the monitors keep no turns.\n///\n\
         /// # Example\n/// ```rhai\n/// KICKER.set(0.1 * mrad);\n/// trigger(TIMING);\n/// let turns = get_turns(TURNS);\n\
         /// assert(turns.x.rows == 512);\n/// print(find_lines(turns.x.column(0), #{ count: 1 }));\n/// ```",
        |c: NativeCallContext, monitors: Members| get_turns(&*here(&c)?, &monitors)
    );
}
