//! `twin.toml`: physics, clock, and the distributions that the truth is drawn from. One file for each kind of table.

mod exact;
mod fields;
mod girders;
mod ground;
mod injection;
mod misalignments;
mod monitors;
mod rf;
mod supplies;
mod vibration;

use crate::anomalies::Anomaly;
use crate::channels::Channels;
use crate::current::BeamTable;
use crate::draw::{Source, Spread};
use crate::eddy::Eddy;
use crate::hysteresis::Iron;
use crate::placement::Reference;
use crate::present::Present;
use crate::ramp::Pace;
use crate::truth::Truth;
use crate::turns::TurnsTable;
pub(crate) use exact::Exact;
use fodo_devices::{Facility, Table, glob, open_tables};
use fodo_lattice::{Body, Element};
use fodo_optics::Effects;
use fodo_report::{Diagnostic, Result};
use fodo_units::Unit;
use std::collections::BTreeMap;
use std::time::Duration;
pub(crate) use supplies::is_supply;

/// What `twin.toml` says.
pub(crate) struct ErrorTable {
    pub seed: u64,
    pub effects: Effects,
    /// Magnets are set to the energy that a radiating beam has in each.
    pub tapering: bool,
    pub period: Duration,
    pub beam: Option<BeamTable>,
    pub eddy: Option<Eddy>,
    pub turns: TurnsTable,
    pub anomalies: Vec<Anomaly>,
    tables: Vec<ErrorsOf>,
    exact: Exact,
}

/// Something that moves by itself.
pub(crate) trait Motion: Send + Sync {
    /// Adds what it does a time after the start [s].
    fn go_to(&self, seconds: f64, present: &mut Present);
}

/// Draws what one table says is wrong.
trait Errors {
    fn draw(&self, from: &Source, facility: &Facility, truth: &mut Truth);

    /// What it does from moment to moment.
    fn motions(&self, _: &Source, _: &Facility, _: &Channels) -> Vec<Box<dyn Motion>> {
        Vec::new()
    }

    /// How the supplies of some knobs go to a new value.
    fn paces(&self, _: &Channels) -> Vec<(usize, Pace)> {
        Vec::new()
    }

    /// Magnets of some knobs that remember, cycled and at these setpoints, channel units: the way is that of physics values,
    /// SI.
    fn irons(&self, _: &Channels, _: &[f64]) -> Vec<(usize, Iron)> {
        Vec::new()
    }

    /// Elements that it moves, and about which point; nothing if it follows other tables in that.
    fn about(&self) -> Option<(&[usize], Reference)> {
        None
    }
}

/// One table of errors.
struct ErrorsOf {
    name: String,
    spread: Spread,
    errors: Box<dyn Errors>,
}

type Read = fn(&str, &Table, &Facility) -> Result<Box<dyn Errors>>;

/// Groups of tables, in the order in which they are drawn.
const GROUPS: [(&str, Read); 8] = [
    ("misalignments", misalignments::read),
    ("girders", girders::read),
    ("fields", fields::read),
    ("monitors", monitors::read),
    ("correctors", supplies::read_correctors),
    ("supplies", supplies::read),
    ("ground", ground::read),
    ("vibration", vibration::read),
];

impl ErrorTable {
    /// A machine without errors, its cavities on if it has any.
    fn perfect(facility: &Facility) -> ErrorTable {
        let voltage = |element: &Element| matches!(&element.body, Body::Cavity(cavity) if cavity.voltage != 0.0);
        let cavity = facility.lattice.elements.iter().any(voltage);
        ErrorTable {
            seed: 1,
            // a line is passed with all that it has
            effects: Effects { cavity: cavity || !facility.kind.is_ring(), radiation: false },
            tapering: false,
            period: Duration::from_millis(100),
            beam: None,
            eddy: None,
            turns: TurnsTable::default(),
            anomalies: Vec::new(),
            tables: Vec::new(),
            exact: Exact::default(),
        }
    }

    pub fn load(facility: &Facility) -> Result<ErrorTable> {
        if facility.files().text("twin.toml").is_none() {
            return Ok(ErrorTable::perfect(facility));
        }
        open_tables(facility.files(), "twin.toml", |top| ErrorTable::read(top, facility))
    }

