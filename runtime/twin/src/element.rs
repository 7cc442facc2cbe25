//! An element of the twin: what the lattice says of it, the sum over its knobs, and its errors.

use crate::channels::Knob;
use crate::present::Present;
use fodo_devices::strength::{CREST, add, add_field, design, factorial};
use fodo_devices::{Given, Quantities};
use fodo_lattice::{Body, Element, Lattice};
use fodo_optics::{Effects, Ring, Tapered};
use fodo_report::{Diagnostic, Kind, Result};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// The elements that knobs move, and which knob moves which.
pub(crate) struct Machine {
    lattice: Arc<Lattice>,
    standings: BTreeMap<usize, Standing>,
    /// Elements by knob.
    moved: Vec<Vec<usize>>,
    /// Physics value by knob at the start.
    starts: Vec<f64>,
}

/// Takes an element as it is now.
pub(crate) type Change<'c> = &'c mut dyn FnMut(usize, &Element);

/// One element.
struct Standing {
    /// The element of the lattice without what its knobs hold at the start.
    rest: Element,
    parts: Vec<Part>,
}

/// What one knob gives one element: its value over `divisor`.
struct Part {
    knob: usize,
    quantity: Quantities,
    divisor: f64,
}

/// The lattice with every magnet set to the energy that a radiating beam has in it.
///
/// # Errors
/// `facility`: without tapering there is no closed orbit to begin with.
pub(crate) fn tapered(lattice: &Arc<Lattice>) -> Result<Arc<Lattice>> {
    let mut ring = Ring::new(lattice, Effects::ALL);
    ring.taper(Tapered::AllMagnets, ROUNDS).map_err(|why| {
        let what = format!("the magnets cannot be tapered: {why}");
        Diagnostic::new(Kind::Facility, what)
            .hint("`tapering` in twin.toml needs a lattice whose cavities hold the beam")
    })?;
    let mut lattice = Lattice::clone(lattice);
    for (element, made) in lattice.elements.iter_mut().zip(ring.elements()) {
        element.field_scaling = made.field_scaling;
    }
    Ok(Arc::new(lattice))
}

/// How often magnets are scaled to the energy of the orbit that the last time has left.
const ROUNDS: u32 = 2;

impl Machine {
    /// The machine of a lattice.
    pub fn new(lattice: &Arc<Lattice>, knobs: &[Knob]) -> Machine {
        let (standings, moved, starts) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut machine = Machine { lattice: lattice.clone(), standings, moved, starts };
        let mut held = HashSet::new();
        machine.starts = knobs.iter().enumerate().map(|(at, knob)| machine.add(lattice, at, knob, &mut held)).collect();
        machine
    }

    pub fn lattice(&self) -> &Arc<Lattice> {
        &self.lattice
    }

    /// The physics value that each knob holds at the start: that of the lattice, or nothing where another knob holds it
    /// already.
    pub fn starts(&self) -> &[f64] {
        &self.starts
    }

    fn standing(&mut self, lattice: &Lattice, element: usize) -> &mut Standing {
        self.standings
            .entry(element)
            .or_insert_with(|| Standing { rest: lattice.elements[element].clone(), parts: Vec::new() })
    }

    /// Adds a knob; answers what it holds at the start.
    fn add(&mut self, lattice: &Lattice, at: usize, knob: &Knob, held: &mut HashSet<(usize, Quantities)>) -> f64 {
        let Some(quantity) = knob.quantity else {
            return self.add_supply(lattice, at, knob);
        };
        let shares = shares(lattice, &knob.device.elements, quantity);
        self.moved.push(shares.iter().map(|(element, _)| *element).collect());
        let Some(&(first, divisor)) = shares.first() else { return 0.0 };
        let is_held = !held.insert((first, quantity)) || self.has_voltage(&shares, quantity);
        let value = value(&lattice.elements[first], quantity);
        for &(element, divisor) in &shares {
            let rest = &mut self.standing(lattice, element).rest;
            if !is_held {
                take(rest, quantity, value);
            }
            self.standing(lattice, element).parts.push(Part { knob: at, quantity, divisor });
        }
        match quantity {
            _ if is_held => 0.0,
            Quantities::RfVoltage | Quantities::CavityVoltage => {
                shares.iter().map(|&(cavity, _)| self::value(&lattice.elements[cavity], quantity)).sum()
            }
            _ => value * divisor,
        }
    }

