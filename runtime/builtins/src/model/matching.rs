//! Matching a model in a script: what to turn by the names of elements, what to reach by the names of figures.

use super::figures::OF_BEAM;
use super::{Model, ModelHandle};
use crate::families::document;
use crate::quantity;
use fodo_dynamics::{Figure, Match, Matching, Parameter, Target, Variable, match_optics};
use fodo_language::{Options, OrFail, Outcome, Values, fail, script_error};
use fodo_lattice::Lattice;
use fodo_optics::Ring;
use fodo_report::{Diagnostic, Kind};
use fodo_units::Unit;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use std::sync::Arc;

/// Parameters by the word scripts use, with their units.
const PARAMETERS: [(Parameter, &str); 13] = [
    (Parameter::Length, "m"),
    (Parameter::Angle, "rad"),
    (Parameter::K1, "1/m^2"),
    (Parameter::K1Skew, "1/m^2"),
    (Parameter::K2, "1/m^3"),
    (Parameter::K2Skew, "1/m^3"),
    (Parameter::K3, "1/m^4"),
    (Parameter::K3Skew, "1/m^4"),
    (Parameter::KickX, "rad"),
    (Parameter::KickY, "rad"),
    (Parameter::FieldScaling, "1"),
    (Parameter::Frequency, "Hz"),
    (Parameter::Voltage, "V"),
];

/// A figure at a place.
type At = fn(usize) -> Figure;

/// Figures of the whole lattice by name, with their units.
const WHOLE: [(&str, &str, Figure); 8] = [
    ("tune_x", "1", Figure::TuneX),
    ("tune_y", "1", Figure::TuneY),
    ("chromaticity_x", "1", Figure::ChromaticityX),
    ("chromaticity_y", "1", Figure::ChromaticityY),
    ("beta_max_x", "m", Figure::BetaMaxX),
    ("beta_max_y", "m", Figure::BetaMaxY),
    ("momentum_compaction", "1", Figure::MomentumCompaction),
    ("length", "m", Figure::Length),
];

/// Figures at a place by name, with their units.
const PLACED: [(&str, &str, At); 12] = [
    ("beta_x", "m", Figure::BetaX),
    ("beta_y", "m", Figure::BetaY),
    ("alpha_x", "1", Figure::AlphaX),
    ("alpha_y", "1", Figure::AlphaY),
    ("dispersion_x", "m", Figure::DispersionX),
    ("dispersion_px", "1", Figure::DispersionPx),
    ("dispersion_y", "m", Figure::DispersionY),
    ("dispersion_py", "1", Figure::DispersionPy),
    ("orbit_x", "m", Figure::OrbitX),
    ("orbit_px", "1", Figure::OrbitPx),
    ("orbit_y", "m", Figure::OrbitY),
    ("orbit_py", "1", Figure::OrbitPy),
];

fn unknown<'a>(what: String, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Box<rhai::EvalAltResult> {
    let report = Diagnostic::new(Kind::Script, what).near(name, known.clone());
    let words = known.collect::<Vec<_>>().join(", ");
    fail(Box::new(if report.hints.is_empty() && words.len() < 300 {
        report.hint(format!("known: {words}"))
    } else {
        report
    }))
}

/// The parameter of that name, with its unit.
fn parameter(name: &str) -> Outcome<(Parameter, Unit)> {
    let found = PARAMETERS.into_iter().find(|(parameter, _)| parameter.name() == name);
    let words = PARAMETERS.map(|(parameter, _)| parameter.name());
    let (parameter, unit) =
        found.ok_or_else(|| unknown(format!("no element has a parameter `{name}`"), name, words.into_iter()))?;
    Ok((parameter, Unit::parse(unit).or_fail()?))
}

