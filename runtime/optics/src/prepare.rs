//! Elements of a lattice made ready for tracking.

use std::f64::consts::TAU;

use fodo_lattice::{Bend, Body, Cavity, Class, Element, ElementAperture, Field, Magnet, Reference};

use crate::constants::{ELECTRON_RADIUS, ELECTRON_REST_ENERGY, HBAR_C, SPEED_OF_LIGHT};
use crate::maps::{
    Action, CavityMap, Coefficient, CorrectorMap, EdgeMap, ExactBend, ExactEdge, Flight, KickTable, Limits, MagnetMap,
    Placement, ReferenceChange, SecondOrderBend, SecondOrderEdge, SolenoidMap, Step, ThinMap, WigglerMap,
};
use crate::number::Number;

/// What all elements of a machine have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Total energy of the reference particle [eV].
    pub energy: f64,
    /// Rest energy [eV]; 0 means relativistic.
    pub rest_energy: f64,
    /// How the reference particle moves.
    pub reference: Reference,
    /// Time the reference particle takes for the elements [s].
    pub revolution_time: f64,
    /// Whether cavities are on.
    pub cavity: bool,
    /// Whether bends and quadrupoles radiate (classically, without quantum excitation).
    pub radiation: bool,
    /// Energy that a cavity gives to the reference particle, where it is not that of its own voltage and phase [eV].
    pub held_gain: Option<f64>,
}

impl Settings {
    /// 1/gamma² of the reference particle [1]; 0 where all particles are taken to be as fast as light.
    #[must_use]
    pub fn inverse_gamma_squared(&self) -> f64 {
        if self.reference.exact_velocity { (self.rest_energy / self.energy).powi(2) } else { 0.0 }
    }

    /// Speed of the reference particle over that of light [1].
    #[must_use]
    pub fn beta(&self) -> f64 {
        (1.0 - self.inverse_gamma_squared()).sqrt()
    }

    /// Speed of the reference particle [m/s].
    #[must_use]
    pub fn speed(&self) -> f64 {
        SPEED_OF_LIGHT * self.beta()
    }

    /// Momentum of the reference particle times c [eV].
    #[must_use]
    pub fn momentum(&self) -> f64 {
        self.energy * self.beta()
    }

    /// The same after the reference particle has gained energy [eV].
    #[must_use]
    pub fn after_gain(&self, gain: f64) -> Self {
        Self { energy: self.energy + gain, ..*self }
    }

    /// How coordinates change when these settings become others.
    #[must_use]
    pub fn change_to(&self, after: &Self) -> ReferenceChange {
        ReferenceChange {
            gain: (after.momentum() - self.momentum()) / self.momentum(),
            speed_ratio: after.beta() / self.beta(),
            inverse_gamma_squared: after.inverse_gamma_squared(),
        }
    }

    /// Rest energy of what radiates [eV]: that of an electron where the particle is taken to be as fast as light.
    #[must_use]
    pub fn radiating_rest_energy(&self) -> f64 {
        if self.rest_energy == 0.0 { ELECTRON_REST_ENERGY } else { self.rest_energy }
    }

    /// Energy of the reference particle over its rest energy, as synchrotron radiation sees it [1].
    #[must_use]
    pub fn gamma(&self) -> f64 {
        self.energy / self.radiating_rest_energy()
    }

    /// What the diffusion of delta² per length is, over the curvature cubed [m²].
    #[must_use]
    pub(crate) fn diffusion_constant(&self) -> f64 {
        let wavelength = HBAR_C / ELECTRON_REST_ENERGY;
        55.0 / (24.0 * 3f64.sqrt()) * ELECTRON_RADIUS * wavelength * self.gamma().powi(5)
    }

    /// Radiation constant (2/3) r_e gamma³ [m], where magnets radiate.
    fn radiation_constant(&self) -> Option<f64> {
        self.radiation.then(|| 2.0 / 3.0 * ELECTRON_RADIUS * self.gamma().powi(3))
    }
}

/// The strengths of an element that may carry derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strengths<C> {
    /// Kicks, horizontal and vertical [rad].
    pub kick: [C; 2],
    /// Gradients that act, upright and skew [1/m²]; integrated in a thin magnet [1/m].
    pub gradient: [C; 2],
}

impl<C: Number> Strengths<C> {
    /// The strengths an element has.
    #[must_use]
    pub fn of(element: &Element) -> Self {
        let acting = element.field().filter(|field| field.max_order >= 1);
        let gradient = acting.map_or([0.0; 2], |field| [field.upright(1), field.skew(1)]);
        Self { kick: element.kick.map(C::constant), gradient: gradient.map(C::constant) }
    }
}

