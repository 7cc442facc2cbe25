//! `twin.toml`: physics, clock, and the distributions that the truth is drawn from.

use fodo_devices::{Facility, Table, glob, open_tables};
use fodo_optics::Effects;
use fodo_report::{Diagnostic, Result};
use fodo_units::Unit;
use std::time::Duration;

/// What `twin.toml` says.
#[derive(Clone, Debug)]
pub(crate) struct ErrorTable {
    pub seed: u64,
    pub effects: Effects,
    pub period: Duration,
    pub distributions: Vec<Distribution>,
}

/// One table of errors: standard deviations of Gaussians cut at `truncate` sigma.
#[derive(Clone, Debug)]
pub(crate) struct Distribution {
    pub name: String,
    pub on: Target,
    pub truncate: f64,
    /// Displacement [m].
    pub dx: f64,
    pub dy: f64,
    /// Roll about the beam [rad].
    pub roll: f64,
    /// Relative error of field or gain [1].
    pub gain: f64,
    /// Monitor: offset and noise of one shot [m].
    pub offset: f64,
    pub noise: f64,
}

/// What a distribution acts on.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Lattice elements by name patterns.
    Elements(Vec<String>),
    /// The devices of a family.
    Family(String),
}

impl ErrorTable {
    /// A machine without errors.
    fn perfect() -> ErrorTable {
        ErrorTable { seed: 1, effects: Effects::NONE, period: Duration::from_millis(100), distributions: Vec::new() }
    }

    pub fn load(facility: &Facility) -> Result<ErrorTable> {
        if facility.files().text("twin.toml").is_none() {
            return Ok(ErrorTable::perfect());
        }
        open_tables(facility.files(), "twin.toml", |top| ErrorTable::read(top, facility))
    }

    fn read(top: &Table, facility: &Facility) -> Result<ErrorTable> {
        let mut table = ErrorTable::perfect();
        if let Some(seed) = top.number("seed")? {
            table.seed = seed as u64;
        }
        if let Some(period) = top.seconds("period")? {
            if period <= 0.0 {
                return Err(top.mistake("period", "must be longer than nothing"));
            }
            table.period = Duration::from_secs_f64(period);
        }
        if let Some(physics) = top.table("physics")? {
            table.effects = Effects {
                cavity: physics.boolean("cavity")?.unwrap_or(false),
                radiation: physics.boolean("radiation")?.unwrap_or(false),
            };
            physics.no_other_keys()?;
        }
        for group in ["misalignments", "monitors", "correctors"] {
            let Some(tables) = top.table(group)? else { continue };
            for (name, inner) in tables.tables() {
                table.distributions.push(Distribution::read(group, name, &inner, facility)?);
            }
            tables.no_other_keys()?;
        }
        top.no_other_keys()?;
        Ok(table)
    }
}

impl Distribution {
    /// Misalignments name their elements; the tables of monitors and correctors are named after a family.
    fn read(group: &str, name: &str, table: &Table, facility: &Facility) -> Result<Distribution> {
        let unit = |symbol: &str| Unit::parse(symbol).map_err(|e| table.mistake(name, e.to_string()));
        let (metre, radian, none) = (unit("m")?, unit("rad")?, unit("1")?);
        let value = |key: &str, unit: &Unit| -> Result<f64> {
            let value = table.quantity(key, unit)?.unwrap_or(0.0);
            if value < 0.0 { Err(table.mistake(key, "a standard deviation is not negative")) } else { Ok(value) }
        };
        let on = match group {
            "misalignments" => Target::Elements(elements(table, facility)?),
            _ => {
                let wrong = |e: Box<Diagnostic>| Diagnostic { hints: e.hints, ..*table.mistake(name, e.message) };
                facility.family(name).map_err(|e| Box::new(wrong(e)))?;
                Target::Family(name.to_string())
            }
        };
        let only = |groups: &[&str], key: &str, unit: &Unit| {
            if groups.contains(&group) { value(key, unit) } else { Ok(0.0) }
        };
        let distribution = Distribution {
            name: format!("{group}.{name}"),
            truncate: table.number("truncate")?.unwrap_or(f64::INFINITY),
            dx: only(&["misalignments"], "dx", &metre)?,
            dy: only(&["misalignments"], "dy", &metre)?,
            roll: only(&["misalignments"], "roll", &radian)?,
            gain: only(&["monitors", "correctors"], "gain", &none)?,
            offset: only(&["monitors"], "offset", &metre)?,
            noise: only(&["monitors"], "noise", &metre)?,
            on,
        };
        if distribution.truncate <= 0.0 {
            return Err(table.mistake("truncate", "must be above zero (in standard deviations)"));
        }
        table.no_other_keys()?;
        Ok(distribution)
    }
}

/// Name patterns, each of which must match an element of the lattice.
fn elements(table: &Table, facility: &Facility) -> Result<Vec<String>> {
    let patterns = table.texts("elements")?;
    if patterns.is_empty() {
        return Err(table.mistake("elements", "is missing: whose misalignments are these?"));
    }
    let matches = |pattern: &&String| facility.lattice.elements.iter().any(|e| glob(pattern, &e.name).is_some());
    match patterns.iter().find(|pattern| !matches(pattern)) {
        Some(unused) => Err(table.mistake("elements", format!("no element of the lattice is called `{unused}`"))),
        None => Ok(patterns),
    }
}
