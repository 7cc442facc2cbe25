//! What a quantity is in an element of a lattice.

use crate::Quantities;
use fodo_lattice::{Body, Element, Field};

/// Phase lag of a cavity that is passed on its crest [rad].
pub const CREST: f64 = std::f64::consts::FRAC_PI_2;

/// What a derivative of a field is over the coefficient of its order [1].
pub fn factorial(order: usize) -> f64 {
    (1..=order).map(|n| n as f64).product()
}

/// What the lattice says of a strength or an edge of an element, with factorials [SI]; zero of what is none.
pub fn design(element: &Element, quantity: Quantities) -> f64 {
    match quantity {
        Quantities::KickX => element.kick[0],
        Quantities::KickY => element.kick[1],
        Quantities::Upright(order) => element.field().map_or(0.0, |field| factorial(order) * field.upright(order)),
        Quantities::Skew(order) => element.field().map_or(0.0, |field| factorial(order) * field.skew(order)),
        Quantities::Edge(side) => edges(element).map_or(0.0, |edges| edges[side]),
        _ => 0.0,
    }
}

/// The edges of the rectangular aperture of an element, if it has one: lowest and highest x, lowest and highest y [m].
pub fn edges(element: &Element) -> Option<[f64; 4]> {
    element.aperture.as_ref()?.rectangle
}

/// Adds to a quantity of an element; of a multipole the coefficient without factorials is meant.
pub fn add(element: &mut Element, quantity: Quantities, value: f64) {
    match (quantity, &mut element.body) {
        (Quantities::KickX | Quantities::AcKickX, _) => element.kick[0] += value,
        (Quantities::KickY | Quantities::AcKickY, _) => element.kick[1] += value,
        (Quantities::Upright(order), _) => add_field(element, order, [value, 0.0]),
        (Quantities::Skew(order), _) => add_field(element, order, [0.0, value]),
        (Quantities::Edge(side), _) => {
            if let Some(edges) = element.aperture.as_mut().and_then(|aperture| aperture.rectangle.as_mut()) {
                edges[side] += value;
            }
        }
        (Quantities::RfFrequency, Body::Cavity(cavity)) => cavity.frequency += value,
        (Quantities::RfVoltage | Quantities::CavityVoltage, Body::Cavity(cavity)) => cavity.voltage += value,
        (Quantities::CavityPhase, Body::Cavity(cavity)) => cavity.phase_lag -= value,
        _ => {}
    }
}

/// Adds to the upright and the skew coefficient of an order; what is beyond the orders that act counts as nothing.
pub fn add_field(element: &mut Element, order: usize, [upright, skew]: [f64; 2]) {
    let Some(field) = element.field_mut() else { return };
    let acting = |field: &Field, value: f64| if order <= field.max_order { value } else { 0.0 };
    if upright != 0.0 {
        field.set_upright(order, acting(field, field.upright(order)) + upright);
    }
    if skew != 0.0 {
        field.set_skew(order, acting(field, field.skew(order)) + skew);
    }
}
