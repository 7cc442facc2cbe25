//! Setting and stepping: one value for each device, one write for each supply.

use super::{Member, Members, Wanted, document, first_device, main, one, setpoint_of, spread, wanted, wrong_unit};
use crate::context::{Context, here};
use fodo_control::{Change, Setpoint};
use fodo_devices::{Device, Field, supplies};
use fodo_language::{OrFail, Outcome, fail, script_error};
use fodo_report::{Diagnostic, Kind};
use fodo_units::Quantity;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use std::collections::HashMap;
use std::sync::Arc;

/// The number for the channel of an absolute value in either unit.
fn on_channel(field: &Field, value: &Quantity) -> Outcome<f64> {
    if value.dimension() == field.physics.dimension() {
        Ok(field.to_channel(value.si))
    } else if value.dimension() == field.hardware.dimension() {
        Ok(value.si / field.hardware.scale())
    } else {
        Err(fail(wrong_unit(field, &value.unit)))
    }
}

/// The number for the channel after a step in either unit from `present`.
fn stepped(field: &Field, present: f64, step: &Quantity) -> Outcome<f64> {
    if step.dimension() == field.physics.dimension() {
        Ok(field.to_channel(field.to_physics(present) + step.si))
    } else if step.dimension() == field.hardware.dimension() {
        Ok(present + step.si / field.hardware.scale())
    } else {
        Err(fail(wrong_unit(field, &step.unit)))
    }
}

/// Sets or steps a field of devices, one value each.
pub(super) fn write(
    context: &Context,
    members: &Members,
    want: &Wanted,
    values: &[Quantity],
    step: bool,
) -> Outcome<()> {
    context.connect(members.devices.iter())?;
    if values.len() != members.devices.len() {
        let (given, there) = (values.len(), members.devices.len());
        return Err(script_error(format!("{given} values were given for {there} devices of {}", members.family.name)));
    }
    let mut points = Vec::with_capacity(values.len());
    let mut is_over = false;
    for device in members.devices.iter() {
        let field = want.of(device)?;
        is_over |= field.combined.is_some();
        for supply in field.over(device) {
            points.push(setpoint_of(device, supply)?);
        }
    }
    let present = match step || is_over {
        true => context.session.setpoints(&points).or_fail()?,
        false => vec![0.0; points.len()],
    };
    let mut asked = Vec::with_capacity(points.len());
    let mut points = points.into_iter().zip(present);
    for (device, value) in members.devices.iter().zip(values) {
        let field = want.of(device)?;
        let own: Vec<(Arc<Setpoint>, f64)> = points.by_ref().take(field.over(device).len()).collect();
        let present: Vec<f64> = own.iter().map(|(_, present)| *present).collect();
        let numbers = numbers(device, field, &present, value, step)?;
        let each = own.into_iter().zip(numbers);
        asked.extend(each.map(|((setpoint, _), value)| Asked { device, setpoint, value }));
    }
    context.session.write(&one_each(asked)?).or_fail()
}

/// The numbers for the channels of a field: its own, or those of the supplies that it is over.
fn numbers(device: &Device, field: &Field, present: &[f64], value: &Quantity, step: bool) -> Outcome<Vec<f64>> {
    let Some(combined) = &field.combined else {
        let present = present.first().copied().unwrap_or(f64::NAN);
        return Ok(vec![if step { stepped(field, present, value)? } else { on_channel(field, value)? }]);
    };
    if value.dimension() != field.physics.dimension() {
        return Err(fail(wrong_unit(field, &value.unit)));
    }
    let over = field.over(device);
    let now: Vec<f64> = over.iter().zip(present).map(|(supply, present)| supply.to_physics(*present)).collect();
    let change = if step { value.si } else { value.si - combined.value(&now) };
    let stepped = combined.stepped(&now, change).ok_or_else(|| {
        let what = format!("{}.{} can be read but not set", device.shown(), field.name);
        let hint = "as many quantities as supplies have to stand over them in families.toml, so that the others stay";
        fail(Diagnostic::new(Kind::Facility, what).hint(hint).into())
    })?;
    Ok(over.iter().zip(stepped).map(|(supply, physics)| supply.to_channel(physics)).collect())
}

