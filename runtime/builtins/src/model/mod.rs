//! The design lattice of the facility, and lattices loaded from files: never the machine.

mod along;
mod beam;
mod changed;
mod derivatives;
mod figures;
mod knobs;
mod lifetime;
mod line;
mod matching;
mod optics;
mod studies;
mod train;

pub use along::Along;
pub use figures::properties;
pub use knobs::{Part, parts};
pub use line::Line;
pub use matching::elements;

use crate::context::{Context, here};
use crate::families::{Members, document};
use crate::orbit::model_response;
use fodo_devices::{Facility, Quantities};
use fodo_language::{Options, OrFail, Outcome, script_error};
use fodo_lattice::{Body, Element, Lattice};
use fodo_optics::{Cut, Cutting, Effects, Equilibrium, Optics, OrbitResponse, Plane, Ring, Strength};
use fodo_report::{Diagnostic, Kind, Result};
use nalgebra::DMatrix;
use rhai::{Dynamic, Engine, FuncRegistration, ImmutableString, NativeCallContext};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A lattice, computed when asked.
pub struct Model {
    /// What it is called in errors.
    title: String,
    pub(crate) lattice: Arc<Lattice>,
    /// Of a line what enters it; a ring has none.
    pub(crate) line: Option<Arc<Line>>,
    /// With cavities, if there are any that work: 6D, at fixed path length.
    pub(crate) ring: Ring,
    /// Every element in two, of a ring without cavities and radiation: functions are known at centres.
    halves: OnceLock<Cut>,
    optics: OnceLock<Result<Optics>>,
    equilibrium: OnceLock<Result<Equilibrium>>,
}

/// The model of a facility, made when first asked for.
pub struct LazyModel {
    facility: Arc<Facility>,
    made: OnceLock<Arc<Model>>,
}

impl LazyModel {
    /// Not made yet.
    pub fn new(facility: Arc<Facility>) -> LazyModel {
        LazyModel { facility, made: OnceLock::new() }
    }

    /// The model.
    pub fn get(&self) -> &Arc<Model> {
        let title = || "the design lattice".to_string();
        let make = || Model::entered(title(), self.facility.lattice.clone(), Line::of(&self.facility));
        self.made.get_or_init(|| Arc::new(make()))
    }
}

/// Reads a lattice file and checks that it can be tracked through.
///
/// # Errors
/// The file cannot be read, or an element makes no sense; all such elements are named.
pub fn read_lattice(path: &Path) -> Result<Lattice> {
    if !path.is_file() {
        return Err(Diagnostic::new(Kind::Usage, format!("there is no lattice file {}", path.display())).into());
    }
    let lattice = Lattice::load(path).and_then(|lattice| {
        lattice.check().map_err(|problems| fodo_lattice::LatticeError::from(problems).in_file(path))?;
        Ok(lattice)
    });
    let text = || std::fs::read_to_string(path).ok().map(Arc::from);
    lattice.map_err(|error| error.diagnostic(text()).into())
}

impl Model {
    /// The model of a lattice, as a ring.
    pub fn new(title: String, lattice: Arc<Lattice>) -> Model {
        Model::entered(title, lattice, None)
    }

    /// The model of a lattice, as the line that is given or as a ring.
    pub fn entered(title: String, lattice: Arc<Lattice>, line: Option<Arc<Line>>) -> Model {
        let has_cavity = lattice.elements.iter().any(|e| matches!(&e.body, Body::Cavity(c) if c.voltage != 0.0));
        let effects = if has_cavity { Effects::CAVITY } else { Effects::NONE };
        let ring = Ring::new(&lattice, effects);
        let (halves, optics, equilibrium) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Model { title, lattice, line, ring, halves, optics, equilibrium }
    }

    fn halves(&self) -> &Cut {
        self.halves.get_or_init(|| self.ring.with_effects(self.optics_effects()).cut(Cutting::Parts(2)))
    }

