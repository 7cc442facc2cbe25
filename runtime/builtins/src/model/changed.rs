//! The design lattice with devices at other values: where they stand on the machine, or where a script wants them.

use super::{Model, ModelHandle, parts};
use crate::context::{Context, here};
use crate::families::document;
use crate::orbit::{Steps, knobs_of};
use crate::quantity;
use crate::vector::Vector;
use fodo_devices::strength::{CREST, add, design, factorial};
use fodo_devices::{Device, Field, Quantities};
use fodo_language::{OrFail, Outcome, script_error};
use fodo_lattice::{Body, Cavity, Lattice};
use fodo_units::Quantity;
use rhai::{Dynamic, Engine, FuncRegistration, NativeCallContext};
use std::sync::Arc;

/// The physics value that a field of a device has in a lattice; nothing if the lattice does not have it.
fn held(device: &Device, field: &Field, lattice: &Lattice) -> Option<f64> {
    let Some(quantity) = field.model else { return (!field.gives.is_empty()).then_some(field.design) };
    let cavity = |at: usize| lattice.elements.get(at).and_then(as_cavity);
    match quantity {
        Quantities::RfFrequency => lattice.elements.iter().find_map(as_cavity).map(|cavity| cavity.frequency),
        Quantities::RfVoltage => Some(lattice.elements.iter().filter_map(as_cavity).map(|cavity| cavity.voltage).sum()),
        Quantities::CavityVoltage => device.elements.iter().map(|&at| cavity(at).map(|cavity| cavity.voltage)).sum(),
        Quantities::CavityPhase => cavity(*device.elements.first()?).map(|cavity| CREST - cavity.phase_lag),
        Quantities::KickX | Quantities::KickY => {
            Some(device.elements.iter().map(|&at| design(&lattice.elements[at], quantity)).sum())
        }
        Quantities::Upright(_) | Quantities::Skew(_) | Quantities::Edge(_) => {
            device.elements.first().map(|&at| design(&lattice.elements[at], quantity))
        }
        _ => None,
    }
}

fn as_cavity(element: &fodo_lattice::Element) -> Option<&Cavity> {
    if let Body::Cavity(cavity) = &element.body { Some(cavity) } else { None }
}

/// Brings a field of a device to a physics value; `false` if the lattice does not have it.
fn bring(device: &Device, field: &Field, value: f64, lattice: &mut Lattice) -> bool {
    let Some(before) = held(device, field, lattice) else { return false };
    let everywhere: Vec<usize> = (0..lattice.elements.len()).collect();
    let cavities = match field.model {
        Some(Quantities::RfFrequency | Quantities::RfVoltage) => everywhere.as_slice(),
        Some(Quantities::CavityVoltage | Quantities::CavityPhase) => device.elements.as_slice(),
        _ => {
            for part in parts(device, field, lattice).unwrap_or_default() {
                let divisor = match part.quantity {
                    Quantities::Upright(order) | Quantities::Skew(order) => factorial(order),
                    _ => 1.0,
                };
                add(&mut lattice.elements[part.element], part.quantity, part.weight * (value - before) / divisor);
            }
            return true;
        }
    };
    let count = cavities.len() as f64;
    for &at in cavities {
        let Body::Cavity(cavity) = &mut lattice.elements[at].body else { continue };
        match field.model {
            Some(Quantities::RfFrequency) => cavity.frequency *= value / before,
            Some(Quantities::CavityPhase) => cavity.phase_lag = CREST - value,
            // in the proportions that there are
            _ if before != 0.0 => cavity.voltage *= value / before,
            _ => cavity.voltage = value / count,
        }
    }
    true
}

/// A model with fields of devices at other physics values.
fn with(context: &Context, model: &ModelHandle, changes: &[(Arc<Device>, Field, f64)]) -> Outcome<ModelHandle> {
    let model = model.of_facility(context)?;
    let mut lattice = (*model.lattice).clone();
    for (device, field, value) in changes {
        if !bring(device, field, *value, &mut lattice) {
            return Err(script_error(format!("{}.{} is not in the model", device.shown(), field.name)));
        }
    }
    let title = format!("{}, changed", context.model().title);
    Ok(ModelHandle(Some(Arc::new(Model::entered(title, Arc::new(lattice), model.line.clone())))))
}

/// The values that are wanted, one for each knob.
fn values(count: usize, value: &Dynamic, check: impl Fn(usize, &Quantity) -> Outcome<f64>) -> Outcome<Vec<f64>> {
    if let Some(vector) = value.read_lock::<Vector>() {
        if vector.si().len() != count {
            return Err(script_error(format!("there are {count} devices and {} values", vector.si().len())));
        }
        let of = |(at, si): (usize, &f64)| check(at, &Quantity::from_si(*si, vector.unit().clone()));
        return vector.si().iter().enumerate().map(of).collect();
    }
    let one = quantity::from_dynamic(value)
        .ok_or_else(|| script_error("a model is changed by a quantity, or a vector with an entry for each device"))?;
    (0..count).map(|at| check(at, &one)).collect()
}