/// Indices of the elements with this name, or made from the definition of this name.
pub fn elements(lattice: &Lattice, name: &str) -> Outcome<Vec<usize>> {
    let ours = |element: &fodo_lattice::Element| *element.name == *name || *element.definition == *name;
    let found: Vec<usize> = (0..lattice.elements.len()).filter(|&index| ours(&lattice.elements[index])).collect();
    if found.is_empty() {
        let names = lattice.elements.iter().flat_map(|element| [element.name.as_ref(), element.definition.as_ref()]);
        return Err(unknown(format!("the lattice has no element \"{name}\""), name, names));
    }
    Ok(found)
}

/// `"QF.k1"`: a parameter, the same in all elements of that name.
fn variable(model: &Model, text: &str) -> Outcome<Variable> {
    let (name, word) = text.rsplit_once('.').ok_or_else(|| {
        script_error(format!(
            "what may be turned is written as \"ELEMENT.parameter\", as in \"QF.k1\"; found \"{text}\""
        ))
    })?;
    let (parameter, _) = parameter(word)?;
    model.or_failed(Variable::value(&model.ring, text, parameter, &elements(&model.lattice, name)?)).or_fail()
}

/// `tune_x`, or `"beta_x at BPM_001"`; its unit.
fn figure(model: &Model, text: &str) -> Outcome<(Figure, Unit)> {
    if matches!(text, "tune_x" | "tune_y" | "momentum_compaction") || OF_BEAM.iter().any(|(name, ..)| *name == text) {
        model.needs_ring(&format!("it has no {}", text.replace('_', " "))).or_fail()?;
    }
    if let Some((_, unit, figure)) = WHOLE.into_iter().find(|(name, ..)| *name == text) {
        return Ok((figure, Unit::parse(unit).or_fail()?));
    }
    if let Some((name, unit, of_beam)) = OF_BEAM.iter().find(|(name, ..)| *name == text) {
        let computed = move |ring: &Ring| ring.find_equilibrium().map(|beam| of_beam(&beam)).map_err(|e| e.to_string());
        return Ok((Figure::Other((*name).to_string(), Arc::new(computed)), Unit::parse(unit).or_fail()?));
    }
    let (name, place) = text.split_once(" at ").unwrap_or((text, ""));
    let Some((_, unit, figure)) = PLACED.into_iter().find(|(known, ..)| *known == name) else {
        let known = WHOLE.into_iter().map(|(name, ..)| name).chain(PLACED.into_iter().map(|(name, ..)| name));
        let known = known.chain(OF_BEAM.iter().map(|(name, ..)| *name));
        let known: Vec<&str> = known.collect();
        return Err(unknown(format!("there is no figure `{name}` to match"), name, known.into_iter()));
    };
    let at = match place.trim() {
        "" => return Err(script_error(format!("say where: \"{name} at ELEMENT\", or \"{name} at end\""))),
        "end" => model.lattice.elements.len(),
        place => elements(&model.lattice, place)?[0],
    };
    Ok((figure(at), Unit::parse(unit).or_fail()?))
}

/// The targets of one of the option maps.
fn targets(model: &Model, values: &Values, option: &str, make: fn(Figure, f64) -> Target) -> Outcome<Vec<Target>> {
    let Some(given) = values.maybe_dynamic(option) else { return Ok(vec![]) };
    let map = given.read_lock::<Map>().map(|map| map.clone());
    let map =
        map.ok_or_else(|| script_error(format!("`{option}` must be a map of figures, as in #{{ tune_x: 0.21 }}")))?;
    let target = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let (figure, unit) = figure(model, name)?;
        let wanted = quantity::from_dynamic(value).filter(|wanted| wanted.dimension() == unit.dimension());
        let wanted = wanted.ok_or_else(|| script_error(format!("`{name}` must be a number in {unit}")))?;
        let wanted = wanted.si;
        // emittances and their like are small: they count by how far off they are relative to what is wanted
        let small = matches!(figure, Figure::Other(..)) && wanted != 0.0;
        let size = if small { wanted.abs() } else { wanted.abs().max(1.0) };
        let weight = if small { 1.0 / size } else { 1.0 };
        Ok(make(figure, wanted).tolerance(1e-8 * size).weight(weight))
    };
    map.iter().map(target).collect()
}