    /// For each element its entrance among the halves, and its centre if it could be cut there.
    fn places(&self) -> Vec<(usize, Option<usize>)> {
        let halves = self.halves();
        let place = |(index, element): (usize, &Element)| {
            let entrance = halves.first_part(index);
            let in_two = halves.first_part(index + 1) == entrance + 2;
            let even = in_two && 2.0 * halves.ring.element(entrance).length == element.length;
            // the functions between parts of a second-order map are not those of the whole
            let inexact = matches!(&element.body, Body::Bend(bend) if bend.second_order);
            let centre =
                if element.length == 0.0 { Some(entrance) } else { (even && !inexact).then_some(entrance + 1) };
            (entrance, centre)
        };
        self.lattice.elements.iter().enumerate().map(place).collect()
    }

    /// Optical functions of the cut lattice: of a ring without cavities and radiation, of a line from its entrance on.
    fn optics(&self) -> Result<&Optics> {
        let made = self.optics.get_or_init(|| self.optics_of(&self.halves().ring));
        made.as_ref().map_err(Clone::clone)
    }

    /// The equilibrium beam with cavities and radiation.
    fn equilibrium(&self) -> Result<&Equilibrium> {
        self.needs_ring("it has no equilibrium beam")?;
        let made = self.equilibrium.get_or_init(|| self.or_failed(self.ring.find_equilibrium()));
        made.as_ref().map_err(Clone::clone)
    }

    /// The value, or a report that names the lattice.
    pub fn or_failed<T, E: std::fmt::Display>(&self, value: std::result::Result<T, E>) -> Result<T> {
        value.map_err(|error| Diagnostic::new(Kind::Facility, format!("{}: {error}", self.title)).into())
    }

    /// A model of its own of the same lattice with the elements of `ring`.
    pub fn changed(&self, how: &str, ring: &Ring) -> ModelHandle {
        let lattice = Lattice { elements: ring.elements().to_vec(), ..(*self.lattice).clone() };
        let title = format!("{}, {how}", self.title);
        ModelHandle(Some(Arc::new(Model::entered(title, Arc::new(lattice), self.line.clone()))))
    }

    /// Response of the closed orbit, of a line of the trajectory: columns are what each knob changes, rows x then y of
    /// each monitor [m per unit].
    pub fn orbit_response(&self, columns: &[Vec<Part>], monitors: &[usize]) -> Result<DMatrix<f64>> {
        let parts: Vec<Part> = columns.concat();
        let of_parts = self.parts_response(&parts, monitors)?;
        let mut matrix = DMatrix::zeros(2 * monitors.len(), columns.len());
        let owners = columns.iter().enumerate().flat_map(|(column, parts)| parts.iter().map(move |_| column));
        for (at, (part, column)) in parts.iter().zip(owners).enumerate() {
            matrix.column_mut(column).axpy(part.weight, &of_parts.column(at), 1.0);
        }
        Ok(matrix)
    }

    /// The same for each part on its own.
    fn parts_response(&self, columns: &[Part], monitors: &[usize]) -> Result<DMatrix<f64>> {
        let correctors: Vec<usize> = columns.iter().map(|part| part.element).collect();
        let (ring, line) = (&self.ring, self.line.as_deref());
        let kicks = self.or_failed(match line {
            Some(line) => ring.trajectory_response(line.start(), monitors, &correctors),
            None => ring.orbit_response(monitors, &correctors),
        })?;
        let strengths: Vec<Strength> = columns.iter().filter_map(gradient).collect();
        let gradients = match strengths.as_slice() {
            [] => vec![],
            strengths => self.or_failed(match line {
                Some(line) => ring.trajectory_strength_response(line.start(), monitors, strengths),
                None => ring.strength_response(monitors, strengths),
            })?,
        };
        let mut gradients = gradients.into_iter();
        let rows = monitors.len();
        let mut matrix = DMatrix::zeros(2 * rows, columns.len());
        for (column, part) in columns.iter().enumerate() {
            let orbit = match part.quantity {
                Quantities::KickX => kicked(&kicks, Plane::X, column, rows),
                Quantities::KickY => kicked(&kicks, Plane::Y, column, rows),
                Quantities::RfFrequency => {
                    self.needs_ring("the model has no orbit response to its RF frequency")?;
                    self.or_failed(self.ring.frequency_response(monitors))?
                }
                _ => gradient(part).and_then(|_| gradients.next()).ok_or_else(|| {
                    let message = "the model has orbit responses to kicks, gradients and the RF frequency only";
                    Diagnostic::new(Kind::Script, message)
                })?,
            };
            for (row, [x, y]) in orbit.into_iter().enumerate() {
                (matrix[(row, column)], matrix[(row + rows, column)]) = (x, y);
            }
        }
        Ok(matrix)
    }
}