fn with_values(context: &Context, model: &ModelHandle, which: &Dynamic, value: &Dynamic) -> Outcome<ModelHandle> {
    let knobs = knobs_of(which)?;
    let check = |at: usize, value: &Quantity| {
        let (device, field): &(Arc<Device>, Field) = &knobs[at];
        let wrong = |error| script_error(format!("{}.{}: {error}", device.shown(), field.name));
        value.check(&field.physics).map(|()| value.si).map_err(wrong)
    };
    let values = values(knobs.len(), value, check)?;
    let changes: Vec<_> =
        knobs.iter().cloned().zip(values).map(|((device, field), value)| (device, field, value)).collect();
    with(context, model, &changes)
}

fn with_steps(context: &Context, model: &ModelHandle, steps: &Steps) -> Outcome<ModelHandle> {
    let lattice = &model.of(context).lattice;
    let step = |(device, field, step): (Arc<Device>, Field, f64)| {
        let before = held(&device, &field, lattice);
        let before =
            before.ok_or_else(|| script_error(format!("{}.{} is not in the model", device.shown(), field.name)))?;
        Ok((device, field, before + step))
    };
    let changes = steps.each().map(step).collect::<Outcome<Vec<_>>>()?;
    with(context, model, &changes)
}

/// The design lattice with every device that can be set and is in it where its setpoint stands.
fn present(context: &Context) -> Outcome<ModelHandle> {
    let lattice = &context.facility.lattice;
    let mut fields: Vec<(Arc<Device>, Field)> = Vec::new();
    for device in context.facility.families.iter().flat_map(|family| &family.devices) {
        let ours = device.fields.iter().filter(|field| field.setpoint.is_some() && field.wave.is_none());
        fields.extend(
            ours.filter(|field| held(device, field, lattice).is_some()).map(|field| (device.clone(), field.clone())),
        );
    }
    let mut seen = std::collections::HashSet::new();
    // a supply of several devices is one
    fields.retain(|(_, field)| field.setpoint.as_ref().is_some_and(|setpoint| seen.insert(setpoint.channel.clone())));
    context.connect(fields.iter().map(|(device, _)| device))?;
    let points: Vec<_> = fields.iter().filter_map(|(_, field)| field.setpoint.clone()).collect();
    let stand = context.session.setpoints(&points).or_fail()?;
    let value = |((device, field), on_channel): ((Arc<Device>, Field), f64)| {
        let value = field.to_physics(on_channel);
        (device, field, value)
    };
    let changes: Vec<_> = fields.into_iter().zip(stand).map(value).collect();
    with(context, &ModelHandle(None), &changes)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "with_values",
        ["model: model", "which: family, device, knobs or array", "values: quantity or vector", "model"],
        "/// Gives a model with devices at other values; the machine is not touched.\n///\n\
         /// # Parameters\n/// - `which`: families, parts of them or devices; their main field is meant.\n\
         /// - `values`: one for all, or a vector with one entry for each; in the physics unit.\n///\n\
         /// # Returns\n/// A model: everything `model` has.\n///\n\
         /// # Errors\n/// - `not in the model`: a device that the lattice does not have, such as a monitor.\n/// - `script`: wrong unit, wrong number of values.\n///\n\
         /// # Example\n/// ```rhai\n/// let stronger = model.with_values(QF, 1.01 * QF.setpoint());\n/// assert(stronger.tune_x > model.tune_x);\n/// ```",
        |c: NativeCallContext, m: ModelHandle, which: Dynamic, values: Dynamic| with_values(
            &*here(&c)?,
            &m,
            &which,
            &values
        )
    );
    document!(
        engine,
        "with_steps",
        ["model: model", "steps: steps", "model"],
        "/// Gives a model in which steps of knobs were made; the machine is not touched.\n///\n\
         /// # Returns\n/// A model: everything `model` has.\n///\n\
         /// # Errors\n/// - `not in the model`: a knob that the lattice does not have.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response(HCOR, BPM);\n/// let bent = model.with_steps(r.solve(orbit_error()));\n/// assert(bent.orbit_x[BPM].max_abs() > 1.0 * um);\n/// ```",
        |c: NativeCallContext, m: ModelHandle, steps: Steps| with_steps(&*here(&c)?, &m, &steps)
    );
    document!(
        engine,
        "at_setpoints",
        ["model: model", "model"],
        "/// Gives the design lattice with every magnet and cavity where its setpoint stands now.\n///\n\
         /// # Returns\n/// A model: what the machine would be without errors.\n///\n\
         /// # On the machine\n/// Asks for setpoints.\n///\n\
         /// # Errors\n/// - `machine`: setpoints that are absent or not a number.\n/// - `script`: asked of another model than `model`.\n///\n\
         /// # Example\n/// ```rhai\n/// QF.step(quantity(0.001, \"1/m^2\"));\n/// assert(model.at_setpoints().tune_x > model.tune_x);\n/// ```",
        |c: NativeCallContext, m: ModelHandle| match m.0 {
            None => present(&*here(&c)?),
            Some(_) =>
                Err(script_error("setpoints are those of the facility's own lattice: write model.at_setpoints()")),
        }
    );
}
