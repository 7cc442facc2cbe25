//! What a knob changes in the lattice: all elements of all devices on its supply.

use fodo_devices::strength::design;
use fodo_devices::{Device, Fed, Field, Quantities};
use fodo_lattice::Lattice;

/// One element that a knob moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The element.
    pub element: usize,
    /// What is changed there.
    pub quantity: Quantities,
    /// By how much for one unit of the knob's device [1].
    pub weight: f64,
}

/// What a field of a device moves; nothing if it is not in the model.
///
/// A kick is shared by the elements of a device, a strength is that of each. What other devices on the same supply get is
/// counted by the slopes of the calibrations at the design value of this one.
pub fn parts(device: &Device, field: &Field, lattice: &Lattice) -> Option<Vec<Part>> {
    let given: Vec<(Quantities, f64)> = match field.model {
        Some(quantity) => vec![(quantity, 1.0)],
        None => field.gives.iter().map(|given| (given.quantity, given.factor)).collect(),
    };
    let parts = given.iter().flat_map(|&(quantity, factor)| of_quantity(device, field, lattice, quantity, factor));
    (!given.is_empty()).then(|| parts.collect())
}

/// The parts of one quantity, of which one unit of the knob gives `factor`.
fn of_quantity(device: &Device, field: &Field, lattice: &Lattice, quantity: Quantities, factor: f64) -> Vec<Part> {
    let part = |element: usize, weight: f64| Part { element, quantity, weight: factor * weight };
    let is_whole = matches!(quantity, Quantities::RfFrequency | Quantities::RfVoltage);
    if is_whole || device.elements.is_empty() {
        return vec![part(device.elements.first().copied().unwrap_or(0), 1.0)];
    }
    // a kick is shared by the elements, a strength is that of each
    let share = |elements: usize| match quantity {
        Quantities::KickX | Quantities::KickY => 1.0 / elements as f64,
        _ => 1.0,
    };
    if !field.is_shared() {
        return device.elements.iter().map(|&element| part(element, share(device.elements.len()))).collect();
    }
    let design = match field.model {
        Some(quantity) => design(&lattice.elements[device.elements[0]], quantity) / share(device.elements.len()),
        None => field.design,
    };
    let current = field.calibration.to_hardware(design);
    let slope = field.calibration.slope(current);
    let of = |fed: &Fed| {
        let weight = fed.calibration.slope(current) / slope * share(fed.elements.len());
        fed.elements.iter().map(|&element| part(element, weight)).collect::<Vec<Part>>()
    };
    field.fed.iter().flat_map(of).collect()
}