/// The gradient that is changed, if it is one.
fn gradient(part: &Part) -> Option<Strength> {
    match part.quantity {
        Quantities::Upright(1) => Some(Strength::Gradient(part.element)),
        Quantities::Skew(1) => Some(Strength::SkewGradient(part.element)),
        _ => None,
    }
}

/// Orbit (x, y) at each monitor by a kick of one corrector [m/rad].
fn kicked(kicks: &OrbitResponse, plane: Plane, corrector: usize, monitors: usize) -> Vec<[f64; 2]> {
    let at = |monitor| [Plane::X, Plane::Y].map(|orbit| kicks.get(orbit, monitor, plane, corrector));
    (0..monitors).map(at).collect()
}

/// A lattice in a script: `model`, or what `load_lattice` gives.
#[derive(Clone)]
pub struct ModelHandle(Option<Arc<Model>>);

impl ModelHandle {
    /// The lattice it stands for; without one of its own, the design of the running script's facility.
    fn of(&self, context: &Context) -> Arc<Model> {
        self.0.as_ref().unwrap_or_else(|| context.model()).clone()
    }

    /// The same, of a lattice that has the facility's devices: its own, or its own changed.
    fn of_facility(&self, context: &Context) -> Outcome<Arc<Model>> {
        let model = self.of(context);
        let own = &context.facility.lattice.elements;
        let same = |(a, b): (&Element, &Element)| a.name == b.name;
        match model.lattice.elements.len() == own.len() && model.lattice.elements.iter().zip(own).all(same) {
            true => Ok(model),
            false => Err(script_error(format!(
                "{} is not the lattice of this facility: it has none of its devices",
                model.title
            ))),
        }
    }

    /// The design of the running script's facility.
    pub(crate) fn design() -> ModelHandle {
        ModelHandle(None)
    }

    /// Its title, and its lattice as text; nothing for the design of the running script's facility.
    pub(crate) fn written(&self) -> Option<(&str, String)> {
        self.0.as_ref().map(|model| (model.title.as_str(), fodo_lattice::formats::at_json::write(&model.lattice)))
    }

    /// What [`written`](Self::written) gave; a line is entered as the facility says.
    pub(crate) fn read(title: &str, lattice: &str, facility: &Facility) -> Outcome<ModelHandle> {
        let lattice = fodo_lattice::formats::at_json::parse(lattice)
            .map_err(|error| Box::new(error.diagnostic(None)))
            .or_fail()?;
        let model = Model::entered(title.to_string(), Arc::new(lattice), Line::of(facility));
        Ok(ModelHandle(Some(Arc::new(model))))
    }

    fn here(&self, context: &NativeCallContext) -> Outcome<Arc<Model>> {
        Ok(self.of(&*here(context)?))
    }
}

impl std::fmt::Display for ModelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            None => f.write_str("the design lattice: model.beta_x[QF], model.tune_x, model.orbit_response(HCOR, BPM)"),
            Some(model) => write!(
                f,
                "{}: {} elements, {:.4} m, {:.4} GeV",
                model.title,
                model.ring.len(),
                model.ring.length(),
                model.ring.energy() * 1e-9
            ),
        }
    }
}