    fn read(top: &Table, facility: &Facility) -> Result<ErrorTable> {
        let mut table = ErrorTable::perfect(facility);
        if let Some(seed) = top.number("seed")? {
            table.seed = seed as u64;
        }
        if let Some(period) = top.duration("period")? {
            if period.is_zero() {
                return Err(top.mistake("period", "must be longer than nothing"));
            }
            table.period = period;
        }
        if let Some(physics) = top.table("physics")? {
            if !facility.kind.is_ring() && physics.boolean("cavity")? == Some(false) {
                let what = format!("are always on in a {}: what they do is its energy", facility.kind);
                return Err(physics.mistake("cavity", what));
            }
            table.effects = Effects {
                cavity: physics.boolean("cavity")?.unwrap_or(table.effects.cavity),
                radiation: physics.boolean("radiation")?.unwrap_or(false),
            };
            table.tapering = physics.boolean("tapering")?.unwrap_or(false);
            if table.tapering && table.effects != Effects::ALL {
                return Err(
                    physics.mistake("tapering", "is for a beam that radiates: `cavity` and `radiation` have to be on")
                );
            }
            physics.no_other_keys()?;
        }
        for (group, read) in GROUPS {
            let Some(tables) = top.table(group)? else { continue };
            for (name, inner) in tables.tables() {
                let errors = ErrorsOf::read(format!("{group}.{name}"), &inner, |t| read(name, t, facility))?;
                table.agrees(&errors, &inner, facility)?;
                table.tables.push(errors);
            }
            tables.no_other_keys()?;
        }
        if let Some(inner) = top.table("rf")? {
            table.tables.push(ErrorsOf::read("rf".into(), &inner, |t| rf::read("rf", t, facility))?);
        }
        if let Some(inner) = top.table("injection")? {
            let read = |t: &Table| injection::read("injection", t, facility);
            table.tables.push(ErrorsOf::read("injection".into(), &inner, read)?);
        }
        if let Some(inner) = top.table("beam")? {
            if !facility.kind.is_ring() {
                let what =
                    format!("is a stored beam; what enters a {} stands under [beam] of facility.toml", facility.kind);
                return Err(top.mistake("beam", what));
            }
            table.beam = Some(BeamTable::read(&inner, facility)?);
        }
        if let Some(inner) = top.table("eddy")? {
            if facility.cycle.is_none() {
                return Err(top.mistake("eddy", "is what a rising field does; only a booster has one"));
            }
            table.eddy = Some(Eddy::read(&inner, facility)?);
        }
        if let Some(inner) = top.table("turns")? {
            table.turns.particles = match inner.number("particles")?.unwrap_or(1.0) {
                count if (1.0..=1e6).contains(&count) && count.fract() == 0.0 => count as usize,
                _ => return Err(inner.mistake("particles", "must be a whole number from 1 to 1 000 000")),
            };
            table.turns.quantum = inner.boolean("quantum")?.unwrap_or(false);
            if table.turns.quantum && !table.effects.radiation {
                return Err(inner.mistake(
                    "quantum",
                    "needs `radiation = true` in `physics`: photons are emitted by what radiates",
                ));
            }
            inner.no_other_keys()?;
        }
        if let Some(inner) = top.table("anomalies")? {
            table.anomalies = crate::anomalies::read(&inner, facility)?;
        }
        table.exact = Exact::of(top, facility)?;
        top.no_other_keys()?;
        Ok(table)
    }

    /// An error if another table moves an element about another point.
    fn agrees(&self, errors: &ErrorsOf, table: &Table, facility: &Facility) -> Result<()> {
        let Some((elements, reference)) = errors.errors.about() else { return Ok(()) };
        for other in &self.tables {
            let Some((moved, about)) = other.errors.about().filter(|(_, about)| *about != reference) else { continue };
            if let Some(both) = elements.iter().find(|element| moved.contains(element)) {
                let name = &facility.lattice.elements[*both].name;
                let what = format!("[{}] moves `{name}` about its {}", other.name, about.word());
                return Err(table.mistake("reference", what));
            }
        }
        Ok(())
    }

    /// What is wrong with the machine of a seed: drawn, then what is known exactly.
    pub fn truth(&self, facility: &Facility, seed: u64) -> Truth {
        let mut truth = Truth::default();
        for ErrorsOf { name, spread, errors } in &self.tables {
            errors.draw(&Source { seed, name, spread: *spread }, facility, &mut truth);
        }
        self.exact.put(&mut truth);
        truth
    }
}

impl ErrorTable {
    /// What moves by itself on the machine of a seed.
    pub fn motions(&self, facility: &Facility, channels: &Channels, seed: u64) -> Vec<Box<dyn Motion>> {
        let of = |table: &ErrorsOf| {
            let ErrorsOf { name, spread, errors } = table;
            errors.motions(&Source { seed, name, spread: *spread }, facility, channels)
        };
        self.tables.iter().flat_map(of).collect()
    }

    /// Magnets that remember, by knob; `values` is what the knobs hold, in channel units.
    pub fn irons(&self, channels: &Channels, values: &[f64]) -> BTreeMap<usize, Iron> {
        self.tables.iter().flat_map(|table| table.errors.irons(channels, values)).collect()
    }

    /// How each supply goes to a new value.
    pub fn paces(&self, channels: &Channels) -> Vec<Pace> {
        let mut paces = vec![Pace::default(); channels.knobs.len()];
        for (knob, pace) in self.tables.iter().flat_map(|table| table.errors.paces(channels)) {
            paces[knob] = pace;
        }
        paces
    }
}

