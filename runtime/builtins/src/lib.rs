//! What scripts can call, one file per subject.
//!
//! The only place where Rhai and the accelerator meet. A builtin checks its arguments, calls the
//! crate that does the work, and converts; its documentation is what `help` and the manual show.

mod anomalies;
mod channels;
mod context;
mod cycle;
mod families;
mod fits;
mod guard;
mod history;
mod loco;
mod machine;
mod math;
mod matrix;
mod model;
mod orbit;
mod plot;
mod quantity;
mod results;
mod rows;
mod snapshots;
mod spectrum;
mod started;
mod table;
mod tasks;
mod turns;
mod vector;
mod waves;

pub use context::{Context, Progress, Quiet, here};
pub use families::{Member, Members, no_unit};
pub use matrix::Matrix;
pub use model::{Model, read_lattice};
pub use orbit::{Knobs, Response, Steps};
pub use started::{Runs, Task, time_left};
pub use table::{Column, Table};
pub use vector::{Mask, Vector};

use fodo_devices::Facility;
use fodo_language::{FunctionDoc, Options};
use rhai::Engine;

/// A subject: what one file registers; its word names the file, the page of the manual and the tests.
pub struct Subject {
    /// The word.
    pub name: &'static str,
    /// What it is about, in one sentence.
    pub about: &'static str,
    register: fn(&mut Engine, &Facility),
    options: fn() -> Vec<Options>,
}

/// The subject of builtins that take no options.
const PLAIN: fn() -> Vec<Options> = Vec::new;

const SUBJECTS: &[Subject] = &[
    Subject { name: "quantity", about: "Numbers with a unit.", register: |e, _| quantity::register(e), options: PLAIN },
    Subject {
        name: "vector",
        about: "Many numbers with one unit, and masks that choose among them.",
        register: |e, _| vector::register(e),
        options: PLAIN,
    },
    Subject {
        name: "matrix",
        about: "Matrices with one unit, and linear algebra.",
        register: |e, _| matrix::register(e),
        options: matrix::options,
    },
    Subject {
        name: "table",
        about: "Columns with a name and one unit each.",
        register: |e, _| table::register(e),
        options: PLAIN,
    },
    Subject {
        name: "fits",
        about: "Curves through points: fits with errors, interpolation.",
        register: |e, _| fits::register(e),
        options: fits::options,
    },
    Subject {
        name: "spectrum",
        about: "Fourier transforms and lines of signals.",
        register: |e, _| spectrum::register(e),
        options: spectrum::options,
    },
    Subject {
        name: "math",
        about: "Assertions and random numbers.",
        register: |e, _| math::register(e),
        options: PLAIN,
    },
    Subject { name: "plot", about: "Plots as text.", register: |e, _| plot::register(e), options: plot::options },
    Subject {
        name: "families",
        about: "Families and devices: read, set, choose.",
        register: families::register,
        options: PLAIN,
    },
    Subject {
        name: "channels",
        about: "Readings with time and validity, channels by name, following for a while.",
        register: |e, _| channels::register(e),
        options: PLAIN,
    },
    Subject {
        name: "model",
        about: "The design lattice, which answers without the machine.",
        register: |e, _| model::register(e),
        options: model::options,
    },
    Subject {
        name: "orbit",
        about: "Orbits, responses and corrections.",
        register: |e, _| orbit::register(e),
        options: orbit::options,
    },
    Subject {
        name: "loco",
        about: "A model fitted to a measured orbit response.",
        register: |e, _| loco::register(e),
        options: loco::options,
    },
    Subject {
        name: "machine",
        about: "What a session has changed, marks, putting back, rehearsing, waiting.",
        register: |e, _| machine::register(e),
        options: PLAIN,
    },
    Subject {
        name: "snapshots",
        about: "Setpoints kept under a name, compared and restored.",
        register: |e, _| snapshots::register(e),
        options: snapshots::options,
    },
    Subject {
        name: "results",
        about: "Results kept for later, under a name and a time.",
        register: |e, _| results::register(e),
        options: results::options,
    },
    Subject {
        name: "tasks",
        about: "Progress, work that is done again and again or whenever something changes, procedures beside each other.",
        register: |e, _| {
            tasks::register(e);
            started::register(e);
        },
        options: tasks::options,
    },
    Subject { name: "cycle", about: "Cycling magnets.", register: |e, _| cycle::register(e), options: cycle::options },
    Subject {
        name: "waves",
        about: "Wave forms of a booster, and a family at a moment of its cycle.",
        register: |e, _| waves::register(e),
        options: PLAIN,
    },
    Subject {
        name: "rows",
        about: "Rows and images of a device, and what its channel says of itself.",
        register: |e, _| rows::register(e),
        options: PLAIN,
    },
    Subject {
        name: "turns",
        about: "Positions turn by turn, or many times a second.",
        register: |e, _| turns::register(e),
        options: PLAIN,
    },
    Subject {
        name: "anomalies",
        about: "What goes wrong with the twin on purpose.",
        register: |e, _| anomalies::register(e),
        options: PLAIN,
    },
    Subject {
        name: "history",
        about: "What channels held in the past.",
        register: |e, _| history::register(e),
        options: PLAIN,
    },
];

