//! Wave forms of a booster: rows of knots over the cycle, and a family as it is at a moment.

use crate::context::{Context, here};
use crate::families::{Member, Members, document};
use crate::matrix::Matrix;
use crate::vector::Vector;
use fodo_control::{Change, Setpoint};
use fodo_devices::{Cycle, Device, Field, Quantities, Wave};
use fodo_language::{OrFail, Outcome, fail, script_error};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use nalgebra::DMatrix;
use rhai::{Engine, FuncRegistration, NativeCallContext};
use std::borrow::Cow;
use std::sync::Arc;

fn cycle(context: &Context) -> Outcome<&Cycle> {
    context.facility.cycle.as_ref().ok_or_else(|| {
        let what = format!("{} is a {}: it has no cycle", context.facility.name, context.facility.kind);
        fail(Diagnostic::new(Kind::Script, what).hint("wave forms are those of a booster").into())
    })
}

/// The first field of a device that is set by a wave form.
fn waved(device: &Device) -> Outcome<(&Field, &Wave)> {
    let found = device.fields.iter().find_map(|field| Some((field, field.wave.as_ref()?)));
    found.ok_or_else(|| script_error(format!("{} is set by no wave form", device.shown())))
}

/// The devices as they are at a moment of the cycle.
fn at(context: &Context, members: &Members, moment: &Quantity) -> Outcome<Members> {
    let cycle = cycle(context)?;
    let moment = crate::machine::span(moment, "is not a moment of the cycle")?.as_secs_f64();
    if !cycle.has_beam(moment) {
        let second = Unit::parse("s").or_fail()?;
        let [start, end] = cycle.span.map(|end| Quantity::from_si(end, second.clone()));
        let what = format!("there is no beam {} after the start of a cycle", Quantity::from_si(moment, second));
        return Err(fail(
            Diagnostic::new(Kind::Script, what).hint(format!("it comes at {start} and leaves at {end}")).into(),
        ));
    }
    let devices = members.devices.iter().map(|device| {
        waved(device)?;
        Ok(Arc::new(cycle.device_at(device, moment)))
    });
    Ok(Members { family: members.family.clone(), devices: devices.collect::<Outcome<Vec<_>>>()?.into() })
}

/// The devices as they are when monitors look; those without a wave form, and all of a machine without a cycle, as they are.
fn at_delay(context: &Context, members: &Members) -> Outcome<Members> {
    let Some(cycle) = &context.facility.cycle else { return Ok(members.clone()) };
    let moment = when_seen(context, cycle)?;
    let devices = members.devices.iter().map(|device| match waved(device) {
        Ok(_) => Arc::new(cycle.device_at(device, moment)),
        Err(_) => device.clone(),
    });
    Ok(Members { family: members.family.clone(), devices: devices.collect::<Vec<_>>().into() })
}

/// When in the cycle monitors look [s]: what the delay is set to, or when the beam leaves.
fn when_seen(context: &Context, cycle: &Cycle) -> Outcome<f64> {
    let mut devices = context.facility.families.iter().flat_map(|family| &family.devices);
    let delay = |field: &&Field| field.model == Some(Quantities::Delay);
    let found = devices.find_map(|device| Some((device, device.fields.iter().find(delay)?)));
    let Some((device, field)) = found else { return Ok(cycle.span[1]) };
    context.connect([device])?;
    let setpoints: Vec<Arc<Setpoint>> = field.setpoint.iter().cloned().collect();
    let held = context.session.setpoints(&setpoints).or_fail()?;
    Ok(held.first().map_or(cycle.span[1], |held| field.to_physics(*held)))
}

/// The knots of a device's wave form, each as a field of its own.
fn knots(cycle: &Cycle, device: &Device) -> Outcome<Vec<Field>> {
    let (field, wave) = waved(device)?;
    Ok((0..wave.knots).map(|knot| cycle.knot(field, wave, knot)).collect())
}

