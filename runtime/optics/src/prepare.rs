//! Elements of a lattice made ready for tracking.

use fodo_lattice::{Bend, Body, Cavity, Class, Element, ElementAperture, Field, Magnet};

use crate::constants::{ELECTRON_RADIUS, ELECTRON_REST_ENERGY, SPEED_OF_LIGHT};
use crate::maps::{
    Action, CavityMap, CorrectorMap, EdgeMap, Limits, MagnetMap, Placement, SecondOrderBend, SecondOrderEdge, Step,
    ThinMap, WigglerMap,
};
use crate::number::Number;

/// What all elements of a machine have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Total energy of the reference particle [eV].
    pub energy: f64,
    /// Rest energy [eV]; 0 means relativistic.
    pub rest_energy: f64,
    /// Time the reference particle takes for the elements [s].
    pub revolution_time: f64,
    /// Whether cavities are on.
    pub cavity: bool,
    /// Whether bends and quadrupoles radiate (classically, without quantum excitation).
    pub radiation: bool,
}

impl Settings {
    /// Radiation constant (2/3) r_e gamma³ [m], where magnets radiate.
    fn radiation_constant(&self) -> Option<f64> {
        let rest = if self.rest_energy == 0.0 { ELECTRON_REST_ENERGY } else { self.rest_energy };
        self.radiation.then(|| 2.0 / 3.0 * ELECTRON_RADIUS * (self.energy / rest).powi(3))
    }
}

/// Makes an element ready with its own kick.
#[must_use]
pub fn prepare(element: &Element, settings: &Settings) -> Step {
    prepare_with(element, settings, element.kick)
}

/// Makes an element ready with this kick [rad], which may carry derivatives.
#[must_use]
pub fn prepare_with<C: Number>(element: &Element, settings: &Settings, kick: [C; 2]) -> Step<C> {
    let alignment = element.alignment.as_deref().cloned().unwrap_or_default();
    Step {
        scaling: element.field_scaling,
        entrance: Placement::new(alignment.t1, alignment.r1),
        exit: Placement::new(alignment.t2, alignment.r2),
        limits: element.aperture.as_deref().map(|aperture| Box::new(limits(aperture, None))),
        action: action(element, settings, kick),
    }
}

fn action<C: Number>(element: &Element, settings: &Settings, kick: [C; 2]) -> Action<C> {
    let length = element.length;
    match &element.body {
        Body::Marker | Body::Monitor if length == 0.0 => Action::Nothing,
        Body::Marker | Body::Monitor => Action::Drift(length),
        Body::Drift { exact: false } => Action::Drift(length),
        Body::Drift { exact: true } => Action::ExactDrift(length),
        Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
            straight_magnet(element, magnet, settings, kick)
        }
        Body::Bend(bend) => bent_magnet(element, bend, settings, kick),
        Body::ThinMultipole(thin) => {
            let (b, a) = coefficients(&thin.field, [-kick[0], kick[1]]);
            Action::Thin(Box::new(ThinMap { b, a, bending_angle: thin.bending_angle }))
        }
        Body::Corrector => Action::Corrector(CorrectorMap { length, kick_x: kick[0], kick_y: kick[1] }),
        Body::Cavity(cavity) if settings.cavity => Action::Cavity(Box::new(cavity_map(cavity, length, settings))),
        Body::Cavity(_) if length == 0.0 => Action::Nothing,
        Body::Cavity(_) => Action::Drift(length),
        Body::Matrix66(matrix) => {
            let radiating = matrix.radiating.filter(|_| settings.radiation);
            Action::Matrix(Box::new(radiating.unwrap_or(matrix.rows)))
        }
        Body::Aperture(aperture) => Action::Aperture(Box::new(limits(&aperture.transverse, aperture.longitudinal))),
        Body::Wiggler(wiggler) => Action::Wiggler(Box::new(WigglerMap::new(wiggler, length, settings.energy))),
    }
}