/// Loads a lattice file for a script; a procedure, which may come from another lab, reads no files.
fn load(context: &Context, path: &str) -> Outcome<ModelHandle> {
    if context.session.is_narrowed() {
        let report = Diagnostic::new(Kind::Rights, format!("a procedure reads no files: \"{path}\" was not opened"));
        return Err(fodo_language::fail(report.hint("use `model`, or load the lattice in a script").into()));
    }
    let lattice = read_lattice(Path::new(path)).or_fail()?;
    Ok(ModelHandle(Some(Arc::new(Model::new(path.to_string(), Arc::new(lattice))))))
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    let mut all = [optics::options(), studies::options(), beam::options()].concat();
    all.extend([lifetime::options(), matching::options(), train::train_options()]);
    all
}

/// Names of the functions whose first argument is a model, as they are called.
fn functions(engine: &Engine) -> Vec<String> {
    let all = fodo_language::functions(engine).into_iter();
    let mut names: Vec<String> =
        all.filter(|f| f.parameter_type(0) == "model").map(|f| format!("{}(", f.name)).collect();
    names.dedup();
    names
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    let mut constants = rhai::Module::new();
    constants.set_var("model", ModelHandle(None));
    engine.register_global_module(constants.into());
    engine
        .register_type_with_name::<ModelHandle>("model")
        .register_fn("to_string", |m: &mut ModelHandle| m.to_string())
        .register_fn("to_debug", |m: &mut ModelHandle| m.to_string())
        .register_indexer_get(|c: NativeCallContext, m: &mut ModelHandle, name: ImmutableString| {
            figures::property(&*m.here(&c)?, &name, || functions(c.engine()))
        })
        .register_indexer_set(|c: NativeCallContext, m: &mut ModelHandle, name: ImmutableString, value: Dynamic| {
            match figures::property(&*m.here(&c)?, &name, || functions(c.engine())) {
                Ok(present) if crate::same(&present, &value) => Ok(()),
                Ok(_) => Err(script_error(format!("`{name}` of the model can be read but not set"))),
                Err(error) => Err(error),
            }
        });
    along::register(engine);
    changed::register(engine);
    studies::register(engine);
    beam::register(engine);
    matching::register(engine);
    optics::register(engine);
    derivatives::register(engine);
    lifetime::register(engine);
    train::register(engine);
    document!(
        engine,
        "load_lattice",
        ["path: text", "model"],
        "/// Reads a lattice file: a model beside the facility's own.\n///\n\
         /// # Parameters\n/// - `path`: a `.toml` file of Fodo, or a `.json`, `.mat` or `.m` file of the Accelerator Toolbox.\n///\n\
         /// # Returns\n/// A model: everything `model` has, apart from the facility's families.\n///\n\
         /// # Errors\n/// - `usage`: there is no such file.\n/// - `facility`: the file is wrong, with line and column, or an element makes no sense.\n\
         /// - `rights`: a procedure reads no files.\n///\n\
         /// # Example\n/// ```rhai\n/// let ring = load_lattice(\"facilities/demo_ring/lattice.toml\");\n/// assert_near(ring.tune_x, model.tune_x, 1e-12);\n/// ```",
        |c: NativeCallContext, path: &str| load(&*here(&c)?, path)
    );
    document!(
        engine,
        "orbit_response",
        ["model: model", "knobs: family, device, knobs or array", "monitors: family", "response"],
        "/// Computes the orbit response of the design lattice, of a line that of the trajectory: exact derivatives, both planes.\n///\n\
         /// # Parameters\n/// - `knobs`: families or devices of correctors and quadrupoles, and the RF.\n/// - `monitors`: rows of the response.\n///\n\
         /// # Returns\n/// A response as `measure_response` gives it; `matrix` [m per knob unit].\n///\n\
         /// # Errors\n/// - `script`: a knob that is no corrector, no quadrupole and no RF, or a lattice that is not the facility's own.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response([HCOR, VCOR], BPM);\n/// assert(r.matrix.rows == 2 * BPM.len);\n/// ```",
        |c: NativeCallContext, m: ModelHandle, which: Dynamic, monitors: Members| {
            let context = here(&c)?;
            model_response(m.of_facility(&context)?.as_ref(), &context, &which, monitors)
        }
    );
}