/// What a device asks of its supply, as the number on the channel.
struct Asked<'d> {
    device: &'d Arc<Device>,
    setpoint: Arc<Setpoint>,
    value: f64,
}

/// One change for each supply, whose devices have to agree.
fn one_each(asked: Vec<Asked>) -> Outcome<Vec<Change>> {
    let mut supplies: Vec<Vec<Asked>> = Vec::with_capacity(asked.len());
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    for one in asked {
        let place = *places.entry(one.setpoint.channel.clone()).or_insert(supplies.len());
        match supplies.get_mut(place) {
            // the same device twice is told where it is written
            Some(known) if !known.iter().any(|other| Arc::ptr_eq(other.device, one.device)) => known.push(one),
            _ => supplies.push(vec![one]),
        }
    }
    let agreed = |supply: &Vec<Asked>| supply.iter().skip(1).all(|one| agree(&supply[0], one));
    if let Some(apart) = supplies.iter().find(|supply| !agreed(supply)) {
        return Err(fail(disagree(apart).into()));
    }
    let change = |Asked { setpoint, value, .. }: Asked| Change { setpoint, value };
    Ok(supplies.into_iter().filter_map(|supply| supply.into_iter().next()).map(change).collect())
}

/// Equal but for the rounding of their calibrations; what is no number is told where it is written.
fn agree(a: &Asked, b: &Asked) -> bool {
    if !a.value.is_finite() || !b.value.is_finite() {
        return a.value.is_finite() == b.value.is_finite();
    }
    let rounding = 1e-9 * a.value.abs().max(b.value.abs());
    (a.value - b.value).abs() <= rounding.max(1e-6 * a.setpoint.tolerance)
}

fn disagree(supply: &[Asked]) -> Diagnostic {
    const SHOWN: usize = 6;
    let Setpoint { name, channel, unit, .. } = supply[0].setpoint.as_ref();
    let first = supply[0].device.shown();
    let what = format!("{} devices on one supply would need different values of {name} ({channel})", supply.len());
    let detail = |one: &Asked| format!("{}: {} {unit}", one.device.shown(), Quantity::plain(one.value));
    let mut details: Vec<String> = supply.iter().take(SHOWN).map(detail).collect();
    if supply.len() > SHOWN {
        details.push(format!("and {} more", supply.len() - SHOWN));
    }
    Diagnostic::new(Kind::Script, what)
        .details(details)
        .machine("no setpoint was changed")
        .hint(format!("set it by one of them, as in `{first}.set(…)`, or by one value in {unit} for all"))
}

/// The supplies of devices, each with those of them that hang on it.
fn listed(members: &Members) -> Array {
    let supply = |(setpoint, devices): (Arc<Setpoint>, Vec<Arc<Device>>)| {
        let part = Members { family: members.family.clone(), devices: devices.into() };
        Dynamic::from(Map::from([
            ("name".into(), setpoint.name.to_string().into()),
            ("channel".into(), setpoint.channel.to_string().into()),
            ("devices".into(), Dynamic::from(part)),
        ]))
    };
    supplies(members.devices.iter(), 0).into_iter().map(supply).collect()
}

/// ` on 2 supplies` where devices share them.
pub(super) fn shared(members: &Members) -> String {
    let all = supplies(members.devices.iter(), 0);
    let devices: usize = all.iter().map(|(_, devices)| devices.len()).sum();
    match all.len() {
        count if count == devices => String::new(),
        1 => " on one supply".into(),
        count => format!(" on {count} supplies"),
    }
}

/// Sets or steps a field by its name.
fn write_field(c: &NativeCallContext, members: &Members, field: &str, value: &Dynamic, step: bool) -> Outcome<()> {
    let want = wanted(first_device(members)?, Some(field), None)?;
    write(&*here(c)?, members, &want, &spread(value, members.devices.len())?, step)
}