/// What the beam feels of devices at each knot [SI], by device; all are asked at once.
fn waves(context: &Context, devices: &[Arc<Device>]) -> Outcome<Vec<Vec<f64>>> {
    let cycle = cycle(context)?;
    let fields = devices.iter().map(|device| knots(cycle, device)).collect::<Outcome<Vec<_>>>()?;
    context.connect(devices)?;
    let setpoints: Vec<Arc<Setpoint>> = fields.iter().flatten().filter_map(|field| field.setpoint.clone()).collect();
    let mut held = context.session.setpoints(&setpoints).or_fail()?.into_iter();
    let felt = |knots: &Vec<Field>| knots.iter().zip(held.by_ref()).map(|(knot, held)| knot.to_physics(held)).collect();
    Ok(fields.iter().map(felt).collect())
}

fn wave_of(context: &Context, device: &Arc<Device>) -> Outcome<Vector> {
    let si = waves(context, std::slice::from_ref(device))?.concat();
    Ok(Vector::from_si(si, waved(device)?.0.physics.clone()))
}

/// A row for each knot, a column for each device.
fn waves_of(context: &Context, members: &Members) -> Outcome<Matrix> {
    let all = waves(context, &members.devices)?;
    let knots = all.iter().map(Vec::len).min().unwrap_or(0);
    let unit = match members.devices.first() {
        Some(device) => waved(device)?.0.physics.clone(),
        None => Unit::none(),
    };
    Ok(Matrix::from_si(DMatrix::from_fn(knots, all.len(), |knot, device| all[device][knot]), unit))
}

/// Sets all knots of all devices, as one change; `wave` says which numbers are those of a device.
fn set_wave<'w>(
    context: &Context,
    members: &Members,
    unit: &Unit,
    wave: impl Fn(usize) -> Cow<'w, [f64]>,
) -> Outcome<()> {
    let cycle = cycle(context)?;
    context.connect(members.devices.iter())?;
    let mut changes = Vec::new();
    for (place, device) in members.devices.iter().enumerate() {
        let (fields, wave) = (knots(cycle, device)?, wave(place));
        let (field, _) = waved(device)?;
        if wave.len() != fields.len() {
            let what = format!("{}.{} has {} knots, not {}", device.shown(), field.name, fields.len(), wave.len());
            return Err(script_error(what));
        }
        if unit.dimension() != field.physics.dimension() {
            let what = format!("{}.{} is set in {}, not in {unit}", device.shown(), field.name, field.physics);
            return Err(script_error(what));
        }
        for (knot, si) in fields.iter().zip(wave.iter()) {
            let change = |setpoint: &Arc<Setpoint>| Change { setpoint: setpoint.clone(), value: knot.to_channel(*si) };
            changes.extend(knot.setpoint.as_ref().map(change));
        }
    }
    context.session.write(&changes).or_fail()
}

/// A column for each device.
fn set_waves(context: &Context, members: &Members, waves: &Matrix) -> Outcome<()> {
    let values = waves.si();
    if values.ncols() != members.devices.len() {
        let what = format!("{} columns for {} devices: each needs its own", values.ncols(), members.devices.len());
        return Err(script_error(what));
    }
    set_wave(context, members, waves.unit(), |place| values.column(place).iter().copied().collect())
}