    /// Adds a supply of several quantities: what the lattice says is met where it holds its design value; answers that.
    fn add_supply(&mut self, lattice: &Lattice, at: usize, knob: &Knob) -> f64 {
        let mut moved = Vec::new();
        for &Given { quantity, factor } in knob.field.gives.iter().filter(|given| given.factor != 0.0) {
            for (element, divisor) in shares(lattice, &knob.device.elements, quantity) {
                let divisor = divisor / factor;
                let standing = self.standing(lattice, element);
                take(&mut standing.rest, quantity, knob.field.design / divisor);
                standing.parts.push(Part { knob: at, quantity, divisor });
                moved.push(element);
            }
        }
        self.moved.push(moved);
        knob.field.design
    }

    /// Whether a voltage of these cavities is held already, that of all together or that of some.
    fn has_voltage(&self, shares: &[(usize, f64)], quantity: Quantities) -> bool {
        let voltage = |quantity: Quantities| matches!(quantity, Quantities::RfVoltage | Quantities::CavityVoltage);
        let mut parts = shares.iter().filter_map(|(element, _)| self.standings.get(element)).flat_map(|s| &s.parts);
        voltage(quantity) && parts.any(|part| voltage(part.quantity))
    }

    /// The elements that these knobs move.
    pub fn moved_by(&self, knobs: impl IntoIterator<Item = usize>) -> impl Iterator<Item = usize> {
        knobs.into_iter().flat_map(|knob| self.moved[knob].iter().copied())
    }

    /// Makes these elements as they are now; each once.
    pub fn rebuild(
        &self,
        elements: &BTreeSet<usize>,
        physics: impl Fn(usize) -> f64,
        present: &Present,
        change: Change<'_>,
    ) {
        for &element in elements {
            let known = self.standings.get(&element);
            let mut built = known.map_or(&self.lattice.elements[element], |standing| &standing.rest).clone();
            for part in known.iter().flat_map(|standing| &standing.parts) {
                let supply = &present.supplies[part.knob];
                let value = supply.gives(physics(part.knob)) / part.divisor;
                add_rolled(&mut built, part.quantity, value, supply.truth.roll);
            }
            if let Some(truth) = present.elements.get(&element) {
                truth.spoil(&mut built);
            }
            change(element, &built);
        }
    }
}

/// The elements that a quantity of a device acts on, and what its value is divided by at each.
fn shares(lattice: &Lattice, elements: &[usize], quantity: Quantities) -> Vec<(usize, f64)> {
    let every = |divisor: f64| elements.iter().map(|&element| (element, divisor)).collect();
    match quantity {
        Quantities::KickX | Quantities::KickY => every(elements.len() as f64),
        // a sine is that of the first
        Quantities::AcKickX | Quantities::AcKickY => elements.iter().take(1).map(|&element| (element, 1.0)).collect(),
        Quantities::Upright(order) | Quantities::Skew(order) => every(factorial(order)),
        Quantities::CavityVoltage => {
            let voltage = |element: usize| value(&lattice.elements[element], Quantities::CavityVoltage);
            let total: f64 = elements.iter().map(|&element| voltage(element)).sum();
            let part = |&element: &usize| if total == 0.0 { elements.len() as f64 } else { total / voltage(element) };
            elements.iter().map(|element| (*element, part(element))).collect()
        }
        Quantities::CavityPhase | Quantities::Edge(_) => every(1.0),
        Quantities::RfFrequency => cavities(lattice, |cavities, at| {
            let [first, here] = [cavities[0].frequency, cavities[at].frequency];
            if first == 0.0 || here == first { 1.0 } else { first / here }
        }),
        Quantities::RfVoltage => cavities(lattice, |cavities, at| {
            let total: f64 = cavities.iter().map(|cavity| cavity.voltage).sum();
            if total == 0.0 { cavities.len() as f64 } else { total / cavities[at].voltage }
        }),
        _ => Vec::new(),
    }
}

