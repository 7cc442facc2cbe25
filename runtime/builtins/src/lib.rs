//! What scripts can call, one file per subject.
//!
//! The only place where Rhai and the accelerator meet. A builtin checks its arguments, calls the
//! crate that does the work, and converts; its documentation is what `help` and the manual show.

mod channels;
mod context;
mod families;
mod guard;
mod machine;
mod math;
mod matrix;
mod model;
mod orbit;
mod plot;
mod quantity;
mod vector;

pub use context::{Context, Progress, here};
pub use families::{Member, Members};
pub use matrix::Matrix;
pub use model::{Model, names as model_names, read_lattice};
pub use orbit::{Knobs, Response, Steps};
pub use vector::Vector;

use rhai::Engine;

/// Registers all builtins, and the families of a facility as constants.
pub fn register(engine: &mut Engine, facility: &fodo_devices::Facility) {
    quantity::register(engine);
    vector::register(engine);
    matrix::register(engine);
    math::register(engine);
    plot::register(engine);
    families::register(engine, facility);
    channels::register(engine);
    model::register(engine);
    orbit::register(engine);
    machine::register(engine);
}

/// Names every script sees beside the families: units and the model.
pub fn constants() -> Vec<String> {
    let units = quantity::unit_names().into_iter().map(|name| name.to_string());
    units.chain(["model".to_string()]).collect()
}

/// A script value as text; values of Rhai itself as Rhai shows them.
pub fn text(value: &rhai::Dynamic) -> String {
    fn of<T: std::fmt::Display + Clone + Send + Sync + 'static>(value: &rhai::Dynamic) -> Option<String> {
        value.read_lock::<T>().map(|value| value.to_string())
    }
    let known = [
        of::<fodo_units::Quantity>,
        of::<Vector>,
        of::<Matrix>,
        of::<Members>,
        of::<Member>,
        of::<Knobs>,
        of::<Response>,
        of::<Steps>,
        of::<model::Along>,
        of::<model::ModelHandle>,
    ];
    known.iter().find_map(|text| text(value)).unwrap_or_else(|| value.to_string())
}
