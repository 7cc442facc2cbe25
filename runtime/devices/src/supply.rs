//! Supplies: a setpoint and the devices that hang on it.

use crate::family::Device;
use crate::field::Field;
use fodo_control::{Channel, Setpoint};
use fodo_units::Calibration;
use std::collections::HashMap;
use std::sync::Arc;

/// A device on a supply.
#[derive(Clone, Debug, PartialEq)]
pub struct Fed {
    /// Its name.
    pub device: Arc<str>,
    /// The lattice elements it is made of, in beam order.
    pub elements: Vec<usize>,
    /// From what the supply holds to what the beam feels in this device, both in SI.
    pub calibration: Calibration,
}

impl Field {
    /// Whether other devices hang on the same supply.
    pub fn is_shared(&self) -> bool {
        self.fed.len() > 1
    }
}

/// The devices of each supply by the field at a place (0 is the main one), both in the order in which the devices come;
/// without those that cannot be set.
pub fn supplies<'d>(
    devices: impl IntoIterator<Item = &'d Arc<Device>>,
    field: usize,
) -> Vec<(Arc<Setpoint>, Vec<Arc<Device>>)> {
    let devices: Vec<&Arc<Device>> = devices.into_iter().collect();
    let setpoint = |place: usize| devices[place].fields.get(field).and_then(|field| field.setpoint.as_ref());
    let groups = by_channel((0..devices.len()).filter_map(|place| Some((place, &setpoint(place)?.channel))));
    let supply = |places: Vec<usize>| {
        let of = places.iter().map(|&place| devices[place].clone()).collect();
        Some((setpoint(*places.first()?)?.clone(), of))
    };
    groups.into_iter().filter_map(supply).collect()
}

/// Places with one channel together, in their order.
fn by_channel<'c>(places: impl Iterator<Item = (usize, &'c Channel)>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<&Channel, usize> = HashMap::new();
    for (place, channel) in places {
        let at = *known.entry(channel).or_insert(groups.len());
        if at == groups.len() {
            groups.push(Vec::new());
        }
        groups[at].push(place);
    }
    groups
}

/// Lets the devices of a family whose field is set by one channel share its setpoint, and notes what each setpoint moves.
///
/// # Errors
/// Which field of which supply, and why: no value is within the limits of all its devices.
pub(crate) fn join(devices: &mut [Device]) -> Result<(), (Arc<str>, String)> {
    let fields = devices.first().map_or(0, |device| device.fields.len());
    for field in 0..fields {
        let set = |(place, device): (usize, &'_ Device)| Some((place, device.fields[field].setpoint.clone()?));
        let set: Vec<(usize, Arc<Setpoint>)> = devices.iter().enumerate().filter_map(set).collect();
        for places in by_channel(set.iter().map(|(place, setpoint)| (*place, &setpoint.channel))) {
            share(devices, field, &places)?;
        }
    }
    Ok(())
}

/// One setpoint for the devices at these places.
fn share(devices: &mut [Device], field: usize, places: &[usize]) -> Result<(), (Arc<str>, String)> {
    let fed: Arc<[Fed]> = places
        .iter()
        .map(|&place| {
            let Device { name, elements, fields, .. } = &devices[place];
            let calibration = fields[field].calibration.clone();
            Fed { device: name.clone(), elements: elements.clone(), calibration }
        })
        .collect();
    let joined = match places.len() {
        1 => None,
        _ => Some(Arc::new(joined(devices, field, places)?)),
    };
    for &place in places {
        let field = &mut devices[place].fields[field];
        field.fed = fed.clone();
        if let Some(joined) = &joined {
            field.setpoint = Some(joined.clone());
        }
    }
    Ok(())
}

/// The setpoint of a supply of several devices: within the limits of all, as near as the strictest wants it, as slow as
/// the slowest.
fn joined(devices: &[Device], field: usize, places: &[usize]) -> Result<Setpoint, (Arc<str>, String)> {
    let first = &devices[places[0]];
    let Field { name, calibration, setpoint, .. } = &first.fields[field];
    let failed = |what: String| Err((name.clone(), what));
    let Some(known) = setpoint.as_deref() else { return failed("cannot be set".into()) };
    let own = || places.iter().filter_map(|&place| devices[place].fields[field].setpoint.as_deref());
    let low = own().map(|setpoint| setpoint.limits.0).fold(f64::NEG_INFINITY, f64::max);
    let high = own().map(|setpoint| setpoint.limits.1).fold(f64::INFINITY, f64::min);
    if low >= high {
        let (count, channel) = (places.len(), &known.channel);
        return failed(format!("no value of {channel} is within the limits of all {count} devices on it"));
    }
    let shown = match places {
        _ if places.len() == devices.len() => format!("{}.{name}", first.family),
        [_, second] => format!("{}[\"{}\", \"{}\"].{name}", first.family, first.name, devices[*second].name),
        _ => format!("{}[\"{}\" and {} more].{name}", first.family, first.name, places.len() - 1),
    };
    let alike = places.iter().all(|&place| devices[place].fields[field].calibration == *calibration);
    Ok(Setpoint {
        name: shown.into(),
        limits: (low, high),
        tolerance: own().map(|setpoint| setpoint.tolerance).fold(f64::INFINITY, f64::min),
        rate: own().filter_map(|setpoint| setpoint.rate).reduce(f64::min),
        // what the beam feels is another in each device
        physics: known.physics.clone().filter(|_| alike),
        ..known.clone()
    })
}