/// The moments of the knots [s].
fn knot_times(context: &Context, member: &Member) -> Outcome<Vector> {
    let (_, wave) = waved(&member.device)?;
    Ok(Vector::from_si(cycle(context)?.knots(wave.knots), Unit::parse("s").or_fail()?))
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "at",
        ["members: family", "moment: quantity", "family"],
        "/// The devices of a booster as they are at a moment of the cycle: a field with a wave form is the knot next to that moment, in\n\
         /// what the beam feels then. Between two knots a wave form goes straight, so that a change of one is felt as far as\n\
         /// the knots beside it.\n///\n\
         /// # Parameters\n/// - `moment`: after the start of a cycle [s].\n///\n\
         /// # Returns\n/// The same devices; `get`, `set`, `step` and the like work on the knot.\n///\n\
         /// # On the machine\n/// Nothing.\n///\n\
         /// # Errors\n/// - `script`: the machine has no cycle, no beam then, or a device no wave form.\n///\n\
         /// # Example\n/// ```rhai fails\n/// QF.at(60 * ms).step(0.01 / m^2);\n/// ```",
        |c: NativeCallContext, members: Members, moment: Quantity| at(&*here(&c)?, &members, &moment)
    );
    document!(
        engine,
        "at_delay",
        ["members: family", "family"],
        "/// The devices of a booster as they are when its monitors look, see `at`; of a machine without a cycle, the same devices. With it a\n\
         /// procedure works on both.\n///\n\
         /// # Returns\n/// The same devices; a field with a wave form is the knot next to that moment.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: the delay cannot be read.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(HCOR.at_delay().len == HCOR.len);\n/// ```",
        |c: NativeCallContext, members: Members| at_delay(&*here(&c)?, &members)
    );
    document!(
        engine,
        "wave",
        ["device: device", "vector"],
        "/// The wave form of a device: what the beam feels of it at each knot.\n///\n\
         /// # Returns\n/// A vector in the field's physics unit, from injection to extraction (`knot_times`).\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: the machine has no cycle, or the device no wave form.\n/// - `machine`: its channel cannot be read.\n///\n\
         /// # Example\n/// ```rhai fails\n/// print(QF[0].wave());\n/// ```",
        |c: NativeCallContext, member: Member| wave_of(&*here(&c)?, &member.device)
    );
    document!(
        engine,
        "wave",
        ["members: family", "matrix"],
        "/// The wave forms of devices: what the beam feels of them at each knot.\n///\n\
         /// # Returns\n/// A matrix in the field's physics unit: a row for each knot, a column for each device.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: the machine has no cycle, or a device no wave form.\n/// - `machine`: a channel cannot be read.\n///\n\
         /// # Example\n/// ```rhai fails\n/// let strengths = QF.wave();\n/// ```",
        |c: NativeCallContext, members: Members| waves_of(&*here(&c)?, &members)
    );
    document!(
        engine,
        "set_wave",
        ["members: family", "wave: vector", "()"],
        "/// Sets the wave form of every device to what the beam is to feel at each knot.\n///\n\
         /// # Parameters\n/// - `wave`: a number with its unit for each knot, as `wave()` gives.\n///\n\
         /// # On the machine\n/// Writes all knots as one change; each row goes out once, and is put back as a whole.\n///\n\
         /// # Errors\n/// - `script`: another number of knots, another dimension, no wave form.\n/// - `rights`, `machine`: as `set`.\n///\n\
         /// # Example\n/// ```rhai fails\n/// QF.set_wave(QF[0].wave() * 1.01);\n/// ```",
        |c: NativeCallContext, members: Members, wave: Vector| {
            set_wave(&*here(&c)?, &members, wave.unit(), |_| Cow::Borrowed(wave.si()))
        }
    );
    document!(
        engine,
        "set_wave",
        ["members: family", "waves: matrix", "()"],
        "/// Sets the wave form of each device to what the beam is to feel of it at each knot.\n///\n\
         /// # Parameters\n/// - `waves`: a row for each knot and a column for each device, as `wave()` of a family gives.\n///\n\
         /// # On the machine\n/// Writes all knots as one change; each row goes out once, and is put back as a whole.\n///\n\
         /// # Errors\n/// - `script`: another number of knots or devices, another dimension, no wave form.\n/// - `rights`, `machine`: as `set`.\n///\n\
         /// # Example\n/// ```rhai fails\n/// HCOR.set_wave(HCOR.wave() * 0.5);\n/// ```",
        |c: NativeCallContext, members: Members, waves: Matrix| set_waves(&*here(&c)?, &members, &waves)
    );
    document!(
        engine,
        "knot_times",
        ["device: device", "vector"],
        "/// The moments of the knots of a device's wave form.\n///\n\
         /// # Returns\n/// Times after the start of a cycle [s].\n///\n\
         /// # On the machine\n/// Nothing.\n///\n\
         /// # Errors\n/// - `script`: the machine has no cycle, or the device no wave form.\n///\n\
         /// # Example\n/// ```rhai fails\n/// print(QF[0].knot_times());\n/// ```",
        |c: NativeCallContext, member: Member| knot_times(&*here(&c)?, &member)
    );
}