fn cavities(lattice: &Lattice, divisor: impl Fn(&[&fodo_lattice::Cavity], usize) -> f64) -> Vec<(usize, f64)> {
    let found = lattice.elements.iter().enumerate().filter_map(|(index, element)| match &element.body {
        Body::Cavity(cavity) => Some((index, cavity)),
        _ => None,
    });
    let (places, cavities): (Vec<usize>, Vec<_>) = found.unzip();
    places.into_iter().enumerate().map(|(at, index)| (index, divisor(&cavities, at))).collect()
}

/// What an element has of a quantity, without factorials.
fn value(element: &Element, quantity: Quantities) -> f64 {
    match (quantity, &element.body) {
        (Quantities::KickX, _) => element.kick[0],
        (Quantities::KickY, _) => element.kick[1],
        (Quantities::Upright(order), _) => element.field().map_or(0.0, |field| field.upright(order)),
        (Quantities::Skew(order), _) => element.field().map_or(0.0, |field| field.skew(order)),
        (Quantities::Edge(_), _) => design(element, quantity),
        (Quantities::RfFrequency, Body::Cavity(cavity)) => cavity.frequency,
        (Quantities::RfVoltage | Quantities::CavityVoltage, Body::Cavity(cavity)) => cavity.voltage,
        (Quantities::CavityPhase, Body::Cavity(cavity)) => CREST - cavity.phase_lag,
        _ => 0.0,
    }
}

/// Takes from an element what a knob holds of it: of cavities all that they have.
fn take(element: &mut Element, quantity: Quantities, value: f64) {
    match (quantity, &mut element.body) {
        (Quantities::KickX, _) => element.kick[0] -= value,
        (Quantities::KickY, _) => element.kick[1] -= value,
        (Quantities::Edge(_), _) => add(element, quantity, -value),
        (Quantities::RfFrequency, Body::Cavity(cavity)) => cavity.frequency = 0.0,
        (Quantities::RfVoltage | Quantities::CavityVoltage, Body::Cavity(cavity)) => cavity.voltage = 0.0,
        (Quantities::CavityPhase, Body::Cavity(cavity)) => cavity.phase_lag += value,
        (Quantities::Upright(order), _) => take_field(element, order, [value, 0.0]),
        (Quantities::Skew(order), _) => take_field(element, order, [0.0, value]),
        _ => {}
    }
}

/// Takes from the coefficients of an order, also where it does not act.
fn take_field(element: &mut Element, order: usize, [upright, skew]: [f64; 2]) {
    let Some(field) = element.field_mut() else { return };
    let from = |list: &mut Vec<f64>, value: f64| list.get_mut(order).map(|there| *there -= value).is_some();
    let missing = |there: bool, value: f64| if there { 0.0 } else { -value };
    let rest = [missing(from(&mut field.b, upright), upright), missing(from(&mut field.a, skew), skew)];
    add_field(element, order, rest);
}

/// Adds to a quantity of an element with a winding that is rolled in it; the field of order n turns by (n + 1) times that.
fn add_rolled(element: &mut Element, quantity: Quantities, value: f64, roll: f64) {
    if roll == 0.0 {
        return add(element, quantity, value);
    }
    let turned = |order: usize| ((order as f64 + 1.0) * roll).sin_cos();
    match quantity {
        Quantities::KickX => {
            let (sine, cosine) = roll.sin_cos();
            element.kick[0] += value * cosine;
            element.kick[1] += value * sine;
        }
        Quantities::KickY => {
            let (sine, cosine) = roll.sin_cos();
            element.kick[0] -= value * sine;
            element.kick[1] += value * cosine;
        }
        Quantities::Upright(order) => {
            let (sine, cosine) = turned(order);
            add_field(element, order, [value * cosine, -value * sine]);
        }
        Quantities::Skew(order) => {
            let (sine, cosine) = turned(order);
            add_field(element, order, [value * sine, value * cosine]);
        }
        _ => add(element, quantity, value),
    }
}