/// The subjects, in the order in which they are best learnt.
pub fn subjects() -> &'static [Subject] {
    SUBJECTS
}

impl Subject {
    /// Everything it registers, with its documentation.
    pub fn functions(&self, facility: &Facility) -> Vec<FunctionDoc> {
        let mut engine = Engine::new_raw();
        // with those before it, so that types have the names that scripts know them by
        let before = SUBJECTS.iter().take_while(|subject| subject.name != self.name);
        before.for_each(|subject| (subject.register)(&mut engine, facility));
        let known = fodo_language::functions(&engine);
        (self.register)(&mut engine, facility);
        fodo_language::functions(&engine).into_iter().filter(|function| !known.contains(function)).collect()
    }
}

/// The named options of all builtins, by the name of the builtin; two with one name have two entries.
pub fn options() -> Vec<Options> {
    SUBJECTS.iter().flat_map(|subject| (subject.options)()).collect()
}

/// What stands behind a dot without being called, and is found by its name only when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// The subject it belongs to.
    pub subject: &'static str,
    /// The type that has it.
    pub of: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its unit; empty for what is no number.
    pub unit: &'static str,
    /// Type of what it gives.
    pub kind: &'static str,
}

/// The properties of families, of devices and of the model.
pub fn properties() -> impl Iterator<Item = Property> {
    families::PROPERTIES.iter().copied().chain(model::properties())
}

/// Registers all builtins, and the families of a facility as constants.
pub fn register(engine: &mut Engine, facility: &Facility) {
    SUBJECTS.iter().for_each(|subject| (subject.register)(engine, facility));
}

/// Names of the units that every script sees.
pub fn unit_names() -> Vec<&'static str> {
    quantity::unit_names()
}

/// The unit that a name of [`unit_names`] stands for.
pub fn unit(name: &str) -> Option<fodo_units::Unit> {
    quantity::unit(name)
}

/// Names every script sees beside the families: units, the model and the twin.
pub fn constants() -> Vec<String> {
    quantity::unit_names().into_iter().chain(["model", "twin"]).map(String::from).collect()
}

/// Makes a property one that is read only: `m.si[0] = …` would change a copy, and nobody would be told.
fn read_only<T: Clone + Send + Sync + 'static, V: Clone + Send + Sync + 'static>(
    engine: &mut Engine,
    of: &'static str,
    name: &'static str,
    get: fn(&T) -> V,
) {
    engine.register_set(name, move |owner: &mut T, value: rhai::Dynamic| -> fodo_language::Outcome<()> {
        match same(&rhai::Dynamic::from(get(owner)), &value) {
            true => Ok(()),
            false => Err(fodo_language::script_error(format!("`{name}` of {of} can be read but not set"))),
        }
    });
}

/// Whether a property that an expression hands back is still what it was; nothing comes back of what a function took.
fn same(present: &rhai::Dynamic, value: &rhai::Dynamic) -> bool {
    if value.is_unit() {
        return true;
    }
    fn of<T: Clone + Send + Sync + 'static>(
        a: &rhai::Dynamic,
        b: &rhai::Dynamic,
        equal: fn(&T, &T) -> bool,
    ) -> Option<bool> {
        Some(equal(&*a.read_lock::<T>()?, &*b.read_lock::<T>()?))
    }
    let vectors = || of::<Vector>(present, value, |a, b| a.unit() == b.unit() && bits(a.si()).eq(bits(b.si())));
    let matrices = of::<Matrix>(present, value, |a, b| {
        a.unit() == b.unit() && a.si().shape() == b.si().shape() && bits(a.si().as_slice()).eq(bits(b.si().as_slice()))
    });
    let arrays = || {
        of::<rhai::Array>(present, value, |a, b| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_string() == b.to_string())
        })
    };
    matrices.or_else(vectors).or_else(arrays).unwrap_or_else(|| text(present) == text(value))
}

/// Numbers by their bits, so that one that is missing equals itself.
fn bits(numbers: &[f64]) -> impl Iterator<Item = u64> + '_ {
    numbers.iter().map(|x| x.to_bits())
}

/// A script value as text for a screen of `width` columns; values of Rhai itself as Rhai shows them.
pub fn text_within(value: &rhai::Dynamic, width: usize) -> String {
    match value.read_lock::<Table>() {
        Some(table) => table.text(width),
        None => text(value),
    }
}

/// A script value as text; values of Rhai itself as Rhai shows them.
pub fn text(value: &rhai::Dynamic) -> String {
    fn of<T: std::fmt::Display + Clone + Send + Sync + 'static>(value: &rhai::Dynamic) -> Option<String> {
        value.read_lock::<T>().map(|value| value.to_string())
    }
    let known = [
        of::<fodo_units::Quantity>,
        of::<Vector>,
        of::<Mask>,
        of::<Matrix>,
        of::<Table>,
        of::<Members>,
        of::<Member>,
        of::<Knobs>,
        of::<Response>,
        of::<Steps>,
        of::<Task>,
        of::<model::Along>,
        of::<model::ModelHandle>,
        of::<history::TwinHandle>,
    ];
    known.iter().find_map(|text| text(value)).unwrap_or_else(|| value.to_string())
}
