//! The golden orbit: that of the facility's table, or the one a session was told in its place.

use super::plane;
use crate::context::{Context, here};
use crate::families::{Members, document};
use crate::vector::Vector;
use fodo_control::WriteMode;
use fodo_language::{OrFail, Outcome, fail, script_error};
use fodo_report::{Diagnostic, Kind};
use rhai::{Engine, FuncRegistration, Map, NativeCallContext};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Under which name it is kept as a result; no script keeps anything else there.
pub const NAME: &str = "golden_orbit";

/// Monitors by name, with x and y in metres, that take the place of those of the table.
#[derive(Default)]
pub(crate) struct Golden {
    read: OnceLock<()>,
    told: RwLock<HashMap<Arc<str>, (f64, f64)>>,
}

/// The golden orbit at some monitors: x and y in metres; zero where none is known.
pub fn of(context: &Context, monitors: &Members) -> Outcome<Vec<(f64, f64)>> {
    recall(context)?;
    let told = context.golden().told.read().unwrap_or_else(PoisonError::into_inner);
    let table = &context.facility.golden;
    let at = |name: &Arc<str>| told.get(name).or_else(|| table.get(name)).copied().unwrap_or_default();
    Ok(monitors.devices.iter().map(|device| at(&device.name)).collect())
}

/// Takes over what was kept for a real machine; the twin of this program begins anew. What cannot be read is told each time.
fn recall(context: &Context) -> Outcome<()> {
    let golden = context.golden();
    if context.is_twin() || golden.read.get().is_some() {
        return Ok(());
    }
    if let Ok(results) = context.results()
        && let Some(newest) = results.newest(NAME, context.machine_word()).or_fail()?
    {
        let read: HashMap<Arc<str>, (f64, f64)> = serde_json::from_value(newest.value).map_err(|error| {
            fail(Diagnostic::new(Kind::Storage, format!("the result {} is no golden orbit: {error}", newest.id)).into())
        })?;
        golden.told.write().unwrap_or_else(PoisonError::into_inner).extend(read);
    }
    golden.read.get_or_init(|| ());
    Ok(())
}

fn set(context: &Context, monitors: &Members, x: &Vector, y: &Vector) -> Outcome<()> {
    let count = monitors.devices.len();
    let length = fodo_units::Unit::parse("m").or_fail()?.dimension();
    for (name, plane) in [("x", x), ("y", y)] {
        if plane.si().len() != count || plane.unit().dimension() != length {
            let found = format!("{} entries in {}", plane.si().len(), plane.unit());
            return Err(script_error(format!("`{name}` has {found}; {count} monitors need as many lengths")));
        }
    }
    match context.session.mode() {
        WriteMode::ReadOnly => {
            let message = "the golden orbit is changed only by a session that may write";
            return Err(fail(Diagnostic::new(Kind::Rights, message).hint("start fodo with `--write`").into()));
        }
        WriteMode::Rehearse => {
            context.output.print(&format!("rehearsal: the golden orbit of {count} monitors stays as it is"));
            return Ok(());
        }
        WriteMode::Write => {}
    }
    recall(context)?;
    let mut told = context.golden().told.write().unwrap_or_else(PoisonError::into_inner);
    let places = x.si().iter().copied().zip(y.si().iter().copied());
    let new = monitors.devices.iter().map(|device| device.name.clone()).zip(places);
    let mut all = told.clone();
    all.extend(new.filter(|(_, (x, y))| x.is_finite() && y.is_finite()));
    if !context.is_twin() {
        let value = all.iter().map(|(name, place)| (name.to_string(), serde_json::json!(place))).collect();
        context.results().and_then(|results| results.save(&context.result(NAME, value), false)).or_fail()?;
    }
    *told = all;
    Ok(())
}

/// Registers the builtins of the golden orbit.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "golden_orbit",
        ["monitors: family", "map"],
        "/// The golden orbit: what `orbit_error` takes off.\n///\n\
         /// # Parameters\n/// - `monitors`: a family of monitors or a part of it.\n///\n\
         /// # Returns\n/// `#{ x, y }` [m], zero where none is known: as `set_golden_orbit` was told, else as the facility's table says.\n///\n\
         /// # Errors\n/// - `storage`: the one that is kept cannot be read.\n///\n\
         /// # Example\n/// ```rhai\n/// print(golden_orbit(BPM).x.max_abs());\n/// ```",
        |c: NativeCallContext, monitors: Members| -> Outcome<Map> {
            let (x, y) = of(&*here(&c)?, &monitors)?.into_iter().unzip();
            Ok(Map::from([("x".into(), plane(x)?), ("y".into(), plane(y)?)]))
        }
    );
    document!(
        engine,
        "set_golden_orbit",
        ["monitors: family", "x: vector", "y: vector", "()"],
        "/// Makes readings the golden orbit of these monitors: orbits are steered to them from now on.\n///\n\
         /// Kept for the next sessions with this data folder as the result `golden_orbit`; for the twin of this program, which begins anew each\n\
         /// time, until it ends. Other monitors keep theirs; one whose entry is no number keeps its own.\n///\n\
         /// # Parameters\n/// - `monitors`: a family of monitors or a part of it.\n/// - `x`, `y`: readings to be reached [m].\n///\n\
         /// # Returns\n/// Nothing.\n///\n\
         /// # On the machine\n/// Nothing moves.\n///\n\
         /// # Errors\n/// - `script`: another number of entries, or no lengths.\n/// - `rights`: a session that may not write.\n\
         /// - `storage`: it could not be kept.\n///\n\
         /// # Example\n/// ```rhai\n/// let now = get_orbit(BPM);\n/// set_golden_orbit(BPM, now.x, now.y);\n\
         /// assert_near(golden_orbit(BPM).x[0], now.x[0], 1.0 * nm);\n/// ```",
        |c: NativeCallContext, monitors: Members, x: Vector, y: Vector| set(&*here(&c)?, &monitors, &x, &y)
    );
}