impl ErrorsOf {
    fn read(name: String, table: &Table, read: impl FnOnce(&Table) -> Result<Box<dyn Errors>>) -> Result<ErrorsOf> {
        let spread = spread(table)?;
        let errors = read(table)?;
        table.no_other_keys()?;
        Ok(ErrorsOf { name, spread, errors })
    }
}

fn spread(table: &Table) -> Result<Spread> {
    let uniform = match table.text("distribution")?.unwrap_or("gauss") {
        "gauss" => false,
        "uniform" => true,
        other => return Err(unknown(table, "distribution", other, &["gauss", "uniform"])),
    };
    let truncate = table.number("truncate")?;
    if uniform && truncate.is_some() {
        return Err(table.mistake("truncate", "cuts a Gauss curve; a uniform distribution ends where it ends"));
    }
    let truncate = truncate.unwrap_or(f64::INFINITY);
    if truncate <= 0.0 || truncate.is_nan() {
        return Err(table.mistake("truncate", "must be above zero (in standard deviations)"));
    }
    Ok(Spread { truncate, uniform })
}

/// A word that is none of those known.
pub(crate) fn unknown(table: &Table, key: &str, word: &str, known: &[&str]) -> Box<Diagnostic> {
    let near = fodo_report::did_you_mean(word, known.iter().copied()).map_or(String::new(), |near| format!("; {near}"));
    table.mistake(key, format!("`{word}` is none of {}{near}", known.join(", ")))
}

/// How far values are spread, in SI; 0 where the key is missing.
fn width(table: &Table, key: &str, symbol: &str) -> Result<f64> {
    let value = exactly(table, key, symbol)?.unwrap_or(0.0);
    if value < 0.0 { Err(table.mistake(key, "a standard deviation is not negative")) } else { Ok(value) }
}

/// The same for each plane: under the key itself, or with `_x` and `_y`.
fn widths(table: &Table, key: &str, symbol: &str) -> Result<[f64; 2]> {
    let [x, y] = [format!("{key}_x"), format!("{key}_y")];
    if table.has(key) && (table.has(&x) || table.has(&y)) {
        return Err(table.mistake(key, format!("is for both planes: say it, or `{x}` and `{y}`")));
    }
    match table.has(key) {
        true => width(table, key, symbol).map(|both| [both; 2]),
        false => Ok([width(table, &x, symbol)?, width(table, &y, symbol)?]),
    }
}

/// A finite value in SI, if the key is there.
pub(crate) fn exactly(table: &Table, key: &str, symbol: &str) -> Result<Option<f64>> {
    let unit = Unit::parse(symbol).map_err(|e| table.mistake(key, e.to_string()))?;
    match table.quantity(key, &unit)? {
        Some(value) if !value.is_finite() => Err(table.mistake(key, "must be a finite number")),
        value => Ok(value),
    }
}

/// Buckets of a ring.
pub(crate) fn buckets(facility: &Facility) -> usize {
    facility.lattice.harmonic_number.map_or(1, |number| number as usize)
}

/// The same above zero.
pub(crate) fn positive(table: &Table, key: &str, symbol: &str) -> Result<Option<f64>> {
    match exactly(table, key, symbol)? {
        Some(value) if value <= 0.0 => Err(table.mistake(key, "must be above zero")),
        value => Ok(value),
    }
}

/// How likely something is, from 0 to 1.
fn probability(table: &Table, key: &str) -> Result<f64> {
    let value = width(table, key, "1")?;
    if value > 1.0 { Err(table.mistake(key, "must be between 0 and 100 %")) } else { Ok(value) }
}

/// The elements of the lattice that patterns under a key match, in beam order; each pattern must match one.
pub(crate) fn elements(table: &Table, key: &str, facility: &Facility) -> Result<Vec<usize>> {
    let patterns = table.texts(key)?;
    if patterns.is_empty() {
        return Err(table.mistake(key, "is missing: whose errors are these?"));
    }
    let all = &facility.lattice.elements;
    let matches = |pattern: &str, name: &str| glob(pattern, name).is_some();
    if let Some(unused) = patterns.iter().find(|pattern| !all.iter().any(|e| matches(pattern, &e.name))) {
        let names = all.iter().map(|element| element.name.as_ref());
        let near = fodo_report::did_you_mean(unused, names).map_or(String::new(), |near| format!("; {near}"));
        return Err(table.mistake(key, format!("no element of the lattice is called `{unused}`{near}")));
    }
    let named = |index: &usize| patterns.iter().any(|pattern| matches(pattern, &all[*index].name));
    Ok((0..all.len()).filter(named).collect())
}

/// An error about a family, shown where it is named.
pub(crate) fn at(table: &Table, key: &str, error: &Diagnostic) -> Box<Diagnostic> {
    Box::new(Diagnostic { hints: error.hints.clone(), ..*table.mistake(key, error.message.clone()) })
}