/// Makes an element ready with its own strengths.
#[must_use]
pub fn prepare(element: &Element, settings: &Settings) -> Step {
    prepare_with(element, settings, Strengths::of(element))
}

/// Makes an element ready with these strengths, which may carry derivatives.
#[must_use]
pub fn prepare_with<C: Number + Coefficient>(
    element: &Element,
    settings: &Settings,
    strengths: Strengths<C>,
) -> Step<C> {
    let alignment = element.alignment.as_deref().cloned().unwrap_or_default();
    Step {
        scaling: element.field_scaling,
        entrance: Placement::new(alignment.t1, alignment.r1),
        exit: Placement::new(alignment.t2, alignment.r2),
        limits: element.aperture.as_deref().map(|aperture| Box::new(limits(aperture, None))),
        flight: flight(element, settings),
        action: action(element, settings, &strengths),
    }
}

/// What slow particles lose of their time outside cavities, which see to it themselves.
fn flight(element: &Element, settings: &Settings) -> Option<Flight> {
    let inverse_gamma_squared = settings.inverse_gamma_squared();
    let own = settings.cavity && matches!(element.body, Body::Cavity(_));
    (inverse_gamma_squared != 0.0 && !own).then_some(Flight { length: element.length, inverse_gamma_squared })
}

/// Energy that an element gives to the reference particle [eV].
#[must_use]
pub fn reference_gain(element: &Element, settings: &Settings) -> f64 {
    match &element.body {
        Body::Cavity(cavity) if settings.cavity && settings.reference.accelerates => {
            if let Some(held) = settings.held_gain {
                return held;
            }
            let phase = TAU * cavity.frequency * cavity.time_lag / settings.speed() + cavity.phase_lag;
            cavity.voltage * phase.sin()
        }
        _ => 0.0,
    }
}

fn action<C: Number + Coefficient>(element: &Element, settings: &Settings, strengths: &Strengths<C>) -> Action<C> {
    let (length, kick) = (element.length, strengths.kick);
    match &element.body {
        Body::Marker | Body::Monitor if length == 0.0 => Action::Nothing,
        Body::Marker | Body::Monitor => Action::Drift(length),
        Body::Drift { exact: false } => Action::Drift(length),
        Body::Drift { exact: true } => Action::ExactDrift(length),
        Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
            straight_magnet(element, magnet, settings, strengths)
        }
        Body::Bend(bend) => bent_magnet(element, bend, settings, strengths),
        Body::ThinMultipole(thin) => {
            let (b, a) = coefficients(&thin.field, [-kick[0], kick[1]], strengths.gradient);
            Action::Thin(Box::new(ThinMap { b, a, bending_angle: thin.bending_angle }))
        }
        Body::Corrector => Action::Corrector(CorrectorMap { length, kick_x: kick[0], kick_y: kick[1] }),
        Body::Cavity(cavity) if settings.cavity => Action::Cavity(Box::new(cavity_map(cavity, element, settings))),
        Body::Cavity(_) if length == 0.0 => Action::Nothing,
        Body::Cavity(_) => Action::Drift(length),
        Body::Matrix66(matrix) => {
            let radiating = matrix.radiating.filter(|_| settings.radiation);
            Action::Matrix(Box::new(radiating.unwrap_or(matrix.rows)))
        }
        Body::Aperture(aperture) => Action::Aperture(Box::new(limits(&aperture.transverse, aperture.longitudinal))),
        Body::Wiggler(wiggler) => Action::Wiggler(Box::new(WigglerMap::new(wiggler, length, settings.energy))),
        Body::KickMap(map) => Action::KickMap(KickTable { length, map: map.clone() }),
        Body::Solenoid(solenoid) => {
            Action::Solenoid(SolenoidMap { length, half_strength: 0.5 * solenoid.strength, exact: solenoid.exact })
        }
        Body::Diffusion(diffusion) => Action::Diffusion(Box::new(diffusion.factor)),
    }
}

fn limits(transverse: &ElementAperture, longitudinal: Option<[f64; 4]>) -> Limits {
    Limits { rectangle: transverse.rectangle, ellipse: transverse.ellipse, longitudinal }
}

