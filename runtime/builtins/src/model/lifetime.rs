//! How long a beam lasts in a model: Touschek scattering and residual gas.

use super::studies::{map, one};
use super::{Model, ModelHandle};
use crate::families::document;
use crate::quantity;
use crate::vector::Vector;
use fodo_dynamics::{
    Acceptance, AcceptanceShape, Gas, Lifetime, Molecule, MomentumLimits, Sizes, gas_losses, touschek,
};
use fodo_language::{Options, OrFail, Outcome, Values, script_error};
use fodo_units::Unit;
use rhai::{Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// Temperature of the gas [K].
const ROOM: f64 = 293.15;

/// The options of `lifetime`.
pub fn options() -> Options {
    Options::new("lifetime")
        .number("charge", "C")
        .help("of one bunch")
        .number("emittance_y", "m")
        .help("vertical emittance")
        .any("momentum_aperture")
        .help("a number, the same everywhere, or what `momentum_aperture` gives")
        .number("bunch_length", "m")
        .help("rms")
        .otherwise("of the equilibrium")
        .any("pressure")
        .help("a pressure [Pa], or a vector of them at the positions `s`")
        .any("s")
        .help("positions of the pressures [m]")
        .any("gas")
        .help("shares by formula: `#{ H2: 0.8, CO: 0.2 }`")
        .number("temperature", "1")
        .default(ROOM)
        .help("of the gas, in K")
        .number("acceptance_x", "m")
        .help("largest amplitude at the start")
        .otherwise("the apertures of the elements")
        .number("acceptance_y", "m")
        .help("largest amplitude at the start")
        .otherwise("the apertures of the elements")
}

/// The same limit everywhere, or `#{ s, negative, positive }`.
fn limits(model: &Model, values: &Values) -> Outcome<MomentumLimits> {
    let given = values.maybe_dynamic("momentum_aperture").ok_or_else(|| {
        script_error("`lifetime` needs `momentum_aperture`: a number such as 0.04, or what `momentum_aperture` gives")
    })?;
    let Some(table) = given.read_lock::<Map>().map(|table| table.clone()) else {
        let limit = quantity::from_dynamic(&given).map(|limit| limit.si.abs()).filter(|limit| *limit > 0.0);
        let limit = limit.ok_or_else(|| script_error("`momentum_aperture` must be a number above 0"))?;
        return model.or_failed(MomentumLimits::even(-limit, limit)).or_fail();
    };
    let column = |name: &str| {
        let vector = table.get(name).and_then(|value| value.read_lock::<Vector>().map(|vector| vector.si().to_vec()));
        vector.ok_or_else(|| script_error(format!("`momentum_aperture` has no vector `{name}`")))
    };
    model.or_failed(MomentumLimits::new(column("s")?, column("negative")?, column("positive")?)).or_fail()
}

/// The gas, if a pressure is given.
fn gas(model: &Model, values: &Values) -> Outcome<Option<Gas>> {
    let Some(given) = values.maybe_dynamic("pressure") else { return Ok(None) };
    let pascal = Unit::parse("Pa").or_fail()?;
    let wrong = || script_error("`pressure` must be a pressure or a vector of them, as in quantity(1e-9, \"mbar\")");
    let (position, pressures) = match given.read_lock::<Vector>().map(|vector| vector.clone()) {
        Some(vector) if vector.unit().dimension() == pascal.dimension() => {
            let s = values.maybe_dynamic("s").and_then(|s| s.read_lock::<Vector>().map(|s| s.si().to_vec()));
            (
                s.ok_or_else(|| script_error("a vector of pressures needs `s`: a vector of positions"))?,
                vector.si().to_vec(),
            )
        }
        _ => {
            let one = quantity::from_dynamic(&given).filter(|one| one.dimension() == pascal.dimension());
            (vec![0.0], vec![one.ok_or_else(wrong)?.si])
        }
    };
    let shares = values.maybe_dynamic("gas").and_then(|gas| gas.read_lock::<Map>().map(|shares| shares.clone()));
    let shares = shares.ok_or_else(|| script_error("`lifetime` needs `gas`, as in #{ H2: 0.8, CO: 0.2 }"))?;
    let part = |(formula, share): (&rhai::Identifier, &Dynamic)| {
        let share = quantity::from_dynamic(share)
            .ok_or_else(|| script_error(format!("the share of {formula} is no number")))?;
        let molecule = Molecule::new(formula).map_err(|error| script_error(error.to_string()))?;
        Ok((molecule, pressures.iter().map(|pressure| share.si * pressure).collect()))
    };
    let parts = shares.iter().map(part).collect::<Outcome<Vec<_>>>()?;
    model.or_failed(Gas::new(position, parts, values.number("temperature")?)).or_fail().map(Some)
}

fn lifetime(model: &Model, values: &Values) -> Outcome<Map> {
    let equilibrium = model.equilibrium().or_fail()?;
    let sizes = Sizes {
        emittance_x: equilibrium.emittances[0],
        emittance_y: values.number("emittance_y")?,
        energy_spread: equilibrium.energy_spread,
        length: values.maybe_number("bunch_length").unwrap_or(equilibrium.bunch_length),
    };
    let limits = limits(model, values)?;
    let within = model.or_failed(touschek(&model.ring, values.number("charge")?, &sizes, &limits)).or_fail()?;
    let mut result = map([("touschek", one(within.lifetime(), "s")?)]);
    let Some(gas) = gas(model, values)? else { return Ok(result) };
    let optics = model.or_failed(model.ring.optics()).or_fail()?;
    let edge = |name: &str| values.maybe_number(name).unwrap_or(f64::INFINITY);
    let (x, y) = (edge("acceptance_x"), edge("acceptance_y"));
    let acceptance = Acceptance::of_apertures(&model.ring, &optics).and(Acceptance::of_edge(
        x,
        y,
        &optics,
        0,
        AcceptanceShape::Rectangle,
    ));
    let losses = model.or_failed(gas_losses(&model.ring, &gas, &acceptance, &limits)).or_fail()?;
    let all = Lifetime::new(&within, &losses);
    for (name, time) in [
        ("elastic", all.elastic),
        ("bremsstrahlung", all.bremsstrahlung),
        ("electrons", all.electrons),
        ("total", all.total()),
    ] {
        result.insert(name.into(), one(time, "s")?);
    }
    Ok(result)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "lifetime",
        ["model: model", "options: map", "map"],
        "/// Computes the lifetime of the equilibrium beam of a model: Touschek scattering, and the residual gas if a pressure is given.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ touschek }` [s]; with a gas `elastic`, `bremsstrahlung`, `electrons` and `total`, too.\n///\n\
         /// # Errors\n/// - `facility`: no equilibrium.\n/// - `script`: a missing option, an unknown gas.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = model.lifetime(#{ charge: 1.0 * nC, emittance_y: 1.0 * nm, momentum_aperture: 0.02 });\n\
         /// assert(t.touschek > 1.0 * h);\n/// ```",
        options(),
        |c: NativeCallContext, m: ModelHandle, map: Map| lifetime(&*m.ring(&c, "lifetime")?, &options().read(&map)?)
    );
}
