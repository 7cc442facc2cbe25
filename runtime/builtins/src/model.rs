//! The design lattice: never the machine.

use crate::context::{Context, here};
use crate::families::{Member, Members, document};
use crate::orbit::model_response;
use crate::vector::Vector;
use fodo_devices::{Device, Facility, Quantities};
use fodo_language::{OrFail, Outcome, fail, script_error};
use fodo_lattice::{Body, Edge, Element, Lattice};
use fodo_optics::{Effects, Optics, Ring};
use fodo_report::{Diagnostic, Kind, Result};
use fodo_units::{Quantity, Unit};
use nalgebra::DMatrix;
use rhai::{Dynamic, Engine, FuncRegistration, ImmutableString, NativeCallContext};
use std::sync::{Arc, OnceLock};

/// The design lattice of a facility, computed when asked.
pub struct Model {
    ring: Ring,
    halved: Halved,
    optics: OnceLock<Result<Optics>>,
}

/// The model of a facility, made when first asked for.
pub struct LazyModel {
    facility: Arc<Facility>,
    made: OnceLock<Model>,
}

impl LazyModel {
    /// Not made yet.
    pub fn new(facility: Arc<Facility>) -> LazyModel {
        LazyModel { facility, made: OnceLock::new() }
    }

    /// The model.
    pub fn get(&self) -> &Model {
        self.made.get_or_init(|| Model::new(&self.facility))
    }
}

/// The lattice with every magnet cut in two, so that functions are known at centres.
struct Halved {
    ring: Ring,
    /// For each element of the lattice its entrance among the cut elements, and its centre if it could be cut.
    places: Vec<(usize, Option<usize>)>,
}

impl Model {
    /// The model of a facility's design lattice; with cavities it is 6D, at fixed path length.
    pub fn new(facility: &Facility) -> Model {
        let lattice = &facility.lattice;
        let has_cavity = lattice.elements.iter().any(|e| matches!(&e.body, Body::Cavity(c) if c.voltage != 0.0));
        let effects = if has_cavity { Effects::CAVITY } else { Effects::NONE };
        Model { ring: Ring::new(lattice, effects), halved: Halved::of(lattice), optics: OnceLock::new() }
    }

    /// Optical functions of the cut lattice, without cavities and radiation.
    fn optics(&self) -> Result<&Optics> {
        let made = self.optics.get_or_init(|| {
            self.halved
                .ring
                .optics()
                .map_err(|error| Diagnostic::new(Kind::Facility, format!("the design lattice: {error}")).into())
        });
        made.as_ref().map_err(Clone::clone)
    }

    /// Orbit response: columns are (element, what is changed there), rows x then y of each monitor [m per unit].
    pub fn orbit_response(&self, columns: &[(usize, Quantities)], monitors: &[usize]) -> Result<DMatrix<f64>> {
        let failed = |error: fodo_optics::NoClosedOrbit| {
            Box::new(Diagnostic::new(Kind::Facility, format!("the design lattice: {error}")))
        };
        let correctors: Vec<usize> = columns.iter().map(|(element, _)| *element).collect();
        let kicks = self.ring.orbit_response(monitors, &correctors).map_err(failed)?;
        let rows = monitors.len();
        let mut matrix = DMatrix::zeros(2 * rows, columns.len());
        for (column, (_, quantity)) in columns.iter().enumerate() {
            use fodo_optics::Plane::{X, Y};
            let kick = match quantity {
                Quantities::KickX => X,
                Quantities::KickY => Y,
                Quantities::RfFrequency => {
                    let response = self.ring.frequency_response(monitors).map_err(failed)?;
                    for (row, [x, y]) in response.into_iter().enumerate() {
                        (matrix[(row, column)], matrix[(row + rows, column)]) = (x, y);
                    }
                    continue;
                }
                _ => {
                    let message = "the model has orbit responses to kicks and to the RF frequency only";
                    return Err(Diagnostic::new(Kind::Script, message).into());
                }
            };
            for row in 0..rows {
                matrix[(row, column)] = kicks.get(X, row, kick, column);
                matrix[(row + rows, column)] = kicks.get(Y, row, kick, column);
            }
        }
        Ok(matrix)
    }
}