/// The options of `match_optics`.
pub fn options() -> Options {
    Options::new("match_optics")
        .any("vary")
        .help(
            "what may be turned: `\"ELEMENT.parameter\"`, the same in all elements of that name or definition; \
             length, angle, k1, k1s, k2, k2s, k3, k3s, kick_x, kick_y, field_scaling, frequency, voltage",
        )
        .any("reach")
        .help(
            "figures and their values: `tune_x`, `chromaticity_y`, `\"beta_x at BPM_003\"`, `\"dispersion_x at end\"`, \
             `emittance_x`, `energy_spread`",
        )
        .any("at_most")
        .help("figures and what they must not pass")
        .any("at_least")
        .help("figures and what they must not fall below")
        .integer("iterations")
        .at_least(1.0)
        .default(50)
        .help("at most so many")
}

fn matched(model: &Model, values: &Values) -> Outcome<Map> {
    let vary = values.maybe_dynamic("vary").and_then(|vary| vary.read_lock::<Array>().map(|array| array.clone()));
    let vary =
        vary.ok_or_else(|| script_error("`match_optics` needs `vary`: what may be turned, as in [\"QF.k1\"]"))?;
    let names = vary.iter().map(|name| {
        name.clone().into_string().map_err(|_| script_error("`vary` is a list of texts, as in [\"QF.k1\", \"QD.k1\"]"))
    });
    let names = names.collect::<Outcome<Vec<String>>>()?;
    let variables = names.iter().map(|name| variable(model, name)).collect::<Outcome<Vec<_>>>()?;
    let mut wanted = targets(model, values, "reach", Target::equal)?;
    wanted.extend(targets(model, values, "at_most", Target::at_most)?);
    wanted.extend(targets(model, values, "at_least", Target::at_least)?);
    let iterations = values.integer("iterations")?.unsigned_abs() as usize;
    let mut ring = model.ring.clone();
    let matching = match model.matched_line().or_fail()? {
        Some(line) => Matching::line(variables, wanted, line.twiss(), line.dispersion()),
        None => Matching::ring(variables, wanted),
    };
    let matching = Matching { iterations, ..matching };
    let found = model.or_failed(match_optics(&mut ring, &matching)).or_fail()?;
    report(&found, model.changed("matched", &ring))
}

fn report(found: &Match, after: ModelHandle) -> Outcome<Map> {
    let mut turned = Map::new();
    for variable in &found.variables {
        let (_, unit) = parameter(variable.name.rsplit('.').next().unwrap_or_default())?;
        turned.insert(variable.name.as_str().into(), quantity::of(variable.after, unit));
    }
    let missed = found.targets.iter().filter(|target| !target.met).map(|target| Dynamic::from(target.figure.clone()));
    let missed: Array = missed.collect();
    let mut map = Map::new();
    map.insert("met".into(), missed.is_empty().into());
    map.insert("missed".into(), missed.into());
    map.insert("values".into(), turned.into());
    map.insert("iterations".into(), (found.iterations as i64).into());
    map.insert("model".into(), Dynamic::from(after));
    Ok(map)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "match_optics",
        ["model: model", "options: map", "map"],
        "/// Matches a model: turns parameters of its elements until figures have the values wanted. The machine is not touched.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Returns\n/// `#{ met, missed, values, iterations, model }`: the new values, and the matched model.\n///\n\
         /// # Errors\n/// - `script`: unknown elements, parameters, figures.\n/// - `facility`: unstable optics to start from.\n///\n\
         /// # Example\n/// ```rhai\n/// let m = model.match_optics(#{ vary: [\"QF.k1\", \"QD.k1\"], reach: #{ tune_x: 3.45, tune_y: 3.46 } });\n\
         /// assert(m.met);\n/// assert_near(m.model.tune_x, 3.45, 1e-7);\n/// ```",
        options(),
        |c: NativeCallContext, m: ModelHandle, map: Map| matched(&*m.here(&c)?, &options().read(&map)?)
    );
}