/// The coefficients that act, upright and skew, at least two of each, with something added to the dipole ones and with
/// these gradients.
fn coefficients<C: Number>(field: &Field, dipole: [C; 2], gradient: [C; 2]) -> (Vec<C>, Vec<C>) {
    let count = field.max_order.max(1);
    let acting = |value: f64, order: usize| C::constant(if order <= field.max_order { value } else { 0.0 });
    let mut b: Vec<C> = (0..=count).map(|order| acting(field.upright(order), order)).collect();
    let mut a: Vec<C> = (0..=count).map(|order| acting(field.skew(order), order)).collect();
    b[0] += dipole[0];
    a[0] += dipole[1];
    (b[1], a[1]) = (gradient[0], gradient[1]);
    (b, a)
}

fn magnet_map<C: Number + Coefficient>(
    element: &Element,
    magnet: &Magnet,
    settings: &Settings,
    strengths: &Strengths<C>,
) -> MagnetMap<C> {
    let per_length = 1.0 / element.length;
    let [(sine_x, _), (sine_y, _)] = strengths.kick.map(Number::sin_cos);
    let (b, a) = coefficients(&magnet.field, [sine_x * -per_length, sine_y * per_length], strengths.gradient);
    let gradient = fringe_gradient(magnet, strengths);
    let fringe = magnet.fringe.map(|on| (on && !gradient.is_zero()).then_some(gradient));
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

/// The upright gradient, which makes the fringes also where it is beyond the orders that act inside.
fn fringe_gradient<C: Number>(magnet: &Magnet, strengths: &Strengths<C>) -> C {
    let acts = magnet.field.max_order >= 1 || magnet.field.upright(1) == 0.0;
    if acts { strengths.gradient[0] } else { C::constant(magnet.field.upright(1)) }
}

fn straight_magnet<C: Number + Coefficient>(
    element: &Element,
    magnet: &Magnet,
    settings: &Settings,
    strengths: &Strengths<C>,
) -> Action<C> {
    if element.length == 0.0 {
        return Action::Nothing;
    }
    let map = Box::new(magnet_map(element, magnet, settings, strengths));
    if magnet.exact { Action::ExactMagnet(map) } else { Action::Magnet(map) }
}

fn bent_magnet<C: Number + Coefficient>(
    element: &Element,
    bend: &Bend,
    settings: &Settings,
    strengths: &Strengths<C>,
) -> Action<C> {
    let mut strengths = *strengths;
    if bend.second_order {
        strengths.kick[1] = C::constant(0.0);
    }
    let mut map = magnet_map(element, &bend.magnet, settings, &strengths);
    let h = if element.length == 0.0 { bend.angle } else { bend.angle / element.length };
    map.curvature = h;
    if bend.second_order {
        map.a.fill(C::constant(0.0));
        let gradient = map.b[1];
        let entrance = SecondOrderEdge::new(&bend.entrance, h, gradient, bend.full_gap, 1.0);
        let exit = SecondOrderEdge::new(&bend.exit, h, gradient, bend.full_gap, -1.0);
        return Action::SecondOrderBend(Box::new(SecondOrderBend { magnet: map, entrance, exit }));
    }
    if bend.magnet.exact {
        if h == 0.0 {
            return Action::ExactMagnet(Box::new(map));
        }
        let [entrance, exit] = [&bend.entrance, &bend.exit].map(|edge| ExactEdge::new(edge, bend.full_gap));
        return Action::ExactBend(Box::new(ExactBend { magnet: map, entrance, exit }));
    }
    let edge = |edge, side| Some(EdgeMap::new(edge, h, bend.full_gap, side)).filter(|edge| !edge.is_nothing());
    map.entrance = edge(&bend.entrance, 1.0);
    map.exit = edge(&bend.exit, -1.0);
    Action::Magnet(Box::new(map))
}

fn cavity_map(cavity: &Cavity, element: &Element, settings: &Settings) -> CavityMap {
    let gain = reference_gain(element, settings);
    let time = settings.revolution_time;
    let harmonic = (cavity.frequency * time).round();
    CavityMap {
        length: element.length,
        strength: cavity.voltage / settings.energy,
        frequency: cavity.frequency,
        time_lag: cavity.time_lag,
        phase_lag: cavity.phase_lag,
        beta: settings.beta(),
        inverse_gamma_squared: settings.inverse_gamma_squared(),
        change: Some(settings.change_to(&settings.after_gain(gain))).filter(|_| gain != 0.0),
        slip: if cavity.counts_turns && cavity.frequency != 0.0 { harmonic / cavity.frequency - time } else { 0.0 },
    }
}