impl Halved {
    fn of(lattice: &Lattice) -> Halved {
        let mut elements = Vec::with_capacity(2 * lattice.elements.len());
        let mut places = Vec::with_capacity(lattice.elements.len());
        for element in &lattice.elements {
            let entrance = elements.len();
            match halves(element) {
                Some(parts) => {
                    elements.extend(parts);
                    places.push((entrance, Some(entrance + 1)));
                }
                None => {
                    elements.push(element.clone());
                    places.push((entrance, (element.length == 0.0).then_some(entrance)));
                }
            }
        }
        let cut = Lattice { elements, ..lattice.clone() };
        Halved { ring: Ring::new(&cut, Effects::NONE), places }
    }
}

/// The two halves of a thick magnet with an even number of slices: the same slices, cut in the middle.
fn halves(element: &Element) -> Option<[Element; 2]> {
    let slices = element.magnet()?.slices;
    if matches!(&element.body, Body::Bend(bend) if bend.second_order) {
        return None;
    }
    if element.length == 0.0 || slices < 2 || slices % 2 == 1 {
        return None;
    }
    let half = |first: bool| {
        let mut half = element.clone();
        half.length = 0.5 * element.length;
        half.kick = element.kick.map(|kick| 0.5 * kick);
        match &mut half.body {
            Body::Bend(bend) => {
                bend.angle *= 0.5;
                bend.magnet.slices /= 2;
                bend.magnet.fringe[usize::from(first)] = false;
                *(if first { &mut bend.exit } else { &mut bend.entrance }) = Edge::default();
            }
            Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
                magnet.slices /= 2;
                magnet.fringe[usize::from(first)] = false;
            }
            _ => {}
        }
        half
    };
    Some([half(true), half(false)])
}

/// `model` in a script.
#[derive(Clone, Copy)]
pub struct ModelHandle;

/// A function along the model: `model.beta_x`.
#[derive(Clone)]
pub struct Along {
    values: Arc<[f64]>,
    unit: Unit,
    places: Arc<[(usize, Option<usize>)]>,
}

impl Along {
    /// At the centre of a device: halfway in the middle one of its elements.
    fn at(&self, device: &Device) -> Outcome<f64> {
        let elements = &device.elements;
        match (elements.len(), elements.get(elements.len() / 2)) {
            (_, None) => Err(script_error(format!("{} stands nowhere in the lattice", device.shown()))),
            (count, Some(&at)) if count % 2 == 0 => Ok(self.values[self.places[at].0]),
            (_, Some(&at)) => match self.places[at].1 {
                Some(centre) => Ok(self.values[centre]),
                None => Err(script_error(format!(
                    "the model gives no value inside {}: it cannot be cut in two",
                    device.shown()
                ))),
            },
        }
    }
}

impl std::fmt::Display for Along {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a function along the model at {} points [{}]; index it with a family", self.values.len(), self.unit)
    }
}

impl std::fmt::Display for ModelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the design lattice: model.beta_x[QF], model.tune_x, model.orbit_response(HCOR, BPM)")
    }
}

const FUNCTIONS: &[(&str, &str)] = &[
    ("s", "m"),
    ("beta_x", "m"),
    ("beta_y", "m"),
    ("alpha_x", "1"),
    ("alpha_y", "1"),
    ("phase_x", "rad"),
    ("phase_y", "rad"),
    ("dispersion_x", "m"),
    ("dispersion_px", "1"),
    ("dispersion_y", "m"),
    ("dispersion_py", "1"),
];

const FIGURES: &[&str] =
    &["tune_x", "tune_y", "chromaticity_x", "chromaticity_y", "momentum_compaction", "length", "energy"];

/// What `model.` can be followed by.
pub fn names() -> impl Iterator<Item = &'static str> {
    let functions = FUNCTIONS.iter().map(|(name, _)| *name);
    functions.chain(FIGURES.iter().copied()).chain(["orbit_response("])
}