/// Registers setting by the name of a field, and what tells of supplies.
pub(super) fn register(engine: &mut Engine) {
    document!(
        engine,
        "set",
        ["members: family", "field: text", "value: quantity or vector", "()"],
        "/// Sets a field of every device by its name and waits until all have arrived.\n///\n\
         /// A quantity over several supplies (`of` in families.toml) is set by all of them, so that the other quantities stay.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"k1\"`.\n\
         /// - `value`: one quantity for all, or a vector with one entry for each; physics or hardware unit.\n///\n\
         /// # On the machine\n/// Writes setpoints, all checked before the first; part of the run's transaction.\n///\n\
         /// # Errors\n/// - `script`: no such field, or as `set(members, value)`.\n/// - `facility`: not as many quantities as supplies.\n\
         /// - `limits`, `rights`: as `set(members, value)`.\n///\n\
         /// # Example\n/// ```rhai\n/// HCOR.set(\"kick\", 2.0 * urad);\n/// ```",
        |c: NativeCallContext, m: Members, field: &str, value: Dynamic| write_field(&c, &m, field, &value, false)
    );
    document!(
        engine,
        "step",
        ["members: family", "field: text", "change: quantity or vector", "()"],
        "/// Changes a field of every device by its name by a step and waits until all have arrived; see `set(members, field, value)`.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"k1\"`.\n\
         /// - `change`: one quantity for all, or a vector with one entry for each; physics or hardware unit.\n///\n\
         /// # On the machine\n/// Writes setpoints, all checked before the first; part of the run's transaction.\n///\n\
         /// # Errors\n/// As `set`.\n///\n\
         /// # Example\n/// ```rhai\n/// HCOR.step(\"kick\", 2.0 * urad);\n/// ```",
        |c: NativeCallContext, m: Members, field: &str, value: Dynamic| write_field(&c, &m, field, &value, true)
    );
    document!(
        engine,
        "set",
        ["device: device", "field: text", "value: quantity", "()"],
        "/// Sets a field of a device by its name and waits until it has arrived; see `set(members, field, value)`.",
        |c: NativeCallContext, m: Member, field: &str, value: Dynamic| {
            let value = Dynamic::from(one(&value)?);
            write_field(&c, &Members::one(&m), field, &value, false)
        }
    );
    document!(
        engine,
        "step",
        ["device: device", "field: text", "change: quantity", "()"],
        "/// Changes a field of a device by its name by a step and waits until it has arrived; see `set(members, field, value)`.",
        |c: NativeCallContext, m: Member, field: &str, value: Dynamic| {
            let value = Dynamic::from(one(&value)?);
            write_field(&c, &Members::one(&m), field, &value, true)
        }
    );
    document!(
        engine,
        "supplies",
        ["members: family", "array"],
        "/// Tells which devices hang on which supply of the main field.\n///\n\
         /// What sets or steps one device of a supply moves all of them: also those that are not among `members`.\n///\n\
         /// # Returns\n/// An array of `#{ name, channel, devices }`, one for each supply, in the order of the devices: what the setpoint is\n\
         /// called, its channel, and those of `members` that it feeds, as a part of the family. Devices that cannot be set have none.\n///\n\
         /// # On the machine\n/// Asks nothing.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// let supplies = QF.supplies();\n/// assert(supplies.len == QF.len && supplies[0].devices.len == 1);\n/// ```",
        |m: Members| listed(&m)
    );
    document!(
        engine,
        "supplies",
        ["device: device", "array"],
        "/// Tells which devices of its family hang on the supply of a device, this one included; see `supplies(members)`.",
        |c: NativeCallContext, m: Member| -> Outcome<Array> {
            let field = main(&m.device)?;
            let all = Members::all(here(&c)?.facility.family(&m.device.family).or_fail()?);
            Ok(listed(&all.some(|device| field.fed.iter().any(|fed| fed.device == device.name))))
        }
    );
}
