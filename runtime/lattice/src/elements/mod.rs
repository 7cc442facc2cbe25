//! What can stand in a beam line: one file per kind, and what all kinds share.

mod alignment;
mod aperture;
mod bend;
mod cavity;
mod diffusion;
mod kick_map;
mod magnet;
mod matrix;
mod reference;
mod solenoid;
mod thin;
mod wiggler;

use std::sync::Arc;

pub use alignment::{Alignment, roll_matrix};
pub use aperture::{Aperture, ElementAperture};
pub use bend::{Bend, Edge};
pub use cavity::Cavity;
pub use diffusion::Diffusion;
pub use kick_map::KickMap;
pub use magnet::{Field, Magnet};
pub use matrix::Matrix66;
pub use reference::Reference;
use serde_json::{Map, Value};
pub use solenoid::Solenoid;
pub use thin::Thin;
pub use wiggler::Wiggler;

/// One element at one place of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Name of this device; unique in a lattice written in our own format (drifts and markers apart).
    pub name: Arc<str>,
    /// Name of the definition it was made from; equal to `name` where a format has no definitions.
    pub definition: Arc<str>,
    /// Length along the reference path [m].
    pub length: f64,
    /// What kind of element it is, with the data only this kind has.
    pub body: Body,
    /// Corrector kick, horizontal and vertical [rad]; may be given to any magnet.
    pub kick: [f64; 2],
    /// Where the element really stands; `None` if it stands where it should.
    pub alignment: Option<Box<Alignment>>,
    /// Aperture checked before and after the body; `None` if there is none.
    pub aperture: Option<Box<ElementAperture>>,
    /// Factor on all fields of the element [1].
    pub field_scaling: f64,
    /// Fields of the file that mean nothing here, kept as they were.
    pub extra: Arc<Map<String, Value>>,
}

/// The kinds of element.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A place with a name.
    Marker,
    /// A beam position monitor.
    Monitor,
    /// Empty space. `exact`: square-root Hamiltonian instead of the paraxial one.
    Drift {
        /// Square-root Hamiltonian instead of the paraxial one.
        exact: bool,
    },
    /// A dipole, with or without gradient.
    Bend(Box<Bend>),
    /// A quadrupole.
    Quadrupole(Magnet),
    /// A sextupole.
    Sextupole(Magnet),
    /// An octupole.
    Octupole(Magnet),
    /// Any other straight magnet.
    Multipole(Magnet),
    /// A magnet without length; its strengths are integrated ones.
    ThinMultipole(Thin),
    /// A steerer; its kick is the element's `kick`.
    Corrector,
    /// A radio-frequency cavity.
    Cavity(Cavity),
    /// A linear map given by its matrix.
    Matrix66(Box<Matrix66>),
    /// A collimator: only its limits matter.
    Aperture(Aperture),
    /// A wiggler or undulator with its harmonics.
    Wiggler(Box<Wiggler>),
    /// An insertion device given by a table of kicks.
    KickMap(Arc<KickMap>),
    /// A solenoid.
    Solenoid(Solenoid),
    /// Quantum diffusion of a whole ring in one place; acts only in tracking with random kicks.
    Diffusion(Box<Diffusion>),
}

/// The kind of an element, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Class {
    Marker,
    Monitor,
    Drift,
    Bend,
    Quadrupole,
    Sextupole,
    Octupole,
    Multipole,
    ThinMultipole,
    Corrector,
    Cavity,
    Matrix66,
    Aperture,
    Wiggler,
    KickMap,
    Solenoid,
    Diffusion,
}