fn property(context: &Context, name: &str) -> Outcome<Dynamic> {
    let model = context.model();
    let optics = || model.optics().or_fail();
    let quantity = |value: f64, unit: &str| Ok(Dynamic::from(Quantity::from_si(value, Unit::parse(unit).or_fail()?)));
    match name {
        "tune_x" => return Ok(optics()?.tune_x().into()),
        "tune_y" => return Ok(optics()?.tune_y().into()),
        "momentum_compaction" => return Ok(optics()?.momentum_compaction.into()),
        "chromaticity_x" | "chromaticity_y" => {
            let both = model.ring.chromaticity().map_err(|e| script_error(e.to_string()))?;
            return Ok(both[usize::from(name.ends_with('y'))].into());
        }
        "length" => return quantity(model.ring.length(), "m"),
        "energy" => return quantity(model.ring.energy(), "eV"),
        _ => {}
    }
    let Some((_, unit)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
        let known = FUNCTIONS.iter().map(|(known, _)| *known).chain(FIGURES.iter().copied());
        let report = Diagnostic::new(Kind::Script, format!("the model has no `{name}`")).near(name, known.clone());
        return Err(fail(Box::new(report.hint(format!("it has {}", known.collect::<Vec<_>>().join(", "))))));
    };
    let optics = optics()?;
    let values: Vec<f64> = match name {
        "s" => optics.position.clone(),
        "beta_x" => optics.beta_x.clone(),
        "beta_y" => optics.beta_y.clone(),
        "alpha_x" => optics.alpha_x.clone(),
        "alpha_y" => optics.alpha_y.clone(),
        "phase_x" => optics.phase_x.clone(),
        "phase_y" => optics.phase_y.clone(),
        "dispersion_x" => optics.dispersion.iter().map(|d| d[0]).collect(),
        "dispersion_px" => optics.dispersion.iter().map(|d| d[1]).collect(),
        "dispersion_y" => optics.dispersion.iter().map(|d| d[2]).collect(),
        _ => optics.dispersion.iter().map(|d| d[3]).collect(),
    };
    let places = model.halved.places.as_slice().into();
    Ok(Dynamic::from(Along { values: values.into(), unit: Unit::parse(unit).or_fail()?, places }))
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    let mut constants = rhai::Module::new();
    constants.set_var("model", ModelHandle);
    engine.register_global_module(constants.into());
    engine
        .register_type_with_name::<ModelHandle>("model")
        .register_type_with_name::<Along>("model function")
        .register_fn("to_string", |m: &mut ModelHandle| m.to_string())
        .register_fn("to_debug", |m: &mut ModelHandle| m.to_string())
        .register_fn("to_string", |a: &mut Along| a.to_string())
        .register_get("all", |a: &mut Along| Vector::from_si(a.values.to_vec(), a.unit.clone()))
        .register_indexer_get(|a: &mut Along, members: Members| -> Outcome<Vector> {
            let values = members.devices.iter().map(|d| a.at(d)).collect::<Outcome<Vec<f64>>>()?;
            Ok(Vector::from_si(values, a.unit.clone()))
        })
        .register_indexer_get(|a: &mut Along, member: Member| -> Outcome<Dynamic> {
            let value = a.at(&member.device)?;
            Ok(match a.unit.dimension().is_none() {
                true => value.into(),
                false => Dynamic::from(Quantity::from_si(value, a.unit.clone())),
            })
        });
    engine.register_indexer_get(|c: NativeCallContext, _: &mut ModelHandle, name: ImmutableString| {
        property(&*here(&c)?, &name)
    });
    document!(
        engine,
        "orbit_response",
        ["model: model", "knobs: family, knobs or array", "monitors: family", "response"],
        "/// Computes the orbit response of the design lattice: exact derivatives, both planes.\n///\n\
         /// # Parameters\n/// - `knobs`: families or devices of correctors, and the RF.\n/// - `monitors`: rows of the response.\n///\n\
         /// # Returns\n/// A response as `measure_response` gives it; `matrix` [m per knob unit].\n///\n\
         /// # Errors\n/// - `script`: a knob that is no corrector and no RF.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response([HCOR, VCOR], BPM);\n/// assert(r.matrix.rows == 2 * BPM.len);\n/// ```",
        |c: NativeCallContext, _: ModelHandle, which: Dynamic, monitors: Members| model_response(
            &*here(&c)?,
            &which,
            monitors
        )
    );
}