fn limits(transverse: &ElementAperture, longitudinal: Option<[f64; 4]>) -> Limits {
    Limits { rectangle: transverse.rectangle, ellipse: transverse.ellipse, longitudinal }
}

/// The coefficients that act, upright and skew, at least two of each, with something added to the dipole ones.
fn coefficients<C: Number>(field: &Field, dipole: [C; 2]) -> (Vec<C>, Vec<C>) {
    let count = field.max_order.max(1);
    let acting = |value: f64, order: usize| C::constant(if order <= field.max_order { value } else { 0.0 });
    let mut b: Vec<C> = (0..=count).map(|order| acting(field.upright(order), order)).collect();
    let mut a: Vec<C> = (0..=count).map(|order| acting(field.skew(order), order)).collect();
    b[0] += dipole[0];
    a[0] += dipole[1];
    (b, a)
}

fn magnet_map<C: Number>(element: &Element, magnet: &Magnet, settings: &Settings, kick: [C; 2]) -> MagnetMap<C> {
    let per_length = 1.0 / element.length;
    let [(sine_x, _), (sine_y, _)] = kick.map(Number::sin_cos);
    let (b, a) = coefficients(&magnet.field, [sine_x * -per_length, sine_y * per_length]);
    let gradient = magnet.field.upright(1);
    let fringe = magnet.fringe.map(|on| (on && gradient != 0.0).then(|| C::constant(gradient)));
    let radiates = matches!(element.class(), Class::Bend | Class::Quadrupole);
    MagnetMap {
        length: element.length,
        slices: magnet.slices.max(1),
        curvature: 0.0,
        b,
        a,
        entrance: None,
        exit: None,
        fringe,
        radiation: settings.radiation_constant().filter(|_| radiates),
    }
}

fn straight_magnet<C: Number>(element: &Element, magnet: &Magnet, settings: &Settings, kick: [C; 2]) -> Action<C> {
    if element.length == 0.0 {
        return Action::Nothing;
    }
    let map = Box::new(magnet_map(element, magnet, settings, kick));
    if magnet.exact { Action::ExactMagnet(map) } else { Action::Magnet(map) }
}

fn bent_magnet<C: Number>(element: &Element, bend: &Bend, settings: &Settings, kick: [C; 2]) -> Action<C> {
    let kick = if bend.second_order { [kick[0], C::constant(0.0)] } else { kick };
    let mut map = magnet_map(element, &bend.magnet, settings, kick);
    let h = if element.length == 0.0 { bend.angle } else { bend.angle / element.length };
    map.curvature = h;
    if bend.second_order {
        map.a.fill(C::constant(0.0));
        let gradient = map.b[1].lane(0);
        let entrance = SecondOrderEdge::new(&bend.entrance, h, gradient, bend.full_gap, 1.0);
        let exit = SecondOrderEdge::new(&bend.exit, h, gradient, bend.full_gap, -1.0);
        return Action::SecondOrderBend(Box::new(SecondOrderBend { magnet: map, entrance, exit }));
    }
    let edge = |edge, side| Some(EdgeMap::new(edge, h, bend.full_gap, side)).filter(|edge| !edge.is_nothing());
    map.entrance = edge(&bend.entrance, 1.0);
    map.exit = edge(&bend.exit, -1.0);
    Action::Magnet(Box::new(map))
}

fn cavity_map(cavity: &Cavity, length: f64, settings: &Settings) -> CavityMap {
    let time = settings.revolution_time;
    let harmonic = (cavity.frequency * time).round();
    CavityMap {
        length,
        strength: cavity.voltage / settings.energy,
        frequency: cavity.frequency,
        time_lag: cavity.time_lag,
        phase_lag: cavity.phase_lag,
        slip: if cavity.counts_turns && cavity.frequency != 0.0 { harmonic / cavity.frequency - time } else { 0.0 },
    }
}

/// Time the reference particle takes for this length [s].
#[must_use]
pub fn flight_time(length: f64) -> f64 {
    length / SPEED_OF_LIGHT
}