impl Element {
    /// An element that stands where it should and has neither kick nor aperture.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, length: f64, body: Body) -> Self {
        let name = name.into();
        Self {
            definition: name.clone(),
            name,
            length,
            body,
            kick: [0.0; 2],
            alignment: None,
            aperture: None,
            field_scaling: 1.0,
            extra: Arc::default(),
        }
    }

    /// What kind of element this is.
    #[must_use]
    pub fn class(&self) -> Class {
        match &self.body {
            Body::Marker => Class::Marker,
            Body::Monitor => Class::Monitor,
            Body::Drift { .. } => Class::Drift,
            Body::Bend(_) => Class::Bend,
            Body::Quadrupole(_) => Class::Quadrupole,
            Body::Sextupole(_) => Class::Sextupole,
            Body::Octupole(_) => Class::Octupole,
            Body::Multipole(_) => Class::Multipole,
            Body::ThinMultipole(_) => Class::ThinMultipole,
            Body::Corrector => Class::Corrector,
            Body::Cavity(_) => Class::Cavity,
            Body::Matrix66(_) => Class::Matrix66,
            Body::Aperture(_) => Class::Aperture,
            Body::Wiggler(_) => Class::Wiggler,
            Body::KickMap(_) => Class::KickMap,
            Body::Solenoid(_) => Class::Solenoid,
            Body::Diffusion(_) => Class::Diffusion,
        }
    }

    /// The thick magnet inside, straight or bent; `None` for everything else.
    #[must_use]
    pub fn magnet(&self) -> Option<&Magnet> {
        match &self.body {
            Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
                Some(magnet)
            }
            Body::Bend(bend) => Some(&bend.magnet),
            _ => None,
        }
    }

    /// The multipole field of a thick or thin magnet; `None` for everything else.
    #[must_use]
    pub fn field(&self) -> Option<&Field> {
        match &self.body {
            Body::ThinMultipole(thin) => Some(&thin.field),
            _ => self.magnet().map(|magnet| &magnet.field),
        }
    }

    /// The multipole field of a thick or thin magnet, to be changed; `None` for everything else.
    pub fn field_mut(&mut self) -> Option<&mut Field> {
        match &mut self.body {
            Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
                Some(&mut magnet.field)
            }
            Body::Bend(bend) => Some(&mut bend.magnet.field),
            Body::ThinMultipole(thin) => Some(&mut thin.field),
            _ => None,
        }
    }

    /// The thick magnet inside, to be changed; `None` for everything else.
    pub fn magnet_mut(&mut self) -> Option<&mut Magnet> {
        match &mut self.body {
            Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
                Some(magnet)
            }
            Body::Bend(bend) => Some(&mut bend.magnet),
            _ => None,
        }
    }

    /// Chooses between the square-root Hamiltonian and the paraxial one, where the element has both.
    pub fn set_exact(&mut self, on: bool) {
        match &mut self.body {
            Body::Drift { exact } => *exact = on,
            Body::Solenoid(solenoid) => solenoid.exact = on,
            Body::Bend(bend) => {
                bend.magnet.exact = on;
                bend.second_order &= !on;
            }
            _ => self.magnet_mut().into_iter().for_each(|magnet| magnet.exact = on),
        }
    }

    /// Puts the element off by `dx`, `dy` [m] and turns it by `roll` about the beam [rad].
    pub fn set_misalignment(&mut self, dx: f64, dy: f64, roll: f64) {
        self.alignment = Alignment::new(dx, dy, roll).map(Box::new);
    }
}

impl Class {
    /// The class in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Marker => "marker",
            Class::Monitor => "monitor",
            Class::Drift => "drift",
            Class::Bend => "bend",
            Class::Quadrupole => "quadrupole",
            Class::Sextupole => "sextupole",
            Class::Octupole => "octupole",
            Class::Multipole => "multipole",
            Class::ThinMultipole => "thin_multipole",
            Class::Corrector => "corrector",
            Class::Cavity => "cavity",
            Class::Matrix66 => "matrix",
            Class::Aperture => "aperture",
            Class::Wiggler => "wiggler",
            Class::KickMap => "kick_map",
            Class::Solenoid => "solenoid",
            Class::Diffusion => "diffusion",
        }
    }
}
